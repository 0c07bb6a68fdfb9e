"""The ledger of the development boundary (城镇开发边界台账): quota, use, what is left, and transfers, as double entries.

Every transaction has two entries of one amount, one on the debit and one on the credit side. Accounts are ``plan``
(what the plan gave out), ``quota`` (what a zone may still use or pass on) and ``land`` (what has been built on). Quota
passes from the city to its districts and on to units; building moves it from ``quota`` to ``land`` of the lowest zone,
plot by plot (地块); a transfer (区域调剂) moves it between two zones. So the balances of all ``quota`` and ``land``
accounts always add up to what the plan gave out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core import codes
from workbench.core.errors import DataQualityError, LayerMissing
from workbench.evaluation.quotas import (
    INCREMENT,
    Quotas,
    Tree,
    in_unit,
    optional_quotas,
    places,
    share,
    zone_tree,
)
from workbench.indicators.formulas.common import in_force, parts_of
from workbench.indicators.values import derived
from workbench.operators.overlay import intersect

if TYPE_CHECKING:
    from workbench.core.city import City

UNIT = "ha"
ROLE = "quota_ledger"
"""Role under which the ledger is published in the catalogue."""
ENTRIES = [
    "entry_id", "transaction", "account", "zone", "kind", "debit", "credit", "unit", "year", "source", "note", "plot",
    "use",
]  # fmt: skip
"""Columns of the entries."""
USES = {
    "05": "commercial", "06": "industrial", "07": "residential", "08": "public", "09": "special", "10": "transport",
}  # fmt: skip
"""First digits of the survey class -> use; anything else is ``other``."""
STRUCTURE = (*dict.fromkeys(USES.values()), "other")
"""Uses in the order of the tables."""
BALANCE = [
    "zone", "name", "parent", "level", "total", "granted", "transferred_in", "transferred_out", "passed_on", "unassigned",
    "used", "used_year", "left", "share", "state", *STRUCTURE,
]  # fmt: skip
"""Columns of :func:`balance`."""
LEAST_HA = 1e-9
"""Less than this is nothing: rounding of sums."""
SLIVER_M2 = 0.01
"""Pieces smaller than this come from the arithmetic of overlays and are not booked."""


@dataclass(frozen=True)
class Ledger:
    """Accounts of a city's development boundary for a year."""

    city: str
    """Name of the city."""
    year: int
    """Accounts are closed at the end of this year."""
    entries: pd.DataFrame
    """Columns :data:`ENTRIES`; two rows a transaction."""
    tree: Tree
    """Zones of the accounts."""
    basis: str
    """``quotas``: quotas of the plan; ``boundary``: land inside the boundary that was not built on in the base year."""

    @cached_property
    def balances(self) -> pd.DataFrame:
        """See :func:`balance`."""
        return balance(self)


def post(
    tree: Tree,
    grants: Mapping[str, tuple[float, str]],
    transfers: pd.DataFrame,
    uses: pd.DataFrame,
    year: int,
) -> pd.DataFrame:
    """Entries of the accounts.

    Parameters
    ----------
    tree : Tree
        Zones.
    grants : mapping of code to (hectares, source)
        What each zone was given; the quota of a zone whose own parents were given none comes from the plan.
    transfers : DataFrame
        ``zone, counterpart, value`` (hectares), ``year, source``.
    uses : DataFrame
        ``zone, plot, use, year, area_ha``.
    year : int
        Year of the grants' entries.

    Returns
    -------
    DataFrame
        Columns :data:`ENTRIES`.
    """
    book: list[tuple[Any, ...]] = []
    for code in reversed(tree.upwards):
        if code in grants:
            amount, source = grants[code]
            giver = _giver(tree, code, grants)
            account = "quota" if giver else "plan"
            book.append(("quota", code, account, giver, "quota", amount, year, source, "", "", ""))
    for row in transfers.to_dict("records"):
        who = f"{row['zone']} → {row['counterpart']}"
        book.append(
            ("quota", row["counterpart"], "quota", row["zone"], "transfer", row["value"], row["year"], row["source"], who, "", "")
        )  # fmt: skip
    for row in uses.to_dict("records"):
        book.append(
            ("land", row["zone"], "quota", row["zone"], "use", row["area_ha"], row["year"], "land_use", "", row["plot"], row["use"])
        )  # fmt: skip
    rows = []
    for number, (account, zone, other, giver, kind, amount, when, source, note, plot, use) in enumerate(
        book, 1
    ):
        shared = {
            "kind": kind,
            "unit": UNIT,
            "year": int(when),
            "source": source,
            "note": note,
            "plot": plot,
            "use": use,
        }
        for side, holder, name, debit in (("D", zone, account, True), ("C", giver or "plan", other, False)):
            rows.append(
                {
                    "entry_id": f"{kind[0].upper()}{number:06d}{side}", "transaction": f"{kind[0].upper()}{number:06d}",
                    "account": name, "zone": holder, "debit": float(amount) if debit else 0.0,
                    "credit": 0.0 if debit else float(amount), **shared,
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=ENTRIES).astype({"debit": float, "credit": float, "year": "int64"})


def _giver(tree: Tree, code: str, grants: Mapping[str, tuple[float, str]]) -> str:
    """Nearest zone above that was given a quota; ``""`` for the plan itself."""
    above = str(tree.zones.at[code, "parent"])
    while above and above not in grants:
        above = str(tree.zones.at[above, "parent"])
    return above


def quota_ledger(city: City, data: Any, year: int) -> Ledger:
    """Accounts of the development boundary at the end of a year.

    Used is land inside the boundary in force that is construction land now and was not in the base year's survey; what
    is built on plots counts in the year of the first survey that shows it. Land given back is not booked again.

    Parameters
    ----------
    city : City
        Profile.
    data : CityData
        Its layers: ``land_use`` of the base year and of the year, ``development_boundary``, and ``quotas`` where there are
        some.
    year : int
        Year of a land survey.

    Raises
    ------
    LayerMissing
        A survey or the boundary is not there.
    DataQualityError, ParameterError
        The quotas cannot be used as they are; see :func:`workbench.evaluation.quotas.read_quotas`.
    """
    for role, wanted in (("land_use", city.base_year), ("land_use", year), ("development_boundary", None)):
        if (reason := data.why_missing(role, wanted)) is not None:
            raise LayerMissing(role, wanted, reason=reason, holder=data.holder(role))
    tree = zone_tree(city, data)
    quotas = optional_quotas(city, data, tree)
    open_land, uses = boundary_use(city, data, tree, year)
    rows = quotas.in_force(INCREMENT, year) if quotas is not None else pd.DataFrame()
    if rows.empty:
        text = f"development_boundary, land_use {city.base_year}"
        grants = {code: (amount, text) for code, amount in open_land.items()}
        transfers = pd.DataFrame(columns=["zone", "counterpart", "value", "year", "source"])
        return Ledger(city.name, year, post(tree, grants, transfers, uses, year), tree, "boundary")
    assert quotas is not None
    grants = _grants(tree, rows)
    entries = post(tree, grants, _transfers(quotas, year), uses, year)
    return Ledger(city.name, year, entries, tree, "quotas")


def _grants(tree: Tree, rows: pd.DataFrame) -> dict[str, tuple[float, str]]:
    """Hectares given to each zone; a zone without a quota of its own whose parts have some was given their sum."""
    found: dict[str, tuple[float, str]] = {}
    for code in tree.upwards:
        parts = [found[child][0] for child in tree.children.get(code, []) if child in found]
        if code in rows.index:
            found[code] = (
                in_unit(rows.loc[[code]].iloc[0], UNIT, where=f"{INCREMENT} {code}"),
                str(rows.at[code, "source"]),
            )
        elif parts:
            found[code] = (math.fsum(parts), "sum of the parts")
    return found


def _transfers(quotas: Quotas, year: int) -> pd.DataFrame:
    moved = quotas.moved(INCREMENT, year).copy()
    moved["value"] = [
        in_unit(row, UNIT, where=f"{INCREMENT} {row['zone']} → {row['counterpart']}")
        for _, row in moved.iterrows()
    ]
    return moved


def _land(data: Any, year: int, *, construction: bool) -> gpd.GeoDataFrame:
    """Parcels of a survey that are construction land, or those that are not: ``row, parcel_id, dlbm``, geometry."""
    layer = data.vector("land_use", year)
    built = codes.match(layer["dlbm"].astype(str), "construction")
    kept = layer.loc[built if construction else ~built, ["parcel_id", "dlbm", "geometry"]].reset_index(
        drop=True
    )
    kept.insert(0, "row", np.arange(len(kept)))
    return kept


def boundary_use(city: City, data: Any, tree: Tree, year: int) -> tuple[dict[str, float], pd.DataFrame]:
    """What could be built on inside the boundary in the base year, and what has been built on since.

    Parameters
    ----------
    city : City
        Profile with the base year.
    data : CityData
        Layers.
    tree : Tree
        Zones; land is counted by the smallest one it lies in.
    year : int
        Year of the survey.

    Returns
    -------
    open_land : dict
        Hectares not built on in the base year, of every zone.
    uses : DataFrame
        ``zone, plot, use, year, area_ha``: new construction land by smallest zone and parcel of the year's survey.
    """
    base = city.base_year
    if base >= year:
        raise LayerMissing("land_use", base, reason="no_year")
    zones = places(data, tree)
    boundary = in_force(data.vector("development_boundary"), year)
    if boundary.empty:
        raise LayerMissing("development_boundary", year, reason="no_line_in_force")
    whole = parts_of(shapely.union_all(boundary.geometry.to_numpy()), boundary.crs)
    inside = intersect(whole, zones, left_id="part", right_id="zone").reset_index(drop=True)
    inside = inside[["zone", "geometry"]].assign(place=np.arange(len(inside)))
    was_open = _common(_land(data, base, construction=False), inside, "row", "place")
    was_open["zone"] = inside["zone"].to_numpy()[was_open["place"].to_numpy(dtype=int)]
    below = was_open.groupby("zone")["area_m2"].sum() / 1e4
    open_land = {
        code: math.fsum(float(below.get(one, 0.0)) for one in tree.below(code)) for code in tree.zones.index
    }
    now = _land(data, year, construction=True)
    was_open = was_open[["zone", "geometry"]].assign(was=np.arange(len(was_open)))
    grown = _common(now, was_open, "row", "was")
    grown["zone"] = was_open["zone"].to_numpy()[grown["was"].to_numpy(dtype=int)]
    between = [one for one in data.years("land_use") if base < one < year]
    return open_land, _by_year(grown[["row", "zone", "area_m2", "geometry"]], now, data, between, year)


def _common(left: gpd.GeoDataFrame, right: gpd.GeoDataFrame, left_id: str, right_id: str) -> gpd.GeoDataFrame:
    found = intersect(
        left[[left_id, "geometry"]], right[[right_id, "geometry"]], left_id=left_id, right_id=right_id
    )
    return found.reset_index(drop=True)


def _by_year(
    grown: gpd.GeoDataFrame, now: gpd.GeoDataFrame, data: Any, between: list[int], year: int
) -> pd.DataFrame:
    """New construction land by zone, plot and the year of the first survey from which on it has stayed built."""
    steps = []
    for survey in [*reversed(between), None]:
        area = grown.groupby(["zone", "row"])["area_m2"].sum()
        earlier = pd.Series(dtype=float)
        if survey is not None and len(grown):
            numbered = grown.assign(piece=np.arange(len(grown)))
            before = _land(data, survey, construction=True).rename(columns={"row": "old"})
            common = _common(numbered, before, "piece", "old")
            held = numbered.iloc[common["piece"].to_numpy(dtype=int)].reset_index(drop=True)
            grown = common[["area_m2", "geometry"]].assign(zone=held["zone"], row=held["row"])
            earlier = grown.groupby(["zone", "row"])["area_m2"].sum()
        new = area.sub(earlier.reindex(area.index).fillna(0.0)).clip(lower=0.0)
        steps.append(new[new > SLIVER_M2].rename("area_m2").reset_index().assign(year=year))
        year = survey if survey is not None else year
    rows = pd.concat(steps, ignore_index=True).sort_values(["year", "zone", "row"], kind="stable")
    at = rows["row"].to_numpy(dtype=int)
    dlbm = now["dlbm"].astype(str).to_numpy()[at]
    return pd.DataFrame(
        {
            "zone": rows["zone"].astype(str).to_numpy(),
            "plot": now["parcel_id"].astype(str).to_numpy()[at],
            "use": [USES.get(code[:2], "other") for code in dlbm],
            "year": rows["year"].to_numpy(),
            "area_ha": rows["area_m2"].to_numpy() / 1e4,
        }
    )


def check(ledger: Ledger) -> None:
    """Refuse books that do not balance.

    Raises
    ------
    DataQualityError
        A transaction whose sides differ, an account of no zone, or an entry id that comes twice.
    """
    entries = ledger.entries
    sides = entries.groupby("transaction")[["debit", "credit"]].agg(["sum", "size"])
    wrong = sides[
        (sides["debit", "sum"] - sides["credit", "sum"]).abs().gt(LEAST_HA) | sides["debit", "size"].ne(2)
    ]
    if len(wrong):
        raise DataQualityError("entries that do not cancel", where=ROLE, found=list(wrong.index[:5]))
    if not entries["entry_id"].is_unique:
        raise DataQualityError("an entry id comes twice", where=ROLE)
    zones = set(entries["zone"]) - {"plan"} - set(ledger.tree.zones.index)
    if zones:
        raise DataQualityError("accounts of zones that do not exist", where=ROLE, found=sorted(zones)[:5])


def balance(ledger: Ledger) -> pd.DataFrame:
    """Quota, use and remainder of every zone with all that lies in it, hectares.

    Parameters
    ----------
    ledger : Ledger
        Accounts.

    Returns
    -------
    DataFrame
        Columns :data:`BALANCE`, index as the zones: ``total`` = ``granted`` + transfers from outside − transfers to
        outside (NaN for a zone that was given none); ``passed_on`` is what the zones below were given, ``unassigned`` the
        rest; ``used`` and its structure by use; ``used_year`` in the ledger's year alone; ``left`` = total − used;
        ``share`` = used / total; ``state`` is ``kept``, ``overdrawn`` (used more than given), ``over_assigned`` (passed on
        more than given) or ``no_quota``.

    Raises
    ------
    DataQualityError
        The books do not balance.
    """
    check(ledger)
    entries, tree = ledger.entries, ledger.tree
    quota = entries[(entries["kind"] == "quota") & (entries["debit"] > 0)].groupby("zone")["debit"].sum()
    granted_to = set(entries.loc[(entries["kind"] == "quota") & (entries["account"] == "quota"), "zone"])
    used = entries[(entries["account"] == "land")]
    moved = entries[entries["kind"] == "transfer"]
    rows = []
    for code, zone in tree.zones.iterrows():
        inside = tree.below(str(code))
        coming, going = _crossing(moved, set(inside))
        has = code in granted_to
        granted = float(quota.get(code, 0.0)) if has else math.nan
        total = granted + coming - going
        here = used[used["zone"].isin(inside)]
        built = math.fsum(here["debit"])
        passed = math.fsum(
            float(quota.get(child, 0.0)) + _net(moved, set(tree.below(child))) for child in tree.children.get(str(code), [])
        )  # fmt: skip
        by_use = here.groupby("use")["debit"].sum()
        rows.append(
            {
                "zone": code, "name": zone["name"], "parent": zone["parent"], "level": zone["level"], "total": total,
                "granted": granted, "transferred_in": coming, "transferred_out": going, "passed_on": passed,
                "unassigned": total - passed, "used": built,
                "used_year": math.fsum(here.loc[here["year"] == ledger.year, "debit"]), "left": total - built,
                "share": share(built, total), "state": _state(has, total, built, passed),
                **{use: float(by_use.get(use, 0.0)) for use in STRUCTURE},
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=BALANCE)


def _state(has: bool, total: float, used: float, passed: float) -> str:
    if not has:
        return "no_quota"
    if used > total + LEAST_HA:
        return "overdrawn"
    return "over_assigned" if passed > total + LEAST_HA else "kept"


def _crossing(moved: pd.DataFrame, inside: set[str]) -> tuple[float, float]:
    """Transfers into and out of a group of zones; those inside the group cancel."""
    debit, credit = moved[moved["debit"] > 0], moved[moved["credit"] > 0].set_index("transaction")
    giver = credit["zone"].reindex(debit["transaction"]).to_numpy()
    comes = debit["zone"].isin(inside).to_numpy() & ~np.isin(giver, list(inside))
    goes = ~debit["zone"].isin(inside).to_numpy() & np.isin(giver, list(inside))
    amount = debit["debit"].to_numpy()
    return float(amount[comes].sum()), float(amount[goes].sum())


def _net(moved: pd.DataFrame, inside: set[str]) -> float:
    coming, going = _crossing(moved, inside)
    return coming - going


def publish(city: City, ledger: Ledger) -> Path:
    """Publish the entries and balances of a year in the city's catalogue as the table ``quota_ledger``.

    Rows are the balances of every zone, one row a zone with the columns of :func:`balance` and ``unit, year, basis``, so that
    a reader needs no bookkeeping; the entries lie beside them in the table ``quota_entries``.
    """
    from workbench.catalog.published import publish as publish_table

    shared: dict[str, Any] = {
        "source": f"ledger of the development boundary ({ledger.basis})",
        "holder": "自然资源局",
        "sensitivity": "内部",
        "note_zh": "城镇开发边界指标台账，单位公顷",
        "note_en": "quota ledger of the development boundary, hectares",
    }
    publish_table(city, "quota_entries", ledger.year, ledger.entries, **shared)
    table = ledger.balances.assign(unit=UNIT, year=ledger.year, basis=ledger.basis)
    return publish_table(city, ROLE, ledger.year, table, **shared)


VALUES = {
    "total": "report.quota_total", "granted": "report.quota_granted", "transferred_in": "report.quota_in",
    "transferred_out": "report.quota_out", "unassigned": "report.quota_unassigned", "used": "report.quota_used",
    "used_year": "report.quota_used_year", "left": "report.quota_left",
    **{use: f"report.quota_used_{use}" for use in STRUCTURE},
}  # fmt: skip
"""Column of :func:`balance` -> name of the derived row, zone = zone code."""
NO_QUOTA = ("no_quota", "没有分解到该分区的指标", "no quota was passed on to this zone")


def value_rows(city: City, ledger: Ledger, *, levels: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Rows of the value table for the balances, so that every number of a report can be traced.

    Parameters
    ----------
    city : City
        Profile.
    ledger : Ledger
        Accounts.
    levels : iterable of str
        Zone levels; all when empty.
    """
    wanted = set(levels) or set(ledger.tree.levels)
    rows = []
    for zone in ledger.balances.to_dict("records"):
        if zone["level"] not in wanted:
            continue
        common: dict[str, Any] = {
            "city": city.name, "year": ledger.year, "zone": str(zone["zone"]), "zone_name": str(zone["name"]),
            "sensitivity": "内部", "data_date": f"{ledger.year}-12-31",
        }  # fmt: skip
        for column, name in VALUES.items():
            value = float(zone[column])
            rows.append(
                derived(
                    name, value, unit=UNIT, decimals=2, reason=NO_QUOTA if math.isnan(value) else None,
                    basis=f"quota ledger ({ledger.basis}), {column} of the zone and all in it", **common,
                )
            )  # fmt: skip
        value = 100 * float(zone["share"])
        rows.append(
            derived(
                "report.quota_share", value, unit="%", decimals=1, reason=NO_QUOTA if math.isnan(value) else None,
                basis="used / total of the quota ledger", **common,
            )
        )  # fmt: skip
    moved = ledger.entries[(ledger.entries["kind"] == "transfer") & (ledger.entries["debit"] > 0)]
    names = ledger.tree.zones["name"]
    for one in moved.to_dict("records"):
        giver, _, taker = str(one["note"]).partition(" → ")
        rows.append(
            derived(
                "report.quota_transfer", float(one["debit"]), city=city.name, year=ledger.year, unit=UNIT, decimals=2,
                zone=str(one["transaction"]), zone_name=f"{names[giver]} → {names[taker]}", sensitivity="内部",
                basis=str(one["source"]), data_date=f"{one['year']}-12-31",
            )
        )  # fmt: skip
    return rows
