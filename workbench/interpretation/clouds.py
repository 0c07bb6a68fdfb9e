"""Cloud and shadow masks: the image's own, else by the packaged model of ukis-csmask (extra ``clouds``)."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from workbench.core.errors import ImageError, RunError
from workbench.core.paths import atomic_write
from workbench.core.provenance import sha256_file, stable_hash
from workbench.interpretation.imagery import Scene

CLEAR, CLOUD, SHADOW, NODATA = 0, 1, 2, 255
"""Values of a mask."""
BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
"""Bands the model takes; the last two where there are any, which makes it much surer."""
BLOCK, CONTEXT = 1024, 128
"""Cells of a block, and cells read around it."""


def available() -> bool:
    """Whether the extra ``clouds`` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("ukis_csmask", "onnxruntime"))


def classify(
    reflectance: npt.NDArray[np.float32], bands: tuple[str, ...], *, level: Literal["l1c", "l2a"] = "l1c"
) -> npt.NDArray[np.uint8]:
    """Cloud 1, shadow 2, else 0, of reflectance (band, row, col).

    Parameters
    ----------
    reflectance : array
    bands : tuple of str
        Common names; blue, green, red and near infrared at least.
    level : str
        ``l1c`` top of atmosphere, ``l2a`` surface reflectance.

    Raises
    ------
    ImageError
        When a band that the model needs is absent.
    RunError
        When the extra is not installed.
    """
    if absent := [name for name in BANDS[:4] if name not in bands]:
        raise ImageError("clouds cannot be found without these bands", where="clouds", found=", ".join(bands), expected=", ".join(absent))  # fmt: skip
    if not available():
        raise RunError(
            "clouds cannot be found: the extra is not installed", where="clouds",
            hint='install it (pip install "cspon-workbench[clouds]"), or give a mask with the image',
        )  # fmt: skip
    from ukis_csmask.mask import CSmask

    order = list(BANDS if all(name in bands for name in BANDS) else BANDS[:4])
    image = np.ascontiguousarray(
        reflectance[[bands.index(name) for name in order]].transpose(1, 2, 0), dtype=np.float32
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a block is small
        made: Any = CSmask(
            image, order, product_level=level, invalid_buffer=1, providers=["CPUExecutionProvider"]
        )
    found: npt.NDArray[np.uint8] = made.csm[:, :, 0]
    return found


def mask(
    scene: Scene,
    out: Path,
    *,
    level: Literal["l1c", "l2a"] = "l1c",
    grow: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> Scene:
    """The scene with a mask: its own where it has one, else one made block by block and written to ``out``.

    Parameters
    ----------
    scene : Scene
    out : Path
        Where the mask is written: 0 clear, 1 cloud, 2 shadow, 255 nodata.
    level : str
        ``l1c`` top of atmosphere, ``l2a`` surface reflectance.
    grow : int
        Cells by which clouds and shadows are widened: their edges are thin.
    progress : callable, optional
        Told of blocks done, of how many.
    """
    if scene.mask_href is not None:
        return scene
    rows, cols = scene.shape
    windows = [Window(col, row, min(BLOCK, cols - col), min(BLOCK, rows - row)) for row in range(0, rows, BLOCK) for col in range(0, cols, BLOCK)]  # fmt: skip
    profile = {
        "driver": "GTiff", "height": rows, "width": cols, "count": 1, "dtype": "uint8", "tiled": True, "compress": "deflate",
        "transform": scene.grid.affine, "crs": None if scene.grid.crs is None else scene.grid.crs.wkt,
        "blockxsize": 512, "blockysize": 512,
    }  # fmt: skip
    with (
        atomic_write(out) as temporary,
        scene.open() as reader,
        rasterio.open(temporary, "w", **profile) as sink,
    ):
        for done, window in enumerate(windows, start=1):
            sink.write(_block(scene, reader, window, level, grow), 1, window=window)
            if progress is not None:
                progress(done, len(windows))
    return replace(scene, mask_href=str(out), sha256=stable_hash([scene.sha256, sha256_file(out)]))


def _block(
    scene: Scene, reader: Any, window: Window, level: Literal["l1c", "l2a"], grow: int
) -> npt.NDArray[np.uint8]:
    """Mask of a block, from it and what lies around it."""
    from scipy.ndimage import grey_dilation

    wide = Window(window.col_off - CONTEXT, window.row_off - CONTEXT, window.width + 2 * CONTEXT, window.height + 2 * CONTEXT)  # fmt: skip
    block = reader.read(wide)
    counts, seen = reader.counts(window)
    del counts
    if not seen.any():
        return np.full(seen.shape, NODATA, dtype=np.uint8)
    found = classify(block.data, scene.bands, level=level)
    if grow:
        side = 2 * grow + 1
        found = np.where(found == CLEAR, grey_dilation(found, size=(side, side)), found)
    inner = found[CONTEXT : CONTEXT + int(window.height), CONTEXT : CONTEXT + int(window.width)]
    return np.where(seen, inner, NODATA).astype(np.uint8)
