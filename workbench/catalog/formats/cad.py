"""DXF drawings: names of layers in the encoding the drawing really has, closed lines as areas."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from ezdxf.filemanagement import dxf_file_info
from ezdxf.lldxf import const

from workbench.catalog.quality import Finding
from workbench.core.errors import ProfileError

_LOCK = threading.Lock()


def encoding_of(path: Path, where: str) -> tuple[str, list[Finding]]:
    """Encoding of a drawing's text by its version and code page, or by its bytes where they contradict both.

    Raises
    ------
    ProfileError
        When the file is no drawing, or its text fits neither what it states nor GB 18030 nor UTF-8.
    """
    try:
        stated = dxf_file_info(str(path)).encoding
    except (const.DXFError, OSError, ValueError, StopIteration) as error:
        raise ProfileError("the file is no DXF drawing", where=where, found=path.name) from error
    lines = _wide_lines(path)
    single = stated.startswith("cp125")
    fitting = [name for name in (stated, "utf-8", "gb18030") if _fits(lines, name)]
    if not lines or (stated in fitting and not single):
        return stated, []
    fitting = [name for name in fitting if name != stated or not (single and len(fitting) > 1)]
    if not fitting:
        raise ProfileError(
            "the encoding of the drawing's text is unknown",
            where=where,
            found=f"{path.name}: {stated}",
            hint='state it, e.g. encoding = "gb18030"',
        )
    if fitting[0] == stated:
        return stated, []
    zh = f"图形文件声明的编码 {stated} 与文字不符，按 {fitting[0]} 读取图层名和注记"
    en = f"the drawing states {stated}, which its text is not in; names of layers and texts were read as {fitting[0]}"
    return fitting[0], [Finding("encoding_detected", "warning", 1, np.nan, "", zh, en)]


def _wide_lines(path: Path, most: int = 5000) -> list[bytes]:
    """First lines of a drawing that are not plain ASCII, each once."""
    found: dict[bytes, None] = {}
    with path.open("rb") as stream:
        for line in stream:
            if not line.isascii():
                found[line.strip()] = None
                if len(found) >= most:
                    break
    return list(found)


def _fits(lines: list[bytes], encoding: str) -> bool:
    try:
        b"\n".join(lines).decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def gdal_encoding(encoding: str) -> Iterator[None]:
    """Let GDAL read drawings in an encoding; the setting is the process's, so one drawing at a time."""
    name = {"utf-8": "UTF-8", "gbk": "CP936"}.get(encoding, encoding.upper())
    with _LOCK:
        before = pyogrio.get_gdal_config_option("DXF_ENCODING")
        pyogrio.set_gdal_config_options({"DXF_ENCODING": name})
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options({"DXF_ENCODING": before})


def read(
    path: Path, layer: str | None, encoding: str | None, where: str
) -> tuple[gpd.GeoDataFrame, list[Finding]]:
    """Entities of a drawing, all or those on one of its layers, blocks resolved and arcs as short lines.

    Raises
    ------
    ProfileError
        When it cannot be read, or has no such layer.
    """
    findings: list[Finding] = []
    if encoding is None:
        encoding, findings = encoding_of(path, where)
    with gdal_encoding(encoding):
        frame = pyogrio.read_dataframe(path, on_invalid="ignore")
    if layer is not None and layer != "entities":
        names = sorted(frame["Layer"].dropna().unique())
        if layer not in names:
            raise ProfileError(
                "the drawing has no such layer",
                where=where,
                found=layer,
                expected=f"one of {', '.join(names)}",
            )
        frame = frame[frame["Layer"] == layer].reset_index(drop=True)
    return frame, findings


def closed_lines_to_areas(frame: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, list[Finding]]:
    """Frame whose closed lines are polygons: a drawing has no other way to draw an area with an outline."""
    shapes = frame.geometry.to_numpy().copy()
    closed = (shapely.get_type_id(shapes) == shapely.GeometryType.LINESTRING) & shapely.is_closed(shapes)
    closed &= shapely.get_num_coordinates(shapes) >= 4
    if not closed.any():
        return frame, []
    shapes[closed] = shapely.polygons(shapely.linearrings(shapely.get_coordinates(shapes[closed]),
                                      indices=_indices(shapes[closed])))  # fmt: skip
    n = int(closed.sum())
    zh, en = f"{n} 条闭合线按面处理", f"{n} closed lines were taken as areas"
    made = frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs))
    return made, [Finding("closed_lines", "info", n, np.nan, "", zh, en)]


def _indices(shapes: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(shapes)), shapely.get_num_coordinates(shapes))
