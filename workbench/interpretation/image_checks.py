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
    from workbench.interpretation.imagery import Scene


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
                hint="warp it to the image's grid first",
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
