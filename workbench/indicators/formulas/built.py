"""Buildings, roads and rail: counts, floor area, density."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd

from workbench.indicators.formulas.common import (
    absent_kinds,
    as_table,
    missing,
    pieces,
    ratio,
    result,
    sum_by_zone,
    sum_of_points,
    zone_area_m2,
    zones_key,
)
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs
from workbench.operators import network


@reads("buildings")
def tall_buildings(
    data: Inputs, zones: gpd.GeoDataFrame, *, above_m: float, min_known: float = 0.9
) -> pd.DataFrame:
    """Number of buildings higher than ``above_m``; a building counts where a point inside it lies.

    A zone in which fewer than ``min_known`` of the buildings have a stated height gets no value.
    """
    height = data.vector("buildings")["height_m"].astype("float64").to_numpy()
    tall = sum_of_points(data, "buildings", zones, (height > above_m).astype("float64"))
    known = sum_of_points(data, "buildings", zones, np.isfinite(height).astype("float64"))
    there = sum_of_points(data, "buildings", zones, np.ones(len(height)))
    return result(zones, tall.where(known >= min_known * there), reason="no_heights")


@reads("buildings")
def floor_area(data: Inputs, zones: gpd.GeoDataFrame, *, scale: float) -> pd.DataFrame:
    """Footprint (m²) times storeys, times ``scale``. Buildings without storeys give their zone no value."""
    rows = pieces(data, "buildings", zones)
    storeys = rows["floors"].astype("float64")
    gross = sum_by_zone(zones, rows.assign(gross=rows["piece_m2"] * storeys.fillna(0.0)), "gross")
    silent = set(rows.loc[storeys.isna(), "zone"])
    value = (gross * scale).mask(gross.index.isin(silent))
    return result(zones, value, reason="no_floors")


def _length_m(data: Inputs, role: str, zones: gpd.GeoDataFrame, classes: tuple[str, ...]) -> pd.Series:
    def make() -> pd.Series:
        lines = data.vector(role)
        if classes:
            lines = lines[lines["road_class"].isin(list(classes))]
        lines = lines.reset_index(drop=True)
        if "route_share" not in lines or lines["route_share"].isna().all():
            found = network.length_by_zone(lines, as_table(zones), zone_id="zone")["length_m"]
        else:  # a direction drawn for itself is half of the road, a slip road is none
            lines["route_share"] = lines["route_share"].fillna(1.0)
            shares = network.length_by_zone(lines, as_table(zones), zone_id="zone", by="route_share")
            found = (shares * shares.columns.to_numpy(dtype="float64")).sum(axis=1)
        return found.reindex(zones.index, fill_value=0.0).astype("float64")

    return data.share(("length", role, data.year, classes, zones_key(zones)), make)


@reads("roads")
def road_density(data: Inputs, zones: gpd.GeoDataFrame, *, classes: tuple[str, ...]) -> pd.DataFrame:
    """Length of roads of some classes for each unit of area, km/km²; lines as drawn, or their ``route_share``."""
    metres = _length_m(data, "roads", zones, tuple(classes))
    return ratio(zones, metres, zone_area_m2(data, zones), scale=1e3)


@reads("rail_lines")
def rail_density(data: Inputs, zones: gpd.GeoDataFrame) -> pd.DataFrame:
    """Length of railways for each unit of area, km/km²; centre lines as drawn."""
    return ratio(zones, _length_m(data, "rail_lines", zones, ()), zone_area_m2(data, zones), scale=1e3)


@reads("facilities")
def facility_count(data: Inputs, zones: gpd.GeoDataFrame, *, kinds: tuple[str, ...]) -> pd.DataFrame:
    """Number of facilities of some kinds."""
    if reason := absent_kinds(data, "facilities", kinds):
        return missing(zones, reason)
    wanted = data.vector("facilities")["kind"].isin(list(kinds)).to_numpy(dtype="float64")
    return result(zones, sum_of_points(data, "facilities", zones, wanted))
