"""Service of public transport: headways by stop and time of day from the departures of a timetable.

Departures come from :func:`workbench.catalog.formats.gtfs.departures`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workbench.core.errors import ParameterError


def service(found: pd.DataFrame, windows: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
    """Departures and headways of each stop in each window of the day.

    Parameters
    ----------
    found : DataFrame
        From :func:`departures`.
    windows : mapping of str to (hour, hour)
        From (inclusive) and to (exclusive), hours after midnight, within one day.

    Returns
    -------
    DataFrame[stop_id, window, departures, lines, headway_min, best_headway_min, longest_gap_min, interpolated]
        ``headway_min``: minutes of the window over all departures; ``best_headway_min``: the same of the most frequent
        line and direction alone, what a rider with one destination sees; ``longest_gap_min``: longest wait between
        departures, the window's ends included. Only stops with a departure in the window.

    Examples
    --------
    >>> day = pd.DataFrame({"stop_id": "a", "route_id": ["1", "1", "2"], "direction": "0", "trip_id": ["x", "y", "z"],
    ...                     "seconds": [25200.0, 27000.0, 27000.0], "interpolated": False})
    >>> service(day, {"am": (7, 8)})[["departures", "headway_min", "best_headway_min", "longest_gap_min"]].values.tolist()
    [[3.0, 20.0, 30.0, 30.0]]
    """
    parts = []
    for name, (begin, end) in windows.items():
        if not 0 <= begin < end <= 24:
            raise ParameterError(
                "a window lies within one day", where=name, found=(begin, end), expected="0 to 24 hours"
            )
        low, high = begin * 3600, end * 3600
        here = found[(found["seconds"] >= low) & (found["seconds"] < high)]
        if here.empty:
            continue
        minutes = (high - low) / 60
        by_stop = here.groupby("stop_id", sort=True)
        by_line = here.groupby(["stop_id", "route_id", "direction"], sort=True).size()
        count = by_stop.size()
        parts.append(
            pd.DataFrame(
                {
                    "window": name,
                    "departures": count,
                    "lines": here.groupby("stop_id")["route_id"].nunique(),
                    "headway_min": minutes / count,
                    "best_headway_min": minutes / by_line.groupby(level=0).max(),
                    "longest_gap_min": _longest_gap(here, low, high),
                    "interpolated": by_stop["interpolated"].mean() * 100,
                }
            ).reset_index()
        )
    columns = [
        "stop_id",
        "window",
        "departures",
        "lines",
        "headway_min",
        "best_headway_min",
        "longest_gap_min",
        "interpolated",
    ]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _longest_gap(here: pd.DataFrame, low: float, high: float) -> pd.Series[float]:
    ordered = here.sort_values(["stop_id", "seconds"], kind="stable")
    groups = ordered.groupby("stop_id")["seconds"]
    between = groups.diff().groupby(ordered["stop_id"]).max().fillna(0.0)
    ends = pd.concat([groups.min() - low, high - groups.max()], axis=1).max(axis=1)
    gap: pd.Series[float] = pd.concat([between, ends], axis=1).max(axis=1) / 60
    return gap
