"""Growth of the physical urban area on a map drawn by hand; areas from samples against a published example."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from workbench.core.errors import ParameterError
from workbench.operators.sampled_area import stratified_areas
from workbench.operators.urban_area import UrbanRules, agreement, codes_of, grow, urban_range

GK = "EPSG:4547"


def land(rows: list[tuple[str, str, str, tuple[float, float, float, float]]]) -> gpd.GeoDataFrame:
    table = pd.DataFrame(rows, columns=["parcel_id", "dlbm", "czcsxm", "box"])
    x0, y0 = 5e5, 2.5e6
    shapes = [shapely.box(x0 + a, y0 + b, x0 + c, y0 + d) for a, b, c, d in table["box"]]
    return gpd.GeoDataFrame(table.drop(columns="box"), geometry=shapes, crs=GK)


RULES = UrbanRules(frozenset({"201", "201A"}), frozenset({"0601", "0701"}), 100.0, 2000.0, 10)
MAP = land(
    [
        ("core", "0701", "201", (0, 0, 200, 200)),
        ("industry_inside", "0601", "201A", (200, 0, 300, 100)),
        ("near", "0601", "202", (380, 0, 480, 100)),  # 80 m off: joins in the first round
        ("chain", "0701", "", (560, 0, 660, 100)),  # 80 m from that one: second round
        ("field", "0101", "", (200, 100, 300, 200)),  # touches, but is a field
        ("far", "0601", "", (900, 0, 1000, 100)),  # 240 m off
        ("shed", "0601", "", (0, 260, 20, 280)),  # near enough, 400 m²
    ]
)


def test_growth_by_hand() -> None:
    found = grow(MAP, RULES).set_index("parcel_id")
    assert found["why"].to_dict() == {
        "core": "initial", "industry_inside": "initial", "near": "joined", "chain": "joined", "far": "too_far", "shed": "too_small",
    }  # fmt: skip
    assert found["round"].to_dict() == {
        "core": 0,
        "industry_inside": 0,
        "near": 1,
        "chain": 2,
        "far": -1,
        "shed": -1,
    }
    assert found.at["core", "area_m2"] == pytest.approx(40_000, rel=1e-3)


def test_rounds_and_distance_decide() -> None:
    one = grow(MAP, UrbanRules(RULES.initial, RULES.functions, 100.0, 0.0, 1)).set_index("parcel_id")["why"]
    assert (one["near"], one["chain"], one["shed"]) == ("joined", "rounds_used_up", "joined")
    none = grow(MAP, UrbanRules(RULES.initial, RULES.functions, 79.0, 0.0, 9)).set_index("parcel_id")["why"]
    assert (none["near"], none["chain"]) == ("too_far", "too_far")
    wide = grow(MAP, UrbanRules(RULES.initial, RULES.functions, 250.0, 0.0, 9)).set_index("parcel_id")["why"]
    assert wide["far"] == "joined"
    with pytest.raises(ParameterError, match="marks no patch as city"):
        grow(MAP.assign(czcsxm=""), RULES)


def test_range_keeps_zones_whole() -> None:
    area = grow(MAP, RULES)
    zones = land([("a", "", "", (0, 0, 300, 200)), ("b", "", "", (300, 0, 700, 200))]).rename(
        columns={"parcel_id": "code"}
    )
    found = urban_range(area, zones.assign(name=zones["code"]), least_share=0.5)
    assert found["share"].tolist() == pytest.approx([5 / 6, 0.25], abs=1e-6)
    assert found["kept"].tolist() == [True, False]
    assert found.geometry.iloc[0].equals(zones.geometry.iloc[0])  # never trimmed
    assert urban_range(area, zones.assign(name=""), least_share=0.25 - 1e-9)["kept"].tolist() == [True, True]
    with pytest.raises(ParameterError, match="least share"):
        urban_range(area, zones.assign(name=""), least_share=0.0)


def test_agreement_and_codes() -> None:
    assert agreement(shapely.box(0, 0, 1, 1), shapely.box(2, 2, 3, 3)) == 0.0
    assert np.isnan(agreement(shapely.Polygon(), shapely.Polygon()))
    assert {"0601", "0701"} <= codes_of(["urban_rural_construction"], ())
    assert "0101" not in codes_of(["urban_rural_construction"], ["1001"])


def test_the_published_example_of_sampled_areas() -> None:
    """Olofsson et al. 2014, tables 8 and 9: four classes of change, 640 points; areas and 95 % intervals in hectares."""
    counts = {
        "deforestation": [66, 0, 5, 4], "gain": [0, 55, 8, 12], "forest": [1, 0, 153, 11], "other": [2, 1, 9, 313],
    }  # fmt: skip
    names = list(counts)
    mapped, reference = [], []
    for name, row in counts.items():
        for other, number in zip(names, row, strict=True):
            mapped += [name] * number
            reference += [other] * number
    pixels = {"deforestation": 200_000, "gain": 150_000, "forest": 3_200_000, "other": 6_450_000}
    areas = {name: count * 30 * 30 / 1e4 for name, count in pixels.items()}
    found = stratified_areas(areas, pd.Series(mapped), pd.Series(reference))
    assert found.at["deforestation", "area"] == pytest.approx(21_158, abs=1)
    assert found.at["deforestation", "error"] == pytest.approx(3_142, abs=5)
    assert found.at["gain", "area"] == pytest.approx(11_686, abs=1)
    assert 1.96 * found.at["gain", "error"] == pytest.approx(3_756, rel=0.01)
    assert found.at["forest", "area"] == pytest.approx(285_770, abs=1)
    assert found.at["other", "area"] == pytest.approx(581_386, abs=1)
    assert found["area"].sum() == pytest.approx(sum(areas.values()))


def test_samples_that_give_nothing() -> None:
    one = pd.Series(["a", "a", "b"])
    with pytest.raises(ParameterError, match="at least two"):
        stratified_areas({"a": 1.0, "b": 1.0}, one, one)
    with pytest.raises(ParameterError, match="does not have"):
        stratified_areas({"a": 1.0}, one, one)
    with pytest.raises(ParameterError, match="one reference class a point"):
        stratified_areas({"a": 1.0}, one, one[:2])
    missed = stratified_areas({"a": 3.0, "b": 1.0}, pd.Series(list("aabb")), pd.Series(list("acbb")))
    assert missed.loc["c", ["mapped", "area"]].tolist() == [0.0, 1.5]  # a class the map does not show
