"""Roads of the demo city: rings, radials, street grids, village lanes, noded into one graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from workbench.samples.ground import Ground, outline
from workbench.samples.space import BOTTOM, CRS, LEFT, SIDE, Array, stream

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
    """The road network and the outlines it hangs on."""

    roads: gpd.GeoDataFrame
    rings: list[Any]
    """Areas inside the inner, middle and outer ring road."""
    rail: gpd.GeoDataFrame
    stations: gpd.GeoDataFrame


def _ring(core: tuple[float, float], radius_m: float, phase: Array) -> Any:
    angle = np.linspace(0, 2 * np.pi, 145)[:-1]
    wave = 1 + 0.07 * np.sin(2 * angle + phase[0]) + 0.035 * np.sin(3 * angle + phase[1])
    return shapely.Polygon(
        np.c_[
            core[0] + 1.08 * radius_m * wave * np.cos(angle), core[1] + 0.96 * radius_m * wave * np.sin(angle)
        ]
    )


def _grid(
    centre: tuple[float, float], half_m: float, step_m: float, turn: float, phase: Array, bend_m: float
) -> tuple[list[Any], list[int]]:
    """Two families of gently bent street lines around a centre, with their running number."""
    t = np.linspace(-half_m, half_m, int(half_m / 20))
    lines, numbers = [], []
    count = int(half_m / step_m)
    for family in (0, 1):
        for k in range(-count, count + 1):
            at = k * step_m + 0.17 * step_m * np.sin(2.1 * k + phase[family])
            u, v = (t, np.full_like(t, at)) if family == 0 else (np.full_like(t, at), t)
            du = bend_m * np.sin(v / 1900 + phase[2]) + 0.4 * bend_m * np.sin(u / 900 + phase[3])
            dv = bend_m * np.sin(u / 2100 + phase[4]) + 0.4 * bend_m * np.sin(v / 1000 + phase[5])
            u, v = u + du, v + dv
            x = centre[0] + u * np.cos(turn) - v * np.sin(turn)
            y = centre[1] + u * np.sin(turn) + v * np.cos(turn)
            lines.append(shapely.LineString(np.c_[x, y]))
            numbers.append(k)
    return lines, numbers


def _meander(rng: np.random.Generator, start: Array, end: Array) -> Any:
    """Road from start to end that swings a little."""
    length = float(np.hypot(*(end - start)))
    t = np.linspace(0, 1, max(8, int(length / 150)))
    normal = np.array([-(end - start)[1], (end - start)[0]]) / length
    swing = length * 0.03 * (rng.normal() * np.sin(np.pi * t) + 0.5 * rng.normal() * np.sin(2 * np.pi * t))
    return shapely.LineString(start + (end - start) * t[:, None] + normal * swing[:, None])


def _raw_lines(seed: int, ground: Ground) -> tuple[list[tuple[Any, str]], list[Any]]:
    """Roads as drawn, before noding, with their class; and the areas inside the rings."""
    rng = stream(seed, "streets")
    core = ground.core
    phase = rng.uniform(0, 2 * np.pi, 6)
    rings = [_ring(core, radius, phase) for radius in (1500.0, 2900.0, 4300.0)]
    drawn: list[tuple[Any, str]] = [
        (rings[0].exterior, "primary"), (rings[1].exterior, "primary"), (rings[2].exterior, "trunk"),
    ]  # fmt: skip
    turn = rng.uniform(-0.25, 0.25)
    lines, numbers = _grid(core, 6000, 265, turn, phase, 55)
    area = rings[2].buffer(9)
    for line, k in zip(lines, numbers, strict=True):
        kind = "secondary" if k % 4 == 0 else "tertiary" if k % 2 == 0 else "residential"
        drawn += [(part, kind) for part in shapely.get_parts(shapely.intersection(line, area))]
    box = shapely.box(LEFT, BOTTOM, LEFT + SIDE, BOTTOM + SIDE)
    middle = np.array(core)
    towns = ground.towns[:, :2]
    passed: set[int] = set()
    for k in range(8):
        angle = turn + np.pi / 4 * k + 0.12 * rng.normal()
        far = middle + 16_000 * np.array([np.cos(angle), np.sin(angle)])
        stop = np.array(shapely.intersection(box, shapely.LineString([middle, far])).coords[-1])
        away = towns - middle
        turned = np.abs(np.angle(np.exp(1j * (np.arctan2(away[:, 1], away[:, 0]) - angle))))
        first = middle + 1400 * np.array([np.cos(angle), np.sin(angle)])
        if turned.min() < 0.36 and int(turned.argmin()) not in passed:
            passed.add(int(turned.argmin()))
            via = towns[int(turned.argmin())]
            drawn += [(_meander(rng, first, via), "primary"), (_meander(rng, via, stop), "secondary")]
        else:
            drawn.append((_meander(rng, first, stop), "primary"))
    for x, y, radius in ground.towns:
        shape = outline(x, y, radius)
        streets, numbers = _grid((x, y), radius * 1.3, 165, rng.uniform(0, 1.5), rng.uniform(0, 6, 6), 14)
        for line, k in zip(streets, numbers, strict=True):
            kind = "tertiary" if k % 3 == 0 else "residential"
            drawn += [(part, kind) for part in shapely.get_parts(shapely.intersection(line, shape.buffer(5)))]
        drawn.append((shape.exterior, "tertiary"))
    order = np.argsort(np.arctan2(towns[:, 1] - middle[1], towns[:, 0] - middle[0]))
    for a, b in zip(order, np.roll(order, -1), strict=True):
        if np.hypot(*(towns[a] - towns[b])) < 9500:
            drawn.append((_meander(rng, towns[a], towns[b]), "secondary"))
    return [(shapely.intersection(line, box), kind) for line, kind in drawn], rings


def _link(
    rng: np.random.Generator, drawn: list[tuple[Any, str]], places: Array, inner: Any
) -> list[tuple[Any, str]]:
    """A lane from each village to the nearest road so far, a little past it so that the two cross."""
    added: list[tuple[Any, str]] = []
    # street grids end a little past the outline of their town, in stubs that are cut off later
    open_road = [
        line for line, kind in drawn if kind in ("trunk", "primary", "secondary") and not inner.covers(line)
    ]
    lines = list(shapely.get_parts(np.array([*open_road, *(a for a, _ in drawn if a.is_ring)], dtype=object)))
    net = shapely.multilinestrings(lines)
    order = np.argsort(shapely.distance(shapely.points(places[:, :2]), net))
    for x, y, radius in places[order]:
        turn = rng.uniform(0, np.pi)
        cross = [
            shapely.LineString(
                [
                    (x - radius * 1.1 * np.cos(turn + a), y - radius * 1.1 * np.sin(turn + a)),
                    (x + radius * 1.1 * np.cos(turn + a), y + radius * 1.1 * np.sin(turn + a)),
                ]
            )
            for a in (0, np.pi / 2)
        ]
        reach = np.array(shapely.shortest_line(shapely.Point(x, y), net).coords)
        span = reach[1] - reach[0]
        past = reach[1] + span / max(float(np.hypot(*span)), 1.0) * 6
        lane = _meander(rng, reach[0], past)
        added += [(lane, "service"), *((line, "service") for line in cross)]
        lines.append(lane)
        net = shapely.multilinestrings(lines)
    return added


def _noded(drawn: list[tuple[Any, str]]) -> tuple[Array, Array]:
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


def _tidy(parts: Array, kind: Array, rng: np.random.Generator, ground: Ground) -> tuple[Array, Array]:
    """Without stubs, without minor bridges, thinned at random, and connected."""
    water = shapely.union_all([ground.rivers, ground.lake, ground.reservoir]).buffer(4)
    shapely.prepare(water)
    minor = (kind == CLASSES.index("tertiary")) | (kind == CLASSES.index("residential"))
    keep = ~(minor & shapely.intersects(water, parts))
    keep &= ~((kind == CLASSES.index("secondary")) & shapely.intersects(ground.lake, parts))
    keep &= ~((kind == CLASSES.index("residential")) & (rng.random(len(parts)) < 0.12))
    parts, kind = parts[keep], kind[keep]
    for _ in range(3):
        a, b, count = _ends(parts)
        degree = np.bincount(np.r_[a, b], minlength=count)
        stub = (degree[a] == 1) | (degree[b] == 1)
        keep = ~(stub & (shapely.length(parts) < 25))
        parts, kind = parts[keep], kind[keep]
    walk = kind > 0
    a, b, count = _ends(parts)
    graph = coo_matrix((np.ones(walk.sum()), (a[walk], b[walk])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    main = np.bincount(group[a[walk]]).argmax()
    keep = ~walk | (group[a] == main)
    return parts[keep], kind[keep]


def make_streets(seed: int, ground: Ground) -> Streets:
    """Road network, railway and stations for one seed."""
    rng = stream(seed, "streets.more")
    drawn, rings = _raw_lines(seed, ground)
    drawn += _link(rng, drawn, ground.villages, rings[2].buffer(20))
    core = np.array(ground.core)
    south = _meander(
        rng, np.array([LEFT, BOTTOM + 2600 + rng.uniform(-300, 300)]), np.array([LEFT + SIDE, BOTTOM + 3100])
    )
    east = _meander(rng, np.array([LEFT + 17_300, BOTTOM]), np.array([LEFT + 18_600, BOTTOM + SIDE]))
    drawn += [(south, "motorway"), (east, "motorway")]
    parts, kind = _noded(drawn)
    parts, kind = _tidy(parts, kind, rng, ground)
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
    rail, stations = _rail(rng, core)
    return Streets(roads, rings, rail, stations)


def _rail(rng: np.random.Generator, core: Array) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Two metro lines that cross near the centre and the main line, with their stations."""
    turn = rng.uniform(-0.2, 0.2)
    lines, stations = [], []
    for number, angle in enumerate((turn + 0.25, turn + 1.85)):
        direction = np.array([np.cos(angle), np.sin(angle)])
        line = _meander(rng, core - direction * 6200, core + direction * 6200)
        lines.append((f"L{number + 1}", f"轨道{number + 1}号线", line))
        stops = shapely.line_interpolate_point(line, np.arange(350, line.length, 1180))
        stations += [(f"{number + 1}号线第{k + 1}站", f"L{number + 1}", stop) for k, stop in enumerate(stops)]
    main = _meander(rng, np.array([LEFT, BOTTOM + 4300]), np.array([LEFT + SIDE, BOTTOM + 6600]))
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
