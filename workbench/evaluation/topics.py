"""Further questions a report may ask of a city: each makes rows of the value table, or says why it cannot be answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from workbench.catalog.roles import ROLES
from workbench.core.errors import LayerMissing, ParameterError
from workbench.core.lineage import input_name, pack
from workbench.evaluation.states import States
from workbench.indicators.lacking import role_gap
from workbench.indicators.reasons import role_words
from workbench.indicators.values import table

if TYPE_CHECKING:
    import geopandas as gpd

    from workbench.catalog.data import CityData
    from workbench.core.city import City
    from workbench.governance import QualityReport

Say = Callable[[str], None]


@dataclass(frozen=True)
class Answer:
    """What a topic gave."""

    rows: pd.DataFrame
    """Rows of the value table."""
    roles: tuple[str, ...]
    """Layers they rest on."""


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
    lineage: pd.DataFrame
    """``value_id, made_of`` of the rows."""
    absent: dict[str, Absence]
    """Topics that cannot be answered, with the reason."""


def _quality(city: City, year: int, data: CityData, report: QualityReport | None = None) -> Answer:
    from workbench.evaluation.quality import quality_rows
    from workbench.governance import check

    return Answer(table(quality_rows(report or check(city), year)), tuple(city.layers))


def _life_circle(city: City, year: int, data: CityData) -> Answer:
    from workbench.evaluation.life_circle import life_circle
    from workbench.evaluation.life_circle.result import roles_of

    life = life_circle(city, year, data=data)
    return Answer(life.values, tuple(roles_of(life.settings, life.basis)))


def _suitability(city: City, year: int, data: CityData) -> Answer:
    from workbench.evaluation.suitability import evaluate
    from workbench.evaluation.suitability.result import roles_of

    result = evaluate(city, year, data=data)
    return Answer(result.values, tuple(roles_of(result.settings)))


def _structure(city: City, year: int, data: CityData) -> Answer:
    from workbench.evaluation.structure import structure

    result = structure(city, year, data=data)
    used = [role for roles in result.parts["roles"] for role in str(roles).split()]
    return Answer(result.values, tuple(dict.fromkeys(used)))


def _imagery(city: City, year: int, data: CityData, findings: gpd.GeoDataFrame | None = None) -> Answer:
    from workbench.evaluation import image_match, imagery

    rows, roles = imagery.rows(city, year, data), imagery.roles(data, year)
    if findings is None:
        return Answer(rows, roles)
    met = image_match.rows(city, year, data, findings)
    lines = [str(row["zone"]) for row in met if row["zone"] in city.layers]
    both = pd.concat([rows, table(met)], ignore_index=True) if met else rows
    return Answer(both, tuple(dict.fromkeys([*roles, *lines])))


TOPICS: dict[str, Callable[[City, int, CityData], Answer]] = {
    "quality": _quality,
    "life_circle": _life_circle,
    "suitability": _suitability,
    "structure": _structure,
    "imagery": _imagery,
}
"""Topic to what answers it; a layer it cannot do without is a :class:`LayerMissing`."""


def check_topics(names: Iterable[str]) -> None:
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
    city: City,
    year: int,
    names: Sequence[str],
    *,
    data: CityData,
    quality: QualityReport | None = None,
    findings: gpd.GeoDataFrame | None = None,
    say: Say | None = None,
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
    quality : QualityReport, optional
        The quality check where it has been made just now; else the topic makes it.
    findings : GeoDataFrame, optional
        Findings of the checkup, which imagery holds its cases against.
    say : callable, optional
        Told in words what is being computed.

    Raises
    ------
    ParameterError
        There is no such topic.
    """
    check_topics(names)
    makers = dict(TOPICS)
    if quality is not None:
        makers["quality"] = partial(_quality, report=quality)
    if findings is not None:
        makers["imagery"] = partial(_imagery, findings=findings)
    states, frames, made = States(city, data, year), [], []
    absent: dict[str, Absence] = {}
    for name in names:
        if say is not None:
            say(f"topic {name}")
        try:
            found = makers[name](city, year, data)
        except LayerMissing as missing:
            absent[name] = absence(missing, city, data)
            continue
        frames.append(found.rows)
        text = pack(states.of([*editions_of(found.roles, city, data, year), "profile"]))
        made.append(pd.DataFrame({"value_id": found.rows["value_id"].to_numpy(), "made_of": text}))
    return Answers(
        pd.concat(frames, ignore_index=True) if frames else table([]),
        pd.concat(made, ignore_index=True) if made else pd.DataFrame(columns=["value_id", "made_of"]),
        absent,
    )


def editions_of(roles: Iterable[str], city: City, data: CityData, year: int) -> list[str]:
    """Editions of layers up to a year, with the layers that bound the city and its zones."""
    zones = ["boundary", "scopes", *(level.role for level in city.levels.values())]
    found: list[str] = []
    for role in dict.fromkeys([*roles, *zones]):
        if role in city.layers or data.has(role):
            years = [one for one in data.years(role) if one <= year]
            found += [input_name(role, one) for one in years] or [input_name(role, None)]
    return found


def absence(missing: LayerMissing, city: City, data: CityData) -> Absence:
    """Words for a layer that a topic cannot do without, with who holds it in this city."""
    named = missing.role in ROLES or role_words(missing.role)[0] != missing.role
    if missing.role not in city.layers and not named:
        return Absence(str(missing), str(missing))
    zh, en, holder_zh, holder_en = role_gap(city, data, missing.role, missing.year).words()
    return Absence(f"缺少{zh}（通常由{holder_zh}掌握）", f"{en} is lacking (usually held by {holder_en})")
