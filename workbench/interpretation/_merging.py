"""Compiled kernels of map units: which pieces touch over how many sides, and small pieces joined to neighbours."""

from __future__ import annotations

import heapq
from typing import Any

import numba
import numpy as np

from workbench.operators._patches import _join, _root

_FULL = np.int64(1) << 32


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def sides(
    labels: Any, above: Any, classes: Any, classes_above: Any, offset: int, keys: Any, counts: Any
) -> int:
    """Write touching pieces as runs of cell sides: key (lower number x 2^32 + higher), number of sides.

    ``labels`` are those of a strip (-1 none), numbered on from ``offset``; ``above`` the row before, numbered already.
    Two pieces of one class that the edge of the strip cuts apart come out with a count of 0. Returns how many runs.
    """
    rows, columns = labels.shape
    used = 0
    last = np.int64(-1)
    for r in range(rows):
        for c in range(columns):
            mine = labels[r, c]
            if mine < 0:
                last = np.int64(-1)
                continue
            own = np.int64(mine) + offset
            if r == 0:
                other = np.int64(above[c])
                cut = classes_above[c] == classes[r, c]
            else:
                other = np.int64(labels[r - 1, c])
                cut = False
                if other >= 0:
                    other += offset
            if other >= 0 and other != own:
                key = min(own, other) * _FULL + max(own, other)
                if key == last and not cut and counts[used - 1] > 0:
                    counts[used - 1] += 1
                else:
                    keys[used] = key
                    counts[used] = 0 if cut else 1
                    used += 1
                last = key
            else:
                last = np.int64(-1)
        for c in range(1, columns):
            mine, other = labels[r, c], labels[r, c - 1]
            if mine >= 0 and other >= 0 and mine != other:
                low, high = min(mine, other), max(mine, other)
                keys[used] = (np.int64(low) + offset) * _FULL + np.int64(high) + offset
                counts[used] = 1
                used += 1
    return used


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def unite(pairs: Any, parent: Any) -> None:
    """Join pairs of numbers; then every number's parent is the least one it is joined with."""
    for i in range(len(pairs)):
        _join(parent, pairs[i, 0], pairs[i, 1])
    for i in range(len(parent)):
        parent[i] = _root(parent, i)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def absorb(classes: Any, cells: Any, least: Any, first: Any, neighbour: Any, length: Any, parent: Any) -> int:
    """Join every piece smaller than the least of its class to the neighbour it shares the longest border with.

    Smallest first; of equals the one that begins first on the map. Of neighbours with borders of one length the larger
    goes first, then the one that begins first. What a piece comes to lie beside of its new class joins it. ``classes`` and
    ``cells`` are changed; ``first, neighbour, length`` are the lists of neighbours (CSR). A piece without neighbours
    stays. Returns how many pieces were joined to others.
    """
    count = len(classes)
    head, tail = np.full(count, -1, dtype=np.int64), np.full(count, -1, dtype=np.int64)
    link = np.full(len(neighbour), -1, dtype=np.int64)
    for i in range(count):
        for e in range(first[i], first[i + 1]):
            if head[i] < 0:
                head[i] = e
            else:
                link[tail[i]] = e
            tail[i] = e
    border = np.zeros(count, dtype=np.int64)
    heap = [(np.int64(0), np.int64(0)) for _ in range(0)]
    for i in range(count):
        if cells[i] < least[classes[i]]:
            heapq.heappush(heap, (np.int64(cells[i]), np.int64(i)))
    touched = np.empty(count, dtype=np.int64)
    joined = 0
    while len(heap) > 0:
        size, one = heapq.heappop(heap)
        if parent[one] != one or cells[one] != size or size >= least[classes[one]]:
            continue
        used = 0
        e = head[one]
        while e >= 0:
            other = _root(parent, neighbour[e])
            if other != one:
                if border[other] == 0:
                    touched[used] = other
                    used += 1
                border[other] += length[e]
            e = link[e]
        best = np.int64(-1)
        for k in range(used):
            other = touched[k]
            if (
                best < 0
                or border[other] > border[best]
                or (
                    border[other] == border[best]
                    and (cells[other] > cells[best] or (cells[other] == cells[best] and other < best))
                )
            ):
                best = other
        for k in range(used):
            border[touched[k]] = 0
        if best < 0:
            continue
        value = classes[best]
        keep = one
        for k in range(used):
            other = touched[k]
            if classes[other] != value:
                continue
            low, high = min(keep, other), max(keep, other)
            parent[high] = low
            cells[low] += cells[high]
            if head[high] >= 0:
                if head[low] < 0:
                    head[low] = head[high]
                else:
                    link[tail[low]] = head[high]
                tail[low] = tail[high]
            keep = low
            joined += 1
        classes[keep] = value
        if cells[keep] < least[value]:
            heapq.heappush(heap, (np.int64(cells[keep]), np.int64(keep)))
    for i in range(count):
        parent[i] = _root(parent, i)
    return joined
