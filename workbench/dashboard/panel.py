"""The dashboard of a checkup: header, cards by dimension, red list, map, table of indicators with filters."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.views import style
from workbench.views.cells import level_chip, role_label, titles_of, word
from workbench.views.html import Html, element, join
from workbench.views.numbers import find, num_of, records
from workbench.views.rows import (
    DIMENSIONS,
    cases_of,
    definition_of,
    district_names,
    in_order,
    warnings_of,
    worst_levels,
)
from workbench.views.tables import indicator_table
from workbench.views.text import dimension_label, exempt, mark, plain, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

DEMO = "demo"
"""Name of the generated city; its dashboard says so."""
LISTED = 40
"""Most entries of the red list; the report has them all."""


@cache
def css() -> Html:
    """Style sheet of the dashboard as an element."""
    own = (Path(__file__).parent / "dashboard.css").read_text("utf-8")
    return Html(f"<style>{style.css()}{own}</style>")


def header(checkup: CheckupView, lang: str) -> Html:
    """City, year, and for the demonstration city a word of warning."""
    name = checkup.city.name_zh if lang == "zh" else checkup.city.name_en
    title = element("h1", t("dashboard.title", lang, city=str(name)))
    sub = element("p", t("dashboard.subtitle", lang, year=exempt(checkup.year)))
    demo = (
        element("span", plain("dashboard.demo_note", lang), css="demo")
        if checkup.city.name == DEMO
        else Html("")
    )
    return element("div", title + sub + demo, css="wb-head")


def _report_number(checkup: CheckupView, name: str, zone: str, lang: str) -> tuple[Html, float]:
    row = find(checkup, f"report.{name}", level="report", zone=zone)
    if row is None or pd.isna(row["value"]):
        return Html("–"), 0.0
    return num_of(row, lang=lang), float(row["value"])


def card(checkup: CheckupView, dimension: str, lang: str) -> Html:
    """One dimension (or ``all``): indicators computed, without data, and how many of each warning level."""
    computed, _ = _report_number(checkup, "computed", dimension, lang)
    missing, _ = _report_number(checkup, "missing", dimension, lang)
    chips = []
    for level in (4, 3, 2):
        count, number = _report_number(checkup, f"level_{level}", dimension, lang)
        if number:
            words = Html(f"{plain(f'level.{level}', lang)} {count}")
            chips.append(element("span", words, css=f"chip level-{level}"))
    if not chips:
        chips = [Html("&nbsp;")]
    colour = style.DIMENSION_COLOURS.get(dimension, style.ACCENT)
    body = element("div", dimension_label(dimension, lang), css="name")
    body += element("div", computed + element("small", plain("dashboard.computed", lang)), css="big")
    body += element("div", Html(f"{plain('dashboard.missing', lang)} {missing}"), css="rest")
    body += element("div", join(chips))
    return element("div", body, {"style": f"border-top-color:{colour}"}, css="wb-card")


def cards(checkup: CheckupView, lang: str) -> Html:
    """Cards of the total and of the six dimensions."""
    names = [
        name for name in ("all", *DIMENSIONS) if find(checkup, "report.computed", level="report", zone=name)
    ]
    return element("div", join([card(checkup, name, lang) for name in names]), css="wb-cards")


def red_list(checkup: CheckupView, lang: str, district: str | None = None) -> Html:
    """Warnings on indicators and suspected patches, worst first; of one district where its code is given."""
    items = [*_warning_items(checkup, lang, district), *_case_items(checkup, lang, district)]
    items.sort(key=lambda item: -item[0])
    if not items:
        return element("div", plain("dashboard.empty", lang), css="wb-muted")
    shown = [item for _, item in items[:LISTED]]
    if len(items) > LISTED:
        shown.append(element("div", plain("dashboard.more", lang), css="wb-muted"))
    return element("div", join(shown), css="wb-list")


def _item(level: int, what: Html, more: list[Html], lang: str) -> tuple[int, Html]:
    line = element("div", Html(f"{level_chip(level, lang)} {element('span', what, css='what')}"))
    return level, element(
        "div", line + element("div", join([m for m in more if m], " · "), css="more"), css="wb-item"
    )


def _warning_items(checkup: CheckupView, lang: str, district: str | None) -> list[tuple[int, Html]]:
    by_id = {row["value_id"]: row for row in records(checkup.values)}
    items = []
    for row in records(warnings_of(checkup, least=2)):
        city_wide = str(row.get("zone_level") or "city") == "city"
        if district is not None and str(row.get("zone")) != district:
            continue
        indicator = str(row["indicator"] or "")
        value = by_id.get(row.get("value_id"))
        place = plain("common.city", lang) if city_wide else str(row.get("zone_name") or "")
        more = [mark(place), num_of(value, lang=lang, unit=True) if value else Html("")]
        more.append(exempt(row["clause"]) if row.get("clause") and not pd.isna(row["clause"]) else Html(""))
        what = mark(titles_of(definition_of(checkup, indicator), lang, indicator))
        items.append(_item(int(row["level"]), what, more, lang))
    return items


def _case_items(checkup: CheckupView, lang: str, district: str | None) -> list[tuple[int, Html]]:
    cases = cases_of(checkup)
    values = checkup.values
    areas = {str(row["zone"]): row for row in records(values[values["indicator"] == "case.mu"])}
    names = district_names(checkup)
    items = []
    for row in records(cases):
        if int(row["level"]) < 2 or (district is not None and str(row.get("district")) != district):
            continue
        area = areas.get(str(row["finding_id"]))
        what = mark(f"{role_label(str(row['line']), lang)} · {plain('dashboard.pick_cases', lang)}")
        more = [
            mark(names.get(str(row.get("district")), "")),
            num_of(area, lang=lang, unit=True) if area else Html(""),
        ]
        more += [mark(word("permit", row.get("permit_state"), lang)), exempt(row["finding_id"])]
        items.append(_item(int(row["level"]), what, more, lang))
    return items


def filtered_table(
    checkup: CheckupView,
    lang: str,
    *,
    dimension: str | None = None,
    level: int | None = None,
    words: str = "",
) -> Html:
    """Table of the city's indicators narrowed by dimension, warning level (-1: no data) and words of the title."""
    rows = in_order(checkup, dimension=dimension)
    levels = worst_levels(checkup)
    wanted = set()
    for row in rows:
        rating = -1 if pd.isna(row["value"]) else levels.get(row["indicator"])
        title = titles_of(definition_of(checkup, row["indicator"]), lang, row["indicator"])
        if (
            level is None or rating == level
        ) and words.strip().lower() in f"{row['indicator']} {title}".lower():
            wanted.add(row["indicator"])
    if not wanted:
        return element("div", plain("dashboard.empty", lang), css="wb-muted")
    return indicator_table(checkup, lang, dimension, only=wanted)


def _mappable(checkup: CheckupView, lang: str) -> list[tuple[str, str]]:
    seen: dict[str, str] = {}
    for row in in_order(checkup, level="district"):
        if not pd.isna(row["value"]):
            title = titles_of(definition_of(checkup, row["indicator"]), lang, row["indicator"])
            seen.setdefault(row["indicator"], title)
    return [(title, indicator) for indicator, title in seen.items()]


def _first_mapped(checkup: CheckupView, indicators: list[str]) -> str:
    """First indicator whose printed values differ between most districts, else the first."""
    for indicator in indicators:
        rows = [row for row in in_order(checkup, level="district") if row["indicator"] == indicator]
        printed = {
            round(float(row["value"]), int(row["decimals"] or 0)) for row in rows if not pd.isna(row["value"])
        }
        if len(printed) > len(rows) / 2:
            return indicator
    return indicators[0]


def checkup_dashboard(checkup: CheckupView, lang: str = "zh") -> Any:
    """The whole dashboard of a checkup as one widget.

    Parameters
    ----------
    checkup : Checkup
        City, year, values and findings; nothing is computed here.
    lang : {"zh", "en"}
        Language.

    Returns
    -------
    ipywidgets.VBox
    """
    import ipywidgets as widgets

    top = widgets.HTML(css() + header(checkup, lang) + cards(checkup, lang))
    two = widgets.HBox([_list_panel(checkup, lang), _map_panel(checkup, lang)])
    two.add_class("wb-two")
    two.layout = widgets.Layout(align_items="stretch", margin="0 0 16px 0", overflow="visible")
    whole = widgets.VBox([top, two, _table_panel(checkup, lang)])
    whole.layout = widgets.Layout(overflow="visible")
    whole.add_class("wb-dash")
    return whole


def _boxed(children: list[Any], width: str) -> Any:
    import ipywidgets as widgets

    box = widgets.VBox(children, layout=widgets.Layout(width=width, overflow="visible"))
    box.add_class("wb-panel")
    return box


def _title(key: str, lang: str) -> Any:
    import ipywidgets as widgets

    return widgets.HTML(element("h2", plain(key, lang)))


def _list_panel(checkup: CheckupView, lang: str) -> Any:
    import ipywidgets as widgets

    from workbench.dashboard.controls import all_option, choice

    shown = widgets.HTML(red_list(checkup, lang))

    def narrow(code: str | None) -> None:
        shown.value = red_list(checkup, lang, code)

    options = [all_option(lang), *((name, code) for code, name in district_names(checkup).items())]
    pick = choice(plain("dashboard.pick_district", lang), options, narrow, width="98%")
    panel = _boxed([_title("dashboard.red_list", lang), pick, shown], "34%")
    panel.layout.margin = "0 16px 0 0"
    return panel


def _map_panel(checkup: CheckupView, lang: str) -> Any:
    import ipywidgets as widgets

    from workbench.dashboard.controls import all_option, choice, switches
    from workbench.dashboard.map_panel import MapPanel

    made = MapPanel(checkup, lang)
    options = _mappable(checkup, lang)
    row: list[Any] = []
    if options:
        row.append(
            choice(
                plain("dashboard.pick_indicator", lang),
                options,
                made.show_indicator,
                value=_first_mapped(checkup, [indicator for _, indicator in options]),
                width="330px",
            )
        )
        made.show_indicator(row[0].value)
    districts = [all_option(lang), *((name, code) for code, name in district_names(checkup).items())]
    row.append(choice(plain("dashboard.pick_district", lang), districts, made.focus, width="200px"))
    names = {name: plain(f"dashboard.layer_{name}", lang) for name in made.LAYERS}
    layers = switches(names, made.visible, made.toggle)
    top = widgets.HBox(row, layout=widgets.Layout(flex_flow="row wrap"))
    below = widgets.HBox([made.legend, made.info], layout=widgets.Layout(justify_content="space-between"))
    return _boxed([_title("dashboard.map", lang), top, layers, made.map, below], "66%")


def _table_panel(checkup: CheckupView, lang: str) -> Any:
    import ipywidgets as widgets

    from workbench.dashboard.controls import all_option, choice, search

    state: dict[str, Any] = {"dimension": None, "level": None, "words": ""}
    shown = widgets.HTML(filtered_table(checkup, lang))
    shown.add_class("wb-table-box")

    def change(name: str, value: Any) -> None:
        state[name] = value
        shown.value = filtered_table(checkup, lang, **state)

    present = list(dict.fromkeys(row["dimension"] for row in in_order(checkup)))
    dimensions = [all_option(lang), *((dimension_label(name, lang), name) for name in present)]
    levels = [
        all_option(lang),
        *((plain(f"level.{n if n >= 0 else 'none'}", lang), n) for n in (4, 3, 2, 1, 0, -1)),
    ]
    controls = widgets.HBox(
        [
            choice(
                plain("dashboard.pick_dimension", lang),
                dimensions,
                lambda v: change("dimension", v),
                width="200px",
            ),
            choice(plain("dashboard.pick_level", lang), levels, lambda v: change("level", v), width="200px"),
            search(lang, lambda v: change("words", v)),
        ],
        layout=widgets.Layout(flex_flow="row wrap"),
    )
    return _boxed([_title("dashboard.indicators", lang), controls, shown], "auto")
