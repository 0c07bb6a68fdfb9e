"""Sentences of the conclusion: every number is a value id, both languages say the same, nothing is called unlawful."""

import json
import re
from types import SimpleNamespace

import geopandas as gpd
import pytest
from shapely.geometry import box

from workbench.evaluation.derived import _distinct
from workbench.evaluation.lineage import family_of
from workbench.evaluation.parents import again, parents
from workbench.evaluation.summary import sentences, target_deviations, verdict
from workbench.reporting.tracing import trace_value


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_numbers_are_value_ids_and_nothing_else(result, lang):
    known = set(result.values["value_id"])
    found = sentences(result, lang)
    assert {"judgement", "counts", "dimension", "best", "warning", "cases"} <= {one.key for one in found}
    titles = sorted((d.title(lang) for d in result.definitions.values()), key=len, reverse=True)
    for one in found:
        assert set(one.value_ids) <= known
        text = "".join(piece for kind, piece in one.parts if kind == "text")
        for title in titles:
            text = text.replace(title, "")
        assert not re.search(r"\d", text), text


def test_both_languages_carry_the_same_numbers(result):
    chinese, english = sentences(result, "zh"), sentences(result, "en")
    assert [one.key for one in chinese] == [one.key for one in english]
    assert [sorted(one.value_ids) for one in chinese] == [sorted(one.value_ids) for one in english]


def test_a_case_makes_the_judgement_and_stays_suspected(result):
    texts = [one.text for one in sentences(result, "zh")]
    assert "底线约束存在突出问题" in texts[0]
    assert "疑似" in texts[0]
    assert not any("违法" in text for text in texts)
    red_line = next(text for text in texts if "生态保护红线内" in text)
    assert "缺少数据，无法判断" in red_line


def test_deviations_are_ranked(result):
    ranked = target_deviations(result)
    assert ranked["indicator"].tolist() == ["TJ-A11", "TJ-A10"]
    assert ranked["deviation"].iloc[0] == pytest.approx(100 * (0.0237 - 0.0225) / 0.0225, rel=1e-3)
    assert ranked["value_id"].isin(result.values["value_id"]).all()


def _counted(**numbers):
    """A checkup of nothing but derived counts."""
    import pandas as pd

    numbers = {"total": 10, "computed": 8, "rated": 6, **numbers}
    rows = [
        {
            "indicator": f"report.{name}",
            "zone": "all",
            "level": "report",
            "value_id": f"v{at}",
            "value": number,
        }
        for at, (name, number) in enumerate(numbers.items())
    ]
    return SimpleNamespace(values=pd.DataFrame(rows))


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"level_4": 1}, "pressed"),
        ({"level_4": 0, "cases_4": 2}, "pressed"),
        ({"cases_4": float("nan"), "level_3": 1, "level_2": 4}, "behind"),
        ({"computed": 4, "level_2": 1}, "unknown"),
        ({"rated": 0}, "unknown"),
        ({"level_2": 1}, "watch"),
        ({}, "steady"),
    ],
)
def test_the_judgement_follows_the_stated_rules(numbers, expected):
    assert verdict(_counted(**numbers)) == expected


def test_a_place_on_two_lines_counts_once():
    square = box(500_000, 2_500_000, 500_100, 2_500_100)
    cases = gpd.GeoDataFrame(
        {"area_m2": [1e4, 1e4, 2500.0], "level": [4, 2, 1], "permit_state": ["无", "无", "已批"]},
        geometry=[square, square, box(500_500, 2_500_000, 500_550, 2_500_050)],
        crs="EPSG:4547",
    )
    one = _distinct(cases)
    assert one["level"].tolist() == [4, 1]
    assert one["area_m2"].tolist() == pytest.approx([1e4, 2500.0], rel=1e-3)
    assert (one["permit_state"] == "已批").tolist() == [False, True]


def test_lines_not_checked_have_no_count(result):
    assert result.get("report.cases", "report", "permanent_farmland")["value"] == 1
    unchecked = result.get("report.cases", "report", "ecological_red_line")
    assert unchecked["value"] != unchecked["value"] and unchecked["reason"] == "not_checked"
    assert result.get("report.cases", "report", "all")["value"] == 1
    assert result.get("report.scope_km2", "report", "市域")["value"] == pytest.approx(0.16, rel=1e-3)


def test_values_of_a_report_are_traced_and_made_again(result, home_of_result, tmp_path):
    run = result.save(tmp_path / "run")
    record = {
        "city": "fields",
        "profile": str(result.city.path),
        "year": 2025,
        "run_id": "r",
        "started": "now",
    }
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    for row in (
        result.get("TJ-A11"),
        result.get("TJ-A11", "district", "01"),
        result.get("report.cases_ha", "report", "all"),
        result.get("report.deviation.TJ-A11", "report", "2035"),
        result.values[result.values["tier"] == "target"].iloc[0],
    ):
        found = trace_value(row["value_id"], run)
        assert found.agrees and found.recomputed == pytest.approx(row["value"])
        assert row["value_id"] in found.text and "recomputed" in found.text
    text = trace_value(result.get("report.cases_open", "report", "permanent_farmland")["value_id"], run).text
    (case,) = result.findings.loc[result.findings["area_m2"].notna(), "finding_id"]
    assert f"findings      1: {case}" in text and "clause: 《中华人民共和国土地管理法》" in text
    assert "workbench/evaluation/derived.py:" in text and "from the values and findings of the run" in text
    deviation = trace_value(result.get("report.deviation.TJ-A11", "report", "2035")["value_id"], run).text
    assert result.get("TJ-A11")["value_id"] in deviation and "TJ-A11 target" in deviation


def test_every_derived_row_is_made_again_from_its_parents(result):
    rows = result.values[result.values["tier"].isin(["derived", "target"])]
    counted = {"report.cases", "report.cases_open", "report.findings_4", "report.findings_0", "report.peers"}
    for row in rows.to_dict("records"):
        number = again(result, row)
        if number is None:
            head = row["indicator"].split(".")[1]
            assert family_of(head) in ("accounts", "transmission", "parts"), row["indicator"]
        else:
            assert number == pytest.approx(row["value"], nan_ok=True), (row["indicator"], row["zone"])
        made = parents(result, row) if row["tier"] == "derived" else None
        if row["indicator"] in counted and row["value"] == row["value"] and made is not None:
            assert len(made.findings) == row["value"], (row["indicator"], row["zone"])


def test_a_sentence_knows_what_decided_its_words(result):
    values = result.values[(result.values["year"] == result.year) & (result.values["edition"] == "latest")]
    ids = values.set_index(["indicator", "level", "zone"])["value_id"]
    found = sentences(result, "zh")
    assert (
        ids["report.cases_4", "report", "all"] in found[0].rests_on
    )  # the verdict, though it may print no such number
    titles = {definition.title("zh"): name for name, definition in result.definitions.items()}
    for one in (one for one in found if one.key == "warning" and one.level > 0):
        named = [titles[name] for name in one.text.partition("：")[2].rstrip("。").split("、")]
        assert set(one.rests_on) == {ids[name, "city", result.city.name] for name in named}
    assert set(found[0].value_ids) <= set(found[0].rests_on)
    assert found[-1].rests_on == found[0].rests_on  # without the judgement its rule explains nothing
