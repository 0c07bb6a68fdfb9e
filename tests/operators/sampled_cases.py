"""Published worked examples of sampled areas and accuracy, and truths to draw samples from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Truth = tuple[Array, npt.NDArray[np.int64], Array]
"""Weights of the strata, points in each, and for each draw the shares of the classes within each stratum."""

NAMES = ["deforestation", "forest gain", "stable forest", "stable non-forest"]
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
"""Olofsson et al. 2014, table 8: points by class on the map (rows) and class found."""
PIXELS = {
    "deforestation": 200_000,
    "forest gain": 150_000,
    "stable forest": 3_200_000,
    "stable non-forest": 6_450_000,
}
"""Table 8: pixels of 30 m on the map."""


def olofsson() -> tuple[list[str], list[str]]:
    """Class on the map and class found of the 640 points."""
    mapped = [NAMES[i] for i in range(4) for j in range(4) for _ in range(COUNTS[i, j])]
    found = [NAMES[j] for i in range(4) for j in range(4) for _ in range(COUNTS[i, j])]
    return mapped, found


STEHMAN_AREAS = {"1": 40_000.0, "2": 30_000.0, "3": 20_000.0, "4": 10_000.0}
STEHMAN_STRATA = list("1" * 10 + "2" * 10 + "3" * 10 + "4" * 10)
STEHMAN_MAP = list("AAAAAAABBB" + "A" + "B" * 9 + "BB" + "C" * 6 + "BB" + "D" * 10)
STEHMAN_FOUND = list("AAAAACBABC" + "ABBBBBAABB" + "CCCCCDDBBA" + "DDDDDDDCCB")
"""Stehman 2014, table 2: 40 points in four strata that are not the classes of the map."""


def _truth(first: Array, missed: Array) -> Array:
    """Shares of classes in strata: ``first`` of class 0 in stratum 0, ``missed`` of class 0 in the others; 93 % of the rest is right."""
    draws, others = missed.shape
    count = others + 1
    shares = np.zeros((draws, count, count))
    shares[:, 0, 0] = first
    shares[:, 0, 1:] = ((1 - first) / others)[:, None]
    for at in range(1, count):
        rest = 1 - missed[:, at - 1]
        right = rest if count == 2 else 0.93 * rest
        shares[:, at, 0] = missed[:, at - 1]
        if count > 2:
            shares[:, at, 1:] = ((rest - right) / (count - 2))[:, None]
        shares[:, at, at] = right
    return shares


def regimes(rng: np.random.Generator, draws: int) -> dict[str, Callable[[], Truth]]:
    """Kinds of truth: each draw of a kind is another truth of it, or all are one where it says ``fixed``."""

    def even(low: float, high: float, *more: int) -> Array:
        return rng.uniform(low, high, (draws, *more))

    def orders(low: float, high: float, *more: int) -> Array:
        return np.exp(rng.uniform(np.log(low), np.log(high), (draws, *more)))

    def made(weights: list[float], points: list[int], shares: Array) -> Truth:
        return np.array(weights), np.array(points), shares

    return {
        "published example, fixed": lambda: made(
            [0.02, 0.015, 0.32, 0.645], [75, 75, 165, 325], np.tile(COUNTS / COUNTS.sum(axis=1, keepdims=True), (draws, 1, 1))
        ),
        "rare change": lambda: made([0.01, 0.99], [75, 425], _truth(even(0.6, 0.95), orders(3e-4, 2e-2, 1))),
        "rare change, fixed": lambda: made(
            [0.01, 0.99], [75, 425], _truth(np.full(draws, 0.8), np.full((draws, 1), 0.002))
        ),
        "rare change, three strata": lambda: made(
            [0.01, 0.30, 0.69], [100, 200, 300], _truth(even(0.6, 0.95), orders(3e-4, 2e-2, 2))
        ),
        "largest stratum without errors": lambda: made(
            [0.05, 0.25, 0.70], [75, 100, 200], _truth(even(0.6, 0.95), np.hstack([even(0.02, 0.08, 1), orders(2e-4, 3e-3, 1)]))
        ),
        "change stratum without errors": lambda: made(
            [0.05, 0.25, 0.70], [75, 100, 200], _truth(np.full(draws, 0.995), np.hstack([even(0.02, 0.08, 1), even(0.01, 0.03, 1)]))
        ),
        "fifteen points each": lambda: made([0.2, 0.3, 0.5], [15] * 3, _truth(even(0.7, 0.95), even(0.02, 0.2, 2))),
        "eight points each": lambda: made([0.2, 0.3, 0.5], [8] * 3, _truth(even(0.7, 0.95), even(0.02, 0.2, 2))),
        "six classes": lambda: made(
            [0.15, 0.25, 0.3, 0.1, 0.15, 0.05], [50] * 6, _truth(even(0.8, 0.97), even(0.002, 0.06, 5))
        ),
        "no errors anywhere": lambda: made(
            [0.2, 0.3, 0.5], [50] * 3, _truth(1 - orders(5e-4, 3e-2), orders(5e-4, 3e-2, 2))
        ),
    }  # fmt: skip
