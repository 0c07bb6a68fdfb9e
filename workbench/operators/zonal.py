"""Area of every class of a raster inside every zone, in one scan of the raster.

The raster is read once in chunks of rows by a few threads; compiled loops walk the edges of each zone and count whole runs
of cells between them. Zones may overlap: each one is counted for itself. Memory depends on the chunk and on the table that
comes out, not on the size of the raster.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import rasterio
import shapely
import xarray as xr
from affine import Affine
from rasterio.windows import Window

from workbench.core.errors import CRSError, DataQualityError, GridMismatch, ParameterError
from workbench.operators import zonal_kernels

CHUNK_BYTES = 16 * 2**20
"""Raster bytes that one thread holds at a time."""
NODE_CELLS = 64
"""Distance in cells between the points where the area of a projected cell is worked out."""
MAX_NODES = 512
"""Most such points along one axis."""
MAX_CLASSES = 4096
"""More values than this are measurements, not classes."""

Method = Literal["fraction", "centre"]
CellArea = Literal["ellipsoidal", "planar", "count"]


@dataclass(frozen=True)
class _Grid:
    """Where the cells of a raster lie and how to read them."""

    width: int
    height: int
    transform: Affine
    crs: pyproj.CRS | None
    nodata: float | None
    dtype: np.dtype[Any]
    block_rows: int
    source: Path | xr.DataArray

    def chunks(self) -> list[tuple[int, int]]:
        """Row ranges of about ``CHUNK_BYTES``, in whole blocks of the file."""
        row_bytes = max(1, self.width * self.dtype.itemsize)
        rows = max(1, CHUNK_BYTES // row_bytes // self.block_rows) * self.block_rows
        if self.width * self.block_rows * self.dtype.itemsize > 4 * CHUNK_BYTES:
            rows = max(1, CHUNK_BYTES // row_bytes)
        return [(start, min(start + rows, self.height)) for start in range(0, self.height, rows)]


def _open_grid(raster: xr.DataArray | str | os.PathLike[str], nodata: float | None) -> _Grid:
    """Grid of a GeoTIFF or of a DataArray with dims (y, x)."""
    if isinstance(raster, xr.DataArray):
        return _grid_of_array(raster, nodata)
    path = Path(raster)
    with rasterio.open(path) as file:
        if file.count != 1:
            raise ParameterError("a class raster has one band", where=str(path), found=file.count, expected=1)
        return _Grid(
            file.width,
            file.height,
            file.transform,
            None if file.crs is None else pyproj.CRS.from_user_input(file.crs),
            file.nodata if nodata is None else nodata,
            np.dtype(file.dtypes[0]),
            int(file.block_shapes[0][0]),
            path,
        )


def _grid_of_array(raster: xr.DataArray, nodata: float | None) -> _Grid:
    from odc.geo import xr as odc_xr

    squeezed = raster.squeeze(drop=True)
    if squeezed.ndim != 2:
        raise ParameterError("a class raster has two dimensions", found=raster.dims, expected="(y, x)")
    box = odc_xr.ODCExtensionDa(squeezed).geobox
    if box is None:
        raise GridMismatch(
            "the raster has no regular grid", found=squeezed.dims, hint="load it with catalog.load"
        )
    if nodata is None:
        marks = (
            raster.attrs.get("nodata"),
            raster.attrs.get("_FillValue"),
            raster.encoding.get("_FillValue"),
        )
        nodata = next((float(mark) for mark in marks if mark is not None), None)
    rows = squeezed.chunks[0][0] if squeezed.chunks else 1
    crs = None if box.crs is None else pyproj.CRS.from_user_input(str(box.crs))
    height, width = squeezed.shape
    return _Grid(width, height, box.affine, crs, nodata, squeezed.dtype, int(rows), squeezed)


@dataclass(frozen=True)
class _Shapes:
    """Edges of all zones in cells of the raster."""

    x: np.ndarray
    y: np.ndarray
    rings: np.ndarray
    signs: np.ndarray
    turns: np.ndarray
    zone_rings: np.ndarray
    low: np.ndarray
    high: np.ndarray


def _shapes(zones: gpd.GeoDataFrame, grid: _Grid, *, names: np.ndarray, exact: bool) -> _Shapes:
    """Vertices in cells; with ``exact`` as precise as possible, else rounded as GDAL rounds them."""
    geometry = np.asarray(zones.geometry.array, dtype=object)
    kinds = shapely.get_type_id(geometry)
    empty = shapely.is_empty(geometry) | (kinds < 0)
    wrong = ~np.isin(kinds, (3, 6)) & ~empty
    if wrong.any():
        raise DataQualityError("zones must be polygons", where=str(names[wrong][0]), found=int(wrong.sum()))
    broken = ~shapely.is_valid(geometry) & ~empty
    if broken.any():
        raise DataQualityError(
            f"{int(broken.sum())} zone(s) cross themselves",
            where=str(names[broken][0]),
            found=shapely.is_valid_reason(geometry[broken][0]),
            hint="repair them with shapely.make_valid first",
        )
    if empty.any():
        geometry = geometry.copy()
        geometry[empty] = shapely.MultiPolygon()
    multi = geometry.copy()
    single = shapely.get_type_id(multi) == 3
    multi[single] = shapely.multipolygons(multi[single][:, None]) if single.any() else multi[single]
    guarded = [
        *multi,
        shapely.MultiPolygon([shapely.box(0, 0, 1, 1)]),
    ]  # keeps the offsets right where the last zone is empty
    _, coords, ragged = shapely.to_ragged_array(guarded)
    t = grid.transform
    if exact:
        x, y = (coords[:, 0] - t.c) / t.a, (coords[:, 1] - t.f) / t.e
    else:  # the same sums as GDAL's inverted geotransform, so that ties fall the same way
        x, y = -t.c / t.a + coords[:, 0] * (1.0 / t.a), -t.f / t.e + coords[:, 1] * (1.0 / t.e)
    rings, parts, geoms = (np.asarray(offsets, np.int64) for offsets in ragged)
    signs, turns = zonal_kernels.ring_signs(x, y, rings, parts)
    turns *= -np.sign(t.a * t.e)  # clockwise on the ground
    zone_rings = parts[geoms][:-1]
    low, high = np.full(len(zones), np.inf), np.full(len(zones), -np.inf)
    some = np.flatnonzero(~empty)
    starts = rings[zone_rings[some]]
    if some.size:
        stop = rings[zone_rings[-1]]
        low[some] = np.minimum.reduceat(y[:stop], starts)
        high[some] = np.maximum.reduceat(y[:stop], starts)
    return _Shapes(x, y, rings, signs, turns, zone_rings, low, high)


def _authalic(latitude: np.ndarray, ellipsoid: pyproj.crs.Ellipsoid) -> np.ndarray:
    """Area of the ellipsoid between the equator and a latitude, m² per radian of longitude (Snyder 1987, 3-12)."""
    b, f = (
        ellipsoid.semi_minor_metre,
        1.0 / ellipsoid.inverse_flattening if ellipsoid.inverse_flattening else 0.0,
    )
    s, e = np.sin(np.radians(latitude)), np.sqrt(f * (2.0 - f))
    if e == 0.0:
        return np.asarray(b * b * s)
    return np.asarray(0.5 * b * b * (s / (1.0 - (e * s) ** 2) + np.arctanh(e * s) / e))


@dataclass(frozen=True)
class _Weights:
    """Area of cells, known at nodes every ``step`` cells and linear between them."""

    step: int
    row_step: int
    lattice: np.ndarray

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Weights at the nodes' columns for the rows of a chunk."""
        if self.lattice.shape[0] == 1:
            return np.repeat(self.lattice, stop - start, axis=0)
        place = np.arange(start, stop) / self.row_step
        lower = np.minimum(place.astype(int), self.lattice.shape[0] - 2)
        share = (place - lower)[:, None]
        return np.asarray(self.lattice[lower] * (1.0 - share) + self.lattice[lower + 1] * share)


def _weights(grid: _Grid, kind: CellArea) -> _Weights:
    """Area of the cells of a grid in m² (or 1.0 for counts)."""
    t = grid.transform
    if kind == "count":
        return _Weights(grid.width, 1, np.ones((1, 2)))
    if grid.crs is None:
        raise CRSError("areas need to know where the raster lies", expected="a coordinate reference system")
    if grid.crs.is_geographic:
        if kind == "planar":
            raise CRSError(
                "degrees have no planar area", found=grid.crs.name, hint="use cell_area='ellipsoidal'"
            )
        edges = _authalic(t.f + t.e * np.arange(grid.height + 1), grid.crs.ellipsoid)
        area = np.abs(np.diff(edges)) * np.radians(abs(t.a))
        return _Weights(grid.width, 1, np.repeat(np.append(area, area[-1])[:, None], 2, axis=1))
    metre = float(grid.crs.axis_info[0].unit_conversion_factor)
    planar = abs(t.a * t.e) * metre * metre
    if kind == "planar":
        return _Weights(grid.width, 1, np.full((1, 2), planar))
    step = max(NODE_CELLS, -(-grid.width // MAX_NODES))
    row_step = max(NODE_CELLS, -(-grid.height // MAX_NODES))
    columns = np.arange(-(-grid.width // step) + 1) * step + 0.5  # the weight of a cell is that of its centre
    rows = np.arange(-(-grid.height // row_step) + 1) * row_step + 0.5
    x, y = np.meshgrid(t.c + t.a * columns, t.f + t.e * rows)
    projection = pyproj.Proj(grid.crs)
    scale = projection.get_factors(*projection(x, y, inverse=True)).areal_scale
    if not np.isfinite(scale).all():
        raise CRSError("the raster reaches beyond its projection", found=grid.crs.name)
    return _Weights(step, row_step, planar / np.asarray(scale))


class _Reader:
    """Reads chunks of rows; each thread keeps its own open file."""

    def __init__(self, grid: _Grid) -> None:
        self.grid = grid
        self._local = threading.local()
        self._files: list[Any] = []

    def read(self, start: int, stop: int) -> np.ndarray:
        source = self.grid.source
        if isinstance(source, xr.DataArray):
            return np.ascontiguousarray(source.isel({source.dims[0]: slice(start, stop)}).values)
        if not hasattr(self._local, "file"):
            self._local.file = rasterio.open(source)
            self._files.append(self._local.file)
        values: np.ndarray = self._local.file.read(1, window=Window(0, start, self.grid.width, stop - start))
        return values

    def close(self) -> None:
        for file in self._files:
            file.close()


def _classify(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells as indices into the classes that occur, and these classes."""
    if values.dtype == np.uint8:
        return values, np.arange(256)
    if values.dtype in (np.dtype(np.uint16), np.dtype(np.int16)):
        shifted = values.view(np.uint16)
        present = np.flatnonzero(np.bincount(shifted.ravel(), minlength=65536))
        table = np.zeros(65536, np.uint16)
        table[present] = np.arange(present.size)
        return table[shifted], present.astype(np.uint16).view(values.dtype).astype(np.int64)
    classes, index = np.unique(values, return_inverse=True)
    return index.reshape(values.shape).astype(np.uint16 if classes.size <= 65535 else np.uint32), classes


def _scan(
    grid: _Grid, shapes: _Shapes, weights: _Weights, *, fraction: bool, threads: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (zones, classes, sums) of every chunk in the order of the rows."""
    reader = _Reader(grid)

    def work(start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        active = np.flatnonzero((shapes.low < stop) & (shapes.high > start))
        if not active.size:
            return None
        values, classes = _classify(reader.read(start, stop))
        if classes.size > MAX_CLASSES:
            raise ParameterError(
                "too many values for classes", found=classes.size, expected=f"<= {MAX_CLASSES}"
            )
        sums = zonal_kernels.scan_chunk(
            values, weights.rows(start, stop), weights.step, start, shapes.x, shapes.y, shapes.rings, shapes.signs,
            shapes.turns, shapes.zone_rings, shapes.low, shapes.high, active, fraction, classes.size,
        )  # fmt: skip
        return active, classes, sums

    pending: list[Future[tuple[np.ndarray, np.ndarray, np.ndarray] | None]] = []
    try:
        with ThreadPoolExecutor(threads) as pool:
            for start, stop in grid.chunks():
                pending.append(pool.submit(work, start, stop))
                if len(pending) > threads and (done := pending.pop(0).result()):
                    yield done
            for future in pending:
                if done := future.result():
                    yield done
    finally:
        reader.close()


def _totals(
    grid: _Grid, shapes: _Shapes, weights: _Weights, *, fraction: bool, threads: int | None
) -> dict[int, np.ndarray]:
    """Class -> sum in every zone, added up in the order of the rows so that threads change no digit."""
    workers = threads or min(4, os.cpu_count() or 1)
    sums: dict[int, np.ndarray] = {}
    with rasterio.Env(GDAL_CACHEMAX=2 * CHUNK_BYTES):  # no block is read twice
        for active, values, part in _scan(grid, shapes, weights, fraction=fraction, threads=workers):
            for column in np.flatnonzero(part.any(axis=0)):
                total = sums.setdefault(int(values[column]), np.zeros(shapes.low.size))
                total[active] += part[:, column]
    return sums


def _check(grid: _Grid, zones: gpd.GeoDataFrame, zone_id: str, method: str, cell_area: str) -> None:
    if method not in ("fraction", "centre"):
        raise ParameterError(
            "unknown method", where="method", found=method, expected="'fraction' or 'centre'"
        )
    if cell_area not in ("ellipsoidal", "planar", "count"):
        raise ParameterError(
            "unknown cell area",
            where="cell_area",
            found=cell_area,
            expected="'ellipsoidal', 'planar' or 'count'",
        )
    if zone_id not in zones.columns:
        raise ParameterError(
            "no such column in zones", where="zone_id", found=zone_id, expected=list(zones.columns)
        )
    if zones[zone_id].duplicated().any():
        twice = zones.loc[zones[zone_id].duplicated(), zone_id].iloc[0]
        raise ParameterError(
            "zone identifiers repeat", where=zone_id, found=twice, hint="dissolve by it first"
        )
    if grid.dtype.kind not in "iub":
        raise ParameterError(
            "a class raster holds integers", found=str(grid.dtype), expected="an integer dtype"
        )
    if grid.transform.b or grid.transform.d:
        raise GridMismatch(
            "the raster is rotated", found=tuple(grid.transform), hint="warp it to a north-up grid"
        )
    crs = None if zones.crs is None else pyproj.CRS.from_user_input(zones.crs)
    if crs is None and grid.crs is None and cell_area == "count":
        return
    if crs is None or grid.crs is None or not grid.crs.equals(crs, ignore_axis_order=True):
        raise CRSError(
            "raster and zones differ in their coordinate reference system",
            found=f"{None if grid.crs is None else grid.crs.name} and {None if crs is None else crs.name}",
            hint="bring the zones to the raster's system with to_crs",
        )


def class_areas(
    raster: xr.DataArray | str | os.PathLike[str],
    zones: gpd.GeoDataFrame,
    *,
    zone_id: str,
    method: Method = "fraction",
    classes: Sequence[int] | None = None,
    cell_area: CellArea = "ellipsoidal",
    nodata: float | None = None,
    threads: int | None = None,
) -> pd.DataFrame:
    """Area of each class of a raster in each zone, in m².

    Parameters
    ----------
    raster : xr.DataArray of int, dims (y, x), or path of a GeoTIFF
        Class codes on a north-up grid with a CRS. A path, a dask array or a lazily opened file is read in chunks of rows.
    zones : GeoDataFrame of polygons
        In the CRS of the raster; valid; they may overlap. What lies outside the raster is not counted.
    zone_id : str
        Column of ``zones`` with unique identifiers.
    method : {"fraction", "centre"}
        ``fraction`` counts the share of each cell that lies in the zone, exactly. ``centre`` counts a cell when its centre
        lies in the zone, ties as in ``rasterio.features.rasterize`` with ``all_touched=False``.
    classes : sequence of int, optional
        Columns wanted, in this order; by default the classes that occur.
    cell_area : {"ellipsoidal", "planar", "count"}
        ``ellipsoidal``: area on the ellipsoid of the CRS. Geographic grids: exact for every row. Projected grids: from the
        areal scale at every 64th cell, linear between; in a 3° Gauss-Krüger zone within 3e-9 of the true area for cells of
        10 m, 3e-8 for 30 m, 3e-7 for 100 m. ``planar``: cell width x height in m². ``count``: cells.
    nodata : float, optional
        Value that is no class; by default the raster's own.
    threads : int, optional
        Threads that read and count; by default the processors, four at most.

    Returns
    -------
    pd.DataFrame of float64, shape (zones, classes)
        m² (cells with ``cell_area="count"``); index in the order of ``zones``; 0.0 where a class does not occur.

    Raises
    ------
    CRSError
        Raster and zones differ in CRS, or an area cannot be told from it.
    GridMismatch
        The raster is rotated or has no regular grid.
    DataQualityError
        A zone is no polygon or crosses itself.
    ParameterError
        An unknown column, method or option, repeated identifiers, a raster that is not of integers.

    Examples
    --------
    >>> import geopandas, numpy, shapely, xarray
    >>> from odc.geo.geobox import GeoBox
    >>> from odc.geo.xr import wrap_xr
    >>> box = GeoBox.from_bbox((0, 0, 20, 20), "EPSG:6933", resolution=10)
    >>> cover = wrap_xr(numpy.array([[1, 1], [1, 2]], "uint8"), box)
    >>> zones = geopandas.GeoDataFrame({"code": ["a"]}, geometry=[shapely.box(0, 0, 15, 20)], crs="EPSG:6933")
    >>> class_areas(cover, zones, zone_id="code", cell_area="planar").loc["a"].tolist()
    [250.0, 50.0]
    """
    grid = _open_grid(raster, nodata)
    _check(grid, zones, zone_id, method, cell_area)
    names = zones[zone_id].to_numpy()
    shapes = _shapes(zones, grid, names=names, exact=method == "fraction")
    weights = _weights(grid, cell_area)
    sums = _totals(grid, shapes, weights, fraction=method == "fraction", threads=threads)
    if grid.nodata is not None:
        sums.pop(int(grid.nodata) if np.isfinite(grid.nodata) else -1, None)
    wanted = sorted(sums) if classes is None else [int(value) for value in classes]
    table = {value: sums.get(value, np.zeros(len(zones))) for value in wanted}
    index = pd.Index(names, name=zone_id)
    return pd.DataFrame(
        table, index=index, columns=pd.Index(wanted, name="class", dtype=np.int64), dtype=np.float64
    )
