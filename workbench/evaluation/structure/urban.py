"""Physical urban area and urban range of a year."""

from __future__ import annotations

import shapely

from workbench.core.errors import LayerMissing
from workbench.evaluation.structure.part import Case, Part, need
from workbench.operators.area import area_m2
from workbench.operators.urban_area import UrbanRules, agreement, codes_of, grow, urban_range

KM2 = 1e6


def urban(case: Case) -> Part:
    """城区实体地域 grown from the survey, 城区范围 by whole zones, and how both agree with the range of the profile.

    Raises
    ------
    LayerMissing
        Without a survey of the year, or one that marks no patch as city.
    """
    need(case, "land_use")
    part = Part("urban", roles=("land_use",))
    settings = case.settings.parameters
    land = case.vector("land_use")
    if not land["czcsxm"].fillna("").isin(list(settings.urban_codes)).any():
        raise LayerMissing(
            "land_use", case.year, reason="no_city_patches", holder=case.data.holder("land_use")
        )
    functions = codes_of(settings.urban_groups, ()) - set(settings.urban_not)
    rules = UrbanRules(
        frozenset(settings.urban_codes),
        frozenset(functions),
        settings.connected_m,
        settings.least_patch_m2,
        settings.rounds,
    )
    area = grow(land, rules)
    inside = area["round"] >= 0
    part.tables["urban_area"] = area[inside | (area["why"] != "too_far")].reset_index(drop=True)
    first = float(area.loc[area["why"] == "initial", "area_m2"].sum())
    joined = float(area.loc[area["why"] == "joined", "area_m2"].sum())
    far = float(area.loc[~inside, "area_m2"].sum())
    for item, value, basis in (
        ("initial", first, "patches marked as city in the survey"),
        ("joined", joined, "patches of urban function that joined by connection"),
        ("physical", first + joined, "first range and what joined it"),
        ("outside", far, "patches of urban function that did not join"),
    ):
        part.fact(item, value / KM2, unit="km2", basis=basis)
    part.fact(
        "rounds", float(area["round"].max()), unit="count", decimals=0, basis="rounds in which patches joined"
    )
    if (area["why"] == "rounds_used_up").any():
        part.find(
            "rounds_used_up",
            "缓冲迭代达到次数上限，仍有可连接图斑",
            "patches could still join when the rounds were used up",
        )
    shape = shapely.union_all(area.geometry.to_numpy()[inside.to_numpy()])
    _range(case, part, area)
    try:
        scope = case.data.scope(settings.scope)
    except LayerMissing:
        part.find(
            "no_scope",
            f"没有划定的{settings.scope}可供比对",
            f"no {settings.scope} has been delimited to compare with",
        )
        return part
    part.fact(
        "scope",
        float(area_m2([scope], land.crs)[0]) / KM2,
        unit="km2",
        basis=f"{settings.scope} of the profile",
    )
    part.fact(
        "agreement", 100 * agreement(shape, scope), unit="%", decimals=1,
        basis=f"overlap of the physical urban area and the {settings.scope} of the profile over their union",
    )  # fmt: skip
    return part


def _range(case: Case, part: Part, area: object) -> None:
    """Zones kept whole by their share of physical urban area."""
    level = case.last_level()
    if not level:
        part.find(
            "no_zones",
            "没有社区、街道一级的分区，不能确定城区范围",
            "no zones of communities or sub-districts: no urban range",
        )
        return
    settings = case.settings.parameters
    zones = case.data.zones(level)
    found = urban_range(area, zones, least_share=settings.least_share)  # type: ignore[arg-type]
    part.tables["urban_range"] = found
    part.roles = (*part.roles, case.city.levels[level].role)
    kept = found[found["kept"]]
    part.fact("range", float(kept["area_m2"].sum()) / KM2, unit="km2", basis="zones kept whole")
    part.fact("range_zones", float(len(kept)), unit="count", decimals=0, basis=f"zones of level {level} kept")
    part.find(
        "zones_stand_in", f"没有社区边界，以{case.city.levels[level].title_zh or level}代替社区判定城区范围",
        f"no borders of communities: zones of the level {level} stand in for them",
    )  # fmt: skip
