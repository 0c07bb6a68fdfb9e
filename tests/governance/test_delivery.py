"""A delivery as bureaus make it: what each file is, what is wrong, and what becomes of it; the same from the command line."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import geopandas as gpd
import openpyxl
import pandas as pd
import pytest
import shapely
from click.testing import CliRunner

from workbench.catalog.data import CityData
from workbench.cli import main
from workbench.core.city import City, load_city
from workbench.core.errors import ParameterError
from workbench.governance.delivery import examine
from workbench.governance.delivery_layer import Order, deliver, deliver_all
from workbench.samples.delivery import faulty_delivery
from workbench.views import delivery

CRS, X, Y = "EPSG:4547", 500_000.0, 2_500_000.0
PROFILE = """
[city]
name = "toy"
name_zh = "小城"
name_en = "Toy"
crs = "EPSG:4547"
language = "en"
base_year = 2020
years = [2023, 2024]
data = "source"

[levels.district]
role = "districts"

[layers.districts]
path = "districts.gpkg"
kind = "vector"
fields = { code = "XZQDM", name = "XZQMC" }
"""


def box(left: float, bottom: float, right: float, top: float) -> shapely.Polygon:
    return shapely.box(X + left, Y + bottom, X + right, Y + top)


@pytest.fixture
def city(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> City:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))  # --data-root sets it; set back after the test
    (tmp_path / "source").mkdir()
    names = {"XZQDM": ["01", "02"], "XZQMC": ["东区", "西区"]}
    shapes = [box(1000, 0, 2000, 1000), box(0, 0, 1000, 1000)]
    gpd.GeoDataFrame(names, geometry=shapes, crs=CRS).to_file(tmp_path / "source" / "districts.gpkg")
    (tmp_path / "toy.toml").write_text(PROFILE, encoding="utf-8")
    return load_city(tmp_path / "toy.toml", data_root=tmp_path)


def lines() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {"BSM": ["a", "b"], "MC": ["甲", "乙"]},
        geometry=[box(0, 0, 100, 100), box(200, 0, 300, 100)],
        crs=CRS,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine files: four good layers, and one of each fault."""
    made = tmp_path / "移交成果" / "矢量"
    made.mkdir(parents=True)
    parcels = lines().assign(DLBM=["0101", "水田"], TBMJ=10_000.0)
    parcels.to_file(made / "三调.gdb", layer="DLTB", driver="OpenFileGDB")
    lines().to_file(made / "三调.gdb", layer="STBHHX", driver="OpenFileGDB", mode="a")
    lines().to_file(made / "永久基本农田.shp", encoding="GBK")
    (made / "永久基本农田.cpg").unlink()
    lines().to_file(made / "CZKFBJ.shp", encoding="UTF-8")
    (made / "CZKFBJ.prj").unlink()
    lines().to_file(made / "ZRBHD.shp", encoding="GBK")
    (made / "ZRBHD.cpg").write_text("UTF-8")
    lines().set_crs("EPSG:2383", allow_override=True).to_file(made / "HLFXKZX.gpkg")
    far = lines()
    far.geometry = far.translate(38_000_000, 0)
    far.to_file(made / "LSWHBHX.gpkg")
    lines().to_file(made / "新建图层.gpkg")
    (made / "总图.dwg").write_bytes(b"AC1032")
    shutil.copytree(made / "三调.gdb", made / "坏.gdb")
    table = max((made / "坏.gdb").glob("*.gdbtable"), key=lambda file: file.stat().st_size)
    with table.open("r+b") as stream:
        stream.truncate(table.stat().st_size // 2)
    return made.parent


def test_every_file_of_a_delivery_is_a_row_and_a_bad_one_stops_no_other(city: City, folder: Path) -> None:
    found = {one.name: one for one in examine(folder)}
    problems = {name: " ".join(one.problems) for name, one in found.items()}
    assert {name for name, words in problems.items() if not words} == {
        "三调.gdb: DLTB", "三调.gdb: STBHHX", "永久基本农田.shp", "新建图层.gpkg",
    }  # fmt: skip
    for name, words in {
        "CZKFBJ.shp": "does not say its coordinate reference system", "ZRBHD.shp": "not in the encoding",
        "HLFXKZX.gpkg": "no public transformation", "LSWHBHX.gpkg": "zone number 38", "总图.dwg": "ask for DXF",
        "坏.gdb": "damaged",
    }.items():  # fmt: skip
        assert words in problems[name]
    assert (
        found["永久基本农田.shp"].encoding == "gb18030 (by its bytes)" and found["三调.gdb: DLTB"].count == 2
    )
    outcomes = deliver_all(city, list(found.values()), Order(folder, "", 2024))
    taken = {one.found.name: one.role for one in outcomes if one.delivered is not None}
    assert taken == {
        "三调.gdb: DLTB": "land_use", "三调.gdb: STBHHX": "ecological_red_line", "永久基本农田.shp": "permanent_farmland",
    }  # fmt: skip
    assert "not certain" in next(one.problem for one in outcomes if one.found.name == "新建图层.gpkg")
    written = {path.name for path in city.root.glob("*.parquet")}
    assert written == {f"{role}_2024.parquet" for role in taken.values()}
    farmland = gpd.read_parquet(city.root / "permanent_farmland_2024.parquet")
    assert farmland["name"].tolist() == ["甲", "乙"] and farmland["line_id"].tolist() == ["a", "b"]


def test_what_is_given_serves_the_silent_files_only(city: City, folder: Path) -> None:
    found = {one.name: one for one in examine(folder, crs="EPSG:4547", text="gb18030")}
    good = {name for name, one in found.items() if not one.problems}
    assert {"CZKFBJ.shp", "ZRBHD.shp", "三调.gdb: DLTB"} <= good
    assert (found["CZKFBJ.shp"].given_crs, found["三调.gdb: DLTB"].given_crs) == ("EPSG:4547", None)
    assert (found["ZRBHD.shp"].given_encoding, found["永久基本农田.shp"].given_encoding) == ("gb18030", None)
    assert "HLFXKZX.gpkg" not in good and "LSWHBHX.gpkg" not in good
    outcomes = deliver_all(
        city, list(found.values()), Order(folder, "", 2024, crs="EPSG:4547", encoding="gb18030")
    )
    taken = {one.role for one in outcomes if one.delivered is not None}
    assert {"development_boundary", "nature_reserve", "permanent_farmland"} <= taken
    assert gpd.read_parquet(city.root / "nature_reserve_2024.parquet")["name"].tolist() == ["甲", "乙"]
    assert gpd.read_parquet(city.root / "land_use_2024.parquet")["dlbm"].tolist() == ["0101", "0101"]
    assert found["三调.gdb: DLTB"].given_encoding is None


def test_two_layers_of_one_role_are_left_to_a_person(city: City, folder: Path) -> None:
    lines().assign(DLBM="0101").to_file(folder / "DLTB.gpkg")
    outcomes = deliver_all(city, examine(folder), Order(folder, "", 2024), dry_run=True)
    both = [one for one in outcomes if one.found.guess.code == "DLTB"]
    assert len(both) == 2 and all("2 layers would be land_use" in one.problem for one in both)


def test_the_section_it_writes_makes_the_layer_part_of_the_city(city: City, folder: Path) -> None:
    runner = CliRunner()
    sections = folder.parent / "sections.toml"
    given = [
        "ingest",
        str(folder / "矢量" / "三调.gdb"),
        "--city",
        str(city.path),
        "--data-root",
        str(city.root.parent),
    ]
    more = [
        "--layer",
        "DLTB",
        "--role",
        "land_use",
        "--year",
        "2024",
        "--source",
        "某局",
        "--write-profile",
        str(sections),
    ]
    tried = runner.invoke(main, [*given, *more[:6], "--dry-run"])
    assert tried.exit_code == 0, tried.output
    assert "nothing was written" in tried.output and not list(city.root.glob("*.parquet"))
    done = runner.invoke(main, [*given, *more])
    assert done.exit_code == 0, done.output
    for words in (
        "DLTB 地类图斑 (land_use)",
        "certain: code",
        "dlbm=DLBM",
        "水田 → 0101",
        "land_use: 2 of 2 rows",
    ):
        assert words in done.output
    section = tomllib.loads(sections.read_text("utf-8"))["layers"]["land_use"]
    assert section == {"path": "land_use_{year}.parquet", "kind": "vector", "years": [2024], "source": "某局"}
    city.path.write_text(PROFILE + sections.read_text("utf-8"), encoding="utf-8")
    data = CityData(load_city(city.path, data_root=city.root.parent))
    assert data.vector("land_use", 2024)["dlbm"].tolist() == ["0101", "0101"]
    again = runner.invoke(main, [*given, *more])
    assert again.exit_code == 2 and "the file exists" in again.output
    profile = load_city(city.path, data_root=city.root.parent)
    order = Order(folder / "矢量" / "三调.gdb", "land_use", 2023, "DLTB")
    assert "years = [2023, 2024]" in deliver(profile, order).section


def test_nothing_is_left_of_a_layer_that_fails(city: City, folder: Path) -> None:
    runner = CliRunner()
    base = ["--city", str(city.path), "--data-root", str(city.root.parent), "--role"]
    bad = runner.invoke(main, ["ingest", str(folder / "矢量" / "LSWHBHX.gpkg"), *base, "heritage_line"])
    assert bad.exit_code == 2 or bad.exit_code == 1
    assert "zone number 38" in bad.output
    assert [path.name for path in city.root.iterdir()] == ["districts.gpkg"]
    with pytest.raises(ParameterError, match="no such role"):
        deliver(city, Order(folder / "矢量" / "LSWHBHX.gpkg", "heritage"))
    everything = runner.invoke(
        main, ["ingest", str(folder), "--city", str(city.path), "--data-root", str(city.root.parent)]
    )
    assert everything.exit_code == 1 and "permanent_farmland: 2 of 2 rows" in everything.output


def test_tables_of_corners_and_of_statistics(city: City, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    corners = [
        ("D1", "J1", Y, X),
        ("D1", "J2", Y, X + 10),
        ("D1", "J3", Y + 10, X + 10),
        ("D2", "J1", Y, X),
        ("D2", "J2", Y, X + 1),
    ]
    for row in (["地块编号", "点号", "X", "Y"], *corners):
        book.active.append(row)
    figures = book.create_sheet("统计")
    for row in (
        ["指标", "区划", "年末数", None],
        [None, None, "2022年", "2023年"],
        ["常住人口", "01", 10.5, 10.8],
    ):
        figures.append(row)
    for block in ("A1:A2", "B1:B2", "C1:D1"):
        figures.merge_cells(block)
    path = tmp_path / "表.xlsx"
    book.save(path)
    found = examine(path, crs=CRS)
    assert [(one.layer, one.geometry) for one in found] == [("Sheet", "coordinates"), ("统计", "table")]
    plots = deliver(
        city, Order(path, "projects", layer="Sheet", crs=CRS, fields={"project_code": "地块编号"})
    )
    assert {one.check: one.count for one in plots.written.findings} == {
        "corners": 1,
        "crs_from_profile": 1,
        "missing_geometry": 1,
    }
    made = gpd.read_parquet(city.root / "projects.parquet")
    assert made["project_code"].tolist() == ["D1"] and made.area.tolist() == pytest.approx([50.0])
    order = Order(
        path,
        "statistics",
        layer="统计",
        fields={"zone": "区划"},
        values={"item": {"常住人口": "resident_population_1e4"}},
    )
    done = deliver(city, order)
    rows = pd.read_parquet(city.root / "statistics.parquet")
    assert rows[["item", "zone", "year", "value"]].to_numpy().tolist() == [
        ["resident_population_1e4", "01", 2022, 10.5], ["resident_population_1e4", "01", 2023, 10.8],
    ]  # fmt: skip
    assert {one.check for one in done.written.findings} == {"merged_head", "years_to_rows"}
    assert tomllib.loads(done.section)["layers"]["statistics"] == {
        "path": "statistics.parquet",
        "kind": "table",
    }


@pytest.mark.parametrize(
    "end",
    [".shp", ".gpkg", ".geojson", ".dxf", ".zip", ".xlsx", ".csv", ".parquet", ".osm.pbf", ".gdb", ".kml"],
)
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe\x81" * 300])
def test_a_file_that_is_no_such_file_is_a_row_with_its_problem(
    tmp_path: Path, end: str, content: bytes
) -> None:
    path = tmp_path / f"a{end}"
    path.write_bytes(content)
    (tmp_path / "说明.pdf").write_bytes(b"%PDF")
    found = {one.path.name: one for one in examine(tmp_path)}
    assert found[path.name].problems and not found["说明.pdf"].problems and found["说明.pdf"].ignored


def test_a_drawing_as_one_delivery(city: City, tmp_path: Path) -> None:
    import ezdxf

    made = ezdxf.new("R2010")
    for name, at in (("城市蓝线", 0), ("城市绿线", 100), ("标注", 200)):
        made.layers.add(name)
        corners = [(X + at, Y), (X + at + 30, Y), (X + at + 30, Y + 40)]
        made.modelspace().add_lwpolyline(corners, close=True, dxfattribs={"layer": name})
    made.saveas(tmp_path / "四线.dxf")
    found = examine(tmp_path / "四线.dxf", crs=CRS)
    assert {one.layer: one.guess.role for one in found} == {
        "城市蓝线": "blue_line",
        "城市绿线": "green_line",
        "标注": "",
    }
    outcomes = deliver_all(city, found, Order(tmp_path / "四线.dxf", "", 2024, crs=CRS))
    assert [one.delivered is not None for one in outcomes] == [True, True, False]
    assert gpd.read_parquet(city.root / "green_line_2024.parquet").area.tolist() == pytest.approx([600.0])


def test_the_sample_delivery_has_the_faults_it_says_and_is_shown_in_both_languages(
    city: City, tmp_path: Path
) -> None:
    handed = faulty_delivery(tmp_path / "handed", (X + 100, Y + 100), CRS)
    found = examine(handed)
    problems = {one.path.name: " ".join((*one.problems, *one.notes)) for one in found}
    assert not problems["三调.gpkg"] and not problems["永久基本农田.shp"]
    for name, words in {
        "CZKFBJ.shp": "does not say its coordinate reference system", "LSWHBHX.gpkg": "zone number 38",
        "界址点.txt": "were not closed", "总图.dwg": "ask for DXF",
    }.items():  # fmt: skip
        assert words in problems[name]
    outcomes = deliver_all(city, found, Order(handed, "", 2024), dry_run=True)
    taken = {one.role: one.delivered for one in outcomes if one.delivered is not None}
    assert set(taken) == {"land_use", "permanent_farmland"}
    assert {one.check for one in taken["land_use"].written.findings} >= {
        "codes_standardised", "geometry_repaired", "stated_area",
    }  # fmt: skip
    shown = delivery.taken_table(outcomes, "zh")
    assert (
        "按三调编码统一" in shown and "见上表" in shown and "zone number" in delivery.found_table(found, "zh")
    )
    assert "Taken as" in delivery.taken_table(outcomes, "en")
    assert not list((tmp_path / "source").glob("*.parquet"))
