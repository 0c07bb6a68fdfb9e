"""Suspected places of the checkup held against those found in images: seen by both, by one alone; as rows of the value table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np

from workbench.evaluation.derived import places
from workbench.indicators.values import derived, highest_sensitivity
from workbench.rules.same_place import IMAGE_CASES, joins

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.city import City

PREFIX = "imagery.match."
COUNTS = ("survey", "survey_seen", "survey_alone", "images", "images_seen", "images_alone")
"""Counts of a line: those of the checkup, of them in images too and not; those of images, of them in the checkup too and not."""
BASIS = "places that share half of the smaller shape are one"


def compare(survey: gpd.GeoDataFrame, images: gpd.GeoDataFrame) -> dict[str, dict[str, int]]:
    """Counts of :data:`COUNTS` by line, and of ``all`` lines, where a place on several lines counts once.

    Parameters
    ----------
    survey : GeoDataFrame
        Cases of the checkup: ``line``.
    images : GeoDataFrame
        Cases found in images of the same year: ``line``.

    Returns
    -------
    dict
        Lines by number of cases, the most first; ``all`` last. A case counts as seen by the other source where a case of
        that source on the same line shares half of the smaller shape with it; for ``all`` on any line.
    """
    met = joins(survey, images)
    found: dict[str, dict[str, int]] = {}
    order = (
        survey["line"].value_counts().add(images["line"].value_counts(), fill_value=0).sort_values(ascending=False, kind="stable")
    )  # fmt: skip
    on_line = met[met["same_line"]]
    for line in map(str, order.index):
        totals, seen = [], []
        for frame, side in ((survey, "left"), (images, "right")):
            mine = (frame["line"] == line).to_numpy()
            totals.append(int(mine.sum()))
            seen.append(int(mine[on_line[side].unique()].sum()))
        found[line] = _counts(totals, seen)
    totals, seen = [], []
    for frame, side in ((survey, "left"), (images, "right")):
        place = places(frame) if len(frame) else np.zeros(0, dtype=np.intp)
        totals.append(len(np.unique(place)))
        seen.append(len(np.unique(place[met[side].unique()])))
    found["all"] = _counts(totals, seen)
    return found


def _counts(totals: list[int], seen: list[int]) -> dict[str, int]:
    numbers = (totals[0], seen[0], totals[0] - seen[0], totals[1], seen[1], totals[1] - seen[1])
    return dict(zip(COUNTS, numbers, strict=True))


def rows(city: City, year: int, data: CityData, findings: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """Rows ``imagery.match.<count>``, zone = line or ``all``; none where no cases were looked for in images.

    Parameters
    ----------
    city : City
        Profile.
    year : int
        Year of the checkup.
    data : CityData
        The city's layers, the published cases among them.
    findings : GeoDataFrame
        Findings of the checkup of that year.
    """
    if not data.has(IMAGE_CASES, year):
        return []
    survey = findings[(findings["kind"] == "spatial_conflict") & findings["area_m2"].notna()]
    shaped = gpd.GeoDataFrame(survey, geometry="geometry", crs=city.crs).reset_index(drop=True)
    source = data.source(IMAGE_CASES, year)
    lines = [str(one) for one in set(shaped["line"]) if one in city.layers]
    clearance = highest_sensitivity([source.sensitivity, *(city.layers[one].sensitivity for one in lines)])
    images = data.vector(IMAGE_CASES, year)
    return [
        derived(
            f"{PREFIX}{name}", number, city=city.name, year=year, zone=line, zone_name=line, basis=BASIS,
            sensitivity=clearance, data_date=source.date,
        )
        for line, counts in compare(shaped, images).items()
        for name, number in counts.items()
    ]  # fmt: skip
