"""The conclusion as a reader sees it: sentences with their numbers filled in, and suspected patches by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from workbench.views.cells import level_chip, table, value_cell
from workbench.views.html import Html, element, join
from workbench.views.numbers import find, num
from workbench.views.openness import PUBLIC, guarded, sensitivity_of, sensitivity_of_values
from workbench.views.text import has, mark, paragraph, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

LINES = ("permanent_farmland", "ecological_red_line", "development_boundary")
"""Lines in the order of the report; others the values hold follow."""


LEVELS = (4, 3, 2, 1, 0)


class SentenceLike(Protocol):
    """A sentence whose numbers are ids of the value table."""

    @property
    def key(self) -> str:
        """What it is about."""
        ...

    @property
    def parts(self) -> list[tuple[str, str]]:
        """Pieces ``("text", …)``, ``("value", value_id)`` and, with its unit, ``("quantity", value_id)``."""
        ...

    @property
    def rests_on(self) -> tuple[str, ...]:
        """Ids of the values that decided the words."""
        ...


def sentence(checkup: CheckupView, one: SentenceLike, lang: str) -> Html:
    """One sentence with each number as a traceable number; digits of names and years are marked as exempt."""
    text = join(
        [
            mark(piece) if kind == "text" else num(checkup, piece, lang=lang, unit=kind == "quantity")
            for kind, piece in one.parts
        ]
    )
    level = sensitivity_of_values(checkup, one.rests_on)
    return text if level == PUBLIC else guarded("span", text, level)


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
    rest = [
        element("li", sentence(checkup, s, lang)) for s in sentences if s.key not in ("judgement", "rule")
    ]
    rule = [
        element("p", sentence(checkup, s, lang), css="wb-note rule") for s in sentences if s.key == "rule"
    ]
    return element("div", Html(join(lead) + element("ul", join(rest)) + join(rule)), css="conclusion")


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
    headers += [(level_chip(level, lang), "number") for level in LEVELS]
    names = ["cases", "cases_open", "cases_ha", "cases_mu", *(f"cases_{level}" for level in LEVELS)]
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


def line_section(checkup: CheckupView, line: str, lang: str, *, limit: int = 30) -> Html:
    """Map and list of the suspected patches of one control line, with the same numbers; or why nothing was checked."""
    from workbench.views.maps import case_map
    from workbench.views.rows import cases_of
    from workbench.views.tables import case_table

    row = find(checkup, "report.cases", level="report", zone=line, year=checkup.year)
    if row is None or row["value"] != row["value"]:
        return paragraph("cases.not_checked", lang)
    listed = case_table(checkup, lang, line, limit=limit)
    if not len(cases_of(checkup, line)):
        return guarded("div", listed, sensitivity_of(checkup, [line], [row]))
    return Html(case_map(checkup, lang, line, numbered=limit).html + listed)


def other_lines(checkup: CheckupView, lang: str, *, limit: int = 30) -> Html | None:
    """Lists of the suspected patches of every line but the three, one a line; None when there are none."""
    from workbench.views.rows import cases_of
    from workbench.views.tables import case_table

    cases = cases_of(checkup)
    lines = sorted(set(cases["line"]) - set(LINES)) if len(cases) else []
    return join([case_table(checkup, lang, line, limit=limit) for line in lines]) if lines else None
