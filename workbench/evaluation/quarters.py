"""What is dated by day, counted by quarter: patches, steps of cases, permits, stuck projects. All else is of the year."""

from __future__ import annotations

import math
from typing import Any

import geopandas as gpd
import pandas as pd

from workbench.core.quarters import QUARTERS, bounds
from workbench.evaluation.casebook import RATES, last_day
from workbench.evaluation.derived import Row, places
from workbench.evaluation.stuck import chain_of
from workbench.indicators.values import derived
from workbench.rules.register import Register

NOT_BEGUN = ("register_not_begun", "案件库在该季度之后才建立", "the register was begun after the quarter")
NOT_REACHED = (
    "register_not_reached",
    "该季度在案件库最近一次登记之后",
    "the quarter lies after the last entry of the register",
)
NOTHING = ("nothing_to_close", "期内没有应办案件", "there was nothing to close")
DAYS = "case.quarter_days"
"""Days a project that is stuck at the end of a quarter has rested; zone ``q<quarter>/<project>``."""


def quarter_zone(quarter: int) -> str:
    """Zone of the rows of a quarter.

    >>> quarter_zone(3)
    'q3'
    """
    return f"q{quarter}"


def quarter_rows(
    city: Any, data: Any, year: int, findings: gpd.GeoDataFrame, register: Register | None
) -> list[Row]:
    """Rows of each quarter of a year, zone ``q1`` to ``q4``.

    ``report.quarter.patches``: suspected places whose later date lies in the quarter; ``report.quarter.found`` to
    ``….open_end`` and ``….closing_pct``: the register in the quarter; ``….permits_issued``, ``….permits_ended``;
    ``….projects``, ``….projects_stuck``: at the end of the quarter; and :data:`DAYS` of each that is stuck.
    """
    common: dict[str, Any] = {"city": city.name, "year": year, "sensitivity": "内部"}
    rows: list[Row] = []
    for quarter in QUARTERS:
        rows += _patches(findings, year, quarter, common)
        rows += _register(register, year, quarter, common)
        rows += _papers(data, year, quarter, common)
    return rows


def _count(name: str, number: float, quarter: int, basis: str, common: dict[str, Any], **more: Any) -> Row:
    zone = quarter_zone(quarter)
    return derived(f"report.quarter.{name}", number, zone=zone, zone_name=zone, basis=basis, **more, **common)


def _patches(findings: gpd.GeoDataFrame, year: int, quarter: int, common: dict[str, Any]) -> list[Row]:
    if "date_after" not in findings:
        return []
    start, end = bounds(year, quarter)
    cases = findings[(findings["kind"] == "spatial_conflict") & findings["area_m2"].notna()]
    dated = cases[pd.to_datetime(cases["date_after"]).between(start, end)]
    number = len(set(places(dated).tolist())) if len(dated) else 0
    return [
        _count("patches", number, quarter, "suspected places whose later date lies in the quarter", common)
    ]


def _register(register: Register | None, year: int, quarter: int, common: dict[str, Any]) -> list[Row]:
    """The register in a quarter; missing where the quarter lies outside of what it has seen."""
    if register is None:
        return []
    start, end = bounds(year, quarter)
    outside = (
        NOT_BEGUN
        if end < register.history["on_date"].min()
        else NOT_REACHED
        if start > last_day(register)
        else None
    )
    rate = register.rates(year, quarter).iloc[0]
    rows = [
        _count(
            name, math.nan if outside else int(rate[name]), quarter, "register in the quarter", common,
            reason=outside,
        )
        for name in RATES
    ]  # fmt: skip
    share = math.nan if outside else 100 * float(rate["closing_rate"])
    reason = outside or (NOTHING if math.isnan(share) else None)
    basis = "closed / (open at the start + found) of the quarter"
    return [*rows, _count("closing_pct", share, quarter, basis, common, unit="%", decimals=1, reason=reason)]


def _papers(data: Any, year: int, quarter: int, common: dict[str, Any]) -> list[Row]:
    if not data.has("permits"):
        return []
    start, end = bounds(year, quarter)
    permits = data.vector("permits")
    rows = []
    for name, column in (("permits_issued", "approved"), ("permits_ended", "ended")):
        if column in permits:
            dated = pd.to_datetime(permits[column]).between(start, end)
            rows.append(
                _count(name, int(dated.sum()), quarter, f"permits with '{column}' in the quarter", common)
            )
    chain = chain_of(data, year, quarter)
    if chain is None:
        return rows
    basis = f"projects with permits on {end.date()}"
    stuck = chain[chain["stuck"]]
    rows.append(_count("projects", len(chain), quarter, basis, common))
    rows.append(_count("projects_stuck", len(stuck), quarter, basis, common))
    for code, days in zip(
        stuck["project_code"].astype(str), stuck["days_in_stage"].astype(float), strict=True
    ):
        zone = f"{quarter_zone(quarter)}/{code}"
        reason = ("no_date", "没有批准日期", "no date of approval") if math.isnan(days) else None
        rows.append(
            derived(
                DAYS, days, unit="day", level="case", zone=zone, zone_name=code, reason=reason,
                basis=f"days in the stage on {end.date()}", **common,
            )
        )  # fmt: skip
    return rows
