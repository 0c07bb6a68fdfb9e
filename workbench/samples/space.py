"""The demo city's grid, its streams of chance and a few helpers between raster and vector."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio.features
import shapely
from affine import Affine

Array = npt.NDArray[Any]

CRS = "EPSG:4547"
"""CGCS2000, 3-degree Gauss-Krueger, central meridian 114° E."""
CELL = 10.0
"""Edge of a raster cell in metres."""
N = 2000
"""Cells a side: 20 km."""
SIDE = N * CELL
LEFT, BOTTOM = 464_000.0, 2_557_000.0
"""Lower left corner, near 113.65° E, 23.11° N."""
TRANSFORM = Affine(CELL, 0.0, LEFT, 0.0, -CELL, BOTTOM + SIDE)
YEARS = (2014, 2019, 2024, 2025)


def stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers of one part of the city; parts do not disturb each other."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def cell_centres() -> tuple[Array, Array]:
    """Eastings (1, N) and northings (N, 1) of the cell centres in metres, as broadcastable arrays."""
    x = LEFT + (np.arange(N) + 0.5) * CELL
    y = BOTTOM + SIDE - (np.arange(N) + 0.5) * CELL
    return x[None, :], y[:, None]


def smooth_noise(rng: np.random.Generator, wavelength_m: float) -> Array:
    """Smooth noise of unit spread over the city, float32 (N, N)."""
    step = wavelength_m / 2
    knots = int(SIDE / step) + 7
    at = (np.arange(N) + 0.5) * CELL
    centres = (np.arange(knots) - 3) * step
    weights = np.exp(-(((at[:, None] - centres[None, :]) / (0.8 * step)) ** 2)).astype(np.float32)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    field: Array = weights @ rng.standard_normal((knots, knots)).astype(np.float32) @ weights.T
    return field


def burn(shapes: Sequence[Any], *, all_touched: bool = False) -> Array:
    """Cells whose centre lies in any of the shapes, bool (N, N)."""
    if len(shapes) == 0:
        return np.zeros((N, N), dtype=bool)
    mask: Array = rasterio.features.rasterize(
        [(shape, 1) for shape in shapes],
        out_shape=(N, N),
        transform=TRANSFORM,
        all_touched=all_touched,
        dtype="uint8",
    )
    return mask.astype(bool)


def burn_values(shapes: Iterable[Any], values: Iterable[int], *, fill: int = 0) -> Array:
    """Value of the last shape that holds the cell's centre, int32 (N, N)."""
    pairs = [(shape, int(value)) for shape, value in zip(shapes, values, strict=True)]
    if not pairs:
        return np.full((N, N), fill, dtype=np.int32)
    burned: Array = rasterio.features.rasterize(
        pairs, out_shape=(N, N), transform=TRANSFORM, fill=fill, dtype="int32"
    )
    return burned


def polygons(labels: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """Connected regions of equal label as polygons, with their labels."""
    corners: list[tuple[float, float]] = []
    sizes: list[int] = []
    owner: list[int] = []
    values: list[int] = []
    for shape, value in rasterio.features.shapes(
        labels.astype(np.int32, copy=False), mask=mask, connectivity=4, transform=TRANSFORM
    ):
        for ring in shape["coordinates"]:
            corners += ring
            sizes.append(len(ring))
            owner.append(len(values))
        values.append(int(value))
    rings: Any = shapely.linearrings(np.array(corners), indices=np.repeat(np.arange(len(sizes)), sizes))
    shaped: Any = shapely.polygons(rings, indices=np.array(owner))
    return shaped, np.array(values, dtype=np.int64)


def sample(raster: Array, x: Array, y: Array) -> Array:
    """Values of a city raster at points; points outside take the nearest cell."""
    column = np.clip(((np.asarray(x) - LEFT) / CELL).astype(int), 0, N - 1)
    row = np.clip(((BOTTOM + SIDE - np.asarray(y)) / CELL).astype(int), 0, N - 1)
    values: Array = raster[row, column]
    return values
