"""What no layer holds: reported as it stands, in its unit, of its year and zone; or no data, with the holder."""

from __future__ import annotations

import math

import pytest

from workbench import libraries
from workbench.core.errors import ParameterError
from workbench.indicators.compute import compute
from workbench.indicators.library import load_library

REBUILT = {"land_use@2024": ["0601/201 0101"] * 4}
"""The first column was a factory the year before and is housing now."""


@pytest.fixture
def reported(drawn, make_city):
    def run(ids, figures=(), **layers):
        base = drawn()
        drawing = {**base.drawn, "statistics": [*base.drawn["statistics"], *figures], **layers}
        return compute(make_city(), 2025, ids, store=drawn(drawing)).set_index(
            ["indicator", "level", "zone"], drop=False
        )

    return run


def test_without_a_figure_there_is_no_value_but_the_holder(reported):
    row = reported(["TJ-A03"]).loc[("TJ-A03", "city", "demo")]
    assert math.isnan(row["value"]) and row["tier"] == "" and row["reason"] == "not_reported:TJ-A03"
    assert "生态环境局" in row["reason_zh"] and "水功能区水质达标率" in row["reason_zh"]
    assert "ecology and water bureaus" in row["reason_en"]


def test_a_city_without_any_table_names_the_holder_of_the_figure_too(drawn, make_city):
    layers = {key: rows for key, rows in drawn().drawn.items() if key != "statistics"}
    table = compute(make_city(), 2025, ["TJ-A03"], levels=["city"], store=drawn(layers))
    assert table["reason"].tolist() == ["not_reported:TJ-A03"] and "生态环境局" in table["reason_zh"].iloc[0]


def test_one_figure_is_asked_for_rather_than_the_parts_it_is_made_of(reported):
    row = reported(["TJ-B06"]).loc[("TJ-B06", "city", "demo")]
    assert row["reason"] == "not_reported:TJ-B06" and "自然资源局" in row["reason_zh"]
    parts = ["idle_land_disposed_ha 2025 city 3", "idle_land_ha 2025 city 12"]
    assert reported(["TJ-B06"], parts).loc[("TJ-B06", "city", "demo"), "value"] == pytest.approx(25.0)


def test_layers_that_would_do_as_well_are_named_with_their_holder(reported):
    row = reported(["TJ-A12"]).loc[("TJ-A12", "city", "demo")]
    assert row["reason"] == "not_reported:TJ-A12"
    assert "或补齐高标准农田（通常由农业农村局掌握）" in row["reason_zh"]
    assert row["reason_en"].endswith("high-standard farmland (usually held by agriculture bureau)")


def test_a_figure_counts_for_its_own_year_and_zone_only(reported):
    table = reported(
        ["TJ-A03", "TJ-A05"], ["TJ-A03 2025 city 92.5", "TJ-A03 2025 W 88", "TJ-A05 2023 city 20"]
    )
    assert table.loc[("TJ-A03", "city", "demo"), "value"] == 92.5
    assert table.loc[("TJ-A03", "district", "W"), "value"] == 88.0
    assert table.loc[("TJ-A03", "district", "E"), "reason"] == "no_zone_row:TJ-A03"
    assert "水功能区水质达标率" in table.loc[("TJ-A03", "district", "E"), "reason_zh"]
    old = table.loc[("TJ-A05", "city", "demo")]
    assert math.isnan(old["value"]) and old["reason"] == "stale:TJ-A05:2023" and "水务局" in old["reason_zh"]


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("TJ-D02 2025 city 0.2 1e8m3", None),
        ("TJ-B12 2025 city 150 ha", 1.5),
        ("TJ-B12 2025 city 1.5 km2", 1.5),
        ("TJ-B12 2025 city 2250 亩", 1.5),
        ("TJ-B12 2025 city 3 万元", None),
    ],
)
def test_a_figure_in_another_unit_is_converted_or_refused(reported, figure, value):
    id_ = figure.split()[0]
    land = {"land_use@2024": ["0101"]}
    row = reported([id_], [figure], **land).loc[(id_, "city", "demo")]
    if value is None:
        assert not row["basis"].startswith("1: statistics.reported") or math.isnan(row["value"])
        if id_ == "TJ-D02":
            assert row["reason"] == "wrong_unit:TJ-D02:1e8m3" and "单位" in row["reason_zh"]
    else:
        assert row["value"] == pytest.approx(value) and row["basis"].endswith("statistics.reported")


def test_layers_come_before_the_reported_figure_and_proxies_after(reported):
    figure = ["TJ-A21 2025 city 6", "TJ-B12 2025 city 9"]
    spots = {"flood_spots": [{"at": [1, 1], "date": "2025-07-01"}]}
    table = reported(["TJ-A21", "TJ-B12"], figure, **spots)
    assert table.loc[("TJ-A21", "city", "demo"), ["value", "basis"]].tolist() == [1.0, "1: features.count"]
    assert table.loc[("TJ-B12", "city", "demo"), ["value", "basis"]].tolist() == [
        9.0,
        "2: statistics.reported",
    ]
    unchanged = reported(["TJ-B12"]).loc[("TJ-B12", "city", "demo")]
    assert math.isnan(unchanged["value"]) and unchanged["reason"] == "not_reported:TJ-B12"
    without = reported(["TJ-B12"], **REBUILT)
    assert without.loc[("TJ-B12", "city", "demo"), "value"] == pytest.approx(0.04, rel=1e-6)
    assert without.loc[("TJ-B12", "city", "demo"), ["tier", "basis"]].tolist() == [
        "proxy",
        "3: growth.became",
    ]
    assert without.loc[("TJ-B12", "district", "E"), "reason"] == "no_change_seen"


def test_a_register_without_the_date_it_needs_is_a_reason_not_nought(reported):
    row = reported(["TJ-A21"], flood_spots=[{"at": [1, 1]}]).loc[("TJ-A21", "city", "demo")]
    assert math.isnan(row["value"]) and row["reason"] == "no_field:flood_spots:date"
    assert "内涝积水点" in row["reason_zh"] and "date" in row["reason_en"]


def test_values_are_counted_by_what_they_are_made_of(reported):
    table = reported(
        ["TJ-A11", "TJ-B12", "TJ-C08", "TJ-A03", "TJ-A05", "TJ-F26"], ["TJ-A03 2025 city 92.5"], **REBUILT
    )
    found = libraries.count_by_basis(table.reset_index(drop=True)).set_index(["state", "basis"])["indicators"]
    assert found.to_dict() == {
        ("computed", "layers"): ["TJ-A11"],
        ("computed", "tables"): ["TJ-C08"],
        ("substituted", "layers"): ["TJ-B12"],
        ("reported", "reported"): ["TJ-A03"],
        ("missing", "layers"): ["TJ-F26"],
        ("missing", "reported"): ["TJ-A05"],
    }
    assert libraries.count_by_basis(table.reset_index(drop=True).iloc[:0]).empty


def test_the_library_is_filtered_and_sets_are_compared():
    everything = libraries.indicators_table()
    safety = libraries.indicators_table("en", dimension="Safety")
    assert set(safety["id"]) == {one.id for one in load_library().values() if one.dimension == "安全"}
    fire = libraries.indicators_table(holder="fire brigade")
    assert fire["id"].tolist() == ["TJ-A19"] and "layers" in fire["basis"].iloc[0]
    layers = libraries.indicators_table(basis="layers")["id"]
    assert "TJ-A11" in set(layers) and "TJ-E08" not in set(layers) and len(layers) < len(everything)
    assert libraries.indicators_table(confidence="FOUND[S4]")["id"].tolist() == ["SDG-11.3.1"]
    assert libraries.indicators_table(holder="nobody").empty
    for wrong in ({"dimension": "快乐"}, {"basis": "guess"}):
        with pytest.raises(ParameterError, match="no such"):
            libraries.indicators_table(**wrong)
    sets = libraries.sets_table("en").set_index("set")
    assert sets.loc["coastal", ["indicators", "extends"]].tolist() == [124, "checkup122"]
    diff = libraries.sets_diff("demo_city", "coastal")
    assert set(diff.loc[diff["change"] == "added", "id"]) == {"TJ-X01", "TJ-X02"}
    dropped = diff.loc[diff["change"] == "dropped", "id"]
    assert dropped.str.match("PL-0[1-4]$|SDG-").sum() == 13 and not dropped.str.startswith("TJ-").any()
    assert libraries.set_table("basic33")["id"].tolist()[0] == "TJ-A01"
