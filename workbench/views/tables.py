"""Tables of the report and the dashboards, as HTML whose numbers are rows of the value table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.rules.library import load_rules
from workbench.views.annex import data_table, quality_table
from workbench.views.cells import (
    Compared,
    change_cell,
    change_text,
    indicator_name,
    level_chip,
    line_label,
    rounding_note,
    scope_label,
    table,
    tier_label,
    titles_of,
    trend_arrow,
    value_cell,
    word,
)
from workbench.views.findings import finding_table, target_cell
from workbench.views.html import Html, element, join
from workbench.views.missing import missing_table
from workbench.views.numbers import date_text, find, num_of, records
from workbench.views.proxies import proxy_note
from workbench.views.rows import (
    DIMENSIONS,
    LEAST_SHARE,
    case_statuses,
    cases_of,
    definition_of,
    district_names,
    in_order,
    ranked,
    report_rows,
    target_row,
    wanted_way,
    worst_levels,
    zone_word,
)
from workbench.views.text import dimension_label, exempt, has, mark, paragraph, plain, t, unit_label

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

LEVELS = (4, 3, 2, 1, 0)
MOST_COLUMNS = 20
"""So many zones have a column each in the table of zones; where there are more, each has a row."""
MOST_NAMED = 12
"""Indicators named below a table; more of them are only said to exist."""


def scorecard(checkup: CheckupView, lang: str) -> Html:
    """Number of indicators computed, missing and of each warning level, by dimension.

    Reads the rows ``report.computed``, ``report.missing``, ``report.level_4`` … ``report.level_0``,
    ``report.unrated`` of level ``report``, zone = dimension, and zone ``all`` for the total.
    """
    names = ["computed", "missing", *(f"level_{level}" for level in LEVELS), "unrated"]
    headers: list[tuple[object, str]] = [(t("column.dimension", lang), "row")]
    headers += [(t("column.computed", lang), "number"), (t("column.missing", lang), "number")]
    headers += [(level_chip(level, lang), "number") for level in LEVELS]
    headers += [(t("level.unrated", lang), "number")]
    rows: list[list[object]] = []
    css: list[str] = []
    for dimension in (*DIMENSIONS, "all"):
        cells = [find(checkup, f"report.{name}", level="report", zone=dimension) for name in names]
        if all(cell is None for cell in cells):
            continue
        rows.append([dimension_label(dimension, lang), *(_count_cell(cell, lang) for cell in cells)])
        css.append("total" if dimension == "all" else "")
    return table(
        headers, rows, caption=t("caption.scorecard", lang), lang=lang, css="scorecard by-column", row_css=css,
        note=t("note.scorecard", lang),
    )  # fmt: skip


def _count_cell(row: Mapping[str, Any] | None, lang: str) -> Html:
    """Number of a scorecard; a zero steps back."""
    shown = value_cell(row, lang)
    return element("span", shown, css="zero") if row is not None and row["value"] == 0 else shown


def indicator_table(
    checkup: CheckupView,
    lang: str,
    dimension: str | None = None,
    *,
    level: str = "city",
    only: Collection[str] | None = None,
    missing: bool = True,
) -> Html:
    """Values of the year for the whole city, with last year's value, target, tier and warning level.

    Parameters
    ----------
    checkup : Checkup
        Values, findings and definitions.
    lang : {"zh", "en"}
        Language.
    dimension : str, optional
        One dimension (安全 …); all when None.
    level : str
        Zone level of the rows.
    only : collection of str, optional
        Indicators to show; all when None.
    missing : bool
        Whether indicators without a value have a row; else they are named below the table.
    """
    rows = in_order(checkup, level=level, dimension=dimension)
    rows = rows if only is None else [row for row in rows if row["indicator"] in only]
    note = None if missing else _without(checkup, [row for row in rows if pd.isna(row["value"])], lang)
    rows = rows if missing else [row for row in rows if pd.notna(row["value"])]
    if not rows and not missing:
        return Html(f"<p>{note}</p>") if note else Html("")
    if stands_in := proxy_note(checkup, rows, lang):
        note = stands_in if note is None else Html(note + Html("<br>") + stands_in)
    levels = worst_levels(checkup)
    before = {
        (row["indicator"], row["zone"]): row
        for row in records(
            checkup.values[(checkup.values["year"] == checkup.year - 1) & (checkup.values["level"] == level)]
        )
        if row["tier"] != "target"
    }
    changes = report_rows(checkup, "report.change.") if before and level == "city" else {}
    targeted = any(target_row(checkup, row["indicator"]) is not None for row in rows)
    headers: list[tuple[object, str]] = [
        (t("column.indicator", lang), "row"),
        (t("column.unit", lang), "short"),
    ]
    headers += [(t("column.scope", lang), "short"), (t("column.value", lang), "number")]
    headers += (
        [(t("column.last_year", lang), "number"), (t("column.trend", lang), "number")] if before else []
    )
    headers += [(t("column.target", lang), "number")] if targeted else []
    headers += [(t(f"column.{name}", lang), "short") for name in ("level", "tier", "date")]
    lines: list[list[object]] = []
    css: list[str] = []
    compared: list[Compared] = []
    for row in rows:
        definition = definition_of(checkup, row["indicator"])
        cells: list[object] = [indicator_name(row["indicator"], definition, lang)]
        cells += [
            unit_label(str(row["unit"]), lang),
            scope_label(definition, lang, row),
            num_of(row, lang=lang),
        ]
        if before:
            last = before.get((row["indicator"], row["zone"]))
            cells += _comparison(checkup, row, last, changes.get(row["indicator"]), lang)
            compared.append((row, (last, changes.get(row["indicator"]))))
        if targeted:
            cells.append(target_cell(checkup, row["indicator"], lang))
        absent = pd.isna(row["value"])
        rating = -1 if absent else levels.get(row["indicator"])
        chip = level_chip(rating, lang) if rating is not None else mark(plain("level.unrated", lang))
        cells += [
            chip,
            Html("") if absent else tier_label(row["tier"], lang),
            date_text(row.get("data_date")),
        ]
        lines.append(cells)
        css.append("missing" if absent else "")
    caption = (
        t("caption.indicators", lang)
        if dimension is None
        else t("caption.indicators_of", lang, dimension=dimension_label(dimension, lang))
    )
    if rounded := rounding_note(compared, lang):
        note = rounded if note is None else Html(note + Html("<br>") + rounded)
    return table(headers, lines, caption=caption, lang=lang, css="indicators", row_css=css, note=note)


def _without(checkup: CheckupView, rows: Sequence[Mapping[str, Any]], lang: str) -> Html | None:
    """Sentence that names indicators without a value."""
    titles = [titles_of(definition_of(checkup, row["indicator"]), lang, row["indicator"]) for row in rows]
    names = ("、" if lang == "zh" else ", ").join(titles)
    return t("note.without", lang, names=names) if titles else None


def _comparison(
    checkup: CheckupView,
    row: Mapping[str, Any],
    last: Mapping[str, Any] | None,
    change: Mapping[str, Any] | None,
    lang: str,
) -> list[object]:
    """Last year's value, and the change on it as amount (as a word where the amount is no row of the table)."""
    if last is None:
        return ["", ""]
    shown = num_of(last, lang=lang)
    if pd.isna(row["value"]) or pd.isna(last["value"]):
        return [shown, ""]
    if change is not None:
        steady = abs(float(change["value"])) <= _steady() * abs(float(last["value"]))
        way = wanted_way(checkup, str(row["indicator"]))
        return [shown, change_cell(change, way, lang, steady=steady and way is not None)]
    definition = definition_of(checkup, str(row["indicator"]))
    arrow = trend_arrow(
        float(row["value"]), float(last["value"]), decimals=int(row.get("decimals") or 0),
        direction=str(getattr(definition, "direction", "")), lang=lang,
    )  # fmt: skip
    return [shown, arrow]


@cache
def _steady() -> float:
    """Relative change that the rule on last year counts as none."""
    rules = (rule for rule in load_rules().values() if rule.kind == "trend" and "steady" in rule.parameters)
    return max((float(rule.parameters["steady"]) for rule in rules), default=0.0)


def district_table(checkup: CheckupView, lang: str, indicators: Sequence[str] | None = None) -> Html:
    """Values by district: a row an indicator, grouped by dimension, a column a district; best and worst stand out.

    Indicators without a value in any district are named below the table. Best and worst are marked for rates with a
    good and a bad end, not for amounts that grow with the district.
    """
    rows = in_order(checkup, level="district")
    wanted = list(dict.fromkeys(row["indicator"] for row in rows)) if indicators is None else list(indicators)
    named = district_names(checkup, lang)
    zones = {zone: named.get(zone, zone) for zone in sorted({str(row["zone"]) for row in rows})}
    cells = {(row["indicator"], str(row["zone"])): row for row in rows}
    headers: list[tuple[object, str]] = [
        (t("column.indicator", lang), "row"),
        (t("column.unit", lang), "short"),
    ]
    headers += [(name, "number") for name in zones.values()]
    lines: list[list[object]] = []
    absent: list[str] = []
    marked: list[list[dict[str, Any]]] = []
    dimension = ""
    for indicator in wanted:
        some = [cells[indicator, zone] for zone in zones if (indicator, zone) in cells]
        definition = definition_of(checkup, indicator)
        if not some or all(pd.isna(row["value"]) for row in some):
            absent += [titles_of(definition, lang, indicator)] if some else []
            continue
        if some[0]["dimension"] != dimension:
            dimension = some[0]["dimension"]
            lines.append([dimension_label(dimension, lang)])
        marks = _extremes(checkup, indicator, some)
        marked += [some] if marks else []
        shown = [
            element("span", value_cell(cells.get((indicator, zone)), lang), css=marks[zone])
            if zone in marks
            else value_cell(cells.get((indicator, zone)), lang)
            for zone in zones
        ]
        lines.append(
            [indicator_name(indicator, definition, lang), unit_label(str(some[0]["unit"]), lang), *shown]
        )
    wide = [line for line in lines if len(line) > 1]
    if len(zones) > MOST_COLUMNS and len(wide) < len(zones):  # many zones, few indicators: a row a zone
        headers = [(mark(zone_word(checkup, lang)), "row")]
        headers += [(Html(f"{line[0]}<br>{mark(line[1])}"), "number") for line in wide]
        lines = [[name, *(line[at + 2] for line in wide)] for at, name in enumerate(zones.values())]
    notes = _district_notes(checkup, rows, marked, absent, lang)
    note = join(notes, "<br>") if notes else None
    return table(headers, lines, caption=t("caption.districts", lang), lang=lang, css="districts", note=note)


def _district_notes(
    checkup: CheckupView,
    rows: Sequence[Mapping[str, Any]],
    marked: Sequence[Sequence[Mapping[str, Any]]],
    absent: Sequence[str],
    lang: str,
) -> list[Html]:
    """Lines below the table of districts: what the colours mean, who is not ranked, what stands in, what is absent."""
    notes = [t("note.districts", lang)] if marked else []
    valued = [[row for row in some if pd.notna(row["value"])] for some in marked]
    if any(len(ranked(some)) < len(some) for some in valued):
        notes.append(t("note.districts_small", lang, share=exempt(f"{LEAST_SHARE:.0%}")))
    if stands_in := proxy_note(checkup, rows, lang):
        notes.append(stands_in)
    if len(absent) > MOST_NAMED:
        notes.append(t("note.districts_many_absent", lang))
    elif absent:
        names = mark(("、" if lang == "zh" else ", ").join(absent))
        notes.append(t("note.districts_absent", lang, names=names))
    return notes


def _extremes(checkup: CheckupView, indicator: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Zone → ``best`` or ``worst``, by the numbers as printed."""
    way = wanted_way(checkup, indicator)
    decimals = int(rows[0].get("decimals") or 0)
    known = {str(row["zone"]): round(float(row["value"]), decimals) for row in ranked(rows)}
    rate = bool(getattr(definition_of(checkup, indicator), "denominator_zh", ""))
    if way is None or not rate or len(set(known.values())) < 2 or len(known) < 3:
        return {}
    high, low = ("best", "worst") if way == "up" else ("worst", "best")
    top, foot = max(known.values()), min(known.values())
    return {zone: high if value == top else low for zone, value in known.items() if value in (top, foot)}


def case_table(checkup: CheckupView, lang: str, line: str | None = None, *, limit: int | None = None) -> Html:
    """Suspected patches from large to small, with shape's area, permit state and status.

    Parameters
    ----------
    checkup : Checkup
        Findings, and values with one row a case (level ``case``, zone = finding id).
    lang : {"zh", "en"}
        Language.
    line : str, optional
        Role of one control line; all lines when None. The numbers are those of :func:`maps.case_map` of the same line.
    limit : int, optional
        At most so many rows.
    """
    names = ("case", *(() if line else ("line",)), "district", "change", "period")
    headers: list[tuple[object, str]] = [(t("column.number", lang), "short")]
    headers += [(t(f"column.{name}", lang), "row" if name == "case" else "") for name in names]
    headers += [(t(f"column.{name}", lang), "number") for name in ("area_m2", "area_mu")]
    headers += [(t(f"column.{name}", lang), "short") for name in ("permit", "level", "status")]
    cases, statuses = cases_of(checkup, line), case_statuses(checkup)
    areas = {
        (str(row["zone"]), str(row["indicator"])): row
        for row in records(checkup.values[checkup.values["level"] == "case"])
    }
    districts = district_names(checkup, lang)
    rows: list[list[object]] = []
    for at, row in enumerate(records(cases.head(limit) if limit else cases), 1):
        dates = [date_text(row.get("date_before")), date_text(row.get("date_after"))]
        rows.append(
            [
                exempt(at),
                exempt(row["finding_id"]),
                *([] if line else [line_label(str(row["line"]), lang)]),
                districts.get(str(row.get("district")), word("", row.get("district"), lang)),
                change_text(row, lang),
                exempt(("至" if lang == "zh" else " to ").join(date for date in dates if date)),
                value_cell(areas.get((str(row["finding_id"]), "case.area_m2")), lang),
                value_cell(areas.get((str(row["finding_id"]), "case.mu")), lang),
                word("permit", row.get("permit_state"), lang),
                level_chip(row.get("level"), lang),
                word("status", statuses.get(str(row.get("space_code")), row.get("status")), lang),
            ]
        )
    if not rows:
        return paragraph("cases.none", lang) if line else paragraph("cases.none_all", lang)
    caption = t("caption.cases_of", lang, line=_line_words(line, lang)) if line else t("caption.cases", lang)
    note = t("common.suspected", lang)
    if limit and len(cases) > limit:
        note = Html(note + t("note.cases_cut", lang))
    return table(headers, rows, caption=caption, lang=lang, css="cases", note=note)


def _line_words(line: str, lang: str) -> Html:
    return t(f"line_table.{line}", lang) if has(f"line_table.{line}") else mark(line_label(line, lang))


def cases_cut(checkup: CheckupView, limit: int) -> bool:
    """Whether some line has more patches than a list of so many rows shows."""
    cases = cases_of(checkup)
    return bool(len(cases)) and bool(cases["line"].value_counts().max() > limit)


__all__ = [
    "case_table", "cases_cut", "data_table", "district_table", "finding_table", "indicator_table", "missing_table",
    "quality_table", "scorecard", "target_cell",
]  # fmt: skip
