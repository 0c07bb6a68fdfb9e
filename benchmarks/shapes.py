"""Generated survey parcels and planning lines, seeded: a gapless irregular tessellation, and outlines of all sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

WEST, SOUTH, CRS = 460_000.0, 2_500_000.0, "EPSG:4547"
BENDS = 5
"""Vertices of a parcel's edge between its two corners."""


def _ground(xy: np.ndarray, side: int, pitch_m: float) -> np.ndarray:
    """Places on the ground of places in the lattice; parcels are small in some parts and large in others."""
    share = xy / side
    bent = share + 0.05 * np.sin(4 * np.pi * share) + 0.01 * np.sin(6 * np.pi * share[..., ::-1])
    return np.asarray(bent * side * pitch_m + (WEST, SOUTH))


def _edges(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Edges from a to b with their bends, without b: (edges, 1 + BENDS, 2)."""
    steps = np.linspace(0, 1, BENDS + 2)[:-1]
    across = np.stack((a[:, 1] - b[:, 1], b[:, 0] - a[:, 0]), axis=1)
    off = np.zeros((len(a), BENDS + 1))
    off[:, 1:] = rng.uniform(-0.04, 0.04, (len(a), BENDS))
    return np.asarray(a[:, None] + steps[:, None] * (b - a)[:, None] + off[..., None] * across[:, None])


def _corners(row: int, side: int, seed: int) -> np.ndarray:
    shift = np.random.default_rng([seed, row, 0]).uniform(-0.22, 0.22, (side + 1, 2))
    return np.asarray(np.column_stack((np.arange(side + 1), np.full(side + 1, row))) + shift)


def parcel_rows(side: int, pitch_m: float, *, rows: int, seed: int = 1) -> Iterator[gpd.GeoDataFrame]:
    """Parcels of a tessellation of ``side`` x ``side``, ``rows`` rows of it at a time; neighbours share their edges."""

    def flat(row: int) -> np.ndarray:
        corners = _corners(row, side, seed)
        return _edges(corners[:-1], corners[1:], np.random.default_rng([seed, row, 1]))

    for first in range(0, side, rows):
        frames = []
        for row in range(first, min(first + rows, side)):
            low, high = flat(row), flat(row + 1)
            upright = _edges(
                _corners(row, side, seed),
                _corners(row + 1, side, seed),
                np.random.default_rng([seed, row, 2]),
            )
            top = _corners(row + 1, side, seed)
            back = np.concatenate((top[1:, None], high[:, :0:-1]), axis=1)  # the upper edge, right to left
            down = np.concatenate((top[:-1, None], upright[:-1, :0:-1]), axis=1)
            ring = np.concatenate((low, upright[1:], back, down), axis=1)
            frames.append(shapely.polygons(_ground(ring, side, pitch_m)))
        shapes = np.concatenate(frames)
        numbers = np.arange(first * side, first * side + len(shapes))
        yield gpd.GeoDataFrame({"parcel": numbers}, geometry=shapes, crs=CRS)


def control_lines(count: int, extent_m: float, *, seed: int = 2) -> gpd.GeoDataFrame:
    """Outlines of 300 to 800 vertices that overlap one another, 40 m to 6 km in radius; one in twelve has a hole."""
    rng = np.random.default_rng(seed)
    radius = np.clip(150 * np.exp(0.9 * rng.standard_normal(count)), 40, 6000)
    middle = rng.uniform(0.02, 0.98, (count, 2)) * extent_m + (WEST, SOUTH)
    shapes = []
    for i in range(count):
        angle = np.linspace(0, 2 * np.pi, int(rng.integers(300, 801)), endpoint=False)
        waves = np.arange(2, 40)
        sizes = 0.35 * rng.standard_normal(38) / waves
        bent = 1 + np.sin(angle[:, None] * waves + rng.uniform(0, 2 * np.pi, 38)) @ sizes
        reach = radius[i] * np.clip(bent, 0.3, 2.0)
        ring = middle[i] + np.column_stack((reach * np.cos(angle), reach * np.sin(angle)))
        hole = [middle[i] + (ring[::9] - middle[i]) * 0.3] if i % 12 == 0 else []
        shapes.append(shapely.Polygon(ring, hole))
    made = shapely.make_valid(np.array(shapes), method="structure", keep_collapsed=False)
    return gpd.GeoDataFrame({"line": np.arange(count)}, geometry=made, crs=CRS)


def write_parcels(path: Path, side: int, pitch_m: float, *, rows: int) -> int:
    """Write a tessellation as GeoParquet a group of rows at a time; how many parcels it has."""
    import pyarrow.parquet as pq

    writer, count = None, 0
    for frame in parcel_rows(side, pitch_m, rows=rows):
        part = path.with_suffix(".part")
        frame.to_parquet(part)
        table = pq.read_table(part)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
        count += len(frame)
        part.unlink()
    if writer is not None:
        writer.close()
    return count
