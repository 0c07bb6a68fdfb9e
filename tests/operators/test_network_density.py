"""Lengths of lines and counts of points by zone."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from workbench.core.errors import DataQualityError, ParameterError
from workbench.operators.area import length_m
from workbench.operators.density import per_km2, points_in_zones, zone_area_km2
from workbench.operators.network import length_by_zone

GK = "EPSG:4547"
ORIGIN = np.array([5e5, 25e5])


def zones(*boxes, names=None):
    shapes = [shapely.box(5e5 + a, 25e5 + b, 5e5 + c, 25e5 + d) for a, b, c, d in boxes]
    return gpd.GeoDataFrame({"code": names or [f"z{k}" for k in range(len(shapes))]}, geometry=shapes, crs=GK)


def roads(*coords, kinds=None):
    shapes = [shapely.LineString(np.array(c, float) + ORIGIN) for c in coords]
    return gpd.GeoDataFrame({"road_class": kinds or ["a"] * len(shapes)}, geometry=shapes, crs=GK)


def stops(*xy, **columns):
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(*(np.array(xy, float) + ORIGIN).T), crs=GK)


TOWN = zones((0, 0, 100, 100), (100, 0, 200, 100))


def test_lengths_by_hand():
    got = length_by_zone(
        roads([(50, 50), (150, 50)], [(10, 10), (10, 60)], [(150, 90), (150, 190)], kinds=["a", "b", "b"]),
        TOWN,
        by="road_class",
    )
    assert got.round(4).to_dict() == {"a": {"z0": 50.0, "z1": 50.0}, "b": {"z0": 50.0, "z1": 10.0}}
    assert length_by_zone(roads([(500, 500), (600, 500)]), TOWN)["length_m"].tolist() == [0.0, 0.0]


def test_a_road_on_the_common_edge_is_shared():
    line = roads([(100, -20), (100, 60), (150, 60)])
    got = length_by_zone(line, TOWN)["length_m"]
    assert got.round(4).tolist() == [30.0, 80.0]
    outer = length_by_zone(roads([(0, 0), (0, 100)]), TOWN)["length_m"]
    assert outer.round(4).tolist() == [100.0, 0.0]


def test_lengths_add_up_and_equal_geopandas():
    rng = np.random.default_rng(1)
    lines = roads(*[rng.uniform(0, 900, (4, 2)) for _ in range(150)], kinds=list(rng.choice(["a", "b"], 150)))
    cells = zones(*[(x, y, x + 300, y + 300) for x in (0, 300, 600) for y in (0, 300, 600)])
    got = length_by_zone(lines, cells, by="road_class")
    assert got.to_numpy().sum() == pytest.approx(length_m(lines.geometry, GK).sum(), rel=1e-9)
    peer = gpd.overlay(lines, cells, how="intersection", keep_geom_type=True)
    peer["m"] = length_m(peer.geometry, GK)
    np.testing.assert_allclose(
        got, peer.pivot_table(index="code", columns="road_class", values="m", aggfunc="sum")
    )


def test_length_refuses_other_geometries_and_missing_classes():
    with pytest.raises(DataQualityError, match="not lines"):
        length_by_zone(stops((1, 1)), TOWN)
    with pytest.raises(ParameterError, match="without a class"):
        length_by_zone(roads([(0, 0), (1, 1)], kinds=[None]), TOWN, by="road_class")


def test_points_by_hand():
    at = stops(
        (50, 50),
        (100, 50),
        (150, 50),
        (0, 0),
        (900, 9),
        people=[1, 2, 4, 8, 16],
        kind=["x", "x", "y", "y", "y"],
    )
    assert points_in_zones(at, TOWN)["count"].tolist() == [3.0, 1.0]  # the one on the common edge counts once
    assert points_in_zones(at, TOWN, values="people")["people"].tolist() == [11.0, 4.0]
    assert points_in_zones(at, TOWN, by="kind").to_dict() == {
        "x": {"z0": 2.0, "z1": 0.0},
        "y": {"z0": 1.0, "z1": 1.0},
    }
    over = zones((0, 0, 100, 100), (40, 40, 120, 120))
    assert points_in_zones(at, over)["count"].tolist() == [
        2.0,
        2.0,
    ]  # overlapping zones both count what is inside


def test_points_equal_sjoin():
    rng = np.random.default_rng(2)
    at = stops(*rng.uniform(0, 900, (500, 2)), w=rng.uniform(0, 1, 500))
    cells = zones(*[(x, y, x + 300, y + 300) for x in (0, 300, 600) for y in (0, 300, 600)])
    peer = gpd.sjoin(at, cells).groupby("code")["w"].agg(["size", "sum"])
    assert points_in_zones(at, cells)["count"].tolist() == peer["size"].tolist()
    np.testing.assert_allclose(points_in_zones(at, cells, values="w")["w"], peer["sum"])


def test_density_per_square_kilometre():
    square = zones((0, 0, 1000, 1000), (1000, 0, 3000, 1000), names=["A", "A"])
    assert zone_area_km2(square)["A"] == pytest.approx(3.0, rel=1e-6)
    count = points_in_zones(stops((1, 1), (2, 2), (2500, 5)), square)
    assert per_km2(count, square).loc["A", "count"] == pytest.approx(1.0, rel=1e-6)
