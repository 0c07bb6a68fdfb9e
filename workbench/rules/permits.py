"""How pieces of changed land stand to the permits that cover them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core.errors import ParameterError
from workbench.operators.area import area_m2
from workbench.operators.guards import valid_polygons
from workbench.rules.shapes import Geoms, mean_widths, shared, thick, united, without

AUTHORISING = frozenset({"农转用", "供地", "规划许可", "施工", "核实", "临时用地"})
"""Kinds of permit that allow building on the land they cover. 预审 allows none; 设施农用地 allows no construction
land."""
KINDS = ("预审", "农转用", "供地", "规划许可", "施工", "核实", "临时用地", "设施农用地")
"""All kinds of permit that are known."""
STATES = ("已批", "批少占多", "未批先建", "过期", "无", "不确定")
"""All states; ``不确定`` also where a city has no permit data."""
IDENTITIES = ("project_code", "unit_no", "supervision_no", "activity_type")
"""Fields of a permit that are handed on to the case: project, real-estate unit, supervision number, activity."""
MATCH_COLUMNS = ["state", "permit_ids", "permit_kinds", "permit_share", "permit_end", *IDENTITIES]


def mean_width_m(geometry: Any) -> float:
    """Mean width of a polygon in the plane: twice the area by the perimeter, summed over its parts.

    A strip of width *w* has mean width *w* (less a little for its ends), a square half its side.

    >>> round(mean_width_m(shapely.box(0, 0, 1000, 2)), 2)
    2.0
    """
    return float(mean_widths(np.array([geometry], dtype=object))[0])


def match_many(
    pieces: Geoms,
    permits: gpd.GeoDataFrame | None,
    *,
    crs: Any,
    days: pd.DatetimeIndex,
    min_area_m2: float,
    min_width_m: float,
    kinds: Collection[str] = AUTHORISING,
) -> pd.DataFrame:
    """State of pieces of changed land, by geometry, kind and dates of the permits.

    What stands there was seen on a day of ``days``, that of the later survey or image. A permit is in force when it was
    approved by that day and has not ended by then; when building began is not known, so a permit approved between
    the two surveys counts as given in time.

    - what permits in force leave open is smaller than ``min_area_m2`` (slivers aside): 已批;
    - permits in force cover a part: 批少占多;
    - only permits approved after the day: 未批先建; only ones ended by it: 过期;
    - none touches it: 无; no permit layer at all, or no approval date: 不确定.

    Parameters
    ----------
    pieces : array of Polygon or MultiPolygon
        In ``crs``, metres.
    permits : GeoDataFrame or None
        ``permit_id, kind, approved, ended`` with dates; fields of :data:`IDENTITIES` where known.
    crs : Any
        CRS of both.
    days : DatetimeIndex
        For each piece the day on which it was seen.
    min_area_m2, min_width_m : float
        Smaller or thinner remainders are boundary mismatch.
    kinds : collection of str
        Kinds of permit that allow the change.

    Returns
    -------
    DataFrame
        One row a piece, columns :data:`MATCH_COLUMNS`: state, numbers and kinds of the permits that touch it, the
        share covered by those in force, and the first day on which one of them ends (missing when none does).
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ParameterError("unknown kinds of permit", found=unknown, expected="、".join(KINDS))
    count = len(pieces)
    out = pd.DataFrame("", index=range(count), columns=MATCH_COLUMNS)
    out["state"] = "不确定" if permits is None else "无"
    out["permit_share"] = 0.0
    out["permit_end"] = pd.NaT
    if permits is None or not count:
        return out
    able = permits[permits["kind"].isin(kinds)]
    i, j, overlap, whole = shared(pieces, valid_polygons(able, where="permits"))
    touching = whole | (shapely.area(overlap) >= 0.5 * shapely.area(pieces[i]))
    touching |= ~shapely.is_missing(thick(overlap, min_width_m))
    i, j, overlap, whole = i[touching], j[touching], overlap[touching], whole[touching]
    if not len(i):
        return out
    near = able.iloc[j]
    approved = pd.to_datetime(near["approved"]).to_numpy("datetime64[s]")
    ended = pd.to_datetime(near["ended"]).to_numpy("datetime64[s]")
    seen = days.to_numpy("datetime64[s]")[i]
    late, over, unknown_day = approved > seen, ended <= seen, np.isnat(approved)
    valid = ~late & ~over & ~unknown_day
    has = {
        name: np.bincount(i, weights=flag, minlength=count) > 0
        for name, flag in {"any": np.ones(len(i)), "valid": valid, "late": late, "over": over,
                           "unknown": unknown_day}.items()
    }  # fmt: skip
    out["state"] = np.select(
        [has["unknown"], has["late"] & ~has["over"], has["any"]], ["不确定", "未批先建", "过期"], "无"
    )
    _share(out, pieces, has["valid"], (i[valid], overlap[valid], whole[valid]), crs, min_area_m2, min_width_m)
    for column, values in _told(near, i, valid, ended).items():
        out.loc[values.index, column] = values
    return out


def _share(
    out: pd.DataFrame,
    pieces: Geoms,
    has_valid: Any,
    pairs: tuple[Any, Any, Any],
    crs: Any,
    min_area_m2: float,
    min_width_m: float,
) -> None:
    """Write state and covered share of the pieces that permits in force touch."""
    i, overlap, whole = pairs
    at = np.flatnonzero(has_valid)
    full = np.zeros(len(pieces), dtype=bool)
    full[i[whole]] = True
    out.loc[full, "state"], out.loc[full, "permit_share"] = "已批", 1.0
    at = at[~full[at]]
    if not len(at):
        return
    covered = united(overlap, i, len(pieces))[at]
    left = thick(without(pieces[at], covered), min_width_m)
    share = area_m2(covered, crs) / area_m2(pieces[at], crs)
    out.loc[at, "state"] = np.where(area_m2(left, crs) < min_area_m2, "已批", "批少占多")
    out.loc[at, "permit_share"] = np.minimum(share, 1.0)


def _told(near: gpd.GeoDataFrame, i: Any, valid: Any, ended: Any) -> dict[str, pd.Series[Any]]:
    """Numbers, kinds and identities of the permits that touch each piece, and when the first in force ends."""
    table = pd.DataFrame({"piece": i, "permit_ids": near["permit_id"].astype(str).to_numpy()})
    table["permit_kinds"] = near["kind"].astype(str).to_numpy()
    for name in IDENTITIES:
        text = near[name] if name in near else pd.Series("", index=near.index)
        table[name] = text.fillna("").astype(str).to_numpy()
    told = {}
    for name in ("permit_ids", "permit_kinds", *IDENTITIES):
        some = table.loc[table[name] != "", ["piece", name]].drop_duplicates().sort_values(["piece", name])
        told[name] = some.groupby("piece")[name].agg(" ".join)
    ends = pd.Series(ended[valid], dtype="datetime64[s]").groupby(i[valid]).min()
    told["permit_end"] = ends.dropna()
    return told
