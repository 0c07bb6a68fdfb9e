"""How well patches of change were found, counted by patch: what was found of the true ones, what is right of the found ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from workbench.core.errors import GridMismatch

SIZES = (10, 20, 50, 200)
"""Lower ends of the classes of size, in cells."""
SHARE = 0.5
"""Share of a patch's cells that must agree for it to count as found, or as right."""
Cells = npt.NDArray[np.bool_]


def patch_scores(
    truth: Cells,
    found: Cells,
    *,
    seen: Cells | None = None,
    sizes: Sequence[int] = SIZES,
    share: float = SHARE,
) -> pd.DataFrame:
    """Recall and precision by patch and by cell, in classes of size.

    Parameters
    ----------
    truth, found : ndarray of bool, shape (row, col)
        Cells that changed, and cells said to have changed. Patches are cells joined over sides or corners.
    seen : ndarray of bool, optional
        Cells that could be seen; others count nowhere.
    sizes : sequence of int
        Lower ends of the classes of size, in cells; smaller patches are not counted.
    share : float
        A true patch is found, a found one right, when this share of its cells is.

    Returns
    -------
    DataFrame
        A row a class of size, and ``all``: ``size, true, found_of_true, recall, said, right_of_said, precision``; of the row
        ``all`` also ``iou`` and ``f1`` over all cells.

    Examples
    --------
    >>> truth, found = np.zeros((12, 12), bool), np.zeros((12, 12), bool)
    >>> truth[1:5, 1:5], truth[8:11, 1:6], found[1:5, 2:5] = True, True, True
    >>> row = patch_scores(truth, found, sizes=(10,)).iloc[-1]
    >>> [int(row[name]) for name in ("true", "found_of_true", "said", "right_of_said")]
    [2, 1, 1, 1]
    """
    if truth.shape != found.shape or (seen is not None and seen.shape != truth.shape):
        raise GridMismatch(
            "truth and map differ in size", where="patch scores", found=found.shape, expected=str(truth.shape)
        )
    mask = np.ones(truth.shape, dtype=bool) if seen is None else seen
    truth, found = truth & mask, found & mask
    size_true, share_true = _patches(truth, found)
    size_said, share_said = _patches(found, truth)
    rows = []
    for low, high in pairwise([*sizes, np.inf]):
        name = f"{low}–{high - 1:g}" if high < np.inf else f"≥ {low}"
        rows.append(_row(name, size_true, share_true, size_said, share_said, low, high, share))
    total = _row("all", size_true, share_true, size_said, share_said, sizes[0], np.inf, share)
    both, either = int((truth & found).sum()), int((truth | found).sum())
    total |= {
        "iou": both / either if either else np.nan,
        "f1": 2 * both / (both + either) if either else np.nan,
    }
    return pd.DataFrame([*rows, total])


def _patches(one: Cells, other: Cells) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Cells of each patch and the share of them that the other has too."""
    labels, count = ndimage.label(one, np.ones((3, 3)))
    size = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    hit = np.bincount(labels[other], minlength=count + 1)[1:]
    return size, hit / np.maximum(size, 1)


def _row(
    name: str, size_true: npt.NDArray[np.int64], share_true: npt.NDArray[np.float64], size_said: npt.NDArray[np.int64],
    share_said: npt.NDArray[np.float64], low: float, high: float, share: float,
) -> dict[str, object]:  # fmt: skip
    true = (size_true >= low) & (size_true < high)
    said = (size_said >= low) & (size_said < high)
    hit, right = int((share_true[true] >= share).sum()), int((share_said[said] >= share).sum())
    return {
        "size": name, "true": int(true.sum()), "found_of_true": hit, "recall": hit / true.sum() if true.any() else np.nan,
        "said": int(said.sum()), "right_of_said": right, "precision": right / said.sum() if said.any() else np.nan,
    }  # fmt: skip
