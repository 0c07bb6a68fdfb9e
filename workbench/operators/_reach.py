"""Compiled bounded search from many nodes: the kernel of ``access.reach``."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

Floats = npt.NDArray[np.float64]
Int32s = npt.NDArray[np.int32]


def prepare(
    xy: Floats, indptr: Int32s, indices: Int32s, lengths: Floats
) -> tuple[npt.NDArray[np.int64], Int32s, Int32s, Floats]:
    """Renumber the nodes so that neighbours lie near each other in memory.

    Returns the new order (old number of each new node) and the rows of the renumbered matrix, each sorted by length so
    that a search can leave a row at the first neighbour out of reach.
    """
    n = len(indptr) - 1
    matrix = csr_array((lengths, indices, indptr), shape=(n, n))
    order = np.asarray(reverse_cuthill_mckee(matrix, symmetric_mode=True), dtype=np.int64)
    new = np.empty(n, dtype=np.int64)
    new[order] = np.arange(n)
    row = np.repeat(np.arange(n), np.diff(indptr))
    a, b = new[row], new[indices]
    by = np.lexsort((b, lengths, a))
    start = np.searchsorted(a[by], np.arange(n + 1)).astype(np.int32)
    return order, start, b[by].astype(np.int32), lengths[by]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def reach_rows(
    indptr: Any, indices: Any, lengths: Any, weights: Any, max_m: float, first: int, last: int, out: Any
) -> None:
    """Write the sums of ``weights`` within ``max_m`` of the nodes ``first`` to ``last - 1`` into ``out``.

    Binary heap with decrease-key; the distances and the heap places are reset only where they were touched.
    """
    n = len(indptr) - 1
    kinds = weights.shape[1]
    dist = np.full(n, np.inf)
    place = np.full(n, -1, np.int32)
    heap = np.empty(n, np.int32)
    key = np.empty(n, np.float64)
    seen = np.empty(n, np.int32)
    total = np.empty(kinds, np.float64)
    for origin in range(first, last):
        dist[origin] = 0.0
        heap[0], key[0], place[origin] = origin, 0.0, 0
        size, count = 1, 1
        seen[0] = origin
        total[:] = 0.0
        while size > 0:
            u, d = heap[0], key[0]
            for k in range(kinds):
                total[k] += weights[u, k]
            size -= 1
            if size > 0:  # the last leaf sinks from the root
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
            for e in range(indptr[u], indptr[u + 1]):
                v = indices[e]
                new = d + lengths[e]
                if new > max_m:
                    break  # neighbours are sorted by length
                if new < dist[v]:
                    if dist[v] == np.inf:
                        seen[count] = v
                        count += 1
                        hole = size
                        size += 1
                    else:
                        hole = place[v]
                    dist[v] = new
                    while hole > 0:
                        parent = (hole - 1) >> 1
                        if key[parent] <= new:
                            break
                        heap[hole], key[hole] = heap[parent], key[parent]
                        place[heap[hole]] = hole
                        hole = parent
                    heap[hole], key[hole], place[v] = v, new, hole
        for k in range(kinds):
            out[origin, k] = total[k]
        for k in range(count):
            dist[seen[k]] = np.inf
