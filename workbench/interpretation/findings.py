"""Suspected cases from change seen in images, what they come to, and what the field says of them.

Patches found by change detection pass through the same case builder as changes of the survey. What a record of facility
farmland covers is asked about, not accused. Verdicts of the register tell how often images were right, by month and
district; they are new samples as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core.codes import group
from workbench.core.errors import LayerMissing
from workbench.interpretation.classes import class_of_survey
from workbench.operators._intervals import proportion
from workbench.operators.guards import has_columns, same_crs
from workbench.rules.cases import CASE_COLUMNS, QUIET, build_cases
from workbench.rules.evaluate import rules_of
from workbench.rules.library import load_rules
from workbench.rules.patches import patch_codes
from workbench.rules.permits import match_many
from workbench.rules.register import DETECTED as REGISTERED
from workbench.rules.register import Register
from workbench.rules.same_place import IMAGE_CASES, SAME_PLACE, joins
from workbench.rules.shapes import main_class, shared
from workbench.rules.spatial import lines_of, places_of

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.city import City
    from workbench.interpretation.sample_library import SampleLibrary
    from workbench.rules.rule import Rule

PACK = "imagery"
"""Rules that apply to every city with images, besides the packs of its profile."""
DETECTED = "detected_changes"
"""Role of the patches found in images."""
OWN_NUMBERS = "YX-"
"""Start of the numbers of cases found in images (影像), so that none of them is the number of a survey's case."""
UNKNOWN = 0.5
"""Probability of a patch that does not say."""
FACILITY = frozenset({"设施农用地"})
FACILITY_LEVEL = 1
"""Level at most of new construction on cropland that a record of facility farmland covers: what stands there is asked about."""
FARMLAND, UNREPORTED = "疑似违法占用耕地", "疑似未报建"
FARM_LINES = ("permanent_farmland", "land_use")
COLUMNS = [*CASE_COLUMNS, "matter", "facility_state", "facility_ids", "probability", "severity", "priority"]
"""Columns of :func:`cases`."""
TRUE_CHANGE, FALSE_CHANGE = ("属实", "合法"), ("误判",)
"""Verdicts by which a change was there, and by which it was not; 无法认定 tells neither."""
BUILT_CODE = "0601"
"""Survey class that stands for built land of which the images do not say what it is."""
OUTLINE_CELLS = 1.0
"""Width in cells up to which a strip between an image's outline and a surveyed one is mismatch; own choice."""
BY_IMAGE = "影像"
"""Word of a rule's verifiability: what an image can show."""
IMAGES = ("image", REGISTERED)
"""Sources of cases that images showed: the bureau's own change patches, and what interpretation found."""


def cases(
    city: City, year: int, patches: gpd.GeoDataFrame, *, data: CityData | None = None
) -> gpd.GeoDataFrame:
    """Suspected cases of change patches, the most pressing first.

    Parameters
    ----------
    city : City
        Its rule packs say what is asked; :data:`PACK` always applies.
    year : int
        Year of the later image.
    patches : GeoDataFrame
        ``patch_id, tblx, before_dlbm, date_before, date_after, probability, geometry``; where ``before_dlbm`` is empty the
        survey before tells it.
    data : CityData, optional
        The city's layers; opened when not given.

    Returns
    -------
    GeoDataFrame
        Columns :data:`COLUMNS`, a row a patch and line, without those too small or too thin. ``matter`` is 疑似违法占用耕地,
        疑似未报建 or the title of the rule; ``severity`` the level by 4; ``priority`` = probability x area (m²) x severity;
        ``rank`` counts from the largest priority on.

    Raises
    ------
    CRSError, DataQualityError, ParameterError
        Another CRS, invalid polygons, missing columns.
    """
    if data is None:
        from workbench.catalog.data import CityData as Data

        data = Data(city)
    has_columns(
        patches, ["patch_id", "tblx", "date_before", "date_after", "probability"], where="change patches"
    )
    rules = [_coarse(rule, patches) for rule in spatial_rules(city, year)]
    places = places_of(city, data)
    found = build_cases(
        None, lines_of(data, rules), rules, patches=_with_former_class(patches, data, year), **places
    )  # fmt: skip
    found = found[~found["outcome"].isin(QUIET)].reset_index(drop=True)
    return _ranked(_with_facility(found, places["permits"], rules), patches, rules)


def detected(data: CityData, year: int) -> gpd.GeoDataFrame:
    """Patches of change found in images of a year; where none are published, the bureau's own, as likely as not.

    Raises
    ------
    LayerMissing
        There are neither.
    """
    if data.has(DETECTED, year):
        return data.vector(DETECTED, year)
    return data.vector("change_patches", year).assign(probability=UNKNOWN)


def spatial_rules(city: City, year: int) -> list[Rule]:
    """Spatial rules of a city's packs and of :data:`PACK` for a year that imagery can bear out (``verifiability``)."""
    own = [*rules_of(city, year), *load_rules((PACK,)).values()]
    return [
        rule
        for rule in {rule.id: rule for rule in own}.values()
        if rule.kind == "spatial_conflict" and BY_IMAGE in rule.verifiability
    ]


def _coarse(rule: Rule, patches: gpd.GeoDataFrame) -> Rule:
    """The rule with a tolerance that fits outlines made of cells: thinner strips beside a line or permit are the outline's."""
    if "cells" not in patches or not len(patches):
        return rule
    cell = float(np.sqrt((patches["area_m2"] / patches["cells"]).median()))
    thin = max(float(rule.parameters["min_width_m"]), OUTLINE_CELLS * cell)
    return replace(rule, parameters={**rule.parameters, "min_width_m": thin})


def _with_former_class(patches: gpd.GeoDataFrame, data: CityData, year: int) -> gpd.GeoDataFrame:
    """Patches whose former class is told by the survey before the year where the images do not."""
    known = (
        patches["before_dlbm"].fillna("").astype(str)
        if "before_dlbm" in patches
        else pd.Series("", index=patches.index)
    )
    blank = (known == "").to_numpy()
    earlier = [one for one in data.years("land_use") if one < year]
    if blank.any() and earlier:
        try:
            survey = data.vector("land_use", earlier[-1])
        except LayerMissing:
            return patches.assign(before_dlbm=known)
        same_crs(patches, survey)
        codes = survey["dlbm"].fillna("").to_numpy(object)
        told = known.to_numpy(object).copy()
        told[blank] = main_class(patches.geometry.to_numpy()[blank], codes, survey.geometry.to_numpy())[0]
        known = pd.Series(told, index=patches.index)
    return patches.assign(before_dlbm=known)


def _with_facility(
    found: gpd.GeoDataFrame, permits: gpd.GeoDataFrame | None, rules: Sequence[Rule]
) -> gpd.GeoDataFrame:
    """How records of facility farmland cover the cases; construction they cover wholly is a question, no more."""
    least = {
        rule.id: (float(rule.parameters["min_area_m2"]), float(rule.parameters["min_width_m"]))
        for rule in rules
    }
    state = np.full(len(found), "无" if permits is not None else "不确定", dtype=object)
    names = np.full(len(found), "", dtype=object)
    for rule, rows in found.groupby("rule"):
        at = found.index.get_indexer(rows.index)
        match = match_many(
            found.geometry.to_numpy()[at], permits, crs=found.crs, days=pd.DatetimeIndex(rows["date_after"]),
            min_area_m2=least[str(rule)][0], min_width_m=least[str(rule)][1], kinds=FACILITY,
        )  # fmt: skip
        state[at], names[at] = match["state"].to_numpy(), match["permit_ids"].to_numpy()
    covered = (state == "已批") & found["before"].isin(group("cropland")).to_numpy()
    level = np.where(covered, np.minimum(found["level"], FACILITY_LEVEL), found["level"])
    return found.assign(facility_state=state, facility_ids=names, level=level.astype(int))


def _ranked(found: gpd.GeoDataFrame, patches: gpd.GeoDataFrame, rules: Sequence[Rule]) -> gpd.GeoDataFrame:
    titles = {rule.id: rule.title_zh for rule in rules}
    farm = found["before"].isin(group("cropland")) & found["line"].isin(FARM_LINES)
    unreported = found["line"] == "permits"
    matter = np.select([farm.to_numpy(), unreported.to_numpy()], [FARMLAND, UNREPORTED], default="")
    matter = np.where(matter == "", found["rule"].map(titles).fillna("").to_numpy(object), matter)
    chance = dict(zip(patches["patch_id"].astype(str), patches["probability"].astype(float), strict=True))
    probability = found["patch_id"].astype(str).map(chance).astype(float)
    severity = found["level"].clip(lower=0) / 4.0
    found = found.assign(
        finding_id=OWN_NUMBERS + found["finding_id"].astype(str), matter=matter, probability=probability, severity=severity, priority=probability * found["area_m2"] * severity
    )  # fmt: skip
    found = found.sort_values(["priority", "finding_id"], ascending=[False, True], kind="stable").reset_index(
        drop=True
    )
    found["rank"] = np.arange(1, len(found) + 1)
    return gpd.GeoDataFrame(found[COLUMNS], geometry="geometry", crs=patches.crs)


# ---------------------------------------------------------------------- what the field says


def field_rates(
    register: Register, by: str = "month", *, level: float = 0.95, found: gpd.GeoDataFrame | None = None
) -> pd.DataFrame:
    """Precision and recall of images by what persons found on site.

    Parameters
    ----------
    register : Register
        The city's cases with their verdicts.
    by : {"month", "district", "line"}
        What is counted apart; month is that in which a case was found.
    level : float
        Confidence of the intervals.
    found : GeoDataFrame, optional
        Cases found in images (:func:`cases`, or the layer ``detected_cases``): entries of another source that one of the same
        year covers were shown by images as well, and their verdicts tell of images too.

    Returns
    -------
    DataFrame
        ``group`` (``all`` first), ``checked`` image cases with a verdict that tells; ``true`` of them where a change was
        there; ``precision`` with ``precision_low, precision_high``; ``confirmed``: verified as unlawful (属实);
        ``missed``: cases of other sources verified as 属实 that no image case covers; ``recall`` = confirmed by
        (confirmed + missed), with its interval. Missing where nothing was checked.

    Notes
    -----
    Cases of one place on several lines count once. Recall says what the register knows of, not what nobody has seen.
    """
    rows = register.cases[register.cases["verdict"].isin([*TRUE_CHANGE, *FALSE_CHANGE])]
    shown = rows["source"].isin(IMAGES).to_numpy()
    if found is not None and len(found):
        same_crs(rows, found)
        shown |= _seen(rows, found[found["space_code"].fillna("") != ""], same_year=True)
    rows = _once_a_place(rows.assign(source=np.where(shown, "image", rows["source"])))
    image = (rows["source"] == "image").to_numpy()
    seen = _seen(rows[~image], register.cases[register.cases["source"].isin(IMAGES)])
    told = pd.DataFrame(
        {
            "month": pd.to_datetime(rows["found_on"]).dt.strftime("%Y-%m"), "district": rows["district"].astype(str),
            "line": rows["line"].astype(str), "checked": image, "true": image & rows["verdict"].isin(TRUE_CHANGE).to_numpy(),
            "confirmed": image & (rows["verdict"] == "属实").to_numpy(), "missed": False,
        }
    )  # fmt: skip
    told.loc[~image, "missed"] = (rows.loc[~image, "verdict"] == "属实").to_numpy() & ~seen
    names = ["checked", "true", "confirmed", "missed"]
    sums = told.groupby(by)[names].sum().rename_axis("group").reset_index()
    whole = pd.DataFrame([{"group": "all", **told[names].sum().to_dict()}])
    table = pd.concat([whole, sums], ignore_index=True).astype(dict.fromkeys(names, int))
    for name, hits, points in (
        ("precision", table["true"], table["checked"]),
        ("recall", table["confirmed"], table["confirmed"] + table["missed"]),
    ):
        some = (points > 0).to_numpy()
        limits = proportion(hits.to_numpy(float), np.maximum(points.to_numpy(float), 1.0), level)
        for suffix, values in zip(("", "_low", "_high"), limits, strict=True):
            table[name + suffix] = np.where(some, values, np.nan)
    order = [
        "group",
        "checked",
        "true",
        "precision",
        "precision_low",
        "precision_high",
        "confirmed",
        "missed",
    ]
    return table[[*order, "recall", "recall_low", "recall_high"]]


def _once_a_place(rows: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Of the cases of one source on one place only the largest."""
    rows = rows.sort_values(["area_m2", "space_code"], ascending=[False, True], kind="stable").reset_index(
        drop=True
    )
    shapes = rows.geometry.to_numpy()
    i, j, pieces, _ = shared(shapes, shapes)
    less = np.minimum(shapely.area(shapes)[i], shapely.area(shapes)[j])
    same = (i > j) & (shapely.area(pieces) >= SAME_PLACE * less)
    same &= rows["source"].to_numpy()[i] == rows["source"].to_numpy()[j]
    keep = np.ones(len(rows), dtype=bool)
    for late, early in sorted(zip(i[same].tolist(), j[same].tolist(), strict=True)):
        keep[late] &= not keep[early]
    return rows[keep].reset_index(drop=True)


def _seen(
    rows: gpd.GeoDataFrame, images: gpd.GeoDataFrame, *, same_year: bool = False
) -> npt.NDArray[np.bool_]:
    """Whether an image case lies on each case, where asked for one of the same year."""
    out = np.zeros(len(rows), dtype=bool)
    met = joins(rows, images)
    i, j = met["left"].to_numpy(), met["right"].to_numpy()
    if same_year:
        mine, theirs = (frame["space_code"].astype(str).str[2:6].to_numpy() for frame in (rows, images))
        i = i[mine[i] == theirs[j]]
    out[i] = True
    return out


def to_register(register: Register, found: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Cases found in images that the register does not have yet from another source, ready for ``Register.update``.

    Parameters
    ----------
    register : Register
    found : GeoDataFrame
        Of :func:`cases`, or the layer ``detected_cases``.

    Returns
    -------
    GeoDataFrame
        With the source ``detected``; without those of which most lies on an entry of the same line and year.
    """
    others = register.cases[register.cases["source"] != REGISTERED]
    rows = found[found["space_code"].fillna("") != ""]
    known = rows["space_code"].isin(others["space_code"]).to_numpy()
    for line, same in others.groupby("line"):
        mine = (rows["line"] == line).to_numpy()
        known[mine] |= _seen(rows[mine], same, same_year=True)
    return gpd.GeoDataFrame(rows[~known].assign(source=REGISTERED), geometry="geometry", crs=found.crs)


def take_in(register: Register, data: CityData, year: int, on_date: Any) -> dict[str, int] | None:
    """Take the cases published for a year (layer ``detected_cases``) into the register, beside those of the surveys.

    Parameters
    ----------
    register : Register
        Saved at once.
    data : CityData
        The city's layers.
    year : int
        Year of the later images.
    on_date : date
        Day of the run.

    Returns
    -------
    dict or None
        Counts of ``Register.update``, ``known``: found on an entry of another source, and ``all``; None where none are published.
    """
    if not data.has(IMAGE_CASES, year):
        return None
    found = data.vector(IMAGE_CASES, year)
    rows = to_register(register, found)
    counts = register.update(rows, on_date, year=year, detected=True)
    return {**counts, "known": len(found) - len(rows), "all": len(found)}


def verified_samples(register: Register) -> gpd.GeoDataFrame:
    """Verdicts as labels: places where persons saw that land had changed, or that it had not.

    Returns
    -------
    GeoDataFrame
        ``sample_id`` (the space code), ``label`` (1 changed, 0 not), ``before, after`` (survey classes; ``after`` that of
        ``before`` where nothing changed), ``date_before, date_after, verdict, person, geometry``; 无法认定 is no label.
    """
    rows = register.cases[register.cases["verdict"].isin([*TRUE_CHANGE, *FALSE_CHANGE])]
    true = rows["verdict"].isin(TRUE_CHANGE).to_numpy()
    return gpd.GeoDataFrame(
        {
            "sample_id": rows["space_code"].to_numpy(object), "label": true.astype(int), "before": rows["before"].to_numpy(object),
            "after": np.where(true, rows["after"].to_numpy(object), rows["before"].to_numpy(object)),
            "date_before": rows["date_before"].to_numpy(), "date_after": rows["date_after"].to_numpy(),
            "verdict": rows["verdict"].to_numpy(object), "person": rows["person"].to_numpy(object),
        },
        geometry=rows.geometry.to_numpy(), crs=rows.crs,
    )  # fmt: skip


def add_verified(register: Register, library: SampleLibrary) -> list[str]:
    """Put what persons saw on site into a sample library: a point a place, with the class of the later day.

    Parameters
    ----------
    register : Register
        The city's cases with their verdicts.
    library : SampleLibrary
        Of a scheme that has survey classes; places it has already are passed over.

    Returns
    -------
    list of str
        Ids of the samples added. Places whose class the scheme does not have give none.
    """
    samples = verified_samples(register)
    of, names = class_of_survey(str(library.facts["scheme"])), library.names
    nearest = patch_codes()["dlbm"].to_dict()
    built = patch_codes().query("built_or_disturbed")["tblx"].tolist()
    code = [
        nearest.get(str(one), "") or (BUILT_CODE if one in built else str(one)) for one in samples["after"]
    ]
    value = np.array([of.get(one, 0) for one in code], dtype=int)
    fresh = value > 0
    if not fresh.any():
        return []
    rows = samples[fresh].to_crs(str(library.facts["crs"]))
    points = gpd.GeoDataFrame(
        {
            "sample_id": rows["sample_id"].to_numpy(object), "label": [names[one - 1] for one in value[fresh]],
            "date": pd.to_datetime(rows["date_after"]).to_numpy(),
        },
        geometry=rows.representative_point().to_numpy(), crs=rows.crs,
    )  # fmt: skip
    people = ", ".join(sorted({str(one) for one in rows["person"] if one})) or "?"
    return library.add_points(points, source="verdict", by=people)


__all__ = [
    "COLUMNS", "DETECTED", "FARMLAND", "UNREPORTED", "add_verified", "cases", "detected", "field_rates", "spatial_rules", "take_in",
    "to_register", "verified_samples",
]  # fmt: skip
