"""Travel pairs against networkx on a finer graph; floating catchments against PySAL's access and by hand; sites by search."""

from itertools import combinations, pairwise

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import shapely
from access import fca
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.errors import CRSError, ParameterError
from workbench.operators import access, catchment
from workbench.operators.catchment import Pairs, travel_pairs, two_step

GK = "EPSG:4547"


def lines(*coords):
    return gpd.GeoSeries([shapely.LineString(c) for c in coords], crs=GK)


def points(*xy):
    return gpd.GeoSeries([shapely.Point(p) for p in xy], crs=GK)


def random_city(seed, homes=30, shops=8):
    rng = np.random.default_rng(seed)
    xy = rng.integers(0, 1000, (25, 2)).astype(float)
    ends = rng.integers(0, 25, (45, 2))
    ends = ends[(xy[ends[:, 0]] != xy[ends[:, 1]]).any(axis=1)]
    graph = access.build_graph(lines(*[(xy[a], xy[b]) for a, b in ends]), walk=False)
    return graph, points(*rng.uniform(0, 1000, (homes, 2))), points(*rng.uniform(0, 1000, (shops, 2)))


def by_networkx(graph, origins, destinations):
    """Metres between all origins and destinations: every piece cut at every place that joins it."""
    fine = nx.MultiGraph()
    sides = {"o": access.snap(graph, origins), "d": access.snap(graph, destinations)}
    for e in range(graph.n_edges):
        stops = [(0.0, int(graph.edge_from[e])), (float(graph.edge_length[e]), int(graph.edge_to[e]))]
        stops += [
            (float(at.along[k]), (s, k))
            for s, at in sides.items()
            for k in np.flatnonzero(at.edge == e).tolist()
        ]
        stops.sort(key=lambda stop: stop[0])
        for (a, u), (b, v) in pairwise(stops):
            fine.add_edge(u, v, weight=b - a)
    found = np.full((len(origins), len(destinations)), np.inf)
    for k in range(len(origins)):
        ways = nx.single_source_dijkstra_path_length(fine, ("o", k))
        for j in range(len(destinations)):
            if ("d", j) in ways:
                found[k, j] = ways[("d", j)] + sides["o"].gap[k] + sides["d"].gap[j]
    return found


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), max_m=st.sampled_from([200.0, 600.0, 1500.0]))
def test_pairs_equal_networkx_from_either_side(seed, max_m):
    graph, homes, shops = random_city(seed)
    wanted = by_networkx(graph, homes, shops)
    for table, origins, destinations in ((wanted, homes, shops), (wanted.T, shops, homes)):
        got = travel_pairs(graph, origins, destinations, max_m)
        i, j = np.nonzero(table <= max_m)
        assert got.origin.tolist() == i.tolist() and got.destination.tolist() == j.tolist()
        np.testing.assert_allclose(got.metres, table[i, j], rtol=0, atol=1e-9)


def test_pairs_do_not_depend_on_threads_and_agree_with_the_nearest():
    graph, homes, shops = random_city(5, homes=200, shops=40)
    one, two = (travel_pairs(graph, homes, shops, 700.0, workers=n) for n in (1, 3))
    assert np.array_equal(one.metres, two.metres) and np.array_equal(one.destination, two.destination)
    nearest = np.full(200, np.inf)
    np.minimum.at(nearest, one.origin, one.metres)
    direct = access.walking_distance(graph, shops, homes)
    np.testing.assert_allclose(nearest[direct <= 700], direct[direct <= 700], atol=1e-9)
    assert np.isinf(nearest[direct > 700]).all()
    short = one.within(300.0)
    assert len(short) == (one.metres <= 300).sum() and short.max_m == 300.0


def test_the_limit_counts_and_gaps_are_part_of_the_way():
    street = access.build_graph(lines([(0, 0), (1000, 0)]), walk=False)
    got = travel_pairs(street, points((100, 30), (900, 0)), points((400, 20)), 350.0)
    assert got.origin.tolist() == [0] and got.metres.tolist() == [350.0]
    assert len(travel_pairs(street, points((100, 30)), points((400, 20)), 349.99)) == 0


def test_places_on_parts_of_the_network_that_are_not_joined_do_not_meet():
    graph = access.build_graph(lines([(0, 0), (100, 0)], [(0, 50), (100, 50)]), walk=False)
    got = travel_pairs(graph, points((10, 0), (10, 50)), points((90, 1)), 5000.0)
    assert got.origin.tolist() == [0]


def test_one_way_streets_do_not_bind_walkers():
    frame = gpd.GeoDataFrame(
        {"walkable": [True], "oneway": ["yes"]}, geometry=lines([(0, 0), (500, 0)]), crs=GK
    )
    graph = access.build_graph(frame)
    there, back = (
        travel_pairs(graph, points(a), points(b), 600.0).metres.tolist()
        for a, b in (((0, 0), (500, 0)), ((500, 0), (0, 0)))
    )
    assert there == back == [500.0]


def test_short_loose_parts_are_left_out_when_asked():
    roads = lines(
        [(0, 0), (900, 0)], [(900, 0), (1500, 0)], [(100, 40), (180, 40)], [(0, 5000), (1200, 5000)]
    )
    graph = access.build_graph(roads, walk=False, min_part_m=1000)
    assert graph.edge_length.sum() == 2700 and graph.component.max() == 1
    assert access.snap(graph, points((140, 39))).gap.tolist() == [39.0]
    whole = access.build_graph(roads, walk=False)
    assert access.snap(whole, points((140, 39))).gap.tolist() == [1.0]
    only = access.build_graph(roads[2:3], walk=False, min_part_m=1000)
    assert only.n_edges == 1  # the largest part stays, however short


def test_nothing_to_reach_gives_no_pairs():
    street = access.build_graph(lines([(0, 0), (100, 0)]), walk=False)
    none = travel_pairs(street, points((1, 1)), points((5, 5))[:0], 100.0)
    assert len(none) == 0 and none.n_origins == 1 and none.n_destinations == 0
    assert two_step(none, [3], []).access.tolist() == [0.0]
    with pytest.raises(ParameterError, match="positive"):
        travel_pairs(street, points((1, 1)), points((5, 5)), np.inf)
    with pytest.raises(CRSError):
        travel_pairs(street, points((1, 1)).set_crs("EPSG:4526", allow_override=True), points((5, 5)), 9.0)


# ---------------------------------------------------------------------------------------- floating catchments


def drawn(seed=3):
    graph, homes, shops = random_city(seed, homes=40, shops=9)
    rng = np.random.default_rng(seed)
    return (
        travel_pairs(graph, homes, shops, 900.0),
        rng.integers(1, 500, 40).astype(float),
        rng.integers(1, 60, 9) * 1.0,
    )


def pysal_two_stage(pairs, demand, supply, weight_fn=None):
    """access.fca.two_stage_fca in the words of its own steps: catchments of facilities, then of homes."""
    costs = pd.DataFrame({"origin": pairs.origin, "dest": pairs.destination, "cost": pairs.metres})
    people = pd.DataFrame({"pop": demand})
    total = fca.weighted_catchment(
        people, costs, 600.0, cost_source="origin", cost_dest="dest", loc_index=True, loc_value="pop", weight_fn=weight_fn
    )  # fmt: skip
    ratio = pd.DataFrame({"Rl": pd.Series(supply).reindex(total.index) / total})
    return fca.weighted_catchment(
        ratio, costs, 600.0, cost_source="dest", cost_dest="origin", loc_index=True, loc_value="Rl", weight_fn=weight_fn
    ).reindex(range(len(demand)), fill_value=0.0)  # fmt: skip


STEPS = {200.0: 1.0, 400.0: 0.6, 600.0: 0.2}


def step_weight(metres):
    return next((w for limit, w in STEPS.items() if metres <= limit), 0.0)


@pytest.mark.parametrize("seed", [3, 11])
def test_two_step_equals_pysal_access(seed):
    pairs, demand, supply = drawn(seed)
    near = pairs.within(600.0)
    assert 20 < len(near) < 360
    got = two_step(near, demand, supply).access
    np.testing.assert_allclose(got, pysal_two_stage(pairs, demand, supply), rtol=1e-12)
    got = two_step(near, demand, supply, kind="e2sfca", decay=catchment.step_decay(STEPS)).access
    np.testing.assert_allclose(got, pysal_two_stage(pairs, demand, supply, step_weight), rtol=1e-12)


@pytest.mark.parametrize("seed", [3, 11])
def test_three_step_equals_pysal_access(seed):
    pairs, demand, supply = drawn(seed)
    costs = pd.DataFrame({"origin": pairs.origin, "dest": pairs.destination, "cost": pairs.metres})
    wanted = fca.three_stage_fca(
        pd.DataFrame({"pop": demand}), pd.DataFrame({"beds": supply}), costs, 600.0, demand_index=True,
        demand_name="pop", supply_index=True, supply_name="beds", cost_origin="origin", cost_dest="dest",
        cost_name="cost", weight_fn=step_weight,
    ).reindex(range(len(demand)), fill_value=0.0)  # fmt: skip
    near = pairs.within(600.0)
    got = two_step(near, demand, supply, kind="3sfca", decay=catchment.step_decay(STEPS)).access
    np.testing.assert_allclose(got, wanted.fillna(0.0), rtol=1e-12)


def test_the_family_by_hand():
    # homes of 100 and 300 people; A (20 places) reaches both, B (30 places) only the second; weights 1, 0.5, 0.5
    pairs = Pairs(
        np.array([0, 1, 1], np.int32), np.array([0, 0, 1], np.int32), np.array([100.0, 500.0, 500.0]), 2, 2, 500.0
    )  # fmt: skip
    decay = catchment.step_decay({250: 1.0, 500: 0.5})
    plain = two_step(pairs, [100, 300], [20, 30])
    assert plain.ratio.tolist() == [20 / 400, 30 / 300]
    assert plain.access.tolist() == pytest.approx([0.05, 0.15])
    enhanced = two_step(pairs, [100, 300], [20, 30], kind="e2sfca", decay=decay)
    assert enhanced.ratio.tolist() == pytest.approx([20 / 250, 30 / 150])
    assert enhanced.access.tolist() == pytest.approx([0.08, 0.5 * 0.08 + 0.5 * 0.2])
    modified = two_step(pairs, [100, 300], [20, 30], kind="m2sfca", decay=decay)
    assert modified.access.tolist() == pytest.approx([0.08, 0.25 * 0.08 + 0.25 * 0.2])
    three = two_step(
        pairs, [100, 300], [20, 30], kind="3sfca", decay=decay
    )  # the second splits half and half
    assert three.competing.tolist() == [100 + 75, 75]
    assert three.access.tolist() == pytest.approx([20 / 175, 0.25 * 20 / 175 + 0.25 * 30 / 75])


@pytest.mark.parametrize("kind", ["2sfca", "e2sfca", "3sfca"])
def test_all_supply_that_is_reached_is_handed_out(kind):
    pairs, demand, supply = drawn()
    got = two_step(pairs, demand, supply, kind=kind)
    assert (got.access * demand).sum() == pytest.approx(supply[got.competing > 0].sum())
    lost = two_step(pairs, demand, supply, kind="m2sfca")
    assert (lost.access * demand).sum() < supply.sum()


def test_empty_homes_compete_for_nothing():
    pairs = Pairs(np.array([0], np.int32), np.array([0], np.int32), np.array([1.0]), 2, 2, 10.0)
    got = two_step(pairs, [0, 5], [9, 9])
    assert (
        got.access.tolist() == [0.0, 0.0]
        and np.isnan(got.ratio).all()
        and got.competing.tolist() == [0.0, 0.0]
    )


@pytest.mark.parametrize(
    ("demand", "supply", "more"),
    [
        ([1], [1, 1], {}),
        ([1, -1], [1, 1], {}),
        ([1, np.nan], [1, 1], {}),
        ([1, 1], [1, 1], {"kind": "4sfca"}),
        ([1, 1], [1, 1], {"decay": catchment.gaussian_decay(9.0)}),
        ([1, 1], [1, 1], {"kind": "e2sfca", "decay": lambda m: m - 100}),
    ],
)
def test_impossible_amounts_are_refused(demand, supply, more):
    pairs = Pairs(np.array([0], np.int32), np.array([0], np.int32), np.array([1.0]), 2, 2, 10.0)
    with pytest.raises(ParameterError):
        two_step(pairs, demand, supply, **more)


def test_decays_keep_their_ends():
    bell = catchment.gaussian_decay(600.0)
    assert bell(np.array([0.0, 600.0, 601.0])).tolist() == [1.0, 0.0, 0.0]
    assert (np.diff(bell(np.linspace(0, 600, 50))) < 0).all()
    with pytest.raises(ParameterError):
        catchment.step_decay({})
    with pytest.raises(ParameterError):
        catchment.gaussian_decay(0.0)


def test_reach_adds_up_opportunities():
    pairs, _, supply = drawn()
    table = pairs.matrix().toarray()
    np.testing.assert_allclose(catchment.reach(pairs, supply), table @ supply)
    np.testing.assert_allclose(
        catchment.reach(pairs, supply, decay=lambda m: m / 900),
        pairs.matrix(pairs.metres / 900).toarray() @ supply,
    )


# ------------------------------------------------------------------------------------------------- further sites


@pytest.mark.parametrize("seed", range(6))
def test_the_first_site_is_the_best_and_two_reach_at_least_the_bound(seed):
    graph, homes, places = random_city(seed, homes=40, shops=12)
    people = np.random.default_rng(seed).integers(0, 90, 40).astype(float)
    near = travel_pairs(graph, places, homes, 350.0)
    got, gains = catchment.greedy_sites(near, people, 2)
    reached = near.matrix().toarray() > 0
    single = reached @ people
    assert gains[0] == single.max() and got[0] == single.argmax()
    both = [people[reached[a] | reached[b]].sum() for a, b in combinations(range(12), 2)]
    assert gains.sum() == people[reached[got].any(axis=0)].sum()
    assert max(both) * (1 - 1 / np.e) <= gains.sum() <= max(both)


def test_sites_stop_when_nobody_is_left():
    near = Pairs(np.array([0, 1], np.int32), np.array([0, 0], np.int32), np.zeros(2), 2, 1, 9.0)
    got, gains = catchment.greedy_sites(near, [7], 5)
    assert got.tolist() == [0] and gains.tolist() == [7.0]
    assert catchment.greedy_sites(near, [0], 5)[0].size == 0
    with pytest.raises(ParameterError):
        catchment.greedy_sites(near, [7], 0)
