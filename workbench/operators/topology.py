"""Topology of a layer that should tile the ground: overlaps, gaps and slivers.

Where two neighbours share a border exactly, their edges run against each other and cancel. Only the edges that are left,
the outline of the layer and whatever is wrong, are noded and turned into faces; a face that no polygon covers is a gap, one
that several cover holds an overlap. A sound layer costs little more than sorting its edges. Coordinates are compared on a
grid of a tenth of a millimetre, the resolution bureaus store them with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from workbench.core.errors import DataQualityError
from workbench.operators._edges import open_edges
from workbench.operators.area import area_m2
from workbench.operators.guards import metric_crs, valid_polygons
from workbench.operators.overlay import on_threads, polygonal

Geoms = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RESOLUTION_M = 1e-4
"""Grid on which coordinates count as equal."""
NOISE_M = 1e-3
"""Faces of a smaller mean width are noise of the arithmetic: the tolerance of survey databases."""
MIN_AREA_M2 = 1e-2
"""Smaller overlaps and gaps are not reported, unless asked for."""
SLIVER_M = 1.0
"""Mean width below which a polygon counts as a sliver, unless asked otherwise."""
_BLOCK = 50_000
_REACH = 10 * RESOLUTION_M
_ON_EDGE = 1.0
"""Grid units from an edge within which a vertex lies on it."""


@dataclass(frozen=True)
class _Faces:
    """Faces between the edges that do not cancel, and how many polygons cover each."""

    shapes: Geoms
    points: Geoms
    covered: Ints


def mean_width_m(geoms: Geoms) -> Floats:
    """Mean width of each polygon in the plane: twice its area by its perimeter; 0 for none.

    Examples
    --------
    >>> mean_width_m(np.array([shapely.box(0, 0, 1000, 2), None])).round(2).tolist()
    [2.0, 0.0]
    """
    area, length = np.nan_to_num(shapely.area(geoms)), np.nan_to_num(shapely.length(geoms))
    return np.asarray(np.divide(2 * area, length, out=np.zeros(len(area)), where=length > 0))


def _edges(geoms: Geoms, origin: Floats) -> tuple[Ints, Ints]:
    """First and last ends of the edges of polygons, inside to the left, in grid units from ``origin``."""
    parts = shapely.get_parts(geoms)
    parts = shapely.orient_polygons(parts[shapely.get_type_id(parts) == 3], exterior_cw=False)
    xy, ring = shapely.get_coordinates(shapely.get_rings(parts), return_index=True)
    nodes = np.rint((xy - origin) / RESOLUTION_M).astype(np.int64)
    del xy
    first = np.flatnonzero((ring[1:] == ring[:-1]) & (nodes[1:] != nodes[:-1]).any(axis=1))
    return nodes[first], nodes[first + 1]


def _split(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Edges cut at the ends of others that lie on them, so that neighbours without common vertices match as well."""
    nodes = np.unique(np.r_[first, last], axis=0)
    lines: Geoms = np.asarray(shapely.linestrings(np.stack([first, last], axis=1).astype(float)))
    tree = shapely.STRtree(lines)
    node, edge = tree.query(shapely.points(nodes.astype(float)), predicate="dwithin", distance=_ON_EDGE)
    inner = (nodes[node] != first[edge]).any(axis=1) & (nodes[node] != last[edge]).any(axis=1)
    node, edge = node[inner], edge[inner]
    if not len(edge):
        return first, last
    along = ((nodes[node] - first[edge]).astype(float) ** 2).sum(axis=1)
    cuts = np.r_[first, nodes[node]]  # every edge begins where it did and again at each of its cuts
    owner = np.r_[np.arange(len(first)), edge]
    order = np.lexsort((np.r_[np.full(len(first), -1.0), along], owner))
    cuts, owner = cuts[order], owner[order]
    follows = np.r_[owner[1:] == owner[:-1], False]
    ends = np.where(follows[:, None], np.roll(cuts, -1, axis=0), last[owner])
    return cuts, ends


def _linework(geoms: Geoms, origin: Floats) -> Floats:
    """Edges that do not have exactly one polygon on either side, once each, as (n, 2, 2) in grid units."""
    first, last = _edges(geoms, origin)
    at, group = open_edges(first, last)
    first, last = first[at], last[at]
    if len(at):
        first, last = _split(first, last)
        at, group = open_edges(first, last)
        _, once = np.unique(group, return_index=True)
        first, last = first[at[once]], last[at[once]]
    return np.stack([first, last], axis=1).astype(float)


def _faces(geoms: Geoms, tree: shapely.STRtree, boundary: BaseGeometry | None) -> _Faces:
    """Faces of the layer's open edges, with the number of polygons that cover each."""
    with_outline = geoms if boundary is None else np.r_[geoms, [boundary]]
    origin = np.floor(shapely.total_bounds(with_outline)[:2])
    edges = _linework(geoms, origin)
    if boundary is not None:
        rim = np.stack(_edges(np.array([boundary], dtype=object), origin), axis=1)
        edges = np.concatenate([edges, rim.astype(float)])
    if not len(edges):
        none = np.empty(0, dtype=object)
        return _Faces(none, none, np.empty(0, dtype=np.int64))
    noded = shapely.union_all(shapely.linestrings(edges), grid_size=1.0)
    shapes = shapely.get_parts(shapely.polygonize([noded]))
    shapes = shapes[mean_width_m(shapes) * RESOLUTION_M > NOISE_M]
    shapes = shapely.transform(shapes, lambda c: c * RESOLUTION_M + origin)
    points = _points_off_edges(shapes, tree)
    return _Faces(shapes, points, _hits(points, tree, "intersects"))


def _hits(points: Geoms, tree: shapely.STRtree, predicate: Literal["intersects", "within"]) -> Ints:
    """Number of polygons each point meets in a way."""
    hit, _ = tree.query(points, predicate=predicate)
    return np.bincount(hit, minlength=len(points)).astype(np.int64)


def _points_off_edges(shapes: Geoms, tree: shapely.STRtree) -> Geoms:
    """A point inside each face and on no polygon's edge, where two neighbours would both count as covering it."""
    middles = shapely.point_on_surface(shapes)
    points = middles.copy()
    for angle in range(1, 9):  # in radians: no two directions alike
        on_edge = _hits(points, tree, "intersects") != _hits(points, tree, "within")
        if not on_edge.any():
            break
        room = shapely.distance(middles[on_edge], shapely.boundary(shapes[on_edge])) / (angle + 1)
        step = room[:, None] * [np.cos(angle), np.sin(angle)]
        points[on_edge] = shapely.points(shapely.get_coordinates(middles[on_edge]) + step)
    return points


def _pairs(geoms: Geoms, tree: shapely.STRtree, doubled: Geoms) -> tuple[Ints, Ints, Geoms]:
    """Pairs of polygons with an area in common near the faces that several cover, and their intersections."""
    if not len(doubled):
        none = np.empty(0, dtype=np.int64)
        return none, none, np.empty(0, dtype=object)
    _, near = tree.query(doubled, predicate="intersects")
    near = np.unique(near)
    small = shapely.STRtree(geoms[near])
    i, j = small.query(geoms[near], predicate="intersects")
    i, j = near[i[i < j]], near[j[i < j]]
    left, right, pieces = [], [], []
    for start in range(0, len(i), _BLOCK):
        a, b = i[start : start + _BLOCK], j[start : start + _BLOCK]
        common = polygonal(on_threads(shapely.intersection, geoms[a], geoms[b]))
        keep = np.flatnonzero(~shapely.is_missing(common))
        left.append(a[keep])
        right.append(b[keep])
        pieces.append(common[keep])
    return np.concatenate(left), np.concatenate(right), np.concatenate(pieces)


def _labels(index: pd.Index, rows: Ints) -> pd.Series:
    """Row labels at positions; missing where the position is -1."""
    whole = pd.api.types.is_integer_dtype(index.dtype)
    found = [pd.NA if row < 0 else index[row] for row in rows]
    return pd.Series(found, dtype="Int64" if whole else "object")


def _table(
    frame: gpd.GeoDataFrame, shapes: Geoms, left: Ints, right: Ints, crs: pyproj.CRS, min_area_m2: float
) -> gpd.GeoDataFrame:
    """Result frame, the largest first."""
    areas = area_m2(shapes, crs)
    keep = np.flatnonzero(areas >= min_area_m2)
    keep = keep[np.lexsort((right[keep], left[keep], -areas[keep]))]
    columns = {
        "left": _labels(frame.index, left[keep]),
        "right": _labels(frame.index, right[keep]),
        "area_m2": areas[keep],
        "width_m": mean_width_m(shapes[keep]),
    }
    return gpd.GeoDataFrame(columns, geometry=shapes[keep], crs=frame.crs)


def overlaps(frame: gpd.GeoDataFrame, *, min_area_m2: float = MIN_AREA_M2) -> gpd.GeoDataFrame:
    """Pairs of polygons of a layer that cover the same ground.

    Parameters
    ----------
    frame : GeoDataFrame of polygons
        Projected CRS in metres.
    min_area_m2 : float
        Smaller ones are not reported; nor is what is thinner than a millimetre.

    Returns
    -------
    GeoDataFrame[left, right, area_m2, width_m, geometry]
        Labels of the two rows, ellipsoidal area and mean width of what they share; the largest first.

    Raises
    ------
    CRSError, DataQualityError
        When the CRS is not metric or a polygon is invalid.

    Examples
    --------
    >>> fields = gpd.GeoDataFrame(geometry=[shapely.box(5e5, 0, 5e5 + 10, 10), shapely.box(5e5 + 8, 0, 5e5 + 20, 10)], crs=4547)
    >>> overlaps(fields)[["left", "right", "area_m2", "width_m"]].round(2).values.tolist()
    [[0, 1, 20.0, 1.67]]
    """
    crs = metric_crs(frame.crs, where="layer")
    geoms = valid_polygons(frame, where="layer")
    tree = shapely.STRtree(geoms)
    faces = _faces(geoms, tree, None) if len(geoms) else None
    doubled = np.empty(0, dtype=object) if faces is None else faces.shapes[faces.covered > 1]
    left, right, pieces = _pairs(geoms, tree, doubled)
    real = mean_width_m(pieces) > NOISE_M
    return _table(frame, pieces[real], left[real], right[real], crs, min_area_m2)


def gaps(
    frame: gpd.GeoDataFrame, boundary: BaseGeometry | None = None, *, min_area_m2: float = MIN_AREA_M2
) -> gpd.GeoDataFrame:
    """Ground that no polygon of a layer covers although others enclose it.

    Parameters
    ----------
    frame : GeoDataFrame of polygons
        Projected CRS in metres.
    boundary : Polygon or MultiPolygon, optional
        Territory the layer should fill, in its CRS: what it leaves open along the edge counts as well, a hole of the
        territory does not.
    min_area_m2 : float
        Smaller ones are not reported; nor is what is thinner than a millimetre.

    Returns
    -------
    GeoDataFrame[left, right, area_m2, width_m, geometry]
        Labels of the two rows that share most of its border (missing where there are fewer), ellipsoidal area, mean
        width; the largest first.

    Raises
    ------
    CRSError, DataQualityError
        When the CRS is not metric, a polygon is invalid, or the boundary is no valid polygon.

    Examples
    --------
    >>> ring = shapely.difference(shapely.box(5e5, 0, 5e5 + 30, 30), shapely.box(5e5 + 10, 10, 5e5 + 20, 20))
    >>> gaps(gpd.GeoDataFrame(geometry=[ring], crs=4547))[["left", "right", "area_m2"]].round(1).values.tolist()
    [[0, <NA>, 100.0]]
    """
    crs = metric_crs(frame.crs, where="layer")
    geoms = valid_polygons(frame, where="layer")
    if boundary is not None and (
        boundary.geom_type not in {"Polygon", "MultiPolygon"} or not boundary.is_valid
    ):
        raise DataQualityError("the boundary is no valid polygon", where="boundary", found=boundary.geom_type)
    tree = shapely.STRtree(geoms)
    faces = _faces(geoms, tree, boundary) if len(geoms) or boundary is not None else None
    if faces is None:
        none = np.empty(0, dtype=np.int64)
        return _table(frame, np.empty(0, dtype=object), none, none, crs, min_area_m2)
    bare = faces.covered == 0
    if boundary is not None:
        shapely.prepare(boundary)
        bare &= shapely.intersects(boundary, faces.points)
    shapes = faces.shapes[bare]
    left, right = _two_neighbours(shapes, geoms, tree)
    return _table(frame, shapes, left, right, crs, min_area_m2)


def _two_neighbours(shapes: Geoms, geoms: Geoms, tree: shapely.STRtree) -> tuple[Ints, Ints]:
    """Positions of the two polygons that share most of the border of each shape, without the shape itself; -1 for none."""
    left = np.full(len(shapes), -1, dtype=np.int64)
    right = left.copy()
    if not len(shapes):
        return left, right
    rims = shapely.buffer(shapes, _REACH, join_style="mitre")
    i, j = tree.query(rims, predicate="intersects")
    shared = shapely.area(shapely.intersection(rims[i], geoms[j])) / _REACH
    keep = shared > _REACH
    i, j, shared = i[keep], j[keep], shared[keep]
    order = np.lexsort((j, -shared, i))
    i, j = i[order], j[order]
    rank = np.arange(len(i)) - np.searchsorted(i, i)
    left[i[rank == 0]] = j[rank == 0]
    right[i[rank == 1]] = j[rank == 1]
    return left, right


def slivers(
    frame: gpd.GeoDataFrame, *, max_width_m: float = SLIVER_M, max_area_m2: float = np.inf
) -> gpd.GeoDataFrame:
    """Polygons of a layer that are too thin to be real.

    Parameters
    ----------
    frame : GeoDataFrame of polygons
        Projected CRS in metres.
    max_width_m, max_area_m2 : float
        A sliver is thinner than the one in the mean and smaller than the other.

    Returns
    -------
    GeoDataFrame[left, right, area_m2, width_m, geometry]
        ``left`` is the sliver, ``right`` the neighbour it shares most of its border with (missing when it has none); the
        largest first.

    Raises
    ------
    CRSError, DataQualityError
        When the CRS is not metric or a polygon is invalid.

    Examples
    --------
    >>> fields = gpd.GeoDataFrame(geometry=[shapely.box(5e5, 0, 5e5 + 90, 90), shapely.box(5e5 + 90, 0, 5e5 + 90.4, 90)], crs=4547)
    >>> slivers(fields)[["left", "right", "width_m"]].round(1).values.tolist()
    [[1, 0, 0.4]]
    """
    crs = metric_crs(frame.crs, where="layer")
    geoms = valid_polygons(frame, where="layer")
    thin = mean_width_m(geoms) < max_width_m
    thin &= (shapely.area(geoms) <= max_area_m2 * 1.001) & ~shapely.is_empty(geoms)
    at = np.flatnonzero(thin).astype(np.int64)
    tree = shapely.STRtree(geoms)
    right = np.full(len(at), -1, dtype=np.int64)
    for k, row in enumerate(at):
        near = tree.query(geoms[row], predicate="intersects")
        near = near[near != row]
        if len(near):
            rim = shapely.buffer(geoms[row], _REACH, join_style="mitre")
            shared = shapely.area(shapely.intersection(rim, geoms[near]))
            right[k] = near[np.argmax(shared)]
    found = _table(frame, geoms[at], at, right, crs, 0.0)
    return found[found["area_m2"] <= max_area_m2].reset_index(drop=True)
