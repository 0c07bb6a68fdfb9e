"""Shared areas against hand-drawn figures, geopandas.overlay, and what must always hold."""

from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.errors import CRSError, DataQualityError, ParameterError
from workbench.operators import overlay, shared_area
from workbench.operators.area import area_m2

GK = "EPSG:4547"


def box(x0, y0, x1, y1):
    return shapely.box(5e5 + x0, 25e5 + y0, 5e5 + x1, 25e5 + y1)


def layer(geoms, crs=GK, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(geoms), crs=crs)


def blobs(seed, n, radius, span=1000.0, east=5e5):
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 9)[:-1]
    out = []
    for cx, cy in rng.uniform(0, span, (n, 2)):
        r = rng.uniform(0.3, 1.0, 8) * radius
        out.append(
            shapely.Polygon(np.column_stack((east + cx + r * np.cos(turn), 25e5 + cy + r * np.sin(turn))))
        )
    return out


def pairs(table):
    assert not table.duplicated(["f", "z"]).any()
    return table.set_index(["f", "z"])["area_m2"].sort_index()


def test_by_hand():
    fields = layer([box(0, 0, 10, 10), box(10, 0, 30, 10)], f=["a", "b"])
    zones = layer([box(0, 0, 20, 10), box(5, 5, 8, 8), box(30, 0, 40, 10)], z=["X", "Y", "Z"])
    got = shared_area.area_table(fields, zones, left_id="f", right_id="z")
    assert list(zip(got["f"], got["z"], got["area_m2"].round(3), strict=True)) == [
        ("a", "X", 100.0),
        ("b", "X", 100.0),
        ("a", "Y", 9.0),  # Z only touches b
    ]
    assert len(shared_area.area_table(fields, zones, left_id="f", right_id="z", min_area_m2=50)) == 2
    none = shared_area.area_table(fields, zones.iloc[2:], left_id="f", right_id="z")
    assert len(none) == 0 and list(none.columns) == ["f", "z", "area_m2"]


@pytest.mark.parametrize("east", [5e5, 3.5e5])  # on the central meridian, and 150 km from it
def test_areas_equal_geopandas(east):
    left = layer(blobs(1, 300, 60, east=east), f=range(300))
    right = layer(
        blobs(2, 40, 300, east=east), z=range(40)
    )  # pieces on both sides of the limit for small ones
    got = pairs(shared_area.area_table(left, right, left_id="f", right_id="z"))
    peer = gpd.overlay(left, right, how="intersection", keep_geom_type=True)
    expected = pairs(peer.assign(area_m2=area_m2(peer.geometry, GK)))
    assert got.index.equals(expected.index)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-6)


def test_large_polygons_equal_the_pieces_of_intersect():
    left, right = layer(blobs(3, 30, 4000, 9000), f=range(30)), layer(blobs(4, 30, 3000, 9000), z=range(30))
    got = pairs(shared_area.area_table(left, right, left_id="f", right_id="z"))
    expected = pairs(overlay.intersect(left, right, left_id="f", right_id="z"))
    assert got.index.equals(expected.index)
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_blocks_tasks_and_threads_change_nothing(monkeypatch):
    left, right = layer(blobs(5, 500, 60), f=range(500)), layer(blobs(6, 60, 200), z=range(60))
    whole = pairs(shared_area.area_table(left, right, left_id="f", right_id="z"))
    monkeypatch.setattr(shared_area, "TASK_PAIRS", 7)
    blocks = (left.iloc[start : start + 90] for start in range(0, 500, 90))
    tables = list(shared_area.shared_areas(blocks, right, left_id="f", right_id="z", threads=3))
    assert len(tables) > 50
    again = pairs(pd.concat(tables))
    assert again.index.equals(whole.index)
    np.testing.assert_allclose(again, whole, rtol=1e-10)


def test_blocks_are_taken_one_after_the_other():
    taken = []

    def blocks():
        for number in range(4):
            taken.append(number)
            yield layer([box(10 * number, 0, 10 * number + 10, 10)], f=[number])

    right = layer([box(-5, -5, 100, 20)], z=["all"])
    tables = shared_area.shared_areas(blocks(), right, left_id="f", right_id="z")
    assert next(tables)["f"].tolist() == [0] and taken == [0]
    assert [table["f"].tolist() for table in tables] == [[1], [2], [3]]


def test_one_shape_in_many_rows_and_rows_given_back_unprepared():
    shape, land = box(0, 0, 100, 100), layer(blobs(7, 200, 10, 100), f=range(200))
    right = layer([shape] * 50, z=range(50))
    got = shared_area.area_table(land, right, left_id="f", right_id="z")
    sums = got.groupby("z")["area_m2"].sum()
    np.testing.assert_allclose(sums, sums.iloc[0], rtol=1e-12)
    assert len(sums) == 50 and not shapely.is_prepared(right.geometry.array).any()


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, 99), max_size=6, unique=True), seed=st.integers(0, 1000))
def test_area_is_conserved(cuts, seed):
    edges = [0, *sorted(cuts), 100]
    zones = layer([box(a, 0, b, 100) for a, b in pairwise(edges)], z=range(len(edges) - 1))
    land = layer([shapely.intersection(b, box(0, 0, 100, 100)) for b in blobs(seed, 6, 40, 100)], f=range(6))
    land = land[land.area > 0]
    got = shared_area.area_table(land, zones, left_id="f", right_id="z").groupby("f")["area_m2"].sum()
    expected = pd.Series(area_m2(land.geometry, GK), index=land["f"])
    np.testing.assert_allclose(got.reindex(expected.index), expected, rtol=1e-8, atol=1e-6)


def test_bad_input_is_refused():
    good = layer([box(0, 0, 1, 1)], f=["a"])
    bow = layer([shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])], z=["x"])
    with pytest.raises(DataQualityError, match="Self-intersection"):
        shared_area.area_table(good, bow, left_id="f", right_id="z")
    with pytest.raises(CRSError, match="different reference systems"):
        shared_area.area_table(good, layer([box(0, 0, 1, 1)], "EPSG:4546", z=[1]), left_id="f", right_id="z")
    with pytest.raises(ParameterError, match="columns are missing"):
        shared_area.area_table(good, good, left_id="g", right_id="f")
    with pytest.raises(ParameterError, match="one name"):
        shared_area.area_table(good, good, left_id="f", right_id="f")
