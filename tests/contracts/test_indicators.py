"""One contract over the whole indicator library: every method of every definition gives its worked value."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from workbench.core.paths import PACKAGE
from workbench.indicators.examples import check_example, worked_example
from workbench.indicators.library import load_former, load_library, load_set, read_definitions

LIBRARY = load_library()
REFERENCE = Path(__file__).parent / "reference_indicators.csv"
"""Names, units, kinds, scopes and directions as found, each row with its source and how sure it is."""
EVERY = [*LIBRARY.values(), *load_former().values()]
with REFERENCE.open(encoding="utf-8") as _file:
    ROWS = {row["code"]: row for row in csv.DictReader(_file)}
METHODS = [(i, n) for i in EVERY for n in range(len(i.methods))]


@pytest.mark.parametrize(
    ("indicator", "method"), METHODS, ids=[f"{i.id}-v{i.version}-{n + 1}" for i, n in METHODS]
)
def test_worked_example(indicator, method):
    inputs, zones, expected = worked_example(indicator, method)
    frame = indicator.compute(inputs, zones, method=method)
    assert list(frame.index) == list(zones.index)
    assert frame["value"].dtype == "float64"
    tolerance = indicator.methods[method].example.get("tolerance", 2e-6)
    assert frame.loc["demo", "value"] == pytest.approx(expected, rel=tolerance)
    assert frame.loc["demo", "reason"] == ""


@pytest.mark.parametrize("indicator", LIBRARY.values(), ids=lambda i: i.id)
def test_tiers_are_in_order_of_preference(indicator):
    order = ["statutory", "substitute", "proxy"]
    tiers = [order.index(m.tier) for m in indicator.methods]
    assert tiers == sorted(tiers)
    for method in indicator.methods:
        if method.tier != "statutory":
            assert method.note_zh and method.note_en


@pytest.mark.parametrize("indicator", LIBRARY.values(), ids=lambda i: i.id)
def test_ratios_state_their_denominator_in_both_languages(indicator):
    assert bool(indicator.denominator_zh) == bool(indicator.denominator_en)
    if (
        indicator.unit in {"%", "m2/person", "km/km2", "1e4 person/km2", "m3/person"}
        and indicator.id != "TJ-E06"
    ):
        assert indicator.denominator_zh


@pytest.mark.parametrize("indicator", EVERY, ids=lambda i: f"{i.id}-v{i.version}")
def test_what_is_measured_stands_in_both_languages(indicator):
    assert re.search("[\u4e00-\u9fff]", indicator.definition_text("zh"))
    assert indicator.definition_text("en") == indicator.definition
    assert not re.search("[\u4e00-\u9fff]", indicator.definition)
    thresholds = re.findall(r"\b\d+", indicator.definition)
    assert set(thresholds) <= set(re.findall(r"\d+", indicator.definition_zh))


def test_every_row_of_the_reference_is_defined_and_says_who_holds_the_data():
    assert len(ROWS) == 137 and set(ROWS) <= set(LIBRARY)
    for one in LIBRARY.values():
        assert one.holder and one.holder_en and one.unlocks and one.unlocks_en and one.confidence


def test_what_no_layer_holds_is_reported_under_its_own_code():
    for one in LIBRARY.values():
        reported = [m for m in one.methods if m.basis == "reported"]
        assert len(reported) <= 1
        for method in reported:
            assert method.parameters == {"item": one.id, "unit": one.unit}
            assert (method.tier, method.inputs) == ("statutory", ("statistics",))
        assert reported or {m.basis for m in one.methods} & {"layers", "tables"}
    drawn = [one.id for one in LIBRARY.values() if "layers" in {m.basis for m in one.methods}]
    assert len(drawn) >= 70
    assert LIBRARY["TJ-C11"].methods[0].basis == "layers" and LIBRARY["TJ-F07"].methods[0].basis == "tables"
    assert LIBRARY["TJ-F03"].methods[0].basis == "tables"


def test_sets_hold_what_their_names_say():
    assert len(set(load_set("checkup122")) & set(ROWS)) == 122
    assert set(load_set("coastal")) - set(load_set("checkup122")) == {"TJ-X01", "TJ-X02"}
    assert len(load_set("sdg")) >= 9
    assert set(load_set("plan")) >= {"PL-01", "PL-02", "PL-03", "PL-04"}
    assert set(load_set("demo_city")) & set(ROWS) == set(ROWS) - {"TJ-X01", "TJ-X02"}
    assert set(load_set("basic33")) == {id_ for id_, row in ROWS.items() if row["kind"] == "basic"}


def test_farmland_is_never_read_from_imagery():
    for method in LIBRARY["TJ-A11"].methods:
        assert set(method.inputs) == {"land_use"}
        assert method.tier == "statutory"


def test_sets_name_library_entries_in_six_dimensions():
    first = [LIBRARY[i] for i in load_set("checkup_first")]
    assert len(first) >= 35
    assert {"安全", "创新", "协调", "绿色", "开放", "共享", "规划约束", "SDG"} == {i.dimension for i in first}
    basic = load_set("basic33")
    assert len(basic) == len(set(basic)) == 33
    assert {LIBRARY[i].kind for i in basic} == {"basic"}


def test_formula_modules_have_no_unused_formula():
    used = {m.formula for i in LIBRARY.values() for m in i.methods}
    import importlib

    for path in sorted((PACKAGE / "indicators" / "formulas").glob("*.py")):
        module = importlib.import_module(f"workbench.indicators.formulas.{path.stem}")
        for name, value in vars(module).items():
            if getattr(value, "__module__", "") == module.__name__ and hasattr(value, "__reads__"):
                assert f"{path.stem}.{name}" in used


def test_definitions_follow_the_reference_table():
    for id_, row in ROWS.items():
        indicator = LIBRARY[id_]
        assert (indicator.title_zh, indicator.title_en) == (row["name_zh"], row["name_en"])
        assert (indicator.unit, indicator.kind, indicator.scope) == (row["unit"], row["kind"], row["scope"])
        assert (indicator.source, indicator.confidence) == (row["source"], row["confidence"])
        assert indicator.direction == row["direction"]


def test_the_block_of_the_guide_loads_and_gives_its_worked_value(tmp_path):
    guide = (PACKAGE.parent / "docs" / "add_an_indicator.md").read_text("utf-8")
    block = guide.split("```toml\n")[1].split("```")[0]
    (tmp_path / "own.toml").write_text(block, "utf-8")
    (id_, indicator), *others = read_definitions(tmp_path).items()
    assert not others and id_ not in ROWS
    for number in range(len(indicator.methods)):
        found, expected, same = check_example(indicator, number)
        assert same, (found, expected)
