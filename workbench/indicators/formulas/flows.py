"""Flows of people between places."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd

from workbench.indicators.formulas.common import result
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs

NO_EXTERNAL = "no_external_flows"
NO_INTERNAL = "no_internal_flows"


def _ends(data: Inputs) -> pd.DataFrame:
    flows = data.table("od_flows")
    here = data.home_zones
    return flows.assign(
        origin_here=flows["origin"].astype(str).isin(here),
        destination_here=flows["destination"].astype(str).isin(here),
    )


@reads("od_flows")
def external(data: Inputs, zones: gpd.GeoDataFrame, *, scale: float) -> pd.DataFrame:
    """Daily trips between the city and other places, both ways, times ``scale``; for the city as a whole.

    A trip is external when exactly one of its ends is a zone of the city. A table without any external trip
    (a table of commuting inside the city, say) gives no value rather than nought.
    """
    flows = _ends(data)
    crossing = flows[flows["origin_here"] != flows["destination_here"]]
    if crossing.empty:
        return result(zones, float("nan"), reason=NO_EXTERNAL)
    return _city_only(data, zones, float(crossing["people"].sum()) * scale)


@reads("od_flows")
def mean_minutes(data: Inputs, zones: gpd.GeoDataFrame) -> pd.DataFrame:
    """Mean time of the trips inside the city, weighted by people, minutes; for the city as a whole."""
    inner = _inner(data)
    people = float(inner["people"].sum())
    if people <= 0:
        return result(zones, float("nan"), reason=NO_INTERNAL)
    return _city_only(data, zones, float((inner["minutes"] * inner["people"]).sum()) / people)


@reads("od_flows")
def share_within(data: Inputs, zones: gpd.GeoDataFrame, *, minutes: float) -> pd.DataFrame:
    """Share of the trips inside the city that take at most so many minutes, percent; for the city as a whole."""
    inner = _inner(data)
    people = float(inner["people"].sum())
    if people <= 0:
        return result(zones, float("nan"), reason=NO_INTERNAL)
    quick = float(inner.loc[inner["minutes"] <= minutes, "people"].sum())
    return _city_only(data, zones, quick / people * 100)


def _inner(data: Inputs) -> pd.DataFrame:
    flows = _ends(data)
    return flows[flows["origin_here"] & flows["destination_here"]].dropna(subset=["minutes"])


def _city_only(data: Inputs, zones: gpd.GeoDataFrame, value: float) -> pd.DataFrame:
    """A value of the whole city; smaller zones get none."""
    values = pd.Series(value, index=zones.index).where(zones.index == data.city)
    return result(zones, values, reason="city_level_only")
