"""The legend and the furniture of the dashboard's map, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from workbench.dashboard.map_layers import LINE_LOOKS
from workbench.views import style
from workbench.views.cells import role_label
from workbench.views.html import Html, element, join
from workbench.views.numbers import format_number
from workbench.views.text import mark, plain, unit_label

ARROW = (
    '<svg width="26" height="40" viewBox="0 0 26 40" aria-hidden="true"><path d="M13 12 4 37l9-6z" fill="#1f2933"/>'
    '<path d="M13 12l9 25-9-6z" fill="#fff" stroke="#1f2933" stroke-width="1"/>'
    '<text x="13" y="10" text-anchor="middle" font-size="11" font-weight="600" fill="#1f2933">{word}</text></svg>'
)


def north_arrow(lang: str) -> Html:
    """North arrow; a map in Mercator has north at the top everywhere."""
    return Html(f'<div class="wb-north">{ARROW.format(word=plain("map.north", lang))}</div>')


def _key(colour: str, words: object, *, css: str = "", edge: str = "") -> Html:
    look = f"background:{colour}" + (f";border-color:{edge}" if edge else "")
    swatch = element("span", "", {"style": look}, css=f"wb-swatch {css}".strip())
    return element("div", swatch + element("span", mark(words)), css="wb-key")


def classes(
    title: str, edges: Sequence[float] | Any, colours: Sequence[str], decimals: int, unit: str, lang: str
) -> Html:
    """Classes of the coloured indicator, from high to low."""
    shown = unit_label(unit, lang)
    head = element("div", mark(title), css="wb-key-title")
    if shown:
        head += element("div", mark(plain("common.unit", lang, unit=shown)), css="wb-key-unit")
    keys = [
        _key(
            colours[k],
            Html(
                f'<span class="x">{format_number(edges[k], decimals)} – {format_number(edges[k + 1], decimals)}</span>'
            ),
        )
        for k in range(len(colours) - 1, -1, -1)
    ]
    return element("div", head + join(keys), css="wb-key-group")


def no_values(title: str, lang: str) -> Html:
    """What stands in the legend for an indicator without values by district."""
    head = element("div", mark(title), css="wb-key-title")
    return element("div", head + element("div", plain("dashboard.no_value", lang)), css="wb-key-group")


def levels(present: Iterable[int], lang: str) -> Html:
    """Dots of the suspected patches by level, worst first."""
    head = element("div", plain("dashboard.cases", lang), css="wb-key-title")
    keys = [
        _key(style.LEVEL_COLOURS[level], plain(f"level.{level}", lang), css="dot")
        for level in sorted(set(present), reverse=True)
        if level in style.LEVEL_COLOURS
    ]
    return element("div", head + join(keys), css="wb-key-group")


def lines(roles: Iterable[str], lang: str) -> Html:
    """The control lines drawn."""
    keys = []
    for role in roles:
        edge, fill, _ = LINE_LOOKS[role]
        keys.append(_key(f"{fill}99", role_label(role, lang), edge=edge))
    return element("div", join(keys), css="wb-key-group")


def land(groups: Iterable[str], lang: str) -> Html:
    """The land groups drawn."""
    head = element("div", plain("dashboard.layer_land_use", lang), css="wb-key-title")
    keys = [_key(style.LAND_GROUPS[name][0], plain(f"land.{name}", lang)) for name in groups]
    return element("div", head + join(keys), css="wb-key-group")
