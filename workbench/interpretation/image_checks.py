"""What makes an image useless, found before it is used, and how far two images lie off one another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from workbench.core.errors import ImageError
from workbench.interpretation.image_sources import opened, unreadable

if TYPE_CHECKING:
    from workbench.interpretation.imagery import Pair, Scene


def check_grid(scene: Scene) -> None:
    """Refuse a rotated or flipped grid."""
    affine = scene.grid.affine
    if affine.b or affine.d:
        raise ImageError(
            "the image is rotated against its coordinate system", where=scene.name,
            found=f"geotransform {tuple(round(value, 6) for value in affine[:6])}", expected="rows along the x axis",
            hint="warp it to a north-up grid first",
        )  # fmt: skip
    if scene.grid.crs is not None and (affine.a <= 0 or affine.e >= 0):
        raise ImageError(
            "the image is flipped", where=scene.name, found=f"cells of {affine.a:g} x {affine.e:g}",
            expected="north up", hint="warp it to a north-up grid first",
        )  # fmt: skip


def check_whole(scene: Scene, href: str) -> None:
    """Refuse a file whose last blocks lie beyond its end or cannot be decoded."""
    with opened(href, scene.name) as file:
        if (file.height, file.width) != scene.shape:
            raise ImageError(
                "a file of the image has another size", where=scene.name,
                found=f"{Path(href).name}: {file.height} x {file.width}", expected=" x ".join(map(str, scene.shape)),
            )  # fmt: skip
        high, wide = file.block_shapes[0]
        rows, cols = (file.height - 1) // high, (file.width - 1) // wide
        for row, col in {(0, 0), (rows, 0), (rows // 2, cols // 2), (rows, cols)}:
            window = Window(
                col * wide,
                row * high,
                min(wide, file.width - col * wide),
                min(high, file.height - row * high),
            )
            try:
                file.read(window=window)
            except rasterio.errors.RasterioIOError as error:
                raise unreadable(href, scene.name) from error


def _windows(shape: tuple[int, int], count: int, size: int) -> list[Window]:
    """Windows spread evenly over an image, no more than fit into it."""
    spans = []
    for length in shape:
        number = min(count, max(1, length // size))
        spans.append([int(start) for start in np.linspace(0, max(0, length - size), number)])
    return [
        Window(col, row, min(size, shape[1] - col), min(size, shape[0] - row))
        for row in spans[0]
        for col in spans[1]
    ]


def sample(scene: Scene) -> npt.NDArray[np.float32]:
    """Reflectance of valid pixels spread over the image (band, pixel)."""
    with scene.open() as reader:
        parts = []
        for window in _windows(scene.shape, 5, 96):
            block = reader.read(window)
            parts.append(block.data[:, block.valid])
        found = np.concatenate(parts, axis=1)
        if found.shape[1]:
            return found
        rows, cols = scene.shape
        for row in range(0, rows, 512):  # nothing there: look everywhere before saying so
            for col in range(0, cols, 2048):
                block = reader.read(Window(col, row, min(2048, cols - col), min(512, rows - row)))
                if block.valid.any():
                    return np.ascontiguousarray(block.data[:, block.valid])
    raise ImageError(
        "the image has no valid pixel", where=scene.name, found=f"nodata {scene.nodata}, mask {scene.mask_href is not None}",
        hint="all of it is nodata or hidden by cloud: leave this image out",
    )  # fmt: skip


def check_values(scene: Scene, values: npt.NDArray[np.float32]) -> None:
    """Refuse values that are no reflectance and bands that look like one another's."""
    middle, high = float(np.median(values)), float(np.quantile(values, 0.99))
    if middle > 1.6 or high < 0.026:
        kind = "counts" if middle > 1.6 else "values far too dark"
        raise ImageError(
            "the scale is implausible", where=scene.name,
            found=f"{kind}: median {middle:.4g}, 99 % below {high:.4g} with scale {scene.scale:g}",
            expected="reflectance, 0 to about 1", hint="give the scale, e.g. 0.0001 for counts of 10,000 x reflectance",
        )  # fmt: skip
    if "nir" not in scene.bands:
        return
    names = [name for name in scene.bands if name in {"blue", "green", "red", "nir"}]
    if len(names) < 3:
        return
    part = values[[scene.bands.index(name) for name in names]]
    second = np.sort(part, axis=0)[-2]
    top = part.argmax(axis=0)
    leafy = (part.max(axis=0) > 1.5 * second) & (
        part.max(axis=0) > 0.15
    )  # as only vegetation is, and only in nir
    shares = {name: float((leafy & (top == place)).mean()) for place, name in enumerate(names)}
    odd = max(shares, key=lambda name: shares[name])
    if odd != "nir" and shares[odd] > 0.03 and shares["nir"] < 0.25 * shares[odd]:
        raise ImageError(
            "the bands seem to be in another order than named", where=scene.name,
            found=f"{', '.join(scene.bands)}, but '{odd}' is bright over vegetation as only near infrared is",
            hint="name the file's bands in their true order",
        )  # fmt: skip


def phase_shift(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Rows and columns by which ``after`` lies off ``before``, by phase correlation of stacks of windows (n, row, col).

    Examples
    --------
    >>> field = np.random.default_rng(0).standard_normal((1, 96, 96)).astype(np.float32)
    >>> rows, columns = phase_shift(field[:, 8:72, 8:72], field[:, 6:70, 11:75])
    >>> round(rows), round(columns)
    (2, -3)
    """
    size = before.shape[1:]
    taper = np.hanning(size[0])[:, None] * np.hanning(size[1])[None, :]
    total = np.zeros((size[0], size[1] // 2 + 1), dtype=np.complex128)
    for first, second in zip(before, after, strict=True):
        cross = np.fft.rfft2((second - second.mean()) * taper) * np.conj(
            np.fft.rfft2((first - first.mean()) * taper)
        )
        total += cross / np.maximum(np.abs(cross), 1e-12)
    surface = np.fft.irfft2(total, s=size)
    peak = np.unravel_index(int(surface.argmax()), surface.shape)
    found = []
    for axis in (0, 1):
        around = [
            surface[tuple((peak[a] + (step if a == axis else 0)) % size[a] for a in (0, 1))]
            for step in (-1, 0, 1)
        ]
        bend = around[0] - 2 * around[1] + around[2]
        part = 0.0 if bend == 0 else 0.5 * float((around[0] - around[2]) / bend)
        place = float(peak[axis]) + part
        found.append(place - size[axis] if place > size[axis] / 2 else place)
    return found[0], found[1]


def pair_shift(pair: Pair) -> tuple[float, float]:
    """Shift of the later image of a pair, over windows that both dates show."""
    size = min(256, *pair.before.shape)
    stacks: tuple[list[npt.NDArray[np.float32]], list[npt.NDArray[np.float32]]] = ([], [])
    with pair.before.open() as first, pair.after.open() as second:
        for window in _windows(pair.before.shape, 4, size):
            blocks = first.read(window), second.read(window)
            both = blocks[0].valid & blocks[1].valid
            if both.mean() < 0.7:
                continue
            for stack, block in zip(stacks, blocks, strict=True):
                stack.append(_edges(block.data, both))
    if not stacks[0]:
        raise ImageError(
            "too little is seen on both dates to measure their shift",
            where=f"{pair.before.name} and {pair.after.name}",
        )
    return phase_shift(np.stack(stacks[0]), np.stack(stacks[1]))


def _edges(data: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Strength of edges, which seasons change less than brightness; 0 where not valid."""
    strength = np.zeros(valid.shape, dtype=np.float32)
    for band in data:
        filled = np.where(valid, band, band[valid].mean())
        down, right = np.gradient(filled)
        spread = float(filled.std()) or 1.0
        strength += np.hypot(down, right) / spread
    return np.where(valid, strength, strength[valid].mean()).astype(np.float32)
