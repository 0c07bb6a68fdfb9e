"""Suspected places of the survey and of images held against each other, in words and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.evaluation.image_match import COUNTS, PREFIX
from workbench.views.cells import line_label, table, value_cell
from workbench.views.html import Html, element
from workbench.views.numbers import num_of, records
from workbench.views.openness import guarded
from workbench.views.text import t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView


def compared(checkup: CheckupView | None, lang: str) -> Html | None:
    """What both sources list, and what one alone: a sentence and a table by line; None where images were not read.

    Parameters
    ----------
    checkup : Checkup or None
        The run, whose values hold the rows ``imagery.match.*``; None outside of a run.
    lang : {"zh", "en"}
        Language.
    """
    if checkup is None:
        return None
    values = checkup.values
    lines: dict[str, dict[str, dict[str, Any]]] = {}
    for row in records(values[values["indicator"].astype(str).str.startswith(PREFIX)]):
        if row["year"] == checkup.year:
            lines.setdefault(str(row["zone"]), {})[str(row["indicator"]).removeprefix(PREFIX)] = row
    if "all" not in lines:
        return None
    whole = lines.pop("all")
    said = t("image_match.said", lang, **{name: num_of(whole[name], lang=lang) for name in COUNTS})
    headers: list[tuple[object, str]] = [(t("casebook.line", lang), "row")]
    headers += [(t(f"image_match.column.{name}", lang), "number") for name in COUNTS]
    cells: list[list[object]] = [
        [line_label(line, lang), *(value_cell(counts[name], lang) for name in COUNTS)]
        for line, counts in lines.items()
    ]
    cells.append([t("image_match.all", lang), *(value_cell(whole[name], lang) for name in COUNTS)])
    made = table(
        headers, cells, caption=t("image_match.caption", lang), lang=lang, css="lines", note=t("image_match.note", lang),
        row_css=["" for _ in lines] + ["total"],
    )  # fmt: skip
    return guarded("div", Html(element("p", said) + made), str(whole["survey"]["sensitivity"]))
