"""Classes that images tell apart, and which survey (三调) and planning classes each may stand for.

The table ``workbench/codes/image_classes.csv`` holds a row a class and scheme, with source and confidence. Values in a
class raster start at 1; 0 is nodata. An image class is coarser than a survey class: the crosswalk is one to many, and only
its first code may stand for the class where a single one is asked for.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.errors import ParameterError
from workbench.core.paths import PACKAGE

NODATA = 0
"""Value of a cell without a class."""
CHANGE_CLASSES = ("unchanged", "changed")
"""Classes of a map of change, by value from 1."""


@lru_cache(maxsize=1)
def _table() -> pd.DataFrame:
    frame = pd.read_csv(PACKAGE / "codes" / "image_classes.csv", dtype=str, keep_default_na=False)
    frame["value"] = frame["value"].astype(int)
    for name in ("survey_codes", "plan_classes"):
        frame[name] = [tuple(filter(None, text.split("|"))) for text in frame[name]]
    return frame


def schemes() -> tuple[str, ...]:
    """Names of the schemes.

    Examples
    --------
    >>> schemes()
    ('six', 'dynamic_world', 'loveda', 'change')
    """
    return tuple(_table()["scheme"].drop_duplicates())


def scheme(name: str) -> pd.DataFrame:
    """Classes of a scheme, by value from 1.

    Returns
    -------
    pd.DataFrame
        ``value, class, name_zh, name_en, colour, survey_codes (tuple), plan_classes (tuple), source, confidence``.

    Raises
    ------
    ParameterError
        There is no such scheme.

    Examples
    --------
    >>> scheme("six")["class"].tolist()
    ['cropland', 'forest', 'grass', 'water', 'built', 'bare']
    """
    table = _table()
    found = table[table["scheme"] == name]
    if found.empty:
        raise ParameterError("no such scheme of image classes", found=name, expected=f"one of {schemes()}")
    return found.drop(columns="scheme").sort_values("value").reset_index(drop=True)


def class_of_survey(name: str) -> dict[str, int]:
    """Value of the image class of each survey code in a scheme; the first class that lists a code has it.

    Examples
    --------
    >>> table = class_of_survey("six")
    >>> table["0101"], table["0701"]
    (1, 5)
    """
    found: dict[str, int] = {}
    for row in scheme(name).to_dict("records"):
        for code in row["survey_codes"]:
            found.setdefault(str(code), int(row["value"]))
    return found


def recode(values: npt.NDArray[np.uint8], source: str, target: str) -> npt.NDArray[np.uint8]:
    """Classes of one scheme told in another, through the survey codes they share; 0 where nothing fits.

    A class goes to the target class that shares most of its survey codes, the lower value when two share as many.

    Examples
    --------
    >>> recode(np.array([5, 7, 0], dtype=np.uint8), "dynamic_world", "six").tolist()
    [1, 5, 0]
    """
    table = np.zeros(256, dtype=np.uint8)
    goal = scheme(target)
    for row in scheme(source).to_dict("records"):
        shared = [len(set(row["survey_codes"]) & set(codes)) for codes in goal["survey_codes"]]
        if max(shared, default=0):
            table[int(row["value"])] = goal["value"].iloc[int(np.argmax(shared))]
    found: npt.NDArray[np.uint8] = table[values]
    return found
