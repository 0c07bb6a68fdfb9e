"""Other forms in which bureaus hand files over: zipped Shapefiles, file geodatabases, files with several layers."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pytest

from workbench.catalog.build import build
from workbench.catalog.data import CityData
from workbench.core.city import City
from workbench.core.errors import ProfileError

from .conftest import CRS, box

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
