"""Ellipsoidal areas of many small pieces at once, and their unions: what a review spends most of its time on."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workbench.operators.area import area_m2
from workbench.operators.overlay import polygonal
from workbench.rules.shapes import parts_of, regroup

Geoms = npt.NDArray[Any]
Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

NEAR_M = 500.0
"""Shapes that reach no farther from their middle have areas by the local scale of the projection."""
LEAST_M = 100.0
"""Half the side of the square in which that scale is taken, at least."""
THREADED = 200
"""Fewer operations are not worth a second thread."""
FEW = 40
"""Pairs of touching pieces that are followed one by one."""


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="review")


def on_pool(function: Callable[..., Geoms], *arrays: Geoms) -> Geoms:
    """Apply a shapely function of arrays on all cores; the threads stay for the next call."""
    if len(arrays[0]) < THREADED or (workers := os.cpu_count() or 1) == 1:
        return function(*arrays)
    cuts = np.linspace(0, len(arrays[0]), 4 * workers + 1).astype(int)
    spans = [slice(a, b) for a, b in pairwise(cuts.tolist())]
    return np.concatenate(list(_pool().map(lambda span: function(*(one[span] for one in arrays)), spans)))


class AreaBook:
    """Pieces of some shapes whose ellipsoidal areas are worked out all at once.

    Parameters
    ----------
    shapes : array of Polygon or MultiPolygon
        The shapes whose pieces are noted.
    crs : str
        Projected, metres.

    Notes
    -----
    The ratio of ellipsoidal to planar area is all but linear over a few hundred metres. It is taken in the four quarters
    of a square round each shape; a piece has its planar area times the ratio at its centroid, which is exact for a linear
    ratio, so that areas of pieces add up to that of the whole. The square of the distance by that of the earth's radius
    is left out: less than 5e-9 of the area. Larger shapes are worked out vertex by vertex.
    """

    def __init__(self, shapes: Geoms, crs: str) -> None:
        self._crs, self._sites = crs, shapes
        self._shapes: list[Geoms] = []
        self._owners: list[Ints] = []
        self._count = 0
        self._areas: Floats | None = None

    def add(self, shapes: Geoms, owner: Ints) -> slice:
        """Note some pieces and the positions of the shapes they are part of; the slice finds their areas later."""
        start, self._count = self._count, self._count + len(shapes)
        self._shapes.append(shapes)
        self._owners.append(owner)
        return slice(start, self._count)

    def close(self) -> None:
        """Work out all areas."""
        self._areas = np.zeros(self._count)
        if not self._count:
            return
        shapes, owner = np.concatenate(self._shapes), np.concatenate(self._owners)
        there = np.flatnonzero(~shapely.is_missing(shapes))
        box = shapely.bounds(self._sites)
        half = np.maximum((box[:, 2:] - box[:, :2]).max(axis=1) / 2, LEAST_M)
        near = half[owner[there]] <= NEAR_M
        at, far = there[near], there[~near]
        if len(at):
            self._areas[at] = self._by_scale(shapes[at], owner[at], (box[:, :2] + box[:, 2:]) / 2, half)
        if len(far):
            self._areas[far] = area_m2(shapes[far], self._crs)

    def _by_scale(self, shapes: Geoms, owner: Ints, middle: Floats, half: Floats) -> Floats:
        """Areas by the ratio at the centroids."""
        asked, row = np.unique(owner, return_inverse=True)
        (x, y), h = middle[asked].T, half[asked]
        quarters = [shapely.box(x + a * h, y + b * h, x + (a + 1) * h, y + (b + 1) * h)
                    for a, b in ((-1, -1), (0, -1), (-1, 0), (0, 0))]  # fmt: skip
        sw, se, nw, ne = area_m2(np.concatenate(quarters), self._crs).reshape(4, -1) / h**2
        centre = shapely.centroid(shapes)
        u, v = (shapely.get_x(centre) - x[row]) / h[row], (shapely.get_y(centre) - y[row]) / h[row]
        ratio = ((sw + se + nw + ne) / 4)[row] + ((se + ne - sw - nw) / 2)[row] * u
        ratio += ((nw + ne - sw - se) / 2)[row] * v
        return np.asarray(shapely.area(shapes) * ratio, dtype=np.float64)

    def __getitem__(self, at: slice) -> Floats:
        """Areas of pieces noted before; square metres, 0 for missing ones."""
        assert self._areas is not None
        return self._areas[at]


def fused(pieces: Geoms, owner: Ints, count: int) -> Geoms:
    """Union of the pieces of each owner; None where an owner has none.

    Only pieces that touch or overlap each other are united; those that keep clear are put beside them, which gives the
    same shape.
    """
    out = np.full(count, None, dtype=object)
    if not len(pieces):
        return out
    if (owner[1:] < owner[:-1]).any():
        order = np.argsort(owner, kind="stable")
        pieces, owner = pieces[order], owner[order]
    cluster = _clusters(pieces, owner)
    if cluster is not None:
        pieces, owner = _united(pieces, owner, cluster)
    first, size = _runs(owner)
    found = owner[first]
    out[found[size == 1]] = pieces[first[size == 1]]
    if len(found) < len(owner):
        several = np.repeat(size > 1, size)
        parts, of = parts_of(pieces[several])
        put = regroup(parts, owner[several][of], count)
        there = ~shapely.is_missing(put)
        out[there] = put[there]
    return out


def _runs(ordered: Ints) -> tuple[Ints, Ints]:
    """Beginning and length of the runs of equal numbers."""
    begin = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return begin, np.diff(begin, append=len(ordered))


def areal(geoms: Geoms) -> Geoms:
    """Polygonal part of each geometry; None where there is none."""
    kinds = shapely.get_type_id(geoms)
    if ((kinds == 3) | (kinds == 6)).all() and not shapely.is_empty(geoms).any():
        return geoms
    return polygonal(geoms)


def _united(pieces: Geoms, owner: Ints, cluster: Ints) -> tuple[Geoms, Ints]:
    """One shape a cluster, at the place of its first piece, and its owner."""
    order = np.argsort(cluster, kind="stable")
    begin, size = _runs(cluster[order])
    made = pieces[order[begin]]
    for number in sorted(set(size[size > 1].tolist())):
        rows = np.flatnonzero(size == number)
        table = pieces[order[begin[rows][:, None] + np.arange(number)]]
        if number == 2:
            made[rows] = on_pool(shapely.union, table[:, 0], table[:, 1])
        else:
            made[rows] = on_pool(lambda some: np.asarray(shapely.union_all(some, axis=1)), table)
    place = np.argsort(order[begin], kind="stable")
    return made[place], owner[order[begin]][place]


def _clusters(pieces: Geoms, owner: Ints) -> Ints | None:
    """Number of the group of touching pieces that each piece is in; None where no two of an owner touch."""
    box = shapely.bounds(pieces)
    left, right = [], []
    step = 1
    while len(i := np.flatnonzero(owner[step:] == owner[:-step])):
        j = i + step
        meet = (box[i, :2] <= box[j, 2:]).all(axis=1) & (box[j, :2] <= box[i, 2:]).all(axis=1)
        left.append(i[meet])
        right.append(j[meet])
        step += 1
    if not left:
        return None
    a, b = np.concatenate(left), np.concatenate(right)
    touch = shapely.intersects(pieces[a], pieces[b])
    a, b = a[touch], b[touch]
    if not len(a):
        return None
    if len(a) > FEW:
        links = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(len(pieces), len(pieces)))
        return np.asarray(connected_components(links, directed=False)[1], dtype=np.intp)
    number = list(range(len(pieces)))
    for one, other in zip(a.tolist(), b.tolist(), strict=True):
        low, high = sorted((number[one], number[other]))
        if low != high:
            number = [low if at == high else at for at in number]
    return np.array(number, dtype=np.intp)
