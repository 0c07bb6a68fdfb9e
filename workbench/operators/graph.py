"""A walking (or driving) graph from road centre lines, as compressed sparse rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from workbench.core.errors import CRSError, DataQualityError, ParameterError
from workbench.operators.guards import metric_crs

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Geoms = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes where road pieces meet, and the pieces between them; every piece can be walked both ways."""

    xy: Floats
    """Coordinates of the nodes, shape (n, 2), metres in ``crs``."""
    indptr: npt.NDArray[np.int32]
    """Row starts of the sparse matrix of lengths, shape (n + 1,)."""
    indices: npt.NDArray[np.int32]
    """Neighbouring nodes, sorted in each row; of parallel pieces the shortest is kept."""
    lengths: Floats
    """Metres to each neighbour."""
    edge_from: npt.NDArray[np.int32]
    """First node of each piece, shape (m,); loops and parallel pieces are here too."""
    edge_to: npt.NDArray[np.int32]
    """Last node of each piece."""
    edge_length: Floats
    """Metres along each piece, in the plane of ``crs``."""
    edge_line: Geoms
    """Geometry of each piece, from its first node to its last."""
    edge_road: npt.NDArray[np.intp]
    """Row (position) of the road each piece was cut from."""
    component: npt.NDArray[np.int32]
    """Number of the connected part each node belongs to; 0 is the one with most nodes."""
    crs: pyproj.CRS = field(repr=False)
    """Projected CRS in metres."""
    tree: shapely.STRtree = field(repr=False)
    """Spatial tree of ``edge_line``."""

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.xy)

    @property
    def n_edges(self) -> int:
        """Number of pieces of road."""
        return len(self.edge_line)

    def matrix(self) -> csr_array:
        """Symmetric sparse matrix of lengths in metres, shape (n, n)."""
        return csr_array((self.lengths, self.indices, self.indptr), shape=(self.n_nodes, self.n_nodes))


def _lines(roads: gpd.GeoDataFrame | gpd.GeoSeries, walk: bool) -> tuple[Geoms, npt.NDArray[np.intp]]:
    """Single lines of the roads that may be used, and the row each comes from."""
    rows = np.arange(len(roads))
    if walk:
        if not isinstance(roads, gpd.GeoDataFrame) or "walkable" not in roads.columns:
            raise ParameterError(
                "the roads do not say which may be walked",
                expected="a column 'walkable'",
                hint="add it, or use walk=False for all roads",
            )
        rows = np.flatnonzero(roads["walkable"].fillna(False).to_numpy(dtype=bool))
    geoms = shapely.force_2d(np.asarray(roads.geometry.array, dtype=object)[rows])
    parts, of = shapely.get_parts(geoms, return_index=True)
    lines = np.isin(shapely.get_type_id(parts), (1, 2))
    if not lines.all():
        raise DataQualityError(
            "the roads contain geometries that are not lines",
            found=parts[~lines][0].geom_type,
            expected="LineString or MultiLineString",
        )
    keep = shapely.length(parts) > 0
    return parts[keep], rows[of[keep]]


def _clusters(xy: Floats, snap_m: float) -> tuple[npt.NDArray[np.int32], Floats]:
    """Node that each end point belongs to, and the nodes' coordinates (means of their members)."""
    pairs = cKDTree(xy).query_pairs(snap_m, output_type="ndarray")
    n = len(xy)
    links = csr_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    count, label = connected_components(links, directed=False)
    size = np.bincount(label, minlength=count)
    mean = np.column_stack([np.bincount(label, weights=xy[:, k], minlength=count) / size for k in (0, 1)])
    return label.astype(np.int32), mean


def _split_at_shared_vertices(lines: Geoms, snap_m: float) -> tuple[Geoms, npt.NDArray[np.intp]]:
    """Cut lines where a vertex is shared with another line or lies within ``snap_m`` of an end of one.

    Roads that cross without a common vertex (bridges, tunnels) are not joined.
    """
    xy, of = shapely.get_coordinates(lines, return_index=True)
    new_line = np.concatenate(([True], of[1:] != of[:-1]))
    end = new_line | np.concatenate((new_line[1:], [True]))
    _, same, times = np.unique(np.round(xy, 3), axis=0, return_inverse=True, return_counts=True)
    cut = times[same.ravel()] > 1
    inner = np.flatnonzero(~end & ~cut)
    if snap_m > 0 and len(inner):
        gap, _ = cKDTree(np.unique(xy[end], axis=0)).query(xy[inner], distance_upper_bound=snap_m)
        cut[inner[np.isfinite(gap)]] = True
    cut &= ~end
    if not cut.any():
        return lines, np.arange(len(lines))
    # a cut vertex is written twice: once as the end of one piece, once as the start of the next
    repeat = np.where(cut, 2, 1)
    position = np.repeat(np.arange(len(xy)), repeat)
    second = np.concatenate(([False], position[1:] == position[:-1]))
    piece = np.cumsum(second | new_line[position]) - 1
    first = np.searchsorted(piece, np.arange(piece[-1] + 1))
    pieces: Geoms = np.asarray(shapely.linestrings(xy[position], indices=piece), dtype=object)
    return pieces, of[position[first]]


def build_graph(
    roads: gpd.GeoDataFrame | gpd.GeoSeries,
    *,
    walk: bool = True,
    snap_m: float = 0.5,
    largest_part: bool = False,
    min_part_m: float = 0.0,
) -> Graph:
    """Graph of road pieces between junctions, lengths in metres.

    Lines are cut where they share a vertex with another line; ends closer than ``snap_m`` become one node. A crossing
    without a common vertex is a bridge or tunnel and joins nothing.

    Parameters
    ----------
    roads : GeoDataFrame or GeoSeries of lines
        Projected CRS in metres.
    walk : bool, default True
        Use only the roads whose column ``walkable`` is true; False uses all.
    snap_m : float, default 0.5
        Ends within this distance of each other, or of a vertex, are joined.
    largest_part : bool, default False
        Keep only the largest connected part.
    min_part_m : float, default 0
        Leave out connected parts shorter than this in all (paths drawn without their joints); never the largest one.

    Returns
    -------
    Graph
        Two-way; lengths are planar, as are the distances of points to roads.

    Raises
    ------
    CRSError
        When the CRS is missing or not in projected metres.
    ParameterError, DataQualityError
        When ``walkable`` is missing, ``snap_m`` is negative, a geometry is no line, or no road is left.

    Examples
    --------
    >>> roads = gpd.GeoSeries([shapely.LineString([(0, 0), (100, 0)]), shapely.LineString([(100, 0), (100, 50)])],
    ...                       crs="EPSG:4547")
    >>> graph = build_graph(roads, walk=False)
    >>> graph.n_nodes, graph.edge_length.tolist()
    (3, [100.0, 50.0])
    """
    crs = metric_crs(roads.crs, where="roads")
    if not snap_m >= 0:
        raise ParameterError("snap_m must not be negative", found=snap_m)
    lines, road = _lines(roads, walk)
    if not len(lines):
        raise DataQualityError("no road can be walked" if walk else "there are no roads", where="roads")
    lines, origin = _split_at_shared_vertices(lines, snap_m)
    road = road[origin]
    ends = np.concatenate([shapely.get_coordinates(shapely.get_point(lines, k)) for k in (0, -1)])
    label, xy = _clusters(ends, snap_m)
    u, v = label[: len(lines)], label[len(lines) :]
    length = shapely.length(lines)
    keep = (u != v) | (length > 2 * snap_m)  # what is left of a snapped stump is no loop
    graph = _assemble(xy, u[keep], v[keep], length[keep], lines[keep], road[keep], crs)
    if largest_part or min_part_m > 0:
        part = graph.component[graph.edge_from]
        long_enough = np.bincount(part, weights=graph.edge_length) >= min_part_m
        keep = part == 0 if largest_part else long_enough[part] | (part == 0)
        graph = _assemble(
            graph.xy,
            graph.edge_from[keep],
            graph.edge_to[keep],
            graph.edge_length[keep],
            graph.edge_line[keep],
            graph.edge_road[keep],
            crs,
        )
    return graph


def _assemble(
    xy: Floats,
    u: npt.NDArray[np.int32],
    v: npt.NDArray[np.int32],
    length: Floats,
    lines: Geoms,
    road: npt.NDArray[np.intp],
    crs: pyproj.CRS,
) -> Graph:
    """Graph of the given pieces with the nodes they use."""
    used, renumbered = np.unique(np.concatenate((u, v)), return_inverse=True)
    u, v = renumbered[: len(u)].astype(np.int32), renumbered[len(u) :].astype(np.int32)
    n = len(used)
    real = u != v
    a, b, w = np.concatenate((u[real], v[real])), np.concatenate((v[real], u[real])), np.tile(length[real], 2)
    order = np.lexsort((w, b, a))
    a, b, w = a[order], b[order], w[order]
    first = np.concatenate(([True], (a[1:] != a[:-1]) | (b[1:] != b[:-1])))[: len(a)]
    a, b, w = a[first], b[first], w[first]
    indptr = np.searchsorted(a, np.arange(n + 1)).astype(np.int32)
    matrix = csr_array((w, b.astype(np.int32), indptr), shape=(n, n))
    count, part = connected_components(matrix, directed=False)
    rank = np.empty(count, dtype=np.int32)
    rank[np.argsort(-np.bincount(part, minlength=count), kind="stable")] = np.arange(count)
    return Graph(
        xy=xy[used],
        indptr=indptr,
        indices=b.astype(np.int32),
        lengths=w,
        edge_from=u,
        edge_to=v,
        edge_length=length,
        edge_line=lines,
        edge_road=road,
        component=rank[part],
        crs=crs,
        tree=shapely.STRtree(lines),
    )


@dataclass(frozen=True, eq=False)
class Snapped:
    """Where points meet the graph: the nearest piece of road, how far along it, and how far away from it."""

    edge: npt.NDArray[np.int64]
    """Piece of road of each point."""
    along: Floats
    """Metres from the first node of that piece."""
    gap: Floats
    """Straight metres from the point to the piece."""


def points_on(graph: Graph, points: gpd.GeoDataFrame | gpd.GeoSeries) -> Geoms:
    """Geometries of a point layer that lies in the CRS of the graph.

    Raises
    ------
    CRSError
        When the CRS differs from that of the graph.
    DataQualityError
        When a geometry is missing or no point.
    """
    crs = metric_crs(points.crs, where="points")
    if crs != graph.crs:
        raise CRSError(
            "points and roads have different reference systems",
            found=crs.name,
            expected=graph.crs.name,
            hint="convert one with to_crs",
        )
    geoms = np.asarray(points.geometry.array, dtype=object)
    bad = np.flatnonzero((shapely.get_type_id(geoms) != 0) | shapely.is_empty(geoms))
    if len(bad):
        raise DataQualityError(
            f"{len(bad)} of {len(geoms)} geometries are not points",
            where=f"points, row {points.index[bad[0]]}",
            expected="Point",
        )
    return geoms


def snap(graph: Graph, points: gpd.GeoDataFrame | gpd.GeoSeries) -> Snapped:
    """Nearest place on the graph for each point: piece of road, metres along it, straight metres to it.

    Parameters
    ----------
    graph : Graph
        From :func:`build_graph`.
    points : GeoDataFrame or GeoSeries of points
        In the CRS of the graph.

    Returns
    -------
    Snapped
        One entry a point.

    Raises
    ------
    CRSError, DataQualityError
        As :func:`points_on`.
    """
    geoms = points_on(graph, points)
    if not len(geoms):
        return Snapped(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))
    (of, edge), gap = graph.tree.query_nearest(geoms, return_distance=True, all_matches=True)
    order = np.lexsort((edge, of))  # equally near pieces: the first one, whatever the tree's order
    of, edge, gap = of[order], edge[order], gap[order]
    first = np.searchsorted(of, np.arange(len(geoms)))
    edge, gap = edge[first], gap[first]
    along = shapely.line_locate_point(graph.edge_line[edge], geoms)
    return Snapped(edge, np.minimum(along, graph.edge_length[edge]), gap)
