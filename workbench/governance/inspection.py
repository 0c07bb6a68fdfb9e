"""The quality check of a city: every check of every pack on every layer it names, findings and gates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.catalog import gates as gate_file
from workbench.catalog import manifest
from workbench.catalog.data import CityData
from workbench.catalog.roles import ROLES
from workbench.core.cache import StepCache, step_key
from workbench.core.city import City, load_city
from workbench.core.errors import RunError
from workbench.core.paths import PACKAGE, atomic_write
from workbench.core.provenance import stable_hash
from workbench.governance.kinds import CONSEQUENCES, KINDS
from workbench.governance.layers import Hit, Layer, Outcome
from workbench.governance.packs import SEVERITIES, Check, Pack, load_packs

COLUMNS = [
    "finding_id", "check", "pack", "role", "year", "feature", "severity", "measured", "unit", "expected", "message_zh",
    "message_en", "geometry",
]  # fmt: skip
"""Columns of the findings."""
FINDINGS = "quality_findings.parquet"
Progress = Callable[[int, int, str], None]
Place = tuple[str, int | None]
"""Role and year of a layer."""
_SHARED = ("topology", "_edges", "overlay", "area", "guards")


@dataclass
class QualityReport:
    """What a quality check found."""

    city: City
    """The city."""
    findings: gpd.GeoDataFrame
    """Columns :data:`COLUMNS`, the gravest first."""
    gates: pd.DataFrame
    """``role, year, check, state (passed | warned | blocked), reason_zh, reason_en`` and what they rest on."""

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row a layer: ``role, year, checks, errors, warnings, state`` (passed, warned, failed, blocked).

        ``failed`` has errors and may be used until they are put right; ``blocked`` must not be used.
        """
        keys = ["role", "year"]
        made = self.gates.groupby(keys, dropna=False, sort=False).agg(
            checks=("check", "size"), blocked=("state", lambda column: bool((column == "blocked").any()))
        )
        for name in ("error", "warning"):
            part = self.findings[self.findings["severity"] == name]
            made[f"{name}s"] = part.groupby(keys, dropna=False).size()
        made = made.fillna({"errors": 0, "warnings": 0}).reset_index()
        made = made.astype({"errors": "int64", "warnings": "int64"})
        made["state"] = np.select(
            [made["blocked"], made["errors"] > 0, made["warnings"] > 0],
            ["blocked", "failed", "warned"],
            "passed",
        )
        return made[[*keys, "checks", "errors", "warnings", "state"]]

    @property
    def blocked(self) -> list[Place]:
        """Layers that must not be used."""
        rows = self.layers[self.layers["state"] == "blocked"]
        return [
            (str(role), None if pd.isna(year) else int(year))
            for role, year in zip(rows["role"], rows["year"], strict=True)
        ]

    @classmethod
    def read(cls, city: City | str) -> QualityReport:
        """What the last check of a city left.

        Raises
        ------
        RunError
            The city has not been checked.
        """
        profile = load_city(city) if isinstance(city, str) else city
        path = manifest.folder(profile.name) / FINDINGS
        if not path.exists():
            raise RunError(
                "the city has not been checked", where=profile.name, hint="workbench quality check makes it"
            )
        return cls(profile, gpd.read_parquet(path), gate_file.read(profile.name))


def check(
    city: City | str,
    *,
    year: int | None = None,
    packs: Mapping[str, Pack] | None = None,
    progress: Progress | None = None,
    use_cache: bool = True,
) -> QualityReport:
    """Check a city's layers and set their gates.

    Parameters
    ----------
    city : City or str
        Profile, or its name or path.
    year : int, optional
        Only layers of this year and those not dated by year; all when not given. What is known of the others stays.
    packs : mapping, optional
        Packs by name; the package's own when not given.
    progress : callable, optional
        Called with (layers done, layers in all, the one at hand).
    use_cache : bool
        Take what was found before in the same data by the same checks from the cache.

    Returns
    -------
    QualityReport
        Also written to ``quality_findings.parquet`` and ``gates.parquet`` beside the city's built data.

    Raises
    ------
    ProfileError, CRSError
        When the profile does not fit the files.
    """
    profile = load_city(city) if isinstance(city, str) else city
    data = CityData(profile, gated=False)
    chosen = load_packs() if packs is None else packs
    checks = [one for pack in chosen.values() for one in pack.checks]
    places = [place for place in _places(profile, data) if year is None or place[1] in (None, year)]
    cache_ = StepCache()
    findings: list[gpd.GeoDataFrame] = []
    rows: list[dict[str, Any]] = []
    for number, place in enumerate(places):
        if progress is not None:
            progress(number, len(places), place[0] if place[1] is None else f"{place[0]} {place[1]}")
        asked = [one for one in checks if _concerns(one, profile, data, place)]
        found = _outcomes(profile, data, place, asked, cache_, use_cache=use_cache)
        for one in asked:
            outcome = found[one.id]
            findings.append(_frame(profile, one, place, outcome))
            rows.append(_gate(one, place, outcome, data.source_hash(*place)))
    if progress is not None:
        progress(len(places), len(places), "")
    gates = pd.DataFrame(rows, columns=gate_file.COLUMNS)
    report = QualityReport(profile, _joined(profile, findings), _typed(gates))
    return _keep(report, data, [one.id for one in checks])


def _places(city: City, data: CityData) -> list[Place]:
    """Vector layers and tables there are, in the order of the profile, oldest first."""
    found: list[Place] = []
    for role, spec in city.layers.items():
        if spec.kind == "raster":
            continue
        years = data.years(role)
        found += [(role, one) for one in years] or ([(role, None)] if data.has(role) else [])
    return found


def _concerns(one: Check, city: City, data: CityData, place: Place) -> bool:
    """Whether a check looks at a layer."""
    role = place[0]
    if role in one.not_roles:
        return False
    if role in one.roles or "*" in one.roles:
        return True
    form = ROLES.get(role)
    polygons = form is not None and form.family == "polygon"
    levels = [level for level in city.levels.values() if level.role == role]
    tiles = all(level.tiles for level in levels) if levels else form is not None and form.coverage
    return ("*polygon" in one.roles and polygons) or ("*tiles" in one.roles and tiles)


@cache
def _code() -> str:
    """Hash of the code that checks."""
    files = sorted((PACKAGE / "governance").glob("*.py"))
    files += [PACKAGE / "operators" / f"{name}.py" for name in _SHARED]
    files += [PACKAGE / "catalog" / "quality.py", PACKAGE / "catalog" / "roles.py"]
    files += [*sorted((PACKAGE / "codes").glob("*.csv")), PACKAGE / "governance" / "fields.toml"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _outcomes(
    city: City, data: CityData, place: Place, asked: list[Check], cache_: StepCache, *, use_cache: bool
) -> dict[str, Outcome]:
    """What the checks say of a layer, from the cache when nothing they look at has changed."""
    against = {str(one.parameters["against"]) for one in asked if "against" in one.parameters}
    others = sorted(
        ({"boundary", "districts", "statistics"} | against | _level_roles(city)) & set(city.layers)
    )
    key = step_key(
        "quality",
        inputs={
            "layer": data.content_key(*place),
            **{role: stable_hash([data.content_key(role, one) for one in _years(data, role)]) for role in others},
        },
        parameters={"city": city.name, "role": place[0], "year": place[1], "levels": sorted(city.levels)},
        definition=stable_hash([asdict(replace(one, cases=())) for one in asked]),
        code=_code(),
    )  # fmt: skip
    made = cache_.step(
        f"quality-{city.name}",
        key,
        lambda: _as_text(_looked_at(city, data, place, asked)),
        use_cache=use_cache,
    )
    return {name: _from_text(item) for name, item in made.items()}


def _years(data: CityData, role: str) -> list[int | None]:
    return [*data.years(role)] or [None]


def _level_roles(city: City) -> set[str]:
    return {level.role for level in city.levels.values()}


def _looked_at(city: City, data: CityData, place: Place, asked: list[Check]) -> dict[str, Outcome]:
    role, year = place
    frame = data.table(role, year) if city.layers[role].kind == "table" else data.vector(role, year)
    levels = [(name, level) for name, level in city.levels.items() if level.role == role]
    layer = Layer(
        data, role, year, frame.reset_index(drop=True), tuple(name for name, _ in levels),
        levels[0][1].code if levels else None,
    )  # fmt: skip
    return judge(layer, asked)


def judge(layer: Layer, asked: list[Check]) -> dict[str, Outcome]:
    """What checks say of a layer; what follows from a cause already found is not told again."""
    found: dict[str, Outcome] = {}
    silent: set[str] = set()
    causes_first = sorted(asked, key=lambda one: one.kind not in CONSEQUENCES)
    for one in causes_first:
        skip = one.kind in silent or (one.kind != "present" and layer.frame.empty)
        found[one.id] = Outcome() if skip else KINDS[one.kind](layer, one)
        if found[one.id].hits:
            silent |= set(CONSEQUENCES.get(one.kind, ()))
    return found


def _as_text(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Outcomes as plain values."""
    return {
        name: {
            "share": outcome.share,
            "hits": [
                {**hit.__dict__, "geometry": None if hit.geometry is None else shapely.to_wkb(hit.geometry, hex=True)}
                for hit in outcome.hits
            ],
        }
        for name, outcome in outcomes.items()
    }  # fmt: skip


def _from_text(item: Mapping[str, Any]) -> Outcome:
    hits = [
        Hit(**{**hit, "geometry": None if hit["geometry"] is None else shapely.from_wkb(hit["geometry"])})
        for hit in item["hits"]
    ]
    return Outcome(hits, float(item["share"]))


def state_of(one: Check, outcome: Outcome) -> str:
    """State of a layer's gate: ``passed``, ``warned`` or ``blocked``."""
    grave = {hit.severity or one.severity for hit in outcome.hits}
    if not grave & {"warning", "error"}:
        return "passed"
    return "blocked" if one.gate and "error" in grave and outcome.share > one.gate_share else "warned"


def _gate(one: Check, place: Place, outcome: Outcome, key: str) -> dict[str, Any]:
    state, number = state_of(one, outcome), len(outcome.hits)
    zh = en = ""
    if state != "passed":
        share, limit = 100 * outcome.share, 100 * one.gate_share
        zh, en = f"{one.title_zh}，{number} 处", f"{one.title_en}: {number}"
        if state == "blocked":
            zh += f"，涉及图层的 {share:.3g}%" + (f"，超过 {limit:g}% 的限度" if limit else "")
            en += f", {share:.3g} % of the layer" + (f", above the limit of {limit:g} %" if limit else "")
    return {
        "role": place[0], "year": place[1], "check": one.id, "state": state, "reason_zh": zh, "reason_en": en,
        "findings": number, "share": outcome.share, "key": key,
    }  # fmt: skip


def _frame(city: City, one: Check, place: Place, outcome: Outcome) -> gpd.GeoDataFrame:
    rows = [_row(one, place, hit, number) for number, hit in enumerate(outcome.hits)]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return gpd.GeoDataFrame(frame, geometry="geometry", crs=city.crs)


def _row(one: Check, place: Place, hit: Hit, number: int) -> dict[str, Any]:
    name = stable_hash([one.id, *map(str, place), hit.feature, hit.message_en, number])[:10]
    return {
        "finding_id": f"q{name}", "check": one.id, "pack": one.pack, "role": place[0], "year": place[1],
        "feature": hit.feature, "severity": hit.severity or one.severity, "measured": hit.measured, "unit": hit.unit,
        "expected": hit.expected, "message_zh": hit.message_zh, "message_en": hit.message_en, "geometry": hit.geometry,
    }  # fmt: skip


def _joined(city: City, frames: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """All findings, the gravest first, then as the packs and the profile have them."""
    some = [frame for frame in frames if len(frame)]
    found = pd.concat(some, ignore_index=True) if some else pd.DataFrame(columns=COLUMNS)
    found = found.astype({"year": "Int64", "measured": "float64"})
    rank = found["severity"].map(SEVERITIES[::-1].index).astype("int64")
    found = found.assign(_rank=rank).sort_values("_rank", kind="stable").drop(columns="_rank")
    return gpd.GeoDataFrame(found.reset_index(drop=True), geometry="geometry", crs=city.crs)


def _typed(gates: pd.DataFrame) -> pd.DataFrame:
    return gates.astype({"year": "Int64", "findings": "int64", "share": "float64"})


def _keep(report: QualityReport, data: CityData, checks: list[str]) -> QualityReport:
    """Write findings and gates, with what an earlier check found in layers this one did not look at."""
    name = report.city.name
    path = manifest.folder(name) / FINDINGS
    looked = {_place(row) for row in report.gates.to_dict("records")}
    before = gate_file.read(name)
    still = [
        _place(row) not in looked and row["check"] in checks and row["key"] == data.source_hash(*_place(row))
        for row in before.to_dict("records")
    ]
    findings, gates = report.findings, report.gates
    if any(still) and path.exists():
        old = gpd.read_parquet(path)
        places = {_place(row) for row in before[still].to_dict("records")}
        old = old[[_place(row) in places for row in old[["role", "year"]].to_dict("records")]]
        findings = _joined(report.city, [findings, old])
        gates = _typed(pd.concat([gates, before[still]], ignore_index=True))
    with manifest.lock(name):
        with atomic_write(path) as temporary:
            findings.to_parquet(temporary)
        with atomic_write(gate_file.path_of(name)) as temporary:
            gates.to_parquet(temporary)
    return report


def _place(row: Mapping[Any, Any]) -> Place:
    return str(row["role"]), None if pd.isna(row["year"]) else int(row["year"])


def checks_of(packs: Mapping[str, Pack] | None = None) -> dict[str, Check]:
    """Checks by name."""
    return {one.id: one for one in _all(load_packs() if packs is None else packs)}


def _all(packs: Mapping[str, Pack]) -> Iterator[Check]:
    for pack in packs.values():
        yield from pack.checks
