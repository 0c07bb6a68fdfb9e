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
def test_same_logits_as_the_other_runtime():
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])
    image = (
        Scene.of_file(PATCH / f"s2_l1c_{CLEAR[0]}.tif", bands=dynamic_world.BANDS)
        .read()
        .data[:, :96, :96][None]
    )
    theirs = session.run(
        None, {session.get_inputs()[0].name: dynamic_world.scaled(image).transpose(0, 2, 3, 1)}
    )[0]
    ours = dynamic_world.load(MODEL).engine((96, 96))(image)
    assert np.abs(ours - theirs.transpose(0, 3, 1, 2)).max() < 1e-3


@needs
def test_accuracy_on_slovenia_is_that_measured_elsewhere(tmp_path):
    """Three clear dates combined: overall accuracy 0.803, IoU 0.798, 0.153, 0.232 (mean of the three predictions)."""
    scenes = [Scene.of_file(PATCH / f"s2_l1c_{day}.tif") for day in CLEAR]
    assert [f"{scene.date:%m%d}" for scene in scenes] == ["0711", "0830", "0909"]
    made = predict.predict(scenes, dynamic_world.load(MODEL), tmp_path / "map.tif", overlap=256)
    with rasterio.open(PATCH / "lulc_reference.tif") as file, rasterio.open(made.path) as other:
        truth, found = grouped(file.read(1), REFERENCE), grouped(other.read(1), GROUPS)
    known = truth > 0
    assert float((truth == found)[known].mean()) == pytest.approx(0.803, abs=0.005)
    union = [((truth == one) | (found == one))[known].sum() for one in (1, 2, 3)]
    both = [((truth == one) & (found == one))[known].sum() for one in (1, 2, 3)]
    assert np.divide(both, union) == pytest.approx([0.798, 0.153, 0.232], abs=0.025)
    assert made.record["engine"] == "openvino-onnx" and made.record["model"] == "dynamic_world"
    assert made.record["several_dates"] and made.record["dates"] == ["2015-07-11", "2015-08-30", "2015-09-09"]


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
