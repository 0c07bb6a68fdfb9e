"""The report as a Word file an official can edit: styles, numbered headings, fields, and an id around every numeral."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from workbench.core.paths import atomic_write
from workbench.reporting.layout import (
    column_widths,
    contents_line,
    ems,
    figure_height,
    frame_height,
    heading_pages,
    keeps,
    note_after,
    picture_size,
    row_line,
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
    Picture,
    Row,
    Run,
    Table,
)
from workbench.reporting.word_styles import (
    APPENDICES,
    BULLETS,
    CELL,
    CHAPTERS,
    CODE,
    EXEMPT,
    FAILURE,
    FIGURE,
    LEAD,
    NOTE,
    TABLE,
    add_numbering,
    add_styles,
    keep_broken_lines,
    page_xml,
    put_in_order,
    twips,
)

if TYPE_CHECKING:
    from docx.document import Document as WordFile

DATE = re.compile(r"\d{4}-\d\d-\d\d")
BOOKMARK = "_v_"
"""Begin of the bookmarks around numerals; Word hides bookmarks that begin with an underscore."""
WORDS = {
    "zh": {"contents": "目　录"},
    "en": {"contents": "Contents"},
}
STYLES = {"text": "wbText", "lead": LEAD, "note": NOTE, "bullet": "ListBullet", "item": "wbItem", "failure": FAILURE, "code": CODE}  # fmt: skip
SPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"'
)


def write_word(document: Document, path: Path, *, front: bool = True) -> Path:
    """Write a report as ``.docx``.

    Parameters
    ----------
    document : Document
        The report.
    path : Path
        File to write; it is whole or not there.
    front : bool
        Begin with a cover and a table of contents; a sheet of a page or two has neither.

    Notes
    -----
    Around each numeral lies a hidden bookmark ``_v_<value id>_<count>``. Digits that are no result have the
    character style ``Not A Result``. Page numbers of the contents are measured, not laid out; the field brings
    them up to date.
    """
    import docx

    word = docx.Document()
    add_styles(word, document.lang)
    add_numbering(word)
    keep_broken_lines(word)
    writer = _Writer(word, document)
    body = word.element.body
    for child in list(body):
        body.remove(child)
    for element in _parsed(writer.body(front=front)):
        body.append(element)
    put_in_order(body)
    _properties(word, document)
    with atomic_write(path) as temporary:
        word.save(str(temporary))
    return path


def _parsed(markup: str) -> list[Any]:
    from docx.oxml import parse_xml

    return list(parse_xml(f"<w:body {SPACES}>{markup}</w:body>"))


def _properties(word: WordFile, document: Document) -> None:
    facts = word.core_properties
    facts.title = f"{document.city} {document.title}"
    facts.subject, facts.author, facts.comments = document.year, document.city, document.mark
    facts.language = "zh-CN" if document.lang == "zh" else "en-US"
    facts.last_modified_by = document.city


def run_xml(run: Run, extra: str = "") -> str:
    """Run as Word stores it; ``extra`` are further letter properties."""
    look = [f'<w:rStyle w:val="{EXEMPT}"/>'] if run.exempt else []
    look += ["<w:b/>"] if run.bold else []
    look += ["<w:i/>"] if run.italic else []
    look += [f'<w:color w:val="{run.colour[1:]}"/>'] if run.colour else []
    look += [extra]
    look += (
        [f'<w:bdr w:val="single" w:sz="4" w:space="0" w:color="{run.colour[1:]}"/>']
        if run.kind == "tier"
        else []
    )
    look += [f'<w:shd w:val="clear" w:color="auto" w:fill="{run.fill[1:]}"/>'] if run.fill else []
    look += [f'<w:vertAlign w:val="{"super" if run.shift == "sup" else "sub"}script"/>'] if run.shift else []
    text = f"\u00a0{run.text}\u00a0" if run.kind in ("chip", "tier") else run.text
    parts = [_text_xml(part) if part else "" for part in text.split("\n")]
    properties = "".join(look)
    return f"<w:r>{f'<w:rPr>{properties}</w:rPr>' if properties else ''}{'<w:br/>'.join(parts)}</w:r>"


def _text_xml(text: str) -> str:
    """Text element; the hyphens of a date hold it together."""
    between = '</w:t><w:noBreakHyphen/><w:t xml:space="preserve">'
    shown = DATE.sub(lambda hit: hit.group().replace("-", between), escape(text))
    return f'<w:t xml:space="preserve">{shown}</w:t>'


def field_xml(code: str, shown: str, properties: str = "") -> str:
    """Field with its result filled in."""
    look = f"<w:rPr>{properties}</w:rPr>" if properties else ""
    return (
        f'<w:r>{look}<w:fldChar w:fldCharType="begin"/></w:r>'
        f'<w:r>{look}<w:instrText xml:space="preserve"> {escape(code)} </w:instrText></w:r>'
        f'<w:r>{look}<w:fldChar w:fldCharType="separate"/></w:r>'
        f'<w:r>{look}<w:t xml:space="preserve">{escape(shown)}</w:t></w:r>'
        f'<w:r>{look}<w:fldChar w:fldCharType="end"/></w:r>'
    )


def paragraph_xml(style: str, content: str, properties: str = "") -> str:
    """Paragraph of a style."""
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/>{properties}</w:pPr>{content}</w:p>'


def _lines(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs cut at their line breaks: a broken line of justified text would be stretched to the full width."""
    lines: list[list[Run]] = [[]]
    for run in runs:
        for at, part in enumerate(run.text.split("\n")):
            lines += [[]] if at else []
            lines[-1] += [replace(run, text=part)] if part else []
    return [line for line in lines if line]


class _Writer:
    """Turns blocks into markup; counts bookmarks and pictures."""

    def __init__(self, word: WordFile, document: Document) -> None:
        self.word = word
        self.document = document
        self.words = WORDS[document.lang]
        self.ids = itertools.count(1)
        self.landscape = False
        self.lettered = False
        """Whether the chapter is numbered by a letter."""

    def runs(self, runs: Iterable[Run], extra: str = "") -> str:
        """Runs, those with a value inside a bookmark of their own."""
        parts = []
        for run in runs:
            xml = run_xml(run, extra)
            if run.value_id:
                at = next(self.ids)
                name = f"{BOOKMARK}{run.value_id}_{at}"
                xml = f'<w:bookmarkStart w:id="{at}" w:name="{name}"/>{xml}<w:bookmarkEnd w:id="{at}"/>'
            parts.append(xml)
        return "".join(parts)

    def body(self, *, front: bool = True) -> str:
        """Markup of the whole document, with cover and contents in front or without."""
        parts: list[str] = []
        if front:
            parts += [*self._cover(), self._section(landscape=False, kind="cover")]
            parts += [*self._contents(), self._section(landscape=False, kind="contents")]
        started = False
        headings = itertools.count(1)
        after_break = False
        for at, block in enumerate(self.document.blocks):
            if isinstance(block, PageBreak):
                if started and block.landscape != self.landscape:
                    parts.append(self._section(landscape=self.landscape, kind="body"))
                elif started:
                    after_break = True
                self.landscape = block.landscape
                continue
            after = note_after(self.document.blocks, at)
            tall = figure_height(self.document.blocks, at, self.landscape)
            parts += self._block(block, headings, after, tall, page_break=after_break)
            started, after_break = True, False
        last = self._section_properties(landscape=self.landscape, kind="body")
        return "".join([*parts, last])

    def _cover(self) -> Iterator[str]:
        document = self.document
        gap = '<w:spacing w:before="{0}" w:after="240" w:line="480" w:lineRule="exact"/>'
        if document.mark:
            mark = self.runs([Run(document.mark, bold=True)])
            yield paragraph_xml("Normal", mark, '<w:jc w:val="right"/>')
        yield paragraph_xml("Subtitle", self.runs([Run(document.city)]), gap.format(1900))
        size = round(2 * min(28.0, max(20.0, text_area(False)[0] * 0.97 / max(1.0, ems(document.title)))))
        letters = f'<w:sz w:val="{size}"/><w:szCs w:val="{size}"/>'
        yield paragraph_xml("Title", self.runs([Run(document.title)], letters))
        yield paragraph_xml("Subtitle", self.runs([Run(document.year, exempt=True)]))
        if document.notice:
            note = self.runs([Run(document.notice, exempt=True, colour="#8a5a00")])
            yield paragraph_xml(NOTE, note, '<w:jc w:val="center"/>')
        yield paragraph_xml("Normal", "", gap.format(1700))
        rows = []
        for name, content in document.facts:
            rows.append(Row((Cell((Paragraph((Run(name),)),)), Cell((Paragraph(content),)))))
        if rows:
            wide = text_area(False)[0]
            table = Table(tuple(rows), kind="facts")
            yield self._table_xml(table, 10.5, [wide * 0.24, wide * 0.52], [True] * len(rows))
        foot = self.runs([Run(document.foot, exempt=True)])
        yield paragraph_xml(NOTE, foot, '<w:spacing w:before="480"/><w:jc w:val="center"/>')

    def _contents(self) -> Iterator[str]:
        """Table of contents: a field whose entries are there already."""
        yield paragraph_xml("TOCHeading", self.runs([Run(self.words["contents"])]))
        headings, pages = self.document.headings(), heading_pages(self.document)
        begin = (
            '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
            '<w:r><w:instrText xml:space="preserve"> TOC \\o "1-2" \\h \\z \\u </w:instrText></w:r>'
            '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
        )
        line = twips(contents_line(len(headings)))
        tight = f'<w:spacing w:before="0" w:after="0" w:line="{line}" w:lineRule="exact"/>'
        for at, (heading, page) in enumerate(zip(headings, pages, strict=True), 1):
            anchor = f"_Toc{at:08d}"
            entry = self.runs([Run(heading.number)]) + "<w:r><w:tab/></w:r>" if heading.number else ""
            entry += (
                self.runs(heading.runs)
                + "<w:r><w:tab/></w:r>"
                + field_xml(f"PAGEREF {anchor} \\h", str(page))
            )
            link = f'<w:hyperlink w:anchor="{anchor}" w:history="1">{entry}</w:hyperlink>'
            yield paragraph_xml(f"TOC{heading.level}", (begin if at == 1 else "") + link, tight)
        if headings:
            yield paragraph_xml("Normal", '<w:r><w:fldChar w:fldCharType="end"/></w:r>')

    def _block(
        self, block: Block, headings: Iterator[int], after: Paragraph | None, tall: float, *, page_break: bool
    ) -> Iterator[str]:
        if isinstance(block, Heading):
            yield self._heading(block, headings, page_break=page_break)
        elif isinstance(block, Paragraph):
            yield self._paragraph(block)
        elif isinstance(block, Table):
            if block.caption.runs:
                yield self._caption(block.caption, keep=True)
            yield self._table_xml(
                block,
                *column_widths(block, text_area(self.landscape)[0]),
                keeps(block, after, self.landscape),
            )
            if after is None:
                yield '<w:p><w:pPr><w:pStyle w:val="wbNote"/><w:spacing w:before="0" w:after="0" w:line="160" w:lineRule="exact"/></w:pPr></w:p>'
        elif isinstance(block, Figure):
            yield from self._figure(block, text_area(self.landscape)[0], tall)

    def _heading(self, block: Heading, headings: Iterator[int], *, page_break: bool) -> str:
        properties = "<w:pageBreakBefore/>" if page_break else ""
        if block.level == 1:
            self.lettered = block.number.isalpha()
        if block.number and block.level <= 2:
            list_id = APPENDICES if self.lettered else CHAPTERS
            properties += (
                f'<w:numPr><w:ilvl w:val="{block.level - 1}"/><w:numId w:val="{list_id}"/></w:numPr>'
            )
        content = self.runs(block.runs)
        if block.level <= 2:
            at, name = next(self.ids), f"_Toc{next(headings):08d}"
            content = f'<w:bookmarkStart w:id="{at}" w:name="{name}"/>{content}<w:bookmarkEnd w:id="{at}"/>'
        return paragraph_xml(f"Heading{block.level}", content, properties)

    def _paragraph(self, block: Paragraph) -> str:
        properties = ""
        if block.kind == "bullet":
            level = min(2, max(0, block.depth - 1))
            properties = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{BULLETS}"/></w:numPr>'
        elif block.depth > 1:
            properties = f'<w:ind w:left="{480 * block.depth}"/>'
        lines = _lines(block.runs) if block.kind in ("text", "note") else [block.runs]
        return "".join(paragraph_xml(STYLES[block.kind], self.runs(line), properties) for line in lines)

    def _caption(self, caption: Caption, *, keep: bool) -> str:
        """Caption numbered by fields: chapter by its heading, number by a sequence that begins again in each."""
        if caption.word:
            label = self.runs([Run(f"{caption.word} ", exempt=True)])
            label += field_xml("STYLEREF 1 \\s", caption.chapter) + self.runs([Run("-", exempt=True)])
            again = "\\r 1" if caption.number == "1" else "\\s 1"
            label += field_xml(f"SEQ {caption.word} \\* ARABIC {again}", caption.number)
            content = label + self.runs([Run("　" if self.document.lang == "zh" else "  "), *caption.runs])
        else:
            content = self.runs(caption.runs)
        return paragraph_xml("Caption", content, "<w:keepNext/>" if keep else "")

    def _figure(self, block: Figure, width: float, height: float) -> Iterator[str]:
        for picture in block.pictures:
            yield paragraph_xml(FIGURE, self._picture(picture, width, height))
        if block.review:
            yield paragraph_xml(
                NOTE, self.runs([Run(block.review, exempt=True)]), '<w:keepNext/><w:jc w:val="center"/>'
            )
        if block.caption.runs:
            yield self._caption(block.caption, keep=False)

    def _picture(self, picture: Picture, width: float, height: float) -> str:
        relation, _ = self.word.part.get_or_add_image(io.BytesIO(picture.data))
        wide, high = (round(side * 12700) for side in picture_size(picture, width, height))
        at, alt = next(self.ids), escape(picture.alt, {'"': "&quot;"})
        return (
            f'<w:r><w:drawing><wp:inline distT="0" distB="0" distL="0" distR="0"><wp:extent cx="{wide}" cy="{high}"/>'
            f'<wp:docPr id="{at}" name="{at}" descr="{alt}"/><wp:cNvGraphicFramePr><a:graphicFrameLocks noChangeAspect="1"/>'
            '</wp:cNvGraphicFramePr><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture">'
            f'<pic:pic><pic:nvPicPr><pic:cNvPr id="{at}" name="{at}" descr="{alt}"/><pic:cNvPicPr/></pic:nvPicPr>'
            f'<pic:blipFill><a:blip r:embed="{relation}"/><a:stretch><a:fillRect/></a:stretch></pic:blipFill>'
            f'<pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="{wide}" cy="{high}"/></a:xfrm>'
            '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData></a:graphic>'
            "</wp:inline></w:drawing></w:r>"
        )

    def _table_xml(self, table: Table, size: float, widths: list[float], kept: list[bool]) -> str:
        title = escape(table.caption.label, {'"': "&quot;"})
        first = "1" if table.rows and table.rows[0].head else "0"
        parts = [
            f'<w:tbl><w:tblPr><w:tblStyle w:val="{TABLE}"/><w:tblW w:w="{twips(sum(widths))}" w:type="dxa"/><w:jc w:val="center"/>'
            f'<w:tblLayout w:type="fixed"/><w:tblLook w:val="00{"20" if first == "1" else "00"}" w:firstRow="{first}" w:lastRow="0" w:firstColumn="0" w:lastColumn="0" w:noHBand="1" w:noVBand="1"/>'
            + (f'<w:tblCaption w:val="{title}"/>' if title else "")
            + "</w:tblPr><w:tblGrid>",
            *(f'<w:gridCol w:w="{twips(width)}"/>' for width in widths),
            "</w:tblGrid>",
        ]
        for row, line, keep in zip(table.rows, table.placed, kept, strict=True):
            parts.append(f"<w:tr><w:trPr><w:cantSplit/>{'<w:tblHeader/>' if row.head else ''}</w:trPr>")
            for at, cell, begins in line:
                parts.append(
                    self._cell(row, cell, size, widths[at : at + cell.colspan], begins=begins, keep=keep)
                )
            parts.append("</w:tr>")
        return "".join([*parts, "</w:tbl>"])

    def _cell(
        self, row: Row, cell: Cell, size: float, widths: list[float], *, begins: bool, keep: bool
    ) -> str:
        fill = "E6EDF4" if row.head else "EAF0F6" if row.kind in ("total", "group") else ""
        properties = f'<w:tcW w:w="{twips(sum(widths))}" w:type="dxa"/>'
        properties += f'<w:gridSpan w:val="{cell.colspan}"/>' if cell.colspan > 1 else ""
        if cell.rowspan > 1:
            properties += f"<w:vMerge{' w:val=' + chr(34) + 'restart' + chr(34) if begins else ''}/>"
        properties += f'<w:shd w:val="clear" w:color="auto" w:fill="{fill}"/>' if fill else ""
        properties += '<w:vAlign w:val="center"/>'
        letters = f'<w:sz w:val="{round(size * 2)}"/><w:szCs w:val="{round(size * 2)}"/>'
        bold = row.head or row.kind in ("total", "group")
        align = "center" if row.head else cell.align
        look = (
            f'{"<w:keepNext/>" if keep else ""}<w:spacing w:line="{twips(row_line(size))}" w:lineRule="exact"/>'
            f'<w:jc w:val="{align}"/>'
        )
        parts = []
        for block in cell.blocks if begins else ():
            if isinstance(block, Paragraph):
                parts.append(paragraph_xml(CELL, self.runs(block.runs, "<w:b/>" * bold + letters), look))
            else:
                parts += list(self._figure(block, sum(widths) - 8, frame_height(self.landscape)))
        return f"<w:tc><w:tcPr>{properties}</w:tcPr>{''.join(parts) or paragraph_xml(CELL, '', look)}</w:tc>"

    def _section(self, *, landscape: bool, kind: str) -> str:
        """Paragraph that ends a section."""
        small = '<w:spacing w:before="0" w:after="0" w:line="20" w:lineRule="exact"/>'
        return f"<w:p><w:pPr>{small}{self._section_properties(landscape=landscape, kind=kind)}</w:pPr></w:p>"

    def _section_properties(self, *, landscape: bool, kind: str) -> str:
        references = "" if kind == "cover" else self._margins(landscape=landscape, roman=kind == "contents")
        numbering = {"cover": "", "contents": '<w:pgNumType w:fmt="lowerRoman" w:start="1"/>'}.get(kind)
        if numbering is None:
            first = not hasattr(self, "_numbered")
            self._numbered = True
            numbering = (
                '<w:pgNumType w:fmt="decimal" w:start="1"/>' if first else '<w:pgNumType w:fmt="decimal"/>'
            )
        return f'<w:sectPr>{references}<w:type w:val="nextPage"/>{page_xml(landscape=landscape)}{numbering}</w:sectPr>'

    def _margins(self, *, landscape: bool, roman: bool) -> str:
        """References to the header and footer of a section, written as parts of their own."""
        return self._part("header", self._header(landscape)) + self._part("footer", self._footer(roman))

    def _header(self, landscape: bool) -> str:
        document = self.document
        right = "　".join(filter(None, (document.mark, document.year)))
        tab = f'<w:tabs><w:tab w:val="clear" w:pos="4320"/><w:tab w:val="clear" w:pos="8640"/><w:tab w:val="right" w:pos="{twips(text_area(landscape)[0])}"/></w:tabs>'
        left = run_xml(
            Run(
                f"{document.city}　{document.title}"
                if document.lang == "zh"
                else f"{document.city} · {document.title}",
                exempt=True,
            )
        )
        return paragraph_xml("Header", left + "<w:r><w:tab/></w:r>" + run_xml(Run(right, exempt=True)), tab)

    def _footer(self, roman: bool) -> str:
        if roman:
            return paragraph_xml("Footer", field_xml("PAGE", "i"))
        sign = run_xml(Run("— ")), run_xml(Run(" —"))
        return paragraph_xml("Footer", sign[0] + field_xml("PAGE", "1") + sign[1])

    def _part(self, kind: str, content: str) -> str:
        from docx.opc.constants import RELATIONSHIP_TYPE
        from docx.opc.packuri import PackURI
        from docx.opc.part import Part

        at = next(self.ids)
        root = "hdr" if kind == "header" else "ftr"
        markup = (
            f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:{root} {SPACES}>{content}</w:{root}>'
        )
        content_type = f"application/vnd.openxmlformats-officedocument.wordprocessingml.{kind}+xml"
        package: Any = self.word.part.package
        part = Part(PackURI(f"/word/{kind}{at}.xml"), content_type, markup.encode("utf-8"), package)
        relation = self.word.part.relate_to(
            part, RELATIONSHIP_TYPE.HEADER if kind == "header" else RELATIONSHIP_TYPE.FOOTER
        )
        return f'<w:{kind}Reference w:type="default" r:id="{relation}"/>'
