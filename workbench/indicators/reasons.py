"""Why a value is missing, in words: which data, who usually holds them, what having them would unlock."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from workbench.core.paths import PACKAGE

Words = tuple[str, str, str, str]

_SIMPLE: dict[str, tuple[str, str]] = {
    "outside_scope": (
        "分区不在该指标的统计范围内",
        "the zone lies outside the range the indicator is taken over",
    ),
    "zero_denominator": ("分母为零，无法计算", "the denominator is zero"),
    "no_line_in_force": ("该年末没有生效的控制线", "no planning line was in force at the end of the year"),
    "no_earlier_year": ("没有更早年份的数据可供比较", "there is no earlier edition to compare with"),
    "no_net_area": ("图斑未填写净面积（TBDLMJ）", "parcels without a stated net area (TBDLMJ)"),
    "no_heights": ("有高度属性的建筑物太少", "too few buildings have a stated height"),
    "no_floors": ("部分建筑物没有层数属性", "some buildings have no stated number of storeys"),
    "no_external_flows": (
        "人流数据中没有与外部城市之间的联系",
        "the flow table has no trips to or from other cities",
    ),
    "no_internal_flows": (
        "人流数据中没有市内出行或没有时间",
        "the flow table has no timed trips inside the city",
    ),
    "no_homes": ("建筑物没有标明住宅用途", "no building is marked as housing"),
    "no_change_seen": (
        "两期变更调查未反映此类变化，不能据此认定为零",
        "the two land surveys show no such change, which does not prove that there was none",
    ),
    "no_cells": ("该分区内没有有效像元", "the zone holds no valid cell of the raster"),
    "grids_differ": ("两幅栅格的格网不一致", "the rasters do not lie on one grid"),
    "too_cloudy": ("影像在该分区内云量过大", "too much of the zone is clouded in the imagery"),
    "population_unchanged": (
        "人口几乎没有变化，比值无意义",
        "the population hardly changed: the quotient says nothing",
    ),
    "city_level_only": ("该指标只计算到全市", "the indicator is computed for the whole city only"),
    "not_finite": ("计算结果无意义", "the calculation gives no finite number"),
}


@lru_cache(maxsize=1)
def _words() -> dict[str, dict[str, Words]]:
    content = tomllib.loads((PACKAGE / "indicators" / "roles.toml").read_text("utf-8"))
    return {part: {key: tuple(words) for key, words in content[part].items()} for part in content}


def role_words(role: str) -> Words:
    """Name and usual holder of a layer role: zh, en, holder zh, holder en; the role itself when it has no words."""
    return _words()["roles"].get(role, (role, role, "主管部门", "the department in charge"))


def kind_words(kind: str) -> tuple[str, str]:
    """Name of a kind of facility, zh and en."""
    zh, en = _words()["kinds"].get(kind, (kind, kind))[:2]
    return zh, en


def item_words(item: str) -> Words:
    """Name and usual publisher of an item of statistics: zh, en, holder zh, holder en."""
    return _words()["items"].get(item, (item, item, "统计局", "statistics bureau"))


@dataclass(frozen=True)
class Gap:
    """One thing a method lacks: a layer, a year of a layer, or the delimitation of a range."""

    role: str
    """Layer role."""
    year: int | None = None
    """Year asked for, of a layer dated by year."""
    years: tuple[int, ...] = ()
    """Years there are."""
    holder: str = ""
    """Who holds the data in this city, where the profile says so."""
    holder_en: str = ""
    """The same in English, where the profile gives it."""
    note: tuple[str, str] = ("", "")
    """Why nobody holds them (zh, en), where the profile names no holder."""
    fault: tuple[str, str, str] | None = None
    """Code and words (zh, en) when the layer is there but cannot be used."""
    scope: str = ""
    """The range that is not delimited."""
    items: tuple[str, ...] = ()
    """Items that are asked for, where the whole table is absent."""

    @property
    def inapplicable(self) -> bool:
        """Whether there is no such thing in this city, so that nobody can ever provide it."""
        return bool(self.note[0]) and not self.scope and not self.holder

    @property
    def code(self) -> str:
        """Reason code for the value table."""
        if self.inapplicable:
            return f"not_applicable:{self.items[0] if self.items else self.role}"
        if self.scope:
            return f"no_scope:{self.scope}"
        if self.fault:
            return f"{self.fault[0]}:{self.role}"
        return f"no_year:{self.role}:{self.year}" if self.years else f"no_layer:{self.role}"

    def words(self) -> tuple[str, str, str, str]:
        """What is lacking and who holds it: zh, en, holder zh, holder en."""
        zh, en, holder_zh, holder_en = role_words(self.role)
        holder_zh, holder_en = self.holder or holder_zh, self.holder_en or holder_en
        if self.items:
            names = [item_words(item) for item in self.items]
            zh, en = "、".join(name[0] for name in names), ", ".join(name[1] for name in names)
            if not self.holder:
                holder_zh = "、".join(dict.fromkeys(name[2] for name in names))
                holder_en = ", ".join(dict.fromkeys(name[3] for name in names))
            return f"统计数据：{zh}", f"statistics: {en}", holder_zh, holder_en
        if self.scope:
            english = {"城区": "the urban area", "中心城区": "the central urban area"}.get(
                self.scope, self.scope
            )
            return f"{self.scope}范围", f"the delimitation of {english}", holder_zh, holder_en
        if self.fault:
            return f"可用的{zh}（{self.fault[1]}）", f"usable {en} ({self.fault[2]})", holder_zh, holder_en
        if self.years:
            had = "、".join(map(str, self.years))
            listed = ", ".join(map(str, self.years))
            return (
                f"{self.year}年{zh}（已有{had}年）",
                f"{en} of {self.year} (there is {listed})",
                holder_zh,
                holder_en,
            )
        return zh, en, holder_zh, holder_en


def _lacking(gaps: Sequence[Gap]) -> tuple[str, str]:
    """The things lacking, those of one holder together, with who holds them: zh, en."""
    zh, en = _by_holder(gaps, 0), _by_holder(gaps, 1)
    return (
        "；".join(f"{'、'.join(names)}（通常由{holder}掌握）" for holder, names in zh.items()),
        "; ".join(f"{', '.join(names)} (usually held by {holder})" for holder, names in en.items()),
    )


def _by_holder(gaps: Sequence[Gap], at: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for gap in gaps:
        words = gap.words()
        found.setdefault(words[2 + at], []).append(words[at])
    return found


def gaps_reason(gaps: Sequence[Gap], title: tuple[str, str]) -> tuple[str, str, str]:
    """Code (of the first gap), Chinese and English for what a method lacks, and what having it would unlock.

    Examples
    --------
    >>> gaps_reason([Gap("parks")], ("人均公园绿地面积", "Park green space per capita"))[2]
    "lacks parks and squares (usually held by parks department); would unlock 'Park green space per capita'"
    """
    if never := [gap for gap in gaps if gap.inapplicable]:
        notes = [dict.fromkeys(gap.note[at] or gap.words()[at] for gap in never) for at in (0, 1)]
        return never[0].code, f"不适用：{'；'.join(notes[0])}", f"not applicable: {'; '.join(notes[1])}"
    zh, en = _lacking(gaps)
    return gaps[0].code, f"缺少{zh}；补齐后可得“{title[0]}”", f"lacks {en}; would unlock '{title[1]}'"


def or_layers(text: tuple[str, str], gaps: Sequence[Gap]) -> tuple[str, str]:
    """The words for a figure not filled in, with the layers that would give the value as well."""
    zh, en = _lacking(gaps)
    return f"{text[0]}；或补齐{zh}后由图层计算", f"{text[1]}; or from layers, given {en}"


def explain(code: str, own: tuple[str, Words] | None = None) -> tuple[str, str]:
    """Chinese and English of a reason code a formula gave.

    Parameters
    ----------
    code : str
        Code, with what it is about after colons.
    own : (id, words), optional
        The indicator that is explained: its code stands for its title and holder where it is the item that is missing.

    Examples
    --------
    >>> explain("stale:gdp_1e8_cny:2017")[1]
    'GDP at constant price: the last figure is of 2017 and is not used for another year; published by statistics bureau'
    """
    if code in _SIMPLE:
        return _SIMPLE[code]
    kind, _sep, rest = code.partition(":")
    item, _sep, year = rest.partition(":")
    zh, en, holder_zh, holder_en = own[1] if own is not None and own[0] == item else item_words(item)
    if kind == "not_reported":
        return (
            f"“{zh}”尚未填报；由{holder_zh}掌握，填报后即可得",
            f"'{en}' has not been filled in; held by {holder_en}, who can report it",
        )
    if kind == "wrong_unit":
        return (
            f"“{zh}”填报的单位“{year}”与指标单位不符，未采用；由{holder_zh}核改",
            f"'{en}' was filled in as '{year}', which is not its unit, and is not used; to be put right by {holder_en}",
        )
    if kind == "no_field":
        layer_zh, layer_en = role_words(item)[:2]
        return (
            f"{layer_zh}缺少字段 {year}；由{role_words(item)[2]}补充",
            f"{layer_en} without the field {year}; to be added by {role_words(item)[3]}",
        )
    if kind == "no_scope":
        return f"尚未划定{item}范围", f"the range {item} has not been delimited"
    if kind == "no_last_year":
        return (
            f"缺少上一年度（{rest}年）国土变更调查，不以更长时段代替",
            f"no land survey of the year before ({rest}); a longer interval is not used instead",
        )
    if kind == "stale":
        return (
            f"{zh}最近一期为{year}年，不以旧值代替；由{holder_zh}发布",
            f"{en}: the last figure is of {year} and is not used for another year; published by {holder_en}",
        )
    if kind == "no_item":
        return f"缺少统计项“{zh}”；由{holder_zh}发布", f"no statistics on {en}; published by {holder_en}"
    if kind == "no_item_year":
        return (
            f"{zh}没有{year}年数据；由{holder_zh}发布",
            f"{en} has no figure of {year}; published by {holder_en}",
        )
    if kind == "no_zone_row":
        return f"{zh}只有全市数据，未分区发布", f"{en} is published for the whole city only"
    if kind == "no_kind":
        names = [kind_words(one) for one in item.split("+")]
        return (
            f"设施点数据中没有{'、'.join(n[0] for n in names)}，不以零计",
            f"the facility points hold no {' or '.join(n[1] for n in names)}; this is not counted as nought",
        )
    if kind == "no_base_year":
        return (
            f"缺少基期（{rest}年）数据，无法比较",
            f"there are no data for the base year {rest} to compare with",
        )
    return code, code
