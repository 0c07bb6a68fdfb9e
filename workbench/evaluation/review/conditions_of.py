"""Planning conditions of a parcel (规划条件提取): unit, use, limits, lines, obligations, each with its source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core.errors import DataQualityError, ParameterError
from workbench.core.units import MU_M2
from workbench.evaluation.review.items import Review, area_words, square_metres
from workbench.evaluation.review.planned import is_building_land
from workbench.evaluation.review.reviewer import Reviewer
from workbench.evaluation.review.shapes import clean_shape
from workbench.evaluation.review.uses import PLAN, plan_name, plan_survey_class
from workbench.operators.area import area_m2
from workbench.rules.shapes import SPECK_M2, mean_widths

CONDITION_COLUMNS = [
    "topic",
    "item_zh",
    "item_en",
    "value_zh",
    "value_en",
    "source_zh",
    "source_en",
    "reason_zh",
    "reason_en",
]
"""Columns of :attr:`Conditions.table`: a row has a value with its source, or a reason why there is none."""
TOPICS = {
    "place": ("区位", "Place"), "use": ("用途", "Use"), "limits": ("强度与高度", "Intensity and height"),
    "lines": ("控制线", "Lines"), "obligations": ("义务与手续", "Obligations"),
}  # fmt: skip
"""Topics in the order of the table."""
LIMITS = (
    ("far", "容积率", "Floor area ratio", "≤", ""), ("height_m", "建筑高度", "Height of buildings", "≤", " m"),
    ("density_pct", "建筑密度", "Building density", "≤", "%"), ("green_pct", "绿地率", "Green ratio", "≥", "%"),
)  # fmt: skip
NOT_IN_DATA = (
    ("建筑退让", "Setbacks", "城市规划技术管理规定未入库", "the local technical rules are not in the data"),
    ("停车配建", "Parking", "停车配建标准未入库", "the parking standard is not in the data"),
    ("公共服务配套", "Public services", "配套设施清单由详细规划图则确定，未入库", "set by the plan's sheets, which are not in the data"),
)  # fmt: skip
"""What planning conditions state and no layer holds."""


@dataclass(frozen=True)
class Conditions:
    """Planning conditions of one parcel."""

    name: str
    geometry: Any
    review: Review
    """The review on which lines and obligations rest, for the planned use."""
    table: pd.DataFrame
    """Columns :data:`CONDITION_COLUMNS`."""
    plots: pd.DataFrame
    """Plots of the detailed plan that the parcel lies in: ``plot, use, area_m2, far, height_m, density_pct, green_pct``."""

    def shown(self, lang: str) -> pd.DataFrame:
        """The table in a language: ``topic, item, value, source``; a missing value gives its reason instead."""
        rows = [
            {
                "topic": TOPICS[row["topic"]][lang == "en"], "item": row[f"item_{lang}"],
                "value": row[f"value_{lang}"] or ("—" if not row[f"reason_{lang}"] else ""),
                "source": row[f"source_{lang}"] or row[f"reason_{lang}"],
            }
            for row in self.table.to_dict("records")
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["topic", "item", "value", "source"])


def conditions(reviewer: Reviewer, parcel: Any, *, use: str | None = None, name: str = "") -> Conditions:
    """Planning conditions of a parcel.

    Parameters
    ----------
    reviewer : Reviewer
        The city's plan, opened.
    parcel : Polygon, MultiPolygon or str
        Shape in the city's CRS, or the number of a plot (``plot_id``) or of a land-survey parcel.
    use : str, optional
        Use the obligations are for; that planned for most of the parcel when not given.
    name : str
        Name for the sheet; the number of the parcel when not given.

    Raises
    ------
    ParameterError
        No plot or parcel has this number.
    DataQualityError
        The shape cannot be judged.
    """
    if isinstance(parcel, str):
        name, parcel = name or parcel, parcel_shape(reviewer, parcel)
    shape, _, problem = clean_shape(parcel)
    if problem[0]:
        raise DataQualityError(problem[1], where=name or "parcel")
    first = reviewer.review(shape, use=use, name=name)
    planned = next((code for code in first.planned if is_building_land(code)), next(iter(first.planned), ""))
    wanted = use or (f"{PLAN}{planned}" if plan_survey_class(planned) else None)
    review = first if wanted == use else reviewer.review(shape, use=wanted, name=name)
    plots = _plots(reviewer, shape)
    rows: list[dict[str, Any]] = []
    _place_rows(rows, reviewer, review)
    _use_rows(rows, reviewer, review, plots, planned)
    _limit_rows(rows, reviewer, plots)
    _line_rows(rows, reviewer, review)
    _obligation_rows(rows, review)
    table = pd.DataFrame(rows, columns=CONDITION_COLUMNS).fillna("")
    return Conditions(name, shape, review, table, plots)


def parcel_shape(reviewer: Reviewer, number: str) -> Any:
    """Shape of a plot or, where there is none of that number, of a parcel of the land survey."""
    for layer in (
        reviewer.lines["plots"].now if "plots" in reviewer.lines else None,
        reviewer.layers.get("land_use"),
    ):
        if layer is None:
            continue
        hit = (layer.ids == number).nonzero()[0]
        if len(hit):
            return layer.shapes[hit[0]]
    raise ParameterError("no plot and no parcel of this number", where="parcel", found=number)


def parcel_at(reviewer: Reviewer, x: float, y: float) -> tuple[str, Any]:
    """Number and shape of the plot at a point, else of the land-survey parcel there.

    Raises
    ------
    ParameterError
        There is neither.
    """
    point = shapely.Point(x, y)
    for layer in (
        reviewer.lines["plots"].now if "plots" in reviewer.lines else None,
        reviewer.layers.get("land_use"),
    ):
        if layer is None:
            continue
        hit = layer.tree.query(point, predicate="intersects")
        if len(hit):
            return str(layer.ids[hit[0]]), layer.shapes[hit[0]]
    raise ParameterError("no plot and no parcel at this point", where="point", found=(x, y))


def _plots(reviewer: Reviewer, shape: Any) -> pd.DataFrame:
    """Plots a shape lies in, the largest first; those that only touch its edge are left out."""
    columns = ["plot", "use", "area_m2", "far", "height_m", "density_pct", "green_pct"]
    if "plots" not in reviewer.lines:
        return pd.DataFrame(columns=columns)
    layer = reviewer.lines["plots"].now
    pieces = layer.meet(np.array([shape], dtype=object))
    areas = area_m2(pieces.geometry, reviewer.crs)
    widths = mean_widths(pieces.geometry)
    uses, numbers = layer.column("use"), {name: layer.numbers(name) for name in columns[3:]}
    least = min(reviewer.settings.min_area_m2, 0.5 * float(areas.sum()) if len(areas) else 0.0)
    rows = [
        [str(layer.ids[n]), str(uses[n]), float(area), *(float(numbers[c][n]) for c in columns[3:])]
        for n, area, width in zip(pieces.feature, areas, widths, strict=True)
        if area >= max(least, SPECK_M2) and width >= min(reviewer.settings.min_width_m, widths.max())
    ]
    return pd.DataFrame(rows, columns=columns).sort_values("area_m2", ascending=False, ignore_index=True)


def _row(topic: str, item: tuple[str, str], value: tuple[str, str] = ("", ""), *, source: tuple[str, str] = ("", ""),
         reason: tuple[str, str] = ("", "")) -> dict[str, Any]:  # fmt: skip
    return {"topic": topic, "item_zh": item[0], "item_en": item[1], "value_zh": value[0], "value_en": value[1],
            "source_zh": source[0], "source_en": source[1], "reason_zh": reason[0], "reason_en": reason[1]}  # fmt: skip


def _source(reviewer: Reviewer, role: str) -> tuple[str, str]:
    """Layer and date a value comes from."""
    rows = reviewer.sources[reviewer.sources["role"] == role]
    if rows.empty:
        return role, role
    row = rows.iloc[0]
    return f"{row['name_zh']}（{row['date']}）", f"{row['name_en']} ({row['date']})"


def _why(reviewer: Reviewer, role: str) -> tuple[str, str]:
    return reviewer.missing.get(role, ("", ""))


def _place_rows(rows: list[dict[str, Any]], reviewer: Reviewer, review: Review) -> None:
    place = review.place
    for role, key, item in (
        ("districts", "district", ("行政区", "District")), ("units", "unit", ("规划单元", "Planning unit")),
    ):  # fmt: skip
        text = (
            f"{place.get(f'{key}_name', '')}（{place.get(key, '')}）",
            f"{place.get(f'{key}_name', '')} ({place.get(key, '')})",
        )
        if place.get(key):
            rows.append(_row("place", item, text, source=_source(reviewer, role)))
        else:
            none = ("不在分区范围内", "outside all zones")
            rows.append(
                _row("place", item, reason=_why(reviewer, role) if role in reviewer.missing else none)
            )
    m2 = square_metres(review.area_m2)
    rows.append(_row("place", ("用地面积", "Area"), (f"{m2}平方米（{review.area_m2 / MU_M2:,.2f}亩）",
                     f"{m2} m² ({review.area_m2 / MU_M2:,.2f} mu)"), source=("椭球面积", "area on the ellipsoid")))  # fmt: skip


def _use_rows(
    rows: list[dict[str, Any]], reviewer: Reviewer, review: Review, plots: pd.DataFrame, planned: str
) -> None:
    land = next((i for i in review.judged if i.rule == "rv_land_use"), None)
    if land is not None and review.land:
        rows.append(_row("use", ("现状地类", "Land use now"), (land.message_zh, land.message_en),
                         source=_source(reviewer, "land_use")))  # fmt: skip
    item = ("规划用途", "Planned use")
    if plots.empty:
        none = ("该地块没有已批准的详细规划", "no approved detailed plan covers the parcel")
        rows.append(
            _row("use", item, reason=_why(reviewer, "plots") if "plots" in reviewer.missing else none)
        )
        return
    sums = plots.groupby("use", sort=False)["area_m2"].sum()
    value = tuple(
        ("、" if lang == "zh" else ", ").join(
            f"{code} {plan_name(str(code), lang)} {area_words(area, review.area_m2)[lang == 'en']}"
            for code, area in sums.items()
        )
        for lang in ("zh", "en")
    )
    rows.append(_row("use", item, (value[0], value[1]), source=_source(reviewer, "plots")))
    fit = reviewer.settings.fit_of(planned)
    if fit is not None:
        from workbench.core.codes import names

        told = [
            ("、" if lang == "zh" else ", ").join(names(lang)[code] for code in sorted(fit.alongside))
            for lang in ("zh", "en")
        ]
        rows.append(_row("use", ("可兼容用途", "Uses that fit beside it"), (told[0], told[1]),
                         source=("用途兼容表（项目建议）", "table of compatible uses (proposal)")))  # fmt: skip


def _limit_rows(rows: list[dict[str, Any]], reviewer: Reviewer, plots: pd.DataFrame) -> None:
    for column, zh, en, sign, unit in LIMITS:
        if plots.empty:
            none = ("没有已批准的详细规划", "no approved detailed plan")
            why = _why(reviewer, "plots") if "plots" in reviewer.missing else none
            rows.append(_row("limits", (zh, en), reason=why))
            continue
        stated = plots[plots[column].notna()]
        if stated.empty:
            rows.append(_row("limits", (zh, en), reason=("详细规划未作规定", "the detailed plan sets none")))
            continue
        if stated[column].nunique() == 1 and len(stated) == len(plots):
            text = f"{sign}{stated[column].iloc[0]:g}{unit}"
        else:
            text = "；".join(
                f"{plot} {sign}{value:g}{unit}"
                for plot, value in zip(stated["plot"], stated[column], strict=True)
            )
        rows.append(
            _row("limits", (zh, en), (text, text.replace("；", "; ")), source=_source(reviewer, "plots"))
        )
    for zh, en, why_zh, why_en in NOT_IN_DATA:
        rows.append(_row("limits", (zh, en), reason=(why_zh, why_en)))


def _line_rows(rows: list[dict[str, Any]], reviewer: Reviewer, review: Review) -> None:
    for item in review.judged:
        own = item.rule.startswith("rv_") and item.rule != "rv_boundary_kind"
        if own or item.layer == "land_use":  # what is said of the land itself is an obligation
            continue
        words = (item.message_zh, item.message_en)
        titles = (item.title_zh, item.title_en)
        if item.verdict == "not_checked":
            rows.append(_row("lines", titles, reason=words))
        else:
            rows.append(_row("lines", titles, words, source=_source(reviewer, item.layer)))


def _obligation_rows(rows: list[dict[str, Any]], review: Review) -> None:
    """Procedures that any item asks for, each once, with the items that ask."""
    asked: dict[str, list[tuple[str, str]]] = {}
    texts: dict[str, tuple[str, str]] = {}
    for item in review.judged:
        if item.verdict not in ("needs", "conflicts"):
            continue
        for key, zh, en in zip(
            item.needs, item.needs_zh.split("；"), item.needs_en.split("; "), strict=False
        ):
            asked.setdefault(key, []).append((item.title_zh, item.title_en))
            texts.setdefault(key, (zh, en))
    for key, titles in asked.items():
        source = (
            "、".join(dict.fromkeys(t[0] for t in titles)),
            ", ".join(dict.fromkeys(t[1] for t in titles)),
        )
        rows.append(_row("obligations", ("手续", "Procedure"), texts[key], source=source))
    if not asked:
        rows.append(
            _row("obligations", ("手续", "Procedure"), reason=("未发现需办理的手续", "none was found"))
        )


def as_frame(found: Conditions, crs: Any) -> gpd.GeoDataFrame:
    """The parcel with its limits as one row, for a GeoPackage."""
    row: dict[str, Any] = {"name": found.name, "area_m2": found.review.area_m2, **dict(found.review.place)}
    for column, *_ in LIMITS:
        stated = found.plots[column].dropna() if len(found.plots) else pd.Series(dtype=float)
        strict = stated.max() if column == "green_pct" else stated.min()
        row[column] = float(strict) if len(stated) else math.nan
    return gpd.GeoDataFrame([row], geometry=[found.geometry], crs=crs)
