"""Problems and their causes: each with its evidence, where, how much, since when, a lead to the cause, and who."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.evaluation.problems import KINDS, Problem, problem_sensitivity, problems
from workbench.rules.library import load_rules
from workbench.views.cells import (
    change_text,
    level_chip,
    localised,
    role_label,
    scope_label,
    table,
    titles_of,
    value_cell,
    word,
)
from workbench.views.html import Html, element, join
from workbench.views.numbers import date_words, find, num_of, records
from workbench.views.openness import guarded
from workbench.views.rows import (
    cases_of,
    definition_of,
    district_names,
    judged_any,
    ranked,
    target_row,
    wanted_way,
)
from workbench.views.text import exempt, has, mark, paragraph, plain, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

STATES = ("无", "未批先建", "批少占多", "过期", "不确定", "已批")
MOST_PLACES = 3
MOST_NUMBERS = 12
"""Numbers of permits or projects named in a sentence."""


def problems_of(checkup: CheckupView) -> list[Problem]:
    """Problems of the checkup, by kind, the worst first."""
    return problems(checkup.values, checkup.findings, checkup.year, city=checkup.city.name)


def sensitivity_of_problem(checkup: CheckupView, problem: Problem) -> str:
    """Who may read of a problem: the strictest sensitivity of what it rests on."""
    return problem_sensitivity(checkup.city, checkup.values, pd.DataFrame(checkup.findings), problem)


def _listed(parts: list[Html], lang: str) -> Html:
    return Html(("、" if lang == "zh" else ", ").join(parts))


def _report(checkup: CheckupView, name: str, zone: str) -> dict[str, Any] | None:
    return find(checkup, f"report.{name}", level="report", zone=zone, year=checkup.year)


def _cell(checkup: CheckupView, name: str, zone: str, lang: str, *, unit: bool = False) -> Html:
    return value_cell(_report(checkup, name, zone), lang, unit=unit)


def _rows(checkup: CheckupView, problem: Problem) -> pd.DataFrame:
    findings = checkup.findings
    return pd.DataFrame(findings[findings["finding_id"].isin(problem.findings)].drop(columns="geometry"))


def _line_name(line: str, lang: str) -> str:
    return plain(f"line_table.{line}", lang) if has(f"line_table.{line}") else role_label(line, lang)


def title_of(checkup: CheckupView, problem: Problem, lang: str) -> str:
    """Name of a problem."""
    if problem.kind == "line" and problem.subject == "land_use":  # no line at all: the rule says what it is
        return str(getattr(load_rules()[problem.rules[0]], f"title_{lang}"))
    if problem.kind == "line":
        return plain("problem.line_title", lang, line=_line_name(problem.subject, lang))
    if problem.kind == "indicator":
        return titles_of(definition_of(checkup, problem.subject), lang, problem.subject)
    if problem.kind == "ledger":
        return plain("problem.ledger_title", lang, zone=_zone_name(checkup, problem.subject, lang))
    rule = load_rules().get(problem.subject)
    return getattr(rule, f"title_{lang}", problem.subject)


def _zone_name(checkup: CheckupView, zone: str, lang: str) -> str:
    whole = plain("common.city", lang)
    return whole if zone == checkup.city.name else district_names(checkup, lang).get(zone, zone)


def holder_of(checkup: CheckupView, problem: Problem, lang: str) -> str:
    """Department responsible: the holder of an indicator, the owner of a rule."""
    if problem.kind == "indicator":
        return localised(definition_of(checkup, problem.subject), "holder", lang)
    owners = [rule.owner for name in problem.rules if (rule := load_rules().get(name)) and rule.owner]
    owner = owners[0] if owners else "自然资源局"
    return word("owner", owner, lang)


# ---------------------------------------------------------------------- evidence


def _worst_districts(checkup: CheckupView, indicator: str, lang: str) -> Html:
    """The districts with the worst values of a rate, with the values; empty for amounts."""
    way = wanted_way(checkup, indicator)
    definition = definition_of(checkup, indicator)
    values = checkup.values
    keep = (
        (values["indicator"] == indicator)
        & (values["level"] == "district")
        & (values["year"] == checkup.year)
    )
    rows = pd.DataFrame(ranked(records(values[keep & (values["tier"] != "target")])), columns=values.columns)
    if (
        way is None
        or not getattr(definition, "denominator_zh", "")
        or rows["value"].nunique() < 2
        or len(rows) < 3
    ):
        return Html("")
    names = district_names(checkup, lang)
    worst = records(rows.sort_values(["value", "zone"], ascending=[way == "up", True]).head(2))
    return _listed(
        [
            t(
                "problem.worst_place",
                lang,
                name=names.get(str(row["zone"]), ""),
                value=num_of(row, lang=lang, unit=True),
            )
            for row in worst
        ],
        lang,
    )


def _line_places(checkup: CheckupView, line: str, lang: str) -> Html:
    """Districts with most patches of a line, with number and area."""
    values = checkup.values
    keep = (values["indicator"] == "report.cases") & (values["year"] == checkup.year)
    rows = values[keep & values["zone"].str.startswith(f"{line}/")].sort_values(
        ["value", "zone"], ascending=[False, True]
    )
    names = district_names(checkup, lang)
    parts = []
    for row in records(rows.head(MOST_PLACES)):
        zone = str(row["zone"])
        name = names.get(zone.partition("/")[2], zone.partition("/")[2])
        area = _cell(checkup, "cases_ha", zone, lang)
        parts.append(t("problem.line_place", lang, name=name, count=num_of(row, lang=lang), ha=area))
    return Html(("；" if lang == "zh" else "; ").join(parts))


def _period(rows: pd.DataFrame, lang: str) -> Html:
    first, last = pd.to_datetime(rows["date_before"]).min(), pd.to_datetime(rows["date_after"]).max()
    if pd.isna(first) or pd.isna(last):
        return Html("")
    return t("problems.period", lang, first=date_words(first, lang), last=date_words(last, lang))


def _since(checkup: CheckupView, problem: Problem) -> str:
    """``new``, ``again``, or ``not_known`` where last year was not judged."""
    before = getattr(checkup, "before", None)
    if before is None:
        return "not_known"
    column = {"indicator": "indicator", "line": "line"}.get(problem.kind, "rule")
    return "again" if (before[column] == problem.subject).any() else "new"


def _line_sentences(checkup: CheckupView, problem: Problem, lang: str) -> Iterator[Html]:
    line = problem.subject
    yield t(
        "problem.line", lang, period=_period(cases_of(checkup, line), lang), line=_line_name(line, lang),
        count=_cell(checkup, "cases", line, lang), ha=_cell(checkup, "cases_ha", line, lang),
        mu=_cell(checkup, "cases_mu", line, lang), severe=_cell(checkup, "cases_4", line, lang),
        serious=_cell(checkup, "cases_3", line, lang), open=_cell(checkup, "cases_open", line, lang),
    )  # fmt: skip
    if places := _line_places(checkup, line, lang):
        yield t("problem.line_where", lang, where=places)
    states = [
        t("problem.line_state", lang, state=word("permit", state, lang), count=num_of(row, lang=lang))
        for state in STATES
        if (row := _report(checkup, f"permit.{state}", line)) is not None
    ]
    if states:
        yield t("problem.line_permits", lang, states=_listed(states, lang))


def _indicator_sentences(checkup: CheckupView, problem: Problem, lang: str) -> Iterator[Html]:
    name = problem.subject
    definition = definition_of(checkup, name)
    now = find(checkup, name, level="city", year=checkup.year)
    if now is None:
        return
    yield t(
        "problem.indicator", lang, year=exempt(checkup.year), scope=scope_label(definition, lang, now),
        title=titles_of(definition, lang, name), value=num_of(now, lang=lang, unit=True),
    )  # fmt: skip
    goal = target_row(checkup, name)
    if goal is not None:
        zone = str(int(goal["year"]))
        path = [_report(checkup, f"{one}.{name}", zone) for one in ("expected", "deviation")]
        if path[0] is not None and path[1] is not None:
            yield t(
                "problem.expected", lang, expected=num_of(path[0], lang=lang, unit=True),
                deviation=num_of(path[1], lang=lang, unit=True, sign=True),
            )  # fmt: skip
        gap = _report(checkup, f"gap.{name}", zone)
        if gap is not None:
            yield t(
                "problem.target", lang, year=exempt(zone), target=num_of(goal, lang=lang, unit=True),
                gap=num_of(gap, lang=lang, unit=True, sign=True, difference=True),
            )  # fmt: skip
    change = find(checkup, f"report.change.{name}", level="report", year=checkup.year)
    if change is not None and pd.notna(change["value"]):
        shown = num_of(change, lang=lang, unit=True, sign=True, difference=True)
        yield t("problem.change", lang, change=shown)
        yield from _revision(checkup, name, lang)
    if worst := _worst_districts(checkup, name, lang):
        yield t("problem.worst", lang, where=worst)


def _revision(checkup: CheckupView, indicator: str, lang: str) -> Iterator[Html]:
    parts = {
        one: find(checkup, f"report.parts.{one}.{indicator}", level="report", year=checkup.year)
        for one in ("data_revision", "definition_revision", "real_change", "total_change")
    }
    known = {one: row for one, row in parts.items() if row is not None and pd.notna(row["value"])}
    if len(known) == 4 and any(
        abs(float(known[one]["value"])) > 1e-9 for one in ("data_revision", "definition_revision")
    ):
        shown = {
            one: num_of(row, lang=lang, unit=True, sign=True, difference=True) for one, row in known.items()
        }
        yield t(
            "problem.revision", lang, data=shown["data_revision"], definition=shown["definition_revision"],
            real=shown["real_change"],
            total=shown["total_change"],
        )  # fmt: skip


def _other_sentences(checkup: CheckupView, problem: Problem, lang: str) -> Iterator[Html]:
    if problem.kind == "ledger":
        zone = problem.subject
        numbers = {
            name: _cell(checkup, f"quota_{name}", zone, lang)
            for name in ("total", "used", "left", "used_year")
        }
        if not numbers["total"]:
            numbers = {
                name: value_cell(find(checkup, f"report.quota_{name}", zone=zone, year=checkup.year), lang)
                for name in numbers
            }
        yield t(
            "problem.ledger", lang, year=exempt(checkup.year), zone=_zone_name(checkup, zone, lang), **numbers
        )
        return
    rows = _rows(checkup, problem)
    numbers_named = list(dict.fromkeys(str(zone) for zone in rows["zone"]))
    named = _listed([exempt(one) for one in numbers_named[:MOST_NUMBERS]], lang)
    if len(numbers_named) > MOST_NUMBERS:
        named = Html(named + t("problem.and_more", lang))
    count = _cell(checkup, "problem_findings", f"{problem.kind}/{problem.subject}", lang)
    yield t("problem.permits", lang, title=title_of(checkup, problem, lang), count=count, names=named)


def sentences(checkup: CheckupView, problem: Problem, lang: str) -> list[Html]:
    """What is to be said of a problem, sentence by sentence; every number is a row of the value table."""
    if problem.kind == "line":
        said = list(_line_sentences(checkup, problem, lang))
    elif problem.kind == "indicator":
        said = list(_indicator_sentences(checkup, problem, lang))
    else:
        said = list(_other_sentences(checkup, problem, lang))
    since = _since(checkup, problem)
    if since != "not_known" and problem.kind in ("indicator", "line"):
        said.append(t(f"problem.{since}", lang))
    rules = [rule for name in problem.rules if (rule := load_rules().get(name))]
    titles = dict.fromkeys(str(getattr(rule, f"title_{lang}")) for rule in rules)
    if titles and problem.kind == "indicator":
        said.append(t("problem.judged", lang, rules=_listed([mark(one) for one in titles], lang)))
    said.append(t("problem.who", lang, who=mark(holder_of(checkup, problem, lang))))
    return said


def lead(checkup: CheckupView, lang: str) -> Html:
    """How many problems there are, by kind."""
    found = _report(checkup, "problems", "all")
    if found is None or found["value"] == 0:
        key = "problems.none" if judged_any(checkup) else "problems.none_judged"
        return paragraph(key, lang, year=exempt(checkup.year))
    count = {kind: _cell(checkup, "problems", kind, lang) for kind in (*KINDS, "all")}
    name = getattr(checkup.city, f"name_{lang}")
    return paragraph("problems.lead", lang, year=exempt(checkup.year), city=name, **count)


def problem_table(checkup: CheckupView, lang: str) -> Html:
    """All problems: number, level, what, how many findings, since when, who."""
    headers: list[tuple[object, str]] = [
        (t("problems.number", lang), "short"),
        (t("column.level", lang), "short"),
    ]
    headers += [(t("problems.problem", lang), "row"), (t("problems.evidence", lang), "number")]
    headers += [
        (t("problems.where", lang), ""),
        (t("problems.since", lang), "short"),
        (t("problems.who", lang), ""),
    ]
    lines: list[list[object]] = []
    closed: list[str] = []
    kind, number = "", 0
    for one in problems_of(checkup):
        if one.kind == "data":
            continue
        if one.kind != kind:
            kind = one.kind
            lines.append([t(f"problem_kind.{kind}", lang)])
            closed.append("")
        closed.append(sensitivity_of_problem(checkup, one))
        number += 1
        since = _since(checkup, one)
        count = _cell(checkup, "problem_findings", f"{one.kind}/{one.subject}", lang)
        lines.append(
            [
                exempt(number), level_chip(one.level, lang), mark(title_of(checkup, one, lang)),
                t("problems.findings", lang, count=count), _where(checkup, one, lang),
                t(f"problems.{since}", lang, **({"year": exempt(checkup.year - 1)} if since == "again" else {})),
                mark(holder_of(checkup, one, lang)),
            ]
        )  # fmt: skip
    return table(
        headers, lines, caption=t("problems.caption", lang), lang=lang, css="problems", row_sensitivity=closed
    )


def _where(checkup: CheckupView, problem: Problem, lang: str) -> Html:
    if problem.kind == "line":
        return _line_places(checkup, problem.subject, lang)
    if problem.kind == "indicator":
        found = _worst_districts(checkup, problem.subject, lang)
        return found or mark(plain("common.city", lang))
    if problem.kind == "ledger":
        return mark(_zone_name(checkup, problem.subject, lang))
    rows = _rows(checkup, problem)
    codes = [str(one) for one in rows.get("district", pd.Series(dtype=str)) if one]
    return _listed([mark(_zone_name(checkup, one, lang)) for one in dict.fromkeys(codes)], lang) or mark("—")


def section(checkup: CheckupView, kind: str, lang: str) -> Html | None:
    """Every problem of a kind as a heading and a paragraph; None when there is none."""
    found = [one for one in problems_of(checkup) if one.kind == kind]
    if not found:
        return None
    blocks = []
    between = "" if lang == "zh" else " "
    for one in found:
        head = Html(f"{mark(title_of(checkup, one, lang))} {level_chip(one.level, lang)}")
        text = join(sentences(checkup, one, lang), between)
        told = Html(element("h3", head) + element("p", text) + _largest(checkup, one, lang))
        blocks.append(guarded("div", told, sensitivity_of_problem(checkup, one)))
    return element("div", join(blocks), css="problems")


def _largest(checkup: CheckupView, problem: Problem, lang: str, *, most: int = 3) -> Html:
    """The largest patches of a line, one an item."""
    if problem.kind != "line":
        return Html("")
    rows = _rows(checkup, problem).sort_values(["area_m2", "finding_id"], ascending=[False, True]).head(most)
    names = district_names(checkup, lang)
    items = []
    for row in records(rows):
        area = find(checkup, "case.area_m2", level="case", zone=str(row["finding_id"]))
        facts: list[Html] = [
            exempt(row["finding_id"]), mark(names.get(str(row["district"]), "")), mark(change_text(row, lang)),
            value_cell(area, lang, unit=True), mark(word("permit", row.get("permit_state"), lang)),
        ]  # fmt: skip
        items.append(element("li", _listed([one for one in facts if one], lang)))
    return element("ul", join(items))


def rule_kinds(problem: Problem) -> Mapping[str, str]:
    """Kind of each rule of a problem."""
    return {name: rule.kind for name in problem.rules if (rule := load_rules().get(name))}
