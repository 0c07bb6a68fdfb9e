"""Each kind of bad file gives a clear error or a finding, never a wrong number."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from workbench.catalog.build import build
from workbench.catalog.data import CityData
from workbench.core import gcj02
from workbench.core.city import City, load_city
from workbench.core.errors import CRSError, LayerMissing, ProfileError

from .conftest import CRS, HEADER, X, Y, box, districts, write_raster

Make = Callable[..., City]
PARKS = '[layers.parks]\npath = "parks.{end}"\nkind = "vector"\n'


def parks(geometry: list[shapely.Geometry], crs: str | None = CRS) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"park_id": [str(i) for i in range(len(geometry))]}, geometry=geometry, crs=crs)


def finding(data: CityData, role: str, check: str) -> dict[str, object]:
    rows = data.quality.query("role == @role and check == @check")
    assert len(rows) == 1, data.quality
    return dict(rows.iloc[0])


def test_a_folder_without_any_of_the_files_is_the_wrong_folder(city: Make, source: Path) -> None:
    given = city(PARKS.format(end="gpkg"))
    for path in source.iterdir():
        path.unlink()
    with pytest.raises(ProfileError, match=r"none of the files exists.*expected files below"):
        build(given)


def test_missing_layer_in_a_geopackage(city: Make) -> None:
    more = '[layers.parks]\npath = "districts.gpkg"\nlayer = "parks"\nkind = "vector"\n'
    with pytest.raises(ProfileError, match=r"found 'parks'; expected districts"):
        build(city(more))


def test_wrong_field(city: Make) -> None:
    with pytest.raises(ProfileError, match=r"layers\.districts\.fields.*found 'XZQMD'.*XZQDM, XZQMC"):
        build(city("", HEADER.replace("XZQDM", "XZQMD")))


def test_required_field_not_given(city: Make) -> None:
    with pytest.raises(ProfileError, match="expected code, name"):
        build(city("", HEADER.replace('fields = { code = "XZQDM", name = "XZQMC" }', "")))


def test_query_that_cannot_be_used(city: Make, source: Path) -> None:
    parks([box(0, 0, 10, 10)]).to_parquet(source / "parks.parquet")
    with pytest.raises(ProfileError, match=r"layers\.parks\.where.*size > 3"):
        build(city(PARKS.format(end="parquet") + 'where = "size > 3"\n'))


def test_crs_missing_without_authority_and_unsafe(city: Make, source: Path) -> None:
    make = city(PARKS.format(end="parquet"))
    shapes = [box(0, 0, 10, 10)]
    parks(shapes, None).to_parquet(source / "parks.parquet")
    with pytest.raises(CRSError, match=r"layers\.parks.*authority.*state it in the profile"):
        build(make)
    parks(shapes, "+proj=tmerc +lon_0=114.03 +k=1 +x_0=500000 +ellps=GRS80 +units=m").to_parquet(
        source / "parks.parquet"
    )
    with pytest.raises(CRSError, match="authority"):
        build(make)
    for unsafe in ("EPSG:2382", "EPSG:2435"):  # Xian 1980 and Beijing 1954, central meridian 114 E
        parks(shapes, unsafe).to_parquet(source / "parks.parquet")
        with pytest.raises(CRSError, match="no public transformation to CGCS2000"):
            build(make)
    parks(shapes, "EPSG:4326").to_parquet(source / "parks.parquet")
    with pytest.raises(CRSError, match="not degrees"):
        build(make)


def test_crs_stated_in_the_profile_fills_a_silent_file_only(city: Make, source: Path) -> None:
    parks([box(0, 0, 10, 10)], None).to_parquet(source / "parks.parquet")
    data = CityData(city(PARKS.format(end="parquet") + 'crs = "EPSG:4547"\n'))
    assert data.vector("parks").area.sum() == pytest.approx(100.0)
    assert finding(data, "parks", "crs_from_profile")["severity"] == "info"
    parks([box(0, 0, 10, 10)], "EPSG:4546").to_parquet(source / "parks.parquet")
    with pytest.raises(CRSError, match="different coordinate reference systems"):
        build(data.city)


def shapefile(source: Path, encoding: str) -> None:
    frame = parks([box(0, 0, 10, 10)]).assign(name="人民公园")
    frame.to_file(source / "parks.shp", encoding=encoding)


def test_gbk_shapefile_without_cpg_is_read_right(city: Make, source: Path) -> None:
    shapefile(source, "GBK")
    (source / "parks.cpg").unlink()
    data = CityData(city(PARKS.format(end="shp")))
    assert data.vector("parks")["name"].tolist() == ["人民公园"]
    assert "gb18030" in str(finding(data, "parks", "encoding_detected")["message_en"])


def test_gbk_shapefile_whose_cpg_says_utf8_is_refused(city: Make, source: Path) -> None:
    shapefile(source, "GBK")
    (source / "parks.cpg").write_text("UTF-8")
    with pytest.raises(ProfileError, match=r'not in the encoding.*encoding = "gb18030"'):
        build(city(PARKS.format(end="shp")))
    fixed = CityData(city(PARKS.format(end="shp") + 'encoding = "gb18030"\n'))
    assert fixed.vector("parks")["name"].tolist() == ["人民公园"]


def test_empty_layer(city: Make, source: Path) -> None:
    parks([]).to_parquet(source / "parks.parquet")
    data = CityData(city(PARKS.format(end="parquet")))
    assert finding(data, "parks", "empty_layer")["severity"] == "error"
    assert data.why_missing("parks") == "empty_layer" and not data.has("parks")
    with pytest.raises(LayerMissing, match="empty_layer"):
        data.vector("parks")


def test_self_intersections_are_repaired_and_said(city: Make, source: Path) -> None:
    bow = shapely.Polygon([(X, Y), (X + 100, Y + 100), (X + 100, Y), (X, Y + 100)])
    parks([bow, box(200, 0, 300, 100), shapely.Point(X, Y)]).to_parquet(source / "parks.parquet")
    data = CityData(city(PARKS.format(end="parquet")))
    fixed = data.vector("parks")
    assert fixed.is_valid.all() and fixed.area.tolist() == pytest.approx([5000.0, 10_000.0])
    assert finding(data, "parks", "geometry_repaired")["count"] == 1
    assert finding(data, "parks", "geometry_type")["count"] == 1


def test_duplicate_zone_codes_are_an_error_finding(city: Make, source: Path) -> None:
    districts().assign(XZQDM="01").to_file(source / "districts.gpkg")
    found = finding(CityData(city()), "districts", "duplicate_code")
    assert found["severity"] == "error" and found["count"] == 2


def test_unknown_land_class_and_stated_area(city: Make, source: Path) -> None:
    frame = gpd.GeoDataFrame(
        {"parcel_id": ["a", "b"], "dlbm": ["0101", "9901"], "area_m2": [90.0, 100.0]},
        geometry=[box(0, 0, 10, 10), box(10, 0, 20, 10)],
        crs=CRS,
    )
    frame.to_parquet(source / "land.parquet")
    data = CityData(city('[layers.land_use]\npath = "land.parquet"\nkind = "vector"\n'))
    assert finding(data, "land_use", "unknown_code")["measured"] == pytest.approx(100.0)
    assert finding(data, "land_use", "stated_area")["measured"] == pytest.approx(10.0)


def offset_layer(source: Path, shift_m: float | None) -> None:
    """Districts as GeoJSON in degrees: moved by GCJ-02, or eastward by some metres."""
    frame = districts()
    if shift_m is not None:
        frame.geometry = frame.translate(shift_m, 0)
    frame = frame.to_crs("EPSG:4326")
    if shift_m is None:
        frame.geometry = shapely.transform(
            frame.geometry.to_numpy(), lambda xy: np.column_stack(gcj02.from_wgs84(xy[:, 0], xy[:, 1]))
        )
    frame.to_parquet(source / "other.parquet")


OTHER = """
[layers.other]
path = "other.parquet"
kind = "vector"
fields = { code = "XZQDM" }
check_against = "districts"
"""


def test_gcj02_is_told_with_the_measured_offset(city: Make, source: Path) -> None:
    offset_layer(source, None)
    data = CityData(city(OTHER))
    found = finding(data, "other", "gcj02")
    centre = districts().to_crs("EPSG:4326").geometry.iloc[0].centroid
    expected = float(gcj02.offset_m(*gcj02.from_wgs84(centre.x, centre.y))[0])
    assert found["severity"] == "warning" and found["unit"] == "m"
    assert found["measured"] == pytest.approx(expected, rel=0.02) and expected > 300
    assert f"{found['measured']:.0f} 米" in str(found["message_zh"])
    moved = data.vector("other").geometry.iloc[0].centroid.distance(districts().geometry.iloc[0].centroid)
    assert moved == pytest.approx(expected, rel=0.02)  # not converted unless the profile says so


def test_gcj02_is_converted_when_the_profile_says_so(city: Make, source: Path) -> None:
    offset_layer(source, None)
    data = CityData(city(OTHER + 'datum = "gcj02"\n'))
    apart = shapely.hausdorff_distance(
        data.vector("other").geometry.to_numpy(), districts().geometry.to_numpy()
    )
    assert apart.max() < 0.01
    assert "converted from GCJ-02" in str(finding(data, "other", "gcj02")["message_en"])


def test_another_offset_is_not_called_gcj02(city: Make, source: Path) -> None:
    offset_layer(source, 80.0)
    found = finding(CityData(city(OTHER)), "other", "offset")
    assert found["severity"] == "warning" and found["measured"] == pytest.approx(80.0, rel=0.01)
    offset_layer(source, 0.0)
    assert finding(CityData(city(OTHER)), "other", "offset")["severity"] == "info"


def test_a_file_that_does_not_exist_costs_its_layer_alone(city: Make, source: Path) -> None:
    write_raster(source / "a.tif", np.ones((10, 20), dtype="uint8"))
    more = '[layers.land_use_raster]\npath = "a.tif"\nkind = "raster"\n[layers.dem]\npath = "b.tif"\nkind = "raster"\n'
    data = CityData(city(more))
    assert data.has("land_use_raster") and data.why_missing("dem") == "no_file"
    assert "b.tif" in str(finding(data, "dem", "no_file")["message_zh"])
    with pytest.raises(LayerMissing, match="does not exist"):
        data.raster("dem")
    write_raster(source / "b.tif", np.ones((10, 20), dtype="float32"))
    assert CityData(city(more)).has("dem")
    (source / "b.tif").unlink()  # of a delivery that was there before, nothing old stays in use
    assert CityData(city(more)).why_missing("dem") == "no_file"


@pytest.mark.parametrize(("left", "cell", "shape"), [(X + 50, 100.0, (10, 20)), (X, 50.0, (20, 40))])
def test_raster_on_another_grid_is_not_used(
    city: Make, source: Path, left: float, cell: float, shape: tuple[int, int]
) -> None:
    write_raster(source / "a.tif", np.ones((10, 20), dtype="uint8"))
    write_raster(source / "b.tif", np.ones(shape, dtype="float32"), left=left, cell=cell)
    more = '[layers.land_use_raster]\npath = "a.tif"\nkind = "raster"\n[layers.dem]\npath = "b.tif"\nkind = "raster"\n'
    data = CityData(city(more))
    assert data.why_missing("dem") == "grid_mismatch" and data.has("land_use_raster")
    assert "10 x 20 cells of 100 x 100 m" in str(finding(data, "dem", "grid_mismatch")["message_en"])
    with pytest.raises(LayerMissing, match="grid_mismatch"):
        data.raster("dem")
    own = CityData(city(more + 'grid = "own"\n'))
    assert own.raster("dem").shape == shape


def test_demo_source_is_asked_for_by_name(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "toy.toml"
    path.write_text(HEADER.replace('data = "source"', 'data = "demo"'), encoding="utf-8")
    assert load_city(path).root == home / "data" / "demo-source"


def test_real_offset_of_guangzhou_is_measured(real_data: Path, home: Path) -> None:
    data = CityData(load_city("guangzhou", data_root=real_data))
    found = finding(data, "districts_as_published", "gcj02")
    assert 500 < float(str(found["measured"])) < 700 and found["count"] == 11
    colleges = finding(data, "facilities", "gcj02")
    assert "86 of 100" in str(colleges["message_en"]) and "89 after" in str(colleges["message_en"])
    gdp = data.table("statistics").query("item == 'gdp_1e8_cny'")
    assert sorted(gdp["year"]) == list(range(2001, 2018))
    assert json.loads(gdp[gdp["year"] == 2001][["value"]].to_json())["value"].popitem()[1] == 2685.76


def test_real_las_palmas(real_data: Path, home: Path) -> None:
    data = CityData(load_city("las_palmas", data_root=real_data))
    assert data.zones("city").area.iloc[0] / 1e6 == pytest.approx(103.2, abs=0.1)
    roads = data.vector("roads", 2023)
    assert set(roads["road_class"]) >= {"motorway", "residential", "footway", "steps"}
    assert not roads.loc[roads["road_class"] == "motorway", "walkable"].any()
    assert data.vector("bus_stops")["headway_min"].median() > 0
    assert data.why_missing("population") == "no_layer" and data.holder("population")
