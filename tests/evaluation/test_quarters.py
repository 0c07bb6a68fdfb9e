"""Figures of a quarter against dates written by hand."""

import geopandas as gpd
import pandas as pd
import pytest
from shapely import box

from tests.evaluation.test_further import CITY
from workbench.evaluation.quarters import DAYS, quarter_rows
from workbench.rules.register import Register
from workbench.rules.space_code import space_code


class Papers:
    """Permits and projects drawn by hand."""

    def __init__(self):
        spot = box(480_000, 2_540_000, 480_050, 2_540_050)
        rows = [
            ("P1", "预审", "2025-02-10", "2025-08-01"),
            ("P1", "农转用", "2025-07-05", None),
            ("P2", "预审", "2024-01-01", "2025-05-01"),
        ]
        permits = pd.DataFrame(rows, columns=["project_code", "kind", "approved", "ended"])
        permits[["approved", "ended"]] = permits[["approved", "ended"]].apply(pd.to_datetime)
        projects = pd.DataFrame({"project_code": ["P1", "P2"], "name": ["甲", "乙"]})
        self.layers = {
            name: gpd.GeoDataFrame(frame, geometry=[spot] * len(frame), crs=CITY.crs)
            for name, frame in (("permits", permits), ("projects", projects))
        }

    def has(self, role, year=None):
        return role in self.layers

    def vector(self, role):
        return self.layers[role]


def patches():
    """Two patches of the third quarter that share ground, and one of the second."""
    shapes = [box(0, 0, 40, 40), box(0, 0, 40, 20), box(900, 0, 940, 40)]
    days = pd.to_datetime(["2025-07-01", "2025-09-30", "2025-06-30"])
    moved = [box(*(a + b for a, b in zip(s.bounds, (480_000, 2_540_000) * 2, strict=True))) for s in shapes]
    return gpd.GeoDataFrame(
        {"kind": "spatial_conflict", "area_m2": 1.0, "date_after": days}, geometry=moved, crs=CITY.crs
    )


def counted(rows):
    return {(row["indicator"].removeprefix("report.quarter."), row["zone"]): row for row in rows}


def test_patches_permits_and_projects_by_quarter():
    found = counted(quarter_rows(CITY, Papers(), 2025, patches(), None))

    def numbers(name):
        return [found[name, f"q{quarter}"]["value"] for quarter in (1, 2, 3, 4)]

    assert numbers("patches") == [0, 1, 1, 0], "what shares ground is one place"
    assert numbers("permits_issued") == [1, 0, 1, 0]
    assert numbers("permits_ended") == [0, 1, 1, 0]
    assert numbers("projects") == [2, 2, 2, 2]
    assert numbers("projects_stuck")[:2] == [0, 1], "P2's examination ended on 1 May"
    assert found[DAYS, "q2/P2"]["value"] == (pd.Timestamp("2025-06-30") - pd.Timestamp("2024-01-01")).days
    assert not any(name == "found" for name, _ in found), "there is no register"


def test_the_register_by_quarter(tmp_path):
    shapes = [box(480_000 + 100 * k, 2_540_000, 480_050 + 100 * k, 2_540_050) for k in range(2)]
    codes = [space_code(shape, CITY.crs, "permanent_farmland", 2024) for shape in shapes]
    cases = gpd.GeoDataFrame(
        {"space_code": codes, "line": "permanent_farmland", "level": 4, "area_m2": 2500.0, "permit_state": "无"},
        geometry=shapes, crs=CITY.crs,
    )  # fmt: skip
    register = Register.open(CITY, path=tmp_path / "cases.gpkg")
    register.update(cases, "2025-04-20", year=2024)
    register.step(codes[0], "销号", person="甲", on_date="2025-07-02", verdict="误判")
    found = counted(quarter_rows(CITY, Papers(), 2025, patches(), register))
    assert found["found", "q1"]["reason"] == "register_not_begun"
    assert [found[name, "q2"]["value"] for name in ("open_start", "found", "closed", "open_end")] == [
        0,
        2,
        0,
        2,
    ]
    assert [found[name, "q3"]["value"] for name in ("open_start", "found", "closed", "open_end")] == [
        2,
        0,
        1,
        1,
    ]
    assert found["closing_pct", "q3"]["value"] == pytest.approx(50.0)
    assert found["found", "q4"]["reason"] == "register_not_reached"
