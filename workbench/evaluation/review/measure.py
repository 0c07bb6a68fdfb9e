"""What some shapes have in common with every layer: pieces, unions and areas, for one shape or ten thousand alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from workbench.core.codes import match
from workbench.evaluation.review.areas import AreaBook, areal, fused
from workbench.evaluation.review.layers import NOTHING, Layer, LineLayer, Pieces
from workbench.operators.overlay import on_threads
from workbench.rules.shapes import SPECK_M2, Geoms, mean_widths, parts_of, regroup

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Conflict:
    """Where some shapes lie on the side of a line that a rule asks about."""

    whole: Geoms
    """All of it; None where there is none."""
    solid: Geoms
    """Parts that are no slivers."""
    whole_area: slice
    solid_area: slice
    width: Floats
    """Mean width of the whole, metres."""
    pieces: Pieces
    """Polygons of the line that are met."""


class Measure:
    """Shapes of some proposals against the layers of a city.

    Parameters
    ----------
    shapes : array of Polygon or MultiPolygon
        Valid, in the city's CRS.
    lines, layers : mappings of role
        Indexed layers; roles that are missing give nothing.
    crs : str
        The city's.
    """

    def __init__(
        self,
        shapes: Geoms,
        lines: Mapping[str, LineLayer],
        layers: Mapping[str, Layer],
        crs: str,
    ) -> None:
        self.shapes = shapes
        self.lines, self.layers = lines, layers
        shapely.prepare(shapes)
        self.book = AreaBook(shapes, crs)
        self._all = np.arange(len(shapes))
        self.area = self.book.add(shapes, self._all)
        self._pieces: dict[tuple[str, bool], Pieces] = {}
        self._areas: dict[str, slice] = {}
        self._land: dict[str, Geoms] = {}
        self._inside: dict[str, Geoms] = {}
        none = np.full(len(shapes), None, dtype=object)
        no_area = self.book.add(none, self._all)
        self._nothing = Conflict(none, none, no_area, no_area, np.zeros(len(shapes)), NOTHING)
        self._dlbm = layers["land_use"].column("dlbm") if "land_use" in layers else np.empty(0, dtype=object)

    def __len__(self) -> int:
        """Number of shapes."""
        return len(self.shapes)

    def pieces(self, role: str, *, later: bool = False) -> Pieces:
        """Common pieces with a layer; with ``later`` those of lines not yet in force."""
        key = (role, later)
        if key not in self._pieces:
            layer: Layer | None
            if role in self.lines:
                layer = self.lines[role].later if later else self.lines[role].now
            else:
                layer = None if later else self.layers.get(role)
            self._pieces[key] = layer.meet(self.shapes) if layer is not None and len(layer) else NOTHING
        return self._pieces[key]

    def piece_areas(self, role: str) -> slice:
        """Areas of :meth:`pieces`, in their order."""
        if role not in self._areas:
            found = self.pieces(role)
            self._areas[role] = self.book.add(found.geometry, found.shape)
        return self._areas[role]

    def inside(self, role: str) -> Geoms:
        """Part of each shape inside a line in force; None where there is none."""
        if role not in self._inside:
            found = self.pieces(role)
            self._inside[role] = fused(found.geometry, found.shape, len(self))
        return self._inside[role]

    def land(self, group: str) -> Geoms:
        """Part of each shape that is land of a group of classes now."""
        if group not in self._land:
            found = self.pieces("land_use")
            name = group.removeprefix("not ")
            hit = match(self._dlbm[found.feature], name) != group.startswith("not ")
            some = found.of(hit)
            self._land[group] = fused(some.geometry, some.shape, len(self))
        return self._land[group]

    def conflict(
        self,
        role: str,
        *,
        outside: bool = False,
        anywhere: bool = False,
        of_kind: npt.NDArray[np.bool_] | None = None,
        group: str = "",
        spared: Sequence[str] = (),
        min_width_m: float,
        among: npt.NDArray[np.bool_] | None = None,
    ) -> Conflict:
        """Return the parts of the shapes on one side of a line.

        Parameters
        ----------
        role : str
            Line.
        outside, anywhere : bool
            The part outside all its polygons; all of the shape.
        of_kind : array of bool, optional
            Which polygons of the line count.
        group : str
            Only land of this group of classes now.
        spared : sequence of role
            Lines whose ground is left out.
        min_width_m : float
            Thinner parts are slivers.
        among : array of bool, optional
            Shapes that are asked about; the others have no part.
        """
        found = NOTHING if anywhere else self.pieces(role)
        if of_kind is not None and len(found.shape):
            hit = of_kind[found.feature]
            if hit.all():
                of_kind = None
            else:
                found = found.of(hit)
        if not anywhere and not outside and not len(found.shape):
            return self._nothing
        if anywhere:
            whole = self.land(group).copy() if group else self.shapes.copy()
            if group:
                parcels = self.pieces("land_use")
                name = group.removeprefix("not ")
                found = parcels.of(match(self._dlbm[parcels.feature], name) != group.startswith("not "))
        else:
            inside = self.inside(role) if of_kind is None else fused(found.geometry, found.shape, len(self))
            whole = (self.shapes if outside else inside).copy()
        if among is not None:
            whole[~among] = None
        if outside:
            whole = without(whole, inside)
        if group and not anywhere:
            whole = both(whole, self.land(group))
        for line in spared:
            whole = without(whole, self.inside(line))
        whole[shapely.area(whole) <= SPECK_M2] = None
        solid, width = solid_of(whole, min_width_m)
        whole_area = self.book.add(whole, self._all)
        changed = solid is not whole
        return Conflict(
            whole, solid, whole_area, self.book.add(solid, self._all) if changed else whole_area, width, found
        )


def both(left: Geoms, right: Geoms) -> Geoms:
    """Common part of two arrays of shapes, pair by pair; None where there is none."""
    out = np.full(len(left), None, dtype=object)
    at = np.flatnonzero(~shapely.is_missing(left) & ~shapely.is_missing(right))
    if len(at):
        out[at] = areal(on_threads(shapely.intersection, left[at], right[at]))
    return out


def without(geoms: Geoms, taken: Geoms) -> Geoms:
    """What is left of each shape after taking another from it (None takes nothing); None where nothing is left."""
    out = geoms.copy()
    at = np.flatnonzero(~shapely.is_missing(taken) & ~shapely.is_missing(geoms))
    if len(at):
        left = areal(on_threads(shapely.difference, geoms[at], taken[at]))
        parts, owner = parts_of(left)
        keep = shapely.area(parts) > SPECK_M2
        out[at] = left if keep.all() else regroup(parts[keep], owner[keep], len(at))
    return out


def solid_of(whole: Geoms, min_width_m: float) -> tuple[Geoms, Floats]:
    """Parts of each shape that are no slivers, and the mean width of the whole; the same array where all parts stay."""
    width = mean_widths(whole)
    several = shapely.get_num_geometries(whole) > 1
    ask = np.flatnonzero(several | ((width < min_width_m) & ~shapely.is_missing(whole)))
    if not len(ask):
        return whole, width
    parts, owner = parts_of(whole[ask])
    keep = mean_widths(parts) >= min_width_m
    if keep.all():
        return whole, width
    solid = whole.copy()
    hit = np.unique(owner[~keep])
    solid[ask[hit]] = regroup(parts[keep], owner[keep], len(ask))[hit]
    return solid, width
