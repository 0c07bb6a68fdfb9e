"""The report as a PDF set by typst: searchable, fonts inside, and a table of which numeral stands where."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workbench.core.errors import RunError
from workbench.core.paths import atomic_write
from workbench.reporting.layout import (
    PIECES,
    column_widths,
    ems,
    figure_height,
    frame_height,
    note_after,
    picture_size,
    row_heights,
    stays_whole,
    text_area,
)
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

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"
DIGIT = re.compile(r"\d")


def write_pdf(document: Document, path: Path, numbers: Path | None = None) -> Path:
    """Write a report as PDF, and beside it the table of its numerals.

    Parameters
    ----------
    document : Document
        The report.
    path : Path
        File to write; it is whole or not there.
    numbers : Path, optional
        Table of the numerals, ``numbers.parquet`` beside the PDF when not given: ``page`` (counted from the cover,
        beginning with one), ``text`` as printed, ``value_id`` (missing where the digits are no result: dates,
        clause numbers, labels, names), in reading order.

    Raises
    ------
    RunError
        The document cannot be set.
    """
    import pandas as pd
    import typst

    from workbench.views.style import font_path

    with tempfile.TemporaryDirectory(prefix="report-") as name:
        folder = Path(name)
        main = folder / "report.typ"
        main.write_bytes(TEMPLATE.read_bytes())
        content = json.dumps(_content(document, folder), ensure_ascii=False)
        (folder / "report.json").write_text(content, encoding="utf-8")
        fonts = typst.Fonts(
            include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(font_path().parent)]
        )
        try:
            compiler = typst.Compiler(input=str(main), root=str(folder), font_paths=fonts)
            made = compiler.compile(format="pdf")
            if not isinstance(made, bytes):
                raise RunError("the PDF cannot be set: nothing came of it", where=path.name)
            found = json.loads(compiler.query("<numerals>", field="value", one=True))
        except typst.TypstError as error:
            raise RunError(f"the PDF cannot be set: {error}", where=path.name) from error
    table = pd.DataFrame(found, columns=["text", "value_id", "page"])
    table = table[["page", "text", "value_id"]]
    table["value_id"] = table["value_id"].where(table["value_id"] != "")
    with atomic_write(path) as temporary:
        temporary.write_bytes(made)
    with atomic_write(numbers or path.with_name("numbers.parquet")) as temporary:
        table.to_parquet(temporary, index=False)
    return path


def _content(document: Document, folder: Path) -> dict[str, Any]:
    """Return what the template reads; pictures are written into its folder."""
    width = text_area(False)[0]
    parts: list[dict[str, Any]] = []
    footed = False
    for at, block in enumerate(document.blocks):
        if isinstance(block, PageBreak):
            parts.append({"landscape": block.landscape, "blocks": []})
            continue
        if not parts:
            parts.append({"landscape": False, "blocks": []})
        note, part = note_after(document.blocks, at), parts[-1]
        if isinstance(block, Paragraph) and footed:
            footed = False
            continue
        tall = figure_height(document.blocks, at, part["landscape"])
        part["blocks"].append(
            _block(block, folder, tall, noted=note is not None, landscape=part["landscape"])
        )
        if isinstance(block, Table) and note and not stays_whole(block, part["landscape"]):
            part["blocks"][-1] |= {"foot": _runs(note.runs), "noted": False}
            footed = True
    return {
        "lang": document.lang,
        "city": document.city,
        "title": document.title,
        "title_size": min(26.0, max(18.0, width * 0.97 / max(1.0, ems(document.title)))),
        "city_runs": _words(document.city),
        "title_runs": _words(document.title),
        "year": _words(document.year),
        "notice": _words(document.notice),
        "facts": [[_words(name), _runs(content)] for name, content in document.facts],
        "foot": _words(document.foot),
        "mark": document.mark,
        "contents": "目　录" if document.lang == "zh" else "Contents",
        "parts": parts,
    }


def _block(block: Block, folder: Path, tall: float, *, noted: bool, landscape: bool) -> dict[str, Any]:
    if isinstance(block, Heading):
        return {
            "kind": "heading",
            "level": block.level,
            "number": _words(block.number),
            "runs": _runs(block.runs),
        }
    if isinstance(block, Table):
        size, widths = column_widths(block, text_area(landscape)[0])
        width, high = text_area(landscape)
        rows = [
            {
                "head": row.head,
                "style": row.kind,
                "tall": height > 0.7 * high,
                "cells": [_cell(cell, folder, landscape) for cell in row.cells],
            }
            for row, height in zip(block.rows, row_heights(block, width), strict=True)
        ]
        shape = {
            "size": size,
            "widths": widths,
            "noted": noted,
            "foot": [],
            "whole": stays_whole(block, landscape),
        }
        return {"kind": "table", **_caption(block.caption), **shape, "rows": rows}
    if isinstance(block, Figure):
        return _figure(block, folder, text_area(landscape)[0], tall)
    if isinstance(block, Paragraph):
        return {"kind": block.kind, "runs": _runs(block.runs), "depth": block.depth}
    return {"kind": "text", "runs": []}


def _caption(caption: Caption) -> dict[str, Any]:
    return {"label": _words(caption.label), "caption": _runs(caption.runs)}


def _figure(block: Figure, folder: Path, width: float, height: float) -> dict[str, Any]:
    pictures = []
    for picture in block.pictures:
        name = f"picture-{len(list(folder.iterdir()))}.{picture.suffix}"
        (folder / name).write_bytes(picture.data)
        wide = picture_size(picture, width, height)[0]
        pictures.append({"file": name, "width": wide, "alt": picture.alt})
    return {"kind": "figure", **_caption(block.caption), "pictures": pictures, "review": _words(block.review)}


def _cell(cell: Cell, folder: Path, landscape: bool) -> dict[str, Any]:
    blocks = [
        {"kind": "text", "runs": _runs(part.runs, broken=True)}
        if isinstance(part, Paragraph)
        else _figure(part, folder, 120.0, frame_height(landscape))
        for part in cell.blocks
    ]
    return {"blocks": blocks, "colspan": cell.colspan, "rowspan": cell.rowspan, "align": cell.align}


def _words(text: str) -> list[dict[str, Any]]:
    """Words whose digits are no result."""
    return _runs([Run(text, exempt=True)]) if text else []


def _runs(runs: Iterable[Run], *, broken: bool = False) -> list[dict[str, Any]]:
    """Runs as the template reads them; ``broken`` lets long codes be divided at their hyphens."""
    found: list[dict[str, Any]] = []
    for run in runs:
        text = run.text
        if broken and len(text) > 12 and not run.value_id:
            text = "".join(p + "\u200b" if p[-1] == "-" else p for p in PIECES.findall(text))
        item: dict[str, Any] = {"text": text}
        if run.value_id:
            item |= {"value": run.value_id, "note": [run.text, run.value_id]}
        elif DIGIT.search(run.text):
            item["note"] = [run.text, ""]
        for name in ("bold", "shift", "kind", "colour", "fill"):
            if getattr(run, name):
                item[name] = getattr(run, name)
        found.append(item)
    return found
