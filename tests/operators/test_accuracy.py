"""Error matrices, measures with intervals by place, calibration: against hand-worked numbers and simulated truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.core.errors import ParameterError
from workbench.operators.accuracy import calibration, confusion, measures, place_scores


def test_confusion_by_hand() -> None:
    table = confusion(["a", "a", "b", "c"], ["a", "b", "b", "b"], classes=["b", "a", "c"])
    assert table.to_numpy().tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]
    assert table.index.name == "mapped" and table.columns.name == "reference"
    with pytest.raises(ParameterError, match="not in the list"):
        confusion(["a"], ["z"], classes=["a"])
    with pytest.raises(ParameterError, match="one reference class"):
        confusion(["a"], ["a", "a"])


def test_measures_by_hand() -> None:
    """Ten cells mapped a (8 right), ten mapped b (6 right): F1 of a is 2·8/(10+12), IoU 8/14."""
    found = measures([[8, 2], [4, 6]])
    assert found["overall"] == 0.7
    assert found["producers"].tolist() == pytest.approx([8 / 12, 6 / 8])
    assert found["f1"].tolist() == pytest.approx([16 / 22, 12 / 18])
    assert found["iou"].tolist() == pytest.approx([8 / 14, 6 / 12])
    assert np.isnan(measures([[0, 0], [0, 5]])["iou"][0])


def _cities(rng: np.random.Generator, count: int, between: float) -> np.ndarray:
    """Matrices of places whose user's accuracy differs from place to place."""
    right = np.clip(rng.normal(0.8, between, count), 0.05, 0.99)
    hit = rng.binomial(1000, right)
    return np.stack(
        [np.stack([hit, 1000 - hit], -1), np.stack([np.full(count, 150), np.full(count, 850)], -1)], 1
    )


def test_intervals_by_place_hold_the_truth() -> None:
    """Places differ (standard deviation 0.08): 12 places; intervals of cells as if independent would hold it in a quarter."""
    rng = np.random.default_rng(5)
    held = naive = 0
    for trial in range(250):
        made = _cities(rng, 12, 0.08)
        row = (
            place_scores(made, ["a", "b"], seed=trial, draws=300)
            .set_index(["measure", "class"])
            .loc[("users", "a")]
        )
        held += row["low"] <= 0.8 <= row["high"]
        naive += abs(row["value"] - 0.8) <= 1.96 * np.sqrt(0.8 * 0.2 / 12_000)
    assert 0.89 < held / 250 < 0.985  # 0.937 of 1,500 trials
    assert naive / 250 < 0.5


def test_places_are_drawn_with_a_seed() -> None:
    made = _cities(np.random.default_rng(0), 8, 0.05)
    one, two = (place_scores(made, ["a", "b"], seed=3) for _ in range(2))
    assert one.equals(two)
    assert not one.equals(place_scores(made, ["a", "b"], seed=4))
    whole = measures(made.sum(axis=0))
    assert one.set_index("measure").at["overall", "value"] == float(whole["overall"])
    assert one.set_index("measure").at["mean_iou", "value"] == pytest.approx(float(whole["iou"].mean()))
    assert (one["low"] <= one["value"]).all() and (one["value"] <= one["high"]).all()


def test_one_place_gives_no_interval() -> None:
    table = place_scores(_cities(np.random.default_rng(0), 1, 0.05), ["a", "b"], seed=1)
    assert table["low"].isna().all() and table["value"].notna().all()
    with pytest.raises(ParameterError, match="one matrix a place"):
        place_scores(np.zeros((2, 3, 3)), ["a", "b"], seed=1)


def test_a_class_only_one_place_has() -> None:
    made = np.zeros((3, 2, 2))
    made[:, 0, 0] = [90, 80, 85]
    made[0, 1, 1] = 10
    table = place_scores(made, ["a", "b"], seed=1).set_index(["measure", "class"])
    assert table.loc[("iou", "b"), ["value", "low", "high"]].tolist() == [1.0, 1.0, 1.0]


def test_calibration_by_hand() -> None:
    """Two bins: said 0.2 and true in 1 of 4, said 0.8 and true in 2 of 4: error (4·0.05 + 4·0.3) / 8."""
    found = calibration([0.2] * 4 + [0.8] * 4, [1, 0, 0, 0, 1, 1, 0, 0], bins=5)
    assert found.table["said"].tolist() == pytest.approx([0.2, 0.8])
    assert found.table["found"].tolist() == [0.25, 0.5]
    assert found.error == pytest.approx((4 * 0.05 + 4 * 0.3) / 8)
    assert np.isnan(found.low)
    assert (found.table["low"] < found.table["found"]).all() and (
        found.table["found"] < found.table["high"]
    ).all()


def test_probabilities_that_are_right_and_that_are_not() -> None:
    rng = np.random.default_rng(9)
    said = rng.uniform(0, 1, 20_000)
    places = np.repeat(np.arange(20), 1000)
    good = calibration(said, rng.uniform(0, 1, 20_000) < said, places=places, seed=1)
    sure = calibration(said, rng.uniform(0, 1, 20_000) < 0.5 + 0.5 * (said - 0.5), places=places, seed=1)
    assert good.error < 0.02 and good.low <= good.error <= good.high
    assert sure.error == pytest.approx(0.125, abs=0.015) and sure.low > 0.1  # mean of |0.5 (p - 0.5)|
    inside = (good.table["low"] <= good.table["said"]) & (good.table["said"] <= good.table["high"])
    assert inside.sum() >= 8


def test_calibration_refuses() -> None:
    with pytest.raises(ParameterError, match="between 0 and 1"):
        calibration([1.2], [1])
    with pytest.raises(ParameterError, match="for each point"):
        calibration([], [])


def test_points_count_for_what_they_stand_for() -> None:
    """Said 0.9 everywhere; right in 4 of 4 points that stand for 1 each, in 2 of 4 that stand for 9 each: 22 of 40."""
    said, true = [0.9] * 8, [1, 1, 1, 1, 1, 1, 0, 0]
    found = calibration(said, true, weights=[1.0] * 4 + [9.0] * 4, bins=5)
    assert found.table["found"].tolist() == pytest.approx([22 / 40])
    assert found.error == pytest.approx(0.9 - 22 / 40) and found.table["points"].tolist() == [8]
    even = calibration(said, true, bins=5)
    pd.testing.assert_frame_equal(calibration(said, true, weights=[3.0] * 8, bins=5).table, even.table)
    width = [float((one.table["high"] - one.table["low"]).iloc[0]) for one in (found, even)]
    assert width[0] > width[1]  # eight unequal points are worth fewer equal ones
    with pytest.raises(ParameterError, match="positive weight"):
        calibration(said, true, weights=[0.0] * 8)
