"""Compiled kernels of outlines: borders of a raster of pieces as arcs between nodes, strip by strip, and rings of them.

Vertices are corners of cells (row, column). A node is where three or four borders meet; an arc is the border between two
pieces from node to node, or a closed one. Directions: 0 east, 1 south, 2 west, 3 north.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_JIT = numba.njit(nogil=True, cache=True)
_DOWN = np.array([0, 1, 0, -1])
_RIGHT = np.array([1, 0, -1, 0])
LOOP, NODE, SEAM, OPEN = 0, 1, 2, 3
"""Ends of a chain: closed; a node; a vertex on the upper edge of its strip, to be joined; one on the lower edge."""


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _leaves(ids: Any, r: int, c: int, way: int, rows: int) -> bool:
    """Whether a border leaves a vertex of the strip in a direction."""
    if way == 0:
        return c + 2 < ids.shape[1] and r < rows and ids[r, c + 1] != ids[r + 1, c + 1]
    if way == 1:
        return r < rows and ids[r + 1, c] != ids[r + 1, c + 1]
    if way == 2:
        return c > 0 and r < rows and ids[r, c] != ids[r + 1, c]
    return r > 0 and ids[r, c] != ids[r, c + 1]


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _kind(ids: Any, r: int, c: int, rows: int) -> int:
    """What a vertex is to the chains of the strip: -1 a vertex inside a chain, else NODE, SEAM or OPEN."""
    if r == rows:
        return OPEN
    a, b, d, e = (
        ids[r, c],
        ids[r, c + 1],
        ids[r + 1, c + 1],
        ids[r + 1, c],
    )  # round the vertex from north-west
    borders = (a != b) + (b != d) + (d != e) + (e != a)
    if borders >= 3:
        return NODE
    if r == 0 and a != b:
        return SEAM
    return -1


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def room(ids: Any, rows: int) -> tuple[int, int]:
    """Most chains and most vertices that :func:`trace` can write."""
    chains = vertices = 0
    for r in range(rows + 1):
        for c in range(ids.shape[1] - 1):
            if r == rows:
                if ids[r, c] != ids[r, c + 1]:
                    chains += 1
                    vertices += 1
                continue
            a, b, d, e = ids[r, c], ids[r, c + 1], ids[r + 1, c + 1], ids[r + 1, c]
            if a == b and b == d and d == e:
                continue
            borders = (a != b) + (b != d) + (d != e) + (e != a)
            if borders >= 3 or (r == 0 and a != b):
                chains += borders
                vertices += borders
            elif not ((a == b and d == e) or (a == e and b == d)):
                vertices += 2
                chains += 1
    return chains, vertices


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _follow(
    ids: Any, seen: Any, r: int, c: int, way: int, rows: int, first: int, xy: Any, at: int
) -> tuple[int, int, int, int, int]:
    """Walk a chain from a vertex, marking its borders and writing its vertices; returns end, arrival and vertices."""
    start_r, start_c = r, c
    xy[at, 0], xy[at, 1] = r + first, c
    at += 1
    while True:
        if way == 0:
            seen[r, c] |= 1
        elif way == 1:
            seen[r, c] |= 2
        elif way == 2:
            seen[r, c - 1] |= 1
        else:
            seen[r - 1, c] |= 2
        r += _DOWN[way]
        c += _RIGHT[way]
        if (r == start_r and c == start_c) or _kind(ids, r, c, rows) >= 0:
            break
        if not _leaves(ids, r, c, way, rows):
            turn = (way + 1) % 4
            way = turn if _leaves(ids, r, c, turn, rows) else (way + 3) % 4
            xy[at, 0], xy[at, 1] = r + first, c
            at += 1
    xy[at, 0], xy[at, 1] = r + first, c
    return r, c, way, at + 1, 0


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _sides(ids: Any, r: int, c: int, way: int) -> tuple[int, int]:
    """Piece to the left and to the right of a border that leaves a vertex."""
    if way == 0:
        return ids[r, c + 1], ids[r + 1, c + 1]
    if way == 1:
        return ids[r + 1, c + 1], ids[r + 1, c]
    if way == 2:
        return ids[r + 1, c], ids[r, c]
    return ids[r, c], ids[r, c + 1]


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def trace(ids: Any, rows: int, first: int, xy: Any, stops: Any, about: Any) -> tuple[int, int]:
    """Chains of a strip.

    ``ids`` (rows + 1, columns + 2): number of the piece of each cell, the row above first, 0 for none and in the columns
    at both sides. ``first``: row of the uppermost vertices. Written: vertices (row, column), for each chain where its
    vertices stop, and left and right piece, kinds of start and end, directions of leaving and arriving.
    """
    seen = np.zeros((rows + 1, ids.shape[1]), dtype=np.uint8)
    used = at = 0
    for around in range(2):  # first what begins at nodes and seams, then what is closed
        for r in range(rows + 1 if around == 0 else rows):
            for c in range(ids.shape[1] - 1):
                kind = LOOP
                if around == 0:
                    if r < rows and ids[r, c] == ids[r, c + 1] == ids[r + 1, c] == ids[r + 1, c + 1]:
                        continue
                    kind = _kind(ids, r, c, rows)
                    if kind < 0:
                        continue
                for way in range(4 if around == 0 else 1):
                    if not _leaves(ids, r, c, way, rows):
                        continue
                    if (way == 0 and seen[r, c] & 1) or (way == 1 and seen[r, c] & 2):
                        continue
                    if (way == 2 and seen[r, c - 1] & 1) or (way == 3 and seen[r - 1, c] & 2):
                        continue
                    left, right = _sides(ids, r, c, way)
                    end_r, end_c, arrival, at, _ = _follow(ids, seen, r, c, way, rows, first, xy, at)
                    stops[used] = at
                    about[used, 0], about[used, 1], about[used, 2] = left, right, kind
                    about[used, 3] = LOOP if around else _kind(ids, end_r, end_c, rows)
                    about[used, 4], about[used, 5] = way, arrival
                    used += 1
    return used, at


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def stitch(
    xy: Any, stops: Any, about: Any, mate: Any, out: Any, out_stops: Any, out_about: Any
) -> tuple[int, int]:
    """Join chains at the edges of strips into arcs.

    ``mate[k, s]``: for the start (s = 0) and the end (1) of a chain the end of a chain it goes on at, as 2 x chain + s; -1
    where an arc ends. Arcs are written as chains are, with the kinds NODE or LOOP alone.
    """
    done = np.zeros(len(stops), dtype=np.bool_)
    used = at = 0
    for around in range(2):
        for k in range(len(stops)):
            if done[k]:
                continue
            enter = 0
            if around == 0 and about[k, 2] != LOOP and mate[k, 0] >= 0:
                if mate[k, 1] >= 0:
                    continue
                enter = 1
            one, side = k, enter
            begin, last = at, -1
            while True:
                done[one] = True
                low, high = (stops[one - 1] if one > 0 else 0), stops[one]
                leave = about[one, 4] if side == 0 else (about[one, 5] + 2) % 4
                arrive = about[one, 5] if side == 0 else (about[one, 4] + 2) % 4
                skip = 0
                if at == begin:
                    out_about[used, 0], out_about[used, 1] = about[one, side], about[one, 1 - side]
                    out_about[used, 4] = leave
                else:
                    skip = 1  # the vertex of the seam is there already
                    if leave == last:
                        at -= 1
                for n in range(skip, high - low):
                    p = low + n if side == 0 else high - 1 - n
                    out[at, 0], out[at, 1] = xy[p, 0], xy[p, 1]
                    at += 1
                last = arrive
                onward = mate[one, 1 - side]
                if onward < 0 or done[onward // 2]:
                    break
                one, side = onward // 2, onward % 2
            closed = about[k, 2] == LOOP or around == 1
            if around == 1 and last == out_about[used, 4]:  # it closes at a seam, in the middle of a side
                for n in range(begin, at - 1):
                    out[n, 0], out[n, 1] = out[n + 1, 0], out[n + 1, 1]
                at -= 1
                out[at - 1, 0], out[at - 1, 1] = out[begin, 0], out[begin, 1]
            out_about[used, 2] = out_about[used, 3] = LOOP if closed else NODE
            out_about[used, 5] = last
            out_stops[used] = at
            used += 1
    return used, at


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def next_sides(about: Any, ends: Any, nodes: int) -> Any:
    """For each side of an arc (2 x arc forward, 2 x arc + 1 backward) the one that goes on round the piece to its left.

    ``ends`` holds the numbers of the nodes at start and end. Where a piece touches itself at a node its outline turns right,
    so that no ring passes a point twice.
    """
    out = np.full((nodes, 4), -1, dtype=np.int64)
    for k in range(len(about)):
        if about[k, 2] == NODE:
            out[ends[k, 0], about[k, 4]] = 2 * k
            out[ends[k, 1], (about[k, 5] + 2) % 4] = 2 * k + 1
    onward = np.empty(2 * len(about), dtype=np.int64)
    for half in range(2 * len(about)):
        k, back = half // 2, half % 2
        if about[k, 2] == LOOP:
            onward[half] = half
            continue
        node = ends[k, 1 - back]
        way = (about[k, 4] + 2) % 4 if back else about[k, 5]
        onward[half] = -1
        for turn in (1, 0, 3):
            other = out[node, (way + turn) % 4]
            if other >= 0 and about[other // 2, other % 2] == about[k, back]:
                onward[half] = other
                break
    return onward


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def rings(
    about: Any, stops: Any, onward: Any, xy: Any, out: Any, out_stops: Any, piece: Any, area: Any
) -> tuple[int, int]:
    """Rings of all pieces: vertices (column, row), where each stops, its piece, and its area (negative: a hole)."""
    done = np.zeros(len(onward), dtype=np.bool_)
    used = at = 0
    for half in range(len(onward)):
        if done[half] or about[half // 2, half % 2] == 0:
            continue
        begin, one = at, half
        while not done[one]:
            done[one] = True
            k = one // 2
            low, high = (stops[k - 1] if k > 0 else 0), stops[k]
            for n in range(high - low - 1):
                p = low + n if one % 2 == 0 else high - 1 - n
                out[at, 0], out[at, 1] = xy[p, 1], xy[p, 0]
                at += 1
            one = onward[one]
        out[at, 0], out[at, 1] = out[begin, 0], out[begin, 1]
        at += 1
        total = 0.0
        x0, y0 = out[begin, 0], out[begin, 1]
        for n in range(begin, at - 1):
            total += (out[n, 0] - x0) * (out[n + 1, 1] - y0) - (out[n + 1, 0] - x0) * (out[n, 1] - y0)
        area[used] = -0.5 * total  # rows grow downward
        piece[used] = about[half // 2, half % 2]
        out_stops[used] = at
        used += 1
    return used, at
