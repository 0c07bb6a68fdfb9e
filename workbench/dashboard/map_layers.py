"""What lies on the dashboard's map: shapes in degrees, land use as a picture, control lines, water and roads."""

from __future__ import annotations

import base64
import io
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.views import style
from workbench.views.cartography import label_point, land_group, layer, raster_groups
from workbench.views.maps import THREE_LINES, in_force
from workbench.views.rows import district_names

if TYPE_CHECKING:
    import geopandas as gpd
    from shapely.geometry import Point

    from workbench.views.source import CheckupView

WGS84 = "EPSG:4326"
WEB = "EPSG:3857"
LINE_LOOKS = {
    "permanent_farmland": ("#c9a21a", "#f6e08a", 0.45),
    "ecological_red_line": ("#b03a2e", "#8fc79a", 0.45),
    "development_boundary": ("#1f4e9c", "#f5b7a1", 0.12),
}
"""Control line → colour of its edge, of its inside, and how much the inside covers."""
WATER = "water"
"""Land group drawn as water, as on the maps of land use."""
WATER_LEAST_M2 = 10_000.0
"""Smaller waters are left out; neighbouring parcels count as one."""
ROADS = {"motorway": 2.4, "trunk": 1.9, "primary": 1.3}
"""Roads that help to find one's way → width in pixels."""


@dataclass(frozen=True)
class Overlay:
    """A picture and where it lies."""

    url: str
    """PNG as data URI; its rows are equally spaced in EPSG:3857."""
    bounds: tuple[tuple[float, float], tuple[float, float]]
    """((south, west), (north, east)) in degrees, as Leaflet wants them."""


def degrees(shapes: gpd.GeoDataFrame, tolerance_m: float) -> gpd.GeoDataFrame:
    """Shapes simplified and in longitude and latitude."""
    slim = shapes.copy()
    slim.geometry = slim.geometry.simplify(tolerance_m)
    found: gpd.GeoDataFrame = slim[~slim.geometry.is_empty].to_crs(WGS84)
    return found


def features(shapes: gpd.GeoDataFrame, columns: list[str]) -> dict[str, Any]:
    """Shapes as GeoJSON with five decimals (about a metre)."""
    rounded = shapes[[*columns, "geometry"]].copy()
    rounded.geometry = rounded.geometry.set_precision(1e-5)
    made: dict[str, Any] = json.loads(rounded.to_json(drop_id=True))
    return made


def zoom_for(
    west: float, south: float, east: float, north: float, *, width: int = 700, height: int = 500
) -> float:
    """Leaflet zoom, in quarters, at which a box in degrees fits a map of so many pixels.

    Examples
    --------
    >>> zoom_for(-180.0, -85.0, 180.0, 85.0, width=512, height=512)
    1.0
    """

    def mercator(latitude: float) -> float:
        return math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))

    across = width / 256 * 360 / max(east - west, 1e-9)
    up = height / 256 * 2 * math.pi / max(mercator(north) - mercator(south), 1e-9)
    return math.floor(math.log2(min(across, up)) * 4) / 4


def land_use_overlay(checkup: CheckupView, *, cells: int = 900) -> Overlay | None:
    """Land use of the year as a picture for the map; None where the city has none.

    The class raster is warped to EPSG:3857 by nearest neighbour, because Leaflet stretches a picture linearly in
    Mercator; parcels are drawn into a raster first.
    """
    import rasterio.features
    from PIL import Image
    from rasterio.transform import from_bounds

    crs = checkup.city.crs
    if checkup.data.has("land_use_raster", checkup.year):
        groups, transform = _raster_of_groups(checkup, cells)
    elif checkup.data.has("land_use", checkup.year):
        parcels = checkup.data.vector("land_use", checkup.year)
        minx, miny, maxx, maxy = parcels.total_bounds
        side = max(maxx - minx, maxy - miny) / cells
        height, width = math.ceil((maxy - miny) / side), math.ceil((maxx - minx) / side)
        transform = from_bounds(minx, miny, maxx, maxy, width, height)
        shapes = zip(parcels.geometry, land_group(parcels["dlbm"]).astype(int) + 1, strict=True)
        groups = rasterio.features.rasterize(shapes, (height, width), transform=transform, dtype="uint8")
    else:
        return None
    warped, place = to_web(groups[None], transform, crs, "nearest", dst_width=cells, dst_height=cells)
    image = Image.fromarray(warped[0], "P")
    palette = [255, 255, 255]
    for colour, _ in style.LAND_GROUPS.values():
        palette += [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    image.putpalette(palette)
    return picture(image, place, optimize=True, transparency=0)


def to_web(
    bands: Any, transform: Any, crs: Any, resampling: str, **size: int
) -> tuple[Any, tuple[tuple[float, float], tuple[float, float]]]:
    """Bands (band, row, column) of bytes warped to EPSG:3857, and their corners in degrees as Leaflet wants them."""
    import rasterio.warp
    from rasterio.transform import array_bounds

    rows, columns = bands.shape[1:]
    bounds = array_bounds(rows, columns, transform)
    target, width, height = rasterio.warp.calculate_default_transform(
        crs, WEB, columns, rows, *bounds, **size
    )
    warped = np.zeros((len(bands), height, width), np.uint8)
    rasterio.warp.reproject(
        bands, warped, src_transform=transform, src_crs=crs, dst_transform=target, dst_crs=WEB,
        resampling=rasterio.warp.Resampling[resampling],
    )  # fmt: skip
    west, south, east, north = rasterio.warp.transform_bounds(
        WEB, WGS84, *array_bounds(height, width, target)
    )
    return warped, ((south, west), (north, east))


def picture(image: Any, place: tuple[tuple[float, float], tuple[float, float]], **options: Any) -> Overlay:
    """An image of Pillow as PNG inside the page."""
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return Overlay("data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii"), place)


def control_lines(checkup: CheckupView) -> dict[str, dict[str, Any]]:
    """The three control lines in force as GeoJSON, by role; those the city has."""
    made = {}
    for role in THREE_LINES:
        shapes = layer(checkup, role)
        if shapes is not None:
            slim = degrees(in_force(shapes, checkup.year)[["geometry"]].dissolve(), 20)
            made[role] = features(slim, [])
    return made


def water_of(checkup: CheckupView) -> gpd.GeoDataFrame | None:
    """Waters of the land use of the year, from its parcels or its class raster; None where the city has neither."""
    import geopandas as gpd
    from shapely.geometry import shape

    place = list(style.LAND_GROUPS).index(WATER)
    crs = checkup.city.crs
    if checkup.data.has("land_use", checkup.year):
        parcels = checkup.data.vector("land_use", checkup.year)
        found = parcels.loc[land_group(parcels["dlbm"]) == place, ["geometry"]]
        found = found.dissolve().explode(ignore_index=True) if len(found) else found
    elif checkup.data.has("land_use_raster", checkup.year):
        import rasterio.features

        groups, transform = _raster_of_groups(checkup, 900)
        hits = rasterio.features.shapes(groups, mask=groups == place + 1, transform=transform)
        found = gpd.GeoDataFrame(geometry=[shape(one) for one, _ in hits], crs=crs)
    else:
        return None
    return gpd.GeoDataFrame(found[found.area > WATER_LEAST_M2])


def _raster_of_groups(checkup: CheckupView, cells: int) -> tuple[Any, Any]:
    """Land groups (from 1; 0: none) of the class raster, thinned to at most twice so many cells, and its transform."""
    from rasterio.transform import from_bounds

    raster = checkup.data.raster("land_use_raster", checkup.year).squeeze(drop=True)
    step = max(1, max(raster.shape) // (2 * cells))
    groups = (raster_groups(np.asarray(raster.values)[::step, ::step]) + 1).astype(np.uint8)
    xs, ys = raster["x"].to_numpy(), raster["y"].to_numpy()
    half = abs(float(xs[1] - xs[0])) / 2
    left, top = float(xs.min()) - half, float(ys.max()) + half
    transform = from_bounds(
        left, top - groups.shape[0] * 2 * half * step, left + groups.shape[1] * 2 * half * step, top,
        groups.shape[1], groups.shape[0],
    )  # fmt: skip
    return groups, transform


def surroundings(checkup: CheckupView) -> dict[str, dict[str, Any]]:
    """Water, main roads and rail as GeoJSON for finding one's way; those the city has.

    Water carries no property, roads their width in pixels as ``width``.
    """
    made: dict[str, dict[str, Any]] = {}
    water = water_of(checkup)
    if water is not None and len(water):
        made["water"] = features(degrees(water.dissolve(), 20), [])
    roads = layer(checkup, "roads")
    if roads is not None and "road_class" in roads:
        main = roads[roads["road_class"].isin(ROADS)]
        if len(main):
            merged = main[["road_class", "geometry"]].dissolve("road_class", as_index=False)
            merged.geometry = merged.geometry.line_merge()
            merged["width"] = merged["road_class"].map(ROADS)
            made["roads"] = features(degrees(merged, 12), ["width"])
    rail = layer(checkup, "rail_lines")
    if rail is not None:
        made["rail"] = features(degrees(rail[["geometry"]].dissolve(), 12), [])
    return made


def inner_point(shape: Any) -> Point:
    """Point for a mark or a name, inside the shape."""
    from shapely.geometry import Point

    return Point(*label_point(shape))


def case_points(cases: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """A point inside each patch, with its level."""
    import geopandas as gpd

    inside = [inner_point(shape) for shape in cases.geometry]
    return gpd.GeoDataFrame({"level": cases["level"].astype(int).to_numpy()}, geometry=inside, crs=cases.crs)


def district_values(checkup: CheckupView, indicator: str) -> dict[str, dict[str, Any]]:
    """Row of the value table by district code, for one indicator."""
    from workbench.views.numbers import records

    values = checkup.values
    rows = values[(values["indicator"] == indicator) & (values["level"] == "district")]
    rows = rows[(rows["year"] == checkup.year) & (rows["tier"] != "target")]
    return {str(row["zone"]): row for row in records(rows)}


def present_groups(overlay: Overlay) -> list[str]:
    """Land groups that appear in a picture, in the order of the palette."""
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(overlay.url.split(",", 1)[1])))
    names = list(style.LAND_GROUPS)
    return [
        names[at - 1] for at in sorted(set(np.unique(np.asarray(picture)).tolist()) - {0}) if at <= len(names)
    ]


def names_of_districts(checkup: CheckupView, lang: str) -> dict[str, str]:
    """District code → name in the language; the Chinese one where the layer has no English names."""
    if lang == "en" and checkup.data.has("districts"):
        found = checkup.data.vector("districts")
        if "name_en" in found and found["name_en"].notna().all():
            return dict(zip(found["code"].astype(str), found["name_en"].astype(str), strict=True))
    return district_names(checkup)
