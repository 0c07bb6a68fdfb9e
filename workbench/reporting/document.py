"""A finished report as one tree: headings, paragraphs, tables and figures whose numerals keep their value ids.

The tree is read from the report's page, the same markup the chapters produced, so that Word and PDF say what
the page says. Nothing is dropped: words of unknown elements stay as text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from workbench.core.errors import RunError
from workbench.indicators.values import highest_sensitivity
from workbench.reporting.layout import lies
from workbench.reporting.tree import (
    Block,
    Caption,
    Cell,
    Document,
    Figure,
    Heading,
    PageBreak,
    Paragraph,
    Picture,
    Row,
    Run,
    Table,
)

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SILENT = {"style", "script", "title", "head", "template", "button", "input", "col", "colgroup"}
BLOCKS = {
    "address", "article", "aside", "blockquote", "dd", "details", "div", "dl", "dt", "fieldset", "figure", "footer",
    "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section",
    "summary", "table", "ul",
}  # fmt: skip
INTRODUCTION = 4
"""Headings and paragraphs above the first sheet of a chapter that do not need a page of their own."""
LABEL = re.compile(r"(\S+) ([A-Z]|\d+)-(\d+)")
"""Label of a caption: word, chapter, number in the chapter."""
DATA_PICTURE = re.compile(r"data:image/(png|jpeg);base64,(.+)", re.DOTALL)
SPACE = re.compile(r"[ \t\r\n\f]+")


@dataclass
class Node:
    """Element of a page."""

    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Class names."""
        return self.attrs.get("class", "").split()

    def find(self, *, tag: str = "", css: str = "") -> Node | None:
        """First element below with a tag name and class, in reading order."""
        return next(self.find_all(tag=tag, css=css), None)

    def find_all(self, *, tag: str = "", css: str = "") -> Iterator[Node]:
        """Elements below with a tag name and class, in reading order."""
        for child in self.children:
            if isinstance(child, Node):
                if (not tag or child.tag == tag) and (not css or css in child.classes):
                    yield child
                yield from child.find_all(tag=tag, css=css)

    def text(self) -> str:
        """Words of the element, spaces collapsed."""
        words = "".join(c if isinstance(c, str) else c.text() for c in self.children if not _silent(c))
        return SPACE.sub(" ", words).strip()


def _silent(child: Node | str) -> bool:
    return isinstance(child, Node) and (child.tag in SILENT or "back" in child.classes)


class _Builder(HTMLParser):
    """Builds a tree of nodes; an end tag closes what was left open inside."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("root")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        for at in range(len(self.open) - 1, 0, -1):
            if self.open[at].tag == tag:
                del self.open[at:]
                return

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(markup: str) -> Node:
    """Tree of elements of a page or fragment."""
    builder = _Builder()
    builder.feed(markup)
    builder.close()
    return builder.root


@cache
def looks() -> dict[str, dict[str, str]]:
    """Colours of chips, tiers and trends by their classes, read from the page's style sheet.

    Examples
    --------
    >>> looks()["chip level-4"]
    {'colour': '#ffffff', 'fill': '#c62828'}
    """
    from workbench.views.style import css

    found: dict[str, dict[str, str]] = {}
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", css())
    for selectors, body in rules:
        look = {}
        for name, key in (("color", "colour"), ("background", "fill")):
            if hit := re.search(rf"(?:^|[;\s]){name}:\s*(#[0-9a-fA-F]{{3,6}})\b", body):
                look[key] = _six(hit.group(1))
        for selector in selectors.split(","):
            if look and (hit := re.fullmatch(r"\s*\.(chip|tier|trend|num)(?:\.([\w-]+))?\s*", selector)):
                found.setdefault(" ".join(filter(None, hit.groups())), {}).update(look)
    return {name: {**found.get(name.split()[0], {}), **look} for name, look in found.items()}


def _six(colour: str) -> str:
    """Colour with six digits."""
    return colour if len(colour) == 7 else "#" + "".join(2 * letter for letter in colour[1:4])


ARROWS = {"up": "▲ ", "down": "▼ ", "flat": "– "}
"""Signs the style sheet puts before a trend."""


def _styled(node: Node, around: Run) -> Run:
    """Look of the text inside an element, given that around it."""
    classes = node.classes
    changes: dict[str, str | bool] = {"css": " ".join(classes)} if classes else {}
    if "data-v" in node.attrs:
        changes["value_id"] = node.attrs["data-v"]
    if "data-sensitivity" in node.attrs:
        levels = [level for level in (around.sensitivity, node.attrs["data-sensitivity"]) if level]
        changes["sensitivity"] = highest_sensitivity(levels) if levels else ""
    if "x" in classes:
        changes["exempt"] = True
    if node.tag in ("strong", "b", "dt", "summary"):
        changes["bold"] = True
    if node.tag in ("em", "i"):
        changes["italic"] = True
    if node.tag in ("sup", "sub"):
        changes["shift"] = node.tag
    if node.tag in ("code", "pre", "kbd"):
        changes["kind"] = "code"
    for kind in ("chip", "tier", "trend"):
        if kind in classes:
            changes["kind"] = kind
            for name in classes:
                changes |= looks().get(f"{kind} {name}", {})
    if "missing" in classes and "num" in classes:
        changes |= looks().get("num missing", {})
    return replace(around, **changes)  # type: ignore[arg-type]


def inline(node: Node, around: Run | None = None) -> list[Run]:
    """Text runs of an element's content; spaces are collapsed by :func:`tidy`."""
    style = _styled(node, around or Run(""))
    runs: list[Run] = []
    if style.kind == "trend":
        way = next((name for name in node.classes if name in ARROWS), "")
        runs += [replace(style, text=ARROWS[way])] if way else []
    for child in node.children:
        if isinstance(child, str):
            runs.append(replace(style, text=child if node.tag == "pre" else SPACE.sub(" ", child)))
        elif child.tag == "br":
            runs.append(replace(style, text="\n"))
        elif child.tag == "svg":
            runs.append(replace(style, text=child.attrs.get("aria-label", ""), exempt=True))
        elif "swatch" in child.classes:
            hit = re.search(r"background(?:-color)?:\s*(#[0-9a-fA-F]{3,6})", child.attrs.get("style", ""))
            runs.append(replace(style, text="■", kind="swatch", colour=_six(hit.group(1)) if hit else ""))
        elif not _silent(child):
            runs += inline(child, style)
    return runs


def tidy(runs: list[Run]) -> tuple[Run, ...]:
    """Runs without empty ones, doubled spaces and spaces at the ends; equal neighbours joined."""
    found: list[Run] = []
    for run in runs:
        text = run.text.replace("\u202f", "\u00a0").replace(" – ", "\u00a0– ")
        if text[:1] == " " and (not found or found[-1].text[-1:] in (" ", "\n")):
            text = text[1:]
        if not text:
            continue
        same = (
            bool(found)
            and not run.value_id
            and run.kind != "chip"
            and replace(run, text=found[-1].text) == found[-1]
        )
        if same:
            found[-1] = replace(run, text=found[-1].text + text)
        else:
            found.append(replace(run, text=text))
    while found and not found[-1].text.rstrip(" \n"):
        found.pop()
    if found:
        found[-1] = replace(found[-1], text=found[-1].text.rstrip(" \n"))
    return tuple(found)


def blocks_of(node: Node, *, kind: str = "text", depth: int = 0, around: Run | None = None) -> list[Block]:
    """Blocks of an element's content: text between block elements becomes paragraphs."""
    style = replace(_styled(node, around or Run("")), css="", text="")
    if "failure" in node.classes:
        kind = "failure"
    found: list[Block] = []
    pending: list[Run] = []

    def flush() -> None:
        if runs := tidy(pending):
            found.append(Paragraph(runs, kind, depth))
        pending.clear()

    for child in node.children:
        if isinstance(child, str) or not (_holds_block(child)):
            wrapped = Node("span", {}, [child])
            pending.extend([] if _silent(child) else inline(wrapped, style))
            continue
        flush()
        found += _block(child, kind=kind, depth=depth, style=style)
    flush()
    return found


def _holds_block(node: Node) -> bool:
    return (
        node.tag in BLOCKS
        or node.tag == "img"
        or any(isinstance(child, Node) and _holds_block(child) for child in node.children)
    )


def _block(node: Node, *, kind: str, depth: int, style: Run) -> list[Block]:
    """Blocks of one element that is itself a block."""
    if node.tag in ("hr", "nav"):
        return []
    if node.tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
        return [_heading(node, style)]
    if node.tag == "table":
        return [_table(node, style)]
    if node.tag in ("figure", "img"):
        return _figure(node, style)
    if node.tag in ("ul", "ol"):
        return _list(node, depth, style)
    if node.tag == "dl":
        return _facts(node)
    if node.tag == "p":
        classes = node.classes
        kind = "lead" if "lead" in classes else "note" if "wb-note" in classes else kind
    if node.tag == "pre":
        kind = "code"
    begin: list[Block] = [PageBreak(chapter=False)] if "sheet" in node.classes else []
    return begin + blocks_of(node, kind=kind, depth=depth, around=style)


def _headed(blocks: list[Block]) -> list[Block]:
    """Blocks in which the first sheet of a section takes the section's heading along."""
    for at in range(1, len(blocks)):
        before = blocks[at - 1]
        if isinstance(blocks[at], PageBreak) and isinstance(before, Heading) and before.level == 2:
            blocks[at - 1], blocks[at] = blocks[at], before
    return blocks


def _heading(node: Node, around: Run) -> Heading:
    runs = inline(node, around)
    number = "".join(run.text for run in runs if "label" in run.css.split()).strip()
    level = max(1, min(3, int(node.tag[1]) - 1))
    words = tidy([replace(run, bold=False) for run in runs if "label" not in run.css.split()])
    return Heading(level, number, words, node.attrs.get("id", ""))


def _list(node: Node, depth: int, style: Run) -> list[Block]:
    found: list[Block] = []
    at = 0
    for child in node.children:
        if not isinstance(child, Node) or child.tag != "li":
            continue
        at += 1
        kind = "bullet" if node.tag == "ul" else "item"
        inner = blocks_of(child, kind=kind, depth=depth + 1, around=style)
        if kind == "item" and inner and isinstance(inner[0], Paragraph):
            label = Run(f"{at}. ", exempt=True)
            inner[0] = replace(inner[0], runs=(label, *inner[0].runs))
        found += inner
    return found


def _facts(node: Node) -> list[Block]:
    """A description list as a table of two columns."""
    rows: list[Row] = []
    names: list[Cell] = []
    for child in [n for n in node.find_all() if n.tag in ("dt", "dd")]:
        cell = _cell(child)
        if child.tag == "dt":
            names.append(replace(cell, head=True))
        else:
            rows.append(Row((names.pop() if names else Cell((), head=True), cell)))
    return [Table(tuple(rows), kind="facts")] if rows else []


def _caption(node: Node | None, around: Run | None = None) -> Caption:
    if node is None:
        return Caption()
    runs = inline(node, around)
    label = "".join(run.text for run in runs if "label" in run.css.split()).strip()
    words = tidy([replace(run, bold=False) for run in runs if "label" not in run.css.split()])
    hit = LABEL.fullmatch(label)
    if hit is None:
        return Caption(tidy(runs))
    return Caption(words, *hit.groups())


def _figure(node: Node, around: Run) -> list[Block]:
    pictures = [_picture(image) for image in ([node] if node.tag == "img" else node.find_all(tag="img"))]
    caption = _caption(node.find(tag="figcaption"), _inherited(Node("figure"), around))
    own = [level for level in (node.attrs.get("data-sensitivity", ""), around.sensitivity) if level]
    slot = node.find(css="wb-review")
    figure = Figure(
        tuple(pictures),
        caption,
        highest_sensitivity(own) if "data-sensitivity" in node.attrs else "",
        "data-boundaries" in node.attrs,
        "" if slot is None else slot.text(),
    )
    rest = Node(
        "div",
        {},
        [
            c
            for c in node.children
            if isinstance(c, Node) and c.tag not in ("img", "figcaption") and c is not slot
        ],
    )
    inner = [] if node.tag == "img" else [b for b in blocks_of(rest) if not isinstance(b, Figure)]
    return [*inner, figure] if pictures else [*inner, Paragraph(caption.runs, "note")]


def _picture(node: Node) -> Picture:
    hit = DATA_PICTURE.fullmatch(node.attrs.get("src", ""))
    if hit is None:
        raise RunError(
            "a picture of the page does not lie in it",
            found=node.attrs.get("src", "")[:80],
            expected="PNG or JPEG data",
        )
    try:
        data = base64.b64decode(hit.group(2), validate=False)
    except binascii.Error as error:
        raise RunError(f"a picture of the page cannot be read: {error}") from error
    return Picture(data, hit.group(1), node.attrs.get("alt", ""))


def _table(node: Node, around: Run) -> Table:
    rows: list[Row] = []
    style = _inherited(node, around)
    for part in [c for c in node.children if isinstance(c, Node)]:
        lines = (
            [part]
            if part.tag == "tr"
            else [c for c in part.children if isinstance(c, Node) and c.tag == "tr"]
        )
        for line in lines:
            here = _inherited(line, style)
            cells = tuple(
                _cell(c, here) for c in line.children if isinstance(c, Node) and c.tag in ("td", "th")
            )
            kinds = [name for name in line.classes if name in ("total", "group", "missing")]
            rows.append(Row(cells, part.tag == "thead", kinds[0] if kinds else ""))
    kind = " ".join(name for name in node.classes if name != "wb-table")
    return Table(tuple(rows), _caption(node.find(tag="caption"), style), kind)


def _inherited(node: Node, around: Run) -> Run:
    """What the text inside an element takes over from it and from around it: how sensitive it is."""
    return Run("", sensitivity=_styled(node, around).sensitivity)


def _cell(node: Node, around: Run | None = None) -> Cell:
    inner = blocks_of(node, around=around)
    flat: list[Paragraph | Figure] = []
    for block in inner:
        if isinstance(block, Table):
            flat += [Paragraph(_joined(row)) for row in block.rows]
        elif isinstance(block, Paragraph | Figure):
            flat.append(block)
        elif isinstance(block, Heading):
            flat.append(Paragraph(tuple(replace(run, bold=True) for run in block.runs)))
    align = "right" if "number" in node.classes else "left"
    spans = [max(1, int(node.attrs.get(name, "1") or 1)) for name in ("colspan", "rowspan")]
    return Cell(tuple(flat), node.tag == "th", align, *spans)


def _joined(row: Row) -> tuple[Run, ...]:
    """Cells of a row inside a cell, one after the other."""
    runs: list[Run] = []
    for cell in row.cells:
        runs += [Run("\u3000")] if runs else []
        runs += cell.runs
    return tuple(runs)


def read_page(markup: str) -> Document:
    """Tree of a report's page.

    Parameters
    ----------
    markup : str
        The page as ``report.html`` holds it.

    Raises
    ------
    RunError
        It is no report's page, or a picture does not lie in it.
    """
    root = parse(markup)
    page, cover = root.find(tag="main"), root.find(tag="header", css="cover")
    if page is None or cover is None:
        raise RunError("this is no page of a report", expected="a cover and a main part")

    def words(css: str, tag: str = "") -> str:
        node = cover.find(css=css, tag=tag)
        return "" if node is None else node.text()

    facts = [
        (name.text(), tidy(inline(content)))
        for name, content in zip(cover.find_all(tag="dt"), cover.find_all(tag="dd"), strict=True)
    ]
    heads = root.find(tag="html")
    lang = "en" if heads is not None and heads.attrs.get("lang", "").startswith("en") else "zh"
    found: list[Block] = []
    for chapter in page.find_all(tag="section", css="chapter"):
        inner = _headed(blocks_of(chapter))
        first = next((b for b in inner if isinstance(b, Heading)), None)
        found += _paged(inner, appendix=first is not None and first.number.isalpha())
    title = cover.find(tag="h1")
    return Document(
        lang=lang,
        city=words("cover-city"),
        title="" if title is None else title.text(),
        year=words("cover-year"),
        notice=words("cover-notice"),
        facts=tuple(facts),
        foot=words("cover-foot"),
        blocks=tuple(found),
    )


def _paged(blocks: list[Block], *, appendix: bool) -> list[Block]:
    """A chapter with its page break; the first of its sheets begins below a few words that introduce them."""
    at = next((at for at, block in enumerate(blocks) if isinstance(block, PageBreak)), len(blocks))
    before, after = blocks[:at], blocks[at:]
    if after and len(before) <= INTRODUCTION and all(isinstance(one, Heading | Paragraph) for one in before):
        return [PageBreak(landscape=bool(getattr(after[0], "landscape", False))), *before, *after[1:]]
    return [PageBreak(landscape=appendix and lies(before)), *before, *after]


def read_run(folder: Path) -> Document:
    """Tree of a finished run's report.

    Raises
    ------
    RunError
        The folder holds no report.
    """
    path = folder / "report.html"
    if not path.is_file():
        raise RunError("the folder holds no report", where=str(folder), expected="report.html")
    return read_page(path.read_text(encoding="utf-8"))
