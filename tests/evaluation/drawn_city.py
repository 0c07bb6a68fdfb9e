"""The city of :mod:`tests.evaluation.books` with a line, permits, a raster, plots and a revised survey: every kind of input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
from affine import Affine

from tests.evaluation.books import CELL, QUOTA_ROWS, SURVEYS, X, Y, box, layer, quotas, survey, write_city
from workbench.core.city import City, load_city

MORE = """
[levels.plot]
role = "plot_zones"
parent = "unit"
[layers.plot_zones]
path = "plots.parquet"
kind = "vector"
[layers.land_use.editions.revised]
path = "land_use_{year}_revised.parquet"
years = [2024]
[layers.permanent_farmland]
path = "permanent_farmland.parquet"
kind = "vector"
date = "2020-06-30"
update_cycle = "on change"
sensitivity = "内部"
[layers.permits]
path = "permits.parquet"
kind = "vector"
[layers.subsidence]
path = "subsidence_{year}.tif"
kind = "raster"
years = [2025]
grid = "own"
[[targets]]
indicator = "TJ-A10"
year = 2035
value = 0.002
op = ">="
unit = "1e4 mu"
[[targets]]
indicator = "TJ-A11"
year = 2035
value = 0.0225
op = ">="
unit = "1e4 mu"
"""
PLOTS = {"P1": box(0, 1), "P2": box(1, 2), "P3": box(2, 3)}
"""Laid out in A1, which they fill, and in the western half of A2; nothing in district B."""
PARENT = {"P1": "A1", "P2": "A1", "P3": "A2"}
FARM = [
    ("TJ-A11", "A1", 2025, 2.5, "assigned", "", "ha", ">=", True, 0.0),
    ("TJ-A11", "P1", 2025, 2.0, "assigned", "", "ha", ">=", True, 0.0),
    ("TJ-A11", "P2", 2025, 1.5, "assigned", "", "ha", ">=", False, 0.0),
]
"""Cropland to be kept: P1 keeps its 2 ha, P2 has 1 ha of the 1.5 it should keep."""
INCREMENTS = [
    ("boundary_increment", "P2", 2035, 1.0, "assigned", "", "ha", "<=", True, 0.0),
    ("boundary_increment", "P3", 2035, 0.5, "assigned", "", "ha", "<=", True, 0.0),
]
"""P3 was given half a hectare and built on a whole one (cell P02, homes by 2024)."""


def statistics_csv(population: str = "1.0") -> str:
    """Table of figures as a bureau hands it over."""
    rows = ["item,year,zone,value,unit,edition"]
    for year, value in ((2024, "1.0"), (2025, population)):
        rows += [f"population_1e4,{year},{zone},{value},1e4 person,original" for zone in ("city", "A")]
        rows += [f"gdp_1e8_cny,{year},city,{year - 2000}.5,1e8 CNY,original"]
    return "\n".join(rows) + "\n"


def line(right: float = 4.0):
    """Permanent basic farmland from column 1 to ``right``."""
    day, open_ended = pd.to_datetime(["2020-06-30"]), pd.to_datetime([None])
    return layer(
        [box(1, right)], line_id=["L1"], name=["田"], kind=["永久基本农田"], approved=day, ended=open_ended
    )


def write_raster(path: Path, values: np.ndarray) -> None:
    """Uncompressed GeoTIFF of the city's cells, so that a byte of it is a byte of a cell."""
    with rasterio.open(
        path, "w", driver="GTiff", height=2, width=8, count=1, dtype="float32", crs="EPSG:4547",
        transform=Affine(CELL, 0, X, 0, -CELL, Y + 2 * CELL), nodata=-9999,
    ) as target:  # fmt: skip
        target.write(values.astype("float32"), 1)


def write(folder: Path, *, name: str = "drawn") -> City:
    """Write files and profile; the city has every kind of input the workbench reads."""
    write_city(folder, quota_rows=[*QUOTA_ROWS, *INCREMENTS, *FARM], name=name)
    source = folder / "source"
    frames = {
        "plots": layer(
            PLOTS.values(), code=list(PLOTS), name=["地块一", "地块二", "地块三"], unit=list(PARENT.values())
        ),
        "permanent_farmland": line(),
        "permits": layer(
            [box(6, 7)], permit_id=["X1"], project_code=["G1"], kind=["农转用"],
            approved=pd.to_datetime(["2020-01-01"]), ended=pd.to_datetime([None]),
        ),
        "land_use_2024_revised": survey([SURVEYS[2024][0], SURVEYS[2024][1].replace("0103", "0101", 1)]),
        "quotas": quotas([*QUOTA_ROWS, *INCREMENTS, *FARM]),
    }  # fmt: skip
    for file, frame in frames.items():
        frame.to_parquet(source / f"{file}.parquet")
    (source / "statistics.csv").write_text(statistics_csv(), encoding="utf-8")
    write_raster(source / "subsidence_2025.tif", np.arange(16, dtype="float32").reshape(2, 8) + 1)
    path = folder / f"{name}.toml"
    text = path.read_text(encoding="utf-8").replace("statistics.parquet", "statistics.csv")
    packs = 'indicator_set = "checkup122"\nrule_packs = ["control_lines", "targets", "trends", "peers"]'
    path.write_text(text.replace('indicator_set = "basic33"', packs) + MORE, encoding="utf-8")
    return load_city(path, data_root=folder)
