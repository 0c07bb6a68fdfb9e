"""Gates of a city: which layers failed their quality check and must not be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workbench.catalog import manifest

REASON = "blocked_by_quality"
"""Code of the reason a layer behind a closed gate is missing."""
COLUMNS = [
    "role", "year", "check", "state", "reason_zh", "reason_en", "findings", "share", "key",
]  # fmt: skip
"""Columns of the table of gates."""
STATES = ("passed", "warned", "blocked")


@dataclass(frozen=True)
class Closed:
    """A closed gate."""

    key: str
    """Hash of the data it was closed for."""
    zh: str
    """The checks that failed, for officials."""
    en: str
    """English of it."""


def path_of(city_name: str) -> Path:
    """File of the gates."""
    return manifest.folder(city_name) / "gates.parquet"


def read(city_name: str) -> pd.DataFrame:
    """Gates of a city; no rows when it has not been checked."""
    path = path_of(city_name)
    if path.exists():
        return pd.read_parquet(path)
    frame = pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    return frame.astype({"year": "Int64", "findings": "int64", "share": "float64"})


def closed(city_name: str) -> dict[tuple[str, int | None], Closed]:
    """Layers behind a closed gate, by role and year (None: not dated by year)."""
    rows = read(city_name)
    rows = rows[rows["state"] == "blocked"]
    found: dict[tuple[str, int | None], Closed] = {}
    for _, part in rows.groupby(["role", "year"], dropna=False, sort=False):
        year = part["year"].iloc[0]
        place = (str(part["role"].iloc[0]), None if pd.isna(year) else int(year))
        words = "；".join(part["reason_zh"]), "; ".join(part["reason_en"])
        found[place] = Closed(str(part["key"].iloc[0]), *words)
    return found
