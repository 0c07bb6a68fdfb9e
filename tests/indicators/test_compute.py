"""Values of a drawn city: what is counted where, and what is not counted and why."""

from __future__ import annotations

import math

import pytest

from workbench.core.errors import DefinitionError, LayerMissing, ParameterError
from workbench.indicators.compute import compute
from workbench.indicators.library import load_former, load_library
from workbench.indicators.values import COLUMNS


@pytest.fixture
def values(drawn, make_city):
    def run(ids, *, change=None, without=(), scopes=("城区",), year=2025, **more):
        store = drawn()
        layers = {
            k: v for k, v in {**store.drawn, **(change or {})}.items() if k.partition("@")[0] not in without
        }
        return compute(make_city(scopes), year, ids, store=drawn(layers), **more).set_index(
            ["indicator", "level", "zone"], drop=False
        )

    return run


def test_one_row_for_each_indicator_level_and_zone(values):
    table = values(["TJ-A11", "TJ-C03"])
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 2 * 3
    assert table["value_id"].is_unique


def test_farmland_by_zone_in_ten_thousand_mu(values):
    table = values(["TJ-A11"])
    assert table.loc[("TJ-A11", "city", "demo"), "value"] == pytest.approx(24 * 15e-4, rel=1e-6)
    assert table.loc[("TJ-A11", "district", "W"), "value"] == pytest.approx(12 * 15e-4, rel=1e-6)
    assert table.loc[("TJ-A11", "district", "E"), "value"] == pytest.approx(12 * 15e-4, rel=1e-6)
    assert set(table["tier"]) == {"statutory"}
    assert set(table["data_date"]) == {"2025-12-31"}


def test_lines_count_when_in_force_at_the_end_of_the_year(values):
    line = values(["TJ-A10"]).loc[("TJ-A10", "city", "demo"), "value"]
    assert line == pytest.approx(24 * 15e-4, rel=1e-6)  # the box approved in 2026 does not count
    ended = {"permanent_farmland": [{"box": [2, 0, 8, 4], "ended": "2025-12-31"}]}
    row = values(["TJ-A10"], change=ended).loc[("TJ-A10", "city", "demo")]
    assert math.isnan(row["value"])
    assert row["reason"] == "no_line_in_force"


def test_urban_indicators_are_taken_over_the_urban_area_only(values):
    table = values(["TJ-F05"])
    assert table.loc[("TJ-F05", "city", "demo"), "value"] == pytest.approx(100.0)
    assert table.loc[("TJ-F05", "city", "demo"), "denominator_value"] == 600  # not the 120 people in the east
    east = table.loc[("TJ-F05", "district", "E")]
    assert math.isnan(east["value"]) and east["reason"] == "outside_scope" and east["reason_zh"]


def test_station_coverage_falls_back_to_labelled_proxies(values):
    people = values(["TJ-F05"]).loc[("TJ-F05", "city", "demo")]
    area = values(["TJ-F05"], without=("population",)).loc[("TJ-F05", "city", "demo")]
    whole = values(["TJ-F05"], without=("population",), scopes=()).loc[("TJ-F05", "city", "demo")]
    assert [r["tier"] for r in (people, area, whole)] == ["statutory", "proxy", "proxy"]
    assert [r["denominator"] for r in (people, area, whole)] == ["城区常住人口", "城区面积", "市域面积"]
    assert area["denominator_value"] == pytest.approx(20e4, rel=1e-6)
    assert whole["denominator_value"] == pytest.approx(40e4, rel=1e-6)


def test_an_old_statistic_is_stale_and_never_used(values):
    row = values(["TJ-D07"]).loc[("TJ-D07", "city", "demo")]
    assert math.isnan(row["value"])
    assert row["reason"] == "stale:gdp_1e8_cny:2017"
    assert "2017" in row["reason_zh"] and "2017" in row["reason_en"]


def test_statistics_of_the_city_are_not_spread_over_districts(values):
    table = values(["TJ-C08"])
    assert table.loc[("TJ-C08", "city", "demo"), "value"] == pytest.approx(75.0)
    assert table.loc[("TJ-C08", "district", "E"), "reason"] == "no_zone_row:population_1e4"
    per_head = values(["TJ-C11"])
    assert per_head.loc[("TJ-C11", "city", "demo"), "value"] == pytest.approx(8e4 / 600, rel=1e-6)
    assert per_head.loc[("TJ-C11", "district", "E"), "value"] == 0.0
    assert per_head.loc[("TJ-C11", "district", "W"), "reason"] == "no_zone_row:population_urban_1e4"


def test_population_of_districts_comes_from_the_grid_and_says_so(values):
    table = values(["TJ-C01"])
    assert table.loc[("TJ-C01", "city", "demo"), "value"] == 0.08
    assert table.loc[("TJ-C01", "city", "demo"), "tier"] == "statutory"
    assert table.loc[("TJ-C01", "district", "E"), "value"] == pytest.approx(0.012)
    assert table.loc[("TJ-C01", "district", "E"), "tier"] == "substitute"


def test_a_missing_layer_is_a_reason_with_holder_and_what_it_unlocks(values):
    row = values(["TJ-A11"], without=("land_use",)).loc[("TJ-A11", "city", "demo")]
    assert math.isnan(row["value"]) and row["tier"] == ""
    assert row["reason"] == "no_layer:land_use"
    assert "自然资源局" in row["reason_zh"] and "耕地保有量" in row["reason_zh"]
    assert "natural resources bureau" in row["reason_en"] and "Cultivated land stock" in row["reason_en"]


def test_a_year_without_data_is_never_replaced(values):
    row = values(["TJ-A11"], year=2023).loc[("TJ-A11", "city", "demo")]
    assert math.isnan(row["value"])
    assert row["reason"] == "no_year:land_use:2023"
    assert "2024" in row["reason_zh"]


def test_a_kind_of_facility_that_the_data_do_not_hold_is_not_nought(values):
    table = values(["TJ-F18", "TJ-F10", "TJ-F06"])
    assert table.loc[("TJ-F18", "city", "demo"), "value"] == pytest.approx(100.0)
    assert table.loc[("TJ-F10", "city", "demo"), "reason"] == "no_kind:community_health"
    assert table.loc[("TJ-F06", "city", "demo"), "reason"].startswith("no_kind:primary_school+")


def test_new_building_is_what_was_open_the_survey_before(values):
    boundary = {"development_boundary": [{"box": [0, 0, 2, 4]}]}
    table = values(["PL-03"], change=boundary)
    assert table.loc[("PL-03", "city", "demo"), "value"] == pytest.approx(4.0, rel=1e-6)
    assert table.loc[("PL-03", "district", "W"), "value"] == pytest.approx(0.0, abs=1e-9)


def test_hashes_follow_data_parameters_and_definition(values):
    first = values(["TJ-A11"])["inputs_hash"].iloc[0]
    assert values(["TJ-A11"])["inputs_hash"].iloc[0] == first
    redrawn = {"land_use": ["0101 0101"]}
    assert values(["TJ-A11"], change=redrawn)["inputs_hash"].iloc[0] != first
    unrelated = {"population": [[1]]}
    assert values(["TJ-A11"], change=unrelated)["inputs_hash"].iloc[0] == first


def test_shared_results_do_not_hide_the_layers_a_value_comes_from(values):
    alone = values(["TJ-D03"])["inputs_hash"].iloc[0]
    after_another = values(["TJ-A11", "TJ-D03"]).loc[("TJ-D03", "city", "demo"), "inputs_hash"]
    assert after_another == alone


def test_a_former_definition_can_be_asked_for(values):
    parks = {"parks": [{"box": [0, 1.95, 0.1, 2.0]}]}  # 50 m²: too small since version 2
    now = values(["TJ-F26"], change=parks).loc[("TJ-F26", "city", "demo")]
    before = values(["TJ-F26"], change=parks, library={**load_library(), **load_former()}).loc[
        ("TJ-F26", "city", "demo")
    ]
    assert now["value"] == 0.0
    assert before["value"] > 0
    assert now["definition_version"] != before["definition_version"]
    assert now["value_id"] == before["value_id"]


def test_unknown_indicator_is_an_error(values):
    with pytest.raises(ParameterError, match="TJ-Z99"):
        values(["TJ-Z99"])


def test_a_formula_sees_declared_layers_only(drawn):
    from workbench.indicators.examples import worked_example

    inputs, _, _ = worked_example(load_library()["TJ-A11"])
    with pytest.raises(DefinitionError, match="roads"):
        inputs.vector("roads")
    with pytest.raises(LayerMissing):
        inputs.vector("land_use", 1999)


def test_points_in_overlapping_zones_count_in_each_and_on_a_border_once():
    import geopandas as gpd
    import shapely

    from workbench.indicators.examples import DrawnStore
    from workbench.indicators.formulas.common import people_by_zone
    from workbench.indicators.inputs import Inputs
    from workbench.samples import town

    inputs = Inputs(
        DrawnStore({"population": [[10, 20]]}),
        2025,
        2020,
        "latest",
        frozenset({"population"}),
        None,
        60.0,
        town.CRS,
    )

    def zones(*spans):
        boxes = [shapely.box(town.LEFT + a, town.TOP - 100, town.LEFT + b, town.TOP) for a, b in spans]
        return gpd.GeoDataFrame(index=[f"z{i}" for i in range(len(boxes))], geometry=boxes, crs=town.CRS)

    assert people_by_zone(inputs, zones((0, 100), (0, 200))).tolist() == [10, 30]
    assert people_by_zone(inputs, zones((0, 50), (50, 200))).tolist() == [10, 20]
