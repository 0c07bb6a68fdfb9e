"""Workbooks: sheets with titles, heads of several rows and merged cells, as one plain table."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd

from workbench.catalog.quality import Finding
from workbench.core.errors import ProfileError

WORKBOOKS = (".xlsx", ".xlsm")
TOTALS = frozenset({"合计", "总计", "小计", "共计"})
NOTES = ("注：", "注:", "备注", "说明", "资料来源", "数据来源", "填表", "制表", "审核")
NUMBERED = frozenset("甲乙丙丁戊己庚辛")
Block = tuple[int, int, int, int]
"""First row, last row, first column, last column of merged cells, from 0."""


def sheet_names(path: Path, where: str) -> list[str]:
    """Names of a workbook's sheets.

    Raises
    ------
    ProfileError
        When it is no workbook.
    """
    try:
        book = openpyxl.load_workbook(path, read_only=True)
    except (
        zipfile.BadZipFile,
        SyntaxError,
        KeyError,
        ValueError,
        OSError,
        openpyxl.utils.exceptions.InvalidFileException,
    ) as error:
        raise ProfileError(
            "the workbook cannot be read", where=where, found=path.name, hint="save it anew as .xlsx"
        ) from error
    names = list(book.sheetnames)
    book.close()
    return names


def read(path: Path, sheet: str | None, where: str) -> tuple[pd.DataFrame, list[Finding]]:
    """One sheet as a table with one head row: titles left out, heads of several rows joined, merged cells filled.

    A plain sheet comes as pandas reads it.

    Raises
    ------
    ProfileError
        When there is no such sheet, or no table on it.
    """
    names = sheet_names(path, where)
    if sheet is not None and sheet not in names:
        raise ProfileError("no such sheet", where=where, found=sheet, expected=f"one of {', '.join(names)}")
    grid: pd.DataFrame = pd.read_excel(path, sheet_name=sheet or 0, header=None, dtype=object)
    blocks = _merged(path, sheet)
    filled = grid.to_numpy(dtype=object)
    if filled.size == 0:
        raise ProfileError("the sheet is empty", where=where, found=f"{path.name}: {sheet or names[0]}")
    for top, bottom, left, right in blocks:
        filled[top : bottom + 1, left : right + 1] = filled[top, left]
    first = _first_head_row(filled, blocks)
    if first is None:
        raise ProfileError("the sheet has no table", where=where, found=f"{path.name}: {sheet or names[0]}",
                           expected="a head of two columns or more")  # fmt: skip
    last = _last_head_row(grid.to_numpy(dtype=object), filled, blocks, first)
    if not blocks and first == last == 0:
        plain: pd.DataFrame = pd.read_excel(path, sheet_name=sheet or 0)
        return _without_notes(plain, [])
    findings = []
    if first > 0:
        title = "；".join(dict.fromkeys(_text(v) for v in filled[:first].ravel() if _text(v)))
        message = f"表头上方的文字未作为数据：{title}", f"text above the head was not taken as data: {title}"
        findings.append(Finding("title_rows", "info", first, np.nan, "", *message))
    if last > first:
        n = last - first + 1
        message = f"{n} 行合并表头已合为一行", f"a head of {n} rows with merged cells became one"
        findings.append(Finding("merged_head", "info", n, np.nan, "", *message))
    inside = sum(block[0] > last for block in blocks)
    if inside:
        message = (
            f"数据区有 {inside} 处合并单元格，已按首格填充",
            f"{inside} merged cells among the data were filled",
        )
        findings.append(Finding("merged_cells", "info", inside, np.nan, "", *message))
    body = pd.DataFrame(filled[last + 1 :], columns=_names(filled[first : last + 1])).dropna(how="all")
    if len(body) and _is_numbering(body.iloc[0]):
        body = body.iloc[1:]
    body = body.loc[
        :, [not (name.startswith("column_") and body[name].isna().all()) for name in body.columns]
    ]
    return _without_notes(body.infer_objects().reset_index(drop=True), findings)


def _merged(path: Path, sheet: str | None) -> list[Block]:
    book = openpyxl.load_workbook(path, data_only=True)
    page = book[sheet] if sheet is not None else book.worksheets[0]
    found = [(r.min_row - 1, r.max_row - 1, r.min_col - 1, r.max_col - 1) for r in page.merged_cells.ranges]
    book.close()
    return found


def _text(value: Any) -> str:
    return "" if value is None or (isinstance(value, float) and np.isnan(value)) else str(value).strip()


def _first_head_row(filled: np.ndarray, blocks: list[Block]) -> int | None:
    """First row that says more than one thing; those above are titles, units, makers."""
    for row in range(len(filled)):
        said = {_text(value) for value in filled[row]} - {""}
        if len(said) >= 2 and sum(1 for value in filled[row] if _text(value)) >= 0.5 * filled.shape[1]:
            return row
    return 0 if filled.shape[1] == 1 else None


def _last_head_row(raw: np.ndarray, filled: np.ndarray, blocks: list[Block], first: int) -> int:
    """Last row of the head: merged cells reach down to it, or stand side by side above it."""
    last = first
    while True:
        reach = max((b[1] for b in blocks if first <= b[0] <= last), default=last)
        wide = [b for b in blocks if b[1] == reach and b[0] >= first and b[3] > b[2]]
        below = reach + 1
        if wide and below < len(raw):
            cells = [raw[below, column] for b in wide for column in range(b[2], min(b[3] + 1, raw.shape[1]))]
            if all(not isinstance(cell, int | float) or cell != cell for cell in cells) and any(
                map(_text, cells)
            ):
                reach = below
        if reach == last:
            return last
        last = reach


def _names(head: np.ndarray) -> list[str]:
    """Names of columns: the parts of the head from above, each once; names that come again get a number."""
    names: list[str] = []
    for column in range(head.shape[1]):
        parts = dict.fromkeys(re.sub(r"\s+", "", _text(value)) for value in head[:, column])
        name = "_".join(part for part in parts if part) or f"column_{column + 1}"
        names.append(name if name not in names else f"{name}.{names.count(name)}")
    return names


def _is_numbering(row: pd.Series) -> bool:
    """Whether a row only numbers the columns (甲 乙 1 2 3)."""
    said = [_text(value).removesuffix(".0").strip("()（）") for value in row if _text(value)]
    numbers = [int(word) for word in said if word.isdigit()]
    return (
        len(said) >= 2
        and len(numbers) >= 2
        and numbers == list(range(1, len(numbers) + 1))
        and all(word.isdigit() or word in NUMBERED for word in said)
    )


def _without_notes(frame: pd.DataFrame, findings: list[Finding]) -> tuple[pd.DataFrame, list[Finding]]:
    """Table without the notes below it; rows of totals stay and are told."""
    if frame.empty or frame.shape[1] < 2:
        return frame, findings
    first = frame.iloc[:, 0].map(_text)
    alone = frame.iloc[:, 1:].isna().all(axis=1).to_numpy() | (frame.nunique(axis=1) == 1).to_numpy()
    notes = alone & first.str.startswith(NOTES).to_numpy()
    if notes.any():
        n, example = int(notes.sum()), first[notes].iloc[0][:40]
        message = (
            f"表下 {n} 行说明未作为数据，如“{example}”",
            f"{n} rows of notes were not taken as data: {example}",
        )
        findings = [*findings, Finding("note_rows", "info", n, np.nan, "", *message)]
        frame = frame[~notes].reset_index(drop=True)
    words = frame.iloc[:, 0].map(lambda value: re.sub(r"\s+", "", _text(value)))
    if n := int(words.isin(TOTALS).sum()):
        message = f"有 {n} 行合计，求和时会重复计算", f"{n} rows are totals; sums count them twice"
        findings = [*findings, Finding("total_rows", "warning", n, np.nan, "", *message)]
    return frame, findings


def bare_name(name: str) -> str:
    """Name of a column without its group, spaces and unit: ``"坐标_X（m）"`` is ``"X"``.

    Examples
    --------
    >>> bare_name("坐标_X（m）")
    'X'
    """
    return re.sub(r"[(（].*?[)）]|\s", "", str(name).split("_")[-1] if "_" in str(name) else str(name))


def column_of(frame: pd.DataFrame, wanted: Sequence[str]) -> str | None:
    """Column with one of the names, the first wanted first, letters large or small."""
    bare: dict[str, str] = {}
    for name in frame.columns:
        bare.setdefault(str(name).upper(), str(name))
        bare.setdefault(bare_name(str(name)).upper(), str(name))
    return next((bare[name.upper()] for name in wanted if name.upper() in bare), None)


def year_of(name: object) -> int | None:
    """Year a column is named by.

    Examples
    --------
    >>> year_of("年末数_2023年"), year_of("2024"), year_of("人口")
    (2023, 2024, None)
    """
    found = re.fullmatch(r"((?:19|20)\d\d)年?", bare_name(str(name)))
    return int(found[1]) if found else None


def years_to_rows(frame: pd.DataFrame, named: set[str]) -> tuple[pd.DataFrame, list[Finding]]:
    """Table with a row a year where the years are columns (2023年, 2024年); columns ``year`` and ``value``.

    Parameters
    ----------
    named : set of str
        Columns the reader names: with one of the years among them nothing is turned.
    """
    years = {name: year for name in frame.columns if (year := year_of(name)) is not None}
    if len(years) < 2 or named & {str(name) for name in years} or {"year", "value"} & set(frame.columns):
        return frame, []
    kept = [name for name in frame.columns if name not in years]
    long = frame.melt(id_vars=kept, value_vars=list(years), var_name="year", value_name="value")
    long["year"] = long["year"].map(years)
    n = len(years)
    message = f"{n} 个年份列已转为行", f"{n} columns of years became rows"
    return long.dropna(subset=["value"]).reset_index(drop=True), [
        Finding("years_to_rows", "info", n, np.nan, "", *message)
    ]
