"""How values and people cluster in space, and how places are ranked by size.

Moran's I (Moran 1950) and its local form (Anselin 1995, *Geographical Analysis* 27, 93-115) are those of PySAL's ``esda``, against
which they are tested: rows of weights sum to one, conditional permutations, one-sided pseudo p-values. They are computed
here because esda compiles for half a minute in every process. Permutations are seeded. The rank-size exponent is the regression of Gabaix and Ibragimov (2011), *Journal of Business and Economic Statistics* 29, 24-39: log(rank -
1/2) on log(size), standard error b √(2/n). The tail fit and its test are those of Clauset, Shalizi and Newman (2009), *SIAM
Review* 51, 661-703.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core.errors import DataQualityError, ParameterError
from workbench.operators.guards import metric_crs

Floats = npt.NDArray[np.float64]
QUADRANTS = ("HH", "LH", "LL", "HL")
"""Local classes in the order of ``esda``: high among high, low among high, low among low, high among low."""
LEAST_ZONES = 8
"""Fewest zones a measure of clustering is given for."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Which zones touch which."""

    left: npt.NDArray[np.int64]
    """Row of the first zone of each pair (each pair in both orders), sorted."""
    right: npt.NDArray[np.int64]
    """Row of the second."""
    count: int
    """Number of zones."""
    bridged: npt.NDArray[np.int64]
    """Rows of zones that touch none and were tied to the nearest one."""

    def cardinality(self) -> npt.NDArray[np.int64]:
        """Number of neighbours of each zone."""
        return np.bincount(self.left, minlength=self.count)

    def lag(self, values: Floats) -> Floats:
        """Mean of the neighbours' values; values by zone in the last axis."""
        sums = np.zeros((*values.shape[:-1], self.count))
        np.add.at(sums.T, self.left, values.T[self.right])
        return sums / np.maximum(self.cardinality(), 1)


def neighbours(zones: gpd.GeoDataFrame, *, gap_m: float = 1.0) -> Neighbours:
    """Zones that share a border or a corner; one that touches none (an island) is tied to the zone nearest to it.

    Parameters
    ----------
    zones : GeoDataFrame of polygons
        In a projected CRS in metres.
    gap_m : float
        Borders this close count as shared: hand-drawn zones leave slits.

    Returns
    -------
    Neighbours
        ``bridged`` names the islands, so that the result can say that they were tied by rule and not by touch.

    Examples
    --------
    >>> row = gpd.GeoDataFrame(geometry=[shapely.box(i, 0, i + 1, 1) for i in (0, 1, 9)], crs="EPSG:4547")
    >>> found = neighbours(row, gap_m=0)
    >>> found.left.tolist(), found.right.tolist(), found.bridged.tolist()
    ([0, 1, 1, 2], [1, 0, 2, 1], [2])
    """
    metric_crs(zones.crs, where="zones")
    shapes = np.asarray(zones.geometry.array, dtype=object)
    if shapely.is_missing(shapes).any() or shapely.is_empty(shapes).any():
        raise DataQualityError("zones without a shape have no neighbours", where="neighbours")
    tree = shapely.STRtree(shapes)
    a, b = tree.query(shapes, predicate="dwithin", distance=gap_m)
    pairs = {(int(i), int(j)) for i, j in zip(a, b, strict=True) if i != j}
    alone = np.setdiff1d(np.arange(len(shapes)), np.array([i for i, _ in pairs], dtype=np.int64))
    for one in alone.tolist() if len(shapes) > 1 else []:
        others = np.delete(np.arange(len(shapes)), one)
        nearest = int(others[np.argmin(shapely.distance(shapes[one], shapes[others]))])
        pairs |= {(one, nearest), (nearest, one)}
    ordered = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return Neighbours(ordered[:, 0], ordered[:, 1], len(shapes), alone.astype(np.int64))


@dataclass(frozen=True)
class Moran:
    """Moran's I of values by zone."""

    statistic: float
    """I; nan where all values are equal."""
    expected: float
    """What chance gives: -1 / (n - 1)."""
    p: float
    """Pseudo p-value of the permutations, one-sided in the direction found."""
    z: float
    """I less the mean of the permutations, in their standard deviations."""
    permutations: int
    """Number of permutations."""
    zones: int
    """Number of zones."""
    islands: int
    """Zones tied to the nearest because they touch none."""


def _checked(values: npt.ArrayLike, among: Neighbours) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (among.count,):
        raise ParameterError("one value a zone is needed", found=found.shape, expected=(among.count,))
    if not np.isfinite(found).all():
        raise ParameterError("values by zone must be finite", found=int((~np.isfinite(found)).sum()))
    if among.count < LEAST_ZONES:
        raise ParameterError(
            "too few zones for a measure of clustering", found=among.count, expected=LEAST_ZONES
        )
    return found


def moran(values: npt.ArrayLike, among: Neighbours, *, permutations: int = 999, seed: int = 0) -> Moran:
    """Moran's I with weights that sum to one in each row.

    Parameters
    ----------
    values : array of float
        One a zone.
    among : Neighbours
        From :func:`neighbours`.
    permutations, seed : int
        The same seed gives the same p-value.

    Examples
    --------
    >>> row = gpd.GeoDataFrame(geometry=[shapely.box(i, 0, i + 1, 1) for i in range(8)], crs="EPSG:4547")
    >>> round(moran([1, 1, 1, 1, 0, 0, 0, 0], neighbours(row, gap_m=0)).statistic, 4)
    0.75
    """
    found = _checked(values, among)
    islands = len(among.bridged)
    if np.ptp(found) == 0:
        none = float("nan")
        return Moran(none, -1 / (among.count - 1), none, none, 0, among.count, islands)
    z = found - found.mean()
    total = float((z**2).sum())
    statistic = float((z * among.lag(z)).sum()) / total
    rng = np.random.default_rng(seed)
    drawn = np.empty(permutations)
    for one in range(permutations):
        mixed = rng.permutation(z)
        drawn[one] = float((mixed * among.lag(mixed)).sum()) / total
    p = _pseudo_p(statistic, drawn)
    score = (statistic - float(drawn.mean())) / float(drawn.std())
    return Moran(statistic, -1 / (among.count - 1), p, score, permutations, among.count, islands)


def local_moran(
    values: npt.ArrayLike, among: Neighbours, *, permutations: int = 999, seed: int = 0, level: float = 0.05
) -> pd.DataFrame:
    """Local Moran: where high stands among high, low among low, and what stands apart.

    Parameters
    ----------
    values, among, permutations, seed
        As for :func:`moran`.
    level : float
        False discovery rate: of the zones shown as clusters this share is expected to be chance (Benjamini and Hochberg).

    Returns
    -------
    DataFrame[value, statistic, p, quadrant, cluster]
        In the order of the zones; ``cluster`` is the quadrant where it stands the test, else ``""``.
    """
    found = _checked(values, among)
    if np.ptp(found) == 0:
        empty = {"statistic": np.nan, "p": np.nan, "quadrant": "", "cluster": ""}
        return pd.DataFrame({"value": found, **empty})
    z = (found - found.mean()) / found.std()
    lag = among.lag(z)
    statistic = z * lag * ((len(z) - 1) / len(z))
    card = among.cardinality()
    rng = np.random.default_rng(seed)
    order = rng.random((permutations, len(z) - 1)).argsort(axis=1)[:, : int(card.max())]
    p = np.ones(len(z))
    for one in np.flatnonzero(card > 0):
        others = np.delete(z, one)
        drawn = z[one] * others[order[:, : card[one]]].mean(axis=1) * ((len(z) - 1) / len(z))
        p[one] = _pseudo_p(statistic[one], drawn)
    high, around = z > 0, lag > 0
    number = np.select([high & around, ~high & around, ~high & ~around], [0, 1, 2], 3)
    quadrant = np.array(QUADRANTS, dtype=object)[number]
    cluster = np.where(_discoveries(p, level), quadrant, "")
    return pd.DataFrame(
        {"value": found, "statistic": statistic, "p": p, "quadrant": quadrant, "cluster": cluster}
    )


def _pseudo_p(statistic: float, drawn: Floats) -> float:
    """Share of the permutations at least as far out, on the side found; equal values (many zones of 0) count as far."""
    slack = 1e-10 * max(1.0, abs(statistic))
    above, below = int((drawn >= statistic - slack).sum()), int((drawn <= statistic + slack).sum())
    return (min(above, below) + 1) / (len(drawn) + 1)


def _discoveries(p: Floats, level: float) -> npt.NDArray[np.bool_]:
    """Which p-values stand at a false discovery rate (Benjamini and Hochberg 1995)."""
    ordered = np.sort(p)
    passing = np.flatnonzero(ordered <= level * np.arange(1, len(p) + 1) / len(p))
    return p <= ordered[passing[-1]] if len(passing) else np.zeros(len(p), dtype=bool)


Verdict = Literal["too_few", "not_power_law", "zipf", "flatter", "steeper", "primate"]


@dataclass(frozen=True)
class RankSize:
    """Sizes of places against their rank, with what can and cannot be said from them."""

    places: int
    """Places with a size above zero."""
    used: int
    """Places in the tail that the exponent is of."""
    least: float
    """Smallest size in the tail."""
    exponent: float
    """Slope b of log(rank - 1/2) on log(size); 1 is Zipf's rule, more is more even. nan where not given."""
    error: float
    """Standard error of the slope, b √(2/n)."""
    tail: float
    """The same exponent by maximum likelihood (Hill), α - 1."""
    tail_error: float
    """Its standard error."""
    distance: float
    """Kolmogorov-Smirnov distance of the tail from a power law."""
    p: float
    """Share of power laws' own samples that fit worse: below 0.1 the power law is rejected."""
    first_p: float
    """Chance that the largest of so many places is as large as it is, by the tail fitted to the others."""
    rest: float
    """Slope without the largest place."""
    verdict: Verdict
    """``too_few`` places; the tail is ``not_power_law``; ``primate``: the largest is larger than the others' law allows
    (``first_p`` below 0.05); consistent with ``zipf``; ``flatter`` (b < 1, the largest
    dominate more) or ``steeper`` (b > 1, sizes more even) by more than two standard errors."""


LEAST_PLACES = 20
"""Fewest places in a tail for a verdict on it."""


def hill(sizes: npt.ArrayLike, least: float) -> tuple[float, float, float]:
    """Exponent α of the density of a continuous power law from ``least`` on, its standard error, and the KS distance.

    Examples
    --------
    >>> [round(x, 3) for x in hill([1.0, 2.0, 4.0], 1.0)]
    [2.443, 0.833, 0.333]
    """
    x = np.sort(np.asarray(sizes, dtype=np.float64))
    x = x[x >= least]
    logs = np.log(x / least).sum()
    if not logs > 0:
        return float("nan"), float("nan"), float("nan")
    n = len(x)
    alpha = 1 + n / logs
    model = 1 - (x / least) ** (1 - alpha)
    below, upto = np.arange(n) / n, np.arange(1, n + 1) / n
    return (
        float(alpha),
        float((alpha - 1) / np.sqrt(n)),
        float(max(np.abs(below - model).max(), np.abs(upto - model).max())),
    )


def _best_tail(x: Floats, least_n: int) -> tuple[float, float, float, float]:
    """Lower limit with the least KS distance among those that leave ``least_n`` places, with its fit."""
    limits = np.unique(x)
    limits = limits[[int((x >= one).sum()) >= least_n for one in limits]]
    if len(limits) > 200:
        limits = limits[np.linspace(0, len(limits) - 1, 200).astype(int)]
    best = (float("nan"),) * 4
    for one in limits:
        alpha, error, distance = hill(x, float(one))
        if np.isfinite(distance) and not distance >= best[3]:
            best = (float(one), alpha, error, distance)
    return best


def rank_size(
    sizes: npt.ArrayLike, *, least: float | None = None, samples: int = 200, seed: int = 0
) -> RankSize:
    """Rank-size exponent of places with its standard error, and whether the sizes follow a power law at all.

    Parameters
    ----------
    sizes : array of float
        People (or another size) of each place; zeros are left out.
    least : float, optional
        Smallest size of the tail; sought by the least KS distance when omitted, and the search is repeated in every
        sample of the test.
    samples, seed : int
        Semi-parametric samples of the test.

    Examples
    --------
    >>> result = rank_size(1000 / (np.arange(1, 41) - 0.5), least=25.0)
    >>> round(result.exponent, 6), result.places, result.verdict
    (1.0, 40, 'zipf')
    """
    x = np.asarray(sizes, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all() or (x < 0).any():
        raise ParameterError("sizes must be finite and not below zero", where="rank_size")
    x = np.sort(x[x > 0])[::-1]
    none = float("nan")
    few = RankSize(len(x), len(x), none, none, none, none, none, none, none, none, none, "too_few")
    if len(x) < LEAST_PLACES or np.ptp(x) == 0:
        return few
    limit, alpha, alpha_error, distance = (
        _best_tail(x, LEAST_PLACES) if least is None else (least, *hill(x, least))
    )
    tail = x[x >= limit]
    if len(tail) < LEAST_PLACES or not np.isfinite(alpha):
        return few
    slope, rest = _slope(tail), _slope(tail[1:])
    error = slope * float(np.sqrt(2 / len(tail)))
    p = _p_value(x, limit, alpha, distance, least is None, samples, seed)
    others = hill(tail[1:], limit)[0]
    first_p = float(1 - (1 - (float(tail[0]) / limit) ** (1 - others)) ** len(tail))
    verdict: Verdict
    if p < 0.1:
        verdict = "not_power_law"
    elif first_p < 0.05:
        verdict = "primate"
    elif abs(slope - 1) <= 2 * error:
        verdict = "zipf"
    else:
        verdict = "flatter" if slope < 1 else "steeper"
    return RankSize(
        len(x), len(tail), limit, slope, error, alpha - 1, alpha_error, distance, p, first_p, rest, verdict
    )


def _slope(sizes: Floats) -> float:
    """Slope of log(rank - 1/2) on log(size), sign turned; sizes from large to small."""
    return -float(np.polyfit(np.log(sizes), np.log(np.arange(1, len(sizes) + 1) - 0.5), 1)[0])


def _p_value(
    x: Floats, limit: float, alpha: float, distance: float, search: bool, samples: int, seed: int
) -> float:
    """Share of samples (body drawn from the data, tail from the fitted law) that lie farther from their own fit."""
    rng = np.random.default_rng(seed)
    body = x[x < limit]
    worse = 0
    for _ in range(samples):
        upper = int(rng.binomial(len(x), 1 - len(body) / len(x))) if search else len(x) - len(body)
        drawn = limit * (1 - rng.random(upper)) ** (-1 / (alpha - 1))
        if search and len(body):
            drawn = np.concatenate((drawn, rng.choice(body, len(x) - upper)))
        found = _best_tail(drawn, LEAST_PLACES)[3] if search else hill(drawn, limit)[2]
        worse += bool(found >= distance)
    return worse / samples


def primacy(sizes: npt.ArrayLike) -> dict[str, float]:
    """How far the first place stands above the others: share of all, first to second, to the next three, to the next ten.

    Parameters
    ----------
    sizes : array of float
        People of each place.

    Returns
    -------
    dict
        ``share``; ``two`` = first / second; ``four`` = first / (second + third + fourth); ``eleven`` = 2 × first / (second to
        eleventh), by which a rank-size series of exponent one has about one; nan where there are too few places.

    Examples
    --------
    >>> primacy([60, 30, 20, 10])
    {'share': 50.0, 'two': 2.0, 'four': 1.0, 'eleven': nan}
    """
    x = np.sort(np.asarray(sizes, dtype=np.float64))[::-1]
    if x.ndim != 1 or not np.isfinite(x).all() or (x < 0).any():
        raise ParameterError("sizes must be finite and not below zero", where="primacy")

    def over(count: int, times: float = 1.0) -> float:
        rest = float(x[1:count].sum())
        return times * float(x[0]) / rest if len(x) >= count and rest > 0 else float("nan")

    return {
        "share": float(x[0] / x.sum() * 100) if len(x) and x.sum() > 0 else float("nan"),
        "two": over(2),
        "four": over(4),
        "eleven": over(11, 2.0),
    }


def settlements(
    points: gpd.GeoSeries, people: npt.ArrayLike, *, cell_m: float, least_per_km2: float
) -> npt.NDArray[np.int64]:
    """Settlements of a population grid: groups of cells dense enough that touch at a side or a corner.

    Parameters
    ----------
    points : GeoSeries of points
        Centres of the cells, in metres.
    people : array of float
        People of each cell.
    cell_m : float
        Side of a cell.
    least_per_km2 : float
        Density from which a cell belongs to a settlement.

    Returns
    -------
    ndarray of int
        Number of the settlement of each cell, from 0 in the order of their people (the largest first); -1 for none.

    Examples
    --------
    >>> at = gpd.GeoSeries.from_xy([0, 100, 500, 900], [0, 100, 0, 0], crs="EPSG:4547")
    >>> settlements(at, [10, 10, 30, 1], cell_m=100, least_per_km2=500).tolist()
    [1, 1, 0, -1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    metric_crs(points.crs, where="points")
    amount = np.asarray(people, dtype=np.float64)
    if not cell_m > 0:
        raise ParameterError("the side of a cell must be above zero", found=cell_m)
    dense = np.flatnonzero(amount / (cell_m / 1000) ** 2 >= least_per_km2)
    found = np.full(len(amount), -1, dtype=np.int64)
    if not len(dense):
        return found
    tree = cKDTree(shapely.get_coordinates(points.to_numpy()[dense]))
    pairs = tree.query_pairs(1.5 * cell_m, output_type="ndarray")
    matrix = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(dense),) * 2)
    count, group = connected_components(matrix, directed=False)
    order = np.argsort(-np.bincount(group, amount[dense], minlength=count), kind="stable")
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count)
    found[dense] = rank[group]
    return found
