"""What a bureau hands over, before it is used: each file and layer, what it is, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pyproj
import shapely

from workbench.catalog.formats import (
    batches,
    cad,
    coordinates,
    corner_text,
    encoding,
    geodatabase,
    osm,
    sheets,
    zones,
)
from workbench.catalog.formats.datum import DatumParameters
from workbench.catalog.ingest import source_crs
from workbench.catalog.reading import may_be_told, opened_file, read_table_file, readable
from workbench.catalog.standard_layers import Guess, guess
from workbench.core.errors import CRSError, WorkbenchError
from workbench.core.layer_spec import LayerSpec

VECTORS = {
    ".gdb": "FileGDB", ".gpkg": "GeoPackage", ".shp": "Shapefile", ".zip": "zip", ".geojson": "GeoJSON",
    ".json": "GeoJSON", ".parquet": "GeoParquet", ".dxf": "DXF", ".pbf": "OpenStreetMap", ".osm": "OpenStreetMap",
    ".kml": "KML", ".tab": "MapInfo", ".mif": "MapInfo",
}  # fmt: skip
"""Forms that are read, by the end of the name."""
CORNERS = "corners (.txt)"
"""Form of a text of parcel corners."""
TABLES = {".xlsx": "workbook", ".xlsm": "workbook", ".csv": "CSV"}
UNREAD = {
    ".dwg": "no reader for DWG: ask for DXF",
    ".mdb": "no reader for personal geodatabases: ask for a file geodatabase",
    ".xls": "no reader for old workbooks: save as .xlsx",
    ".rar": "no reader for RAR: unpack it or ask for ZIP",
    ".7z": "no reader for 7z: unpack it or ask for ZIP",
    ".e00": "no reader for E00: ask for a Shapefile or a file geodatabase",
}
"""Forms that come often and are not read, and what to ask for."""
RASTERS = (".tif", ".tiff", ".img")
_PARTS = {
    ".shx",
    ".dbf",
    ".prj",
    ".cpg",
    ".sbn",
    ".sbx",
    ".qpj",
    ".qix",
    ".xml",
    ".lock",
    ".map",
    ".dat",
    ".id",
    ".mid",
}
"""Files that belong to others."""


@dataclass(frozen=True)
class Found:
    """One layer of a delivery as it is."""

    path: Path
    """File."""
    layer: str | None = None
    """Layer, sheet or layer of a drawing; None when the file has one only."""
    form: str = ""
    """Form of the file."""
    count: int = -1
    """Rows it states; -1 when it does not."""
    fields: tuple[str, ...] = ()
    """Its fields."""
    family: str | None = None
    """``polygon``, ``line``, ``point`` or ``table``; None when mixed or not known before reading."""
    geometry: str = ""
    """Kind of shapes it states."""
    crs: str = ""
    """CRS it states."""
    encoding: str = ""
    """Encoding of its text, where the file does not say it by its very form."""
    guess: Guess = field(default_factory=Guess)
    """What it seems to be."""
    problems: tuple[str, ...] = ()
    """What stands against reading it."""
    notes: tuple[str, ...] = ()
    """What a reader should know and that does not stand against it."""
    ignored: bool = False
    """A file of the delivery that holds no layer: a text, a picture, a raster."""
    given_crs: str | None = None
    """The CRS given for it, where it does not say its own."""
    given_encoding: str | None = None
    """The encoding given for it, where its own is unknown or wrong."""

    @property
    def name(self) -> str:
        """File and layer."""
        return self.path.name if self.layer is None else f"{self.path.name}: {self.layer}"


def files_of(folder: Path) -> Iterator[Path]:
    """Files of a delivery, folders below included; a file geodatabase is one file, parts of others are none."""
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if path.name.startswith((".", "~$")) or suffix in _PARTS:
            continue
        if path.is_dir() and suffix != ".gdb":
            yield from files_of(path)
        else:
            yield path


def examine(
    path: Path, *, layer: str | None = None, crs: str | None = None, text: str | None = None,
    parameters: DatumParameters | None = None,
) -> list[Found]:  # fmt: skip
    """Layers of a file or of all files of a folder; what cannot be read is a row with its problem, and others stand.

    Parameters
    ----------
    path : Path
        File, file geodatabase or folder.
    layer : str, optional
        Only this layer.
    crs, text : str, optional
        CRS and encoding of files that do not say theirs.
    parameters : DatumParameters, optional
        The bureau's parameters for files on an old datum.
    """
    if path.is_dir() and path.suffix.lower() != ".gdb":
        every = list(files_of(path))
        found = []
        for file in every:
            if _known(file):
                found += examine(file, crs=crs, text=text, parameters=parameters)
            else:
                note = (
                    "raster: name it in the profile as it is"
                    if file.suffix.lower() in RASTERS
                    else "no layer"
                )
                found.append(
                    Found(file, form=file.suffix.lower().removeprefix("."), notes=(note,), ignored=True)
                )
        return found
    suffix = path.suffix.lower()
    if suffix in UNREAD:
        return [Found(path, form=suffix.removeprefix("."), problems=(UNREAD[suffix],))]
    form = "OpenStreetMap" if osm.is_osm(path) else {**VECTORS, **TABLES}.get(suffix, "")
    form = CORNERS if corner_text.is_corner_text(path) else form
    if not form:
        known = ", ".join(sorted({*VECTORS, *TABLES}))
        return [
            Found(path, form=suffix.removeprefix("."), problems=(f"no reader for this file; known: {known}",))
        ]
    spec = LayerSpec(path=path.name, kind="vector", layer=layer, crs=crs, encoding=text)
    try:
        with readable(path, spec, path.name):
            found = _layers(path, form, spec, parameters)
            found = [one if ":" in one.crs else replace(one, given_crs=crs) for one in found]
    except WorkbenchError as error:
        return [
            Found(
                path, layer, form, guess=guess(layer or path.stem, (), None), problems=(_short(error, path),)
            )
        ]
    return found


def _known(path: Path) -> bool:
    """Whether a file is of a form that holds layers, read or not."""
    suffixes = {*VECTORS, *TABLES, *UNREAD}
    return path.suffix.lower() in suffixes or osm.is_osm(path) or corner_text.is_corner_text(path)


def _short(error: WorkbenchError, path: Path) -> str:
    return str(error).removeprefix(f"{path.name}: ").removesuffix(".")


def _layers(path: Path, form: str, spec: LayerSpec, parameters: DatumParameters | None) -> list[Found]:
    if form == "workbook":
        return _sheets(path, spec)
    if form == "CSV":
        frame, given = _csv(path, spec)
        return [replace(_table_found(path, None, form, frame), given_encoding=given)]
    if form == "OpenStreetMap":
        return [_osm(path)]
    if form == "DXF":
        return _drawing(path, spec)
    if form == CORNERS:
        return [_corners(path, spec, parameters)]
    if path.suffix == ".parquet":
        return [_parquet(path, parameters, spec)]
    if form == "FileGDB" and (harm := geodatabase.damage(path)):
        more = "" if len(harm) <= 3 else f" and {len(harm) - 3} more"
        return [Found(path, form=form, problems=(f"damaged: {'; '.join(harm[:3])}{more}",))]
    opened = opened_file(path)
    listed = [(str(name), kind) for name, kind in pyogrio.list_layers(opened)]
    if spec.layer is not None:
        listed = [pair for pair in listed if pair[0] == spec.layer]
        if not listed:
            names = ", ".join(str(name) for name in pyogrio.list_layers(opened)[:, 0])
            return [Found(path, spec.layer, form, problems=(f"no such layer; the file has {names}",))]
    return [_gdal(path, opened, name, form, spec, parameters, only=len(listed) == 1) for name, _ in listed]


def _gdal(
    path: Path, opened: Path | str, name: str, form: str, spec: LayerSpec, parameters: DatumParameters | None,
    *, only: bool,
) -> Found:  # fmt: skip
    """One layer of a file that GDAL reads, from what its head says."""
    problems: list[str] = []
    text, given = "", spec.encoding if may_be_told(path, opened) else None
    if path.suffix.lower() in {".shp", ".zip"}:
        try:
            by_bytes, findings = encoding.of_shapefile(path, name, path.name)
            text, given = (f"{by_bytes} (by its bytes)" if findings else "as stated"), None
        except WorkbenchError as error:
            problems += [] if given else [_short(error, path)]
            text = given or ""
    info = pyogrio.read_info(opened, layer=name, encoding=given or ("latin1" if problems else None))
    fields = tuple(str(one) for one in info["fields"])
    kind = info["geometry_type"]
    stated = None if info["crs"] is None else pyproj.CRS.from_user_input(info["crs"])
    family = "table" if kind is None else family_of([kind])
    if kind is not None:
        bounds = pyogrio.read_info(opened, layer=name, force_total_bounds=True)["total_bounds"]
        problems += _crs_problems(stated, spec.crs, bounds, parameters, path)
    if info["features"] == 0:
        problems.append("no rows")
    return Found(
        path, None if only and form != "FileGDB" else name, form, int(info["features"]), fields, family, str(kind or "table"),
        _crs_text(stated), text, guess(name, fields, family),
        tuple(problems), given_encoding=given,
    )  # fmt: skip


def family_of(kinds: list[str]) -> str | None:
    """Family of kinds of shapes as readers name them; None when they are of several.

    Examples
    --------
    >>> family_of(["MultiPolygon Z"]), family_of(["CurvePolygon"]), family_of(["Unknown"])
    ('polygon', 'polygon', None)
    """
    told = {
        "Point": "point",
        "Line": "line",
        "String": "line",
        "Curve": "line",
        "Polygon": "polygon",
        "Surface": "polygon",
    }
    found = set()
    for kind in kinds:
        plain = kind.split(" ")[0]
        ends = [family for end, family in told.items() if plain.endswith(end)]
        found.add(ends[0] if ends else None)
    return found.pop() if len(found) == 1 else None


def _crs_text(crs: pyproj.CRS | None) -> str:
    if crs is None:
        return ""
    authority = crs.to_authority(min_confidence=70)
    return ":".join(authority) if authority else str(crs.name)


def _crs_problems(
    stated: pyproj.CRS | None, given: str | None, bounds: Any, parameters: DatumParameters | None, path: Path
) -> list[str]:
    """What stands against the CRS of a layer, and against its coordinates in it."""
    try:
        silent = stated is None or stated.to_authority(min_confidence=70) is None
        crs, _ = source_crs(stated, given if silent else None, path.name, parameters)
        if bounds is not None and np.isfinite(bounds).all():
            left, bottom, right, top = (float(value) for value in bounds)
            zones.check((left, bottom, right, top), crs, path.name)
    except CRSError as error:
        return [_short(error, path)]
    return []


def _parquet(path: Path, parameters: DatumParameters | None, spec: LayerSpec) -> Found:
    names = pq.read_schema(path).names
    if b"geo" not in (pq.read_schema(path).metadata or {}):
        return _table_found(
            path, None, "Parquet", pd.DataFrame(columns=names), pq.read_metadata(path).num_rows
        )
    feed = batches.open_file(path, path, None, None, path.name)
    fields = tuple(name for name in names if name != "geometry")
    problems = _crs_problems(feed.crs, spec.crs, None, parameters, path)
    return Found(
        path, None, "GeoParquet", feed.count, fields, None, "", _crs_text(feed.crs), "", guess(path.stem, fields, None),
        tuple(problems),
    )  # fmt: skip


def _csv(path: Path, spec: LayerSpec) -> tuple[pd.DataFrame, str | None]:
    """Rows of a table, and the encoding given where it is needed."""
    try:
        return read_table_file(path, spec.model_copy(update={"encoding": None}), path.name)[0], None
    except WorkbenchError:
        if spec.encoding is None:
            raise
    return read_table_file(path, spec, path.name)[0], spec.encoding


def _table_found(
    path: Path, layer: str | None, form: str, frame: pd.DataFrame, count: int | None = None
) -> Found:
    fields = tuple(str(name) for name in frame.columns)
    family, geometry = ("polygon", "coordinates") if coordinates.is_table(frame) else ("table", "table")
    told = guess(layer if layer and not layer.lower().startswith("sheet") else path.stem, fields, family)
    rows = len(frame) if count is None else count
    return Found(path, layer, form, rows, fields, family, geometry, guess=told)


def _sheets(path: Path, spec: LayerSpec) -> list[Found]:
    """Sheets of a workbook; empty ones are left out."""
    found = []
    for name in sheets.sheet_names(path, path.name) if spec.layer is None else [spec.layer]:
        try:
            frame, findings = sheets.read(path, name, path.name)
        except WorkbenchError as error:
            found.append(Found(path, name, "workbook", problems=(_short(error, path),)))
            continue
        one = _table_found(path, name, "workbook", frame)
        crs = _crs_problems(None, spec.crs, None, None, path) if one.geometry == "coordinates" else []
        told = [finding.message_en for finding in findings if finding.severity == "warning"]
        found.append(replace(one, problems=tuple(crs), notes=tuple(told)))
    return found


def _osm(path: Path) -> Found:
    """Describe an extract: what it is read for is told by the role."""
    names = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
    return Found(
        path,
        None,
        "OpenStreetMap",
        fields=tuple(osm.PRESET_OF_ROLE),
        geometry=", ".join(names),
        crs="EPSG:4326",
    )


def _corners(path: Path, spec: LayerSpec, parameters: DatumParameters | None) -> Found:
    """Describe a text of parcel corners."""
    frame, findings = corner_text.read(path, path.name, crs=spec.crs, encoding=spec.encoding)
    fields = tuple(str(name) for name in frame.columns if name != "geometry")
    problems = _crs_problems(frame.crs, spec.crs, frame.total_bounds, parameters, path)
    return Found(
        path, None, CORNERS, len(frame), fields, "polygon", "Polygon", _crs_text(frame.crs), "",
        guess(path.stem, fields, "polygon"), tuple(problems), tuple(one.message_en for one in findings),
    )  # fmt: skip


def _drawing(path: Path, spec: LayerSpec) -> list[Found]:
    """Layers of a drawing with what lies on them."""
    given = None
    try:
        text, _ = cad.encoding_of(path, path.name)
    except WorkbenchError:
        if spec.encoding is None:
            raise
        text = given = spec.encoding
    frame, _ = cad.read(path, spec.layer, text, path.name)
    found = []
    for name, part in frame.groupby("Layer", sort=True):
        closed = shapely.is_closed(part.geometry.to_numpy()).any()
        kinds = sorted(str(kind) for kind in part.geometry.geom_type.dropna().unique())
        problems = _crs_problems(None, spec.crs, part.total_bounds, None, path)
        told = guess(str(name), (), "polygon" if closed else family_of(kinds))
        found.append(
            Found(
                path,
                str(name),
                "DXF",
                len(part),
                ("Layer", "Text"),
                None,
                ", ".join(kinds),
                "",
                text,
                told,
                tuple(problems),
                given_encoding=given,
            )
        )
    return found
