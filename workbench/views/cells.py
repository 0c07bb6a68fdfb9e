"""What stands in the cells of a table: chips, tiers, arrows, names; and the table itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.core.codes import survey_codes
from workbench.views.html import Html, element, join
from workbench.views.numbers import num_of
from workbench.views.style import LAND_GROUPS
from workbench.views.text import exempt, has, mark, plain, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView


Compared = tuple[Mapping[str, Any] | None, Sequence[Mapping[str, Any] | None]]
"""A row of the value table and those that add up to it."""


def rounding_note(compared: Iterable[Compared], lang: str) -> Html | None:
    """Note below a table in which printed numbers do not add up in their last digit; None where all of them do.

    Parameters
    ----------
    compared : iterable of (row, rows)
        Numbers of the table, and those that make each up: last year's value and the change, parts and their sum.
    lang : {"zh", "en"}
        Language.
    """
    for whole, parts in compared:
        if whole is None or any(part is None for part in parts):
            continue
        rows = [whole, *(part for part in parts if part is not None)]
        if any(pd.isna(row["value"]) for row in rows):
            continue
        shown = [round(float(row["value"]), int(row.get("decimals") or 0)) for row in rows]
        if abs(shown[0] - sum(shown[1:])) > 10.0 ** -max(int(row.get("decimals") or 0) for row in rows) / 2:
            return t("note.rounding", lang)
    return None


def level_chip(level: object, lang: str) -> Html:
    """Warning level as a coloured chip with its word; missing data is a chip of its own.

    Examples
    --------
    >>> level_chip(4, "zh")
    '<span class="chip level-4">严重</span>'
    """
    if level is None or pd.isna(level):  # type: ignore[call-overload]
        return Html("")
    number = int(level)  # type: ignore[call-overload]
    name = str(number) if number >= 0 else "none"
    return element("span", plain(f"level.{name}", lang), css=f"chip level-{name}")


def tier_label(tier: object, lang: str) -> Html:
    """Data tier as a framed word (法定, 替代, 代理)."""
    name = "" if tier is None or pd.isna(tier) else str(tier)  # type: ignore[call-overload]
    if not has(f"tier.{name}"):
        return mark(name)
    return element("span", plain(f"tier.{name}", lang), css=f"tier {name}")


def change_cell(change: Mapping[str, Any], wanted: str | None, lang: str, *, steady: bool = False) -> Html:
    """Amount of change with an arrow; the word 改善 or 变差 where the direction has a meaning.

    Parameters
    ----------
    change : mapping
        Row of the value table with the change.
    wanted : {"up", "down", None}
        The good way; None when neither is.
    steady : bool
        The change is small enough to count as none: its amount is shown without a judgement.
    """
    if pd.isna(change["value"]):
        return num_of(change, lang=lang)
    rounded = round(float(change["value"]), int(change.get("decimals") or 0))
    way = "flat" if rounded == 0 else "up" if rounded > 0 else "down"
    if way == "flat":
        return element("span", plain("trend.flat", lang), css="trend flat")
    judged = "steady" if steady else "" if wanted is None else "good" if way == wanted else "bad"
    shown = num_of(change, lang=lang, sign=True)
    more = element("span", plain(f"trend.{judged}", lang), css="verdict") if judged else Html("")
    return element("span", Html(f"{shown} {more}".strip()), css=f"trend {way} {judged}".strip())


def trend_arrow(now: float, before: float, *, decimals: int, direction: str, lang: str) -> Html:
    """Direction of change as arrow and word; coloured good or bad only where the direction has a meaning."""
    difference = round(now, decimals) - round(before, decimals)
    way = "flat" if abs(difference) < 10.0**-decimals / 2 else "up" if difference > 0 else "down"
    wanted = {"higher_better": "up", "lower_better": "down"}.get(direction)
    judged = "" if way == "flat" or wanted is None else (" good" if way == wanted else " bad")
    return element("span", plain(f"trend.{way}", lang), css=f"trend {way}{judged}")


def table(
    headers: Sequence[tuple[object, str]],
    rows: Sequence[Sequence[object]],
    *,
    caption: Html,
    lang: str,
    css: str = "",
    row_css: Sequence[str] | None = None,
    row_sensitivity: Sequence[str] | None = None,
    note: Html | None = None,
) -> Html:
    """A table with caption, head and body.

    Parameters
    ----------
    headers : sequence of (text, class)
        Column title and the class of its cells: ``"number"``, ``"short"`` or ``""``; ``"row"`` makes row headings.
    rows : sequence of sequence
        Cells; text is escaped and its digits marked exempt, markup is kept.
    caption : Html
        Title above the table.
    lang : {"zh", "en"}
        Language of the line that stands in for no rows.
    css : str
        Further class names of the table.
    row_css : sequence of str, optional
        Class names of each row.
    row_sensitivity : sequence of str, optional
        Sensitivity of what the words of each row rest on; for rows that tell more than their numbers.
    note : Html, optional
        Line below the table.

    A row of a single cell is a heading across the table.
    """
    head = join(
        [
            element("th", mark(text), {"scope": "col"}, css="number" if kind == "number" else "")
            for text, kind in headers
        ]
    )
    lines: list[Html] = []
    for at, row in enumerate(rows):
        if len(row) == 1 and len(headers) > 1:
            heading = element("th", mark(row[0]), {"scope": "rowgroup", "colspan": len(headers)})
            lines.append(element("tr", heading, css="group"))
            continue
        cells = [
            element("th", mark(cell), {"scope": "row"})
            if kind == "row"
            else element("td", mark(cell), css=kind)
            for cell, (_, kind) in zip(row, headers, strict=True)
        ]
        levels = {"data-sensitivity": (row_sensitivity[at] or None) if row_sensitivity else None}
        lines.append(element("tr", join(cells), levels, css=row_css[at] if row_css else ""))
    if not lines:
        empty = element("td", plain("common.none_listed", lang), {"colspan": len(headers)})
        lines.append(element("tr", empty))
    body = element("thead", element("tr", head)) + element("tbody", join(lines))
    made = element("table", element("caption", caption) + body, css=f"wb-table {css}".strip())
    return Html(made + element("p", note, css="wb-note")) if note else made


def value_cell(row: Mapping[str, Any] | None, lang: str, *, unit: bool = False) -> Html:
    """Markup of a row of the value table; empty without a row."""
    return num_of(row, lang=lang, unit=unit) if row is not None else Html("")


def word(group: str, value: object, lang: str) -> str:
    """Word for a code of a group of texts (``permit``, ``status`` …); the code itself where there is none."""
    text = "" if value is None or pd.isna(value) else str(value)  # type: ignore[call-overload]
    return plain(f"{group}.{text}", lang) if text and has(f"{group}.{text}") else text


def cited(source: object, lang: str) -> Html:
    """Source of a setting in the reader's language; a city's own words as they are. Its digits are no results.

    Examples
    --------
    >>> cited("own", "zh")
    '<span class="x">自拟</span>'
    """
    return exempt(word("cited", source, lang))


def sure(confidence: str, lang: str) -> Html:
    """How sure a setting is, piece by piece, in the reader's language; a city's own words as they are.

    Examples
    --------
    >>> sure("minutes:own; metres:from-memory", "zh")
    '<span class="x">时间自拟；半径未见原文，待核对</span>'
    """
    pieces = [word("sure", piece, lang) for piece in confidence.split("; ")]
    return exempt(("；" if lang == "zh" else "; ").join(pieces))


def indicator_name(indicator: str, definition: Any, lang: str, *, code: bool = False) -> Html:
    """Title of an indicator, its code in a tooltip or, with ``code``, written small behind it."""
    title = element("span", mark(titles_of(definition, lang, indicator)), {"title": indicator}, css="title")
    return Html(f'{title} <span class="x code">{indicator}</span>') if code else title


def profile_text(checkup: CheckupView, text: object, lang: str) -> str:
    """Text of the city's profile (source, licence, holder) in the reader's language, where the profile gives it."""
    written = "" if text is None or (isinstance(text, float) and pd.isna(text)) else str(text)
    say = getattr(checkup.city, "say", None)
    return str(say(written, lang)) if say else written


def titles_of(definition: Any, lang: str, fallback: str) -> str:
    """Title of a definition in the language; the id when the library has no such indicator."""
    return str(getattr(definition, f"title_{lang}", "") or fallback)


def judgement(row: Mapping[str, Any], title: str, lang: str) -> str:
    """What the rule said, without the indicator's title that stands beside it."""
    message = row.get(f"message_{lang}")
    text = "" if message is None or pd.isna(message) else str(message)
    return text.removeprefix(title).strip("：: ").rstrip("。.")


def role_label(role: str, lang: str) -> str:
    """Name of a layer role (``land_use`` → 国土调查图斑)."""
    return plain(f"role.{role}", lang) if has(f"role.{role}") else role


def line_label(line: str, lang: str) -> str:
    """Name of the line a patch lies on; patches on no line at all (cropland) have words of their own.

    Examples
    --------
    >>> line_label("flood_line", "zh"), line_label("land_use", "zh")
    ('洪涝风险控制线', '一般耕地（批准不全的占用）')
    """
    return plain("line_table.land_use", lang) if line == "land_use" else role_label(line, lang)


@cache
def _class_names() -> dict[str, tuple[str, str]]:
    codes = survey_codes()
    return {
        str(code): (str(zh), str(en))
        for code, zh, en in zip(codes["code"], codes["name_zh"], codes["name_en"], strict=True)
    }


def class_name(code: object, lang: str) -> str:
    """Name of a land survey class code; of its group where only that is known; else the code.

    Examples
    --------
    >>> class_name("0101", "zh"), class_name("01", "zh")
    ('水田', '耕地')
    """
    text = "" if code is None or pd.isna(code) else str(code)  # type: ignore[call-overload]
    if names := _class_names().get(text):
        return names[0] if lang == "zh" else names[1]
    for name, (_, prefix) in LAND_GROUPS.items():
        if text[:2] == prefix:
            return plain(f"land.{name}", lang)
    return text


def change_text(row: Mapping[str, Any], lang: str) -> str:
    """Class before → class after of a case."""
    before, after = class_name(row.get("before"), lang), class_name(row.get("after"), lang)
    return f"{before} → {after}" if before and after else before or after


def method_of(row: Mapping[str, Any], definition: Any) -> Any:
    """Method of the definition that gave a row of the value table; None when the row does not say."""
    place = str(row.get("basis") or "").partition(":")[0]
    methods = getattr(definition, "methods", ())
    return methods[int(place) - 1] if place.isdigit() and 0 < int(place) <= len(methods) else None


def with_tier(title: str, tier: object, lang: str) -> str:
    """Title with the word for its data tier in brackets where the data are not the statutory ones."""
    name = "" if tier is None or pd.isna(tier) else str(tier)  # type: ignore[call-overload]
    if name not in ("substitute", "proxy"):
        return title
    words = plain(f"tier.{name}", lang)
    return f"{title}（{words}）" if lang == "zh" else f"{title} ({words})"


def scope_label(definition: Any, lang: str, row: Mapping[str, Any] | None = None) -> str:
    """Name of the area a value is taken over (市域, 城区, 中心城区): the method's own where it differs."""
    method = method_of(row, definition) if row is not None and pd.notna(row["value"]) else None
    scope = str(getattr(method, "scope", None) or getattr(definition, "scope", "") or "")
    return plain(f"scope.{scope}", lang) if has(f"scope.{scope}") else scope


def localised(definition: Any, name: str, lang: str) -> str:
    """Field of a definition in the language; lists of layer roles by their names."""
    value = getattr(definition, f"{name}_{lang}", None) or getattr(definition, name, None)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return ("、" if lang == "zh" else ", ").join(role_label(str(item), lang) for item in value)


def whole(value: object) -> str:
    """Year or code without the decimals a column with gaps gives it."""
    return str(int(value)) if isinstance(value, float) else str(value)
