"""Features counted and measured: points in a register, lengths of works, facilities for each resident."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd

from workbench.indicators.formulas.common import (
    NO_KIND,
    Bools,
    as_table,
    in_force_mask,
    lacks_field,
    missing,
    people_by_zone,
    pieces,
    ratio,
    result,
    sum_by_zone,
    sum_of_points,
    to_unit,
)
from workbench.indicators.formulas.statistics import item_by_zone, with_reasons
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs
from workbench.operators import network


def _in_year(layer: gpd.GeoDataFrame, date_field: str, year: int) -> Bools:
    """Features dated in the year itself."""
    dates = pd.to_datetime(layer[date_field])
    found: Bools = (dates.dt.year == year).to_numpy(dtype=bool)
    return found


@reads("{role}")
def count(
    data: Inputs,
    zones: gpd.GeoDataFrame,
    *,
    role: str,
    field: str = "",
    values: tuple[str, ...] = (),
    date_field: str = "",
) -> pd.DataFrame:
    """Number of features in force: of some values of a field, of the year by a date, where these are given.

    A feature counts where its point, or a point inside it, lies.
    """
    if reason := lacks_field(data, role, field, date_field):
        return missing(zones, reason)
    layer = data.vector(role)
    counted = in_force_mask(layer, data.year)
    if field:
        counted = counted & layer[field].astype(str).isin(list(values)).to_numpy()
    if date_field:
        counted = counted & _in_year(layer, date_field, data.year)
    return result(zones, sum_of_points(data, role, zones, counted.astype("float64")))


@reads("{role}")
def area_of_year(
    data: Inputs, zones: gpd.GeoDataFrame, *, role: str, date_field: str, unit: str
) -> pd.DataFrame:
    """Area of the polygons dated in the year; as drawn, overlaps count twice."""
    if reason := lacks_field(data, role, date_field):
        return missing(zones, reason)
    rows = pieces(data, role, zones)
    wanted = rows[_in_year(rows, date_field, data.year)]
    return result(zones, to_unit(sum_by_zone(zones, wanted, "piece_m2"), unit))


def _length_m(data: Inputs, role: str, zones: gpd.GeoDataFrame, counted: Bools) -> pd.Series:
    lines = data.vector(role)[counted].reset_index(drop=True)
    if lines.empty:
        return pd.Series(0.0, index=zones.index)
    found = network.length_by_zone(lines, as_table(zones), zone_id="zone")
    return found["length_m"].reindex(zones.index, fill_value=0.0).astype("float64")


@reads("{role}")
def length(data: Inputs, zones: gpd.GeoDataFrame, *, role: str, scale: float = 1.0) -> pd.DataFrame:
    """Length of the lines in force (m), times ``scale``."""
    return result(zones, _length_m(data, role, zones, in_force_mask(data.vector(role), data.year)) * scale)


@reads("{role}")
def length_share(
    data: Inputs, zones: gpd.GeoDataFrame, *, role: str, field: str, values: tuple[str, ...]
) -> pd.DataFrame:
    """Length of the lines with some values of a field, for each hundred of all of them, percent."""
    if reason := lacks_field(data, role, field):
        return missing(zones, reason)
    layer = data.vector(role)
    there = in_force_mask(layer, data.year)
    wanted = there & layer[field].astype(str).isin(list(values)).to_numpy()
    return ratio(
        zones, _length_m(data, role, zones, wanted), _length_m(data, role, zones, there), scale=100.0
    )


@reads("population", "{role}")
def length_per_person(data: Inputs, zones: gpd.GeoDataFrame, *, role: str) -> pd.DataFrame:
    """Metres of the lines in force for each resident of the zone."""
    metres = _length_m(data, role, zones, in_force_mask(data.vector(role), data.year))
    return ratio(zones, metres, people_by_zone(data, zones))


@reads("population", "facilities")
def per_people(
    data: Inputs, zones: gpd.GeoDataFrame, *, kinds: tuple[str, ...], scale: float
) -> pd.DataFrame:
    """Facilities of any of the kinds for each resident, times ``scale``.

    Data that hold none of the kinds give no value: that is a gap in the data, not a city without them.
    """
    kind = data.vector("facilities")["kind"]
    wanted = kind.isin(list(kinds)).to_numpy(dtype="float64")
    if not wanted.any():
        return missing(zones, f"{NO_KIND}:{'+'.join(kinds)}")
    return ratio(
        zones, sum_of_points(data, "facilities", zones, wanted), people_by_zone(data, zones), scale=scale
    )


@reads("buildings", "statistics")
def floor_area_per_person(
    data: Inputs, zones: gpd.GeoDataFrame, *, uses: tuple[str, ...], item: str, scale: float
) -> pd.DataFrame:
    """Floor area of buildings of some uses (footprint times storeys) for each person of an item, times ``scale``."""
    rows = pieces(data, "buildings", zones)
    homes = rows[rows["use"].astype(str).isin(list(uses))]
    if homes.empty:
        return missing(zones, "no_homes")
    storeys = homes["floors"].astype("float64")
    gross = sum_by_zone(zones, homes.assign(gross=homes["piece_m2"] * storeys.fillna(0.0)), "gross")
    silent = set(homes.loc[storeys.isna(), "zone"])
    people, reasons = item_by_zone(data, zones, item)
    no_floors = pd.Series(np.where(zones.index.isin(silent), "no_floors", ""), index=zones.index)
    gross = gross.mask(gross.index.isin(silent))
    return with_reasons(ratio(zones, gross, people, scale=scale), reasons.where(reasons != "", no_floors))
