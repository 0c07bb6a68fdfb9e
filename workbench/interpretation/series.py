"""Forest loss and fire from series of images: indices of one season compared over the years, never summer with winter."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from rasterio.features import shapes as outlines

from workbench.core.errors import DefinitionError, ImageError, ParameterError
from workbench.operators.area import area_m2
from workbench.rules.patches import OTHER

if TYPE_CHECKING:
    from rasterio.windows import Window

    from workbench.interpretation.imagery import Scene

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
INDICES: dict[str, tuple[str, str]] = {
    "ndvi": ("nir", "red"), "nbr": ("nir", "swir22"), "ndmi": ("nir", "swir16"), "ndwi": ("green", "nir"),
}  # fmt: skip
"""Index -> bands whose difference is divided by their sum."""
NO_CLASS = 0
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class Settings:
    """Thresholds of a pack file."""

    least_ndvi: float
    """Index from which land counts as closed vegetation in its usual state."""
    least_drop: float
    """Loss of index at least."""
    sigmas: float
    """Loss at least in usual scatters."""
    least_scatter: float
    """Scatter assumed at least."""
    least_images: int
    """Earlier images needed to know the scatter."""
    season_days: int
    """Days apart in the year within which images show one season."""
    min_area_m2: float
    """Smallest patch kept."""
    least_unburnt: int
    """Cells that must not have burnt for the offset to be known."""
    severity: tuple[tuple[str, str, str, float], ...]
    """Classes of fire: name, Chinese, English, dNBR from which it begins."""


@cache
def load_settings(path: Path | None = None) -> Settings:
    """Thresholds of the package, or of a file of the same form.

    Raises
    ------
    DefinitionError
        A threshold is missing or the classes do not rise.
    """
    file = path or Path(__file__).with_name("series.toml")
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
        forest, fire = tables["forest"], tables["fire"]
        classes = tuple((one["name"], one["zh"], one["en"], float(one["from"])) for one in fire["classes"])
        found = Settings(
            least_ndvi=float(forest["least_ndvi"]), least_drop=float(forest["least_drop"]), sigmas=float(forest["sigmas"]), least_scatter=float(forest["least_scatter"]), min_area_m2=float(forest["min_area_m2"]),
            least_images=int(forest["least_images"]), season_days=int(forest["season_days"]),
            least_unburnt=int(fire["least_unburnt"]), severity=classes,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise DefinitionError(
            "thresholds of the series are not complete", where=file.name, found=str(error)
        ) from error
    starts = [one[3] for one in found.severity]
    if sorted(set(starts)) != starts:
        raise DefinitionError("the classes of fire do not rise", where=file.name, found=starts)
    return found


def index(name: str, data: Floats, bands: Sequence[str], valid: Bools | None = None) -> Floats:
    """Normalized difference of two bands; missing where it is not valid or both are nothing.

    Parameters
    ----------
    name : str
        One of :data:`INDICES`.
    data : array (band, row, column)
        Reflectance.
    bands : sequence of str
        Common names of the bands.
    valid : array of bool (row, column), optional
        Where the ground is seen.

    Examples
    --------
    >>> index("ndvi", np.array([[[0.05]], [[0.45]]], dtype="float32"), ("red", "nir")).round(3).tolist()
    [[0.800000011920929]]
    """
    if name not in INDICES:
        raise ParameterError("unknown index", found=name, expected=", ".join(INDICES))
    if lacking := [one for one in INDICES[name] if one not in bands]:
        raise ImageError(
            f"the bands of {name} are missing", found=", ".join(bands), expected=", ".join(lacking)
        )
    first, second = (np.maximum(data[list(bands).index(one)], 0.0) for one in INDICES[name])
    total = first + second
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(total > 1e-4, (first - second) / total, np.nan).astype(np.float32)
    if valid is not None:
        found[~valid] = np.nan
    return np.asarray(found, dtype=np.float32)


def read_index(scene: Scene, name: str, window: Window | None = None) -> Floats:
    """Index of a scene in a window."""
    bands = INDICES[name]
    block = scene.select(bands).read(window)
    return index(name, block.data, bands, block.valid)


def matched(data: Floats, reference: Floats, valid: Bools) -> Floats:
    """Bands of an image brought to the level of another of the same place, for dates whose counts cannot be compared.

    Each band is shifted and stretched so that its median and its range from the 10th to the 90th percentile are those of the
    reference; that holds where most of the ground did not change.

    Parameters
    ----------
    data, reference : array (band, row, column)
        The image and the one it is brought to.
    valid : array of bool (row, column)
        Where both are seen.

    Raises
    ------
    ImageError
        Nothing is seen on both, or a band does not vary.
    """
    if data.shape != reference.shape or not valid.any():
        raise ImageError(
            "the two dates have nothing in common to be matched by", found=(data.shape, reference.shape)
        )
    own, other = (np.percentile(one[:, valid], [10, 50, 90], axis=1) for one in (data, reference))
    wide = own[2] - own[0]
    if (wide <= 0).any():
        raise ImageError("a band does not vary", found=np.flatnonzero(wide <= 0).tolist())
    gain = (other[2] - other[0]) / wide
    found = (data - own[1][:, None, None]) * gain[:, None, None] + other[1][:, None, None]
    return np.asarray(found, dtype=np.float32)


def season(scenes: Sequence[Scene], day: pd.Timestamp, span: int) -> list[Scene]:
    """Scenes that show the season of a day: at most so many days apart in the year."""
    near = []
    for scene in scenes:
        apart = abs(scene.date.dayofyear - day.dayofyear)
        if min(apart, 365 - apart) <= span:
            near.append(scene)
    return near


@dataclass(frozen=True)
class Loss:
    """Where vegetation was lost."""

    lost: Bools
    """Cells of which the loss is more than season, sensor and air can make."""
    drop: Floats
    """Usual index less that of the year; missing where one of the two is not known."""
    usual: Floats
    """Median index of the season in earlier years."""
    scatter: Floats
    """Robust scatter of the season in earlier years, the least where there are too few images."""
    earlier: int
    """Images of earlier years."""

    @property
    def score(self) -> Floats:
        """Drop in scatters."""
        return np.asarray(self.drop / self.scatter, dtype=np.float32)


def forest_loss(
    earlier: npt.NDArray[np.float32], later: npt.NDArray[np.float32], settings: Settings | None = None
) -> Loss:
    """Loss of closed vegetation between earlier images of a season and later ones.

    Parameters
    ----------
    earlier, later : array (image, row, column)
        Vegetation index, missing where the ground is not seen. Of the later images the largest counts: a thin cloud lowers an
        index and never raises it.
    settings : Settings, optional
        Thresholds; the package's when not given.
    """
    rules = settings or load_settings()
    with np.errstate(all="ignore"):
        usual = _over(np.nanmedian, earlier)
        spread = _over(np.nanmedian, np.abs(earlier - usual)) * MAD_TO_SIGMA
        now = _over(np.nanmax, later)
    known = np.isfinite(earlier).sum(axis=0) >= rules.least_images
    scatter = np.where(known, np.fmax(spread, rules.least_scatter), rules.least_scatter).astype(np.float32)
    drop = usual - now
    with np.errstate(invalid="ignore"):
        lost = (usual >= rules.least_ndvi) & (drop >= rules.least_drop) & (drop >= rules.sigmas * scatter)
    return Loss(lost, drop.astype(np.float32), usual.astype(np.float32), scatter, len(earlier))


def _over(function: Any, stack: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A function over the images that leaves cells nobody saw missing, without a warning."""
    seen = np.isfinite(stack).any(axis=0)
    filled = np.where(seen, stack, np.float32(0))
    return np.asarray(np.where(seen, function(filled, axis=0), np.nan), dtype=np.float32)


def loss_of_scenes(
    scenes: Sequence[Scene],
    year: int,
    *,
    month: int,
    window: Window | None = None,
    settings: Settings | None = None,
) -> Loss:
    """Loss seen in the images of a year against those of the same season in earlier years.

    Raises
    ------
    ImageError
        No image of the season in the year, or none before it.
    """
    rules = settings or load_settings()
    near = season(scenes, pd.Timestamp(year, month, 15), rules.season_days)
    before = [scene for scene in near if scene.date.year < year]
    after = [scene for scene in near if scene.date.year == year]
    if not before or not after:
        raise ImageError(
            "no images of one season to compare", found=", ".join(f"{scene.date:%Y-%m-%d}" for scene in scenes),
            expected=f"at most {rules.season_days} days from month {month}, in {year} and earlier",
        )  # fmt: skip
    stacks = [np.stack([read_index(scene, "ndvi", window) for scene in some]) for some in (before, after)]
    return forest_loss(stacks[0], stacks[1], rules)


# ---------------------------------------------------------------------- fire


@dataclass(frozen=True)
class Fire:
    """Severity of fire by dNBR."""

    severity: npt.NDArray[np.uint8]
    """Place of the class in ``Settings.severity`` from 1; 0 where it is not known."""
    dnbr: Floats
    """NBR before less NBR after, less the offset."""
    offset: float
    """dNBR of land that did not burn, taken off; 0 where too little of it is known."""


def fire(
    before: Floats, after: Floats, *, unburnt: Bools | None = None, settings: Settings | None = None
) -> Fire:
    """Severity of fire from NBR before and after, of one season.

    Parameters
    ----------
    before, after : array (row, column)
        NBR, missing where the ground is not seen.
    unburnt : array of bool, optional
        Land known not to have burnt: its median dNBR is what season and air make, and is taken off.
    settings : Settings, optional
        Thresholds; the package's when not given.
    """
    rules = settings or load_settings()
    dnbr = (before - after).astype(np.float32)
    known = np.isfinite(dnbr)
    offset = 0.0
    if unburnt is not None and int((unburnt & known).sum()) >= rules.least_unburnt:
        offset = float(np.median(dnbr[unburnt & known]))
        dnbr = (dnbr - np.float32(offset)).astype(np.float32)
    starts = np.array([one[3] for one in rules.severity])
    found = np.searchsorted(starts, np.where(known, dnbr, 0.0), side="right")
    severity = np.where(known, np.maximum(found, 1), NO_CLASS).astype(np.uint8)
    return Fire(severity, dnbr, offset)


def severity_areas(found: Fire, cell_m2: float, settings: Settings | None = None) -> pd.DataFrame:
    """Cells and hectares of each class of fire.

    Returns
    -------
    DataFrame[name, zh, en, cells, ha]
    """
    rules = settings or load_settings()
    cells = np.bincount(found.severity.ravel(), minlength=len(rules.severity) + 1)[1:]
    names = pd.DataFrame([one[:3] for one in rules.severity], columns=["name", "zh", "en"])
    return names.assign(cells=cells, ha=cells * cell_m2 / 1e4)


# ---------------------------------------------------------------------- patches


def loss_patches(
    loss: Loss, transform: Any, crs: Any, *, date_before: pd.Timestamp, date_after: pd.Timestamp,
    prefix: str = "LS", settings: Settings | None = None,
) -> gpd.GeoDataFrame:  # fmt: skip
    """Lost cells as change patches that the case builder reads.

    Returns
    -------
    GeoDataFrame
        ``patch_id, tblx, before_dlbm, date_before, date_after, probability, area_m2, cells, geometry``; ``tblx`` says only that
        the land is no longer what it was; ``probability`` rises with the drop in scatters (a half at the threshold).
    """
    rules = settings or load_settings()
    found = list(outlines(loss.lost.astype(np.uint8), mask=loss.lost, connectivity=4, transform=transform))
    shapes = np.array([shapely.geometry.shape(one) for one, _ in found] + [None], dtype=object)[:-1]
    size = area_m2(shapes, crs) if len(shapes) else np.zeros(0)
    keep = size >= rules.min_area_m2
    shapes, size = shapes[keep], size[keep]
    order = np.argsort(-size, kind="stable")
    shapes, size = shapes[order], size[order]
    number = np.arange(len(shapes))
    labels = _labels(shapes, loss.lost.shape, transform)
    score = np.where(np.isfinite(loss.score), loss.score, 0.0)
    cells = np.bincount(labels[labels >= 0], minlength=len(shapes))
    mean = np.bincount(labels[labels >= 0], weights=score[labels >= 0], minlength=len(shapes)) / np.maximum(
        cells, 1
    )
    chance = 1 / (1 + np.exp(-(mean - rules.sigmas)))
    return gpd.GeoDataFrame(
        {
            "patch_id": [f"{prefix}{date_after.year}{k + 1:05d}" for k in number], "tblx": OTHER, "before_dlbm": "",
            "date_before": date_before, "date_after": date_after, "probability": chance, "area_m2": size, "cells": cells,
        },
        geometry=shapes, crs=crs,
    )  # fmt: skip


def _labels(shapes: npt.NDArray[np.object_], size: tuple[int, ...], transform: Any) -> npt.NDArray[np.int32]:
    """Number of the patch in each cell, -1 outside."""
    from rasterio.features import rasterize

    if not len(shapes):
        return np.full(size, -1, dtype=np.int32)
    pairs = [(shape, k) for k, shape in enumerate(shapes)]
    return np.asarray(rasterize(pairs, out_shape=size, transform=transform, fill=-1, dtype="int32"))
