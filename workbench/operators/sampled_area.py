"""Areas from a reference sample: the stratified estimator, with what the sample cannot say left open.

A map's areas are counts of what a classifier or a survey said; where points were checked against the truth, the sample corrects
them and gives an interval. Estimator and standard error are those of Olofsson and others (2014), *Remote Sensing of
Environment* 148, 42-57, equations 9 to 11, for points drawn at random inside each class of the map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from workbench.core.errors import ParameterError


def stratified_areas(
    map_areas: Mapping[Any, float], mapped: pd.Series, reference: pd.Series, *, level: float = 0.95
) -> pd.DataFrame:
    """Area of each reference class with its interval.

    Parameters
    ----------
    map_areas : mapping of class to float
        Area of every class of the map (the strata), any unit.
    mapped, reference : Series
        Class of each sample point on the map, and the class it was found to be.
    level : float
        Confidence of the interval.

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
    if not 0 < level < 1:
        raise ParameterError("the confidence level lies between 0 and 1", found=level)
    strata = {name: float(area) for name, area in map_areas.items() if area > 0}
    if len(mapped) != len(reference):
        raise ParameterError("one reference class a point is needed", found=(len(mapped), len(reference)))
    counts = pd.crosstab(np.asarray(mapped, dtype=object), np.asarray(reference, dtype=object))
    if unknown := sorted(set(counts.index) - set(strata), key=str):
        raise ParameterError(
            "sample points in a class the map does not have", found=unknown, expected=sorted(strata, key=str)
        )
    counts = counts.reindex(list(strata)).fillna(0)
    points = counts.sum(axis=1)
    if thin := [name for name, number in points.items() if number < 2]:
        raise ParameterError("each class of the map needs at least two sample points", found=thin)
    total = sum(strata.values())
    weight = pd.Series(strata) / total
    shares = counts.div(points, axis=0)
    estimate = shares.mul(weight, axis=0).sum()
    variance = (shares * (1 - shares)).mul(weight**2 / (points - 1), axis=0).sum()
    error = np.sqrt(variance) * total
    names = sorted({*strata, *counts.columns}, key=str)
    table = pd.DataFrame(
        {
            "mapped": pd.Series(strata).reindex(names).fillna(0.0),
            "area": (estimate * total).reindex(names).fillna(0.0),
            "error": error.reindex(names).fillna(0.0),
            "points": counts.sum().reindex(names).fillna(0).astype(int),
        }
    )
    z = float(norm.ppf(0.5 + level / 2))
    table["low"] = (table["area"] - z * table["error"]).clip(lower=0.0)
    table["high"] = table["area"] + z * table["error"]
    return table.rename_axis("class")[["mapped", "area", "error", "low", "high", "points"]]
