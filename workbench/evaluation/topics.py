"""Further questions a report may ask of a city: each makes rows of the value table, or says why it cannot be answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.catalog.roles import ROLES
from workbench.core.errors import LayerMissing, ParameterError
from workbench.indicators.lacking import role_gap
from workbench.indicators.values import table

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.city import City

Say = Callable[[str], None]

TOPICS = {
    "quality": "workbench.evaluation.quality_rows:quality_rows",
    "life_circle": "workbench.evaluation.life_circle:life_circle",
    "suitability": "workbench.evaluation.suitability:evaluate",
    "structure": "workbench.evaluation.structure:structure",
}
"""Topic to the function that answers it: called with city, year and ``data``, it gives something with ``values``."""


@dataclass(frozen=True)
class Absence:
    """Why a topic has no answer in this city."""

    zh: str
    """In Chinese."""
    en: str
    """In English."""


@dataclass
class Answers:
    """What the topics of a report gave."""

    rows: pd.DataFrame
    """Rows for the value table."""
    absent: dict[str, Absence]
    """Topics that cannot be answered, with the reason."""


def check_topics(names: Sequence[str]) -> None:
    """Refuse a topic there is not.

    Raises
    ------
    ParameterError
        Names the known ones.
    """
    for name in names:
        if name not in TOPICS:
            raise ParameterError("no such topic", found=name, expected=", ".join(TOPICS))


def answer(
    city: City, year: int, names: Sequence[str], *, data: CityData, say: Say | None = None
) -> Answers:
    """Rows of the topics named, and why others have none.

    Parameters
    ----------
    city : City
        Profile.
    year : int
        Year of the checkup.
    names : sequence of str
        Keys of :data:`TOPICS`.
    data : CityData
        The city's layers.
    say : callable, optional
        Told in words what is being computed.

    Raises
    ------
    ParameterError
        There is no such topic.
    """
    check_topics(names)
    frames, absent = [], {}
    for name in names:
        if say is not None:
            say(f"topic {name}")
        try:
            frames.append(_result(name, city, year, data).values)
        except LayerMissing as missing:
            absent[name] = absence(missing, city, data)
    rows = pd.concat(frames, ignore_index=True) if frames else table([])
    return Answers(rows, absent)


def _result(name: str, city: City, year: int, data: CityData) -> Any:
    module, function = TOPICS[name].split(":")
    return getattr(import_module(module), function)(city, year, data=data)


def absence(missing: LayerMissing, city: City, data: CityData) -> Absence:
    """Words for a layer that a topic cannot do without, with who holds it in this city."""
    there = missing.role in city.layers or missing.role in ROLES
    if not there:
        return Absence(str(missing), str(missing))
    zh, en, holder_zh, holder_en = role_gap(city, data, missing.role, missing.year).words()
    return Absence(f"缺少{zh}（通常由{holder_zh}掌握）", f"{en} is lacking (usually held by {holder_en})")
