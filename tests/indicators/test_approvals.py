"""Permits against the land, and registers: what is counted once, what is no longer in force, what is not nought."""

from __future__ import annotations

import math

import pytest

from workbench.indicators.compute import compute

PATCH = {"tblx": "20", "box": [0, 0, 1, 1], "date_after": "2025-06-30"}
BUILT = {"kind": "供地", "approved": "2024-03-01"}


@pytest.fixture
def values(drawn, make_city):
    def run(ids, **layers):
        store = drawn({**drawn().drawn, **layers})
        return compute(make_city(), 2025, ids, store=store).set_index(["indicator", "zone"])

    return run


@pytest.mark.parametrize(
    ("permits", "suspected"),
    [
        ([{**BUILT, "box": [0, 0, 0.6, 1]}], 0),
        ([{**BUILT, "box": [0, 0, 0.4, 1]}], 1),
        ([{**BUILT, "box": [0, 0, 0.4, 1]}, {**BUILT, "box": [0, 0, 0.4, 1], "kind": "施工"}], 1),
        ([{**BUILT, "box": [0, 0, 0.4, 1]}, {**BUILT, "box": [0.4, 0, 0.8, 1]}], 0),
        ([{**BUILT, "box": [0, 0, 1, 1], "kind": "临时用地", "ended": "2025-01-31"}], 1),
        ([{**BUILT, "box": [0, 0, 1, 1], "kind": "临时用地", "ended": "2025-12-31"}], 0),
        ([{**BUILT, "box": [0, 0, 1, 1], "kind": "预审"}], 1),
    ],
)
def test_a_patch_is_suspected_when_permits_in_force_cover_less_than_half(values, permits, suspected):
    table = values(["TJ-A27"], change_patches=[PATCH], permits=permits)
    assert table.loc[("TJ-A27", "demo"), "value"] == suspected
    assert table.loc[("TJ-A27", "demo"), "tier"] == "proxy"
    assert table.loc[("TJ-A27", "E"), "value"] == 0


def test_a_registered_case_count_comes_before_the_suspected_patches(values, drawn):
    figures = [*drawn().drawn["statistics"], "TJ-A27 2025 city 4"]
    row = values(
        ["TJ-A27"], change_patches=[PATCH], permits=[{**BUILT, "box": [5, 0, 6, 1]}], statistics=figures
    )
    assert row.loc[("TJ-A27", "demo"), ["value", "tier"]].tolist() == [4.0, "statutory"]


def test_a_year_without_supply_has_no_share(values):
    permits = [{**BUILT, "box": [0, 0, 1, 1]}]
    row = values(["TJ-B07"], permits=permits).loc[("TJ-B07", "demo")]
    assert math.isnan(row["value"])
    supplied = values(["TJ-B07"], permits=[{**BUILT, "box": [0, 0, 4, 1], "approved": "2025-03-01"}])
    assert supplied.loc[("TJ-B07", "demo"), "value"] == pytest.approx(
        25.0, rel=1e-6
    )  # 0701 of the year before
    assert supplied.loc[("TJ-B07", "E"), "reason"] == "zero_denominator"


def test_lengths_by_attribute_and_lines_no_longer_in_force(values):
    dikes = [
        {"line": [[0, 1], [2, 1]], "meets_standard": "是"},
        {"line": [[2, 1], [4, 1]], "meets_standard": "否"},
        {"line": [[0, 2], [4, 2]], "meets_standard": "否", "ended": "2020-12-31"},
    ]
    table = values(["TJ-A26"], dikes=dikes)
    assert table.loc[("TJ-A26", "demo"), "value"] == pytest.approx(50.0, rel=1e-6)
    assert table.loc[("TJ-A26", "E"), "reason"] == "zero_denominator"
    bare = values(["TJ-A26"], dikes=[{"line": [[0, 1], [2, 1]]}]).loc[("TJ-A26", "demo")]
    assert math.isnan(bare["value"]) and bare["reason"] == "no_field:dikes:meets_standard"


def test_some_of_the_kinds_are_enough_for_a_rate_but_none_is_a_gap(values):
    venues = [{"kind": "museum", "at": [0.5, 1]}, {"kind": "market", "at": [0.5, 1]}]
    table = values(["TJ-F23", "TJ-F24"], facilities=venues)
    assert table.loc[("TJ-F23", "demo"), "value"] == pytest.approx(1e5 / 720)
    assert table.loc[("TJ-F24", "demo"), "reason"] == "no_kind:cafe+tea_house"
    assert "咖啡馆" in table.loc[("TJ-F24", "demo"), "reason_zh"]


def test_housing_floor_area_needs_storeys_and_a_use(values):
    house = {"box": [0, 0, 1, 1], "use": "住宅", "floors": 3}
    assert values(["TJ-F09"], buildings=[house]).loc[("TJ-F09", "demo"), "value"] == pytest.approx(
        50.0, rel=1e-6
    )
    no_floors = values(["TJ-F09"], buildings=[{**house, "floors": float("nan")}]).loc[("TJ-F09", "demo")]
    assert math.isnan(no_floors["value"])
    shops = values(["TJ-F09"], buildings=[{**house, "use": "商业"}]).loc[("TJ-F09", "demo")]
    assert math.isnan(shops["value"])


def test_land_that_grows_while_people_stay_has_no_quotient(values):
    rasters = {"land_use_raster": ["0701 0701"] * 2, "land_use_raster@2024": ["0701 0101"] * 2}
    people = [[100, 50]]
    steady = values(["SDG-11.3.1"], **rasters, population=people, **{"population@2024": people})
    assert steady.loc[("SDG-11.3.1", "demo"), "reason"] == "population_unchanged"
    fewer = values(["SDG-11.3.1"], **rasters, population=[[50, 50]], **{"population@2024": people})
    assert fewer.loc[("SDG-11.3.1", "demo"), "value"] == pytest.approx(1.0 / math.log(100 / 150), rel=1e-6)
