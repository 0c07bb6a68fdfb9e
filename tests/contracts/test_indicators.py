"""One contract over the whole indicator library: every method of every definition gives its worked value."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from workbench.core.paths import PACKAGE
from workbench.indicators.examples import worked_example
from workbench.indicators.library import load_former, load_library, load_set

LIBRARY = load_library()
EVERY = [*LIBRARY.values(), *load_former().values()]
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
    import os

    root = os.environ.get("WORKBENCH_DATA", "")
    table = Path(root).parent / "reference" / "indicators.csv" if root else None
    if table is None or not table.exists():
        pytest.skip("no reference table beside the data root")
    rows = {row["code"]: row for row in csv.DictReader(table.open(encoding="utf-8"))}
    for indicator in LIBRARY.values():
        row = rows[indicator.id]
        assert (indicator.title_zh, indicator.title_en) == (row["name_zh"], row["name_en"])
        assert (indicator.unit, indicator.kind, indicator.scope) == (row["unit"], row["kind"], row["scope"])
        assert (indicator.source, indicator.confidence) == (row["source"], row["confidence"])
        assert indicator.direction == row["direction"]
