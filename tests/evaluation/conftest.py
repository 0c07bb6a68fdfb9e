"""A city of two fields, drawn by hand, with a house built on farmland between two surveys."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd
import pytest
from shapely.affinity import translate
from shapely.geometry import box

from workbench.core.city import load_city
from workbench.evaluation.checkup import checkup

X, Y = 500_000.0, 2_500_000.0
PROFILE = """
[city]
name = "fields"
name_zh = "两田市"
name_en = "Two Fields"
crs = "EPSG:4547"
base_year = 2024
years = [2024, 2025]
rule_packs = ["control_lines", "targets"]
data = "source"
[scopes]
"市域" = "city"
[levels.district]
role = "districts"
[layers.districts]
path = "districts.parquet"
kind = "vector"
date = "2024-12-31"
update_cycle = "yearly"
[layers.land_use]
path = "land_use_{year}.parquet"
kind = "vector"
years = [2024, 2025]
date = "{year}-12-31"
tier = "statutory"
[layers.land_use.editions.revised]
path = "land_use_{year}_revised.parquet"
years = [2024]
[layers.permanent_farmland]
path = "permanent_farmland.parquet"
kind = "vector"
date = "2020-06-30"
update_cycle = "on change"
sensitivity = "内部"
[layers.permits]
path = "permits.parquet"
kind = "vector"
[[targets]]
indicator = "TJ-A11"
year = 2035
value = 0.0225
op = ">="
unit = "1e4 mu"
[[targets]]
indicator = "TJ-A10"
year = 2035
value = 0.00601
op = ">="
unit = "1e4 mu"
"""


def at(*bounds: float):
    """Rectangle in metres from the lower left corner of the city."""
    return translate(box(*bounds), X, Y)


HOUSE = at(100, 100, 150, 140)  # 2,000 m²
"""Built in 2025 on permanent farmland of the western district."""


def layer(shapes, **columns) -> gpd.GeoDataFrame:
    """A layer with columns, in the city's CRS."""
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs="EPSG:4547")


def parcels(shapes, codes, net) -> gpd.GeoDataFrame:
    """Land-use parcels with their stated areas."""
    n = len(codes)
    return layer(
        shapes, parcel_id=[f"p{k}" for k in range(n)], dlbm=codes, czcsxm=[""] * n,
        area_m2=[shape.area for shape in shapes], net_area_m2=net, district=[""] * n, unit=[""] * n,
    )  # fmt: skip


def write_source(folder) -> None:
    """Two districts of 400 m by 200 m each; 160,000 m² of dry land before, 158,000 m² after."""
    folder.mkdir(parents=True)
    west, east = at(0, 0, 200, 400), at(200, 0, 400, 400)
    files = {
        "districts": layer([west, east], code=["01", "02"], name=["西区", "东区"], name_en=["West", "East"]),
        "land_use_2024": parcels([west, east], ["0103", "0103"], [75_000.0, 80_000.0]),
        "land_use_2024_revised": parcels([west, east], ["0103", "0103"], [80_000.0, 80_000.0]),
        "land_use_2025": parcels([west - HOUSE, HOUSE, east], ["0103", "0702", "0103"], [78_000.0, 2_000.0, 80_000.0]),
        "permanent_farmland": layer(
            [at(50, 50, 250, 250)], line_id=["1"], name=["田"], kind=["永久基本农田"],
            approved=pd.to_datetime(["2020-06-30"]), ended=pd.to_datetime([None]),
        ),
        "permits": layer(
            [at(300, 300, 310, 310)], permit_id=["P1"], project_code=["X"], kind=["农转用"],
            approved=pd.to_datetime(["2020-01-01"]), ended=pd.to_datetime([None]),
        ),
    }  # fmt: skip
    for name, frame in files.items():
        frame.to_parquet(folder / f"{name}.parquet")


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """Folder with the city's source, its profile and a home."""
    folder = tmp_path_factory.mktemp("two-fields")
    write_source(folder / "source")
    (folder / "fields.toml").write_text(PROFILE, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def result(root):
    """The checkup of 2025."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(root / "home"))
        yield checkup(load_city(root / "fields.toml", data_root=root), 2025)


@pytest.fixture
def home_of_result(root, monkeypatch):
    """The home the result was made in."""
    monkeypatch.setenv("WORKBENCH_HOME", str(root / "home"))
    return root / "home"
