"""Areas that the polygons of two layers share, pair by pair, without keeping the shapes.

The left layer may come in blocks, so that memory depends on a block and on the right layer alone. Candidates come from a
tree of the right layer; a polygon that a prepared predicate finds inside the other is taken as it is; only those on an
outline are cut, on threads. Areas are ellipsoidal.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely

from workbench.core.errors import ParameterError
from workbench.operators.area import LocalAreas
from workbench.operators.guards import has_columns, same_crs, valid_polygons, without_precision
from workbench.operators.overlay import polygonal

Geoms = npt.NDArray[Any]
Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

TASK_PAIRS = 4_000
"""Pairs that a thread takes at a time."""


def _tasks(j: Ints) -> Iterator[slice]:
    """Ranges of pairs (sorted by right polygon) for one thread each; a right polygon is in one range only."""
    start = 0
    while start < len(j):
        stop = min(start + TASK_PAIRS, len(j))
        stop = int(np.searchsorted(j, j[stop - 1], side="right"))
        yield slice(start, stop)
        start = stop


def _task(a: Geoms, b: Geoms, i: Ints, j: Ints, measure: LocalAreas) -> tuple[Ints, Ints, Floats]:
    """Pairs that share an area, and the area: of the whole left polygon where it lies inside the right one, else of the cut."""
    used = b[np.unique(j)]
    shapely.prepare(used)
    small, large = shapely.bounds(a[i]), shapely.bounds(b[j])
    low, high = small[:, :2] >= large[:, :2], small[:, 2:] <= large[:, 2:]
    whole: npt.NDArray[np.bool_] = np.asarray(low.all(axis=1) & high.all(axis=1))
    ask = np.flatnonzero(whole)
    whole[ask] = shapely.contains_properly(b[j[ask]], a[i[ask]])
    rest = np.flatnonzero(~whole)
    rest = rest[shapely.intersects(b[j[rest]], a[i[rest]])]
    shapely.destroy_prepared(used)
    areas = np.zeros(len(i))
    areas[whole] = measure.areas(a[i[whole]])
    areas[rest] = measure.areas(polygonal(shapely.intersection(a[i[rest]], b[j[rest]])))
    keep = np.flatnonzero(areas > 0)
    return i[keep], j[keep], areas[keep]


def _block(
    a: Geoms, b: Geoms, tree: shapely.STRtree, crs: pyproj.CRS, pool: ThreadPoolExecutor, ahead: int
) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Pairs of one block of the left layer with their areas, in the order of the right layer."""
    i, j = tree.query(a)
    if not len(i):
        return
    order = np.lexsort((i, j))
    i, j = i[order], j[order]
    measure = LocalAreas(shapely.total_bounds(a), crs)
    pending: deque[Future[tuple[Ints, Ints, Floats]]] = deque()
    tasks = _tasks(j)
    done = False
    while pending or not done:
        while not done and len(pending) < ahead:
            if (cut := next(tasks, None)) is None:
                done = True
            else:
                pending.append(pool.submit(_task, a, b, i[cut], j[cut], measure))
        if pending:
            yield pending.popleft().result()


def shared_areas(
    left: gpd.GeoDataFrame | Iterable[gpd.GeoDataFrame],
    right: gpd.GeoDataFrame,
    *,
    left_id: str,
    right_id: str,
    min_area_m2: float = 0.0,
    threads: int | None = None,
) -> Iterator[pd.DataFrame]:
    """Areas that polygons of two layers have in common, in square metres, a table at a time.

    The same pairs and areas as :func:`workbench.operators.overlay.intersect`, without the shapes.

    Parameters
    ----------
    left : GeoDataFrame of polygons, or an iterable of them
        Projected CRS in metres. Blocks of a large layer are used one after the other and not kept; they are quickest when
        the rows of a block lie near each other, as in a survey's files.
    right : GeoDataFrame of polygons
        In the same CRS; kept in memory. Each layer may overlap itself.
    left_id, right_id : str
        Columns that name the polygons; two different names.
    min_area_m2 : float, default 0
        Pairs that share less are left out.
    threads : int, optional
        Threads that cut; by default the processors.

    Yields
    ------
    DataFrame[left_id, right_id, area_m2]
        Ellipsoidal areas above 0, to 1e-9 of each; inside a block in the order of ``right``, then of ``left``.

    Raises
    ------
    CRSError, ParameterError, DataQualityError
        When the reference systems differ or are not metric, a column is missing, or a polygon is invalid.

    Examples
    --------
    >>> fields = gpd.GeoDataFrame({"f": ["a"]}, geometry=[shapely.box(5e5, 25e5, 5e5 + 20, 25e5 + 10)], crs=4547)
    >>> lines = gpd.GeoDataFrame({"l": ["x"]}, geometry=[shapely.box(5e5 + 15, 25e5, 5e5 + 50, 25e5 + 10)], crs=4547)
    >>> next(shared_areas(fields, lines, left_id="f", right_id="l")).round(2)
       f  l  area_m2
    0  a  x     50.0
    """
    if left_id == right_id:
        raise ParameterError("the two id columns have one name", found=left_id, hint="rename one of them")
    has_columns(right, [right_id], where="right layer")
    b = without_precision(valid_polygons(right, where="right layer"))
    b = shapely.force_2d(b)  # copies: they are prepared and released
    tree = shapely.STRtree(b)
    names = right[right_id].array
    workers = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for block in [left] if isinstance(left, gpd.GeoDataFrame) else left:
            crs = same_crs(block, right)
            has_columns(block, [left_id], where="left layer")
            a = without_precision(valid_polygons(block, where="left layer"))
            for i, j, areas in _block(a, b, tree, crs, pool, 2 * workers):
                keep = areas > 0 if min_area_m2 <= 0 else areas >= min_area_m2
                yield pd.DataFrame(
                    {
                        left_id: block[left_id].array[i[keep]],
                        right_id: names[j[keep]],
                        "area_m2": areas[keep],
                    }
                )


def area_table(
    left: gpd.GeoDataFrame | Iterable[gpd.GeoDataFrame],
    right: gpd.GeoDataFrame,
    *,
    left_id: str,
    right_id: str,
    min_area_m2: float = 0.0,
    threads: int | None = None,
) -> pd.DataFrame:
    """Return all tables of :func:`shared_areas` as one."""
    names = {"left_id": left_id, "right_id": right_id}
    found = list(shared_areas(left, right, **names, min_area_m2=min_area_m2, threads=threads))
    if found:
        return pd.concat(found, ignore_index=True)
    return pd.DataFrame({left_id: [], right_id: [], "area_m2": np.empty(0)})
