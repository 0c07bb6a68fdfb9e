"""Figures of the suitability as rows of the value table, so that every number shown can be traced."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workbench.evaluation.suitability.words import reason
from workbench.indicators.values import derived

if TYPE_CHECKING:
    from workbench.evaluation.suitability.result import Suitability

Row = dict[str, Any]


def value_rows(result: Suitability) -> list[Row]:
    """Rows ``suitability.*`` for :func:`workbench.indicators.values.table`, level ``report``, zone = zone code.

    - ``suitability.area.<output>.<class>`` (km²), ``suitability.share.<output>.<class>`` (percent of what is judged): the
      city and its first level; ``output`` is an evaluation, ``zoning``, or ``both`` (fit for farming and building);
    - ``suitability.moved.<evaluation>.<factor or points>.<number>.<down|up>``: percent of cells whose class in that
      evaluation changes; ``suitability.threshold.…`` what it was moved to;
    - ``suitability.draw_mean|draw_low|draw_high|chance|sure.<output>.<class>``: over the draws, percent;
    - ``suitability.conflict.<id>`` (hectares) and ``suitability.conflict_share.<id>`` (percent of that use);
    - ``suitability.capacity|load|people_capacity|ratio|warning.<constraint>``: carrying capacity;
    - ``suitability.without.<evaluation>.<factor>``: percent of the cells without a factor that counts;
    - ``suitability.missing.<evaluation>``: factors it is without.
    """
    make = _Maker(result)
    return [
        *_areas(make),
        *_moves(make),
        *_draws(make),
        *_conflicts(make),
        *_capacity(make),
        *_factors(make),
    ]


class _Maker:
    def __init__(self, result: Suitability) -> None:
        self.result = result
        self.levels = ["city", *list(result.city.levels)[:1]]

    def row(self, name: str, value: float, **more: Any) -> Row:
        more.setdefault("zone", self.result.city.name)
        more.setdefault("zone_name", self.result.city.name_zh)
        if math.isnan(value) and more.get("reason") is None:
            more["reason"] = reason("no_capacity")
        return derived(
            f"suitability.{name}",
            value,
            city=self.result.city.name,
            year=self.result.year,
            sensitivity=self.result.openness,
            data_date=self.result.data_date,
            **more,
        )


def _areas(make: _Maker) -> Iterator[Row]:
    rows = make.result.areas
    for row in rows[rows["level"].isin(make.levels)].to_dict("records"):
        name = f"{row['output']}.{row['class']}"
        zone = {"zone": row["zone"], "zone_name": row["zone_name"]}
        yield make.row(
            f"area.{name}",
            row["area_m2"] / 1e6,
            unit="km2",
            decimals=2,
            basis=f"area of {row['grade']}",
            **zone,
        )
        if row["output"] != "both":
            yield make.row(
                f"share.{name}", row["share"], unit="%", decimals=1, basis=f"share of {row['grade']} in what is judged",
                reason=reason("not_judged") if math.isnan(row["share"]) else None, **zone,
            )  # fmt: skip


def _moves(make: _Maker) -> Iterator[Row]:
    rows = make.result.sensitivity
    own = rows[rows["output"] == rows["evaluation"]]
    for row in own.to_dict("records"):
        way = "up" if row["direction"] > 0 else "down"
        name = f"{row['evaluation']}.{row['factor'] or 'points'}.{row['threshold']}.{way}"
        yield make.row(
            f"moved.{name}", row["share"], unit="%", decimals=2,
            basis=f"cells that change class when the threshold {row['base']:g} becomes {row['moved']:g}",
        )  # fmt: skip
        yield make.row(
            f"threshold.{name}", row["moved"], unit="", decimals=1, basis="where the threshold is moved to"
        )


def _draws(make: _Maker) -> Iterator[Row]:
    if not make.result.grid["draws"]:
        return
    for row in make.result.draws.to_dict("records"):
        for field, name in (
            ("mean", "draw_mean"),
            ("low", "draw_low"),
            ("high", "draw_high"),
            ("chance", "chance"),
            ("sure", "sure"),
        ):
            yield make.row(
                f"{name}.{row['output']}.{row['class']}", row[field], unit="%", decimals=1,
                basis=f"{make.result.grid['draws']} draws of all thresholds together",
                reason=reason("no_class") if math.isnan(row[field]) else None,
            )  # fmt: skip


def _conflicts(make: _Maker) -> Iterator[Row]:
    rows = make.result.conflicts
    for row in rows[rows["level"].isin(make.levels)].to_dict("records"):
        zone = {"zone": row["zone"], "zone_name": row["zone_name"]}
        yield make.row(
            f"conflict.{row['conflict']}",
            row["area_m2"] / 1e4,
            unit="ha",
            decimals=1,
            basis="cells of that use there",
            **zone,
        )
        yield make.row(
            f"conflict_share.{row['conflict']}", row["share"], unit="%", decimals=2, basis="share of the land of that use",
            reason=reason("no_such_use") if math.isnan(row["share"]) else None, **zone,
        )  # fmt: skip


_UNITS = {"person": ("1e4 person", 1e-4, 2), "m2": ("km2", 1e-6, 2), "1e8 m3": ("1e8 m3", 1.0, 3)}
"""Unit of a capacity -> unit it is shown in, factor, decimals."""


def _capacity(make: _Maker) -> Iterator[Row]:
    for row in make.result.capacity.to_dict("records"):
        zone = {"zone": row["zone"], "zone_name": row["zone_name"]}
        why = (row["reason"], row["reason_zh"], row["reason_en"]) if row["reason"] else None
        unit, factor, decimals = _UNITS[row["unit"]]
        for field, shown in (
            ("capacity", (unit, factor, decimals)),
            ("load", (unit, factor, decimals)),
            ("people_capacity", _UNITS["person"]),
            ("ratio", ("1", 1.0, 2)),
        ):
            value = float(row[field])
            yield make.row(
                f"{field}.{row['constraint']}", value * shown[1], unit=shown[0], decimals=shown[2],
                basis="carrying capacity under the assumptions of the settings", reason=why if math.isnan(value) else None,
                **zone,
            )  # fmt: skip
        known = row["warning"] >= 0
        yield make.row(
            f"warning.{row['constraint']}", float(row["warning"]) if known else math.nan, unit="1",
            basis="0 within capacity, 1 critical, 2 overloaded", reason=None if known else why, **zone,
        )  # fmt: skip


def _factors(make: _Maker) -> Iterator[Row]:
    from workbench.evaluation.suitability.plan import missing_of

    rows = make.result.factors
    for row in rows[rows["state"].isin(["used", "proxy"])].to_dict("records"):
        yield make.row(
            f"without.{row['evaluation']}.{row['factor']}", row["without"], unit="%", decimals=1,
            basis="cells judged without this factor",
        )  # fmt: skip
    for one in make.result.settings.evaluations:
        yield make.row(
            f"missing.{one.id}", float(len(missing_of(rows, one.id))), basis="factors the result is without"
        )
