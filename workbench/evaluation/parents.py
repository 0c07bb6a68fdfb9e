"""What a derived number is made of, one step back: the findings, cases and values it counts, and the code that counts.

:class:`workbench.evaluation.lineage.Ancestry` says on which layers a derived row rests in the end; this module says what
stands between. Both go by the kind of row; :func:`again` makes a row anew from the same parents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd

from workbench.evaluation.derived import indicator_levels, observed, places
from workbench.evaluation.lineage import OF_PATHS, family_of
from workbench.rules.evaluate import rules_of

if TYPE_CHECKING:
    from workbench.evaluation.checkup import Checkup
    from workbench.evaluation.derived import Row
    from workbench.rules.rule import Rule

CODE = {
    "none": "derived.derived_rows", "scope": "derived.derived_rows", "levels": "derived.indicator_levels",
    "findings": "derived.derived_rows", "cases": "derived.derived_rows", "changes": "derived.derived_rows",
    "targets": "derived.derived_rows", "peers": "derived.derived_rows", "rule": "derived.derived_rows",
    "case": "derived.derived_rows", "gaps": "gaps.gap_rows", "paths": "pace.pace_rows", "accounts": "ledger.value_rows",
    "transmission": "transmission.value_rows", "register": "casebook.register_rows", "permit": "casebook.permit_rows",
    "former": "former.former_rows", "projects": "stuck.project_rows", "quarter": "quarters.quarter_rows",
    "problems": "problems.problem_rows", "parts": "further.part_rows",
}  # fmt: skip
"""Kind of row -> module and function of :mod:`workbench.evaluation` that makes it."""
OWN_HEADS = {"permit": "permit", "state": "gaps"}
"""Rows made elsewhere than the others of their family."""
COUNTED = frozenset({"total", "computed", "missing"})
CASE_CODE = {
    "age_days": "register", "register_mu": "register", "days_in_stage": "projects", "quarter_days": "quarter",
    "former_m2": "former", "still_pct": "former",
}  # fmt: skip
"""Rows of single cases that are not made with the findings of the year."""


@dataclass(frozen=True)
class Parents:
    """What a derived row is made of."""

    code: str
    """Module and function, ``workbench.evaluation.derived.derived_rows``."""
    findings: tuple[str, ...] = ()
    """Numbers of the findings, or space codes of the cases, that are counted."""
    rules: tuple[Rule, ...] = ()
    """Rules that said so."""
    values: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Rows of the value table it is made of."""


def parents(checkup: Checkup, row: Mapping[str, Any]) -> Parents:
    """Parents of a derived row of a checkup.

    Parameters
    ----------
    checkup : Checkup
        The checkup the row is of, as its run saved it.
    row : mapping
        Row of the value table.
    """
    kind, _, rest = str(row["indicator"]).partition(".")
    head, _, subject = rest.partition(".")
    zone = str(row["zone"])
    family = CASE_CODE.get(head, "case") if kind == "case" else family_of(head) or "rule"
    made = OWN_HEADS.get(head, family)
    if head in COUNTED or (family == "paths" and head not in OF_PATHS - {"expected", "deviation"}):
        made = "none"
    found = _findings(checkup, kind, family, head, subject, zone)
    ids = tuple(found["finding_id"].astype(str)) if "finding_id" in found else ()
    if family == "register":
        ids = _cases_of_register(checkup, head, subject, zone)
    known = {rule.id: rule for rule in rules_of(checkup.city, checkup.year)}
    rules = [known[one] for one in dict.fromkeys(found.get("rule", ())) if one in known]
    return Parents(
        code=f"workbench.evaluation.{CODE[made]}", findings=ids, rules=tuple(rules),
        values=_values(checkup, family, head, subject, zone),
    )  # fmt: skip


def _findings(checkup: Checkup, kind: str, family: str, head: str, subject: str, zone: str) -> pd.DataFrame:
    """Findings that a row counts or states."""
    found: pd.DataFrame = checkup.findings
    if kind == "case":
        return found[found["finding_id"] == zone] if family == "case" else found.iloc[:0]
    values = found[found["kind"] != "spatial_conflict"]
    if family in ("cases", "quarter") or head == "permit":
        patches = found[(found["kind"] == "spatial_conflict") & found["area_m2"].notna()]
        return _patches(checkup, patches, head, subject, zone)
    if family == "findings":
        level = -1 if head.endswith("no_data") else int(head[-1]) if head != "rules" else None
        return found if level is None else values[values["level"] == level]
    if family == "levels":
        return _of_level(checkup, head, zone)
    if family == "peers":
        rows = found[
            (found["kind"] == "peer_band") & (found["level"] > 0) & (found["zone_level"] == "district")
        ]
        return rows if zone == "all" else rows[rows["zone"] == zone]
    if family == "problems":
        return found[found["finding_id"].isin(_of_problem(checkup, head, zone))]
    if family == "rule":
        return values[(values["rule"] == head) & (values["zone"].astype(str) == zone)]
    if family == "paths":
        return values[
            (values["indicator"] == subject) & (values["zone_level"] == "city") & (values["kind"] == "path")
        ]
    if family == "former" and checkup.before is not None:
        before: pd.DataFrame = checkup.before
        spatial = (before["kind"] == "spatial_conflict") & before["area_m2"].notna()
        rows = before[spatial] if zone == "patches" else before[before["outcome"].fillna("") != ""]
        return rows if zone in ("patches", "warnings") else rows[rows["outcome"] == zone]
    return found.iloc[:0]


def _patches(checkup: Checkup, patches: pd.DataFrame, head: str, subject: str, zone: str) -> pd.DataFrame:
    """Patches behind a count of places, of a line or of a permit state."""
    if head == "permit":
        chosen = (patches["line"] == zone) & (patches["permit_state"] == subject) & (patches["level"] > 0)
        return patches[chosen]
    if head == "quarter":
        from workbench.core.quarters import bounds

        start, end = bounds(checkup.year, int(zone[1]))
        dated = pd.to_datetime(patches["date_after"]).between(start, end)
        return patches[dated & (subject == "patches")]
    line, _, district = zone.partition("/")
    if line != "all":
        patches = patches[(patches["line"] == line) & ((patches["district"] == district) | (district == ""))]
    place = places(gpd.GeoDataFrame(patches)) if line == "all" and len(patches) else range(len(patches))
    groups = patches.groupby(list(place), sort=False)
    if head == "cases_open":
        return patches[groups["permit_state"].transform(lambda states: states.ne("已批").any()).astype(bool)]
    if head[-1].isdigit():
        return patches[groups["level"].transform("max") == int(head[-1])]
    return patches


def _of_level(checkup: Checkup, head: str, zone: str) -> pd.DataFrame:
    """Findings that gave the indicators of a dimension their level."""
    found: pd.DataFrame = checkup.findings
    worst = indicator_levels(found)
    named = {
        name for name, one in checkup.definitions.items() if zone in ("all", one.dimension) and name in worst
    }
    rows = found[found["indicator"].isin(named) & (found["zone_level"] == "city")]
    rows = rows[rows["level"] == rows["indicator"].map(worst)]
    if head.startswith("level_"):
        return rows[rows["level"] == int(head[-1])]
    return rows if head == "rated" else rows.iloc[:0]


def _of_problem(checkup: Checkup, head: str, zone: str) -> set[str]:
    from workbench.evaluation.problems import problems

    kind, _, about = zone.partition("/")
    listed = problems(checkup.values, checkup.findings, checkup.year, city=checkup.city.name)
    return {
        number
        for one in listed
        if (one.kind != "data" if kind == "all" else one.kind == kind) and (not about or one.subject == about)
        for number in one.findings
    }


def _cases_of_register(checkup: Checkup, head: str, subject: str, zone: str) -> tuple[str, ...]:
    """Space codes of the cases a row about the register counts."""
    from workbench.evaluation.casebook import last_day, register_of
    from workbench.rules.register import STATUSES

    register = register_of(checkup.city)
    if register is None:
        return ()
    if head != "register":
        return (zone,)
    line, _, year = zone.partition("/")
    cases = register.table(last_day(register))
    cases = cases[(cases["line"] == line) | (line == "all")]
    if subject in STATUSES:
        cases = cases[cases["status"] == subject]
    reached = {"found": "发现", "checked": "核查", "rectified": "整改", "closed": "销号"}
    if year and subject in reached:
        steps = register.history[register.history["to_status"] == reached[subject]]
        steps = steps[steps["on_date"].dt.year == int(year)]
        cases = cases[cases["space_code"].isin(set(steps["space_code"]))]
    elif year:
        day = pd.Timestamp(int(year) - (subject == "open_start"), 12, 31)
        then = register.table(day)
        cases = cases[cases["space_code"].isin(then.loc[then["status"] != STATUSES[-1], "space_code"])]
    return tuple(cases["space_code"].astype(str))


def _values(checkup: Checkup, family: str, head: str, subject: str, zone: str) -> pd.DataFrame:
    """Rows of the value table that a row is made of."""
    values = checkup.values
    own = values[(values["indicator"] == subject) & (values["level"] == "city")]
    if family == "changes" or family == "parts":
        return own[own["year"].isin([checkup.year, checkup.year - 1])]
    if family == "paths":
        target = values[(values["indicator"] == subject) & (values["level"] == "target")]
        return pd.concat([own[own["year"] == checkup.year], target])
    if family == "targets" or head == "targets":
        return values[values["level"] == "target"]
    if family == "transmission":
        here = (values["indicator"] == subject) & (values["zone"] == zone) & (values["year"] == checkup.year)
        return values[here & (head == "quota_gap")]
    if head in COUNTED:
        rows = observed(values, checkup.year)
        named = [getattr(checkup.definitions.get(name), "dimension", "") for name in rows["indicator"]]
        rows = rows[[zone in ("all", one) for one in named]]
        return rows if head == "total" else rows[rows["value"].notna() == (head == "computed")]
    return values.iloc[:0]


def again(checkup: Checkup, row: Mapping[str, Any]) -> float | None:
    """Number of a derived row made anew from the values and findings of its run; None when that is not enough.

    The ledger, the passing on of quotas and the parts of changes need the layers, and give None.
    """
    kind, _, rest = str(row["indicator"]).partition(".")
    head = rest.partition(".")[0]
    family = CASE_CODE.get(head, "case") if kind == "case" else family_of(head) or "rule"
    if row["tier"] == "target":
        family = "target"
    for make in _makers(checkup, head, family):
        for one in make():
            if one["value_id"] == row["value_id"]:
                return float(one["value"])
    return None


def _makers(checkup: Checkup, head: str, family: str) -> list[Callable[[], list[Row]]]:
    """Functions one of which makes rows of a family, cheap ones first."""
    from workbench.evaluation import casebook, derived, former, gaps, pace, problems, quarters, stuck
    from workbench.evaluation.checkup import scope_areas
    from workbench.evaluation.filled import filled_indicators

    city, data, year, found = checkup.city, checkup.data, checkup.year, checkup.findings
    values, named = checkup.values, checkup.definitions
    given = values[values["tier"] != "derived"]

    def of_problems() -> list[Row]:
        listed = problems.problems(values, found, year, city=city.name)
        return problems.problem_rows(city, year, listed, lambda one: "内部")

    def of_gaps() -> list[Row]:
        filled = filled_indicators(data, observed(values, year))
        rows = gaps.gap_rows(city, year, gaps.gaps(city, data, year, values, named))
        return [*rows, *gaps.basis_rows(city, year, values, named, filled=filled)]

    def of_all() -> list[Row]:
        areas = scope_areas(data, city) if head == "scope_km2" else {}
        return derived.derived_rows(city, year, given, found, named, areas)

    register = casebook.register_of
    makers: dict[str, list[Callable[[], list[Row]]]] = {
        "target": [lambda: derived.target_rows(city)],
        "gaps": [of_all, of_gaps],
        "paths": [of_all, lambda: pace.pace_rows(city, year, values)],
        "targets": [of_all, lambda: pace.pace_rows(city, year, values)],
        "register": [lambda: casebook.register_rows(city, year, register(city))],
        "former": [lambda: former.former_rows(city, year, checkup.before)],
        "projects": [lambda: stuck.project_rows(city, data, year)],
        "quarter": [lambda: quarters.quarter_rows(city, data, year, found, register(city))],
        "problems": [of_problems],
        "accounts": [], "transmission": [], "parts": [],
    }  # fmt: skip
    if head == "permit":
        return [lambda: casebook.permit_rows(city, year, found)]
    return makers.get(family, [of_all])
