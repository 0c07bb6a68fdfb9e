"""Minutes by road: roads at their own speeds, the quicker of two ways, and the walk at the end."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely

from workbench.indicators.examples import CELL_M, DrawnStore
from workbench.indicators.formulas.drive import area_within, minutes_to
from workbench.indicators.inputs import Inputs
from workbench.samples import town


def inputs(**drawn):
    roles = frozenset(drawn)
    return Inputs(DrawnStore(drawn), 2025, 2020, "latest", roles, None, 60.0, town.CRS, "demo")


def at(*places):
    return gpd.GeoSeries(
        [shapely.Point(town.LEFT + c * CELL_M, town.TOP - r * CELL_M) for c, r in places], crs=town.CRS
    )


def test_the_quicker_of_two_ways_is_taken_and_the_walk_added():
    straight = {"line": [[0, 0], [10, 0]], "drive_kmh": 12.0}  # 1 000 m at 200 m/min: 5 min
    round_about = {
        "line": [[0, 0], [0, 5], [10, 5], [10, 0]],
        "drive_kmh": 60.0,
    }  # 2 000 m at 1 000 m/min: 2 min
    data = inputs(roads=[straight, round_about])
    found = minutes_to(data, at((0, 0)), at((10, 0), (10, -1.2), (2, 0), (5, 5)))
    assert found == pytest.approx([2.0, 2.0 + 120 / 60, 1.0, 1.0])


def test_without_a_stated_speed_the_class_decides_and_footpaths_are_not_driven():
    data = inputs(
        roads=[
            {"line": [[0, 0], [10, 0]], "drive_kmh": float("nan"), "road_class": "primary"},
            {"line": [[10, 0], [20, 0]], "drive_kmh": 0.0, "road_class": "service"},
            {"line": [[20, 0], [30, 0]], "drive_kmh": 30.0, "road_class": "footway"},
        ]
    )
    found = minutes_to(data, at((0, 0)), at((10, 0), (20, 0), (30, 0)))
    assert found == pytest.approx(
        [1.0, 1.0 + 60 / 25, 1.0 + 60 / 25 + 1000 / 60]
    )  # on foot beyond the last road


def test_an_island_is_not_reached_and_a_source_on_the_same_piece_is_not_driven_round():
    data = inputs(
        roads=[{"line": [[0, 0], [10, 0]], "drive_kmh": 6.0}, {"line": [[0, 9], [10, 9]], "drive_kmh": 6.0}]
    )
    found = minutes_to(data, at((4, 0)), at((6, 0), (1, 0), (5, 9)))
    assert found[:2] == pytest.approx([2.0, 3.0]) and np.isinf(found[2])
    assert np.isinf(minutes_to(data, at((4, 0)).iloc[:0], at((6, 0)))).all()


def test_each_zone_has_its_share_of_the_area_reached_from_a_station_outside_it():
    station = [{"kind": "fire_station", "at": [0, 0.5]}]
    data = inputs(roads=[{"line": [[0, 0.5], [20, 0.5]], "drive_kmh": 12.0}], facilities=station)
    zones = town.zones({"W": (0, 0, 8, 1), "E": (8, 0, 20, 1), "N": (0, -40, 20, -39)}).set_index("code")
    frame = area_within(data, zones, kinds=("fire_station",), minutes=5)
    assert frame["value"].to_dict() == pytest.approx({"W": 100.0, "E": 100 * 2 / 12, "N": 0.0})
    assert frame.loc["E", "denominator"] == pytest.approx(12e4, rel=1e-6)
    without = area_within(data, zones, kinds=("police",), minutes=5)
    assert without["value"].isna().all() and set(without["reason"]) == {"no_kind:police"}
