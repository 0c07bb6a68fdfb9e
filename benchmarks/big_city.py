"""A generated city of 7,400 km² at 10 m, seeded: land use of two years, imagery with clouds, fields, people, zones.

``write(folder)`` lays the source files down as a bureau would deliver them, with a profile beside them.
"""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
import shapely
from affine import Affine
from scipy import ndimage
from scipy.spatial import cKDTree

SIZE, CELL, LEFT, TOP, CRS = 10_000, 10.0, 450_000.0, 2_620_000.0, "EPSG:4547"
AREA_KM2, DISTRICTS, UNITS, YEARS = 7_400, 11, 180, (2020, 2025)
COARSE = 10
"""Fine cells along the side of a coarse one (100 m), on which zones and people are drawn."""
RURAL = {"1101": 50, "0101": 1, "0103": 3, "0201": 4, "0301": 12, "0404": 26, "1104": 53, "1106": 57}
BUILT = {"0701": 32, "0601": 29, "0702": 33, "05H1": 27, "1004": 44, "0810": 38, "08H2": 35}


def noise(rng: np.random.Generator, size: int, smooth: float) -> np.ndarray:
    """Field with mean 0 and deviation 1, smooth over so many cells."""
    step = max(1, int(smooth // 4))
    small = rng.standard_normal((-(-size // step), -(-size // step)), dtype="float32")
    small = ndimage.gaussian_filter(small, smooth / step, mode="wrap")
    field = ndimage.zoom(small, step, order=1)[:size, :size] if step > 1 else small
    return np.asarray((field - field.mean()) / field.std(), "float32")


def zones(rng: np.random.Generator) -> tuple[np.ndarray, gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Number of the unit of each coarse cell (-1 outside the city), units, and districts made of them."""
    size = SIZE // COARSE
    y, x = np.mgrid[0:size, 0:size].astype("float32")
    x, y = x + 14 * noise(rng, size, 40), y + 14 * noise(rng, size, 40)
    reach = np.hypot(x - size / 2, y - size / 2) * (1 + 0.02 * noise(rng, size, 60))
    count = round(AREA_KM2 * 1e6 / (CELL * COARSE) ** 2)
    inside = reach <= np.partition(reach.ravel(), count - 1)[count - 1]
    turn = np.arange(UNITS) * np.pi * (3 - np.sqrt(5))
    spread = 0.485 * size * np.sqrt((np.arange(UNITS) + 0.5) / UNITS)
    seeds = np.column_stack((spread * np.cos(turn), spread * np.sin(turn))) + size / 2
    unit = cKDTree(seeds).query(np.column_stack((x.ravel(), y.ravel())))[1].reshape(size, size)
    unit = np.where(inside, unit, -1).astype("int16")
    angle = np.arange(DISTRICTS - 1) * 2 * np.pi / (DISTRICTS - 1)
    heads = np.vstack(([0, 0], 0.32 * size * np.column_stack((np.cos(angle), np.sin(angle))))) + size / 2
    district = cKDTree(heads).query(seeds)[1]
    transform = Affine(CELL * COARSE, 0, LEFT, 0, -CELL * COARSE, TOP)
    parts = [
        (shapely.geometry.shape(s), int(v)) for s, v in rasterio.features.shapes(unit, inside, 4, transform)
    ]
    numbers = np.array([v for _, v in parts])
    shapes = np.array([s for s, _ in parts])
    whole = [shapely.union_all(shapes[numbers == k]) for k in range(UNITS)]
    bent = shapely.coverage_simplify(np.array(whole), 120)
    units = gpd.GeoDataFrame(
        {
            "code": [f"U{k:03d}" for k in range(UNITS)],
            "name": [f"单元{k:03d}" for k in range(UNITS)],
            "district": [f"D{d:02d}" for d in district],
        },
        geometry=bent,
        crs=CRS,
    )
    joined = [shapely.union_all(bent[district == d]) for d in range(DISTRICTS)]
    codes = [f"D{d:02d}" for d in range(DISTRICTS)]
    names = [f"第{d + 1}区" for d in range(DISTRICTS)]
    return unit, units, gpd.GeoDataFrame({"code": codes, "name": names}, geometry=joined, crs=CRS)


def land_use(rng: np.random.Generator, inside: np.ndarray) -> dict[int, np.ndarray]:
    """Survey class numbers of both years: patches of 40 m and more, towns that grew, one cell in thirty of noise."""
    small = SIZE // 4
    height, patch, kind = noise(rng, small, 160), noise(rng, small, 12), noise(rng, small, 6)
    rural = np.full((small, small), RURAL["0101"], "uint8")
    rural[patch > 0.4] = RURAL["0103"]
    rural[patch > 1.3] = RURAL["0201"]
    rural[patch < -1.6] = RURAL["1104"]
    rural[height > 0.2] = RURAL["0301"]
    rural[(height > 0.2) & (patch > 1.5)] = RURAL["0404"]
    rural[height < -1.7] = RURAL["1101"]
    rural[(height < -1.6) & (height >= -1.7)] = RURAL["1106"]
    y, x = np.mgrid[0:small, 0:small] / small - 0.5
    town = -7 * np.hypot(x, y) + 1.2 * noise(rng, small, 60) + 0.7 * noise(rng, small, 10) - 0.5 * height
    built = np.digitize(kind, np.quantile(kind, [0.34, 0.56, 0.7, 0.78, 0.9, 0.95])).astype("uint8")
    built = np.array(list(BUILT.values()), "uint8")[built]
    levels = dict(zip(YEARS, np.quantile(town, [0.79, 0.77]), strict=True))
    spots = rng.random((SIZE, SIZE), dtype="float32") < 1 / 30
    odd = rng.choice(np.array([*RURAL.values(), *BUILT.values()], "uint8"), int(spots.sum()))
    found = {}
    for year, level in levels.items():
        cover = np.where((town > level) & (rural != RURAL["1101"]), built, rural)
        if year == YEARS[-1]:
            cover[(cover == RURAL["0404"]) & (kind > 0.5)] = RURAL["0301"]  # planted since
        cover = np.kron(cover, np.ones((4, 4), "uint8"))
        cover[spots] = odd
        cover[~inside] = 0
        found[year] = cover
    return found


def _write(path: Path, count: int, dtype: str, cell: float = CELL, size: int = SIZE, **more: object):  # type: ignore[no-untyped-def]
    transform = Affine(cell, 0, LEFT, 0, -cell, TOP)
    profile = dict(
        driver="GTiff", height=size, width=size, count=count, dtype=dtype, crs=CRS, transform=transform
    )
    options = dict(
        tiled=True, blockxsize=512, blockysize=512, compress="deflate", zlevel=1, num_threads="all_cpus"
    )
    return rasterio.open(path, "w", **profile, **options, **more)


def imagery(folder: Path, rng: np.random.Generator, cover: np.ndarray) -> None:
    """Four bands by class with texture, and clouds over about three cells in a hundred."""
    light = np.full((4, 256), 0, "float32")
    for codes, values in ((RURAL, (400, 600, 500, 3000)), (BUILT, (1200, 1300, 1400, 1800))):
        for shift, code in enumerate(codes.values()):
            light[:, code] = np.array(values) * (1 + 0.05 * shift)
    light[:, [RURAL["1101"], RURAL["1104"]]] = np.array([[500], [450], [300], [150]])
    light[:, BUILT["0810"]] = (500, 700, 600, 3200)
    cloud = np.kron(noise(rng, SIZE // 20, 20) > 1.9, np.ones((20, 20), "uint8"))
    with _write(folder / f"cloud_{YEARS[-1]}.tif", 1, "uint8", nodata=255) as file:
        file.write(cloud, 1)
    with _write(folder / f"imagery_{YEARS[-1]}.tif", 4, "uint16", nodata=0, interleave="band") as file:
        for band in range(4):
            for top in range(0, SIZE, 1024):
                part = cover[top : top + 1024]
                grain = rng.integers(-12, 13, part.shape, dtype="int16") * 8
                values = np.where(part > 0, np.maximum(light[band][part] + grain, 1), 0).astype("uint16")
                file.write(values, band + 1, window=((top, top + len(part)), (0, SIZE)))


def people(rng: np.random.Generator, cover: np.ndarray) -> gpd.GeoDataFrame:
    """Residents of the cells of 100 m with something built."""
    size = SIZE // COARSE
    built = np.isin(cover, list(BUILT.values())).reshape(size, COARSE, size, COARSE).mean(axis=(1, 3))
    count = built * rng.gamma(2.0, 45.0, built.shape)
    row, column = np.nonzero(built > 0.05)
    total = np.round(count[row, column], 1)
    side = CELL * COARSE
    points = shapely.points(LEFT + (column + 0.5) * side, TOP - (row + 0.5) * side)
    old, young = total * rng.uniform(0.1, 0.3, len(total)), total * rng.uniform(0.1, 0.2, len(total))
    return gpd.GeoDataFrame(
        {"cell_id": np.arange(len(total)).astype(str), "population": total, "age_0_14": young,
         "age_15_59": total - old - young, "age_60": old}, geometry=points, crs=CRS,
    )  # fmt: skip


def write(folder: Path, seed: int = 3) -> Path:
    """Write all source files of the city and its profile; the profile's path."""
    rng = np.random.default_rng(seed)
    unit, units, districts = zones(rng)
    units.to_parquet(folder / "units.parquet")
    districts.to_parquet(folder / "districts.parquet")
    near = shapely.distance(
        units.geometry.centroid, shapely.Point(LEFT + SIZE * 5, TOP - SIZE * 5)
    ).to_numpy()
    ranks = np.argsort(near)
    rings = {"城区": ranks[:60], "中心城区": ranks[:20]}
    shapes = [shapely.union_all(units.geometry.to_numpy()[chosen]) for chosen in rings.values()]
    gpd.GeoDataFrame({"scope": list(rings)}, geometry=shapes, crs=CRS).to_parquet(folder / "scopes.parquet")
    inside = np.kron(unit >= 0, np.ones((COARSE, COARSE), bool))
    cover = land_use(rng, inside)
    for year, classes in cover.items():
        with _write(folder / f"land_use_raster_{year}.tif", 1, "uint8", nodata=0) as file:
            file.write(classes, 1)
        people(np.random.default_rng([seed, year]), classes).to_parquet(folder / f"population_{year}.parquet")
    imagery(folder, rng, cover[YEARS[-1]])
    sinking = np.round(8 + 4 * noise(rng, SIZE, 200), 1)
    with _write(folder / "subsidence.tif", 1, "float32", nodata=-9999.0, predictor=3) as file:
        file.write(np.where(inside, sinking, -9999).astype("float32"), 1)
    with _write(folder / "pm25.tif", 1, "float32", 1000.0, SIZE // 100, nodata=-1.0) as file:
        file.write(30 + 6 * noise(rng, SIZE // 100, 12), 1)
    path = folder / "big.toml"
    path.write_text(PROFILE + "".join(_layer(*row) for row in LAYERS), "utf-8")
    return path


LAYERS = [
    ("districts", "districts.parquet", "vector", ""),
    ("units", "units.parquet", "vector", ""),
    ("scopes", "scopes.parquet", "vector", ""),
    ("land_use_raster", "land_use_raster_{year}.tif", "raster", "years = [2020, 2025]"),
    ("population", "population_{year}.parquet", "vector", "years = [2020, 2025]"),
    ("imagery", "imagery_{year}.tif", "raster", 'years = [2025]\nassets = { cloud = "cloud_{year}.tif" }'),
    ("subsidence", "subsidence.tif", "raster", ""),
    ("pm25", "pm25.tif", "raster", 'grid = "own"'),
]
PROFILE = f"""[city]
name = "big"
name_zh = "大市"
name_en = "Big City"
crs = "{CRS}"
language = "zh"
base_year = {YEARS[0]}
years = [{YEARS[-1]}]
indicator_set = "demo_city"
rule_packs = ["targets", "trends", "peers", "data_consistency"]
report_book = "annual_checkup"
data = "."
walking_m_per_min = 60.0

[scopes]
"市域" = "districts"
"城区" = "城区"
"中心城区" = "中心城区"

[grid]
resolution = {CELL}
left = {LEFT}
top = {TOP}
rows = {SIZE}
columns = {SIZE}

[levels.district]
role = "districts"
title_zh = "区县"
title_en = "district"

[levels.unit]
role = "units"
parent = "district"
title_zh = "规划单元"
title_en = "planning unit"
"""


def _layer(role: str, path: str, kind: str, more: str) -> str:
    date = "{year}-12-31" if "{year}" in path else f"{YEARS[-1]}-12-31"
    return (
        f'\n[layers.{role}]\npath = "{path}"\nkind = "{kind}"\n{more}\ntier = "statutory"\n'
        f'source = "生成数据"\nlicence = "CC0-1.0"\ndate = "{date}"\nsensitivity = "公开"\nholder = "自然资源局"\n'
    )
