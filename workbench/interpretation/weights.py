"""Weights of nets: safetensors files, each with its card beside it (`workbench.interpretation.cards`).

Weights never hold code: pickles are refused. What a card says is checked against the tensors before a net is made.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from workbench.core.errors import WeightsError
from workbench.core.paths import atomic_write
from workbench.core.provenance import sha256_file
from workbench.interpretation import nets
from workbench.interpretation.cards import Card, card_of, to_item


@dataclass(frozen=True)
class Model:
    """A net ready to use, with its card."""

    net: nn.Module
    card: Card


def load(name_or_path: str | Path) -> Model:
    """Net and card of a name or a file, checked and ready to compute.

    Parameters
    ----------
    name_or_path : str or Path
        ``demo_land_cover``, ``demo_change``, a name trained here, or a ``.safetensors`` file with its card beside it.

    Returns
    -------
    Model
        In float32, in evaluation mode.

    Raises
    ------
    WeightsError
        No such weights; a pickle; no card or a wrong one; the checksum differs; tensors that do not fit the net.
    """
    path, card = card_of(name_or_path)
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise WeightsError(
            "the file is damaged", where=path.name, found=str(error), hint="copy it again, or train it again"
        ) from error
    net = nets.build(card.architecture)
    fit(net, state, path.name)
    return Model(net.eval(), card)


def fit(net: nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Put tensors into a net; every name and shape must be met.

    Raises
    ------
    WeightsError
        A tensor is missing, of another shape, not finite, or not asked for.
    """
    wanted = net.state_dict()
    wrong = [name for name in wanted if name not in state or state[name].shape != wanted[name].shape]
    wrong += [name for name in state if name not in wanted]
    if wrong:
        raise WeightsError(
            "tensors do not fit the net of the card", where=where, found=f"{len(wrong)} such as {wrong[0]!r}",
            expected=f"{len(wanted)} tensors of the described net", hint="take weights and the card they came with",
        )  # fmt: skip
    ready = {name: value.to(wanted[name].dtype) for name, value in state.items()}
    bad = [
        name for name, value in ready.items() if value.is_floating_point() and not torch.isfinite(value).all()
    ]
    if bad:
        raise WeightsError("a tensor holds values that are no numbers", where=where, found=bad[0])
    net.load_state_dict(ready)


def save(net: nn.Module, card: Card, folder: Path, *, half: bool = True) -> Path:
    """Write ``<name>.safetensors`` and ``<name>.json``; neither is ever half there, and the card comes last.

    Parameters
    ----------
    net : torch.nn.Module
    card : Card
        Its checksum, number of parameters and day are filled in.
    folder : Path
    half : bool
        Store float16: half the size.

    Returns
    -------
    Path
        The safetensors file.
    """
    state = {}
    for name, value in net.state_dict().items():
        kept = value.detach().cpu().contiguous()
        state[name] = kept.half() if half and kept.is_floating_point() else kept
    path = Path(folder) / f"{card.name}.safetensors"
    with atomic_write(path) as temporary:
        save_file(state, temporary, metadata={"format": "pt", "name": card.name})
    done = Card(
        **{
            **asdict(card), "parameters": nets.parameters(net), "sha256": sha256_file(path),
            "made": card.made or dt.date.today().isoformat(),
        }
    )  # fmt: skip
    done.check()
    with atomic_write(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(to_item(done, half=half), ensure_ascii=False, indent=1))
    return path


def torchgeo_state(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a torchgeo weights file that lies on this machine; a file with anything but tensors is refused.

    Parameters
    ----------
    path : Path
        As torchgeo publishes them (``.pth``); nothing is fetched.

    Returns
    -------
    dict of str to Tensor
        To be handed to a net by `fit`.

    Raises
    ------
    WeightsError
        No such file, code inside, or no tensors.
    """
    import pickle

    if not Path(path).is_file():
        raise WeightsError("no such weights", where=str(path), hint="nothing is fetched: copy the file here")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(
            "the file holds more than tensors, or is damaged", where=str(path), found=str(error)[:120]
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(v, torch.Tensor) for v in state.values())
    ):
        raise WeightsError("the file holds no table of tensors", where=str(path), found=type(state).__name__)
    return dict(state)
