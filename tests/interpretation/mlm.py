"""What the machine-learning-model extension of STAC (MLM 1.4) asks of an item that describes a net, checked without its schema.

The extension's own schema is not at hand offline. These are its rules for items, written down here: fields that must be
there, their kinds and vocabularies, and the references that must lead somewhere. ``pystac`` reads such fields but does
not check them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SCHEMA = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
REQUIRED = ("mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output")
FIELDS = {
    *REQUIRED, "mlm:framework", "mlm:framework_version", "mlm:memory_size", "mlm:total_parameters", "mlm:pretrained",
    "mlm:pretrained_source", "mlm:batch_size_suggestion", "mlm:accelerator", "mlm:accelerator_constrained",
    "mlm:accelerator_summary", "mlm:accelerator_count", "mlm:hyperparameters",
}  # fmt: skip
"""Fields an item may have; no other may begin with ``mlm:``."""
ASSET_FIELDS = {"mlm:artifact_type", "mlm:compile_method", "mlm:entrypoint"}
TASKS = {
    "regression", "classification", "scene-classification", "detection", "object-detection", "segmentation",
    "semantic-segmentation", "instance-segmentation", "panoptic-segmentation", "similarity-search", "generative",
    "image-captioning", "super-resolution",
}  # fmt: skip
FRAMEWORKS = {
    "PyTorch", "TensorFlow", "scikit-learn", "Hugging Face", "Keras", "ONNX", "rgee", "spatialRF", "JAX", "MXNet", "Caffe",
    "PyMC", "Weka",
}  # fmt: skip
SCALINGS = {
    "min-max": ("minimum", "maximum"), "z-score": ("mean", "stddev"), "clip": ("minimum", "maximum"),
    "clip-min": ("minimum",), "clip-max": ("maximum",), "offset": ("value",), "scale": ("value",),
    "processing": ("format", "expression"),
}  # fmt: skip
"""Kind of scaling -> numbers it needs."""
RESIZES = {
    None, "crop", "pad", "interpolation-nearest", "interpolation-linear", "interpolation-cubic", "interpolation-area",
    "interpolation-lanczos4", "interpolation-max", "wrap-fill-outliers", "wrap-inverse-map",
}  # fmt: skip
NUMBERS = {
    f"{kind}{bits}"
    for kind, widths in (
        ("int", (8, 16, 32, 64)),
        ("uint", (8, 16, 32, 64)),
        ("float", (16, 32, 64)),
        ("cint", (16, 32)),
        ("cfloat", (32, 64)),
    )
    for bits in widths
} | {"other"}
"""Data types."""


def faults(item: dict[str, Any]) -> list[str]:
    """All rules an item breaks; none for a sound one."""
    return [*_frame(item), *_fields(item), *_bands(item), *_assets(item)]


def _frame(item: dict[str, Any]) -> Iterator[str]:
    if item.get("type") != "Feature":
        yield "type: not an item"
    if SCHEMA not in item.get("stac_extensions", []):
        yield "stac_extensions: the extension is not declared"
    for name in ("id", "geometry", "links", "assets", "properties", "stac_version"):
        if name not in item:
            yield f"{name}: missing"
    if "datetime" not in item["properties"]:
        yield "datetime: missing"


def _fields(item: dict[str, Any]) -> Iterator[str]:
    said = item["properties"]
    yield from (f"{name}: missing" for name in REQUIRED if name not in said)
    yield from (f"{name}: not known" for name in said if name.startswith("mlm:") and name not in FIELDS)
    if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]", str(said.get("mlm:name"))):
        yield "mlm:name: begins with a letter and ends with a letter or digit"
    if not (isinstance(said.get("mlm:architecture"), str) and said["mlm:architecture"]):
        yield "mlm:architecture: a name"
    yield from _tasks(said.get("mlm:tasks"), "mlm:tasks")
    if "mlm:framework" in said and said["mlm:framework"] not in FRAMEWORKS:
        yield "mlm:framework: not spelt as the extension spells it"
    version = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
    if "mlm:framework_version" in said and not re.fullmatch(version, said["mlm:framework_version"]):
        yield "mlm:framework_version: three numbers"
    for name in ("mlm:total_parameters", "mlm:memory_size", "mlm:batch_size_suggestion"):
        if name in said and not (type(said[name]) is int and said[name] >= 0):
            yield f"{name}: a whole number"
    if not isinstance(said.get("mlm:pretrained", True), bool):
        yield "mlm:pretrained: true or false"
    if said.get("mlm:pretrained") is False and said.get("mlm:pretrained_source", "") is not None:
        yield "mlm:pretrained_source: null where a net was trained from nothing"
    if said.get("mlm:pretrained") is True and said.get("mlm:pretrained_source", "?") is None:
        yield "mlm:pretrained_source: null says that it was not pretrained"
    if "mlm:hyperparameters" in said:
        table = said["mlm:hyperparameters"]
        if not table or not all(re.fullmatch(r"[0-9a-zA-Z_.-]+", name) for name in table):
            yield "mlm:hyperparameters: at least one, of plain names"


def _tasks(found: Any, where: str) -> Iterator[str]:
    if not isinstance(found, list) or len(set(found)) != len(found) or not set(found) <= TASKS:
        yield f"{where}: of the extension's vocabulary"


def _structure(found: Any, where: str) -> Iterator[str]:
    if not isinstance(found, dict) or not {"shape", "dim_order", "data_type"} <= set(found):
        yield f"{where}: shape, dim_order and data_type"
        return
    shape, order = found["shape"], found["dim_order"]
    if not shape or not all(type(one) is int and one >= -1 for one in shape):
        yield f"{where}: sides are whole numbers, -1 for any"
    if len(order) != len(shape) or len(set(order)) != len(order):
        yield f"{where}: a name for each side"
    if not all(re.fullmatch(r"[a-z_-]+", one) for one in order):
        yield f"{where}: names of sides in small letters"
    if found["data_type"] not in NUMBERS:
        yield f"{where}: data type not known"


def _bands(item: dict[str, Any]) -> Iterator[str]:
    """Inputs and outputs; bands named in an input are described somewhere in the item."""
    said = item["properties"]
    described = {one.get("name") for one in said.get("bands", []) if item["stac_version"] >= "1.1"}
    for one in said.get("mlm:input", []):
        if not {"name", "bands", "input"} <= set(one):
            yield "mlm:input: name, bands and input"
            continue
        names = [band["name"] if isinstance(band, dict) else band for band in one["bands"]]
        if not set(names) <= described:
            yield "mlm:input: bands that nothing describes"
        yield from _structure(one["input"], "mlm:input")
        side = dict(zip(one["input"].get("dim_order", []), one["input"].get("shape", []), strict=False))
        if side.get("bands", len(names)) != len(names):
            yield "mlm:input: another number of bands than named"
        scalings = one.get("value_scaling")
        if scalings is not None and len(scalings) not in (1, len(names)):
            yield "mlm:input: a scaling for each band, or one"
        for scaling in scalings or []:
            needed = SCALINGS.get(scaling.get("type"), ("type",))
            if not all(isinstance(scaling.get(name), int | float | str) for name in needed):
                yield "mlm:input: a scaling without its numbers"
        if one.get("resize_type") not in RESIZES:
            yield "mlm:input: resizing not known"
    for one in said.get("mlm:output", []):
        if not {"name", "tasks", "result"} <= set(one):
            yield "mlm:output: name, tasks and result"
            continue
        yield from _tasks(one["tasks"], "mlm:output")
        yield from _structure(one["result"], "mlm:output")
        for kind in one.get("classification:classes", []):
            if type(kind.get("value")) is not int or not kind.get("description"):
                yield "mlm:output: a class has a value and a description"
            if not re.fullmatch(r"[0-9A-Za-z_-]+", kind.get("name", "a")):
                yield "mlm:output: the name of a class is one word"


def _assets(item: dict[str, Any]) -> Iterator[str]:
    models = [one for one in item["assets"].values() if "mlm:model" in one.get("roles", [])]
    if not models:
        yield "assets: one has the role mlm:model"
    for one in item["assets"].values():
        yield from (
            f"assets: {name} not known"
            for name in one
            if name.startswith("mlm:") and name not in FIELDS | ASSET_FIELDS
        )
    yield from (
        "assets: the model says what kind of artifact it is"
        for one in models
        if not one.get("mlm:artifact_type")
    )
    yield from ("assets: the model has a place" for one in models if not one.get("href"))
    for asset in item["assets"].values():
        declared = any("/file/" in one for one in item["stac_extensions"])
        if any(name.startswith("file:") for name in asset) and not declared:
            yield "assets: the extension of files is not declared"
