"""Cases: changed land on the wrong side of a planning line, as shapes with all a case sheet needs.

The same builder serves changes read from land surveys and changes read from imagery. Wording stays 疑似 until a
person has verified; nothing here calls a case unlawful.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core.codes import group, groups
from workbench.operators.area import area_m2
from workbench.operators.guards import has_columns, metric_crs, same_crs, valid_polygons
from workbench.rules.kinds import judge
from workbench.rules.patches import BUILT, Change, changed_land, merged_change, narrowed, seen_between
from workbench.rules.permits import AUTHORISING, MATCH_COLUMNS, match_many
from workbench.rules.rule import Rule
from workbench.rules.shapes import (
    SPECK_M2,
    Geoms,
    common,
    largest_zone,
    mean_widths,
    parts_of,
    regroup,
    thick,
    united,
    without,
)
from workbench.rules.space_code import space_code

__all__ = ["CASE_COLUMNS", "STATUS_FOUND", "Change", "build_cases", "in_force", "new_construction"]

STATUS_FOUND = "发现"
"""First status of a case: 发现 → 核查 → 整改 → 销号."""
QUIET = ("small", "sliver")
"""Outcomes that are counted but not reported."""
CASE_COLUMNS = [
    "finding_id", "rule", "kind", "level", "outcome", "line", "district", "unit_code", "before", "after",
    "date_before", "date_after", "area_m2", "patch_area_m2", "share", "width_m", "threshold", "margin", "permit_state",
    "permit_ids", "permit_share", "permit_kinds", "permit_end", "status", "space_code", "project_code", "unit_no",
    "supervision_no", "activity_type", "source", "patch_id", "tblx", "rank", "geometry",
]  # fmt: skip
"""Columns of :func:`build_cases`."""


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
    return merged_change(before, after, *BUILT)


@dataclass
class _World:
    """What all rules of one run have in common, and what was worked out for them already."""

    change: Change | None
    images: gpd.GeoDataFrame | None
    lines: Mapping[str, gpd.GeoDataFrame]
    permits: gpd.GeoDataFrame | None
    projects: gpd.GeoDataFrame | None
    activities: Mapping[str, str]
    land: dict[tuple[str, str], gpd.GeoDataFrame] = field(default_factory=dict)
    parts: dict[tuple[Any, ...], gpd.GeoDataFrame] = field(default_factory=dict)

    def patches(self, rule: Rule) -> gpd.GeoDataFrame:
        """Changed land a rule looks at."""
        key = (str(rule.applies.get("from", BUILT[0])), str(rule.applies.get("to", BUILT[1])))
        if key not in self.land:
            self.land[key] = changed_land(self.change, self.images, *key)
        return self.land[key]


def build_cases(
    change: Change | None,
    lines: Mapping[str, gpd.GeoDataFrame],
    rules: Sequence[Rule],
    *,
    permits: gpd.GeoDataFrame | None,
    districts: gpd.GeoDataFrame,
    units: gpd.GeoDataFrame | None,
    patches: gpd.GeoDataFrame | None = None,
    projects: gpd.GeoDataFrame | None = None,
    activities: Mapping[str, str] | None = None,
) -> gpd.GeoDataFrame:
    """Suspected conflicts of changed land with planning lines, one row a patch, line and kind of change.

    Parameters
    ----------
    change : Change or None
        Two surveys with their days; None where only ``patches`` are known.
    lines : mapping of role to GeoDataFrame
        Lines with ``approved`` and ``ended`` (and ``kind``); the geometry in force on the later day of each change is
        used. A role that is not given, or has nothing in force, gives no case.
    rules : sequence of Rule
        Rules of kind ``spatial_conflict``; others are passed over. A rule judges changes of the time it is in force.
    permits : GeoDataFrame or None
        ``permit_id, kind, approved, ended``; None: the state is 不确定. Its ``project_code, unit_no, supervision_no``
        and ``activity_type`` are handed on where it has them.
    districts, units : GeoDataFrame
        Zones with ``code``; ``units`` may be None.
    patches : GeoDataFrame, optional
        Change patches from imagery: ``patch_id, tblx, date_before, date_after``, ``before_dlbm`` where known.
    projects : GeoDataFrame, optional
        ``project_code`` and shape: the project of a case no permit names.
    activities : mapping of space code to activity, optional
        What a person has found a case to be, see :mod:`workbench.rules.activities`.

    Returns
    -------
    GeoDataFrame
        Columns :data:`CASE_COLUMNS`; the geometry is the part of the patch on the wrong side, slivers left out, and
        ``area_m2`` its ellipsoidal area. Small ones and slivers are rows too, of level 0 and outcome ``small`` or
        ``sliver``, without space code and rank; a caller who reports keeps the others. ``rank`` counts the reported
        ones from the worst level and the largest share downward.

    Raises
    ------
    CRSError, DataQualityError, ParameterError
        Another CRS, invalid or mixed geometries, missing columns, dates in the wrong order, zones that share a code.
    """
    crs = _crs(change, patches, districts)
    world = _World(
        change if change is None else narrowed(change, patches), patches, lines, permits, projects,
        activities or {},
    )  # fmt: skip
    frames = []
    for rule in rules:
        if rule.kind != "spatial_conflict" or (rule.side != "anywhere" and rule.line not in lines):
            continue
        parts = _parts(world, rule, crs)
        if len(judged := _judged(rule, parts)):
            frames.append(judged)
    if not frames:
        return gpd.GeoDataFrame(columns=CASE_COLUMNS, geometry="geometry", crs=crs)
    found = _unyielded(_unrefined(pd.concat(frames, ignore_index=True), rules), rules)
    return _number(gpd.GeoDataFrame(found, geometry="geometry", crs=crs), rules, districts, units)


def _crs(change: Change | None, patches: gpd.GeoDataFrame | None, districts: gpd.GeoDataFrame) -> Any:
    """Reference system of all that is given."""
    metric_crs(districts.crs, where="districts")
    if change is not None:
        change.check()
        same_crs(change.before, districts)
    if patches is not None:
        same_crs(patches, districts)
    return districts.crs


def _parts(world: _World, rule: Rule, crs: Any) -> gpd.GeoDataFrame:
    """Parts of the patches on the wrong side of a rule's line, with area, width, days and permits.

    Rules that ask the same share the answer.
    """
    least, thin = float(rule.parameters["min_area_m2"]), float(rule.parameters["min_width_m"])
    applies = rule.applies
    key = (
        applies.get("from"), applies.get("to"), rule.line, rule.side, least, thin, rule.permit_kinds,
        tuple(applies.get("line_kind", ())), tuple(applies.get("line_kind_not", ())),
    )  # fmt: skip
    if key in world.parts:
        return world.parts[key]
    patches = world.patches(rule)
    shapes = patches.geometry.to_numpy()
    wrong = shapes.copy() if rule.side == "anywhere" else _wrong_side(rule, patches, world)
    at = np.flatnonzero(~shapely.is_missing(wrong))
    solid = thick(wrong[at], thin)
    shape = np.where(shapely.is_missing(solid), wrong[at], solid)
    rows = patches.iloc[at]
    images = world.change.images if world.change is not None else None
    days = _days(shape, rows, images)
    frame = gpd.GeoDataFrame(
        {
            "patch": at,
            "line": rule.line,
            "before": rows["before"].to_numpy(),
            "after": rows["after"].to_numpy(),
            "tblx": rows["tblx"].to_numpy(),
            "source": rows["source"].to_numpy(),
            "date_before": days["first"].to_numpy(),
            "date_after": days["last"].to_numpy(),
            "patch_id": days["patch_id"].to_numpy(),
            "activity_type": days["activity_type"].to_numpy(),
            "year": pd.DatetimeIndex(rows["last"]).year,
            "area_m2": area_m2(shape, crs),
            "patch_area_m2": rows["area_m2"].to_numpy(),
            "width_m": mean_widths(shape),
        },
        geometry=shape,
        crs=crs,
    )
    frame["share"] = frame["area_m2"] / frame["patch_area_m2"]
    world.parts[key] = _with_papers(frame, rule, world, crs)
    return world.parts[key]


def _days(shape: Geoms, rows: gpd.GeoDataFrame, images: gpd.GeoDataFrame | None) -> pd.DataFrame:
    """Days, image patch and activity of the parts; those of image patches are their own."""
    first, last = pd.DatetimeIndex(rows["first"]), pd.DatetimeIndex(rows["last"])
    days = seen_between(shape, first, last, images)
    own = (rows["source"] == "image").to_numpy()
    if own.any():
        days.loc[own, "first"], days.loc[own, "last"] = first[own], last[own]
        days.loc[own, "patch_id"] = rows.loc[own, "patch_id"].to_numpy()
        days.loc[own, "activity_type"] = rows.loc[own, "activity_type"].to_numpy()
    return days


def _with_papers(frame: gpd.GeoDataFrame, rule: Rule, world: _World, crs: Any) -> gpd.GeoDataFrame:
    """Add permits, project, space code and activity to the parts that are large and wide enough."""
    least, thin = float(rule.parameters["min_area_m2"]), float(rule.parameters["min_width_m"])
    solid = ((frame["area_m2"] >= least) & (frame["width_m"] >= thin)).to_numpy()
    for name in MATCH_COLUMNS:
        frame["permit_state" if name == "state" else name] = frame.get(name, "")
    frame["permit_state"], frame["permit_share"], frame["permit_end"] = "无", np.nan, pd.NaT
    frame["space_code"] = ""
    at = np.flatnonzero(solid)
    if not len(at):
        return frame
    shapes = frame.geometry.to_numpy()[at]
    match = match_many(
        shapes, world.permits, crs=crs, days=pd.DatetimeIndex(frame["date_after"].to_numpy()[at]),
        min_area_m2=least, min_width_m=thin, kinds=rule.permit_kinds or AUTHORISING,
    )  # fmt: skip
    told = frame["activity_type"].to_numpy()[at]
    match["activity_type"] = np.where(told != "", told, match["activity_type"])
    for name in MATCH_COLUMNS:
        column = frame["permit_state" if name == "state" else name].to_numpy(copy=True)
        column[at] = match[name].to_numpy()
        frame["permit_state" if name == "state" else name] = column
    _add_projects(frame, at, world.projects)
    frame["space_code"] = _codes(frame, at, rule.line, crs)
    if world.activities:
        known = frame["space_code"].map(world.activities).fillna("")
        frame["activity_type"] = np.where(known != "", known, frame["activity_type"])
    return frame


def _add_projects(frame: gpd.GeoDataFrame, at: Any, projects: gpd.GeoDataFrame | None) -> None:
    """Give parts without a permit's project the project that holds most of them."""
    if projects is None or projects.empty:
        return
    blank = at[frame["project_code"].to_numpy()[at] == ""]
    zones = projects.rename(columns={"project_code": "code"})
    zones = zones[zones["code"].fillna("") != ""].dissolve("code", as_index=False)
    column = frame["project_code"].to_numpy(copy=True)
    column[blank] = largest_zone(frame.geometry.to_numpy()[blank], zones, where="projects")
    frame["project_code"] = column


def _codes(frame: gpd.GeoDataFrame, at: Any, kind: str, crs: Any) -> list[str]:
    """Space codes of the parts at some positions; of places in one cell the larger is counted first."""
    codes = [""] * len(frame)
    seen: dict[str, int] = {}
    shapes, years = frame.geometry.to_numpy(), frame["year"].to_numpy()
    for k in sorted(at, key=lambda k: -float(frame["area_m2"].iloc[k])):
        first = space_code(shapes[k], crs, kind, int(years[k]))
        seen[first] = seen.get(first, -1) + 1
        serial = seen[first]
        codes[k] = space_code(shapes[k], crs, kind, int(years[k]), serial=serial) if serial else first
    return codes


def _wrong_side(rule: Rule, patches: gpd.GeoDataFrame, world: _World) -> Geoms:
    """Part of each patch on the wrong side of a line in force when it changed; None where there is none."""
    line = world.lines[rule.line]
    has_columns(line, ["approved", "ended"], where=rule.line)
    if len(patches):
        same_crs(patches, line)
    areas = valid_polygons(line, where=rule.line)
    line = line[_of_kind(rule, line) & ~shapely.is_empty(areas)]
    shapes = patches.geometry.to_numpy()
    inside = _inside(shapes, patches, line, world)
    if rule.side == "outside":
        drawn = {day: len(in_force(line, day)) > 0 for day in pd.DatetimeIndex(patches["last"]).unique()}
        # no line, no outside: a boundary that was not drawn yet questions nothing
        rest = without(shapes, inside)
        rest[~patches["last"].map(drawn).to_numpy(dtype=bool)] = None
        return rest
    parts, owner = parts_of(inside)
    keep = shapely.area(parts) > SPECK_M2
    return regroup(parts[keep], owner[keep], len(shapes))


def _inside(shapes: Geoms, patches: gpd.GeoDataFrame, line: gpd.GeoDataFrame, world: _World) -> Geoms:
    """Part of each patch inside a line that was in force on the later day of its change."""
    approved = pd.to_datetime(line["approved"]).to_numpy("datetime64[ns]")
    ended = pd.to_datetime(line["ended"]).to_numpy("datetime64[ns]")
    first = pd.DatetimeIndex(patches["first"]).to_numpy("datetime64[ns]")
    last = pd.DatetimeIndex(patches["last"]).to_numpy("datetime64[ns]")
    images = world.change.images if world.change is not None else None
    pieces: list[Geoms] = []
    owners: list[Any] = []
    for i, j, found, _ in common(shapes, np.asarray(line.geometry.array, dtype=object)):
        day = last[i].copy()
        moved = ~np.isnat(approved[j]) & (approved[j] > first[i]) | ~np.isnat(ended[j]) & (
            ended[j] > first[i]
        )
        moved &= (patches["source"] == "survey").to_numpy()[i]
        if moved.any():  # the line was approved or ended while the land changed: the image's day decides
            few = seen_between(
                found[moved], pd.DatetimeIndex(first[i[moved]]), pd.DatetimeIndex(last[i[moved]]), images
            )
            day[moved] = few["last"].to_numpy("datetime64[ns]")
        valid = (np.isnat(approved[j]) | (approved[j] <= day)) & (np.isnat(ended[j]) | (ended[j] > day))
        pieces.append(found[valid])
        owners.append(i[valid])
    if not pieces:
        return np.full(len(shapes), None, dtype=object)
    return united(np.concatenate(pieces), np.concatenate(owners), len(shapes))


def _of_kind(rule: Rule, line: gpd.GeoDataFrame) -> Any:
    """Whether the ``kind`` of each line polygon is one the rule is about."""
    keep = np.ones(len(line), dtype=bool)
    if "line_kind" not in rule.applies and "line_kind_not" not in rule.applies:
        return keep
    kinds = (line["kind"] if "kind" in line else pd.Series("", index=line.index)).fillna("").astype(str)
    for key, wanted in (("line_kind", True), ("line_kind_not", False)):
        if key in rule.applies:
            words = list(rule.applies[key])
            hit = np.array([any(word in kind for word in words) for kind in kinds], dtype=bool)
            keep &= hit == wanted
    return keep


def classes_of(listed: Sequence[str]) -> frozenset[str]:
    """Survey classes meant by a list of classes and names of groups."""
    table = set(groups().index)
    return frozenset().union(*(group(one) if one in table else {one} for one in listed))


def _judged(rule: Rule, parts: gpd.GeoDataFrame) -> pd.DataFrame:
    """Rows of the parts that a rule judges, with its judgement."""
    applies = rule.applies
    after = parts["after"].astype(str)
    keep = np.ones(len(parts), dtype=bool)
    if "after" in applies:
        keep &= after.isin(classes_of(applies["after"])).to_numpy()
    if "after_not" in applies:
        keep &= ~after.isin(classes_of(applies["after_not"])).to_numpy()
    if "activity" in applies:
        keep &= (parts["activity_type"] == applies["activity"]).to_numpy()
    if "permit_not" in applies:
        keep &= ~parts["permit_state"].isin(applies["permit_not"]).to_numpy()
    day = pd.DatetimeIndex(parts["date_after"])
    if rule.valid_from is not None:
        keep &= np.asarray(day >= pd.Timestamp(rule.valid_from))
    if rule.valid_to is not None:
        keep &= np.asarray(day < pd.Timestamp(rule.valid_to) + pd.Timedelta(days=1))
    frame = pd.DataFrame(parts.loc[keep]).reset_index(drop=True)
    plausible = classes_of(applies.get("plausible", ()))
    fits = [not plausible or code in plausible or code == "" for code in frame["after"]]
    done = [
        judge(rule, area_m2=float(area), width_m=float(width), permit_state=state, fits=fit)
        for area, width, state, fit in zip(
            frame["area_m2"], frame["width_m"], frame["permit_state"], fits, strict=True
        )
    ]
    return frame.assign(
        rule=rule.id,
        kind=rule.kind,
        change=f"{applies.get('from', BUILT[0])}>{applies.get('to', BUILT[1])}",
        side=rule.side,
        level=[one.level for one in done],
        outcome=[one.outcome for one in done],
        threshold=[one.threshold for one in done],
        margin=[one.margin for one in done],
        status=STATUS_FOUND,
    )


def _unrefined(found: pd.DataFrame, rules: Sequence[Rule]) -> pd.DataFrame:
    """Drop what a rule says of a patch that a rule refining it judges as well."""
    place = ["change", "line", "side", "patch"]
    drop = np.zeros(len(found), dtype=bool)
    for rule in rules:
        if not rule.refines:
            continue
        mine = found.loc[found["rule"] == rule.id, place]
        seen = pd.MultiIndex.from_frame(found[place]).isin(pd.MultiIndex.from_frame(mine))
        drop |= found["rule"].isin(rule.refines).to_numpy() & seen
    return found[~drop].reset_index(drop=True)


def _unyielded(found: pd.DataFrame, rules: Sequence[Rule]) -> pd.DataFrame:
    """Drop cases most of which lie on ground that a reported case of a line their rule yields to speaks for."""
    keep = np.ones(len(found), dtype=bool)
    for rule in rules:
        mine = np.flatnonzero(found["rule"] == rule.id)
        spoken = found["line"].isin(rule.applies.get("yields_to", ())) & ~found["outcome"].isin(QUIET)
        if not len(mine) or not spoken.any():
            continue
        shapes = found["geometry"].to_numpy()
        said = shapely.union_all(shapes[spoken.to_numpy()])
        keep[mine] = shapely.area(shapely.intersection(shapes[mine], said)) < 0.5 * shapely.area(shapes[mine])
    return found[keep].reset_index(drop=True)


def _number(
    frame: gpd.GeoDataFrame,
    rules: Sequence[Rule],
    districts: gpd.GeoDataFrame,
    units: gpd.GeoDataFrame | None,
) -> gpd.GeoDataFrame:
    """Give each case its zones, its number (by district, from north to south, then west to east) and its rank."""
    shapes = frame.geometry.to_numpy()
    by_id = {rule.id: rule.line_code or rule.line for rule in rules}
    order = {code: at for at, code in reversed(list(enumerate(by_id.values())))}
    points = shapely.get_coordinates(shapely.point_on_surface(shapes))
    frame = frame.assign(
        district=largest_zone(shapes, districts, where="districts"),
        unit_code=largest_zone(shapes, units, where="units") if units is not None and len(units) else "",
        reported=~frame["outcome"].isin(QUIET),
        code=frame["rule"].map(by_id),
        east=points[:, 0].round(2),
        north=points[:, 1].round(2),
    )
    frame["turn"] = frame["code"].map(order)
    frame = frame.sort_values(
        ["turn", "reported", "district", "north", "east"],
        ascending=[True, False, True, False, True],
        kind="stable",
    ).reset_index(drop=True)
    count = frame.groupby(["code", "reported", "district", "year"]).cumcount() + 1
    frame["finding_id"] = [
        f"{code}-{district or '0'}-{year}-{'' if reported else 'S'}{n:03d}"
        for code, district, year, reported, n in zip(
            frame["code"], frame["district"], frame["year"], frame["reported"], count, strict=True
        )
    ]
    ranked = frame[frame["reported"]].sort_values(
        ["level", "share", "area_m2", "finding_id"], ascending=[False, False, False, True], kind="stable"
    )
    frame["rank"] = 0
    frame.loc[ranked.index, "rank"] = np.arange(1, len(ranked) + 1)
    frame.loc[~frame["reported"], "space_code"] = ""
    return frame[CASE_COLUMNS]
