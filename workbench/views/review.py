"""Tables and map of the plan conformity review and of planning conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely

from workbench.evaluation.review.items import VERDICTS, square_metres
from workbench.views import style
from workbench.views.cartography import land_group, line_key, patch_key, scale_bar
from workbench.views.cells import table
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.html import Html, element
from workbench.views.text import mark, plain, t

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from workbench.evaluation.review import Conditions, Review

LEVELS = {"conflicts": "4", "needs": "2", "not_checked": "none", "complies": "0"}
"""Verdict -> level whose colour its chip has."""
OPENNESS = ("公开", "内部", "敏感")
PANEL = 1.95
FILLED = (
    "permanent_farmland",
    "ecological_red_line",
    "nature_reserve",
    "flood_line",
    "green_line",
    "blue_line",
)
"""Lines drawn as light fills below their outlines."""
LEAST_VIEW_M = 400.0
"""Smallest side of the map, metres."""


def verdict_chip(verdict: str, lang: str) -> Html:
    """Verdict as a coloured chip.

    >>> verdict_chip("conflicts", "zh")
    '<span class="chip level-4">冲突</span>'
    """
    return element("span", VERDICTS[verdict][lang == "en"], css=f"chip level-{LEVELS[verdict]}")


def gravity(review: Review) -> tuple[int, int, float]:
    """How grave a review is, for sorting: its verdict, then the number of conflicts, then the area."""
    area = review.area_m2 if review.geometry is not None else -1.0
    return list(VERDICTS).index(review.verdict), review.count("conflicts"), area


def review_table(review: Review, lang: str, *, complying: bool = True) -> Html:
    """Items of a review, the gravest first; those that comply may be left out."""
    rows = [
        [
            item.title(lang), verdict_chip(item.verdict, lang), square_metres(item.area_m2) if item.area_m2 else "",
            f"{100 * item.share:.1f}%" if item.area_m2 else "", item.message(lang),
            item.needs_en if lang == "en" else item.needs_zh, item.clause,
        ]
        for item in review.judged
        if complying or item.verdict != "complies"
    ]  # fmt: skip
    names = (("rule", "row"), ("verdict", "short"), ("area", "number"), ("share", "number"), ("message", ""),
             ("needs", ""), ("clause", ""))  # fmt: skip
    return table(
        _heads(names, lang), rows, caption=t("review.caption", lang, name=review.name or "—"), lang=lang,
        note=t("review.note", lang),
    )  # fmt: skip


def conclusion(review: Review, lang: str) -> Html:
    """Sentence with the verdict on the whole proposal."""
    words = t("review.sheet.conclusion", lang, text=review.conclusion(lang))
    return Html(f"<p>{verdict_chip(review.verdict, lang)} {words}</p>")


def batch_table(proposals: pd.DataFrame, lang: str) -> Html:
    """Proposals of a batch with their verdicts."""
    rows = [
        [
            row["name"], verdict_chip(row["verdict"], lang), row[f"use_{lang}"],
            f"{row['district']} {row['unit']}".strip(),
            square_metres(row["area_m2"]) if pd.notna(row["area_m2"]) else "—",
            f"{row['area_mu']:,.2f}" if pd.notna(row["area_mu"]) else "—",
            *(str(row[name]) for name in ("conflicts", "needs", "not_checked")),
        ]
        for row in proposals.drop(columns="geometry").to_dict("records")
    ]  # fmt: skip
    names = (("name", "row"), ("verdict", "short"), ("use", ""), ("place", ""), ("area", "number"), ("mu", "number"),
             ("conflicts", "number"), ("open", "number"), ("not_checked", "number"))  # fmt: skip
    return table(_heads(names, lang), rows, caption=t("review.batch_caption", lang), lang=lang)


def conditions_table(found: Conditions, lang: str) -> Html:
    """Planning conditions of a parcel, by topic."""
    shown = found.shown(lang)
    rows: list[list[object]] = []
    for topic, part in shown.groupby("topic", sort=False):
        rows.append([str(topic)])
        rows += [[row["item"], row["value"] or "—", row["source"]] for row in part.to_dict("records")]
    names = (("item", "row"), ("value", ""), ("source", ""))
    return table(
        _heads(names, lang), rows, caption=t("review.conditions_caption", lang, name=found.name or "—"), lang=lang,
        note=t("review.note", lang),
    )  # fmt: skip


def sources_table(review: Review, lang: str) -> Html:
    """Layers a review rests on, with their dates."""
    rows = [
        [row[f"name_{lang}"], row["date"] or "—", row["update_cycle"] or "—", review.city.say(row["holder"] or "", lang),
         plain(f"review.state.{row['state']}", lang)]
        for row in review.sources.to_dict("records")
    ]  # fmt: skip
    names = (("layer", "row"), ("date", ""), ("cycle", ""), ("source", ""), ("state", ""))
    return table(_heads(names, lang), rows, caption=t("review.sources_caption", lang), lang=lang)


def _heads(names: Sequence[tuple[str, str]], lang: str) -> list[tuple[object, str]]:
    return [(plain(f"review.column.{name}", lang), kind) for name, kind in names]


def review_map(review: Review, lang: str, *, width: float = 6.3, height: float = 2.9) -> Figure:
    """Small map of a proposal: land use, lines in force around it, the site, and the parts that conflict.

    Parameters
    ----------
    review : Review
        With its reviewer, whose layers are drawn.
    lang : {"zh", "en"}
        Language.
    width, height : float
        Inches, the legend at the right included.
    """
    reviewer = review.reviewer
    frame = width - PANEL - 0.1
    figure = new_figure(width, height)
    axes = figure.add_axes((0.02 / width, 0.02 / height, frame / width, (height - 0.04) / height))
    panel = figure.add_axes(((frame + 0.08) / width, 0.02 / height, PANEL / width, (height - 0.04) / height))
    panel.set(xlim=(0, PANEL), ylim=(0, height - 0.04))
    panel.axis("off")
    view = _view(review.geometry, frame / (height - 0.04))
    axes.set(xlim=(view[0], view[2]), ylim=(view[1], view[3]), aspect="equal", xticks=[], yticks=[])
    axes.set_facecolor("#f4f4f2")
    for spine in axes.spines.values():
        spine.set(visible=True, color="#4b5563", linewidth=0.9)
    box = shapely.box(*view)
    drawn = ["land_use"] if "land_use" in reviewer.layers else []
    if drawn:
        _land(axes, reviewer.layers["land_use"], box)
    entries: list[tuple[Any, str]] = []
    names = {
        row["role"]: row["name_zh" if lang == "zh" else "name_en"]
        for row in review.sources.to_dict("records")
    }
    met = {item.layer for item in review.of("conflicts", "needs")}
    for role in sorted(
        reviewer.lines, key=lambda one: one not in met
    ):  # lines that matter stand first in the legend
        if role in style.LINE_COLOURS and _line(axes, role, reviewer.lines[role].now, box):
            colour = style.LINE_COLOURS[role]
            key = patch_key(facecolor=_light(colour), edgecolor=colour, linewidth=1.1)
            entries.append((key, names.get(role, role)))
            drawn.append(role)
    conflicts = [item.geometry for item in review.of("conflicts") if item.geometry is not None]
    site = line_key(color="#111111", linewidth=1.8)
    if conflicts:
        _fill(
            axes,
            shapely.union_all(conflicts),
            facecolor="#c62828",
            alpha=0.35,
            hatch="////",
            edgecolor="#c62828",
            linewidth=0,
        )
        key = patch_key(facecolor="#eba9a9", edgecolor="#c62828", hatch="////", linewidth=0.6)
        entries.insert(0, (key, plain("review.map.conflict", lang)))
    _outline(axes, review.geometry, color="white", linewidth=3.0)
    _outline(axes, review.geometry, color="#111111", linewidth=1.7)
    entries.insert(0, (site, plain("review.map.site", lang)))
    _furnish(panel, axes, entries, height, lang)
    openness = max((OPENNESS.index(r["sensitivity"]) for r in review.sources.to_dict("records")
                    if r["role"] in drawn and r["sensitivity"] in OPENNESS), default=1)  # fmt: skip
    name = review.name or "—"
    return render(
        figure, alt=plain("review.map.alt", lang, name=name), caption=t("review.map.caption", lang, name=mark(name)),
        dpi=170, colours=128, sensitivity=OPENNESS[openness],
    )  # fmt: skip


def _view(shape: Any, ratio: float) -> tuple[float, float, float, float]:
    """Extent of the map: the shape with a wide margin, in the proportion of the frame."""
    x0, y0, x1, y1 = shape.bounds
    high = max(1.9 * (y1 - y0), LEAST_VIEW_M, 1.9 * (x1 - x0) / ratio)
    wide = high * ratio
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def _land(axes: Axes, layer: Any, box: Any) -> None:
    """Land use around the site in light colours."""
    at = layer.tree.query(box, predicate="intersects")
    groups = land_group(layer.column("dlbm")[at])
    colours = [colour for colour, _ in style.LAND_GROUPS.values()]
    for group in np.unique(groups[groups >= 0]):
        colour = _light(colours[group], 0.55)
        for shape in layer.shapes[at[groups == group]]:
            _fill(axes, shape, facecolor=colour, edgecolor=colour, linewidth=0.3)


def _line(axes: Axes, role: str, layer: Any, box: Any) -> bool:
    """Draw the polygons of a line that show; whether any does."""
    at = layer.tree.query(box, predicate="intersects")
    shapes = layer.shapes[at]
    if not len(shapes):
        return False
    near = shapely.intersection(shapes, box.buffer(20))
    colour = style.LINE_COLOURS[role]
    for shape in near:
        if role in FILLED:
            _fill(axes, shape, facecolor=colour, alpha=0.16, linewidth=0)
        _outline(axes, shape, color=colour, linewidth=1.3)
    return True


def _light(colour: str, strength: float = 0.25) -> tuple[float, float, float]:
    """Colour mixed with white."""
    from matplotlib.colors import to_rgb

    r, g, b = (1 - strength + strength * value for value in to_rgb(colour))
    return r, g, b


def _fill(axes: Axes, shape: Any, **look: Any) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    for part in shapely.get_parts(shape):
        if part.geom_type != "Polygon":
            continue
        rings = [part.exterior, *part.interiors]
        path = Path.make_compound_path(*(Path(np.asarray(ring.coords)[:, :2], closed=True) for ring in rings))
        axes.add_patch(PathPatch(path, **look))


def _outline(axes: Axes, shape: Any, **look: Any) -> None:
    for part in shapely.get_parts(shape):
        if part.geom_type == "Polygon":
            for ring in (part.exterior, *part.interiors):
                xy = np.asarray(ring.coords)
                axes.plot(xy[:, 0], xy[:, 1], zorder=9, **look)


def _furnish(panel: Axes, axes: Axes, entries: list[tuple[Any, str]], height: float, lang: str) -> None:
    """Legend and scale bar in the panel, north arrow on the map; what does not fit the panel is left out."""
    axes.annotate(
        plain("map.north", lang), (0.045, 0.97), (0.045, 0.80), xycoords="axes fraction", ha="center", va="top",
        fontsize=8.5, path_effects=style.halo(),
        arrowprops={"arrowstyle": "-|>", "color": style.INK, "linewidth": 1.2}, zorder=20,
    )  # fmt: skip
    rows = max(int((height - 0.62) / 0.165), 2)
    handles, words = zip(*entries[:rows], strict=True)
    panel.legend(
        handles, words, loc="upper left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2, fontsize=7.8, handlelength=1.9,
        handleheight=0.9, labelspacing=0.38, title=plain("map.legend", lang), title_fontsize=8.6, alignment="left",
    )  # fmt: skip
    scale_bar(panel, axes, 0.1, lang)
