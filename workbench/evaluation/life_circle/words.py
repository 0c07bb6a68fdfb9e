"""Why a figure of the life circles is missing, in Chinese and English."""

from __future__ import annotations

REASONS: dict[str, tuple[str, str]] = {
    "no_layer": ("没有该类设施所在的图层", "the city has no layer with this kind of facility"),
    "no_kind": (
        "图层中没有该类设施，无法区分“没有设施”与“没有数据”",
        "the layer holds none of this kind: no data, or none there",
    ),
    "no_ages": ("人口数据没有分年龄", "the population has no age groups"),
    "no_people": ("分区内没有人口", "nobody lives in the zone"),
    "no_cycling": ("道路图层中没有可骑行的道路等级", "no road of the layer may be cycled"),
    "no_supply": ("该类设施没有供给量", "facilities of this kind have nothing to give"),
    "no_zones": ("没有下级分区，无法分解", "no zones below the city to divide the index by"),
    "zones_overlap": ("分区相互重叠，无法分解", "the zones overlap: the index cannot be divided by them"),
    "nobody_served": ("没有人能到达该类设施", "nobody reaches a facility of this kind"),
}
"""Reason code -> words in Chinese and English."""


def reason(code: str) -> tuple[str, str, str]:
    """Code and its words in Chinese and English.

    Examples
    --------
    >>> reason("no_people")[1]
    '分区内没有人口'
    """
    return code, *REASONS[code]
