"""Areas and accuracy from drawn samples: published examples to the digit, and how often intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from tests.operators.sampled_cases import (
    COUNTS,
    NAMES,
    PIXELS,
    STEHMAN_AREAS,
    STEHMAN_FOUND,
    STEHMAN_MAP,
    STEHMAN_STRATA,
    Truth,
    olofsson,
    regimes,
)  # fmt: skip
from workbench.core.errors import ParameterError
from workbench.operators._intervals import Limits, weighted_sum
from workbench.operators.accuracy import count_sample, measures, ratio_limits, sample_accuracy
from workbench.operators.sampled_area import decide, holds, stratified_areas

HECTARES = {name: pixels * 0.09 for name, pixels in PIXELS.items()}
DRAWS = 2500


def test_areas_of_the_published_example() -> None:
    """Olofsson et al. 2014, section 5.2.2: areas and 95 % intervals in hectares, to the digit."""
    mapped, found = olofsson()
    table = stratified_areas(HECTARES, mapped, found, interval="normal")
    assert table["area"].round(0).loc[NAMES].tolist() == [21_158, 11_686, 285_770, 581_386]
    half = (table["high"] - table["area"]).loc[NAMES]
    assert half.round(0).tolist() == [6_158, 3_756, 15_510, 16_281]
    # the paper's 16,282 is with 1.96 for the quantile
    assert (table["error"].loc[NAMES] * 1.96).round(0).tolist() == [6_158, 3_756, 15_510, 16_282]
    assert table.at["deforestation", "area"] / 0.09 == pytest.approx(235_086, abs=0.5)  # pixels, p. 54
    assert 1.96 * table.at["deforestation", "error"] / 0.09 == pytest.approx(68_418, abs=0.5)
    assert table.at["deforestation", "error"] / 900_000 == pytest.approx(0.0035, abs=5e-5)
    assert table["mapped"].loc[NAMES].tolist() == [18_000, 13_500, 288_000, 580_500]
    assert table["area"].sum() == pytest.approx(900_000)


def test_shares_of_the_published_example() -> None:
    """Table 9: estimated proportions of area, four digits."""
    sample = count_sample(PIXELS, *olofsson())
    assert sample.classes == tuple(NAMES)
    printed = [
        [0.0176, 0.0000, 0.0013, 0.0011],
        [0.0000, 0.0110, 0.0016, 0.0024],
        [0.0019, 0.0000, 0.2967, 0.0213],
        [0.0040, 0.0020, 0.0179, 0.6212],
    ]
    assert sample.shares.round(4).tolist() == printed
    assert sample.shares.sum(axis=0).round(4).tolist() == [0.0235, 0.0130, 0.3175, 0.6460]  # its last row


def test_accuracies_of_the_published_example() -> None:
    """Section 5.2.1: overall 0.95 ± 0.02; user's and producer's accuracies with half widths of 95 % intervals, two digits."""
    table = sample_accuracy(count_sample(PIXELS, *olofsson())).set_index(["measure", "class"])
    half = 1.96 * table["error"]
    assert (round(table.at[("overall", ""), "value"], 2), round(half["overall", ""], 2)) == (0.95, 0.02)
    users, producers = table.loc["users"].loc[NAMES], table.loc["producers"].loc[NAMES]
    assert users["value"].round(2).tolist() == [0.88, 0.73, 0.93, 0.96]
    assert half.loc["users"].loc[NAMES].round(2).tolist() == [0.07, 0.10, 0.04, 0.02]
    assert producers["value"].round(2).tolist() == [0.75, 0.85, 0.93, 0.96]
    assert half.loc["producers"].loc[NAMES].round(2).tolist()[0] == 0.21
    assert half.loc["producers"].loc[NAMES].round(2).tolist()[2] == 0.03
    # the two the paper prints as 0.23 and 0.01 do not follow from its equation 7, which gives 0.25 and 0.02
    assert half.loc["producers"].loc[NAMES].round(3).tolist() == [0.213, 0.254, 0.034, 0.018]


def test_strata_that_are_not_the_classes() -> None:
    """Stehman 2014, table 2 and pages 4932 to 4936; the other figures as two published programs give them."""
    sample = count_sample(STEHMAN_AREAS, STEHMAN_STRATA, STEHMAN_FOUND, mapped=STEHMAN_MAP)
    table = sample_accuracy(sample).set_index(["measure", "class"])
    areas = stratified_areas(STEHMAN_AREAS, STEHMAN_STRATA, STEHMAN_FOUND, class_areas={})
    assert areas["area"].tolist() == pytest.approx([35_000, 34_000, 20_000, 11_000])  # 0.35 of A, 0.20 of C
    assert areas.at["A", "error"] / 1e5 == pytest.approx(0.082, abs=5e-4)
    assert areas.at["C", "error"] / 1e5 == pytest.approx(0.064, abs=5e-4)
    assert table.loc[("overall", ""), ["value", "error"]].tolist() == pytest.approx([0.63, 0.085], abs=5e-4)
    assert sample.shares[1, 2] == pytest.approx(0.08)
    ours = [[table.at[(one, name), "value"] for name in "ABCD"] for one in ("users", "producers", "f1")]
    theirs = [
        [0.7419355, 0.5744681, 0.5000000, 0.7000000],
        [0.6571429, 0.7941176, 0.3000000, 0.6363636],
        [0.6969697, 0.6666667, 0.3750000, 0.6666667],
    ]
    assert np.allclose(ours, theirs, atol=1e-7)
    errors = [[table.at[(one, name), "error"] for name in "ABCD"] for one in ("users", "producers")]
    theirs = [
        [0.1645627, 0.1248023, 0.2151657, 0.1527525],
        [0.1477318, 0.1165671, 0.1504438, 0.1623242],
    ]
    assert np.allclose(errors, theirs, atol=1e-7)


def test_standard_errors_are_those_of_repeated_samples() -> None:
    """The published design drawn 4,000 times: what F1 and IoU scatter is what their standard errors say."""
    rng = np.random.default_rng(7)
    weights, points = np.array([*PIXELS.values()]) / 1e7, COUNTS.sum(axis=1)
    drawn = np.stack(
        [rng.multinomial(points[at], COUNTS[at] / points[at], size=4000) for at in range(4)], axis=1
    )
    again = measures((weights / points)[:, None] * drawn)
    table = sample_accuracy(count_sample(PIXELS, *olofsson())).set_index(["measure", "class"])
    for measure in ("f1", "iou", "producers"):
        scatter = np.nanstd(again[measure], axis=0)
        stated = table.loc[measure].loc[NAMES, "error"].to_numpy()
        assert np.allclose(stated[[0, 2, 3]], scatter[[0, 2, 3]], rtol=0.06), measure


def test_a_stratum_without_errors_has_width() -> None:
    """30 points of 30 right in each class: the normal interval has none, ours reaches to what 30 points leave open."""
    mapped = ["a"] * 30 + ["b"] * 30
    normal = stratified_areas({"a": 100.0, "b": 900.0}, mapped, mapped, interval="normal")
    assert (normal["high"] == normal["low"]).all()
    ours = stratified_areas({"a": 100.0, "b": 900.0}, mapped, mapped)
    assert ours["area"].tolist() == [100.0, 900.0]
    assert ours.at["a", "high"] == pytest.approx(
        100 + 900 * 0.0797, abs=0.5
    )  # Jeffreys: 0 of 30 goes up to 7.97 %
    assert ours.at["a", "low"] == pytest.approx(100 * (1 - 0.0797), abs=0.1)
    table = sample_accuracy(count_sample({"a": 100.0, "b": 900.0}, mapped, mapped))
    assert (table["value"] == 1).all() and (table["low"] < 0.999).all() and (table["high"] == 1).all()
    users = table[(table["measure"] == "users") & (table["class"] == "a")].iloc[0]
    assert users["low"] == pytest.approx(
        1 - 0.0797, abs=1e-4
    )  # the interval of 30 of 30, as for one proportion
    assert table[(table["measure"] == "producers") & (table["class"] == "a")]["low"].iloc[0] < 0.65


def test_a_class_nobody_found() -> None:
    sample = count_sample({"a": 1.0, "b": 9.0}, list("aabb"), list("bbbb"))
    table = sample_accuracy(sample).set_index(["measure", "class"])
    assert np.isnan(table.at[("producers", "a"), "value"])
    assert table.loc[("producers", "a"), ["low", "high"]].tolist() == [0.0, 1.0]
    assert table.at[("users", "a"), "value"] == 0.0 and table.at[("users", "a"), "high"] < 1


def test_classes_the_map_shows_are_compared() -> None:
    areas = stratified_areas(
        STEHMAN_AREAS, STEHMAN_STRATA, STEHMAN_FOUND, class_areas={"A": 31_000.0, "E": 5.0}
    )
    assert areas["mapped"].to_dict() == {"A": 31_000.0, "B": 0.0, "C": 0.0, "D": 0.0, "E": 5.0}
    assert areas.at["E", "area"] == 0.0 and areas.at["E", "high"] > 0


# ---------------------------------------------------------------------- how often the truth is inside


def held(found: Limits, truth: np.ndarray) -> float:
    return float(np.mean((found.low <= truth + 1e-12) & (truth <= found.high + 1e-12)))


def coverage(truth: Truth, rng: np.random.Generator) -> dict[str, float]:
    """Share of draws whose interval holds the truth, by measure; class 0 is the one asked about."""
    w, n, shares = truth
    y = np.stack([rng.multinomial(n[at], shares[:, at]) for at in range(len(w))], axis=1).astype(float)
    first = np.arange(len(w)) == 0
    right, missed, false = y[:, :, 0] * first, y[:, :, 0] * ~first, (n - y[:, :, 0]) * first
    t_right, t_missed = (w * shares[:, :, 0] * first).sum(axis=1), (w * shares[:, :, 0] * ~first).sum(axis=1)
    t_false = (w * (1 - shares[:, :, 0]) * first).sum(axis=1)
    hits = np.diagonal(y, axis1=1, axis2=2)
    every = np.ones_like(first)
    return {
        "area": held(weighted_sum(w, y[:, :, 0], n), t_right + t_missed),
        "overall": held(weighted_sum(w, hits, n), (w * np.diagonal(shares, axis1=1, axis2=2)).sum(axis=1)),
        "users": held(ratio_limits(w, right, false, n, can=(first, first)), t_right / (t_right + t_false)),
        "producers": held(ratio_limits(w, right, missed, n, can=(first, ~first)), t_right / (t_right + t_missed)),
        "f1": held(ratio_limits(w, right, false + missed, n, times=2, can=(first, every)),
                   2 * t_right / (2 * t_right + t_false + t_missed)),
        "iou": held(ratio_limits(w, right, false + missed, n, can=(first, every)), t_right / (t_right + t_false + t_missed)),
    }  # fmt: skip


def test_intervals_hold_the_truth() -> None:
    """2,500 draws a regime, nominal 0.95: 0.93 to 0.97 for areas and every measure of accuracy .

    Where hardly an error exists in any stratum the area cannot keep to that: an interval that excludes nothing when no error is
    seen holds every truth near none. There it is too wide, never too narrow.
    """
    rng = np.random.default_rng(4242)
    slack = 2.5 * np.sqrt(0.95 * 0.05 / DRAWS)  # of so many draws
    for name, make in regimes(rng, DRAWS).items():
        row = coverage(make(), rng)
        high = 0.99 if name == "no errors anywhere" else 0.97
        assert 0.93 - slack < min(row.values()) and max(row.values()) < high + slack, (name, row)


def test_the_normal_interval_does_not() -> None:
    """What the adjusted interval is for: with a rare change the normal one holds the truth in six cases of ten."""
    rng = np.random.default_rng(1)
    w, n, shares = regimes(rng, DRAWS)["rare change, fixed"]()
    share = np.stack([rng.binomial(n[at], shares[:, at, 0]) for at in range(2)], axis=1) / n
    value = (w * share).sum(axis=1)
    half = 1.96 * np.sqrt((w**2 * share * (1 - share) / (n - 1)).sum(axis=1))
    truth = (w * shares[0, :, 0]).sum()
    assert np.mean(np.abs(value - truth) <= half) < 0.7


# ---------------------------------------------------------------------- decisions


def test_limits_and_intervals() -> None:
    assert holds(3, 5, 5.5, "<=") is True and holds(3, 5, 2, "<=") is False and holds(3, 5, 4, "<=") is None
    with pytest.raises(ParameterError, match="comparison"):
        holds(3, 5, 4, "<")


def test_decided_undecided_and_how_many_more() -> None:
    mapped, found = olofsson()
    certain = decide(HECTARES, mapped, found, "deforestation", threshold=40_000, op="<=")
    assert certain.answer is True and certain.more == {} and certain.further == 0
    assert decide(HECTARES, mapped, found, "deforestation", threshold=9_000, op="<=").answer is False
    open_ = decide(HECTARES, mapped, found, "deforestation", threshold=25_000, op="<=")
    assert open_.answer is None and open_.low < 25_000 < open_.high
    assert open_.more is not None and open_.further is not None and 100 < open_.further < 3_000
    assert (
        max(open_.more, key=lambda name: open_.more[name]) == "stable non-forest"
    )  # where missed change hides
    # with those points and the same shares the answer is there, and with a tenth fewer it is not
    grown = {name: _repeat(mapped, found, name, open_.more.get(name, 0)) for name in NAMES}
    more_mapped = [*mapped, *(name for name, extra in grown.items() for _ in extra)]
    more_found = [*found, *(one for extra in grown.values() for one in extra)]
    again = decide(HECTARES, more_mapped, more_found, "deforestation", threshold=25_000, op="<=")
    assert again.high == pytest.approx(25_000, rel=0.02)


def _repeat(mapped: list[str], found: list[str], name: str, number: int) -> list[str]:
    """So many further points of a stratum with the shares it has, evenly taken."""
    own = sorted(one for left, one in zip(mapped, found, strict=True) if left == name)
    return [own[int((k + 0.5) * len(own) / number)] for k in range(number)]


def test_what_points_never_decide() -> None:
    mapped = ["a"] * 50 + ["b"] * 50
    found = ["a"] * 40 + ["b"] * 60
    value = stratified_areas({"a": 1.0, "b": 1.0}, mapped, found).at["a", "area"]
    never = decide({"a": 1.0, "b": 1.0}, mapped, found, "a", threshold=value, op=">=")
    assert never.answer is None and never.more is None and never.further is None


def test_bad_samples_are_refused() -> None:
    with pytest.raises(ParameterError, match="at least two"):
        stratified_areas({"a": 1.0, "b": 1.0}, list("aab"), list("aab"))
    with pytest.raises(ParameterError, match="does not have"):
        stratified_areas({"a": 1.0}, list("aab"), list("aab"))
    with pytest.raises(ParameterError, match="level"):
        stratified_areas({"a": 1.0}, list("aa"), list("aa"), level=95)
