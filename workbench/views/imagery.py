"""What images show, in words and tables: land cover and change with intervals, suspected cases, how it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.interpretation.classes import CHANGE_CLASSES, scheme
from workbench.rules.patches import class_names as class_names_of_patches
from workbench.views.cells import change_text, line_label, table, value_cell, word
from workbench.views.html import Html, element, join
from workbench.views.numbers import num_of, records
from workbench.views.openness import guarded
from workbench.views.text import exempt, mark, plain, t

if TYPE_CHECKING:
    from workbench.evaluation.imagery import Imagery

Row = dict[str, Any]
Rows = dict[tuple[str, str], Row]
LAND, CHANGE = "", "change_"
"""Prefix of the parts of the two maps."""
SHOWN = 20
"""Cases listed in a report."""
PERMITTED = "已批"
"""State of land that permits cover."""


def rows_of(found: Imagery) -> Rows:
    """Rows of the value table by name (without ``imagery.``) and zone."""
    return {(str(r["indicator"]).removeprefix("imagery."), str(r["zone"])): r for r in records(found.values)}


def interval(rows: Rows, name: str, zone: str, lang: str) -> Html:
    """Bounds of a figure, each a row of its own; empty without an interval."""
    ends = [rows.get((f"{name}.{end}", zone)) for end in ("low", "high")]
    low, high = (None if end is None else num_of(end, lang=lang) for end in ends)
    return Html("") if low is None or high is None else Html(f"{low}–{high}")


def in_table(rows: Rows, name: str, zone: str, lang: str) -> Html:
    """A figure and the bounds of its interval in brackets, as a table has them whose note says what they are."""
    row = rows.get((name, zone))
    if row is None:
        return Html("")
    bounds = interval(rows, name, zone, lang)
    shown = num_of(row, lang=lang)
    return t("imagery.in_table", lang, value=shown, bounds=bounds) if bounds else shown


def with_interval(rows: Rows, name: str, zone: str, lang: str) -> Html:
    """A figure with its unit and the bounds of its interval in brackets; empty where there is no such figure."""
    row = rows.get((name, zone))
    if row is None:
        return Html("")
    shown = num_of(row, lang=lang, unit=row["unit"] != "count")
    bounds = interval(rows, name, zone, lang)
    return t("imagery.with_interval", lang, value=shown, bounds=bounds) if bounds else shown


def class_names(found: Imagery, lang: str) -> dict[str, str]:
    """Name of each class of the land-cover map, and of the two of the change map."""
    names = scheme("six")
    told = dict(zip(names["class"].astype(str), names[f"name_{lang}"].astype(str), strict=True))
    return told | {name: plain(f"imagery.change_class.{name}", lang) for name in CHANGE_CLASSES}


def summary(found: Imagery, lang: str) -> Html:
    """What an official reads first."""
    rows, city = rows_of(found), found.city.name
    said: list[tuple[str, list[Row]]] = []

    def say(key: str, **names: str) -> None:
        used = {place: rows[name, city] for place, name in names.items() if (name, city) in rows}
        if len(used) == len(names):
            words = {place: with_interval(rows, name, city, lang) for place, name in names.items()}
            year = {"year": exempt(found.year), "before": exempt(found.year - 1)}
            text = t(
                f"imagery.summary.{key}", lang, **words, **{k: v for k, v in year.items() if k in NEEDS[key]}
            )
            said.append((str(text), list(used.values())))

    say("images", now=f"images.scenes.{found.year}", then=f"images.scenes.{found.year - 1}")
    say("readable", area="readable.area", share="readable.share", city="readable.city")
    say("readable_change", area="change_readable.area", share="change_readable.share")
    say("land", overall="accuracy.overall", points="sample.points")
    say("change", patches="change.patches", area="change.patch_area")
    say("estimate", estimate="change_area.changed", mapped="change_area.mapped.changed")
    say("cases", cases="cases.count", area="cases.area")
    return join([guarded("p", Html(text), strictest(used)) for text, used in said])


NEEDS = {
    "images": ("year", "before"),
    "readable": ("year",),
    "readable_change": ("year", "before"),
    "land": ("year",),
    "change": ("year", "before"),
    "estimate": (),
    "cases": (),
}
"""Years named in each sentence."""


def strictest(rows: list[Row]) -> str:
    """Clearance that reading all of some rows takes."""
    from workbench.indicators.values import highest_sensitivity

    return highest_sensitivity(str(row["sensitivity"]) for row in rows)


def area_table(found: Imagery, lang: str, prefix: str = LAND) -> Html | None:
    """Hectares of each class: as mapped, as estimated from the sample with interval, and how far the map is off."""
    rows, city = rows_of(found), found.city.name
    names = class_names(found, lang)
    lines = []
    for name, title in names.items():
        mapped = rows.get((f"{prefix}area.mapped.{name}", city))
        if mapped is None:
            continue
        estimate = rows.get((f"{prefix}area.{name}", city))
        bias = rows.get((f"{prefix}area.bias.{name}", city))
        lines.append([title, value_cell(mapped, lang), value_cell(estimate, lang), interval(rows, f"{prefix}area.{name}", city, lang),
                      num_of(bias, lang=lang, sign=True) if bias else "", value_cell(rows.get((f"{prefix}area.points.{name}", city)), lang)])  # fmt: skip
    if not lines:
        return None
    every = [rows.get((prefix + one, city)) for one in ("total.mapped", "total.estimate", "sample.points")]
    if every[0] is not None:
        total, estimated, points = (value_cell(one, lang) for one in every)
        lines.append([t("common.total", lang), total, estimated, "", "", points])
    headers: list[tuple[object, str]] = [(t("imagery.column.class", lang), "row")]
    headers += [
        (t(f"imagery.column.{one}", lang), "number")
        for one in ("mapped", "estimate", "interval", "bias", "points")
    ]
    key = "change" if prefix else "land"
    return table(headers, lines, caption=t(f"imagery.caption.area_{key}", lang, year=exempt(found.year)), lang=lang, css="imagery",
                 note=t(f"imagery.note.area_{key}", lang))  # fmt: skip


def accuracy_table(found: Imagery, lang: str) -> Html | None:
    """User's and producer's accuracy, F1 and IoU of each class of both maps, with intervals."""
    rows, city = rows_of(found), found.city.name
    names = class_names(found, lang)
    lines: list[list[object]] = []
    for prefix, key in ((LAND, "land"), (CHANGE, "change")):
        overall = rows.get((f"{prefix}accuracy.overall", city))
        if overall is None:
            continue
        lines.append([t(f"imagery.map.{key}", lang)])
        lines.append(
            [t("imagery.overall", lang), in_table(rows, f"{prefix}accuracy.overall", city, lang), "", ""]
        )
        for name, title in names.items():
            asked = [f"{prefix}accuracy.{measure}.{name}" for measure in ("users", "producers", "iou")]
            cells = [in_table(rows, one, city, lang) for one in asked]
            if any(cells):
                lines.append([title, *cells])
    if not lines:
        return None
    headers: list[tuple[object, str]] = [(t("imagery.column.class", lang), "row")]
    headers += [(t(f"imagery.column.{one}", lang), "number") for one in ("users", "producers", "iou")]
    return table(
        headers,
        lines,
        caption=t("imagery.caption.accuracy", lang),
        lang=lang,
        css="imagery",
        note=t("imagery.note.accuracy", lang),
    )


def district_table(found: Imagery, lang: str) -> Html | None:
    """Detected patches and suspected cases by district."""
    rows = rows_of(found)
    zones = {
        zone: str(row["zone_name"])
        for (name, zone), row in rows.items()
        if name == "change.patches" and zone != found.city.name
    }
    if not zones:
        return None
    items = ("change.patches", "change.patch_area", "cases.count", "cases.area")
    lines = [
        [found.city.say(title, lang), *(value_cell(rows.get((one, zone)), lang) for one in items)]
        for zone, title in zones.items()
    ]
    lines.append(
        [
            t("imagery.whole_city", lang),
            *(value_cell(rows.get((one, found.city.name)), lang) for one in items),
        ]
    )
    headers: list[tuple[object, str]] = [(t("imagery.column.district", lang), "row")]
    headers += [
        (t(f"imagery.column.{one}", lang), "number")
        for one in ("patches", "patch_area", "cases", "case_area")
    ]
    return table(headers, lines, caption=t("imagery.caption.district", lang), lang=lang, css="imagery",
                 note=t("imagery.note.district", lang))  # fmt: skip


def transition_table(found: Imagery, lang: str) -> Html | None:
    """Other changes of the land, a row a class before and class after; None where none were looked for or found."""
    rows, city = rows_of(found), found.city.name
    names = class_names(found, lang)
    start = "transition.patches."
    lines = [
        [
            *(names[one] for one in name.removeprefix(start).split(".")),
            value_cell(rows[name, city], lang),
            value_cell(rows[name.replace("patches", "patch_area"), city], lang),
        ]
        for name, zone in sorted(rows)
        if name.startswith(start) and zone == city
    ]
    if not lines:
        return None
    whole = [value_cell(rows.get((f"transition.{one}", city)), lang) for one in ("patches", "patch_area")]
    lines.append([t("common.total", lang), "", *whole])
    headers: list[tuple[object, str]] = [
        (t("imagery.column.was", lang), "row"),
        (t("imagery.column.now", lang), ""),
        *((t(f"imagery.column.{one}", lang), "number") for one in ("patches", "patch_area")),
    ]
    return table(headers, lines, caption=t("imagery.caption.transition", lang), lang=lang, css="imagery",
                 note=t("imagery.note.transition", lang))  # fmt: skip


def matter_table(found: Imagery, lang: str) -> Html | None:
    """Suspected cases by what is suspected."""
    rows, city = rows_of(found), found.city.name
    matters = [
        name.removeprefix("cases.count.")
        for name, zone in rows
        if name.startswith("cases.count.") and zone == city
    ]
    lines = [[word("imagery.matter", one, lang) or mark(one), value_cell(rows[f"cases.count.{one}", city], lang),
              value_cell(rows[f"cases.area.{one}", city], lang)] for one in matters]  # fmt: skip
    if lines:
        whole = [value_cell(rows.get((f"cases.{one}", city)), lang) for one in ("count", "area")]
        lines.append([t("common.total", lang), *whole])
    headers: list[tuple[object, str]] = [(t("imagery.column.matter", lang), "row")]
    headers += [(t(f"imagery.column.{one}", lang), "number") for one in ("cases", "case_area")]
    if not lines:
        return None
    return table(headers, lines, caption=t("imagery.caption.matter", lang), lang=lang, css="imagery",
                 note=t("imagery.note.matter", lang))  # fmt: skip


def case_table(found: Imagery, lang: str, most: int = SHOWN) -> Html | None:
    """The most pressing suspected cases: probability by area by severity."""
    cases, rows = found.layer("detected_cases"), rows_of(found)
    if cases is None or not len(cases):
        return None
    lines, levels = [], []
    for at, case in enumerate(cases.head(most).to_dict("records"), 1):
        own = str(case["finding_id"])
        if ("case.area", own) not in rows:
            break
        area = rows["case.area", own]
        levels.append(str(area["sensitivity"]))
        lines.append([exempt(at), mark(str(case.get("space_code") or case["patch_id"])), word("imagery.matter", case["matter"], lang),
                      line_label(str(case["line"]), lang), _change(case, lang), value_cell(area, lang),
                      value_cell(rows["case.probability", own], lang), value_cell(rows.get(("case.level", own)), lang), word("permit", case["permit_state"], lang)])  # fmt: skip
    headers: list[tuple[object, str]] = [(t("imagery.column.rank", lang), "short")]
    headers += [(t(f"imagery.column.{one}", lang), kind) for one, kind in (
        ("code", ""), ("matter", ""), ("line", ""), ("change", ""), ("area_m2", "number"), ("probability", "number"), ("level", "number"), ("permit", ""))]  # fmt: skip
    return table(
        headers,
        lines,
        caption=t("imagery.caption.cases", lang),
        lang=lang,
        css="imagery",
        row_sensitivity=levels,
        note=_case_note(found, rows, cases.head(len(lines)), lang),
    )


def _case_note(found: Imagery, rows: Rows, listed: Any, lang: str) -> Html:
    """How the list is ordered, why permitted ones stand in it, and where those that are not listed are found."""
    said, every = [t("imagery.note.order", lang)], rows.get(("cases.count", found.city.name))
    if (listed["permit_state"] == PERMITTED).any():
        said.append(t("imagery.note.permitted", lang))
    if every is not None and every["value"] > len(listed):
        said.append(t("imagery.note.cases", lang, shown=exempt(len(listed)), every=num_of(every, lang=lang)))
    return join(said, "" if lang == "zh" else " ")


def _change(case: dict[str, Any], lang: str) -> str:
    """Class before → what the image shows, where no survey has named the class after."""
    words = class_names_of_patches(lang)
    return (
        change_text(case, lang)
        if case["after"]
        else f"{words.get(case['before'], case['before'])} → {words.get(case['tblx'], case['tblx'])}"
    )


def image_dates(found: Imagery, role: str, lang: str) -> Html:
    """Days of all the images that a result was made of; empty where it does not say."""
    if lang == "en":
        return exempt(", ".join(day for days in found.images(role).values() for day in days))
    years = [
        f"{year}年" + "、".join(f"{int(day[5:7])}月{int(day[8:10])}日" for day in days)
        for year, days in found.images(role).items()
    ]
    return exempt("；".join(years))


def method_table(found: Imagery, lang: str) -> Html:
    """How it was made: images, weights, engine, thresholds, sample."""
    wanted = found.city.interpretation
    lines: list[list[object]] = []
    for role in ("land_cover_map", "change_map", "detected_cases"):
        if found.data.has(role, found.year):
            source = found.data.source(role, found.year)
            lines.append(
                [
                    t(f"imagery.map_role.{role}", lang),
                    mark(source.source),
                    image_dates(found, role, lang) or exempt(source.date),
                    exempt(source.sha256[:12]),
                ]
            )
    headers: list[tuple[object, str]] = [(t("imagery.column.result", lang), "row")]
    headers += [(t(f"imagery.column.{one}", lang), "") for one in ("made_with", "image_date", "checksum")]
    made = table(headers, lines, caption=t("imagery.caption.method", lang), lang=lang, css="imagery",
                 note=t("imagery.note.method", lang))  # fmt: skip
    if wanted is None:
        return made
    told = t("imagery.method", lang, mmu=exempt(f"{wanted.mmu_m2:g}"), seed=exempt(wanted.seed))
    return Html(made + element("p", told, css="wb-note"))
