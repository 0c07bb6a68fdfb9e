"""Buildings of the demo city: slabs, courtyards, halls and village rows, in keeping with land use and place."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.samples.cover import Cover
from workbench.samples.ground import Ground
from workbench.samples.space import CRS, Array, sample, stream

USES = {"0701": "住宅", "05H1": "商业", "0601": "工业", "08H1": "办公", "08H2": "公共服务", "0702": "农村住宅",
        "08H2A": "教育", "0508": "仓储", "0809": "公用设施"}  # fmt: skip
"""Survey code -> use of the buildings on it."""
LAYOUTS = {
    "walkup": (46, 12.5, 53, 30), "midrise": (36, 14.5, 50, 40), "towers": (27, 24, 54, 54), "lanes": (19, 11, 21, 18),
    "hall": (92, 46, 114, 68), "sheds": (58, 30, 72, 48), "wings": (58, 18, 76, 44), "rows": (25, 11, 29, 21.5),
    "podium": (52, 36, 64, 50), "huts": (30, 18, 62, 46),
}  # fmt: skip
"""Length and width of a building and the step along and across, in metres."""
FLOORS = {
    "walkup": (3, 5), "midrise": (6, 9), "towers": (14, 28), "lanes": (1, 3), "hall": (1, 1), "sheds": (1, 2), "wings": (2, 4),
    "rows": (1, 3), "podium": (2, 4), "court": (2, 3), "huts": (1, 2),
}  # fmt: skip
"""Least and most storeys."""


def _layouts(rng: np.random.Generator, use: str, near: Array, year: Array, area: Array) -> list[str]:
    """Layout of each parcel of a use, by nearness to the centre (1 to 0), year of building and size."""
    dice = rng.random(len(near))
    if use == "住宅":
        new = year >= 2015
        names = np.select(
            [(near > 0.62) & (dice < 0.50), new & (dice < 0.11), new & (dice < 0.45), ~new & (dice < 0.02),
             ~new & (dice < 0.09)],
            ["lanes", "towers", "midrise", "towers", "midrise"],
            default="walkup",
        )  # fmt: skip
    elif use == "商业":
        names = np.where((area < 2500) | (dice < 0.55), "court", "podium")
    elif use in ("工业", "仓储"):
        names = np.where((area > 14_000) & (dice < 0.75), "hall", "sheds")
    elif use == "农村住宅":
        names = np.full(len(near), "rows")
    elif use == "公用设施":
        names = np.full(len(near), "huts")
    else:
        names = np.where((use == "办公") & (dice < 0.4), "court", "wings")
    return [str(name) for name in names]


def _frame(parcel: Any) -> tuple[Array, Array, Array, Array] | None:
    """Direction of a parcel's longer side, the direction across, and its extent along the two."""
    frame = shapely.get_coordinates(shapely.oriented_envelope(parcel))
    if len(frame) < 5:
        return None
    sides = frame[1:3] - frame[:2]
    side = sides[int(np.hypot(*sides.T).argmax())]
    side = side / np.hypot(*side)
    across = np.array([-side[1], side[0]])
    local = frame @ np.stack([side, across], axis=1)
    return side, across, local.min(axis=0), local.max(axis=0)


def _boxes(parcel: Any, layout: str) -> Array:
    """Footprints in rows over a parcel's extent; those at its edge reach beyond it."""
    long, wide, step_x, step_y = LAYOUTS[layout]
    frame = _frame(parcel)
    if frame is None:
        return np.array([], dtype=object)
    side, across, low, high = frame
    count = np.maximum(np.round((high - low - 4) / (step_x, step_y)), 1)
    middle = (low + high) / 2
    u = middle[0] + (np.arange(count[0]) - (count[0] - 1) / 2) * step_x
    v = middle[1] + (np.arange(count[1]) - (count[1] - 1) / 2) * step_y
    mu, mv = (a.ravel()[:, None] for a in np.meshgrid(u, v))
    corner = [(-long, -wide), (long, -wide), (long, wide), (-long, wide)]
    rings = np.stack([(mu + a / 2) * side + (mv + b / 2) * across for a, b in corner], axis=1)
    boxes: Array = np.asarray(shapely.polygons(np.round(rings, 2)))
    return boxes


def _court(parcel: Any) -> Array:
    """Wings along the edge of a parcel around a court, open where the ways in are."""
    outer = parcel.buffer(-5, join_style="mitre")
    if outer.is_empty:
        return np.array([], dtype=object)
    ring = outer.difference(outer.buffer(-17, join_style="mitre"))
    frame = _frame(parcel)
    if frame is None:
        return np.array([], dtype=object)
    side, across, low, high = frame
    middle = ((low + high) / 2) @ np.stack([side, across])
    reach = float((high - low).max())
    ways = shapely.multilinestrings(
        [[middle - side * reach, middle + side * reach], [middle - across * reach, middle + across * reach]]
    )
    cut = shapely.get_parts(ring.difference(ways.buffer(4.5)))
    return np.array([part for part in cut if part.geom_type == "Polygon"], dtype=object)


def _footprints(parcel: Any, layout: str) -> Array:
    """Footprints on a parcel, cut to it with a margin; slivers are left out."""
    if layout == "court":
        shapes = _court(parcel)
        return shapes[shapely.area(shapes) > 90] if len(shapes) else shapes
    boxes = _boxes(parcel, layout)
    if len(boxes) == 0:
        return boxes
    room = parcel.buffer(-2.0)
    shapely.prepare(room)
    boxes = boxes[shapely.intersects(room, boxes)]
    whole = shapely.contains_properly(room, boxes)
    edge = boxes[~whole]
    cut = shapely.intersection(edge, room)
    share = shapely.area(cut) / np.maximum(shapely.area(edge), 1.0)
    good = (share > 0.42) & (shapely.get_type_id(cut) == 3) & (shapely.area(cut) > 55)
    found: Array = np.concatenate([boxes[whole], cut[good]])
    return found


def _storeys(rng: np.random.Generator, layout: Array, use: Array, near: Array) -> Array:
    """Storeys by layout; offices and shops rise towards the centre, a few above 100 m."""
    low = np.array([FLOORS[name][0] for name in layout])
    high = np.array([FLOORS[name][1] for name in layout])
    floors = low + np.floor(rng.random(len(layout)) ** 1.3 * (high - low + 1))
    tall = np.isin(use, ["商业", "办公"])
    rise = np.where(tall & (rng.random(len(layout)) < 0.10 * near), 6 + 14 * near, 0)
    floors = floors + np.floor(rise * rng.random(len(layout)))
    tower = (use == "商业") & (near > 0.45) & (rng.random(len(layout)) < 0.022)
    found: Array = np.where(tower, 34 + np.floor(20 * rng.random(len(layout))), floors).astype(np.int64)
    return found


def make_buildings(
    seed: int, ground: Ground, land_use: gpd.GeoDataFrame, cover: Cover, patches: list[Any]
) -> gpd.GeoDataFrame:
    """Footprints on built parcels, with height, floors, use and date of completion; and on planted patches."""
    rng = stream(seed, "buildings")
    shapes: list[Array] = []
    layout_of: list[str] = []
    use_of: list[str] = []
    for code, use in USES.items():
        some = land_use.geometry[(land_use["dlbm"] == code) & (land_use.area > 500)].to_numpy()
        inside = shapely.get_coordinates(shapely.point_on_surface(some))
        away = np.hypot(inside[:, 0] - ground.core[0], inside[:, 1] - ground.core[1])
        year = sample(cover.since, inside[:, 0], inside[:, 1])
        layouts = _layouts(rng, use, np.exp(-away / 2100), year, shapely.area(some))
        for parcel, layout in zip(some, layouts, strict=True):
            shapes.append(_footprints(parcel, layout))
            layout_of += [layout] * len(shapes[-1])
            use_of += [use] * len(shapes[-1])
    extra = [patch.shape.buffer(-5) for patch in patches if patch.trick != "small"]
    extra = [max(shapely.get_parts(e), key=lambda p: p.area) for e in extra if not e.is_empty]
    every = np.concatenate([*shapes, np.array(extra, dtype=object)])
    use_of += ["临建"] * len(extra)
    layout_of += ["sheds"] * len(extra)
    middle = shapely.get_coordinates(shapely.centroid(every))
    near = np.exp(-np.hypot(middle[:, 0] - ground.core[0], middle[:, 1] - ground.core[1]) / 2100)
    floors = _storeys(rng, np.array(layout_of), np.array(use_of), near)
    since = sample(cover.since, middle[:, 0], middle[:, 1])
    planted = np.arange(len(since)) >= len(every) - len(extra)
    since = np.where(planted, 2025, np.where(since > 2025, 2009, since))
    year = np.where(since <= 2008, since - rng.integers(0, 9, len(since)), since)
    month, day = rng.integers(1, 11, len(year)), rng.integers(1, 28, len(year))
    done = pd.to_datetime({"year": year, "month": month, "day": day})
    return gpd.GeoDataFrame(
        {
            "building_id": [f"H{k + 1:06d}" for k in range(len(every))],
            "height_m": np.round(floors * np.where(np.isin(use_of, ["工业", "仓储"]), 6.0, 3.1) + 0.6, 1),
            "floors": floors,
            "use": use_of,
            "completed": done.astype("datetime64[ms]").to_numpy(),
        },
        geometry=every,
        crs=CRS,
    )
