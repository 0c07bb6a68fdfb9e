"""How far the demo city and its towns reach, and how they grew: fingers along main roads, green wedges between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from scipy.ndimage import binary_closing, binary_opening, distance_transform_edt, label

from workbench.samples.arterials import Arterials
from workbench.samples.ground import Ground, outline
from workbench.samples.space import CELL, Array, N, burn, cell_centres, polygons, smooth_noise, stream

CITY_KM2 = 60.0
"""Land inside the 城区."""
GROWN = (0.72, 0.835, 0.93, 0.952)
"""Share of the 城区 that was reached in each of YEARS."""
PLANNED = 1.26
"""Land inside the development boundary over land inside the 城区."""


@dataclass(frozen=True)
class Form:
    """Outlines of what is urban."""

    reach: Array
    """How late the city came to a cell: metres from the centre, longer where it is hard to get to; float32 (N, N)."""
    limits: Array
    """Value of ``reach`` that the city had come to in each of YEARS."""
    city: Any
    """Outline of the 城区."""
    towns: list[Any]
    """Outlines of the towns, in the order of ``Ground.towns``."""
    boundary: Any
    """Area inside the development boundary."""
    villages: Array
    """Villages that the city and the towns have not swallowed: easting, northing, radius in metres."""


def _reach(seed: int, ground: Ground, arterials: Arterials, far: Array) -> Array:
    """Metres from the centre, longer off the main roads, across the river, uphill and in the green wedges."""
    rng = stream(seed, "reach")
    x, y = cell_centres()
    dx, dy = x - ground.core[0], y - ground.core[1]
    away = np.hypot(dx, dy).astype(np.float32)
    off = 1 - np.exp(-far / 520)
    reach = away * (1 + 0.46 * off * np.clip(away / 3600, 0.2, 1.3))
    gaps = np.diff(np.r_[arterials.bearings, arterials.bearings[0] + 2 * np.pi])
    bearing = np.arctan2(dy, dx).astype(np.float32)
    for k, (depth, width) in zip(
        np.argsort(-gaps)[:3], ((2300, 0.22), (1800, 0.19), (1100, 0.17)), strict=True
    ):
        middle = arterials.bearings[k] + gaps[k] / 2
        turned = np.abs(np.angle(np.exp(1j * (bearing - middle)))).astype(np.float32)
        reach += depth * np.exp(-((turned / width) ** 2)) * np.clip((away - 1700) / 2200, 0, 1.2)
    course = shapely.get_coordinates(ground.river_line)
    order = np.argsort(course[:, 1])
    bank = np.interp(y[:, 0], course[order, 1], course[order, 0])[:, None]
    home = np.sign(ground.core[0] - float(np.interp(ground.core[1], course[order, 1], course[order, 0])))
    reach += np.where((x - bank) * home < 0, np.float32(480), np.float32(0))
    zone = np.hypot(x - arterials.zone[0], y - arterials.zone[1]) * (1 + 0.25 * off)
    reach = np.minimum(reach, 3150 + 1.25 * zone.astype(np.float32))
    reach += np.float32(420) * smooth_noise(rng, 1900) * np.clip(away / 3000, 0, 1)
    reach += np.float32(200) * smooth_noise(rng, 620) * np.clip(away / 2500, 0, 1)
    reach += np.float32(1300) * np.clip(ground.hills / 0.2, 0, 4)
    found: Array = reach.astype(np.float32)
    return found


def _main_part(mask: Array, row: int, column: int) -> Array:
    """The connected part at a cell, without narrow necks and small holes."""
    ball = np.hypot(*np.mgrid[-6:7, -6:7]) < 6.5
    firm = binary_opening(mask[::2, ::2], ball[::2, ::2], iterations=2)
    parts, _ = label(firm)
    kept = parts == parts[row // 2, column // 2]
    closed: Array = binary_closing(np.pad(kept, 12), ball[::2, ::2], iterations=2)[12:-12, 12:-12]
    return np.kron(closed, np.ones((2, 2), dtype=bool)).astype(bool)


def _shape_of(mask: Array, holes_m2: float, soft_m: float) -> Any:
    """Largest region of a mask as a polygon with soft corners, without small holes."""
    shapes, _ = polygons(mask.astype(np.int32), mask)
    if len(shapes) == 0:
        return shapely.Polygon()
    shape = max(shapes, key=lambda part: part.area)
    keep = [ring for ring in shape.interiors if shapely.Polygon(ring).area > holes_m2]
    soft = shapely.Polygon(shape.exterior, keep).buffer(soft_m).buffer(-2 * soft_m).buffer(soft_m)
    parts = [part for part in shapely.get_parts(soft) if part.geom_type == "Polygon"]
    return max(parts, key=lambda part: part.area).simplify(8.0)


def _towns(seed: int, ground: Ground, far: Array, taken: Any, free: Array) -> tuple[list[Any], list[Any]]:
    """Outlines of the towns, long along their main road, and wider ones for the development boundary."""
    rng = stream(seed, "town.outlines")
    x, y = cell_centres()
    ragged = smooth_noise(rng, 420)
    other = smooth_noise(rng, 700)
    near_city = taken.buffer(220)
    towns: list[Any] = []
    wider: list[Any] = []
    for a, b, radius in ground.towns:
        column, row = np.abs(x[0] - a).argmin(), np.abs(y[:, 0] - b).argmin()
        window = (
            slice(max(row - 190, 0), min(row + 190, N)), slice(max(column - 190, 0), min(column + 190, N)),
        )  # fmt: skip
        away = np.hypot(x[:, window[1]] - a, y[window[0]] - b)
        reach = away * (0.82 + 0.48 * (1 - np.exp(-far[window] / 210)))
        late = reach + 0.20 * radius * ragged[window]
        for found, limit, blur in ((towns, radius, 25.0), (wider, 1.24 * radius, 60.0)):
            mask = np.zeros((N, N), dtype=bool)
            mask[window] = (late + (blur > 30) * 0.10 * radius * other[window] < limit) & free[window]
            shape = _shape_of(mask, 1e5, blur).difference(near_city)
            parts = [p for p in shapely.get_parts(shape) if p.geom_type == "Polygon" and p.area > 5e4]
            rest = outline(a, b, radius).difference(near_city)
            found.append(max(parts, key=lambda p: p.area) if parts else rest)
    return towns, wider


def make_form(seed: int, ground: Ground, arterials: Arterials) -> Form:
    """Outlines of city, towns and development boundary for one seed."""
    lines = [line.buffer(9) for line, kind in arterials.drawn if kind != "trunk"]
    far = (distance_transform_edt(~burn(lines, all_touched=True)) * CELL).astype(np.float32)
    reach = _reach(seed, ground, arterials, far)
    free = ~burn([ground.reservoir.buffer(250)]) & (ground.hills < 0.30)
    land = free & ~ground.river_mask
    inside = np.sort(reach[land])
    x, y = cell_centres()
    row, column = np.abs(y[:, 0] - ground.core[1]).argmin(), np.abs(x[0] - ground.core[0]).argmin()
    limit = inside[int(CITY_KM2 * 1e4)]
    city = _shape_of(_main_part((reach < limit) & free, int(row), int(column)), 2.5e5, 40.0)
    rng = stream(seed, "boundary")
    planned = reach + np.float32(210) * smooth_noise(rng, 1300)
    order = np.sort(planned[land])
    wide = (planned < order[int(CITY_KM2 * PLANNED * 1e4)]) & free
    towns, wider = _towns(seed, ground, far, city, free)
    outer = _shape_of(_main_part(wide, int(row), int(column)), 4e5, 60.0)
    parts = [outer, city.buffer(45), *wider, *(town.buffer(35) for town in towns)]
    boundary = shapely.union_all(parts)
    boundary = boundary.buffer(40).buffer(-40).simplify(6.0)
    limits = np.array([inside[int(CITY_KM2 * share * 1e4)] for share in GROWN])
    settled = shapely.union_all([city, *towns])
    shapely.prepare(settled)
    homes = np.array([outline(a, b, r).buffer(30) for a, b, r in ground.villages], dtype=object)
    villages = ground.villages[~shapely.intersects(settled, homes)]
    return Form(reach, limits, city, towns, boundary, villages)
