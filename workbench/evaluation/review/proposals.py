"""Files and tables of proposals: reference systems, field names, and shapes that cannot be judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from workbench.core.errors import CRSError, DataQualityError, ParameterError
from workbench.core.layer_spec import LayerSpec
from workbench.evaluation.review.proposal import Proposal, make_proposal
from workbench.evaluation.review.shapes import clean_shape

if TYPE_CHECKING:
    from workbench.core.city import City
    from workbench.evaluation.review.reviewer import Reviewer

Words = tuple[str, str]
FIELDS: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "项目名称", "名称", "XMMC", "MC", "地块名称", "地块编号"),
    "use": ("use", "用途", "拟用地类", "土地用途", "DLBM", "dlbm", "DLMC", "TDYT", "地块用途"),
    "project": ("project", "project_code", "项目代码", "XMDM"),
    "activity": ("activity", "活动类型", "HDLX"),
    "far": ("far", "FAR", "容积率", "RJL"),
    "height_m": ("height_m", "建筑高度", "高度", "JZGD"),
}
"""What a proposal has -> names of fields in which it is looked for, in this order."""
FAR_AWAY_M = 500_000.0
"""Coordinates further than this from the city are in another reference system."""
WORLD = 180.0


@dataclass(frozen=True)
class Proposals:
    """Proposals of a file, those that cannot be judged among them."""

    proposals: tuple[Proposal, ...]
    source: str
    """Name of the file."""
    crs: str
    """Reference system of the file, by name."""

    @property
    def findings(self) -> pd.DataFrame:
        """What was found wrong: ``name, severity, message_zh, message_en``."""
        rows = [
            (one.name, "error" if one.problem[0] else "info", *(one.problem if one.problem[0] else one.note))
            for one in self.proposals
            if one.problem[0] or one.note[0]
        ]
        return pd.DataFrame(rows, columns=["name", "severity", "message_zh", "message_en"])


def read_proposals(
    path: Path | str,
    city: City,
    *,
    layer: str | None = None,
    crs: str | None = None,
    encoding: str | None = None,
    fields: Mapping[str, str] | None = None,
    default: Mapping[str, Any] | None = None,
) -> Proposals:
    """Read a file of proposals (GeoPackage, Shapefile, FileGDB, GeoJSON, DXF, GeoParquet, text of corners).

    Parameters
    ----------
    path : Path
        File.
    city : City
        Profile; shapes come out in its CRS.
    layer, crs, encoding : str, optional
        What the file does not say itself.
    fields : mapping, optional
        Name of a proposal's property -> field of the file; else the names of :data:`FIELDS` are looked for.
    default : mapping, optional
        ``use, project, activity, far, height_m`` of proposals whose own field is empty or missing.

    Raises
    ------
    CRSError
        The file does not say its reference system, contradicts ``crs``, or lies on a datum that needs the bureau's
        parameters.
    ProfileError
        The file cannot be read, or has several layers and none was named.
    ParameterError
        A field that was named does not exist.
    """
    from workbench.catalog.ingest import read_vector_file, source_crs

    path = Path(path)
    spec = LayerSpec(path=path.name, kind="vector", layer=layer, crs=crs, encoding=encoding)
    frame, _ = read_vector_file(path, spec, path.name)
    known, _ = source_crs(frame.crs, crs, path.name)
    made = from_frame(frame.set_crs(known, allow_override=True), city, fields=fields, default=default)
    return Proposals(tuple(made), path.name, known.name)


def from_frame(
    frame: gpd.GeoDataFrame,
    city: City,
    *,
    fields: Mapping[str, str] | None = None,
    default: Mapping[str, Any] | None = None,
) -> list[Proposal]:
    """Proposals of a table, one a row; a row that cannot be judged says why, the others stand.

    Raises
    ------
    CRSError
        The table has no reference system.
    ParameterError
        A field that was named does not exist.
    """
    if frame.crs is None:
        raise CRSError(
            "the proposals have no coordinate reference system",
            where="proposals",
            hint="state it, e.g. EPSG:4547",
        )
    columns = _columns(frame, fields)
    shapes, problems = _moved(frame, city)
    names = _named(frame, columns.get("name"))
    found = []
    for at in range(len(frame)):
        shape, note, problem = clean_shape(shapes[at])
        if problems[at][0]:
            shape, problem = None, problems[at]
        stated = {key: _value(frame, column, at) for key, column in columns.items() if key != "name"}
        given = {**(default or {}), **{key: value for key, value in stated.items() if value is not None}}
        found.append(_proposal(names[at], shape, given, note, problem))
    return found


def _proposal(name: str, shape: Any, given: dict[str, Any], note: Words, problem: Words) -> Proposal:
    """Proposal of one row; a use or activity that is not known is its problem alone."""
    try:
        return make_proposal(name, shape, **given, note=note, problem=problem)
    except (ParameterError, ValueError) as error:
        what = getattr(error, "what", str(error))
        shown = getattr(error, "found", "")
        words = (f"项目属性无法识别：{shown}", f"{what}: {shown}")
        return make_proposal(name, None, problem=problem if problem[0] else words)


def _columns(frame: gpd.GeoDataFrame, fields: Mapping[str, str] | None) -> dict[str, str]:
    named = dict(fields or {})
    if unknown := sorted(set(named) - set(FIELDS)):
        raise ParameterError(
            "no such property of a proposal", where="fields", found=unknown, expected=", ".join(FIELDS)
        )
    if absent := sorted(set(named.values()) - set(frame.columns)):
        raise ParameterError("the file has no such field", where="fields", found=absent,
                             expected=", ".join(str(c) for c in frame.columns if c != frame.geometry.name))  # fmt: skip
    for key, listed in FIELDS.items():
        here = next((name for name in listed if name in frame.columns), None)
        if key not in named and here is not None:
            named[key] = here
    return named


def _named(frame: gpd.GeoDataFrame, column: str | None) -> list[str]:
    """Name of each row, unique: its field, else its number."""
    texts = [""] * len(frame) if column is None else [_text(value) for value in frame[column]]
    seen: dict[str, int] = {}
    out = []
    for at, text in enumerate(texts, 1):
        name = text or f"{at:04d}"
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NaT:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _value(frame: gpd.GeoDataFrame, column: str, at: int) -> Any:
    text = _text(frame[column].iloc[at])
    return text or None


def _moved(frame: gpd.GeoDataFrame, city: City) -> tuple[Any, list[Words]]:
    """Shapes in the city's CRS, and for each row why its coordinates cannot be those of the file's system."""
    shapes = np.asarray(frame.geometry.array, dtype=object).copy()
    none: Words = ("", "")
    problems: list[Words] = [none] * len(frame)
    there = np.flatnonzero(~shapely.is_missing(shapes) & ~shapely.is_empty(shapes))
    known, target = pyproj.CRS(frame.crs), pyproj.CRS(city.crs)
    bounds = np.full((len(shapes), 4), np.nan)
    bounds[there] = shapely.bounds(shapes[there])
    if known.is_geographic:
        wrong = [
            at
            for at in there
            if np.abs(bounds[at]).max() > WORLD * 2 or np.abs(bounds[at][[1, 3]]).max() > 90
        ]
        text = (
            "坐标超出经纬度范围，与文件坐标系不符",
            "the coordinates are no longitude and latitude, unlike the file's system",
        )
    else:
        wrong = [at for at in there if np.abs(bounds[at]).max() <= WORLD]
        text = (
            "坐标像是经纬度，与文件的投影坐标系不符",
            "the coordinates look like longitude and latitude, unlike the file's projected system",
        )
    for at in wrong:
        problems[at], shapes[at] = text, None
    left = np.array([at for at in there if at not in set(wrong)], dtype=int)
    if len(left) and known != target:
        moved = gpd.GeoSeries(shapes[left], crs=known).to_crs(target)
        shapes[left] = np.asarray(moved.array, dtype=object)
    return shapes, _far_away(shapes, left, problems)


def _far_away(shapes: Any, at: Any, problems: list[Words]) -> list[Words]:
    """Rows that lie very far from the others: a zone number before the easting, another zone."""
    if len(at) < 2:
        return problems
    middle = shapely.get_coordinates(shapely.centroid(shapes[at]))
    centre = np.median(middle, axis=0)
    for k, place in zip(at, middle, strict=True):
        if not np.isfinite(place).all() or np.hypot(*(place - centre)) > FAR_AWAY_M:
            problems[k] = (
                "坐标远离其他图形，疑似坐标系或带号不符",
                "the coordinates lie far from the others: another reference system or zone number",
            )
    return problems


def from_wkt(text: str, city: City, crs: str | None = None) -> Any:
    """Shape of a WKT text in the city's CRS.

    Raises
    ------
    DataQualityError
        The text is no WKT.
    CRSError
        The coordinates look like degrees and no ``crs`` says so.
    """
    try:
        shape = shapely.from_wkt(text)
    except shapely.errors.GEOSException as error:
        raise DataQualityError("not a geometry in WKT", where="--wkt", found=text[:60]) from error
    return in_city(shape, city, crs)


def in_city(shape: Any, city: City, crs: str | None = None) -> Any:
    """Shape moved to the city's CRS from the one stated, the city's own when none is."""
    given = pyproj.CRS.from_user_input(crs or city.crs)
    given_none = crs is None and shape is not None and not shape.is_empty
    if given_none and np.abs(shapely.bounds(shape)).max() <= WORLD:
        raise CRSError(
            "the coordinates look like longitude and latitude",
            where="proposal",
            expected=city.crs,
            hint="state their reference system, e.g. --crs EPSG:4490",
        )
    if given == pyproj.CRS(city.crs):
        return shape
    moved = gpd.GeoSeries([shape], crs=given).to_crs(city.crs).iloc[0]
    if _finite(shape) and not _finite(moved):
        raise CRSError(
            "the coordinates do not fit the reference system stated for them",
            where="proposal",
            found=given.to_string(),
            hint="is the zone the right one, and does the easting bear a zone number?",
        )
    return moved


def _finite(shape: Any) -> bool:
    return shape is not None and bool(np.isfinite(shapely.get_coordinates(shape)).all())


def for_notebook(
    reviewer: Reviewer, *, file: str = "", wkt: str = "", use: str = "", project: str = ""
) -> list[Proposal]:
    """Proposals as the parameters of a notebook name them: a file, a polygon, or else the first plot of the plan.

    Parameters
    ----------
    reviewer : Reviewer
        The city's plan.
    file, wkt : str
        A file of proposals, or one polygon in the city's CRS.
    use, project : str
        Where a proposal states none.
    """
    given = {key: value for key, value in (("use", use), ("project", project)) if value}
    if file:
        return list(read_proposals(file, reviewer.city, default=given).proposals)
    if wkt:
        shape, note, problem = clean_shape(from_wkt(wkt, reviewer.city))
        return [make_proposal("0001", shape, use=use, project=project, note=note, problem=problem)]
    if "plots" not in reviewer.lines or not len(reviewer.lines["plots"].now):
        raise ParameterError("nothing to review", where="file, wkt", expected="a file, or a polygon as WKT")
    plots = reviewer.lines["plots"].now
    return [make_proposal(str(plots.ids[0]), plots.shapes[0], use=use, project=project)]
