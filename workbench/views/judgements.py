"""What the rule packs say of the figures of a topic, for the chapter that shows them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from workbench.rules import messages
from workbench.rules.figures import judged
from workbench.rules.library import load_rules
from workbench.views.cells import level_chip, table, value_cell, word
from workbench.views.html import Html
from workbench.views.numbers import records
from workbench.views.openness import PUBLIC
from workbench.views.text import exempt, mark, t, unit_label

if TYPE_CHECKING:
    from workbench.rules.kinds import Outcome
    from workbench.rules.rule import Rule


def judgement_table(
    figures: pd.DataFrame, values: pd.DataFrame, pack: str, year: int, lang: str, *, sensitivity: str = PUBLIC
) -> Html | None:
    """Level, figure, limit and judgement of each rule of a pack for the whole city, the worst first.

    Parameters
    ----------
    figures : DataFrame
        Of :func:`workbench.evaluation.figures.structure_figures` or ``suitability_figures``.
    values : DataFrame
        Rows of the value table that hold the figures.
    pack : str
        Rule pack.
    year : int
        Year whose rules are in force.
    lang : {"zh", "en"}
        Language.
    sensitivity : str
        Strictest sensitivity of the layers behind the figures.

    Returns
    -------
    Html or None
        None when no rule of the pack has its figure here.
    """
    rows = {(str(row["indicator"]), str(row["zone"])): row for row in records(values)}
    found = []
    for rule in load_rules((pack,)).values():
        if rule.in_force(date(year, 12, 31)):
            found += [(rule, row, one) for row, one in judged(rule, figures) if row["zone_level"] == "city"]
    if not found:
        return None
    found.sort(key=lambda item: -item[2].level)
    headers: list[tuple[object, str]] = [
        (t("column.level", lang), "short"), (t("column.finding", lang), "row"), (t("column.value", lang), "number"),
        (t("column.against", lang), "number"), (t("column.judgement", lang), ""), (t("column.clause", lang), ""),
    ]  # fmt: skip
    lines: list[list[object]] = [
        [
            level_chip(outcome.level, lang), mark(rule.title_en if lang == "en" else rule.title_zh),
            value_cell(rows.get((str(row["row"]), str(row["zone"]))), lang, unit=True), _limit(outcome, str(row["unit"]), lang),
            mark(_said(rule, outcome, lang)), mark(word("clause", rule.clause, lang)),
        ]
        for rule, row, outcome in found
    ]  # fmt: skip
    return table(
        headers, lines, caption=t(f"judgements.{pack}", lang), lang=lang, css="judgements",
        row_sensitivity=["" if sensitivity == PUBLIC else sensitivity] * len(lines),
    )  # fmt: skip


def _said(rule: Rule, outcome: Outcome, lang: str) -> str:
    said = messages.of_outcome(rule, outcome, None, lang)
    note = rule.note_en if lang == "en" else rule.note_zh
    if outcome.level <= 0:
        return said
    return f"{said} {note}".strip() if lang == "en" else said + note


def _limit(outcome: Outcome, unit: str, lang: str) -> Html:
    if outcome.level < 0 or pd.isna(outcome.threshold):
        return Html("")
    return t("against.cap", lang, limit=exempt(f"{outcome.threshold:g}"), unit=unit_label(unit, lang))
