"""Compiled matching of edges: which edges of a layer are the same stretch of ground."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.operators.loops import compiled


@compiled
def _group_edges(ends: Any, slots: Any, group: Any, sides: Any) -> int:
    """Number equal edges alike; count in ``sides`` how many polygons lie on either side of each group.

    ``ends`` has the lesser end first and the way in its last column (1 when turned); ``slots`` is a table of -1 whose
    length is a power of two above twice the number of edges.
    """
    mask = np.uint64(len(slots) - 1)
    found = 0
    for i in range(len(ends)):
        h = np.uint64(ends[i, 0]) * np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(29))) + np.uint64(ends[i, 1]) * np.uint64(0xC2B2AE3D27D4EB4F)
        h = (h ^ (h >> np.uint64(31))) + np.uint64(ends[i, 2]) * np.uint64(0x165667B19E3779F9)
        h = (h ^ (h >> np.uint64(30))) + np.uint64(ends[i, 3]) * np.uint64(0xD6E8FEB86659FD93)
        h = (h ^ (h >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
        at = (h ^ (h >> np.uint64(29))) & mask
        while True:
            k = slots[at]
            if k < 0:
                slots[at] = i
                group[i] = found
                found += 1
                break
            if (
                ends[k, 0] == ends[i, 0]
                and ends[k, 1] == ends[i, 1]
                and ends[k, 2] == ends[i, 2]
                and ends[k, 3] == ends[i, 3]
            ):
                group[i] = group[k]
                break
            at = (at + np.uint64(1)) & mask
        sides[group[i], ends[i, 4]] += 1
    return found


def open_edges(first: Any, last: Any) -> tuple[Any, Any]:
    """Positions of the edges that do not have exactly one polygon on either side, and their groups of equal ones.

    Parameters
    ----------
    first, last : array of int64, shape (n, 2)
        Ends of the edges, the polygon to the left.
    """
    turned = (first[:, 0] > last[:, 0]) | ((first[:, 0] == last[:, 0]) & (first[:, 1] > last[:, 1]))
    ends = np.empty((len(first), 5), dtype=np.int64)
    ends[:, :2] = np.where(turned[:, None], last, first)
    ends[:, 2:4] = np.where(turned[:, None], first, last)
    ends[:, 4] = turned
    group = np.empty(len(ends), dtype=np.int64)
    sides = np.zeros((len(ends), 2), dtype=np.int32)
    slots = np.full(
        1 << int(2 * len(ends)).bit_length(), -1, dtype=np.int32 if len(ends) < 2**31 else np.int64
    )
    _group_edges(ends, slots, group, sides)
    at = np.flatnonzero(~(sides == 1).all(axis=1)[group])
    return at, group[at]
