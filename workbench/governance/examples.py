"""Layers of a worked case: rows written in a pack become a small city that checks can be run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.catalog import quality
from workbench.core.errors import LayerMissing, ParameterError
from workbench.governance.layers import Layer, Outcome
from workbench.governance.packs import Case, Check

CRS = "EPSG:4547"
X, Y = 500_000.0, 2_567_000.0
_SPECIAL = frozenset({"city", "year", "reading"})


@dataclass
class Drawn:
    """A city drawn by hand: the store of a worked case."""

    layers: dict[str, pd.DataFrame]
    year: int | None = None
    territory: Any = None
    reading: list[dict[str, Any]] = field(default_factory=list)

    def vector(self, role: str, year: int | None = None) -> gpd.GeoDataFrame:
        """Layer of a role."""
        if role not in self.layers:
            raise LayerMissing(role, year, reason="no_layer")
        frame = self.layers[role]
        assert isinstance(frame, gpd.GeoDataFrame)
        return frame

    def table(self, role: str, year: int | None = None) -> pd.DataFrame:
        """Table of a role."""
        if role not in self.layers:
            raise LayerMissing(role, year, reason="no_layer")
        return self.layers[role]

    def years(self, role: str) -> list[int]:
        """No layer of a case is dated, unless the case names a year."""
        return []

    def has(self, role: str, year: int | None = None) -> bool:
        """Whether the case has the role."""
        return role in self.layers

    def zones(self, level: str) -> gpd.GeoDataFrame:
        """The territory, or the districts."""
        if level == "district" and "districts" in self.layers:
            return self.vector("districts")
        if level == "city" and self.territory is not None:
            return gpd.GeoDataFrame({"code": ["city"]}, geometry=[self.territory], crs=CRS)
        if level == "city":
            raise LayerMissing("boundary", reason="no_layer")
        raise ParameterError("no such zone level", found=level)

    @property
    def quality(self) -> pd.DataFrame:
        """What the case says was found on reading."""
        texts = {
            "message_zh": "读入时的问题",
            "message_en": "found on reading",
            "unit": "",
            "measured": np.nan,
        }
        rows = [{"year": pd.NA, **texts, **row} for row in self.reading]
        return pd.DataFrame(rows, columns=quality.COLUMNS).astype({"year": "Int64"})


def _box(left: float, bottom: float, right: float, top: float) -> Any:
    return shapely.box(X + left, Y + bottom, X + right, Y + top)


def draw(case: Case) -> Drawn:
    """The city of a worked case; ``box`` and ``point`` of a row are metres from its lower left corner."""
    layers: dict[str, pd.DataFrame] = {}
    for role, rows in case.given.items():
        if role in _SPECIAL:
            continue
        frame = pd.DataFrame([{k: v for k, v in row.items() if k not in {"box", "point"}} for row in rows])
        if any("box" in row or "point" in row for row in rows):
            shapes = [
                _box(*row["box"]) if "box" in row else shapely.Point(X + row["point"][0], Y + row["point"][1])
                for row in rows
            ]
            frame = gpd.GeoDataFrame(frame, geometry=shapes, crs=CRS)
        layers[role] = frame
    territory = _box(*case.given["city"]) if "city" in case.given else None
    return Drawn(layers, case.given.get("year"), territory, list(case.given.get("reading", [])))


def run_case(check: Check, case: Case, kinds: Mapping[str, Any]) -> Outcome:
    """What a check says of a worked case: of the first of its roles that the case draws."""
    store = draw(case)
    role = next((one for one in check.roles if one in store.layers), next(iter(store.layers)))
    outcome: Outcome = kinds[check.kind](Layer(store, role, store.year, store.layers[role]), check)
    return outcome
