"""Losses for unbalanced classes, for cells without a label and for labels that are partly wrong.

All take logits (batch, class, row, column) and labels (batch, row, column) with 255 for cells that do not count. A change
net has one logit a cell and labels 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from workbench.core.errors import ParameterError

IGNORED = 255
"""Label of cells that do not count."""


def _picked(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (cells, classes) and labels of the cells that count; one logit becomes two classes."""
    keep = labels != IGNORED
    flat = logits.permute(0, 2, 3, 1)[keep].float()
    if flat.shape[1] == 1:
        flat = torch.cat([torch.zeros_like(flat), flat], dim=1)
    return flat, labels[keep].long()


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy, each class with its weight.

    Examples
    --------
    >>> round(float(cross_entropy(torch.zeros(1, 4, 1, 1), torch.zeros(1, 1, 1, dtype=torch.long))), 4)
    1.3863
    """
    flat, truth = _picked(logits, labels)
    if not len(truth):
        return logits.sum() * 0.0
    return F.cross_entropy(flat, truth, weight=weight)


def focal(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None = None, gamma: float = 2.0
) -> torch.Tensor:
    """Cross-entropy in which cells that are already right count little."""
    flat, truth = _picked(logits, labels)
    if not len(truth):
        return logits.sum() * 0.0
    each = F.cross_entropy(flat, truth, reduction="none")
    each = (1 - torch.exp(-each)) ** gamma * each
    if weight is None:
        return each.mean()
    share = weight[truth]
    return (each * share).sum() / share.sum()


def dice(logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """One less the overlap of what is told and what is there, a mean over the classes of the batch.

    A change net's overlap is that of what changed alone.
    """
    flat, truth = _picked(logits, labels)
    if not len(truth):
        return logits.sum() * 0.0
    share = flat.softmax(dim=1)
    there = F.one_hot(truth, flat.shape[1]).to(share.dtype)
    both, total = (share * there).sum(0), share.sum(0) + there.sum(0)
    overlap = (2 * both + 1) / (total + 1)
    if logits.shape[1] == 1:
        return 1 - overlap[1]
    seen = there.sum(0) > 0
    return 1 - overlap[seen].mean()


def generalised_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None = None, q: float = 0.7
) -> torch.Tensor:
    """Loss between cross-entropy (q towards 0) and absolute error (q = 1): wrong labels pull less (Zhang and Sabuncu 2018)."""
    flat, truth = _picked(logits, labels)
    if not len(truth):
        return logits.sum() * 0.0
    told = flat.softmax(dim=1).gather(1, truth[:, None])[:, 0].clamp_min(1e-6)
    each = (1 - told**q) / q
    if weight is None:
        return each.mean()
    share = weight[truth]
    return (each * share).sum() / share.sum()


def symmetric_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None = None, beta: float = 1.0
) -> torch.Tensor:
    """Cross-entropy both ways round, so that labels the net is sure are wrong pull less (Wang et al. 2019)."""
    flat, truth = _picked(logits, labels)
    if not len(truth):
        return logits.sum() * 0.0
    told = flat.softmax(dim=1).gather(1, truth[:, None])[:, 0]
    backwards = 4.0 * (1 - told)  # log(0) of the label is taken as -4
    return F.cross_entropy(flat, truth, weight=weight) + beta * backwards.mean()


_TERMS: dict[str, Callable[..., torch.Tensor]] = {
    "cross_entropy": cross_entropy,
    "focal": focal,
    "dice": dice,
    "generalised_cross_entropy": generalised_cross_entropy,
    "symmetric_cross_entropy": symmetric_cross_entropy,
}
NOISE_TOLERANT = frozenset({"generalised_cross_entropy", "symmetric_cross_entropy"})
"""Losses that forgive wrong labels: what weak labels (last year's parcels) ask for."""


class Loss(nn.Module):
    """Weighted sum of losses.

    Parameters
    ----------
    terms : mapping of str to float
        Share of each loss: ``cross_entropy, focal, dice, generalised_cross_entropy, symmetric_cross_entropy``.
    weights : sequence of float, optional
        Weight of each class (two for a change net); equal when not given.

    Raises
    ------
    ParameterError
        A loss is not known.
    """

    def __init__(self, terms: Mapping[str, float], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        unknown = set(terms) - set(_TERMS)
        if unknown or not terms:
            raise ParameterError(
                "loss not known",
                where="loss.terms",
                found=sorted(unknown),
                expected=f"some of {sorted(_TERMS)}",
            )
        self.terms = {name: float(share) for name, share in terms.items()}
        self.register_buffer(
            "weights",
            None if weights is None else torch.tensor(weights, dtype=torch.float32),
            persistent=False,
        )

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Sum of the losses."""
        total = logits.new_zeros((), dtype=torch.float32)
        for name, share in self.terms.items():
            total = total + share * _TERMS[name](logits, labels, self.weights)
        return total
