"""Transmission of planned values (指标传导): 市—片区—单元—地块, what was assigned, what is, who is out of balance and why.

Two questions are asked of every zone. *Is its own quota kept?* A rigid quota must be kept by the zone itself, within its
tolerance; a flexible one may be made good by its neighbours as long as the zone above keeps its own. *Do the books agree?*
What is assigned to the parts must add up to what the whole was assigned (roll-down), and what the parts have must add up to
what the whole has (roll-up). Amounts add up; shares and averages are weighted with their denominators. A limit holds from
the day it is set; a value to be reached by a later year is not due before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.evaluation.quotas import (
    INCREMENT,
    Quotas,
    Tree,
    additive,
    in_unit,
    optional_quotas,
    zone_tree,
)
from workbench.indicators.changes import city_library
from workbench.indicators.values import OBSERVED, derived

if TYPE_CHECKING:
    from workbench.core.city import City

COLUMNS = [
    "indicator", "parent_zone", "zone", "assigned", "actual", "rigid", "tolerance", "difference", "state", "reason",
    "level", "zone_name", "year", "quota_year", "unit", "decimals", "op", "first_assigned", "transferred", "parts_assigned",
    "parts_actual", "books", "reason_zh", "reason_en", "value_id", "source",
]  # fmt: skip
"""Columns of :func:`transmission`: those every reader may count on first."""
STATES = ("breached", "compensated", "within_tolerance", "not_due", "kept", "no_data", "not_assigned")
"""State of a zone's own quota, worst first."""
BOOKS = ("under_assigned", "over_assigned", "not_added_up", "incomplete", "agree", "")
"""Whether the parts agree with the whole, worst first; ``""`` where there are no parts to compare."""
SAME = 1e-6
"""Sums that differ by a smaller share are the same."""
WORDS: dict[str, tuple[str, str]] = {
    "kept": ("达到分配指标", "the quota is kept"),
    "within_tolerance": ("未达分配指标，但在容差以内", "short of the quota, but within its tolerance"),
    "compensated": (
        "未达分配指标；指标为弹性，上级总量仍达标，由同级分区余量平衡",
        "short of the quota; it is flexible and the zone above keeps its own: neighbours make up for it",
    ),
    "not_due": ("尚未达到，未到目标年", "not reached yet; the year of the quota is still to come"),
    "breached_rigid": (
        "突破分配指标且超出容差；指标为刚性，不得由其他分区平衡",
        "beyond the quota and its tolerance; it is rigid and no other zone may make up for it",
    ),
    "breached_flexible": (
        "突破分配指标且超出容差；上级总量也未达标，无法平衡",
        "beyond the quota and its tolerance; the zone above misses its own too, nothing makes up for it",
    ),
    "no_data": ("该分区没有实际值，无法比较", "the zone has no value to compare"),
    "not_assigned": ("未分解到该分区", "nothing was passed on to this zone"),
    "under_assigned": (
        "下级分解之和不足本级指标，下限没有分解到位",
        "the parts were assigned less than this zone has to keep",
    ),
    "over_assigned": (
        "下级分解之和超过本级指标，上限被超分解",
        "the parts were allowed more than this zone may use",
    ),
    "not_added_up": (
        "下级实际值之和与本级实际值不一致",
        "the values of the parts do not add up to the zone's own",
    ),
    "incomplete": ("部分下级没有分解指标", "some parts were assigned nothing"),
}
"""Code -> why, in Chinese and English; without numbers, which stand in the columns."""


@dataclass(frozen=True)
class _Actual:
    """Observed values of an indicator by zone."""

    value: Mapping[str, float]
    weight: Mapping[str, float]
    outside: frozenset[str]
    ids: Mapping[str, str]
    unit: str
    decimals: int


def transmission(
    city: City, values: pd.DataFrame, *, data: Any | None = None, year: int | None = None
) -> pd.DataFrame:
    """Assigned and actual value of every zone that was assigned one, and whether the books agree.

    Parameters
    ----------
    city : City
        Profile; its planned values stand in for the whole city where the quotas have none of it.
    values : DataFrame
        Value table with the levels the quotas go down to (see :func:`levels_needed`).
    data : CityData, optional
        Where quotas and zones come from; the city's catalogue when not given.
    year : int, optional
        Year of the values; the latest observed one when not given.

    Returns
    -------
    DataFrame
        Columns :data:`COLUMNS`, one row an indicator and zone, from the city down. ``difference`` is actual − assigned;
        ``state`` one of :data:`STATES`, ``books`` one of :data:`BOOKS`; ``reason`` names the codes of :data:`WORDS`, worst
        first, ``reason_zh``/``reason_en`` the words, with the zones most to blame. All in the unit of the indicator.

    Raises
    ------
    DataQualityError, ParameterError
        The quotas cannot be used as they are, e.g. a unit that does not fit the indicator's.
    """
    if data is None:
        from workbench.catalog.data import CityData

        data = CityData(city)
    tree = zone_tree(city, data)
    quotas = optional_quotas(city, data, tree)
    observed = _observed(values)
    wanted = year if year is not None else int(observed["year"].max())
    observed = observed[observed["year"] == wanted]
    rows: list[dict[str, Any]] = []
    for indicator in _indicators(city, quotas):
        actual = _actual(observed[observed["indicator"] == indicator])
        if actual is None:
            continue
        rows += _Account(city, tree, quotas, indicator, actual, wanted).rows()
    return pd.DataFrame(rows, columns=COLUMNS)


def levels_needed(city: City, data: Any) -> dict[str, tuple[str, ...]]:
    """Zone levels at which each indicator with quotas has to be computed for :func:`transmission`."""
    tree = zone_tree(city, data)
    quotas = optional_quotas(city, data, tree)
    found: dict[str, tuple[str, ...]] = {}
    for indicator in _indicators(city, quotas):
        assigned = quotas.assigned if quotas is not None else pd.DataFrame(columns=["indicator", "zone"])
        zones = assigned.loc[assigned["indicator"] == indicator, "zone"]
        levels = set(tree.zones.loc[list(zones), "level"]) | {"city"}
        found[indicator] = tuple(level for level in tree.levels if level in levels)
    return found


def _indicators(city: City, quotas: Quotas | None) -> list[str]:
    """Indicators the quotas pass on; those with a planned value where a city has no quotas."""
    names = [t.indicator for t in city.targets] if quotas is None else list(quotas.assigned["indicator"])
    return [one for one in dict.fromkeys(names) if one != INCREMENT]


def _observed(values: pd.DataFrame) -> pd.DataFrame:
    keep = (values["scenario"] == OBSERVED) & (values["edition"] == "latest")
    rows: pd.DataFrame = values[keep & ~values["tier"].isin(["target", "derived"])]
    return rows


def _actual(rows: pd.DataFrame) -> _Actual | None:
    if rows.empty:
        return None
    by_zone = rows.drop_duplicates("zone").set_index("zone")
    return _Actual(
        value={str(zone): float(value) for zone, value in by_zone["value"].items()},
        weight={str(zone): float(value) for zone, value in by_zone["denominator_value"].items()},
        outside=frozenset(str(zone) for zone in by_zone.index[by_zone["reason"] == "outside_scope"]),
        ids={str(zone): str(one) for zone, one in by_zone["value_id"].items()},
        unit=str(by_zone["unit"].iloc[0]),
        decimals=int(by_zone["decimals"].iloc[0]),
    )


class _Account:
    """One indicator through all zones."""

    def __init__(
        self, city: City, tree: Tree, quotas: Quotas | None, indicator: str, actual: _Actual, year: int
    ) -> None:
        self.city, self.tree, self.indicator, self.actual, self.year = city, tree, indicator, actual, year
        self.adds = additive(actual.unit)
        self.given = self._given(quotas)
        self.first = {
            zone: in_unit(row, actual.unit, where=f"{indicator} {zone}") for zone, row in self.given.items()
        }
        self.moved = self._moved(quotas)
        self.assigned = {zone: value + self._net(zone) for zone, value in self.first.items()}
        self.op = self._op()
        definition = city_library(city).get(indicator)
        self.always = definition is None or definition.direction in ("constraint", "neutral")

    def _given(self, quotas: Quotas | None) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        if quotas is not None:
            rows = quotas.in_force(self.indicator, self.year)
            found = {
                str(zone): {str(key): value for key, value in row.items()}
                for zone, row in rows.to_dict("index").items()
            }
        targets = [t for t in self.city.targets if t.indicator == self.indicator and t.year >= self.year]
        if self.city.name not in found and targets:
            target = min(targets, key=lambda one: one.year)
            found[self.city.name] = {
                "value": target.value, "unit": target.unit, "op": target.op, "rigid": True, "tolerance": 0.0,
                "year": target.year, "source": target.source,
            }  # fmt: skip
        return found

    def _moved(self, quotas: Quotas | None) -> list[tuple[str, str, float]]:
        if quotas is None or not self.adds:
            return []
        rows = quotas.moved(self.indicator, self.year).to_dict("records")
        return [
            (
                str(r["zone"]),
                str(r["counterpart"]),
                in_unit(r, self.actual.unit, where=f"{self.indicator} {r['zone']}"),
            )
            for r in rows
        ]

    def _net(self, zone: str) -> float:
        inside = set(self.tree.below(zone))
        return math.fsum(
            amount * ((taker in inside) - (giver in inside)) for giver, taker, amount in self.moved
        )

    def _op(self) -> str:
        stated = [str(row["op"]) for row in self.given.values() if row.get("op")]
        stated += [target.op for target in self.city.targets if target.indicator == self.indicator]
        return stated[0] if stated else ">="

    def rows(self) -> list[dict[str, Any]]:
        """One row a zone that was assigned something or whose neighbours were."""
        states = {zone: self._state(zone) for zone in self.assigned}
        found = []
        for zone in self.tree.zones.index:
            parent = str(self.tree.zones.at[zone, "parent"])
            siblings = self.tree.children.get(parent, [])
            if zone not in self.assigned and not any(one in self.assigned for one in siblings):
                continue
            found.append(self._row(str(zone), parent, states.get(zone, "not_assigned"), states))
        return found

    def _value(self, zone: str) -> float:
        return self.actual.value.get(zone, math.nan)

    def _margin(self, zone: str) -> float:
        """By how much the quota is kept; negative when it is not."""
        difference = self._value(zone) - self.assigned[zone]
        return {">=": difference, "<=": -difference}.get(self.op, -abs(difference))

    def _allowance(self, zone: str) -> float:
        return float(self.given[zone]["tolerance"]) * abs(self.assigned[zone]) + SAME * abs(
            self.assigned[zone]
        )

    def _state(self, zone: str) -> str:
        if math.isnan(self._value(zone)):
            return "no_data"
        margin = self._margin(zone)
        if margin >= -SAME * abs(self.assigned[zone]):
            return "kept"
        if -margin <= self._allowance(zone):
            return "within_tolerance"
        if not self.always and int(self.given[zone]["year"]) > self.year:
            return "not_due"
        parent = str(self.tree.zones.at[zone, "parent"])
        above = parent in self.assigned and not math.isnan(self._value(parent))
        kept_above = above and -self._margin(parent) <= self._allowance(parent)
        return "compensated" if not self.given[zone]["rigid"] and kept_above else "breached"

    def _parts(self, zone: str, amounts: Mapping[str, float]) -> float:
        """What the zones right below make together; NaN where that cannot be said."""
        children = [one for one in self.tree.children.get(zone, []) if one not in self.actual.outside]
        known = [one for one in children if not math.isnan(amounts.get(one, math.nan))]
        if not known:
            return math.nan
        if self.adds:
            return math.fsum(amounts[one] for one in known)
        weights = {one: self.actual.weight.get(one, math.nan) for one in known}
        if any(math.isnan(weight) for weight in weights.values()) or not math.fsum(weights.values()):
            return math.nan
        return math.fsum(amounts[one] * weights[one] for one in known) / math.fsum(weights.values())

    def _books(self, zone: str) -> tuple[list[str], float, float]:
        """Codes of what does not agree, what the parts were assigned, and what they have."""
        children = self.tree.children.get(zone, [])
        below = self._parts(zone, self.assigned)
        have = self._parts(zone, self.actual.value)
        codes: list[str] = []
        given = [one for one in children if one in self.assigned]
        if given and zone in self.assigned:
            short = self.assigned[zone] - below
            slack = self._allowance(zone)
            if not math.isnan(below) and self.op in (">=", "==") and short > slack:
                codes.append("under_assigned")
            if not math.isnan(below) and self.op in ("<=", "==") and -short > slack:
                codes.append("over_assigned")
            if len(given) < len([one for one in children if one not in self.actual.outside]):
                codes.append("incomplete")
        value = self._value(zone)
        gapless = all(one in self.actual.outside or not math.isnan(self._value(one)) for one in children)
        apart = abs(have - value) > SAME * max(abs(have), abs(value))  # never, where one of them is not known
        if children and gapless and apart:
            codes.append("not_added_up")
        return codes, below, have

    def _row(self, zone: str, parent: str, state: str, states: Mapping[str, str]) -> dict[str, Any]:
        given = self.given.get(zone, {})
        codes, below, have = self._books(zone)
        kind = (
            f"breached_{'rigid' if given.get('rigid', True) else 'flexible'}"
            if state == "breached"
            else state
        )
        reasons = [*codes, kind] if state in ("kept", "not_assigned", "no_data") and codes else [kind, *codes]
        assigned = self.assigned.get(zone, math.nan)
        info = self.tree.zones.loc[zone]
        words = {lang: self._words(zone, reasons, states, lang) for lang in ("zh", "en")}
        return {
            "indicator": self.indicator, "parent_zone": parent, "zone": zone, "assigned": assigned,
            "actual": self._value(zone), "rigid": bool(given.get("rigid", True)),
            "tolerance": float(given.get("tolerance", 0.0)), "difference": self._value(zone) - assigned, "state": state,
            "reason": ",".join(reasons), "level": info["level"], "zone_name": info["name"], "year": self.year,
            "quota_year": int(given["year"]) if given else 0, "unit": self.actual.unit,
            "decimals": self.actual.decimals, "op": self.op, "first_assigned": self.first.get(zone, math.nan),
            "transferred": self._net(zone) if zone in self.first else 0.0, "parts_assigned": below, "parts_actual": have,
            "books": next((code for code in BOOKS if code in codes), "agree" if self.tree.children.get(zone) else ""),
            "reason_zh": words["zh"], "reason_en": words["en"], "value_id": self.actual.ids.get(zone, ""),
            "source": str(given.get("source", "")),
        }  # fmt: skip

    def _words(self, zone: str, reasons: list[str], states: Mapping[str, str], lang: str) -> str:
        at = 1 if lang == "en" else 0
        text = (". " if at else "；").join(WORDS[code][at] for code in reasons)
        blamed = [one for one in self._blamed(zone, reasons, states)]
        if not blamed:
            return text
        names = [str(self.tree.zones.at[one, "name"]) for one in blamed]
        return f"{text}: {', '.join(names)}" if at else f"{text}：{'、'.join(names)}"

    def _blamed(self, zone: str, reasons: list[str], states: Mapping[str, str]) -> list[str]:
        """Zones right below that explain the trouble most: assigned nothing, or furthest from their own quota."""
        children = self.tree.children.get(zone, [])
        if "incomplete" in reasons:
            return [one for one in children if one not in self.assigned and one not in self.actual.outside][
                :3
            ]
        if not reasons[0].startswith("breached"):
            return []
        missed = [one for one in children if states.get(one) in ("breached", "compensated")]
        return sorted(missed, key=self._margin)[:3]


def out_of_balance(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of :func:`transmission` that call for action, worst first: quotas breached and books that do not agree."""
    states, books = {name: at for at, name in enumerate(STATES)}, {name: at for at, name in enumerate(BOOKS)}
    bad = table["state"].eq("breached") | table["books"].isin(
        ["under_assigned", "over_assigned", "not_added_up"]
    )
    rows = table[bad]
    order = pd.DataFrame({"s": rows["state"].map(states), "b": rows["books"].map(books)}, index=rows.index)
    order["r"] = ~rows["rigid"]
    found: pd.DataFrame = rows.loc[order.sort_values(["s", "r", "b"], kind="stable").index]
    return found


def value_rows(city: City, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the value table for what :func:`transmission` found.

    They are ``report.assigned.*``, ``report.quota_gap.*`` and ``report.parts_assigned.*``, zone = zone code; the actual
    values are rows already.
    """
    rows = []
    for one in table.to_dict("records"):
        common: dict[str, Any] = {
            "city": city.name, "year": int(one["year"]), "zone": str(one["zone"]), "zone_name": str(one["zone_name"]),
            "unit": str(one["unit"]), "decimals": int(one["decimals"]), "sensitivity": "内部",
        }  # fmt: skip
        numbers = {
            "assigned": (
                one["assigned"],
                f"quota for {one['quota_year']}: {one['source']}, transfers included",
            ),
            "quota_gap": (one["difference"], f"{one['value_id']} - assigned"),
            "parts_assigned": (one["parts_assigned"], "what the zones right below were assigned together"),
        }
        for name, (value, basis) in numbers.items():
            if not math.isnan(float(value)):
                rows.append(derived(f"report.{name}.{one['indicator']}", float(value), basis=basis, **common))
    return rows
