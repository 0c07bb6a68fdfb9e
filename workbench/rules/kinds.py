"""The kinds of rule: pure functions from a rule and what is given to a level, a margin and message parts.

Each kind takes the rule first and everything else by keyword. A missing value (NaN or None) gives level -1, never
normal. Levels come from the rule's own map of outcomes, so a planner changes them without touching code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from workbench.rules.rule import Rule

NO_DATA = -1
MISFIT = "不符"
"""Outcome of an activity rule: what was built does not fit the activity stated for it."""
UNCERTAIN = "不确定"
"""Outcome of a limit that lies inside the interval of the value: neither kept nor broken can be said."""
UNCERTAIN_LEVEL = 1
"""A note: it calls for more sample points, not for measures."""


@dataclass(frozen=True)
class Outcome:
    """What a kind says about one thing judged."""

    level: int
    """-1 to 4, see :data:`workbench.rules.rule.LEVELS`."""
    outcome: str
    """Name of the outcome, the key of the rule's ``levels`` and of the message texts."""
    margin: float = math.nan
    """How far on the good side (positive) or the bad side (negative); unit depends on the kind."""
    threshold: float = math.nan
    """The limit the value was held against, in the value's unit."""
    words: Mapping[str, float | str] = field(default_factory=dict)
    """Further parts of the message."""


def _missing(*values: float | None) -> bool:
    return any(value is None or math.isnan(value) for value in values)


def _outcome(rule: Rule, name: str, **parts: object) -> Outcome:
    return Outcome(level=int(rule.levels[name]), outcome=name, **parts)  # type: ignore[arg-type]


def _straddles(low: float | None, high: float | None, limit: float) -> bool:
    """Whether an interval holds a limit inside; never without an interval."""
    return low is not None and high is not None and not _missing(low, high) and low < limit < high


def _uncertain(low: float | None, high: float | None, **parts: float) -> Outcome:
    words = {"low": float(low or 0.0), "high": float(high or 0.0)}
    return Outcome(UNCERTAIN_LEVEL, UNCERTAIN, words=words, **parts)


def floor(
    rule: Rule, *, value: float | None, target: float, low: float | None = None, high: float | None = None
) -> Outcome:
    """Judge ``value >= target``.

    Parameters
    ----------
    rule : Rule
        ``parameters["near"]`` is the margin, as share of the target, under which attention is called for;
        ``tolerance`` is the shortfall allowed, in the unit of the value.
        Outcomes: ``met``, ``near``, ``breached``; ``不确定`` where the interval of the value holds the limit.
    value, target : float
        In one unit.
    low, high : float, optional
        Interval of a value told from a sample.

    Returns
    -------
    Outcome
        ``margin = value - target`` in the unit of the value.
    """
    if value is None or _missing(value, target):
        return Outcome(NO_DATA, "no_data", threshold=target)
    margin = value - target
    if _straddles(low, high, target - rule.tolerance):
        return _uncertain(low, high, margin=margin, threshold=target)
    near = float(rule.parameters.get("near", 0.01)) * abs(target)
    name = "breached" if margin < -rule.tolerance else "near" if margin < near else "met"
    return _outcome(rule, name, margin=margin, threshold=target)


def cap(
    rule: Rule, *, value: float | None, target: float, low: float | None = None, high: float | None = None
) -> Outcome:
    """Judge ``value <= target`` by the share of the cap that is used.

    Parameters
    ----------
    rule : Rule
        ``parameters["near"]`` is the used share from which attention is called for (0.95);
        at 1.0 the cap is reached, above it it is passed.
        Outcomes: ``met``, ``near``, ``reached``, ``breached``; ``不确定`` where the interval of the value holds the limit.
    value, target : float
        In one unit; the target is positive.
    low, high : float, optional
        Interval of a value told from a sample.

    Returns
    -------
    Outcome
        ``margin = target - value`` in the unit of the value; ``words["used"]`` the share used (1 = all).
    """
    if value is None or _missing(value, target):
        return Outcome(NO_DATA, "no_data", threshold=target)
    used = value / target if target else math.inf if value > 0 else 0.0
    if _straddles(low, high, target + rule.tolerance):
        return _uncertain(low, high, margin=target - value, threshold=target)
    if value > target + rule.tolerance:
        name = "breached"
    elif used >= 1.0:
        name = "reached"
    else:
        name = "near" if used >= float(rule.parameters.get("near", 0.95)) else "met"
    return _outcome(rule, name, margin=target - value, threshold=target, words={"used": used})


def path(
    rule: Rule,
    *,
    value: float | None,
    base: float | None,
    base_year: int,
    target: float,
    target_year: int,
    year: int,
    op: str,
    last: float | None = None,
) -> Outcome:
    """Judge a value against the straight path from the base year to the target.

    ``expected(t) = base + (target - base) (t - t0) / (T - t0)``;
    ``deviation = ±(value - expected) / |target - base|``, negative when behind.

    Parameters
    ----------
    rule : Rule
        ``parameters["behind"]`` and ``["far_behind"]`` are the deviations (shares of the whole way) that call for
        attention and for measures. With ``parameters["running"] = true`` a value that is behind is far behind
        when last year's was behind too, and only then; without last year's value there is no judgement.
        Outcomes: ``on_path``, ``behind``, ``far_behind``.
    value, base, target : float
        Value of ``year``, of ``base_year`` and of ``target_year`` in one unit.
    base_year, target_year, year : int
        Calendar years; after the target year the target itself is expected.
    op : str
        ``>=`` when more is better, ``<=`` when less is better.
    last : float, optional
        Value of the year before ``year``.

    Returns
    -------
    Outcome
        ``threshold`` is the value expected for ``year``, ``margin`` the deviation (1 = the whole way).
    """
    if value is None or base is None or _missing(value, base, target) or target == base:
        return Outcome(NO_DATA, "no_data")
    sign = 1.0 if op in (">=", ">") else -1.0
    limit = float(rule.parameters.get("behind", -0.05))

    def held(number: float, when: int) -> tuple[float, float]:
        """Value expected for a year, and the deviation from it."""
        part = min(1.0, (when - base_year) / (target_year - base_year))
        expected = base + (target - base) * part
        return expected, sign * (number - expected) / abs(target - base)

    expected, deviation = held(value, year)
    if rule.parameters.get("running"):
        if last is None or _missing(last):
            return Outcome(NO_DATA, "no_data", margin=deviation, threshold=expected)
        twice = deviation < limit and held(last, year - 1)[1] < limit
        name = "far_behind" if twice else "behind" if deviation < limit else "on_path"
    elif deviation < float(rule.parameters.get("far_behind", -0.15)):
        name = "far_behind"
    else:
        name = "behind" if deviation < limit else "on_path"
    return _outcome(rule, name, margin=deviation, threshold=expected)


def trend(
    rule: Rule, *, value: float | None, earlier: Mapping[int, float] | None, year: int, op: str
) -> Outcome:
    """Judge the change on the latest earlier year, on the mean of three years, or the Theil-Sen slope.

    Parameters
    ----------
    rule : Rule
        ``parameters["steady"]`` is the relative change that still counts as steady (a year, for slopes).
        ``parameters["method"]``: ``last_year`` (when left out), ``mean3`` (the three years before, all known) or
        ``theil_sen`` (five points or more; at least ``parameters["agreement"]`` of the slopes between pairs of
        years must have the sign of the median one, else it is steady). Outcomes: ``better``, ``steady``, ``worse``.
        Of what there should be more of and was none and is none, there is no change to call normal: it is not judged.
    value : float
        Value of ``year``.
    earlier : mapping of year to value
        Earlier years; keys may be text (as written in TOML).
    year : int
        Year of ``value``.
    op : str
        ``>=`` when more is better, ``<=`` when less is better.

    Returns
    -------
    Outcome
        ``margin`` is the signed relative change on what it is compared with, positive when better (NaN from a
        base of 0); for slopes the change a year as share of the median value, which is the ``threshold``;
        ``words["slope"]`` the median slope per year where there are five points or more.
    """
    known = {int(when): number for when, number in (earlier or {}).items() if not _missing(number)}
    known = {when: number for when, number in known.items() if when < year}
    if value is None or _missing(value) or not known:
        return Outcome(NO_DATA, "no_data")
    sign = 1.0 if op in (">=", ">") else -1.0
    steady = float(rule.parameters.get("steady", 0.0))
    words: dict[str, float | str] = {"last_year": float(max(known))}
    if len(known) >= 4:
        words["slope"] = theil_sen({**known, year: value})
    method = rule.parameters.get("method", "last_year")
    if method == "theil_sen":
        if "slope" not in words:
            return Outcome(NO_DATA, "no_data")
        return _slope(rule, {**known, year: value}, sign, words)
    if method == "mean3":
        three = [known.get(year - back) for back in (1, 2, 3)]
        if any(number is None for number in three):
            return Outcome(NO_DATA, "no_data")
        last = sum(number for number in three if number is not None) / 3
    else:
        last = known[max(known)]
    if sign > 0 and value == 0 and last == 0:
        return Outcome(NO_DATA, "no_data")
    gain = sign * (value - last)
    name = "worse" if gain < -steady * abs(last) else "better" if gain > steady * abs(last) else "steady"
    change = gain / abs(last) if last else 0.0 if gain == 0 else math.nan
    return _outcome(rule, name, margin=change, threshold=last, words=words)


def _slope(rule: Rule, series: Mapping[int, float], sign: float, words: Mapping[str, float | str]) -> Outcome:
    """Judge the median slope of a series of five points or more."""
    slopes = pair_slopes(series)
    slope, middle = float(np.median(slopes)), float(np.median(list(series.values())))
    agree = float((np.sign(slopes) == np.sign(slope)).mean()) if slope else 1.0
    gain = sign * slope
    flat = abs(slope) <= float(rule.parameters.get("steady", 0.0)) * abs(middle)
    flat |= agree < float(rule.parameters.get("agreement", 0.0))
    name = "steady" if flat else "worse" if gain < 0 else "better"
    change = gain / abs(middle) if middle else 0.0 if gain == 0 else math.nan
    return _outcome(rule, name, margin=change, threshold=middle, words=words)


def pair_slopes(series: Mapping[int, float]) -> npt.NDArray[np.float64]:
    """Slopes between all pairs of points of a series, per year."""
    years = np.array(sorted(series), dtype=float)
    values = np.array([series[int(year)] for year in years])
    first, second = np.triu_indices(len(years), k=1)
    return np.asarray((values[second] - values[first]) / (years[second] - years[first]))


def theil_sen(series: Mapping[int, float]) -> float:
    """Median of the slopes between all pairs of points, per year.

    >>> theil_sen({2015: 1.0, 2016: 2.0, 2017: 30.0, 2018: 4.0, 2019: 5.0})
    1.0
    """
    return float(np.median(pair_slopes(series)))


def spatial_conflict(
    rule: Rule, *, area_m2: float, width_m: float, permit_state: str, fits: bool = True
) -> Outcome:
    """Judge a change of land on the wrong side of a line.

    Parameters
    ----------
    rule : Rule
        ``parameters["min_area_m2"]``: reported from this area on the line upward, whatever its share of the patch;
        ``parameters["min_width_m"]``: thinner pieces are slivers of boundary mismatch.
        Outcomes: ``small``, ``sliver``, and the permit states 已批, 批少占多, 未批先建, 过期, 无, 不确定; rules of an
        activity also 不符.
    area_m2 : float
        Ellipsoidal area on the wrong side, m².
    width_m : float
        Mean width of that piece, m.
    permit_state : str
        How the piece is covered by permits.
    fits : bool
        Whether what stands there fits the activity stated for it; asked by rules of an activity only.

    Returns
    -------
    Outcome
        ``margin = min_area_m2 - area_m2`` (m²), ``threshold`` the least area reported.
    """
    if _missing(area_m2, width_m):
        return Outcome(NO_DATA, "no_data")
    least = float(rule.parameters["min_area_m2"])
    if width_m < float(rule.parameters["min_width_m"]):
        name = "sliver"
    elif area_m2 < least:
        name = "small"
    else:
        name = permit_state if fits else MISFIT
    return _outcome(rule, name, margin=least - area_m2, threshold=least)


def consistency(rule: Rule, *, value: float | None, other: float | None) -> Outcome:
    """Judge two numbers that must agree within a relative or an absolute tolerance, whichever is wider.

    Parameters
    ----------
    rule : Rule
        ``parameters["relative"]`` as share of ``other`` and ``tolerance`` in the unit of the value.
        Outcomes: ``agrees``, ``differs``.
    value, other : float
        The number checked and the number it is held against, in one unit.

    Returns
    -------
    Outcome
        ``margin`` = allowed difference minus the difference found, in the unit of the value.
    """
    if value is None or other is None or _missing(value, other):
        return Outcome(NO_DATA, "no_data")
    allowed = max(rule.tolerance, float(rule.parameters.get("relative", 0.0)) * abs(other))
    margin = allowed - abs(value - other)
    return _outcome(rule, "agrees" if margin >= 0 else "differs", margin=margin, threshold=other)


def freshness(rule: Rule, *, data_year: float | None, year: int) -> Outcome:
    """Judge whether data are recent enough for the report year.

    Parameters
    ----------
    rule : Rule
        ``parameters["lag_years"]``: the data year may be this much before the report year.
        Outcomes: ``fresh``, ``stale``.
    data_year : float
        Year the data describe; NaN when not stated.
    year : int
        Report year.

    Returns
    -------
    Outcome
        ``threshold`` the earliest year allowed, ``margin`` in years.
    """
    if data_year is None or _missing(data_year):
        return Outcome(NO_DATA, "no_data")
    earliest = year - float(rule.parameters["lag_years"])
    margin = data_year - earliest
    return _outcome(rule, "fresh" if margin >= 0 else "stale", margin=margin, threshold=earliest)


def peer_band(rule: Rule, *, value: float | None, peers: Sequence[float] | None) -> Outcome:
    """Note a value outside the band of its peers: median ± ``k`` times the interquartile range.

    Parameters
    ----------
    rule : Rule
        ``parameters["k"]`` (1.5) and ``["least"]``, the number of peers without which there is no band (5).
        Outcomes: ``inside``, ``outside``; being different is no fault, so neither is more than a note.
    value : float
        The value held against the others.
    peers : sequence of float
        Values of the peers in one unit, the value itself not among them; missing ones are left out.

    Returns
    -------
    Outcome
        ``threshold`` the median of the peers, ``margin`` the distance to the nearer edge of the band, negative
        outside; ``words["low"]`` and ``["high"]`` its edges.
    """
    known = np.array([number for number in (peers or ()) if not _missing(number)], dtype=float)
    if value is None or _missing(value) or len(known) < int(rule.parameters.get("least", 5)):
        return Outcome(NO_DATA, "no_data")
    low, middle, high = np.percentile(known, [25, 50, 75])
    reach = float(rule.parameters.get("k", 1.5)) * (high - low)
    margin = float(reach - abs(value - middle))
    words: dict[str, float | str] = {"low": float(middle - reach), "high": float(middle + reach)}
    name = "inside" if margin >= 0 else "outside"
    return _outcome(rule, name, margin=margin, threshold=float(middle), words=words)


KINDS: dict[str, Callable[..., Outcome]] = {
    "floor": floor,
    "cap": cap,
    "path": path,
    "trend": trend,
    "spatial_conflict": spatial_conflict,
    "consistency": consistency,
    "freshness": freshness,
    "peer_band": peer_band,
}
"""Kind name as written in a rule -> the function that judges."""

OUTCOMES: dict[str, frozenset[str]] = {
    "floor": frozenset({"met", "near", "breached"}),
    "cap": frozenset({"met", "near", "reached", "breached"}),
    "path": frozenset({"on_path", "behind", "far_behind"}),
    "trend": frozenset({"better", "steady", "worse"}),
    "spatial_conflict": frozenset(
        {"small", "sliver", "已批", "批少占多", "未批先建", "过期", "无", "不确定"}
    ),
    "consistency": frozenset({"agrees", "differs"}),
    "freshness": frozenset({"fresh", "stale"}),
    "peer_band": frozenset({"inside", "outside"}),
}
"""Outcomes each kind can give, besides ``no_data``; a rule's ``levels`` must name every one of them."""


def judge(rule: Rule, **given: object) -> Outcome:
    """Let the rule's kind judge what is given.

    Examples
    --------
    >>> from workbench.rules.library import load_rules
    >>> judge(load_rules()["target_floor_binding"], value=68.5, target=68.03).outcome
    'near'
    """
    return KINDS[rule.kind](rule, **given)
