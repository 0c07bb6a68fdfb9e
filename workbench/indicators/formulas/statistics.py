"""Figures from statistical tables: of that very year, of that very zone, or none.

An item that ends earlier is stale and gives no value; a figure of the whole city is never spread over districts.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd

from workbench.core.errors import ParameterError
from workbench.core.units import UNITS, convert, display
from workbench.indicators.formulas.common import pieces, ratio, result, sum_by_zone
from workbench.indicators.formulas.land import land_mask
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs


def item_by_zone(
    data: Inputs, zones: gpd.GeoDataFrame, item: str, *, year: int | None = None
) -> tuple[pd.Series, pd.Series]:
    """Figure of an item in each zone for a year, and the reason where there is none.

    Reasons: ``no_item:ITEM`` (never recorded), ``stale:ITEM:YEAR`` (last recorded earlier), ``no_item_year:ITEM``
    (recorded, but not for this year), ``no_zone_row:ITEM`` (recorded for the city only).
    """
    wanted = data.year if year is None else year
    table = data.table("statistics")
    rows = table[table["item"] == item].dropna(subset=["value"])
    values, reasons = pd.Series(np.nan, index=zones.index), pd.Series("", index=zones.index)
    if rows.empty:
        return values, pd.Series(f"no_item:{item}", index=zones.index)
    now = rows[rows["year"].astype(int) == wanted]
    if now.empty:
        last = int(rows["year"].max())
        code = f"stale:{item}:{last}" if last < wanted else f"no_item_year:{item}:{wanted}"
        return values, pd.Series(code, index=zones.index)
    names = now["zone"].fillna("").astype(str)
    whole = names.isin(["city", ""])
    by_zone = now.assign(zone=names.where(~whole, data.city)).drop_duplicates("zone", keep="last")
    values = by_zone.set_index("zone")["value"].astype("float64").reindex(zones.index)
    return values, reasons.where(values.notna(), f"no_zone_row:{item}")


def first_reason(*reasons: pd.Series) -> pd.Series:
    """The first reason that is not empty, zone by zone."""
    combined = reasons[0].copy()
    for other in reasons[1:]:
        combined = combined.where(combined != "", other)
    return combined


@reads("statistics")
def given(data: Inputs, zones: gpd.GeoDataFrame, *, item: str, scale: float = 1.0) -> pd.DataFrame:
    """Figure of the table, times ``scale``."""
    values, reasons = item_by_zone(data, zones, item)
    return result(zones, values * scale, reason=reasons)


@reads("statistics")
def reported(data: Inputs, zones: gpd.GeoDataFrame, *, item: str, unit: str = "") -> pd.DataFrame:
    """The value itself as the department in charge filled it in under the indicator's own code.

    A figure in another unit of the same kind is converted; one in a unit that does not convert gives no value.
    """
    values, reasons = item_by_zone(data, zones, item)
    reasons = reasons.replace(f"no_item:{item}", f"not_reported:{item}")
    stated = _stated_units(data, item)
    for code, rows in stated.reindex(zones.index).dropna().groupby(stated):
        factor = _factor(str(code), unit)
        if factor is None:
            reasons[rows.index] = f"wrong_unit:{item}:{code}"
        values[rows.index] *= float("nan") if factor is None else factor
    return result(zones, values, reason=reasons)


def _stated_units(data: Inputs, item: str) -> pd.Series:
    """Unit of the year's figure of an item by zone; zones without a stated unit are left out."""
    table = data.table("statistics")
    rows = table[(table["item"] == item) & (table["year"] == data.year)].dropna(subset=["value"])
    if "unit" not in rows:
        return pd.Series(dtype=str)
    names = rows["zone"].fillna("").astype(str)
    rows = rows.assign(zone=names.where(~names.isin(["city", ""]), data.city)).drop_duplicates(
        "zone", keep="last"
    )
    units = rows.set_index("zone")["unit"].fillna("").astype(str).str.strip()
    return units[units != ""]


def _factor(stated: str, wanted: str) -> float | None:
    """Factor from one unit to another; None when they do not convert."""
    if wanted == "" or stated in {wanted, display(wanted, "zh"), display(wanted, "en")}:
        return 1.0
    known = {name: code for code in UNITS for name in (code, UNITS[code].zh, UNITS[code].en)}
    try:
        return convert(1.0, known.get(stated, stated), wanted)
    except ParameterError:
        return None


@reads("statistics")
def quotient(
    data: Inputs, zones: gpd.GeoDataFrame, *, numerator: str, denominator: str, scale: float = 1.0
) -> pd.DataFrame:
    """One figure of the table divided by another, times ``scale``."""
    top, why_top = item_by_zone(data, zones, numerator)
    bottom, why_bottom = item_by_zone(data, zones, denominator)
    return with_reasons(ratio(zones, top, bottom, scale=scale), first_reason(why_top, why_bottom))


@reads("land_use", "statistics")
def land_per(
    data: Inputs,
    zones: gpd.GeoDataFrame,
    *,
    item: str,
    group: str = "",
    czcsxm: tuple[str, ...] = (),
    scale: float,
) -> pd.DataFrame:
    """Land of a group or attribute (m²) divided by a figure of the table, times ``scale``."""
    rows = pieces(data, "land_use", zones)
    area = sum_by_zone(zones, rows[land_mask(rows, group=group, czcsxm=czcsxm)], "piece_m2")
    bottom, reasons = item_by_zone(data, zones, item)
    return with_reasons(ratio(zones, area, bottom, scale=scale), reasons)


@reads("land_use", "statistics")
def per_land(data: Inputs, zones: gpd.GeoDataFrame, *, item: str, group: str, scale: float) -> pd.DataFrame:
    """A figure of the table divided by land of a group (m²), times ``scale``."""
    rows = pieces(data, "land_use", zones)
    area = sum_by_zone(zones, rows[land_mask(rows, group=group)], "piece_m2")
    top, reasons = item_by_zone(data, zones, item)
    return with_reasons(ratio(zones, top, area, scale=scale), reasons)


def with_reasons(frame: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    """A ratio's result with the table's own reasons before 'denominator is zero'."""
    given_ = reasons.reindex(frame.index)
    frame["reason"] = frame["reason"].where(given_ == "", given_)
    frame.loc[frame["value"].notna(), "reason"] = ""
    return frame
