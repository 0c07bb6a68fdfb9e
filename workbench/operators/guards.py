"""Checks at the door that all vector operators share: projected metres, one CRS, valid polygons, known columns."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from workbench.core.errors import CRSError, DataQualityError, ParameterError


def metric_crs(crs: Any, *, where: str) -> pyproj.CRS:
    """Return ``crs`` as a ``pyproj.CRS`` that is known, projected and in metres.

    Parameters
    ----------
    crs : anything ``pyproj.CRS.from_user_input`` takes, or None
        The reference system of a layer.
    where : str
        Name of the layer in the error.

    Raises
    ------
    CRSError
        When it is missing, geographic, or in another unit than the metre.
    """
    if crs is None:
        raise CRSError(
            "the layer has no coordinate reference system",
            where=where,
            hint="set it from the data's documents",
        )
    known = pyproj.CRS.from_user_input(crs)
    if not known.is_projected:
        raise CRSError(
            "distances need a projected CRS",
            where=where,
            found=known.name,
            expected="projected, metres",
            hint="convert with to_crs(city.crs)",
        )
    units = {axis.unit_name for axis in known.axis_info[:2]}
    if units and units != {"metre"}:
        raise CRSError(
            "distances need metres",
            where=where,
            found=", ".join(sorted(units)),
            expected="metre",
            hint="convert with to_crs(city.crs)",
        )
    return known


def same_crs(left: gpd.GeoDataFrame | gpd.GeoSeries, right: gpd.GeoDataFrame | gpd.GeoSeries) -> pyproj.CRS:
    """Return the one projected CRS of two layers.

    Raises
    ------
    CRSError
        When one is missing or not in projected metres, or when the two differ.
    """
    first, second = metric_crs(left.crs, where="left layer"), metric_crs(right.crs, where="right layer")
    if first != second:
        raise CRSError(
            "the two layers have different reference systems",
            found=second.name,
            expected=first.name,
            hint="convert one with to_crs",
        )
    return first


def has_columns(frame: gpd.GeoDataFrame, columns: Iterable[str], *, where: str) -> None:
    """Raise ``ParameterError`` naming the columns that ``frame`` does not have."""
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise ParameterError(
            "columns are missing", where=where, found=list(map(str, frame.columns)), expected=missing
        )


def _is_valid(geoms: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Whether each geometry is valid; many are looked at on all cores (shapely releases the interpreter lock)."""
    workers = os.cpu_count() or 1
    if workers == 1 or len(geoms) < 5_000:
        return np.asarray(shapely.is_valid(geoms))
    with ThreadPoolExecutor(workers) as pool:
        return np.concatenate(list(pool.map(shapely.is_valid, np.array_split(geoms, 4 * workers))))


def without_precision(geoms: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the same shapes free of the grid that ``shapely.set_precision`` leaves with them and what is cut from them.

    GEOS counts the geometries that share such a grid without a lock: counted on several threads at once the grid is
    freed while it is in use, and cuts fail now and then, or the process dies. Shapes without one come back as they are.
    """
    gridded = shapely.get_precision(geoms) > 0
    if not gridded.any():
        return geoms
    plain = geoms.copy()
    plain[gridded] = shapely.from_wkb(shapely.to_wkb(geoms[gridded]))
    return plain


def valid_polygons(frame: gpd.GeoDataFrame, *, where: str) -> np.ndarray[Any, Any]:
    """Return the geometries of a polygon layer as an array, after checking them.

    Raises
    ------
    DataQualityError
        When a geometry is missing, is no polygon or crosses itself: any area from it would be wrong.
    """
    geoms: np.ndarray[Any, Any] = np.asarray(frame.geometry.array, dtype=object)
    kinds = shapely.get_type_id(geoms)
    bad = np.flatnonzero(~np.isin(kinds, (3, 6)) & ~((kinds == 7) & shapely.is_empty(geoms)))
    if bad.size:
        row = frame.index[bad[0]]
        raise DataQualityError(
            f"{bad.size} of {len(geoms)} geometries are not polygons",
            where=f"{where}, row {row}",
            found="nothing" if geoms[bad[0]] is None else geoms[bad[0]].geom_type,
            expected="Polygon or MultiPolygon",
        )
    bad = np.flatnonzero(~_is_valid(geoms))
    if bad.size:
        raise DataQualityError(
            f"{bad.size} of {len(geoms)} polygons are invalid",
            where=f"{where}, row {frame.index[bad[0]]}",
            found=shapely.is_valid_reason(geoms[bad[0]]),
            hint="repair with shapely.make_valid and record it",
        )
    return geoms
