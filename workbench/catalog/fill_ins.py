"""Figures that departments filled in by hand: kept beside a city's built data, read as rows of the role ``statistics``.

A row says where its figure stands: department, file, sheet and cell. A figure of the statistics layer itself always
goes before a filled-in one of the same item, year and zone.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from workbench.catalog import manifest
from workbench.core.paths import atomic_write
from workbench.core.provenance import sha256_file, stable_hash

EDITION = "fill_in"
"""Edition of filled-in rows."""
COLUMNS = [
    "item",
    "year",
    "zone",
    "value",
    "unit",
    "edition",
    "department",
    "source_file",
    "cell",
    "note",
]
"""Columns of an accepted table: those of the role ``statistics``, and where the figure stands."""
_KEY = ["item", "year", "zone"]


def path_of(city_name: str, year: int) -> Path:
    """File of the figures filled in for a year."""
    return manifest.folder(city_name) / f"fill_in-{int(year)}.parquet"


def files(city_name: str) -> list[Path]:
    """Files of filled-in figures of a city, by year."""
    found = manifest.folder(city_name).glob("fill_in-*.parquet")
    return sorted(path for path in found if re.fullmatch(r"fill_in-\d{4}", path.stem))


def empty() -> pd.DataFrame:
    """A table without rows."""
    frame = pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    return frame.astype({"year": "Int64", "value": float})


def read(city_name: str) -> pd.DataFrame:
    """All filled-in figures of a city; no rows when there are none."""
    frames = [pd.read_parquet(path) for path in files(city_name)]
    return pd.concat(frames, ignore_index=True)[COLUMNS] if frames else empty()


def digest(city_name: str) -> str:
    """Hash of the filled-in figures of a city; ``""`` when there are none."""
    hashes = [[path.name, sha256_file(path)] for path in files(city_name)]
    return stable_hash(hashes) if hashes else ""


def keep(city_name: str, year: int, table: pd.DataFrame, *, departments: list[str]) -> Path:
    """Keep the figures of some departments for a year, whole or not at all; what they filled in before is replaced.

    Parameters
    ----------
    table : DataFrame
        Columns :data:`COLUMNS`.
    departments : list of str
        Departments whose sheets were read; figures of others stay.
    """
    target = path_of(city_name, year)
    before = pd.read_parquet(target)[COLUMNS] if target.exists() else empty()
    before = before[~before["department"].isin(departments)]
    parts = [part for part in (before, table[COLUMNS]) if not part.empty]
    whole = pd.concat(parts, ignore_index=True) if parts else empty()
    whole = whole.astype({"year": "Int64", "value": float}).sort_values(_KEY, kind="stable")
    with atomic_write(target) as temporary:
        whole.to_parquet(temporary, index=False)
    return target


def extend(frame: pd.DataFrame, filled: pd.DataFrame) -> pd.DataFrame:
    """Rows of a statistics table with the filled-in ones the table has no figure for.

    Examples
    --------
    >>> table = pd.DataFrame({"item": ["a"], "year": [2025], "zone": ["city"], "value": [1.0]})
    >>> more = pd.DataFrame({"item": ["a", "b"], "year": [2025, 2025], "zone": ["city", "city"], "value": [9.0, 2.0]})
    >>> extend(table, more)["value"].tolist()
    [1.0, 2.0]
    """
    if filled.empty:
        return frame
    known = frame[frame["value"].notna()] if len(frame) else frame
    held = (
        set(zip(known["item"], known["year"].astype(int), known["zone"], strict=True))
        if len(known)
        else set()
    )
    keys = zip(filled["item"], filled["year"].astype(int), filled["zone"], strict=True)
    more = filled[[key not in held for key in keys]]
    if more.empty:
        return frame
    return pd.concat([frame, more], ignore_index=True) if len(frame) else more.reset_index(drop=True)
