"""Rules on figures of the topics: low-efficiency land, use against suitability, carrying capacity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from workbench.catalog.published import TOPIC_FIGURES
from workbench.rules.context import Context
from workbench.rules.kinds import NO_DATA, Outcome, judge
from workbench.rules.rule import Rule

CRITICAL = 1.0
"""Warning of a carrying capacity from which it is critical: reached at it, broken above."""
COLUMNS = ("figure", "zone_level", "zone", "zone_name", "value", "unit", "warning", "threshold", "row")
"""Columns of the table of figures; ``row`` is the row of the value table that holds the figure."""


def judged(rule: Rule, figures: pd.DataFrame) -> Iterator[tuple[dict[str, Any], Outcome]]:
    """What a rule says of its figure in each zone that has it.

    Parameters
    ----------
    rule : Rule
        ``applies.figure`` names the figure. It is held against ``parameters.limit``; with ``applies.by = "warning"`` the
        level that the topic itself gave (0, 1 critical, 2 overloaded) decides, and the threshold is the topic's.
    figures : DataFrame
        Columns :data:`COLUMNS`.

    Yields
    ------
    (dict, Outcome)
        Row of the figures and outcome.
    """
    for row in figures[figures["figure"] == rule.applies["figure"]].to_dict("records"):
        if rule.applies.get("by") != "warning":
            yield row, judge(rule, value=float(row["value"]), target=float(rule.parameters["limit"]))  # type: ignore[misc]
            continue
        warning = float(row["warning"])
        outcome = judge(rule, value=warning if warning >= 0 else float("nan"), target=CRITICAL)
        limit = float(row["threshold"])
        yield row, replace(outcome, threshold=limit, margin=limit - float(row["value"]))  # type: ignore[misc]


def judge_figures(context: Context, rules: Sequence[Rule]) -> None:
    """Add the findings of rules on figures to ``context.rows``; a figure the city's topics do not give has no data."""
    if not rules:
        return
    there = context.data.has(TOPIC_FIGURES, context.year)
    figures = context.data.table(TOPIC_FIGURES, context.year) if there else pd.DataFrame(columns=[*COLUMNS])
    for rule in rules:
        said = False
        for row, outcome in judged(rule, figures):
            said = True
            if outcome.level == NO_DATA or not np.isfinite(float(row["value"])):
                context.add(rule, outcome, None, suffix=str(row["zone"]), line=TOPIC_FIGURES)
                continue
            context.add_number(
                rule, outcome, float(row["value"]), str(row["unit"]), zone=str(row["zone"]), line=TOPIC_FIGURES,
                zone_level=str(row["zone_level"]), zone_name=str(row["zone_name"]),
            )  # fmt: skip
        if not said:
            context.add(rule, Outcome(NO_DATA, "no_data"), None, line=TOPIC_FIGURES)
