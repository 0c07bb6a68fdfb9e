"""Cells of a regular grid of which only the centres are known."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree


def spacing(points: gpd.GeoSeries) -> float:
    """Distance of neighbouring centres, in the units of the CRS; nan for fewer than two."""
    xy = shapely.get_coordinates(points.to_numpy())
    if len(xy) < 2:
        return float("nan")
    distance, _ = cKDTree(xy).query(xy[:2000], k=2)
    return float(np.median(distance[:, 1]))


def cell_shapes(points: gpd.GeoSeries) -> npt.NDArray[Any]:
    """Polygon around each centre: what is nearer to it than to any other, within the size of a cell.

    Parameters
    ----------
    points : GeoSeries of points
        Centres of a grid of squares or hexagons, each once, in a projected CRS.

    Returns
    -------
    ndarray of Polygon
        In the order of the points.

    Examples
    --------
    >>> grid = gpd.GeoSeries.from_xy([0, 100, 0, 100], [0, 0, 100, 100], crs="EPSG:4547")
    >>> [round(shape.area) for shape in cell_shapes(grid)]
    [10000, 10000, 10000, 10000]
    """
    centres = np.asarray(points.array, dtype=object)
    apart = spacing(points)
    if not apart > 0:
        return np.asarray(shapely.buffer(centres, 50.0, cap_style="square"), dtype=object)
    xy = shapely.get_coordinates(centres)
    neighbours = cKDTree(xy).query(xy, k=min(len(xy), 5))[0]
    square = bool(np.isclose(np.median(neighbours[:, -1]), apart * np.sqrt(2.0), rtol=0.02)) or len(xy) < 5
    whole = shapely.box(*(shapely.total_bounds(centres) + apart * np.array([-3, -3, 3, 3])))
    shapes = shapely.get_parts(
        shapely.voronoi_polygons(shapely.multipoints(centres), extend_to=whole, ordered=True)
    )
    limit = shapely.buffer(centres, apart / 2, cap_style="square") if square else _hexagons(centres, apart)
    return np.asarray(shapely.intersection(shapes, limit), dtype=object)


def _hexagons(centres: npt.NDArray[Any], apart: float) -> npt.NDArray[Any]:
    """Circle about as large as a hexagon's corners: it cuts only what lies at the edge of the grid."""
    return np.asarray(shapely.buffer(centres, 0.64 * apart), dtype=object)
