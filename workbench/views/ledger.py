"""The quota ledger and the transmission of planned values as tables and a chart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.core.errors import LayerMissing
from workbench.evaluation.ledger import STRUCTURE
from workbench.evaluation.transmission import out_of_balance, transmission
from workbench.views import style
from workbench.views.cells import Compared, rounding_note, table, titles_of, value_cell, word
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.html import Html, element
from workbench.views.missing import inapplicable
from workbench.views.numbers import format_number, records
from workbench.views.openness import PUBLIC, sensitivity_of
from workbench.views.rows import definition_of, district_names
from workbench.views.text import mark, plain, t, unit_label

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

BEFORE, THIS_YEAR, LEFT, BEYOND = "#8fa9c2", "#1f4e79", "#e8edf2", "#c62828"


def _books(checkup: CheckupView) -> dict[str, dict[str, dict[str, Any]]]:
    """Rows of the ledger: zone -> name after ``report.quota_`` -> row."""
    values = checkup.values
    rows = values[(values["year"] == checkup.year) & values["indicator"].str.startswith("report.quota_")]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in records(rows):
        name = str(row["indicator"]).removeprefix("report.quota_")
        if "." not in name and name != "transfer":
            found.setdefault(str(row["zone"]), {})[name] = row
    return found


def _zones(checkup: CheckupView, level: str, lang: str) -> list[tuple[str, str]]:
    """Code and name, as the reader knows it, of the zones of a level that have an account, in order, the city last."""
    books = _books(checkup)
    try:
        frame = checkup.data.zones(level)
    except (LayerMissing, LookupError):
        return []
    names = dict(zip(frame["code"].astype(str), frame["name"].astype(str), strict=True))
    known = _translated(checkup, lang)
    return [(code, known.get(code) or name) for code, name in names.items() if code in books]


def _account_state(rows: Mapping[str, Mapping[str, Any]]) -> str:
    total, left, rest = (float(rows[name]["value"]) for name in ("total", "left", "unassigned"))
    if math.isnan(total):
        return "no_quota"
    return "overdrawn" if left < 0 else "over_assigned" if rest < 0 else "kept"


def _chip(state: str, group: str, lang: str) -> Html:
    """State as a chip in the colours of the warning levels."""
    level = {"breached": 4, "overdrawn": 4, "under_assigned": 3, "over_assigned": 3, "not_added_up": 3,
             "compensated": 1, "within_tolerance": 1, "kept": 0}.get(state)  # fmt: skip
    return element("span", word(group, state, lang), css=f"chip level-{'none' if level is None else level}")


def quota_table(checkup: CheckupView, lang: str, level: str = "district", *, only_bad: bool = False) -> Html:
    """Account of every zone of a level and of the city: quota, transfers, use, remainder, state.

    Parameters
    ----------
    checkup : Checkup
        Value table with the rows ``report.quota_*``.
    lang : {"zh", "en"}
        Language.
    level : str
        Zone level below the city.
    only_bad : bool
        Only zones that are out of balance, of all levels.
    """
    books = _books(checkup)
    if not books:
        never = inapplicable(checkup, "development_boundary", lang)
        said = t("no_input.inapplicable", lang, notes=mark(never)) if never else t("ledger.none", lang)
        return element("p", said, css="wb-note")
    columns = ("total", "granted", "in", "out", "used", "used_year", "left", "share")
    headers: list[tuple[object, str]] = [(t("ledger.column.zone", lang), "row")]
    headers += [(t(f"ledger.column.{name}", lang), "number") for name in columns]
    headers += [(t("ledger.column.state", lang), "short")]
    lines: list[list[object]] = []
    shown: list[dict[str, dict[str, Any]]] = []
    css = []
    levels = list(checkup.city.levels) if only_bad else [level]
    zones = [zone for one in levels for zone in _zones(checkup, one, lang)]
    for code, name in [*zones, (checkup.city.name, plain("ledger.city", lang))]:
        rows = books.get(code)
        if rows is None or (only_bad and _account_state(rows) in ("kept", "no_quota")):
            continue
        shown.append(rows)
        state = _chip(_account_state(rows), "quota_state", lang)
        lines.append([mark(name), *(value_cell(rows[column], lang) for column in columns), state])
        css.append("total" if code == checkup.city.name else "")
    first = next(iter(books.values()))["total"]
    note = t("ledger.note", lang)
    if "boundary" in str(first.get("basis", "")):
        note = Html(note + " " + t("ledger.note_boundary", lang))
    if rounded := rounding_note([(book["total"], (book["used"], book["left"])) for book in shown], lang):
        note = rounded if only_bad else Html(f"{note} {rounded}")
    caption = t("ledger.caption_bad" if only_bad else "ledger.caption", lang)
    return table(
        headers, lines, caption=caption, lang=lang, css="ledger", row_css=css,
        note=None if only_bad and not rounded else note,
    )  # fmt: skip


def structure_table(checkup: CheckupView, lang: str, level: str = "district") -> Html:
    """New construction land inside the boundary by use; uses nobody built for are left out."""
    books = _books(checkup)
    whole = books.get(checkup.city.name, {})
    uses = [use for use in STRUCTURE if f"used_{use}" in whole and float(whole[f"used_{use}"]["value"]) > 0]
    headers: list[tuple[object, str]] = [(t("ledger.column.zone", lang), "row")]
    headers += [(t(f"quota_use.{use}", lang), "number") for use in uses]
    headers += [(t("ledger.column.used", lang), "number")]
    zones = [*_zones(checkup, level, lang), (checkup.city.name, plain("ledger.city", lang))] if books else []
    lines: list[list[object]] = [
        [mark(name), *(value_cell(books[code][f"used_{use}"], lang) for use in uses), value_cell(books[code]["used"], lang)]
        for code, name in zones
    ]  # fmt: skip
    css = ["" if code != checkup.city.name else "total" for code, _ in zones]
    sums = [(books[code]["used"], [books[code][f"used_{use}"] for use in uses]) for code, _ in zones]
    return table(
        headers, lines, caption=t("ledger.caption_structure", lang), lang=lang, css="ledger", row_css=css,
        note=rounding_note(sums, lang),
    )  # fmt: skip


def transfer_table(checkup: CheckupView, lang: str) -> Html:
    """Transfers made by the end of the year: from whom to whom, how much, by which paper."""
    values = checkup.values
    rows = records(
        values[(values["indicator"] == "report.quota_transfer") & (values["year"] == checkup.year)]
    )
    headers: list[tuple[object, str]] = [
        (t("ledger.column.between", lang), "row"),
        (t("ledger.column.amount", lang), "number"),
        (t("ledger.column.paper", lang), ""),
    ]
    lines: list[list[object]] = [
        [mark(_named(checkup, str(row["zone_name"]), lang)), value_cell(row, lang), mark(row["basis"])]
        for row in rows
    ]
    return table(headers, lines, caption=t("ledger.caption_transfers", lang), lang=lang, css="ledger")


def _translated(checkup: CheckupView, lang: str) -> dict[str, str]:
    """Names of the districts by code, where the reader's language is not that of the layer."""
    return district_names(checkup, lang) if lang != "zh" else {}


def _named(checkup: CheckupView, between: str, lang: str) -> str:
    """Giver and taker with their names in the reader's language."""
    own, known = district_names(checkup, "zh"), _translated(checkup, lang)
    names = {name: known.get(code) or name for code, name in own.items()}
    return " → ".join(names.get(one, one) for one in between.split(" → "))


def transmission_table(
    checkup: CheckupView, lang: str, *, everything: bool = False, level: str | None = None
) -> Html:
    """Zones out of balance with what was assigned to them, worst first, and why.

    Parameters
    ----------
    checkup : Checkup
        Value table with the rows ``report.assigned.*`` and the values of the zones.
    lang : {"zh", "en"}
        Language.
    everything : bool
        All zones with a quota instead of those out of balance.
    level : str, optional
        Zones of one level only.
    """
    found = transmission(checkup.city, checkup.values, data=checkup.data, year=checkup.year)
    shown = found[found["assigned"].notna()] if everything else out_of_balance(found)
    if level is not None:
        shown = shown[shown["level"] == level]
    values = checkup.values[checkup.values["year"] == checkup.year]
    by_id = {(str(r["indicator"]), str(r["zone"])): r for r in records(values) if r["tier"] != "target"}
    names = ("assigned", "actual", "difference", "parts")
    headers: list[tuple[object, str]] = [
        (t("column.indicator", lang), "row"),
        (t("ledger.column.zone", lang), "short"),
    ]
    headers += [(t("column.unit", lang), "short")]
    headers += [(t(f"ledger.column.{name}", lang), "number") for name in names]
    headers += [(t(f"ledger.column.{name}", lang), "short") for name in ("kind", "state")]
    headers += [(t("ledger.column.reason", lang), "")]
    lines: list[list[object]] = []
    compared: list[Compared] = []
    names_known = _translated(checkup, lang)
    for row in records(shown):
        name, zone = str(row["indicator"]), str(row["zone"])
        keys = (f"report.assigned.{name}", name, f"report.quota_gap.{name}", f"report.parts_assigned.{name}")
        assigned, actual, difference = (by_id.get((key, zone)) for key in keys[:3])
        compared.append((actual, (assigned, difference)))
        place = (
            plain("ledger.city", lang)
            if zone == checkup.city.name
            else names_known.get(zone, row["zone_name"])
        )
        bad = row["state"] in ("kept", "not_assigned", "no_data") and row["books"] not in (
            "agree",
            "incomplete",
            "",
        )
        lines.append(
            [
                mark(titles_of(definition_of(checkup, name), lang, name)), mark(place), unit_label(str(row["unit"]), lang),
                *(value_cell(by_id.get((key, zone)), lang) for key in keys),
                plain("ledger.rigid" if row["rigid"] else "ledger.flexible", lang),
                _chip(str(row["books"] if bad else row["state"]), "transmission_state", lang),
                mark(row[f"reason_{lang}"]),
            ]
        )  # fmt: skip
    caption = t("ledger.caption_all" if everything else "ledger.caption_transmission", lang)
    note = rounding_note(compared, lang)
    return table(headers, lines, caption=caption, lang=lang, css="transmission", note=note)


def quota_bars(checkup: CheckupView, lang: str, level: str = "district") -> Figure:
    """Stacked bars of every zone: used before, used this year, left; what goes beyond the quota is red.

    Parameters
    ----------
    checkup : Checkup
        Value table with the rows ``report.quota_*``.
    lang : {"zh", "en"}
        Language.
    level : str
        Zone level of the bars.
    """
    books = _books(checkup)
    zones = [(code, name) for code, name in _zones(checkup, level, lang) if code in books]
    if not zones:
        figure = new_figure(7.4, 1.2)
        figure.text(
            0.5, 0.5, plain("ledger.none", lang), ha="center", va="center", color=style.MUTED, fontsize=9
        )
        caption = t("ledger.chart.title", lang)
        return render(figure, alt=plain("ledger.none", lang), caption=caption, sensitivity=PUBLIC)
    height = 0.46 * len(zones) + 1.45
    figure = new_figure(7.6, height)
    axes = figure.add_axes((0.16, 0.52 / height, 0.78, (height - 1.45) / height))
    for at, (code, _) in enumerate(zones):
        _bar(axes, at, {name: float(row["value"]) for name, row in books[code].items()})
    axes.set_yticks(range(len(zones)), [name for _, name in zones])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(plain("ledger.chart.axis", lang))
    axes.margins(x=0.14)
    axes.set_xlim(left=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    _legend(figure, height, lang)
    figure.text(
        0.03, 1 - 0.27 / height, plain("ledger.chart.title", lang), fontsize=12.5, path_effects=style.heavy(), va="center"
    )  # fmt: skip
    drawn = [books[code][name] for code, _ in zones for name in ("used", "used_year", "total")]
    return render(
        figure, alt=plain("ledger.chart.alt", lang), caption=t("ledger.chart.title", lang), colours=128,
        sensitivity=sensitivity_of(checkup, (), drawn),
    )  # fmt: skip


def _bar(axes: Any, at: int, numbers: Mapping[str, float]) -> None:
    used, year, total = numbers["used"], numbers["used_year"], numbers["total"]
    inside = used if math.isnan(total) else min(used, total)
    before = min(used - year, inside)
    axes.barh(at, before, height=0.6, color=BEFORE)
    axes.barh(at, inside - before, left=before, height=0.6, color=THIS_YEAR)
    end = used
    if not math.isnan(total):
        axes.barh(
            at,
            max(total - used, 0.0),
            left=inside,
            height=0.6,
            color=LEFT,
            edgecolor="#b8c2cc",
            linewidth=0.7,
        )
        axes.barh(at, max(used - total, 0.0), left=inside, height=0.6, color=BEYOND)
        axes.plot([total, total], [at - 0.36, at + 0.36], color=style.INK, linewidth=1.6)
        end = max(used, total)
    text = (
        format_number(used, 0)
        if math.isnan(total)
        else f"{format_number(used, 0)} / {format_number(total, 0)}"
    )
    colour = BEYOND if used > total else style.INK
    axes.annotate(text, (end, at), (6, 0), textcoords="offset points", va="center", fontsize=9, color=colour)


def _legend(figure: Any, height: float, lang: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(facecolor=BEFORE, label=plain("ledger.chart.before", lang)),
        Patch(facecolor=THIS_YEAR, label=plain("ledger.chart.year", lang)),
        Patch(facecolor=LEFT, edgecolor="#b8c2cc", label=plain("ledger.chart.left", lang)),
        Patch(facecolor=BEYOND, label=plain("ledger.chart.beyond", lang)),
        Line2D(
            [],
            [],
            color=style.INK,
            linestyle="",
            marker="|",
            markersize=11,
            markeredgewidth=1.6,
            label=plain("ledger.chart.quota", lang),
        ),
    ]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.03, 1 - 0.42 / height), ncols=5, fontsize=8.8,
        handlelength=1.2, columnspacing=1.3, handletextpad=0.45, borderaxespad=0,
    )  # fmt: skip


def has_ledger(checkup: CheckupView) -> bool:
    """Whether the checkup holds a ledger of the development boundary."""
    return bool(_books(checkup))


def has_transmission(checkup: CheckupView) -> bool:
    """Whether the checkup holds quotas passed on to zones."""
    return bool(pd.Series(checkup.values["indicator"]).str.startswith("report.assigned.").any())
