"""Places of the survey and of images held against each other, counted by hand."""

from types import SimpleNamespace

import geopandas as gpd
import pandas as pd
from shapely.geometry import box

from workbench.evaluation import image_match
from workbench.rules.same_place import joins

CRS = "EPSG:4547"
X, Y = 500_000.0, 2_500_000.0


def at(left, low, side=40):
    return box(X + left, Y + low, X + left + side, Y + low + side)


def frame(*rows):
    return gpd.GeoDataFrame(
        {"line": [line for line, _ in rows]}, geometry=[shape for _, shape in rows], crs=CRS
    )


# the first place lies on two lines; the second is the survey's alone; the third both saw, on different lines
SURVEY = frame(("red", at(0, 0)), ("farm", at(0, 0)), ("farm", at(200, 0)), ("farm", at(400, 0)))
# the first is smaller and half outside; the last but one overlaps by less than half; the last is new
IMAGES = frame(
    ("red", at(20, 0)), ("green", at(405, 0)), ("farm", at(225, 0)), ("green", at(800, 0)), ("farm", at(0, 0))
)


def test_counts_by_hand():
    found = image_match.compare(SURVEY, IMAGES)
    assert next(iter(found)) == "farm" and list(found)[-1] == "all"
    assert list(found["farm"].values()) == [3, 1, 2, 2, 1, 1]
    assert list(found["red"].values()) == [1, 1, 0, 1, 1, 0]
    assert list(found["green"].values()) == [0, 0, 0, 2, 0, 2]  # the survey's case there is one of farmland
    assert list(found["all"].values()) == [3, 2, 1, 4, 2, 2]  # the place on two lines once, on either side
    for counts in found.values():
        assert counts["survey"] == counts["survey_seen"] + counts["survey_alone"]
        assert counts["images"] == counts["images_seen"] + counts["images_alone"]


def test_the_own_line_comes_first_and_nothing_meets_nothing():
    met = joins(SURVEY, IMAGES).drop_duplicates("left").set_index("left")
    assert met["right"].to_dict() == {0: 0, 1: 4, 3: 1} and met["same_line"].to_dict() == {
        0: True,
        1: True,
        3: False,
    }
    assert met.at[0, "share"] == 0.5
    assert joins(SURVEY.iloc[:0], IMAGES).empty
    assert list(image_match.compare(SURVEY.iloc[:0], IMAGES.iloc[:0])) == ["all"]


def test_rows_have_the_clearance_of_both_sources():
    layers = {"red": SimpleNamespace(sensitivity="公开"), "farm": SimpleNamespace(sensitivity="敏感")}
    city = SimpleNamespace(name="x", crs=CRS, layers=layers)
    data = SimpleNamespace(
        has=lambda role, year: year == 2025, vector=lambda role, year: IMAGES,
        source=lambda role, year: SimpleNamespace(sensitivity="内部", date="2025-11-02"),
    )  # fmt: skip
    findings = SURVEY.assign(kind="spatial_conflict", area_m2=1600.0)
    findings = pd.concat([findings, findings.iloc[:1].assign(kind="floor")], ignore_index=True)
    rows = pd.DataFrame(image_match.rows(city, 2025, data, findings)).set_index(["indicator", "zone"])
    assert rows.at[("imagery.match.survey", "all"), "value"] == 3
    assert rows.at[("imagery.match.images_alone", "green"), "value"] == 2
    assert set(rows["sensitivity"]) == {"敏感"} and rows["value_id"].is_unique
    assert image_match.rows(city, 2024, data, findings) == []
