"""Numbers made from values and findings: targets, counts, changes, deviations, areas of cases. Each is a value row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core.units import convert
from workbench.indicators.indicator import Indicator
from workbench.indicators.reasons import role_words
from workbench.indicators.values import derived, highest_sensitivity
from workbench.operators.area import area_m2
from workbench.rules.evaluate import rules_of
from workbench.rules.library import load_rules

Row = dict[str, Any]
PUBLIC = "公开"
M2_PER_MU = 10_000 / 15
MISSING = ("base_missing", "缺少比较年份的数值", "no value of the year compared with")
ZERO_BASE = ("zero_base", "基数为零，无法计算百分比", "the base is zero, no percentage")
NOT_CHECKED = (
    "not_checked",
    "缺少控制线或前后两期国土调查，未作检查",
    "the line or one of the two land surveys is missing, nothing was checked",
)
SAME_PLACE_M2 = 1.0
"""Patches on two lines that share more than this area are one place on the ground."""


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
    scopes_m2: Mapping[str, float] | None = None,
) -> list[Row]:
    """All derived rows of a checkup.

    - ``report.computed``, ``report.missing``, ``report.total``, ``report.level_4`` … ``report.level_0``,
      ``report.rated``, ``report.unrated``: counts of indicators, zone = dimension or ``all``;
    - ``report.rules``, ``report.findings_4`` …: counts of findings on values, zone ``all``;
    - ``report.<rule>``: the number of a finding on a layer or a document, zone = what it is about;
    - ``report.peers``: indicators on which a district stands apart from the others, zone = district or ``all``;
    - ``report.cases``, ``report.cases_ha``, ``report.cases_mu``, ``report.cases_open``, ``report.cases_4`` …: patches by
      line, by line and district (``line/district``), and of ``all`` lines, where a place on several lines counts once
      with its worst level;
    - ``report.targets``, ``report.targets_valued``, ``report.targets_met``: counts of planned values;
    - ``report.scope_km2``: ground area of each scope, zone = scope;
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
    scopes_m2 : mapping, optional
        Ellipsoidal area of each scope, square metres.
    """
    make = _Maker(city, year)
    return [
        *_scopes(make, scopes_m2 or {}),
        *_counts(make, values, findings, definitions),
        *_finding_counts(make, findings, values),
        *_peer_counts(make, findings, values),
        *_case_sums(make, findings),
        *_cases(make, findings),
        *_changes(make, values, definitions),
        *_target_numbers(make, values, findings, definitions),
        *_target_counts(make, values),
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


def _scopes(make: _Maker, scopes_m2: Mapping[str, float]) -> Iterator[Row]:
    for name, square_metres in scopes_m2.items():
        yield make.row(
            "report.scope_km2", square_metres / 1e6, unit="km2", decimals=2, zone=name, zone_name=name,
            basis="ellipsoidal area of the scope",
        )  # fmt: skip


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
            "sensitivity": now["sensitivity"].to_numpy(),
        }
    )
    groups = [("all", frame), *((str(name), part) for name, part in frame.groupby("dimension", sort=False))]
    for name, part in groups:
        here = part[part["has"]]
        present = {"total": len(part), "computed": len(here), "missing": len(part) - len(here)}
        judged = {f"level_{level}": int((here["level"] == level).sum()) for level in range(5)}
        judged["unrated"] = int((here["level"] == -9).sum())
        judged["rated"] = len(here) - judged["unrated"]
        strictest = highest_sensitivity(here["sensitivity"])  # how values are judged says how large they are
        for numbers, sensitivity in ((present, PUBLIC), (judged, strictest)):
            for key, number in numbers.items():
                yield make.row(
                    f"report.{key}", number, zone=name, zone_name=name, sensitivity=sensitivity,
                    basis="count of indicators of the set",
                )  # fmt: skip


def _finding_counts(make: _Maker, findings: pd.DataFrame, values: pd.DataFrame) -> Iterator[Row]:
    rows = findings[findings["kind"] != "spatial_conflict"]
    yield make.row(
        "report.rules", findings["rule"].nunique(), zone="all", basis="rules that judged something"
    )
    known = dict(zip(values["value_id"], values["sensitivity"], strict=True))
    rests_on = [known.get(one, make.strictest) for one in rows["value_id"] if one]
    for level in range(-1, 5):
        name = f"report.findings_{level}" if level >= 0 else "report.findings_no_data"
        yield make.row(
            name, int((rows["level"] == level).sum()), zone="all", basis="findings on values and data",
            sensitivity=highest_sensitivity(rests_on),
        )  # fmt: skip
    levels = {role: spec.sensitivity for role, spec in make.city.layers.items()}
    numbered = rows[(rows["indicator"] == "") & rows["value"].notna() & (rows["value_id"] != "")]
    for _, one in numbered.iterrows():
        yield make.row(
            f"report.{one['rule']}",
            float(one["value"]),
            unit=str(one["unit"]),
            decimals=0 if one["unit"] in ("count", "day") else 2,
            zone=str(one["zone"]),
            basis=f"what the rule {one['rule']} found",
            sensitivity=highest_sensitivity(
                level for role, level in levels.items() if role in {one["line"], *_against(str(one["rule"]))}
            ),
        )


def _peer_counts(make: _Maker, findings: gpd.GeoDataFrame, values: pd.DataFrame) -> Iterator[Row]:
    rows = findings[
        (findings["kind"] == "peer_band") & (findings["level"] > 0) & (findings["zone_level"] == "district")
    ]
    rests_on = values.loc[values["value_id"].isin(set(rows["value_id"])), "sensitivity"]
    common = {
        "basis": "indicators on which the district stands apart",
        "sensitivity": highest_sensitivity(rests_on),
    }
    yield make.row("report.peers", rows["indicator"].nunique(), zone="all", zone_name="all", **common)
    for (zone, name), part in rows.groupby(["zone", "zone_name"]):
        count = part["indicator"].nunique()
        yield make.row("report.peers", count, zone=str(zone), zone_name=str(name), **common)


def _against(rule: str) -> tuple[str, ...]:
    """Layers a rule holds its own against: the other line of two that must not overlap."""
    known = load_rules().get(rule)
    return () if known is None else tuple(known.applies.get("between", ()))


def places(cases: gpd.GeoDataFrame) -> npt.NDArray[np.intp]:
    """Number of the place of each patch: patches on different lines that share ground are one place.

    Examples
    --------
    >>> from shapely import box
    >>> places(gpd.GeoDataFrame(geometry=[box(0, 0, 9, 9), box(50, 0, 59, 9), box(0, 0, 9, 5)])).tolist()
    [0, 1, 0]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    shapes = cases.geometry.to_numpy()
    left, right = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    shared = shapely.area(shapely.intersection(shapes[left], shapes[right])) > SAME_PLACE_M2
    pairs = coo_array((np.ones(shared.sum()), (left[shared], right[shared])), shape=(len(shapes),) * 2)
    found: npt.NDArray[np.intp] = connected_components(pairs, directed=False)[1]
    return found


def _distinct(cases: gpd.GeoDataFrame) -> pd.DataFrame:
    """One row a place: its ground area, worst level, and whether all of it has full permits."""
    if cases.empty:
        return pd.DataFrame({"area_m2": [], "level": [], "permit_state": []})
    rows = []
    for _, part in cases.groupby(places(cases)):
        union = shapely.union_all(part.geometry.to_numpy())
        permitted = part["permit_state"].eq("已批").all()
        rows.append(
            {
                "area_m2": float(area_m2([union], cases.crs)[0])
                if len(part) > 1
                else part["area_m2"].iloc[0],
                "level": part["level"].max(),
                "permit_state": "已批" if permitted else "",
            }
        )
    return pd.DataFrame(rows)


def checked_lines(city: Any, year: int) -> dict[str, tuple[str, str]]:
    """Lines that the city's spatial rules look at in a year, with their Chinese and English names, as the packs order them."""
    found: dict[str, tuple[str, str]] = {}
    for rule in rules_of(city, year):
        # a rule on an activity speaks only where one is stated
        if rule.kind != "spatial_conflict" or "activity" in rule.applies:
            continue
        known = role_words(rule.line)
        own = (rule.line_zh, rule.line_en)
        if rule.side != "anywhere" and known[0] != rule.line:
            own = (known[0], known[1])
        # of rules on parts of a line the broadest has the shortest name
        found[rule.line] = min(found.get(rule.line, own), own, key=lambda words: len(words[0]))
    return found


def _case_sums(make: _Maker, findings: gpd.GeoDataFrame) -> Iterator[Row]:
    spatial = findings[findings["kind"] == "spatial_conflict"]
    cases = spatial[spatial["area_m2"].notna()]
    lines = list(
        dict.fromkeys([*checked_lines(make.city, make.year), *(str(x) for x in spatial["line"] if x)])
    )
    unchecked = {str(line) for line in spatial.loc[spatial["level"] == -1, "line"]}
    groups: list[tuple[str, pd.DataFrame, bool]] = [("all", _distinct(cases), bool(set(lines) - unchecked))]
    for line in lines:
        of_line = cases[cases["line"] == line]
        groups.append((line, of_line, line not in unchecked))
        groups += [(f"{line}/{district}", part, True) for district, part in of_line.groupby("district")]
    for zone, part, checked in groups:
        area = float(part["area_m2"].sum())
        numbers: dict[str, tuple[float, dict[str, Any]]] = {
            "cases": (len(part), {}),
            "cases_ha": (area / 1e4, {"unit": "ha", "decimals": 2}),
            "cases_mu": (area / M2_PER_MU, {"unit": "mu", "decimals": 1}),
            "cases_open": (int((part["permit_state"] != "已批").sum()), {}),
        }
        numbers |= {f"cases_{level}": (int((part["level"] == level).sum()), {}) for level in (4, 3, 2, 1, 0)}
        for name, (number, more) in numbers.items():
            yield make.row(
                f"report.{name}", number if checked else math.nan, zone=zone, zone_name=zone,
                reason=None if checked else NOT_CHECKED, sensitivity=make.strictest,
                basis="patches without full valid permits" if name == "cases_open"
                else "suspected places of the year on any line, each counted once" if zone == "all"
                else "suspected patches of the year", **more,
            )  # fmt: skip


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
    told: set[tuple[str, str]] = set()
    for path in paths.drop(columns="geometry").to_dict("records"):
        name = str(path["indicator"])
        goal_year = str(path["finding_id"]).rpartition("-")[2]
        if (name, goal_year) in told:
            continue  # several rules judge the same path
        told.add((name, goal_year))
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


def met(value: float, goal: float, op: str) -> bool:
    """Whether a value stands to a planned value as it should."""
    return {">=": value >= goal, "<=": value <= goal}.get(op, value == goal)


def _target_counts(make: _Maker, values: pd.DataFrame) -> Iterator[Row]:
    """How many planned values there are, how many can be compared, and how many are reached now."""
    now = observed(values, make.year).dropna(subset="value").drop_duplicates("indicator")
    known = {str(row["indicator"]): row for row in now.to_dict("records")}
    valued = [target for target in make.city.targets if target.indicator in known]
    reached = 0
    for target in valued:
        row = known[target.indicator]
        unit = str(row["unit"])
        goal = float(target.value) if target.unit == unit else convert(float(target.value), target.unit, unit)
        reached += met(float(row["value"]), goal, target.op)
    numbers = {"targets": len(make.city.targets), "targets_valued": len(valued), "targets_met": reached}
    strictest = highest_sensitivity(str(known[target.indicator]["sensitivity"]) for target in valued)
    for name, number in numbers.items():
        yield make.row(
            f"report.{name}", number, zone="all", basis="planned values of the city's profile",
            sensitivity=strictest if name == "targets_met" else PUBLIC,
        )  # fmt: skip
