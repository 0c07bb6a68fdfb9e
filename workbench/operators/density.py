"""Counts, sums and densities of points by zone."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core.errors import ParameterError
from workbench.operators.area import area_m2
from workbench.operators.guards import has_columns, metric_crs, same_crs, valid_polygons


def point_zone_pairs(
    points: gpd.GeoDataFrame, zones: gpd.GeoDataFrame
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Positions (point, zone) of the points in each zone, sorted by point.

    A point inside overlapping zones belongs to each of them; a point on an edge belongs to the zone it is inside of,
    or, inside of none, to the first zone it touches: no point is lost or counted twice on a common edge.

    Parameters
    ----------
    points : GeoDataFrame of points
        Projected CRS in metres; missing geometries belong nowhere.
    zones : GeoDataFrame of polygons
        In the same CRS.

    Raises
    ------
    CRSError, DataQualityError
        When the CRS differ or are not metric, or a zone is invalid.
    """
    same_crs(points, zones)
    areas = valid_polygons(zones, where="zones")
    geoms: npt.NDArray[Any] = np.asarray(points.geometry.array, dtype=object)
    zone, point = shapely.STRtree(geoms).query(areas, predicate="intersects")
    order = np.lexsort((zone, point))
    point, zone = point[order], zone[order]
    shapely.prepare(areas)
    inside = shapely.contains_properly(areas[zone], geoms[point])
    has_inside = np.zeros(len(geoms), dtype=bool)
    has_inside[point[inside]] = True
    first = np.concatenate(([True], point[1:] != point[:-1]))[: len(point)]
    keep = inside | (first & ~has_inside[point])
    return point[keep], zone[keep]


def points_in_zones(
    points: gpd.GeoDataFrame,
    zones: gpd.GeoDataFrame,
    *,
    zone_id: str = "code",
    by: str | None = None,
    values: str | None = None,
) -> pd.DataFrame:
    """Count of points, or sum of one of their columns, in each zone and class.

    Parameters
    ----------
    points : GeoDataFrame of points
        Projected CRS in metres.
    zones : GeoDataFrame of polygons
        In the same CRS; may overlap; rows with one id are added up.
    zone_id : str, default "code"
        Column of ``zones``.
    by : str, optional
        Class column of ``points``.
    values : str, optional
        Column to add up; missing values make the sum of their zone missing. Omitted: points are counted.

    Returns
    -------
    DataFrame of float64, shape (zones, classes)
        0 where there are no points; index in the order of ``zones``; without ``by`` one column, ``count`` or the name
        of ``values``.

    Raises
    ------
    CRSError, ParameterError, DataQualityError
        When the CRS differ or are not metric, a column or class is missing, or a zone is invalid.

    Examples
    --------
    >>> stops = gpd.GeoDataFrame({"people": [3, 4]}, geometry=gpd.points_from_xy([1, 12], [5, 5]), crs="EPSG:4547")
    >>> town = gpd.GeoDataFrame({"code": ["A", "B"]}, geometry=[shapely.box(0, 0, 10, 10), shapely.box(10, 0, 20, 10)],
    ...                         crs="EPSG:4547")
    >>> points_in_zones(stops, town, values="people")["people"].tolist()
    [3.0, 4.0]
    """
    has_columns(points, [c for c in (by, values) if c is not None], where="points")
    has_columns(zones, [zone_id], where="zones")
    point, zone = point_zone_pairs(points, zones)
    classes: pd.Index[Any]
    class_of, classes = np.zeros(len(points), dtype=np.intp), pd.Index([values or "count"], dtype=object)
    if by is not None:
        if points[by].isna().any():
            raise ParameterError("rows without a class", where=f"points, column {by}")
        class_of, names = pd.factorize(points[by], sort=True)
        classes = pd.Index(names, name=by)
    weight = np.ones(len(points)) if values is None else points[values].to_numpy(dtype=np.float64)
    zone_of, codes = pd.factorize(zones[zone_id])
    sums = np.bincount(
        zone_of[zone] * len(classes) + class_of[point],
        weights=weight[point],
        minlength=len(codes) * len(classes),
    )
    return pd.DataFrame(
        sums.reshape(len(codes), len(classes)).astype(np.float64),
        index=pd.Index(codes, name=zone_id),
        columns=classes,
    )


def zone_area_km2(zones: gpd.GeoDataFrame, *, zone_id: str = "code") -> pd.Series[float]:
    """Area of each zone in square kilometres on the ellipsoid; rows with one id are added up.

    Raises
    ------
    CRSError, ParameterError
        When the CRS is not metric or the column is missing.
    """
    metric_crs(zones.crs, where="zones")
    has_columns(zones, [zone_id], where="zones")
    area = pd.Series(area_m2(zones.geometry, zones.crs) / 1e6, index=pd.Index(zones[zone_id], name=zone_id))
    return area.groupby(level=0, sort=False).sum().rename("area_km2")


def per_km2(
    amount: pd.DataFrame | pd.Series[float], zones: gpd.GeoDataFrame, *, zone_id: str = "code"
) -> Any:
    """Amount of each zone divided by the zone's area: per square kilometre of the ellipsoid.

    Parameters
    ----------
    amount : DataFrame or Series of float
        Index holds zone ids, e.g. from :func:`points_in_zones` or ``network.length_by_zone``.
    zones : GeoDataFrame of polygons
        Projected CRS in metres.
    zone_id : str, default "code"
        Column of ``zones``.

    Returns
    -------
    DataFrame or Series
        Shape of ``amount``; NaN where the zone has no area.

    Raises
    ------
    CRSError, ParameterError
        When the CRS is not metric or the column is missing.
    """
    area = zone_area_km2(zones, zone_id=zone_id).reindex(amount.index)
    return amount.div(area.where(area > 0), axis=0)
