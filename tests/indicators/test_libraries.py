"""The libraries as tables."""

from __future__ import annotations

from workbench import libraries
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
