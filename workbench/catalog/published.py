"""Tables and layers the workbench makes itself and publishes in a city's catalogue, so that other modules find them there.

They are no layers of the profile: what is published stays when the profile's layers are built anew, is described in
STAC beside them, and is read through ``CityData`` like any other dated by year. Each may say what it was made of.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import rasterio
import shapely
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from workbench.catalog import gates, manifest, stac
from workbench.catalog.manifest import Entry
from workbench.core.city import City
from workbench.core.errors import GridMismatch, LayerMissing, ParameterError
from workbench.core.grid import describe, same_grid
from workbench.core.layer_spec import LayerSpec, Sensitivity, Tier
from workbench.core.paths import atomic_write
from workbench.core.provenance import sha256_file, stable_hash

FOLDER = "published"
"""Folder below a city's built data."""
URBAN_RANGE, TOPIC_FIGURES = "urban_range", "topic_figures"
"""Urban range told from the survey of a year; figures of the topics that rules judge."""
DERIVED_SCOPES = {"城区": URBAN_RANGE}
"""Scope -> published layer that stands in for it, year by year, where the city has not delimited it."""


def _register(city_name: str) -> Path:
    return manifest.folder(city_name) / FOLDER / "published.json"


def _records(city_name: str) -> list[dict[str, Any]]:
    path = _register(city_name)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def read(city_name: str) -> list[Entry]:
    """Entries of the published tables of a city whose files are there."""
    found = []
    for record in _records(city_name):
        entry = Entry(**{**record["entry"], "findings": ()})
        if all((manifest.folder(city_name) / file).exists() for file in entry.files.values()):
            found.append(entry)
    return found


def asset(city_name: str, role: str, year: int, name: str) -> Path | None:
    """File of one raster of a published layer, e.g. the probability beside a map of change; None where there is none."""
    for entry in read(city_name):
        if (entry.role, entry.year) == (role, year) and name in entry.files:
            return manifest.folder(city_name) / entry.files[name]
    return None


def specs(city_name: str) -> dict[str, LayerSpec]:
    """What is known of each published table, by role, with the years there are."""
    found: dict[str, LayerSpec] = {}
    years: dict[str, set[int]] = {}
    records = _records(city_name)  # once: another process may publish between two readings
    for record in records:
        years.setdefault(record["entry"]["role"], set()).add(int(record["entry"]["year"]))
    for record in records:
        role = record["entry"]["role"]
        found[role] = LayerSpec(**{**record["spec"], "years": tuple(sorted(years[role]))})
    return found


def made_of(city_name: str, role: str, year: int) -> dict[str, str]:
    """Inputs a published table or layer was made of, with the hashes they had; empty when it does not say or is not there."""
    for record in _records(city_name):
        if (record["entry"]["role"], record["entry"]["year"]) == (role, year):
            return dict(record.get("made_of", {}))
    return {}


def scope_of(store: Any, name: str, year: int, *, delimited: bool = True) -> tuple[BaseGeometry, str] | None:
    """Shape of a scope and the published layer it was told from; ``""`` where the city has delimited it, None for neither.

    Parameters
    ----------
    store : CityData or the like
        Layers of the city.
    name : str
        Scope, e.g. 城区.
    year : int
        Year of the survey that stands in.
    delimited : bool
        Whether the profile names the scope at all.
    """
    if delimited:
        try:
            return store.scope(name), ""
        except LayerMissing as missing:
            if missing.reason == gates.REASON:  # what must not be used is not replaced in silence
                return None
    role = DERIVED_SCOPES.get(name, "")
    if not role or year not in store.years(role) or not store.has(role, year):
        return None
    return shapely.union_all(store.vector(role, year).geometry.to_numpy()), role


def with_published(city: City) -> City:
    """The profile with the published tables among its layers; a layer of the profile itself goes first."""
    return city.model_copy(update={"layers": {**specs(city.name), **city.layers}})


def withdraw(city: City, role: str, year: int) -> bool:
    """Take what was published for a year out of the catalogue; whether there was anything."""
    with manifest.lock(city.name):
        known = _records(city.name)
        others = [r for r in known if (r["entry"]["role"], r["entry"]["year"]) != (role, year)]
        if len(others) == len(known):
            return False
        _write(city, others)
    return True


def _write(city: City, records: list[dict[str, Any]]) -> None:
    with atomic_write(_register(city.name)) as temporary:
        temporary.write_text(json.dumps(records, ensure_ascii=False, indent=1), encoding="utf-8")
    stac.write(with_published(city), [*manifest.read(city.name), *read(city.name)])


def publish(
    city: City,
    role: str,
    year: int,
    table: pd.DataFrame,
    *,
    source: str,
    sensitivity: Sensitivity = "内部",
    tier: Tier = "statutory",
    holder: str = "",
    note_zh: str = "",
    note_en: str = "",
    inputs: Mapping[str, str] | None = None,
    properties: Mapping[str, Any] | None = None,
    date: str | None = None,
) -> Path:
    """Publish a table, or a layer with shapes, of a year in the catalogue of a city that has been built.

    Parameters
    ----------
    city : City
        Profile.
    role : str
        Name under which ``CityData.table(role, year)`` finds it.
    year : int
        Year the table is for; a table of the year published before is replaced.
    table : DataFrame
        Its rows; a GeoDataFrame in the city's CRS becomes a vector layer.
    source, sensitivity, tier, holder, note_zh, note_en : str
        What the catalogue says of it.
    inputs : mapping of str to str, optional
        What it was made of, see :mod:`workbench.core.lineage`.
    properties : mapping, optional
        Further fields of the STAC item.
    date : str, optional
        Date of the data, ``YYYY-MM-DD``; the end of the year when not given.

    Returns
    -------
    Path
        The Parquet file.

    Raises
    ------
    ParameterError
        The profile has a layer of that name.
    """
    file = f"{FOLDER}/{role}/{role}-{year}.parquet"
    path = manifest.folder(city.name) / file
    kind: Literal["vector", "table"] = "vector" if isinstance(table, gpd.GeoDataFrame) else "table"
    spec = LayerSpec(
        path=f"{role}-{{year}}.parquet", kind=kind, tier=tier, years=(year,), source=source, date=f"{year}-12-31",
        sensitivity=sensitivity, holder=holder, update_cycle="yearly", note_zh=note_zh, note_en=note_en,
    )  # fmt: skip
    with _held(city, role):
        with atomic_write(path) as temporary:
            table.to_parquet(temporary, index=False)
        sha256 = sha256_file(path)
        entry = Entry(
            role, year, "original", kind, sha256, sha256, {"data": file}, date or f"{year}-12-31", rows=len(table),
            bbox=_degrees(table.crs, table.total_bounds) if isinstance(table, gpd.GeoDataFrame) and len(table) else None,
            properties=dict(properties or {}),
        )  # fmt: skip
        _register_entry(city, entry, spec, inputs)
    return path


def publish_raster(
    city: City,
    role: str,
    year: int,
    files: Mapping[str, Path],
    *,
    source: str,
    date: str | None = None,
    sensitivity: Sensitivity = "内部",
    tier: Tier = "proxy",
    holder: str = "",
    note_zh: str = "",
    note_en: str = "",
    inputs: Mapping[str, str] | None = None,
    properties: Mapping[str, Any] | None = None,
) -> Path:
    """Publish a raster of a year in the catalogue of a city that has been built.

    Parameters
    ----------
    city : City
        Profile.
    role : str
        Name under which ``CityData.raster(role, year)`` finds it.
    year : int
        Year it is for; what was published for the year before is replaced.
    files : mapping of str to Path
        Asset name -> COG with one band; the first is the raster itself, the others are read by ``bands=[name]``. They
        are copied.
    source, date, sensitivity, tier, holder, note_zh, note_en : str
        What the catalogue says of it.
    inputs : mapping of str to str, optional
        What it was made of, see :mod:`workbench.core.lineage`.
    properties : mapping, optional
        Further fields of the STAC item, e.g. ``processing:`` and ``mlm:``.

    Returns
    -------
    Path
        The first file in its place.

    Raises
    ------
    ParameterError
        The profile has a layer of that name, or a file has several bands.
    GridMismatch
        The files lie on different grids or in another coordinate system than the city.
    """
    proj = _proj(city, files)
    day = date or f"{year}-12-31"
    spec = LayerSpec(
        path=f"{role}-{{year}}.tif", kind="raster", tier=tier, years=(year,), source=source, date=day, grid="own",
        sensitivity=sensitivity, holder=holder, update_cycle="yearly", note_zh=note_zh, note_en=note_en,
    )  # fmt: skip
    places = {name: f"{FOLDER}/{role}/{role}-{year}" + ("" if place == 0 else f"-{name}") + ".tif" for place, name in enumerate(files)}  # fmt: skip
    with _held(city, role):
        for name, path in files.items():
            with atomic_write(manifest.folder(city.name) / places[name]) as temporary:
                shutil.copyfile(path, temporary)
        sums = [sha256_file(manifest.folder(city.name) / place) for place in places.values()]
        digest = sums[0] if len(sums) == 1 else stable_hash(sums)
        entry = Entry(
            role, year, "original", "raster", digest, digest, places, day, rows=int(np.prod(proj["shape"])),
            bbox=_degrees(city.crs, proj["bbox"]), proj=proj, properties=dict(properties or {}),
        )  # fmt: skip
        _register_entry(city, entry, spec, inputs)
    return manifest.folder(city.name) / next(iter(places.values()))


def _proj(city: City, files: Mapping[str, Path]) -> dict[str, Any]:
    """Grid and bands of files as the catalogue states them."""
    described: dict[str, Any] = {}
    first: GeoBox | None = None
    for name, path in files.items():
        with rasterio.open(path) as file:
            if file.count != 1:
                raise ParameterError(
                    "a published raster has one band a file", where=path.name, found=file.count, expected=1
                )
            code = pyproj.CRS.from_user_input(file.crs).to_authority(min_confidence=70) if file.crs else None
            box = GeoBox(file.shape, file.transform, ":".join(code) if code else None)
            described[name] = {"dtype": file.dtypes[0], "nodata": file.nodata}
        if str(box.crs) != city.crs or (first is not None and not same_grid(first, box)):
            raise GridMismatch(
                "not on the grid it should lie on", where=path.name, found=describe(box),
                expected=describe(first) if first is not None else city.crs,
            )  # fmt: skip
        first = first or box
    if first is None:
        raise ParameterError("no file to publish", where=city.name)
    return {
        "code": str(first.crs), "shape": list(first.shape), "transform": [float(v) for v in first.affine[:6]],
        "bbox": [float(v) for v in first.boundingbox], "assets": described, "bands": [next(iter(files))],
    }  # fmt: skip


def _degrees(crs: Any, bounds: Sequence[float]) -> tuple[float, float, float, float]:
    """Bounds in degrees of WGS 84."""
    moved = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform_bounds(*bounds)
    west, south, east, north = (round(float(value), 7) for value in moved)
    return west, south, east, north


@contextmanager
def _held(city: City, role: str) -> Iterator[None]:
    """Hold the catalogue for a role that the profile does not have itself."""
    if role in city.layers:
        raise ParameterError("the profile has a layer of this name", where=city.name, found=role)
    with manifest.lock(city.name):
        yield


def _register_entry(city: City, entry: Entry, spec: LayerSpec, inputs: Mapping[str, str] | None) -> None:
    """Put an entry into the register, in the place of the one of its role and year."""
    record = {"entry": {**asdict(entry), "findings": []}, "spec": spec.model_dump(mode="json")}
    record |= {"made_of": dict(inputs)} if inputs is not None else {}
    record = json.loads(json.dumps(record, ensure_ascii=False))
    known = _records(city.name)
    others = [r for r in known if (r["entry"]["role"], r["entry"]["year"]) != (entry.role, entry.year)]
    if [record, *others] != known:
        _write(city, [record, *others])
