"""What a city lacks in words: by holder, by item of a table, and what there is none of at all."""

from types import SimpleNamespace

import geopandas as gpd
import pytest
from shapely.geometry import LineString, Point, box

from workbench.catalog.presets import osm_facilities, osm_roads
from workbench.indicators import lacking
from workbench.indicators.formulas import built
from workbench.indicators.library import load_library
from workbench.indicators.reasons import Gap, gaps_reason

NONE_HERE = SimpleNamespace(holder="", note_zh="本岛没有铁路", note_en="no railway here")
BUREAU = SimpleNamespace(holder="INE", note_zh="", note_en="")


def city(**missing):
    return SimpleNamespace(missing=missing, say=lambda text, lang: {"INE": "国家统计局"}.get(text, text))


class Nothing:
    """A city's data without any layer."""

    def __init__(self, missing):
        self.missing = missing

    def years(self, role):
        return []

    def holder(self, role):
        return self.missing[role].holder if role in self.missing else None


def gap(profile, role, method=None):
    return lacking.role_gap(profile, Nothing(profile.missing), role, None, method)


def test_things_of_one_holder_are_named_together():
    text = gaps_reason([Gap("land_use"), Gap("development_boundary"), Gap("roads")], ("甲", "A"))[1]
    assert text.startswith("缺少国土变更调查地类图斑、城镇开发边界（通常由自然资源局掌握）；道路网（通常由")


def test_of_a_missing_table_the_items_are_named_with_the_citys_own_holder():
    method = load_library()["TJ-A01"].methods[0]
    profile = city(statistics=BUREAU)
    zh = gaps_reason([gap(profile, "statistics", method)], ("人均年用水量", ""))[1]
    assert "用水总量、常住人口（通常由国家统计局掌握）" in zh and "统计年鉴" not in zh
    assert gap(city(), "statistics", method).words()[2] == "水务局、统计局"


@pytest.mark.parametrize(("role", "method"), [("rail_lines", None), ("statistics", "TJ-E07")])
def test_what_the_city_has_none_of_is_not_applicable_and_unlocks_nothing(role, method):
    named = "rail_lines" if method is None else "rail_passengers_1e4"
    profile = city(**{named: NONE_HERE})
    if method is None:
        found = gap(profile, role)
    else:
        found = lacking.never_gap(profile, role, load_library()[method].methods[0])
    code, zh, en = gaps_reason([Gap("roads"), found], ("铁路网密度", "Railways"))
    assert (code, zh, en) == (
        f"not_applicable:{named}",
        "不适用：本岛没有铁路",
        "not applicable: no railway here",
    )


def test_a_motorway_drawn_once_a_direction_counts_once_and_slip_roads_not():
    ways = gpd.GeoDataFrame(
        {
            "id": [1, 2, 3, 4, 5],
            "highway": ["motorway", "motorway", "motorway_link", "trunk", "residential"],
            "oneway": ["yes", "yes", "yes", "no", "yes"],
        },
        geometry=[LineString([(0, y), (1000, y)]) for y in (10, 30, 50, 70, 90)],
        crs="EPSG:4547",
    )
    ways = ways.set_geometry(ways.translate(500_000, 2_500_000))
    roads = osm_roads(ways)
    assert roads["route_share"].tolist() == [0.5, 0.5, 0.0, 1.0, 1.0]
    data = SimpleNamespace(vector=lambda role: roads, year=2025, share=lambda key, make: make())
    zones = gpd.GeoDataFrame(
        {"name": ["A"]},
        index=["A"],
        geometry=[box(500_000, 2_500_000, 501_000, 2_501_000)],
        crs="EPSG:4547",
    )
    assert built._length_m(data, "roads", zones, ("motorway",))["A"] == pytest.approx(1000, rel=1e-3)
    every = ("motorway", "trunk", "residential")
    assert built._length_m(data, "roads", zones, every)["A"] == pytest.approx(3000, rel=1e-3)


def test_homes_for_the_elderly_by_name_and_no_university_from_web_points():
    rows = [
        ("university", "Facultad de Ciencias"),
        ("college", "Nuad Sen Massage School"),
        ("social_facility", "Residencia de Ancianos San Vicente"),
        ("social_facility", "Coworking"),
        ("nursing_home", ""),
    ]
    points = gpd.GeoDataFrame(
        {
            "id": range(5),
            "osm_type": "node",
            "amenity": [row[0] for row in rows],
            "name": [row[1] for row in rows],
        },
        geometry=[Point(k, 0) for k in range(5)],
        crs="EPSG:4326",
    )
    assert osm_facilities(points)[["name", "kind"]].to_numpy().tolist() == [
        ["Residencia de Ancianos San Vicente", "elderly_care"],
        ["", "elderly_care"],
    ]
