"""Shift between dates: planted fractions of a pixel are measured, seasons and clouds notwithstanding."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from scipy.ndimage import fourier_shift, gaussian_filter

from workbench.core.errors import ImageError
from workbench.interpretation import registration
from workbench.interpretation.imagery import Pair, Scene


def field(shape, seed):
    return gaussian_filter(np.random.default_rng(seed).standard_normal((4, *shape)), (0, 1.2, 1.2))


def moved(bands, shift):
    return np.stack([np.fft.ifft2(fourier_shift(np.fft.fft2(band), shift)).real for band in bands])


def write(path, bands, hidden=None):
    counts = np.clip(1500 + 900 * bands / bands.std(), 1, 9000).astype(np.uint16)
    if hidden is not None:
        counts[:, hidden] = 0
    profile = {"driver": "GTiff", "height": bands.shape[1], "width": bands.shape[2], "count": 4, "dtype": "uint16",
               "crs": "EPSG:4547", "transform": Affine(10, 0, 500_000, 0, -10, 2_500_000), "nodata": 0}  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(counts)
        file.descriptions = ("blue", "green", "red", "nir")
    return path


def pair(folder, before, after, hidden=None):
    scenes = [
        Scene.of_file(write(folder / f"{day}.tif", bands, hidden), date=pd.Timestamp(day))
        for day, bands in (("2024-03-01", before), ("2025-03-01", after))
    ]
    return Pair(*scenes)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.4), (1.25, 2.5), (-3.7, 0.05)])
def test_planted_shift_is_measured_to_a_twentieth_of_a_pixel(shift):
    before = field((160, 192), 0)
    rng = np.random.default_rng(1)
    gains = np.array([1.6, 0.7, 1.2, 2.4])[:, None, None]
    after = gains * moved(before, shift) + 0.3 * before.std() * rng.standard_normal(before.shape)
    seen = np.ones(before.shape[1:], dtype=bool)
    rows, columns, peak = registration.phase_correlation(
        registration.edges(before, seen), registration.edges(after, seen)
    )
    assert (rows, columns) == pytest.approx(shift, abs=0.05)
    assert peak > registration.TRUSTED


def test_a_pair_is_measured_window_by_window_and_clouds_are_left_out(tmp_path):
    before = field((512, 640), 2)
    hidden = np.zeros((512, 640), dtype=bool)
    hidden[:256, :256] = True
    found = registration.measure(pair(tmp_path, before, moved(before, (0.6, -1.4)), hidden))
    assert (found.rows, found.columns) == pytest.approx((0.6, -1.4), abs=0.05)
    assert found.distance == pytest.approx(np.hypot(0.6, 1.4), abs=0.05)
    assert found.spread < 0.1
    assert not ((found.windows[:, 0] < 200) & (found.windows[:, 1] < 200)).any()


def test_two_places_have_no_shift(tmp_path):
    with pytest.raises(ImageError, match="cannot be measured"):
        registration.measure(pair(tmp_path, field((300, 300), 5), field((300, 300), 6)))
