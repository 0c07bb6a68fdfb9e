"""Names on a map: moved apart, or left out, where they would stand in one another's way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workbench.views.layout import display_width


def _boxes(texts: Sequence[str], em: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Widths and heights of labels in letters of a size."""
    wide = np.array([max(display_width(line) for line in text.split("\n")) * 0.53 * em for text in texts])
    return wide, np.array([(text.count("\n") + 1) * 1.3 * em for text in texts])


def roomy(
    points: npt.NDArray[np.float64],
    texts: Sequence[str],
    unit: float,
    weights: npt.NDArray[np.float64],
    *,
    size: float = 9.2,
) -> list[int]:
    """Positions of the labels that have room where they stand, those of most weight first.

    Examples
    --------
    >>> roomy(np.array([[0.0, 0.0], [0.05, 0.0], [9.0, 0.0]]), ["a", "b", "c"], 1.0, np.array([1.0, 2.0, 1.0]))
    [1, 2]
    """
    wide, high = _boxes(texts, size / 72 * unit)
    kept: list[int] = []
    for i in np.argsort(-weights, kind="stable"):
        gaps = np.abs(points[kept] - points[i]) if kept else np.empty((0, 2))
        if not ((gaps[:, 0] < (wide[kept] + wide[i]) / 2) & (gaps[:, 1] < (high[kept] + high[i]) / 2)).any():
            kept.append(int(i))
    return sorted(kept)


def part_labels(
    points: npt.NDArray[np.float64],
    texts: Sequence[str],
    unit: float,
    *,
    size: float = 9.2,
    rounds: int = 200,
) -> npt.NDArray[np.float64]:
    """Centres of labels moved apart until their boxes no longer overlap (or the rounds are used up).

    Parameters
    ----------
    points : array, shape (n, 2)
        Where the labels would stand.
    texts : sequence of str
        Labels; lines are parted by a line feed.
    unit : float
        Map units an inch of paper.
    size : float
        Size of the letters, points.
    """
    em = size / 72 * unit
    wide, high = _boxes(texts, em)
    places = np.array(points, dtype=float)
    for _ in range(rounds):
        moved = False
        for i in range(len(texts)):
            for j in range(i):
                gap = places[i] - places[j]
                over = np.array([(wide[i] + wide[j]) / 2, (high[i] + high[j]) / 2]) - np.abs(gap)
                if (over <= 0).any():
                    continue
                axis = int(np.argmin(over))
                step = (over[axis] / 2 + 1e-6 * em) * (1.0 if gap[axis] >= 0 else -1.0)
                places[i, axis] += step
                places[j, axis] -= step
                moved = True
        if not moved:
            break
    return places
