"""The only door to a city's data for indicators, rules and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr
from shapely.geometry.base import BaseGeometry

from workbench.catalog import fill_ins, gates, manifest, published, quality
from workbench.catalog.build import build as build_catalog
from workbench.catalog.manifest import Entry
from workbench.core.city import City, load_city
from workbench.core.errors import DataQualityError, LayerMissing, ParameterError
from workbench.core.layer_spec import LayerSpec
from workbench.core.provenance import Source, stable_hash

REASONS: dict[str, tuple[str, str]] = {
    "no_layer": ("没有这一图层", "the city has no such layer"),
    "no_year": ("没有该年份的数据", "no data for this year"),
    "no_edition": ("没有这一版本", "no such edition"),
    "no_file": ("配置所指文件不存在", "the file the profile names does not exist"),
    "empty_layer": ("图层为空", "the layer is empty"),
    "grid_mismatch": ("栅格与城市格网不一致", "the raster is not on the city's grid"),
    "no_scope": ("没有这一范围", "no such scope"),
    "blocked_by_quality": ("未通过数据质检，停止使用", "blocked: it failed its quality check"),
}
"""Reason code -> words in Chinese and English."""


def reason_words(code: str, lang: str = "zh") -> str:
    """Words of a reason code; a code of another part comes back as it is."""
    return REASONS.get(code, (code, code))[1 if lang == "en" else 0]


class CityData:
    """Layers of one city in standard form, read once and kept in memory.

    Parameters
    ----------
    city : City or str
        Profile, or its name or path.
    build : bool
        Bring the catalogue up to date first (quick when nothing changed).
    gated : bool
        Whether a layer that failed its quality check is missing (reason ``blocked_by_quality``); the check itself
        looks at all layers.

    Notes
    -----
    Frames come as copies: what a caller does to one changes nothing here. A year without data raises
    ``LayerMissing``; another year never stands in. Layers that are not dated by year answer for any year.
    """

    def __init__(self, city: City | str, *, build: bool = True, gated: bool = True) -> None:
        self.city = load_city(city) if isinstance(city, str) else city
        if build:
            build_catalog(self.city)
        self._specs = published.with_published(self.city).layers
        entries = [*published.read(self.city.name), *manifest.read(self.city.name)]
        self._entries = {(e.role, e.year, e.edition): e for e in entries if e.role in self._specs}
        self._filled, self._filled_hash = fill_ins.read(self.city.name), fill_ins.digest(self.city.name)
        self._closed = gates.closed(self.city.name) if gated else {}
        self._frames: dict[tuple[str, int | None, str], pd.DataFrame] = {}
        self._zones: dict[str, gpd.GeoDataFrame] = {}
        self._scopes: dict[str, BaseGeometry] = {}

    def years(self, role: str) -> list[int]:
        """Years with usable data, ascending; empty when the role is absent or not dated by year."""
        held = {e.year for e in self._entries.values() if e.role == role and e.year is not None and e.files}
        if held and self._filled_in(role):
            held |= {int(year) for year in self._filled["year"]}
        return sorted(held)

    def editions(self, role: str, year: int | None = None) -> list[str]:
        """Usable editions of a layer for a year, oldest first."""
        if role not in self._specs:
            return []
        spec = self._specs[role]
        wanted = year if self._dated(spec) else None
        found = [self._entries.get((role, wanted, name)) for name in spec.editions_of(wanted)]
        return [entry.edition for entry in found if entry is not None and entry.files]

    def has(self, role: str, year: int | None = None) -> bool:
        """Whether there are usable data; without a year, of any year."""
        return self.why_missing(role, year) is None

    def why_missing(self, role: str, year: int | None = None) -> str | None:
        """Code of the reason there are no usable data (see ``REASONS``), or None when there are."""
        return None if self._filled_in(role) else self._lacking(role, year)

    def _lacking(self, role: str, year: int | None) -> str | None:
        """Code of the reason the layer itself has no usable data, or None when it has."""
        if role not in self._specs:
            return "no_layer"
        spec = self._specs[role]
        if self._dated(spec) and year is None:
            there = self.years(role)
            if there and all(self.gate(role, one) for one in there):
                return gates.REASON
            return None if there else self._first_reason(role)
        wanted = year if self._dated(spec) else None
        if self.editions(role, wanted):
            return gates.REASON if self.gate(role, wanted) else None
        entries = [e for e in self._entries.values() if e.role == role and e.year == wanted]
        return entries[-1].reason or "no_year" if entries else "no_year"

    def content_key(self, role: str, year: int | None = None) -> str:
        """Hash of the latest edition's files, the profile's words on them and the code that read them; ``""`` for none."""
        entry = self._latest(role, year)
        return "" if entry is None else entry.key

    def source_hash(self, role: str, year: int | None = None) -> str:
        """Hash of the latest edition's source files alone; ``""`` when there is none."""
        entry = self._latest(role, year)
        return "" if entry is None else entry.sha256

    def _latest(self, role: str, year: int | None) -> Entry | None:
        there = self.editions(role, year)
        spec = self._specs.get(role)
        wanted = year if spec is not None and self._dated(spec) else None
        return self._entries[(role, wanted, there[-1])] if there else None

    def gate(self, role: str, year: int | None = None) -> tuple[str, str] | None:
        """Why a layer that is there must not be used, in Chinese and English; None when it may.

        What was found in other files than the layer has now closes no gate; a profile that reads the same files another
        way opens none before the next check.
        """
        spec = self._specs.get(role)
        wanted = year if spec is not None and self._dated(spec) else None
        found = self._closed.get((role, wanted))
        if found is None or found.key != self.source_hash(role, wanted):
            return None
        return found.zh, found.en

    def why_words(self, role: str, year: int | None = None) -> tuple[str, str] | None:
        """Words of :meth:`why_missing`, Chinese and English: of a closed gate, those of its checks."""
        code = self.why_missing(role, year)
        if code is None:
            return None
        words = reason_words(code, "zh"), reason_words(code, "en")
        closed = self.gate(role, year) if code == gates.REASON else None
        return words if closed is None else (f"{words[0]}：{closed[0]}", f"{words[1]}: {closed[1]}")

    def _first_reason(self, role: str) -> str:
        reasons = [e.reason for e in self._entries.values() if e.role == role and e.reason]
        return reasons[0] if reasons else "no_year"

    def holder(self, role: str) -> str | None:
        """Who usually holds the data of a role, as far as the profile says."""
        if role in self._specs:
            return self._specs[role].holder or None
        hint = self.city.missing.get(role)
        return hint.holder if hint else None

    def filled_in(self, year: int) -> pd.DataFrame:
        """Figures of a year that departments filled in by hand."""
        found: pd.DataFrame = self._filled[self._filled["year"] == year].reset_index(drop=True)
        return found

    def _filled_in(self, role: str) -> bool:
        """Whether departments filled in figures of the role by hand."""
        return role == "statistics" and not self._filled.empty

    @staticmethod
    def _dated(spec: LayerSpec) -> bool:
        return bool(spec.years) or any(edition.years for edition in spec.editions.values())

    def _entry(self, role: str, year: int | None, edition: str) -> Entry:
        spec = self._specs.get(role)
        if spec is not None and year is None and self._dated(spec):
            raise ParameterError(
                "the layer is dated, name a year", where=role, expected=f"one of {self.years(role)}"
            )
        if (reason := self._lacking(role, year)) is not None:
            raise LayerMissing(role, year, reason=reason, holder=self.holder(role))
        assert spec is not None
        wanted = year if self._dated(spec) else None
        there = self.editions(role, wanted)
        name = there[-1] if edition == "latest" else edition
        if name not in there:
            raise LayerMissing(role, year, reason="no_edition", holder=self.holder(role))
        return self._entries[(role, wanted, name)]

    def _frame(self, role: str, year: int | None, edition: str, kind: str) -> pd.DataFrame:
        entry = self._entry(role, year, edition)
        if entry.kind != kind:
            raise ParameterError(f"'{role}' is a {entry.kind}", where=role, found=kind, expected=entry.kind)
        key = (role, entry.year, entry.edition)
        if key not in self._frames:
            path = manifest.folder(self.city.name) / entry.files["data"]
            frame = gpd.read_parquet(path) if kind == "vector" else pd.read_parquet(path)
            if role == "population":
                frame.attrs["cell_m"] = _spacing(frame)
            self._frames[key] = frame
        return self._frames[key].copy()

    def vector(self, role: str, year: int | None = None, *, edition: str = "latest") -> gpd.GeoDataFrame:
        """Vector layer in the city's CRS with a RangeIndex.

        Raises
        ------
        LayerMissing
            When there are no usable data for the role, year or edition.
        """
        return cast("gpd.GeoDataFrame", self._frame(role, year, edition, "vector"))

    def table(self, role: str, year: int | None = None, *, edition: str = "latest") -> pd.DataFrame:
        """Table. A column ``edition`` in it is resolved: one row an item, year and zone, of the edition asked for.

        Of a table not dated by year but with a column ``year``, a year asks for that year's rows.
        """
        if self._filled_in(role):
            return self._with_filled_in(role, year, edition)
        return self._table(role, year, edition)

    def _with_filled_in(self, role: str, year: int | None, edition: str) -> pd.DataFrame:
        """Rows of the layer, where there is one, and what departments filled in beside them."""
        filled = self._filled if year is None else self._filled[self._filled["year"] == year]
        if edition == fill_ins.EDITION:
            return filled.reset_index(drop=True)
        try:
            frame = self._table(role, year, edition)
        except LayerMissing:
            if filled.empty:
                raise
            frame = fill_ins.empty()
        return fill_ins.extend(frame, filled)

    def _table(self, role: str, year: int | None, edition: str) -> pd.DataFrame:
        spec = self._specs.get(role)
        inside = spec is not None and not self._dated(spec)
        in_rows = edition != "latest" and spec is not None and edition not in self.editions(role, year)
        frame = self._frame(role, year, "latest" if in_rows else edition, "table")
        if "edition" in frame:
            frame = _edition_rows(frame, edition)
        if inside and year is not None and "year" in frame:
            frame = frame[frame["year"] == year]
            if frame.empty:
                raise LayerMissing(role, year, reason="no_year", holder=self.holder(role))
        return frame.reset_index(drop=True)

    def raster(
        self,
        role: str,
        year: int | None = None,
        *,
        edition: str = "latest",
        bands: Sequence[str] | None = None,
    ) -> xr.DataArray:
        """Lazy raster on its grid: dims (y, x), or (band, y, x) when it has several bands.

        Parameters
        ----------
        bands : sequence of str, optional
            Assets to read, e.g. ``["cloud"]``; the raster's own bands when not given.
        """
        import rioxarray  # heavy: only where rasters are read

        entry = self._entry(role, year, edition)
        if entry.kind != "raster":
            raise ParameterError(
                f"'{role}' is a {entry.kind}", where=role, found="raster", expected=entry.kind
            )
        names = list(bands) if bands is not None else list(entry.proj["bands"])
        if unknown := [name for name in names if name not in entry.files]:
            raise ParameterError("no such band", where=role, found=unknown, expected=", ".join(entry.files))
        folder = manifest.folder(self.city.name)
        layers = [
            cast(
                "xr.DataArray",
                rioxarray.open_rasterio(folder / entry.files[name], chunks={"band": 1, "y": 2048, "x": 2048}),
            ).squeeze("band", drop=True)
            for name in names
        ]
        array = layers[0] if len(layers) == 1 else xr.concat(layers, pd.Index(names, name="band"))
        return array.rename(role)

    def source(self, role: str, year: int | None = None, *, edition: str = "latest") -> Source:
        """Where a layer comes from."""
        if edition != "latest" and edition not in self.editions(role, year):
            edition = "latest"  # an edition told apart by rows of one table
        if self._filled_in(role) and self._lacking(role, year) is not None:
            return self._filled_source(None)
        entry, spec = self._entry(role, year, edition), self._specs[role]
        found = Source(
            role=role,
            year=entry.year,
            edition=entry.edition,
            sha256=entry.sha256,
            date=entry.date,
            licence=spec.licence,
            source=spec.source,
            tier=spec.tier,
            sensitivity=spec.sensitivity,
            path=manifest.folder(self.city.name) / next(iter(entry.files.values())),
            holder=spec.holder,
            update_cycle=spec.update_cycle,
            note_zh=spec.note_zh,
            note_en=spec.note_en,
        )
        return self._filled_source(found) if self._filled_in(role) else found

    def _filled_source(self, layer: Source | None) -> Source:
        """Where the statistics come from when departments filled in some: the layer, where there is one, and they."""
        departments = "、".join(sorted(set(self._filled["department"])))
        years = sorted({int(year) for year in self._filled["year"]})
        text = f"填报表（{departments}）"
        if layer is not None:
            return replace(
                layer, source=f"{layer.source}；{text}", sha256=stable_hash([layer.sha256, self._filled_hash])
            )
        files = fill_ins.files(self.city.name)
        return Source(
            "statistics", None, fill_ins.EDITION, self._filled_hash, f"{years[-1]}-12-31", "", text, "statutory",
            "内部", files[-1], holder=departments,
        )  # fmt: skip

    def inputs_hash(self, roles: Sequence[str], year: int | None = None, *, edition: str = "latest") -> str:
        """Hash of the editions the roles have for a year; of layers not available, of the reason."""
        parts: dict[str, Any] = {}
        for role in sorted(roles):
            reason = self._lacking(role, year)
            parts[role] = reason or self._entry(role, year, edition).key
            if self._filled_in(role):
                parts[role] = [parts[role], self._filled_hash]
        return stable_hash(parts)

    @property
    def quality(self) -> pd.DataFrame:
        """Findings of the checks (columns ``catalog.quality.COLUMNS``)."""
        return quality.table([(e.role, e.year, f) for e in self._entries.values() for f in e.findings])

    def zones(self, level: str) -> gpd.GeoDataFrame:
        """Zones of a level: ``code, name, parent, geometry``; level ``city`` is one row with the city's name as code.

        The city's extent is the role ``boundary`` when there is one, else the union of the districts, else of the
        first level.

        Raises
        ------
        ParameterError
            When the profile has no such level.
        DataQualityError
            When a code stands for several zones.
        """
        if level not in self._zones:
            self._zones[level] = self._city_zone() if level == "city" else self._level_zones(level)
        return self._zones[level].copy()

    def _city_zone(self) -> gpd.GeoDataFrame:
        roles = ["boundary", "districts", *(item.role for item in self.city.levels.values())]
        role = next((name for name in roles if self.has(name)), None)
        if role is None:
            raise LayerMissing("boundary", reason="no_layer", holder=self.holder("boundary"))
        shape = shapely.union_all(self.vector(role).geometry.to_numpy())
        row = {"code": [self.city.name], "name": [self.city.title()], "parent": [""]}
        return gpd.GeoDataFrame(row, geometry=[shape], crs=self.city.crs)

    def _level_zones(self, level: str) -> gpd.GeoDataFrame:
        if level not in self.city.levels:
            raise ParameterError(
                "no such zone level",
                where=self.city.name,
                found=level,
                expected=", ".join(["city", *self.city.levels]),
            )
        spec = self.city.levels[level]
        frame = self.vector(spec.role)
        wanted = [spec.code, spec.name]
        field = spec.parent_field or spec.parent
        if spec.parent not in {None, "city"}:
            wanted.append(str(field))
        if absent := [name for name in wanted if name not in frame]:
            raise ParameterError("the zones lack fields", where=f"levels.{level}", found=absent)
        codes = frame[spec.code].astype(str)
        if twice := sorted(set(codes[codes.duplicated()])):
            raise DataQualityError(
                "a code stands for several zones", where=f"{self.city.path.name}: layers.{spec.role}.{spec.code}",
                found=twice[:5], expected="each code once",
                hint='correct the file, or unite its rows with merge_by = ["code"]',
            )  # fmt: skip
        parent = frame[field] if spec.parent not in {None, "city"} else self.city.name
        zones = {"code": frame[spec.code].astype(str), "name": frame[spec.name].astype(str), "parent": parent}
        return gpd.GeoDataFrame(zones, geometry=frame.geometry, crs=frame.crs).reset_index(drop=True)

    def scope(self, name: str) -> BaseGeometry:
        """Shape of a scope (市域, 城区 …) in the city's CRS.

        Raises
        ------
        LayerMissing
            When the profile names no such scope or the layer has no shape of it.
        """
        if name not in self._scopes:
            self._scopes[name] = self._scope_shape(name)
        return self._scopes[name]

    def _scope_shape(self, name: str) -> BaseGeometry:
        if name == "city" or self.city.scopes.get(name) == "city":
            shape: BaseGeometry = self.zones("city").geometry.iloc[0]
            return shape
        if name not in self.city.scopes:
            raise LayerMissing("scopes", reason="no_scope", holder=self.holder("scopes"))
        value = self.city.scopes[name]
        if value in self.city.layers and value != "scopes":
            return shapely.union_all(self.vector(value).geometry.to_numpy())
        frame = self.vector("scopes")
        shapes = frame.geometry[frame["scope"] == value].to_numpy()
        if len(shapes) == 0:
            raise LayerMissing("scopes", reason="no_scope", holder=self.holder("scopes"))
        return shapely.union_all(shapes)


def _edition_rows(frame: pd.DataFrame, edition: str) -> pd.DataFrame:
    """One row an item, year and zone: of the edition named, or of the latest that has it."""
    keys = [name for name in ("item", "year", "zone") if name in frame]
    if edition == "original":
        return frame[frame["edition"] == "original"]
    first = frame["edition"].ne("original")  # rows of revisions keep the order of the table
    ordered = frame.assign(_later=first).sort_values("_later", kind="stable").drop(columns="_later")
    if edition != "latest":
        ordered = ordered[ordered["edition"].isin(["original", edition])]
    return ordered.drop_duplicates(keys, keep="last").sort_index()


def _spacing(frame: gpd.GeoDataFrame) -> float:
    """Distance of neighbouring cell centres in metres, rounded to a centimetre; NaN for a single cell."""
    from scipy.spatial import cKDTree

    points = shapely.get_coordinates(frame.geometry.to_numpy())
    if len(points) < 2:
        return float("nan")
    distance, _ = cKDTree(points).query(points[:2000], k=2)
    return float(np.round(np.median(distance[:, 1]), 2))
