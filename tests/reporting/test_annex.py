"""The workbook and the GeoPackage beside the report."""

from dataclasses import replace
from types import SimpleNamespace

import geopandas as gpd
import openpyxl
import pandas as pd
import pyogrio
import pytest
from shapely.geometry import box

from workbench.core.city import Interpretation, Level, load_city
from workbench.core.layer_spec import LayerSpec
from workbench.evaluation.checkup import Checkup
from workbench.indicators.values import table, value_id
from workbench.reporting.annex import (
    SHEETS,
    field_name,
    number_format,
    public_checkup,
    sheets,
    write_geopackage,
    write_workbook,
)

ROWS = [
    # indicator, level, zone, name, year, value, decimals, tier, sensitivity
    ("TJ-A11", "city", "tiny", "小镇", 2025, 23.63, 2, "statutory", "公开"),
    ("TJ-A11", "city", "tiny", "小镇", 2024, 23.76, 2, "statutory", "公开"),
    ("TJ-A13", "city", "tiny", "小镇", 2025, 67.0, 1, "statutory", "内部"),
    ("TJ-E06", "city", "tiny", "小镇", 2025, None, 0, "", "公开"),
    ("TJ-A11", "district", "01", "江北区", 2025, 11.5, 2, "statutory", "公开"),
    ("TJ-A11", "district", "02", "江南区", 2025, 12.13, 2, "statutory", "公开"),
]


@pytest.fixture
def checkup(desk):
    city = load_city(str(desk.city))
    roads = LayerSpec(
        path="districts.parquet", kind="vector", source="测试", licence="CC0", date="2025-12-31"
    )
    lines = roads.model_copy(update={"sensitivity": "内部"})
    update = {
        "layers": {"districts": roads, "ecological_red_line": lines},
        "levels": {"district": Level(role="districts")},
    }
    city = city.model_copy(update=update)
    rows = [
        {
            "value_id": value_id("tiny", i, level, zone, year), "indicator": i, "city": "tiny", "level": level,
            "zone": zone, "zone_name": name, "year": year, "scenario": "observed", "edition": "latest", "value": v,
            "unit": "1e4 mu", "decimals": d, "tier": tier, "data_date": "2025-12-31", "sensitivity": s,
            "reason": "" if v is not None else "layer_missing", "reason_zh": "" if v is not None else "缺少图层",
        }
        for i, level, zone, name, year, v, d, tier, s in ROWS
    ]  # fmt: skip
    findings = gpd.GeoDataFrame(
        {
            "finding_id": ["f1", "STBHHX-1"], "rule": ["floor", "red_line"], "kind": ["floor", "spatial_conflict"],
            "level": [3, 4], "indicator": ["TJ-A11", None], "line": [None, "ecological_red_line"],
            "zone_level": ["city", None], "zone": ["tiny", None], "zone_name": ["小镇", None],
            "value_id": [rows[0]["value_id"], None], "value": [23.63, None], "threshold": [24.0, None],
            "unit": ["1e4 mu", None], "message_zh": ["低于目标", "红线内"], "message_en": ["below", "inside"],
            "clause": ["-", "-"], "status": ["发现", "发现"], "permit_state": [None, "无"], "district": [None, "01"],
            "unit_code": [None, None], "before": [None, "0301"], "after": [None, "0601"],
            "date_before": pd.to_datetime([None, "2025-06-30"]), "date_after": pd.to_datetime([None, "2025-12-31"]),
            "area_m2": [None, 5829.4], "share": [None, 0.5],
        },
        geometry=[None, box(5, 5, 20, 20)],
        crs=city.crs,
    )  # fmt: skip
    made = Checkup(city=city, year=2025, values=table(rows), findings=findings)
    zones = gpd.GeoDataFrame(
        {"code": ["01", "02"], "name": ["江北区", "江南区"], "parent": ["tiny"] * 2},
        geometry=[box(0, 0, 50, 50), box(50, 0, 99, 50)], crs=city.crs,
    )  # fmt: skip
    source = SimpleNamespace(
        source="测试",
        licence="CC0",
        date="2025-12-31",
        tier="statutory",
        sensitivity="公开",
        sha256="ab",
        year=None,
    )
    made.__dict__["data"] = SimpleNamespace(
        zones=lambda level: zones,
        years=lambda role: [],
        has=lambda role, year: True,
        source=lambda role, year: source,
    )
    return made


def test_the_workbook(checkup, tmp_path):
    path = write_workbook(tmp_path / "annex.xlsx", sheets(checkup, "zh"), "zh", "小镇 年度体检")
    book = openpyxl.load_workbook(path)
    some = [name for name in SHEETS if name != "image_cases"]  # its images were not read
    assert book.sheetnames == [SHEETS[name][0] for name in some]
    assert set(book.defined_names) == set(some)
    sheet = book["指标总表"]
    head = [cell.value for cell in sheet[1]]
    row = {name: cell for name, cell in zip(head, sheet[2], strict=True)}
    assert (row["指标编号"].value, row["现状值"].value, row["上年值"].value) == ("TJ-A11", 23.63, 23.76)
    assert row["变化量"].value == pytest.approx(-0.13)
    assert row["现状值"].number_format == row["变化量"].number_format == "#,##0.00"
    assert row["单位"].value == "万亩" and row["预警等级"].value == "较重"
    assert [c.number_format for c in sheet["G"]][2] == "#,##0.0"
    assert (sheet.print_title_rows, sheet.page_setup.orientation, sheet.freeze_panes) == (
        "$1:$1",
        "landscape",
        "A2",
    )
    cases = book["疑似图斑清单"]
    assert cases.max_row == 2
    found = {head.value: cell for head, cell in zip(cases[1], cases[2], strict=True)}
    assert found["面积（平方米）"].number_format == "#,##0" and found["占比"].number_format == "0.0%"
    assert found["前时相"].number_format == "yyyy-mm-dd"
    assert [cell.value for cell in book["缺数据指标"]["D"]][1] == "缺少图层"
    assert [cell.value for cell in book["分区指标"][1]][3:] == ["江北区", "江南区"]


def test_english_titles(checkup, tmp_path):
    path = write_workbook(tmp_path / "annex.xlsx", sheets(checkup, "en"), "en")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames[0] == "Indicators"
    assert "Change" in [cell.value for cell in book["Indicators"][1]]


def test_the_geopackage(checkup, tmp_path):
    path = write_geopackage(tmp_path / "annex.gpkg", checkup, "zh")
    assert set(pyogrio.list_layers(path)[:, 0]) == {"cases", "indicators_by_district", "indicators"}
    cases = gpd.read_file(path, layer="cases")
    assert cases.crs == checkup.city.crs and cases.geometry.iloc[0].equals(box(5, 5, 20, 20))
    zones = gpd.read_file(path, layer="indicators_by_district").set_index("code")
    assert zones.loc["02", "TJ_A11"] == 12.13 and zones.loc["01", "name"] == "江北区"
    fields = pyogrio.read_dataframe(path, layer="indicators")
    assert fields.loc[0, ["field", "indicator", "unit"]].tolist() == ["TJ_A11", "TJ-A11", "1e4 mu"]


def test_cases_of_images_stand_in_both_annexes_with_the_surveys_case_beside_them(checkup, tmp_path):
    """One lies on the survey's case on another line, one on nothing; the public sees neither."""
    cases = gpd.GeoDataFrame(
        {
            "rank": [1, 2], "finding_id": ["YX-1", "YX-2"], "space_code": ["A", "B"], "matter": "疑似未报建",
            "line": ["permits", "ecological_red_line"], "district": "01", "before": "0301", "after": "", "tblx": "20",
            "date_before": pd.Timestamp("2024-11-02"), "date_after": pd.Timestamp("2025-11-02"), "area_m2": [225.0, 100.0],
            "probability": [0.91, 0.8], "priority": [100.0, 50.0], "permit_state": "无", "level": [3, 2],
        },
        geometry=[box(6, 6, 21, 21), box(70, 70, 80, 80)], crs=checkup.city.crs,
    )  # fmt: skip
    known = vars(checkup.data) | {"vector": lambda role, year=None: cases}
    city = checkup.city.model_copy(update={"interpretation": Interpretation(change="demo_change")})
    whole = replace(checkup, city=city)
    whole.__dict__["data"] = SimpleNamespace(**known)
    rows = sheets(whole, "zh")["image_cases"].table
    assert rows[["rank", "space_code", "survey_case"]].values.tolist() == [
        [1, "A", "STBHHX-1"],
        [2, "B", None],
    ]
    assert (
        rows.loc[0, ["district", "permit_state"]].tolist() == ["江北区", "未见批准文件"]
        and rows["after"].ne("20").all()
    )
    path = write_geopackage(tmp_path / "annex.gpkg", whole, "zh")
    layer = gpd.read_file(path, layer="image_cases")
    assert layer["survey_case"].tolist()[0] == "STBHHX-1" and layer.geometry.iloc[1].equals(
        box(70, 70, 80, 80)
    )
    shown = public_checkup(whole)
    shown.__dict__["data"] = whole.__dict__["data"]
    assert "image_cases" not in sheets(shown, "zh")


def test_the_public_gets_what_is_public(checkup, tmp_path):
    shown = public_checkup(checkup)
    assert set(shown.values["sensitivity"]) == {"公开"}
    assert list(shown.city.layers) == ["districts"]
    assert shown.findings["finding_id"].tolist() == ["f1"]
    shown.__dict__["data"] = checkup.data
    made = sheets(shown, "zh")
    assert set(made) == {"indicators", "districts", "definitions", "warnings", "missing", "layers"}
    assert "TJ-A13" not in made["indicators"].table["indicator"].tolist()
    path = write_geopackage(tmp_path / "annex.gpkg", shown, "zh")
    assert set(pyogrio.list_layers(path)[:, 0]) == {"indicators_by_district", "indicators"}
    assert write_geopackage(tmp_path / "none.gpkg", shown, "zh", with_districts=False) is None


def test_formats_and_names():
    assert [number_format(d) for d in (0, 3, None, float("nan"))] == ["#,##0", "#,##0.000", "#,##0", "#,##0"]
    assert field_name("TJ-A11") == "TJ_A11"
