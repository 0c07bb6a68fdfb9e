"""Checks of what rows say: values missing, not in a list, twice; stated areas, zones and figures against the map."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from workbench.catalog import quality
from workbench.catalog.roles import ROLES
from workbench.core.codes import survey_codes
from workbench.core.errors import LayerMissing, ParameterError
from workbench.core.paths import PACKAGE
from workbench.governance.layers import Hit, Layer, Outcome
from workbench.governance.packs import Check


@cache
def _words() -> dict[str, list[str]]:
    return tomllib.loads((PACKAGE / "governance" / "fields.toml").read_text("utf-8"))


def said(name: str) -> tuple[str, str]:
    """Name of a field in Chinese and English; the field itself where it has no words.

    Examples
    --------
    >>> said("dlbm")
    ('地类编码', 'land class')
    """
    zh, en = _words().get(name, (name, name))
    return zh, en


def _item(name: str) -> str:
    """Name of an item of statistics in Chinese."""
    items = tomllib.loads((PACKAGE / "indicators" / "roles.toml").read_text("utf-8"))["items"]
    return str(items[name][0]) if name in items else name


def _shape(layer: Layer, *rows: int) -> BaseGeometry | None:
    """Shape of a row, or of several as one."""
    if not isinstance(layer.frame, gpd.GeoDataFrame):
        return None
    shapes = layer.geo.geometry.to_numpy()[list(rows)]
    shape: BaseGeometry = shapes[0] if len(shapes) == 1 else shapely.union_all(shapes)
    return shape


def present(layer: Layer, check: Check) -> Outcome:
    """The layer has rows."""
    if len(layer.frame):
        return Outcome()
    return Outcome([Hit("*", "图层没有记录", "the layer has no row", 0.0, "", ">0")], 1.0)


def missing_values(layer: Layer, check: Check) -> Outcome:
    """Fields that must be filled in and are not."""
    form = ROLES.get(layer.role)
    names = list(check.parameters.get("fields", ()))
    if form is not None and not names:
        names = [*form.required, *([form.key] if form.key else [])]
    outcome, rows = Outcome(), []
    for name in (one for one in dict.fromkeys(names) if one in layer.frame):
        column = layer.frame[name]
        empty = column.isna() | column.astype(str).str.strip().eq("")
        for row in np.flatnonzero(empty.to_numpy()):
            feature = layer.name(row)
            zh, en = f"{feature} 的必填字段“{said(name)[0]}”为空", f"{feature} has no {said(name)[1]}"
            outcome.hits.append(
                Hit(feature, zh, en, unit="", expected=name, geometry=_shape(layer, int(row)))
            )
            rows.append(row)
    outcome.share = layer.share(rows)
    return outcome


def from_reading(layer: Layer, check: Check) -> Outcome:
    """What was found while the file was read: shapes repaired or left out, values that could not be read, datum."""
    found = layer.store.quality
    found = found[(found["role"] == layer.role) & found["check"].isin(list(check.parameters["findings"]))]
    found = found[found["year"].isna() if layer.year is None else found["year"].eq(layer.year)]
    found = found[found["severity"] != "info"]
    hits = [
        Hit(
            "*", row["message_zh"], row["message_en"], float(row["count"]), "count", "0",
            severity=str(row["severity"]),
        )
        for row in found.to_dict("records")
    ]  # fmt: skip
    lost = float(found["count"].sum())
    return Outcome(hits, lost / max(lost, len(layer.frame), 1) if hits else 0.0)


def repeated_keys(layer: Layer, check: Check) -> Outcome:
    """Rows that share the value which should name them."""
    if layer.key is None or layer.key not in layer.frame:
        return Outcome()
    column = layer.frame[layer.key].astype(str)
    again = quality.repeated(layer.frame, layer.key)
    outcome = Outcome()
    for value, rows in column[again].groupby(column[again]).groups.items():
        if not str(value):
            continue  # told by the check of missing values
        number = len(rows)
        field_zh, field_en = said(layer.key)
        zh, en = f"{field_zh} {value} 的记录有 {number} 条", f"{number} rows have the {field_en} {value}"
        outcome.hits.append(
            Hit(str(value), zh, en, float(number), "count", "1", _shape(layer, *map(int, rows)))
        )
    outcome.share = layer.share(np.flatnonzero(again))
    return outcome


def _allowed(check: Check) -> frozenset[str]:
    """Values a field may have: a list, or the codes of a table."""
    values = check.parameters["values"]
    if isinstance(values, list):
        return frozenset(str(value) for value in values)
    if values == "survey classes":
        table = survey_codes()
        return frozenset(table.index[table["kind"] == "dlbm"])
    if values == "attribute codes":
        table = survey_codes()
        return frozenset(table.index[table["kind"] == "czcsxm"])
    if values == "change codes":
        return frozenset(pd.read_csv(PACKAGE / "codes" / "change_patch_codes.csv", dtype=str)["tblx"])
    raise ParameterError("no such table of codes", where=check.id, found=values)


def domain(layer: Layer, check: Check) -> Outcome:
    """Values that are not in the table of codes; empty ones are told by the check of missing values."""
    name, allowed = str(check.parameters["field"]), _allowed(check)
    if name not in layer.frame:
        return Outcome()
    column = layer.frame[name].astype(str).where(layer.frame[name].notna(), "")
    rows = np.flatnonzero(~column.isin(allowed) & column.str.strip().ne(""))
    outcome = Outcome(share=layer.share(rows))
    for row in rows:
        feature, value = layer.name(row), column.iloc[row]
        zh, en = (
            f"{feature} 的{said(name)[0]} {value} 不在编码表内",
            f"{feature} has the {said(name)[1]} {value}, not in the table",
        )
        expected = str(check.parameters["values"]) if isinstance(check.parameters["values"], str) else "list"
        outcome.hits.append(Hit(feature, zh, en, expected=expected, geometry=_shape(layer, int(row))))
    return outcome


def stated_area(layer: Layer, check: Check) -> Outcome:
    """Stated areas that differ from the shapes'."""
    name = str(check.parameters["field"])
    if name not in layer.frame:
        return Outcome()
    rows = np.flatnonzero(quality.misstated(layer.geo, name))
    outcome = Outcome(share=layer.share(rows))
    for row in rows:
        feature, stated, drawn = layer.name(row), float(layer.frame[name].iloc[row]), float(layer.areas[row])
        zh = f"{feature} 登记面积 {stated:.2f} 平方米，图形面积 {drawn:.2f} 平方米"
        en = f"{feature} states {stated:.2f} m², its shape has {drawn:.2f} m²"
        outcome.hits.append(
            Hit(feature, zh, en, stated - drawn, "m2", f"{drawn:.2f}", _shape(layer, int(row)))
        )
    return outcome


def stated_zone(layer: Layer, check: Check) -> Outcome:
    """Rows that state another zone than the one they lie in."""
    name, level = str(check.parameters["field"]), str(check.parameters["level"])
    if name not in layer.frame:
        return Outcome()
    try:
        zones = layer.store.zones(level)
    except (LayerMissing, ParameterError):
        return Outcome()
    stated = layer.frame[name].astype(str).where(layer.frame[name].notna(), "")
    points = shapely.point_on_surface(layer.geo.geometry.to_numpy())
    row, zone = shapely.STRtree(zones.geometry.to_numpy()).query(points, predicate="intersects")
    codes = zones["code"].astype(str).to_numpy()
    agrees = np.zeros(len(points), dtype=bool)
    np.logical_or.at(agrees, row, codes[zone] == stated.to_numpy()[row])
    somewhere = pd.Series(codes[zone], index=row).groupby(level=0).first()
    rows = [int(r) for r in somewhere.index if stated.iloc[r] and not agrees[r]]
    outcome = Outcome(share=layer.share(rows))
    for r in rows:
        feature, said, real = layer.name(r), stated.iloc[r], somewhere[r]
        zh, en = f"{feature} 登记在 {said}，实际位于 {real}", f"{feature} states {said} but lies in {real}"
        outcome.hits.append(Hit(feature, zh, en, expected=str(real), geometry=_shape(layer, r)))
    return outcome


def parts_of_whole(layer: Layer, check: Check) -> Outcome:
    """Parts in fields of a row that do not add up to the whole (age groups, people)."""
    whole, parts = str(check.parameters["whole"]), list(check.parameters["parts"])
    if not {whole, *parts} <= set(layer.frame):
        return Outcome()
    total, summed = layer.frame[whole].astype(float), layer.frame[parts].sum(axis=1, skipna=False)
    limit = float(check.parameters["tolerance"])
    rows = np.flatnonzero((total - summed).abs() > np.maximum(limit * total.abs(), 1e-9))
    outcome = Outcome(share=layer.share(rows))
    for row in rows:
        feature, there, found = layer.name(row), float(total.iloc[row]), float(summed.iloc[row])
        zh = f"{feature} 的{said(whole)[0]}为 {there:g}，各分项合计 {found:g}"
        en = f"{feature}: {whole} is {there:g}, its parts add up to {found:g}"
        outcome.hits.append(Hit(feature, zh, en, found - there, "", f"{there:g}", _shape(layer, int(row))))
    return outcome


def sum_of_zones(layer: Layer, check: Check) -> Outcome:
    """Items of statistics whose figures of the zones do not add up to that of the city."""
    table, limit = layer.frame, float(check.parameters["tolerance"])
    if not {"item", "year", "zone", "value"} <= set(table):
        return Outcome()
    outcome, wrong = Outcome(), 0
    groups = table.groupby(["item", "year"], sort=True)
    for (item, year), rows in groups:
        city, parts = rows[rows["zone"] == "city"]["value"], rows[rows["zone"] != "city"]["value"]
        if len(city) != 1 or len(parts) < 2 or parts.isna().any() or city.isna().any():
            continue
        whole, found = float(city.iloc[0]), float(parts.sum())
        if abs(found - whole) > limit * abs(whole):
            zh = f"{year}年{_item(str(item))}全市为 {whole:g}，各区合计 {found:g}"
            en = f"{item} of {year}: the city has {whole:g}, its zones {found:g}"
            outcome.hits.append(Hit(f"{item}-{year}", zh, en, found - whole, "", f"{whole:g}"))
            wrong += 1
    outcome.share = wrong / max(len(groups), 1)
    return outcome


def known_zones(layer: Layer, check: Check) -> Outcome:
    """Names of zones in a table that are no code of the city: their figures are used nowhere. One hit a name."""
    table = layer.frame
    if "zone" not in table:
        return Outcome()
    codes, names = _zones_by_name(layer, [str(one) for one in check.parameters["levels"]])
    if not codes:
        return Outcome()
    stated = table["zone"].fillna("").astype(str)
    lost = table.assign(zone=stated)[~stated.isin({"", "city", *codes})]
    outcome = Outcome(share=len(lost) / max(len(table), 1))
    for zone, rows in lost.groupby("zone", sort=True):
        code = names.get(str(zone).strip(), "")
        zh, en = (
            f"分区“{zone}”的{len(rows)}行未识别，没有用于计算",
            f"{len(rows)} rows of zone '{zone}' were not recognised and are not used",
        )
        if code:
            zh, en = (
                f"{zh}；该名称的分区代码为 {code}，请改填代码",
                f"{en}; the zone of that name has the code {code}: state the code",
            )
        outcome.hits.append(Hit(str(zone), zh, en, float(len(rows)), "count", code))
    return outcome


def _zones_by_name(layer: Layer, levels: Sequence[str]) -> tuple[set[str], dict[str, str]]:
    """Codes of the zones of some levels, those the city has; and code by name, the first level first."""
    codes: set[str] = set()
    names: dict[str, str] = {}
    for level in levels:
        try:
            zones = layer.store.zones(level)
        except (LayerMissing, ParameterError):
            continue
        codes |= set(zones["code"].astype(str))
        for code, name in zip(
            zones["code"].astype(str), zones.get("name", zones["code"]).astype(str), strict=True
        ):
            names.setdefault(name, code)
    return codes, names


def figure_of_map(layer: Layer, check: Check) -> Outcome:
    """A figure of the statistics against the sum of a field of the layer, for the city and the layer's year."""
    field, item = str(check.parameters["field"]), str(check.parameters["item"])
    factor, limit = float(check.parameters["factor"]), float(check.parameters["tolerance"])
    if field not in layer.frame or layer.year is None:
        return Outcome()
    try:
        table = layer.store.table("statistics")
    except LayerMissing:
        return Outcome()
    row = table[(table["item"] == item) & (table["year"] == layer.year) & (table["zone"] == "city")]["value"]
    if len(row) != 1 or row.isna().any():
        return Outcome()
    stated, found = float(row.iloc[0]), float(layer.frame[field].sum()) * factor
    if abs(found - stated) <= limit * abs(stated):
        return Outcome()
    zh = f"图层{said(field)[0]}合计 {found:.4g}，统计表为 {stated:.4g}，相差 {100 * (found / stated - 1):+.1f}%"
    en = f"{field} of the layer adds up to {found:.4g}, the statistics have {stated:.4g} of {item}"
    where = shapely.box(*layer.geo.total_bounds) if isinstance(layer.frame, gpd.GeoDataFrame) else None
    return Outcome([Hit("*", zh, en, found - stated, "", f"{stated:.4g}", where)], 1.0)
