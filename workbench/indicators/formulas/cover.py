"""Rasters: land classes of one or two dates, surfaces seen from above, and measured fields.

Rasters stay lazy: class rasters go through the streamed scan of ``operators.zonal``, combinations of several are made a
block at a time, measured fields are read in strips of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio.features
import shapely
import xarray as xr

from workbench.core import codes
from workbench.core.errors import GridMismatch, ParameterError
from workbench.indicators.formulas.common import (
    ZERO_DENOMINATOR,
    as_table,
    base_year_missing,
    land_and_people,
    missing,
    people_by_zone,
    ratio,
    representative_points,
    result,
    sum_of_points,
    zone_area_m2,
    zones_key,
)
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs
from workbench.operators import zonal
from workbench.operators.change import check_same_grid

STRIP_ROWS = 1024
"""Rows of a measured raster held at a time."""
COVER = "land_use_raster"
UNKNOWN, OPEN, SEALED = 0, 1, 2
_MAIN = ("forest", "grass", "cropland", "wetland", "water", "construction")
"""Main kinds of land cover in the order of their numbers from 1; every other class is 7, no class is 0."""
_WORSE = frozenset(
    {("forest", to) for to in ("grass", "cropland", "construction", "other")}
    | {("grass", to) for to in ("cropland", "construction", "other")}
    | {("cropland", to) for to in ("construction", "other")}
    | {("wetland", to) for to in ("forest", "grass", "cropland", "construction", "other")}
)
"""Changes of cover that count as a loss of land (wetland to water, farmland to grass and the like do not)."""


def class_m2(data: Inputs, zones: gpd.GeoDataFrame, role: str, year: int | None = None) -> pd.DataFrame:
    """Square metres of each class of a raster in each zone."""
    key = ("class_m2", role, data.year if year is None else year, zones_key(zones))
    return data.share(
        key, lambda: zonal.class_areas(data.raster(role, year), as_table(zones), zone_id="zone")
    )


def _sum_classes(areas: pd.DataFrame, wanted: Sequence[int] | npt.NDArray[Any]) -> pd.Series:
    here = [int(one) for one in wanted if int(one) in areas.columns]
    return areas[here].sum(axis=1)


def _group_m2(data: Inputs, zones: gpd.GeoDataFrame, group: str, year: int | None = None) -> pd.Series:
    return _sum_classes(class_m2(data, zones, COVER, year), codes.raster_codes(group))


@reads("{role}")
def share_without(
    data: Inputs, zones: gpd.GeoDataFrame, *, role: str, classes: tuple[int, ...]
) -> pd.DataFrame:
    """Share of the zone's area that is not of the classes of a raster, percent."""
    whole = zone_area_m2(data, zones)
    covered = _sum_classes(class_m2(data, zones, role), classes).reindex(zones.index)
    return ratio(zones, whole - covered, whole, scale=100.0)


def _surface(
    nir: npt.NDArray[Any], red: npt.NDArray[Any], cover: npt.NDArray[Any], cloud: npt.NDArray[Any], *,
    built: npt.NDArray[np.bool_], least: float,
) -> npt.NDArray[np.uint8]:  # fmt: skip
    """Open or sealed cell by cell: sealed is built land whose vegetation index is below the least."""
    n, r = nir.astype("float32"), red.astype("float32")
    total = n + r
    green = (n - r) >= least * total
    seen = (total > 0) & (cloud == 0) & (cover != codes.NODATA)
    kind = np.where(built[cover] & ~green, SEALED, OPEN)
    return np.where(seen, kind, UNKNOWN).astype("uint8")


@reads("imagery", "land_use_raster")
def open_surface(
    data: Inputs, zones: gpd.GeoDataFrame, *, least_index: float, min_seen: float = 0.8
) -> pd.DataFrame:
    """Share of the cells seen from above that are not sealed, percent.

    A cell is sealed when it is construction land and its vegetation index (near infrared and red) is below
    ``least_index``. Clouded cells are left out; a zone seen in less than ``min_seen`` of its cells gets no value.
    """

    def make() -> xr.DataArray:
        image, cover = data.raster("imagery"), data.raster(COVER)
        nir, red = image.sel(band="nir", drop=True), image.sel(band="red", drop=True)
        try:
            cloud = data.raster("imagery", bands=("cloud",))
        except ParameterError:  # imagery without a cloud mask
            cloud = xr.zeros_like(red, dtype="uint8")
        for other in (cover, cloud):
            check_same_grid(red, other)
        built = np.isin(np.arange(256), codes.raster_codes("construction"))
        surface = xr.apply_ufunc(
            _surface,
            nir,
            red,
            cover,
            cloud,
            kwargs={"built": built, "least": least_index},
            join="override",
            dask="parallelized",
            output_dtypes=[np.uint8],
        )
        made: xr.DataArray = surface.compute()  # one byte a cell, made by blocks, for every level of zones
        return made

    try:
        surface = data.share(("open_surface", data.year, least_index), make)
    except GridMismatch:
        return missing(zones, "grids_differ")
    areas = zonal.class_areas(
        surface, as_table(zones), zone_id="zone", classes=[UNKNOWN, OPEN, SEALED], nodata=255
    )
    seen = areas[OPEN] + areas[SEALED]
    clear = seen >= min_seen * (seen + areas[UNKNOWN])
    frame = ratio(zones, areas[OPEN], seen, scale=100.0)
    reason = frame["reason"].mask(~clear, "too_cloudy")
    return result(zones, frame["value"].where(clear), numerator=areas[OPEN], denominator=seen, reason=reason)


@reads("land_use_raster")
def change_since_base(data: Inputs, zones: gpd.GeoDataFrame, *, group: str) -> pd.DataFrame:
    """Change of the area of a group of classes since the base year, percent of that year's."""
    if reason := base_year_missing(data, COVER):
        return missing(zones, reason)
    before, now = _group_m2(data, zones, group, data.base_year), _group_m2(data, zones, group)
    return ratio(zones, now - before, before, scale=100.0)


@reads("land_use_raster", "population")
def consumption_ratio(
    data: Inputs, zones: gpd.GeoDataFrame, *, group: str, min_growth: float = 1e-4
) -> pd.DataFrame:
    """Growth rate of the land of a group over the growth rate of people since the base year."""
    if reason := base_year_missing(data, COVER, "population"):
        return missing(zones, reason)
    base = data.base_year
    land = (_group_m2(data, zones, group, base), _group_m2(data, zones, group))
    people = (people_by_zone(data, zones, year=base), people_by_zone(data, zones))
    return land_and_people(zones, land, people, data.year - base, min_growth=min_growth)


@reads("land_use_raster", "population")
def land_per_person(data: Inputs, zones: gpd.GeoDataFrame, *, group: str) -> pd.DataFrame:
    """Land of a group for each resident, square metres."""
    return ratio(zones, _group_m2(data, zones, group), people_by_zone(data, zones))


def _main_kinds() -> npt.NDArray[np.uint8]:
    """Number of the main kind of each raster code."""
    table = np.full(256, len(_MAIN) + 1, dtype="uint8")
    for number, group in reversed(list(enumerate(_MAIN, start=1))):  # the first kind that holds a class wins
        table[codes.raster_codes(group)] = number
    table[codes.NODATA] = 0
    return table


def _pairs(
    before: npt.NDArray[Any], now: npt.NDArray[Any], *, kinds: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Kind before and kind now as one number; 0 where either is not known."""
    first, last = kinds[before], kinds[now]
    return np.where((first > 0) & (last > 0), first * 8 + last, 0).astype("uint8")


@reads("land_use_raster")
def worsened(data: Inputs, zones: gpd.GeoDataFrame) -> pd.DataFrame:
    """Share of land (without water) whose cover has worsened since the base year, percent."""
    if reason := base_year_missing(data, COVER):
        return missing(zones, reason)
    names = (*_MAIN, "other")
    worse = [8 * (names.index(a) + 1) + names.index(b) + 1 for a, b in sorted(_WORSE)]
    water = names.index("water") + 1

    def make() -> pd.DataFrame:
        before, now = data.raster(COVER, data.base_year), data.raster(COVER)
        check_same_grid(before, now)
        pairs = xr.apply_ufunc(
            _pairs,
            before,
            now,
            kwargs={"kinds": _main_kinds()},
            join="override",
            dask="parallelized",
            output_dtypes=[np.uint8],
        )
        return zonal.class_areas(pairs, as_table(zones), zone_id="zone", nodata=0)

    try:
        areas = data.share(("worsened", data.year, data.base_year, zones_key(zones)), make)
    except GridMismatch:
        return missing(zones, "grids_differ")
    land = [code for code in areas.columns if int(code) // 8 != water]
    return ratio(zones, _sum_classes(areas, worse), areas[land].sum(axis=1), scale=100.0)


def _own_crs(raster: xr.DataArray, frame: gpd.GeoDataFrame | gpd.GeoSeries) -> Any:
    crs = raster.rio.crs
    return frame if crs is None or frame.crs == crs else frame.to_crs(crs)


def _nodata(raster: xr.DataArray) -> float:
    marks = (raster.rio.nodata, raster.rio.encoded_nodata)
    return next((float(mark) for mark in marks if mark is not None), float("nan"))


@reads("{role}")
def mean(data: Inputs, zones: gpd.GeoDataFrame, *, role: str, scale: float = 1.0) -> pd.DataFrame:
    """Mean of a measured field over the cells whose centres lie in the zone, times ``scale``."""
    raster = data.raster(role)
    shapes = _own_crs(raster, zones).geometry.to_numpy()
    transform, absent = raster.rio.transform(recalc=True), _nodata(raster)
    total, cells = np.zeros(len(zones)), np.zeros(len(zones))
    frames = _frames(shapes, raster)
    for top in range(0, raster.sizes["y"], STRIP_ROWS):
        strip = raster.isel(y=slice(top, top + STRIP_ROWS)).to_numpy()
        for number in np.flatnonzero((frames[:, 0] < top + len(strip)) & (frames[:, 1] > top)):
            first, last, left, right = frames[number]
            first, last = max(first, top), min(last, top + len(strip))
            values = strip[first - top : last - top, left:right].astype("float64")
            place = transform @ type(transform).translation(left, first)
            inside = np.isfinite(values) & (values != absent) & _inside(shapes[number], values.shape, place)
            total[number] += values[inside].sum()
            cells[number] += inside.sum()
    means = pd.Series(total, index=zones.index) / pd.Series(cells, index=zones.index).replace(0, np.nan)
    return result(zones, means * scale, reason=pd.Series("no_cells", index=zones.index))


def _frames(shapes: npt.NDArray[np.object_], raster: xr.DataArray) -> npt.NDArray[np.int64]:
    """Rows and columns around each shape: first row, last row, first column, last column (ends not included)."""
    x0, y0, x1, y1 = shapely.bounds(shapes).T
    inverse = ~raster.rio.transform(recalc=True)
    columns, rows = (
        (inverse.a * x + inverse.c for x in (x0, x1)),
        (inverse.e * y + inverse.f for y in (y0, y1)),
    )
    found = []
    for pair, size in ((rows, raster.sizes["y"]), (columns, raster.sizes["x"])):
        ends = np.sort(np.nan_to_num(np.array(list(pair))), axis=0)
        found += [np.clip(np.floor(ends[0]), 0, size), np.clip(np.ceil(ends[1]), 0, size)]
    return np.column_stack(found).astype("int64")


def _inside(shape: Any, size: tuple[int, int], transform: Any) -> npt.NDArray[np.bool_]:
    """Cells of a strip whose centres lie in a shape."""
    if shape.is_empty:
        return np.zeros(size, dtype=bool)
    found: npt.NDArray[np.bool_] = rasterio.features.geometry_mask([shape], size, transform, invert=True)
    return found


@reads("population", "{role}")
def people_mean(data: Inputs, zones: gpd.GeoDataFrame, *, role: str) -> pd.DataFrame:
    """Mean of a measured field weighted by people: the value at each population cell's centre."""
    raster, layer = data.raster(role), data.vector("population")
    points = _own_crs(raster, gpd.GeoSeries(representative_points(layer.geometry), crs=layer.crs))
    left, bottom, right, top = raster.rio.bounds()
    x, y = points.x.to_numpy(), points.y.to_numpy()
    inside = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
    values = np.full(len(points), np.nan)
    at = {"x": xr.DataArray(x[inside], dims="p"), "y": xr.DataArray(y[inside], dims="p")}
    values[inside] = raster.sel(at, method="nearest").to_numpy().astype("float64")
    values[values == _nodata(raster)] = np.nan
    people = layer["population"].to_numpy(dtype="float64")
    known = np.isfinite(values)
    top_sum = sum_of_points(data, "population", zones, np.where(known, np.nan_to_num(values) * people, 0.0))
    bottom_sum = sum_of_points(data, "population", zones, np.where(known, people, 0.0))
    frame = ratio(zones, top_sum, bottom_sum)
    frame["reason"] = frame["reason"].replace(ZERO_DENOMINATOR, "no_cells")
    return frame
