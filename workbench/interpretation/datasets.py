"""torchgeo datasets made from catalogue items: every file named, every date by itself, nothing skipped without a word.

torchgeo's own raster datasets look through folders, leave out files whose names do not match, and merge all dates of a place
into one picture when a query names no time. Here the items are handed in one by one, a query must hit exactly one date,
and what cannot be read is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import torch
from rasterio.windows import Window
from torch.utils.data import Dataset
from torchgeo.datasets import GeoDataset
from torchgeo.samplers import GeoSampler, GridGeoSampler, RandomGeoSampler

from workbench.core.errors import CRSError, GridMismatch, ImageError, ParameterError
from workbench.interpretation.augment import NONE, Augmentation, augment
from workbench.interpretation.city_chips import standardize
from workbench.interpretation.imagery import Scene
from workbench.interpretation.sample_library import IGNORED, Array, SampleLibrary
from workbench.interpretation.splits import LEFT_OUT, by_blocks, by_images

if TYPE_CHECKING:
    import pystac

    from workbench.interpretation.runs import Run


class SceneDataset(GeoDataset):  # type: ignore[misc]
    """Scenes of one or several dates as a torchgeo dataset.

    Parameters
    ----------
    scenes : sequence of Scene
        Dated, of one CRS and cell size; no two of one day on the same ground.
    labels : sequence of array, optional
        Labels (rows, columns) on each scene's grid: 0 for the first class …, 255 for none.
    transforms : callable, optional
        Applied to each sample, as torchgeo does.

    Raises
    ------
    ImageError
        A scene has no date, or a file of it cannot be opened.
    CRSError, GridMismatch
        The scenes do not lie in one CRS, or have cells of different sizes.
    ParameterError
        Two scenes show the same ground on one day, or labels do not fit.

    Notes
    -----
    A sample has ``image`` (float32 reflectance, 0 where not valid), ``valid`` (bool), ``mask`` (int64, when there are labels),
    ``crs``, ``bounds`` and ``date``.
    """

    def __init__(
        self, scenes: Sequence[Scene], *, labels: Sequence[Array] | None = None, transforms: Any = None
    ) -> None:
        if not scenes:
            raise ParameterError("a dataset needs at least one scene")
        self.scenes, self.labels, self.transforms = list(scenes), labels, transforms
        self.paths: list[str] = []
        _fit(self.scenes, labels)
        first = self.scenes[0]
        for scene in self.scenes:
            with scene.open():
                pass  # a file that is missing or damaged is found now, not skipped
            self.paths += sorted({href for href, _ in scene.hrefs})
        days = [pd.Timestamp(scene.date).normalize() for scene in self.scenes]
        spans = [(day, day + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1)) for day in days]
        self.index = gpd.GeoDataFrame(
            {"scene": range(len(self.scenes))},
            index=pd.IntervalIndex.from_tuples(spans, closed="both", name="datetime"),
            geometry=[shapely.box(*scene.grid.boundingbox.bbox) for scene in self.scenes],
            crs=str(first.grid.crs),
        )
        self._res = (abs(first.grid.affine.a), abs(first.grid.affine.e))
        for k, day in enumerate(days):
            for other in range(k):
                shared = shapely.intersection(
                    self.index.geometry.iloc[k], self.index.geometry.iloc[other]
                ).area
                if days[other] == day and shared > 0:
                    raise ParameterError(
                        "two scenes show the same ground on one day", where=self.scenes[k].name,
                        found=self.scenes[other].name, hint="keep one, or mosaic them first",
                    )  # fmt: skip

    @classmethod
    def of_items(
        cls, items: Sequence[pystac.Item], *, bands: Sequence[str], transforms: Any = None
    ) -> SceneDataset:
        """Dataset of catalogue items; every item must give a scene with these bands."""
        return cls([Scene.of_item(item, bands=bands) for item in items], transforms=transforms)

    def at(self, date: str | pd.Timestamp) -> tuple[slice, slice, slice]:
        """Query for the whole ground of one date.

        Raises
        ------
        ParameterError
            There is no scene of that day.
        """
        day = pd.Timestamp(date).normalize()
        hits = [k for k, scene in enumerate(self.scenes) if pd.Timestamp(scene.date).normalize() == day]
        if not hits:
            raise ParameterError(
                "no scene of this day",
                found=f"{day:%Y-%m-%d}",
                expected=[f"{s.date:%Y-%m-%d}" for s in self.scenes],
            )
        left, low, right, high = self.index.iloc[hits].total_bounds
        span = self.index.index[hits[0]]
        return slice(left, right), slice(low, high), slice(span.left, span.right)

    def of_day(self, date: str | pd.Timestamp) -> SceneDataset:
        """Only the scenes of one day: what samplers should be given, for they go through every date of a dataset."""
        day = pd.Timestamp(date).normalize()
        some = [k for k, scene in enumerate(self.scenes) if pd.Timestamp(scene.date).normalize() == day]
        if not some:
            self.at(date)
        labels = None if self.labels is None else [self.labels[k] for k in some]
        return SceneDataset([self.scenes[k] for k in some], labels=labels, transforms=self.transforms)

    def __getitem__(self, query: Any) -> dict[str, Any]:
        """Sample of a query (x, y, time).

        Raises
        ------
        ParameterError
            The query names no time, or its time holds several dates: dates are never merged.
        IndexError
            Nothing lies there.
        """
        if not isinstance(query, tuple) or len(query) != 3 or query[2].start is None or query[2].stop is None:
            raise ParameterError(
                "a query must name its date",
                found=str(query)[:80],
                expected="(slice x, slice y, slice of one day)",
            )
        x, y, time = query
        span = pd.Interval(pd.Timestamp(time.start), pd.Timestamp(time.stop), closed="both")
        box = shapely.box(x.start, y.start, x.stop, y.stop)
        hits = self.index.index.overlaps(span) & self.index.intersects(box).to_numpy()
        numbers = self.index["scene"].to_numpy()[hits]
        if not len(numbers):
            raise IndexError(f"query: {query} not found in index with bounds: {self.bounds}")
        days = {pd.Timestamp(self.scenes[k].date).normalize() for k in numbers}
        if len(days) > 1:
            raise ParameterError(
                "the query holds several dates, which are never merged", found=[f"{day:%Y-%m-%d}" for day in sorted(days)],
                hint="query one day, or make a dataset of one day by of_day()",
            )  # fmt: skip
        if len(numbers) > 1:
            shares = [shapely.intersection(self.index.geometry.iloc[k], box).area for k in numbers]
            numbers = numbers[[int(np.argmax(shares))]]
        sample = self._read(int(numbers[0]), x, y)
        sample |= {"bounds": (x, y, time), "crs": self.crs}
        return self.transforms(sample) if self.transforms is not None else sample

    def _read(self, number: int, x: slice, y: slice) -> dict[str, Any]:
        """Pixels of one scene."""
        scene = self.scenes[number]
        left, _, _, top = scene.grid.boundingbox.bbox
        column, row = (x.start - left) / self._res[0], (top - y.stop) / self._res[1]
        wide, high = (x.stop - x.start) / self._res[0], (y.stop - y.start) / self._res[1]
        window = Window(round(column), round(row), round(wide), round(high))
        block = scene.read(window)
        sample = {
            "image": torch.from_numpy(block.data * block.valid), "valid": torch.from_numpy(block.valid.copy()),
            "date": f"{scene.date:%Y-%m-%d}",
        }  # fmt: skip
        if self.labels is not None:
            mask: Array = np.full(block.valid.shape, IGNORED, dtype=np.int64)
            top, left = int(window.row_off), int(window.col_off)
            rows = slice(max(top, 0), min(top + mask.shape[0], scene.shape[0]))
            columns = slice(max(left, 0), min(left + mask.shape[1], scene.shape[1]))
            part = self.labels[number][rows, columns]
            mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = part
            mask[~block.valid] = IGNORED
            sample["mask"] = torch.from_numpy(mask)
        return sample


def _fit(scenes: Sequence[Scene], labels: Sequence[Array] | None) -> None:
    """Refuse scenes and labels that do not belong together."""
    first = scenes[0]
    for scene in scenes:
        if pd.isna(scene.date):
            raise ImageError(
                "an image without a date cannot be kept apart from others",
                where=scene.name,
                expected="a date",
            )
        if scene.grid.crs != first.grid.crs:
            raise CRSError(
                "scenes lie in different CRS",
                where=scene.name,
                found=str(scene.grid.crs),
                expected=str(first.grid.crs),
            )
        if (scene.grid.affine.a, scene.grid.affine.e) != (first.grid.affine.a, first.grid.affine.e):
            raise GridMismatch(
                "scenes have cells of different sizes",
                where=scene.name,
                found=scene.grid.affine.a,
                expected=first.grid.affine.a,
            )
        if scene.bands != first.bands:
            raise ImageError(
                "scenes have different bands", where=scene.name, found=scene.bands, expected=first.bands
            )
    if labels is not None and [label.shape for label in labels] != [scene.shape for scene in scenes]:
        raise ParameterError(
            "labels do not lie on the scenes' grids", found=[label.shape for label in labels]
        )


def sampler(
    dataset: SceneDataset, size: int, *, stride: int | None = None, length: int | None = None, seed: int = 1
) -> GeoSampler:
    """Sampler of chips for torchgeo: random when ``length`` is given, else a grid.

    Parameters
    ----------
    dataset : SceneDataset
        Of one day (a sampler goes through every date).
    size, stride : int
        Cells a side, and from chip to chip (``size`` when not given).
    length : int, optional
        Number of random chips.
    seed : int
    """
    if len({pd.Timestamp(scene.date).normalize() for scene in dataset.scenes}) > 1:
        raise ParameterError("a sampler wants the scenes of one day", hint="dataset.of_day(date)")
    if length is None:
        return GridGeoSampler(dataset, size=size, stride=stride or size)
    return RandomGeoSampler(dataset, size=size, length=length, generator=torch.Generator().manual_seed(seed))


class LibraryChips(Dataset[dict[str, torch.Tensor]]):
    """Chips of a sample library for training: cut at random from those of a part and altered, or as they are.

    Parameters
    ----------
    library : SampleLibrary
    samples : sequence of str
        Chips of the part.
    size : int
        Cells a side of what is cut; chips that are smaller are refused.
    length : int, optional
        Chips an epoch; each once when not given.
    dates : int
        Dates a chip shows; its bands are those of each date in turn.
    """

    def __init__(
        self, library: SampleLibrary, samples: Sequence[str], *, size: int, mean: Sequence[float], std: Sequence[float],
        bands: tuple[str, ...], seed: int = 1, epoch: int = 0, length: int | None = None, how: Augmentation = NONE,
        weight: Array | None = None, dates: int = 1,
    ) -> None:  # fmt: skip
        if not len(samples):
            raise ParameterError(
                "no chips in this part of the library",
                where=str(library.folder),
                hint="add chips, or take smaller blocks",
            )
        self.library, self.samples, self.size, self.bands = library, list(samples), size, bands
        self.mean, self.std, self.seed, self.epoch, self.how = tuple(mean), tuple(std), seed, epoch, how
        self.length, self.dates = length or len(self.samples), dates
        self.drawn = length is not None
        self.weight = None if weight is None else np.asarray(weight, dtype=float) / np.sum(weight)
        self._kept: dict[str, tuple[Array, Array, Array]] = {}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Image (channel, row, column) and mask (row, column) of chip ``index``."""
        rng = np.random.default_rng([self.seed, self.epoch, index])
        number = (
            int(rng.choice(len(self.samples), p=self.weight)) if self.drawn else index % len(self.samples)
        )
        name = self.samples[number]
        if name not in self._kept:
            self._kept[name] = self.library.read(name)
        image, valid, label = self._kept[name]
        if min(label.shape) < self.size:
            raise ParameterError(
                "chips of the library are smaller than the run's",
                where=name,
                found=label.shape,
                expected=self.size,
            )
        room = np.array(label.shape) - self.size
        row, column = rng.integers(0, room + 1) if self.drawn else room // 2
        window = (slice(row, row + self.size), slice(column, column + self.size))
        image = image[:, *window].reshape(self.dates, -1, self.size, self.size)
        seen = np.repeat(valid[None, *window], self.dates, axis=0)
        whole, seen, truth = augment(image, seen, label[window], self.bands, rng, self.how)
        truth = np.where(seen.all(axis=0), truth, IGNORED)
        ready = standardize(whole, seen, self.mean, self.std)
        return {"image": torch.from_numpy(ready), "mask": torch.from_numpy(truth.astype(np.int64))}


@dataclass
class LibraryParts:
    """A library split by place for a run."""

    run: Run
    library: SampleLibrary
    part: pd.Series
    table: gpd.GeoDataFrame
    weight: dict[str, Array] = field(default_factory=dict)

    def dataset(self, part: str, epoch: int) -> LibraryChips:
        """Chips of a part and an epoch."""
        run, train = self.run, part == "train"
        some = (self.part == part).to_numpy()
        return LibraryChips(
            self.library, self.table["sample_id"][some].tolist(), size=run.data.chip, mean=run.data.mean, std=run.data.std,
            bands=run.data.bands, seed=run.seed, epoch=epoch, length=run.optimiser.chips if train else None,
            how=run.how if train else NONE, weight=self._weights(some) if train else None, dates=self.library.facts["dates"],
        )  # fmt: skip

    def _weights(self, some: Array) -> Array:
        """Chance of each chip of training: those with rare classes more often, by the run's ``balance``."""
        cells = self.table.loc[some, [f"cells_{name}" for name in self.library.names]].to_numpy(dtype=float)
        rare = cells / np.maximum(cells.sum(axis=0, keepdims=True), 1)
        found: Array = self.run.data.balance * rare.sum(axis=1) / max(rare.sum(), 1e-9) + (
            1 - self.run.data.balance
        ) / len(cells)
        return found


def library_parts(run: Run) -> LibraryParts:
    """Library of a run, split by place.

    Raises
    ------
    ParameterError
        Scheme, bands or dates of the library are not those of the run, or nothing is left for a part.
    """
    library = SampleLibrary(Path(run.data.library))
    facts = library.facts
    if facts["scheme"] != run.scheme or tuple(facts["bands"]) != run.data.bands:
        raise ParameterError(
            "class table or bands of the library are not those of the run", where=run.data.library,
            found=f"{facts['scheme']}, {facts['bands']}", expected=f"{run.scheme}, {list(run.data.bands)}",
        )  # fmt: skip
    if facts["dates"] != (wanted := 2 if run.task == "change" else 1):
        raise ParameterError(
            "chips of the library show another number of dates", where=run.data.library, found=facts["dates"], expected=wanted
        )  # fmt: skip
    table = library.table(kind="chip")
    if len(table) < 2:
        raise ParameterError("the library holds too few chips", where=run.data.library, found=len(table))
    names = [f"cells_{name}" for name in library.names]
    share, seed = run.data.validation_share, run.seed
    part = (
        by_images(table, run.data.hold_out)
        if run.data.hold_out
        else by_blocks(table, block_m=run.data.block_m, share=share, seed=seed, class_columns=names)
    )
    if not {"train", "validation"} <= set(part):
        raise ParameterError(
            "no chips are left for a part",
            found=part.value_counts().to_dict(),
            hint=f"parts beside {LEFT_OUT!r}; smaller blocks",
        )
    return LibraryParts(run, library, part, table)
