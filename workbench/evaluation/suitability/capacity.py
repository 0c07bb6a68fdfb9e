"""How many people land and water could carry under stated assumptions, what they carry now, and the level of warning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core.errors import LayerMissing
from workbench.evaluation.suitability.settings import Settings
from workbench.evaluation.suitability.words import reason

if TYPE_CHECKING:
    from workbench.catalog.data import CityData

LEVELS = ("可载", "临界超载", "超载")
"""Levels of warning, by number."""
UNKNOWN = -1
"""Level where there is none."""
COLUMNS = [
    "constraint", "level", "zone", "zone_name", "zone_name_en", "capacity", "load", "unit", "people_capacity", "people",
    "ratio", "warning", "reason", "reason_zh", "reason_en",
]  # fmt: skip
FORMULAS = {
    "farming": (
        "可承载人口 = 农业适宜面积 × 净耕地系数 × 种粮比例 × 单产 ÷（人均粮食需求 × 自给率）；负荷比 = 现状人口 ÷ 可承载人口",
        "people = suitable area × net cropland × share under grain × yield ÷ (grain a person × self-supply); ratio = people now ÷ that",
    ),
    "building": (
        "开发压力 D =（P − T）÷ T，P 为现状城乡建设用地，T 为建设适宜与一般面积 × 可用比例；可承载人口 = T ÷ 人均建设用地",
        "pressure D = (P − T) ÷ T, P present urban and rural building land, T suitable and fair area × usable share; people = T ÷ land a person",
    ),
    "water": (
        "负荷比 = 用水量 ÷ 用水总量控制指标；可承载人口 = 控制指标 ÷ 现状人均用水量",
        "ratio = use ÷ limit of use; people = limit ÷ present use a person",
    ),
}
"""How each constraint is reckoned, in Chinese and English."""


def warning(value: float, near: float, over: float) -> int:
    """Level of a pressure: 0 up to ``near`` (itself included), 1 up to ``over``, 2 above; -1 when unknown.

    Examples
    --------
    >>> [warning(one, 0.9, 1.0) for one in (0.5, 0.9, 0.95, 1.0, 1.2)]
    [0, 0, 1, 1, 2]
    """
    if math.isnan(value):
        return UNKNOWN
    return 2 if value > over else 1 if value > near else 0


def people_of(data: CityData, year: int, zones: gpd.GeoDataFrame) -> pd.Series:
    """People of each zone: of the statistics where they have the zone, else those of the population layer; NaN for none."""
    found = pd.Series(np.nan, index=zones["key"])
    if data.has("population", year if data.years("population") else None):
        cells = data.vector("population", year if data.years("population") else None)
        points = cells.geometry.to_numpy()
        zone, cell = shapely.STRtree(points).query(zones.geometry.to_numpy(), predicate="intersects")
        total = np.bincount(
            zone, weights=cells["population"].to_numpy(dtype=float)[cell], minlength=len(zones)
        )
        found[:] = total
    table = statistic(data, year, "population_1e4")
    for key, level, code in zip(zones["key"], zones["level"], zones["code"], strict=True):
        stated = table.get("city" if level == "city" else str(code), math.nan)
        if not math.isnan(stated):
            found[key] = stated * 1e4
    return found


def statistic(data: CityData, year: int, item: str) -> dict[str, float]:
    """Figures of an item of the statistics for a year, by zone (the city is ``city``); empty where there are none."""
    try:
        table = data.table("statistics", year)
    except LayerMissing:
        return {}
    rows = table[(table["item"] == item) & (table["year"] == year) & table["value"].notna()]
    zone = rows["zone"].astype(str).replace({data.city.name: "city", "": "city"})
    return dict(zip(zone, rows["value"].astype(float), strict=True))


def capacity(
    settings: Settings,
    data: CityData,
    year: int,
    zones: gpd.GeoDataFrame,
    areas: pd.DataFrame,
    land: pd.DataFrame | None,
) -> pd.DataFrame:
    """What land and water could carry in each zone, the load now and the level of warning.

    Parameters
    ----------
    settings : Settings
        Assumptions.
    data : CityData
        People and water.
    year : int
        Year of the load.
    zones : GeoDataFrame
        As from :func:`~workbench.evaluation.suitability.areas.zones_of`; the city and its first level are reckoned.
    areas : DataFrame
        Areas of the classes by zone.
    land : DataFrame, optional
        ``settled`` by zone, m²; None where present land use is not known.

    Returns
    -------
    DataFrame
        ``constraint`` (farming, building, water, all), ``capacity`` and ``load`` in ``unit``, ``people_capacity, people, ratio`` (D
        for building), ``warning`` (0 可载, 1 临界超载, 2 超载, -1 not known), reason.
    """
    levels = list(dict.fromkeys(zones["level"]))[:2]
    shown = zones[zones["level"].isin(levels)]
    people = people_of(data, year, zones)
    classes = areas.set_index(["output", "class", "level", "zone"])["area_m2"]
    use, limit = (
        statistic(data, year, str(settings.capacity[name].value))
        for name in ("water_use_item", "water_limit_item")
    )
    rows: list[dict[str, Any]] = []
    for zone in shown.to_dict("records"):
        key = (zone["level"], zone["code"])
        common = {
            "level": zone["level"], "zone": zone["code"], "zone_name": zone["name"], "zone_name_en": zone["name_en"],
            "people": float(people[zone["key"]]),
        }  # fmt: skip
        settled = math.nan if land is None else float(land.loc[zone["key"], "settled"])
        name = "city" if zone["level"] == "city" else str(zone["code"])
        made = [
            _farming(settings, classes, key, common, land is not None),
            _building(settings, classes, key, common, settled),
            _water(settings, use.get(name, math.nan), limit.get(name, math.nan), common),
        ]
        rows += [*made, _overall(made, common)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(constraint: str, common: Mapping[str, Any], unit: str, **more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "constraint": constraint, "capacity": math.nan, "load": math.nan, "unit": unit, "people_capacity": math.nan,
        "ratio": math.nan, "warning": UNKNOWN, "reason": "", "reason_zh": "", "reason_en": "",
    }  # fmt: skip
    return {**base, **common, **more}


def _why(code: str) -> dict[str, str]:
    return dict(zip(("reason", "reason_zh", "reason_en"), reason(code), strict=True))


def _area(classes: pd.Series, output: str, key: tuple[str, str], codes: list[int]) -> float:
    """Area of some classes of a result in a zone, m²; NaN where the settings have no such evaluation."""
    found = [(output, code, *key) for code in codes]
    return (
        float(sum(classes[one] for one in found)) if all(one in classes.index for one in found) else math.nan
    )


def _farming(
    settings: Settings, classes: pd.Series, key: tuple[str, str], common: Mapping[str, Any], land: bool
) -> dict[str, Any]:
    area, number = _area(classes, "farming", key, [1]), settings.number
    if math.isnan(area):
        return _row("farming", common, "person", **_why("no_evaluation"))
    grain = area / 1e4 * number("net_cropland") * number("sown_to_grain") * number("grain_kg_per_ha")
    fed = grain / (number("grain_kg_per_person") * number("self_supply"))
    people = common["people"]
    if not land:
        return _row(
            "farming",
            common,
            "person",
            capacity=fed,
            people_capacity=fed,
            load=people,
            **_why("land_not_known"),
        )
    if math.isnan(people):
        return _row("farming", common, "person", capacity=fed, people_capacity=fed, **_why("no_people"))
    if common["level"] != "city":
        return _row(
            "farming", common, "person", capacity=fed, people_capacity=fed, load=people, **_why("city_only")
        )
    if fed <= 0:
        return _row(
            "farming", common, "person", capacity=0.0, people_capacity=0.0, load=people, warning=2 if people > 0 else UNKNOWN,
            **_why("no_capacity"),
        )  # fmt: skip
    ratio = people / fed
    level = warning(ratio, number("near_share"), number("over_share"))
    return _row(
        "farming",
        common,
        "person",
        capacity=fed,
        people_capacity=fed,
        load=people,
        ratio=ratio,
        warning=level,
    )


def _building(
    settings: Settings, classes: pd.Series, key: tuple[str, str], common: Mapping[str, Any], settled: float
) -> dict[str, Any]:
    known = [one for one in settings.evaluations if one.id == "building"]
    if not known:
        return _row("building", common, "m2", **_why("no_evaluation"))
    fit = _area(classes, "building", key, list(range(1, len(known[0].classes))))
    room = fit * settings.number("building_share")
    carried = room / settings.number("building_m2_per_person")
    if math.isnan(settled):
        return _row("building", common, "m2", capacity=room, people_capacity=carried, **_why("no_land"))
    if room <= 0:
        return _row(
            "building", common, "m2", capacity=0.0, people_capacity=0.0, load=settled, warning=2 if settled > 0 else UNKNOWN,
            **_why("no_capacity"),
        )  # fmt: skip
    pressure = (settled - room) / room
    level = warning(pressure, settings.number("land_near"), settings.number("land_over"))
    return _row(
        "building",
        common,
        "m2",
        capacity=room,
        people_capacity=carried,
        load=settled,
        ratio=pressure,
        warning=level,
    )


def _water(settings: Settings, use: float, limit: float, common: Mapping[str, Any]) -> dict[str, Any]:
    if math.isnan(use) or math.isnan(limit):
        more = {"capacity": limit, "load": use}
        return _row("water", common, "1e8 m3", **more, **_why("no_limit" if math.isnan(limit) else "no_use"))
    ratio = use / limit if limit > 0 else math.inf
    people = common["people"] / ratio if ratio > 0 else math.nan
    level = warning(ratio, settings.number("near_share"), settings.number("over_share"))
    return _row(
        "water",
        common,
        "1e8 m3",
        capacity=limit,
        load=use,
        people_capacity=people,
        ratio=ratio,
        warning=level,
    )


def _overall(made: list[dict[str, Any]], common: Mapping[str, Any]) -> dict[str, Any]:
    """The gravest constraint that is known: the shortest stave of the barrel.

    The people it can carry are the fewest of the constraints that have a level.
    """
    known = [row for row in made if row["warning"] != UNKNOWN]
    if not known:
        return _row("all", common, "person", **_why("no_capacity"))
    carried = [row["people_capacity"] for row in known if not math.isnan(row["people_capacity"])]
    least = min(carried, default=math.nan)
    ratio = common["people"] / least if least and not math.isnan(least) else math.nan
    return _row(
        "all", common, "person", capacity=least, people_capacity=least, load=common["people"], ratio=ratio,
        warning=max(row["warning"] for row in known),
    )  # fmt: skip
