"""Main roads of the demo city: the old city's ring, a second ring, a bypass, roads outwards and between towns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from scipy.interpolate import CubicSpline

from workbench.samples.ground import Ground
from workbench.samples.space import BOTTOM, LEFT, SIDE, Array, stream

Drawn = list[tuple[Any, str]]
"""Roads as drawn, before noding, with their class."""


@dataclass(frozen=True)
class Arterials:
    """Main roads as drawn, and what the city grows along."""

    drawn: Drawn
    old_ring: Any
    """Area inside the ring road of the old city."""
    turn: float
    """Direction of the old city's main street, radians from east."""
    bearings: Array
    """Bearings of the roads outwards, radians from east, sorted."""
    zone: tuple[float, float]
    """Middle of the economic development zone, on one of the roads outwards."""


def meander(rng: np.random.Generator, start: Array, end: Array, swing_share: float = 0.03) -> Any:
    """Road from start to end that swings a little."""
    length = float(np.hypot(*(end - start)))
    t = np.linspace(0, 1, max(8, int(length / 150)))
    normal = np.array([-(end - start)[1], (end - start)[0]]) / length
    swing = rng.normal() * np.sin(np.pi * t) + 0.5 * rng.normal() * np.sin(2 * np.pi * t)
    swing += 0.25 * rng.normal() * np.sin(3 * np.pi * t)
    swing *= length * swing_share
    return shapely.LineString(start + (end - start) * t[:, None] + normal * swing[:, None])


def _around(core: Array, bearing: Array, radius_m: Array, *, closed: bool) -> Array:
    """Smooth line through points given by bearing and distance from the centre."""
    knots = core + radius_m[:, None] * np.c_[np.cos(bearing), np.sin(bearing)]
    if closed:
        knots = np.r_[knots, knots[:1]]
    at = np.arange(len(knots), dtype=float)
    curve = CubicSpline(at, knots, bc_type="periodic" if closed else "natural")
    line: Array = curve(np.linspace(0, at[-1], 24 * len(knots)))
    return line


def _old_ring(rng: np.random.Generator, core: Array, turn: float) -> Any:
    """Ring road where the walls of the old city stood: a worn rectangle."""
    t = np.linspace(0, 2 * np.pi, 97)[:-1]
    power = 0.6
    u = 1080 * np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power
    v = 830 * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power
    wear = 1 + 0.05 * rng.normal() * np.sin(2 * t + 1) + 0.045 * rng.normal() * np.sin(3 * t + 2)
    u, v = u * wear, v * wear
    ring = shapely.Polygon(
        np.c_[core[0] + u * np.cos(turn) - v * np.sin(turn), core[1] + u * np.sin(turn) + v * np.cos(turn)]
    )
    return ring.buffer(60).buffer(-60).simplify(4)


def _outwards(
    rng: np.random.Generator, core: Array, towns: Array, turn: float, ring: Any
) -> tuple[Drawn, Array]:
    """Eight roads from the old city to the edge, through towns where one lies near; and their bearings."""
    box = shapely.box(LEFT, BOTTOM, LEFT + SIDE, BOTTOM + SIDE)
    drawn: Drawn = []
    bearings = turn + np.pi / 4 * np.arange(8) + rng.normal(0, 0.13, 8)
    passed: set[int] = set()
    away = towns - core
    for number, bearing in enumerate(bearings):
        step = np.array([np.cos(bearing), np.sin(bearing)])
        stop = np.array(
            shapely.intersection(box, shapely.LineString([core, core + 16_000 * step])).coords[-1]
        )
        turned = np.abs(np.angle(np.exp(1j * (np.arctan2(away[:, 1], away[:, 0]) - bearing))))
        # the two main streets of the old city cross at its centre; the others end at its ring
        gap = (
            0.0 if number % 2 == 0 else float(shapely.LineString([core, stop]).intersection(ring).length) - 15
        )
        first = core + gap * step
        if turned.min() < 0.42 and int(turned.argmin()) not in passed:
            passed.add(int(turned.argmin()))
            via = towns[int(turned.argmin())]
            drawn += [(meander(rng, first, via), "primary"), (meander(rng, via, stop), "secondary")]
        else:
            drawn.append((meander(rng, first, stop, 0.022), "primary"))
    return drawn, np.sort(np.mod(bearings, 2 * np.pi))


def _slip(end: Array, net: Any) -> Any:
    """Shortest way from the end of a road to the roads there are, a little past them."""
    way = shapely.get_coordinates(shapely.shortest_line(shapely.Point(end), net))
    span = way[1] - way[0]
    return shapely.LineString([way[0], way[1] + span / max(float(np.hypot(*span)), 1.0) * 6])


def make_arterials(seed: int, ground: Ground) -> Arterials:
    """Main roads for one seed."""
    rng = stream(seed, "arterials")
    core, towns = np.array(ground.core), ground.towns[:, :2]
    turn = float(rng.uniform(-0.25, 0.25))
    ring = _old_ring(rng, core, turn)
    drawn, bearings = _outwards(rng, core, towns, turn, ring)
    drawn.append((ring.exterior, "primary"))
    around = turn + 2 * np.pi * (np.arange(9) + rng.uniform(-0.22, 0.22, 9)) / 9
    second = _around(core, around, 2450 * rng.uniform(0.84, 1.22, 9), closed=True)
    drawn.append((shapely.LineString(second), "primary"))
    start = float(rng.choice(bearings)) - 0.03
    span = rng.uniform(3.7, 4.6)
    swing = start + span * np.linspace(0, 1, 8)
    bypass = _around(core, swing, 4950 * rng.uniform(0.90, 1.12, 8), closed=False)
    net = shapely.multilinestrings([line for line, _ in drawn])
    drawn.append((shapely.LineString(bypass), "trunk"))
    drawn += [(_slip(bypass[0], net), "trunk"), (_slip(bypass[-1], net), "trunk")]
    order = np.argsort(np.arctan2(towns[:, 1] - core[1], towns[:, 0] - core[0]))
    for a, b in zip(order, np.roll(order, -1), strict=True):
        if np.hypot(*(towns[a] - towns[b])) < 9500:
            drawn.append((meander(rng, towns[a], towns[b], 0.05), "secondary"))
    box = shapely.box(LEFT, BOTTOM, LEFT + SIDE, BOTTOM + SIDE)
    drawn = [
        (part, kind)
        for line, kind in drawn
        for part in shapely.get_parts(shapely.intersection(line, box))
        if part.geom_type == "LineString"
    ]
    free = [
        b for b in bearings
        if not len(towns) or np.hypot(*(towns - core - 5600 * np.array([np.cos(b), np.sin(b)])).T).min() > 2300
    ]  # fmt: skip
    dry = [
        b for b in free or list(bearings) if _plain(ground, core + 4700 * np.array([np.cos(b), np.sin(b)]))
    ]
    toward = float(rng.choice(dry or free or list(bearings)))
    middle = core + 4700 * np.array([np.cos(toward), np.sin(toward)])
    return Arterials(drawn, ring, turn, bearings, (float(middle[0]), float(middle[1])))


def _plain(ground: Ground, place: Array) -> bool:
    """Whether a place is on level, dry ground."""
    column, row = int((place[0] - LEFT) / 10), int((BOTTOM + SIDE - place[1]) / 10)
    return bool(ground.hills[row, column] < 0.15 and ground.to_river_m[row, column] > 600)
