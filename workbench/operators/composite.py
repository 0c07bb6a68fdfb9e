"""Cloud-free picture of a year: the median of many dates, read and reduced tile by tile.

Every tile of the output is read from all dates by a few threads, clouds and missing cells are left out, and a compiled loop
writes the median straight into the result. Nothing but the result and the tiles in work is ever in memory.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal

import numpy as np
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from workbench.core.errors import CRSError, GridMismatch, LayerMissing, ParameterError
from workbench.operators.composite_kernels import network, reduce_float, reduce_integer

log = logging.getLogger(__name__)

Reducer = Literal["median", "min", "max"]
MAX_DATES = 256
GRID_TOLERANCE = 1e-3
"""Grids that differ by less than this part of a cell are one grid."""


@dataclass(frozen=True)
class _Band:
    """One band in one file."""

    href: str
    index: int


@dataclass(frozen=True)
class _Date:
    """What one item gives: files of the bands in order, and the mask."""

    name: str
    bands: tuple[_Band, ...]
    mask: _Band | None


def _plain(href: str) -> str:
    return href.removeprefix("file://")


def _assets(item: Any) -> tuple[str, dict[str, tuple[str, Mapping[str, Any]]], Mapping[str, Any]]:
    """Name, assets (key -> place and fields) and properties of a pystac Item or of its dictionary."""
    if isinstance(item, Mapping):
        found = {key: (_plain(str(asset["href"])), asset) for key, asset in item.get("assets", {}).items()}
        return str(item.get("id", "?")), found, item.get("properties", {})
    found = {
        key: (_plain(asset.get_absolute_href() or asset.href), asset.to_dict())
        for key, asset in item.assets.items()
    }
    return str(item.id), found, item.properties


def _band_names(fields: Mapping[str, Any]) -> list[str]:
    """Names in ``bands`` or ``eo:bands``, in the order of the file; common names where a band has no other."""
    listed: Sequence[Mapping[str, Any]] = fields.get("bands") or fields.get("eo:bands") or ()
    return [
        str(band.get("name") or band.get("eo:common_name") or band.get("common_name") or "")
        for band in listed
    ]


def _find(
    name: str, item_id: str, assets: dict[str, tuple[str, Mapping[str, Any]]], properties: Mapping[str, Any]
) -> _Band:
    """Find the band of that name: an asset of its own, or one band of an asset that lists it."""
    if name in assets:
        return _Band(assets[name][0], 1)
    for href, fields in assets.values():
        names = _band_names(fields)
        if name in names:
            return _Band(href, names.index(name) + 1)
    common = _band_names(properties)
    if name in common and "data" in assets:
        return _Band(assets["data"][0], common.index(name) + 1)
    raise ParameterError(
        "no such band", where=item_id, found=name, expected=f"one of {sorted({*assets, *common})}"
    )


def _dates(items: Iterable[Any], bands: Sequence[str], mask: str | None) -> list[_Date]:
    dates = []
    for item in items:
        name, assets, properties = _assets(item)
        found = tuple(_find(band, name, assets, properties) for band in bands)
        dates.append(_Date(name, found, None if mask is None else _find(mask, name, assets, properties)))
    if not dates:
        raise LayerMissing("imagery", reason="no items were given")
    if len(dates) > MAX_DATES:
        raise ParameterError("too many dates for one composite", found=len(dates), expected=f"<= {MAX_DATES}")
    return dates


def _offset(grid: GeoBox, target: GeoBox) -> tuple[int, int] | None:
    """Row and column of ``target``'s corner in ``grid`` when both share one lattice; None when they do not."""
    a, b = grid.affine, target.affine
    if grid.crs != target.crs:
        return None
    span = max(*target.shape)
    if abs(a.a - b.a) * span > GRID_TOLERANCE * abs(a.a) or abs(a.e - b.e) * span > GRID_TOLERANCE * abs(a.e):
        return None
    column, row = (b.c - a.c) / a.a, (b.f - a.f) / a.e
    if max(abs(column - round(column)), abs(row - round(row))) > GRID_TOLERANCE:
        return None
    return round(row), round(column)


def _grid(href: str, file: Any) -> GeoBox:
    if file.crs is None:
        raise CRSError("the image has no coordinate reference system", where=href)
    if file.transform.b or file.transform.d:
        raise GridMismatch("the image is rotated", where=href, hint="warp it to a north-up grid")
    return GeoBox.from_rio(file)


class _Sources:
    """Opens each file once in each thread, warped to the grid only where it does not share it."""

    def __init__(self, target: GeoBox, nodata: float | None, resampling: Resampling) -> None:
        self.target, self.nodata, self.resampling = target, nodata, resampling
        self._local = threading.local()
        self._open: list[Any] = []

    def _source(self, href: str, mask: bool) -> tuple[Any, tuple[int, int]]:
        known: dict[tuple[str, bool], tuple[Any, tuple[int, int]]] = self._local.__dict__.setdefault(
            "known", {}
        )
        if (href, mask) not in known:
            file = rasterio.open(href)
            self._open.append(file)
            offset = _offset(_grid(href, file), self.target)
            if offset is None:
                file = self._warped(href, file, mask)
            known[href, mask] = file, offset or (0, 0)
        return known[href, mask]

    def _warped(self, href: str, file: Any, mask: bool) -> Any:
        if self.nodata is None and not mask:
            raise GridMismatch(
                "the image lies on another grid and no value marks missing cells",
                where=href,
                hint="give nodata",
            )
        warped = WarpedVRT(
            file,
            crs=str(self.target.crs),
            transform=self.target.affine,
            width=self.target.width,
            height=self.target.height,
            resampling=Resampling.nearest if mask else self.resampling,
            nodata=None if mask else self.nodata,
            src_nodata=None if mask else self.nodata,
        )
        self._open.append(warped)
        return warped

    def read(
        self, href: str, indexes: list[int], window: Window, out: np.ndarray, *, mask: bool = False
    ) -> None:
        """Fill ``out`` (bands, rows, cols) with a window of the target grid; missing where the file does not reach."""
        file, (row, column) = self._source(href, mask)
        top, left = window.row_off + row, window.col_off + column
        r0, r1 = max(top, 0), min(top + window.height, file.height)
        c0, c1 = max(left, 0), min(left + window.width, file.width)
        if (r1 - r0, c1 - c0) == (window.height, window.width):
            file.read(indexes, window=Window(c0, r0, c1 - c0, r1 - r0), out=out)
            return
        if self.nodata is None and not mask:
            raise GridMismatch(
                "the image does not cover the grid and no value marks missing cells",
                where=href,
                hint="give nodata",
            )
        out[:] = 0 if mask else self.nodata
        if r1 > r0 and c1 > c0:
            part = file.read(indexes, window=Window(c0, r0, c1 - c0, r1 - r0))
            out[:, r0 - top : r1 - top, c0 - left : c1 - left] = part

    def buffer(self, use: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Memory of this thread for one use, kept from tile to tile; its content is undefined."""
        kept: dict[str, np.ndarray] = self._local.__dict__.setdefault("buffers", {})
        size = int(np.prod(shape))
        if use not in kept or kept[use].size < size:
            kept[use] = np.empty(size, dtype)
        return kept[use][:size].reshape(shape)

    def close(self) -> None:
        for file in reversed(self._open):
            file.close()


@dataclass(frozen=True)
class _Plan:
    """Everything that the work on one tile needs."""

    dates: list[_Date]
    sources: _Sources
    dtype: np.dtype[Any]
    mask_dtype: np.dtype[Any] | None
    mask_values: tuple[int, ...] | None
    nodata: float | None
    reducer: Reducer
    out: np.ndarray

    def run(self, windows: list[Window], workers: int, cache: int) -> None:
        """Work on all windows by threads; GDAL's cache holds for the process, so it is set once around them."""
        try:
            with rasterio.Env(GDAL_CACHEMAX=cache), ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(self.tile, windows):
                    pass
        finally:
            self.sources.close()

    def tile(self, window: Window) -> None:
        """Read one window of all dates, reduce it, write it into the result."""
        shape = (window.height, window.width)
        n, bands = len(self.dates), len(self.dates[0].bands)
        data = self.sources.buffer("data", (n, bands, *shape), self.dtype)
        clear = self.sources.buffer("clear", (n, *shape), np.dtype(np.bool_))
        for i, date in enumerate(self.dates):
            if date.mask is None or self.mask_dtype is None:
                clear[i] = True
            else:
                mask = self.sources.buffer("mask", (1, *shape), self.mask_dtype)
                self.sources.read(date.mask.href, [date.mask.index], window, mask, mask=True)
                if self.mask_values is None:
                    np.equal(mask[0], 0, out=clear[i])
                else:
                    clear[i] = ~np.isin(mask[0], self.mask_values)
            self._read_bands(date, window, data[i])
        floating = self.dtype.kind == "f"
        reduce_tile = reduce_float if floating else reduce_integer
        top = self.dtype.type(np.inf if floating else np.iinfo(self.dtype).max)
        skip = self.nodata is not None and not (floating and isnan(self.nodata))
        fill = self.dtype.type((np.nan if floating else 0) if self.nodata is None else self.nodata)
        kind = {"median": 0, "min": 1, "max": 2}[self.reducer]
        place = window.row_off, window.col_off
        for b in range(bands):
            reduce_tile(data, b, clear, network(n), fill, skip, fill, top, kind, self.out[b], *place)

    def _read_bands(self, date: _Date, window: Window, out: np.ndarray) -> None:
        """Bands of one date; neighbouring bands of one file are read together."""
        start = 0
        while start < len(date.bands):
            stop = start + 1
            while stop < len(date.bands) and date.bands[stop].href == date.bands[start].href:
                stop += 1
            indexes = [band.index for band in date.bands[start:stop]]
            self.sources.read(date.bands[start].href, indexes, window, out[start:stop])
            start = stop


def _tiles(
    geobox: GeoBox, block: tuple[int, int], cell_bytes: int, budget: int, threads: int
) -> list[Window]:
    """Windows in whole blocks of the files, as large as the memory allows and small enough to share the work."""
    height, width = geobox.shape
    limit = max(1, min(budget // threads // cell_bytes, height * width // (4 * threads) or 1))
    block_rows, block_cols = min(block[0], height), min(block[1], width)
    cols = max(1, min(-(-width // block_cols), limit // (block_rows * block_cols))) * block_cols
    rows = max(1, limit // (block_rows * cols)) * block_rows
    return [
        Window(c, r, min(cols, width - c), min(rows, height - r))
        for r in range(0, height, rows)
        for c in range(0, width, cols)
    ]


def _check(reducer: str, bands: Sequence[str], max_memory_gib: float) -> None:
    if reducer not in ("median", "min", "max"):
        raise ParameterError(
            "unknown reducer", where="reducer", found=reducer, expected="'median', 'min' or 'max'"
        )
    if isinstance(bands, str) or not bands:
        raise ParameterError(
            "bands are a list of names", where="bands", found=bands, expected="['red', 'nir']"
        )
    if not max_memory_gib > 0:
        raise ParameterError("memory must be positive", where="max_memory_gib", found=max_memory_gib)


def composite(
    items: Iterable[Any],
    *,
    bands: Sequence[str],
    mask: str | None = "cloud",
    geobox: GeoBox | None = None,
    reducer: Reducer = "median",
    mask_values: Collection[int] | None = None,
    nodata: float | None = 0,
    resampling: Resampling = Resampling.nearest,
    max_memory_gib: float = 0.5,
    threads: int | None = None,
) -> xr.DataArray:
    """Cloud-masked median of several dates of imagery, in the units and dtype of the images.

    Parameters
    ----------
    items : iterable of pystac.Item or dict
        STAC items, one a date. A band is an asset of that name, or one band of an asset that lists it in ``bands`` or
        ``eo:bands`` (its own, or the item's for the asset ``data``).
    bands : sequence of str
        Bands wanted, in this order.
    mask : str or None
        Asset or band that marks clouds; None when there is none.
    geobox : GeoBox, optional
        Grid of the result; by default the grid of the first item. Images on the same lattice are read as they are,
        others are warped.
    reducer : {"median", "min", "max"}
        The median of an even number of integer values is the mean of the two in the middle, half rounded to the even
        neighbour: ``numpy.rint(numpy.nanmedian(...))``.
    mask_values : collection of int, optional
        Values of the mask that are left out; by default all but 0.
    nodata : float or None
        Value that marks missing cells in the images, and in the result where no date is clear.
    resampling : rasterio.enums.Resampling
        For images on another grid; masks are always taken by nearest neighbour.
    max_memory_gib : float
        Memory for the tiles in work, beyond the result itself.
    threads : int, optional
        By default the processors, four at most.

    Returns
    -------
    xr.DataArray, dims (band, y, x)
        dtype of the images.

    Raises
    ------
    LayerMissing
        There are no items.
    ParameterError
        A band is missing, dtypes differ, or an option is unknown.
    CRSError, GridMismatch
        An image has no CRS, is rotated, or misses cells that no value could mark.
    """
    _check(reducer, bands, max_memory_gib)
    dates = _dates(items, bands, mask)
    dtype, mask_dtype, block, first = _survey(dates)
    target = first if geobox is None else geobox
    if target.crs is None:
        raise CRSError("the grid of the composite has no coordinate reference system")
    workers = threads or min(4, os.cpu_count() or 1)
    budget = int(max_memory_gib * 2**30)
    cache = max(16 * 2**20, budget // 4)
    cell_bytes = len(dates) * (len(bands) * dtype.itemsize + 1) + (mask_dtype.itemsize if mask_dtype else 0)
    windows = _tiles(target, block, cell_bytes, budget - cache, workers)
    out = np.empty((len(bands), *target.shape), dtype)
    sources = _Sources(target, nodata, resampling)
    values = None if mask_values is None else tuple(int(value) for value in mask_values)
    plan = _Plan(dates, sources, dtype, mask_dtype, values, nodata, reducer, out)
    log.debug("composite of %d dates in %d tiles by %d threads", len(dates), len(windows), workers)

    plan.run(windows, workers, cache)
    coords = {"band": list(bands), **xr_coords(target)}
    attrs = {} if nodata is None else {"nodata": nodata}
    dims = ("band", *target.dimensions)
    return xr.DataArray(
        out, coords=coords, dims=dims, attrs={**attrs, "grid_mapping": "spatial_ref"}, name=reducer
    )


def _survey(dates: list[_Date]) -> tuple[np.dtype[Any], np.dtype[Any] | None, tuple[int, int], GeoBox]:
    """Dtype of the images and of the masks, block shape of the files, grid of the first."""
    dtypes: dict[str, str] = {}
    masks: set[str] = set()
    first: GeoBox | None = None
    block = (1, 1)
    for date in dates:
        for band in dict.fromkeys(date.bands):
            with rasterio.open(band.href) as file:
                if band.index > file.count:
                    raise ParameterError("no such band in the file", where=band.href, found=band.index)
                grid = _grid(band.href, file)
                first = grid if first is None else first
                block = max(block, tuple(file.block_shapes[0]))
                dtypes.setdefault(file.dtypes[band.index - 1], band.href)
        if date.mask is not None:
            with rasterio.open(date.mask.href) as file:
                masks.add(file.dtypes[date.mask.index - 1])
    if len(dtypes) > 1:
        raise ParameterError("images differ in dtype", found=dtypes, expected="one dtype")
    mask_dtype = np.result_type(*masks) if masks else None
    assert first is not None  # there is at least one date and one band
    return np.dtype(next(iter(dtypes))), mask_dtype, block, first
