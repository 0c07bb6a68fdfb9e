"""Walking access against a grid city, hand-drawn streets and networkx."""

from itertools import pairwise

import geopandas as gpd
import networkx as nx
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.errors import CRSError, DataQualityError, ParameterError
from workbench.operators import access

GK = "EPSG:4547"


def lines(*coords):
    return gpd.GeoSeries([shapely.LineString(c) for c in coords], crs=GK)


def points(*xy):
    return gpd.GeoSeries([shapely.Point(p) for p in xy], crs=GK)


def grid_city(n, block=100.0):
    """Streets of a square city with n blocks a side; whole streets, cut at their common vertices."""
    at = [k * block for k in range(n + 1)]
    return lines(*[[(x, y) for x in at] for y in at], *[[(x, y) for y in at] for x in at])


def random_roads(seed, n=60, m=150):
    rng = np.random.default_rng(seed)
    xy = rng.integers(0, 1000, (n, 2)).astype(float)
    pairs = rng.integers(0, n, (m, 2))
    pairs = pairs[(xy[pairs[:, 0]] != xy[pairs[:, 1]]).any(axis=1)]
    return lines(*[(xy[a], xy[b]) for a, b in pairs])


def peer(graph):
    g = nx.Graph()
    g.add_nodes_from(range(graph.n_nodes))
    for u, v, w in zip(graph.edge_from, graph.edge_to, graph.edge_length, strict=True):
        if u != v and (not g.has_edge(u, v) or g[u][v]["weight"] > w):
            g.add_edge(int(u), int(v), weight=float(w))
    return g


def test_grid_city_distances_are_city_block():
    graph = access.build_graph(grid_city(6), walk=False)
    assert graph.n_nodes == 49 and graph.n_edges == 84
    got = access.nearest(graph, points((200, 300)))
    expected = np.abs(graph.xy - [200, 300]).sum(axis=1)
    np.testing.assert_allclose(got, expected, atol=1e-9)
    two = access.nearest(graph, points((200, 300), (600, 0)))
    np.testing.assert_allclose(two, np.minimum(expected, np.abs(graph.xy - [600, 0]).sum(axis=1)), atol=1e-9)
    assert np.isinf(access.nearest(graph, points((0, 0)), max_m=250)[expected.argmax()])


def test_grid_city_reach_counts_the_diamond():
    graph = access.build_graph(grid_city(10), walk=False)
    got = access.reach(graph, np.ones(graph.n_nodes), 300.0)
    apart = np.abs(graph.xy[:, None] - graph.xy[None]).sum(axis=2)
    assert got.tolist() == (apart <= 300.0 + 1e-9).sum(axis=1).tolist()
    middle = np.flatnonzero((graph.xy == [500, 500]).all(axis=1))[0]
    assert got[middle] == 25  # 2 r (r + 1) + 1


def test_points_off_the_road_walk_straight_then_along():
    graph = access.build_graph(lines([(0, 0), (1000, 0)], [(1000, 0), (1000, 500)]), walk=False)
    facility, homes = points((1010, 200)), points((400, 30), (1000, 450), (995, 210))
    got = access.walking_distance(graph, facility, homes)
    assert got.tolist() == pytest.approx([30 + 600 + 200 + 10, 250 + 10, 5 + 10 + 10])
    assert access.covered(graph, facility, homes, 840).tolist() == [True, True, True]
    assert access.covered(graph, facility, homes, 839.9).tolist() == [False, True, True]


def test_same_piece_does_not_go_round_by_the_ends():
    # one street of 1000 m; sources at 100 (20 m off) and at 700 (200 m off)
    graph = access.build_graph(lines([(0, 0), (1000, 0)]), walk=False)
    sources = points((100, 20), (700, 200))
    got = access.walking_distance(graph, sources, points((50, 0), (150, -5), (690, 0), (1000, 0)))
    assert got.tolist() == pytest.approx([70, 75, 210, 500])


def test_loop_is_walked_the_shorter_way():
    ring = lines([(0, 0), (100, 0), (100, 100), (0, 100), (0, 0)], [(0, 0), (-50, 0)])
    graph = access.build_graph(ring, walk=False)
    got = access.walking_distance(graph, points((20, 0)), points((0, 30)))
    assert got.tolist() == pytest.approx([50])  # not 350 the long way round


def test_bridge_joins_nothing_and_ends_snap():
    crossing = lines([(0, 0), (100, 0)], [(50, -50), (50, 50)])
    graph = access.build_graph(crossing, walk=False)
    assert graph.n_nodes == 4 and graph.component.max() == 1
    nearly = lines([(0, 0), (100, 0)], [(100.3, 0.2), (200, 0)], [(200.6, 0), (300, 0)])
    assert access.build_graph(nearly, walk=False).component.tolist().count(0) == 3
    assert access.build_graph(nearly, walk=False, snap_m=1.0).component.max() == 0
    tee = lines([(0, 0), (50, 0), (100, 0)], [(50.2, 0), (50.2, 80)])
    assert access.build_graph(tee, walk=False).component.max() == 0
    kept = access.build_graph(nearly, walk=False, largest_part=True)
    assert kept.n_edges == 2 and kept.xy[:, 0].max() == 200


def test_only_walkable_roads_are_used():
    roads = gpd.GeoDataFrame(
        {"walkable": [True, False]}, geometry=lines([(0, 0), (100, 0)], [(0, 0), (0, 9)]), crs=GK
    )
    graph = access.build_graph(roads)
    assert graph.n_edges == 1 and graph.edge_road.tolist() == [0]
    assert access.build_graph(roads, walk=False).n_edges == 2
    with pytest.raises(ParameterError, match="walkable"):
        access.build_graph(roads.drop(columns="walkable"))
    with pytest.raises(DataQualityError, match="no road"):
        access.build_graph(roads.assign(walkable=False))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), max_m=st.sampled_from([150.0, 400.0, 900.0]))
def test_reach_equals_networkx(seed, max_m):
    graph = access.build_graph(random_roads(seed), walk=False)
    weights = np.random.default_rng(seed).integers(0, 9, (graph.n_nodes, 2)).astype(float)
    expected = np.array(
        [
            weights[list(nx.single_source_dijkstra_path_length(peer(graph), n, cutoff=max_m))].sum(axis=0)
            for n in range(graph.n_nodes)
        ]
    )
    got = access.reach(graph, weights, max_m)
    assert np.array_equal(got, expected)
    assert np.array_equal(access.reach(graph, weights[:, 0], max_m, workers=1), expected[:, 0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_walking_distance_equals_networkx(seed):
    """The peer cuts every piece at every point that joins it, and walks on the finer graph."""
    graph = access.build_graph(random_roads(seed, n=25, m=40), walk=False)
    rng = np.random.default_rng(seed + 1)
    sources, targets = points(*rng.uniform(0, 1000, (5, 2))), points(*rng.uniform(0, 1000, (40, 2)))
    fine = nx.MultiGraph()
    s, t = access.snap(graph, sources), access.snap(graph, targets)
    for e in range(graph.n_edges):
        stops = [(0.0, int(graph.edge_from[e])), (float(graph.edge_length[e]), int(graph.edge_to[e]))]
        for name, at in (("s", s), ("t", t)):
            stops += [(float(at.along[k]), (name, k)) for k in np.flatnonzero(at.edge == e).tolist()]
        stops.sort(key=lambda stop: stop[0])
        for (a, u), (b, v) in pairwise(stops):
            fine.add_edge(u, v, weight=b - a)
    for k, gap in enumerate(s.gap.tolist()):
        fine.add_edge("start", ("s", k), weight=gap)
    metres = nx.single_source_dijkstra_path_length(fine, "start")
    expected = [metres.get(("t", k), np.inf) + t.gap[k] for k in range(len(targets))]
    np.testing.assert_allclose(access.walking_distance(graph, sources, targets), expected, atol=1e-6)


def test_weights_go_to_the_nearer_end():
    graph = access.build_graph(lines([(0, 0), (100, 0)]), walk=False)
    got = access.node_weights(graph, points((10, 3), (60, 0), (80, 1)), [5, 1, 2])
    assert got[graph.xy[:, 0].argsort()].tolist() == [5, 3]


def test_parks_are_entered_at_nodes_near_them():
    graph = access.build_graph(grid_city(4), walk=False)
    parks = gpd.GeoDataFrame(
        {"name": ["large", "pocket"]},
        geometry=[shapely.box(90, 90, 190, 190), shapely.box(340, 340, 345, 345)],
        crs=GK,
        index=[7, 9],
    )
    got = access.polygon_access_points(graph, parks)
    assert sorted(map(tuple, graph.xy[got.loc[got["polygon"] == 7, "node"]].tolist())) == [
        (100, 100),
        (100, 200),
        (200, 100),
        (200, 200),
    ]
    pocket = got[got["polygon"] == 9]
    assert len(pocket) == 1 and pocket["gap_m"].iloc[0] == pytest.approx(np.hypot(40, 40))
    assert pocket.geometry.iloc[0].equals(shapely.Point(300, 300))


def test_radius():
    stations = points((0, 0), (3000, 0))
    assert access.radius_covered(stations, points((800, 0), (801, 0), (2500, 0)), 800).tolist() == [
        True,
        False,
        True,
    ]
    assert access.radius_covered(stations[:0], points((0, 0)), 800).tolist() == [False]
    assert access.radius_area(stations, 800).area == pytest.approx(2 * np.pi * 800**2, rel=2e-4)


def test_no_facility_reaches_nobody():
    graph = access.build_graph(lines([(0, 0), (100, 0)]), walk=False)
    assert access.covered(graph, points(), points((0, 0), (5, 5)), 500).tolist() == [False, False]
    assert access.covered(graph, points((0, 0)), points(), 500).shape == (0,)


def test_bad_input_is_refused():
    graph = access.build_graph(lines([(0, 0), (100, 0)]), walk=False)
    with pytest.raises(CRSError, match="different reference systems"):
        access.nearest(graph, points((0, 0)).set_crs(4546, allow_override=True))
    with pytest.raises(CRSError, match="projected"):
        access.build_graph(lines([(0, 0), (1, 0)]).set_crs(4490, allow_override=True), walk=False)
    with pytest.raises(DataQualityError, match="not points"):
        access.nearest(graph, lines([(0, 0), (1, 1)]))
    with pytest.raises(ParameterError, match="max_m"):
        access.reach(graph, [1, 1], 0)
    with pytest.raises(ParameterError, match="do not fit"):
        access.reach(graph, [1, 1, 1], 10)
    with pytest.raises(DataQualityError, match="not lines"):
        access.build_graph(points((0, 0)), walk=False)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), max_m=st.sampled_from([70.0, 200.0, 650.0]), parts=st.integers(1, 5))
def test_reach_over_folded_bends_equals_networkx(seed, max_m, parts):
    """Streets with many bends, rings without a junction, streets that return to their own start, dead ends."""
    rng = np.random.default_rng(seed)
    xy = rng.integers(0, 500, (14, 2)) * 1.0
    streets = []
    for a, b in rng.integers(0, 14, (16, 2)):
        bends = [tuple(p) for p in rng.integers(0, 500, (rng.integers(0, 6), 2)) * 1.0]
        way = [tuple(xy[a]), *bends, tuple(xy[b])]
        streets += [(p, q) for p, q in pairwise(way) if p != q]
    ring = [(1000.0 + 50 * np.cos(k), 50 * np.sin(k)) for k in np.linspace(0, 2 * np.pi, 7)[:-1]]
    streets += list(pairwise([*ring, ring[0]]))
    graph = access.build_graph(lines(*streets), walk=False)
    weights = rng.integers(0, 9, graph.n_nodes).astype(float)
    expected = [
        weights[list(nx.single_source_dijkstra_path_length(peer(graph), n, cutoff=max_m))].sum()
        for n in range(graph.n_nodes)
    ]
    assert access.reach(graph, weights, max_m, workers=parts).tolist() == expected


def test_reach_in_many_small_parts_is_the_same(monkeypatch):
    graph = access.build_graph(random_roads(3, n=200, m=500), walk=False)
    weights = np.arange(graph.n_nodes * 2.0).reshape(-1, 2)
    whole = access.reach(graph, weights, 500.0)
    monkeypatch.setattr(access, "BALLS_AT_ONCE", 50)
    assert np.array_equal(access.reach(graph, weights, 500.0), whole)
