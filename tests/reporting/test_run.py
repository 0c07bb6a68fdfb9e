"""Runs with real kernels: what is left when chapters fail, what is reused, what an interrupt leaves."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import geopandas as gpd
import openpyxl
import pytest

from workbench.core.errors import ParameterError, ProfileError, RunError
from workbench.reporting import progress
from workbench.reporting.run import run_report
from workbench.reporting.tracing import find_run

from .conftest import GOOD

STUB = "stub_values"
FAILS = "print('before')\nraise KeyError('no such field')"
HANGS = "import time; time.sleep(60)"
DIES = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def make(desk, book, *, quiet=True, **options):
    return run_report(book, str(desk.city), out_dir=desk.out, quiet=quiet, values_module=STUB, **options)


def record(result):
    return json.loads((result.path.parent / "run.json").read_text(encoding="utf-8"))


def test_failing_chapters_leave_traces_and_spare_the_others(desk):
    book = desk.book(
        ("good", GOOD),
        ("fails", FAILS),
        ("hangs", HANGS),
        ("dies", DIES),
        extra={"hangs": "cell_timeout_s = 3"},
    )
    result = make(desk, book, jobs=2)
    assert result.status == "failed"
    assert result.failed == ["fails", "hangs", "dies"]
    chapters = record(result)["chapters"]
    assert {name: c["status"] for name, c in chapters.items()} == {
        "good": "ok",
        "fails": "failed",
        "hangs": "timeout",
        "dies": "killed",
    }
    assert chapters["fails"]["error"]["name"] == "KeyError"
    assert "no such field" in chapters["fails"]["error"]["message"]
    folder = result.path.parent
    names = {p.name for p in (folder / "chapters").iterdir()}
    assert names == {"good.ipynb"} | {f"{n}{s}" for n in result.failed for s in (".partial.ipynb", ".log")}
    assert "before" in (folder / "chapters/fails.partial.ipynb").read_text(encoding="utf-8")
    page = result.path.read_text(encoding="utf-8")
    assert page.count('class="failure x"') == 3
    assert "no such field" in page and "1,234.6" in page
    for words in ("本章未能生成（执行出错）", "本章未能生成（超出时限）", "本章未能生成（进程中断）"):
        assert words in page
    assert page.count("</section>") == 4 and page.rstrip().endswith("</html>")
    assert os.readlink(folder.parent / "latest") == folder.name
    assert not [p for p in folder.parent.iterdir() if p.name.startswith(".")]


def test_chapter_of_a_topic_without_data_is_left_out_with_the_reason(desk):
    book = desk.book(
        ("good", GOOD),
        ("circles", FAILS),
        extra={"circles": 'topic = "life_circle"', "good": 'topic = "quality"'},
    )
    result = make(desk, book)
    assert (result.status, result.failed) == ("ok", [])
    assert record(result)["chapters"]["circles"]["status"] == "absent"
    page = result.path.read_text(encoding="utf-8")
    assert '本章未编制：缺少<span class="x">2025</span>年道路。' in page and "1,234.6" in page


def test_chapters_over_their_time_or_memory_are_ended_with_their_kernels(desk):
    marker = desk.root / "kernel.pid"
    code = f"import os, pathlib, time\npathlib.Path({str(marker)!r}).write_text(str(os.getpid()))\nfor _ in range(1800): time.sleep(0.1)"
    big = "x = bytearray(2**30)\nimport time; time.sleep(30)"
    limits = {"slow": "timeout_s = 25", "big": "memory_gib = 0.6"}
    result = make(desk, desk.book(("slow", code), ("big", big), extra=limits))
    chapters = record(result)["chapters"]
    assert chapters["slow"]["status"] == "timeout"
    assert chapters["big"]["status"] == "memory"
    assert chapters["big"]["peak_gib"] >= 0.6  # rounded to three places
    assert not Path(f"/proc/{marker.read_text()}").exists()


def test_rerun_reuses_and_a_changed_notebook_runs_again(desk):
    book = desk.book(("one", GOOD), ("two", GOOD))
    first = make(desk, book)
    assert (first.status, first.reused) == ("ok", [])
    second = make(desk, book)
    assert second.reused == ["one", "two"]
    assert second.path.parent != first.path.parent
    assert second.path.read_text("utf-8").count("1,234.6") == 2
    changed = desk.book(("one", GOOD), ("two", GOOD + "\n1 + 1"))
    assert make(desk, changed).reused == ["one"]
    assert make(desk, changed, lang="en").reused == []


def test_latest_is_the_profiles_language_and_the_internal_edition(desk):
    book = desk.book(("one", GOOD))
    own = make(desk, book).path.parent
    english = make(desk, book, lang="en").path.parent
    public = make(desk, book, edition="public").path.parent.parent
    links = {path.name: os.readlink(path) for path in own.parent.glob("latest*")}
    assert links == {"latest": own.name, "latest-en": english.name, "latest-public": f"{public.name}/public"}
    assert find_run("vaaaaaaaaaa", desk.out) == public
    open_ = own.parent / "latest-public"
    told = json.loads((open_ / "run.json").read_text(encoding="utf-8"))
    assert told["edition"] == "public" and set(told["files"]) >= {
        "report.html",
        "report.pdf",
    }
    assert {p.relative_to(open_).as_posix() for p in open_.rglob("*") if p.is_file()} == {
        *told["files"],
        "run.json",
    }
    assert not {"chapters", "values", "parameters", "print"} & set(told)


def test_every_book_and_quarter_has_a_pointer_of_its_own(desk):
    annual = make(desk, desk.book(("one", GOOD))).path.parent
    whole = desk.book(("one", GOOD), name="five_years")
    quarterly = desk.book(("one", GOOD), name="quarterly")
    path = Path(quarterly)
    path.write_text("quarterly = true\n" + path.read_text("utf-8"), "utf-8")
    other = make(desk, whole).path.parent
    third = make(desk, quarterly, quarter=3).path.parent
    english = make(desk, quarterly, quarter=3, lang="en").path.parent
    links = {path.name: os.readlink(path) for path in annual.parent.glob("latest*")}
    assert links == {
        "latest": annual.name,
        "latest-five_years": other.name,
        "latest-quarterly-q3": third.name,
        "latest-quarterly-q3-en": english.name,
    }
    assert third.name.endswith("-q3") and json.loads((third / "run.json").read_text())["quarter"] == 3
    page = (third / "report.html").read_text("utf-8")
    assert '<p class="cover-year"><span class="x">2025年第三季度</span></p>' in page
    assert "（2025年第三季度）</title>" in page and "2025年度" not in page
    assert "2025, third quarter" in (english / "report.html").read_text("utf-8")
    with pytest.raises(ParameterError, match="of a whole year"):
        make(desk, whole, quarter=3)
    with pytest.raises(ParameterError, match="no such quarter"):
        make(desk, quarterly, quarter=5)
    assert find_run("vaaaaaaaaaa", desk.out) == english


def test_the_values_step_says_what_it_is_doing(desk, monkeypatch, capfd):
    monkeypatch.setenv("STUB_VALUES", "steps")
    monkeypatch.setattr(progress, "NOTE_S", 0.0)
    make(desk, desk.book(("one", GOOD)), quiet=False)
    stamped = capfd.readouterr().err.splitlines()
    assert stamped and all(re.match(r"\d\d:\d\d:\d\d \w", line) for line in stamped)
    lines = [line[9:] for line in stamped]
    assert [line for line in lines if line.startswith("assemble")] == [
        "assemble: running", "assemble: writing tables/values.xlsx, maps/cases.gpkg", "assemble: writing report.html",
        "assemble: writing report.docx", "assemble: writing report.pdf", "assemble: ok",
    ]  # fmt: skip
    told = [line for line in lines if line.startswith("values: indicators")]
    assert told and told == sorted(told) and told[-1] == "values: indicators of 2025: 2/3"
    assert lines.index("values: running") < lines.index(told[0])
    monkeypatch.setattr(progress, "NOTE_S", 60.0)
    make(desk, desk.book(("one", GOOD)), quiet=False)
    again = capfd.readouterr().err.splitlines()
    assert sum(" values: indicators" in line for line in again) <= 1


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (
            "indicator_set",
            '"chekup_first"',
            r"city\.indicator_set: no such set.*did you mean 'checkup_first'",
        ),
        ("rule_packs", '["targets", "no_pack"]', r"city\.rule_packs: no such rule pack; found 'no_pack'"),
        ("report_book", '"anual_checkup"', r"city\.report_book: no such report book.*annual_checkup"),
    ],
)
def test_what_a_profile_names_must_be_there(desk, key, value, says):
    text = desk.city.read_text("utf-8")
    desk.city.write_text(text.replace("base_year", f"{key} = {value}\nbase_year"), "utf-8")
    with pytest.raises(ProfileError, match=says):
        make(desk, desk.book(("one", GOOD)))
    assert not desk.out.exists()


def test_failed_values_are_an_error_and_leave_the_earlier_report(desk, monkeypatch):
    book = desk.book(("one", GOOD))
    first = make(desk, book)
    monkeypatch.setenv("STUB_VALUES", "crash")
    with pytest.raises(RunError, match="the disk is full"):
        make(desk, book)
    runs = first.path.parent.parent
    assert sorted(p.name for p in runs.iterdir()) == sorted([first.path.parent.name, "latest"])
    assert (runs / "latest" / "report.html").is_file()


def test_interrupt_ends_children_and_leaves_the_earlier_report(desk, monkeypatch):
    marker = desk.root / "kernel.pid"
    book = desk.book(("one", GOOD))
    first = make(desk, book)
    slow = desk.book(
        ("one", GOOD),
        (
            "two",
            f"import os, pathlib, time\npathlib.Path({str(marker)!r}).write_text(str(os.getpid()))\ntime.sleep(60)",
        ),
        name="slow",
    )
    code = (
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\nfrom workbench.reporting.run import run_report\n"
        f"run_report({slow!r}, {str(desk.city)!r}, out_dir=Path({str(desk.out)!r}), values_module={STUB!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, start_new_session=True)
    until = time.monotonic() + 120
    while not (marker.exists() and marker.read_text()) and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1].decode()
    assert "KeyboardInterrupt" in error
    assert not Path(f"/proc/{marker.read_text()}").exists()
    runs = first.path.parent.parent
    assert sorted(p.name for p in runs.iterdir()) == sorted([first.path.parent.name, "latest"])


def test_page_and_exports_of_a_run(desk):
    result = make(desk, desk.book(("one", GOOD)))
    folder, page = result.path.parent, result.path.read_text("utf-8")
    assert '<html lang="zh-CN">' in page
    assert "指标释义未经标准原文核对" in page
    assert "2024-12-31" in page
    assert '<span class="x label">表 1-1</span> 表题' in page
    assert '<span class="x label">1.1</span> 第一节' in page
    assert "<script" not in page
    assert "http:" not in page and "https:" not in page
    sheet = openpyxl.load_workbook(folder / "tables/values.xlsx")["指标数值"]
    head = [cell.value for cell in sheet[1]]
    assert sheet.cell(2, head.index("数值") + 1).value == 1234.56
    assert sheet.cell(3, head.index("数值") + 1).value is None
    cases = gpd.read_file(folder / "maps/cases.gpkg")
    assert list(cases["finding_id"]) == ["f1"]
    assert cases.crs.to_epsg() == 4547
    assert cases.geometry.area.iloc[0] == 100
