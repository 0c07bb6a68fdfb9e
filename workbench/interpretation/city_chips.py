"""Chips of generated cities: drawn anew for every epoch from the run's seed, so that a resumed run sees the same ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from workbench.core.errors import ParameterError
from workbench.interpretation.augment import NONE, Augmentation, augment
from workbench.interpretation.training_cities import BANDS, IGNORED, TrainingCity
from workbench.samples.space import Array

_KEPT = 60_000
"""Most cells of a class that are remembered as middles of chips."""


def standardize(image: Array, valid: Array, mean: Sequence[float], std: Sequence[float]) -> Array:
    """Input of a net: reflectance less the mean over the spread, 0 where invalid; dates and bands in one axis.

    Parameters
    ----------
    image : array of float32 (dates, bands, rows, columns)
    valid : array of bool (dates, rows, columns)
    mean, std : sequence of float
        Of each band, or of each band of each date.
    """
    dates, count, height, width = image.shape
    shape = (dates, count, 1, 1) if len(mean) == dates * count else (1, count, 1, 1)
    middle = np.asarray(mean, dtype=np.float32).reshape(shape)
    spread = np.asarray(std, dtype=np.float32).reshape(shape)
    found = (image - middle) / spread * valid[:, None]
    return found.reshape(dates * count, height, width).astype(np.float32)


class CityChips(Dataset[dict[str, torch.Tensor]]):
    """Chips of generated cities with their labels.

    Parameters
    ----------
    cities : sequence of TrainingCity
    task : str
        ``land_cover`` (one date a chip) or ``change`` (two dates of one season).
    length : int
        Chips an epoch.
    size : int
        Cells a side.
    seed, epoch : int
        Chip ``i`` of an epoch is the same whenever it is asked for.
    mean, std : sequence of float
        Of the bands.
    how : Augmentation
        NONE for validation.
    balance : float
        Share of chips drawn around a cell of a class drawn first; the others lie anywhere.
    """

    def __init__(
        self,
        cities: Sequence[TrainingCity],
        task: str,
        *,
        length: int,
        size: int,
        seed: int,
        epoch: int,
        mean: Sequence[float],
        std: Sequence[float],
        how: Augmentation = NONE,
        balance: float = 0.5,
        middles: list[list[Array]] | None = None,
    ) -> None:
        if task not in ("land_cover", "change"):
            raise ParameterError("task not known", where="task", found=task, expected="land_cover or change")
        self.cities, self.task, self.length, self.size = list(cities), task, length, size
        self.seed, self.epoch, self.how, self.balance = seed, epoch, how, balance
        self.mean, self.std = tuple(mean), tuple(std)
        self.middles = middles if middles is not None else [middles_of(city, task) for city in self.cities]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Image (channel, row, column), mask (row, column) of chip ``index``."""
        rng = np.random.default_rng([self.seed, self.epoch, index])
        number = int(rng.integers(len(self.cities)))
        city = self.cities[number]
        row, column = self._corner(number, rng)
        date, year = int(rng.integers(city.images.shape[1])), int(rng.integers(2))
        years = slice(None) if self.task == "change" else slice(year, year + 1)
        window = (slice(row, row + self.size), slice(column, column + self.size))
        image = city.images[(years, date, slice(None), *window)].astype(np.float32) / np.float32(10_000)
        valid = np.array(city.clear[(years, date, *window)])
        label = np.array(city.change[window] if self.task == "change" else city.classes[(year, *window)])
        image, valid, label = augment(image, valid, label, BANDS, rng, self.how)
        label = np.where(valid.all(axis=0), label, IGNORED)
        ready = standardize(image, valid, self.mean, self.std)
        return {"image": torch.from_numpy(ready), "mask": torch.from_numpy(label.astype(np.int64))}

    def _corner(self, number: int, rng: np.random.Generator) -> tuple[int, int]:
        """Upper left cell of a chip: around a cell of a class, or anywhere."""
        high, wide = self.cities[number].change.shape
        if rng.random() < self.balance:
            some = [cells for cells in self.middles[number] if len(cells)]
            cells = some[int(rng.integers(len(some)))]
            row, column = divmod(int(cells[int(rng.integers(len(cells)))]), wide)
            row -= int(rng.integers(self.size // 8, self.size - self.size // 8))
            column -= int(rng.integers(self.size // 8, self.size - self.size // 8))
        else:
            row, column = int(rng.integers(high)), int(rng.integers(wide))
        return int(np.clip(row, 0, high - self.size)), int(np.clip(column, 0, wide - self.size))


def middles_of(city: TrainingCity, task: str) -> list[Array]:
    """Flat numbers of cells of each class of a city, thinned: where chips are drawn around."""
    label = np.asarray(city.change if task == "change" else city.classes[0]).ravel()
    values = [1] if task == "change" else [int(v) for v in np.unique(label) if v != IGNORED]
    rng = np.random.default_rng(city.seed)
    found = []
    for value in values:
        cells = np.flatnonzero(label == value)
        found.append(rng.choice(cells, _KEPT, replace=False) if len(cells) > _KEPT else cells)
    return found
