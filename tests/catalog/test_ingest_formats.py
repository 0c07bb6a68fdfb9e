"""Readers of what bureaus hand over: each bad file is told, each good one comes out right."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from pathlib import Path

import ezdxf
import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyproj
import pytest
import shapely

from workbench.catalog.formats import batches, cad, coordinates, datum, encoding, geodatabase, sheets, zones
from workbench.catalog.formats.survey import survey_code
from workbench.catalog.standard_layers import guess, known_fields, standard_layers
from workbench.core.errors import CRSError, ProfileError

from .conftest import CRS, X, Y, box


def shapefile(folder: Path, text: str, codec: str, cpg: str | None) -> Path:
    path = folder / "a.shp"
    gpd.GeoDataFrame({"名称": [text, ""]}, geometry=[box(0, 0, 9, 9)] * 2, crs=CRS).to_file(
        path, encoding=codec
    )
    (folder / "a.cpg").unlink()
    if cpg is not None:
        (folder / "a.cpg").write_text(cpg)
    return path


@pytest.mark.parametrize(("codec", "found"), [("GBK", "gb18030"), ("UTF-8", "utf-8")])
def test_encoding_without_cpg_is_told_by_the_bytes(tmp_path: Path, codec: str, found: str) -> None:
    told, findings = encoding.of_shapefile(shapefile(tmp_path, "永久基本农田", codec, None), None, "a")
    assert told == found and [one.check for one in findings] == ["encoding_detected"]


@pytest.mark.parametrize(
    ("codec", "cpg", "real"),
    [
        ("GBK", "UTF-8", "gb18030"),
        ("UTF-8", "GBK", "utf-8"),
        ("GBK", "ISO-8859-1", "gb18030"),
        ("UTF-8", "936", "utf-8"),
    ],
)
def test_a_wrong_cpg_is_refused_with_the_right_encoding(
    tmp_path: Path, codec: str, cpg: str, real: str
) -> None:
    with pytest.raises(ProfileError, match=f'not in the encoding the file states.*encoding = "{real}"'):
        encoding.of_shapefile(shapefile(tmp_path, "永久基本农田保护红线", codec, cpg), None, "a")


def test_a_right_cpg_is_believed(tmp_path: Path) -> None:
    for codec, cpg in (("GBK", "GBK"), ("GBK", "936"), ("UTF-8", "UTF-8")):
        assert encoding.of_shapefile(shapefile(tmp_path, "红线", codec, cpg), None, "a") == (None, [])
    path = tmp_path / "w.shp"
    gpd.GeoDataFrame({"n": ["São João"]}, geometry=[box(0, 0, 9, 9)], crs=CRS).to_file(
        path, encoding="ISO-8859-1"
    )
    assert encoding.of_shapefile(path, None, "w") == (None, [])


def test_a_character_cut_by_the_field_is_no_other_encoding(tmp_path: Path) -> None:
    path = shapefile(tmp_path, "农田", "GBK", None)
    raw = bytearray((tmp_path / "a.dbf").read_bytes())
    header, width = int.from_bytes(raw[8:10], "little"), int.from_bytes(raw[10:12], "little") - 1
    raw[header + 1 : header + 1 + width] = ("田" * 40).encode("gbk")[: width - 1 + width % 2] + b"a" * (
        1 - width % 2
    )
    (tmp_path / "a.dbf").write_bytes(raw)
    assert encoding.of_shapefile(path, None, "a")[0] == "gb18030"


@pytest.fixture(scope="module")
def geodatabase_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gdb") / "a.gdb"
    frame = gpd.GeoDataFrame(
        {"BSM": [str(n) for n in range(3000)]}, geometry=[box(n, 0, n + 1, 1) for n in range(3000)], crs=CRS
    )
    frame.to_file(path, layer="DLTB", driver="OpenFileGDB")
    return path


@pytest.mark.parametrize("harm", ["half", "tail", "index", "empty", "no list"])
def test_a_truncated_file_geodatabase_is_told(geodatabase_folder: Path, tmp_path: Path, harm: str) -> None:
    path = tmp_path / "b.gdb"
    shutil.copytree(geodatabase_folder, path)
    assert geodatabase.damage(path) == []
    table = max(path.glob("*.gdbtable"), key=lambda file: file.stat().st_size)
    index = table.with_suffix(".gdbtablx")
    victim, size = {
        "half": (table, table.stat().st_size // 2),
        "tail": (table, table.stat().st_size - 30),
        "index": (index, index.stat().st_size // 2),
        "empty": (table, 0),
        "no list": (path / "a00000001.gdbtable", 0),
    }[harm]
    with victim.open("r+b") as stream:
        stream.truncate(size)
    if harm == "no list":
        victim.unlink()
    assert any(victim.name in words for words in geodatabase.damage(path))


def test_a_reader_by_batches_does_not_lose_rows_in_silence(geodatabase_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.gdb"
    shutil.copytree(geodatabase_folder, path)
    table = max(path.glob("*.gdbtable"), key=lambda file: file.stat().st_size)
    with table.open("r+b") as stream:
        stream.truncate(table.stat().st_size // 2)
    feed = batches.open_file(path, path, "DLTB", None, "b.gdb")
    with pytest.raises(ProfileError, match=r"ends before its last row.*expected 3000 rows"):
        list(feed.frames)


def curved(path: Path) -> None:
    """A GeoPackage with a disc drawn by arcs, a square, and a square with heights; radius and sides 10."""
    square = box(0, 0, 10, 10)
    frame = gpd.GeoDataFrame(
        {"a": [1, 2, 3]}, geometry=[square, square, shapely.force_3d(square, 7.0)], crs=CRS
    )
    frame.to_file(path, layer="L", geometry_type="Unknown", SPATIAL_INDEX="NO")
    arc = [(X, Y + 10), (X + 10, Y + 20), (X + 20, Y + 10), (X + 10, Y), (X, Y + 10)]
    string = struct.pack("<BII", 1, 8, len(arc)) + b"".join(struct.pack("<dd", *point) for point in arc)
    base = sqlite3.connect(path)
    (blob,) = base.execute("select geom from L where fid = 1").fetchone()
    for (name,) in base.execute("select name from sqlite_master where type = 'trigger'").fetchall():
        base.execute(f'drop trigger "{name}"')
    head = b"GP\x00\x01" + blob[4:8]
    base.execute("update L set geom = ? where fid = 1", (head + struct.pack("<BII", 1, 10, 1) + string,))
    base.commit()
    base.close()


def test_arcs_become_lines_and_heights_are_counted(tmp_path: Path) -> None:
    curved(tmp_path / "c.gpkg")
    feed = batches.open_file(tmp_path / "c.gpkg", tmp_path / "c.gpkg", "L", None, "c")
    (frame,) = feed.frames
    assert dict(feed.kinds) == {"CurvePolygon": 1, "Polygon": 1, "Polygon Z": 1}
    assert (feed.curved, feed.raised, feed.broken) == (1, 1, 0)
    assert frame.geometry.area.tolist() == pytest.approx([np.pi * 100, 100, 100], rel=2e-3)


def drawing(path: Path, version: str, codec: str | None = None) -> None:
    made = ezdxf.new(version)
    if codec:
        made.encoding = codec
    made.layers.add("城市蓝线")
    page = made.modelspace()
    page.add_lwpolyline([(X, Y), (X + 30, Y), (X + 30, Y + 40)], close=True, dxfattribs={"layer": "城市蓝线"})
    page.add_text("人民路", dxfattribs={"layer": "城市蓝线"}).set_placement((X, Y))
    made.saveas(path)


def test_names_of_a_drawings_layers_are_right_whatever_its_version(tmp_path: Path) -> None:
    for version, codec in (("R2010", None), ("R2000", "gbk")):
        drawing(tmp_path / "d.dxf", version, codec)
        frame, findings = cad.read(tmp_path / "d.dxf", None, None, "d")
        assert set(frame["Layer"]) == {"城市蓝线"} and "人民路" in set(frame["Text"]) and findings == []


def test_a_drawing_that_states_a_wrong_code_page(tmp_path: Path) -> None:
    drawing(tmp_path / "d.dxf", "R2000", "gbk")
    raw = (tmp_path / "d.dxf").read_bytes()
    assert b"ANSI_936" in raw
    (tmp_path / "d.dxf").write_bytes(raw.replace(b"ANSI_936", b"ANSI_1252"))
    frame, findings = cad.read(tmp_path / "d.dxf", "城市蓝线", None, "d")
    assert len(frame) == 2 and [one.check for one in findings] == ["encoding_detected"]
    areas, told = cad.closed_lines_to_areas(frame)
    assert areas.geometry.area.max() == pytest.approx(600.0) and told[0].count == 1
    (tmp_path / "d.dxf").write_bytes(raw.replace("城市蓝线".encode("gbk"), b"\xff\xfe\x81\xff"))
    with pytest.raises(ProfileError, match="encoding of the drawing's text is unknown"):
        cad.read(tmp_path / "d.dxf", None, None, "d")
    with pytest.raises(ProfileError, match="no DXF drawing"):
        (tmp_path / "e.dxf").write_bytes(b"AC1032\x00\x01")
        cad.read(tmp_path / "e.dxf", None, None, "e")


@pytest.mark.parametrize(
    ("x", "y", "crs", "words"),
    [
        (38_500_000, Y, "EPSG:4547", r"carry the zone number 38.*EPSG:4526"),
        (500_000, Y, "EPSG:4526", r"lack the zone number 38.*EPSG:4547"),
        (37_500_000, Y, "EPSG:4526", r"of zone 37, the CRS is of zone 38.*EPSG:4525"),
        (Y, 500_000, "EPSG:4547", "axes are swapped"),
        (19_500_000, Y, "EPSG:4547", "zone 19 is one of 6 degrees"),
    ],
)
def test_the_form_of_eastings_tells_a_wrong_zone(x: float, y: float, crs: str, words: str) -> None:
    with pytest.raises(CRSError, match=words):
        zones.check((x - 1, y - 1, x + 1, y + 1), pyproj.CRS(crs), "a")


def test_right_eastings_pass_and_a_neighbouring_zone_is_named() -> None:
    zones.check((400_000, Y, 600_000, Y + 9), pyproj.CRS("EPSG:4547"), "a")
    zones.check((38_400_000, Y, 38_600_000, Y + 9), pyproj.CRS("EPSG:4526"), "a")
    zones.check((113.0, 22.0, 114.0, 23.0), pyproj.CRS("EPSG:4490"), "a")
    assert zones.would_fit(
        (190_000, Y, 200_000, Y + 9), pyproj.CRS("EPSG:4547"), (113.5, 22.0, 114.5, 23.0)
    ) == ["EPSG:4548"]


def by_hand(lon: float, lat: float, p: dict[str, float]) -> tuple[float, float]:
    """Bursa-Wolf in the position vector sense from IAU 1976 to GRS 1980, formulas of the handbook."""
    a, f = 6378140.0, 1 / 298.257
    e2, lam, phi = f * (2 - f), np.radians(lon), np.radians(lat)
    n = a / np.sqrt(1 - e2 * np.sin(phi) ** 2)
    v = np.array([n * np.cos(phi) * np.cos(lam), n * np.cos(phi) * np.sin(lam), n * (1 - e2) * np.sin(phi)])
    rx, ry, rz = (np.radians(p[k] / 3600) for k in ("rx_sec", "ry_sec", "rz_sec"))
    turn = np.array([[1, -rz, ry], [rz, 1, -rx], [-ry, rx, 1]])
    x, y, z = np.array([p["dx_m"], p["dy_m"], p["dz_m"]]) + (1 + p["scale_ppm"] * 1e-6) * turn @ v
    a, f = 6378137.0, 1 / 298.257222101
    e2, r = f * (2 - f), np.hypot(x, y)
    phi = np.arctan2(z, r * (1 - e2))
    for _ in range(9):
        phi = np.arctan2(z + e2 * a / np.sqrt(1 - e2 * np.sin(phi) ** 2) * np.sin(phi), r)
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(phi))


SEVEN = {
    "dx_m": -20.5,
    "dy_m": 110.25,
    "dz_m": 35.0,
    "rx_sec": 0.8,
    "ry_sec": -1.1,
    "rz_sec": 2.4,
    "scale_ppm": -3.2,
}


def parameters(folder: Path, text: str) -> Path:
    path = folder / "parameters.toml"
    path.write_text(text, encoding="utf-8")
    return path


def seven(convention: str = "position_vector", check: str = "") -> str:
    lines = [
        'method = "seven"',
        'from = "EPSG:4610"',
        'to = "EPSG:4490"',
        'source = "市局"',
        f'convention = "{convention}"',
    ]
    return "\n".join([*lines, *(f"{k} = {v}" for k, v in SEVEN.items()), check])


def test_seven_parameters_against_the_formula(tmp_path: Path) -> None:
    lon, lat = by_hand(113.3, 23.1, SEVEN)
    check = f"[[check]]\nfrom = [113.3, 23.1]\nto = [{lon!r}, {lat!r}]\ntolerance_m = 0.001\n"
    made = datum.load(parameters(tmp_path, seven(check=check)))
    moved = made.convert(pyproj.CRS("EPSG:4610"), [113.3], [23.1])
    assert (moved[0][0], moved[1][0]) == pytest.approx((lon, lat), abs=1e-9)
    assert made.fits(pyproj.CRS("EPSG:2382")) and not made.fits(pyproj.CRS("EPSG:2435"))
    with pytest.raises(CRSError, match=r"check point does not come out.*rotations"):
        datum.load(parameters(tmp_path, seven("coordinate_frame", check)))


def test_four_parameters_by_hand(tmp_path: Path) -> None:
    text = 'method = "four"\nfrom = "EPSG:2383"\nto = "EPSG:4547"\nsource = "市局"\nnorth_m = 10.0\neast_m = -5.0\n'
    text += "rotation_sec = 324000.0\nscale_ppm = 0.0\n"  # 90 degrees: north' = -east, east' = north
    made = datum.load(parameters(tmp_path, text))
    east, north = made.convert(made.start, [3.0], [4.0])
    assert (east[0], north[0]) == pytest.approx((-5 + 4, 10 - 3))
    assert made.fits(pyproj.CRS("EPSG:2383")) and not made.fits(pyproj.CRS("EPSG:2382"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('method = "seven"', 'method = "three"', "unknown method"),
        ("dx_m = -20.5", 'dx_m = "a"', "expected a number"),
        ("dx_m = -20.5", "", "key missing"),
        ("dx_m = -20.5", "dx_m = 1\nrx_grad = 2", "unknown key"),
        ('"EPSG:4610"', '"EPSG:2382"', "wrong kind of CRS"),
        ("position_vector", "left", "unknown sense of rotation"),
    ],
)
def test_a_file_of_parameters_that_cannot_be_used(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        datum.load(parameters(tmp_path, seven().replace(old, new)))


def workbook(path: Path, rows: list[list[object]], *merged: str) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for block in merged:
        book.active.merge_cells(block)
    book.save(path)
    return path


def test_a_sheet_with_title_merged_heads_and_notes(tmp_path: Path) -> None:
    rows = [
        ["某市主要指标"], ["单位：万人"], ["指标", "区划", "年份", None], [None, None, "2022年", "2023年"], ["甲", "乙", 1, 2],
        ["人口", "01", 10.5, 10.8], [None, "02", 20.1, 20.2], ["合 计", "city", 30.6, 31.0], ["注：年末数"],
    ]  # fmt: skip
    path = workbook(tmp_path / "a.xlsx", rows, "A1:D1", "A3:A4", "B3:B4", "C3:D3", "A6:A7")
    frame, findings = sheets.read(path, None, "a")
    assert list(frame.columns) == ["指标", "区划", "年份_2022年", "年份_2023年"]
    assert frame.to_numpy().tolist() == [
        ["人口", "01", 10.5, 10.8],
        ["人口", "02", 20.1, 20.2],
        ["合 计", "city", 30.6, 31.0],
    ]
    assert [one.check for one in findings] == [
        "title_rows",
        "merged_head",
        "merged_cells",
        "note_rows",
        "total_rows",
    ]
    long, _ = sheets.years_to_rows(frame, {"指标"})
    assert long.query("区划 == '02'")[["year", "value"]].to_numpy().tolist() == [[2022, 20.1], [2023, 20.2]]


def test_a_plain_sheet_comes_as_pandas_reads_it(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["item", "year", "value"], ["gdp", 2023, 1.5], ["gdp", 2024, 2.0]])
    frame, findings = sheets.read(path, None, "a")
    pd.testing.assert_frame_equal(frame, pd.read_excel(path))
    assert findings == []
    with pytest.raises(ProfileError, match="no such sheet"):
        sheets.read(path, "b", "a")
    (tmp_path / "b.xlsx").write_bytes(b"PK no workbook")
    with pytest.raises(ProfileError, match="workbook cannot be read"):
        sheets.read(tmp_path / "b.xlsx", None, "b")


def test_corners_of_parcels_become_polygons(tmp_path: Path) -> None:
    outer = [("J1", Y, X), ("J2", Y, X + 100), ("J3", Y + 100, X + 100), ("J4", Y + 100, X), ("J1", Y, X)]
    hole = [("K1", Y + 10, X + 10), ("K2", Y + 10, X + 20), ("K3", Y + 20, X + 20), ("K4", Y + 20, X + 10)]
    rows: list[list[object]] = [["地块编号", "圈号", "点号", "坐标（m）", None], [None, None, None, "X", "Y"]]
    rows += [["D1", 1, *point] for point in outer] + [["D1", 2, *point] for point in hole]
    rows += [["D2", 1, *point] for point in outer[:2]]
    rows += [["D3", 1, *point] for point in outer[:3]] + [["D3", 1, "J4", "缺", X]]
    path = workbook(tmp_path / "a.xlsx", rows, "A1:A2", "B1:B2", "C1:C2", "D1:E1")
    frame, _ = sheets.read(path, None, "a")
    assert coordinates.is_table(frame)
    shapes, findings = coordinates.shapes(frame, "a")
    assert shapes["地块编号"].tolist() == ["D1", "D2", "D3"]
    assert (
        shapes.geometry.iloc[0].area == pytest.approx(10_000 - 100) and shapes.geometry.iloc[0].bounds[0] == X
    )
    assert shapes.geometry.isna().tolist() == [False, True, True]
    assert findings[0].severity == "error" and findings[0].count == 2


def test_axes_of_a_table_are_told_by_their_numbers() -> None:
    swapped = pd.DataFrame({"X": [X, X + 1.0], "Y": [Y, Y + 1.0], "名称": ["a", "b"]})
    made, findings = coordinates.shapes(swapped, "a", points=True)
    assert made.geometry.x.tolist() == [X, X + 1] and [one.check for one in findings] == ["axes"]
    degrees = pd.DataFrame({"经度": [113.3], "纬度": [23.1]})
    assert coordinates.shapes(degrees, "a", points=True)[0].geometry.iloc[0].coords[0] == (113.3, 23.1)
    with pytest.raises(CRSError, match="axes cannot be told"):
        coordinates.shapes(pd.DataFrame({"X": [12.0], "Y": [34.0]}), "a", points=True)
    with pytest.raises(ProfileError, match="which parcel"):
        coordinates.shapes(pd.DataFrame({"点号": ["J1"], "X": [Y], "Y": [X]}), "a")


def test_standard_layers_are_told_by_code_name_and_fields() -> None:
    table = standard_layers()
    assert len(table) > 150 and table["source"].ne("").all() and table["confidence"].ne("").all()
    assert (
        guess("DLTB", [], "polygon").role == "land_use"
        and guess("DLTB", [], "polygon").certainty == "certain"
    )
    assert guess("DLTB", [], "line").certainty == "possible"
    assert (guess("440100_STBHHX_2024", [], None).code, guess("440100_STBHHX_2024", [], None).certainty) == (
        "STBHHX",
        "likely",
    )
    assert guess("生态保护红线", [], "polygon").role == "ecological_red_line"
    fields = ["BSM", "XXGHBZDYBH", "JQDLDM", "YDYHFLDM", "YDYHFLMC", "TBMJ", "TBDLMJ", "GHZT"]
    assert (guess("图层1", fields, "polygon").code, guess("图层1", fields, "polygon").certainty) == (
        "GHYDYH",
        "possible",
    )
    assert guess("图层1", ["BSM", "MC"], "polygon").certainty == "unknown"
    assert known_fields("land_use", ["dlbm", "TBMJ", "YDYHFLDM"]) == {"dlbm": "dlbm", "area_m2": "TBMJ"}


@pytest.mark.parametrize(
    ("value", "how", "code"),
    [
        ("0101", {}, "0101"), (" ０１０１ ", {}, "0101"), ("水田", {}, "0101"), ("0201k", {}, "0201K"), ("9901", {}, "9901"),
        (101, {"numeric": True}, "0101"), (1006.0, {"numeric": True}, "1006"), ("201", {}, "201"),
        ("0601", {"plan": True}, "1006"), ("100102", {"plan": True}, "0601"), (None, {}, ""),
    ],
)  # fmt: skip
def test_survey_codes(value: object, how: dict[str, bool], code: str) -> None:
    assert survey_code(value, **how) == code


def test_kinds_are_read_from_the_bytes_of_shapes() -> None:
    import pyarrow as pa

    point = struct.pack("<BIdd", 1, 1, 0, 0)
    measured, heights = struct.pack("<BIddd", 1, 2001, 0, 0, 0), struct.pack(">BIddd", 0, 1001, 0, 0, 0)
    extended = struct.pack("<BIddd", 1, 0x80000001, 0, 0, 0)
    column = pa.array([point, None, measured, heights, extended], type=pa.binary())
    assert batches.types_of(column).tolist() == [1, 0, 2001, 1001, 0x80000001]
    assert batches.types_of(column.slice(2)).tolist() == [2001, 1001, 0x80000001]
