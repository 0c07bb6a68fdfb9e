"""SDG 11.3.1, 11.7.1 and 11.2.1 with what they are made of, counted again by another way than the library's."""

from __future__ import annotations

import math
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core import codes
from workbench.core.errors import LayerMissing
from workbench.evaluation.structure.part import Case, Part, frame_of
from workbench.indicators.compute import compute
from workbench.operators.access import polygon_access_points, radius_covered, snapped_distance
from workbench.operators.graph import build_graph, snap
from workbench.operators.shared_area import area_table

Bools = npt.NDArray[np.bool_]
IDS = ("SDG-11.3.1", "SDG-11.3.1s", "SDG-11.7.1a", "SDG-11.7.1b", "SDG-11.2.1")
COLUMNS = ("indicator", "component", "value", "unit", "decimals")
CHECK = ("indicator", "library", "recount", "difference", "tier", "reason_zh", "reason_en")
OPEN, STREETS = ("0810", "0810A"), ("1004",)
TOLERANCE = 0.02
"""Relative difference of library and recount above which a finding is made."""


def sdg(case: Case) -> Part:
    """Values of the library, their components, and a recount from parcels and points beside them.

    Raises
    ------
    LayerMissing
        When none of the indicators can be computed in this city.
    """
    part = Part("sdg")
    values = compute(case.city, case.year, list(IDS), levels=("city",), store=case.data)
    values = values[values["level"] == "city"].set_index("indicator")
    rows: list[dict[str, Any]] = []
    recount: dict[str, float] = {}
    for make in (_land_and_people, _open_space, _stops):
        try:
            found, counted = make(case, part)
        except LayerMissing:
            continue
        rows += found
        recount |= counted
    if not rows and not values["value"].notna().any():
        raise LayerMissing(
            "population", case.dated("population"), reason="no_layer", holder=case.data.holder("population")
        )
    read = ("land_use", "population", "parks", "roads", "bus_stops", "rail_stations", "buildings")
    part.roles = tuple(role for role in read if case.has(role))
    part.tables["sdg"] = frame_of(rows, COLUMNS)
    for row in rows:
        part.fact(f"{row['indicator']}.{row['component']}", float(row["value"]), unit=row["unit"], decimals=row["decimals"],
                  basis=f"component of {row['indicator']}, recounted from parcels and points")  # fmt: skip
    part.tables["sdg_check"] = frame_of(
        [_checked(part, one, values, recount) for one in IDS if one in values.index], CHECK
    )
    return part


def _checked(part: Part, name: str, values: pd.DataFrame, recount: dict[str, float]) -> dict[str, Any]:
    """Library and recount of an indicator; a finding where they differ."""
    row: dict[str, Any] = values.loc[name].to_dict()  # type: ignore[assignment]
    ours, again = float(row["value"]), recount.get(name, math.nan)
    difference = again - ours
    part.fact(f"{name}.recount", again, unit=str(row["unit"]), decimals=int(row["decimals"]) + 1, basis=f"{name} counted again",
              words=("缺少图层，未能复算", "layers for a recount are lacking"))  # fmt: skip
    scale = max(abs(ours), 1e-9)
    if str(row["tier"]) == "proxy":
        part.find(f"proxy_{name}", f"{name}的指标值为代理口径", f"the library's value of {name} is a proxy")
    elif math.isfinite(difference) and abs(difference) / scale > TOLERANCE:
        part.find(
            f"differs_{name}", f"{name}指标值{ours:.3g}与按图斑和点位复算的{again:.3g}相差{100 * abs(difference) / scale:.1f}%",
            f"{name}: the library's {ours:.3g} and the recount's {again:.3g} differ by {100 * abs(difference) / scale:.1f} %",
        )  # fmt: skip
    return {
        "indicator": name, "library": ours, "recount": again, "difference": difference, "tier": str(row["tier"]),
        "reason_zh": str(row["reason_zh"] or ""), "reason_en": str(row["reason_en"] or ""),
    }  # fmt: skip


def _built(case: Case, scope: shapely.Geometry, year: int) -> pd.DataFrame:
    """Area of each class inside the scope, ellipsoidal m², from the parcels of a year."""
    land = case.vector("land_use", year)
    zone = gpd.GeoDataFrame({"scope": ["scope"]}, geometry=[scope], crs=land.crs)
    land = land[["dlbm", "geometry"]].reset_index(drop=True)
    land["row"] = np.arange(len(land))
    pieces = area_table(land[["row", "geometry"]], zone, left_id="row", right_id="scope")
    found = pieces.groupby(land["dlbm"].to_numpy()[pieces["row"].to_numpy()])["area_m2"].sum()
    return pd.Series(found, name="m2").rename_axis("dlbm").reset_index()


def _of_group(areas: pd.DataFrame, group: str) -> float:
    return float(areas.loc[codes.match(areas["dlbm"].astype(str), group), "m2"].sum())


def _heads(case: Case, year: int) -> float:
    homes, basis = case.homes(year)
    if basis != "population":
        raise LayerMissing("population", year, reason="no_layer", holder=case.data.holder("population"))
    return float(homes["people"].sum())


def _land_and_people(case: Case, part: Part) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """U, P, T, LCR, PGR and their quotient; built-up land per head at both dates."""
    base, name = case.city.base_year, "SDG-11.3.1"
    scope, _ = case.scope()
    people = [_heads(case, one) for one in (base, case.year)]
    years = case.year - base
    if years <= 0:
        return [], {}
    growth = math.log(people[1] / people[0]) / years if min(people) > 0 else math.nan
    rows = [
        _row(name, "people_before", people[0], "person", 0), _row(name, "people_now", people[1], "person", 0),
        _row(name, "years", years, "year", 0), _row(name, "pgr", 100 * growth, "%", 3),
    ]  # fmt: skip
    if not (case.has("land_use", base) and case.has("land_use")):
        part.find(
            "no_land",
            "没有两期用地调查，土地消耗率无法计算，只列人口增长率",
            "no survey of both dates: only the growth of people",
        )
        return rows, {}
    land = [_of_group(_built(case, scope, one), "urban_rural_construction") for one in (base, case.year)]
    consumed = (land[1] - land[0]) / land[0] / years
    quotient = consumed / growth if abs(growth) >= case.settings.parameters.least_growth else math.nan
    if math.isnan(quotient):
        part.find(
            "steady_people",
            "人口年均变化过小，比值没有意义，只列分子分母",
            "people hardly changed: the quotient is left empty",
        )
    elif consumed < 0 and growth < 0:
        part.find(
            "both_negative",
            "用地与人口同时减少，比值为正但不表示扩张",
            "land and people both fell: a positive quotient is no growth",
        )
    head = [m2 / count for m2, count in zip(land, people, strict=True)]
    rows += [
        _row(name, "land_before", land[0] / 1e4, "ha", 1), _row(name, "land_now", land[1] / 1e4, "ha", 1),
        _row(name, "lcr", 100 * consumed, "%", 3), _row("SDG-11.3.1s", "before", head[0], "m2/person", 1),
        _row("SDG-11.3.1s", "now", head[1], "m2/person", 1),
        _row("SDG-11.3.1s", "change", 100 * (head[1] / head[0] - 1), "%", 1),
    ]  # fmt: skip
    return rows, {name: quotient, "SDG-11.3.1s": head[1]}


def _open_space(case: Case, part: Part) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Open space, streets and built-up land; people within the walk of a park."""
    rows: list[dict[str, Any]] = []
    counted: dict[str, float] = {}
    scope, _ = case.scope()
    if case.has("land_use"):
        areas = _built(case, scope, case.year)
        of = areas["dlbm"].astype(str)
        green, street = (float(areas.loc[of.isin(one), "m2"].sum()) for one in (OPEN, STREETS))
        built = _of_group(areas, "urban_rural_construction")
        rows += [
            _row("SDG-11.7.1a", "open_space", green / 1e4, "ha", 1), _row("SDG-11.7.1a", "streets", street / 1e4, "ha", 1),
            _row("SDG-11.7.1a", "built_up", built / 1e4, "ha", 1),
        ]  # fmt: skip
        counted["SDG-11.7.1a"] = 100 * (green + street) / built if built else math.nan
    if case.has("parks") and case.has("roads"):
        homes, basis = case.homes()
        graph = build_graph(case.vector("roads"))
        parks = case.vector("parks").reset_index(drop=True)
        gates = polygon_access_points(graph, parks)
        metres = snapped_distance(
            graph, snap(graph, gates), snap(graph, homes), max_m=case.settings.parameters.park_m
        )
        found = _shares("SDG-11.7.1b", homes, basis, metres <= case.settings.parameters.park_m)
        rows += found[0]
        counted["SDG-11.7.1b"] = found[1]
        crow = _near(homes, parks.geometry.to_numpy(), case.settings.parameters.park_m)
        rows.append(_row("SDG-11.7.1b", "straight", _share(homes, crow), "%", 1))
    return rows, counted


def _stops(case: Case, part: Part) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """People within the walk of a bus stop, of a rail station, of either; the same as the crow flies."""
    limit = {"bus_stops": case.settings.parameters.bus_m, "rail_stations": case.settings.parameters.rail_m}
    roles = [role for role in limit if case.has(role)]
    if not roles or not case.has("roads"):
        return [], {}
    homes, basis = case.homes()
    graph = build_graph(case.vector("roads"))
    at = snap(graph, homes)
    rows, walks, flights = [], [], []
    for role in roles:
        points = case.vector(role)
        walks.append(snapped_distance(graph, snap(graph, points), at, max_m=limit[role]) <= limit[role])
        flights.append(np.asarray(radius_covered(points, homes, limit[role])))
        rows.append(_row("SDG-11.2.1", role, _share(homes, walks[-1]), "%", 1))
    either = np.any(walks, axis=0)
    rows += _shares("SDG-11.2.1", homes, basis, either)[0]
    rows.append(_row("SDG-11.2.1", "straight", _share(homes, np.any(flights, axis=0)), "%", 1))
    return rows, {"SDG-11.2.1": _share(homes, either)}


def _shares(
    name: str, homes: gpd.GeoDataFrame, basis: str, covered: Bools
) -> tuple[list[dict[str, Any]], float]:
    unit = "person" if basis == "population" else "m2"
    share = _share(homes, covered)
    total, inside = float(homes["people"].sum()), float(homes["people"].to_numpy()[covered].sum())
    return [_row(name, "covered", inside, unit, 0), _row(name, "all", total, unit, 0)], share


def _share(homes: gpd.GeoDataFrame, covered: Bools) -> float:
    total = float(homes["people"].sum())
    return 100 * float(homes["people"].to_numpy()[covered].sum()) / total if total else math.nan


def _near(homes: gpd.GeoDataFrame, shapes: npt.NDArray[np.object_], metres: float) -> Bools:
    """Homes within a distance of any of the shapes, as the crow flies."""
    found = np.zeros(len(homes), dtype=bool)
    found[
        shapely.STRtree(shapes).query(homes.geometry.to_numpy(), predicate="dwithin", distance=metres)[0]
    ] = True
    return found


def _row(indicator: str, component: str, value: float, unit: str, decimals: int) -> dict[str, Any]:
    return dict(zip(COLUMNS, (indicator, component, float(value), unit, decimals), strict=True))
