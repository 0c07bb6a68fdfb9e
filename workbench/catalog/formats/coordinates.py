"""Tables of coordinates (界址点): corners of parcels or single points, as shapes."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.catalog.formats.sheets import column_of
from workbench.catalog.formats.zones import NORTHINGS
from workbench.catalog.quality import Finding
from workbench.core.errors import CRSError, ProfileError

GROUP = (
    "地块编号",
    "地块号",
    "宗地代码",
    "宗地号",
    "宗地编号",
    "图斑编号",
    "图斑号",
    "项目编号",
    "DKBH",
    "ZDDM",
    "TBBH",
    "地块名称",
    "DKMC",
)
RING = ("圈号", "地块圈号", "环号", "QH")
CORNER = ("界址点号", "点号", "拐点编号", "拐点号", "界址点", "JZDH")
FIRST = ("X", "X坐标", "纵坐标", "北坐标", "纵坐标X", "X纵坐标")
"""Names of the northing by the custom of Chinese surveying, which calls north X."""
SECOND = ("Y", "Y坐标", "横坐标", "东坐标", "横坐标Y", "Y横坐标")
LON, LAT = ("经度", "LON", "LNG", "LONGITUDE", "经度坐标"), ("纬度", "LAT", "LATITUDE", "纬度坐标")
Numbers = npt.NDArray[np.float64]


def is_table(frame: pd.DataFrame) -> bool:
    """Whether a table has two columns of coordinates."""
    pairs = ((FIRST, SECOND), (LON, LAT))
    return any(column_of(frame, a) is not None and column_of(frame, b) is not None for a, b in pairs)


def shapes(
    frame: pd.DataFrame, where: str, *, points: bool = False
) -> tuple[gpd.GeoDataFrame, list[Finding]]:
    """Shapes of a table of coordinates, without CRS: a point a row, or a polygon a parcel from the rows of its corners.

    A parcel with several rings (圈号) has holes where a ring lies within another. A parcel with an unreadable corner
    or fewer than three comes without shape, and the others stand.

    Raises
    ------
    ProfileError
        When there are no coordinates, or corners without the parcel they belong to.
    CRSError
        When the numbers are neither degrees nor northings and eastings of China.
    """
    east, north, findings, used = _axes(frame, where)
    bad = ~(np.isfinite(east) & np.isfinite(north))
    corner = column_of(frame, CORNER)
    if points or (corner is None and column_of(frame, GROUP) is None):
        made = np.asarray(shapely.points(east, north), dtype=object)
        made[bad] = None
        return gpd.GeoDataFrame(frame.drop(columns=used), geometry=made), findings
    group = column_of(frame, GROUP)
    if group is None:
        raise ProfileError("the corners do not say which parcel they belong to", where=where,
                           found=", ".join(map(str, frame.columns)), expected=f"one of {', '.join(GROUP)}")  # fmt: skip
    ring = column_of(frame, RING)
    owner = frame[group].ffill()
    rows, outlines, broken = [], [], []
    for name, places in owner.groupby(owner, sort=False).indices.items():
        rings = (
            np.zeros(len(places), dtype=object)
            if ring is None
            else frame[ring].ffill().to_numpy(dtype=object)[places]
        )
        shape = None if bad[places].any() else parcel(east[places], north[places], rings)
        if shape is None:
            broken.append(str(name))
        rows.append(places[0])
        outlines.append(shape)
    if broken:
        n, example = len(broken), "、".join(broken[:3])
        message = (
            f"{n} 个地块的界址点无法成面（坐标缺失或不足三点），如 {example}",
            f"the corners of {n} parcels make no polygon (one unreadable, or fewer than three): {example}",
        )
        findings.append(Finding("corners", "error", n, np.nan, "", *message))
    drop = [name for name in (corner, ring) if name is not None and name != group]
    table = frame.iloc[rows].drop(columns=[*used, *drop]).reset_index(drop=True)
    table[group] = owner.iloc[rows].to_numpy()
    return gpd.GeoDataFrame(table, geometry=outlines), findings


def _axes(frame: pd.DataFrame, where: str) -> tuple[Numbers, Numbers, list[Finding], list[str]]:
    """Eastings (or longitudes), northings (or latitudes), findings, and the columns they came from."""
    lon, lat = column_of(frame, LON), column_of(frame, LAT)
    if lon is not None and lat is not None:
        return _numbers(frame[lon]), _numbers(frame[lat]), [], [lon, lat]
    first, second = column_of(frame, FIRST), column_of(frame, SECOND)
    if first is None or second is None:
        raise ProfileError("the table has no coordinates", where=where, found=", ".join(map(str, frame.columns)),
                           expected="columns X and Y, or 经度 and 纬度")  # fmt: skip
    x, y = _numbers(frame[first]), _numbers(frame[second])
    middle = [float(np.nanmedian(v)) if np.isfinite(v).any() else np.nan for v in (x, y)]
    if _northing(middle[0]) and not _northing(middle[1]):
        return y, x, [], [first, second]
    message = f"{first} 列是东坐标，{second} 列是北坐标", f"{first} holds eastings, {second} northings"
    turned = Finding("axes", "info", len(frame), np.nan, "", *message)
    if (_northing(middle[1]) and not _northing(middle[0])) or _degrees(middle):
        return x, y, [turned], [first, second]
    raise CRSError("the axes cannot be told", where=where, found=f"{first} {middle[0]:.0f}, {second} {middle[1]:.0f}",
                   expected="northings of 7 digits and eastings of 6 or 8, or degrees")  # fmt: skip


def _northing(value: float) -> bool:
    return NORTHINGS[0] < value < NORTHINGS[1]


def _degrees(middle: list[float]) -> bool:
    return 70 < middle[0] < 140 and 0 < middle[1] < 60


def _numbers(column: pd.Series) -> Numbers:
    return np.asarray(pd.to_numeric(column, errors="coerce"), dtype=float)


def parcel(east: Numbers, north: Numbers, rings: npt.NDArray[np.object_]) -> shapely.Geometry | None:
    """Polygon of a parcel's corners by ring: one within another is a hole; None when a ring has fewer than three corners."""
    parts = []
    for name in dict.fromkeys(rings.tolist()):
        here = np.column_stack([east, north])[rings == name]
        if len(here) > 1 and (here[0] == here[-1]).all():
            here = here[:-1]
        if len(here) < 3:
            return None
        parts.append(shapely.Polygon(here))
    shape: shapely.Geometry = parts[0]
    for part in parts[1:]:
        shape = shapely.symmetric_difference(shapely.make_valid(shape), shapely.make_valid(part))
    return shape
