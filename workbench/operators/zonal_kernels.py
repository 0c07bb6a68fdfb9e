"""Compiled loops of :mod:`workbench.operators.zonal`: polygon edges to cells, cells to class sums.

All coordinates are in cells: ``x`` grows with the column, ``y`` with the row, cell ``(r, c)`` is the unit square with its
corner at ``(c, r)``. Every kernel releases the interpreter lock, so row chunks run side by side in threads.
"""

from __future__ import annotations

from math import floor
from typing import Any

import numpy as np

from workbench.operators.loops import compiled

SUB = 4
"""Histograms filled in turn, so that equal neighbouring classes do not wait for one another's sum."""


@compiled
def ring_signs(x: Any, y: Any, rings: Any, parts: Any) -> Any:
    """Sign of each ring, so that outer rings add area and holes take it away, and whether it runs clockwise as drawn."""
    signs, turns = np.empty(rings.size - 1), np.empty(rings.size - 1)
    for part in range(parts.size - 1):
        for ring in range(parts[part], parts[part + 1]):
            start, stop = rings[ring], rings[ring + 1]
            area = 0.0
            for i in range(start, stop - 1):
                area -= (0.5 * (x[i] + x[i + 1]) - x[start]) * (y[i + 1] - y[i])
            outer = 1.0 if ring == parts[part] else -1.0
            signs[ring] = outer if area >= 0 else -outer
            turns[ring] = 1.0 if area < 0 else -1.0
    return signs, turns


@compiled
def _bound(x: Any, y: Any, rings: Any, ring0: int, ring1: int, r0: int, r1: int, width: int) -> int:
    """Upper bound of the cells that the edges of one zone touch between two rows."""
    total = 0
    for ring in range(ring0, ring1):
        for i in range(rings[ring], rings[ring + 1] - 1):
            low, high = min(y[i], y[i + 1]), max(y[i], y[i + 1])
            if high < r0 or low > r1:
                continue
            left = min(max(min(x[i], x[i + 1]), -1.0), width + 1.0)
            right = min(max(max(x[i], x[i + 1]), -1.0), width + 1.0)
            rows = min(high, float(r1)) - max(low, float(r0))
            total += int(2.0 * rows + right - left) + 6
    return total


@compiled
def _row_piece(
    row: int, xa: float, xb: float, dy: float, width: int, rows: Any, cols: Any, cov: Any, off: Any, n: int
) -> int:
    """Cells that one piece of an edge touches inside one row; returns the new number of cells."""
    low, high = min(xa, xb), max(xa, xb)
    if low >= width:
        return n
    if high <= 0.0:
        rows[n], cols[n], cov[n], off[n] = row, 0, dy, 0.0
        return n + 1
    if low < 0.0:
        left = dy * (-low) / (high - low)
        rows[n], cols[n], cov[n], off[n] = row, 0, left, 0.0
        n += 1
        dy -= left
        low = 0.0
    if high > width:
        dy *= (width - low) / (high - low)
        high = float(width)
    c0, c1 = floor(low), floor(high)
    if c1 > c0 and high == c1:
        c1 -= 1
    if c0 == c1:
        rows[n], cols[n], cov[n], off[n] = row, c0, dy, dy * (0.5 * (low + high) - c0)
        return n + 1
    slope = dy / (high - low)
    for c in range(c0, c1 + 1):
        a, b = max(low, float(c)), min(high, c + 1.0)
        part = (b - a) * slope
        rows[n], cols[n], cov[n], off[n] = row, c, part, part * (0.5 * (a + b) - c)
        n += 1
    return n


@compiled
def _emit_fraction(
    x: Any,
    y: Any,
    rings: Any,
    signs: Any,
    ring0: int,
    ring1: int,
    r0: int,
    r1: int,
    width: int,
    rows: Any,
    cols: Any,
    cov: Any,
    off: Any,
) -> int:
    """Boundary cells of one zone: height covered to the right of the edge, and the part of it left of the edge."""
    n = 0
    for ring in range(ring0, ring1):
        for i in range(rings[ring], rings[ring + 1] - 1):
            x1, y1, x2, y2, sign = x[i], y[i], x[i + 1], y[i + 1], signs[ring]
            if y1 == y2:
                continue
            if y1 > y2:
                x1, y1, x2, y2, sign = x2, y2, x1, y1, -sign
            if y2 <= r0 or y1 >= r1:
                continue
            slope = (x2 - x1) / (y2 - y1)
            ya, xa, end = y1, x1, min(y2, float(r1))
            if ya < r0:
                ya, xa = float(r0), x1 + (r0 - y1) * slope
            row = floor(ya)
            while ya < end:
                yb = min(row + 1.0, end)
                xb = x2 if yb == y2 else x1 + (yb - y1) * slope
                n = _row_piece(row, xa, xb, sign * (yb - ya), width, rows, cols, cov, off, n)
                ya, xa = yb, xb
                row += 1
    return n


@compiled
def _emit_centre(
    x: Any,
    y: Any,
    rings: Any,
    turns: Any,
    ring0: int,
    ring1: int,
    r0: int,
    r1: int,
    width: int,
    rows: Any,
    cols: Any,
    flat_row: Any,
    flat_from: Any,
    flat_to: Any,
) -> tuple[int, int]:
    """Columns where edges cross the middle of rows, and the flat edges that lie on one (GDAL's rule for both)."""
    n, flat = 0, 0
    for ring in range(ring0, ring1):
        for i in range(rings[ring], rings[ring + 1] - 1):
            x1, y1, x2, y2 = x[i], y[i], x[i + 1], y[i + 1]
            if y1 == y2:
                row = floor(y1)
                if y1 == row + 0.5 and r0 <= row < r1 and (x1 - x2) * turns[ring] > 0.0:
                    a = min(max(floor(min(x1, x2) + 0.5), 0.0), float(width))
                    b = min(max(floor(max(x1, x2) + 0.5), 0.0), float(width))
                    if b > a:
                        flat_row[flat], flat_from[flat], flat_to[flat] = row, int(a), int(b)
                        flat += 1
                continue
            if y1 > y2:
                x1, y1, x2, y2 = x2, y2, x1, y1
            first = max(int(np.ceil(max(y1, r0 - 1.0) - 0.5)), r0)
            last = min(int(np.ceil(min(y2, r1 + 1.0) - 0.5)), r1)  # the upper end is left out
            for row in range(first, last):
                cross = (row + 0.5 - y1) * (x2 - x1) / (y2 - y1) + x1
                rows[n] = row
                cols[n] = floor(min(max(cross, -1.0), width + 1.0) + 0.5)
                n += 1
    return n, flat


@compiled
def _sort_cells(rows: Any, cols: Any, n: int, r0: int, first: Any, order: Any) -> None:
    """Order of the cells by row, then column; ``first[r - r0]`` is where row ``r`` begins."""
    height = first.size - 1
    first[:] = 0
    for i in range(n):
        first[rows[i] - r0 + 1] += 1
    for r in range(height):
        first[r + 1] += first[r]
    for i in range(n - 1, -1, -1):  # first[r + 1] runs back to the beginning of row r
        slot = first[rows[i] - r0 + 1] - 1
        first[rows[i] - r0 + 1] = slot
        order[slot] = i
    for r in range(height):
        first[r] = first[r + 1]
    first[height] = n
    for r in range(height):
        start, stop = first[r], first[r + 1]
        if stop - start > 48:
            part = order[start:stop].copy()
            keys = np.empty(part.size, np.int64)
            for j in range(part.size):
                keys[j] = cols[part[j]]
            ranks = np.argsort(keys, kind="mergesort")
            for j in range(part.size):
                order[start + j] = part[ranks[j]]
            continue
        for j in range(start + 1, stop):
            item = order[j]
            key = cols[item]
            k = j - 1
            while k >= start and cols[order[k]] > key:
                order[k + 1] = order[k]
                k -= 1
            order[k + 1] = item


@compiled
def _weight(node: Any, step: int, c: int) -> float:
    k = c // step
    return float(node[k] + (node[k + 1] - node[k]) * ((c - k * step) / step))


@compiled
def _add_span(values: Any, c0: int, c1: int, share: float, node: Any, step: int, hist: Any) -> None:
    """Add ``share`` x cell weight of the cells ``c0 <= c < c1`` of one row to the class sums."""
    c = c0
    while c < c1:
        k = c // step
        end = min(c1, (k + 1) * step)
        grow = share * (node[k + 1] - node[k]) / step
        base = share * node[k] - grow * k * step
        while c + SUB <= end:
            hist[0, values[c]] += base + grow * c
            hist[1, values[c + 1]] += base + grow * (c + 1)
            hist[2, values[c + 2]] += base + grow * (c + 2)
            hist[3, values[c + 3]] += base + grow * (c + 3)
            c += SUB
        while c < end:
            hist[0, values[c]] += base + grow * c
            c += 1


@compiled
def _sweep_fraction(
    values: Any,
    node: Any,
    step: int,
    order: Any,
    start: int,
    stop: int,
    cols: Any,
    cov: Any,
    off: Any,
    hist: Any,
) -> None:
    """One row of one zone: exact shares in boundary cells, whole spans between them."""
    width = values.size
    cover = 0.0
    i = start
    while i < stop:
        c = cols[order[i]]
        left = 0.0
        while i < stop and cols[order[i]] == c:
            cover += cov[order[i]]
            left += off[order[i]]
            i += 1
        share = cover - left
        if share > 0.0:
            hist[0, values[c]] += share * _weight(node, step, c)
        if abs(cover - 1.0) < 1e-12:
            cover = 1.0
        elif abs(cover) < 1e-13:
            cover = 0.0
        after = cols[order[i]] if i < stop else width
        if cover > 0.0 and after > c + 1:
            _add_span(values, c + 1, after, cover, node, step, hist)


@compiled
def _sweep_centre(
    values: Any, node: Any, step: int, order: Any, start: int, stop: int, cols: Any, mark: Any, hist: Any
) -> None:
    """One row of one zone: spans between pairs of crossings; ``mark`` notes the cells taken where flat edges follow."""
    width = values.size
    for i in range(start, stop - 1, 2):
        a, b = max(cols[order[i]], 0), min(cols[order[i + 1]], width)
        if b > a:
            _add_span(values, a, b, 1.0, node, step, hist)
            if mark.size:
                mark[a:b] = True


@compiled
def _centre_rows(
    values: Any,
    nodes: Any,
    step: int,
    r0: int,
    z0: int,
    first: Any,
    order: Any,
    cols: Any,
    flats: int,
    flat_row: Any,
    flat_from: Any,
    flat_to: Any,
    hist: Any,
) -> None:
    """All rows of one zone in a chunk by the rule of cell centres."""
    none = np.empty(0, np.bool_)
    for j in range(first.size - 1):
        row = z0 + j - r0
        mark = none
        for f in range(flats):
            if flat_row[f] - z0 == j:
                mark = np.zeros(values.shape[1], np.bool_)
                break
        _sweep_centre(values[row], nodes[row], step, order, first[j], first[j + 1], cols, mark, hist)
        if mark.size:
            for f in range(flats):
                if flat_row[f] - z0 == j:
                    for c in range(flat_from[f], flat_to[f]):
                        if not mark[c]:
                            mark[c] = True
                            hist[0, values[row, c]] += _weight(nodes[row], step, c)


@compiled
def scan_chunk(
    values: Any,
    nodes: Any,
    step: int,
    r0: int,
    x: Any,
    y: Any,
    rings: Any,
    signs: Any,
    turns: Any,
    zone_rings: Any,
    low: Any,
    high: Any,
    active: Any,
    fraction: bool,
    classes: int,
) -> Any:
    """Class sums (active zone x class) of one chunk of rows, each cell weighted by its interpolated node weights.

    Parameters
    ----------
    values : (rows, cols) unsigned integers below ``classes``
    nodes : (rows, ceil(cols / step) + 1) float64
        Weight at every ``step``-th column edge; linear between.
    r0 : int
        Row of the raster where the chunk begins.
    x, y, rings, signs, turns, zone_rings : vertices, ring offsets, signs and turns of rings, zone -> ring offsets
    low, high : extent of each zone in ``y``
    active : zones to count
    """
    height, width = values.shape
    out = np.zeros((active.size, classes))
    hist = np.zeros((SUB, classes))
    size = 4096
    rows, cols, order = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    cov, off = np.empty(size), np.empty(size)
    fr, fa, fb = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    for a in range(active.size):
        zone = active[a]
        z0, z1 = max(floor(low[zone]), r0), min(floor(high[zone]) + 1, r0 + height)
        if z1 <= z0:
            continue
        ring0, ring1 = zone_rings[zone], zone_rings[zone + 1]
        bound = _bound(x, y, rings, ring0, ring1, z0, z1, width)
        if bound > size:
            size = 2 * bound
            rows, cols, order = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
            cov, off = np.empty(size), np.empty(size)
            fr, fa, fb = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
        first = np.zeros(z1 - z0 + 1, np.int32)
        if fraction:
            n = _emit_fraction(x, y, rings, signs, ring0, ring1, z0, z1, width, rows, cols, cov, off)
            _sort_cells(rows, cols, n, z0, first, order)
            for j in range(z1 - z0):
                row = z0 + j - r0
                _sweep_fraction(
                    values[row], nodes[row], step, order, first[j], first[j + 1], cols, cov, off, hist
                )
        else:
            n, flats = _emit_centre(x, y, rings, turns, ring0, ring1, z0, z1, width, rows, cols, fr, fa, fb)
            _sort_cells(rows, cols, n, z0, first, order)
            _centre_rows(values, nodes, step, r0, z0, first, order, cols, flats, fr, fa, fb, hist)
        for c in range(classes):
            out[a, c] = hist[0, c] + hist[1, c] + hist[2, c] + hist[3, c]
            hist[0, c] = hist[1, c] = hist[2, c] = hist[3, c] = 0.0
    return out
