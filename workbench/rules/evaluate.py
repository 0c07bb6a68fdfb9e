"""Applies a city's rule packs to its values and layers; every judgement is a finding."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from workbench.core.codes import names
from workbench.core.errors import LayerMissing
from workbench.indicators.indicator import Indicator
from workbench.indicators.values import value_id
from workbench.operators.area import area_m2
from workbench.rules import messages
from workbench.rules.cases import Change, build_cases
from workbench.rules.kinds import NO_DATA, Outcome, judge
from workbench.rules.library import load_rules
from workbench.rules.rule import Rule
from workbench.rules.targets import judge_targets

log = logging.getLogger(__name__)

COLUMNS = [
    "finding_id", "rule", "kind", "level", "indicator", "line", "zone_level", "zone", "zone_name", "year", "value_id",
    "value", "threshold", "margin", "unit", "message_zh", "message_en", "clause", "status", "permit_state", "district",
    "unit_code", "before", "after", "date_before", "date_after", "area_m2", "share", "width_m", "geometry",
]  # fmt: skip
"""Columns of the findings."""
FLOATS = ("value", "threshold", "margin", "area_m2", "share", "width_m")
DATES = ("date_before", "date_after")
ADDITIVE_UNITS = frozenset({"km2", "ha", "m2", "1e4 mu", "mu", "km", "person", "1e4 person"})
"""Units of amounts that add up over districts, when the indicator has no denominator."""


@dataclass
class Context:
    """What the rules of one checkup are applied to."""

    city: Any
    """The profile."""
    year: int
    """Year of the checkup."""
    values: pd.DataFrame
    """Value table; earlier years in it serve paths and trends."""
    data: Any
    """The city's layers."""
    definitions: Mapping[str, Indicator]
    """Indicator definitions by id."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Findings so far."""

    @cached_property
    def city_rows(self) -> dict[str, dict[str, Any]]:
        """Value rows of the checkup's year for the whole city, by indicator."""
        now = self._observed[(self._observed["year"] == self.year) & (self._observed["level"] == "city")]
        return {str(row["indicator"]): row for row in now.to_dict("records")}  # type: ignore[misc]

    @cached_property
    def _observed(self) -> pd.DataFrame:
        values = self.values
        return values[
            values["scenario"].eq("observed")
            & values["edition"].eq("latest")
            & ~values["tier"].isin(["target", "derived"])
        ]

    def series(self, indicator: str) -> dict[int, float]:
        """City values of an indicator by year, the missing ones left out."""
        rows = self._observed[
            (self._observed["indicator"] == indicator) & (self._observed["level"] == "city")
        ]
        return {
            int(year): float(value)
            for year, value in zip(rows["year"], rows["value"], strict=True)
            if pd.notna(value)
        }

    def districts(self, indicator: str) -> pd.DataFrame:
        """Value rows of the year for the districts."""
        rows = self._observed
        return rows[
            (rows["indicator"] == indicator) & (rows["level"] == "district") & (rows["year"] == self.year)
        ]

    def add(
        self, rule: Rule, outcome: Outcome, row: Mapping[str, Any] | None, *, suffix: str = "", **more: Any
    ) -> None:
        """Record what a rule said about a value row."""
        row = row or {}
        indicator = str(row.get("indicator", ""))
        definition = self.definitions.get(indicator)
        zone = str(row.get("zone", self.city.name))
        parts = [rule.id, indicator, zone, str(self.year), suffix]
        self.rows.append(
            {
                "finding_id": "-".join(part for part in parts if part),
                "rule": rule.id,
                "kind": rule.kind,
                "level": outcome.level,
                "indicator": indicator,
                "zone_level": str(row.get("level", "city")),
                "zone": zone,
                "zone_name": str(row.get("zone_name", self.city.name_zh)),
                "year": self.year,
                "value_id": str(row.get("value_id", "")),
                "value": row.get("value", np.nan),
                "threshold": outcome.threshold,
                "margin": outcome.margin,
                "unit": str(row.get("unit", "")),
                "message_zh": messages.of_outcome(rule, outcome, definition, "zh"),
                "message_en": messages.of_outcome(rule, outcome, definition, "en"),
                "clause": rule.clause,
                **more,
            }
        )


def evaluate(
    city: Any,
    year: int,
    values: pd.DataFrame,
    data: Any | None = None,
    *,
    definitions: Mapping[str, Indicator] | None = None,
) -> gpd.GeoDataFrame:
    """Judge a year by a city's rule packs.

    Parameters
    ----------
    city : City
        Its ``rule_packs`` name the packs, its ``targets`` the planned values. The pack ``data_checks`` always applies.
    year : int
        Year of the checkup.
    values : DataFrame
        Value table of the year; rows of earlier years serve paths and trends.
    data : CityData, optional
        The city's layers; opened when not given.
    definitions : mapping, optional
        Indicator definitions; the package's own when not given.

    Returns
    -------
    GeoDataFrame
        Columns :data:`COLUMNS`, one row a judgement, worst first; spatial conflicts carry the shape of the part on the
        wrong side, others none. CRS of the city.
    """
    if data is None:
        from workbench.catalog.data import CityData

        data = CityData(city)
    if definitions is None:
        from workbench.indicators.library import load_library

        definitions = load_library()
    context = Context(city=city, year=int(year), values=values, data=data, definitions=definitions)
    packs = tuple(dict.fromkeys((*city.rule_packs, "data_checks")))
    rules = [rule for rule in load_rules(packs).values() if rule.in_force(date(year, 12, 31))]
    judge_targets(context, [rule for rule in rules if rule.pack == "targets"])
    _judge_values(context, [rule for rule in rules if rule.pack == "data_checks"])
    spatial = [rule for rule in rules if rule.kind == "spatial_conflict"]
    cases = spatial_findings(context, spatial) if spatial else None
    return _frame(context, cases)


def _frame(context: Context, cases: pd.DataFrame | None) -> gpd.GeoDataFrame:
    rows = [*context.rows, *([] if cases is None else cases[COLUMNS].to_dict("records"))]
    found = pd.DataFrame(rows, columns=COLUMNS)
    for name in COLUMNS[:-1]:
        if name in FLOATS:
            found[name] = pd.to_numeric(found[name]).astype("float64")
        elif name in DATES:
            found[name] = pd.to_datetime(found[name]).astype("datetime64[ms]")
        elif name in ("level", "year"):
            found[name] = found[name].astype("int64")
        else:
            found[name] = found[name].where(found[name].notna(), "").astype(str)
    found["geometry"] = found["geometry"].where(found["geometry"].notna(), None)
    found = found.sort_values(
        ["level", "kind", "area_m2", "finding_id"], ascending=[False, False, False, True], kind="stable"
    )
    return gpd.GeoDataFrame(found.reset_index(drop=True), geometry="geometry", crs=context.city.crs)


def survey_pair(data: Any, year: int) -> Change | None:
    """Find the land surveys of a year and of the one before it, with the year's change patches; None if one is absent."""
    years = sorted(data.years("land_use"))
    earlier = [known for known in years if known < year]
    if year not in years or not earlier:
        return None
    last = earlier[-1]

    def day(known: int) -> pd.Timestamp:
        """Day the land is surveyed for; a date in another year is that of a revision's publication."""
        text: str = data.source("land_use", known, edition="original").date or "NaT"
        stated = pd.Timestamp(text)
        return stated if pd.notna(stated) and stated.year == known else pd.Timestamp(known, 12, 31)

    images = data.vector("change_patches", year) if data.has("change_patches", year) else None
    return Change(
        data.vector("land_use", last), data.vector("land_use", year), day(last), day(year), images=images
    )


def spatial_findings(context: Context, rules: list[Rule]) -> pd.DataFrame | None:
    """Suspected patches of the year as findings; None when the city lacks two land surveys."""
    data, city = context.data, context.city
    change = survey_pair(data, context.year)
    if change is None:
        for rule in rules:
            context.add(rule, Outcome(NO_DATA, "no_data"), None, line=rule.line)
        return None
    lines = {rule.line: data.vector(rule.line) for rule in rules if data.has(rule.line)}
    for rule in rules:
        if rule.line not in lines:
            context.add(rule, Outcome(NO_DATA, "no_data"), None, line=rule.line)
    cases = build_cases(
        change,
        lines,
        rules,
        permits=data.vector("permits") if data.has("permits") else None,
        districts=data.zones("district" if "district" in city.levels else "city"),
        units=data.zones("unit") if "unit" in city.levels else None,
    )
    cases = cases[~cases["outcome"].isin(["small", "sliver"])]
    if cases.empty:
        return None
    by_id = {rule.id: rule for rule in rules}
    label = {lang: names(lang) for lang in ("zh", "en")}
    found = cases.assign(
        indicator="",
        zone_level="case",
        zone=cases["finding_id"],
        zone_name=cases["finding_id"],
        year=context.year,
        value=cases["area_m2"],
        unit="m2",
        value_id=[
            value_id(city.name, "case.area_m2", "case", case, context.year) for case in cases["finding_id"]
        ],
        clause=[by_id[rule].clause for rule in cases["rule"]],
    )
    for lang in ("zh", "en"):
        found[f"message_{lang}"] = [
            messages.of_case(
                by_id[row["rule"]],
                label[lang].get(row["before"], row["before"]),
                label[lang].get(row["after"], row["after"]),
                row["permit_state"],
                lang,
            )
            for row in cases.drop(columns="geometry").to_dict("records")
        ]
    return pd.DataFrame(found)


def _judge_values(context: Context, rules: list[Rule]) -> None:
    for rule in rules:
        if rule.kind == "freshness":
            _judge_freshness(context, rule)
        elif rule.line:
            _judge_stated_area(context, rule)
        elif rule.applies.get("additive"):
            _judge_sums(context, rule)


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


def _judge_stated_area(context: Context, rule: Rule) -> None:
    """Hold each parcel's stated area against its geometry; one finding for the layer, its value the number that differ."""
    try:
        parcels = context.data.vector(rule.line, context.year)
    except LayerMissing:
        return
    if "area_m2" not in parcels or parcels["area_m2"].isna().all():
        return
    measured = area_m2(parcels.geometry, parcels.crs)
    stated = parcels["area_m2"].to_numpy(dtype="float64")
    allowed = np.maximum(rule.tolerance, float(rule.parameters["relative"]) * measured)
    excess = np.abs(stated - measured) - allowed
    worst = int(np.nanargmax(excess))
    outcome = judge(rule, value=float(stated[worst]), other=float(measured[worst]))
    differ = int((excess > 0).sum())
    row = {
        "value": float(differ),
        "unit": "count",
        "zone": context.city.name,
        "zone_name": context.city.name_zh,
        "value_id": value_id(
            context.city.name, f"report.{rule.id}", "report", context.city.name, context.year
        ),
    }
    context.add(rule, Outcome(outcome.level, outcome.outcome, outcome.margin, 0.0), row, line=rule.line)
