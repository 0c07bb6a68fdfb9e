"""The problems of the year before, and what became of them: judged again, looked up in the register, seen on the ground."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from workbench.core.codes import match
from workbench.core.errors import LayerMissing
from workbench.core.provenance import stable_hash
from workbench.evaluation.derived import Row, indicator_levels, observed
from workbench.indicators.indicator import Indicator
from workbench.indicators.values import derived
from workbench.operators.area import area_m2
from workbench.rules.evaluate import evaluate
from workbench.rules.register import Register
from workbench.rules.shapes import shared, united

OUTCOMES = ("gone", "eased", "same", "worse", "unknown")
"""What may have become of a warning."""
NO_SURVEY = ("no_survey", "本年没有国土调查，无法看出现状", "no land survey of the year to see the ground")
LEAST = 2
"""Level from which a warning of last year is a problem to be followed up."""


def findings_before(
    city: Any,
    data: Any,
    year: int,
    values: pd.DataFrame,
    findings: gpd.GeoDataFrame,
    *,
    keep: Callable[[str, Callable[[], pd.DataFrame]], pd.DataFrame],
    definitions: Mapping[str, Indicator],
) -> gpd.GeoDataFrame | None:
    """Findings of the year before, judged by the rules in force then, with what became of each.

    Returns
    -------
    GeoDataFrame or None
        Columns of the findings and ``level_now`` (of the same indicator, -9 when it is not judged), ``outcome`` (one of
        :data:`OUTCOMES`, empty for patches) and ``still_m2`` (what of a patch is still of its new class). None when there
        are no values of the year before.
    """
    if observed(values, year - 1).empty:
        return None

    activities = Register.open(city).activities()

    def judge() -> pd.DataFrame:
        judged: pd.DataFrame = evaluate(
            city, year - 1, values, data, definitions=definitions, activities=activities
        )
        return judged

    stated = f"-{stable_hash(activities)[:10]}" if activities else ""
    found: pd.DataFrame = keep(f"findings-before{stated}", judge)
    found = found[(found["level"] >= LEAST) & ~found["kind"].isin(["freshness", "consistency"])]
    found = gpd.GeoDataFrame(found.reset_index(drop=True).copy(), geometry="geometry", crs=city.crs)
    levels = indicator_levels(findings)
    city_wide = (found["indicator"] != "") & (found["zone_level"] == "city")
    now = [
        levels.get(str(one), -9) if wide else -9
        for one, wide in zip(found["indicator"], city_wide, strict=True)
    ]
    found["level_now"] = now
    found["outcome"] = [
        outcome(int(before), after) if wide else ""
        for before, after, wide in zip(found["level"], now, city_wide, strict=True)
    ]
    found["still_m2"] = _still(city, data, year, found)
    return found


def outcome(before: int, now: int) -> str:
    """What became of a warning level.

    Examples
    --------
    >>> outcome(4, 0), outcome(4, 3), outcome(3, 3), outcome(2, 4), outcome(3, -9)
    ('gone', 'eased', 'same', 'worse', 'unknown')
    """
    if now < 0:
        return "unknown"
    if now == 0:
        return "gone"
    return "eased" if now < before else "same" if now == before else "worse"


def _still(city: Any, data: Any, year: int, found: gpd.GeoDataFrame) -> np.ndarray:
    """Area of each patch that this year's survey still shows in the class it changed into; NaN for others."""
    still = np.full(len(found), math.nan)
    patches = np.flatnonzero(((found["kind"] == "spatial_conflict") & found["area_m2"].notna()).to_numpy())
    if not len(patches):
        return still
    try:
        land = data.vector("land_use", year)
    except LayerMissing:
        return still
    shapes = found.geometry.to_numpy()[patches]
    near = land.iloc[np.unique(land.sindex.query(shapes, predicate="intersects")[1])]
    classes = near["dlbm"].fillna("").astype(str)
    built = match(classes, "construction")
    i, j, pieces, _ = shared(shapes, near.geometry.to_numpy())
    after = found["after"].to_numpy()[patches].astype(str)
    digits = classes.to_numpy().astype(str)
    same = np.array(
        [
            digits[b][:2] == after[a][:2] if after[a][:2].isdigit() else bool(built[b])
            for a, b in zip(i, j, strict=True)
        ],
        dtype=bool,
    )
    if not same.any():
        still[patches] = 0.0
        return still
    merged = united(np.asarray(pieces)[same], np.asarray(i)[same], len(shapes))
    still[patches] = area_m2(merged, city.crs)
    return still


def former_rows(city: Any, year: int, found: gpd.GeoDataFrame | None) -> list[Row]:
    """Rows ``report.former`` (zone = outcome, ``patches``, ``warnings``) and, for every patch, its area and share still there."""
    if found is None:
        return []
    rows: list[Row] = []
    warned = found[found["outcome"] != ""]
    patches = found[(found["kind"] == "spatial_conflict") & found["area_m2"].notna()]
    counts = {name: int((warned["outcome"] == name).sum()) for name in OUTCOMES}
    counts |= {"warnings": len(warned), "patches": len(patches)}
    for zone, count in counts.items():
        rows.append(
            derived(
                "report.former",
                count,
                city=city.name,
                year=year,
                zone=zone,
                zone_name=zone,
                basis="problems of the year before",
                sensitivity="内部" if zone == "patches" else "公开",
            )
        )
    for row in patches.drop(columns="geometry").to_dict("records"):
        common: dict[str, Any] = {
            "city": city.name, "year": year, "level": "case", "zone": row["finding_id"], "zone_name": row["finding_id"],
            "sensitivity": "内部",
        }  # fmt: skip
        area, still = float(row["area_m2"]), float(row["still_m2"])
        rows.append(derived("case.former_m2", area, unit="m2", basis="patch of the year before", **common))
        share = 100 * min(1.0, still / area) if area else math.nan
        rows.append(
            derived(
                "case.still_pct",
                share,
                unit="%",
                decimals=0,
                basis="share still of the class it changed into",
                reason=NO_SURVEY if math.isnan(share) else None,
                **common,
            )
        )
    return rows
