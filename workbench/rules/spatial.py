"""The cases of a checkup's year as findings, from the city's surveys, change patches, lines and permits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import pandas as pd

from workbench.indicators.values import value_id
from workbench.rules import messages
from workbench.rules.cases import QUIET, build_cases
from workbench.rules.context import Context
from workbench.rules.kinds import NO_DATA, Outcome
from workbench.rules.patches import Change, class_names
from workbench.rules.rule import Rule


def survey_pair(data: Any, year: int) -> Change | None:
    """Find the land surveys of a year and of the one before it, with the year's change patches; None if one is absent."""
    years = sorted(data.years("land_use"))
    earlier = [known for known in years if known < year]
    if year not in years or not earlier:
        return None
    last = earlier[-1]
    if not (data.has("land_use", year) and data.has("land_use", last)):
        return None  # a survey that failed its quality check is not replaced by an older one

    def day(known: int) -> pd.Timestamp:
        """Day the land is surveyed for; a date in another year is that of a revision's publication."""
        text: str = data.source("land_use", known, edition="original").date or "NaT"
        stated = pd.Timestamp(text)
        return stated if pd.notna(stated) and stated.year == known else pd.Timestamp(known, 12, 31)

    return Change(
        data.vector("land_use", last),
        data.vector("land_use", year),
        day(last),
        day(year),
        images=image_patches(data, year),
    )


def image_patches(data: Any, year: int) -> gpd.GeoDataFrame | None:
    """Change patches of a year; None when there are none."""
    return data.vector("change_patches", year) if data.has("change_patches", year) else None


def city_cases(
    city: Any, data: Any, year: int, rules: list[Rule], activities: Mapping[str, str] | None = None
) -> gpd.GeoDataFrame | None:
    """Cases of a city and year, small ones and slivers among them.

    Parameters
    ----------
    city, data, year
        Profile, layers, year of the checkup.
    rules : list of Rule
        Spatial rules.
    activities : mapping of space code to activity, optional
        What persons have found cases to be.

    Returns
    -------
    GeoDataFrame or None
        Columns of :func:`workbench.rules.cases.build_cases`; None when there is neither a pair of surveys nor imagery.
    """
    change, images = survey_pair(data, year), image_patches(data, year)
    if change is None and images is None:
        return None
    return build_cases(
        change, lines_of(data, rules), rules, patches=images, activities=activities, **places_of(city, data)
    )  # fmt: skip


def lines_of(data: Any, rules: Sequence[Rule]) -> dict[str, gpd.GeoDataFrame]:
    """Lines that spatial rules ask for, by role; those the city does not have are left out."""
    wanted = dict.fromkeys(rule.line for rule in rules if rule.side != "anywhere")
    return {line: data.vector(line) for line in wanted if data.has(line)}


def places_of(city: Any, data: Any) -> dict[str, Any]:
    """Permits, projects and zones of a city as :func:`workbench.rules.cases.build_cases` takes them."""
    return {
        "permits": data.vector("permits") if data.has("permits") else None,
        "districts": data.zones("district" if "district" in city.levels else "city"),
        "units": data.zones("unit") if "unit" in city.levels else None,
        "projects": data.vector("projects") if data.has("projects") else None,
    }


def spatial_findings(
    context: Context, rules: list[Rule], activities: Mapping[str, str] | None = None
) -> pd.DataFrame | None:
    """Suspected patches of the year as findings; None when there are none.

    A line without data, or a city without surveys and imagery, leaves one finding without data a line.
    """
    data, city = context.data, context.city
    cases = city_cases(city, data, context.year, rules, activities)
    missing: set[str] = set()
    for rule in rules:
        if rule.line in missing or (cases is not None and (rule.side == "anywhere" or data.has(rule.line))):
            continue
        missing.add(rule.line)
        context.add(rule, Outcome(NO_DATA, "no_data"), None, line=rule.line, **_closed(context, rule))
    if cases is None:
        return None
    cases = cases[~cases["outcome"].isin(QUIET)]
    return None if cases.empty else as_findings(cases, rules, city.name, context.year)


def _closed(context: Context, rule: Rule) -> dict[str, str]:
    """Sentences that tell why a line must not be used; nothing where it simply is not there."""
    gate = getattr(context.data, "gate", lambda _: None)(rule.line)
    if gate is None:
        return {}
    zh, en = context.data.why_words(rule.line)
    return {
        "message_zh": f"{rule.line_zh or rule.title_zh}：{zh}，无法判断。",
        "message_en": f"{rule.line_en or rule.title_en}: {en}; not judged.",
    }


def as_findings(cases: gpd.GeoDataFrame, rules: list[Rule], city_name: str, year: int) -> pd.DataFrame:
    """Cases with the columns of findings: number, value id, clause, sentences."""
    by_id = {rule.id: rule for rule in rules}
    label = {lang: class_names(lang) for lang in ("zh", "en")}
    shown = cases["tblx"].where((cases["source"] == "image") & (cases["tblx"] != ""), cases["after"])
    found = cases.assign(
        indicator="",
        after=shown,
        zone_level="case",
        zone=cases["finding_id"],
        zone_name=cases["finding_id"],
        year=year,
        value=cases["area_m2"],
        unit="m2",
        value_id=[value_id(city_name, "case.area_m2", "case", case, year) for case in cases["finding_id"]],
        clause=[by_id[rule].clause for rule in cases["rule"]],
    )
    for lang in ("zh", "en"):
        unknown = "unknown land" if lang == "en" else "地类不明"
        found[f"message_{lang}"] = [
            messages.of_case(
                by_id[rule],
                label[lang].get(before, before) or unknown,
                label[lang].get(after, after) or unknown,
                outcome,
                lang,
            )
            for rule, before, after, outcome in zip(
                found["rule"], found["before"], found["after"], found["outcome"], strict=True
            )
        ]
    return pd.DataFrame(found)
