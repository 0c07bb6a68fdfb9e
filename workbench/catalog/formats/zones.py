"""Gauss-Krüger zones: eastings with and without the zone's number, swapped axes, neighbouring zones."""

from __future__ import annotations

import pyproj

from workbench.core.errors import CRSError

Bounds = tuple[float, float, float, float]
REACH_M = 500_000.0
"""Eastings farther than this from the zone's middle belong to another way of counting."""
NORTHINGS = (1.6e6, 6.2e6)
"""Northings of China."""
FIRST_ZONE, LAST_ZONE = 25, 45
"""3-degree zones of China; EPSG numbers them from 4513 (with the zone before the easting) and 4534 (without)."""


def false_easting(crs: pyproj.CRS) -> float | None:
    """Easting of a transverse Mercator zone's middle; None for other projections."""
    operation = crs.coordinate_operation
    if not crs.is_projected or operation is None or operation.method_name != "Transverse Mercator":
        return None
    found = [p.value for p in operation.params if p.name == "False easting"]
    return float(found[0]) if found else None


def zone_code(zone: int, *, prefix: bool) -> str:
    """EPSG code of a CGCS2000 3-degree zone.

    Examples
    --------
    >>> zone_code(38, prefix=True), zone_code(38, prefix=False)
    ('EPSG:4526', 'EPSG:4547')
    """
    return f"EPSG:{(4513 if prefix else 4534) + zone - FIRST_ZONE}"


def _is_prefixed(value: float) -> bool:
    return 13e6 <= value < 46e6


def check(bounds: Bounds, crs: pyproj.CRS, where: str) -> None:
    """Refuse coordinates that cannot be of their CRS by the very form of their eastings.

    Raises
    ------
    CRSError
        When the easting has a zone's number that the CRS has not, or lacks one it has, or names another zone, or
        when northings stand where eastings should.
    """
    middle = false_easting(crs)
    if middle is None:
        return
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    if not (x == x and y == y) or abs(x - middle) <= REACH_M:
        return
    what = hint = None
    if NORTHINGS[0] < x < NORTHINGS[1] and (0 < y < 1e6 or _is_prefixed(y)):
        what, hint = "the axes are swapped: northings stand first", "let the holder write the easting first"
    elif _is_prefixed(x) and middle < 1e6:
        zone = int(x // 1e6)
        what = f"the eastings carry the zone number {zone}, which this CRS does not have"
        hint = _with_zone(zone)
    elif _is_prefixed(x):
        what = f"the eastings are of zone {int(x // 1e6)}, the CRS is of zone {int(middle // 1e6)}"
        hint = _with_zone(int(x // 1e6))
    elif middle >= 1e6 and 0 < x < 1e6:
        zone = int(middle // 1e6)
        what = f"the eastings lack the zone number {zone}, which this CRS has"
        hint = "ask the holder for the zone without its number"
        if FIRST_ZONE <= zone <= LAST_ZONE:
            hint = f"without the number, zone {zone} of CGCS2000 is {zone_code(zone, prefix=False)}"
    if what is not None:
        raise CRSError(what, where=where, found=f"{x:.0f}, {y:.0f}", expected=crs.name, hint=hint)


def _with_zone(zone: int) -> str:
    if FIRST_ZONE <= zone <= LAST_ZONE:
        return f"if the datum is CGCS2000, the 3-degree zone {zone} with its number is {zone_code(zone, prefix=True)}"
    return f"zone {zone} is one of 6 degrees: ask the holder for the CRS"


def would_fit(bounds: Bounds, crs: pyproj.CRS, city: Bounds) -> list[str]:
    """CGCS2000 3-degree zones in which coordinates that miss the city would lie in it: a hint, never an answer.

    Parameters
    ----------
    bounds : tuple
        Extent in ``crs``.
    city : tuple
        Extent of the city in degrees.
    """
    middle = false_easting(crs)
    datum = crs.geodetic_crs.name if crs.geodetic_crs is not None else ""
    if middle is None or datum != "China Geodetic Coordinate System 2000":
        return []
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    found = []
    for zone in range(FIRST_ZONE, LAST_ZONE + 1):
        code = zone_code(zone, prefix=middle >= 1e6)
        if pyproj.CRS.from_user_input(code) == crs:
            continue
        lon, lat = pyproj.Transformer.from_crs(code, "EPSG:4490", always_xy=True).transform(x, y)
        if city[0] <= lon <= city[2] and city[1] <= lat <= city[3]:
            found.append(code)
    return found
