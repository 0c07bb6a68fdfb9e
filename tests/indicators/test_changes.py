"""A city's own edition: what differs is merged, proved on its worked example, and told by every value."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from workbench.core.city import load_city
from workbench.core.errors import DefinitionError
from workbench.indicators import trace as tracing
from workbench.indicators.changes import city_indicators, city_library
from workbench.indicators.compute import Run, compute
from workbench.indicators.library import load_library, load_set

TEN_MINUTES = """
[TJ-F10]
title_zh = "社区卫生服务设施步行10分钟覆盖率"
[TJ-F10.methods.1.parameters]
minutes = 10
[TJ-F10.methods.1.example]
value = 60.0
"""
NEW = """
[LOCAL-1]
title_zh = "城镇住宅用地面积"
title_en = "Urban housing land"
dimension = "规划约束"
second_level = "本市"
unit = "ha"
decimals = 1
kind = "local"
scope = "市域"
direction = "neutral"
denominator_zh = ""
denominator_en = ""
holder = "自然资源局"
holder_en = "natural resources bureau"
unlocks = "可计算“城镇住宅用地面积”"
unlocks_en = "the indicator 'Urban housing land'"
definition = "Area of urban housing land"
definition_zh = "城镇住宅用地的面积"
calculation = "area(LU[0701])"
source = "own"
confidence = "own"
version = "1"
[[LOCAL-1.methods]]
tier = "statutory"
formula = "land.area"
inputs = ["land_use"]
parameters = { dlbm = ["0701"], unit = "ha" }
[LOCAL-1.methods.example]
value = 2.0
[LOCAL-1.methods.example.inputs]
land_use = ["0701/201 0701/201 0702/203"]
"""


@pytest.fixture
def edition(make_city, tmp_path):
    """A city whose profile names a file of changes with a given text."""

    def make(text):
        (tmp_path / "own.toml").write_text(text, "utf-8")
        city = make_city()
        city.path, city.indicator_set = tmp_path / "demo.toml", "plan"
        city.city = SimpleNamespace(indicator_changes="own.toml")
        return city

    return make


def test_what_differs_is_merged_and_the_rest_stays(edition):
    own, base = city_library(edition(TEN_MINUTES))["TJ-F10"], load_library()["TJ-F10"]
    assert own.title_zh.endswith("步行10分钟覆盖率") and own.title_en == base.title_en
    assert own.methods[0].parameters == {"kinds": ["community_health"], "minutes": 10}
    assert own.methods[1:] == base.methods[1:]
    assert own.version == "1~own" and own.definition_version != base.definition_version
    assert load_library()["TJ-F10"] is base


def test_the_changed_version_stands_in_every_value(edition, drawn):
    store = drawn()
    store.drawn = {**store.drawn, "facilities": [{"kind": "community_health", "at": [0, 2]}]}
    city, store = edition(TEN_MINUTES), drawn(store.drawn)
    now = compute(city, 2025, ["TJ-F10", "TJ-A11"], store=store).set_index("indicator")
    before = compute(city, 2025, ["TJ-F10"], store=store, library=load_library())
    assert set(now.loc["TJ-F10", "definition_version"]) == {city_library(city)["TJ-F10"].definition_version}
    assert set(before["definition_version"]) == {load_library()["TJ-F10"].definition_version}
    assert set(now.loc["TJ-A11", "definition_version"]) == {load_library()["TJ-A11"].definition_version}
    assert now.loc["TJ-F10", "inputs_hash"].iloc[0] != before["inputs_hash"].iloc[0]
    row = now.reset_index().iloc[0].to_dict()
    found = tracing.explain(row, Run(city, store, 2025))
    assert found.equal and "步行10分钟" in found.to_text() and "1~own" in found.to_text()


def test_a_whole_new_definition_joins_the_citys_set(edition, drawn):
    city = edition(NEW)
    assert city_indicators(city) == [*load_set("plan"), "LOCAL-1"]
    value = compute(city, 2025, ["LOCAL-1"], levels=["city"], store=drawn())
    assert value["value"].iloc[0] == pytest.approx(4.0, rel=1e-6)
    assert value["definition_version"].iloc[0].startswith("1+")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            TEN_MINUTES.replace("60.0", "75.0"),
            r"own\.toml \[TJ-F10\] method 1: .*worked example; found 60\.0",
        ),
        (TEN_MINUTES.replace("methods.1", "methods.9"), "no such method to change"),
        (TEN_MINUTES.replace("minutes =", "minuets ="), "unknown parameters"),
        ("[TJ-F10]\nunit = 'furlong'", "unknown unit"),
        ("[TJ-Z99]\nunit = 'ha'", "keys are missing"),
        ("[TJ-F10]\ndefinition = 'Within ten minutes'", "in one language only; found 'definition'"),
        (NEW.replace('definition_zh = "城镇住宅用地的面积"\n', ""), "keys are missing.*definition_zh"),
        ("TJ-F10 = 3", "must be a table"),
        ("[TJ-F10", "not valid TOML"),
        ("[TJ-F10]\nmethods = 3", "list or numbered tables"),
    ],
)
def test_a_change_that_contradicts_itself_is_refused(edition, text, says):
    with pytest.raises(DefinitionError, match=says):
        city_library(edition(text))


def test_the_profile_names_the_file_and_it_must_be_there(tmp_path):
    import tomllib

    from workbench.core.paths import PACKAGE

    text = (PACKAGE / "cities" / "demo.toml").read_text("utf-8")
    assert "indicator_changes" not in tomllib.loads(text)["city"]
    profile = tmp_path / "mine.toml"
    profile.write_text(text.replace("base_year", 'indicator_changes = "own.toml"\nbase_year', 1), "utf-8")
    city = load_city(profile)
    with pytest.raises(DefinitionError, match=r"mine\.toml: city\.indicator_changes: .*own\.toml"):
        city_library(city)
    (tmp_path / "own.toml").write_text(TEN_MINUTES, "utf-8")
    assert city_library(city)["TJ-F10"].version == "1~own"
    assert city_library(load_city("demo")) == load_library()
