"""The map to click on: districts with value and colour, no layer that would ask the web for anything."""

import importlib.util
import sys
from pathlib import Path

import pytest

from workbench.dashboard.explore import explore_map, indicator_layer


@pytest.fixture
def checkup():
    name = "views_small_explore"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "views" / "small.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.SmallCheckup()


def test_districts_carry_name_value_and_colour(checkup):
    shapes, words = indicator_layer(checkup, "S-1", "zh")
    found = {one["properties"]["name"]: one["properties"] for one in shapes["features"]}
    assert found["云山区"]["value"] == "50.02 %"  # 71.456 x 0.7
    assert found["东港区"]["value"] == "无数据" and found["东港区"]["colour"] == "#e5e7eb"
    assert len({one["colour"] for one in found.values()}) == 4
    assert len(words) == 3
    west, south = shapes["features"][0]["geometry"]["coordinates"][0][0]
    assert 110 < west < 117 and 20 < south < 25


def test_the_map_asks_nobody_for_tiles(checkup):
    view = explore_map(checkup, "G-1", "en")
    kinds = {type(layer).__name__ for layer in view.layers}
    assert kinds == {"GeoJSON"} and len(view.layers) == 4
    assert not any(hasattr(layer, "url") for layer in view.layers)
    words = [control.widget.value for control in view.controls if hasattr(control, "widget")]
    assert any("Forest cover" in one for one in words)
