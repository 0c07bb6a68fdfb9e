"""Ellipsoidal areas and lengths against closed forms and against pyproj's geodesic polygons."""

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely

from workbench.core.errors import CRSError
from workbench.operators.area import area_m2, length_m

GEOD = pyproj.Geod(ellps="GRS80")
GK = "EPSG:4547"


def geodesic_area(polygon, crs, step):
    """Area by pyproj after cutting the edges, straight in ``crs``, into very short pieces."""
    to = pyproj.Transformer.from_crs(crs, "EPSG:4490", always_xy=True)
    lonlat = shapely.transform(
        shapely.segmentize(polygon, step), lambda c: np.column_stack(to.transform(c[:, 0], c[:, 1]))
    )
    return abs(GEOD.geometry_area_perimeter(lonlat)[0])


def test_zone_of_the_ellipsoid_has_its_closed_form():
    # Area between the equator and a parallel, one radian wide, is b^2/2 [sin/(1-e2 sin2) + atanh(e sin)/e] (Snyder)
    a, f = 6378137.0, 1 / 298.257222101
    e2 = f * (2 - f)
    e = np.sqrt(e2)

    def band(lat):
        s = np.sin(np.radians(lat))
        return a * a * (1 - e2) / 2 * (s / (1 - e2 * s * s) + np.arctanh(e * s) / e)

    cell = shapely.box(113.0, 22.0, 114.0, 24.0)
    expected = np.radians(1.0) * (band(24) - band(22))
    assert area_m2([cell], "EPSG:4490")[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("size", "step", "rel"),
    [(300.0, 10.0, 1e-9), (3_000.0, 5.0, 2e-9), (100_000.0, 20.0, 1e-9)],
)
def test_agrees_with_geodesic_polygons(size, step, rel):
    turn = np.radians([12, 95, 170, 260, 320])
    for x, y in [(400_000, 2_500_000), (620_000, 4_200_000)]:
        star = shapely.Polygon(np.column_stack((x + size * np.cos(turn), y + size * np.sin(turn) * 0.6)))
        assert area_m2([star], GK)[0] == pytest.approx(geodesic_area(star, GK, step), rel=rel)


@pytest.mark.parametrize("size", [0.5, 3.0, 20.0])
def test_small_figures_are_the_plane_divided_by_the_scale(size):
    # pyproj's geodesic polygons lose digits below some hundred square metres; the local scale does not
    polygon = shapely.Polygon([(4e5, 25e5), (4e5 + size, 25e5 + 0.2 * size), (4e5 + 0.4 * size, 25e5 + size)])
    lon, lat = pyproj.Transformer.from_crs(GK, "EPSG:4490", always_xy=True).transform(
        *polygon.centroid.coords[0]
    )
    scale = pyproj.Proj(GK).get_factors(lon, lat).areal_scale
    assert area_m2([polygon], GK)[0] == pytest.approx(polygon.area / scale, rel=1e-7)


def test_triangle_with_a_long_oblique_edge():
    triangle = shapely.Polygon([(380_000, 2_450_000), (460_000, 2_530_000), (380_000, 2_530_000)])
    assert area_m2([triangle], GK)[0] == pytest.approx(geodesic_area(triangle, GK, 10.0), rel=1e-9)


def test_wrong_plane_same_ellipsoid():
    # The same figure through two projections: far from the central meridian the plane is 0.1 % too large, we are not.
    square = shapely.segmentize(shapely.box(500_000, 2_500_000, 502_000, 2_502_000), 5)
    moved = gpd.GeoSeries([square], crs=GK).to_crs("EPSG:3857")
    assert moved.area[0] > 1.15 * square.area
    assert area_m2(moved, "EPSG:3857")[0] == pytest.approx(area_m2([square], GK)[0], rel=1e-8)


def test_holes_parts_and_other_geometries():
    big, small = (
        shapely.box(5e5, 25e5, 5e5 + 300, 25e5 + 300),
        shapely.box(5e5 + 100, 25e5 + 100, 5e5 + 200, 25e5 + 200),
    )
    apart = shapely.box(5e5 + 1000, 25e5, 5e5 + 1100, 25e5 + 100)
    holed = big.difference(small)
    values = area_m2([big, small, holed, shapely.MultiPolygon([holed, apart]), None, shapely.Point(0, 0)], GK)
    assert values[2] == pytest.approx(values[0] - values[1], rel=1e-12)
    assert values[3] == pytest.approx(values[2] + area_m2([apart], GK)[0], rel=1e-12)
    assert values[4:].tolist() == [0, 0]
    assert values[0] == pytest.approx(90_000, rel=1e-6)
    assert area_m2([], GK).shape == (0,)
    assert area_m2([shapely.Polygon(list(big.exterior.coords)[::-1])], GK)[0] == pytest.approx(
        values[0], rel=1e-12
    )


def test_length_is_geodesic():
    line = shapely.LineString([(113.0, 22.0), (114.0, 23.0), (114.0, 22.5)])
    expected = GEOD.line_length(*line.xy)
    dense = length_m([line, None, shapely.box(113, 22, 113.01, 22.01)], "EPSG:4490")
    assert dense[0] == pytest.approx(expected, rel=1e-5)  # edges are straight in degrees, slightly longer
    assert dense[0] >= expected
    assert dense[1] == 0
    assert dense[2] == pytest.approx(GEOD.geometry_length(shapely.box(113, 22, 113.01, 22.01)), rel=1e-9)
    meridian = shapely.LineString([(5e5, 25e5), (5e5, 26e5)])
    assert length_m([meridian], GK)[0] == pytest.approx(
        100_000, rel=1e-9
    )  # true to scale on the central meridian


def test_refuses_other_ellipsoids_and_no_crs():
    with pytest.raises(CRSError, match="CGCS2000 or WGS 84"):
        area_m2([shapely.box(0, 0, 1, 1)], "EPSG:2433")  # Beijing 1954 / 3-degree
    with pytest.raises(CRSError, match="needs a CRS"):
        length_m([shapely.LineString([(0, 0), (1, 1)])], None)
