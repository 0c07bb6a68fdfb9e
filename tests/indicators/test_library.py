"""The loader refuses definitions that contradict themselves or the code, with file and id."""

from __future__ import annotations

import copy
import tomllib

import pytest

from workbench.core.errors import DefinitionError
from workbench.indicators import library
from workbench.indicators.library import DEFINITIONS, load_set, parse_indicator, read_definitions

GOOD = tomllib.loads((DEFINITIONS / "safety.toml").read_text("utf-8"))["TJ-A14"]


def broken(path, value):
    entry = copy.deepcopy(GOOD)
    *parents, last = path
    place = entry
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return entry


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("unit",), "furlong", "unknown unit"),
        (("title_zh",), ..., "keys are missing"),
        (("colour",), "red", "unknown keys"),
        (("decimals",), 1.5, "whole number"),
        (("dimension",), "快乐", "unknown dimension"),
        (("scope",), "村", "unknown scope"),
        (("direction",), "up", "unknown direction"),
        (("methods",), [], "at least one method"),
        (("methods", 0, "tier"), "guess", "unknown tier"),
        (("methods", 0, "formula"), "land.nothing", "no such formula"),
        (("methods", 0, "formula"), "nowhere.area", "module does not exist"),
        (("methods", 0, "formula"), "land.land_mask", "no such formula"),
        (("methods", 0, "inputs"), ["land_use"], "inputs differ"),
        (("methods", 0, "parameters", "unti"), "ha", "unknown parameters"),
        (("methods", 0, "parameters", "unit"), ..., "not given"),
        (("methods", 0, "example"), ..., "worked example"),
    ],
)
def test_contradictions_are_refused_with_file_and_id(path, value, says):
    with pytest.raises(DefinitionError, match=says) as caught:
        parse_indicator("TJ-A14", broken(path, value), "mine.toml")
    assert str(caught.value).startswith("mine.toml [TJ-A14]")


def test_a_group_of_land_classes_that_does_not_exist_is_refused():
    entry = copy.deepcopy(tomllib.loads((DEFINITIONS / "safety.toml").read_text("utf-8"))["TJ-A11"])
    (chosen,) = {key for key in entry["methods"][0]["parameters"] if key.endswith("group")}
    entry["methods"][0]["parameters"][chosen] = "orchard"
    with pytest.raises(
        DefinitionError, match=r"mine\.toml \[TJ-A11\] method 1: no such group .*'orchard'.*garden"
    ):
        parse_indicator("TJ-A11", entry, "mine.toml")


def test_line_named_as_parameter_is_an_input():
    entry = broken(("methods", 0, "parameters", "line"), "green_line")
    with pytest.raises(DefinitionError, match="inputs differ"):
        parse_indicator("X", entry, "mine.toml")
    entry["methods"][0]["inputs"] = ["land_use", "green_line"]
    assert parse_indicator("X", entry, "mine.toml").methods[0].inputs == ("land_use", "green_line")


def test_an_id_defined_twice_and_bad_toml_are_refused(tmp_path):
    text = (DEFINITIONS / "plan.toml").read_text("utf-8")
    (tmp_path / "a.toml").write_text(text, "utf-8")
    (tmp_path / "b.toml").write_text(text, "utf-8")
    with pytest.raises(DefinitionError, match="defined twice"):
        read_definitions(tmp_path)
    (tmp_path / "b.toml").write_text("[x", "utf-8")
    with pytest.raises(DefinitionError, match=r"b\.toml: not valid TOML"):
        read_definitions(tmp_path)


def test_sets_are_checked(tmp_path, monkeypatch):
    with pytest.raises(DefinitionError, match="no such indicator set"):
        load_set("../definitions/plan")
    monkeypatch.setattr(library, "SETS", tmp_path)
    (tmp_path / "mine.toml").write_text('ids = ["TJ-A11", "TJ-Z99"]', "utf-8")
    with pytest.raises(DefinitionError, match="TJ-Z99"):
        load_set("mine")


def test_a_set_is_made_from_others_by_adding_and_dropping(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "SETS", tmp_path)
    write = lambda name, text: (tmp_path / f"{name}.toml").write_text(text, "utf-8")  # noqa: E731
    write("first", 'ids = ["TJ-A11", "TJ-A13", "TJ-A14"]')
    write("second", 'title_zh = "二"\nextend = "first"\nadd = ["PL-01"]\ndrop = ["TJ-A13"]')
    write("third", 'extend = ["second", "first"]')
    assert load_set("second") == ["TJ-A11", "TJ-A14", "PL-01"]
    assert load_set("third") == ["TJ-A11", "TJ-A14", "PL-01", "TJ-A13"]
    assert library.read_set("second").title_zh == "二" and library.set_names() == ["first", "second", "third"]
    for text, says in (
        ('extend = "loop"', "extends itself"),
        ('extend = "first"\ndrop = ["PL-01"]', "drops indicators it does not have"),
        ('extend = "first"\nadd = ["TJ-A11"]', "twice"),
        ('extend = "nowhere"', "no such indicator set"),
        ('extends = "first"', "unknown keys"),
        ("ids = [", "not valid TOML"),
    ):
        write("loop", text)
        with pytest.raises(DefinitionError, match=says):
            load_set("loop")


def test_definition_version_changes_with_what_decides_the_value():
    first = parse_indicator("TJ-A14", GOOD, "mine.toml")
    same = parse_indicator("TJ-A14", broken(("title_en",), "Another title"), "mine.toml")
    other = parse_indicator("TJ-A14", broken(("methods", 0, "parameters", "czcsxm"), ["201"]), "mine.toml")
    assert first.definition_version == same.definition_version != other.definition_version
