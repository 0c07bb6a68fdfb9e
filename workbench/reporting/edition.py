"""Editions of a report: the internal one says so; the public one leaves out what is not for the public.

The public edition refuses whatever is not known to be public: a value whose row is not 公开 or is not there, words
that rest on such values without printing them (``data-sensitivity`` of their element), a figure that does not say what
it shows, a map of administrative boundaries without a review number (审图号). What is refused is listed, and the reader
is told in its place that something is left out, once a section and without its name: that a list of suspected patches
on some line exists is itself not public. Such a table takes the note below it along.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from workbench.core.errors import ParameterError
from workbench.reporting.tree import (
    Block,
    Caption,
    Cell,
    Document,
    Figure,
    Heading,
    PageBreak,
    Paragraph,
    Row,
    Run,
    Table,
)
from workbench.views.text import plain

if TYPE_CHECKING:
    import pandas as pd

EDITIONS = ("internal", "public")
"""Editions a report can be made in."""
Name = Literal["internal", "public"]
PUBLIC = "公开"
"""The only sensitivity the public edition prints."""
CLOSED = {"内部", "敏感", "internal", "sensitive"}
"""Words by which a list of layers marks those that are not public."""
SMALL_COUNT = 5
"""Counts of people, cases and places below this, zero apart, are printed as "fewer than"."""
BY_COLUMN = "by-column"
"""Class of a table whose columns stand for themselves: closed ones go, and the rows stay."""
COUNTED = {"count", "person", "case", "household", "patch"}
"""Units of counts."""
OWN_COUNTS = re.compile(r"report\.(?!cases)")
"""Derived numbers that count indicators and rules, not things in the city."""
END = re.compile(r"(?<=[。！？])|(?<=[.!?]) ")
WORDS = {
    "zh": {
        "internal": "内部资料",
        "public": "公开版",
        "rows": "涉及不公开数据的行已略去。",
        "columns": "涉及不公开数据的列已略去。",
        "text": "涉及不公开数据的内容已略去。",
        "figure_unknown": "“{caption}”未注明所用数据的密级，公开版不予刊载。",
        "figure_review": "“{caption}”含行政区域界线而未取得审图号，公开版不予刊载。",
        "unnamed": "本项",
    },
    "en": {
        "internal": "Internal",
        "public": "Public edition",
        "rows": "Rows with data that are not public are left out.",
        "columns": "Columns with data that are not public are left out.",
        "text": "What rests on data that are not public is left out.",
        "figure_unknown": "“{caption}” does not state the sensitivity of its data and is left out of this edition.",
        "figure_review": "“{caption}” shows administrative boundaries without a review number and is left out of this edition.",
        "unnamed": "This item",
    },
}


@dataclass(frozen=True)
class Refusal:
    """Something the public edition does not print."""

    kind: str
    """``table``, ``rows``, ``columns``, ``text``, ``figure_values``, ``figure_unknown``, ``figure_review``, ``values`` or ``layer``."""
    where: str
    """Heading, caption or layer it stands under."""
    count: int = 1
    """How many rows, columns, sentences or values."""


def check_edition(name: str) -> Name:
    """Return the name of an edition.

    Raises
    ------
    ParameterError
        There is no such edition.
    """
    if name == "internal":
        return "internal"
    if name == "public":
        return "public"
    raise ParameterError(f"no edition '{name}'", expected=" or ".join(EDITIONS))


def internal(document: Document, review_number: str = "") -> Document:
    """Edition for the bureau: marked as such, every map of boundaries with its slot for the review number."""
    blocks = tuple(_slot(block, document.lang, review_number) for block in document.blocks)
    return replace(document, mark=WORDS[document.lang]["internal"], blocks=blocks)


def _slot(block: Block, lang: str, review_number: str) -> Block:
    if not isinstance(block, Figure) or not block.boundaries or block.review:
        return block
    return replace(block, review=_review(review_number, lang))


def _review(number: str, lang: str) -> str:
    return plain("review.given", lang, number=number) if number else plain("review.none", lang)


def public_values(values: pd.DataFrame) -> pd.DataFrame:
    """Rows of the value table the public may see; small counts lose their value and say so as their reason."""
    shown = values[values["sensitivity"] == PUBLIC].copy()
    small = [is_small(row) for row in shown.to_dict("records")]
    shown.loc[small, "value"] = float("nan")
    for column, text in (
        ("reason", "small_count"),
        ("reason_zh", f"少于{SMALL_COUNT}"),
        ("reason_en", f"fewer than {SMALL_COUNT}"),
    ):
        if column in shown:
            shown.loc[small, column] = text
    return shown


def is_small(row: Mapping[object, object]) -> bool:
    """Whether a row of the value table is a count too small to be published exactly."""
    value = row.get("value")
    counted = str(row.get("unit")) in COUNTED and not OWN_COUNTS.match(str(row.get("indicator", "")))
    return counted and isinstance(value, int | float) and 0 < abs(value) < SMALL_COUNT


def public(
    document: Document, values: pd.DataFrame, review_number: str = ""
) -> tuple[Document, list[Refusal]]:
    """Edition for the public.

    Parameters
    ----------
    document : Document
        The report.
    values : DataFrame
        Its value table, with ``sensitivity``.
    review_number : str
        Review number (审图号) of the city's maps; without one no map of administrative boundaries is printed.

    Returns
    -------
    Document, list of Refusal
        The edition, and what it does not print.
    """
    return _Redactor(document, values, review_number).edition()


class _Redactor:
    """Goes through a document once, keeping what is public."""

    def __init__(self, document: Document, values: pd.DataFrame, review_number: str) -> None:
        rows = values.to_dict("records")
        self.document = document
        self.words = WORDS[document.lang]
        self.review_number = review_number
        self.open = {str(row["value_id"]) for row in rows if row.get("sensitivity") == PUBLIC}
        self.small = {str(row["value_id"]) for row in rows if is_small(row)}
        self.refused: list[Refusal] = []
        self.where = ""

    def edition(self) -> tuple[Document, list[Refusal]]:
        blocks: list[Block] = []
        left_out = self._note("text")
        of_table = self._note("rows"), self._note("columns")
        told = False  # in this section
        gone = False  # the table just before is left out whole
        for block in self.document.blocks:
            if isinstance(block, PageBreak) and not block.chapter:
                continue  # what sheets there are, and how many, is not told
            if isinstance(block, Heading):
                self.where = f"{block.number} {_text(block.runs)}".strip()
            if isinstance(block, PageBreak) or (isinstance(block, Heading) and block.level <= 2):
                told = False
            if gone and isinstance(block, Paragraph) and block.kind == "note":
                continue
            made_of = self._block(block)
            if blocks and blocks[-1] in of_table and isinstance(block, Paragraph) and block.kind == "note":
                made_of = [part for part in made_of if part != left_out]  # the table's own note, told already
            gone = isinstance(block, Table) and not any(isinstance(part, Table) for part in made_of)
            blocks += [part for part in made_of if not (told and part == left_out)]
            told = told or left_out in made_of
        facts = []
        for name, content in self.document.facts:
            kept = self._sentences(content, whole=True)
            facts += [(name, kept)] if kept else []
        made = replace(
            self.document, blocks=tuple(renumbered(blocks)), facts=tuple(facts), mark=self.words["public"]
        )
        return made, self.refused

    def _block(self, block: Block) -> list[Block]:
        if isinstance(block, Paragraph):
            return self._paragraph(block)
        if isinstance(block, Table):
            return self._table(block)
        if isinstance(block, Figure):
            return self._figure(block)
        if isinstance(block, Heading):
            kept = self._sentences(block.runs, whole=True)
            if not kept and block.level > 2:  # names a problem or a case: the note below it tells the reader
                return [self._note("text")]
            return [replace(block, runs=kept or (Run("…"),))]
        return [block]

    def _closed(self, runs: Sequence[Run]) -> bool:
        """Whether some text prints a value that is not public, or rests on one without printing it."""
        return any(
            (run.value_id and run.value_id not in self.open) or run.sensitivity not in ("", PUBLIC)
            for run in runs
        )

    def _shown(self, run: Run) -> Run:
        """Run with a small count generalised."""
        return replace(run, text=f"<{SMALL_COUNT}") if run.value_id in self.small else run

    def _sentences(self, runs: Sequence[Run], *, whole: bool = False) -> tuple[Run, ...]:
        """Return the sentences without closed values; with ``whole`` everything is one sentence."""
        kept: list[Run] = []
        for sentence in [list(runs)] if whole else sentences(runs):
            if self._closed(sentence):
                self._refuse("text")
            else:
                kept += [self._shown(run) for run in sentence]
        return tuple(kept)

    def _refuse(self, kind: str, where: str = "", count: int = 1) -> None:
        self.refused.append(Refusal(kind, where or self.where, count))

    def _note(self, kind: str, caption: Caption | None = None) -> Paragraph:
        named = _text(caption.runs) if caption is not None and not self._closed(caption.runs) else ""
        text = self.words[kind].format(caption=named or self.words["unnamed"])
        return Paragraph((Run(text, exempt=True),), "note")

    def _paragraph(self, block: Paragraph) -> list[Block]:
        before = len(self.refused)
        kept = self._sentences(block.runs)
        if len(self.refused) == before:
            return [replace(block, runs=kept)]
        note = self._note("text")
        return [replace(block, runs=kept), note] if _text(kept).strip() else [note]

    def _figure(self, block: Figure) -> list[Block]:
        kind = ""
        if not block.sensitivity:
            kind = "figure_unknown"
        elif block.sensitivity != PUBLIC or self._closed(block.caption.runs):
            self._refuse("figure_values", _text(block.caption.runs))
            return [self._note("text")]
        elif block.boundaries and not self.review_number:
            kind = "figure_review"
        if kind:
            self._refuse(kind, _text(block.caption.runs))
            return [self._note(kind, block.caption)]
        caption = replace(block.caption, runs=tuple(map(self._shown, block.caption.runs)))
        line = _review(self.review_number, self.document.lang) if block.boundaries else ""
        return [replace(block, caption=caption, review=line)]

    def _table(self, block: Table) -> list[Block]:
        if self._closed(block.caption.runs):
            self._refuse("table")
            return [self._note("text")]
        body = [at for at, row in enumerate(block.rows) if not row.head]
        closed = {at for at in body if self._row_closed(block, at)}
        if any(self._closed(cell.runs) for row in block.rows if row.head for cell in row.cells):
            closed = set(body)
        if any(_has_value(block, at) for at in closed):
            # rows that print no value may describe what the closed ones count
            closed |= {at for at in body if not _has_value(block, at) and block.rows[at].kind != "group"}
        if closed and BY_COLUMN in block.kind.split():
            return self._by_column(block)
        if not closed:
            return [replace(block, rows=tuple(map(self._row, block.rows)), caption=self._open_caption(block))]
        kept = [at for at in range(len(block.rows)) if at not in closed]
        kept = [at for at in kept if not _empty_group(block, at, kept)]
        if not any(not block.rows[at].head for at in kept):
            self._refuse("table", _text(block.caption.runs), len(closed))
            return [self._note("text")]
        self._refuse("rows", _text(block.caption.runs), len(closed))
        table = replace(
            block, rows=tuple(map(self._row, select_rows(block, kept))), caption=self._open_caption(block)
        )
        return [table, self._note("rows")]

    def _by_column(self, block: Table) -> list[Block]:
        """Table without its closed columns; none of its cells spans others."""
        closed = {
            column
            for at, line in enumerate(block.placed)
            for column, cell, _ in line
            if self._closed(cell.runs) and not block.rows[at].head
        }
        self._refuse("columns", _text(block.caption.runs), len(closed))
        rows = tuple(
            replace(row, cells=tuple(cell for at, cell in enumerate(row.cells) if at not in closed))
            for row in map(self._row, block.rows)
        )
        return [replace(block, rows=rows, caption=self._open_caption(block)), self._note("columns")]

    def _open_caption(self, block: Table) -> Caption:
        return replace(block.caption, runs=tuple(map(self._shown, block.caption.runs)))

    def _row_closed(self, block: Table, at: int) -> bool:
        cells = [cell for _, cell, _ in block.placed[at]]
        marked = any(_text(cell.runs).strip() in CLOSED for cell in cells)
        return marked or any(self._closed(cell.runs) or _pictures(cell) for cell in cells)

    def _row(self, row: Row) -> Row:
        cells = []
        for cell in row.cells:
            blocks = [
                replace(part, runs=tuple(map(self._shown, part.runs)))
                if isinstance(part, Paragraph)
                else part
                for part in cell.blocks
            ]
            cells.append(replace(cell, blocks=tuple(blocks)))
        return replace(row, cells=tuple(cells))


def _text(runs: Sequence[Run]) -> str:
    return "".join(run.text for run in runs)


def _pictures(cell: Cell) -> bool:
    return any(isinstance(part, Figure) for part in cell.blocks)


def _has_value(table: Table, at: int) -> bool:
    return any(run.value_id for _, cell, _ in table.placed[at] for run in cell.runs)


def _empty_group(table: Table, at: int, kept: Sequence[int]) -> bool:
    """Whether a row heads a group of which no row is kept."""
    if table.rows[at].kind != "group":
        return False
    following = [row for row in range(at + 1, len(table.rows))]
    group = list(itertools.takewhile(lambda row: table.rows[row].kind != "group", following))
    return bool(group) and not set(group) & set(kept)


def select_rows(table: Table, kept: Sequence[int]) -> list[Row]:
    """Some rows of a table; a cell merged over several rows spans those that are left.

    Parameters
    ----------
    table : Table
        The table.
    kept : sequence of int
        Positions of the rows, ascending.
    """
    begins: dict[tuple[int, int], int] = {}
    for at, line in enumerate(table.placed):
        for column, cell, first in line:
            if first:
                for row in range(at, at + cell.rowspan):
                    begins[row, column] = at
    rows = []
    for at in kept:
        cells = []
        for column, cell, _ in table.placed[at]:
            origin = begins.get((at, column), at)
            span = [row for row in kept if origin <= row < origin + cell.rowspan]
            if not span or span[0] == at:
                cells.append(replace(cell, rowspan=max(1, len(span))))
        rows.append(replace(table.rows[at], cells=tuple(cells)))
    return rows


def sentences(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Runs cut into sentences at full stops.

    Examples
    --------
    >>> [_text(part) for part in sentences([Run("共"), Run("3", "va"), Run("项。另有"), Run("1", "vb")])]
    ['共3项。', '另有1']
    """
    part: list[Run] = []
    for run in runs:
        pieces = [run.text] if run.value_id or run.kind else [p for p in END.split(run.text) if p]
        for at, piece in enumerate(pieces):
            part.append(replace(run, text=piece))
            if at < len(pieces) - 1 or (not run.value_id and piece.rstrip()[-1:] in tuple("。！？.!?")):
                yield part
                part = []
    if part:
        yield part


def renumbered(blocks: Sequence[Block]) -> Iterator[Block]:
    """Blocks with tables and figures numbered anew in each chapter, so that nothing left out leaves a gap."""
    counts: dict[str, int] = {}
    for block in blocks:
        if isinstance(block, PageBreak):
            counts = {}
        if isinstance(block, Table | Figure) and block.caption.word:
            word = block.caption.word
            counts[word] = counts.get(word, 0) + 1
            yield replace(block, caption=replace(block.caption, number=str(counts[word])))
        else:
            yield block
