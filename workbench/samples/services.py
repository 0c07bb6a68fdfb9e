"""Facilities of the demo city: placed where they serve the most people not yet served, up to a share by kind and district."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from workbench.samples.form import Form
from workbench.samples.space import CRS, Array, sample, smooth_noise, stream


@dataclass(frozen=True)
class Standard:
    """How a kind of facility is provided."""

    title: str
    radius_m: float
    """Straight distance within which it surely serves, on foot or by its own standard."""
    share: float
    """Share of a district's urban people (those in well served quarters count fully) it is planned to serve."""
    village: float = 0.0
    """Share of villages that have one."""
    land: str = ""
    """Survey code of the land it stands on where there is any near."""
    per_head: float = 0.0
    """Capacity for each inhabitant of its catchment."""


KINDS = {
    "community_health": Standard("社区卫生服务中心", 640, 0.92, 0.42, "08H2", 0.0011),
    "primary_school": Standard("小学", 385, 0.93, 0.20, "08H2", 0.062),
    "middle_school": Standard("中学", 640, 0.91, 0.0, "08H2", 0.042),
    "kindergarten": Standard("幼儿园", 230, 0.66, 0.38, "", 0.030),
    "elderly_care": Standard("日间照料中心", 180, 0.80, 0.30, "", 0.004),
    "culture": Standard("文化活动站", 600, 0.94, 0.55, "08H2"),
    "market": Standard("菜市场", 385, 0.94, 0.10, "05H1"),
    "sports": Standard("体育活动中心", 640, 0.92, 0.25, "08H2"),
    "football": Standard("足球场", 640, 0.52, 0.0),
    "fire_station": Standard("消防站", 1700, 0.90, 0.0),
    "pharmacy": Standard("药店", 320, 0.80, 0.22, "05H1"),
    "supermarket": Standard("超市", 350, 0.82, 0.20, "05H1"),
    "bank": Standard("银行网点", 500, 0.75, 0.03, "05H1"),
    "hospital": Standard("人民医院", 1850, 0.80, 0.0, "08H2", 0.0062),
    "university": Standard("大学", 2600, 0.90, 0.0, "08H2A"),
    "police": Standard("派出所", 1100, 0.88, 0.0),
    "shelter": Standard("应急避难场所", 950, 0.84, 0.0, "0810"),
    "station_bus": Standard("客运站", 3800, 0.80, 0.0),
}
"""Facility kind -> how it is provided."""
NEGLECTED = 0.13
"""Share of the urban people who live in quarters where services came late, and what they weigh."""


def _greedy(
    rng: np.random.Generator, cells: Array, people: Array, sites: Array, radius_m: float, share: float,
    *, least: float = 0.55,
) -> list[int]:  # fmt: skip
    """Sites, each where it serves the most people not served yet, until a share is served; with a little bad luck."""
    if len(cells) == 0 or len(sites) == 0:
        return []
    gap = cells[None] - sites[:, None]
    near = gap[..., 0] ** 2 + gap[..., 1] ** 2 < radius_m**2
    luck = rng.uniform(least, 1.0, len(sites))
    left = people.copy()
    gain = near @ left
    wanted = float(left.sum()) * (1 - share)
    chosen: list[int] = []
    while left.sum() > wanted:
        best = int((gain * luck).argmax())
        if gain[best] < 25:
            break
        chosen.append(best)
        fresh = np.flatnonzero(near[best] & (left > 0))
        gain -= near[:, fresh] @ left[fresh]
        left[fresh] = 0.0
    return chosen


def _candidates(rng: np.random.Generator, cells: Array, grounds: Array, hubs: Array) -> Array:
    """Places a facility may stand: neighbourhood centres, land of its kind, and inhabited cells."""
    some = cells[rng.permutation(len(cells))[:300]]
    some = some + rng.uniform(-40, 40, some.shape)
    found: Array = np.concatenate([hubs + rng.uniform(-30, 30, hubs.shape), grounds, some])
    return found


def _places(
    rng: np.random.Generator,
    cells: Array,
    people: Array,
    late: Array,
    grounds: dict[str, Array],
    wealth: float,
) -> tuple[list[str], list[Array]]:
    """Facilities for the urban people of one district."""
    hubs = cells[_greedy(rng, cells, people, cells[:: 1 + len(cells) // 700], 430.0, 0.96)]
    weight = people * np.where(late, 0.15, 1.0)
    kinds: list[str] = []
    places: list[Array] = []
    for kind, standard in KINDS.items():
        share = float(np.clip(standard.share + wealth + rng.normal(0, 0.05), 0.25, 0.965))
        ground = grounds.get(standard.land, np.empty((0, 2)))
        sites = ground[:3] if kind == "university" else _candidates(rng, cells, ground, hubs)
        index = _greedy(rng, cells, weight, sites, standard.radius_m, share)
        places += [sites[k] for k in index]
        kinds += [kind] * len(index)
    return kinds, places


def _village_places(rng: np.random.Generator, villages: Array) -> tuple[list[str], list[Array]]:
    """Facilities in villages, more often in large ones."""
    kinds: list[str] = []
    places: list[Array] = []
    for x, y, radius in villages:
        for kind, standard in KINDS.items():
            if rng.random() < standard.village * min(1.6, radius / 125):
                places.append(np.array([x, y]) + rng.normal(0, radius * 0.3, 2))
                kinds.append(kind)
    return kinds, places


def make_facilities(
    seed: int, population: gpd.GeoDataFrame, land_use: gpd.GeoDataFrame, form: Form, district: Array
) -> gpd.GeoDataFrame:
    """Facilities by kind: the city and its towns district by district to a planned share, villages by chance.

    Parameters
    ----------
    seed : int
    population, land_use : GeoDataFrame
        Inhabited cells and parcels of the year the facilities are of.
    form : Form
    district : array (N, N)
        Number of the district of each raster cell.
    """
    rng = stream(seed, "facilities")
    cells = shapely.get_coordinates(population.geometry.to_numpy())
    people = population["population"].to_numpy(dtype=float)
    settled = shapely.union_all([form.city, *form.towns])
    shapely.prepare(settled)
    urban = shapely.intersects(settled, population.geometry.to_numpy())
    where = sample(district, cells[:, 0], cells[:, 1])
    grounds: dict[str, Array] = {}
    for code in sorted({standard.land for standard in KINDS.values()} - {""}):
        parcels = land_use.geometry[(land_use["dlbm"] == code) & (land_use.area > 900)].to_numpy()
        xy = shapely.get_coordinates(shapely.point_on_surface(parcels))
        grounds[code] = xy[rng.permutation(len(xy))]
    quality = sample(smooth_noise(rng, 1500), cells[:, 0], cells[:, 1])
    quality = quality - sample(form.reach, cells[:, 0], cells[:, 1]) / 2600
    late = quality < np.quantile(np.repeat(quality[urban], people[urban].astype(int)), NEGLECTED)
    kinds: list[str] = []
    places: list[Array] = []
    for number in np.unique(where):
        mine = urban & (where == number)
        near = {
            code: xy[sample(district, xy[:, 0], xy[:, 1]) == number][:260] for code, xy in grounds.items()
        }
        found = _places(rng, cells[mine], people[mine], late[mine], near, float(rng.normal(0, 0.055)))
        kinds += found[0]
        places += found[1]
    more = _village_places(rng, form.villages)
    return _frame(rng, kinds + more[0], np.array(places + more[1]), cells, people)


def _frame(
    rng: np.random.Generator, kinds: list[str], places: Array, cells: Array, people: Array
) -> gpd.GeoDataFrame:
    """Facilities as a layer, by kind; the capacity follows from the people nearest to each."""
    order = np.argsort([list(KINDS).index(kind) for kind in kinds], kind="stable")
    named, xy = np.array(kinds)[order], np.round(places[order], 2)
    capacity = np.zeros(len(named))
    for kind, standard in KINDS.items():
        mine = np.flatnonzero(named == kind)
        if kind == "university":
            capacity[mine] = 9000 + 9000 * rng.random(len(mine))
        elif standard.per_head > 0 and len(mine):
            nearest = cKDTree(xy[mine]).query(cells)[1]
            crowd = np.bincount(nearest, people, minlength=len(mine))
            capacity[mine] = crowd * standard.per_head * rng.uniform(0.75, 1.2, len(mine))
    serial = pd.Series(named).groupby(named).cumcount().to_numpy() + 1
    return gpd.GeoDataFrame(
        {
            "facility_id": [f"F{k + 1:04d}" for k in range(len(named))],
            "kind": named.astype(object),
            "name": [
                f"示范{KINDS[kind].title}{number:02d}" for kind, number in zip(named, serial, strict=True)
            ],
            "capacity": np.where(capacity > 0, np.maximum(np.round(capacity, -1), 10.0), 0.0),
        },
        geometry=shapely.points(xy),
        crs=CRS,
    )
