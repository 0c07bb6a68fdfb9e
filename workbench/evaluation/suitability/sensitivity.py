"""How far the result hangs on its thresholds: each one moved by itself, and all of them drawn together.

A threshold that moves changes only cells between its old and its new place, so only these are judged again; in the joint
test only cells near any threshold are drawn, the others cannot change. Both give what judging every cell again would give.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.evaluation.suitability.classify import NOT_EVALUATED, Plan, Thresholds, classify, points
from workbench.evaluation.suitability.settings import Settings

Array = npt.NDArray[Any]
CHUNK = 262_144
"""Cells that are judged at a time."""
MOVE_COLUMNS = [
    "evaluation", "factor", "threshold", "base", "moved", "direction", "output", "share", "first_class_points",
]  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """Classes and points of all cells."""

    classes: dict[str, Array]
    """Class of each cell by evaluation, and ``zoning``; uint8."""
    scores: dict[str, Array]
    """Points by evaluation, float32."""


@dataclass(frozen=True)
class Move:
    """One threshold moved."""

    evaluation: str
    """Evaluation it belongs to."""
    factor: str
    """Factor it is a threshold of; empty for points between classes."""
    index: int
    """Which one, from 0."""
    base: float
    """Where it stands."""
    moved: float
    """Where it is moved to."""
    use: int
    """Place of the use in the plan, -1 for points between classes."""
    thresholds: Thresholds
    """All thresholds with this one moved."""


def judge(plan: Plan, values: Mapping[str, Array], thresholds: Thresholds | None = None) -> Judged:
    """Classes and points of all cells, in chunks."""
    used = thresholds or Thresholds.of(plan)
    size = len(next(iter(values.values())))
    names = [one.id for one in plan.evaluations]
    classes = {name: np.zeros(size, dtype=np.uint8) for name in [*names, "zoning"]}
    scores = {name: np.zeros(size, dtype=np.float32) for name in names}
    for start in range(0, size, CHUNK):
        part = slice(start, start + CHUNK)
        found, given = classify(plan, {name: one[part] for name, one in values.items()}, used)
        for name in classes:
            classes[name][part] = found[name]
        for name in scores:
            scores[name][part] = given[name]
    return Judged(classes, scores)


def moves(plan: Plan, settings: Settings) -> Iterator[Move]:
    """Every threshold moved down and up by its move, one at a time; never beyond its neighbours."""
    base = Thresholds.of(plan)
    for at, ends in base.steps.items():
        use = plan.uses[at]
        for index, far in enumerate(settings.move(use)):
            for sign in (-1, 1):
                moved = _between(ends, index, ends[index] + sign * far)
                if moved != ends[index]:
                    steps = {**base.steps, at: (*ends[:index], moved, *ends[index + 1 :])}
                    yield Move(
                        use.evaluation, use.factor, index, ends[index], moved, at, replace(base, steps=steps)
                    )
    for one in plan.evaluations:
        cuts = base.cuts[one.id]
        for index in range(len(cuts)):
            for sign in (-1, 1):
                ascending = cuts[::-1]
                moved = _between(ascending, len(cuts) - 1 - index, cuts[index] + sign * one.move)
                if moved != cuts[index]:
                    changed = {**base.cuts, one.id: (*cuts[:index], moved, *cuts[index + 1 :])}
                    yield Move(one.id, "", index, cuts[index], moved, -1, replace(base, cuts=changed))


def _between(ends: tuple[float, ...], index: int, wanted: float) -> float:
    """A place between the neighbours of a threshold, as near to the one wanted as they allow."""
    low = ends[index - 1] if index else -np.inf
    high = ends[index + 1] if index + 1 < len(ends) else np.inf
    return float(min(max(wanted, low), high))


def one_at_a_time(
    plan: Plan, values: Mapping[str, Array], judged: Judged, settings: Settings
) -> tuple[pd.DataFrame, dict[str, Array]]:
    """Share of cells that change class when one threshold moves, and how often each cell does.

    Returns
    -------
    DataFrame
        A row for each move and each result it changes: ``evaluation, factor, threshold`` (its number from 1), ``base, moved,
        direction`` (-1, 1), ``output, share`` (percent of the cells evaluated), ``first_class_points`` (change of the
        share of the first class, percentage points).
    dict of str to ndarray
        Moves that change the class of each cell, by output, uint8.
    """
    size = len(next(iter(values.values())))
    changes = {name: np.zeros(size, dtype=np.uint8) for name in judged.classes}
    evaluated = {name: max(1, int((one != NOT_EVALUATED).sum())) for name, one in judged.classes.items()}
    rows: list[dict[str, Any]] = []
    for move in moves(plan, settings):
        low, high = (np.float32(one) for one in sorted((move.base, move.moved)))
        if move.use < 0:
            score = judged.scores[move.evaluation]
            cells = np.flatnonzero((score >= low) & (score < high))
        else:
            value = values[move.factor]
            cells = np.flatnonzero((value > low) & (value <= high))
        found = judge(plan, {name: one[cells] for name, one in values.items()}, move.thresholds).classes
        for name, now in found.items():
            before = judged.classes[name][cells]
            changed = now != before
            if name not in (move.evaluation, "zoning") and not changed.any():
                continue
            changes[name][cells[changed]] += np.uint8(1)
            gained = int((now[changed] == 1).sum()) - int((before[changed] == 1).sum())
            rows.append(
                {
                    "evaluation": move.evaluation, "factor": move.factor, "threshold": move.index + 1,
                    "base": move.base, "moved": move.moved, "direction": 1 if move.moved > move.base else -1,
                    "output": name, "share": 100 * int(changed.sum()) / evaluated[name],
                    "first_class_points": 100 * gained / evaluated[name],
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=MOVE_COLUMNS), changes


@dataclass(frozen=True)
class Draws:
    """What comes of drawing all thresholds together."""

    count: int
    """Draws made."""
    counts: dict[str, Array]
    """By output: draws in which each cell has each class, uint8, shape (classes, cells); class 1 first."""
    totals: dict[str, Array]
    """By output: cells with each class in each draw, int64, shape (draws, classes)."""
    near: int
    """Cells near any threshold: the only ones that could change."""


def draw_thresholds(plan: Plan, settings: Settings) -> list[Thresholds]:
    """Seeded draws of all thresholds, each even over its place less and plus its move, in order."""
    base = Thresholds.of(plan)
    random = np.random.default_rng(settings.parameters.seed)
    drawn = []
    for _ in range(settings.parameters.draws):
        steps, cuts = {}, {}
        for at, ends in base.steps.items():
            far = np.array(settings.move(plan.uses[at]))
            found = np.sort(np.array(ends) + far * random.uniform(-1, 1, len(ends)))
            steps[at] = tuple(found.tolist())
        for one in plan.evaluations:
            ends = base.cuts[one.id]
            found = np.sort(np.array(ends) + one.move * random.uniform(-1, 1, len(ends)))
            cuts[one.id] = tuple(found[::-1].tolist())
        drawn.append(Thresholds(steps, cuts))
    return drawn


def near_thresholds(plan: Plan, values: Mapping[str, Array], judged: Judged, settings: Settings) -> Array:
    """Cells with a factor or points as near to a threshold as the threshold may move, bool."""
    near = np.zeros(len(next(iter(values.values()))), dtype=bool)
    for at, ends in Thresholds.of(plan).steps.items():
        use = plan.uses[at]
        for end, far in zip(ends, settings.move(use), strict=True):
            near |= np.abs(values[use.factor] - np.float32(end)) <= np.float32(far * (1 + 1e-5))
    for one in plan.evaluations:
        for cut in one.cuts:
            near |= np.abs(judged.scores[one.id] - np.float32(cut)) <= np.float32(one.move + 1e-3)
    return near


def together(plan: Plan, values: Mapping[str, Array], judged: Judged, settings: Settings) -> Draws:
    """Classes of cells when all thresholds are drawn together."""
    drawn = draw_thresholds(plan, settings)
    sizes = {one.id: len(one.classes) for one in plan.evaluations}
    sizes["zoning"] = len(plan.integration.order) + 1
    near = near_thresholds(plan, values, judged, settings)
    counts, totals = {}, {}
    for name, size in sizes.items():
        held = np.arange(1, size + 1)[:, None] == judged.classes[name]
        counts[name] = np.where(held & ~near, len(drawn), 0).astype(np.uint8)
        totals[name] = np.repeat((held & ~near).sum(axis=1, dtype=np.int64)[None], len(drawn), axis=0)
    cells = np.flatnonzero(near)
    for start in range(0, len(cells), CHUNK):
        part = cells[start : start + CHUNK]
        own = {name: one[part] for name, one in values.items()}
        base = Thresholds.of(plan)
        fixed = {
            at: points(plan, at, own[use.factor], base) for at, use in enumerate(plan.uses) if not use.steps
        }
        inner = {name: np.zeros((size, len(part)), dtype=np.uint8) for name, size in sizes.items()}
        for order, thresholds in enumerate(drawn):
            found, _ = classify(plan, own, thresholds, fixed)
            for name, size in sizes.items():
                for code in range(1, size + 1):
                    held = found[name] == code
                    inner[name][code - 1] += held
                    totals[name][order, code - 1] += int(held.sum())
        for name in sizes:
            counts[name][:, part] = inner[name]
    return Draws(len(drawn), counts, totals, len(cells))
