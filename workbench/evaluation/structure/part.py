"""What a part of the structure hands back: figures, tables, findings, or why there is nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.catalog.published import scope_of
from workbench.core.errors import LayerMissing
from workbench.operators.area import area_m2

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.city import City
    from workbench.evaluation.structure.settings import Settings

Words = tuple[str, str]
FACTS = ("part", "item", "zone", "zone_name", "value", "low", "high", "unit", "decimals", "basis", "reason", "reason_zh",
         "reason_en")  # fmt: skip
"""Columns of the figures."""


@dataclass(frozen=True)
class Case:
    """What every part works on."""

    city: City
    data: CityData
    year: int
    settings: Settings

    def has(self, role: str, year: int | None = None) -> bool:
        """Whether a layer can be read for a year (that of the case when it is dated)."""
        return self.data.has(role, self.dated(role, year))

    def dated(self, role: str, year: int | None = None) -> int | None:
        """Year to ask a layer for; None where it is not dated."""
        return (self.year if year is None else year) if self.data.years(role) else None

    def vector(self, role: str, year: int | None = None) -> gpd.GeoDataFrame:
        """Layer of a year."""
        return self.data.vector(role, self.dated(role, year))

    def first_level(self) -> str:
        """First zone level below the city; empty where there is none."""
        return next(iter(self.city.levels), "")

    def last_level(self) -> str:
        """Finest zone level; empty where there is none."""
        return next(reversed(self.city.levels), "") if self.city.levels else ""

    def scope(self) -> tuple[shapely.Geometry, str]:
        """Range that people are counted in and its name; the whole city where it is neither delimited nor told from the survey."""
        name = self.settings.parameters.scope
        found = scope_of(self.data, name, self.year)
        return (self.data.zones("city").geometry.iloc[0], "市域") if found is None else (found[0], name)

    def homes(self, year: int | None = None) -> tuple[gpd.GeoDataFrame, str]:
        """Where people live inside the scope (``people``, points) and the basis: people, or building footprint instead."""
        scope, _ = self.scope()
        if self.has("population", year):
            frame = self.vector("population", year)
            at = frame.geometry.to_numpy()
            people, basis = frame["population"].to_numpy(dtype=np.float64), "population"
        elif self.has("buildings", year):
            frame = self.vector("buildings", year)
            at = shapely.point_on_surface(frame.geometry.to_numpy())
            people, basis = area_m2(frame.geometry.to_numpy(), frame.crs), "buildings"
        else:
            raise missing_layer(self, "population")
        shapely.prepare(scope)
        keep = shapely.intersects(scope, at) & np.isfinite(people) & (people > 0)
        return gpd.GeoDataFrame({"people": people[keep]}, geometry=at[keep], crs=frame.crs), basis


@dataclass
class Part:
    """Figures, tables and findings of a part."""

    name: str
    """Short name: the first word of its figures' ids."""
    facts: list[dict[str, Any]] = field(default_factory=list)
    """Figures, with the keys of :data:`FACTS`."""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    """Tables and layers by name."""
    findings: list[dict[str, str]] = field(default_factory=list)
    """What is wrong or must be known: ``check, message_zh, message_en``."""
    roles: tuple[str, ...] = ()
    """Layers it rests on."""

    def fact(
        self, item: str, value: float, *, unit: str = "1", decimals: int = 2, basis: str = "", zone: str = "",
        zone_name: str = "", low: float = float("nan"), high: float = float("nan"), reason: str = "", words: Words = ("", ""),
    ) -> None:  # fmt: skip
        """Add a figure; one without a value says why (code and words)."""
        nothing = value is None or math.isnan(value)
        why = (reason or "undefined", *(words if words[0] else UNDEFINED)) if nothing else ("", "", "")
        row = (
            self.name,
            item,
            zone,
            zone_name,
            float("nan") if nothing else float(value),
            low,
            high,
            unit,
            decimals,
            basis,
            *why,
        )
        self.facts.append(dict(zip(FACTS, row, strict=True)))

    def find(self, check: str, zh: str, en: str) -> None:
        """Add a finding."""
        self.findings.append({"part": self.name, "check": check, "message_zh": zh, "message_en": en})


UNDEFINED: Words = ("该项在此数据上没有定义", "not defined for these data")


def missing_layer(case: Case, role: str, year: int | None = None) -> LayerMissing:
    """Error for a layer that a part cannot do without."""
    dated = case.dated(role, year)
    why = case.data.why_missing(role, dated) or "no_layer"
    return LayerMissing(role, dated, reason=str(why), holder=case.data.holder(role))


def need(case: Case, role: str, year: int | None = None) -> None:
    """Raise ``LayerMissing`` unless the layer can be read."""
    if not case.has(role, year):
        raise missing_layer(case, role, year)


def zone_sums(
    points: gpd.GeoDataFrame, values: npt.NDArray[np.float64], zones: gpd.GeoDataFrame
) -> npt.NDArray[np.float64]:
    """Sum of values of the points in each zone; a point in several zones counts in the first."""
    at, where = shapely.STRtree(points.geometry.to_numpy()).query(
        zones.geometry.to_numpy(), predicate="intersects"
    )
    pairs = pd.DataFrame({"zone": at, "point": where}).sort_values(["point", "zone"]).drop_duplicates("point")
    return np.bincount(pairs["zone"], values[pairs["point"]], minlength=len(zones)).astype(np.float64)


def frame_of(rows: Sequence[Mapping[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Table with fixed columns, empty ones included."""
    return pd.DataFrame(list(rows), columns=list(columns))
