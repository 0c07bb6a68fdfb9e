"""Ledger and transmission as rows of a checkup's value table: every number of the books can be traced like any other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.core.errors import DataQualityError, LayerMissing
from workbench.evaluation import ledger as books
from workbench.evaluation import transmission as passing
from workbench.evaluation.quotas import INCREMENT, optional_quotas, zone_tree
from workbench.indicators.compute import compute
from workbench.indicators.values import table

if TYPE_CHECKING:
    from workbench.core.city import City

log = logging.getLogger(__name__)
Keep = Callable[[str, Callable[[], pd.DataFrame]], pd.DataFrame]
"""Makes a table, or takes it from a cache under a name."""
ValuesOf = Callable[[int, Sequence[str], Sequence[str]], pd.DataFrame]
"""Values of a year of indicators at some levels, computed or taken from a cache."""


def _made(name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    return make()


def account_values(
    city: City,
    data: Any,
    year: int,
    values: pd.DataFrame,
    *,
    keep: Keep = _made,
    values_of: ValuesOf | None = None,
    publish: bool = True,
) -> pd.DataFrame:
    """Rows to be added to a checkup's value table: balances, quotas, and the values quotas need below the districts.

    Parameters
    ----------
    city : City
        Profile.
    data : CityData
        Its layers.
    year : int
        Year of the checkup.
    values : DataFrame
        Value table of the year.
    keep : callable, optional
        Called with a name and a function that makes a table; may take it from a cache.
    values_of : callable, optional
        Gives the values quotas need below the districts, by year, indicators and levels; computed when not given.
    publish : bool
        Publish the ledger in the city's catalogue.

    Returns
    -------
    DataFrame
        A value table; no rows for a city that has neither quotas nor what a ledger needs.
    """
    parts = []
    ledger = _ledger(city, data, year, keep)
    if ledger is not None:
        parts.append(table(books.value_rows(city, ledger)))
        if publish:
            books.publish(city, ledger)
    if data.has("quotas"):
        parts += _transmission(city, data, year, values, values_of)
    return pd.concat(parts, ignore_index=True) if parts else table([])


def _ledger(city: City, data: Any, year: int, keep: Keep) -> books.Ledger | None:
    try:
        entries = keep("ledger", lambda: books.quota_ledger(city, data, year).entries)
    except LayerMissing:
        return None
    except DataQualityError as error:
        if data.has("quotas"):
            raise
        log.warning("no ledger of the development boundary: %s", error)  # nobody asked for one
        return None
    tree = zone_tree(city, data)
    quotas = optional_quotas(city, data, tree)
    assigned = quotas is not None and not quotas.in_force(INCREMENT, year).empty
    return books.Ledger(city.name, year, entries, tree, "quotas" if assigned else "boundary")


def _transmission(
    city: City, data: Any, year: int, values: pd.DataFrame, values_of: ValuesOf | None
) -> list[pd.DataFrame]:
    computed = values[(values["year"] == year) & ~values["tier"].isin(["target", "derived"])]
    known = set(zip(computed["indicator"], computed["level"], strict=True))
    wanted: dict[tuple[str, ...], list[str]] = {}
    for indicator, levels in passing.levels_needed(city, data).items():
        below = tuple(level for level in levels if (indicator, level) not in known)
        if below:
            wanted.setdefault(below, []).append(indicator)
    more = [
        compute(city, year, ids, levels=levels, store=data)
        if values_of is None
        else values_of(year, ids, levels)
        for levels, ids in wanted.items()
    ]
    more = [rows[rows["level"].isin(levels)] for rows, levels in zip(more, wanted, strict=True)]
    found = passing.transmission(city, pd.concat([values, *more], ignore_index=True), data=data, year=year)
    return [*more, table(passing.value_rows(city, found))]
