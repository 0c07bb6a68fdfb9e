"""OpenStreetMap extracts (``.osm.pbf``, ``.osm``) by GDAL's own driver, in the form the presets read."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio

from workbench.core.errors import ProfileError

CONFIG = Path(__file__).with_name("osmconf.ini")
"""Tags that become columns."""
TABLES = {
    "osm_roads": ("lines",),
    "osm_facilities": ("points", "multipolygons"),
    "osm_parks": ("multipolygons",),
    "osm_buildings": ("multipolygons",),
}
"""Preset -> the driver's tables it needs."""
TOLD_BY = {
    "osm_roads": ("highway",),
    "osm_facilities": ("amenity", "healthcare", "shop", "tourism", "leisure"),
    "osm_parks": ("leisure",),
    "osm_buildings": ("building",),
}
"""Preset -> tags of which a feature must have one."""
PRESET_OF_ROLE = {
    "roads": "osm_roads",
    "facilities": "osm_facilities",
    "parks": "osm_parks",
    "buildings": "osm_buildings",
}
"""Role -> the preset that makes it from an extract."""


def is_osm(path: Path) -> bool:
    """Whether a file is an extract of OpenStreetMap."""
    return path.name.lower().endswith((".pbf", ".osm", ".osm.bz2"))


def read(path: Path, preset: str | None, layer: str | None, where: str) -> gpd.GeoDataFrame:
    """Features of an extract for a preset, or one table of the driver, in EPSG:4326 with ``osm_type`` and ``id``.

    Facilities that are mapped as areas stand at a point inside them.

    Raises
    ------
    ProfileError
        When neither a preset nor a table says what is wanted.
    """
    if preset not in TABLES and layer is None:
        raise ProfileError(
            "an OpenStreetMap extract holds everything at once",
            where=where,
            found=path.name,
            expected=f"a role ({', '.join(PRESET_OF_ROLE)}), a preset or a layer (points, lines, multipolygons)",
        )
    names = TABLES[preset] if preset in TABLES and layer is None else (str(layer),)
    told_by = TOLD_BY.get(preset or "", ())
    parts = [_table(path, name, told_by) for name in names]
    frame = (
        parts[0]
        if len(parts) == 1
        else gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=parts[0].crs)
    )
    if preset == "osm_facilities":
        areas = frame.geometry.geom_type != "Point"
        inside = frame.geometry[areas].make_valid().representative_point()
        frame.loc[areas, "geometry"] = inside
    return frame


def _table(path: Path, name: str, told_by: tuple[str, ...]) -> gpd.GeoDataFrame:
    """One table, only features with one of the tags; broken rings of the map come as missing shapes."""
    where = " OR ".join(
        f'"{tag}" IS NOT NULL' for tag in told_by if not (name == "lines" and tag != "highway")
    )
    frame = pyogrio.read_dataframe(
        path, layer=name, where=where or None, on_invalid="ignore", CONFIG_FILE=str(CONFIG)
    )
    if name == "multipolygons" and "osm_way_id" in frame:
        way = frame["osm_way_id"].notna()
        frame["osm_type"] = way.map({True: "way", False: "relation"})
        frame["id"] = frame["osm_way_id"].where(way, frame["osm_id"])
    else:
        frame["osm_type"] = {"points": "node", "lines": "way"}.get(name, "relation")
        frame["id"] = frame["osm_id"]
    return frame.drop(columns=["osm_id", "osm_way_id"], errors="ignore")
