"""The static STAC catalogue of a city: a collection a role, an item an edition, assets with checksums."""

from __future__ import annotations

import datetime as dt
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import pystac

from workbench.catalog import manifest
from workbench.catalog.manifest import Entry
from workbench.core.city import City
from workbench.core.paths import PACKAGE, atomic_dir, catalog_dir
from workbench.core.provenance import sha256_file

VERSION = 1
"""Raised when the description changes, so that catalogues are written anew."""
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
SCHEMAS = {PROJECTION: "projection-v2.0.0.json", FILE: "file-v2.1.0.json"}
"""Extension URI -> schema in ``workbench/catalog/schemas`` used for validation without a network."""
MEDIA = {
    ".parquet": "application/vnd.apache.parquet",
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
}
WORLD = [-180.0, -90.0, 180.0, 90.0]


def _moment(text: str) -> dt.datetime | None:
    """Start of an ISO date, month or year in UTC; None when the text is none of them."""
    for form in ("%Y-%m-%d", "%Y-%m", "%Y"):
        try:
            return dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
    return None


def _times(city: City, entry: Entry) -> tuple[dt.datetime | None, dt.datetime, dt.datetime]:
    """Moment, start and end of what an edition describes."""
    first, last = (entry.year, entry.year) if entry.year is not None else (city.base_year, city.latest_year)
    start = dt.datetime(first, 1, 1, tzinfo=dt.UTC)
    end = dt.datetime(last, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
    moment = _moment(entry.date)
    if entry.year is None and moment is not None:
        return moment, moment, moment
    return (end if entry.year is not None else None), start, end


def _geometry(bbox: tuple[float, float, float, float] | None) -> dict[str, Any] | None:
    if bbox is None:
        return None
    west, south, east, north = bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def item(city: City, entry: Entry, place: Path) -> pystac.Item:
    """STAC item of an edition; ``place`` is the folder its JSON will lie in."""
    spec = city.layer(entry.role)
    moment, start, end = _times(city, entry)
    properties: dict[str, Any] = {
        "title": entry.id,
        "license": "other",
        "workbench:city": city.name,
        "workbench:role": entry.role,
        "workbench:kind": entry.kind,
        "workbench:year": entry.year,
        "workbench:edition": entry.edition,
        "workbench:tier": spec.tier,
        "workbench:sensitivity": spec.sensitivity,
        "workbench:sha256": entry.sha256,
        "workbench:source": spec.source,
        "workbench:licence": spec.licence,
        "workbench:data_date": entry.date,
        "workbench:rows": entry.rows,
        "proj:code": entry.proj.get("code", city.crs),
    }
    if entry.proj:
        properties |= {f"proj:{key}": entry.proj[key] for key in ("shape", "transform", "bbox")}
    properties |= entry.properties
    made = pystac.Item(
        entry.id,
        _geometry(entry.bbox),
        None if entry.bbox is None else list(entry.bbox),
        moment,
        properties,
        start_datetime=start,
        end_datetime=end,
        stac_extensions=[PROJECTION, FILE],
    )
    for name, file in entry.files.items():
        made.add_asset(name, _asset(city, entry, name, file, place))
    return made


@lru_cache(maxsize=10_000)
def _sha256(path: Path, *state: int) -> str:
    """Checksum of a file in a state: the catalogue is written anew for each layer published, most files stay."""
    return sha256_file(path)


def _asset(city: City, entry: Entry, name: str, file: str, place: Path) -> pystac.Asset:
    path = manifest.folder(city.name) / file
    state = path.stat()
    checksum = _sha256(path, state.st_ino, state.st_size, state.st_mtime_ns)
    extra: dict[str, Any] = {
        "file:size": state.st_size,
        "file:checksum": "1220" + checksum,  # multihash: SHA-256, 32 bytes
    }
    if entry.proj:
        described = entry.proj["assets"][name]
        extra["data_type"] = described["dtype"]
        if described["nodata"] is not None:
            extra["nodata"] = described["nodata"]
        extra["bands"] = [{"name": name}]
    href = Path(os.path.relpath(path, place)).as_posix()
    return pystac.Asset(href, title=name, media_type=MEDIA[path.suffix], roles=["data"], extra_fields=extra)


def write(city: City, entries: list[Entry]) -> Path:
    """Write the catalogue of a city in one move; return ``catalog.json``."""
    root = catalog_dir() / city.name
    catalog = pystac.Catalog(
        city.name,
        f"Layers of {city.name_en} ({city.name_zh}) in standard form",
        title=f"{city.name_zh} {city.name_en}",
    )
    roles = dict.fromkeys(entry.role for entry in entries)
    boxes = [entry.bbox for entry in entries if entry.bbox is not None]
    whole = [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)] if boxes else WORLD  # fmt: skip
    for role in roles:
        usable = [entry for entry in entries if entry.role == role and entry.files]
        spec = city.layer(role)
        items = [item(city, entry, root / role / entry.id) for entry in usable]
        spans = [_times(city, entry)[1:] for entry in usable]
        first = min((span[0] for span in spans), default=None)
        last = max((span[1] for span in spans), default=None)
        extent = pystac.Extent(pystac.SpatialExtent([whole]), pystac.TemporalExtent([[first, last]]))
        collection = pystac.Collection(
            role,
            spec.note_en or f"Layer role {role}",
            extent,
            license="other",
            extra_fields={"workbench:sensitivity": spec.sensitivity, "workbench:tier": spec.tier},
        )
        catalog.add_child(collection)
        collection.add_items(items)
    with atomic_dir(root) as folder:
        catalog.normalize_hrefs(str(folder))
        catalog.save(catalog_type=pystac.CatalogType.SELF_CONTAINED)
    return root / "catalog.json"


def register_schemas() -> None:
    """Let pystac validate the extensions in use without asking the network."""
    from pystac.validation import RegisteredValidator  # here: it costs seconds to import

    cache = RegisteredValidator.get_validator().schema_cache  # type: ignore[attr-defined]
    for uri, name in SCHEMAS.items():
        text = (PACKAGE / "catalog" / "schemas" / name).read_text(encoding="utf-8")
        cache[uri] = json.loads(text)


def validate(city_name: str) -> int:
    """Validate a city's catalogue against STAC and its extensions offline; return the number of objects checked.

    Raises
    ------
    pystac.errors.STACValidationError
        Naming the object and the rule it breaks.
    """
    register_schemas()
    catalog = pystac.Catalog.from_file(str(catalog_dir() / city_name / "catalog.json"))
    objects: list[pystac.STACObject] = [catalog, *catalog.get_children()]
    objects += list(catalog.get_items(recursive=True))
    for thing in objects:
        thing.validate()
    return len(objects)
