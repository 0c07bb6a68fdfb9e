"""Kinds of rule on values worked out by hand, and on missing ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.rules import messages
from workbench.rules.kinds import Outcome, judge, theil_sen
from workbench.rules.library import load_rules

RULES = load_rules()
MISSING = {
    "target_floor_binding": {"value": math.nan, "target": 1.0},
    "target_cap_binding": {"value": None, "target": 1.0},
    "target_path": {
        "value": math.nan, "base": 1.0, "base_year": 2020, "target": 2.0, "target_year": 2035, "year": 2025, "op": ">=",
    },
    "trend_last_year": {"value": 1.0, "earlier": {}, "year": 2025, "op": ">="},
    "sum_of_districts": {"value": math.nan, "other": 1.0},
    "data_freshness": {"data_year": None, "year": 2025},
    "cl_permanent_farmland": {"area_m2": math.nan, "width_m": 5.0, "permit_state": "无"},
}  # fmt: skip


@pytest.mark.parametrize("name", MISSING)
def test_missing_is_never_green(name):
    assert judge(RULES[name], **MISSING[name]).level == -1


def test_tolerance_widens_a_floor_and_a_cap():
    floor = replace(RULES["target_floor_binding"], tolerance=0.1)
    assert judge(floor, value=0.95, target=1.0).outcome == "near"
    assert judge(floor, value=0.85, target=1.0).outcome == "breached"
    cap = replace(RULES["target_cap_binding"], tolerance=0.1)
    assert judge(cap, value=1.05, target=1.0).outcome == "reached"
    assert judge(cap, value=1.15, target=1.0).outcome == "breached"


def test_cap_of_zero():
    assert judge(RULES["target_cap_binding"], value=0.0, target=0.0).level == 0
    assert judge(RULES["target_cap_binding"], value=0.1, target=0.0).level == 4


def test_after_the_target_year_the_target_itself_is_expected():
    outcome = judge(
        RULES["target_path"],
        value=79,
        base=50,
        base_year=2020,
        target=80,
        target_year=2025,
        year=2030,
        op=">=",
    )
    assert outcome.threshold == 80
    assert outcome.margin == pytest.approx(-1 / 30)


@given(
    base=st.floats(1, 100), target=st.floats(101, 200), shift=st.floats(-50, 50), year=st.integers(2021, 2034)
)
def test_a_path_mirrored_gives_the_same_deviation(base, target, shift, year):
    common = {"base_year": 2020, "target_year": 2035, "year": year}
    value = base + (target - base) * (year - 2020) / 15 + shift
    up = judge(RULES["target_path"], value=value, base=base, target=target, op=">=", **common)
    down = judge(RULES["target_path"], value=-value, base=-base, target=-target, op="<=", **common)
    assert up.margin == pytest.approx(down.margin, abs=1e-9)
    assert (up.margin > 0) == (shift > 0) or abs(shift) < 1e-6


def test_theil_sen_agrees_with_scipy():
    from scipy.stats import theilslopes

    rng = np.random.default_rng(7)
    series = {2015 + k: float(v) for k, v in enumerate(rng.normal(size=9).cumsum())}
    assert theil_sen(series) == pytest.approx(theilslopes(list(series.values()), list(series)).slope)


def test_trend_uses_the_latest_earlier_year_and_a_slope_from_five_points():
    rule = RULES["trend_last_year"]
    outcome = judge(rule, value=5.0, earlier={2021: 1.0, 2022: 2.0, 2023: 3.0, 2024: 4.0}, year=2025, op=">=")
    assert outcome.threshold == 4.0 and outcome.words["slope"] == pytest.approx(1.0)
    assert (
        judge(rule, value=4.0, earlier={2024: 4.0, 2026: 9.0}, year=2025, op=">=").outcome == "steady"
    )  # a later year is no past


def test_the_band_of_peers_is_median_and_interquartile_range():
    rng = np.random.default_rng(3)
    peers = rng.normal(50, 10, 30)
    low, middle, high = np.percentile(peers, [25, 50, 75])
    edge = middle + 1.5 * (high - low)
    rule = RULES["peer_cities"]
    assert judge(rule, value=edge - 0.01, peers=peers.tolist()).outcome == "inside"
    assert judge(rule, value=edge + 0.01, peers=[*peers, math.nan]).outcome == "outside"
    assert judge(rule, value=edge, peers=None).level == -1


@given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=9), st.floats(-100, 100), st.floats(0.1, 10))
def test_a_slope_moves_with_the_scale_and_not_with_the_level(numbers, shift, scale):
    plain = {2015 + k: number for k, number in enumerate(numbers)}
    moved = {year: number * scale + shift for year, number in plain.items()}
    assert theil_sen(moved) == pytest.approx(scale * theil_sen(plain), rel=1e-6, abs=1e-6)


def test_a_slope_that_most_pairs_do_not_share_is_no_trend():
    rule = RULES["tr_slope"]
    zigzag = {2021: 100.0, 2022: 90.0, 2023: 101.0, 2024: 89.0}
    assert judge(rule, value=99.0, earlier=zigzag, year=2025, op=">=").outcome == "steady"
    falling = {2021: 100.0, 2022: 98.0, 2023: 96.0, 2024: 94.0}
    assert judge(rule, value=92.0, earlier=falling, year=2025, op=">=").outcome == "worse"
    assert judge(rule, value=92.0, earlier=falling, year=2025, op="<=").outcome == "better"


def test_a_limit_that_still_holds_is_not_called_missed():
    """A floor kept but used up too fast says so, and does not say that the target is behind."""
    rule = load_rules()["target_path"]
    kept = Outcome(3, "far_behind", words={"kept": 1.0})
    assert "未突破目标值" in messages.of_outcome(rule, kept, None, "zh")
    assert "落后于目标进度" in messages.of_outcome(rule, Outcome(3, "far_behind"), None, "zh")


def test_nothing_that_stays_nothing_is_not_judged_where_more_is_better():
    rule = RULES["trend_last_year"]
    none = {"value": 0.0, "earlier": {2024: 0.0}, "year": 2025}
    assert judge(rule, **none, op=">=").level == -1
    assert judge(rule, **none, op="<=").level == 0
    assert judge(rule, **(none | {"earlier": {2024: 1.0}}), op=">=").level == 1
