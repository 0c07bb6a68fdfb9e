"""Life circles of a city and year: computed once, kept by content, read by notebooks and reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd

from workbench.core.cache import StepCache, step_key
from workbench.core.city import City, load_city
from workbench.core.errors import LayerMissing
from workbench.core.provenance import code_version
from workbench.evaluation.life_circle import checks
from workbench.evaluation.life_circle.coverage import circles, coverage, kinds_in_reach
from workbench.evaluation.life_circle.homes import homes_of
from workbench.evaluation.life_circle.networks import networks_of, places_of
from workbench.evaluation.life_circle.rows import value_rows
from workbench.evaluation.life_circle.settings import Settings, load_settings, settings_path
from workbench.evaluation.life_circle.supply import next_sites, supply
from workbench.evaluation.topic_results import layer_hashes, newest_date, write_tables
from workbench.indicators.values import highest_sensitivity, table

if TYPE_CHECKING:
    from workbench.catalog.data import CityData

Say = Callable[[str], None]
TABLES = ("coverage", "circles", "equity", "lorenz", "supply", "places", "next_sites", "findings", "cells")
"""Tables of a result, each kept by itself."""


@dataclass
class LifeCircle:
    """Life circles of a city for a year."""

    city: City
    """Profile."""
    year: int
    """Year of population and buildings."""
    settings: Settings
    """Facilities, levels and limits."""
    basis: str
    """``population``, or ``buildings`` where footprint stands in for people."""
    coverage: pd.DataFrame
    """Kind × time × mode × age group × zone: people, covered, share, straight line and the gap; percent."""
    circles: pd.DataFrame
    """Circle × mode × age group × zone: people with all kinds in reach."""
    equity: pd.DataFrame
    """Gini and Theil of supply per head, a row a kind."""
    lorenz: pd.DataFrame
    """Lorenz curves of supply per head."""
    supply: pd.DataFrame
    """Supply for 1,000 people (or a hectare of footprint): ``home, cell_id, kind, rate``."""
    places: gpd.GeoDataFrame
    """Facilities that give supply, with those who compete for it."""
    next_sites: gpd.GeoDataFrame
    """Where a further facility brings the most people within reach."""
    findings: gpd.GeoDataFrame
    """What is wrong with data and places."""
    cells: gpd.GeoDataFrame
    """Homes: ``cell_id``, people by age group, ``walk_m.<kind>``, ``cycle_m.<kind>``, ``kinds.<circle>``; points."""
    definitions: dict[str, Any] = field(default_factory=dict)
    """Empty: the figures are derived rows."""

    @cached_property
    def data(self) -> CityData:
        """The city's layers."""
        from workbench.catalog.data import CityData

        return CityData(self.city)

    @cached_property
    def values(self) -> pd.DataFrame:
        """The figures as rows of the value table (``life_circle.*``)."""
        return table(value_rows(self))

    @cached_property
    def sensitivity(self) -> str:
        """Strictest sensitivity of the layers the figures rest on."""
        return highest_sensitivity(self.city.layers[role].sensitivity for role in self._roles)

    @cached_property
    def data_date(self) -> str:
        """Newest date of those layers."""
        return newest_date(self.data, self._roles, self.year)

    @property
    def _roles(self) -> list[str]:
        return [role for role in roles_of(self.settings, self.basis) if role in self.city.layers]

    @property
    def kinds(self) -> list[str]:
        """Kinds there are facilities of, in the order of the settings."""
        here = {name.removeprefix("walk_m.") for name in self.cells if name.startswith("walk_m.")}
        return [one.kind for one in self.settings.facilities if one.kind in here]

    def save(self, folder: Path | str) -> list[Path]:
        """Write the tables as Parquet, and what has shapes as layers of ``life_circle.gpkg``."""
        from workbench.core.paths import atomic_write

        target = Path(folder)
        written = write_tables(target, {name: getattr(self, name) for name in TABLES})
        with atomic_write(target / "life_circle.gpkg") as path:
            path.unlink()
            for name in ("cells", "next_sites", "places", "findings"):
                frame = getattr(self, name)
                frame[frame.geometry.notna()].to_file(path, layer=name, driver="GPKG", engine="pyogrio")
        return [*written, target / "life_circle.gpkg"]


def roles_of(settings: Settings, basis: str = "population") -> list[str]:
    """Layers the life circles rest on."""
    homes = ["population"] if basis == "population" else ["buildings"]
    return list(dict.fromkeys([*homes, "roads", *(one.role for one in settings.facilities)]))


def life_circle(
    city: City | str,
    year: int | None = None,
    *,
    data: CityData | None = None,
    use_cache: bool = True,
    say: Say | None = None,
) -> LifeCircle:
    """Life circles of a city and year, from the cache when nothing they depend on has changed.

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

    Returns
    -------
    LifeCircle

    Raises
    ------
    LayerMissing
        When the city has no roads, or neither population nor buildings for the year.
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
        "life_circle",
        inputs=layer_hashes(layers, profile, [*roles_of(settings), "buildings"], wanted),
        parameters={"city": profile.name, "year": wanted, "profile": profile.profile_text},
        definition=settings_path(profile).read_text("utf-8"),
        code=code_version(),
    )
    step = f"life_circle-{profile.name}"
    keys = {name: step_key(name, inputs={"life_circle": key}) for name in (*TABLES, "basis")}
    found: dict[str, Any] = {name: cache.get(step, one) if use_cache else None for name, one in keys.items()}
    if any(one is None for one in found.values()):
        found = compute(profile, layers, wanted, settings, say or (lambda text: None))
        for name, one in keys.items():
            cache.put(step, one, found[name])
    basis = str(found.pop("basis")["basis"])
    result = LifeCircle(profile, wanted, settings, basis, **found)
    result.__dict__["data"] = layers
    return result


def compute(city: City, data: Any, year: int, settings: Settings, say: Say) -> dict[str, Any]:
    """Tables of the life circles of a city and year, by name, with ``basis``."""
    if not data.has("roads"):
        raise LayerMissing("roads", reason="no_layer", holder=data.holder("roads"))
    say("networks")
    homes = homes_of(city, data, year, settings)
    networks = networks_of(city, data, homes, settings)
    walk = networks.graphs["walk"]
    places = {one.kind: places_of(data, year, one, walk, settings) for one in settings.facilities}
    metres: dict[tuple[str, str], Any] = {}
    for kind, found in places.items():
        if found.reason:
            continue
        say(f"distances: {kind}")
        for mode in networks.graphs:
            metres[mode, kind] = networks.metres(mode, found)
        metres["straight", kind] = networks.straight(found)
    say("coverage")
    cells = homes.frame.copy()
    for (mode, kind), one in metres.items():
        if mode != "straight":
            cells[f"{mode}_m.{kind}"] = np.where(np.isfinite(one), np.round(one, 1), np.nan)
    for name, count in kinds_in_reach(settings, places, metres, networks.speed).items():
        cells[f"kinds.{name}"] = count
    covered = coverage(homes, places, metres, networks.speed, settings)
    whole = circles(homes, places, metres, networks.speed, settings)
    say("supply")
    given = supply(networks, places, settings)
    say("further sites")
    sites = next_sites(networks, places, metres, settings)
    ids = cells["cell_id"].to_numpy()
    return {
        "coverage": covered,
        "circles": whole,
        "equity": given.equity,
        "lorenz": given.lorenz,
        "supply": given.cells.assign(cell_id=ids[given.cells["home"].to_numpy(dtype=int)]),
        "places": given.places,
        "next_sites": sites,
        "findings": checks.findings(networks, places, settings, data.zones("city").geometry.iloc[0]),
        "cells": gpd.GeoDataFrame(cells, geometry="geometry", crs=homes.frame.crs),
        "basis": {"basis": homes.basis},
    }
