"""What the results of topics (life circles, suitability, structure) share: hashes and dates of their layers, tables written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from workbench.core.paths import atomic_write

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.city import City


def layer_hashes(data: CityData, city: City, roles: Iterable[str], *years: int) -> dict[str, str]:
    """Hash of each layer of each year, or why there is none, with those that bound the city, its zones and its ranges."""
    wanted = {*roles, "boundary", "districts", "scopes", *(level.role for level in city.levels.values())}
    wanted |= set(city.scopes.values()) & set(city.layers)
    found = {}
    for role in sorted(wanted):
        for of in sorted(set(years)) if data.years(role) else [None]:
            there = data.has(role, of)
            state = data.source(role, of).sha256 if there else str(data.why_missing(role, of))
            found[role if of is None else f"{role}-{of}"] = state
    return found


def newest_date(data: CityData, roles: Iterable[str], year: int) -> str:
    """Newest date of the layers there are; empty where there is none."""
    dates = []
    for role in roles:
        of = year if data.years(role) else None
        if data.has(role, of):
            dates.append(str(data.source(role, of).date))
    return max(dates, default="")


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Write each table as ``<name>.parquet`` into a folder, made where it is not there; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in tables.items():
        with atomic_write(folder / f"{name}.parquet") as path:
            table.to_parquet(path)
        written.append(folder / f"{name}.parquet")
    return written
