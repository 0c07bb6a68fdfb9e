"""Timetables: a feed written by hand, and two published ones counted again in plain Python."""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.catalog.formats.gtfs import departures, ordinary_day, read_feed, seconds, services_on
from workbench.catalog.presets import gtfs_stops
from workbench.core.errors import DataQualityError, ParameterError
from workbench.operators.transit import service

TABLES = {
    "stops": "stop_id,stop_name,stop_lat,stop_lon\nA,起点,23.1,113.2\nB,中,23.1,113.3\nC,末,23.1,113.4\nX,无坐标,,\n",
    "trips": "route_id,service_id,trip_id,direction_id\n1,wk,t1,0\n1,wk,t2,0\n2,wk,t3,0\n1,sat,s1,0\n9,wk,f1,0\n1,wk,late,1\n",
    "stop_times": "trip_id,arrival_time,departure_time,stop_id,stop_sequence,pickup_type\n"
    "t1,07:00:00,07:00:00,A,1,0\nt1,,,B,2,0\nt1,07:20:00,07:20:00,C,3,0\n"
    "t2,07:30:00,07:30:00,A,1,0\nt2,07:40:00,07:40:00,B,2,1\nt2,07:50:00,07:50:00,C,3,0\n"
    "t3,07:45:00,07:45:00,A,10,0\nt3,08:00:00,08:00:00,B,20,0\n"
    "s1,09:00:00,09:00:00,A,1,0\ns1,09:30:00,09:30:00,C,2,0\n"
    "f1,00:00:00,00:00:00,B,1,0\nf1,00:10:00,00:10:00,C,2,0\n"
    "late,25:10:00,25:10:00,A,1,0\nlate,25:30:00,25:30:00,C,2,0\n",
    "calendar": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
    "wk,1,1,1,1,1,0,0,20250301,20250331\nsat,0,0,0,0,0,1,0,20250301,20250331\n",
    "calendar_dates": "service_id,date,exception_type\nwk,20250312,2\nsat,20250312,1\n",
    "frequencies": "trip_id,start_time,end_time,headway_secs\nf1,07:00:00,08:00:00,600\n",
}
WEDNESDAY = dt.date(2025, 3, 5)


def feed(folder: Path, **changed: str | None) -> Path:
    path = folder / "feed.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**TABLES, **changed}.items():
            if text is not None:
                archive.writestr(f"{name}.txt", text)
    return path


def test_calendar_and_its_exceptions(tmp_path: Path) -> None:
    found = read_feed(feed(tmp_path))
    assert services_on(found, WEDNESDAY) == {"wk"}
    assert services_on(found, dt.date(2025, 3, 8)) == {"sat"}
    assert services_on(found, dt.date(2025, 3, 12)) == {
        "sat"
    }  # a holiday: the week's service off, Saturday's on
    assert services_on(found, dt.date(2025, 4, 2)) == frozenset()
    assert found.span() == (dt.date(2025, 3, 1), dt.date(2025, 3, 31))
    assert ordinary_day(found, near=dt.date(2025, 3, 12)) in {dt.date(2025, 3, 5), dt.date(2025, 3, 19)}
    with pytest.raises(ParameterError, match="does not speak of this day"):
        departures(found, dt.date(2025, 6, 4))


def test_departures_by_hand(tmp_path: Path) -> None:
    found = departures(read_feed(feed(tmp_path)), WEDNESDAY)
    here = {stop: sorted(rows["seconds"] / 60) for stop, rows in found.groupby("stop_id")}
    # 70: the trip of Tuesday evening at 25:10; 420, 450, 465: t1, t2, t3
    assert here["A"] == [70.0, 420.0, 450.0, 465.0]
    # 430: between the timing points of t1; t2 may not be boarded at B; six departures by frequency from 7:00 to 7:50
    assert here["B"] == [420.0, 430.0, 430.0, 440.0, 450.0, 460.0, 470.0]
    assert "C" not in here  # nobody leaves from a last stop
    assert found.loc[found["interpolated"], ["trip_id", "stop_id"]].to_numpy().tolist() == [["t1", "B"]]


def test_headways_by_hand(tmp_path: Path) -> None:
    found = departures(read_feed(feed(tmp_path)), WEDNESDAY)
    table = service(found, {"am": (7, 8), "noon": (12, 13)}).set_index(["stop_id", "window"])
    assert table.index.tolist() == [("A", "am"), ("B", "am")]
    a, b = table.loc[("A", "am")], table.loc[("B", "am")]
    assert a[["departures", "lines", "headway_min", "best_headway_min", "longest_gap_min"]].tolist() == [
        3,
        2,
        20.0,
        30.0,
        30.0,
    ]
    assert b[["departures", "lines", "best_headway_min", "longest_gap_min"]].tolist() == [7, 2, 10.0, 10.0]
    with pytest.raises(ParameterError, match="within one day"):
        service(found, {"late": (23, 25)})


def test_stops_without_a_place_are_left_out(tmp_path: Path) -> None:
    stops = read_feed(feed(tmp_path)).stops
    assert stops["stop_id"].tolist() == ["A", "B", "C"]
    assert stops.crs.to_epsg() == 4326


def test_times() -> None:
    found = seconds(pd.Series(["7:05:09", " 24:00:00", "", None, "7:65:00", "noon"]))
    assert found[:2].tolist() == [7 * 3600 + 5 * 60 + 9, 86_400]
    assert np.isnan(found[2:]).all()


def test_broken_feeds(tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_text("not a zip")
    with pytest.raises(DataQualityError, match="not a GTFS timetable"):
        read_feed(tmp_path / "no.zip")
    with pytest.raises(DataQualityError, match="lacks a table"):
        read_feed(feed(tmp_path, stop_times=None))
    with pytest.raises(DataQualityError, match="lacks columns"):
        read_feed(feed(tmp_path, trips="route_id,trip_id\n1,t1\n"))
    with pytest.raises(DataQualityError, match="no day of service"):
        read_feed(feed(tmp_path, calendar=None, calendar_dates=None))
    bad = TABLES["calendar"].replace("20250301", "1 March")
    with pytest.raises(DataQualityError, match="cannot be read"):
        read_feed(feed(tmp_path, calendar=bad)).span()
    no_day = read_feed(
        feed(tmp_path, calendar=TABLES["calendar"].replace("wk,1,1,1", "wk,1,1,0"), calendar_dates=None)
    )
    with pytest.raises(DataQualityError, match="no trip runs"):
        ordinary_day(no_day)


def plain_count(path: Path, day: str, weekday: str, low: int, high: int) -> Counter[str]:
    """Departures of a window by stop, read with the csv module alone; timing points only."""
    with zipfile.ZipFile(path) as archive:

        def rows(name: str) -> list[dict[str, str]]:
            with archive.open(name) as stream:
                return list(csv.DictReader(io.TextIOWrapper(stream, "utf-8-sig"), skipinitialspace=True))

        running = {
            r["service_id"]
            for r in rows("calendar.txt")
            if r[weekday] == "1" and r["start_date"] <= day <= r["end_date"]
        }
        names = archive.namelist()
        for r in rows("calendar_dates.txt") if "calendar_dates.txt" in names else []:
            if r["date"] == day:
                (running.add if r["exception_type"] == "1" else running.discard)(r["service_id"])
        trips = {r["trip_id"] for r in rows("trips.txt") if r["service_id"] in running}
        last: dict[str, int] = {}
        kept = []
        for r in rows("stop_times.txt"):
            if r["trip_id"] in trips:
                order = int(r["stop_sequence"])
                last[r["trip_id"]] = max(last.get(r["trip_id"], -1), order)
                kept.append((r["trip_id"], r["stop_id"], order, r["departure_time"]))
    found: Counter[str] = Counter()
    for trip, stop, order, text in kept:
        if text and order < last[trip]:
            h, m, s = map(int, text.split(":"))
            found[stop] += low * 3600 <= h * 3600 + m * 60 + s < high * 3600
    return +found


@pytest.mark.parametrize(
    ("city", "name", "day"),
    [
        ("las_palmas", "gtfs_guaguas_20230222.zip", dt.date(2023, 2, 22)),
        ("porto_alegre", "poa_trensurb.zip", dt.date(2019, 5, 8)),
    ],
)
def test_published_timetables(city: str, name: str, day: dt.date, real_data: Path) -> None:
    path = real_data / "city" / city / name
    table = service(departures(read_feed(path), day), {"am": (7, 9)})
    expected = plain_count(path, day.strftime("%Y%m%d"), "wednesday", 7, 9)
    assert dict(zip(table["stop_id"], table["departures"], strict=True)) == dict(expected)
    assert (table["headway_min"] == 120 / table["departures"]).all()


def plain_stops(path: Path, day: str, weekday: str, low: int, high: int) -> Counter[str]:
    """Departures of each stop, those between two timing points set evenly between them: csv and loops alone."""
    with zipfile.ZipFile(path) as archive:

        def rows(name: str) -> list[dict[str, str]]:
            with archive.open(name) as stream:
                return list(csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8-sig")))

        running = {
            r["service_id"]
            for r in rows("calendar.txt")
            if r[weekday] == "1" and r["start_date"] <= day <= r["end_date"]
        }
        for r in rows("calendar_dates.txt"):
            if r["date"] == day:
                (running.add if r["exception_type"] == "1" else running.discard)(r["service_id"])
        trips: dict[str, list[tuple[int, str, str]]] = {
            r["trip_id"]: [] for r in rows("trips.txt") if r["service_id"] in running
        }
        for r in rows("stop_times.txt"):
            if r["trip_id"] in trips:
                trips[r["trip_id"]].append((int(r["stop_sequence"]), r["stop_id"], r["departure_time"]))
    found: Counter[str] = Counter()
    for calls in trips.values():
        calls.sort()
        told = [k for k, (_, _, text) in enumerate(calls) if text]
        at = {
            k: sum(int(part) * unit for part, unit in zip(calls[k][2].split(":"), (3600, 60, 1), strict=True))
            for k in told
        }
        for k, (_, stop, _) in enumerate(calls[:-1]):
            before = max((one for one in told if one <= k), default=None)
            after = min((one for one in told if one >= k), default=None)
            if before is None or after is None:
                continue
            share = (k - before) / (after - before) if after > before else 0.0
            found[stop] += low * 3600 <= at[before] + share * (at[after] - at[before]) < high * 3600
    return +found


def test_headway_of_porto_alegre_by_plain_loops(real_data: Path) -> None:
    """All stops of the bus feed, between timing points too, by csv and loops; the ordinary Wednesday is 2019-04-17."""
    path = real_data / "city" / "porto_alegre" / "poa_eptc.zip"
    stops, findings = gtfs_stops(path, dt.date(2019, 4, 15))
    expected = plain_stops(path, "20190417", "wednesday", 7, 19)
    told = stops.set_index("stop_id")["headway_min"].dropna()
    assert not findings and set(told.index) == set(expected) and len(stops) == 3986
    assert told.to_dict() == pytest.approx({stop: 720 / number for stop, number in expected.items()})
