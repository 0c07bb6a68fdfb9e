"""Polygon overlay: intersections, erasure, dissolving, and areas by zone and class.

Pairs come from a spatial tree; a polygon that lies wholly inside the other is taken as it is; only the rest is
intersected, on threads, in blocks, so that memory stays bounded. Layers may overlap themselves. Areas are ellipsoidal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core.errors import ParameterError
from workbench.operators.area import area_m2
from workbench.operators.guards import has_columns, same_crs, valid_polygons, without_precision

Geoms = npt.NDArray[Any]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

_BLOCK = 50_000
"""Pairs that are intersected before their results are handed on."""
_THREADED = 200
"""Fewer operations are not worth a second thread."""


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="overlay")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # a fork has the pool and none of its threads


def on_threads(function: Callable[..., Geoms], *arrays: Geoms) -> Geoms:
    """Apply a shapely function of arrays on all cores (shapely releases the lock); the threads stay for the next call."""
    if len(arrays[0]) < _THREADED or (workers := os.cpu_count() or 1) == 1:
        return function(*arrays)
    arrays = tuple(without_precision(one) for one in arrays)
    cuts = np.linspace(0, len(arrays[0]), 8 * workers + 1).astype(int)
    spans = [slice(a, b) for a, b in pairwise(cuts.tolist())]
    return np.concatenate(list(_threads().map(lambda span: function(*(one[span] for one in arrays)), spans)))


def polygonal(geoms: Geoms) -> Geoms:
    """Return the polygonal part of each geometry: points and lines fall away, none left is None."""
    out = geoms.copy()
    kinds = shapely.get_type_id(geoms)
    out[~np.isin(kinds, (3, 6, 7)) | shapely.is_empty(geoms)] = None
    for i in np.flatnonzero(kinds == 7):
        parts = shapely.get_parts(shapely.get_parts(geoms[i]))
        parts = parts[shapely.get_type_id(parts) == 3]
        out[i] = None if not len(parts) else parts[0] if len(parts) == 1 else shapely.union_all(parts)
    return out


def candidate_pairs(
    left: Geoms, right: Geoms, *, differing: tuple[Ints, Ints] | None = None
) -> tuple[Ints, Ints]:
    """Positions (in left, in right) of the pairs that intersect, sorted by right, then left.

    The shorter side is prepared and asked against a tree of the longer one. With ``differing`` (a number for each
    polygon of either side) only pairs with different numbers are looked at.
    """
    if differing is not None:
        i, j = shapely.STRtree(right).query(left)
        keep = differing[0][i] != differing[1][j]
        i, j = i[keep], j[keep]
        shapely.prepare(left[np.unique(i)])
        meet = shapely.intersects(left[i], right[j])
        i, j = i[meet], j[meet]
    elif len(left) >= len(right):
        j, i = shapely.STRtree(left).query(right, predicate="intersects")
    else:
        i, j = shapely.STRtree(right).query(left, predicate="intersects")
    order = np.lexsort((i, j))
    return i[order], j[order]


def within_pairs(small: Geoms, large: Geoms, i: Ints, j: Ints) -> Bools:
    """Whether ``small[i]`` lies wholly in ``large[j]``, pair by pair; ``large`` is prepared."""
    a, b = shapely.bounds(small)[i], shapely.bounds(large)[j]
    inside: Bools = np.asarray((a[:, :2] >= b[:, :2]).all(axis=1) & (a[:, 2:] <= b[:, 2:]).all(axis=1))
    ask = np.flatnonzero(inside)
    shapely.prepare(large[np.unique(j[ask])])
    inside[ask] = np.asarray(shapely.covers(large[j[ask]], small[i[ask]]))
    return inside


def _blocks(left: Geoms, right: Geoms) -> Iterator[tuple[Ints, Ints, Geoms, Bools]]:
    """Yield the result of :func:`intersect_pairs` for all pairs of two layers, in blocks."""
    i_all, j_all = candidate_pairs(left, right)
    for start in range(0, len(i_all), _BLOCK):
        i, j = i_all[start : start + _BLOCK], j_all[start : start + _BLOCK]
        yield intersect_pairs(left, right, i, j)


def intersect_pairs(left: Geoms, right: Geoms, i: Ints, j: Ints) -> tuple[Ints, Ints, Geoms, Bools]:
    """Return (i, j, pieces, whether the piece is the whole left polygon) of the pairs with an area in common."""
    pieces = np.empty(len(i), dtype=object)
    whole_left = within_pairs(left, right, i, j)
    pieces[whole_left] = left[i[whole_left]]
    rest = np.flatnonzero(~whole_left)
    whole_right = within_pairs(right, left, j[rest], i[rest])
    pieces[rest[whole_right]] = right[j[rest[whole_right]]]
    rest = rest[~whole_right]
    pieces[rest] = polygonal(on_threads(shapely.intersection, left[i[rest]], right[j[rest]]))
    keep = ~shapely.is_missing(pieces)
    return i[keep], j[keep], pieces[keep], whole_left[keep]


def intersect(
    left: gpd.GeoDataFrame,
    right: gpd.GeoDataFrame,
    *,
    left_id: str,
    right_id: str,
    min_area_m2: float = 0.0,
) -> gpd.GeoDataFrame:
    """Pieces that two polygon layers have in common, with their areas in square metres.

    Parameters
    ----------
    left, right : GeoDataFrame of polygons
        One projected CRS in metres; each layer may overlap itself. Zero-area contacts give no piece.
    left_id, right_id : str
        Columns that name the polygons; two different names.
    min_area_m2 : float, default 0
        Pieces smaller than this are dropped.

    Returns
    -------
    GeoDataFrame[left_id, right_id, area_m2, geometry]
        Ellipsoidal areas; ordered as ``right``, then as ``left``.

    Raises
    ------
    CRSError, ParameterError, DataQualityError
        When the reference systems differ or are not metric, a column is missing, or a polygon is invalid.

    Examples
    --------
    >>> fields = gpd.GeoDataFrame({"f": ["a"]}, geometry=[shapely.box(5e5, 25e5, 5e5 + 20, 25e5 + 10)], crs=4547)
    >>> lines = gpd.GeoDataFrame({"l": ["x"]}, geometry=[shapely.box(5e5 + 15, 25e5, 5e5 + 50, 25e5 + 10)], crs=4547)
    >>> intersect(fields, lines, left_id="f", right_id="l")[["f", "l", "area_m2"]].round(2)
       f  l  area_m2
    0  a  x     50.0
    """
    if left_id == right_id:
        raise ParameterError("the two id columns have one name", found=left_id, hint="rename one of them")
    crs = same_crs(left, right)
    has_columns(left, [left_id], where="left layer")
    has_columns(right, [right_id], where="right layer")
    a, b = valid_polygons(left, where="left layer"), valid_polygons(right, where="right layer")
    found = list(_blocks(a, b))
    empty = np.empty(0, dtype=np.intp)
    i = np.concatenate([f[0] for f in found] or [empty])
    j = np.concatenate([f[1] for f in found] or [empty])
    pieces = np.concatenate([f[2] for f in found] or [np.empty(0, dtype=object)])
    areas = area_m2(pieces, crs)
    keep = areas > 0 if min_area_m2 <= 0 else areas >= min_area_m2
    return gpd.GeoDataFrame(
        {
            left_id: left[left_id].array[i[keep]],
            right_id: right[right_id].array[j[keep]],
            "area_m2": areas[keep],
        },
        geometry=pieces[keep],
        crs=left.crs,
    )


def area_by(left: gpd.GeoDataFrame, zones: gpd.GeoDataFrame, *, by: str, zone_id: str) -> pd.DataFrame:
    """Area of each class of ``left`` in each zone, in square metres.

    Parameters
    ----------
    left : GeoDataFrame of polygons
        Has the class column ``by``; polygons that overlap count each for itself.
    zones : GeoDataFrame of polygons
        Has the column ``zone_id``; zones may overlap; rows with one id are added up.
    by, zone_id : str
        Names of the two columns.

    Returns
    -------
    DataFrame of float64, shape (zones, classes)
        Square metres on the ellipsoid, 0 where a class is absent; index in the order of ``zones``, columns sorted.

    Raises
    ------
    CRSError, ParameterError, DataQualityError
        As :func:`intersect`; also when a class is missing in a row.

    Examples
    --------
    >>> land = gpd.GeoDataFrame({"dlbm": ["0101", "0301"]}, crs=4547, geometry=[
    ...     shapely.box(5e5, 25e5, 5e5 + 10, 25e5 + 10), shapely.box(5e5 + 10, 25e5, 5e5 + 30, 25e5 + 10)])
    >>> town = gpd.GeoDataFrame({"code": ["A"]}, geometry=[shapely.box(5e5, 25e5, 5e5 + 20, 25e5 + 10)], crs=4547)
    >>> area_by(land, town, by="dlbm", zone_id="code").round(2)
    dlbm   0101   0301
    code
    A     100.0  100.0
    """
    crs = same_crs(left, zones)
    has_columns(left, [by], where="left layer")
    has_columns(zones, [zone_id], where="zones")
    if left[by].isna().any():
        raise ParameterError(
            "rows without a class", where=f"left layer, column {by}", found=int(left[by].isna().sum())
        )
    a, b = valid_polygons(left, where="left layer"), valid_polygons(zones, where="zones")
    class_of, classes = pd.factorize(left[by], sort=True)
    zone_of, codes = pd.factorize(zones[zone_id])
    sums = np.zeros(len(codes) * len(classes))
    own = np.full(len(a), np.nan)
    for i, j, pieces, same in _blocks(a, b):  # the area of a whole polygon is computed once
        fresh = np.unique(i[same])
        fresh = fresh[np.isnan(own[fresh])]
        own[fresh] = area_m2(a[fresh], crs)
        areas = np.empty(len(i))
        areas[same] = own[i[same]]
        areas[~same] = area_m2(pieces[~same], crs)
        sums += np.bincount(zone_of[j] * len(classes) + class_of[i], weights=areas, minlength=len(sums))
    return pd.DataFrame(
        sums.reshape(len(codes), len(classes)),
        index=pd.Index(codes, name=zone_id),
        columns=pd.Index(classes, name=by),
    )


def erase(left: gpd.GeoDataFrame, right: gpd.GeoDataFrame, *, min_area_m2: float = 0.0) -> gpd.GeoDataFrame:
    """Remainder of each polygon of ``left`` outside all polygons of ``right``.

    Parameters
    ----------
    left, right : GeoDataFrame of polygons
        One projected CRS in metres.
    min_area_m2 : float, default 0
        Remainders smaller than this are dropped.

    Returns
    -------
    GeoDataFrame
        The columns of ``left`` with the geometry that remains and ``area_m2`` (ellipsoidal); the index is kept, rows
        of which nothing remains are gone.

    Raises
    ------
    CRSError, DataQualityError
        As :func:`intersect`.
    """
    crs = same_crs(left, right)
    a, b = valid_polygons(left, where="left layer").copy(), valid_polygons(right, where="right layer")
    i, j = candidate_pairs(a, b)
    order = np.argsort(i, kind="stable")
    i, j = i[order], j[order]
    rank = np.arange(len(i)) - np.searchsorted(i, i)
    for k in range(int(rank.max()) + 1 if len(rank) else 0):
        turn = np.flatnonzero(rank == k)  # the k-th neighbour of every polygon that has one
        a[i[turn]] = on_threads(shapely.difference, a[i[turn]], b[j[turn]])
    a = polygonal(a)
    areas = area_m2(a, crs)
    keep = areas > 0 if min_area_m2 <= 0 else areas >= min_area_m2
    rest = left.loc[keep].copy()
    rest = rest.set_geometry(gpd.GeoSeries(a[keep], index=rest.index, crs=left.crs))
    rest["area_m2"] = areas[keep]
    return rest


def dissolve(frame: gpd.GeoDataFrame, *, by: str) -> gpd.GeoDataFrame:
    """Union of the polygons of each class, with its area in square metres.

    Parameters
    ----------
    frame : GeoDataFrame of polygons
        Projected CRS in metres; overlaps inside a class count once.
    by : str
        Class column.

    Returns
    -------
    GeoDataFrame[by, area_m2, geometry]
        One row a class, sorted.

    Raises
    ------
    CRSError, ParameterError, DataQualityError
        As :func:`intersect`.
    """
    crs = same_crs(frame, frame)
    has_columns(frame, [by], where="layer")
    geoms = valid_polygons(frame, where="layer")
    class_of, classes = pd.factorize(frame[by], sort=True)
    union = np.array([shapely.union_all(geoms[class_of == k]) for k in range(len(classes))], dtype=object)
    return gpd.GeoDataFrame({by: classes, "area_m2": area_m2(union, crs)}, geometry=union, crs=frame.crs)
