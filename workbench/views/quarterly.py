"""What changes within the year: projects that are stuck, and the values made from the freshest data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from workbench.core.quarters import bounds
from workbench.evaluation.quarters import DAYS, quarter_zone
from workbench.evaluation.stuck import STUCK, chain_of
from workbench.views.cells import indicator_name, level_chip, table, tier_label, value_cell, word
from workbench.views.html import Html, join
from workbench.views.numbers import date_text, date_words, find, num_of, records
from workbench.views.rows import definition_of, in_order, worst_levels
from workbench.views.text import exempt, mark, paragraph, plain, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView


PATTERNS = (
    (r"无任何批准记录", "reason_none"), (r"(?P<stage>.+)已到期，未取得(?P<next>.+)", "reason_ended_next"),
    (r"(?P<stage>.+)已到期", "reason_ended"), (r"(?P<stage>.+)停留超过期限，未取得(?P<next>.+)", "reason_long"),
    (r"超过期限未启动审批", "reason_not_begun"), (r"缺少(?P<stage>.+)", "reason_skipped"),
    (r"(?P<stage>.+)早于(?P<next>.+)", "reason_order"), (r"批准日期缺失", "reason_undated"),
    (r"项目库中无此项目", "reason_unknown"), (r"登记阶段为(?P<stage>.+)", "reason_stated"),
)  # fmt: skip
"""What the project chain says → key of the words; the groups are stages."""


def reason_words(text: str, lang: str) -> str:
    """Why a project is stuck, as the project chain says it, in the reader's language.

    Examples
    --------
    >>> reason_words("供地停留超过期限，未取得规划许可；缺少预审、农转用", "en")
    'land supply rests beyond the limit, planning permit not obtained; skipped: pre-examination, conversion of farmland'
    """
    if lang == "zh":
        return text
    return "; ".join(_said(part, lang) for part in text.split("；") if part)


def _said(part: str, lang: str) -> str:
    for pattern, key in PATTERNS:
        if hit := re.fullmatch(pattern, part):
            stages = {
                name: ", ".join(word("permit_kind", one, lang) for one in stage.split("、"))
                for name, stage in hit.groupdict().items()
            }
            return plain(f"quarterly.{key}", lang, **stages)
    return part


def stuck_table(checkup: CheckupView, lang: str, *, quarter: int = 0, limit: int = 30) -> Html:
    """Projects that are stuck at the end of the year, or of a quarter: stage, since when, how long, and why."""
    chain = chain_of(checkup.data, checkup.year, quarter)
    if chain is None:
        return paragraph("quarterly.no_permits", lang)
    at = quarter_zone(quarter)
    names = {"all": ("report.projects", "all"), "stuck": ("report.projects", STUCK)}
    if quarter:
        names = {"all": ("report.quarter.projects", at), "stuck": ("report.quarter.projects_stuck", at)}
    count = {
        key: value_cell(find(checkup, name, level="report", zone=zone, year=checkup.year), lang)
        for key, (name, zone) in names.items()
    }
    day = date_words(bounds(checkup.year, quarter)[1], lang)
    lead = paragraph("quarterly.lead", lang, day=exempt(day), **count)
    found = chain[chain["stuck"]].sort_values(["days_in_stage", "project_code"], ascending=[False, True])
    if found.empty:
        return Html(lead + paragraph("quarterly.none", lang))
    headers: list[tuple[object, str]] = [(t("quarterly.project", lang), "row")]
    headers += [(t(f"quarterly.{name}", lang), "short") for name in ("name", "stage", "next", "since")]
    headers += [(t("quarterly.days", lang), "number"), (t("quarterly.reason", lang), "")]
    lines: list[list[object]] = []
    for row in records(found.head(limit)):
        code = str(row["project_code"])
        of, zone = (DAYS, f"{at}/{code}") if quarter else ("case.days_in_stage", code)
        days = find(checkup, of, level="case", zone=zone, year=checkup.year)
        lines.append(
            [
                exempt(code), mark(row["name"] or ""), word("permit_kind", row["stage"], lang),
                word("permit_kind", row["next_stage"], lang), exempt(date_text(row["since"])), value_cell(days, lang),
                mark(reason_words(str(row["reason"]), lang)),
            ]
        )  # fmt: skip
    note = t("quarterly.cut", lang) if len(found) > limit else None
    made = table(
        headers, lines, caption=t("quarterly.caption_chain", lang), lang=lang, css="cases", note=note
    )
    return join([lead, made])


def fresh_table(checkup: CheckupView, lang: str, *, limit: int = 25) -> Html:
    """Values of the city made from the freshest data, with their dates and warning levels."""
    rows = [row for row in in_order(checkup) if pd.notna(row["value"])]
    if not rows:
        return paragraph("quarterly.no_values", lang)
    newest = max(str(row["data_date"]) for row in rows)
    levels = worst_levels(checkup)
    judged = [
        row
        for row in rows
        if str(row["data_date"]) == newest and levels.get(str(row["indicator"])) is not None
    ]
    judged.sort(key=lambda row: -int(levels.get(str(row["indicator"]), 0)))
    headers: list[tuple[object, str]] = [
        (t("column.indicator", lang), "row"),
        (t("column.value", lang), "number"),
    ]
    headers += [(t(f"column.{name}", lang), "short") for name in ("level", "tier", "date")]
    lines: list[list[object]] = [
        [
            indicator_name(row["indicator"], definition_of(checkup, row["indicator"]), lang),
            num_of(row, lang=lang, unit=True), level_chip(levels[str(row["indicator"])], lang),
            tier_label(row["tier"], lang), exempt(date_text(row["data_date"])),
        ]
        for row in judged[:limit]
    ]  # fmt: skip
    return table(headers, lines, caption=t("quarterly.caption_fresh", lang), lang=lang, css="fresh")
