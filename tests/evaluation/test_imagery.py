"""Figures of imagery enter the value table from the catalogue alone, with interval, reason and clearance."""

from types import SimpleNamespace

import pandas as pd
import pytest

from workbench.core.errors import LayerMissing
from workbench.evaluation import imagery

FACTS = pd.DataFrame(
    {"part": ["area", "accuracy"], "item": ["built", "overall"], "zone": "", "zone_name": "", "value": [12.5, float("nan")],
     "low": [10.0, float("nan")], "high": [16.0, float("nan")], "unit": ["ha", "%"], "decimals": 1, "basis": "sample",
     "reason": ["", "no_reference"], "reason_zh": ["", "没有参考样本"], "reason_en": ["", "no sample"], "sensitivity": ["公开", "内部"]}
)  # fmt: skip


class Data:
    """A catalogue with published facts, or without."""

    def __init__(self, published: bool, roles: tuple[str, ...] = ("imagery",)) -> None:
        self.published = published
        self.city = SimpleNamespace(name="x", name_zh="某市", layers=dict.fromkeys(roles))

    def has(self, role: str, year: int) -> bool:
        return self.published and role == imagery.FACTS

    def table(self, role: str, year: int) -> pd.DataFrame:
        return FACTS

    def source(self, role: str, year: int) -> SimpleNamespace:
        return SimpleNamespace(sensitivity="内部", date="2025-12-31")

    def holder(self, role: str) -> str:
        return "卫星中心"


def test_facts_become_rows_with_interval_reason_and_clearance():
    data = Data(True)
    found = imagery.rows(data.city, 2025, data).set_index("indicator")
    area, overall = found.loc["imagery.area.built"], found.loc["imagery.accuracy.overall"]
    assert (area["value"], area["low"], area["high"], area["sensitivity"]) == (12.5, 10.0, 16.0, "公开")
    assert (overall["reason"], overall["reason_zh"], overall["sensitivity"]) == (
        "no_reference",
        "没有参考样本",
        "内部",
    )
    assert pd.isna(overall["value"])
    assert (found.at["imagery.area.built.low", "value"], found.at["imagery.area.built.high", "value"]) == (
        10.0,
        16.0,
    )
    assert len(found) == 4  # no bounds of what has no value


@pytest.mark.parametrize(("roles", "missing"), [(("imagery",), imagery.FACTS), (("land_use",), "imagery")])
def test_what_is_lacking_is_named(roles, missing):
    with pytest.raises(LayerMissing) as caught:
        imagery.facts(Data(False, roles), 2025)
    assert caught.value.role == missing
