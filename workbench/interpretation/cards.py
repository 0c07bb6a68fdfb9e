"""Cards of nets: STAC items with the fields of the machine-learning-model extension, beside the weights they describe.

What a card says can be asked without the nets themselves, whose library takes seconds to import.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workbench.catalog.stac import FILE
from workbench.core.errors import WeightsError
from workbench.core.paths import PACKAGE, home
from workbench.core.provenance import sha256_file

FOLDER = PACKAGE / "interpretation" / "weights"
"""Nets that come with the package."""
SCHEMA = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
TASKS = {"land_cover": "semantic-segmentation", "change": "semantic-segmentation"}
"""Task of a net -> its name in the extension, which knows none for change: a change map is a segmentation in two."""
_PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".bin")


@dataclass(frozen=True)
class Card:
    """What must be known of a net to use it."""

    name: str
    task: str
    """``land_cover`` or ``change``."""
    scheme: str
    """Scheme of image classes, as in ``codes/image_classes.csv``."""
    classes: tuple[str, ...]
    """Names of the classes, from the first; a change net has ``changed`` alone."""
    bands: tuple[str, ...]
    """Common names of one date's bands, in order."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    architecture: dict[str, Any]
    """What `workbench.interpretation.nets.build` takes."""
    parameters: int
    licence: str
    training: dict[str, Any] = field(default_factory=dict)
    """What it was trained on, how, for how long, with which seed."""
    accuracy: dict[str, Any] = field(default_factory=dict)
    """On held-out places: by class, by place, by size of patch."""
    sha256: str = ""
    """Checksum of the safetensors file."""
    overlap: int = 32
    """Cells at a tile's edge that see too little of their surroundings."""
    threshold: float | None = None
    """Probability from which a cell counts as changed, found on held-out places; None for land cover."""
    made: str = ""
    """Day the weights were made."""

    @property
    def dates(self) -> int:
        """Dates the net looks at together."""
        return 2 if self.task == "change" else 1

    def check(self) -> None:
        """Refuse a card that contradicts itself.

        Raises
        ------
        WeightsError
            Task unknown, or bands, classes, means and the net do not fit each other.
        """
        if self.task not in TASKS:
            raise WeightsError(
                "task not known", where=self.name, found=self.task, expected=f"one of {sorted(TASKS)}"
            )
        outputs = 1 if self.task == "change" else len(self.classes)
        for what, found, expected in (
            ("number of means", len(self.mean), len(self.bands)), ("number of spreads", len(self.std), len(self.bands)),
            ("channels of the net", self.architecture.get("in_channels"), len(self.bands) * self.dates),
            ("outputs of the net", self.architecture.get("classes"), outputs),
        ):  # fmt: skip
            if found != expected:
                raise WeightsError(
                    f"{what} does not fit the card", where=self.name, found=found, expected=expected
                )


def find(name_or_path: str | Path) -> Path:
    """Safetensors file of a name (the user's own first, then those of the package) or of a path.

    Raises
    ------
    WeightsError
        There is none, or the file is of a kind that may hold code.
    """
    path = Path(name_or_path)
    if path.suffix in _PICKLES:
        raise WeightsError(
            "a pickle may hold code and is not opened", where=str(path),
            expected="a .safetensors file with its card", hint="'workbench train' writes both; weights of torchgeo are read in Python by weights.torchgeo_state",
        )  # fmt: skip
    if path.suffix == ".safetensors":
        if not path.exists():
            raise WeightsError("no such weights", where=str(path))
        return path
    for folder in (home() / "weights", FOLDER):
        if (found := folder / f"{name_or_path}.safetensors").exists():
            return found
    raise WeightsError(
        "no weights of this name", where=str(name_or_path), expected=f"one of {[f'{card.name} ({card.task})' for card in at_hand()]}",
        hint="train them with 'workbench train'",
    )  # fmt: skip


def at_hand() -> list[Card]:
    """Cards of all nets at hand, by name; one of the user's own hides the package's of the same name."""
    found: dict[str, Card] = {}
    for folder in (FOLDER, home() / "weights"):
        for path in sorted(folder.glob("*.safetensors")):
            card = read_card(path.with_suffix(".json"))
            found[card.name] = card
    return [found[name] for name in sorted(found)]


def card_of(name_or_path: str | Path) -> tuple[Path, Card]:
    """Weights file of a name or a path, and its card, which describes just this file.

    Raises
    ------
    WeightsError
        No such weights; a pickle; no card or a wrong one; the checksum differs.
    """
    path = find(name_or_path)
    card = read_card(path.with_suffix(".json"))
    if card.sha256 != (found := sha256_file(path)):
        raise WeightsError(
            "the file is not the one its card describes", where=path.name, found=f"sha256 {found[:12]}…",
            expected=f"{card.sha256[:12]}…", hint="copy it again, or train it again",
        )  # fmt: skip
    return path, card


def to_item(card: Card, *, half: bool = True) -> dict[str, Any]:
    """Card as a STAC item with the fields of the machine-learning-model extension."""
    count = len(card.bands) * card.dates
    names = [
        name if card.dates == 1 else f"{name}_{when}"
        for when in ("before", "after")[: card.dates]
        for name in card.bands
    ]
    scaling = [
        {"type": "z-score", "mean": mean, "stddev": std}
        for mean, std in zip(card.mean * card.dates, card.std * card.dates, strict=True)
    ]
    classes = [
        {"value": k + 1, "name": name, "description": name.replace("_", " ")}
        for k, name in enumerate(card.classes)
    ]
    bands = [{"name": name} for name in names]
    settings = {"mlm:hyperparameters": card.training["run"]} if card.training.get("run") else {}
    properties = {
        "datetime": f"{card.made}T00:00:00Z", "license": card.licence, "bands": bands,
        "mlm:name": card.name, "mlm:architecture": str(card.architecture.get("family")), "mlm:framework": "PyTorch",
        "mlm:framework_version": version("torch").split("+")[0], "mlm:tasks": [TASKS[card.task]],
        "mlm:total_parameters": card.parameters, "mlm:pretrained": False, "mlm:pretrained_source": None, **settings,
        "mlm:input": [{
            "name": "reflectance", "bands": names, "value_scaling": scaling, "resize_type": None,
            "input": {"shape": [-1, count, -1, -1], "dim_order": ["batch", "bands", "height", "width"], "data_type": "float32"},
        }],
        "mlm:output": [{
            "name": card.task, "tasks": [TASKS[card.task]], "classification:classes": classes,
            "result": {"shape": [-1, len(card.classes), -1, -1], "dim_order": ["batch", "classes", "height", "width"],
                       "data_type": "float32"},
        }],
        "workbench:card": {k: v for k, v in asdict(card).items() if k != "made"},
    }  # fmt: skip
    asset = {
        "href": f"./{card.name}.safetensors", "type": "application/octet-stream; application=safetensors",
        "roles": ["mlm:model", "mlm:weights", "data"], "mlm:artifact_type": "safetensors.torch.save_file",
        "data_type": "float16" if half else "float32", "file:checksum": f"1220{card.sha256}",
        "bands": bands,  # the extension looks for them in the properties, where STAC allows them only if an asset has them too
    }  # fmt: skip
    return {
        "type": "Feature", "stac_version": "1.1.0", "stac_extensions": [SCHEMA, FILE], "id": card.name,
        "geometry": None, "properties": properties, "links": [], "assets": {"weights": asset},
    }  # fmt: skip


def read_card(path: Path) -> Card:
    """Card of a file.

    Raises
    ------
    WeightsError
        No such card, not a STAC item of a net, or one that contradicts itself.
    """
    if not path.exists():
        raise WeightsError(
            "weights without a card", where=str(path), hint="the card lies beside them as <name>.json"
        )
    try:
        item = json.loads(path.read_text())
        properties = item["properties"]
        table = dict(properties["workbench:card"])
        table["made"] = str(properties["datetime"])[:10]
        for name in ("classes", "bands", "mean", "std"):
            table[name] = tuple(table[name])
        card = Card(**table)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError("not the card of a net", where=path.name, found=str(error)) from error
    card.check()
    return card


def expect(
    card: Card, *, task: str, classes: tuple[str, ...] | None = None, bands: tuple[str, ...] | None = None
) -> None:
    """Refuse a net that does something else than what is wanted.

    Raises
    ------
    WeightsError
        Another task, another class table, or bands that the image lacks.
    """
    if card.task != task:
        raise WeightsError(
            "the net does something else", where=card.name, found=card.task, expected=task,
            hint="'workbench train --list' shows what the nets at hand do",
        )  # fmt: skip
    if classes is not None and tuple(classes) != card.classes:
        raise WeightsError(
            "class table does not match", where=card.name, found=list(card.classes), expected=list(classes)
        )
    if bands is not None and (missing := [name for name in card.bands if name not in bands]):
        raise WeightsError(
            "the image lacks bands of the net", where=card.name, found=list(bands), expected=f"also {missing}",
            hint="name the file's bands in their order (--bands) if they have other names",
        )  # fmt: skip
