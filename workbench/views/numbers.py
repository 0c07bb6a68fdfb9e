"""Numbers as readers see them. Each is a row of the value table and carries its id."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Protocol

import pandas as pd

from workbench.core.errors import ParameterError
from workbench.views.html import Html, element
from workbench.views.text import mark, plain, unit_label

BARE = ("ratio",)
"""Units that are no words: a ratio is a number."""


class HasValues(Protocol):
    """Anything that carries a value table: a checkup, a run read back."""

    @property
    def values(self) -> pd.DataFrame:
        """The value table, one row a value."""
        ...


def table_of(source: HasValues | pd.DataFrame) -> pd.DataFrame:
    """The value table of a checkup, or the table itself."""
    return source if isinstance(source, pd.DataFrame) else source.values


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts, shapes left out."""
    plain_table = pd.DataFrame(table.drop(columns="geometry", errors="ignore"))
    return [{str(key): value for key, value in row.items()} for row in plain_table.to_dict("records")]


def format_number(value: float, decimals: int = 0, *, sign: bool = False) -> str:
    """A number with thousands separators and fixed decimals; a rounded zero has no sign.

    Examples
    --------
    >>> format_number(12345.678, 1), format_number(-0.01, 1), format_number(3, 0, sign=True)
    ('12,345.7', '0.0', '+3')
    """
    rounded = round(float(value), decimals)
    if rounded == 0:
        rounded = 0.0
    return f"{rounded:{'+' if sign and rounded else ''},.{decimals}f}"


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return (
        ""
        if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA
        else str(value)
    )


def reason_text(row: Mapping[str, Any], lang: str) -> str:
    """Why a value is missing, in words; empty when the row says nothing."""
    return _text(row, f"reason_{lang}") or _text(row, "reason")


def num_of(
    row: Mapping[str, Any],
    *,
    lang: str = "zh",
    unit: bool = False,
    sign: bool = False,
    difference: bool = False,
) -> Html:
    """Markup of one row of the value table (as dict or Series); see :func:`num`.

    With ``difference`` the row is the difference of two values, and that of two percentages is counted in points.
    """
    value_id = str(row["value_id"])
    value = row["value"]
    if value is None or pd.isna(value):
        return element(
            "span",
            plain("common.no_data", lang),
            {"data-v": value_id, "title": reason_text(row, lang) or None},
            css="num missing",
        )
    decimals = row.get("decimals")
    written = format_number(value, 0 if decimals is None or pd.isna(decimals) else int(decimals), sign=sign)
    name = _text(row, "unit")
    label = unit_label(name, lang) if unit and name not in BARE else ""
    if difference and label == "%":
        label = plain("common.points", lang)
    shown = element("span", written, {"data-v": value_id}, css="num")
    if not label:
        return shown
    times = "\u202f×" if label[:1].isdigit() else ""  # 23.28 × 10,000 mu
    return Html(shown + times + ("" if label == "%" else "\u202f") + mark(label))


def num(
    source: HasValues | pd.DataFrame,
    value_id: str,
    *,
    lang: str = "zh",
    unit: bool = False,
    sign: bool = False,
) -> Html:
    """A value of the table as a traceable number.

    Parameters
    ----------
    source : checkup or DataFrame
        Where the row is (columns ``value_id, value, decimals, unit, reason_zh, reason_en``).
    value_id : str
        Row to print.
    lang : {"zh", "en"}
        Language of unit and of 无数据.
    unit : bool
        Write the unit after the number.
    sign : bool
        Write a plus sign before a positive number.

    Returns
    -------
    Html
        ``<span class="num" data-v="v…">12.3</span>``; a missing value is 无数据 with the reason as title.

    Raises
    ------
    ParameterError
        The table has no such row.

    Examples
    --------
    >>> table = pd.DataFrame({"value_id": ["va"], "value": [1234.56], "decimals": [1], "unit": ["km2"]})
    >>> num(table, "va")
    '<span class="num" data-v="va">1,234.6</span>'
    """
    table = table_of(source)
    rows = table[table["value_id"] == value_id]
    if rows.empty:
        raise ParameterError("no such value in the value table", where="value_id", found=value_id)
    return num_of(records(rows.head(1))[0], lang=lang, unit=unit, sign=sign)


def find(
    source: HasValues | pd.DataFrame,
    indicator: str,
    *,
    level: str | None = None,
    zone: str | None = None,
    year: int | None = None,
) -> dict[str, Any] | None:
    """The row of an indicator as a dict, or None; the first where several years or editions fit.

    The newest year comes first when ``year`` is not given.
    """
    table = table_of(source)
    keep = table["indicator"] == indicator
    for column, wanted in (("level", level), ("zone", zone), ("year", year)):
        if wanted is not None:
            keep &= table[column] == wanted
    rows = table[keep]
    if rows.empty:
        return None
    if year is None and "year" in rows:
        rows = rows.sort_values("year", ascending=False, kind="stable")
    return records(rows.head(1))[0]


def num_at(
    source: HasValues | pd.DataFrame,
    indicator: str,
    *,
    level: str = "city",
    zone: str | None = None,
    year: int | None = None,
    lang: str = "zh",
    unit: bool = False,
    sign: bool = False,
) -> Html:
    """:func:`num` of an indicator at a place instead of a value id.

    Raises
    ------
    ParameterError
        The table has no such row.
    """
    row = find(source, indicator, level=level, zone=zone, year=year)
    if row is None:
        raise ParameterError(
            "the value table has no such row",
            where=indicator,
            found={"level": level, "zone": zone, "year": year},
        )
    return num_of(row, lang=lang, unit=unit, sign=sign)


def date_words(value: object, lang: str) -> str:
    """A date as a sentence writes it; empty for a missing one.

    Examples
    --------
    >>> date_words(pd.Timestamp("2024-05-01"), "zh"), date_words("2024-05-01", "en"), date_words(pd.NaT, "zh")
    ('2024年5月1日', '2024-05-01', '')
    """
    text = date_text(value)
    if lang != "zh" or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return text
    year, month, day = map(int, text.split("-"))
    return f"{year}年{month}月{day}日"


def date_text(value: object) -> str:
    """A date as ``YYYY-MM-DD``; empty for a missing one.

    Examples
    --------
    >>> date_text(pd.Timestamp("2024-05-01")), date_text(pd.NaT)
    ('2024-05-01', '')
    """
    if value is None or value is pd.NaT or (not isinstance(value, str) and pd.isna(value)):  # type: ignore[call-overload]
        return ""
    if isinstance(value, str):
        return value
    return pd.Timestamp(value).strftime("%Y-%m-%d")  # type: ignore[arg-type]
