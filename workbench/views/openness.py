"""Who may see a picture: the strictest sensitivity of the layers and values drawn in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.indicators.values import highest_sensitivity
from workbench.views.text import plain

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

BASE_MAP = ("districts", "land_use", "roads", "rail_lines")
"""Layers under every map: districts, water from the land-use survey, roads and rail."""
CLOSED = "内部"
"""What does not say how sensitive it is."""


def sensitivity_of(
    checkup: CheckupView, roles: Iterable[str] = (), rows: Iterable[Mapping[str, Any]] = ()
) -> str:
    """The strictest sensitivity of some layers of the city and rows of the value table.

    A layer the city does not have is not drawn and does not count; a row that does not say is not known to be
    public, and counts as 内部.

    Parameters
    ----------
    checkup : Checkup
        City and values.
    roles : iterable of str
        Roles of the layers drawn.
    rows : iterable of mapping
        Rows of the value table drawn.
    """
    layers = checkup.city.layers
    levels = [str(getattr(layers[role], "sensitivity", "") or CLOSED) for role in roles if role in layers]
    levels += [str(row.get("sensitivity") or CLOSED) for row in rows]
    return highest_sensitivity(levels)


def review_line(checkup: CheckupView, lang: str) -> str:
    """Words in the slot for the review number (审图号) of a map that shows administrative boundaries."""
    number = str(getattr(getattr(checkup.city, "city", None), "review_number", "") or "")
    return plain("review.given", lang, number=number) if number else plain("review.none", lang)
