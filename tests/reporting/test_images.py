"""Images read beside the checkup: what is told of a reading, and of one that fails."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.interpretation import small_city
from workbench.catalog.data import CityData
from workbench.core.city import City
from workbench.core.errors import RunError
from workbench.evaluation.imagery import FACTS
from workbench.reporting.images import Images


@pytest.fixture
def make(tmp_path: Path, home: Path) -> Callable[[str], City]:
    """Make the small city with a change of land in 2025, its profile with these lines on what to read."""

    def made(lines: str) -> City:
        rng = np.random.default_rng(5)
        shown = {
            (role, year): 0.1 + 0.3 * rng.random((4, 60, 80), dtype=np.float32)
            for role in ("imagery", "imagery_2")
            for year in (2024, 2025)
        }
        for role in ("imagery", "imagery_2"):
            shown[role, 2025] = shown[role, 2024] + rng.normal(0, 0.004, (4, 60, 80))
            shown[role, 2025][:, 20:40, 30:50] += 0.35
        city, _ = small_city.make(tmp_path, shown, {})
        city.path.write_text(f"{city.path.read_text('utf-8')}\n[interpretation]\n{lines}\n", "utf-8")
        return city

    return made


def test_images_are_read_after_the_word_and_each_step_is_said(make: Callable[[str], City]) -> None:
    city, said = make('method = "cva"'), []
    with Images(str(city.path), 2025, wanted=True, use_cache=True, say=said.append) as images:
        assert not CityData(city).has("change_map", 2025)
        images.begin()
        assert images.wait() is None
    assert said[0].startswith("change 2024 to 2025") and "cases of the changed land" in said
    data = CityData(city)
    assert data.has("change_map", 2025) and len(data.vector("detected_changes", 2025)) >= 1
    assert len(data.table(FACTS, 2025)) > 0


def test_weights_that_are_not_there_cost_this_chapter_alone(make: Callable[[str], City]) -> None:
    city = make('land_cover = "nobodys"')
    with Images(str(city.path), 2025, wanted=True, use_cache=True, say=None) as images:
        images.begin()
        why = images.wait()
    assert why is not None and "no weights of this name" in why.en and why.zh.startswith("影像无法解译")


def test_a_process_that_is_killed_costs_this_chapter_alone(make: Callable[[str], City]) -> None:
    city = make('method = "cva"')
    with Images(str(city.path), 2025, wanted=True, use_cache=True, say=None) as images:
        os.kill(images.pid, signal.SIGKILL)
        images.begin()
        why = images.wait()
    assert why is not None and "signal 9" in why.en and "信号 9" in why.zh


def test_what_nobody_foresaw_is_an_error_with_its_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Images(str(tmp_path / "no.toml"), 2025, wanted=True, use_cache=True, say=None) as images:
        images.begin()
        with pytest.raises(RunError, match=r"images could not be read.*exit status 1"):
            images.wait()
    assert re.search(r"Traceback.*ProfileError", capfd.readouterr().err, re.DOTALL)


def test_the_process_ends_with_the_block_and_is_not_begun_where_nothing_is_to_be_read(
    make: Callable[[str], City],
) -> None:
    city = make('method = "cva"')
    with pytest.raises(KeyError), Images(str(city.path), 2025, wanted=True, use_cache=True, say=None) as one:
        raise KeyError
    assert not Path(f"/proc/{one.pid}").exists()
    with Images(str(city.path), 2025, wanted=False, use_cache=True, say=None) as none:
        none.begin()
        assert none.pid is None and none.wait() is None
