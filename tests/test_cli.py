"""The command line: quick, and its exit codes tell the truth."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from tests.reporting.conftest import GOOD, Desk
from workbench.cli import main


def call(*arguments):
    return CliRunner().invoke(main, arguments)


def test_help_is_quick_and_names_every_command():
    def seconds():
        """CPU seconds, which other work on the machine does not change."""
        before = os.times()
        out = subprocess.run(
            [sys.executable, "-m", "workbench.cli", "--help"], capture_output=True, text=True, check=True
        )
        after = os.times()
        assert all(
            word in out.stdout
            for word in ("report", "catalog", "demo", "trace", "libraries", "lab", "dashboard", "doctor")
        )
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["reprot"], "Did you mean 'report'"),
        (["report", "anual_checkup"], "did you mean 'annual_checkup'"),
        (["report", "--city", "demmo"], "did you mean 'demo'"),
        (["report", "--city", "demo", "--year", "1999"], "no checkup for this year"),
        (["report", "--city", "demo", "--lang", "fr"], "'fr' is not one of"),
        (["report", "--city", "demo", "-p", "yaer=2025"], "unknown parameter 'yaer'"),
        (["report", "--city", "demo", "-p", "yaer"], "NAME=VALUE"),
        (["trace", "vnothing"], "no latest run has a value"),
        (["libraries", "pictures"], "No such command 'pictures'"),
    ],
)
def test_misuse_is_exit_code_2_with_the_next_step(arguments, word, tmp_path, monkeypatch):
    if "trace" in arguments:
        monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    result = call(*arguments)
    assert result.exit_code == 2
    assert word in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("library", ["indicators", "rules", "sets", "operators"])
def test_libraries_list_themselves(library):
    result = call("libraries", library)
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 3


def test_report_prints_the_path_last_and_fails_truthfully(tmp_path, monkeypatch):
    from workbench.reporting import run

    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "reporting"))
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    original = run.run_report
    monkeypatch.setattr(run, "run_report", lambda *a, **k: original(*a, **k, values_module="stub_values"))
    desk = Desk(tmp_path)
    common = ["--city", str(desk.city), "--out", str(desk.out)]
    good = call("report", desk.book(("a", GOOD)), *common)
    assert good.exit_code == 0
    assert Path(good.output.splitlines()[-1]).name == "report.html"
    assert Path(good.output.splitlines()[-1]).is_file()
    bad = call("report", desk.book(("a", GOOD), ("b", "1 / 0")), *common)
    assert bad.exit_code == 1
    assert "chapters failed: b" in bad.output
    assert Path(bad.output.splitlines()[-1]).is_file()
    monkeypatch.setenv("STUB_VALUES", "crash")
    broken = call("report", desk.book(("a", GOOD)), *common)
    assert broken.exit_code == 1
    assert "the disk is full" in broken.output


def test_libraries_say_how_sure_they_are_and_where_sources_stand():
    for arguments in (
        ("indicators", "--dimension", "SDG", "--lang", "en"),
        ("indicators", "TJ-A11"),
        ("rules",),
    ):
        assert call("libraries", *arguments).output.splitlines()[-1].endswith("docs/sources.md")
    assert "name found, definition from-memory" in " ".join(
        call("libraries", "indicators", "--dimension", "安全").output.split()
    )


def test_every_source_code_of_the_libraries_stands_on_the_page_of_sources():
    from workbench.indicators.library import load_library
    from workbench.rules.library import load_rules

    page = (Path(__file__).parents[1] / "docs" / "sources.md").read_text("utf-8")
    texts = [f"{one.source} {one.confidence}" for one in (*load_library().values(), *load_rules().values())]
    codes = set(re.findall(r"\b[RNPS]\d{1,2}\b", " ".join(texts)))
    assert {"R1", "N1", "N8", "S1"} <= codes
    assert [code for code in sorted(codes) if not re.search(rf"^\|[^|]*\b{code}\b[^|]*\|", page, re.M)] == []
    assert all(re.search(rf"^\| {number} \|", page, re.M) for number in range(1, 9))
    assert "`warnings.md`" in page and "`seed: …`" in page


def test_a_catalogue_says_what_it_holds_and_what_the_checks_found(tmp_path, monkeypatch):
    from workbench.catalog import manifest
    from workbench.catalog.manifest import Entry
    from workbench.catalog.quality import Finding

    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    odd = Finding("overlap", "warning", 2, 12.0, "m2", "重叠", "overlaps")
    off = Finding("grid", "error", 1, float("nan"), "", "不在格网", "off the grid")
    same = ("vector", "k", "s", {}, "2025-12-31")
    manifest.write("tiny", [
        Entry("parks", 2024, "original", *same, findings=(odd,)), Entry("parks", 2025, "original", *same, findings=(odd,)),
        Entry("dem", None, "original", *same, reason="grid_mismatch", findings=(off,)),
    ])  # fmt: skip
    assert manifest.summary("tiny") == [
        "2 layers, 3 editions, 1 of them not usable", "not usable: dem (grid_mismatch)", "findings, error: 1 (grid 1)",
        "findings, warning: 2 (overlap 2)", "findings, info: 0",
        f"recorded in {tmp_path / 'data' / 'tiny' / 'quality.parquet'} and in the chapter on data of the report",
    ]  # fmt: skip


def test_nothing_to_fill_in_is_said(tmp_path, monkeypatch):
    from workbench.evaluation import fill_in

    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    monkeypatch.setattr(fill_in, "forms", lambda *_, **__: [])
    monkeypatch.setattr(fill_in, "_store", lambda *_: None)
    monkeypatch.setattr(fill_in, "checkup", lambda *_, **__: SimpleNamespace(values=None))
    result = call("fill-in", "make", "--city", "demo", "--year", "2025")
    assert result.exit_code == 0 and result.stdout.startswith("nothing to fill in")
    assert "fill-in sheets: running" in result.stderr
    assert not (tmp_path / "reports" / "demo" / "2025" / "fill_in").exists()


def test_the_doctor_says_which_kernels_plain_jupyter_lacks(tmp_path, monkeypatch):
    from jupyter_core import paths

    from workbench.reporting import doctor

    monkeypatch.setattr(paths, "ENV_JUPYTER_PATH", [str(tmp_path)])
    monkeypatch.setattr(paths, "SYSTEM_JUPYTER_PATH", [])
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    for name, said in (("workbench-cpu", "not workbench-gpu"), ("workbench-gpu", "")):
        (tmp_path / "kernels" / name).mkdir(parents=True)
        (tmp_path / "kernels" / name / "kernel.json").write_text("{}", "utf-8")
        found = doctor._plain_kernels().found
        assert name in found and said in found and ("make install" in found) == bool(said)


def test_make_registers_the_kernels_with_the_environment_and_cleans_every_catalogue():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text("utf-8")
    stamp = makefile.split("$(STAMP): requirements.lock", 1)[1].split("\n\n")[0]
    assert "$(KERNELS)" in stamp and stamp.index("$(KERNELS)") < stamp.index("@touch")
    assert "$(wildcard stac_catalog/*)" in makefile.split("clean:")[-1]
