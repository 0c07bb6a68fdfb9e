"""Who lives in the demo city, and the stops and parks that serve them."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely

from workbench.samples.cover import OF, Cover, code_at
from workbench.samples.ground import Ground
from workbench.samples.space import BOTTOM, CRS, LEFT, SIDE, YEARS, Array, N, smooth_noise, stream
from workbench.samples.streets import Streets


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
            for use, weight in (
                ("0701", 3.9), ("0702", 1.75 * (1 - 0.013 * (year - 2014))), ("05H1", 0.6), ("08H2A", 0.7),
                ("0601", 0.10),
            )
        )  # fmt: skip
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


def make_bus_stops(seed: int, streets: Streets) -> gpd.GeoDataFrame:
    """Bus stops along the larger roads, about every 450 m, with headways in minutes."""
    rng = stream(seed, "bus")
    main = streets.roads[streets.roads["road_class"].isin(["trunk", "primary", "secondary", "tertiary"])]
    keep = main[main.length > 90]
    lesser = (keep["road_class"] == "tertiary").to_numpy()
    chance = np.minimum(1.0, keep.length.to_numpy() / np.where(lesser, 1900, 420))
    chosen = keep.geometry.to_numpy()[rng.random(len(keep)) < chance]
    points = shapely.line_interpolate_point(chosen, rng.uniform(0.2, 0.8, len(chosen)), normalized=True)
    xy = np.round(shapely.get_coordinates(points), 2)
    kept = _spread(rng, xy, np.ones(len(xy)), len(xy), 300)
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
