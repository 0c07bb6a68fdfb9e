"""Scenes of catalogue items and of files: which band is which, scale, nodata, date, mask."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import rasterio
from odc.geo.geobox import GeoBox

from workbench.core.errors import ImageError
from workbench.core.grid import describe, same_grid
from workbench.core.provenance import sha256_file, stable_hash

if TYPE_CHECKING:
    import pystac

ALIASES = {
    "b01": "coastal", "b02": "blue", "b03": "green", "b04": "red", "b05": "rededge071", "b06": "rededge075",
    "b07": "rededge078", "b08": "nir", "b8a": "nir08", "b09": "nir09", "b10": "cirrus", "b11": "swir16", "b12": "swir22",
    "b1": "coastal", "b2": "blue", "b3": "green", "b4": "red", "b5": "rededge071", "b6": "rededge075",
    "b7": "rededge078", "b8": "nir", "b9": "nir09", "r": "red", "g": "green", "b": "blue", "near infrared": "nir",
    "swir1": "swir16", "swir2": "swir22",
}  # fmt: skip
"""Names that files give their bands (those of Sentinel-2 among them) -> common names of STAC."""
COMMON = frozenset(
    {*ALIASES.values(), "pan", "yellow", "rededge", "lwir", "lwir11", "lwir12", "vv", "vh", "hh", "hv"}
)
"""Common names of bands."""
UNNAMED = {1: ("pan",), 3: ("red", "green", "blue"), 4: ("blue", "green", "red", "nir")}
"""Number of bands -> their names, where a file gives none."""
MASKS = ("cloud", "mask", "cloudmask")
"""Assets of an item that say where the ground is hidden: 0 clear, anything else hidden."""
_SCALES = {"uint8": 1 / 255, "uint16": 1e-4, "int16": 1e-4}
"""Reflectance of one count where the image does not state it."""


def unreadable(href: str, name: str) -> ImageError:
    """What is said of a file that ends too early."""
    return ImageError(
        "the file cannot be read to its end", where=name, found=Path(href).name,
        hint="it is truncated or damaged: copy it again",
    )  # fmt: skip


@contextmanager
def without_place() -> Iterator[None]:
    """Open rasters without a word on those that have no place on the ground, as a picture's map has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        yield


def opened(href: str, name: str) -> Any:
    """The file, open."""
    try:
        with without_place():
            return rasterio.open(href)
    except rasterio.errors.RasterioIOError as error:
        found, hint = _unopened(Path(href))
        raise ImageError("the image cannot be opened", where=name, found=found, hint=hint) from error


def _unopened(path: Path) -> tuple[str, str]:
    """What stands in place of an image, and what to do."""
    if not path.exists():
        return f"no file {path.name}", "look at the path"
    if path.stat().st_size == 0:
        return "an empty file", "copy it again"
    with path.open("rb") as file:
        start = file.read(64)
    if b"\0" not in start:
        return f"text, {start.decode(errors='replace').splitlines()[0][:40]!r}", "name the raster"
    return (
        f"{path.stat().st_size:,} bytes that are no raster GDAL knows",
        "it is damaged or of another format: copy it again",
    )


def common_name(name: str | None) -> str:
    """Common name of a band, ``""`` when the name says nothing."""
    plain = (name or "").strip().lower()
    plain = ALIASES.get(plain, plain)
    return plain if plain in COMMON else ""


def of_item(item: pystac.Item, bands: Sequence[str] | None) -> dict[str, Any]:
    """Fields of the scene of an item."""
    from workbench.catalog.load import native_grid

    named = {common_name(name) or name: asset for name, asset in item.assets.items()}
    wanted = tuple(bands) if bands is not None else tuple(name for name in named if name in COMMON)
    if not wanted or any(name not in named for name in wanted):
        raise ImageError(
            "the item lacks bands",
            where=item.id,
            found=", ".join(item.assets),
            expected=", ".join(wanted) or "bands",
        )
    fields = [_described(named[name].extra_fields) for name in wanted]
    for what, values in (("nodata", {one[0] for one in fields}), ("scale", {one[1:] for one in fields})):
        if len(values) > 1:
            raise ImageError(f"the bands differ in {what}", where=item.id, found=sorted(values, key=str))
    nodata, scale, offset = fields[0]
    mask = next((item.assets[name] for name in MASKS if name in item.assets), None)
    href = {name: named[name].get_absolute_href() or named[name].href for name in wanted}
    properties = item.properties
    sums = {name: asset.extra_fields.get("file:checksum", "") for name, asset in sorted(item.assets.items())}
    digest = stable_hash(sums) if all(sums.values()) else str(properties.get("workbench:sha256", ""))
    stamp = (
        properties.get("workbench:data_date") or properties.get("datetime") or properties.get("end_datetime")
    )
    return dict(
        name=item.id, date=_stamp(stamp), bands=wanted, grid=native_grid(item.to_dict(include_self_link=False)),
        scale=_scale_of(named[wanted[0]].extra_fields.get("data_type"), scale), offset=offset, nodata=nodata,
        hrefs=tuple((href[name], 1) for name in wanted),
        mask_href=None if mask is None else mask.get_absolute_href() or mask.href,
        sensitivity=str(properties.get("workbench:sensitivity", "公开")),
        sha256=digest,
    )  # fmt: skip


def _described(fields: Mapping[str, Any]) -> tuple[float | None, float | None, float]:
    """Nodata, scale and offset an asset states."""
    older = (fields.get("raster:bands") or [{}])[0]
    newer = (fields.get("bands") or [{}])[0]
    nodata = fields.get("nodata", newer.get("nodata", older.get("nodata")))
    scale = fields.get("raster:scale", newer.get("raster:scale", older.get("scale")))
    offset = fields.get("raster:offset", newer.get("raster:offset", older.get("offset")))
    return (
        None if nodata is None else float(nodata),
        None if scale is None else float(scale),
        0.0 if offset is None else float(offset),
    )


def _scale_of(dtype: str | None, stated: float | None) -> float:
    return stated if stated is not None else _SCALES.get(str(dtype), 1.0)


def _stamp(value: object) -> pd.Timestamp:
    if value is None or value == "":
        return pd.NaT  # type: ignore[return-value]
    found = pd.Timestamp(str(value))
    return found.tz_localize(None) if found.tzinfo is not None else found


def of_file(
    path: Path,
    bands: Sequence[str] | None,
    date: str | pd.Timestamp | None,
    mask: Path | None,
    scale: float | None,
) -> dict[str, Any]:
    """Fields of the scene of a file."""
    with opened(str(path), path.name) as file:
        names, numbers = _file_bands(file, path, bands)
        assumed = bands is None and not any(common_name(text) for text in file.descriptions)
        crs = file.crs.to_wkt() if file.crs else None
        stated = file.scales[numbers[0] - 1], file.offsets[numbers[0] - 1]
        own_scale = stated[0] if stated[0] != 1.0 else None
        tags = file.tags()
        grid = GeoBox((file.height, file.width), file.transform, _authority(crs))
        nodata, types = file.nodata, [file.dtypes[number - 1] for number in numbers]
    if len(set(types)) > 1:
        raise ImageError("the bands differ in data type", where=path.name, found=", ".join(types))
    if mask is not None:
        with opened(str(mask), mask.name) as hidden:
            other = GeoBox(
                (hidden.height, hidden.width),
                hidden.transform,
                _authority(hidden.crs and hidden.crs.to_wkt()),
            )
        if not same_grid(grid, other):
            raise ImageError(
                "the mask lies on another grid than the image", where=mask.name,
                found=describe(other), expected=describe(grid), hint="warp the mask to the image's grid first",
            )  # fmt: skip
    return dict(
        name=path.stem, date=_stamp(date) if date is not None else _found_date(tags, path), bands=names, grid=grid,
        scale=_scale_of(types[0], scale if scale is not None else own_scale), offset=float(stated[1]), nodata=nodata,
        hrefs=tuple((str(path), number) for number in numbers), mask_href=None if mask is None else str(mask),
        sha256=_hash_of(path, mask), assumed=assumed,
    )  # fmt: skip


def _authority(wkt: str | None) -> str | None:
    """EPSG code of a CRS where it has one, so that equal systems compare equal."""
    if not wkt:
        return None
    import pyproj

    found = pyproj.CRS.from_wkt(wkt).to_authority(min_confidence=70)
    return ":".join(found) if found else wkt


def _hash_of(path: Path, mask: Path | None) -> str:
    parts = [_file_hash(str(one), one.stat().st_size, one.stat().st_mtime_ns) for one in (path, mask) if one]
    return parts[0] if len(parts) == 1 else stable_hash(parts)


@lru_cache(maxsize=256)
def _file_hash(path: str, size: int, changed: int) -> str:
    """Hash of a file, once for each state of it."""
    return sha256_file(Path(path))


def _file_bands(file: Any, path: Path, bands: Sequence[str] | None) -> tuple[tuple[str, ...], list[int]]:
    """Names of the bands to read and their numbers."""
    own = [common_name(text) for text in file.descriptions]
    if not any(own):  # colours, as pictures state them
        told = [one.name.lower() for one in file.colorinterp]
        own = [common_name(one) for one in told]
        if own[:3] == [
            "red",
            "green",
            "blue",
        ]:  # a fourth band is transparency or, in aerial images, near infrared
            own[3:4] = ["nir" if one != "alpha" else "" for one in told[3:4]]
        elif bands is None or not all(own):
            own = list(UNNAMED.get(file.count, ())) if bands is None else []
    if not own:
        if bands is None or len(bands) != file.count:
            raise ImageError(
                "the number of bands differs from the file's, which does not name them", where=path.name,
                found=f"{file.count} bands", expected="names of all of them" if bands is None else ", ".join(bands),
                hint="name the file's bands in their order",
            )  # fmt: skip
        return tuple(bands), list(range(1, file.count + 1))
    wanted = tuple(name for name in own if name) if bands is None else tuple(bands)
    if absent := [name for name in wanted if name not in own]:
        raise ImageError(
            "the file lacks bands", where=path.name, found=", ".join(name or "?" for name in own),
            expected=", ".join(wanted), hint=f"absent: {', '.join(absent)}",
        )  # fmt: skip
    return wanted, [own.index(name) + 1 for name in wanted]


def _found_date(tags: Mapping[str, str], path: Path) -> pd.Timestamp:
    """Day of an image by its tags, else by eight digits of a date in its name."""
    texts = [
        tags.get("ACQUISITION_DATE", ""),
        tags.get("TIFFTAG_DATETIME", "")[:10].replace(":", "-"),
        path.stem,
    ]
    for text in texts:
        for year, month, day in re.findall(r"(?<!\d)((?:19|20)\d\d)[-_]?(\d\d)[-_]?(\d\d)(?!\d{2})", text):
            try:
                return pd.Timestamp(int(year), int(month), int(day))
            except ValueError:
                continue
    return pd.NaT  # type: ignore[return-value]
