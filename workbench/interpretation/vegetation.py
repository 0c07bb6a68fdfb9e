"""Forest lost or burnt in a year: each of its images against those of the same season in earlier years.

Per cell: which image shows the loss first, which was the last to show the vegetation whole, how many bear it out, and
whether anything was seen at all. An image is compared with its own season alone; what season, sensor and air do to all
vegetation between two dates is measured and taken off. The grid is gone through in strips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from rasterio.windows import Window

from workbench.core.errors import CRSError, GridMismatch, ImageError, ParameterError
from workbench.core.grid import describe, same_grid
from workbench.core.provenance import code_version
from workbench.interpretation import series
from workbench.interpretation.imagery import Scene, strictest
from workbench.operators.guards import same_crs

if TYPE_CHECKING:
    from workbench.interpretation.series import Bools, Floats, Settings

Kind = Literal["forest", "fire"]
INDEX: dict[str, str] = {"forest": "ndvi", "fire": "nbr"}
"""What is looked for -> index."""
APART, UNSEEN, THIN, KEPT = range(4)
"""States of a cell: other land, never seen in its season, too thin to tell, as it was; 3 + n: lost, first shown by image n."""
_ROWS = 256
_SAMPLE_ROWS, _SAMPLES = 16, 24
_MOST_IMAGES = 200


@dataclass(frozen=True)
class Comparison:
    """An image of the year and what it is compared with."""

    scene: Scene
    earlier: tuple[Scene, ...]
    """Images of its season in earlier years, by date."""


@dataclass(frozen=True)
class Level:
    """What season, sensor and air do between an image and the earlier ones, told from all vegetation that is judged."""

    offset: float
    """Median drop, taken off; 0 where too little is seen."""
    scatter: float
    """Robust scatter of the drop."""
    cells: int
    """Cells it was told from."""


@dataclass(frozen=True)
class Series:
    """What a series of images shows of a year."""

    kind: Kind
    year: int
    comparisons: tuple[Comparison, ...]
    levels: tuple[Level, ...]
    grid: GeoBox
    state: npt.NDArray[np.uint8]
    """:data:`APART`, :data:`UNSEEN`, :data:`THIN`, :data:`KEPT`, or 3 + number of the image that shows the loss first."""
    last: npt.NDArray[np.uint8]
    """Number of the last image of the year that shows the cell whole before that; 0: one of an earlier year."""
    images: npt.NDArray[np.uint8]
    """Images of the year that show the loss."""
    clear: npt.NDArray[np.uint8]
    """Images of the year that show the cell, with an earlier one to compare with."""
    usual: npt.NDArray[np.float16]
    """Usual index of the season in which the loss shows first."""
    drop: npt.NDArray[np.float32]
    """Drop of the index, offset taken off: mean of the images that show it, for fire the largest."""
    score: npt.NDArray[np.float16]
    """Drop in scatters, over the images that show it."""
    within: str
    """What land was judged."""
    matched: bool
    """Whether the images were brought to one level first."""
    settings: Settings

    @property
    def lost(self) -> Bools:
        """Cells that show a loss."""
        return self.state > KEPT

    @cached_property
    def areas(self) -> dict[str, float]:
        """Hectares of ``all`` land asked about; of it ``unseen`` and ``thin``; ``lost`` cells of any size."""
        cell = abs(self.grid.affine.determinant) / 1e4
        count = np.bincount(self.state.ravel(), minlength=KEPT + 1)
        parts = {
            "all": count[UNSEEN:],
            "unseen": count[UNSEEN],
            "thin": count[THIN],
            "lost": count[KEPT + 1 :],
        }
        return {name: float(np.sum(cells)) * cell for name, cells in parts.items()}

    @property
    def record(self) -> dict[str, Any]:
        """How it was made: images with checksums, levels, thresholds, code; plain values."""
        rows = []
        for one, level in zip(self.comparisons, self.levels, strict=True):
            rows.append(
                {
                    "image": one.scene.name, "date": f"{one.scene.date:%Y-%m-%d}", "sha256": one.scene.sha256,
                    "masked": one.scene.mask_href is not None, "offset": round(level.offset, 4), "scatter": round(level.scatter, 4),
                    "cells": level.cells, "compared_with": [
                        {"image": scene.name, "date": f"{scene.date:%Y-%m-%d}", "sha256": scene.sha256, "masked": scene.mask_href is not None}
                        for scene in one.earlier
                    ],
                }
            )  # fmt: skip
        rules = {name: value for name, value in vars(self.settings).items() if name != "severity"}
        return {
            "kind": self.kind, "index": INDEX[self.kind], "year": self.year, "images": rows, "within": self.within, "matched": self.matched, "settings": rules,
            "severity_from": {one[0]: one[3] for one in self.settings.severity}, "hectares": {k: round(v, 2) for k, v in self.areas.items()},
            "sensitivity": self.sensitivity, "code": code_version(),
        }  # fmt: skip

    @property
    def sensitivity(self) -> str:
        """That of the strictest image."""
        every = [scene for one in self.comparisons for scene in (one.scene, *one.earlier)]
        return strictest([scene.sensitivity for scene in every])

    @property
    def inputs(self) -> dict[str, str]:
        """Name and checksum of every image."""
        every = [scene for one in self.comparisons for scene in (one.scene, *one.earlier)]
        return {scene.name: scene.sha256 for scene in every}


def comparisons(
    scenes: Sequence[Scene], year: int, *, first_year: int | None = None, settings: Settings | None = None
) -> list[Comparison]:
    """Images of a year, by date, each with those of its season in earlier years; images without such are left out.

    Parameters
    ----------
    scenes : sequence of Scene
        Dated images of one place.
    year : int
        Year looked at.
    first_year : int, optional
        Earlier years from this one on; all when not given.
    settings : Settings, optional
        Thresholds; the package's when not given.

    Raises
    ------
    ImageError
        An image has no date, or none of the year has one of its season before.
    """
    rules = settings or series.load_settings()
    if undated := [scene.name for scene in scenes if pd.isna(scene.date)]:
        raise ImageError("a series needs dated images", found=", ".join(undated), hint="name files by their day: forest_20250708.tif")  # fmt: skip
    former = [scene for scene in scenes if (first_year or 0) <= scene.date.year < year]
    found = []
    for scene in sorted((one for one in scenes if one.date.year == year), key=lambda one: one.date):
        earlier = sorted(series.season(former, scene.date, rules.season_days), key=lambda one: one.date)
        if earlier:
            found.append(Comparison(scene, tuple(earlier)))
    if not found:
        raise ImageError(
            "no images of one season to compare", found=", ".join(f"{scene.date:%Y-%m-%d}" for scene in scenes),
            expected=f"an image of {year} and one of an earlier year at most {rules.season_days} days apart in the year",
        )  # fmt: skip
    names = [
        scene.name
        for scene in {id(one): one for pair in found for one in (pair.scene, *pair.earlier)}.values()
    ]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParameterError(
            "two images have one name", found=", ".join(twice), hint="rename one of the files"
        )
    if len(found) > _MOST_IMAGES:
        raise ParameterError("too many images in one year", found=len(found), expected=f"at most {_MOST_IMAGES}")  # fmt: skip
    return found


def look(
    scenes: Sequence[Scene],
    year: int,
    *,
    kind: Kind = "forest",
    parcels: gpd.GeoDataFrame | None = None,
    within: str = "",
    first_year: int | None = None,
    match: bool = False,
    settings: Settings | None = None,
) -> Series:
    """Look for forest lost (NDVI) or land burnt (NBR) in the images of a year.

    Parameters
    ----------
    scenes : sequence of Scene
        Images of the year and of earlier ones, on one grid.
    year : int
    kind : {"forest", "fire"}
        ``forest`` needs the bands red and nir, ``fire`` nir and swir22.
    parcels : GeoDataFrame, optional
        Only cells whose middle lies in one of these polygons are judged, e.g. the survey's woodland; anywhere when not given.
    within : str
        What the parcels are, for the record.
    first_year : int, optional
        Earlier years from this one on.
    match : bool
        First bring every band of every image to the level of the latest image, see :func:`.series.gains`: for images of
        several sensors, or whose counts are no reflectance.
    settings : Settings, optional
        Thresholds; the package's when not given.

    Raises
    ------
    ImageError, GridMismatch, CRSError
        No image has the bands, no season can be compared, images on different grids, parcels in another CRS.
    """
    rules = settings or series.load_settings()
    bands = series.INDICES[INDEX[kind]]
    able = [scene.select(bands) for scene in scenes if set(bands) <= set(scene.bands)]
    if not able:
        told = sorted({", ".join(scene.bands) for scene in scenes})
        raise ImageError(
            f"no image has the bands of {INDEX[kind]}", found="; ".join(told), expected=", ".join(bands),
            hint="fire needs the short-wave infrared near 2.2 µm, which four-band images do not have" if kind == "fire" else "",
        )  # fmt: skip
    pairs = comparisons(able, year, first_year=first_year, settings=rules)
    grid = _one_grid(pairs)
    mask = None if parcels is None else inside(parcels, grid)
    with ExitStack() as stack:
        images = _Images(pairs, kind, grid, stack, match=match)
        levels = tuple(_level(one, images, mask, rules) for one in pairs)
        shape = (int(grid.shape[0]), int(grid.shape[1]))
        parts = {name: np.zeros(shape, dtype=dtype) for name, dtype in _LAYERS.items()}
        for first in range(0, shape[0], _ROWS):
            rows = slice(first, min(first + _ROWS, shape[0]))
            done = _strip(pairs, levels, images, rows, None if mask is None else mask[rows], rules)
            for name, values in done.items():
                parts[name][rows] = values
    where = within or (
        "land as green as closed vegetation in its usual state" if parcels is None else "the polygons given"
    )
    return Series(
        kind, year, tuple(pairs), levels, grid, within=where, matched=match, settings=rules, **parts
    )


_LAYERS: dict[str, Any] = {
    "state": np.uint8, "last": np.uint8, "images": np.uint8, "clear": np.uint8, "usual": np.float16, "drop": np.float32,
    "score": np.float16,
}  # fmt: skip


def _one_grid(pairs: Sequence[Comparison]) -> GeoBox:
    """Grid of all images."""
    first = pairs[0].scene
    for one in pairs:
        for scene in (one.scene, *one.earlier):
            if not same_grid(first.grid, scene.grid):
                raise GridMismatch(
                    "images of a series lie on different grids", where=f"{first.name} and {scene.name}",
                    found=describe(scene.grid), expected=describe(first.grid), hint="warp one to the other first",
                )  # fmt: skip
    if first.grid.crs is None or not first.grid.crs.projected:
        raise CRSError(
            "the images have no coordinate system in metres", where=first.name, found=str(first.grid.crs)
        )
    return first.grid


def inside(parcels: gpd.GeoDataFrame, grid: GeoBox) -> Bools:
    """Cells whose middle lies in a parcel."""
    same_crs(parcels, gpd.GeoSeries([], crs=str(grid.crs)))
    shape = (int(grid.shape[0]), int(grid.shape[1]))
    shapes = [one for one in parcels.geometry if one is not None and not one.is_empty]
    if not shapes:
        return np.zeros(shape, dtype=bool)
    burnt: npt.NDArray[Any] = rasterize(shapes, out_shape=shape, transform=grid.affine, fill=0, default_value=1, dtype="uint8")  # fmt: skip
    return burnt > 0


class _Images:
    """Open images of a series, read as index."""

    def __init__(
        self, pairs: Sequence[Comparison], kind: Kind, grid: GeoBox, stack: ExitStack, *, match: bool
    ) -> None:
        self.kind, self.height, self.width = kind, int(grid.shape[0]), int(grid.shape[1])
        scenes = {scene.name: scene for one in pairs for scene in (one.scene, *one.earlier)}
        self._readers = {name: stack.enter_context(scene.open()) for name, scene in scenes.items()}
        self._gains: dict[str, tuple[Floats, Floats]] = {}
        if match:
            self._gains = self._matched(max(scenes.values(), key=lambda scene: scene.date).name)

    def _matched(self, reference: str) -> dict[str, tuple[Floats, Floats]]:
        """Factor and shift of each image that bring it to the level of one of them."""
        blocks = {
            name: [reader.read(window) for window in self.samples()] for name, reader in self._readers.items()
        }
        found = {}
        for name, mine in blocks.items():
            both = [
                (own.data, other.data, own.valid & other.valid)
                for own, other in zip(mine, blocks[reference], strict=True)
            ]
            cells = [np.concatenate([pair[k][:, pair[2]] for pair in both], axis=1) for k in (0, 1)]
            found[name] = series.gains(cells[0], cells[1])
        return found

    def samples(self) -> list[Window]:
        """Rows spread evenly over the image."""
        step = max(self.height // _SAMPLES, _SAMPLE_ROWS)
        return [
            Window(0, row, self.width, min(_SAMPLE_ROWS, self.height - row))
            for row in range(0, self.height, step)
        ]

    def index(self, scene: Scene, window: Window) -> Floats:
        """Index of an image in a window, missing where the ground is not seen."""
        reader = self._readers[scene.name]
        block = reader.read(window)
        data = block.data
        if scene.name in self._gains:
            factor, shift = self._gains[scene.name]
            data = data * factor[:, None, None] + shift[:, None, None]
        return series.index(INDEX[self.kind], data, reader.scene.bands, block.valid)


def _usual(one: Comparison, indices: Mapping[str, Floats], least: int) -> tuple[Floats, Floats]:
    return series.usual_of(np.stack([indices[scene.name] for scene in one.earlier]), least)


def _least(kind: Kind, rules: Settings) -> float:
    """Usual index from which a cell holds vegetation that can be lost."""
    return rules.least_ndvi if kind == "forest" else rules.least_nbr


def _level(one: Comparison, images: _Images, mask: Bools | None, rules: Settings) -> Level:
    """Median and scatter of the drop over rows spread evenly over the image."""
    found = []
    for window in images.samples():
        indices = {scene.name: images.index(scene, window) for scene in (one.scene, *one.earlier)}
        usual, _ = _usual(one, indices, rules.least_images)
        drop = usual - indices[one.scene.name]
        with np.errstate(invalid="ignore"):
            good = np.isfinite(drop) & (usual >= _least(images.kind, rules))
        if mask is not None:
            good &= mask[int(window.row_off) : int(window.row_off + window.height)]
        found.append(drop[good])
    values = np.concatenate(found)
    if len(values) < rules.least_unburnt:
        return Level(0.0, rules.least_scatter, len(values))
    offset = float(np.median(values))
    scatter = float(np.median(np.abs(values - offset))) * series.MAD_TO_SIGMA
    return Level(offset, max(scatter, rules.least_scatter), len(values))


def _strip(
    pairs: Sequence[Comparison], levels: Sequence[Level], images: _Images, rows: slice, mask: Bools | None, rules: Settings
) -> dict[str, npt.NDArray[Any]]:  # fmt: skip
    """Layers of some rows."""
    kind, shape = images.kind, (rows.stop - rows.start, images.width)
    window = Window(0, rows.start, shape[1], shape[0])
    scenes = {scene.name: scene for one in pairs for scene in (one.scene, *one.earlier)}
    indices = {name: images.index(scene, window) for name, scene in scenes.items()}
    told = _Told(shape)
    for number, (one, level) in enumerate(zip(pairs, levels, strict=True), start=1):
        usual, spread = _usual(one, indices, rules.least_images)
        drop = usual - indices[one.scene.name] - np.float32(level.offset)
        scatter = np.fmax(spread, np.float32(max(level.scatter, rules.least_scatter)))
        with np.errstate(invalid="ignore"):
            dense = usual >= _least(kind, rules)
            seen = np.isfinite(drop) & dense
            if kind == "forest":
                hit = seen & (drop >= rules.least_drop) & (drop >= rules.sigmas * scatter)
                whole = seen & (drop < rules.least_drop / 2)
            else:
                hit = seen & (drop >= rules.burnt_from)
                whole = seen & ~hit
        told.known |= np.isfinite(usual)
        told.dense |= dense
        told.clear += seen
        told.add(number, usual, drop, scatter, hit, whole, lasting=kind == "forest")
    return told.layers(mask, largest=kind == "fire")


class _Told:
    """What the images say of a strip, one after the other."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.first, self.last, self.images, self.clear = (np.zeros(shape, dtype=np.uint8) for _ in range(4))
        self.usual, self.total, self.score, self.most = (np.zeros(shape, dtype=np.float32) for _ in range(4))
        self.known, self.dense = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)

    def add(
        self, number: int, usual: Floats, drop: Floats, scatter: Floats, hit: Bools, whole: Bools, *, lasting: bool
    ) -> None:  # fmt: skip
        """Take an image in; where ``lasting``, vegetation that is whole again later was never lost."""
        if lasting:
            again = whole & (self.first > 0)
            for layer in (self.first, self.images, self.usual, self.total, self.score):
                layer[again] = 0
        self.last[whole & (self.first == 0)] = number
        new = hit & (self.first == 0)
        self.first[new] = number
        self.usual[new] = usual[new]
        self.images += hit
        self.total[hit] += drop[hit]
        self.score[hit] += drop[hit] / scatter[hit]
        self.most[hit] = np.maximum(self.most[hit], drop[hit])

    def layers(self, mask: Bools | None, *, largest: bool) -> dict[str, npt.NDArray[Any]]:
        """Layers as they are kept."""
        state = np.where(self.clear > 0, KEPT, UNSEEN).astype(np.uint8)
        state[(self.clear == 0) & self.known & ~self.dense] = APART if mask is None else THIN
        state[self.first > 0] = KEPT + self.first[self.first > 0]
        if mask is not None:
            state[~mask] = APART
        lost = state > KEPT
        number = np.maximum(self.images, 1)
        drop = self.most if largest else self.total / number
        return {
            "state": state, "last": np.where(lost, self.last, 0), "images": np.where(lost, self.images, 0), "clear": self.clear,
            "usual": np.where(lost, self.usual, 0), "drop": np.where(lost, drop, 0),
            "score": np.where(lost, self.score / np.sqrt(number), 0),
        }  # fmt: skip
