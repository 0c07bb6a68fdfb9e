"""Tables and pictures of accuracy and area: numbers traced, the bias beside the estimate, both languages."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from tests.reporting.numerals import faults
from workbench.interpretation.assessment import Assessment, Map, assess
from workbench.operators.sampling import Drawn
from workbench.views import interpretation as shown

CLASSES = ("cropland", "forest", "built")


def judged(*, limit: float = 5200.0, probability: bool = True) -> Assessment:
    """120 points in three classes of 5000, 3000 and 1000 ha; cropland is overstated."""
    mapped = ["cropland"] * 60 + ["forest"] * 30 + ["built"] * 30
    found = (
        ["cropland"] * 50
        + ["built"] * 6
        + ["forest"] * 4
        + ["forest"] * 30
        + ["built"] * 27
        + ["cropland"] * 3
    )
    points = gpd.GeoDataFrame(
        {"point_id": [f"p{k}" for k in range(120)], "mapped": mapped},
        geometry=shapely.points(np.zeros((120, 2))),
        crs="EPSG:4547",
    )
    drawn = Drawn(points, {1: 5e7, 2: 3e7, 3: 1e7}, {1: 500_000, 2: 300_000, 3: 100_000})
    city: Any = SimpleNamespace(name="small", name_zh="小城")
    said = np.linspace(0.5, 0.99, 120) if probability else None
    return assess(
        city, 2025, Map(Path("map.tif"), "land_cover_map", 2025, CLASSES, sensitivity="公开"), drawn, found,
        limits={"cropland": (limit, "<=")}, probability=said, openness="公开",
    )  # fmt: skip


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_numeral_is_traced(lang: str) -> None:
    result = judged(limit=4500.0)
    parts = [
        shown.summary(result.values, lang), shown.confusion_table(result.values, lang), shown.accuracy_table(result.values, lang),
        shown.area_table(result.values, lang), shown.decisions(result.values, lang), shown.calibration_text(result.values, lang),
    ]  # fmt: skip
    assert faults("".join(map(str, parts)), result.values) == []


def test_the_count_stands_beside_the_estimate() -> None:
    result = judged()
    assert result.areas.at["cropland", "mapped"] == pytest.approx(5000)
    # by hand: 5000·50/60 + 1000·3/30
    assert result.areas.at["cropland", "area"] == pytest.approx(5000 * 50 / 60 + 100)
    page = str(shown.area_table(result.values, "zh"))
    assert "5,000.0" in page and "4,266.7" in page and "+733.3" in page
    rows = shown.rows_of(result.values)
    assert rows["area.bias.cropland"]["value"] == pytest.approx(5000 - 5000 * 50 / 60 - 100)
    assert shown.class_order(rows) == list(CLASSES)
    assert "耕地" in str(shown.summary(result.values, "zh"))


def test_yes_no_and_not_certain() -> None:
    assert "：是（" in shown.decisions(judged(limit=5400.0).values, "zh")
    assert "：否（" in shown.decisions(judged(limit=2000.0).values, "zh")
    page = str(shown.decisions(judged(limit=4500.0).values, "zh"))
    assert "不确定" in page and "再补" in page and "耕地" in page
    assert "not certain" in shown.decisions(judged(limit=4500.0).values, "en")
    result = judged(limit=float(judged().areas.at["cropland", "area"]))
    assert "难以判定" in shown.decisions(result.values, "zh")
    answer = result.values.set_index("indicator").loc["imagery.decision.answer.cropland"]
    assert np.isnan(answer["value"]) and answer["reason"] == "uncertain"


def test_pictures_say_who_may_see_them() -> None:
    result = judged()
    for made in (
        shown.area_chart(result.values, "zh"),
        shown.accuracy_chart(result.values, "en"),
        shown.calibration_chart(result.values, "zh"),
    ):
        assert made is not None and made.png[:4] == b"\x89PNG" and made.sensitivity == "公开"
    closed = result.values.assign(sensitivity="内部")
    assert 'data-sensitivity="内部"' in shown.area_table(closed, "zh")
    assert shown.area_chart(closed, "zh").sensitivity == "内部"


def test_a_map_without_probabilities_says_so() -> None:
    result = judged(probability=False)
    assert shown.calibration_chart(result.values, "zh") is None
    assert "没有给出概率" in shown.calibration_text(result.values, "zh")


def test_field_rates_in_words() -> None:
    rates = pd.DataFrame(
        {
            "group": ["all", "A"], "checked": [10, 0], "true": [8, 0], "precision": [0.8, np.nan], "precision_low": [0.5, np.nan],
            "precision_high": [0.95, np.nan], "confirmed": [6, 0], "missed": [1, 0], "recall": [0.857, np.nan],
            "recall_low": [0.5, np.nan], "recall_high": [0.97, np.nan],
        }
    )  # fmt: skip
    page = str(shown.field_table(rates, "zh", names={"A": "甲区"}))
    assert "80%" in page and "甲区" in page and "无数据" in page and "86%" in page
    plain = re.sub("<[^>]+>", "", page)
    assert "80% (50–95; n=10)" in plain and "86% (50–97; n=7)" in plain and "95%置信区间（Jeffreys）" in plain
