"""STAC items to one lazy array on one grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pystac
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from workbench.core.errors import CRSError, GridMismatch, ParameterError
from workbench.core.grid import describe, same_grid

CHUNK = 2048
"""Side of a chunk in cells: a multiple of the 512-cell blocks of the files, 8 MiB for 16-bit data."""


def _as_dict(item: pystac.Item | Mapping[str, Any]) -> dict[str, Any]:
    """Item as a plain dict with absolute hrefs and no links."""
    if isinstance(item, pystac.Item):
        found = item.to_dict(include_self_link=False, transform_hrefs=False)
        for name, asset in item.assets.items():
            found["assets"][name]["href"] = asset.get_absolute_href() or asset.href
    else:
        found = {**item, "assets": {name: dict(asset) for name, asset in item["assets"].items()}}
    found["links"] = []
    return found


def native_grid(item: Mapping[str, Any]) -> GeoBox:
    """Grid an item states by ``proj:code`` (or ``proj:epsg``), ``proj:shape`` and ``proj:transform``.

    Raises
    ------
    CRSError
        When it does not state them.
    """
    properties = item["properties"]
    code = properties.get("proj:code") or (
        f"EPSG:{properties['proj:epsg']}" if properties.get("proj:epsg") else None
    )
    if code is None or "proj:shape" not in properties or "proj:transform" not in properties:
        raise CRSError(
            "the item does not state its grid",
            where=str(item["id"]),
            expected="proj:code, proj:shape and proj:transform",
            hint="vectors and tables are opened with CityData",
        )
    return GeoBox(properties["proj:shape"], Affine(*properties["proj:transform"][:6]), code)


def _bands(found: Sequence[Mapping[str, Any]], bands: Sequence[str] | None) -> list[str]:
    """Assets to load; each item must have them all."""
    names = list(bands) if bands is not None else [n for n in found[0]["assets"] if n != "cloud"]
    for item in found:
        if absent := [name for name in names if name not in item["assets"]]:
            raise ParameterError(
                "the item has no such band",
                where=str(item["id"]),
                found=absent,
                expected=", ".join(item["assets"]),
            )
    return names


def _stated(
    found: Sequence[Mapping[str, Any]], bands: Sequence[str], dtype: str | None
) -> tuple[np.dtype[Any], Any]:
    """Find the data type of the result (the files' common one) and the value of cells without data."""
    assets = [item["assets"][name] for item in found for name in bands]
    types = {str(asset["data_type"]) for asset in assets if "data_type" in asset}
    if dtype is None and not types:
        raise ParameterError(
            "the items do not state data_type", where="load", hint='give dtype, e.g. dtype="uint16"'
        )
    kind = np.dtype(dtype) if dtype is not None else np.result_type(*(np.dtype(t) for t in types))
    nodata = next((asset["nodata"] for asset in assets if asset.get("nodata") is not None), None)
    fill = (np.nan if kind.kind == "f" else 0) if nodata is None else nodata
    return kind, kind.type(fill)


def load(
    items: Sequence[pystac.Item | Mapping[str, Any]],
    *,
    geobox: GeoBox | None = None,
    bands: Sequence[str] | None = None,
    dtype: npt.DTypeLike | None = None,
) -> xr.DataArray:
    """Items as one lazy array on one grid.

    Parameters
    ----------
    items : sequence of pystac.Item or dict
        Raster items; one time step each, in order of their time.
    geobox : GeoBox, optional
        Grid of the result. Without it all items must lie on one grid, which is kept cell by cell.
    bands : sequence of str, optional
        Assets; all but ``cloud`` when not given.
    dtype : dtype, optional
        Data type of the result; the files' when not given. Values are never scaled.

    Returns
    -------
    xr.DataArray
        Dask-backed, dims (time, band, y, x); ``attrs["nodata"]`` fills cells without data. Chunks follow the
        blocks of the files. On another grid, 8-bit classes take the nearest cell, other values are averaged.

    Raises
    ------
    ParameterError
        When there are no items or a band is unknown.
    GridMismatch
        When no geobox is given and the items lie on different grids.
    """
    if len(items) == 0:
        raise ParameterError("no items to load", where="load", hint="widen the search")
    found = sorted((_as_dict(item) for item in items), key=_time)
    names = _bands(found, bands)
    kind, fill = _stated(found, names, None if dtype is None else np.dtype(dtype).name)
    grids = [native_grid(item) for item in found]
    target = geobox if geobox is not None else grids[0]
    native = all(same_grid(target, grid) for grid in grids)
    if geobox is None and not native:
        other = next(grid for grid in grids if not same_grid(target, grid))
        raise GridMismatch(
            "the items lie on different grids",
            where="load",
            found=describe(other),
            expected=describe(target),
            hint="give a geobox",
        )
    single = kind.itemsize == 1 and len(names) == 1
    stack = _by_stackstac(found, names, target, kind, fill) if native and not single else None
    array = stack if stack is not None else _by_odc(found, names, target, kind, fill)
    array.attrs = {"nodata": fill.item()}
    return array


def _time(item: Mapping[str, Any]) -> pd.Timestamp:
    properties = item["properties"]
    stamp = pd.Timestamp(properties.get("datetime") or properties["end_datetime"])
    return stamp.tz_localize(None) if stamp.tzinfo is None else stamp.tz_convert(None)


def _by_stackstac(
    found: list[dict[str, Any]], names: list[str], target: GeoBox, kind: np.dtype[Any], fill: Any
) -> xr.DataArray:
    """Cells as they are in the files, for items that share the target grid."""
    import stackstac  # heavy: only where items are loaded
    from rasterio.enums import Resampling

    epsg = target.crs.epsg
    if epsg is None:
        return _by_odc(found, names, target, kind, fill)
    plain = []
    for item in found:  # stackstac knows proj:epsg only
        properties = {**item["properties"], "proj:epsg": epsg}
        properties["datetime"] = _time(item).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        plain.append({**item, "properties": properties})
    left, bottom, right, top = target.boundingbox
    stack = stackstac.stack(
        plain,
        assets=names,
        epsg=epsg,
        resolution=(abs(target.affine.a), abs(target.affine.e)),
        bounds=(left, bottom, right, top),
        snap_bounds=False,
        dtype=kind,
        fill_value=fill,
        rescale=False,
        resampling=Resampling.nearest,
        chunksize=CHUNK,
        properties=False,
        band_coords=False,
        sortby_date=False,
    )
    return _labelled(stack.data, found, names, target)


def _by_odc(
    found: list[dict[str, Any]], names: list[str], target: GeoBox, kind: np.dtype[Any], fill: Any
) -> xr.DataArray:
    """Cells on any grid."""
    import odc.stac  # heavy: only where items are loaded

    ready = [pystac.Item.from_dict(item) for item in found]
    nearest = kind.itemsize == 1 or all(same_grid(target, native_grid(item)) for item in found)
    cube = odc.stac.load(
        ready,
        bands=names,
        geobox=target,
        dtype=kind.name,
        nodata=fill.item(),
        resampling="nearest" if nearest else "average",
        groupby="id",
        chunks={"y": CHUNK, "x": CHUNK, "time": 1},
    )
    order = [str(item["id"]) for item in found]
    stacked = cube[names].to_array("band").transpose("time", "band", ...)
    if stacked.sizes["time"] != len(order):
        raise ParameterError("items of one id cannot be told apart", where="load", found=order)
    return _labelled(stacked.data, found, names, target)


def _labelled(data: Any, found: list[dict[str, Any]], names: list[str], target: GeoBox) -> xr.DataArray:
    """Array with the time, band and grid coordinates."""
    space = xr_coords(target)
    y, x = (name for name in space if name != "spatial_ref")
    renamed = {"y": space[y].rename({y: "y"}) if y != "y" else space[y]}
    renamed["x"] = space[x].rename({x: "x"}) if x != "x" else space[x]
    return xr.DataArray(
        data,
        dims=("time", "band", "y", "x"),
        coords={
            "time": np.array([_time(item).to_datetime64() for item in found], dtype="datetime64[ns]"),
            "band": names,
            "id": ("time", [str(item["id"]) for item in found]),
            **renamed,
            "spatial_ref": space["spatial_ref"],
        },
        name="items",
    )
