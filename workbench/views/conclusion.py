"""The conclusion as a reader sees it: sentences with their numbers filled in, and suspected patches by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from workbench.views.cells import level_chip, table, value_cell
from workbench.views.html import Html, element, join
from workbench.views.numbers import find, num
from workbench.views.text import has, mark, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

LINES = ("permanent_farmland", "ecological_red_line", "development_boundary")
"""Lines in the order of the report; others the values hold follow."""


class SentenceLike(Protocol):
    """A sentence whose numbers are ids of the value table."""

    @property
    def key(self) -> str:
        """What it is about."""
        ...

    @property
    def parts(self) -> list[tuple[str, str]]:
        """Pieces ``("text", …)`` and ``("value", value_id)``."""
        ...


def sentence(checkup: CheckupView, one: SentenceLike, lang: str) -> Html:
    """One sentence with each number as a traceable number; digits of names and years are marked as exempt."""
    return join(
        [num(checkup, piece, lang=lang) if kind == "value" else mark(piece) for kind, piece in one.parts]
    )


def conclusion(checkup: CheckupView, sentences: Sequence[SentenceLike], lang: str) -> Html:
    """Lay out the judgement as a paragraph that stands out, and every other sentence as an item below it.

    Parameters
    ----------
    checkup : Checkup
        Where the numbers are.
    sentences : sequence of Sentence
        As :func:`workbench.evaluation.summary.sentences` writes them.
    lang : {"zh", "en"}
        Language.
    """
    lead = [element("p", sentence(checkup, s, lang), css="lead") for s in sentences if s.key == "judgement"]
    rest = [element("li", sentence(checkup, s, lang)) for s in sentences if s.key != "judgement"]
    return element("div", Html(join(lead) + element("ul", join(rest))), css="conclusion")


def line_table(checkup: CheckupView, lang: str) -> Html:
    """Show number and area of suspected patches by control line, and of all lines together."""
    values = checkup.values
    known = values[(values["indicator"] == "report.cases") & (values["year"] == checkup.year)]["zone"].astype(
        str
    )
    others = sorted(zone for zone in known if zone not in (*LINES, "all") and "/" not in zone)
    zones = [zone for zone in LINES if zone in set(known)] + others + ["all"]
    headers: list[tuple[object, str]] = [(t("line_table.line", lang), "row")]
    headers += [(t(f"line_table.{name}", lang), "number") for name in ("cases", "open", "hectares", "mu")]
    headers += [(level_chip(level, lang), "number") for level in (4, 3, 2, 1)]
    names = ["cases", "cases_open", "cases_ha", "cases_mu", *(f"cases_{level}" for level in (4, 3, 2, 1))]
    rows: list[list[object]] = []
    css: list[str] = []
    for zone in zones:
        cells = [find(checkup, f"report.{n}", level="report", zone=zone, year=checkup.year) for n in names]
        if all(cell is None for cell in cells):
            continue
        key = f"line_table.{zone}" if has(f"line_table.{zone}") else f"role.{zone}"
        rows.append([t(key, lang) if has(key) else mark(zone), *(value_cell(cell, lang) for cell in cells)])
        css.append("total" if zone == "all" else "")
    return table(headers, rows, caption=t("line_table.caption", lang), lang=lang, css="lines", row_css=css)
