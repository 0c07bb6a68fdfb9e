"""What was read from images, as rows of the value table: the facts that interpretation published in the catalogue.

The two modules meet there and nowhere else: interpretation publishes maps, patches and a table of facts for a year, evaluation
reads them like any other layer, so that a report traces a figure of imagery to the weights, images and sample it comes from.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.core.errors import LayerMissing
from workbench.indicators.values import derived, table

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.city import City

FACTS = "interpretation_facts"
"""Role of the published table."""
MADE = ("land_cover_map", "change_map", "detected_changes", FACTS)
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


def rows(city: City, year: int, data: CityData) -> pd.DataFrame:
    """Facts as value rows ``imagery.<part>.<item>`` of level ``report``.

    Raises
    ------
    LayerMissing
        Nothing was interpreted for the year.
    """
    found, source = facts(data, year), data.source(FACTS, year)
    made: list[dict[str, Any]] = []
    for row in found.to_dict("records"):
        nothing = math.isnan(float(row["value"]))
        made.append(
            derived(
                f"imagery.{row['part']}.{row['item']}",
                float(row["value"]),
                city=city.name,
                year=year,
                unit=str(row["unit"]),
                decimals=int(row["decimals"]),
                zone=str(row["zone"]) or city.name,
                zone_name=str(row["zone_name"]) or city.name_zh,
                basis=str(row["basis"]),
                reason=(row["reason"], row["reason_zh"], row["reason_en"]) if nothing else None,
                sensitivity=source.sensitivity,
                data_date=source.date,
                low=float(row["low"]),
                high=float(row["high"]),
            )
        )
    return table(made)
