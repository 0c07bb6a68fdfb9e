"""The PDF as pypdf reads it back."""

import pandas as pd
import pypdf
import pytest

from workbench.reporting.document import read_page
from workbench.reporting.edition import internal
from workbench.reporting.pdf import write_pdf

from .numerals import Page, faults
from .print_numerals import pages_that_differ, pdf_page
from .sample_page import VALUES, page, with_annex_on_its_side


@pytest.fixture(scope="module", params=["zh", "en"])
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pdf")
    document = internal(with_annex_on_its_side(read_page(page(request.param))), "粤S(2025)001号")
    return document, write_pdf(document, folder / "report.pdf"), folder / "numbers.parquet"


def test_every_digit_is_accounted_for(made):
    _, path, numbers = made
    assert pages_that_differ(path, numbers) == []
    assert faults(pdf_page(numbers), VALUES) == []
    listed = pd.read_parquet(numbers)
    assert list(listed.columns) == ["page", "text", "value_id"]
    body = listed[(listed["page"] > 2) & listed["value_id"].notna()]
    shown = Page(page()[page().index("<main>") :]).numbers
    assert list(zip(body["value_id"], body["text"], strict=True)) == shown


def test_a_digit_that_no_row_lists_is_found(made, tmp_path):
    _, path, numbers = made
    short = tmp_path / "numbers.parquet"
    pd.read_parquet(numbers).drop(index=20).to_parquet(short)
    assert len(pages_that_differ(path, short)) == 1


def test_words_can_be_searched(made):
    text = "".join(p.extract_text() for p in pypdf.PdfReader(made[1]).pages)
    for words in ("年度体检报告", "综合判断", "合并单元格", "以相关量近似", "本章未能生成", "严重"):
        assert words in text, words


def test_fonts_lie_inside_cut_down(made):
    reader = pypdf.PdfReader(made[1])
    fonts = {
        f.get_object()["/BaseFont"]: f.get_object()
        for p in reader.pages
        for f in p["/Resources"]["/Font"].values()
    }
    assert fonts and all("+NotoSansSC" in name for name in fonts)
    for font in fonts.values():
        described = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
        assert {"/FontFile2", "/FontFile3"} & set(described)
        assert "/ToUnicode" in font
    assert made[1].stat().st_size < 600_000


def test_pages_and_outline(made):
    document, path, _ = made
    reader = pypdf.PdfReader(path)
    wide = [p.mediabox.width > p.mediabox.height for p in reader.pages]
    assert not any(wide[:5]) and all(wide[5:]) and len(wide) > 6
    for content in reader.pages[1:]:
        assert "小镇" in content.extract_text().splitlines()[0]
    assert "小镇" in reader.metadata.title

    def titles(items):
        return [t for item in items for t in (titles(item) if isinstance(item, list) else [item.title])]

    shown = [title.replace(" ", "") for title in titles(reader.outline)]
    assert shown == [h.number + "".join(r.text for r in h.runs).replace(" ", "") for h in document.headings()]
    head = [content.extract_text().count("说明") for content in reader.pages[5:-1]]
    assert head and all(head)  # the head of the long table comes again on each page


def test_the_map_has_its_number(made):
    text = "".join(p.extract_text() for p in pypdf.PdfReader(made[1]).pages)
    assert text.replace(" ", "").count("粤S(2025)001号") == 1


def test_the_same_report_gives_the_same_file(made, tmp_path):
    again = write_pdf(made[0], tmp_path / "again.pdf")
    assert again.read_bytes() == made[1].read_bytes()
