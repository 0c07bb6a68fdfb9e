"""The spatial structure in pictures: extent, change of land, clusters, ranks, headways, low-efficiency land."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np

from workbench.evaluation.structure.service import STATED
from workbench.views import style
from workbench.views.cartography import (
    border_words,
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
from workbench.views.numbers import format_number
from workbench.views.openness import review_line, sensitivity_of
from workbench.views.structure import window_title
from workbench.views.text import plain, t

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from workbench.evaluation.structure import Structure

Entries = list[tuple[Any, str]]
URBAN = {"initial": "#9c4a3c", "joined": "#e08a3c", "too_small": "#7b8794"}
LISA = {"HH": "#b2182b", "LL": "#2166ac", "HL": "#ef8a62", "LH": "#67a9cf", "": "#f1f1ee"}
HEADWAYS = (
    (0.0, 6.0, "#12507b"),
    (6.0, 10.0, "#2f86b5"),
    (10.0, 15.0, "#7fc0a8"),
    (15.0, 30.0, "#e3b34f"),
    (30.0, np.inf, "#b5483a"),
)
RULES = ("#8e1b5f", "#d1622b", "#2f6fb0", "#5c8a3a", "#7b5aa6", "#4a4a4a")


def pictures(found: Structure, lang: str) -> dict[str, Figure]:
    """All pictures that the parts allow, by file name."""
    made: dict[str, Figure] = {}
    if found.there("urban"):
        made["urban"] = urban_map(found, lang)
    if found.there("transition"):
        made["change"] = change_chart(found, lang)
    if "clusters" in found.tables:
        made["clusters"] = cluster_map(found, lang)
    if len(found.tables.get("settlements", ())) and found.value("people", "exponent") == found.value(
        "people", "exponent"
    ):
        made["ranks"] = rank_chart(found, lang)
    if found.there("transit"):
        made["stops"] = stop_map(found, lang)
    if found.there("low_use") and len(found.tables["low_use"]):
        made["low_use"] = low_use_map(found, lang)
    return made


def _sheet(
    found: Structure, title: str, bounds: Any | None = None
) -> tuple[Any, Axes, Axes, gpd.GeoDataFrame]:
    zones = districts(found)
    edge = zones.total_bounds if bounds is None else bounds
    figure, axes, panel = sheet([float(one) for one in edge], title)
    zones.plot(ax=axes, facecolor="#ffffff", edgecolor="none", aspect=None, zorder=0)
    return figure, axes, panel, zones


def _finish(found: Structure, lang: str, key: str, drawn: tuple[Any, Axes, Axes, gpd.GeoDataFrame], entries: Entries,
            roles: tuple[str, ...]) -> Figure:  # fmt: skip
    figure, axes, panel, zones = drawn
    entries = [*entries, (district_borders(axes, zones), border_words(found, lang))]
    furnish(panel, axes, entries, sources_note(found, [(one, None) for one in roles], lang), lang)
    return render(
        figure, alt=plain(f"structure.map.{key}_alt", lang), caption=t(f"structure.map.{key}", lang, city=city_name(found, lang)),
        colours=128, sensitivity=sensitivity_of(found, [*roles, "districts"]), review=review_line(found, lang),
    )  # fmt: skip


def _fill(colour: str) -> Any:
    return patch_key(facecolor=colour, edgecolor="#6b7280", linewidth=0.4)


def _near(shapes: gpd.GeoDataFrame, whole: Any) -> Any:
    """Extent of some shapes with a margin, inside that of the city."""
    west, south, east, north = shapes.total_bounds
    pad = 0.06 * max(east - west, north - south)
    return np.array(
        [
            max(west - pad, whole[0]),
            max(south - pad, whole[1]),
            min(east + pad, whole[2]),
            min(north + pad, whole[3]),
        ]
    )


def urban_map(found: Structure, lang: str) -> Figure:
    """First range, what joined, and the zones kept."""
    area = found.tables["urban_area"]
    title = plain("structure.map.urban", lang, city=city_name(found, lang))
    drawn = _sheet(found, title, _near(area, districts(found).total_bounds))
    axes = drawn[1]
    entries: Entries = []
    for why, colour in URBAN.items():
        mine = area[area["why"] == why]
        if len(mine):
            mine.plot(ax=axes, color=colour, edgecolor=colour, linewidth=0.2, aspect=None, zorder=3)
            entries.append((_fill(colour), plain(f"structure.map.{why}", lang)))
    zones = found.tables.get("urban_range")
    if zones is not None and zones["kept"].any():
        kept = gpd.GeoSeries([zones[zones["kept"].astype(bool)].geometry.union_all()], crs=zones.crs)
        kept.boundary.plot(ax=axes, color="#12344d", linewidth=1.8, aspect=None, zorder=16)
        entries.append((line_key(color="#12344d", linewidth=1.8), plain("structure.map.kept", lang)))
    return _finish(found, lang, "urban", drawn, entries, found.roles("urban"))


def cluster_map(found: Structure, lang: str) -> Figure:
    """Zones by their local cluster."""
    zones = found.tables["clusters"]
    drawn = _sheet(
        found, plain("structure.map.clusters", lang, city=city_name(found, lang)), zones.total_bounds
    )
    entries: Entries = []
    for name, colour in LISA.items():
        mine = zones[zones["cluster"] == name]
        if len(mine):
            mine.plot(ax=drawn[1], color=colour, edgecolor="#b8bec5", linewidth=0.3, aspect=None, zorder=3)
        entries.append((_fill(colour), plain(f"structure.map.{name.lower() or 'none'}", lang)))
    return _finish(found, lang, "clusters", drawn, entries, found.roles("people"))


def shown_window(found: Structure) -> str:
    """Window the map of stops shows: the first that most stops are served in; what is stated where there is no other."""
    rows = found.tables["stops"]
    counts = rows.loc[rows["window"] != "", "window"].value_counts()
    ids = [*(one.id for one in found.settings.windows), STATED]
    order = {name: ids.index(name) if name in ids else len(ids) for name in counts.index}
    return min(counts.index, key=lambda name: (-int(counts[name]), order[name])) if len(counts) else ""


def stop_map(found: Structure, lang: str) -> Figure:
    """Stops by the headway of their best line."""
    window = shown_window(found)
    rows = found.tables["stops"]
    mine = rows[rows["window"] == window]
    name = window_title(found, window, lang) if window else ""
    title = plain("structure.map.stops", lang, city=city_name(found, lang))
    drawn = _sheet(found, f"{title} {name}".strip(), _near(rows, districts(found).total_bounds))
    entries: Entries = [(None, plain("structure.map.headway", lang))]
    look: dict[str, Any] = {
        "marker": "o",
        "markeredgecolor": "white",
        "markeredgewidth": 0.3,
        "linestyle": "",
    }
    for low, high, colour in reversed(HEADWAYS):
        part = mine[(mine["best_headway_min"] > low) & (mine["best_headway_min"] <= high)]
        drawn[1].plot(
            part.geometry.x,
            part.geometry.y,
            color=colour,
            markersize=4.2,
            zorder=8 - high / 100 if high < 99 else 5,
            **look,
        )
    for low, high, colour in HEADWAYS:
        key = "upto" if low == 0 else "beyond" if np.isinf(high) else "span"
        words = plain(f"structure.map.{key}", lang, low=f"{low:g}", high=f"{high:g}")
        entries.append((line_key(color=colour, markersize=6, **look), words))
    served = set(mine["stop_id"])
    silent = rows[~rows["stop_id"].isin(served)]
    if len(silent):
        drawn[1].plot(silent.geometry.x, silent.geometry.y, color="#9aa3ad", markersize=2.6, zorder=4, **look)
        entries.append(
            (line_key(color="#9aa3ad", markersize=4, **look), plain("structure.map.unknown", lang))
        )
    roles = tuple(one for one in found.roles("transit") if one in ("bus_stops", "rail_stations"))
    return _finish(found, lang, "stops", drawn, entries, roles)


def low_use_map(found: Structure, lang: str) -> Figure:
    """Parcels by the first rule they meet; small ones as points."""
    parcels = found.tables["low_use"]
    title = plain("structure.map.low_use", lang, city=city_name(found, lang))
    drawn = _sheet(found, title, _near(parcels, districts(found).total_bounds))
    first = parcels["rules"].str.split().str[0]
    entries: Entries = [(None, plain("structure.map.rules", lang))]
    for at, rule in enumerate(found.settings.low_use):
        mine = parcels[first == rule.id]
        colour = RULES[at % len(RULES)]
        if len(mine):
            mine.plot(ax=drawn[1], color=colour, edgecolor=colour, linewidth=0.4, aspect=None, zorder=5)
            points = mine.geometry.representative_point()
            drawn[1].plot(
                points.x,
                points.y,
                "o",
                color=colour,
                markersize=3.2,
                markeredgecolor="white",
                markeredgewidth=0.3,
                zorder=8,
            )
            entries.append((_fill(colour), rule.title(lang)))
    return _finish(found, lang, "low_use", drawn, entries, found.roles("low_use"))


def change_chart(found: Structure, lang: str) -> Figure:
    """Gain, loss and net change of each group of classes."""
    held = found.tables["transitions"]
    moved = held[held["before"] != held["after"]]
    names = dict(zip(held["before"], held[f"before_{lang}"], strict=True)) | dict(
        zip(held["after"], held[f"after_{lang}"], strict=True)
    )
    gain = moved.groupby("after")["ha"].sum().reindex(list(names)).fillna(0.0)
    loss = moved.groupby("before")["ha"].sum().reindex(list(names)).fillna(0.0)
    order = (gain - loss).sort_values().index.to_list()
    height = 1.3 + 0.36 * len(order)
    figure = new_figure(7.2, height)
    axes = figure.add_axes(
        (
            0.16 if lang == "zh" else 0.27,
            0.42 / height,
            0.8 if lang == "zh" else 0.69,
            (height - 1.25) / height,
        )
    )
    at = np.arange(len(order))
    axes.barh(at, gain[order], height=0.55, color="#c98a6b", zorder=2)
    axes.barh(at, -loss[order], height=0.55, color="#8fb6a5", zorder=2)
    axes.plot((gain - loss)[order], at, "D", color=style.INK, markersize=5, zorder=4, linestyle="")
    axes.axvline(0, color=style.INK, linewidth=0.9, zorder=3)
    axes.set_yticks(at, [names[one] for one in order])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", zorder=0)
    figure.legend(
        handles=[patch_key(facecolor="#c98a6b", label=plain("structure.chart.gain", lang)),
                 patch_key(facecolor="#8fb6a5", label=plain("structure.chart.loss", lang)),
                 line_key(marker="D", color=style.INK, linestyle="", label=plain("structure.chart.net_mark", lang))],
        loc="upper left", bbox_to_anchor=(0.02, 1 - 0.42 / height), ncols=3, fontsize=9,
    )  # fmt: skip
    figure.text(0.02, 1 - 0.22 / height, f"{plain('structure.chart.net', lang)} {found.city.base_year}–{found.year}", fontsize=12.5,
                path_effects=style.heavy(), va="center")  # fmt: skip
    return render(
        figure, alt=plain("structure.chart.net_alt", lang), caption=t("structure.chart.net", lang), colours=128,
        sensitivity=sensitivity_of(found, found.roles("transition")),
    )  # fmt: skip


def rank_chart(found: Structure, lang: str) -> Figure:
    """Settlements by rank and size, with the fitted line of the tail."""
    sizes = np.sort(found.tables["settlements"]["people"].to_numpy(dtype=float))[::-1]
    used = int(found.value("people", "places_used"))
    slope, error = found.value("people", "exponent"), found.value("people", "exponent_error")
    rank = np.arange(1, len(sizes) + 1)
    figure = new_figure(6.6, 4.4)
    axes = figure.add_axes((0.11, 0.12, 0.86, 0.76))
    axes.plot(
        sizes[used:],
        rank[used:],
        "o",
        color="#b8c2cc",
        markersize=3.5,
        label=plain("structure.chart.body", lang),
    )
    axes.plot(
        sizes[:used],
        rank[:used],
        "o",
        color="#1f6f8b",
        markersize=4.5,
        label=plain("structure.chart.tail", lang),
    )
    level = np.mean(np.log(rank[:used] - 0.5)) + slope * np.mean(np.log(sizes[:used]))
    ends = np.array([sizes[used - 1], sizes[0]])
    words = plain("structure.chart.fit", lang, slope=format_number(slope, 2), error=format_number(error, 2))
    axes.plot(ends, np.exp(level - slope * np.log(ends)) + 0.5, color="#b5483a", linewidth=1.6, label=words)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=plain("structure.chart.people", lang),
        ylabel=plain("structure.chart.rank", lang),
    )
    axes.grid(which="major")
    axes.legend(fontsize=9, loc="lower left")
    figure.text(
        0.02,
        0.95,
        plain("structure.chart.ranks", lang),
        fontsize=12.5,
        path_effects=style.heavy(),
        va="center",
    )
    return render(
        figure, alt=plain("structure.chart.ranks_alt", lang), caption=t("structure.chart.ranks", lang), colours=128,
        sensitivity=sensitivity_of(found, found.roles("people")),
    )  # fmt: skip
