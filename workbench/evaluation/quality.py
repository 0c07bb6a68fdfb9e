"""Numbers of the data quality check as rows of the value table."""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench.evaluation.derived import Row
from workbench.governance import QualityReport
from workbench.indicators.values import derived


def quality_rows(report: QualityReport, year: int) -> list[Row]:
    """Rows ``quality.*`` of a city's quality check.

    Parameters
    ----------
    report : QualityReport
        The check.
    year : int
        Year of the checkup.

    Returns
    -------
    list of dict
        Zone ``all``: ``quality.layers, checks, good, bad, blocked, errors, warnings, findings``; zone = layer
        (``role`` or ``role-year``): ``quality.layer_checks, layer_errors, layer_warnings``; zone = check:
        ``quality.check_looked, check_findings``.
    """
    state, found = report.layers["state"], report.findings
    numbers: list[tuple[str, str, int]] = [
        ("layers", "all", len(state)), ("checks", "all", len(report.gates)),
        ("good", "all", int(state.isin(["passed", "warned"]).sum())),
        ("bad", "all", int(state.isin(["failed", "blocked"]).sum())),
        ("blocked", "all", int((state == "blocked").sum())),
        ("errors", "all", int((found["severity"] == "error").sum())),
        ("warnings", "all", int((found["severity"] == "warning").sum())), ("findings", "all", len(found)),
    ]  # fmt: skip
    for row in report.layers.to_dict("records"):
        zone = str(row["role"]) if pd.isna(row["year"]) else f"{row['role']}-{int(row['year'])}"
        numbers += [(f"layer_{name}", zone, int(row[name])) for name in ("checks", "errors", "warnings")]
    told = found["check"].value_counts()
    for name, looked in report.gates["check"].value_counts(sort=False).items():
        check = str(name)
        numbers += [("check_looked", check, int(looked)), ("check_findings", check, int(told.get(check, 0)))]
    return [_row(report.city, year, *one) for one in numbers]


def _row(city: Any, year: int, name: str, zone: str, number: int) -> Row:
    basis = "governance.check: every check of the packs on every layer"
    return derived(
        f"quality.{name}", float(number), city=city.name, year=year, zone=zone, zone_name=zone, basis=basis
    )
