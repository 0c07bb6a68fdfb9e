"""Named readings of well-known formats: OpenStreetMap tags and GTFS timetables to standard fields."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from workbench.catalog.formats import gtfs
from workbench.catalog.quality import Finding
from workbench.core.cells import cell_shapes
from workbench.core.errors import DataQualityError

ROAD_CLASS = {
    **{
        f"{c}{s}": c for c in ("motorway", "trunk", "primary", "secondary", "tertiary") for s in ("", "_link")
    },
    **dict.fromkeys(("residential", "unclassified", "living_street", "road"), "residential"),
    **dict.fromkeys(("footway", "pedestrian", "corridor"), "footway"),
    **{c: c for c in ("service", "path", "track", "cycleway", "steps")},
    "busway": "service",
}
"""OSM ``highway`` -> standard road class; other values are no road."""
DRIVE_KMH = {
    "motorway": 100.0, "trunk": 80.0, "primary": 60.0, "secondary": 50.0, "tertiary": 40.0, "residential": 30.0,
    "service": 20.0,
}  # fmt: skip
"""Speed assumed where no ``maxspeed`` is mapped, km/h; classes not listed carry no cars (0)."""
NOT_WALKABLE = {"motorway", "trunk"}
"""Classes closed to walkers; a trunk road whose ``foot`` says so is open, a motorway never."""
CARRIAGEWAYS = {"motorway", "trunk"}
"""Classes OSM draws as two one-way lines: each is half of the route."""


def osm_roads(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Roads from OSM ways: class from ``highway``, walkable by class and ``foot``, speed from ``maxspeed``.

    ``route_share`` is the part of a line's length that counts as length of road: half of a one-way motorway or trunk road,
    which OSM draws once a direction, nothing of slip roads. One-way lines of lesser roads count whole, since they may be
    one-way streets.
    """
    frame = frame[frame["highway"].isin(list(ROAD_CLASS))].copy()
    road_class = frame["highway"].map(ROAD_CLASS)
    foot = frame["foot"] if "foot" in frame else pd.Series(None, index=frame.index, dtype=object)
    walkable = ~road_class.isin(NOT_WALKABLE) & ~frame["highway"].eq("busway")
    opened = foot.isin(["yes", "designated", "permissive"]) & ~road_class.eq(
        "motorway"
    )  # never on a motorway
    walkable = (walkable | opened) & ~foot.isin(["no", "private"])
    default = road_class.map(DRIVE_KMH).fillna(0.0)
    stated = pd.to_numeric(frame["maxspeed"], errors="coerce") if "maxspeed" in frame else np.nan
    frame["road_id"] = frame["id"].astype(str)
    frame["road_class"], frame["walkable"] = road_class, walkable
    oneway = frame["oneway"].isin(["yes", "1", "-1", "true"]) if "oneway" in frame else False
    half = road_class.eq("motorway") | (road_class.isin(CARRIAGEWAYS) & oneway)  # a motorway need not say so
    share = np.where(half, 0.5, 1.0)
    frame["route_share"] = np.where(frame["highway"].str.endswith("_link"), 0.0, share)
    frame["drive_kmh"] = default.where((default == 0) | pd.isna(stated), stated).astype(float)
    return frame


FACILITY_RULES: list[tuple[str, str, frozenset[str]]] = [
    ("hospital", "amenity", frozenset({"hospital"})),
    ("hospital", "healthcare", frozenset({"hospital"})),
    ("community_health", "amenity", frozenset({"clinic", "doctors"})),
    ("community_health", "healthcare", frozenset({"clinic", "centre", "doctor"})),
    ("pharmacy", "amenity", frozenset({"pharmacy"})),
    ("pharmacy", "healthcare", frozenset({"pharmacy"})),
    ("kindergarten", "amenity", frozenset({"kindergarten"})),
    ("elderly_care", "amenity", frozenset({"nursing_home"})),
    ("culture", "amenity", frozenset({"library", "theatre", "arts_centre", "community_centre", "cinema"})),
    ("culture", "tourism", frozenset({"museum", "gallery"})),
    ("market", "amenity", frozenset({"marketplace"})),
    ("supermarket", "shop", frozenset({"supermarket"})),
    ("bank", "amenity", frozenset({"bank"})),
    ("police", "amenity", frozenset({"police"})),
    ("fire_station", "amenity", frozenset({"fire_station"})),
    ("station_bus", "amenity", frozenset({"bus_station"})),
    (
        "sports",
        "leisure",
        frozenset({"sports_centre", "sports_hall", "stadium", "fitness_station", "pitch", "track"}),
    ),
]
"""Standard kind, OSM key, OSM values; the first rule that fits decides. OSM schools state no grade and are told
by name (``PRIMARY_WORDS``, ``MIDDLE_WORDS``), homes for the elderly among social facilities too (``ELDERLY_WORDS``);
those whose name says neither are left out. An OSM ``shelter`` is a bus or picnic shelter, not an emergency one; an OSM
``university`` is a campus, a faculty or an office and a ``college`` mostly a training firm, so that neither can be
counted as institutions of higher education: they are left out too."""
PRIMARY_WORDS = r"\b(?:CEIP|C\.E\.I\.P\.?|CEO|primaria|primary)\b|小学"
"""Spanish, English and Chinese marks of a primary school."""
MIDDLE_WORDS = r"\b(?:IES|I\.E\.S\.?|secundaria|secondary)\b|中学"
"""Marks of a secondary school."""
ELDERLY_WORDS = r"\b(?:ancianos|mayores|tercera edad|3ª edad|nursing home|elderly)\b|养老|敬老"
"""Marks of a home for the elderly."""


def osm_facilities(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Facilities from OSM points of interest by their tags; rows of no standard kind are left out."""
    kind = pd.Series("", index=frame.index, dtype=object)
    name = frame["name"].fillna("") if "name" in frame else pd.Series("", index=frame.index)
    for value, key, tags in FACILITY_RULES:
        if key in frame:
            kind = kind.mask((kind == "") & frame[key].isin(list(tags)), value)
    school = (kind == "") & frame["amenity"].eq("school")
    kind = kind.mask(school & name.str.contains(PRIMARY_WORDS, case=False, regex=True), "primary_school")
    kind = kind.mask(
        school & (kind == "") & name.str.contains(MIDDLE_WORDS, case=False, regex=True), "middle_school"
    )
    social = (kind == "") & frame["amenity"].eq("social_facility")
    kind = kind.mask(social & name.str.contains(ELDERLY_WORDS, case=False, regex=True), "elderly_care")
    frame = frame.assign(kind=kind, name=name, facility_id=_osm_id(frame))
    return frame[frame["kind"] != ""]


def osm_parks(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Public parks from OSM areas; gardens, pitches and protected land are not parks and are left out."""
    frame = frame[frame["leisure"].isin(["park", "square", "common"])].copy()
    frame["park_id"], frame["name"] = _osm_id(frame), frame["name"].fillna("")
    square = frame["leisure"].eq("square") | frame["name"].str.match(
        r"(?i)^(?:plaza|plazoleta|square)\b|.*广场$"
    )
    frame["kind"] = np.where(square, "square", "park")
    return frame


def osm_buildings(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Read buildings from OSM areas: floors and height where mapped, never guessed."""
    frame = frame.copy()
    frame["building_id"] = _osm_id(frame)
    frame["use"] = frame["building"].replace({"yes": ""}).fillna("")
    for field, tag in (("floors", "building:levels"), ("height_m", "height")):
        frame[field] = pd.to_numeric(frame[tag], errors="coerce") if tag in frame else np.nan
    return frame


def zone_points(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Figures of zones at a point inside each zone: right for sums over whole zones, coarse for distances."""
    return frame.set_geometry(frame.geometry.make_valid().representative_point())


def point_cells(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Cells around the centres of a regular grid (squares, hexagons): the area nearer to a centre than to the others."""
    plane = frame.to_crs(frame.estimate_utm_crs())
    return plane.set_geometry(cell_shapes(plane.geometry), crs=plane.crs).to_crs(frame.crs)


def _osm_id(frame: gpd.GeoDataFrame) -> pd.Series:
    prefix = frame["osm_type"].astype(str) + "/" if "osm_type" in frame else ""
    found: pd.Series = prefix + frame["id"].astype(str)
    return found


PRESETS: dict[str, Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame]] = {
    "osm_roads": osm_roads,
    "osm_facilities": osm_facilities,
    "osm_parks": osm_parks,
    "osm_buildings": osm_buildings,
    "zone_points": zone_points,
    "point_cells": point_cells,
}
"""Presets applied to a frame just read; ``gtfs_stops`` reads the file itself."""


HOURS = (7, 19)
"""Hours of the day a stop's headway is the mean of: from the first, to before the second."""
WEDNESDAY = 2
"""As :meth:`datetime.date.weekday` counts."""


def gtfs_stops(path: Path, near: dt.date | None = None) -> tuple[gpd.GeoDataFrame, list[Finding]]:
    """Read the stops of a GTFS timetable in EPSG:4326, with the mean headway of an ordinary Wednesday.

    The headway is 60 × 12 minutes over the number of departures from 07:00 to before 19:00 of all lines and both directions
    of a stop together; NaN without departures. Days of service, exceptions and times between timing points are read by
    :mod:`workbench.catalog.formats.gtfs`; the last stop of a trip has no departure.

    Parameters
    ----------
    path : Path
        The archive.
    near : date, optional
        The ordinary Wednesday nearest to this day is read; to the middle of the calendar when not given.

    Returns
    -------
    GeoDataFrame[stop_id, name, headway_min, geometry], list of Finding
        A finding where the calendar has no such day: stops without headways.
    """
    feed = gtfs.read_feed(path)
    stops, findings = feed.stops, []
    first, last = (hour * 3600 for hour in HOURS)
    number = pd.Series(np.nan, index=stops.index)
    try:
        found = gtfs.departures(feed, gtfs.ordinary_day(feed, weekday=WEDNESDAY, near=near))
    except DataQualityError as error:
        zh, en = (
            f"时刻表没有普通周三的班次，站点无发车间隔：{error}",
            f"no ordinary Wednesday, stops without headway: {error}",
        )
        findings.append(Finding("no_ordinary_day", "warning", len(stops), float("nan"), "", zh, en))
    else:
        inside = found[(found["seconds"] >= first) & (found["seconds"] < last)]
        number = stops["stop_id"].map(inside.groupby("stop_id").size())
    return stops.assign(headway_min=(last - first) / 60 / number)[
        [*stops.columns[:-1], "headway_min", "geometry"]
    ], findings
