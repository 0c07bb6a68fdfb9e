"""What is to be reviewed: a shape, and what is known of the project."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import ParameterError
from workbench.evaluation.review.uses import UNSTATED, Use, resolve_use
from workbench.rules.activities import activities


@dataclass(frozen=True)
class Proposal:
    """A project on a piece of land."""

    name: str
    geometry: Any
    """Valid polygon or multipolygon in the city's CRS; None where there is none that can be judged."""
    use: Use = UNSTATED
    project: str = ""
    """Project code, as in the permits."""
    activity: str = ""
    """Activity on the ecological red line, HD00 to HD10."""
    far: float = math.nan
    """Floor area ratio; NaN when not given."""
    height_m: float = math.nan
    """Greatest height of buildings; NaN when not given."""
    problem: tuple[str, str] = ("", "")
    """Why the shape cannot be judged, in Chinese and English."""
    note: tuple[str, str] = ("", "")
    """What was done to the shape."""


def make_proposal(
    name: str,
    geometry: Any,
    *,
    use: str | None = None,
    project: str | None = None,
    activity: str | None = None,
    far: float | None = None,
    height_m: float | None = None,
    problem: tuple[str, str] = ("", ""),
    note: tuple[str, str] = ("", ""),
) -> Proposal:
    """Make a proposal from what a person states.

    Raises
    ------
    ParameterError
        Unknown use or activity, or a negative number.
    """
    known = activities()
    stated = (activity or "").strip()
    if stated and stated not in known:
        code = next((code for code, words in known.items() if words == stated), "")
        if not code:
            raise ParameterError(
                "no such activity", where="activity", found=stated, expected=", ".join(sorted(known))
            )
        stated = code
    numbers = {}
    for key, value in (("far", far), ("height_m", height_m)):
        number = math.nan if value is None else float(value)
        if number < 0:
            raise ParameterError("a number below nought", where=key, found=number)
        numbers[key] = number
    return Proposal(
        name,
        geometry,
        resolve_use(use),
        (project or "").strip(),
        stated,
        problem=problem,
        note=note,
        **numbers,
    )
