"""Sentences of findings, in Chinese and English, without digits: numbers are printed from the value table."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from workbench.indicators.indicator import Indicator
from workbench.rules.kinds import Outcome
from workbench.rules.rule import Rule


@cache
def _texts() -> dict[str, Any]:
    texts: dict[str, Any] = tomllib.loads(Path(__file__).with_name("messages.toml").read_text("utf-8"))
    return texts


def of_outcome(rule: Rule, outcome: Outcome, definition: Indicator | None, lang: str) -> str:
    """Sentence of a finding on an indicator or a layer.

    Parameters
    ----------
    rule : Rule
        The rule that judged.
    outcome : Outcome
        What it said.
    definition : Indicator or None
        The indicator judged; the rule's own title stands in for it.
    lang : {"zh", "en"}
        Language.
    """
    own = rule.title_en if lang == "en" else rule.title_zh
    title = definition.title(lang) if definition is not None else own
    if definition is not None and rule.kind == "consistency":
        title += f" ({own})" if lang == "en" else f"（{own}）"
    texts = _texts()
    kept = texts.get(f"{rule.kind}_kept", {}) if outcome.words.get("kept") else {}
    words = (
        kept.get(outcome.outcome)
        or texts["rule"].get(rule.id, {}).get(outcome.outcome)
        or texts.get(rule.kind, {}).get(outcome.outcome)
    )
    words = words or texts["any"]["no_data"]
    return str(words[lang].format(title=title))


def of_case(rule: Rule, before: str, after: str, permit_state: str, lang: str) -> str:
    """Sentence of a case; it stays 疑似 (suspected) until a person has verified.

    ``permit_state`` is the outcome: a permit state, or 不符 where what was built does not fit its activity.

    >>> from workbench.rules.library import load_rules
    >>> of_case(load_rules()["cl_permanent_farmland"], "旱地", "工业用地", "无", "zh")
    '疑似图斑：旱地变为工业用地，位于永久基本农田内，未见批准文件。请核实现状并查验农用地转用审批，核实前按疑似问题管理。'
    """
    texts = _texts()
    sentence = texts["spatial_conflict"][rule.side][lang].format(
        before=before,
        after=after,
        line=rule.line_en if lang == "en" else rule.line_zh,
        permit=texts["permit"][permit_state][lang],
    )
    note = rule.note_en if lang == "en" else rule.note_zh
    return f"{sentence} {note}".strip() if lang == "en" else sentence + note
