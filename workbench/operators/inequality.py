"""How unequally something is spread over people: Lorenz curve, Gini coefficient, Theil index with its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.errors import ParameterError

Floats = npt.NDArray[np.float64]


def _amounts(values: npt.ArrayLike, people: npt.ArrayLike | None) -> tuple[Floats, Floats]:
    """Amounts a head and people, without the places where nobody lives."""
    amount = np.asarray(values, dtype=np.float64)
    count = np.ones(amount.shape) if people is None else np.asarray(people, dtype=np.float64)
    if amount.ndim != 1 or amount.shape != count.shape:
        raise ParameterError("values and people differ in length", found=(amount.shape, count.shape))
    for name, array in (("values", amount), ("people", count)):
        if not (np.isfinite(array) & (array >= 0)).all():
            raise ParameterError(f"{name} must be finite and not below zero", where="inequality")
    return amount[count > 0], count[count > 0]


def lorenz(values: npt.ArrayLike, people: npt.ArrayLike | None = None) -> pd.DataFrame:
    """Lorenz curve: what share of all the poorest share of the people has.

    Parameters
    ----------
    values : array of float
        Amount a head at each place (supply per head, income), not below zero.
    people : array of float, optional
        How many live there; one each when omitted.

    Returns
    -------
    DataFrame[people, amount]
        Cumulated shares from (0, 0) to (1, 1), the least provided first; only (0, 0) where there is nobody or nothing.

    Examples
    --------
    >>> lorenz([1, 3]).values.tolist()
    [[0.0, 0.0], [0.5, 0.25], [1.0, 1.0]]
    """
    amount, count = _amounts(values, people)
    order = np.argsort(amount, kind="stable")
    held = np.concatenate(([0.0], np.cumsum((amount * count)[order])))
    heads = np.concatenate(([0.0], np.cumsum(count[order])))
    if not held[-1] > 0:
        return pd.DataFrame({"people": [0.0], "amount": [0.0]})
    return pd.DataFrame({"people": heads / heads[-1], "amount": held / held[-1]})


def gini(values: npt.ArrayLike, people: npt.ArrayLike | None = None) -> float:
    """Gini coefficient weighted by people: 0 when all have the same; nan when there is nobody or nothing to share.

    Parameters
    ----------
    values, people
        As for :func:`lorenz`.

    Examples
    --------
    >>> gini([1, 3]), gini([0, 1], [3, 1])
    (0.25, 0.75)
    """
    curve = lorenz(values, people)
    if len(curve) < 2:
        return float("nan")
    x, y = curve["people"].to_numpy(), curve["amount"].to_numpy()
    return float(1.0 - np.sum(np.diff(x) * (y[1:] + y[:-1])))


def theil(values: npt.ArrayLike, people: npt.ArrayLike | None = None) -> float:
    """Theil's T weighted by people: 0 when all have the same; nan when there is nobody or nothing to share.

    Parameters
    ----------
    values, people
        As for :func:`lorenz`.

    Examples
    --------
    >>> theil([2, 2]), round(theil([0, 1]), 4)
    (0.0, 0.6931)
    """
    amount, count = _amounts(values, people)
    total = float((amount * count).sum())
    if not total > 0:
        return float("nan")
    ratio = amount / (total / count.sum())
    return float(np.sum(count * _x_log_x(ratio)) / count.sum())


def _x_log_x(x: Floats) -> Floats:
    return np.asarray(x * np.log(np.where(x > 0, x, 1.0)), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class TheilParts:
    """Theil's T and its parts; ``between + within = total``."""

    total: float
    """The index of all people."""
    between: float
    """What would be left if all people of a group had the same."""
    within: float
    """What lies inside the groups."""
    groups: pd.DataFrame
    """A row a group: ``people, share`` (of all there is), ``theil`` inside it, ``within`` (its part of the whole)."""


def theil_parts(values: npt.ArrayLike, groups: Any, people: npt.ArrayLike | None = None) -> TheilParts:
    """Theil's T split into differences between groups and inside them.

    Parameters
    ----------
    values, people
        As for :func:`lorenz`.
    groups : array
        Group of each place, e.g. its district.

    Examples
    --------
    >>> parts = theil_parts([1, 1, 3, 3], ["a", "a", "b", "b"])
    >>> parts.within, round(parts.between - parts.total, 9)
    (0.0, 0.0)
    """
    amount = np.asarray(values, dtype=np.float64)
    count = np.ones(amount.shape) if people is None else np.asarray(people, dtype=np.float64)
    label = np.asarray(groups, dtype=object)
    if label.shape != amount.shape:
        raise ParameterError("values and groups differ in length", found=(amount.shape, label.shape))
    _amounts(amount, count)
    table = pd.DataFrame({"group": label, "people": count, "held": amount * count})
    table = table[table["people"] > 0].groupby("group", sort=True)[["people", "held"]].sum()
    total = theil(amount, count)
    share = table["held"] / table["held"].sum() if table["held"].sum() > 0 else table["held"] * np.nan
    inside = pd.Series(
        {name: theil(amount[label == name], count[label == name]) for name in table.index}, dtype=float
    ).reindex(table.index)
    part = share * inside.fillna(0.0)
    between = float(np.sum(table["people"] / table["people"].sum() * _x_log_x(
        (share / (table["people"] / table["people"].sum())).to_numpy()
    )))  # fmt: skip
    table = pd.DataFrame({"people": table["people"], "share": share, "theil": inside, "within": part})
    return TheilParts(total, between, float(part.sum(skipna=False)), table)
