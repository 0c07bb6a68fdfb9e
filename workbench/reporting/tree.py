"""The tree of a report: headings, paragraphs, tables and figures whose numerals keep their value ids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Run:
    """A stretch of text of one look."""

    text: str
    """The letters; a line break is a newline."""
    value_id: str = ""
    """Row of the value table the text prints; empty for words."""
    exempt: bool = False
    """Whether digits in it are no result: dates, clause numbers, labels, names."""
    bold: bool = False
    """Heavier letters."""
    italic: bool = False
    """Slanted letters."""
    shift: str = ""
    """``sup`` or ``sub`` for raised or lowered letters."""
    kind: str = ""
    """``chip``, ``tier``, ``trend``, ``swatch``, ``code`` or empty."""
    css: str = ""
    """Class names of the innermost element that had any."""
    colour: str = ""
    """Colour of the letters (``#rrggbb``); empty: as around."""
    fill: str = ""
    """Colour behind the letters; empty: none."""
    sensitivity: str = ""
    """Sensitivity of what the text rests on, where its element says so; empty: that of its value alone."""


@dataclass(frozen=True)
class Heading:
    """Title of a chapter (level 1), of a section (2) or of a part of it (3)."""

    level: int
    number: str
    """As printed, e.g. ``2.1`` or ``A``; empty for unnumbered ones."""
    runs: tuple[Run, ...]
    anchor: str = ""
    """Anchor in the page."""


@dataclass(frozen=True)
class Paragraph:
    """A paragraph, list item, note or line of a failure box."""

    runs: tuple[Run, ...]
    kind: str = "text"
    """``text``, ``lead``, ``note``, ``bullet``, ``item`` (numbered, its number is its first run), ``failure`` or ``code``."""
    depth: int = 0
    """How deep a list item lies."""


@dataclass(frozen=True)
class Picture:
    """One image."""

    data: bytes
    """PNG or JPEG."""
    suffix: str
    """``png`` or ``jpeg``."""
    alt: str
    """Words for a reader who cannot see it."""


@dataclass(frozen=True)
class Caption:
    """Label and words of a table or figure."""

    runs: tuple[Run, ...] = ()
    word: str = ""
    """表, 图, Table, Figure; empty when the caption is not numbered."""
    chapter: str = ""
    """Number of the chapter."""
    number: str = ""
    """Number in the chapter."""

    @property
    def label(self) -> str:
        """Label as printed, e.g. ``表 2-1``."""
        return f"{self.word} {self.chapter}-{self.number}" if self.word else ""


@dataclass(frozen=True)
class Figure:
    """Pictures with one caption."""

    pictures: tuple[Picture, ...]
    caption: Caption = Caption()
    sensitivity: str = ""
    """Highest sensitivity of what is drawn; empty when the page does not say."""
    boundaries: bool = False
    """Whether administrative boundaries are drawn."""
    review: str = ""
    """Line in the map's slot for its review number; empty for none."""


@dataclass(frozen=True)
class Cell:
    """One cell."""

    blocks: tuple[Paragraph | Figure, ...]
    head: bool = False
    """Heading of a column or row."""
    align: str = "left"
    """``left``, ``right`` or ``center``."""
    colspan: int = 1
    rowspan: int = 1

    @property
    def runs(self) -> tuple[Run, ...]:
        """Text of the cell, paragraphs divided by line breaks."""
        found: list[Run] = []
        for block in self.blocks:
            if isinstance(block, Paragraph):
                found += [Run("\n")] if found else []
                found += block.runs
        return tuple(found)


@dataclass(frozen=True)
class Row:
    """One row."""

    cells: tuple[Cell, ...]
    head: bool = False
    """Repeated at the top of each page."""
    kind: str = ""
    """``total``, ``group``, ``missing`` or empty."""


@dataclass(frozen=True)
class Table:
    """A table; merged cells stand once, at their upper left."""

    rows: tuple[Row, ...]
    caption: Caption = Caption()
    kind: str = ""
    """Class names of the page's table beside ``wb-table``."""

    @cached_property
    def columns(self) -> int:
        """Number of columns."""
        return max((at + cell.colspan for row in self.placed for at, cell, first in row if first), default=0)

    @cached_property
    def placed(self) -> list[list[tuple[int, Cell, bool]]]:
        """Rows as lists of (column, cell, whether the cell begins here); cells merged downwards come again."""
        rows: list[list[tuple[int, Cell, bool]]] = []
        hanging: dict[int, tuple[Cell, int]] = {}
        for row in self.rows:
            line: list[tuple[int, Cell, bool]] = []
            waiting, at = list(row.cells), 0
            while waiting or any(column >= at for column in hanging):
                if at in hanging:
                    cell, left = hanging.pop(at)
                    line.append((at, cell, False))
                    if left > 1:
                        hanging[at] = cell, left - 1
                elif waiting:
                    cell = waiting.pop(0)
                    line.append((at, cell, True))
                    if cell.rowspan > 1:
                        hanging[at] = cell, cell.rowspan - 1
                else:
                    cell = Cell(())
                    line.append((at, cell, True))
                at += line[-1][1].colspan
                if not waiting and not any(column >= at for column in hanging):
                    break
            rows.append(line)
        return rows


@dataclass(frozen=True)
class PageBreak:
    """A new page, lying on its side when ``landscape``."""

    landscape: bool = False
    chapter: bool = True
    """Whether a chapter begins; else a sheet of its own inside one."""


Block = Heading | Paragraph | Table | Figure | PageBreak


@dataclass(frozen=True)
class Document:
    """A report."""

    lang: str
    """zh or en."""
    city: str
    title: str
    year: str
    """Year as the cover prints it, e.g. ``2025 年度``."""
    notice: str
    """Sentence on the cover; empty for none."""
    facts: tuple[tuple[str, tuple[Run, ...]], ...]
    """Lines of the cover: name and content."""
    foot: str
    """Last line of the cover."""
    blocks: tuple[Block, ...]
    """In reading order; a page break begins every chapter and every sheet (of one case) inside one."""
    mark: str = ""
    """Mark of the edition on cover and header, e.g. 内部资料; empty for none."""

    def headings(self, deepest: int = 2) -> list[Heading]:
        """Headings down to a level."""
        return [block for block in self.blocks if isinstance(block, Heading) and block.level <= deepest]
