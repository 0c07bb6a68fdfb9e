"""Projects at the end of a year: how many there are, which are stuck, and how long each has rested in its stage."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from workbench.core.quarters import bounds
from workbench.evaluation.derived import Row
from workbench.indicators.values import derived
from workbench.rules.projects import project_chain

STUCK = "stuck"
"""Zone of the row that counts the projects that are stuck."""
UNDATED = ("no_date", "没有批准日期", "no date of approval")


def chain_of(data: Any, year: int, quarter: int = 0) -> pd.DataFrame | None:
    """Where each project stands at the end of a year, or of a quarter of it; None without projects or permits."""
    if not data.has("projects") or not data.has("permits"):
        return None
    projects, permits = data.vector("projects"), data.vector("permits")
    if "project_code" not in permits or "project_code" not in projects:
        return None
    plain = [pd.DataFrame(one.drop(columns="geometry")) for one in (projects, permits)]
    return project_chain(plain[0], plain[1], bounds(year, quarter)[1])


def project_rows(city: Any, data: Any, year: int) -> list[Row]:
    """Rows ``report.projects`` (zone ``all`` and ``stuck``) and ``case.days_in_stage`` of each project that is stuck."""
    chain = chain_of(data, year)
    if chain is None:
        return []
    common: dict[str, Any] = {"city": city.name, "year": year, "sensitivity": "内部"}
    stuck = chain[chain["stuck"]]
    rows = [
        derived("report.projects", number, zone=zone, zone_name=zone, basis="projects with permits", **common)
        for zone, number in (("all", len(chain)), (STUCK, len(stuck)))
    ]
    for code, days in zip(
        stuck["project_code"].astype(str), stuck["days_in_stage"].astype(float), strict=True
    ):
        rows.append(
            derived(
                "case.days_in_stage",
                days,
                unit="day",
                level="case",
                zone=code,
                zone_name=code,
                basis=f"days in the stage on {year}-12-31",
                reason=UNDATED if math.isnan(days) else None,
                **common,
            )
        )
    return rows
