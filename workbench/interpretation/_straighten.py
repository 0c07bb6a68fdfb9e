"""Compiled kernel that straightens the stairs of outlines without changing any area or touching any neighbour.

A side B-C between A and D is replaced by a point E such that the area beside the line stays (Kronenfeld, B. J. et al.
(2020), Simplification of polylines by segment collapse: minimizing areal displacement while preserving area,
*International Journal of Cartography* 6(1), 22-46). A collapse is made only while line and outline stay within half a cell of
each other. Outlines on a lattice that do not meet are a cell apart, and the first unit of a line at a node is left as it
is: two straightened lines therefore cannot cross.
"""

from __future__ import annotations

import heapq
from typing import Any

import numba
import numpy as np

_JIT = numba.njit(nogil=True, cache=True)
NEAR = 0.4999
"""Cells that a straightened line may lie off its outline."""
_REACH = 4
_MOST = 100.0
"""Largest area, in cells, that one collapse may displace."""


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _off(px: float, py: float, ax: float, ay: float, bx: float, by: float) -> float:
    """Squared distance of a point from a segment."""
    dx, dy = bx - ax, by - ay
    long = dx * dx + dy * dy
    t = 0.0
    if long > 0:
        t = min(max(((px - ax) * dx + (py - ay) * dy) / long, 0.0), 1.0)
    ex, ey = px - ax - t * dx, py - ay - t * dy
    return ex * ex + ey * ey


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _place(
    ax: float, ay: float, bx: float, by: float, cx: float, cy: float, dx: float, dy: float
) -> tuple[float, float, float]:
    """Point E that takes the place of B and C, and the area displaced; a negative area where there is none."""
    a, b = dy - ay, ax - dx
    c = -by * ax + (ay - cy) * bx + (by - dy) * cx + cy * dx
    off_b = (bx - ax) * a + (by - ay) * b
    off_c = (cx - ax) * a + (cy - ay) * b
    off_e = -(a * ax + b * ay + c)  # of every point of the line a x + b y + c = 0
    if a == 0 and b == 0:
        return 0.0, 0.0, -1.0
    first = abs(off_b) > abs(off_c) if off_b * off_c > 0 else off_b * off_e > 0
    if off_b * off_c <= 0 and off_e == 0:
        first = True
    if first:
        px, py, qx, qy = ax, ay, bx, by
    else:
        px, py, qx, qy = dx, dy, cx, cy
    slope = a * (qx - px) + b * (qy - py)
    if abs(slope) < 1e-12:
        return 0.0, 0.0, -1.0
    t = -(a * px + b * py + c) / slope
    ex, ey = px + t * (qx - px), py + t * (qy - py)
    if first:  # the two equal parts between the old sides and the new one
        fx, fy, gx, gy, hx, hy = bx, by, cx, cy, dx, dy
    else:
        fx, fy, gx, gy, hx, hy = cx, cy, bx, by, ax, ay
    near = abs((hx - ex) * (fy - ey) - (hy - ey) * (fx - ex))
    far = abs((hx - ex) * (gy - ey) - (hy - ey) * (gx - ex))
    size = abs((fx - ex) * (gy - ey) - (fy - ey) * (gx - ex))
    if near + far > 0:
        size *= near / (near + far)
    return ex, ey, size


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _anchor(ex: float, ey: float, xy: Any, low: float, high: float) -> float:
    """Place on the outline between two places (vertex and part of the side after it) that is nearest to a point, or -1."""
    best, found = NEAR * NEAR, -1.0
    k = int(low)
    while k < high and k + 1 < len(xy):  # a place may lie a rounding error beyond the last vertex
        ax, ay, bx, by = xy[k, 0], xy[k, 1], xy[k + 1, 0], xy[k + 1, 1]
        dx, dy = bx - ax, by - ay
        long, t = dx * dx + dy * dy, 0.0
        if long > 0:
            t = ((ex - ax) * dx + (ey - ay) * dy) / long
        t = min(max(t, max(low - k, 0.0)), min(high - k, 1.0))
        gx, gy = ex - ax - t * dx, ey - ay - t * dy
        if gx * gx + gy * gy <= best:
            best, found = gx * gx + gy * gy, k + t
        k += 1
    return found


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _close(xy: Any, low: float, high: float, ax: float, ay: float, bx: float, by: float) -> bool:
    """Whether the vertices of the outline between two places lie near a segment."""
    for k in range(int(np.floor(low)) + 1, int(np.ceil(high))):
        if _off(xy[k, 0], xy[k, 1], ax, ay, bx, by) > NEAR * NEAR:
            return False
    return True


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _crosses(a: Any, b: Any, c: Any, d: Any) -> bool:
    """Whether two segments that share no end touch."""
    one = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    two = (b[0] - a[0]) * (d[1] - a[1]) - (b[1] - a[1]) * (d[0] - a[0])
    three = (d[0] - c[0]) * (a[1] - c[1]) - (d[1] - c[1]) * (a[0] - c[0])
    four = (d[0] - c[0]) * (b[1] - c[1]) - (d[1] - c[1]) * (b[0] - c[0])
    return bool(one * two <= 1e-12 and three * four <= 1e-12)


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _folds(a: Any, b: Any, c: Any) -> bool:
    """Whether a line turns straight back at b, or nearly so."""
    ux, uy, vx, vy = b[0] - a[0], b[1] - a[1], c[0] - b[0], c[1] - b[1]
    long = (ux * ux + uy * uy) * (vx * vx + vy * vy)
    return bool(ux * vx + uy * vy < 0 and abs(ux * vy - uy * vx) < 1e-6 * np.sqrt(long))


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _fits(at: Any, before: Any, after: Any, a: int, d: int, e: Any, drop: bool) -> bool:
    """Whether the sides A-E-D (A-D when E is dropped) leave the line simple near by."""
    low, high = before[a], after[d]
    if drop:
        if (low >= 0 and _folds(at[low], at[a], at[d])) or (high >= 0 and _folds(at[a], at[d], at[high])):
            return False
    elif (
        _folds(at[a], e, at[d])
        or (low >= 0 and _folds(at[low], at[a], e))
        or (high >= 0 and _folds(e, at[d], at[high]))
    ):
        return False
    near, step = a, 0
    while before[near] >= 0 and step < _REACH and before[near] != d:
        far = before[near]
        if drop:
            if step > 0 and _crosses(at[a], at[d], at[far], at[near]):
                return False
        elif (step > 0 and _crosses(at[a], e, at[far], at[near])) or _crosses(e, at[d], at[far], at[near]):
            return False
        near, step = far, step + 1
    near, step = d, 0
    while after[near] >= 0 and step < _REACH and after[near] != a:
        far = after[near]
        if drop:
            if step > 0 and _crosses(at[a], at[d], at[near], at[far]):
                return False
        elif (step > 0 and _crosses(e, at[d], at[near], at[far])) or _crosses(at[a], e, at[near], at[far]):
            return False
        near, step = far, step + 1
    return True


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _begin(xy: Any, closed: bool, at: Any, place: Any) -> int:
    """Copy the vertices; in an arc between nodes those a unit from the ends are put in. Returns how many there are."""
    count, used = len(xy), 0
    for k in range(count):
        if not closed and k == count - 1:
            long = abs(xy[k, 0] - xy[k - 1, 0]) + abs(xy[k, 1] - xy[k - 1, 1])
            if long > 1 and (count > 2 or long > 2):
                at[used], place[used] = xy[k] + (xy[k - 1] - xy[k]) / long, k - 1.0 / long
                used += 1
        at[used], place[used] = xy[k], k
        used += 1
        if not closed and k == 0:
            long = abs(xy[1, 0] - xy[0, 0]) + abs(xy[1, 1] - xy[0, 1])
            if long > 1:
                at[used], place[used] = xy[0] + (xy[1] - xy[0]) / long, 1.0 / long
                used += 1
    return used


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _point(at: Any, a: int, b: int, c: int, d: int) -> tuple[float, float, float]:
    """Result of :func:`_place` for four vertices by number."""
    x, y, size = _place(at[a, 0], at[a, 1], at[b, 0], at[b, 1], at[c, 0], at[c, 1], at[d, 0], at[d, 1])
    return x, y, size


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _middle(xy: Any, at: Any, place: Any, a: int, d: int, e: Any, drop: bool) -> float:
    """Place on the outline that E stands for, or -1 where the new sides would lie too far off."""
    if drop:
        return (
            float(place[a])
            if _close(xy, place[a], place[d], at[a, 0], at[a, 1], at[d, 0], at[d, 1])
            else -1.0
        )
    found: float = _anchor(e[0], e[1], xy, place[a], place[d])
    if (
        found >= 0
        and _close(xy, place[a], found, at[a, 0], at[a, 1], e[0], e[1])
        and _close(xy, found, place[d], e[0], e[1], at[d, 0], at[d, 1])
    ):
        return found
    return -1.0


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def straighten(xy: Any, closed: bool, out: Any) -> int:
    """Write the straightened line of one arc (vertices as column, row); returns how many vertices it has.

    The ends stay, and in an arc between nodes the first unit at each end.
    """
    at, place = np.empty((len(xy) + 2, 2)), np.empty(len(xy) + 2)
    used = _begin(xy, closed, at, place)
    before, after = np.arange(-1, used - 1), np.arange(1, used + 1)
    after[used - 1] = -1
    pins = 1 if closed else 2
    stamp = np.zeros(used, dtype=np.int64)
    heap = [(0.0, np.int64(0), np.int64(0)) for _ in range(0)]
    for one in range(pins, used - pins - 1):
        cost = _point(at, one - 1, one, one + 1, one + 2)[2]
        if 0 <= cost <= _MOST:
            heapq.heappush(heap, (cost, np.int64(one), np.int64(0)))
    left, least = used, 5 if closed else 2
    e = np.empty(2)
    while len(heap) > 0 and left > least:
        _, b, mark = heapq.heappop(heap)
        if stamp[b] != mark:
            continue
        a, c = before[b], after[b]
        d = after[c]
        e[0], e[1], _ = _point(at, a, b, c, d)
        drop = (
            abs(e[0] - at[a, 0]) + abs(e[1] - at[a, 1]) < 1e-9
            or abs(e[0] - at[d, 0]) + abs(e[1] - at[d, 1]) < 1e-9
        )  # E lies on an end: both B and C go
        middle = _middle(xy, at, place, a, d, e, drop)
        if middle < 0 or (drop and left - 2 < least) or not _fits(at, before, after, a, d, e, drop):
            continue
        stamp[b] += 1
        stamp[c] += 1
        if drop:
            after[a], before[d] = d, a
            left -= 2
        else:
            at[b, 0], at[b, 1], place[b] = e[0], e[1], middle
            after[b], before[d] = d, b
            left -= 1
        near = a if drop else b
        for _ in range(2 if drop else 3):  # the sides whose neighbours moved
            if before[near] >= 0:
                near = before[near]
        for _ in range(6):
            two = after[near]
            if two < 0:
                break
            if before[near] >= 0 and after[two] >= 0 and _free(near, two, pins, used):
                cost = _point(at, before[near], near, two, after[two])[2]
                stamp[near] += 1
                if 0 <= cost <= _MOST:
                    heapq.heappush(heap, (cost, np.int64(near), stamp[near]))
            near = two
    return int(_write(at, before, after, out))


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _free(one: int, two: int, pins: int, used: int) -> bool:
    """Whether both ends of a side may go: not those at the ends of the line."""
    return pins <= one < used - pins and pins <= two < used - pins


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def _write(at: Any, before: Any, after: Any, out: Any) -> int:
    """Write the vertices that are left, less those in the middle of a side."""
    n = 0
    one = np.int64(0)
    while one >= 0:
        if n >= 2:
            ux, uy = out[n - 1, 0] - out[n - 2, 0], out[n - 1, 1] - out[n - 2, 1]
            vx, vy = at[one, 0] - out[n - 1, 0], at[one, 1] - out[n - 1, 1]
            if abs(ux * vy - uy * vx) < 1e-9 and ux * vx + uy * vy > 0:
                n -= 1
        out[n, 0], out[n, 1] = at[one, 0], at[one, 1]
        n += 1
        one = after[one]
    return n


@_JIT  # type: ignore[untyped-decorator, unused-ignore]
def straighten_all(
    xy: Any, stops: Any, keep: Any, closed: Any, low: int, high: int, out: Any, sizes: Any
) -> int:
    """Straighten arcs ``low`` to ``high``; those to ``keep`` are written as they are. Returns the vertices written."""
    at = 0
    for k in range(low, high):
        start = stops[k - 1] if k > 0 else 0
        count = stops[k] - start
        line = np.empty((count, 2))
        for n in range(count):
            line[n, 0], line[n, 1] = xy[start + n, 1], xy[start + n, 0]
        if keep[k] or count < 4:
            out[at : at + count] = line
            sizes[k] = count
        else:
            sizes[k] = straighten(line, closed[k], out[at:])
        at += sizes[k]
    return at
