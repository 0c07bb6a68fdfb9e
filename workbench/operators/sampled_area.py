"""Areas from a reference sample: the stratified estimator, with what the sample cannot say left open.

A map's areas are counts of what a classifier or a survey said; where points were checked against the truth, the sample corrects
them and gives an interval. Estimator and standard error are those of Olofsson and others (2014), *Remote Sensing of
Environment* 148, 42-57, equations 9 to 11, for points drawn at random inside each class of the map, or of another map whose
classes were the strata.

The interval printed is not the normal one of the paper: where a stratum shows no error that one has no width for it, and a rare
class is missed far too often. Each stratum has its Jeffreys interval instead, see :mod:`workbench.operators._intervals`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from workbench.core.errors import ParameterError
from workbench.operators._intervals import check_level, weighted_sum
from workbench.operators.accuracy import Sample, count_sample

MOST_POINTS = 1_000_000
"""Beyond so many further points a question counts as not to be decided by points."""


def stratified_areas(
    map_areas: Mapping[Any, float],
    mapped: Sequence[Any] | pd.Series,
    reference: Sequence[Any] | pd.Series,
    *,
    level: float = 0.95,
    interval: Literal["adjusted", "normal"] = "adjusted",
    class_areas: Mapping[Any, float] | None = None,
) -> pd.DataFrame:
    """Area of each reference class with its interval.

    Parameters
    ----------
    map_areas : mapping of class to float
        Area of every class of the map (the strata), any unit.
    mapped, reference : sequence
        Class of each sample point on the map (its stratum), and the class it was found to be.
    level : float
        Confidence of the interval.
    interval : {"adjusted", "normal"}
        ``adjusted`` keeps its width where a stratum shows no error; ``normal`` is estimate ± z times the standard error, as in
        the paper.
    class_areas : mapping of class to float, optional
        Area of every class on the map to be compared, where the strata are not its classes.

    Returns
    -------
    DataFrame[mapped, area, error, low, high, points]
        Index: reference class. ``mapped``: the area on the map; ``error``: standard error of ``area``; ``points``: sample
        points of the reference class; low never below zero.

    Raises
    ------
    ParameterError
        When a class of the map that has an area has fewer than two points, or a point lies in none: the design then gives
        no estimate.

    Examples
    --------
    >>> found = stratified_areas({"a": 60.0, "b": 40.0}, pd.Series(list("aabb")), pd.Series(list("abbb")))
    >>> found[["mapped", "area"]].values.tolist()
    [[60.0, 30.0], [40.0, 70.0]]
    """
    check_level(level)
    sample = count_sample(map_areas, mapped, reference)
    total = sum(float(area) for area in map_areas.values() if area > 0)
    known = map_areas if class_areas is None else class_areas
    z = float(norm.ppf(0.5 + level / 2))
    rows = []
    names = (
        list(sample.classes)
        if class_areas is None
        else sorted({*class_areas, *np.asarray(reference, dtype=object)}, key=str)
    )
    for name in names:
        hits = _hits(sample, name)
        found = weighted_sum(sample.weights, hits, sample.points, level)
        share = hits / sample.points
        error = float(np.sqrt((sample.weights**2 * share * (1 - share) / (sample.points - 1)).sum()))
        value = float(found.value)
        low, high = float(found.low), min(float(found.high), 1.0)
        if interval == "normal":
            low, high = max(value - z * error, 0.0), value + z * error
        rows.append(
            (
                float(known.get(name, 0.0)),
                value * total,
                error * total,
                low * total,
                high * total,
                int(hits.sum()),
            )
        )
    columns = ["mapped", "area", "error", "low", "high", "points"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(names, name="class"))


def _hits(sample: Sample, name: Hashable) -> npt.NDArray[np.float64]:
    """Points of a reference class in each stratum."""
    if name not in sample.classes:
        return np.zeros(len(sample.strata))
    return np.asarray(sample.cells[:, :, sample.classes.index(name)].sum(axis=1))


# ---------------------------------------------------------------------- decisions


@dataclass(frozen=True)
class Decision:
    """Whether an area keeps a limit, as far as the sample can tell."""

    answer: bool | None
    """True or False; None where the interval holds the limit."""
    value: float
    """Estimated area."""
    low: float
    """Lower limit of the interval."""
    high: float
    """Upper limit of the interval."""
    more: Mapping[Any, int] | None
    """Further points by stratum with which the answer may be expected, should the shares stay as they are; nothing where it is
    known; None where even :data:`MOST_POINTS` would not do."""

    @property
    def further(self) -> int | None:
        """Further points in all."""
        return None if self.more is None else sum(self.more.values())


def holds(low: float, high: float, threshold: float, op: str) -> bool | None:
    """Whether an interval keeps a limit (``>=`` or ``<=``); None where it holds the limit inside.

    Examples
    --------
    >>> holds(3.0, 5.0, 2.0, ">="), holds(3.0, 5.0, 6.0, ">="), holds(3.0, 5.0, 4.0, ">=")
    (True, False, None)
    """
    if op not in (">=", "<="):
        raise ParameterError("unknown comparison", found=op, expected=">= or <=")
    if op == ">=":
        return True if low >= threshold else False if high < threshold else None
    return True if high <= threshold else False if low > threshold else None


def decide(map_areas: Mapping[Any, float], mapped: Sequence[Any] | pd.Series, reference: Sequence[Any] | pd.Series, name: Any,
           *, threshold: float, op: str, level: float = 0.95) -> Decision:  # fmt: skip
    """Whether the area of a class is at least, or at most, a limit, and what would decide it if the sample cannot.

    Parameters
    ----------
    map_areas, mapped, reference
        As for :func:`stratified_areas`.
    name : class
        Reference class asked about.
    threshold : float
        Limit in the unit of the areas.
    op : {">=", "<="}
        What must hold.
    level : float
        Confidence of the interval.
    """
    sample = count_sample(map_areas, mapped, reference)
    total = sum(float(area) for area in map_areas.values() if area > 0)
    hits, limit = _hits(sample, name), threshold / total

    def told(points: npt.NDArray[np.float64]) -> tuple[bool | None, float, float, float]:
        found = weighted_sum(sample.weights, hits / sample.points * points, points, level)
        low, high = float(found.low), min(float(found.high), 1.0)
        return holds(low, high, limit, op), float(found.value), low, high

    answer, value, low, high = told(sample.points)
    more: dict[Any, int] | None = {}
    if answer is None:
        wanted = _enough(sample, hits, lambda points: told(points)[0] is not None)
        more = None if wanted is None else {
            key: int(n) for key, n in zip(sample.strata, wanted - sample.points, strict=True) if n > 0
        }  # fmt: skip
    return Decision(answer, value * total, low * total, high * total, more)


def _enough(sample: Sample, hits: npt.NDArray[np.float64], decided: Any) -> npt.NDArray[np.float64] | None:
    """Fewest points by stratum, shared out as Neyman does, that decide; None where too many are needed."""
    share = (hits + 0.5) / (sample.points + 1)  # a stratum without an error is not certain to have none
    pull = sample.weights * np.sqrt(share * (1 - share))
    pull = pull / pull.sum()

    def spread(number: int) -> npt.NDArray[np.float64]:
        return np.asarray(np.maximum(sample.points, np.ceil(number * pull)))

    few, many = int(sample.points.sum()), MOST_POINTS
    if not decided(spread(many)):
        return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if decided(spread(middle)) else (middle, many)
    return spread(many)
