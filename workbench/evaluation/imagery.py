"""What was read from images, as rows of the value table: the facts that interpretation published in the catalogue.

The two modules meet there and nowhere else: interpretation publishes maps, patches and a table of facts for a year, evaluation
reads them like any other layer, so that a report traces a figure of imagery to the weights, images and sample it comes from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.catalog.published import made_of
from workbench.core.city import load_city
from workbench.core.errors import LayerMissing
from workbench.indicators.values import derived, table

if TYPE_CHECKING:
    import geopandas as gpd

    from workbench.catalog.data import CityData
    from workbench.core.city import City

FACTS = "interpretation_facts"
"""Role of the published table."""
MADE = ("land_cover_map", "change_map", "detected_changes", "detected_transitions", "detected_cases", FACTS)
"""Roles that interpretation publishes."""
COLUMNS = (
    "part", "item", "zone", "zone_name", "value", "low", "high", "unit", "decimals", "basis", "reason", "reason_zh", "reason_en",
)  # fmt: skip
"""Columns of the facts."""


def facts(data: CityData, year: int) -> pd.DataFrame:
    """Facts read from the images of a year.

    Raises
    ------
    LayerMissing
        Nothing was interpreted for the year: ``imagery`` where the city has no images, else the table of facts.
    """
    if not data.has(FACTS, year):
        if not any(role.startswith("imagery") for role in data.city.layers):
            raise LayerMissing("imagery", year, reason="no_layer", holder=data.holder("imagery"))
        raise LayerMissing(FACTS, year, reason="no_layer")
    return data.table(FACTS, year)


def roles(data: CityData, year: int) -> tuple[str, ...]:
    """Layers the facts rest on: what was published, and the images below it."""
    made = [role for role in MADE if data.has(role, year)]
    return (*made, *(role for role in data.city.layers if role.startswith("imagery")))


@dataclass
class Imagery:
    """What was read from the images of a city and year, as it stands in the catalogue."""

    city: City
    """Profile."""
    year: int
    """Year of the later images."""
    data: CityData
    """Its layers, the published ones among them."""

    @property
    def definitions(self) -> dict[str, Any]:
        """Empty: the figures are derived rows."""
        return {}

    @property
    def findings(self) -> pd.DataFrame:
        """Suspected cases; empty where change was not looked for."""
        found = self.layer("detected_cases")
        return pd.DataFrame() if found is None else found

    @cached_property
    def values(self) -> pd.DataFrame:
        """The facts as rows of the value table, ``imagery.<part>.<item>``."""
        return rows(self.city, self.year, self.data)

    def images(self, role: str) -> dict[int, list[str]]:
        """Dates of the images that a published layer was made of, by year; empty where it does not say."""
        found: dict[int, set[str]] = {}
        waiting, known = [(role, self.year)], set()
        while waiting:
            one = waiting.pop()
            known.add(one)
            for name in made_of(self.city.name, *one):
                inner, _, year = name.rpartition("-")
                if not year.isdigit() or not self.data.has(inner, int(year)):
                    continue
                if inner in MADE and (inner, int(year)) not in known:
                    waiting.append((inner, int(year)))
                elif inner.startswith("imagery"):
                    found.setdefault(int(year), set()).add(self.data.source(inner, int(year)).date)
        return {year: sorted(found[year]) for year in sorted(found)}

    def layer(self, role: str) -> gpd.GeoDataFrame | None:
        """Detected patches or cases; None where there are none."""
        return self.data.vector(role, self.year) if self.data.has(role, self.year) else None


def imagery(city: City | str, year: int | None = None, *, data: CityData | None = None) -> Imagery:
    """What was read from a city's images for a year (the latest when not given).

    Raises
    ------
    LayerMissing
        Nothing was.
    """
    from workbench.catalog.data import CityData as Data

    profile = load_city(city) if isinstance(city, str) else city
    wanted = profile.latest_year if year is None else profile.check_year(int(year))
    found = Imagery(profile, wanted, data or Data(profile))
    facts(found.data, wanted)
    return found


def rows(city: City, year: int, data: CityData) -> pd.DataFrame:
    """Facts as value rows ``imagery.<part>.<item>`` of level ``report``; bounds of intervals are rows ``….low`` and ``….high``.

    Raises
    ------
    LayerMissing
        Nothing was interpreted for the year.
    """
    found, source = facts(data, year), data.source(FACTS, year)
    made: list[dict[str, Any]] = []
    for row in found.to_dict("records"):
        for ending in ("", ".low", ".high"):
            value = float(row[ending.removeprefix(".") or "value"])
            nothing = math.isnan(value)
            if ending and nothing:
                continue
            made.append(
                derived(
                    f"imagery.{row['part']}.{row['item']}{ending}",
                    value,
                    city=city.name,
                    year=year,
                    unit=str(row["unit"]),
                    decimals=int(row["decimals"]),
                    zone=str(row["zone"]) or city.name,
                    zone_name=str(row["zone_name"]) or city.name_zh,
                    basis=str(row["basis"]),
                    reason=(row["reason"], row["reason_zh"], row["reason_en"]) if nothing else None,
                    sensitivity=str(row.get("sensitivity") or source.sensitivity),
                    data_date=source.date,
                    low=math.nan if ending else float(row["low"]),
                    high=math.nan if ending else float(row["high"]),
                )
            )
    return table(made)
