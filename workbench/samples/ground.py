"""Hills, rivers and the places of the demo city's settlements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
import shapely.affinity
import shapely.ops
from scipy.interpolate import CubicSpline
from scipy.ndimage import distance_transform_edt, gaussian_filter

from workbench.samples.space import (
    BOTTOM,
    CELL,
    LEFT,
    SIDE,
    Array,
    burn,
    cell_centres,
    sample,
    smooth_noise,
    stream,
)


@dataclass(frozen=True)
class Ground:
    """What was there before the city."""

    core: tuple[float, float]
    """Centre of the city, easting and northing in metres."""
    dem: Array
    """Heights in metres, float32."""
    hills: Array
    """0 on the plain, towards 1 in the mountains, float32."""
    river_line: Any
    """Centre line of the main river, flowing north to south."""
    rivers: Any
    """Surface of all rivers."""
    reservoir: Any
    lake: Any
    river_mask: Array
    """Cells of river surface."""
    to_river_m: Array
    """Distance to the nearest river cell in metres, float32."""
    towns: Array
    """Easting, northing, radius in metres; (number, 3)."""
    villages: Array
    """Easting, northing, radius in metres; (number, 3). Those that the city swallows are taken out later."""


def _curve(rng: np.random.Generator, knots: Array, wiggle_m: float) -> Any:
    """Smooth line through jittered knots, given in kilometres from the lower left corner."""
    points = knots * 1000.0
    points[1:-1] += rng.normal(0, 250, points[1:-1].shape)
    at = np.arange(len(points), dtype=float)
    fine = np.linspace(0, len(points) - 1, 420)
    xy = CubicSpline(at, points)(fine)
    direction = np.gradient(xy, axis=0)
    normal = np.stack([-direction[:, 1], direction[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    length = np.r_[0, np.cumsum(np.hypot(*np.diff(xy, axis=0).T))]
    swing = np.sin(length / 520 + rng.uniform(0, 6)) + 0.6 * np.sin(length / 230 + rng.uniform(0, 6))
    ends = np.clip(np.minimum(length, length[-1] - length) / 600, 0, 1)
    xy = xy + normal * (swing * wiggle_m * ends)[:, None]
    return shapely.LineString(xy + np.array([LEFT, BOTTOM]))


def _rivers(rng: np.random.Generator, core: tuple[float, float]) -> tuple[Any, Any, Any, Any]:
    """Main river's line, all river surface, reservoir and lake."""
    main = _curve(
        rng, np.array([[6.6, 20.3], [8.2, 16.0], [11.8, 12.4], [12.7, 9.2], [12.2, 5.6], [14.4, -0.3]]), 90
    )
    meet_a = main.interpolate(0.70, normalized=True)
    meet_b = main.interpolate(0.30, normalized=True)
    west = _curve(
        rng,
        np.array(
            [[-0.3, 11.2], [2.4, 9.2], [5.6, 6.2], [9.0, 4.6], [_km(meet_a.x, LEFT), _km(meet_a.y, BOTTOM)]]
        ),
        70,
    )
    east = _curve(
        rng,
        np.array([[20.3, 15.6], [17.2, 14.6], [14.2, 15.0], [_km(meet_b.x, LEFT), _km(meet_b.y, BOTTOM)]]),
        60,
    )
    at = np.linspace(0, 1, 40)
    parts = []
    for line, first, last in ((main, 55.0, 120.0), (west, 16.0, 38.0), (east, 18.0, 36.0)):
        for k in range(len(at) - 1):
            piece = shapely.ops.substring(line, at[k], at[k + 1], normalized=True)
            parts.append(piece.buffer(first + (last - first) * at[k]))
    surface = shapely.union_all(parts)
    dam = west.interpolate(0.17, normalized=True)
    blob = _blob(rng, dam.x - 450, dam.y + 420, 560, 0.35)
    bearing = rng.uniform(1.9, 2.6)
    lake = _blob(rng, core[0] + 2180 * np.cos(bearing), core[1] + 2080 * np.sin(bearing), 310, 0.2)
    return main, surface, blob, lake


def _km(value: float, origin: float) -> float:
    return (value - origin) / 1000.0


def _blob(rng: np.random.Generator, x: float, y: float, radius_m: float, roughness: float) -> Any:
    """Closed wavy outline around a centre."""
    angle = np.linspace(0, 2 * np.pi, 121)[:-1]
    radius = np.ones_like(angle)
    for wave in range(2, 7):
        radius += roughness / wave * rng.normal() * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    radius = np.clip(radius, 0.45, 1.6) * radius_m
    return shapely.Polygon(np.c_[x + radius * np.cos(angle), y + radius * np.sin(angle)])


def outline(x: float, y: float, radius_m: float) -> Any:
    """Uneven, stretched outline of a village; the same place always has the same."""
    rng = np.random.default_rng([int(x), int(y)])
    shape = _blob(rng, x, y, radius_m, 0.42)
    stretch = rng.uniform(1.0, 1.65)
    longer = shapely.affinity.scale(shape, stretch**0.5, stretch**-0.5, origin=(x, y))
    return shapely.affinity.rotate(longer, float(rng.uniform(0, 180)), origin=(x, y))


def _scatter(
    rng: np.random.Generator,
    allowed: Array,
    count: int,
    apart_m: float,
    taken: list[tuple[float, float, float]],
) -> list[tuple[float, float]]:
    """Random places on allowed cells that keep their distance from each other and from those taken."""
    rows, columns = np.nonzero(allowed[::10, ::10])
    order = rng.permutation(len(rows))
    x0, y0 = cell_centres()
    xs, ys = x0[0, ::10][columns[order]], y0[::10, 0][rows[order]]
    found: list[tuple[float, float]] = []
    for x, y in zip(xs, ys, strict=True):
        if len(found) == count:
            break
        if any(np.hypot(x - a, y - b) < gap for a, b, gap in taken):
            continue
        if all(np.hypot(x - a, y - b) >= apart_m for a, b in found):
            found.append((float(x), float(y)))
    return found


def make_ground(seed: int) -> Ground:
    """Terrain, waters and places of settlements for one seed."""
    rng = stream(seed, "ground")
    x, y = cell_centres()
    u, v = (x - LEFT) / SIDE, (y - BOTTOM) / SIDE
    core = (LEFT + 10_600 + rng.uniform(-250, 250), BOTTOM + 8_600 + rng.uniform(-250, 250))
    main, rivers, reservoir, lake = _rivers(rng, core)
    river_mask = burn([rivers])
    to_river = (distance_transform_edt(~river_mask) * CELL).astype(np.float32)
    lift = (
        0.95 * v + 0.85 * (1 - u) - 1.17 + 0.075 * smooth_noise(rng, 5200) + 0.06 * smooth_noise(rng, 1900)
        + 0.022 * smooth_noise(rng, 700)
    )  # fmt: skip
    from_core = np.hypot(x - core[0], y - core[1]) / 1000
    lift -= 0.9 * np.exp(-((from_core / 5.2) ** 2))
    lift += 0.22 * np.exp(-(((u - 0.93) / 0.07) ** 2) - ((v - 0.30) / 0.09) ** 2)
    hills = 1 / (1 + np.exp(-lift / 0.045))
    hills *= np.clip((to_river - 60) / 500, 0.0, 1.0)
    ridges = 1 - np.abs(smooth_noise(rng, 2600)) * 0.62
    ridges = ridges + 0.45 * (1 - np.abs(smooth_noise(rng, 1100))) + 0.12 * smooth_noise(rng, 420)
    dem = (
        9
        + 7 * v
        + 4 * (1 - u)
        + 0.8 * smooth_noise(rng, 2500)
        + hills * (95 + 190 * np.clip(ridges, 0, 2) * np.clip(0.4 + 1.4 * lift, 0.2, 1.8))
    )
    dem = gaussian_filter(dem, 2)
    bed = 3 + 14 * v + 2 * (1 - u)
    dem = np.where(river_mask, bed, np.minimum(dem, bed + 2.5 + to_river * (0.012 + 0.75 * hills)))
    wet = burn([reservoir])
    dem[wet] = float(np.quantile(dem[wet], 0.2))
    hills = hills.astype(np.float32)
    dry = (hills < 0.12) & (to_river > 350) & ~burn([lake.buffer(250), reservoir.buffer(300)])
    edge = np.minimum(np.minimum(x - LEFT, LEFT + SIDE - x), np.minimum(y - BOTTOM, BOTTOM + SIDE - y))
    places = _scatter(rng, dry & (edge > 1300), 7, 3300, [(*core, 6300.0)])
    towns = np.array([(a, b, rng.uniform(480, 780)) for a, b in places])
    gaps = [(*core, 2600.0)] + [(a, b, r + 330) for a, b, r in towns]
    homes = (
        (hills < 0.45) & (to_river > 180) & (edge > 350) & ~burn([lake.buffer(150), reservoir.buffer(150)])
    )
    spots = _scatter(rng, homes, 330, 560, gaps)
    villages = np.array([(a, b, float(np.clip(rng.lognormal(4.86, 0.33), 70, 245))) for a, b in spots])
    near = sample(to_river, villages[:, 0], villages[:, 1])
    villages = villages[near > villages[:, 2] + 40]
    return Ground(
        core,
        dem.astype(np.float32),
        hills,
        main,
        rivers,
        reservoir,
        lake,
        river_mask,
        to_river,
        towns,
        villages,
    )
