"""Where the data of a layer role are and how they become the standard form: a part of a city's profile."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Tier = Literal["statutory", "substitute", "proxy"]
Sensitivity = Literal["公开", "内部", "敏感"]
Preset = Literal[
    "osm_roads", "osm_facilities", "osm_parks", "osm_buildings", "gtfs_stops", "zone_points", "point_cells"
]


class Strict(BaseModel):
    """Base of the profile's parts: read-only, no unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Edition(Strict):
    """A later, revised edition of a layer; the layer's own path is the edition ``original``."""

    path: str
    """File relative to the data folder; ``{year}`` stands for the year."""
    years: tuple[int, ...] = ()
    """Years the revision covers; empty for a layer not dated by year."""
    date: str = ""
    """Date of the revision (ISO)."""
    note_zh: str = ""
    """What was revised, in Chinese."""
    note_en: str = ""
    """What was revised, in English."""


class LayerSpec(Strict):
    """Where a layer role's data are, and how they become the standard form."""

    path: str
    """File relative to the data folder; ``{year}`` stands for the year."""
    kind: Literal["vector", "raster", "table"]
    """What the file holds."""
    years: tuple[int, ...] = ()
    """Years with an edition each; empty: one edition, not dated by year."""
    layer: str | None = None
    """Layer in a GeoPackage or FileGDB, sheet of a workbook, member of a zip."""
    where: str | None = None
    """pandas query on the standardised fields; rows that fail it are left out."""
    fields: dict[str, str] = Field(default_factory=dict)
    """Standard field = the file's field; ``{year}`` stands for the year."""
    values: dict[str, dict[str, str | int | float | bool]] = Field(default_factory=dict)
    """Standard field -> {the file's value = standard value}; other values stay."""
    constants: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Standard field = one value for every row."""
    scale: dict[str, float] = Field(default_factory=dict)
    """Standard field = factor to the standard unit."""
    merge_by: tuple[str, ...] = ()
    """Rows that agree in these standard fields become one: shapes are united, ``value`` of a table is added up."""
    preset: Preset | None = None
    """Named reading of a well-known format, applied before ``fields``."""
    crs: str | None = None
    """What the file should have said of its CRS; used when the file is silent."""
    datum: Literal["gcj02"] | None = None
    """``gcj02``: the file's degrees are GCJ-02 and are converted."""
    encoding: str | None = None
    """Encoding of a Shapefile's or CSV's text."""
    check_against: str | None = None
    """Role of a trusted layer; the offset from it is measured."""
    check_field: str | None = None
    """For points checked against zones: the field with the stated zone's name or code."""
    grid: Literal["city", "own"] = "city"
    """Raster: must lie on the city's grid, or has one of its own."""
    bands: tuple[str, ...] = ()
    """Raster with several bands: their names in order."""
    assets: dict[str, str] = Field(default_factory=dict)
    """Further files of an edition: asset name = path, e.g. ``cloud = "cloud_{year}.tif"``."""
    tier: Tier = "statutory"
    """How good the data are as a basis for the standard's indicators."""
    source: str = ""
    """Who made the data."""
    licence: str = ""
    """Terms of use as stated by the source."""
    date: str = ""
    """Date the data describe (ISO, may hold ``{year}``)."""
    update_cycle: str = ""
    """How often the data are renewed."""
    sensitivity: Sensitivity = "公开"
    """Clearance needed to see the data."""
    holder: str = ""
    """Who usually holds such data."""
    note_zh: str = ""
    """What a reader must know about the data, in Chinese."""
    note_en: str = ""
    """The same in English."""
    editions: dict[str, Edition] = Field(default_factory=dict)
    """Revised editions, oldest first."""

    @model_validator(mode="after")
    def _years_and_path_agree(self) -> LayerSpec:
        for path in [self.path, *(e.path for e in self.editions.values())]:
            if Path(path).is_absolute() or ".." in Path(path).parts:
                raise ValueError(f"path {path!r} must stay inside the city's data folder")
        if "{year}" in self.path and not self.years:
            raise ValueError(f"path {self.path!r} has {{year}} but 'years' is empty")
        if "original" in self.editions or "latest" in self.editions:
            raise ValueError("an edition may not be called 'original' or 'latest'")
        if self.datum and self.kind != "vector":
            raise ValueError("'datum' is for vector layers")
        return self

    def file(self, root: Path, year: int | None, edition: str = "original") -> Path:
        """Source file of an edition."""
        pattern = self.path if edition == "original" else self.editions[edition].path
        return root / pattern.replace("{year}", str(year))

    def editions_of(self, year: int | None) -> list[str]:
        """Editions that cover a year (None for layers not dated), oldest first."""
        found = ["original"] if year in self.years or (year is None and not self.years) else []
        later = [n for n, e in self.editions.items() if year in e.years or (year is None and not e.years)]
        return found + later
