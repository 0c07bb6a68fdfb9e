"""Other forms in which bureaus hand files over: zipped Shapefiles, file geodatabases, files with several layers."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from workbench.catalog.build import build
from workbench.catalog.data import CityData
from workbench.core.city import City
from workbench.core.errors import ProfileError

from .conftest import CRS, HEADER, box, districts

Make = Callable[..., City]
PARKS = '[layers.parks]\npath = "parks.{end}"\nkind = "vector"\n'


def parks(*names: str) -> gpd.GeoDataFrame:
    shapes = [box(20 * i, 0, 20 * i + 10, 10) for i in range(len(names))]
    return gpd.GeoDataFrame({"park_id": list("abc")[: len(names)], "name": names}, geometry=shapes, crs=CRS)


def pack(source: Path, *stems: str, without: tuple[str, ...] = (), folder: str = "") -> None:
    """Move Shapefiles into ``parks.zip``, some of their parts left out."""
    with zipfile.ZipFile(source / "parks.zip", "w") as archive:
        for file in sorted(f for stem in stems for f in source.glob(f"{stem}.[!z]*")):
            if file.name not in without:
                archive.write(file, folder + file.name)
            file.unlink()


@pytest.mark.parametrize("folder", ["", "移交成果/"])
def test_zipped_gbk_shapefile_without_cpg(city: Make, source: Path, folder: str) -> None:
    parks("人民公园", "东湖").to_file(source / "parks.shp", encoding="GBK")
    pack(source, "parks", without=("parks.cpg",), folder=folder)
    data = CityData(city(PARKS.format(end="zip")))
    assert data.vector("parks")["name"].tolist() == ["人民公园", "东湖"]
    assert data.vector("parks").area.tolist() == pytest.approx([100.0, 100.0])
    found = data.quality.query("role == 'parks' and check == 'encoding_detected'")
    assert "gb18030" in found["message_en"].iloc[0]


def test_zipped_shapefile_without_prj_is_refused_and_then_stated(city: Make, source: Path) -> None:
    parks("东湖").to_file(source / "parks.shp", encoding="UTF-8")
    pack(source, "parks", without=("parks.prj",))
    with pytest.raises(ValueError, match="state it in the profile"):
        build(city(PARKS.format(end="zip")))
    data = CityData(city(PARKS.format(end="zip") + 'crs = "EPSG:4547"\n'))
    assert data.vector("parks").crs == CRS


def test_zip_with_two_shapefiles_needs_the_layer_and_each_has_its_own_encoding(
    city: Make, source: Path
) -> None:
    parks("东湖").to_file(source / "parks_a.shp", encoding="UTF-8")
    parks("人民公园", "白云山").to_file(source / "parks_b.shp", encoding="GBK")
    pack(source, "parks_a", "parks_b", without=("parks_b.cpg",))
    with pytest.raises(ProfileError, match=r"layers\.parks\.layer.*several layers.*parks_a, parks_b"):
        build(city(PARKS.format(end="zip")))
    for layer, names in (("parks_a", ["东湖"]), ("parks_b", ["人民公园", "白云山"])):
        data = CityData(city(PARKS.format(end="zip") + f'layer = "{layer}"\n'))
        assert data.vector("parks")["name"].tolist() == names


def test_file_geodatabase(city: Make, source: Path) -> None:
    parks("人民公园", "东湖").to_file(source / "parks.gdb", layer="公园绿地", driver="OpenFileGDB")
    data = CityData(city(PARKS.format(end="gdb")))
    assert data.vector("parks")["name"].tolist() == ["人民公园", "东湖"]
    assert data.vector("parks").area.tolist() == pytest.approx([100.0, 100.0], rel=1e-6)
    before = data.source("parks").sha256
    parks("人民公园", "西湖").to_file(source / "parks.gdb", layer="公园绿地", driver="OpenFileGDB")
    again = CityData(data.city)
    assert again.source("parks").sha256 != before
    assert again.vector("parks")["name"].tolist() == ["人民公园", "西湖"]


@pytest.mark.parametrize(("end", "driver"), [("gdb", "OpenFileGDB"), ("gpkg", "GPKG")])
def test_several_layers_need_a_name(city: Make, source: Path, end: str, driver: str) -> None:
    path = source / f"parks.{end}"
    parks("东湖").to_file(path, layer="parks_2023", driver=driver)
    parks("人民公园", "白云山").to_file(path, layer="parks_2024", driver=driver, mode="a")
    with pytest.raises(ProfileError, match=r"several layers.*parks_2023, parks_2024"):
        build(city(PARKS.format(end=end)))
    with pytest.raises(ProfileError, match=r"found 'parks_2022'; expected parks_2023, parks_2024"):
        build(city(PARKS.format(end=end) + 'layer = "parks_2022"\n'))
    data = CityData(city(PARKS.format(end=end) + 'layer = "parks_2024"\n'))
    assert data.vector("parks")["name"].tolist() == ["人民公园", "白云山"]


def test_rows_are_merged_by_the_named_fields(city: Callable[[str], City], source: Path) -> None:
    districts().assign(region=["r", "r"]).to_file(source / "parts.gpkg")
    rows = {"zone": ["A", "B", "city"], "n": [1.5, 2.5, 4.0], "item": ["x"] * 3, "year": [2024] * 3}
    pd.DataFrame(rows).to_csv(source / "figures.csv", index=False)
    made = city("""
[layers.parts]
path = "parts.gpkg"
kind = "vector"
fields = { code = "region", part = "XZQDM" }
merge_by = ["code"]
[layers.statistics]
path = "figures.csv"
kind = "table"
fields = { value = "n" }
values = { zone = { "A" = "01", "B" = "01" } }
merge_by = ["zone"]
""")
    data = CityData(made)
    parts = data.vector("parts")
    assert len(parts) == 1 and parts.area.iloc[0] == pytest.approx(2e6) and "part" not in parts
    table = data.table("statistics", 2024).set_index("zone")["value"]
    assert table.to_dict() == {"01": 4.0, "city": 4.0}
    merged = data.quality[data.quality["check"] == "rows_merged"]
    assert dict(zip(merged["role"], merged["count"], strict=True)) == {"parts": 2, "statistics": 3}


def test_a_field_to_merge_by_must_exist(city: Callable[[str], City]) -> None:
    header = HEADER.replace("[layers.districts]", '[layers.districts]\nmerge_by = ["region"]')
    with pytest.raises(ProfileError, match=r"merge by.*region"):
        CityData(city("", header))


def test_figures_of_zones_stand_at_a_point_inside_and_the_field_names_the_year(
    city: Callable[[str], City], source: Path
) -> None:
    districts().assign(p2023=[10, 20], p2024=[11, 22]).to_file(source / "people.gpkg")
    data = CityData(
        city("""
[layers.population]
path = "people.gpkg"
kind = "vector"
years = [2023, 2024]
preset = "zone_points"
fields = { cell_id = "XZQDM", population = "p{year}" }
""")
    )
    assert data.vector("population", 2023)["population"].tolist() == [10.0, 20.0]
    people = data.vector("population", 2024)
    assert people["population"].tolist() == [11.0, 22.0] and set(people.geom_type) == {"Point"}
    assert people.within(data.vector("districts").geometry).all()
