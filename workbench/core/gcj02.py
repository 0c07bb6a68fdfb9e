"""GCJ-02, the offset datum of Chinese web maps: forward transform, and its inverse by iteration.

No authority publishes the transform. The series used here is the one in common use, on the Krasovsky 1940
ellipsoid; it agrees with coordinates published by map services to about a metre. The inverse is exact to the
forward transform (below 1e-9 degree), so what remains is the forward transform's own error.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyproj
import shapely

Floats = npt.NDArray[np.float64]

SEMI_MAJOR_M = 6378245.0
"""Krasovsky 1940 semi-major axis."""
ECCENTRICITY_2 = 0.00669342162296594323
"""Squared eccentricity of the same ellipsoid."""
CHINA = (72.004, 0.8293, 137.8347, 55.8271)
"""West, south, east, north of the rectangle where the offset is applied, in degrees."""


def _waves(x: Floats, first: float, second: float) -> Floats:
    """Sine terms shared by both directions, in metres of the series."""
    terms = 20.0 * np.sin(x * np.pi) + 40.0 * np.sin(x * np.pi / 3.0)
    terms += first * np.sin(x * np.pi / 12.0) + second * np.sin(x * np.pi / 30.0)
    return (2.0 / 3.0) * terms


def _shift(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Offset in degrees of GCJ-02 from WGS 84 at WGS 84 places."""
    x, y = lon - 105.0, lat - 35.0
    common = (2.0 / 3.0) * (20.0 * np.sin(6.0 * x * np.pi) + 20.0 * np.sin(2.0 * x * np.pi))
    root = np.sqrt(np.abs(x))
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + common
    north = north + _waves(y, 160.0, 320.0)
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + common
    east = east + _waves(x, 150.0, 300.0)
    phi = np.radians(lat)
    w = 1.0 - ECCENTRICITY_2 * np.sin(phi) ** 2
    meridian = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_2) / (w * np.sqrt(w))
    parallel = SEMI_MAJOR_M / np.sqrt(w) * np.cos(phi)
    inside = (lon >= CHINA[0]) & (lon <= CHINA[2]) & (lat >= CHINA[1]) & (lat <= CHINA[3])
    return np.where(inside, np.degrees(east / parallel), 0.0), np.where(
        inside, np.degrees(north / meridian), 0.0
    )


def from_wgs84(lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Floats, Floats]:
    """GCJ-02 longitude and latitude (degrees) of WGS 84 places; places outside China are unchanged."""
    x, y = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
    dx, dy = _shift(x, y)
    return x + dx, y + dy


def to_wgs84(lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Floats, Floats]:
    """WGS 84 longitude and latitude (degrees) of GCJ-02 places, by fixed-point iteration.

    Examples
    --------
    >>> there = from_wgs84(113.264, 23.129)
    >>> [round(float(v), 9) for v in to_wgs84(*there)]
    [113.264, 23.129]
    """
    goal_x, goal_y = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
    x, y = goal_x.copy(), goal_y.copy()
    for _ in range(12):  # each step shrinks the error by about 1e-4
        dx, dy = _shift(x, y)
        step = max(np.max(np.abs(goal_x - dx - x), initial=0.0), np.max(np.abs(goal_y - dy - y), initial=0.0))
        x, y = goal_x - dx, goal_y - dy
        if step < 1e-12:
            break
    return x, y


def geometries_to_wgs84(geometries: npt.ArrayLike) -> npt.NDArray[np.object_]:
    """Geometries with GCJ-02 degrees, moved to WGS 84 degrees vertex by vertex."""

    def move(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.column_stack(to_wgs84(xy[:, 0], xy[:, 1]))

    moved: npt.NDArray[np.object_] = shapely.transform(np.asarray(geometries, dtype=object), move)
    return moved


def offset_m(lon: npt.ArrayLike, lat: npt.ArrayLike) -> Floats:
    """Metres on the ellipsoid between GCJ-02 places and the WGS 84 places they stand for."""
    x, y = np.atleast_1d(np.asarray(lon, dtype=float)), np.atleast_1d(np.asarray(lat, dtype=float))
    true_x, true_y = to_wgs84(x, y)
    distance: Floats = pyproj.Geod(ellps="WGS84").inv(x, y, true_x, true_y)[2]
    return distance
