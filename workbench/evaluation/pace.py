"""From the base year to the target year: how far the plan has come, where its pace leads, and whether to keep a target.

The judgement follows three stated rules. A target is *kept* when it is reached or the pace since the base year, carried on
evenly, reaches it. Its *measures are adjusted* when the pace falls short but at least half of the way that should lie behind
does. It is *examined for revision* when less does, or the value moves away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.core.units import convert
from workbench.evaluation.derived import Row, met, observed
from workbench.indicators.values import derived

VERDICTS = ("keep", "adjust", "revise", "unknown")
"""What may be advised for a target; the value of ``report.verdict.*`` is the place in this list."""
HALF = 0.5
"""Share of the way expected by now from which measures are adjusted rather than the target examined."""
BASE_LAG = 2
"""Years that the base may lie before the base year."""
NO_BASE = ("no_base", "缺少基期数值", "no value of the base year")
AT_GOAL = ("at_goal", "基期已达到目标值", "the value of the base year is the target itself")


@dataclass(frozen=True)
class Pace:
    """One target and the way to it, in the unit of the indicator."""

    indicator: str
    target_year: int
    base_year: int
    base: float
    now: float
    goal: float
    op: str
    year: int

    @property
    def time_share(self) -> float:
        """Share of the time from base to target year that has gone."""
        return min(1.0, (self.year - self.base_year) / max(1, self.target_year - self.base_year))

    @property
    def done_share(self) -> float:
        """Share of the way from base value to target that lies behind; NaN where there is no way."""
        way = self.goal - self.base
        return (self.now - self.base) / way if way else math.nan

    @property
    def projected(self) -> float:
        """Value in the target year when the mean pace since the base year goes on."""
        gone = self.year - self.base_year
        return (
            self.now + (self.now - self.base) / gone * max(0, self.target_year - self.year)
            if gone > 0
            else math.nan
        )

    @property
    def verdict(self) -> str:
        """One of :data:`VERDICTS`.

        Examples
        --------
        >>> Pace("x", 2035, 2020, 10.0, 12.0, 16.0, ">=", 2025).verdict
        'keep'
        >>> Pace("x", 2035, 2020, 10.0, 11.2, 16.0, ">=", 2025).verdict
        'adjust'
        >>> Pace("x", 2035, 2020, 10.0, 9.0, 16.0, ">=", 2025).verdict
        'revise'
        """
        if math.isnan(self.now) or math.isnan(self.base):
            return "unknown"
        if met(self.now, self.goal, self.op) and (
            math.isnan(self.projected) or met(self.projected, self.goal, self.op)
        ):
            return "keep"
        if math.isnan(self.projected):
            return "unknown"
        if met(self.projected, self.goal, self.op):
            return "keep"
        if met(self.now, self.goal, self.op):
            return "adjust"
        return "adjust" if self.done_share >= HALF * self.time_share else "revise"


def paces(city: Any, year: int, values: pd.DataFrame) -> list[Pace]:
    """Every target of the profile that has a value this year, with its base where there is one."""
    now = {str(row["indicator"]): row for row in observed(values, year).to_dict("records")}
    found = []
    for target in city.targets:
        row = now.get(target.indicator)
        if row is None or math.isnan(float(row["value"])):
            continue
        unit = str(row["unit"])
        start, base = _base(city, target, values, unit, year)
        goal = convert(float(target.value), target.unit, unit)
        found.append(
            Pace(target.indicator, int(target.year), start, base, float(row["value"]), goal, target.op, year)
        )
    return found


def _base(city: Any, target: Any, values: pd.DataFrame, unit: str, year: int) -> tuple[int, float]:
    start = int(target.base_year or city.base_year)
    if target.base_value is not None:
        return start, convert(float(target.base_value), target.unit, unit)
    for back in range(BASE_LAG + 1):
        if start - back >= year:
            continue
        rows = observed(values, start - back)
        rows = rows[(rows["indicator"] == target.indicator) & rows["value"].notna()]
        if len(rows):
            return start - back, convert(float(rows["value"].iloc[0]), str(rows["unit"].iloc[0]), unit)
    return start, math.nan


def pace_rows(city: Any, year: int, values: pd.DataFrame) -> list[Row]:
    """Rows of the way to each target, zone = target year, and the counts ``report.verdicts``.

    They are ``report.base.*``, ``report.since_base.*``, ``report.projected.*``, ``report.done_pct.*``,
    ``report.time_pct.*`` and ``report.verdict.*``.
    """
    now = observed(values, year).drop_duplicates("indicator").set_index("indicator")
    found = paces(city, year, values)
    rows: list[Row] = []
    seen: set[tuple[str, int]] = set()
    for pace in found:
        if (pace.indicator, pace.target_year) in seen:
            continue
        seen.add((pace.indicator, pace.target_year))
        rows += _rows_of(city, pace, now.loc[[pace.indicator]].iloc[0])
    for verdict in VERDICTS:
        count = sum(pace.verdict == verdict for pace in found)
        rows.append(
            derived(
                "report.verdicts",
                count,
                city=city.name,
                year=year,
                zone=verdict,
                zone_name=verdict,
                basis="targets by what is advised",
            )
        )
    rows.append(
        derived(
            "report.verdicts",
            len(found),
            city=city.name,
            year=year,
            zone="all",
            zone_name="all",
            basis="targets with a value",
        )
    )
    return rows


def _rows_of(city: Any, pace: Pace, now: pd.Series[Any]) -> Iterator[Row]:
    unit, decimals = str(now["unit"]), int(now["decimals"])
    numbers = {
        "base": (pace.base, unit, decimals, f"value of {pace.base_year}"),
        "since_base": (pace.now - pace.base, unit, decimals, f"change since {pace.base_year}"),
        "projected": (
            pace.projected,
            unit,
            decimals,
            "value + mean yearly change since the base year x years left",
        ),
        "done_pct": (100 * pace.done_share, "%", 1, "(value - base) / (target - base)"),
        "time_pct": (100 * pace.time_share, "%", 1, "years gone / years from base to target"),
        "verdict": (float(VERDICTS.index(pace.verdict)), "", 0, " / ".join(VERDICTS)),
    }
    for name, (number, its_unit, its_decimals, basis) in numbers.items():
        reason = None
        if math.isnan(number):
            reason = NO_BASE if math.isnan(pace.base) else AT_GOAL
        yield derived(
            f"report.{name}.{pace.indicator}",
            number,
            city=city.name,
            year=pace.year,
            zone=str(pace.target_year),
            zone_name=str(pace.base_year),
            unit=its_unit,
            decimals=its_decimals,
            basis=basis,
            reason=reason,
            sensitivity=str(now["sensitivity"]),
        )
