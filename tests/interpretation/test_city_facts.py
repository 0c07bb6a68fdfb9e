"""Figures of patches and cases, by hand: squares in two zones, land under two lines counted once."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from workbench.interpretation.city_facts import LISTED, case_facts, change_facts, readable_facts
from workbench.operators.sampling import class_cells

X, Y = (
    470_000.0,
    2_570_000.0,
)  # close to the central meridian: a square kilometre of the plane is one of the ellipsoid


def square(east: float, north: float, side: float) -> shapely.Geometry:
    return shapely.box(X + east, Y + north, X + east + side, Y + north + side)


ZONES = gpd.GeoDataFrame(
    {"code": ["a", "b"], "name": ["甲", "乙"]},
    geometry=[square(0, 0, 1000), square(1000, 0, 1000)],
    crs="EPSG:4547",
)


def values(rows: list[dict[str, object]]) -> dict[tuple[str, str, str], float]:
    return {(r["part"], r["item"], r["zone"]): r["value"] for r in rows}


def test_patches_are_counted_once_and_in_their_zone():
    patches = gpd.GeoDataFrame(geometry=[square(100, 100, 100), square(1500, 100, 200)], crs="EPSG:4547")
    found = values(change_facts(patches, ZONES, "by hand"))
    assert (found["change", "patches", ""], found["change", "patches", "a"]) == (2, 1)
    assert found["change", "patch_area", ""] == pytest.approx(5.0, rel=2e-4)
    assert found["change", "patch_area", "b"] == pytest.approx(4.0, rel=2e-4)


def test_land_under_two_lines_is_two_cases_and_one_area():
    shape = square(100, 100, 100)
    cases = gpd.GeoDataFrame(
        {"finding_id": ["A-1", "B-1", "A-2"], "rule": ["a", "b", "a"], "matter": ["甲类", "乙类", "甲类"], "district": ["a", "a", "b"],
         "area_m2": [1e4, 1e4, 4e4], "probability": [0.9, 0.9, 0.5], "level": [4, 3, 1]},
        geometry=[shape, shape, square(1500, 100, 200)], crs="EPSG:4547",
    )  # fmt: skip
    found = values(case_facts(cases, ZONES))
    assert found["cases", "count", ""] == 3
    assert found["cases", "area", ""] == pytest.approx(5.0, rel=2e-4)
    assert found["cases", "count", "a"] == 2
    assert found["cases", "area", "a"] == pytest.approx(1.0, rel=2e-4)
    assert found["cases", "count.甲类", ""] == 2
    assert found["case", "probability", "A-2"] == 50.0
    assert (found["case", "level", "A-1"], found["case", "level", "A-2"]) == (4, 1)
    assert len(cases) < LISTED


def test_no_case_is_nought_of_everything():
    none = gpd.GeoDataFrame({name: [] for name in ("finding_id", "rule", "matter", "district", "area_m2", "probability")}, geometry=[], crs="EPSG:4547")  # fmt: skip
    found = values(case_facts(none, ZONES))
    assert found == {(p, i, z): 0 for p, i in (("cases", "count"), ("cases", "area")) for z in ("", "a", "b")}


def test_what_can_be_read_is_told_inside_the_city_alone(tmp_path):
    values_ = np.ones((100, 300), dtype=np.uint8)  # cells of 10 m: 100 ha a zone, 100 ha beside them
    values_[:, 150:200] = 0  # half of the second zone lies under cloud
    with rasterio.open(tmp_path / "map.tif", "w", driver="GTiff", width=300, height=100, count=1, dtype="uint8", nodata=0,
                       crs="EPSG:4547", transform=from_origin(X, Y + 1000, 10, 10)) as file:  # fmt: skip
        file.write(values_, 1)
    found = values(
        readable_facts("change_", tmp_path / "map.tif", class_cells(tmp_path / "map.tif")[1], ZONES)
    )
    assert found["change_readable", "area", ""] == pytest.approx(150.0, rel=2e-4)
    assert found["change_readable", "city", ""] == pytest.approx(200.0, rel=2e-4)
    assert found["change_readable", "share", ""] == pytest.approx(75.0, rel=1e-4)
