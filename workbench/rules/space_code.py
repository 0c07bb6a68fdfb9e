"""空间码: a number for a place of a kind, the same whenever and by whomever it is computed, with a check digit.

Twenty-four characters: kind (2), year (4), longitude (8) and latitude (8) of the centroid in hundred-thousandths of
a degree counted from 180° W and 90° S, serial (1), check digit (1) of ISO 7064 MOD 11-2 as in citizens' numbers.
A code of the project's own: no official layout of the 空间码 was found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyproj
import shapely

from workbench.core.errors import DataQualityError, ParameterError

KIND_CODES: dict[str, str] = {
    "permanent_farmland": "11", "ecological_red_line": "12", "development_boundary": "13",
    "green_line": "21", "blue_line": "22", "purple_line": "23", "yellow_line": "24",
    "nature_reserve": "31", "flood_line": "32", "heritage_line": "33", "mineral_line": "34", "industrial_line": "35",
    "land_use": "41", "change_patches": "42", "projects": "51", "permits": "52", "parcels": "61",
}  # fmt: skip
"""Kind of place (role of a line or layer) -> first two digits. Numbers are never given to another kind."""
LENGTH = 24
_STEPS = 100_000


@dataclass(frozen=True)
class Place:
    """What a space code says."""

    kind: str
    """Role of the line or layer."""
    year: int
    """Year of the change."""
    lon: float
    """Degrees east, south-west corner of the cell."""
    lat: float
    """Degrees north, south-west corner of the cell."""
    serial: int
    """0, or the number of further places of the kind in one cell."""


@lru_cache(maxsize=16)
def _to_lonlat(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs, "EPSG:4490", always_xy=True)


def check_digit(text: str) -> str:
    """Check digit of ISO 7064 MOD 11-2; it detects every single wrong digit and every swap of two.

    >>> check_digit("11010519491231002")
    'X'
    """
    rest = 0
    for letter in text:
        rest = (rest + int(letter)) * 2 % 11
    return "0123456789X"[(12 - rest) % 11]


def space_code(geometry: Any, crs: Any, kind: str, year: int, *, serial: int = 0) -> str:
    """Space code of a place.

    Parameters
    ----------
    geometry : shapely geometry
        Not empty; only its centroid counts.
    crs : anything ``pyproj.CRS.from_user_input`` takes
        CRS of the geometry, x before y.
    kind : str
        Key of :data:`KIND_CODES`.
    year : int
        Year of the change, four digits.
    serial : int, default 0
        0 to 9: tells places of one kind apart whose centroids lie in one cell of about a metre.

    Returns
    -------
    str
        24 characters; digits, the last one may be ``X``.

    Raises
    ------
    ParameterError
        Unknown kind, year not of four digits, more than ten places in a cell.
    DataQualityError
        No geometry, or coordinates outside the earth.

    Examples
    --------
    >>> space_code(shapely.Point(113.26441, 23.12911), "EPSG:4490", "permanent_farmland", 2025)
    '112025293264411131291108'
    """
    if kind not in KIND_CODES:
        raise ParameterError("unknown kind of place", found=kind, expected=", ".join(KIND_CODES))
    if not 1000 <= year <= 9999 or not 0 <= serial <= 9:
        raise ParameterError(
            "no room in the space code", found=(year, serial), expected="year of 4 digits, serial 0-9"
        )
    if geometry is None or shapely.is_empty(geometry):
        raise DataQualityError("a place without geometry has no space code")
    middle = shapely.centroid(geometry)
    lon, lat = _to_lonlat(pyproj.CRS.from_user_input(crs).to_wkt()).transform(
        shapely.get_x(middle), shapely.get_y(middle)
    )
    if not (math.isfinite(lon) and math.isfinite(lat) and -180 <= lon < 180 and -90 <= lat < 90):
        raise DataQualityError("coordinates outside the earth", found=(lon, lat))
    east, north = (math.floor(round(value * _STEPS, 3)) for value in (lon + 180, lat + 90))
    digits = f"{KIND_CODES[kind]}{year:04d}{east:08d}{north:08d}{serial}"
    return digits + check_digit(digits)


def is_valid(code: str) -> bool:
    """Whether a text is a space code: its length, its kind and its check digit.

    >>> is_valid("112025293264411131291108"), is_valid("112025293264411131291109")
    (True, False)
    """
    body = code[:-1]
    return (
        len(code) == LENGTH
        and body.isascii()
        and body.isdigit()
        and body[:2] in KIND_CODES.values()
        and check_digit(body) == code[-1]
    )


def read_code(code: str) -> Place:
    """What a space code says of its place.

    Raises
    ------
    DataQualityError
        When the text is no space code or its check digit is wrong.

    Examples
    --------
    >>> read_code("112025293264411131291108").lon
    113.26441
    """
    if not is_valid(code):
        raise DataQualityError(
            "not a space code, or a digit is wrong", found=code, expected=f"{LENGTH} characters"
        )
    kind = {number: name for name, number in KIND_CODES.items()}[code[:2]]
    lon, lat = int(code[6:14]) / _STEPS - 180, int(code[14:22]) / _STEPS - 90
    return Place(kind, int(code[2:6]), round(lon, 5), round(lat, 5), int(code[22]))
