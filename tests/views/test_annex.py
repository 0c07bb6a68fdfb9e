"""Tables behind the report: targets, definitions, gaps, and what stands out in the district table."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from tests.reporting.numerals import faults
from workbench.core.dimensions import WORDS, dimension_words
from workbench.evaluation.summary import DIMENSIONS
from workbench.indicators.library import load_library
from workbench.views import annex, explorer, peers, rows, tables
from workbench.views.cells import change_cell, with_tier
from workbench.views.labels import part_labels
from workbench.views.text import dimension_label, has


def _row(html: str, title: str) -> str:
    return next(line for line in re.findall(r"<tr[^>]*>.*?</tr>", html, re.DOTALL) if title in line)


def test_dimensions_have_one_name_everywhere() -> None:
    assert set(DIMENSIONS) == set(WORDS) and tuple(WORDS) == rows.DIMENSIONS
    assert dimension_label("SDG", "zh") == dimension_words("SDG", "zh") == "可持续发展目标"


def test_target_without_a_value_says_why(checkup: Any) -> None:
    known = annex.target_table(checkup, "zh")
    assert "≥" in known and ">13.00</span>" in known and ">12.35</span>" in known
    now = (checkup.values["indicator"] == "A-1") & (checkup.values["level"] == "city")
    checkup.values.loc[now, "value"] = np.nan
    checkup.values.loc[now, "reason_zh"] = "缺少国土调查；补齐后可得“耕地保有量”"
    missing = _row(annex.target_table(checkup, "zh"), "耕地保有量")
    assert "无数据" in missing and '<span class="small">缺少国土调查</span>' in missing
    checkup.city.targets = []
    assert annex.target_table(checkup, "zh") == "<p>本市档案未录入规划目标。</p>"


def test_every_indicator_stands_in_the_annex_with_its_value_id(checkup: Any) -> None:
    made = annex.definition_table(checkup, "en")
    of_city = checkup.values[(checkup.values["level"] == "city") & (checkup.values["year"] == 2025)]
    assert all(f">{value_id}</code>" in made for value_id in of_city["value_id"])
    assert "no water statistics" in _row(made, "Water use per head")


def test_the_annex_says_what_is_measured_in_the_readers_language(checkup: Any, monkeypatch: Any) -> None:
    park = checkup.definitions["S-1"]
    monkeypatch.setattr(park, "definition", "People within 5 minutes of a park", raising=False)
    monkeypatch.setattr(park, "definition_zh", "步行5分钟可达公园的人口", raising=False)
    for made in (annex.definition_table(checkup, "zh"), explorer.definition_card(checkup, "S-1", "zh")):
        assert '步行<span class="x">5</span>分钟可达公园的人口' in made and "People" not in made
    shown = _row(annex.definition_table(checkup, "zh"), "公园 <span")
    assert '<span class="small">含义：步行' in shown
    for made in (annex.definition_table(checkup, "en"), explorer.definition_card(checkup, "S-1", "en")):
        assert 'People within <span class="x">5</span> minutes of a park' in made and "步行" not in made


def test_best_and_worst_districts_stand_out_only_where_that_means_something(checkup: Any) -> None:
    checkup.definitions["S-1"].denominator_zh = "城区常住人口"
    checkup.definitions["C-1"].denominator_zh = "城区面积"
    made = tables.district_table(checkup, "zh")
    coverage = _row(made, "公园 <span")  # 0.7, 0.9, 1.1 times 71.456 and one without data
    assert re.search(r'class="best"><span[^>]*>78.60<', coverage)
    assert re.search(r'class="worst"><span[^>]*>50.02<', coverage)
    assert "best" not in _row(made, "耕地保有量") and "best" not in _row(made, "人口密度")
    assert "没有分区数值的指标：人均年用水量" in made
    del checkup.definitions["S-1"].denominator_zh, checkup.definitions["C-1"].denominator_zh


def test_districts_have_english_names_in_english(checkup: Any) -> None:
    assert rows.district_names(checkup, "en")["D1"] == "Yunshan"
    assert "Yunshan" in tables.case_table(checkup, "en") and "云山区" not in tables.case_table(checkup, "en")


def test_warnings_about_data_are_one_row_at_the_end(checkup: Any) -> None:
    more = checkup.findings.iloc[[0, 1]].assign(
        finding_id=["d1", "d2"], kind="freshness", rule="data_freshness", level=2, indicator=["A-1", "G-1"]
    )
    joined = pd.concat([checkup.findings, more], ignore_index=True)
    checkup.findings = gpd.GeoDataFrame(joined, crs=checkup.findings.crs)
    made = tables.finding_table(checkup, "zh")
    assert made.count("所用数据年份较早") == 1
    assert "耕地保有量、森林覆盖率" in made and made.index("数据方面的提醒") > made.rindex("公园")


@pytest.mark.parametrize(
    ("value", "wanted", "css", "words"),
    [
        (1.26, "up", "trend up good", ["+1.3", "改善"]),
        (1.26, "down", "trend up bad", ["+1.3", "变差"]),
        (-0.31, None, "trend down", ["-0.3"]),
        (0.04, "up", "trend flat", ["持平"]),
    ],
)
def test_change_shows_its_amount_and_whether_it_is_good(
    value: float, wanted: str | None, css: str, words: list[str]
) -> None:
    made = change_cell({"value_id": "va", "value": value, "decimals": 1, "unit": "%"}, wanted, "zh")
    assert f'class="{css}"' in made and all(word in made for word in words)


def test_proxies_are_named_in_titles() -> None:
    assert with_tier("覆盖率", "proxy", "zh") == "覆盖率（代理）"
    assert with_tier("Coverage", "statutory", "en") == "Coverage"


def test_labels_are_moved_apart() -> None:
    places = part_labels(
        np.array([[0.0, 0.0], [0.0, 1.0], [500.0, 0.0]]), ["天河区", "越秀区", "番禺区"], 1000.0
    )
    assert abs(places[0, 1] - places[1, 1]) > 100
    assert places[2].tolist() == pytest.approx([500.0, 0.0], abs=200)


def test_the_annex_names_the_denominator_of_this_very_value() -> None:
    ways = [SimpleNamespace(denominator_zh=name) for name in (None, "建筑占地面积")]
    definition = SimpleNamespace(denominator_zh="城区常住人口", methods=ways)

    def said(denominator: str, value: float = 1.0) -> str:
        return annex.denominator_words({"value": value, "denominator": denominator}, definition, "zh")

    assert said("城区常住人口") == "城区常住人口（首选口径；备用口径：建筑占地面积）"
    assert said("建筑占地面积") == "建筑占地面积（备用口径；首选或其他口径：城区常住人口，因数据不足未采用）"
    assert said("", float("nan")) == "城区常住人口"  # without a value: what the definition asks for
    definition.methods = ways[:1]
    assert said("城区常住人口") == "城区常住人口"


def test_every_formula_of_the_library_has_words_and_no_program_text_reaches_officials() -> None:
    formulas = {method.formula for one in load_library().values() for method in one.methods}
    assert formulas and not [name for name in formulas if not has(f"formula.{name}")]


def test_citations_are_short_and_the_calculation_stays_with_the_researchers(
    checkup: Any, monkeypatch: Any
) -> None:
    park = checkup.definitions["S-1"]
    monkeypatch.setattr(park, "calculation", "area(walk_iso(park))/area(BASE)*100", raising=False)
    monkeypatch.setattr(park, "source", "TD/T 1063-2021 (via R1)", raising=False)
    made = annex.definition_table(checkup, "zh")
    assert "walk_iso" not in made and ">TD/T" in made and "未见标准原文" in made


def test_districts_that_stand_apart_have_one_table(checkup: Any) -> None:
    found = checkup.findings.iloc[:1].assign(
        kind="peer_band", level=1, zone_level="district", indicator="S-1", threshold=60.0
    )
    apart = pd.concat(
        [
            found.assign(zone=zone, value=value, margin=margin)
            for zone, value, margin in (("D1", 50.0, -4.0), ("D3", 78.0, -9.0))
        ]
    )
    ids = checkup.values[(checkup.values["indicator"] == "S-1") & (checkup.values["level"] == "district")]
    apart["value_id"] = apart["zone"].map(ids.set_index("zone")["value_id"])
    checkup.findings = pd.concat([checkup.findings, apart], ignore_index=True)
    row = _row(str(peers.peer_table(checkup, "zh")), "公园 <span").split("<td")
    assert "南湖区" in row[-2] and "云山区" in row[-1] and "南湖区" not in row[-1]
    assert faults(peers.peer_table(checkup, "zh"), checkup.values) == []
    assert "云山区" not in tables.finding_table(
        checkup, "zh"
    )  # the list of warnings leaves them to this table
