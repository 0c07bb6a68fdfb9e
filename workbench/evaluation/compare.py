"""Comparison with the own past: change on last year, and how much of it is real and how much is revised data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from workbench.evaluation.checkup import Checkup
from workbench.evaluation.derived import observed
from workbench.indicators.compute import compute

YEAR_ON_YEAR = [
    "indicator", "unit", "decimals", "value", "value_id", "last", "last_id", "change", "change_id", "change_pct",
    "change_pct_id", "verdict",
]  # fmt: skip
"""Columns of :func:`year_on_year`."""


def year_on_year(checkup: Checkup) -> pd.DataFrame:
    """Change of each indicator of the city on the year before.

    Parameters
    ----------
    checkup : Checkup
        Holds the values of the year before where the city has data for it.

    Returns
    -------
    DataFrame
        Columns :data:`YEAR_ON_YEAR`: values in the unit of the indicator with the ids of their rows in the value
        table; ``change_pct`` in percent of the absolute value of last year; ``verdict`` ``better``, ``worse``,
        ``same`` or ``""`` for neutral indicators. Indicators without either value are left out.
    """
    values = checkup.values
    now = observed(values, checkup.year).dropna(subset="value")
    last = observed(values, checkup.year - 1).dropna(subset="value").set_index("indicator")
    derived = values[values["level"] == "report"].drop_duplicates("indicator").set_index("indicator")
    rows = []
    for row in now.to_dict("records"):
        name = str(row["indicator"])
        if name not in last.index:
            continue
        change = derived.loc[f"report.change.{name}"]
        percent = derived.loc[f"report.change_pct.{name}"]
        rows.append(
            {
                "indicator": name,
                "unit": row["unit"],
                "decimals": row["decimals"],
                "value": row["value"],
                "value_id": row["value_id"],
                "last": last.at[name, "value"],
                "last_id": last.at[name, "value_id"],
                "change": change["value"],
                "change_id": change["value_id"],
                "change_pct": percent["value"],
                "change_pct_id": percent["value_id"],
                "verdict": _verdict(checkup, name, float(row["value"]) - float(str(last.at[name, "value"]))),
            }
        )
    return pd.DataFrame(rows, columns=YEAR_ON_YEAR)


def _verdict(checkup: Checkup, indicator: str, change: float) -> str:
    definition = checkup.definitions.get(indicator)
    direction = definition.direction if definition is not None else "neutral"
    sign = {"higher_better": 1.0, "lower_better": -1.0}.get(direction)
    if sign is None:
        ops = [target.op for target in checkup.city.targets if target.indicator == indicator]
        sign = {">=": 1.0, "<=": -1.0}.get(ops[0]) if ops else None
    if sign is None:
        return ""
    return "same" if change == 0 else "better" if sign * change > 0 else "worse"


def restated(checkup: Checkup, year: int, ids: Sequence[str], *, store: Any | None = None) -> pd.DataFrame:
    """Part the change since a year into revised data and real change.

    ``now - first published = (revised - first published) + (now - revised)``.

    Parameters
    ----------
    checkup : Checkup
        The later year.
    year : int
        The earlier year, whose data were revised.
    ids : sequence of str
        Indicators.
    store : optional
        Where layers come from; the checkup's own when not given.

    Returns
    -------
    DataFrame
        Index ``indicator``; ``unit, published, revised, now, total_change, revision, real_change`` in the unit of the
        indicator, computed with today's definition throughout; NaN where an edition does not exist.
    """
    layers = checkup.data if store is None else store
    published = _city_values(checkup, year, ids, "original", layers)
    revised = _city_values(checkup, year, ids, "latest", layers)
    now = _city_values(checkup, checkup.year, ids, "latest", layers)
    frame = pd.DataFrame(
        {
            "unit": now["unit"],
            "published": published["value"],
            "revised": revised["value"],
            "now": now["value"],
        }
    )
    frame["total_change"] = frame["now"] - frame["published"]
    frame["revision"] = frame["revised"] - frame["published"]
    frame["real_change"] = frame["now"] - frame["revised"]
    return frame


def _city_values(checkup: Checkup, year: int, ids: Sequence[str], edition: str, layers: Any) -> pd.DataFrame:
    rows = compute(checkup.city, year, ids, levels=("city",), edition=edition, store=layers)
    return rows.set_index("indicator")
