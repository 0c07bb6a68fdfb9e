"""Results of the topics that others build on: published in the catalogue before indicators and rules are computed.

The urban range told from the survey stands in for a 城区 the city has not delimited; figures on low-efficiency land, on use
against suitability and on carrying capacity are what rule packs judge. Both say what they were made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import geopandas as gpd
import pandas as pd

from workbench.catalog import gates, published
from workbench.catalog.published import DERIVED_SCOPES, TOPIC_FIGURES, URBAN_RANGE
from workbench.core.errors import LayerMissing
from workbench.core.lineage import input_name
from workbench.evaluation.states import States
from workbench.indicators.values import highest_sensitivity
from workbench.rules.evaluate import rules_of
from workbench.rules.figures import COLUMNS

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.city import City
    from workbench.core.layer_spec import Sensitivity
    from workbench.evaluation.structure import Structure
    from workbench.evaluation.suitability import Suitability

Say = Callable[[str], None]
STRUCTURE, SUITABILITY = ("low_use",), ("conflict", "conflict_share", "capacity")
"""First words of the figures of each topic."""
THRESHOLDS = {"farming": "over_share", "building": "land_over", "water": "over_share"}
"""Setting of the suitability from which a constraint is overloaded."""


def prepare(
    city: City,
    data: CityData,
    year: int,
    years: Sequence[int],
    *,
    say: Say | None = None,
    use_cache: bool = True,
) -> bool:
    """Publish what indicators and rules of a city need of the topics.

    Parameters
    ----------
    city, data : City, CityData
        Profile and layers.
    year : int
        Year of the checkup.
    years : sequence of int
        Years its values are computed for.
    say : callable, optional
        Told in words what is being computed.
    use_cache : bool
        Take unchanged results of the topics from the cache.

    Returns
    -------
    bool
        Whether anything was published or taken back: the layers must be opened anew.
    """
    changed = [_urban_range(city, data, one, say) for one in years] if _wants_range(city, data) else []
    store = data
    if any(changed):
        from workbench.catalog.data import CityData

        store = CityData(city, build=False)
    return _figures(city, store, year, say, use_cache) or any(changed)


def _strictest(levels: Iterable[str]) -> Sensitivity:
    return cast("Sensitivity", highest_sensitivity(levels))


def _tell(say: Say | None, text: str) -> None:
    if say is not None:
        say(text)


def _wants_range(city: City, data: CityData) -> bool:
    """Whether the city lacks a 城区 of its own; one behind a closed gate is not replaced."""
    name = next(iter(DERIVED_SCOPES))
    if name not in city.scopes:
        return True
    try:
        data.scope(name)
    except LayerMissing as missing:
        return missing.reason != gates.REASON
    return False


def _urban_range(city: City, data: CityData, year: int, say: Say | None) -> bool:
    """Publish the urban range of a year, or take back one the survey no longer tells."""
    from workbench.evaluation.structure.part import Case
    from workbench.evaluation.structure.settings import load_settings
    from workbench.evaluation.structure.urban import urban

    if not data.has("land_use", year) or year not in data.years("land_use"):
        return published.withdraw(city, URBAN_RANGE, year)
    zones = [level.role for level in city.levels.values()][-1:]
    inputs = States(city, data, year).of([input_name("land_use", year), *zones, "settings:structure"])
    if published.made_of(city.name, URBAN_RANGE, year) == inputs and year in data.years(URBAN_RANGE):
        return False
    _tell(say, f"urban range of {year}")
    try:
        part = urban(Case(city, data, year, load_settings(city)))
    except LayerMissing:
        return published.withdraw(city, URBAN_RANGE, year)
    area = part.tables["urban_area"]
    physical = area[area["round"] >= 0]
    whole = part.tables.get("urban_range")
    kept = None if whole is None else whole[whole["kept"]]
    if kept is not None and len(kept):
        frame = kept[["code", "name", "share", "geometry"]].reset_index(drop=True)
        note = (
            "没有划定城区，由变更调查推算：城区实体地域占比过半的分区整体计入",
            "told from the survey: zones of which half or more is physical urban area, whole",
        )
    else:
        shape = physical.geometry.union_all()
        frame = gpd.GeoDataFrame(
            {"code": ["physical"], "name": [city.name_zh], "share": [1.0]}, geometry=[shape], crs=area.crs
        )
        note = ("没有划定城区，由变更调查推算：城区实体地域", "told from the survey: the physical urban area")
    sensitivity = _strictest(city.layers[role].sensitivity for role in ("land_use", *zones))
    published.publish(
        city, URBAN_RANGE, year, gpd.GeoDataFrame(frame, geometry="geometry", crs=area.crs), source="变更调查（推算）",
        sensitivity=sensitivity, tier="substitute", note_zh=note[0], note_en=note[1], inputs=inputs,
    )  # fmt: skip
    return True


def _figures(city: City, data: CityData, year: int, say: Say | None, use_cache: bool) -> bool:
    """Publish the figures that the city's rules judge; whether they are others than before."""
    heads = {
        str(rule.applies["figure"]).partition(".")[0]
        for rule in rules_of(city, year)
        if "figure" in rule.applies
    }
    if not heads:
        return False
    from workbench.evaluation.structure import structure
    from workbench.evaluation.suitability import evaluate
    from workbench.evaluation.topics import editions_of

    before = data.source(TOPIC_FIGURES, year).sha256 if year in data.years(TOPIC_FIGURES) else ""
    was = published.made_of(city.name, TOPIC_FIGURES, year)
    frames: list[pd.DataFrame] = []
    roles: list[str] = []
    settings: list[str] = []
    for name, wanted in (("structure", STRUCTURE), ("suitability", SUITABILITY)):
        if not heads & set(wanted):
            continue
        _tell(say, f"topic {name}")
        settings.append(f"settings:{name}")
        try:
            if name == "structure":
                found = structure(city, year, data=data, use_cache=use_cache)
                roles += found.roles("low_use")
                frames.append(structure_figures(found))
            else:
                fit = evaluate(city, year, data=data, use_cache=use_cache)
                roles += fit.roles
                frames.append(suitability_figures(fit))
        except LayerMissing:
            continue
    if not any(len(frame) for frame in frames):
        return published.withdraw(city, TOPIC_FIGURES, year)
    inputs = States(city, data, year).of([*editions_of(roles, city, data, year), *settings])
    published.publish(
        city, TOPIC_FIGURES, year, pd.concat(frames, ignore_index=True), source="空间结构、双评价（推算）",
        sensitivity=_strictest(city.layers[role].sensitivity for role in roles if role in city.layers),
        tier="substitute", inputs=inputs,
    )  # fmt: skip
    from workbench.catalog.data import CityData

    now = CityData(city, build=False).source(TOPIC_FIGURES, year).sha256
    return (now, inputs) != (before, was)


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=[*COLUMNS])
    return frame.astype({"value": float, "warning": int, "threshold": float})


def structure_figures(found: Structure) -> pd.DataFrame:
    """Figures on low-efficiency land that rules may judge (columns ``rules.figures.COLUMNS``)."""
    facts = found.facts[(found.facts["part"] == "low_use") & (found.facts["zone"] == "")]
    return _frame(
        [
            {
                "figure": f"low_use.{row['item']}", "zone_level": "city", "zone": found.city.name,
                "zone_name": found.city.name_zh, "value": row["value"], "unit": row["unit"], "warning": -1,
                "threshold": float("nan"), "row": f"structure.low_use.{row['item']}",
            }
            for row in facts.to_dict("records")
        ]
    )  # fmt: skip


def suitability_figures(result: Suitability) -> pd.DataFrame:
    """Figures on present use against suitability and on carrying capacity that rules may judge."""
    shown = list(dict.fromkeys(["city", *result.city.levels]))[:2]
    rows: list[dict[str, Any]] = []
    for row in result.conflicts[result.conflicts["level"].isin(shown)].to_dict("records"):
        zone = {"zone_level": row["level"], "zone": row["zone"], "zone_name": row["zone_name"], "warning": -1,
                "threshold": float("nan")}  # fmt: skip
        name = str(row["conflict"])
        rows.append(
            {
                "figure": f"conflict.{name}",
                "value": row["area_m2"] / 1e4,
                "unit": "ha",
                "row": f"suitability.conflict.{name}",
                **zone,
            }
        )
        rows.append(
            {"figure": f"conflict_share.{name}", "value": row["share"], "unit": "%", "row": f"suitability.conflict_share.{name}", **zone}
        )  # fmt: skip
    for row in result.capacity[result.capacity["level"].isin(shown)].to_dict("records"):
        name = str(row["constraint"])
        if name in THRESHOLDS:
            rows.append(
                {"figure": f"capacity.{name}", "zone_level": row["level"], "zone": row["zone"], "zone_name": row["zone_name"],
                 "value": row["ratio"], "unit": "1", "warning": row["warning"],
                 "threshold": result.settings.number(THRESHOLDS[name]), "row": f"suitability.ratio.{name}"}
            )  # fmt: skip
    return _frame(rows)


__all__ = ["prepare", "structure_figures", "suitability_figures"]
