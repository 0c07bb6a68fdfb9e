"""What is missing, who holds it, and what having it would unlock: the gaps of a checkup, and how its values came about."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from workbench.evaluation.derived import Row, observed
from workbench.indicators import lacking
from workbench.indicators.bases import count_by_basis
from workbench.indicators.indicator import Indicator, Method
from workbench.indicators.reasons import Words
from workbench.indicators.values import derived

SHEET = ("部门填报数据", "figures of the fill-in sheet")


@dataclass(frozen=True)
class Need:
    """One thing an indicator lacks."""

    zh: str
    """What, Chinese."""
    en: str
    """What, English."""
    holder_zh: str
    """Who usually holds it, Chinese."""
    holder_en: str
    """Who usually holds it, English."""
    inapplicable: bool = False
    """Whether there is no such thing in this city: the holder's words then say so."""

    @property
    def key(self) -> str:
        """Name by which the rows of the value table know it."""
        return f"{self.zh}|{self.holder_zh}"

    def say(self, lang: str) -> tuple[str, str]:
        """What and who in a language."""
        return (self.en, self.holder_en) if lang == "en" else (self.zh, self.holder_zh)


@dataclass
class Gap:
    """Something missing, with the indicators it would unlock."""

    need: Need
    """What is missing and who holds it."""
    alone: list[str] = field(default_factory=list)
    """Indicators that lack nothing else."""
    more: list[str] = field(default_factory=list)
    """Indicators that lack other things besides."""


def gaps(
    city: Any, data: Any, year: int, values: pd.DataFrame, definitions: Mapping[str, Indicator]
) -> list[Gap]:
    """Everything that indicators without a value lack, what unlocks most first.

    Parameters
    ----------
    city : City
        Profile; its words give holders in English.
    data : CityData
        The layers there are.
    year : int
        Year of the checkup.
    values : DataFrame
        Value table.
    definitions : mapping
        Indicator definitions by id.

    Returns
    -------
    list of Gap
        Ordered by the number of indicators the gap unlocks alone, then together with others, then by name.
    """
    found: dict[str, Gap] = {}
    for indicator, wanted in needs(city, data, year, values, definitions).items():
        lacks = {need.key: need for need in wanted}
        for key, need in lacks.items():
            gap = found.setdefault(key, Gap(need))
            (gap.alone if len(lacks) == 1 else gap.more).append(indicator)
    return sorted(
        found.values(),
        key=lambda gap: (gap.need.inapplicable, -len(gap.alone), -len(gap.more), gap.need.key),
    )


def needs(
    city: Any, data: Any, year: int, values: pd.DataFrame, definitions: Mapping[str, Indicator]
) -> dict[str, list[Need]]:
    """Map each indicator without a value to everything it lacks."""
    rows = observed(values, year)
    return {
        str(row["indicator"]): list(_needs(city, data, year, row, definitions.get(str(row["indicator"]))))
        for row in rows[rows["value"].isna()].to_dict("records")
    }


def _needs(
    city: Any, data: Any, year: int, row: Mapping[Any, Any], definition: Indicator | None
) -> Iterator[Need]:
    kind, _, rest = str(row.get("reason") or "").partition(":")
    if not getattr(definition, "methods", ()):  # no definition that says what it is made from
        who = str(getattr(definition, "holder", "")), str(getattr(definition, "holder_en", ""))
        yield Need(str(row["reason_zh"]), str(row["reason_en"]), *who)
        return
    assert definition is not None
    if kind == "not_reported":
        yield Need(*SHEET, *lacking.reported_by(city, data, definition))
        return
    method = definition.methods[0]
    never, words = _lacks(city, data, year, method)
    if never:
        yield from never
        return
    if definition.scope != "市域" and definition.scope not in city.scopes:
        words.append(lacking.scope_gap(city, data, definition.scope).words())
    items = "statistics" in method.inputs and data.has("statistics")
    if items:
        words += lacking.lacking_items(city, data, year, method)
    if kind in ("no_item", "no_item_year", "stale") and not items:
        words.append(lacking.item_need(city, data, rest.partition(":")[0]))
    if kind == "no_kind":
        words.append(lacking.kinds_need(city, data, rest.split("+")))
    if kind in lacking.ATTRIBUTES:
        words.append(lacking.attribute_need(city, data, kind))
    if not words:
        words = [(str(row["reason_zh"]), str(row["reason_en"]), definition.holder, definition.holder_en)]
    yield from (Need(*one) for one in words)


def _lacks(city: Any, data: Any, year: int, method: Method) -> tuple[list[Need], list[Words]]:
    """What a method lacks of layers: things there are none of in this city, and words of the others."""
    never: list[Need] = []
    words: list[Words] = []
    for role in method.inputs:
        at = year if data.years(role) else None
        gap = lacking.never_gap(city, role, method)
        if gap is None and data.has(role, at):
            continue
        gap = gap or lacking.role_gap(city, data, role, at, method)
        if gap.inapplicable:
            zh, en = gap.words()[:2]
            never.append(Need(zh, en, gap.note[0], gap.note[1] or gap.note[0], True))
        elif gap.items:
            words += [lacking.item_need(city, data, item) for item in gap.items]
        else:
            words.append(gap.words())
    return never, words


def gap_rows(city: Any, year: int, found: list[Gap]) -> list[Row]:
    """Rows ``report.unlocks_alone``, ``report.unlocks_more`` (zone = the gap) and ``report.gaps``."""
    open_ = [gap for gap in found if not gap.need.inapplicable]
    never = {name for gap in found if gap.need.inapplicable for name in [*gap.alone, *gap.more]}
    rows = [
        _row(city, year, "report.gaps", len(open_), "all", "different things that are missing"),
        _row(city, year, "report.inapplicable", len(never), "all", "indicators of what the city has none of"),
    ]
    for gap in open_:
        rows.append(
            _row(
                city,
                year,
                "report.unlocks_alone",
                len(gap.alone),
                gap.need.key,
                "indicators that lack only this",
            )
        )
        rows.append(
            _row(
                city,
                year,
                "report.unlocks_more",
                len(gap.more),
                gap.need.key,
                "indicators that lack more besides",
            )
        )
    return rows


def basis_rows(
    city: Any,
    year: int,
    values: pd.DataFrame,
    definitions: Mapping[str, Indicator],
    *,
    filled: Collection[str] = (),
) -> list[Row]:
    """Rows ``report.state.<state>``, zone = basis or ``all``: how the values of the year came about.

    ``filled`` are the indicators whose value rests on a figure that a department filled in: they count as reported.
    """
    kept = observed(values, year)
    counted = (
        count_by_basis(kept, year=year, library=definitions, filled=filled)
        if len(kept)
        else count_by_basis(values.head(0))
    )
    rows = []
    for state in ("computed", "substituted", "reported", "missing"):
        part = counted[counted["state"] == state]
        for basis in ("layers", "tables", "reported"):
            number = int(part.loc[part["basis"] == basis, "count"].sum())
            rows.append(
                _row(city, year, f"report.state.{state}", number, basis, "indicators by what they rest on")
            )
        rows.append(_row(city, year, f"report.state.{state}", int(part["count"].sum()), "all", "indicators"))
    valued = counted[counted["state"] != "missing"]
    on_layers = int(valued.loc[valued["basis"] == "layers", "count"].sum())
    rows.append(_row(city, year, "report.on_layers", on_layers, "all", "from geometry, rasters or networks"))
    return rows


def _row(city: Any, year: int, name: str, number: float, zone: str, basis: str) -> Row:
    reason = ("none", "无数据", "no data") if math.isnan(number) else None
    return derived(
        name, number, city=city.name, year=year, zone=zone, zone_name=zone, basis=basis, reason=reason
    )
