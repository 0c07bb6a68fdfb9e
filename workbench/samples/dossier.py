"""The papers of the demo city: projects, permits through their chain, and change patches from imagery."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.samples.cover import CODES
from workbench.samples.fabric import Fabric, polygon_parts
from workbench.samples.planting import Patch
from workbench.samples.space import CRS, stream

CHAIN = ("预审", "农转用", "供地", "规划许可", "施工", "核实")
"""Stages of a construction project, in order."""
_TERM_YEARS = {"预审": 3, "农转用": None, "供地": None, "规划许可": 3, "施工": 4, "核实": None}
Row = tuple[str, str, str, str | None, Any]


def _chain(code: str, start: str, shape: Any, stages: int, pace_days: int) -> list[Row]:
    """Permits of a project from its first stage on, one every ``pace_days``."""
    rows: list[Row] = []
    day = pd.Timestamp(start)
    for stage in CHAIN[:stages]:
        term = _TERM_YEARS[stage]
        end = (day + pd.DateOffset(years=term)).strftime("%Y-%m-%d") if term else None
        rows.append((code, stage, day.strftime("%Y-%m-%d"), end, shape))
        day += pd.Timedelta(days=pace_days)
    return rows


def _for_patch(patch: Patch, code: str) -> list[Row]:
    """Permits that give a planted patch its state."""
    shape = patch.shape.buffer(1.0)
    if patch.state == "已批":
        return _chain(code, "2023-05-10", shape, 5, 70)
    if patch.state == "过期":
        return [(code, "临时用地", "2022-06-01", "2024-05-31", shape)]
    if patch.state == "批少占多":
        west, south, east, north = patch.shape.bounds
        part = patch.shape.intersection(shapely.box(west, south, west + 0.55 * (east - west), north))
        return _chain(code, "2023-04-12", part, 5, 70)
    if patch.state == "未批先建":
        return _chain(code, "2025-10-15", shape, 3, 20)
    return []


def make_papers(
    seed: int, fabric: Fabric, patches: list[Patch], unit_names: Any
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Projects and permits.

    Regular building of each year has a project for each planning unit, approved in time; two units of the
    last year have none. Planted patches have what their state says.
    """
    rng = stream(seed, "papers")
    projects: list[tuple[str, str, str, str, Any]] = []
    permits: list[Row] = []
    plain = fabric.planted == 0
    for year, start, stages in ((2018, "2015-03-02", 6), (2023, "2020-05-11", 6), (2025, "2023-06-05", 5)):
        units = np.unique(fabric.unit[plain & (fabric.since == year)])
        forgotten = set(rng.choice(units, min(2, len(units)), replace=False)) if year == 2025 else set()
        for unit in units:
            if unit in forgotten:
                continue
            pieces = fabric.shapes[plain & (fabric.since == year) & (fabric.unit == unit)]
            shape = shapely.union_all(pieces)
            code = f"{year}-{unit:02d}-{len(projects) + 1:04d}"
            first = (pd.Timestamp(start) + pd.Timedelta(days=int(rng.integers(0, 60)))).strftime("%Y-%m-%d")
            stage = CHAIN[stages - 1]
            projects.append((code, f"{unit_names[unit - 1]}建设项目", stage, first, shape))
            permits += _chain(code, first, shape, stages, 90)
    for number, patch in enumerate(patches):
        code = f"2025-P{number + 1:03d}"
        rows = _for_patch(patch, code)
        if rows:
            projects.append((code, f"示范项目{number + 1}", rows[-1][1], rows[0][2], rows[0][4]))
            permits += rows
    sheds = np.flatnonzero(fabric.codes[:, -1] == CODES.index("1202"))[:30]
    for number, k in enumerate(sheds):
        permits.append(
            (f"SS-{number + 1:03d}", "设施农用地", f"20{17 + number % 7}-04-01", None, fabric.shapes[k])
        )
    return _frames(projects, permits)


def _frames(
    projects: list[tuple[str, str, str, str, Any]], permits: list[Row]
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    first = gpd.GeoDataFrame(
        {
            "project_code": [row[0] for row in projects],
            "name": [row[1] for row in projects],
            "stage": [row[2] for row in projects],
            "start_date": pd.to_datetime([row[3] for row in projects]).astype("datetime64[ms]"),
        },
        geometry=[row[4] for row in projects],
        crs=CRS,
    )
    second = gpd.GeoDataFrame(
        {
            "permit_id": [f"XK{k + 1:05d}" for k in range(len(permits))],
            "project_code": [row[0] for row in permits],
            "kind": [row[1] for row in permits],
            "approved": pd.to_datetime([row[2] for row in permits]).astype("datetime64[ms]"),
            "ended": pd.to_datetime(pd.Series([row[3] for row in permits], dtype=object)).astype(
                "datetime64[ms]"
            ),
        },
        geometry=[row[4] for row in permits],
        crs=CRS,
    )
    return first, second


def make_change_patches(fabric: Fabric, patches: list[Patch]) -> gpd.GeoDataFrame:
    """Change patches of the last year: planted ones and regular building, one for each former class."""
    changed = (fabric.codes[:, -1] != fabric.codes[:, -2]) & (fabric.planted == 0)
    rows: list[tuple[str, str, str, Any]] = []
    before = fabric.codes[changed, -2]
    for code in np.unique(before):
        pieces = fabric.shapes[changed][before == code]
        rows += [("20", CODES[code], "2025-09-20", part) for part in polygon_parts(shapely.union_all(pieces))]
    for number, patch in enumerate(patches):
        index = np.flatnonzero(fabric.planted == number + 1)
        area = shapely.area(fabric.shapes[index])
        code = CODES[fabric.codes[index[area.argmax()], -2]]
        rows.append((patch.tblx, code, patch.date_after, patch.shape))
    return gpd.GeoDataFrame(
        {
            "patch_id": [f"JC2025{k + 1:05d}" for k in range(len(rows))],
            "tblx": [row[0] for row in rows],
            "before_dlbm": [row[1] for row in rows],
            "date_before": pd.to_datetime(["2024-11-18"] * len(rows)).astype("datetime64[ms]"),
            "date_after": pd.to_datetime([row[2] for row in rows]).astype("datetime64[ms]"),
        },
        geometry=[row[3] for row in rows],
        crs=CRS,
    )
