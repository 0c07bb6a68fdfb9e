"""The command line: quick, and its exit codes tell the truth."""

import os
import subprocess
import sys
from pathlib import Path

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
