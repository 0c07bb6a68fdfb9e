"""Bring a bureau's file into the standard form: encoding, CRS, fields, values, geometry.

Nothing is guessed: a file that does not say what is needed is refused with the key that would say it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from workbench.catalog import quality
from workbench.catalog.formats import sheets, zones
from workbench.catalog.formats.datum import DatumParameters
from workbench.catalog.formats.survey import survey_codes
from workbench.catalog.presets import PRESETS
from workbench.catalog.quality import Finding
from workbench.catalog.reading import read_table_file
from workbench.catalog.reading import read_vector_file as read_vector_file
from workbench.catalog.roles import EMPTY, ROLES
from workbench.core import gcj02
from workbench.core.city import City
from workbench.core.errors import CRSError, ProfileError
from workbench.core.layer_spec import LayerSpec

REFUSED_DATUMS = ("beijing 1954", "xian 1980", "beijing_1954", "xian_1980", "new beijing")
"""Datums from which PROJ converts to CGCS2000 without any shift, tens of metres wrong."""


@dataclass
class Ingested:
    """A layer in standard form, with what was found on the way."""

    frame: pd.DataFrame
    """Rows; a GeoDataFrame in the city's CRS for vectors. RangeIndex."""
    findings: list[Finding] = field(default_factory=list)
    """Findings."""
    degrees: gpd.GeoDataFrame | None = None
    """Vectors: the rows in EPSG:4326 as the file has them, before any datum conversion."""

    @property
    def reason(self) -> str | None:
        """Why the layer cannot be used, or None."""
        return "empty_layer" if self.frame.empty else None


def source_crs(
    frame_crs: object, spec_crs: str | None, where: str, parameters: DatumParameters | None = None
) -> tuple[pyproj.CRS, list[Finding]]:
    """CRS of a file, from the file or, where it is silent, from the profile.

    With a bureau's parameters for it a datum without public transformation is accepted too.

    Raises
    ------
    CRSError
        When neither says it with an authority code, when they contradict each other, or when the datum cannot
        be converted to CGCS2000 without the bureau's own parameters.
    """
    stated = None if spec_crs is None else pyproj.CRS.from_user_input(spec_crs)
    found = None if frame_crs is None else pyproj.CRS.from_user_input(frame_crs)
    authority = None if found is None else found.to_authority(min_confidence=70)
    findings: list[Finding] = []
    if authority is None:
        if stated is None:
            raise CRSError(
                "the file does not say its coordinate reference system with an authority code",
                where=where,
                found=None if found is None else found.name,
                expected="an EPSG code",
                hint='ask the holder and state it in the profile, e.g. crs = "EPSG:4547", or with --crs',
            )
        zh, en = f"坐标系由配置给出：{spec_crs}", f"the profile states the CRS the file lacks: {spec_crs}"
        findings.append(Finding("crs_from_profile", "info", 1, np.nan, "", zh, en))
        found = stated
    else:
        found = pyproj.CRS.from_authority(*authority)
        if stated is not None and stated.to_authority() != authority:
            raise CRSError(
                "file and profile state different coordinate reference systems",
                where=where,
                found=":".join(authority),
                expected=spec_crs,
            )
    assert found is not None
    name = found.geodetic_crs.name.lower() if found.geodetic_crs is not None else ""
    fitting = parameters is not None and parameters.fits(found)
    if any(datum in name for datum in REFUSED_DATUMS) and not fitting:
        raise CRSError(
            "this datum has no public transformation to CGCS2000",
            where=where,
            found=found.name,
            expected="CGCS2000 or WGS 84",
            hint="have the bureau convert the file, or ingest it with the bureau's own --datum-parameters",
        )
    return found, findings


def _accuracy(source: pyproj.CRS, target: pyproj.CRS, bounds: tuple[float, ...]) -> list[Finding]:
    """Find whether coordinates change datum by a null step that is not WGS 84 to CGCS2000."""
    null_ok = {"WGS 84", "China Geodetic Coordinate System 2000"}
    names = [crs.geodetic_crs.name if crs.geodetic_crs is not None else "" for crs in (source, target)]
    if names[0] == names[1] or set(names) <= null_ok:
        return []
    if pyproj.Transformer.from_crs(source, target, always_xy=True).accuracy >= 0:
        return []
    text = f"{names[0]} -> {names[1]}"
    zh, en = f"基准转换精度未知（{text}）", f"datum conversion of unknown accuracy ({text})"
    return [Finding("datum_conversion", "warning", 1, np.nan, "", zh, en)]


def _spec_of(city: City, role: str, year: int | None) -> LayerSpec:
    """Specification of a layer with the year put into the names of its fields."""
    spec = city.layer(role)
    if year is None:
        return spec
    fields = {standard: name.replace("{year}", str(year)) for standard, name in spec.fields.items()}
    return spec.model_copy(update={"fields": fields})


def _rename(frame: pd.DataFrame, spec: LayerSpec, where: str) -> pd.DataFrame:
    absent = [name for name in spec.fields.values() if name not in frame.columns]
    if absent:
        present = ", ".join(str(c) for c in frame.columns if c != "geometry")
        raise ProfileError(
            "the file has no such field",
            where=f"{where}.fields",
            found=", ".join(absent),
            expected=f"one of {present}",
        )
    clash = [c for c in spec.fields if c in frame.columns and c not in spec.fields.values()]
    frame = frame.drop(columns=clash)
    for standard, name in spec.fields.items():
        frame[standard] = frame[name]
    drop = [name for name in spec.fields.values() if name not in spec.fields]
    return frame.drop(columns=list(dict.fromkeys(drop)))


def _recode(frame: pd.DataFrame, spec: LayerSpec, where: str) -> pd.DataFrame:
    for column, table in spec.values.items():
        if column not in frame:
            raise ProfileError(
                "no such field to recode",
                where=f"{where}.values",
                found=column,
                expected=f"one of {sorted(map(str, frame.columns))}",
                hint="a table with a column for each item is taken one item at a time: the column as value, the item as a constant",
            )
        text = frame[column].astype(str)
        frame[column] = text.map(table).where(text.isin(list(table)), frame[column])
    for column, value in spec.constants.items():
        frame[column] = value
    for column, factor in spec.scale.items():
        if column not in frame:
            raise ProfileError("no such field to scale", where=f"{where}.scale", found=column)
        frame[column] = pd.to_numeric(frame[column]) * factor
    return frame


def _fill_and_type(
    frame: pd.DataFrame, role: str, where: str, before: int = 0
) -> tuple[pd.DataFrame, list[Finding]]:
    """Give the standard fields of the role their types; missing optional ones are empty, rows are numbered on."""
    form = ROLES.get(role)
    findings: list[Finding] = []
    if form is None:
        return frame, []
    if absent := [name for name in form.required if name not in frame]:
        raise ProfileError(
            f"the role '{role}' needs fields the file does not give",
            where=f"{where}.fields",
            found=", ".join(str(c) for c in frame.columns if c != "geometry"),
            expected=", ".join(absent),
        )
    for name in form.optional:
        if name not in frame:
            empty = EMPTY[form.types.get(name, "text")]
            frame[name] = pd.Series(pd.NaT if empty == "NaT" else empty, index=frame.index)
    if form.key is not None and form.key not in frame:
        frame[form.key] = [f"{role}-{n:06d}" for n in range(before + 1, before + len(frame) + 1)]
    own = [] if form.key is None else [form.key]
    for column in dict.fromkeys([*own, *form.required, *form.optional]):
        kind = form.types.get(column, "text")
        typed = _typed(frame[column], kind)
        lost = int((typed.isna() & frame[column].notna()).sum()) if kind in {"number", "date"} else 0
        if lost:
            findings.append(quality.told("unreadable_value", "warning", lost, subject=column))
        frame[column] = typed
    if "year" in form.required:
        frame["year"] = frame["year"].astype("Int64")
    return frame, findings


def _typed(column: pd.Series, kind: str) -> pd.Series:
    """Column as number, date (without time zone), bool or text; what cannot be read is missing."""
    if kind == "number":
        return pd.to_numeric(column, errors="coerce").astype(float)
    if kind == "date":
        found: pd.Series = pd.to_datetime(column, errors="coerce")
        return found.dt.tz_localize(None) if found.dt.tz is not None else found
    if kind == "bool":
        return column.astype(bool)
    if pd.api.types.infer_dtype(column, skipna=True) == "string":
        return column.astype(object).where(column.notna(), "")
    return column.astype(object).where(column.notna(), "").map(_text)


def _text(value: object) -> str:
    """Codes read as numbers keep no decimal point (35002972.0 is code 35002972)."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _where(frame: pd.DataFrame, spec: LayerSpec, where: str) -> pd.DataFrame:
    if spec.where is None:
        return frame
    try:
        kept = frame.query(spec.where, engine="python")
    except (ValueError, SyntaxError, TypeError, pd.errors.UndefinedVariableError) as error:
        raise ProfileError(
            f"the query cannot be used: {error}", where=f"{where}.where", found=spec.where
        ) from error
    return kept.copy()


def _tidy(frame: pd.DataFrame, spec: LayerSpec, role: str) -> pd.DataFrame:
    """Keep standard and mapped fields; a file's other fields are kept only when nothing was mapped."""
    form = ROLES.get(role)
    if form is not None and (spec.fields or spec.preset):
        wanted = [form.key, *form.required, *form.optional, *spec.fields, *spec.constants]
        if spec.check_field:
            wanted.append(spec.check_field)
        keep = [c for c in dict.fromkeys(wanted) if c is not None and c in frame]
        frame = frame[[*keep, *(["geometry"] if "geometry" in frame else [])]]
    return frame.reset_index(drop=True)


def _merge(frame: pd.DataFrame, spec: LayerSpec, where: str) -> tuple[pd.DataFrame, list[Finding]]:
    """One row for all that agree in ``merge_by``; fields that differ inside a group are left out.

    A sum with an unknown part is unknown.
    """
    keys = list(spec.merge_by)
    if not keys:
        return frame, []
    if absent := [name for name in keys if name not in frame]:
        raise ProfileError("no such field to merge by", where=f"{where}.merge_by", found=", ".join(absent))
    groups = frame.groupby(keys, sort=False, dropna=False)
    summed = ["value"] if spec.kind == "table" and "value" in frame else []
    rest = [name for name in frame.columns if name not in {*keys, *summed, "geometry"}]
    same = [name for name in rest if bool((groups[name].nunique(dropna=False) == 1).all())]
    merged: pd.DataFrame = groups[same].first() if same else groups.size().to_frame()[[]]
    for name in summed:
        merged[name] = groups[name].agg(lambda part: part.sum(skipna=False))
    if isinstance(frame, gpd.GeoDataFrame):
        shapes = frame.geometry.to_numpy()
        united = [shapely.union_all(shapes[rows]) for rows in groups.indices.values()]
        order = pd.Series(range(len(united)), index=pd.Index(groups.indices)).reindex(merged.index)
        merged = gpd.GeoDataFrame(merged, geometry=[united[k] for k in order], crs=frame.crs)
    n, m = len(frame), len(merged)
    zh, en = f"{n} 条记录按 {'、'.join(keys)} 合并为 {m} 条", f"{n} rows merged into {m} by {', '.join(keys)}"
    found = [Finding("rows_merged", "info", n, float(m), "", zh, en)] if m < n else []
    return merged.reset_index(), found


def ingest_vector(city: City, role: str, path: Path, year: int | None = None) -> Ingested:
    """Read a vector file and bring it into the standard form of its role, in the city's CRS.

    Raises
    ------
    ProfileError
        When fields, layer, encoding or query of the profile do not fit the file.
    CRSError
        When the file's CRS is unknown or unsafe.
    """
    spec, where = _spec_of(city, role, year), f"{city.path.name}: layers.{role}"
    frame, findings = read_vector_file(path, spec, where, role=role)
    crs, crs_findings = source_crs(frame.crs, spec.crs, where)
    frame, type_findings = standardise(frame.set_crs(crs, allow_override=True), spec, role, where)
    merged, merges = _merge(frame, spec, where)
    assert isinstance(merged, gpd.GeoDataFrame)
    frame = merged
    findings += crs_findings + type_findings + merges
    frame = frame.reset_index(drop=True)
    if frame.empty:
        finding = Finding(
            "empty_layer", "error", 0, np.nan, "", "图层没有可用的记录", "the layer has no usable row"
        )
        return Ingested(frame.to_crs(city.crs), [*findings, finding])
    check_coordinates(frame, crs, where)
    degrees = None
    if spec.check_against is not None or spec.datum is not None:
        degrees = frame.to_crs("EPSG:4326")
    frame, moved = to_city(frame, spec, city.crs, where)
    findings += moved
    findings += _row_checks(city, role, frame)
    return Ingested(frame, findings, degrees)


def to_city(
    frame: gpd.GeoDataFrame,
    spec: LayerSpec,
    target: str,
    where: str,
    parameters: DatumParameters | None = None,
) -> tuple[gpd.GeoDataFrame, list[Finding]]:
    """Rows in the city's CRS, by a bureau's parameters where they are for the file's datum.

    Raises
    ------
    CRSError
        When coordinates do not come out finite.
    """
    crs = frame.crs
    if parameters is not None and parameters.fits(crs):
        moved = shapely.transform(
            frame.geometry.to_numpy(), lambda xy: np.column_stack(parameters.convert(crs, xy[:, 0], xy[:, 1]))
        )
        frame = frame.set_geometry(gpd.GeoSeries(moved, index=frame.index, crs=parameters.target))
        zh = f"坐标按提供的{'七' if parameters.method == 'seven' else '四'}参数转换（{parameters.source}）"
        en = f"coordinates were converted with the {parameters.method} parameters given ({parameters.source})"
        findings = [Finding("datum_parameters", "info", 1, np.nan, "", zh, en)]
    else:
        if spec.datum == "gcj02":
            degrees = frame.to_crs("EPSG:4326")
            moved = gcj02.geometries_to_wgs84(degrees.geometry.to_numpy())
            frame = degrees.set_geometry(gpd.GeoSeries(moved, index=degrees.index, crs="EPSG:4326"))
        findings = _accuracy(frame.crs, pyproj.CRS(target), tuple(frame.total_bounds))
    if frame.crs != target:
        frame = frame.to_crs(target)
    if not np.isfinite(shapely.bounds(frame.geometry.to_numpy())).all():
        raise CRSError("coordinates cannot be converted to the city's CRS", where=where, found=crs.name)
    return frame, findings


def standardise(
    frame: gpd.GeoDataFrame, spec: LayerSpec, role: str, where: str, before: int = 0
) -> tuple[gpd.GeoDataFrame, list[Finding]]:
    """Rows just read in the standard form of their role, still in their own CRS: fields, values, codes, geometry.

    Each row for itself, so that a file may come in parts; ``before`` rows were numbered in the parts before.
    """
    frame = frame.set_geometry(frame.geometry.name)
    if frame.geometry.name != "geometry":
        frame = frame.rename_geometry("geometry")
    if spec.preset in PRESETS:
        frame = PRESETS[spec.preset](frame)
    frame = _recode(_rename(frame, spec, where), spec, where)
    findings: list[Finding] = []
    if role == "land_use" and "dlbm" in frame:
        frame, findings = survey_codes(frame, spec.fields.get("dlbm", "dlbm"))
    frame, type_findings = _fill_and_type(_where(frame, spec, where), role, where, before)
    frame, repairs = quality.repair(_tidy(frame, spec, role), ROLES.get(role))
    return frame, [*findings, *type_findings, *repairs]


def check_coordinates(frame: gpd.GeoDataFrame, crs: pyproj.CRS, where: str) -> None:
    """Refuse coordinates that cannot be of their CRS: metres that pretend to be degrees, eastings of another form."""
    zones.check(tuple(frame.total_bounds), crs, where)
    if not crs.is_geographic:
        return
    left, bottom, right, top = frame.total_bounds
    if left < -360 or right > 360 or bottom < -90 or top > 90:
        raise CRSError(
            "the coordinates are not degrees",
            where=where,
            found=f"{left:.0f} to {right:.0f}, {bottom:.0f} to {top:.0f}",
            expected=f"longitude and latitude, as {crs.name} says",
            hint="state the projected CRS the file really has",
        )


def _row_checks(city: City, role: str, frame: gpd.GeoDataFrame) -> list[Finding]:
    """Check keys and codes; overlaps, gaps and slivers are told by the quality packs."""
    form, findings = ROLES.get(role), []
    levels = [level for level in city.levels.values() if level.role == role]
    key = levels[0].code if levels else (form.key if form is not None else None)
    if key is not None and key in frame:
        findings += quality.check_keys(frame, key, zones=bool(levels))
    if role == "land_use":
        findings += quality.check_land_use(frame)
    return findings


def ingest_table(city: City, role: str, path: Path, year: int | None = None) -> Ingested:
    """Read a table (Parquet, CSV, Excel) and bring it into the standard form of its role."""
    return standard_table(path, _spec_of(city, role, year), role, f"{city.path.name}: layers.{role}")


def standard_table(path: Path, spec: LayerSpec, role: str, where: str) -> Ingested:
    """Read a table and bring it into the standard form of its role; years that are columns become rows of statistics."""
    frame, findings = read_table_file(path, spec, where)
    if role == "statistics":
        frame, melted = sheets.years_to_rows(frame, {*spec.fields.values()})
        findings = [*findings, *melted]
    frame = _where(_recode(_rename(frame, spec, where), spec, where), spec, where)
    frame, type_findings = _fill_and_type(frame, role, where)
    findings = [*findings, *type_findings]
    if role == "statistics":
        frame["edition"] = frame["edition"].replace("", "original")
        frame["zone"] = frame["zone"].replace("", "city")
    frame, merges = _merge(_tidy(frame, spec, role), spec, where)
    findings += merges
    if frame.empty:
        zh, en = "表格没有可用的记录", "the table has no usable row"
        findings.append(Finding("empty_layer", "error", 0, np.nan, "", zh, en))
    return Ingested(frame, findings)
