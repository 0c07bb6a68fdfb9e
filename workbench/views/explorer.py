"""One indicator looked at from all sides: definition, methods, values by year and level, trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.views.cells import localised, method_of, role_label, table, tier_label, titles_of, word
from workbench.views.charts import district_dots
from workbench.views.figure import Figure
from workbench.views.html import Html, element
from workbench.views.maps import indicator_map
from workbench.views.numbers import date_text, find, num_of, reason_text, records
from workbench.views.rows import definition_of, district_names, in_order
from workbench.views.text import dimension_label, exempt, mark, paragraph, plain, t, unit_label

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

LEVELS = ("city", "district", "unit")


def first_indicator(checkup: CheckupView, wanted: str = "") -> str:
    """The indicator asked for; without one the first that has district values, else the first of the set."""
    if wanted:
        return wanted
    rows = [row for row in in_order(checkup, level="district") if pd.notna(row["value"])]
    rows = rows or in_order(checkup)
    return str(rows[0]["indicator"]) if rows else ""


def definition_card(checkup: CheckupView, indicator: str, lang: str) -> Html:
    """What the indicator means, word by word from the library, with its source and confidence."""
    definition = definition_of(checkup, indicator)
    if definition is None:
        return paragraph("explorer.unknown", lang, indicator=exempt(indicator))
    denominator = getattr(definition, f"denominator_{lang}", "")
    facts: list[tuple[str, object]] = [
        ("code", exempt(indicator)), ("title", mark(titles_of(definition, lang, indicator))),
        ("dimension", dimension_label(str(definition.dimension), lang)),
        ("scope", plain(f"scope.{definition.scope}", lang)), ("unit", mark(unit_label(str(definition.unit), lang))),
        ("direction", word("direction", definition.direction, lang)), ("meaning", mark(localised(definition, "definition", lang))),
        ("calculation", mark(getattr(definition, "calculation", ""))), ("denominator", mark(denominator)),
        ("source", mark(word("cited", getattr(definition, "source", ""), lang))),
        ("confidence", mark(getattr(definition, "confidence", ""))), ("holder", mark(localised(definition, "holder", lang))),
        ("unlocks", mark(localised(definition, "unlocks", lang))),
        ("version", exempt(getattr(definition, "definition_version", ""))),
    ]  # fmt: skip
    return _facts(facts, "explorer.caption_definition", lang)


def _facts(facts: list[tuple[str, object]], caption: str, lang: str) -> Html:
    headers: list[tuple[object, str]] = [(t("explorer.fact", lang), "row"), (t("explorer.content", lang), "")]
    lines: list[list[object]] = [[t(f"explorer.{name}", lang), text] for name, text in facts if text]
    return table(headers, lines, caption=t(caption, lang), lang=lang, css="facts")


def methods_table(checkup: CheckupView, indicator: str, lang: str) -> Html | None:
    """Ways of computing the indicator in order of preference, and which one was taken this year."""
    definition = definition_of(checkup, indicator)
    methods = getattr(definition, "methods", ())
    if not methods:
        return None
    row = find(checkup, indicator, level="city", year=checkup.year)
    used = method_of(row, definition) if row is not None and pd.notna(row["value"]) else None
    names = ("method", "basis", "inputs", "formula", "used")
    headers: list[tuple[object, str]] = [
        (t(f"explorer.{name}", lang), "row" if name == "method" else "") for name in names
    ]
    between = "、" if lang == "zh" else ", "
    lines: list[list[object]] = []
    for method in methods:
        note = getattr(method, f"note_{lang}", "")
        inputs = between.join(role_label(role, lang) for role in method.inputs)
        formula = Html(
            element("code", method.formula, css="x") + (element("p", mark(note), css="small") if note else "")
        )
        taken = plain("explorer.yes", lang) if method is used else ""
        lines.append(
            [
                tier_label(method.tier, lang),
                word("basis_of", method.basis, lang),
                mark(inputs),
                formula,
                taken,
            ]
        )
    return table(headers, lines, caption=t("explorer.caption_methods", lang), lang=lang, css="methods")


def values_table(checkup: CheckupView, indicator: str, lang: str) -> Html:
    """Every value of the indicator: level, zone, a column a year, tier and date of the latest."""
    values = checkup.values
    rows = values[
        (values["indicator"] == indicator) & values["level"].isin(LEVELS) & ~values["tier"].isin(["target"])
    ]
    if rows.empty:
        return paragraph("explorer.nothing", lang)
    years = sorted({int(year) for year in rows["year"]}, reverse=True)
    names = district_names(checkup, lang)
    headers: list[tuple[object, str]] = [
        (t("explorer.zone", lang), "row"),
        (t("explorer.level", lang), "short"),
    ]
    headers += [(exempt(year), "number") for year in years]
    headers += [(t("column.tier", lang), "short"), (t("column.date", lang), "short")]
    lines: list[list[object]] = []
    css: list[str] = []
    by_place = {(str(r["level"]), str(r["zone"]), int(r["year"])): r for r in records(rows)}
    for level in LEVELS:
        for zone in dict.fromkeys(place[1] for place in by_place if place[0] == level):
            found = [by_place.get((level, zone, year)) for year in years]
            latest: dict[str, Any] = next((row for row in found if row is not None), {})
            name = (
                plain("common.city", lang)
                if level == "city"
                else names.get(zone, str(latest.get("zone_name", zone)))
            )
            key = "unit_level" if level == "unit" else level
            lines.append(
                [
                    mark(name), t(f"explorer.{key}", lang), *(num_of(row, lang=lang) if row else "" for row in found),
                    tier_label(latest.get("tier"), lang), date_text(latest.get("data_date")),
                ]
            )  # fmt: skip
            css.append("total" if level == "city" else "")
    unit = unit_label(str(rows["unit"].iloc[0]), lang)
    note = t("common.unit", lang, unit=mark(unit)) if unit else None
    return table(
        headers,
        lines,
        caption=t("explorer.caption_values", lang),
        lang=lang,
        css="values",
        row_css=css,
        note=note,
    )


def trace_table(checkup: CheckupView, indicator: str, lang: str) -> Html:
    """Where the city's value comes from: id, method, layers with dates and checksums, versions, how to recompute."""
    row = find(checkup, indicator, level="city", year=checkup.year)
    if row is None:
        return paragraph("explorer.nothing", lang)
    facts: list[tuple[str, object]] = [("value", num_of(row, lang=lang, unit=True))]
    definition = definition_of(checkup, indicator)
    if pd.isna(row["value"]):
        facts.append(("content", mark(reason_text(row, lang))))
    else:
        method = method_of(row, definition)
        facts.append(("formula", element("code", getattr(method, "formula", ""), css="x")))
        facts.append(("inputs", _inputs(checkup, getattr(method, "inputs", ()), lang)))
    facts += [
        ("version", exempt(row.get("definition_version", ""))), ("inputs_hash", exempt(str(row.get("inputs_hash", ""))[:16])),
        ("code_version", exempt(row.get("code_version", ""))),
        ("recompute", element("code", f"workbench trace {row['value_id']}", css="x")),
    ]  # fmt: skip
    return _facts(facts, "explorer.caption_trace", lang)


def _inputs(checkup: CheckupView, roles: tuple[str, ...], lang: str) -> Html:
    parts = []
    for role in roles:
        year = checkup.year if checkup.data.years(role) else None
        if not checkup.data.has(role, year):
            continue
        source = checkup.data.source(role, year)
        name = mark(role_label(role, lang))
        parts.append(Html(f"{name} {exempt(date_text(source.date))} {exempt(str(source.sha256 or '')[:12])}"))
    return Html("<br>".join(parts))


def dots(checkup: CheckupView, indicator: str, lang: str) -> Figure | None:
    """Districts in order; None without district values."""
    return district_dots(checkup, indicator, lang) if has_districts(checkup, indicator) else None


def on_map(checkup: CheckupView, indicator: str, lang: str) -> Figure | None:
    """The indicator by district on the map; None without district values."""
    return indicator_map(checkup, indicator, lang) if has_districts(checkup, indicator) else None


def has_districts(checkup: CheckupView, indicator: str) -> bool:
    """Whether the indicator has a value in some district this year."""
    values = checkup.values
    keep = (
        (values["indicator"] == indicator)
        & (values["level"] == "district")
        & (values["year"] == checkup.year)
    )
    return bool(values.loc[keep & (values["tier"] != "target"), "value"].notna().any())
