"""Maps of the report, in the city's own CRS: overview, land use, cases, indicator by district."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.views import style
from workbench.views.cartography import (
    border_words,
    city_name,
    district_borders,
    districts,
    draw_land_use,
    furnish,
    label_point,
    layer,
    line_key,
    metres_per_inch,
    names,
    patch_key,
    patch_panel,
    sheet,
    sources_note,
)
from workbench.views.cells import change_text, role_label
from workbench.views.choropleth import class_colours, class_edges, indicator_map
from workbench.views.figure import Figure, render
from workbench.views.openness import BASE_MAP, review_line, sensitivity_of
from workbench.views.rows import cases_of
from workbench.views.text import exempt, has, plain, t

if TYPE_CHECKING:
    import geopandas as gpd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MplFigure

    from workbench.views.source import CheckupView

THREE_LINES = ("permanent_farmland", "ecological_red_line", "development_boundary")
WATER = "#b7daf2"
ROAD_WIDTH = {"motorway": 1.5, "trunk": 1.1, "primary": 0.8, "secondary": 0.45}
ROAD = "#a08f7c"
STATION = "#b5483a"
RAILS = ("rail_lines", "metro_lines")


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
    zones.plot(ax=axes, facecolor="#ffffff", edgecolor="none", aspect=None, zorder=0)
    entries: list[tuple[Any, str]] = []
    water = _water(checkup)
    if water is not None and len(water):
        water.plot(ax=axes, facecolor=WATER, edgecolor="none", aspect=None, zorder=2)
        entries.append((patch_key(facecolor=WATER, edgecolor="#8bbfe0", linewidth=0.6), "map.water"))
    roads = layer(checkup, "roads")
    if roads is not None and "road_class" in roads:
        for road_class, width in reversed(ROAD_WIDTH.items()):
            part = roads[roads["road_class"] == road_class]
            if len(part):
                part.plot(ax=axes, color=ROAD, linewidth=width, aspect=None, zorder=5)
        if roads["road_class"].isin(list(ROAD_WIDTH)).any():
            entries.append((line_key(color=ROAD, linewidth=1.3), "map.main_road"))
    rails = [one for one in (layer(checkup, role) for role in RAILS) if one is not None]
    for rail in rails:
        rail.plot(ax=axes, color="#3b3f46", linewidth=1.1, linestyle=(0, (5, 2)), aspect=None, zorder=6)
    if rails:
        entries.append((line_key(color="#3b3f46", linewidth=1.2, linestyle=(0, (4, 2))), "map.rail"))
    return entries


def _water(checkup: CheckupView) -> gpd.GeoDataFrame | None:
    if not checkup.data.has("land_use", checkup.year):
        return None
    parcels = checkup.data.vector("land_use", checkup.year)
    found: gpd.GeoDataFrame = parcels[
        parcels["dlbm"].astype(str).isin(["1101", "1102", "1103", "1104", "1105"])
    ]
    return found


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
        entries.append((patch_key(**look), role))
    order_of = {role: at for at, role in enumerate(THREE_LINES)}
    return sorted(entries, key=lambda entry: order_of[entry[1]])


def overview_map(checkup: CheckupView, lang: str) -> Figure:
    """The three control lines over districts, water, main roads and rail; without lines, stations and parks instead.

    Parameters
    ----------
    checkup : Checkup
        City and year; lines in force at the end of the year are drawn.
    lang : {"zh", "en"}
        Language.
    """
    zones = districts(checkup)
    words: dict[str, object] = {"city": city_name(checkup, lang), "year": checkup.year}
    kind = "overview" if any(map(checkup.data.has, THREE_LINES)) else "situation"
    figure, axes, panel = sheet(zones.total_bounds, plain(f"map.{kind}_title", lang, **words))
    base = _base(axes, checkup, zones)
    lines = _three_lines(axes, checkup)
    if kind == "situation":
        base += _stations_and_parks(axes, checkup)
    border = district_borders(axes, zones)
    names(axes, zones, lang)
    entries = [(handle, role_label(role, lang)) for handle, role in lines]
    entries += [(handle, plain(key, lang)) for handle, key in base]
    entries.append((border, border_words(checkup, lang)))
    shown = (
        THREE_LINES
        if kind == "overview"
        else ("boundary", "districts", "roads", *RAILS, "rail_stations", "parks")
    )
    roles: list[tuple[str, int | None]] = [(role, None) for role in shown]
    furnish(panel, axes, entries, sources_note(checkup, roles, lang), lang)
    return render(
        figure,
        alt=plain(f"map.{kind}_alt", lang, city=city_name(checkup, lang)),
        caption=t(f"map.{kind}_title", lang, city=city_name(checkup, lang), year=exempt(checkup.year)),
        colours=256,
        sensitivity=sensitivity_of(checkup, [*BASE_MAP, *THREE_LINES, *shown]),
        review=review_line(checkup, lang),
    )


def _stations_and_parks(axes: Axes, checkup: CheckupView) -> list[tuple[Any, str]]:
    entries: list[tuple[Any, str]] = []
    parks = layer(checkup, "parks")
    if parks is not None:
        parks.plot(ax=axes, facecolor="#9ccc8f", edgecolor="#5c9a52", linewidth=0.3, aspect=None, zorder=3)
        entries.append((patch_key(facecolor="#9ccc8f", edgecolor="#5c9a52", linewidth=0.6), "map.park"))
    stations = layer(checkup, "rail_stations")
    if stations is not None:
        axes.plot(
            stations.geometry.x,
            stations.geometry.y,
            "o",
            color=STATION,
            markersize=2.6,
            markeredgewidth=0,
            zorder=13,
        )
        entries.append((line_key(color=STATION, marker="o", linestyle="", markersize=5), "map.station"))
    return entries


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
    title = plain("map.land_use_title", lang, city=city_name(checkup, lang), year=year)
    figure, axes, panel = sheet(zones.total_bounds, title)
    limits = axes.get_xlim(), axes.get_ylim()
    present = draw_land_use(axes, checkup, year)
    axes.set(xlim=limits[0], ylim=limits[1])
    border = district_borders(axes, zones)
    names(axes, zones, lang)
    entries = [
        (patch_key(facecolor=colour, edgecolor="#6b7280", linewidth=0.5), plain(f"land.{name}", lang))
        for at, (name, (colour, _)) in enumerate(style.LAND_GROUPS.items())
        if at in present
    ]
    entries.append((border, border_words(checkup, lang)))
    role = "land_use" if checkup.data.has("land_use", year) else "land_use_raster"
    furnish(panel, axes, entries, sources_note(checkup, [(role, year)], lang), lang)
    return render(
        figure,
        alt=plain("map.land_use_alt", lang, city=city_name(checkup, lang), year=year),
        caption=t("map.land_use_title", lang, city=city_name(checkup, lang), year=exempt(year)),
        colours=64,
        sensitivity=sensitivity_of(checkup, ["districts", role]),
        review=review_line(checkup, lang),
    )


def case_map(
    checkup: CheckupView, lang: str, line: str | None = None, *, numbered: int = 30, insets: int = 4
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
    key, place = "map.case_title", {"city": city_name(checkup, lang)}
    if line is not None:
        known = f"line_table.{line}" if has(f"line_table.{line}") else f"role.{line}"
        key, place = "map.case_line_title", {**place, "line": plain(known, lang)}
    figure, axes, panel = sheet(zones.total_bounds, plain(key, lang, **place, year=checkup.year), below=room)
    _base_for_cases(axes, checkup, zones)
    entries = [
        (handle, role_label(role, lang)) for handle, role in _three_lines(axes, checkup, strength=0.55)
    ]
    border = district_borders(axes, zones)
    names(axes, zones, lang)
    entries.append((border, border_words(checkup, lang)))
    entries += _draw_cases(axes, cases, numbered, lang)
    notes = [plain("map.more_cases", lang)] if numbered and len(cases) else []
    furnish(panel, axes, entries, [*notes, *sources_note(checkup, [("land_use", checkup.year)], lang)], lang)
    if room and before_year:
        _insets(figure, checkup, shown, (before_year, checkup.year), room, lang)
    caption = t(key, lang, **place, year=exempt(checkup.year))
    return render(
        figure,
        alt=plain("map.case_alt", lang, city=place["city"]),
        caption=caption,
        colours=256,
        sensitivity=sensitivity_of(checkup, [*BASE_MAP, *THREE_LINES, "change_patches", "permits"]),
        review=review_line(checkup, lang),
    )


def _base_for_cases(axes: Axes, checkup: CheckupView, zones: gpd.GeoDataFrame) -> None:
    zones.plot(ax=axes, facecolor="#ffffff", edgecolor="none", aspect=None, zorder=0)
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
                markersize=5,
                markeredgecolor="white",
                markeredgewidth=0.5,
                zorder=22,
            )
    _number_cases(axes, cases.head(numbered))
    for level in sorted({int(level) for level in cases["level"]}, reverse=True):
        look = line_key(
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
            patch_panel(
                axes, checkup, year, shape,
                view=box, read=box, text_at=0.04, fontsize=8, halo=2.2, line=1.6, frame=0.7,
            )  # fmt: skip


__all__ = [
    "THREE_LINES", "case_map", "class_colours", "class_edges", "in_force", "indicator_map", "land_use_map",
    "overview_map", "spread",
]  # fmt: skip
