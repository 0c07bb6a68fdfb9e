"""Filled-in figures behind values: which values rest on them, and in which sheet, department and cell they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from workbench.catalog import fill_ins
from workbench.indicators import lacking
from workbench.indicators.changes import city_library


def filled_rows(data: Any, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the filled-in table that a value rests on; none for a value of layers and yearbooks alone.

    Parameters
    ----------
    data : CityData
        Layers of the city.
    row : mapping
        Row of the value table.
    """
    table = _filled(data)
    definition = city_library(data.city).get(str(row["indicator"])) if len(table) else None
    if definition is None:
        return []
    at = str(row.get("basis") or "").partition(":")[0]
    method = definition.methods[int(at) - 1 if at.isdigit() and 0 < int(at) <= len(definition.methods) else 0]
    if "statistics" not in method.inputs:
        return []
    zones = {str(row["zone"])} | ({"city"} if row["level"] == "city" else set())
    of_it = table["item"].isin(lacking.items_of(method)) & (table["year"] == int(row["year"]))
    found = table[of_it & table["zone"].isin(zones)].to_dict("records")
    return [{str(key): value for key, value in one.items()} for one in found]


def _filled(data: Any) -> pd.DataFrame:
    """Filled-in figures that count: those the statistics themselves do not have."""
    if not data.has("statistics") or data.years("statistics"):
        return pd.DataFrame()
    table = data.table("statistics")
    if "department" not in table:
        return pd.DataFrame()
    found: pd.DataFrame = table[table["edition"] == fill_ins.EDITION]
    return found


def provenance(data: Any, row: Mapping[str, Any]) -> list[str]:
    """Where filled-in figures behind a value stand: 填报表, department, file, cell; empty when none stands behind it.

    Parameters
    ----------
    data : CityData
        Layers of the city.
    row : mapping
        Row of the value table.
    """
    return [
        f"填报表 {one['source_file']}, {one['department']}, cell {one['cell']}: {one['item']} = {one['value']:.12g} {one['unit']}"
        for one in filled_rows(data, row)
    ]


def filled_indicators(data: Any, rows: pd.DataFrame) -> set[str]:
    """Indicators of some rows whose value rests on a filled-in figure."""
    if not len(_filled(data)):
        return set()
    valued = rows[rows["value"].notna()]
    return {
        str(row["indicator"])
        for row in valued.to_dict("records")
        if filled_rows(data, {str(key): value for key, value in row.items()})
    }
