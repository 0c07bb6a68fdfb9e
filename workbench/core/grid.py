"""Guards every operator shares: projected coordinates, one grid, area of a cell."""

from __future__ import annotations

import numpy as np
import odc.geo.xr  # noqa: F401  (gives arrays their .odc accessor)
import pyproj
import xarray as xr
from odc.geo.geobox import GeoBox

from workbench.core.errors import CRSError, GridMismatch


def require_projected(crs: object, where: str = "layer") -> pyproj.CRS:
    """Give back the CRS when it is projected in metres.

    Raises
    ------
    CRSError
        When the CRS is missing, geographic, or not in metres.
    """
    if crs is None:
        raise CRSError("no coordinate reference system", where=where, expected="a projected CRS in metres")
    found = pyproj.CRS.from_user_input(crs)
    if not found.is_projected or any(axis.unit_name != "metre" for axis in found.axis_info[:2]):
        raise CRSError(
            "not in metres",
            where=where,
            found=found.to_string(),
            expected="a projected CRS in metres",
            hint="convert with to_crs(city.crs) first",
        )
    return found


def geobox(raster: xr.DataArray) -> GeoBox:
    """Grid of a raster with spatial coordinates and a CRS.

    Raises
    ------
    CRSError
        When the raster has no CRS.
    """
    box = raster.odc.geobox if hasattr(raster, "odc") else None
    if box is None or box.crs is None:
        raise CRSError("no coordinate reference system", where=str(raster.name), expected="a raster with CRS")
    return box


def describe(box: GeoBox) -> str:
    """One line on a grid: cells, cell size, upper left corner, CRS."""
    rows, columns = box.shape
    unit = " m" if box.crs is None or box.crs.projected else "°"
    return (
        f"{rows} x {columns} cells of {abs(box.affine.a):g} x {abs(box.affine.e):g}{unit} "
        f"from ({box.affine.c:.3f}, {box.affine.f:.3f}) in {box.crs}"
    )


def same_grid(first: GeoBox, second: GeoBox, tolerance: float = 1e-6) -> bool:
    """Whether two grids are equal; corners may differ by ``tolerance`` of a cell."""
    if first.shape != second.shape or first.crs != second.crs:
        return False
    a, b = np.array(first.affine[:6]), np.array(second.affine[:6])
    return bool(np.all(np.abs(a - b) <= tolerance * abs(first.affine.a)))


def check_same_grid(
    first: xr.DataArray | GeoBox, second: xr.DataArray | GeoBox, names: str = "rasters"
) -> None:
    """Refuse two rasters that do not lie on one grid.

    Raises
    ------
    GridMismatch
        Naming both grids.
    """
    boxes = [box if isinstance(box, GeoBox) else geobox(box) for box in (first, second)]
    if not same_grid(*boxes):
        raise GridMismatch(
            "two grids differ",
            where=names,
            found=describe(boxes[1]),
            expected=describe(boxes[0]),
            hint="load both with the same geobox",
        )


def cell_area_m2(raster: xr.DataArray | GeoBox) -> float:
    """Planar area of a cell in m² of the raster's own projected CRS."""
    box = raster if isinstance(raster, GeoBox) else geobox(raster)
    require_projected(str(box.crs))
    return float(abs(box.affine.a * box.affine.e - box.affine.b * box.affine.d))
