"""Ellipsoidal areas of many small pieces at once, and their unions: what a review spends most of its time on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workbench.operators.area import LocalAreas, area_m2
from workbench.operators.overlay import on_threads, polygonal
from workbench.rules.shapes import parts_of, regroup

Geoms = npt.NDArray[Any]
Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

NEAR_M = 500.0
"""Shapes that reach no farther from their middle have areas by the local scale of the projection."""
FEW = 40
"""Pairs of touching pieces that are followed one by one."""


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
    All pieces of a shape that reaches no farther than :data:`NEAR_M` from its middle have areas by the local scale of the
    projection, so that they add up to that of the whole (:class:`workbench.operators.area.LocalAreas`, to 5e-9). Those of
    larger shapes are worked out vertex by vertex.
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
        near = (box[:, 2:] - box[:, :2]).max(axis=1) <= 2 * NEAR_M
        close = near[owner[there]]
        at, far = there[close], there[~close]
        if len(at):
            local = LocalAreas(shapely.total_bounds(self._sites[near]), self._crs)
            self._areas[at] = local.scaled(shapes[at])
        if len(far):
            self._areas[far] = area_m2(shapes[far], self._crs)

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
            made[rows] = on_threads(shapely.union, table[:, 0], table[:, 1])
        else:
            made[rows] = on_threads(lambda some: np.asarray(shapely.union_all(some, axis=1)), table)
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
