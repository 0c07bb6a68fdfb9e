"""Maps of the report, in the city's own CRS: overview, land use, cases, indicator by district."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.core.errors import ParameterError
from workbench.views import style
from workbench.views.cartography import (
    districts,
    draw_land_use,
    furnish,
    halo,
    label_point,
    layer,
    metres_per_inch,
    names,
    sheet,
    sources_note,
)
from workbench.views.cells import change_text, role_label, titles_of
from workbench.views.figure import Figure, render
from workbench.views.numbers import format_number
from workbench.views.rows import cases_of, definition_of
from workbench.views.text import exempt, plain, t, unit_label

if TYPE_CHECKING:
    import geopandas as gpd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MplFigure

    from workbench.views.source import CheckupView

THREE_LINES = ("permanent_farmland", "ecological_red_line", "development_boundary")
RAMP = ("#f7fcc9", "#d2edb3", "#8fd3b9", "#4cb9c2", "#1d91c0")
"""Yellow to blue, near ColorBrewer's YlGnBu; light enough for dark names on it."""
WATER = "#b7daf2"
ROAD_WIDTH = {"motorway": 1.5, "trunk": 1.1, "primary": 0.8, "secondary": 0.45}
ROAD = "#a08f7c"


def _city_name(checkup: CheckupView, lang: str) -> str:
    return str(checkup.city.name_zh if lang == "zh" else checkup.city.name_en)


def _patch(**look: Any) -> Any:
    from matplotlib.patches import Patch

    return Patch(**look)


def _line(**look: Any) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], **look)


def in_force(lines: gpd.GeoDataFrame, year: int) -> gpd.GeoDataFrame:
    """Line polygons approved by the end of the year and not ended before it."""
    keep = pd.Series(True, index=lines.index)
    last = pd.Timestamp(year=year, month=12, day=31)
    if "approved" in lines:
        approved = pd.to_datetime(lines["approved"], errors="coerce")
        keep &= approved.isna() | (approved <= last)
    if "ended" in lines:
        ended = pd.to_datetime(lines["ended"], errors="coerce")
        keep &= ended.isna() | (ended > last)
    return lines[keep]


def _base(axes: Axes, checkup: CheckupView, zones: gpd.GeoDataFrame) -> list[tuple[Any, str]]:
    """Districts, water, main roads and rail; returns legend entries with keys of the text."""
    zones.plot(ax=axes, facecolor="#fdfdfb", edgecolor="none", aspect=None, zorder=0)
    entries: list[tuple[Any, str]] = []
    water = _water(checkup)
    if water is not None and len(water):
        water.plot(ax=axes, facecolor=WATER, edgecolor="none", aspect=None, zorder=2)
        entries.append((_patch(facecolor=WATER, edgecolor="#8bbfe0", linewidth=0.6), "map.water"))
    roads = layer(checkup, "roads")
    if roads is not None and "road_class" in roads:
        for road_class, width in reversed(ROAD_WIDTH.items()):
            part = roads[roads["road_class"] == road_class]
            if len(part):
                part.plot(ax=axes, color=ROAD, linewidth=width, aspect=None, zorder=5)
        if roads["road_class"].isin(list(ROAD_WIDTH)).any():
            entries.append((_line(color=ROAD, linewidth=1.3), "map.main_road"))
    rail = layer(checkup, "rail_lines")
    if rail is not None:
        rail.plot(ax=axes, color="#3b3f46", linewidth=1.1, linestyle=(0, (5, 2)), aspect=None, zorder=6)
        entries.append((_line(color="#3b3f46", linewidth=1.2, linestyle=(0, (4, 2))), "map.rail"))
    return entries


def _water(checkup: CheckupView) -> gpd.GeoDataFrame | None:
    if not checkup.data.has("land_use", checkup.year):
        return None
    parcels = checkup.data.vector("land_use", checkup.year)
    found: gpd.GeoDataFrame = parcels[
        parcels["dlbm"].astype(str).isin(["1101", "1102", "1103", "1104", "1105"])
    ]
    return found


def _district_borders(axes: Axes, zones: gpd.GeoDataFrame) -> Any:
    zones.boundary.plot(ax=axes, color="white", linewidth=2.4, alpha=0.8, aspect=None, zorder=14)
    zones.boundary.plot(
        ax=axes, color="#4b5563", linewidth=0.9, linestyle=(0, (6, 2, 1, 2)), aspect=None, zorder=15
    )
    return _line(color="#4b5563", linewidth=1.0, linestyle=(0, (6, 2, 1, 2)))


def _three_lines(axes: Axes, checkup: CheckupView, *, strength: float = 1.0) -> list[tuple[Any, str]]:
    """Farmland and red line as fills, the development boundary as an outline; legend entries with roles."""
    looks: Mapping[str, dict[str, Any]] = {
        "permanent_farmland": {"facecolor": "#f6e08a", "edgecolor": "#c9a21a", "linewidth": 0.4},
        "ecological_red_line": {"facecolor": "#8fc79a", "edgecolor": "#b03a2e", "linewidth": 1.0},
        "development_boundary": {"facecolor": "#f5b7a1", "edgecolor": "#1f4e9c", "linewidth": 1.5},
    }
    entries = []
    for order, role in enumerate(("development_boundary", "permanent_farmland", "ecological_red_line")):
        shapes = layer(checkup, role)
        if shapes is None:
            continue
        shapes = in_force(shapes, checkup.year)
        look = looks[role]
        shapes.plot(
            ax=axes, facecolor=look["facecolor"], edgecolor="none", alpha=0.72 * strength, aspect=None,
            zorder=1.2 + order * 0.1,
        )  # fmt: skip
        shapes.boundary.plot(
            ax=axes, color=look["edgecolor"], linewidth=look["linewidth"], aspect=None, zorder=8 + order
        )
        entries.append((_patch(**look), role))
    order_of = {role: at for at, role in enumerate(THREE_LINES)}
    return sorted(entries, key=lambda entry: order_of[entry[1]])


def overview_map(checkup: CheckupView, lang: str) -> Figure:
    """The three control lines over districts, water, main roads and rail.

    Parameters
    ----------
    checkup : Checkup
        City and year; lines in force at the end of the year are drawn.
    lang : {"zh", "en"}
        Language.
    """
    zones = districts(checkup)
    words: dict[str, object] = {"city": _city_name(checkup, lang), "year": checkup.year}
    figure, axes, panel = sheet(zones.total_bounds, plain("map.overview_title", lang, **words))
    base = _base(axes, checkup, zones)
    lines = _three_lines(axes, checkup)
    border = _district_borders(axes, zones)
    names(axes, zones, lang)
    entries = [(handle, role_label(role, lang)) for handle, role in lines]
    entries += [(handle, plain(key, lang)) for handle, key in base]
    entries.append((border, plain("map.district_border", lang)))
    roles: list[tuple[str, int | None]] = [(role, None) for role in THREE_LINES]
    furnish(panel, axes, entries, sources_note(checkup, roles, lang), lang)
    return render(
        figure,
        alt=plain("map.overview_alt", lang, city=_city_name(checkup, lang)),
        caption=t("map.overview_title", lang, city=_city_name(checkup, lang), year=exempt(checkup.year)),
        colours=256,
    )


def land_use_map(checkup: CheckupView, lang: str, year: int | None = None) -> Figure:
    """Land use in the first-level classes of the survey.

    Parameters
    ----------
    checkup : Checkup
        City with parcels or a class raster of the year.
    lang : {"zh", "en"}
        Language.
    year : int, optional
        Year of the land use; the checkup's when None.

    Raises
    ------
    LayerMissing
        The city has no land use of the year.
    """
    year = checkup.year if year is None else year
    zones = districts(checkup)
    title = plain("map.land_use_title", lang, city=_city_name(checkup, lang), year=year)
    figure, axes, panel = sheet(zones.total_bounds, title)
    limits = axes.get_xlim(), axes.get_ylim()
    present = draw_land_use(axes, checkup, year)
    axes.set(xlim=limits[0], ylim=limits[1])
    border = _district_borders(axes, zones)
    names(axes, zones, lang)
    entries = [
        (_patch(facecolor=colour, edgecolor="#6b7280", linewidth=0.5), plain(f"land.{name}", lang))
        for at, (name, (colour, _)) in enumerate(style.LAND_GROUPS.items())
        if at in present
    ]
    entries.append((border, plain("map.district_border", lang)))
    role = "land_use" if checkup.data.has("land_use", year) else "land_use_raster"
    furnish(panel, axes, entries, sources_note(checkup, [(role, year)], lang), lang)
    return render(
        figure,
        alt=plain("map.land_use_alt", lang, city=_city_name(checkup, lang), year=year),
        caption=t("map.land_use_title", lang, city=_city_name(checkup, lang), year=exempt(year)),
        colours=64,
    )


def case_map(
    checkup: CheckupView, lang: str, line: str | None = None, *, numbered: int = 15, insets: int = 4
) -> Figure:
    """Suspected patches over the control lines, numbered from large to small, the largest shown before and after.

    Parameters
    ----------
    checkup : Checkup
        City, year and findings.
    lang : {"zh", "en"}
        Language.
    line : str, optional
        Patches in one control line only.
    numbered : int
        Patches that get a number; the rest are dots.
    insets : int
        Patches shown enlarged below the map, before and after.
    """
    cases = cases_of(checkup, line)
    zones = districts(checkup)
    shown = cases.head(insets) if len(cases) else cases
    before_year = max((y for y in checkup.data.years("land_use") if y < checkup.year), default=None)
    room = 1.95 if len(shown) and before_year and checkup.data.has("land_use", checkup.year) else 0.0
    title = plain("map.case_title", lang, city=_city_name(checkup, lang), year=checkup.year)
    figure, axes, panel = sheet(zones.total_bounds, title, below=room)
    _base_for_cases(axes, checkup, zones)
    entries = [
        (handle, role_label(role, lang)) for handle, role in _three_lines(axes, checkup, strength=0.55)
    ]
    border = _district_borders(axes, zones)
    names(axes, zones, lang)
    entries.append((border, plain("map.district_border", lang)))
    entries += _draw_cases(axes, cases, numbered, lang)
    notes = [plain("map.more_cases", lang)] if len(cases) > numbered else []
    furnish(panel, axes, entries, [*notes, *sources_note(checkup, [("land_use", checkup.year)], lang)], lang)
    if room and before_year:
        _insets(figure, checkup, shown, (before_year, checkup.year), room, lang)
    name = _city_name(checkup, lang)
    caption = t("map.case_title", lang, city=name, year=exempt(checkup.year))
    return render(figure, alt=plain("map.case_alt", lang, city=name), caption=caption, colours=256)


def _base_for_cases(axes: Axes, checkup: CheckupView, zones: gpd.GeoDataFrame) -> None:
    zones.plot(ax=axes, facecolor="#fdfdfb", edgecolor="none", aspect=None, zorder=0)
    water = _water(checkup)
    if water is not None and len(water):
        water.plot(ax=axes, facecolor="#d6eaf7", edgecolor="none", aspect=None, zorder=1)


def _draw_cases(axes: Axes, cases: pd.DataFrame, numbered: int, lang: str) -> list[tuple[Any, str]]:
    if not len(cases):
        return [(None, plain("map.no_cases", lang))]
    entries: list[tuple[Any, str]] = []
    cases.plot(ax=axes, facecolor="#c62828", edgecolor="#7f0000", linewidth=0.5, aspect=None, zorder=16)
    for at, (level, shape) in enumerate(zip(cases["level"], cases.geometry, strict=True), 1):
        point = label_point(shape)
        colour = style.LEVEL_COLOURS.get(int(level), "#c62828")
        if at > numbered:
            axes.plot(
                *point,
                "o",
                color=colour,
                markersize=3.6,
                markeredgecolor="white",
                markeredgewidth=0.5,
                zorder=22,
            )
    _number_cases(axes, cases.head(numbered))
    for level in sorted({int(level) for level in cases["level"]}, reverse=True):
        look = _line(
            color=style.LEVEL_COLOURS[level], marker="o", linestyle="", markersize=7, markeredgecolor="white"
        )
        name = str(level) if level >= 0 else "none"
        entries.append((look, f"{plain('dashboard.pick_cases', lang)} · {plain(f'level.{name}', lang)}"))
    return entries


def _number_cases(axes: Axes, cases: pd.DataFrame) -> None:
    """Numbered discs beside the patches, pushed apart where they would cover one another."""
    points = np.array([label_point(shape) for shape in cases.geometry])
    if not len(points):
        return
    unit = metres_per_inch(axes)
    places = spread(points + np.array([0.11, 0.11]) * unit, 0.2 * unit)
    for at, (place, point, level) in enumerate(zip(places, points, cases["level"], strict=True), 1):
        colour = style.LEVEL_COLOURS.get(int(level), "#c62828")
        axes.plot([point[0], place[0]], [point[1], place[1]], color=colour, linewidth=0.9, zorder=23)
        axes.plot(
            *place,
            "o",
            color=colour,
            markersize=11.5,
            markeredgecolor="white",
            markeredgewidth=0.9,
            zorder=24,
        )
        ink = "#2b2100" if int(level) == 2 else "white"
        axes.annotate(
            str(at),
            place,
            ha="center",
            va="center_baseline",
            fontsize=7.4,
            color=ink,
            zorder=25,
            path_effects=style.heavy(),
        )


def spread(points: np.ndarray, distance: float, *, rounds: int = 60) -> np.ndarray:
    """Points moved apart until no two are closer than a distance (or the rounds are used up)."""
    turn = 2.4 * np.arange(len(points))  # tiny offsets all around, so that points in one place part
    places = np.array(points, dtype=float) + 1e-3 * distance * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for _ in range(rounds):
        gap = places[:, None] - places[None, :]
        far = np.hypot(gap[..., 0], gap[..., 1])
        np.fill_diagonal(far, np.inf)
        close = far < distance
        if not close.any():
            break
        push = np.where(
            close[..., None], gap / far[..., None] * (distance - np.minimum(far, distance))[..., None], 0
        )
        places += push.sum(axis=1) * 0.5
    return places


def _insets(
    figure: MplFigure,
    checkup: CheckupView,
    cases: pd.DataFrame,
    years: Sequence[int],
    room: float,
    lang: str,
) -> None:
    width, height = figure.get_size_inches()
    cell = (width - 0.24) / max(4, len(cases))
    side = min(cell / 2 - 0.09, room - 0.75)
    rows = cases.drop(columns="geometry").to_dict("records")
    for at, (row, shape) in enumerate(zip(rows, cases.geometry, strict=True)):
        left = 0.12 + at * cell
        change = change_text({str(key): value for key, value in row.items()}, lang)
        title = plain("map.case_inset", lang, number=at + 1, change=change)
        figure.text(left / width, (room - 0.14) / height, title, fontsize=8.8, va="center")
        cx, cy = shape.centroid.x, shape.centroid.y
        minx, miny, maxx, maxy = shape.bounds
        half = max(maxx - minx, maxy - miny) * 0.9 + 40
        box = (cx - half, cy - half, cx + half, cy + half)
        for chip, year in enumerate(years):
            axes = figure.add_axes(
                (
                    (left + chip * (side + 0.05)) / width,
                    (room - 0.3 - side) / height,
                    side / width,
                    side / height,
                )
            )
            draw_land_use(axes, checkup, year, bounds=box)
            axes.set(xlim=(box[0], box[2]), ylim=(box[1], box[3]), xticks=[], yticks=[], xlabel="", ylabel="")
            for part in getattr(shape, "geoms", [shape]):
                axes.plot(*part.exterior.xy, color="#c62828", linewidth=1.6, zorder=9)
            for spine in axes.spines.values():
                spine.set(visible=True, color="#6b7280", linewidth=0.7)
            axes.text(
                0.04, 0.04, str(year), transform=axes.transAxes, fontsize=8, path_effects=halo(2.2), zorder=10
            )


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
    title = titles_of(definition_of(checkup, indicator), lang, indicator)
    words = {"city": _city_name(checkup, lang), "indicator": title}
    heading = plain("map.indicator_title", lang, **words, year=checkup.year)
    figure, axes, panel = sheet(zones.total_bounds, heading)
    edges = class_edges(shown[~np.isnan(shown)], decimals)
    entries = _choropleth(axes, zones, shown, edges, decimals, lang)
    _district_borders(axes, zones)
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
        entries.append((_patch(facecolor=colours[k], edgecolor="#6b7280", linewidth=0.5), words))
    if not known.all():
        look = {"facecolor": "#f1f3f4", "hatch": "////", "edgecolor": "#b6bec6", "linewidth": 0.0}
        zones[~known].plot(ax=axes, aspect=None, zorder=1, **look)
        entries.append((_patch(**look), plain("common.no_data", lang)))
    return entries
