"""What is missing, who holds it, and what having it would unlock: the gaps of a checkup, and how its values came about."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from workbench.evaluation.derived import Row, observed
from workbench.indicators.bases import count_by_basis
from workbench.indicators.indicator import Indicator
from workbench.indicators.reasons import item_words, kind_words, role_words
from workbench.indicators.values import derived

SHEET = ("部门填报数据", "figures of the fill-in sheet")
SCOPE_EN = {"城区": "urban area", "中心城区": "central urban area"}


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
    rows = observed(values, year)
    for row in rows[rows["value"].isna()].to_dict("records"):
        definition = definitions.get(str(row["indicator"]))
        lacks = {need.key: need for need in _needs(city, data, year, row, definition)}
        for key, need in lacks.items():
            gap = found.setdefault(key, Gap(need))
            (gap.alone if len(lacks) == 1 else gap.more).append(str(row["indicator"]))
    return sorted(found.values(), key=lambda gap: (-len(gap.alone), -len(gap.more), gap.need.key))


def _needs(
    city: Any, data: Any, year: int, row: Mapping[Any, Any], definition: Indicator | None
) -> Iterator[Need]:
    kind, _, rest = str(row.get("reason") or "").partition(":")
    if definition is None:
        yield Need(str(row["reason_zh"]), str(row["reason_en"]), "", "")
        return
    if kind == "not_reported":
        yield Need(*SHEET, definition.holder, definition.holder_en)
        return
    found = False
    for role in definition.methods[0].inputs:
        if not data.has(role, year if data.years(role) else None):
            zh, en, holder_zh, holder_en = role_words(role)
            held = data.holder(role)
            yield Need(zh, en, held or holder_zh, str(city.say(held, "en")) if held else holder_en)
            found = True
    if definition.scope != "市域" and definition.scope not in city.scopes:
        words = role_words("scopes")
        scope = definition.scope
        yield Need(f"{scope}范围", f"delimitation of the {SCOPE_EN.get(scope, scope)}", words[2], words[3])
        found = True
    if kind in ("no_item", "no_item_year", "stale"):
        yield Need(*item_words(rest.partition(":")[0]))
        found = True
    if kind == "no_kind":
        names = [kind_words(one) for one in rest.split("+")]
        words = role_words("facilities")
        zh = "设施点：" + "、".join(name[0] for name in names)
        yield Need(zh, "facility points: " + ", ".join(name[1] for name in names), words[2], words[3])
        found = True
    if not found:
        yield Need(str(row["reason_zh"]), str(row["reason_en"]), definition.holder, definition.holder_en)


def gap_rows(city: Any, year: int, found: list[Gap]) -> list[Row]:
    """Rows ``report.unlocks_alone``, ``report.unlocks_more`` (zone = the gap) and ``report.gaps``."""
    rows = [_row(city, year, "report.gaps", len(found), "all", "different things that are missing")]
    for gap in found:
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


def basis_rows(city: Any, year: int, values: pd.DataFrame, definitions: Mapping[str, Indicator]) -> list[Row]:
    """Rows ``report.state.<state>``, zone = basis or ``all``: how the values of the year came about."""
    kept = observed(values, year)
    counted = (
        count_by_basis(kept, year=year, library=definitions) if len(kept) else count_by_basis(values.head(0))
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
