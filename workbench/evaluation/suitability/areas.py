"""Areas of classes by zone, present use against the result, and the patches where it stands against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from rasterio.features import shapes
from scipy.ndimage import label

from workbench.core.city import City
from workbench.core.codes import raster_codes
from workbench.evaluation.suitability.ground import Ground
from workbench.evaluation.suitability.settings import Conflict, Settings
from workbench.operators.area import area_m2
from workbench.operators.zonal import class_areas

if TYPE_CHECKING:
    from workbench.catalog.data import CityData

Array = npt.NDArray[Any]


def zones_of(city: City, data: CityData) -> gpd.GeoDataFrame:
    """The city and its zones of every level: ``level, code, name, name_en, key, geometry``."""
    parts = []
    for level in ["city", *city.levels]:
        zones = data.zones(level)
        english = zones["code"].map(_english(city, data, level))
        parts.append(
            zones.assign(level=level, name_en=english.fillna(zones["name"]), key=level + "/" + zones["code"])
        )
    return gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), geometry="geometry", crs=parts[0].crs)


def _english(city: City, data: CityData, level: str) -> dict[str, str]:
    if level == "city":
        return {city.name: city.name_en}
    frame = data.vector(city.levels[level].role)
    if "name_en" not in frame:
        return {}
    return dict(zip(frame[city.levels[level].code].astype(str), frame["name_en"].astype(str), strict=True))


def spread(ground: Ground, cells: Array, values: Array) -> Array:
    """Values of the cells judged as an array on the grid, 0 elsewhere."""
    found = np.zeros(ground.box.shape, dtype=values.dtype)
    found.ravel()[cells] = values
    return found


def zone_areas(
    ground: Ground,
    zones: gpd.GeoDataFrame,
    cells: Array,
    outputs: Mapping[str, Array],
    titles: Mapping[str, list[str]],
) -> pd.DataFrame:
    """Area of each class of each result in each zone.

    Returns
    -------
    DataFrame
        ``output, class, grade, level, zone, zone_name, zone_name_en, area_m2`` (on the ellipsoid), ``share`` (percent of what
        is evaluated in the zone).
    """
    parts = []
    for name, values in outputs.items():
        codes = list(range(1, len(titles[name]) + 1))
        raster = ground.wrap(spread(ground, cells, values), name, nodata=0)
        found = class_areas(raster, zones, zone_id="key", classes=codes)
        total = found.sum(axis=1)
        for code in codes:
            area = found[code].to_numpy()
            with np.errstate(divide="ignore", invalid="ignore"):
                share = np.where(total > 0, 100 * area / total, np.nan)
            parts.append(
                pd.DataFrame(
                    {
                        "output": name,
                        "class": code,
                        "grade": titles[name][code - 1],
                        "level": zones["level"].to_numpy(),
                        "zone": zones["code"].to_numpy(),
                        "zone_name": zones["name"].to_numpy(),
                        "zone_name_en": zones["name_en"].to_numpy(),
                        "area_m2": area,
                        "share": share,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def land_areas(
    ground: Ground, zones: gpd.GeoDataFrame, land: Array, groups: Mapping[str, list[str]]
) -> pd.DataFrame:
    """Area of groups of present land use in each zone, m²; index the zones' key."""
    raster = ground.wrap(land, "land_use", nodata=0)
    found = class_areas(raster, zones, zone_id="key")
    made = {}
    for name, members in groups.items():
        codes = sorted(
            {int(code) for member in members for code in raster_codes(member)} & set(found.columns)
        )
        made[name] = found[codes].sum(axis=1)
    return pd.DataFrame(made)


def conflict_mask(
    one: Conflict, settings: Settings, land: Array, values: Mapping[str, Array], classes: Mapping[str, Array]
) -> Array | None:
    """Cells where present use stands against the result, bool; None where its factor is not there."""
    codes = sorted({int(code) for use in one.uses for code in raster_codes(use)})
    if one.factor:
        if one.factor not in values:
            return None
        against: Array = values[one.factor] > np.float32(one.above or 0.0)
    else:
        against = classes[one.evaluation] == settings.evaluation(one.evaluation).code(one.grade)
    return against & np.isin(land, codes)


def conflicts(
    settings: Settings,
    ground: Ground,
    zones: gpd.GeoDataFrame,
    cells: Array,
    land: Array,
    values: Mapping[str, Array],
    classes: Mapping[str, Array],
) -> tuple[pd.DataFrame, gpd.GeoDataFrame]:
    """Area of each conflict by zone, with its share of the land of that use; and the largest patches.

    Returns
    -------
    DataFrame
        ``conflict, level, zone, zone_name, zone_name_en, area_m2, use_m2, share``.
    GeoDataFrame
        ``conflict, patch, area_m2, zone`` (of the first level), geometry.
    """
    present = land_areas(
        ground, zones, spread(ground, cells, land), {one.id: list(one.uses) for one in settings.conflicts}
    )
    rows, patches = [], []
    for one in settings.conflicts:
        mask = conflict_mask(one, settings, land, values, classes)
        if mask is None:
            continue
        on_grid = spread(ground, cells, mask.astype(np.uint8))
        area = class_areas(ground.wrap(on_grid, one.id, nodata=0), zones, zone_id="key", classes=[1])[1]
        use = present[one.id]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(use > 0, 100 * area / use, np.nan)
        rows.append(
            pd.DataFrame(
                {
                    "conflict": one.id,
                    "level": zones["level"].to_numpy(),
                    "zone": zones["code"].to_numpy(),
                    "zone_name": zones["name"].to_numpy(),
                    "zone_name_en": zones["name_en"].to_numpy(),
                    "area_m2": area.to_numpy(),
                    "use_m2": use.to_numpy(),
                    "share": share,
                }
            )
        )
        patches.append(_patches(one, settings, ground, zones, on_grid))
    columns = ["conflict", "level", "zone", "zone_name", "zone_name_en", "area_m2", "use_m2", "share"]
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)
    found = pd.concat(patches, ignore_index=True) if patches else _no_patches()
    return table, gpd.GeoDataFrame(found, geometry="geometry", crs=zones.crs)


def _no_patches() -> pd.DataFrame:
    return pd.DataFrame({"conflict": [], "patch": [], "area_m2": [], "zone": [], "geometry": []})


def _patches(
    one: Conflict, settings: Settings, ground: Ground, zones: gpd.GeoDataFrame, mask: Array
) -> pd.DataFrame:
    """The largest patches of joined cells, with area on the ellipsoid and the zone their middle lies in."""
    numbered, count = label(mask)
    size = np.bincount(numbered.ravel(), minlength=count + 1)[1:] * ground.cell_m2
    order = np.argsort(-size, kind="stable")[: settings.parameters.patches]
    order = order[size[order] >= settings.parameters.least_patch_m2]
    if not len(order):
        return _no_patches()
    rank = np.zeros(count + 1, dtype=np.int32)
    rank[order + 1] = np.arange(1, len(order) + 1)
    kept = rank[numbered]
    parts: dict[int, list[Any]] = {}
    for shape, number in shapes(kept, mask=kept > 0, transform=ground.box.affine):
        parts.setdefault(int(number), []).append(shapely.geometry.shape(shape))
    geometry = [shapely.union_all(parts[at]) for at in range(1, len(order) + 1)]
    levels = list(dict.fromkeys(zones["level"]))
    lowest = zones[zones["level"] == (levels[1] if len(levels) > 1 else "city")].reset_index(drop=True)
    middle = shapely.point_on_surface(np.array(geometry, dtype=object))
    zone = np.full(len(geometry), "", dtype=object)
    point, of = shapely.STRtree(lowest.geometry.to_numpy()).query(middle, predicate="intersects")
    zone[point[::-1]] = lowest["code"].to_numpy()[of[::-1]]
    return pd.DataFrame(
        {
            "conflict": one.id,
            "patch": np.arange(1, len(order) + 1),
            "area_m2": area_m2(np.array(geometry, dtype=object), zones.crs),
            "zone": zone,
            "geometry": geometry,
        }
    )
