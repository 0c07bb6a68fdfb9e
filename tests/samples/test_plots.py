"""Plots of the demo city's detailed plans, on a few parcels drawn by hand."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.evaluation.review.uses import plan_classes
from workbench.samples.plots import APPROVED, LATER, WITHOUT_PLAN, make_plots
from workbench.samples.space import CRS

UNITS = 8
SIDE = 100.0


def parcels() -> gpd.GeoDataFrame:
    """Eight columns of ten parcels; in each a street, a river, houses, works, a park and open fields."""
    codes = ["1004", "1101", "0701", "0601", "0810", "0103", "0103", "0103", "0201", "0103"]
    shapes = [
        shapely.box(
            470_000 + SIDE * x, 2_560_000 + SIDE * y, 470_000 + SIDE * (x + 1), 2_560_000 + SIDE * (y + 1)
        )
        for x in range(UNITS)
        for y in range(10)
    ]
    units = np.repeat([f"U{x}" for x in range(UNITS)], 10)
    return gpd.GeoDataFrame({"dlbm": codes * UNITS, "unit": units}, geometry=shapes, crs=CRS)


def boundary():
    """All but the upper half of the last row."""
    return shapely.box(470_000, 2_560_000, 470_000 + SIDE * UNITS, 2_560_000 + 9.5 * SIDE)


def test_what_is_built_keeps_its_use_and_plots_end_at_the_boundary():
    made = make_plots(1, parcels(), boundary())
    assert made.geometry.within(boundary().buffer(1e-6)).all()
    assert np.isclose(made.area.min(), 0.5 * SIDE**2)
    joined = gpd.sjoin(
        made.set_geometry(made.representative_point()), parcels()[["dlbm", "geometry"]], predicate="within"
    )
    kept = {
        "1004": {"1207"},
        "1101": {"1701"},
        "0701": {"070102"},
        "0601": {"100101", "100102"},
        "0810": {"1401"},
    }
    for code, planned in kept.items():
        assert set(joined.loc[joined["dlbm"] == code, "use"]) <= planned
    assert set(made["use"]) <= set(plan_classes())


def test_limits_units_without_plan_and_the_same_again():
    made = make_plots(1, parcels(), boundary())
    assert made["unit"].nunique() == UNITS - WITHOUT_PLAN
    later = made.loc[made["approved"] == pd.Timestamp(LATER), "unit"]
    assert later.nunique() == 1
    assert set(made["approved"]) == {pd.Timestamp(APPROVED), pd.Timestamp(LATER)}
    works = made[made["use"].str.startswith("10")]
    assert works["far"].between(1.2, 2.5).all()
    assert works["green_pct"].isna().all()
    assert made.loc[made["use"] == "1207", ["far", "height_m"]].isna().all().all()
    assert made["plot_id"].is_unique
    pd.testing.assert_frame_equal(pd.DataFrame(made), pd.DataFrame(make_plots(1, parcels(), boundary())))
    assert not made["far"].equals(make_plots(2, parcels(), boundary())["far"])
