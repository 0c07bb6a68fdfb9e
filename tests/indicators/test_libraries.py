"""The libraries as tables."""

from __future__ import annotations

from dataclasses import replace

from click.testing import CliRunner

from workbench import libraries
from workbench.cli import main
from workbench.indicators.library import load_library


def test_tables_list_what_there_is():
    operators = libraries.operators_table().set_index("operator")
    assert operators.loc["covered", "module"] == "access"
    assert operators["summary"].str.len().min() > 10
    indicators = libraries.indicators_table("en").set_index("id")
    assert set(indicators.index) == set(load_library())
    assert indicators.loc["TJ-A11", "title"] == "Cultivated land stock"
    assert indicators.loc["TJ-F05", "inputs"].split(", ")[0] == "population"
    assert indicators.loc["TJ-A12", "definition_zh"] == "已验收的高标准农田面积占耕地面积的比例"
    assert indicators.loc["TJ-A12", "definition"].startswith("Accepted high-standard farmland")
    rules = libraries.rules_table()
    assert rules["id"].is_unique and (rules["clause"] != "").all()


def test_brackets_are_printed_and_worked_examples_are_run(monkeypatch):
    one = load_library()["TJ-A11"]
    good = CliRunner().invoke(main, ["libraries", "indicators", "TJ-A11"])
    assert good.exit_code == 0 and good.output.count(": passed; found") == len(one.methods)
    method = replace(one.methods[0], example={**one.methods[0].example, "value": 7.5})
    wrong = replace(one, calculation="area(LU[garden]) :smile:", methods=(method, *one.methods[1:]))
    monkeypatch.setattr("workbench.indicators.library.load_library", lambda: {"TJ-A11": wrong})
    bad = CliRunner().invoke(main, ["libraries", "indicators", "TJ-A11"])
    assert bad.exit_code == 1 and "area(LU[garden]) :smile:" in bad.output
    assert "method 1 of" in bad.output and "WRONG; found" in bad.output and "expected 7.5" in bad.output
