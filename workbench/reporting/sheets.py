"""Word sheets of a page or two for daily work, from the same blocks as the report: plan review, planning conditions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.evaluation.review.items import VERDICTS, Item, say, square_metres
from workbench.reporting.layout import column_widths, line_count, row_line, text_area, written
from workbench.reporting.tree import (
    Block,
    Cell,
    Document,
    Figure,
    Heading,
    Paragraph,
    Picture,
    Row,
    Run,
    Table,
)
from workbench.reporting.word import write_word
from workbench.views.review import review_map
from workbench.views.text import plain

if TYPE_CHECKING:
    from workbench.evaluation.review import Conditions, Review

MAP_INCHES = (1.2, 3.3)
"""Least and greatest height of the map on a sheet."""
NARROW = 0.77
"""Width of Latin text against the report's measure, which leaves room on purpose."""
FRAME = 64.0
"""Points of a sheet that title, spacing and the lines around the map take."""


def review_sheet(review: Review, path: Path | str, lang: str = "zh") -> Path:
    """Write the review of one proposal as a page of Word: facts, conclusion, small map, what conflicts or needs something.

    Parameters
    ----------
    review : Review
        From :meth:`workbench.evaluation.review.Reviewer.review`.
    path : Path
        File to write; it is whole or not there.
    lang : {"zh", "en"}
        Language.

    Notes
    -----
    What complies is listed by name in one line; the table is in the workbook.
    """
    title = plain("review.title", lang)
    facts, table, notes = _facts(review, lang), _verdicts(review, lang), _notes(review, lang)
    conclusion = Paragraph(
        _exempt(plain("review.sheet.conclusion", lang, text=review.conclusion(lang))), "lead"
    )
    blocks: list[Block] = [Heading(1, "", (Run(title),)), facts, conclusion]
    if review.geometry is not None and review.reviewer is not None:
        height = _left(facts, table, [conclusion, *notes], lang)
        if height < MAP_INCHES[0]:
            mark = "" if lang == "zh" else " "
            notes = [Paragraph(_exempt(mark.join(written(note.runs) for note in notes)), "note")]
        drawn = review_map(review, lang, height=min(max(height, MAP_INCHES[0]), MAP_INCHES[1]))
        blocks.append(Figure((Picture(drawn.png, "png", drawn.alt),), sensitivity=drawn.sensitivity))
    blocks += [table, *notes] if table.rows[1:] else notes
    return write_sheet(review.city.title(lang), title, str(review.year), blocks, Path(path), lang)


def conditions_sheet(found: Conditions, path: Path | str, lang: str = "zh") -> Path:
    """Write planning conditions as Word: by topic, each with its source or the reason why there is none.

    Parameters
    ----------
    found : Conditions
        From :func:`workbench.evaluation.review.conditions`.
    path : Path
        File to write.
    lang : {"zh", "en"}
        Language.
    """
    review = found.review
    title = plain("review.sheet.conditions", lang)
    blocks: list[Block] = [Heading(1, "", (Run(title),)), _facts(review, lang)]
    if review.reviewer is not None:
        drawn = review_map(review, lang, height=1.45)
        blocks.append(Figure((Picture(drawn.png, "png", drawn.alt),), sensitivity=drawn.sensitivity))
    names = ("item", "value", "source")
    rows = [_row([plain(f"review.column.{name}", lang) for name in names], head=True)]
    for topic, part in found.shown(lang).groupby("topic", sort=False):
        rows.append(Row((Cell((Paragraph((Run(str(topic)),)),), colspan=3),), kind="group"))
        told = part.to_dict("records")
        free = [row for row in told if row["value"] in _untouched(review, lang)]
        rows += [_row([row["item"], row["value"] or "—", row["source"]]) for row in told if row not in free]
        if free:
            mark = "、" if lang == "zh" else ", "
            names_ = mark.join(row["item"] for row in free)
            rows.append(
                _row(
                    [plain("review.sheet.untouched", lang), names_, mark.join(dict.fromkeys(_dates(review)))]
                )
            )
    blocks += [Table(tuple(rows)), Paragraph(_exempt(plain("review.note", lang)), "note")]
    return write_sheet(review.city.title(lang), title, str(review.year), blocks, Path(path), lang)


def _untouched(review: Review, lang: str) -> set[str]:
    """Sentences on lines that a parcel does not meet; lines it lies inside, or not in force, keep their own."""
    return {
        item.message(lang)
        for item in review.of("complies")
        if not item.rule.startswith("rv_")
        and item.message(lang).casefold() == say("line.none", line=_name(item))[lang == "en"].casefold()
    }


def _name(item: Item) -> tuple[str, str]:
    """Name of an item's line in both languages."""
    return item.title("zh"), item.title("en")


def _dates(review: Review) -> list[str]:
    """Dates of the lines."""
    rows = review.sources[
        review.sources["role"].str.endswith(("_line", "_farmland", "_boundary", "_reserve"))
    ]
    return sorted(str(date) for date in rows["date"] if date)


def write_sheet(city: str, title: str, year: str, blocks: Iterable[Block], path: Path, lang: str) -> Path:
    """Write blocks as a Word file without cover and contents, with header and page number.

    Parameters
    ----------
    city, title, year : str
        For the header.
    blocks : iterable of Block
        In reading order.
    path : Path
        File; it is whole or not there.
    lang : {"zh", "en"}
        Language.
    """
    document = Document(lang, city, title, year, "", (), "", tuple(blocks))
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_word(document, path, front=False)


def _exempt(text: str) -> tuple[Run, ...]:
    """Text whose digits are no row of a value table."""
    return (Run(text, exempt=True),)


def _row(texts: Sequence[str], *, head: bool = False, align: Sequence[str] = ()) -> Row:
    cells = [
        Cell((Paragraph(_exempt(text)),), head=head, align=align[at] if align else "left")
        for at, text in enumerate(texts)
    ]
    return Row(tuple(cells), head=head)


def _facts(review: Review, lang: str) -> Table:
    """What was asked: proposal, use, place, area, project, day."""
    place = " ".join(filter(None, (review.place.get("district_name"), review.place.get("unit_name"))))
    none = plain("review.fact.none", lang)
    area = none
    if review.geometry is not None:
        area = plain("review.fact.area_value", lang, m2=square_metres(review.area_m2), mu=f"{review.mu:,.2f}")
    use = (review.use.en if lang == "en" else review.use.zh) if review.use.stated else none
    told = [
        ("name", review.name or "—"), ("use", f"{use} {review.use.dlbm}".strip()), ("place", place or "—"),
        ("area", area), ("project", review.project or none), ("day", review.on_date.strftime("%Y-%m-%d")),
    ]  # fmt: skip
    rows = []
    for left, right in zip(told[::2], told[1::2], strict=True):
        cells = []
        for name, value in (left, right):
            cells.append(Cell((Paragraph((Run(plain(f"review.fact.{name}", lang), bold=True),)),)))
            cells.append(Cell((Paragraph(_exempt(value)),)))
        rows.append(Row(tuple(cells)))
    return Table(tuple(rows), kind="facts")


def _verdicts(review: Review, lang: str) -> Table:
    """Items that conflict or need something, with what is needed."""
    names = ("rule", "verdict", "found")
    rows = [_row([plain(f"review.column.{name}", lang) for name in names], head=True)]
    for item in review.of("conflicts", "needs"):
        colour = VERDICTS[item.verdict][2]
        word = Paragraph((Run(VERDICTS[item.verdict][lang == "en"], bold=True, colour=colour),))
        told = [Run(item.message(lang), exempt=True)]
        if item.needs:
            needs = review.reviewer.settings.words(item.needs, lang, clauses=False)
            stop = "。" if lang == "zh" else "."
            told.append(Run(f" {plain('review.sheet.needs', lang)}{needs}{stop}", exempt=True, bold=True))
        rows.append(
            Row(
                (
                    Cell((Paragraph(_exempt(item.title(lang))),)),
                    Cell((word,)),
                    Cell((Paragraph(tuple(told)),)),
                )
            )
        )
    return Table(tuple(rows))


def _notes(review: Review, lang: str) -> list[Paragraph]:
    """Lines below the table: what complies, what was not checked and why, the data, the limits of the review."""
    mark, stop = ("、", "；") if lang == "zh" else (", ", "; ")
    found = []
    kept = [item for item in review.of("complies") if item.rule not in ("rv_location", "rv_currency")]
    if kept:
        text = plain(
            "review.sheet.kept", lang, list=mark.join(dict.fromkeys(item.title(lang) for item in kept))
        )
        told = stop.join(item.message(lang).rstrip("。.") for item in kept if item.tolerated_m2 > 0)
        if told:
            text += plain("review.sheet.tolerated", lang, list=told) + ("。" if lang == "zh" else ".")
        found.append(text)
    if open_ := review.of("not_checked"):
        reasons = (
            f"{item.title(lang)}（{_reason(item, lang)}）"
            if lang == "zh"
            else f"{item.title(lang)} ({_reason(item, lang)})"
            for item in open_
        )
        found.append(plain("review.sheet.unchecked", lang, list=mark.join(reasons)))
    if len(review.sources):
        dates: dict[str, list[str]] = {}
        for row in review.sources.to_dict("records"):
            dates.setdefault(row["date"] or "—", []).append(row[f"name_{lang}"])
        found.append(
            plain("review.sheet.data", lang, list=stop.join(f"{mark.join(v)} {k}" for k, v in dates.items()))
        )
    found.append(plain("review.note", lang))
    return [Paragraph(_exempt(text), "note") for text in found]


def _reason(item: Item, lang: str) -> str:
    text = item.message(lang)
    for word in ("未核查：", "Not checked: "):
        text = text.replace(word, "")
    return text.rstrip("。.")


def _left(facts: Table, table: Table, texts: Sequence[Paragraph], lang: str) -> float:
    """Inches left for the map on a page."""
    width, height = text_area(False)
    slack = (
        1.0 if lang == "zh" else NARROW
    )  # Latin letters run narrower than the measure of the report takes them
    used = FRAME
    for one in (facts, table):
        size, widths = column_widths(one, width)
        for row in one.rows:
            lines = max(
                line_count(written(cell.runs), (wide - 8) / slack, size)
                for cell, wide in zip(row.cells, widths, strict=True)
            )
            used += lines * row_line(size) + 3.5
    for text in texts:
        size, line = (12.0, 22.0) if text.kind == "lead" else (9.0, 14.0)
        used += line_count(written(text.runs), (width - 16) / slack, size) * line + 14
    return (height - used) / 72
