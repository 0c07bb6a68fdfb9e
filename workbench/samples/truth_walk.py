"""Walking distances for the truth, by scipy's Dijkstra on a graph of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from workbench.samples.space import Array

ENTRANCE_M = 30.0


@dataclass(frozen=True)
class WalkNet:
    """Walkable roads as nodes and edges; every end of a segment is a node."""

    lines: Array
    first: Array
    last: Array
    length: Array
    nodes: Array
    tree: Any


def walk_net(roads: gpd.GeoDataFrame) -> WalkNet:
    """Network of the walkable road segments; ends within a millimetre are one node."""
    lines = roads.geometry[roads["walkable"]].to_numpy()
    ends = np.r_[
        shapely.get_coordinates(shapely.get_point(lines, 0)),
        shapely.get_coordinates(shapely.get_point(lines, -1)),
    ]
    _, index, number = np.unique(
        np.round(ends * 1000).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    number = number.ravel()
    half = len(lines)
    return WalkNet(
        lines, number[:half], number[half:], shapely.length(lines), ends[index], shapely.STRtree(lines)
    )


def _join(net: WalkNet, points: Array) -> tuple[Array, Array, Array]:
    """Nearest segment of each point, the straight way to it, and the way along it from its first end."""
    which = net.tree.query_nearest(points, all_matches=False)[1]
    line = net.lines[which]
    return which, shapely.distance(line, points), shapely.line_locate_point(line, points)


def walk_m(net: WalkNet, origins: Array, goals: Array) -> Array:
    """Metres on foot from each origin to the nearest goal.

    All segments are cut at the goals' feet, so the goals are nodes; one Dijkstra runs from a super node.
    """
    which, gap, along = _join(net, goals)
    count = len(net.nodes)
    feet = count + np.arange(len(goals))
    hub = count + len(goals)
    rows, columns, weights = [], [], []
    order = np.lexsort((along, which))
    touched = np.unique(which)
    plain = np.setdiff1d(np.arange(len(net.lines)), touched)
    rows.append(net.first[plain])
    columns.append(net.last[plain])
    weights.append(net.length[plain])
    cuts: dict[int, tuple[Array, Array]] = {}
    for segment in touched:
        mine = order[which[order] == segment]
        stops = np.r_[net.first[segment], feet[mine], net.last[segment]]
        at = np.r_[0.0, along[mine], net.length[segment]]
        rows.append(stops[:-1])
        columns.append(stops[1:])
        weights.append(np.diff(at))
        cuts[int(segment)] = (stops, at)
    rows.append(np.full(len(goals), hub))
    columns.append(feet)
    weights.append(gap)
    tiny = 1e-9
    weight = np.maximum(np.concatenate(weights), tiny)
    a, b = np.concatenate(rows), np.concatenate(columns)
    # duplicates of a pair would be added up by the sparse matrix: keep the shorter
    low, high = np.minimum(a, b), np.maximum(a, b)
    best = np.lexsort((weight, high, low))
    keep = np.r_[True, (np.diff(low[best]) != 0) | (np.diff(high[best]) != 0)]
    best = best[keep]
    graph = csr_matrix((weight[best], (low[best], high[best])), shape=(hub + 1, hub + 1))
    far = dijkstra(graph, directed=False, indices=hub)
    mine, gap_o, along_o = _join(net, origins)
    found: Array = gap_o + np.minimum(
        far[net.first[mine]] + along_o, far[net.last[mine]] + net.length[mine] - along_o
    )
    for k in np.flatnonzero(np.isin(mine, touched)):
        stops, at = cuts[int(mine[k])]
        found[k] = min(found[k], gap_o[k] + float((far[stops] + np.abs(at - along_o[k])).min()))
    return found


def entrances(net: WalkNet, parks: Array) -> Array:
    """Nodes within ENTRANCE_M of a park, or the nearest node of a park that has none, as points."""
    points: Any = shapely.points(net.nodes)
    tree = shapely.STRtree(points)
    park, node = tree.query(parks, predicate="dwithin", distance=ENTRANCE_M)
    alone = np.setdiff1d(np.arange(len(parks)), park)
    nearest = (
        tree.query_nearest(parks[alone], all_matches=False)[1] if len(alone) else np.array([], dtype=int)
    )
    chosen: Array = points[np.unique(np.r_[node, nearest])]
    return chosen


def within_m(origins: Array, goals: Array, radius_m: float) -> Array:
    """Origins with a goal within a straight distance."""
    far, _ = cKDTree(shapely.get_coordinates(goals)).query(shapely.get_coordinates(origins))
    near: Array = far <= radius_m
    return near
