"""A city of four units in two districts drawn by hand, one hectare a cell, for ledgers, transmission and fill-in sheets.

Map, north up, columns 0-7, rows 0-1 (cells of 100 m): units A1 (columns 0-1), A2 (2-3) in district A; B1 (4-5), B2 (6-7) in
district B. The development boundary covers columns 1 to 6. Base year 2019, surveys of 2019, 2024, 2025.
"""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core.city import City, load_city

CELL = 100.0
X, Y = 500_000.0, 2_500_000.0
SURVEYS = {
    2019: ["0103 0701 0103 0103 0103 0103 0601 0103", "0103 0103 0103 0103 0103 0103 0103 0103"],
    2024: ["0103 0701 0701 0103 0103 0103 0601 0103", "0103 0103 0103 0103 0103 0103 0103 0103"],
    2025: ["0103 0701 0701 0601 1003 0103 0601 0701", "0103 0103 0103 0103 0810 0103 0103 0103"],
}
"""New inside the boundary since 2019: one cell of A2 by 2024, one more of A2 and two of B1 by 2025; one of B2 lies outside."""
QUOTA_ROWS = [
    ("boundary_increment", "city", 2035, 20.0, "assigned", "", "ha", "<=", True, 0.0),
    ("boundary_increment", "A", 2035, 0.12, "assigned", "", "km2", "<=", True, 0.0),
    ("boundary_increment", "B", 2035, 6.0, "assigned", "", "ha", "<=", True, 0.0),
    ("boundary_increment", "A1", 2035, 8.0, "assigned", "", "ha", "<=", True, 0.0),
    ("boundary_increment", "A2", 2035, 1.5, "assigned", "", "ha", "<=", True, 0.0),
    ("boundary_increment", "B1", 2035, 5.0, "assigned", "", "ha", "<=", True, 0.0),
    ("boundary_increment", "A", 2025, 3.0, "transfer", "B", "ha", "<=", True, 0.0),
    ("boundary_increment", "A", 2026, 9.0, "transfer", "B", "ha", "<=", True, 0.0),
]
"""A has 12 ha, passes on 9.5; B has 6, passes on 5; 3 ha were handed from A to B in 2025, 9 more will be in 2026."""
PROFILE = """
[city]
name = "books"
name_zh = "两区市"
name_en = "Two Districts"
crs = "EPSG:4547"
base_year = 2019
years = [2024, 2025]
indicator_set = "basic33"
data = "source"
[scopes]
"市域" = "city"
[levels.district]
role = "districts"
[levels.unit]
role = "units"
parent = "district"
[layers.districts]
path = "districts.parquet"
kind = "vector"
[layers.units]
path = "units.parquet"
kind = "vector"
[layers.land_use]
path = "land_use_{year}.parquet"
kind = "vector"
years = [2019, 2024, 2025]
date = "{year}-12-31"
[layers.development_boundary]
path = "development_boundary.parquet"
kind = "vector"
[layers.quotas]
path = "quotas.parquet"
kind = "table"
[layers.statistics]
path = "statistics.parquet"
kind = "table"
date = "2025-12-31"
source = "统计年鉴"
"""


def box(left: float, right: float):
    """Columns of the map, both rows."""
    return shapely.box(X + left * CELL, Y, X + right * CELL, Y + 2 * CELL)


def layer(shapes, **columns) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs="EPSG:4547")


def survey(rows: list[str]) -> gpd.GeoDataFrame:
    """Parcels of one hectare."""
    codes = np.array([row.split() for row in rows])
    cells = [(r, c) for r in range(2) for c in range(8)]
    shapes = [
        shapely.box(X + c * CELL, Y + (1 - r) * CELL, X + (c + 1) * CELL, Y + (2 - r) * CELL)
        for r, c in cells
    ]
    return layer(
        shapes, parcel_id=[f"P{r}{c}" for r, c in cells], dlbm=[codes[r, c] for r, c in cells], czcsxm=[""] * 16,
        area_m2=[1e4] * 16, net_area_m2=[1e4] * 16, district=[""] * 16, unit=[""] * 16,
    )  # fmt: skip


def quotas(rows=QUOTA_ROWS) -> pd.DataFrame:
    columns = [
        "indicator",
        "zone",
        "year",
        "value",
        "kind",
        "counterpart",
        "unit",
        "op",
        "rigid",
        "tolerance",
    ]
    return pd.DataFrame(rows, columns=columns).assign(source="规划指标分解表")


def statistics(rows=()) -> pd.DataFrame:
    given = [("population_1e4", year, zone, value, "1e4 person", "original")
             for year in (2024, 2025) for zone, value in (("city", 1.0), ("A", 1.0), ("B", 0.0))]  # fmt: skip
    return pd.DataFrame([*given, *rows], columns=["item", "year", "zone", "value", "unit", "edition"])


def write_city(
    folder: Path, *, quota_rows=QUOTA_ROWS, units=None, more: str = "", name: str = "books"
) -> City:
    """Write the city's files and profile; other quotas or units in place of the drawn ones make bad input."""
    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    if units is None:
        units = layer(
            [box(0, 2), box(2, 4), box(4, 6), box(6, 8)], code=["A1", "A2", "B1", "B2"],
            name=["甲一", "甲二", "乙一", "乙二"], district=["A", "A", "B", "B"],
        )  # fmt: skip
    files = {
        "districts": layer([box(0, 4), box(4, 8)], code=["A", "B"], name=["甲区", "乙区"], name_en=["A", "B"]),
        "units": units,
        "development_boundary": layer(
            [box(1, 7)], line_id=["K"], name=["边界"], kind=["集中建设区"], approved=pd.to_datetime(["2021-12-30"]),
            ended=pd.to_datetime([None]),
        ),
        **{f"land_use_{year}": survey(rows) for year, rows in SURVEYS.items()},
        "statistics": statistics(),
        "quotas": quotas(quota_rows),
    }  # fmt: skip
    for file, frame in files.items():
        frame.to_parquet(source / f"{file}.parquet")
    text = PROFILE.replace('name = "books"', f'name = "{name}"') + more
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return load_city(folder / f"{name}.toml", data_root=folder)
