"""One layer of a delivery, streamed into a GeoParquet file in the standard form and in the city's CRS."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely

from workbench.catalog import quality
from workbench.catalog.formats import batches, osm, zones
from workbench.catalog.formats.datum import DatumParameters
from workbench.catalog.ingest import (
    check_coordinates,
    source_crs,
    standardise,
    to_city,
)
from workbench.catalog.quality import Finding
from workbench.catalog.reading import CORNERS, opened_layer, read_vector_file, readable
from workbench.catalog.roles import ROLES
from workbench.core.errors import CRSError, ProfileError
from workbench.core.layer_spec import LayerSpec

Bounds = tuple[float, float, float, float]
Progress = Callable[[int, int], None]
"""Called with rows done and rows in all (-1: not known)."""


@dataclass
class Written:
    """What a layer became."""

    read: int = 0
    """Rows of the file."""
    rows: int = 0
    """Rows written."""
    crs: str = ""
    """CRS of the file."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Kinds of shapes met in the file, with Z and M."""
    findings: list[Finding] = field(default_factory=list)
    """Findings of the whole layer."""
    bounds: Bounds | None = None
    """Extent in the city's CRS."""


@dataclass(frozen=True)
class Place:
    """Where the layer is to lie."""

    crs: str
    """The city's CRS."""
    extent: Bounds | None = None
    """The city's extent in it; None: not known."""
    outline: shapely.Geometry | None = None
    """Keep only what intersects this, in the city's CRS."""


class Sink:
    """A GeoParquet file that is written batch by batch."""

    def __init__(self, path: Path, crs: str) -> None:
        self.path, self.crs, self.kinds, self.rows = path, crs, set[str](), 0
        self.bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])
        self._schema: pa.Schema | None = None
        self._writer: pq.ParquetWriter | None = None

    def write(self, frame: gpd.GeoDataFrame) -> None:
        """Add rows; the first ones fix the kinds of the fields."""
        shapes = frame.geometry.to_numpy()
        table = pa.Table.from_pandas(pd.DataFrame(frame.drop(columns="geometry")), preserve_index=False)
        table = table.append_column("geometry", pa.array(shapely.to_wkb(shapes), type=pa.binary()))
        if self._writer is None:
            fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
            self._schema = pa.schema(fields)
            self._writer = pq.ParquetWriter(self.path, self._schema, compression="zstd")
        if self._schema is not None and table.schema != self._schema:
            try:
                table = table.select(self._schema.names).cast(self._schema)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
                raise ProfileError(
                    f"a field changes its kind within the file: {error}", where=self.path.name
                ) from error
        self._writer.write_table(table)
        self.rows += len(frame)
        self.kinds |= {str(kind) for kind in frame.geometry.geom_type.unique()}
        left, bottom, right, top = frame.total_bounds
        self.bounds = np.array(
            [*np.minimum(self.bounds[:2], (left, bottom)), *np.maximum(self.bounds[2:], (right, top))]
        )

    def close(self) -> None:
        """Add what only the end knows (extent, kinds) and finish the file."""
        if self._writer is None:
            return
        column = {
            "encoding": "WKB",
            "crs": pyproj.CRS.from_user_input(self.crs).to_json_dict(),
            "geometry_types": sorted(self.kinds),
            "bbox": [float(value) for value in self.bounds],
        }
        geo = {"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": column}}
        self._writer.add_key_value_metadata({"geo": json.dumps(geo)})
        self._writer.close()


@contextmanager
def _background(sink: Sink) -> Iterator[Callable[[gpd.GeoDataFrame], None]]:
    """Write in a thread of its own, one batch behind."""
    pending: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:

        def put(frame: gpd.GeoDataFrame) -> None:
            if pending:
                pending.pop().result()
            pending.append(pool.submit(sink.write, frame))

        yield put
        if pending:
            pending.pop().result()
    sink.close()


def open_layer(path: Path, spec: LayerSpec, role: str, where: str) -> tuple[batches.Feed, list[Finding]]:
    """Open a vector file of any kind; what cannot come in batches comes in one."""
    whole = osm.is_osm(path) or path.suffix.lower() in {".dxf", ".txt", *CORNERS}
    if not whole and spec.preset not in {"gtfs_stops", "point_cells"}:
        with readable(path, spec, where):
            if path.suffix == ".parquet":
                return batches.open_file(path, path, None, None, where), []
            opened, layer, text, findings = opened_layer(path, spec, where)
            return batches.open_file(path, opened, layer, text, where, _wanted(spec, role)), findings
    frame, findings = read_vector_file(path, spec, where, role=role)
    crs = None if frame.crs is None else pyproj.CRS.from_user_input(frame.crs)
    fields = [str(name) for name in frame.columns if name != frame.geometry.name]
    feed = batches.Feed(path, crs, len(frame), iter([frame]), fields)
    shapes = frame.geometry.to_numpy()
    feed.kinds.update(str(kind) for kind in frame.geometry.geom_type.dropna())
    feed.raised = int((shapely.has_z(shapes) | shapely.has_m(shapes)).sum())
    if osm.is_osm(path):
        feed.broken = int(shapely.is_missing(shapes).sum())
    return feed, findings


def _wanted(spec: LayerSpec, role: str) -> frozenset[str] | None:
    """Fields of a file that come into the standard form; None when all may."""
    form = ROLES.get(role)
    if form is None or not spec.fields or spec.preset or spec.where:
        return None
    own = {*form.required, *form.optional, *([form.key] if form.key else [])}
    return frozenset({*own, *spec.fields.values(), *spec.values, *spec.scale})


def write_layer(
    path: Path,
    spec: LayerSpec,
    role: str,
    place: Place,
    target: Path,
    where: str,
    *,
    parameters: DatumParameters | None = None,
    progress: Progress | None = None,
) -> Written:
    """Bring a vector file into the standard form of its role and write it as GeoParquet.

    Parameters
    ----------
    path : Path
        The file.
    spec : LayerSpec
        Layer, encoding, CRS, fields: what the file does not say itself.
    role : str
        Role to bring it to.
    place : Place
        The city's CRS and extent.
    target : Path
        File to write; not atomic, give a temporary name.
    where : str
        How errors name the layer.
    parameters : DatumParameters, optional
        The bureau's parameters for a file on an old datum.

    Raises
    ------
    ProfileError
        When the file cannot be read, is damaged, or lacks a field.
    CRSError
        When its CRS is unknown, unsafe, or contradicted by the coordinates.
    """
    feed, findings = open_layer(path, spec, role, where)
    crs, crs_findings = source_crs(feed.crs, spec.crs, where, parameters)
    done, keys, outside, left_out = Written(crs=_name(crs)), [], 0, 0
    parts: list[Finding] = [*findings, *crs_findings]
    key = ROLES[role].key if role in ROLES else None
    extent_of_file = np.array([np.inf, np.inf, -np.inf, -np.inf])
    sink = Sink(target, place.crs)
    with readable(path, spec, where), _background(sink) as put:
        for frame in batches.ahead(feed.frames):
            before, done.read = done.read, done.read + len(frame)
            frame, more = standardise(frame.set_crs(crs, allow_override=True), spec, role, where, before)
            parts += more
            if frame.empty:
                continue
            check_coordinates(frame, crs, where)
            extent_of_file = _joined(extent_of_file, frame.total_bounds)
            frame, more = to_city(frame, spec, place.crs, where, parameters)
            parts += more
            outside += _outside(frame, place.extent)
            if place.outline is not None:
                kept = frame[shapely.intersects(place.outline, frame.geometry.to_numpy())]
                left_out += len(frame) - len(kept)
                frame = kept
            if role == "land_use" and len(frame):
                parts += quality.check_land_use(frame)
            if key is not None:
                keys.append(pd.util.hash_array(frame[key].to_numpy(dtype=object)))
            if len(frame):
                put(frame)
            if progress is not None:
                progress(done.read, feed.count)
    done.rows, done.kinds = sink.rows, feed.kinds
    _check_place(done.read, outside, left_out, tuple(extent_of_file), crs, place, where)
    parts += _of_shapes(feed) + _of_place(outside, left_out, done.read)
    if spec.preset is not None:
        parts += _of_preset(done, parts, left_out)
    if sink.rows == 0:
        zh, en = "图层没有可用的记录", "the layer has no usable row"
        parts.append(Finding("empty_layer", "error", 0, np.nan, "", zh, en))
    else:
        done.bounds = tuple(float(v) for v in sink.bounds)  # type: ignore[assignment]
        parts += _of_keys(target, key, keys)
    done.findings = quality.combine(parts)
    return done


def _name(crs: pyproj.CRS) -> str:
    authority = crs.to_authority()
    return f"{':'.join(authority)} {crs.name}" if authority else str(crs.name)


def _joined(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.array([*np.minimum(one[:2], other[:2]), *np.maximum(one[2:], other[2:])])


def _outside(frame: gpd.GeoDataFrame, extent: Bounds | None) -> int:
    """Rows that lie wholly outside an extent."""
    if extent is None:
        return 0
    left, bottom, right, top = shapely.bounds(frame.geometry.to_numpy()).T
    return int(((right < extent[0]) | (left > extent[2]) | (top < extent[1]) | (bottom > extent[3])).sum())


def _check_place(
    read: int, outside: int, left_out: int, bounds: tuple[Any, ...], crs: pyproj.CRS, place: Place, where: str
) -> None:
    """Refuse a layer of which nothing lies in the city: its CRS is not the one stated."""
    if read == 0 or not np.isfinite(bounds).all() or outside < read or place.extent is None:
        return
    degrees = pyproj.Transformer.from_crs(place.crs, "EPSG:4490", always_xy=True).transform_bounds(
        *place.extent
    )
    fitting = zones.would_fit(bounds, crs, degrees)
    hint = "ask the holder for the CRS"
    if fitting:
        hint = (
            f"in {' or '.join(fitting)} they would lie in the city: ask the holder whether that is the zone"
        )
    raise CRSError(
        "the coordinates lie outside the city",
        where=where,
        found=", ".join(f"{value:.0f}" if abs(value) > 360 else f"{value:.4f}" for value in bounds),
        expected=f"coordinates of the city in {crs.name}",
        hint=hint,
    )


def _of_shapes(feed: batches.Feed) -> list[Finding]:
    """Findings on arcs, heights and unreadable shapes."""
    found = []
    if n := feed.curved:
        zh, en = f"{n} 个图形含圆弧，已化为折线", f"{n} shapes with arcs were turned into short lines"
        found.append(Finding("curves", "info", n, np.nan, "", zh, en))
    if n := feed.raised:
        zh, en = (
            f"{n} 个图形带高程或量测值，按平面图形使用",
            f"{n} shapes with heights or measures were used as flat",
        )
        found.append(Finding("heights", "info", n, np.nan, "", zh, en))
    if n := feed.broken:
        zh, en = f"{n} 个图形无法读取，按没有图形处理", f"{n} shapes could not be read and count as missing"
        found.append(Finding("unreadable_shape", "warning", n, np.nan, "", zh, en))
    return found


def _of_preset(done: Written, parts: list[Finding], left_out: int) -> list[Finding]:
    """Rows of the file that are of no kind the role knows."""
    told = sum(one.count for one in parts if one.check in {"missing_geometry", "geometry_type"})
    n = done.read - done.rows - left_out - told
    if n <= 0:
        return []
    zh, en = (
        f"{n} 条记录不属于该图层的任何标准类别，未使用",
        f"{n} rows are of no kind this role knows and were left out",
    )
    return [Finding("other_kinds", "info", n, np.nan, "", zh, en)]


def _of_place(outside: int, left_out: int, read: int) -> list[Finding]:
    found = []
    if left_out:
        zh, en = f"{left_out} 条记录不在市域内，未使用", f"{left_out} rows outside the city were left out"
        found.append(Finding("clipped", "info", left_out, np.nan, "", zh, en))
    elif outside:
        zh = f"{read} 条记录中有 {outside} 条在市域范围外"
        found.append(
            Finding(
                "outside_city",
                "warning",
                outside,
                np.nan,
                "",
                zh,
                f"{outside} of {read} rows lie outside the city",
            )
        )
    return found


def _of_keys(target: Path, key: str | None, hashes: list[npt.NDArray[np.uint64]]) -> list[Finding]:
    """Rows that share their key; the keys themselves are looked at only when two are alike."""
    if key is None or not hashes:
        return []
    every = np.concatenate(hashes)
    if len(np.unique(every)) == len(every):
        return []
    return quality.check_keys(pd.read_parquet(target, columns=[key]), key, zones=False)
