"""Tiles of images, read and standardised: what a streamed run feeds its net."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import ParameterError
from workbench.interpretation.imagery import Reader, Scene
from workbench.interpretation.tiling import Layout, standardise

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Scaling:
    """Factor and summand that make standardised values of counts, of each source and band."""

    gain: tuple[npt.NDArray[np.float32], ...]
    bias: tuple[npt.NDArray[np.float32], ...]
    channels: int
    """Channels the net takes."""


def scaling_of(
    sources: Sequence[Scene],
    bands: int,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    several_dates: bool,
) -> Scaling:
    """Scaling that standardises reflectance by the mean and spread of each band."""
    means = np.zeros(bands) if mean is None else np.asarray(mean, dtype=float)
    spreads = np.ones(bands) if std is None else np.asarray(std, dtype=float)
    if means.size != bands or spreads.size != bands or np.any(spreads <= 0):
        raise ParameterError(
            "mean and std must be given for each band", where="stream", found=f"{means.size} and {spreads.size}",
            expected=f"{bands}, std above 0",
        )  # fmt: skip
    gain, bias, first = [], [], 0
    for scene in sources:
        if several_dates and len(scene.bands) != bands:
            raise ParameterError("dates with different bands", where=scene.name, found=", ".join(scene.bands))
        part = slice(0, bands) if several_dates else slice(first, first + len(scene.bands))
        gain.append((scene.scale / spreads[part]).astype(np.float32))
        bias.append(((scene.offset - means[part]) / spreads[part]).astype(np.float32))
        first += len(scene.bands)
    return Scaling(tuple(gain), tuple(bias), bands)


@dataclass
class Group:
    """Neighbouring tiles of a row, read and standardised."""

    row: int
    first: int
    images: list[Array | None]
    """Of each date (one, when bands are stacked) (tile, channel, row, col); None where nothing is valid."""
    seen: list[Array]
    """Of each date, what is valid (tile, row, col)."""
    count: Array
    """Dates on which a pixel that the tile finishes is clear (tile, step, step)."""


class Buffers:
    """Arrays of float32 that are used again: of large ones, fresh memory costs more than the work on it."""

    _KEPT = 32

    def __init__(self) -> None:
        self._free: list[Array] = []
        self._lock = threading.Lock()

    def take(self, shape: tuple[int, ...]) -> Array:
        """An array of a shape, of any content."""
        with self._lock:
            for place, one in enumerate(self._free):
                if one.shape == shape:
                    return self._free.pop(place)
        return np.empty(shape, dtype=np.float32)

    def give(self, array: Any) -> None:
        """Take back what is not looked at any more; views and what is no array of float32 are let go."""
        if isinstance(array, np.ndarray) and array.base is None and array.dtype == np.float32:
            with self._lock:
                if len(self._free) < self._KEPT:
                    self._free.append(array)


class TileReader:
    """Reads groups of neighbouring tiles; each thread has files of its own.

    Parameters
    ----------
    sources : sequence of Scene
    layout : Layout
    scaling : Scaling
    batch : int
        Tiles of a group.
    several_dates : bool
        Whether sources are dates seen one by one, not bands to be stacked.
    buffers : Buffers, optional
        Where images come from; whoever is done with one may give it back.
    """

    def __init__(
        self,
        sources: Sequence[Scene],
        layout: Layout,
        scaling: Scaling,
        *,
        batch: int,
        several_dates: bool,
        buffers: Buffers | None = None,
    ) -> None:
        self.sources, self.layout, self.scaling = tuple(sources), layout, scaling
        self.buffers = buffers or Buffers()
        self.batch, self.several_dates = batch, several_dates
        self._local, self._lock, self._files = threading.local(), threading.Lock(), ExitStack()

    def close(self) -> None:
        """Close all files."""
        self._files.close()

    def _readers(self) -> list[Reader]:
        if not hasattr(self._local, "readers"):
            with self._lock:  # the stack is shared
                self._local.readers = [self._files.enter_context(scene.open()) for scene in self.sources]
        found: list[Reader] = self._local.readers
        return found

    def read(self, row: int, first: int) -> Group:
        """Group of a row whose first tile is ``first``."""
        layout = self.layout
        last = min(first + self.batch, layout.cols.count) - 1
        window = layout.window(row, first, last)
        parts: list[tuple[Array, Array]] = [reader.counts(window) for reader in self._readers()]
        starts = [index * layout.cols.step for index in range(last - first + 1)]
        together = np.logical_and.reduce([valid for _, valid in parts])
        members = (
            [[place] for place in range(len(parts))] if self.several_dates else [list(range(len(parts)))]
        )
        valids = [valid for _, valid in parts] if self.several_dates else [together]
        images = [self._images(parts, one, valid, starts) for one, valid in zip(members, valids, strict=True)]
        wide = layout.cols.tile
        seen = [np.stack([valid[:, start : start + wide] for start in starts]) for valid in valids]
        top, left = layout.rows.margin, layout.cols.margin
        count = np.stack(seen).sum(axis=0, dtype=np.uint8)
        inner = count[:, top : top + layout.rows.step, left : left + layout.cols.step]
        return Group(row, first, images, seen, np.ascontiguousarray(inner))

    def _images(
        self,
        parts: Sequence[tuple[Array, Array]],
        members: Sequence[int],
        valid: Array,
        starts: Sequence[int],
    ) -> Array | None:
        """Standardised tiles of some sources, stacked; None where nothing is valid."""
        if not valid.any():
            return None
        wide = self.layout.cols.tile
        batch = self.buffers.take((len(starts), self.scaling.channels, *self.layout.tile))
        channel = 0
        for member in members:
            gain, bias = self.scaling.gain[member], self.scaling.bias[member]
            for index, start in enumerate(starts):
                cells = slice(start, start + wide)
                into = batch[index, channel : channel + len(gain)]
                standardise(parts[member][0][:, :, cells], valid[:, cells], gain, bias, into)
            channel += len(gain)
        return batch
