"""How far imagery can be relied on, in words: limits with answers, calibration, nets on places kept back; every digit accounted for."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.reporting.numerals import faults
from workbench.core.city import AreaLimit
from workbench.core.errors import ParameterError
from workbench.evaluation.imagery import Imagery
from workbench.interpretation import area_limits
from workbench.interpretation.assessment import fact
from workbench.interpretation.city_facts import net_facts
from workbench.views import imagery as tables
from workbench.views import imagery_trust as trust

CARD = SimpleNamespace(
    name="net", task="change",
    accuracy={"by_place": {
        "a": {"by_size": {"1-3": {"patches": 4, "recall": 0.0}, "60+": {"patches": 0, "recall": None}}, "cell_iou": 0.8, "precision": 1.0, "recall": 0.9},
        "b": {"by_size": {"1-3": {"patches": 6, "recall": 0.5}, "60+": {"patches": 5, "recall": 1.0}}, "cell_iou": 0.9, "precision": 0.9, "recall": 1.0},
    }},
)  # fmt: skip
LIMITS = (
    AreaLimit(of="changed", op="<=", hectares=200.0, year=2025, title_zh="年度计划", title_en="Yearly plan"),
    AreaLimit(of="water", op=">=", hectares=50.0, title_zh="水域保有", title_en="Water kept"),
    AreaLimit(of="forest", op=">=", hectares=50.0, title_zh="林地", title_en="Forest"),
    AreaLimit(of="built", op="<=", hectares=90.0, year=2024, title_zh="旧限值", title_en="Old limit"),
)


def published() -> pd.DataFrame:
    """Facts of a small city: change not certain, water kept, forest not."""
    of = {"unit": "ha", "decimals": 1, "basis": "by hand"}
    rows = [
        fact("change_area", "changed", 130.0, 87.0, 307.0, **of), fact("area", "water", 60.0, 55.0, 70.0, **of),
        fact("area", "forest", 40.0, 30.0, 45.0, **of), fact("change_decision", "limit.changed", 200.0, **of),
        fact("change_decision", "answer.changed", np.nan, unit="count", basis="", reason=("uncertain", "不确定", "uncertain")),
        fact("change_decision", "more.changed", 2245, unit="count", basis=""),
        fact("change_decision", "more.changed.unchanged", 2200, unit="count", basis=""),
        fact("change_decision", "more.changed.changed", 45, unit="count", basis=""),
        fact("decision", "limit.water", 50.0, **of), fact("decision", "answer.water", 1.0, unit="count", basis=""),
        fact("decision", "limit.forest", 50.0, **of), fact("decision", "answer.forest", 0.0, unit="count", basis=""),
        fact("calibration", "error", 1.1, unit="%", decimals=1, basis=""), fact("calibration", "points", 900, unit="count", basis=""),
        fact("net", "iou.water", 96.8, unit="%", decimals=1, basis=""), fact("accuracy", "iou.water", 97.9, 87.1, 99.8, unit="%", decimals=1, basis=""),
        *net_facts(CARD),
    ]  # fmt: skip
    number = {"unit": "count", "basis": "by hand"}
    rows += [
        *(fact("area", f"mapped.{name}", value, **of) for name, value in (("water", 58.0), ("forest", 42.0))),
        *(fact("area", f"bias.{name}", value, **of) for name, value in (("water", -2.0), ("forest", 2.0))),
        *(fact("area", f"points.{name}", 50, **number) for name in ("water", "forest")),
        fact("total", "mapped", 100.0, **of), fact("total", "estimate", 100.0, **of), fact("sample", "points", 100, **number),
        fact("readable", "area", 100.0, **of), fact("readable", "city", 125.0, **of), fact("readable", "share", 80.0, unit="%", decimals=1, basis=""),
        fact("transition", "patches", 3, **number), fact("transition", "patch_area", 1.5, **of),
        fact("transition", "patches.water.forest", 3, **number), fact("transition", "patch_area.water.forest", 1.5, **of),
        fact("cases", "count", 3, **number), fact("cases", "area", 5.0, **of), fact("cases", "count.甲类", 2, **number),
        fact("cases", "area.甲类", 5.0, **of), fact("cases", "count.乙类", 1, **number), fact("cases", "area.乙类", 1.0, **of),
    ]  # fmt: skip
    for at, (said, found) in enumerate(((55.0, 70.0), (98.0, 97.0)), 1):
        rows += [fact("calibration", f"said.{at}", said, unit="%", decimals=1, basis=""), fact("calibration", f"points.{at}", 450, unit="count", basis=""),
                 fact("calibration", f"found.{at}", found, found - 2, found + 2, unit="%", decimals=1, basis="")]  # fmt: skip
    return pd.DataFrame(rows).assign(sensitivity="内部")


class Data:
    """A catalogue with the facts alone."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table

    def has(self, role: str, year: int) -> bool:
        return role == "interpretation_facts"

    def table(self, role: str, year: int) -> pd.DataFrame:
        return self._table

    def source(self, role: str, year: int) -> SimpleNamespace:
        return SimpleNamespace(sensitivity="内部", date="2025-12-31")


@pytest.fixture(scope="module")
def found() -> Imagery:
    city = SimpleNamespace(
        name="small", name_zh="小城", rule_packs=(), layers={}, interpretation=SimpleNamespace(limits=LIMITS)
    )
    return Imagery(city, 2025, Data(published()))  # type: ignore[arg-type]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_numeral_is_traced(found, lang):
    parts = [trust.decisions(found, lang), trust.net_table(found, lang), trust.size_table(found, lang),
             trust.calibration_text(found, lang), tables.accuracy_table(found, lang) or "", tables.summary(found, lang),
             tables.area_table(found, lang), tables.transition_table(found, lang), tables.matter_table(found, lang)]  # fmt: skip
    assert all(part is not None for part in parts)
    assert faults("".join(map(str, parts)), found.values) == []


def test_an_interval_over_the_limit_is_no_answer_and_says_how_many_points_would_tell(found):
    plan, water, forest = str(trust.decisions(found, "zh")).split("</p>")[:3]
    assert "不确定" in plan and "2,245" in plan and "图上新增建设处" in plan
    assert "水域保有" in water and "：符合" in water and "补" not in water
    assert "不符合" in forest
    assert "旧限值" not in str(trust.decisions(found, "zh"))


def test_what_is_above_internal_is_guarded(found):
    assert str(trust.decisions(found, "zh")).count('data-sensitivity="内部"') == 3
    chart = trust.calibration_chart(found, "zh")
    assert chart is not None and chart.sensitivity == "内部" and chart.png[:4] == b"\x89PNG"


def test_recall_of_a_card_is_that_of_all_places_together():
    rows = {(r["part"], r["item"]): r for r in net_facts(CARD)}
    assert rows["change_net", "recall.1-3"]["value"] == pytest.approx(30.0)  # 3 of 4 + 6
    assert rows["change_net", "recall.1-3"]["low"] < 30 < rows["change_net", "recall.1-3"]["high"]
    assert (rows["change_net", "patches.60+"]["value"], rows["change_net", "recall.60+"]["value"]) == (
        5,
        100.0,
    )
    assert rows["change_net", "iou"]["value"] == pytest.approx(85.0)
    assert net_facts(SimpleNamespace(name="x", task="change", accuracy={})) == []


def test_limits_of_rules_join_those_of_the_profile(monkeypatch):
    rule = SimpleNamespace(applies={"figure": "imagery.area.built"}, kind="cap", parameters={"limit": 80.0}, title_zh="规则", title_en="Rule", source="s")  # fmt: skip
    other = SimpleNamespace(**{**vars(rule), "applies": {"figure": "imagery.area.water"}, "kind": "floor"})
    monkeypatch.setattr(area_limits, "rules_of", lambda city, year: [rule, other])
    city = SimpleNamespace(interpretation=SimpleNamespace(limits=LIMITS))
    limits = area_limits.limits_of(city, 2025)
    assert area_limits.for_classes(limits, ("water", "built")) == {
        "water": (50.0, ">="),
        "built": (80.0, "<="),
    }
    with pytest.raises(ParameterError, match="no map has"):
        area_limits.check(LIMITS, ("water",), "profile")


def test_tables_end_with_totals_and_the_readable_area_is_told(found):
    last = {name: str(made).rsplit("<tr", 1)[1] for name, made in (
        ("area", tables.area_table(found, "zh")), ("transition", tables.transition_table(found, "zh")), ("matter", tables.matter_table(found, "zh")))}  # fmt: skip
    assert all("合计" in line for line in last.values())
    assert last["area"].count(">100.0<") == 2 and ">100<" in last["area"]
    assert ">3<" in last["matter"] and ">5.0<" in last["matter"]  # land under both matters once
    said = str(tables.summary(found, "zh"))
    assert "可判读面积" in said and "80.0" in said and "125.0" in said


def test_dates_are_those_of_all_images_combined(found, monkeypatch):
    made = {
        ("detected_cases", 2025): {"change_map-2025": "a"},
        ("change_map", 2025): {"imagery-2024": "b", "imagery_2-2025": "c", "imagery-2025": "d", "weights:net": "e"},
    }  # fmt: skip
    days = {
        ("imagery", 2024): "2024-03-12",
        ("imagery", 2025): "2025-03-12",
        ("imagery_2", 2025): "2025-07-08",
    }
    monkeypatch.setattr(
        "workbench.evaluation.imagery.made_of", lambda city, role, year: made.get((role, year), {})
    )
    data = SimpleNamespace(
        has=lambda role, year: (role, year) in made or (role, year) in days,
        source=lambda role, year: SimpleNamespace(date=days[role, year]),
    )
    cases = Imagery(found.city, 2025, data)  # type: ignore[arg-type]
    assert cases.images("detected_cases") == {2024: ["2024-03-12"], 2025: ["2025-03-12", "2025-07-08"]}
    assert "2024年3月12日；2025年3月12日、7月8日" in str(tables.image_dates(cases, "detected_cases", "zh"))
    assert cases.images("land_cover_map") == {}
