"""Tables behind the report: definitions with their basis, planned values, rules, data and their quality."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.evaluation.filled import filled_rows
from workbench.views.cells import (
    indicator_name,
    judgement,
    level_chip,
    localised,
    method_of,
    profile_text,
    role_label,
    table,
    tier_label,
    titles_of,
    value_cell,
    whole,
    word,
)
from workbench.views.html import Html, element, join
from workbench.views.numbers import date_text, find, num_of, reason_text, records
from workbench.views.openness import sensitivity_of
from workbench.views.rows import definition_of, in_order, level_title, warnings_of, worst_levels
from workbench.views.text import dimension_label, exempt, has, mark, paragraph, plain, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

Headers = list[tuple[object, str]]
BRACKET = re.compile(r"（[^（）]*）$| \([^()]*\)$")
"""Remark at the end of a citation; the note below the table makes it once for all."""
DOUBTS = ("from-memory", "inferred", "own", "found")
"""Marks of confidence in a definition, the weakest first."""


def _between(lang: str) -> str:
    return "、" if lang == "zh" else ", "


def _lines(parts: list[Html]) -> Html:
    return join([part for part in parts if part], "<br>")


def _small(key: str, text: object, lang: str) -> Html:
    """A line ``label: text`` in small letters; empty without text."""
    return Html("") if not text else element("span", Html(t(f"small.{key}", lang) + mark(text)), css="small")


def definition_table(checkup: CheckupView, lang: str) -> Html:
    """Every indicator with its value and what the value rests on, and the number by which it is traced.

    Columns: indicator and code; value; meaning and the denominator this value was divided by; tier and method; source
    and confidence; value id.
    """
    headers: Headers = [(t("column.indicator", lang), "row"), (t("column.value", lang), "number")]
    headers += [(t(f"column.{name}", lang), "") for name in ("definition", "method", "basis")]
    headers += [(t("column.value_id", lang), "short")]
    rows: list[list[object]] = []
    dimension = ""
    for row in in_order(checkup):
        definition = definition_of(checkup, row["indicator"])
        if row["dimension"] != dimension:
            dimension = row["dimension"]
            rows.append([dimension_label(dimension, lang)])
        meaning = [_small("meaning", localised(definition, "definition", lang), lang)]
        meaning += [_small("denominator", denominator_words(row, definition, lang), lang)]
        rows.append(
            [
                indicator_name(row["indicator"], definition, lang, code=True),
                num_of(row, lang=lang, unit=True),
                _lines(meaning),
                _method_cell(checkup, row, definition, lang),
                _basis_cell(definition, lang),
                element("code", str(row["value_id"]), css="x id"),
            ]
        )
    note = t("note.definitions", lang)
    return table(
        headers, rows, caption=t("caption.definitions", lang), lang=lang, css="definitions", note=note
    )


def denominator_words(row: Mapping[str, Any], definition: Any, lang: str) -> str:
    """What a value was divided by, and which other denominators its definition knows; empty for amounts.

    Parameters
    ----------
    row : mapping
        Row of the value table.
    definition : Indicator
        Its definition, with the denominators of its methods.
    lang : {"zh", "en"}
        Language.
    """
    first = str(getattr(definition, f"denominator_{lang}", "") or "")
    known = [
        first,
        *(getattr(one, f"denominator_{lang}", None) for one in getattr(definition, "methods", ())),
    ]
    named = list(dict.fromkeys(str(one) for one in known if one))
    own = row.get("denominator_en" if lang == "en" else "denominator")
    used = "" if pd.isna(row["value"]) or not own or pd.isna(own) else str(own)
    others = _between(lang).join(one for one in named if one != used)
    if pd.isna(row["value"]):
        return first
    if not used or not others:
        return used
    return plain(
        "denominator.preferred" if used == first else "denominator.other", lang, used=used, others=others
    )


def _method_cell(checkup: CheckupView, row: Mapping[str, Any], definition: Any, lang: str) -> Html:
    """Tier, formula and note of the method that gave a value, with those of proxy layers; else the reason."""
    if pd.isna(row["value"]):
        reason = reason_text(row, lang).partition("；补齐后可得")[0].partition("; would unlock")[0]
        return element("span", mark(reason), css="small")
    method = method_of(row, definition)
    layers = [checkup.city.layers.get(role) for role in getattr(method, "inputs", ())]
    notes = [getattr(method, f"note_{lang}", "")]
    notes += [getattr(one, f"note_{lang}", "") for one in layers if one is not None and one.tier == "proxy"]
    key = f"formula.{getattr(method, 'formula', '')}"
    shown = [tier_label(row["tier"], lang), _plain_small(plain(key, lang) if has(key) else "")]
    notes += [
        plain("filled_in.cell", lang, department=one["department"], file=one["source_file"], cell=one["cell"])
        for one in filled_rows(checkup.data, row)
    ]
    return _lines([*shown, *(_plain_small(note) for note in notes if note)])


def _plain_small(text: object) -> Html:
    return element("span", mark(text), css="small") if text else Html("")


def _basis_cell(definition: Any, lang: str) -> Html:
    confidence = str(getattr(definition, "confidence", ""))
    doubt = next((one for one in DOUBTS if one in confidence), "")
    cited = word("cited", getattr(definition, "source", ""), lang)
    parts = [element("span", mark(BRACKET.sub("", cited)), {"title": cited}, css="small")]
    if doubt:
        parts.append(element("span", plain(f"doubt.{doubt}", lang), {"title": confidence}, css="small doubt"))
    return _lines(parts)


def target_table(checkup: CheckupView, lang: str) -> Html:
    """All planned values: present value, value expected on the path, deviation, level, document; or why not comparable."""
    headers: Headers = [(t("column.indicator", lang), "row"), (t("column.target", lang), "number")]
    headers += [(t(f"column.{name}", lang), "number") for name in ("value", "expected", "deviation")]
    headers += [(t("column.level", lang), "short"), (t("column.explanation", lang), "")]
    levels = worst_levels(checkup)
    values = checkup.values
    planned = records(values[values["tier"] == "target"])
    rows: list[list[object]] = []
    sources: list[str] = []
    said = _judgements(checkup, lang)
    for target in checkup.city.targets:
        row = next(
            (r for r in planned if r["indicator"] == target.indicator and int(r["year"]) == target.year), None
        )
        if row is None:
            continue
        now = find(checkup, target.indicator, level="city", year=checkup.year)
        known = now is not None and not pd.isna(now["value"])
        path = [
            find(checkup, f"report.{name}.{target.indicator}", level="report", zone=str(target.year))
            for name in ("expected", "deviation")
        ]
        level = -1 if not known else levels.get(target.indicator)
        notes = [
            _plain_small(getattr(target, f"note_{lang}", "")),
            _plain_small(said.get(target.indicator, "")),
        ]
        if not known:
            reason = reason_text(now, lang) if now is not None else plain("target.not_defined", lang)
            short = reason.partition("；补齐后可得")[0].partition("; would unlock")[0]
            notes.append(_plain_small(short))
        sources.append(profile_text(checkup, getattr(target, "source", ""), lang))
        rows.append(
            [
                indicator_name(target.indicator, definition_of(checkup, target.indicator), lang),
                _planned(row, target, lang),
                value_cell(now, lang, unit=True) if known else value_cell(now, lang),
                value_cell(path[0], lang),
                value_cell(path[1], lang, unit=True),
                level_chip(level, lang) if level is not None else mark(plain("level.unrated", lang)),
                _lines(notes),
            ]
        )
    if not rows:
        return paragraph("chart.target_none", lang)
    found = list(dict.fromkeys(text for text in sources if text))
    note = t("note.targets", lang, sources=mark(("；" if lang == "zh" else "; ").join(found)))
    return table(headers, rows, caption=t("caption.targets", lang), lang=lang, css="targets", note=note)


def _judgements(checkup: CheckupView, lang: str) -> dict[str, str]:
    """What the worst warning on each target says of the whole city, without the indicator's name."""
    found = warnings_of(checkup, least=1, zone_level="city")
    if found.empty:
        return {}
    found = found[found["kind"].isin(["floor", "cap", "path"])]
    said: dict[str, str] = {}
    for row in records(found):
        title = titles_of(definition_of(checkup, row["indicator"]), lang, row["indicator"])
        said.setdefault(row["indicator"], judgement(row, title, lang))
    return said


def _planned(row: Mapping[str, Any], target: Any, lang: str) -> Html:
    sign = {">=": "≥", "<=": "≤"}.get(target.op, "=")
    year = t("common.year", lang, year=exempt(int(row["year"])))
    bracket = Html(f"（{year}）") if lang == "zh" else Html(f" ({year})")
    return Html(f"{sign}{num_of(row, lang=lang, unit=True)}{bracket}")


def rule_table(checkup: CheckupView, lang: str) -> Html:
    """Rules that judged the year: limits, levels, basis, and how sure they are."""
    from workbench.rules.library import load_rules

    used = set(checkup.findings["rule"]) if len(checkup.findings) else set()
    headers: Headers = [
        (t("column.rule", lang), "row"),
        (t("column.limits", lang), ""),
        (t("column.levels", lang), ""),
    ]
    headers += [(t("column.clause", lang), ""), (t("column.verifiability", lang), "short")]
    rows: list[list[object]] = []
    for rule in load_rules().values():
        if rule.id not in used:
            continue
        limits = [
            Html(mark(word("limit", name, lang)) + Html(" ") + exempt(_limit(value)))
            for name, value in rule.parameters.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        levels = [
            Html(f"{mark(_outcome(name, lang))} {level_chip(level, lang)}")
            for name, level in rule.levels.items()
        ]
        doubt = plain("confidence.proposal" if "proposal" in rule.confidence else "confidence.found", lang)
        rows.append(
            [
                getattr(rule, f"title_{lang}"),
                _lines(limits),
                join(levels, " "),
                _lines(
                    [
                        mark(word("clause", rule.clause, lang)),
                        element("span", doubt, {"title": rule.confidence}, css="small doubt"),
                    ]
                ),
                rule.verifiability if lang == "zh" else _listed_words("verified", rule.verifiability, lang),
            ]
        )
    return table(
        headers, rows, caption=t("caption.rules", lang), lang=lang, css="rules", note=t("note.rules", lang)
    )


def _limit(value: float) -> str:
    return f"{value:g}"


def _outcome(name: str, lang: str) -> str:
    shown = word("outcome", name, lang)
    return shown if shown != name else word("permit", name, lang)


def _listed_words(group: str, text: str, lang: str) -> str:
    return _between(lang).join(word(group, part, lang) for part in text.split("、"))


def _layer_name(checkup: CheckupView, role: str, lang: str) -> str:
    return level_title(checkup, role, lang) or role_label(role, lang)


def data_table(checkup: CheckupView, lang: str) -> Html:
    """Layers of the city: edition, source, licence, date, tier, sensitivity and checksum."""
    names = ("edition", "source", "licence", "date", "tier", "sensitivity", "checksum")
    headers: Headers = [(t("column.layer", lang), "row")]
    headers += [
        (t(f"column.{name}", lang), "" if name in ("source", "licence") else "short") for name in names
    ]
    rows: list[list[object]] = []
    for role, spec in checkup.city.layers.items():
        name: object = _layer_name(checkup, role, lang)
        years: list[int | None] = [*checkup.data.years(role)]
        for year in years or [None]:
            if not checkup.data.has(role, year):
                continue
            source = checkup.data.source(role, year)
            note = getattr(spec, f"note_{lang}", "") if year in (None, years[0] if years else None) else ""
            rows.append(
                [
                    name,
                    "" if year is None else exempt(year),
                    _lines(
                        [
                            mark(profile_text(checkup, source.source, lang)),
                            element("span", mark(note), css="small") if note else Html(""),
                        ]
                    ),
                    profile_text(checkup, source.licence, lang),
                    date_text(source.date),
                    tier_label(source.tier, lang),
                    word("sensitivity", source.sensitivity, lang),
                    exempt(str(source.sha256 or "")[:12]),
                ]
            )
            name = ""
    rows += _filled_layer(checkup, lang)
    return table(headers, rows, caption=t("caption.data", lang), lang=lang, css="data")


def _filled_layer(checkup: CheckupView, lang: str) -> list[list[object]]:
    """Row of the figures that departments filled in for the year; none without any."""
    known = getattr(checkup.data, "filled_in", None)
    table_ = known(checkup.year) if known is not None else None
    if table_ is None or table_.empty:
        return []
    source = checkup.data.source("statistics")
    who = ("、" if lang == "zh" else ", ").join(sorted(set(table_["department"].astype(str))))
    return [
        [
            t("filled_in.layer", lang),
            exempt(checkup.year),
            mark(plain("filled_in.source", lang, departments=who)),
            "",
            exempt(f"{checkup.year}-12-31"),
            tier_label("statutory", lang),
            word("sensitivity", source.sensitivity, lang),
            exempt(str(source.sha256 or "")[:12]),
        ]
    ]


def quality_table(checkup: CheckupView, lang: str) -> Html:
    """What was found while data were read: layer, year, check, severity and explanation; a sentence when there is nothing.

    Where the report has a chapter on data quality (rows ``quality.*``), it tells them; here its count and what it leaves
    out: notes, and findings on rasters.
    """
    quality = checkup.data.quality
    told = find(checkup, "quality.findings", level="report", zone="all")
    if told is not None:
        layers = checkup.city.layers
        raster = quality["role"].map(lambda role: role in layers and layers[role].kind == "raster")
        quality = quality[quality["severity"].eq("info") | raster.astype(bool)]
    said = (
        paragraph("quality.none", lang)
        if told is None
        else paragraph("quality.chapter", lang, count=num_of(told, lang=lang))
    )
    if quality.empty:
        return said
    columns = list(quality.columns)
    explain = next((name for name in (f"message_{lang}", "message", "detail") if name in columns), None)
    shown: list[tuple[str, Callable[[Mapping[str, Any]], object], str]] = [
        ("layer", lambda row: _layer_name(checkup, str(row.get("role", "")), lang), "row"),
        ("edition", lambda row: "" if pd.isna(row.get("year")) else exempt(whole(row["year"])), "short"),
        ("check", lambda row: word("check", row.get("check"), lang), "short"),
        ("severity", lambda row: word("severity", row.get("severity"), lang), "short"),
        ("message", lambda row: exempt(row.get(explain, "")) if explain else "", ""),
    ]
    headers: Headers = [(t(f"column.{name}", lang), kind) for name, _, kind in shown]
    rows = [[make(row) for _, make, _ in shown] for row in records(quality)]
    closed = [sensitivity_of(checkup, [str(row.get("role", ""))]) for row in records(quality)]
    listed = table(
        headers, rows, caption=t("caption.quality", lang), lang=lang, css="quality", row_sensitivity=closed
    )
    return listed if told is None else join([said, listed])


def method_notes(checkup: CheckupView, lang: str) -> Html:
    """Paragraphs of method and limits; what the city's profile makes necessary comes with them."""
    keys = ["values", "trace", "areas", "coverage", "lines", "missing", "judgement", "definitions"]
    notes = [paragraph(f"method.{key}", lang) for key in keys]
    names = substituted_scopes(checkup)
    if names:
        listed = _between(lang).join(plain(f"scope.{name}", lang) for name in names)
        notes.append(paragraph("method.scopes", lang, scopes=listed))
    if checkup.city.name == "demo":
        notes.append(paragraph("method.demo", lang))
    return join(notes)


def substituted_scopes(checkup: CheckupView) -> list[str]:
    """Scopes smaller than the territory that the profile lets a layer of the whole territory stand in for."""
    return scopes_replaced(checkup.city)


def scopes_replaced(city: Any) -> list[str]:
    """Scopes of a profile that are a layer of the whole territory, by name."""
    whole_roles = {city.scopes.get("市域"), "boundary", "districts", "city"} - {None, "scopes", "市域"}
    return [name for name, value in city.scopes.items() if name != "市域" and value in whole_roles]


__all__ = [
    "data_table", "definition_table", "method_notes", "quality_table", "rule_table", "scopes_replaced", "substituted_scopes",
    "target_table",
]  # fmt: skip
