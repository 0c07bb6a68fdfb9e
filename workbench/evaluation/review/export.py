"""Results of reviews as GeoPackage and workbook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd

from workbench.core.paths import atomic_write
from workbench.evaluation.review.items import VERDICTS, Review
from workbench.evaluation.review.reviewer import tables

if TYPE_CHECKING:
    from workbench.evaluation.review.conditions_of import Conditions

HEADS = {
    "name": "名称", "proposal": "名称", "use": "地类编码", "use_zh": "拟议用途", "project": "项目代码", "verdict": "结论",
    "conclusion_zh": "审查结论", "area_m2": "面积（平方米）", "area_mu": "面积（亩）", "district": "行政区", "unit": "规划单元",
    "conflicts": "冲突项", "needs": "需办理项", "not_checked": "未核查项", "complies": "符合项", "rule": "规则", "layer": "图层",
    "share": "占比", "tolerated_m2": "容差内面积（平方米）", "features": "涉及要素", "clause": "依据", "title_zh": "审查内容",
    "message_zh": "说明", "needs_zh": "所需手续", "name_zh": "图层", "date": "数据日期", "update_cycle": "更新周期",
    "source": "来源", "holder": "数据单位", "state": "状态",
}  # fmt: skip
"""Headings of the workbook in Chinese, by column."""
STATES = {"current": "在周期内", "old": "已超期", "undated": "未注明日期"}


def write_geopackage(reviews: Sequence[Review], path: Path | str) -> Path:
    """Write reviews as a GeoPackage: layers ``proposals`` and ``items`` (shapes concerned), table ``items_all``.

    Parameters
    ----------
    reviews : sequence of Review
        At least one.
    path : Path
        File to write; it is whole or not there.
    """
    import pyogrio

    heads, items = tables(reviews, reviews[0].city)
    shaped = items[items.geometry.notna()]
    layers: dict[str, Any] = {"proposals": heads, "items_all": pd.DataFrame(items.drop(columns="geometry"))}
    if len(shaped):
        layers["items"] = gpd.GeoDataFrame(shaped, geometry="geometry", crs=items.crs)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.unlink(missing_ok=True)
        for at, (name, layer) in enumerate(layers.items()):
            more: dict[str, Any] = {"promote_to_multi": True} if isinstance(layer, gpd.GeoDataFrame) else {}
            pyogrio.write_dataframe(layer, temporary, layer=name, driver="GPKG", append=at > 0, **more)
    return path


def write_workbook(reviews: Sequence[Review], path: Path | str, lang: str = "zh") -> Path:
    """Write reviews as a workbook: proposals, every item, and the layers with their dates.

    Parameters
    ----------
    reviews : sequence of Review
        At least one.
    path : Path
        File to write; it is whole or not there.
    lang : {"zh", "en"}
        Language of headings and texts.
    """
    heads, items = tables(reviews, reviews[0].city)
    other = "_en" if lang == "zh" else "_zh"
    english = lang == "en"
    sheets = {
        ("审查结论", "proposals")[english]: heads.drop(columns="geometry"),
        ("逐项结论", "items")[english]: items.drop(columns="geometry"),
        ("数据现势性", "data")[english]: reviews[0].sources,
    }
    made = {}
    for name, frame in sheets.items():
        shown = pd.DataFrame(frame)[[c for c in frame.columns if not str(c).endswith(other)]].copy()
        if "verdict" in shown:
            shown["verdict"] = [VERDICTS[one][english] for one in shown["verdict"]]
        if "state" in shown and not english:
            shown["state"] = shown["state"].map(STATES)
        made[name] = shown if english else shown.rename(columns=HEADS)
    return _workbook(made, Path(path))


def write_conditions(found: Conditions, path: Path | str, lang: str = "zh") -> Path:
    """Write planning conditions as a workbook: the table, and the plots."""
    shown = found.shown(lang)
    if lang == "zh":
        shown = shown.set_axis(["类别", "内容", "条件", "来源或缺失原因"], axis=1)
    return _workbook(
        {("规划条件", "conditions")[lang == "en"]: shown, ("地块", "plots")[lang == "en"]: found.plots},
        Path(path),
    )


def _workbook(sheets: dict[str, pd.DataFrame], path: Path) -> Path:
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    book = Workbook()
    book.remove(book.worksheets[0])
    for name, frame in sheets.items():
        sheet = book.create_sheet(name)
        sheet.append([str(column) for column in frame.columns])
        for row in frame.itertuples(index=False):
            sheet.append([_plain(value) for value in row])
        for at, column in enumerate(frame.columns, 1):
            head = sheet.cell(1, at)
            head.font, head.fill = Font(bold=True, color="FFFFFF"), PatternFill("solid", fgColor="1F4E79")
            texts = [str(value) for value in frame[column].head(200)]
            longest = max([2 * len(str(column)), *(2 * len(text) for text in texts)], default=8)
            sheet.column_dimensions[get_column_letter(at)].width = min(60, max(9, 0.6 * longest + 2))
            for cell in sheet[get_column_letter(at)][1:]:
                cell.alignment = Alignment(vertical="top", wrap_text=isinstance(cell.value, str))
                if isinstance(cell.value, float):
                    cell.number_format = "0.0%" if str(column) in ("share", "占比") else "#,##0.00"
        sheet.freeze_panes = "B2"
        sheet.auto_filter.ref = sheet.dimensions
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        book.save(temporary)
    return path


def _plain(value: Any) -> Any:
    """Value as a workbook takes it; missing ones are empty."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    if hasattr(value, "item"):
        return value.item()
    return value
