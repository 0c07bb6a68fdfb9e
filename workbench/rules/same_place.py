"""Which cases of one source lie where those of another do: what a survey and images both saw is told once."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.operators.guards import same_crs
from workbench.rules.shapes import shared

SAME_PLACE = 0.5
"""Share of the smaller of two shapes in common from which two sources saw one place."""
IMAGE_CASES = "detected_cases"
"""Layer of the cases found in images."""
COLUMNS = ("left", "right", "share", "same_line")
"""Columns of :func:`joins`."""


def joins(left: gpd.GeoDataFrame, right: gpd.GeoDataFrame, *, least: float = SAME_PLACE) -> pd.DataFrame:
    """Pairs of cases of two sources that lie on one place.

    Parameters
    ----------
    left, right : GeoDataFrame
        Cases of one year; ``line`` where lines are to be compared.
    least : float
        Share of the smaller of the two shapes that they have in common at least.

    Returns
    -------
    DataFrame
        ``left, right``: numbers of the rows; ``share`` of the smaller shape; ``same_line``. For each left row the joins of
        the same line come first, then the largest shares.
    """
    if not len(left) or not len(right):
        return pd.DataFrame({name: [] for name in COLUMNS}).astype(
            {"left": int, "right": int, "same_line": bool}
        )
    same_crs(left, right)
    mine, theirs = left.geometry.to_numpy(), right.geometry.to_numpy()
    i, j, pieces, _ = shared(mine, theirs)
    share = shapely.area(pieces) / np.minimum(shapely.area(mine)[i], shapely.area(theirs)[j])
    lines = [
        frame["line"].to_numpy(object) if "line" in frame else np.full(len(frame), "")
        for frame in (left, right)
    ]
    made = pd.DataFrame({"left": i, "right": j, "share": share, "same_line": lines[0][i] == lines[1][j]})
    made = made[made["share"] >= least]
    return made.sort_values(
        ["left", "same_line", "share", "right"], ascending=[True, False, False, True], kind="stable"
    ).reset_index(drop=True)


def best(left: gpd.GeoDataFrame, right: gpd.GeoDataFrame) -> dict[int, int]:
    """Number of the left row -> that of the right row which it joins first, where it joins any; see :func:`joins`."""
    first = joins(left, right).drop_duplicates("left")
    return dict(zip(first["left"].tolist(), first["right"].tolist(), strict=True))
