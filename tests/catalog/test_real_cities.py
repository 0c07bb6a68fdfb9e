"""Singapore and Shenzhen from their files: zones merged, figures of their own year, offsets measured."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from workbench.catalog.data import CityData
from workbench.core.city import load_city
from workbench.core.errors import LayerMissing
from workbench.indicators.compute import compute


def test_planning_areas_are_merged_from_subzones(real_data: Path, home: Path) -> None:
    data = CityData(load_city("singapore", data_root=real_data))
    path = real_data / "city" / "singapore" / "singapore.gpkg"
    raw = gpd.read_file(path, layer="subzones_population_2018_2020").to_crs("EPSG:3414")
    areas = data.vector("districts").set_index("code")
    assert len(areas) == 55 and areas["name_en"].nunique() == 55 and areas["name"].nunique() == 55
    assert not any(name.isascii() for name in areas["name"])
    expected = raw.area.groupby(raw["pln_area_c"]).sum()
    assert areas.area.sort_index().to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-6)
    units = data.zones("unit")
    assert len(units) == 332 and set(units["parent"]) == set(areas.index)
    for year, total in ((2018, 3_999_470), (2020, 4_051_500)):
        assert data.vector("population", year)["population"].sum() == total
    with pytest.raises(LayerMissing):
        data.vector("population", 2019)


def test_singapore_values_against_plain_geopandas(real_data: Path, home: Path) -> None:
    city = load_city("singapore", data_root=real_data)
    ids = ["TJ-C01", "TJ-C02", "TJ-F25", "TJ-B10", "TJ-A10"]
    values = compute(city, 2020, ids, store=CityData(city)).set_index(["indicator", "zone"])
    path = real_data / "city" / "singapore" / "singapore.gpkg"
    zones = gpd.read_file(path, layer="subzones_population_2018_2020").to_crs("EPSG:3414")
    parks = gpd.read_file(path, layer="parks_osm").query("leisure == 'park'").to_crs("EPSG:3414")
    people = zones.groupby("pln_area_c")["pop_2020"].sum()
    bedok = zones[zones["pln_area_c"] == "BD"]
    park_m2 = gpd.overlay(parks[["geometry"]], bedok[["geometry"]]).area.sum()
    assert values.loc[("TJ-C01", "singapore"), "value"] == pytest.approx(405.15)
    assert values.loc[("TJ-C01", "BD"), "value"] == pytest.approx(people["BD"] / 1e4)
    density = people["BD"] / 1e4 / (bedok.area.sum() / 1e6)
    assert values.loc[("TJ-C02", "BD"), "value"] == pytest.approx(density, rel=1e-3)
    assert values.loc[("TJ-F25", "BD"), "value"] == pytest.approx(park_m2 / people["BD"], rel=1e-3)
    assert (values.loc[["TJ-C01", "TJ-C02", "TJ-F25"], "tier"].replace("", "proxy") == "proxy").all()
    assert values.loc[("TJ-F25", "TS"), "reason"] == "zero_denominator"  # Tuas has no resident
    assert (
        values.loc[("TJ-B10", "singapore"), "reason"] == "no_layer:roads"
    )  # Punggol's roads stand for no city
    why = values.loc[("TJ-A10", "singapore")]
    assert "新加坡没有永久基本农田制度" in why["reason_zh"] and "掌握" not in why["reason_zh"]


def test_shenzhen_keeps_each_year_to_itself(real_data: Path, home: Path) -> None:
    city = load_city("shenzhen", data_root=real_data)
    data = CityData(city)
    ids = ["TJ-C01", "TJ-F05", "TJ-B04"]
    old = compute(city, 2016, ids, store=data).set_index(["indicator", "zone"])
    new = compute(city, 2023, ids, store=data).set_index(["indicator", "zone"])
    assert old.loc[("TJ-C01", "shenzhen"), "value"] == 1190.84
    assert old.loc[("TJ-C01", "440307"), "value"] == pytest.approx(214.38 + 14.09)  # Longgang with Dapeng
    assert old.loc["TJ-C01"].drop("shenzhen")["value"].sum() == pytest.approx(1190.84)
    assert old.loc[("TJ-F05", "shenzhen"), "value"] != old.loc[("TJ-F05", "shenzhen"), "value"]
    assert new.loc[("TJ-C01", "shenzhen"), "reason"] == "stale:population_1e4:2016"
    assert new.loc[("TJ-F05", "shenzhen"), "tier"] == "proxy"
    folder = real_data / "city" / "shenzhen"
    districts = gpd.read_file(folder / "districts.gpkg").to_crs("EPSG:32649")
    stations = gpd.read_file(folder / "metro.gpkg", layer="stations").to_crs("EPSG:32649")
    near = stations.buffer(800, quad_segs=64).union_all()
    share = 100 * districts.intersection(near).area.sum() / districts.area.sum()
    assert new.loc[("TJ-F05", "shenzhen"), "value"] == pytest.approx(share, rel=2e-3)
    assert (
        new.loc[("TJ-B04", "shenzhen"), "reason"] == "no_layer:facilities"
    )  # repeated rows are no list of colleges


def test_shenzhen_subtotals_are_left_out_and_offsets_measured(real_data: Path, home: Path) -> None:
    data = CityData(load_city("shenzhen", data_root=real_data))
    gdp = data.table("gdp_by_district").set_index("zone")["value"]
    series = data.table("gdp_series")
    national = series[(series["indicator"] == "国内生产总值(亿元)") & (series["year"] == 2016)][
        "value_1e8_cny"
    ]
    assert gdp.drop("Total").sum() == pytest.approx(gdp["Total"]) == pytest.approx(national.iloc[0], abs=0.05)
    quality: pd.DataFrame = data.quality
    found = quality[(quality["role"] == "college_points") & (quality["check"] == "gcj02")].iloc[0]
    assert "39 of 45" in found["message_en"] and "43 after" in found["message_en"]
    assert 590 < found["measured"] < 620


def test_las_palmas_roads_count_by_route_and_nothing_is_asked_that_cannot_be(
    real_data: Path, home: Path
) -> None:
    city = load_city("las_palmas", data_root=real_data)
    ids = ["TJ-E04", "TJ-B04", "TJ-E05", "TJ-E07", "TJ-A10", "TJ-A22"]
    values = compute(city, 2023, ids, levels=["city"], store=CityData(city)).set_index("indicator")
    path = real_data / "city" / "las_palmas" / "las_palmas.gpkg"
    town = gpd.read_file(path, layer="boundary_municipality").to_crs("EPSG:32628")
    roads = gpd.read_file(path, layer="roads_paths").to_crs("EPSG:32628").query("highway == 'motorway'")
    both_ways = gpd.clip(roads, town).length.sum() / 1e3
    assert values.loc["TJ-E04", "value"] == pytest.approx(both_ways / 2 / (town.area.sum() / 1e6), rel=2e-3)
    assert (
        values.loc["TJ-B04", "reason"] == "no_kind:university"
    )  # campuses and firms are no list of colleges
    assert values.loc["TJ-E05", "reason_zh"] == "不适用：大加那利岛没有铁路"
    assert values.loc["TJ-E07", "reason"] == "not_applicable:rail_passengers_1e4"
    assert values.loc["TJ-A10", "reason"].startswith("not_applicable:")
    assert values.loc["TJ-A22", "reason"] == "no_heights"
