"""The truth's own tools against other programs and drawings done by hand."""

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
import shapely
from pyproj import Geod, Transformer

from workbench.samples import points, roads
from workbench.samples.fabric import Fabric, cut_in, stated_area, unite
from workbench.samples.space import BOTTOM, CRS, LEFT, smooth_noise, stream
from workbench.samples.truth import geod_area, geod_length
from workbench.samples.truth_walk import entrances, walk_m, walk_net


def test_geod_area_of_a_square_kilometre_with_a_hole():
    shape = shapely.box(LEFT, BOTTOM, LEFT + 1000, BOTTOM + 1000).difference(
        shapely.box(LEFT + 100, BOTTOM + 100, LEFT + 200, BOTTOM + 200)
    )
    move = Transformer.from_crs(CRS, "EPSG:4490", always_xy=True)
    geod = Geod(ellps="GRS80")

    def ring(coordinates):
        lon, lat = move.transform(*zip(*coordinates, strict=True))
        return abs(geod.polygon_area_perimeter(lon, lat)[0])

    by_hand = ring(shape.exterior.coords) - ring(shape.interiors[0].coords)
    assert geod_area([shape])[0] == pytest.approx(by_hand, rel=1e-12)
    assert stated_area(np.array([shape]))[0] == pytest.approx(by_hand, rel=1e-6)
    assert by_hand < 990_000.0  # 36 km west of the central meridian the plane is too large


def test_geod_length_is_shorter_than_the_plane_far_from_the_meridian():
    line = shapely.LineString([(LEFT, BOTTOM), (LEFT, BOTTOM + 1000)])
    assert 1e-6 < 1 - geod_length([line])[0] / 1000 < 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_walk_m_equals_networkx(seed):
    rng = np.random.default_rng(seed)
    lines = [[(i, j), (i + 1, j)] for i in range(5) for j in range(6)]
    lines += [[(i, j), (i, j + 1)] for i in range(6) for j in range(5)]
    lines = [line for line in lines if rng.random() < 0.85]
    net = roads(lines)
    homes = points(rng.uniform(0, 5, (15, 2)).tolist())
    shops = points(rng.uniform(0, 5, (4, 2)).tolist())
    graph = nx.Graph()
    for shape in net.geometry:
        a, b = (tuple(np.round(c, 3)) for c in shape.coords)
        graph.add_edge(a, b, weight=shape.length)

    def feet(name, frame):
        joins = {}
        for k, point in enumerate(frame.geometry):
            which = int(net.distance(point).to_numpy().argmin())
            joins.setdefault(which, []).append((net.geometry[which].project(point), f"{name}{k}", point))
        return joins

    joins = feet("h", homes)
    for which, more in feet("s", shops).items():
        joins.setdefault(which, []).extend(more)
    for which, stops in joins.items():
        shape = net.geometry[which]
        a, b = (tuple(np.round(c, 3)) for c in shape.coords)
        chain = [
            (0.0, a),
            *((at, ("foot", name)) for at, name, _ in sorted(stops, key=lambda s: s[0])),
            (shape.length, b),
        ]
        for (at, one), (to, other) in pairwise(chain):
            graph.add_edge(one, other, weight=to - at)
        for at, name, point in stops:
            graph.add_edge(name, ("foot", name), weight=point.distance(shape.interpolate(at)))
    far = nx.multi_source_dijkstra_path_length(graph, {f"s{k}" for k in range(4)}, weight="weight")
    expected = [far.get(f"h{k}", np.inf) for k in range(15)]
    found = walk_m(walk_net(net), homes.geometry.to_numpy(), shops.geometry.to_numpy())
    assert found == pytest.approx(expected, abs=1e-5)


def test_walk_along_one_segment_does_not_go_round():
    net = walk_net(roads([[(0, 0), (10, 0)]]))
    home, shop = points([(4, 0.1)]), points([(6, 0)])
    assert walk_m(net, home.geometry.to_numpy(), shop.geometry.to_numpy())[0] == pytest.approx(210.0)


def test_a_park_away_from_roads_is_entered_at_the_nearest_node():
    net = walk_net(roads([[(0, 0), (1, 0)], [(1, 0), (2, 0)]]))
    near = points([(1, 0.5)]).buffer(25).to_numpy()  # its edge is 25 m from the node
    far = points([(2, 3)]).buffer(25).to_numpy()
    assert [p.x - 500_000 for p in entrances(net, near)] == [100.0]
    assert [p.x - 500_000 for p in entrances(net, far)] == [200.0]


def _squares(count):
    shapes = shapely.box(np.arange(count) * 10.0, 0.0, np.arange(count) * 10.0 + 10, 10.0)
    ones = np.ones(count, dtype=np.int64)
    table = np.tile(np.array([1, 1, 1, 1]), (count, 1))
    keys = table * np.arange(1, count + 1)[:, None]
    return Fabric(shapes, table, keys, ones * 9999, ones * 0, ones, ones > 0, ones * 0)


def test_cutting_a_patch_in_keeps_the_tiling():
    patch = shapely.box(5, 2, 15, 8)  # across the border of the first two squares
    whole = shapely.box(20, 0, 30, 10)  # all of the third
    cut = cut_in(_squares(3), np.array([patch, whole]), np.array([13, 15]), np.array([3, 3]))
    assert shapely.area(cut.shapes).sum() == pytest.approx(300)
    assert shapely.union_all(cut.shapes).area == pytest.approx(300)
    for number, area, code in ((1, 60, 13), (2, 100, 15)):
        mine = cut.planted == number
        assert shapely.area(cut.shapes[mine]).sum() == pytest.approx(area)
        assert set(cut.codes[mine, -1]) == {code}
        assert set(cut.codes[mine, -2]) == {1}
    assert (cut.codes[cut.planted == 0] == 1).all()


def test_unite_joins_neighbours_and_keeps_islands_apart():
    shapes, member = unite(_squares(4).shapes, np.array([7, 7, 9, 7]))
    assert sorted(shapely.area(shapes)) == [100, 100, 200]
    assert len(member) == 3


def test_streams_are_independent_and_repeatable():
    assert stream(1, "a").random() == stream(1, "a").random()
    assert stream(1, "a").random() != stream(1, "b").random()
    assert np.array_equal(smooth_noise(stream(3, "n"), 4000), smooth_noise(stream(3, "n"), 4000))
    assert smooth_noise(stream(3, "n"), 4000).std() == pytest.approx(1.0, abs=0.35)
