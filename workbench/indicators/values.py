"""The value table: one row a number, with what it is, where it comes from, and why it is missing when it is."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.core.errors import ParameterError

COLUMNS: dict[str, str] = {
    "value_id": "str",
    "indicator": "str",
    "city": "str",
    "level": "str",
    "zone": "str",
    "zone_name": "str",
    "year": "int64",
    "scenario": "str",
    "edition": "str",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "unit": "str",
    "decimals": "int64",
    "denominator": "str",
    "denominator_en": "str",
    "denominator_value": "float64",
    "tier": "str",
    "data_date": "str",
    "reason": "str",
    "reason_zh": "str",
    "reason_en": "str",
    "sensitivity": "str",
    "definition_version": "str",
    "inputs_hash": "str",
    "code_version": "str",
    "run_id": "str",
    "basis": "str",
}
"""Columns and their types. ``basis`` says how the number came about: method and formula of an indicator, what a
derived row counts, the document of a target."""
LEVELS = ("city", "district", "unit", "plot", "case", "report", "target")
TIERS = ("statutory", "substitute", "proxy", "derived", "target", "")
SENSITIVITY = ("公开", "内部", "敏感")
OBSERVED = "observed"


def value_id(
    city: str,
    indicator: str,
    level: str,
    zone: str,
    year: int,
    scenario: str = OBSERVED,
    edition: str = "latest",
) -> str:
    """Stable name of a number: the same place, year, scenario and edition give the same id in every run.

    Examples
    --------
    >>> value_id("demo", "TJ-A11", "city", "demo", 2025)
    'vcwunm5y2m7'
    """
    text = json.dumps([city, indicator, level, zone, int(year), scenario, edition], ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).digest()
    return "v" + base64.b32encode(digest).decode()[:10].lower()


def highest_sensitivity(levels: Iterable[str]) -> str:
    """The strictest of some sensitivity levels; 公开 when there is none.

    Examples
    --------
    >>> highest_sensitivity(["公开", "敏感", "内部"])
    '敏感'
    """
    return max(levels, key=SENSITIVITY.index, default="公开")


def table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A value table of rows; columns not given stay empty.

    Raises
    ------
    ParameterError
        A row has an unknown column, level or tier, or two rows have one id.
    """
    for row in rows:
        if unknown := sorted(set(row) - set(COLUMNS)):
            raise ParameterError("unknown columns in a value row", found=unknown, expected=list(COLUMNS))
    frame = pd.DataFrame([dict(row) for row in rows], columns=list(COLUMNS))
    for name, kind in COLUMNS.items():
        if kind == "str":
            frame[name] = frame[name].astype("object").where(frame[name].notna(), "").astype(str)
        elif kind == "int64":
            frame[name] = frame[name].fillna(0).astype("int64")
        else:
            frame[name] = frame[name].astype("float64")
    check(frame)
    return frame


def check(values: pd.DataFrame) -> None:
    """Refuse a table that breaks the schema.

    Raises
    ------
    ParameterError
        A column is missing, an id comes twice, a level or tier is unknown, a missing value has no reason.
    """
    if absent := [name for name in COLUMNS if name not in values]:
        raise ParameterError("columns are missing in the value table", expected=absent)
    for column, allowed in (("level", LEVELS), ("tier", TIERS)):
        if unknown := sorted(set(values[column]) - set(allowed)):
            raise ParameterError(
                f"unknown {column} in the value table", found=unknown, expected=", ".join(allowed)
            )
    twice = values.loc[values["value_id"].duplicated(), "value_id"].tolist()
    if twice:
        raise ParameterError("values with one id", where="value table", found=twice[:5])
    silent = values[values["value"].isna() & (values["reason"] == "")]
    if len(silent):
        raise ParameterError(
            "missing values without a reason", found=silent["indicator"].unique().tolist()[:5]
        )


def derived(
    name: str,
    value: float,
    *,
    city: str,
    year: int,
    unit: str = "count",
    decimals: int = 0,
    level: str = "report",
    zone: str = "",
    zone_name: str = "",
    scenario: str = OBSERVED,
    edition: str = "latest",
    tier: str = "derived",
    basis: str = "",
    sensitivity: str = "公开",
    inputs_hash: str = "",
    code_version: str = "",
    run_id: str = "",
    reason: tuple[str, str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Row of a number that is made from other rows: a count, the area of a case, a target.

    Parameters
    ----------
    name : str
        ``report.*``, ``case.*``, or the id of the indicator a target is for.
    value : float
        The number in ``unit``; NaN with a ``reason`` when there is none.
    basis : str
        How it was made, in words a reader of a trace understands.
    reason : (code, zh, en), optional
        Why there is no value.
    **more
        Other columns of the value table.

    Returns
    -------
    dict
        For :func:`table`.

    Examples
    --------
    >>> row = derived("report.cases", 3, city="demo", year=2025, basis="findings of spatial conflict")
    >>> table([row])[["indicator", "level", "tier", "value"]].values.tolist()
    [['report.cases', 'report', 'derived', 3.0]]
    """
    code, zh, en = reason or ("", "", "")
    if math.isnan(value) and not code:
        raise ParameterError("a derived row without a value needs a reason", where=name)
    return {
        "value_id": value_id(city, name, level, zone, year, scenario, edition),
        "indicator": name,
        "city": city,
        "level": level,
        "zone": zone,
        "zone_name": zone_name,
        "year": year,
        "scenario": scenario,
        "edition": edition,
        "value": float(value),
        "unit": unit,
        "decimals": decimals,
        "tier": tier,
        "reason": code,
        "reason_zh": zh,
        "reason_en": en,
        "sensitivity": sensitivity,
        "inputs_hash": inputs_hash,
        "code_version": code_version,
        "run_id": run_id,
        "basis": basis,
        **more,
    }
