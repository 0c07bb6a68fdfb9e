from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from workbench.core.errors import DefinitionError, ParameterError
from workbench.core.paths import PACKAGE
from workbench.rules.rule import LEVELS
from workbench.views import text
from workbench.views.cells import cited, sure
from workbench.views.html import Html
from workbench.views.style import LEVEL_COLOURS
from workbench.views.text import exempt, mark, plain, strings, t


def _places(template: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(template) if field}


def test_both_languages_have_every_text_with_the_same_places() -> None:
    for key, pair in strings().items():
        assert pair["zh"].strip() and pair["en"].strip(), key
        assert _places(pair["zh"]) == _places(pair["en"]), key


def test_english_texts_hold_no_chinese() -> None:
    for key, pair in strings().items():
        if key != "dashboard.other_lang":  # names the other language in that language
            assert not re.search(r"[\u4e00-\u9fff]", pair["en"]), key


def test_levels_agree_with_the_rules() -> None:
    for number, level in LEVELS.items():
        name = str(number) if number >= 0 else "none"
        assert (plain(f"level.{name}", "zh"), plain(f"level.{name}", "en")) == (level.zh, level.en)
        assert LEVEL_COLOURS[number] == level.colour


def test_a_missing_key_and_a_missing_language_are_errors() -> None:
    with pytest.raises(DefinitionError, match=r"no\.such\.key"):
        t("no.such.key", "zh")
    with pytest.raises(ParameterError, match="unknown language"):
        t("common.city", "fr")


def test_values_must_fit_the_places() -> None:
    with pytest.raises(DefinitionError, match="needs a value for 'year'"):
        t("common.year", "zh")
    with pytest.raises(DefinitionError, match=r"no place for \['month'\]"):
        t("common.year", "zh", year=exempt(2025), month="x")


def test_a_bare_number_is_refused() -> None:
    with pytest.raises(ParameterError, match="bare number"):
        t("common.year", "zh", year=2025)


def test_text_is_escaped_and_digits_marked() -> None:
    made = t("common.source", "en", sources="<b>Survey 2025</b>")
    assert made == 'Sources: &lt;b&gt;Survey <span class="x">2025</span>&lt;/b&gt;'
    assert mark(Html("<b>1</b>")) == "<b>1</b>"


def test_a_text_file_without_english_names_file_and_key() -> None:
    with pytest.raises(DefinitionError, match=r"text\.toml: text 'a\.b' lacks \['en'\]"):
        list(text._leaves({"a": {"b": {"zh": "甲"}}}, "", "text.toml"))


def test_every_layer_of_the_demo_has_a_name_officials_can_read() -> None:
    from workbench.core.city import load_city
    from workbench.views.cells import role_label

    assert [role for role in load_city("demo").layers if role_label(role, "zh") == role] == []


def _stated(value: Any) -> Iterator[tuple[str, str]]:
    """Every (source, confidence) below a value of a settings file."""
    if isinstance(value, dict):
        if value.get("source"):
            yield value["source"], value.get("confidence", "")
        for one in value.values():
            yield from _stated(one)
    elif isinstance(value, list):
        for one in value:
            yield from _stated(one)


@pytest.mark.parametrize("topic", ["life_circle", "structure", "suitability"])
def test_sources_and_confidence_of_settings_are_chinese_in_chinese(topic: str) -> None:
    content = tomllib.loads((PACKAGE / "evaluation" / topic / f"{topic}.toml").read_text("utf-8"))
    if topic != "structure":  # only the structure shows its parameters
        content.pop("parameters")
    stated = list(_stated(content))
    assert len(stated) > 20
    for source, confidence in stated:
        for lang in ("zh", "en"):
            shown = (
                re.sub(r"<[^>]+>", "", cited(source, lang))
                + "|"
                + re.sub(r"<[^>]+>", "", sure(confidence, lang))
            )
            if lang == "en":
                assert not re.search(r"[\u4e00-\u9fff]", shown), shown
            else:
                assert not re.search(r"[a-z]{3,} [a-z]{2,}|own|found", shown), shown


def test_a_citys_own_words_for_a_source_stay() -> None:
    assert "本市技术规定" in cited("本市技术规定", "zh") and "据本市规定" in sure(
        "weight:own; 据本市规定", "zh"
    )
    assert "权重自拟；据本市规定" in sure("weight:own; 据本市规定", "zh")
