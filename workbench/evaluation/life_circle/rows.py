"""Figures of the life circles as rows of the value table, so that every number shown can be traced."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.evaluation.life_circle.settings import EVERYONE
from workbench.evaluation.life_circle.words import reason
from workbench.indicators.values import derived

if TYPE_CHECKING:
    from workbench.evaluation.life_circle.result import LifeCircle

Row = dict[str, Any]


def value_rows(life: LifeCircle) -> list[Row]:
    """Rows ``life_circle.*`` for :func:`workbench.indicators.values.table`, level ``report``, zone = zone code.

    - ``life_circle.share.<kind>.<minutes>.<mode>.<age>``: people in reach, percent; the city at every level, its
      zones at the kind's own level on foot; ``life_circle.straight.…``, ``life_circle.gap.…``, ``life_circle.radius.…``
      beside it;
    - ``life_circle.circle.<circle>.<mode>.<age>``: people with a complete circle;
    - ``life_circle.mean|none|gini|theil|theil_between|theil_within.<kind>``: supply per head and its equity;
    - ``life_circle.site_gain|site_before|site_after.<kind>.<rank>``: what a further facility brings;
    - ``life_circle.people.<age>``: who is counted; ``life_circle.findings.<check>.<kind>``: findings of one sort.
    """
    make = _Maker(life)
    rows = [
        *_people(make),
        *_coverage(make),
        *_circles(make),
        *_equity(make),
        *_sites(make),
        *_findings(make),
    ]
    return rows


class _Maker:
    def __init__(self, life: LifeCircle) -> None:
        self.life = life

    def row(self, name: str, value: float, **more: Any) -> Row:
        return derived(
            name,
            value,
            city=self.life.city.name,
            year=self.life.year,
            sensitivity=self.life.sensitivity,
            data_date=self.life.data_date,
            **more,
        )


def _why(row: Mapping[Any, Any], value: float) -> tuple[str, str, str] | None:
    if not math.isnan(value):
        return None
    return str(row["reason"]), str(row["reason_zh"]), str(row["reason_en"])


def _minutes(value: float) -> str:
    return f"{value:g}"


def _people(make: _Maker) -> Iterator[Row]:
    rows = make.life.circles
    rows = rows[(rows["circle"] == rows["circle"].iloc[0]) & (rows["mode"] == "walk")] if len(rows) else rows
    unit = "person" if make.life.basis == "population" else "m2"
    for row in rows[rows["people"].notna()].to_dict("records"):
        yield make.row(
            f"life_circle.people.{row['age']}", float(row["people"]), unit=unit, zone=row["zone"],
            zone_name=row["zone_name"], basis=f"{make.life.basis} inside the scope",
        )  # fmt: skip


_BASIS = {
    "share": "people with a facility within reach on the network",
    "straight": "the same as the crow flies",
    "gap": "straight line less network, percentage points",
    "radius": "people inside the service radius as the crow flies",
}


def _coverage(make: _Maker) -> Iterator[Row]:
    rows = make.life.coverage
    first = next((one for one in rows["level"] if one != "city"), "")
    for row in rows.to_dict("records"):
        city = row["level"] == "city"
        on_foot = row["mode"] == "walk"
        zone = row["level"] == first and row["own"] and on_foot and row["age"] == EVERYONE
        if not (city or zone) or (row["age"] != EVERYONE and not (row["own"] and on_foot)):
            continue
        wanted = ["share"]
        if on_foot and row["age"] == EVERYONE:
            wanted += ["straight", "gap"] + (["radius"] if row["own"] and city else [])
        name = f"{row['kind']}.{_minutes(row['minutes'])}.{row['mode']}.{row['age']}"
        for what in wanted:
            value = float(row[what if what in ("share", "gap") else f"{what}_share"])
            yield make.row(
                f"life_circle.{what}.{name}", value, unit="%", decimals=1, zone=row["zone"],
                zone_name=row["zone_name"], basis=_BASIS[what], reason=_why(row, value),
            )  # fmt: skip


def _circles(make: _Maker) -> Iterator[Row]:
    for row in make.life.circles.to_dict("records"):
        if row["age"] != EVERYONE and (row["level"] != "city" or row["mode"] != "walk"):
            continue
        value = float(row["share"])
        more = {"basis": "people with every kind of the circle in reach"}
        if row["bound"]:
            more["basis"] += f"; an upper bound, the data lack {row['absent']}"
        yield make.row(
            f"life_circle.circle.{row['circle']}.{row['mode']}.{row['age']}", value, unit="%", decimals=1,
            zone=row["zone"], zone_name=row["zone_name"], reason=_why(row, value), **more,
        )  # fmt: skip


_EQUITY = {
    "mean": (
        "count",
        2,
        "supply for 1,000 people of the group (for a hectare of footprint where buildings stand in)",
    ),
    "none_share": ("%", 1, "people who reach no supply"),
    "gini": ("1", 3, "Gini coefficient of supply per head, weighted by people"),
    "theil": ("1", 3, "Theil's T of supply per head"),
    "theil_between": ("1", 3, "part of Theil's T between zones"),
    "theil_within": ("1", 3, "part of Theil's T inside zones"),
}


def _equity(make: _Maker) -> Iterator[Row]:
    for row in make.life.equity.to_dict("records"):
        for name, (unit, decimals, basis) in _EQUITY.items():
            value = float(row[name])
            why = _why(row, value)
            if why is not None and not why[0]:
                why = reason(str(row["parted"]))
            yield make.row(
                f"life_circle.{name}.{row['kind']}", value, unit=unit, decimals=decimals, zone=make.life.city.name,
                zone_name=make.life.city.name_zh, basis=basis, reason=why,
            )  # fmt: skip


def _sites(make: _Maker) -> Iterator[Row]:
    unit = "person" if make.life.basis == "population" else "m2"
    sites = pd.DataFrame(make.life.next_sites.drop(columns="geometry"))
    for row in sites.to_dict("records"):
        common = {"zone": make.life.city.name, "zone_name": make.life.city.name_zh}
        name = f"{row['kind']}.{row['rank']}"
        yield make.row(
            f"life_circle.site_gain.{name}", float(row["gain"]), unit=unit,
            basis=f"people a further facility brings within reach, best of {row['candidates']} places", **common,
        )  # fmt: skip
        for what in ("before", "after"):
            yield make.row(
                f"life_circle.site_{what}.{name}", float(row[f"share_{what}"]), unit="%", decimals=1,
                basis=f"people in reach {what} it is there", **common,
            )  # fmt: skip


def _findings(make: _Maker) -> Iterator[Row]:
    table = pd.DataFrame(make.life.findings.drop(columns="geometry"))
    counts = table.groupby(["check", "kind"], sort=False).size().reset_index(name="count")
    for check, kind, count in zip(counts["check"], counts["kind"], counts["count"], strict=True):
        yield make.row(
            f"life_circle.findings.{check}.{kind or 'all'}", float(count), zone=make.life.city.name,
            zone_name=make.life.city.name_zh, basis="findings on data and places",
        )  # fmt: skip
