"""Intervals of sums and ratios of proportions from a stratified sample, with width also where nothing was seen.

Each stratum's proportion gets its Jeffreys interval; the limits are put together by the distances from the estimate (Zou and
Donner 2008; for ratios Donner and Zou 2012). A stratum without a hit has the width its number of points allows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from workbench.core.errors import ParameterError

Array = npt.NDArray[np.float64]
PRIOR = 0.5
"""Points of each kind that the Jeffreys prior stands for."""


class Limits(NamedTuple):
    """An estimate and its interval."""

    value: Array
    low: Array
    high: Array


def check_level(level: float) -> float:
    """Share left out on each side by a confidence level.

    Raises
    ------
    ParameterError
        When it does not lie between 0 and 1.
    """
    if not 0 < level < 1:
        raise ParameterError("the confidence level lies between 0 and 1", found=level)
    return (1 - level) / 2


def proportion(hits: npt.ArrayLike, points: npt.ArrayLike, level: float = 0.95) -> Limits:
    """Proportion with its Jeffreys interval; 0 and 1 belong to it when none or all were hits.

    Examples
    --------
    >>> round(float(proportion(0, 75).high), 4)
    0.0328
    """
    tail = check_level(level)
    y, n = np.broadcast_arrays(np.asarray(hits, dtype=float), np.asarray(points, dtype=float))
    low = np.where(y <= 0, 0.0, beta.ppf(tail, y + PRIOR, n - y + PRIOR))
    high = np.where(y >= n, 1.0, beta.ppf(1 - tail, y + PRIOR, n - y + PRIOR))
    return Limits(y / n, low, high)


def weighted_sum(
    weights: npt.ArrayLike, hits: npt.ArrayLike, points: npt.ArrayLike, level: float = 0.95
) -> Limits:
    """Sum over strata (last axis) of weight times proportion, with its interval.

    Parameters
    ----------
    weights, hits, points : array of shape (…, strata)
        Share of each stratum in the whole (0 leaves a stratum out), hits and points in it.
    level : float
        Confidence.

    Examples
    --------
    >>> found = weighted_sum([0.02, 0.98], [60, 0], [75, 300])
    >>> [round(float(one), 4) for one in found]
    [0.016, 0.014, 0.0243]
    """
    w = np.asarray(weights, dtype=float)
    one = proportion(hits, points, level)
    value = (w * one.value).sum(axis=-1)
    below = np.sqrt((w**2 * (one.value - one.low) ** 2).sum(axis=-1))
    above = np.sqrt((w**2 * (one.high - one.value) ** 2).sum(axis=-1))
    return Limits(value, np.maximum(value - below, 0.0), value + above)


def share_of(part: Limits, rest: Limits, correlation: npt.ArrayLike) -> Limits:
    """Interval of ``part / (part + rest)`` from those of both; missing where both are nothing.

    Parameters
    ----------
    part, rest : Limits
        Two amounts, neither negative.
    correlation : array
        Of their estimates, -1 to 0.
    """
    a, b = rest, part
    r = np.asarray(correlation, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = a.value * b.value - r * (a.value - a.low) * (b.high - b.value)
        product = a.low * b.high * (2 * a.value - a.low) * (2 * b.value - b.high)
        root = np.sqrt(np.maximum(middle**2 - product, 0.0))
        below = a.low * (2 * a.value - a.low)
        least = np.where(below > 0, below / (middle + root), 0.0)
        middle = a.value * b.value - r * (a.high - a.value) * (b.value - b.low)
        product = a.high * b.low * (2 * a.value - a.high) * (2 * b.value - b.low)
        root = np.sqrt(np.maximum(middle**2 - product, 0.0))
        under = b.low * (2 * b.value - b.low)
        most = np.where(under > 0, (middle + root) / under, np.inf)
        value = np.where(part.value + rest.value > 0, part.value / (part.value + rest.value), np.nan)
        return Limits(value, 1 / (1 + most), 1 / (1 + least))
