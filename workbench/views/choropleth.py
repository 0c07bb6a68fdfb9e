"""An indicator on the map: classes from light to dark, names and values of the districts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.core.errors import ParameterError
from workbench.views.cartography import (
    city_name,
    district_borders,
    districts,
    furnish,
    names,
    patch_key,
    sheet,
    sources_note,
)
from workbench.views.cells import titles_of, with_tier
from workbench.views.figure import Figure, render
from workbench.views.numbers import format_number, records
from workbench.views.openness import review_line, sensitivity_of
from workbench.views.rows import definition_of
from workbench.views.text import exempt, plain, t, unit_label

if TYPE_CHECKING:
    import geopandas as gpd
    from matplotlib.axes import Axes

    from workbench.views.source import CheckupView

RAMP = ("#f7fcc9", "#d2edb3", "#8fd3b9", "#4cb9c2", "#1d91c0")
"""Yellow to blue, near ColorBrewer's YlGnBu; light enough for dark names on it."""


def indicator_map(checkup: CheckupView, indicator: str, lang: str) -> Figure:
    """An indicator by district: colours in classes, names and values on the map.

    Parameters
    ----------
    checkup : Checkup
        Values of level ``district``.
    indicator : str
        Indicator id.
    lang : {"zh", "en"}
        Language.

    Raises
    ------
    ParameterError
        The value table has no district row of the indicator.
    """
    values = checkup.values
    rows = values[(values["indicator"] == indicator) & (values["level"] == "district")]
    rows = rows[(rows["year"] == checkup.year) & (rows["tier"] != "target")]
    if rows.empty:
        raise ParameterError("no district values", where=indicator, found=f"year {checkup.year}")
    zones = districts(checkup)
    by_zone = dict(zip(rows["zone"].astype(str), rows["value"].astype(float), strict=True))
    shown = np.array([by_zone.get(str(code), np.nan) for code in zones["code"]])
    decimals = int(rows["decimals"].iloc[0])
    unit = unit_label(str(rows["unit"].iloc[0]), lang)
    tier = next(
        (tier for tier, value in zip(rows["tier"], rows["value"], strict=True) if pd.notna(value)), ""
    )
    title = with_tier(titles_of(definition_of(checkup, indicator), lang, indicator), tier, lang)
    words = {"city": city_name(checkup, lang), "indicator": title}
    heading = plain("map.indicator_title", lang, **words, year=checkup.year)
    figure, axes, panel = sheet(zones.total_bounds, heading)
    edges = class_edges(shown[~np.isnan(shown)], decimals)
    entries = _choropleth(axes, zones, shown, edges, decimals, lang)
    district_borders(axes, zones)
    labels = {
        str(code): plain("common.no_data", lang) if np.isnan(value) else format_number(value, decimals)
        for code, value in zip(zones["code"], shown, strict=True)
    }
    names(axes, zones, lang, extra=labels)
    head: list[tuple[Any, str]] = [(None, plain("common.unit", lang, unit=unit))] if unit else []
    notes = sources_note(checkup, [("districts", None)], lang)
    furnish(panel, axes, [*head, *entries], notes, lang)
    return render(
        figure,
        alt=plain("map.indicator_alt", lang, indicator=title),
        caption=t("map.indicator_title", lang, **words, year=exempt(checkup.year)),
        colours=128,
        sensitivity=sensitivity_of(checkup, ["districts"], records(rows)),
        review=review_line(checkup, lang),
    )


def class_edges(values: np.ndarray, decimals: int, *, classes: int = 5) -> np.ndarray:
    """Edges of equal classes rounded to what is printed; one class where all values are equal.

    Examples
    --------
    >>> class_edges(np.array([0.0, 10.0]), 0, classes=2).tolist()
    [0.0, 5.0, 10.0]
    """
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = float(values.min()), float(values.max())
    step = 10.0**-decimals
    low, high = np.floor(low / step + 1e-9) * step, np.ceil(high / step - 1e-9) * step
    count = max(1, min(classes, len(np.unique(values)), round((high - low) / step)))
    edges = np.unique(np.round(np.linspace(low, high, count + 1), decimals))
    return edges if len(edges) > 1 else np.array([low, low + step])


def class_colours(count: int) -> list[str]:
    """Hex colours of so many classes, from light (low) to dark (high).

    Examples
    --------
    >>> class_colours(2)
    ['#f7fcc9', '#1d91c0']
    """
    anchors = np.array([[int(c[at : at + 2], 16) for at in (1, 3, 5)] for c in RAMP])
    places = np.linspace(0, len(anchors) - 1, count) if count > 1 else np.array([0.0])
    parts = [np.interp(places, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return ["#" + "".join(f"{round(float(value)):02x}" for value in rgb) for rgb in zip(*parts, strict=True)]


def _choropleth(
    axes: Axes, zones: gpd.GeoDataFrame, values: np.ndarray, edges: np.ndarray, decimals: int, lang: str
) -> list[tuple[Any, str]]:
    count = len(edges) - 1
    colours = class_colours(count)
    at = np.clip(np.digitize(values, edges[1:-1]), 0, count - 1)
    known = ~np.isnan(values)
    if known.any():
        zones[known].plot(ax=axes, color=[colours[k] for k in at[known]], linewidth=0, aspect=None, zorder=1)
    entries: list[tuple[Any, str]] = []
    for k in range(count - 1, -1, -1):
        words = f"{format_number(edges[k], decimals)} – {format_number(edges[k + 1], decimals)}"
        entries.append((patch_key(facecolor=colours[k], edgecolor="#6b7280", linewidth=0.5), words))
    if not known.all():
        look = {"facecolor": "#f1f3f4", "hatch": "////", "edgecolor": "#b6bec6", "linewidth": 0.0}
        zones[~known].plot(ax=axes, aspect=None, zorder=1, **look)
        entries.append((patch_key(**look), plain("common.no_data", lang)))
    return entries
