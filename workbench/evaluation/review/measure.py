"""What some shapes have in common with every layer: pieces, unions and areas, for one shape or ten thousand alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from workbench.core.codes import match
from workbench.evaluation.review.layers import NOTHING, Layer, LineLayer, Pieces
from workbench.operators.area import area_m2
from workbench.operators.overlay import on_threads, polygonal
from workbench.rules.shapes import SPECK_M2, Geoms, mean_widths, thick, united, without

Floats = npt.NDArray[np.float64]


class AreaBook:
    """Shapes whose ellipsoidal areas are worked out all at once: one call instead of one a layer."""

    def __init__(self, crs: str) -> None:
        self._crs = crs
        self._shapes: list[Geoms] = []
        self._count = 0
        self._areas: Floats | None = None

    def add(self, shapes: Geoms) -> slice:
        """Note some shapes; the slice finds their areas later."""
        start, self._count = self._count, self._count + len(shapes)
        self._shapes.append(shapes)
        return slice(start, self._count)

    def close(self) -> None:
        """Work out all areas."""
        shapes = np.concatenate(self._shapes) if self._shapes else np.empty(0, dtype=object)
        self._areas = np.zeros(len(shapes))
        there = ~shapely.is_missing(shapes)
        self._areas[there] = area_m2(shapes[there], self._crs)

    def __getitem__(self, at: slice) -> Floats:
        """Areas of shapes noted before; square metres, 0 for missing ones."""
        assert self._areas is not None
        return self._areas[at]


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
        self.book = AreaBook(crs)
        self.area = self.book.add(shapes)
        self._pieces: dict[tuple[str, bool], Pieces] = {}
        self._areas: dict[str, slice] = {}
        self._land: dict[str, Geoms] = {}
        self._inside: dict[str, Geoms] = {}
        none = np.full(len(shapes), None, dtype=object)
        no_area = self.book.add(none)
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
            self._areas[role] = self.book.add(self.pieces(role).geometry)
        return self._areas[role]

    def inside(self, role: str) -> Geoms:
        """Part of each shape inside a line in force; None where there is none."""
        if role not in self._inside:
            found = self.pieces(role)
            self._inside[role] = united(found.geometry, found.shape, len(self))
        return self._inside[role]

    def land(self, group: str) -> Geoms:
        """Part of each shape that is land of a group of classes now."""
        if group not in self._land:
            found = self.pieces("land_use")
            name = group.removeprefix("not ")
            hit = match(self._dlbm[found.feature], name) != group.startswith("not ")
            some = found.of(hit)
            self._land[group] = united(some.geometry, some.shape, len(self))
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
        """
        found = NOTHING if anywhere else self.pieces(role)
        if of_kind is not None and len(found.shape):
            found = found.of(of_kind[found.feature])
        if not anywhere and not outside and not len(found.shape):
            return self._nothing
        if anywhere:
            whole = self.land(group).copy() if group else self.shapes.copy()
            if group:
                parcels = self.pieces("land_use")
                name = group.removeprefix("not ")
                found = parcels.of(match(self._dlbm[parcels.feature], name) != group.startswith("not "))
        elif outside:
            whole = without(self.shapes, united(found.geometry, found.shape, len(self)))
        else:
            whole = (
                self.inside(role) if of_kind is None else united(found.geometry, found.shape, len(self))
            ).copy()
        if group and not anywhere:
            whole = both(whole, self.land(group))
        for line in spared:
            whole = without(whole, self.inside(line))
        whole[shapely.area(whole) <= SPECK_M2] = None
        solid = whole.copy()
        there = np.flatnonzero(~shapely.is_missing(whole))
        solid[there] = thick(whole[there], min_width_m)
        return Conflict(
            whole, solid, self.book.add(whole), self.book.add(solid), mean_widths(whole), found
        )  # fmt: skip


def both(left: Geoms, right: Geoms) -> Geoms:
    """Common part of two arrays of shapes, pair by pair; None where there is none."""
    out = np.full(len(left), None, dtype=object)
    at = np.flatnonzero(~shapely.is_missing(left) & ~shapely.is_missing(right))
    if len(at):
        out[at] = polygonal(on_threads(shapely.intersection, left[at], right[at]))
    return out
