"""What is wrong with facilities, homes and roads: far from the network, cut off from it, not there at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.evaluation.life_circle.networks import Networks, Places
from workbench.evaluation.life_circle.settings import Settings
from workbench.evaluation.life_circle.words import reason
from workbench.operators.graph import snap

COLUMNS = ["check", "kind", "place", "name", "metres", "people", "message_zh", "message_en", "geometry"]

LEAST_LOOSE_M = 10.0
"""Less than this left out is what joining the ends of roads takes away."""


def findings(
    networks: Networks,
    places: Mapping[str, Places],
    settings: Settings,
    extent: shapely.Geometry | None = None,
) -> gpd.GeoDataFrame:
    """Findings on data and places; facilities outside the extent (of the city) are only counted.

    Returns
    -------
    GeoDataFrame
        ``check`` (no_scope, no_population, bad_population, no_ages, age_sum, no_layer, no_kind, no_cycling,
        loose_roads, outside, facility_far, facility_cut_off, homes_far, homes_cut_off), ``kind, place, name, metres`` (to the network),
        ``people`` (concerned), ``message_zh, message_en``, geometry where there is a place.
    """
    rows: list[dict[str, Any]] = [*networks.homes.findings]
    if "cycle" not in networks.graphs:
        rows.append(_row("no_cycling", *reason("no_cycling")[1:]))
    if networks.loose_m > LEAST_LOOSE_M:
        limit, length = settings.parameters.min_part_m, networks.loose_m / 1000
        rows.append(
            _row(
                "loose_roads",
                f"步行道路中有{length:.1f}千米零散路段不与其他道路相连（各片总长不足{limit:.0f}米），未参与计算",
                f"{length:.1f} km of walkable road in parts of less than {limit:.0f} m joined to no others were left out",
                metres=networks.loose_m,
            )
        )
    for found in places.values():
        title = (found.facility.title_zh, found.facility.title_en)
        if found.reason:
            _, zh, en = reason(found.reason)
            rows.append(
                _row(found.reason, f"{title[0]}：{zh}", f"{title[1]}: {en}", kind=found.facility.kind)
            )
        else:
            rows += _facilities(networks, found, settings, extent)
    rows += _homes(networks, settings)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("kind", "place", "name"):
        frame[name] = frame[name].fillna("").astype(str)
    frame[["metres", "people"]] = frame[["metres", "people"]].astype(float)
    return gpd.GeoDataFrame(frame, geometry="geometry", crs=networks.graphs["walk"].crs)


def _row(check: str, zh: str, en: str, **more: Any) -> dict[str, Any]:
    return {"check": check, "message_zh": zh, "message_en": en, **more}


def _facilities(
    networks: Networks, found: Places, settings: Settings, extent: shapely.Geometry | None
) -> list[dict[str, Any]]:
    """Facilities far from the walking network, and those on a piece of it that is not joined to the rest."""
    graph, far = networks.graphs["walk"], settings.parameters.far_m
    at = snap(graph, found.frame.geometry)
    part = graph.component[graph.edge_from[at.edge]]
    rows: list[dict[str, Any]] = []
    inside = np.ones(len(found.frame), dtype=bool)
    if extent is not None:
        inside = shapely.dwithin(extent, found.frame.geometry.to_numpy(), far)
    if not inside.all():
        count = int(found.frame.loc[~inside, "place"].nunique())
        rows.append(
            _row(
                "outside",
                f"{found.facility.title_zh}有{count}处在评价范围之外，只服务能走到的人",
                f"{count} of {found.facility.title_en} lie outside the city and serve only who can reach them",
                kind=found.facility.kind,
            )
        )
    one_of = found.frame["place"].to_numpy()
    whole_cut_off = pd.Series(part != 0).groupby(one_of).transform("all").to_numpy()
    told: set[str] = set()
    for k in np.flatnonzero(inside & ((at.gap > far) | whole_cut_off)):
        place, name = str(one_of[k]), str(found.frame["name"].iloc[k])
        common = {
            "kind": found.facility.kind, "place": place, "name": name, "metres": float(at.gap[k]),
            "geometry": found.frame.geometry.iloc[k],
        }  # fmt: skip
        zh, en = f"{found.facility.title_zh}“{name or place}”", f"{found.facility.title_en} “{name or place}”"
        if at.gap[k] > far:
            rows.append(
                _row(
                    "facility_far",
                    f"{zh}距最近的步行道路{at.gap[k]:.0f}米，超过{far:.0f}米：核对位置或补充道路",
                    f"{en} lies {at.gap[k]:.0f} m from the nearest walkable road (more than {far:.0f} m): check place or roads",
                    **common,
                )
            )
        elif place not in told:
            told.add(place)
            rows.append(
                _row(
                    "facility_cut_off",
                    f"{zh}所在道路与主路网不连通",
                    f"{en} stands on roads not joined to the main network",
                    **common,
                )
            )
    return rows


def _homes(networks: Networks, settings: Settings) -> list[dict[str, Any]]:
    """People far from the walking network, and people on pieces of it not joined to the rest, each as one finding."""
    graph, at, homes = networks.graphs["walk"], networks.at["walk"], networks.homes
    people, points = homes.people(), homes.points.to_numpy()
    unit = ("人", "people") if homes.basis == "population" else ("平方米建筑占地", "m² of building footprint")
    far = (at.gap > settings.parameters.far_m) & (people > 0)
    rows = []
    if far.any():
        worst, limit = float(at.gap[far].max()), settings.parameters.far_m
        rows.append(
            _row(
                "homes_far",
                f"{people[far].sum():,.0f}{unit[0]}距步行道路超过{limit:.0f}米，最远{worst:.0f}米",
                f"{people[far].sum():,.0f} {unit[1]} live more than {limit:.0f} m from a walkable road, at most {worst:.0f} m",
                people=float(people[far].sum()),
                metres=worst,
                geometry=shapely.multipoints(points[far]),
            )
        )
    cut = (graph.component[graph.edge_from[at.edge]] != 0) & (people > 0)
    if cut.any():
        rows.append(
            _row(
                "homes_cut_off",
                f"{people[cut].sum():,.0f}{unit[0]}最近的道路与主路网不连通，只能到达同一片路网上的设施",
                f"{people[cut].sum():,.0f} {unit[1]} stand on roads not joined to the main network and reach only what is on them",
                people=float(people[cut].sum()),
                geometry=shapely.multipoints(points[cut]),
            )
        )
    return rows
