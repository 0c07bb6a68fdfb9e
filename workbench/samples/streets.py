"""Roads of the demo city: main roads, a street pattern for each quarter, village lanes, noded into one graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from workbench.samples.arterials import Arterials, Drawn, meander
from workbench.samples.form import Form
from workbench.samples.ground import Ground
from workbench.samples.space import BOTTOM, CRS, LEFT, SIDE, Array, sample, stream

CLASSES = ["motorway", "trunk", "primary", "secondary", "tertiary", "residential", "service", "track"]
SPEED = dict(zip(CLASSES, [100, 70, 60, 50, 40, 30, 20, 15], strict=True))
WIDTH_M = dict(zip(CLASSES, [50, 44, 40, 32, 24, 18, 16, 16], strict=True))
NAMES = [
    "人民",
    "建设",
    "文昌",
    "中山",
    "解放",
    "江滨",
    "迎宾",
    "学府",
    "新华",
    "和平",
    "青云",
    "翠湖",
    "育才",
    "东风",
    "环城",
    "工业",
]


@dataclass(frozen=True)
class Streets:
    """The road network and the quarters whose streets follow one pattern."""

    roads: gpd.GeoDataFrame
    rail: gpd.GeoDataFrame
    stations: gpd.GeoDataFrame
    quarters: Array
    """Quarters of the city, polygons."""
    turns: Array
    """Direction of the streets of each quarter, radians from east."""


class _Bend:
    """A smooth displacement of the plane: long swings everywhere, short ones in the old city."""

    def __init__(self, rng: np.random.Generator, core: Array) -> None:
        self.core = core
        length = np.r_[rng.uniform(900, 2600, 5), rng.uniform(330, 560, 5)]
        angle = rng.uniform(0, 2 * np.pi, 10)
        self.wave = 2 * np.pi / length[:, None] * np.c_[np.cos(angle), np.sin(angle)]
        self.phase = rng.uniform(0, 2 * np.pi, (2, 10))
        self.size = np.r_[0.016 * length[:5], 0.032 * length[5:]]

    def __call__(self, xy: Array) -> Array:
        away = np.hypot(*(xy - self.core).T)
        local = np.where(np.arange(10) < 5, 1.0, np.exp(-((away / 1500) ** 2))[:, None])
        turn = (xy - self.core) @ self.wave.T
        moved: Array = xy + np.stack(
            [(self.size * local * np.sin(turn + self.phase[k])).sum(axis=1) for k in (0, 1)], axis=1
        )
        return moved


def _grid(
    rng: np.random.Generator, centre: tuple[float, float], half_m: float, step_m: float, turn: float
) -> tuple[list[Any], list[int]]:
    """Two families of street lines around a centre, unevenly apart, with their running number."""
    lines, numbers = [], []
    for family, stretch in ((0, 1.0), (1, rng.uniform(1.0, 1.45))):
        steps = step_m * stretch * rng.uniform(0.72, 1.28, int(2.4 * half_m / (step_m * stretch)) + 2)
        offsets = np.cumsum(steps) - steps.sum() / 2
        for k, at in enumerate(offsets[np.abs(offsets) < half_m]):
            u, v = (np.array([-half_m, half_m]), np.array([at, at]))
            if family == 1:
                u, v = v, u
            x = centre[0] + u * np.cos(turn) - v * np.sin(turn)
            y = centre[1] + u * np.sin(turn) + v * np.cos(turn)
            lines.append(shapely.LineString(np.c_[x, y]))
            numbers.append(k)
    return lines, numbers


def _quarter_seeds(rng: np.random.Generator, form: Form, core: Array) -> Array:
    """Middles of the quarters, farther apart outwards."""
    west, south, east, north = form.city.buffer(300).bounds
    tries = np.c_[rng.uniform(west, east, 4000), rng.uniform(south, north, 4000)]
    tries = np.r_[core[None], tries]
    apart = 720 + 0.13 * np.hypot(*(tries - core).T)
    kept: list[int] = []
    for k, place in enumerate(tries):
        if all(np.hypot(*(place - tries[j])) > max(apart[k], apart[j]) for j in kept):
            kept.append(k)
    found: Array = tries[kept]
    return found


def _quarters(
    rng: np.random.Generator, form: Form, ground: Ground, arterials: Arterials
) -> tuple[Drawn, Array, Array]:
    """Streets of the city quarter by quarter, the quarters' outlines and directions."""
    core = np.array(ground.core)
    seeds = _quarter_seeds(rng, form, core)
    cells = shapely.get_parts(
        shapely.voronoi_polygons(shapely.MultiPoint(seeds), extend_to=form.city.buffer(1500), ordered=True)
    )
    bend = _Bend(rng, core)
    river = ground.river_line
    drawn: list[tuple[Any, str]] = []
    turns = []
    swing = rng.uniform(0, 2 * np.pi, 2)
    for seed, cell in zip(seeds, cells, strict=True):
        away = float(np.hypot(*(seed - core)))
        turn = arterials.turn + 0.22 * np.sin(seed[0] / 2600 + swing[0]) * np.clip(away / 2000, 0, 1.3)
        turn += 0.16 * np.sin(seed[1] / 1900 + swing[1]) * np.clip(away / 2000, 0, 1.3) + rng.normal(0, 0.05)
        near = river.project(shapely.Point(seed))
        if river.distance(shapely.Point(seed)) < 900:
            a, b = river.interpolate(near - 300), river.interpolate(near + 300)
            along = float(np.arctan2(b.y - a.y, b.x - a.x))
            turn = along + np.pi / 2 * round((turn - along) / (np.pi / 2))
        turns.append(float(turn))
        step = 165.0 if away < 1200 else rng.uniform(190, 240) if away < 2900 else rng.uniform(235, 310)
        half = float(np.hypot(*(shapely.get_coordinates(cell) - seed).T).max()) + 20
        lines, numbers = _grid(rng, (seed[0], seed[1]), half, step, float(turn))
        for line, k in zip(lines, numbers, strict=True):
            kind = "tertiary" if k % 3 == 1 else "residential"
            drawn += [(part, kind) for part in shapely.get_parts(shapely.intersection(line, cell.buffer(3)))]
    edges = shapely.get_parts(shapely.node(shapely.multilinestrings([cell.exterior for cell in cells])))
    drawn += [(edge, "secondary") for edge in edges]
    lines_all = shapely.transform(
        shapely.segmentize(np.array([line for line, _ in drawn], dtype=object), 35), bend
    )
    warped = shapely.transform(shapely.segmentize(cells, 35), bend)
    area = form.city.buffer(9)
    shapely.prepare(area)
    clipped = shapely.intersection(lines_all, area)
    found = [
        (part, kind)
        for line, (_, kind) in zip(clipped, drawn, strict=True)
        for part in shapely.get_parts(line)
        if part.length > 20
    ]
    return found, warped, np.array(turns)


def _town_streets(rng: np.random.Generator, form: Form, ground: Ground) -> Drawn:
    """Street grids of the towns."""
    drawn: Drawn = []
    for (x, y, radius), shape in zip(ground.towns, form.towns, strict=True):
        streets, numbers = _grid(rng, (x, y), radius * 2.2, 165, float(rng.uniform(0, 1.5)))
        bend = _Bend(rng, np.array([x, y]))
        for line, k in zip(streets, numbers, strict=True):
            kind = "tertiary" if k % 3 == 0 else "residential"
            bent = shapely.transform(shapely.segmentize(line, 35), bend)
            parts = shapely.get_parts(shapely.intersection(bent, shape.buffer(4)))
            drawn += [(part, kind) for part in parts]
    return drawn


def _link(rng: np.random.Generator, drawn: Drawn, places: Array) -> Drawn:
    """A lane from each village to the nearest road so far, a little past it so that the two cross."""
    added: Drawn = []
    lines = [line for line, _ in drawn]
    net = shapely.multilinestrings(lines)
    order = np.argsort(shapely.distance(shapely.points(places[:, :2]), net))
    for x, y, radius in places[order]:
        turn = rng.uniform(0, np.pi)
        cross = []
        for angle in (turn, turn + np.pi / 2):
            step = 1.05 * radius * np.array([np.cos(angle), np.sin(angle)])
            cross.append(shapely.LineString([(x - step[0], y - step[1]), (x + step[0], y + step[1])]))
        reach = np.array(shapely.shortest_line(shapely.Point(x, y), net).coords)
        span = reach[1] - reach[0]
        past = reach[1] + span / max(float(np.hypot(*span)), 1.0) * 6
        lane = meander(rng, reach[0], past)
        added += [(lane, "service"), *((line, "service") for line in cross)]
        lines.append(lane)
        net = shapely.multilinestrings(lines)
    return added


def _noded(drawn: Drawn) -> tuple[Array, Array]:
    """Segments between junctions with shared end points exactly equal, and the class of each."""
    lines = np.array([line for line, _ in drawn], dtype=object)
    rank = np.array([CLASSES.index(kind) for _, kind in drawn])
    parts = shapely.get_parts(shapely.line_merge(shapely.union_all(lines, grid_size=0.01)))
    middle = shapely.line_interpolate_point(parts, 0.5, normalized=True)
    tree = shapely.STRtree(lines)
    hits = tree.query(middle, predicate="dwithin", distance=0.6)
    best = np.full(len(parts), len(CLASSES) - 1)
    np.minimum.at(best, hits[0], rank[hits[1]])
    return parts, best


def _ends(parts: Array) -> tuple[Array, Array, int]:
    """Number of the node at either end of each segment."""
    first = shapely.get_coordinates(shapely.get_point(parts, 0))
    last = shapely.get_coordinates(shapely.get_point(parts, -1))
    keys = np.round(np.r_[first, last] * 100).astype(np.int64)
    _, node = np.unique(keys, axis=0, return_inverse=True)
    node = node.ravel()
    return node[: len(parts)], node[len(parts) :], int(node.max()) + 1


def _beside(parts: Array, kind: Array) -> Array:
    """Segments that run close along a larger road."""
    found = np.zeros(len(parts), dtype=bool)
    for low, high, gap in (("residential", "secondary", 48.0), ("tertiary", "secondary", 42.0),
                           ("residential", "tertiary", 34.0), ("secondary", "primary", 40.0)):  # fmt: skip
        mine = np.flatnonzero(kind == CLASSES.index(low))
        larger = (kind <= CLASSES.index(high)) & (kind > 0)
        strip = shapely.union_all(shapely.buffer(parts[larger], gap, quad_segs=3, cap_style="flat"))
        shapely.prepare(strip)
        found[mine] |= shapely.covered_by(parts[mine], strip) & (shapely.length(parts[mine]) > 12)
    return found


def _tidy(
    parts: Array, kind: Array, rng: np.random.Generator, ground: Ground, city: Any
) -> tuple[Array, Array]:
    """Without stubs, without minor bridges, thinned at random, and connected."""
    water = shapely.union_all([ground.rivers, ground.lake, ground.reservoir]).buffer(4)
    shapely.prepare(water)
    minor = (kind == CLASSES.index("tertiary")) | (kind == CLASSES.index("residential"))
    wet = shapely.intersects(water, parts)
    keep = ~(minor & wet)
    local = (kind == CLASSES.index("secondary")) & shapely.covered_by(parts, city.buffer(10))
    keep &= ~(local & wet & (rng.random(len(parts)) < 0.6))
    keep &= ~((kind == CLASSES.index("secondary")) & shapely.intersects(ground.lake, parts))
    keep &= ~_beside(parts, kind)
    middle = shapely.get_coordinates(shapely.line_interpolate_point(parts, 0.5, normalized=True))
    old = np.hypot(*(middle - np.array(ground.core)).T) < 1200
    keep &= ~((kind == CLASSES.index("residential")) & (rng.random(len(parts)) < np.where(old, 0.20, 0.13)))
    parts, kind = parts[keep], kind[keep]
    for _ in range(4):
        a, b, count = _ends(parts)
        degree = np.bincount(np.r_[a, b], minlength=count)
        stub = (degree[a] == 1) | (degree[b] == 1)
        short = np.where((kind <= CLASSES.index("residential")) & (kind > 2), 45, 25)
        keep = ~(stub & (shapely.length(parts) < short))
        parts, kind = parts[keep], kind[keep]
    walk = kind > 0
    a, b, count = _ends(parts)
    graph = coo_matrix((np.ones(walk.sum()), (a[walk], b[walk])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    main = np.bincount(group[a[walk]]).argmax()
    keep = ~walk | (group[a] == main)
    return parts[keep], kind[keep]


def make_streets(seed: int, ground: Ground, form: Form, arterials: Arterials) -> Streets:
    """Road network, railway and stations for one seed."""
    rng = stream(seed, "streets")
    drawn = list(arterials.drawn)
    local, quarters, turns = _quarters(rng, form, ground, arterials)
    lanes = _link(rng, drawn, form.villages)
    drawn += local + _town_streets(rng, form, ground) + lanes
    core = np.array(ground.core)
    south = meander(
        rng, np.array([LEFT, BOTTOM + 2200 + rng.uniform(-300, 300)]), np.array([LEFT + SIDE, BOTTOM + 2700])
    )
    east = meander(rng, np.array([LEFT + 17_300, BOTTOM]), np.array([LEFT + 18_600, BOTTOM + SIDE]))
    drawn += [(south, "motorway"), (east, "motorway")]
    parts, kind = _noded(drawn)
    parts, kind = _tidy(parts, kind, rng, ground, form.city)
    names = np.array(CLASSES)[kind]
    label = np.array([f"{NAMES[i % len(NAMES)]}{'大道' if k <= 2 else '路'}" for i, k in enumerate(kind)])
    label[kind >= CLASSES.index("residential")] = ""
    label[kind == 0] = "示范高速公路"
    roads = gpd.GeoDataFrame(
        {
            "road_id": [f"R{i + 1:05d}" for i in range(len(parts))],
            "road_class": names,
            "walkable": kind > 0,
            "drive_kmh": pd.Series(names).map(SPEED).astype(float),
            "name": label,
        },
        geometry=parts,
        crs=CRS,
    )
    rail, stations = _rail(rng, core, arterials.turn, form)
    return Streets(roads, rail, stations, quarters, turns)


def _rail(
    rng: np.random.Generator, core: Array, turn: float, form: Form
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Two metro lines that cross near the centre and the main line, with their stations."""
    lines, stations = [], []
    for number, angle in enumerate((turn + 0.12, turn + 1.75)):
        direction = np.array([np.cos(angle), np.sin(angle)])
        ends = []
        for sign in (-1, 1):
            away = np.arange(3200.0, 6300.0, 100.0)
            at = core + sign * direction * away[:, None]
            urban = sample(form.reach, at[:, 0], at[:, 1]) < form.limits[-1]
            ends.append(core + sign * direction * (float(away[urban].max()) if urban.any() else 3200.0))
        line = meander(rng, ends[0], ends[1], 0.05)
        lines.append((f"L{number + 1}", f"轨道{number + 1}号线", line))
        stops = shapely.line_interpolate_point(line, np.arange(250, line.length, 1090))
        stations += [(f"{number + 1}号线第{k + 1}站", f"L{number + 1}", stop) for k, stop in enumerate(stops)]
    main = meander(rng, np.array([LEFT, BOTTOM + 4300]), np.array([LEFT + SIDE, BOTTOM + 6600]))
    lines.append(("L9", "示范铁路", main))
    stations.append(("示范南站", "L9", main.interpolate(main.project(shapely.Point(core)))))
    rail = gpd.GeoDataFrame(
        {"line_id": [a for a, _, _ in lines], "name": [b for _, b, _ in lines]},
        geometry=[c for _, _, c in lines],
        crs=CRS,
    )
    points = gpd.GeoDataFrame(
        {
            "station_id": [f"S{k + 1:02d}" for k in range(len(stations))],
            "name": [a for a, _, _ in stations],
            "line": [b for _, b, _ in stations],
        },
        geometry=[c for _, _, c in stations],
        crs=CRS,
    )
    return rail, points
