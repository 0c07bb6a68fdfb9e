"""Which layer of the national planning databases a file is, told by its code, name and fields, and how sure that is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import pandas as pd

from workbench.core.paths import PACKAGE

Certainty = Literal["certain", "likely", "possible", "unknown"]
HEAD = frozenset({"BSM", "YSDM", "XZQDM", "XZQMC", "MJ", "BZ", "MC", "LX"})
"""Fields that nearly every layer has: they tell nothing."""
FAMILIES = {"点": "point", "线": "line", "面": "polygon", "table": "table"}
ENOUGH_FIELDS, ENOUGH_SHARE = 3, 0.6
"""Fields of its own a layer must have, and the share of the standard's, to be told by them."""


@dataclass(frozen=True)
class Guess:
    """What a layer seems to be."""

    code: str = ""
    """Code of the standard layer, e.g. DLTB."""
    name_zh: str = ""
    """Its name."""
    role: str = ""
    """Role it has here; empty when none is fixed."""
    certainty: Certainty = "unknown"
    """``certain``: named exactly so; ``likely``: the name is part of the file's; ``possible``: only the fields fit."""
    by: str = ""
    """What it was told by."""


@lru_cache(maxsize=1)
def _layers() -> pd.DataFrame:
    return pd.read_csv(PACKAGE / "codes" / "planning_layers.csv", dtype=str, keep_default_na=False)


@lru_cache(maxsize=1)
def _fields() -> pd.DataFrame:
    return pd.read_csv(PACKAGE / "codes" / "standard_fields.csv", dtype=str, keep_default_na=False)


def standard_layers() -> pd.DataFrame:
    """Layers of the national planning databases with ``role``, ``source`` and ``confidence``."""
    return _layers().copy()


def guess(name: str, fields: Iterable[str], family: str | None) -> Guess:
    """Tell a standard layer by the name of a file's layer, else by its fields.

    Parameters
    ----------
    name : str
        Layer or file.
    fields : iterable of str
        Its fields.
    family : str or None
        ``polygon``, ``line``, ``point``, ``table``; None when not known. Where it contradicts the standard, nothing
        is certain.

    Examples
    --------
    >>> guess("DLTB", ["DLBM"], "polygon").certainty, guess("DLTB_2025", [], "polygon").certainty
    ('certain', 'likely')
    """
    plain = name.strip()
    found = _by_code(plain) or _by_name(plain)
    if found is None:
        return _by_fields(fields, family)
    row, certainty, by = found
    wanted = FAMILIES.get(row["geometry"])
    if wanted is not None and family is not None and wanted != family:
        return _made(row, "possible", f"{by}; the standard has {wanted}, the file {family}")
    return _made(row, certainty, by)


def _made(row: pd.Series, certainty: Certainty, by: str) -> Guess:
    return Guess(row["layer"], row["name_zh"], row["role"], certainty, by)


def _by_code(name: str) -> tuple[pd.Series, Certainty, str] | None:
    """By code: the whole name, else the longest code that stands apart in it."""
    table = _layers()
    upper = name.upper()
    whole = table[(table["layer"] == upper) & (upper != "")]
    if len(whole):
        return whole.iloc[0], "certain", "code"
    parts = [part for part in re.split(r"[^A-Z]+", upper) if len(part) >= 3]
    inside = table[table["layer"].isin(parts)]
    if inside.empty:
        return None
    return inside.iloc[int(inside["layer"].str.len().argmax())], "likely", "code in the name"


def _by_name(name: str) -> tuple[pd.Series, Certainty, str] | None:
    """By Chinese name: the whole name, else the longest one in it."""
    table = _layers()
    whole = table[table["name_zh"] == name]
    if len(whole):
        return whole.iloc[0], "certain", "name"
    inside = table[[len(zh) >= 2 and zh in name for zh in table["name_zh"]]]
    if inside.empty:
        return None
    return inside.iloc[int(inside["name_zh"].str.len().argmax())], "likely", "part of the name"


def _by_fields(fields: Iterable[str], family: str | None) -> Guess:
    """By the fields that not every layer has."""
    own = {field.upper() for field in fields} - HEAD
    best, most = None, (0.0, 0)
    for _, row in _layers().iterrows():
        listed = {part for part in re.findall(r"\b[A-Z]{3,}\b", row["key_fields"])} - HEAD
        wanted = FAMILIES.get(row["geometry"])
        if len(listed) < ENOUGH_FIELDS or (wanted and family and wanted != family):
            continue
        common = len(listed & own)
        if common >= ENOUGH_FIELDS and (common / len(listed), common) > most:
            best, most = row, (common / len(listed), common)
    if best is None or most[0] < ENOUGH_SHARE:
        return Guess()
    return _made(best, "possible", f"{most[1]} of its fields ({most[0]:.0%})")


def known_fields(role: str, fields: Iterable[str]) -> dict[str, str]:
    """Standard field -> field of the file, where the file has a field of the national name; the first listed wins."""
    present = {field.upper(): field for field in fields}
    found: dict[str, str] = {}
    for row in _fields()[_fields()["role"] == role].itertuples():
        if row.standard not in found and str(row.field).upper() in present:
            found[str(row.standard)] = present[str(row.field).upper()]
    return found


def is_plan_classes(field: str) -> bool:
    """Whether a field holds classes of the plan's table (用地用海), which use the survey's numbers for other things."""
    table = _fields()
    return bool(((table["field"] == field.upper()) & (table["form"] == "plan")).any())
