"""Charts of the report: the state of the dimensions, progress towards targets, districts side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.core.errors import ParameterError
from workbench.views import style
from workbench.views.cells import titles_of, with_tier
from workbench.views.figure import Figure, render
from workbench.views.html import Html
from workbench.views.layout import display_width, wrap
from workbench.views.numbers import find, format_number, records
from workbench.views.openness import sensitivity_of
from workbench.views.rows import (
    DIMENSIONS,
    definition_of,
    district_names,
    in_order,
    worst_levels,
    zone_word,
)
from workbench.views.text import dimension_label, plain, t, unit_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MplFigure

    from workbench.views.source import CheckupView

UNRATED = "#9db8cf"
MISSING = "#eceff1"
BASE_LAG = 2
"""Years that the base of a path may lie before the base year, as in the rules."""


def new_figure(width: float, height: float) -> MplFigure:
    """Empty figure of a size in inches, outside pyplot, with the workbench's settings."""
    from matplotlib.figure import Figure as MplFigure

    style.use()
    return MplFigure(figsize=(width, height))


def _count(checkup: CheckupView, name: str, dimension: str) -> int:
    row = find(checkup, f"report.{name}", level="report", zone=dimension)
    return 0 if row is None or pd.isna(row["value"]) else int(row["value"])


def _segments(checkup: CheckupView, dimension: str) -> dict[str, int]:
    counts = {str(level): _count(checkup, f"level_{level}", dimension) for level in (0, 1, 2, 3, 4)}
    computed = _count(checkup, "computed", dimension)
    counts["unrated"] = max(0, computed - sum(counts.values()))
    counts["none"] = _count(checkup, "missing", dimension)
    return counts


def dimension_bars(checkup: CheckupView, lang: str) -> Figure:
    """Stacked bars: for each dimension the indicators of each warning level, unrated, and without data.

    Parameters
    ----------
    checkup : Checkup
        Rows ``report.computed``, ``report.missing`` and ``report.level_0`` … ``report.level_4``.
    lang : {"zh", "en"}
        Language.
    """
    dimensions = [
        name for name in DIMENSIONS if _count(checkup, "computed", name) + _count(checkup, "missing", name)
    ]
    height = 1.15 + 0.37 * max(1, len(dimensions))
    figure = new_figure(7.4, height)
    left_edge = 0.17 if lang == "zh" else 0.31
    axes = figure.add_axes((left_edge, 0.5 / height, 0.97 - left_edge, (height - 1.15) / height))
    order = ("0", "unrated", "1", "2", "3", "4", "none")
    colours = {str(level): colour for level, colour in style.LEVEL_COLOURS.items()}
    colours |= {"unrated": UNRATED, "none": MISSING}
    for at, dimension in enumerate(dimensions):
        left = 0
        for name, count in ((name, _segments(checkup, dimension)[name]) for name in order):
            if not count:
                continue
            hatch: dict[str, Any] = (
                {"hatch": "////", "edgecolor": "#b0bec5"} if name == "none" else {"edgecolor": "white"}
            )
            axes.barh(at, count, left=left, height=0.62, color=colours[name], linewidth=0.9, **hatch)
            dark = name in ("2", "none", "unrated")
            axes.text(
                left + count / 2, at, str(count), ha="center", va="center", fontsize=9,
                color=style.INK if dark else "white",
                bbox={"facecolor": MISSING, "edgecolor": "none", "pad": 1.2} if name == "none" else None,
            )  # fmt: skip
            left += count
    axes.set_yticks(range(len(dimensions)), [dimension_label(name, lang) for name in dimensions], fontsize=10)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(plain("chart.dimension_axis", lang))
    axes.xaxis.set_major_locator(_ticks(8, integer=True))
    axes.grid(axis="x", zorder=0)
    axes.set_axisbelow(True)
    _level_legend(figure, order, colours, lang, 1 - 0.37 / height)
    figure.text(
        0.02,
        1 - 0.18 / height,
        plain("chart.dimension_title", lang),
        fontsize=12.5,
        path_effects=style.heavy(),
        va="center",
    )
    counts = checkup.values[checkup.values["indicator"].str.match(r"report\.(level_|computed|missing)")]
    return render(
        figure,
        alt=plain("chart.dimension_alt", lang),
        caption=t("chart.dimension_title", lang),
        colours=128,
        sensitivity=sensitivity_of(checkup, (), records(counts)),
    )


def _level_legend(
    figure: MplFigure, order: tuple[str, ...], colours: Mapping[str, str], lang: str, top: float
) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(
            facecolor=colours[name],
            edgecolor="#b0bec5" if name == "none" else "white",
            hatch="////" if name == "none" else None,
            label=plain(f"level.{name}", lang),
        )
        for name in order
    ]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.015, top), ncols=7, fontsize=9,
        handlelength=1.1, columnspacing=1.3, handletextpad=0.45, borderaxespad=0,
    )  # fmt: skip


def _targets(checkup: CheckupView) -> list[dict[str, Any]]:
    """Targets with base and present value in the unit of the target."""
    from workbench.core.units import convert

    found = []
    for target in checkup.city.targets:
        now = find(checkup, target.indicator, level="city", year=checkup.year)
        base_year = int(getattr(target, "base_year", None) or checkup.city.base_year)
        base = getattr(target, "base_value", None)
        if base is None:
            row = _base_row(checkup, target.indicator, base_year)
            if row is not None:
                base_year = int(row["year"])
                base = convert(float(row["value"]), str(row["unit"]), target.unit)
        value = None
        if now is not None and not pd.isna(now["value"]):
            value = convert(float(now["value"]), str(now["unit"]), target.unit)
        if value is None:
            continue
        found.append(
            {
                "target": target,
                "base_year": base_year,
                "base": base,
                "value": value,
                "decimals": int(now["decimals"] or 0) if now is not None else 0,
                "title": titles_of(definition_of(checkup, target.indicator), "{}", target.indicator),
            }
        )
    return found


def _base_row(checkup: CheckupView, indicator: str, year: int) -> dict[str, Any] | None:
    """Value of the base year, or of the latest year shortly before it that has one, as the path rules take it."""
    for back in range(BASE_LAG + 1):
        row = find(checkup, indicator, level="city", year=year - back)
        if row is not None and not pd.isna(row["value"]) and year - back < checkup.year:
            return row
    return None


def target_paths(checkup: CheckupView, lang: str, *, tolerance: float = 0.05) -> Figure | None:
    """Small charts, one a target with a present value: base value, straight path with its tolerance, value now.

    None when no target has a present value; :func:`workbench.views.annex.target_table` lists all of them.

    Parameters
    ----------
    checkup : Checkup
        City with targets, values of the year (and of the base year where the target states none).
    lang : {"zh", "en"}
        Language.
    tolerance : float
        Half width of the band as a share of the way from base to target; the default is the share at which the
        path rules call a value behind.
    """
    items = _targets(checkup)
    if not items:
        return None
    columns = min(3 if len(items) <= 9 else 4, len(items))
    rows = math.ceil(len(items) / columns)
    height = 2.35 * rows + 0.85
    figure = new_figure({3: 8.4, 4: 9.2}.get(columns, 7.4), height)
    figure.suptitle(
        plain("chart.target_title", lang), x=0.03, y=1 - 0.2 / height, ha="left", va="center", path_effects=style.heavy(),
        fontsize=12.5,
    )  # fmt: skip
    levels = worst_levels(checkup)
    grid = figure.subplots(rows, columns, squeeze=False)
    for at, axes in enumerate(grid.ravel()):
        if at >= len(items):
            axes.set_visible(False)
            continue
        item = items[at]
        title = titles_of(definition_of(checkup, item["target"].indicator), lang, item["target"].indicator)
        label = unit_label(item["target"].unit, lang)
        axes.set_title(_wrapped(title, label, lang), fontsize=9.2, loc="left", pad=6)
        _target_panel(axes, item, checkup.year, levels.get(item["target"].indicator), tolerance, lang)
    _path_legend(figure, height, lang)
    figure.subplots_adjust(
        left=0.075, right=0.97, top=1 - 0.82 / height, bottom=0.33 / height, hspace=0.62, wspace=0.3
    )
    shown = checkup.values[checkup.values["indicator"].isin([item["target"].indicator for item in items])]
    return render(
        figure,
        alt=plain("chart.target_alt", lang),
        caption=t("chart.target_title", lang),
        colours=192,
        sensitivity=sensitivity_of(checkup, (), records(shown)),
    )


def _wrapped(title: str, unit: str, lang: str) -> str:
    bracket = (f"（{unit}）" if lang == "zh" else f" ({unit})") if unit else ""
    lines = wrap(title, 27)[:2]
    if display_width(lines[-1] + bracket) > 28 and len(lines) < 2:
        return "\n".join([*lines, bracket.strip()])
    return "\n".join(lines) + bracket


def _target_panel(
    axes: Axes, item: Mapping[str, Any], year: int, level: int | None, tolerance: float, lang: str
) -> None:
    target = item["target"]
    goal, base, value = float(target.value), item["base"], item["value"]
    sign = {">=": "≥", "<=": "≤", "==": "="}.get(target.op, "")
    points = [goal]
    if base is not None:
        band = tolerance * abs(goal - base)
        years, path = [item["base_year"], target.year], [base, goal]
        axes.fill_between(
            years, [y - band for y in path], [y + band for y in path], color="#dde7f0", linewidth=0, zorder=1
        )
        axes.plot(years, path, "--", color="#7d93a8", linewidth=1.2, zorder=2)
        axes.plot([years[0]], [base], "o", color="white", markeredgecolor="#52687c", markersize=5.5, zorder=4)
        points.append(base)
    axes.plot([target.year], [goal], "D", color=style.ACCENT, markersize=5.5, zorder=4, clip_on=False)
    text = f"{sign}{format_number(goal, _decimals(goal))}"
    goal_side = -13 if base is not None and goal < base else 7
    axes.annotate(
        text,
        (target.year, goal),
        (0, goal_side),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
        color=style.ACCENT,
    )
    colour = style.LEVEL_COLOURS.get(level if level is not None else 99, style.INK)
    if base is not None:
        axes.plot([item["base_year"], year], [base, value], "-", color=colour, linewidth=1.6, zorder=3)
    axes.plot([year], [value], "o", color=colour, markersize=7, zorder=5)
    value_side = 8 if base is not None and value > _expected(item, year) else -13
    axes.annotate(
        format_number(value, item["decimals"]), (year, value), (0, value_side), textcoords="offset points", ha="center", fontsize=8.5, color=colour, path_effects=style.heavy(colour),
    )  # fmt: skip
    points.append(value)
    if base is None:
        axes.text(
            0.03,
            0.93,
            plain("chart.target_no_base", lang),
            transform=axes.transAxes,
            fontsize=8,
            color=style.MUTED,
            va="top",
        )
    low, high = min(points), max(points)
    room = (high - low) * 0.38 or abs(high) * 0.05 or 1.0
    axes.set_ylim(low - room, high + room)
    years_shown = sorted({*([item["base_year"]] if base is not None else []), year, target.year})
    axes.set_xlim(years_shown[0] - 1.2, target.year + 1.2)
    axes.set_xticks(years_shown)
    axes.tick_params(labelsize=8, length=2)
    axes.yaxis.set_major_locator(_ticks(4))
    axes.grid(axis="y")


def _expected(item: Mapping[str, Any], year: int) -> float:
    """Value of the straight path from base to target in a year."""
    base, target = float(item["base"]), item["target"]
    part = min(1.0, (year - item["base_year"]) / max(1, target.year - item["base_year"]))
    return float(base + (float(target.value) - base) * part)


def _ticks(most: int, *, integer: bool = False) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, integer=integer)


def _decimals(goal: float) -> int:
    """Decimals a planned value is written with."""
    return len(f"{goal:.10g}".partition(".")[2])


def _path_legend(figure: MplFigure, height: float, lang: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], marker="o", linestyle="", color="white", markeredgecolor="#52687c", markersize=6),
        Line2D([], [], marker="o", linestyle="", color=style.INK, markersize=7),
        Line2D([], [], marker="D", linestyle="", color=style.ACCENT, markersize=5.5),
        Line2D([], [], linestyle="--", color="#7d93a8"),
        Patch(facecolor="#dde7f0"),
    ]
    names = ("base", "now", "goal", "path", "band")
    figure.legend(
        handles, [plain(f"chart.target_{name}", lang) for name in names], ncols=5, loc="upper right",
        bbox_to_anchor=(0.98, 1 - 0.06 / height), fontsize=8.8, handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip


def district_dots(checkup: CheckupView, indicator: str, lang: str) -> Figure:
    """Districts in order of an indicator's value, with the city's value as a line.

    Parameters
    ----------
    checkup : Checkup
        Rows of level ``district`` for the indicator.
    indicator : str
        Indicator id.
    lang : {"zh", "en"}
        Language.

    Raises
    ------
    ParameterError
        The value table has no district row of the indicator.
    """
    rows = [row for row in in_order(checkup, level="district") if row["indicator"] == indicator]
    if not rows:
        raise ParameterError("no district values", where=indicator, found=f"year {checkup.year}")
    present = sorted((row for row in rows if not pd.isna(row["value"])), key=lambda row: float(row["value"]))
    absent = [row for row in rows if pd.isna(row["value"])]
    definition = definition_of(checkup, indicator)
    title = with_tier(titles_of(definition, lang, indicator), (present or rows)[0]["tier"], lang)
    unit = unit_label(str(rows[0]["unit"]), lang)
    decimals = int(rows[0]["decimals"] or 0)
    height = 0.34 * len(rows) + 1.15
    figure = new_figure(7.0, height)
    axes = figure.add_axes((0.2, 0.55 / height, 0.74, (height - 1.15) / height))
    colour = style.DIMENSION_COLOURS.get(str(getattr(definition, "dimension", "")), style.ACCENT)
    for at, row in enumerate(absent + present):
        if pd.isna(row["value"]):
            axes.text(0, at, plain("common.no_data", lang), va="center", fontsize=9, color=style.MUTED)
            continue
        value = float(row["value"])
        axes.hlines(at, 0, value, color=colour, linewidth=2.2, alpha=0.45)
        axes.plot(value, at, "o", color=colour, markersize=8)
        axes.annotate(
            format_number(value, decimals), (value, at), (8, 0), textcoords="offset points", va="center",
            fontsize=9, path_effects=style.halo(), zorder=6,
        )  # fmt: skip
    city = find(checkup, indicator, level="city", year=checkup.year)
    if city is not None and not pd.isna(city["value"]) and _comparable(city, present):
        axes.axvline(float(city["value"]), color=style.INK, linewidth=1, linestyle=(0, (4, 3)))
        label = plain("chart.district_city", lang, value=format_number(float(city["value"]), decimals))
        axes.annotate(
            label, (float(city["value"]), len(rows) - 0.42), (4, 0), textcoords="offset points", fontsize=8.8,
            va="bottom", color=style.INK, annotation_clip=False,
        )  # fmt: skip
    named = district_names(checkup, lang)
    axes.set_yticks(
        range(len(rows)), [named.get(str(row["zone"]), str(row["zone_name"])) for row in absent + present]
    )
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(left=min(0.0, *(float(row["value"]) for row in present)) if present else 0)
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(unit)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    words = plain("chart.district_title", lang, indicator=title)
    figure.text(0.03, 1 - 0.27 / height, words, fontsize=12, path_effects=style.heavy(), va="center")
    caption: Html = t("chart.district_title", lang, indicator=title)
    drawn = rows if city is None else [*rows, city]
    return render(
        figure,
        alt=plain("chart.district_alt", lang, indicator=title, zone=zone_word(checkup, lang)),
        caption=caption,
        colours=128,
        sensitivity=sensitivity_of(checkup, (), drawn),
    )


def _comparable(city: Mapping[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether the city's value lies among those of its districts: a rate does, a total does not."""
    values = [float(row["value"]) for row in rows]
    return bool(values) and min(values) <= float(city["value"]) <= max(values)
