"""What a report tells besides values and warnings, as rows of the value table: parts of changes, gaps, paces, cases, problems."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd

from workbench.evaluation.casebook import permit_rows, register_of, register_rows
from workbench.evaluation.compare import PARTS, decompose, published_values
from workbench.evaluation.derived import Row, observed
from workbench.evaluation.filled import filled_indicators
from workbench.evaluation.former import findings_before, former_rows
from workbench.evaluation.gaps import basis_rows, gap_rows, gaps
from workbench.evaluation.pace import pace_rows
from workbench.evaluation.problems import problem_rows, problem_sensitivity, problems
from workbench.evaluation.quarters import quarter_rows
from workbench.evaluation.stuck import project_rows
from workbench.indicators.values import derived, highest_sensitivity, table

if TYPE_CHECKING:
    from workbench.evaluation.checkup import Checkup

Keep = Callable[[str, Callable[[], pd.DataFrame]], pd.DataFrame]
TINY = 1e-9
"""Changes smaller than this are none."""
SHOWN = ("before_published", "before_restated_definition", *PARTS, "total_change")
"""Columns of the decomposition that become rows ``report.parts.<column>.<indicator>``."""


def further(checkup: Checkup, *, keep: Keep) -> tuple[pd.DataFrame, gpd.GeoDataFrame | None]:
    """Rows to be added to a checkup's value table, and the findings of the year before with what became of them.

    Parameters
    ----------
    checkup : Checkup
        Values, findings and ledgers of the year.
    keep : callable
        Called with a name and a function that makes a table; may take it from a cache.
    """
    city, data, year, values = checkup.city, checkup.data, checkup.year, checkup.values
    before = findings_before(
        city, data, year, values, checkup.findings, keep=keep, definitions=checkup.definitions
    )
    rows: list[Row] = [
        *basis_rows(
            city,
            year,
            values,
            checkup.definitions,
            filled=filled_indicators(data, observed(values, year)),
        ),
        *gap_rows(city, year, gaps(city, data, year, values, checkup.definitions)),
        *pace_rows(city, year, values),
        *permit_rows(city, year, checkup.findings),
        *register_rows(city, year, register_of(city)),
        *former_rows(city, year, before),
        *project_rows(city, data, year),
        *quarter_rows(city, data, year, checkup.findings, register_of(city)),
        *problem_rows(
            city,
            year,
            problems(values, checkup.findings, year, city=city.name),
            lambda one: problem_sensitivity(city, values, checkup.findings, one),
        ),
        *part_rows(checkup, keep=keep),
    ]
    return table(rows), before


def part_rows(checkup: Checkup, *, keep: Keep) -> list[Row]:
    """Rows ``report.parts.<part>.<indicator>`` of the change on the year before; none without values of that year."""
    before = observed(checkup.values, checkup.year - 1)
    if before["value"].notna().sum() == 0:
        return []
    told = published_values(checkup, checkup.year - 1)
    mark = "none" if told is None else hashlib.sha256(told.to_csv(index=False).encode()).hexdigest()[:10]
    parts = keep(f"parts-{mark}", lambda: decompose(checkup, published=told))
    rows: list[Row] = []
    for part in parts.to_dict("records"):
        if math.isnan(float(part["before_published"])) and math.isnan(float(part["now"])):
            continue
        for name in SHOWN:
            number = float(part[name])
            why = (str(part["reason_zh"]) or "无法分解", str(part["reason_en"]) or "cannot be parted")
            rows.append(
                derived(
                    f"report.parts.{name}.{part['indicator']}",
                    number,
                    city=checkup.city.name,
                    year=checkup.year,
                    zone=checkup.city.name,
                    zone_name=str(part["basis"]),
                    unit=str(part["unit"]),
                    decimals=int(part["decimals"]),
                    reason=("no_parts", *why) if math.isnan(number) else None,
                    basis=f"{name}: parts of the change on {checkup.year - 1}",
                    definition_version=str(part["former_version"]),
                    sensitivity=_sensitivity(checkup, part["indicator"]),
                )
            )
    strictest = highest_sensitivity([str(row["sensitivity"]) for row in rows])
    moved = parts.assign(any=parts["total_change"].notna())
    counts = {name: int(((moved[name].abs() > TINY) & moved["any"]).sum()) for name in PARTS}
    counts["all"] = int(moved["any"].sum())
    for name, count in counts.items():
        rows.append(
            derived(
                "report.parts_count",
                count,
                city=checkup.city.name,
                year=checkup.year,
                zone=name,
                zone_name=name,
                basis="indicators whose change has this part",
                sensitivity=strictest,
            )
        )
    return rows


def _sensitivity(checkup: Checkup, indicator: Any) -> str:
    rows = observed(checkup.values, checkup.year)
    found = rows.loc[rows["indicator"] == str(indicator), "sensitivity"]
    return str(found.iloc[0]) if len(found) else "内部"
