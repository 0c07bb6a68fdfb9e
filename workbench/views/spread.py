"""Districts side by side: dumbbells of the indicators that differ most, and small multiples of a dimension."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.views import style
from workbench.views.cells import titles_of
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.layout import wrap
from workbench.views.numbers import find, format_number
from workbench.views.openness import sensitivity_of
from workbench.views.rows import definition_of, district_names, in_order, ranked, wanted_way, zone_word
from workbench.views.text import dimension_label, plain, t, unit_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from workbench.views.source import CheckupView

LOW, HIGH = "#8fa9c2", "#1f4e79"
MOST_PANELS = 9
LEAST_RATES = 2
"""A single rate is shown by the chart and the map of its own."""


def _rates(checkup: CheckupView, dimension: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """District rows of each rate whose districts differ, by indicator."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in in_order(checkup, level="district", dimension=dimension):
        if pd.notna(row["value"]):
            found.setdefault(str(row["indicator"]), []).append(row)
    return {
        name: rows
        for name, rows in found.items()
        if len(rows) >= 3
        and bool(str(getattr(definition_of(checkup, name), "denominator_zh", "")))
        and len({float(row["value"]) for row in rows}) > 1
    }


def dumbbells(checkup: CheckupView, lang: str, *, most: int = 14) -> Figure | None:
    """Lowest and highest district of each rate with a good and a bad end, the city being 100; None without any.

    Parameters
    ----------
    checkup : Checkup
        Values of districts and city.
    lang : {"zh", "en"}
        Language.
    most : int
        At most so many indicators, those whose districts differ most.
    """
    items = []
    for name, rows in _rates(checkup).items():
        city = find(checkup, name, level="city", year=checkup.year)
        if (
            city is None
            or pd.isna(city["value"])
            or float(city["value"]) <= 0
            or wanted_way(checkup, name) is None
        ):
            continue
        ordered = sorted(ranked(rows), key=lambda row: float(row["value"]))
        if len(ordered) < 3:
            continue
        ends = [100 * float(row["value"]) / float(city["value"]) for row in (ordered[0], ordered[-1])]
        if ends[0] <= 100 <= ends[1] and ends[1] <= 400:
            items.append((ends[1] - ends[0], name, ordered[0], ordered[-1], ends))
    items = sorted(items, key=lambda item: (-item[0], item[1]))[:most]
    if len(items) < LEAST_RATES:
        return None
    height = 1.35 + 0.4 * len(items)
    figure = new_figure(7.8, height)
    axes = figure.add_axes((0.33, 0.5 / height, 0.63, (height - 1.3) / height))
    named = district_names(checkup, lang)
    for at, (_, _, low, high, ends) in enumerate(items):
        axes.plot(ends, [at, at], color="#c3ced8", linewidth=3.2, zorder=1, solid_capstyle="round")
        for row, place, colour, side in ((low, ends[0], LOW, "right"), (high, ends[1], HIGH, "left")):
            axes.plot([place], [at], "o", color=colour, markersize=8.5, zorder=3)
            text = f"{named.get(str(row['zone']), '')} {format_number(float(row['value']), int(row['decimals']))}"
            axes.annotate(
                text, (place, at), (-8 if side == "right" else 8, 0), textcoords="offset points", ha=side, va="center",
                fontsize=8, color=style.INK, path_effects=style.halo(), zorder=6,
            )  # fmt: skip
    axes.axvline(100, color=style.INK, linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    titles = []
    for _, name, low, _, _ in items:
        unit = unit_label(str(low["unit"]), lang)
        text = titles_of(definition_of(checkup, name), lang, name) + (f" ({unit})" if unit else "")
        titles.append("\n".join(wrap(text, 32)[:2]))
    axes.set_yticks(range(len(items)), titles, fontsize=8.8)
    axes.set_ylim(len(items) - 0.45, -0.6)
    reach = max(ends[1] for *_, ends in items) - min(ends[0] for *_, ends in items)
    axes.set_xlim(
        min(ends[0] for *_, ends in items) - 0.28 * reach, max(ends[1] for *_, ends in items) + 0.28 * reach
    )
    axes.set_xticks([one for one in axes.get_xticks() if 0 <= one <= axes.get_xlim()[1]])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    _legend(figure, height, lang)
    figure.text(
        0.02,
        1 - 0.22 / height,
        plain("spread.title", lang),
        fontsize=12.5,
        path_effects=style.heavy(),
        va="center",
    )
    return render(
        figure, alt=plain("spread.alt", lang), caption=t("spread.title", lang), colours=96,
        sensitivity=sensitivity_of(checkup, (), [row for _, _, low, high, _ in items for row in (low, high)]),
    )  # fmt: skip


def _legend(figure: Any, height: float, lang: str) -> None:
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        Line2D(
            [], [], marker="o", linestyle="", color=colour, markersize=8, label=plain(f"spread.{name}", lang)
        )
        for name, colour in (("low", LOW), ("high", HIGH))
    ]
    handles.append(
        Line2D([], [], color=style.INK, linewidth=1, linestyle=(0, (4, 3)), label=plain("spread.city", lang))
    )
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.02, 1 - 0.38 / height), ncols=3, fontsize=8.8,
        handletextpad=0.45, columnspacing=1.3, borderaxespad=0,
    )  # fmt: skip


def multiples(checkup: CheckupView, dimension: str, lang: str) -> Figure | None:
    """Small multiples: one panel a rate of a dimension, bars are districts, a dashed line the city; None without any.

    Parameters
    ----------
    checkup : Checkup
        Values of districts and city.
    dimension : str
        安全, 创新, …
    lang : {"zh", "en"}
        Language.
    """
    rates = {name: ranked(rows) for name, rows in _rates(checkup, dimension).items()}
    rates = {name: rows for name, rows in rates.items() if len(rows) >= 3}
    if len(rates) < LEAST_RATES:
        return None
    chosen = list(rates)[:MOST_PANELS]
    columns = min(3, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    zones = sorted({str(row["zone"]) for name in chosen for row in rates[name]})
    named = district_names(checkup, lang)
    height = rows * (0.62 + 0.23 * len(zones)) + 0.62
    figure = new_figure(8.6, height)
    grid = figure.subplots(rows, columns, squeeze=False)
    colour = style.DIMENSION_COLOURS.get(dimension, style.ACCENT)
    for at, axes in enumerate(grid.ravel()):
        if at >= len(chosen):
            axes.set_visible(False)
            continue
        _panel(axes, checkup, chosen[at], rates[chosen[at]], zones, colour, lang)
        axes.set_yticks(
            range(len(zones)), [named.get(zone, zone) for zone in zones] if at % columns == 0 else []
        )
    figure.subplots_adjust(
        left=0.1 if lang == "zh" else 0.13,
        right=0.975,
        top=1 - 0.86 / height,
        bottom=0.16 / height,
        hspace=0.5,
        wspace=0.12,
    )
    words = {"dimension": dimension_label(dimension, lang), "zone": zone_word(checkup, lang)}
    title = plain("spread.multiples", lang, **words)
    figure.text(0.02, 1 - 0.2 / height, title, fontsize=12.5, path_effects=style.heavy(), va="center")
    return render(
        figure, alt=plain("spread.multiples_alt", lang, **words), caption=t("spread.multiples", lang, **words),
        colours=96, sensitivity=sensitivity_of(checkup, (), [row for name in chosen for row in rates[name]]),
    )  # fmt: skip


def _panel(
    axes: Axes,
    checkup: CheckupView,
    name: str,
    rows: list[dict[str, Any]],
    zones: list[str],
    colour: str,
    lang: str,
) -> None:
    by_zone = {str(row["zone"]): row for row in rows}
    for at, zone in enumerate(zones):
        row = by_zone.get(zone)
        if row is None:
            axes.text(0, at, plain("common.no_data", lang), va="center", fontsize=7.6, color=style.MUTED)
            continue
        value = float(row["value"])
        axes.barh(at, value, height=0.66, color=colour, alpha=0.75)
        axes.annotate(
            format_number(value, int(row["decimals"])), (value, at), (3, 0), textcoords="offset points", va="center",
            fontsize=7.8, path_effects=style.halo(2.0), zorder=6,
        )  # fmt: skip
    city = find(checkup, name, level="city", year=checkup.year)
    values = [float(row["value"]) for row in rows]
    if city is not None and pd.notna(city["value"]) and min(values) <= float(city["value"]) <= max(values):
        axes.axvline(float(city["value"]), color=style.INK, linewidth=0.9, linestyle=(0, (4, 3)))
    unit = unit_label(str(rows[0]["unit"]), lang)
    text = titles_of(definition_of(checkup, name), lang, name) + (f" ({unit})" if unit else "")
    axes.set_title("\n".join(wrap(text, 34)[:2]), fontsize=8.6, loc="left", pad=4)
    axes.set_xlim(min(0.0, *values) * 1.15, max(0.0, *values) * 1.24 or 1.0)
    axes.set_ylim(len(zones) - 0.4, -0.6)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0, labelsize=8.4)
    axes.spines["bottom"].set_visible(False)
