"""The cells a city is judged on, and what is known of each: terrain, lines, distances, present land use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
import xarray as xr
from odc.geo import resyx_
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr, xr_reproject
from rasterio.features import rasterize
from scipy.ndimage import distance_transform_edt

from workbench.catalog.rasters import grid_of
from workbench.core.city import City
from workbench.core.codes import survey_codes
from workbench.core.errors import GridMismatch, LayerMissing
from workbench.core.grid import geobox, same_grid
from workbench.evaluation.suitability.settings import Factor, Settings
from workbench.evaluation.suitability.words import COVERS_ALL, missing_words, reason
from workbench.operators.terrain import nodata_of, relief, slope

if TYPE_CHECKING:
    from workbench.catalog.data import CityData

Array = npt.NDArray[Any]
Say = Callable[[str], None]


@dataclass
class Ground:
    """Cells and what is known of them."""

    box: GeoBox
    """Grid, in the city's CRS."""
    inside: Array
    """Cells with their centre in the city, bool."""
    values: dict[str, Array] = field(default_factory=dict)
    """Values of each factor there is, by its id: float32 (NaN: not known) or uint8 codes."""
    missing: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Why each other factor is not there: code, Chinese, English."""
    notes: list[dict[str, str]] = field(default_factory=list)
    """What a reader must know of the cells: ``check, message_zh, message_en``."""

    @property
    def cell_m2(self) -> float:
        """Planar area of a cell."""
        return abs(float(self.box.affine.a * self.box.affine.e))

    def wrap(self, values: Array, name: str, nodata: float | None = None) -> xr.DataArray:
        """Array on the grid as a DataArray."""
        found: xr.DataArray = wrap_xr(values, self.box).rename(name)
        if nodata is not None:
            found.attrs["_FillValue"] = nodata
        return found


def read_ground(city: City, data: CityData, year: int, settings: Settings, say: Say) -> Ground:
    """Cells of a city and the values of every factor its layers give.

    Raises
    ------
    LayerMissing
        When the city has no terrain model or no extent.
    GridMismatch
        When the terrain model does not reach into the city.
    """
    if not data.has("dem", _year(data, "dem", year)):
        raise LayerMissing("dem", _year(data, "dem", year), reason="no_layer", holder=data.holder("dem"))
    dem = data.raster("dem", _year(data, "dem", year))
    extent = data.zones("city").geometry.iloc[0]
    box, note = choose_grid(city, dem, extent, settings)
    ground = Ground(box, burn([extent], box), notes=note)
    say("terrain")
    heights = on_grid(dem, box)
    reader = _Reader(city, data, year, settings, ground, heights)
    for factor in settings.factors:
        say(f"factor: {factor.id}")
        why = reader.read(factor)
        if why is not None:
            ground.missing[factor.id] = why
    if "land_use" in ground.missing:
        ground.notes.append(
            {
                "check": "no_land_use",
                "message_zh": "没有现状地类：已建成土地和水面未能扣除，农业生产与城镇建设适宜面积是上限",
                "message_en": "no present land use: built land and water are not taken out, land that suits farming and building is an upper bound",
            }
        )
    covered = ~np.isnan(heights.to_numpy())
    if not (covered & ground.inside).any():
        raise GridMismatch(
            "the terrain model does not reach into the city",
            where="dem",
            found=str(dem.odc.geobox.boundingbox),
        )
    share = 100 * float((ground.inside & ~covered).sum() / max(1, ground.inside.sum()))
    if share > 0:
        ground.notes.append(
            {
                "check": "no_height",
                "message_zh": f"评价范围内{share:.1f}%的格网没有高程，未评价耕作与建设适宜性",
                "message_en": f"{share:.1f} % of the cells have no height: not judged for farming and building",
            }
        )
    return ground


def _year(data: CityData, role: str, year: int) -> int | None:
    """Year to read a role for: that of the evaluation where it is dated by year."""
    return year if data.years(role) else None


def choose_grid(
    city: City, dem: xr.DataArray, extent: shapely.Geometry, settings: Settings
) -> tuple[GeoBox, list[dict[str, str]]]:
    """Grid of an evaluation: the city's or the terrain model's own, coarser where the settings say so."""
    source = geobox(dem)
    if city.grid is not None:
        box = grid_of(city.grid, city.crs)
    elif str(source.crs) == city.crs:
        box = source
    else:
        box = _projected(source, city.crs)
    box = _cropped(box, extent)
    wanted = settings.parameters.cell_m
    own = abs(float(box.affine.a))
    factor = max(1, round(wanted / own)) if wanted else 1
    notes = []
    while box.shape[0] * box.shape[1] / factor**2 > settings.parameters.most_cells:
        factor += 1
    if factor > 1:
        box = box.zoom_out(factor)
        if not wanted:
            size = abs(float(box.affine.a))
            notes.append(
                {
                    "check": "coarser",
                    "message_zh": f"格网过多，按{size:.0f}米格网评价（高程数据为{own:.0f}米）",
                    "message_en": f"too many cells: judged on cells of {size:.0f} m (heights every {own:.0f} m)",
                }
            )
    return box, notes


def _projected(source: GeoBox, crs: str) -> GeoBox:
    """Grid in another CRS over the same ground, with square cells of about the same size, whole metres if it can."""
    bounds = source.to_crs(crs)
    size = float(np.sqrt(abs(bounds.resolution.x * bounds.resolution.y)))
    size = round(size) if size >= 2 else size
    return GeoBox.from_bbox(bounds.boundingbox, crs, resolution=resyx_(-size, size))


def _cropped(box: GeoBox, extent: shapely.Geometry) -> GeoBox:
    """Part of a grid that holds an extent."""
    west, south, east, north = shapely.bounds(extent)
    t = box.affine
    left = max(0, int(np.floor((west - t.c) / t.a + 1e-9)))
    right = min(box.shape[1], int(np.ceil((east - t.c) / t.a - 1e-9)))
    top = max(0, int(np.floor((north - t.f) / t.e + 1e-9)))
    bottom = min(box.shape[0], int(np.ceil((south - t.f) / t.e - 1e-9)))
    if left >= right or top >= bottom:
        raise GridMismatch(
            "the terrain model does not reach into the city", where="dem", found=str(box.boundingbox)
        )
    return box[top:bottom, left:right]


def on_grid(dem: xr.DataArray, box: GeoBox) -> xr.DataArray:
    """Heights on a grid, float32 with NaN: as they are where the cells are the same, else averaged or interpolated."""
    source = geobox(dem)
    mark = nodata_of(dem)
    heights = dem.astype("float32")
    if mark is not None:
        heights = heights.where(dem != mark)
    heights.attrs.pop("_FillValue", None)
    heights.encoding.pop("_FillValue", None)
    if str(source.crs) == str(box.crs):
        t, s = box.affine, source.affine
        column, row = (t.c - s.c) / s.a, (t.f - s.f) / s.e
        top, left = round(row), round(column)
        part = source[max(top, 0) : top + box.shape[0], max(left, 0) : left + box.shape[1]]
        if same_grid(part, box):
            return heights[top : top + box.shape[0], left : left + box.shape[1]].assign_coords(
                wrap_xr(np.empty(box.shape, dtype=np.bool_), box).coords
            )
    coarser = abs(box.resolution.x) > 1.5 * abs(source.to_crs(str(box.crs)).resolution.x)
    made: xr.DataArray = xr_reproject(
        heights, box, resampling="average" if coarser else "bilinear", dst_nodata=np.nan
    )
    return made


def burn(shapes: Any, box: GeoBox, *, touched: bool = False, value: int = 1) -> Array:
    """Cells with their centre in any of the shapes (or touched by one), as bool."""
    parts = [(shape, value) for shape in shapes if shape is not None and not shape.is_empty]
    if not parts:
        return np.zeros(box.shape, dtype=bool)
    found: Array = rasterize(
        parts, out_shape=box.shape, transform=box.affine, all_touched=touched, dtype="uint8"
    )
    return found > 0


class _Reader:
    """Reads factors one after the other onto the cells."""

    def __init__(
        self,
        city: City,
        data: CityData,
        year: int,
        settings: Settings,
        ground: Ground,
        heights: xr.DataArray,
    ) -> None:
        self.city, self.data, self.year = city, data, year
        self.settings, self.ground, self.heights = settings, ground, heights

    def read(self, factor: Factor) -> tuple[str, str, str] | None:
        """Put a factor's values on the ground; why it cannot be had."""
        if factor.kind == "scope_distance":
            return self._scope(factor)
        if factor.kind == "class" and not self.data.has(factor.role, self._year(factor.role)):
            return self._class_raster(factor)
        why = missing_words(self.city, self.data, factor, self._year(factor.role))
        if why is not None:
            return why
        values = getattr(self, f"_{factor.kind}")(factor)
        if isinstance(values, tuple):
            return values
        self.ground.values[factor.id] = values
        return None

    def _year(self, role: str) -> int | None:
        return _year(self.data, role, self.year)

    def _vector(self, factor: Factor) -> Any:
        """Features of the factor's layer that are in force at the end of the year."""
        frame = self.data.vector(factor.role, self._year(factor.role))
        on_date = pd.Timestamp(self.year, 12, 31)
        if "approved" in frame:
            frame = frame[~(pd.to_datetime(frame["approved"]) > on_date)]
        if "ended" in frame:
            frame = frame[~(pd.to_datetime(frame["ended"]) <= on_date)]
        return frame

    def _elevation(self, _: Factor) -> Array:
        found: Array = self.heights.to_numpy().astype(np.float32)
        return found

    def _slope(self, _: Factor) -> Array:
        found: Array = slope(self.heights).to_numpy()
        return found

    def _relief(self, _: Factor) -> Array:
        found: Array = relief(self.heights, self.settings.parameters.relief_window_m).to_numpy()
        return found

    def _raster(self, factor: Factor) -> Array:
        found: Array = (
            on_grid(self.data.raster(factor.role, self._year(factor.role)), self.ground.box)
            .to_numpy()
            .astype(np.float32)
        )
        return found

    def _inside(self, factor: Factor) -> Array:
        return burn(self._vector(factor).geometry, self.ground.box).astype(np.uint8)

    def _field(self, factor: Factor) -> Any:
        frame = self._vector(factor)
        if factor.field not in frame:
            return reason("no_field", field=factor.field)
        codes = np.zeros(self.ground.box.shape, dtype=np.uint8)
        for code, level in enumerate(self.settings.levels(factor), start=1):
            codes[burn(frame.geometry[frame[factor.field].astype(str) == level], self.ground.box)] = code
        return codes

    def _distance(self, factor: Factor) -> Any:
        frame = self._vector(factor)
        levels = self.settings.levels(factor)
        if factor.field and levels:
            if factor.field not in frame:
                return reason("no_field", field=factor.field)
            frame = frame[frame[factor.field].isin(levels)]
        if frame.empty:
            return reason("no_feature")
        return self._metres(burn(frame.geometry, self.ground.box, touched=True))

    def _metres(self, there: Array) -> Any:
        """Distance of each cell's centre to the nearest cell that is there."""
        if not there.any():
            return reason("outside_grid")
        sampling = (abs(float(self.ground.box.affine.e)), abs(float(self.ground.box.affine.a)))
        return distance_transform_edt(~there, sampling=sampling).astype(np.float32)

    def _scope(self, factor: Factor) -> tuple[str, str, str] | None:
        try:
            shape = self.data.scope(factor.scope)
        except LayerMissing:
            return reason("no_scope", scope=factor.scope)
        there = burn([shape], self.ground.box)
        if (there & self.ground.inside).sum() >= COVERS_ALL * self.ground.inside.sum():
            return reason("scope_is_all", scope=factor.scope)
        values = self._metres(there)
        if isinstance(values, tuple):
            return values
        self.ground.values[factor.id] = values
        return None

    def _class(self, factor: Factor) -> Any:
        frame = self.data.vector(factor.role, self._year(factor.role))
        numbers = survey_codes()["raster"].dropna()
        codes = frame["dlbm"].astype(str).map(numbers).fillna(0).astype(int).to_numpy()
        shapes = [(g, c) for g, c in zip(frame.geometry, codes, strict=True) if g is not None and c > 0]
        if not shapes:
            return reason("no_feature")
        return rasterize(
            shapes, out_shape=self.ground.box.shape, transform=self.ground.box.affine, dtype="uint8"
        )

    def _class_raster(self, factor: Factor) -> tuple[str, str, str] | None:
        """Land use from the class raster, where there are no parcels."""
        role = f"{factor.role}_raster"
        if not self.data.has(role, self._year(role)):
            return missing_words(self.city, self.data, factor, self._year(factor.role))
        codes = self.data.raster(role, self._year(role))
        made = xr_reproject(codes, self.ground.box, resampling="nearest", dst_nodata=0)
        self.ground.values[factor.id] = made.to_numpy().astype(np.uint8)
        return None
