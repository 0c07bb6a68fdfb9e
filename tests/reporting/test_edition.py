"""What the public edition prints and what it leaves out."""

import pandas as pd
import pytest

from workbench.core.errors import ParameterError
from workbench.reporting.document import read_page
from workbench.reporting.edition import (
    check_edition,
    internal,
    is_small,
    public,
    public_values,
    select_rows,
    sentences,
)
from workbench.reporting.tree import Cell, Figure, PageBreak, Paragraph, Row, Run, Table

from .sample_page import VALUES, page, picture
from .test_document import runs_of, words

NUMBER = "粤S(2025)001号"


@pytest.fixture(scope="module")
def document():
    return read_page(page())


@pytest.fixture(scope="module")
def edition(document):
    return public(document, VALUES, NUMBER)


def kinds(refused):
    return sorted((item.kind, item.count) for item in refused)


def test_no_value_above_public_is_printed(document, edition):
    made, _ = edition
    open_ids = set(VALUES.loc[VALUES["sensitivity"] == "公开", "value_id"])
    assert {run.value_id for run in runs_of(made) if run.value_id} <= open_ids
    assert {run.value_id for run in runs_of(document) if run.value_id} - open_ids
    text = "".join(map(words, made.blocks))
    assert "67.01" not in text and "5,829" not in text and "STBHHX" not in text and "红线" not in text


def test_a_value_without_a_row_is_refused(document):
    made, _ = public(document, VALUES[VALUES["value_id"] != "vopen00001"], NUMBER)
    assert "1,234.6" not in "".join(map(words, made.blocks))
    assert [name for name, _ in made.facts] == ["体检年度"]
    unknown = VALUES.assign(sensitivity=None)
    assert not [run for run in runs_of(public(document, unknown)[0]) if run.value_id]


def test_sentences_go_and_the_reader_is_told(edition):
    made, refused = edition
    lead = next(b for b in made.blocks if isinstance(b, Paragraph) and b.kind == "lead")
    assert words(lead) == "耕地面积1,234.6平方千米。依据 TD/T 1063-2021。"
    after = made.blocks[made.blocks.index(lead) + 1]
    assert after.kind == "note" and "已略去" in words(after)
    assert ("text", 1) in kinds(refused)


def test_rows_go_and_merged_cells_close_up(edition):
    made, refused = edition
    tables = {b.kind: b for b in made.blocks if isinstance(b, Table)}
    assert set(tables) == {"mixed", "long", "data"}
    mixed = tables["mixed"]
    assert [[words(Paragraph(c.runs)) for c in row.cells] for row in mixed.rows[2:]] == [
        ["江北区", "1,234.6", "无数据", "严重"],
        ["合计", "1,234.6", "代理"],
    ]
    assert mixed.rows[2].cells[0].rowspan == 1
    assert [words(Paragraph(r.cells[0].runs)) for r in tables["data"].rows] == ["数据层", "道路"]
    assert kinds(refused).count(("rows", 1)) == 2
    assert ("table", 1) in kinds(refused)  # the patches: not one row is public


def test_small_counts_are_generalised(edition):
    made, _ = edition
    shown = {run.value_id: run.text for run in runs_of(made) if run.value_id}
    assert shown["vsmall0001"] == "<5"
    assert shown["vopen00002"] == "2"  # a count of indicators, not of things in the city


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"unit": "count", "indicator": "TJ-A22", "value": 4.0}, True),
        ({"unit": "count", "indicator": "TJ-A22", "value": 5.0}, False),
        ({"unit": "count", "indicator": "TJ-A22", "value": 0.0}, False),
        ({"unit": "count", "indicator": "report.cases_4", "value": 1.0}, True),
        ({"unit": "count", "indicator": "report.level_4", "value": 1.0}, False),
        ({"unit": "km2", "indicator": "TJ-A11", "value": 1.0}, False),
        ({"unit": "person", "indicator": "x", "value": float("nan")}, False),
    ],
)
def test_what_is_a_small_count(row, expected):
    assert is_small(row) is expected


def test_values_for_the_public():
    shown = public_values(VALUES.assign(reason="", reason_zh="", reason_en="")).set_index("value_id")
    assert set(shown["sensitivity"]) == {"公开"} and len(shown) == 5
    assert pd.isna(shown.loc["vsmall0001", "value"]) and shown.loc["vsmall0001", "reason_zh"] == "少于5"
    assert shown.loc["vopen00001", "value"] == 1234.56


def test_a_map_of_boundaries_needs_its_number(document, edition):
    made, refused = edition
    figures = [b for b in made.blocks if isinstance(b, Figure)]
    assert [(f.caption.label, f.review) for f in figures] == [("图 1-1", f"审图号：{NUMBER}"), ("图 1-2", "")]
    assert ("figure_unknown", 1) in kinds(refused)
    without, refusals = public(document, VALUES)
    figures = [b for b in without.blocks if isinstance(b, Figure)]
    assert [f.pictures[0].alt for f in figures] == ["条形图"]
    assert figures[0].caption.label == "图 1-1"  # numbered anew
    assert ("figure_review", 1) in kinds(refusals)
    assert any("未取得审图号" in words(b) for b in without.blocks)


def test_the_internal_edition_says_so(document):
    made = internal(document)
    assert made.mark == "内部资料"
    reviews = [b.review for b in made.blocks if isinstance(b, Figure)]
    assert reviews[0].startswith("审图号：（未取得") and reviews[1:] == ["", ""]
    assert internal(document, NUMBER).blocks[-1] == document.blocks[-1]


def test_editions_have_names():
    assert check_edition("public") == "public"
    with pytest.raises(ParameterError, match="no edition 'secret'"):
        check_edition("secret")


def test_sentences_end_at_full_stops():
    text = [Run("A 1.5 b. C "), Run("2", "va"), Run(" d. E")]
    assert ["".join(r.text for r in part) for part in sentences(text)] == ["A 1.5 b.", "C 2 d.", "E"]


def test_a_merged_cell_whose_first_row_goes():
    wide = Cell((Paragraph((Run("a"),)),), rowspan=3)
    rows = tuple(Row((wide, Cell(())) if at == 0 else (Cell(()),)) for at in range(3))
    left = select_rows(Table(rows), [1, 2])
    assert [[c.rowspan for c in row.cells] for row in left] == [[2, 1], [1]]
    assert words(Paragraph(left[0].cells[0].runs)) == "a"


BARE_PICTURE = f'<img src="data:image/png;base64,{picture()}" alt="变化前后">'
HINTS = f"""<!DOCTYPE html><html lang="zh-CN"><body><header class="cover"><h1>报告</h1></header><main>
<section class="chapter"><h2><span class="x label">1</span>控制线</h2>
<h3><span class="x label">1.1</span>其他控制线</h3>
<table class="wb-table"><caption>城市蓝线疑似图斑清单</caption><tbody><tr><td>蓝</td><td><span data-v="vclosed001">3</span></td></tr></tbody></table>
<p class="wb-note">清单说明，须经核查。</p>
<table class="wb-table"><caption>洪涝疑似图斑清单</caption><tbody><tr><td>洪</td><td><span data-v="vclosed001">4</span></td></tr></tbody></table>
<p class="wb-note">清单说明，须经核查。</p>
<h3><span class="x label">1.2</span>卡片</h3>
<div class="sheet" data-sensitivity="内部"><h4>STBHHX-001 严重</h4>
<figure data-sensitivity="公开">{BARE_PICTURE}<figcaption>案件 STBHHX-001</figcaption></figure></div>
<div class="sheet" data-sensitivity="内部"><h4>STBHHX-002 严重</h4><p>面积</p></div>
<h3><span class="x label">1.3</span>分维度</h3>
<table class="wb-table scorecard by-column"><caption>指标情况</caption><thead><tr><th>维度</th><th>已计算</th><th>严重</th></tr></thead>
<tbody><tr><th>安全</th><td><span data-v="vopen00002">2</span></td><td><span data-v="vclosed001">1</span></td></tr></tbody></table>
</section></main></body></html>"""


def test_what_is_left_out_leaves_no_trace_of_what_there_was():
    document = read_page(HINTS)
    made, refused = public(document, VALUES, NUMBER)
    text = "\n".join(map(words, made.blocks))
    for told in ("蓝线", "洪涝", "清单说明", "STBHHX", "案件", "严重"):
        assert told not in text
    notes = [words(b) for b in made.blocks if isinstance(b, Paragraph)]
    assert [note.count("内容已略去") for note in notes] == [1, 1, 0]  # once a section, and the columns
    table = next(b for b in made.blocks if isinstance(b, Table))
    assert [[words(Paragraph(c.runs)) for c in row.cells] for row in table.rows] == [
        ["维度", "已计算"],
        ["安全", "2"],
    ]
    assert ("columns", 1) in kinds(refused) and ("figure_values", 1) in kinds(refused)
    assert sum(isinstance(b, PageBreak) for b in made.blocks) == 1
    assert "STBHHX-002" in "\n".join(map(words, internal(document).blocks))


TELLING = """<!DOCTYPE html><html lang="zh-CN"><body><header class="cover"><h1>报告</h1></header><main>
<section class="chapter"><h2><span class="x label">1</span>问题</h2>
<p class="lead"><span data-sensitivity="内部">底线约束存在突出问题。</span></p><p>公开的话。<span data-sensitivity="内部">不公开的话。</span></p>
<div data-sensitivity="敏感"><h4>红线内有问题 <span class="chip level-4">严重</span></h4><p>请核实。</p><ul><li>某处</li></ul>
<table class="wb-table"><caption>办理经过</caption><tbody><tr><td>某日</td></tr></tbody></table></div>
<table class="wb-table measures"><caption>措施</caption><tbody><tr data-sensitivity="内部"><th>查红线</th><td>立即</td></tr>
<tr><th>补资料</th><td>明年</td></tr></tbody></table></section></main></body></html>"""


def test_words_that_rest_on_closed_data_go_though_they_print_no_number():
    made, refused = public(read_page(TELLING), VALUES, NUMBER)
    text = "\n".join(map(words, made.blocks))
    for told in ("底线约束", "不公开的话", "红线", "请核实", "某处", "某日", "严重"):
        assert told not in text
    assert "公开的话。" in text and "补资料" in text and "已略去" in text
    assert kinds(refused).count(("rows", 1)) == 1
    kept = internal(read_page(TELLING))
    assert "底线约束" in "".join(map(words, kept.blocks))


def test_how_sensitive_words_are_is_inherited_and_the_strictest_counts():
    runs = list(runs_of(read_page(TELLING.replace("<p>请核实", '<p data-sensitivity="公开">请核实'))))
    found = {run.text: run.sensitivity for run in runs}
    assert (
        found["请核实。"] == "敏感"
        and found["查红线"] == "内部"
        and found["补资料"] == ""
        and found["某日"] == "敏感"
    )
