"""What images show, in pictures: land cover, change and cases, areas with intervals, images before and after."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgb

from workbench.interpretation.chips import chip_file, chip_sensitivity
from workbench.interpretation.classes import CHANGE_CLASSES, scheme
from workbench.views import style
from workbench.views.cartography import (
    border_words,
    city_name,
    district_borders,
    districts,
    furnish,
    line_key,
    names,
    patch_key,
    sheet,
    sources_note,
)
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.html import Html, join
from workbench.views.imagery import class_names, image_dates, rows_of
from workbench.views.openness import review_line, sensitivity_of
from workbench.views.text import exempt, plain, t

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from workbench.evaluation.imagery import Imagery

CELLS = 900
"""Cells along the longer side of a map in a picture."""
HIDDEN = "#ffffff"
CHANGED, SUSPECTED = "#2b6ca3", "#c62828"
CHIPS = 4
"""Cases shown in images."""


def _classes(found: Imagery) -> Any:
    """Land-cover classes at the resolution of a picture, nearest cell, and their bounds; None without a map."""
    if not found.data.has("land_cover_map", found.year):
        return None
    import rasterio
    from rasterio.enums import Resampling

    with rasterio.open(found.data.source("land_cover_map", found.year).path) as file:
        step = max(1, -(-max(file.shape) // CELLS))
        size = (-(-file.height // step), -(-file.width // step))
        return file.read(1, out_shape=size, resampling=Resampling.nearest), file.bounds


def _notes(found: Imagery, role: str, lang: str) -> list[str]:
    """Lines at the foot of a map: source, days of all the images combined, CRS."""
    lines, days = sources_note(found, [("imagery", found.year)], lang), image_dates(found, role, lang)
    if not days:
        return lines
    words = plain("imagery.chart.dates", lang, dates=re.sub("<[^>]+>", "", days))
    return [*lines[:-2], words, lines[-1]]


def land_map(found: Imagery, lang: str) -> Figure | None:
    """Land-cover map of the year."""
    read = _classes(found)
    if read is None:
        return None
    values, bounds = read
    table, zones = scheme("six"), districts(found)
    place = {"city": city_name(found, lang), "year": found.year}
    figure, axes, panel = sheet(zones.total_bounds, plain("imagery.chart.land", lang, **place))
    colours = [HIDDEN, *table["colour"].astype(str)]
    shades = np.array([to_rgb(one) for one in colours])
    axes.imshow(shades[np.minimum(values, len(colours) - 1)], extent=(bounds.left, bounds.right, bounds.bottom, bounds.top),
                interpolation="nearest", zorder=1)  # fmt: skip
    border = district_borders(axes, zones)
    names(axes, zones, lang)
    titles = class_names(found, lang)
    entries: list[tuple[Any, str]] = [
        (patch_key(facecolor=colour), titles[name])
        for name, colour in zip(table["class"].astype(str), table["colour"].astype(str), strict=True)
    ]
    if (values == 0).any():
        entries.append(
            (patch_key(facecolor=HIDDEN, edgecolor="#9aa5b1"), plain("imagery.chart.nodata", lang))
        )
    entries.append((border, border_words(found, lang)))
    furnish(panel, axes, entries, _notes(found, "land_cover_map", lang), lang)
    shown = {"city": place["city"], "year": exempt(found.year)}
    return render(figure, alt=plain("imagery.chart.land_alt", lang), caption=t("imagery.chart.land", lang, **shown), colours=64,
                  sensitivity=sensitivity_of(found, ["imagery", "districts"]), review=review_line(found, lang))  # fmt: skip


def change_map(found: Imagery, lang: str) -> Figure | None:
    """Detected patches and suspected cases over the districts; dots mark what is too small to be seen."""
    shapes, cases = found.layer("detected_changes"), found.layer("detected_cases")
    if shapes is None:
        return None
    zones = districts(found)
    place = {"city": city_name(found, lang), "year": found.year, "before": found.year - 1}
    figure, axes, panel = sheet(zones.total_bounds, plain("imagery.chart.change", lang, **place))
    zones.plot(ax=axes, facecolor="#ffffff", edgecolor="none", aspect=None, zorder=0)
    marks: list[tuple[Any, str]] = []
    dot: dict[str, Any] = {
        "color": CHANGED,
        "markersize": 3.2,
        "markeredgecolor": "white",
        "markeredgewidth": 0.3,
    }
    ring: dict[str, Any] = {
        "color": SUSPECTED,
        "markersize": 6.4,
        "markerfacecolor": "none",
        "markeredgewidth": 0.9,
    }
    for frame, how, key in ((shapes, dot, "patches"), (cases, ring, "case")):
        if frame is None or not len(frame):
            continue
        if key == "patches":
            frame.plot(ax=axes, facecolor=CHANGED, edgecolor=CHANGED, linewidth=0.4, aspect=None, zorder=5)
        at = frame.geometry.representative_point()
        axes.plot(at.x, at.y, linestyle="", marker="o", zorder=8, **how)
        words = plain(f"imagery.chart.{key}", lang)
        marks.append((line_key(marker="o", linestyle="", **{**how, "markersize": 6.4}), words))
    border = district_borders(axes, zones)
    names(axes, zones, lang)
    furnish(
        panel,
        axes,
        [*marks, (border, border_words(found, lang))],
        _notes(found, "change_map", lang),
        lang,
    )
    shown = {"city": place["city"], "year": exempt(found.year), "before": exempt(found.year - 1)}
    roles = [role for role in ("detected_changes", "detected_cases") if found.data.has(role, found.year)]
    openness = [{"sensitivity": found.data.source(role, found.year).sensitivity} for role in roles]
    return render(figure, alt=plain("imagery.chart.change_alt", lang), caption=t("imagery.chart.change", lang, **shown), colours=96,
                  sensitivity=sensitivity_of(found, ["imagery", "districts"], openness), review=review_line(found, lang))  # fmt: skip


def area_chart(found: Imagery, lang: str) -> Figure | None:
    """Estimated hectares of each class with interval, and hectares on the map."""
    rows, city = rows_of(found), found.city.name
    titles = class_names(found, lang)
    held, apart = ([(title, rows[f"{part}.{name}", city], rows[f"{part}.mapped.{name}", city])
                    for name, title in titles.items() if (f"{part}.{name}", city) in rows and name != CHANGE_CLASSES[0]]
                   for part in ("area", "change_area"))  # fmt: skip
    if not held:
        return None
    below = 0.75 if apart else 0.0
    height = 1.0 + 0.36 * len(held) + below
    figure = new_figure(7.2, height)
    left = 0.17 if lang == "zh" else 0.27
    frame = (left, (0.4 + below) / height, 0.97 - left, (height - 0.85 - below) / height)
    _ranges(figure.add_axes(frame), held)
    if apart:
        _ranges(figure.add_axes((left, 0.4 / height, 0.97 - left, 0.36 / height)), apart)
    figure.text(0.02, 1 - 0.22 / height, plain("imagery.chart.area_title", lang), fontsize=12, path_effects=style.heavy(), va="center")  # fmt: skip
    return render(figure, alt=plain("imagery.chart.area_alt", lang), caption=t("imagery.chart.area", lang), colours=96,
                  sensitivity=sensitivity_of(found, (), [one for _, one, _ in [*held, *apart]]))  # fmt: skip


def _ranges(axes: Axes, held: list[tuple[str, Any, Any]]) -> None:
    """A line a class: estimate with interval, and the area on the map."""
    at = np.arange(len(held))[::-1]
    value = np.array([float(one["value"]) for _, one, _ in held])
    low, high = (np.array([float(one[end]) for _, one, _ in held]) for end in ("low", "high"))
    mapped = np.array([float(one["value"]) for _, _, one in held])
    axes.errorbar(
        value,
        at,
        xerr=(value - low, high - value),
        fmt="o",
        color="#1f6f8b",
        capsize=4,
        linewidth=1.6,
        zorder=4,
    )
    axes.plot(mapped, at, "D", markerfacecolor="white", markeredgecolor="#b5483a", markersize=6, zorder=3)
    axes.set_yticks(at, [title for title, _, _ in held])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(left=0)
    axes.set_ylim(-0.6, len(held) - 0.4)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="x", zorder=0)


def chips(found: Imagery, lang: str, most: int = CHIPS) -> Html:
    """The most pressing cases in the images of both years."""
    cases = found.layer("detected_cases")
    shown: list[Html] = []
    for at, case in enumerate([] if cases is None else cases.to_dict("records"), 1):
        code = str(case.get("space_code") or "")
        path = chip_file(found.city.name, found.year, code)
        if code and path.is_file():
            words = {"rank": exempt(at), "code": exempt(code)}
            shown.append(Figure(path.read_bytes(), plain("imagery.chart.chip_alt", lang), t("imagery.chart.chip", lang, **words),
                                chip_sensitivity(path)).html)  # fmt: skip
        if len(shown) == most:
            break
    return join(shown)
