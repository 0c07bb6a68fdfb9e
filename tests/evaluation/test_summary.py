"""Sentences of the conclusion: every number is a value id, both languages say the same, nothing is called unlawful."""

import re

import pytest

from workbench.evaluation.summary import sentences, target_deviations


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
