"""Measures of the printed report, shared by Word and PDF: column widths, picture sizes, pages of the headings."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from workbench.reporting.tree import (
    Block,
    Cell,
    Document,
    Figure,
    Heading,
    PageBreak,
    Paragraph,
    Picture,
    Run,
    Table,
)

SIZES = (9.0, 8.5, 8.0, 7.5, 7.0)
"""Letter sizes of tables in points, the first that fits is taken."""
LEAST_SIZE, GAIN = 7.5, 0.93
"""An appendix lies on its side where a table needs smaller letters upright, or where that saves this share of its pages."""
LONG = {12: 8.0, 40: 7.5}
"""Tables of more rows begin with this letter size: lists, and lists to look things up in."""
STEPS = 40
"""Steps in which the width left over is shared out among the columns."""
SMALL = 12
"""Rows up to which a table is not divided over pages."""
LEAST_PICTURE = 0.4
"""Share of a page below which a picture is not made smaller for the sake of what follows."""
FIGURE_ROOM = 52.0
"""Height of a figure's caption, review line and margins, points."""
PICTURE_DPI = 150
"""Dots per inch at which pictures are drawn: at this scale their letters have the size they were given."""
PADDING = 3.6
"""Space left and right in a cell, points."""
PIECES = re.compile(
    r"(?:[\u2e80-\uffff][ \u00a0]?)?\d{4}-\d\d-\d\d(?:\u00a0–)?|[^ \n\-\u2e80-\uffff]+-?|-|[\u2e80-\uffff]|[ \n]+"
)
"""What is not broken: a date, a word up to its hyphen, one Chinese letter."""
CODES = re.compile(r"[A-Z0-9]+(?:-[A-Z0-9]+){2,}(?:\n[A-Z0-9]+(?:-[A-Z0-9]+){2,})*")
"""Numbers of patches: cut once, not at every hyphen."""
PAGES = {False: (595.3, 841.9), True: (841.9, 595.3)}
"""Width and height of the paper in points, by whether it lies on its side."""
MARGINS = {False: (62.0, 62.0), True: (62.0, 62.0)}
"""Left and right, top and bottom margin in points."""


@dataclass(frozen=True)
class Look:
    """Measures of a kind of paragraph, in points."""

    size: float
    line: float
    """Distance of lines."""
    before: float = 0.0
    after: float = 0.0


LOOKS = {
    "h1": Look(18, 28, 0, 14),
    "h2": Look(14, 22, 12, 4),
    "h3": Look(12, 22, 8, 4),
    "text": Look(12, 20, 0, 4),
    "lead": Look(12, 20, 4, 8),
    "bullet": Look(12, 19, 0, 3),
    "item": Look(12, 19, 0, 3),
    "note": Look(9, 13, 3, 8),
    "failure": Look(10.5, 18, 2, 2),
    "code": Look(9, 14, 0, 4),
    "caption": Look(10.5, 18, 8, 4),
    "figure": Look(10.5, 18, 4, 12),
}
"""Measures by kind of paragraph."""


def ems(text: str) -> float:
    """Width of a text in letter sizes: a Chinese letter takes one, others about half.

    Examples
    --------
    >>> ems("面积 km2")
    4.0
    """
    return round(sum(map(_advance, text)) + 1e-9, 1)


@cache
def _advance(letter: str) -> float:
    if ord(letter) > 0x2E7F or "\u2190" <= letter <= "\u25ff" or letter == "—":
        return 1.0
    return 0.3 if letter in " .,:;'|" else 0.62 if letter.isupper() else 0.56


def written(runs: Iterable[Run]) -> str:
    """Text of some runs; chips count their padding."""
    return "".join(f" {run.text} " if run.kind in ("chip", "tier") else run.text for run in runs)


def line_count(text: str, width: float, size: float) -> int:
    """Lines a text takes in a width (points), broken between words and Chinese letters."""
    total = 0
    for part in text.split("\n"):
        total += 1
        used = 0.0
        for piece in PIECES.findall(part):
            wide = ems(piece) * size
            if used + wide > width and used > 0 and piece.strip():
                total, used = total + 1, 0.0
            used += wide
            while used > width > size:
                total, used = total + 1, used - width
    return total


def column_widths(table: Table, width: float) -> tuple[float, list[float]]:
    """Letter size and column widths (points) with which a table fills a width.

    Numbers and short words are kept on one line where any size allows it; what is left goes to the columns
    with long texts.
    """
    largest = min([size for rows, size in LONG.items() if len(table.rows) > rows], default=SIZES[0])
    sizes = [size for size in SIZES if size <= largest]
    for size in sizes:
        least, most = _needs(table, size)
        if sum(least) <= width:
            break
    if not least:
        return size, []
    if sum(most) <= width:
        return size, [need * width / sum(most) for need in most]
    if sum(least) > width:
        return size, [need * width / sum(least) for need in least]
    return size, _shared_out(table, size, width, least, most)


def _shared_out(
    table: Table, size: float, width: float, least: list[float], most: list[float]
) -> list[float]:
    """Least widths plus the rest of a width, given step by step to the column that lowers the rows most."""
    import numpy as np

    texts = np.zeros((len(table.rows), table.columns))
    for at, line in enumerate(table.placed):
        for column, cell, first in line:
            if first and cell.colspan == 1 and cell.rowspan == 1:
                texts[at, column] = sum(max(1.0, ems(part)) for part in written(cell.runs).split("\n")) * size
    widths, step = np.array(least), (width - sum(least)) / STEPS

    def heights(of: Any) -> float:
        lines = np.maximum(texts / (of - 2 * PADDING), (texts > 0) * 1.0)
        return float((lines**6).sum(axis=1).__pow__(1 / 6).sum())

    for _ in range(STEPS):
        tried = [
            heights(widths + step * (np.arange(len(widths)) == at)) if widths[at] < most[at] else np.inf
            for at in range(len(widths))
        ]
        widths[int(np.argmin(tried))] += step
    return [float(one) for one in widths]


def _needs(table: Table, size: float) -> tuple[list[float], list[float]]:
    """Least and most width of each column at a letter size."""
    least, most = [2 * PADDING + size] * table.columns, [2 * PADDING + size] * table.columns
    for line in table.placed:
        for at, cell, first in line:
            if not first or cell.colspan > 1:
                continue
            narrow = (table.columns > 8 and at > 0) or (cell.head and cell.align == "right")
            limit = 4.0 if narrow else 6.0
            low, high = _need(cell, size, limit)
            least[at], most[at] = max(least[at], low), max(most[at], high)
    return least, most


def _need(cell: Cell, size: float, limit: float) -> tuple[float, float]:
    text = written(cell.runs)
    whole = max((ems(part) for part in text.split("\n")), default=0.0)
    piece = max((ems(part) for part in PIECES.findall(text)), default=0.0)
    if CODES.fullmatch(text):
        piece = max(map(_half, text.split("\n")))
    limit = max(limit, 6.5) if cell.align == "right" and not cell.head else limit
    low = whole if whole <= limit else max(piece, limit)
    return low * size + 2 * PADDING + 1.5, whole * size + 2 * PADDING + 1.5


def _half(code: str) -> float:
    """Width in which a code of several parts takes no more than two lines."""
    parts = re.findall(r"[^-]+-?", code)
    cuts = range(1, len(parts))
    return min((max(ems("".join(parts[:at])), ems("".join(parts[at:]))) for at in cuts), default=ems(code))


def picture_size(picture: Picture, width: float, height: float) -> tuple[float, float]:
    """Width and height in points with which a picture fits a frame; never larger than it was drawn.

    A picture that says it has more dots an inch than usual is as much smaller.
    """
    from PIL import Image

    with Image.open(io.BytesIO(picture.data)) as image:
        pixels = image.size
        finest = max(PICTURE_DPI, float(image.info.get("dpi", (0.0, 0.0))[0]))
    scale = min(width / pixels[0], height / pixels[1], 72 / finest)
    return pixels[0] * scale, pixels[1] * scale


def contents_line(entries: int) -> float:
    """Distance of lines in the table of contents, less where a few entries would stand on a page of their own."""
    room = text_area(False)[1] - 75
    return max(15.0, min(21.0, room / max(1, entries)))


def text_area(landscape: bool) -> tuple[float, float]:
    """Width and height of the text area in points."""
    (wide, high), (side, top) = PAGES[landscape], MARGINS[landscape]
    return wide - 2 * side, high - 2 * top


def lies(blocks: Sequence[Block]) -> bool:
    """Whether an appendix takes fewer pages on its side, or its tables do not fit upright; one of texts stands upright."""
    tables = [block for block in blocks if isinstance(block, Table)]

    def pages(landscape: bool) -> float:
        width, high = text_area(landscape)
        return sum(sum(row_heights(one, width)) for one in tables) / high

    upright = text_area(False)[0]
    small = any(column_widths(one, upright)[0] < LEAST_SIZE for one in tables)
    return small or pages(True) < GAIN * pages(False)


@dataclass(frozen=True)
class _Item:
    """Something that stands on one page, with the space before it."""

    height: float
    before: float = 0.0
    keep: bool = False
    """Whether it must stand with the next."""
    heading: int = -1
    """Position among the headings; -1 for none."""
    repeat: float = 0.0
    """Height of table headings repeated when a page begins with it."""


def heading_pages(document: Document) -> list[int]:
    """Page of each heading down to level 2, counted from the first chapter, by measuring the text.

    What a word processor lays out may differ by a page here and there; its own field update settles that.
    """
    pages: dict[int, int] = {}
    page, landscape, used = 0, False, 0.0
    chain: list[_Item] = []
    count = 0

    def place(items: Sequence[_Item]) -> None:
        nonlocal page, used
        high = text_area(landscape)[1]
        needed = sum(item.height + item.before for item in items)
        if used and used + needed > high:
            page, used = page + 1, items[0].repeat - items[0].before
        for item in items:
            if used + item.before + item.height > high and used > item.repeat:
                page, used = page + 1, item.repeat
            used += item.height + item.before
            if item.heading >= 0:
                pages[item.heading] = page

    for position, block in enumerate(document.blocks):
        if isinstance(block, PageBreak):
            place(chain) if chain else None
            page, landscape, used, chain = page + 1, block.landscape, 0.0, []
            continue
        at = count if isinstance(block, Heading) and block.level <= 2 else -1
        count += at >= 0
        tall = figure_height(document.blocks, position, landscape)
        for item in _items(block, at, landscape, note_after(document.blocks, position), tall):
            chain.append(item)
            if not item.keep:
                place(chain)
                chain = []
    if chain:
        place(chain)
    return [pages[at] for at in range(count)]


def _items(block: Block, at: int, landscape: bool, after: Block | None, tall: float) -> list[_Item]:
    width = text_area(landscape)[0]
    if isinstance(block, Heading):
        look = LOOKS[f"h{block.level}"]
        lines = line_count(f"{block.number}\u3000{written(block.runs)}", width, look.size)
        return [_Item(lines * look.line + look.after, look.before, keep=True, heading=at)]
    if isinstance(block, Figure):
        look = LOOKS["figure"]
        sizes = [picture_size(picture, width, tall)[1] for picture in block.pictures]
        caption = look.line + look.after + (14 if block.review else 0)
        return [*(_Item(size + 8, keep=True) for size in sizes), _Item(caption)]
    if isinstance(block, Table):
        return _table_items(block, landscape, after)
    if isinstance(block, Paragraph):
        look = LOOKS[block.kind]
        lines = line_count(written(block.runs), width - 24 * block.depth, look.size)
        first = [_Item(look.line, look.before)] if lines else []
        rest = [_Item(look.line) for _ in range(lines - 2)] + (
            [_Item(look.line + look.after)] if lines > 1 else []
        )
        return first + rest if rest else [_Item(look.line + look.after, look.before)]
    return []


def frame_height(landscape: bool) -> float:
    """Greatest height of a picture, points."""
    return text_area(landscape)[1] * (0.62 if not landscape else 0.8)


def figure_height(blocks: Sequence[Block], at: int, landscape: bool) -> float:
    """Greatest height of the pictures of a figure.

    Less than usual where two figures that follow each other then share a page, or the small table below stands on the same.
    """
    usual, (width, high) = frame_height(landscape), text_area(landscape)
    below = blocks[at + 1] if at + 1 < len(blocks) else None
    above = blocks[at - 1] if at else None
    if not landscape and any(isinstance(one, Figure) for one in (above, below)):
        return min(usual, high / 2 - FIGURE_ROOM)
    if (
        not isinstance(blocks[at], Figure)
        or not isinstance(below, Table)
        or not stays_whole(below, landscape)
    ):
        return usual
    taken = 2 * (LOOKS["caption"].line + 12) + LOOKS["h2"].line + 26  # captions, heading, line of the map
    taken += sum(row_heights(below, width)) + (24 if note_after(blocks, at + 1) else 8)
    free = high - taken
    return free if LEAST_PICTURE * high < free < usual else usual


def row_line(size: float) -> float:
    """Distance of lines in a table of a letter size."""
    return round(size * 1.3 * 2) / 2


def _table_items(table: Table, landscape: bool, after: Block | None) -> list[_Item]:
    items = []
    kept = keeps(table, after, landscape)
    if table.caption.runs:
        look = LOOKS["caption"]
        items.append(_Item(look.line + look.after, look.before, keep=True))
    heads = 0.0
    for row, height, keep in zip(table.rows, row_heights(table, text_area(landscape)[0]), kept, strict=True):
        heads += height if row.head else 0.0
        items.append(_Item(height, keep=keep, repeat=0.0 if row.head else heads))
    return [*items, _Item(8.0)] if after is None else items


def row_heights(table: Table, width: float) -> list[float]:
    """Measured height of each row of a table that fills a width, points."""
    size, widths = column_widths(table, width)
    heights = []
    for line in table.placed:
        count = 1
        for at, cell, _ in line:
            if cell.rowspan == 1:
                free = sum(widths[at : at + cell.colspan]) - 2 * PADDING
                count = max(count, line_count(written(cell.runs), free, size))
        heights.append(count * row_line(size) + 3.5)
    return heights


def stays_whole(table: Table, landscape: bool) -> bool:
    """Whether a table is small enough to stand on one page."""
    width, height = text_area(landscape)
    return sum(not row.head for row in table.rows) <= SMALL and sum(row_heights(table, width)) < 0.6 * height


def keeps(table: Table, after: Block | None, landscape: bool) -> list[bool]:
    """Whether each row must stand on the page of the next: small tables stay whole, a note stays with its table.

    Parameters
    ----------
    table : Table
        The table.
    after : Block or None
        The note below it; None for anything else.
    landscape : bool
        Whether the paper lies on its side.
    """
    heads = sum(row.head for row in table.rows)
    small = stays_whole(table, landscape)
    last = len(table.rows) - 1
    return [
        after is not None
        if at == last
        else row.head or row.kind == "group" or small or at == heads or (at == last - 1 and last > heads + 2)
        for at, row in enumerate(table.rows)
    ]


def note_after(blocks: Sequence[Block], at: int) -> Paragraph | None:
    """Return the note that follows a block, if one does."""
    following = blocks[at + 1] if at + 1 < len(blocks) else None
    return following if isinstance(following, Paragraph) and following.kind == "note" else None
