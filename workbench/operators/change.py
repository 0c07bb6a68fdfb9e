"""What changed between two surveys: transition matrices of rasters, changed pieces of parcels."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import xarray as xr

from workbench.core.errors import CRSError, GridMismatch, ParameterError
from workbench.operators.area import area_m2
from workbench.operators.guards import has_columns, metric_crs, same_crs, valid_polygons
from workbench.operators.overlay import candidate_pairs, intersect_pairs

_BLOCK = 200_000


def _raster_crs(raster: xr.DataArray, name: str) -> pyproj.CRS:
    """CRS of a raster as rioxarray or odc-geo writes it (grid mapping coordinate) or as ``attrs['crs']``."""
    for coord in raster.coords.values():
        text = coord.attrs.get("crs_wkt") or coord.attrs.get("spatial_ref")
        if text:
            return metric_crs(text, where=name)
    return metric_crs(raster.attrs.get("crs"), where=name)


def check_same_grid(before: xr.DataArray, after: xr.DataArray) -> None:
    """Raise ``GridMismatch`` unless both rasters have the same cells (dims y, x) and CRS.

    Cell centres may differ by a thousandth of a cell.
    """
    for dim in ("y", "x"):
        if dim not in before.dims or dim not in after.dims:
            raise GridMismatch("a raster has no such dimension", where=dim, found=(before.dims, after.dims))
        a, b = before[dim].to_numpy(), after[dim].to_numpy()
        step = abs(float(a[1] - a[0])) if len(a) > 1 else 1.0
        if len(a) != len(b) or not np.allclose(a, b, rtol=0, atol=step / 1000):
            raise GridMismatch(
                f"the two rasters differ along {dim}",
                where=f"{before.name} and {after.name}",
                found=f"{len(a)} and {len(b)} cells, starting at {a[0]} and {b[0]}",
                hint="Load both with the same geobox",
            )
    if _raster_crs(before, "before") != _raster_crs(after, "after"):
        raise CRSError(
            "the two rasters have different reference systems", hint="Load both with the same geobox"
        )


def cell_area_ha(raster: xr.DataArray) -> float:
    """Area of one cell of a raster in projected metres, in hectares of the plane."""
    _raster_crs(raster, str(raster.name or "raster"))
    if min(raster.sizes["y"], raster.sizes["x"]) < 2:
        transform = raster.coords["spatial_ref"].attrs["GeoTransform"].split()
        return abs(float(transform[1]) * float(transform[5])) / 10_000
    x, y = raster["x"].to_numpy(), raster["y"].to_numpy()
    width, height = (x[-1] - x[0]) / (len(x) - 1), (y[-1] - y[0]) / (len(y) - 1)
    return abs(float(width * height)) / 10_000


def transition_matrix(before: xr.DataArray, after: xr.DataArray) -> pd.DataFrame:
    """Area that passed from each class to each other, in hectares.

    Parameters
    ----------
    before, after : xr.DataArray of int, dims (y, x)
        Class codes on one grid, in a projected CRS with metres. All values are read.

    Returns
    -------
    DataFrame of float, shape (classes before, classes after)
        Hectares of the plane (cells times cell area); rows are the classes before, columns the classes after, both
        sorted and both only the classes that occur.

    Raises
    ------
    GridMismatch
        When the grids differ.
    CRSError
        When a CRS is missing, not in metres, or the two differ.
    ParameterError
        When the values are no integers.

    Examples
    --------
    >>> def raster(rows):
    ...     y, x = 2_500_050 - 100.0 * np.arange(2), 500_050 + 100.0 * np.arange(2)
    ...     return xr.DataArray(np.array(rows), {"y": y, "x": x}, ("y", "x"), attrs={"crs": "EPSG:4547"})
    >>> matrix = transition_matrix(raster([[1, 1], [2, 2]]), raster([[1, 3], [2, 3]]))   # cells of one hectare
    >>> float(matrix.loc[1, 3])
    1.0
    """
    check_same_grid(before, after)
    a, b = before.transpose("y", "x").to_numpy().ravel(), after.transpose("y", "x").to_numpy().ravel()
    if not (np.issubdtype(a.dtype, np.integer) and np.issubdtype(b.dtype, np.integer)):
        raise ParameterError("class rasters hold integers", found=(str(a.dtype), str(b.dtype)))
    rows, i = np.unique(a, return_inverse=True)
    columns, j = np.unique(b, return_inverse=True)
    cells = np.bincount(i.ravel() * len(columns) + j.ravel(), minlength=len(rows) * len(columns))
    return pd.DataFrame(
        cells.reshape(len(rows), len(columns)) * cell_area_ha(before),
        index=pd.Index(rows, name="before"),
        columns=pd.Index(columns, name="after"),
    )


def _chosen(codes: npt.NDArray[np.object_], wanted: Collection[str] | None) -> npt.NDArray[np.bool_]:
    """Whether each code starts with one of the wanted ones."""
    if wanted is None:
        return np.ones(len(codes), dtype=bool)
    prefixes = tuple(wanted)
    known, of = np.unique(codes.astype(str), return_inverse=True)
    return (
        np.array([k.startswith(prefixes) for k in known], dtype=bool)[of] if len(known) else np.zeros(0, bool)
    )


def change_parcels(
    before: gpd.GeoDataFrame,
    after: gpd.GeoDataFrame,
    *,
    from_codes: Collection[str] | None = None,
    to_codes: Collection[str] | None = None,
    groups: Mapping[str, str] | None = None,
    parcel_id: str | None = None,
    min_area_m2: float = 0.0,
) -> gpd.GeoDataFrame:
    """Pieces of land whose class code differs between two surveys.

    Parameters
    ----------
    before, after : GeoDataFrame of polygons
        Land-use parcels with the column ``dlbm``, in one projected CRS in metres.
    from_codes, to_codes : collection of str, optional
        Keep pieces whose code before (after) starts with one of these: ``"01"`` takes 0101, 0102 and 0103.
    groups : mapping of str to str, optional
        Code to group; a change inside a group is none. Codes not in it are groups of their own.
    parcel_id : str, optional
        Column of both layers to carry along as ``before_<parcel_id>`` and ``after_<parcel_id>``.
    min_area_m2 : float, default 0
        Pieces smaller than this are dropped.

    Returns
    -------
    GeoDataFrame[before_dlbm, after_dlbm, area_m2, geometry]
        Ellipsoidal square metres; ordered as ``before``, then as ``after``.

    Raises
    ------
    CRSError, ParameterError, DataQualityError
        When the CRS differ or are not metric, a column is missing, or a polygon is invalid.

    Examples
    --------
    >>> import shapely
    >>> field = gpd.GeoDataFrame({"dlbm": ["0101"]}, geometry=[shapely.box(5e5, 25e5, 5e5 + 20, 25e5 + 10)], crs=4547)
    >>> later = gpd.GeoDataFrame({"dlbm": ["0101", "0601"]}, crs=4547, geometry=[
    ...     shapely.box(5e5, 25e5, 5e5 + 15, 25e5 + 10), shapely.box(5e5 + 15, 25e5, 5e5 + 20, 25e5 + 10)])
    >>> change_parcels(field, later)[["before_dlbm", "after_dlbm", "area_m2"]].round(2)
      before_dlbm after_dlbm  area_m2
    0        0101       0601     50.0
    """
    crs = same_crs(before, after)
    columns = ["dlbm"] if parcel_id is None else ["dlbm", parcel_id]
    has_columns(before, columns, where="before")
    has_columns(after, columns, where="after")
    a, b = valid_polygons(before, where="before"), valid_polygons(after, where="after")
    code_a, code_b = before["dlbm"].to_numpy(dtype=object), after["dlbm"].to_numpy(dtype=object)
    use_a = np.flatnonzero(_chosen(code_a, from_codes))
    use_b = np.flatnonzero(_chosen(code_b, to_codes))
    group = groups or {}
    number, _ = pd.factorize(np.array([group.get(c, c) for c in (*code_a, *code_b)], dtype=object))
    group_a, group_b = number[: len(a)], number[len(a) :]
    found = []
    i_all, j_all = candidate_pairs(a[use_a], b[use_b], differing=(group_a[use_a], group_b[use_b]))
    for start in range(0, len(i_all), _BLOCK):
        block = slice(start, start + _BLOCK)
        i, j, pieces, _ = intersect_pairs(a, b, use_a[i_all[block]], use_b[j_all[block]])
        areas = area_m2(pieces, crs)
        keep = areas > 0 if min_area_m2 <= 0 else areas >= min_area_m2
        found.append((i[keep], j[keep], pieces[keep], areas[keep]))
    none = np.empty(0, dtype=np.intp)
    i = np.concatenate([f[0] for f in found] or [none])
    j = np.concatenate([f[1] for f in found] or [none])
    pieces = np.concatenate([f[2] for f in found] or [np.empty(0, dtype=object)])
    areas = np.concatenate([f[3] for f in found] or [np.empty(0)])
    order = np.lexsort((j, i))
    i, j = i[order], j[order]
    data = {"before_dlbm": code_a[i], "after_dlbm": code_b[j]}
    if parcel_id is not None:
        data[f"before_{parcel_id}"] = before[parcel_id].to_numpy()[i]
        data[f"after_{parcel_id}"] = after[parcel_id].to_numpy()[j]
    data["area_m2"] = areas[order]
    return gpd.GeoDataFrame(data, geometry=pieces[order], crs=before.crs)
