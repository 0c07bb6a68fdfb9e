"""Indices of vegetation and fire, what is usual in a season, classes of severity, thresholds; see :mod:`.vegetation`."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.errors import DefinitionError, ImageError, ParameterError
from workbench.interpretation.imagery import days_apart

if TYPE_CHECKING:
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
    min_cells: int
    """And so many cells at least."""
    least_unburnt: int
    """Cells that must not have burnt for the offset to be known."""
    least_nbr: float
    """Burn index from which there is vegetation that can burn."""
    burnt_from: float
    """dNBR from which a cell belongs to a burnt patch."""
    burnt_core: float
    """dNBR of the part of a patch by which it counts as burnt at all."""
    min_burnt_m2: float
    """Smallest area of that part."""
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
            min_cells=int(forest["min_cells"]),
            least_images=int(forest["least_images"]), season_days=int(forest["season_days"]),
            least_unburnt=int(fire["least_unburnt"]), least_nbr=float(fire["least_nbr"]), burnt_from=float(fire["burnt_from"]),
            burnt_core=float(fire["burnt_core"]), min_burnt_m2=float(fire["min_area_m2"]), severity=classes,
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


def gains(data: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Factor and shift of each band that bring an image to the level of another of the same ground.

    Made so that median and range from the 10th to the 90th percentile agree; that holds where most of the ground did not
    change. For images of another sensor, or whose counts are no reflectance.

    Parameters
    ----------
    data, reference : array (band, cell)
        Cells that both images show.

    Returns
    -------
    tuple of arrays (band,)
        ``data * factor + shift``.

    Raises
    ------
    ImageError
        Nothing is seen on both, or a band does not vary.
    """
    if data.shape != reference.shape or not data.size:
        raise ImageError(
            "the two dates have nothing in common to be matched by", found=(data.shape, reference.shape)
        )
    own, other = (np.percentile(one, [10, 50, 90], axis=1) for one in (data, reference))
    wide = own[2] - own[0]
    if (wide <= 0).any():
        raise ImageError("a band does not vary", found=np.flatnonzero(wide <= 0).tolist())
    factor = (other[2] - other[0]) / wide
    return factor.astype(np.float32), (other[1] - own[1] * factor).astype(np.float32)


def season(scenes: Sequence[Scene], day: pd.Timestamp, span: int) -> list[Scene]:
    """Scenes that show the season of a day: at most so many days apart in the year."""
    return [scene for scene in scenes if days_apart(scene.date, day) <= span]


def usual_of(stack: Floats, least: int) -> tuple[Floats, Floats]:
    """Median of an index over earlier images of a season, and its robust scatter.

    Parameters
    ----------
    stack : array (image, row, column)
        Missing where the ground is not seen.
    least : int
        Images that must show a cell for its scatter to be known.

    Returns
    -------
    tuple of arrays (row, column)
        Missing where no image shows the cell, or too few.

    Examples
    --------
    >>> [one.round(3).tolist() for one in usual_of(np.array([[[0.8]], [[0.7]], [[0.82]]], dtype="float32"), 3)]
    [[[0.800000011920929]], [[0.029999999329447746]]]
    """
    seen = np.isfinite(stack).sum(axis=0)
    filled = np.where(seen > 0, stack, np.float32(0))
    usual = np.where(seen > 0, np.nanmedian(filled, axis=0), np.nan).astype(np.float32)
    if least > len(stack):
        return usual, np.full(usual.shape, np.nan, dtype=np.float32)
    spread = np.nanmedian(np.abs(filled - np.where(seen > 0, usual, 0)), axis=0) * MAD_TO_SIGMA
    return usual, np.where(seen >= least, spread, np.nan).astype(np.float32)


def classes_of(dnbr: npt.NDArray[np.floating], settings: Settings | None = None) -> npt.NDArray[np.uint8]:
    """Place of the class of each dNBR in ``Settings.severity`` from 1; 0 where it is missing.

    Examples
    --------
    >>> classes_of(np.array([0.05, 0.3, 0.7, np.nan], dtype="float32")).tolist()
    [3, 5, 7, 0]
    """
    rules = settings or load_settings()
    known = np.isfinite(dnbr)
    starts = np.array([one[3] for one in rules.severity], dtype=np.float32)
    found = np.searchsorted(starts, np.where(known, dnbr, 0.0), side="right")
    return np.where(known, np.maximum(found, 1), NO_CLASS).astype(np.uint8)


def severity_areas(
    dnbr: npt.NDArray[np.floating], cell_m2: float, settings: Settings | None = None
) -> pd.DataFrame:
    """Cells and hectares of each class of fire.

    Parameters
    ----------
    dnbr : array
        Of the cells that burnt; missing ones count nowhere.
    cell_m2 : float
    settings : Settings, optional
        Thresholds; the package's when not given.

    Returns
    -------
    DataFrame[name, zh, en, cells, ha]
    """
    rules = settings or load_settings()
    cells = np.bincount(classes_of(dnbr, rules).ravel(), minlength=len(rules.severity) + 1)[1:]
    names = pd.DataFrame([one[:3] for one in rules.severity], columns=["name", "zh", "en"])
    return names.assign(cells=cells, ha=cells * cell_m2 / 1e4)
