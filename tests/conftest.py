"""Shared by all tests: a home of their own, the real data where there are some, skips counted by reason."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

REQUIRED = os.environ.get("WORKBENCH_REQUIRE_DATA") == "1"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: built data, catalogue, cache and reports of a test go there."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("WORKBENCH_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data; without it the test is skipped, or fails where data are required."""
    value = os.environ.get("WORKBENCH_DATA")
    if value and Path(value).is_dir():
        return Path(value)
    reason = "no real data: WORKBENCH_DATA is not set or no folder"
    if REQUIRED:
        pytest.fail(f"{reason}, but WORKBENCH_REQUIRE_DATA=1")
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with the number of skips by reason."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[text.removeprefix("Skipped: ")] += 1
    terminalreporter.section("skips by reason")
    if not reasons:
        terminalreporter.write_line("none")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:4d}  {reason}")
