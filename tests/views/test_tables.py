from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from workbench.views import tables
from workbench.views.cells import change_text, level_chip, rounding_note, trend_arrow
from workbench.views.numbers import format_number

ALL = [
    tables.scorecard,
    tables.indicator_table,
    tables.district_table,
    tables.missing_table,
    tables.data_table,
    tables.case_table,
    tables.quality_table,
    tables.finding_table,
]


class Digits(HTMLParser):
    """Collects text with digits that stands in no marked element, and numbers by value id."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[dict[str, str | None]] = []
        self.loose: list[str] = []
        self.numbers: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.stack.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        here = self.stack[-1] if self.stack else {}
        css = (here.get("class") or "").split()
        if "num" in css:
            self.numbers.append((str(here["data-v"]), data))
        elif "x" not in css and re.search(r"\d", data):
            self.loose.append(data)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("table", ALL, ids=lambda f: f.__name__)
def test_every_digit_is_a_value_or_marked(table: Any, lang: str, checkup: Any) -> None:
    parser = Digits()
    parser.feed(table(checkup, lang))
    assert parser.loose == []
    values = checkup.values.set_index("value_id")
    for value_id, shown in parser.numbers:
        row = values.loc[value_id]
        missing = {"zh": "无数据", "en": "no data"}[lang]
        expected = (
            missing if row["value"] != row["value"] else format_number(row["value"], int(row["decimals"]))
        )
        assert shown == expected


def test_scorecard_has_a_row_a_dimension_and_the_total(checkup: Any) -> None:
    made = tables.scorecard(checkup, "zh")
    rows = re.findall(r"<tr[^>]*><th scope=\"row\">(.*?)</th>(.*?)</tr>", made)
    assert [name for name, _ in rows] == ["安全", "创新", "协调", "绿色", "共享", "合计"]
    safety = re.findall(r">(\d+)</span>", rows[0][1])
    assert safety == ["1", "1", "1", "0", "0", "0", "0"]


def test_indicator_table_of_one_dimension(checkup: Any) -> None:
    made = tables.indicator_table(checkup, "zh", "安全")
    assert "耕地保有量" in made and "森林覆盖率" not in made
    assert "≥" in made and "13.00" in made
    assert 'class="chip level-4">严重' in made and 'class="chip level-none">无数据' in made
    assert "缺少用水量统计" in made


def test_missing_table_lists_only_what_is_missing(checkup: Any) -> None:
    made = tables.missing_table(checkup, "en")
    assert "Water use per head" in made and "no water statistics" in made
    assert "Farmland stock" not in made


def test_cases_come_from_large_to_small_with_their_areas(checkup: Any) -> None:
    made = tables.case_table(checkup, "zh")
    assert made.index("f1") < made.index("f2")
    assert ">1,000,000</span>" in made and ">1,500.00</span>" in made
    assert "水田 → 工业用地" in made and "未见批准文件" in made and "疑似图斑" in made
    assert "f2" not in tables.case_table(checkup, "zh", "permanent_farmland")


def test_findings_are_worst_first_and_limited(checkup: Any) -> None:
    made = tables.finding_table(checkup, "zh")
    assert made.index("耕地保有量") < made.index("公园") < made.index("森林覆盖率")
    assert "森林覆盖率" not in tables.finding_table(checkup, "zh", least=3)
    assert "公园" not in tables.finding_table(checkup, "zh", limit=1)


def test_levels_have_words_and_arrows_mean_something() -> None:
    assert level_chip(-1, "en") == '<span class="chip level-none">no data</span>'
    assert level_chip(float("nan"), "zh") == ""
    up = trend_arrow(2.0, 1.0, decimals=0, direction="lower_better", lang="zh")
    assert up == '<span class="trend up bad">上升</span>'
    assert 'flat"' in trend_arrow(1.04, 1.0, decimals=1, direction="higher_better", lang="zh")


def test_change_text_names_the_classes() -> None:
    assert change_text({"before": "0101", "after": "0601"}, "zh") == "水田 → 工业用地"
    assert change_text({"before": None, "after": "06"}, "zh") == "工矿用地"


def test_empty_tables_say_so(checkup: Any) -> None:
    checkup.findings = checkup.findings.iloc[:0]
    assert tables.case_table(checkup, "zh") == "<p>没有疑似图斑。</p>"
    assert tables.finding_table(checkup, "zh") == "<p>没有触发预警的指标。</p>"
    assert "没有较重或严重的指标预警" in tables.finding_table(checkup, "zh", least=3)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_many_zones_have_a_row_each(checkup: Any, lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, turned = Digits(), Digits()
    usual.feed(tables.district_table(checkup, lang, ["A-1", "C-1"]))
    monkeypatch.setattr(tables, "MOST_COLUMNS", 3)
    page = tables.district_table(checkup, lang, ["A-1", "C-1"])
    turned.feed(page.replace("<br>", " "))
    assert page.count("<tr") == 1 + 4 and len(turned.numbers) == 2 * 4  # header and four districts
    assert sorted(turned.numbers) == sorted(usual.numbers) and turned.loose == []


def test_permits_that_one_rule_warns_of_share_a_row(checkup: Any) -> None:
    first = checkup.findings.iloc[:1]
    late = {
        "rule": "pm_temporary_unrestored", "kind": "cap", "level": 4, "indicator": "", "line": "permits",
        "zone_level": "permit", "unit": "day", "threshold": 365.0, "message_zh": "疑似逾期占用。", "value_id": "",
    }  # fmt: skip
    more = [
        first.assign(
            **late, finding_id=f"p-{name}", zone=name, zone_name=name, value=days, margin=365.0 - days
        )
        for name, days in (("XK1", 400.0), ("XK2", 579.0))
    ]
    checkup.findings = pd.concat([checkup.findings, *more], ignore_index=True)
    made = tables.finding_table(checkup, "zh", least=4)
    assert made.count("临时用地到期未复垦") == 1 and "不超过" in made
    assert re.sub(r"<[^>]*>", "", made).count("XK1、XK2") == 1
    row = next(line for line in made.split("<tr") if "XK1" in line)
    assert 'data-sensitivity="' in row  # permits are not for the public


@pytest.mark.parametrize(
    ("before", "change", "told"),
    [(81.9189, 0.996, True), (81.9149, 1.0, False), (81.9189, float("nan"), False)],  # 82.91, 81.92 and +1.00
)
def test_numbers_that_do_not_add_up_as_printed_are_explained(
    before: float, change: float, told: bool
) -> None:
    now, last, more = ({"value": value, "decimals": 2} for value in (82.9149, before, change))
    note = rounding_note([(now, (last, more)), (None, [last]), (now, [None])], "zh")
    assert ("未取整" in (note or "")) is told
