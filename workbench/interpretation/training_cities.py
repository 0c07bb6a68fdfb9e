"""Generated cities to train on: images of two years, land cover and what became construction land, from other seeds.

A training city is made by the same generators as the demo city, from a seed of its own, with only the layers
that images need. Hundreds of small changes more are put in (so that a net sees many of each size), and much
that only looks like a change: fields turned into ponds, orchards or bare land, felled woods, fields ploughed
on another day than last year. What is made is kept as plain arrays in the workbench's cache.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
import shapely.affinity

from workbench.core.errors import ParameterError
from workbench.core.paths import atomic_dir, cache_dir
from workbench.core.provenance import stable_hash
from workbench.samples import demo
from workbench.samples.cover import CODES, OF
from workbench.samples.fabric import parcels_of
from workbench.samples.houses import make_buildings
from workbench.samples.sensor import (
    CLASSES,
    DATES,
    Scene,
    class_of_codes,
    lasting_texture,
    make_image,
    paved,
    plot_tone,
)
from workbench.samples.space import BOTTOM, CELL, LEFT, SIDE, Array, N, burn, burn_values, stream
from workbench.samples.truth import CONSTRUCTION

BANDS = ("blue", "green", "red", "nir")
YEARS = demo.IMAGE_YEARS
KEPT_AWAY = frozenset({7, 77, 4242, 20250})
"""Seeds of the demo city and of the tests; no net has seen them."""
DRAWN = 100_000
"""Tests draw their seeds from here on."""
IGNORED = 255
"""Label of cells that teach nothing and count nowhere."""
VERSION = "4"
BUILT = CLASSES.index("built")
_NEW = ("0601", "0702", "0809", "0508", "0701", "05H1", "08H2", "1202")
_OTHER = ("1104", "0201", "0404", "1206", "0101", "0103", "0301", "1104A")


@dataclass(frozen=True)
class TrainingCity:
    """One generated city, read from its folder.

    Parameters
    ----------
    folder : Path
        As written by `make_city`.
    """

    folder: Path

    @property
    def seed(self) -> int:
        """Seed of the city."""
        return int(json.loads((self.folder / "city.json").read_text())["seed"])

    @cached_property
    def images(self) -> Array:
        """Reflectance times 10,000, uint16 (years, dates, bands, row, column)."""
        found: Array = np.load(self.folder / "images.npy", mmap_mode="r")
        return found

    @cached_property
    def clear(self) -> Array:
        """Cells that neither cloud nor shadow hides, bool (years, dates, row, column)."""
        found: Array = np.load(self.folder / "clear.npy", mmap_mode="r")
        return found

    @cached_property
    def classes(self) -> Array:
        """Image class of each cell, from 0, uint8 (years, row, column)."""
        found: Array = np.load(self.folder / "classes.npy", mmap_mode="r")
        return found

    @cached_property
    def change(self) -> Array:
        """1 where land became built between the years, 0 where not, 255 where an image cannot tell, uint8."""
        found: Array = np.load(self.folder / "change.npy", mmap_mode="r")
        return found


def check_seed(seed: int, *, held_out: bool = False) -> None:
    """Refuse the seeds of the demo city and of the tests.

    Raises
    ------
    ParameterError
        The seed is one that nets must not see.
    """
    if not held_out and (seed in KEPT_AWAY or seed >= DRAWN or seed < 0):
        raise ParameterError(
            "this seed is kept for the demo city or for tests",
            where="data.seeds",
            found=seed,
            expected=f"0 to {DRAWN - 1} without {sorted(KEPT_AWAY)}",
        )


def city_folder(seed: int, extra: int) -> Path:
    """Where a training city is kept."""
    key = stable_hash({"seed": seed, "extra": extra, "version": VERSION})[:16]
    return cache_dir() / "training_cities" / f"{seed}-{key}"


def make_city(seed: int, *, extra: int = 900, held_out: bool = False) -> TrainingCity:
    """Training city of a seed, from the cache or made now (about half a minute).

    Parameters
    ----------
    seed : int
        Never one of the demo's or the tests', unless ``held_out``.
    extra : int
        Changes put in beyond those that the generator plants itself; half as many and once more look-alikes.
        0 leaves the city as the demo city would be.
    held_out : bool
        The city is only to measure a net on; any seed is allowed then and ``extra`` must be 0.

    Returns
    -------
    TrainingCity
    """
    check_seed(seed, held_out=held_out)
    if held_out and extra:
        raise ParameterError(
            "a city to measure on is left as the generator makes it", found=extra, expected=0
        )
    folder = city_folder(seed, extra)
    if not (folder / "city.json").exists():
        with atomic_dir(folder) as path:
            _write(seed, extra, path)
    return TrainingCity(folder)


def _write(seed: int, extra: int, folder: Path) -> None:
    """Make the city and write its arrays."""
    land = demo.make_land(seed)
    parcels = {year: parcels_of(land.fabric, year, land.unit_codes, land.unit_district) for year in YEARS}
    codes = {year: demo.burn_codes(parcels[year]) for year in YEARS}
    houses = make_buildings(seed, land.ground, parcels[YEARS[-1]], land.cover, land.patches)
    scenes = []
    for year in YEARS:
        cover = land.cover
        key = np.where(cover.since <= year, cover.built_key + (1 << 42), cover.rural_key)
        tone = np.where(paved(codes[year]), np.float32(0), plot_tone(key))
        scenes.append(Scene(codes[year], tone, burn(demo.standing(houses, year).geometry.to_list())))
    before, after = scenes
    if extra:
        after = _alter(stream(seed, "training.changes"), before, after, extra)
    texture = lasting_texture(seed)
    images = np.lib.format.open_memmap(
        folder / "images.npy", "w+", np.uint16, (len(YEARS), len(DATES), len(BANDS), N, N)
    )
    clear = np.empty((len(YEARS), len(DATES), N, N), dtype=bool)
    for y, (year, scene) in enumerate(zip(YEARS, (before, after), strict=True)):
        for d in range(len(DATES)):
            image = make_image(seed, year, d + 1, scene, land.ground, texture)
            images[y, d] = image.bands
            clear[y, d] = image.cloud == 0
    images.flush()
    np.save(folder / "clear.npy", clear)
    np.save(folder / "classes.npy", np.stack([class_of_codes()[scene.code] for scene in (before, after)]))
    np.save(folder / "change.npy", change_truth(before.code, after.code))
    (folder / "city.json").write_text(json.dumps({"seed": seed, "extra": extra, "version": VERSION}))


def change_truth(before: Array, after: Array) -> Array:
    """What became built between two rasters of survey codes (indices into CODES).

    Returns
    -------
    array of uint8
        1 where the image class became ``built``; 255 where land became construction land that does not look built
        (parks, vacant lots) or where the survey code changed within built land; 0 elsewhere.
    """
    look = class_of_codes()
    construction = np.isin(np.array(CODES), list(CONSTRUCTION))
    target = (look[after] == BUILT) & (look[before] != BUILT)
    unsure = construction[after] & (before != after) & ~target
    return np.where(target, 1, np.where(unsure, IGNORED, 0)).astype(np.uint8)


def _alter(rng: np.random.Generator, before: Scene, after: Scene, extra: int) -> Scene:
    """Put changes and look-alikes into the later year."""
    look = class_of_codes()
    rural = (
        (look[before.code] != BUILT)
        & (look[after.code] != BUILT)
        & ~np.isin(before.code, [OF["1101"], OF["1103"]])
    )
    code, tone, roof = after.code.copy(), after.plot.copy(), after.roof.copy()
    # fields worked on other days than the year before: a new tone moves the day they are ploughed
    keys = np.unique(tone[rural])
    moved = rng.random(len(keys)) < 0.12
    fresh = np.where(moved, rng.uniform(-1.73, 1.73, len(keys)), keys).astype(np.float32)
    tone = np.where(rural, fresh[np.searchsorted(keys, tone).clip(0, len(keys) - 1)], tone)
    shapes = [_outline(rng) for _ in range(extra + extra // 2)]
    number = burn_values(shapes, np.arange(len(shapes)) + 1)
    insides = [shape.buffer(-5) for shape in shapes[:extra]]
    roofs = burn([shape for shape in insides if not shape.is_empty])
    is_new = rng.random(len(shapes) + 1)
    choice = np.array([OF[c] for c in _NEW])[rng.integers(0, len(_NEW), len(shapes) + 1)]
    other = np.array([OF[c] for c in _OTHER])[rng.integers(0, len(_OTHER), len(shapes) + 1)]
    own_tone = rng.uniform(-1.73, 1.73, len(shapes) + 1).astype(np.float32)
    keeps_tone = rng.random(len(shapes) + 1) < 0.5
    put = rural & (number > 0)
    built = put & (number <= extra)
    swapped = put & (number > extra)
    code[built] = choice[number[built]]
    code[swapped] = other[number[swapped]]
    fresh_tone = put & ~(keeps_tone[number] & built)
    tone[fresh_tone] = own_tone[number[fresh_tone]]
    # most new sites stand under a roof but for a rim of five metres; some are yards
    roof[built] = (roofs & (is_new[number] < 0.8))[built]
    return Scene(code.astype(after.code.dtype), tone, roof)


def _outline(rng: np.random.Generator) -> shapely.Polygon:
    """Turned rectangle of 2 to 150 cells anywhere in the city, sometimes with a corner missing."""
    area = float(np.exp(rng.uniform(np.log(2), np.log(150)))) * CELL**2
    ratio = float(np.exp(rng.uniform(0, np.log(3.0))))
    along, across = (area * ratio) ** 0.5, (area / ratio) ** 0.5
    shape = shapely.box(-along / 2, -across / 2, along / 2, across / 2)
    if rng.random() < 0.4:
        shape = shape.difference(shapely.box(along * 0.1, across * 0.1, along, across))
    shape = shapely.affinity.rotate(shape, float(rng.uniform(0, 180)), origin=(0, 0))
    moved: shapely.Polygon = shapely.affinity.translate(
        shape, LEFT + float(rng.uniform(0, SIDE)), BOTTOM + float(rng.uniform(0, SIDE))
    )
    return moved
