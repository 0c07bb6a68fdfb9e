"""What every map has: frame, legend, scale bar, north arrow, names with a halo, note of sources."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.codes import survey_codes
from workbench.views import style
from workbench.views.cells import profile_text
from workbench.views.charts import new_figure
from workbench.views.labels import part_labels, roomy
from workbench.views.layout import wrap
from workbench.views.numbers import date_text
from workbench.views.rows import zone_word
from workbench.views.text import plain

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MplFigure

    from workbench.views.source import CheckupView

PANEL = 1.95
"""Width of the panel to the right of the map, inches."""
TOP = 0.48
"""Height of the title strip, inches."""
BOTTOM = 0.12
"""Margin below, inches."""


MOST_MOVED = 30
"""So many names are moved apart where they overlap; of more, those without room are left out."""


def sheet(
    bounds: Sequence[float], title: str, *, below: float = 0.0, width: float = 6.6
) -> tuple[MplFigure, Axes, Axes]:
    """Figure with a map frame and a panel at its right.

    Parameters
    ----------
    bounds : (minx, miny, maxx, maxy)
        What the map shows, metres; a margin of 2 % is added.
    title : str
        Title above the map.
    below : float
        Height kept free below the map, inches.
    width : float
        Width of the map frame, inches; narrower where the city is tall.

    Returns
    -------
    figure, map axes, panel axes (0–1 in both directions)
    """
    minx, miny, maxx, maxy = (float(b) for b in bounds)
    pad = 0.02 * max(maxx - minx, maxy - miny)
    minx, miny, maxx, maxy = minx - pad, miny - pad, maxx + pad, maxy + pad
    ratio = (maxy - miny) / (maxx - minx)
    height = min(width * ratio, 6.9)
    height = max(height, 4.4)
    total_w, total_h = width + PANEL + 0.3, height + TOP + BOTTOM + below
    figure = new_figure(total_w, total_h)
    axes = figure.add_axes((0.12 / total_w, (BOTTOM + below) / total_h, width / total_w, height / total_h))
    panel = figure.add_axes(
        ((0.12 + width + 0.08) / total_w, (BOTTOM + below) / total_h, PANEL / total_w, height / total_h)
    )
    panel.set(xlim=(0, PANEL), ylim=(0, height))
    panel.axis("off")
    # fill the frame: widen the shorter side so that the map touches all four edges
    wanted = height / width
    if (maxy - miny) / (maxx - minx) > wanted:
        extra = ((maxy - miny) / wanted - (maxx - minx)) / 2
        minx, maxx = minx - extra, maxx + extra
    else:
        extra = ((maxx - minx) * wanted - (maxy - miny)) / 2
        miny, maxy = miny - extra, maxy + extra
    axes.set(xlim=(minx, maxx), ylim=(miny, maxy), aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color="#4b5563", linewidth=0.9)
    axes.set_facecolor("#e8ecf0")
    figure.text(
        0.12 / total_w, 1 - TOP / 2 / total_h, title, fontsize=13.5, path_effects=style.heavy(), va="center", ha="left",
        color=style.INK,
    )  # fmt: skip
    return figure, axes, panel


def nice_length(metres: float) -> float:
    """Largest of 1, 2, 5 × 10ⁿ not above a length.

    Examples
    --------
    >>> nice_length(4321.0), nice_length(999.0)
    (2000.0, 500.0)
    """
    power = 10.0 ** math.floor(math.log10(metres))
    return next(step * power for step in (5.0, 2.0, 1.0) if step * power <= metres)


def metres_per_inch(axes: Axes) -> float:
    """Scale of a map frame: metres on the ground an inch of paper."""
    x0, x1 = axes.get_xlim()
    whole = axes.get_figure(root=True)
    if whole is None:
        raise ValueError("the axes belong to no figure")
    return float((x1 - x0) / (axes.get_position().width * whole.get_size_inches()[0]))


def scale_bar(panel: Axes, axes: Axes, y: float, lang: str) -> None:
    """Scale bar in two blocks, in the panel at height ``y`` (inches), true to the map's scale."""
    per_inch = metres_per_inch(axes)
    length = nice_length(per_inch * 1.45)
    size = length / per_inch
    kilometres = length >= 1000
    scale, unit = (1000.0, plain("map.km", lang)) if kilometres else (1.0, plain("map.metre", lang))
    for at, colour in enumerate((style.INK, "white")):
        panel.barh(
            y,
            size / 2,
            left=0.06 + at * size / 2,
            height=0.07,
            color=colour,
            edgecolor=style.INK,
            linewidth=0.8,
        )
    for part in (0.0, 0.5, 1.0):
        words = f"{length * part / scale:g}" + (f" {unit}" if part == 1.0 else "")
        panel.text(
            0.06 + size * part,
            y + 0.08,
            words,
            fontsize=8,
            va="bottom",
            ha="left" if part == 1.0 else "center",
        )


def north_arrow(panel: Axes, top: float, lang: str) -> None:
    """North arrow at the top of the panel; up is grid north."""
    x, tip, foot = 0.3, top - 0.2, top - 0.62
    panel.fill([x, x - 0.13, x], [tip, foot, foot + 0.1], color=style.INK, linewidth=0)
    panel.fill(
        [x, x + 0.13, x], [tip, foot, foot + 0.1], facecolor="white", edgecolor=style.INK, linewidth=0.8
    )
    panel.text(
        x,
        top - 0.17,
        plain("map.north", lang),
        ha="center",
        va="bottom",
        fontsize=10,
        path_effects=style.heavy(),
    )


def legend(panel: Axes, top: float, entries: Sequence[tuple[Any, str]], lang: str) -> float:
    """Legend below height ``top`` (inches) of the panel; returns the height where it ends.

    ``entries`` are pairs of a Matplotlib handle and its words; a handle None makes a sub-heading.
    """
    panel.text(0.06, top, plain("map.legend", lang), fontsize=10.5, path_effects=style.heavy(), va="top")
    y = top - 0.34
    for handle, words in entries:
        lines = wrap(words, 22) or [""]
        if handle is None:
            panel.text(0.06, y, "\n".join(lines), fontsize=8.8, va="center", color=style.MUTED)
        else:
            _key(panel, handle, y)
            panel.text(0.5, y, "\n".join(lines), fontsize=8.8, va="center", linespacing=1.15)
        y -= 0.225 if len(lines) == 1 else 0.17 * len(lines) + 0.09
    return y


def _key(panel: Axes, handle: Any, y: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    if isinstance(handle, Line2D):
        marker = handle.get_marker() not in (None, "None", "")
        xs = [0.24] if marker and handle.get_linestyle() in ("None", "") else [0.08, 0.4]
        panel.add_line(handle)
        handle.set_data(xs, [y] * len(xs))
        return
    handle_box = Rectangle((0.08, y - 0.072), 0.32, 0.145)
    handle_box.update_from(handle)
    panel.add_patch(handle_box)


def note(panel: Axes, lines: Iterable[str], *, bottom: float = 0.0) -> None:
    """Small note of sources and CRS at the foot of the panel."""
    wrapped = [piece for line in lines for piece in wrap(line, 30)]
    panel.text(
        0.06, bottom, "\n".join(wrapped), fontsize=7.2, color=style.MUTED, va="bottom", ha="left",
        linespacing=1.25,
    )  # fmt: skip


def furnish(
    panel: Axes,
    axes: Axes,
    entries: Sequence[tuple[Any, str]],
    notes: Iterable[str],
    lang: str,
) -> None:
    """North arrow, legend, scale bar and notes, from the top to the foot of the panel."""
    axes.set(xlabel="", ylabel="")  # geopandas names the axes of a projected CRS
    height = panel.get_ylim()[1]
    north_arrow(panel, height, lang)
    end = legend(panel, height - 0.85, entries, lang)
    scale_bar(panel, axes, max(end - 0.18, 1.15), lang)
    note(panel, notes)


def names(axes: Axes, zones: gpd.GeoDataFrame, lang: str, *, extra: dict[str, str] | None = None) -> None:
    """District names inside their shapes, with an optional second line by code."""
    words = (
        zones["name_en"]
        if lang == "en" and "name_en" in zones and zones["name_en"].notna().all()
        else zones["name"]
    )
    texts = [
        f"{name}\n{second}" if (second := (extra or {}).get(str(code), "")) else str(name)
        for code, name in zip(zones["code"], words, strict=True)
    ]
    points = np.array([label_point(shape) for shape in zones.geometry])
    if (
        len(texts) > MOST_MOVED
    ):  # moved apart, so many names would leave their zones: the smaller ones go without
        kept = roomy(points, texts, metres_per_inch(axes), zones.geometry.area.to_numpy())
        points, texts = points[kept], [texts[at] for at in kept]
    places = part_labels(points, texts, metres_per_inch(axes))
    for text, point, place in zip(texts, points, places, strict=True):
        if np.hypot(*(place - point)) > 0.12 * metres_per_inch(axes):
            axes.plot(*zip(point, place, strict=True), color="#1b2733", linewidth=0.6, zorder=19)
        axes.annotate(
            text,
            (float(place[0]), float(place[1])),
            ha="center",
            va="center",
            fontsize=9.2,
            color="#1b2733",
            path_effects=style.halo(),
            linespacing=1.3,
            zorder=20,
        )


def label_point(shape: Any) -> tuple[float, float]:
    """Point for a name: the centroid where it lies inside, else a point well inside the largest part."""
    parts = list(getattr(shape, "geoms", [shape]))
    largest = max(parts, key=lambda part: part.area)
    point = largest.centroid
    if not largest.contains(point):
        point = largest.representative_point()
    return float(point.x), float(point.y)


def year_of(checkup: CheckupView, role: str, year: int | None = None) -> int | None:
    """Year to read a layer for: the one named, else the checkup's where the layer is dated by year."""
    return checkup.year if year is None and checkup.data.years(role) else year


def layer(checkup: CheckupView, role: str, year: int | None = None) -> gpd.GeoDataFrame | None:
    """Vector layer of the city, None where the city has none; a dated one of the checkup's year when none is named."""
    year = year_of(checkup, role, year)
    if not checkup.data.has(role, year):
        return None
    found: gpd.GeoDataFrame = checkup.data.vector(role, year)
    return found if len(found) else None


def districts(checkup: CheckupView) -> gpd.GeoDataFrame:
    """Districts with English names where the layer has them; the whole city where the profile has no districts."""
    levels = getattr(checkup.city, "levels", {"district": None})
    zones: gpd.GeoDataFrame = checkup.data.zones("district" if "district" in levels else "city")
    if "district" not in levels:
        return zones.assign(name_en=checkup.city.name_en)
    if "name_en" not in zones and checkup.data.has("districts"):
        whole = checkup.data.vector("districts")
        if "name_en" in whole and "code" in whole:
            zones = zones.assign(
                name_en=zones["code"].map(dict(zip(whole["code"], whole["name_en"], strict=True)))
            )
    return zones


def sources_note(checkup: CheckupView, roles: Iterable[tuple[str, int | None]], lang: str) -> list[str]:
    """Lines for :func:`note`: distinct sources of the layers drawn, their newest date, the CRS."""
    texts: list[str] = []
    dates: list[str] = []
    for role, named in roles:
        year = year_of(checkup, role, named)
        if checkup.data.has(role, year):
            source = checkup.data.source(role, year)
            texts.append(profile_text(checkup, source.source, lang))
            dates.append(date_text(source.date))
    lines = []
    if distinct := list(dict.fromkeys(text for text in texts if text)):
        lines.append(plain("map.source_note", lang, sources=("；" if lang == "zh" else "; ").join(distinct)))
    if any(dates):
        lines.append(plain("common.data_date", lang, date=max(dates)))
    lines.append(plain("map.made_from", lang, crs=checkup.city.crs))
    return lines


def land_group(codes: Iterable[object]) -> npt.NDArray[np.int16]:
    """Position of each survey code's group in :data:`style.LAND_GROUPS`; -1 for none."""
    position = {prefix: at for at, (_, prefix) in enumerate(style.LAND_GROUPS.values())}
    return np.array([position.get(str(code)[:2], -1) for code in codes], dtype=np.int16)


def raster_groups(raster: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    """Group of each cell of a class raster; -1 for none."""
    codes = survey_codes()
    codes = codes[codes["raster"].notna()]
    lookup = np.full(256, -1, dtype=np.int16)
    lookup[codes["raster"].astype(int).to_numpy()] = land_group(codes["code"])
    return lookup[np.asarray(raster, dtype=np.uint8)]


def land_colours() -> Any:
    """Colour map of the land groups."""
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour for colour, _ in style.LAND_GROUPS.values()])


def draw_land_use(
    axes: Axes, checkup: CheckupView, year: int, bounds: Sequence[float] | None = None, *, cells: int = 1500
) -> set[int]:
    """Land use of a year on an axes; returns the groups that appear.

    The class raster is drawn where there is one, else the parcels. ``bounds`` limits what is read; ``cells`` is
    the number of cells along the longer side above which every n-th is drawn.
    """
    if checkup.data.has("land_use_raster", year):
        return _draw_raster(axes, checkup.data.raster("land_use_raster", year), bounds, cells)
    parcels = checkup.data.vector("land_use", year)
    if bounds is not None:
        parcels = parcels.cx[bounds[0] : bounds[2], bounds[1] : bounds[3]]
    groups = land_group(parcels["dlbm"])
    palette = [colour for colour, _ in style.LAND_GROUPS.values()]
    drawn = parcels[groups >= 0]
    if len(drawn):
        drawn.plot(
            ax=axes, color=[palette[at] for at in groups[groups >= 0]], linewidth=0, aspect=None, zorder=1
        )
    return set(groups[groups >= 0].tolist())


def patch_panel(
    axes: Axes,
    checkup: CheckupView,
    year: int,
    shape: Any,
    *,
    view: Sequence[float],
    read: Sequence[float],
    text_at: float,
    fontsize: float,
    halo: float,
    line: float,
    frame: float,
) -> set[int]:
    """Land use of a year around a patch, its outline in red and the year in the corner; the land groups that show.

    ``view`` is the extent shown, ``read`` the extent the land use is read for (west, south, east, north).
    """
    present = draw_land_use(axes, checkup, year, bounds=read)
    axes.set(
        xlim=(view[0], view[2]), ylim=(view[1], view[3]), xticks=[], yticks=[], xlabel="", ylabel="", title=""
    )
    for part in getattr(shape, "geoms", [shape]):
        axes.plot(*part.exterior.xy, color="#c62828", linewidth=line, zorder=9)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#6b7280", linewidth=frame)
    axes.text(
        text_at,
        text_at,
        str(year),
        transform=axes.transAxes,
        fontsize=fontsize,
        path_effects=style.halo(halo),
        zorder=10,
    )
    return present


def _draw_raster(axes: Axes, raster: Any, bounds: Sequence[float] | None, cells: int) -> set[int]:
    raster = raster.squeeze(drop=True)
    if bounds is not None:
        raster = raster.sel(x=slice(bounds[0], bounds[2]), y=slice(bounds[3], bounds[1]))
    step = max(1, math.ceil(max(raster.shape) / cells))
    raster = raster[::step, ::step]
    groups = raster_groups(np.asarray(raster.values))
    xs, ys = raster["x"].to_numpy(), raster["y"].to_numpy()
    half_x, half_y = abs(xs[1] - xs[0]) / 2, abs(ys[1] - ys[0]) / 2
    axes.imshow(
        np.ma.masked_less(groups, 0),
        cmap=land_colours(),
        vmin=-0.5,
        vmax=len(style.LAND_GROUPS) - 0.5,
        extent=(xs.min() - half_x, xs.max() + half_x, ys.min() - half_y, ys.max() + half_y),
        interpolation="nearest",
        aspect="equal",
        zorder=1,
    )
    return set(np.unique(groups[groups >= 0]).tolist())


def city_name(checkup: CheckupView, lang: str) -> str:
    """Name of the city in the language."""
    return str(checkup.city.name_zh if lang == "zh" else checkup.city.name_en)


def patch_key(**look: Any) -> Any:
    """Legend handle of a fill."""
    from matplotlib.patches import Patch

    return Patch(**look)


def line_key(**look: Any) -> Any:
    """Legend handle of a line or a marker."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **look)


def district_borders(axes: Axes, zones: gpd.GeoDataFrame) -> Any:
    """Draw the borders of zones; their legend handle."""
    zones.boundary.plot(ax=axes, color="white", linewidth=2.4, alpha=0.8, aspect=None, zorder=14)
    zones.boundary.plot(
        ax=axes, color="#4b5563", linewidth=0.9, linestyle=(0, (6, 2, 1, 2)), aspect=None, zorder=15
    )
    return line_key(color="#4b5563", linewidth=1.0, linestyle=(0, (6, 2, 1, 2)))


def border_key(checkup: CheckupView) -> str:
    """Key of the usual words for the borders drawn: districts, or the city where there are none."""
    levels = getattr(checkup.city, "levels", {"district": None})
    return "map.district_border" if "district" in levels else "map.city_border"


def border_words(checkup: CheckupView, lang: str) -> str:
    """Words for the borders drawn: of districts as this city calls them, or of the city where there are none."""
    key = border_key(checkup)
    if key != "map.district_border":
        return plain(key, lang)
    return plain("map.zone_border", lang, zone=zone_word(checkup, lang))
