"""From the base year to the target year: the way done, where the pace leads, and what is advised for each target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.evaluation.pace import VERDICTS, Pace, paces
from workbench.views import style
from workbench.views.cells import Compared, indicator_name, rounding_note, table, titles_of, value_cell, word
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.html import Html, element, join
from workbench.views.layout import wrap
from workbench.views.numbers import find, format_number, num_of
from workbench.views.openness import guarded, sensitivity_of
from workbench.views.rows import definition_of
from workbench.views.text import exempt, paragraph, plain, t, unit_label

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

CHIPS = {"keep": 0, "adjust": 2, "revise": 4}
"""Verdict -> warning level whose colour its chip has."""
THIRD = 1 / 3
"""Share of targets to be examined from which the whole plan is."""


def _paces(checkup: CheckupView) -> list[Pace]:
    return paces(checkup.city, checkup.year, checkup.values)


def _row(checkup: CheckupView, name: str, pace: Pace) -> dict[str, Any] | None:
    return find(checkup, f"report.{name}.{pace.indicator}", level="report", zone=str(pace.target_year))


def overall(found: list[Pace]) -> str:
    """What is advised for the plan as a whole: ``keep``, ``adjust``, ``revise`` or ``none``."""
    known = [pace.verdict for pace in found if pace.verdict != "unknown"]
    if not known:
        return "none"
    if known.count("revise") > THIRD * len(known):
        return "revise"
    return "adjust" if set(known) != {"keep"} else "keep"


def verdict_text(checkup: CheckupView, lang: str) -> Html:
    """The advice for the plan, the counts behind it, and the rules it follows from."""
    found = _paces(checkup)
    if not found:
        return paragraph("pace.none", lang)
    count = {
        name: value_cell(find(checkup, "report.verdicts", level="report", zone=name), lang)
        for name in (*VERDICTS, "all")
    }
    rests_on = [row for pace in found if (row := _row(checkup, "verdict", pace)) is not None]
    level = sensitivity_of(checkup, (), rests_on)
    lead = guarded("p", t(f"pace.overall_{overall(found)}", lang), level, css="lead")
    rules = element("p", t("pace.rules", lang), css="wb-note")
    return element("div", join([lead, paragraph("pace.lead", lang, **count), rules]), css="conclusion")


def pace_table(checkup: CheckupView, lang: str) -> Html:
    """Every target: base value, value now, change since, target, value at the present pace, way done, advice."""
    headers: list[tuple[object, str]] = [
        (t("column.indicator", lang), "row"),
        (t("column.unit", lang), "short"),
    ]
    headers += [(t(f"pace.{name}", lang), "number") for name in ("base", "since")]
    headers += [(t("column.value", lang), "number"), (t("pace.goal", lang), "number")]
    headers += [(t(f"pace.{name}", lang), "number") for name in ("projected", "done", "time")]
    headers += [(t("pace.advice", lang), "short")]
    lines: list[list[object]] = []
    compared: list[Compared] = []
    for pace in _paces(checkup):
        now = find(checkup, pace.indicator, level="city", year=checkup.year)
        cells = {
            name: _row(checkup, name, pace)
            for name in ("base", "since_base", "projected", "done_pct", "time_pct")
        }
        compared.append((now, (cells["base"], cells["since_base"])))
        unit = unit_label(str((now or {}).get("unit", "")), lang)
        lines.append(
            [
                indicator_name(pace.indicator, definition_of(checkup, pace.indicator), lang), unit,
                _dated(cells["base"], pace.base_year, lang),
                num_of(cells["since_base"], lang=lang, sign=True) if cells["since_base"] else "", value_cell(now, lang),
                _goal(checkup, pace, lang), value_cell(cells["projected"], lang),
                value_cell(cells["done_pct"], lang, unit=True), value_cell(cells["time_pct"], lang, unit=True),
                verdict_chip(pace.verdict, lang),
            ]
        )  # fmt: skip
    note = rounding_note(compared, lang)
    return table(headers, lines, caption=t("pace.caption", lang), lang=lang, css="paces", note=note)


def _dated(row: dict[str, Any] | None, year: int, lang: str) -> Html:
    if row is None or pd.isna(row["value"]):
        return value_cell(row, lang)
    bracket = ("（", "）") if lang == "zh" else (" (", ")")
    return Html(f"{value_cell(row, lang)}{bracket[0]}{exempt(year)}{bracket[1]}")


def _goal(checkup: CheckupView, pace: Pace, lang: str) -> Html:
    values = checkup.values
    rows = values[
        (values["tier"] == "target")
        & (values["indicator"] == pace.indicator)
        & (values["year"] == pace.target_year)
    ]
    if rows.empty:
        return Html("")
    sign = {">=": "≥", "<=": "≤"}.get(pace.op, "=")
    first = {str(key): value for key, value in rows.iloc[0].to_dict().items()}
    return _dated_sign(first, sign, pace.target_year, lang)


def _dated_sign(row: dict[str, Any], sign: str, year: int, lang: str) -> Html:
    bracket = ("（", "）") if lang == "zh" else (" (", ")")
    return Html(f"{sign}{num_of(row, lang=lang)}{bracket[0]}{exempt(year)}{bracket[1]}")


def verdict_chip(verdict: str, lang: str) -> Html:
    """Advice as a chip in the colours of the warning levels."""
    level = CHIPS.get(verdict)
    return element(
        "span", word("verdict", verdict, lang), css=f"chip level-{'none' if level is None else level}"
    )


def pace_bars(checkup: CheckupView, lang: str) -> Figure | None:
    """Bars: share of the way done for each target, with a mark where time stands; None without any base value."""
    found = [pace for pace in _paces(checkup) if not pd.isna(pace.done_share)]
    if not found:
        return None
    height = 1.35 + 0.36 * len(found)
    figure = new_figure(7.6, height)
    axes = figure.add_axes((0.34, 0.55 / height, 0.6, (height - 1.3) / height))
    for at, pace in enumerate(found):
        done = 100 * pace.done_share
        shown = max(-40.0, min(140.0, done))
        colour = style.LEVEL_COLOURS.get(CHIPS.get(pace.verdict, -1), "#9e9e9e")
        axes.barh(at, shown, height=0.58, color=colour)
        end = shown if shown >= 0 else 0
        axes.annotate(
            format_number(done, 0), (end, at), (4, 0), textcoords="offset points", va="center", fontsize=8.8,
            path_effects=style.halo(), zorder=6,
        )  # fmt: skip
        axes.plot([100 * pace.time_share] * 2, [at - 0.4, at + 0.4], color=style.INK, linewidth=1.8, zorder=5)
    axes.axvline(0, color=style.INK, linewidth=0.8)
    axes.axvline(100, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    titles = [
        "\n".join(wrap(titles_of(definition_of(checkup, one.indicator), lang, one.indicator), 32)[:2])
        for one in found
    ]
    axes.set_yticks(range(len(found)), titles, fontsize=8.6)
    axes.set_ylim(len(found) - 0.45, -0.55)
    axes.set_xlim(-45, 155)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(plain("pace.chart_axis", lang))
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    _legend(figure, height, lang)
    title = plain("pace.chart_title", lang)
    figure.text(0.02, 1 - 0.22 / height, title, fontsize=12.5, path_effects=style.heavy(), va="center")
    rows = [row for pace in found if (row := _row(checkup, "done_pct", pace)) is not None]
    return render(
        figure, alt=plain("pace.chart_alt", lang), caption=t("pace.chart_title", lang), colours=96,
        sensitivity=sensitivity_of(checkup, (), rows),
    )  # fmt: skip


def _legend(figure: Any, height: float, lang: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(facecolor=style.LEVEL_COLOURS[level], label=plain(f"verdict.{name}", lang))
        for name, level in CHIPS.items()
    ]
    handles.append(
        Line2D([], [], color=style.INK, marker="|", linestyle="", markersize=11, markeredgewidth=1.8,
               label=plain("pace.chart_time", lang))
    )  # fmt: skip
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.02, 1 - 0.38 / height), ncols=4, fontsize=8.8,
        handlelength=1.2, columnspacing=1.3, handletextpad=0.45, borderaxespad=0,
    )  # fmt: skip
