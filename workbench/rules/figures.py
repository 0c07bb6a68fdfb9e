"""Rules on figures of the topics (low-efficiency land, use against suitability, carrying capacity) and on what images show."""

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

IMAGE_FACTS = "interpretation_facts"
"""Role of the table of what was read from images."""
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
        level that the topic itself gave (0, 1 critical, 2 overloaded) decides, and the threshold is the topic's. A figure
        with ``low`` and ``high`` is judged by its interval.
    figures : DataFrame
        Columns :data:`COLUMNS`.

    Yields
    ------
    (dict, Outcome)
        Row of the figures and outcome.
    """
    for row in figures[figures["figure"] == rule.applies["figure"]].to_dict("records"):
        if rule.applies.get("by") != "warning":
            limits = {name: float(row[name]) for name in ("low", "high") if name in row}
            yield (
                row,
                judge(rule, value=float(row["value"]), target=float(rule.parameters["limit"]), **limits),
            )  # type: ignore[misc]
            continue
        warning = float(row["warning"])
        outcome = judge(rule, value=warning if warning >= 0 else float("nan"), target=CRITICAL)
        limit = float(row["threshold"])
        yield row, replace(outcome, threshold=limit, margin=limit - float(row["value"]))  # type: ignore[misc]


def image_figures(context: Context) -> pd.DataFrame:
    """What was read from the images of the year, as figures ``imagery.<part>.<item>`` with their intervals."""
    if not context.data.has(IMAGE_FACTS, context.year):
        return pd.DataFrame(columns=[*COLUMNS])
    facts = context.data.table(IMAGE_FACTS, context.year)
    city = context.city
    zone = facts["zone"].fillna("").astype(str) if "zone" in facts else pd.Series("", index=facts.index)
    name = "imagery." + facts["part"].astype(str) + "." + facts["item"].astype(str)
    return pd.DataFrame(
        {
            "figure": name, "zone_level": np.where(zone == "", "city", "report"), "zone": zone.where(zone != "", city.name),
            "zone_name": zone.where(zone != "", city.name_zh), "value": facts["value"], "unit": facts["unit"], "warning": -1,
            "threshold": np.nan, "row": name, "low": facts["low"], "high": facts["high"],
        }
    )  # fmt: skip


def judge_figures(context: Context, rules: Sequence[Rule]) -> None:
    """Add the findings of rules on figures to ``context.rows``; a figure the city's topics do not give has no data."""
    if not rules:
        return
    there = context.data.has(TOPIC_FIGURES, context.year)
    topics = context.data.table(TOPIC_FIGURES, context.year) if there else pd.DataFrame(columns=[*COLUMNS])
    images = image_figures(context)
    figures = (
        topics if images.empty else images if topics.empty else pd.concat([topics, images], ignore_index=True)
    )
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
