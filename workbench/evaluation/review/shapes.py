"""What may be reviewed: polygons whose area is beyond doubt."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from workbench.operators.overlay import polygonal

Words = tuple[str, str]
SAME_M2 = 0.01
"""A repair that changes the area by less leaves no doubt about what was meant."""
LEAST_M2 = 1.0
"""Smaller shapes are slips of the hand."""


def clean_shape(geometry: Any) -> tuple[Any, Words, Words]:
    """Make a shape fit to be judged, or say why it is not.

    A ring that touches itself, a repeated corner or a spike is repaired, because its area stays as it was. A ring that
    crosses itself (a bow-tie) is refused: which of its lobes is meant is not for a program to say. Heights and measures
    are dropped.

    Parameters
    ----------
    geometry : shapely geometry or None
        In metres.

    Returns
    -------
    shape : Polygon, MultiPolygon or None
    note : (Chinese, English)
        What was done to it; empty when nothing was.
    problem : (Chinese, English)
        Why it is refused; empty when it is not.

    Examples
    --------
    >>> clean_shape(shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)]))[2][1]
    'the polygon crosses itself at (5.00, 5.00): its area is ambiguous'
    """
    none: Words = ("", "")
    if geometry is None or shapely.is_empty(geometry):
        return None, none, ("图形为空", "the shape is empty")
    shape = shapely.force_2d(geometry)
    if not np.isfinite(shapely.get_coordinates(shape)).all():
        return None, none, ("图形坐标含无效数值", "the shape has coordinates that are no numbers")
    notes: list[Words] = []
    if shape.geom_type == "GeometryCollection":
        parts = polygonal(np.array([shape], dtype=object))[0]
        if parts is not None:
            notes.append(("已去除图形集合中的点、线", "points and lines of the collection were left out"))
            shape = parts
    if shape.geom_type not in ("Polygon", "MultiPolygon"):
        return (
            None,
            none,
            (f"图形不是面（{shape.geom_type}）", f"the shape is no polygon but a {shape.geom_type}"),
        )
    if not shape.is_valid:
        mended = polygonal(np.array([shapely.make_valid(shape)], dtype=object))[0]
        doubt = max(SAME_M2, 1e-9 * shape.area)
        if mended is None or abs(mended.area - _signed_area(shape)) > doubt:
            return None, none, _crossing(shape)
        reason = shapely.is_valid_reason(shape)
        notes.append(
            (f"图形已修复（{reason}），面积不变", f"the shape was repaired ({reason}), its area is unchanged")
        )
        shape = mended
    if shape.area < LEAST_M2:
        return None, none, (f"图形面积不足{LEAST_M2:g}平方米", f"the shape is smaller than {LEAST_M2:g} m²")
    zh, en = "；".join(one[0] for one in notes), "; ".join(one[1] for one in notes)
    return shape, (f"{zh}。" if zh else "", f"{en[:1].upper()}{en[1:]}." if en else ""), none


def _signed_area(shape: Any) -> float:
    """Area by the rings' own coordinates: shells less holes."""
    total = 0.0
    for part in shapely.get_parts(shape):
        total += abs(shapely.area(shapely.Polygon(part.exterior)))
        total -= sum(abs(shapely.area(shapely.Polygon(hole))) for hole in part.interiors)
    return total


def _crossing(shape: Any) -> Words:
    """Words on where a shape is at fault."""
    reason = str(shapely.is_valid_reason(shape))
    name, _, place = reason.partition("[")
    at = place.rstrip("]").split()
    where = f"({float(at[0]):.2f}, {float(at[1]):.2f})" if len(at) >= 2 else reason
    if "Self-intersection" in name:
        return (
            f"图形自相交于{where}，面积有歧义",
            f"the polygon crosses itself at {where}: its area is ambiguous",
        )
    return f"图形无效于{where}（{name.strip()}）", f"the polygon is invalid at {where}: {name.strip()}"
