"""How far what images show can be relied on: limits that areas are held against, calibration, the nets on places kept back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.interpretation.area_limits import limits_of
from workbench.views import style
from workbench.views.cells import table, value_cell
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.html import Html, join
from workbench.views.imagery import (
    CHANGE,
    LAND,
    Rows,
    class_names,
    in_table,
    rows_of,
    strictest,
    with_interval,
)
from workbench.views.numbers import num_of
from workbench.views.openness import guarded, sensitivity_of
from workbench.views.text import exempt, mark, plain, t

if TYPE_CHECKING:
    from workbench.core.city import AreaLimit
    from workbench.evaluation.imagery import Imagery

MAPS = ((LAND, "land", "#1f6f8b"), (CHANGE, "change", "#b5483a"))
"""Prefix of the parts, name and colour of both maps."""
EVEN = "#9aa3ad"


def decisions(found: Imagery, lang: str) -> Html | None:
    """Each limit with the answer of the sample: kept, not kept, or 不确定 and how many more points would tell."""
    rows = rows_of(found)
    said = [
        one for limit in limits_of(found.city, found.year) if (one := _decision(found, rows, limit, lang))
    ]
    return join(said) if said else None


def _decision(found: Imagery, rows: Rows, limit: AreaLimit, lang: str) -> Html | None:
    city, name = found.city.name, limit.of
    prefix = next((one for one, _, _ in MAPS if (f"{one}decision.limit.{name}", city) in rows), None)
    if prefix is None:
        return None
    answer = rows[f"{prefix}decision.answer.{name}", city]
    kind = "open" if answer["reason"] else "yes" if answer["value"] else "no"
    used = [rows[f"{prefix}area.{name}", city], rows[f"{prefix}decision.limit.{name}", city]]
    text = t(
        f"imagery.decision.{kind}", lang, title=mark(limit.title_zh if lang == "zh" else limit.title_en),
        asked=plain("imagery.at_least" if limit.op == ">=" else "imagery.at_most", lang),
        limit=num_of(used[1], lang=lang, unit=True), name=class_names(found, lang)[name],
        estimate=with_interval(rows, f"{prefix}area.{name}", city, lang),
    )  # fmt: skip
    if kind == "open":
        text = join(
            [text, _more(found, rows, f"{prefix}decision.more.{name}", lang)], "" if lang == "zh" else " "
        )
    return guarded("p", text, strictest(used))


def _more(found: Imagery, rows: Rows, name: str, lang: str) -> Html:
    """How many further points may be expected to tell, and in which classes of the map."""
    city, titles = found.city.name, class_names(found, lang)
    total = rows[name, city]
    if total["reason"]:
        return t("imagery.decision.never", lang)
    strata = [(key.removeprefix(f"{name}."), row) for (key, zone), row in rows.items() if key.startswith(f"{name}.") and zone == city]  # fmt: skip
    strata.sort(key=lambda one: -float(one[1]["value"]))
    parts = [
        t("imagery.decision.part", lang, name=titles[key], points=num_of(row, lang=lang))
        for key, row in strata
    ]
    shared = Html("")
    if len(strata) == 1:
        shared = t("imagery.decision.one_place", lang, name=titles[strata[0][0]])
    elif parts:
        shared = t("imagery.decision.shared", lang, parts=join(parts, "、" if lang == "zh" else ", "))
    return t("imagery.decision.more", lang, more=num_of(total, lang=lang), shared=shared)


def net_table(found: Imagery, lang: str) -> Html | None:
    """IoU of each class: of the nets on places kept from their training, and of this city's maps from the sample."""
    rows, city = rows_of(found), found.city.name
    lines: list[list[object]] = []
    for name, title in class_names(found, lang).items():
        held = rows.get(("change_net.iou" if name == "changed" else f"net.iou.{name}", city))
        if held is not None:
            prefix = CHANGE if name == "changed" else LAND
            lines.append(
                [
                    title,
                    num_of(held, lang=lang),
                    in_table(rows, f"{prefix}accuracy.iou.{name}", city, lang),
                ]
            )
    if not lines:
        return None
    headers: list[tuple[object, str]] = [(t("imagery.column.class", lang), "row")]
    headers += [(t(f"imagery.column.{one}", lang), "number") for one in ("net_iou", "own_iou")]
    return table(
        headers,
        lines,
        caption=t("imagery.caption.net", lang),
        lang=lang,
        css="imagery",
        note=t("imagery.note.net", lang),
    )


def size_table(found: Imagery, lang: str) -> Html | None:
    """Share of the true patches of change that the net found on places kept back, by size."""
    rows, city = rows_of(found), found.city.name
    sizes = [name.removeprefix("change_net.patches.") for name, zone in rows if name.startswith("change_net.patches.") and zone == city]  # fmt: skip
    if not sizes:
        return None
    lines: list[list[object]] = [
        [
            t("imagery.cells_over" if one.endswith("+") else "imagery.cells", lang, cells=exempt(one.rstrip("+").replace("-", "–"))),
            value_cell(rows[f"change_net.patches.{one}", city], lang),
            in_table(rows, f"change_net.recall.{one}", city, lang),
        ]
        for one in sizes
    ]  # fmt: skip
    headers: list[tuple[object, str]] = [(t("imagery.column.size", lang), "row")]
    headers += [(t(f"imagery.column.{one}", lang), "number") for one in ("true_patches", "found_share")]
    note = (
        t("imagery.note.size", lang, cell=exempt(_cell(found)))
        if found.data.has("change_map", found.year)
        else None
    )
    return table(headers, lines, caption=t("imagery.caption.size", lang), lang=lang, css="imagery", note=note)


def _cell(found: Imagery) -> str:
    """Square metres of a cell of the change map."""
    import rasterio

    with rasterio.open(found.data.source("change_map", found.year).path) as file:
        return f"{abs(file.transform.a * file.transform.e):g}"


def calibration_text(found: Imagery, lang: str) -> Html | None:
    """How far probabilities may be taken at their word, for both maps."""
    rows, city = rows_of(found), found.city.name
    said = []
    for prefix, key, _ in MAPS:
        error = rows.get((f"{prefix}calibration.error", city))
        if error is not None:
            points = num_of(rows[f"{prefix}calibration.points", city], lang=lang)
            text = t(f"imagery.calibration.{key}", lang, error=num_of(error, lang=lang), points=points)
            said.append(guarded("p", text, strictest([error])))
    return join(said) if said else None


def calibration_chart(found: Imagery, lang: str) -> Figure | None:
    """Probability said against the share found to be so, with intervals, for both maps; the diagonal is agreement."""
    rows, city = rows_of(found), found.city.name
    shown = [one for one in MAPS if (f"{one[0]}calibration.error", city) in rows]
    if not shown:
        return None
    figure = new_figure(7.2, 3.9)
    used: list[dict[str, Any]] = []
    for at, (prefix, key, colour) in enumerate(shown):
        axes = figure.add_axes((0.085 + at * 0.5, 0.135, 0.4, 0.66))
        names = [
            name for name, zone in rows if name.startswith(f"{prefix}calibration.said.") and zone == city
        ]
        said = np.array([float(rows[name, city]["value"]) for name in names])
        told = [rows[name.replace(".said.", ".found."), city] for name in names]
        value, low, high = (np.array([float(row[one]) for row in told]) for one in ("value", "low", "high"))
        axes.plot([0, 100], [0, 100], color=EVEN, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        axes.errorbar(said, value, yerr=(value - low, high - value), fmt="-", color=colour, ecolor=colour, elinewidth=1.4,
                      capsize=3, linewidth=0.9, alpha=0.75, zorder=3)  # fmt: skip
        points = np.array([float(rows[name.replace(".said.", ".points."), city]["value"]) for name in names])
        axes.scatter(
            said,
            value,
            s=18 + 160 * np.sqrt(points / points.sum()),
            color=colour,
            zorder=4,
            edgecolor="white",
        )
        axes.set(xlim=(0, 102), ylim=(0, 102), xlabel=plain("imagery.chart.said", lang))
        axes.set_title(plain(f"imagery.chart.calibration_{key}", lang), fontsize=10, loc="left")
        if at == 0:
            axes.set_ylabel(plain("imagery.chart.found", lang))
        axes.grid(zorder=0)
        used += told
    title = plain("imagery.chart.calibration", lang)
    figure.text(0.02, 0.95, title, fontsize=12, path_effects=style.heavy(), va="center")
    return render(figure, alt=plain("imagery.chart.calibration_alt", lang), caption=t("imagery.chart.calibration_caption", lang), colours=96,
                  sensitivity=sensitivity_of(found, (), used))  # fmt: skip
