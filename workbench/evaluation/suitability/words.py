"""Why a factor is not there, in Chinese and English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.indicators.lacking import role_gap

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.city import City
    from workbench.evaluation.suitability.settings import Factor

COVERS_ALL = 0.98
"""A range that covers this share of the city tells no place from another."""

REASONS: dict[str, tuple[str, str]] = {
    "no_layer": ("没有该图层", "there is no such layer"),
    "no_field": ("图层没有字段{field}", "the layer has no field {field}"),
    "no_feature": ("图层中没有可用的要素", "the layer has no feature of use"),
    "outside_grid": ("要素都在评价范围之外", "all features lie outside the range"),
    "no_scope": ("没有划定{scope}", "the range it is measured from is not delimited"),
    "scope_is_all": (
        "{scope}与评价范围相同，不能区分远近",
        "the range it is measured from is the whole of what is judged: it tells no place from another",
    ),
    "replaced": ("已有{by}，不再代替", "{by} is there: it need not stand in"),
    "no_people": ("没有人口数据", "no population"),
    "no_land": ("没有现状地类数据", "no present land use"),
    "land_not_known": (
        "没有现状地类，已建成的土地未能扣除，承载力只是上限，不预警",
        "without present land use built land could not be taken out: an upper bound, no level",
    ),
    "no_limit": ("统计表没有用水总量控制指标", "the statistics have no limit of water use"),
    "no_use": ("统计表没有用水量", "the statistics have no water use"),
    "city_only": (
        "粮食自给按全市核算，分区只列承载力、不预警",
        "grain is reckoned for the whole city; zones have a capacity and no level",
    ),
    "no_capacity": ("没有可承载的土地", "no land to carry anybody"),
    "not_judged": ("分区内没有参与评价的格网", "no cell of the zone is judged"),
    "no_class": ("没有该类格网，或未作联合检验", "no cell has this class, or no draws were made"),
    "no_such_use": ("分区内没有该类用地", "the zone has no land of this use"),
    "no_evaluation": ("设置中没有该项评价", "the settings have no such evaluation"),
}
"""Reason code -> words in Chinese and English."""


def reason(code: str, **values: str) -> tuple[str, str, str]:
    """Code and its words in Chinese and English.

    Examples
    --------
    >>> reason("no_field", field="level")[2]
    'the layer has no field level'
    """
    zh, en = REASONS[code]
    return code, zh.format(**values), en.format(**values)


def missing_words(
    city: City, data: CityData, factor: Factor, year: int | None
) -> tuple[str, str, str] | None:
    """Why the layer of a factor cannot be had, with who holds it; None when it is there."""
    if data.has(factor.role, year):
        return None
    if factor.role in city.layers:
        gap = role_gap(city, data, factor.role, year)
        zh, en, holder_zh, holder_en = gap.words()
        if gap.fault is not None:
            return gap.fault
        return (
            str(data.why_missing(factor.role, year)),
            f"没有{zh}" + (f"（{holder_zh}掌握）" if holder_zh else ""),
            f"{en} is not there" + (f" (held by {holder_en})" if holder_en else ""),
        )
    hint = city.missing.get(factor.role)
    if hint is not None and not hint.holder and hint.note_zh:
        return "not_applicable", hint.note_zh, hint.note_en or hint.note_zh
    holder = data.holder(factor.role) or factor.holder
    english = city.say(holder, "en") if holder else ""
    return (
        "no_layer",
        f"没有{factor.title_zh}图层" + (f"（通常由{city.say(holder, 'zh')}掌握）" if holder else ""),
        f"no layer of {factor.title_en}"
        + (f" (usually held by {english})" if english and english.isascii() else ""),
    )
