"""A city of two squares drawn by hand, with every layer a review reads, for the tests of the review."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd
from shapely.affinity import translate
from shapely.geometry import box

from workbench.core.city import load_city
from workbench.evaluation.review.own_checks import Ledger
from workbench.evaluation.review.reviewer import Reviewer

X, Y = 500_000.0, 2_500_000.0
"""On the central meridian: a square metre of the plane is one on the ellipsoid, to a few millionths."""
DAY = pd.Timestamp("2025-12-31")
LONG_AGO = "2021-12-30"


def at(*bounds: float):
    """Rectangle in metres from the lower left corner of the city."""
    return translate(box(*bounds), X, Y)


def frame(shapes, **columns) -> gpd.GeoDataFrame:
    """A layer in the city's CRS."""
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs="EPSG:4547")


def line(*shapes, kind="", name="", approved=LONG_AGO, ended=None) -> gpd.GeoDataFrame:
    """A planning line."""
    n = len(shapes)
    return frame(
        shapes, line_id=[f"L{k}" for k in range(n)], name=[name] * n, kind=[kind] * n,
        approved=pd.to_datetime([approved] * n), ended=pd.to_datetime([ended] * n),
    )  # fmt: skip


def layers() -> dict[str, gpd.GeoDataFrame]:
    """West: built-up, inside the boundary. East: fields, red line, reserve. 1,000 m by 1,000 m each.

    Parcels of the west: houses 0-200, works 200-400, open field 400-1000 (m north). The boundary holds the west to 900 m
    north: to 700 concentrated, 700-800 flexible, 800-900 special.
    """
    west, east = at(0, 0, 1000, 1000), at(1000, 0, 2000, 1000)
    boundary = line(at(0, 0, 1000, 700), at(0, 700, 1000, 800), at(0, 800, 1000, 900))
    boundary["kind"] = ["集中建设区", "弹性发展区", "特别用途区"]
    plots = frame(
        [at(0, 400, 300, 600), at(300, 400, 600, 600), at(600, 400, 1000, 600)], plot_id=["A", "B", "C"],
        use=["100101", "070102", "1401"], far=[2.0, 2.5, None], height_m=[36.0, 80.0, None], density_pct=[45.0, 25.0, None],
        green_pct=[None, 35.0, None], unit="U1", approved=pd.Timestamp("2022-06-30"), ended=pd.NaT,
    )  # fmt: skip
    heritage = line(at(0, 0, 100, 100), at(100, 0, 200, 100))
    heritage["kind"] = ["历史城区", "文物保护单位"]
    permits = frame(
        [at(0, 600, 100, 700)] * 2 + [at(100, 600, 200, 700)], permit_id=["P1", "P2", "P3"], project_code=["X", "X", "Y"],
        kind=["农转用", "供地", "供地"], approved=pd.to_datetime(["2024-01-01", "2024-06-01", "2020-01-01"]),
        ended=pd.to_datetime([None, None, "2023-01-01"]),
    )  # fmt: skip
    return {
        "districts": frame([west, east], code=["01", "02"], name=["西区", "东区"]),
        "units": frame([west, east], code=["U1", "U2"], name=["西单元", "东单元"]),
        "land_use": frame(
            [at(0, 0, 1000, 200), at(0, 200, 1000, 400), at(0, 400, 1000, 1000), at(1000, 0, 2000, 500), at(1000, 500, 2000, 1000)],
            parcel_id=list("abcde"), dlbm=["0701", "0601", "0103", "0103", "0301"],
        ),
        "plots": plots, "permits": permits,
        "projects": frame([at(0, 600, 100, 700)], project_code=["X"], name=["甲项目"], stage=["供地"]),
        "development_boundary": boundary,
        "permanent_farmland": line(at(1000, 0, 1500, 400), name="东田"),
        "ecological_red_line": line(at(1500, 500, 2000, 1000), name="东山"),
        "nature_reserve": line(at(1800, 800, 2000, 1000), kind="核心保护区"),
        "green_line": line(at(900, 0, 1000, 100)),
        "blue_line": line(at(800, 0, 850, 100)),
        "purple_line": line(at(0, 100, 50, 150)),
        "yellow_line": line(at(700, 0, 750, 100)),
        "flood_line": line(at(0, 150, 200, 200)),
        "heritage_line": heritage,
        "mineral_line": line(at(1000, 600, 1100, 700), ended="2024-12-31"),
        "industrial_line": line(at(0, 200, 500, 400)),
        "geohazard_line": line(at(1200, 600, 1300, 700)),
    }  # fmt: skip


def ledger(**left: float) -> Ledger:
    """Balances with what is left of each zone, hectares."""
    zones = {"01": 50.0, "U1": 20.0, "02": 5.0, "U2": 5.0} | left
    return Ledger(pd.DataFrame({"zone": list(zones), "left": list(zones.values())}), 2025)


def reviewer(
    *without: str, on: pd.Timestamp = DAY, left: dict[str, float] | None = None, **instead
) -> Reviewer:
    """The city's plan, without some layers or with others in their place."""
    made = {role: one for role, one in (layers() | instead).items() if role not in without}
    return Reviewer(load_city("demo"), 2025, on, made, ledger=ledger(**(left or {})))
