"""Checks of shapes: overlaps, gaps, slivers, the same shape twice, displacement, and what lies outside the territory."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core.errors import LayerMissing
from workbench.governance.layers import Hit, Layer, Outcome
from workbench.governance.packs import Check
from workbench.operators import topology
from workbench.operators.area import area_m2

SAMPLE = 2000
"""Vertices of a layer that are compared with those of another."""
_MOST_NEAR = 400
"""Vertices of the other layer looked at for each."""


def _twins(shapes: npt.NDArray[Any]) -> pd.Series:
    """Number of the group of equal shapes each belongs to, of those that come more than once."""
    text = pd.Series(shapely.to_wkb(shapely.normalize(shapes)))
    return text[text.duplicated(keep=False)].groupby(text, sort=False).ngroup()


def duplicates(layer: Layer, check: Check) -> Outcome:
    """Rows with the very same shape as an earlier one."""
    twins = _twins(layer.geo.geometry.to_numpy())
    outcome, extra = Outcome(), []
    for _, rows in twins.groupby(twins).groups.items():
        first, *others = sorted(rows)
        for row in others:
            shape, area = layer.geo.geometry.iloc[row], float(layer.areas[row])
            one, other = layer.name(first), layer.name(row)
            zh, en = f"{other} 与 {one} 图形完全相同，重复登记", f"{other} has the very shape of {one}"
            outcome.hits.append(Hit(f"{one}|{other}", zh, en, area, "m2", "0", shape))
            extra.append(row)
    outcome.share = layer.share(extra)
    return outcome


def overlaps(layer: Layer, check: Check) -> Outcome:
    """Polygons that cover the same ground; the same shape twice is told by another check."""
    shapes = layer.geo.geometry.reset_index(drop=True)
    twins = _twins(shapes.to_numpy())
    unique = shapes.drop(twins[twins.duplicated()].index)
    found = topology.overlaps(
        gpd.GeoDataFrame(geometry=unique), min_area_m2=float(check.parameters["min_area_m2"])
    )
    outcome = Outcome()
    for left, right, area, width, shape in _rows(found):
        names = sorted((layer.name(left), layer.name(right)))
        zh = f"{names[0]} 与 {names[1]} 重叠 {area:.2f} 平方米，平均宽 {width:.2f} 米"
        en = f"{names[0]} and {names[1]} overlap by {area:.2f} m², {width:.2f} m wide in the mean"
        outcome.hits.append(Hit("|".join(names), zh, en, area, "m2", "0", shape))
    outcome.share = _of_ground(found, layer)
    return outcome


def gaps(layer: Layer, check: Check) -> Outcome:
    """Ground of the territory that no polygon covers."""
    shapes = layer.geo.geometry.reset_index(drop=True)
    found = topology.gaps(
        gpd.GeoDataFrame(geometry=shapes), layer.territory, min_area_m2=float(check.parameters["min_area_m2"])
    )
    outcome = Outcome()
    for left, right, area, width, shape in _rows(found):
        names = sorted(name for name in (layer.name(left), layer.name(right)) if name)
        at = " 与 ".join(names) or "行政区界"
        zh = f"{at} {'之间' if len(names) > 1 else '处'}有缝隙 {area:.2f} 平方米，平均宽 {width:.2f} 米"
        en = f"a gap of {area:.2f} m², {width:.2f} m wide in the mean, at {' and '.join(names) or 'the border'}"
        outcome.hits.append(Hit("|".join(names), zh, en, area, "m2", "0", shape))
    outcome.share = _of_ground(found, layer)
    return outcome


def slivers(layer: Layer, check: Check) -> Outcome:
    """Polygons too thin to be real."""
    shapes = layer.geo.geometry.reset_index(drop=True)
    limit = float(check.parameters["max_width_m"])
    found = topology.slivers(gpd.GeoDataFrame(geometry=shapes), max_width_m=limit)
    outcome = Outcome()
    for left, right, area, width, shape in _rows(found):
        name, beside = layer.name(left), layer.name(right)
        zh = f"{name} 为狭长碎面，平均宽 {width:.2f} 米、面积 {area:.2f} 平方米" + (
            f"，可并入 {beside}" if beside else ""
        )
        en = f"{name} is a sliver {width:.2f} m wide in the mean" + (
            f"; it could go to {beside}" if beside else ""
        )
        outcome.hits.append(Hit(name, zh, en, width, "m", f">={limit:g}", shape))
    outcome.share = layer.share(found["left"].to_numpy(dtype=int)) if len(found) else 0.0
    return outcome


def _rows(found: gpd.GeoDataFrame) -> Any:
    return zip(found["left"], found["right"], found["area_m2"], found["width_m"], found.geometry, strict=True)


def _of_ground(found: gpd.GeoDataFrame, layer: Layer) -> float:
    """Share of an area in that of the layer."""
    total = float(layer.areas.sum())
    return float(found["area_m2"].sum()) / total if total else 0.0


def outside(layer: Layer, check: Check) -> Outcome:
    """Rows that lie outside the territory by more than the allowed distance."""
    outcome, territory = Outcome(), layer.territory
    if territory is None or layer.zone_levels or layer.frame.empty:
        return outcome
    limit = float(check.parameters["tolerance_m"])
    wide = shapely.buffer(territory, limit)
    shapely.prepare(wide)
    shapes = layer.geo.geometry.to_numpy()
    rows = np.flatnonzero(~shapely.covers(wide, shapes))
    part = check.parameters["whole"]
    if part:
        rows = rows[~shapely.intersects(wide, shapes[rows])]
    if check.parameters.get(
        "all"
    ):  # roads and stops of the neighbours are nothing wrong; a layer wholly elsewhere is
        nearest = rows[np.argsort(shapely.distance(shapes[rows], territory), kind="stable")[:1]]
        rows = nearest if len(rows) == len(shapes) else rows[:0]
    for row in rows:
        far = float(shapely.hausdorff_distance(shapes[row], shapely.intersection(shapes[row], territory)))
        far = float(shapely.distance(shapes[row], territory)) if np.isnan(far) or part else far
        name = layer.name(row)
        zh, en = f"{name} 超出市域范围 {far:.1f} 米", f"{name} reaches {far:.1f} m beyond the territory"
        outcome.hits.append(Hit(name, zh, en, far, "m", f"<={limit:g}", shapes[row]))
    outcome.share = float(bool(len(rows))) if check.parameters.get("all") else layer.share(rows)
    return outcome


def displaced(layer: Layer, check: Check) -> Outcome:
    """Whether the layer as a whole is shifted against another with which it shares vertices.

    Each vertex votes for every step that would bring it onto a vertex of the other layer. Layers that were drawn upon each
    other agree on no step at all; a shifted one agrees on another. Layers without common vertices agree on nothing, and
    nothing is said.
    """
    against = str(check.parameters["against"])
    other = _reference(layer, against)
    if other is None:
        return Outcome()
    step, votes, still, asked = agreed_step(
        shapely.get_coordinates(layer.geo.geometry.to_numpy()),
        shapely.get_coordinates(other.geometry.to_numpy()),
        float(check.parameters["search_m"]),
    )
    length = float(np.hypot(*step))
    if (
        length <= float(check.parameters["tolerance_m"])
        or votes < max(3, float(check.parameters["least_share"]) * asked)
        or still > votes / 2
    ):
        return Outcome()
    dx, dy = -float(step[0]), -float(step[1])
    share = 100 * votes / asked
    zh = f"图层整体偏移 {length:.2f} 米（东 {dx:+.2f} 米，北 {dy:+.2f} 米），{share:.0f}% 的界址点按此一致"
    en = f"the layer lies {length:.2f} m off (east {dx:+.2f} m, north {dy:+.2f} m); {share:.0f} % of its vertices agree"
    where = shapely.box(*layer.geo.total_bounds)
    limit = f"<={check.parameters['tolerance_m']:g}"
    return Outcome([Hit("*", zh, en, length, "m", limit, where)], 1.0)


def _reference(layer: Layer, role: str) -> gpd.GeoDataFrame | None:
    """Layer to compare with: of the same year, else of the latest."""
    if role == layer.role:
        return None
    years = layer.store.years(role)
    wanted = None if not years else layer.year if layer.year in years else years[-1]
    try:
        return layer.store.vector(role, wanted)
    except LayerMissing:
        return None


def agreed_step(
    here: npt.NDArray[np.float64], there: npt.NDArray[np.float64], search_m: float
) -> tuple[npt.NDArray[np.float64], int, int, int]:
    """Step from one set of vertices onto another that most agree on.

    Parameters
    ----------
    here, there : array of float, shape (n, 2)
        Vertices in metres.
    search_m : float
        Longest step looked for.

    Returns
    -------
    step : array of float
        Metres east and north, the mean of those that agree within half a metre; (0, 0) when none do.
    votes, still, asked : int
        Vertices that agree on it, vertices that agree on none, vertices that were asked.

    Examples
    --------
    >>> corners = np.array([[0.0, 0.0], [40.0, 0.0], [40.0, 25.0], [0.0, 31.0]])
    >>> step, votes, still, asked = agreed_step(corners + [3.0, -4.0], corners, 50.0)
    >>> step.round(6).tolist(), votes, still, asked
    ([-3.0, 4.0], 4, 0, 4)
    """
    from scipy.spatial import cKDTree

    here, there = _distinct(here), _distinct(there)
    if not len(here) or not len(there):
        return np.zeros(2), 0, 0, 0
    some = here[np.random.default_rng(0).permutation(len(here))[:SAMPLE]]
    count = min(_MOST_NEAR, len(there))
    distance, at = cKDTree(there).query(some, k=count, distance_upper_bound=search_m)
    distance, at = distance.reshape(len(some), -1), at.reshape(len(some), -1)
    row, column = np.nonzero(np.isfinite(distance))
    if not len(row):
        return np.zeros(2), 0, 0, len(some)
    steps = there[at[row, column]] - some[row]
    cells, number = np.unique(np.rint(steps), axis=0, return_inverse=True)
    counts = np.bincount(number.ravel())
    best = cells[int(np.argmax(counts))]
    near = (np.abs(steps - best) <= 1.0).all(axis=1)  # a step between two cells is divided among them
    step = np.median(steps[near], axis=0)
    votes = len(np.unique(row[(np.abs(steps - step) <= 0.5).all(axis=1)]))
    still = len(np.unique(row[(np.abs(steps) <= 0.5).all(axis=1)]))
    return step, votes, still, len(some)


def _distinct(vertices: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Vertices once each, from west to east, then from south to north; pandas finds them in a third of NumPy's time."""
    found = pd.DataFrame(vertices).drop_duplicates().to_numpy()
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def stated_total(layer: Layer, field: str) -> tuple[float, float]:
    """Sum of a stated area and the ellipsoidal area of the shapes, m²."""
    drawn = area_m2(layer.geo.geometry, layer.geo.crs)
    return float(layer.frame[field].sum()), float(drawn.sum())
