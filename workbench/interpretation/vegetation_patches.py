"""Patches of forest lost or land burnt, their table, and what the images behind them cannot tell."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from rasterio.features import shapes as outlines
from scipy.ndimage import label

from workbench.interpretation import series
from workbench.interpretation.vegetation import KEPT, Series, inside
from workbench.operators.area import area_m2
from workbench.rules.patches import OTHER

COLUMNS = [
    "patch_id", "tblx", "before_dlbm", "date_before", "date_after", "images", "clear", "usual", "drop", "severity", "probability",
    "area_m2", "cells", "geometry",
]  # fmt: skip
"""Columns of :func:`patches`."""
PREFIX = {"forest": "LS", "fire": "HS"}


def patches(found: Series, *, min_area_m2: float | None = None) -> gpd.GeoDataFrame:
    """Lost or burnt land as change patches that the case builder reads, the largest first.

    Parameters
    ----------
    found : Series
    min_area_m2 : float, optional
        Smallest patch; that of the settings when not given. For fire so much of it must have burnt at least moderately.

    Returns
    -------
    GeoDataFrame
        Columns :data:`COLUMNS`. The loss lies between ``date_before`` and ``date_after``, the days of the last image that shows
        most of the patch whole and of the first that shows it lost; ``images`` of the year show it (median over its cells) of
        ``clear`` that could; ``usual`` and ``drop`` are means of the index; ``severity`` is the class of fire of the mean dNBR,
        empty for forest; ``probability`` rises with the drop in scatters, a half at the threshold: a strength, not calibrated.
        ``tblx`` says only that the land is no longer what it was, ``before_dlbm`` is left for the survey to tell.
    """
    cell = abs(found.grid.affine.determinant)
    least = _least_m2(found, cell) if min_area_m2 is None else min_area_m2
    pieces, count = label(found.lost)
    at = np.flatnonzero(pieces)
    of = pieces.ravel()[at] - 1
    strong = (
        np.ones(len(at), dtype=bool)
        if found.kind == "forest"
        else found.drop.ravel()[at] >= found.settings.burnt_core
    )
    keep = np.bincount(of[strong], minlength=count) * cell >= least * (1 - 1e-6)
    number = np.where(keep, np.cumsum(keep), 0)
    pieces = np.concatenate([[0], number])[pieces].astype(np.int32)
    kept = keep[of]
    at, of = at[kept], number[of[kept]] - 1
    total = int(keep.sum())
    shapes = np.full(total, None, dtype=object)
    for shape, value in outlines(pieces, mask=pieces > 0, connectivity=4, transform=found.grid.affine):
        shapes[int(value) - 1] = shapely.geometry.shape(shape)
    frame = _attributes(found, at, of, total)
    size = area_m2(shapes, str(found.grid.crs)) if total else np.zeros(0)
    frame = gpd.GeoDataFrame(frame.assign(area_m2=size), geometry=shapes, crs=str(found.grid.crs))
    frame = frame.sort_values(["area_m2", "cells"], ascending=False, kind="stable").reset_index(drop=True)
    frame["patch_id"] = [f"{PREFIX[found.kind]}{found.year}{k + 1:05d}" for k in range(total)]
    return gpd.GeoDataFrame(frame[COLUMNS], geometry="geometry", crs=frame.crs)


def _least_m2(found: Series, cell_m2: float) -> float:
    """Smallest patch by the settings."""
    rules = found.settings
    return max(rules.min_area_m2, rules.min_cells * cell_m2) if found.kind == "forest" else rules.min_burnt_m2


def _attributes(found: Series, at: npt.NDArray[np.intp], of: npt.NDArray[Any], total: int) -> pd.DataFrame:
    """Attributes of patches from their cells: flat places and the patch of each."""
    first = found.state.ravel()[at].astype(np.int64) - KEPT
    when = pd.DataFrame({"patch": of, "first": first, "last": found.last.ravel()[at].astype(np.int64)})
    most = when.value_counts(["patch", "first", "last"], sort=True).reset_index().drop_duplicates("patch").set_index("patch").sort_index()  # fmt: skip
    days = [one.scene.date for one in found.comparisons]
    earlier = [one.earlier[-1].date for one in found.comparisons]
    after = [days[k - 1] for k in most["first"]]
    before = [days[j - 1] if j else earlier[k - 1] for k, j in zip(most["first"], most["last"], strict=True)]
    cells = np.bincount(of, minlength=total)

    def mean(layer: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return np.bincount(of, weights=layer.ravel()[at].astype(float), minlength=total) / np.maximum(
            cells, 1
        )

    counts = pd.DataFrame({"images": found.images.ravel()[at], "clear": found.clear.ravel()[at]}).groupby(of)
    middle = counts.median().reindex(range(total)).fillna(0).astype(int)
    threshold = found.settings.sigmas
    return pd.DataFrame(
        {
            "tblx": OTHER, "before_dlbm": "", "date_before": pd.to_datetime(pd.Series(before, dtype="datetime64[ns]")),
            "date_after": pd.to_datetime(pd.Series(after, dtype="datetime64[ns]")), "images": middle["images"].to_numpy(),
            "clear": middle["clear"].to_numpy(), "usual": mean(found.usual).round(3), "drop": mean(found.drop).round(3),
            "severity": _severity(found, mean(found.drop)), "probability": 1 / (1 + np.exp(threshold - mean(found.score))),
            "cells": cells,
        }
    )  # fmt: skip


def _severity(found: Series, drop: npt.NDArray[np.float64]) -> list[str]:
    if found.kind == "forest":
        return [""] * len(drop)
    table = found.settings.severity
    starts = [one[3] for one in table]
    return [table[max(int(np.searchsorted(starts, one, side="right")), 1) - 1][0] for one in drop.round(6)]


def summary(found: Series, shapes: gpd.GeoDataFrame) -> pd.DataFrame:
    """Patches and hectares by the image that shows them first; for fire cells and hectares by class of severity.

    Parameters
    ----------
    found : Series
    shapes : GeoDataFrame
        Its :func:`patches`.

    Returns
    -------
    DataFrame
        ``date, patches, ha, one_image`` (patches that a single image shows), or ``name, zh, en, cells, ha``.
    """
    if found.kind == "fire":
        dnbr = found.drop[inside(shapes, found.grid) & found.lost]
        return series.severity_areas(dnbr, abs(found.grid.affine.determinant), found.settings)
    days = [one.scene.date for one in found.comparisons]
    by = shapes.groupby("date_after")
    table = pd.DataFrame(
        {"patches": by.size(), "ha": by["area_m2"].sum() / 1e4, "one_image": by["images"].apply(lambda few: int((few <= 1).sum()))}
    )  # fmt: skip
    return (
        table.reindex(days)
        .fillna(0)
        .astype({"patches": int, "one_image": int})
        .rename_axis("date")
        .reset_index()
    )


def limits(found: Series, shapes: gpd.GeoDataFrame) -> pd.DataFrame:
    """What the images cannot tell, as figures: how much was not seen, how few images there are, what one image alone shows.

    Returns
    -------
    DataFrame[item, value, unit]
        ``unseen`` (ha and %), ``thin``, ``least_earlier`` (fewest earlier images of a season), ``one_image`` (patches that a
        single image shows), ``unmasked`` (images without a mask), ``below`` (ha of cells lost in patches too small to list).
    """
    areas = found.areas
    every = {scene.name: scene for one in found.comparisons for scene in (one.scene, *one.earlier)}
    listed = float(shapes["cells"].sum()) * abs(found.grid.affine.determinant) / 1e4
    rows: list[tuple[str, Any, str]] = [
        ("unseen", areas["unseen"], "ha"), ("unseen", 100 * areas["unseen"] / max(areas["all"], 1e-9), "%"),
        ("thin", areas["thin"], "ha"), ("least_earlier", min(len(one.earlier) for one in found.comparisons), "count"),
        ("one_image", int((shapes["images"] <= 1).sum()), "count"),
        ("unmasked", sum(scene.mask_href is None for scene in every.values()), "count"), ("below", areas["lost"] - listed, "ha"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["item", "value", "unit"])
