"""Bring rasters into the standard form: checked against the city's grid, written as cloud-optimised GeoTIFF."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from odc.geo.geobox import GeoBox

from workbench.catalog.ingest import source_crs
from workbench.catalog.quality import Finding
from workbench.core.city import City, Grid
from workbench.core.errors import CRSError, ProfileError
from workbench.core.grid import describe, same_grid
from workbench.core.layer_spec import LayerSpec

DEFAULT_BANDS = {4: ("blue", "green", "red", "nir")}
"""Names of the bands of the role ``imagery`` when the profile gives none."""


@dataclass(frozen=True)
class RasterInfo:
    """Grid and bands of a raster file."""

    geobox: GeoBox
    """Its grid, with CRS."""
    dtype: str
    """Data type of the bands."""
    nodata: float | None
    """Value of cells without data."""
    bands: tuple[str, ...]
    """Names of the bands, also the names of the assets they become."""


def grid_of(grid: Grid, crs: str) -> GeoBox:
    """Grid of a profile's section ``[grid]``."""
    affine = Affine(grid.resolution, 0, grid.left, 0, -grid.resolution, grid.top)
    return GeoBox((grid.rows, grid.columns), affine, crs)


def inspect(path: Path, spec: LayerSpec, role: str, where: str) -> RasterInfo:
    """Grid and bands of a file.

    Raises
    ------
    ProfileError
        When the profile names another number of bands than the file has.
    CRSError
        When the CRS is unknown or unsafe.
    """
    try:
        source = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise ProfileError(f"the raster cannot be read: {error}", where=where, found=path.name) from error
    with source:
        crs, _ = source_crs(source.crs.to_wkt() if source.crs else None, spec.crs, where)
        names = spec.bands
        if not names and source.count > 1:
            names = DEFAULT_BANDS.get(source.count, ()) if role == "imagery" else ()
            names = names or tuple(f"band_{n}" for n in range(1, source.count + 1))
        names = names or ("data",)
        if len(names) != source.count:
            raise ProfileError(
                "number of bands differs from the file's",
                where=f"{where}.bands",
                found=list(names),
                expected=source.count,
            )
        nodata = source.nodata
        if nodata is None and source.dtypes[0] == "uint8" and source.count == 1 and role != "dem":
            nodata = 0.0
        box = GeoBox(source.shape, source.transform, ":".join(crs.to_authority(min_confidence=70)))
        return RasterInfo(box, source.dtypes[0], nodata, names)


def check_grid(info: RasterInfo, grid: GeoBox | None, spec: LayerSpec, city: City) -> Finding | None:
    """Find whether a raster does not lie on the city's grid."""
    if str(info.geobox.crs) != city.crs:
        if spec.grid == "own":
            return None
        zh = f"栅格坐标系为 {info.geobox.crs}，与城市坐标系 {city.crs} 不同，未使用"
        en = f"raster in {info.geobox.crs}, the city in {city.crs}; not used"
        return Finding("grid_mismatch", "error", 1, np.nan, "", zh, en)
    if spec.grid == "own" or grid is None or same_grid(grid, info.geobox):
        return None
    shift = float(np.hypot(info.geobox.affine.c - grid.affine.c, info.geobox.affine.f - grid.affine.f))
    zh = f"栅格与城市格网不一致，未使用：{describe(info.geobox)}；应为 {describe(grid)}"
    en = f"the raster is not on the city's grid and not used: {describe(info.geobox)}; expected {describe(grid)}"
    return Finding("grid_mismatch", "error", 1, shift, "m", zh, en)


def write_cogs(path: Path, targets: dict[str, Path], info: RasterInfo) -> None:
    """Write each band of a raster as a COG of its own (DEFLATE, 512-cell blocks, with overviews).

    Overviews of unsigned 8-bit rasters (classes, masks) take the nearest cell, others the average. Bands are
    copied block by block; memory does not grow with the raster.
    """
    classes = info.dtype in {"uint8", "int8", "bool"}
    options: dict[str, Any] = {
        "driver": "COG",
        "compress": "DEFLATE",
        "blocksize": 512,
        "num_threads": "ALL_CPUS",
        "overview_resampling": "NEAREST" if classes else "AVERAGE",
        "predictor": "STANDARD" if not info.dtype.startswith("float") else "FLOATING_POINT",
    }
    with (
        rasterio.open(path) as source,
        tempfile.TemporaryDirectory(dir=next(iter(targets.values())).parent) as folder,
    ):
        for index, name in enumerate(info.bands, start=1):
            band = Path(folder) / f"{name}.tif"
            profile = {
                "driver": "GTiff", "height": source.height, "width": source.width, "count": 1,
                "dtype": info.dtype, "crs": str(info.geobox.crs), "transform": source.transform,
                "nodata": info.nodata, "tiled": True, "blockxsize": 512, "blockysize": 512,
            }  # fmt: skip
            with rasterio.open(band, "w", **profile) as sink:
                for _, window in sink.block_windows(1):
                    sink.write(source.read(index, window=window), 1, window=window)
            try:
                rasterio.shutil.copy(band, targets[name], **options)
            except rasterio.errors.RasterioIOError as error:
                raise CRSError(
                    "the raster cannot be written as COG", where=path.name, hint=str(error)
                ) from error
