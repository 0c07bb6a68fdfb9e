"""What a check sees: one edition of a layer, and what it says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from workbench.catalog.roles import ROLES
from workbench.core.errors import LayerMissing


class Store(Protocol):
    """The part of the catalogue's data access that checks use."""

    def vector(self, role: str, year: int | None = None) -> gpd.GeoDataFrame:
        """Vector layer."""
        ...

    def table(self, role: str, year: int | None = None) -> pd.DataFrame:
        """Table."""
        ...

    def years(self, role: str) -> list[int]:
        """Years there are."""
        ...

    def has(self, role: str, year: int | None = None) -> bool:
        """Whether there are data."""
        ...

    def zones(self, level: str) -> gpd.GeoDataFrame:
        """Zones of a level: code, name, parent, geometry."""
        ...

    @property
    def quality(self) -> pd.DataFrame:
        """What was found while the layers were read."""
        ...


@dataclass
class Layer:
    """One edition of a layer."""

    store: Store
    """Where the other layers come from."""
    role: str
    """Layer role."""
    year: int | None
    """Year of the edition."""
    frame: pd.DataFrame
    """Its rows."""
    zone_levels: tuple[str, ...] = ()
    """Levels whose zones it gives."""
    key: str | None = None
    """Field that names a row."""

    def __post_init__(self) -> None:
        if self.key is None and self.role in ROLES:
            self.key = ROLES[self.role].key

    @property
    def geo(self) -> gpd.GeoDataFrame:
        """Rows with shapes."""
        assert isinstance(self.frame, gpd.GeoDataFrame)
        return self.frame

    @cached_property
    def areas(self) -> Any:
        """Planar area of each row, m²."""
        return np.nan_to_num(shapely.area(self.geo.geometry.to_numpy()))

    @cached_property
    def territory(self) -> BaseGeometry | None:
        """Territory of the city; None when it is not known."""
        try:
            shape: BaseGeometry = self.store.zones("city").geometry.iloc[0]
        except LayerMissing:
            return None
        return shape

    def name(self, row: Any) -> str:
        """Name of a row: its key, else its number."""
        if pd.isna(row):
            return ""
        if self.key is not None and self.key in self.frame and str(self.frame[self.key].iloc[int(row)]):
            return str(self.frame[self.key].iloc[int(row)])
        return f"#{int(row) + 1}"

    def share(self, rows: Sequence[int] | Any) -> float:
        """Share of the layer that rows make up: of the area where it has one, else of the rows."""
        rows = np.unique(np.asarray(rows, dtype=int))
        if isinstance(self.frame, gpd.GeoDataFrame) and self.areas.sum() > 0:
            return float(self.areas[rows].sum() / self.areas.sum())
        return len(rows) / max(len(self.frame), 1)


@dataclass(frozen=True)
class Hit:
    """One thing a check found."""

    feature: str
    """Row or rows concerned."""
    message_zh: str
    """What was found, for officials."""
    message_en: str
    """English of it."""
    measured: float = float("nan")
    """What was measured."""
    unit: str = ""
    """Its unit."""
    expected: str = ""
    """What should have been found."""
    geometry: BaseGeometry | None = None
    """Where."""
    severity: str = ""
    """Other than the check's, where what was found says so."""


@dataclass
class Outcome:
    """What a check says of a layer."""

    hits: list[Hit] = field(default_factory=list)
    """Everything found."""
    share: float = 0.0
    """Share of the layer concerned, 0 to 1."""
