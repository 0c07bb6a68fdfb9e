"""Limits held against values that have an interval: yes, no, or 不确定."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench.rules import messages
from workbench.rules.context import Context
from workbench.rules.figures import judge_figures
from workbench.rules.kinds import UNCERTAIN, judge
from workbench.rules.library import load_rules

FLOOR, CAP = load_rules()["target_floor_binding"], load_rules()["target_cap_binding"]


@pytest.mark.parametrize(
    ("low", "high", "outcome", "level"),
    [(70.0, 75.0, "met", 0), (60.0, 67.0, "breached", 4), (67.0, 75.0, UNCERTAIN, 1), (None, None, "met", 0), (np.nan, np.nan, "met", 0)],
)  # fmt: skip
def test_floor_with_an_interval(low: float | None, high: float | None, outcome: str, level: int) -> None:
    value = 63.0 if outcome == "breached" else 72.0
    found = judge(FLOOR, value=value, target=68.03, low=low, high=high)
    assert (found.outcome, found.level) == (outcome, level)


def test_cap_with_an_interval() -> None:
    assert judge(CAP, value=80.0, target=100.0, low=70.0, high=90.0).outcome == "met"
    assert judge(CAP, value=110.0, target=100.0, low=101.0, high=120.0).outcome == "breached"
    open_ = judge(CAP, value=110.0, target=100.0, low=95.0, high=120.0)
    assert (
        open_.outcome == UNCERTAIN and open_.margin == -10.0 and open_.words == {"low": 95.0, "high": 120.0}
    )
    assert (
        judge(replace(CAP, tolerance=25.0), value=110.0, target=100.0, low=95.0, high=120.0).outcome
        == "reached"
    )


@pytest.mark.parametrize("rule", [FLOOR, CAP])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_words_of_an_open_question(rule: object, lang: str) -> None:
    open_ = judge(CAP, value=110.0, target=100.0, low=95.0, high=120.0)
    text = messages.of_outcome(rule, open_, None, lang)  # type: ignore[arg-type]
    assert ("补充样本点" in text) if lang == "zh" else ("more sample points" in text)
    assert not any(letter.isdigit() for letter in text)


def test_what_images_show_is_judged_by_its_interval() -> None:
    """New construction on farmland told from a sample: 8 (4 to 13) ha against a limit of 10 ha."""
    facts = pd.DataFrame(
        {
            "part": ["area"],
            "item": ["farmland_built"],
            "zone": [""],
            "value": [8.0],
            "low": [4.0],
            "high": [13.0],
            "unit": ["ha"],
        }
    )
    rule = replace(
        CAP,
        id="image_limit",
        indicator="",
        applies={"figure": "imagery.area.farmland_built"},
        parameters={"limit": 10.0},
    )
    data = SimpleNamespace(
        has=lambda role, year=None: role == "interpretation_facts", table=lambda role, year=None: facts
    )
    context = Context(SimpleNamespace(name="demo", name_zh="示范市"), 2025, pd.DataFrame(), data, {})
    judge_figures(
        context, [rule, replace(rule, parameters={"limit": 20.0}), replace(rule, parameters={"limit": 3.0})]
    )
    assert [row["level"] for row in context.rows] == [1, 0, 4]
    assert "尚不能判定" in context.rows[0]["message_zh"]
