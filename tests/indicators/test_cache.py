"""The step cache: keys follow everything that decides a result; entries are whole or absent."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from workbench.core.cache import StepCache, step_key
from workbench.core.errors import ParameterError


def test_keys_follow_inputs_parameters_definition_and_code():
    base = {"inputs": {"a": "1"}, "parameters": {"p": 1}, "definition": "d", "code": "c"}
    keys = {step_key("s", **{**base, **change}) for change in (
        {}, {"inputs": {"a": "2"}}, {"parameters": {"p": 2}}, {"definition": "e"}, {"code": "x"})}  # fmt: skip
    keys.add(step_key("other", **base))
    assert len(keys) == 6
    assert step_key("s", **base) == step_key("s", **base)


def test_tables_shapes_and_plain_values_come_back_equal(tmp_path):
    cache = StepCache(tmp_path)
    plain = pd.DataFrame({"zh": ["甲"], "value": [1.5]})
    shapes = gpd.GeoDataFrame({"id": [1]}, geometry=[shapely.Point(1, 2)], crs="EPSG:4547")
    cache.put("t", "aa", plain)
    cache.put("t", "bb", shapes)
    cache.put("t", "cc", {"n": 3, "名": ["甲"]})
    pd.testing.assert_frame_equal(cache.get("t", "aa"), plain)
    back = cache.get("t", "bb")
    assert back.crs == shapes.crs and back.geometry.equals(shapes.geometry)
    assert cache.get("t", "cc") == {"n": 3, "名": ["甲"]}
    assert cache.get("t", "dd") is None


def test_a_step_is_made_once_unless_asked_again(tmp_path):
    cache, made = StepCache(tmp_path), []

    def make():
        made.append(1)
        return {"n": len(made)}

    assert cache.step("s", "aa", make) == cache.step("s", "aa", make) == {"n": 1}
    assert cache.step("s", "aa", make, use_cache=False) == {"n": 2}
    assert cache.get("s", "aa") == {"n": 2}
    cache.clear("s")
    assert cache.get("s", "aa") is None


def test_a_damaged_entry_is_made_again_and_a_failure_leaves_none(tmp_path):
    cache = StepCache(tmp_path)
    cache.put("s", "aa", {"n": 1})
    (cache.folder("s", "aa") / "payload.json").write_text("{", "utf-8")
    assert cache.get("s", "aa") is None
    assert cache.step("s", "aa", lambda: {"n": 2}) == {"n": 2}

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.step("s", "bb", fail)
    assert cache.get("s", "bb") is None
    assert not [p for p in tmp_path.rglob(".*")]


@pytest.mark.parametrize(("step", "key"), [("../s", "aa"), ("s", "../aa"), ("", "aa"), (".s", "aa")])
def test_keys_stay_inside_the_cache(tmp_path, step, key):
    with pytest.raises(ParameterError):
        StepCache(tmp_path).folder(step, key)
