"""Tables the workbench makes itself and publishes in a city's catalogue, so that other modules find them there.

They are no layers of the profile: what is published stays when the profile's layers are built anew, is described in
STAC beside them, and is read through ``CityData`` like any other table dated by year.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.catalog import manifest, stac
from workbench.catalog.manifest import Entry
from workbench.core.city import City, LayerSpec, Sensitivity
from workbench.core.errors import ParameterError
from workbench.core.paths import atomic_write
from workbench.core.provenance import sha256_file

FOLDER = "published"
"""Folder below a city's built data."""


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


def specs(city_name: str) -> dict[str, LayerSpec]:
    """What is known of each published table, by role, with the years there are."""
    found: dict[str, LayerSpec] = {}
    years: dict[str, set[int]] = {}
    for record in _records(city_name):
        years.setdefault(record["entry"]["role"], set()).add(int(record["entry"]["year"]))
    for record in _records(city_name):
        role = record["entry"]["role"]
        found[role] = LayerSpec(**{**record["spec"], "years": tuple(sorted(years[role]))})
    return found


def with_published(city: City) -> City:
    """The profile with the published tables among its layers; a layer of the profile itself goes first."""
    return city.model_copy(update={"layers": {**specs(city.name), **city.layers}})


def publish(
    city: City,
    role: str,
    year: int,
    table: pd.DataFrame,
    *,
    source: str,
    sensitivity: Sensitivity = "内部",
    holder: str = "",
    note_zh: str = "",
    note_en: str = "",
) -> Path:
    """Publish a table of a year in the catalogue of a city that has been built.

    Parameters
    ----------
    city : City
        Profile.
    role : str
        Name under which ``CityData.table(role, year)`` finds it.
    year : int
        Year the table is for; a table of the year published before is replaced.
    table : DataFrame
        Its rows.
    source, sensitivity, holder, note_zh, note_en : str
        What the catalogue says of it.

    Returns
    -------
    Path
        The Parquet file.

    Raises
    ------
    ParameterError
        The profile has a layer of that name.
    """
    if role in city.layers:
        raise ParameterError("the profile has a layer of this name", where=city.name, found=role)
    file = f"{FOLDER}/{role}/{role}-{year}.parquet"
    path = manifest.folder(city.name) / file
    spec = LayerSpec(
        path=f"{role}-{{year}}.parquet", kind="table", years=(year,), source=source, date=f"{year}-12-31",
        sensitivity=sensitivity, holder=holder, update_cycle="yearly", note_zh=note_zh, note_en=note_en,
    )  # fmt: skip
    with manifest.lock(city.name):
        with atomic_write(path) as temporary:
            table.to_parquet(temporary, index=False)
        sha256 = sha256_file(path)
        entry = Entry(
            role, year, "original", "table", sha256, sha256, {"data": file}, f"{year}-12-31", rows=len(table)
        )
        record = {"entry": {**asdict(entry), "findings": []}, "spec": spec.model_dump(mode="json")}
        others = [r for r in _records(city.name) if (r["entry"]["role"], r["entry"]["year"]) != (role, year)]
        if [record, *others] == _records(city.name):
            return path
        with atomic_write(_register(city.name)) as temporary:
            temporary.write_text(
                json.dumps([record, *others], ensure_ascii=False, indent=1), encoding="utf-8"
            )
        stac.write(with_published(city), [*manifest.read(city.name), *read(city.name)])
    return path
