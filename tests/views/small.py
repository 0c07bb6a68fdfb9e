"""A hand-made checkup of a city of four districts, 20 km by 20 km, for tests of views and dashboards."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely.geometry import LineString, box

CRS = "EPSG:4547"
X0, Y0 = 480_000.0, 2_540_000.0
DISTRICTS = {
    "D1": ("云山区", "Yunshan", 0, 0),
    "D2": ("临江区", "Linjiang", 1, 0),
    "D3": ("南湖区", "Nanhu", 0, 1),
    "D4": ("东港区", "Donggang", 1, 1),
}


def districts() -> gpd.GeoDataFrame:
    rows = [
        {
            "code": code,
            "name": zh,
            "name_en": en,
            "geometry": box(X0 + i * 1e4, Y0 + j * 1e4, X0 + (i + 1) * 1e4, Y0 + (j + 1) * 1e4),
        }
        for code, (zh, en, i, j) in DISTRICTS.items()
    ]
    return gpd.GeoDataFrame(rows, crs=CRS)


def parcels(year: int, cells: int = 20) -> gpd.GeoDataFrame:
    codes = ["0101", "0301", "0701", "0601", "1101", "0810", "1003", "0201"]
    rng = np.random.default_rng(7)
    grid = rng.integers(0, len(codes), (cells, cells))
    if year == 2025:
        grid[3, 4], grid[10, 11] = 3, 2
    side = 20_000 / cells
    rows = [
        {
            "parcel_id": f"P{i}-{j}",
            "dlbm": codes[grid[j, i]],
            "geometry": box(X0 + i * side, Y0 + j * side, X0 + (i + 1) * side, Y0 + (j + 1) * side),
        }
        for i in range(cells)
        for j in range(cells)
    ]
    return gpd.GeoDataFrame(rows, crs=CRS)


def line(role: str) -> gpd.GeoDataFrame:
    shape = {
        "permanent_farmland": box(X0 + 1_000, Y0 + 1_000, X0 + 8_000, Y0 + 7_000),
        "ecological_red_line": box(X0 + 11_000, Y0 + 11_500, X0 + 19_000, Y0 + 18_500),
        "development_boundary": box(X0 + 6_000, Y0 + 7_500, X0 + 15_000, Y0 + 14_000),
    }[role]
    day = pd.Timestamp("2022-10-01")
    return gpd.GeoDataFrame(
        {"line_id": [role], "name": [role], "kind": [role], "approved": [day], "ended": [pd.NaT]},
        geometry=[shape],
        crs=CRS,
    )


def roads() -> gpd.GeoDataFrame:
    lines = [
        LineString([(X0, Y0 + 9e3), (X0 + 2e4, Y0 + 1.1e4)]),
        LineString([(X0 + 8e3, Y0), (X0 + 1.2e4, Y0 + 2e4)]),
    ]
    return gpd.GeoDataFrame(
        {"road_class": ["motorway", "primary"], "walkable": [False, True]}, geometry=lines, crs=CRS
    )


class Data:
    """Stands in for the city's data."""

    quality = pd.DataFrame(
        {
            "role": ["land_use"],
            "year": [2025],
            "check": ["topology"],
            "severity": ["warning"],
            "count": [3],
            "message_zh": ["3 个图斑自相交，已修复"],
            "message_en": ["3 parcels crossed themselves and were repaired"],
        }
    )

    def years(self, role: str) -> list[int]:
        return [2020, 2025] if role == "land_use" else []

    def has(self, role: str, year: int | None = None) -> bool:
        if role == "land_use":
            return year in (None, 2020, 2025)
        return role in (
            "districts",
            "roads",
            "permanent_farmland",
            "ecological_red_line",
            "development_boundary",
        )

    def vector(self, role: str, year: int | None = None) -> gpd.GeoDataFrame:
        if role == "land_use":
            return parcels(int(year or 2025))
        return {"districts": districts, "roads": roads}.get(role, lambda: line(role))()

    def zones(self, level: str) -> gpd.GeoDataFrame:
        return districts()[["code", "name", "geometry"]]

    def source(self, role: str, year: int | None = None) -> SimpleNamespace:
        return SimpleNamespace(
            role=role,
            year=year,
            sha256="ab" * 32,
            date=f"{year or 2024}-12-31",
            licence="CC0-1.0",
            source="示范数据",
            tier="statutory",
            sensitivity="公开",
            path="x",
        )


def definition(
    name: str, dimension: str, unit: str, direction: str = "higher_better", **more: object
) -> SimpleNamespace:
    english = more.pop("title_en", name)
    return SimpleNamespace(
        title_zh=name,
        title_en=english,
        dimension=dimension,
        second_level="",
        unit=unit,
        decimals=2,
        direction=direction,
        scope="市域",
        holder="自然资源局",
        unlocks="",
        **more,
    )


DEFINITIONS = {
    "A-1": definition("耕地保有量", "安全", "1e4 mu", title_en="Farmland stock"),
    "A-2": definition("人均年用水量", "安全", "m3/person", "lower_better", title_en="Water use per head"),
    "C-1": definition("人口密度", "协调", "person/km2", "neutral", title_en="Population density"),
    "G-1": definition("森林覆盖率", "绿色", "%", title_en="Forest cover"),
    "S-1": definition("公园 5 分钟步行覆盖率", "共享", "%", title_en="Parks within 5 minutes"),
}


def _row(indicator: str, level: str, zone: str, value: float, unit: str, **more: object) -> dict[str, object]:
    row: dict[str, object] = {
        "value_id": "v"
        + "".join(c for c in f"{indicator}{level}{zone}{more.get('year', 2025)}".lower() if c.isalnum()),
        "indicator": indicator,
        "city": "small",
        "level": level,
        "zone": zone,
        "zone_name": DISTRICTS[zone][0] if zone in DISTRICTS else zone,
        "year": 2025,
        "scenario": "observed",
        "edition": "latest",
        "value": value,
        "unit": unit,
        "decimals": 2,
        "tier": "statutory",
        "data_date": "2025-12-31",
        "reason": "",
        "reason_zh": "",
        "reason_en": "",
        "sensitivity": "公开",
    }
    return row | more


def values() -> pd.DataFrame:
    city = {"A-1": 12.345, "A-2": np.nan, "C-1": 1234.5, "G-1": 31.2, "S-1": 71.456}
    rows = []
    for name, value in city.items():
        unit = DEFINITIONS[name].unit
        more: dict[str, object] = {"tier": "proxy"} if name == "S-1" else {}
        if np.isnan(value):
            more |= {
                "reason": "table_missing",
                "reason_zh": "缺少用水量统计",
                "reason_en": "no water statistics",
            }
        rows.append(_row(name, "city", "small", value, unit, **more))
        rows.append(_row(name, "city", "small", value * 1.02, unit, year=2024, **more))
        for at, code in enumerate(DISTRICTS):
            part = np.nan if name == "A-2" or (name == "S-1" and code == "D4") else value * (0.7 + 0.2 * at)
            rows.append(_row(name, "district", code, part, unit, **more))
    rows.append(_row("A-1", "target", "2035", 13.0, "1e4 mu", year=2035, tier="target"))
    counts = {
        "安全": (1, 1, 1, 0, 0, 0, 0),
        "创新": (0, 0, 0, 0, 0, 0, 0),
        "协调": (1, 0, 0, 0, 0, 0, 0),
        "绿色": (1, 0, 0, 0, 1, 0, 0),
        "共享": (1, 0, 0, 1, 0, 0, 0),
        "all": (4, 1, 1, 1, 1, 0, 0),
    }
    names = ["computed", "missing", "level_4", "level_3", "level_2", "level_1", "level_0"]
    for dimension, numbers in counts.items():
        for name, number in zip(names, numbers, strict=True):
            rows.append(
                _row(
                    f"report.{name}", "report", dimension, float(number), "count", decimals=0, tier="derived"
                )
            )
    for at, case in enumerate(cases()["finding_id"]):
        area = float(cases().geometry.iloc[at].area)
        rows.append(_row("case.area_m2", "case", case, area, "m2", tier="derived", decimals=0))
        rows.append(_row("case.mu", "case", case, area * 15 / 1e4, "mu", tier="derived"))
    return pd.DataFrame(rows)


def cases() -> gpd.GeoDataFrame:
    side = 1_000.0
    shapes = [
        box(X0 + 4 * side, Y0 + 3 * side, X0 + 5 * side, Y0 + 4 * side),
        box(X0 + 12_000, Y0 + 12_000, X0 + 12_400, Y0 + 12_300),
    ]
    rows = [
        ("f1", "permanent_farmland", 4, "D1", "0101", "0601", "无"),
        ("f2", "ecological_red_line", 3, "D4", "0301", "0701", "过期"),
    ]
    return gpd.GeoDataFrame(
        [
            {
                "finding_id": name,
                "rule": "R",
                "kind": "spatial_conflict",
                "level": level,
                "indicator": "",
                "line": role,
                "zone_level": "district",
                "zone": district,
                "zone_name": DISTRICTS[district][0],
                "district": district,
                "before": before,
                "after": after,
                "date_before": pd.Timestamp("2020-12-31"),
                "date_after": pd.Timestamp("2025-12-31"),
                "area_m2": shape.area,
                "permit_state": permit,
                "status": "发现",
                "clause": "第 3 条",
                "value_id": "",
                "geometry": shape,
            }
            for (name, role, level, district, before, after, permit), shape in zip(rows, shapes, strict=True)
        ],
        crs=CRS,
    )


def findings() -> gpd.GeoDataFrame:
    table = values()

    def _id(indicator: str) -> str:
        keep = (table["indicator"] == indicator) & (table["level"] == "city") & (table["year"] == 2025)
        return str(table.loc[keep, "value_id"].iloc[0])

    rows = [("i1", "A-1", 4, "path"), ("i2", "S-1", 3, "floor"), ("i3", "G-1", 2, "trend")]
    judged = gpd.GeoDataFrame(
        [
            {
                "finding_id": name,
                "rule": "R",
                "kind": kind,
                "level": level,
                "indicator": indicator,
                "line": None,
                "zone_level": "city",
                "zone": "small",
                "zone_name": "小城",
                "clause": "国函〔2024〕143 号",
                "value_id": _id(indicator),
                "geometry": None,
            }
            for name, indicator, level, kind in rows
        ],
        crs=CRS,
    )
    return gpd.GeoDataFrame(pd.concat([judged, cases()], ignore_index=True), crs=CRS)


@dataclass
class SmallCheckup:
    """Has what the views read of a checkup."""

    year: int = 2025
    values: pd.DataFrame = field(default_factory=values)
    findings: gpd.GeoDataFrame = field(default_factory=findings)
    data: Data = field(default_factory=Data)
    definitions: dict[str, SimpleNamespace] = field(default_factory=lambda: dict(DEFINITIONS))
    city: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(
            name="small",
            name_zh="小城",
            name_en="Small City",
            crs=CRS,
            base_year=2020,
            years=[2025],
            data="demo",
            layers=dict.fromkeys(["districts", "land_use", "permanent_farmland", "rail_lines"]),
            targets=[
                SimpleNamespace(
                    indicator="A-1",
                    year=2035,
                    value=13.0,
                    op=">=",
                    unit="1e4 mu",
                    base_year=2020,
                    base_value=12.8,
                )
            ],
        )
    )
