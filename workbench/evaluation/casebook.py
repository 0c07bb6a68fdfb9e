"""The case register as rows of a checkup's value table: statuses, ages, closing rates; and patches by permit state."""

from __future__ import annotations

import math
from typing import Any

import geopandas as gpd
import pandas as pd

from workbench.evaluation.derived import Row
from workbench.indicators.values import derived
from workbench.rules.register import STATUSES, Register

RATES = ("open_start", "found", "checked", "rectified", "closed", "open_end")
NOTHING = ("nothing_to_close", "期内没有应办案件", "there was nothing to close")
NO_OPEN = ("nothing_open", "没有未销号案件", "no case is open")


def register_of(city: Any) -> Register | None:
    """Register of a city; None when nobody has made one yet."""
    register = Register.open(city)
    return register if len(register.cases) else None


def last_day(register: Register) -> pd.Timestamp:
    """Last day on which anything was written into the register."""
    return pd.Timestamp(max(register.history["on_date"].max(), register.cases["last_seen"].max()))


def register_rows(city: Any, year: int, register: Register | None) -> list[Row]:
    """Rows of the register on its last day.

    ``report.register.<status>`` (zone = line or ``all``), ``report.register.<found|closed|…>`` and
    ``report.register.closing_pct``, ``….median_age`` (zone = ``line/calendar year``), ``case.age_days`` (zone = space code).
    """
    if register is None:
        return []
    day = last_day(register)
    table = register.table(day)
    common: dict[str, Any] = {"city": city.name, "year": year, "sensitivity": "内部"}
    rows: list[Row] = []
    lines = ["all", *sorted(set(table["line"]))]
    for line in lines:
        part = table if line == "all" else table[table["line"] == line]
        rows.append(
            derived(
                "report.register.total",
                len(part),
                zone=line,
                zone_name=line,
                basis=f"cases of the register on {day:%Y-%m-%d}",
                **common,
            )
        )
        for status in STATUSES:
            rows.append(
                derived(
                    f"report.register.{status}",
                    int((part["status"] == status).sum()),
                    zone=line,
                    zone_name=line,
                    basis=f"cases of the register on {day:%Y-%m-%d}",
                    **common,
                )
            )
    for calendar in range(int(register.history["on_date"].min().year), day.year + 1):
        for rate in register.rates(calendar).to_dict("records"):
            known = {str(k): v for k, v in rate.items()}
            if calendar == day.year:  # the year is not over: ages count until the last day
                known["median_age_days"] = _median_age(table, str(rate["line"]))
            rows += _rates(f"{rate['line']}/{calendar}", known, common)
    for case in table.drop(columns="geometry").to_dict("records"):
        rows.append(
            derived(
                "case.age_days",
                float(case["age_days"]),
                unit="day",
                level="case",
                zone=str(case["space_code"]),
                zone_name=str(case["space_code"]),
                basis=f"days open until {day:%Y-%m-%d} or closed",
                **common,
            )
        )
        rows.append(
            derived(
                "case.register_mu",
                float(case["area_m2"]) * 15 / 1e4,
                unit="mu",
                decimals=2,
                level="case",
                zone=str(case["space_code"]),
                zone_name=str(case["space_code"]),
                basis="area registered",
                **common,
            )
        )
    return rows


def _median_age(table: pd.DataFrame, line: str) -> float:
    """Median age of the cases of a line that are open; NaN when none is."""
    still_open = table[(table["status"] != STATUSES[-1]) & ((table["line"] == line) | (line == "all"))]
    return float(still_open["age_days"].median()) if len(still_open) else math.nan


def _rates(zone: str, rate: dict[str, Any], common: dict[str, Any]) -> list[Row]:
    rows = [
        derived(
            f"report.register.{name}", int(rate[name]), zone=zone, zone_name=zone, basis="register", **common
        )
        for name in RATES
    ]
    share, age = 100 * float(rate["closing_rate"]), float(rate["median_age_days"])
    rows.append(
        derived(
            "report.register.closing_pct",
            share,
            unit="%",
            decimals=1,
            zone=zone,
            zone_name=zone,
            basis="closed / (open at the start + found)",
            reason=NOTHING if math.isnan(share) else None,
            **common,
        )
    )
    rows.append(
        derived(
            "report.register.median_age",
            age,
            unit="day",
            zone=zone,
            zone_name=zone,
            basis="median age of cases open at the end",
            reason=NO_OPEN if math.isnan(age) else None,
            **common,
        )
    )
    return rows


def permit_rows(city: Any, year: int, findings: gpd.GeoDataFrame) -> list[Row]:
    """Rows ``report.permit.<state>``: patches by permit state, zone = line."""
    cases = findings[
        (findings["kind"] == "spatial_conflict") & findings["area_m2"].notna() & (findings["level"] > 0)
    ]
    return [
        derived(
            f"report.permit.{state}",
            len(part),
            city=city.name,
            year=year,
            zone=str(line),
            zone_name=str(line),
            basis="patches of the line by permit state",
            sensitivity="内部",
        )
        for (line, state), part in cases.groupby(["line", "permit_state"])
        if state
    ]
