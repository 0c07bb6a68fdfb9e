"""The tree read from a page: nothing lost, numerals with their ids, merged cells where they belong."""

import re

import pytest

from workbench.core.errors import RunError
from workbench.reporting.document import looks, parse, read_page, read_run
from workbench.reporting.page import chapters, fragment
from workbench.reporting.tree import Cell, Figure, Heading, PageBreak, Paragraph, Row, Run, Table

from .numerals import Page
from .sample_page import VALUES, page, picture


def words(block):
    """Words of a block in reading order."""
    if isinstance(block, Heading):
        return block.number + "".join(run.text for run in block.runs)
    if isinstance(block, Paragraph):
        return "".join(run.text for run in block.runs)
    if isinstance(block, Table):
        cells = [run.text for row in block.rows for cell in row.cells for run in cell.runs]
        return block.caption.label + "".join([*(run.text for run in block.caption.runs), *cells])
    if isinstance(block, Figure):
        return block.caption.label + "".join(run.text for run in block.caption.runs)
    return ""


def runs_of(document):
    """Every run of a document."""
    for block in document.blocks:
        if isinstance(block, Heading | Paragraph):
            yield from block.runs
        elif isinstance(block, Table):
            yield from block.caption.runs
            yield from (run for row in block.rows for cell in row.cells for run in cell.runs)
        elif isinstance(block, Figure):
            yield from block.caption.runs


def shape_of(blocks):
    """Everything of some blocks but the class names of their runs."""
    return re.sub(r"css='[^']*'", "", repr(list(blocks)))


@pytest.fixture(scope="module")
def document():
    return read_page(page())


def test_no_word_is_lost(document):
    main = parse(page()).find(tag="main").text()
    expected = re.sub(r"\s", "", main)
    found = re.sub(r"[\s▼]", "", "".join(map(words, document.blocks)))
    assert re.sub(r"[12]\.(?=先核|后整)", "", found) == expected


def test_every_numeral_keeps_its_id(document):
    shown = [(run.value_id, run.text) for run in runs_of(document) if run.value_id]
    below_main = page()[page().index("<main>") :]
    assert shown == Page(below_main).numbers
    assert {value_id for value_id, _ in shown} <= set(VALUES["value_id"])


def test_cover_and_order(document):
    assert (document.city, document.title, document.year) == ("小镇", "年度体检报告", "2025 年度")
    assert [name for name, _ in document.facts] == ["体检年度", "范围"]
    assert document.facts[1][1][1].value_id == "vopen00001"
    assert [(h.level, h.number) for h in document.headings(3)] == [
        (1, "1"), (2, "1.1"), (3, ""), (1, "2"), (1, "A"), (2, "A.1"),
    ]  # fmt: skip
    assert [b.landscape for b in document.blocks if isinstance(b, PageBreak)] == [False, False, False]
    kinds = [b.kind for b in document.blocks if isinstance(b, Paragraph)]
    assert kinds == [
        "lead",
        "bullet",
        "bullet",
        "bullet",
        "item",
        "item",
        "text",
        "note",
        "failure",
        "failure",
    ]
    assert [b.depth for b in document.blocks if isinstance(b, Paragraph) and b.kind == "bullet"] == [1, 2, 1]


def test_merged_cells(document):
    table = next(b for b in document.blocks if isinstance(b, Table))
    assert table.columns == 4
    shape = [[(at, first, cell.colspan, cell.rowspan) for at, cell, first in line] for line in table.placed]
    assert shape[0] == [(0, True, 1, 2), (1, True, 2, 1), (3, True, 1, 2)]
    assert shape[1] == [(0, False, 1, 2), (1, True, 1, 1), (2, True, 1, 1), (3, False, 1, 2)]
    assert shape[3] == [(0, False, 1, 2), (1, True, 1, 1), (2, True, 1, 1), (3, True, 1, 1)]
    assert [row.head for row in table.rows] == [True, True, False, False, False]
    assert table.rows[4].kind == "total"


def test_colours_are_those_of_the_page(document):
    found = {
        run.text: (run.colour, run.fill) for run in runs_of(document) if run.kind in ("chip", "tier", "trend")
    }
    assert found["严重"] == ("#ffffff", looks()["chip level-4"]["fill"]) == ("#ffffff", "#c62828")
    assert found["代理"] == ("#7b2d6b", "")
    assert found["▼ 下降"] == ("#c62828", "")


def test_figures(document):
    figures = [b for b in document.blocks if isinstance(b, Figure)]
    assert [(f.pictures[0].alt, f.sensitivity, f.boundaries) for f in figures] == [
        ("地图：各区面积", "公开", True),
        ("条形图", "公开", False),
        ("未注明", "", False),
    ]
    assert figures[0].pictures[0].data.startswith(b"\x89PNG")
    assert figures[0].caption.label == "图 1-1"


def test_markup_made_of_the_tree_reads_back_the_same(document):
    for heading, blocks in chapters(document):
        markup = f'<main><section class="chapter"><h2>x</h2>{fragment(blocks)}</section></main>'
        cover = '<header class="cover"></header>'
        again = read_page(f"<html>{cover}{markup}</html>")
        assert shape_of(again.blocks[2:]) == shape_of(blocks), heading.number


def test_a_page_that_is_none(tmp_path):
    with pytest.raises(RunError, match="no page of a report"):
        read_page("<p>1</p>")
    with pytest.raises(RunError, match="no report"):
        read_run(tmp_path)
    with pytest.raises(RunError, match="does not lie in it"):
        read_page(page().replace("data:image/png;base64,", "http://x.test/", 1))


def test_rows_of_unequal_length_are_filled():
    row = Row((Cell((Paragraph((Run("a"),)),), rowspan=3), Cell(()), Cell(())))
    table = Table((row, Row((Cell(()),)), Row(())))
    assert [len(line) for line in table.placed] == [3, 2, 1]
    assert table.columns == 3


def test_each_sheet_has_a_page_and_the_first_stands_below_the_words_that_introduce_it():
    markup = """<html lang="zh-CN"><header class="cover"></header><main><section class="chapter">
    <h2><span class="x label">C</span>案件</h2><p>总况</p><h3><span class="x label">C.1</span>卡片</h3>
    <div class="sheet"><h4>甲</h4></div><div class="sheet"><h4>乙</h4></div></section></main></html>"""
    shown = [
        (block.landscape, block.chapter) if isinstance(block, PageBreak) else words(block)
        for block in read_page(markup).blocks
    ]
    assert shown == [(False, True), "C案件", "总况", "C.1卡片", "甲", (False, False), "乙"]


def test_a_figure_is_as_closed_as_what_is_around_it():
    markup = f"""<html lang="zh-CN"><header class="cover"></header><main><section class="chapter"><h2>章</h2>
    <div data-sensitivity="内部"><figure data-sensitivity="公开"><img src="data:image/png;base64,{picture()}" alt="变化"><figcaption>图斑甲</figcaption></figure></div>
    </section></main></html>"""
    figure = read_page(markup).blocks[-1]
    assert figure.sensitivity == "内部" and figure.caption.runs[0].sensitivity == "内部"
