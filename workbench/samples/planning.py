"""Planning lines of the demo city: what must be kept, and where building is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import shapely.affinity
from scipy.ndimage import gaussian_filter

from workbench.samples.cover import NEVER, OF
from workbench.samples.fabric import Fabric, polygon_parts, unite
from workbench.samples.form import Form
from workbench.samples.ground import Ground, outline
from workbench.samples.space import (
    BOTTOM,
    CRS,
    LEFT,
    SIDE,
    Array,
    burn,
    polygons,
    sample,
    smooth_noise,
    stream,
)

APPROVED = "2021-12-30"
"""Date on which the plan was approved."""
PREFIX = {
    "permanent_farmland": "YN", "ecological_red_line": "HX", "development_boundary": "KF", "green_line": "LVX",
    "blue_line": "LX", "purple_line": "ZX", "yellow_line": "HUX", "nature_reserve": "BHD", "flood_line": "HS",
    "heritage_line": "WB", "mineral_line": "KQ", "industrial_line": "GY",
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """Planning lines by role, and the outlines used to plant changes."""

    lines: dict[str, gpd.GeoDataFrame]
    """Role -> line_id, name, kind, approved, ended, geometry."""
    boundary: Any
    """Area inside the development boundary."""
    red: Any
    """Area inside the ecological red line, whatever its dates."""
    farmland: Array
    """Pieces of the fabric under permanent farmland in force at the end of the last year."""
    ended: Array
    """Pieces under permanent farmland that ended before the last year."""
    future: Array
    """Pieces under permanent farmland that is approved after the last year."""


def lines_frame(role: str, rows: list[tuple[str, str, str, str | None, Any]]) -> gpd.GeoDataFrame:
    """Rows (name, kind, approved, ended, geometry) as a layer of planning lines."""
    return gpd.GeoDataFrame(
        {
            "line_id": [f"{PREFIX[role]}{k + 1:04d}" for k in range(len(rows))],
            "name": [row[0] for row in rows],
            "kind": [row[1] for row in rows],
            "approved": pd.to_datetime([row[2] for row in rows]).astype("datetime64[ms]"),
            "ended": pd.to_datetime(pd.Series([row[3] for row in rows], dtype=object)).astype(
                "datetime64[ms]"
            ),
        },
        geometry=shapely.intersection(
            np.array([row[4] for row in rows], dtype=object),
            shapely.box(LEFT, BOTTOM, LEFT + SIDE, BOTTOM + SIDE),
        ),
        crs=CRS,
    )


def _smooth(shape: Any, radius_m: float) -> Any:
    return shape.buffer(radius_m).buffer(-2 * radius_m).buffer(radius_m).simplify(3.0)


def _red_line(ground: Ground, fabric: Fabric, boundary: Any, seed: int) -> list[Any]:
    """Parts of the ecological red line in the hills and at the reservoir."""
    rng = stream(seed, "red")
    field = gaussian_filter(ground.hills * (ground.dem > 90), 12) + 0.16 * smooth_noise(rng, 2600)
    field += 0.11 * smooth_noise(rng, 900)
    inner = field > 0.66
    shapes, _ = polygons(inner.astype(np.int32), inner)
    big = [_smooth(shape, 70) for shape in shapes if shape.area > 6e5]
    lake = _smooth(ground.reservoir.buffer(190), 60)
    whole = shapely.union_all([*big, lake])
    built = fabric.shapes[(fabric.since != NEVER) & (fabric.town != 3) & (fabric.town > 0)]
    near = built[shapely.STRtree(built).query(whole, predicate="dwithin", distance=40)]
    whole = whole.difference(shapely.union_all([boundary.buffer(60), *shapely.buffer(near, 40)]))
    return [part for part in polygon_parts(whole) if part.area > 1e5]


def _reserve(seed: int, ground: Ground, red: Any) -> Any:
    """Nature reserve: the high part of the largest piece of the red line, with an uneven edge."""
    rough = smooth_noise(stream(seed, "reserve"), 1700)
    height = gaussian_filter(ground.dem, 25)
    inside = burn([red.buffer(-60)])
    high = inside & (height + 38 * rough > np.quantile(height[inside], 0.45))
    shapes, _ = polygons(high.astype(np.int32), high)
    return max(
        polygon_parts(_smooth(max(shapes, key=lambda part: part.area), 70)), key=lambda part: part.area
    )


def _farmland(fabric: Fabric, boundary: Any, red: Any, seed: int) -> Array:
    """Pieces of field that are permanent farmland."""
    rng = stream(seed, "farmland")
    crop = np.isin(fabric.codes, [OF["0101"], OF["0102"], OF["0103"]]).all(axis=1)
    shapely.prepare(boundary)
    shapely.prepare(red)
    free = ~shapely.intersects(boundary, fabric.shapes) & ~shapely.intersects(red, fabric.shapes)
    big = shapely.area(fabric.shapes) > 9000
    lean = smooth_noise(rng, 1800)
    x, y = shapely.get_coordinates(shapely.centroid(fabric.shapes)).T
    chosen: Array = crop & free & big & (fabric.since == NEVER) & (sample(lean, x, y) > -0.75)
    return chosen


def _urban_lines(
    ground: Ground, old_ring: Any, fabric: Fabric, boundary: Any
) -> dict[str, list[tuple[str, str, str, str | None, Any]]]:
    """Green, blue, purple and yellow line, flood, heritage and industrial lines."""
    last = fabric.codes[:, -1]

    def old(share: float) -> Any:
        return shapely.affinity.scale(old_ring, share, share)

    green = unite(fabric.shapes[last == OF["0810"]], np.zeros((last == OF["0810"]).sum(), dtype=int))[0]
    yellow = fabric.shapes[(last == OF["0809"]) & (shapely.area(fabric.shapes) > 4000)][:40]
    works = fabric.shapes[np.isin(last, [OF["0601"], OF["0508"]])]
    industry = polygon_parts(shapely.union_all(works).buffer(60).buffer(-75).buffer(15))
    old_town = old(0.52).intersection(shapely.affinity.rotate(old(0.60), 20))
    water = ground.rivers.union(ground.lake)
    in_city = boundary.buffer(300)
    sites = [
        shapely.Point(x, y).buffer(60 + 12 * (k % 4)) for k, (x, y, _) in enumerate(ground.villages[::12])
    ]
    return {
        "green_line": [
            (f"绿线{k + 1}", "公园绿地", APPROVED, None, g) for k, g in enumerate(green) if g.area > 4000
        ],
        "blue_line": [
            (f"蓝线{k + 1}", "河湖", APPROVED, None, g)
            for k, g in enumerate(polygon_parts(water.buffer(20).intersection(in_city)))
        ],
        "purple_line": [("古城历史文化街区", "历史文化街区", "2016-05-20", None, old_town)],
        "yellow_line": [(f"黄线{k + 1}", "市政公用设施", APPROVED, None, g) for k, g in enumerate(yellow)],
        "flood_line": [
            (f"洪涝风险控制线{k + 1}", "洪涝风险", APPROVED, None, g)
            for k, g in enumerate(polygon_parts(_smooth(ground.rivers.buffer(110), 40)))
        ],
        "heritage_line": [
            ("古城保护范围", "历史城区", "2016-05-20", None, old(0.86)),
            *[(f"文物保护单位{k + 1}", "文物保护单位", "2018-03-01", None, g) for k, g in enumerate(sites)],
            (
                "待公布文物点",
                "文物保护单位",
                "2026-02-01",
                None,
                old(0.97).difference(old(0.90)),
            ),
        ],
        "industrial_line": [
            (f"工业用地控制线{k + 1}", "工业用地", APPROVED, None, g)
            for k, g in enumerate(industry)
            if g.area > 15_000
        ],
    }


def make_plan(
    seed: int, ground: Ground, form: Form, old_ring: Any, fabric: Fabric, unit_names: Array
) -> Plan:
    """Planning lines for one seed; the borders of permanent farmland are borders of fields."""
    boundary, parts = form.boundary, polygon_parts(form.boundary)
    red_parts = _red_line(ground, fabric, boundary, seed)
    red = shapely.union_all(red_parts)
    chosen = _farmland(fabric, boundary, red, seed)
    shapes, member = unite(fabric.shapes[chosen], fabric.unit[chosen])
    unit_of = fabric.unit[chosen][member]
    order = np.argsort(-shapely.area(shapes), kind="stable")
    dates: list[tuple[str, str | None]] = [(APPROVED, None)] * len(shapes)
    medium = [int(k) for k in order if 60_000 < shapes[k].area < 900_000]
    dates[medium[0]] = ("2017-06-30", "2024-08-31")
    dates[medium[1]] = ("2026-03-01", None)
    rows = [
        (f"{unit_names[unit_of[k] - 1]}永久基本农田", "永久基本农田", *dates[k], shape)
        for k, shape in enumerate(shapes)
    ]
    tree = shapely.STRtree(shapely.point_on_surface(fabric.shapes))
    ended, future = np.zeros(len(chosen), dtype=bool), np.zeros(len(chosen), dtype=bool)
    ended[tree.query(shapes[medium[0]], predicate="contains")] = True
    future[tree.query(shapes[medium[1]], predicate="contains")] = True
    red_rows: list[tuple[str, str, str, str | None, Any]] = [
        (f"生态保护红线{k + 1}", "水源涵养" if k % 2 else "生物多样性维护", "2021-06-30", None, shape)
        for k, shape in enumerate(red_parts)
    ]
    late = red_parts[0].centroid.buffer(1) if not red_parts else min(red_parts, key=lambda part: part.area)
    strip = late.buffer(230).difference(late).difference(boundary.buffer(80))
    built = fabric.shapes[fabric.since != NEVER]
    near = built[shapely.STRtree(built).query(strip, predicate="intersects")]
    strip = strip.difference(shapely.union_all([red, *shapely.buffer(near, 5)]))
    strip = strip.difference(shapely.union_all(fabric.shapes[chosen]).buffer(1))
    new = max(polygon_parts(strip.buffer(-15).buffer(15)), key=lambda part: part.area)
    red_rows.append(("生态保护红线增补", "水土保持", "2025-04-15", None, new))
    mine = max(red_parts, key=lambda part: part.area).representative_point()
    hill_edge = outline(mine.x + 3300, mine.y - 1500, 430)
    reserve = _reserve(seed, ground, max(red_parts, key=lambda part: part.area))
    lines: dict[str, list[tuple[str, str, str, str | None, Any]]] = {
        "permanent_farmland": rows,
        "ecological_red_line": red_rows,
        "development_boundary": [
            (f"城镇开发边界{k + 1}", "集中建设区", APPROVED, None, shape) for k, shape in enumerate(parts)
        ],
        "nature_reserve": [("示范山自然保护区", "自然保护区", "2012-10-01", None, reserve)],
        "mineral_line": [
            ("示范石灰岩矿区", "矿产资源控制线", "2015-01-01", "2024-12-31", hill_edge.difference(red))
        ],
        **_urban_lines(ground, old_ring, fabric, boundary),
    }
    return Plan(
        {role: lines_frame(role, lines[role]) for role in PREFIX},
        boundary,
        shapely.union_all([red, new]),
        chosen & ~ended & ~future,
        ended,
        future,
    )
