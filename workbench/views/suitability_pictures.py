"""Suitability in pictures: maps of classes, of how sure they are, of slope and conflicts; a chart of moved thresholds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import ParameterError
from workbench.views import style
from workbench.views.cartography import (
    border_key,
    city_name,
    district_borders,
    districts,
    furnish,
    line_key,
    patch_key,
    sheet,
    sources_note,
)
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.openness import review_line, sensitivity_of
from workbench.views.suitability import evaluation_title, missing_names, own_moves, threshold_name
from workbench.views.text import exempt, plain, t

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from workbench.evaluation.suitability import Suitability

CELLS = 1600
"""Cells along the longer side above which every n-th is drawn."""
CHANCES = ((1.0, "#1b6e45"), (0.95, "#7dbb8c"), (0.8, "#f2d98b"), (0.5, "#e2996b"), (0.0, "#c45b52"))
"""Least chance and colour, the surest first."""
SLOPES = ((2.0, "#f5f1e3"), (6.0, "#e6d9a8"), (15.0, "#d3a968"), (25.0, "#b0703c"), (math.inf, "#6e3b1e"))
"""Upper end in degrees and colour: slope classes of cultivated land."""
CONFLICT_COLOURS = ("#8c2d04", "#c62828", "#c98a1b", "#5e3c99", "#1f6f8b")
NOT_JUDGED = "#c9ced4"
LEAST_SHARE = 0.005
"""Percent below which a bar is not drawn."""


def _frame(result: Suitability, title: str) -> tuple[Any, Axes, Axes, tuple[Any, str]]:
    """Sheet with borders drawn; the legend entry of the borders."""
    zones = districts(result)
    box = result.box.boundingbox
    west, south, east, north = zones.total_bounds
    view = (max(west, box.left), max(south, box.bottom), min(east, box.right), min(north, box.top))
    figure, axes, panel = sheet([float(edge) for edge in view], title)
    entry = (district_borders(axes, zones), border_key(result))
    return figure, axes, panel, entry


def _draw(axes: Axes, result: Suitability, codes: npt.NDArray[np.uint8], colours: Sequence[str]) -> set[int]:
    """Draw cells by code from 1 on; 0 is not judged and drawn grey where it lies inside the city. The codes drawn."""
    from matplotlib.colors import ListedColormap

    step = max(1, math.ceil(max(codes.shape) / CELLS))
    box = result.box
    drawn = codes[::step, ::step]
    height, width = drawn.shape
    a, e = box.affine.a * step, box.affine.e * step
    extent = (box.affine.c, box.affine.c + a * width, box.affine.f + e * height, box.affine.f)
    axes.imshow(
        np.ma.masked_equal(drawn, 0), cmap=ListedColormap(list(colours)), vmin=0.5, vmax=len(colours) + 0.5,
        extent=extent, interpolation="nearest", aspect="equal", zorder=1,
    )  # fmt: skip
    return set(np.unique(drawn[drawn > 0]).tolist())


def _inside(result: Suitability, codes: npt.NDArray[np.uint8], grey: int) -> npt.NDArray[np.uint8]:
    """Codes with cells of the city that are not judged set to ``grey``."""
    found = codes.copy()
    at = result.cells["cell"].to_numpy()
    flat = found.ravel()
    flat[at[flat[at] == 0]] = grey
    return found


def _finish(
    result: Suitability, lang: str, parts: tuple[Any, Axes, Axes], entries: list[tuple[Any, str]], key: str,
    notes: Sequence[str] = (), **words: Any,
) -> Figure:  # fmt: skip
    figure, axes, panel = parts
    lines = [*notes, *sources_note(result, [(role, None) for role in result.roles], lang)]
    furnish(panel, axes, entries, lines, lang)
    caption = t(key, lang, **words)
    title = re.sub(r"<[^>]+>", "", caption)
    return render(
        figure, alt=plain("suit.map.alt", lang, title=title), caption=caption, colours=128,
        sensitivity=sensitivity_of(result, [*result.roles, "districts"]), review=review_line(result, lang),
    )  # fmt: skip


def colours_of(result: Suitability, output: str) -> list[str]:
    """Colours of the classes of a result."""
    if output == "zoning":
        colours = result.settings.integration.colours
        return [colours[name] for name in (*result.settings.integration.order, "other")]
    return [grade.colour for grade in result.settings.evaluation(output).classes]


def _lacking(result: Suitability, output: str, lang: str) -> list[str]:
    """What a map is without and what stands in, for the foot of the panel."""
    comma = "、" if lang == "zh" else ", "
    lines = []
    if names := missing_names(result, output, lang):
        lines.append(plain("suit.map.without", lang, factors=comma.join(names)))
    rows = result.factors[result.factors["state"] == "proxy"]
    rows = rows if output == "zoning" else rows[rows["evaluation"] == output]
    if pairs := [
        f"{result.settings.factor(factor).title(lang)}→{result.settings.factor(absent).title(lang)}"
        for factor, absent in dict.fromkeys(zip(rows["factor"], rows["stands_for"], strict=True))
    ]:
        lines.append(plain("suit.map.proxy", lang, factors=comma.join(pairs)))
    return lines


def class_map(result: Suitability, lang: str, output: str) -> Figure:
    """Classes of a result.

    Raises
    ------
    ParameterError
        There is no such result.
    """
    if output not in result.outputs:
        raise ParameterError("no such result to draw", found=output, expected=result.outputs)
    words = {"city": city_name(result, lang)}
    figure, axes, panel, border = _frame(result, plain(f"suit.map.{output}", lang, **words, year=result.year))
    colours = [*colours_of(result, output), NOT_JUDGED]
    codes = _inside(result, result.raster(output).to_numpy(), len(colours))
    there = _draw(axes, result, codes, colours)
    titles = [*result.titles(output, lang), plain("suit.map.not_judged", lang)]
    entries: list[tuple[Any, str]] = [(None, plain("suit.map.classes", lang))]
    entries += [
        (patch_key(facecolor=colour, edgecolor="#6b7280", linewidth=0.4), title)
        for code, (colour, title) in enumerate(zip(colours, titles, strict=True), start=1)
        if code in there or code < len(colours)
    ]
    entries.append((border[0], plain(border[1], lang)))
    return _finish(
        result, lang, (figure, axes, panel), entries, f"suit.map.{output}", _lacking(result, output, lang), **words,
        year=exempt(result.year),
    )  # fmt: skip


def chance_map(result: Suitability, lang: str, output: str) -> Figure:
    """How sure the class of each cell is: share of draws in which it keeps it."""
    title = evaluation_title(result, output, lang)
    words = {"city": city_name(result, lang), "title": title[:1].upper() + title[1:]}
    figure, axes, panel, border = _frame(result, plain("suit.map.chance", lang, **words, year=result.year))
    chance = result.chance(output).to_numpy()
    codes = np.zeros(chance.shape, dtype=np.uint8)
    for code in range(len(CHANCES), 0, -1):
        codes[chance >= CHANCES[code - 1][0]] = code
    colours = [colour for _, colour in CHANCES]
    _draw(axes, result, codes, colours)
    least = [low for low, _ in CHANCES]
    names = [
        "100%",
        *(f"{100 * low:.0f}% – {100 * high:.0f}%" for low, high in zip(least[1:], least, strict=False)),
    ]
    entries: list[tuple[Any, str]] = [(None, plain("suit.map.chance_legend", lang))]
    entries += [
        (patch_key(facecolor=c, edgecolor="#6b7280", linewidth=0.4), n)
        for c, n in zip(colours, names, strict=True)
    ]
    entries.append((border[0], plain(border[1], lang)))
    return _finish(
        result, lang, (figure, axes, panel), entries, "suit.map.chance", **words, year=exempt(result.year)
    )


def slope_map(result: Suitability, lang: str) -> Figure:
    """Slope in the classes of cultivated land.

    Raises
    ------
    ParameterError
        The settings have no factor ``slope``.
    """
    words = {"city": city_name(result, lang)}
    slope = result.raster("slope").to_numpy()
    figure, axes, panel, border = _frame(result, plain("suit.map.slope", lang, **words))
    ends = np.array([end for end, _ in SLOPES[:-1]])
    codes = np.where(np.isnan(slope), 0, np.searchsorted(ends, np.nan_to_num(slope), side="left") + 1)
    _draw(axes, result, codes.astype(np.uint8), [colour for _, colour in SLOPES])
    low = [0.0, *ends.tolist()]
    names = [f"{a:g}° – {b:g}°" for a, b in zip(low, ends.tolist(), strict=False)] + [f">{ends[-1]:g}°"]
    entries: list[tuple[Any, str]] = [(None, result.settings.factor("slope").title(lang))]
    entries += [
        (patch_key(facecolor=c, edgecolor="#6b7280", linewidth=0.4), n)
        for (_, c), n in zip(SLOPES, names, strict=True)
    ]
    entries.append((border[0], plain(border[1], lang)))
    return _finish(result, lang, (figure, axes, panel), entries, "suit.map.slope", **words)


def conflict_map(result: Suitability, lang: str) -> Figure:
    """Patches where present use stands against the result, over the integrated result."""
    words = {"city": city_name(result, lang)}
    figure, axes, panel, border = _frame(result, plain("suit.map.conflicts", lang, **words, year=result.year))
    from matplotlib.colors import to_hex, to_rgb

    colours = colours_of(result, "zoning")
    pale = [to_hex([1 - 0.35 * (1 - part) for part in to_rgb(colour)]) for colour in colours]
    _draw(axes, result, result.zoning.to_numpy(), pale)
    entries: list[tuple[Any, str]] = []
    for at, one in enumerate(result.settings.conflicts):
        part = result.patches[result.patches["conflict"] == one.id]
        if part.empty:
            continue
        colour = CONFLICT_COLOURS[at % len(CONFLICT_COLOURS)]
        part.plot(ax=axes, color=colour, edgecolor=colour, linewidth=0.6, aspect=None, zorder=8)
        middle = part.geometry.representative_point()
        look: dict[str, Any] = {
            "marker": "o",
            "markerfacecolor": "none",
            "markeredgecolor": colour,
            "linestyle": "",
        }
        axes.plot(middle.x, middle.y, markersize=7, markeredgewidth=1.1, zorder=9, **look)
        entries.append((line_key(markersize=7, markeredgewidth=1.3, **look), one.title(lang)))
    entries += [
        (patch_key(facecolor=colour, edgecolor="#6b7280", linewidth=0.4), title)
        for colour, title in zip(pale, result.titles("zoning", lang), strict=True)
    ]
    entries.append((border[0], plain(border[1], lang)))
    return _finish(
        result, lang, (figure, axes, panel), entries, "suit.map.conflicts", **words, year=exempt(result.year)
    )


def sensitivity_chart(result: Suitability, lang: str, *, most: int = 14) -> Figure:
    """Bars to the left and right: land that changes class when one threshold is moved down or up."""
    moves = own_moves(result)
    total = moves.groupby(["evaluation", "factor", "threshold"], sort=False)["share"].max()
    keys = [
        key for key in total.sort_values(ascending=False, kind="stable").head(most).index if total[key] > 0
    ]
    held = moves.set_index(["evaluation", "factor", "threshold", "direction"])
    height = 1.35 + 0.3 * max(1, len(keys))
    figure = new_figure(7.6, height)
    left = 0.4 if lang == "zh" else 0.5
    axes = figure.add_axes((left, 0.45 / height, 0.97 - left, (height - 1.3) / height))
    names = []
    for at, key in enumerate(keys):
        for sign, colour in ((-1, "#4f81a8"), (1, "#c98a1b")):
            if (*key, sign) in held.index:
                axes.barh(
                    at, sign * float(held.loc[(*key, sign), "share"]), height=0.6, color=colour, zorder=2
                )
        base = (
            float(held.loc[[key], "base"].iloc[0])
            if (*key, -1) not in held.index
            else float(held.loc[(*key, -1), "base"])
        )
        row = {"factor": key[1]}
        unit = result.settings.factor(key[1]).unit if key[1] else ""
        names.append(
            f"{evaluation_title(result, key[0], lang)} · {threshold_name(result, row, lang)} {base:g}{unit}"
        )
    axes.set_yticks(range(len(keys)), names, fontsize=8.6)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    far = 1.06 * max([abs(edge) for edge in axes.get_xlim()] + [0.1])
    axes.set_xlim(-far, far)
    axes.axvline(0, color=style.INK, linewidth=0.8, zorder=3)
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.grid(axis="x", zorder=0)
    axes.set_axisbelow(True)
    handles = [
        patch_key(facecolor="#4f81a8", label=plain("suit.chart.down", lang)),
        patch_key(facecolor="#c98a1b", label=plain("suit.chart.up", lang)),
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.02, 1 - 0.4 / height),
        ncols=2,
        fontsize=8.8,
        borderaxespad=0,
    )
    figure.text(
        0.02,
        1 - 0.2 / height,
        plain("suit.chart.moves", lang),
        fontsize=12.5,
        path_effects=style.heavy(),
        va="center",
    )
    return render(
        figure, alt=plain("suit.chart.moves_alt", lang), caption=t("suit.chart.moves", lang), colours=64,
        sensitivity=result.openness,
    )  # fmt: skip
