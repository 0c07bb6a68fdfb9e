"""Overlaps, gaps and slivers: by hand, and against what unions and intersections of shapely give."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import CRSError, DataQualityError
from workbench.operators import topology
from workbench.operators.topology import gaps, mean_width_m, overlaps, slivers

CRS = "EPSG:4547"
X, Y = 500_000.0, 2_567_000.0


def box(left, bottom, right, top):
    return shapely.box(X + left, Y + bottom, X + right, Y + top)


def frame(*shapes, index=None):
    return gpd.GeoDataFrame(geometry=list(shapes), crs=CRS, index=index)


def cells(side=30, count=12, seed=3):
    """A coverage of irregular cells: neighbours share every vertex."""
    rng = np.random.default_rng(seed)
    points = shapely.multipoints(np.c_[X, Y] + rng.random((count * count, 2)) * side * count)
    around = box(0, 0, side * count, side * count)
    made = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=around))
    return shapely.intersection(made, around), around


@pytest.mark.parametrize(
    ("shapes", "pairs"),
    [
        ([box(0, 0, 100, 100), box(100, 0, 200, 100)], []),
        ([box(0, 0, 100, 100), box(100, 0, 200, 50), box(100, 50, 200, 100)], []),  # T junction
        ([box(0, 0, 100, 100), box(100, 100, 200, 200)], []),  # a corner in common
        ([box(0, 0, 100, 100), box(0, 0, 100, 100)], [(0, 1, 10_000)]),  # the same twice
        ([box(0, 0, 100, 100), box(20, 20, 30, 30)], [(0, 1, 100)]),  # one inside the other
        ([box(0, 0, 100, 100), box(0, 0, 100, 50)], [(0, 1, 5000)]),  # edges in common
        ([box(0, 0, 100, 100), box(90, 0, 190, 100), box(95, 0, 99, 100)], [(0, 1, 1000), (0, 2, 400), (1, 2, 400)]),
        ([box(0, 0, 10, 10), box(10, 0, 20, 10), box(2, 2, 18, 8)], [(0, 2, 48), (1, 2, 48)]),  # over a sound border
        ([box(0, 0, 10, 10), box(10, 0, 20, 10)] * 2, [(0, 2, 100), (1, 3, 100)]),  # a whole layer twice
    ],
)  # fmt: skip
def test_overlaps_by_hand(shapes, pairs):
    found = overlaps(frame(*shapes))
    told = sorted(zip(found["left"], found["right"], found["area_m2"], strict=True))
    assert [t[:2] for t in told] == [p[:2] for p in pairs]
    assert [t[2] for t in told] == pytest.approx([p[2] for p in pairs], rel=1e-5)


@pytest.mark.parametrize(
    ("shapes", "boundary", "areas"),
    [
        ([box(0, 0, 100, 100), box(100, 0, 200, 100)], None, []),
        ([box(0, 0, 99, 100), box(100, 0, 200, 100)], None, []),  # open to the outside: no hole
        ([box(0, 0, 99, 100), box(100, 0, 200, 100)], box(0, 0, 200, 100), [100]),
        ([box(0, 0, 100, 100), box(100, 0, 200, 50)], box(0, 0, 200, 100), [5000]),
        ([box(0, 0, 300, 100), box(0, 100, 100, 200), box(200, 100, 300, 200), box(0, 200, 300, 300)], None, [10_000]),
        ([], box(0, 0, 20, 10), [200]),
        ([box(0, 0, 10, 10), box(20, 0, 30, 10)], shapely.union(box(0, 0, 10, 10), box(20, 0, 30, 10)), []),
    ],
)  # fmt: skip
def test_gaps_by_hand(shapes, boundary, areas):
    assert gaps(frame(*shapes), boundary)["area_m2"].tolist() == pytest.approx(areas, rel=1e-5)


def test_a_hole_of_the_territory_is_no_gap():
    ring = shapely.difference(box(0, 0, 90, 90), box(30, 30, 60, 60))
    assert len(gaps(frame(ring))) == 1
    assert gaps(frame(ring), ring).empty


def test_gap_and_overlap_name_their_neighbours_and_width():
    named = frame(box(0, 0, 100, 60), box(0, 61, 100, 100), box(100, 0, 200, 100), index=["a", "b", "c"])
    gap = gaps(named, box(0, 0, 200, 100)).iloc[0]
    assert (gap["left"], gap["right"]) == ("a", "b") and gap["width_m"] == pytest.approx(200 / 202)
    both = overlaps(frame(box(0, 0, 100, 60), box(99, 0, 200, 60), index=["a", "b"])).iloc[0]
    assert (both["left"], both["right"]) == ("a", "b") and both["width_m"] == pytest.approx(120 / 122)


def test_no_pair_is_cut_where_the_point_of_a_face_lies_on_an_edge(monkeypatch):
    halves = [box(0, 0, 10, 20), box(10, 0, 20, 20)]
    assert shapely.point_on_surface(box(0, 0, 20, 20)).intersects(halves[0] & halves[1])
    cut = []
    monkeypatch.setattr(
        topology, "on_threads", lambda function, *given: cut.append(given) or function(*given)
    )
    assert overlaps(frame(*halves)).empty and not cut
    found = overlaps(frame(*halves, box(5, 8, 15, 12)))
    assert found["area_m2"].round().tolist() == [20, 20] and len(cut) == 1


def test_slivers_are_the_thin_ones_with_the_neighbour_they_belong_to():
    found = slivers(frame(box(0, 0, 100, 99.4), box(0, 99.4, 100, 100), box(100, 0, 200, 100)), max_width_m=1)
    assert found[["left", "right"]].values.tolist() == [[1, 0]]
    assert found["width_m"].item() == pytest.approx(2 * 60 / 201.2) and found[
        "area_m2"
    ].item() == pytest.approx(60)
    assert slivers(frame(box(0, 0, 100, 0.5)), max_width_m=1, max_area_m2=40).empty
    assert slivers(frame(box(0, 0, 100, 0.5)), max_width_m=1)["right"].isna().all()


def test_empty_layers_and_what_is_refused():
    for found in (overlaps(frame()), gaps(frame()), slivers(frame())):
        assert found.empty and list(found.columns) == ["left", "right", "area_m2", "width_m", "geometry"]
    bow = shapely.Polygon([(X, Y), (X + 9, Y + 9), (X + 9, Y), (X, Y + 9)])
    with pytest.raises(DataQualityError, match="invalid"):
        overlaps(frame(bow))
    with pytest.raises(DataQualityError, match="not polygons"):
        gaps(frame(shapely.Point(X, Y)))
    with pytest.raises(DataQualityError, match="boundary"):
        gaps(frame(box(0, 0, 9, 9)), bow)
    with pytest.raises(CRSError):
        slivers(gpd.GeoDataFrame(geometry=[shapely.box(113, 23, 114, 24)], crs="EPSG:4490"))


def test_a_sound_coverage_has_nothing_turned_or_with_neighbours_vertices_left_out():
    shapes, around = cells()
    turned = shapely.transform(shapes, lambda c: (c - [X, Y]) @ [[0.8, 0.6], [-0.6, 0.8]] + [X, Y])
    assert shapely.coverage_is_valid(shapes)
    for made in (shapes, turned):
        assert overlaps(frame(*made)).empty and gaps(frame(*made)).empty
    assert gaps(frame(*shapes), around).empty
    bricks = [
        box(60 * c + 30 * (r % 2), 20 * r, 60 * c + 30 * (r % 2) + 60, 20 * r + 20)
        for r in range(9)
        for c in range(9)
    ]
    skew = shapely.transform(np.array(bricks), lambda c: (c - [X, Y]) @ [[0.8, 0.6], [-0.6, 0.8]] + [X, Y])
    assert not shapely.coverage_is_valid(skew)  # no common vertices, and yet the bricks meet
    assert overlaps(frame(*skew)).empty and gaps(frame(*skew)).empty


@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(0, 12), st.floats(0.2, 12))
def test_spoiled_coverages_against_unions_and_intersections(seed, moved, gone, step):
    """Holes of the union and areas of all pairs: what shapely finds the long way is found, and nothing else."""
    rng = np.random.default_rng(seed)
    shapes, around = cells(count=7, seed=seed)
    rows = rng.permutation(len(shapes))
    for row in rows[:moved]:
        angle = rng.uniform(0, 2 * np.pi)
        shapes[row] = shapely.transform(
            shapes[row], lambda c, a=angle: c + step * np.array([np.cos(a), np.sin(a)])
        )
    layer = gpd.GeoDataFrame(geometry=shapes[np.sort(rows[gone:])], crs=CRS)
    geoms = layer.geometry.to_numpy()
    i, j = shapely.STRtree(geoms).query(geoms, predicate="intersects")
    common = shapely.intersection(geoms[i[i < j]], geoms[j[i < j]])
    pairs = {
        (int(a), int(b)): c.area
        for a, b, c in zip(i[i < j], j[i < j], common, strict=True)
        if c.area > 0.05 and mean_width_m(np.array([c]))[0] > 0.005
    }
    found = overlaps(layer, min_area_m2=0.05)
    told = {
        (left, right): area
        for left, right, area, width in zip(
            found["left"], found["right"], found["area_m2"], found["width_m"], strict=True
        )
        if width > 0.005
    }
    assert set(told) == set(pairs)
    assert [told[k] for k in pairs] == pytest.approx(list(pairs.values()), rel=1e-3, abs=1e-3)
    bare = shapely.difference(around, shapely.union_all(geoms))
    open_ = [
        part.area
        for part in shapely.get_parts(bare)
        if part.area > 0.05 and 2 * part.area / part.length > 0.005
    ]
    holes = gaps(layer, around, min_area_m2=0.05)
    assert sorted(holes[holes["width_m"] > 0.005]["area_m2"]) == pytest.approx(
        sorted(open_), rel=1e-3, abs=5e-3
    )
