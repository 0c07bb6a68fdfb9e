"""How the values of a checkup came about: computed, substituted, reported or missing, by what they rest on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from workbench.indicators.indicator import BASES, Indicator
from workbench.indicators.library import load_library
from workbench.indicators.values import OBSERVED


def count_by_basis(
    values: pd.DataFrame,
    *,
    level: str = "city",
    year: int | None = None,
    library: Mapping[str, Indicator] | None = None,
    filled: Collection[str] = (),
) -> pd.DataFrame:
    """How the indicators of a value table came about: computed, substituted, reported and missing apart, by basis.

    Parameters
    ----------
    values : DataFrame
        Value table.
    level : str
        Zone level; an indicator counts as missing when none of its zones has a value.
    year : int, optional
        The latest year of observed values when not given.
    library : mapping, optional
        Definitions; the package's own when not given.
    filled : collection of str
        Indicators whose value rests on figures that departments filled in: reported, whatever the formula.

    Returns
    -------
    DataFrame[state, basis, count, indicators]
        ``state``: ``computed`` (statutory), ``substituted`` (substitute or proxy), ``reported`` (filled in as it stands),
        ``missing``. ``basis``: ``layers`` (geometry, rasters, networks), ``tables``, ``reported``; for a missing indicator
        that of the method that was tried first. ``indicators``: their ids.
    """
    known = load_library() if library is None else library
    rows = values[
        (values["level"] == level) & values["indicator"].isin(known) & (values["scenario"] == OBSERVED)
    ]
    if len(rows):
        rows = rows[rows["year"] == (int(rows["year"].max()) if year is None else year)]
    found: dict[tuple[str, str], list[str]] = {}
    for id_, zones in rows.groupby("indicator", sort=False):
        held = zones[zones["value"].notna()]
        one = (held if len(held) else zones).iloc[0]
        method = known[str(id_)].methods[int(str(one["basis"]).partition(":")[0]) - 1]
        state = _state(one, method.basis)
        state = "reported" if id_ in filled and state != "missing" else state
        found.setdefault((state, method.basis), []).append(str(id_))
    table = [
        {"state": state, "basis": basis, "count": len(found[state, basis]), "indicators": found[state, basis]}
        for state in STATES
        for basis in BASES
        if (state, basis) in found
    ]
    return pd.DataFrame(table, columns=["state", "basis", "count", "indicators"])


STATES = ("computed", "substituted", "reported", "missing")
"""What may become of an indicator."""


def _state(row: pd.Series[Any], basis: str) -> str:
    if pd.isna(row["value"]):
        return "missing"
    if basis == "reported":
        return "reported"
    return "substituted" if row["tier"] in {"substitute", "proxy"} else "computed"
