"""Samples split by place: what a net is measured on never lies beside what it was trained on.

Neighbouring cells are alike, so a random split of chips measures memory. Here whole blocks of ground (or whole cities) go to
one part, and chips that reach into, or nearly into, a block of another part are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core.errors import ParameterError

PARTS = ("train", "validation")
LEFT_OUT = "left_out"


def block_of(shapes: gpd.GeoSeries, block_m: float) -> pd.Series:
    """Name of the square block of ground that holds each shape's middle.

    Examples
    --------
    >>> at = gpd.GeoSeries(gpd.points_from_xy([10, 2500], [10, 10]), crs="EPSG:4547")
    >>> block_of(at, 2000).tolist()
    ['0:0', '1:0']
    """
    if shapes.crs is None or not shapes.crs.is_projected:
        raise ParameterError(
            "blocks are measured in metres",
            where="samples",
            found=str(shapes.crs),
            expected="a projected CRS",
        )
    middle = shapely.centroid(shapes.to_numpy())
    x, y = shapely.get_x(middle), shapely.get_y(middle)
    names = [f"{int(a)}:{int(b)}" for a, b in zip(np.floor(x / block_m), np.floor(y / block_m), strict=True)]
    return pd.Series(names, index=shapes.index, name="block")


def by_group(
    groups: Sequence[str] | pd.Series, share: float, seed: int, *, classes: pd.DataFrame | None = None
) -> pd.Series:
    """Part of each sample: whole groups (blocks, cities) are drawn for validation.

    Parameters
    ----------
    groups : sequence of str
        Place of each sample.
    share : float
        Share of samples wanted for validation.
    seed : int
    classes : pd.DataFrame, optional
        Cells of each class in each sample (column a class). Of many draws the one is taken whose validation part is most like
        the whole, so that no class is missing from it where that can be had.

    Returns
    -------
    pd.Series
        ``train`` or ``validation``.

    Raises
    ------
    ParameterError
        There are fewer than two places.
    """
    place = pd.Series(groups).reset_index(drop=True)
    names = np.sort(place.unique())
    if len(names) < 2:
        raise ParameterError(
            "a split by place needs two places at least",
            found=len(names),
            hint="take smaller blocks or more cities",
        )
    sizes = place.value_counts().reindex(names).to_numpy()
    rng = np.random.default_rng([seed, len(names)])
    whole = None if classes is None else _shares(classes.to_numpy(dtype=float).sum(axis=0))
    best: tuple[float, np.ndarray] | None = None
    for _ in range(1 if classes is None else 64):
        order = rng.permutation(len(names))
        count = int(np.searchsorted(np.cumsum(sizes[order]), share * len(place), side="left")) + 1
        chosen = names[order[: min(count, len(names) - 1)]]
        inside = place.isin(chosen).to_numpy()
        off = 0.0
        if classes is not None and whole is not None:
            part = _shares(classes.to_numpy(dtype=float)[inside].sum(axis=0))
            off = float(np.abs(part - whole).sum()) + float(((part == 0) & (whole > 0)).sum())
        if best is None or off < best[0]:
            best = (off, inside)
    assert best is not None
    index = groups.index if isinstance(groups, pd.Series) else place.index
    return pd.Series(np.where(best[1], "validation", "train"), index=index, name="part")


def _shares(counts: np.ndarray) -> np.ndarray:
    found: np.ndarray = counts / max(counts.sum(), 1)
    return found


def by_blocks(
    samples: gpd.GeoDataFrame,
    *,
    block_m: float = 2000,
    share: float = 0.25,
    seed: int = 1,
    gap_m: float = 0.0,
    class_columns: Sequence[str] = (),
) -> pd.Series:
    """Part of each sample by square blocks of ground; samples too near the other part are left out.

    Parameters
    ----------
    samples : GeoDataFrame
        Footprints in a projected CRS.
    block_m : float
        Edge of a block in metres.
    share : float
        Share of samples for validation.
    seed : int
    gap_m : float
        Samples of training that lie nearer than this to one of validation are left out; at 0 those that overlap one.
    class_columns : sequence of str
        Columns with the cells of each class, to balance the draw.

    Returns
    -------
    pd.Series
        ``train``, ``validation`` or ``left_out``.
    """
    blocks = block_of(samples.geometry, block_m)
    classes = samples[list(class_columns)].fillna(0) if class_columns else None
    part = by_group(blocks, share, seed, classes=classes)
    part[near_other(samples.geometry, part, gap_m)] = LEFT_OUT
    return part


def by_images(samples: gpd.GeoDataFrame, hold_out: Sequence[str]) -> pd.Series:
    """Part of each sample by its image: those of some images are kept for validation, others on their ground left out.

    Parameters
    ----------
    samples : GeoDataFrame
        With ``image`` and footprints.
    hold_out : sequence of str
        Images kept for validation.

    Raises
    ------
    ParameterError
        There are no samples of an image.
    """
    if absent := sorted(set(hold_out) - set(samples["image"])):
        raise ParameterError("no samples of these images", where="data.hold_out", found=absent)
    kept = samples["image"].isin(list(hold_out))
    part = pd.Series(np.where(kept, "validation", "train"), index=samples.index, name="part")
    return part.mask(near_other(samples.geometry, part, 0.0), LEFT_OUT)


def near_other(shapes: gpd.GeoSeries, part: pd.Series, gap_m: float) -> np.ndarray:
    """Samples of training that overlap one of validation or lie within a distance of it, bool."""
    values = shapes.to_numpy()
    train, kept = np.flatnonzero(part == "train"), np.flatnonzero(part == "validation")
    found = np.zeros(len(values), dtype=bool)
    if not len(train) or not len(kept):
        return found
    tree = shapely.STRtree(values[kept])
    if gap_m > 0:
        mine, _ = tree.query(values[train], predicate="dwithin", distance=gap_m)
    else:
        mine, other = tree.query(values[train], predicate="intersects")
        shared = shapely.area(shapely.intersection(values[train][mine], values[kept][other]))
        same = shapely.get_dimensions(values[train][mine]) == 0
        mine = mine[(shared > 0) | same]
    found[train[mine]] = True
    return found
