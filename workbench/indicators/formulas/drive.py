"""Who and what is within so many minutes by road.

Time is that of the drawn roads at their own speeds, both ways (one-way streets are not known), plus the straight way
between a place and the nearest road at the city's walking speed; the source's own way to the road is driven at yard speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from workbench.indicators.formulas.common import (
    Bools,
    absent_kinds,
    missing,
    people_by_zone,
    pieces,
    ratio,
    representative_points,
    result,
    sum_by_zone,
    sum_of_points,
    zone_area_m2,
)
from workbench.indicators.formulas.land import land_mask
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs
from workbench.operators import access

Floats = npt.NDArray[np.float64]
NOT_DRIVEN = frozenset({"footway", "path", "steps", "cycleway", "pedestrian", "track"})
SPEEDS = {"motorway": 100.0, "trunk": 80.0, "primary": 60.0, "secondary": 50.0, "tertiary": 40.0}
"""km/h of roads that state none, by class; :data:`OTHER_SPEED` for the rest."""
OTHER_SPEED = 25.0
YARD_M_PER_MIN = 20_000 / 60
"""Speed between a source (a fire station, a hospital) and the road it lies on: 20 km/h."""
CELL_M = 100.0
"""Spacing of the points that stand for the area of a zone."""


@dataclass(frozen=True, eq=False)
class DriveGraph:
    """Road graph with the minutes each piece takes."""

    graph: access.Graph
    """Geometry and topology."""
    minutes: Floats
    """Minutes along each piece."""
    matrix: csr_array
    """Minutes between neighbouring nodes; of parallel pieces the quickest."""


def drive_graph(data: Inputs) -> DriveGraph:
    """Roads for vehicles with their times, made once a run."""

    def make() -> DriveGraph:
        roads = data.vector("roads")
        roads = roads[~roads["road_class"].astype(str).isin(NOT_DRIVEN)].reset_index(drop=True)
        graph = access.build_graph(roads, walk=False)
        stated = (
            roads["drive_kmh"].astype("float64") if "drive_kmh" in roads else pd.Series(np.nan, roads.index)
        )
        usual = roads["road_class"].astype(str).map(SPEEDS).fillna(OTHER_SPEED)
        speed = stated.where(stated > 0, usual).to_numpy()[graph.edge_road]
        minutes = graph.edge_length / (speed * 1000 / 60)
        return DriveGraph(graph, minutes, _quickest(graph, minutes))

    return data.share(("drive_graph", data.year), make)


def _quickest(graph: access.Graph, minutes: Floats) -> csr_array:
    both = (
        np.concatenate((graph.edge_from, graph.edge_to)),
        np.concatenate((graph.edge_to, graph.edge_from)),
    )
    frame = pd.DataFrame({"a": both[0], "b": both[1], "t": np.tile(np.maximum(minutes, 1e-9), 2)})
    least = frame[frame["a"] != frame["b"]].groupby(["a", "b"], sort=True)["t"].min().reset_index()
    n = graph.n_nodes
    return csr_array((least["t"].to_numpy(), (least["a"].to_numpy(), least["b"].to_numpy())), shape=(n, n))


def minutes_to(data: Inputs, sources: gpd.GeoSeries, targets: gpd.GeoSeries) -> Floats:
    """Minutes from the nearest source to each target; inf where no road leads."""
    if sources.empty or targets.empty:
        return np.full(len(targets), np.inf)
    roads = drive_graph(data)
    graph = roads.graph
    at, to = access.snap(graph, sources), access.snap(graph, targets)
    rate = roads.minutes / graph.edge_length
    start = np.full(graph.n_nodes, np.inf)
    yard = at.gap / YARD_M_PER_MIN
    np.minimum.at(start, graph.edge_from[at.edge], yard + at.along * rate[at.edge])
    rest = (graph.edge_length[at.edge] - at.along) * rate[at.edge]
    np.minimum.at(start, graph.edge_to[at.edge], yard + rest)
    node = _from_starts(roads.matrix, start)
    first = node[graph.edge_from[to.edge]] + to.along * rate[to.edge]
    last = node[graph.edge_to[to.edge]] + (graph.edge_length[to.edge] - to.along) * rate[to.edge]
    best = np.minimum(first, last)
    for edge, along, off in zip(
        at.edge, at.along, yard, strict=True
    ):  # a source on the target's own piece of road
        same = np.flatnonzero(to.edge == edge)
        best[same] = np.minimum(best[same], off + np.abs(to.along[same] - along) * rate[edge])
    reached: Floats = best + to.gap / data.walking_m_per_min
    return reached


def _from_starts(matrix: csr_array, start: Floats) -> Floats:
    """Least minutes from any start to every node, through one added node tied to the starts."""
    n = matrix.shape[0]
    tied = np.flatnonzero(np.isfinite(start))
    joined = csr_array(
        (
            np.concatenate((matrix.data, np.maximum(start[tied], 1e-9))),
            np.concatenate((matrix.indices, tied.astype(matrix.indices.dtype))),
            np.concatenate((matrix.indptr, [len(matrix.indices) + len(tied)])).astype(matrix.indptr.dtype),
        ),
        shape=(n + 1, n + 1),
    )
    found = dijkstra(joined, directed=True, indices=[n], min_only=True)
    return np.asarray(found[:n], dtype=np.float64)


def _facilities(data: Inputs, kinds: Sequence[str]) -> gpd.GeoSeries:
    layer = data.vector("facilities")
    chosen = layer[layer["kind"].isin(list(kinds))].geometry
    return gpd.GeoSeries(representative_points(chosen), crs=layer.crs)


def _grid(zones: gpd.GeoDataFrame) -> tuple[gpd.GeoSeries, pd.DataFrame]:
    """Centres of cells over the zones, and pairs (point, zone) of those inside."""
    left, bottom, right, top = zones.total_bounds
    x = np.arange(np.floor(left / CELL_M), np.ceil(right / CELL_M)) * CELL_M + CELL_M / 2
    y = np.arange(np.floor(bottom / CELL_M), np.ceil(top / CELL_M)) * CELL_M + CELL_M / 2
    columns, rows = np.meshgrid(x, y)
    points = np.asarray(shapely.points(columns.ravel(), rows.ravel()), dtype=object)
    zone, point = shapely.STRtree(points).query(zones.geometry.to_numpy(), predicate="contains")
    used, number = np.unique(point, return_inverse=True)
    pairs = pd.DataFrame({"point": number, "zone": zones.index.astype(str).to_numpy()[zone]})
    return gpd.GeoSeries(points[used], crs=zones.crs), pairs


@reads("facilities", "roads")
def area_within(
    data: Inputs, zones: gpd.GeoDataFrame, *, kinds: tuple[str, ...], minutes: float
) -> pd.DataFrame:
    """Share of the zone's area that a vehicle from a facility of the kinds reaches in so many minutes, percent."""
    if reason := absent_kinds(data, "facilities", kinds):
        return missing(zones, reason)
    points, pairs = _grid(zones)
    reached = minutes_to(data, _facilities(data, kinds), points) <= minutes
    inside = pairs.groupby("zone")["point"].size().reindex(zones.index, fill_value=0)
    covered = pairs[reached[pairs["point"].to_numpy()]].groupby("zone")["point"].size()
    share = covered.reindex(zones.index, fill_value=0) / inside.where(inside > 0)
    area = zone_area_m2(data, zones)
    return ratio(zones, share * area, area.where(share.notna(), 0.0), scale=100.0)


def _village_land(data: Inputs, zones: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    rows = pieces(data, "land_use", zones)
    return rows[land_mask(rows, czcsxm=("203", "203A"))].reset_index(drop=True)


def _share_of_land(zones: gpd.GeoDataFrame, rows: gpd.GeoDataFrame, counted: Bools) -> pd.DataFrame:
    return ratio(
        zones,
        sum_by_zone(zones, rows[counted], "piece_m2"),
        sum_by_zone(zones, rows, "piece_m2"),
        scale=100.0,
    )


def _share_of_villages(data: Inputs, zones: gpd.GeoDataFrame, counted: Bools) -> pd.DataFrame:
    each = np.ones(len(counted))
    return ratio(
        zones,
        sum_of_points(data, "villages", zones, counted.astype("float64")),
        sum_of_points(data, "villages", zones, each),
        scale=100.0,
    )


@reads("villages", "facilities", "roads")
def villages_within(
    data: Inputs, zones: gpd.GeoDataFrame, *, kinds: tuple[str, ...], minutes: float
) -> pd.DataFrame:
    """Share of villages with a facility of the kinds within so many minutes by road, percent."""
    if reason := absent_kinds(data, "facilities", kinds):
        return missing(zones, reason)
    layer = data.vector("villages")
    homes = gpd.GeoSeries(representative_points(layer.geometry), crs=layer.crs)
    return _share_of_villages(data, zones, minutes_to(data, _facilities(data, kinds), homes) <= minutes)


@reads("land_use", "facilities", "roads")
def village_land_within(
    data: Inputs, zones: gpd.GeoDataFrame, *, kinds: tuple[str, ...], minutes: float
) -> pd.DataFrame:
    """Share of village construction land with a facility of the kinds within so many minutes by road, percent."""
    if reason := absent_kinds(data, "facilities", kinds):
        return missing(zones, reason)
    rows = _village_land(data, zones)
    homes = gpd.GeoSeries(representative_points(rows.geometry), crs=rows.crs)
    return _share_of_land(zones, rows, minutes_to(data, _facilities(data, kinds), homes) <= minutes)


def _classified(data: Inputs, classes: Sequence[str]) -> gpd.GeoSeries:
    roads = data.vector("roads")
    return gpd.GeoSeries(roads.geometry[roads["road_class"].isin(list(classes))], crs=roads.crs)


@reads("villages", "roads")
def villages_at_road(
    data: Inputs, zones: gpd.GeoDataFrame, *, classes: tuple[str, ...], within_m: float
) -> pd.DataFrame:
    """Share of villages with a road of the classes within a straight distance, percent."""
    near = access.radius_covered(_classified(data, classes), data.vector("villages"), within_m)
    return _share_of_villages(data, zones, near)


@reads("land_use", "roads")
def village_land_at_road(
    data: Inputs, zones: gpd.GeoDataFrame, *, classes: tuple[str, ...], within_m: float
) -> pd.DataFrame:
    """Share of village construction land with a road of the classes within a straight distance, percent."""
    rows = _village_land(data, zones)
    return _share_of_land(zones, rows, access.radius_covered(_classified(data, classes), rows, within_m))


@reads("districts", "airports", "roads")
def counties_within(data: Inputs, zones: gpd.GeoDataFrame, *, minutes: float) -> pd.DataFrame:
    """Share of the city's counties from which an airport is within so many minutes by road, percent; city only."""
    airports, counties = data.vector("airports"), data.vector("districts")
    start = gpd.GeoSeries(representative_points(airports.geometry), crs=airports.crs)
    homes = gpd.GeoSeries(representative_points(counties.geometry), crs=counties.crs)
    near = float((minutes_to(data, start, homes) <= minutes).sum())
    whole = zones.index == data.city
    number = pd.Series(float(len(counties)), index=zones.index)
    frame = ratio(zones, pd.Series(near, index=zones.index), number, scale=100.0)
    return result(
        zones,
        frame["value"].where(whole),
        numerator=frame["numerator"],
        denominator=frame["denominator"],
        reason="city_level_only",
    )


@reads("population", "roads", "scopes")
def people_within_of_core(
    data: Inputs, zones: gpd.GeoDataFrame, *, core: str, minutes: float
) -> pd.DataFrame:
    """Share of people within so many minutes by road of the middle of a range (the core of the city), percent."""
    ranges = data.vector("scopes")
    shapes = ranges.geometry[ranges["scope"].astype(str) == core]
    if shapes.empty:
        return missing(zones, f"no_scope:{core}")
    middle = gpd.GeoSeries([shapely.union_all(shapes.to_numpy()).representative_point()], crs=ranges.crs)
    layer = data.vector("population")
    homes = gpd.GeoSeries(representative_points(layer.geometry), crs=layer.crs)
    near = minutes_to(data, middle, homes) <= minutes
    return ratio(zones, people_by_zone(data, zones, near), people_by_zone(data, zones), scale=100.0)
