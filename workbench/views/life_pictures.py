"""Life circles in pictures: levels by kind, Lorenz curves, and maps of circles, walks and supply."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.cells import cell_shapes
from workbench.core.errors import ParameterError
from workbench.evaluation.life_circle.settings import EVERYONE
from workbench.views import style
from workbench.views.cartography import (
    border_key,
    city_name,
    district_borders,
    districts,
    furnish,
    layer,
    line_key,
    patch_key,
    sheet,
    sources_note,
)
from workbench.views.charts import new_figure
from workbench.views.choropleth import class_colours
from workbench.views.figure import Figure, render
from workbench.views.html import Html, join
from workbench.views.life_circle import REQUIRED, absent, kind_reading, required, rows_of, weakest
from workbench.views.numbers import format_number
from workbench.views.openness import review_line, sensitivity_of
from workbench.views.text import exempt, plain, t

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from workbench.evaluation.life_circle import LifeCircle

LEVELS = ("#1f6f8b", "#7fb6c6", "#cfe4ea")
"""Bars within 5, 10 and 15 minutes."""
REACHED = ("#2b8a5b", "#9fd0a4", "#f2d98b", "#e2996b", "#c45b52")
"""Walks from short to long."""
NOTHING = "#d9d9d9"
CURVES = ("#1f4e79", "#c2568c", "#3f8f4f", "#c98a1b", "#7b5aa6", "#b5483a", "#5f6b76")
EDGE = 0.002
"""Share of the people that may lie outside the frame of a map at each of its sides."""
MAIN_ROADS = {"motorway": 1.2, "trunk": 0.9, "primary": 0.65, "secondary": 0.35}


def levels_chart(life: LifeCircle, lang: str) -> Figure:
    """A bar a kind: shares within 5, 10 and 15 minutes on foot; ring and diamond show network and crow at the own level."""
    rows, city = rows_of(life), life.city.name
    kinds = [life.settings.facility(kind) for kind in life.kinds]
    minutes = sorted(life.settings.parameters.minutes)
    height = 1.55 + 0.31 * len(kinds)
    figure = new_figure(7.6, height)
    axes = figure.add_axes(
        (
            0.235 if lang == "zh" else 0.33,
            0.5 / height,
            0.735 if lang == "zh" else 0.64,
            (height - 1.55) / height,
        )
    )
    for at, one in enumerate(kinds):
        for order, level in reversed(list(enumerate(minutes))):
            value = float(rows[f"share.{one.kind}.{level:g}.walk.{EVERYONE}", city]["value"])
            axes.barh(at, value, height=0.56, color=LEVELS[min(order, len(LEVELS) - 1)], zorder=2)
        own = f"{one.kind}.{one.minutes:g}.walk.{EVERYONE}"
        net, crow = (float(rows[f"{what}.{own}", city]["value"]) for what in ("share", "straight"))
        axes.plot([net, crow], [at, at], color="#b5483a", linewidth=1.1, zorder=3)
        axes.plot(net, at, "o", markersize=5.6, markerfacecolor="white", markeredgecolor=style.INK, zorder=4)
        axes.plot(crow, at, "D", markersize=4.6, color="#b5483a", zorder=4)
    axes.set_yticks(range(len(kinds)), [f"{one.title(lang)} {one.minutes:g}′" for one in kinds], fontsize=9)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 101), xlabel=plain(f"life.chart.axis_{life.basis}", lang))
    axes.grid(axis="x", zorder=0)
    axes.set_axisbelow(True)
    handles: list[Any] = [
        patch_key(facecolor=LEVELS[min(k, 2)], label=plain("life.chart.within", lang, minutes=f"{m:g}"))
        for k, m in enumerate(minutes)
    ]
    ring = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": style.INK, "linestyle": ""}
    handles.append(line_key(label=plain("life.chart.network", lang), **ring))
    handles.append(
        line_key(
            marker="D", color="#b5483a", linestyle="", markersize=5, label=plain("life.chart.straight", lang)
        )
    )
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.02, 1 - 0.42 / height), ncols=5 if lang == "zh" else 3,
        fontsize=8.8, columnspacing=1.2, handletextpad=0.45, handlelength=1.2, borderaxespad=0,
    )  # fmt: skip
    _heading(figure, plain("life.chart.levels", lang), height)
    return render(
        figure, alt=plain("life.chart.levels_alt", lang), caption=t("life.chart.levels", lang), colours=128,
        sensitivity=life.sensitivity,
    )  # fmt: skip


def _heading(figure: Any, text: str, height: float) -> None:
    figure.text(0.02, 1 - 0.2 / height, text, fontsize=12.5, path_effects=style.heavy(), va="center")


def lorenz_chart(life: LifeCircle, lang: str) -> Figure:
    """Lorenz curves of supply per head of each kind, with Gini coefficients."""
    rows, city = rows_of(life), life.city.name
    figure = new_figure(6.9, 4.6)
    axes = figure.add_axes((0.09, 0.12, 0.53, 0.76))
    axes.plot([0, 100], [0, 100], color="#8a949e", linewidth=1, linestyle=(0, (5, 3)))
    handles = [
        line_key(color="#8a949e", linewidth=1, linestyle=(0, (5, 3)), label=plain("life.chart.equal", lang))
    ]
    for at, (kind, curve) in enumerate(life.lorenz.groupby("kind", sort=False)):
        row = rows.get((f"gini.{kind}", city))
        if row is None or pd.isna(row["value"]):
            continue
        look: dict[str, Any] = {"color": CURVES[at % len(CURVES)], "linewidth": 1.7}
        axes.plot(100 * curve["people"], 100 * curve["amount"], **look)
        title = life.settings.facility(str(kind)).title(lang)
        handles.append(line_key(label=f"{title} ({float(row['value']):.3f})", **look))
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel=plain(f"life.chart.lorenz_x_{life.basis}", lang))
    axes.set_ylabel(plain("life.chart.lorenz_y", lang))
    axes.grid()
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.64, 0.88), fontsize=8.8, borderaxespad=0
    )
    _heading(figure, plain("life.chart.lorenz", lang), 4.6)
    return render(
        figure, alt=plain("life.chart.lorenz_alt", lang), caption=t("life.chart.lorenz", lang), colours=128,
        sensitivity=life.sensitivity,
    )  # fmt: skip


def has_supply(life: LifeCircle) -> bool:
    """Whether there is a supply of any kind to draw."""
    return len(life.lorenz) > 0


def shapes(life: LifeCircle) -> gpd.GeoDataFrame:
    """Homes to draw: cells around the centres of population cells, or the buildings."""
    if life.basis == "buildings":
        year = life.year if life.data.years("buildings") else None
        found = life.data.vector("buildings", year)
        at = pd.Series(found.index, index=found["building_id"].astype(str))
        at = at[~at.index.duplicated()].reindex(life.cells["cell_id"])
        return life.cells.set_geometry(found.geometry.array[at.to_numpy(dtype=int)], crs=found.crs)
    return life.cells.set_geometry(cell_shapes(life.cells.geometry), crs=life.cells.crs)


def _base(life: LifeCircle, title: str) -> tuple[Any, Axes, Axes, list[tuple[Any, str]], gpd.GeoDataFrame]:
    """Frame, borders and main roads; legend entries with keys of words."""
    zones = districts(life)
    drawn = shapes(life)
    figure, axes, panel = sheet([float(edge) for edge in _view(zones, drawn)], title)
    zones.plot(ax=axes, facecolor="#ffffff", edgecolor="none", aspect=None, zorder=0)
    entries: list[tuple[Any, str]] = []
    roads = layer(life, "roads")
    if roads is not None and "road_class" in roads:
        held = [name for name in MAIN_ROADS if (roads["road_class"] == name).any()]
        for name in held:
            part = roads[roads["road_class"] == name]
            part.plot(ax=axes, color="#9a8f84", linewidth=MAIN_ROADS[name], aspect=None, zorder=6, alpha=0.8)
        if held:
            entries.append((line_key(color="#9a8f84", linewidth=1.1), "life.map.road"))
    entries.append((district_borders(axes, zones), border_key(life)))
    return figure, axes, panel, entries, drawn


def _view(zones: gpd.GeoDataFrame, drawn: gpd.GeoDataFrame) -> npt.NDArray[np.float64]:
    """Extent of nearly all people (of 99.6 % across and up), a little wider, inside that of the zones."""
    box, people = drawn.geometry.bounds.to_numpy(), drawn[EVERYONE].to_numpy(dtype=float)
    edges = []
    for column, share in ((0, EDGE), (1, EDGE), (2, 1 - EDGE), (3, 1 - EDGE)):
        order = np.argsort(box[:, column])
        held = np.cumsum(people[order])
        at = (
            int(np.searchsorted(held, share * held[-1]))
            if held[-1] > 0
            else (0 if share < 0.5 else len(box) - 1)
        )
        edges.append(box[order[min(at, len(box) - 1)], column])
    pad = 0.06 * max(edges[2] - edges[0], edges[3] - edges[1])
    whole = zones.total_bounds
    low, high = (
        np.maximum(np.array(edges[:2]) - pad, whole[:2]),
        np.minimum(np.array(edges[2:]) + pad, whole[2:]),
    )
    return np.concatenate((low, high))


def _classes(
    axes: Axes, drawn: gpd.GeoDataFrame, number: npt.NDArray[np.int64], colours: list[str], words: list[str]
) -> list[tuple[Any, str]]:
    """Draw homes by class (-1: not drawn); legend entries of all classes."""
    for at, colour in enumerate(colours):
        part = drawn[number == at]
        if len(part):
            part.plot(ax=axes, color=colour, linewidth=0.1, edgecolor=colour, aspect=None, zorder=3)
    return [
        (patch_key(facecolor=c, edgecolor="#6b7280", linewidth=0.4), w)
        for c, w in zip(colours, words, strict=True)
    ]


def _finish(
    life: LifeCircle, lang: str, parts: tuple[Any, Axes, Axes], entries: list[tuple[Any, str]], roles: list[str],
    words: tuple[str, Html],
) -> Figure:  # fmt: skip
    figure, axes, panel = parts
    homes = "population" if life.basis == "population" else "buildings"
    used = [homes, "roads", *roles]
    furnish(
        panel, axes, entries, sources_note(life, [(role, None) for role in dict.fromkeys(used)], lang), lang
    )
    return render(
        figure, alt=words[0], caption=words[1], colours=128,
        sensitivity=sensitivity_of(life, [*used, "districts"]), review=review_line(life, lang),
    )  # fmt: skip


def circle_map(life: LifeCircle, lang: str, circle: str = REQUIRED) -> Figure:
    """Homes by the number of kinds of a circle in reach on foot.

    Raises
    ------
    ParameterError
        The settings have no such circle, or the data none of its kinds.
    """
    one = next((item for item in life.settings.circles if item.id == circle), None)
    if one is None or f"kinds.{circle}" not in life.cells:
        raise ParameterError(
            "no such circle to draw", found=circle, expected=[c.id for c in life.settings.circles]
        )
    most = len(one.kinds) - len(absent(life, circle))
    words: dict[str, Any] = {"city": city_name(life, lang), "circle": one.title(lang)}
    title = plain("life.map.circle", lang, **words, year=life.year)
    figure, axes, panel, base, drawn = _base(life, title)
    reached = drawn[f"kinds.{circle}"].to_numpy(dtype=np.int64)
    ramp = (
        ["#e6b8ae", *class_colours(max(most - 1, 1))[: most - 1], "#1b6e45"]
        if most > 1
        else ["#e6b8ae", "#1b6e45"]
    )
    names = [plain("life.map.some", lang, count=k) for k in range(most)]
    names.append(plain("life.map.complete", lang, count=most))
    number = np.where(drawn[EVERYONE].to_numpy() > 0, reached, -1)
    entries = _classes(axes, drawn, number, ramp, names)[::-1]
    entries = [(None, plain("life.map.kinds", lang)), *entries, *((h, plain(k, lang)) for h, k in base)]
    roles = list(dict.fromkeys(life.settings.facility(kind).role for kind in one.kinds if kind in life.kinds))
    told = (plain("life.map.circle_alt", lang), t("life.map.circle", lang, **words, year=exempt(life.year)))
    return _finish(life, lang, (figure, axes, panel), entries, roles, told)


def kind_map(life: LifeCircle, lang: str, kind: str) -> Figure:
    """Homes by the walk to the nearest facility of a kind, the facilities, and the further sites that help most.

    Raises
    ------
    ParameterError
        There is no facility of the kind.
    """
    if kind not in life.kinds:
        raise ParameterError("no facility of this kind to draw", found=kind, expected=life.kinds)
    one = life.settings.facility(kind)
    words: dict[str, Any] = {"city": city_name(life, lang), "kind": one.title(lang)}
    figure, axes, panel, base, drawn = _base(life, plain("life.map.kind", lang, **words, year=life.year))
    limits = sorted({*life.settings.parameters.minutes, 2 * max(life.settings.parameters.minutes)})
    walk = drawn[f"walk_m.{kind}"].to_numpy(dtype=np.float64) / life.city.walking_m_per_min
    number = np.searchsorted(np.array(limits), np.nan_to_num(walk, nan=np.inf), side="left")
    number = np.where(drawn[EVERYONE].to_numpy() > 0, np.where(np.isnan(walk), len(limits) + 1, number), -1)
    colours = [*REACHED[: len(limits)], REACHED[-1], NOTHING]
    low = [0.0, *limits[:-1]]
    names = [
        plain("life.map.up_to", lang, low=f"{a:g}", high=f"{b:g}") for a, b in zip(low, limits, strict=True)
    ]
    names += [plain("life.map.beyond", lang, high=f"{limits[-1]:g}"), plain("life.map.unreached", lang)]
    entries = [(None, plain("life.map.minutes", lang)), *_classes(axes, drawn, number, colours, names)]
    entries += _facilities(life, axes, kind, lang) + _sites(life, axes, kind, lang)
    entries += [(handle, plain(key, lang)) for handle, key in base]
    told = (
        plain("life.map.kind_alt", lang, kind=one.title(lang)),
        t("life.map.kind", lang, **words, year=exempt(life.year)),
    )
    return _finish(life, lang, (figure, axes, panel), entries, [one.role], told)


def _facilities(life: LifeCircle, axes: Axes, kind: str, lang: str) -> list[tuple[Any, str]]:
    one = life.settings.facility(kind)
    found = layer(life, one.role)
    if found is None:
        return []
    if "kind" in found and one.role == "facilities":
        found = found[found["kind"] == kind]
    points = found.geometry.representative_point()
    look: dict[str, Any] = {
        "marker": "o",
        "color": "#12344d",
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
    }
    axes.plot(points.x, points.y, linestyle="", markersize=3.4, zorder=10, **look)
    return [
        (
            line_key(linestyle="", markersize=4.5, **look),
            plain("life.map.facility", lang, kind=one.title(lang)),
        )
    ]


def _sites(life: LifeCircle, axes: Axes, kind: str, lang: str) -> list[tuple[Any, str]]:
    sites = life.next_sites[life.next_sites["kind"] == kind]
    if sites.empty:
        return []
    look: dict[str, Any] = {
        "marker": "*",
        "color": "#7a1fa2",
        "markeredgecolor": "white",
        "markeredgewidth": 0.6,
        "linestyle": "",
    }
    axes.plot(sites.geometry.x, sites.geometry.y, markersize=13, zorder=12, **look)
    for rank, point in zip(sites["rank"], sites.geometry, strict=True):
        axes.annotate(
            str(rank), (point.x, point.y), (6, 5), textcoords="offset points", fontsize=10, color="#5c1480",
            path_effects=style.halo(), zorder=13,
        )  # fmt: skip
    return [(line_key(markersize=10, **look), plain("life.map.site", lang))]


def kind_maps(life: LifeCircle, lang: str, *, most: int = 2) -> Html:
    """Maps of the walks to the required kinds with the least coverage, each after a sentence of what it shows."""
    return join(
        [
            part
            for kind in weakest(life, most)
            for part in (kind_reading(life, lang, kind), kind_map(life, lang, kind).html)
        ]
    )


def supply_kind(life: LifeCircle) -> str:
    """Kind whose supply is worth a map: of the required ones the least equal; of all when none is required."""
    kinds = [one.kind for one in required(life)]
    held = life.equity[life.equity["gini"].notna()].reset_index(drop=True)
    chosen = held[held["kind"].isin(kinds)] if held["kind"].isin(kinds).any() else held
    return str(chosen["kind"].iloc[int(np.argmax(chosen["gini"].to_numpy(float)))]) if len(chosen) else ""


def supply_map(life: LifeCircle, lang: str, kind: str = "") -> Figure:
    """Homes by supply for 1,000 of those a kind serves, in classes of equal numbers of people; grey has none.

    Raises
    ------
    ParameterError
        There is no supply of the kind.
    """
    kind = kind or supply_kind(life)
    rows = life.supply[life.supply["kind"] == kind]
    if rows.empty:
        raise ParameterError(
            "no supply of this kind to draw", found=kind, expected=sorted(life.supply["kind"].unique())
        )
    one = life.settings.facility(kind)
    basis = str(life.equity.loc[life.equity["kind"] == kind, "basis"].iloc[0])
    people = life.basis == "population"
    words: dict[str, Any] = {
        "city": city_name(life, lang), "kind": one.title(lang),
        "amount": one.amount(lang) if basis == "capacity" else ("处数" if lang == "zh" else "facilities"),
        "group": plain("life.map.group" if people else "life.map.group_m2", lang),
    }  # fmt: skip
    figure, axes, panel, base, drawn = _base(life, plain("life.map.supply", lang, **words, year=life.year))
    value = np.zeros(len(drawn))
    value[rows["home"].to_numpy(dtype=int)] = rows["rate"]
    counted = drawn[EVERYONE].to_numpy(dtype=float)
    edges, decimals = _quantiles(value[(value > 0) & (counted > 0)], counted[(value > 0) & (counted > 0)])
    number = np.where(
        value > 0, 1 + np.clip(np.searchsorted(edges[1:-1], value, side="left"), 0, len(edges) - 2), 0
    )
    number = np.where(counted > 0, number, -1)
    spans = [f"{format_number(a, decimals)} – {format_number(b, decimals)}" for a, b in pairwise(edges)]
    colours = [NOTHING, *class_colours(len(spans))]
    entries = _classes(axes, drawn, number, colours, [plain("life.map.none", lang), *spans])[::-1]
    heading = plain("life.map.per_thousand" if people else "life.map.per_hectare", lang)
    entries = [
        (None, heading),
        *entries,
        *_facilities(life, axes, kind, lang),
        *((h, plain(k, lang)) for h, k in base),
    ]
    told = (plain("life.map.supply_alt", lang), t("life.map.supply", lang, **words, year=exempt(life.year)))
    return _finish(life, lang, (figure, axes, panel), entries, [one.role], told)


def _quantiles(
    value: npt.NDArray[Any], people: npt.NDArray[Any], classes: int = 5
) -> tuple[npt.NDArray[Any], int]:
    """Edges of classes with equal numbers of people, and the decimals to print them with."""
    if not len(value):
        return np.array([0.0, 1.0]), 0
    order = np.argsort(value)
    share = np.cumsum(people[order]) / people.sum()
    at = np.searchsorted(share, np.linspace(0, 1, classes + 1)[1:-1])
    edges = np.unique([value.min(), *value[order][at], value.max()])
    if len(edges) == 1:
        edges = np.array([edges[0], edges[0]])
    apart = [k for k in range(7) if len(np.unique(np.round(edges, k))) == len(np.unique(edges))]
    return edges, apart[0] if apart else 6
