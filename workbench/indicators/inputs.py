"""What a formula sees: the declared layers, for one year and edition, with results shared inside one run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import geopandas as gpd
import pandas as pd
import xarray as xr
from shapely.geometry.base import BaseGeometry

from workbench.core.errors import DefinitionError, LayerMissing
from workbench.core.provenance import Source

T = TypeVar("T")
Access = tuple[str, int | None]


class Store(Protocol):
    """The part of the catalogue's data access that indicators use."""

    def vector(self, role: str, year: int | None = None, *, edition: str = "latest") -> gpd.GeoDataFrame:
        """Vector layer."""
        ...

    def raster(
        self,
        role: str,
        year: int | None = None,
        *,
        edition: str = "latest",
        bands: Sequence[str] | None = None,
    ) -> xr.DataArray:
        """Raster layer, not read before it is used; ``bands`` asks for files beside it, e.g. ``["cloud"]``."""
        ...

    def table(self, role: str, year: int | None = None, *, edition: str = "latest") -> pd.DataFrame:
        """Table."""
        ...

    def years(self, role: str) -> list[int]:
        """Years there are editions for; empty when the layer is not dated by year or absent."""
        ...

    def has(self, role: str, year: int | None = None) -> bool:
        """Whether the layer exists for the year."""
        ...

    def source(self, role: str, year: int | None = None, *, edition: str = "latest") -> Source:
        """Where the layer comes from."""
        ...


@dataclass
class Memo:
    """Results shared by the formulas of one run, each with the layers it was made from."""

    results: dict[Hashable, tuple[Any, frozenset[Access]]] = field(default_factory=dict)
    used: list[set[Access]] = field(default_factory=list)

    def note(self, access: Access) -> None:
        """Record that a layer was read."""
        if self.used:
            self.used[-1].add(access)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Result under ``key``, made once; reading it counts as reading its layers."""
        if key not in self.results:
            self.used.append(set())
            try:
                value = make()
            finally:
                accesses = self.used.pop()
            self.results[key] = (value, frozenset(accesses))
        value, layers = self.results[key]
        if self.used:
            self.used[-1].update(layers)
        return value  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Inputs:
    """Layers of one city for one year, limited to the roles a definition declares.

    Roles that have editions by year are read for :attr:`year` unless another year is asked for by name;
    a year without data raises ``LayerMissing`` and is never replaced by another.
    """

    store: Store
    """Where layers come from."""
    year: int
    """Year of the checkup."""
    base_year: int
    """Year that plan targets are counted from."""
    edition: str
    """``latest`` or ``original``."""
    roles: frozenset[str]
    """Roles the definition declares."""
    scope: BaseGeometry | None
    """Range the indicator is taken over; None for the whole territory."""
    walking_m_per_min: float
    """The city's one walking speed."""
    crs: Any
    """Working CRS, metres."""
    city: str = ""
    """Name of the city."""
    home_zones: frozenset[str] = frozenset()
    """Codes of all zones of the city and its name (flows between them are not external)."""
    memo: Memo = field(default_factory=Memo)
    """Shared by all formulas of a run."""

    def restricted(self, roles: Collection[str], scope: BaseGeometry | None) -> Inputs:
        """The same layers for another definition."""
        return Inputs(
            self.store,
            self.year,
            self.base_year,
            self.edition,
            frozenset(roles),
            scope,
            self.walking_m_per_min,
            self.crs,
            self.city,
            self.home_zones,
            self.memo,
        )

    def _edition_year(self, role: str, year: int | None) -> int | None:
        if role not in self.roles:
            raise DefinitionError(
                f"a formula reads '{role}', which its definition does not list", expected=sorted(self.roles)
            )
        years = self.store.years(role)
        wanted = (self.year if year is None else year) if years else None
        if wanted is not None and wanted not in years:
            raise LayerMissing(role, wanted, reason="no_year")
        self.memo.note((role, wanted))
        return wanted

    def vector(self, role: str, year: int | None = None) -> gpd.GeoDataFrame:
        """Vector layer in the working CRS, RangeIndex."""
        wanted = self._edition_year(role, year)
        found: gpd.GeoDataFrame = self.memo.get(
            ("vector", role, wanted, self.edition), lambda: self._note_and_read("vector", role, wanted)
        )
        return found

    def table(self, role: str, year: int | None = None) -> pd.DataFrame:
        """Table."""
        wanted = self._edition_year(role, year)
        found: pd.DataFrame = self.memo.get(
            ("table", role, wanted, self.edition), lambda: self._note_and_read("table", role, wanted)
        )
        return found

    def raster(
        self, role: str, year: int | None = None, *, bands: Sequence[str] | None = None
    ) -> xr.DataArray:
        """Raster layer, not read before it is used."""
        wanted = self._edition_year(role, year)

        def read() -> xr.DataArray:
            self.memo.note((role, wanted))
            return self.store.raster(role, wanted, edition=self.edition, bands=bands)

        key = ("raster", role, wanted, self.edition, None if bands is None else tuple(bands))
        return self.memo.get(key, read)

    def _note_and_read(self, kind: str, role: str, year: int | None) -> Any:
        self.memo.note((role, year))
        return getattr(self.store, kind)(role, year, edition=self.edition)

    def years(self, role: str) -> list[int]:
        """Years the role has editions for, ascending."""
        return sorted(self.store.years(role))

    def previous_year(self, role: str) -> int | None:
        """The last edition before the checkup's year, or None."""
        earlier = [year for year in self.years(role) if year < self.year]
        return earlier[-1] if earlier else None

    def share(self, key: tuple[Hashable, ...], make: Callable[[], T]) -> T:
        """A result other formulas of the run may reuse; ``key`` must name all it depends on but city and edition."""
        return self.memo.get(("share", self.edition, *key), make)
