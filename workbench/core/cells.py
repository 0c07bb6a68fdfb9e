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
    square = _is_square(xy, apart)
    whole = shapely.box(*(shapely.total_bounds(centres) + apart * np.array([-3, -3, 3, 3])))
    shapes = shapely.get_parts(
        shapely.voronoi_polygons(shapely.multipoints(centres), extend_to=whole, ordered=True)
    )
    limit = shapely.buffer(centres, apart / 2, cap_style="square") if square else _hexagons(centres, apart)
    return np.asarray(shapely.intersection(shapes, limit), dtype=object)


def _is_square(xy: npt.NDArray[np.float64], apart: float) -> bool:
    """Whether centres are those of squares: some lie across a corner, at 1.41 of the spacing, as no hexagons do."""
    if len(xy) < 5:
        return True
    some = np.linspace(0, len(xy) - 1, min(len(xy), 2000)).astype(np.intp)
    far = cKDTree(xy).query(xy[some], k=min(len(xy), 9))[0][:, 1:] / apart
    return bool(np.mean((far > 1.35) & (far < 1.48)) > 0.05)


def _hexagons(centres: npt.NDArray[Any], apart: float) -> npt.NDArray[Any]:
    """Circle about as large as a hexagon's corners: it cuts only what lies at the edge of the grid."""
    return np.asarray(shapely.buffer(centres, 0.64 * apart), dtype=object)
