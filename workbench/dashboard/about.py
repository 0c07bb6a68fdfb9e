"""What an indicator means, in the words of the library, and where the whole report lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from workbench.core.paths import home, reports_dir
from workbench.views.cells import localised, role_label, scope_label, tier_label, titles_of, word
from workbench.views.html import Html, element, join
from workbench.views.numbers import date_text, find, num_of, reason_text
from workbench.views.rows import cases_of, definition_of
from workbench.views.text import dimension_label, exempt, mark, plain, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView


def meaning(checkup: CheckupView, indicator: str, lang: str) -> str:
    """The definition of an indicator in one line, for a tooltip: words, formula, denominator."""
    definition = definition_of(checkup, indicator)
    parts = [
        (name, localised(definition, field, lang))
        for name, field in (
            ("meaning", "definition"),
            ("calculation", "calculation"),
            ("denominator", "denominator"),
        )
    ]
    colon = "：" if lang == "zh" else ": "
    lines = [f"{plain(f'explorer.{name}', lang)}{colon}{text}" for name, text in parts if text]
    return "\n".join([f"{titles_of(definition, lang, indicator)} ({indicator})", *lines])


def about(checkup: CheckupView, indicator: str, lang: str, *, unfolded: bool = False) -> Html:
    """Title, value, definition, denominator, tier, source and value id of an indicator, to be unfolded.

    Parameters
    ----------
    checkup : Checkup
        Values and definitions.
    indicator : str
        Indicator id; nothing is shown for one the library does not have.
    lang : {"zh", "en"}
        Language.
    unfolded : bool
        Show all of it at once.
    """
    definition = definition_of(checkup, indicator)
    if definition is None:
        return Html("")
    row = find(checkup, indicator, level="city", year=checkup.year)
    facts: list[tuple[str, object]] = [
        ("explorer.code", exempt(indicator)),
        ("explorer.dimension", dimension_label(str(definition.dimension), lang)),
        ("explorer.scope", scope_label(definition, lang, row)),
        ("explorer.meaning", mark(localised(definition, "definition", lang))),
        ("explorer.calculation", mark(getattr(definition, "calculation", ""))),
        ("explorer.denominator", mark(getattr(definition, f"denominator_{lang}", "") or "")),
        ("explorer.source", mark(word("cited", getattr(definition, "source", ""), lang))),
        ("explorer.holder", mark(localised(definition, "holder", lang))),
    ]
    head = element("b", mark(titles_of(definition, lang, indicator)))
    if row is not None:
        head += Html(f" {plain('dashboard.city_now', lang)} {num_of(row, lang=lang, unit=True)}")
        head += Html(f" {tier_label(row.get('tier'), lang)}")
        facts.insert(3, ("column.tier", tier_label(row.get("tier"), lang)))
        if pd.isna(row["value"]):
            facts.append(("explorer.content", mark(reason_text(row, lang))))
        facts.append(("column.date", date_text(row.get("data_date"))))
        facts.append(("dashboard.value_id", exempt(row["value_id"])))
    hint = element("span", plain("dashboard.about_hint", lang), css="wb-about-hint")
    lines = [
        element("dt", plain(key, lang)) + element("dd", text)
        for key, text in facts
        if text and str(text).strip()
    ]
    body = element("summary", Html(f"{head}{hint}")) + element("dl", join(lines))
    return element("details", body, {"open": "open" if unfolded else None}, css="wb-about")


def same_place(checkup: CheckupView, lang: str) -> dict[str, Html]:
    """For each patch whose ground lies on several lines: the other lines, by id of the finding."""
    from workbench.evaluation.derived import places

    cases = cases_of(checkup)
    if len(cases) < 2:
        return {}
    found: dict[str, Html] = {}
    between = "、" if lang == "zh" else ", "
    for _, part in cases.groupby(places(cases)):  # type: ignore[arg-type]
        lines = dict(zip(part["finding_id"].astype(str), part["line"].astype(str), strict=True))
        for name, line in lines.items():
            others = [one for one in dict.fromkeys(lines.values()) if one != line]
            if others:
                listed = between.join(role_label(one, lang) for one in others)
                found[name] = t("dashboard.same_place", lang, lines=mark(listed))
    return found


def counted_once(checkup: CheckupView, lang: str) -> Html:
    """How many places the patches are, as the report counts them; empty without that count."""
    row = find(checkup, "report.cases", level="report", zone="all", year=checkup.year)
    if row is None or pd.isna(row["value"]):
        return Html("")
    words = t("dashboard.places_once", lang, count=num_of(row, lang=lang))
    return element("div", words, css="wb-muted wb-once")


def report_page(city: str, year: int) -> Path | None:
    """Page of the latest report of a city and year; None while there is none."""
    latest = reports_dir() / city / str(year) / "latest"
    pages = (latest / "report.html", *sorted(latest.glob("*/report.html")))
    return next((page for page in pages if page.is_file()), None)


def report_line(checkup: CheckupView, lang: str) -> Html:
    """Line that tells where the whole report lies, or how it is made."""
    name, year = str(checkup.city.name), int(checkup.year)
    page = report_page(name, year)
    if page is None:
        return t("dashboard.report_none", lang, city=name, year=exempt(year))
    path = page.relative_to(home()).as_posix() if page.is_relative_to(home()) else page.name
    return t("dashboard.report_at", lang, path=element("code", path, css="x"))
