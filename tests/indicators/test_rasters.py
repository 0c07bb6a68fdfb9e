"""Indicators from rasters: the same from a lazy raster as from one in memory, and no value where cells do not serve."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.indicators.compute import compute
from workbench.indicators.examples import layer
from workbench.indicators.formulas import cover

SURFACE = {
    "land_use_raster": ["0701 0701 0101 0810 1101 0701 0601 0101 0301 ."] * 4,
    "land_use_raster@2024": ["0101 0701 0101 0301 1101 0301 0101 0101 0401 ."] * 4,
    "imagery": ["0.1 0.5 0.2 0.6 -0.3 0.1 0.2 0.2 0.8 0.1", *["0.1 . . . . . . . 0.8 0.1"] * 3],
}
IDS = ["TJ-A20", "SDG-15.3.1", "SDG-6.6.1", "SDG-11.3.1s"]


@pytest.fixture
def values(drawn, make_city):
    def run(layers, *, scopes=("城区",)):
        store = drawn({**drawn().drawn, **layers})
        return compute(make_city(scopes), 2025, IDS, store=store).set_index(["indicator", "zone"])

    return run


def test_a_lazy_raster_gives_what_one_in_memory_gives(values):
    lazy = {key: layer(key.partition("@")[0], rows).chunk({"y": 2, "x": 3}) for key, rows in SURFACE.items()}
    before, after = values(SURFACE)["value"], values(lazy)["value"]
    assert before.notna().sum() == 7
    np.testing.assert_array_equal(before, after)


def test_what_has_worsened_is_a_share_of_the_land_without_water(values):
    found = values(SURFACE)["value"]
    # fields and woods built on, a wood that became a park; eight columns of land have a class in both years
    assert found["SDG-15.3.1", "demo"] == pytest.approx(100 * 4 / 8, rel=1e-6)
    assert found["SDG-6.6.1", "demo"] == pytest.approx(0.0, abs=1e-9)


def test_a_clouded_zone_is_not_judged(values):
    table = values(SURFACE)
    row = table.loc[("TJ-A20", "demo")]
    assert math.isnan(row["value"]) and row["tier"] == ""
    clear = {**SURFACE, "imagery": [SURFACE["imagery"][0]] * 4}
    seen = values(clear)
    # of the five columns inside the urban area the first is built and bare
    assert seen.loc[("TJ-A20", "demo"), "value"] == pytest.approx(80.0, rel=1e-6)
    assert seen.loc[("TJ-A20", "demo"), "tier"] == "proxy"


def test_rasters_on_different_grids_are_not_laid_over_one_another(values):
    shifted = layer("land_use_raster", SURFACE["land_use_raster@2024"])
    shifted = shifted.assign_coords(x=shifted["x"] + 30.0)
    row = values({**SURFACE, "land_use_raster@2024": shifted}).loc[("SDG-15.3.1", "demo")]
    assert math.isnan(row["value"]) and row["reason"] == "grids_differ"


def test_a_base_year_without_a_raster_is_a_reason(values):
    row = values({key: rows for key, rows in SURFACE.items() if "@" not in key}).loc[("SDG-6.6.1", "demo")]
    assert math.isnan(row["value"]) and row["reason"].startswith("no_base_year:2024")


def test_a_measured_field_is_read_in_strips_and_skips_what_was_not_measured(drawn, make_city, monkeypatch):
    fields = {"subsidence": ["2 4 6 . 1 1 1 1 1 .", "-9999 8 6 . 3 3 3 3 3 ."]}
    raster = layer("subsidence", fields["subsidence"]).rio.write_nodata(-9999.0)
    store = drawn({**drawn().drawn, "subsidence": raster})
    found = []
    for rows in (1, 1024):
        monkeypatch.setattr(cover, "STRIP_ROWS", rows)
        table = compute(make_city(), 2025, ["TJ-A24"], store=store).set_index("zone")["value"]
        found.append(table.to_dict())
    assert found[0] == found[1]
    assert found[0]["W"] == pytest.approx((2 + 4 + 6 + 1 + 8 + 6 + 3) / 7)
    assert found[0]["E"] == pytest.approx(2.0)
