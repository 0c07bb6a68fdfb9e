"""存量低效用地: built land that meets rules on floor area, footprint and residents, each parcel with its reasons."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core import codes
from workbench.evaluation.structure.part import Case, Part, need
from workbench.evaluation.structure.settings import LowUse
from workbench.operators.area import area_m2
from workbench.operators.overlay import intersect
from workbench.operators.shared_area import area_table

Floats = npt.NDArray[np.float64]
METRIC_WORDS = {
    "far": ("容积率", "floor area ratio", ""),
    "density": ("建筑密度", "building density", "%"),
    "people_ha": ("人口密度", "residents", "人/公顷"),
}
LISTED = 12
"""Parcels listed by name, the largest first."""
SETTLED_SHARE = 0.9
"""Share of a parcel that must have been construction land in the survey of the base year."""


def measured(
    parcels: gpd.GeoDataFrame, buildings: gpd.GeoDataFrame, cells: gpd.GeoDataFrame | None = None
) -> pd.DataFrame:
    """Floor area ratio, building density and residents for a hectare of each parcel.

    Parameters
    ----------
    parcels : GeoDataFrame
        ``parcel_id``, polygons in metres.
    buildings : GeoDataFrame
        ``building_id, floors`` (and ``use``); a building over several parcels counts by its part in each.
    cells : GeoDataFrame, optional
        ``people`` at the centres of a grid: the people of a cell are shared among the homes nearest to its centre by floor
        area; homes are buildings whose use names housing (住宅), all where none does.

    Returns
    -------
    DataFrame[area_m2, footprint_m2, floor_m2, far, density, people_ha]
        In the order of the parcels. A parcel with a building of unknown height has no floor area ratio; without cells no
        residents.
    """
    area = area_m2(parcels.geometry.to_numpy(), parcels.crs)
    named = parcels[["parcel_id", "geometry"]].reset_index(drop=True)
    pieces = intersect(buildings[["building_id", "geometry"]].reset_index(drop=True), named, left_id="building_id",
                       right_id="parcel_id")  # fmt: skip
    floors = (
        pd.to_numeric(buildings["floors"], errors="coerce")
        if "floors" in buildings
        else pd.Series(np.nan, buildings.index)
    )
    by_id = pd.Series(floors.to_numpy(dtype=np.float64), index=buildings["building_id"].to_numpy())
    pieces["floor_m2"] = (
        pieces["area_m2"] * by_id[~by_id.index.duplicated()].reindex(pieces["building_id"]).to_numpy()
    )
    sums = pieces.groupby("parcel_id").agg(
        footprint_m2=("area_m2", "sum"), floor_m2=("floor_m2", lambda x: x.sum(skipna=False))
    )
    sums = sums.reindex(parcels["parcel_id"]).fillna({"footprint_m2": 0.0})
    bare = sums["footprint_m2"].to_numpy() == 0
    floor = np.where(bare, 0.0, sums["floor_m2"].to_numpy(dtype=np.float64))
    people = (
        np.full(len(parcels), np.nan)
        if cells is None
        else _residents(parcels, buildings, pieces, by_id, cells)
    )
    return pd.DataFrame(
        {
            "area_m2": area,
            "footprint_m2": sums["footprint_m2"].to_numpy(),
            "floor_m2": floor,
            "far": floor / area,
            "density": np.minimum(sums["footprint_m2"].to_numpy() / area, 1.0),
            "people_ha": people / area * 10_000,
        }
    )


def _residents(
    parcels: gpd.GeoDataFrame,
    buildings: gpd.GeoDataFrame,
    pieces: pd.DataFrame,
    floors: pd.Series,
    cells: gpd.GeoDataFrame,
) -> Floats:
    """Residents of each parcel: a cell's people go to the homes it is the nearest cell of, by floor area."""
    from scipy.spatial import cKDTree

    use = buildings["use"].astype(str) if "use" in buildings else pd.Series("", index=buildings.index)
    homes = buildings[use.str.contains("住宅|residential|house|apartments")]
    homes = homes if len(homes) else buildings
    at = shapely.get_coordinates(shapely.centroid(homes.geometry.to_numpy()))
    cell = cKDTree(shapely.get_coordinates(cells.geometry.to_numpy())).query(at)[1]
    room = (
        area_m2(homes.geometry.to_numpy(), homes.crs)
        * floors.reindex(homes["building_id"]).fillna(1.0).to_numpy()
    )
    heads = (
        cells["people"].to_numpy(dtype=np.float64)[cell]
        * room
        / np.bincount(cell, room, minlength=len(cells))[cell]
    )
    by_home = pd.Series(
        heads / np.maximum(area_m2(homes.geometry.to_numpy(), homes.crs), 1e-9),
        index=homes["building_id"].to_numpy(),
    )
    share = (
        pieces["area_m2"]
        * by_home[~by_home.index.duplicated()].reindex(pieces["building_id"]).fillna(0.0).to_numpy()
    )
    found: Floats = (
        share.groupby(pieces["parcel_id"]).sum().reindex(parcels["parcel_id"]).fillna(0.0).to_numpy()
    )
    return found


def judge(parcels: pd.DataFrame, rules: tuple[LowUse, ...]) -> pd.DataFrame:
    """Rules each parcel meets, and which could not be asked of it.

    Parameters
    ----------
    parcels : DataFrame
        ``dlbm, czcsxm, settled`` and the metrics of :func:`measured`.
    rules : tuple of LowUse

    Returns
    -------
    DataFrame[rules, reason_zh, reason_en, not_asked]
        ``rules``: ids with spaces between; ``not_asked``: ids of rules whose metric is unknown here.
    """
    met = [[] for _ in range(len(parcels))]  # type: list[list[str]]
    zh: list[list[str]] = [[] for _ in range(len(parcels))]
    en: list[list[str]] = [[] for _ in range(len(parcels))]
    unknown: list[list[str]] = [[] for _ in range(len(parcels))]
    for rule in rules:
        asked = parcels["dlbm"].isin(rule.classes).to_numpy()
        if rule.codes:
            asked &= parcels["czcsxm"].fillna("").isin(rule.codes).to_numpy()
        if rule.settled:
            asked &= parcels["settled"].to_numpy(dtype=bool)
        values = {one.metric: parcels[one.metric].to_numpy(dtype=np.float64) for one in rule.when}
        known = np.all([np.isfinite(one) for one in values.values()], axis=0)
        holds = np.all([values[one.metric] < one.below for one in rule.when], axis=0)
        for row in np.flatnonzero(asked & ~known):
            unknown[row].append(rule.id)
        for row in np.flatnonzero(asked & known & holds):
            met[row].append(rule.id)
            said = [_said(one.metric, float(values[one.metric][row]), one.below) for one in rule.when]
            zh[row].append(f"{rule.title_zh}：" + "，".join(pair[0] for pair in said))
            en[row].append(f"{rule.title_en}: " + ", ".join(pair[1] for pair in said))
    return pd.DataFrame(
        {
            "rules": [" ".join(one) for one in met],
            "reason_zh": ["；".join(one) for one in zh],
            "reason_en": ["; ".join(one) for one in en],
            "not_asked": [" ".join(one) for one in unknown],
        },
        index=parcels.index,
    )


def _said(metric: str, value: float, below: float) -> tuple[str, str]:
    """Measure and limit in words."""
    zh, en, _ = METRIC_WORDS[metric]
    if metric == "density":
        return (
            f"{zh}{100 * value:.1f}%，低于{100 * below:g}%",
            f"{en} {100 * value:.1f} %, below {100 * below:g} %",
        )
    if metric == "people_ha":
        return f"{zh}{value:.0f}人/公顷，低于{below:g}", f"{value:.0f} {en} per hectare, below {below:g}"
    return f"{zh}{value:.2f}，低于{below:g}", f"{en} {value:.2f}, below {below:g}"


def low_use(case: Case) -> Part:
    """Parcels of built land that rules call low in efficiency.

    Raises
    ------
    LayerMissing
        Without a survey or buildings of the year.
    """
    need(case, "land_use")
    need(case, "buildings")
    part = Part("low_use", roles=("land_use", "buildings"))
    rules = case.settings.low_use
    classes = {one for rule in rules for one in rule.classes}
    land = case.vector("land_use")
    land = land[land["dlbm"].isin(classes)].reset_index(drop=True)
    land = land[
        area_m2(land.geometry.to_numpy(), land.crs) >= case.settings.parameters.least_rule_parcel_m2
    ].reset_index(drop=True)
    cells = None
    if case.has("population"):
        frame = case.vector("population")
        cells = gpd.GeoDataFrame({"people": frame["population"].fillna(0.0)}, geometry=frame.geometry)
        part.roles = (*part.roles, "population")
    table = measured(land, case.vector("buildings"), cells)
    settled = _settled(case, part, land)
    table = pd.concat([land[["parcel_id", "dlbm", "czcsxm"]], table], axis=1).assign(settled=settled)
    found = pd.concat([table, judge(table, rules)], axis=1)
    hit = found["rules"] != ""
    part.tables["low_use"] = gpd.GeoDataFrame(
        found[hit], geometry=land.geometry[hit], crs=land.crs
    ).reset_index(drop=True)
    judged = float(table["area_m2"].sum())
    part.fact(
        "judged",
        judged / 1e4,
        unit="ha",
        decimals=1,
        basis="parcels of the classes and size the rules ask of",
    )
    part.fact(
        "area",
        float(found.loc[hit, "area_m2"].sum()) / 1e4,
        unit="ha",
        decimals=1,
        basis="parcels that meet a rule",
    )
    part.fact("parcels", float(hit.sum()), unit="count", decimals=0, basis="parcels that meet a rule")
    part.fact("share", 100 * float(found.loc[hit, "area_m2"].sum()) / judged if judged else float("nan"), unit="%", decimals=1,
              basis="their share of the land judged")  # fmt: skip
    for rule in rules:
        mine = found["rules"].str.split().map(lambda ids, one=rule.id: one in ids).astype(bool)
        part.fact(
            f"area.{rule.id}",
            float(found.loc[mine, "area_m2"].sum()) / 1e4,
            unit="ha",
            decimals=1,
            basis=f"rule {rule.id}",
        )
        part.fact(f"parcels.{rule.id}", float(mine.sum()), unit="count", decimals=0, basis=f"rule {rule.id}")
    for row in found[hit].nlargest(LISTED, "area_m2").itertuples():
        part.fact("parcel", float(row.area_m2) / 1e4, unit="ha", basis=f"area of parcel {row.parcel_id}", zone=str(row.parcel_id),
                  zone_name=str(row.parcel_id))  # fmt: skip
    if (found["not_asked"] != "").any():
        count = int((found["not_asked"] != "").sum())
        part.find(
            "not_asked", f"{count}宗用地因缺少楼层或人口，部分规则无法判定",
            f"for {count} parcels rules could not be asked: floors or residents are unknown",
        )  # fmt: skip
    part.find(
        "verify",
        "低效判定依据为建筑和人口数据，须现场核实后方可认定",
        "low efficiency is inferred from buildings and residents: verify on site",
    )
    return part


def _settled(case: Case, part: Part, land: gpd.GeoDataFrame) -> npt.NDArray[np.bool_]:
    """Whether each parcel was construction land in the survey of the base year; all where there is none."""
    base = case.city.base_year
    if base >= case.year or not case.has("land_use", base):
        part.find(
            "no_base",
            "没有基期调查，无法排除新近建设的用地",
            "no survey of the base year: newly built land is not left out",
        )
        return np.ones(len(land), dtype=bool)
    before = case.vector("land_use", base)
    before = before[codes.match(before["dlbm"].astype(str), "construction")][
        ["parcel_id", "geometry"]
    ].reset_index(drop=True)
    before["parcel_id"] = [f"b{k}" for k in range(len(before))]
    old = before.rename(columns={"parcel_id": "base"})
    pieces = area_table(land[["parcel_id", "geometry"]], old, left_id="parcel_id", right_id="base")
    was = pieces.groupby("parcel_id")["area_m2"].sum().reindex(land["parcel_id"]).fillna(0.0).to_numpy()
    found: npt.NDArray[np.bool_] = was >= SETTLED_SHARE * area_m2(land.geometry.to_numpy(), land.crs)
    return found
