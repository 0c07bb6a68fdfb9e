"""Shared by all tests: a home of their own, the real data where there are some, demo cities built once for all.

The demo city of a seed is built once a run, whichever worker asks first; the shipped one lies in the
workbench's own home, where ``make report`` may have left it with its values.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

REQUIRED = os.environ.get("WORKBENCH_REQUIRE_DATA") == "1"
DRAWN = "WORKBENCH_PLANT_SEED"
"""Variable with the seed of the demo city drawn for this run; given beforehand, it repeats a run."""
FIXED_SEEDS = (20250, 7, 77, 4242)
"""The shipped seed and three others."""
PLANTED = ("test_plant.py", "test_faults.py", "test_change_seeds.py")
"""Files whose tests run on the cities of the seeds."""
TOGETHER = {
    "test_demo_report.py": f"seed {FIXED_SEEDS[0]}",
    "test_demo.py": f"seed {FIXED_SEEDS[1]}",
}
"""Files whose tests share something dear with other files, and its name; those of one name are one worker's."""
SHARED = 'scope="module"'
"""A file with such fixtures is one worker's, so that they are made once and not by every worker."""


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed before any worker starts, so that all of them know the same one."""
    os.environ.setdefault(DRAWN, str(100_000 + secrets.randbelow(900_000)))


class Together(LoadScopeScheduling):
    """Tests that share a generated city or a module's fixtures go to one worker, all others to whichever is free.

    What ``--dist loadgroup`` is for; with this pytest it leaves the groups unheeded without a word.
    """

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        self._sharing: dict[str, bool] = {}

    def _split_scope(self, nodeid: str) -> str:
        file, _, rest = nodeid.partition("::")
        if Path(file).name in PLANTED and (seed := re.search(r"\[(\w+)", rest)):
            return f"seed {seed[1]}"
        if name := TOGETHER.get(Path(file).name):
            return name
        return file if self._shares(file) else nodeid

    def _shares(self, file: str) -> bool:
        """Whether tests of a file share fixtures of their module."""
        if file not in self._sharing:
            path = self.config.rootpath / file
            self._sharing[file] = path.is_file() and SHARED in path.read_text("utf-8")
        return self._sharing[file]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together | None:
    """Distribute by what tests share, unless another way is asked for."""
    return Together(config, log) if config.getvalue("dist") in ("load", "loadgroup") else None


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: built data, catalogue, cache and reports of a test go there."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("WORKBENCH_HOME", str(folder))
    return folder


DATA = os.environ.get("WORKBENCH_DATA")


@pytest.fixture(autouse=True)
def own_data_root() -> Iterator[None]:
    """A command's ``--data-root`` is set for its whole process: the next test finds the folder it began with."""
    yield
    if DATA is None:
        os.environ.pop("WORKBENCH_DATA", None)
    else:
        os.environ["WORKBENCH_DATA"] = DATA


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data; without it the test is skipped, or fails where data are required."""
    value = DATA
    if value and Path(value).is_dir():
        return Path(value)
    reason = "no real data: WORKBENCH_DATA is not set or no folder"
    if REQUIRED:
        pytest.fail(f"{reason}, but WORKBENCH_REQUIRE_DATA=1")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Home with the generated city of a seed in ``city/``, the same for all workers of a run."""
    run = tmp_path_factory.getbasetemp()
    run = run.parent if os.environ.get("PYTEST_XDIST_WORKER") else run

    def built(seed: int) -> Path:
        from workbench.samples.demo import build

        folder = run / f"demo-{seed}"
        with (run / f".demo-{seed}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not (folder / "city").is_dir():
                build(folder / "city", seed=seed)
        return folder

    return built


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with the seeds of the demo city that were tried and the number of skips by reason."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    if any(
        "[drawn" in report.nodeid and any(name in report.nodeid for name in PLANTED) for report in reports
    ):
        drawn = os.environ[DRAWN]
        terminalreporter.section("seeds of the demo city")
        terminalreporter.write_line(f"drawn for this run: {drawn}   ({DRAWN}={drawn} repeats it)")
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[text.removeprefix("Skipped: ")] += 1
    terminalreporter.section("skips by reason")
    if not reasons:
        terminalreporter.write_line("none")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:4d}  {reason}")
