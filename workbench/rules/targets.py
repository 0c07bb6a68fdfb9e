"""Holds a city's values against its planned targets and against its own past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.core.units import convert
from workbench.rules.kinds import NO_DATA, Outcome, judge
from workbench.rules.rule import Rule

if TYPE_CHECKING:
    from workbench.rules.context import Context

KEPT_WITHIN = 0.01
"""A constraint whose base misses the target by no more than this share was kept in the base year: it binds at once."""
OP_OF_DIRECTION = {"higher_better": ">=", "lower_better": "<="}


def judge_targets(context: Context, rules: Sequence[Rule]) -> None:
    """Add the findings of floors, caps, paths and trends to ``context.rows``."""
    for target in context.city.targets:
        row = context.city_rows.get(target.indicator)
        if row is None:
            continue
        base = base_of(context, target, rules)
        for rule in rules:
            if rule.indicator not in ("*", target.indicator):
                continue
            if rule.kind in ("floor", "cap"):
                _judge_limit(context, rule, target, row, base)
            elif rule.kind == "path":
                _judge_path(context, rule, target, row, base)
    for rule in rules:
        if rule.kind == "trend":
            _judge_trend(context, rule)


def binding(context: Context, indicator: str) -> bool:
    """Whether the plan binds the indicator (约束性) or expects it (预期性)."""
    definition = context.definitions.get(indicator)
    return definition is not None and definition.direction == "constraint"


def base_of(context: Context, target: Any, rules: Sequence[Rule]) -> tuple[int, float] | None:
    """Year and value from which the path to a target starts.

    The document's own base value where it states one, else the computed value of the base year or, when that year has
    no data, of the latest year at most ``base_lag_years`` before it.
    """
    wanted = int(target.base_year or context.city.base_year)
    if target.base_value is not None:
        row = context.city_rows[target.indicator]
        stated = float(target.base_value)
        return wanted, stated if target.unit == row["unit"] else convert(stated, target.unit, row["unit"])
    lag = max(
        (int(rule.parameters.get("base_lag_years", 0)) for rule in rules if rule.kind == "path"), default=0
    )
    known = {
        year: value
        for year, value in context.series(target.indicator).items()
        if wanted - lag <= year <= wanted
    }
    return (max(known), known[max(known)]) if known else None


def goal_of(target: Any, unit: str) -> float:
    """Target value in the unit of the indicator."""
    return float(target.value) if target.unit == unit else convert(float(target.value), target.unit, unit)


def holds_now(target: Any, goal: float, base: tuple[int, float] | None, *, bound: bool, year: int) -> bool:
    """Whether a limit binds already: its year has come, or the base value kept it, or it is a constraint without base.

    A target that has to be grown into (the base is on the wrong side) is judged by its path until its year.
    """
    if year >= target.year:
        return True
    if base is None:
        return bound
    slack = KEPT_WITHIN * abs(goal) if bound else 0.0
    return base[1] >= goal - slack if target.op == ">=" else base[1] <= goal + slack


def _judge_limit(
    context: Context, rule: Rule, target: Any, row: dict[str, Any], base: tuple[int, float] | None
) -> None:
    bound = binding(context, target.indicator)
    if bool(rule.applies.get("binding")) != bound or target.op not in (rule.applies.get("op"), "=="):
        return
    goal = goal_of(target, row["unit"])
    if not holds_now(target, goal, base, bound=bound, year=context.year):
        return
    outcome = judge(rule, value=row["value"], target=goal, low=row.get("low"), high=row.get("high"))
    context.add(rule, outcome, row, suffix=str(target.year))


def _judge_path(
    context: Context, rule: Rule, target: Any, row: dict[str, Any], base: tuple[int, float] | None
) -> None:
    if context.year >= target.year or target.op == "==":
        return
    if pd.isna(row["value"]):
        if rule.parameters.get("running"):
            return
        context.add(rule, Outcome(NO_DATA, "no_data"), row, suffix=str(target.year))
        return
    goal = goal_of(target, row["unit"])
    span = float(rule.parameters.get("least_span", 0.0)) * abs(goal)
    if base is None or base[0] >= context.year or abs(goal - base[1]) <= span:
        return
    met = base[1] >= goal if target.op == ">=" else base[1] <= goal
    if met and not binding(context, target.indicator):
        return  # nothing to grow into; the limit itself judges. A constraint may be used up, but not too fast.
    outcome = judge(
        rule,
        value=float(row["value"]),
        base=base[1],
        base_year=base[0],
        target=goal,
        target_year=int(target.year),
        year=context.year,
        op=target.op,
        last=context.series(target.indicator).get(context.year - 1),
    )
    value = float(row["value"])
    if met and (value >= goal if target.op == ">=" else value <= goal):
        outcome = replace(outcome, words={"kept": 1.0})
    if rule.parameters.get("running") and outcome.level == NO_DATA:
        return  # two years are needed; the plain path says what one can say
    context.add(rule, outcome, row, suffix=str(target.year))


def _judge_trend(context: Context, rule: Rule) -> None:
    by_target = {target.indicator: target.op for target in context.city.targets if target.op != "=="}
    for indicator, row in context.city_rows.items():
        definition = context.definitions.get(indicator)
        if definition is None or rule.indicator not in ("*", indicator):
            continue
        op = OP_OF_DIRECTION.get(definition.direction) or by_target.get(indicator)
        if op is None:
            continue
        earlier = {year: value for year, value in context.series(indicator).items() if year < context.year}
        outcome = judge(rule, value=row["value"], earlier=earlier, year=context.year, op=op)
        if outcome.level != NO_DATA:
            context.add(rule, outcome, row)


def judge_peers(context: Context, rules: Sequence[Rule]) -> None:
    """Hold values against peers: those of other cities (table ``peers``), or the districts against one another.

    The table has ``indicator, city, value`` and ``unit`` and ``year`` where known. Of districts each one outside the band
    of the others is a finding; one inside is not.
    """
    for rule in rules:
        if rule.kind != "peer_band":
            continue
        for indicator, row in context.city_rows.items():
            if rule.indicator not in ("*", indicator) or pd.isna(row["value"]):
                continue
            if rule.applies.get("among") == "districts":
                _judge_districts(context, rule, indicator)
            else:
                outcome = judge(rule, value=row["value"], peers=_peer_values(context, indicator, row["unit"]))
                if outcome.level != NO_DATA:
                    context.add(rule, outcome, row)


def _peer_values(context: Context, indicator: str, unit: str) -> list[float]:
    """Values of other cities in the unit of the indicator; empty when the city has no table of peers."""
    year = context.year if context.data.years("peers") else None
    if not context.data.has("peers", year):
        return []
    table = context.data.table("peers", year)
    table = table[(table["indicator"] == indicator) & (table["city"] != context.city.name)]
    if "year" in table and len(table):
        table = table[table["year"].astype(int) == context.year]
    units = table["unit"].fillna(unit) if "unit" in table else [unit] * len(table)
    return [
        float(value) if own == unit else convert(float(value), own, unit)
        for value, own in zip(table["value"], units, strict=True)
    ]


def _judge_districts(context: Context, rule: Rule, indicator: str) -> None:
    """Note the districts that lie outside the band of the other districts; amounts that add up are not compared."""
    rows = context.districts(indicator)
    if rows.empty or not str(rows["denominator"].iloc[0]):
        return
    for row in rows.to_dict("records"):
        others = rows.loc[rows["zone"] != row["zone"], "value"].astype(float).tolist()
        outcome = judge(rule, value=row["value"], peers=others)
        if outcome.outcome == "outside":
            context.add(rule, outcome, row)  # type: ignore[arg-type]
