"""Exchange text of parcel corners (界址点坐标文件, ``.txt``): a head that states the system, then parcels with their rings.

After ``[地块坐标]`` each parcel has a line ``点数,面积,地块编号,地块名称,图形类型,图幅号,地块用途,地类编码,@`` and then a line
``J1,圈号,X,Y`` a corner; X is the northing. The head says datum, zone width and zone; nothing is guessed from coordinates.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from workbench.catalog.formats.coordinates import parcel
from workbench.catalog.formats.zones import NORTHINGS
from workbench.catalog.quality import Finding
from workbench.core.errors import CRSError, ProfileError

HEAD, BODY = "属性描述", "地块坐标"
FIELDS = ("点数", "面积", "地块编号", "地块名称", "图形类型", "图幅号", "地块用途", "地类编码")
"""Of a parcel, in the order of its line."""
DATUMS: dict[str, tuple[str, ...]] = {
    "CGCS2000": ("2000", "CGCS"),
    "Xian 1980": ("80", "西安"),
    "Beijing 1954": ("54", "北京"),
}
"""Datum -> parts of the names it has in the head."""
ZONES: dict[tuple[str, int], tuple[int, int]] = {
    ("CGCS2000", 3): (4513, 4534), ("CGCS2000", 6): (4491, 4502),
    ("Xian 1980", 3): (2349, 2370), ("Xian 1980", 6): (2327, 2338),
    ("Beijing 1954", 3): (2401, 2422), ("Beijing 1954", 6): (21413, 21453),
}  # fmt: skip
"""Datum and width -> EPSG code of the first zone, with its number before the easting and without."""
FIRST, LAST = {3: 25, 6: 13}, {3: 45, 6: 23}
"""Zones of China by width."""
AT_M = 0.001
"""A ring whose ends are this close is closed."""


@dataclass
class _Parcel:
    """A parcel being read."""

    line: int
    values: list[str]
    rings: list[str] = field(default_factory=list)
    north: list[float] = field(default_factory=list)
    east: list[float] = field(default_factory=list)
    broken: str = ""

    @property
    def name(self) -> str:
        """What a reader knows it by."""
        return self.values[2] or self.values[3] or f"line {self.line}"


def is_corner_text(path: Path) -> bool:
    """Whether a text file is one of parcel corners, by its sections."""
    if path.suffix.lower() != ".txt" or not path.is_file():
        return False
    with path.open("rb") as stream:
        start = stream.read(8192)
    return any(
        f"[{BODY}]".encode(name) in start or f"[{HEAD}]".encode(name) in start
        for name in ("utf-8", "gb18030")
    )


def read(
    path: Path, where: str, *, crs: str | None = None, encoding: str | None = None
) -> tuple[gpd.GeoDataFrame, list[Finding]]:
    """Parcels of a text of corners, in the CRS its head states.

    Rings of one parcel: one within another is a hole, one beside it a further part. A ring that is not closed is closed and
    told. A parcel with a line that cannot be read, or a ring of fewer than three corners, comes without shape and is told;
    the others stand.

    Parameters
    ----------
    path : Path
        File.
    where : str
        What messages call it.
    crs : str, optional
        CRS given for a head that states no known system; then the result has none of its own.
    encoding : str, optional
        Encoding of the text; else UTF-8 or GB 18030, as its bytes allow.

    Returns
    -------
    GeoDataFrame
        The fields of :data:`FIELDS` that have a value anywhere, and the shapes.

    Raises
    ------
    ProfileError
        When it is no such text, or holds no parcel.
    CRSError
        When the system is unknown, contradicts itself or the coordinates, or northing and easting are swapped.
    """
    head, parcels = _sections(_text(path, where, encoding).splitlines(), where)
    findings: list[Finding] = []
    east, north = (
        np.concatenate([np.array(getattr(one, axis)) for one in parcels]) for axis in ("east", "north")
    )
    _check_axes(east, north, where)
    system = _system(head, east, where, given=crs is not None)
    if shift := [value for value in head.get("转换参数", "").split(",") if _number(value) not in (None, 0.0)]:
        zh, en = f"文件头写有转换参数（{','.join(shift)}），没有采用", f"the head states parameters of a conversion ({','.join(shift)}), not applied"  # fmt: skip
        findings.append(Finding("conversion_stated", "warning", 1, np.nan, "", zh, en))
    shapes = [_shape(one) for one in parcels]
    findings += _told(parcels)
    columns = {name: [one.values[at] for one in parcels] for at, name in enumerate(FIELDS)}
    frame = {name: [value or None for value in values] for name, values in columns.items() if any(values)}
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=system), findings


def _text(path: Path, where: str, encoding: str | None) -> str:
    raw = path.read_bytes()
    for name in [encoding] if encoding else ["utf-8-sig", "gb18030"]:
        try:
            return raw.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    raise ProfileError("the text is in no known encoding", where=where, found=encoding or "neither UTF-8 nor GB 18030",
                       hint='give the real one, e.g. encoding = "gb18030"')  # fmt: skip


def _sections(lines: list[str], where: str) -> tuple[dict[str, str], list[_Parcel]]:
    """Statements of the head, and the parcels."""
    head: dict[str, str] = {}
    parcels: list[_Parcel] = []
    section = ""
    for number, raw in enumerate(lines, 1):
        line = unicodedata.normalize("NFKC", raw).strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section == HEAD and "=" in line:
            key, _, value = line.partition("=")
            head[key.strip()] = value.strip()
        elif section == BODY and line.rstrip(",").endswith("@"):
            values = [value.strip() for value in line.rstrip(",")[:-1].rstrip(",").split(",")]
            parcels.append(_Parcel(number, (values + [""] * len(FIELDS))[: len(FIELDS)]))
        elif section == BODY and line:
            if not parcels:
                raise ProfileError("a corner stands before any parcel", where=f"{where}: line {number}", found=line,
                                   expected="a line that ends with @")  # fmt: skip
            _corner(parcels[-1], line, number)
    if not parcels or not any(one.north for one in parcels):
        raise ProfileError("the text holds no parcel", where=where, expected=f"a section [{BODY}] with lines that end with @ and corners below")  # fmt: skip
    return head, parcels


def _corner(one: _Parcel, line: str, number: int) -> None:
    """Add a corner to its parcel; a line that cannot be read breaks the parcel."""
    values = [value.strip() for value in line.split(",")]
    north, east = (_number(value) for value in values[2:4]) if len(values) >= 4 else (None, None)
    if north is None or east is None:
        one.broken = one.broken or f"line {number}"
        return
    one.rings.append(values[1])
    one.north.append(north)
    one.east.append(east)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _check_axes(east: np.ndarray, north: np.ndarray, where: str) -> None:
    """Refuse degrees and swapped columns: the form says that the northing stands first."""
    x, y = float(np.median(north)), float(np.median(east))
    if NORTHINGS[0] < x < NORTHINGS[1]:
        return
    found = f"{x:.3f}, {y:.3f}"
    if NORTHINGS[0] < y < NORTHINGS[1]:
        raise CRSError("northing and easting are swapped: the easting stands first", where=where, found=found,
                       expected="J1,圈号,X (northing),Y (easting)", hint="let the holder write the northing first")  # fmt: skip
    raise CRSError("the coordinates are no northings and eastings of China in metres", where=where, found=found,
                   expected="northings of 7 digits first, then eastings of 6 or 8")  # fmt: skip


def _system(head: dict[str, str], east: np.ndarray, where: str, *, given: bool) -> pyproj.CRS | None:
    """CRS the head states; None where it states no known one and another is given."""
    stated = head.get("坐标系", "")
    datum = next(
        (name for name, parts in DATUMS.items() if any(part in stated.upper() for part in parts)), None
    )
    width, zone = (_number(head.get(key, "").strip("度带")) for key in ("几度分带", "带号"))
    problem = ""
    if datum is None:
        problem = f"坐标系 = {stated}"
    elif head.get("计量单位", "米") not in ("", "米", "m", "M"):
        problem = f"计量单位 = {head['计量单位']}"
    elif head.get("投影类型", "高斯").upper().startswith(("高斯", "GAUSS")) is False:
        problem = f"投影类型 = {head['投影类型']}"
    elif width not in FIRST:
        problem = f"几度分带 = {head.get('几度分带', '')}"
    elif zone is None or not FIRST[int(width)] <= zone <= LAST[int(width)]:
        problem = f"带号 = {head.get('带号', '')}"
    if problem:
        if given and datum is None:
            return None
        raise CRSError("the head states no reference system that is known", where=f"{where}: [{HEAD}]", found=problem,
                       expected="坐标系 2000国家大地坐标系, 几度分带 3 or 6, 投影类型 高斯克吕格, 计量单位 米, 带号",
                       hint="ask the holder; a head without 坐标系 may be completed with --crs")  # fmt: skip
    assert datum is not None and width is not None and zone is not None
    carried = {int(value // 1e6) for value in east}
    if carried not in ({0}, {int(zone)}):
        raise CRSError("the eastings do not fit the zone the head states", where=where, found=f"{float(np.median(east)):.3f}",
                       expected=f"zone {int(zone)}: {int(zone)}500000 or 500000 in its middle", hint="ask the holder which zone holds")  # fmt: skip
    numbered, plain = ZONES[datum, int(width)]
    return pyproj.CRS.from_epsg((plain if carried == {0} else numbered) + int(zone) - FIRST[int(width)])


def _shape(one: _Parcel) -> shapely.Geometry | None:
    """Shape of a parcel's corners; None where they make none."""
    if one.broken or one.values[4] not in ("", "面", "多边形"):
        return None
    east, north = np.array(one.east), np.array(one.north)
    return parcel(east, north, np.array(one.rings, dtype=object)) if len(east) else None


def _told(parcels: list[_Parcel]) -> list[Finding]:
    """What is wrong with parcels: lines, kinds, rings, numbers of corners."""
    found: dict[str, list[str]] = {"corners": [], "kind": [], "open": [], "count": []}
    for one in parcels:
        if one.values[4] not in ("", "面", "多边形"):
            found["kind"].append(f"{one.name} ({one.values[4]})")
        elif one.broken or _shape(one) is None:
            found["corners"].append(f"{one.name} ({one.broken})" if one.broken else one.name)
        else:
            ends = _open_rings(one)
            found["open"] += [one.name] if ends else []
            stated, distinct = _number(one.values[0]), len(one.rings) - len(set(one.rings)) + ends
            found["count"] += [one.name] if stated not in (None, len(one.rings), distinct) else []
    words = {
        "corners": ("error", "{n} 个地块的界址点无法成面（坐标缺失或不足三点），如 {of}", "the corners of {n} parcels make no polygon (one unreadable, or fewer than three): {of}"),
        "kind": ("warning", "{n} 个地块的图形类型不是面，未读取，如 {of}", "{n} parcels are no areas by their 图形类型 and were left without shape: {of}"),
        "open": ("warning", "{n} 个地块的界址线没有闭合（末点不是首点），已按首点闭合，如 {of}", "the rings of {n} parcels were not closed (the last corner is not the first) and were closed: {of}"),
        "count": ("warning", "{n} 个地块的点数与实际界址点数不符，如 {of}", "{n} parcels state another number of corners than they have: {of}"),
    }  # fmt: skip
    told = []
    for check, names in found.items():
        if names:
            severity, zh, en = words[check]
            of, n = "、".join(names[:3]), len(names)
            told.append(Finding(f"corner_{check}" if check != "corners" else check, "error" if severity == "error" else "warning",
                                n, np.nan, "", zh.format(n=n, of=of), en.format(n=n, of=of)))  # fmt: skip
    return told


def _open_rings(one: _Parcel) -> int:
    """Rings whose last corner is not their first."""
    names, at = np.array(one.rings, dtype=object), np.column_stack((one.east, one.north))
    rings = [at[names == name] for name in dict.fromkeys(one.rings)]
    return sum(bool(np.hypot(*(ring[0] - ring[-1])) > AT_M) for ring in rings)
