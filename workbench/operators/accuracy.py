"""How well a map agrees with the truth: error matrices, measures by class with intervals, calibration of probabilities.

Two kinds of evidence are kept apart. A *drawn sample* (points drawn at random inside strata) gives estimates for the whole map
with standard errors, see :func:`sample_accuracy`: estimators of Olofsson and others (2014), *Remote Sensing of Environment*
148, 42-57, and, where strata are not the classes of the map, of Stehman (2014), *International Journal of Remote Sensing* 35,
4923-4939. *Whole places with truth* (tiles, cities) give counts of cells; cells of one place resemble each other, so intervals
come from drawing places again, see :func:`place_scores`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from workbench.core.errors import ParameterError
from workbench.operators._intervals import Limits, check_level, proportion, share_of, weighted_sum

Array = npt.NDArray[np.float64]
MEASURES = ("users", "producers", "f1", "iou")
"""Measures of a class: user's accuracy (precision), producer's accuracy (recall), F1, intersection over union."""
FEWEST_PLACES = 2


def confusion(mapped: Sequence[Any] | pd.Series, reference: Sequence[Any] | pd.Series,
              *, classes: Sequence[Any] | None = None) -> pd.DataFrame:  # fmt: skip
    """Counts of points by class on the map (rows) and class found (columns).

    Parameters
    ----------
    mapped, reference : sequence
        Class of each point on the map and in the reference.
    classes : sequence, optional
        Classes in order; those that occur, sorted, when not given.

    Examples
    --------
    >>> confusion(list("aab"), list("abb")).to_numpy().tolist()
    [[1, 1], [0, 1]]
    """
    left, right = np.asarray(mapped, dtype=object), np.asarray(reference, dtype=object)
    if len(left) != len(right):
        raise ParameterError("one reference class a point is needed", found=(len(left), len(right)))
    names = list(classes) if classes is not None else sorted({*left, *right}, key=str)
    if unknown := sorted(({*left, *right}) - set(names), key=str):
        raise ParameterError("classes that are not in the list", found=unknown, expected=names)
    index = pd.Index(names)
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (index.get_indexer(pd.Index(left)), index.get_indexer(pd.Index(right))), 1)
    return pd.DataFrame(counts, index=index.rename("mapped"), columns=index.rename("reference"))


def measures(matrix: npt.ArrayLike) -> dict[str, Array]:
    """Overall accuracy and measures by class of error matrices of shape (…, classes, classes), rows the map.

    Examples
    --------
    >>> found = measures([[8, 2], [4, 6]])
    >>> float(found["overall"]), found["users"].tolist(), found["iou"].round(3).tolist()
    (0.7, [0.8, 0.6], [0.571, 0.5])
    """
    cells = np.asarray(matrix, dtype=float)
    hit = np.diagonal(cells, axis1=-2, axis2=-1)
    rows, columns = cells.sum(axis=-1), cells.sum(axis=-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "overall": hit.sum(axis=-1) / cells.sum(axis=(-2, -1)),
            "users": hit / rows,
            "producers": hit / columns,
            "f1": 2 * hit / (rows + columns),
            "iou": hit / (rows + columns - hit),
        }


def place_scores(matrices: npt.ArrayLike, classes: Sequence[Any], *, seed: int, draws: int = 2000,
                 level: float = 0.95) -> pd.DataFrame:  # fmt: skip
    """Measures of all places together with intervals by drawing places again (block bootstrap).

    Parameters
    ----------
    matrices : array of shape (places, classes, classes)
        Cells by class on the map (rows) and in truth (columns), one matrix a place.
    classes : sequence
        Names of the classes.
    seed, draws, level
        Of the random numbers; how often places are drawn; confidence.

    Returns
    -------
    DataFrame[measure, class, value, low, high, places]
        First ``overall`` and ``mean_iou``. Limits are percentiles, taken further out where places are few (as Student's t
        is wider than the normal); they are missing with fewer than two places.
    """
    cells = np.asarray(matrices, dtype=float)
    if cells.ndim != 3 or cells.shape[1:] != (len(classes),) * 2:
        raise ParameterError(
            "one matrix a place is needed",
            found=cells.shape,
            expected=f"(places, {len(classes)}, {len(classes)})",
        )
    whole = _flat(measures(cells.sum(axis=0)))
    count = len(cells)
    if count < FEWEST_PLACES:
        low = high = np.full(len(whole), np.nan)
    else:
        drawn = _places_drawn(count, draws, seed) @ cells.reshape(count, -1)
        again = _flat(measures(drawn.reshape(draws, *cells.shape[1:])))
        low, high = _percentiles(again, count, level)
    names = [("overall", ""), ("mean_iou", ""), *((one, name) for one in MEASURES for name in classes)]
    frame = pd.DataFrame(names, columns=["measure", "class"])
    return frame.assign(value=whole, low=low, high=high, places=count)


def _flat(found: Mapping[str, Array]) -> Array:
    parts = [
        found["overall"][..., None],
        _mean_known(found["iou"])[..., None],
        *(found[one] for one in MEASURES),
    ]
    return np.concatenate(parts, axis=-1)


def _mean_known(values: Array) -> Array:
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(
        np.divide(total, known.sum(axis=-1), out=np.full(total.shape, np.nan), where=known.any(axis=-1))
    )


def _places_drawn(count: int, draws: int, seed: int) -> Array:
    """How often each place is in each draw, shape (draws, places)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(float)


def _percentiles(again: Array, count: int, level: float) -> tuple[Array, Array]:
    tail = check_level(level)
    if count < 200:  # so far out as Student's t with the variance divided by n - 1
        tail = float(norm.cdf(-np.sqrt(count / (count - 1)) * student.ppf(1 - tail, count - 1)))
    known = np.isfinite(again)
    filled = np.where(known.any(axis=0), again, 0.0)
    low, high = np.nanquantile(filled, [tail, 1 - tail], axis=0)
    lost = ~known.any(axis=0)
    return np.where(lost, np.nan, low), np.where(lost, np.nan, high)


# ---------------------------------------------------------------------- drawn samples


@dataclass(frozen=True)
class Sample:
    """Points of a stratified sample, counted."""

    classes: tuple[Hashable, ...]
    """Classes of map and reference."""
    strata: tuple[Hashable, ...]
    """Strata that have an area."""
    weights: Array
    """Share of each stratum in the whole."""
    points: Array
    """Points in each stratum."""
    cells: Array
    """Points by stratum, class on the map, class found."""
    possible: npt.NDArray[np.bool_]
    """By stratum and class on the map: whether the design allows such a point."""

    @property
    def shares(self) -> Array:
        """Estimated share of the whole by class on the map and class found; sums to 1."""
        return np.asarray(np.einsum("h,hij->ij", self.weights / self.points, self.cells))


def count_sample(strata: Mapping[Any, float], stratum: Sequence[Any] | pd.Series, reference: Sequence[Any] | pd.Series,
                 *, mapped: Sequence[Any] | pd.Series | None = None) -> Sample:  # fmt: skip
    """Points of a stratified random sample counted by stratum, class on the map and class found.

    Parameters
    ----------
    strata : mapping of stratum to float
        Area of every stratum, any unit. They make up the whole.
    stratum, reference : sequence
        Stratum of each point and the class it was found to be.
    mapped : sequence, optional
        Class of each point on the map; the stratum itself when not given. Points drawn without strata are given the classes of
        the map as strata afterwards (post-stratification): leave ``mapped`` out then, too.

    Raises
    ------
    ParameterError
        Points in no stratum, or fewer than two in a stratum that has an area.
    """
    areas = {name: float(area) for name, area in strata.items() if area > 0}
    where, found = np.asarray(stratum, dtype=object), np.asarray(reference, dtype=object)
    on_map = where if mapped is None else np.asarray(mapped, dtype=object)
    if not len(where) == len(found) == len(on_map):
        raise ParameterError("one reference class a point is needed", found=(len(where), len(found)))
    if unknown := sorted(set(where) - set(areas), key=str):
        raise ParameterError(
            "sample points in a class the map does not have", found=unknown, expected=sorted(areas, key=str)
        )
    names = sorted({*found, *(areas if mapped is None else on_map)}, key=str)
    index, rows = pd.Index(names), pd.Index(list(areas))
    cells = np.zeros((len(rows), len(names), len(names)))
    at = (
        rows.get_indexer(pd.Index(where)),
        index.get_indexer(pd.Index(on_map)),
        index.get_indexer(pd.Index(found)),
    )
    np.add.at(cells, at, 1.0)
    points = cells.sum(axis=(1, 2))
    if thin := [name for name, number in zip(rows, points, strict=True) if number < 2]:
        raise ParameterError("each class of the map needs at least two sample points", found=thin)
    possible = np.ones((len(rows), len(names)), dtype=bool)
    if mapped is None:
        possible = np.equal.outer(rows.to_numpy(object), index.to_numpy(object))
    weights = np.array(list(areas.values())) / sum(areas.values())
    return Sample(tuple(names), tuple(areas), weights, points, cells, possible)


def sample_accuracy(sample: Sample, *, level: float = 0.95) -> pd.DataFrame:
    """Overall, user's and producer's accuracy, F1 and IoU of a map from a drawn sample.

    Returns
    -------
    DataFrame[measure, class, value, error, low, high, points]
        ``error`` is the standard error (Olofsson and others 2014, equations 5 to 7; Stehman 2014, equation 28; for F1 and IoU by
        the same linearization). The interval is not ``value ± 1.96 error``: it keeps its width where no error was seen.
        ``points`` are those the measure rests on. A class without any has a missing value, and anything is possible.
    """
    rows = [_overall(sample, level)]
    for measure in MEASURES:
        for at, name in enumerate(sample.classes):
            rows.append({"measure": measure, "class": name, **_class_measure(sample, measure, at, level)})
    return pd.DataFrame(rows)[["measure", "class", "value", "error", "low", "high", "points"]]


def _overall(sample: Sample, level: float) -> dict[str, Any]:
    hits = np.trace(sample.cells, axis1=1, axis2=2)
    found = weighted_sum(sample.weights, hits, sample.points, level)
    share = hits / sample.points
    error = float(np.sqrt((sample.weights**2 * share * (1 - share) / (sample.points - 1)).sum()))
    return {
        "measure": "overall", "class": "", "value": float(found.value), "error": error, "low": float(found.low),
        "high": min(float(found.high), 1.0), "points": int(sample.points.sum()),
    }  # fmt: skip


def _class_measure(sample: Sample, measure: str, at: int, level: float) -> dict[str, Any]:
    """One measure of one class: the part that is right in what is asked about."""
    right = sample.cells[:, at, at]
    false, missed = sample.cells[:, at, :].sum(axis=1) - right, sample.cells[:, :, at].sum(axis=1) - right
    can_right = sample.possible[:, at]
    can_false, can_missed = can_right, sample.possible.sum(axis=1) > can_right
    wrong, can_wrong = {
        "users": (false, can_false),
        "producers": (missed, can_missed),
    }.get(measure, (false + missed, can_false | can_missed))
    times = 2.0 if measure == "f1" else 1.0
    found = ratio_limits(
        sample.weights, right, wrong, sample.points, level, times=times, can=(can_right, can_wrong)
    )
    error = _ratio_error(sample, times * right / sample.points, wrong / sample.points, times)
    value = float(found.value)
    points = int(right.sum() + wrong.sum())
    low, high = (0.0, 1.0) if not points else (float(found.low), float(found.high))
    return {"value": value, "error": error if points else np.nan, "low": low, "high": high, "points": points}


def ratio_limits(weights: npt.ArrayLike, right: npt.ArrayLike, wrong: npt.ArrayLike, points: npt.ArrayLike, level: float = 0.95,
                 *, times: float = 1.0, can: tuple[npt.ArrayLike, npt.ArrayLike] | None = None) -> Limits:  # fmt: skip
    """Interval of ``right / (right + wrong)``, both sums over strata (last axis) of weight times proportion.

    Parameters
    ----------
    weights, right, wrong, points : array of shape (…, strata)
        Weight of each stratum, its points of both kinds, all its points.
    level : float
        Confidence.
    times : float
        What ``right`` counts for (2 for F1).
    can : pair of bool arrays, optional
        Where the design allows right and wrong points; elsewhere none is certain, not only unseen.
    """
    w, y, z, n = (np.asarray(one, dtype=float) for one in (weights, right, wrong, points))
    open_y, open_z = (
        (np.asarray(one, dtype=float) for one in can)
        if can is not None
        else (np.ones_like(w), np.ones_like(w))
    )
    part = weighted_sum(times * w * open_y, y, n, level)
    rest = weighted_sum(w * open_z, z, n, level)
    a, b = (y + 0.5) / (n + 1), (z + 0.5) / (n + 1)  # never quite 0 or 1, so that a correlation exists
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = -(w**2 * open_y * open_z * a * b / n).sum(axis=-1)
        own = (w**2 * open_y * a * (1 - a) / n).sum(axis=-1) * (w**2 * open_z * b * (1 - b) / n).sum(axis=-1)
        r = np.where(own > 0, np.maximum(shared / np.sqrt(own), -1.0), 0.0)
    return share_of(part, rest, r)


def _ratio_error(sample: Sample, right: Array, wrong: Array, times: float) -> float:
    """Standard error of right / (right + wrong) from the shares in each stratum, by linearization."""
    w, n = sample.weights, sample.points
    whole = right + wrong
    total = float(w @ whole)
    if total == 0:
        return float("nan")
    ratio = float(w @ right) / total
    # residual of a point: times (1 - ratio) where right, -ratio where wrong, 0 else
    mean = right * (1 - ratio) - wrong * ratio
    square = right / times * (times * (1 - ratio)) ** 2 + wrong * ratio**2
    return float(np.sqrt((w**2 * (square - mean**2) / (n - 1)).sum()) / total)


# ---------------------------------------------------------------------- calibration


@dataclass(frozen=True)
class Calibration:
    """How often what was said with some probability was true."""

    table: pd.DataFrame
    """``said, found, low, high, points``: mean probability of a bin, share that was true, its interval, points."""
    error: float
    """Expected calibration error: mean distance of said and found, weighted by what the points stand for."""
    low: float
    """Lower limit of the error, by drawing places again; missing without places."""
    high: float
    """Upper limit of the error."""


def calibration(probability: npt.ArrayLike, true: npt.ArrayLike, *, places: Sequence[Any] | npt.NDArray[Any] | None = None,
                weights: npt.ArrayLike | None = None, bins: int = 10, seed: int = 0, draws: int = 1000, level: float = 0.95) -> Calibration:  # fmt: skip
    """Calibration of probabilities in bins of equal width.

    Parameters
    ----------
    probability, true : array
        What was said (0 to 1) and whether it was so.
    places : sequence, optional
        Place of each point; intervals then come from drawing places again. Without, points count as independent: shares have
        their Jeffreys intervals, the error has none.
    weights : array, optional
        What each point stands for, where points were drawn with unequal chances: the area of its stratum by its points. The
        intervals are those of as many equal points as the weighted ones are worth (Kish: square of the sum by sum of squares).
    bins, seed, draws, level
        Number of bins; seed, number of draws; confidence.

    Raises
    ------
    ParameterError
        No points, other lengths, or probabilities outside 0 to 1.
    """
    said, was = np.asarray(probability, dtype=float).ravel(), np.asarray(true, dtype=bool).ravel()
    if not len(said) or len(said) != len(was):
        raise ParameterError(
            "a probability and a truth for each point are needed", found=(len(said), len(was))
        )
    if not (np.isfinite(said).all() and said.min() >= 0 and said.max() <= 1):
        raise ParameterError(
            "probabilities lie between 0 and 1", found=(float(np.nanmin(said)), float(np.nanmax(said)))
        )
    worth = np.ones_like(said) if weights is None else np.asarray(weights, dtype=float).ravel()
    if len(worth) != len(said) or not (np.isfinite(worth).all() and worth.min() > 0):
        raise ParameterError(
            "a positive weight for each point is needed", found=len(worth), expected=len(said)
        )
    at = np.minimum((said * bins).astype(int), bins - 1)
    codes, _ = (
        pd.factorize(np.asarray(places)) if places is not None else (np.zeros(len(said), dtype=np.intp), None)
    )
    count = int(codes.max()) + 1
    sums = np.zeros((count, bins, 3))
    np.add.at(
        sums, (codes, at), worth[:, None] * np.stack([np.ones_like(said), said, was.astype(float)], axis=-1)
    )
    whole = sums.sum(axis=0)
    used = whole[:, 0] > 0
    n, mean, share = whole[used, 0], whole[used, 1] / whole[used, 0], whole[used, 2] / whole[used, 0]
    points = np.bincount(at, minlength=bins)[used]
    equal = n**2 / np.bincount(at, weights=worth**2, minlength=bins)[used]
    low, high = proportion(share * equal, equal, level)[1:]
    limits = (float("nan"), float("nan"))
    if count >= FEWEST_PLACES:
        again = (_places_drawn(count, draws, seed) @ sums.reshape(count, -1)).reshape(draws, bins, 3)
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = _percentiles(again[:, used, 2] / again[:, used, 0], count, level)
        ends = _percentiles(_distance(again)[:, None], count, level)
        limits = (float(ends[0][0]), float(ends[1][0]))
    table = pd.DataFrame({"said": mean, "found": share, "low": low, "high": high, "points": points})
    return Calibration(table, float(_distance(whole[None])[0]), *limits)


def _distance(sums: Array) -> Array:
    """Calibration error of sums (draws, bins, [points, said, true])."""
    return np.asarray(np.abs(sums[..., 1] - sums[..., 2]).sum(axis=-1) / sums[..., 0].sum(axis=-1))
