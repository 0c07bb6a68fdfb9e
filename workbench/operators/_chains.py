"""Compiled bounded search from every node of a graph whose bends are folded into chains: the kernel of ``access.reach``.

Most nodes of a street network only join two pieces. A chain is a way between two cores (nodes with one, or with three or
more neighbours) through such nodes. The search visits cores alone; what it reaches of a chain is read from running sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from workbench.operators._heap import rise, sink

Floats = npt.NDArray[np.float64]
Int32s = npt.NDArray[np.int32]
SURE = 1e-6
"""Chains reached from both ends with this much to spare are reached as a whole; closer ones are looked at node by node."""


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def walk_chains(indptr: Any, indices: Any, lengths: Any) -> Any:
    """Fold a symmetric graph without loops: numbers of the cores, and ends, lengths and members of the chains."""
    n = len(indptr) - 1
    core = np.full(n, -1, np.int32)
    cores = 0
    for u in range(n):
        if indptr[u + 1] - indptr[u] != 2:
            core[u] = cores
            cores += 1
    most = len(indices) // 2 + 1
    ends = np.empty((most, 2), np.int32)
    whole = np.empty(most, np.float64)
    start = np.zeros(most + 1, np.int64)
    member = np.empty(n, np.int32)
    from_a = np.empty(n, np.float64)
    from_b = np.empty(n, np.float64)
    steps = np.empty(n + 1, np.float64)
    met = np.zeros(n, np.bool_)
    chains = 0
    filled = 0
    for turn in range(2):
        for u in range(n):
            if turn == 1:
                if core[u] >= 0 or met[u]:
                    continue
                core[u] = cores  # a ring of bends alone: one of them stands for a core
                cores += 1
            elif core[u] < 0:
                continue
            for e in range(indptr[u], indptr[u + 1]):
                v = indices[e]
                if core[v] >= 0:
                    if core[v] > core[u]:
                        ends[chains, 0], ends[chains, 1], whole[chains] = core[u], core[v], lengths[e]
                        chains += 1
                        start[chains] = filled
                    continue
                if met[v]:
                    continue
                first = filled
                before, here = u, v
                steps[0] = lengths[e]
                length = lengths[e]
                while core[here] < 0:
                    met[here] = True
                    member[filled], from_a[filled] = here, length
                    filled += 1
                    k = indptr[here]
                    if indices[k] == before:
                        k += 1
                    before, here = here, indices[k]
                    steps[filled - first] = lengths[k]
                    length += lengths[k]
                back = 0.0
                for k in range(filled - 1, first - 1, -1):
                    back += steps[k - first + 1]
                    from_b[k] = back
                ends[chains, 0], ends[chains, 1], whole[chains] = core[u], core[here], length
                chains += 1
                start[chains] = filled
    return (
        core, cores, ends[:chains], whole[:chains], start[: chains + 1], member[:filled], from_a[:filled],
        from_b[:filled],
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Folded:
    """A graph folded into cores and chains; cores are numbered so that neighbours lie near each other in memory."""

    core: Int32s
    """Number of the core each node is; -1 for members of chains."""
    indptr: Int32s
    """Row starts of the ways between cores, each row sorted by length."""
    indices: Int32s
    """Core at the other end."""
    lengths: Floats
    """Length of the way."""
    chain: Int32s
    """Chain each way is."""
    side: Int32s
    """0 from the chain's first end, 1 from its last."""
    ends: Int32s
    """Cores at both ends of each chain."""
    whole: Floats
    """Length of each chain."""
    start: npt.NDArray[np.int64]
    """First member of each chain."""
    member: Int32s
    """Nodes of the chains, from the first end to the last."""
    from_a: Floats
    """Length from the chain's first end to each member."""
    from_b: Floats
    """Length from its last end."""
    of: Int32s
    """Chain of each member."""


def fold(indptr: Int32s, indices: Int32s, lengths: Floats) -> Folded:
    """Fold the bends of a graph (symmetric, no loops, no parallel ways) into chains."""
    core, cores, ends, whole, start, member, from_a, from_b = walk_chains(indptr, indices, lengths)
    chains = len(whole)
    both = (np.concatenate((ends[:, 0], ends[:, 1])), np.concatenate((ends[:, 1], ends[:, 0])))
    matrix = csr_array((np.ones(2 * chains, dtype=np.int8), both), shape=(cores, cores))
    order = reverse_cuthill_mckee(matrix, symmetric_mode=True)
    new = np.empty(cores, dtype=np.int32)
    new[order] = np.arange(cores, dtype=np.int32)
    ends, a, b = new[ends], new[both[0]], new[both[1]]
    length, chain = np.tile(whole, 2), np.tile(np.arange(chains, dtype=np.int32), 2)
    side = np.repeat(np.array([0, 1], dtype=np.int32), chains)
    by = np.lexsort((length, a))
    return Folded(
        core=np.where(core >= 0, new[core], np.int32(-1)) if cores else core,
        indptr=np.searchsorted(a[by], np.arange(cores + 1)).astype(np.int32),
        indices=b[by],
        lengths=length[by],
        chain=chain[by],
        side=side[by],
        ends=ends,
        whole=whole,
        start=start,
        member=member,
        from_a=from_a,
        from_b=from_b,
        of=np.repeat(np.arange(chains, dtype=np.int32), np.diff(start)),
    )


def running_sums(folded: Folded, weights: Floats) -> Floats:
    """Sums of the weights along each chain: a row of nought and one a member, chain after chain."""
    chains, kinds = len(folded.whole), weights.shape[1]
    rows = np.zeros((len(folded.member) + chains, kinds))
    at = np.arange(len(folded.member)) + folded.of + 1
    rows[at] = weights[folded.member]
    total = np.cumsum(rows, axis=0)
    first = folded.start[:-1] + np.arange(chains)
    size = np.diff(folded.start) + 1
    return np.ascontiguousarray(total - np.repeat(total[first], size, axis=0))


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def balls(indptr: Any, indices: Any, lengths: Any, max_m: float, sources: Any) -> Any:
    """Cores within ``max_m`` of each source: where its row starts, which cores, how far."""
    n = len(indptr) - 1
    dist = np.full(n, np.inf)
    place = np.full(n, -1, np.int32)
    heap = np.empty(n + 1, np.int32)
    key = np.empty(n + 1, np.float64)
    begin = np.zeros(len(sources) + 1, np.int64)
    capacity = 64 * len(sources) + n
    ball = np.empty(capacity, np.int32)
    far = np.empty(capacity, np.float64)
    filled = 0
    for row in range(len(sources)):
        if filled + n > capacity:
            capacity = 2 * capacity
            more_ball = np.empty(capacity, np.int32)
            more_far = np.empty(capacity, np.float64)
            more_ball[:filled] = ball[:filled]
            more_far[:filled] = far[:filled]
            ball, far = more_ball, more_far
        origin = sources[row]
        dist[origin] = 0.0
        heap[0], key[0], place[origin] = origin, 0.0, 0
        size = 1
        while size > 0:
            u, d = heap[0], key[0]
            ball[filled], far[filled] = u, d
            filled += 1
            size -= 1
            if size > 0:
                sink(heap, key, place, size)
            for e in range(indptr[u], indptr[u + 1]):
                new = d + lengths[e]
                if new > max_m:
                    break  # ways are sorted by length
                v = indices[e]
                if new < dist[v]:
                    if dist[v] == np.inf:
                        hole = size
                        size += 1
                    else:
                        hole = place[v]
                    dist[v] = new
                    rise(heap, key, place, hole, v, new)
        begin[row + 1] = filled
        for k in range(begin[row], filled):
            dist[ball[k]] = np.inf
    return begin, ball[:filled], far[:filled]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def add_ways(
    count: int, metres: Any, way_chain: Any, way_a: Any, way_b: Any, whole: Any, start: Any, from_a: Any, from_b: Any,
    sums: Any, max_m: float, total: Any,
) -> None:  # fmt: skip
    """Add what is reached of the members of some chains, given how far their ends are (place -1: not reached)."""
    kinds = len(total)
    for w in range(count):
        c = way_chain[w]
        a = metres[way_a[w]] if way_a[w] >= 0 else np.inf
        b = metres[way_b[w]] if way_b[w] >= 0 else np.inf
        first, last = start[c], start[c + 1]
        if 2.0 * max_m - a - b > whole[c] + SURE and a <= max_m and b <= max_m:
            for k in range(kinds):
                total[k] += sums[last + c, k]
            continue
        low, high = first, last
        while low < last and a + from_a[low] <= max_m:
            low += 1
        while high > low and b + from_b[high - 1] <= max_m:
            high -= 1
        for k in range(kinds):
            total[k] += sums[low + c, k] - sums[first + c, k] + sums[last + c, k] - sums[high + c, k]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def reach_block(
    indptr: Any, indices: Any, lengths: Any, chain: Any, ends: Any, whole: Any, start: Any, from_a: Any, from_b: Any,
    core_weights: Any, member_weights: Any, sums: Any, max_m: float, cores: Any, chains: Any, needed: Any, out: Any,
) -> None:  # fmt: skip
    """Write the sums within ``max_m`` of some cores and of the members of some chains into ``out``.

    ``needed`` are these cores and the ends of these chains, ascending. ``out`` has the cores first, then the members.
    """
    n, kinds = len(indptr) - 1, core_weights.shape[1]
    begin, ball, far = balls(indptr, indices, lengths, max_m, needed)
    row_of = np.full(n, -1, np.int32)
    for row in range(len(needed)):
        row_of[needed[row]] = row
    local, near = np.full(n, -1, np.int32), np.empty(n, np.int32)
    to_a, to_b = np.empty(n, np.float64), np.empty(n, np.float64)
    metres = np.empty(n, np.float64)
    most = len(whole)
    way_chain, way_a, way_b = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    met = np.full(most, -1, np.int32)
    total = np.empty(kinds, np.float64)
    for task in range(len(cores) + len(chains)):
        own = -1
        first_row = row_of[cores[task]] if task < len(cores) else -1
        second_row = -1
        if task >= len(cores):
            own = chains[task - len(cores)]
            first_row, second_row = row_of[ends[own, 0]], row_of[ends[own, 1]]
        count = 0
        for k in range(begin[first_row], begin[first_row + 1]):
            local[ball[k]] = count
            near[count], to_a[count], to_b[count] = ball[k], far[k], np.inf
            count += 1
        if own >= 0:
            for k in range(begin[second_row], begin[second_row + 1]):
                at = local[ball[k]]
                if at < 0:
                    at = count
                    local[ball[k]] = at
                    near[at], to_a[at] = ball[k], np.inf
                    count += 1
                to_b[at] = far[k]
        ways = 0
        for i in range(count):
            for e in range(indptr[near[i]], indptr[near[i] + 1]):
                c = chain[e]
                if start[c] < start[c + 1] and c != own and met[c] != task:
                    met[c] = task
                    way_chain[ways], way_a[ways], way_b[ways] = c, local[ends[c, 0]], local[ends[c, 1]]
                    ways += 1
        if own < 0:
            for k in range(kinds):
                total[k] = 0.0
            for i in range(count):
                for k in range(kinds):
                    total[k] += core_weights[near[i], k]
            add_ways(count=ways, metres=to_a, way_chain=way_chain, way_a=way_a, way_b=way_b, whole=whole, start=start,
                     from_a=from_a, from_b=from_b, sums=sums, max_m=max_m, total=total)  # fmt: skip
            for k in range(kinds):
                out[cores[task], k] = total[k]
        else:
            for j in range(start[own], start[own + 1]):
                a, b = from_a[j], from_b[j]
                for k in range(kinds):
                    total[k] = 0.0
                for i in range(count):
                    metres[i] = min(a + to_a[i], b + to_b[i])
                    if metres[i] <= max_m:
                        for k in range(kinds):
                            total[k] += core_weights[near[i], k]
                add_ways(count=ways, metres=metres, way_chain=way_chain, way_a=way_a, way_b=way_b, whole=whole,
                         start=start, from_a=from_a, from_b=from_b, sums=sums, max_m=max_m, total=total)  # fmt: skip
                left, right = metres[local[ends[own, 0]]], metres[local[ends[own, 1]]]
                for q in range(start[own], start[own + 1]):
                    if abs(from_a[q] - a) <= max_m or left + from_a[q] <= max_m or right + from_b[q] <= max_m:
                        for k in range(kinds):
                            total[k] += member_weights[q, k]
                for k in range(kinds):
                    out[n + j, k] = total[k]
        for i in range(count):
            local[near[i]] = -1
