"""Timetables in GTFS: stops, days of service and departures.

The calendar is honoured (``calendar.txt`` and the exceptions of ``calendar_dates.txt``), trips after midnight belong to the
evening before, trips given by frequency are unrolled, and times between timing points are interpolated. The last stop of a trip
has no departure, nor has a stop where nobody may board. Reference: gtfs.org, *GTFS Schedule Reference*.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.errors import DataQualityError, ParameterError

Floats = npt.NDArray[np.float64]
DAY = 86_400
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NEEDED = {
    "stops": ("stop_id", "stop_lat", "stop_lon"),
    "trips": ("trip_id", "route_id", "service_id"),
    "stop_times": ("trip_id", "stop_id", "stop_sequence", "departure_time"),
}
_ALLOWED = {
    "calendar": ("service_id", "start_date", "end_date", *WEEKDAYS),
    "calendar_dates": ("service_id", "date", "exception_type"),
    "frequencies": ("trip_id", "start_time", "end_time", "headway_secs"),
}
LONGEST_SPAN_DAYS = 3_660
"""A calendar longer than this is looked at for this many days from its start."""


@dataclass(frozen=True, eq=False)
class Feed:
    """Tables of a timetable, all columns as text."""

    name: str
    """File it was read from."""
    tables: Mapping[str, pd.DataFrame]
    """``stops, trips, stop_times`` and, where there, ``calendar, calendar_dates, frequencies``."""

    @property
    def stops(self) -> gpd.GeoDataFrame:
        """Stops with ``stop_id, name`` as points in EPSG:4326; those without coordinates are left out."""
        table = self.tables["stops"]
        at = table[["stop_lon", "stop_lat"]].apply(pd.to_numeric, errors="coerce")
        keep = at.notna().all(axis=1) & at["stop_lat"].abs().le(90) & at["stop_lon"].abs().le(180)
        name = table["stop_name"] if "stop_name" in table else table["stop_id"]
        return gpd.GeoDataFrame(
            {"stop_id": table["stop_id"][keep].to_numpy(), "name": name[keep].fillna("").to_numpy()},
            geometry=gpd.points_from_xy(at["stop_lon"][keep], at["stop_lat"][keep]),
            crs="EPSG:4326",
        )

    def span(self) -> tuple[dt.date, dt.date]:
        """First and last day the calendar speaks of."""
        days: list[str] = []
        if "calendar" in self.tables:
            table = self.tables["calendar"]
            days += [*table["start_date"], *table["end_date"]]
        if "calendar_dates" in self.tables:
            added = self.tables["calendar_dates"]
            days += list(added.loc[added["exception_type"] == "1", "date"])
        if not days:
            raise DataQualityError(
                "the timetable names no day of service", where=self.name, expected="calendar.txt"
            )
        parsed = [_day(one, self.name) for one in days]
        return min(parsed), max(parsed)


def _day(text: str, where: str) -> dt.date:
    try:
        return dt.datetime.strptime(str(text).strip(), "%Y%m%d").date()
    except ValueError as error:
        raise DataQualityError("a date of the timetable cannot be read", where=where, found=text) from error


def read_feed(path: Path | str) -> Feed:
    """Read a GTFS archive.

    Raises
    ------
    DataQualityError
        When it is no zip archive, or tables or columns that every timetable has are absent.
    """
    file = Path(path)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, FileNotFoundError) as error:
        raise DataQualityError(
            "not a GTFS timetable", where=file.name, found=str(error), expected="a zip archive"
        ) from error
    tables = {}
    with archive:
        names = {Path(one).name: one for one in archive.namelist()}
        for table, columns in {**_NEEDED, **_ALLOWED}.items():
            if f"{table}.txt" not in names:
                if table in _NEEDED:
                    raise DataQualityError(
                        "the timetable lacks a table", where=file.name, expected=f"{table}.txt"
                    )
                continue
            with archive.open(names[f"{table}.txt"]) as stream:
                text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
                found = pd.read_csv(text, dtype=str, quoting=csv.QUOTE_MINIMAL, skipinitialspace=True)
            found.columns = found.columns.str.strip()
            if absent := [one for one in columns if one not in found]:
                raise DataQualityError(
                    "a table of the timetable lacks columns",
                    where=f"{file.name}: {table}.txt",
                    expected=absent,
                )
            tables[table] = found
    if "calendar" not in tables and "calendar_dates" not in tables:
        raise DataQualityError(
            "the timetable names no day of service", where=file.name, expected="calendar.txt"
        )
    return Feed(file.name, tables)


def services_on(feed: Feed, day: dt.date) -> frozenset[str]:
    """Services that run on a day: the weekly calendar between its dates, with the exceptions of the day."""
    running: set[str] = set()
    text = day.strftime("%Y%m%d")
    if "calendar" in feed.tables:
        table = feed.tables["calendar"]
        on = (
            (table[WEEKDAYS[day.weekday()]].str.strip() == "1")
            & (table["start_date"] <= text)
            & (table["end_date"] >= text)
        )
        running |= set(table.loc[on, "service_id"])
    if "calendar_dates" in feed.tables:
        table = feed.tables["calendar_dates"]
        today = table[table["date"].str.strip() == text]
        running |= set(today.loc[today["exception_type"].str.strip() == "1", "service_id"])
        running -= set(today.loc[today["exception_type"].str.strip() == "2", "service_id"])
    return frozenset(running)


def stated_day(text: str) -> dt.date | None:
    """Day written as 2025-03-05; None for anything else.

    >>> stated_day("2019-04-15"), stated_day("2019")
    (datetime.date(2019, 4, 15), None)
    """
    try:
        return dt.date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def ordinary_day(feed: Feed, *, weekday: int = 2, near: dt.date | None = None) -> dt.date:
    """The day of a weekday (Monday is 0) with the usual number of trips, nearest to a date; the middle of the calendar else.

    Days with an unusual number of trips (holidays) are passed over: the number that occurs most often is the usual one.

    Raises
    ------
    DataQualityError
        When no trip runs on any such day.
    """
    first, last = feed.span()
    last = min(last, first + dt.timedelta(days=LONGEST_SPAN_DAYS))
    trips = feed.tables["trips"].groupby("service_id").size()
    start = first + dt.timedelta(days=(weekday - first.weekday()) % 7)
    days = [start + dt.timedelta(days=7 * k) for k in range(max(0, (last - start).days // 7 + 1))]
    known: dict[frozenset[str], int] = {}
    counts = []
    for day in days:
        running = services_on(feed, day)
        if running not in known:
            known[running] = int(trips.reindex(list(running)).fillna(0).sum())
        counts.append(known[running])
    count = pd.Series(counts, index=days, dtype=int)
    count = count[count > 0]
    if count.empty:
        raise DataQualityError("no trip runs on this weekday", where=feed.name, found=WEEKDAYS[weekday])
    usual = count[count == count.value_counts().index[0]]
    wanted = near or first + (last - first) / 2
    found: dt.date = min(usual.index, key=lambda day: (abs((day - wanted).days), day))
    return found


def seconds(times: pd.Series) -> Floats:
    """Seconds after midnight of ``H:MM:SS`` (hours may pass 24); nan where empty or not a time."""
    parts = times.astype("string").str.strip().str.extract(r"^(\d{1,3}):([0-5]\d):([0-5]\d)$").astype(float)
    found: Floats = (parts[0] * 3600 + parts[1] * 60 + parts[2]).to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def _filled(times: pd.DataFrame) -> pd.DataFrame:
    """Departures of all stops of each trip; between timing points by the way (where told), else by the number of stops."""
    found = times.sort_values(["trip_id", "sequence"], kind="stable").reset_index(drop=True)
    trip = found["trip_id"].to_numpy()
    told = np.isfinite(found["seconds"].to_numpy())
    row = np.arange(len(found), dtype=np.float64)
    start = np.r_[True, trip[1:] != trip[:-1]] if len(trip) else np.zeros(0, dtype=bool)
    number = np.cumsum(start) - 1
    axis = row
    if "way" in found and np.isfinite(found["way"].to_numpy()).all():
        way = found["way"].to_numpy()
        low, high = (pd.Series(way).groupby(number).transform(name).to_numpy() for name in ("min", "max"))
        axis = number * 2.0 + np.where(high > low, (way - low) / np.where(high > low, high - low, 1.0), 0.0)
        if (np.diff(axis) < 0).any():  # distances that do not grow along a trip say nothing
            axis = row
    if told.any() and not told.all():
        filled = np.interp(axis, axis[told], found["seconds"].to_numpy()[told])
        before = np.maximum.accumulate(np.where(told, number, -1))
        after = np.minimum.accumulate(np.where(told, number, number.max() + 1)[::-1])[::-1]
        inside = (before == number) & (after == number)  # between two timing points of one trip
        found["seconds"] = np.where(told | inside, filled, np.nan)
    found["interpolated"] = ~told
    return found


def departures(feed: Feed, day: dt.date) -> pd.DataFrame:
    """All departures of a calendar day, those of the evening's trips after midnight of the day before included.

    Parameters
    ----------
    feed : Feed
        From :func:`read_feed`.
    day : datetime.date
        Within the calendar.

    Returns
    -------
    DataFrame[stop_id, route_id, direction, trip_id, seconds, interpolated]
        ``seconds`` after midnight of the day, 0 to 86,399; sorted by stop and time.

    Raises
    ------
    ParameterError
        When the day lies outside the calendar: an empty timetable would read as no service.
    """
    first, last = feed.span()
    if not first <= day <= last:
        raise ParameterError(
            "the timetable does not speak of this day",
            where=feed.name,
            found=str(day),
            expected=f"{first} to {last}",
        )
    parts = [_running(feed, day, 0), _running(feed, day - dt.timedelta(days=1), DAY)]
    found = pd.concat(parts, ignore_index=True)
    return found.sort_values(["stop_id", "seconds", "trip_id"], kind="stable").reset_index(drop=True)


def _running(feed: Feed, day: dt.date, less: int) -> pd.DataFrame:
    """Departures of the services of a day, ``less`` seconds earlier, that fall into 24 hours."""
    trips = feed.tables["trips"]
    trips = trips[trips["service_id"].isin(services_on(feed, day))]
    times = feed.tables["stop_times"]
    times = times[times["trip_id"].isin(trips["trip_id"])]
    table = pd.DataFrame(
        {
            "trip_id": times["trip_id"],
            "stop_id": times["stop_id"],
            "sequence": pd.to_numeric(times["stop_sequence"], errors="coerce"),
            "seconds": seconds(times["departure_time"]),
            "boards": (times["pickup_type"].fillna("0").str.strip() != "1")
            if "pickup_type" in times
            else True,
        }
    )
    if "shape_dist_traveled" in times:
        table["way"] = pd.to_numeric(times["shape_dist_traveled"], errors="coerce")
    table = _filled(table)
    last = (
        np.r_[table["trip_id"].to_numpy()[1:] != table["trip_id"].to_numpy()[:-1], True] if len(table) else []
    )
    table = _unrolled(feed, table.assign(last=last))
    table = table[~table["last"].astype(bool) & table["boards"].astype(bool) & table["seconds"].notna()]
    table["seconds"] = table["seconds"] - less
    table = table[table["seconds"].between(0, DAY - 1)]
    by_trip = trips.drop_duplicates("trip_id").set_index("trip_id")
    direction = (
        by_trip["direction_id"].fillna("")
        if "direction_id" in by_trip
        else pd.Series("", index=by_trip.index)
    )
    return pd.DataFrame(
        {
            "stop_id": table["stop_id"],
            "route_id": table["trip_id"].map(by_trip["route_id"]),
            "direction": table["trip_id"].map(direction),
            "trip_id": table["trip_id"],
            "seconds": table["seconds"].astype(np.float64),
            "interpolated": table["interpolated"].astype(bool),
        }
    )


def _unrolled(feed: Feed, table: pd.DataFrame) -> pd.DataFrame:
    """Trips given by frequency, repeated from start to end (exclusive) at their headway."""
    if "frequencies" not in feed.tables or feed.tables["frequencies"].empty or table.empty:
        return table
    rules = feed.tables["frequencies"]
    rules = rules[rules["trip_id"].isin(table["trip_id"])]
    begin, end = seconds(rules["start_time"]), seconds(rules["end_time"])
    headway = pd.to_numeric(rules["headway_secs"], errors="coerce").to_numpy(dtype=np.float64)
    if not ((headway > 0) & np.isfinite(begin) & np.isfinite(end)).all():
        raise DataQualityError(
            "a frequency of the timetable cannot be read", where=f"{feed.name}: frequencies.txt"
        )
    starts = pd.DataFrame(
        [
            (trip, t)
            for trip, a, b, h in zip(rules["trip_id"], begin, end, headway, strict=True)
            for t in np.arange(a, b, h)
        ],
        columns=["trip_id", "start"],
    )
    fixed = table[~table["trip_id"].isin(rules["trip_id"])]
    pattern = table[table["trip_id"].isin(rules["trip_id"])].copy()
    pattern["seconds"] -= pattern.groupby("trip_id")["seconds"].transform("first")
    rolled = pattern.merge(starts, on="trip_id", how="inner")
    rolled["seconds"] += rolled["start"]
    return pd.concat([fixed, rolled.drop(columns="start")], ignore_index=True)
