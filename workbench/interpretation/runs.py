"""A training run as one TOML says it: data, classes, net, loss, augmentation, optimiser, trainer."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workbench.core.errors import ParameterError
from workbench.core.paths import PACKAGE
from workbench.interpretation.augment import Augmentation

FOLDER = PACKAGE / "interpretation" / "runs"
"""Runs that come with the package."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Table):
    """Where chips come from."""

    kind: Literal["cities", "library"] = "cities"
    """``cities``: generated from seeds; ``library``: a 样本库, by the name of its folder."""
    train: tuple[int, ...] = ()
    """Seeds of the cities trained on."""
    validation: tuple[int, ...] = ()
    """Seeds of the cities that early stopping, threshold and accuracy come from; none of ``train``."""
    extra: int = Field(default=900, ge=0)
    """Changes put into each training city beyond its own."""
    library: str = ""
    """Folder of the sample library."""
    block_m: float = Field(default=2000, gt=0)
    """Edge of the blocks of ground by which a library is split."""
    validation_share: float = Field(default=0.25, gt=0, lt=1)
    hold_out: tuple[str, ...] = ()
    """Images of a library whose chips are all kept for validation; blocks of ground are drawn when not given."""
    bands: tuple[str, ...] = ("blue", "green", "red", "nir")
    mean: tuple[float, ...]
    std: tuple[float, ...]
    chip: int = Field(default=128, ge=16)
    validation_chip: int = Field(default=256, ge=16)
    balance: float = Field(default=0.5, ge=0, le=1)
    """Share of chips drawn around a cell of a class drawn first."""

    @model_validator(mode="after")
    def _places(self) -> Data:
        if both := set(self.train) & set(self.validation):
            raise ValueError(f"cities {sorted(both)} are both trained on and measured on")
        if len(self.mean) != len(self.bands) or len(self.std) != len(self.bands):
            raise ValueError("mean and std need a number for each band")
        if self.kind == "cities" and not (self.train and self.validation):
            raise ValueError("seeds of cities to train on and to validate on are needed")
        if self.kind == "library" and not self.library:
            raise ValueError("the folder of the sample library is needed")
        return self


class Optimiser(_Table):
    """How the weights move."""

    lr: float = Field(default=0.002, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    epochs: int = Field(default=20, ge=1)
    chips: int = Field(default=960, ge=1)
    """Chips an epoch."""
    validation_chips: int = Field(default=64, ge=1)
    batch: int = Field(default=16, ge=1)
    warm_up: float = Field(default=0.1, ge=0, lt=1)
    """Share of all steps in which the rate rises; it falls along a cosine after."""
    patience: int = Field(default=8, ge=1)
    """Epochs without a better score after which the run stops."""
    clip: float = Field(default=1.0, gt=0)


class Machine(_Table):
    """What it runs on; several devices share each batch (DDP)."""

    accelerator: str = "auto"
    devices: int | str = 1
    """GPUs, or processes of a CPU."""
    strategy: str = "auto"
    """``ddp`` for several devices."""
    precision: str = "bf16-mixed"
    threads: int = Field(default=0, ge=0)
    """CPU threads; 0 leaves it to torch."""
    workers: int = Field(default=0, ge=0)
    """Processes that read chips."""


class LossTable(_Table):
    """Losses and their shares."""

    terms: dict[str, float]
    weights: tuple[float, ...] | None = None


class Run(_Table):
    """One training run."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    task: Literal["land_cover", "change"]
    scheme: str = "six"
    seed: int = Field(default=1, ge=0)
    licence: str = "Apache-2.0"
    overlap: int = Field(default=32, ge=0)
    about: str = ""
    data: Data
    net: dict[str, Any]
    loss: LossTable
    augmentation: dict[str, Any] = {}
    optimiser: Optimiser = Optimiser()
    machine: Machine = Machine()

    @model_validator(mode="after")
    def _whole(self) -> Run:
        channels = len(self.data.bands) * (2 if self.task == "change" else 1)
        if self.net.get("in_channels") != channels:
            raise ValueError(
                f"the net takes {self.net.get('in_channels')} channels, the data give {channels}"
            )
        return self

    @property
    def how(self) -> Augmentation:
        """Augmentation of the run."""
        return Augmentation.of(self.augmentation)


def shipped() -> list[str]:
    """Names of the runs that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read(name_or_path: str | Path, **changes: Any) -> Run:
    """Run of a name or a TOML file.

    Parameters
    ----------
    name_or_path : str or Path
    changes
        Values put in place of the file's, by dotted name with ``__`` for the dot: ``optimiser__epochs=3``.

    Raises
    ------
    ParameterError
        No such run, or a value that cannot be.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = FOLDER / f"{name_or_path}.toml"
    if not path.exists():
        raise ParameterError(
            "no such run", where=str(name_or_path), expected=f"a TOML file or one of {shipped()}"
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        for name, value in changes.items():
            where, *rest = name.split("__")
            if rest:
                table.setdefault(where, {})[rest[0]] = value
            else:
                table[where] = value
        run = Run(**table)
        run.how  # noqa: B018  (refuses unknown settings now, not after an hour)
        return run
    except tomllib.TOMLDecodeError as error:
        raise ParameterError("not a TOML file", where=path.name, found=str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{path.name}: {'.'.join(str(part) for part in first['loc'])}"
        raise ParameterError(first["msg"], where=where, found=first.get("input")) from error
