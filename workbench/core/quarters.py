"""Quarters of a calendar year: their days, their names, and which one a report is about when nobody says."""

from __future__ import annotations

from datetime import date

import pandas as pd

QUARTERS = (1, 2, 3, 4)
_ZH = "一二三四"


def bounds(year: int, quarter: int) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last day of a quarter; of the whole year for quarter 0.

    Examples
    --------
    >>> [str(day.date()) for day in bounds(2025, 3)], [str(day.date()) for day in bounds(2025, 0)]
    (['2025-07-01', '2025-09-30'], ['2025-01-01', '2025-12-31'])
    """
    start = pd.Timestamp(year, 3 * quarter - 2 if quarter else 1, 1)
    return start, start + pd.DateOffset(months=3 if quarter else 12) - pd.Timedelta(days=1)


def quarter_label(year: int, quarter: int, lang: str) -> str:
    """Name of a quarter as a title says it; of the year alone for quarter 0.

    Examples
    --------
    >>> quarter_label(2025, 3, "zh"), quarter_label(2025, 3, "en"), quarter_label(2025, 0, "zh")
    ('2025年第三季度', '2025, third quarter', '2025')
    """
    if not quarter:
        return str(year)
    if lang == "zh":
        return f"{year}年第{_ZH[quarter - 1]}季度"
    return f"{year}, {('first', 'second', 'third', 'fourth')[quarter - 1]} quarter"


def years_label(year: int, years: int, lang: str) -> str:
    """Name of a period of years that ends with a year, as a title says it.

    Examples
    --------
    >>> years_label(2025, 5, "zh"), years_label(2025, 5, "en")
    ('2021—2025年', '2021–2025')
    """
    first = year - years + 1
    return f"{first}—{year}年" if lang == "zh" else f"{first}–{year}"


def default_quarter(year: int, today: date | None = None) -> int:
    """Quarter of today in a year that is going on; the last one of a year that is over or still to come.

    Examples
    --------
    >>> default_quarter(2025, date(2025, 8, 2)), default_quarter(2025, date(2026, 2, 1))
    (3, 4)
    """
    now = today or date.today()
    return (now.month + 2) // 3 if now.year == year else QUARTERS[-1]
