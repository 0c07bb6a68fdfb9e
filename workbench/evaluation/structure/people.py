"""How residents cluster, how settlements are ranked by size, and how unequal density and land per head are."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import cKDTree
from shapely import get_coordinates

from workbench.core import codes
from workbench.core.cells import cell_shapes, spacing
from workbench.evaluation.structure.part import Case, Part, need, zone_sums
from workbench.operators.area import area_m2
from workbench.operators.clusters import (
    LEAST_ZONES,
    local_moran,
    moran,
    neighbours,
    primacy,
    rank_size,
    settlements,
)
from workbench.operators.inequality import gini, theil_parts
from workbench.operators.shared_area import area_table

Floats = npt.NDArray[np.float64]
VERDICTS = ("too_few", "not_power_law", "zipf", "flatter", "steeper", "primate")
"""Verdicts of the rank-size rule; a figure holds the place in this list."""


def people(case: Case) -> Part:
    """Moran's I and its local form by zone, settlements and their ranks, Theil and Gini.

    Raises
    ------
    LayerMissing
        Without residents.
    """
    need(case, "population")
    part = Part("people", roles=("population",))
    cells = case.vector("population")
    cells = cells[cells["population"].fillna(0) >= 0].reset_index(drop=True)
    heads = cells["population"].fillna(0).to_numpy(dtype=np.float64)
    part.fact("residents", float(heads.sum()), unit="person", decimals=0, basis="people of all cells")
    level = case.last_level()
    if level:
        zones = case.data.zones(level)
        part.roles = (*part.roles, case.city.levels[level].role)
        _clusters(case, part, zones, zone_sums(cells, heads, zones), level)
        _inequality(case, part, zones, zone_sums(cells, heads, zones))
    else:
        _clusters(case, part, *_as_zones(cells, heads), "cell")
    _ranks(case, part, cells, heads)
    return part


def _as_zones(cells: gpd.GeoDataFrame, heads: Floats) -> tuple[gpd.GeoDataFrame, Floats]:
    """Cells of a grid as zones, where a city has none."""
    table = pd.DataFrame({"code": cells["cell_id"].astype(str), "name": cells["cell_id"].astype(str)})
    return gpd.GeoDataFrame(table, geometry=cell_shapes(cells.geometry), crs=cells.crs), heads


def _clusters(case: Case, part: Part, zones: gpd.GeoDataFrame, heads: Floats, level: str) -> None:
    """Clustering of density by zone."""
    settings = case.settings.parameters
    if len(zones) < LEAST_ZONES:
        part.find(
            "few_zones",
            f"分区只有{len(zones)}个，不做空间自相关",
            f"{len(zones)} zones are too few for Moran's I",
        )
        return
    km2 = area_m2(zones.geometry.to_numpy(), zones.crs) / 1e6
    density = heads / km2
    among = neighbours(zones)
    found = moran(density, among, permutations=settings.permutations, seed=settings.seed)
    basis = f"density of residents, {len(zones)} zones of level {level}"
    part.fact("moran", found.statistic, unit="1", decimals=3, basis=f"Moran's I, {basis}")
    part.fact(
        "moran_p", found.p, unit="1", decimals=4, basis=f"pseudo p-value of {found.permutations} permutations"
    )
    part.fact("moran_expected", found.expected, unit="1", decimals=3, basis="Moran's I expected by chance")
    local = local_moran(
        density, among, permutations=settings.permutations, seed=settings.seed, level=settings.cluster_level
    )
    for name in ("HH", "LL", "HL", "LH"):
        part.fact(
            f"zones_{name.lower()}", float((local["cluster"] == name).sum()), unit="count", decimals=0,
            basis=f"zones {name} at a false discovery rate of {settings.cluster_level}",
        )  # fmt: skip
    table = local.rename(columns={"value": "density"}).assign(
        code=zones["code"].astype(str).to_numpy(),
        name=zones["name"].astype(str).to_numpy(),
        population=heads,
        km2=km2,
    )
    order = ["code", "name", "population", "km2", "density", "statistic", "p", "quadrant", "cluster"]
    part.tables["clusters"] = gpd.GeoDataFrame(
        table[order], geometry=zones.geometry.to_numpy(), crs=zones.crs
    )
    if found.islands:
        part.find(
            "islands", f"{found.islands}个分区不与任何分区相邻，按最近分区连接",
            f"{found.islands} zones touch no other and were tied to the nearest",
        )  # fmt: skip
    empty = int((heads == 0).sum())
    if empty > len(zones) / 10:
        part.find(
            "empty_zones", f"{empty}个分区没有居民（占{100 * empty / len(zones):.0f}%），低低聚集多由此而来",
            f"{empty} zones ({100 * empty / len(zones):.0f} %) have no resident: low among low mostly comes from these",
        )  # fmt: skip


def _inequality(case: Case, part: Part, zones: gpd.GeoDataFrame, heads: Floats) -> None:
    """Theil and Gini of density over land, and of built-up land per head over people, by first-level zone."""
    km2 = area_m2(zones.geometry.to_numpy(), zones.crs) / 1e6
    top = case.first_level()
    parent = (
        zones["parent"].astype(str)
        if "parent" in zones and top != case.last_level()
        else pd.Series("", index=zones.index)
    )
    grouped = parent.nunique() > 1
    measures: dict[str, tuple[Floats, Floats, str]] = {
        "density": (np.divide(heads, km2), km2, "density of residents over land"),
    }
    if case.has("land_use"):
        land = case.vector("land_use")
        land = land[codes.match(land["dlbm"].astype(str), "urban_rural_construction")][
            ["parcel_id", "geometry"]
        ]
        pieces = area_table(
            land.reset_index(drop=True),
            zones[["code", "geometry"]].reset_index(drop=True),
            left_id="parcel_id",
            right_id="code",
        )
        built = pieces.groupby("code")["area_m2"].sum().reindex(zones["code"]).fillna(0.0).to_numpy()
        lived = heads > 0
        per_head = np.divide(built, heads, out=np.zeros_like(built), where=lived)
        measures["land"] = (
            per_head,
            np.where(lived, heads, 0.0),
            "built-up land per resident over residents",
        )
        part.roles = (*part.roles, "land_use")
    for name, (amount, weight, basis) in measures.items():
        parts = theil_parts(
            amount, parent.to_numpy() if grouped else np.full(len(zones), "all", dtype=object), weight
        )
        part.fact(f"theil_{name}", parts.total, unit="1", decimals=3, basis=f"Theil's T of {basis}")
        if grouped:
            part.fact(
                f"theil_between_{name}",
                parts.between,
                unit="1",
                decimals=3,
                basis=f"part between zones of {top}, {basis}",
            )
            part.fact(
                f"theil_within_{name}",
                parts.within,
                unit="1",
                decimals=3,
                basis=f"part inside zones of {top}, {basis}",
            )
        part.fact(
            f"gini_{name}", gini(amount, weight), unit="1", decimals=3, basis=f"Gini coefficient of {basis}"
        )


def is_grid(points: gpd.GeoSeries) -> bool:
    """Whether points are the centres of a regular grid: nearly all have a neighbour one cell away.

    Examples
    --------
    >>> is_grid(gpd.GeoSeries.from_xy([0, 100, 200], [0, 0, 0], crs="EPSG:4547"))
    True
    >>> is_grid(gpd.GeoSeries.from_xy([0, 100, 350], [0, 0, 0], crs="EPSG:4547"))
    False
    """
    if len(points) < 3:
        return False
    apart = spacing(points)
    near = cKDTree(get_coordinates(points.to_numpy())).query(get_coordinates(points.to_numpy()), k=2)[0][:, 1]
    return bool(np.mean(np.abs(near - apart) <= 0.02 * apart) >= 0.9)


def _ranks(case: Case, part: Part, cells: gpd.GeoDataFrame, heads: Floats) -> None:
    """Settlements (of a grid) or zones in the order of their size."""
    settings = case.settings.parameters
    if is_grid(cells.geometry):
        cell = spacing(cells.geometry)
        number = settlements(cells.geometry, heads, cell_m=cell, least_per_km2=settings.settled_per_km2)
        inside = number >= 0
        sizes = np.bincount(number[inside], heads[inside]) if inside.any() else np.zeros(0)
        what = f"settlements: touching cells of {settings.settled_per_km2:g} people/km² and more"
        centre = cells.geometry.to_numpy()[inside]
        table = pd.DataFrame({"settlement": number[inside], "people": heads[inside], "x": 0.0, "y": 0.0})
        xy = get_coordinates(centre)
        table["x"], table["y"] = xy[:, 0] * table["people"], xy[:, 1] * table["people"]
        sums = table.groupby("settlement")[["people", "x", "y"]].sum()
        part.tables["settlements"] = gpd.GeoDataFrame(
            {"rank": sums.index + 1, "people": sums["people"], "cells": np.bincount(number[inside])[sums.index]},
            geometry=gpd.points_from_xy(sums["x"] / sums["people"], sums["y"] / sums["people"]), crs=cells.crs,
        ).reset_index(drop=True)  # fmt: skip
        part.fact(
            "settled",
            float(heads[inside].sum()) / heads.sum() * 100,
            unit="%",
            decimals=1,
            basis="people in settlements",
        )
    else:
        sizes, what = heads[heads > 0], "zones in which the people are counted"
        part.find(
            "zones_as_places", "人口按统计分区给出而非格网，位序规模以分区代替聚居区，指数随分区划法而变",
            "residents are given by zone and not by cell: zones stand in for settlements, and the exponent depends on how they were drawn",
        )  # fmt: skip
    found = rank_size(sizes, seed=settings.seed)
    words = ("样本不足，不给出位序规模指数", "too few places for an exponent")
    part.fact("places", float(found.places), unit="count", decimals=0, basis=what)
    part.fact(
        "places_used",
        float(found.used if found.verdict != "too_few" else 0),
        unit="count",
        decimals=0,
        basis=f"places in the tail, {what}",
    )
    for item, value, text in (
        ("exponent", found.exponent, "slope of log(rank - 1/2) on log(size)"),
        ("exponent_error", found.error, "its standard error, b √(2/n)"),
        ("tail", found.tail, "exponent by maximum likelihood"),
        ("tail_error", found.tail_error, "its standard error"),
        ("fit_p", found.p, "share of power laws' own samples that fit worse"),
        ("first_p", found.first_p, "chance of so large a first place by the law of the others"),
        ("rest", found.rest, "slope without the first place"),
    ):
        part.fact(item, value, decimals=3, basis=f"{text}; {what}", reason="too_few", words=words)
    part.fact(
        "verdict",
        float(VERDICTS.index(found.verdict)),
        unit="1",
        decimals=0,
        basis=f"place in {', '.join(VERDICTS)}",
    )
    for item, value in primacy(sizes).items():
        unit = "%" if item == "share" else "1"
        part.fact(
            f"primacy_{item}", value, unit=unit, decimals=1 if unit == "%" else 2, basis=f"primacy; {what}"
        )
