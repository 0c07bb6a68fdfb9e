"""Supply per head by floating catchments, how equally people share it, and where a further facility helps most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.evaluation.life_circle.coverage import Distances
from workbench.evaluation.life_circle.homes import Homes
from workbench.evaluation.life_circle.networks import Networks, Places
from workbench.evaluation.life_circle.settings import EVERYONE, Settings
from workbench.evaluation.life_circle.words import reason
from workbench.operators.catchment import Pairs, greedy_sites, snapped_pairs, two_step
from workbench.operators.graph import snap
from workbench.operators.inequality import gini, lorenz, theil_parts

PER = {"population": 1000.0, "buildings": 10_000.0}
"""Supply is given for a thousand people, or for a hectare of footprint."""
CURVE = 200
"""Most points of a Lorenz curve that are kept."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Supply:
    """Supply and its equity."""

    cells: pd.DataFrame
    """``home`` (row), ``kind``, ``rate``: supply for a thousand people of the group served (or a hectare of footprint)."""
    places: gpd.GeoDataFrame
    """``kind, place, name, amount, competing, rate``: facilities with the people who compete for them."""
    equity: pd.DataFrame
    """A row a kind: ``kind, age, people, mean, none_share, gini, theil, theil_between, theil_within, reason``, and
    ``parted``: why Theil's index has no parts."""
    lorenz: pd.DataFrame
    """``kind, people, amount``: cumulated shares."""


def amounts(places: Places) -> tuple[Floats, str]:
    """Supply of each facility, and what it is: ``capacity``, or ``count`` (1 each) where none states a capacity."""
    stated = places.frame["amount"].to_numpy(dtype=np.float64)
    known = np.isfinite(stated) & (stated > 0)
    if not known.any():
        return np.ones(len(stated)), "count"
    return np.where(known, stated, 0.0), "capacity"


def supply(networks: Networks, places: Mapping[str, Places], settings: Settings) -> Supply:
    """Supply per head on foot of the kinds that have an amount, within their own minutes."""
    homes, graph = networks.homes, networks.graphs["walk"]
    cells, spots, equity, curves = [], [], [], []
    for kind, found in places.items():
        facility = found.facility
        if not facility.amount_zh:
            continue
        age = facility.ages if facility.ages in homes.ages else EVERYONE
        row: dict[str, object] = {"kind": kind, "age": age, "people": float(homes.people(age).sum())}
        if found.reason or not row["people"]:
            equity.append(row | _why(found.reason or "no_people"))
            continue
        offered, basis = amounts(found)
        limit = facility.minutes * networks.speed["walk"]
        pairs = snapped_pairs(graph, networks.at["walk"], snap(graph, found.frame.geometry), limit)
        got = two_step(pairs, homes.people(age), offered, kind=settings.parameters.supply)
        cells.append(
            pd.DataFrame(
                {"home": np.arange(len(homes.frame)), "kind": kind, "rate": PER[homes.basis] * got.access}
            )
        )
        spots.append(
            found.frame.assign(
                kind=kind, amount=offered, competing=got.competing, rate=PER[homes.basis] * got.ratio
            )
        )
        equity.append(row | {"basis": basis} | _equity(homes, age, got.access))
        curves.append(_thinned(lorenz(got.access, homes.people(age))).assign(kind=kind))
    return Supply(
        pd.concat(cells, ignore_index=True) if cells else pd.DataFrame({"home": [], "kind": [], "rate": []}),
        gpd.GeoDataFrame(pd.concat(spots, ignore_index=True), crs=graph.crs)
        if spots
        else _no_places(graph.crs),
        _typed(pd.DataFrame(equity, columns=[*_WORDS, *_NUMBERS])),
        pd.concat(curves, ignore_index=True)
        if curves
        else pd.DataFrame({"people": [], "amount": [], "kind": []}),
    )


_WORDS = ["kind", "age", "basis", "parted", "reason", "reason_zh", "reason_en"]
_NUMBERS = ["people", "mean", "none_share", "gini", "theil", "theil_between", "theil_within"]


def _typed(equity: pd.DataFrame) -> pd.DataFrame:
    """Words that are missing as empty text, numbers as nan."""
    equity[_WORDS] = equity[_WORDS].fillna("").astype(str)
    equity[_NUMBERS] = equity[_NUMBERS].astype(float)
    return equity


def _no_places(crs: object) -> gpd.GeoDataFrame:
    names = ["place", "name", "amount", "kind", "competing", "rate"]
    return gpd.GeoDataFrame({name: [] for name in names}, geometry=[], crs=crs)


def _why(code: str) -> dict[str, object]:
    return dict(zip(("reason", "reason_zh", "reason_en"), reason(code), strict=True))


def _equity(homes: Homes, age: str, access: Floats) -> dict[str, object]:
    people = homes.people(age)
    mean = float((access * people).sum() / people.sum())
    row: dict[str, object] = {
        "mean": PER[homes.basis] * mean,
        "none_share": 100 * float(people[access == 0].sum() / people.sum()),
        "reason": "", "reason_zh": "", "reason_en": "",
    }  # fmt: skip
    if not mean > 0:
        return row | _why("nobody_served")
    row["gini"] = gini(access, people)
    group = homes.group()
    parts = theil_parts(access, group, people)
    row["theil"] = parts.total
    if (group != "").any() and not homes.overlap():
        row |= {"theil_between": parts.between, "theil_within": parts.within}
    row["parted"] = "zones_overlap" if homes.overlap() else "" if (group != "").any() else "no_zones"
    return row


def _thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """At most so many points of a curve, its first and last and the last of those who have nothing among them."""
    if len(curve) <= CURVE:
        return curve
    wanted = np.searchsorted(curve["people"].to_numpy(), np.linspace(0, 1, CURVE - 1))
    keep = np.unique(
        np.concatenate((np.clip(wanted, 0, len(curve) - 1), [int((curve["amount"] <= 0).sum()) - 1]))
    )
    return curve.iloc[keep].reset_index(drop=True)


def next_sites(
    networks: Networks, places: Mapping[str, Places], metres: Distances, settings: Settings
) -> gpd.GeoDataFrame:
    """Places where one more facility of a kind brings the most people of the group it serves within its own minutes.

    Candidates are nodes of the walking network inside the scope, a seeded sample where there are many; the gain is exact
    on the network. Whether land is to be had there is not looked at.

    Returns
    -------
    GeoDataFrame
        ``kind, rank, gain`` (people), ``age, share_before, share_after`` (percent), ``candidates`` (places tried),
        ``nodes`` (places there are), points.
    """
    homes, graph = networks.homes, networks.graphs["walk"]
    wanted = [found.facility for found in places.values() if found.facility.site and not found.reason]
    nodes = _candidates(networks)
    tried = nodes
    if len(nodes) > settings.parameters.candidates:
        rng = np.random.default_rng(settings.parameters.seed)
        tried = np.sort(rng.choice(nodes, settings.parameters.candidates, replace=False))
    points = gpd.GeoSeries(shapely.points(graph.xy[tried]), crs=graph.crs)
    limits = sorted({one.minutes * networks.speed["walk"] for one in wanted}, reverse=True)
    near: dict[float, Pairs] = {}
    if limits and len(tried):
        widest = snapped_pairs(graph, snap(graph, points), networks.at["walk"], limits[0])
        near = {limit: widest.within(limit) for limit in limits}
    rows, at = [], []
    for facility in wanted if near else []:
        limit = facility.minutes * networks.speed["walk"]
        age = facility.ages if facility.ages in homes.ages else EVERYONE
        people = homes.people(age)
        covered = metres["walk", facility.kind] <= limit
        total, held = float(people.sum()), float(people[covered].sum())
        best, gains = greedy_sites(near[limit], np.where(covered, 0.0, people), settings.parameters.sites)
        for rank, (place, gain) in enumerate(zip(best, gains, strict=True), start=1):
            rows.append(
                {
                    "kind": facility.kind,
                    "rank": rank,
                    "gain": gain,
                    "age": age,
                    "share_before": 100 * held / total,
                    "share_after": 100 * (held + gain) / total,
                    "candidates": len(tried),
                    "nodes": len(nodes),
                }
            )
            held += gain
            at.append(points.iloc[place])
    names = ["kind", "rank", "gain", "age", "share_before", "share_after", "candidates", "nodes"]
    return gpd.GeoDataFrame(pd.DataFrame(rows, columns=names), geometry=at, crs=graph.crs)


def _candidates(networks: Networks) -> npt.NDArray[np.intp]:
    """Nodes at the ends of the pieces of road that homes stand at: where somebody lives near."""
    graph, at = networks.graphs["walk"], networks.at["walk"]
    lived = networks.homes.people() > 0
    return np.unique(np.concatenate((graph.edge_from[at.edge[lived]], graph.edge_to[at.edge[lived]]))).astype(
        np.intp
    )
