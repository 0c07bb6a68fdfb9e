"""Checks of a layer: each gives findings with what was measured, in Chinese and English."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely

from workbench.catalog.roles import Role
from workbench.core import codes, gcj02

OFFSET_M = 50.0
"""An offset from the trusted layer up to this is not reported as a warning."""
STATED_SHARE, STATED_M2 = 0.05, 1.0
"""A stated area passes within 5 % or 1 m² of the shape's (tolerance of the survey database tools)."""
COLUMNS = ["role", "year", "check", "severity", "count", "measured", "unit", "message_zh", "message_en"]
"""Columns of the findings table."""


@dataclass(frozen=True)
class Finding:
    """One finding on a layer."""

    check: str
    """Name of the check, e.g. ``"stated_area"``."""
    severity: Literal["info", "warning", "error"]
    """``error``: the layer, or what the check concerns, must not be used."""
    count: int
    """Rows, pairs or cells concerned."""
    measured: float
    """What was measured, in ``unit``; NaN when nothing was."""
    unit: str
    """Unit of ``measured``."""
    message_zh: str
    """For readers of the report."""
    message_en: str
    """For readers of the report."""
    subject: str = ""
    """The field, kind or example the message names."""


_WORDS = {
    "missing_geometry": ("{n} 条记录没有图形，未使用", "{n} rows without geometry were left out"),
    "geometry_repaired": (
        "{n} 个图形自相交，已修复，面积变化合计 {measured:.1f} 平方米",
        "{n} self-intersecting shapes repaired, area changed by {measured:.1f} m² in all",
    ),
    "geometry_type": ("{n} 个图形类型不符，未使用", "{n} shapes are not of type {subject} and were left out"),
    "unreadable_value": ("字段 {subject} 有 {n} 个值无法识别", "{n} values of {subject} could not be read"),
    "unknown_code": (
        "{n} 个图斑的地类编码不在三调地类表中，例如 {subject!r}",
        "{n} parcels have a class code that is not in the survey's table, e.g. {subject!r}",
    ),
    "stated_area": (
        "{n} 个图斑的图斑面积与图形面积相差超过 5%",
        "{n} parcels state an area more than 5 % away from their shape's",
    ),
    "codes_standardised": (
        "{n} 个图斑的地类按三调编码统一，例如 {subject}",
        "classes of {n} parcels were turned into the survey's codes, e.g. {subject}",
    ),
}
_PER_SUBJECT = frozenset({"unreadable_value", "geometry_type"})


def told(
    check: str,
    severity: Literal["info", "warning", "error"],
    n: int,
    *,
    measured: float = np.nan,
    unit: str = "",
    subject: str = "",
) -> Finding:
    """Put one of the findings that are counted row by row into words."""
    zh, en = (text.format(n=n, measured=measured, subject=subject) for text in _WORDS[check])
    return Finding(check, severity, n, measured, unit, zh, en, subject)


def combine(findings: list[Finding]) -> list[Finding]:
    """Findings of the parts of a layer as those of the layer: counts and areas added up, others told once."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for one in findings:
        known = one.check in _WORDS
        kind = (one.subject if one.check in _PER_SUBJECT else "") if known else one.message_en
        groups.setdefault((one.check, one.severity, kind), []).append(one)
    made = []
    for parts in groups.values():
        first = parts[0]
        if first.check not in _WORDS or len(parts) == 1:
            made.append(first)
            continue
        measured = np.array([part.measured for part in parts])
        whole = np.nan
        if np.isfinite(measured).any():
            whole = float(np.nanmax(measured) if first.check == "stated_area" else np.nansum(measured))
        n = sum(part.count for part in parts)
        made.append(
            told(first.check, first.severity, n, measured=whole, unit=first.unit, subject=first.subject)
        )
    return made


def table(entries: list[tuple[str, int | None, Finding]]) -> pd.DataFrame:
    """Put the findings of all layers into one table with the columns ``COLUMNS``."""
    rows = [{"role": role, "year": year, **asdict(finding)} for role, year, finding in entries]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype({"year": "Int64", "count": "int64", "measured": "float64"})


def repair(frame: gpd.GeoDataFrame, role: Role | None) -> tuple[gpd.GeoDataFrame, list[Finding]]:
    """Frame with sound 2-D geometry of the role's family, and findings on what had to be done.

    Empty geometry is left out; self-intersections are repaired with ``make_valid`` and the parts of other
    dimension it may leave are dropped. Areas in the findings are in m² of the frame's CRS.
    """
    findings: list[Finding] = []
    present = ~(frame.geometry.isna() | frame.geometry.is_empty)
    if (lost := int((~present).sum())) > 0:
        findings.append(told("missing_geometry", "warning", lost))
        frame = frame[present]
    shapes = frame.geometry.to_numpy()
    if (shapely.has_z(shapes) | shapely.has_m(shapes)).any():
        shapes = shapely.force_2d(shapes)
    bad = ~shapely.is_valid(shapes)
    if bad.any():
        shapes = shapes.copy()
        before = shapely.area(shapes[bad])
        fixed = shapely.make_valid(shapes[bad], method="structure", keep_collapsed=False)
        moved = float(np.abs(shapely.area(fixed) - before).sum())
        shapes[bad] = fixed
        findings.append(told("geometry_repaired", "warning", int(bad.sum()), measured=moved, unit="m2"))
    frame = frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs))
    if role is not None and role.family is not None:
        frame, wrong = _only_family(frame, role.family)
        if wrong:
            findings.append(told("geometry_type", "warning", wrong, subject=role.family))
    return frame, findings


def _only_family(frame: gpd.GeoDataFrame, family: str) -> tuple[gpd.GeoDataFrame, int]:
    dimension = {"point": 0, "line": 1, "polygon": 2}[family]
    shapes = frame.geometry.to_numpy()
    mixed = shapely.get_type_id(shapes) == shapely.GeometryType.GEOMETRYCOLLECTION
    if mixed.any():
        shapes = shapes.copy()
    for i in np.flatnonzero(mixed):
        parts = [p for p in shapely.get_parts(shapes[i]) if shapely.get_dimensions(p) == dimension]
        shapes[i] = shapely.union_all(parts) if parts else None
    good = shapely.get_dimensions(shapes) == dimension
    good &= ~shapely.is_empty(shapes) & ~shapely.is_missing(shapes)
    if good.all() and not mixed.any():
        return frame, 0
    kept = frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs))[good]
    return kept, int((~good).sum())


def repeated(frame: pd.DataFrame, key: str) -> npt.NDArray[np.bool_]:
    """Which rows share the value of the field that should name them."""
    return frame[key].duplicated(keep=False).to_numpy(dtype=bool)


def misstated(frame: gpd.GeoDataFrame, field: str = "area_m2") -> npt.NDArray[np.bool_]:
    """Which rows state an area that differs from their shape's by more than the tolerance; those that state none do not."""
    stated, drawn = frame[field].to_numpy(dtype=float), frame.geometry.area.to_numpy()
    return np.asarray(np.abs(stated - drawn) > np.maximum(STATED_M2, STATED_SHARE * drawn))


def check_keys(frame: pd.DataFrame, key: str, *, zones: bool) -> list[Finding]:
    """Find rows that share the value of the field which should name them."""
    again = repeated(frame, key)
    n = int(again.sum())
    if n == 0:
        return []
    example = str(frame.loc[again, key].iloc[0])
    return [
        Finding(
            "duplicate_code",
            "error" if zones else "warning",
            n,
            np.nan,
            "",
            f"{n} 条记录的 {key} 重复，例如 {example}",
            f"{n} rows share a value of {key}, e.g. {example}",
        )
    ]


def check_land_use(frame: gpd.GeoDataFrame) -> list[Finding]:
    """Find unknown class codes and stated areas that differ from the shapes."""
    findings = []
    unknown = ~codes.is_known(frame["dlbm"])
    if (n := int(unknown.sum())) > 0:
        example = str(frame.loc[unknown, "dlbm"].iloc[0])
        area = float(frame.geometry[unknown].area.sum())
        findings.append(told("unknown_code", "error", n, measured=area, unit="m2", subject=example))
    if (n := int(misstated(frame).sum())) > 0:
        worst = float(
            np.nanmax(np.abs(frame["area_m2"].to_numpy(dtype=float) - frame.geometry.area.to_numpy()))
        )
        findings.append(told("stated_area", "warning", n, measured=worst, unit="m2"))
    return findings


def _predicted(lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> float:
    return float(np.median(gcj02.offset_m(lon, lat)))


def _suspected(check: str, n: int, offset: float, detail_zh: str, detail_en: str, converted: bool) -> Finding:
    zh = "按 GCJ-02 换算后使用" if converted else "坐标疑为 GCJ-02（火星坐标），未换算"
    en = "converted from GCJ-02" if converted else "coordinates look like GCJ-02, not converted"
    return Finding(
        check,
        "warning",
        n,
        offset,
        "m",
        f"{detail_zh}；偏移约 {offset:.0f} 米；{zh}",
        f"{detail_en}; offset about {offset:.0f} m; {en}",
    )


def check_offset_polygons(
    raw: gpd.GeoDataFrame, trusted: gpd.GeoDataFrame, field: str, *, converted: bool = False
) -> list[Finding]:
    """Offset of polygons from the trusted ones with the same ``field``, by the centres of their extents.

    Parameters
    ----------
    raw, trusted : GeoDataFrame
        Both in degrees of WGS 84 as far as the files say (EPSG:4326), ``raw`` before any datum conversion.
    """
    pairs = raw[[field, "geometry"]].merge(
        pd.DataFrame(trusted[[field, "geometry"]]), on=field, suffixes=("", "_t")
    )
    if pairs.empty:
        text = f"与可信图层没有相同的 {field}，无法核对坐标"
        return [
            Finding(
                "offset",
                "info",
                0,
                np.nan,
                "",
                text,
                f"no common {field} with the trusted layer, coordinates not checked",
            )
        ]
    here, there = (shapely.bounds(pairs[c].to_numpy()) for c in ("geometry", "geometry_t"))
    x, y = here[:, [0, 2]].mean(axis=1), here[:, [1, 3]].mean(axis=1)
    tx, ty = there[:, [0, 2]].mean(axis=1), there[:, [1, 3]].mean(axis=1)
    geod = pyproj.Geod(ellps="WGS84")
    before = float(np.median(geod.inv(x, y, tx, ty)[2]))
    fixed = shapely.bounds(gcj02.geometries_to_wgs84(pairs["geometry"].to_numpy()))
    fx, fy = fixed[:, [0, 2]].mean(axis=1), fixed[:, [1, 3]].mean(axis=1)
    after = float(np.median(geod.inv(fx, fy, tx, ty)[2]))
    n = len(pairs)
    if before > OFFSET_M and after < 0.3 * before:
        zh = f"与可信图层 {n} 个同名图形相比，换算前偏 {before:.0f} 米，按 GCJ-02 换算后剩 {after:.0f} 米"
        en = f"against {n} shapes of the trusted layer {before:.0f} m off, {after:.0f} m after the GCJ-02 inverse"
        return [_suspected("gcj02", n, before, zh, en, converted)]
    severity: Literal["info", "warning"] = "warning" if before > OFFSET_M else "info"
    return [
        Finding(
            "offset",
            severity,
            n,
            before,
            "m",
            f"与可信图层的偏移中位数为 {before:.0f} 米",
            f"median offset from the trusted layer is {before:.0f} m",
        )
    ]


def check_offset_points(
    raw: gpd.GeoDataFrame, zones: gpd.GeoDataFrame, field: str, *, converted: bool = False
) -> list[Finding]:
    """Offset of points that state the zone they lie in: how many do, before and after the GCJ-02 inverse.

    Parameters
    ----------
    raw, zones : GeoDataFrame
        Both in EPSG:4326; ``zones`` has ``code`` and ``name``; ``field`` holds either.
    """
    outline = {
        **dict(zip(zones["code"], zones.geometry, strict=True)),
        **dict(zip(zones["name"], zones.geometry, strict=True)),
    }
    stated = raw[raw[field].isin(list(outline))]
    if stated.empty:
        text = f"字段 {field} 没有可核对的分区名称，无法核对坐标"
        return [
            Finding(
                "offset",
                "info",
                0,
                np.nan,
                "",
                text,
                f"{field} names no zone of the trusted layer, coordinates not checked",
            )
        ]
    shapes = np.array([outline[v] for v in stated[field]], dtype=object)
    x, y = stated.geometry.x.to_numpy(), stated.geometry.y.to_numpy()
    fx, fy = gcj02.to_wgs84(x, y)
    before = int(shapely.contains_xy(shapes, x, y).sum())
    after = int(shapely.contains_xy(shapes, fx, fy).sum())
    n, offset = len(stated), _predicted(x, y)
    zh = f"{n} 个点中 {before} 个落在其注明的分区内，按 GCJ-02 换算后 {after} 个"
    en = f"{before} of {n} points lie in the zone they state, {after} after the GCJ-02 inverse"
    if after > before and offset > OFFSET_M:
        return [_suspected("gcj02", n, offset, zh, en, converted)]
    return [Finding("offset", "warning" if before < 0.5 * n else "info", n, np.nan, "", zh, en)]
