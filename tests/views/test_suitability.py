"""Tables and pictures of the suitability: every number traced, what is missing and what stands in said."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench.evaluation.suitability.settings import PACKAGED, read_settings
from workbench.views import suitability as tables
from workbench.views.suitability import level_chip, level_word


def test_levels_have_words_and_chips_of_their_own() -> None:
    assert [level_word(level, "zh") for level in (0, 1, 2, -1)] == ["可载", "临界超载", "超载", "不能判定"]
    assert level_chip(2, "en") == '<span class="chip level-4">overloaded</span>'


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_use_is_told_with_points_source_and_confidence(lang: str) -> None:
    settings = read_settings(PACKAGED)
    made = tables.points_table(SimpleNamespace(settings=settings), lang)
    for use in settings.uses:
        assert settings.factor(use.factor).title(lang).split("(")[0][:4] in made
    assert made.count("<tr") == 1 + 2 * len(settings.evaluations) + len(settings.uses)
    step = {
        "zh": '&gt;25：</span><span class="x">双评价指南',
        "en": '&gt;25: </span><span class="x">guide to double',
    }
    assert step[lang] in made  # a step's own source
    assert {"zh": "来源可查（P5", "en": "found (P5"}[lang] in made and (
        "≤2° 100" in re.sub(r"<[^>]+>", "", made)
    )


def test_moves_are_listed_from_the_largest_on_in_their_own_evaluation() -> None:
    rows = pd.DataFrame(
        {
            "evaluation": ["building", "building", "farming"], "factor": ["slope", "slope", ""], "threshold": [1, 1, 1],
            "base": [2.0, 2.0, 65.0], "moved": [1.8, 2.2, 70.0], "direction": [-1, 1, 1],
            "output": ["building", "zoning", "farming"], "share": [1.0, 9.0, 3.0], "first_class_points": np.zeros(3),
        }
    )  # fmt: skip
    found = tables.own_moves(SimpleNamespace(sensitivity=rows))
    assert found["evaluation"].tolist() == ["farming", "building"]
