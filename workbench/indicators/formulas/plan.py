"""Measures of how a plan is kept: land for each unit of output, building outside the boundary, patches, coast."""

from __future__ import annotations

from functools import lru_cache

import geopandas as gpd
import numpy as np
import pandas as pd

from workbench.core import codes
from workbench.core.paths import PACKAGE
from workbench.indicators.formulas.common import (
    NO_EARLIER,
    NOT_IN_FORCE,
    ZERO_DENOMINATOR,
    as_table,
    inside_line_m2,
    line_parts,
    missing,
    pieces,
    ratio,
    result,
    sum_by_zone,
    to_unit,
)
from workbench.indicators.formulas.statistics import first_reason, item_by_zone
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs
from workbench.operators.network import length_by_zone
from workbench.operators.overlay import intersect


@lru_cache(maxsize=1)
def built_patch_types() -> frozenset[str]:
    """Types of change patch (TBLX) that are built on or disturbed.

    Examples
    --------
    >>> sorted(built_patch_types())[:3]
    ['20', 'CK', 'DL1']
    """
    table = pd.read_csv(PACKAGE / "codes" / "change_patch_codes.csv", dtype={"tblx": str})
    return frozenset(table.loc[table["built_or_disturbed"].astype(int) == 1, "tblx"])


def _land_m2(data: Inputs, zones: gpd.GeoDataFrame, year: int, group: str) -> pd.Series:
    rows = pieces(data, "land_use", zones, year=year)
    return sum_by_zone(zones, rows[codes.match(rows["dlbm"].astype(str), group)], "piece_m2")


@reads("land_use", "statistics")
def land_per_output_cut(
    data: Inputs, zones: gpd.GeoDataFrame, *, item: str, group: str, between_surveys: bool = False
) -> pd.DataFrame:
    """Fall of land per unit of output since the base year, percent.

    Land of the base year comes from that year's survey. With ``between_surveys`` it comes from the nearest surveys on
    both sides of the base year, in proportion to time; without one on each side there is no value.
    """
    base = data.base_year
    now_output, why_now = item_by_zone(data, zones, item)
    base_output, why_base = item_by_zone(data, zones, item, year=base)
    years = data.years("land_use")
    earlier, later = [y for y in years if y <= base], [y for y in years if y >= base]
    exact = base in years
    if base >= data.year or not (exact or (between_surveys and earlier and later)):
        return missing(zones, f"no_base_year:{base}")
    first, last = earlier[-1], later[0]
    share = 0.0 if exact else (base - first) / (last - first)
    base_land = (1 - share) * _land_m2(data, zones, first, group) + share * _land_m2(data, zones, last, group)
    per_now = _land_m2(data, zones, data.year, group) / now_output
    value = (1 - per_now / (base_land / base_output)) * 100
    reasons = first_reason(why_now, why_base)
    return result(
        zones, value.where(np.isfinite(value)), reason=reasons.where(reasons != "", ZERO_DENOMINATOR)
    )


@reads("land_use", "development_boundary")
def new_building_outside(data: Inputs, zones: gpd.GeoDataFrame, *, group: str, unit: str) -> pd.DataFrame:
    """Land of a group this year that was not in it at the edition before, outside the boundary in force."""
    previous = data.previous_year("land_use")
    if previous is None:
        return missing(zones, NO_EARLIER)
    if line_parts(data, "development_boundary").empty:
        return missing(zones, NOT_IN_FORCE)
    rows = pieces(data, "land_use", zones)
    now = rows[codes.match(rows["dlbm"].astype(str), group)].reset_index(drop=True)
    before = data.vector("land_use", previous)
    was_open = before[~codes.match(before["dlbm"].astype(str), group)]
    grown = _grown(
        now,
        gpd.GeoDataFrame({"old": np.arange(len(was_open))}, geometry=was_open.geometry.array, crs=before.crs),
    )
    inside = sum_by_zone(zones, inside_line_m2(data, grown, "development_boundary"), "piece_m2")
    outside = sum_by_zone(zones, grown, "piece_m2") - inside
    return result(zones, to_unit(outside.clip(lower=0.0), unit))


def _grown(now: gpd.GeoDataFrame, was_open: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Pieces of ``now`` on land that was open before: zone, piece_m2, geometry."""
    numbered = gpd.GeoDataFrame({"row": np.arange(len(now))}, geometry=now.geometry.array, crs=now.crs)
    common = intersect(numbered, was_open, left_id="row", right_id="old")
    zone = now["zone"].to_numpy()[common["row"].to_numpy(dtype=int)]
    return gpd.GeoDataFrame(
        {"zone": zone, "piece_m2": common["area_m2"].to_numpy()}, geometry=common.geometry.array, crs=now.crs
    )


@reads("change_patches", "{line}")
def patches_in_line(data: Inputs, zones: gpd.GeoDataFrame, *, line: str, unit: str) -> pd.DataFrame:
    """Area of the year's change patches of a built or disturbed type inside a planning line in force."""
    if line_parts(data, line).empty:
        return missing(zones, NOT_IN_FORCE)
    rows = pieces(data, "change_patches", zones)
    built = rows[rows["tblx"].astype(str).isin(built_patch_types())].reset_index(drop=True)
    return result(zones, to_unit(sum_by_zone(zones, inside_line_m2(data, built, line), "piece_m2"), unit))


@reads("coastline")
def natural_coast_share(data: Inputs, zones: gpd.GeoDataFrame, *, natural: tuple[str, ...]) -> pd.DataFrame:
    """Share of the coastline's length whose kind is natural, percent; a zone without coast has no value."""
    coast = data.vector("coastline")
    kept = coast[coast["kind"].isin(list(natural))].reset_index(drop=True)
    whole = length_by_zone(coast, as_table(zones), zone_id="zone")["length_m"]
    part = length_by_zone(kept, as_table(zones), zone_id="zone")["length_m"]
    return ratio(zones, part, whole, scale=100.0)
