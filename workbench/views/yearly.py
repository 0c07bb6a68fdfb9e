"""Year on year: the parts of each change, and what became of last year's problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.views import style
from workbench.views.cells import (
    Compared,
    change_text,
    indicator_name,
    level_chip,
    line_label,
    rounding_note,
    table,
    titles_of,
    value_cell,
    word,
)
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.html import Html
from workbench.views.layout import wrap
from workbench.views.numbers import find, num_of, reason_text, records
from workbench.views.openness import sensitivity_of
from workbench.views.rows import case_statuses, definition_of, district_names, in_order
from workbench.views.text import dimension_label, exempt, mark, paragraph, plain, t, unit_label

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

PARTS = ("real_change", "data_revision", "definition_revision", "code_revision")
REVISIONS = PARTS[1:]
COLOURS = {
    "real_change": "#1f4e79", "data_revision": "#d98c1f", "definition_revision": "#7b5aa6", "code_revision": "#8a949e",
}  # fmt: skip
TINY = 1e-9


def _parts(checkup: CheckupView) -> dict[str, dict[str, dict[str, Any]]]:
    """Rows of the decomposition: indicator -> part -> row."""
    values = checkup.values
    rows = values[(values["year"] == checkup.year) & values["indicator"].str.startswith("report.parts.")]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in records(rows):
        name, _, indicator = str(row["indicator"]).removeprefix("report.parts.").partition(".")
        found.setdefault(indicator, {})[name] = row
    return found


def _revised(parts: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(
        abs(float(parts[name]["value"])) > TINY for name in REVISIONS if pd.notna(parts[name]["value"])
    )


def _groups(checkup: CheckupView) -> tuple[list[str], list[str], list[str]]:
    """Indicators touched by a revision, with real change only, and not parted; in the order of the report."""
    parts = _parts(checkup)
    order = [row["indicator"] for row in in_order(checkup) if row["indicator"] in parts]
    whole = [one for one in order if pd.notna(parts[one]["total_change"]["value"])]
    revised = [one for one in whole if _revised(parts[one])]
    real = [
        one for one in whole if one not in revised and abs(float(parts[one]["total_change"]["value"])) > TINY
    ]
    return revised, real, [one for one in order if one not in whole]


def has_parts(checkup: CheckupView) -> bool:
    """Whether changes were parted."""
    return bool(_parts(checkup))


def parts_lead(checkup: CheckupView, lang: str) -> Html:
    """Sentence: how many indicators really changed and how many were touched by a revision."""
    if not has_parts(checkup):
        return paragraph("parts.none", lang)
    count = {
        zone: value_cell(find(checkup, "report.parts_count", level="report", zone=zone), lang)
        for zone in (*PARTS, "all")
    }
    return paragraph(
        "parts.lead", lang, before=exempt(checkup.year - 1), total=count["all"], real=count["real_change"],
        data=count["data_revision"], definition=count["definition_revision"], code=count["code_revision"],
    )  # fmt: skip


def parts_table(checkup: CheckupView, lang: str, *, revised: bool = True) -> Html:
    """Each change with its parts.

    Parameters
    ----------
    checkup : Checkup
        Value table with the rows ``report.parts.*``.
    lang : {"zh", "en"}
        Language.
    revised : bool
        Indicators touched by a revision; else those with real change only.
    """
    touched, real, _ = _groups(checkup)
    chosen = touched if revised else real
    if not chosen:
        return paragraph("parts.no_revised", lang) if revised and has_parts(checkup) else Html("")
    parts = _parts(checkup)
    columns = (
        ("before_published", "real_change", *REVISIONS, "total_change")
        if revised
        else ("before_published", "total_change")
    )
    words = {"before_published": "published"}
    headers: list[tuple[object, str]] = [
        (t("column.indicator", lang), "row"),
        (t("column.unit", lang), "short"),
    ]
    headers += [(t(f"parts.{words.get(name, name)}", lang), "number") for name in columns]
    headers += [(t("parts.now", lang), "number")]
    lines: list[list[object]] = []
    compared: list[Compared] = []
    dimension = ""
    for one in chosen:
        definition = definition_of(checkup, one)
        here = str(getattr(definition, "dimension", ""))
        if here != dimension and not revised:
            dimension = here
            lines.append([dimension_label(here, lang)])
        now = find(checkup, one, level="city", year=checkup.year)
        cells = [_cell(parts[one][name], lang, sign=name != "before_published") for name in columns]
        mine = parts[one]
        compared.append((now, (mine["before_published"], mine["total_change"])))
        if revised:
            compared.append((mine["total_change"], [mine[name] for name in PARTS]))
        unit = unit_label(str(parts[one]["total_change"]["unit"]), lang)
        lines.append([indicator_name(one, definition, lang), unit, *cells, value_cell(now, lang)])
    caption = t("parts.caption_revised" if revised else "parts.caption_real", lang)
    notes = [t("parts.note", lang) if revised else None, rounding_note(compared, lang)]
    note = Html("<br>".join(one for one in notes if one)) or None
    return table(headers, lines, caption=caption, lang=lang, css="parts", note=note)


def _cell(row: Mapping[str, Any], lang: str, *, sign: bool) -> Html:
    shown = num_of(row, lang=lang, sign=sign)
    value = row["value"]
    step_back = pd.notna(value) and abs(float(value)) <= TINY
    return Html(f'<span class="zero">{shown}</span>') if step_back else shown


def unparted_table(checkup: CheckupView, lang: str) -> Html | None:
    """Indicators whose change cannot be parted, and why; None when there are none with a value this year."""
    parts = _parts(checkup)
    lines: list[list[object]] = []
    for one in _groups(checkup)[2]:
        now = find(checkup, one, level="city", year=checkup.year)
        if now is None or pd.isna(now["value"]):
            continue
        why = reason_text(parts[one]["total_change"], lang)
        lines.append([indicator_name(one, definition_of(checkup, one), lang), mark(why)])
    headers: list[tuple[object, str]] = [(t("column.indicator", lang), "row"), (t("column.reason", lang), "")]
    return (
        table(headers, lines, caption=t("parts.caption_unparted", lang), lang=lang, css="parts")
        if lines
        else None
    )


def parts_bars(checkup: CheckupView, lang: str, *, most: int = 14) -> Figure | None:
    """Bars of the parts of each change in percent of the value published; None when nothing was revised.

    Parameters
    ----------
    checkup : Checkup
        Value table with the rows ``report.parts.*``.
    lang : {"zh", "en"}
        Language.
    most : int
        At most so many indicators, the largest revisions first.
    """
    parts = _parts(checkup)
    chosen = [
        one for one in _groups(checkup)[0] if abs(float(parts[one]["before_published"]["value"])) > TINY
    ]

    def share(one: str, name: str) -> float:
        return 100 * float(parts[one][name]["value"]) / abs(float(parts[one]["before_published"]["value"]))

    chosen = sorted(chosen, key=lambda one: -max(abs(share(one, name)) for name in REVISIONS))[:most]
    if not chosen:
        return None
    height = 1.35 + 0.42 * len(chosen)
    figure = new_figure(7.6, height)
    axes = figure.add_axes((0.33, 0.5 / height, 0.62, (height - 1.35) / height))
    for at, one in enumerate(chosen):
        up = down = 0.0
        for name in PARTS:
            value = share(one, name)
            start = up if value >= 0 else down
            axes.barh(
                at, value, left=start, height=0.6, color=COLOURS[name], edgecolor="white", linewidth=0.5
            )
            up, down = (up + value, down) if value >= 0 else (up, down + value)
        total = up + down
        axes.plot([total], [at], "D", color=style.INK, markersize=5, zorder=5)
    axes.axvline(0, color=style.INK, linewidth=0.8)
    titles = ["\n".join(wrap(titles_of(definition_of(checkup, one), lang, one), 30)[:2]) for one in chosen]
    axes.set_yticks(range(len(chosen)), titles, fontsize=8.8)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("%")
    axes.margins(x=0.06)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    _parts_legend(figure, height, lang)
    title = plain("parts.chart_title", lang)
    figure.text(0.02, 1 - 0.25 / height, title, fontsize=12, path_effects=style.heavy(), va="center")
    drawn = [row for one in chosen for row in parts[one].values()]
    return render(
        figure, alt=plain("parts.chart_alt", lang), caption=t("parts.chart_title", lang), colours=96,
        sensitivity=sensitivity_of(checkup, (), drawn),
    )  # fmt: skip


def _parts_legend(figure: Any, height: float, lang: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(facecolor=COLOURS[name], label=plain(f"parts.{name}", lang)) for name in PARTS
    ]
    label = plain("parts.total_change", lang)
    handles.append(Line2D([], [], marker="D", linestyle="", color=style.INK, markersize=5, label=label))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.02, 1 - 0.44 / height), ncols=5, fontsize=8.8,
        handlelength=1.1, columnspacing=1.2, handletextpad=0.45, borderaxespad=0,
    )  # fmt: skip


def former_lead(checkup: CheckupView, lang: str) -> Html:
    """Sentence: how many problems of the year before are gone, eased, the same, worse."""
    if getattr(checkup, "before", None) is None:
        return paragraph("former.none", lang)
    names = ("warnings", "gone", "eased", "same", "worse", "unknown", "patches")
    count = {
        name: value_cell(find(checkup, "report.former", level="report", zone=name), lang) for name in names
    }
    return paragraph("former.lead", lang, before=exempt(checkup.year - 1), **count)


def former_table(checkup: CheckupView, lang: str) -> Html:
    """Indicators warned of last year: value and level then and now, and what became of the warning."""
    before = getattr(checkup, "before", None)
    if before is None:
        return Html("")
    rows = records(
        before[before["outcome"] != ""].sort_values(["level", "indicator"], ascending=[False, True])
    )
    headers: list[tuple[object, str]] = [
        (t("column.indicator", lang), "row"),
        (t("column.unit", lang), "short"),
    ]
    headers += [(t("column.last_year", lang), "number"), (t("former.level_before", lang), "short")]
    headers += [(t("column.value", lang), "number"), (t("former.level_now", lang), "short")]
    headers += [(t("former.outcome", lang), "short")]
    lines: list[list[object]] = []
    for name in dict.fromkeys(str(row["indicator"]) for row in rows):
        row = next(one for one in rows if one["indicator"] == name)
        values = [find(checkup, name, level="city", year=year) for year in (checkup.year - 1, checkup.year)]
        unit = unit_label(str((values[1] or values[0] or {}).get("unit", "")), lang)
        now = int(row["level_now"])
        lines.append(
            [
                indicator_name(name, definition_of(checkup, name), lang), unit, value_cell(values[0], lang),
                level_chip(row["level"], lang), value_cell(values[1], lang),
                level_chip(now, lang) if now > -9 else mark(plain("level.unrated", lang)),
                word("outcome_of", row["outcome"], lang),
            ]
        )  # fmt: skip
    return table(headers, lines, caption=t("former.caption", lang), lang=lang, css="former")


def former_cases(checkup: CheckupView, lang: str, *, limit: int = 30) -> Html | None:
    """Suspected patches of last year: area, what of it is still of its new class, and its status in the register."""
    before = getattr(checkup, "before", None)
    if before is None:
        return None
    patches = before[(before["kind"] == "spatial_conflict") & before["area_m2"].notna()]
    if patches.empty:
        return None
    statuses = case_statuses(checkup)
    districts = district_names(checkup, lang)
    names = ("case", "line", "district", "change", "permit")
    headers: list[tuple[object, str]] = [
        (t(f"column.{name}", lang), "row" if name == "case" else "") for name in names
    ]
    headers += [(t("former.area", lang), "number"), (t("former.still", lang), "number")]
    headers += [(t("former.level_before", lang), "short"), (t("former.state", lang), "short")]
    ordered = patches.sort_values(["area_m2", "finding_id"], ascending=[False, True])
    lines: list[list[object]] = []
    for row in records(ordered.head(limit)):
        number = str(row["finding_id"])
        cells = [
            find(checkup, name, level="case", zone=number) for name in ("case.former_m2", "case.still_pct")
        ]
        status = statuses.get(str(row.get("space_code")))
        state = word("status", status, lang) if status else plain("former.not_registered", lang)
        lines.append(
            [
                exempt(number), line_label(str(row["line"]), lang), districts.get(str(row["district"]), ""),
                change_text(row, lang), word("permit", row.get("permit_state"), lang), value_cell(cells[0], lang),
                value_cell(cells[1], lang, unit=True), level_chip(row["level"], lang), state,
            ]
        )  # fmt: skip
    note = t("former.note", lang)
    if len(ordered) > limit:
        note = Html(note + t("former.cut", lang))
    return table(headers, lines, caption=t("former.caption_cases", lang), lang=lang, css="cases", note=note)
