"""Fill-in sheets: what is asked of whom, the workbook's cells, every fault by its address, and the way to a traced value."""

import datetime as dt
import math

import pytest
from openpyxl import load_workbook

from tests.evaluation.books import write_city
from workbench.catalog import fill_ins
from workbench.catalog.data import CityData
from workbench.evaluation.fill_in import forms, keep, limits, make, needed, provenance, read
from workbench.evaluation.fill_in_book import COVER, PLAN, STATES, cell_name, write
from workbench.evaluation.filled import filled_indicators
from workbench.indicators.compute import compute
from workbench.indicators.library import load_library

REPORTED = "TJ-A26"
"""防洪堤防达标率, a percentage only the water bureau has."""
COUNT = "TJ-A21"
"""城市内涝积水点数量, a count."""
PROFILE = "statistics.reported"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sheets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        (folder / "source").mkdir()
        city = write_city(folder)
        city = city.model_copy(update={"city": city.city.model_copy(update={"indicator_set": "checkup122"})})
        frame = CityData(city).table("statistics")
        last = [(REPORTED, 2024, "city", 80.0, "%", "original"), (COUNT, 2024, "A", 4.0, "count", "original")]
        more = frame.iloc[:0].copy()
        for row in last:
            more.loc[len(more)] = dict(
                zip(["item", "year", "zone", "value", "unit", "edition"], row, strict=True)
            )
        import pandas as pd

        pd.concat([frame, more], ignore_index=True).to_parquet(folder / "source" / "statistics.parquet")
        yield city, folder


@pytest.fixture(scope="module")
def sheets(place):
    city, folder = place
    paths = make(city, 2025, folder / "out")
    return {path.stem.rpartition("_")[2]: path for path in paths}


@pytest.fixture
def water(sheets, tmp_path):
    """A copy of the water bureau's workbook to fill in: call with a function of the open book."""

    def filled(change, name="water.xlsx"):
        book = load_workbook(sheets["水务局"])
        change(book)
        book.save(tmp_path / name)
        return tmp_path / name

    return filled


def place_of(book, item=REPORTED, zone="city"):
    """Sheet and address of a cell to be filled in."""
    ((sheet, address),) = book.defined_names[cell_name(item, zone)].destinations
    return book[sheet], address.replace("$", "")


def put(value, *, item=REPORTED, zone="city", state=None, note=None, year=None):
    """Fill in a value and what stands beside it."""

    def change(book):
        sheet, address = place_of(book, item, zone)
        sheet[address] = value
        row = sheet[address].row
        heads = {str(cell.value).split("（")[0]: cell.column for cell in sheet[5]}
        for head, text in (("状态", state), ("备注", note), ("数据年份", year)):
            if text is not None:
                sheet.cell(row, heads[head], text)

    return change


def only(found, item=REPORTED, zone="city"):
    rows = found.findings[(found.findings["item"] == item) & (found.findings["zone"] == zone)]
    assert len(rows) == 1, found.findings.to_dict("records")
    return rows.iloc[0]


def test_only_what_nobody_else_holds_is_asked(place):
    city, _ = place
    asked = needed(city, CityData(city), 2025)
    assert asked[REPORTED][0].title_zh == "防洪堤防达标率"
    assert "population_1e4" not in asked, "the table holds it"
    assert "TJ-A11" not in asked and "TJ-C03" not in asked, "layers give them"
    library = load_library()
    for item, serves in asked.items():
        assert all(any("statistics" in m.inputs for m in one.methods) for one in serves), item
        assert item not in library or any(m.formula == PROFILE for m in library[item].methods)


def test_an_indicator_whose_layers_give_no_value_is_asked_for(place):
    import pandas as pd

    city, _ = place
    library, data = load_library(), CityData(city)
    one = next(
        id_
        for id_, indicator in library.items()
        if {method.formula for method in indicator.methods} > {PROFILE}
        and any(
            "statistics" not in m.inputs and all(data.has(r, 2025) for r in m.inputs)
            for m in indicator.methods
        )
    )
    row = {"indicator": one, "level": "city", "year": 2025, "value": math.nan, "basis": "1: x.y"}
    assert needed(city, data, 2025, [one]) == {}
    assert needed(city, data, 2025, [one], values=pd.DataFrame([row | {"value": 3.0}])) == {}
    assert list(needed(city, data, 2025, [one], values=pd.DataFrame([row]))) == [one]
    filled = pd.DataFrame([row | {"value": 3.0, "basis": "2: statistics.reported"}])
    assert list(needed(city, data, 2025, [one], values=filled)) == [one], "asked for again, to be confirmed"


def test_one_workbook_a_department_with_named_unlocked_cells(sheets):
    assert {"水务局", "生态环境局", "交通运输局"} <= set(sheets)
    book = load_workbook(sheets["水务局"])
    assert book.sheetnames == [COVER, "全市", "分区", PLAN]
    assert book[PLAN].sheet_state == "veryHidden"
    cover = "\n".join(str(row[1].value or "") for row in book[COVER].iter_rows())
    assert "两区市" in cover and "2025年" in cover and "甲区、乙区" in cover and "填写说明" in cover
    sheet, address = place_of(book)
    row = sheet[address].row
    assert sheet.protection.sheet and not sheet[address].protection.locked
    assert sheet[f"B{row}"].protection.locked and sheet[f"B{row}"].value == "防洪堤防达标率"
    assert (sheet[f"C{row}"].value, sheet[f"E{row}"].value) == ("%", 80.0)
    assert {"v_TJ_A26_city", "v_TJ_A26_A", "v_TJ_A26_B"} <= set(book.defined_names)
    zone, beside = place_of(book, COUNT, "A")
    assert zone.title == "分区" and zone[beside].offset(0, -1).value == 4.0
    kinds = {(v.type, v.formula1, v.formula2) for v in sheet.data_validations.dataValidation}
    assert ("list", f'"{",".join(STATES)}"', None) in kinds
    assert ("decimal", "0.0", "100.0") in kinds and any(kind[0] == "whole" for kind in kinds)
    assert not sheet.merged_cells.ranges


def test_a_good_figure_enters_with_department_and_cell(place, water):
    city, _ = place
    found = read(city, 2025, [water(put(91.5, state="已填"))])
    row = found.table.set_index("item").loc[REPORTED]
    assert (row["value"], row["unit"], row["year"], row["zone"], row["edition"]) == (
        91.5,
        "%",
        2025,
        "city",
        "fill_in",
    )
    assert (row["department"], row["source_file"], row["cell"]) == (
        "水务局",
        "water.xlsx",
        "全市!F12",
    ) or row["cell"].startswith("全市!F")
    assert found.errors.empty
    assert set(found.findings["problem"]) == {"still_to_come"}


FAULTS = {
    "text": "８５％",
    "formula": "=40+45",
    "cell_error": "#DIV/0!",
    "not_a_number": dt.datetime(2025, 5, 1),
    "range": 130.0,
}


@pytest.mark.parametrize("problem", FAULTS)
def test_what_is_no_possible_number_does_not_enter(place, water, problem):
    city, _ = place
    found = read(city, 2025, [water(put(FAULTS[problem]))])
    row = only(found)
    assert (row["level"], row["problem"], row["sheet"]) == ("error", problem, "全市")
    assert row["message_zh"].startswith(f"全市!{row['cell']}：") and row["cell"].startswith("F")
    assert found.table.empty


def test_the_number_in_a_text_is_suggested_never_taken(place, water):
    found = read(place[0], 2025, [water(put("1,2３4.5 万"))])
    assert only(found)["expected"] == "1234.5" and found.table.empty


def test_negative_and_broken_counts(place, water):
    assert only(read(place[0], 2025, [water(put(-1, item=COUNT))]), COUNT)["problem"] == "range"
    assert only(read(place[0], 2025, [water(put(2.5, item=COUNT))]), COUNT)["problem"] == "not_whole"
    assert read(place[0], 2025, [water(put(3, item=COUNT))]).table["value"].tolist() == [3.0]


def test_a_large_change_needs_a_note(place, water):
    city, _ = place
    asks = read(city, 2025, [water(put(40.0))])
    assert only(asks)["problem"] == "change_without_note" and asks.table.empty
    told = read(city, 2025, [water(put(40.0, state="已填", note="新标准重新评定"))])
    assert (only(told)["level"], only(told)["problem"]) == ("info", "change_with_note")
    assert told.table["note"].tolist() == ["新标准重新评定"]
    assert read(city, 2025, [water(put(40.0))], note_above=0.6).errors.empty


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (put(90.0, year=2024), "wrong_year"),
        (put(90.0, state="已经填了"), "state"),
        (put(90.0, state="无此数据"), "contradiction"),
        (put(None, state="已填"), "missing"),
        (put("  ", state="已填"), "missing"),
    ],
)
def test_year_and_state(place, water, change, problem):
    found = read(place[0], 2025, [water(change)])
    assert only(found)["problem"] == problem and only(found)["level"] == "error" and found.table.empty


def test_a_figure_whose_state_is_empty_is_taken_with_a_warning(place, water):
    city, _ = place
    found = read(city, 2025, [water(put(91.5))])
    told = only(found)
    assert (told["level"], told["problem"]) == ("warning", "state_missing") and told["cell"].startswith("H")
    assert "数值已采用，但“状态”未填" in told["message_zh"]
    assert found.table.set_index("item").loc[REPORTED, "value"] == 91.5 and found.errors.empty


def test_districts_are_asked_only_where_a_figure_has_a_meaning(place, sheets):
    city, _ = place
    library = load_library()
    assert library["TJ-E03"].levels == ("city",) and library["TJ-D16"].scope == "中心城区"
    form = next(one for one in forms(city, 2025, CityData(city)) if one.department == "交通运输局")
    zones = {item.item: item.zones for item in form.items}
    assert zones["TJ-E03"] == () and zones["TJ-D16"] is None, "the town has not delimited its centre"
    book = load_workbook(sheets["交通运输局"])
    names = set(book.defined_names)
    assert "v_TJ_E03_city" in names and not {"v_TJ_E03_A", "v_TJ_E03_B"} & names
    assert "v_TJ_D16_A" in names


def test_a_district_outside_the_scope_is_not_asked(place, monkeypatch, tmp_path):
    from shapely import box

    city, _ = place
    data = CityData(city)
    west = data.zones("district").set_index("code").geometry["A"]
    scoped = city.model_copy(update={"scopes": {**city.scopes, "中心城区": "centre"}})
    monkeypatch.setattr(CityData, "scope", lambda self, name: box(*west.bounds))
    form = next(one for one in forms(scoped, 2025, CityData(scoped)) if one.department == "交通运输局")
    assert {item.item: item.zones for item in form.items}["TJ-D16"] == ("A",)
    book = load_workbook(write(form, tmp_path / "t.xlsx"))
    assert "v_TJ_D16_A" in book.defined_names and "v_TJ_D16_B" not in book.defined_names
    sheet, address = place_of(book, "TJ-D16", "A")
    east = sheet[address].offset(0, 2)
    assert east.value == "—" and east.protection.locked


def test_no_such_data_is_said_and_is_no_zero(place, water):
    found = read(place[0], 2025, [water(put(None, state="无此数据"))])
    assert (only(found)["level"], only(found)["problem"]) == ("info", "no_data") and found.table.empty


def test_merged_cells(place, water):
    def change(book):
        put(90.0)(book)
        sheet, address = place_of(book)
        sheet.merge_cells(f"{address}:G{sheet[address].row}")

    assert only(read(place[0], 2025, [water(change)]))["problem"] == "merged"


def test_moved_renamed_relabelled_cells(place, water):
    def renamed(book):
        put(90.0)(book)
        del book.defined_names["v_TJ_A26_city"]

    def moved(book):
        put(90.0)(book)
        book.defined_names["v_TJ_A26_city"].attr_text = "'全市'!$F$30"

    def label(book):
        put(90.0)(book)
        sheet, address = place_of(book)
        sheet[f"B{sheet[address].row}"] = "别的指标"

    def unit(book):
        put(90.0)(book)
        sheet, address = place_of(book)
        sheet[f"C{sheet[address].row}"] = "‰"

    for change, problem in (
        (renamed, "renamed"),
        (moved, "moved"),
        (label, "label_changed"),
        (unit, "unit_changed"),
    ):
        found = read(place[0], 2025, [water(change)])
        assert only(found)["problem"] == problem and found.table.empty


def test_sheets_that_are_not_ours(place, water, tmp_path):
    city, _ = place

    def plan(book):
        book[PLAN].cell(2, 1, str(book[PLAN].cell(2, 1).value).replace("TJ-A02", "TJ-A03"))

    def strip(book):
        del book[PLAN]

    (tmp_path / "no.xlsx").write_bytes(b"not a workbook")
    cases = {
        "plan_changed": water(plan),
        "not_ours": water(strip, "b.xlsx"),
        "unreadable": tmp_path / "no.xlsx",
    }
    for problem, path in cases.items():
        found = read(city, 2025, [path])
        assert found.findings["problem"].tolist() == [problem] and found.table.empty
        assert found.departments == ()
    other = city.model_copy(update={"city": city.city.model_copy(update={"name": "elsewhere"})})
    assert read(other, 2025, [water(put(1.0))]).findings["problem"].tolist() == ["other_city"]
    assert read(city, 2024, [water(put(1.0))]).findings["problem"].tolist() == ["other_year"]


def test_two_sheets_that_disagree_and_districts_that_do_not_add_up(place, water):
    city, _ = place
    first, second = water(put(90.0)), water(put(91.0), "second.xlsx")
    found = read(city, 2025, [first, second])
    assert found.table.empty and (found.errors["problem"] == "twice").sum() == 2
    assert len(read(city, 2025, [first, water(put(90.0), "third.xlsx")]).table) == 1

    def parts(book):
        put(9, item=COUNT)(book)
        put(4, item=COUNT, zone="A")(book)
        put(3, item=COUNT, zone="B")(book)

    found = read(city, 2025, [water(parts)])
    warned = found.findings[found.findings["problem"] == "sum"].iloc[0]
    assert (warned["level"], warned["found"], warned["expected"]) == ("warning", "9", "7")
    assert len(found.table) == 3


def test_ranges_come_from_the_definitions():
    assert limits("再生水利用率", "%") == (0.0, 100.0, False)
    assert limits("单位GDP二氧化碳排放降低比例", "%") == (None, None, False)
    assert limits("市场开放度", "%") == (0.0, None, False)
    assert limits("地下水水位", "m")[0] is None
    assert limits("年空气质量优良天数", "day") == (0.0, 366.0, True)
    assert limits("每10万人拥有的博物馆数量", "count")[2] is False


def test_kept_figures_give_the_value_its_source_and_trace(place, water):
    """The way of a figure: sheet, table of the role statistics, value, source, cell."""
    city, _ = place
    before = CityData(city)
    asked = compute(city, 2025, [REPORTED], levels=("city", "district"), store=before)
    assert asked["value"].isna().all()

    def change(book):
        put(91.5)(book)
        put(88.0, zone="A")(book)

    keep(city, 2025, read(city, 2025, [water(change)]))
    data = CityData(city)
    rows = compute(city, 2025, [REPORTED], levels=("city", "district"), store=data).set_index("zone")
    assert rows["value"].dropna().to_dict() == {"books": 91.5, "A": 88.0}
    assert rows.loc["books", "inputs_hash"] != asked["inputs_hash"].iloc[0]
    source = data.source("statistics")
    assert (
        source.source == "统计年鉴；填报表（水务局）" and source.sha256 != before.source("statistics").sha256
    )
    assert (
        data.table("statistics", 2025, edition="fill_in")["cell"].str.startswith(("全市!F", "分区!F")).all()
    )
    assert filled_indicators(data, rows.reset_index()) == {REPORTED} and len(data.filled_in(2025)) == 2
    (fact,) = provenance(data, rows.loc["books"].to_dict() | {"zone": "books"})
    assert fact.startswith("填报表 water.xlsx, 水务局, cell 全市!F") and "= 91.5 %" in fact
    assert data.table("statistics", 2025, edition="original")["item"].eq(REPORTED).sum() == 2, (
        "first published so"
    )
    keep(city, 2025, read(city, 2025, [water(put(92.0))]))
    again = CityData(city).table("statistics", 2025)
    assert again[again["item"] == REPORTED]["value"].tolist() == [92.0], (
        "the department's former figures are replaced"
    )
    fill_ins.path_of(city.name, 2025).unlink()
    assert compute(city, 2025, [REPORTED], levels=("city",), store=CityData(city))["value"].isna().all()


def test_trace_of_a_run_names_department_file_and_cell(place, water, tmp_path):
    import json

    from workbench.reporting.tracing import trace_value

    city, folder = place
    keep(city, 2025, read(city, 2025, [water(put(91.5))]))
    rows = compute(city, 2025, [REPORTED], levels=("city",), store=CityData(city))
    rows.to_parquet(tmp_path / "values.parquet")
    record = {
        "profile": str(folder / "books.toml"),
        "city": "books",
        "year": 2025,
        "run_id": "r1",
        "started": "now",
    }
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    found = trace_value(rows["value_id"].item(), tmp_path)
    assert found.agrees and "填报表 water.xlsx, 水务局, cell 全市!F" in found.text
    assert "填报表（水务局）" in found.text
    fill_ins.path_of(city.name, 2025).unlink()


def test_a_figure_the_table_holds_goes_first(place):
    city, _ = place
    row = {"item": "population_1e4", "year": 2025, "zone": "city", "value": 99.0, "unit": "1e4 person", "edition": "fill_in",
           "department": "统计局", "source_file": "x.xlsx", "cell": "全市!F6", "note": ""}  # fmt: skip
    import pandas as pd

    fill_ins.keep(city.name, 2025, pd.DataFrame([row]), departments=["统计局"])
    table = CityData(city).table("statistics", 2025)
    assert table[(table["item"] == "population_1e4") & (table["zone"] == "city")]["value"].tolist() == [1.0]
    fill_ins.path_of(city.name, 2025).unlink()


def test_a_city_without_statistics_lives_on_what_is_filled_in(place, water):
    city, _ = place
    bare = city.model_copy(update={"layers": {k: v for k, v in city.layers.items() if k != "statistics"}})
    assert CityData(bare).why_missing("statistics") == "no_layer"
    keep(bare, 2025, read(bare, 2025, [water(put(91.5))]))
    data = CityData(bare)
    assert data.has("statistics") and data.table("statistics", 2025)["value"].tolist() == [91.5]
    assert data.source("statistics").source == "填报表（水务局）" and math.isfinite(
        len(data.inputs_hash(["statistics"]))
    )
    assert compute(bare, 2025, [REPORTED], levels=("city",), store=data)["value"].tolist() == [91.5]
    fill_ins.path_of(city.name, 2025).unlink()


def test_commands(place, water, monkeypatch, tmp_path):
    from click.testing import CliRunner

    from workbench.cli import main

    city, _ = place
    monkeypatch.setattr("workbench.reporting.run.find_city", lambda name: city)
    run = CliRunner().invoke(main, ["fill-in", "make", "--out", str(tmp_path / "out")])
    assert run.exit_code == 0 and "填报表_两区市_2025_水务局.xlsx" in run.output
    run = CliRunner().invoke(main, ["fill-in", "read", str(water(put("85")))])
    assert run.exit_code == 1 and "全市!F" in run.output and "0 figures accepted, 1 errors" in run.output
    run = CliRunner().invoke(main, ["fill-in", "read", "--check", str(water(put(90.0)))])
    assert run.exit_code == 0 and "1 figures accepted" in run.output
    assert not fill_ins.files(city.name) or fill_ins.read(city.name).empty
    run = CliRunner().invoke(main, ["ledger", "--year", "2025"])
    assert run.exit_code == 0 and "over_assigned" in run.output and "quota_ledger-2025.parquet" in run.output
