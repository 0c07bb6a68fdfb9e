"""What is missing, who holds it and what it would unlock; and what the values rest on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.evaluation.gaps import Gap, Need, gaps, needs
from workbench.evaluation.summary import LINES
from workbench.views import style
from workbench.views.cells import indicator_name, table, titles_of, value_cell
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.html import Html
from workbench.views.layout import display_width, wrap
from workbench.views.numbers import find, num_of, reason_text
from workbench.views.rows import definition_of, in_order
from workbench.views.text import dimension_label, exempt, mark, paragraph, plain, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

STATES = ("computed", "substituted", "reported", "missing")
BASES = ("layers", "tables", "reported")
LACKING = ("no_layer", "no_year", "no_scope", "no_item", "no_item_year", "stale")
"""Reasons that are told by all that is missing, not by the first of it."""
MOST_BARS = 14
"""Missing things drawn; the table has all of them."""
MOST_NAMED = 24
"""Indicators named in a cell; the appendix lists all."""


def _gaps(checkup: CheckupView) -> list[Gap]:
    return gaps(checkup.city, checkup.data, checkup.year, checkup.values, dict(checkup.definitions))


def _number(checkup: CheckupView, name: str, zone: str, lang: str) -> Html:
    row = find(checkup, name, level="report", zone=zone, year=checkup.year)
    return num_of(row, lang=lang) if row is not None else Html("")


def lead(checkup: CheckupView, lang: str, *, listed: bool = True) -> Html:
    """Sentence: how many indicators were computed, substituted, reported, missing, and how many things are missing.

    Parameters
    ----------
    checkup : Checkup
        Value table with the rows ``report.state.*``.
    lang : {"zh", "en"}
        Language.
    listed : bool
        Whether the list of what is missing follows; else the sentence tells where it stands.
    """
    states = {name: _number(checkup, f"report.state.{name}", "all", lang) for name in STATES}
    never = find(checkup, "report.inapplicable", level="report", zone="all", year=checkup.year)
    return paragraph(
        "missing_data.lead", lang, **states, total=_number(checkup, "report.total", "all", lang),
        layers=_number(checkup, "report.on_layers", "all", lang), gaps=_number(checkup, "report.gaps", "all", lang),
        year=exempt(checkup.year), city=getattr(checkup.city, f"name_{lang}"),
        where=t("missing_data.listed" if listed else "missing_data.elsewhere", lang),
        never=t("missing_data.of_it_never", lang, count=num_of(never, lang=lang)) if never and never["value"] else "",
    )  # fmt: skip


def basis_table(checkup: CheckupView, lang: str) -> Html:
    """Number of indicators computed, substituted, reported and missing, by what they rest on."""
    headers: list[tuple[object, str]] = [(t("missing_data.state", lang), "row")]
    headers += [(t(f"basis_of.{name}", lang), "number") for name in BASES]
    headers += [(t("common.total", lang), "number")]
    lines: list[list[object]] = [
        [
            t(f"state_of.{state}", lang),
            *(_number(checkup, f"report.state.{state}", basis, lang) for basis in (*BASES, "all")),
        ]
        for state in STATES
    ]
    return table(headers, lines, caption=t("missing_data.caption_basis", lang), lang=lang, css="basis")


def gap_table(checkup: CheckupView, lang: str) -> Html:
    """Missing data: what, who holds it, how many indicators it unlocks alone and with others, and which."""
    found = _gaps(checkup)
    if not found:
        return paragraph("missing_data.none", lang)
    headers: list[tuple[object, str]] = [
        (t("column.lacking", lang), "row"),
        (t("column.holder", lang), ""),
        (t("missing_data.alone", lang), "number"),
        (t("missing_data.more", lang), "number"),
        (t("missing_data.which", lang), ""),
    ]
    lines: list[list[object]] = []
    for at, gap in enumerate(found):
        what, holder = gap.need.say(lang)
        if gap.need.inapplicable and not (at and found[at - 1].need.inapplicable):
            lines.append([t("missing_data.inapplicable", lang)])
        rows = [
            find(checkup, f"report.unlocks_{name}", level="report", zone=gap.need.key)
            for name in ("alone", "more")
        ]
        counts = ["—" if row is None else value_cell(row, lang) for row in rows]
        lines.append([mark(what), mark(holder), *counts, _names(checkup, [*gap.alone, *gap.more], lang)])
    return table(
        headers, lines, caption=t("missing_data.caption_gaps", lang), lang=lang, css="gaps",
        note=t("missing_data.note", lang),
    )  # fmt: skip


def _names(checkup: CheckupView, ids: list[str], lang: str) -> Html:
    names = [titles_of(definition_of(checkup, one), lang, one) for one in ids[:MOST_NAMED]]
    if len(ids) > MOST_NAMED:
        names.append("…")
    return mark(("、" if lang == "zh" else ", ").join(names))


def missing_table(checkup: CheckupView, lang: str) -> Html:
    """Indicators without a value for the city, grouped by dimension: why, and who holds what is missing in this city."""
    headers: list[tuple[object, str]] = [(t("column.indicator", lang), "row")]
    headers += [(t(f"column.{name}", lang), "") for name in ("reason", "holder")]
    lacks = needs(checkup.city, checkup.data, checkup.year, checkup.values, dict(checkup.definitions))
    rows: list[list[object]] = []
    dimension = ""
    for row in in_order(checkup):
        if not pd.isna(row["value"]):
            continue
        if row["dimension"] != dimension:
            dimension = row["dimension"]
            rows.append([dimension_label(dimension, lang)])
        definition = definition_of(checkup, row["indicator"])
        wanted = lacks.get(str(row["indicator"]), [])
        between = "、" if lang == "zh" else ", "
        held = [who for one in wanted if not one.inapplicable for who in one.say(lang)[1].split(between)]
        who = mark(between.join(dict.fromkeys(held)))
        rows.append(
            [indicator_name(row["indicator"], definition, lang), _why_missing(row, wanted, lang), who]
        )
    if not rows:
        return paragraph("missing.none", lang)
    return table(headers, rows, caption=t("caption.missing", lang), lang=lang, css="missing")


def _why_missing(row: Mapping[str, Any], wanted: Sequence[Need], lang: str) -> object:
    """Reason without the holders, who have a column of their own."""
    if str(row.get("reason") or "").partition(":")[0] in LACKING:
        names = ("、" if lang == "zh" else ", ").join(need.say(lang)[0] for need in wanted)
        return mark(plain("missing.lacks", lang, names=names))
    reason = reason_text(row, lang).partition("；补齐后可得")[0].partition("; would unlock")[0]
    return re.sub(r"[；;] ?(由|published by).*$", "", reason)


def no_lines(checkup: CheckupView, lang: str) -> Html:
    """Why no control line could be checked: the city has no such lines, or they are not at hand."""
    never = [inapplicable(checkup, role, lang) for role in LINES]
    if not all(never):
        return paragraph("no_input.control_lines", lang)
    return paragraph(
        "no_input.inapplicable", lang, notes=mark(("；" if lang == "zh" else "; ").join(map(str, never)))
    )


def inapplicable(checkup: CheckupView, role: str, lang: str) -> str:
    """What the profile says of a thing the city has none of; empty where it may be had."""
    hint = getattr(checkup.city, "missing", {}).get(role)
    return str(getattr(hint, f"note_{lang}", "")) if hint is not None and not hint.holder else ""


def gap_bars(checkup: CheckupView, lang: str) -> Figure | None:
    """Bars: the missing things that would unlock most; None when nothing is missing."""
    found = [gap for gap in _gaps(checkup) if gap.alone and not gap.need.inapplicable][:MOST_BARS]
    if not found:
        return None
    labels = []
    for gap in found:
        what, holder = gap.need.say(lang)
        text = f"{what}（{holder}）" if lang == "zh" else f"{what} ({holder})"
        labels.append("\n".join(wrap(text, 44)[:2]))
    height = 0.9 + 0.4 * len(found)
    figure = new_figure(7.6, height)
    left = min(0.5, 0.08 + 0.0095 * max(display_width(line) for text in labels for line in text.split("\n")))
    axes = figure.add_axes((left, 0.42 / height, 0.94 - left, (height - 0.9) / height))
    counts = [len(gap.alone) for gap in found]
    axes.barh(range(len(found)), counts, height=0.62, color=style.ACCENT)
    for at, count in enumerate(counts):
        axes.annotate(str(count), (count, at), (4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(found)), labels, fontsize=8.8)
    axes.set_ylim(len(found) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, max(counts) * 1.12)
    axes.xaxis.set_major_locator(_whole_ticks())
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    title = plain("missing_data.chart_title", lang)
    figure.text(0.02, 1 - 0.22 / height, title, fontsize=12.5, path_effects=style.heavy(), va="center")
    return render(
        figure, alt=plain("missing_data.chart_alt", lang), caption=t("missing_data.chart_title", lang), colours=64,
        sensitivity="公开",
    )  # fmt: skip


def _whole_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(8, integer=True)


def has_values(checkup: CheckupView) -> bool:
    """Whether the value table tells how the values came about."""
    row = find(checkup, "report.gaps", level="report", zone="all")
    return row is not None and not pd.isna(row["value"])
