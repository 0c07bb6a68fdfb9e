"""Quotas (规划指标分解): what a plan assigns to each zone and what zones have handed on to each other, read and checked.

The role ``quotas`` has the columns ``indicator, zone, year, value`` and ``kind, counterpart, unit, op, rigid,
tolerance, source``. A row of kind ``assigned`` (or none) gives a zone its quota to be kept by the year; a row of kind
``transfer`` moves ``value`` from ``zone`` to ``counterpart`` from the year on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core.errors import DataQualityError, LayerMissing, ParameterError
from workbench.core.units import UNITS, convert
from workbench.operators.overlay import polygonal

if TYPE_CHECKING:
    from workbench.core.city import City

INCREMENT = "boundary_increment"
"""Quota of new construction land inside the development boundary (城镇开发边界内新增建设用地), not an indicator."""
OPS = (">=", "<=", "==")
LEAST_REST_M2 = 1.0
"""What smaller zones leave of a larger one and is no more than this comes from the arithmetic of overlays."""
_EXTENSIVE = frozenset({"area", "length", "people", "volume", "money", "count"})


def additive(unit: str) -> bool:
    """Whether amounts in a unit add up over zones: areas and counts do, shares and averages do not.

    Examples
    --------
    >>> additive("1e4 mu"), additive("%"), additive("m2/person"), additive("bed")
    (True, False, False, True)
    """
    known = UNITS.get(unit)
    return known.dimension in _EXTENSIVE if known else "/" not in unit and "ratio" not in unit


@dataclass(frozen=True)
class Tree:
    """Zones of a city from large to small."""

    zones: pd.DataFrame
    """Index code; ``name, parent, level`` (parent of the city is ``""``)."""
    levels: tuple[str, ...]
    """``city`` and the levels below it, each inside the one before."""
    children: dict[str, list[str]] = field(default_factory=dict)
    """Code -> codes of the zones right below."""

    def below(self, code: str) -> list[str]:
        """Codes of a zone and of everything inside it, the zone first."""
        found = [code]
        for child in self.children.get(code, []):
            found += self.below(child)
        return found

    @property
    def upwards(self) -> list[str]:
        """All codes, children before their parents."""
        rank = {level: at for at, level in enumerate(self.levels)}
        return sorted(self.zones.index, key=lambda code: -rank[str(self.zones.at[code, "level"])])


def chain(city: City) -> tuple[str, ...]:
    """Zone levels of a city that lie inside each other, from the city down."""
    found: list[str] = ["city"]
    while True:
        above = {None, "city"} if len(found) == 1 else {found[-1]}
        below = [name for name, level in city.levels.items() if level.parent in above and name not in found]
        if not below:
            return tuple(found)
        found.append(below[0])


def zone_tree(city: City, data: Any) -> Tree:
    """Zones of all levels of a city.

    Raises
    ------
    DataQualityError
        A code stands for two zones, or a zone lies in none of the level above.
    """
    levels = chain(city)
    frames = []
    for level in levels:
        zones = data.zones(level)
        frame = pd.DataFrame({"name": zones["name"].astype(str), "parent": zones["parent"].astype(str)})
        frame.index = pd.Index(zones["code"].astype(str), name="zone")
        if level == "city":
            frame[["name", "parent"]] = [city.name_zh, ""]
        elif level == levels[1]:
            frame["parent"] = city.name
        frames.append(frame.assign(level=level))
    whole = pd.concat(frames)
    if len(double := whole.index[whole.index.duplicated()].unique()):
        raise DataQualityError("a code stands for several zones", where=city.name, found=list(double)[:5])
    lost = whole[(whole["parent"] != "") & ~whole["parent"].isin(whole.index)]
    if len(lost):
        raise DataQualityError(
            "zones whose zone above does not exist", where=city.name, found=dict(lost["parent"].head(5))
        )
    children: dict[str, list[str]] = {}
    for code, parent in whole["parent"].items():
        if parent:
            children.setdefault(str(parent), []).append(str(code))
    return Tree(whole, levels, children)


def places(data: Any, tree: Tree) -> gpd.GeoDataFrame:
    """The city cut into its smallest zones, so that everything in it is counted once.

    Zones of a level need not fill those above (plots are laid out in some units only): what they leave of a zone belongs
    to the zone itself.

    Returns
    -------
    GeoDataFrame
        ``zone``, geometry.
    """
    below = data.zones(tree.levels[-1])[["code", "geometry"]].rename(columns={"code": "zone"})
    found = [below]
    for level in reversed(tree.levels[1:-1]):
        whole = data.zones(level)[["code", "geometry"]].rename(columns={"code": "zone"})
        shapes = dict(zip(below["zone"].astype(str), below.geometry, strict=True))
        rest = [
            shapely.difference(
                shape, shapely.union_all([shapes[one] for one in tree.children.get(str(code), [])])
            )
            for code, shape in zip(whole["zone"], whole.geometry, strict=True)
        ]
        left = whole.set_geometry(polygonal(np.array(rest, dtype=object)))
        found.append(left[left.geometry.notna() & (left.area > LEAST_REST_M2)])
        below = whole
    return gpd.GeoDataFrame(pd.concat(found, ignore_index=True), geometry="geometry", crs=below.crs)


@dataclass(frozen=True)
class Quotas:
    """What is assigned and handed on, checked; values in the unit of each row."""

    assigned: pd.DataFrame
    """``indicator, zone, year, value, unit, op, rigid, tolerance, source``; one row an indicator, zone and year."""
    transfers: pd.DataFrame
    """``indicator, zone, counterpart, year, value, unit, source``: from zone to counterpart, in force from the year on."""

    def in_force(self, indicator: str, year: int) -> pd.DataFrame:
        """Quotas of an indicator that hold for a year: of each zone the nearest year not before it; index zone."""
        rows = self.assigned[(self.assigned["indicator"] == indicator) & (self.assigned["year"] >= year)]
        return rows.sort_values("year", kind="stable").drop_duplicates("zone").set_index("zone")

    def moved(self, indicator: str, year: int) -> pd.DataFrame:
        """Transfers of an indicator made by the end of a year."""
        rows = self.transfers
        return rows[(rows["indicator"] == indicator) & (rows["year"] <= year)]


def read_quotas(city: City, data: Any, tree: Tree) -> Quotas:
    """Read the role ``quotas`` of a city.

    Raises
    ------
    LayerMissing
        The city has no quotas.
    DataQualityError
        Two rows for one zone and year, a zone that does not exist, a year before the base year, a share above 100,
        a negative or missing amount, a transfer to nobody or to oneself.
    ParameterError
        A unit or a comparison that does not exist.
    """
    frame = data.table("quotas").copy()
    for name, default in (
        ("kind", "assigned"),
        ("counterpart", ""),
        ("unit", ""),
        ("op", ""),
        ("source", ""),
    ):
        given = frame[name].fillna("").astype(str) if name in frame else pd.Series("", index=frame.index)
        frame[name] = given.replace("", default)
    frame["tolerance"] = frame["tolerance"].fillna(0.0) if "tolerance" in frame else 0.0
    frame["rigid"] = frame["rigid"].fillna(True).astype(bool) if "rigid" in frame else True
    frame["indicator"] = frame["indicator"].astype(str)
    frame["zone"] = frame["zone"].astype(str).replace({"city": city.name, "": city.name})
    frame["counterpart"] = frame["counterpart"].replace({"city": city.name})
    _check(city, frame, tree)
    given = frame[frame["kind"] == "assigned"]
    keys = ["indicator", "zone", "year"]
    if len(double := given[given.duplicated(keys)]):
        raise DataQualityError(
            "two quotas for one zone and year", where="quotas", found=double[keys].head(5).values.tolist()
        )
    moved = frame[frame["kind"] == "transfer"]
    columns = [*keys, "value", "unit", "op", "rigid", "tolerance", "source"]
    return Quotas(
        given[columns].reset_index(drop=True),
        moved[["indicator", "zone", "counterpart", "year", "value", "unit", "source"]].reset_index(drop=True),
    )


def _check(city: City, frame: pd.DataFrame, tree: Tree) -> None:
    moved = frame["kind"] == "transfer"
    faults = {
        "a quota of an unknown kind": ~frame["kind"].isin(["assigned", "transfer"]),
        "a quota without an amount": frame["value"].isna() | frame["year"].isna(),
        "a negative quota": frame["value"] < 0,
        "a quota of a zone that does not exist": ~frame["zone"].isin(tree.zones.index),
        "a transfer to a zone that does not exist": moved & ~frame["counterpart"].isin(tree.zones.index),
        "a transfer from a zone to itself": moved & (frame["zone"] == frame["counterpart"]),
        "a quota for a year before the base year": frame["year"].fillna(0) < city.base_year,
        "a share above 100 percent": frame["unit"].isin(["%", "percent"]) & (frame["value"] > 100),
        "a tolerance that is no share": (frame["tolerance"] < 0) | (frame["tolerance"] > 1),
    }
    for what, wrong in faults.items():
        if wrong.any():
            rows = frame[wrong.fillna(True)]
            raise DataQualityError(
                what,
                where="quotas",
                found=rows[["indicator", "zone", "year", "value", "unit", "counterpart"]]
                .head(3)
                .values.tolist(),
                expected=f"years from {city.base_year} on, zones of {', '.join(tree.levels)}",
            )
    if wrong_ops := sorted(set(frame["op"]) - {"", *OPS}):
        raise ParameterError(
            "an unknown comparison", where="quotas", found=wrong_ops, expected=", ".join(OPS)
        )


def in_unit(row: pd.Series[Any] | Mapping[Any, Any], unit: str, *, where: str) -> float:
    """Amount of a quota in another unit; an empty unit is taken as that unit.

    Raises
    ------
    ParameterError
        The units do not fit; names the quota.
    """
    value, own = float(row["value"]), str(row["unit"]) or unit
    try:
        return convert(value, own, unit)
    except ParameterError as error:
        raise ParameterError(
            "the unit of a quota does not fit", where=where, found=own, expected=f"a unit like {unit}"
        ) from error


def optional_quotas(city: City, data: Any, tree: Tree) -> Quotas | None:
    """Quotas of a city, or None when it has none."""
    try:
        return read_quotas(city, data, tree)
    except LayerMissing:
        return None


def share(part: float, whole: float) -> float:
    """Quotient of two amounts; NaN when the whole is zero.

    Examples
    --------
    >>> share(1.0, 4.0), share(1.0, 0.0)
    (0.25, nan)
    """
    return part / whole if whole else math.nan
