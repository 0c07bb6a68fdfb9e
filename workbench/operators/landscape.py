"""Landscape metrics of a class raster: patches, metrics of each class, metrics of the whole landscape.

Definitions are those of FRAGSTATS (McGarigal, Cushman and Ene 2012, *FRAGSTATS v4: Spatial Pattern Analysis Program for
Categorical and Continuous Maps*, University of Massachusetts, chapter "Patch, class and landscape metrics"); the aggregation
index is that of He, DeZonia and Mladenoff (2000), *Landscape Ecology* 15, 591-601; the cohesion index that of Schumaker
(1996), *Ecology* 77, 1210-1225. :data:`METRICS` holds unit, formula and level of each.

Conventions: cells without a class are background, outside the landscape. A patch's perimeter counts every side, those on
the border of the landscape and around holes included; total edge counts sides between two classes only, unless
``count_boundary``. Areas and lengths are those of the plane of the raster's CRS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from workbench.core.errors import GridMismatch, ParameterError
from workbench.operators import _patches
from workbench.operators.change import _raster_crs

Floats = npt.NDArray[np.float64]

METRICS: dict[str, tuple[str, str, str]] = {
    "area_ha": ("ha", "class, landscape", "CA, TA = sum(a) / 10,000"),
    "pland": ("%", "class", "PLAND = CA / TA × 100"),
    "patches": ("count", "class, landscape", "NP"),
    "patch_density": ("1/100 ha", "class, landscape", "PD = NP / TA × 10,000 × 100"),
    "largest_patch": ("%", "class, landscape", "LPI = max(a) / A × 100"),
    "edge_m": ("m", "class, landscape", "TE = sum of sides between two classes"),
    "edge_density": ("m/ha", "class, landscape", "ED = TE / TA × 10,000"),
    "mean_patch_ha": ("ha", "class, landscape", "AREA_MN (MPS) = mean(a) / 10,000"),
    "patch_cv": ("%", "class, landscape", "AREA_CV = sd(a, of the population) / mean(a) × 100"),
    "weighted_patch_ha": ("ha", "class, landscape", "AREA_AM = sum(a²) / sum(a) / 10,000"),
    "mean_shape": ("1", "class, landscape", "SHAPE_MN = mean(0.25 p / √a)"),
    "weighted_shape": ("1", "class, landscape", "SHAPE_AM = sum(a × 0.25 p / √a) / sum(a)"),
    "mean_fractal": ("1", "class, landscape", "FRAC_MN = mean(2 ln(0.25 p) / ln a)"),
    "mesh_ha": ("ha", "class, landscape", "MESH = sum(a²) / A / 10,000"),
    "aggregation": ("%", "class, landscape", "AI = g / max g × 100 (single count); landscape: sum(AI × PLAND / 100)"),
    "cohesion": ("%", "class, landscape", "COHESION = (1 - sum(p) / sum(p √a)) / (1 - 1/√Z) × 100, p and a in cells"),
    "shape_index": ("1", "landscape", "LSI = 0.25 E / √A, E with the border of the landscape"),
    "contagion": ("%", "landscape", "CONTAG = (1 + sum(P g/G ln(P g/G)) / (2 ln m)) × 100 (double count)"),
    "classes": ("count", "landscape", "PR"),
    "shannon": ("1", "landscape", "SHDI = -sum(P ln P)"),
    "shannon_even": ("1", "landscape", "SHEI = SHDI / ln m"),
    "simpson": ("1", "landscape", "SIDI = 1 - sum(P²)"),
}  # fmt: skip
"""Metric -> unit, levels it is given for, FRAGSTATS name and formula (a, p: area and perimeter of a patch; A: landscape)."""


@dataclass(frozen=True, eq=False)
class Landscape:
    """Patches of a class raster and what is counted once for all metrics."""

    classes: npt.NDArray[np.int64]
    """Classes that occur, ascending."""
    patches: pd.DataFrame
    """A row a patch: ``class, cells, area_m2, perimeter_m, sides`` (cell sides of the perimeter)."""
    labels: npt.NDArray[np.int32]
    """Number (row of ``patches``) of the patch each cell belongs to; -1 in the background."""
    edges_m: Floats
    """Metres of cell sides between two classes (row and column 0: background), symmetric, shape (n + 1, n + 1)."""
    like: npt.NDArray[np.int64]
    """Numbers of cell sides between two classes, each counted once, symmetric; the diagonal within one class."""
    cell_m: tuple[float, float]
    """Width and height of a cell."""
    options: dict[str, Any] = field(default_factory=dict)
    """How it was read."""

    @property
    def area_m2(self) -> float:
        """Area of the landscape: all cells with a class."""
        return float(self.patches["area_m2"].sum())


def cell_size(raster: xr.DataArray) -> tuple[float, float]:
    """Width and height of the cells of a raster in projected metres."""
    _raster_crs(raster, str(raster.name or "raster"))
    sizes = []
    for dim in ("x", "y"):
        centres = raster[dim].to_numpy().astype(np.float64)
        if len(centres) < 2:
            raise GridMismatch(
                "a landscape needs at least two rows and columns", where=dim, found=len(centres)
            )
        steps = np.diff(centres)
        if not np.allclose(steps, steps[0], rtol=1e-4, atol=0):
            raise GridMismatch(
                "the cells differ in size", where=dim, found=(float(steps.min()), float(steps.max()))
            )
        sizes.append(abs(float(centres[-1] - centres[0])) / (len(centres) - 1))
    return sizes[0], sizes[1]


def landscape(raster: xr.DataArray, *, nodata: int = 0, neighbours: int = 8) -> Landscape:
    """Find the patches of a class raster.

    Parameters
    ----------
    raster : xr.DataArray of int, dims (y, x)
        Classes in a projected CRS in metres. All values are read.
    nodata : int
        Number of the background.
    neighbours : 8 or 4
        Whether cells that touch at a corner belong to one patch; FRAGSTATS' default is 8.

    Raises
    ------
    ParameterError
        When the values are no integers, all are background, or ``neighbours`` is neither 4 nor 8.
    GridMismatch, CRSError
        When the raster is no regular grid in metres.

    Examples
    --------
    >>> y, x = 2_500_050 - 100.0 * np.arange(2), 500_050 + 100.0 * np.arange(3)
    >>> cover = xr.DataArray(np.array([[1, 2, 2], [2, 1, 1]]), {"y": y, "x": x}, ("y", "x"), attrs={"crs": "EPSG:4547"})
    >>> landscape(cover).patches["area_m2"].tolist()
    [30000.0, 30000.0]
    """
    if neighbours not in (4, 8):
        raise ParameterError("patches join over 4 or 8 neighbours", where="landscape", found=neighbours)
    width, height = cell_size(raster)
    values = np.ascontiguousarray(raster.transpose("y", "x").to_numpy())
    if not np.issubdtype(values.dtype, np.integer):
        raise ParameterError(
            "class rasters hold integers", where=str(raster.name or "raster"), found=str(values.dtype)
        )
    found = np.unique(values)
    classes = found[found != nodata].astype(np.int64)
    if not len(classes):
        raise ParameterError(
            "the raster has no cell with a class", where=str(raster.name or "raster"), found=nodata
        )
    numbers = np.searchsorted(np.append(classes, np.iinfo(np.int64).max), values).astype(np.int32) + 1
    numbers[values == nodata] = 0
    labels = np.empty(values.shape, dtype=np.int32)
    count = _patches.label(numbers, 0, neighbours == 8, labels, np.empty(values.size, dtype=np.int32))
    cells, upright, level = (np.zeros(count, dtype=np.int64) for _ in range(3))
    _patches.measure(numbers, labels, cells, upright, level)
    of_class = np.empty(count, dtype=np.int64)
    seen = labels >= 0
    of_class[labels[seen]] = classes[numbers[seen] - 1]
    sides = np.zeros((2, len(classes) + 1, len(classes) + 1), dtype=np.int64)
    _patches.adjacencies(numbers, sides[0], sides[1])
    both = sides + sides.transpose(0, 2, 1)
    both[:, np.arange(len(classes) + 1), np.arange(len(classes) + 1)] //= 2
    patches = pd.DataFrame(
        {
            "class": of_class,
            "cells": cells,
            "area_m2": cells * (width * height),
            "perimeter_m": upright * height + level * width,
            "sides": upright + level,
        }
    )
    return Landscape(
        classes, patches, labels, both[0] * height + both[1] * width, both.sum(axis=0), (width, height),
        {"neighbours": neighbours, "nodata": nodata},
    )  # fmt: skip


def _shares(found: pd.DataFrame, whole_m2: float) -> dict[str, float]:
    """Metrics of a set of patches that classes and landscapes have in common."""
    area, perimeter = found["area_m2"].to_numpy(np.float64), found["perimeter_m"].to_numpy(np.float64)
    total, ha = float(area.sum()), 10_000.0
    shape = 0.25 * perimeter / np.sqrt(area)
    return {
        "area_ha": total / ha,
        "patches": float(len(area)),
        "patch_density": len(area) / whole_m2 * ha * 100,
        "largest_patch": float(area.max()) / whole_m2 * 100,
        "mean_patch_ha": float(area.mean()) / ha,
        "patch_cv": float(area.std() / area.mean()) * 100,
        "weighted_patch_ha": float((area**2).sum()) / total / ha,
        "mean_shape": float(shape.mean()),
        "weighted_shape": float((shape * area).sum()) / total,
        "mean_fractal": float(np.mean(2 * np.log(0.25 * perimeter) / np.log(area))),
        "mesh_ha": float((area**2).sum()) / whole_m2 / ha,
    }


def most_adjacent(cells: int) -> int:
    """Most sides that a number of cells of one class can share, single count: that of the most compact clump.

    Examples
    --------
    >>> [most_adjacent(n) for n in (1, 2, 4, 5, 7, 9)]
    [0, 1, 4, 5, 8, 12]
    """
    side = int(np.floor(np.sqrt(cells)))
    rest = cells - side * side
    most = 2 * side * (side - 1)
    if rest > side:
        return most + 2 * rest - 2
    return most + (2 * rest - 1 if rest else 0)


def _cohesion(found: pd.DataFrame, cells: int) -> float:
    """How connected the patches are, percent; nan for a landscape of one cell."""
    if cells < 2:
        return float("nan")
    p, a = found["sides"].to_numpy(np.float64), found["cells"].to_numpy(np.float64)
    return float((1 - p.sum() / (p * np.sqrt(a)).sum()) / (1 - 1 / np.sqrt(cells)) * 100)


def class_metrics(found: Landscape, *, count_boundary: bool = False) -> pd.DataFrame:
    """Metrics of each class.

    Parameters
    ----------
    found : Landscape
        From :func:`landscape`.
    count_boundary : bool
        Whether sides on the border of the landscape count as edge; FRAGSTATS' default is not.

    Returns
    -------
    DataFrame
        Index ``class``, the columns of :data:`METRICS` given for classes; an aggregation index of a single cell is nan.

    Examples
    --------
    >>> y, x = 2_500_050 - 100.0 * np.arange(2), 500_050 + 100.0 * np.arange(2)
    >>> cover = xr.DataArray(np.array([[1, 1], [1, 2]]), {"y": y, "x": x}, ("y", "x"), attrs={"crs": "EPSG:4547"})
    >>> class_metrics(landscape(cover)).loc[1, ["pland", "edge_m", "aggregation"]].tolist()
    [75.0, 200.0, 100.0]
    """
    whole = found.area_m2
    cells = int(found.patches["cells"].sum())
    rows = {}
    for at, name in enumerate(found.classes.tolist(), start=1):
        mine = found.patches[found.patches["class"] == name]
        edges = found.edges_m[at].copy()
        edges[at] = 0.0
        edge = float(edges.sum() if count_boundary else edges[1:].sum())
        most = most_adjacent(int(mine["cells"].sum()))
        rows[name] = _shares(mine, whole) | {
            "pland": float(mine["area_m2"].sum()) / whole * 100,
            "edge_m": edge,
            "edge_density": edge / whole * 10_000,
            "aggregation": float(found.like[at, at]) / most * 100 if most else float("nan"),
            "cohesion": _cohesion(mine, cells),
        }
    columns = [name for name, (_, level, _) in METRICS.items() if "class" in level.split(", ")]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("class")[columns]


def landscape_metrics(found: Landscape, *, count_boundary: bool = False) -> pd.Series[float]:
    """Metrics of the whole landscape.

    Parameters
    ----------
    found, count_boundary
        As for :func:`class_metrics`.

    Returns
    -------
    Series
        The metrics of :data:`METRICS` given for landscapes; what one class alone does not have is nan.
    """
    whole = found.area_m2
    share = (
        np.array([found.patches.loc[found.patches["class"] == c, "area_m2"].sum() for c in found.classes])
        / whole
    )
    inner = np.triu(found.edges_m[1:, 1:], 1).sum()
    border = found.edges_m[0, 1:].sum()
    edge = float(inner + border if count_boundary else inner)
    many = len(found.classes)
    by_class = class_metrics(found)["aggregation"].to_numpy()
    known = np.isfinite(by_class)  # a class of one cell has no index and no weight
    shannon = float(-(share * np.log(share)).sum())
    values = _shares(found.patches, whole) | {
        "edge_m": edge,
        "edge_density": edge / whole * 10_000,
        "aggregation": float((by_class * share)[known].sum()) if known.any() else float("nan"),
        "cohesion": _cohesion(found.patches, int(found.patches["cells"].sum())),
        "shape_index": 0.25 * float(inner + border) / np.sqrt(whole),
        "contagion": _contagion(found, share),
        "classes": float(many),
        "shannon": shannon,
        "shannon_even": shannon / np.log(many) if many > 1 else float("nan"),
        "simpson": float(1 - (share**2).sum()),
    }
    names = [name for name, (_, level, _) in METRICS.items() if "landscape" in level.split(", ")]
    return pd.Series({name: values[name] for name in names}, name="value", dtype=np.float64)


def _contagion(found: Landscape, share: Floats) -> float:
    """Contagion, percent; nan for one class. Sides within a class count twice (from both cells)."""
    many = len(found.classes)
    if many < 2:
        return float("nan")
    double = found.like[1:, 1:].astype(np.float64)
    double[np.arange(many), np.arange(many)] *= 2
    total = double.sum(axis=1, keepdims=True)
    part = share[:, None] * np.divide(double, total, out=np.zeros_like(double), where=total > 0)
    logs = np.log(part, out=np.zeros_like(part), where=part > 0)
    return float((1 + (part * logs).sum() / (2 * np.log(many))) * 100)
