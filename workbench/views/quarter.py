"""What a quarter brought: patches, cases, permits and projects dated in it; and which figures are of the year."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from workbench.core.quarters import bounds, quarter_label
from workbench.evaluation.quarters import quarter_zone
from workbench.views.cells import change_text, line_label, table, value_cell, word
from workbench.views.html import Html, join
from workbench.views.numbers import date_text, date_words, find, num_of, reason_text, records
from workbench.views.rows import district_names
from workbench.views.text import exempt, mark, paragraph, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

COUNTS = (
    "patches", "found", "checked", "rectified", "closed", "open_start", "open_end", "closing_pct", "permits_issued",
    "permits_ended", "projects", "projects_stuck",
)  # fmt: skip
"""Rows ``report.quarter.*`` in the order of the table."""


def quarter_lead(checkup: CheckupView, lang: str, quarter: int) -> Html:
    """Sentences: which quarter this is, and which figures are counted in it and which are of the year."""
    if not quarter:
        return paragraph("quarter.whole_year", lang, year=exempt(checkup.year))
    start, end = bounds(checkup.year, quarter)
    days = {"start": exempt(date_words(start, lang)), "end": exempt(date_words(end, lang))}
    name = exempt(quarter_label(checkup.year, quarter, lang))
    lead = paragraph("quarter.lead", lang, quarter=name, **days)
    return join([lead, paragraph("quarter.yearly", lang, year=exempt(checkup.year))])


def quarter_table(checkup: CheckupView, lang: str, quarter: int) -> Html | None:
    """Counts of the quarter, with the reason where there is none; None for a report of the whole year."""
    if not quarter:
        return None
    lines: list[list[object]] = []
    for name in COUNTS:
        row = find(
            checkup, f"report.quarter.{name}", level="report", zone=quarter_zone(quarter), year=checkup.year
        )
        if row is not None:
            why = mark(reason_text(row, lang)) if pd.isna(row["value"]) else t(f"quarter.basis_{name}", lang)
            lines.append(
                [t(f"quarter.{name}", lang), num_of(row, lang=lang, unit=name == "closing_pct"), why]
            )
    if not lines:
        return None
    headers: list[tuple[object, str]] = [
        (t("quarter.what", lang), "row"),
        (t("quarter.number", lang), "number"),
    ]
    headers += [(t("quarter.basis", lang), "")]
    name = quarter_label(checkup.year, quarter, lang)
    return table(
        headers, lines, caption=t("quarter.caption", lang, quarter=exempt(name)), lang=lang, css="lines"
    )


def quarter_patches(checkup: CheckupView, lang: str, quarter: int, *, limit: int = 40) -> Html | None:
    """Suspected patches whose later date lies in the quarter, the largest first; None for a report of the whole year."""
    if not quarter:
        return None
    start, end = bounds(checkup.year, quarter)
    found = checkup.findings
    found = found[(found["kind"] == "spatial_conflict") & found["area_m2"].notna()]
    found = found[pd.to_datetime(found["date_after"]).between(start, end)]
    if found.empty:
        return paragraph("quarter.no_patches", lang)
    districts = district_names(checkup, lang)
    names = ("case", "line", "district", "change", "permit")
    headers: list[tuple[object, str]] = [
        (t(f"column.{name}", lang), "row" if name == "case" else "") for name in names
    ]
    headers += [(t("column.area_mu", lang), "number"), (t("quarter.date", lang), "short")]
    ordered = found.sort_values(["area_m2", "finding_id"], ascending=[False, True])
    lines: list[list[object]] = [
        [
            exempt(row["finding_id"]), line_label(str(row["line"]), lang), districts.get(str(row["district"]), ""),
            change_text(row, lang), word("permit", row.get("permit_state"), lang),
            value_cell(find(checkup, "case.mu", level="case", zone=str(row["finding_id"])), lang),
            exempt(date_text(row["date_after"])),
        ]
        for row in records(ordered.head(limit))
    ]  # fmt: skip
    note = t("quarter.cut", lang) if len(ordered) > limit else None
    caption = t("quarter.caption_patches", lang, quarter=exempt(quarter_label(checkup.year, quarter, lang)))
    return table(headers, lines, caption=caption, lang=lang, css="cases", note=note)
