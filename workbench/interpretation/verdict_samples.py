"""What persons found on site as samples of change: before and after of each place, for the next training of a net.

A verdict says that land changed between two days, or that it did not. Only pairs of images for which that is certain become
samples: those that enclose the days of a change that was there, and those between the days where nothing changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from workbench.core.errors import ParameterError
from workbench.interpretation.findings import verified_samples
from workbench.interpretation.imagery import Pair
from workbench.interpretation.sample_library import IGNORED, Array, Cut, SampleLibrary

if TYPE_CHECKING:
    from workbench.rules.register import Register

BORDER_CELLS = 2.0
"""Cells around a shape that get no label: outlines and images do not lie that well on each other; own choice."""


def add_pairs(
    register: Register,
    library: SampleLibrary,
    pairs: Sequence[Pair],
    *,
    size: int = 64,
    changed: gpd.GeoDataFrame | None = None,
) -> list[str]:
    """Put verdicts into a library of change as pairs of chips.

    Parameters
    ----------
    register : Register
        The city's cases with their verdicts; 无法认定 is no label.
    library : SampleLibrary
        Of two dates and the scheme ``change``; samples it has already are passed over.
    pairs : sequence of Pair
        Images before and after.
    size : int
        Cells a side, the place in the middle.
    changed : GeoDataFrame, optional
        All land that is known or supposed to have changed between the dates. When given, cells away from it and from every
        case of the register are labelled unchanged, and the sample is marked weak; else nothing outside the places is.

    Returns
    -------
    list of str
        Names of the samples added: the case's space code and the days of both images.

    Raises
    ------
    ParameterError
        The library is not one of change, or the images are smaller than a chip.
    """
    if library.facts["scheme"] != "change" or library.facts["dates"] != 2:
        raise ParameterError(
            "verdicts are samples of change", where=str(library.folder), found=library.facts["scheme"],
            expected="a library made with scheme='change', dates=2",
        )  # fmt: skip
    added: list[str] = []
    for pair in pairs:
        if min(pair.before.shape) < size:
            raise ParameterError(
                "chips are larger than the images", found=size, expected=min(pair.before.shape)
            )
        crs = str(pair.before.grid.crs)
        rows = certain(verified_samples(register), pair)
        others = _others(register, changed, crs)
        for person, some in rows.to_crs(crs).groupby("person", sort=True):
            cuts = [_cut(row, pair, size, others) for row in some.itertuples()]
            added += library.add_cuts(
                pair, cuts, source="verdict", by=str(person) or "?", weak=others is not None, least_valid=0.0
            )
    return added


def certain(samples: gpd.GeoDataFrame, pair: Pair) -> gpd.GeoDataFrame:
    """Verdicts that say for certain what a pair of images shows.

    Parameters
    ----------
    samples : GeoDataFrame
        Of :func:`.findings.verified_samples`: ``label, date_before, date_after``.
    pair : Pair

    Returns
    -------
    GeoDataFrame
        Changed places whose days the pair encloses, and unchanged ones whose days enclose the pair.
    """
    first, last = pd.to_datetime(samples["date_before"]), pd.to_datetime(samples["date_after"])
    before, after = pair.before.date.normalize(), pair.after.date.normalize()
    shown = (samples["label"] == 1) & (before <= first) & (last <= after)
    still = (samples["label"] == 0) & (first <= before) & (after <= last)
    return samples[shown | still].reset_index(drop=True)


def _others(register: Register, changed: gpd.GeoDataFrame | None, crs: str) -> BaseGeometry | None:
    """Everything that may have changed; None where that is not known."""
    if changed is None:
        return None
    shapes = [*register.cases.to_crs(crs).geometry, *changed.to_crs(crs).geometry]
    return shapely.union_all(shapely.make_valid(np.array(shapes, dtype=object)))


def _cut(row: object, pair: Pair, size: int, others: BaseGeometry | None) -> Cut:
    """Piece of ground around a place, with what is known of it."""
    shape: BaseGeometry = row.geometry  # type: ignore[attr-defined]
    grid, cell = pair.before.grid, abs(float(pair.before.grid.affine.a))
    rows, columns = pair.before.shape
    x, y = shapely.get_coordinates(shapely.point_on_surface(shape))[0]
    middle = ((x - grid.affine.c) / grid.affine.a, (y - grid.affine.f) / grid.affine.e)
    left, top = (
        int(np.clip(round(at - size / 2), 0, most - size))
        for at, most in zip(middle, (columns, rows), strict=True)
    )
    window = grid[top : top + size, left : left + size]
    label: Array = np.full((size, size), IGNORED, dtype=np.uint8)

    def inside(one: BaseGeometry, *, touched: bool = False) -> Array:
        if one.is_empty:
            return np.zeros((size, size), dtype=bool)
        found: Array = rasterize([one], out_shape=(size, size), transform=window.affine, fill=0, all_touched=touched, dtype="uint8") > 0  # fmt: skip
        return found

    if others is not None:
        near = shapely.buffer(shapely.union(others, shape), BORDER_CELLS * cell)
        here = shapely.intersection(near, shapely.box(*window.boundingbox.bbox))
        label[~inside(here, touched=True)] = 0
    core = shapely.buffer(shape, -0.49 * cell)  # cells that lie inside as a whole
    label[inside(core if not core.is_empty else shape)] = int(row.label)  # type: ignore[attr-defined]
    days = f"{pair.before.date:%Y%m%d}-{pair.after.date:%Y%m%d}"
    return Cut(f"{row.sample_id}-{days}", top, left, label)  # type: ignore[attr-defined]


__all__ = ["BORDER_CELLS", "add_pairs", "certain"]
