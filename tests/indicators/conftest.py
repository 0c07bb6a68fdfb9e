"""A drawn city of two districts: ten by four cells of one hectare, the 城区 in the west."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import shapely

from workbench.core.errors import LayerMissing
from workbench.indicators.examples import DrawnStore
from workbench.samples import town

DRAWN: dict[str, Any] = {
    "land_use": ["0701/201 0601/201A 0101 0101 0101 0101 0101 0101 0702/203 0301"] * 4,
    "land_use@2024": ["0701/201 0101 0101 0101 0101 0101 0101 0101 0101 0301"] * 4,
    "population": [[100, 50, 0, 0, 0, 10, 0, 0, 20, 0]] * 4,
    "statistics": [
        "gdp_1e8_cny 2017 city 10",
        "population_1e4 2025 city 0.08",
        "population_urban_1e4 2025 city 0.06",
        "population_urban_1e4 2025 E 0.01",
    ],
    "permanent_farmland": [{"box": [2, 0, 8, 4]}, {"box": [0, 0, 10, 1], "approved": "2026-01-01"}],
    "rail_stations": [{"at": [0.5, 2], "name": "甲", "line": "1"}],
    "facilities": [{"kind": "market", "at": [0, 2]}],
    "roads": [{"line": [[0, 2], [10, 2]]}],
}


@dataclass
class DrawnCity(DrawnStore):
    """A drawn store with zones and a scope."""

    drawn: dict[str, Any] = field(default_factory=lambda: dict(DRAWN))

    def __post_init__(self):
        super().__init__(self.drawn)

    def zones(self, level):
        boxes = {"demo": (0, 0, 10, 4)} if level == "city" else {"W": (0, 0, 5, 4), "E": (5, 0, 10, 4)}
        return town.zones(boxes)

    def scope(self, name):
        if name != "城区":
            raise LayerMissing("scopes", reason="no_scope")
        return shapely.box(town.LEFT, town.TOP - 400, town.LEFT + 500, town.TOP)


def city(scopes=("城区",)):
    return SimpleNamespace(
        name="demo",
        name_zh="示范市",
        crs=town.CRS,
        base_year=2024,
        walking_m_per_min=60.0,
        scopes={name: name for name in scopes},
        levels={"district": SimpleNamespace(role="districts")},
        layers={},
        say=lambda text, lang: text,
    )


@pytest.fixture
def drawn():
    return DrawnCity


@pytest.fixture
def make_city():
    return city
