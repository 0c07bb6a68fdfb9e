"""Compiled kernels of change detection without labels: one pass over pixels for distances, weights and moments."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def survival(value: float, degrees: int) -> float:
    """Chance that a chi-square variable of some degrees of freedom exceeds a value."""
    half = 0.5 * value
    if half > 700.0:
        return 0.0
    if degrees % 2 == 0:
        term, total = 1.0, 1.0
        for k in range(1, degrees // 2):
            term *= half / k
            total += term
        return math.exp(-half) * total
    root = math.sqrt(half)
    total = math.erfc(root)
    term = math.exp(-half) * root * 2.0 / math.sqrt(math.pi)
    for k in range(1, (degrees + 1) // 2):
        total += term
        term *= half / (k + 0.5)
    return total


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def moments(pixels: Any, centre: Any, project: Any, scale: Any, weighted: bool, out: Any) -> None:
    """Add the weighted moments of pixels (band of both dates, pixel) about a centre to ``out`` (bands + 1, bands + 1).

    ``out[0, 0]`` is the sum of weights, ``out[0, k]`` the weighted sums, the rest the weighted products. The weight of a
    pixel is the chance of no change: that a chi-square variable exceeds its sum of squared variates; ``project`` (variate,
    band) makes the variates of centred pixels, ``scale`` is one over the variance of each.
    """
    bands, count = pixels.shape
    variates = scale.shape[0]
    x = np.empty(bands, dtype=np.float64)
    for i in range(count):
        for k in range(bands):
            x[k] = pixels[k, i] - centre[k]
        weight = 1.0
        if weighted:
            total = 0.0
            for v in range(variates):
                mad = 0.0
                for k in range(bands):
                    mad += project[v, k] * x[k]
                total += mad * mad * scale[v]
            weight = survival(total, variates)
        out[0, 0] += weight
        for k in range(bands):
            part = weight * x[k]
            out[0, k + 1] += part
            for m in range(k, bands):
                out[k + 1, m + 1] += part * x[m]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def distances(before: Any, after: Any, centre: Any, project: Any, scale: Any, out: Any) -> None:
    """Root of the sum of squared variates of each pixel (band, pixel) of two dates."""
    bands, count = before.shape
    variates = scale.shape[0]
    for i in range(count):
        total = 0.0
        for v in range(variates):
            mad = 0.0
            for k in range(bands):
                mad += project[v, k] * (before[k, i] - centre[k])
                mad += project[v, bands + k] * (after[k, i] - centre[bands + k])
            total += mad * mad * scale[v]
        out[i] = math.sqrt(total)
