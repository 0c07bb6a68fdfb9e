"""A bureau's own parameters from Beijing 54, Xi'an 80 or a local plane to CGCS2000, as a TOML file states them.

There are no public ones; a file on these datums is read only with such a file, and its check points must come out.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj

from workbench.core.errors import CRSError, ProfileError

SEVEN = ("dx_m", "dy_m", "dz_m", "rx_sec", "ry_sec", "rz_sec", "scale_ppm")
FOUR = ("north_m", "east_m", "rotation_sec", "scale_ppm")
CONVENTIONS = ("position_vector", "coordinate_frame")
Pair = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class DatumParameters:
    """Parameters of one conversion."""

    method: str
    """``seven`` (Bursa-Wolf between datums) or ``four`` (similarity between two planes)."""
    start: pyproj.CRS
    """Seven: geographic CRS of the old datum; four: the plane of the file."""
    target: pyproj.CRS
    """Seven: geographic CRS of the new datum; four: the plane to come out on."""
    values: dict[str, float]
    """The parameters by the names of :data:`SEVEN` or :data:`FOUR`."""
    convention: str
    """Seven: sense of the rotations, ``position_vector`` or ``coordinate_frame``."""
    source: str
    """Who gave them."""

    def fits(self, crs: pyproj.CRS) -> bool:
        """Whether they are for a file of this CRS."""
        if self.method == "four":
            return bool(crs == self.start)
        return crs.geodetic_crs is not None and crs.geodetic_crs.name == self.start.name

    def convert(self, crs: pyproj.CRS, x: npt.ArrayLike, y: npt.ArrayLike) -> Pair:
        """Coordinates of a file's CRS (x east, y north, or degrees) on :attr:`target`; heights count as 0."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if self.method == "four":
            return self._four(x, y)
        lon, lat = pyproj.Transformer.from_crs(crs, self.start, always_xy=True).transform(x, y)
        east, north, _ = self._helmert().transform(lon, lat, np.zeros_like(np.asarray(lon)))
        return np.asarray(east), np.asarray(north)

    def _four(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Pair:
        turn = np.radians(self.values["rotation_sec"] / 3600)
        scale = 1 + self.values["scale_ppm"] * 1e-6
        north = self.values["north_m"] + scale * (y * np.cos(turn) - x * np.sin(turn))
        east = self.values["east_m"] + scale * (y * np.sin(turn) + x * np.cos(turn))
        return east, north

    def _helmert(self) -> pyproj.Transformer:
        v = self.values
        steps = [
            "+proj=unitconvert +xy_in=deg +xy_out=rad",
            f"+proj=cart {_ellipsoid(self.start)}",
            f"+proj=helmert +x={v['dx_m']!r} +y={v['dy_m']!r} +z={v['dz_m']!r} +rx={v['rx_sec']!r} +ry={v['ry_sec']!r}"
            f" +rz={v['rz_sec']!r} +s={v['scale_ppm']!r} +convention={self.convention}",
            f"+inv +proj=cart {_ellipsoid(self.target)}",
            "+proj=unitconvert +xy_in=rad +xy_out=deg",
        ]
        return pyproj.Transformer.from_pipeline("+proj=pipeline " + " ".join(f"+step {s}" for s in steps))


def _ellipsoid(crs: pyproj.CRS) -> str:
    assert crs.ellipsoid is not None
    return f"+a={crs.ellipsoid.semi_major_metre!r} +rf={crs.ellipsoid.inverse_flattening!r}"


def load(path: Path) -> DatumParameters:
    """Read a file of parameters and try its check points.

    Raises
    ------
    ProfileError
        When a key is missing, unknown or cannot be used.
    CRSError
        When a check point does not come out within its tolerance: most often the sense of the rotations.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"not valid TOML: {error}", where=path.name) from error
    method = content.get("method")
    if method not in ("seven", "four"):
        raise ProfileError(
            "unknown method", where=f"{path.name}: method", found=method, expected="seven or four"
        )
    names = SEVEN if method == "seven" else FOUR
    known = {
        "method",
        "from",
        "to",
        "source",
        "check",
        *names,
        *(["convention"] if method == "seven" else []),
    }
    if unknown := sorted(set(content) - known):
        raise ProfileError(
            "unknown key", where=f"{path.name}: {unknown[0]}", expected=", ".join(sorted(known))
        )
    if missing := sorted((known - {"check"}) - set(content)):
        raise ProfileError(
            "key missing", where=f"{path.name}: {missing[0]}", expected=", ".join(sorted(known))
        )
    values = {name: _number(content[name], f"{path.name}: {name}") for name in names}
    convention = str(content.get("convention", CONVENTIONS[0]))
    if convention not in CONVENTIONS:
        raise ProfileError("unknown sense of rotation", where=f"{path.name}: convention", found=convention,
                           expected=" or ".join(CONVENTIONS))  # fmt: skip
    start, target = (_crs(content[key], f"{path.name}: {key}", method) for key in ("from", "to"))
    made = DatumParameters(method, start, target, values, convention, str(content["source"]))
    _try(made, content.get("check", []), path.name)
    return made


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ProfileError("expected a number", where=where, found=value)
    return float(value)


def _crs(value: Any, where: str, method: str) -> pyproj.CRS:
    try:
        crs = pyproj.CRS.from_user_input(value)
    except pyproj.exceptions.CRSError as error:
        raise ProfileError("not a CRS", where=where, found=value, expected="an EPSG code") from error
    if crs.is_geographic != (method == "seven"):
        expected = (
            "a geographic CRS, e.g. EPSG:4610" if method == "seven" else "a projected CRS, e.g. EPSG:2382"
        )
        raise ProfileError(
            "the wrong kind of CRS for this method", where=where, found=crs.name, expected=expected
        )
    return crs


def _try(parameters: DatumParameters, points: Any, where: str) -> None:
    """Convert the check points; the distance to where they should come out must be within the tolerance."""
    for number, point in enumerate(points, 1):
        try:
            (x, y), (wanted_x, wanted_y) = point["from"], point["to"]
            tolerance = float(point.get("tolerance_m", 0.1))
        except (KeyError, TypeError, ValueError) as error:
            raise ProfileError(
                "a check point cannot be read",
                where=f"{where}: check {number}",
                expected="from = [x, y], to = [x, y]",
            ) from error
        east, north = parameters.convert(parameters.start, [x], [y])
        if parameters.method == "four":
            off = float(np.hypot(east[0] - wanted_x, north[0] - wanted_y))
        else:
            geod = parameters.target.get_geod()
            assert geod is not None
            off = float(geod.inv(east[0], north[0], wanted_x, wanted_y)[2])
        if not off <= tolerance:
            raise CRSError(
                "a check point does not come out where it should",
                where=f"{where}: check {number}",
                found=f"{off:.3f} m off",
                expected=f"at most {tolerance} m",
                hint="often the sense of the rotations or the order of north and east is the other one",
            )
