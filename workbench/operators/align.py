"""Two rasters that were meant to have one grid and do not: how far they are apart, and one moved onto the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from workbench.core.errors import CRSError, GridMismatch, ParameterError
from workbench.operators.change import _raster_crs


@dataclass(frozen=True)
class Misfit:
    """How two grids differ. Nothing of it is repaired silently: it goes with every result as a finding."""

    cells: tuple[int, int]
    """Rows and columns both have in common."""
    cell_before: tuple[float, float]
    """Width and height of a cell of the first, metres."""
    cell_after: tuple[float, float]
    """The same of the second."""
    shift_m: float
    """Largest distance, along a row or a column, between the centres of cells taken for the same."""
    lost: int
    """Cells of the first grid that the second does not cover."""

    @property
    def shift_cells(self) -> float:
        """The largest shift in cells of the first grid."""
        return self.shift_m / min(self.cell_before)

    @property
    def same(self) -> bool:
        """Whether there is nothing to report: one thousandth of a cell at most, none lost."""
        return self.shift_cells <= 1e-3 and self.lost == 0


def _step(centres: npt.NDArray[np.float64], dim: str) -> float:
    if len(centres) < 2:
        raise GridMismatch("a grid of one row or column cannot be compared", where=dim)
    return float(centres[-1] - centres[0]) / (len(centres) - 1)


def align(
    before: xr.DataArray, after: xr.DataArray, *, most_shift: float = 0.5
) -> tuple[xr.DataArray, xr.DataArray, Misfit]:
    """Bring the second of two class rasters onto the grid of the first, cell by cell, and say by how much it was off.

    Each cell of the first takes the class of the second's cell whose centre is nearest. Only rows and columns that both
    have are returned.

    Parameters
    ----------
    before, after : xr.DataArray, dims (y, x)
        In one projected CRS in metres; sizes and origins of the cells may differ a little.
    most_shift : float
        Largest shift in cells that is accepted, up to one half: beyond it a cell would meet one that is not its own.

    Returns
    -------
    before, after : xr.DataArray
        On one grid, that of the first.
    misfit : Misfit

    Raises
    ------
    GridMismatch
        When the shift is larger, the cells differ in size by more than a hundredth, or nothing overlaps.
    CRSError, ParameterError
        When the systems differ, or ``most_shift`` is not in (0, 0.5].
    """
    if not 0 < most_shift <= 0.5:
        raise ParameterError(
            "most_shift is a share of a cell", found=most_shift, expected="above 0, at most 0.5"
        )
    if _raster_crs(before, "before") != _raster_crs(after, "after"):
        raise CRSError(
            "the two rasters have different reference systems", hint="Load both with the same geobox"
        )
    steps_a, steps_b, rows, worst, lost = [], [], {}, 0.0, 1
    kept: dict[str, npt.NDArray[np.bool_]] = {}
    for dim in ("x", "y"):
        a, b = before[dim].to_numpy().astype(np.float64), after[dim].to_numpy().astype(np.float64)
        step_a, step_b = _step(a, dim), _step(b, dim)
        if abs(step_b / step_a - 1) > 0.01:
            raise GridMismatch(
                "the cells differ in size too much to be taken for the same", where=dim, found=f"{step_a} and {step_b} m",
                hint="resample one knowingly, with a rule for mixed cells",
            )  # fmt: skip
        nearest = np.rint((a - b[0]) / step_b).astype(np.int64)
        keep = (nearest >= 0) & (nearest < len(b))
        if not keep.any():
            raise GridMismatch("the two rasters do not overlap", where=dim, found=(a[0], b[0]))
        shift = float(np.abs(b[nearest[keep]] - a[keep]).max())
        if shift > most_shift * abs(step_a) * (1 + 1e-9):
            raise GridMismatch(
                f"the cells are up to {shift:.3f} m apart along {dim}", where=f"{before.name} and {after.name}",
                found=f"{shift / abs(step_a):.3f} cells", expected=f"at most {most_shift} cells",
                hint="Load both with the same geobox",
            )  # fmt: skip
        steps_a.append(abs(step_a))
        steps_b.append(abs(step_b))
        worst, kept[dim], rows[dim] = max(worst, shift), keep, nearest[keep]
    first = before.isel(x=np.flatnonzero(kept["x"]), y=np.flatnonzero(kept["y"]))
    second = after.isel(x=rows["x"], y=rows["y"]).assign_coords(x=first["x"], y=first["y"])
    lost = before.sizes["x"] * before.sizes["y"] - first.sizes["x"] * first.sizes["y"]
    misfit = Misfit(
        (first.sizes["y"], first.sizes["x"]), (steps_a[0], steps_a[1]), (steps_b[0], steps_b[1]), worst, lost
    )
    return first, second, misfit
