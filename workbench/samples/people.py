"""Who lives in the demo city and what serves them: population, facilities, stops, buildings, journeys, statistics."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.samples.cover import OF, Cover, code_at
from workbench.samples.ground import Ground
from workbench.samples.space import BOTTOM, CRS, LEFT, SIDE, YEARS, Array, N, sample, smooth_noise, stream
from workbench.samples.streets import Streets

PLAN = {
    "community_health": (92, 620), "hospital": (10, 1500), "primary_school": (150, 430), "middle_school": (92, 600),
    "kindergarten": (170, 330), "elderly_care": (330, 190), "culture": (105, 560), "market": (170, 380),
    "sports": (100, 580), "football": (20, 1500), "fire_station": (10, 2500), "pharmacy": (130, 250),
    "supermarket": (120, 300), "bank": (75, 400), "university": (4, 900), "police": (24, 1300), "shelter": (30, 900),
    "station_bus": (5, 2200),
}  # fmt: skip
"""Facility kind -> number and least distance between two of a kind in metres."""
TITLE = {
    "community_health": "社区卫生服务中心", "hospital": "人民医院", "primary_school": "小学", "middle_school": "中学",
    "kindergarten": "幼儿园", "elderly_care": "日间照料中心", "culture": "文化活动站", "market": "菜市场",
    "sports": "体育活动中心", "football": "足球场", "fire_station": "消防站", "pharmacy": "药店", "supermarket": "超市",
    "bank": "银行网点", "university": "大学", "police": "派出所", "shelter": "应急避难场所", "station_bus": "客运站",
}  # fmt: skip
CAPACITY = {"hospital": 620, "community_health": 40, "primary_school": 1080, "middle_school": 1350, "university": 16_000,
            "elderly_care": 60, "kindergarten": 270}  # fmt: skip


def make_population(
    seed: int, ground: Ground, cover: Cover, unit_district: Array
) -> dict[int, gpd.GeoDataFrame]:
    """Inhabited 100 m cells of each year: cell_id, population, age_0_14, age_15_59, age_60; whole people."""
    rng = stream(seed, "population")
    x = LEFT + 50 + 100 * np.arange(N // 10)
    y = BOTTOM + SIDE - 50 - 100 * np.arange(N // 10)
    mx, my = np.meshgrid(x, y)
    from_core = np.hypot(mx - ground.core[0], my - ground.core[1])
    lively = np.exp(0.35 * smooth_noise(rng, 900)[4::10, 4::10])
    chance = rng.random(mx.shape)
    old = np.clip(0.17 + 0.035 * smooth_noise(rng, 2500)[5::10, 5::10], 0.08, 0.34)
    young = np.clip(0.16 + 0.02 * smooth_noise(rng, 2000)[5::10, 5::10], 0.08, 0.26)
    found: dict[int, gpd.GeoDataFrame] = {}
    for year in YEARS:
        code = code_at(cover, year)
        homes = sum(
            weight * (code == OF[use])
            for use, weight in (("0701", 2.6), ("0702", 1.05), ("05H1", 0.55), ("08H2A", 0.8), ("0601", 0.12))
        )
        cells = np.asarray(homes).reshape(N // 10, 10, N // 10, 10).sum(axis=(1, 3))
        density = cells * (0.55 + 0.75 * np.exp(-from_core / 2300)) * lively * (1 + 0.006 * (year - 2014))
        people = np.floor(density + chance).astype(np.int64)
        people[people < 3] = 0
        row, column = np.nonzero(people)
        count = people[row, column]
        elders = np.floor(count * np.clip(old[row, column] + 0.004 * (year - 2019), 0.05, 0.4)).astype(
            np.int64
        )
        children = np.floor(count * young[row, column]).astype(np.int64)
        found[year] = gpd.GeoDataFrame(
            {
                "cell_id": [f"C{r:03d}{c:03d}" for r, c in zip(row, column, strict=True)],
                "population": count,
                "age_0_14": children,
                "age_15_59": count - children - elders,
                "age_60": elders,
            },
            geometry=shapely.points(mx[row, column], my[row, column]),
            crs=CRS,
        )
    return found


def _spread(rng: np.random.Generator, places: Array, weight: Array, count: int, apart_m: float) -> Array:
    """Indices of places drawn by weight that keep their distance."""
    order = np.argsort(-np.log(rng.random(len(weight))) / np.maximum(weight, 1e-9), kind="stable")
    chosen: list[int] = []
    for index in order:
        if len(chosen) == count:
            break
        if all(np.hypot(*(places[index] - places[other])) >= apart_m for other in chosen):
            chosen.append(int(index))
    return np.array(chosen, dtype=int)


def make_facilities(seed: int, population: gpd.GeoDataFrame, land_use: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Facilities where people live; schools, hospitals and universities on land of their kind where there is any."""
    rng = stream(seed, "facilities")
    cells = shapely.get_coordinates(population.geometry.to_numpy())
    weight = population["population"].to_numpy() ** 0.85
    service = land_use[land_use["dlbm"].isin(["08H2"])]
    campus = land_use[land_use["dlbm"].isin(["08H2A"])]
    rows: list[tuple[str, Array]] = []
    for kind, (count, apart) in PLAN.items():
        if kind == "university" and len(campus) >= count:
            places = shapely.get_coordinates(campus.geometry.representative_point().to_numpy())
            index = _spread(rng, places, campus.area.to_numpy(), count, apart)
        elif (
            kind in ("hospital", "primary_school", "middle_school", "culture", "sports") and len(service) > 60
        ):
            places = shapely.get_coordinates(service.geometry.representative_point().to_numpy())
            index = _spread(rng, places, service.area.to_numpy() ** 0.3, int(count * 0.75), apart)
            rows += [(kind, places[k]) for k in index]
            places, used = cells, places[index]
            far = (
                np.array([np.hypot(*(used - cell).T).min() for cell in cells])
                if len(used)
                else np.full(len(cells), 1e9)
            )
            index = _spread(rng, places, weight * (far > apart), count - len(index), apart)
        else:
            places = cells + rng.uniform(-40, 40, cells.shape)
            index = _spread(rng, places, weight, count, apart)
        rows += [(kind, places[k]) for k in index]
    kinds = [kind for kind, _ in rows]
    serial = pd.Series(kinds).groupby(kinds).cumcount().to_numpy() + 1
    size = rng.uniform(0.7, 1.3, len(rows))
    return gpd.GeoDataFrame(
        {
            "facility_id": [f"F{k + 1:04d}" for k in range(len(rows))],
            "kind": kinds,
            "name": [f"示范{TITLE[kind]}{number:02d}" for kind, number in zip(kinds, serial, strict=True)],
            "capacity": [
                float(round(CAPACITY.get(kind, 0) * s)) for kind, s in zip(kinds, size, strict=True)
            ],
        },
        geometry=shapely.points(np.round(np.array([place for _, place in rows]), 2)),
        crs=CRS,
    )


def make_bus_stops(seed: int, streets: Streets) -> gpd.GeoDataFrame:
    """Bus stops along the larger roads, about every 450 m, with headways in minutes."""
    rng = stream(seed, "bus")
    main = streets.roads[streets.roads["road_class"].isin(["trunk", "primary", "secondary"])]
    keep = main[main.length > 90]
    chance = np.minimum(1.0, keep.length.to_numpy() / 520)
    chosen = keep.geometry.to_numpy()[rng.random(len(keep)) < chance]
    points = shapely.line_interpolate_point(chosen, rng.uniform(0.2, 0.8, len(chosen)), normalized=True)
    xy = np.round(shapely.get_coordinates(points), 2)
    kept = _spread(rng, xy, np.ones(len(xy)), len(xy), 260)
    kept = np.sort(kept)
    return gpd.GeoDataFrame(
        {
            "stop_id": [f"B{k + 1:04d}" for k in range(len(kept))],
            "name": [f"示范站{k + 1}" for k in range(len(kept))],
            "headway_min": rng.choice([5.0, 8.0, 10.0, 15.0, 20.0, 30.0], len(kept)),
        },
        geometry=shapely.points(xy[kept]),
        crs=CRS,
    )


def make_parks(land_use: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Parks and squares: the land-use parcels of these classes, larger than 400 m²."""
    green = land_use[land_use["dlbm"].isin(["0810", "0810A"]) & (land_use.area > 400)].reset_index(drop=True)
    return gpd.GeoDataFrame(
        {
            "park_id": [f"G{k + 1:04d}" for k in range(len(green))],
            "name": [f"示范公园{k + 1}" for k in range(len(green))],
            "kind": np.where(green["dlbm"] == "0810", "park", "square"),
        },
        geometry=green.geometry.to_numpy(),
        crs=CRS,
    )


def make_buildings(
    seed: int, ground: Ground, land_use: gpd.GeoDataFrame, cover: Cover, patches: list[Any]
) -> gpd.GeoDataFrame:
    """Footprints in rows on built parcels, with height, floors, use and date of completion; and on planted patches."""
    rng = stream(seed, "buildings")
    uses = {"0701": "住宅", "05H1": "商业", "0601": "工业", "08H1": "办公", "08H2": "公共服务", "0702": "农村住宅",
            "08H2A": "教育", "0508": "仓储"}  # fmt: skip
    size = {"住宅": (38, 13, 46, 31), "商业": (40, 30, 58, 48), "工业": (62, 30, 80, 46), "办公": (40, 20, 60, 44),
            "公共服务": (42, 16, 66, 40), "农村住宅": (13, 10, 19, 17), "教育": (56, 18, 88, 48),
            "仓储": (70, 34, 95, 56)}  # fmt: skip
    shapes: list[Array] = []
    use_of: list[str] = []
    for code, use in uses.items():
        some = land_use[(land_use["dlbm"] == code) & (land_use.area > 600)]
        for parcel in some.geometry:
            shapes.append(_rows_of_houses(parcel, size[use]))
            use_of += [use] * len(shapes[-1])
    extra = [patch.shape.buffer(-5) for patch in patches if patch.trick != "small"]
    extra = [max(shapely.get_parts(e), key=lambda p: p.area) for e in extra if not e.is_empty]
    boxes_all = np.concatenate([*shapes, np.array(extra, dtype=object)])
    use_of += ["临建"] * len(extra)
    middle = shapely.get_coordinates(shapely.centroid(boxes_all))
    floors = _floors(rng, ground, np.array(use_of), middle)
    since = sample(cover.since, middle[:, 0], middle[:, 1])
    since = np.where(
        np.arange(len(since)) >= len(boxes_all) - len(extra), 2025, np.where(since > 2025, 2009, since)
    )
    year = np.where(since <= 2008, since - rng.integers(0, 9, len(since)), since)
    done = pd.to_datetime([f"{y}-{m:02d}-{d:02d}" for y, m, d in zip(
        year, rng.integers(1, 11, len(year)), rng.integers(1, 28, len(year)), strict=True)])  # fmt: skip
    return gpd.GeoDataFrame(
        {
            "building_id": [f"H{k + 1:06d}" for k in range(len(boxes_all))],
            "height_m": np.round(floors * np.where(np.isin(use_of, ["工业", "仓储"]), 6.0, 3.1) + 0.6, 1),
            "floors": floors,
            "use": use_of,
            "completed": done.astype("datetime64[ms]"),
        },
        geometry=boxes_all,
        crs=CRS,
    )


def _rows_of_houses(parcel: Any, size: tuple[int, int, int, int]) -> Array:
    """Footprints in rows along the longer side of a parcel, wholly inside it."""
    long, wide, step_x, step_y = size
    frame = shapely.get_coordinates(shapely.oriented_envelope(parcel))
    if len(frame) < 5:
        return np.array([], dtype=object)
    sides = frame[1:3] - frame[:2]
    side = sides[int(np.hypot(*sides.T).argmax())]
    side = side / np.hypot(*side)
    across = np.array([-side[1], side[0]])
    local = frame @ np.stack([side, across], axis=1)
    low, high = local.min(axis=0), local.max(axis=0)
    spare = np.mod(high - low - 6, (step_x, step_y)) / 2
    u = np.arange(low[0] + 3 + spare[0] + step_x / 2, high[0] - 3, step_x)
    v = np.arange(low[1] + 3 + spare[1] + step_y / 2, high[1] - 3, step_y)
    mu, mv = (a.ravel()[:, None] for a in np.meshgrid(u, v))
    corner = [(-long, -wide), (long, -wide), (long, wide), (-long, wide)]
    rings = np.stack([(mu + a / 2) * side + (mv + b / 2) * across for a, b in corner], axis=1)
    boxes: Any = shapely.polygons(np.round(rings, 2)) if len(rings) else np.array([], dtype=object)
    room = parcel.buffer(-2.5)
    shapely.prepare(room)
    inside: Array = boxes[shapely.contains_properly(room, boxes)]
    return inside


def _floors(rng: np.random.Generator, ground: Ground, use: Array, middle: Array) -> Array:
    """Storeys by use, higher towards the centre; a few towers above 100 m."""
    near = np.exp(-np.hypot(middle[:, 0] - ground.core[0], middle[:, 1] - ground.core[1]) / 1900)
    dice = rng.random(len(use))
    floors = np.select(
        [use == "住宅", use == "商业", use == "农村住宅", np.isin(use, ["工业", "仓储"]), use == "临建"],
        [
            6 + 24 * dice**2 * (0.35 + near),
            2 + 34 * dice**3 * near * 1.3,
            1 + 3 * dice,
            1 + 1.6 * dice,
            1 + dice,
        ],
        default=3 + 9 * dice * (0.4 + near),
    )
    tower = (use == "商业") & (near > 0.45) & (rng.random(len(use)) < 0.035)
    return np.where(tower, 34 + np.floor(20 * dice), np.floor(floors)).astype(np.int64)


def make_flows(seed: int, year: int, people: Array, place: Array, codes: Array) -> pd.DataFrame:
    """Commuters between planning units by a gravity rule: origin, destination, people, minutes."""
    rng = stream(seed, f"flows.{year}")
    jobs = people**1.12 * rng.lognormal(0, 0.25, len(people))
    distance = np.hypot(*(place[:, None] - place[None]).T).T + 600
    pull = jobs[None, :] * distance**-1.35 * rng.lognormal(0, 0.15, distance.shape)
    flow = np.round(0.47 * people[:, None] * pull / pull.sum(axis=1, keepdims=True)).astype(np.int64)
    minutes = np.round(9 + distance / 1000 * 3.4 * rng.lognormal(0, 0.08, distance.shape), 1)
    row, column = np.nonzero(flow)
    return pd.DataFrame(
        {
            "origin": codes[row],
            "destination": codes[column],
            "people": flow[row, column],
            "minutes": minutes[row, column],
        }
    )


def make_statistics(seed: int, people: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Statistics of every year from 2014 to 2025, city and districts: item, year, zone, value, unit, edition.

    Parameters
    ----------
    seed : int
    people : dict of year to DataFrame
        Index district code; columns population, urban, age_60; the years of YEARS.
    """
    rng = stream(seed, "statistics")
    years = np.arange(YEARS[0], YEARS[-1] + 1)
    districts = people[YEARS[0]].index
    rows: list[tuple[str, int, str, float, str, str]] = []
    share = rng.uniform(0.8, 1.25, len(districts))

    def series(column: str) -> Array:
        known = np.array([people[year][column].to_numpy(dtype=float) for year in YEARS])
        return np.array([np.interp(years, YEARS, known[:, k]) for k in range(len(districts))]).T.round()

    total, urban, elders = series("population"), series("urban"), series("age_60")
    growth = np.cumprod(np.r_[1.0, 1 + rng.uniform(0.042, 0.068, len(years) - 1)])
    rich = 1.35 * share[None, :] * growth[:, None] * (0.6 + 0.6 * urban / total)
    gdp = total / 1e4 * 5.9 * rich
    tables = {
        "population_1e4": (total / 1e4, "1e4 person", 4), "population_urban_1e4": (urban / 1e4, "1e4 person", 4),
        "population_rural_1e4": ((total - urban) / 1e4, "1e4 person", 4),
        "population_60_1e4": (elders / 1e4, "1e4 person", 4),
        "gdp_1e8_cny": (gdp, "1e8 CNY", 3), "employed_1e4": (total / 1e4 * 0.56, "1e4 person", 4),
        "rd_1e8_cny": (gdp * (0.018 + 0.0008 * (years - 2014))[:, None], "1e8 CNY", 4),
        "beds_medical": (total / 1000 * (5.2 + 0.12 * (years - 2014))[:, None], "bed", 0),
        "beds_elderly": (elders / 1000 * (24 + 1.1 * (years - 2014))[:, None], "bed", 0),
        "water_use_1e8_m3": (total * (212 - 1.6 * (years - 2014))[:, None] / 1e8, "1e8 m3", 5),
        "patents": (total / 1e4 * (6 + 1.9 * (years - 2014))[:, None] * share, "count", 0),
        "rail_passengers_1e4": (total / 1e4 * 3.1 * growth[:, None], "1e4 person", 2),
        "industrial_added_value_1e8_cny": (gdp * 0.31, "1e8 CNY", 3),
        "students_higher": (urban * 0.021, "person", 0), "trade_1e8_cny": (gdp * 0.22 * share, "1e8 CNY", 3),
    }  # fmt: skip
    for item, (values, unit, digits) in tables.items():
        values = np.round(values, digits)
        for at, year in enumerate(years):
            rows += [
                (item, int(year), code, float(values[at, k]), unit, "original")
                for k, code in enumerate(districts)
            ]
            rows.append((item, int(year), "city", round(float(values[at].sum()), digits), unit, "original"))
    frame = pd.DataFrame(rows, columns=["item", "year", "zone", "value", "unit", "edition"])
    return pd.concat([frame, _revised(frame)], ignore_index=True)


def _revised(frame: pd.DataFrame) -> pd.DataFrame:
    """Output of 2024 after the economic census: each district a little more, the city their sum."""
    rows = frame[(frame["item"] == "gdp_1e8_cny") & (frame["year"] == 2024)].copy()
    parts = rows["zone"] != "city"
    rows["value"] = (rows["value"] * 1.012).round(3)
    rows.loc[~parts, "value"] = round(float(rows.loc[parts, "value"].sum()), 3)
    return rows.assign(edition="revised")
