"""A city of two districts, one road and a few cells, written as a bureau would hand it over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine

from workbench.core.city import City, load_city

CRS = "EPSG:4547"
X, Y = 500_000.0, 2_500_000.0
HEADER = """
[city]
name = "toy"
name_zh = "小城"
name_en = "Toy"
crs = "EPSG:4547"
base_year = 2020
years = [2023, 2024]
data = "source"

[levels.district]
role = "districts"

[layers.districts]
path = "districts.gpkg"
kind = "vector"
fields = { code = "XZQDM", name = "XZQMC" }
date = "2024-06-30"
source = "made by hand"
"""


def box(left: float, bottom: float, right: float, top: float) -> shapely.Polygon:
    """Rectangle in metres from the city's lower left corner."""
    return shapely.box(X + left, Y + bottom, X + right, Y + top)


def districts() -> gpd.GeoDataFrame:
    """Two districts of 1 km² each, side by side."""
    names = {"XZQDM": ["01", "02"], "XZQMC": ["东区", "西区"]}
    return gpd.GeoDataFrame(names, geometry=[box(1000, 0, 2000, 1000), box(0, 0, 1000, 1000)], crs=CRS)


def write_raster(path: Path, values: np.ndarray, *, left: float = X, cell: float = 100.0) -> None:
    """GeoTIFF with dims (band, y, x) or (y, x), upper left corner at (left, Y + 1000)."""
    cube = values if values.ndim == 3 else values[None]
    profile = {
        "driver": "GTiff", "count": len(cube), "height": cube.shape[1], "width": cube.shape[2],
        "dtype": str(cube.dtype), "crs": CRS, "transform": Affine(cell, 0, left, 0, -cell, Y + 1000),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as sink:
        sink.write(cube)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Folder of source files with the districts in it."""
    folder = tmp_path / "source"
    folder.mkdir()
    districts().to_file(folder / "districts.gpkg")
    return folder


@pytest.fixture
def city(tmp_path: Path, source: Path, home: Path) -> Callable[[str], City]:
    """Make the city with further sections in its profile."""

    def make(more: str = "", header: str = HEADER) -> City:
        path = tmp_path / "toy.toml"
        path.write_text(header + more, encoding="utf-8")
        return load_city(path, data_root=tmp_path)

    return make


@pytest.fixture
def rich(city: Callable[[str], City], source: Path) -> City:
    """The city with dated land use in two editions, a class raster, imagery with a cloud mask, and a table."""
    for year in (2023, 2024):
        write_raster(source / f"classes_{year}.tif", np.full((10, 20), 1 + year % 2, dtype="uint8"))
        image = np.arange(4 * 200, dtype="uint16").reshape(4, 10, 20) + year
        write_raster(source / f"image_{year}.tif", image)
        write_raster(source / f"cloud_{year}.tif", np.zeros((10, 20), dtype="uint8"))
        parcels = gpd.GeoDataFrame(
            {"TBBH": ["a", "b"], "DLBM": ["0101", "0601"], "TBMJ": [1e6, 1e6]},
            geometry=[box(0, 0, 1000, 1000), box(1000, 0, 2000, 1000)],
            crs=CRS,
        )
        parcels.to_parquet(source / f"land_{year}.parquet")
        parcels.assign(DLBM=["0102", "0601"]).to_parquet(source / f"land_{year}_revised.parquet")
    pd.DataFrame(
        {
            "item": ["gdp_1e8_cny"] * 3,
            "year": [2023, 2024, 2024],
            "zone": ["city"] * 3,
            "value": [10.0, 11.0, 12.5],
            "unit": ["1e8 CNY"] * 3,
            "edition": ["original", "original", "revised"],
        }
    ).to_csv(source / "statistics.csv", index=False)
    return city("""
[layers.land_use]
path = "land_{year}.parquet"
kind = "vector"
years = [2023, 2024]
fields = { parcel_id = "TBBH", dlbm = "DLBM", area_m2 = "TBMJ" }
date = "{year}-12-31"
[layers.land_use.editions.revised]
path = "land_{year}_revised.parquet"
years = [2024]
date = "2025-06-30"
[layers.land_use_raster]
path = "classes_{year}.tif"
kind = "raster"
years = [2023, 2024]
[layers.imagery]
path = "image_{year}.tif"
kind = "raster"
years = [2023, 2024]
assets = { cloud = "cloud_{year}.tif" }
[layers.statistics]
path = "statistics.csv"
kind = "table"
[scopes]
"市域" = "city"
"东区" = "districts"
""")
