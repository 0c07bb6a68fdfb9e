"""Who has a facility within reach: on the walking network, or within a radius.

Walking distance is straight from the home to the nearest piece of walkable road, along the network, and straight
from there to the facility; minutes become metres by the city's one walking speed. Shares are of people (population
cells by their centres), or, where there is no population, of housing (footprint area by a point inside) or of area.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core import codes
from workbench.indicators.formulas.common import (
    absent_kinds,
    missing,
    people_by_zone,
    pieces,
    ratio,
    representative_points,
    sum_by_zone,
    sum_of_points,
    zone_area_m2,
)
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs
from workbench.operators import access
from workbench.operators.area import area_m2

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
ACCESS_TOLERANCE_M = 30.0
"""A park is entered at network nodes this close to it, else at the nearest node."""


def walking_graph(data: Inputs) -> access.Graph:
    """The walking network: walkable roads, made once a run."""
    return data.share(("graph", data.year), lambda: access.build_graph(data.vector("roads"), walk=True))


def homes(data: Inputs, role: str) -> gpd.GeoSeries:
    """Where people live: centres of population cells, or a point inside each building."""
    layer = data.vector(role)
    return gpd.GeoSeries(representative_points(layer.geometry), crs=layer.crs)


def _facilities(data: Inputs, kinds: Sequence[str]) -> gpd.GeoSeries:
    layer = data.vector("facilities")
    chosen = layer[layer["kind"].isin(list(kinds))].geometry
    return gpd.GeoSeries(representative_points(chosen), crs=layer.crs)


def _distance(data: Inputs, home_role: str, points: gpd.GeoSeries) -> Floats:
    targets = homes(data, home_role)
    if points.empty:
        return np.full(len(targets), np.inf)
    return access.walking_distance(walking_graph(data), points, targets)


def facility_distance_m(data: Inputs, home_role: str, kinds: Sequence[str]) -> Floats:
    """Metres on foot from each home to the nearest facility of the kinds; inf when there is none."""
    key = ("walk", home_role, data.year, tuple(sorted(kinds)))
    return data.share(key, lambda: _distance(data, home_role, _facilities(data, kinds)))


def park_distance_m(data: Inputs, home_role: str, *, min_area_m2: float = 0.0) -> Floats:
    """Metres on foot from each home to the nearest entrance of a park or square of at least ``min_area_m2``."""

    def make() -> Floats:
        parks = data.vector("parks")
        large = parks[area_m2(parks.geometry, parks.crs) >= min_area_m2].reset_index(drop=True)
        if large.empty:
            return np.full(len(homes(data, home_role)), np.inf)
        entrances = access.polygon_access_points(walking_graph(data), large, tolerance_m=ACCESS_TOLERANCE_M)
        return _distance(data, home_role, entrances.geometry)

    return data.share(("walk_parks", home_role, data.year, min_area_m2), make)


def _housing_share(
    data: Inputs, zones: gpd.GeoDataFrame, covered: Bools, uses: Sequence[str]
) -> pd.DataFrame:
    """Covered share of building footprints (of some uses), percent."""
    layer = data.vector("buildings")
    footprint = data.share(("footprints", data.year), lambda: area_m2(layer.geometry, layer.crs))
    counted = layer["use"].isin(list(uses)).to_numpy() if uses else np.ones(len(layer), dtype=bool)
    reached = sum_of_points(data, "buildings", zones, np.where(counted & covered, footprint, 0.0))
    everything = sum_of_points(data, "buildings", zones, np.where(counted, footprint, 0.0))
    return ratio(zones, reached, everything, scale=100.0)


def _people_share(data: Inputs, zones: gpd.GeoDataFrame, covered: Bools) -> pd.DataFrame:
    return ratio(zones, people_by_zone(data, zones, covered), people_by_zone(data, zones), scale=100.0)


@reads("population", "facilities", "roads")
def walk_people(
    data: Inputs, zones: gpd.GeoDataFrame, *, kinds: tuple[str, ...], minutes: float
) -> pd.DataFrame:
    """Share of people with a facility of the kinds within so many minutes on foot, percent."""
    if reason := absent_kinds(data, "facilities", kinds):
        return missing(zones, reason)
    metres = facility_distance_m(data, "population", kinds)
    return _people_share(data, zones, metres <= minutes * data.walking_m_per_min)


@reads("buildings", "facilities", "roads")
def walk_housing(
    data: Inputs,
    zones: gpd.GeoDataFrame,
    *,
    kinds: tuple[str, ...],
    minutes: float,
    uses: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Share of building footprint with a facility of the kinds within so many minutes on foot, percent."""
    if reason := absent_kinds(data, "facilities", kinds):
        return missing(zones, reason)
    metres = facility_distance_m(data, "buildings", kinds)
    return _housing_share(data, zones, metres <= minutes * data.walking_m_per_min, uses)


def _circle(data: Inputs, home_role: str, minutes: Mapping[str, float]) -> Bools:
    reached = [
        facility_distance_m(data, home_role, (kind,)) <= limit * data.walking_m_per_min
        for kind, limit in minutes.items()
    ]
    every: Bools = np.logical_and.reduce(reached)
    return every


@reads("population", "facilities", "roads")
def circle_people(data: Inputs, zones: gpd.GeoDataFrame, *, minutes: Mapping[str, float]) -> pd.DataFrame:
    """Share of people who have every kind of facility within its own minutes on foot, percent."""
    if reason := absent_kinds(data, "facilities", list(minutes)):
        return missing(zones, reason)
    return _people_share(data, zones, _circle(data, "population", minutes))


@reads("buildings", "facilities", "roads")
def circle_housing(
    data: Inputs, zones: gpd.GeoDataFrame, *, minutes: Mapping[str, float], uses: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Share of building footprint that has every kind of facility within its own minutes on foot, percent."""
    if reason := absent_kinds(data, "facilities", list(minutes)):
        return missing(zones, reason)
    return _housing_share(data, zones, _circle(data, "buildings", minutes), uses)


@reads("population", "parks", "roads")
def park_people(
    data: Inputs,
    zones: gpd.GeoDataFrame,
    *,
    minutes: float = 0.0,
    metres: float = 0.0,
    min_area_m2: float = 0.0,
) -> pd.DataFrame:
    """Share of people with a park or square within so many minutes, or metres, on foot, percent."""
    limit = metres if metres > 0 else minutes * data.walking_m_per_min
    return _people_share(data, zones, park_distance_m(data, "population", min_area_m2=min_area_m2) <= limit)


@reads("buildings", "parks", "roads")
def park_housing(
    data: Inputs,
    zones: gpd.GeoDataFrame,
    *,
    minutes: float = 0.0,
    metres: float = 0.0,
    min_area_m2: float = 0.0,
    uses: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Share of building footprint with a park or square within so many minutes, or metres, on foot, percent."""
    limit = metres if metres > 0 else minutes * data.walking_m_per_min
    return _housing_share(
        data, zones, park_distance_m(data, "buildings", min_area_m2=min_area_m2) <= limit, uses
    )


@reads("population", "land_use", "roads")
def forest_people(
    data: Inputs, zones: gpd.GeoDataFrame, *, minutes: float, min_area_m2: float
) -> pd.DataFrame:
    """Share of people with the edge of a wood of at least ``min_area_m2`` within so many minutes on foot, percent."""
    metres = data.share(
        ("walk_forest", data.year, min_area_m2), lambda: _forest_distance_m(data, min_area_m2)
    )
    return _people_share(data, zones, metres <= minutes * data.walking_m_per_min)


def _forest_distance_m(data: Inputs, min_area_m2: float) -> Floats:
    """Metres on foot from each population cell to the nearest wood; parcels that touch are one wood."""
    land = data.vector("land_use")
    trees = land.geometry.to_numpy()[codes.match(land["dlbm"].astype(str), "forest")]
    woods = np.asarray(shapely.get_parts(shapely.union_all(trees)), dtype=object)
    woods = woods[area_m2(woods, land.crs) >= min_area_m2]
    if len(woods) == 0:
        return np.full(len(homes(data, "population")), np.inf)
    frame = gpd.GeoDataFrame(geometry=woods, crs=land.crs)
    entrances = access.polygon_access_points(walking_graph(data), frame, tolerance_m=ACCESS_TOLERANCE_M)
    return _distance(data, "population", entrances.geometry)


def _points(data: Inputs, role: str, kinds: Sequence[str]) -> gpd.GeoSeries:
    layer = data.vector(role)
    chosen = layer[layer["kind"].isin(list(kinds))] if kinds else layer
    return gpd.GeoSeries(representative_points(chosen.geometry), crs=layer.crs)


@reads("population", "{role}")
def radius_people(
    data: Inputs, zones: gpd.GeoDataFrame, *, role: str, radius_m: float, kinds: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Share of people within a straight distance of a point of the layer (of some kinds), percent."""
    if reason := absent_kinds(data, role, kinds) if kinds else "":
        return missing(zones, reason)
    near = access.radius_covered(_points(data, role, kinds), homes(data, "population"), radius_m)
    return _people_share(data, zones, near)


@reads("{role}")
def radius_area(
    data: Inputs, zones: gpd.GeoDataFrame, *, role: str, radius_m: float, kinds: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Share of the zone's area within a straight distance of a point of the layer (of some kinds), percent."""
    if reason := absent_kinds(data, role, kinds) if kinds else "":
        return missing(zones, reason)
    circles = access.radius_area(_points(data, role, kinds), radius_m)
    inside = area_m2(shapely.intersection(zones.geometry.to_numpy(), circles), data.crs)
    return ratio(zones, pd.Series(inside, index=zones.index), zone_area_m2(data, zones), scale=100.0)


def _transit(data: Inputs, home_role: str, low_m: float, high_m: float) -> Bools:
    def far(role: str) -> Floats:
        return data.share(
            ("walk_stops", home_role, data.year, role),
            lambda: _distance(data, home_role, _points(data, role, ())),
        )

    return (far("bus_stops") <= low_m) | (far("rail_stations") <= high_m)


@reads("population", "roads", "bus_stops", "rail_stations")
def transit_people(data: Inputs, zones: gpd.GeoDataFrame, *, low_m: float, high_m: float) -> pd.DataFrame:
    """Share of people within ``low_m`` of a bus stop or ``high_m`` of a rail station on foot, percent."""
    return _people_share(data, zones, _transit(data, "population", low_m, high_m))


@reads("buildings", "roads", "bus_stops")
def bus_housing(
    data: Inputs, zones: gpd.GeoDataFrame, *, low_m: float, uses: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Share of building footprint within ``low_m`` of a bus stop on foot, percent."""
    key = ("walk_stops", "buildings", data.year, "bus_stops")
    metres = data.share(key, lambda: _distance(data, "buildings", _points(data, "bus_stops", ())))
    return _housing_share(data, zones, metres <= low_m, uses)


@reads("buildings")
def building_density(data: Inputs, zones: gpd.GeoDataFrame) -> pd.DataFrame:
    """Building footprint inside the zone as a share of its area, percent."""
    footprint = sum_by_zone(zones, pieces(data, "buildings", zones), "piece_m2")
    return ratio(zones, footprint, zone_area_m2(data, zones), scale=100.0)
