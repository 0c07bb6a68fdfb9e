"""Land-survey class codes (地类编码), their groups, and the numbers that stand for them in class rasters.

The table ``workbench/codes/survey_codes.csv`` keeps the source and confidence of each code, ``groups.csv``
those of each group. Attribute codes of towns and villages (城镇村属性码, 201 to 205) are in the same table
with ``kind = "czcsxm"``; they are not land classes and have no raster number.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.errors import ParameterError
from workbench.core.paths import PACKAGE

NODATA = 0
"""Raster number of a cell without a class."""


@lru_cache(maxsize=1)
def _table() -> pd.DataFrame:
    frame = pd.read_csv(PACKAGE / "codes" / "survey_codes.csv", dtype={"code": "str", "raster": "UInt8"})
    frame["three_way_class"] = frame["three_way_class"].fillna("")
    return frame.astype({str(name): bool for name in _groups().index}).set_index("code", drop=False)


@lru_cache(maxsize=1)
def _groups() -> pd.DataFrame:
    return pd.read_csv(PACKAGE / "codes" / "groups.csv").set_index("group", drop=False)


def survey_codes() -> pd.DataFrame:
    """Survey classes and attribute codes, indexed by code.

    Returns
    -------
    pd.DataFrame
        ``code, name_zh, name_en, kind ("dlbm" or "czcsxm"), raster (UInt8, missing for attribute codes),
        three_way_class (农用地, 建设用地, 未利用地)``, one bool column a group, ``source, confidence``.
    """
    return _table().copy()


def groups() -> pd.DataFrame:
    """Get the groups of classes with ``group, name_zh, name_en, confidence``, indexed by group."""
    return _groups().copy()


@lru_cache(maxsize=64)
def group(name: str) -> frozenset[str]:
    """Survey codes of a group.

    Examples
    --------
    >>> sorted(group("cropland"))
    ['0101', '0102', '0103']

    Raises
    ------
    ParameterError
        When there is no group of that name.
    """
    if name not in _groups().index:
        raise ParameterError(
            "unknown group of land classes", where="codes", found=name, expected=", ".join(_groups().index)
        )
    table = _table()
    return frozenset(table.index[table[name]])


def match(codes: Iterable[str], name: str) -> npt.NDArray[np.bool_]:
    """Whether each survey code belongs to a group; codes that are not in the table belong to none.

    Examples
    --------
    >>> match(["0101", "0601", "9999"], "construction").tolist()
    [False, True, False]
    """
    wanted = group(name)
    return np.fromiter((code in wanted for code in codes), dtype=bool)


def raster_code(code: str) -> int:
    """Raster number (1 to 255) of a survey class.

    Examples
    --------
    >>> raster_code("0101")
    1
    """
    if code == "" or code not in _names_by_number():
        raise ParameterError("not a land class of the survey", where="codes", found=code)
    return _names_by_number().index(code)


def raster_codes(name: str) -> npt.NDArray[np.uint8]:
    """Raster numbers of a group, ascending."""
    return np.array(sorted(raster_code(code) for code in group(name)), dtype=np.uint8)


@lru_cache(maxsize=1)
def _names_by_number() -> tuple[str, ...]:
    table = _table()
    found = [""] * 256
    for code, number in table["raster"].dropna().items():
        found[int(number)] = str(code)
    return tuple(found)


def code_of(number: int) -> str:
    """Survey class a raster number stands for; ``""`` when none.

    Examples
    --------
    >>> code_of(1), code_of(0)
    ('0101', '')
    """
    return _names_by_number()[number] if 0 <= number <= 255 else ""


def is_known(codes: Iterable[str]) -> npt.NDArray[np.bool_]:
    """Whether each code is a land class of the survey."""
    table = _table()
    known = set(table.index[table["kind"] == "dlbm"])
    return np.fromiter((code in known for code in codes), dtype=bool)


def names(lang: str = "zh") -> dict[str, str]:
    """Name of every code in ``zh`` or ``en``."""
    table = _table()
    return dict(zip(table.index, table[f"name_{lang}"], strict=True))
