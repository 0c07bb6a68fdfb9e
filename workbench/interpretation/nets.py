"""Nets made from a plain description, from the parts of segmentation-models-pytorch, timm and torchgeo.

A description is a table of plain values (as a run's TOML and a card hold it): ``family`` says which kind of net,
the rest are its settings. Nothing is ever fetched: encoders start from random weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import nn

from workbench.core.errors import ParameterError

FAMILIES = ("detail_unet", "smp", "fc_siam")
"""Kinds of nets that `build` knows."""
_SMP = (
    "Unet",
    "UnetPlusPlus",
    "FPN",
    "DeepLabV3Plus",
    "Segformer",
    "UPerNet",
    "MAnet",
    "Linknet",
    "PSPNet",
    "PAN",
)


class DetailUnet(nn.Module):
    """U-Net on a light encoder, with a branch at full resolution beside it.

    Encoders halve the image in their first layer, and a U-Net on them hands nothing of full resolution to its last
    layers: changes of a few cells are washed out. Here two small convolutions at full resolution run beside the U-Net and
    meet its decoder before the classes are told.

    Parameters
    ----------
    in_channels, classes : int
        Channels in, logits out.
    encoder : str
        Name of an encoder of segmentation-models-pytorch (``tu-`` before those of timm).
    depth : int
        Number of halvings.
    decoder : sequence of int
        Channels of the decoder, one a halving.
    detail : int
        Channels of the branch at full resolution.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        encoder: str = "tu-resnet10t",
        depth: int = 4,
        decoder: tuple[int, ...] = (96, 64, 32, 24),
        detail: int = 24,
    ) -> None:
        super().__init__()
        self.unet = smp.Unet(
            encoder,
            encoder_depth=depth,
            encoder_weights=None,
            decoder_channels=decoder,
            in_channels=in_channels,
            classes=1,
        )
        self.unet.segmentation_head = nn.Identity()
        self.detail = nn.Sequential(
            nn.Conv2d(in_channels, detail, 3, padding=1, bias=False), nn.BatchNorm2d(detail), nn.ReLU(inplace=True),
            nn.Conv2d(detail, detail, 3, padding=1, bias=False), nn.BatchNorm2d(detail), nn.ReLU(inplace=True),
        )  # fmt: skip
        both = detail + decoder[-1]
        self.join = nn.Sequential(
            nn.Conv2d(both, detail, 3, padding=1, bias=False), nn.BatchNorm2d(detail), nn.ReLU(inplace=True)
        )
        self.head = nn.Conv2d(detail, classes, 1)
        self.step = 2**depth

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (batch, class, row, column) of standardized images, sides divisible by ``step``."""
        wide = self.unet(images)
        logits: torch.Tensor = self.head(self.join(torch.cat([self.detail(images), wide], dim=1)))
        return logits


class SiameseDifference(nn.Module):
    """torchgeo's FC-Siam nets, taking the bands of both dates stacked in one tensor.

    Parameters
    ----------
    in_channels : int
        Bands of both dates together.
    classes : int
        Logits out.
    mode : str
        ``diff`` or ``conc``: what of the two dates' features is handed to the decoder.
    settings
        Passed to segmentation-models-pytorch's ``Unet``.
    """

    def __init__(self, in_channels: int, classes: int, *, mode: str = "diff", **settings: Any) -> None:
        from torchgeo.models import FCSiamConc, FCSiamDiff

        super().__init__()
        if in_channels % 2:
            raise ParameterError(
                "a Siamese net takes the bands of two dates", found=in_channels, expected="an even number"
            )
        kind = FCSiamConc if mode == "conc" else FCSiamDiff
        self.net = kind(in_channels=in_channels // 2, classes=classes, encoder_weights=None, **settings)
        self.step = 2 ** int(settings.get("encoder_depth", 5))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (batch, class, row, column) of two stacked dates."""
        batch, channels, height, width = images.shape
        logits: torch.Tensor = self.net(images.reshape(batch, 2, channels // 2, height, width))
        return logits


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """Net of a description.

    Parameters
    ----------
    architecture : mapping
        ``family`` (one of FAMILIES), ``in_channels``, ``classes`` and the family's settings: for ``smp`` ``decoder`` (a
        class of segmentation-models-pytorch) and its arguments, for ``fc_siam`` ``mode`` and a U-Net's arguments,
        for ``detail_unet`` those of `DetailUnet`.

    Returns
    -------
    torch.nn.Module
        With random weights; ``step`` is what the sides of its input must be divisible by.

    Raises
    ------
    ParameterError
        The family or a setting is not known, or the net cannot be made of them.
    """
    settings = dict(architecture)
    family = settings.pop("family", None)
    if family not in FAMILIES:
        raise ParameterError(
            "family of net not known", where="net.family", found=family, expected=f"one of {FAMILIES}"
        )
    try:
        channels, classes = int(settings.pop("in_channels")), int(settings.pop("classes"))
        if family == "detail_unet":
            settings["decoder"] = tuple(settings.get("decoder", (96, 64, 32, 24)))
            return DetailUnet(channels, classes, **settings)
        if family == "fc_siam":
            return SiameseDifference(channels, classes, **settings)
        return _smp(channels, classes, settings)
    except (TypeError, KeyError, ValueError) as error:
        raise ParameterError(
            "a net cannot be made of these settings", where="net", found=str(error)
        ) from error


def _smp(channels: int, classes: int, settings: dict[str, Any]) -> nn.Module:
    """Net of segmentation-models-pytorch by the name of its class."""
    decoder = settings.pop("decoder", "Unet")
    if decoder not in _SMP:
        raise ParameterError(
            "decoder not known", where="net.decoder", found=decoder, expected=f"one of {_SMP}"
        )
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    encoder = settings.pop("encoder", "resnet18")
    net: nn.Module = getattr(smp, decoder)(
        encoder, encoder_weights=None, in_channels=channels, classes=classes, **settings
    )
    net.step = 2 ** int(settings.get("encoder_depth", 5))
    return net


def rescale(net: nn.Module, scale: float, shift: float) -> None:
    """Put a scale and a shift of a net's logits into its last layer, so that its probabilities are calibrated.

    Raises
    ------
    ParameterError
        The net's last convolution has no bias, or the scale would turn the logits round.
    """
    last = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)][-1]
    if last.bias is None or scale <= 0:
        raise ParameterError(
            "the logits of this net cannot be rescaled", found=scale, expected="a scale above 0, and a bias"
        )
    with torch.no_grad():
        last.weight.mul_(scale)
        last.bias.mul_(scale).add_(shift)


def parameters(net: nn.Module) -> int:
    """Number of trained numbers of a net.

    Examples
    --------
    >>> parameters(nn.Linear(3, 2))
    8
    """
    return sum(value.numel() for value in net.parameters())
