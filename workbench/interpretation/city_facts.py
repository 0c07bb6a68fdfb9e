"""Figures of detected changes and suspected cases: of the city, of its districts, of each case that is listed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt

from workbench.interpretation.assessment import fact
from workbench.operators._intervals import proportion
from workbench.operators.area import area_m2
from workbench.operators.sampling import class_cells

if TYPE_CHECKING:
    from workbench.interpretation.cards import Card

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


def readable_facts(
    prefix: str,
    path: str | Path,
    areas: Mapping[int, float],
    zones: gpd.GeoDataFrame,
    recode: npt.ArrayLike | None = None,
) -> list[dict[str, Any]]:
    """Hectares of the city that a map tells a class of, their share of the city, and the city itself.

    Parameters
    ----------
    prefix : str
        Of the part, ``""`` or ``change_``.
    path : path
        The map; what lies outside the zones does not count.
    areas : mapping of class to float
        Area of each class on the whole of the map, m².
    zones : GeoDataFrame
        Together the city.
    recode : array, optional
        Class of each value of the raster.
    """
    outside = class_cells(path, without=zones, recode=recode)[1]
    inside = (sum(areas.values()) - sum(outside.values())) / 1e4
    city = float(area_m2(np.array([zones.geometry.union_all()]), zones.crs)[0]) / 1e4
    part, of = f"{prefix}readable", "cells of the map that have a class, inside the city"
    return [
        fact(part, "area", inside, unit="ha", decimals=1, basis=of),
        fact(part, "share", 100 * inside / city, unit="%", decimals=1, basis=of),
        fact(part, "city", city, unit="ha", decimals=1, basis="zones of the city"),
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


def transition_facts(patches: gpd.GeoDataFrame, basis: str) -> list[dict[str, Any]]:
    """Other land changes of the city, number and hectares in all and of each kind (``<before>.<after>``).

    Parameters
    ----------
    patches : GeoDataFrame
        ``before_class, after_class``.
    basis : str
        What was counted.
    """
    rows = _amounts("transition", ("patches", "patch_area"), patches, basis)
    for (was, now), own in patches.groupby(["before_class", "after_class"], sort=True):
        rows += _amounts("transition", (f"patches.{was}.{now}", f"patch_area.{was}.{now}"), own, basis)
    return rows


def case_facts(cases: gpd.GeoDataFrame, zones: gpd.GeoDataFrame | None) -> list[dict[str, Any]]:
    """Suspected cases by matter and zone, and area, probability and level of those listed.

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
            fact("case", "level", float(case.level), unit="count", **of),
        ]
    return rows


def net_facts(card: Card) -> list[dict[str, Any]]:
    """How good a net was in places kept from its training, as its card says: by class, or by size of the changed patches.

    Parameters
    ----------
    card : Card
        Of land cover (IoU by class) or of change (share of the true patches found by size in cells, all places together).

    Returns
    -------
    list of dict
        Part ``net``, items ``iou.<class>`` and ``overall``; or part ``change_net``, items ``iou``, ``precision``,
        ``recall.<cells>`` with interval and ``patches.<cells>``. Empty for a card that says nothing of its places.
    """
    told, places = card.accuracy, list(card.accuracy.get("by_place", {}).values())
    of: dict[str, Any] = {"unit": "%", "decimals": 1, "basis": f"card of {card.name}"}
    if card.task == "land_cover":
        rows = [fact("net", f"iou.{name}", 100 * value, **of) for name, value in told.get("iou", {}).items()]
        return [*rows, fact("net", "overall", 100 * told["overall"], **of)] if rows else []
    places = [one for one in places if one.get("by_size")]
    if not places:
        return []
    rows = []
    for size in places[0]["by_size"]:
        parts = [one["by_size"][size] for one in places]
        true = sum(part["patches"] for part in parts)
        found = round(sum(part["patches"] * (part["recall"] or 0.0) for part in parts))
        if true:
            limits = [100 * float(one) for one in proportion(found, true)]
            rows.append(fact("change_net", f"recall.{size}", *limits, **of))
        rows.append(fact("change_net", f"patches.{size}", true, unit="count", basis=of["basis"]))
    for item, key in (("iou", "cell_iou"), ("precision", "precision"), ("recall", "recall")):
        rows.append(fact("change_net", item, 100 * float(np.mean([one[key] for one in places])), **of))
    return rows
