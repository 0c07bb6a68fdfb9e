"""The list of cases that goes to the field and comes back with verdicts, as GPKG or xlsx.

Field names are those of change-patch tables (JCBH, XZQDM, TBLX, DLBM, MJ, QSX, HSX, SFYN, SFHX …) where these have one;
fields they have and nothing here knows are left empty, so that the list can be appended to such a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile

import geopandas as gpd
import openpyxl
import pandas as pd
import pyogrio
import shapely
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.datavalidation import DataValidation

from workbench.core.codes import names
from workbench.core.errors import DataQualityError, ParameterError
from workbench.core.paths import atomic_write
from workbench.operators.area import area_m2
from workbench.rules.activities import activities
from workbench.rules.library import load_rules
from workbench.rules.patches import class_names
from workbench.rules.register import SETTLING, STATUSES, VERDICTS, Register
from workbench.rules.rule import LEVELS
from workbench.rules.shapes import shared, united
from workbench.rules.space_code import is_valid

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

SHEET = "疑似图斑清单"
LAYER = "cases"
FIELDS: dict[str, str] = {
    "OBJECTID": "序号", "KJM": "空间码", "JCBH": "监测图斑编号", "ALBH": "案件编号", "XZQDM": "行政区代码",
    "XMC": "县名称", "GHDY": "规划单元", "TBLX": "图斑类型（后地类）", "TBLXMC": "图斑类型名称", "DLBM": "前地类编码",
    "DLMC": "前地类名称", "MJ": "面积（平方米）", "MS": "面积（亩）", "QSX": "前时相", "HSX": "后时相", "KZX": "控制线",
    "DJ": "预警等级", "YNMJ": "占永久基本农田面积", "HXMJ": "占生态保护红线面积", "BJWMJ": "城镇开发边界外面积",
    "SFYN": "是否占永久基本农田", "SFHX": "是否占生态保护红线", "SPPP": "审批匹配", "SPZT": "审批状态",
    "YXQZ": "许可有效期至", "XMDM": "项目代码", "BDCDYH": "不动产单元代码", "DZJGH": "电子监管号", "LY": "来源",
    "FXRQ": "发现日期", "TZ": "特征", "DDTC": "单独图层", "JSYDXZ": "建设用地性质", "CZCSXM": "城镇村属性码",
    "ZZSXDM": "种植属性代码", "ZZSXMC": "种植属性名称", "TBXHDM": "图斑细化代码", "TBXHMC": "图斑细化名称",
    "HDLX": "活动类型", "ZT": "状态", "HCJL": "核查结论", "HCR": "核查人", "HCRQ": "核查日期", "BZ": "备注",
}  # fmt: skip
"""Fields of the list and their names. Those of :data:`FILL` are filled in by the person who checks."""
FILL = ("HDLX", "ZT", "HCJL", "HCR", "HCRQ", "BZ")
"""Fields that are read back."""
MATCH = {"已批": "是", "不确定": "不确定"}
FINDINGS = [
    "file", "row", "space_code", "field", "problem", "level", "found", "expected", "message_zh", "message_en",
]  # fmt: skip
"""Columns of what :func:`take` finds; level ``error`` (the row was not taken) or ``warning``."""
PROBLEMS: dict[str, tuple[str, str, str]] = {
    "wrong_code": ("error", "空间码有误（校验位不符）", "the space code is wrong (check digit)"),
    "unknown_code": ("error", "案件库中无此空间码", "no case of the register has this space code"),
    "duplicate": ("error", "同一空间码出现多次", "the space code appears more than once"),
    "unknown_status": ("error", "状态不在规定值内", "unknown status"),
    "backwards": ("error", "状态倒退", "the status goes backwards"),
    "unknown_verdict": ("error", "核查结论不在规定值内", "unknown verdict"),
    "no_verdict": ("error", "缺少支持该状态的核查结论", "no verdict that allows this status"),
    "status_due": (
        "error",
        "已有核查结论，状态应为核查或以后",
        "there is a verdict, so the status is 核查 or later",
    ),
    "unknown_activity": ("error", "活动类型不在规定值内", "unknown activity"),
    "no_person": ("error", "缺少核查人", "the person is missing"),
    "no_date": ("error", "缺少核查日期", "the date is missing"),
    "bad_date": ("error", "日期无法识别", "not a date"),
    "date_order": (
        "error",
        "日期早于发现或上一步的日期",
        "the date lies before the case was found or its last step",
    ),
    "future": ("error", "日期晚于接收日期", "the date lies in the future"),
    "area_changed": ("warning", "面积被改动，未采用", "the area was changed; not taken"),
    "shape_changed": ("warning", "图形被改动，未采用", "the shape was changed; not taken"),
}
"""Problem -> level and sentences."""
_CODE_ZH = "请从原清单复制该行的空间码，不要手工录入"
_CODE_EN = "copy the code of the row from the list that was sent out"
_CHOOSE_ZH, _CHOOSE_EN = "请从下拉框中选择", "choose one of the list"
NEXT: dict[str, tuple[str, str]] = {
    "wrong_code": (_CODE_ZH, _CODE_EN),
    "unknown_code": (
        "请核对是否为本市清单；" + _CODE_ZH,
        "see whether the list is of this city; " + _CODE_EN,
    ),
    "duplicate": ("请只保留一行，删去其余", "keep one of the rows"),
    "unknown_status": (_CHOOSE_ZH, _CHOOSE_EN),
    "backwards": ("请填当前或以后的状态；确需退回的另行登记新案件", "give the present status or a later one"),
    "unknown_verdict": (_CHOOSE_ZH, _CHOOSE_EN),
    "no_verdict": ("请填写核查结论，或将状态改回", "fill in the verdict, or put the status back"),
    "status_due": ("请将状态改为“核查”", "set the status to 核查"),
    "unknown_activity": (_CHOOSE_ZH, _CHOOSE_EN),
    "no_person": ("请填写核查人姓名", "fill in who checked"),
    "no_date": ("请填写核查日期", "fill in the day of the check"),
    "bad_date": ("请按年-月-日填写", "write it as year-month-day"),
    "date_order": ("请核对核查日期", "correct the day of the check"),
    "future": (
        "请核对核查日期，或以实际接收日期重新接收",
        "correct the day, or take the list with --on its real day",
    ),
    "area_changed": (
        "无须处理；图形和面积以案件库为准",
        "nothing to do; shape and area are those of the register",
    ),
    "shape_changed": (
        "无须处理；图形和面积以案件库为准",
        "nothing to do; shape and area are those of the register",
    ),
}
"""Problem -> what to do, in Chinese and English."""


class Taken(NamedTuple):
    """What became of a list that came back."""

    findings: pd.DataFrame
    """Columns :data:`FINDINGS`, one row a problem."""
    taken: int
    """Cases of which something new was recorded."""
    refused: int
    """Rows with an error; nothing of them was recorded."""
    unchanged: int
    """Rows that say nothing new."""


def export(register: Register, path: Path, *, districts: Mapping[str, str] | None = None) -> Path:
    """Write the list of cases.

    Parameters
    ----------
    register : Register
        The city's register.
    path : Path
        ``.xlsx`` (fields and their names in two rows, drop-downs for what is filled in) or ``.gpkg`` (layer ``cases``).
    districts : mapping of str to str, optional
        Names of the districts by code, for the field ``XMC``.

    Returns
    -------
    Path

    Raises
    ------
    ParameterError
        Another kind of file.
    """
    table = listed(register, districts)
    if path.suffix.lower() == ".gpkg":
        with atomic_write(path) as temporary:
            temporary.unlink()
            pyogrio.write_dataframe(table, temporary, layer=LAYER, driver="GPKG", promote_to_multi=True)
    elif path.suffix.lower() == ".xlsx":
        with atomic_write(path) as temporary:
            _write_xlsx(pd.DataFrame(table.drop(columns="geometry")), temporary)
    else:
        raise ParameterError("unknown kind of file", found=path.name, expected=".xlsx or .gpkg")
    return path


def listed(register: Register, districts: Mapping[str, str] | None = None) -> gpd.GeoDataFrame:
    """Cases of a register with the fields of :data:`FIELDS` and their shapes; districts are named where names are given."""
    cases = register.cases
    text = class_names("zh")
    own = names("zh")

    def day(name: str) -> list[str]:
        return [one.strftime("%Y-%m-%d") if pd.notna(one) else "" for one in cases[name]]

    table = pd.DataFrame({name: [""] * len(cases) for name in FIELDS}, dtype=object)
    plain = {
        "KJM": "space_code", "JCBH": "patch_id", "ALBH": "finding_id", "XZQDM": "district", "GHDY": "unit_code",
        "TBLX": "after", "DLBM": "before", "SPZT": "permit_state", "XMDM": "project_code", "BDCDYH": "unit_no",
        "DZJGH": "supervision_no", "HDLX": "activity_type", "ZT": "status", "HCJL": "verdict",
        "HCR": "person", "BZ": "note",
    }  # fmt: skip
    for field, name in plain.items():
        table[field] = cases[name].to_numpy(dtype=object)
    table["XMC"] = [(districts or {}).get(str(code), "") for code in cases["district"]]
    table["OBJECTID"] = range(1, len(cases) + 1)
    rules = load_rules()
    known = [rules.get(rule) for rule in cases["rule"]]
    table["KZX"] = [rule.line_zh if rule else line for rule, line in zip(known, cases["line"], strict=True)]
    table["TZ"] = [rule.title_zh if rule else "" for rule in known]
    table["TBLXMC"] = [text.get(code, "") for code in cases["after"]]
    table["DLMC"] = [own.get(code, "") for code in cases["before"]]
    table["MJ"] = cases["area_m2"].round(2).to_numpy()
    table["MS"] = (cases["area_m2"] * 15 / 10_000).round(2).to_numpy()
    table["QSX"], table["HSX"], table["FXRQ"] = day("date_before"), day("date_after"), day("found_on")
    table["YXQZ"] = day("permit_end")
    moved = cases["status"] != STATUSES[0]
    table["HCRQ"] = [one if step else "" for one, step in zip(day("status_on"), moved, strict=True)]
    table["DJ"] = [LEVELS[level].zh for level in cases["level"]]
    table["SPPP"] = [MATCH.get(state, "否") for state in cases["permit_state"]]
    table["LY"] = (
        cases["source"]
        .map({"survey": "变更调查", "image": "遥感影像", "detected": "影像解译"})
        .fillna("")
        .to_numpy(dtype=object)
    )
    for field, line in (
        ("YNMJ", "permanent_farmland"),
        ("HXMJ", "ecological_red_line"),
        ("BJWMJ", "development_boundary"),
    ):
        table[field] = _on_line(cases, line)
    table["SFYN"] = ["是" if area > 0 else "否" for area in table["YNMJ"]]
    table["SFHX"] = ["是" if area > 0 else "否" for area in table["HXMJ"]]
    return gpd.GeoDataFrame(table, geometry=cases.geometry.to_numpy(), crs=cases.crs)


def _on_line(cases: gpd.GeoDataFrame, line: str) -> Any:
    """Area of each case that cases of a line cover, m² on the ellipsoid."""
    shapes = cases.geometry.to_numpy()
    i, _, pieces, _ = shared(shapes, shapes[(cases["line"] == line).to_numpy()])
    return area_m2(united(pieces, i, len(shapes)), cases.crs).round(2)


def _write_xlsx(table: pd.DataFrame, path: Path) -> None:
    book = openpyxl.Workbook()
    sheet: Worksheet = book.active
    sheet.title = SHEET
    sheet.append(list(table.columns))
    sheet.append([FIELDS[name] for name in table.columns])
    for row in table.itertuples(index=False):
        sheet.append([None if value == "" else value for value in row])
    for line in sheet.iter_rows(min_row=3):
        for cell in line:
            if cell.data_type == "f":  # text that begins with "=" is text
                cell.data_type = "s"
    for column, name in enumerate(table.columns, 1):
        letter = get_column_letter(column)
        sheet.column_dimensions[letter].width = 26 if name in ("KJM", "BZ") else 14
        for row_number in (1, 2):
            cell = sheet.cell(row_number, column)
            cell.font = Font(bold=True)
            if name in FILL:
                cell.fill = PatternFill("solid", start_color="FFF2CC")
    sheet.freeze_panes = "C3"
    lists = {"ZT": STATUSES, "HCJL": VERDICTS, "HDLX": tuple(activities())}
    for name, values in lists.items():
        letter = get_column_letter(list(table.columns).index(name) + 1)
        check = DataValidation(type="list", formula1=f'"{",".join(values)}"', allow_blank=True)
        sheet.add_data_validation(check)
        check.add(f"{letter}3:{letter}{max(len(table) + 2, 3)}")
    book.save(path)


def take(register: Register, path: Path, *, on_date: Any = None) -> pd.DataFrame:
    """Problems of a list that came back, which :func:`take_list` records."""
    return take_list(register, path, on_date=on_date).findings


def take_list(register: Register, path: Path, *, on_date: Any = None) -> Taken:
    """Read verdicts from a list that came back, and record those that are in order. Saved at once.

    Parameters
    ----------
    register : Register
        The city's register.
    path : Path
        The list, ``.xlsx`` or ``.gpkg``, with the field ``KJM`` and those of :data:`FILL`.
    on_date : date, optional
        Day on which it came back: later dates are refused. No limit when not given.

    Returns
    -------
    Taken
        Its findings have one row a problem; a row of the list with an error is left out, the others count. Rows that say
        nothing new leave nothing.

    Raises
    ------
    DataQualityError
        The file cannot be read or lacks a field.
    ParameterError
        Another kind of file.
    """
    rows = _read(path)
    limit = pd.Timestamp(on_date) if on_date is not None else None
    cases = register.cases.set_index("space_code")
    counts = rows["KJM"].value_counts()
    found: list[dict[str, Any]] = []
    taken = refused = unchanged = 0
    shapes = united_shapes(rows, register)
    plain = pd.DataFrame(rows).drop(columns="geometry", errors="ignore")
    for record in plain.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        code = str(row["KJM"])
        if not code and not any(row[name] for name in FILL):
            continue
        note = {"file": path.name, "row": int(row["row"]), "space_code": code}
        problems = _code_problems(code, cases.index, counts)
        if not problems:
            case = cases.loc[code]
            problems = check_row(row, case, limit)
            _warn(row, case, shapes.get(code), found, note)
            if not problems and not _says_more(row, case):
                unchanged += 1
            elif not problems:
                taken += 1
                register.step(
                    code,
                    row["ZT"] or case["status"],
                    person=row["HCR"],
                    on_date=row["HCRQ"],
                    verdict=row["HCJL"],
                    note=row["BZ"],
                    activity_type=row["HDLX"],
                )
        refused += bool(problems)
        found += [_finding(note, *problem) for problem in problems]
    register.save()
    return Taken(pd.DataFrame(found, columns=FINDINGS), taken, refused, unchanged)


def _finding(note: Mapping[str, Any], field: str, problem: str, value: Any, expected: str) -> dict[str, Any]:
    level, zh, en = PROBLEMS[problem]
    next_zh, next_en = NEXT[problem]
    name = FIELDS.get(field, "图形")
    told = [f"填的是“{value}”" if str(value) else "未填", *([f"应为{expected}"] if expected else [])]
    facts = [f"found '{value}'" if str(value) else "empty", *([f"expected {expected}"] if expected else [])]
    zh = f"第{note['row']}行“{name}”：{zh}（{'，'.join(told)}）；{next_zh}。"
    en = f"row {note['row']}, {field}: {en} ({', '.join(facts)}); {next_en}."
    return {
        **note, "field": field, "problem": problem, "level": level, "found": str(value), "expected": expected,
        "message_zh": zh, "message_en": en,
    }  # fmt: skip


def _read(path: Path) -> pd.DataFrame:
    """Rows of a list as text, with their number in the file as ``row``."""
    if not path.exists():
        raise DataQualityError("the file does not exist", where=path.name)
    kind = path.suffix.lower()
    if kind == ".xlsx":
        frame = _read_xlsx(path)
    elif kind == ".gpkg":
        layers = list(pyogrio.list_layers(path)[:, 0])
        if LAYER not in layers:
            raise DataQualityError("the layer is missing", where=path.name, found=layers, expected=LAYER)
        frame = gpd.read_file(path, layer=LAYER)
        frame["row"] = range(1, len(frame) + 1)
    else:
        raise ParameterError("unknown kind of file", found=path.name, expected=".xlsx or .gpkg")
    if missing := [name for name in ("KJM", *FILL) if name not in frame]:
        raise DataQualityError(
            "fields are missing", where=path.name, found=missing, expected=", ".join(("KJM", *FILL))
        )
    for name in ("KJM", *FILL):
        frame[name] = [_text(value) for value in frame[name]]
    return frame


def _text(value: Any) -> str:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%d"))
    return str(value).strip()


def _read_xlsx(path: Path) -> pd.DataFrame:
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (OSError, ValueError, KeyError, BadZipFile, InvalidFileException) as error:
        raise DataQualityError("not an Excel workbook", where=path.name, hint="save it as .xlsx") from error
    sheet = book[SHEET] if SHEET in book.sheetnames else book.worksheets[0]
    lines = [(number, [*line]) for number, line in enumerate(sheet.iter_rows(values_only=True), 1)]
    book.close()
    head = next((at for at, (_, line) in enumerate(lines[:10]) if "KJM" in line), None)
    if head is None:
        raise DataQualityError(
            "no row with the field names", where=f"{path.name}, {sheet.title}", expected="KJM, ZT …"
        )
    fields = [str(one or "").strip() for one in lines[head][1]]
    key = fields.index("KJM")
    rows = [
        {"row": number, **dict(zip(fields, line, strict=False))}
        for number, line in lines[head + 1 :]
        if line[key] != FIELDS["KJM"] and any(value is not None for value in line)
    ]
    return pd.DataFrame(rows, columns=["row", *[name for name in fields if name]])


def _code_problems(code: str, known: Any, counts: Any) -> list[tuple[str, str, Any, str]]:
    if code not in known:
        problem = "unknown_code" if is_valid(code) else "wrong_code"
        return [("KJM", problem, code, "空间码")]
    if counts[code] > 1:
        return [("KJM", "duplicate", code, "一次")]
    return []


def _says_more(row: Mapping[str, Any], case: pd.Series[Any]) -> bool:
    """Whether a row has anything that the register does not."""
    now = {
        "ZT": case["status"], "HCJL": case["verdict"], "HCR": case["person"], "BZ": case["note"],
        "HDLX": case["activity_type"],
    }  # fmt: skip
    return any(row[name] and row[name] != value for name, value in now.items())


def check_row(
    row: Mapping[str, Any], case: pd.Series[Any], limit: pd.Timestamp | None
) -> list[tuple[str, str, Any, str]]:
    """Problems of one row of a list as (field, problem, found, expected); none when it may be recorded."""
    status, verdict = row["ZT"] or case["status"], row["HCJL"] or case["verdict"]
    found: list[tuple[str, str, Any, str]] = []
    if status not in STATUSES:
        return [("ZT", "unknown_status", status, "、".join(STATUSES))]
    if verdict and verdict not in VERDICTS:
        found.append(("HCJL", "unknown_verdict", verdict, "、".join(VERDICTS)))
    if row["HDLX"] and row["HDLX"] not in activities():
        found.append(("HDLX", "unknown_activity", row["HDLX"], "、".join(activities())))
    old, new = STATUSES.index(case["status"]), STATUSES.index(status)
    if new < old:
        found.append(("ZT", "backwards", status, f"{case['status']}或以后"))
    elif new > old and (need := _verdict_needed(old, new, verdict)):
        found.append(("HCJL", "no_verdict", verdict, need))
    elif new == 0 and verdict:
        found.append(("ZT", "status_due", status, STATUSES[1]))
    if found or not _says_more(row, case):
        return found
    return _person_and_day(row, case, limit)


def _verdict_needed(old: int, new: int, verdict: str) -> str:
    """Verdicts one of which must be there for a step; empty when the step may be done."""
    if new == 1:
        return "" if verdict else "、".join(VERDICTS)
    if new == 2:
        return "" if verdict == "属实" else "属实"
    done = verdict in SETTLING or (verdict == "属实" and old >= 2)
    return "" if done else "、".join((*SETTLING, "属实（须经整改）"))


def _person_and_day(
    row: Mapping[str, Any], case: pd.Series[Any], limit: pd.Timestamp | None
) -> list[tuple[str, str, Any, str]]:
    found: list[tuple[str, str, Any, str]] = []
    if not row["HCR"]:
        found.append(("HCR", "no_person", "", FIELDS["HCR"]))
    if not row["HCRQ"]:
        return [*found, ("HCRQ", "no_date", "", "2025-12-31")]
    day = pd.to_datetime(row["HCRQ"], errors="coerce")
    if pd.isna(day):
        return [*found, ("HCRQ", "bad_date", row["HCRQ"], "2025-12-31")]
    first = max(case["found_on"], case["status_on"])
    if day < first:
        found.append(("HCRQ", "date_order", row["HCRQ"], f"{first.date()} 或以后"))
    if limit is not None and day > limit:
        found.append(("HCRQ", "future", row["HCRQ"], f"{limit.date()} 或以前"))
    return found


def united_shapes(rows: pd.DataFrame, register: Register) -> dict[str, Any]:
    """Shape of each code in the list, in the register's CRS; empty for lists without shapes."""
    if not isinstance(rows, gpd.GeoDataFrame) or rows.crs is None:
        return {}
    moved = rows.to_crs(register.cases.crs)
    return dict(zip(moved["KJM"], moved.geometry, strict=True))


def _warn(
    row: Mapping[str, Any],
    case: pd.Series[Any],
    shape: Any,
    found: list[dict[str, Any]],
    note: Mapping[str, Any],
) -> None:
    """Note changes of shape and area, which are never taken."""
    try:
        stated = float(row.get("MJ") or case["area_m2"])
    except (TypeError, ValueError):
        stated = float("nan")
    if not abs(stated - case["area_m2"]) <= 0.01:
        found.append(_finding(note, "MJ", "area_changed", stated, f"{case['area_m2']:.2f}"))
    if shape is not None and shapely.hausdorff_distance(shape, case["geometry"]) > 0.01:
        found.append(_finding(note, "geometry", "shape_changed", shape.geom_type, "原图形"))
