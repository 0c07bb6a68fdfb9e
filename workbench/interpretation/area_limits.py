"""Limits that areas read from images are held against: those of the city's profile, and of its rules on such figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.core.city import AreaLimit
from workbench.core.errors import ParameterError
from workbench.rules.evaluate import rules_of

if TYPE_CHECKING:
    from workbench.core.city import City

FIGURES = {"imagery.area.": "", "imagery.change_area.": "change_"}
"""Beginning of the figure a rule judges -> prefix of the parts of the map it comes from."""
OPS = {"floor": ">=", "cap": "<="}
"""What a kind of rule asks of a value."""


def limits_of(city: City, year: int) -> tuple[AreaLimit, ...]:
    """Limits of a year, the profile's first; of a class that the profile names no rule is added.

    Parameters
    ----------
    city : City
        Section ``[[interpretation.limits]]`` of its profile, and its rule packs: rules of kind ``floor`` or ``cap`` with
        ``applies.figure = "imagery.area.<class>"`` (or ``change_area``) and ``parameters.limit``, in hectares.
    year : int
        Year of the images.
    """
    own = () if city.interpretation is None else city.interpretation.limits
    found = {one.of: one for one in own if one.year in (None, year)}
    for rule in rules_of(city, year):
        figure = str(rule.applies.get("figure", ""))
        start = next((one for one in FIGURES if figure.startswith(one)), None)
        if start is None or rule.kind not in OPS or "limit" not in rule.parameters:
            continue
        name = figure.removeprefix(start)
        if name not in found:
            found[name] = AreaLimit(
                of=name, op=OPS[rule.kind], hectares=float(rule.parameters["limit"]), title_zh=rule.title_zh,  # type: ignore[arg-type]
                title_en=rule.title_en, source=rule.source,
            )  # fmt: skip
    return tuple(found.values())


def for_classes(limits: Sequence[AreaLimit], classes: Sequence[str]) -> dict[str, tuple[float, str]]:
    """Limits on the classes of one map, as :func:`workbench.interpretation.assessment.assess` takes them."""
    return {one.of: (one.hectares, one.op) for one in limits if one.of in classes}


def check(limits: Sequence[AreaLimit], known: Sequence[str], where: str) -> None:
    """Refuse a limit on a class that no map of the city has.

    Raises
    ------
    ParameterError
        Names the class and those there are.
    """
    for one in limits:
        if one.of not in known:
            raise ParameterError(
                "a limit on a class that no map has", where=where, found=one.of, expected=", ".join(known)
            )
