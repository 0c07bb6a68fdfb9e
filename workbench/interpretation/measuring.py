"""How good a net is on generated cities it has never seen: by class, by place, and for changes by size of patch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.ndimage import label

from workbench.interpretation import unsupervised
from workbench.interpretation.city_chips import standardize
from workbench.interpretation.training_cities import IGNORED, TrainingCity
from workbench.samples.space import Array

SIZES = ((1, 4), (4, 10), (10, 25), (25, 60), (60, 10**9))
"""Sizes of patches in cells, from and below."""
SMALLEST = 10
"""Cells of the smallest patch that recall and precision are promised for."""
_STRIP = 512
_MARGIN = 64


def logits_of(
    net: torch.nn.Module, image: Array, valid: Array, mean: Sequence[float], std: Sequence[float]
) -> Array:
    """Logits (class, row, column) of a whole image, strip by strip.

    Parameters
    ----------
    net : torch.nn.Module
    image : array (dates, bands, rows, columns)
        Reflectance times 10,000.
    valid : array of bool (dates, rows, columns)
    mean, std : sequence of float
    """
    step = int(getattr(net, "step", 32))
    rows, columns = image.shape[-2:]
    wide = -columns % step
    found: list[Array] = []
    for top in range(0, rows, _STRIP):
        first, last = max(top - _MARGIN, 0), min(top + _STRIP + _MARGIN, rows)
        part = image[..., first:last, :].astype(np.float32) / np.float32(10_000)
        ready = standardize(part, valid[..., first:last, :], mean, std)
        pad = -(last - first) % step
        ready = np.pad(ready, ((0, 0), (0, pad), (0, wide)))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            told = net(torch.from_numpy(ready)[None].to(memory_format=torch.channels_last))
        kept = told[0, :, top - first : top - first + min(_STRIP, rows - top), :columns]
        found.append(kept.float().numpy())
    return np.concatenate(found, axis=1)


def log_shares(logits: Array) -> Array:
    """Logarithm of each class's probability; one logit becomes unchanged and changed."""
    both = np.concatenate([np.zeros_like(logits), logits]) if len(logits) == 1 else logits
    top = both.max(axis=0, keepdims=True)
    found: Array = both - top - np.log(np.exp(both - top).sum(axis=0, keepdims=True))
    return found


def combined(
    net: torch.nn.Module, images: Array, clear: Array, mean: Sequence[float], std: Sequence[float]
) -> tuple[Array, Array]:
    """Mean of the log-probabilities of several dates over those that are clear in a cell.

    Parameters
    ----------
    net : torch.nn.Module
    images : array (dates of a net, times, bands, rows, columns)
        ``times`` are combined: three dates of a year, or three pairs.
    clear : array of bool (dates of a net, times, rows, columns)
    mean, std : sequence of float

    Returns
    -------
    tuple of arrays
        Probabilities (classes, rows, columns), and bool (rows, columns): at least one time is clear.
    """
    total: Any = 0
    count = np.zeros(images.shape[-2:], dtype=np.float32)
    for time in range(images.shape[1]):
        seen = np.asarray(clear[:, time])
        all_clear = seen.all(axis=0)
        total = total + log_shares(logits_of(net, images[:, time], seen, mean, std)) * all_clear
        count += all_clear
    told = np.exp(total / np.maximum(count, 1))
    return told / told.sum(axis=0, keepdims=True), count > 0


def patch_scores(told: Array, truth: Array, counted: Array) -> dict[str, Any]:
    """Recall and precision of patches of change, and the overlap of cells.

    A true patch (cells that touch by an edge) is found when at least half of its counted cells are told to have changed. A
    told patch is right when at least half of its counted cells truly changed. Cells labelled 255 and those that no date
    shows count nowhere; told patches of fewer cells than SMALLEST are dropped before precision is taken.

    Parameters
    ----------
    told : array of bool (rows, columns)
    truth : array of uint8 (rows, columns)
        1 changed, 0 not, 255 not counted.
    counted : array of bool (rows, columns)

    Returns
    -------
    dict
        ``recall, precision, f1`` for patches of at least SMALLEST cells with their counts, ``by_size`` (recall by
        size of the true patch), ``cell_iou, cell_recall, cell_precision``.

    Examples
    --------
    >>> truth = np.zeros((8, 8), dtype=np.uint8); truth[1:5, 1:5] = 1
    >>> score = patch_scores(truth == 1, truth, np.ones((8, 8), dtype=bool))
    >>> score["recall"], score["precision"], score["cell_iou"]
    (1.0, 1.0, 1.0)
    """
    keep = counted & (truth != IGNORED)
    hit = told & keep
    real = (truth == 1) & keep
    there, number = label(real)
    size = np.bincount(there.ravel(), minlength=number + 1)[1:]
    seen = np.bincount(there.ravel(), hit.ravel(), minlength=number + 1)[1:]
    found = seen >= 0.5 * size
    mine, count = label(hit)
    mine_size = np.bincount(mine.ravel(), minlength=count + 1)[1:]
    mine_right = np.bincount(mine.ravel(), real.ravel(), minlength=count + 1)[1:]
    large, told_large = size >= SMALLEST, mine_size >= SMALLEST
    right = (mine_right >= 0.5 * mine_size)[told_large]
    recall = float(found[large].mean()) if large.any() else float("nan")
    precision = float(right.mean()) if len(right) else float("nan")
    both, either = int((hit & real).sum()), int((hit | real).sum())
    by_size = {}
    for low, high in SIZES:
        some = (size >= low) & (size < high)
        name = f"{low}+" if high == 10**9 else f"{low}-{high - 1}"
        by_size[name] = {
            "patches": int(some.sum()),
            "recall": round(float(found[some].mean()), 4) if some.any() else None,
        }
    return {
        "recall": round(recall, 4), "precision": round(precision, 4),
        "f1": round(2 * recall * precision / (recall + precision), 4) if recall + precision else 0.0,
        "patches": int(large.sum()), "told": int(told_large.sum()), "by_size": by_size,
        "cell_iou": round(both / max(either, 1), 4), "cell_recall": round(both / max(int(real.sum()), 1), 4),
        "cell_precision": round(both / max(int(hit.sum()), 1), 4),
    }  # fmt: skip


def change_probability(
    net: torch.nn.Module, mean: Sequence[float], std: Sequence[float], city: TrainingCity
) -> tuple[Array, Array]:
    """Probability of change from the three same-season pairs of a city, and the cells a pair shows clearly."""
    told, seen = combined(net, city.images, city.clear, mean, std)
    return told[1], seen


def platt(logits: Array, truth: Array) -> tuple[float, float]:
    """Scale and shift of logits that make their probabilities agree with what is true, by maximum likelihood.

    Parameters
    ----------
    logits : array of float
    truth : array of bool

    Examples
    --------
    >>> scale, shift = platt(np.array([2.0] * 4 + [-2.0] * 4), np.array([True] * 3 + [False] * 4 + [True]))
    >>> [round(float(1 / (1 + np.exp(-(logit * scale + shift)))), 3) for logit in (2, -2)]
    [0.75, 0.25]
    """
    design = np.stack([logits.astype(np.float64), np.ones(len(logits))])
    found = np.array([1.0, 0.0])
    for _ in range(50):
        told = 1 / (1 + np.exp(-np.clip(found @ design, -30, 30)))
        slope = design @ (truth - told)
        bend = (design * (told * (1 - told) + 1e-9)) @ design.T
        step = np.linalg.solve(bend, slope)
        found = found + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-6:
            break
    return float(found[0]), float(found[1])


def change_accuracy(
    net: torch.nn.Module, mean: Sequence[float], std: Sequence[float], cities: Sequence[TrainingCity]
) -> tuple[float, tuple[float, float], dict[str, Any]]:
    """Calibration of the net, the threshold that makes the F1 of patches greatest over the cities, and how good it is with both.

    Returns
    -------
    tuple of float, tuple and dict
        The threshold (the middle of all that are as good) of calibrated probabilities; scale and shift of the logits that
        calibrate them; and ``by_place`` with what `patch_scores` says.
    """
    maps = [(*change_probability(net, mean, std, city), np.asarray(city.change)) for city in cities]
    odds = [np.log(np.clip(told, 1e-7, 1 - 1e-7) / np.clip(1 - told, 1e-7, 1)) for told, _, _ in maps]
    keep = [seen & (truth != IGNORED) for _, seen, truth in maps]
    scale, shift = platt(
        np.concatenate([values[some] for values, some in zip(odds, keep, strict=True)]),
        np.concatenate([truth[some] == 1 for (_, _, truth), some in zip(maps, keep, strict=True)]),
    )
    calibrated = [1 / (1 + np.exp(-(scale * values + shift))) for values in odds]
    maps = [(told, seen, truth) for told, (_, seen, truth) in zip(calibrated, maps, strict=True)]
    steps = np.round(np.arange(0.1, 0.91, 0.05), 2)
    score = []
    for threshold in steps:
        parts = [patch_scores(told >= threshold, truth, seen) for told, seen, truth in maps]
        score.append(float(np.mean([part["f1"] + 0.25 * part["cell_iou"] for part in parts])))
    good = np.flatnonzero(np.array(score) >= max(score) - 0.005)
    threshold = float(steps[good[len(good) // 2]])
    by_place = {
        f"seed {city.seed}": patch_scores(told >= threshold, truth, seen)
        for city, (told, seen, truth) in zip(cities, maps, strict=True)
    }
    return (
        threshold,
        (scale, shift),
        {
            "of": "patches of at least 10 cells in cities kept for validation; found or right when half of the cells agree",
            "truth": "land whose image class became built between the two years",
            "by_place": by_place,
        },
    )


def land_cover_accuracy(
    net: torch.nn.Module,
    mean: Sequence[float],
    std: Sequence[float],
    cities: Sequence[TrainingCity],
    names: Sequence[str],
) -> dict[str, Any]:
    """Overall accuracy, F1 and IoU by class and place, from the three dates of the later year together."""
    by_place, every = {}, np.zeros((len(names), len(names)), dtype=np.int64)
    for city in cities:
        told, seen = combined(net, city.images[1:], city.clear[1:], mean, std)
        truth = np.asarray(city.classes[1])
        keep = seen & (truth != IGNORED)
        pairs = truth[keep].astype(np.int64) * len(names) + told.argmax(axis=0)[keep]
        matrix = np.bincount(pairs, minlength=len(names) ** 2).reshape(len(names), len(names))
        by_place[f"seed {city.seed}"] = scores(matrix, names)
        every += matrix
    return {
        "of": "three dates of a year together, cells of cities kept for validation",
        **scores(every, names),
        "by_place": by_place,
    }


def scores(matrix: Array, names: Sequence[str]) -> dict[str, Any]:
    """Overall accuracy and F1 and IoU by class of a confusion matrix (truth by row)."""
    both = np.diag(matrix)
    rows, columns = matrix.sum(axis=1), matrix.sum(axis=0)
    f1 = 2 * both / np.maximum(rows + columns, 1)
    iou = both / np.maximum(rows + columns - both, 1)
    return {
        "overall": round(float(both.sum() / max(matrix.sum(), 1)), 4), "mean_f1": round(float(f1.mean()), 4),
        "f1": {name: round(float(value), 4) for name, value in zip(names, f1, strict=True)},
        "iou": {name: round(float(value), 4) for name, value in zip(names, iou, strict=True)},
        "largest_class_share": round(float(rows.max() / max(rows.sum(), 1)), 4),
    }  # fmt: skip


def confusion(net: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, classes: int) -> Array:
    """Confusion matrix (truth by row) of standardized chips; one logit tells two classes apart."""
    step = int(getattr(net, "step", 32))
    high, wide = images.shape[-2:]
    padded = torch.nn.functional.pad(images, (0, -wide % step, 0, -high % step))
    with torch.inference_mode():
        logits = net(padded)[..., :high, :wide]
    told = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1)
    keep = labels != IGNORED
    pairs = labels[keep] * classes + told[keep]
    found: Array = torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes).numpy()
    return found


def change_vectors(city: TrainingCity) -> tuple[Array, Array]:
    """Log-distance of change vectors over the same-season pairs of a city, less that of the threshold found without labels.

    Returns
    -------
    tuple of arrays
        What is above 0 counts as changed; and the cells that a pair shows clearly.
    """
    total: Any = 0
    count = np.zeros(city.change.shape, dtype=np.float32)
    for date in range(city.images.shape[1]):
        seen: Any = np.asarray(city.clear[:, date]).all(axis=0)
        source = unsupervised.Arrays(city.images[0, date], city.images[1, date], seen)
        distance = unsupervised.fit_cva(unsupervised.lattice(source))
        score = distance.score(
            city.images[0, date].astype(np.float32), city.images[1, date].astype(np.float32)
        )
        total = total + np.log(np.maximum(score / np.median(score[seen]), 1e-6)) * seen
        count += seen
    mean = total / np.maximum(count, 1)
    counts, edges = np.histogram(mean[count > 0], 4096)
    cut = unsupervised.threshold(counts.astype(float), np.exp(edges), "auto")
    return mean - np.log(cut), count > 0
