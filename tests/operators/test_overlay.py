"""Overlay against hand-drawn figures, geopandas.overlay and what must always hold."""

from itertools import pairwise

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.errors import CRSError, DataQualityError, ParameterError
from workbench.operators import overlay
from workbench.operators.area import area_m2

GK = "EPSG:4547"


def box(x0, y0, x1, y1):
    return shapely.box(5e5 + x0, 25e5 + y0, 5e5 + x1, 25e5 + y1)


def layer(geoms, crs=GK, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(geoms), crs=crs)


def blobs(seed, n, radius, span=1000.0):
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 9)[:-1]
    out = []
    for cx, cy in rng.uniform(0, span, (n, 2)):
        r = rng.uniform(0.3, 1.0, 8) * radius
        out.append(
            shapely.Polygon(np.column_stack((5e5 + cx + r * np.cos(turn), 25e5 + cy + r * np.sin(turn))))
        )
    return out


def test_by_hand():
    fields = layer([box(0, 0, 10, 10), box(10, 0, 30, 10)], f=["a", "b"])
    zones = layer([box(0, 0, 20, 10), box(5, 5, 8, 8), box(30, 0, 40, 10)], z=["X", "Y", "Z"])
    got = overlay.intersect(fields, zones, left_id="f", right_id="z")
    assert list(zip(got["f"], got["z"], got["area_m2"].round(3), strict=True)) == [
        ("a", "X", 100.0),
        ("b", "X", 100.0),
        ("a", "Y", 9.0),  # Z only touches b
    ]
    assert got.crs == fields.crs
    assert len(overlay.intersect(fields, zones, left_id="f", right_id="z", min_area_m2=50)) == 2
    none = overlay.intersect(fields, zones.iloc[2:], left_id="f", right_id="z")
    assert len(none) == 0 and list(none.columns) == ["f", "z", "area_m2", "geometry"]


def test_areas_equal_geopandas():
    left, right = layer(blobs(1, 300, 60), f=range(300)), layer(blobs(2, 40, 200), z=range(40))
    got = (
        overlay.intersect(left, right, left_id="f", right_id="z")
        .set_index(["f", "z"])["area_m2"]
        .sort_index()
    )
    peer = gpd.overlay(left, right, how="intersection", keep_geom_type=True)
    expected = peer.assign(area=area_m2(peer.geometry, GK)).set_index(["f", "z"])["area"].sort_index()
    assert got.index.equals(expected.index)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-6)


def test_sides_may_be_swapped():
    left, right = layer(blobs(3, 20, 200), f=range(20)), layer(blobs(4, 200, 50), z=range(200))
    one = (
        overlay.intersect(left, right, left_id="f", right_id="z")
        .set_index(["f", "z"])["area_m2"]
        .sort_index()
    )
    two = (
        overlay.intersect(right, left, left_id="z", right_id="f")
        .set_index(["f", "z"])["area_m2"]
        .sort_index()
    )
    assert one.index.equals(two.index)
    np.testing.assert_allclose(one, two, rtol=1e-12)


def test_threads_and_blocks_change_nothing(monkeypatch):
    left, zones = layer(blobs(5, 500, 60), c=["u", "v"] * 250), layer(blobs(6, 60, 200), z=range(60))
    whole = overlay.area_by(left, zones, by="c", zone_id="z")
    monkeypatch.setattr(overlay, "_BLOCK", 37)
    np.testing.assert_allclose(overlay.area_by(left, zones, by="c", zone_id="z"), whole, rtol=1e-12)


def test_area_by_matches_geopandas_and_keeps_overlaps():
    left = layer(blobs(7, 200, 70), c=np.random.default_rng(0).choice(["01", "03", "09"], 200))
    zones = layer(blobs(8, 15, 300), z=[f"z{k % 12}" for k in range(15)])  # three ids come twice
    got = overlay.area_by(left, zones, by="c", zone_id="z")
    peer = gpd.overlay(left, zones, how="intersection", keep_geom_type=True)
    expected = peer.assign(area=area_m2(peer.geometry, GK)).pivot_table(
        index="z", columns="c", values="area", aggfunc="sum", fill_value=0
    )
    np.testing.assert_allclose(got.loc[expected.index, expected.columns], expected, rtol=1e-9, atol=1e-6)
    assert list(got.index) == [f"z{k}" for k in range(12)]


def test_zone_without_land_is_zero():
    got = overlay.area_by(
        layer([box(0, 0, 10, 10)], c=["01"]), layer([box(50, 50, 60, 60)], z=["far"]), by="c", zone_id="z"
    )
    assert got.loc["far", "01"] == 0.0


def test_collection_keeps_only_its_polygons():
    comb = shapely.Polygon([(0, 0), (30, 0), (30, 10), (20, 10), (20, 5), (10, 5), (10, 10), (0, 10)])
    comb = shapely.transform(comb, lambda c: c + np.array([5e5, 25e5]))
    bar = box(0, 5, 15, 20)  # shares an area with the left tooth and an edge with the gap
    got = overlay.intersect(layer([comb], f=[1]), layer([bar], z=[1]), left_id="f", right_id="z")
    assert got.geometry.iloc[0].geom_type == "Polygon"
    assert got["area_m2"].iloc[0] == pytest.approx(50.0, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, 99), min_size=0, max_size=6, unique=True), seed=st.integers(0, 1000))
def test_area_is_conserved(cuts, seed):
    edges = [0, *sorted(cuts), 100]
    zones = layer([box(a, 0, b, 100) for a, b in pairwise(edges)], z=range(len(edges) - 1))
    land = layer(
        [shapely.intersection(b, box(0, 0, 100, 100)) for b in blobs(seed, 6, 40, 100)], c=list("aabbcc")
    )
    land = land[land.area > 0]
    got = overlay.area_by(land, zones, by="c", zone_id="z")
    assert got.to_numpy().sum() == pytest.approx(area_m2(land.geometry, GK).sum(), rel=1e-9)
    outside = overlay.erase(land, zones)
    assert outside["area_m2"].sum() == pytest.approx(0, abs=1e-6)


def test_erase_by_hand_and_against_geopandas():
    got = overlay.erase(
        layer([box(0, 0, 10, 10), box(20, 0, 30, 10)], f=["a", "b"]),
        layer([box(0, 0, 5, 10), box(5, 0, 8, 10), box(20, 0, 30, 10)]),
    )
    assert got["f"].tolist() == ["a"] and got["area_m2"].iloc[0] == pytest.approx(20, rel=1e-6)
    left, right = layer(blobs(9, 60, 80), f=range(60)), layer(blobs(10, 30, 90), z=range(30))
    mine = overlay.erase(left, right).set_index("f")["area_m2"]
    peer = gpd.overlay(left, right, how="difference")
    expected = peer.assign(area=area_m2(peer.geometry, GK)).set_index("f")["area"]
    expected = expected[expected > 0]
    assert mine.index.equals(expected.index)
    np.testing.assert_allclose(mine, expected, rtol=1e-8, atol=1e-6)


def test_dissolve_counts_overlap_once():
    got = overlay.dissolve(
        layer([box(0, 0, 10, 10), box(5, 0, 15, 10), box(50, 0, 60, 10)], c=["u", "u", "v"]), by="c"
    )
    assert got["area_m2"].round(3).tolist() == [150.0, 100.0]


def test_bad_input_is_refused():
    good, bow = (
        layer([box(0, 0, 1, 1)], f=["a"]),
        layer([shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])], z=["x"]),
    )
    with pytest.raises(DataQualityError, match="Self-intersection"):
        overlay.intersect(good, bow, left_id="f", right_id="z")
    with pytest.raises(CRSError, match="projected"):
        overlay.intersect(good, good.to_crs(4490), left_id="f", right_id="f2")
    with pytest.raises(CRSError, match="different reference systems"):
        overlay.area_by(good, good.to_crs(4546), by="f", zone_id="f")
    with pytest.raises(CRSError, match="no coordinate reference"):
        overlay.dissolve(layer([box(0, 0, 1, 1)], crs=None, f=["a"]), by="f")
    with pytest.raises(ParameterError, match="columns are missing"):
        overlay.area_by(good, good, by="dlbm", zone_id="f")
    with pytest.raises(ParameterError, match="one name"):
        overlay.intersect(good, good, left_id="f", right_id="f")
    with pytest.raises(DataQualityError, match="not polygons"):
        overlay.dissolve(layer([shapely.Point(0, 0)], f=["a"]), by="f")
    with pytest.raises(ParameterError, match="without a class"):
        overlay.area_by(layer([box(0, 0, 1, 1)], c=[None]), good, by="c", zone_id="f")


def test_shapes_on_a_grid_are_cut_on_threads_without_it():
    """GEOS counts the shapes of a grid without a lock; two threads on one made the process die within a second."""
    gridded = np.full(1_000, shapely.set_precision(box(0, 0, 10, 10), 0.001), dtype=object)
    seen = []

    def cut(some, other):
        seen.append(shapely.get_precision(some).max())
        return shapely.intersection(some, other)

    pieces = overlay.on_threads(cut, gridded, np.full(1_000, box(3, 3, 20, 20), dtype=object))
    assert max(seen) == 0.0
    assert shapely.get_precision(gridded).min() == 0.001  # the given shapes stay as they are
    assert shapely.area(pieces) == pytest.approx(49.0)
