"""Cases found in images as a table and a layer of the annexes, each with the survey's case on the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import geopandas as gpd

    from workbench.evaluation.checkup import Checkup

COLUMNS = (
    "rank", "space_code", "matter", "line", "district", "before", "after", "date_before", "date_after", "area_m2",
    "probability", "priority", "permit_state", "level", "survey_case", "survey_code",
)  # fmt: skip
"""Columns of the sheet."""


def image_cases(checkup: Checkup) -> gpd.GeoDataFrame | None:
    """Cases found in images of the year, the most pressing first; None where none are published or may be shown.

    Parameters
    ----------
    checkup : Checkup
        One whose city states no interpretation, as that of the public edition, shows none.

    Returns
    -------
    GeoDataFrame or None
        Columns of the layer ``detected_cases``, ``survey_case`` and ``survey_code``: number and space code of the case of the
        checkup that shares half of the smaller shape or more (on the same line first); empty where there is none.
    """
    import geopandas as gpd

    from workbench.rules.same_place import IMAGE_CASES, best
    from workbench.views.rows import cases_of

    if checkup.city.interpretation is None or not checkup.data.has(IMAGE_CASES, checkup.year):
        return None
    found = checkup.data.vector(IMAGE_CASES, checkup.year)
    listed = cases_of(checkup)
    if not len(found):
        return None
    names: dict[str, list[str]] = {"survey_case": [""] * len(found), "survey_code": [""] * len(found)}
    if len(listed):
        survey = gpd.GeoDataFrame(listed, geometry="geometry", crs=checkup.city.crs).reset_index(drop=True)
        for at, met in best(found, survey).items():
            names["survey_case"][at] = str(survey["finding_id"].iloc[met])
            if "space_code" in survey:
                names["survey_code"][at] = str(survey["space_code"].iloc[met] or "")
    return gpd.GeoDataFrame(found.assign(**names), geometry="geometry", crs=found.crs)


def image_rows(checkup: Checkup, lang: str) -> list[dict[str, Any]]:
    """Rows of the sheet in words."""
    from workbench.rules.patches import class_names
    from workbench.views.cells import line_label, word
    from workbench.views.numbers import records
    from workbench.views.rows import district_names
    from workbench.views.text import plain

    found = image_cases(checkup)
    if found is None:
        return []
    districts, classes = district_names(checkup, lang), class_names(lang)
    return [
        {
            **row,
            "matter": word("imagery.matter", row["matter"], lang),
            "line": line_label(str(row["line"]), lang),
            "district": districts.get(str(row["district"]), row["district"]),
            "permit_state": word("permit", row["permit_state"], lang),
            "level": plain(f"level.{int(row['level'])}", lang),
            "before": classes.get(str(row["before"]), row["before"]),
            "after": classes.get(str(row["after"] or row["tblx"]), row["after"]),
            "survey_case": row["survey_case"] or None,
            "survey_code": row["survey_code"] or None,
        }
        for row in records(found.drop(columns="geometry"))
    ]
