"""Read a bureau's file as it is: what to open, which layer, in which encoding; unreadable is said in clear words."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyogrio
import pyproj
import shapely

from workbench.catalog.formats import cad, coordinates, corner_text, encoding, geodatabase, osm, sheets
from workbench.catalog.formats.gtfs import stated_day
from workbench.catalog.presets import gtfs_stops
from workbench.catalog.quality import Finding
from workbench.catalog.roles import ROLES
from workbench.core.errors import CRSError, ProfileError
from workbench.core.layer_spec import LayerSpec

CORNERS = (*sheets.WORKBOOKS, ".csv")
"""Forms of tables of coordinates."""


def read_vector_file(
    path: Path, spec: LayerSpec, where: str, *, role: str | None = None
) -> tuple[gpd.GeoDataFrame, list[Finding]]:
    """Rows of a vector file as it is, with findings on its text encoding.

    Reads GeoParquet, GeoPackage, FileGDB (also zipped), GeoJSON, Shapefile (also zipped), DXF, OpenStreetMap
    extracts, tables of coordinates in workbooks, texts of parcel corners, and GTFS stops. The role says whether closed lines of a drawing and
    rows of coordinates are areas or not.
    """
    form = ROLES.get(role or "")
    family = None if form is None else form.family
    if spec.preset == "gtfs_stops":
        return gtfs_stops(path, stated_day(spec.date))
    if path.suffix == ".parquet":
        return gpd.read_parquet(path), []
    if path.suffix.lower() in CORNERS:
        table, findings = read_table_file(path, spec, where)
        shapes, more = coordinates.shapes(table, where, points=family == "point")
        return shapes, [*findings, *more]
    if corner_text.is_corner_text(path):
        return corner_text.read(path, where, crs=spec.crs, encoding=spec.encoding)
    with readable(path, spec, where):
        if osm.is_osm(path):
            return osm.read(path, spec.preset, spec.layer, where), []
        if path.suffix.lower() == ".dxf":
            drawn, findings = cad.read(path, spec.layer, spec.encoding, where)
            more = []
            if family == "polygon":
                drawn, more = cad.closed_lines_to_areas(drawn)
            return drawn, [*findings, *more]
        opened, layer, text, findings = opened_layer(path, spec, where)
        frame = pyogrio.read_dataframe(opened, layer=layer, encoding=text)
    if not isinstance(frame, gpd.GeoDataFrame):
        raise ProfileError(
            "the file has no geometry", where=where, found=path.name, expected="a vector layer"
        )
    return frame, findings


def opened_layer(
    path: Path, spec: LayerSpec, where: str
) -> tuple[Path | str, str | None, str | None, list[Finding]]:
    """What to open, which layer and in which encoding, after the file has been looked at from outside.

    Raises
    ------
    ProfileError
        When a file geodatabase is damaged, the layer is not clear, or the encoding is unknown or wrongly stated.
    """
    if path.suffix.lower() == ".gdb" and path.is_dir() and (harm := geodatabase.damage(path)):
        raise ProfileError(
            "the file geodatabase is damaged",
            where=where,
            found="; ".join(harm[:3]),
            hint="ask for the whole folder again",
        )
    opened = opened_file(path)
    layer = _layer(path, opened, spec, where)
    text = spec.encoding if may_be_told(path, opened) else None
    findings: list[Finding] = []
    if text is None and path.suffix.lower() in {".shp", ".zip"}:
        text, findings = encoding.of_shapefile(path, layer, where)
    return opened, layer, text, findings


def may_be_told(path: Path, opened: Path | str) -> bool:
    """Whether the encoding of a file's text can be told from outside; most forms are UTF-8 by their very definition."""
    return path.suffix.lower() in {".shp", ".zip", ".tab", ".mif"} and not str(opened).lower().endswith(
        ".gdb"
    )


@contextmanager
def readable(path: Path, spec: LayerSpec, where: str) -> Iterator[None]:
    """Say in words of the workbench what a reader could not read."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ProfileError(
            "the text is not in the encoding the file states",
            where=where,
            found=path.name,
            hint='give the real one, e.g. encoding = "gb18030"',
        ) from error
    except (
        pyogrio.errors.FeatureError,
        shapely.errors.GEOSException,
        zipfile.BadZipFile,
        pa.ArrowInvalid,
    ) as error:
        raise ProfileError(
            "the file is damaged and cannot be read",
            where=where,
            found=path.name,
            hint="ask for the file again",
        ) from error
    except pyproj.exceptions.CRSError as error:
        raise CRSError(
            "the coordinate reference system the file states cannot be understood",
            where=where,
            found=path.name,
        ) from error
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        layers = ""
        if path.exists() and path.suffix.lower() in {".gpkg", ".gdb"}:
            layers = ", ".join(_layers_of(path))
        reason = str(error).split("; It might help")[0].replace(str(path.parent) + "/", "")
        raise ProfileError(
            f"the file cannot be read: {reason}", where=where, found=spec.layer, expected=layers or None
        ) from error


def _layers_of(path: Path) -> list[str]:
    """Names of the layers of a file; none when it cannot be opened."""
    try:
        return sorted(str(name) for name in pyogrio.list_layers(path)[:, 0])
    except pyogrio.errors.DataSourceError:
        return []


def opened_file(path: Path) -> Path | str:
    """What to open: the file, the file geodatabase of a zip, or the one folder of a zip in which its Shapefiles lie."""
    if path.suffix.lower() != ".zip":
        return path
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise pyogrio.errors.DataSourceError(f"'{path.name}' is no whole zip archive") from error
    bases = {name[: name.lower().index(".gdb/") + 4] for name in names if ".gdb/" in name.lower()}
    if len(bases) == 1:
        return f"/vsizip/{path}/{bases.pop()}"
    folders = {Path(n).parent.as_posix() for n in names if n.lower().endswith(".shp")}
    return f"/vsizip/{path}/{folders.pop()}" if len(folders) == 1 and folders != {"."} else path


def _layer(path: Path, opened: Path | str, spec: LayerSpec, where: str) -> str | None:
    """Layer to read: the profile's, or the only one with shapes; where there are several, one must be named."""
    if spec.layer is not None:
        return spec.layer
    names = [str(name) for name, kind in pyogrio.list_layers(opened) if kind is not None]
    if len(names) > 1:
        raise ProfileError(
            "the file has several layers",
            where=f"{where}.layer",
            found=path.name,
            expected=f"one of {', '.join(sorted(names))}",
        )
    return names[0] if names else None


def read_table_file(path: Path, spec: LayerSpec, where: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Rows of a table as the file has them (Parquet, CSV, Excel)."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return pd.read_parquet(path), []
    if suffix in sheets.WORKBOOKS:
        return sheets.read(path, spec.layer, where)
    if suffix not in {".csv", ".txt"}:
        raise ProfileError(
            "no reader for this table", where=where, found=path.name, expected=".parquet, .csv, .xlsx"
        )
    try:
        return pd.read_csv(path, encoding=spec.encoding or "utf-8-sig"), []
    except UnicodeDecodeError as error:
        raise ProfileError(
            "the text is not UTF-8", where=where, found=path.name, hint='state encoding = "gb18030"'
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ProfileError(f"the table cannot be read: {error}", where=where, found=path.name) from error
