"""Which chips to label next: where the net is unsure, unlike one another, and spread over the ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.errors import ParameterError
from workbench.interpretation.splits import block_of

Floats = npt.NDArray[np.floating]


def entropy(shares: Floats, axis: int = 0) -> Floats:
    """Entropy of class probabilities, from 0 (sure) to 1 (all classes alike).

    Examples
    --------
    >>> entropy(np.array([0.5, 0.5])).round(3).item(), entropy(np.array([1.0, 0.0])).round(3).item()
    (1.0, 0.0)
    """
    count = shares.shape[axis]
    found: Floats = 0.0 - (shares * np.log(np.maximum(shares, 1e-12))).sum(axis=axis) / np.log(max(count, 2))
    return found


def margin(shares: Floats, axis: int = 0) -> Floats:
    """One less the lead of the likeliest class over the next, from 0 (sure) to 1.

    Examples
    --------
    >>> margin(np.array([0.7, 0.2, 0.1])).round(3).item()
    0.5
    """
    ordered = np.sort(shares, axis=axis)
    found: Floats = np.asarray(1.0) - (ordered.take(-1, axis=axis) - ordered.take(-2, axis=axis))
    return found


def chip_doubts(
    shares: Floats, valid: npt.NDArray[np.bool_], size: int, *, measure: str = "entropy"
) -> pd.DataFrame:
    """Doubt of each chip of a grid over a probability map.

    Parameters
    ----------
    shares : array (classes, rows, columns)
        Class probabilities.
    valid : array of bool (rows, columns)
    size : int
        Cells a side of a chip; what is left at the lower and right edge is not offered.
    measure : str
        ``entropy`` or ``margin``.

    Returns
    -------
    pd.DataFrame
        ``row, column`` (upper left cell), ``valid`` (share), ``doubt`` (mean of the tenth of the cells that are most unsure), and
        ``share_<k>``: mean probability of class k.
    """
    if measure not in ("entropy", "margin"):
        raise ParameterError("measure not known", found=measure, expected="entropy or margin")
    unsure = np.where(valid, entropy(shares) if measure == "entropy" else margin(shares), 0.0)
    rows, columns = valid.shape[0] // size, valid.shape[1] // size
    if not rows or not columns:
        raise ParameterError(
            "chips are larger than the map", found=size, expected=f"at most {min(valid.shape)}"
        )

    def tiles(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        cut = values[: rows * size, : columns * size]
        return cut.reshape(rows, size, columns, size).swapaxes(1, 2).reshape(rows * columns, -1)

    keep = tiles(valid)
    top = max(size * size // 10, 1)
    doubt = np.sort(tiles(unsure), axis=1)[:, -top:].mean(axis=1)
    number = np.maximum(keep.sum(axis=1), 1)
    table = {
        "row": np.repeat(np.arange(rows) * size, columns), "column": np.tile(np.arange(columns) * size, rows),
        "valid": keep.mean(axis=1), "doubt": doubt,
    }  # fmt: skip
    for k, layer in enumerate(shares):
        table[f"share_{k}"] = (tiles(layer) * keep).sum(axis=1) / number
    return pd.DataFrame(table)


def choose(
    doubt: Sequence[float] | Floats,
    features: Floats,
    number: int,
    *,
    places: Sequence[str] | None = None,
    each_place: int = 2,
    pool: float = 0.3,
) -> list[int]:
    """Samples to label next: of the most doubtful ones those that are most unlike what is chosen already.

    Parameters
    ----------
    doubt : sequence of float
        Of each sample.
    features : array (samples, features)
        What likeness is measured on, e.g. class shares.
    number : int
        How many to choose.
    places : sequence of str, optional
        Block or city of each sample.
    each_place : int
        Most samples from one place.
    pool : float
        Share of the samples, the most doubtful ones, to choose from (at least four times ``number``).

    Returns
    -------
    list of int
        Places in the input, in the order of choice; fewer than ``number`` when places run out.

    Examples
    --------
    >>> choose([0.9, 0.89, 0.5, 0.1], np.array([[0.0], [0.01], [1.0], [5.0]]), 2)
    [0, 3]
    >>> choose([0.9, 0.89, 0.5, 0.1], np.array([[0.0], [0.01], [1.0], [5.0]]), 2, pool=0.5, places=list("aabb"), each_place=1)
    [0, 3]
    """
    unsure = np.asarray(doubt, dtype=float)
    if number < 1 or len(unsure) != len(features):
        raise ParameterError(
            "samples and features must be as many, and one be chosen",
            found=(len(unsure), len(features), number),
        )
    size = min(max(int(np.ceil(pool * len(unsure))), 4 * number), len(unsure))
    order = np.argsort(-unsure, kind="stable")[:size]
    spread = np.asarray(features, dtype=float)
    spread = (spread - spread.mean(axis=0)) / np.maximum(spread.std(axis=0), 1e-9)
    where = np.asarray(places if places is not None else [str(k) for k in range(len(unsure))])
    taken: dict[str, int] = {}
    chosen: list[int] = []
    far = np.full(len(order), np.inf)
    while len(chosen) < number:
        free = np.array([taken.get(str(where[k]), 0) < each_place and int(k) not in chosen for k in order])
        if not free.any():
            break
        score = np.where(free, unsure[order] if not chosen else far, -np.inf)
        pick = int(order[int(np.argmax(score))])
        chosen.append(pick)
        taken[str(where[pick])] = taken.get(str(where[pick]), 0) + 1
        far = np.minimum(far, np.linalg.norm(spread[order] - spread[pick], axis=1))
    return chosen


def next_chips(
    chips: gpd.GeoDataFrame, number: int, *, block_m: float = 2000, each_block: int = 2
) -> gpd.GeoDataFrame:
    """Chips to label next from a table with ``doubt``, ``share_<k>`` and footprints.

    Parameters
    ----------
    chips : GeoDataFrame
        As `chip_doubts` makes them, with footprints in a projected CRS; chips less than half valid are left out.
    number : int
    block_m, each_block
        At most ``each_block`` chips from a block of that size.

    Returns
    -------
    GeoDataFrame
        The chosen chips, the most urgent first, with ``rank`` from 1.
    """
    good = chips[chips["valid"] >= 0.5].reset_index(drop=True)
    shares = good[[name for name in good.columns if str(name).startswith("share_")]].to_numpy()
    picks = choose(
        good["doubt"].to_numpy(),
        shares,
        number,
        places=block_of(good.geometry, block_m).tolist(),
        each_place=each_block,
    )
    found = good.iloc[picks].reset_index(drop=True)
    found["rank"] = np.arange(len(found)) + 1
    return found
