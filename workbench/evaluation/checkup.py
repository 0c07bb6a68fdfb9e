"""The annual checkup: values of a city and year, what the rules say of them, and every number derived from both."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd

from workbench.catalog.published import TOPIC_FIGURES, URBAN_RANGE
from workbench.core.cache import StepCache, step_key, write_json
from workbench.core.city import City, load_city
from workbench.core.errors import LayerMissing, ParameterError, ProfileError, RunError
from workbench.core.paths import atomic_write
from workbench.core.provenance import code_version
from workbench.core.units import convert
from workbench.evaluation.accounts import account_values
from workbench.evaluation.derived import derived_rows, target_rows
from workbench.evaluation.figures import prepare
from workbench.evaluation.kept import Kept
from workbench.evaluation.lineage import lineage
from workbench.evaluation.states import States
from workbench.indicators.changes import changes_text, city_indicators, city_library
from workbench.indicators.indicator import Indicator
from workbench.indicators.library import load_library
from workbench.indicators.values import table, value_id
from workbench.operators.area import area_m2
from workbench.rules.evaluate import evaluate
from workbench.rules.register import Register

if TYPE_CHECKING:
    from workbench.catalog.data import CityData

log = logging.getLogger(__name__)

LEVELS = ("city", "district")


@dataclass
class Checkup:
    """A checkup: one city, one year, its values and findings."""

    city: City
    """The city's profile."""
    year: int
    """Year of the checkup."""
    values: pd.DataFrame
    """The value table: the year, the earlier years compared with, targets, and all derived numbers."""
    findings: gpd.GeoDataFrame
    """What the rules say, worst first."""
    definitions: Mapping[str, Indicator] = field(default_factory=load_library)
    """Indicator definitions by id."""
    before: gpd.GeoDataFrame | None = None
    """Findings of the year before and what became of them; None without values of that year."""
    lineage: pd.DataFrame | None = None
    """What each value is made of (``value_id, made_of``); None for values that did not come from a computation."""

    @cached_property
    def data(self) -> CityData:
        """The city's layers."""
        from workbench.catalog.data import CityData

        return CityData(self.city)

    def get(
        self, indicator: str, level: str = "city", zone: str | None = None, *, year: int | None = None
    ) -> pd.Series[Any]:
        """Row of the value table.

        Parameters
        ----------
        indicator : str
            Id of an indicator or of a derived number.
        level : str
            Zone level, ``report`` or ``case``.
        zone : str, optional
            Zone code; for ``city`` the city itself.
        year : int, optional
            The checkup's year when not given.

        Raises
        ------
        LookupError
            When there is no such row.
        """
        code = self.city.name if zone is None and level == "city" else (zone or "")
        wanted = value_id(self.city.name, indicator, level, code, year or self.year)
        rows = self.values[self.values["value_id"] == wanted]
        if rows.empty:
            raise LayerMissing(
                f"{indicator} ({level} {code})", year or self.year, reason="not in the value table"
            )
        return rows.iloc[0]

    def save(self, folder: Path | str) -> Path:
        """Write ``values.parquet``, ``findings.parquet`` and ``checkup.json`` into a folder, each atomically."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / "values.parquet") as path:
            self.values.to_parquet(path)
        with atomic_write(folder / "findings.parquet") as path:
            self.findings.to_parquet(path)
        if self.lineage is not None:
            with atomic_write(folder / "lineage.parquet") as path:
                self.lineage.to_parquet(path)
        if self.before is not None:
            with atomic_write(folder / "findings_before.parquet") as path:
                self.before.to_parquet(path)
        record = {
            "city": self.city.name,
            "profile": str(self.city.path),
            "root": str(self.city.root),
            "year": self.year,
            "code_version": code_version(),
        }
        write_json(folder / "checkup.json", record)
        return folder

    @classmethod
    def read(cls, folder: Path | str) -> Checkup:
        """Read the checkup that :meth:`save` wrote.

        Raises
        ------
        RunError
            When the folder holds no checkup.
        """
        folder = Path(folder)
        if not (folder / "checkup.json").exists():
            raise RunError(
                "no checkup in this folder",
                where=str(folder),
                expected="checkup.json, values.parquet, findings.parquet",
            )
        record = json.loads((folder / "checkup.json").read_text("utf-8"))
        before, made_of = folder / "findings_before.parquet", folder / "lineage.parquet"
        city = load_city(record["profile"]).model_copy(update={"root": Path(record["root"])})
        return cls(
            city=city,
            year=int(record["year"]),
            values=pd.read_parquet(folder / "values.parquet"),
            findings=gpd.read_parquet(folder / "findings.parquet"),
            definitions=city_library(city),
            before=gpd.read_parquet(before) if before.exists() else None,
            lineage=pd.read_parquet(made_of) if made_of.exists() else None,
        )


def checkup(
    city: City | str,
    year: int | None = None,
    *,
    use_cache: bool = True,
    say: Callable[[str], None] | None = None,
) -> Checkup:
    """Make the checkup of a city and year, or take it from the cache when nothing it depends on changed.

    Parameters
    ----------
    city : City or str
        Profile, or its name or path.
    year : int, optional
        One of the profile's ``years``; the latest when not given.
    use_cache : bool
        Take results of unchanged steps from the cache; either way new ones are kept there.
    say : callable, optional
        Told in words what is being computed.

    Returns
    -------
    Checkup

    Raises
    ------
    ParameterError
        The profile has no checkup for the year.
    """
    from workbench.catalog.data import CityData

    profile = load_city(city) if isinstance(city, str) else city
    wanted = profile.check_year(int(year)) if year is not None else profile.latest_year
    check_targets(profile)
    data = CityData(profile)
    if prepare(profile, data, wanted, years_compared(data, profile, wanted), say=say, use_cache=use_cache):
        data = CityData(profile, build=False)
    cache = StepCache()
    inputs = input_hashes(data, profile)
    texts = {name: inputs[name] for name in ("profile", "indicator_changes")}
    kept = Kept(profile, data, States(profile, data, wanted), texts, cache=cache, use_cache=use_cache)
    values = _values_of_years(profile, wanted, data, kept, say=say)
    _tell(say, "rules")
    activities = Register.open(profile).activities()
    key = step_key(
        "findings",
        inputs=inputs,
        parameters={"city": profile.name, "year": wanted, "activities": activities},
        code=code_version(),
    )
    definitions = city_library(profile)
    findings = cache.step(
        f"findings-{profile.name}",
        key,
        lambda: evaluate(profile, wanted, values, data, definitions=definitions, activities=activities),
        use_cache=use_cache,
    )
    scopes = scope_areas(data, profile)
    derived = derived_rows(profile, wanted, values, findings, definitions, scopes)
    values = pd.concat([values, table(derived)], ignore_index=True)

    def keep(name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        parameters = {"city": profile.name, "year": wanted, "table": name}
        key = step_key("accounts", inputs=inputs, parameters=parameters, code=code_version())
        return cache.step(f"{name}-{profile.name}", key, make, use_cache=use_cache)

    _tell(say, "accounts and comparisons")
    accounts = account_values(profile, data, wanted, values, keep=keep, values_of=kept.values)
    values = pd.concat([values, accounts], ignore_index=True)
    result = Checkup(city=profile, year=wanted, values=values, findings=findings, definitions=definitions)
    result.__dict__["data"] = data
    from workbench.evaluation.further import further

    more, result.before = further(result, keep=keep)
    result.values = pd.concat([values, more], ignore_index=True)
    result.lineage = lineage(result, kept.made_of)
    if len(accounts):
        del result.__dict__["data"]  # opened anew when asked for, with the ledger that was published just now
    return result


def _values_of_years(
    profile: City,
    wanted: int,
    data: CityData,
    kept: Kept,
    *,
    say: Callable[[str], None] | None,
) -> pd.DataFrame:
    """Value rows of the year (city and districts) and of the years compared with (city), and the planned values."""
    ids = indicators_of(profile)
    frames = []
    for one in years_compared(data, profile, wanted):
        chosen = ids if one in (wanted, wanted - 1) else _targeted(profile, ids)
        if not chosen:
            continue
        levels = LEVELS if one == wanted else LEVELS[:1]
        frames.append(kept.values(one, chosen, levels, progress=_counted(say, one)))
    return pd.concat([*frames, table(target_rows(profile))], ignore_index=True)


def check_targets(city: City) -> None:
    """Refuse planned values whose unit cannot be that of their indicator, and years out of order.

    Raises
    ------
    ProfileError
        Names the profile, the target, and what it should be.
    """
    library = city_library(city)
    if city.base_year > city.latest_year:
        raise ProfileError(
            "the base year lies after the last year of a checkup", where=f"{city.path.name}: city.base_year",
            found=city.base_year, expected=f"{city.latest_year} or earlier",
        )  # fmt: skip
    for target in city.targets:
        start = target.base_year or city.base_year
        if target.year <= start:
            raise ProfileError(
                "a target for a year that does not lie after its base year",
                where=f"{city.path.name}: targets, {target.indicator}",
                found=target.year,
                expected=f"a year after {start}",
            )
        definition = library.get(target.indicator)
        if definition is None:
            continue
        try:
            convert(target.value, target.unit, definition.unit)
        except ParameterError as error:
            raise ProfileError(
                "the unit of a target does not fit its indicator",
                where=f"{city.path.name}: targets, {target.indicator} {target.year}",
                found=target.unit,
                expected=f"{definition.unit}, or another unit of that kind",
                hint="correct unit and value of the target together",
            ) from error


def _tell(say: Callable[[str], None] | None, text: str) -> None:
    if say is not None:
        say(text)


def _counted(say: Callable[[str], None] | None, year: int) -> Callable[[int, int], None]:
    """Put the count of a computation of a year into words."""
    return lambda done, total: _tell(say, f"indicators of {year}: {done}/{total}")


def indicators_of(city: City) -> list[str]:
    """Indicators of a city's checkup: its set, and those of the library the plan sets a target for."""
    ids, library = city_indicators(city), city_library(city)
    planned = (target.indicator for target in city.targets)
    return list(dict.fromkeys([*ids, *(one for one in planned if one in library)]))


def scope_areas(data: Any, city: City) -> dict[str, float]:
    """Ellipsoidal area of each scope the city has delimited, square metres."""
    found = {}
    for name in city.scopes:
        try:
            shape = data.scope(name)
        except LayerMissing:
            continue
        found[name] = float(area_m2([shape], city.crs)[0])
    return found


def input_hashes(data: Any, city: City) -> dict[str, str]:
    """Hash of every layer edition and of the profile: what a checkup's cached results depend on."""
    found = {"profile": city.profile_text, "indicator_changes": changes_text(city)}
    for role in dict.fromkeys(
        [*city.layers, "statistics", URBAN_RANGE, TOPIC_FIGURES]
    ):  # departments may have filled in some
        for year in data.years(role) or [None]:
            if data.has(role, year):
                for edition in ("latest", "original"):
                    try:
                        source = data.source(role, year, edition=edition)
                    except LayerMissing:
                        continue
                    found[f"{role}-{year}-{edition}"] = f"{source.sha256} {source.date}"
    return found


def data_years(data: Any, city: City) -> list[int]:
    """Years for which the city has a layer dated by year."""
    return sorted({year for role in city.layers for year in data.years(role)})


def years_compared(data: Any, city: City, year: int) -> list[int]:
    """Years whose values a checkup holds: its own, the year before, and the latest up to the base year."""
    known = data_years(data, city)
    chosen = {year}
    if year - 1 in known:
        chosen.add(year - 1)
    starts = {target.base_year or city.base_year for target in city.targets if target.base_value is None}
    for start in starts:
        base = [one for one in known if start - 2 <= one <= min(start, year - 1)]
        if base:
            chosen.add(base[-1])
    return sorted(chosen, reverse=True)


def _targeted(city: City, ids: list[str]) -> list[str]:
    wanted = {target.indicator for target in city.targets}
    return [one for one in ids if one in wanted]
