"""Computes indicators of a city and year into the value table, each row with its provenance."""

from __future__ import annotations

import importlib
import inspect
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench import __version__
from workbench.catalog import gates, published
from workbench.core.errors import LayerMissing, ParameterError
from workbench.core.lineage import ABSENT, input_name, pack
from workbench.core.paths import PACKAGE
from workbench.core.provenance import Source, stable_hash
from workbench.indicators import lacking, reasons
from workbench.indicators.changes import city_library
from workbench.indicators.frames import described, frame_roles, zone_roles
from workbench.indicators.indicator import TIERS, WHOLE, Indicator
from workbench.indicators.inputs import Access, Inputs, Memo, Store
from workbench.indicators.values import OBSERVED, highest_sensitivity, table, value_id
from workbench.operators.area import area_m2

if TYPE_CHECKING:
    from workbench.core.city import City

log = logging.getLogger(__name__)

TOLD_ZH, TOLD_EN = "（城区范围未划定，由变更调查推算）", " (urban area not delimited: told from the survey)"
"""Said behind a denominator inside a range that was told from the survey."""
MIN_ZONE_M2 = 10_000.0
"""A zone with less than one hectare, and less than half of itself, inside a scope lies outside it (slivers of digitising)."""


@dataclass
class _Outcome:
    """What came of one indicator at one level."""

    frame: pd.DataFrame | None = None
    method: int = 0
    accesses: frozenset[tuple[str, int | None]] = frozenset()
    outside: frozenset[str] = frozenset()
    reason: tuple[str, str, str] = ("", "", "")
    instead: tuple[reasons.Gap, ...] = ()
    tried: frozenset[Access] = frozenset()
    absent: frozenset[Access] = frozenset()


@dataclass
class Run:
    """One computation: the city's layers, zones and scopes, and what its formulas share."""

    city: City
    """The profile."""
    store: Any
    """``CityData`` or the like."""
    year: int
    """Year of the checkup."""
    edition: str = "latest"
    """``latest`` or ``original``."""
    memo: Memo = field(default_factory=Memo)
    """Shared results."""
    _zones: dict[tuple[str, str], tuple[gpd.GeoDataFrame, frozenset[str]]] = field(default_factory=dict)
    _sources: dict[tuple[str, int | None], Source] = field(default_factory=dict)

    def inputs(self) -> Inputs:
        """Inputs without any role; each definition gets its own restriction of them."""
        return Inputs(
            store=self.store,
            year=self.year,
            base_year=self.city.base_year,
            edition=self.edition,
            roles=frozenset(),
            scope=None,
            walking_m_per_min=self.city.walking_m_per_min,
            crs=self.city.crs,
            city=self.city.name,
            home_zones=self._home_zones(),
            memo=self.memo,
        )

    def _home_zones(self) -> frozenset[str]:
        codes = {self.city.name, "city"}
        for level in self.city.levels:
            codes |= set(self.all_zones(level)["code"].astype(str))
        return frozenset(codes)

    def all_zones(self, level: str) -> gpd.GeoDataFrame:
        """Zones of a level, uncut."""
        return self.memo.get(("zones", level), lambda: self.store.zones(level))

    def scope(self, name: str) -> Any | None:
        """Geometry of a scope; None when the city has not delimited it and no survey of the year tells it."""
        return self._scope(name)[0]

    def scope_role(self, name: str) -> str:
        """Published layer that stands in for a scope the city has not delimited; ``""`` where none does."""
        return self._scope(name)[1]

    def _scope(self, name: str) -> tuple[Any | None, str]:
        if name == WHOLE:
            return None, ""
        known = name in self.city.scopes
        found = self.memo.get(
            ("scope", name), lambda: published.scope_of(self.store, name, self.year, delimited=known)
        )
        return found or (None, "")

    def zones(self, level: str, scope: str) -> tuple[gpd.GeoDataFrame, frozenset[str]]:
        """Zones of a level cut to a scope, indexed by code, and the codes that lie outside it."""
        if (level, scope) not in self._zones:
            whole = self.all_zones(level)
            zones = gpd.GeoDataFrame(
                {"name": whole["name"].astype(str).to_numpy()},
                index=pd.Index(whole["code"].astype(str), name="code"),
                geometry=whole.geometry.to_numpy(),
                crs=whole.crs,
            )
            limit = self.scope(scope)
            outside: frozenset[str] = frozenset()
            if limit is not None:
                cut = _polygonal(shapely.intersection(zones.geometry.to_numpy(), limit))
                least = np.minimum(MIN_ZONE_M2, 0.5 * area_m2(zones.geometry, zones.crs))
                keep = area_m2(cut, zones.crs) >= least
                outside = frozenset(zones.index[~keep])
                zones = zones.set_geometry(gpd.GeoSeries(cut, index=zones.index, crs=zones.crs))[keep]
            self._zones[level, scope] = (zones, outside)
        return self._zones[level, scope]

    def source(self, role: str, year: int | None) -> Source:
        """Where a layer comes from."""
        if (role, year) not in self._sources:
            self._sources[role, year] = self.store.source(role, year, edition=self.edition)
        return self._sources[role, year]


def _polygonal(shapes: Any) -> Any:
    from workbench.operators.overlay import polygonal

    return polygonal(shapes)


def _gaps(run: Run, indicator: Indicator, method: int) -> list[reasons.Gap]:
    """What a method lacks of layers and of its range; nothing when it can be used."""
    chosen = indicator.methods[method]
    scope = chosen.scope or indicator.scope
    gaps = []
    for role in chosen.inputs:
        years = run.store.years(role)
        year = run.year if years else None
        if (never := lacking.never_gap(run.city, role, chosen)) is not None:
            gaps.append(never)
        elif not run.store.has(role, year):
            gaps.append(lacking.role_gap(run.city, run.store, role, year, chosen))
    if scope != WHOLE and run.scope(scope) is None:
        gaps.append(lacking.scope_gap(run.city, run.store, scope))
    return gaps


def _lack(run: Run, indicator: Indicator, method: int, gaps: list[reasons.Gap]) -> tuple[str, str, str]:
    """Code and words for what a method lacks; a city without any table has not been told the figure either."""
    closed = any(gap.fault is not None and gap.fault[0] == gates.REASON for gap in gaps)
    if indicator.methods[method].basis == "reported" and not closed:
        code = f"not_reported:{indicator.id}"
        return (code, *reasons.explain(code, _own(run, indicator)))
    return reasons.gaps_reason(gaps, (indicator.title_zh, indicator.title_en))


def _own(run: Run, indicator: Indicator) -> tuple[str, reasons.Words]:
    """Words of the indicator itself, for reasons that name its code."""
    holder = lacking.reported_by(run.city, run.store, indicator)
    return indicator.id, (indicator.title_zh, indicator.title_en, *holder)


def _apply(run: Run, indicator: Indicator, method: int, level: str) -> _Outcome:
    chosen = indicator.methods[method]
    scope = chosen.scope or indicator.scope
    zones, outside = run.zones(level, scope)
    inputs = run.inputs().restricted(chosen.inputs, run.scope(scope))
    read: set[Access] = set()
    run.memo.used.append(read)
    try:
        frame = indicator.compute(inputs, zones, method=method)
    except LayerMissing as error:
        gap = lacking.role_gap(run.city, run.store, error.role, error.year)
        return _Outcome(
            method=method,
            tried=frozenset({*read, (error.role, error.year)}),
            reason=reasons.gaps_reason([gap], (indicator.title_zh, indicator.title_en)),
        )
    finally:
        run.memo.used.pop()
    accesses = frozenset(read)
    finite = np.isfinite(frame["value"].to_numpy(dtype="float64"))
    frame.loc[~finite & frame["value"].notna().to_numpy(), "reason"] = "not_finite"
    frame["value"] = frame["value"].where(finite)
    return _Outcome(frame=frame, method=method, accesses=accesses, outside=outside)


def _best(run: Run, indicator: Indicator, level: str) -> _Outcome:
    """The outcome of the best method, with all layers that decided which method that is."""
    tried: set[Access] = set()
    absent: set[Access] = set()
    outcome = _choose(run, indicator, level, tried, absent)
    outcome.tried, outcome.absent = frozenset(tried), frozenset(absent)
    return outcome


def _closed(outcome: _Outcome) -> bool:
    """Whether a method failed only because a layer must not be used."""
    return outcome.frame is None and outcome.reason[0].startswith(f"{gates.REASON}:")


def _choose(run: Run, indicator: Indicator, level: str, tried: set[Access], absent: set[Access]) -> _Outcome:
    """The first method that gives a value in some zone; when none does, the first that could be tried, or the reason."""
    first: _Outcome | None = None
    short: list[list[reasons.Gap]] = []
    for method in range(len(indicator.methods)):
        if gaps := _gaps(run, indicator, method):
            outcome = _Outcome(method=method, reason=_lack(run, indicator, method, gaps))
            short.append(gaps)
            absent.update((gap.role, gap.year) for gap in gaps)
            absent.update(
                (published.DERIVED_SCOPES[g.scope], run.year)
                for g in gaps
                if g.scope in published.DERIVED_SCOPES
            )
        else:
            outcome = _apply(run, indicator, method, level)
            tried |= outcome.accesses | outcome.tried
        if outcome.frame is not None and outcome.frame["value"].notna().any():
            return outcome
        if first is not None and _closed(first):
            continue  # a layer that is there and must not be used goes before a figure nobody reported
        if first is None or _closed(outcome) or (first.frame is None and outcome.frame is not None):
            first = outcome
        elif (
            indicator.methods[first.method].basis == "tables"
            and indicator.methods[method].basis == "reported"
        ):
            first = outcome  # one figure to ask for, not the parts it is made of
    assert first is not None, "the loader refuses an indicator without methods"
    first.instead = tuple(short[0]) if short and first.frame is not None else ()
    return first


@lru_cache(maxsize=64)
def formula_version(module: str) -> str:
    """Package version with a hash of a formula module, of what formulas share, and of the operators."""
    names = [
        f"indicators/formulas/{module}.py",
        "indicators/formulas/common.py",
        "indicators/formulas/land.py",
    ]
    names += ["indicators/formulas/statistics.py", "indicators/compute.py", "indicators/frames.py"]
    paths = [PACKAGE / name for name in names] + sorted((PACKAGE / "operators").glob("*.py"))
    paths += sorted((PACKAGE / "codes").glob("*.csv"))
    content = {p.relative_to(PACKAGE).as_posix(): p.read_text("utf-8") for p in paths}
    return f"{__version__}+{stable_hash(content)[:10]}"


def _provenance(run: Run, indicator: Indicator, outcome: _Outcome, level: str) -> dict[str, Any]:
    chosen = indicator.methods[outcome.method]
    sources = [run.source(role, year) for role, year in sorted(outcome.accesses, key=str)]
    frame_sources = [
        run.source(role, None) for role in frame_roles(run, level, chosen.scope or indicator.scope)
    ]
    of_year = [
        s.date for s in sources if s.year == run.year and s.date
    ]  # editions compared with do not count
    dates = of_year or [day for s in sources if (day := described(run, s))]
    tiers = [chosen.tier, *(s.tier for s in sources if s.tier in TIERS)]
    told = run.scope_role(chosen.scope or indicator.scope)
    if told:
        sources.append(run.source(told, run.year))
        tiers.append(sources[-1].tier)
    denominator = indicator.denominator_zh if chosen.denominator_zh is None else chosen.denominator_zh
    denominator_en = indicator.denominator_en if chosen.denominator_en is None else chosen.denominator_en
    content = {
        "layers": [[s.role, s.year, s.sha256] for s in [*sources, *frame_sources]],
        "parameters": dict(chosen.parameters),
        "walking_m_per_min": run.city.walking_m_per_min,
        "base_year": run.city.base_year,
        "definition": indicator.definition_version,
        "method": outcome.method,
    }
    return {
        "tier": max(tiers, key=TIERS.index) if outcome.frame is not None else "",
        "data_date": min(dates, default=""),
        "sensitivity": highest_sensitivity(s.sensitivity for s in sources),
        "inputs_hash": stable_hash(content)[:16],
        "code_version": formula_version(chosen.formula.partition(".")[0]),
        "basis": f"{outcome.method + 1}: {chosen.formula}",
        "denominator": denominator + TOLD_ZH if told and denominator else denominator,
        "denominator_en": denominator_en + TOLD_EN if told and denominator_en else denominator_en,
    }


def _lineage(run: Run, indicator: Indicator, outcome: _Outcome, level: str) -> str:
    """Everything the values of an indicator at a level are made of, see :mod:`workbench.core.lineage`."""
    chosen = indicator.methods[outcome.method]
    roles = zone_roles(run, level)
    scope = chosen.scope or indicator.scope
    told = run.scope_role(scope)
    if not told and (value := run.city.scopes.get(scope)) is not None and scope != WHOLE:
        whole = value == "city"
        roles += zone_roles(run, "city") if whole else [value if value in run.city.layers else "scopes"]
    if outcome.frame is not None and chosen.formula.startswith(
        "flows."
    ):  # asks of every place whether it is one of the city's zones
        roles += [role for one in run.city.levels for role in zone_roles(run, one)]
    found = {input_name(role, year, run.edition): ABSENT for role, year in outcome.absent}
    for role, year in outcome.tried | {(role, None) for role in roles}:
        try:
            found[input_name(role, year, run.edition)] = run.source(role, year).sha256
        except LayerMissing:
            found[input_name(role, year, run.edition)] = ABSENT
    if told:
        found[input_name(told, run.year)] = run.source(told, run.year).sha256
        found = {**published.made_of(run.city.name, told, run.year), **found}
    return pack({**found, f"definition:{indicator.id}": indicator.definition_version})


def _rows(
    run: Run, indicator: Indicator, level: str, run_id: str, lineage: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    outcome = _best(run, indicator, level)
    made_of = None if lineage is None else _lineage(run, indicator, outcome, level)
    shared = _provenance(run, indicator, outcome, level)
    found = []
    zones = run.all_zones(level)
    for code, name in zip(zones["code"].astype(str), zones["name"].astype(str), strict=True):
        row: dict[str, Any] = {
            "value_id": value_id(run.city.name, indicator.id, level, code, run.year, OBSERVED, run.edition),
            "indicator": indicator.id,
            "city": run.city.name,
            "level": level,
            "zone": code,
            "zone_name": run.city.name_zh if level == "city" else name,
            "year": run.year,
            "scenario": OBSERVED,
            "edition": run.edition,
            "value": float("nan"),
            "unit": indicator.unit,
            "decimals": indicator.decimals,
            "definition_version": indicator.definition_version,
            "run_id": run_id,
            **shared,
        }
        row.update(_result(run, outcome, code, indicator))
        if row["value"] != row["value"]:
            row["tier"] = ""
        if lineage is not None and made_of is not None:
            lineage[row["value_id"]] = made_of
        found.append(row)
    return found


def _result(run: Run, outcome: _Outcome, code: str, indicator: Indicator) -> dict[str, Any]:
    """Value of one zone, or why it has none."""
    if outcome.frame is None:
        return dict(zip(("reason", "reason_zh", "reason_en"), outcome.reason, strict=True))
    if code in outcome.outside:
        reason = "outside_scope"
    else:
        line = outcome.frame.loc[code].to_dict()
        if pd.notna(line["value"]):
            return {"value": line["value"], "denominator_value": line.get("denominator", float("nan"))}
        reason = str(line["reason"]) or "not_finite"
    zh, en = reasons.explain(reason, _own(run, indicator))
    if outcome.instead and reason == f"not_reported:{indicator.id}":
        zh, en = reasons.or_layers((zh, en), outcome.instead)
    return {"reason": reason, "reason_zh": zh, "reason_en": en}


def compute(
    city: City | str,
    year: int,
    ids: Sequence[str],
    *,
    levels: Sequence[str] = ("city", "district"),
    edition: str = "latest",
    store: Store | None = None,
    library: Mapping[str, Indicator] | None = None,
    run_id: str = "",
    progress: Callable[[int, int], None] | None = None,
    kept: pd.DataFrame | None = None,
    lineage: dict[str, str] | None = None,
) -> pd.DataFrame:
    """Values of indicators for a city and year.

    Parameters
    ----------
    city : City or str
        Profile, or its name.
    year : int
        Year of the checkup. Layers dated by year are read for this year and no other.
    ids : sequence of str
        Indicators of the library.
    levels : sequence of str
        Zone levels; those the city does not have are left out, but ``city`` is always there.
    edition : str
        ``latest``, or ``original`` for the data as first published.
    store : Store, optional
        Where layers come from; the city's catalogue when not given.
    library : mapping, optional
        Definitions; the package's own with the city's changes when not given.
    run_id : str
        Written into every row.
    progress : callable, optional
        Called with the number of indicators done and of all.
    kept : DataFrame, optional
        Rows of an earlier computation that still hold: their indicators and levels are not computed again.
    lineage : dict, optional
        Filled with what each computed value is made of, by value id (see :mod:`workbench.core.lineage`).

    Returns
    -------
    pd.DataFrame
        The value table: one row for each indicator, level and zone. A value that cannot be had is NaN with its reason.

    Raises
    ------
    ParameterError
        An unknown indicator or edition of the call.
    """
    run = open_run(city, year, edition=edition, store=store)
    definitions = city_library(run.city) if library is None else library
    if unknown := [id_ for id_ in ids if id_ not in definitions]:
        raise ParameterError("no such indicator in the library", where="ids", found=unknown)
    present = [level for level in levels if level == "city" or level in run.city.levels]
    held = {} if kept is None else {key: rows for key, rows in kept.groupby(["indicator", "level"])}
    rows: list[dict[str, Any]] = []
    wanted = list(dict.fromkeys(ids))
    for number, id_ in enumerate(wanted):
        if progress is not None:
            progress(number, len(wanted))
        start = time.perf_counter()
        for level in present:
            if (id_, level) in held:
                rows.extend(held[id_, level].to_dict("records"))  # type: ignore[arg-type]
            else:
                rows.extend(_rows(run, definitions[id_], level, run_id, lineage))
        log.debug("%s: %.2f s", id_, time.perf_counter() - start)
    return table(rows)


def open_run(city: City | str, year: int, *, edition: str = "latest", store: Any | None = None) -> Run:
    """A computation on a city's catalogue, to be shared by several calls of formulas."""
    if isinstance(city, str):
        from workbench.core.city import load_city

        city = load_city(city)
    if store is None:
        from workbench.catalog.data import CityData

        store = CityData(city)
    return Run(city=city, store=store, year=int(year), edition=edition)


def layers_used(run: Run, indicator: Indicator, level: str = "city") -> list[Source]:
    """Layers an indicator's value at a level is made from, as they are now."""
    outcome = _best(run, indicator, level)
    return [run.source(role, year) for role, year in sorted(outcome.accesses, key=str)]


def code_location(indicator: Indicator, method: int) -> str:
    """File and line of a method's formula, relative to the package."""
    module, _, name = indicator.methods[method].formula.partition(".")
    function = getattr(importlib.import_module(f"workbench.indicators.formulas.{module}"), name)
    line = inspect.getsourcelines(function)[1]
    return f"workbench/indicators/formulas/{module}.py:{line} {name}"


__all__ = ["Run", "code_location", "compute", "formula_version", "layers_used", "open_run"]
