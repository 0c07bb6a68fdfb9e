"""Order of a graph's nodes for compiled searches: neighbours near each other in memory."""

from __future__ import annotations

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
