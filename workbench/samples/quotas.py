"""Quotas of the demo city: what its plan assigned to districts and planning units, two flaws and a transfer planted in them.

Planted, and written beside as truth: the cropland quotas of the units of one district add up to less than the district has
to keep (roll-down); one unit has built on more land inside the development boundary than it was given; one district handed
part of its building quota to another. One unit is over its cap of construction land, which is flexible and made good by
its neighbours: no flaw.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.samples.cover import CODES
from workbench.samples.fabric import Fabric
from workbench.samples.space import YEARS, Array, stream
from workbench.samples.truth import BASE_YEAR, CONSTRUCTION, MU, geod_area

INCREMENT = "boundary_increment"
CITY = "city"
PLAN = "示范市国土空间总体规划指标分解表（虚构）"
COLUMNS = [
    "indicator", "zone", "year", "value", "kind", "counterpart", "unit", "op", "rigid", "tolerance", "source",
]  # fmt: skip
MISSING_SHARE = 0.04
"""What the units of one district were assigned too little, as a share."""
OVERDRAWN_SHARE = 0.8
"""Quota of one unit as a share of what it has built on."""
OVER_CAP_SHARE = 0.96
"""Cap of one unit as a share of its construction land."""
TRANSFER_SHARE = 0.6
"""What one district hands on of the quota it has not passed to its units."""


def make_quotas(
    seed: int, parcels: pd.DataFrame, fabric: Fabric, units: pd.DataFrame, boundary: Any
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Quotas of the last year and of 2035, and what was planted in them.

    Parameters
    ----------
    seed : int
    parcels : DataFrame
        Parcels of the last year: ``dlbm, unit, net_area_m2``.
    fabric : Fabric
        Pieces of land with their classes in each of ``YEARS``.
    units : DataFrame
        ``code, district`` in the order of the fabric's numbers.
    boundary : geometry
        Area inside the development boundary.

    Returns
    -------
    table : DataFrame
        Role ``quotas``, columns :data:`COLUMNS`.
    truth : dict
        ``used_ha`` by unit; ``under_assigned``, ``overdrawn``, ``compensated`` and ``transfer``.
    """
    rng = stream(seed, "quotas")
    codes = units["code"].astype(str).to_numpy()
    district = pd.Series(units["district"].astype(str).to_numpy(), index=codes)
    at = np.isin(fabric.codes, [k for k, code in enumerate(CODES) if code in CONSTRUCTION])
    now, base = YEARS.index(YEARS[-1]), YEARS.index(BASE_YEAR)
    inside = shapely.intersection(fabric.shapes, boundary)
    grown = at[:, now] & ~at[:, base]
    used = _by_unit(fabric.unit, codes, np.where(grown, 1.0, 0.0), inside) / 1e4
    built = _by_unit(fabric.unit, codes, np.where(at[:, now], 1.0, 0.0), fabric.shapes) / 1e6
    crop = parcels[parcels["dlbm"].str.startswith("01")].groupby("unit")["net_area_m2"].sum() / MU / 1e4
    crop = crop.reindex(codes, fill_value=0.0)
    rows: list[list[Any]] = []
    truth: dict[str, Any] = {"used_ha": used.to_dict()}
    truth["under_assigned"] = _cropland(rng, crop, district, rows)
    truth["compensated"] = _caps(rng, built, district, rows)
    truth |= _increment(rng, used, district, rows)
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"year": "int64", "value": float, "rigid": bool, "tolerance": float}), truth


def _by_unit(unit: Array, codes: Array, weight: Array, shapes: Array) -> pd.Series:
    counted = weight > 0
    sums = np.bincount(unit[counted] - 1, weights=geod_area(shapes[counted]), minlength=len(codes))
    return pd.Series(sums, index=codes)


def _row(
    name: str, zone: str, year: int, value: float, unit: str, op: str, rigid: bool, tolerance: float
) -> list[Any]:
    return [name, zone, year, value, "assigned", "", unit, op, rigid, tolerance, PLAN]


def _sums(parts: pd.Series, district: pd.Series, digits: int) -> pd.Series:
    """Sum by district of rounded parts, rounded alike, so that books agree to the last digit."""
    return parts.groupby(district).sum().round(digits)


def _cropland(
    rng: np.random.Generator, crop: pd.Series, district: pd.Series, rows: list[list[Any]]
) -> dict[str, Any]:
    """Rigid floor of cropland, 10,000 mu; the units of the district with most cropland were assigned too little."""
    units = (crop * (1 - rng.uniform(0.004, 0.02, len(crop)))).map(
        lambda value: math.floor(value * 1e4) / 1e4
    )
    whole = _sums(units, district, 4)
    flawed = str(whole.idxmax())
    mine = district == flawed
    units[mine] = (units[mine] * (1 - MISSING_SHARE)).round(4)
    year, shared = YEARS[-1], ("1e4 mu", ">=", True, 0.0)
    rows.append(_row("TJ-A11", CITY, year, round(float(whole.sum()), 4), *shared))
    rows += [_row("TJ-A11", str(zone), year, float(value), *shared) for zone, value in whole.items()]
    rows += [_row("TJ-A11", str(zone), year, float(value), *shared) for zone, value in units.items()]
    short = float(whole[flawed]) - math.fsum(units[mine])
    return {"indicator": "TJ-A11", "zone": flawed, "assigned": float(whole[flawed]), "short": round(short, 4)}


def _caps(
    rng: np.random.Generator, built: pd.Series, district: pd.Series, rows: list[list[Any]]
) -> dict[str, Any]:
    """Flexible cap of construction land, km²; one small unit is over it, its district is not."""
    units = (built * (1 + rng.uniform(0.03, 0.07, len(built)))).round(4)
    share = built / built.groupby(district).transform("sum")
    over = str(share[share > 0.02].idxmin())
    units[over] = round(float(built[over]) * OVER_CAP_SHARE, 4)
    whole = _sums(units, district, 4)
    year, shared = YEARS[-1], ("km2", "<=", False, 0.01)
    rows.append(_row("TJ-C03", CITY, year, round(float(whole.sum()), 4), *shared))
    rows += [_row("TJ-C03", str(zone), year, float(value), *shared) for zone, value in whole.items()]
    rows += [_row("TJ-C03", str(zone), year, float(value), *shared) for zone, value in units.items()]
    return {"indicator": "TJ-C03", "zone": over, "assigned": float(units[over])}


def _increment(
    rng: np.random.Generator, used: pd.Series, district: pd.Series, rows: list[list[Any]]
) -> dict[str, Any]:
    """Building quota inside the boundary until 2035, ha: units, districts with a reserve, the city with a reserve."""
    units = (used * rng.uniform(1.35, 1.9, len(used)) + rng.uniform(2.0, 6.0, len(used))).round(2)
    room = (units - used).groupby(district).sum()
    cost = (units - OVERDRAWN_SHARE * used)[used > 1.0]
    cheap = cost[cost < 0.4 * district.map(room).reindex(cost.index)]
    over = str(used[cheap.index].idxmax() if len(cheap) else cost.idxmin())
    units[over] = round(OVERDRAWN_SHARE * float(used[over]), 2)
    whole = (_sums(units, district, 2) * 1.05).round(2)
    reserve = whole - units.groupby(district).sum()
    left = whole - used.groupby(district).sum()
    giver = str(reserve.drop(district[over]).idxmax())
    taker = str(left.drop(giver).idxmin())
    moved = round(TRANSFER_SHARE * float(reserve[giver]), 1)
    shared = ("ha", "<=", True, 0.0)
    rows.append(_row(INCREMENT, CITY, 2035, round(1.04 * float(whole.sum()), 2), *shared))
    rows += [_row(INCREMENT, str(zone), 2035, float(value), *shared) for zone, value in whole.items()]
    rows += [_row(INCREMENT, str(zone), 2035, float(value), *shared) for zone, value in units.items()]
    paper = "城镇开发边界指标区域调剂协议（虚构）〔2025〕1号"
    rows.append([INCREMENT, giver, YEARS[-1], moved, "transfer", taker, "ha", "<=", True, 0.0, paper])
    return {
        "overdrawn": {
            "indicator": INCREMENT, "zone": over, "assigned": float(units[over]), "used": float(used[over]),
            "beyond": float(used[over] - units[over]),
        },
        "transfer": {"indicator": INCREMENT, "from": giver, "to": taker, "value": moved, "year": YEARS[-1]},
    }  # fmt: skip


def write_quotas(
    folder: Path, seed: int, parcels: gpd.GeoDataFrame, fabric: Fabric, units: gpd.GeoDataFrame, boundary: Any
) -> None:
    """Write ``quotas.parquet`` and ``truth/quotas.json`` beside the city's layers."""
    table, truth = make_quotas(seed, parcels, fabric, units, boundary)
    table.to_parquet(folder / "quotas.parquet")
    (folder / "truth").mkdir(exist_ok=True)
    text = json.dumps(truth, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "truth" / "quotas.json").write_text(text, encoding="utf-8")
