"""The demo's quotas on a small land drawn by hand: books agree but for what was planted, and the truth says what that is."""

import numpy as np
import pandas as pd
import pytest
import shapely

from workbench.samples.cover import OF
from workbench.samples.fabric import Fabric
from workbench.samples.quotas import COLUMNS, INCREMENT, make_quotas, write_quotas
from workbench.samples.space import YEARS

UNITS = 8
PIECES = 10
"""Squares of one hectare a unit, side by side."""


def land(seed: int):
    """Two districts of four units; in each unit some fields became houses and works since the base year."""
    rng = np.random.default_rng(seed)
    n = UNITS * PIECES
    shapes = shapely.box(
        *(np.array([5e5, 2.5e6, 5e5 + 100, 2.5e6 + 100])[:, None] + np.outer([100, 0, 100, 0], np.arange(n)))
    )
    unit = np.repeat(np.arange(UNITS), PIECES) + 1
    codes = np.full((n, len(YEARS)), OF["0103"])
    place = np.tile(np.arange(PIECES), UNITS)
    codes[place == 0] = OF["0701"]
    codes[(place > 0) & (place <= rng.integers(1, 5, UNITS)[unit - 1]), -1] = OF["0601"]
    rest = {name: np.zeros(n, dtype=int) for name in Fabric.__dataclass_fields__}
    fabric = Fabric(**{**rest, "shapes": shapes, "codes": codes, "unit": unit})
    crop = codes[:, -1] == OF["0103"]
    names = np.array([f"99010{1 + k // 4}{k:03d}" for k in range(UNITS)])
    parcels = pd.DataFrame(
        {"dlbm": np.where(crop, "0103", "0601"), "unit": names[unit - 1], "net_area_m2": 9_500.0}
    )
    units = pd.DataFrame({"code": names, "district": [name[:6] for name in names]})
    return parcels, fabric, units, shapely.box(5e5, 2.5e6, 5e5 + 100 * n, 2.5e6 + 50)


@pytest.fixture(params=[1, 7, 20250])
def made(request):
    parcels, fabric, units, boundary = land(request.param)
    table, truth = make_quotas(request.param, parcels, fabric, units, boundary)
    return table, truth, units, fabric


def quotas(table, indicator):
    rows = table[(table["indicator"] == indicator) & (table["kind"] == "assigned")]
    return rows.set_index("zone")["value"]


def parts(table, indicator, units):
    """Sum of the units' quotas by district."""
    return quotas(table, indicator).reindex(units["code"]).groupby(units["district"].to_numpy()).sum()


def test_every_zone_has_its_quota_of_each_kind(made):
    table, *_ = made
    assert list(table.columns) == COLUMNS
    for indicator in ("TJ-A11", "TJ-C03", INCREMENT):
        assert len(quotas(table, indicator)) == 1 + 2 + UNITS
    assert (table["value"] >= 0).all() and not table.duplicated(["indicator", "zone", "kind"]).any()


def test_use_is_the_half_of_the_new_pieces_inside_the_boundary(made):
    _, truth, units, fabric = made
    new = (fabric.codes[:, -1] == OF["0601"]).reshape(UNITS, PIECES).sum(axis=1) * 0.5
    assert [truth["used_ha"][code] for code in units["code"]] == pytest.approx(new, rel=1e-4)


def test_cropland_is_passed_on_in_full_but_in_the_planted_district(made):
    table, truth, units, _ = made
    flaw = truth["under_assigned"]
    gap = quotas(table, "TJ-A11").reindex(units["district"].unique()) - parts(table, "TJ-A11", units)
    assert (
        gap[flaw["zone"]] == pytest.approx(flaw["short"], abs=1e-9)
        and flaw["short"] > 0.03 * flaw["assigned"]
    )
    assert gap.drop(flaw["zone"]).abs().max() < 1e-9
    assert quotas(table, "TJ-A11")["city"] == pytest.approx(
        quotas(table, "TJ-A11").reindex(units["district"].unique()).sum()
    )


def test_one_unit_only_has_built_beyond_its_quota(made):
    table, truth, units, _ = made
    given = quotas(table, INCREMENT)
    beyond = {code: used - given[code] for code, used in truth["used_ha"].items() if used > given[code]}
    assert list(beyond) == [truth["overdrawn"]["zone"]]
    assert beyond[truth["overdrawn"]["zone"]] == pytest.approx(truth["overdrawn"]["beyond"])
    assert (given.reindex(units["district"].unique()) >= parts(table, INCREMENT, units)).all()


def test_the_transfer_is_one_row_and_the_giver_keeps_enough(made):
    table, truth, units, _ = made
    rows = table[table["kind"] == "transfer"]
    moved = truth["transfer"]
    assert rows[["zone", "counterpart", "value"]].values.tolist() == [
        [moved["from"], moved["to"], moved["value"]]
    ]
    used = pd.Series(truth["used_ha"]).groupby(units.set_index("code")["district"]).sum()
    given = quotas(table, INCREMENT).reindex(units["district"].unique())
    given[moved["from"]] -= moved["value"]
    given[moved["to"]] += moved["value"]
    assert (given >= used.reindex(given.index)).all()
    assert (given >= parts(table, INCREMENT, units) - 1e-9).all(), (
        "it comes out of the district's own reserve"
    )


def test_the_unit_over_its_flexible_cap_is_made_good_by_its_district(made):
    table, truth, units, fabric = made
    built = (fabric.codes[:, -1] != OF["0103"]).reshape(UNITS, PIECES).sum(axis=1) / 100
    caps = quotas(table, "TJ-C03")
    over = [code for code, km2 in zip(units["code"], built, strict=True) if km2 > caps[code] * 1.01]
    assert over == [truth["compensated"]["zone"]]
    mine = pd.Series(built, index=units["code"]).groupby(units["district"].to_numpy()).sum()
    assert (caps.reindex(mine.index) >= mine).all()


def test_same_seed_same_table(tmp_path):
    parcels, fabric, units, boundary = land(7)
    first, _ = make_quotas(7, parcels, fabric, units, boundary)
    write_quotas(tmp_path, 7, parcels, fabric, units, boundary)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "quotas.parquet"), first)
    assert (tmp_path / "truth" / "quotas.json").is_file()
