"""A tree of a report as the markup its page is made of, for editions that differ from what the chapters put out."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.reporting.tree import (
    Block,
    Caption,
    Cell,
    Document,
    Figure,
    Heading,
    PageBreak,
    Paragraph,
    Run,
    Table,
)

ARROWS = ("▲ ", "▼ ", "– ")
TAGS = {"failure": "p", "code": "pre"}


def runs_html(runs: Iterable[Run]) -> str:
    """Markup of some runs: numerals with their id, exempt digits marked."""
    parts = []
    for run in runs:
        words = run.text
        if run.kind == "trend" and words.startswith(ARROWS):
            words = words[2:]  # the style sheet draws the arrow
        text = html.escape(words, quote=False).replace("\n", "<br>")
        if run.kind == "swatch":
            parts.append(f'<span class="swatch" style="background:{run.colour or "#ffffff"}"></span>')
            continue
        if run.shift:
            text = f"<{run.shift}>{text}</{run.shift}>"
        for tag, wanted in (("strong", run.bold), ("em", run.italic), ("code", run.kind == "code")):
            text = f"<{tag}>{text}</{tag}>" if wanted else text
        classes = " ".join(dict.fromkeys([*run.css.split(), *(["x"] if run.exempt else [])]))
        value = f' data-v="{html.escape(run.value_id)}"' if run.value_id else ""
        value += f' data-sensitivity="{html.escape(run.sensitivity)}"' if run.sensitivity else ""
        plain = not classes and not value
        parts.append(
            text
            if plain
            else f"<span{f' class={chr(34)}{classes}{chr(34)}' if classes else ''}{value}>{text}</span>"
        )
    return "".join(parts)


def _caption(caption: Caption, tag: str) -> str:
    if not caption.runs and not caption.word:
        return ""
    label = f'<span class="x label">{caption.label}</span> ' if caption.word else ""
    return f"<{tag}>{label}{runs_html(caption.runs)}</{tag}>"


def _figure(block: Figure) -> str:
    pictures = "".join(
        f'<img src="data:image/{p.suffix};base64,{base64.b64encode(p.data).decode("ascii")}" alt="{html.escape(p.alt)}">'
        for p in block.pictures
    )
    state = f' data-sensitivity="{html.escape(block.sensitivity)}"' if block.sensitivity else ""
    state += " data-boundaries" if block.boundaries else ""
    slot = f'<p class="wb-review x">{html.escape(block.review)}</p>' if block.review else ""
    return (
        f'<figure class="wb-figure"{state}>{pictures}{slot}{_caption(block.caption, "figcaption")}</figure>'
    )


def _cell(cell: Cell) -> str:
    tag = "th" if cell.head else "td"
    classes = ' class="number"' if cell.align == "right" else ""
    spans = "".join(
        f' {name}="{value}"'
        for name, value in (("colspan", cell.colspan), ("rowspan", cell.rowspan))
        if value > 1
    )
    parts = [runs_html(p.runs) if isinstance(p, Paragraph) else _figure(p) for p in cell.blocks]
    inner = parts[0] if len(parts) == 1 else "".join(f"<p>{part}</p>" for part in parts)
    return f"<{tag}{classes}{spans}>{inner}</{tag}>"


def _table(block: Table) -> str:
    def lines(head: bool) -> str:
        return "".join(
            f"<tr{f' class={chr(34)}{row.kind}{chr(34)}' if row.kind else ''}>{''.join(map(_cell, row.cells))}</tr>"
            for row in block.rows
            if row.head == head
        )

    head = lines(True)
    top = f"<thead>{head}</thead>" if head else ""
    return f'<table class="wb-table {block.kind}">{_caption(block.caption, "caption")}{top}<tbody>{lines(False)}</tbody></table>'


def _list(items: Sequence[Paragraph], depth: int = 1) -> str:
    """List items of any depth as nested lists."""
    parts: list[str] = []
    at = 0
    while at < len(items):
        item = items[at]
        end = at + 1
        while end < len(items) and items[end].depth > depth:
            end += 1
        inner = _list(items[at + 1 : end], depth + 1) if end > at + 1 else ""
        runs = item.runs[1:] if item.kind == "item" else item.runs
        parts.append(f"<li>{runs_html(runs)}{inner}</li>")
        at = end
    tag = "ol" if items and items[0].kind == "item" else "ul"
    return f"<{tag}>{''.join(parts)}</{tag}>"


def fragment(blocks: Sequence[Block]) -> str:
    """Markup of some blocks; headings of level 1 are left to the page."""
    parts: list[str] = []
    waiting: list[Paragraph] = []

    def flush() -> None:
        if waiting:
            parts.append(_list(waiting))
            waiting.clear()

    for block in blocks:
        if isinstance(block, Paragraph) and block.kind in ("bullet", "item"):
            if waiting and waiting[0].kind != block.kind and block.depth == 1:
                flush()
            waiting.append(block)
            continue
        flush()
        if isinstance(block, Paragraph):
            tag = TAGS.get(block.kind, "p")
            css = {"lead": "lead", "note": "wb-note", "failure": "failure"}.get(block.kind, "")
            parts.append(
                f"<{tag}{f' class={chr(34)}{css}{chr(34)}' if css else ''}>{runs_html(block.runs)}</{tag}>"
            )
        elif isinstance(block, Table):
            parts.append(_table(block))
        elif isinstance(block, Figure):
            parts.append(_figure(block))
        elif isinstance(block, Heading) and block.level > 1:
            label = f'<span class="x label">{block.number}</span> ' if block.number else ""
            anchor = f' id="{block.anchor}"' if block.anchor else ""
            parts.append(f"<h{block.level + 1}{anchor}>{label}{runs_html(block.runs)}</h{block.level + 1}>")
    flush()
    return "\n".join(parts)


def chapters(document: Document) -> list[tuple[Heading, list[Block]]]:
    """Chapters of a report: heading and what stands below it."""
    found: list[tuple[Heading, list[Block]]] = []
    for block in document.blocks:
        if isinstance(block, PageBreak):
            continue
        if isinstance(block, Heading) and block.level == 1:
            found.append((block, []))
        elif found:
            found[-1][1].append(block)
    return found


def write_document(document: Document, path: Path) -> Path:
    """Write a tree as a page like the report's own.

    Parameters
    ----------
    document : Document
        The report.
    path : Path
        File to write.
    """
    from markupsafe import Markup

    from workbench.reporting.assemble import WORDS, Section, render

    sections = []
    for at, (heading, blocks) in enumerate(chapters(document), 1):
        section = Section(
            f"ch-{at}", heading.number, "".join(run.text for run in heading.runs), fragment(blocks)
        )
        section.headings = [
            (block.anchor, block.number, "".join(run.text for run in block.runs))
            for block in blocks
            if isinstance(block, Heading) and block.level == 2
        ]
        sections.append(section)
    between = "。" if document.lang == "zh" else ". "
    content = {
        "words": WORDS[document.lang] | {"year_suffix": "", "generated": document.foot},
        "title": document.title,
        "city": document.city,
        "year": document.year,
        "notice": between.join(filter(None, (document.mark, document.notice))),
        "rows": [(name, Markup(runs_html(content))) for name, content in document.facts],
        "sections": sections,
    }
    return render(content, document.lang, path)
