"""Warnings as a table: what was judged, where, against what, on which basis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.rules.library import load_rules
from workbench.views.cells import indicator_name, judgement, level_chip, table, titles_of, value_cell, word
from workbench.views.html import Html, escape
from workbench.views.numbers import find, num_of, records
from workbench.views.openness import sensitivity_of_findings
from workbench.views.rows import definition_of, district_names, target_row, warnings_of
from workbench.views.text import exempt, mark, paragraph, plain, t, unit_label

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

MOST_PLACES = 12
"""Permits or projects named in one row."""
ABOUT_DATA = ("freshness", "consistency")
"""Kinds of rule that judge the data, not the city."""


def target_cell(checkup: CheckupView, indicator: str, lang: str) -> Html:
    """Next planned value of an indicator with its sign and year; empty without one."""
    row = target_row(checkup, indicator)
    if row is None:
        return Html("")
    op = {">=": "≥", "<=": "≤", "==": "=", "=": "="}.get(
        next((target.op for target in checkup.city.targets if target.indicator == indicator), ""), ""
    )
    year = t("common.year", lang, year=exempt(int(row["year"])))
    bracket = Html(f"（{year}）") if lang == "zh" else Html(f" ({year})")
    return Html(f"{escape(op)}{num_of(row, lang=lang)}{bracket}")


def finding_table(
    checkup: CheckupView,
    lang: str,
    *,
    least: int = 1,
    zone_level: str | None = None,
    limit: int | None = None,
) -> Html:
    """Warnings on indicators, worst first: level, indicator, place, value, what it was held against, judgement, basis.

    Districts that only stand apart from the others are not listed: :func:`workbench.views.peers.peer_table`. Warnings about the data (old, not consistent) come last, one row a rule. Without any warning a sentence says so.

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
    found = warnings_of(checkup, least=least, zone_level=zone_level)
    if len(found):  # districts that stand apart have a table of their own
        found = found[(found["kind"] != "peer_band") | (found["zone_level"] != "district")].head(
            limit or 10**9
        )
    if found.empty:
        rated = find(checkup, "report.rated", level="report", zone="all")
        blind = rated is not None and rated["value"] == 0
        return paragraph("findings.not_judged" if blind else f"findings.none_{max(1, least)}", lang)
    about_data = found["kind"].isin(ABOUT_DATA)
    headers: list[tuple[object, str]] = [
        (t("column.level", lang), "short"),
        (t("column.finding", lang), "row"),
    ]
    headers += [(t("column.place", lang), "short"), (t("column.value", lang), "number")]
    headers += [
        (t("column.against", lang), "number"),
        (t("column.judgement", lang), ""),
        (t("column.clause", lang), ""),
    ]
    by_id = {row["value_id"]: row for row in records(checkup.values)}
    rows: list[list[object]] = []
    on_values = found[~about_data]
    keys = [name for name in ("indicator", "zone", "kind", "threshold") if name in on_values]
    again = on_values["kind"].eq("path") & on_values.duplicated(keys)
    closed: list[str] = []
    told: set[tuple[str, int]] = set()
    for row in records(on_values[~again]):  # two rules on one path: the worst says it
        indicator = str(row["indicator"] or "")
        if not indicator:
            key = str(row["rule"]), int(row["level"])
            if key not in told:
                told.add(key)
                same = on_values[(on_values["rule"] == key[0]) & (on_values["level"] == key[1])]
                rows.append(_papers_row(checkup, same, by_id, lang))
                closed.append(sensitivity_of_findings(checkup, same))
            continue
        closed.append(
            sensitivity_of_findings(checkup, on_values[on_values["finding_id"] == row["finding_id"]])
        )
        definition = definition_of(checkup, indicator)
        rows.append(
            [
                level_chip(row["level"], lang),
                indicator_name(indicator, definition, lang),
                _place(checkup, row, lang),
                value_cell(by_id.get(row.get("value_id")), lang, unit=True),
                _against(checkup, row, lang),
                judgement(row, titles_of(definition, lang, indicator), lang),
                _clause(row, lang),
            ]
        )
    if about_data.any():
        rows.append([t("findings.about_data", lang)])
        closed.append("")
        groups = [part for _, part in found[about_data].groupby(["rule", "level"], sort=False)]
        closed += [
            sensitivity_of_findings(checkup, part) if part["zone_level"].ne("city").any() else ""
            for part in groups
        ]
        rows += [_data_row(checkup, part, by_id, lang) for part in groups]
    return table(
        headers, rows, caption=t("caption.findings", lang), lang=lang, css="findings", row_sensitivity=closed
    )


def _papers_row(
    checkup: CheckupView, found: pd.DataFrame, by_id: Mapping[str, Mapping[str, Any]], lang: str
) -> list[object]:
    """One row for all permits or projects that a rule warns of at one level: their numbers, the worst of their values."""
    row = records(found.assign(margin=found["margin"].astype(float).fillna(0)).sort_values("margin").head(1))[
        0
    ]
    listed = _listed([str(one) for one in found["zone"]], lang)
    value = value_cell(by_id.get(str(row.get("value_id"))), lang, unit=True)
    if value and found["value"].nunique() > 1:
        value = t("findings.worst", lang, value=value)
    return [
        level_chip(row["level"], lang), _rule_title(row, lang), exempt(listed), value,
        _limit(row, lang), judgement(row, "", lang), _clause(row, lang),
    ]  # fmt: skip


def _listed(names: Sequence[str], lang: str) -> str:
    """Names once each; of many the first and how many there are."""
    known = list(dict.fromkeys(names))
    listed = ("、" if lang == "zh" else ", ").join(known[:MOST_PLACES])
    if len(known) > MOST_PLACES:
        return plain("findings.more_places", lang, names=listed, count=str(len(known)))
    return listed


def _limit(row: Mapping[str, Any], lang: str) -> Html:
    """What a rule on a permit or project allows, as its parameters say."""
    limit = row.get("threshold")
    if limit is None or pd.isna(limit) or row.get("kind") not in ("cap", "floor"):
        return Html("")
    unit = unit_label(str(row["unit"]), lang)
    return t(f"against.{row['kind']}", lang, limit=exempt(f"{limit:g}"), unit=unit)


def _rule_title(row: Mapping[str, Any], lang: str) -> Html:
    """Name of the rule, for findings on permits and projects that judge no indicator."""
    rule = load_rules().get(str(row.get("rule")))
    return mark("" if rule is None else rule.title_en if lang == "en" else rule.title_zh)


def _clause(row: Mapping[str, Any], lang: str) -> Html:
    return mark(word("clause", row.get("clause"), lang))


def _data_row(
    checkup: CheckupView, found: pd.DataFrame, by_id: Mapping[str, Mapping[str, Any]], lang: str
) -> list[object]:
    """One row for all indicators that a rule about the data warns of; what it says of a layer, with its number."""
    first = records(found.head(1))[0]
    titles = [titles_of(definition_of(checkup, name), lang, name) for name in found["indicator"] if name]
    named = word("data_rule", first.get("rule"), lang)
    rule = _rule_title(first, lang) if named == first.get("rule") else mark(named)
    value = Html("") if titles else value_cell(by_id.get(str(first.get("value_id"))), lang, unit=True)
    told = ("、" if lang == "zh" else ", ").join(titles) or judgement(first, "", lang)
    return [level_chip(first["level"], lang), rule, "", value, "", told, _clause(first, lang)]


def _against(checkup: CheckupView, row: Mapping[str, Any], lang: str) -> Html:
    """Number a finding's value was held against: the target, the value expected on the path, last year's."""
    indicator, kind = str(row["indicator"]), str(row["kind"])
    name, found = "", None
    if kind == "path":
        zone = str(row["finding_id"]).rpartition("-")[2]
        name, found = "expected", find(checkup, f"report.expected.{indicator}", level="report", zone=zone)
    elif kind == "trend":
        name, found = "last_year", find(checkup, indicator, level="city", year=checkup.year - 1)
    if found is None:
        return target_cell(checkup, indicator, lang)
    return Html(f"{t(f'against.{name}', lang)}{num_of(found, lang=lang, unit=True)}")


def _place(checkup: CheckupView, row: Mapping[str, Any], lang: str) -> str:
    if str(row.get("zone_level") or "city") == "city":
        return plain("common.city", lang)
    name = "" if pd.isna(row.get("zone_name")) else str(row["zone_name"])
    return district_names(checkup, lang).get(str(row.get("zone")), name)
