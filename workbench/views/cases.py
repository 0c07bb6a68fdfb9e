"""Cases as an official works through them: the register with ages and closing rates, and a sheet for each case."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd

from workbench.evaluation.casebook import last_day, register_of
from workbench.rules.library import load_rules
from workbench.rules.register import STATUSES, Register
from workbench.rules.same_place import IMAGE_CASES, SAME_PLACE, joins
from workbench.views import style
from workbench.views.cartography import patch_panel
from workbench.views.cells import change_text, level_chip, line_label, table, value_cell, word
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.html import Html, element, join
from workbench.views.interpretation import chip_figure
from workbench.views.layout import wrap
from workbench.views.numbers import date_text, date_words, find, num_of, records
from workbench.views.openness import guarded, sensitivity_of, sensitivity_of_findings
from workbench.views.rows import cases_of, district_names
from workbench.views.text import exempt, has, mark, paragraph, plain, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

RATES = ("open_start", "found", "checked", "rectified", "closed", "open_end", "closing_pct", "median_age")
EDGE_M = 30.0
"""Land use is read so much beyond the edge of a chip, that no cell is missing there."""
MEETS_M2 = 1.0
"""A patch that shares more than this with another of this year touches its line as well."""


def _number(checkup: CheckupView, name: str, zone: str, lang: str, *, unit: bool = False) -> Html:
    return value_cell(find(checkup, name, level="report", zone=zone, year=checkup.year), lang, unit=unit)


def _line(line: str, lang: str) -> str:
    key = f"line_table.{line}"
    return (
        plain("casebook.all", lang)
        if line == "all"
        else plain(key, lang)
        if has(key)
        else line_label(line, lang)
    )


def lead(checkup: CheckupView, lang: str) -> Html:
    """How many cases the register holds, by status; or that there is none yet."""
    register = register_of(checkup.city)
    if register is None or find(checkup, "report.register.发现", level="report", zone="all") is None:
        return paragraph("casebook.none", lang)
    names = dict(zip(STATUSES, ("found", "checked", "rectified", "closed"), strict=True))
    count = {
        word_: _number(checkup, f"report.register.{status}", "all", lang) for status, word_ in names.items()
    }
    total = _number(checkup, "report.register.total", "all", lang)
    day = last_day(register)
    told = paragraph("casebook.lead", lang, day=exempt(date_words(day, lang)), total=total, **count)
    codes = set(cases_of(checkup).get("space_code", ())) - {""}
    behind = bool(codes - set(register.cases["space_code"]))
    return Html(told + paragraph("casebook.behind", lang)) if behind else told


def status_table(checkup: CheckupView, lang: str) -> Html | None:
    """Cases by line and status; None without a register."""
    values = checkup.values
    known = values[(values["indicator"] == "report.register.发现") & (values["year"] == checkup.year)]["zone"]
    if known.empty:
        return None
    headers: list[tuple[object, str]] = [(t("casebook.line", lang), "row")]
    headers += [(t(f"status.{status}", lang), "number") for status in STATUSES]
    zones = [*sorted(set(known) - {"all"}), "all"]
    lines: list[list[object]] = [
        [
            mark(_line(zone, lang)),
            *(_number(checkup, f"report.register.{status}", zone, lang) for status in STATUSES),
        ]
        for zone in zones
    ]
    css = ["total" if zone == "all" else "" for zone in zones]
    return table(
        headers, lines, caption=t("casebook.caption_status", lang), lang=lang, css="lines", row_css=css
    )


def rates_table(checkup: CheckupView, lang: str) -> Html | None:
    """Open, found, checked, rectified, closed and the closing rate by calendar year and line; None without a register."""
    values = checkup.values
    rows = values[(values["indicator"] == "report.register.found") & (values["year"] == checkup.year)]
    if rows.empty:
        return None
    years = sorted({str(zone).rpartition("/")[2] for zone in rows["zone"]}, reverse=True)
    lines_known = sorted({str(zone).rpartition("/")[0] for zone in rows["zone"]} - {"all"})
    headers: list[tuple[object, str]] = [(t("casebook.line", lang), "row")]
    words = {"closing_pct": "closing", "median_age": "median"}
    headers += [(t(f"casebook.{words.get(name, name)}", lang), "number") for name in RATES]
    lines: list[list[object]] = []
    css: list[str] = []
    for year in years:
        lines.append([t("common.year", lang, year=exempt(year))])
        css.append("")
        for line in [*lines_known, "all"]:
            cells = [
                _number(
                    checkup, f"report.register.{name}", f"{line}/{year}", lang, unit=name == "closing_pct"
                )
                for name in RATES
            ]
            lines.append([mark(_line(line, lang)), *cells])
            css.append("total" if line == "all" else "")
    return table(
        headers, lines, caption=t("casebook.caption_rates", lang), lang=lang, css="lines", row_css=css,
        note=t("casebook.note", lang),
    )  # fmt: skip


def register_table(checkup: CheckupView, lang: str, *, limit: int = 60) -> Html | None:
    """Cases of the register that are not closed first, then closed ones; None without a register.

    Parameters
    ----------
    checkup : Checkup
        Value table with the rows ``case.age_days``.
    lang : {"zh", "en"}
        Language.
    limit : int
        At most so many rows.
    """
    register = register_of(checkup.city)
    if register is None:
        return None
    cases = register.table(last_day(register)).drop(columns="geometry")
    cases["closed"] = cases["status"] == STATUSES[-1]
    cases = cases.sort_values(
        ["closed", "level", "area_m2", "space_code"], ascending=[True, False, False, True]
    )
    names = district_names(checkup, lang)
    ages = {
        str(row["zone"]): row
        for row in records(checkup.values[checkup.values["indicator"] == "case.age_days"])
    }
    areas = {
        str(row["zone"]): row
        for row in records(checkup.values[checkup.values["indicator"] == "case.register_mu"])
    }
    headers: list[tuple[object, str]] = [
        (t("casebook.space_code", lang), "row"),
        (t("casebook.line", lang), ""),
    ]
    headers += [(t(f"column.{name}", lang), "") for name in ("district", "change")]
    headers += [(t("casebook.area", lang), "number"), (t("column.permit", lang), "short")]
    headers += [(t("casebook.found_on", lang), "short"), (t("casebook.age", lang), "number")]
    headers += [(t(f"casebook.{name}", lang), "short") for name in ("status", "verdict")]
    lines: list[list[object]] = []
    for row in records(cases.head(limit)):
        code = str(row["space_code"])
        lines.append(
            [
                exempt(code), line_label(str(row["line"]), lang), names.get(str(row["district"]), ""),
                change_text(row, lang), value_cell(areas.get(code), lang), word("permit", row["permit_state"], lang),
                exempt(date_text(row["found_on"])), value_cell(ages.get(code), lang), word("status", row["status"], lang),
                word("case_verdict", row["verdict"], lang),
            ]
        )  # fmt: skip
    note = t("common.suspected", lang)
    if len(cases) > limit:
        note = Html(note + t("casebook.cut", lang))
    return table(headers, lines, caption=t("casebook.caption_list", lang), lang=lang, css="cases", note=note)


# ---------------------------------------------------------------------- sheets


def sheets(checkup: CheckupView, lang: str, *, most: int = 8, level: int = 3) -> Html:
    """Sheets of the worst cases: chips before and after, lines touched, permits, history.

    Parameters
    ----------
    checkup : Checkup
        City, findings and values.
    lang : {"zh", "en"}
        Language.
    most : int
        At most so many sheets, the worst and largest first.
    level : int
        Lowest level a sheet is made for.
    """
    cases = cases_of(checkup)
    chosen = cases[cases["level"] >= level] if len(cases) else cases
    if chosen.empty:
        return paragraph("casebook.no_cases", lang)
    chosen = chosen.sort_values(["level", "area_m2", "finding_id"], ascending=[False, False, True])
    register = register_of(checkup.city)
    places: list[Any] = []
    pages = []
    for at in range(len(chosen)):
        case = chosen.iloc[at]
        if any(case.geometry.intersection(other).area > MEETS_M2 for other in places):
            continue  # the place has a sheet already, with all of its lines
        places.append(case.geometry)
        pages.append(sheet(checkup, case, cases, register, lang))
        if len(pages) == most:
            break
    return join(pages)


def sheet(checkup: CheckupView, case: Any, cases: pd.DataFrame, register: Register | None, lang: str) -> Html:
    """One case: facts, picture before and after, lines touched, permits, history."""
    code = str(case["finding_id"])
    head = Html(f"{exempt(code)} {mark(_line(str(case['line']), lang))} {level_chip(case['level'], lang)}")
    parts: list[Html] = [element("h3", head), _facts(checkup, case, lang)]
    pictures = [
        one for one in (seen_from_above(checkup, case, lang), chips(checkup, case, lang)) if one is not None
    ]
    parts += [one.html for one in pictures]
    parts += [_lines(checkup, case, cases, lang)]
    parts += _together(_permits(checkup, case, lang), _history(case, register, lang), lang)
    level = sensitivity_of_findings(checkup, pd.DataFrame([case.drop("geometry")]))
    return guarded("div", join(parts), level, css="sheet")


def _together(first: Html, second: Html, lang: str) -> list[Html]:
    """Two sentences as one paragraph, so that a sheet does not run over its page for a single line; tables stay apart."""
    start, end = "<p>", "</p>"
    if all(one.startswith(start) and one.endswith(end) and one.count(start) == 1 for one in (first, second)):
        gap = "" if lang == "zh" else " "
        return [Html(first.removesuffix(end) + gap + second.removeprefix(start))]
    return [first, second]


def _facts(checkup: CheckupView, case: Any, lang: str) -> Html:
    row = {str(key): value for key, value in case.drop("geometry").items()}
    number = {
        name: find(checkup, f"case.{column}", level="case", zone=str(row["finding_id"]))
        for name, column in (("area", "area_m2"), ("share", "share_pct"), ("width", "width_m"))
    }
    shown = {
        name: num_of(one, lang=lang, unit=True) if one is not None else Html("")
        for name, one in number.items()
    }
    period = t(
        "problems.period",
        lang,
        first=exempt(date_text(row.get("date_before"))),
        last=exempt(date_text(row.get("date_after"))),
    )
    facts = t(
        "casebook.sheet", lang, district=district_names(checkup, lang).get(str(row.get("district")), ""),
        change=change_text(row, lang), period=period, permit=word("permit", row.get("permit_state"), lang), **shown,
    )  # fmt: skip
    codes = {
        "code": "space_code", "project_no": "project_code", "unit": "unit_no", "supervision": "supervision_no",
    }  # fmt: skip
    named = [
        t(f"casebook.{key}", lang, code=exempt(row[name])) for key, name in codes.items() if row.get(name)
    ]
    known = (
        t("casebook.codes", lang, codes=join(named, "；" if lang == "zh" else "; ")) if named else Html("")
    )
    rule = load_rules().get(str(row.get("rule")))
    advice = getattr(rule, f"note_{lang}", "")
    told = t("casebook.advice", lang, advice=mark(advice)) if advice else Html("")
    return join([element("p", one) for one in (facts, known, told) if one])


def seen_from_above(checkup: CheckupView, case: Any, lang: str) -> Figure | None:
    """Images before and after of a case: its own, or those of a case that images found on the same ground; None without.

    The caption has the sheet's own code; of pictures of another case it says which, and how the two lie to each other.
    """
    code, year = str(case.get("space_code") or ""), checkup.year
    shown = exempt(code or str(case["finding_id"]))
    own = chip_figure(checkup.city.name, year, code, lang)
    if own is not None:
        return replace(own, caption=t("image_match.own", lang, own=shown))
    if not checkup.data.has(IMAGE_CASES, year):
        return None
    found = checkup.data.vector(IMAGE_CASES, year)
    mine = gpd.GeoDataFrame({"line": [str(case["line"])]}, geometry=[case.geometry], crs=found.crs)
    met = joins(mine, found, least=0.0)
    for at, share in zip(met["right"], met["share"], strict=True):
        other = str(found["space_code"].iloc[at])
        figure = chip_figure(checkup.city.name, year, other, lang)
        if figure is not None:
            key = "image_match.same_place" if share >= SAME_PLACE else "image_match.meets"
            said = t(key, lang, own=shown, other=exempt(other))
            return replace(figure, alt=plain("image_match.alt", lang), caption=said)
    return None


def chips(checkup: CheckupView, case: Any, lang: str) -> Figure | None:
    """Land use before and after around a patch; None where one of the two surveys is missing."""
    years = [year for year in checkup.data.years("land_use") if year < checkup.year]
    if not years or not checkup.data.has("land_use", checkup.year):
        return None
    shape = case.geometry
    minx, miny, maxx, maxy = shape.bounds
    half = max(maxx - minx, maxy - miny) * 0.9 + 60
    box = (shape.centroid.x - half, shape.centroid.y - half, shape.centroid.x + half, shape.centroid.y + half)
    wider = (box[0] - EDGE_M, box[1] - EDGE_M, box[2] + EDGE_M, box[3] + EDGE_M)
    figure = new_figure(6.6, 2.75)
    present: set[int] = set()
    for at, year in enumerate((years[-1], checkup.year)):
        axes = figure.add_axes((0.012 + at * 0.405, 0.02, 0.39, 0.96))
        present |= patch_panel(
            axes, checkup, year, shape,
            view=box, read=wider, text_at=0.03, fontsize=10, halo=2.4, line=1.8, frame=0.8,
        )  # fmt: skip
        if at == 0:
            _scale(axes, box)
    _legend(figure, present, lang)
    words = str(case["finding_id"])
    return render(
        figure, alt=plain("casebook.alt_chips", lang, code=words), dpi=120, colours=96,
        caption=t("casebook.caption_chips", lang, code=exempt(words)),
        sensitivity=sensitivity_of(checkup, ["land_use", "land_use_raster", "permits"]),
    )  # fmt: skip


def _scale(axes: Any, box: tuple[float, float, float, float]) -> None:
    """Scale bar of about a third of the chip."""
    width = box[2] - box[0]
    metres = next(one for one in (500, 200, 100, 50, 20) if one <= width / 3 or one == 20)
    left, low = box[0] + 0.62 * width, box[1] + 0.05 * width
    axes.plot(
        [left, left + metres], [low, low], color=style.INK, linewidth=2.4, zorder=10, solid_capstyle="butt"
    )
    axes.text(
        left + metres / 2,
        low + 0.02 * width,
        f"{metres} m",
        ha="center",
        fontsize=8.5,
        path_effects=style.halo(2.2),
        zorder=10,
    )


def _legend(figure: Any, present: set[int], lang: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(
            facecolor=colour,
            edgecolor="#6b7280",
            linewidth=0.5,
            label="\n".join(wrap(plain(f"land.{name}", lang), 14)),
        )
        for at, (name, (colour, _)) in enumerate(style.LAND_GROUPS.items())
        if at in present
    ]
    handles.append(Line2D([], [], color="#c62828", linewidth=1.8, label=plain("dashboard.pick_cases", lang)))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.822, 0.98), fontsize=8, handlelength=1.2, borderaxespad=0,
        labelspacing=0.45, handletextpad=0.5,
    )  # fmt: skip


def _lines(checkup: CheckupView, case: Any, cases: pd.DataFrame, lang: str) -> Html:
    """Lines touched by the place of a case, with area, permit state and level on each."""
    near = cases[[shape.intersection(case.geometry).area > MEETS_M2 for shape in cases.geometry]]
    headers: list[tuple[object, str]] = [(t("casebook.line", lang), "row"), (t("column.case", lang), "")]
    headers += [(t(f"column.{name}", lang), "number") for name in ("area_m2", "area_mu")]
    headers += [
        (t("column.permit", lang), "short"),
        (t("column.level", lang), "short"),
        (t("column.clause", lang), ""),
    ]
    rows: list[list[object]] = []
    for row in records(near.sort_values(["level", "area_m2"], ascending=[False, False])):
        number = str(row["finding_id"])
        cells = [
            value_cell(find(checkup, f"case.{name}", level="case", zone=number), lang)
            for name in ("area_m2", "mu")
        ]
        rows.append(
            [
                mark(_line(str(row["line"]), lang)), exempt(number), *cells, word("permit", row["permit_state"], lang),
                level_chip(row["level"], lang), mark(word("clause", row.get("clause"), lang)),
            ]
        )  # fmt: skip
    caption = t("casebook.caption_lines", lang, code=exempt(case["finding_id"]))
    return table(headers, rows, caption=caption, lang=lang, css="cases")


def _permits(checkup: CheckupView, case: Any, lang: str) -> Html:
    """Permits that the case was compared with."""
    wanted = str(case.get("permit_ids") or "").split()
    if not wanted or not checkup.data.has("permits"):
        return paragraph("casebook.no_permits", lang)
    permits = _permit_table(checkup.data)
    headers: list[tuple[object, str]] = [(t("casebook.permit_id", lang), "row")]
    headers += [(t(f"casebook.{name}", lang), "short") for name in ("kind", "approved", "ended", "project")]
    rows: list[list[object]] = [
        [
            exempt(row["permit_id"]), word("permit_kind", row["kind"], lang), exempt(date_text(row["approved"])),
            exempt(date_text(row["ended"])), exempt(row.get("project_code") or ""),
        ]
        for row in records(permits[permits["permit_id"].astype(str).isin(wanted)])
    ]  # fmt: skip
    return table(headers, rows, caption=t("casebook.caption_permits", lang), lang=lang, css="cases")


@lru_cache(maxsize=2)
def _permit_table(data: Any) -> pd.DataFrame:
    return pd.DataFrame(data.vector("permits").drop(columns="geometry"))


def _history(case: Any, register: Register | None, lang: str) -> Html:
    """Every step of a case in the register."""
    code = str(case.get("space_code") or "")
    rows = register.history[register.history["space_code"] == code] if register is not None and code else None
    if rows is None or rows.empty:
        return paragraph("casebook.no_history", lang)
    steps = records(rows)
    told = [str(steps[0][name] or "").strip() for name in ("verdict", "person", "note")]
    if len(steps) == 1 and set(told) <= {"", "nan", "None"}:
        event = word("event", steps[0]["event"], lang)
        return paragraph(
            "casebook.one_step", lang, day=exempt(date_text(steps[0]["on_date"])), event=mark(event)
        )
    headers: list[tuple[object, str]] = [
        (t("casebook.day", lang), "short"),
        (t("casebook.event", lang), "row"),
    ]
    headers += [(t(f"casebook.{name}", lang), "") for name in ("status", "verdict", "person", "remark")]
    lines: list[list[object]] = [
        [
            exempt(date_text(row["on_date"])), word("event", row["event"], lang), word("status", row["to_status"], lang),
            word("case_verdict", row["verdict"], lang), mark(row["person"]), exempt(row["note"]),
        ]
        for row in steps
    ]  # fmt: skip
    return table(headers, lines, caption=t("casebook.caption_history", lang), lang=lang, css="cases")
