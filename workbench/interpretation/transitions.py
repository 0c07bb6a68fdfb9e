"""Land that passed from one image class to another, building apart: both years' class probabilities compared.

New building is found by a net that sees both dates at once (:mod:`workbench.interpretation.change`). Land that becomes grass,
wood or water is told by comparing what each year's images say of a cell. Comparing the likeliest classes alone would add up
the errors of two maps; here a cell counts only where the chance that both years show different classes is high, and where
the cells beside it say so too, so that borders that lie half a cell off each other do not count.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window
from scipy.ndimage import binary_opening

from workbench.core.errors import GridMismatch, ParameterError
from workbench.interpretation import classes, polygons
from workbench.interpretation.change import CHANGED, STEPS, ChangeMap
from workbench.interpretation.patches import OTHER, TBLX, former_classes, least_cells, ranked
from workbench.operators.guards import same_crs

if TYPE_CHECKING:
    from workbench.interpretation.imagery import Pair

ROLE = "detected_transitions"
"""Role under which a city's land changes are published."""
CERTAIN, DOUBTED = 0.75, 0.92
"""Chance of two different classes from which on a cell counts: where both years were seen on the same dates of the season, and
where a cloud hid one year's date and not the other's (what lies ploughed that day then looks like change). Own choice."""
BUILT = "built"
"""Class whose gains are left to the change map, and whose losses are left out: yards look green or bare by season."""
LEAST_M2 = 1000.0
"""Smallest patch: ten cells of 10 m; below, two class maps differ by chance."""
BARE_SOIL = "LT"
"""Code of land that became bare: a class map does not tell pushed soil from soil that lies open."""
_ROWS = 512
_CORE = np.ones((2, 2), dtype=bool)
Bytes = npt.NDArray[np.uint8]


def land_changes(
    before: Path,
    after: Path,
    building: ChangeMap,
    pairs: Sequence[Pair],
    *,
    mmu_m2: float = LEAST_M2,
    scheme: str = "six",
    certain: tuple[float, float] = (CERTAIN, DOUBTED),
    survey: gpd.GeoDataFrame | None = None,
    simplify: bool = True,
) -> gpd.GeoDataFrame:
    """Patches of land whose image class changed, new building apart, readable like those of a change map.

    Parameters
    ----------
    before, after : Path
        Probabilities of the classes of ``scheme`` in both years (:attr:`Prediction.probabilities`), on the grid of ``building``.
    building : ChangeMap
        New building of the same years; its cells are left out, and its dates are taken.
    pairs : sequence of Pair
        The images of both years, a pair a season; where they show a cell on different dates, more is asked of it.
    mmu_m2 : float
        Smallest patch in m²; smaller ones go to what lies around them.
    scheme : str
        Scheme of image classes.
    certain : tuple of float
        Chance from which on a cell counts, were the two years' probabilities independent: where both years were seen on
        the same dates, and elsewhere.
    survey : GeoDataFrame, optional
        Parcels of the earlier survey (``dlbm``): what a patch was; where it had the class after already, nothing changed.
    simplify : bool
        Straighten the stairs of outlines; areas stay.

    Returns
    -------
    GeoDataFrame
        Columns of :func:`patches.change_patches`, a row a patch and kind of change, the likeliest and largest first.
        ``patch_id`` begins with L.

    Raises
    ------
    GridMismatch, CRSError
        Maps on another grid, a survey in another reference system.
    ParameterError
        Maps of another scheme; ``certain`` is no probability.
    """
    if not all(0 < one < 1 for one in certain):
        raise ParameterError("the chance is a probability", where="certain", found=certain)
    names = classes.scheme(scheme)["class"].tolist()
    with tempfile.TemporaryDirectory(dir=building.path.parent, prefix=".kinds-") as folder:
        kinds = Path(folder) / "kinds.tif"
        _write(kinds, before, after, building, pairs, names, certain)
        with polygons.opened(kinds) as source, rasterio.open(kinds) as file:
            same, least = len(names) ** 2 + 1, least_cells(mmu_m2, source)
            pieces = polygons.find_pieces(source, dict.fromkeys(range(1, same + 1), least))
            chance = _mean_chance(source, pieces, file, same)
            frame = polygons.outlined(source, pieces, simplify=simplify)
    keep = (pieces.classes != same) & (pieces.cells >= least)
    frame = frame[keep].reset_index(drop=True)
    if survey is not None:
        same_crs(frame, survey)
    kind = frame["class"].to_numpy() - 1
    was, now = (np.array(names, dtype=object)[one] for one in np.divmod(kind, len(names)))
    table = TBLX.get(scheme, {}) | {"bare": BARE_SOIL}
    former = former_classes(frame.geometry.to_numpy(), survey)
    frame = frame.assign(
        tblx=[table.get(one, OTHER) for one in now], before_class=was, after_class=now, before_dlbm=former,
        probability=chance[keep],
    )  # fmt: skip
    known = classes.class_of_survey(scheme)
    already = np.array([known.get(str(one), 0) for one in former], dtype=int) == kind % len(names) + 1
    return ranked(frame[~already], building.record, "L")


def compared(
    before: Bytes, after: Bytes, built: int | None, certain: float | npt.NDArray[Any]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Kind of change of each cell, ``from * classes + to + 1`` or 0, and the chance of two different classes.

    Parameters
    ----------
    before, after : ndarray of uint8, shape (class, row, col)
        Probabilities 0 to 250 of both years, 255 where nothing is seen.
    built : int or None
        Place of the class whose gains and losses do not count.
    certain : float or ndarray
        Least chance, of all cells or of each.

    Examples
    --------
    >>> field, pond = np.array([240, 5, 5], np.uint8), np.array([5, 5, 240], np.uint8)
    >>> kind, chance = compared(field[:, None, None], pond[:, None, None], 1, 0.9)
    >>> int(kind[0, 0]), round(float(chance[0, 0]), 2)
    (3, 0.96)
    """
    seen = (before[0] <= STEPS) & (after[0] <= STEPS)
    old, new = before.astype(np.float32), after.astype(np.float32)
    both = np.maximum(old.sum(axis=0) * new.sum(axis=0), 1)
    chance = np.where(seen, 1 - (old * new).sum(axis=0) / both, 0).astype(np.float32)
    was, now = before.argmax(axis=0), after.argmax(axis=0)
    counts = seen & (was != now) & (chance >= certain)
    if built is not None:
        counts &= (was != built) & (now != built)
    return np.where(counts, was * len(before) + now + 1, 0), chance


def _write(
    path: Path, before: Path, after: Path, building: ChangeMap, pairs: Sequence[Pair], names: list[str],
    certain: tuple[float, float],
) -> None:  # fmt: skip
    """Raster of kinds of change (unchanged land: one more than the last kind; 0 not seen) and of their chance."""
    built = names.index(BUILT) if BUILT in names else None
    same = len(names) ** 2 + 1
    with ExitStack() as stack:
        files = [stack.enter_context(rasterio.open(one)) for one in (before, after, building.path)]
        for one in files[:2]:
            if one.count != len(names):
                raise ParameterError(
                    "the map has other classes", where=one.name, found=one.count, expected=len(names)
                )
            if one.shape != files[2].shape or not one.transform.almost_equals(files[2].transform):
                raise GridMismatch("a land-cover map lies on another grid than the change map", where=one.name,
                                   found=f"{one.shape}", expected=f"{files[2].shape}")  # fmt: skip
        height, width = files[2].shape
        readers = [
            tuple(stack.enter_context(one.open()) for one in (pair.before, pair.after)) for pair in pairs
        ]
        if any(pair.before.shape != (height, width) for pair in pairs):
            raise GridMismatch("the images lie on another grid than the change map", where=pairs[0].before.name,
                               found=f"{pairs[0].before.shape}", expected=f"{(height, width)}")  # fmt: skip
        profile = {"driver": "GTiff", "height": height, "width": width, "count": 2, "dtype": "uint8", "nodata": 0,
                   "crs": files[2].crs, "transform": files[2].transform, "compress": "deflate"}  # fmt: skip
        out = stack.enter_context(rasterio.open(path, "w", **profile))
        for first, stop, top, window in _strips(height, width):
            old, new = (one.read(window=window) for one in files[:2])
            alike = np.ones(old.shape[1:], dtype=bool)
            for one, other in readers:
                alike &= one.read(window).valid == other.read(window).valid
            kind, chance = compared(old, new, built, np.where(alike, *certain))
            changed = files[2].read(1, window=window)
            kept = binary_opening((kind > 0) & (changed != CHANGED), _CORE)
            kind = np.where(kept, kind, np.where((old[0] <= STEPS) & (new[0] <= STEPS), same, 0))
            rows = slice(first - top, stop - top)
            target = Window(0, first, width, stop - first)
            out.write(kind[rows].astype(np.uint8), 1, window=target)
            out.write(np.round(STEPS * chance[rows]).astype(np.uint8), 2, window=target)


def _strips(height: int, width: int) -> Iterator[tuple[int, int, int, Window]]:
    """First row, row after the last, and the window with two rows more on both sides, of which the first is row ``top``."""
    for first in range(0, height, _ROWS):
        stop = min(first + _ROWS, height)
        top, bottom = max(first - 2, 0), min(stop + 2, height)
        yield first, stop, top, Window(0, top, width, bottom - top)


def _mean_chance(
    source: polygons.ClassMap, pieces: polygons.Pieces, file: Any, same: int
) -> npt.NDArray[np.float64]:
    """Mean chance over the cells of each piece that changed, 0 of others."""
    total, seen = np.zeros(len(pieces.classes)), np.zeros(len(pieces.classes))
    for first, stop, ids in polygons.numbered(source, pieces):
        inside = ids > 0
        inside[inside] = pieces.classes[ids[inside] - 1] != same
        chance = file.read(2, window=Window(0, first, source.shape[1], stop - first))[inside]
        total += np.bincount(ids[inside] - 1, chance, minlength=len(total))
        seen += np.bincount(ids[inside] - 1, minlength=len(total))
    found: npt.NDArray[np.float64] = total / np.maximum(seen, 1) / STEPS
    return found
