"""A heap of nodes by their distance, with the place of each node in it, for compiled searches."""

from __future__ import annotations

from typing import Any

import numba


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def rise(heap: Any, key: Any, place: Any, hole: int, node: int, value: float) -> None:
    """Put a node in at ``hole`` or nearer to the root, where its value belongs."""
    while hole > 0:
        parent = (hole - 1) >> 1
        if key[parent] <= value:
            break
        heap[hole], key[hole] = heap[parent], key[parent]
        place[heap[hole]] = hole
        hole = parent
    heap[hole], key[hole], place[node] = node, value, hole


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def sink(heap: Any, key: Any, place: Any, size: int) -> None:
    """Let the last leaf (at ``size``, which no longer belongs to the heap) sink from the root."""
    node, value = heap[size], key[size]
    hole = 0
    child = 1
    while child < size:
        if child + 1 < size and key[child + 1] < key[child]:
            child += 1
        if key[child] >= value:
            break
        heap[hole], key[hole] = heap[child], key[child]
        place[heap[hole]] = hole
        hole = child
        child = 2 * hole + 1
    heap[hole], key[hole], place[node] = node, value, hole
