"""A small delivery as bureaus hand it over, with a fault in nearly every file: to try taking in on."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pyproj
import shapely

CORNERS = """[属性描述]
坐标系=2000国家大地坐标系
几度分带=3
投影类型=高斯克吕格
计量单位=米
带号={zone}
精度=0.001
转换参数=,,,,,,
[地块坐标]
4,1.0,DK-1,未闭合的地块,面,,工业用地,,@
"""
"""Head of a text of parcel corners and the line of its one parcel."""
SIDE_M = 100.0
"""Side of the drawn squares."""


def faulty_delivery(folder: Path, corner: tuple[float, float], crs: str) -> Path:
    """Write a delivery of six files into a folder: what is wrong with each is in its row of the table below.

    ========================= =====================================================================================
    三调.gpkg, layer DLTB     a class by its name, one with a full-width code, a bow-tie, an area stated too large
    永久基本农田.shp          text in GBK, and no ``.cpg`` that says so
    CZKFBJ.shp                no ``.prj``
    LSWHBHX.gpkg              eastings with a zone number that the reference system does not have
    界址点.txt                a ring that is not closed
    总图.dwg                  a form that is not read
    ========================= =====================================================================================

    Parameters
    ----------
    folder : Path
        Folder to write into, made where it is not there.
    corner : (float, float)
        Easting and northing near which the parcels lie, in ``crs``.
    crs : str
        Projected, metres: the city's.

    Returns
    -------
    Path
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    squares = [_square(corner, at) for at in range(4)]
    names = {"BSM": list("abcd"), "MC": ["甲", "乙", "丙", "丁"]}
    plain = gpd.GeoDataFrame(names, geometry=squares, crs=crs)
    land = plain.assign(
        DLBM=["0101", "水田", "０３０１", "0601"], TBMJ=[SIDE_M**2, SIDE_M**2, SIDE_M**2, 2 * SIDE_M**2]
    )
    left, low, right, high = squares[2].bounds
    land.loc[2, "geometry"] = shapely.Polygon([(left, low), (right, high), (right, low), (left, high)])
    land.to_file(folder / "三调.gpkg", layer="DLTB", engine="pyogrio")
    plain.to_file(folder / "永久基本农田.shp", encoding="GBK", engine="pyogrio")
    (folder / "永久基本农田.cpg").unlink()
    plain.to_file(folder / "CZKFBJ.shp", encoding="UTF-8", engine="pyogrio")
    (folder / "CZKFBJ.prj").unlink()
    zone = _zone(crs)
    far = plain.set_geometry(plain.translate(zone * 1e6, 0))
    far.to_file(folder / "LSWHBHX.gpkg", engine="pyogrio")
    points = shapely.get_coordinates(squares[0])[:-1]
    lines = [f"J{at},1,{north:.3f},{east + zone * 1e6:.3f}" for at, (east, north) in enumerate(points, 1)]
    (folder / "界址点.txt").write_text(
        CORNERS.format(zone=zone) + "\n".join(lines) + "\n", encoding="gb18030"
    )
    (folder / "总图.dwg").write_bytes(b"AC1032")
    return folder


def _square(corner: tuple[float, float], at: int) -> shapely.Polygon:
    left, low = corner[0] + at * (SIDE_M + 20), corner[1]
    return shapely.box(left, low, left + SIDE_M, low + SIDE_M)


def _zone(crs: str) -> int:
    """3-degree zone of a reference system by its central meridian."""
    operation = pyproj.CRS.from_user_input(crs).coordinate_operation
    params = {} if operation is None else {one.name: one.value for one in operation.params}
    return round(float(params.get("Longitude of natural origin", 114.0)) / 3)
