"""The command group ``workbench cases`` on a register made by hand."""

from types import SimpleNamespace

import openpyxl
import pandas as pd
import pytest
from click.testing import CliRunner
from shapely.affinity import translate

from tests.rules.drawn import CRS, FIELD, HOUSE, cases, change, frame, line
from workbench.cli import main
from workbench.rules.library import load_rules
from workbench.rules.register import Register
from workbench.rules.space_code import space_code
from workbench.rules.verdicts import SHEET

CITY = SimpleNamespace(name="t", crs=CRS, levels={}, interpretation=None)


@pytest.fixture
def register(home, monkeypatch):
    monkeypatch.setattr("workbench.reporting.run.find_city", lambda name: CITY)
    found = cases(
        change((HOUSE, "0702")),
        {"permanent_farmland": line(FIELD)},
        list(load_rules(("control_lines",)).values()),
    )
    monkeypatch.setattr(
        "workbench.evaluation.checkup.checkup",
        lambda city, year, say: SimpleNamespace(
            findings=found, year=2025, data=SimpleNamespace(has=lambda role, year=None: False)
        ),
    )
    result = call("update", "--on", "2026-02-01")
    assert (
        result.exit_code == 0
        and "new 1, still 0, back 0, gone 0; 1 entries by line (1 places)" in result.output
    )
    return Register.open(CITY)


def call(*arguments):
    return CliRunner().invoke(main, ["cases", *map(str, arguments)])


def test_cases_go_out_and_come_back(register, tmp_path):
    path = tmp_path / "list.xlsx"
    assert call("export", path).output.strip() == str(path)
    book = openpyxl.load_workbook(path)
    sheet = book[SHEET]
    column = {cell.value: cell.column for cell in sheet[1]}
    for field, value in {"ZT": "核查", "HCJL": "属实", "HCR": "张三"}.items():
        sheet.cell(3, column[field], value)
    book.save(path)
    result = call("take", path, "--on", "2026-04-01")
    assert result.exit_code == 1 and "taken: 0, refused: 1, nothing new: 0" in result.output
    assert "缺少核查日期（未填，应为2025-12-31）；请填写核查日期" in result.output.replace("\n", "")
    assert "the date is missing" in result.output
    sheet.cell(3, column["HCRQ"], "2026-03-01")
    book.save(path)
    taken = call("take", path, "--on", "2026-04-01")
    assert taken.exit_code == 0 and taken.output.strip() == "taken: 1, refused: 0, nothing new: 0"
    listed = call("list", "--on", "2026-04-01", "--status", "核查")
    code = register.cases["space_code"].iloc[0]
    assert listed.exit_code == 0 and code in listed.output and "59" in listed.output
    assert code not in call("list", "--line", "green_line").output
    rates = call("list", "--rates", "2026").output
    assert "永久基本农田" in rates and "permanent_farmland" in rates and "0.0%" in rates
    autumn = call("list", "--rates", "2026", "--quarter", "3").output
    assert " ".join(autumn.splitlines()[1].split()).endswith("1 0 0 0 0 1 0.0% 241")


class Seen:
    """A catalogue with two cases found in images: one where the survey has its case, one nobody knew."""

    def __init__(self, city):
        shapes = [HOUSE.buffer(1), translate(HOUSE, 500, 500)]
        self.found = frame(
            shapes, finding_id=["YX-1", "YX-2"], rule="fa_cropland_built", level=3, line="permanent_farmland", district="A",
            source="image", area_m2=[one.area for one in shapes], before="0103", after="", permit_state="无",
            date_before=pd.Timestamp("2024-11-02"), date_after=pd.Timestamp("2025-11-02"),
            space_code=[space_code(one, CRS, "permanent_farmland", 2025) for one in shapes],
        )  # fmt: skip

    def has(self, role, year=None):
        return role == "detected_cases"

    def years(self, role):
        return [2025]

    def vector(self, role, year=None):
        return self.found


def test_an_update_takes_in_what_images_found_and_a_place_both_saw_counts_as_found(register, monkeypatch):
    """One of two image cases is the survey's; once that is confirmed on site, images have found one of one."""
    monkeypatch.setattr("workbench.catalog.data.CityData", Seen)
    checked = SimpleNamespace(findings=register.cases, year=2025, data=Seen(CITY))
    monkeypatch.setattr("workbench.evaluation.checkup.checkup", lambda city, year, say: checked)
    told = call("update", "--on", "2026-02-02").output
    assert "new 0, still 1, back 0, gone 0; 1 entries by line (1 places)" in told
    assert "images: new 1, still 0, back 0, gone 0; 1 of 2 are there already" in told
    book = Register.open(CITY)
    assert book.cases["source"].tolist() == ["survey", "detected"]
    book.step(book.cases["space_code"].iloc[0], "核查", person="李", on_date="2026-02-10", verdict="属实")
    book.save()
    shown = " ".join(call("field").output.split())
    assert (
        "all 100% (1 of 1)" in shown and shown.count("100% (1 of 1)") == 4
    )  # precision and recall, all and month


def test_images_not_read_yet_are_told_with_what_to_do(register, monkeypatch):
    city = SimpleNamespace(name="t", crs=CRS, levels={}, interpretation=object())
    monkeypatch.setattr("workbench.reporting.run.find_city", lambda name: city)
    result = call("update", "--on", "2026-02-02")
    assert result.exit_code == 0 and "--update-cases" in result.output and "images of 2025" in result.output


def test_misuse_is_exit_code_2(register, tmp_path):
    assert call("export", tmp_path / "list.csv").exit_code == 2
    assert call("list", "--on", "soon").exit_code == 2
    (tmp_path / "x.xlsx").write_text("no workbook")
    assert call("take", tmp_path / "x.xlsx").exit_code == 1
    assert call("update", "--on", "2026-01-01").exit_code == 1
