"""Annexes beside the report: a workbook of named sheets for people, a GeoPackage for a GIS."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.paths import atomic_write
from workbench.reporting.export import COLUMNS

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from workbench.evaluation.checkup import Checkup

SHEETS: dict[str, tuple[str, str]] = {
    "indicators": ("指标总表", "Indicators"),
    "districts": ("分区指标", "Indicators by district"),
    "definitions": ("释义", "Definitions"),
    "warnings": ("预警清单", "Warnings"),
    "cases": ("疑似图斑清单", "Suspected patches"),
    "image_cases": ("影像疑似问题清单", "Cases found in images"),
    "missing": ("缺数据指标", "Indicators without data"),
    "layers": ("数据清单", "Layers"),
}
"""Sheets of the workbook, in their order."""
TITLES: dict[str, tuple[str, str]] = {
    "dimension": ("维度", "Dimension"),
    "indicator": ("指标编号", "Indicator id"),
    "title": ("指标", "Indicator"),
    "definition": ("含义", "Meaning"),
    "method": ("方法说明", "Method"),
    "formula": ("公式（程序名）", "Formula"),
    "parameters": ("参数", "Parameters"),
    "calculation": ("计算式（引自指标来源表）", "Calculation"),
    "scope": ("范围", "Scope"),
    "unit": ("单位", "Unit"),
    "last_year": ("上年值", "Last year"),
    "value": ("现状值", "Value"),
    "change": ("变化量", "Change"),
    "target_year": ("目标年", "Target year"),
    "target": ("目标值", "Target"),
    "level": ("预警等级", "Warning level"),
    "message": ("说明", "Message"),
    "place": ("位置", "Place"),
    "reason": ("原因", "Reason"),
    "holder": ("通常持有部门", "Usual holder"),
    "unlocks": ("补齐后可计算", "Would unlock"),
    "rank": ("序", "No."),
    "space_code": ("空间码", "Space code"),
    "matter": ("疑似事项", "Matter"),
    "probability": ("变化概率", "Probability of change"),
    "priority": ("优先度", "Priority"),
    "survey_case": ("同一处的变更调查图斑", "Case of the survey on the place"),
    "survey_code": ("该图斑空间码", "Its space code"),
    "role": ("数据层", "Layer"),
    "source": ("来源", "Source"),
    "licence": ("许可", "Licence"),
    "sha256": ("校验值", "SHA-256"),
}
"""Column titles of the workbook beside those of the value workbook."""
INDICATOR_COLUMNS = ("dimension", "indicator", "title", "scope", "unit", "last_year", "value", "change", "target_year", "target", "level", "tier", "data_date", "value_id")  # fmt: skip
CASE_COLUMNS = ("finding_id", "space_code", "line", "district", "unit_code", "before", "after", "date_before", "date_after", "area_m2", "share", "permit_state", "level", "status", "clause")  # fmt: skip
LAYER_COLUMNS = ("role", "year", "source", "licence", "date", "tier", "sensitivity", "sha256")
FORMATS = {
    "area_m2": "#,##0",
    "priority": "#,##0",
    "probability": "0.0%",
    "share": "0.0%",
    "year": "0",
    "target_year": "0",
}
"""Number formats of columns whose decimals no definition states."""


@dataclass(frozen=True)
class Sheet:
    """A table of the workbook with the number format of each cell that has one of its own."""

    table: pd.DataFrame
    formats: Mapping[tuple[int, str], str]


def number_format(decimals: object) -> str:
    """Excel's format for a number of decimals.

    Examples
    --------
    >>> number_format(2), number_format(0)
    ('#,##0.00', '#,##0')
    """
    places = int(decimals) if isinstance(decimals, int | float) and decimals == decimals else 0
    return "#,##0" + ("." + "0" * places if places else "")


def _pick(row: Mapping[str, Any], name: str) -> Any:
    value = row.get(name)
    return None if value is None or value != value else value


def _sheet(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], decimals: Mapping[str, Sequence[object]]
) -> Sheet:
    import pandas as pd

    table = pd.DataFrame(
        [{name: _pick(row, name) for name in columns} for row in rows], columns=list(columns)
    )
    formats = {
        (at, name): number_format(places)
        for name, listed in decimals.items()
        for at, places in enumerate(listed)
    }
    return Sheet(table, formats)


def sheets(checkup: Checkup, lang: str) -> dict[str, Sheet]:
    """Tables of the workbook by sheet."""
    from workbench.reporting.annex_images import COLUMNS as IMAGE_COLUMNS
    from workbench.reporting.annex_images import image_rows
    from workbench.views.cells import scope_label
    from workbench.views.numbers import find, reason_text
    from workbench.views.rows import definition_of, in_order, target_row, worst_levels
    from workbench.views.text import dimension_label, plain, unit_label

    levels, rows, missing = worst_levels(checkup), [], []
    for row in in_order(checkup):
        name = str(row["indicator"])
        definition = definition_of(checkup, name)
        before = find(checkup, name, level="city", zone=str(row["zone"]), year=checkup.year - 1)
        target = target_row(checkup, name) or {}
        last = None if before is None else _pick(before, "value")
        now = _pick(row, "value")
        common = {
            "dimension": dimension_label(row["dimension"], lang),
            "indicator": name,
            "title": getattr(definition, f"title_{lang}", name),
        }
        rows.append(
            common
            | {
                "scope": str(scope_label(definition, lang)),
                "unit": unit_label(str(row["unit"]), lang),
                "last_year": last,
                "value": now,
                "change": None if now is None or last is None else now - last,
                "target_year": target.get("year"),
                "target": target.get("value"),
                "level": plain(f"level.{levels[name]}", lang) if levels.get(name, -1) >= 0 else None,
                "tier": tier_word(row["tier"], lang),
                "data_date": row["data_date"],
                "value_id": row["value_id"],
                "decimals": row["decimals"],
            }
        )
        if now is None:
            texts = {
                key: getattr(definition, f"{key}_{lang}", getattr(definition, key, ""))
                for key in ("holder", "unlocks")
            }
            missing.append(common | {"reason": reason_text(row, lang)} | texts)
    places = [row["decimals"] for row in rows]
    found = {
        "indicators": _sheet(
            rows, INDICATOR_COLUMNS, dict.fromkeys(("last_year", "value", "change", "target"), places)
        ),
        "districts": _district_sheet(checkup, lang),
        "definitions": _definition_sheet(checkup, lang),
        "warnings": _warning_sheet(checkup, lang),
        "cases": _case_sheet(checkup, lang),
        "image_cases": _sheet(image_rows(checkup, lang), IMAGE_COLUMNS, {}),
        "missing": _sheet(missing, ("dimension", "indicator", "title", "reason", "holder", "unlocks"), {}),
        "layers": _layer_sheet(checkup, lang),
    }
    return {name: sheet for name, sheet in found.items() if len(sheet.table)}


def _district_sheet(checkup: Checkup, lang: str) -> Sheet:
    from workbench.views.rows import definition_of, district_names, in_order
    from workbench.views.text import unit_label

    names = district_names(checkup)
    lines: dict[str, dict[str, Any]] = {}
    for row in in_order(checkup, level="district"):
        name = str(row["indicator"])
        line = lines.setdefault(
            name,
            {
                "indicator": name,
                "title": getattr(definition_of(checkup, name), f"title_{lang}", name),
                "unit": unit_label(str(row["unit"]), lang),
                "decimals": row["decimals"],
            },
        )
        line[names.get(str(row["zone"]), str(row["zone"]))] = row["value"]
    rows = list(lines.values())
    zones = list(dict.fromkeys(names.values()))
    places = [row["decimals"] for row in rows]
    return _sheet(rows, ("indicator", "title", "unit", *zones), dict.fromkeys(zones, places))


def _definition_sheet(checkup: Checkup, lang: str) -> Sheet:
    """What each value means and how it was computed, with the calculation and formula for those who compute it again."""
    from workbench.views.annex import denominator_words
    from workbench.views.cells import localised, method_of
    from workbench.views.rows import definition_of, in_order

    rows = []
    for row in in_order(checkup):
        definition = definition_of(checkup, str(row["indicator"]))
        method = None if _pick(row, "value") is None else method_of(row, definition)
        rows.append(
            {
                "indicator": row["indicator"],
                "title": getattr(definition, f"title_{lang}", row["indicator"]),
                "definition": localised(definition, "definition", lang),
                "denominator": denominator_words(row, definition, lang) or None,
                "method": getattr(method, f"note_{lang}", "") or None,
                "formula": getattr(method, "formula", None),
                "parameters": json.dumps(
                    dict(getattr(method, "parameters", {})), ensure_ascii=False, default=str
                ),
                "calculation": getattr(definition, "calculation", None),
                "value_id": row["value_id"],
            }
        )
    columns = (
        "indicator",
        "title",
        "definition",
        "denominator",
        "method",
        "formula",
        "parameters",
        "calculation",
    )
    return _sheet(rows, (*columns, "value_id"), {})


def _warning_sheet(checkup: Checkup, lang: str) -> Sheet:
    from workbench.views.numbers import records
    from workbench.views.rows import definition_of, warnings_of
    from workbench.views.text import plain, unit_label

    decimals = dict(zip(checkup.values["value_id"], checkup.values["decimals"], strict=True))
    rows = []
    for row in records(warnings_of(checkup)):
        name = str(row["indicator"] or "")
        rows.append(
            {
                **row,
                "level": plain(f"level.{int(row['level'])}", lang),
                "title": getattr(definition_of(checkup, name), f"title_{lang}", name),
                "place": row["zone_name"],
                "unit": unit_label(str(row["unit"] or ""), lang),
                "message": row[f"message_{lang}"],
                "places": 0 if row["kind"] == "freshness" else decimals.get(row.get("value_id"), 2),
            }
        )
    places = [row["places"] for row in rows]
    columns = (
        "level",
        "rule",
        "indicator",
        "title",
        "place",
        "value",
        "threshold",
        "unit",
        "message",
        "clause",
        "value_id",
    )
    return _sheet(rows, columns, dict.fromkeys(("value", "threshold"), places))


def _case_sheet(checkup: Checkup, lang: str) -> Sheet:
    from workbench.views.cells import role_label, word
    from workbench.views.numbers import records
    from workbench.views.rows import cases_of, district_names
    from workbench.views.text import plain

    districts = district_names(checkup)
    rows = []
    for row in records(cases_of(checkup)):
        words = {
            name: str(word(name.removesuffix("_state"), row.get(name), lang))
            for name in ("permit_state", "status")
        }
        rows.append(
            {
                **row,
                **words,
                "line": str(role_label(str(row["line"]), lang)),
                "district": districts.get(str(row.get("district")), row.get("district")),
                "level": plain(f"level.{int(row['level'])}", lang),
            }
        )
    return _sheet(rows, CASE_COLUMNS, {})


def _layer_sheet(checkup: Checkup, lang: str) -> Sheet:
    from workbench.views.cells import role_label
    from workbench.views.text import has, plain

    rows = []
    for role in checkup.city.layers:
        years: Sequence[int | None] = list(checkup.data.years(role)) or [None]
        for year in years:
            if checkup.data.has(role, year):
                source = checkup.data.source(role, year)
                row = {name: getattr(source, name, None) for name in LAYER_COLUMNS}
                key = f"sensitivity.{source.sensitivity}"
                row |= {
                    "role": str(role_label(role, lang)),
                    "year": year,
                    "tier": tier_word(source.tier, lang),
                    "sensitivity": plain(key, lang) if has(key) else source.sensitivity,
                }
                rows.append(row)
    return _sheet(rows, LAYER_COLUMNS, {})


def write_workbook(path: Path, tables: Mapping[str, Sheet], lang: str, title: str = "") -> Path:
    """Write the workbook: named sheets, printed on landscape A4 with repeated heads, numbers with their decimals."""
    from openpyxl import Workbook
    from openpyxl.workbook.defined_name import DefinedName

    column = 1 if lang == "en" else 0
    book = Workbook()
    book.remove(book.active)
    for name, made in tables.items():
        sheet = book.create_sheet(SHEETS[name][column])
        titles = [TITLES.get(c, COLUMNS.get(c, (c, c)))[column] for c in made.table.columns]
        _fill(sheet, titles, made, title)
        book.defined_names[name] = DefinedName(name, attr_text=f"'{sheet.title}'!{_absolute(sheet)}")
    book.properties.title, book.properties.creator = title or None, "workbench"
    with atomic_write(path) as temporary:
        book.save(temporary)
    return path


def _absolute(sheet: Any) -> str:
    from openpyxl.utils import get_column_letter

    return f"$A$1:${get_column_letter(sheet.max_column)}${sheet.max_row}"


def _fill(sheet: Any, titles: Sequence[str], made: Sheet, title: str) -> None:
    from openpyxl.styles import Alignment, Border, Font, PatternFill, Side

    from workbench.reporting.export import _cell, _width

    font = "宋体"
    rule = Border(bottom=Side(style="thin", color="D5DBE1"))
    sheet.append(list(titles))
    for at, row in enumerate(made.table.itertuples(index=False)):
        sheet.append([_cell(value) for value in row])
        for index, name in enumerate(made.table.columns, 1):
            cell = sheet.cell(at + 2, index)
            shape = made.formats.get((at, name)) or FORMATS.get(name)
            if isinstance(cell.value, int | float) and shape:
                cell.number_format = shape
            elif hasattr(cell.value, "year"):
                cell.number_format = "yyyy-mm-dd"
            cell.font, cell.border = Font(name=font, size=10), rule
            cell.alignment = Alignment(vertical="top", wrap_text=isinstance(cell.value, str))
    for index, text in enumerate(titles, 1):
        head = sheet.cell(1, index)
        head.font = Font(name="黑体", bold=True, color="FFFFFF", size=10)
        head.fill = PatternFill("solid", fgColor="1F4E79")
        head.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
        widest = max(
            [
                _width(text),
                *(
                    _width(str(v))
                    for v in made.table.iloc[:300, index - 1]
                    if _pick({"v": v}, "v") is not None
                ),
            ]
        )
        sheet.column_dimensions[head.column_letter].width = min(42, max(8, widest + 2))
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = _absolute(sheet).replace("$", "")
    sheet.print_title_rows = "1:1"
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", 9
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.oddHeader.center.text, sheet.oddFooter.center.text = f"{title} {sheet.title}".strip(), "&P / &N"


def district_layer(checkup: Checkup) -> gpd.GeoDataFrame | None:
    """Districts with a column an indicator (its id, ``-`` and ``.`` as ``_``); None where the city has none."""
    import geopandas as gpd
    import pandas as pd

    from workbench.views.rows import in_order

    if "district" not in checkup.city.levels:
        return None
    zones = checkup.data.zones("district")[["code", "name", "geometry"]].copy()
    columns: dict[str, dict[str, float]] = {}
    for row in in_order(checkup, level="district"):
        columns.setdefault(str(row["indicator"]), {})[str(row["zone"])] = row["value"]
    codes = zones["code"].astype(str)
    found = pd.DataFrame(
        {field_name(name): codes.map(values) for name, values in columns.items()}, zones.index
    )
    return gpd.GeoDataFrame(pd.concat([zones, found], axis=1), geometry="geometry", crs=zones.crs)


def field_name(indicator: str) -> str:
    """Name of an indicator's field in the GeoPackage.

    Examples
    --------
    >>> field_name("SDG-11.3.1")
    'SDG_11_3_1'
    """
    return indicator.replace("-", "_").replace(".", "_")


def write_geopackage(path: Path, checkup: Checkup, lang: str, *, with_districts: bool = True) -> Path | None:
    """Write the GeoPackage: layers ``cases``, ``image_cases`` and ``indicators_by_district``, table ``indicators`` of the fields.

    Returns
    -------
    Path or None
        None when there is nothing with a shape.
    """
    import geopandas as gpd
    import pandas as pd
    import pyogrio

    from workbench.reporting.annex_images import image_cases
    from workbench.reporting.export import _storable
    from workbench.views.rows import cases_of, definition_of

    cases = cases_of(checkup)
    layers: dict[str, Any] = {}
    if len(cases):
        shaped = gpd.GeoDataFrame(cases, geometry="geometry", crs=checkup.city.crs)
        layers["cases"] = _storable(shaped[shaped.geometry.notna() & ~shaped.geometry.is_empty])
    seen = image_cases(checkup)
    if seen is not None:
        layers["image_cases"] = _storable(seen)
    zones = district_layer(checkup) if with_districts else None
    if zones is not None and len(zones.columns) > 3:
        layers["indicators_by_district"] = zones
        ids = sorted(set(checkup.values.loc[checkup.values["level"] == "district", "indicator"]))
        rows = [(field_name(i), i, getattr(definition_of(checkup, i), f"title_{lang}", i)) for i in ids]
        units = dict(zip(checkup.values["indicator"], checkup.values["unit"], strict=True))
        table = pd.DataFrame(rows, columns=["field", "indicator", "title"])
        layers["indicators"] = table.assign(unit=table["indicator"].map(units))
    if not layers:
        return None
    with atomic_write(path) as temporary:
        temporary.unlink(missing_ok=True)
        for at, (name, layer) in enumerate(layers.items()):
            pyogrio.write_dataframe(layer, temporary, layer=name, driver="GPKG", append=at > 0)
    return path


def public_checkup(checkup: Checkup) -> Checkup:
    """The checkup with what the public may see: public values, no cases (nor those of images), findings on public values, public layers."""
    from dataclasses import replace

    from workbench.reporting.edition import PUBLIC, public_values

    values = public_values(checkup.values)
    shown = values.loc[values["value"].notna(), "value_id"]
    findings = checkup.findings[
        checkup.findings["value_id"].isin(shown) & (checkup.findings["kind"] != "spatial_conflict")
    ]
    layers = {role: spec for role, spec in checkup.city.layers.items() if spec.sensitivity == PUBLIC}
    kept = {level: spec for level, spec in checkup.city.levels.items() if spec.role in layers}
    city = checkup.city.model_copy(update={"layers": layers, "levels": kept, "interpretation": None})
    return replace(checkup, city=city, values=values, findings=findings)


def tier_word(tier: object, lang: str) -> str:
    """Word for a tier; empty for a value that is missing."""
    from workbench.views.text import has, plain

    return plain(f"tier.{tier}", lang) if has(f"tier.{tier}") else str(tier or "")
