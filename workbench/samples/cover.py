"""Land cover of the demo city cell by cell: what each cell is in each of the four years."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.ndimage import distance_transform_edt, label, minimum_filter

from workbench.samples.form import Form
from workbench.samples.ground import Ground, outline
from workbench.samples.space import (
    BOTTOM,
    CELL,
    LEFT,
    YEARS,
    Array,
    N,
    burn,
    burn_values,
    cell_centres,
    sample,
    smooth_noise,
    stream,
)
from workbench.samples.streets import CLASSES, WIDTH_M, Streets

NEVER = 9999
"""Year of building of what is not built."""


@dataclass(frozen=True)
class Cover:
    """Rasters (N, N) that say what lies where and since when."""

    rural: Array
    """Survey code without the settlement, as an index into CODES."""
    built: Array
    """Survey code once built, 0 where nothing is ever built."""
    since: Array
    """Year in which ``built`` takes over, NEVER where it does not."""
    town: Array
    """CZCSXM once built: 0 none, 1 city, 2 town, 3 village."""
    rural_key: Array
    """Field, wood or water body the cell belongs to."""
    built_key: Array
    """Block or road the cell belongs to."""
    unit: Array
    """Planning unit, 1 to number of units."""
    core: Array
    """Cells of the 城区."""


CODES = ["", "0101", "0102", "0103", "0201", "0202", "0301", "0302", "0305", "0307", "0404", "05H1", "0508",
         "0601", "0602", "0701", "0702", "08H1", "08H2", "08H2A", "0809", "0810", "0810A", "09", "1001", "1003",
         "1004", "1005", "1006", "1101", "1102", "1103", "1104", "1104A", "1106", "1107", "1108", "1109",
         "1202", "1206", "1201", "0402", "1002"]  # fmt: skip
"""Survey codes in use; 0 stands for none."""
OF = {code: number for number, code in enumerate(CODES)}


def _regions(places: Array) -> Array:
    """Number of the nearest place for each cell, through a coarse grid."""
    from scipy.spatial import cKDTree

    x, y = cell_centres()
    xs, ys = np.meshgrid(x[0, 2::5], y[2::5, 0])
    nearest = cKDTree(places[:, :2]).query(np.c_[xs.ravel(), ys.ravel()])[1]
    return np.kron(nearest.reshape(xs.shape), np.ones((5, 5), dtype=np.int32)).astype(np.int32)


def _fields(seed: int, ground: Ground) -> tuple[Array, Array, Array]:
    """Farmland pattern: code, key of the field, region (the village that works it)."""
    rng = stream(seed, "fields")
    x, y = cell_centres()
    places = np.r_[ground.villages[::2, :2], ground.towns[:, :2]]
    region = _regions(places)
    count = len(places)
    turn = rng.uniform(0, np.pi / 2, count).astype(np.float32)[region]
    long = rng.uniform(190, 310, count).astype(np.float32)[region]
    wide = rng.uniform(105, 155, count).astype(np.float32)[region]
    dx, dy = (x - LEFT).astype(np.float32), (y - BOTTOM).astype(np.float32)
    bend = 30 * smooth_noise(rng, 1500)
    u = dx * np.cos(turn) + dy * np.sin(turn) + bend
    v = -dx * np.sin(turn) + dy * np.cos(turn) + bend
    row = np.floor(v / wide).astype(np.int64)
    column = np.floor(u / long + 0.37 * (row % 3)).astype(np.int64)
    key = (region.astype(np.int64) * 1024 + (column + 512)) * 1024 + (row + 512)
    dice = ((key * 2654435761) >> 7) % 1000
    lean = smooth_noise(rng, 3000)
    code = np.full((N, N), OF["0101"], dtype=np.uint8)
    code[lean > 0.75] = OF["0103"]
    code[(dice < 120)] = OF["0102"]
    code[(dice >= 120) & (dice < 165)] = OF["1104"]
    code[(dice >= 165) & (dice < 225) | (lean > 1.5) & (dice > 500)] = OF["0201"]
    code[(dice >= 225) & (dice < 240)] = OF["1202"]
    code[(dice >= 240) & (dice < 262)] = OF["0404"]
    code[(dice >= 262) & (dice < 276)] = OF["0301"]
    ponds = (
        smooth_noise(rng, 2600)
        + np.clip((x - LEFT - 12_500) / 6000, -1, 1)
        - np.clip((y - BOTTOM - 5200) / 3000, -1, 1)
    )
    code[(ponds > 2.1) & (dice % 10 < 8)] = OF["1104A"]
    track = (np.mod(v, wide * 4) < 17) | (np.mod(u, 1050) < 17)
    ditch = (np.mod(v + 1.5 * wide, wide * 8) < 17) & ~track
    code[track], key[track] = OF["1006"], -2 - region[track].astype(np.int64)
    code[ditch], key[ditch] = OF["1107"], -1002 - region[ditch].astype(np.int64)
    return code, key, region


def _woods(seed: int, ground: Ground) -> tuple[Array, Array]:
    """Woodland pattern of the hills: code and key of the stand."""
    rng = stream(seed, "woods")
    seeds = np.c_[rng.uniform(LEFT, LEFT + N * CELL, 1500), rng.uniform(BOTTOM, BOTTOM + N * CELL, 1500)]
    warp = (140 * smooth_noise(rng, 700), 140 * smooth_noise(rng, 700))
    row = np.clip(np.arange(N)[:, None] + (warp[0] / CELL).astype(int), 0, N - 1)
    column = np.clip(np.arange(N)[None, :] + (warp[1] / CELL).astype(int), 0, N - 1)
    stand = _regions(seeds)[row, column]
    dice = rng.integers(0, 100, len(seeds))[stand]
    height = ground.dem
    code = np.full((N, N), OF["0301"], dtype=np.uint8)
    code[dice < 14] = OF["0302"]
    code[(dice >= 14) & (dice < 27)] = OF["0305"]
    code[(dice >= 27) & (dice < 33)] = OF["0307"]
    code[(dice >= 33) & (dice < 38)] = OF["0404"]
    foot = height < 75
    code[foot & (dice >= 38) & (dice < 66)] = OF["0201"]
    code[foot & (dice >= 66) & (dice < 74)] = OF["0202"]
    code[(height > 330) & (dice >= 93)] = OF["1206"]
    return code, stand.astype(np.int64) + (1 << 40)


def _waters(seed: int, ground: Ground, code: Array, key: Array) -> None:
    """Rivers, lake, reservoir with its dam, flats and marsh, written over the rural pattern."""
    rng = stream(seed, "waters")
    bank = ground.rivers.buffer(45).difference(ground.rivers)
    flat = burn([bank]) & (smooth_noise(rng, 1300) > 0.55)
    code[flat], key[flat] = OF["1106"], -5
    marsh = burn([ground.reservoir.buffer(130), ground.lake.buffer(50)]) & (smooth_noise(rng, 500) > 0.2)
    code[marsh], key[marsh] = OF["1108"], -6
    for shape, name, number in (
        (ground.rivers, "1101", -7), (ground.reservoir, "1103", -8), (ground.lake, "1102", -9),
    ):  # fmt: skip
        mask = burn([shape])
        code[mask], key[mask] = OF[name], number
    right = ground.reservoir.bounds
    middle = ground.reservoir.centroid
    dam = shapely.box(right[2] - 40, middle.y - 190, right[2] + 45, middle.y + 190)
    mask = burn([dam])
    code[mask], key[mask] = OF["1109"], -10


def _units(seed: int, ground: Ground) -> tuple[Array, Array]:
    """Planning units (1..n) and the district (1..6) of each."""
    rng = stream(seed, "units")
    core = np.array(ground.core)
    middles = [core + 1000 * np.array([-1.9, 1.0]), core + 1000 * np.array([2.4, -0.2])]
    for angle in (2.45, 0.75, -0.75, -2.4):
        middles.append(core + 1000 * np.array([7.6 * np.cos(angle), 7.2 * np.sin(angle)]))
    districts = np.array(middles)
    places, parents = [], []
    for number, (x, y) in enumerate(districts):
        inner = number < 2
        wanted, gap = (8, 1250.0) if inner else (6, 2700.0)
        found: list[Array] = []
        for _ in range(4000):
            at = np.array([x, y]) + (1900 if inner else 4300) * rng.uniform(-1, 1, 2)
            at = np.clip(at, [LEFT + 700, BOTTOM + 700], [LEFT + 19_300, BOTTOM + 19_300])
            weights = np.hypot(*(districts - at).T) - np.where(np.arange(6) < 2, 700, 0)
            if weights.argmin() != number or any(np.hypot(*(p - at)) < gap for p in found):
                continue
            found.append(at)
            if len(found) == wanted:
                break
        places += found
        parents += [number + 1] * len(found)
    near = _regions(np.array(places))
    warp = (150 * smooth_noise(rng, 1700), 150 * smooth_noise(rng, 1700))
    row = np.clip(np.arange(N)[:, None] + (warp[0] / CELL).astype(int), 0, N - 1)
    column = np.clip(np.arange(N)[None, :] + (warp[1] / CELL).astype(int), 0, N - 1)
    return near[row, column] + 1, np.array(parents)


_USES = [
    "0701",
    "05H1",
    "08H1",
    "08H2",
    "08H2A",
    "0809",
    "0810",
    "0810A",
    "0601",
    "0508",
    "1005",
    "09",
    "1201",
]
_SHARES = {
    "old": [0.50, 0.24, 0.07, 0.07, 0.00, 0.02, 0.07, 0.03, 0.00, 0.00, 0.00, 0.00, 0.00],
    "homes": [0.58, 0.09, 0.03, 0.09, 0.00, 0.02, 0.12, 0.02, 0.02, 0.01, 0.01, 0.01, 0.00],
    "fringe": [0.50, 0.06, 0.02, 0.08, 0.00, 0.03, 0.13, 0.02, 0.09, 0.03, 0.01, 0.01, 0.02],
    "works": [0.11, 0.03, 0.01, 0.02, 0.00, 0.03, 0.07, 0.00, 0.55, 0.15, 0.02, 0.00, 0.01],
    "campus": [0.30, 0.07, 0.02, 0.07, 0.37, 0.02, 0.14, 0.01, 0.00, 0.00, 0.00, 0.00, 0.00],
    "business": [0.34, 0.32, 0.12, 0.06, 0.00, 0.02, 0.10, 0.04, 0.00, 0.00, 0.00, 0.00, 0.00],
    "town": [0.58, 0.13, 0.05, 0.08, 0.00, 0.02, 0.06, 0.01, 0.05, 0.02, 0.00, 0.00, 0.00],
}
"""Shares of land uses (_USES) by the character of the quarter."""


def _characters(seed: int, ground: Ground, form: Form, streets: Streets) -> list[str]:
    """Character of each quarter: works near rail and rim, one or two campuses, a business quarter by the river."""
    rng = stream(seed, "quarters")
    middle = shapely.get_coordinates(shapely.centroid(streets.quarters))
    away = np.hypot(*(middle - np.array(ground.core)).T)
    main = streets.rail.geometry[streets.rail["line_id"] == "L9"].iloc[0]
    to_rail = shapely.distance(main, shapely.points(middle))
    late = sample(form.reach, middle[:, 0], middle[:, 1])
    found = np.where(away < 1050, "old", np.where(late < 2900, "homes", "fringe")).astype(object)
    outer = np.flatnonzero((late > 2500) & (late < form.limits[-1] + 600))
    score = late[outer] / 2500 - to_rail[outer] / 2600 + rng.normal(0, 0.35, len(outer))
    ranked = outer[np.argsort(-score, kind="stable")]
    found[ranked[: max(2, round(0.30 * len(outer)))]] = "works"
    found[ranked[-2:]] = "campus"
    river = sample(ground.to_river_m, middle[:, 0], middle[:, 1])
    bank = np.flatnonzero((away > 1100) & (away < 3000) & (found == "homes"))
    if len(bank):
        found[bank[np.argsort(river[bank], kind="stable")[:2]]] = "business"
    return [str(name) for name in found]


def _block_use(rng: np.random.Generator, character: Array, size_ha: Array, wet: Array, busy: Array) -> Array:
    """Land use of city blocks by the character of their quarter."""
    edges = np.array([np.cumsum(_SHARES[name]) / np.sum(_SHARES[name]) for name in character])
    pick = (rng.random(len(character))[:, None] > edges).sum(axis=1).clip(0, len(_USES) - 1)
    code: Array = np.array([OF[use] for use in _USES])[pick]
    code[busy & (code == OF["0701"]) & (rng.random(len(code)) < 0.10)] = OF["05H1"]
    code[wet & (rng.random(len(code)) < 0.6)] = OF["0810"]
    small = (size_ha < 0.35) & (code != OF["0810"])
    code[small] = np.where(rng.random(int(small.sum())) < 0.42, OF["0810"], OF["05H1"])
    return code


def _number_blocks(inside: Array, streets: Streets) -> tuple[Array, Array, Array]:
    """Blocks between streets, long ones cut across in the direction of their quarter's streets.

    Returns the number of each cell's block, the cells in each block and the quarter of each cell (from 1).
    """
    x, y = cell_centres()
    quarter = burn_values(streets.quarters, np.arange(len(streets.quarters)) + 1)
    turn = np.r_[0.0, streets.turns].astype(np.float32)[quarter]
    block, count = label(inside)
    dx, dy = (x - LEFT).astype(np.float32), (y - BOTTOM).astype(np.float32)
    size = np.bincount(block.ravel(), minlength=count + 1)
    cut = np.where(size > 160, 1, 0)[block]
    u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    across = np.where((block * 7919 % 13 < 6), u, v)
    stripe = np.floor(across / np.float32(128)).astype(np.int64) % 64
    key = block.astype(np.int64) * 64 + stripe * cut
    flat, number = np.unique(key, return_inverse=True)
    return number.reshape(N, N), flat, quarter


def _settle(
    seed: int, ground: Ground, form: Form, streets: Streets
) -> tuple[Array, Array, Array, Array, Array]:
    """Blocks and roads: code once built, year, CZCSXM and key; and the cells of the 城区."""
    rng = stream(seed, "settle")
    x, y = cell_centres()
    built = np.zeros((N, N), dtype=np.uint8)
    since = np.full((N, N), NEVER, dtype=np.int32)
    town = np.zeros((N, N), dtype=np.uint8)
    roads = streets.roads
    wide = roads.geometry.buffer(roads["road_class"].map(WIDTH_M).to_numpy() / 2, cap_style="flat")
    rank = roads["road_class"].map(CLASSES.index).to_numpy()
    order = np.argsort(-rank, kind="stable")
    road = burn_values(wide.to_numpy()[order], rank[order] + 1)
    core = burn([form.city])
    towns = burn_values(form.towns, np.arange(len(form.towns)) + 1)
    wet = ground.river_mask | burn([ground.lake.buffer(25), ground.reservoir])
    inside = (core | (towns > 0)) & (road == 0) & ~wet
    number, flat, quarter = _number_blocks(inside, streets)
    size = np.bincount(number.ravel())

    def mean(values: Array) -> Array:
        found: Array = np.bincount(number.ravel(), np.broadcast_to(values, (N, N)).ravel()) / size
        return found

    middle_x, middle_y = mean(x), mean(y)
    characters = np.array(["fringe", *_characters(seed, ground, form, streets)])
    in_town = sample(towns, middle_x, middle_y) > 0
    character = np.where(in_town, "town", characters[sample(quarter, middle_x, middle_y)])
    main = roads.geometry[roads["road_class"].isin(["primary", "secondary"])].to_numpy()
    busy = np.zeros(len(size), dtype=bool)
    middles: Array = np.asarray(shapely.points(middle_x, middle_y))
    busy[shapely.STRtree(middles).query(main, predicate="dwithin", distance=90)[1]] = True
    code = _block_use(rng, character, size / 100, sample(ground.to_river_m, middle_x, middle_y) < 140, busy)
    years = _block_years(rng, in_town, mean(form.reach), form.limits)
    is_block = inside & (flat[number] >= 64)
    built[is_block] = code[number][is_block]
    since[is_block] = years[number][is_block]
    town[is_block] = np.where(towns > 0, 2, 1)[is_block]
    built_key = np.where(is_block, number + 10, 0).astype(np.int64)
    homes = burn_values([outline(a, b, r) for a, b, r in form.villages], np.arange(len(form.villages)) + 1)
    village = (homes > 0) & ~core & (towns == 0) & ~wet & (road == 0) & (smooth_noise(rng, 180) > -0.9)
    grown = np.hypot(x - np.r_[0, form.villages[:, 0]][homes], y - np.r_[0, form.villages[:, 1]][homes])
    outer = grown > 0.85 * np.r_[1, form.villages[:, 2]][homes]
    built[village], town[village] = OF["0702"], 3
    later = rng.choice([2010, 2017, NEVER], len(form.villages) + 1)[homes]
    since[village] = np.where(outer, later, 2005)[village]
    built_key[village] = 1_000_000 + homes[village]
    _roads_in(road, core | (towns > 0), homes > 0, core, since, built, town, built_key)
    rail = (
        burn(streets.rail.geometry[streets.rail["line_id"] == "L9"].buffer(13).to_list()) & ~ground.river_mask
    )
    built[rail], since[rail], town[rail], built_key[rail] = OF["1001"], 2008, 0, 3_000_000
    return built, since, town, built_key, core


def _block_years(rng: np.random.Generator, in_town: Array, reach: Array, limits: Array) -> Array:
    """Year in which each block was built, later outwards; some are never built."""
    late = reach + rng.normal(0, 210, len(reach))
    years = np.select([late < limit for limit in limits], [2008, 2018, 2023, 2025], default=NEVER)
    years = np.where(reach < 1700, 2005, years)
    dice = rng.random(len(reach))
    towns = np.select(
        [dice < 0.72, dice < 0.82, dice < 0.90, dice < 0.912], [2008, 2018, 2022, 2025], default=NEVER
    )
    found: Array = np.where(in_town, towns, years)
    return found


def _roads_in(
    road: Array,
    urban: Array,
    village: Array,
    core: Array,
    since: Array,
    built: Array,
    town: Array,
    key: Array,
) -> None:
    """Write road cells: city and town streets with the blocks beside them, the others as they are."""
    beside = minimum_filter(since, size=9)
    minor = road - 1 >= CLASSES.index("tertiary")
    is_road = road > 0
    street = is_road & urban
    x, y = cell_centres()
    tile = ((x - LEFT) // 1000 + 32 * ((y - BOTTOM) // 1000)).astype(np.int64)
    built[street] = OF["1004"]
    since[street] = np.where(minor, beside, 2005)[street]
    town[street] = np.where(core, 1, 2)[street]
    lane = is_road & ~urban
    built[lane] = np.where(road - 1 >= CLASSES.index("service"), OF["1006"], OF["1003"])[lane]
    built[lane & village] = OF["1004"]
    town[lane & village] = 3
    since[lane] = 2005
    key[is_road] = (2_000_000 + tile)[is_road]


def make_cover(seed: int, ground: Ground, form: Form, streets: Streets) -> tuple[Cover, Array]:
    """Cover rasters and the district of each planning unit."""
    field_code, field_key, _ = _fields(seed, ground)
    wood_code, wood_key = _woods(seed, ground)
    hill = ground.hills > 0.30
    rural, key = np.where(hill, wood_code, field_code), np.where(hill, wood_key, field_key)
    _waters(seed, ground, rural, key)
    built, since, town, built_key, core = _settle(seed, ground, form, streets)
    unit, parents = _units(seed, ground)
    water = np.isin(rural, [OF["1101"], OF["1102"], OF["1103"]])
    drop = water & (built != OF["1003"]) & (built != OF["1004"])
    built[drop], since[drop], town[drop], built_key[drop] = 0, NEVER, 0, 0
    return Cover(rural, built, since, town, key, built_key, unit, core), parents


def code_at(cover: Cover, year: int) -> Array:
    """Survey code of each cell in a year, as an index into CODES."""
    return np.where(cover.since <= year, cover.built, cover.rural)


def distance_m(mask: Array) -> Array:
    """Distance of each cell to the nearest cell of a mask, in metres."""
    distance: Array = distance_transform_edt(~mask)
    return distance * CELL


__all__ = ["CODES", "NEVER", "OF", "YEARS", "Cover", "code_at", "distance_m", "make_cover"]
