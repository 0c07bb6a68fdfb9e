"""Accuracy and area from a drawn sample, cases found in images and what the field says of them: words, tables, pictures.

Numbers come from rows ``imagery.<part>.<item>`` of the value table, whether a run's or an assessment's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.interpretation.chips import chip_file, chip_sensitivity
from workbench.interpretation.classes import scheme
from workbench.interpretation.findings import FARMLAND, UNREPORTED
from workbench.rules.library import load_rules
from workbench.rules.patches import class_names
from workbench.views import style
from workbench.views.cells import level_chip, table, value_cell, word
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.html import Html, join
from workbench.views.numbers import format_number, num_of, records, table_of
from workbench.views.openness import PUBLIC, guarded
from workbench.views.text import exempt, has, mark, plain, t

if TYPE_CHECKING:
    from workbench.views.numbers import HasValues

PREFIX = "imagery."
MEASURES = ("users", "producers", "f1", "iou")
ESTIMATE, COUNTED, SECOND = "#1f4e79", "#b5483a", "#7fa7c9"
MOST_CASES = 40
Row = dict[str, Any]


def rows_of(source: HasValues | pd.DataFrame) -> dict[str, Row]:
    """Rows of the value table by name, without ``imagery.``; the newest year of each."""
    values = table_of(source)
    mine = values[values["indicator"].astype(str).str.startswith(PREFIX)].sort_values("year", kind="stable")
    return {str(row["indicator"]).removeprefix(PREFIX): row for row in records(mine)}


def class_name(name: str, lang: str, classes: str = "six") -> str:
    """Name of an image class; the name itself where the scheme has none."""
    table_ = scheme(classes).set_index("class")
    return str(table_.at[name, f"name_{lang}"]) if name in table_.index else name


def class_order(rows: Mapping[str, Row]) -> list[str]:
    """Classes that have an estimated area, in the order of the table."""
    named = [name.removeprefix("area.") for name in rows if name.startswith("area.")]
    return [name for name in named if "." not in name]


def _openness(rows: Sequence[Row]) -> str:
    from workbench.indicators.values import highest_sensitivity

    return highest_sensitivity([str(row.get("sensitivity") or "内部") for row in rows])


def _guarded(html: Html, rows: Mapping[str, Row]) -> Html:
    level = _openness(list(rows.values()))
    return html if level == PUBLIC else guarded("div", html, level)


def _interval(row: Row, lang: str) -> Html:
    """Limits of a row, which stand in it beside its value."""
    if pd.isna(row["low"]):
        return Html("")
    low, high = (exempt(format_number(float(row[side]), int(row["decimals"]))) for side in ("low", "high"))
    return Html(f"{low}–{high}")


def _with_interval(row: Row | None, lang: str) -> Html:
    if row is None:
        return Html("")
    limits = _interval(row, lang)
    shown = num_of(row, lang=lang)
    return Html(f"{shown} ({limits})") if limits else shown


def summary(source: HasValues | pd.DataFrame, lang: str) -> Html:
    """What an official reads first: points, overall accuracy, the class whose count is furthest off."""
    rows = rows_of(source)
    overall = rows["accuracy.overall"]
    low, high = (exempt(format_number(float(overall[side]), 1)) for side in ("low", "high"))
    points = num_of(rows["sample.points"], lang=lang)
    parts = [
        t(
            "image.summary",
            lang,
            points=points,
            overall=num_of(overall, lang=lang, unit=True),
            low=low,
            high=high,
        )
    ]
    biased = max(class_order(rows), key=lambda name: abs(float(rows[f"area.bias.{name}"]["value"])))
    numbers = {
        "counted": num_of(rows[f"area.mapped.{biased}"], lang=lang, unit=True),
        "estimate": num_of(rows[f"area.{biased}"], lang=lang, unit=True),
    }
    parts.append(t("image.summary_bias", lang, **{"class": class_name(biased, lang)}, **numbers))
    return guarded("p", join(parts, "" if lang == "zh" else " "), _openness(list(rows.values())))


def confusion_table(source: HasValues | pd.DataFrame, lang: str) -> Html:
    """Error matrix with user's accuracy at the end of each row and producer's accuracy below each column."""
    rows = rows_of(source)
    cells = [name.removeprefix("confusion.").split(".") for name in rows if name.startswith("confusion.")]
    names = list(dict.fromkeys(left for left, _ in cells))
    headers: list[tuple[object, str]] = [(t("image.on_map", lang), "row")]
    headers += [(class_name(name, lang), "number") for name in names]
    headers.append((t("image.users", lang), "number"))
    lines: list[list[object]] = [
        [
            class_name(left, lang), *(num_of(rows[f"confusion.{left}.{right}"], lang=lang) for right in names),
            _with_interval(rows.get(f"accuracy.users.{left}"), lang),
        ]
        for left in names
    ]  # fmt: skip
    last = [_with_interval(rows.get(f"accuracy.producers.{name}"), lang) for name in names]
    lines.append([t("image.producers", lang), *last, _with_interval(rows["accuracy.overall"], lang)])
    made = table(
        headers, lines, caption=t("image.confusion", lang), lang=lang, css="matrix", note=t("image.confusion_note", lang),
        row_css=["" for _ in names] + ["total"],
    )  # fmt: skip
    return _guarded(made, rows)


def accuracy_table(source: HasValues | pd.DataFrame, lang: str) -> Html:
    """User's and producer's accuracy, F1 and IoU of each class with intervals, percent."""
    rows = rows_of(source)
    headers: list[tuple[object, str]] = [(t("image.class", lang), "row")]
    headers += [(t(f"image.{one}", lang), "number") for one in MEASURES]
    lines: list[list[object]] = [
        [
            class_name(name, lang),
            *(_with_interval(rows.get(f"accuracy.{one}.{name}"), lang) for one in MEASURES),
        ]
        for name in class_order(rows)
    ]
    return _guarded(table(headers, lines, caption=t("image.accuracy", lang), lang=lang, css="lines"), rows)


def area_table(source: HasValues | pd.DataFrame, lang: str) -> Html:
    """Hectares by class: counted on the map, estimated with interval and standard error, bias of the count, points."""
    rows = rows_of(source)
    headers: list[tuple[object, str]] = [(t("image.class", lang), "row")]
    headers += [
        (t(f"image.{one}", lang), "number")
        for one in ("counted", "estimate", "interval", "error", "bias", "points")
    ]
    lines: list[list[object]] = []
    for name in class_order(rows):
        mine = rows[f"area.{name}"]
        lines.append(
            [
                class_name(name, lang), value_cell(rows.get(f"area.mapped.{name}"), lang), num_of(mine, lang=lang),
                _interval(mine, lang), value_cell(rows.get(f"area.error.{name}"), lang),
                num_of(rows[f"area.bias.{name}"], lang=lang, sign=True), value_cell(rows.get(f"area.points.{name}"), lang),
            ]
        )  # fmt: skip
    caption, note = t("image.areas", lang), t("image.areas_note", lang)
    return _guarded(table(headers, lines, caption=caption, lang=lang, css="lines", note=note), rows)


def decisions(source: HasValues | pd.DataFrame, lang: str) -> Html:
    """Answer to each question on an area: yes, no, or 不确定 with the points that would tell."""
    rows = rows_of(source)
    told = []
    for key in [name for name in rows if name.startswith("decision.limit.")]:
        name = key.removeprefix("decision.limit.")
        answer, mine = rows[f"decision.answer.{name}"], rows[f"area.{name}"]
        word_: str = "open" if pd.isna(answer["value"]) else "yes" if answer["value"] else "no"
        least = " >= " in str(answer["basis"])
        low, high = (exempt(format_number(float(mine[side]), 1)) for side in ("low", "high"))
        said = t(
            f"image.{word_}", lang, op=plain("image.at_least" if least else "image.at_most", lang),
            limit=num_of(rows[key], lang=lang, unit=True), estimate=num_of(mine, lang=lang, unit=True), low=low, high=high,
            **{"class": class_name(name, lang)},
        )  # fmt: skip
        told.append(
            guarded("p", Html(said + _more(rows, name, lang)) if word_ == "open" else said, _openness([mine]))
        )
    return join(told)


def _more(rows: Mapping[str, Row], name: str, lang: str) -> Html:
    """How many further points would tell, and where."""
    total = rows[f"decision.more.{name}"]
    gap = "" if lang == "zh" else " "
    if pd.isna(total["value"]):
        return Html(gap + t("image.never", lang))
    strata = [key for key in rows if key.startswith(f"decision.more.{name}.")]
    parts = [
        Html(f"{mark(class_name(key.rpartition('.')[2], lang))}{gap}{num_of(rows[key], lang=lang)}")
        for key in sorted(strata, key=lambda key: -float(rows[key]["value"]))
    ]
    of = t("image.more_of", lang, parts=join(parts, "、" if lang == "zh" else ", ")) if parts else Html("")
    return Html(gap + t("image.more", lang, more=num_of(total, lang=lang), strata=of))


# ---------------------------------------------------------------------- pictures


def area_chart(source: HasValues | pd.DataFrame, lang: str) -> Figure:
    """Estimated area of each class with its interval, and the count of the map as a cross."""
    rows = rows_of(source)
    names = class_order(rows)[::-1]
    height = 1.45 + 0.42 * len(names)
    figure, axes = _axes(lang, height, names)
    at = np.arange(len(names))
    value, low, high = (
        np.array([float(rows[f"area.{name}"][one]) for name in names]) for one in ("value", "low", "high")
    )
    counted = [float(rows[f"area.mapped.{name}"]["value"]) for name in names]
    axes.errorbar(
        value, at, xerr=[value - low, high - value], fmt="o", color=ESTIMATE, ecolor=ESTIMATE, elinewidth=2.2, capsize=4,
        markersize=6, label=plain("image.mark_estimate", lang), zorder=3,
    )  # fmt: skip
    axes.plot(
        counted,
        at,
        "x",
        color=COUNTED,
        markersize=8,
        markeredgewidth=2,
        label=plain("image.mark_counted", lang),
        zorder=4,
    )
    axes.set_xlim(left=0)
    axes.set_xlabel(plain("image.axis_area", lang))
    axes.xaxis.set_major_formatter(lambda number, _: format_number(number, 0))
    return _done(figure, axes, rows, "chart_area", lang, height)


def accuracy_chart(source: HasValues | pd.DataFrame, lang: str) -> Figure:
    """User's and producer's accuracy of each class with intervals."""
    rows = rows_of(source)
    names = class_order(rows)[::-1]
    height = 1.45 + 0.5 * len(names)
    figure, axes = _axes(lang, height, names)
    for measure, colour, shift in (("users", ESTIMATE, 0.13), ("producers", COUNTED, -0.13)):
        mine = [rows[f"accuracy.{measure}.{name}"] for name in names]
        value, low, high = (np.array([float(row[one]) for row in mine]) for one in ("value", "low", "high"))
        there = np.isfinite(value)
        axes.errorbar(
            value[there], np.arange(len(names))[there] + shift, xerr=[(value - low)[there], (high - value)[there]], fmt="o",
            color=colour, elinewidth=2, capsize=3, markersize=5, label=plain(f"image.{measure}", lang), zorder=3,
        )  # fmt: skip
    axes.set_xlim(0, 102)
    axes.set_xlabel(plain("image.axis_percent", lang))
    return _done(figure, axes, rows, "chart_accuracy", lang, height)


def _axes(lang: str, height: float, names: Sequence[str]) -> tuple[Any, Any]:
    figure = new_figure(7.2, height)
    left = 0.17 if lang == "zh" else 0.27
    axes = figure.add_axes((left, 0.5 / height, 0.96 - left, (height - 1.2) / height))
    axes.set_yticks(range(len(names)), [class_name(name, lang) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", zorder=0)
    return figure, axes


def _done(figure: Any, axes: Any, rows: Mapping[str, Row], key: str, lang: str, height: float) -> Figure:
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="upper left",
        bbox_to_anchor=(0.02, 1 - 0.36 / height),
        ncols=2,
        fontsize=9,
    )
    title = plain(f"image.{key}", lang)
    figure.text(0.02, 1 - 0.2 / height, title, fontsize=12.5, path_effects=style.heavy(), va="center")
    return render(
        figure, alt=plain(f"image.{key}_alt", lang), caption=t(f"image.{key}", lang), colours=128,
        sensitivity=_openness(list(rows.values())),
    )  # fmt: skip


def calibration_chart(source: HasValues | pd.DataFrame, lang: str) -> Figure | None:
    """Probability said against share found to be so, with intervals; None where the map gives no probabilities."""
    rows = rows_of(source)
    numbers = sorted(int(name.rpartition(".")[2]) for name in rows if name.startswith("calibration.said."))
    if not numbers:
        return None
    said = np.array([float(rows[f"calibration.said.{k}"]["value"]) for k in numbers])
    found = [rows[f"calibration.found.{k}"] for k in numbers]
    value, low, high = (np.array([float(row[one]) for row in found]) for one in ("value", "low", "high"))
    figure = new_figure(5.4, 4.9)
    axes = figure.add_axes((0.13, 0.12, 0.83, 0.77))
    axes.plot([0, 100], [0, 100], color="#9aa3ad", linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    axes.errorbar(
        said, value, yerr=[value - low, high - value], fmt="o-", color=ESTIMATE, ecolor=SECOND, elinewidth=2, capsize=4,
        markersize=6, linewidth=1.4, zorder=3,
    )  # fmt: skip
    axes.set(
        xlim=(0, 101),
        ylim=(0, 101),
        xlabel=plain("image.axis_said", lang),
        ylabel=plain("image.axis_found", lang),
    )
    axes.grid(zorder=0)
    title = plain("image.calibration", lang)
    size = 12.5 if lang == "zh" else 11.0
    figure.text(0.02, 0.95, title, fontsize=size, path_effects=style.heavy(), va="center")
    return render(
        figure, alt=plain("image.calibration_alt", lang), caption=t("image.calibration", lang), colours=128,
        sensitivity=_openness(found),
    )  # fmt: skip


def calibration_text(source: HasValues | pd.DataFrame, lang: str) -> Html:
    """Calibration error in words, or why there is none."""
    row = rows_of(source).get("calibration.error")
    if row is None:
        return Html(f"<p>{t('image.no_calibration', lang)}</p>")
    said = t("image.calibration_text", lang, error=num_of(row, lang=lang, unit=True))
    return guarded("p", said, _openness([row]))


# ---------------------------------------------------------------------- cases and the field


def case_table(
    cases: pd.DataFrame, lang: str, *, names: Mapping[str, str] | None = None, most: int = MOST_CASES
) -> Html:
    """Cases found in images, the most pressing first; for the screen, not for a report whose numbers are traced.

    Parameters
    ----------
    cases : DataFrame
        Of :func:`workbench.interpretation.findings.cases`.
    lang : {"zh", "en"}
        Language.
    names : mapping, optional
        Names of the districts by code.
    most : int
        At most so many rows.
    """
    if cases.empty:
        return Html(f"<p>{t('image.no_cases', lang)}</p>")
    headers: list[tuple[object, str]] = [
        (t("image.matter", lang), "row"),
        (t("casebook.space_code", lang), ""),
    ]
    headers += [(t("column.district", lang), "short"), (t("column.change", lang), "")]
    headers += [(t("column.area_m2", lang), "number"), (t("column.permit", lang), "")]
    headers += [(t("image.facility", lang), "")]
    headers += [(t(f"image.{name}", lang), "number") for name in ("probability", "priority")]
    headers.append((t("column.level", lang), "short"))
    lines: list[list[object]] = [
        [
            mark(_matter(row, lang)), exempt(row["space_code"] or row["finding_id"]), mark((names or {}).get(str(row["district"]), str(row["district"]))),
            mark(_change(row, lang)), exempt(format_number(row["area_m2"], 0)), word("permit", row["permit_state"], lang),
            _facility(row, lang), exempt(format_number(row["probability"], 2)), exempt(format_number(row["priority"], 0)),
            level_chip(row["level"], lang),
        ]
        for row in records(cases.drop(columns="geometry").head(most))
    ]  # fmt: skip
    caption, note = t("image.cases", lang), t("image.cases_note", lang)
    return guarded("div", table(headers, lines, caption=caption, lang=lang, css="lines", note=note), "内部")


def _matter(row: Row, lang: str) -> str:
    """What a case is about; the title of its rule where it is neither farmland nor an unreported building."""
    words = {FARMLAND: "image.matter_farmland", UNREPORTED: "image.matter_unreported"}.get(str(row["matter"]))
    if words is not None:
        return plain(words, lang)
    rule = load_rules().get(str(row["rule"]))
    return str(row["matter"]) if rule is None or lang == "zh" else rule.title_en


def _change(row: Row, lang: str) -> str:
    """Class before and what the image shows after."""
    names = class_names(lang)
    after = str(row["after"] or row["tblx"])
    return f"{names.get(str(row['before']), '')} → {names.get(after, after)}"


def _facility(row: Row, lang: str) -> str:
    state = str(row["facility_state"])
    return (
        word("image.facility_state", state, lang)
        if has(f"image.facility_state.{state}")
        else word("permit", state, lang)
    )


def chip_figure(city_name: str, year: int, space_code: str, lang: str) -> Figure | None:
    """Images before and after of a case; None where none was drawn."""
    path = chip_file(city_name, year, space_code)
    if not space_code or not path.is_file():
        return None
    words = plain("image.chip", lang)
    return Figure(
        path.read_bytes(),
        f"{words} {space_code}",
        Html(f"{mark(words)} {exempt(space_code)}"),
        chip_sensitivity(path),
    )


def chip_gallery(city_name: str, year: int, cases: pd.DataFrame, lang: str) -> Html:
    """Images before and after of cases, in their order; cases without a picture are left out."""
    made = [chip_figure(city_name, year, str(code), lang) for code in cases["space_code"]]
    return join([one.html for one in made if one is not None])


def field_table(rates: pd.DataFrame, lang: str, *, names: Mapping[str, str] | None = None) -> Html:
    """Precision and recall by field verdicts; for the screen.

    Parameters
    ----------
    rates : DataFrame
        Of :func:`workbench.interpretation.findings.field_rates`.
    lang : {"zh", "en"}
        Language.
    names : mapping, optional
        Names of the groups (districts by code).
    """
    headers: list[tuple[object, str]] = [(t("image.group", lang), "row")]
    order = ("checked", "true", "precision", "confirmed", "missed", "recall")
    headers += [(t(f"image.{name}", lang), "number") for name in order]
    lines: list[list[object]] = []
    for row in records(rates):
        sought = {"precision": row["checked"], "recall": row["confirmed"] + row["missed"]}
        cells = [
            _share(row, name, lang, int(sought[name])) if name in sought else exempt(str(int(row[name])))
            for name in order
        ]
        group = (
            plain("image.group_all", lang)
            if row["group"] == "all"
            else (names or {}).get(str(row["group"]), row["group"])
        )
        lines.append([mark(group), *cells])
    css = ["total" if row["group"] == "all" else "" for row in records(rates)]
    caption, note = t("image.field", lang), t("image.field_note", lang)
    return guarded(
        "div", table(headers, lines, caption=caption, lang=lang, css="lines", note=note, row_css=css), "内部"
    )


def _share(row: Row, name: str, lang: str, points: int) -> Html:
    """Percent with its interval and how many it was counted from; 无数据 where nothing was checked."""
    if pd.isna(row[name]):
        return mark(plain("common.no_data", lang))
    value, low, high = (format_number(100 * float(row[name + end]), 0) for end in ("", "_low", "_high"))
    return Html(f"{exempt(value + '%')} ({exempt(low)}–{exempt(high)}; n={exempt(str(points))})")
