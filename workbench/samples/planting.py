"""Changes planted between the last two years: what breaks a line, with which permit, and what only seems to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
import shapely.affinity

from workbench.samples.cover import NEVER, OF
from workbench.samples.fabric import Fabric
from workbench.samples.planning import Plan
from workbench.samples.space import Array, stream

STATES = ("无", "已批", "过期", "批少占多", "未批先建")
"""Permit states: none, valid, expired, more taken than approved, built before approval."""


@dataclass(frozen=True)
class Patch:
    """One planted change."""

    host: str
    """Where: permanent_farmland, ecological_red_line, development_boundary (outside it), ended, future."""
    trick: str
    """``plain``, ``sliver`` (a strip of one metre beyond a line) or ``small`` (below the tolerance)."""
    state: str
    """Permit state, one of STATES."""
    after: str
    """Survey code after."""
    tblx: str
    """Code of the change patch."""
    date_after: str
    """Date of the later image."""
    shape: Any
    """Outline."""


def _spec() -> list[tuple[str, str, str, str, str]]:
    """Host, trick, permit state, code after and change code of each patch to plant."""
    farm, red, out = "permanent_farmland", "ecological_red_line", "development_boundary"
    return [
        (farm, "plain", "无", "0702", "20"), (farm, "plain", "无", "0601", "YH"), (farm, "plain", "无", "0702", "DT"),
        (farm, "plain", "已批", "0809", "20"), (farm, "plain", "过期", "0601", "TD"),
        (farm, "plain", "批少占多", "0601", "20"), (farm, "plain", "未批先建", "0809", "20"),
        (farm, "small", "无", "0702", "20"), (farm, "sliver", "无", "0702", "20"), (farm, "sliver", "已批", "0809", "YH"),
        (red, "plain", "无", "0702", "20"), (red, "plain", "无", "05H1", "20"), (red, "plain", "批少占多", "0809", "DT"),
        (red, "plain", "已批", "0809", "20"), (red, "plain", "过期", "0601", "TD"), (red, "small", "无", "0702", "20"),
        (out, "plain", "无", "0601", "20"), (out, "plain", "无", "0702", "20"), (out, "plain", "已批", "0508", "YH"),
        (out, "plain", "未批先建", "0601", "20"), (out, "plain", "过期", "0508", "YH"),
        (out, "plain", "批少占多", "0601", "20"), (out, "small", "无", "0702", "20"), (out, "sliver", "已批", "0601", "20"),
        ("ended", "plain", "已批", "0702", "20"), ("future", "plain", "无", "0601", "20"),
    ]  # fmt: skip


def _outline(rng: np.random.Generator, centre: Any, along_m: float, across_m: float) -> Any:
    """Turned rectangle, sometimes with a corner missing."""
    shape: Any = shapely.box(-along_m / 2, -across_m / 2, along_m / 2, across_m / 2)
    if rng.random() < 0.5:
        shape = shape.difference(shapely.box(along_m * 0.12, across_m * 0.08, along_m, across_m))
    shape = shapely.affinity.rotate(shape, float(rng.uniform(0, 180)), origin=(0, 0))
    return shapely.affinity.translate(shape, centre.x, centre.y)


def _inside(rng: np.random.Generator, room: Any, trick: str) -> Any | None:
    """Outline that lies wholly in a polygon, or None."""
    if trick == "small":
        shape = shapely.affinity.rotate(
            shapely.box(-6, -6.5, 6, 6.5), float(rng.uniform(0, 90)), origin=(0, 0)
        )
        middle = room.representative_point()
        shape = shapely.affinity.translate(shape, middle.x, middle.y)
        return shape if room.contains(shape) else None
    for shrink in (1.0, 0.75, 0.55):
        shape = _outline(
            rng, room.representative_point(), rng.uniform(60, 105) * shrink, rng.uniform(38, 62) * shrink
        )
        if room.contains(shape) and shape.area > 700:
            return shape
    return None


def _beyond_field(fabric: Fabric, plan: Plan, tree: Any, host: int) -> Any | None:
    """Strip along a field that is not permanent farmland, one metre of it over the border of one that is."""
    shape = fabric.shapes[host]
    for other in tree.query(shape, predicate="touches"):
        if not plan.farmland[other]:
            continue
        field = fabric.shapes[other]
        rim = shapely.line_merge(shapely.intersection(shape, field))
        if rim.geom_type != "LineString" or rim.length < 110:
            continue
        disc = rim.interpolate(0.5, normalized=True).buffer(38)
        strip = shape.intersection(field.buffer(24)).intersection(disc)
        reach = field.intersection(shape.buffer(1.3)).intersection(disc)
        whole = shapely.union_all([strip, reach])
        touched = tree.query(whole, predicate="intersects")
        if len(touched) == 2 and whole.geom_type == "Polygon" and 40 < reach.area < 150 and whole.area > 900:
            return whole
    return None


def _beyond_boundary(rng: np.random.Generator, fabric: Fabric, plan: Plan, host: int) -> Any | None:
    """Outline inside the development boundary but for a strip of one metre."""
    shape = fabric.shapes[host].buffer(-4)
    rim = shape.intersection(
        plan.boundary.exterior if plan.boundary.geom_type == "Polygon" else plan.boundary.boundary
    )
    if rim.is_empty or rim.length < 60:
        return None
    middle = rim.interpolate(0.5, normalized=True)
    room = _outline(rng, middle, 78, 50).intersection(shape).intersection(plan.boundary.buffer(1.3))
    over = room.difference(plan.boundary).area
    return room if room.geom_type == "Polygon" and 20 < over < 150 and room.area > 900 else None


def _hosts(fabric: Fabric, plan: Plan, host: str, trick: str) -> Array:
    """Pieces of the fabric that can take a patch of the kind."""
    last = fabric.codes[:, -1]
    idle = (fabric.since == NEVER) & (shapely.area(fabric.shapes) > 14_000)
    green = np.isin(last, [OF[c] for c in ("0103", "0201", "0202", "0301", "0302", "0305", "0307", "0404")])
    crop = np.isin(last, [OF[c] for c in ("0101", "0102", "0103")])
    in_red = shapely.intersects(plan.red, fabric.shapes)
    within = shapely.intersects(plan.boundary, fabric.shapes)
    if trick == "sliver" and host == "permanent_farmland":
        mask = ~plan.farmland & ~plan.ended & ~plan.future & (green | crop) & ~in_red & ~within
        mask &= fabric.since == NEVER
    elif trick == "sliver":
        mask = (
            (fabric.since == NEVER)
            & shapely.intersects(plan.boundary.boundary, fabric.shapes)
            & (green | crop)
        )
    elif host == "permanent_farmland":
        mask = plan.farmland & idle
    elif host == "ecological_red_line":
        mask = idle & green & in_red
    elif host in ("ended", "future"):
        mask = plan.ended if host == "ended" else plan.future
    else:
        mask = idle & (green | crop) & ~plan.farmland & ~plan.ended & ~plan.future & ~in_red & ~within
    return np.flatnonzero(mask)


def make_patches(seed: int, fabric: Fabric, plan: Plan) -> list[Patch]:
    """Planted changes for one seed, at least 400 m apart."""
    rng = stream(seed, "patches")
    tree = shapely.STRtree(fabric.shapes)
    for shape in (plan.red, plan.boundary):
        shapely.prepare(shape)
    found: list[Patch] = []
    places: list[Any] = []
    hosts: dict[tuple[str, str], Array] = {}
    for number, (host, trick, state, after, tblx) in enumerate(_spec()):
        if (host, trick) not in hosts:
            hosts[host, trick] = rng.permutation(_hosts(fabric, plan, host, trick))[:1500]
        for candidate in hosts[host, trick]:
            piece = fabric.shapes[candidate]
            if any(piece.distance(place) < 400 for place in places):
                continue
            if trick == "sliver" and host == "permanent_farmland":
                shape = _beyond_field(fabric, plan, tree, int(candidate))
            elif trick == "sliver":
                shape = _beyond_boundary(rng, fabric, plan, int(candidate))
            else:
                room = piece.buffer(-3)
                if host == "ecological_red_line":
                    room = room.intersection(plan.red.buffer(-30))
                if room.geom_type == "MultiPolygon":
                    room = max(room.geoms, key=lambda part: part.area)
                shape = None if room.is_empty else _inside(rng, room, trick)
            if shape is None:
                continue
            month = 3 + number % 7
            found.append(
                Patch(host, trick, state, after, tblx, f"2025-{month:02d}-{5 + number % 20:02d}", shape)
            )
            places.append(shape)
            break
    return found
