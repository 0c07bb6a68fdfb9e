"""Dynamic World's net (Sentinel-2, nine classes) from a local ONNX file, through OpenVINO.

The file is given by the user and never part of the package; nothing is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import WeightsError
from workbench.core.provenance import sha256_file
from workbench.interpretation import classes, engines
from workbench.interpretation.cards import Card

BANDS = ("blue", "green", "red", "rededge071", "rededge075", "rededge078", "nir", "swir16", "swir22")
"""Bands of Sentinel-2 L1C in the net's order."""
RANGES = np.array(
    [
        [1.7417268007636313, 2.023298706048351], [1.7261204997060209, 2.038905204308012],
        [1.6798346251414997, 2.179592821212937], [1.7734969472909623, 2.2890068333026603],
        [2.289154079164943, 2.6171674549378166], [2.382939712192371, 2.773418590375327],
        [2.3828939530384052, 2.7578332604178284], [2.1952484264967844, 2.789092484314204],
        [1.554812948247501, 2.4140534947492487],
    ]
)  # fmt: skip
"""Offset and divisor of each band's logarithm, as published with the model."""
OVERLAP = 64
"""Cells at a tile's edge that see too little of their surroundings; small images are mirrored that far beyond their edge."""


@dataclass(frozen=True)
class DynamicWorld:
    """The net and its card."""

    path: Path
    card: Card

    def engine(self, tile: tuple[int, int], *, bf16: bool = False) -> DynamicWorldEngine:
        """Engine for tiles of (rows, columns)."""
        model = _halved_smoothly(engines.read_onnx(self.path, [1, *tile, len(BANDS)]))
        return DynamicWorldEngine(engines.OpenVinoEngine(model, bf16=bf16, channels_last=True))


@dataclass
class DynamicWorldEngine:
    """Reflectance in, logits out; the net's own scaling lies between."""

    engine: engines.OpenVinoEngine
    device = None

    @property
    def parallel(self) -> int:
        """Calls that may run at once."""
        return self.engine.parallel

    def __call__(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Logits of tiles."""
        return self.engine(scaled(batch))


def _halved_smoothly(model: Any) -> Any:
    """The model with its antialiased halving written as a convolution: OpenVINO halves without antialiasing.

    A triangle filter over twice the cell has the taps 1, 3, 3, 1 over 8; sides of tiles are even.
    """
    import openvino.opset11 as ops

    taps = np.array([1, 3, 3, 1], dtype=np.float32) / 8
    one, none, twice = np.array([0, 0, 1, 1]), [0, 0], [2, 2]
    for node in list(model.get_ops()):
        if node.get_type_name() != "Interpolate" or not node.get_attributes()["antialias"]:
            continue
        source = node.input_value(0)
        channels = int(source.get_partial_shape()[1].get_length())
        kernel = np.tile(np.outer(taps, taps)[None, None, None], (channels, 1, 1, 1, 1)).astype(np.float32)
        framed = ops.pad(source, one, one, "edge")
        halved = ops.group_convolution(framed, ops.constant(kernel), twice, none, none, [1, 1])
        for target in node.output(0).get_target_inputs():
            target.replace_source_output(halved.output(0))
    model.validate_nodes_and_infer_types()
    return model


def scaled(reflectance: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Reflectance (n, band, row, col) as the net takes it: logarithm of counts, stretched, through a sigmoid.

    Examples
    --------
    >>> [f"{one:.3f}" for one in scaled(np.full((1, 9, 1, 1), 0.1))[0, :2, 0, 0]]
    ['0.294', '0.302']
    """
    low, spread = (RANGES[:, place, None, None] for place in (0, 1))
    found = (
        np.log(np.maximum(reflectance, 0) * 50 + 1) - low
    ) / spread  # 0.005 of counts of 10,000 x reflectance
    found = np.exp(found * 5 - 1)
    standard: npt.NDArray[np.float32] = (found / (found + 1)).astype(np.float32)
    return standard


def load(path: str | Path) -> DynamicWorld:
    """Dynamic World from its ONNX file.

    Raises
    ------
    WeightsError
        When there is no such file, or it is not this net.
    """
    path = Path(path)
    if not path.is_file() or path.suffix != ".onnx":
        raise WeightsError("no such model", where=str(path), expected="an ONNX file of Dynamic World")
    names = tuple(classes.scheme("dynamic_world")["class"])
    card = Card(
        name="dynamic_world", task="land_cover", scheme="dynamic_world", classes=names, bands=BANDS,
        mean=(0.0,) * len(BANDS), std=(1.0,) * len(BANDS),
        architecture={"family": "dynamic_world", "in_channels": len(BANDS), "classes": len(names)}, parameters=231_210,
        licence="Apache-2.0", sha256=sha256_file(path), overlap=OVERLAP,
        training={"source": "Dynamic World V1 (Brown et al. 2022), trained on Sentinel-2 L1C"},
    )  # fmt: skip
    found = DynamicWorld(path, card)
    try:
        shape = found.engine((64, 64))(np.zeros((1, len(BANDS), 64, 64), dtype=np.float32)).shape
    except RuntimeError as error:
        raise WeightsError(
            "the file cannot be read as this net", where=path.name, found=str(error)[:120]
        ) from error
    if shape != (1, len(names), 64, 64):
        raise WeightsError(
            "another net than Dynamic World", where=path.name, found=shape, expected=(1, len(names), 64, 64)
        )
    return found
