"""The checkup of a city drawn by hand: values, findings, derived numbers, saving, the cache."""

import pandas as pd
import pytest

from workbench.core.city import load_city
from workbench.core.errors import LayerMissing, ParameterError, RunError
from workbench.evaluation import checkup as module
from workbench.evaluation import kept
from workbench.evaluation.checkup import Checkup, checkup
from workbench.evaluation.compare import restated, year_on_year
from workbench.indicators.values import check
from workbench.rules.evaluate import COLUMNS

MU = 10_000 / 15


def only(frame, **wanted):
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1, frame
    return frame.iloc[0]


def test_values_of_the_year_and_of_last_year(result):
    assert result.get("TJ-A11")["value"] == pytest.approx(158_000 / MU / 1e4, rel=1e-4)
    assert result.get("TJ-A11", year=2024)["value"] == pytest.approx(160_000 / MU / 1e4, rel=1e-4)
    assert result.get("TJ-A11", "district", "01")["value"] == pytest.approx(78_000 / MU / 1e4, rel=1e-4)
    with pytest.raises(LayerMissing, match="not in the value table"):
        result.get("TJ-A11", year=1999)


def test_table_keeps_its_schema(result):
    check(result.values)
    assert result.values["value_id"].is_unique


def test_findings_have_the_contract_columns_and_order(result):
    assert result.findings.columns.tolist() == COLUMNS
    assert result.findings["finding_id"].is_unique
    assert result.findings["level"].is_monotonic_decreasing
    assert result.findings.crs.to_epsg() == 4547


def test_the_house_is_the_one_case(result):
    case = only(result.findings, kind="spatial_conflict", line="permanent_farmland")
    assert (case["level"], case["permit_state"], case["status"], case["district"]) == (4, "无", "发现", "01")
    assert case["area_m2"] == pytest.approx(2000, rel=1e-4)
    assert case["value_id"] == result.get("case.area_m2", "case", case["finding_id"])["value_id"]
    assert "疑似" in case["message_zh"] and "Suspected" in case["message_en"]
    assert result.get("case.mu", "case", case["finding_id"])["value"] == pytest.approx(3.0, rel=1e-4)


def test_lines_without_a_layer_are_no_data_and_not_green(result):
    for role in ("ecological_red_line", "development_boundary"):
        finding = only(result.findings, kind="spatial_conflict", line=role)
        assert finding["level"] == -1 and finding["geometry"] is None


def test_floor_near_and_floor_breached(result):
    farmland = only(result.findings, rule="target_floor_binding", indicator="TJ-A11")
    assert (farmland["level"], farmland["threshold"]) == (0, 0.0225)
    assert farmland["margin"] == pytest.approx(0.0012, rel=1e-3)
    lines = only(result.findings, rule="target_floor_binding", indicator="TJ-A10")  # 40,000 m² = 0.006
    assert (lines["level"], lines["value_id"]) == (4, result.get("TJ-A10")["value_id"])
    assert lines["margin"] == pytest.approx(-1e-5, rel=0.01)


def test_path_from_the_base_year(result):
    """From 0.0240 in 2024 to 0.0225 in 2035: 0.0237 = 158,000 m² is 2.09 elevenths down, one eleventh expected."""
    path = only(result.findings, rule="target_path", indicator="TJ-A11")
    assert path["threshold"] == pytest.approx(0.024 - 0.0015 / 11, rel=1e-6)
    assert path["margin"] == pytest.approx((0.0237 - (0.024 - 0.0015 / 11)) / 0.0015, rel=1e-3)
    assert path["level"] == 2
    row = result.get("report.deviation.TJ-A11", "report", "2035")
    assert row["value"] == pytest.approx(100 * path["margin"])


def test_derived_counts_add_up(result):
    values = result.values
    for zone in ["all", *sorted(set(values[values["indicator"] == "report.total"]["zone"]) - {"all"})]:
        number = {
            n: result.get(f"report.{n}", "report", zone)["value"] for n in ("total", "computed", "missing")
        }
        levels = sum(result.get(f"report.level_{k}", "report", zone)["value"] for k in range(5))
        assert number["total"] == number["computed"] + number["missing"]
        assert number["computed"] == levels + result.get("report.unrated", "report", zone)["value"]
    parts = values[(values["indicator"] == "report.total") & (values["zone"] != "all")]["value"].sum()
    assert parts == result.get("report.total", "report", "all")["value"]
    assert result.get("report.cases", "report", "permanent_farmland")["value"] == 1
    assert result.get("report.cases_ha", "report", "permanent_farmland/01")["value"] == pytest.approx(
        0.2, rel=1e-4
    )


def test_sensitivity_of_cases_is_that_of_the_strictest_layer(result):
    assert set(result.values[result.values["level"] == "case"]["sensitivity"]) == {"内部"}


def test_targets_are_rows(result):
    rows = result.values[result.values["tier"] == "target"]
    assert sorted(rows["indicator"]) == ["TJ-A10", "TJ-A11"]
    assert set(rows["level"]) == {"target"} and set(rows["year"]) == {2035}


def test_stated_area_and_sum_of_districts(result):
    assert only(result.findings, rule="stated_area")["level"] == 0
    assert only(result.findings, rule="sum_of_districts", indicator="TJ-A11")["level"] == 0


def test_year_on_year(result):
    row = only(year_on_year(result), indicator="TJ-A11")
    assert row["change"] == pytest.approx(-2000 / MU / 1e4, rel=1e-3)
    assert row["change_pct"] == pytest.approx(-1.25, rel=1e-3)
    assert row["verdict"] == "worse"
    assert row["change_id"] in set(result.values["value_id"])


def test_restated_parts_revised_data_from_real_change(result, home_of_result):
    """First published 155,000 m², revised to 160,000, now 158,000: real change -2,000, revision +5,000."""
    row = restated(result, 2024, ["TJ-A11"]).loc["TJ-A11"]
    unit = MU * 1e4
    assert row["published"] * unit == pytest.approx(155_000, rel=1e-4)
    assert row["revision"] * unit == pytest.approx(5_000, rel=1e-3)
    assert row["real_change"] * unit == pytest.approx(-2_000, rel=1e-3)
    assert row["total_change"] == pytest.approx(row["revision"] + row["real_change"])


def test_saved_and_read_back(result, tmp_path):
    again = Checkup.read(result.save(tmp_path / "run"))
    pd.testing.assert_frame_equal(again.values, result.values)
    assert again.findings.drop(columns="geometry").equals(result.findings.drop(columns="geometry"))
    assert (
        again.findings.geometry.geom_equals(result.findings.geometry).sum()
        == result.findings.geometry.notna().sum()
    )
    assert (again.city.name, again.year) == ("fields", 2025)
    with pytest.raises(RunError, match="no checkup in this folder"):
        Checkup.read(tmp_path)


def test_second_time_comes_from_the_cache_and_no_other(result, root, home_of_result, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("computed again")

    monkeypatch.setattr(kept, "compute", fail)
    monkeypatch.setattr(module, "evaluate", fail)
    again = checkup(load_city(root / "fields.toml", data_root=root), 2025)
    pd.testing.assert_frame_equal(again.values, result.values)
    text = (root / "fields.toml").read_text(encoding="utf-8")
    (root / "changed.toml").write_text(text.replace("value = 0.0225", "value = 0.0226"), encoding="utf-8")
    with pytest.raises(AssertionError, match="computed again"):
        checkup(load_city(root / "changed.toml", data_root=root), 2025)


def test_a_year_the_profile_does_not_have(root, home_of_result):
    with pytest.raises(ParameterError, match="no checkup for this year"):
        checkup(load_city(root / "fields.toml", data_root=root), 2023)


def test_the_first_year_has_no_survey_to_compare_with(root, home_of_result):
    first = checkup(load_city(root / "fields.toml", data_root=root), 2024)
    conflicts = first.findings[first.findings["kind"] == "spatial_conflict"]
    assert (conflicts["level"] == -1).all() and len(conflicts) == 3
    assert year_on_year(first).empty


def test_last_year_has_its_districts_whichever_year_came_first(result, root, home_of_result):
    """Values kept of a year as the one before another lack districts; a checkup of that year must not take them."""
    first = checkup(load_city(root / "fields.toml", data_root=root), 2024)
    levels = first.values.loc[first.values["indicator"] == "TJ-A11", ["level", "year"]]
    assert "district" in set(levels[levels["year"] == 2024]["level"])


def test_the_date_of_a_line_is_that_of_its_last_approval(result):
    assert result.get("TJ-A10")["data_date"] == "2020-06-30"
