"""Polygons of class maps: smallest mapped unit, outlines shared by neighbours, areas on the ellipsoid.

A map is read twice by strips of rows, so that memory grows with its pieces and outlines and not with its cells. Pieces are
cells of one class joined over sides. Borders are traced once, as arcs between the nodes where three pieces meet; each is
straightened once and given to both neighbours, so that polygons neither overlap nor leave gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyproj
import rasterio
import shapely
import xarray as xr

from workbench.core.errors import CRSError, GridMismatch, ParameterError
from workbench.interpretation import _merging, _straighten, _tracing
from workbench.operators import _patches
from workbench.operators.area import area_m2

if TYPE_CHECKING:
    from collections.abc import Iterator

STRIP_CELLS = 4_000_000
"""Cells read at a time."""
_THREADS = 2
_SMALL_M = 2000.0
Ints = npt.NDArray[np.int64]
Read = Callable[[int, int], npt.NDArray[np.int32]]


@dataclass(frozen=True)
class ClassMap:
    """A map of classes, read by rows."""

    shape: tuple[int, int]
    """Rows and columns."""
    transform: Any
    """Affine from (column, row) to coordinates."""
    crs: Any
    """Coordinate reference system."""
    read: Read
    """Classes of rows from the first up to the second; 0 for none."""


@contextmanager
def opened(classes: xr.DataArray | str | Path) -> Iterator[ClassMap]:
    """Open a class map: a DataArray in memory or lazy, or a raster file whose first band holds classes; nodata is 0."""
    if isinstance(classes, xr.DataArray):
        from odc.geo.xr import xr_coords  # noqa: F401  (registers .odc)

        grid = classes.odc.geobox
        if grid is None or grid.crs is None:
            raise GridMismatch("the class map has no grid with a CRS", where=str(classes.name or "classes"))
        sides = classes.odc.spatial_dims
        flat = classes.isel({name: 0 for name in classes.dims if name not in sides}).transpose(*sides)
        if not np.issubdtype(flat.dtype, np.integer):
            raise ParameterError(
                "class maps hold integers", where=str(classes.name or "classes"), found=str(flat.dtype)
            )
        nodata = classes.attrs.get("nodata", classes.attrs.get("_FillValue", 0))

        def rows(first: int, stop: int) -> npt.NDArray[np.int32]:
            return _plain(flat[first:stop].to_numpy(), nodata)

        yield ClassMap((int(flat.shape[0]), int(flat.shape[1])), grid.affine, grid.crs.to_wkt(), rows)
        return
    with rasterio.open(classes) as file:
        if not np.issubdtype(file.dtypes[0], np.integer):
            raise ParameterError("class maps hold integers", where=Path(classes).name, found=file.dtypes[0])

        def window(first: int, stop: int) -> npt.NDArray[np.int32]:
            values = file.read(1, window=rasterio.windows.Window(0, first, file.width, stop - first))
            return _plain(values, file.nodata)

        yield ClassMap((file.height, file.width), file.transform, file.crs, window)


def _plain(values: npt.NDArray[Any], nodata: float | None) -> npt.NDArray[np.int32]:
    found = np.ascontiguousarray(values, dtype=np.int32)
    if nodata is not None and nodata == nodata and nodata != 0:
        found[values == nodata] = 0
    return found


@dataclass(frozen=True, eq=False)
class Pieces:
    """Pieces of a class map after small ones were joined to neighbours."""

    start: Ints
    """First provisional number of each strip."""
    final: npt.NDArray[np.int32]
    """Number of the piece, from 1, for each provisional number."""
    classes: npt.NDArray[np.int32]
    """Class of each piece."""
    cells: Ints
    """Cells of each piece."""


def _strips(shape: tuple[int, int]) -> list[tuple[int, int]]:
    step = max(STRIP_CELLS // max(shape[1], 1), 1)
    return [(first, min(first + step, shape[0])) for first in range(0, shape[0], step)]


def _labelled(values: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], int]:
    labels = np.empty(values.shape, dtype=np.int32)
    count = _patches.label(values, 0, False, labels, np.empty(values.size, dtype=np.int32))
    return labels, count


def find_pieces(source: ClassMap, least: Mapping[int, int]) -> Pieces:
    """Find the pieces of a map and join those below the least cells of their class to neighbours.

    A piece goes to the neighbour it shares the longest border with (of equals to the larger, then to the one that begins
    first), the smallest first. One that has no neighbour stays.
    """
    offset = 0
    start, classes, cells, keys, counts = [], [], [], [], []
    above = np.full(source.shape[1], -1, dtype=np.int64)
    above_class = np.zeros(source.shape[1], dtype=np.int32)
    for first, stop in _strips(source.shape):
        values = source.read(first, stop)
        labels, count = _labelled(values)
        room = 2 * values.size if count > values.size // 4 else _borders(values) + 2 * source.shape[1]
        key, number = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
        used = _merging.sides(labels, above, values, above_class, offset, key, number)
        key, number = _summed(key[:used], number[:used])
        keys.append(key)
        counts.append(number)
        seen = labels >= 0
        cells.append(np.bincount(labels[seen], minlength=count))
        of_class = np.zeros(count, dtype=np.int32)
        of_class[labels[seen]] = values[seen]
        classes.append(of_class)
        above = np.where(labels[-1] >= 0, labels[-1].astype(np.int64) + offset, -1)
        above_class = values[-1]
        start.append(offset)
        offset += count
    key, number = np.concatenate(keys), np.concatenate(counts)
    return _joined(np.array(start), np.concatenate(classes), np.concatenate(cells), key, number, least)


def _borders(values: npt.NDArray[np.int32]) -> int:
    return int((values[1:] != values[:-1]).sum() + (values[:, 1:] != values[:, :-1]).sum())


def _summed(key: Ints, number: Ints) -> tuple[Ints, Ints]:
    """Sums of numbers by key, keys ascending."""
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = (
        np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        if len(key)
        else np.zeros(0, dtype=np.int64)
    )
    return key[first], np.add.reduceat(number[order], first) if len(key) else number


def _joined(
    start: Ints,
    of_class: npt.NDArray[np.int32],
    cells: Ints,
    key: Ints,
    number: Ints,
    least: Mapping[int, int],
) -> Pieces:
    low, high = key >> 32, key & 0xFFFFFFFF
    parent = np.arange(len(cells), dtype=np.int64)
    cut = number == 0
    _merging.unite(np.column_stack([low[cut], high[cut]]), parent)
    whole, of = np.unique(parent, return_inverse=True)  # pieces in the order of their first cell
    size = np.bincount(of, cells, minlength=len(whole)).astype(np.int64)
    value = of_class[whole]
    low, high, number = of[low[~cut]], of[high[~cut]], number[~cut]
    beside = value[low] != value[high]  # not the two sides of a cut that also touch elsewhere
    one = np.concatenate([low[beside], high[beside]])
    other = np.concatenate([high[beside], low[beside]])
    order = np.lexsort((other, one))
    first = np.searchsorted(one[order], np.arange(len(whole) + 1))
    limit = np.zeros(int(value.max(initial=0)) + 1, dtype=np.int64)
    for name, wanted in least.items():
        if 0 <= name < len(limit):
            limit[name] = wanted
    root = np.arange(len(whole), dtype=np.int64)
    length = np.concatenate([number[beside], number[beside]])[order]
    _merging.absorb(value, size, limit, first, other[order], length, root)
    kept, final = np.unique(root, return_inverse=True)
    return Pieces(start, (final[of] + 1).astype(np.int32), value[kept], size[kept])


def numbered(source: ClassMap, pieces: Pieces) -> Iterator[tuple[int, int, npt.NDArray[np.int32]]]:
    """Strips of a map with the number of the piece of each cell, from 1; 0 for none: first row, row after the last, numbers."""
    for number, (first, stop) in enumerate(_strips(source.shape)):
        labels, _ = _labelled(source.read(first, stop))
        seen = labels >= 0
        ids = np.zeros(labels.shape, dtype=np.int32)
        ids[seen] = pieces.final[labels[seen] + pieces.start[number]]
        yield first, stop, ids


@dataclass(frozen=True, eq=False)
class Arcs:
    """Borders between pieces from node to node."""

    xy: npt.NDArray[Any]
    """Vertices (row, column) of all arcs."""
    stops: Ints
    """Where the vertices of each arc stop."""
    about: npt.NDArray[np.int32]
    """Piece to the left and right, kind of start and end, direction of leaving and arriving."""


def trace(source: ClassMap, pieces: Pieces) -> Arcs:
    """Trace the borders of pieces."""
    columns = source.shape[1]
    above = np.zeros(columns + 2, dtype=np.int32)
    xys, stops, abouts = [], [], []
    done = 0
    for first, stop, inner in numbered(source, pieces):
        rows = stop - first + (stop == source.shape[0])
        ids = np.zeros((rows + 1, columns + 2), dtype=np.int32)
        ids[0] = above
        ids[1 : stop - first + 1, 1:-1] = inner
        chains, vertices = _tracing.room(ids, rows)
        xy, ends = np.empty((vertices, 2), dtype=np.int32), np.empty(chains, dtype=np.int64)
        about = np.empty((chains, 6), dtype=np.int32)
        used, at = _tracing.trace(ids, rows, first, xy, ends, about)
        xys.append(xy[:at].copy())
        stops.append(ends[:used] + done)
        abouts.append(about[:used].copy())
        done += at
        above = ids[stop - first]
    return _stitched(np.concatenate(xys), np.concatenate(stops), np.concatenate(abouts), columns)


def _stitched(xy: npt.NDArray[np.int32], stops: Ints, about: npt.NDArray[np.int32], columns: int) -> Arcs:
    """Join chains where strips meet."""
    ends = (
        np.column_stack([np.concatenate([[0], stops[:-1]]), stops - 1])
        if len(stops)
        else np.zeros((0, 2), np.int64)
    )
    key = xy[ends, 0].astype(np.int64) * (columns + 1) + xy[ends, 1]
    mate = np.full(key.shape, -1, dtype=np.int64)
    kind = about[:, 2:4]
    lower, upper = np.flatnonzero(kind == _tracing.SEAM), np.flatnonzero(kind == _tracing.OPEN)
    flat = key.ravel()
    order = np.argsort(flat[lower], kind="stable")
    found = np.searchsorted(flat[lower][order], flat[upper])
    match = np.full(len(upper), -1)
    inside = found < len(lower)
    match[inside] = lower[order][found[inside]]
    good = (match >= 0) & (flat[match] == flat[upper])
    mate.ravel()[upper[good]] = match[good]
    mate.ravel()[match[good]] = upper[good]
    out, out_stops, out_about = np.empty_like(xy), np.empty_like(stops), np.empty_like(about)
    used, at = _tracing.stitch(xy, stops, about, mate, out, out_stops, out_about)
    return Arcs(out[:at], out_stops[:used], out_about[:used])


def straightened(arcs: Arcs) -> Arcs:
    """Straighten the stairs of borders between two pieces; the border of the map itself stays as it is."""
    count = len(arcs.stops)
    keep = (arcs.about[:, :2] == 0).any(axis=1)
    closed = arcs.about[:, 2] == _tracing.LOOP
    first = np.concatenate([[0], arcs.stops])
    cuts = np.unique(np.searchsorted(arcs.stops, np.linspace(0, first[-1], 8 * _THREADS + 1)[1:-1]))
    bounds = [0, *cuts.tolist(), count]
    sizes = np.zeros(count, dtype=np.int64)

    def part(low: int, high: int) -> npt.NDArray[np.float64]:
        out = np.empty((int(first[high] - first[low]) + 4, 2))
        used = _straighten.straighten_all(arcs.xy, arcs.stops, keep, closed, low, high, out, sizes)
        return out[:used].copy()

    with ThreadPoolExecutor(_THREADS) as pool:
        parts = list(pool.map(part, bounds[:-1], bounds[1:]))
    both = np.concatenate(parts)[:, ::-1] if count else np.zeros((0, 2))
    return Arcs(np.ascontiguousarray(both), np.cumsum(sizes), arcs.about)


def _polygons(arcs: Arcs, pieces: Pieces, transform: Any) -> npt.NDArray[np.object_]:
    """Polygon of each piece."""
    about, count = arcs.about, len(arcs.stops)
    starts = np.concatenate([[0], arcs.stops[:-1]]) if count else np.zeros(0, dtype=np.int64)
    ends = np.column_stack([starts, arcs.stops - 1])
    corner = np.round(arcs.xy[ends]).astype(np.int64)
    key = corner[:, :, 0] << 32 | corner[:, :, 1]
    nodes, number = np.unique(key, return_inverse=True)
    onward = _tracing.next_sides(about, number.reshape(key.shape).astype(np.int64), len(nodes))
    halves = np.count_nonzero(about[:, :2])
    room = int(np.diff(np.concatenate([[0], arcs.stops])) @ np.count_nonzero(about[:, :2], axis=1)) + halves
    xy, stops = np.empty((room, 2)), np.empty(halves, dtype=np.int64)
    piece, area = np.empty(halves, dtype=np.int64), np.empty(halves)
    used, at = _tracing.rings(about, arcs.stops, onward, arcs.xy, xy, stops, piece, area)
    hole = area[:used] < 0
    order = np.lexsort((hole, piece[:used]))  # the outline of each piece, then its holes
    length = np.diff(np.concatenate([[0], stops[:used]]))
    first = np.concatenate([[0], np.cumsum(length[order])])
    take = np.repeat((stops[:used] - length)[order] - first[:-1], length[order]) + np.arange(at)
    column, row = xy[take].T
    x = transform.a * column + transform.b * row + transform.c
    y = transform.d * column + transform.e * row + transform.f
    parts = np.searchsorted(piece[:used][order], np.arange(1, len(pieces.classes) + 2))
    found: npt.NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, np.column_stack([x, y]), (first, parts)
    )
    return found


def _areas(
    geometry: npt.NDArray[np.object_], plane_m2: npt.NDArray[np.float64], crs: Any
) -> npt.NDArray[np.float64]:
    """Areas on the ellipsoid: of pieces less than two kilometres across by the scale of the map at their centroid."""
    known = pyproj.CRS.from_user_input(crs)
    bounds = shapely.bounds(geometry)
    small = np.hypot(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1]) < _SMALL_M
    if not known.is_projected or known.axis_info[0].unit_conversion_factor != 1.0:
        small[:] = False
    found = np.empty(len(geometry))
    found[~small] = area_m2(geometry[~small], crs)
    xy = shapely.get_coordinates(shapely.centroid(geometry[small]))
    frames = shapely.box(*(xy - 50).T, *(xy + 50).T)
    found[small] = plane_m2[small] * (area_m2(frames, crs) / 1e4)
    return found


def vectorize(
    classes: xr.DataArray | str | Path,
    *,
    mmu: float | Mapping[int, float] = 0.0,
    simplify: bool = True,
) -> gpd.GeoDataFrame:
    """Polygons of a class map that cover its valid area without gaps or overlaps.

    Parameters
    ----------
    classes : DataArray of int, dims (y, x), or path of a raster
        Classes from 1; 0 and nodata are outside.
    mmu : float or mapping of class to float
        Smallest mapped unit in m² of the plane of the CRS: smaller pieces are joined to the neighbour they share the
        longest border with, the smallest first.
    simplify : bool
        Straighten the stairs of borders, by at most half a cell; each piece keeps its area, neighbours their common
        border. The border of the valid area stays as it is.

    Returns
    -------
    GeoDataFrame[class, cells, area_m2, geometry]
        A row a piece, in the order of their first cells; area on the ellipsoid.

    Raises
    ------
    ParameterError, GridMismatch, CRSError
        The map holds no integers or has no grid; the smallest unit is negative.
    """
    with opened(classes) as source:
        cell = abs(source.transform.determinant)
        if not pyproj.CRS.from_user_input(source.crs).is_projected:
            raise CRSError(
                "polygons are cut from maps in metres", where="class map", found=str(source.crs)[:60]
            )
        given = mmu if isinstance(mmu, Mapping) else None
        values = list(given.values()) if given is not None else [mmu]
        if any(not one >= 0 for one in values):  # type: ignore[operator]
            raise ParameterError("the smallest mapped unit is an area", where="mmu", found=mmu)
        wanted = given if given is not None else _Every(float(mmu))  # type: ignore[arg-type]
        least = {name: int(np.ceil(area / cell - 1e-9)) for name, area in wanted.items()}
        return outlined(source, find_pieces(source, least), simplify=simplify)


def outlined(source: ClassMap, pieces: Pieces, *, simplify: bool = True) -> gpd.GeoDataFrame:
    """Polygon, class, cells and area of each piece; see :func:`vectorize`."""
    arcs = trace(source, pieces)
    if simplify:
        arcs = straightened(arcs)
    geometry = _polygons(arcs, pieces, source.transform)
    frame = gpd.GeoDataFrame(
        {"class": pieces.classes, "cells": pieces.cells}, geometry=geometry, crs=source.crs
    )
    plane = pieces.cells * abs(source.transform.determinant)
    frame.insert(2, "area_m2", _areas(geometry, plane, source.crs))
    return frame


class _Every(dict[int, float]):
    """One area for every class a raster can hold."""

    def __init__(self, area: float) -> None:
        super().__init__({name: area for name in range(1, 1 << 16)})
