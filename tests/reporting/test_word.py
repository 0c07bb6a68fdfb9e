"""The Word file as python-docx and its own XML show it."""

import re
import zipfile
from dataclasses import replace

import docx
import pytest
from docx.enum.section import WD_ORIENT
from docx.oxml.ns import qn

from workbench.reporting.document import read_page
from workbench.reporting.edition import internal
from workbench.reporting.layout import heading_pages, text_area
from workbench.reporting.tree import Heading
from workbench.reporting.word import write_word

from .numerals import Page, faults
from .print_numerals import word_page
from .sample_page import VALUES, page, with_annex_on_its_side


@pytest.fixture(scope="module", params=["zh", "en"])
def made(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("word") / "report.docx"
    document = internal(with_annex_on_its_side(read_page(page(request.param))), "粤S(2025)001号")
    return document, write_word(document, path), docx.Document(str(path))


def test_every_digit_is_accounted_for(made):
    _, path, _ = made
    markup = word_page(path)
    assert faults(markup, VALUES) == []
    shown = Page(markup).numbers
    assert [n for n in shown[1:]] == Page(page()[page().index("<main>") :]).numbers
    assert shown[0] == ("vopen00001", "1,234.6")  # the cover


def test_a_changed_digit_is_found(made):
    assert "the table has" in faults(word_page(made[1]), VALUES.assign(value=VALUES["value"] + 1))[0]


def test_bookmarks_are_hidden_and_unique(made):
    names = [b.get(qn("w:name")) for b in made[2].element.body.iter(qn("w:bookmarkStart"))]
    ids = [b.get(qn("w:id")) for b in made[2].element.body.iter(qn("w:bookmarkStart"))]
    assert len(names) == len(set(names)) == len(set(ids))
    assert all(name.startswith("_") and len(name) <= 40 for name in names)


def test_headings_are_styles_numbered_by_lists(made):
    document, _, word = made
    shown = [(p.style.name, p.text) for p in word.paragraphs if p.style.name.startswith("Heading")]
    expected = [(f"Heading {h.level}", "".join(r.text for r in h.runs)) for h in document.headings(3)]
    assert shown == expected
    lists = [p._p.pPr.numPr.numId.val for p in word.paragraphs if p.style.name == "Heading 1"]
    assert lists[0] == lists[1] != lists[2]
    formats = {
        a.get(qn("w:abstractNumId")): a.find(qn("w:lvl")).find(qn("w:numFmt")).get(qn("w:val"))
        for a in word.part.numbering_part.element.findall(qn("w:abstractNum"))
    }
    assert (formats[str(lists[0])], formats[str(lists[2])]) == ("decimal", "upperLetter")


def test_contents_are_filled_in(made):
    document, _, word = made
    lines = [p for p in word.paragraphs if p.style.name.startswith("toc")]
    assert [p.style.name for p in lines] == [f"toc {h.level}" for h in document.headings()]
    text = ["".join(t.text for t in p._p.iter(qn("w:t"))) for p in lines]
    expected = [
        f"{h.number}{''.join(r.text for r in h.runs)}{page}"
        for h, page in zip(document.headings(), heading_pages(document), strict=True)
    ]
    assert text == expected
    anchors = {link.get(qn("w:anchor")) for p in lines for link in p._p.iter(qn("w:hyperlink"))}
    assert anchors <= {b.get(qn("w:name")) for b in word.element.body.iter(qn("w:bookmarkStart"))}
    codes = "".join(c.text for c in word.element.body.iter(qn("w:instrText")))
    assert 'TOC \\o "1-2"' in codes
    balance = [c.get(qn("w:fldCharType")) for c in word.element.body.iter(qn("w:fldChar"))]
    assert balance.count("begin") == balance.count("separate") == balance.count("end")


def test_captions_are_fields(made):
    _, _, word = made
    captions = [p for p in word.paragraphs if p.style.name == "Caption"]
    texts = ["".join(t.text for t in p._p.iter(qn("w:t"))) for p in captions]
    assert texts[0].startswith("表 1-1") and texts[1].startswith("图 1-1")
    codes = ["".join(c.text for c in p._p.iter(qn("w:instrText"))) for p in captions]
    assert all("STYLEREF 1" in code and "SEQ" in code for code in codes)
    assert [("\\r 1" in code) for code in codes] == [True, True, False, False, True, False, False]


def test_tables(made):
    _, _, word = made
    merged, long = word.tables[1], word.tables[2]
    assert merged.cell(0, 0)._tc is merged.cell(1, 0)._tc
    assert merged.cell(0, 1)._tc is merged.cell(0, 2)._tc
    assert merged.cell(2, 0)._tc is merged.cell(3, 0)._tc
    assert merged.cell(4, 1).text == "1,234.6"
    head = [row._tr.trPr.find(qn("w:tblHeader")) is not None for row in long.rows]
    assert head == [True] + [False] * 60
    assert all(row._tr.trPr.find(qn("w:cantSplit")) is not None for t in word.tables for row in t.rows)
    for table, landscape in zip(word.tables[1:], [False, True, True, True], strict=True):
        widths = [int(c.get(qn("w:w"))) for c in table._tbl.tblGrid.findall(qn("w:gridCol"))]
        assert abs(sum(widths) / 20 - text_area(landscape)[0]) < 1
    fills = [s.get(qn("w:fill")) for s in merged._tbl.iter(qn("w:shd"))]
    assert "C62828" in [f.upper() for f in fills]


def test_pages(made):
    _, _, word = made
    assert [s.orientation for s in word.sections] == [WD_ORIENT.PORTRAIT] * 3 + [WD_ORIENT.LANDSCAPE]
    assert not [p.text for p in word.sections[0].header.paragraphs if p.text]
    head = word.sections[2].header.paragraphs[0].text
    assert "小镇" in head and "年度体检报告" in head and "2025" in head
    codes = [c.text.strip() for c in word.sections[2].footer._element.iter(qn("w:instrText"))]
    assert codes == ["PAGE"]


def test_east_asian_fonts(made):
    _, path, _ = made
    with zipfile.ZipFile(path) as package:
        styles = package.read("word/styles.xml").decode()
    found = dict(
        re.findall(
            r'w:styleId="(\w+)".*?w:eastAsia="([^"]*)"',
            re.sub(r"\s+", " ", styles).replace("</w:style>", "\n"),
        )
    )
    assert {found["Heading1"], found["Title"], found["Caption"]} == {"黑体"}
    assert (found["wbCell"], found["Normal"]) == ("宋体", "仿宋")
    assert "Theme" not in styles.replace("themeColor", "")


def test_pictures_have_words(made):
    _, _, word = made
    alts = [d.get("descr") for d in word.element.body.iter(qn("wp:docPr"))]
    assert alts == ["地图：各区面积", "条形图", "未注明"]
    assert all(shape.width.pt <= text_area(False)[0] + 0.1 for shape in word.inline_shapes)
    slots = [p.text for p in word.paragraphs if "001" in p.text]
    assert len(slots) == 1 and "粤S(2025)001号" in slots[0]


def test_a_report_of_no_chapters(tmp_path, made):
    empty = replace(made[0], blocks=())
    assert docx.Document(str(write_word(empty, tmp_path / "x.docx"))).paragraphs
    odd = replace(made[0], blocks=(Heading(1, "", ()),))
    assert heading_pages(odd) == [0]
    write_word(odd, tmp_path / "y.docx")


def test_properties_stand_in_the_order_of_the_format(made):
    """Word calls a file damaged whose properties stand in another order or twice."""
    orders = {
        "pPr": "pStyle keepNext keepLines pageBreakBefore widowControl numPr pBdr shd tabs spacing ind jc outlineLvl rPr sectPr",
        "rPr": "rStyle rFonts b bCs i iCs color sz szCs u bdr shd vertAlign lang",
        "tblPr": "tblStyle tblW jc tblBorders tblLayout tblCellMar tblLook tblCaption",
        "tcPr": "tcW gridSpan vMerge tcBorders shd vAlign",
        "sectPr": "headerReference footerReference type pgSz pgMar pgNumType",
    }
    body, styles = made[2].element.body, made[2].styles.element
    mine = [
        s
        for s in styles.iter(qn("w:style"))
        if s.get(qn("w:styleId"), "").startswith(("wb", "Heading", "TOC"))
    ]
    for root in (body, *mine):
        for name, listed in orders.items():
            rank = {qn(f"w:{child}"): at for at, child in enumerate(listed.split())}
            for properties in root.iter(qn(f"w:{name}")):
                places = [rank[child.tag] for child in properties]
                assert places == sorted(places) and len(places) == len(set(places)), (name, properties)


def test_a_line_before_a_break_is_not_stretched(made):
    compat = made[2].settings.element.find(qn("w:compat"))
    assert compat[0].tag == qn("w:doNotExpandShiftReturn")  # options stand before the settings of the format
