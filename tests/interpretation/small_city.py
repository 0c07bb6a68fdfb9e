"""A city of two districts with images of two dates in two years, written by hand."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin

from workbench.catalog.data import CityData
from workbench.core.city import City, load_city

LEFT, TOP = 464000, 2577000
NAMES = ("blue", "green", "red", "nir")
PROFILE = """
[city]
name = "small"
name_zh = "小城"
name_en = "Small City"
crs = "EPSG:4547"
language = "zh"
base_year = 2024
years = [2024, 2025]
indicator_set = "checkup_first"
rule_packs = []
report_book = "annual_checkup"
data = "files"
[grid]
resolution = 10.0
left = 464000.0
top = 2577000.0
rows = {rows}
columns = {columns}
[scopes]
"市域" = "city"
[levels.district]
role = "districts"
[layers.districts]
path = "districts.parquet"
kind = "vector"
source = "by hand"
date = "2024-12-31"
[layers.imagery]
path = "imagery_{{year}}.tif"
kind = "raster"
years = [2024, 2025]
bands = ["blue", "green", "red", "nir"]
assets = {{ cloud = "cloud_{{year}}.tif" }}
source = "by hand"
date = "{{year}}-03-12"
sensitivity = "内部"
[layers.imagery_2]
path = "imagery_2_{{year}}.tif"
kind = "raster"
years = [2024, 2025]
bands = ["blue", "green", "red", "nir"]
assets = {{ cloud = "cloud_2_{{year}}.tif" }}
source = "by hand"
date = "{{year}}-07-08"
"""


def write(path: Path, data: np.ndarray, nodata: int | None = 0) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", height=data.shape[1], width=data.shape[2], count=data.shape[0], dtype=data.dtype,
        nodata=nodata, transform=from_origin(LEFT, TOP, 10, 10), crs="EPSG:4547",
    ) as file:  # fmt: skip
        file.write(data)


def make(
    folder: Path, images: dict[tuple[str, int], np.ndarray], clouds: dict[tuple[str, int], np.ndarray]
) -> tuple[City, CityData]:
    """City of images (role, year) -> reflectance (band, row, col) and clouds (row, col), built."""
    _, rows, columns = next(iter(images.values())).shape
    root = folder / "files"
    root.mkdir(parents=True)
    for (role, year), data in images.items():
        number = role.removeprefix("imagery")
        write(root / f"imagery{number}_{year}.tif", np.round(data * 10_000).astype(np.uint16))
        hidden = clouds.get((role, year), np.zeros((rows, columns), dtype=np.uint8))
        write(root / f"cloud{number}_{year}.tif", hidden[None], nodata=255)
    wide, tall = 10 * columns, 10 * rows
    halves = [
        shapely.box(LEFT, TOP - tall, LEFT + wide / 2, TOP),
        shapely.box(LEFT + wide / 2, TOP - tall, LEFT + wide, TOP),
    ]
    frame = gpd.GeoDataFrame(
        {"code": ["1", "2"], "name": ["东区", "西区"], "name_en": ["East", "West"]},
        geometry=halves,
        crs="EPSG:4547",
    )
    frame.to_parquet(root / "districts.parquet")
    path = folder / "small.toml"
    path.write_text(PROFILE.format(rows=rows, columns=columns), "utf-8")
    city = load_city(path, data_root=folder)
    return city, CityData(city)
