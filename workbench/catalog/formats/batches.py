"""Large vector files batch by batch through Arrow: only a batch and its successor are in memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pyproj
import shapely

from workbench.core.errors import ProfileError

ROWS = 65_536
"""Rows a batch."""
CURVES = frozenset(range(8, 15))
"""Well-known-binary kinds with arcs: CircularString, CompoundCurve, CurvePolygon, MultiCurve, MultiSurface."""
KINDS = {
    1: "Point", 2: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString", 6: "MultiPolygon",
    7: "GeometryCollection", 8: "CircularString", 9: "CompoundCurve", 10: "CurvePolygon", 11: "MultiCurve",
    12: "MultiSurface", 15: "PolyhedralSurface", 16: "TIN", 17: "Triangle",
}  # fmt: skip
Item = TypeVar("Item")
_END = object()


@dataclass
class Feed:
    """A vector file being read."""

    path: Path
    """File."""
    crs: pyproj.CRS | None
    """What it says of its CRS."""
    count: int
    """Rows it states; -1 when it does not."""
    frames: Iterator[gpd.GeoDataFrame]
    """Its rows, batch by batch, without CRS."""
    fields: list[str] = field(default_factory=list)
    """Its fields, shapes left out."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Kinds of shapes met so far, with Z and M."""
    curved: int = 0
    """Shapes with arcs, which came as short lines."""
    raised: int = 0
    """Shapes with heights or measures."""
    broken: int = 0
    """Shapes that could not be read and came as missing."""


def types_of(wkb: pa.Array) -> npt.NDArray[np.uint32]:
    """Kinds of shapes as their well-known binary says them, 0 for missing ones; nothing is decoded."""
    wide = pa.types.is_large_binary(wkb.type)
    _, offsets, data = wkb.buffers()
    start = np.frombuffer(offsets, dtype=np.int64 if wide else np.int32)[
        wkb.offset : wkb.offset + len(wkb) + 1
    ]
    found = np.zeros(len(wkb), dtype=np.uint32)
    full = np.flatnonzero(np.diff(start) >= 5)
    if data is None or not len(full):
        return found
    octets = np.frombuffer(data, dtype=np.uint8)
    at = start[full].astype(np.int64)
    little = octets[at] == 1
    parts = [octets[at + k].astype(np.uint32) for k in (1, 2, 3, 4)]
    forward = parts[0] | parts[1] << 8 | parts[2] << 16 | parts[3] << 24
    backward = parts[3] | parts[2] << 8 | parts[1] << 16 | parts[0] << 24
    found[full] = np.where(little, forward, backward)
    return found


def _tally(feed: Feed, codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """Count the kinds of a batch; which shapes have arcs."""
    plain = (codes & 0x0FFFFFFF).astype(np.int64)
    kind, dimension = plain % 1000, plain // 1000 + ((codes & 0x80000000) != 0)
    pairs, numbers = np.unique(kind * 10 + dimension, return_counts=True)
    for pair, number in zip(pairs.tolist(), numbers.tolist(), strict=True):
        if pair:
            name = KINDS.get(pair // 10, f"kind {pair // 10}") + ("", " Z", " M", " ZM")[pair % 10 % 4]
            feed.kinds[name] += number
    curved = np.isin(kind, list(CURVES))
    feed.curved += int(curved.sum())
    feed.raised += int((dimension > 0).sum())
    return np.asarray(curved)


def open_file(
    path: Path,
    opened: Path | str,
    layer: str | None,
    encoding: str | None,
    where: str,
    columns: frozenset[str] | None = None,
) -> Feed:
    """Open a file that GDAL reads, or GeoParquet; nothing is read before the first batch is asked for.

    With ``columns`` only those fields are read, as far as the file has them.
    """
    if path.suffix == ".parquet":
        return _open_parquet(path, where)
    info = pyogrio.read_info(opened, layer=layer, encoding=encoding)
    crs = None if info["crs"] is None else pyproj.CRS.from_user_input(info["crs"])
    feed = Feed(path, crs, int(info["features"]), iter(()), [str(name) for name in info["fields"]])
    wanted = None if columns is None else [name for name in info["fields"] if name in columns]
    if encoding is None or encoding.lower().replace("-", "") == "utf8":
        feed.frames = _gdal_frames(feed, opened, layer, encoding, where, wanted)
    else:  # Arrow knows UTF-8 only
        feed.frames = _plain_frames(feed, opened, layer, encoding, where, wanted)
    return feed


def _gdal_frames(
    feed: Feed,
    opened: Path | str,
    layer: str | None,
    encoding: str | None,
    where: str,
    columns: list[str] | None,
) -> Iterator[gpd.GeoDataFrame]:
    read = 0
    with pyogrio.open_arrow(
        opened,
        layer=layer,
        encoding=encoding,
        columns=columns,
        batch_size=ROWS,
        use_pyarrow=True,
        return_fids=True,
    ) as (meta, reader):
        fid = meta["fid_column"] or "OGC_FID"
        name = meta["geometry_name"] or "wkb_geometry"
        for batch in reader:
            if batch.num_rows == 0:
                continue
            read += batch.num_rows
            if name not in batch.schema.names:
                raise ProfileError("the file has no geometry", where=where, found=feed.path.name,
                                   expected="a vector layer")  # fmt: skip
            table, wkb = _attributes(batch, name), batch.column(name)
            curved = _tally(feed, types_of(wkb))
            shapes = _decoded(feed, wkb, curved)
            if curved.any():
                fids = table[fid].to_numpy()[curved]
                flat = pyogrio.read_dataframe(opened, layer=layer, fids=fids, columns=[], fid_as_index=True)
                shapes[curved] = flat.geometry.loc[fids].to_numpy()
            yield gpd.GeoDataFrame(table.drop(columns=fid, errors="ignore"), geometry=shapes)
    if feed.count >= 0 and read < feed.count:
        raise ProfileError(
            "the file is damaged: it ends before its last row",
            where=where,
            found=f"{read} rows",
            expected=f"{feed.count} rows",
            hint="ask for the file again",
        )


def _plain_frames(
    feed: Feed,
    opened: Path | str,
    layer: str | None,
    encoding: str,
    where: str,
    columns: list[str] | None,
) -> Iterator[gpd.GeoDataFrame]:
    """Batches of a file whose text is not UTF-8, row by row."""
    for start in range(0, max(feed.count, 0), ROWS):
        frame = pyogrio.read_dataframe(
            opened,
            layer=layer,
            encoding=encoding,
            columns=columns,
            skip_features=start,
            max_features=ROWS,
            on_invalid="ignore",
        )
        if not isinstance(frame, gpd.GeoDataFrame):
            raise ProfileError(
                "the file has no geometry", where=where, found=feed.path.name, expected="a vector layer"
            )
        shapes = frame.geometry.to_numpy()
        feed.kinds.update(str(kind) for kind in frame.geometry.geom_type.dropna())
        feed.raised += int((shapely.has_z(shapes) | shapely.has_m(shapes)).sum())
        yield frame.set_crs(None, allow_override=True)


def _attributes(batch: pa.RecordBatch, geometry: str) -> pd.DataFrame:
    """Fields of a batch; those without any value keep their kind."""
    table: pd.DataFrame = batch.drop_columns([geometry]).to_pandas(date_as_object=False)
    return table


def _decoded(feed: Feed, wkb: pa.Array, curved: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    raw = wkb.to_numpy(zero_copy_only=False)
    if curved.any():
        raw = np.where(curved, None, raw)
    shapes = np.asarray(shapely.from_wkb(raw, on_invalid="ignore"), dtype=object)
    feed.broken += int((shapely.is_missing(shapes) & pd.notna(raw)).sum())
    return shapes


def _open_parquet(path: Path, where: str) -> Feed:
    try:
        file = pq.ParquetFile(path)
        described = json.loads((file.schema_arrow.metadata or {})[b"geo"])
        column = described["primary_column"]
        stated = described["columns"][column].get("crs", "OGC:CRS84")
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
        raise ProfileError("the file is no GeoParquet", where=where, found=path.name) from error
    crs = None if stated is None else pyproj.CRS.from_user_input(stated)
    fields = [name for name in file.schema_arrow.names if name != column]
    feed = Feed(path, crs, file.metadata.num_rows, iter(()), fields)

    def frames() -> Iterator[gpd.GeoDataFrame]:
        for batch in file.iter_batches(batch_size=ROWS):
            wkb = batch.column(column)
            curved = _tally(feed, types_of(wkb))
            shapes = _decoded(feed, wkb, curved)
            yield gpd.GeoDataFrame(_attributes(batch, column), geometry=shapes)

    feed.frames = frames()
    return feed


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Items, each made in a thread of its own while the former one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming: Future[Any] = pool.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = pool.submit(next, items, _END)
            yield item
