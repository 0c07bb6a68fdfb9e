"""Compiled kernels of the landscape metrics: patches of equal class, their perimeters, and like adjacencies."""

from __future__ import annotations

from typing import Any

import numba


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _root(parent: Any, one: Any) -> Any:
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = parent[one]
    return one


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _join(parent: Any, one: Any, other: Any) -> Any:
    a, b = _root(parent, one), _root(parent, other)
    if a < b:
        parent[b] = a
        return a
    parent[a] = b
    return b


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def label(classes: Any, nodata: int, eight: bool, labels: Any, parent: Any) -> int:
    """Number the patches of equal class from 0 in the order of their first cell; -1 where there is no class.

    ``labels`` is written; ``parent`` is room for one number a cell. Returns the number of patches.
    """
    rows, columns = classes.shape
    used = 0
    for r in range(rows):
        for c in range(columns):
            value = classes[r, c]
            if value == nodata:
                labels[r, c] = -1
                continue
            mine = -1
            if c > 0 and classes[r, c - 1] == value:
                mine = labels[r, c - 1]
            if r > 0:
                first = c - 1 if eight and c > 0 else c
                last = c + 1 if eight and c + 1 < columns else c
                for k in range(first, last + 1):
                    if classes[r - 1, k] == value:
                        above = labels[r - 1, k]
                        mine = above if mine < 0 else _join(parent, mine, above)
            if mine < 0:
                mine = used
                parent[used] = used
                used += 1
            labels[r, c] = mine
    count = 0
    for one in range(used):  # roots come before what they stand for, so one pass numbers them
        if parent[one] == one:
            parent[one] = -count - 1
            count += 1
        else:
            root = parent[one]
            while root >= 0:
                root = parent[root]
            parent[one] = root
    for r in range(rows):
        for c in range(columns):
            if labels[r, c] >= 0:
                labels[r, c] = -parent[labels[r, c]] - 1
    return count


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def measure(classes: Any, labels: Any, cells: Any, upright: Any, level: Any) -> None:
    """Cells of each patch, and its edges in numbers of cell sides: upright ones (to left and right) and level ones."""
    rows, columns = classes.shape
    for r in range(rows):
        for c in range(columns):
            mine = labels[r, c]
            if mine < 0:
                continue
            cells[mine] += 1
            if c == 0 or labels[r, c - 1] != mine:
                upright[mine] += 1
            if c == columns - 1 or labels[r, c + 1] != mine:
                upright[mine] += 1
            if r == 0 or labels[r - 1, c] != mine:
                level[mine] += 1
            if r == rows - 1 or labels[r + 1, c] != mine:
                level[mine] += 1


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def adjacencies(numbers: Any, upright: Any, level: Any) -> None:
    """Count cell sides between classes, each side once; ``numbers`` holds class numbers, 0 for none.

    ``upright[i, j]``, ``level[i, j]``: sides between a cell of class i and, to its right (below it), one of class j.
    What lies beyond the raster counts as class 0.
    """
    rows, columns = numbers.shape
    for r in range(rows):
        upright[0, numbers[r, 0]] += 1
        for c in range(columns):
            mine = numbers[r, c]
            upright[mine, numbers[r, c + 1] if c + 1 < columns else 0] += 1
            level[mine, numbers[r + 1, c] if r + 1 < rows else 0] += 1
    for c in range(columns):
        level[0, numbers[0, c]] += 1
