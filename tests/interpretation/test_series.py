"""Indices by hand, classes of fire at their published limits, images brought to one level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workbench.core.errors import DefinitionError, ImageError, ParameterError
from workbench.interpretation import series


def test_indices_by_hand() -> None:
    data = np.array([[[0.05, 0.0]], [[0.45, 0.0]], [[0.15, 0.3]]], dtype="float32")
    found = series.index("ndvi", data, ("red", "nir", "swir22"), np.array([[True, True]]))
    assert found[0, 0] == pytest.approx(0.8) and np.isnan(found[0, 1])
    assert series.index("nbr", data, ("red", "nir", "swir22"))[0, 0] == pytest.approx(0.5)
    with pytest.raises(ImageError, match="bands of nbr"):
        series.index("nbr", data[:2], ("red", "nir"))
    with pytest.raises(ParameterError, match="unknown index"):
        series.index("evi", data, ("red", "nir"))


def test_fire_classes_at_their_published_limits() -> None:
    """Key and Benson (2006), dNBR x 1000: -500 to -251, to -101, to 99, to 269, to 439, to 659, and above."""
    names = [one[0] for one in series.load_settings().severity]
    scaled = np.array([-500, -251, -250, -101, -100, 99, 100, 269, 270, 439, 440, 659, 660, 1300])
    found = series.classes_of((scaled / 1000).astype("float32"))
    told = [names[k - 1] for k in found]
    assert told == [
        "regrowth_high", "regrowth_high", "regrowth_low", "regrowth_low", "unburnt", "unburnt", "low", "low", "moderate_low",
        "moderate_low", "moderate_high", "moderate_high", "high", "high",
    ]  # fmt: skip
    areas = series.severity_areas(np.array([0.7, 0.8, 0.0, np.nan]), 900.0).set_index("name")
    assert areas.at["high", "cells"] == 2 and areas.at["high", "ha"] == pytest.approx(0.18)
    assert areas["cells"].sum() == 3 and areas.at["unburnt", "zh"] == "未过火"


def test_what_is_usual_ignores_one_bad_image() -> None:
    stack = np.array([0.80, 0.20, 0.82, 0.78, np.nan], dtype="float32")[:, None, None] * np.ones(
        (1, 2, 2), "float32"
    )
    stack[:, 0, 0] = np.nan
    usual, spread = series.usual_of(stack, 3)
    assert usual[1, 1] == pytest.approx(0.79) and np.isnan(usual[0, 0])
    assert spread[1, 1] == pytest.approx(1.4826 * 0.02, rel=1e-3)
    assert np.isnan(series.usual_of(stack, 5)[1]).all()  # four images show it, five are asked for


def test_gains_bring_median_and_range_together() -> None:
    rng = np.random.default_rng(3)
    own = rng.normal(0.3, 0.05, (2, 4000)).astype("float32")
    factor, shift = series.gains(own, own * np.float32([[0.5], [2.0]]) + np.float32([[0.1], [-0.2]]))
    assert factor == pytest.approx([0.5, 2.0], rel=1e-4) and shift == pytest.approx([0.1, -0.2], abs=1e-4)
    with pytest.raises(ImageError, match="does not vary"):
        series.gains(np.ones((1, 9), "float32"), own[:1, :9])
    with pytest.raises(ImageError, match="nothing in common"):
        series.gains(own[:, :0], own[:, :0])


def test_thresholds_must_be_whole(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[forest]\nleast_ndvi = 0.5\n", "utf-8")
    with pytest.raises(DefinitionError, match="not complete"):
        series.load_settings(tmp_path / "own.toml")
