"""Land classes as bureaus write them, as codes of the third national land survey (三调)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import geopandas as gpd
import pandas as pd

from workbench.catalog import quality
from workbench.catalog.quality import Finding
from workbench.catalog.standard_layers import is_plan_classes
from workbench.core import codes
from workbench.core.paths import PACKAGE


@lru_cache(maxsize=1)
def _known() -> dict[str, str]:
    """Code or name of a land class -> code."""
    table = codes.survey_codes()
    classes = table[table["kind"] == "dlbm"]
    return {
        **dict(zip(classes["name_zh"], classes.index, strict=True)),
        **{code: code for code in classes.index},
    }


@lru_cache(maxsize=1)
def _from_plan() -> dict[str, str]:
    """Code of the plan's table (用地用海) -> survey code, where the table gives one."""
    table = pd.read_csv(PACKAGE / "codes" / "plan_classes.csv", dtype=str, keep_default_na=False)
    return {code: found for code, found in zip(table["code"], table["dlbm"], strict=True) if found}


def survey_code(value: object, *, plan: bool = False, numeric: bool = False) -> str:
    """Survey code of a class as a file has it; what is not understood stays as it is.

    Parameters
    ----------
    value : object
        Code or name; full-width digits, spaces and small letters do not matter.
    plan : bool
        The file uses the plan's table, in which the same numbers stand for other classes.
    numeric : bool
        The file keeps codes as numbers, which have lost their leading zero.

    Examples
    --------
    >>> survey_code("０１０１"), survey_code("水田"), survey_code(101, numeric=True), survey_code("0601", plan=True)
    ('0101', '0101', '0101', '1006')
    """
    if value is None or value != value:
        return ""
    whole = isinstance(value, float) and value.is_integer()
    text = unicodedata.normalize("NFKC", str(int(value)) if whole else str(value)).strip()  # type: ignore[call-overload]
    if plan:
        padded = text.zfill(len(text) + len(text) % 2) if numeric else text
        return _from_plan().get(padded, text)
    if numeric and text.isdigit() and len(text) in (1, 3):
        text = f"0{text}"
    return _known().get(text, _known().get(text.upper(), text))


def survey_codes(frame: gpd.GeoDataFrame, field: str) -> tuple[gpd.GeoDataFrame, list[Finding]]:
    """Frame whose ``dlbm`` are survey codes, and how many had to be turned into them.

    Parameters
    ----------
    field : str
        Name the column had in the file; it says which table the classes are of.
    """
    column = frame["dlbm"]
    plan, numeric = is_plan_classes(field), bool(pd.api.types.is_numeric_dtype(column))
    turned = {value: survey_code(value, plan=plan, numeric=numeric) for value in column.dropna().unique()}
    changed = {value: code for value, code in turned.items() if str(value) != code}
    if not changed:
        return frame, []
    touched = column.isin(list(changed))
    frame = frame.assign(dlbm=column.map(turned).where(column.notna(), None))
    value, code = next(iter(changed.items()))
    return frame, [
        quality.told("codes_standardised", "info", int(touched.sum()), subject=f"{value} → {code}")
    ]
