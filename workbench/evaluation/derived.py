"""Numbers made from values and findings: targets, counts, changes, deviations, areas of cases. Each is a value row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import geopandas as gpd
import pandas as pd

from workbench.core.units import convert
from workbench.indicators.indicator import Indicator
from workbench.indicators.values import derived, highest_sensitivity

Row = dict[str, Any]
M2_PER_MU = 10_000 / 15
MISSING = ("base_missing", "缺少比较年份的数值", "no value of the year compared with")
ZERO_BASE = ("zero_base", "基数为零，无法计算百分比", "the base is zero, no percentage")


def target_rows(city: Any) -> list[Row]:
    """Rows of the planned values, level and tier ``target``, year = target year."""
    seen: dict[tuple[str, int], int] = {}
    rows = []
    for target in city.targets:
        key = (target.indicator, int(target.year))
        seen[key] = seen.get(key, 0) + 1
        text = f"{target.value:.10g}"
        rows.append(
            derived(
                target.indicator,
                float(target.value),
                city=city.name,
                year=int(target.year),
                unit=target.unit,
                decimals=len(text.partition(".")[2]),
                level="target",
                zone=city.name if seen[key] == 1 else f"{city.name}-{seen[key]}",
                zone_name=city.name_zh,
                tier="target",
                basis=target.source,
            )
        )
    return rows


def derived_rows(
    city: Any,
    year: int,
    values: pd.DataFrame,
    findings: gpd.GeoDataFrame,
    definitions: Mapping[str, Indicator],
) -> list[Row]:
    """All derived rows of a checkup.

    - ``report.computed``, ``report.missing``, ``report.total``, ``report.level_4`` … ``report.level_0``,
      ``report.unrated``: counts of indicators, zone = dimension or ``all``;
    - ``report.rules``, ``report.findings_4`` …: counts of findings on values, zone ``all``;
    - ``report.cases``, ``report.cases_km2``, ``report.cases_ha``: patches by line, by line and district
      (``line/district``) and of ``all`` lines; ``report.cases_4``, ``report.cases_permitted`` by line;
    - ``report.change.*``, ``report.change_pct.*``: change on last year;
    - ``report.expected.*``, ``report.deviation.*``, ``report.gap.*``: path and distance to the target;
    - ``case.area_m2``, ``case.mu``, ``case.share_pct``, ``case.width_m``: each case, zone = its number.

    Parameters
    ----------
    city : City
        Profile.
    year : int
        Year of the checkup.
    values : DataFrame
        Value table of the year and of earlier years.
    findings : GeoDataFrame
        What the rules say.
    definitions : mapping
        Indicator definitions by id.
    """
    make = _Maker(city, year)
    return [
        *_counts(make, values, findings, definitions),
        *_finding_counts(make, findings),
        *_case_sums(make, findings),
        *_cases(make, findings),
        *_changes(make, values, definitions),
        *_target_numbers(make, values, findings, definitions),
    ]


class _Maker:
    """Makes rows of one city and year."""

    def __init__(self, city: Any, year: int) -> None:
        self.city, self.year = city, year
        self.strictest = highest_sensitivity(
            spec.sensitivity
            for role, spec in city.layers.items()
            if role in {"permits", "permanent_farmland", "ecological_red_line", "land_use"}
        )

    def row(self, name: str, value: float, **more: Any) -> Row:
        return derived(name, value, city=self.city.name, year=self.year, **more)


def observed(values: pd.DataFrame, year: int, level: str = "city") -> pd.DataFrame:
    """Rows of computed indicators of a year at a level, with or without a value."""
    keep = (values["year"] == year) & (values["level"] == level) & (values["scenario"] == "observed")
    keep &= (values["edition"] == "latest") & ~values["tier"].isin(["target", "derived"])
    return values[keep]


def indicator_levels(findings: pd.DataFrame) -> dict[str, int]:
    """Worst level of each indicator for the whole city; indicators no rule judged are absent.

    Fresh and consistent data do not make a value good: such findings count only when they warn.
    """
    about_data = findings["kind"].isin(["freshness", "consistency"])
    rows = findings[
        (findings["indicator"] != "")
        & (findings["zone_level"] == "city")
        & (findings["level"] >= about_data.astype(int))
    ]
    return {str(name): int(level) for name, level in rows.groupby("indicator")["level"].max().items()}


def _counts(
    make: _Maker, values: pd.DataFrame, findings: pd.DataFrame, definitions: Mapping[str, Indicator]
) -> Iterator[Row]:
    now = observed(values, make.year)
    levels = indicator_levels(findings)
    frame = pd.DataFrame(
        {
            "dimension": [
                definitions[one].dimension if one in definitions else "" for one in now["indicator"]
            ],
            "has": now["value"].notna().to_numpy(),
            "level": [levels.get(one, -9) for one in now["indicator"]],
        }
    )
    groups = [("all", frame), *((str(name), part) for name, part in frame.groupby("dimension", sort=False))]
    for name, part in groups:
        here = part[part["has"]]
        numbers = {"total": len(part), "computed": len(here), "missing": len(part) - len(here)}
        numbers |= {f"level_{level}": int((here["level"] == level).sum()) for level in range(5)}
        numbers["unrated"] = int((here["level"] == -9).sum())
        for key, number in numbers.items():
            yield make.row(
                f"report.{key}", number, zone=name, zone_name=name, basis="count of indicators of the set"
            )


def _finding_counts(make: _Maker, findings: pd.DataFrame) -> Iterator[Row]:
    rows = findings[findings["kind"] != "spatial_conflict"]
    yield make.row(
        "report.rules", findings["rule"].nunique(), zone="all", basis="rules that judged something"
    )
    for level in range(-1, 5):
        name = f"report.findings_{level}" if level >= 0 else "report.findings_no_data"
        yield make.row(
            name, int((rows["level"] == level).sum()), zone="all", basis="findings on values and data"
        )
    differ = rows[rows["rule"] == "stated_area"]
    for _, one in differ.iterrows():
        yield make.row(
            "report.stated_area",
            float(one["value"]),
            zone=str(one["zone"]),
            basis="parcels whose stated area differs from the geometry",
        )


def _case_sums(make: _Maker, findings: pd.DataFrame) -> Iterator[Row]:
    cases = findings[(findings["kind"] == "spatial_conflict") & findings["area_m2"].notna()]
    lines = list(
        dict.fromkeys(
            str(line) for line in findings.loc[findings["kind"] == "spatial_conflict", "line"] if line
        )
    )
    groups: list[tuple[str, pd.DataFrame]] = [("all", cases)]
    for line in lines:
        of_line = cases[cases["line"] == line]
        groups.append((line, of_line))
        groups += [(f"{line}/{district}", part) for district, part in of_line.groupby("district")]
    for zone, part in groups:
        common = {"zone": zone, "zone_name": zone, "sensitivity": make.strictest}
        basis = "suspected patches of the year"
        yield make.row("report.cases", len(part), basis=basis, **common)
        area = float(part["area_m2"].sum())
        yield make.row("report.cases_ha", area / 1e4, unit="ha", decimals=2, basis=basis, **common)
        yield make.row("report.cases_mu", area / M2_PER_MU, unit="mu", decimals=1, basis=basis, **common)
        for level in (4, 3, 2, 1, 0):
            yield make.row(
                f"report.cases_{level}", int((part["level"] == level).sum()), basis=basis, **common
            )
        open_ = part[part["permit_state"] != "已批"]
        yield make.row("report.cases_open", len(open_), basis="patches without full valid permits", **common)


def _cases(make: _Maker, findings: pd.DataFrame) -> Iterator[Row]:
    cases = findings[(findings["kind"] == "spatial_conflict") & findings["area_m2"].notna()]
    for case in cases.drop(columns="geometry").to_dict("records"):
        common = {
            "level": "case",
            "zone": case["finding_id"],
            "zone_name": case["finding_id"],
            "sensitivity": make.strictest,
            "data_date": pd.Timestamp(case["date_after"]).strftime("%Y-%m-%d"),
        }
        yield make.row(
            "case.area_m2", case["area_m2"], unit="m2", decimals=0,
            basis=f"part of the patch on the wrong side of {case['line']}", **common,
        )  # fmt: skip
        yield make.row(
            "case.mu", case["area_m2"] / M2_PER_MU, unit="mu", decimals=2, basis="the same in mu", **common
        )
        yield make.row(
            "case.share_pct",
            100 * case["share"],
            unit="%",
            decimals=1,
            basis="share of the whole patch",
            **common,
        )
        yield make.row("case.width_m", case["width_m"], unit="m", decimals=1, basis="2 A / P", **common)


def _changes(make: _Maker, values: pd.DataFrame, definitions: Mapping[str, Indicator]) -> Iterator[Row]:
    """Change on last year of every indicator that has a value now and last year was computed."""
    last = observed(values, make.year - 1).set_index("indicator")
    if last.empty:
        return
    last_values = {
        str(name): (float(value), str(id_))
        for name, value, id_ in zip(last.index, last["value"], last["value_id"], strict=True)
    }
    for row in observed(values, make.year).to_dict("records"):
        name = str(row["indicator"])
        if pd.isna(row["value"]) or name not in last_values:
            continue
        before, before_id = last_values[name]
        common = {"zone": make.city.name, "sensitivity": row["sensitivity"], "data_date": row["data_date"]}
        missing = MISSING if pd.isna(before) else None
        yield make.row(
            f"report.change.{name}", row["value"] - before, unit=row["unit"], decimals=int(row["decimals"]),
            reason=missing, basis=f"{row['value_id']} - {before_id}", **common,
        )  # fmt: skip
        reason = missing or (ZERO_BASE if before == 0 else None)
        percent = float("nan") if reason else 100 * (row["value"] - before) / abs(before)
        yield make.row(
            f"report.change_pct.{name}", percent, unit="%", decimals=2, reason=reason,
            basis=f"change of {row['value_id']} on {before_id}", **common,
        )  # fmt: skip


def _target_numbers(
    make: _Maker, values: pd.DataFrame, findings: pd.DataFrame, definitions: Mapping[str, Indicator]
) -> Iterator[Row]:
    """Make expected value and deviation where a path rule judged; distance to the target for every target with a value."""
    now = {str(row["indicator"]): row for row in observed(values, make.year).to_dict("records")}
    paths = findings[(findings["kind"] == "path") & findings["margin"].notna()]
    for path in paths.drop(columns="geometry").to_dict("records"):
        name = str(path["indicator"])
        goal_year = str(path["finding_id"]).rpartition("-")[2]
        decimals = int(now[name]["decimals"])
        common = {"zone": goal_year, "sensitivity": now[name]["sensitivity"]}
        yield make.row(
            f"report.expected.{name}", path["threshold"], unit=path["unit"], decimals=decimals,
            basis="base + (target - base) (t - t0) / (T - t0)", **common,
        )  # fmt: skip
        yield make.row(
            f"report.deviation.{name}", 100 * path["margin"], unit="%", decimals=1,
            basis="(value - expected) / |target - base|, negative when behind", **common,
        )  # fmt: skip
    for target in make.city.targets:
        row = now.get(target.indicator)
        if row is None or math.isnan(float(row["value"])):
            continue
        unit = str(row["unit"])
        goal = float(target.value) if target.unit == unit else convert(float(target.value), target.unit, unit)
        value = float(row["value"])
        sign = -1.0 if target.op == "<=" else 1.0
        common = {"zone": str(target.year), "sensitivity": row["sensitivity"]}
        name = f"report.gap.{target.indicator}"
        yield make.row(
            name, sign * (value - goal), unit=unit,
            decimals=int(row["decimals"]),
            basis="value against target, negative when short of it", **common,
        )  # fmt: skip
        if goal:
            yield make.row(
                f"report.gap_pct.{target.indicator}", 100 * sign * (value - goal) / abs(goal), unit="%", decimals=1,
                basis="value against target in percent of the target, negative when short of it", **common,
            )  # fmt: skip
