"""Figures of detected changes and suspected cases: of the city, of its districts, of each case that is listed."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np

from workbench.interpretation.assessment import fact
from workbench.operators.area import area_m2

LISTED = 60
"""Cases whose own figures are kept, the most pressing first."""
CROSSED = "patches crossed with lines and permits"


def _amounts(
    part: str, items: tuple[str, str], frame: gpd.GeoDataFrame, basis: str, **zone: str
) -> list[dict[str, Any]]:
    """How many, and how many hectares; land that several cases share counts once."""
    number, area = items
    hectares = (
        float(area_m2(np.array([union]), frame.crs)[0]) / 1e4
        if (union := frame.geometry.union_all())
        else 0.0
    )
    where: dict[str, Any] = dict(zone)
    return [
        fact(part, number, len(frame), unit="count", basis=basis, **where),
        fact(part, area, hectares, unit="ha", decimals=2, basis=basis, **where),
    ]


def change_facts(
    patches: gpd.GeoDataFrame, zones: gpd.GeoDataFrame | None, basis: str
) -> list[dict[str, Any]]:
    """Detected patches, number and hectares, of the city and of each zone that holds a point of them.

    Parameters
    ----------
    patches : GeoDataFrame
        ``area_m2``.
    zones : GeoDataFrame or None
        ``code, name``.
    basis : str
        What was counted.
    """
    items = ("patches", "patch_area")
    rows = _amounts("change", items, patches, basis)
    if zones is None:
        return rows
    at = gpd.GeoDataFrame(geometry=patches.representative_point(), crs=patches.crs)
    inside = gpd.sjoin(at, zones[["code", "geometry"]], predicate="within")["code"].astype(str)
    for code, name in zip(zones["code"].astype(str), zones["name"].astype(str), strict=True):
        own = patches.loc[inside.index[inside == code].unique()]
        rows += _amounts("change", items, own, basis, zone=code, zone_name=name)
    return rows


def case_facts(cases: gpd.GeoDataFrame, zones: gpd.GeoDataFrame | None) -> list[dict[str, Any]]:
    """Suspected cases by matter and zone, and area, probability and rank of those listed.

    Parameters
    ----------
    cases : GeoDataFrame
        Rows of :func:`workbench.interpretation.findings.cases`.
    zones : GeoDataFrame or None
        ``code, name``.
    """
    rows = _amounts("cases", ("count", "area"), cases, CROSSED)
    for matter, own in cases.groupby("matter", sort=True):
        rows += _amounts("cases", (f"count.{matter}", f"area.{matter}"), own, CROSSED)
    if zones is not None:
        for code, name in zip(zones["code"].astype(str), zones["name"].astype(str), strict=True):
            rows += _amounts(
                "cases",
                ("count", "area"),
                cases[cases["district"] == code],
                CROSSED,
                zone=code,
                zone_name=name,
            )
    for case in cases.head(LISTED).itertuples():
        of: dict[str, Any] = {"zone": str(case.finding_id), "basis": str(case.rule)}
        rows += [
            fact("case", "area", float(case.area_m2), unit="m2", **of),
            fact("case", "probability", 100 * float(case.probability), unit="%", **of),
        ]
    return rows
