"""Shapes of cases, many at once: widths, slivers, the parts on a side of a line, the zone that holds most of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core.errors import DataQualityError
from workbench.operators.overlay import candidate_pairs, intersect_pairs, on_threads, polygonal

Geoms = npt.NDArray[Any]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

SPECK_M2 = 1e-3
"""Smaller parts are noise of the arithmetic."""
_BLOCK = 50_000


def mean_widths(geoms: Geoms) -> Floats:
    """Mean width of each polygon in the plane: twice the area by the perimeter, over all its parts; 0 for none.

    >>> mean_widths(np.array([shapely.box(0, 0, 1000, 2), None])).round(2).tolist()
    [2.0, 0.0]
    """
    area, length = np.nan_to_num(shapely.area(geoms)), np.nan_to_num(shapely.length(geoms))
    return np.asarray(np.divide(2 * area, length, out=np.zeros(len(area)), where=length > 0))


def parts_of(geoms: Geoms) -> tuple[Geoms, Ints]:
    """Polygons of each geometry and the position of the geometry they belong to; missing ones have none."""
    there = np.flatnonzero(~shapely.is_missing(geoms))
    parts, owner = shapely.get_parts(geoms[there], return_index=True)
    areal = (shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)
    return parts[areal], there[owner[areal]]


def regroup(parts: Geoms, owner: Ints, count: int) -> Geoms:
    """Turn polygons into one geometry for each owner: a polygon, a multipolygon, or None where an owner has none."""
    out = np.full(count, None, dtype=object)
    if not len(parts):
        return out
    order = np.argsort(owner, kind="stable")
    parts, owner = parts[order], owner[order]
    found, first, size = np.unique(owner, return_index=True, return_counts=True)
    single = size == 1
    out[found[single]] = parts[first[single]]
    several = ~single[np.searchsorted(found, owner)]
    if several.any():
        names, rank = np.unique(owner[several], return_inverse=True)
        out[names] = shapely.multipolygons(parts[several], indices=rank.astype(np.intp))
    return out


def thick(geoms: Geoms, min_width_m: float) -> Geoms:
    """Return the parts of each geometry that are no slivers: of at least the mean width; None where none is left."""
    parts, owner = parts_of(geoms)
    keep = mean_widths(parts) >= min_width_m
    return regroup(parts[keep], owner[keep], len(geoms))


def united(pieces: Geoms, owner: Ints, count: int, *, grid_m: float | None = None) -> Geoms:
    """Union of the pieces of each owner, on a grid where one is given; None where an owner has none."""
    out = np.full(count, None, dtype=object)
    if not len(pieces):
        return out
    order = np.argsort(owner, kind="stable")
    pieces, owner = pieces[order], owner[order]
    found, first, size = np.unique(owner, return_index=True, return_counts=True)
    out[found[size == 1]] = pieces[first[size == 1]]
    for name, start, number in zip(found[size > 1], first[size > 1], size[size > 1], strict=True):
        out[name] = shapely.union_all(pieces[start : start + number], grid_size=grid_m)
    return out


def common(left: Geoms, right: Geoms) -> Iterator[tuple[Ints, Ints, Geoms, Bools]]:
    """Yield what the polygons of two layers have in common, in blocks of bounded size.

    Yields
    ------
    left, right : positions
    pieces : geometries
    whole : whether the piece is the whole left polygon
    """
    if not len(left) or not len(right):
        return
    i_all, j_all = candidate_pairs(left, right)
    for start in range(0, len(i_all), _BLOCK):
        yield intersect_pairs(left, right, i_all[start : start + _BLOCK], j_all[start : start + _BLOCK])


def shared(left: Geoms, right: Geoms) -> tuple[Ints, Ints, Geoms, Bools]:
    """Return :func:`common` in one go, for layers whose common pieces are few."""
    blocks = list(common(left, right))
    if not blocks:
        none = np.empty(0, dtype=np.intp)
        return none, none, np.empty(0, dtype=object), np.empty(0, dtype=bool)
    return (
        np.concatenate([b[0] for b in blocks]),
        np.concatenate([b[1] for b in blocks]),
        np.concatenate([b[2] for b in blocks]),
        np.concatenate([b[3] for b in blocks]),
    )


def without(geoms: Geoms, taken: Geoms) -> Geoms:
    """What is left of each geometry after taking another from it (None takes nothing); None where nothing is left."""
    out = geoms.copy()
    some = np.flatnonzero(~shapely.is_missing(taken) & ~shapely.is_missing(geoms))
    if len(some):
        out[some] = polygonal(on_threads(shapely.difference, geoms[some], taken[some]))
    parts, owner = parts_of(out)
    keep = shapely.area(parts) > SPECK_M2
    return regroup(parts[keep], owner[keep], len(geoms))


def largest_zone(shapes: Geoms, zones: gpd.GeoDataFrame, *, where: str = "zones") -> list[str]:
    """Code of the zone that holds the largest part of each shape; empty when none does.

    Raises
    ------
    DataQualityError
        When two zones share one code.
    """
    codes = zones["code"].astype(str)
    if (twice := codes[codes.duplicated()]).size:
        raise DataQualityError("zones share a code", where=where, found=sorted(set(twice))[:5])
    i, j, pieces, _ = shared(shapes, np.asarray(zones.geometry.array, dtype=object))
    names = codes.to_numpy()[j]
    found = [""] * len(shapes)
    for at in np.lexsort((names, shapely.area(pieces))):  # ascending: the largest is written last
        found[i[at]] = str(names[at])
    return found


def main_class(
    shapes: Geoms, classes: npt.NDArray[np.object_], layer: Geoms
) -> tuple[npt.NDArray[np.object_], Floats]:
    """Class of a layer with the largest area in each shape, and that area; empty and 0 where the layer has none."""
    sums: list[pd.DataFrame] = []
    for i, j, pieces, _ in common(shapes, layer):
        sums.append(pd.DataFrame({"shape": i, "name": classes[j], "area": shapely.area(pieces)}))
    name, area = np.full(len(shapes), "", dtype=object), np.zeros(len(shapes))
    if sums:
        total = pd.concat(sums).groupby(["shape", "name"], sort=True)["area"].sum().reset_index()
        best = total.loc[total.groupby("shape")["area"].idxmax()]
        name[best["shape"]], area[best["shape"]] = best["name"].to_numpy(object), best["area"].to_numpy()
    return name, area
