"""Compiled loops of :mod:`workbench.operators.composite`: a sorting network over dates, many cells at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from workbench.operators.loops import compiled

PIECE = 2048
"""Cells that are sorted together; they stay in the processor's nearest cache."""


@lru_cache(maxsize=64)
def network(n: int) -> np.ndarray:
    """Return comparators (i, j) that sort n values: Batcher's odd-even merge sort (Knuth, TAOCP 3, 5.2.2M)."""
    pairs = []
    p = 1
    while p < n:
        k = p
        while k >= 1:
            for j in range(k % p, n - k, 2 * k):
                for i in range(min(k, n - j - k)):
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p):
                        pairs.append((i + j, i + j + k))
            k //= 2
        p *= 2
    return np.array(pairs, np.int64).reshape(-1, 2)


@compiled
def _order(low: Any, high: Any, size: int) -> None:
    for c in range(size):
        a, b = low[c], high[c]
        low[c] = b if a > b else a
        high[c] = a if a > b else b


@compiled
def _middle_integer(a: Any, b: Any) -> Any:
    """Mean of two integers, half to the even neighbour (as numpy.rint of their float mean)."""
    total = np.int64(a) + np.int64(b)
    half = total >> 1
    return half + (half & 1) if total & 1 else half


@compiled
def _middle_float(a: Any, b: Any) -> Any:
    return (a + b) / 2


@compiled
def _take(
    line: Any, clear: Any, nodata: Any, skip_nodata: bool, top: Any, sorted_line: Any, count: Any
) -> None:
    """Copy what is valid, the greatest value elsewhere, and count what is valid."""
    for c in range(line.size):
        value = line[c]
        good = clear[c] and value == value and not (skip_nodata and value == nodata)
        sorted_line[c] = value if good else top
        count[c] += 1 if good else 0


def _reducer(middle: Callable[[Any, Any], Any]) -> Any:
    @compiled
    def reduce_tile(
        data: Any,
        band: int,
        clear: Any,
        pairs: Any,
        nodata: Any,
        skip_nodata: bool,
        fill: Any,
        top: Any,
        kind: int,
        out: Any,
        row0: int,
        col0: int,
    ) -> None:
        """Reduce one band of (dates, bands, rows, cols) into ``out`` from (row0, col0); ``kind`` 0 median, 1 least, 2 greatest.

        Whole arrays and places in them, not views, so that one compiled version serves every tile.
        """
        dates, _, rows, cols = data.shape
        stack = np.empty((dates, PIECE), data.dtype)
        count = np.empty(PIECE, np.int32)
        for r in range(rows):
            for start in range(0, cols, PIECE):
                stop = min(start + PIECE, cols)
                size = stop - start
                count[:] = 0
                for d in range(dates):
                    _take(
                        data[d, band, r, start:stop],
                        clear[d, r, start:stop],
                        nodata,
                        skip_nodata,
                        top,
                        stack[d],
                        count,
                    )
                for k in range(pairs.shape[0]):
                    _order(stack[pairs[k, 0]], stack[pairs[k, 1]], size)
                for c in range(size):
                    n = count[c]
                    if n == 0:
                        out[row0 + r, col0 + start + c] = fill
                    elif kind == 1:
                        out[row0 + r, col0 + start + c] = stack[0, c]
                    elif kind == 2:
                        out[row0 + r, col0 + start + c] = stack[n - 1, c]
                    elif n & 1:
                        out[row0 + r, col0 + start + c] = stack[n >> 1, c]
                    else:
                        out[row0 + r, col0 + start + c] = middle(stack[(n >> 1) - 1, c], stack[n >> 1, c])

    return reduce_tile


reduce_integer = _reducer(_middle_integer)
reduce_float = _reducer(_middle_float)
