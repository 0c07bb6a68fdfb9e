"""Slope, aspect and relief of a terrain model on a metric grid.

Blocks of a lazy raster are worked on with the few cells around them that they need, so memory depends on the block and not
on the raster. A cell without a height has no slope; a cell at the edge of the heights takes the differences that its
neighbours allow and none that they do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox
from scipy import ndimage

from workbench.core.errors import GridMismatch, ParameterError
from workbench.core.grid import describe, geobox, require_projected

Array = npt.NDArray[Any]
Edges = Literal["one_sided", "none"]
FLAT = -1.0
"""Aspect of a cell without a slope."""
_ROWS = ((-1, 1.0), (0, 2.0), (1, 1.0))
"""Rows (or columns) of the window of Horn with their weights."""


def slope(dem: xr.DataArray, *, edges: Edges = "one_sided", nodata: float | None = None) -> xr.DataArray:
    """Slope of each cell in degrees, by the weighted differences of its eight neighbours.

    Parameters
    ----------
    dem : DataArray, dims (y, x)
        Heights in metres on a north-up grid in a projected CRS in metres; numpy or dask.
    edges : {"one_sided", "none"}
        ``one_sided``: where neighbours are missing (border, cells without a height) each row of the window gives the
        difference of the two cells that are there, exact on a plane. ``none``: such cells have no slope, as in gdaldem.
    nodata : float, optional
        Height that stands for none; that of the raster when not given. NaN always does.

    Returns
    -------
    DataArray of float32
        Degrees from 0 to 90, NaN where there is no height or too few around it; lazy when ``dem`` is.

    Raises
    ------
    CRSError, GridMismatch
        When the grid is geographic, not in metres, or rotated.

    Notes
    -----
    Horn, B. K. P. (1981), Hill shading and the reflectance map, Proc. IEEE 69(1), 14-47. Distances are those of the grid:
    in a 3-degree Gauss-Krueger zone at most 0.013 % longer than on the ground, in UTM 0.04 % shorter.

    Examples
    --------
    >>> from odc.geo.xr import wrap_xr
    >>> box = GeoBox.from_bbox((0, 0, 40, 40), "EPSG:4547", resolution=10)
    >>> plane = wrap_xr(np.tile(np.arange(4.0) * 10, (4, 1)), box)       # rises by 1 m a metre to the east
    >>> float(slope(plane).min()), float(slope(plane).max())
    (45.0, 45.0)
    """
    return _gradient(dem, edges, nodata, _slope_of, "slope", "degree")


def aspect(dem: xr.DataArray, *, edges: Edges = "one_sided", nodata: float | None = None) -> xr.DataArray:
    """Direction in which each cell falls, in degrees clockwise from grid north; ``FLAT`` where it does not.

    Parameters
    ----------
    dem, edges, nodata
        As in :func:`slope`.

    Returns
    -------
    DataArray of float32
        Degrees from 0 to below 360, -1 on flat cells, NaN where there is no slope.

    Examples
    --------
    >>> from odc.geo.xr import wrap_xr
    >>> box = GeoBox.from_bbox((0, 0, 40, 40), "EPSG:4547", resolution=10)
    >>> plane = wrap_xr(np.tile(np.arange(4.0) * 10, (4, 1)), box)       # rises to the east: falls to the west
    >>> float(aspect(plane).mean())
    270.0
    """
    return _gradient(dem, edges, nodata, _aspect_of, "aspect", "degree")


def relief(
    dem: xr.DataArray,
    window_m: float,
    *,
    least_share: float = 0.25,
    nodata: float | None = None,
) -> xr.DataArray:
    """Height of the highest less that of the lowest cell in a square window around each cell, in metres.

    Parameters
    ----------
    dem : DataArray, dims (y, x)
        As in :func:`slope`.
    window_m : float
        Edge of the window in metres; an odd number of cells, the nearest (the smaller of two equally near).
    least_share : float
        Share of the window's cells that must have a height; below it there is no value. Where the window is not full
        (at borders) the value is a lower bound.
    nodata : float, optional
        As in :func:`slope`.

    Returns
    -------
    DataArray of float32
        Metres, NaN where there is no height; lazy when ``dem`` is.

    Raises
    ------
    ParameterError
        When the window is smaller than three cells, or the share is not from 0 to 1.
    """
    box = _metric(dem)
    sizes = (
        window_cells(window_m, abs(float(box.affine.e))),
        window_cells(window_m, abs(float(box.affine.a))),
    )
    if min(sizes) < 3:
        raise ParameterError(
            "the window is smaller than three cells", where="window_m", found=window_m, expected=describe(box)
        )
    if not 0 <= least_share <= 1:
        raise ParameterError("no share", where="least_share", found=least_share, expected="0 to 1")
    needed = max(1, int(np.ceil(least_share * sizes[0] * sizes[1])))

    def work(block: Array) -> Array:
        return _relief_of(block, sizes, needed)

    return _blocks(dem, nodata, work, (sizes[0] // 2, sizes[1] // 2), "relief", "m")


def window_cells(window_m: float, cell_m: float) -> int:
    """Odd number of cells nearest to a length.

    Examples
    --------
    >>> window_cells(450, 10), window_cells(450, 30), window_cells(400, 10)
    (45, 15, 39)
    """
    half = (window_m / cell_m - 1) / 2
    return max(1, 2 * int(np.ceil(half - 0.5)) + 1)


def _metric(dem: xr.DataArray) -> GeoBox:
    """Grid of a terrain model, checked: two dimensions, projected metres, north up."""
    if dem.ndim != 2:
        raise ParameterError("a terrain model has two dimensions", found=dem.dims, expected="(y, x)")
    box = geobox(dem)
    require_projected(str(box.crs), where=str(dem.name or "dem"))
    t = box.affine
    if t.b or t.d or t.a <= 0 or t.e >= 0:
        raise GridMismatch(
            "the terrain model is not north-up", found=tuple(t)[:6], hint="warp it to a north-up grid first"
        )
    return box


def _heights(block: Array, nodata: float | None) -> Array:
    """Heights as float64, NaN for none."""
    found = np.asarray(block, dtype=np.float64)
    if nodata is not None and not np.isnan(nodata):
        found = np.where(found == nodata, np.nan, found)
    return np.where(np.isfinite(found), found, np.nan)


def nodata_of(dem: xr.DataArray) -> float | None:
    """Value of a raster that stands for no data, from attributes or encoding; None when it says nothing."""
    marks = (dem.attrs.get("nodata"), dem.attrs.get("_FillValue"), dem.encoding.get("_FillValue"))
    return next((float(mark) for mark in marks if mark is not None), None)


def _blocks(
    dem: xr.DataArray,
    nodata: float | None,
    work: Callable[[Array], Array],
    depth: tuple[int, int],
    name: str,
    units: str,
) -> xr.DataArray:
    """Apply ``work`` to heights with a rim of ``depth`` cells, NaN outside the raster; it gives back all its cells."""
    mark = nodata_of(dem) if nodata is None else nodata

    def one(block: Array) -> Array:
        return work(_heights(block, mark)).astype(np.float32)

    if dem.chunks is None:
        rows, columns = depth
        padded = np.pad(
            _heights(dem.to_numpy(), mark), ((rows, rows), (columns, columns)), constant_values=np.nan
        )
        inner = work(padded)[rows : rows + dem.shape[0], columns : columns + dem.shape[1]]
        data: Any = inner.astype(np.float32)
    else:
        import dask.array as da

        heights = dem.data.map_blocks(_heights, mark, dtype=np.float64, meta=np.empty((0, 0)))
        data = da.map_overlap(
            one, heights, depth=depth, boundary=np.nan, dtype=np.float32, meta=np.empty((0, 0), np.float32)
        )
    attrs = {"units": units}
    return xr.DataArray(data, coords=dem.coords, dims=dem.dims, name=name, attrs=attrs)


def _gradient(
    dem: xr.DataArray,
    edges: Edges,
    nodata: float | None,
    finish: Callable[[Array, Array], Array],
    name: str,
    units: str,
) -> xr.DataArray:
    if edges not in ("one_sided", "none"):
        raise ParameterError("unknown treatment of edges", found=edges, expected="'one_sided' or 'none'")
    box = _metric(dem)
    east, south = abs(float(box.affine.a)), abs(float(box.affine.e))

    def work(z: Array) -> Array:
        rise_east = _horn(z, edges == "none") / east
        rise_south = _horn(z.T, edges == "none").T / south
        return finish(rise_east, rise_south)

    return _blocks(dem, nodata, work, (1, 1), name, units)


def _horn(z: Array, strict: bool) -> Array:
    """Rise a cell along the columns: mean of the rows above (1), through (2) and below (1) the cell.

    A row gives half the difference of its outer cells, or the difference to its middle where one of them is missing.
    Without ``strict``, rows that give nothing are left out of the mean.
    """
    padded = np.pad(z, 1, constant_values=np.nan)
    total, weights = np.zeros_like(z), np.zeros_like(z)
    rows, columns = z.shape
    for offset, weight in _ROWS:
        line = padded[1 + offset : 1 + offset + rows]
        left, middle, right = line[:, :columns], line[:, 1 : 1 + columns], line[:, 2:]
        rise = (right - left) / 2
        if not strict:
            rise = np.where(np.isnan(rise), right - middle, rise)
            rise = np.where(np.isnan(rise), middle - left, rise)
        there = ~np.isnan(rise)
        total += np.where(there, weight * rise, 0.0)
        weights += np.where(there, weight, 0.0)
    enough = (weights == 4.0) if strict else (weights > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(enough & ~np.isnan(z), total / weights, np.nan)


def _slope_of(rise_east: Array, rise_south: Array) -> Array:
    return np.degrees(np.arctan(np.hypot(rise_east, rise_south)))


def _aspect_of(rise_east: Array, rise_south: Array) -> Array:
    """Bearing of the steepest descent: against the rise."""
    bearing = np.degrees(np.arctan2(-rise_east, rise_south)) % 360.0
    bearing = np.where(bearing >= 360.0, 0.0, bearing)
    flat = (rise_east == 0) & (rise_south == 0)
    return np.where(flat, FLAT, np.where(np.isnan(rise_east + rise_south), np.nan, bearing))


def _relief_of(z: Array, sizes: tuple[int, int], needed: int) -> Array:
    """Highest less lowest height of each window; NaN where fewer than ``needed`` cells have one."""
    there = ~np.isnan(z)
    high = ndimage.maximum_filter(np.where(there, z, -np.inf), size=sizes, mode="constant", cval=-np.inf)
    low = ndimage.minimum_filter(np.where(there, z, np.inf), size=sizes, mode="constant", cval=np.inf)
    count = there.astype(np.float32)
    for axis, size in enumerate(sizes):
        count = ndimage.convolve1d(count, np.ones(size, np.float32), axis=axis, mode="constant")
    enough = there & (count > needed - 0.5)
    return np.where(enough, high - np.where(enough, low, 0.0), np.nan)
