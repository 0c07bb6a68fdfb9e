"""Views of the further chapters on the hand-made checkup: what they say, and that every digit is accounted for."""

import pandas as pd
import pytest

from tests.reporting.numerals import faults
from workbench.evaluation.problems import problem_rows, problems
from workbench.indicators.values import derived
from workbench.views import explorer, five_year, spread, yearly
from workbench.views import problems as problem_views

PARTS = {"before_published": 31.8, "real_change": -0.5, "data_revision": -0.1, "definition_revision": 0.0, "code_revision": 0.0, "total_change": -0.6}  # fmt: skip


def add(checkup, rows):
    more = pd.DataFrame(rows)
    checkup.values = pd.concat([checkup.values, more], ignore_index=True)
    return checkup


@pytest.fixture
def parted(checkup):
    rows = [
        derived(
            f"report.parts.{name}.G-1", value, city="small", year=2025, zone="small", unit="%", decimals=1
        )
        for name, value in PARTS.items()
    ]
    rows += [
        derived(f"report.parts.{name}.C-1", 0.0 if name != "real_change" and name != "total_change" else 3.0, city="small",
                year=2025, zone="small", unit="person/km2", decimals=1)
        for name in PARTS
    ]  # fmt: skip
    counts = {"real_change": 2, "data_revision": 1, "definition_revision": 0, "code_revision": 0, "all": 2}
    rows += [
        derived("report.parts_count", n, city="small", year=2025, zone=zone) for zone, n in counts.items()
    ]
    return add(checkup, rows)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_revised_changes_stand_apart_from_real_ones(parted, lang):
    revised, real = yearly.parts_table(parted, lang), yearly.parts_table(parted, lang, revised=False)
    title = {"zh": ("森林覆盖率", "人口密度"), "en": ("Forest cover", "Population density")}[lang]
    assert title[0] in revised and title[1] not in revised
    assert title[1] in real and title[0] not in real
    assert "-0.1" in revised and "-0.6" in revised
    page = yearly.parts_lead(parted, lang) + revised + real
    assert faults(page, parted.values) == []
    picture = yearly.parts_bars(parted, lang)
    assert picture is not None and picture.png.startswith(b"\x89PNG") and picture.sensitivity == "公开"


def test_without_last_year_the_chapter_says_so(checkup):
    assert "未作变化分解" in yearly.parts_lead(checkup, "zh")
    assert yearly.parts_bars(checkup, "zh") is None
    assert "无法追踪" in yearly.former_lead(checkup, "zh")
    assert yearly.former_cases(checkup, "zh") is None


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_districts_side_by_side(checkup, lang):
    for definition in checkup.definitions.values():
        definition.denominator_zh = "面积"
    dumbbells = spread.dumbbells(checkup, lang)
    assert spread.multiples(checkup, "共享", lang) is None, "a single rate has a chart of its own"
    for definition in checkup.definitions.values():
        definition.dimension = "共享"
    panels = spread.multiples(checkup, "共享", lang)
    assert dumbbells is not None and panels is not None
    assert len(dumbbells.png) > 8_000 and len(panels.png) > 5_000
    assert spread.multiples(checkup, "开放", lang) is None
    assert spread.dumbbells(checkup, lang).png == dumbbells.png


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_indicator_from_all_sides(checkup, lang):
    for definition in checkup.definitions.values():
        definition.methods = ()
    assert explorer.first_indicator(checkup) == "A-1" and explorer.first_indicator(checkup, "G-1") == "G-1"
    page = explorer.definition_card(checkup, "G-1", lang) + explorer.values_table(checkup, "G-1", lang)
    assert faults(page, checkup.values) == []
    assert "31.20" in page and ("云山区" if lang == "zh" else "Yunshan") in page
    assert explorer.dots(checkup, "G-1", lang) is not None and explorer.dots(checkup, "A-2", lang) is None
    assert "X-9" in explorer.definition_card(checkup, "X-9", lang)


@pytest.fixture
def troubled(checkup):
    found = problems(checkup.values, checkup.findings, 2025, city="small")
    rows = problem_rows(checkup.city, 2025, found, lambda one: "公开")
    for line, area in (("permanent_farmland", 100.0), ("ecological_red_line", 12.0)):
        for name, value in {
            "cases": 1,
            "cases_ha": area,
            "cases_mu": 15 * area,
            "cases_4": 1,
            "cases_3": 0,
            "cases_open": 1,
        }.items():
            rows.append(derived(f"report.{name}", value, city="small", year=2025, zone=line, zone_name=line))
        district = {"permanent_farmland": "D1", "ecological_red_line": "D4"}[line]
        for name, value in {"cases": 1, "cases_ha": area}.items():
            rows.append(derived(f"report.{name}", value, city="small", year=2025, zone=f"{line}/{district}"))
    return add(checkup, rows)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_problems_tell_what_where_how_much_and_who(troubled, lang):
    page = problem_views.lead(troubled, lang) + problem_views.problem_table(troubled, lang)
    page += problem_views.section(troubled, "line", lang) + problem_views.section(troubled, "indicator", lang)
    assert faults(page, troubled.values) == []
    words = {
        "zh": ("永久基本农田", "云山区", "1,500", "责任部门"),
        "en": ("basic farmland", "Yunshan", "1,500", "Responsible"),
    }
    assert all(word in page for word in words[lang])
    assert problem_views.section(troubled, "ledger", lang) is None


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_plan_as_a_whole(checkup, lang):
    rows = [
        derived("report.verdicts", 1, city="small", year=2025, zone=zone)
        for zone in ("keep", "adjust", "revise", "unknown", "all")
    ]
    add(checkup, rows)
    assert (
        faults(five_year.verdict_text(checkup, lang) + five_year.pace_table(checkup, lang), checkup.values)
        == []
    )
    assert five_year.pace_bars(checkup, lang) is not None


def test_more_than_a_third_to_be_examined_is_the_plan_to_be_examined():
    def pace(now):
        return five_year.Pace("x", 2035, 2020, 100.0, now, 115.0, ">=", 2025)

    good, bad = pace(106.0), pace(99.0)
    assert five_year.overall([good, good]) == "keep"
    assert five_year.overall([good, good, bad]) == "adjust"
    assert five_year.overall([good, bad]) == "revise"
    assert five_year.overall([]) == "none"
