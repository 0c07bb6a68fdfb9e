"""Cases: land newly built on the wrong side of a planning line, as shapes with all a case sheet needs.

The same builder serves changes read from land surveys and changes read from imagery. Wording stays 疑似 until a
person has verified; nothing here calls a case unlawful.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core.codes import group, match
from workbench.core.errors import DataQualityError
from workbench.operators.area import area_m2
from workbench.operators.change import change_parcels
from workbench.rules.kinds import judge
from workbench.rules.permits import match_permits, mean_width_m, thick_parts
from workbench.rules.rule import Rule

STATUS_FOUND = "发现"
"""First status of a case: 发现 → 核查 → 整改 → 销号."""
CASE_COLUMNS = [
    "finding_id", "rule", "kind", "level", "outcome", "line", "district", "unit_code", "before", "after",
    "date_before", "date_after", "area_m2", "patch_area_m2", "share", "width_m", "threshold", "margin", "permit_state",
    "permit_ids", "permit_share", "status", "geometry",
]  # fmt: skip
"""Columns of :func:`build_cases`."""
_SNAP_M = 1e-3


@dataclass(frozen=True)
class Change:
    """Two land surveys and the days they describe."""

    before: gpd.GeoDataFrame
    """Parcels with ``dlbm``."""
    after: gpd.GeoDataFrame
    """Parcels with ``dlbm``."""
    date_before: pd.Timestamp
    """Day of the earlier survey."""
    date_after: pd.Timestamp
    """Day of the later survey."""
    images: gpd.GeoDataFrame | None = None
    """Change patches read from imagery (``date_before, date_after``); they narrow the days of a change they cover."""


def in_force(lines: gpd.GeoDataFrame, on_date: pd.Timestamp) -> gpd.GeoDataFrame:
    """Lines approved by a day and not ended on it.

    Parameters
    ----------
    lines : GeoDataFrame
        ``approved``, ``ended`` (date or missing). A missing approval counts as approved long ago.
    on_date : Timestamp
        The day asked.
    """
    approved, ended = pd.to_datetime(lines["approved"]), pd.to_datetime(lines["ended"])
    return lines[(approved.isna() | (approved <= on_date)) & (ended.isna() | (ended > on_date))]


def new_construction(before: gpd.GeoDataFrame, after: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Patches of land that became construction land, touching pieces of one class after merged into one.

    Parameters
    ----------
    before, after : GeoDataFrame of polygons
        Land-use parcels with ``dlbm``, one projected CRS in metres.

    Returns
    -------
    GeoDataFrame[before, after, area_m2, geometry]
        ``before`` is the class with the largest part of the patch; ellipsoidal m²; index = 0 … n-1.
    """
    construction = group("construction")
    codes = before["dlbm"].astype(str)
    start = before[~codes.isin(construction) & (codes != "")]
    end = after[match(after["dlbm"].astype(str), "construction")]
    pieces = change_parcels(start, end)
    rows: list[dict[str, Any]] = []
    for code, same in pieces.groupby("after_dlbm", sort=True):
        merged = shapely.get_parts(
            shapely.union_all(shapely.set_precision(same.geometry.to_numpy(), _SNAP_M), grid_size=_SNAP_M)
        )
        merged = merged[shapely.get_type_id(merged) == 3]
        inner = shapely.point_on_surface(same.geometry.to_numpy())
        of, piece = shapely.STRtree(inner).query(merged, predicate="intersects"), None
        owner, piece = of[0], of[1]
        main = (
            pd.DataFrame(
                {
                    "patch": owner,
                    "before": same["before_dlbm"].to_numpy()[piece],
                    "area": same["area_m2"].to_numpy()[piece],
                }
            )
            .groupby(["patch", "before"], sort=True)["area"]
            .sum()
        )
        for number, patch in enumerate(merged):
            known = main.xs(number, level="patch") if number in main.index.get_level_values(0) else None
            name = str(known.idxmax()) if known is not None else ""
            rows.append({"before": name, "after": str(code), "geometry": patch})
    frame = gpd.GeoDataFrame(
        rows, columns=["before", "after", "geometry"], geometry="geometry", crs=before.crs
    )
    frame.insert(2, "area_m2", area_m2(frame.geometry, before.crs))
    return frame


def build_cases(
    change: Change,
    lines: Mapping[str, gpd.GeoDataFrame],
    rules: Sequence[Rule],
    *,
    permits: gpd.GeoDataFrame | None,
    districts: gpd.GeoDataFrame,
    units: gpd.GeoDataFrame | None,
) -> gpd.GeoDataFrame:
    """Suspected conflicts of new construction with planning lines, one row a patch and line.

    Parameters
    ----------
    change : Change
        Two surveys with their days.
    lines : mapping of role to GeoDataFrame
        Lines with ``approved`` and ``ended``; the geometry in force on ``change.date_after`` is used. A role that is
        not given, or has nothing in force, gives no case.
    rules : sequence of Rule
        Rules of kind ``spatial_conflict``; others are passed over.
    permits : GeoDataFrame or None
        ``permit_id, kind, approved, ended``; None: the state is 不确定.
    districts, units : GeoDataFrame
        Zones with ``code``; ``units`` may be None.

    Returns
    -------
    GeoDataFrame
        Columns :data:`CASE_COLUMNS`; the geometry is the part of the patch on the wrong side, slivers left out, and
        ``area_m2`` its ellipsoidal area. Small ones and slivers are rows too, of level 0 and outcome ``small`` or
        ``sliver``; a caller who reports keeps the others. Ordered by rule, district and number.

    Raises
    ------
    CRSError
        When a layer has another CRS.
    """
    if change.date_after <= change.date_before:
        raise DataQualityError(
            "the later survey is not later", found=f"{change.date_before} … {change.date_after}"
        )
    patches = new_construction(change.before, change.after)
    frames = []
    for rule in rules:
        if rule.kind != "spatial_conflict" or rule.line not in lines:
            continue
        valid = in_force(lines[rule.line], change.date_after)
        if len(valid) and len(patches):
            frames.append(_cases_of_rule(rule, patches, valid, change, permits, districts, units))
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return gpd.GeoDataFrame(columns=CASE_COLUMNS, geometry="geometry", crs=change.before.crs)
    return gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), geometry="geometry", crs=change.before.crs)


def _wrong_side(rule: Rule, patches: gpd.GeoDataFrame, line: gpd.GeoDataFrame) -> pd.Series[Any]:
    """Part of each patch on the wrong side of a line; patches with none are left out."""
    shapes = line.geometry.to_numpy()
    found: dict[Any, Any] = {}
    tree = shapely.STRtree(shapes)
    for index, patch in zip(patches.index, patches.geometry, strict=True):
        near = shapes[np.sort(tree.query(patch))]
        union = shapely.union_all(near) if len(near) else shapely.Polygon()
        part = (
            shapely.intersection(patch, union) if rule.side == "inside" else shapely.difference(patch, union)
        )
        pieces = shapely.get_parts(part)
        pieces = pieces[(shapely.get_type_id(pieces) == 3) & (shapely.area(pieces) > _SNAP_M)]
        if len(pieces):
            found[index] = pieces[0] if len(pieces) == 1 else shapely.MultiPolygon(list(pieces))
    return pd.Series(found, dtype=object)


def _cases_of_rule(
    rule: Rule,
    patches: gpd.GeoDataFrame,
    line: gpd.GeoDataFrame,
    change: Change,
    permits: gpd.GeoDataFrame | None,
    districts: gpd.GeoDataFrame,
    units: gpd.GeoDataFrame | None,
) -> gpd.GeoDataFrame:
    least, thin = float(rule.parameters["min_area_m2"]), float(rule.parameters["min_width_m"])
    crs = patches.crs
    rows = []
    for index, part in _wrong_side(rule, patches, line).items():
        solid = thick_parts(part, min_width_m=thin)
        shape = part if shapely.is_empty(solid) else solid
        area, width = float(area_m2([shape], crs)[0]), mean_width_m(shape)
        state = "无"
        first, last = _days(shape, change)
        if area >= least and width >= thin:
            matched = match_permits(
                shape,
                permits,
                crs=crs,
                date_after=last,
                min_area_m2=least,
                min_width_m=thin,
            )
            state, ids, covered = matched.state, " ".join(matched.permit_ids), matched.covered_share
        else:
            ids, covered = "", math.nan
        outcome = judge(rule, area_m2=area, width_m=width, permit_state=state)
        patch = patches.loc[index]
        rows.append(
            {
                "rule": rule.id,
                "kind": rule.kind,
                "level": outcome.level,
                "outcome": outcome.outcome,
                "line": rule.line,
                "before": patch["before"],
                "after": patch["after"],
                "date_before": first,
                "date_after": last,
                "area_m2": area,
                "patch_area_m2": float(patch["area_m2"]),
                "share": area / float(patch["area_m2"]),
                "width_m": width,
                "threshold": outcome.threshold,
                "margin": outcome.margin,
                "permit_state": state,
                "permit_ids": ids,
                "permit_share": covered,
                "status": STATUS_FOUND,
                "geometry": shape,
            }
        )
    frame = gpd.GeoDataFrame(rows, geometry="geometry", crs=crs) if rows else gpd.GeoDataFrame()
    return _number(frame, rule, change, districts, units) if len(frame) else frame


def _days(shape: Any, change: Change) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Days between which a piece changed: those of the change patch that covers most of it, else of the surveys."""
    first, last = change.date_before, change.date_after
    images = change.images
    if images is None or images.empty:
        return first, last
    near = np.sort(images.sindex.query(shape, predicate="intersects"))
    if not len(near):
        return first, last
    overlap = shapely.area(shapely.intersection(images.geometry.to_numpy()[near], shape))
    if overlap.max() < 0.5 * shapely.area(shape):
        return first, last
    image = images.iloc[near[int(overlap.argmax())]]
    seen_first, seen_last = pd.Timestamp(image["date_before"]), pd.Timestamp(image["date_after"])
    return (
        max(first, seen_first) if pd.notna(seen_first) and seen_first < last else first,
        min(last, seen_last) if pd.notna(seen_last) and seen_last > first else last,
    )


def _number(
    frame: gpd.GeoDataFrame,
    rule: Rule,
    change: Change,
    districts: gpd.GeoDataFrame,
    units: gpd.GeoDataFrame | None,
) -> gpd.GeoDataFrame:
    """Give each case its zones and its number: by district, from north to south, then from west to east."""
    frame = frame.assign(
        district=_largest_zone(frame, districts),
        unit_code=_largest_zone(frame, units) if units is not None and len(units) else "",
        reported=~frame["outcome"].isin(["small", "sliver"]),
    )
    points = shapely.get_coordinates(shapely.point_on_surface(frame.geometry.to_numpy()))
    frame = frame.assign(east=points[:, 0].round(2), north=points[:, 1].round(2))
    frame = frame.sort_values(
        ["reported", "district", "north", "east"], ascending=[False, True, False, True], kind="stable"
    )
    count = frame.groupby(["reported", "district"]).cumcount() + 1
    year = change.date_after.year
    code = rule.line_code or rule.line
    frame["finding_id"] = [
        f"{code}-{district or '0'}-{year}-{'' if reported else 'S'}{n:03d}"
        for district, reported, n in zip(frame["district"], frame["reported"], count, strict=True)
    ]
    return frame[CASE_COLUMNS].reset_index(drop=True)


def _largest_zone(frame: gpd.GeoDataFrame, zones: gpd.GeoDataFrame) -> list[str]:
    """Code of the zone that holds the largest part of each shape; empty when none does."""
    shapes, areas = frame.geometry.to_numpy(), zones.geometry.to_numpy()
    codes = zones["code"].astype(str).to_numpy()
    row, zone = shapely.STRtree(areas).query(shapes, predicate="intersects")
    size = shapely.area(shapely.intersection(shapes[row], areas[zone]))
    found = [""] * len(frame)
    for at in np.lexsort((codes[zone], size)):  # ascending: the largest is written last
        found[row[at]] = str(codes[zone[at]])
    return found
