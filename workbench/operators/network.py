"""Lengths of lines by zone: road networks, railways, rivers."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core.errors import DataQualityError, ParameterError
from workbench.operators.area import length_m
from workbench.operators.guards import has_columns, same_crs, valid_polygons
from workbench.operators.overlay import candidate_pairs, on_threads, within_pairs

Geoms = npt.NDArray[Any]
Ints = npt.NDArray[np.intp]


def length_by_zone(
    lines: gpd.GeoDataFrame, zones: gpd.GeoDataFrame, *, zone_id: str = "code", by: str | None = None
) -> pd.DataFrame:
    """Length of the lines in each zone, in metres on the ellipsoid.

    Lines are cut at the edges of zones. A piece that runs along the common edge of two zones counts half in each, so
    that the zones add up to the whole.

    Parameters
    ----------
    lines : GeoDataFrame of lines
        Projected CRS in metres; two carriageways drawn as two lines count twice.
    zones : GeoDataFrame of polygons
        In the same CRS; may overlap (a line in two zones counts in both); rows with one id are added up.
    zone_id : str, default "code"
        Column of ``zones``.
    by : str, optional
        Class column of ``lines``.

    Returns
    -------
    DataFrame of float64, shape (zones, classes)
        Metres, 0 where there is nothing; index in the order of ``zones``; without ``by`` one column ``length_m``.

    Raises
    ------
    CRSError, ParameterError, DataQualityError
        When the CRS differ or are not metric, a column or class is missing, a geometry is no line or a zone invalid.

    Examples
    --------
    >>> road = gpd.GeoDataFrame({"road_class": ["primary"]}, crs="EPSG:4547",
    ...                         geometry=[shapely.LineString([(5e5, 25e5 + 5), (5e5 + 30, 25e5 + 5)])])
    >>> town = gpd.GeoDataFrame({"code": ["A"]}, geometry=[shapely.box(5e5, 25e5, 5e5 + 20, 25e5 + 10)], crs=4547)
    >>> length_by_zone(road, town, by="road_class").round(2)
    road_class  primary
    code
    A              20.0
    """
    crs = same_crs(lines, zones)
    has_columns(zones, [zone_id], where="zones")
    geoms: Geoms = np.asarray(lines.geometry.array, dtype=object)
    bad = np.flatnonzero(~np.isin(shapely.get_type_id(geoms), (1, 2, 5)))
    if len(bad):
        raise DataQualityError(
            f"{len(bad)} of {len(geoms)} geometries are not lines", where=f"lines, row {lines.index[bad[0]]}"
        )
    if by is not None:
        has_columns(lines, [by], where="lines")
        if lines[by].isna().any():
            raise ParameterError(
                "rows without a class", where=f"lines, column {by}", found=int(lines[by].isna().sum())
            )
    areas = valid_polygons(zones, where="zones")
    i, j = candidate_pairs(geoms, areas)
    metres = np.empty(len(i))
    whole = within_pairs(geoms, areas, i, j)
    own = np.full(len(geoms), np.nan)
    used = np.unique(i[whole])
    own[used] = length_m(geoms[used], crs)
    metres[whole] = own[i[whole]]
    cut = np.flatnonzero(~whole)
    metres[cut] = length_m(on_threads(shapely.intersection, geoms[i[cut]], areas[j[cut]]), crs)
    metres -= _shared_edges(geoms, areas, i, j, crs)
    classes: pd.Index[Any]
    class_of, classes = np.zeros(len(geoms), dtype=np.intp), pd.Index(["length_m"], dtype=object)
    if by is not None:
        class_of, names = pd.factorize(lines[by], sort=True)
        classes = pd.Index(names, name=by)
    zone_of, codes = pd.factorize(zones[zone_id])
    sums = np.bincount(
        zone_of[j] * len(classes) + class_of[i], weights=metres, minlength=len(codes) * len(classes)
    )
    return pd.DataFrame(
        sums.reshape(len(codes), len(classes)), index=pd.Index(codes, name=zone_id), columns=classes
    )


def _shared_edges(geoms: Geoms, areas: Geoms, i: Ints, j: Ints, crs: Any) -> npt.NDArray[np.float64]:
    """Metres to take from each (line, zone) pair: half of what the line runs along an edge common to two zones."""
    less = np.zeros(len(i))
    several = np.flatnonzero(np.bincount(i, minlength=len(geoms))[i] > 1)  # lines that meet two zones or more
    edge = shapely.boundary(areas)
    along = on_threads(shapely.intersection, geoms[i[several]], edge[j[several]])
    real = shapely.length(along) > 0
    several, along = several[real], along[real]
    for line in np.unique(i[several]):
        mine = np.flatnonzero(i[several] == line)
        for p in mine:
            for q in mine[mine > p]:
                half = length_m([shapely.intersection(along[p], along[q])], crs)[0] / 2
                less[several[p]] += half
                less[several[q]] += half
    return less
