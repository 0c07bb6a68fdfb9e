"""Forest loss and fire as a person reads them: images used, patches, a map, and what the images cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workbench.interpretation.vegetation import KEPT, THIN, UNSEEN
from workbench.interpretation.vegetation_patches import limits
from workbench.rules.patches import class_names
from workbench.views import style
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.html import Html, element, join
from workbench.views.numbers import format_number
from workbench.views.openness import guarded
from workbench.views.text import exempt, plain, t

if TYPE_CHECKING:
    import geopandas as gpd

    from workbench.interpretation.vegetation import Series

SHADES = {UNSEEN: "#8d99a6", THIN: "#e3dcc0", KEPT: "#9cc29a"}
STATES = {UNSEEN: "unseen", THIN: "thin", KEPT: "kept"}
LOST = ("#7a0c0c", "#c62828", "#e08a3c", "#f2c14e")
CELLS = 900
"""Cells along the longer side of the map."""


def images_table(found: Series, lang: str) -> pd.DataFrame:
    """Images of the year, what each was compared with, and what season, sensor and air made between them."""
    rows = [
        (
            f"{one.scene.date:%Y-%m-%d}", " ".join(f"{scene.date:%Y-%m-%d}" for scene in one.earlier), round(level.offset, 3),
            round(level.scatter, 3), plain("vegetation.yes" if one.scene.mask_href else "vegetation.no", lang),
        )
        for one, level in zip(found.comparisons, found.levels, strict=True)
    ]  # fmt: skip
    heads = [plain(f"vegetation.{name}", lang) for name in ("image", "earlier", "offset", "scatter", "mask")]
    return pd.DataFrame(rows, columns=heads)


def patch_table(found: Series, shapes: gpd.GeoDataFrame, lang: str, most: int = 20) -> pd.DataFrame:
    """Patches, the largest first: what they were, between which days, how many images show them."""
    names = class_names(lang)
    severity = {one[0]: one[1] if lang == "zh" else one[2] for one in found.settings.severity}
    some = shapes.head(most)
    table = {
        "patch": some["patch_id"], "was": some["before_dlbm"].map(names).fillna(""), "before": some["date_before"].dt.strftime("%Y-%m-%d"),
        "after": some["date_after"].dt.strftime("%Y-%m-%d"), "images": some["images"].astype(str) + " / " + some["clear"].astype(str),
        "drop": some["drop"].round(2), "severity": some["severity"].map(severity).fillna(""), "strength": some["probability"].round(2),
        "area": some["area_m2"].round().astype(int),
    }  # fmt: skip
    if found.kind == "forest":
        del table["severity"]
    return pd.DataFrame(table).set_axis([plain(f"vegetation.{name}", lang) for name in table], axis="columns")


def what_it_cannot_see(found: Series, shapes: gpd.GeoDataFrame, lang: str) -> Html:
    """How much could be judged, and each thing that could not; for the screen."""
    told = limits(found, shapes).set_index(["item", "unit"])["value"]
    areas = found.areas

    def number(value: float, decimals: int = 1) -> Html:
        return exempt(format_number(float(value), decimals))

    said = [
        t(
            "vegetation.judged", lang, judged=number(areas["all"] - areas["unseen"] - areas["thin"]), all=number(areas["all"]),
            patches=number(len(shapes), 0), ha=number(shapes["area_m2"].sum() / 1e4, 2),
        ),
        t("vegetation.unseen", lang, ha=number(told["unseen", "ha"]), share=number(told["unseen", "%"])),
        t("vegetation.thin", lang, ha=number(told["thin", "ha"])),
    ]  # fmt: skip
    if told["least_earlier", "count"] < found.settings.least_images:
        said.append(t("vegetation.few", lang, count=number(told["least_earlier", "count"], 0)))
    for key, item in (("alone", "one_image"), ("bare", "unmasked")):
        if told[item, "count"]:
            said.append(t(f"vegetation.{key}", lang, count=number(told[item, "count"], 0)))
    said += [t("vegetation.below", lang, ha=number(told["below", "ha"])), t("vegetation.alike", lang)]
    return guarded("ul", join([element("li", one) for one in said]), found.sensitivity)


def state_map(found: Series, shapes: gpd.GeoDataFrame, lang: str) -> Figure:
    """Map of what was seen, what was not, and where patches lie; dots mark those too small to be seen."""
    step = max(1, -(-max(found.state.shape) // CELLS))
    state = found.state[::step, ::step]
    shades = np.ones((KEPT + 1, 3))
    for value, colour in SHADES.items():
        shades[value] = to_rgb(colour)
    box = found.grid.boundingbox
    wide = 7.2
    high = 1.3 + 6.9 * state.shape[0] / state.shape[1]
    figure = new_figure(wide, high)
    axes = figure.add_axes((0.02, 0.75 / high, 0.96, (high - 1.3) / high))
    axes.imshow(
        shades[np.minimum(state, KEPT)],
        extent=(box.left, box.right, box.bottom, box.top),
        interpolation="nearest",
    )
    axes.set_axis_off()
    entries: list[Any] = [
        Patch(facecolor=SHADES[value], label=plain(f"vegetation.state_{name}", lang))
        for value, name in STATES.items()
    ]
    for number, one in enumerate(found.comparisons):
        colour, mine = LOST[number % len(LOST)], shapes[shapes["date_after"] == one.scene.date]
        words = plain("vegetation.state_lost", lang, date=f"{one.scene.date:%Y-%m-%d}")
        entries.append(Line2D([], [], color=colour, marker="o", linestyle="", markersize=6, label=words))
        at = mine.geometry.representative_point()
        axes.plot(at.x, at.y, "o", color=colour, markersize=4.5, markeredgecolor="white", markeredgewidth=0.5)
    figure.legend(handles=entries, loc="lower left", bbox_to_anchor=(0.02, 0.02), ncols=3, fontsize=8.5)
    key = "vegetation.chart" if found.kind == "forest" else "vegetation.chart_fire"
    title = plain(key, lang, year=found.year)
    figure.text(0.02, 1 - 0.26 / high, title, fontsize=12.5, path_effects=style.heavy(), va="center")
    return render(
        figure, alt=plain("vegetation.chart_alt", lang), caption=t(key, lang, year=exempt(found.year)), colours=96,
        sensitivity=found.sensitivity,
    )  # fmt: skip
