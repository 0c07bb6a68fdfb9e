from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from workbench.core.errors import ParameterError
from workbench.views.numbers import find, num, num_at

TABLE = pd.DataFrame(
    {
        "value_id": ["v1", "v2"],
        "value": [-12345.678, float("nan")],
        "decimals": [1, 2],
        "unit": ["1e4 mu", "%"],
        "reason_zh": ["", "缺<少>数据"],
        "reason_en": ["", "no data"],
    }
)


def test_a_number_carries_its_id_and_unit() -> None:
    assert num(TABLE, "v1") == '<span class="num" data-v="v1">-12,345.7</span>'
    assert num(TABLE, "v1", unit=True).endswith("</span>\u202f万亩")
    assert num(TABLE, "v1", unit=True, lang="en").endswith('<span class="x">10,000</span> mu')


def test_a_missing_number_says_why() -> None:
    assert num(TABLE, "v2") == '<span class="num missing" data-v="v2" title="缺&lt;少&gt;数据">无数据</span>'
    assert ">no data</span>" in num(TABLE, "v2", lang="en")


def test_a_row_that_is_not_there_is_an_error(checkup: Any) -> None:
    with pytest.raises(ParameterError, match="no such value"):
        num(TABLE, "v3")
    with pytest.raises(ParameterError, match="has no such row"):
        num_at(checkup, "A-1", zone="nowhere")


def test_find_prefers_the_newest_year(checkup: Any) -> None:
    row = find(checkup, "A-1", level="city")
    assert row is not None and row["year"] == 2025
    assert find(checkup, "A-1", level="city", year=2024)["value"] == pytest.approx(12.345 * 1.02)  # type: ignore[index]
