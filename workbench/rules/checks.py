"""Checks of the data themselves: sums, stated areas, codes, dates, lines that must not overlap, age."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.catalog.roles import ROLES
from workbench.core.codes import group, is_known
from workbench.core.errors import LayerMissing
from workbench.indicators.limits import limits
from workbench.operators.area import area_m2
from workbench.rules.cases import in_force
from workbench.rules.context import Context
from workbench.rules.kinds import Outcome, judge
from workbench.rules.patches import patch_codes
from workbench.rules.rule import Rule
from workbench.rules.shapes import shared, united

ADDITIVE_UNITS = frozenset({"km2", "ha", "m2", "1e4 mu", "mu", "km", "person", "1e4 person"})
"""Units of amounts that add up over districts, when the indicator has no denominator."""
DATED = ("permits", "projects")
Found = tuple[str, float, str]
"""Layer, number found, unit."""


def judge_data(context: Context, rules: Sequence[Rule]) -> None:
    """Add the findings of rules on data to ``context.rows``; a check whose layer is missing says nothing."""
    for rule in rules:
        if rule.kind == "freshness":
            _judge_freshness(context, rule)
        elif rule.applies.get("additive"):
            _judge_sums(context, rule)
        elif rule.applies.get("possible"):
            _judge_possible(context, rule)
        elif name := str(rule.applies.get("check", "")):
            for line, number, unit in CHECKS[name](context, rule):
                outcome = judge(rule, value=number, other=0.0)
                context.add_number(rule, outcome, number, unit, zone=_zone(context, line, rule), line=line)
        elif rule.kind == "consistency" and rule.line:
            _stated_area(context, rule)


def _zone(context: Context, line: str, rule: Rule) -> str:
    """Zone of a check's finding: the layer where one rule looks at several."""
    return line if rule.applies["check"] in SEVERAL else str(context.city.name)


def _parcels(context: Context, *columns: str) -> gpd.GeoDataFrame | None:
    """Land-use parcels of the year; None without them or without a column that has values."""
    try:
        parcels: gpd.GeoDataFrame = context.data.vector("land_use", context.year)
    except LayerMissing:
        return None
    lacking = [name for name in columns if name not in parcels or parcels[name].isna().all()]
    return None if lacking or parcels.empty else parcels


def _net_area(context: Context, rule: Rule) -> Iterator[Found]:
    """Parcels whose net area is not the stated area less the deducted one (TBDLMJ = TBMJ - KCMJ).

    Without the deducted area a net area must lie between nothing and the stated one, and be the stated one where no
    field ridge is deducted, outside cropland.
    """
    parcels = _parcels(context, "area_m2", "net_area_m2")
    if parcels is None:
        return
    stated, net = (parcels[name].to_numpy(dtype="float64") for name in ("area_m2", "net_area_m2"))
    crop = parcels["dlbm"].isin(group("cropland")).to_numpy()
    if "deducted_m2" in parcels and parcels["deducted_m2"].notna().any():
        wrong = np.abs(net - (stated - parcels["deducted_m2"].to_numpy(dtype="float64"))) > rule.tolerance
    else:
        wrong = (net > stated + rule.tolerance) | (net < 0)
        wrong |= ~crop & (np.abs(net - stated) > rule.tolerance)
    yield "land_use", float(wrong.sum()), "count"


def _known_classes(context: Context, rule: Rule) -> Iterator[Found]:
    """Parcels with a class code that is not in the table of the survey."""
    if (parcels := _parcels(context)) is not None:
        codes = parcels["dlbm"].fillna("").astype(str)
        yield "land_use", float((~is_known(codes)).sum()), "count"


def _known_patch_codes(context: Context, rule: Rule) -> Iterator[Found]:
    """Change patches with a code that is not in the table."""
    if context.data.has("change_patches", context.year):
        codes = context.data.vector("change_patches", context.year)["tblx"].fillna("").astype(str)
        yield "change_patches", float((~codes.isin(patch_codes().index)).sum()), "count"


def _patch_dates(context: Context, rule: Rule) -> Iterator[Found]:
    """Change patches whose image days are missing or in the wrong order."""
    if context.data.has("change_patches", context.year):
        patches = context.data.vector("change_patches", context.year)
        first, last = pd.to_datetime(patches["date_before"]), pd.to_datetime(patches["date_after"])
        yield "change_patches", float((first.isna() | last.isna() | (last <= first)).sum()), "count"


def _paper_dates(context: Context, rule: Rule) -> Iterator[Found]:
    """Lines and permits that ended before they were approved."""
    for role in sorted(context.city.layers):
        optional = ROLES[role].optional if role in ROLES else ()
        if {"approved", "ended"} <= set(optional) and context.data.has(role):
            frame = context.data.vector(role)
            wrong = pd.to_datetime(frame["ended"]) <= pd.to_datetime(frame["approved"])
            yield role, float(wrong.sum()), "count"


def _unique_codes(context: Context, rule: Rule) -> Iterator[Found]:
    """Rows of a layer that share a code with another."""
    for role in sorted(set(context.city.layers) & set(ROLES)):
        key = ROLES[role].key
        year = context.year if context.data.years(role) else None
        if key is None or not context.data.has(role, year) or ROLES[role].family != "polygon":
            continue
        frame = context.data.vector(role, year)
        codes = frame[key].fillna("").astype(str) if key in frame else pd.Series(dtype=str)
        yield role, float(codes[codes != ""].duplicated(keep=False).sum()), "count"


def _covers_city(context: Context, rule: Rule) -> Iterator[Found]:
    """Difference between the area of all parcels and that of the city, in percent of the city."""
    if (parcels := _parcels(context)) is not None:
        city = context.data.zones("city")
        total = float(area_m2(city.geometry, city.crs).sum())
        found = float(area_m2(parcels.geometry, parcels.crs).sum())
        yield "land_use", 100 * abs(found - total) / total, "%"


def _lines_apart(context: Context, rule: Rule) -> Iterator[Found]:
    """Area that two lines of a kind that must not overlap have in common at the end of the year, m²."""
    shapes = []
    day = pd.Timestamp(context.year, 12, 31)
    for role in rule.applies["between"]:
        if not context.data.has(role):
            return
        shapes.append(in_force(context.data.vector(role), day).geometry.to_numpy())
    i, _, pieces, _ = shared(*shapes)
    both = united(pieces, i, len(shapes[0]))
    union = shapely.union_all(both[~shapely.is_missing(both)])  # a layer may overlap itself
    yield str(rule.applies["between"][0]), float(area_m2([union], context.city.crs)[0]), "m2"


CHECKS: dict[str, Callable[[Context, Rule], Iterator[Found]]] = {
    "net_area": _net_area,
    "known_classes": _known_classes,
    "known_patch_codes": _known_patch_codes,
    "patch_dates": _patch_dates,
    "paper_dates": _paper_dates,
    "unique_codes": _unique_codes,
    "covers_city": _covers_city,
    "lines_apart": _lines_apart,
}
"""Name of a check, as a rule's ``applies.check`` has it -> the function that counts what is wrong."""
SEVERAL = frozenset({"paper_dates", "unique_codes"})
"""Checks that look at several layers, with a finding for each."""


def _stated_area(context: Context, rule: Rule) -> None:
    """Hold each parcel's stated area against its geometry; one finding for the layer, its value the number that differ."""
    parcels = _parcels(context, "area_m2")
    if parcels is None:
        return
    measured = area_m2(parcels.geometry, parcels.crs)
    stated = parcels["area_m2"].to_numpy(dtype="float64")
    allowed = np.maximum(rule.tolerance, float(rule.parameters["relative"]) * measured)
    excess = np.abs(stated - measured) - allowed
    worst = int(np.nanargmax(excess))
    outcome = judge(rule, value=float(stated[worst]), other=float(measured[worst]))
    differ = int((excess > 0).sum())
    outcome = Outcome(outcome.level, outcome.outcome, outcome.margin, 0.0)
    context.add_number(rule, outcome, differ, "count", line=rule.line)


def _judge_freshness(context: Context, rule: Rule) -> None:
    """Judge the age of the layers an indicator reads that should be renewed at least yearly.

    Layers dated by year are never older than the year asked for; lines and terrain hold until they are changed.
    """
    cycles = set(rule.parameters["cycles"])
    for indicator, row in context.city_rows.items():
        definition = context.definitions.get(indicator)
        if definition is None or pd.isna(row["value"]):
            continue
        method = int(str(row["basis"]).partition(":")[0] or 1) - 1
        known = [float(context.year)]
        for role in definition.methods[method].inputs:
            if context.data.years(role) or not context.data.has(role):
                continue
            source = context.data.source(role)
            if source.update_cycle in cycles and source.date:
                known.append(float(pd.Timestamp(source.date).year))
        context.add(rule, judge(rule, data_year=min(known), year=context.year), row)


def _judge_sums(context: Context, rule: Rule) -> None:
    """Hold the sum of the districts against the city for amounts; a district outside the scope counts nothing."""
    for indicator, row in context.city_rows.items():
        if row["denominator"] or row["unit"] not in ADDITIVE_UNITS or pd.isna(row["value"]):
            continue
        parts = context.districts(indicator)
        gaps = parts[parts["value"].isna() & (parts["reason"] != "outside_scope")]
        if parts.empty or len(gaps):
            continue
        total = float(parts["value"].sum())
        context.add(rule, judge(rule, value=total, other=float(row["value"])), row)


def _judge_possible(context: Context, rule: Rule) -> None:
    """Name the shares above the whole and the amounts below nothing, of the city and its districts; other values go unmentioned."""
    for indicator, row in context.city_rows.items():
        definition = context.definitions.get(indicator)
        if definition is None:
            continue
        low, high, _ = limits(definition.title("zh"), str(row["unit"]))
        rows: list[Any] = [row, *context.districts(indicator).to_dict("records")]
        for one in rows:
            value = float(one["value"])
            if pd.isna(value):
                continue
            nearest = min(max(value, -np.inf if low is None else low), np.inf if high is None else high)
            outcome = judge(rule, value=value, other=nearest)
            if outcome.level > 0:
                context.add(rule, replace(outcome, threshold=nearest), one)
