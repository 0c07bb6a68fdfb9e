"""Tables and maps beside the page: a workbook of the values, a GeoPackage of the cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.paths import atomic_write

if TYPE_CHECKING:
    import pandas as pd

SHEETS: dict[str, tuple[str, str]] = {
    "values": ("指标数值", "Values"),
    "findings": ("规则结果", "Findings"),
    "columns": ("字段说明", "Columns"),
}
"""Sheets of the workbook, with their titles."""

COLUMNS: dict[str, tuple[str, str]] = {
    "value_id": ("数值编号", "Value id"),
    "indicator": ("指标", "Indicator"),
    "level": ("层级/等级", "Level"),
    "zone": ("分区代码", "Zone"),
    "zone_name": ("分区名称", "Zone name"),
    "year": ("年度", "Year"),
    "value": ("数值", "Value"),
    "unit": ("单位", "Unit"),
    "denominator": ("分母", "Denominator"),
    "tier": ("方法层级", "Tier"),
    "data_date": ("数据时点", "Data date"),
    "reason_zh": ("缺失原因", "Reason (Chinese)"),
    "reason_en": ("缺失原因（英）", "Reason"),
    "edition": ("版次", "Edition"),
    "scenario": ("情景", "Scenario"),
    "finding_id": ("结果编号", "Finding id"),
    "rule": ("规则", "Rule"),
    "kind": ("类型", "Kind"),
    "line": ("控制线", "Line"),
    "threshold": ("阈值", "Threshold"),
    "margin": ("偏差", "Margin"),
    "message_zh": ("说明", "Message (Chinese)"),
    "message_en": ("说明（英）", "Message"),
    "clause": ("依据", "Clause"),
    "status": ("状态", "Status"),
    "permit_state": ("许可比对", "Permit"),
    "district": ("区", "District"),
    "unit_code": ("规划单元", "Unit code"),
    "before": ("变化前地类", "Before"),
    "after": ("变化后地类", "After"),
    "date_before": ("前时相", "Date before"),
    "date_after": ("后时相", "Date after"),
    "area_m2": ("面积（平方米）", "Area (m2)"),
    "share": ("占比", "Share"),
    "width_m": ("宽度（米）", "Width (m)"),
    "city": ("城市", "City"),
    "decimals": ("小数位", "Decimals"),
    "low": ("下限", "Low"),
    "high": ("上限", "High"),
    "denominator_en": ("分母（英）", "Denominator (English)"),
    "denominator_value": ("分母值", "Value of the denominator"),
    "reason": ("缺失代码", "Reason code"),
    "sensitivity": ("密级", "Sensitivity"),
    "definition_version": ("释义版本", "Definition version"),
    "inputs_hash": ("输入散列值", "Hash of the inputs"),
    "code_version": ("程序版本", "Code version"),
    "run_id": ("运行编号", "Run"),
    "basis": ("方法/来由", "Method or origin"),
    "zone_level": ("分区层级", "Zone level"),
}
"""Columns a reader meets, in Chinese and English; others keep their name."""


def export(folder: Path, lang: str) -> list[Path]:
    """Write ``tables/values.xlsx`` and ``maps/cases.gpkg`` of a run from its value and finding tables.

    Parameters
    ----------
    folder : Path
        Folder of the run with ``values.parquet`` and ``findings.parquet``.
    lang : {"zh", "en"}
        Language of the sheet and column titles.

    Returns
    -------
    list of Path
        The files written; the GeoPackage only when a finding has a shape.
    """
    import geopandas as gpd
    import pandas as pd

    values = pd.read_parquet(folder / "values.parquet")
    findings = gpd.read_parquet(folder / "findings.parquet")
    workbook = folder / "tables" / "values.xlsx"
    plain = pd.DataFrame(findings.drop(columns=findings.geometry.name))
    write_workbook(workbook, {"values": values, "findings": plain}, lang)
    shaped = findings[findings.geometry.notna() & ~findings.geometry.is_empty]
    if shaped.empty:
        return [workbook]
    cases = folder / "maps" / "cases.gpkg"
    with atomic_write(cases) as temporary:
        temporary.unlink()
        _storable(shaped).to_file(temporary, driver="GPKG", layer="cases")
    return [workbook, cases]


def _storable(frame: pd.DataFrame) -> Any:
    """Copy of a frame with columns of mixed or missing-only content as text, which GeoPackage can hold."""
    frame = frame.copy()
    for name in frame.columns:
        if name != "geometry" and frame[name].dtype == object:
            frame[name] = [None if _absent(value) else str(value) for value in frame[name]]
    return frame


def _absent(value: object) -> bool:
    import pandas as pd

    return value is None or (not isinstance(value, str | list | dict) and bool(pd.isna(value)))  # type: ignore[call-overload]


def write_workbook(path: Path, tables: dict[str, pd.DataFrame], lang: str) -> None:
    """Write tables as sheets of one workbook: header frozen, filter on, columns wide enough, no formulas."""
    from openpyxl import Workbook

    column = 1 if lang == "en" else 0
    book = Workbook()
    book.remove(book.active)
    for name, table in tables.items():
        titles = [COLUMNS.get(c, (c, c))[column] for c in table.columns]
        _fill(book.create_sheet(SHEETS[name][column]), titles, table)
    rows = [(c, *COLUMNS[c]) for c in COLUMNS]
    import pandas as pd

    described = pd.DataFrame(rows, columns=["name", "zh", "en"])
    _fill(book.create_sheet(SHEETS["columns"][column]), list(described.columns), described)
    with atomic_write(path) as temporary:
        book.save(temporary)


def _fill(sheet: Any, titles: list[str], table: pd.DataFrame) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    sheet.append(titles)
    for row in table.itertuples(index=False):
        sheet.append([_cell(value) for value in row])
    for index, title in enumerate(titles, 1):
        head = sheet.cell(1, index)
        head.font = Font(bold=True, color="FFFFFF")
        head.fill = PatternFill("solid", fgColor="1F4E79")
        head.alignment = Alignment(vertical="center", wrap_text=True)
        texts = [str(v) for v in table.iloc[:200, index - 1] if not _absent(v)]
        widest = max([_width(title), *map(_width, texts)], default=8)
        sheet.column_dimensions[get_column_letter(index)].width = min(48, max(9, widest + 2))
    sheet.freeze_panes = "A2"
    if titles:
        sheet.auto_filter.ref = f"A1:{get_column_letter(len(titles))}{max(1, len(table) + 1)}"


def _width(text: str) -> int:
    """Columns a text needs: a Chinese letter takes two."""
    return sum(2 if ord(letter) > 0x2E80 else 1 for letter in text)


def _cell(value: Any) -> Any:
    """Value as a workbook holds it: numbers and dates as such, text that cannot be taken for a formula."""
    import numpy as np
    import pandas as pd

    if _absent(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, pd.Timestamp):
        return value.tz_localize(None).to_pydatetime()
    if isinstance(value, bool | int | float):
        return value
    text = str(value)
    return "'" + text if text[:1] in "=+@" else text
