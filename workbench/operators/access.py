"""Access on foot: nearest facility, coverage, and opportunities within reach.

A point joins the network by the straight line to the nearest piece of road and then along it to both of its nodes.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from workbench.core.errors import CRSError, ParameterError
from workbench.operators.graph import Graph, Snapped, build_graph, snap
from workbench.operators.guards import metric_crs, same_crs, valid_polygons

__all__ = [
    "Graph",
    "build_graph",
    "covered",
    "nearest",
    "node_weights",
    "polygon_access_points",
    "radius_area",
    "radius_covered",
    "reach",
    "reach_arrays",
    "snap",
    "snapped_distance",
    "walking_distance",
]

BALLS_AT_ONCE = 8_000_000
"""Distances that a search from many nodes keeps at once, about; more make more, smaller parts."""
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Geoms = npt.NDArray[Any]
Points: TypeAlias = gpd.GeoDataFrame | gpd.GeoSeries


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ParameterError(f"{name} must be positive", found=value)


def _from_sources(graph: Graph, sources: Snapped, max_m: float) -> Floats:
    """Metres from every node to the nearest source, through one added node tied to the ends of the sources' pieces."""
    n = graph.n_nodes
    ends = np.concatenate((graph.edge_from[sources.edge], graph.edge_to[sources.edge]))
    left = graph.edge_length[sources.edge] - sources.along
    metres = np.concatenate((sources.gap + sources.along, sources.gap + left))
    start = np.full(n, np.inf)
    np.minimum.at(start, ends, metres)
    tied = np.flatnonzero(np.isfinite(start))
    matrix = csr_array(
        (
            np.concatenate((graph.lengths, start[tied])),
            np.concatenate((graph.indices, tied.astype(np.int32))),
            np.concatenate((graph.indptr, [len(graph.indices) + len(tied)])).astype(np.int32),
        ),
        shape=(n + 1, n + 1),
    )
    metres = dijkstra(matrix, directed=True, indices=[n], min_only=True, limit=max_m)
    return np.asarray(metres[:n], dtype=np.float64)


def nearest(graph: Graph, points: Points, *, max_m: float = np.inf) -> Floats:
    """Metres on foot from each node to the nearest of the points.

    Parameters
    ----------
    graph : Graph
        From :func:`build_graph`.
    points : GeoDataFrame or GeoSeries of points
        Facilities, in the CRS of the graph.
    max_m : float, default infinity
        Distances beyond it are not sought.

    Returns
    -------
    ndarray of float64, shape (nodes,)
        Straight to the road, then along it; ``inf`` where no point can be reached within ``max_m``.

    Raises
    ------
    CRSError, DataQualityError
        When the CRS differs or a geometry is no point.

    Examples
    --------
    >>> street = gpd.GeoSeries([shapely.LineString([(0, 0), (100, 0)])], crs="EPSG:4547")
    >>> shop = gpd.GeoSeries([shapely.Point(30, 5)], crs="EPSG:4547")
    >>> nearest(build_graph(street, walk=False), shop).tolist()
    [35.0, 75.0]
    """
    _positive("max_m", max_m)
    return _from_sources(graph, snap(graph, points), max_m)


def _along_same_piece(sources: Snapped, targets: Snapped) -> Floats:
    """Least of straight + along + straight for each target over the sources on its own piece of road."""
    k = len(sources.edge)
    table = pd.DataFrame(
        {
            "edge": np.concatenate((sources.edge, targets.edge)),
            "along": np.concatenate((sources.along, targets.along)),
            "gap": np.concatenate((sources.gap, np.full(len(targets.edge), np.inf))),
        }
    ).sort_values(["edge", "along"], kind="stable")  # sources come first among equals
    before = (table["gap"] - table["along"]).groupby(table["edge"]).cummin() + table["along"]
    back = table.iloc[::-1]
    after = (back["gap"] + back["along"]).groupby(back["edge"]).cummin() - back["along"]
    best = np.minimum(before.sort_index().to_numpy(), after.sort_index().to_numpy())[k:]
    return np.asarray(best + targets.gap, dtype=np.float64)


def walking_distance(graph: Graph, points: Points, targets: Points, *, max_m: float = np.inf) -> Floats:
    """Metres on foot from each target to the nearest of the points.

    Straight to the nearest road, along the network, straight to the point; a target and a point on one piece of road
    meet along it without going round by its ends.

    Parameters
    ----------
    graph : Graph
        From :func:`build_graph`.
    points, targets : GeoDataFrame or GeoSeries of points
        Facilities and, say, homes, in the CRS of the graph.
    max_m : float, default infinity
        Distances along the network beyond it are not sought.

    Returns
    -------
    ndarray of float64, shape (targets,)
        ``inf`` where nothing is reached.

    Raises
    ------
    CRSError, DataQualityError
        When the CRS differs or a geometry is no point.
    """
    _positive("max_m", max_m)
    return snapped_distance(graph, snap(graph, points), snap(graph, targets), max_m=max_m)


def snapped_distance(graph: Graph, sources: Snapped, targets: Snapped, *, max_m: float = np.inf) -> Floats:
    """:func:`walking_distance` between places already found on the graph, for many facilities and the same homes.

    Parameters
    ----------
    graph : Graph
        From :func:`build_graph`.
    sources, targets : Snapped
        From :func:`snap`.
    max_m : float, default infinity
        Distances along the network beyond it are not sought.

    Returns
    -------
    ndarray of float64, shape (targets,)
        ``inf`` where nothing is reached, and everywhere without sources.
    """
    if not len(sources.edge):
        return np.full(len(targets.edge), np.inf)
    node = _from_sources(graph, sources, max_m)
    u, v = graph.edge_from[targets.edge], graph.edge_to[targets.edge]
    round_ends = targets.gap + np.minimum(
        node[u] + targets.along, node[v] + (graph.edge_length[targets.edge] - targets.along)
    )
    return np.minimum(round_ends, _along_same_piece(sources, targets))


def covered(graph: Graph, points: Points, targets: Points, max_m: float) -> Bools:
    """Whether each target has one of the points within ``max_m`` metres on foot.

    Parameters
    ----------
    graph, points, targets
        As for :func:`walking_distance`.
    max_m : float
        Metres, e.g. ``15 * city.walking_m_per_min``; the limit itself counts as covered.

    Returns
    -------
    ndarray of bool, shape (targets,)

    Raises
    ------
    CRSError, DataQualityError, ParameterError
        When the CRS differs, a geometry is no point, or ``max_m`` is not positive.

    Examples
    --------
    >>> street = gpd.GeoSeries([shapely.LineString([(0, 0), (1000, 0)])], crs="EPSG:4547")
    >>> shop = gpd.GeoSeries([shapely.Point(500, 10)], crs="EPSG:4547")
    >>> homes = gpd.GeoSeries([shapely.Point(300, -20), shapely.Point(300, -100)], crs="EPSG:4547")
    >>> covered(build_graph(street, walk=False), shop, homes, 250).tolist()
    [True, False]
    """
    return walking_distance(graph, points, targets, max_m=max_m) <= max_m


def radius_covered(points: Points, targets: Points, radius_m: float) -> Bools:
    """Whether each target lies within a straight ``radius_m`` metres of one of the points.

    Parameters
    ----------
    points, targets : GeoDataFrame or GeoSeries
        Points, lines or polygons in one projected CRS in metres.
    radius_m : float
        Metres; the limit itself counts as covered.

    Returns
    -------
    ndarray of bool, shape (targets,)

    Raises
    ------
    CRSError, ParameterError
        When the CRS differs or the radius is not positive.
    """
    same_crs(points, targets)
    _positive("radius_m", radius_m)
    geoms: Geoms = np.asarray(targets.geometry.array, dtype=object)
    out = np.zeros(len(geoms), dtype=bool)
    if len(points):
        tree = shapely.STRtree(np.asarray(points.geometry.array, dtype=object))
        out[tree.query(geoms, predicate="dwithin", distance=radius_m)[0]] = True
    return out


def radius_area(points: Points, radius_m: float) -> shapely.Geometry:
    """Union of the circles of ``radius_m`` metres around the points (polygons of 256 sides, area 0.01 % short).

    Parameters
    ----------
    points : GeoDataFrame or GeoSeries
        Projected CRS in metres.
    radius_m : float
        Metres.

    Returns
    -------
    shapely.Geometry
        Polygon or multipolygon in the CRS of the points; empty when there are none.

    Raises
    ------
    CRSError, ParameterError
        When the CRS is not metric or the radius is not positive.
    """
    metric_crs(points.crs, where="points")
    _positive("radius_m", radius_m)
    geoms: Geoms = np.asarray(points.geometry.array, dtype=object)
    return shapely.union_all(shapely.buffer(geoms, radius_m, quad_segs=64))


def node_weights(graph: Graph, points: Points, values: npt.ArrayLike | None = None) -> Floats:
    """Sum of the values of the points at each node; a point counts at the nearer end of its nearest piece of road.

    Parameters
    ----------
    graph : Graph
        From :func:`build_graph`.
    points : GeoDataFrame or GeoSeries of points
        Opportunities, in the CRS of the graph.
    values : array of float, optional
        One a point; 1 each when omitted.

    Returns
    -------
    ndarray of float64, shape (nodes,)

    Raises
    ------
    CRSError, DataQualityError
        When the CRS differs or a geometry is no point.
    """
    at = snap(graph, points)
    first_end = at.along <= graph.edge_length[at.edge] - at.along
    node = np.where(first_end, graph.edge_from[at.edge], graph.edge_to[at.edge])
    weights = np.ones(len(node)) if values is None else np.asarray(values, dtype=np.float64)
    return np.bincount(node, weights=weights, minlength=graph.n_nodes).astype(np.float64)


def reach(graph: Graph, weights: npt.ArrayLike, max_m: float, *, workers: int | None = None) -> Floats:
    """Sum of the weights of all nodes within ``max_m`` metres along the network, for every node.

    A bounded search from every node, compiled, on threads, over the junctions alone: nodes that only join two pieces are
    folded into the ways between them. The result does not depend on the number of threads.

    Parameters
    ----------
    graph : Graph
        From :func:`build_graph`.
    weights : array of float, shape (nodes,) or (nodes, kinds)
        Opportunities at each node, see :func:`node_weights`.
    max_m : float
        Metres; a node exactly at the limit counts.
    workers : int, optional
        Threads; one a core when omitted.

    Returns
    -------
    ndarray of float64, shape of ``weights``
        The node itself counts.

    Raises
    ------
    ParameterError
        When the shape does not fit or ``max_m`` is not a positive number.

    Examples
    --------
    >>> street = gpd.GeoSeries([shapely.LineString([(x, 0), (x + 100, 0)]) for x in (0, 100, 200)], crs="EPSG:4547")
    >>> reach(build_graph(street, walk=False), [1, 1, 1, 1], 100).tolist()
    [2.0, 3.0, 3.0, 2.0]
    """
    return reach_arrays(graph.indptr, graph.indices, graph.lengths, weights, max_m, workers=workers)


def reach_arrays(
    indptr: npt.NDArray[np.int32],
    indices: npt.NDArray[np.int32],
    lengths: Floats,
    weights: npt.ArrayLike,
    max_m: float,
    *,
    workers: int | None = None,
) -> Floats:
    """:func:`reach` on the bare rows of the matrix of lengths: symmetric, without loops.

    Lengths and limit may be in any one unit, whole numbers included.
    """
    from workbench.operators._chains import (
        balls,
        fold,
        reach_block,
        running_sums,
    )  # numba is imported where it is used

    n = len(indptr) - 1
    values = np.asarray(weights, dtype=np.float64)
    if values.ndim not in (1, 2) or len(values) != n:
        raise ParameterError(
            "weights do not fit the graph", found=values.shape, expected=f"({n},) or (…, kinds)"
        )
    _positive("max_m", max_m)
    columns = np.ascontiguousarray(values.reshape(n, -1))
    bends = fold(indptr, indices, np.asarray(lengths, dtype=np.float64))
    is_core = np.flatnonzero(bends.core >= 0)
    cores, held = len(is_core), np.flatnonzero(np.diff(bends.start) > 0)
    at_core = np.empty((cores, columns.shape[1]))
    at_core[bends.core[is_core]] = columns[is_core]
    at_member, sums = columns[bends.member], running_sums(bends, columns)
    out = np.empty((cores + len(bends.member), columns.shape[1]))
    workers = workers or os.cpu_count() or 1
    ways = (bends.indptr, bends.indices, bends.lengths)
    some = np.linspace(0, max(cores - 1, 0), min(cores, 32)).astype(np.int32)
    size = len(balls(*ways, float(max_m), some)[1]) * cores / max(len(some), 1)
    cuts = np.linspace(0, cores, max(4 * workers, int(size / BALLS_AT_ONCE) + 1) + 1).astype(np.int64)
    held = held[np.argsort(bends.ends[held, 0], kind="stable")]
    starts = np.searchsorted(bends.ends[held, 0], cuts)

    def part(k: int) -> None:
        mine, chains = np.arange(cuts[k], cuts[k + 1], dtype=np.int32), held[starts[k] : starts[k + 1]]
        needed = np.union1d(mine, bends.ends[chains]).astype(np.int32)
        reach_block(
            *ways, bends.chain, bends.ends, bends.whole, bends.start, bends.from_a, bends.from_b, at_core, at_member,
            sums, float(max_m), mine, chains, needed, out,
        )  # fmt: skip

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(part, range(len(cuts) - 1)))
    result = np.empty_like(columns)
    result[is_core] = out[bends.core[is_core]]
    result[bends.member] = out[cores:]
    return result.reshape(values.shape)


def polygon_access_points(
    graph: Graph, polygons: gpd.GeoDataFrame, *, tolerance_m: float = 30.0
) -> gpd.GeoDataFrame:
    """Nodes of the network where each polygon (a park, a school ground) can be entered.

    Parameters
    ----------
    graph : Graph
        From :func:`build_graph`.
    polygons : GeoDataFrame of polygons
        In the CRS of the graph.
    tolerance_m : float, default 30
        Nodes inside the polygon or within this distance are its access points; a polygon without any gets the
        nearest node.

    Returns
    -------
    GeoDataFrame[polygon, node, gap_m, geometry]
        ``polygon`` is the index label in ``polygons``, ``node`` the number in ``graph``, ``gap_m`` the metres between
        them, geometry the node as a point.

    Raises
    ------
    CRSError, DataQualityError, ParameterError
        When the CRS differs, a polygon is invalid, or the tolerance is negative.
    """
    crs = metric_crs(polygons.crs, where="polygons")
    if crs != graph.crs:
        raise CRSError(
            "polygons and roads have different reference systems", found=crs.name, expected=graph.crs.name
        )
    if not tolerance_m >= 0:
        raise ParameterError("tolerance_m must not be negative", found=tolerance_m)
    geoms = valid_polygons(polygons, where="polygons")
    nodes: Geoms = np.asarray(shapely.points(graph.xy), dtype=object)
    tree = shapely.STRtree(nodes)
    i, node = tree.query(geoms, predicate="dwithin", distance=tolerance_m)
    alone = np.setdiff1d(np.flatnonzero(~shapely.is_empty(geoms)), i)
    j, far = tree.query_nearest(geoms[alone], all_matches=False)
    i, node = np.concatenate((i, alone[j])), np.concatenate((node, far))
    order = np.lexsort((node, i))
    i, node = i[order], node[order]
    return gpd.GeoDataFrame(
        {"polygon": polygons.index[i], "node": node, "gap_m": shapely.distance(geoms[i], nodes[node])},
        geometry=nodes[node],
        crs=graph.crs,
    )
