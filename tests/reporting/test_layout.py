"""Measures: column widths, rows that stay together, pages of the headings."""

import pytest

from workbench.reporting.document import read_page
from workbench.reporting.layout import (
    column_widths,
    contents_line,
    ems,
    figure_height,
    keeps,
    lies,
    line_count,
    text_area,
)
from workbench.reporting.tree import Cell, Figure, Paragraph, Picture, Row, Run, Table

from .sample_page import page


def cell(text, **look):
    return Cell((Paragraph((Run(text),)),), **look)


def test_widths_fill_the_page_and_give_room_to_the_long_column():
    head = Row(
        (cell("名", head=True), cell("值", head=True, align="right"), cell("说明", head=True)), head=True
    )
    rows = tuple(
        Row((cell("江北区"), cell("1,234.56", align="right"), cell("很长的说明" * 12))) for _ in range(4)
    )
    size, widths = column_widths(Table((head, *rows)), 400.0)
    assert size == 9.0 and sum(widths) == pytest.approx(400.0)
    assert widths[2] > 250 and widths[1] >= ems("1,234.56") * 9  # a number is not divided


def test_letters_shrink_before_columns_are_too_narrow():
    row = Row(tuple(cell("STBHHX990103", align="left") for _ in range(9)))
    size, widths = column_widths(Table((row,)), 447.0)
    assert size < 9.0 and sum(widths) == pytest.approx(447.0)
    assert column_widths(Table(()), 447.0)[1] == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", 1), ("一二三四", 1), ("一二三四五", 2), ("abcd efgh", 2), ("一\n二", 2), ("一" * 12, 3)],
)
def test_lines(text, lines):
    assert line_count(text, 40.0, 10.0) == lines


def test_small_tables_stay_whole_and_notes_with_their_table():
    tables = [b for b in read_page(page()).blocks if isinstance(b, Table)]
    note = Paragraph((Run("注"),), "note")
    assert keeps(tables[0], None, False) == [True] * 4 + [False]
    assert keeps(tables[0], note, False) == [True] * 5
    long = keeps(tables[1], None, True)
    assert long[:2] == [True, True] and not any(long[2:-2]) and long[-2:] == [True, False]


def test_contents_fit_one_page_where_they_can():
    high = text_area(False)[1]
    for entries in (3, 34, 40):
        assert 15.0 <= contents_line(entries) <= 21.0
        assert contents_line(entries) * entries < high - 60


def test_the_number_of_a_patch_is_cut_once():
    row = Row((cell("YJJBNT-990102-2025-001"), *(cell("很长的说明" * 6) for _ in range(8))))
    size, widths = column_widths(Table((row,)), 447.0)
    assert line_count("YJJBNT-990102-2025-001", widths[0] - 7.2, size) == 2


def test_a_picture_is_smaller_where_its_table_then_fits_the_page():
    figure, high = Figure(()), text_area(False)[1]
    table = Table(tuple(Row((cell("一"), cell("二"))) for _ in range(10)))
    note = Paragraph((Run("注"),), "note")
    assert figure_height([figure], 0, False) == figure_height([figure, note, table], 0, False) == 0.62 * high
    assert 0.4 * high < figure_height([figure, table, note], 0, False) < 0.62 * high
    assert figure_height([figure, Table(table.rows[:3])], 0, False) == 0.62 * high  # fits as it is
    long = Table(tuple(Row((cell("很长的说明" * 60),)) for _ in range(5)))
    assert figure_height([figure, long], 0, False) == 0.62 * high  # would be too small


def test_an_appendix_lies_only_where_its_tables_need_the_width():
    narrow = Table(tuple(Row((cell("耕地"), cell("12.5", align="right"))) for _ in range(60)))
    wide = Table((Row(tuple(cell("STBHHX990103") for _ in range(14))),))
    texts = (Paragraph((Run("说明"),)),)
    assert not lies(texts) and not lies((*texts, narrow)) and lies((*texts, narrow, wide))


def test_lists_have_smaller_letters_than_short_tables():
    rows = tuple(Row((cell("耕地"), cell("12.5", align="right"))) for _ in range(50))
    sizes = [column_widths(Table(rows[:count]), 447.0)[0] for count in (12, 13, 50)]
    assert sizes == [9.0, 8.0, 7.5]


def test_two_figures_that_follow_each_other_share_an_upright_page():
    figure, text = Figure((Picture(b"", "png", ""),)), Paragraph((Run("说明"),))
    high = text_area(False)[1]
    pair = [text, figure, figure, text]
    heights = [figure_height(pair, at, False) for at in (1, 2)]
    assert heights[0] == heights[1] and 2 * heights[0] + 100 < high < 2 * heights[0] + 110
    assert figure_height([text, figure, text], 1, False) > heights[0] < figure_height(pair, 1, True)
