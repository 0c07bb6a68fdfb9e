"""Reference samples: how many points, how many in each class of the map, and which cells.

Points are drawn from the very map they are to judge, at random inside its classes, by one pass that counts and one that picks;
a map of any size is read strip by strip, and neither the size of the strips nor the order of reading changes what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
import shapely
from rasterio.features import geometry_mask
from rasterio.windows import Window
from scipy.spatial import cKDTree

from workbench.core.errors import CRSError, DataQualityError, ParameterError
from workbench.operators.area import area_m2

Array = npt.NDArray[np.float64]
Allocation = Literal["proportional", "equal", "neyman", "olofsson"]
RARE = 0.05
"""Classes with a smaller share of the map are rare."""
STRIP_CELLS = 4_000_000
"""Cells read at a time, at most."""
CACHE_BYTES = 128 * 2**20
"""Blocks of the file that GDAL keeps, so that memory does not grow with the map."""
SPARE = 8
"""With a least distance so many times the points wanted are tried."""


# ---------------------------------------------------------------------- how many


def spread(share: npt.ArrayLike) -> Array:
    """Standard deviation of a yes-or-no with a share of yes.

    Examples
    --------
    >>> spread([0.5, 0.9]).round(3).tolist()
    [0.5, 0.3]
    """
    p = np.asarray(share, dtype=float)
    if ((p < 0) | (p > 1)).any():
        raise ParameterError("shares lie between 0 and 1", found=p.tolist())
    return np.asarray(np.sqrt(p * (1 - p)))


def points_overall(weights: npt.ArrayLike, users: npt.ArrayLike, error: float) -> int:
    """Points that give overall accuracy a standard error, with the points shared out as Neyman does.

    Parameters
    ----------
    weights, users : array
        Share of each class in the map, and the user's accuracy expected of it.
    error : float
        Standard error wanted (0.01: a point and a half on each side).

    Notes
    -----
    Cochran (1977), equation 5.25; Olofsson and others (2014), equation 13.

    Examples
    --------
    >>> points_overall([0.02, 0.015, 0.32, 0.645], [0.7, 0.6, 0.9, 0.95], 0.01)
    641
    """
    _positive(error)
    w = _shares(weights)
    return _whole(((w * spread(users)).sum() / error) ** 2)


def points_class(users: float, error: float) -> int:
    """Points in one class that give its user's accuracy a standard error.

    Examples
    --------
    >>> points_class(0.9, 0.03)
    100
    """
    _positive(error)
    return _whole(float(spread(users)) ** 2 / error**2)


def points_area(weights: npt.ArrayLike, shares: npt.ArrayLike, error: float, *, kind: Allocation = "neyman",
                users: npt.ArrayLike | None = None, rare_points: int = 75) -> int:  # fmt: skip
    """Points that give the share of one reference class in the whole a standard error.

    Parameters
    ----------
    weights, shares : array
        Share of each stratum in the whole, and the share of it that is expected to be of the class.
    error : float
        Standard error wanted, as share of the whole.
    kind, users, rare_points
        How the points are shared out, see :func:`allocate`.

    Examples
    --------
    >>> points_area([0.1, 0.9], [0.8, 0.01], 0.005)
    672
    """
    _positive(error)
    w, s = _shares(weights), spread(shares)
    if kind == "neyman":
        return _whole(((w * s).sum() / error) ** 2)
    few, many = len(w), 10
    while _area_error(w, s, allocate(many, w, kind, users=users, rare_points=rare_points, least=1)) > error:
        few, many = many, many * 2
        if many > 1e9:
            raise ParameterError("no number of points gives this error", found=error)
    while many - few > 1:
        middle = (few + many) // 2
        fine = (
            _area_error(w, s, allocate(middle, w, kind, users=users, rare_points=rare_points, least=1))
            <= error
        )
        few, many = (few, middle) if fine else (middle, many)
    return many


def _area_error(w: Array, s: Array, n: npt.NDArray[np.int64]) -> float:
    return float(np.sqrt((w**2 * s**2 / n).sum()))


def allocate(points: int, weights: npt.ArrayLike, kind: Allocation, *, users: npt.ArrayLike | None = None,
             rare_points: int = 75, least: int = 2) -> npt.NDArray[np.int64]:  # fmt: skip
    """Share points out to strata.

    Parameters
    ----------
    points : int
        Points in all.
    weights : array
        Share of each stratum in the whole.
    kind : {"proportional", "equal", "neyman", "olofsson"}
        By area; the same each; by area times spread; or a fixed number to each rare stratum (below :data:`RARE`) and the rest by
        area to the others (Olofsson and others 2014, section 5.1.1).
    users : array, optional
        For ``neyman``: the share of yes expected in each stratum.
    rare_points : int
        For ``olofsson``: points in a rare stratum (50 to 100 are advised).
    least : int
        Points each stratum gets at least; fewer than two give no standard error.

    Returns
    -------
    array of int
        They add up to ``points``, unless ``least`` asks for more.

    Examples
    --------
    >>> allocate(641, [0.02, 0.015, 0.32, 0.645], "proportional").tolist()
    [13, 10, 205, 413]
    """
    w = _shares(weights)
    if kind == "equal":
        ideal = np.full(len(w), points / len(w))
    elif kind == "proportional":
        ideal = points * w
    elif kind == "neyman":
        if users is None:
            raise ParameterError("Neyman's allocation needs the shares expected in each stratum")
        pull = w * spread(users)
        ideal = points * (pull / pull.sum() if pull.sum() > 0 else w)
    elif kind == "olofsson":
        rare = w < RARE
        left = points - rare_points * int(rare.sum())
        if left < least * int((~rare).sum()):
            raise ParameterError(
                "too few points for the rare strata",
                found=points,
                expected=f"more than {rare_points} for each of {int(rare.sum())}",
            )
        ideal = np.where(rare, rare_points, left * w / max(float(w[~rare].sum()), 1e-12))
    else:
        raise ParameterError(
            "unknown allocation", found=kind, expected="proportional, equal, neyman or olofsson"
        )
    return np.maximum(_rounded(ideal, points), least)


def _rounded(ideal: Array, total: int) -> npt.NDArray[np.int64]:
    """Whole numbers next to the ideal ones that add up to a total (largest remainders)."""
    down = np.floor(ideal).astype(np.int64)
    left = total - int(down.sum())
    order = np.argsort(-(ideal - down), kind="stable")
    down[order[: max(left, 0)]] += 1
    return down


def _shares(weights: npt.ArrayLike) -> Array:
    w = np.asarray(weights, dtype=float)
    if (w < 0).any() or w.sum() <= 0:
        raise ParameterError("weights of strata are positive", found=w.tolist())
    return np.asarray(w / w.sum())


def _positive(error: float) -> None:
    if not error > 0:
        raise ParameterError("the standard error wanted is positive", found=error)


def _whole(number: float) -> int:
    return max(int(np.ceil(round(float(number), 6))), 2)


# ---------------------------------------------------------------------- which cells


@dataclass(frozen=True)
class Drawn:
    """A sample drawn from a map."""

    points: gpd.GeoDataFrame
    """``point_id, stratum, x, y, row, column, geometry`` (cell centres), in random order, so that any first part is a sample too."""
    areas: dict[int, float]
    """Area of each class of the map the points were drawn from, m² on the ellipsoid."""
    cells: dict[int, int]
    """Cells of each class."""


def class_cells(
    path: str | Path, *, without: gpd.GeoDataFrame | None = None, recode: npt.ArrayLike | None = None
) -> tuple[dict[int, int], dict[int, float]]:
    """Cells and area (m² on the ellipsoid) of each class of a map, read strip by strip.

    Parameters
    ----------
    path : path
        Raster of whole-number classes; its nodata value, or 0 where it states none, is no class.
    without : GeoDataFrame, optional
        Places whose cells (by centre) do not count.
    recode : array, optional
        Class of each value of the raster (0: none), where its values are finer than the classes asked about.
    """
    counts: dict[int, int] = {}
    areas: dict[int, float] = {}
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), rasterio.open(path) as source:
        _check_map(source, path)
        for window, block in _strips(source, without, recode):
            number = np.bincount(block[block >= 0])
            cell = _cell_area(source, window)
            for name in np.flatnonzero(number).tolist():
                counts[name] = counts.get(name, 0) + int(number[name])
                areas[name] = areas.get(name, 0.0) + float(number[name]) * cell
    return dict(sorted(counts.items())), dict(sorted(areas.items()))


def draw(path: str | Path, sizes: Mapping[int, int], *, seed: int, min_distance_m: float = 0.0,
         without: gpd.GeoDataFrame | None = None, recode: npt.ArrayLike | None = None) -> Drawn:  # fmt: skip
    """Points drawn at random, without replacement, inside classes of a map; each at the centre of its cell.

    Parameters
    ----------
    path : path
        The map to be judged: a raster of whole-number classes in metres, of any size.
    sizes : mapping of class to int
        Points wanted in each class; classes with none are no strata.
    seed : int
        Of the random numbers. The same map, sizes and seed give the same points.
    min_distance_m : float
        Least distance between any two points; 0 for none. Points then avoid each other, and the standard errors, which know
        nothing of it, are a little too wide.
    without : GeoDataFrame, optional
        Places that are no part of what is estimated (such as those the map was trained on). Their area is not in ``areas``.
    recode : array, optional
        Class of each value of the raster, see :func:`class_cells`.

    Raises
    ------
    ParameterError
        A class the map does not have, more points than cells, or a distance that leaves no room.
    CRSError, DataQualityError
        A map without CRS or in degrees; one that is rotated or has no whole-number classes.
    """
    cells, areas = class_cells(path, without=without, recode=recode)
    sizes = {int(name): int(number) for name, number in sizes.items() if number > 0}
    for name, number in sizes.items():
        if number > cells.get(name, 0):
            raise ParameterError(
                f"class {name} has too few cells",
                where=Path(path).name,
                found=cells.get(name, 0),
                expected=f"at least {number}",
            )
    rng = np.random.default_rng(seed)
    ranks: dict[int, npt.NDArray[np.int64]] = {}
    for name, number in sorted(sizes.items()):
        tried = number if min_distance_m <= 0 else min(cells[name], SPARE * number + 50)
        ranks[name] = rng.choice(cells[name], size=tried, replace=False).astype(np.int64)
    frame = _located(path, ranks, without, recode)
    frame = frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)
    if min_distance_m > 0:
        frame = _apart(frame, sizes, min_distance_m)
    frame.insert(0, "point_id", [f"p{number:05d}" for number in range(1, len(frame) + 1)])
    return Drawn(frame, areas, cells)


def check_not_trained(points: gpd.GeoDataFrame, training: gpd.GeoDataFrame) -> None:
    """Refuse points that lie in places whose labels trained the map.

    Raises
    ------
    ParameterError
        With their number and the first of them: such points say how well the map learned by heart.
    CRSError
        Another CRS.
    """
    if points.crs != training.crs:
        training = training.to_crs(points.crs)
    tree = shapely.STRtree(training.geometry.to_numpy())
    inside = np.unique(tree.query(points.geometry.to_numpy(), predicate="intersects")[0])
    if len(inside):
        names = points["point_id"].iloc[inside[:5]].tolist() if "point_id" in points else inside[:5].tolist()
        raise ParameterError(
            "sample points lie in places the map was trained on", found=f"{len(inside)} of {len(points)}: {names}",
            hint="draw them with without= these places, and say that the estimate leaves them out",
        )  # fmt: skip


def check_drawn_from(
    points: gpd.GeoDataFrame, path: str | Path, *, recode: npt.ArrayLike | None = None
) -> None:
    """Refuse points whose stratum is not what the map shows at their place: they were drawn from another map.

    Raises
    ------
    ParameterError
    """
    with rasterio.open(path) as source:
        _check_map(source, path)
        moved = points.to_crs(source.crs) if points.crs != source.crs else points
        xy = shapely.get_coordinates(moved.geometry.to_numpy())
        there = np.array([value[0] for value in source.sample(xy)])
    if recode is not None:
        there = np.asarray(recode)[there]
    wrong = np.flatnonzero(there != points["stratum"].to_numpy())
    if len(wrong):
        raise ParameterError(
            "the points were not drawn from this map", where=Path(path).name,
            found=f"{len(wrong)} of {len(points)} have another class there",
        )  # fmt: skip


def _check_map(source: Any, path: str | Path) -> None:
    name = Path(path).name
    if source.crs is None or not source.crs.is_projected:
        raise CRSError("a map in a projected CRS is needed", where=name, found=str(source.crs))
    if source.transform.b or source.transform.d:
        raise DataQualityError("the map is rotated", where=name)
    if np.dtype(source.dtypes[0]).kind not in "iu":
        raise DataQualityError("the map has no whole-number classes", where=name, found=source.dtypes[0])


def _strips(
    source: Any, without: gpd.GeoDataFrame | None, recode: npt.ArrayLike | None = None
) -> Iterator[tuple[Window, npt.NDArray[np.int32]]]:
    """Rows of blocks from north to south as (window, classes), -1 where there is none."""
    deep = source.block_shapes[0][0]
    rows = STRIP_CELLS // source.width // deep * deep
    if not rows:  # of a very wide map less than a row of blocks; GDAL keeps the blocks meanwhile
        rows = max(STRIP_CELLS // source.width, 1)
    blank = 0 if source.nodata is None else source.nodata
    shapes = None
    if without is not None and len(without):
        shapes = without.to_crs(source.crs) if without.crs != source.crs else without
    for top in range(0, source.height, rows):
        window = Window(0, top, source.width, min(rows, source.height - top))
        block = source.read(1, window=window).astype(np.int32)
        block[block == blank] = -1
        if recode is not None:
            table = np.asarray(recode, dtype=np.int32)
            block = np.where(block >= 0, table[np.maximum(block, 0)], 0)
            block[block == 0] = -1
        if shapes is not None:
            near = shapes.geometry[shapes.intersects(shapely.box(*source.window_bounds(window)))]
            if len(near):
                block[geometry_mask(near, block.shape, source.window_transform(window), invert=True)] = -1
        yield window, block


def _cell_area(source: Any, window: Window) -> float:
    """Mean area of the cells of a window on the ellipsoid, m²."""
    whole = shapely.box(*source.window_bounds(window))
    return float(area_m2([whole], source.crs)[0]) / float(window.width * window.height)


def _located(
    path: str | Path,
    ranks: Mapping[int, npt.NDArray[np.int64]],
    without: gpd.GeoDataFrame | None,
    recode: npt.ArrayLike | None,
) -> gpd.GeoDataFrame:
    """Cells by their rank within their class, in the order of reading."""
    seen = dict.fromkeys(ranks, 0)
    order = {name: np.sort(wanted) for name, wanted in ranks.items()}
    parts: list[pd.DataFrame] = []
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), rasterio.open(path) as source:
        for window, block in _strips(source, without, recode):
            for name, wanted in order.items():
                at = np.flatnonzero(block.ravel() == name)
                first = np.searchsorted(wanted, [seen[name], seen[name] + len(at)])
                mine = at[wanted[first[0] : first[1]] - seen[name]]
                seen[name] += len(at)
                row, column = mine // block.shape[1] + int(window.row_off), mine % block.shape[1]
                parts.append(pd.DataFrame({"stratum": name, "row": row, "column": column}))
        frame = pd.concat(parts, ignore_index=True).sort_values(["stratum", "row", "column"], kind="stable")
        x = source.transform.c + source.transform.a * (frame["column"].to_numpy() + 0.5)
        y = source.transform.f + source.transform.e * (frame["row"].to_numpy() + 0.5)
        frame = frame.assign(x=x, y=y)[["stratum", "x", "y", "row", "column"]]
        return gpd.GeoDataFrame(frame.reset_index(drop=True), geometry=shapely.points(x, y), crs=source.crs)


def _apart(frame: gpd.GeoDataFrame, sizes: Mapping[int, int], least: float) -> gpd.GeoDataFrame:
    """First points of each class in the given order that keep their distance from those before."""
    xy = frame[["x", "y"]].to_numpy()
    near = cKDTree(xy).query_ball_point(xy, least * (1 - 1e-9))
    left = dict(sizes)
    kept = np.zeros(len(frame), dtype=bool)
    for at, name in enumerate(frame["stratum"].tolist()):
        if left[name] and not kept[near[at]].any():
            kept[at] = True
            left[name] -= 1
    if short := {name: number for name, number in left.items() if number}:
        raise ParameterError(
            "the least distance leaves no room for the points",
            found=least,
            expected=f"{short} more by class",
            hint="a smaller distance or fewer points",
        )
    return frame[kept].reset_index(drop=True)
