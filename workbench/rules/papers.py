"""Checks of permits and projects: temporary land past its end, facility land, chains out of order, stuck projects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core.codes import match
from workbench.operators.area import area_m2
from workbench.rules.context import Context
from workbench.rules.kinds import NO_DATA, Outcome, judge
from workbench.rules.projects import CHAIN, LIMIT_DAYS, out_of_order, project_chain
from workbench.rules.rule import Rule
from workbench.rules.shapes import shared, united

Item = tuple[str, Any, dict[str, float]]
"""Number of the permit or project, its shape, and what the rule's kind is given."""


def judge_papers(context: Context, rules: Sequence[Rule]) -> None:
    """Add the findings of rules on permits and projects to ``context.rows``.

    Each permit or project that is not in order is a finding; a rule under which all are leaves one of level 0, and a
    city without permits one without data.
    """
    for rule in rules:
        if not context.data.has("permits"):
            context.add(rule, Outcome(NO_DATA, "no_data"), None, line="permits")
            continue
        check, unit, zone_level = PAPERS[str(rule.applies["paper"])]
        judged, first = 0, True
        for number, shape, given in check(context, rule):
            judged += 1
            outcome = judge(rule, **given)
            if outcome.level > 0:
                first = False
                context.add_number(
                    rule, outcome, given["value"], unit, zone=number, line="permits", zone_level=zone_level,
                    geometry=shape,
                )  # fmt: skip
        if judged and first:
            good = next(name for name, level in rule.levels.items() if level == 0)
            context.add_number(rule, Outcome(0, good), 0.0, "count", line="permits")


def _end_of_year(context: Context) -> pd.Timestamp:
    return pd.Timestamp(context.year, 12, 31)


def _permits(context: Context, kind: str) -> gpd.GeoDataFrame:
    """Permits of a kind that were approved by the end of the year, with dates."""
    permits = context.data.vector("permits")
    permits = permits[permits["kind"] == kind]
    permits = permits.assign(
        approved=pd.to_datetime(permits["approved"]), ended=pd.to_datetime(permits["ended"])
    )
    return permits[~(permits["approved"] > _end_of_year(context))]


def _days(delta: Any) -> float:
    return float(pd.Timedelta(delta).days)


def _temporary_term(context: Context, rule: Rule) -> Iterator[Item]:
    """Length of each temporary permit in days."""
    for _, row in _permits(context, "临时用地").iterrows():
        if pd.notna(row["ended"]) and pd.notna(row["approved"]):
            given = {
                "value": _days(row["ended"] - row["approved"]),
                "target": float(rule.parameters["limit_days"]),
            }
            yield str(row["permit_id"]), row["geometry"], given


def _temporary_unrestored(context: Context, rule: Rule) -> Iterator[Item]:
    """Days since the end of temporary permits whose land is still built on in the year's survey."""
    permits, today = _permits(context, "临时用地"), _end_of_year(context)
    permits = permits[permits["ended"] <= today]
    if not context.data.has("land_use", context.year) or permits.empty:
        return
    land = context.data.vector("land_use", context.year)
    built = land[match(land["dlbm"].fillna("").astype(str), "construction")].geometry.to_numpy()
    shapes = permits.geometry.to_numpy()
    i, _, pieces, _ = shared(shapes, built)
    open_m2 = area_m2(united(pieces, i, len(shapes)), context.city.crs)
    for at, (_, row) in enumerate(permits.iterrows()):
        late = _days(today - row["ended"]) if open_m2[at] >= float(rule.parameters["min_area_m2"]) else 0.0
        given = {"value": late, "target": float(rule.parameters["limit_days"])}
        yield str(row["permit_id"]), row["geometry"], given


def _facility_ended(context: Context, rule: Rule) -> Iterator[Item]:
    """Days since the end of permits for facility farmland."""
    today = _end_of_year(context)
    for _, row in _permits(context, "设施农用地").iterrows():
        if pd.notna(row["ended"]):
            late = max(0.0, _days(today - row["ended"]))
            yield (
                str(row["permit_id"]),
                row["geometry"],
                {"value": late, "target": float(rule.parameters["limit_days"])},
            )


def _undated(context: Context, rule: Rule) -> Iterator[Item]:
    """Number of permits of a kind that state no end, as one item."""
    permits = _permits(context, str(rule.applies["permit_kind"]))
    if len(permits):
        shape = shapely.union_all(permits.geometry.to_numpy()[permits["ended"].isna().to_numpy()])
        given = {"value": float(permits["ended"].isna().sum()), "other": 0.0}
        yield str(rule.applies["permit_kind"]), None if shapely.is_empty(shape) else shape, given


def _chains(context: Context) -> Iterator[tuple[str, Any, Any]]:
    """Projects that have permits, their shape, and the first approval of each stage."""
    permits = context.data.vector("permits")
    if "project_code" not in permits:
        return
    approved = pd.to_datetime(permits["approved"])
    permits = permits[
        permits["kind"].isin(CHAIN) & (permits["project_code"].fillna("") != "") & approved.notna()
    ]
    permits = permits.assign(approved=pd.to_datetime(permits["approved"]))
    permits = permits[permits["approved"] <= _end_of_year(context)]
    for code, rows in permits.groupby("project_code", sort=True):
        days = rows.groupby("kind")["approved"].min().reindex(CHAIN).to_numpy("datetime64[D]")
        yield str(code), rows.geometry.iloc[-1], days


def _chain_order(context: Context, rule: Rule) -> Iterator[Item]:
    """Stages of each project that were approved before the stage that comes first."""
    for code, shape, days in _chains(context):
        yield code, shape, {"value": float(len(out_of_order(days))), "other": 0.0}


def _chain_skipped(context: Context, rule: Rule) -> Iterator[Item]:
    """Stages of each project that are missing before one it has reached; those a project can do without aside."""
    free = set(rule.parameters["optional"])
    for code, shape, days in _chains(context):
        last = int(np.flatnonzero(~np.isnat(days)).max())
        gaps = [one for at, one in enumerate(CHAIN[:last]) if np.isnat(days[at]) and one not in free]
        yield code, shape, {"value": float(len(gaps)), "other": 0.0}


def _stuck(context: Context, rule: Rule) -> Iterator[Item]:
    """Days each project rests in its stage, against the limit of the stage."""
    if not context.data.has("projects"):
        return
    projects, permits = context.data.vector("projects"), context.data.vector("permits")
    if "project_code" not in permits:
        return
    limits = LIMIT_DAYS | {str(name): int(days) for name, days in rule.parameters.get("limits", {}).items()}
    chain = project_chain(projects, permits, _end_of_year(context), limits=limits)
    shapes = dict(zip(projects["project_code"].astype(str), projects.geometry, strict=True))
    for row in chain.to_dict("records"):
        if row["next_stage"] and row["stage"] in limits and pd.notna(row["days_in_stage"]):
            given = {"value": float(row["days_in_stage"]), "target": float(limits[str(row["stage"])])}
            yield str(row["project_code"]), shapes.get(str(row["project_code"])), given


PAPERS: dict[str, tuple[Callable[[Context, Rule], Iterator[Item]], str, str]] = {
    "temporary_term": (_temporary_term, "day", "permit"),
    "temporary_unrestored": (_temporary_unrestored, "day", "permit"),
    "facility_ended": (_facility_ended, "day", "permit"),
    "undated": (_undated, "count", "permit"),
    "chain_order": (_chain_order, "count", "project"),
    "chain_skipped": (_chain_skipped, "count", "project"),
    "stuck": (_stuck, "day", "project"),
}
"""Name of a check, as a rule's ``applies.paper`` has it -> what it gives, the unit, the level of its zones."""
