"""Compiled bounded search between places on a graph: the kernel of ``catchment.travel_pairs``."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from workbench.operators._heap import rise, sink


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def places_near(
    indptr: Any, indices: Any, lengths: Any, ends: Any, costs: Any, edge: Any, along: Any, gap: Any, node_start: Any,
    node_place: Any, node_cost: Any, edge_start: Any, edge_place: Any, edge_along: Any, edge_gap: Any, max_m: float,
    s: int, dist: Any, spot: Any, heap: Any, key: Any, seen: Any, best: Any, touched: Any,
) -> int:  # fmt: skip
    """Write the places within reach of source ``s`` into ``touched`` and their ways into ``best``; how many there are."""
    found = 0
    e = edge[s]
    for k in range(edge_start[e], edge_start[e + 1]):
        way = gap[s] + abs(edge_along[k] - along[s]) + edge_gap[k]
        if way <= max_m:
            place = edge_place[k]
            if best[place] == np.inf:
                touched[found] = place
                found += 1
            best[place] = min(best[place], way)
    size = 0
    count = 0
    for side in range(2):
        new = costs[s, side]
        v = ends[s, side]
        if new > max_m or new >= dist[v]:
            continue
        if dist[v] == np.inf:
            seen[count] = v
            count += 1
            hole = size
            size += 1
        else:
            hole = spot[v]
        dist[v] = new
        rise(heap, key, spot, hole, v, new)
    while size > 0:
        u, d = heap[0], key[0]
        for k in range(node_start[u], node_start[u + 1]):
            way = d + node_cost[k]
            if way > max_m:
                break  # places of a node are sorted by their way from it
            place = node_place[k]
            if way < best[place]:
                if best[place] == np.inf:
                    touched[found] = place
                    found += 1
                best[place] = way
        size -= 1
        if size > 0:
            sink(heap, key, spot, size)
        for k in range(indptr[u], indptr[u + 1]):
            v = indices[k]
            new = d + lengths[k]
            if new > max_m:
                break
            if new < dist[v]:
                if dist[v] == np.inf:
                    seen[count] = v
                    count += 1
                    hole = size
                    size += 1
                else:
                    hole = spot[v]
                dist[v] = new
                rise(heap, key, spot, hole, v, new)
    for k in range(count):
        dist[seen[k]] = np.inf
    return found


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def pair_rows(
    indptr: Any,
    indices: Any,
    lengths: Any,
    ends: Any,
    costs: Any,
    edge: Any,
    along: Any,
    gap: Any,
    node_start: Any,
    node_place: Any,
    node_cost: Any,
    edge_start: Any,
    edge_place: Any,
    edge_along: Any,
    edge_gap: Any,
    n_places: int,
    max_m: float,
    sources: Any,
) -> Any:
    """Places within ``max_m`` metres of each source: how many, which (ascending) and how far.

    A source starts at both ends of its piece of road (``ends``, ``costs``). ``node_start`` lists for each node the places
    whose piece ends there, nearest first, ``edge_start`` for each piece the places on it: these are also reached straight
    along the piece. Rows of the graph are sorted by length.
    """
    n = len(indptr) - 1
    dist = np.full(n, np.inf)
    spot = np.full(n, -1, np.int32)
    heap = np.empty(n + 2, np.int32)
    key = np.empty(n + 2, np.float64)
    seen = np.empty(n, np.int32)
    best = np.full(n_places, np.inf)
    touched = np.empty(n_places, np.int32)
    counts = np.zeros(len(sources), np.int64)
    capacity = 1 << 12
    places = np.empty(capacity, np.int32)
    metres = np.empty(capacity, np.float64)
    filled = 0
    for row in range(len(sources)):
        s = sources[row]
        found = places_near(
            indptr, indices, lengths, ends, costs, edge, along, gap, node_start, node_place, node_cost, edge_start,
            edge_place, edge_along, edge_gap, max_m, s, dist, spot, heap, key, seen, best, touched,
        )  # fmt: skip
        if filled + found > capacity:
            capacity = max(2 * capacity, filled + found)
            more_places = np.empty(capacity, np.int32)
            more_metres = np.empty(capacity, np.float64)
            more_places[:filled] = places[:filled]
            more_metres[:filled] = metres[:filled]
            places, metres = more_places, more_metres
        mine = np.sort(touched[:found])
        for k in range(found):
            places[filled + k] = mine[k]
            metres[filled + k] = best[mine[k]]
            best[mine[k]] = np.inf
        counts[row] = found
        filled += found
    return counts, places[:filled], metres[:filled]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def place_rows(sources: Any, counts: Any, places: Any, metres: Any, start: Any, place: Any, way: Any) -> None:
    """Copy the rows of one part of the sources to where ``start`` says they belong."""
    at = 0
    for row in range(len(sources)):
        to = start[sources[row]]
        for k in range(counts[row]):
            place[to + k] = places[at + k]
            way[to + k] = metres[at + k]
        at += counts[row]
