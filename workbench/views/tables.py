"""Tables of the report and the dashboards, as HTML whose numbers are rows of the value table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.views.cells import (
    change_text,
    level_chip,
    localised,
    role_label,
    scope_label,
    table,
    tier_label,
    titles_of,
    trend_arrow,
    value_cell,
    whole,
    word,
)
from workbench.views.html import Html, element, escape
from workbench.views.numbers import date_text, find, num_of, reason_text, records
from workbench.views.rows import (
    DIMENSIONS,
    cases_of,
    definition_of,
    district_names,
    in_order,
    target_row,
    warnings_of,
    worst_levels,
)
from workbench.views.text import dimension_label, exempt, has, mark, plain, t, unit_label

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

LEVELS = (4, 3, 2, 1, 0)


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
    for dimension in (*DIMENSIONS, "规划约束", "SDG", "all"):
        cells = [find(checkup, f"report.{name}", level="report", zone=dimension) for name in names]
        if all(cell is None for cell in cells):
            continue
        rows.append([dimension_label(dimension, lang), *(value_cell(cell, lang) for cell in cells)])
        css.append("total" if dimension == "all" else "")
    return table(headers, rows, caption=t("caption.scorecard", lang), lang=lang, css="scorecard", row_css=css)


def _target_cell(checkup: CheckupView, indicator: str, lang: str) -> Html:
    row = target_row(checkup, indicator)
    if row is None:
        return Html("")
    op = {">=": "≥", "<=": "≤", "==": "=", "=": "="}.get(
        next((target.op for target in checkup.city.targets if target.indicator == indicator), ""), ""
    )
    year = t("common.year", lang, year=exempt(int(row["year"])))
    bracket = Html(f"（{year}）") if lang == "zh" else Html(f" ({year})")
    return Html(f"{escape(op)}{num_of(row, lang=lang)}{bracket}")


def indicator_table(
    checkup: CheckupView,
    lang: str,
    dimension: str | None = None,
    *,
    level: str = "city",
    only: Collection[str] | None = None,
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
    """
    rows = in_order(checkup, level=level, dimension=dimension)
    rows = rows if only is None else [row for row in rows if row["indicator"] in only]
    levels = worst_levels(checkup)
    before = {
        (row["indicator"], row["zone"]): row
        for row in records(
            checkup.values[(checkup.values["year"] == checkup.year - 1) & (checkup.values["level"] == level)]
        )
        if row["tier"] != "target"
    }
    targeted = any(target_row(checkup, row["indicator"]) is not None for row in rows)
    headers: list[tuple[object, str]] = [
        (t("column.indicator", lang), "row"),
        (t("column.unit", lang), "short"),
    ]
    headers += [(t("column.scope", lang), "short"), (t("column.value", lang), "number")]
    headers += [(t("column.last_year", lang), "number"), (t("column.trend", lang), "short")] if before else []
    headers += [(t("column.target", lang), "number")] if targeted else []
    headers += [(t(f"column.{name}", lang), "short") for name in ("level", "tier", "date")]
    lines: list[list[object]] = []
    css: list[str] = []
    for row in rows:
        definition = definition_of(checkup, row["indicator"])
        cells: list[object] = [_indicator_name(row["indicator"], definition, lang)]
        cells += [unit_label(str(row["unit"]), lang), scope_label(definition, lang), num_of(row, lang=lang)]
        if before:
            cells += _comparison(row, before.get((row["indicator"], row["zone"])), definition, lang)
        if targeted:
            cells.append(_target_cell(checkup, row["indicator"], lang))
        missing = pd.isna(row["value"])
        rating = -1 if missing else levels.get(row["indicator"])
        chip = level_chip(rating, lang) if rating is not None else mark(plain("level.unrated", lang))
        cells += [
            chip,
            Html("") if missing else tier_label(row["tier"], lang),
            date_text(row.get("data_date")),
        ]
        lines.append(cells)
        css.append("missing" if missing else "")
    caption = (
        t("caption.indicators", lang)
        if dimension is None
        else t("caption.indicators_of", lang, dimension=dimension_label(dimension, lang))
    )
    return table(
        headers, lines, caption=caption, lang=lang, css="indicators", row_css=css, note=t("tier.note", lang)
    )


def _indicator_name(indicator: str, definition: Any, lang: str) -> Html:
    title = titles_of(definition, lang, indicator)
    return Html(element("span", mark(title), {"title": indicator}, css="title"))


def _comparison(
    row: Mapping[str, Any], last: Mapping[str, Any] | None, definition: Any, lang: str
) -> list[object]:
    if last is None:
        return ["", ""]
    shown = num_of(last, lang=lang)
    if pd.isna(row["value"]) or pd.isna(last["value"]):
        return [shown, ""]
    arrow = trend_arrow(
        float(row["value"]),
        float(last["value"]),
        decimals=int(row.get("decimals") or 0),
        direction=str(getattr(definition, "direction", "")),
        lang=lang,
    )
    return [shown, arrow]


def district_table(checkup: CheckupView, lang: str, indicators: Sequence[str] | None = None) -> Html:
    """Values by district: a row an indicator, a column a district."""
    rows = in_order(checkup, level="district")
    wanted = list(dict.fromkeys(row["indicator"] for row in rows)) if indicators is None else list(indicators)
    zones = dict(sorted({str(row["zone"]): str(row["zone_name"]) for row in rows}.items()))
    cells = {(row["indicator"], str(row["zone"])): row for row in rows}
    headers: list[tuple[object, str]] = [
        (t("column.indicator", lang), "row"),
        (t("column.unit", lang), "short"),
    ]
    headers += [(name, "number") for name in zones.values()]
    lines = []
    for indicator in wanted:
        some = next((cells[indicator, zone] for zone in zones if (indicator, zone) in cells), None)
        if some is None:
            continue
        name = _indicator_name(indicator, definition_of(checkup, indicator), lang)
        line: list[object] = [name, unit_label(str(some["unit"]), lang)]
        lines.append(line + [value_cell(cells.get((indicator, zone)), lang) for zone in zones])
    return table(headers, lines, caption=t("caption.districts", lang), lang=lang, css="districts")


def missing_table(checkup: CheckupView, lang: str) -> Html:
    """Indicators without a value for the city: why, what would unlock them, who usually holds the data."""
    headers: list[tuple[object, str]] = [
        (t("column.dimension", lang), "short"),
        (t("column.indicator", lang), "row"),
    ]
    headers += [(t(f"column.{name}", lang), "") for name in ("reason", "unlocks", "holder")]
    rows = []
    for row in in_order(checkup):
        if not pd.isna(row["value"]):
            continue
        definition = definition_of(checkup, row["indicator"])
        rows.append(
            [
                dimension_label(row["dimension"], lang),
                _indicator_name(row["indicator"], definition, lang),
                reason_text(row, lang),
                localised(definition, "unlocks", lang),
                localised(definition, "holder", lang),
            ]
        )
    return table(headers, rows, caption=t("caption.missing", lang), lang=lang, css="missing")


def data_table(checkup: CheckupView, lang: str) -> Html:
    """Layers of the city: edition, source, licence, date, tier, sensitivity and checksum."""
    names = ("edition", "source", "licence", "date", "tier", "sensitivity", "checksum")
    headers: list[tuple[object, str]] = [(t("column.layer", lang), "row")]
    headers += [
        (t(f"column.{name}", lang), "" if name in ("source", "licence") else "short") for name in names
    ]
    rows: list[list[object]] = []
    for role in checkup.city.layers:
        years: Sequence[int | None] = list(checkup.data.years(role)) or [None]
        for year in years:
            if not checkup.data.has(role, year):
                continue
            source = checkup.data.source(role, year)
            sensitivity = str(source.sensitivity or "")
            key = f"sensitivity.{sensitivity}"
            rows.append(
                [
                    role_label(role, lang),
                    "" if year is None else exempt(year),
                    source.source or "",
                    source.licence or "",
                    date_text(source.date),
                    tier_label(source.tier, lang),
                    plain(key, lang) if has(key) else sensitivity,
                    exempt(str(source.sha256 or "")[:12]),
                ]
            )
    return table(headers, rows, caption=t("caption.data", lang), lang=lang, css="data")


def case_table(checkup: CheckupView, lang: str, line: str | None = None, *, limit: int | None = None) -> Html:
    """Suspected patches from large to small, with shape's area, permit state and status.

    Parameters
    ----------
    checkup : Checkup
        Findings, and values with one row a case (level ``case``, zone = finding id).
    lang : {"zh", "en"}
        Language.
    line : str, optional
        Role of one control line; all lines when None.
    limit : int, optional
        At most so many rows.
    """
    names = ("case", "line", "district", "change", "period")
    headers: list[tuple[object, str]] = [(t("column.number", lang), "short")]
    headers += [(t(f"column.{name}", lang), "row" if name == "case" else "") for name in names]
    headers += [(t(f"column.{name}", lang), "number") for name in ("area_m2", "area_mu")]
    headers += [(t(f"column.{name}", lang), "short") for name in ("permit", "level", "status")]
    cases = cases_of(checkup, line)
    areas = {
        (str(row["zone"]), str(row["indicator"])): row
        for row in records(checkup.values[checkup.values["level"] == "case"])
    }
    districts = district_names(checkup)
    rows: list[list[object]] = []
    for at, row in enumerate(records(cases.head(limit) if limit else cases), 1):
        dates = [date_text(row.get("date_before")), date_text(row.get("date_after"))]
        rows.append(
            [
                exempt(at),
                exempt(row["finding_id"]),
                role_label(str(row["line"]), lang),
                districts.get(str(row.get("district")), word("", row.get("district"), lang)),
                change_text(row, lang),
                exempt(" – ".join(date for date in dates if date)),
                value_cell(areas.get((str(row["finding_id"]), "case.area_m2")), lang),
                value_cell(areas.get((str(row["finding_id"]), "case.mu")), lang),
                word("permit", row.get("permit_state"), lang),
                level_chip(row.get("level"), lang),
                word("status", row.get("status"), lang),
            ]
        )
    return table(
        headers,
        rows,
        caption=t("caption.cases", lang),
        lang=lang,
        css="cases",
        note=t("common.suspected", lang) if rows else None,
    )


def quality_table(checkup: CheckupView, lang: str) -> Html:
    """Findings of the data checks: layer, year, check, severity and explanation."""
    quality = checkup.data.quality
    columns = list(quality.columns)
    explain = next((name for name in (f"message_{lang}", "message", "detail") if name in columns), None)
    shown: list[tuple[str, Callable[[Mapping[str, Any]], object], str]] = [
        ("layer", lambda row: role_label(str(row.get("role", "")), lang), "row"),
        ("edition", lambda row: "" if pd.isna(row.get("year")) else exempt(whole(row["year"])), "short"),
        ("check", lambda row: word("check", row.get("check"), lang), "short"),
        ("severity", lambda row: word("severity", row.get("severity"), lang), "short"),
        ("message", lambda row: exempt(row.get(explain, "")) if explain else "", ""),
    ]
    headers: list[tuple[object, str]] = [(t(f"column.{name}", lang), kind) for name, _, kind in shown]
    rows = [[make(row) for _, make, _ in shown] for row in records(quality)]
    return table(headers, rows, caption=t("caption.quality", lang), lang=lang, css="quality")


def finding_table(
    checkup: CheckupView,
    lang: str,
    *,
    least: int = 1,
    zone_level: str | None = None,
    limit: int | None = None,
) -> Html:
    """Warnings on indicators, worst first: level, indicator, place, value, target and basis.

    Parameters
    ----------
    checkup : Checkup
        Findings and values.
    lang : {"zh", "en"}
        Language.
    least : int
        Lowest level listed, 0 to 4.
    zone_level : str, optional
        Findings of one zone level only.
    limit : int, optional
        At most so many rows.
    """
    headers: list[tuple[object, str]] = [
        (t("column.level", lang), "short"),
        (t("column.finding", lang), "row"),
    ]
    headers += [(t("column.place", lang), "short"), (t("column.value", lang), "number")]
    headers += [(t("column.target", lang), "number"), (t("column.clause", lang), "")]
    rows: list[list[object]] = []
    by_id = {row["value_id"]: row for row in records(checkup.values)}
    for row in records(warnings_of(checkup, least=least, zone_level=zone_level).head(limit or 10**9)):
        indicator = str(row["indicator"] or "")
        value = by_id.get(row.get("value_id"))
        rows.append(
            [
                level_chip(row["level"], lang),
                _indicator_name(indicator, definition_of(checkup, indicator), lang),
                _place(row, lang),
                value_cell(value, lang, unit=True),
                _target_cell(checkup, indicator, lang),
                "" if pd.isna(row.get("clause")) else exempt(row["clause"]),
            ]
        )
    return table(headers, rows, caption=t("caption.findings", lang), lang=lang, css="findings")


def _place(row: Mapping[str, Any], lang: str) -> str:
    if str(row.get("zone_level") or "city") == "city":
        return plain("common.city", lang)
    return "" if pd.isna(row.get("zone_name")) else str(row["zone_name"])
