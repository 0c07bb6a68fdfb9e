"""Styles, numbering, headers and page sizes of the Word report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn

from workbench.reporting.layout import LOOKS, MARGINS, PAGES

if TYPE_CHECKING:
    from docx.document import Document as WordFile

SONG, HEI, FANG = "宋体", "黑体", "仿宋"
LATIN, SANS = "Times New Roman", "Arial"
ACCENT, INK, MUTED, SOFT, RULE = "1F4E79", "1F2933", "5D6975", "F4F7FA", "D5DBE1"
EXEMPT = "wbExempt"
"""Character style of digits that are no result."""
TABLE, CELL, FIGURE, NOTE, LEAD, FAILURE = "wbTable", "wbCell", "wbFigure", "wbNote", "wbLead", "wbFailure"
CODE = "wbCode"
CHAPTERS, APPENDICES, BULLETS = 41, 42, 43
"""Numbering definitions."""


ORDER = {
    "pPr": "pStyle keepNext keepLines pageBreakBefore widowControl numPr pBdr shd tabs spacing ind jc outlineLvl rPr sectPr",
    "rPr": "rStyle rFonts b i color sz szCs bdr shd vertAlign lang",
    "tblPr": "tblStyle tblW jc tblBorders tblLayout tblCellMar tblLook tblCaption",
    "tcPr": "tcW gridSpan vMerge tcBorders shd vAlign",
}
"""Order in which the format wants properties."""


def put_in_order(root: Any) -> None:
    """Sort properties as the format wants them; of two with one name the later stays."""
    for name, listed in ORDER.items():
        rank = {qn(f"w:{child}"): at for at, child in enumerate(listed.split())}
        for properties in root.iter(qn(f"w:{name}")):
            children = list(properties)
            kept = {child.tag: child for child in children}
            wanted = sorted(kept.values(), key=lambda child: rank.get(child.tag, len(rank)))
            if wanted != children:
                for child in children:
                    properties.remove(child)
                properties.extend(wanted)


def twips(points: float) -> int:
    """Twentieths of a point."""
    return round(points * 20)


def style_xml(
    identity: str,
    name: str,
    *,
    kind: str = "paragraph",
    based: str = "Normal",
    following: str = "",
    paragraph: str = "",
    letters: str = "",
    extra: str = "",
) -> str:
    """A style as Word stores it; ``paragraph`` and ``letters`` are its properties."""
    parts = [
        f'<w:style {nsdecls("w")} w:type="{kind}" w:styleId="{identity}"',
        "" if identity in BUILT_IN else ' w:customStyle="1"',
        ">",
    ]
    parts += [f'<w:name w:val="{name}"/>', f'<w:basedOn w:val="{based}"/>' if based else ""]
    parts += [
        f'<w:next w:val="{following}"/>' if following else "",
        "<w:qFormat/>" if kind == "paragraph" else "",
    ]
    parts += [
        f"<w:pPr>{paragraph}</w:pPr>" if paragraph else "",
        f"<w:rPr>{letters}</w:rPr>" if letters else "",
    ]
    return "".join([*parts, extra, "</w:style>"])


BUILT_IN = {"Normal", "Title", "Subtitle", "Heading1", "Heading2", "Heading3", "Caption", "ListBullet", "TOC1", "TOC2", "TOCHeading", "Header", "Footer", "Hyperlink"}  # fmt: skip


def letters(
    size: float,
    east: str = FANG,
    latin: str = LATIN,
    *,
    colour: str = INK,
    bold: bool = False,
    italic: bool = False,
) -> str:
    """Letter properties: fonts by script, weight, colour, size."""
    weight = ("<w:b/>" if bold else '<w:b w:val="0"/>') + ("<w:i/>" if italic else '<w:i w:val="0"/>')
    return (
        f'<w:rFonts w:ascii="{latin}" w:hAnsi="{latin}" w:eastAsia="{east}" w:cs="{latin}"/>{weight}'
        f'<w:color w:val="{colour}"/><w:sz w:val="{round(size * 2)}"/><w:szCs w:val="{round(size * 2)}"/>'
    )


def spacing(kind: str) -> str:
    """Spacing of a kind of paragraph, lines at a fixed distance."""
    look = LOOKS[kind]
    return (
        f'<w:spacing w:before="{twips(look.before)}" w:after="{twips(look.after)}" '
        f'w:line="{twips(look.line)}" w:lineRule="exact"/>'
    )


def add_styles(word: WordFile, lang: str) -> None:
    """Replace or add the report's styles."""
    indent = '<w:ind w:firstLine="480" w:firstLineChars="200"/>' if lang == "zh" else ""
    even = '<w:jc w:val="both"/>' if lang == "zh" else '<w:jc w:val="left"/>'
    body = "<w:widowControl/>"
    shade = f'<w:pBdr><w:left w:val="single" w:sz="36" w:space="8" w:color="{ACCENT}"/></w:pBdr><w:shd w:val="clear" w:color="auto" w:fill="{SOFT}"/>'
    warn = '<w:pBdr><w:left w:val="single" w:sz="36" w:space="8" w:color="C62828"/></w:pBdr><w:shd w:val="clear" w:color="auto" w:fill="FDF3F3"/>'
    centre = '<w:jc w:val="center"/>'
    heads = {
        f"Heading{n}": style_xml(
            f"Heading{n}", f"heading {n}", following="wbText",
            paragraph=f"<w:keepNext/><w:keepLines/>{spacing(f'h{n}')}<w:ind w:firstLine=\"0\"/><w:outlineLvl w:val=\"{n - 1}\"/>",
            letters=letters(LOOKS[f"h{n}"].size, HEI, SANS, colour=ACCENT if n < 3 else INK, bold=lang == "en"),
        )
        for n in (1, 2, 3)
    }  # fmt: skip
    made = [
        style_xml("Normal", "Normal", based="", paragraph=body, letters=letters(12) + _language(lang)),
        style_xml("wbText", "Report Text", paragraph=body + spacing("text") + indent + even),
        *heads.values(),
        style_xml("Title", "Title", paragraph='<w:spacing w:before="0" w:after="240" w:line="720" w:lineRule="exact"/><w:ind w:firstLine="0"/>' + centre, letters=letters(28, HEI, SANS, colour=ACCENT, bold=lang == "en")),
        style_xml("Subtitle", "Subtitle", paragraph='<w:spacing w:before="0" w:after="200" w:line="480" w:lineRule="exact"/>' + centre, letters=letters(18, HEI, SANS)),
        style_xml("Caption", "caption", paragraph="<w:keepLines/>" + spacing("caption") + centre, letters=letters(10.5, HEI, SANS)),
        style_xml(LEAD, "Report Lead", paragraph=shade + spacing("lead") + indent + even),
        style_xml("ListBullet", "List Bullet", paragraph=f'<w:numPr><w:ilvl w:val="0"/><w:numId w:val="{BULLETS}"/></w:numPr>' + spacing("bullet") + even),
        style_xml("wbItem", "Report Item", paragraph=spacing("item") + '<w:ind w:left="480"/>' + even),
        style_xml(NOTE, "Report Note", paragraph="<w:keepLines/>" + spacing("note") + even, letters=letters(9, SONG, colour=MUTED)),
        style_xml(FAILURE, "Report Failure", paragraph=warn + spacing("failure"), letters=letters(10.5, SONG)),
        style_xml(CODE, "Report Code", paragraph=spacing("code"), letters=letters(9, SONG, "Courier New")),
        style_xml(CELL, "Table Text", paragraph='<w:spacing w:before="0" w:after="0"/><w:ind w:firstLine="0"/>', letters=letters(9, SONG)),
        style_xml(FIGURE, "Report Figure", paragraph='<w:keepNext/><w:spacing w:before="120" w:after="40"/>' + centre),
        style_xml("TOCHeading", "TOC Heading", following="Normal", paragraph='<w:spacing w:before="0" w:after="320" w:line="600" w:lineRule="exact"/>' + centre, letters=letters(18, HEI, SANS, colour=ACCENT, bold=lang == "en")),
        style_xml("Header", "header", paragraph=f'<w:pBdr><w:bottom w:val="single" w:sz="6" w:space="4" w:color="{ACCENT}"/></w:pBdr>', letters=letters(9, SONG, colour=MUTED)),
        style_xml("Footer", "footer", paragraph=centre, letters=letters(9, SONG, colour=MUTED)),
        style_xml(EXEMPT, "Not A Result", kind="character", based="DefaultParagraphFont", extra="<w:uiPriority w:val=\"99\"/><w:semiHidden/>"),
        _table_style(),
    ]  # fmt: skip
    styles = word.styles.element
    for xml in made + [_contents_style(level) for level in (1, 2)]:
        element: Any = parse_xml(xml)
        for old in styles.findall(qn("w:style")):
            if old.get(qn("w:styleId")) == element.get(qn("w:styleId")):
                if old.get(qn("w:default")):
                    element.set(qn("w:default"), "1")
                styles.remove(old)
        put_in_order(element)
        styles.append(element)
    _defaults(word)


def _language(lang: str) -> str:
    return f'<w:lang w:val="en-US" w:eastAsia="{"zh-CN" if lang == "zh" else "en-US"}"/>'


def _defaults(word: WordFile) -> None:
    """Fonts for what has no style, in all four slots."""
    for fonts in word.styles.element.iter(qn("w:rFonts")):
        for name in list(fonts.attrib):
            if name.endswith("Theme"):
                del fonts.attrib[name]
        for slot in ("ascii", "hAnsi", "cs"):
            if fonts.get(qn(f"w:{slot}")) is None:
                fonts.set(qn(f"w:{slot}"), LATIN)
        if fonts.get(qn("w:eastAsia")) is None:
            fonts.set(qn("w:eastAsia"), SONG)


def _contents_style(level: int) -> str:
    width = twips(PAGES[False][0] - 2 * MARGINS[False][0])
    left = 0 if level == 1 else 420
    number = 420 if level == 1 else 1050
    return style_xml(
        f"TOC{level}",
        f"toc {level}",
        paragraph=f'<w:tabs><w:tab w:val="left" w:pos="{number}"/><w:tab w:val="right" w:leader="dot" w:pos="{width}"/></w:tabs>'
        f'<w:spacing w:before="{100 if level == 1 else 0}" w:after="0" w:line="420" w:lineRule="exact"/><w:ind w:left="{left}"/>',
        letters=letters(12 if level == 1 else 11, HEI if level == 1 else SONG, SANS if level == 1 else LATIN),
    )


def _table_style() -> str:
    def rule(side: str, size: int, colour: str) -> str:
        return f'<w:{side} w:val="single" w:sz="{size}" w:space="0" w:color="{colour}"/>'

    edges = rule("top", 12, ACCENT) + rule("bottom", 12, ACCENT) + rule("insideH", 4, RULE)
    head = (
        '<w:tblStylePr w:type="firstRow"><w:rPr><w:b/></w:rPr><w:tcPr><w:tcBorders>'
        + rule("bottom", 6, ACCENT)
        + '</w:tcBorders><w:shd w:val="clear" w:color="auto" w:fill="E6EDF4"/></w:tcPr></w:tblStylePr>'
    )
    margins = '<w:tblCellMar><w:top w:w="20" w:type="dxa"/><w:left w:w="72" w:type="dxa"/><w:bottom w:w="20" w:type="dxa"/><w:right w:w="72" w:type="dxa"/></w:tblCellMar>'
    body = f"<w:tblPr><w:tblBorders>{edges}</w:tblBorders>{margins}</w:tblPr>"
    return style_xml(TABLE, "Report Table", kind="table", based="TableNormal", extra=body + head)


def keep_broken_lines(word: WordFile) -> None:
    """A line that ends with a line break is not stretched to the full width in justified text."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    settings = word.settings.element
    compat = settings.find(qn("w:compat"))
    if compat is None:
        compat = OxmlElement("w:compat")
        settings.append(compat)
    if compat.find(qn("w:doNotExpandShiftReturn")) is None:
        compat.insert(0, OxmlElement("w:doNotExpandShiftReturn"))


def add_numbering(word: WordFile) -> None:
    """Add lists that number chapters (1, 1.1), appendices (A, A.1) and mark list items."""
    numbering = word.part.numbering_part.element
    for identity, shape in ((CHAPTERS, "decimal"), (APPENDICES, "upperLetter")):
        levels = "".join(
            f'<w:lvl w:ilvl="{at}"><w:start w:val="1"/><w:numFmt w:val="{shape if at == 0 else "decimal"}"/>'
            f'<w:suff w:val="space"/><w:lvlText w:val="{text}"/><w:lvlJc w:val="left"/>'
            '<w:pPr><w:ind w:left="0" w:firstLine="0"/></w:pPr></w:lvl>'
            for at, text in enumerate(("%1　", "%1.%2　"))
        )
        _abstract(numbering, identity, f'<w:multiLevelType w:val="multilevel"/>{levels}')
    bullets = "".join(
        f'<w:lvl w:ilvl="{at}"><w:start w:val="1"/><w:numFmt w:val="bullet"/><w:lvlText w:val="{sign}"/><w:lvlJc w:val="left"/>'
        f'<w:pPr><w:ind w:left="{480 * (at + 1)}" w:hanging="300"/></w:pPr>'
        f'<w:rPr><w:rFonts w:ascii="{LATIN}" w:hAnsi="{LATIN}" w:eastAsia="{SONG}"/></w:rPr></w:lvl>'
        for at, sign in enumerate("•–•")
    )
    _abstract(numbering, BULLETS, f'<w:multiLevelType w:val="hybridMultilevel"/>{bullets}')
    for identity in (CHAPTERS, APPENDICES, BULLETS):
        numbering.append(
            parse_xml(
                f'<w:num {nsdecls("w")} w:numId="{identity}"><w:abstractNumId w:val="{identity}"/></w:num>'
            )
        )


def _abstract(numbering: Any, identity: int, content: str) -> None:
    """Add a numbering definition before the first list that uses one."""
    made = parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="{identity}">{content}</w:abstractNum>')
    first = numbering.find(qn("w:num"))
    numbering.append(made) if first is None else first.addprevious(made)


def page_xml(*, landscape: bool) -> str:
    """Paper and margins of a section."""
    (wide, high), (side, top) = PAGES[landscape], MARGINS[landscape]
    lying = ' w:orient="landscape"' if landscape else ""
    return (
        f'<w:pgSz w:w="{twips(wide)}" w:h="{twips(high)}"{lying}/>'
        f'<w:pgMar w:top="{twips(top)}" w:right="{twips(side)}" w:bottom="{twips(top)}" w:left="{twips(side)}" '
        f'w:header="{twips(top * 0.55)}" w:footer="{twips(top * 0.5)}" w:gutter="0"/>'
    )
