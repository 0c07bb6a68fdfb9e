"""Review of files, on the command line and in the notebook; sheets, workbook, GeoPackage and planning conditions."""

from __future__ import annotations

import io
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyogrio
import pytest
import shapely
from click.testing import CliRunner

from tests.evaluation.review_city import X, Y, at, frame, layers, reviewer
from workbench.cli import main
from workbench.core.city import load_city
from workbench.core.errors import CRSError, ParameterError
from workbench.core.paths import PACKAGE
from workbench.evaluation.review import Reviewer, conditions, read_proposals
from workbench.evaluation.review.export import write_geopackage, write_workbook
from workbench.evaluation.review.proposals import from_frame, from_wkt
from workbench.reporting.sheets import conditions_sheet, review_sheet

BOWTIE = shapely.Polygon([(X, Y), (X + 100, Y + 100), (X + 100, Y), (X, Y + 100)])
GOOD = at(1450, 100, 1550, 200)
HEAD = """
[city]
name = "squares"
name_zh = "两方市"
name_en = "Two Squares"
crs = "EPSG:4547"
base_year = 2024
years = [2025]
data = "source"
[scopes]
"市域" = "city"
[levels.district]
role = "districts"
[levels.unit]
role = "units"
parent = "district"
"""


@pytest.fixture(scope="module")
def plan():
    return reviewer()


@pytest.fixture(scope="module")
def city_file(tmp_path_factory):
    """Profile of the two squares with their files, and a home of its own."""
    root = tmp_path_factory.mktemp("squares")
    (root / "source").mkdir()
    text = HEAD
    made = layers()
    made["units"]["district"] = ["01", "02"]
    for role, one in made.items():
        year = "_{year}" if role == "land_use" else ""
        one.to_parquet(root / "source" / f"{role}{'_2025' if year else ''}.parquet")
        text += f'[layers.{role}]\npath = "{role}{year}.parquet"\nkind = "vector"\ndate = "2025-06-30"\nupdate_cycle = "yearly"\n'
        text += "years = [2025]\n" if year else ""
    (root / "squares.toml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(root / "home"))
        yield root / "squares.toml"


def batch_frame() -> gpd.GeoDataFrame:
    degrees = shapely.Polygon([(114.0, 22.6), (114.001, 22.6), (114.001, 22.601)])
    zone = shapely.transform(GOOD, lambda xy: xy + np.array([38_000_000, 0]))
    return frame(
        [GOOD, BOWTIE, shapely.Polygon(), degrees, zone, shapely.LineString([(X, Y), (X + 9, Y)]), GOOD, None, GOOD],
        项目名称=["好地块", "蝴蝶结", "空图形", "经纬度", "带号", "线", "用途错", "缺图形", "好地块"],
        用途=["0601", "0601", "0601", "0601", "0601", "0601", "飞船用地", "0601", "工业用地"],
    )  # fmt: skip


def test_one_bad_shape_is_a_finding_and_the_others_stand(plan, tmp_path):
    file = tmp_path / "batch.gpkg"
    batch_frame().to_file(file, driver="GPKG")
    read = read_proposals(file, plan.city)
    assert list(read.findings["name"]) == ["蝴蝶结", "空图形", "经纬度", "带号", "线", "用途错", "缺图形"]
    assert dict(zip(read.findings["name"], read.findings["message_en"], strict=True))["经纬度"].startswith(
        "the coordinates look like longitude"
    )
    heads, items = plan.batch(read.proposals)
    assert list(heads["name"])[-1] == "好地块 (2)"
    assert heads.set_index("name")["verdict"].to_dict() == {
        "好地块": "conflicts", "蝴蝶结": "not_checked", "空图形": "not_checked", "经纬度": "not_checked", "带号": "not_checked",
        "线": "not_checked", "用途错": "not_checked", "缺图形": "not_checked", "好地块 (2)": "conflicts",
    }  # fmt: skip
    alone = plan.review(GOOD, use="0601").items
    among = items[items["proposal"] == "好地块"].drop(columns="proposal").reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.DataFrame(alone), pd.DataFrame(among))
    assert set(items.loc[items["proposal"] == "蝴蝶结", "rule"]) == {"rv_geometry"}


def test_a_file_in_degrees_gives_the_same_areas(plan, tmp_path):
    frame([GOOD], name=["a"], use=["0601"]).to_crs(4490).to_file(
        tmp_path / "degrees.geojson", driver="GeoJSON"
    )
    read = read_proposals(tmp_path / "degrees.geojson", plan.city)
    review = plan.review_all(read.proposals)[0]
    assert review.area_m2 == pytest.approx(plan.review(GOOD, use="0601").area_m2, abs=0.05)
    assert review.verdict == "conflicts"


def test_files_without_or_with_a_refused_reference_system(plan, tmp_path):
    bare = gpd.GeoDataFrame({"name": ["a"]}, geometry=[GOOD])
    bare.to_file(tmp_path / "bare.shp")
    with pytest.raises(CRSError, match="coordinate reference system"):
        read_proposals(tmp_path / "bare.shp", plan.city)
    stated = read_proposals(tmp_path / "bare.shp", plan.city, crs="EPSG:4547", default={"use": "0601"})
    assert plan.review_all(stated.proposals)[0].verdict == "conflicts"
    with pytest.raises(CRSError):
        from_frame(bare, plan.city)
    bare.set_crs(2435).to_file(tmp_path / "beijing.gpkg", driver="GPKG")  # Beijing 1954
    with pytest.raises(CRSError, match="no public transformation"):
        read_proposals(tmp_path / "beijing.gpkg", plan.city)
    bare.set_crs(4547).to_file(tmp_path / "said.gpkg", driver="GPKG")
    with pytest.raises(CRSError, match="different"):
        read_proposals(tmp_path / "said.gpkg", plan.city, crs="EPSG:4549")


def test_fields_are_found_by_name_or_as_told(plan, tmp_path):
    file = tmp_path / "fields.gpkg"
    frame([GOOD], XMMC=["甲"], yongtu=["住宅"], RJL=[2.5]).to_file(file, driver="GPKG")
    with pytest.raises(ParameterError, match="no such field"):
        read_proposals(file, plan.city, fields={"use": "nothing"})
    one = read_proposals(file, plan.city, fields={"use": "yongtu"})
    assert "项目属性无法识别" in one.findings["message_zh"].iloc[0]  # 住宅 is no class
    two = read_proposals(file, plan.city, default={"use": "0701"}).proposals[0]
    assert (two.name, two.use.dlbm, two.far) == ("甲", "0701", 2.5)


def test_wkt_in_degrees_must_say_so(plan):
    degrees = gpd.GeoSeries([GOOD], crs=4547).to_crs(4490).iloc[0].wkt
    with pytest.raises(CRSError, match="longitude"):
        from_wkt(degrees, plan.city)
    assert from_wkt(degrees, plan.city, "EPSG:4490").area == pytest.approx(10_000, abs=0.5)
    with pytest.raises(CRSError, match="do not fit the reference system stated"):
        from_wkt(
            at(0, 0, 100, 100).wkt, plan.city, "EPSG:4526"
        )  # a zone number before the easting, and none here


def test_command_notebook_and_function_say_the_same(city_file, tmp_path):
    out = tmp_path / "out"
    call = [
        "review",
        "--wkt",
        GOOD.wkt,
        "--city",
        str(city_file),
        "--use",
        "0601",
        "--out",
        str(out),
        "--all",
    ]
    done = CliRunner().invoke(main, call)
    assert done.exit_code == 0, done.output
    assert "占用永久基本农田5,000平方米（7.50亩，占50.0%）" in done.output.replace("\n", "").replace(" ", "")
    notebook = json.loads((PACKAGE.parent / "notebooks/evaluation/plan_review.ipynb").read_text("utf-8"))
    space: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)
            if "parameters" in cell["metadata"].get("tags", []):
                space |= {"city": str(city_file), "wkt": GOOD.wkt}
    table = Reviewer.open(str(city_file), 2025).review(GOOD, use="0601").items
    told = pyogrio.read_dataframe(out / "review.gpkg", layer="items_all")
    columns = [
        "rule",
        "verdict",
        "area_m2",
        "share",
        "message_zh",
        "message_en",
        "needs_zh",
        "needs_en",
        "clause",
    ]
    for other in (told, space["items"]):
        pd.testing.assert_frame_equal(
            pd.DataFrame(other[columns]).fillna("").reset_index(drop=True),
            pd.DataFrame(table[columns]),
            check_dtype=False,
        )
    assert table["verdict"].iloc[0] == "conflicts"


def test_command_on_a_batch_and_on_mistakes(city_file, tmp_path):
    batch_frame().to_file(tmp_path / "batch.gpkg", driver="GPKG")
    run = CliRunner()
    done = run.invoke(
        main, ["review", str(tmp_path / "batch.gpkg"), "--city", str(city_file), "--out", str(tmp_path / "o")]
    )
    assert done.exit_code == 1  # some shapes could not be judged
    assert len(pyogrio.read_dataframe(tmp_path / "o/review.gpkg", layer="proposals")) == 9
    bowtie = run.invoke(main, ["review", "--wkt", BOWTIE.wkt, "--city", str(city_file), "--use", "0601"])
    assert bowtie.exit_code == 1
    assert "crosses itself" in bowtie.output
    assert run.invoke(main, ["review", "--city", str(city_file)]).exit_code == 2
    wrong = run.invoke(main, ["review", "--wkt", GOOD.wkt, "--city", str(city_file), "--use", "住宅"])
    assert wrong.exit_code == 2
    corners = [f"--point={x},{y}" for x, y in list(GOOD.exterior.coords)[:-1]]
    assert run.invoke(main, ["review", *corners, "--city", str(city_file), "--use", "0601"]).exit_code == 0


def test_workbook_and_geopackage_hold_all_items(plan, tmp_path):
    reviews = plan.review_all(
        from_frame(frame([GOOD, BOWTIE], name=["甲", "乙"], use=["0601", "0601"]), plan.city)
    )
    book = openpyxl.load_workbook(write_workbook(reviews, tmp_path / "r.xlsx"))
    assert book.sheetnames == ["审查结论", "逐项结论", "数据现势性"]
    rows = list(book["逐项结论"].values)
    assert len(rows) == 1 + sum(len(one.judged) for one in reviews)
    assert {row[rows[0].index("结论")] for row in rows[1:]} <= {"符合", "冲突", "需办理", "未核查"}
    heads = [
        dict(zip(next(iter(book["审查结论"].values)), row, strict=True))
        for row in list(book["审查结论"].values)[1:]
    ]
    assert [(one["名称"], one["结论"]) for one in heads] == [("甲", "冲突"), ("乙", "未核查")]
    path = write_geopackage(reviews, tmp_path / "r.gpkg")
    shapes = pyogrio.read_dataframe(path, layer="items")
    farmland = shapes[shapes["rule"] == "tl_permanent_farmland"]
    assert farmland.area.iloc[0] == pytest.approx(5000, abs=0.1)


def docx_text(path: Path) -> str:
    import docx

    word = docx.Document(str(path))
    cells = [cell.text for table in word.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(p.text for p in word.paragraphs), *cells])


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_sheet_of_a_review(city_file, tmp_path, lang):
    plan = Reviewer.open(str(city_file), 2025)
    review = plan.review(GOOD, use="0601", name="厂房")
    text = docx_text(review_sheet(review, tmp_path / "s.docx", lang))
    assert review.conclusion(lang) in text
    for one in review.of("conflicts", "needs"):
        assert one.message(lang) in text
    for one in review.of("not_checked"):
        assert one.title(lang) in text
    import docx

    assert len(docx.Document(str(tmp_path / "s.docx")).inline_shapes) == 1
    refused = plan.review_all(from_frame(frame([BOWTIE], name=["乙"]), plan.city))[0]
    assert ("自相交" if lang == "zh" else "crosses itself") in docx_text(
        review_sheet(refused, tmp_path / "b.docx", lang)
    )


def test_conditions_of_a_plot(plan):
    found = conditions(plan, "A")
    table = found.shown("zh").set_index("item")
    assert "西单元" in table.loc["规划单元", "value"]
    assert "100101 一类工业用地" in table.loc["规划用途", "value"]
    assert table.loc["容积率", "value"] == "≤2"
    assert table.loc["建筑高度", "value"] == "≤36 m"
    assert table.loc["绿地率", "source"] == "详细规划未作规定"
    assert "未入库" in table.loc["停车配建", "source"]
    assert found.review.use.dlbm == "0601"  # obligations are for the planned use
    assert {"办理农用地转用审批（《土地管理法》第四十四条）"} <= set(found.shown("zh")["value"])
    every = found.table
    assert (
        (every["value_zh"] != "") ^ (every["reason_zh"] != "")
    ).all()  # a value, or the reason why there is none
    assert (every.loc[every["value_zh"] != "", "source_zh"] != "").all()


def test_conditions_over_several_plots_and_without_plan(plan, tmp_path):
    both = conditions(plan, at(250, 450, 350, 500)).shown("zh").set_index("item")
    assert both.loc["容积率", "value"] == "A ≤2；B ≤2.5"
    bare = conditions(plan, "d").shown("zh").set_index("item")
    assert bare.loc["规划用途", "value"] == ""
    assert "没有已批准的详细规划" in bare.loc["规划用途", "source"]
    with pytest.raises(ParameterError, match="no plot"):
        conditions(plan, "nothing")
    missing = conditions(reviewer("plots"), at(250, 450, 350, 500)).shown("en").set_index("item")
    assert "the city has no such layer" in missing.loc["Floor area ratio", "source"]
    sheet = docx_text(conditions_sheet(conditions(plan, "A"), tmp_path / "c.docx"))
    assert "≤2" in sheet
    assert "\n全部位于城镇开发边界内。\n" in sheet  # of its own: not among the lines the plot does not touch
    untouched = sheet.split("\n未涉及\n")[1].split("\n")[0]
    assert "永久基本农田" in untouched and "城镇开发边界" not in untouched
    english = docx_text(conditions_sheet(conditions(plan, "A"), tmp_path / "e.docx", "en"))
    assert "Permanent basic farmland" in english.split("\nNot touched\n")[1].split("\n")[0]


def test_conditions_command(city_file, tmp_path):
    run = CliRunner()
    done = run.invoke(main, ["conditions", "A", "--city", str(city_file), "--out", str(tmp_path / "c.xlsx")])
    assert done.exit_code == 0, done.output
    assert "容积率" in done.output
    there = run.invoke(
        main, ["conditions", f"--point={X + 50},{Y + 450}", "--city", str(city_file), "--lang", "en"]
    )
    assert "Floor area ratio" in there.output
    assert run.invoke(main, ["conditions", "nothing", "--city", str(city_file)]).exit_code == 2


def test_layers_past_their_cycle_are_named(city_file):
    plan = Reviewer.open(load_city(city_file), 2025, "2027-06-30")
    old = next(one for one in plan.review(GOOD, use="0601").judged if one.rule == "rv_currency")
    assert old.verdict == "needs"
    assert "2025-06-30" in old.message_zh
    now = next(
        one
        for one in Reviewer.open(load_city(city_file), 2025).review(GOOD).judged
        if one.rule == "rv_currency"
    )
    assert now.verdict == "complies"


def test_settings_beside_the_profile(city_file):
    (city_file.parent / "own.toml").write_text(
        '[rules.db_industry_outside]\nverdict = "needs"\nneeds = ["village_plan"]\n'
    )
    text = city_file.read_text("utf-8").replace("base_year", 'review_settings = "own.toml"\nbase_year')
    (city_file.parent / "own_city.toml").write_text(text, encoding="utf-8")
    found = Reviewer.open(str(city_file.parent / "own_city.toml")).review(
        at(1600, 100, 1700, 200), use="0601"
    )
    assert next(one for one in found.judged if one.rule == "db_industry_outside").verdict == "needs"


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_tables_and_map_for_a_reader(city_file, lang):
    from PIL import Image

    from workbench.views import review as views

    plan = Reviewer.open(str(city_file), 2025)
    review = plan.review(GOOD, use="0601", name="厂房")
    table = str(views.review_table(review, lang))
    assert table.count("chip level-4") == review.count("conflicts")
    assert table.count("chip level-2") == review.count("needs")
    assert str(views.review_table(review, lang, complying=False)).count("chip level-0") == 0
    heads, _ = plan.batch(frame([GOOD, BOWTIE], name=["甲", "乙"], use=["0601", "0601"]))
    assert str(views.batch_table(heads, lang)).count("<tr>") == 3
    assert "5,000" in table
    assert "2025" in str(views.sources_table(review, lang))
    drawn = views.review_map(review, lang)
    image = Image.open(io.BytesIO(drawn.png))
    assert image.width > 900
    assert drawn.sensitivity == "公开"  # the profile says nothing above it
    assert views.review_map(review, lang).png == drawn.png


def test_a_shape_that_cannot_be_judged_is_not_said_to_be_without_conflict(plan):
    refused = plan.review_all(from_frame(frame([BOWTIE], name=["乙"]), plan.city))[0]
    assert refused.conclusion("zh").startswith("未能审查：图形自相交")
    nowhere = plan.review(at(9000, 9000, 9100, 9100), use="0601")
    assert nowhere.conclusion("en").startswith("could not be reviewed")


def test_a_text_of_parcel_corners_is_reviewed_like_the_shape_it_draws(plan, tmp_path):
    corners = shapely.get_coordinates(GOOD)
    lines = [f"J{at},1,{y:.3f},{x + 38e6:.3f}" for at, (x, y) in enumerate(corners, 1)]
    head = "[属性描述]\n坐标系=2000国家大地坐标系\n几度分带=3\n投影类型=高斯克吕格\n计量单位=米\n带号=38\n[地块坐标]\n"
    text = head + "5,1.0,DK-1,好地块,面,,工业用地,,@\n" + "\n".join(lines)
    (tmp_path / "报批.txt").write_text(text, encoding="gb18030")
    read = read_proposals(tmp_path / "报批.txt", plan.city)
    (got,) = plan.review_all(read.proposals)
    wanted = plan.review(GOOD, use="0601")
    assert read.proposals[0].name == "好地块" and got.verdict == wanted.verdict == "conflicts"
    assert got.area_m2 == pytest.approx(wanted.area_m2, abs=0.01)
