"""The register: runs, persons, lists that go out and come back, ageing and rates."""

from types import SimpleNamespace

import geopandas as gpd
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import translate

from tests.rules.drawn import CRS, FIELD, at, cases, change, line
from workbench.core.errors import CRSError, DataQualityError, ParameterError
from workbench.rules.library import load_rules
from workbench.rules.register import STATUSES, Register
from workbench.rules.verdicts import FIELDS, SHEET

CITY = SimpleNamespace(name="t", crs=CRS)
RULES = list(load_rules(("control_lines",)).values())
HOUSES = [at(50, 200, 80, 220), at(50, 50, 90, 90), at(300, 100, 330, 130)]
"""600 and 1600 m² in district A, 900 m² in B; cases are numbered from the north."""


def found(*houses, days=("2024-12-31", "2025-12-31")):
    return cases(
        change(*[(house, "0702") for house in houses], days=days), {"permanent_farmland": line(FIELD)}, RULES
    )


@pytest.fixture
def register(tmp_path):
    fresh = Register.open(CITY, path=tmp_path / "cases.gpkg")
    fresh.update(found(*HOUSES), "2026-02-01")
    return fresh


def code_of(register, k=0):
    return register.cases["space_code"].iloc[k]


def again(register):
    return Register.open(CITY, path=register.path)


def test_an_empty_register_has_its_columns(tmp_path):
    empty = Register.open(CITY, path=tmp_path / "none.gpkg")
    assert empty.cases.empty and empty.history.empty and not empty.path.exists()
    assert empty.table("2026-01-01").empty and empty.rates(2026)["found"].tolist() == [0]
    assert empty.update(found(), "2026-02-01") == {"new": 0, "still": 0, "back": 0, "gone": 0}
    assert again(empty).cases.empty


def test_new_still_gone_and_back(register):
    assert register.update(found(*HOUSES), "2026-03-01") == {"new": 0, "still": 3, "back": 0, "gone": 0}
    assert register.update(found(*HOUSES[:2]), "2026-04-01") == {"new": 0, "still": 2, "back": 0, "gone": 1}
    assert register.update(found(*HOUSES), "2026-05-01") == {"new": 0, "still": 2, "back": 1, "gone": 0}
    more = [*HOUSES, at(200, 300, 230, 330)]
    assert register.update(found(*more), "2026-06-01") == {"new": 1, "still": 3, "back": 0, "gone": 0}
    events = register.history["event"].value_counts().to_dict()
    assert events == {"发现": 4, "不再列出": 1, "再次列出": 1}
    assert again(register).cases["status"].eq("发现").all()


def test_cases_of_another_year_are_not_gone(register):
    later = found(at(200, 300, 230, 330), days=("2025-12-31", "2026-12-31"))
    assert register.update(later, "2027-02-01") == {"new": 1, "still": 0, "back": 0, "gone": 0}
    assert register.cases["listed"].all()
    assert register.update(found(), "2027-03-01", year=2026)["gone"] == 1


def test_a_place_measured_anew_is_the_same_case(register):
    code, area = code_of(register), register.cases["area_m2"].iloc[0]
    moved = translate(HOUSES[0], 3, 0)
    fresh = found(moved, *HOUSES[1:])
    assert code not in set(fresh["space_code"])
    for day in ("2026-03-01", "2026-03-01"):
        assert register.update(fresh, day) == {"new": 0, "still": 3, "back": 0, "gone": 0}
    assert register.cases.set_index("space_code").at[code, "area_m2"] == area
    assert register.history["event"].tolist().count("重新测定") == 1


@settings(max_examples=15)
@given(first=st.sets(st.integers(0, 2)), second=st.sets(st.integers(0, 2)))
def test_a_run_repeated_changes_nothing(tmp_path_factory, first, second):
    register = Register.open(CITY, path=tmp_path_factory.mktemp("r") / "cases.gpkg")
    register.update(found(*[HOUSES[k] for k in sorted(first)]), "2026-02-01", year=2025)
    run = found(*[HOUSES[k] for k in sorted(second)])
    register.update(run, "2026-03-01", year=2025)
    cases_before, history = register.cases.copy(), register.history.copy()
    counts = register.update(run, "2026-03-01", year=2025)
    assert counts == {"new": 0, "still": len(second), "back": 0, "gone": 0}
    pd.testing.assert_frame_equal(pd.DataFrame(register.cases), pd.DataFrame(cases_before))
    pd.testing.assert_frame_equal(register.history, history)
    pd.testing.assert_frame_equal(
        again(register).cases.drop(columns="geometry"), register.cases.drop(columns="geometry"),
        check_dtype=False,
    )  # fmt: skip


def test_runs_with_faults_are_refused(register):
    with pytest.raises(DataQualityError, match="older than the last one"):
        register.update(found(), "2026-01-01")
    good = found(*HOUSES)
    with pytest.raises(DataQualityError, match="appear twice"):
        register.update(pd.concat([good, good], ignore_index=True), "2026-03-01")
    with pytest.raises(DataQualityError, match="wrong space codes"):
        register.update(good.assign(space_code="123"), "2026-03-01")
    with pytest.raises(CRSError):
        register.update(good.to_crs("EPSG:4526"), "2026-03-01")
    with pytest.raises(ParameterError, match="not a date"):
        register.update(good, "soon")
    with pytest.raises(ParameterError, match="no space codes"):
        register.update(good.drop(columns="space_code"), "2026-03-01")


def test_a_file_that_is_no_register(tmp_path):
    gpd.GeoDataFrame({"a": [1]}, geometry=[FIELD], crs=CRS).to_file(tmp_path / "x.gpkg", layer="other")
    with pytest.raises(DataQualityError, match="no case register"):
        Register.open(CITY, path=tmp_path / "x.gpkg")


def fill(path, **by_code):
    """Write values into the fields of a list in Excel; ``by_code`` is code -> {field: value}."""
    book = openpyxl.load_workbook(path)
    sheet = book[SHEET]
    column = {cell.value: cell.column for cell in sheet[1]}
    for row in sheet.iter_rows(min_row=3):
        code = row[column["KJM"] - 1].value
        for field, value in by_code.get("_" + str(code), {}).items():
            cell = sheet.cell(row[0].row, column[field], value)
            cell.data_type = "n" if value is None else "s"
    book.save(path)


CHECKED = {"ZT": "核查", "HCJL": "属实", "HCR": "张三", "HCRQ": "2026-03-05", "BZ": "=现场已硬化"}


def test_verdicts_come_back_in_excel(register, tmp_path):
    path = register.export(tmp_path / "list.xlsx")
    sheet = openpyxl.load_workbook(path)[SHEET]
    assert [cell.value for cell in sheet[1]] == list(FIELDS)
    assert [cell.value for cell in sheet[2]] == list(FIELDS.values())
    assert sheet.max_row == 5
    fill(path, **{"_" + code_of(register): CHECKED})
    shapes = register.cases.geometry.copy()
    assert register.take(path, on_date="2026-04-01").empty
    row = again(register).cases.iloc[0]
    assert (row["status"], row["verdict"], row["person"], row["note"]) == (
        "核查",
        "属实",
        "张三",
        "=现场已硬化",
    )
    assert row["status_on"] == pd.Timestamp("2026-03-05")
    assert register.cases.geometry.geom_equals(shapes).all()
    once = len(register.history)
    assert register.take(register.export(path), on_date="2026-04-01").empty
    assert len(register.history) == once, "a list that says nothing new leaves nothing"


def test_verdicts_come_back_in_a_geopackage_and_change_no_shape(register, tmp_path):
    path = register.export(tmp_path / "list.gpkg")
    frame = gpd.read_file(path, layer="cases")
    assert set(FIELDS) <= set(frame.columns)
    frame.loc[0, list(CHECKED)] = list(CHECKED.values())
    frame.loc[0, "geometry"] = frame.geometry.iloc[0].buffer(5)
    frame.loc[1, "MJ"] = 5.0
    frame.to_file(path, layer="cases")
    problems = register.take(path)
    assert sorted(problems["problem"]) == ["area_changed", "shape_changed"]
    assert problems["level"].eq("warning").all()
    assert register.cases["status"].tolist() == ["核查", "发现", "发现"]
    assert register.cases["area_m2"].iloc[1] == pytest.approx(1600, rel=1e-4)
    assert register.cases.geometry.iloc[0].area == pytest.approx(600, rel=1e-6)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({**CHECKED, "ZT": "结案"}, "unknown_status"),
        ({**CHECKED, "HCJL": "违法"}, "unknown_verdict"),
        ({**CHECKED, "HCJL": None}, "no_verdict"),
        ({**CHECKED, "ZT": "整改", "HCJL": "误判"}, "no_verdict"),
        ({**CHECKED, "ZT": "销号"}, "no_verdict"),
        ({**CHECKED, "ZT": "发现"}, "status_due"),
        ({**CHECKED, "HCR": None}, "no_person"),
        ({**CHECKED, "HCRQ": None}, "no_date"),
        ({**CHECKED, "HCRQ": "下周"}, "bad_date"),
        ({**CHECKED, "HCRQ": "2026-01-05"}, "date_order"),
        ({**CHECKED, "HCRQ": "2026-08-05"}, "future"),
        ({**CHECKED, "HDLX": "HD99"}, "unknown_activity"),
    ],
)
def test_a_row_with_an_error_is_left_out_and_the_others_count(register, tmp_path, values, problem):
    path = register.export(tmp_path / "list.xlsx")
    fill(path, **{"_" + code_of(register): values, "_" + code_of(register, 1): CHECKED})
    problems = register.take(path, on_date="2026-04-01")
    assert problems[["space_code", "problem", "level"]].to_numpy().tolist() == [
        [code_of(register), problem, "error"]
    ]
    assert problems["message_zh"].ne("").all() and problems["row"].gt(2).all()
    assert register.cases["status"].tolist() == ["发现", "核查", "发现"]


def test_a_status_never_goes_backwards(register, tmp_path):
    path = register.export(tmp_path / "list.xlsx")
    fill(path, **{"_" + code_of(register): {**CHECKED, "ZT": "整改"}})
    register.take(path)
    assert register.history["to_status"].tolist()[-2:] == ["核查", "整改"]
    fill(path, **{"_" + code_of(register): {**CHECKED, "HCRQ": "2026-04-01"}})
    assert register.take(path)["problem"].tolist() == ["backwards"]
    with pytest.raises(DataQualityError, match="backwards"):
        register.step(code_of(register), "发现", person="张三", on_date="2026-05-01")


def test_unknown_wrong_and_doubled_codes_are_findings(register, tmp_path):
    path = register.export(tmp_path / "list.gpkg")
    frame = gpd.read_file(path, layer="cases")
    other = found(at(200, 300, 230, 330))["space_code"].iloc[0]
    frame["KJM"] = [other, frame["KJM"].iloc[1][:-1] + "#", frame["KJM"].iloc[2]]
    frame = pd.concat([frame, frame.iloc[[2]]], ignore_index=True)
    frame.to_file(path, layer="cases")
    problems = register.take(path)
    assert problems["problem"].tolist() == ["unknown_code", "wrong_code", "duplicate", "duplicate"]


def test_files_that_are_no_list(register, tmp_path):
    (tmp_path / "a.xlsx").write_text("no workbook")
    with pytest.raises((DataQualityError, ParameterError)):
        register.take(tmp_path / "a.xlsx")
    book = openpyxl.Workbook()
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(DataQualityError, match="no row with the field names"):
        register.take(tmp_path / "b.xlsx")
    book.active.append(["KJM", "ZT"])
    book.save(tmp_path / "c.xlsx")
    with pytest.raises(DataQualityError, match="fields are missing"):
        register.take(tmp_path / "c.xlsx")
    with pytest.raises(ParameterError, match="unknown kind of file"):
        register.export(tmp_path / "list.csv")
    with pytest.raises(DataQualityError, match="does not exist"):
        register.take(tmp_path / "none.xlsx")


def test_activities_found_in_the_field_are_kept_for_the_rules(register, tmp_path):
    path = register.export(tmp_path / "list.xlsx")
    fill(path, **{"_" + code_of(register): {**CHECKED, "HDLX": "HD06"}})
    assert register.take(path).empty
    assert again(register).activities() == {code_of(register): "HD06"}


def test_ageing_and_rates(register):
    a, b, _ = register.cases["space_code"]
    register.step(a, "核查", person="张三", on_date="2026-03-01", verdict="属实")
    register.step(a, "整改", person="张三", on_date="2026-04-01", verdict="属实")
    register.step(b, "销号", person="李四", on_date="2026-05-01", verdict="误判")
    register.step(a, "销号", person="张三", on_date="2027-01-10", verdict="属实")
    assert set(STATUSES) == set(register.history["to_status"])
    steps = register.history[register.history["space_code"] == b]["to_status"].tolist()
    assert steps == ["发现", "核查", "销号"], "a false change needs no measures"
    rates = register.rates(2026).set_index("line").loc["all"]
    assert rates[["open_start", "found", "checked", "rectified", "closed", "open_end"]].tolist() == [
        0, 3, 2, 1, 1, 2,
    ]  # fmt: skip
    assert rates["closing_rate"] == pytest.approx(1 / 3)
    assert rates["median_age_days"] == (pd.Timestamp("2026-12-31") - pd.Timestamp("2026-02-01")).days
    later = register.rates(2027).set_index("line").loc["permanent_farmland"]
    assert (later["open_start"], later["closed"], later["closing_rate"]) == (2, 1, 0.5)
    spring = register.table("2026-03-15").set_index("space_code")
    assert spring["status"].to_dict()[a] == "核查" and spring.at[b, "age_days"] == 42
    assert register.table("2027-06-01").set_index("space_code").at[b, "age_days"] == 89
    assert register.table("2026-01-31").empty


def test_the_list_names_what_else_a_case_lies_on(register, tmp_path):
    table = gpd.read_file(register.export(tmp_path / "list.gpkg"), layer="cases")
    assert table["SFYN"].eq("是").all() and table["SFHX"].eq("否").all()
    assert table["YNMJ"].tolist() == pytest.approx(table["MJ"].tolist())
    assert table["DLMC"].eq("旱地").all() and table["TBLXMC"].eq("农村宅基地").all()
    assert table["KZX"].eq("永久基本农田").all() and table["TZ"].eq("疑似占用永久基本农田新增建设").all()
    assert table["SPPP"].eq("否").all() and table["MS"].iloc[0] == pytest.approx(0.9)
