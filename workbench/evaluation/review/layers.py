"""Layers of a review, indexed once: which polygons meet a shape, and what they have in common with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.evaluation.review.areas import areal
from workbench.operators.guards import metric_crs, valid_polygons
from workbench.operators.overlay import on_threads
from workbench.rules.shapes import SPECK_M2

Geoms = npt.NDArray[Any]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

PREPARED = 200
"""Polygons with more corners are prepared when a layer is opened."""
CLIPPED = 400
"""Polygons with more corners are cut to the shape's surroundings before they are intersected."""
MARGIN_M = 1.0


@dataclass(frozen=True)
class Pieces:
    """What some shapes have in common with the polygons of a layer."""

    shape: Ints
    """Position of the shape."""
    feature: Ints
    """Position of the polygon in the layer."""
    geometry: Geoms
    """The common piece."""

    @cached_property
    def _starts(self) -> list[int]:
        """Where the pieces of each shape begin, up to the last shape that has any."""
        last = int(self.shape[-1]) if len(self.shape) else -1
        return [int(at) for at in np.searchsorted(self.shape, np.arange(last + 2))]

    def here(self, k: int) -> slice:
        """Where the pieces of a shape are."""
        starts = self._starts
        return slice(starts[k], starts[k + 1]) if k + 1 < len(starts) else slice(0, 0)

    def of(self, keep: Bools) -> Pieces:
        """Some of the pieces."""
        return Pieces(self.shape[keep], self.feature[keep], self.geometry[keep])


NOTHING = Pieces(np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0, dtype=object))


class Layer:
    """Polygons of one role with a spatial index.

    Parameters
    ----------
    role : str
        Name of the role.
    frame : GeoDataFrame
        Valid polygons in projected metres.
    key : str
        Column that names a polygon; its position does where the column is missing.
    """

    def __init__(self, role: str, frame: gpd.GeoDataFrame, key: str = "") -> None:
        metric_crs(frame.crs, where=role)
        self.role = role
        self._columns: dict[str, npt.NDArray[np.object_]] = {}
        self._numbers: dict[str, npt.NDArray[np.float64]] = {}
        self._alive: dict[pd.Timestamp, Bools] = {}
        self._kinds: dict[tuple[tuple[str, ...], tuple[str, ...]], Bools] = {}
        shapes = valid_polygons(frame, where=role)
        there = ~shapely.is_empty(shapes)
        if not there.all():
            frame, shapes = frame[there], shapes[there]
        self.frame = frame.reset_index(drop=True)
        self.named = "name" in frame
        self.shapes: Geoms = shapely.force_2d(shapes) if shapely.has_z(shapes).any() else shapes
        self.bounds = shapely.bounds(self.shapes)
        self.corners = shapely.get_num_coordinates(self.shapes)
        shapely.prepare(self.shapes[self.corners > PREPARED])
        self.tree = shapely.STRtree(self.shapes)
        self.tree.query(shapely.box(0, 0, 1, 1))  # the index is made at the first question
        self.ids = (
            self.column(key) if key else np.array([str(k + 1) for k in range(len(self.shapes))], object)
        )

    def __len__(self) -> int:
        """Number of polygons."""
        return len(self.shapes)

    def column(self, name: str) -> npt.NDArray[np.object_]:
        """Texts of a column; empty texts where it is missing."""
        if name not in self._columns:
            made = np.full(len(self.frame), "", dtype=object)
            if name in self.frame:
                found = self.frame[name]
                made = np.asarray(found.astype(object).where(found.notna(), "").astype(str), dtype=object)
            self._columns[name] = made
        return self._columns[name]

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Numbers of a column; NaN where it is missing."""
        if name not in self._numbers:
            made = np.full(len(self.frame), np.nan)
            if name in self.frame:
                made = np.asarray(pd.to_numeric(self.frame[name], errors="coerce"), dtype=float)
            self._numbers[name] = made
        return self._numbers[name]

    def alive(self, on: pd.Timestamp) -> Bools:
        """Whether each polygon is in force on a day, by ``approved`` and ``ended``."""
        if on not in self._alive:
            self._alive[on] = in_force_on(self.frame, on)[0]
        return self._alive[on]

    def of_kind(self, words: tuple[str, ...], not_words: tuple[str, ...]) -> Bools:
        """Which polygons have one of some words in their kind, and none of some others."""
        key = (words, not_words)
        if key not in self._kinds:
            names = self.column("kind")
            kept = {
                kind: (not words or any(word in kind for word in words))
                and not any(word in kind for word in not_words)
                for kind in set(names)
            }
            self._kinds[key] = np.array([kept[kind] for kind in names], dtype=bool)
        return self._kinds[key]

    def meet(self, shapes: Geoms) -> Pieces:
        """Common pieces of some valid polygons with the layer; contacts without area give none."""
        i, j = self.tree.query(shapes, predicate="intersects")
        if not len(i):
            return NOTHING
        order = np.lexsort((j, i))
        i, j = i[order].astype(np.intp), j[order].astype(np.intp)
        left, right = shapes[i], self.shapes[j]
        a, b = shapely.bounds(left), self.bounds[j]
        pieces = np.full(len(i), None, dtype=object)
        inside = (a[:, :2] >= b[:, :2]).all(axis=1) & (a[:, 2:] <= b[:, 2:]).all(axis=1)
        ask = np.flatnonzero(inside)
        whole = ask[shapely.covers(right[ask], left[ask])]
        pieces[whole] = left[whole]
        open_ = shapely.is_missing(pieces)
        held = open_ & (b[:, :2] >= a[:, :2]).all(axis=1) & (b[:, 2:] <= a[:, 2:]).all(axis=1)
        ask = np.flatnonzero(held)
        whole = ask[shapely.covers(left[ask], right[ask])]
        pieces[whole] = right[whole]
        rest = np.flatnonzero(shapely.is_missing(pieces))
        if len(rest):
            pieces[rest] = _common(left[rest], right[rest], self.corners[j[rest]], a[rest])
        keep = ~shapely.is_missing(pieces) & (shapely.area(pieces) > SPECK_M2)
        return Pieces(i[keep], j[keep], pieces[keep])


def _common(left: Geoms, right: Geoms, corners: Any, bounds: Any) -> Geoms:
    """Polygonal intersections, large polygons cut to the surroundings of their partner first."""
    right = right.copy()
    for k in np.flatnonzero(corners > CLIPPED):
        x0, y0, x1, y1 = bounds[k]
        part = shapely.clip_by_rect(right[k], x0 - MARGIN_M, y0 - MARGIN_M, x1 + MARGIN_M, y1 + MARGIN_M)
        if shapely.is_valid(part):
            right[k] = part
    return areal(on_threads(shapely.intersection, left, right))


@dataclass(frozen=True)
class LineLayer:
    """A planning line: what is in force on the day of the review, and what was approved for later."""

    now: Layer
    later: Layer | None
    """Polygons whose approval lies after the day; None when there are none."""


def in_force_on(frame: gpd.GeoDataFrame, on: pd.Timestamp) -> tuple[Bools, Bools]:
    """Whether each polygon is in force on a day, and whether it takes force only later."""
    approved, ended = (
        pd.to_datetime(frame[name], errors="coerce")
        if name in frame
        else pd.Series(pd.NaT, index=frame.index)
        for name in ("approved", "ended")
    )
    alive = (ended.isna() | (ended > on)).to_numpy(dtype=bool)
    late = (approved > on).to_numpy(dtype=bool)
    return alive & ~late, alive & late


def line_layer(role: str, frame: gpd.GeoDataFrame, on: pd.Timestamp, key: str = "line_id") -> LineLayer:
    """Index of a layer whose polygons have dates."""
    now, later = in_force_on(frame, on)
    return LineLayer(Layer(role, frame[now], key), Layer(role, frame[later], key) if later.any() else None)


KEYS: Mapping[str, str] = {
    "land_use": "parcel_id", "plots": "plot_id", "permits": "permit_id", "projects": "project_code", "units": "code",
    "districts": "code",
}  # fmt: skip
"""Column that names a polygon, by role; lines have ``line_id``."""
