"""The command group ``workbench cases`` on a register made by hand."""

from types import SimpleNamespace

import openpyxl
import pytest
from click.testing import CliRunner

from tests.rules.drawn import CRS, FIELD, HOUSE, cases, change, line
from workbench.cli import main
from workbench.rules.library import load_rules
from workbench.rules.register import Register
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


def test_misuse_is_exit_code_2(register, tmp_path):
    assert call("export", tmp_path / "list.csv").exit_code == 2
    assert call("list", "--on", "soon").exit_code == 2
    (tmp_path / "x.xlsx").write_text("no workbook")
    assert call("take", tmp_path / "x.xlsx").exit_code == 1
    assert call("update", "--on", "2026-01-01").exit_code == 1
