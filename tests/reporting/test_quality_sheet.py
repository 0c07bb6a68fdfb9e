"""The inspection report: what was found is on it, in both languages, and nothing is claimed of what was not checked."""

from __future__ import annotations

from pathlib import Path

import docx
import geopandas as gpd
import pytest
import shapely

from workbench.core.city import City, load_city
from workbench.evaluation.quality import quality_rows
from workbench.governance import check
from workbench.indicators.values import table
from workbench.reporting.quality_sheet import quality_sheet
from workbench.views import quality, style

X, Y = 500_000.0, 2_567_000.0
PROFILE = """
[city]
name = "toy"
name_zh = "小城"
name_en = "Toy"
crs = "EPSG:4547"
base_year = 2025
years = [2025]
data = "source"
[levels.district]
role = "districts"
[layers.districts]
path = "districts.parquet"
kind = "vector"
[layers.land_use]
path = "land_use_{year}.parquet"
kind = "vector"
years = [2025]
"""


@pytest.fixture
def faulty(tmp_path: Path, home: Path) -> City:
    """A gap of 300 m² of 40,000 and a class that does not exist on a quarter."""
    folder = tmp_path / "source"
    folder.mkdir()
    zones = [shapely.box(X, Y, X + 200, Y + 100), shapely.box(X + 200, Y, X + 400, Y + 100)]
    names = {"code": ["A", "B"], "name": ["甲区", "乙区"]}
    gpd.GeoDataFrame(names, geometry=zones, crs="EPSG:4547").to_parquet(folder / "districts.parquet")
    shapes = [shapely.box(X + a, Y, X + a + 100, Y + 100) for a in (0, 100, 200)]
    shapes.append(shapely.box(X + 303, Y, X + 400, Y + 100))
    land = {
        "parcel_id": list("1234"),
        "dlbm": ["0101", "9999", "0701", "0810"],
        "area_m2": [s.area for s in shapes],
    }
    gpd.GeoDataFrame(land, geometry=shapes, crs="EPSG:4547").to_parquet(folder / "land_use_2025.parquet")
    (tmp_path / "toy.toml").write_text(PROFILE, encoding="utf-8")
    return load_city(tmp_path / "toy.toml", data_root=tmp_path)


def words(path: Path) -> str:
    """All text of a Word file."""
    file = docx.Document(str(path))
    cells = [cell.text for part in file.tables for row in part.rows for cell in row.cells]
    return "\n".join([*(paragraph.text for paragraph in file.paragraphs), *cells])


def test_sheet_tells_conclusion_findings_places_and_limits(faulty: City, tmp_path: Path) -> None:
    style.use()
    view = quality.view_of(check(faulty), 2025)
    text = words(quality_sheet(view, tmp_path / "zh.docx"))
    for said in (
        "小城数据质检报告", "共检查 2 个图层", "1 个合格，1 个不合格，其中 1 个停止使用", "国土调查图斑 2025",
        "不合格（停用）", "2 的地类编码 9999 不在编码表内", "3 与 4 之间有缝隙 300.00 平方米", "甲区", "乙区",
        "附录", "超过 0.1%",
    ):  # fmt: skip
        assert said in text, said
    english = words(quality_sheet(view, tmp_path / "en.docx", "en"))
    assert "2 has the land class 9999, not in the table" in english and "a gap of 300.00 m²" in english
    assert len(docx.Document(str(tmp_path / "zh.docx")).inline_shapes) == 1


def test_counts_are_rows_of_a_value_table_that_the_tables_print(faulty: City) -> None:
    report = check(faulty)
    rows = quality_rows(report, 2025)
    found = {(row["indicator"], row["zone"]): row["value"] for row in rows}
    assert found["quality.findings", "all"] == 2 and found["quality.blocked", "all"] == 1
    assert (
        found["quality.check_findings", "tp_gap"] == 1 and found["quality.layer_errors", "land_use-2025"] == 2
    )
    view = quality.QualityView(report, 2025, table(rows))
    ids = {row["value_id"] for row in rows}
    for page in (quality.lead(view, "zh"), quality.layer_table(view, "zh"), quality.check_table(view, "en")):
        assert 'data-v="' in page
        assert {piece.split('"')[0] for piece in page.split('data-v="')[1:]} <= ids


def test_a_sound_city_has_no_map_and_no_list(faulty: City) -> None:
    land = Path(faulty.root) / "land_use_2025.parquet"
    frame = gpd.read_parquet(land)
    frame.loc[1, "dlbm"] = "0301"
    frame.loc[3, "geometry"] = shapely.box(X + 300, Y, X + 400, Y + 100)
    frame.loc[3, "area_m2"] = 10_000.0
    frame.to_parquet(land)
    view = quality.view_of(check(faulty), 2025)
    assert quality.findings_map(view, "zh") is None
    assert "没有发现问题" in quality.finding_table(view, "zh")
    assert "没有图层停止使用" in quality.lead(view, "zh")
