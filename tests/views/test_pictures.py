from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from workbench.core.errors import ParameterError
from workbench.views import charts, maps
from workbench.views.cartography import nice_length, raster_groups
from workbench.views.figure import Figure
from workbench.views.layout import wrap
from workbench.views.maps import class_edges, in_force, spread


def _pixels(figure: Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB"))


def _has(figure: Figure, colour: str, least: int = 30) -> bool:
    rgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return int((np.abs(_pixels(figure).astype(int) - rgb).max(axis=2) <= 6).sum()) >= least


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_picture_draws_in_the_packaged_font(
    checkup: Any, lang: str, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="matplotlib")
    made = [
        charts.dimension_bars(checkup, lang),
        charts.target_paths(checkup, lang),
        charts.district_dots(checkup, "S-1", lang),
        maps.overview_map(checkup, lang),
        maps.land_use_map(checkup, lang),
        maps.case_map(checkup, lang),
        maps.indicator_map(checkup, "S-1", lang),
    ]
    assert not [w for w in recwarn if "Glyph" in str(w.message) or "findfont" in str(w.message)]
    assert not [r for r in caplog.records if "findfont" in r.message]
    for figure in made:
        assert len(figure.png) < 400_000
        markup = figure._repr_html_()
        assert figure.alt and '<img src="data:image/png;base64,' in markup
        assert markup.startswith('<figure class="wb-figure" data-sensitivity="')
        assert ("data-boundaries" in markup) == ('class="wb-review x"' in markup) == (figure in made[3:])


def test_the_same_data_give_the_same_bytes(checkup: Any) -> None:
    assert maps.overview_map(checkup, "zh").png == maps.overview_map(checkup, "zh").png


def test_bars_show_the_levels_that_occur(checkup: Any) -> None:
    figure = charts.dimension_bars(checkup, "zh")
    assert _has(figure, "#c62828", 1000) and _has(figure, "#ef6c00", 1000)


def test_case_map_shows_the_patches_and_grows_for_the_insets(checkup: Any) -> None:
    with_cases = maps.case_map(checkup, "zh")
    assert _has(with_cases, "#c62828", 200)
    checkup.findings = checkup.findings.iloc[:0]
    without = maps.case_map(checkup, "zh")
    assert _pixels(without).shape[0] < _pixels(with_cases).shape[0]


def test_indicator_without_districts_is_an_error(checkup: Any) -> None:
    with pytest.raises(ParameterError, match="no district values"):
        maps.indicator_map(checkup, "X-9", "zh")
    with pytest.raises(ParameterError, match="no district values"):
        charts.district_dots(checkup, "X-9", "zh")


def test_targets_without_a_present_value_are_not_drawn(checkup: Any) -> None:
    checkup.values.loc[checkup.values["indicator"] == "A-1", "value"] = np.nan
    assert charts.target_paths(checkup, "zh") is None
    checkup.city.targets = []
    assert charts.target_paths(checkup, "zh") is None


def test_save_writes_the_picture(checkup: Any, tmp_path: Path) -> None:
    figure = charts.dimension_bars(checkup, "zh")
    assert figure.save(tmp_path / "a" / "bars.png").read_bytes() == figure.png


def test_lines_not_in_force_are_left_out(checkup: Any) -> None:
    lines = checkup.data.vector("permanent_farmland")
    assert len(in_force(lines, 2021)) == 0 and len(in_force(lines, 2022)) == 1
    assert len(in_force(lines.assign(ended="2024-06-30"), 2024)) == 0


def test_class_edges_cover_all_values() -> None:
    values = np.array([0.26, 3.31, 7.94])
    edges = class_edges(values, 1)
    assert edges[0] <= 0.26 and edges[-1] >= 7.94 and np.all(np.diff(edges) > 0)
    assert len(class_edges(np.array([5.0, 5.0]), 0)) == 2


def test_spread_keeps_points_apart() -> None:
    moved = spread(np.zeros((5, 2)), 1.0)
    gaps = np.hypot(*(moved[:, None] - moved[None]).transpose(2, 0, 1))
    assert gaps[~np.eye(5, dtype=bool)].min() > 0.9


def test_raster_numbers_become_groups() -> None:
    assert raster_groups(np.array([[0, 1]], np.uint8)).tolist() == [[-1, 0]]


def test_small_helpers() -> None:
    assert nice_length(7_300.0) == 5_000.0
    assert wrap("Water", 3) == ["Water"]
