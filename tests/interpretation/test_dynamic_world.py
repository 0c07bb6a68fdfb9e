"""Dynamic World through the stream on a real Sentinel-2 patch with an official reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from workbench.core.errors import WeightsError
from workbench.core.paths import data_root
from workbench.interpretation import dynamic_world, predict
from workbench.interpretation.imagery import Scene

ROOT = data_root() or Path("absent")
PATCH = ROOT / "imagery" / "s2_slovenia_lulc"
MODEL = ROOT.parent / "models" / "dynamicworld" / "dynamicworld_forward.onnx"
needs = pytest.mark.skipif(not (PATCH.exists() and MODEL.exists()), reason="no patch or model here")
CLEAR = ("20150711T100008", "20150830T100547", "20150909T100017")
GROUPS = {2: 1, 3: 2, 5: 2, 6: 2, 7: 3}
"""Classes of the net -> forest 1, open vegetation 2, artificial 3."""
REFERENCE = {1: 2, 2: 1, 3: 2, 4: 2, 8: 3}


def grouped(values: np.ndarray, table: dict[int, int]) -> np.ndarray:
    lookup = np.zeros(256, dtype=np.uint8)
    for value, group in table.items():
        lookup[value] = group
    return lookup[values]


@needs
def test_accuracy_on_slovenia_is_that_of_the_other_runtime(tmp_path):
    mean = np.mean([rasterio.open(PATCH / f"s2_l1c_{day}.tif").read() for day in CLEAR], axis=0)
    with rasterio.open(PATCH / f"s2_l1c_{CLEAR[0]}.tif") as file:
        profile, names = file.profile, file.descriptions
    with rasterio.open(tmp_path / "mean.tif", "w", **profile) as file:
        file.write(mean.astype(np.float32))
        file.descriptions = names
    scene = Scene.of_file(tmp_path / "mean.tif", date="2015-08-30")
    model = dynamic_world.load(MODEL)
    made = predict.predict(scene, model, tmp_path / "map.tif", overlap=256)
    with rasterio.open(PATCH / "lulc_reference.tif") as file:
        truth = grouped(file.read(1), REFERENCE)
    with rasterio.open(made.path) as file:
        found = grouped(file.read(1), GROUPS)
    known = truth > 0
    accuracy = float((truth == found)[known].mean())
    assert accuracy == pytest.approx(0.803, abs=0.004)
    union = [((truth == one) | (found == one))[known].sum() for one in (1, 2, 3)]
    both = [((truth == one) & (found == one))[known].sum() for one in (1, 2, 3)]
    assert np.divide(both, union) == pytest.approx([0.798, 0.153, 0.232], abs=0.012)
    assert made.record["engine"] == "openvino-onnx" and made.record["model"] == "dynamic_world"


@needs
def test_several_dates_are_combined(tmp_path):
    scenes = [Scene.of_file(PATCH / f"s2_l1c_{day}.tif") for day in CLEAR]
    assert [f"{scene.date:%m%d}" for scene in scenes] == ["0711", "0830", "0909"]
    made = predict.predict(scenes, dynamic_world.load(MODEL), tmp_path / "map.tif", overlap=256)
    with rasterio.open(PATCH / "lulc_reference.tif") as file, rasterio.open(made.path) as other:
        truth, found = grouped(file.read(1), REFERENCE), grouped(other.read(1), GROUPS)
    assert (truth == found)[truth > 0].mean() > 0.75


@needs
def test_an_image_without_the_bands_is_refused(tmp_path):
    scene = Scene.of_file(PATCH / f"s2_l1c_{CLEAR[0]}.tif", bands=("blue", "green", "red", "nir"))
    with pytest.raises(WeightsError, match="lacks bands"):
        predict.predict(scene, dynamic_world.load(MODEL), tmp_path / "map.tif")


def test_another_file_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such model"):
        dynamic_world.load(tmp_path / "absent.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model at all")
    with pytest.raises(WeightsError, match="cannot be read"):
        dynamic_world.load(tmp_path / "broken.onnx")
