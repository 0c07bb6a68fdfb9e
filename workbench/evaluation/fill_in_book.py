"""The workbook of a fill-in sheet (填报表): what it looks like, and the plan of its cells that travels inside it.

All cells are locked but those to be filled in. Each of these has a defined name ``v_<item>_<zone>``; a hidden sheet holds
the plan: which name belongs to which cell, item, zone and unit, closed by a hash, so that a sheet that was rearranged is
recognised when it is read back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import DataQualityError
from workbench.core.paths import atomic_write
from workbench.core.provenance import stable_hash
from workbench.core.units import display

STATES = ("已填", "无此数据", "待报")
"""What a department may say of an item: filled in, no such data, still to come."""
PLAN = "_workbench"
COVER, CITY_SHEET, ZONE_SHEET = "填报说明", "全市", "分区"
FIRST_ROW = 6
"""First row of items on the sheets."""
_EXTRA = {
    "per mille": "‰", "mm": "毫米", "CNY/m2": "元/平方米", "1e4 t": "万吨", "1e8 USD": "亿美元", "day": "天", "set": "套",
    "class": "班", "m/person": "米/人", "ug/m3": "微克/立方米", "bed": "张", "ratio": "比值", "count/1e4": "件/万人",
    "tce/1e4 CNY": "吨标准煤/万元", "m3/1e4 CNY": "立方米/万元", "1e4 CNY/person": "万元/人", "1e4 person-trip": "万人次",
    "1e8 m2": "亿平方米", "1e4 m2": "万平方米", "1": "—", "": "—",
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One figure a department is asked for."""

    item: str
    """Item of the role ``statistics``; an indicator's id when the value itself is asked for."""
    title: str
    """Name in Chinese."""
    unit: str
    """Code of the unit."""
    meaning: str
    """What is to be filled in, in Chinese."""
    serves: str
    """Indicators it makes possible, in Chinese."""
    low: float | None
    """Smallest value that can be."""
    high: float | None
    """Largest value that can be."""
    whole: bool
    """Whether only whole numbers can be."""
    last: tuple[tuple[str, float], ...] = ()
    """Last year's value by zone, ``city`` for the whole."""
    zones: tuple[str, ...] | None = None
    """Codes of the districts where the figure has a meaning; None for all."""


@dataclass(frozen=True)
class Slot:
    """One cell to be filled in, with the cells that belong to it."""

    name: str
    item: str
    zone: str
    sheet: str
    cell: str
    title: str
    title_cell: str
    unit: str
    unit_text: str
    unit_cell: str
    year_cell: str
    state_cell: str
    note_cell: str
    last: float | None
    low: float | None
    high: float | None
    whole: bool


@dataclass(frozen=True)
class Form:
    """A department's workbook."""

    city: str
    city_zh: str
    year: int
    department: str
    others: tuple[str, ...]
    items: tuple[Item, ...]
    zones: tuple[tuple[str, str], ...]
    """Code and name of the districts."""


def unit_text(unit: str) -> str:
    """Unit as officials write it.

    >>> unit_text("1e4 mu"), unit_text("per mille"), unit_text("%")
    ('万亩', '‰', '%')
    """
    return _EXTRA.get(unit) or display(unit) or "—"


def cell_name(item: str, zone: str) -> str:
    """Defined name of a cell to be filled in.

    >>> cell_name("TJ-A03", "city"), cell_name("gdp_1e8_cny", "990101")
    ('v_TJ_A03_city', 'v_gdp_1e8_cny_990101')
    """
    return re.sub(r"[^A-Za-z0-9_.]", "_", f"v_{item}_{zone}")


def write(form: Form, path: Path) -> Path:
    """Write a department's workbook, whole or not at all."""
    from openpyxl import Workbook

    book = Workbook()
    cover = book.active
    cover.title = COVER
    _cover(cover, form)
    slots = _city_sheet(book.create_sheet(CITY_SHEET), form)
    if form.zones and any(item.zones is None or item.zones for item in form.items):
        slots += _zone_sheet(book.create_sheet(ZONE_SHEET), form)
    _name_cells(book, slots)
    _write_plan(book.create_sheet(PLAN), form, slots)
    book.active = 1
    with atomic_write(path) as temporary:
        book.save(temporary)
    return path


def _styles() -> dict[str, Any]:
    from openpyxl.styles import Alignment, Border, Font, PatternFill, Side

    thin = Side(style="thin", color="B8C2CC")
    return {
        "title": Font(name="宋体", size=16, bold=True, color="1F4E79"),
        "text": Font(name="宋体", size=11),
        "small": Font(name="宋体", size=9, color="66727F"),
        "head": Font(name="宋体", size=11, bold=True, color="FFFFFF"),
        "head_fill": PatternFill("solid", fgColor="1F4E79"),
        "entry_fill": PatternFill("solid", fgColor="FFF7D6"),
        "last_fill": PatternFill("solid", fgColor="F1F4F7"),
        "border": Border(left=thin, right=thin, top=thin, bottom=thin),
        "wrap": Alignment(vertical="center", wrap_text=True),
        "centre": Alignment(horizontal="center", vertical="center", wrap_text=True),
        "right": Alignment(horizontal="right", vertical="center"),
    }


def _cover(sheet: Any, form: Form) -> None:
    look = _styles()
    zones = "、".join(name for _, name in form.zones)
    lines = [
        (f"{form.city_zh}国土空间规划城市体检评估 · 数据填报表", "title"),
        (f"填报年度：{form.year}年　　填报单位：{form.department}", "text"),
        (f"配合单位：{'、'.join(form.others) or '无'}", "text"),
        (
            f"填报项目：{len(form.items)}项　　范围：全市{f'；分区（有分区数据的填写）：{zones}' if zones else ''}",
            "text",
        ),
        ("", "text"),
        ("填写说明", "head"),
        (
            f"1. 只填浅黄色单元格：{form.year}年数值、数据年份、状态、备注。其他单元格已锁定，请勿改动、移动或合并。",
            "text",
        ),
        ("2. 数值只填数字，不带单位、逗号和公式；单位以表中所列为准，单位不同的请先换算。", "text"),
        (f"3. “数据年份”默认为{form.year}；不是该年份的数据请勿填入，状态选“待报”。", "text"),
        ("4. “状态”从下拉框选择：已填、无此数据、待报。没有的数据请选“无此数据”，不要填0。", "text"),
        ("5. 百分比填0至100之间的数（例如百分之八十五填85）；个数填整数。", "text"),
        ("6. 与上年相比变化超过30%的，请在备注中说明原因，否则不予采用，待说明后再次读取。", "text"),
        *(
            [
                (
                    "7. “分区”表为选填，“—”处无须填写（指标的评估范围不含该区，或只有全市口径）；分区之和与全市数不一致时将给出提示。",
                    "text",
                )
            ]
            if zones
            else []
        ),
        (f"{8 if zones else 7}. 一个单位一份文件。填好后原样返回，不要另存为其他格式。", "text"),
        ("", "text"),
        ("用途：所填数据只用于规划实施体检评估，每个数值在报告中注明填报单位、文件和单元格。", "small"),
        ("指标释义未经标准原文核对，口径有疑问的请在备注中说明。", "small"),
    ]
    for at, (text, kind) in enumerate(lines, 1):
        cell = sheet.cell(at, 2, text or None)
        cell.font = look["title"] if kind == "title" else look["small"] if kind == "small" else look["text"]
        cell.alignment = look["wrap"]
        if kind == "head":
            cell.font, cell.fill = look["head"], look["head_fill"]
        sheet.row_dimensions[at].height = 34 if kind == "title" else 33 if len(text) > 48 else 20
    sheet.column_dimensions["A"].width = 3
    sheet.column_dimensions["B"].width = 96
    sheet.sheet_view.showGridLines = False
    _page(sheet, landscape=False)


def _city_sheet(sheet: Any, form: Form) -> list[Slot]:
    heads = [
        ("序号", 6), ("指标（统计项）", 30), ("单位", 12), ("口径说明", 44), (f"{form.year - 1}年值", 14),
        (f"{form.year}年值", 16), ("数据年份", 10), ("状态", 11), ("备注（变化较大的请说明）", 34), ("代码", 20),
    ]  # fmt: skip
    _heading(sheet, form, heads, "全市数据")
    look, slots = _styles(), []
    for at, item in enumerate(form.items):
        row = FIRST_ROW + at
        last = dict(item.last).get("city")
        _common_cells(sheet, row, at + 1, item, 10)
        _last_cell(sheet, row, 5, last)
        for column in (6, 7, 8, 9):
            _entry(sheet.cell(row, column), look, right=column == 6)
        sheet.cell(row, 7, form.year).alignment = look["centre"]
        slots.append(_slot(sheet.title, item, "city", row, 6, 7, 8, 9, last))
    _rules(sheet, form.items, {6: None}, year_column=7, state_column=8, year=form.year)
    _finish(sheet, len(form.items), len(heads), "C")
    return slots


def _zone_sheet(sheet: Any, form: Form) -> list[Slot]:
    heads: list[tuple[str, float]] = [("序号", 6), ("指标（统计项）", 30), ("单位", 12), ("口径说明", 34)]
    for _, name in form.zones:
        heads += [(f"{name}\n{form.year - 1}年", 11), (f"{name}\n{form.year}年", 12)]
    after = len(heads)
    heads += [("数据年份", 10), ("状态", 11), ("备注（变化较大的请说明）", 30), ("代码", 20)]
    _heading(sheet, form, heads, "分区数据，选填")
    look, slots = _styles(), []
    items = [item for item in form.items if item.zones is None or item.zones]
    for at, item in enumerate(items):
        row = FIRST_ROW + at
        _common_cells(sheet, row, at + 1, item, len(heads))
        for number, (code, _) in enumerate(form.zones):
            column = 6 + 2 * number
            last = dict(item.last).get(code)
            _last_cell(sheet, row, column - 1, last)
            if item.zones is not None and code not in item.zones:
                _last_cell(sheet, row, column, None)
                continue
            _entry(sheet.cell(row, column), look, right=True)
            slots.append(_slot(sheet.title, item, code, row, column, after + 1, after + 2, after + 3, last))
        for column in (after + 1, after + 2, after + 3):
            _entry(sheet.cell(row, column), look, right=False)
        sheet.cell(row, after + 1, form.year).alignment = look["centre"]
    columns = {6 + 2 * number: None for number in range(len(form.zones))}
    _rules(sheet, items, columns, year_column=after + 1, state_column=after + 2, year=form.year)
    _finish(sheet, len(items), len(heads), "C")
    return slots


def _heading(sheet: Any, form: Form, heads: Sequence[tuple[str, float]], what: str) -> None:
    from openpyxl.styles import Protection
    from openpyxl.utils import get_column_letter

    look = _styles()
    sheet.cell(1, 1, f"{form.city_zh}体检评估数据填报表（{what}）").font = look["title"]
    sheet.cell(2, 1, f"填报单位：{form.department}　　年度：{form.year}年").font = look["text"]
    sheet.cell(3, 1, "填表人：　　　　　　审核人：　　　　　　联系电话：　　　　　　填表日期：").font = look[
        "text"
    ]
    sheet.cell(3, 1).protection = Protection(locked=False)
    sheet.row_dimensions[1].height = 28
    for at, (text, width) in enumerate(heads, 1):
        cell = sheet.cell(FIRST_ROW - 1, at, text)
        cell.font, cell.fill, cell.border, cell.alignment = (
            look["head"],
            look["head_fill"],
            look["border"],
            look["centre"],
        )
        sheet.column_dimensions[get_column_letter(at)].width = width
    sheet.row_dimensions[FIRST_ROW - 1].height = 34


def _common_cells(sheet: Any, row: int, number: int, item: Item, code_column: int) -> None:
    look = _styles()
    texts = {
        1: number,
        2: item.title,
        3: unit_text(item.unit),
        4: _explained(item),
        code_column: item.item,
    }
    for column, text in texts.items():
        cell = sheet.cell(row, column, text)
        cell.font = look["small"] if column in (4, code_column) else look["text"]
        cell.alignment = look["centre"] if column in (1, 3) else look["wrap"]
        cell.border = look["border"]
    width = 2 * len(str(texts[4]))
    sheet.row_dimensions[row].height = max(30, 13 * (1 + width // 50))


def _explained(item: Item) -> str:
    serves = f"用于计算：{item.serves}。" if item.serves else ""
    return f"{item.meaning}{serves}应填{limits_text(item.low, item.high, item.whole)}。"


def _last_cell(sheet: Any, row: int, column: int, last: float | None) -> None:
    look = _styles()
    cell = sheet.cell(row, column, "—" if last is None else float(last))
    cell.font, cell.fill, cell.border = look["text"], look["last_fill"], look["border"]
    cell.alignment = look["right"]
    if last is not None:
        cell.number_format = "#,##0.####"


def _entry(cell: Any, look: dict[str, Any], *, right: bool) -> None:
    from openpyxl.styles import Protection

    cell.fill, cell.border, cell.font = look["entry_fill"], look["border"], look["text"]
    cell.protection = Protection(locked=False)
    cell.alignment = look["right"] if right else look["wrap"]
    if right:
        cell.number_format = "General"


def _slot(
    sheet: str,
    item: Item,
    zone: str,
    row: int,
    column: int,
    year: int,
    state: int,
    note: int,
    last: float | None,
) -> Slot:
    from openpyxl.utils import get_column_letter as letter

    return Slot(
        name=cell_name(item.item, zone), item=item.item, zone=zone, sheet=sheet, cell=f"{letter(column)}{row}",
        title=item.title, title_cell=f"B{row}", unit=item.unit, unit_text=unit_text(item.unit), unit_cell=f"C{row}",
        year_cell=f"{letter(year)}{row}", state_cell=f"{letter(state)}{row}", note_cell=f"{letter(note)}{row}", last=last,
        low=item.low, high=item.high, whole=item.whole,
    )  # fmt: skip


def _rules(
    sheet: Any,
    items: Sequence[Item],
    columns: dict[int, None],
    *,
    year_column: int,
    state_column: int,
    year: int,
) -> None:
    """Drop-downs and limits: the program says so when it is filled in, and again when it is read."""
    from openpyxl.utils import get_column_letter as letter
    from openpyxl.worksheet.datavalidation import DataValidation

    end = FIRST_ROW + len(items) - 1
    states = DataValidation(
        type="list", formula1=f'"{",".join(STATES)}"', allow_blank=True, showErrorMessage=True
    )
    states.error, states.errorTitle = f"请从下拉框选择：{'、'.join(STATES)}", "状态"
    states.add(f"{letter(state_column)}{FIRST_ROW}:{letter(state_column)}{end}")
    years = DataValidation(
        type="whole", operator="equal", formula1=str(year), allow_blank=True, showErrorMessage=True
    )
    years.error, years.errorTitle = f"只收{year}年的数据", "数据年份"
    years.add(f"{letter(year_column)}{FIRST_ROW}:{letter(year_column)}{end}")
    sheet.add_data_validation(states)
    sheet.add_data_validation(years)
    kinds: dict[tuple[float | None, float | None, bool], Any] = {}
    for at, item in enumerate(items):
        key = (item.low, item.high, item.whole)
        if key not in kinds:
            kinds[key] = _limits(*key)
            sheet.add_data_validation(kinds[key])
        for column in columns:
            kinds[key].add(f"{letter(column)}{FIRST_ROW + at}")


def _limits(low: float | None, high: float | None, whole: bool) -> Any:
    from openpyxl.worksheet.datavalidation import DataValidation

    made = DataValidation(
        type="whole" if whole else "decimal", operator="between", allow_blank=True, showErrorMessage=True,
        formula1=str(-1e15 if low is None else low), formula2=str(1e15 if high is None else high),
    )  # fmt: skip
    made.errorTitle, made.error = "数值", f"应填{limits_text(low, high, whole)}"
    return made


def limits_text(low: float | None, high: float | None, whole: bool) -> str:
    """What may stand in a cell, in Chinese.

    >>> limits_text(0, 100, False), limits_text(0, None, True), limits_text(None, None, False)
    ('0至100之间的数', '不小于0的整数', '数字')
    """
    what = "整数" if whole else "数"
    if low is not None and high is not None:
        return f"{low:g}至{high:g}之间的{what}"
    if low is not None:
        return f"不小于{low:g}的{what}"
    return "整数" if whole else "数字"


def _finish(sheet: Any, rows: int, columns: int, freeze: str) -> None:
    from openpyxl.utils import get_column_letter as letter

    sheet.freeze_panes = f"{freeze}{FIRST_ROW}"
    sheet.print_title_rows = f"{FIRST_ROW - 1}:{FIRST_ROW - 1}"
    sheet.print_area = f"A1:{letter(columns)}{FIRST_ROW + rows - 1}"
    _page(sheet, landscape=True)


def _page(sheet: Any, *, landscape: bool) -> None:
    sheet.protection.sheet = True
    sheet.protection.formatColumns = sheet.protection.formatRows = False  # widths may be changed
    sheet.page_setup.orientation = "landscape" if landscape else "portrait"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A3 if landscape else sheet.PAPERSIZE_A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.oddFooter.center.text = "第 &P 页，共 &N 页"


def _name_cells(book: Any, slots: Sequence[Slot]) -> None:
    from openpyxl.utils import absolute_coordinate, quote_sheetname
    from openpyxl.workbook.defined_name import DefinedName

    for slot in slots:
        place = f"{quote_sheetname(slot.sheet)}!{absolute_coordinate(slot.cell)}"
        book.defined_names[slot.name] = DefinedName(slot.name, attr_text=place)


def _write_plan(sheet: Any, form: Form, slots: Sequence[Slot]) -> None:
    head = {"city": form.city, "year": form.year, "department": form.department}
    rows = [json.dumps(asdict(slot), ensure_ascii=False, sort_keys=True) for slot in slots]
    sheet.cell(1, 1, json.dumps(head, ensure_ascii=False, sort_keys=True))
    sheet.cell(1, 2, stable_hash([head, rows]))
    for at, row in enumerate(rows, 2):
        sheet.cell(at, 1, row)
    sheet.sheet_state = "veryHidden"
    sheet.protection.sheet = True


def read_plan(book: Any) -> tuple[dict[str, Any], list[Slot]]:
    """City, year and department of a workbook, and the plan of its cells.

    Raises
    ------
    DataQualityError
        It is no fill-in sheet, or its plan was changed.
    """
    if PLAN not in book.sheetnames:
        raise DataQualityError("not a fill-in sheet of the workbench", where=PLAN)
    sheet = book[PLAN]
    try:
        head = json.loads(str(sheet.cell(1, 1).value))
        rows = [str(sheet.cell(at, 1).value) for at in range(2, sheet.max_row + 1)]
        slots = [Slot(**json.loads(row)) for row in rows]
    except (json.JSONDecodeError, TypeError) as error:
        raise DataQualityError("the plan of the sheet was changed", where=PLAN) from error
    if stable_hash([head, rows]) != sheet.cell(1, 2).value:
        raise DataQualityError("the plan of the sheet was changed", where=PLAN)
    return head, slots
