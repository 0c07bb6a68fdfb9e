"""The dashboard of a checkup: header, cards by dimension, red list, map, table of indicators with filters."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.dashboard.about import about, counted_once, meaning, report_line, same_place
from workbench.dashboard.map_layers import names_of_districts
from workbench.views import style
from workbench.views.cartography import sources_note
from workbench.views.cells import change_text, level_chip, role_label, titles_of, word
from workbench.views.html import Html, element, join
from workbench.views.numbers import find, num_of, records
from workbench.views.rows import (
    DIMENSIONS,
    cases_of,
    definition_of,
    in_order,
    warnings_of,
    worst_levels,
    zone_word,
)
from workbench.views.tables import indicator_table
from workbench.views.text import dimension_label, exempt, mark, plain, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

DEMO = "demo"
"""Name of the generated city; its dashboard says so."""
LISTED = 300
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
    body += element("div", join(chips), css="chips")
    return element("div", body, {"style": f"border-top-color:{colour}"}, css="wb-card")


def case_card(checkup: CheckupView, lang: str) -> Html:
    """Suspected places, each counted once, how many of each level; empty where no line could be checked."""
    count = find(checkup, "report.cases", level="report", zone="all", year=checkup.year)
    if count is None or pd.isna(count["value"]):
        return Html("")
    chips = []
    for level in (4, 3, 2):
        words, number = _report_number(checkup, f"cases_{level}", "all", lang)
        if number:
            text = Html(f"{plain(f'level.{level}', lang)} {words}")
            chips.append(element("span", text, css=f"chip level-{level}"))
    unpermitted, _ = _report_number(checkup, "cases_open", "all", lang)
    body = element("div", plain("dashboard.cases", lang), css="name")
    body += element(
        "div", num_of(count, lang=lang) + element("small", plain("dashboard.places", lang)), css="big"
    )
    body += element("div", Html(f"{plain('dashboard.places_open', lang)} {unpermitted}"), css="rest")
    body += element("div", join(chips) if chips else Html("&nbsp;"), css="chips")
    return element("div", body, {"style": f"border-top-color:{style.LEVEL_COLOURS[4]}"}, css="wb-card cases")


def cards(checkup: CheckupView, lang: str) -> Html:
    """Cards of the total, of the dimensions, and of the suspected places."""
    names = [
        name for name in ("all", *DIMENSIONS) if find(checkup, "report.computed", level="report", zone=name)
    ]
    return element(
        "div",
        join([*(card(checkup, name, lang) for name in names), case_card(checkup, lang)]),
        css="wb-cards",
    )


def red_list(checkup: CheckupView, lang: str, district: str | None = None, kind: str | None = None) -> Html:
    """Warnings on indicators and suspected patches, worst first.

    Parameters
    ----------
    checkup : Checkup
        Values and findings.
    lang : {"zh", "en"}
        Language.
    district : str, optional
        Code of a district, to narrow the list to it.
    kind : {"indicator", "case"}, optional
        Only warnings on indicators, or only patches.
    """
    items: list[tuple[int, Html]] = []
    if kind != "case":
        items += _warning_items(checkup, lang, district)
    if kind != "indicator":
        items += _case_items(checkup, lang, district)
    items.sort(key=lambda item: -item[0])
    if not items:
        return element("div", plain("dashboard.empty", lang), css="wb-muted")
    shown = [item for _, item in items[:LISTED]]
    if len(items) > LISTED:
        shown.append(element("div", plain("dashboard.more", lang), css="wb-muted"))
    once = counted_once(checkup, lang) if district is None and kind != "indicator" else Html("")
    return element("div", once + join(shown), css="wb-list")


def _item(
    level: int, what: Html, amount: Html, more: list[Html], *, pick: str, hint: str, lang: str
) -> tuple[int, Html]:
    """One entry; ``pick`` names what a click on it chooses."""
    head = element("span", what, css="what") + element("span", amount, css="amount")
    below = element("div", join([m for m in more if m], " · "), css="more")
    body = element("div", element("div", head, css="head") + below, css="body")
    about = {"data-pick": pick, "tabindex": 0, "role": "button", "title": hint or None}
    return level, element("div", level_chip(level, lang) + body, about, css="wb-item")


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
        message = row.get(f"message_{lang}")
        more = [
            mark(place),
            mark(str(message).rstrip("。.")) if message and not pd.isna(message) else Html(""),
        ]
        amount = num_of(value, lang=lang, unit=True) if value else Html("")
        what = mark(titles_of(definition_of(checkup, indicator), lang, indicator))
        clause = row.get("clause")
        hint = meaning(checkup, indicator, lang)
        if clause and not pd.isna(clause):
            hint += f"\n{plain('column.clause', lang)}{'：' if lang == 'zh' else ': '}{clause}"
        items.append(
            _item(int(row["level"]), what, amount, more, pick=f"indicator:{indicator}", hint=hint, lang=lang)
        )
    return items


def _case_items(checkup: CheckupView, lang: str, district: str | None) -> list[tuple[int, Html]]:
    values = checkup.values
    areas = {str(row["zone"]): row for row in records(values[values["indicator"] == "case.mu"])}
    names = names_of_districts(checkup, lang)
    elsewhere = same_place(checkup, lang)
    items = []
    for row in records(cases_of(checkup)):
        if int(row["level"]) < 2 or (district is not None and str(row.get("district")) != district):
            continue
        area = areas.get(str(row["finding_id"]))
        line, change = role_label(str(row["line"]), lang), change_text(row, lang)
        more = [
            mark(names.get(str(row.get("district")), "")),
            mark(change),
            mark(word("permit", row.get("permit_state"), lang)),
            exempt(row["finding_id"]),
            elsewhere.get(str(row["finding_id"]), Html("")),
        ]
        what = mark(f"{line} · {plain('dashboard.pick_cases', lang)}")
        amount = num_of(area, lang=lang, unit=True) if area else Html("")
        pick = f"case:{row['finding_id']}"
        hint = plain("dashboard.list_hint", lang)
        items.append(_item(int(row["level"]), what, amount, more, pick=pick, hint=hint, lang=lang))
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
    return _explained(indicator_table(checkup, lang, dimension, only=wanted), checkup, lang)


def _explained(made: Html, checkup: CheckupView, lang: str) -> Html:
    """The table with its titles ready to be picked, the definition in their tooltips."""

    def title(hit: re.Match[str]) -> str:
        indicator = html.unescape(hit[1])
        about_it = {
            "data-pick": f"indicator:{indicator}",
            "tabindex": 0,
            "role": "button",
            "title": meaning(checkup, indicator, lang),
        }
        return str(element("span", Html(""), about_it, css="title")).removesuffix("</span>")

    return Html(re.sub(r'<span class="title" title="([^"]*)">', title, made))


def _mappable(checkup: CheckupView, lang: str) -> list[tuple[str, str]]:
    seen: dict[str, str] = {}
    for row in in_order(checkup, level="district"):
        if not pd.isna(row["value"]):
            title = titles_of(definition_of(checkup, row["indicator"]), lang, row["indicator"])
            seen.setdefault(row["indicator"], title)
    return [(title, indicator) for indicator, title in seen.items()]


def _first_mapped(checkup: CheckupView, indicators: list[str]) -> str:
    """The indicator a page opens with: the worst whose printed values differ between most districts, else the first."""
    levels = worst_levels(checkup)
    by_id: dict[str, list[dict[str, Any]]] = {}
    for row in in_order(checkup, level="district"):
        by_id.setdefault(row["indicator"], []).append(row)
    for indicator in sorted(indicators, key=lambda one: -levels.get(one, -1)):
        rows = by_id[indicator]
        printed = {
            round(float(row["value"]), int(row["decimals"] or 0)) for row in rows if not pd.isna(row["value"])
        }
        if len(printed) > len(rows) / 2:
            return indicator
    return indicators[0]


def first_view(checkup: CheckupView, lang: str) -> Html:
    """What a visitor reads while the map is being made: the same header, cards, list and table, without controls."""
    red = _section("dashboard.red_list", lang, red_list(checkup, lang), css="wb-left")
    waiting = element("div", plain("dashboard.preparing", lang), css="wb-map wb-waiting")
    pictured = _section("dashboard.map", lang, waiting, css="wb-right")
    rows = element("div", filtered_table(checkup, lang), css="wb-table-box")
    foot = element("div", report_line(checkup, lang), css="wb-foot")
    below = _section("dashboard.indicators", lang, rows + foot, css="wb-below")
    two = element("div", red + pictured, css="wb-two")
    return element("div", css() + header(checkup, lang) + cards(checkup, lang) + two + below, css="wb-dash")


def _section(key: str, lang: str, content: Html, *, css: str) -> Html:
    return element("div", element("h2", plain(key, lang)) + content, css=f"wb-panel {css}")


def rehearse(folder: str, lang: str) -> None:
    """Make a dashboard of a saved checkup once and drop it, so that the next one is made quickly."""
    import ipywidgets as widgets

    from workbench.evaluation.checkup import Checkup

    checkup_dashboard(Checkup.read(folder), lang)
    widgets.Widget.close_all()


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
    pick = widgets.Text(continuous_update=True, layout={"display": "none"})
    pick.add_class("wb-pick")
    right, show = _map_panel(checkup, lang)
    pick.observe(lambda change: show(str(change["new"])), names="value")
    two = widgets.HBox([_list_panel(checkup, lang), right])
    two.add_class("wb-two")
    whole = widgets.VBox([top, two, _table_panel(checkup, lang), pick])
    whole.add_class("wb-dash")
    return whole


def _boxed(children: list[Any], css: str) -> Any:
    import ipywidgets as widgets

    box = widgets.VBox(children)
    box.add_class("wb-panel")
    box.add_class(css)
    return box


def _title(key: str, lang: str, hint: str = "") -> Any:
    import ipywidgets as widgets

    note = element("small", plain(hint, lang)) if hint else Html("")
    return widgets.HTML(element("h2", Html(f"{plain(key, lang)} {note}")))


def _row(children: list[Any]) -> Any:
    import ipywidgets as widgets

    row = widgets.HBox(children)
    row.add_class("wb-controls")
    return row


def _district_options(checkup: CheckupView, lang: str) -> list[tuple[str, Any]]:
    from workbench.dashboard.controls import all_option

    names = names_of_districts(checkup, lang)
    return [all_option(lang), *((name, code) for code, name in names.items())]


def _list_panel(checkup: CheckupView, lang: str) -> Any:
    import ipywidgets as widgets

    from workbench.dashboard.controls import all_option, choice

    shown = widgets.HTML(red_list(checkup, lang))
    shown.add_class("wb-scroll")
    state: dict[str, str | None] = {"district": None, "kind": None}

    def narrow(name: str, value: str | None) -> None:
        state[name] = value
        shown.value = red_list(checkup, lang, state["district"], state["kind"])

    kinds = [
        all_option(lang),
        (plain("dashboard.kind_indicator", lang), "indicator"),
        (plain("dashboard.cases", lang), "case"),
    ]
    where = choice(
        zone_word(checkup, lang),
        _district_options(checkup, lang),
        lambda code: narrow("district", code),
        width="50%",
    )
    kind = choice(plain("dashboard.kind", lang), kinds, lambda chosen: narrow("kind", chosen), width="50%")
    title = _title("dashboard.red_list", lang, "dashboard.list_hint")
    return _boxed([title, _row([where, kind]), shown], "wb-left")


def _map_panel(checkup: CheckupView, lang: str) -> tuple[Any, Callable[[str], None]]:
    """The map with its controls, and the function that answers a pick (``case:…#n`` or ``indicator:…#n``)."""
    import ipywidgets as widgets

    from workbench.dashboard.controls import choice, switches
    from workbench.dashboard.map_panel import MapPanel

    made = MapPanel(checkup, lang)
    told = widgets.HTML()
    options = _mappable(checkup, lang)
    row: list[Any] = []
    known = {indicator for _, indicator in options}
    if options:
        first = _first_mapped(checkup, [indicator for _, indicator in options])
        label = plain("dashboard.pick_indicator", lang)

        def chosen(indicator: str) -> None:
            made.show_indicator(indicator)
            told.value = about(checkup, indicator, lang)
            buttons["fill"].value = True

        row.append(choice(label, options, chosen, value=first, width="360px"))
        made.show_indicator(first)
        told.value = about(checkup, first, lang)
    label = zone_word(checkup, lang)
    row.append(choice(label, _district_options(checkup, lang), made.focus, width="190px"))
    names = {name: plain(f"dashboard.layer_{name}", lang) for name in made.LAYERS}
    hides = {"fill": ("land_use", "lines"), "land_use": ("fill",), "lines": ("fill",)}

    def toggle(name: str, on: bool) -> None:
        made.toggle(name, on)
        for other in hides.get(name, ()) if on else ():  # one would cover the other
            buttons[other].value = False

    layers, buttons = switches(names, made.visible, toggle)

    def show(picked: str) -> None:
        kind, _, rest = picked.partition(":")
        name = rest.rpartition("#")[0]
        if kind == "case" and made.show_case(name):
            buttons["cases"].value = True
        elif kind == "indicator":
            if name in known:
                row[0].value = name
                buttons["fill"].value = True
            if words := about(checkup, name, lang, unfolded=True):
                told.value = words

    notes = sources_note(checkup, [("districts", None), ("land_use", checkup.year)], lang)
    foot = widgets.HTML(element("div", mark((". " if lang == "en" else "；").join(notes)), css="wb-foot"))
    title = _title("dashboard.map", lang)
    stage = widgets.HBox([made.map, made.legend])
    stage.add_class("wb-stage")
    return _boxed([title, _row([*row, layers]), told, stage, foot], "wb-right"), show


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
    controls = [
        choice(
            plain("dashboard.pick_dimension", lang),
            dimensions,
            lambda v: change("dimension", v),
            width="200px",
        ),
        choice(plain("dashboard.pick_level", lang), levels, lambda v: change("level", v), width="200px"),
        search(lang, lambda v: change("words", v)),
    ]
    title = _title("dashboard.indicators", lang, "dashboard.table_hint")
    foot = widgets.HTML(element("div", report_line(checkup, lang), css="wb-foot"))
    return _boxed([title, _row(controls), shown, foot], "wb-below")
