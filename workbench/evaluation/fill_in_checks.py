"""What can be wrong with a cell of a fill-in sheet, each with its address and words for the department that filled it in."""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.evaluation.fill_in_book import STATES, Slot, limits_text
from workbench.evaluation.quotas import additive

FINDINGS = [
    "level", "file", "sheet", "cell", "item", "zone", "problem", "found", "expected", "message_zh", "message_en",
]  # fmt: skip
SUM_WITHIN = 0.005
"""Share by which the districts may differ from the city before it is said."""
MESSAGES: dict[str, tuple[str, str]] = {
    "unreadable": ("文件无法打开，应为.xlsx工作簿", "the file cannot be opened as a workbook"),
    "not_ours": ("不是本系统生成的填报表", "the workbook is no fill-in sheet of the workbench"),
    "plan_changed": (
        "填报表的内部登记被改动，请使用原表填写",
        "the plan inside the workbook was changed; use the original sheet",
    ),
    "other_city": ("这是另一个城市的填报表", "the sheet is of another city"),
    "other_year": ("这是另一年度的填报表", "the sheet is of another year"),
    "renamed": ("单元格名称被删除或改名", "the name of the cell was removed or changed"),
    "moved": ("单元格被移动（插入、删除或剪切了行列）", "the cell was moved"),
    "label_changed": ("该行的指标名称被改动", "the name of the item in this row was changed"),
    "unit_changed": (
        "该行的单位被改动；请按原单位换算后填写",
        "the unit in this row was changed; convert the figure instead",
    ),
    "merged": ("单元格被合并", "the cell was merged with others"),
    "formula": ("单元格里是公式，请填数值", "the cell holds a formula instead of a value"),
    "cell_error": ("单元格里是错误值", "the cell holds an error value"),
    "text": ("数字单元格里是文字，请只填数字", "text in a cell for a number"),
    "not_a_number": ("单元格里是日期或是非值，不是数字", "a date or a logical value in a cell for a number"),
    "range": ("数值超出可能的范围", "the value cannot be"),
    "not_whole": ("应为整数", "a whole number is needed"),
    "wrong_year": ("数据年份与填报年度不符", "the figure is of another year"),
    "state": ("状态不在下拉选项中", "an unknown state"),
    "missing": ("状态为“已填”，但没有数值", "the state says filled in, but there is no value"),
    "contradiction": (
        "已填数值，但状态为“无此数据”或“待报”",
        "there is a value, but the state says there is none",
    ),
    "state_missing": (
        "数值已采用，但“状态”未填；请在状态栏选“已填”",
        "the figure was taken, but its state is empty; choose 已填",
    ),
    "change_without_note": (
        "与上年相比变化过大而没有备注；请核对单位，或在备注中说明原因",
        "a large change on last year without a note; check the unit or explain it",
    ),
    "change_with_note": (
        "与上年相比变化较大，已有备注",
        "a large change on last year, explained in the note",
    ),
    "twice": ("同一项目在两份表中填了不同的数", "two sheets give different figures for the same item"),
    "sum": ("分区之和与全市数不一致", "the districts do not add up to the city"),
    "no_data": ("填报单位没有此数据", "the department has no such data"),
    "still_to_come": ("尚未填报", "not filled in yet"),
}
"""Problem -> words in Chinese and English."""


@dataclass(frozen=True)
class Problem:
    """One finding."""

    level: str
    file: str
    sheet: str
    cell: str
    item: str
    zone: str
    problem: str
    found: object = ""
    expected: object = ""


def row_of(problem: Problem) -> dict[str, str]:
    """A finding as a row of :data:`FINDINGS`."""
    zh, en = MESSAGES[problem.problem]
    place = f"{problem.sheet}!{problem.cell}：" if problem.cell else ""
    parts = [
        f"填的是{problem.found}" if problem.found != "" else "",
        f"应为{problem.expected}" if problem.expected != "" else "",
    ]
    told = "，".join(part for part in parts if part)
    facts = "; ".join(
        f"{word} {value}"
        for word, value in (("found", problem.found), ("expected", problem.expected))
        if value != ""
    )
    return {
        "level": problem.level, "file": problem.file, "sheet": problem.sheet, "cell": problem.cell, "item": problem.item,
        "zone": problem.zone, "problem": problem.problem, "found": str(problem.found), "expected": str(problem.expected),
        "message_zh": f"{place}{zh}{f'（{told}）' if told else ''}",
        "message_en": f"{place.replace('：', ': ')}{en}{f' ({facts})' if facts else ''}",
    }  # fmt: skip


def read_cell(
    book: Any, slot: Slot, file: str, year: int, note_above: float
) -> tuple[float | None, list[Problem]]:
    """Value of a cell that may enter, or None, and what is to be said of it."""

    def problem(
        name: str, found: object = "", expected: object = "", *, level: str = "error", cell: str = ""
    ) -> Problem:
        return Problem(
            level, file, slot.sheet, cell or slot.cell, slot.item, slot.zone, name, found, expected
        )

    if (arranged := _arrangement(book, slot)) is not None:
        name, found, expected, cell = arranged
        return None, [problem(name, found, expected, cell=cell)]
    sheet = book[slot.sheet]
    cell, state = sheet[slot.cell], _text(sheet[slot.state_cell].value)
    if state and state not in STATES:
        return None, [problem("state", state, "、".join(STATES), cell=slot.state_cell)]
    if cell.value is None or (isinstance(cell.value, str) and not cell.value.strip()):
        return None, [problem("missing")] if state == STATES[0] and slot.zone == "city" else []
    kind, found, expected = _kind(cell)
    if kind:
        return None, [problem(kind, found, expected)]
    value = float(cell.value)
    if state in STATES[1:]:
        return None, [problem("contradiction", f"{value:g}，{state}", STATES[0])]
    if (limit := _limit(slot, value)) is not None:
        return None, [problem(limit, f"{value:g}", limits_text(slot.low, slot.high, slot.whole))]
    stated = sheet[slot.year_cell].value
    if stated is not None and _text(stated) not in (str(year), f"{year}年"):
        return None, [problem("wrong_year", stated, year, cell=slot.year_cell)]
    if slot.last and abs(value - slot.last) > note_above * abs(slot.last):
        if not _text(sheet[slot.note_cell].value):
            return None, [problem("change_without_note", f"{value:g}", f"上年{slot.last:g}")]
        return value, [problem("change_with_note", f"{value:g}", f"上年{slot.last:g}", level="info")]
    return value, []


def _arrangement(book: Any, slot: Slot) -> tuple[str, object, object, str] | None:
    """What was rearranged around a cell: problem, found, expected, cell; None when nothing was."""
    if slot.sheet not in book.sheetnames:
        return "moved", "", slot.sheet, slot.cell
    sheet = book[slot.sheet]
    if slot.name not in book.defined_names:
        return "renamed", "", slot.name, slot.cell
    places = [(name, place.replace("$", "")) for name, place in book.defined_names[slot.name].destinations]
    if places != [(slot.sheet, slot.cell)]:
        return (
            "moved",
            "、".join(f"{name}!{place}" for name, place in places),
            f"{slot.sheet}!{slot.cell}",
            slot.cell,
        )
    for merged in sheet.merged_cells.ranges:
        if slot.cell in merged:
            return "merged", merged.coord, slot.cell, slot.cell
    if _text(sheet[slot.title_cell].value) != slot.title:
        return "label_changed", _text(sheet[slot.title_cell].value), slot.title, slot.title_cell
    if _text(sheet[slot.unit_cell].value) != slot.unit_text:
        return "unit_changed", _text(sheet[slot.unit_cell].value), slot.unit_text, slot.unit_cell
    return None


def _kind(cell: Any) -> tuple[str, object, object]:
    """Problem, found and expected of a cell that holds no number; empty when it does."""
    value = cell.value
    if cell.data_type == "f" or (isinstance(value, str) and value.startswith("=")):
        return "formula", value, ""
    if cell.data_type == "e":
        return "cell_error", value, ""
    if isinstance(value, str):
        guess = _number_in(value)
        return "text", value, "" if guess is None else f"{guess:g}"
    if isinstance(value, bool | dt.date | dt.time | dt.timedelta):
        return "not_a_number", value, ""
    return ("not_a_number", value, "") if not math.isfinite(float(value)) else ("", "", "")


def _number_in(text: str) -> float | None:
    """Return the number a text seems to mean, to be suggested, never taken."""
    plain = unicodedata.normalize("NFKC", text).replace(",", "").replace(" ", "")
    found = re.match(r"[-+]?\d+(?:\.\d+)?", plain)
    return float(found.group()) if found else None


def _limit(slot: Slot, value: float) -> str | None:
    if (slot.low is not None and value < slot.low) or (slot.high is not None and value > slot.high):
        return "range"
    return "not_whole" if slot.whole and not value.is_integer() else None


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def silent_rows(book: Any, slots: Sequence[Slot], file: str) -> list[Problem]:
    """Items of the whole city that have no value: said to have none, or still to come."""
    found = []
    for slot in slots:
        if slot.zone != "city" or slot.sheet not in book.sheetnames or _arrangement(book, slot) is not None:
            continue
        sheet = book[slot.sheet]
        if _text(sheet[slot.cell].value):
            continue
        state = _text(sheet[slot.state_cell].value)
        if state not in (STATES[0], *STATES[1:], ""):
            continue
        if state != STATES[0]:
            name = "no_data" if state == STATES[1] else "still_to_come"
            found.append(Problem("info", file, slot.sheet, slot.cell, slot.item, slot.zone, name))
    return found


def stateless_rows(book: Any, slots: Sequence[Slot], accepted: set[str], file: str) -> list[Problem]:
    """Warnings for figures that were accepted though the state of their row is empty, one a row.

    ``accepted`` holds the addresses of the accepted cells, ``sheet!cell``.
    """
    found: dict[tuple[str, str], Problem] = {}
    for slot in slots:
        if f"{slot.sheet}!{slot.cell}" in accepted and not _text(book[slot.sheet][slot.state_cell].value):
            found.setdefault(
                (slot.sheet, slot.state_cell),
                Problem(
                    "warning",
                    file,
                    slot.sheet,
                    slot.state_cell,
                    slot.item,
                    slot.zone,
                    "state_missing",
                    "",
                    STATES[0],
                ),
            )
    return list(found.values())


def check_twice(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Rows without those that two sheets fill in differently; equal ones are kept once."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["item"], row["zone"]), []).append(row)
    kept, problems = [], []
    for (item, zone), same in groups.items():
        if len({row["value"] for row in same}) == 1:
            kept.append(same[0])
            continue
        for row in same:
            sheet, _, cell = row["cell"].partition("!")
            others = "、".join(f"{o['source_file']} {o['cell']}" for o in same if o is not row)
            problems.append(
                Problem(
                    "error", row["source_file"], sheet, cell, item, zone, "twice", f"{row['value']:g}", others
                )
            )
    return kept, problems


def check_sums(rows: Sequence[dict[str, Any]], slots: Sequence[Slot]) -> list[Problem]:
    """Warnings where all districts of an item that adds up are filled in and differ from the city."""
    found = []
    asked: dict[str, set[str]] = {}
    for slot in slots:
        if additive(slot.unit) and (slot.whole or slot.unit != "count"):
            asked.setdefault(slot.item, set()).add(slot.zone)
    for item, zones in asked.items():
        given = {row["zone"]: row for row in rows if row["item"] == item}
        if len(zones) < 2 or not zones <= set(given):
            continue
        city = given["city"]
        total = math.fsum(row["value"] for zone, row in given.items() if zone != "city")
        if abs(total - city["value"]) > SUM_WITHIN * abs(city["value"]):
            sheet, _, cell = city["cell"].partition("!")
            found.append(
                Problem(
                    "warning",
                    city["source_file"],
                    sheet,
                    cell,
                    item,
                    "city",
                    "sum",
                    f"{city['value']:g}",
                    f"{total:g}",
                )
            )
    return found
