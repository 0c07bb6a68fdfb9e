"""Catchments on a network: who reaches which place and how far, supply per head by floating catchments, best new sites.

Travel is straight from a place to the nearest piece of road, along the network, and straight to the other place; two
places on one piece meet along it. Roads are two-way: one-way streets do not bind walkers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from workbench.core.errors import ParameterError
from workbench.operators.access import Points
from workbench.operators.graph import Graph, Snapped, snap

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Decay = Callable[[Floats], Floats]
Kind = Literal["2sfca", "e2sfca", "m2sfca", "3sfca"]
KINDS: tuple[Kind, ...] = ("2sfca", "e2sfca", "m2sfca", "3sfca")
"""Members of the family that :func:`two_step` knows."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Origins and destinations within reach of each other, sorted by origin, then destination."""

    origin: Ints
    """Row of the origin of each pair."""
    destination: Ints
    """Row of the destination."""
    metres: Floats
    """Way between the two."""
    n_origins: int
    """Number of origins, those that reach nothing included."""
    n_destinations: int
    """Number of destinations."""
    max_m: float
    """Limit of the search, metres; a way of this length counts."""

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.metres)

    def matrix(self, weights: Floats | None = None) -> csr_array:
        """Sparse matrix origins × destinations of weights of the pairs (1 each when not given)."""
        start = np.searchsorted(self.origin, np.arange(self.n_origins + 1))
        values = np.ones(len(self)) if weights is None else weights
        return csr_array((values, self.destination, start), shape=(self.n_origins, self.n_destinations))

    def within(self, max_m: float) -> Pairs:
        """Pairs no farther apart than ``max_m`` metres."""
        keep = self.metres <= max_m
        return Pairs(
            self.origin[keep], self.destination[keep], self.metres[keep], self.n_origins, self.n_destinations, max_m
        )  # fmt: skip


def travel_pairs(
    graph: Graph, origins: Points, destinations: Points, max_m: float, *, workers: int | None = None
) -> Pairs:
    """All pairs of an origin and a destination at most ``max_m`` metres apart on the network.

    Bounded searches from whichever side has fewer places, compiled, on threads; the result does not depend on the
    number of threads.

    Parameters
    ----------
    graph : Graph
        From :func:`workbench.operators.graph.build_graph`: of walkable roads for walking, of others for cycling.
    origins, destinations : GeoDataFrame or GeoSeries of points
        Homes and facilities, in the CRS of the graph.
    max_m : float
        Metres from door to door, the ways to the road included.
    workers : int, optional
        Threads; one a core when omitted.

    Returns
    -------
    Pairs
        Rows of ``origins`` and ``destinations`` by position.

    Raises
    ------
    CRSError, DataQualityError, ParameterError
        When the CRS differs, a geometry is no point, or ``max_m`` is not a positive, finite number.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from workbench.operators.graph import build_graph
    >>> street = gpd.GeoSeries([shapely.LineString([(0, 0), (1000, 0)])], crs="EPSG:4547")
    >>> homes = gpd.GeoSeries.from_xy([100, 900], [0, 10], crs="EPSG:4547")
    >>> shops = gpd.GeoSeries.from_xy([0, 400], [0, 0], crs="EPSG:4547")
    >>> found = travel_pairs(build_graph(street, walk=False), homes, shops, 500)
    >>> found.origin.tolist(), found.destination.tolist(), found.metres.tolist()
    ([0, 0], [0, 1], [100.0, 300.0])
    """
    if not 0 < max_m < np.inf:
        raise ParameterError("max_m must be positive and finite", found=max_m)
    return snapped_pairs(graph, snap(graph, origins), snap(graph, destinations), max_m, workers=workers)


def snapped_pairs(
    graph: Graph, origins: Snapped, destinations: Snapped, max_m: float, *, workers: int | None = None
) -> Pairs:
    """:func:`travel_pairs` between places already found on the graph."""
    n, m = len(origins.edge), len(destinations.edge)
    if not n or not m:
        return Pairs(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0), n, m, float(max_m))
    if n <= m:
        start, place, way = _search(graph, origins, destinations, float(max_m), workers)
        row = np.repeat(np.arange(n, dtype=np.int32), np.diff(start))
        return Pairs(row, place, way, n, m, float(max_m))
    start, place, way = _search(graph, destinations, origins, float(max_m), workers)
    turned = csr_array((way, place, start), shape=(m, n)).T.tocsr()
    row = np.repeat(np.arange(n, dtype=np.int32), np.diff(turned.indptr))
    return Pairs(row, turned.indices.astype(np.int32), turned.data, n, m, float(max_m))


def _search(
    graph: Graph, sources: Snapped, places: Snapped, max_m: float, workers: int | None
) -> tuple[npt.NDArray[np.int64], Ints, Floats]:
    """Rows of the places within reach of each source: where each row starts, which places, how far."""
    from workbench.operators._pairs import pair_rows, place_rows  # numba is imported where it is used
    from workbench.operators._reach import prepare

    order, indptr, indices, lengths = prepare(graph.xy, graph.indptr, graph.indices, graph.lengths)
    new = np.empty(graph.n_nodes, dtype=np.int32)
    new[order] = np.arange(graph.n_nodes, dtype=np.int32)

    def ends_of(at: Snapped) -> tuple[Ints, Floats]:
        ends = np.column_stack((new[graph.edge_from[at.edge]], new[graph.edge_to[at.edge]]))
        costs = np.column_stack((at.gap + at.along, at.gap + graph.edge_length[at.edge] - at.along))
        return ends.astype(np.int32), costs

    ends, costs = ends_of(sources)
    place_ends, place_costs = ends_of(places)
    n_places = len(places.edge)
    node = place_ends.ravel()
    by = np.lexsort((np.repeat(np.arange(n_places), 2), place_costs.ravel(), node))
    node_start = np.searchsorted(node[by], np.arange(graph.n_nodes + 1))
    at_node = (node_start, (by // 2).astype(np.int32), place_costs.ravel()[by])
    by = np.argsort(places.edge, kind="stable")
    edge_start = np.searchsorted(places.edge[by], np.arange(graph.n_edges + 1))
    on_edge = (edge_start, by.astype(np.int32), places.along[by], places.gap[by])
    threads = workers or os.cpu_count() or 1
    parts = np.array_split(
        np.argsort(ends[:, 0], kind="stable"), 8 * threads
    )  # neighbours one after the other

    def part(rows: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.int64], Ints, Floats]:
        found: tuple[npt.NDArray[np.int64], Ints, Floats] = pair_rows(
            indptr, indices, lengths, ends, costs, sources.edge, sources.along, sources.gap, *at_node, *on_edge,
            n_places, max_m, rows,
        )  # fmt: skip
        return found

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(part, parts))
    counts = np.zeros(len(sources.edge), dtype=np.int64)
    for rows, (count, _, _) in zip(parts, found, strict=True):
        counts[rows] = count
    start = np.concatenate(([0], np.cumsum(counts)))
    place, way = np.empty(start[-1], dtype=np.int32), np.empty(start[-1])
    for rows, (count, some, metres) in zip(parts, found, strict=True):
        place_rows(rows, count, some, metres, start, place, way)
    return start, place, way


def step_decay(steps: Mapping[float, float]) -> Decay:
    """Weights that fall in steps: ``{metres up to which: weight}``; 0 beyond the last.

    Examples
    --------
    >>> step_decay({300: 1.0, 600: 0.5})(np.array([300.0, 301.0, 700.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    limits = np.array(sorted(steps))
    weights = np.array([*(steps[limit] for limit in sorted(steps)), 0.0])
    if len(limits) == 0 or not (limits > 0).all() or not (weights >= 0).all():
        raise ParameterError("steps need positive limits and weights not below zero", found=dict(steps))
    return lambda metres: np.asarray(weights[np.searchsorted(limits, metres, side="left")], dtype=np.float64)


def gaussian_decay(max_m: float) -> Decay:
    """Weights from 1 at the door to 0 at ``max_m``, falling like a bell (Dai 2010).

    Examples
    --------
    >>> gaussian_decay(1000.0)(np.array([0.0, 500.0, 1000.0])).round(3).tolist()
    [1.0, 0.701, 0.0]
    """
    if not 0 < max_m < np.inf:
        raise ParameterError("max_m must be positive and finite", found=max_m)
    floor = np.exp(-0.5)

    def weight(metres: Floats) -> Floats:
        bell = (np.exp(-0.5 * (metres / max_m) ** 2) - floor) / (1.0 - floor)
        return np.asarray(np.where(metres <= max_m, np.maximum(bell, 0.0), 0.0), dtype=np.float64)

    return weight


@dataclass(frozen=True, eq=False)
class Catchments:
    """What :func:`two_step` finds."""

    access: Floats
    """Supply per head at each origin; 0 where nothing is in reach."""
    ratio: Floats
    """Supply per head of those who compete for it, at each destination; nan where nobody does."""
    competing: Floats
    """Weighted demand in the catchment of each destination."""


def _amounts(name: str, values: npt.ArrayLike, n: int) -> Floats:
    """Amounts of places as an array: as many as places, none negative or missing."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n,) or not (np.isfinite(array) & (array >= 0)).all():
        raise ParameterError(
            f"{name} must be a finite number not below zero for each place",
            found=f"shape {array.shape}",
            expected=f"({n},)",
        )
    return array


def two_step(
    pairs: Pairs,
    demand: npt.ArrayLike,
    supply: npt.ArrayLike,
    *,
    kind: Kind = "2sfca",
    decay: Decay | None = None,
) -> Catchments:
    """Supply per head by floating catchments: supply shared among those in reach, then added up by those who reach it.

    ``2sfca``: every pair counts alike (Luo and Wang 2003). ``e2sfca``: pairs weigh less the farther apart (Luo and Qi
    2009). ``m2sfca``: the weight counts twice, so that supply far from everybody is partly lost (Delamater 2013).
    ``3sfca``: people divide themselves among what they reach, in the ratio of the weights (Wan, Zou and Sternberg 2012).
    Without ``m2sfca`` all supply that anybody reaches is handed out: people × access adds up to it.

    Parameters
    ----------
    pairs : Pairs
        From :func:`travel_pairs`, homes as origins and facilities as destinations.
    demand : array of float, shape (origins,)
        People.
    supply : array of float, shape (destinations,)
        Places, beds, doctors.
    kind : {"2sfca", "e2sfca", "m2sfca", "3sfca"}
        Member of the family.
    decay : callable, optional
        Metres to weights, see :func:`gaussian_decay` and :func:`step_decay`; not for ``2sfca``. The bell up to the
        limit of ``pairs`` when not given.

    Returns
    -------
    Catchments
        Supply per head in the units of ``supply`` over ``demand``.

    Raises
    ------
    ParameterError
        An unknown kind, a decay for ``2sfca``, amounts that are missing or negative, weights below zero.

    Examples
    --------
    >>> one = Pairs(np.array([0, 1], np.int32), np.array([0, 0], np.int32), np.array([100.0, 300.0]), 2, 1, 500.0)
    >>> two_step(one, [30, 10], [20]).access.tolist()
    [0.5, 0.5]
    """
    if kind not in KINDS:
        raise ParameterError("unknown kind of catchment", found=kind, expected=", ".join(KINDS))
    if kind == "2sfca" and decay is not None:
        raise ParameterError("2sfca has no decay", hint="use e2sfca")
    people = _amounts("demand", demand, pairs.n_origins)
    offered = _amounts("supply", supply, pairs.n_destinations)
    weight = np.ones(len(pairs))
    if kind != "2sfca":
        weight = np.asarray((decay or gaussian_decay(pairs.max_m))(pairs.metres), dtype=np.float64)
        if weight.shape != pairs.metres.shape or not (np.isfinite(weight) & (weight >= 0)).all():
            raise ParameterError("decay must give a weight not below zero for each pair")
    if kind == "3sfca":
        whole = np.bincount(pairs.origin, weight, minlength=pairs.n_origins)[pairs.origin]
        weight = weight * np.divide(weight, whole, out=np.zeros(len(pairs)), where=whole > 0)
    competing = np.bincount(
        pairs.destination, weight * people[pairs.origin], minlength=pairs.n_destinations
    ).astype(np.float64)
    ratio = np.divide(offered, competing, out=np.full(len(offered), np.nan), where=competing > 0)
    given = np.where(competing > 0, ratio, 0.0)[pairs.destination]
    given = given * weight * (weight if kind == "m2sfca" else 1.0)
    access = np.bincount(pairs.origin, given, minlength=pairs.n_origins).astype(np.float64)
    return Catchments(access, ratio, competing)


def reach(pairs: Pairs, amounts: npt.ArrayLike, *, decay: Decay | None = None) -> Floats:
    """Opportunities each origin reaches: the sum of the amounts of its destinations, weighted by ``decay`` if given.

    Examples
    --------
    >>> one = Pairs(np.array([0, 0], np.int32), np.array([0, 1], np.int32), np.array([1.0, 9.0]), 2, 2, 10.0)
    >>> reach(one, [5, 7]).tolist()
    [12.0, 0.0]
    """
    offered = _amounts("amounts", amounts, pairs.n_destinations)
    weight = 1.0 if decay is None else decay(pairs.metres)
    return np.bincount(pairs.origin, weight * offered[pairs.destination], minlength=pairs.n_origins).astype(
        np.float64
    )


def greedy_sites(pairs: Pairs, people: npt.ArrayLike, count: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """Places that bring the most people within reach, one after the other, and what each adds.

    The first is the best of all; the following ones are the best given those before (together at least 63 % of what
    any so many places could reach).

    Parameters
    ----------
    pairs : Pairs
        From :func:`travel_pairs`, candidate places as origins and homes as destinations, up to the limit of the walk.
    people : array of float, shape (destinations,)
        Who lives there and has no facility within reach yet; 0 for the others.
    count : int
        Most places wanted; fewer are given when no candidate adds anybody.

    Returns
    -------
    places : ndarray of int
        Rows of the candidates; of equal ones the first.
    gains : ndarray of float
        People each adds.

    Examples
    --------
    >>> near = Pairs(np.array([0, 0, 1], np.int32), np.array([0, 1, 1], np.int32), np.zeros(3), 2, 2, 9.0)
    >>> [one.tolist() for one in greedy_sites(near, [5, 8], 2)]
    [[0], [13.0]]
    """
    left = _amounts("people", people, pairs.n_destinations).copy()
    if count < 1:
        raise ParameterError("count must be at least 1", found=count)
    near = pairs.matrix()
    places: list[int] = []
    gains: list[float] = []
    while len(places) < count and pairs.n_origins:
        gain = near @ left
        best = int(np.argmax(gain))
        if not gain[best] > 0:
            break
        places.append(best)
        gains.append(float(gain[best]))
        left[near.indices[near.indptr[best] : near.indptr[best + 1]]] = 0.0
    return np.array(places, dtype=np.intp), np.array(gains)
