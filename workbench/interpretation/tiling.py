"""Where tiles lie, how overlapping ones are blended, and the compiled loops for both.

Tiles overlap. The outer part of the overlap (the margin) serves as context only; across the rest (the ramp) the weight of a
tile falls smoothly from 1 to 0 while its neighbour's rises, so that the weights of all tiles add up to 1 everywhere. Every
pixel is the sum of at most four tiles, added in one order wherever and whenever they were computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from workbench.core.errors import ParameterError
from workbench.operators.loops import compiled

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis."""

    size: int
    """Cells of the image."""
    tile: int
    """Cells of a tile."""
    step: int
    """Cells from one tile to the next: what each adds to the result."""
    margin: int
    """Outer cells of a tile that are context only."""
    ramp: int
    """Cells over which a tile passes into the next."""
    count: int
    """Number of tiles."""

    @staticmethod
    def of(size: int, most: int, overlap: int, multiple: int) -> Axis:
        """Tiles of at most ``most`` cells, no larger than the image needs, with sides divisible by ``multiple``."""
        overlap = -(-overlap // multiple) * multiple
        most = most // multiple * multiple
        if most < 2 * overlap or most <= 0:
            raise ParameterError(
                "tiles are too small for their overlap", where="tile", found=most,
                expected=f"at least {max(2 * overlap, multiple)}",
            )  # fmt: skip
        margin = overlap * 3 // 8
        ramp = overlap - 2 * margin
        count = -(-size // (most - overlap))
        step = -(-size // (count * multiple)) * multiple
        if count > 1:
            step = max(step, overlap)
        return Axis(size, step + overlap, step, margin, ramp, count)

    def start(self, index: int) -> int:
        """First cell of a tile; negative where it begins before the image."""
        return index * self.step - self.margin

    def span(self, index: int) -> tuple[int, int]:
        """Cells of the image that are finished when this tile is in."""
        return index * self.step, min(self.size, (index + 1) * self.step)

    def weights(self, index: int) -> npt.NDArray[np.float32]:
        """Weight of each cell from the margin on: ``step + ramp`` of them; those of neighbours add up to 1."""
        found = np.ones(self.step + self.ramp, dtype=np.float32)
        if self.ramp:
            rise = np.sin(0.5 * np.pi * (np.arange(self.ramp) + 0.5) / self.ramp).astype(np.float32) ** 2
            if index > 0:
                found[: self.ramp] = rise
            if index < self.count - 1:
                found[self.step :] = 1 - rise
        return found


@dataclass(frozen=True)
class Layout:
    """Tiles over an image."""

    rows: Axis
    cols: Axis

    @staticmethod
    def of(shape: tuple[int, int], *, tile: int = 512, overlap: int = 64, multiple: int = 32) -> Layout:
        """Tiles over an image of a shape.

        Parameters
        ----------
        shape : (rows, columns)
        tile : int
            Longest side of a tile; tiles become smaller where that wastes less beyond the edge.
        overlap : int
            Cells two neighbours share, rounded up to ``multiple``.
        multiple : int
            What the sides of a net's input must be divisible by.

        Examples
        --------
        >>> layout = Layout.of((1000, 300), tile=512, overlap=64, multiple=32)
        >>> layout.rows.count, layout.rows.tile, layout.cols.count, layout.cols.tile
        (3, 416, 1, 384)
        """
        return Layout(*(Axis.of(size, tile, overlap, multiple) for size in shape))

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns of a tile."""
        return self.rows.tile, self.cols.tile

    def window(self, row: int, first: int, last: int) -> Window:
        """Window of the tiles ``first`` to ``last`` of a row, margins included."""
        left = self.cols.start(first)
        width = self.cols.start(last) + self.cols.tile - left
        return Window(left, self.rows.start(row), width, self.rows.tile)


@compiled
def standardise(counts: Any, valid: Any, gain: Any, bias: Any, out: Any) -> None:
    """``counts x gain + bias`` by band; 0 where not valid."""
    for band in range(counts.shape[0]):
        for row in range(counts.shape[1]):
            for col in range(counts.shape[2]):
                if valid[row, col]:
                    out[band, row, col] = np.float32(counts[band, row, col]) * gain[band] + bias[band]
                else:
                    out[band, row, col] = np.float32(0)


@compiled
def mix(
    logits: Any, down: Any, across: Any, margin: Any, ramp: Any, left: Any, above: Any, done: Any
) -> None:
    """Weight a tile, add what its neighbours to the left and above left for it, and leave the same for those to come.

    ``left`` (class, step + ramp, ramp) and ``above`` (class, ramp, step) are read and then overwritten; ``done``
    (class, step, step) is what is finished.
    """
    tall, wide = down.size, across.size
    step_y, step_x = tall - ramp[0], wide - ramp[1]
    line = np.empty(wide, dtype=np.float32)
    for k in range(logits.shape[0]):
        for row in range(tall):
            for col in range(wide):
                line[col] = logits[k, row + margin[0], col + margin[1]] * (down[row] * across[col])
            for col in range(ramp[1]):
                line[col] += left[k, row, col]
                left[k, row, col] = line[step_x + col]
            if row < ramp[0]:
                for col in range(step_x):
                    done[k, row, col] = line[col] + above[k, row, col]
            elif row < step_y:
                for col in range(step_x):
                    done[k, row, col] = line[col]
            if row >= step_y:
                for col in range(step_x):
                    above[k, row - step_y, col] = line[col]


@compiled
def decide(done: Any, count: Any, threshold: Any, classes: Any) -> None:
    """Class of each pixel from 1 (the first of the greatest; of one logit, 2 at and above the threshold); 0 unseen."""
    for row in range(classes.shape[0]):
        for col in range(classes.shape[1]):
            if count[row, col] == 0:
                classes[row, col] = 0
            elif done.shape[0] == 1:
                classes[row, col] = 2 if done[0, row, col] >= threshold * count[row, col] else 1
            else:
                best = 0
                for k in range(1, done.shape[0]):
                    if done[k, row, col] > done[best, row, col]:
                        best = k
                classes[row, col] = best + 1


@compiled
def shares(done: Any, count: Any, out: Any) -> None:
    """Probability of each class, 0 to 250, 255 unseen, of summed logits of ``count`` dates."""
    classes = done.shape[0]
    for row in range(out.shape[1]):
        for col in range(out.shape[2]):
            number = count[row, col]
            if number == 0:
                for k in range(classes):
                    out[k, row, col] = 255
                continue
            if classes == 1:
                one = np.float32(1) / (np.float32(1) + np.exp(-done[0, row, col] / np.float32(number)))
                out[0, row, col] = int(one * np.float32(250) + np.float32(0.5))
                continue
            top = done[0, row, col]
            for k in range(1, classes):
                top = max(top, done[k, row, col])
            total = np.float32(0)
            for k in range(classes):
                total += np.exp((done[k, row, col] - top) / np.float32(number))
            for k in range(classes):
                part = np.exp((done[k, row, col] - top) / np.float32(number)) / total
                out[k, row, col] = int(part * np.float32(250) + np.float32(0.5))


class Blender:
    """Blends the tiles of rows that follow one another, on the host.

    Parameters
    ----------
    layout : Layout
    classes : int
        Logits a pixel.
    threshold : float
        Logit of the second class, when there is one logit.
    probabilities : bool
        Whether probabilities are wanted.
    """

    def __init__(
        self, layout: Layout, classes: int, *, threshold: float = 0.0, probabilities: bool = False
    ) -> None:
        self.layout, self.classes = layout, classes
        self.threshold, self.probabilities = np.float32(threshold), probabilities
        rows, cols = layout.rows, layout.cols
        self._above = np.zeros((cols.count, classes, rows.ramp, cols.step), dtype=np.float32)
        self._left = np.zeros((classes, rows.step + rows.ramp, cols.ramp), dtype=np.float32)
        self._done = np.empty((classes, rows.step, cols.step), dtype=np.float32)
        self._margin = np.array([rows.margin, cols.margin])
        self._ramp = np.array([rows.ramp, cols.ramp])

    def add(self, row: int, col: int, logits: Array, count: Array) -> tuple[Array, Array | None]:
        """Classes and probabilities of the cells that a tile finishes (``step`` x ``step``).

        Parameters
        ----------
        row, col : int
            Place of the tile; rows come one after the other, in each all tiles from the left.
        logits : array of float32 (class, tile, tile)
            Summed over dates.
        count : array of uint8 (step, step)
            Dates on which a cell is seen.
        """
        rows, cols = self.layout.rows, self.layout.cols
        if col == 0:
            self._left[:] = 0
        host = np.ascontiguousarray(logits, dtype=np.float32)
        mix(
            host,
            rows.weights(row),
            cols.weights(col),
            self._margin,
            self._ramp,
            self._left,
            self._above[col],
            self._done,
        )
        classes = np.empty((rows.step, cols.step), dtype=np.uint8)
        decide(self._done, count, self.threshold, classes)
        if not self.probabilities:
            return classes, None
        found = np.empty((self.classes, rows.step, cols.step), dtype=np.uint8)
        shares(self._done, count, found)
        return classes, found


class DeviceBlender:
    """Blends like :class:`Blender`, on the device where the logits are; only finished classes leave it."""

    def __init__(
        self,
        layout: Layout,
        classes: int,
        device: torch.device,
        *,
        threshold: float = 0.0,
        probabilities: bool = False,
    ) -> None:
        import torch

        self.layout, self.classes, self.device = layout, classes, device
        self.threshold, self.probabilities = threshold, probabilities
        rows, cols = layout.rows, layout.cols
        self._above = torch.zeros((cols.count, classes, rows.ramp, cols.step), device=device)
        self._left = torch.zeros((classes, rows.step + rows.ramp, cols.ramp), device=device)
        kinds = (
            sorted({0, min(1, rows.count - 1), rows.count - 1}),
            sorted({0, min(1, cols.count - 1), cols.count - 1}),
        )
        self._down = {one: torch.from_numpy(rows.weights(one)).to(device) for one in kinds[0]}
        self._across = {one: torch.from_numpy(cols.weights(one)).to(device) for one in kinds[1]}

    @staticmethod
    def _kind(index: int, axis: Axis) -> int:
        return index if index in (0, axis.count - 1) else 1

    def add(self, row: int, col: int, logits: torch.Tensor, count: Array) -> tuple[Array, Array | None]:
        """Classes and probabilities of the cells that a tile finishes, on the host."""
        import torch

        rows, cols = self.layout.rows, self.layout.cols
        if col == 0:
            self._left.zero_()
        weight = self._down[self._kind(row, rows)][:, None] * self._across[self._kind(col, cols)][None, :]
        top, left = rows.margin, cols.margin
        part = (
            logits[:, top : top + rows.step + rows.ramp, left : left + cols.step + cols.ramp].float() * weight
        )
        part[:, :, : cols.ramp] += self._left
        self._left = part[:, :, cols.step :].clone()
        part = part[:, :, : cols.step]
        part[:, : rows.ramp] += self._above[col]
        self._above[col] = part[:, rows.step :]
        done, seen = part[:, : rows.step], torch.from_numpy(count).to(self.device)
        if self.classes == 1:
            found = torch.where(done[0] >= self.threshold * seen, 2, 1)
        else:
            found = done.argmax(dim=0) + 1
        classes = torch.where(seen == 0, 0, found).to(torch.uint8).cpu().numpy()
        if not self.probabilities:
            return classes, None
        mean = done / seen.clamp(min=1)
        likely = torch.sigmoid(mean) if self.classes == 1 else torch.softmax(mean, dim=0)
        scaled = torch.where(seen == 0, 255, torch.floor(likely * 250 + 0.5))
        return classes, scaled.to(torch.uint8).cpu().numpy()
