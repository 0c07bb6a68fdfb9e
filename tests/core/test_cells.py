"""Cells rebuilt from their centres: squares, hexagons, what lies at the edge, single points."""

import geopandas as gpd
import numpy as np
import shapely

from workbench.core.cells import cell_shapes, spacing

GK = "EPSG:4547"


def test_squares_of_a_grid_with_holes():
    x, y = np.meshgrid(np.arange(6) * 100.0, np.arange(5) * 100.0)
    keep = np.ones(30, dtype=bool)
    keep[[7, 8, 13]] = False
    cells = cell_shapes(gpd.GeoSeries.from_xy(x.ravel()[keep], y.ravel()[keep], crs=GK))
    np.testing.assert_allclose(shapely.area(cells), 10_000)
    assert shapely.union_all(cells).area == 270_000


def test_a_large_grid_is_square_too():
    x, y = np.meshgrid(np.arange(30) * 100.0, np.arange(30) * 100.0)
    np.testing.assert_allclose(
        shapely.area(cell_shapes(gpd.GeoSeries.from_xy(x.ravel(), y.ravel(), crs=GK))), 10_000
    )


def test_hexagons_of_a_honeycomb():
    row, column = np.mgrid[0:9, 0:9]
    x, y = 300.0 * (column + 0.5 * (row % 2)), 300.0 * np.sqrt(3) / 2 * row
    points = gpd.GeoSeries.from_xy(x.ravel(), y.ravel(), crs=GK)
    cells = cell_shapes(points)
    hexagon = 300.0**2 * np.sqrt(3) / 2
    assert spacing(points) == 300.0
    inner = ((row > 0) & (row < 8) & (column > 0) & (column < 8)).ravel()
    np.testing.assert_allclose(shapely.area(cells[inner]), hexagon)
    assert (shapely.area(cells[~inner]) < np.pi * (0.64 * 300) ** 2).all()
    assert shapely.contains(cells, points.to_numpy()).all()


def test_a_single_point_has_a_square():
    assert shapely.area(cell_shapes(gpd.GeoSeries.from_xy([5.0], [5.0], crs=GK))).tolist() == [10_000.0]
