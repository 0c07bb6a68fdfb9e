"""Applies a city's rule packs to its values and layers; every judgement is a finding."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from typing import Any

import geopandas as gpd
import pandas as pd

from workbench.indicators.indicator import Indicator
from workbench.rules.checks import judge_data
from workbench.rules.context import Context
from workbench.rules.figures import judge_figures
from workbench.rules.library import load_rules
from workbench.rules.papers import judge_papers
from workbench.rules.rule import Rule
from workbench.rules.spatial import spatial_findings, survey_pair
from workbench.rules.targets import judge_peers, judge_targets

__all__ = ["COLUMNS", "Context", "evaluate", "rules_of", "spatial_findings", "survey_pair"]

log = logging.getLogger(__name__)

COLUMNS = [
    "finding_id", "rule", "kind", "level", "indicator", "line", "zone_level", "zone", "zone_name", "year", "value_id",
    "value", "threshold", "margin", "unit", "message_zh", "message_en", "clause", "status", "permit_state", "district",
    "unit_code", "before", "after", "date_before", "date_after", "area_m2", "share", "width_m", "permit_ids",
    "permit_kinds", "permit_share", "permit_end", "space_code", "project_code", "unit_no", "supervision_no",
    "activity_type", "source", "patch_id", "rank", "geometry",
]  # fmt: skip
"""Columns of the findings."""
FLOATS = ("value", "threshold", "margin", "area_m2", "share", "width_m", "permit_share")
DATES = ("date_before", "date_after", "permit_end")
WHOLE = ("level", "year", "rank")
ALWAYS = "data_checks"
"""The pack that applies to every city."""


def rules_of(city: Any, year: int) -> list[Rule]:
    """Rules of a city's packs that are in force on a day of the year, in the order of the packs.

    Rules on values and data must be in force at its end; spatial ones are held against the day of each change.
    """
    rules = load_rules(tuple(dict.fromkeys((*city.rule_packs, ALWAYS)))).values()
    end = date(year, 12, 31)
    return [
        rule
        for rule in rules
        if (
            rule.in_force_during(date(year - 1, 12, 31), end)
            if rule.kind == "spatial_conflict"
            else rule.in_force(end)
        )
    ]


def evaluate(
    city: Any,
    year: int,
    values: pd.DataFrame,
    data: Any | None = None,
    *,
    definitions: Mapping[str, Indicator] | None = None,
    activities: Mapping[str, str] | None = None,
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
    activities : mapping of space code to activity, optional
        Activities on the ecological red line that persons have found (:meth:`workbench.rules.register.Register.activities`).

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
    rules = rules_of(city, int(year))
    on_values = [rule for rule in rules if rule.indicator]
    judge_targets(context, on_values)
    judge_peers(context, on_values)
    papers = [rule for rule in rules if "paper" in rule.applies]
    spatial = [rule for rule in rules if rule.kind == "spatial_conflict"]
    figures = [rule for rule in rules if "figure" in rule.applies]
    told = {rule.id for rule in (*papers, *spatial, *figures)}
    judge_data(context, [rule for rule in rules if rule.id not in told])
    judge_papers(context, papers)
    judge_figures(context, figures)
    cases = spatial_findings(context, spatial, activities) if spatial else None
    return _frame(context, cases)


def _frame(context: Context, cases: pd.DataFrame | None) -> gpd.GeoDataFrame:
    rows = [*context.rows, *([] if cases is None else cases[COLUMNS].to_dict("records"))]
    found = pd.DataFrame(rows, columns=COLUMNS)
    for name in COLUMNS[:-1]:
        if name in FLOATS:
            found[name] = pd.to_numeric(found[name]).astype("float64")
        elif name in DATES:
            found[name] = pd.to_datetime(found[name]).astype("datetime64[ms]")
        elif name in WHOLE:
            found[name] = pd.to_numeric(found[name]).fillna(0).astype("int64")
        else:
            found[name] = found[name].where(found[name].notna(), "").astype(str)
    found["geometry"] = found["geometry"].where(found["geometry"].notna(), None)
    found = found.sort_values(
        ["level", "kind", "area_m2", "finding_id"], ascending=[False, False, False, True], kind="stable"
    )
    return gpd.GeoDataFrame(found.reset_index(drop=True), geometry="geometry", crs=context.city.crs)
