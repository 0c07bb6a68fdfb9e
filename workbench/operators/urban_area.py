"""Physical urban area and urban range after the rules for delimiting 城区范围 (TD/T 1064-2021), as far as they are known here.

The steps the standard's own text tells: patches of the survey marked as city (城镇村属性码 201, 201A) are the first range, used
whole and never trimmed; the physical urban area (城区实体地域) grows from it by repeated buffers over patches that are
connected and of urban function; whole zones (communities, sub-districts) then enter the urban range (城区范围) or not by the
share of physical urban area inside each. Distances, least areas and the share are settings: they come from memory.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core.errors import ParameterError
from workbench.operators.area import area_m2
from workbench.operators.guards import has_columns, same_crs, valid_polygons
from workbench.operators.shared_area import area_table

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class UrbanRules:
    """What decides whether a patch joins the city."""

    initial: frozenset[str]
    """Attribute codes (``czcsxm``) of the first range."""
    functions: frozenset[str]
    """Classes (``dlbm``) of urban function: only these may join."""
    connected_m: float
    """A patch joins when it is at most this far from the area so far."""
    least_m2: float
    """Connected groups of joining patches smaller than this are left out."""
    rounds: int
    """Most repetitions of the buffer."""


def grow(land_use: gpd.GeoDataFrame, rules: UrbanRules) -> gpd.GeoDataFrame:
    """Physical urban area: the first range and what joins it round by round.

    Parameters
    ----------
    land_use : GeoDataFrame of polygons
        ``parcel_id, dlbm, czcsxm`` in a projected CRS in metres.
    rules : UrbanRules
        Codes, distance, least area and rounds.

    Returns
    -------
    GeoDataFrame[parcel_id, dlbm, czcsxm, round, why, area_m2, geometry]
        All patches of the first range (round 0, ``initial``), those that joined (``joined``, round 1, 2, …) and those of
        urban function that did not (round -1): ``too_far``, ``too_small`` (their connected group), ``rounds_used_up``.

    Raises
    ------
    ParameterError
        When the survey has no patch of the first range: there is nothing to grow from.

    Examples
    --------
    >>> land = gpd.GeoDataFrame({"parcel_id": list("abc"), "dlbm": "0701", "czcsxm": ["201", "", ""]}, crs="EPSG:4547",
    ...     geometry=[shapely.box(x, 0, x + 50, 50) for x in (0, 120, 400)])
    >>> grow(land, UrbanRules(frozenset({"201"}), frozenset({"0701"}), 100.0, 0.0, 9))["why"].tolist()
    ['initial', 'joined', 'too_far']
    """
    has_columns(land_use, ["parcel_id", "dlbm", "czcsxm"], where="land_use")
    shapes = valid_polygons(land_use, where="land_use")
    first = land_use["czcsxm"].fillna("").isin(list(rules.initial)).to_numpy(dtype=bool)
    if not first.any():
        raise ParameterError(
            "the survey marks no patch as city", where="land_use", expected=sorted(rules.initial)
        )
    urban = land_use["dlbm"].isin(list(rules.functions)).to_numpy(dtype=bool) & ~first
    rounds = np.where(first, 0, -1)
    tree_rows = np.flatnonzero(urban)
    tree = shapely.STRtree(shapes[tree_rows])
    front, step = np.flatnonzero(first), 0
    while len(front):
        near = tree_rows[
            np.unique(tree.query(shapes[front], predicate="dwithin", distance=rules.connected_m)[1])
        ]
        front, step = near[rounds[near] < 0], step + 1
        rounds[front] = step
    chosen = np.flatnonzero(first | urban)
    why = np.where(rounds == 0, "initial", np.where(rounds > 0, "joined", "too_far")).astype(object)
    why[rounds > rules.rounds] = "rounds_used_up"
    areas = np.zeros(len(shapes))
    areas[chosen] = area_m2(shapes[chosen], land_use.crs)
    joined = np.flatnonzero(why == "joined")
    why[joined[_small(shapes[joined], areas[joined], rules.least_m2)]] = "too_small"
    rounds[(why != "initial") & (why != "joined")] = -1
    found = land_use.iloc[chosen][["parcel_id", "dlbm", "czcsxm"]].reset_index(drop=True)
    return gpd.GeoDataFrame(
        found.assign(round=rounds[chosen], why=why[chosen], area_m2=areas[chosen]),
        geometry=shapes[chosen],
        crs=land_use.crs,
    )


def _small(shapes: npt.NDArray[np.object_], areas: npt.NDArray[np.float64], least_m2: float) -> Bools:
    """Patches whose group of touching patches is smaller than the least area."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(shapes) or least_m2 <= 0:
        return np.zeros(len(shapes), dtype=bool)
    a, b = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=0.01)
    _, group = connected_components(
        coo_array((np.ones(len(a)), (a, b)), shape=(len(shapes),) * 2), directed=False
    )
    small: Bools = np.bincount(group, areas)[group] < least_m2
    return small


def urban_range(area: gpd.GeoDataFrame, zones: gpd.GeoDataFrame, *, least_share: float) -> gpd.GeoDataFrame:
    """Urban range: zones kept whole when enough of them is physical urban area.

    Parameters
    ----------
    area : GeoDataFrame
        From :func:`grow`; rows of round 0 and above count.
    zones : GeoDataFrame
        ``code, name`` of communities or sub-districts (or what stands in for them).
    least_share : float
        Share of the zone's area from which it is kept, above 0 and at most 1.

    Returns
    -------
    GeoDataFrame[code, name, area_m2, urban_m2, share, kept, geometry]
        In the order of the zones; share from 0 to 1.
    """
    if not 0 < least_share <= 1:
        raise ParameterError("the least share is above 0 and at most 1", found=least_share)
    has_columns(zones, ["code", "name"], where="zones")
    same_crs(area, zones)
    inside = area[area["round"] >= 0][["parcel_id", "geometry"]].reset_index(drop=True)
    pieces = area_table(
        inside, zones[["code", "geometry"]].reset_index(drop=True), left_id="parcel_id", right_id="code"
    )
    urban = pieces.groupby("code")["area_m2"].sum().reindex(zones["code"]).fillna(0.0).to_numpy()
    whole = area_m2(zones.geometry.to_numpy(), zones.crs)
    share = np.minimum(urban / whole, 1.0)
    table = pd.DataFrame(
        {
            "code": zones["code"].to_numpy(),
            "name": zones["name"].to_numpy(),
            "area_m2": whole,
            "urban_m2": urban,
            "share": share,
            "kept": share >= least_share,
        }
    )
    return gpd.GeoDataFrame(table, geometry=zones.geometry.to_numpy(), crs=zones.crs)


def agreement(one: shapely.Geometry, other: shapely.Geometry) -> float:
    """Overlap of two areas over their union, 0 to 1 (planar); nan when both are empty.

    Examples
    --------
    >>> agreement(shapely.box(0, 0, 2, 1), shapely.box(1, 0, 3, 1)) == 1 / 3
    True
    """
    union = float(shapely.area(shapely.union(one, other)))
    return float(shapely.area(shapely.intersection(one, other))) / union if union > 0 else float("nan")


def codes_of(groups: Collection[str], classes: Collection[str]) -> frozenset[str]:
    """Survey classes of some groups, and single classes."""
    from workbench.core import codes

    return frozenset(classes).union(*(codes.group(name) for name in groups))
