"""Problems of a checkup: warnings grouped by what they are about, each with its rules, the worst first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.evaluation.derived import Row
from workbench.indicators.values import derived, highest_sensitivity

EVIDENCE = ("land_use", "change_patches", "permits")
"""Layers that show a change and what was permitted."""
CLOSED = "内部"
"""What does not say how sensitive it is."""
LEAST = 2
"""Lowest level of a problem."""
DATA_KINDS = ("freshness", "consistency")
KINDS = ("line", "indicator", "permits", "ledger", "data")
"""What a problem is about, in the order of the report."""


@dataclass(frozen=True)
class Problem:
    """One problem."""

    kind: str
    """One of :data:`KINDS`."""
    subject: str
    """Role of a line, indicator, rule on permits, code of a zone out of balance, rule on data."""
    level: int
    """Worst level of its findings."""
    rules: tuple[str, ...]
    """Rules that found it, worst first."""
    findings: tuple[str, ...]
    """Ids of the findings, worst first."""


def problems(values: pd.DataFrame, findings: pd.DataFrame, year: int, *, city: str) -> list[Problem]:
    """Problems of a checkup, by kind, the worst first.

    Parameters
    ----------
    values : DataFrame
        Value table with the rows of the quota ledger where there is one.
    findings : DataFrame
        What the rules say.
    year : int
        Year of the checkup.
    city : str
        Name of the city, whose own account comes first.
    """
    warned = findings[findings["level"] >= LEAST].sort_values(
        ["level", "finding_id"], ascending=[False, True], kind="stable"
    )
    about_data = warned["kind"].isin(DATA_KINDS)
    spatial = (warned["kind"] == "spatial_conflict") & warned["area_m2"].notna()
    on_paper = (warned["line"] == "permits") & ~spatial & ~about_data
    judged = (warned["indicator"] != "") & (warned["zone_level"] == "city") & ~about_data & ~spatial
    groups = (
        ("line", warned[spatial], "line"),
        ("indicator", warned[judged], "indicator"),
        ("permits", warned[on_paper], "rule"),
        ("data", warned[about_data], "rule"),
    )
    found = []
    for kind, rows, by in groups:
        for subject, part in rows.groupby(by, sort=False):
            found.append(
                Problem(
                    kind,
                    str(subject),
                    int(part["level"].max()),
                    tuple(dict.fromkeys(map(str, part["rule"]))),
                    tuple(map(str, part["finding_id"])),
                )
            )
    found += _overdrawn(values, year, city)
    return sorted(found, key=lambda one: (KINDS.index(one.kind), -one.level, -len(one.findings), one.subject))


def _overdrawn(values: pd.DataFrame, year: int, city: str) -> list[Problem]:
    """Accounts of districts or the city that used more than they were given."""
    rows = values[
        (values["indicator"] == "report.quota_left") & (values["year"] == year) & (values["value"] < 0)
    ]
    districts = set(values.loc[values["level"] == "district", "zone"].astype(str)) | {city}
    return [
        Problem("ledger", str(zone), 4, (), (str(value_id),))
        for zone, value_id in zip(rows["zone"], rows["value_id"], strict=True)
        if str(zone) in districts
    ]


def findings_sensitivity(city: Any, values: pd.DataFrame, findings: pd.DataFrame) -> str:
    """The strictest sensitivity of what some findings rest on: words and counts about them may be seen by no more readers.

    A finding rests on the value it judged; a patch also on its line, on what shows the change and on the permits it was
    compared with. What rests on nothing known counts as 内部.
    """
    ids = {str(one) for one in findings["value_id"] if isinstance(one, str) and one}
    levels = [str(level or CLOSED) for level in values.loc[values["value_id"].isin(ids), "sensitivity"]]
    patches = findings[findings["kind"] == "spatial_conflict"]
    roles = [*dict.fromkeys(patches["line"].astype(str)), *EVIDENCE] if len(patches) else []
    levels += [
        str(getattr(city.layers[role], "sensitivity", "") or CLOSED) for role in roles if role in city.layers
    ]
    return highest_sensitivity(levels) if levels else CLOSED


def problem_sensitivity(city: Any, values: pd.DataFrame, findings: pd.DataFrame, one: Problem) -> str:
    """The strictest sensitivity of what a problem rests on: its findings, or the accounts of a zone."""
    if one.kind != "ledger":
        return findings_sensitivity(city, values, findings[findings["finding_id"].isin(one.findings)])
    levels = values.loc[values["value_id"].isin(one.findings), "sensitivity"]
    return highest_sensitivity([str(level or CLOSED) for level in levels]) if len(levels) else CLOSED


def problem_rows(
    city: Any, year: int, found: list[Problem], sensitivity: Callable[[Problem], str]
) -> list[Row]:
    """Rows ``report.problems`` (zone = kind or ``all``) and ``report.problem_findings`` (zone = ``kind/subject``)."""
    levels = {one: sensitivity(one) for one in found}
    strictest = {
        kind: highest_sensitivity(level for one, level in levels.items() if one.kind == kind)
        for kind in KINDS
    }
    counts: Mapping[str, int] = {kind: sum(one.kind == kind for one in found) for kind in KINDS}
    rows = [
        derived(
            "report.problems",
            count,
            city=city.name,
            year=year,
            zone=kind,
            zone_name=kind,
            basis="problems by kind",
            sensitivity=strictest[kind],
        )
        for kind, count in counts.items()
    ]
    whole = sum(count for kind, count in counts.items() if kind != "data")
    rows.append(
        derived(
            "report.problems",
            whole,
            city=city.name,
            year=year,
            zone="all",
            zone_name="all",
            basis="problems other than those of the data",
            sensitivity=highest_sensitivity(strictest[kind] for kind in KINDS if kind != "data"),
        )
    )
    for one in found:
        zone = f"{one.kind}/{one.subject}"
        rows.append(
            derived(
                "report.problem_findings",
                len(one.findings),
                city=city.name,
                year=year,
                zone=zone,
                zone_name=zone,
                basis="findings of the problem",
                sensitivity=levels[one],
            )
        )
    return rows
