"""People in zones, by the centres of population cells."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd

from workbench.indicators.formulas.common import (
    people_by_zone,
    pieces,
    ratio,
    result,
    sum_by_zone,
    zone_area_m2,
)
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs


@reads("population")
def total(data: Inputs, zones: gpd.GeoDataFrame, *, scale: float = 1.0) -> pd.DataFrame:
    """People, times ``scale``."""
    return result(zones, people_by_zone(data, zones) * scale)


@reads("population")
def density(data: Inputs, zones: gpd.GeoDataFrame, *, scale: float) -> pd.DataFrame:
    """People per square metre, times ``scale``."""
    return ratio(zones, people_by_zone(data, zones), zone_area_m2(data, zones), scale=scale)


@reads("population", "{role}")
def area_per_person(
    data: Inputs, zones: gpd.GeoDataFrame, *, role: str, kinds: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Area of a polygon layer (of some kinds) in the zone, square metres for each person in it."""
    rows = pieces(data, role, zones)
    if kinds:
        rows = rows[rows["kind"].isin(list(kinds))]
    return ratio(zones, sum_by_zone(zones, rows, "piece_m2"), people_by_zone(data, zones))
