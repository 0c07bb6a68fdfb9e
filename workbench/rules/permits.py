"""How a piece of newly built land stands to the permits that cover it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.operators.area import area_m2

AUTHORISING = frozenset({"农转用", "供地", "规划许可", "施工", "核实", "临时用地"})
"""Kinds of permit that allow building on the land they cover. 预审 allows none; 设施农用地 allows no construction
land."""
STATES = ("已批", "批少占多", "未批先建", "过期", "无", "不确定")
"""All states; ``不确定`` also where a city has no permit data."""


@dataclass(frozen=True)
class PermitMatch:
    """How one piece of land is covered by permits."""

    state: str
    """One of :data:`STATES`."""
    permit_ids: tuple[str, ...]
    """Permits that touch the piece, sorted."""
    covered_share: float
    """Share of the piece covered by permits in force, 0 to 1."""


def mean_width_m(geometry: Any) -> float:
    """Mean width of a polygon in the plane: twice the area by the perimeter, summed over its parts.

    A strip of width *w* has mean width *w* (less a little for its ends), a square half its side.

    >>> round(mean_width_m(shapely.box(0, 0, 1000, 2)), 2)
    2.0
    """
    length = shapely.length(geometry)
    return float(2 * shapely.area(geometry) / length) if length else 0.0


def thick_parts(geometry: Any, *, min_width_m: float) -> Any:
    """Parts of a geometry that are no slivers, as one geometry (empty when none).

    A part is a sliver when its mean width is less than ``min_width_m``.
    """
    parts = shapely.get_parts(geometry)
    parts = parts[shapely.get_type_id(parts) == 3]
    keep = [part for part in parts if mean_width_m(part) >= min_width_m]
    return shapely.MultiPolygon(keep) if len(keep) != 1 else keep[0]


def match_permits(
    piece: Any,
    permits: gpd.GeoDataFrame | None,
    *,
    crs: Any,
    date_after: pd.Timestamp,
    min_area_m2: float,
    min_width_m: float,
) -> PermitMatch:
    """State of one piece of newly built land, by geometry, kind and dates of the permits.

    The building stood at ``date_after``, the day of the later survey or image. A permit is in force when it was
    approved by that day and has not ended by then; when building began is not known, so a permit approved between
    the two surveys counts as given in time.

    - what permits in force leave open is no larger than ``min_area_m2`` (slivers aside): 已批;
    - permits in force cover a part: 批少占多;
    - only permits approved after ``date_after``: 未批先建; only ones ended by ``date_after``: 过期;
    - none touches it: 无; no permit layer at all: 不确定.

    Parameters
    ----------
    piece : Polygon or MultiPolygon
        In ``crs``, metres.
    permits : GeoDataFrame or None
        ``permit_id, kind, approved, ended`` with dates; those near the piece are enough.
    crs : Any
        CRS of both.
    date_after : Timestamp
        Day on which the land was seen built on.
    min_area_m2, min_width_m : float
        Smaller or thinner remainders are boundary mismatch.

    Returns
    -------
    PermitMatch
    """
    if permits is None:
        return PermitMatch("不确定", (), 0.0)
    near = permits.iloc[np.sort(permits.sindex.query(piece, predicate="intersects"))]
    near = near[near["kind"].isin(AUTHORISING)]
    overlap = shapely.intersection(near.geometry.to_numpy(), piece)
    touching = np.array([_counts(shape, piece, min_width_m) for shape in overlap], dtype=bool)
    near = near[touching]
    if near.empty:
        return PermitMatch("无", (), 0.0)
    approved, ended = pd.to_datetime(near["approved"]), pd.to_datetime(near["ended"])
    ids = tuple(sorted(map(str, near["permit_id"])))
    over = (ended <= date_after).to_numpy()
    late = (approved > date_after).to_numpy()
    unknown = approved.isna().to_numpy()
    valid = ~over & ~late & ~unknown
    total = float(area_m2([piece], crs)[0])
    if valid.any():
        union = shapely.union_all(near.geometry.to_numpy()[valid])
        left = thick_parts(shapely.difference(piece, union), min_width_m=min_width_m)
        open_m2 = float(area_m2([left], crs)[0])
        state = "已批" if open_m2 < min_area_m2 else "批少占多"
        share = float(area_m2([shapely.intersection(piece, union)], crs)[0]) / total
        return PermitMatch(state, ids, share)
    if unknown.any():
        return PermitMatch("不确定", ids, 0.0)
    return PermitMatch("未批先建" if late.any() and not over.any() else "过期", ids, 0.0)


def _counts(shape: Any, piece: Any, min_width_m: float) -> bool:
    """Whether a permit's overlap is more than a mismatch along the border."""
    if shapely.area(shape) >= 0.5 * shapely.area(piece):
        return True
    return not shapely.is_empty(thick_parts(shape, min_width_m=min_width_m))
