"""Who may see a picture or a sentence: the strictest sensitivity of the layers and values it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.evaluation.problems import CLOSED, findings_sensitivity
from workbench.indicators.values import highest_sensitivity
from workbench.views.html import Html, element
from workbench.views.text import plain

if TYPE_CHECKING:
    import pandas as pd

    from workbench.views.source import CheckupView

BASE_MAP = ("districts", "land_use", "roads", "rail_lines")
"""Layers under every map: districts, water from the land-use survey, roads and rail."""
PUBLIC = "公开"
"""What everybody may see."""


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


def sensitivity_of_findings(checkup: CheckupView, findings: pd.DataFrame) -> str:
    """The strictest sensitivity of what some findings rest on: words about them may be seen by no more readers.

    See :func:`workbench.evaluation.problems.findings_sensitivity`.
    """
    return findings_sensitivity(checkup.city, checkup.values, findings)


def sensitivity_of_values(checkup: CheckupView, value_ids: Iterable[str]) -> str:
    """The strictest sensitivity of some rows of the value table; one that is not there counts as 内部."""
    known = dict(zip(checkup.values["value_id"], checkup.values["sensitivity"], strict=True))
    return highest_sensitivity([str(known.get(one) or CLOSED) for one in value_ids])


def guarded(tag: str, content: object, sensitivity: str, *, css: str = "") -> Html:
    """An element whose words rest on data of a sensitivity; the public edition leaves out what is not 公开."""
    shown = None if sensitivity == PUBLIC else sensitivity
    return element(tag, content, {"data-sensitivity": shown}, css=css)


def review_line(checkup: CheckupView, lang: str) -> str:
    """Words in the slot for the review number (审图号) of a map that shows administrative boundaries."""
    number = str(getattr(getattr(checkup.city, "city", None), "review_number", "") or "")
    return plain("review.given", lang, number=number) if number else plain("review.none", lang)
