"""Measures for the next year: what the rules ask for, data to be put right, data to be supplied, patches handed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.evaluation.gaps import gaps
from workbench.evaluation.problems import Problem
from workbench.indicators.values import highest_sensitivity
from workbench.rules.library import load_rules
from workbench.views.cells import level_chip, table, value_cell
from workbench.views.html import Html, join
from workbench.views.numbers import find, records
from workbench.views.problems import holder_of, problems_of, rule_kinds, sensitivity_of_problem, title_of
from workbench.views.rows import district_names, judged_any
from workbench.views.text import exempt, has, mark, paragraph, plain, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

BY_KIND = {
    "floor": "indicator_floor", "cap": "indicator_floor", "path": "indicator_behind", "trend": "indicator_trend",
    "peer_band": "indicator_peer",
}  # fmt: skip
"""What to do where a rule on an indicator carries no advice of its own."""
MOST_GAPS = 10


def measure_of(problem: Problem, lang: str) -> tuple[str, ...]:
    """Advice for a problem: of its rules where they give some, else that for its kind."""
    notes = [
        note
        for name in problem.rules
        if (rule := load_rules().get(name)) and (note := getattr(rule, f"note_{lang}"))
    ]
    if notes:
        return tuple(dict.fromkeys(notes))
    if problem.kind == "indicator":
        keys = [BY_KIND.get(kind, "indicator_trend") for kind in rule_kinds(problem).values()]
        return (plain(f"measures.{keys[0] if keys else 'indicator_trend'}", lang),)
    return (plain(f"measures.{problem.kind}", lang),) if has(f"measures.{problem.kind}") else ()


def level_of(checkup: CheckupView, problem: Problem, measure: str, lang: str) -> int:
    """Worst level of the findings of a problem whose rules ask for a measure; of the problem where no rule does."""
    rules = [
        name
        for name in problem.rules
        if (rule := load_rules().get(name)) and getattr(rule, f"note_{lang}") == measure
    ]
    found = checkup.findings
    some = found[found["finding_id"].isin(problem.findings) & found["rule"].isin(rules)]
    return int(some["level"].max()) if len(some) else problem.level


def measure_table(checkup: CheckupView, lang: str) -> Html:
    """Measures, each with the problems it answers, their worst level, who, and by when; the most urgent first."""
    by_measure: dict[str, list[Problem]] = {}
    for problem in problems_of(checkup):
        if problem.kind != "data":
            for measure in measure_of(problem, lang):
                by_measure.setdefault(measure, []).append(problem)
    if not by_measure:
        return paragraph("measures.none" if judged_any(checkup) else "measures.none_judged", lang)
    headers: list[tuple[object, str]] = [
        (t("column.level", lang), "short"),
        (t("measures.measure", lang), "row"),
    ]
    headers += [
        (t("measures.answers", lang), ""),
        (t("problems.who", lang), ""),
        (t("measures.deadline", lang), "short"),
    ]
    between = "、" if lang == "zh" else ", "
    lines: list[list[object]] = []
    closed: list[str] = []
    ordered = sorted(
        by_measure.items(), key=lambda item: -max(level_of(checkup, one, item[0], lang) for one in item[1])
    )
    for measure, answered in ordered:
        level = max(level_of(checkup, one, measure, lang) for one in answered)
        closed.append(highest_sensitivity(sensitivity_of_problem(checkup, one) for one in answered))
        named = dict.fromkeys(
            name for one in answered for name in holder_of(checkup, one, lang).split(between)
        )
        holders = [name for name in named if not any(one != name and one.startswith(name) for one in named)]
        when = "now" if level == 4 else "quarter" if level == 3 else "year"
        lines.append(
            [
                level_chip(level, lang), mark(measure),
                mark(between.join(title_of(checkup, one, lang) for one in answered)), mark(between.join(holders)),
                t(f"measures.{when}", lang),
            ]
        )  # fmt: skip
    return table(
        headers, lines, caption=t("measures.caption", lang), lang=lang, css="measures", row_sensitivity=closed
    )


def data_table(checkup: CheckupView, lang: str) -> Html:
    """Problems of the data: which rule, what it is about, how many findings, who."""
    found = [one for one in problems_of(checkup) if one.kind == "data"]
    if not found:
        return paragraph("measures.no_data", lang)
    headers: list[tuple[object, str]] = [(t("column.level", lang), "short"), (t("column.check", lang), "row")]
    headers += [(t("column.count", lang), "number"), (t("problems.who", lang), "")]
    lines: list[list[object]] = []
    for one in found:
        count = value_cell(
            find(checkup, "report.problem_findings", level="report", zone=f"data/{one.subject}"), lang
        )
        lines.append(
            [
                level_chip(one.level, lang),
                mark(title_of(checkup, one, lang)),
                count,
                mark(holder_of(checkup, one, lang)),
            ]
        )
    return table(headers, lines, caption=t("measures.caption_data", lang), lang=lang, css="data")


def first_gaps(checkup: CheckupView, lang: str) -> Html:
    """The missing data that would unlock most."""
    found = gaps(checkup.city, checkup.data, checkup.year, checkup.values, dict(checkup.definitions))
    found = [gap for gap in found if gap.alone and not gap.need.inapplicable][:MOST_GAPS]
    if not found:
        return paragraph("measures.no_gaps", lang)
    headers: list[tuple[object, str]] = [(t("column.lacking", lang), "row"), (t("column.holder", lang), "")]
    headers += [(t("missing_data.alone", lang), "number")]
    lines: list[list[object]] = []
    for gap in found:
        what, holder = gap.need.say(lang)
        row = find(checkup, "report.unlocks_alone", level="report", zone=gap.need.key)
        lines.append([mark(what), mark(holder), value_cell(row, lang)])
    return table(headers, lines, caption=t("measures.caption_gaps", lang), lang=lang, css="gaps")


def handed_table(checkup: CheckupView, lang: str) -> Html | None:
    """Patches without full permits by line and district, handed on to be checked; None when there are none."""
    values = checkup.values
    rows = values[(values["indicator"] == "report.cases_open") & (values["year"] == checkup.year)]
    rows = rows[rows["zone"].str.contains("/") & (rows["value"] > 0)]
    if rows.empty:
        return None
    names = district_names(checkup, lang)
    codes = [code for code in names if rows["zone"].str.endswith(f"/{code}").any()]
    by_zone = {str(row["zone"]): row for row in records(rows)}
    lines_of = list(dict.fromkeys(str(zone).partition("/")[0] for zone in rows["zone"]))
    headers: list[tuple[object, str]] = [(t("column.line", lang), "row")]
    headers += [(mark(names[code]), "number") for code in codes] + [(t("common.total", lang), "number")]
    lines: list[list[object]] = []
    for line in lines_of:
        key = f"line_table.{line}" if has(f"line_table.{line}") else f"role.{line}"
        whole = find(checkup, "report.cases_open", level="report", zone=line, year=checkup.year)
        name = t(key, lang) if has(key) else exempt(line)
        lines.append(
            [
                name,
                *(value_cell(by_zone.get(f"{line}/{code}"), lang) for code in codes),
                value_cell(whole, lang),
            ]
        )
    return table(headers, lines, caption=t("measures.caption_handed", lang), lang=lang, css="lines")


def measures_lead(checkup: CheckupView, lang: str) -> Html:
    """What the measures rest on."""
    return join([paragraph("measures.lead", lang)])
