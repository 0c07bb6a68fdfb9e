"""Spatial structure of a city and year: computed once, kept by content, read by notebooks and reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd

from workbench.core.cache import StepCache, step_key
from workbench.core.city import City, load_city
from workbench.core.errors import DataQualityError, LayerMissing
from workbench.core.provenance import code_version
from workbench.evaluation.structure.land import pattern, transitions
from workbench.evaluation.structure.low_use import low_use
from workbench.evaluation.structure.part import FACTS, Case, Part, frame_of
from workbench.evaluation.structure.people import people
from workbench.evaluation.structure.sdg import sdg
from workbench.evaluation.structure.service import transit
from workbench.evaluation.structure.settings import Settings, load_settings, settings_path
from workbench.evaluation.structure.urban import urban
from workbench.evaluation.topic_results import layer_hashes, newest_date, write_tables
from workbench.indicators.lacking import role_gap
from workbench.indicators.values import derived, highest_sensitivity, table

if TYPE_CHECKING:
    from workbench.catalog.data import CityData

Say = Callable[[str], None]
PARTS: dict[str, Callable[[Case], Part]] = {
    "urban": urban,
    "transition": transitions,
    "landscape": pattern,
    "people": people,
    "transit": transit,
    "low_use": low_use,
    "sdg": sdg,
}
"""Parts in the order they are shown."""
ROLES = ("land_use", "land_use_raster", "reference_sample", "population", "buildings", "roads", "parks", "bus_stops",
         "rail_stations")  # fmt: skip
"""Layers that parts read, beside those of the city's zones."""
FINDINGS = ("part", "check", "message_zh", "message_en")
STATES = ("part", "there", "reason", "reason_zh", "reason_en", "roles")
TABLES = ("urban_area", "urban_range", "transitions", "landscape", "clusters", "settlements", "stops", "transit", "low_use",
          "sdg", "sdg_check")  # fmt: skip
"""Tables a part may make, by name; those with a shape are layers."""
_NO_CITY = (
    "用地调查没有城市属性码（201、201A）图斑，不能确定城区初始范围",
    "the survey marks no patch as city (201, 201A): there is no first range",
)
_NO_EARLIER = ("没有早于评价年度的基期", "there is no base year before the year asked")


@dataclass
class Structure:
    """Spatial structure of a city for a year."""

    city: City
    """Profile."""
    year: int
    """Year of the survey and the residents."""
    settings: Settings
    """Codes, distances, windows and rules."""
    facts: pd.DataFrame
    """Figures: ``part, item, zone, zone_name, value, low, high, unit, decimals, basis, reason…``."""
    findings: pd.DataFrame
    """What must be known of data and results: ``part, check, message_zh, message_en``."""
    parts: pd.DataFrame
    """State of each part: ``part, there, reason, reason_zh, reason_en, roles``."""
    tables: dict[str, pd.DataFrame]
    """Tables and layers there are, by name (see :data:`TABLES`)."""

    @cached_property
    def data(self) -> CityData:
        """The city's layers."""
        from workbench.catalog.data import CityData

        return CityData(self.city)

    @property
    def definitions(self) -> dict[str, Any]:
        """Empty: the figures are derived rows."""
        return {}

    def there(self, part: str) -> bool:
        """Whether a part could be made."""
        return bool(self.parts.set_index("part").at[part, "there"])

    def value(self, part: str, item: str) -> float:
        """A figure; nan where there is none."""
        found = self.facts[(self.facts["part"] == part) & (self.facts["item"] == item)]
        return float(found["value"].iloc[0]) if len(found) else float("nan")

    @cached_property
    def values(self) -> pd.DataFrame:
        """The figures as rows of the value table (``structure.<part>.<item>``, level ``report``)."""
        roles = {row.part: tuple(str(row.roles).split()) for row in self.parts.itertuples()}
        rows = []
        for row in self.facts.to_dict("records"):
            used = roles[row["part"]]
            why = (row["reason"], row["reason_zh"], row["reason_en"]) if row["reason"] else None
            rows.append(
                derived(
                    f"structure.{row['part']}.{row['item']}",
                    float(row["value"]),
                    city=self.city.name,
                    year=self.year,
                    unit=str(row["unit"]),
                    decimals=int(row["decimals"]),
                    zone=str(row["zone"]) or self.city.name,
                    zone_name=str(row["zone_name"]) or self.city.name_zh,
                    basis=str(row["basis"]),
                    reason=why,
                    sensitivity=self.sensitivity_of(used),
                    data_date=newest_date(self.data, used, self.year),
                    low=row["low"],
                    high=row["high"],
                )
            )
        return table(rows)

    def sensitivity_of(self, roles: tuple[str, ...]) -> str:
        """Strictest sensitivity of some layers."""
        return highest_sensitivity(
            self.city.layers[one].sensitivity for one in roles if one in self.city.layers
        )

    def roles(self, part: str) -> tuple[str, ...]:
        """Layers a part rests on."""
        return tuple(str(self.parts.set_index("part").at[part, "roles"]).split())

    def save(self, folder: Path | str) -> list[Path]:
        """Write the tables as Parquet, and what has shapes as layers of ``structure.gpkg``."""
        from workbench.core.paths import atomic_write

        target = Path(folder)
        frames = {**self.tables, "facts": self.facts, "findings": self.findings, "parts": self.parts}
        written = write_tables(target, frames)
        layers = {
            name: one for name, one in self.tables.items() if isinstance(one, gpd.GeoDataFrame) and len(one)
        }
        if layers:
            with atomic_write(target / "structure.gpkg") as path:
                path.unlink()
                for name, frame in layers.items():
                    frame.to_file(path, layer=name, driver="GPKG", engine="pyogrio")
            written.append(target / "structure.gpkg")
        return written


def structure(
    city: City | str,
    year: int | None = None,
    *,
    data: CityData | None = None,
    use_cache: bool = True,
    say: Say | None = None,
) -> Structure:
    """Spatial structure of a city and year, from the cache when nothing it depends on has changed.

    Parameters
    ----------
    city : City or str
        Profile, or its name or path.
    year : int, optional
        One of the profile's ``years``; the latest when not given.
    data : CityData, optional
        The city's layers where they are open already.
    use_cache : bool
        Take unchanged results from the cache; either way new ones are kept there.
    say : callable, optional
        Told in words what is being computed.

    Raises
    ------
    LayerMissing
        When no part at all can be made of the city's layers.
    ParameterError, DefinitionError
        When the profile has no such year, or its settings do not fit.
    """
    from workbench.catalog.data import CityData

    profile = load_city(city) if isinstance(city, str) else city
    wanted = profile.check_year(int(year)) if year is not None else profile.latest_year
    layers = data or CityData(profile)
    settings = load_settings(profile)
    cache = StepCache()
    key = step_key(
        "structure",
        inputs=layer_hashes(layers, profile, ROLES, wanted, profile.base_year),
        parameters={"city": profile.name, "year": wanted, "profile": profile.profile_text},
        definition=settings_path(profile).read_text("utf-8"),
        code=code_version(),
    )
    step = f"structure-{profile.name}"
    index = cache.get(step, key) if use_cache else None
    frames: dict[str, Any] = {}
    if index is not None:
        frames = {
            name: cache.get(step, step_key(name, inputs={"structure": key})) for name in index["tables"]
        }
    if index is None or any(one is None for one in frames.values()):
        frames = compute(Case(profile, layers, wanted, settings), say or (lambda text: None))
        for name, frame in frames.items():
            cache.put(step, step_key(name, inputs={"structure": key}), frame)
        cache.put(step, key, {"tables": list(frames)})
    own = {name: frames.pop(name) for name in ("facts", "findings", "parts")}
    result = Structure(profile, wanted, settings, own["facts"], own["findings"], own["parts"], frames)
    result.__dict__["data"] = layers
    return result


def compute(case: Case, say: Say) -> dict[str, pd.DataFrame]:
    """Tables of all parts by name, with ``facts``, ``findings`` and ``parts``.

    Raises
    ------
    LayerMissing
        The reason of the first part, when none can be made.
    """
    facts: list[dict[str, Any]] = []
    findings: list[dict[str, str]] = []
    states: list[dict[str, Any]] = []
    tables: dict[str, pd.DataFrame] = {}
    first: LayerMissing | None = None
    for name, make in PARTS.items():
        say(name)
        try:
            part = make(case)
        except LayerMissing as missing:
            first = first or missing
            states.append(_state(name, False, missing.reason, _words(case, missing)))
            continue
        except DataQualityError as error:
            states.append(
                _state(
                    name, False, "bad_data", (f"数据无法使用：{error}", f"the data cannot be used: {error}")
                )
            )
            continue
        facts += part.facts
        findings += part.findings
        tables |= part.tables
        states.append(_state(name, True, "", ("", ""), part.roles))
    if not any(one["there"] for one in states):
        raise first or LayerMissing("land_use", case.year, reason="no_layer")
    return {
        **tables,
        "facts": frame_of(facts, FACTS),
        "findings": frame_of(findings, FINDINGS),
        "parts": frame_of(states, STATES),
    }


def _state(
    name: str, there: bool, reason: str, words: tuple[str, str], roles: tuple[str, ...] = ()
) -> dict[str, Any]:
    return dict(zip(STATES, (name, there, reason, *words, " ".join(dict.fromkeys(roles))), strict=True))


def _words(case: Case, missing: LayerMissing) -> tuple[str, str]:
    """Why a part is not there, for a reader."""
    if missing.reason == "no_city_patches":
        return _NO_CITY
    if missing.reason == "no_earlier_year":
        return _NO_EARLIER
    zh, en, holder_zh, holder_en = role_gap(case.city, case.data, missing.role, missing.year).words()
    return f"缺少{zh}（通常由{holder_zh}掌握）", f"{en} is lacking (usually held by {holder_en})"
