"""Suitability of hand-made cells: points, classes, what thresholds decide, the cells of a terrain model."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from shapely.geometry import box

from workbench.evaluation.suitability import read_settings
from workbench.evaluation.suitability import sensitivity as sensitivity_of
from workbench.evaluation.suitability.classify import (
    Plan,
    Thresholds,
    classify,
    combined,
    graded,
    integrate,
    points,
)
from workbench.evaluation.suitability.ground import choose_grid, on_grid
from workbench.evaluation.suitability.plan import points_by_code
from workbench.evaluation.suitability.sensitivity import (
    draw_thresholds,
    judge,
    moves,
    one_at_a_time,
    together,
)
from workbench.evaluation.suitability.settings import PACKAGED, Step, Use

X, Y, CELL = 500_000.0, 2_500_000.0, 100.0
"""Upper left corner and cell of the drawn city."""
SETTINGS = read_settings(PACKAGED)


def use(evaluation, factor, **more):
    return Use(evaluation=evaluation, factor=factor, source="test", confidence="own", **more)


def steps(*pairs):
    return tuple(Step(to=to, score=score) if to is not None else Step(score=score) for to, score in pairs)


def plan_of(*uses, excludes=True):
    tables = {
        at: points_by_code(one, SETTINGS.factor(one.factor), SETTINGS)
        for at, one in enumerate(uses)
        if not one.steps
    }
    names = list(dict.fromkeys(one.evaluation for one in uses))
    order = SETTINGS.integration.model_copy(update={"excludes": excludes, "order": tuple(names)})
    return Plan(tuple(SETTINGS.evaluation(name) for name in names), uses, tables, order)


SLOPE = steps((2, 100), (8, 80), (15, 60), (25, 40), (None, 0))


# ------------------------------------------------------------------ points and classes


def test_points_of_a_step_hold_up_to_its_end_and_nothing_known_gives_none():
    plan = plan_of(use("building", "slope", steps=SLOPE))
    values = np.array([0, 2, 2.01, 8, 15, 15.5, 25, 25.5, np.nan], dtype=np.float32)
    found = points(plan, 0, values, Thresholds.of(plan))
    assert found[:-1].tolist() == [100, 100, 80, 80, 60, 40, 40, 0] and np.isnan(found[-1])


def test_a_mean_is_weighted_over_what_is_known_and_never_counts_a_missing_factor_as_full():
    building = SETTINGS.evaluation("building")
    uses = [
        use("building", "slope", weight=3, steps=SLOPE),
        use("building", "flood", weight=1, inside=40, outside=100),
    ]
    slope = np.array([80, 80, np.nan, np.nan, 0], dtype=np.float32)
    flood = np.array([40, np.nan, 40, np.nan, 100], dtype=np.float32)
    found = combined(building, uses, [slope, flood])
    assert found[:3].tolist() == [70, 80, 40] and np.isnan(found[3])
    assert found[4] == 0  # points of 0 decide alone
    required = [uses[0].model_copy(update={"required": True}), uses[1]]
    assert np.isnan(combined(building, required, [slope, flood])).tolist() == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_limits_forbid_and_steps_down_take_points_away():
    uses = [
        use("building", "slope", steps=SLOPE),
        use("building", "red_line", effect="limit"),
        use("building", "relief", effect="lower", steps=steps((100, 0), (200, 20), (None, 40))),
    ]
    plan = plan_of(*uses)
    values = {
        "slope": np.array([1, 1, 1, 1, 10], dtype=np.float32),
        "red_line": np.array([0, 1, 0, 0, 0], dtype=np.uint8),
        "relief": np.array([50, 50, 150, 300, 300], dtype=np.float32),
    }
    classes, scores = classify(plan, values, Thresholds.of(plan))
    assert scores["building"].tolist() == [100, 0, 80, 60, 20]
    assert classes["building"].tolist() == [1, 3, 1, 2, 3]  # 75 and 55 part the classes


def test_the_worst_or_the_best_points_count_where_the_evaluation_says_so():
    farming, ecology = SETTINGS.evaluation("farming"), SETTINGS.evaluation("ecology")
    pair = [np.array([100, 50, np.nan], dtype=np.float32), np.array([75, 60, 10], dtype=np.float32)]
    both = [use("farming", "slope", steps=SLOPE), use("farming", "rainfall", steps=SLOPE)]
    assert combined(farming, both, pair).tolist() == [75, 50, 10]
    assert combined(ecology, both, pair).tolist() == [100, 60, 10]
    assert graded(np.array([75, 74.9, 35, 34.9, np.nan], np.float32), ecology.cuts).tolist() == [
        1,
        2,
        2,
        3,
        0,
    ]


def test_extremely_important_land_is_left_to_ecology_and_farming_goes_before_building():
    evaluations = tuple(SETTINGS.evaluations)
    plan = Plan(evaluations, (), {}, SETTINGS.integration)
    classes = {
        "ecology": np.array([1, 1, 2, 3, 3, 3, 0], np.uint8),
        "farming": np.array([1, 0, 1, 1, 2, 3, 0], np.uint8),
        "building": np.array([1, 2, 1, 1, 1, 2, 0], np.uint8),
    }
    found = integrate(plan, classes)
    assert found["farming"].tolist() == [3, 0, 1, 1, 2, 3, 0]
    assert found["building"].tolist() == [3, 3, 1, 1, 1, 2, 0]
    assert found["zoning"].tolist() == [1, 1, 2, 2, 3, 4, 0]
    free = Plan(evaluations, (), {}, SETTINGS.integration.model_copy(update={"excludes": False}))
    assert integrate(free, classes)["building"].tolist() == classes["building"].tolist()


def test_land_use_takes_the_first_group_that_fits_and_unknown_land_gives_none():
    table = points_by_code(
        use("farming", "land_use", values={"wetland": 0, "forest": 50, "cropland": 100}, other=30),
        SETTINGS.factor("land_use"), SETTINGS,
    )  # fmt: skip
    from workbench.core.codes import raster_code

    given = [float(table[raster_code(code)]) for code in ("0303", "0301", "0101", "0701")]
    assert given == [0, 50, 100, 30]  # a mangrove is wetland before it is forest
    assert math.isnan(table[0])


# ------------------------------------------------------------------ sensitivity


def small():
    """Building by slope and roads, ecology by slope; 4,000 cells drawn with a seed."""
    plan = plan_of(
        use("ecology", "slope", steps=steps((6, 0), (15, 20), (25, 45), (None, 80))),
        use("farming", "slope", steps=steps((15, 75), (25, 50), (None, 0)), required=True),
        use("farming", "land_use", values={"cropland": 100, "forest": 50}, other=30),
        use("building", "slope", steps=SLOPE, weight=0.4, required=True),
        use("building", "roads", steps=steps((500, 100), (3000, 60), (None, 20)), weight=0.6),
        use("building", "flood", inside=40, outside=100, weight=0.3),
    )
    random = np.random.default_rng(5)
    values = {
        "slope": random.gamma(1.5, 6, 4000).astype(np.float32),
        "roads": random.uniform(0, 6000, 4000).astype(np.float32),
        "flood": (random.uniform(size=4000) < 0.2).astype(np.uint8),
        "land_use": random.choice(np.array([0, 1, 12, 30], np.uint8), 4000),
    }
    values["slope"][:40] = np.nan
    return plan, values


def test_moving_one_threshold_changes_just_the_cells_between_its_places():
    plan = plan_of(use("building", "slope", steps=steps((8, 80), (None, 40))))
    values = {"slope": np.array([7, 7.3, 7.9, 8, 8.5, 8.8, 9, np.nan], dtype=np.float32)}
    found, often = one_at_a_time(
        plan, values, judge(plan, values), SETTINGS
    )  # the threshold moves by 10 %: 7.2 and 8.8
    own = found[(found["factor"] == "slope") & (found["output"] == "building")].set_index("direction")
    assert own.loc[-1, ["base", "moved"]].tolist() == pytest.approx([8, 7.2])
    assert own.loc[-1, "share"] == pytest.approx(100 * 3 / 7) and own.loc[1, "share"] == pytest.approx(
        100 * 2 / 7
    )
    assert own.loc[-1, "first_class_points"] == pytest.approx(-100 * 3 / 7)
    assert own.loc[1, "first_class_points"] == pytest.approx(100 * 2 / 7)
    cut = found[(found["factor"] == "") & (found["output"] == "building")]
    assert cut["share"].tolist() == [
        0,
        0,
        0,
        0,
    ]  # 80 and 40 points keep their class at 70, 80, 50 and 60
    assert often["building"].tolist() == [0, 1, 1, 1, 1, 1, 0, 0]


def test_one_at_a_time_gives_what_judging_every_cell_again_gives():
    plan, values = small()
    judged = judge(plan, values)
    found, often = one_at_a_time(plan, values, judged, SETTINGS)
    rows = found.set_index(["evaluation", "factor", "threshold", "direction", "output"])["share"]
    total = {name: np.zeros(4000) for name in judged.classes}
    for move in moves(plan, SETTINGS):
        again = judge(plan, values, move.thresholds).classes
        for name, classes in again.items():
            changed = classes != judged.classes[name]
            total[name] += changed
            share = 100 * changed.sum() / (judged.classes[name] != 0).sum()
            way = 1 if move.moved > move.base else -1
            key = (move.evaluation, move.factor, move.index + 1, way, name)
            assert rows.get(key, 0.0) == pytest.approx(share), key
    for name, count in total.items():
        np.testing.assert_array_equal(often[name], count)
    assert (found["share"] > 0).sum() > 10


def test_thresholds_never_pass_their_neighbours():
    plan = plan_of(use("building", "slope", move=10, steps=SLOPE))
    for move in moves(plan, SETTINGS):
        for ends in move.thresholds.steps.values():
            assert list(ends) == sorted(ends)
        for cuts in move.thresholds.cuts.values():
            assert list(cuts) == sorted(cuts, reverse=True)


def test_chance_of_a_class_is_that_of_an_even_threshold():
    plan = plan_of(use("building", "slope", steps=steps((8, 80), (None, 40))))
    at = np.array([7.0, 7.6, 8.0, 8.4, 9.0], dtype=np.float32)
    many = SETTINGS.model_copy(
        update={"parameters": SETTINGS.parameters.model_copy(update={"draws": 250, "seed": 3})}
    )
    values = {"slope": at}
    drawn = together(plan, values, judge(plan, values), many)
    chance = drawn.counts["building"][0] / drawn.count  # the threshold is even between 7.2 and 8.8
    expected = np.array([1.0, 0.75, 0.5, 0.25, 0.0])
    assert np.abs(chance - expected).max() < 3 * math.sqrt(0.25 / 250)
    assert chance[0] == 1 and chance[-1] == 0 and drawn.near == 4  # 80 points are 5 from 75, too
    again = together(plan, values, judge(plan, values), many)
    np.testing.assert_array_equal(again.counts["building"], drawn.counts["building"])
    other = many.model_copy(update={"parameters": many.parameters.model_copy(update={"seed": 4})})
    assert (
        together(plan, values, judge(plan, values), other).counts["building"] != drawn.counts["building"]
    ).any()


def test_joint_draws_give_what_judging_every_cell_gives(monkeypatch):
    plan, values = small()
    few = SETTINGS.model_copy(update={"parameters": SETTINGS.parameters.model_copy(update={"draws": 20})})
    judged = judge(plan, values)
    monkeypatch.setattr(sensitivity_of, "CHUNK", 700)
    drawn = together(plan, values, judged, few)
    assert 0 < drawn.near < 4000
    expected = {name: np.zeros_like(one) for name, one in drawn.counts.items()}
    for order, thresholds in enumerate(draw_thresholds(plan, few)):
        again = judge(plan, values, thresholds).classes
        for name, classes in again.items():
            for code in range(1, len(expected[name]) + 1):
                expected[name][code - 1] += classes == code
                assert drawn.totals[name][order, code - 1] == (classes == code).sum()
    for name, counts in expected.items():
        np.testing.assert_array_equal(drawn.counts[name], counts)
        assert (counts.sum(axis=0)[judged.classes[name] != 0] == 20).all()


# ------------------------------------------------------------------ cells


def rising(rows=40, columns=40):
    """Terrain model of 10 m cells; each cell has a height of its own."""
    heights = np.arange(rows * columns, dtype="float32").reshape(rows, columns)
    return wrap_xr(heights, GeoBox((rows, columns), Affine(10, 0, X, 0, -10, Y), "EPSG:4547"))


def test_cells_are_those_of_the_terrain_model_inside_the_city():
    dem, stub = rising(), SimpleNamespace(grid=None, crs="EPSG:4547")
    grid, notes = choose_grid(stub, dem, box(X + 100, Y - 205, X + 300, Y - 50), SETTINGS)
    assert grid.shape == (16, 20) and (grid.affine.c, grid.affine.f) == (X + 100, Y - 50) and notes == []
    np.testing.assert_array_equal(on_grid(dem, grid).to_numpy(), dem.to_numpy()[5:21, 10:30])


def test_too_many_cells_become_larger_ones_with_mean_heights_and_a_note():
    few = SETTINGS.model_copy(
        update={"parameters": SETTINGS.parameters.model_copy(update={"most_cells": 100})}
    )
    dem, stub = rising(), SimpleNamespace(grid=None, crs="EPSG:4547")
    grid, notes = choose_grid(stub, dem, box(X, Y - 400, X + 400, Y), few)
    assert grid.shape == (10, 10) and grid.affine.a == 40 and notes[0]["check"] == "coarser"
    means = dem.to_numpy().reshape(10, 4, 10, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(on_grid(dem, grid).to_numpy(), means, rtol=1e-5)
