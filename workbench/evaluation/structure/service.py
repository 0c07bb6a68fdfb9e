"""Service of public transport: headways by stop and time of day, and the people with a frequent stop within a walk."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.catalog.formats.gtfs import departures, ordinary_day, read_feed, stated_day
from workbench.core.errors import DataQualityError
from workbench.evaluation.structure.part import Case, Part, frame_of, missing_layer, need
from workbench.operators.access import snapped_distance
from workbench.operators.graph import Graph, build_graph, snap
from workbench.operators.transit import service

Bools = npt.NDArray[np.bool_]
MODES = {"bus": "bus_stops", "rail": "rail_stations"}
"""Mode -> layer of its stops."""
TITLES = {"bus": ("公交站点", "bus stops"), "rail": ("轨道站点", "rail stations")}
"""Names of the stops of each mode, zh and en."""
SPAN = "span"
"""Window of the hours in which trips start, for a timetable that is an excerpt; followed by the mode."""
STATED = "stated"
"""Window of a headway that a layer states without saying for which hours."""
COLUMNS = ("mode", "stop_id", "name", "window", "departures", "lines", "headway_min", "best_headway_min", "longest_gap_min",
           "frequent")  # fmt: skip
WALK = ("mode", "window", "people", "served", "frequent", "served_share", "frequent_share")


@dataclass(frozen=True, eq=False)
class _Stops:
    """Stops of a mode and what they offer in each window."""

    points: gpd.GeoDataFrame
    """``stop_id, name``, points in the city's CRS."""
    table: pd.DataFrame
    """Rows of :func:`workbench.operators.transit.service`."""
    windows: tuple[str, ...]
    """Windows the timetable speaks of."""


def transit(case: Case) -> Part:
    """Headways of all stops and who has a frequent one within a walk.

    Raises
    ------
    LayerMissing
        Without stops, roads, or anybody to serve.
    """
    part = Part("transit")
    modes = {mode: role for mode, role in MODES.items() if case.has(role)}
    if not modes:
        raise missing_layer(case, "bus_stops")
    need(case, "roads")
    homes, basis = case.homes()
    graph = build_graph(case.vector("roads"))
    part.roles = ("roads", "population" if basis == "population" else "buildings", *modes.values())
    if basis == "buildings":
        part.find("no_population", "没有常住人口数据，以建筑占地面积代替人口（代理口径）",
                  "no residents: building footprint stands in for people (a proxy)")  # fmt: skip
    stops = {mode: _stops(case, part, mode, role) for mode, role in modes.items()}
    for mode in MODES:
        if mode not in modes:
            part.find(
                f"no_{mode}",
                f"没有{TITLES[mode][0]}数据，只计其他方式",
                f"no {TITLES[mode][1]}: other modes alone are counted",
            )
    part.tables["stops"] = _table(case, stops)
    part.tables["transit"] = _walks(case, part, graph, homes, stops, basis)
    _summary(case, part, part.tables["stops"])
    return part


def _stops(case: Case, part: Part, mode: str, role: str) -> _Stops:
    """Stops from the timetable a layer was read from; else from the layer, with the headway it states."""
    spec = case.city.layer(role)
    if spec.preset == "gtfs_stops":
        try:
            return _of_feed(case, part, mode, role)
        except DataQualityError as error:
            part.find(
                f"timetable_{mode}",
                f"{TITLES[mode][0]}的时刻表无法使用：{error}",
                f"the timetable of {TITLES[mode][1]} cannot be used: {error}",
            )
    layer = case.vector(role)
    key = "stop_id" if "stop_id" in layer else "station_id"
    ids = layer[key].astype(str)
    name = layer["name"].fillna("").astype(str) if "name" in layer else pd.Series("", index=layer.index)
    points = gpd.GeoDataFrame({"stop_id": ids, "name": name}, geometry=layer.geometry)
    if "headway_min" not in layer:
        part.find(
            f"no_headway_{mode}",
            f"{TITLES[mode][0]}没有发车间隔，只判定步行可达",
            f"{TITLES[mode][1]} state no headway: only the walk is judged",
        )
        return _Stops(points, frame_of([], ("stop_id", "window")), ())
    headway = layer["headway_min"].to_numpy(dtype=np.float64)
    known = np.isfinite(headway)
    table = pd.DataFrame(
        {"stop_id": ids[known], "window": STATED, "departures": np.nan, "lines": np.nan, "headway_min": headway[known],
         "best_headway_min": headway[known], "longest_gap_min": np.nan}
    )  # fmt: skip
    part.find(
        f"stated_{mode}",
        f"{TITLES[mode][0]}只有单一发车间隔，没有时刻表，不能分时段",
        f"{TITLES[mode][1]} state one headway and no timetable: no times of day",
    )
    return _Stops(points, table, (STATED,))


def _of_feed(case: Case, part: Part, mode: str, role: str) -> _Stops:
    spec = case.city.layer(role)
    feed = read_feed(spec.file(case.city.root, None))
    near = stated_day(spec.date) or dt.date(case.year, 6, 15)
    day = ordinary_day(feed, weekday=case.settings.parameters.weekday, near=near)
    part.find(
        f"day_{mode}", f"{TITLES[mode][0]}时刻表取{day}" + ("" if day.year == case.year else f"（不含{case.year}年）"),
        f"the timetable of {TITLES[mode][1]} is read for {day}" + ("" if day.year == case.year else f"; it does not speak of {case.year}"),
    )  # fmt: skip
    found = departures(feed, day)
    part.fact(f"departures.{mode}", float(len(found)), unit="count", decimals=0, basis=f"departures on {day}")
    part.fact(
        f"trips.{mode}", float(found["trip_id"].nunique()), unit="count", decimals=0, basis=f"trips on {day}"
    )
    filled = 100 * float(found["interpolated"].mean()) if len(found) else 0.0
    if filled > 10:
        part.find(
            f"interpolated_{mode}", f"{TITLES[mode][0]}的{filled:.0f}%发车时刻在计时站之间，由内插得出",
            f"{filled:.0f} % of the departures at {TITLES[mode][1]} lie between timing points and were interpolated",
        )  # fmt: skip
    windows = {one.id: (one.begin, one.end) for one in case.settings.windows}
    silent, span = _silent(found, windows)
    if silent:
        names = [one for one in case.settings.windows if one.id in silent]
        part.find(
            f"silent_{mode}",
            f"{TITLES[mode][0]}的时刻表在{'、'.join(one.title_zh for one in names)}有整小时没有车次发出，应为节选，不作为“无服务”；"
            f"另按有车次的{span[0]:g}–{span[1]:g}时统计",
            f"in the timetable of {TITLES[mode][1]} no trip starts for a whole hour of {', '.join(one.title_en for one in names)}: an "
            f"excerpt, not a lack of service; {span[0]:g} to {span[1]:g} h, when trips start, is given instead",
        )
        windows = {name: hours for name, hours in windows.items() if name not in silent} | {
            f"{SPAN}_{mode}": span
        }
    return _Stops(feed.stops.to_crs(case.city.crs), service(found, windows), tuple(windows))


def _silent(
    found: pd.DataFrame, windows: dict[str, tuple[float, float]]
) -> tuple[list[str], tuple[float, float]]:
    """Windows with an hour in which no trip of the whole timetable starts, and the longest run of hours with one."""
    starts = (found.groupby("trip_id")["seconds"].min() // 3600).astype(int)
    alive = np.bincount(starts, minlength=24)[:24] > 0
    silent = [name for name, (a, b) in windows.items() if not alive[int(a) : int(np.ceil(b))].all()]
    edges = np.flatnonzero(np.diff(np.r_[False, alive, False].astype(int)))
    runs = edges.reshape(-1, 2)
    best = runs[np.argmax(runs[:, 1] - runs[:, 0])] if len(runs) else (0, 24)
    return silent, (float(best[0]), float(best[1]))


def _table(case: Case, stops: dict[str, _Stops]) -> gpd.GeoDataFrame:
    """Stops inside the city, a row for each window they are served in (one without where they never are)."""
    whole = case.data.zones("city").geometry.iloc[0]
    shapely.prepare(whole)
    parts = []
    for mode, one in stops.items():
        inside = one.points[shapely.intersects(whole, one.points.geometry.to_numpy())]
        rows = inside.merge(one.table, on="stop_id", how="left").assign(mode=mode)
        parts.append(rows)
    found = pd.concat(parts, ignore_index=True)
    found["window"] = found["window"].fillna("")
    found["frequent"] = (
        found["best_headway_min"] <= case.settings.parameters.frequent_min
        if "best_headway_min" in found
        else False
    )
    for name in COLUMNS:
        if name not in found:
            found[name] = np.nan
    return gpd.GeoDataFrame(found[[*COLUMNS, "geometry"]], geometry="geometry", crs=case.city.crs)


def _walks(
    case: Case, part: Part, graph: Graph, homes: gpd.GeoDataFrame, stops: dict[str, _Stops], basis: str
) -> pd.DataFrame:
    """People with a served and with a frequent stop within the walk of its mode, by window; ``any``: either mode."""
    settings = case.settings.parameters
    limit = {"bus": settings.bus_m, "rail": settings.rail_m}
    people = homes["people"].to_numpy(dtype=np.float64)
    at = snap(graph, homes)

    def reached(mode: str, ids: pd.Series) -> Bools:
        points = stops[mode].points
        points = points[points["stop_id"].isin(set(ids))]
        if points.empty:
            return np.zeros(len(people), dtype=bool)
        return np.asarray(snapped_distance(graph, snap(graph, points), at, max_m=limit[mode]) <= limit[mode])

    windows = list(dict.fromkeys([
        *(w.id for w in case.settings.windows if any(w.id in one.windows for one in stops.values())),
        *(name for one in stops.values() for name in one.windows),
    ]))  # fmt: skip
    rows = []
    for window in windows:
        both: dict[str, list[Bools]] = {"served": [], "frequent": []}
        for mode, one in stops.items():
            if window not in one.windows:
                continue
            here = one.table[one.table["window"] == window]
            often = here[here["best_headway_min"] <= settings.frequent_min]
            hit = {"served": reached(mode, here["stop_id"]), "frequent": reached(mode, often["stop_id"])}
            rows.append(_row(mode, window, people, hit["served"], hit["frequent"]))
            for name, mine in hit.items():
                both[name].append(mine)
        if len(both["served"]) > 1:
            rows.append(
                _row("any", window, people, np.any(both["served"], axis=0), np.any(both["frequent"], axis=0))
            )
    whose = "residents" if basis == "population" else "building footprint"
    for row in rows:
        for what in ("served", "frequent"):
            text = (
                "with a departure"
                if what == "served"
                else f"with the best line at most every {settings.frequent_min:g} min"
            )
            part.fact(
                f"{what}.{row['mode']}.{row['window']}", float(row[f"{what}_share"]), unit="%", decimals=1,
                basis=f"share of {whose} within a walk of a stop {text}", words=("无人居住", "nobody lives there"),
            )  # fmt: skip
    return frame_of(rows, WALK)


def _row(
    mode: str, window: str, people: npt.NDArray[np.float64], served: Bools, frequent: Bools
) -> dict[str, Any]:
    total = float(people.sum())

    def share(hit: Bools) -> float:
        return 100 * float(people[hit].sum()) / total if total else float("nan")

    return {
        "mode": mode, "window": window, "people": total, "served": float(people[served].sum()),
        "frequent": float(people[frequent].sum()), "served_share": share(served), "frequent_share": share(frequent),
    }  # fmt: skip


def _summary(case: Case, part: Part, stops: gpd.GeoDataFrame) -> None:
    """Counts and medians of headways by mode and window."""
    for mode, mine in stops.groupby("mode"):
        part.fact(
            f"stops.{mode}",
            float(mine["stop_id"].nunique()),
            unit="count",
            decimals=0,
            basis=f"{mode} stops inside the city",
        )
        for window, rows in mine[mine["window"] != ""].groupby("window"):
            headway = rows["best_headway_min"].median()
            part.fact(f"headway.{mode}.{window}", float(headway), unit="min", decimals=1,
                      basis="median over stops of the best line's mean minutes between departures")  # fmt: skip
