"""Points of cells and the classes they fall in: arrays in, arrays out, thresholds as numbers that can be moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.evaluation.suitability.settings import Evaluation, Integration, Use

Array = npt.NDArray[Any]
NOT_EVALUATED = 0
"""Class of a cell that is outside the city or lacks a required factor."""


@dataclass(frozen=True)
class Plan:
    """What is counted: uses whose factor is there, classes and their order."""

    evaluations: tuple[Evaluation, ...]
    """Evaluations in the order they are shown."""
    uses: tuple[Use, ...]
    """Uses in force."""
    tables: Mapping[int, Array]
    """Points by code, for uses of factors that hold codes; key is the place in ``uses``."""
    integration: Integration
    """What goes first."""

    def of(self, evaluation: str) -> list[int]:
        """Places of the uses of an evaluation."""
        return [at for at, use in enumerate(self.uses) if use.evaluation == evaluation]


@dataclass(frozen=True)
class Thresholds:
    """Numbers that may be moved."""

    steps: Mapping[int, tuple[float, ...]]
    """Ends of the steps of each use with steps, ascending."""
    cuts: Mapping[str, tuple[float, ...]]
    """Points between the classes of each evaluation, descending."""

    @classmethod
    def of(cls, plan: Plan) -> Thresholds:
        """Those of the settings."""
        steps = {at: use.thresholds for at, use in enumerate(plan.uses) if use.steps}
        return cls(steps, {one.id: one.cuts for one in plan.evaluations})


def points(plan: Plan, at: int, values: Array, thresholds: Thresholds) -> Array:
    """Points a use gives to cells, float32; NaN where its factor is not known (0 and 1 for a limit).

    Parameters
    ----------
    plan : Plan
        What is counted.
    at : int
        Place of the use.
    values : ndarray, shape (n,)
        Measured values (NaN: not known), or codes.
    thresholds : Thresholds
        Ends of the steps.
    """
    use = plan.uses[at]
    if not use.steps:
        table: Array = plan.tables[at]
        return table[values]
    ends = thresholds.steps[at]
    index = np.zeros(values.shape, dtype=np.uint8)
    for end in ends:
        index += values > np.float32(end)
    found: Array = np.array([step.score for step in use.steps], dtype=np.float32)[index]
    unknown = np.isnan(values)
    if unknown.any():
        found[unknown] = np.nan
    return found


def combined(evaluation: Evaluation, uses: Sequence[Use], given: Sequence[Array]) -> Array:
    """Points of an evaluation from those of its uses, float32; NaN where a required one or all are unknown.

    Parameters
    ----------
    evaluation : Evaluation
        How points are combined.
    uses : sequence of Use
        Its uses …
    given : sequence of ndarray, shape (n,)
        … and what each gives, as from :func:`points`.
    """
    size = given[0].shape
    best: Array = np.full(size, np.nan, dtype=np.float32)
    total, weight = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.float32)
    lower: Array | None = None
    veto, lacking = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    for use, found in zip(uses, given, strict=True):
        if use.effect == "limit":
            veto |= found > 0
            continue
        unknown = np.isnan(found)
        gaps = bool(unknown.any())
        if use.required and gaps:
            lacking |= unknown
        points_given = np.where(unknown, np.float32(0), found) if gaps else found
        if use.effect == "lower":
            lower = points_given if lower is None else lower + points_given
        elif evaluation.combine == "mean":
            total += np.float32(use.weight) * points_given
            weight += np.float32(use.weight) * ~unknown if gaps else np.float32(use.weight)
            veto |= found == 0
        else:
            best = (np.fmin if evaluation.combine == "min" else np.fmax)(best, found)
    if evaluation.combine == "mean":
        with np.errstate(divide="ignore", invalid="ignore"):
            best = total / weight
    result: Array = best if lower is None else np.clip(best - lower, 0, None)
    result[veto & ~np.isnan(result)] = 0 if evaluation.combine != "max" else 100
    result[lacking] = np.nan
    return result


def graded(score: Array, cuts: Sequence[float]) -> Array:
    """Class of each score from 1 (highest) on, uint8; 0 where there is none."""
    code = np.ones(score.shape, dtype=np.uint8)
    for cut in cuts:
        code += score < np.float32(cut)
    code[np.isnan(score)] = NOT_EVALUATED
    return code


def integrate(plan: Plan, classes: dict[str, Array]) -> dict[str, Array]:
    """Classes after what goes first, and ``zoning``: the first evaluation in order whose first class a cell has.

    ``zoning`` is the place in the order from 1 on; one more than the last for land of none, 0 where nothing is evaluated.
    """
    order = plan.integration.order
    result = dict(classes)
    first = classes[order[0]]
    if plan.integration.excludes:
        for one in plan.evaluations:
            if one.id != order[0]:
                found = result[one.id].copy()
                found[(first == 1) & (found != NOT_EVALUATED)] = len(one.classes)
                result[one.id] = found
    zoning = np.full(first.shape, len(order) + 1, dtype=np.uint8)
    for place in range(len(order), 0, -1):
        zoning[result[order[place - 1]] == 1] = place
    zoning[np.all([result[name] == NOT_EVALUATED for name in order], axis=0)] = NOT_EVALUATED
    result["zoning"] = zoning
    return result


def classify(
    plan: Plan,
    values: Mapping[str, Array],
    thresholds: Thresholds,
    fixed: Mapping[int, Array] | None = None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Classes of cells after integration, and the points before it.

    Parameters
    ----------
    plan : Plan
        What is counted.
    values : mapping of str to ndarray, shape (n,)
        Values of each factor.
    thresholds : Thresholds
        Ends of steps and points between classes.
    fixed : mapping, optional
        Points of uses that are known already, by place.

    Returns
    -------
    classes, scores : dict of ndarray
        ``classes`` has one more: ``zoning``.
    """
    known = fixed or {}
    scores, classes = {}, {}
    for one in plan.evaluations:
        places = plan.of(one.id)
        given = [
            known[at] if at in known else points(plan, at, values[plan.uses[at].factor], thresholds)
            for at in places
        ]
        scores[one.id] = combined(one, [plan.uses[at] for at in places], given)
        classes[one.id] = graded(scores[one.id], thresholds.cuts[one.id])
    return integrate(plan, classes), scores
