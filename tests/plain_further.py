"""More indicators of the demo city worked out apart from the package: rasters, drives, woods, papers, what land became.

Plain numpy, shapely, scipy and rasterio on the source files; no operator, formula or catalogue.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import rasterio.features
import shapely
from pyproj import Proj
from scipy.ndimage import binary_dilation
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

import workbench
from workbench.samples import truth, truth_walk
from workbench.samples.truth import CITY, CONSTRUCTION, CRS, SETTLED, geod_area

CODE = "demo"
BASE_YEAR = 2019
TABLES = Path(workbench.__file__).parent / "codes"
NOT_URBAN_RURAL = {"1001", "1002", "1003", "1109"}
"""Construction land of regional transport and water works."""
WATER = ("1101", "1102", "1103", "1104", "1104A")
WORSE = {
    "forest": ("grass", "cropland", "construction", "other"),
    "grass": ("cropland", "construction", "other"),
    "cropland": ("construction", "other"),
    "wetland": ("forest", "grass", "cropland", "construction", "other"),
}
KMH = {"motorway": 100, "trunk": 80, "primary": 60, "secondary": 50, "tertiary": 40}
ON_FOOT = ("footway", "path", "steps", "cycleway", "pedestrian", "track")
YARD_M_PER_MIN = 20_000 / 60
WALK_M_PER_MIN = 60.0
COUNTRY_ROADS = ["trunk", "primary", "secondary", "tertiary"]
COVERING = ["供地", "规划许可", "施工", "农转用", "临时用地", "设施农用地"]


def further_values(source: Path, year: int, *, imagery: bool) -> dict[str, pd.Series]:
    """Values of one year by zone code, the whole city under :data:`CODE`."""
    files = truth._Files(source)
    zones = truth._zones(files)
    land = files.parcels(year)
    found = _classes(files, zones, land, year) | _became(files, zones, year)
    found |= _rasters(source, files, zones, year, imagery=imagery) | _drives(files, zones, land, year)
    return found | _papers(files, zones, year) | _things(source, files, zones, land, year)


def _by(codes: Any, weight: Any) -> pd.Series:
    """Sums by zone code and of the city; what lies in no zone is left out."""
    sums = pd.Series(np.asarray(weight, dtype=float)).groupby(np.asarray(codes)).sum()
    sums = sums.drop(labels=[""], errors="ignore")
    return pd.concat([sums, pd.Series({CODE: sums.sum()})])


def _zone_codes(zones: Any, shapes: Any, points: Any) -> Any:
    return np.array([*zones.codes, ""])[truth._which(shapes, points)]


def _classes(files: Any, zones: Any, land: gpd.GeoDataFrame, year: int) -> dict[str, pd.Series]:
    code, m2 = land["dlbm"], files.area(year)
    built = code.isin(CONSTRUCTION)
    core = [
        truth._area_within(land.geometry.to_numpy(), m2, zone) if area > 0 else np.zeros(len(land))
        for zone, area in zip(zones.inner, zones.inner_area, strict=True)
    ]

    def whole(mask: Any) -> pd.Series:
        return _by(land["district"], m2 * np.asarray(mask))

    def inside(mask: Any) -> pd.Series:
        sums = pd.Series({c: float((part * mask).sum()) for c, part in zip(zones.codes, core, strict=True)})
        return pd.concat([sums, pd.Series({CODE: sums.sum()})])

    work = code.isin(["05H1", "0508", "0601", "0809", "08H1", "08H2", "08H2A"])
    return {
        "TJ-B14": whole(work) / whole(code.isin(["0701", "0702"])),
        "SDG-11.7.1a": 100
        * inside(code.isin(["0810", "0810A", "1004"]))
        / inside(built & ~code.isin(NOT_URBAN_RURAL)),
        "SDG-15.1.1": 100 * whole(code.str.startswith("03")) / whole(~code.isin(WATER)),
    }


def _pairs(left: Any, right: Any) -> tuple[Any, Any, Any]:
    """Places of polygons that share ground, and the area they share."""
    at, other = shapely.STRtree(right).query(left, predicate="intersects")
    return at, other, geod_area(shapely.intersection(left[at], right[other]))


def _became(files: Any, zones: Any, year: int) -> dict[str, pd.Series]:
    """Land that changed its class within the year; nothing without a survey of the year before."""
    if not (files.folder / f"land_use_{year - 1}.parquet").exists():
        return {}
    before, now = files.parcels(year - 1), files.parcels(year)
    town = list(SETTLED[:4])
    kinds = {
        "TJ-B12": (
            before["dlbm"].isin(CONSTRUCTION) & before["czcsxm"].isin(town),
            now["dlbm"].isin(CONSTRUCTION) & now["czcsxm"].isin(town),
        ),
        "TJ-D05": (
            before["dlbm"].isin([*CONSTRUCTION, "1204", "1205", "1206", "1207"]),
            now["dlbm"].str[:2].isin(["03", "04"]) | now["dlbm"].isin(["0603", "1105", "1106", "1108"]),
        ),
    }
    found = {}
    for name, (was, is_now) in kinds.items():
        first, second = before[was.to_numpy()], now[is_now.to_numpy()]
        i, j, m2 = _pairs(first.geometry.to_numpy(), second.geometry.to_numpy())
        moved = first["dlbm"].to_numpy()[i] != second["dlbm"].to_numpy()[j]
        sums = _by(second["district"].to_numpy()[j][moved], m2[moved] / 1e6)
        found[name] = sums[sums > 0]
    return found


class Cells:
    """A class raster in zones: the share of every cell that lies in each zone, and the ground area of the cells."""

    def __init__(self, path: Path, shapes: Any) -> None:
        with rasterio.open(path) as raster:
            self.size, self.place = raster.shape, raster.transform
        place, projection = self.place, Proj(CRS)
        x = place.c + place.a * (np.arange(self.size[1]) + 0.5)
        lon, lat = projection(x, np.full(len(x), place.f + place.e * self.size[0] / 2), inverse=True)
        self.cell_m2 = abs(place.a * place.e) / projection.get_factors(lon, lat).areal_scale
        self.shares = [self._share(shape) for shape in shapes]

    def _share(self, shape: Any) -> Any:
        share = np.zeros(self.size)
        parts = [part for part in shapely.get_parts(shapely.get_parts(shape)) if part.geom_type == "Polygon"]
        if not parts:
            return share
        shape = shapely.MultiPolygon(parts)  # an intersection may leave lines beside the surfaces
        draw = {"out_shape": self.size, "transform": self.place}
        share += rasterio.features.rasterize([shape], **draw)
        edge = rasterio.features.rasterize([shape.boundary], all_touched=True, **draw) > 0
        row, column = np.nonzero(binary_dilation(edge, np.ones((3, 3))))
        left, top = self.place.c + self.place.a * column, self.place.f + self.place.e * row
        boxes = shapely.box(left, top + self.place.e, left + self.place.a, top)
        shapely.prepare(shape)
        share[row, column] = shapely.area(shapely.intersection(boxes, shape)) / abs(
            self.place.a * self.place.e
        )
        return share

    def sums(self, values: Any, codes: list[str]) -> pd.DataFrame:
        """Square metres of each number of a raster by zone, and of the city."""
        rows = [np.bincount(values.ravel(), (s * self.cell_m2).ravel(), minlength=256) for s in self.shares]
        table = pd.DataFrame(rows, index=codes)
        table.loc[CODE] = table.sum()
        return table


def _numbers() -> pd.Series:
    table = pd.read_csv(TABLES / "survey_codes.csv", dtype={"code": str})
    return table[table["kind"] == "dlbm"].set_index("code")["raster"].astype(int)


def _main_kind(code: str) -> str:
    first = {"03": "forest", "04": "grass", "01": "cropland"}.get(code[:2])
    if first or code in ("0603", "1105", "1106", "1108"):
        return first or "wetland"
    if code in (*WATER, "1104K", "1107", "1107A", "1110"):
        return "water"
    return "construction" if code in CONSTRUCTION else "other"


def _grid(path: Path, band: int = 1) -> Any:
    with rasterio.open(path) as raster:
        return raster.read(band)


def _rasters(source: Path, files: Any, zones: Any, year: int, *, imagery: bool) -> dict[str, pd.Series]:
    path = source / f"land_use_raster_{year}.tif"
    now, base = _grid(path), _grid(source / f"land_use_raster_{BASE_YEAR}.tif")
    number = _numbers()
    whole, core = Cells(path, zones.shapes), Cells(path, zones.inner)
    table = [whole.sums(one, zones.codes) for one in (base, now)]
    wet = [one[number[list(WATER)]].sum(axis=1) for one in table]
    settled = number[sorted(CONSTRUCTION - NOT_URBAN_RURAL)]
    built = [core.sums(one, zones.codes)[settled].sum(axis=1) for one in (base, now)]
    people = []
    for one in (BASE_YEAR, year):
        cells = files.read(f"population_{one}")
        people.append(_by(_zone_codes(zones, zones.inner, cells.geometry.to_numpy()), cells["population"]))
    kind = np.full(256, "other", dtype=object)
    for code, at in number.items():
        kind[at] = _main_kind(str(code))
    names = sorted(set(kind))
    place = np.array([names.index(one) for one in kind])
    pairs = np.where((base > 0) & (now > 0), place[base] * 8 + place[now] + 1, 0).astype(np.uint8)
    moved = whole.sums(pairs, zones.codes)
    worse = [
        names.index(a) * 8 + names.index(b) + 1 for a, to in WORSE.items() for b in to if {a, b} <= set(names)
    ]
    dry = [k for k in range(1, 256) if (k - 1) // 8 != names.index("water")]
    found = {
        "SDG-11.3.1": (built[1] - built[0]) / built[0] / np.log(people[1] / people[0]),
        "SDG-11.3.1s": built[1] / people[1],
        "SDG-6.6.1": 100 * (wet[1] - wet[0]) / wet[0],
        "SDG-15.3.1": 100 * moved[worse].sum(axis=1) / moved[dry].sum(axis=1),
    }
    return found | (_open_surface(source, zones, core, now, number, year) if imagery else {})


def _open_surface(
    source: Path, zones: Any, core: Cells, cover: Any, number: pd.Series, year: int
) -> dict[str, pd.Series]:
    """Cells that are not sealed, of those seen without cloud in the year's first image."""
    path = source / f"imagery_{year}_1.tif"
    red, nir = (_grid(path, band).astype(float) for band in (3, 4))
    cloud = _grid(source / f"imagery_{year}_1_cloud.tif")
    seen = (red + nir > 0) & (cloud == 0) & (cover > 0)
    sealed = np.isin(cover, number[sorted(CONSTRUCTION)]) & (nir - red < 0.3 * (nir + red))
    kinds = core.sums(np.where(seen, np.where(sealed, 2, 1), 0).astype(np.uint8), zones.codes)
    clear = kinds[1] + kinds[2] >= 0.8 * kinds[[0, 1, 2]].sum(axis=1)
    return {"TJ-A20": (100 * kinds[1] / (kinds[1] + kinds[2]))[clear]}


def drive_minutes(roads: gpd.GeoDataFrame, sources: Any, goals: Any) -> Any:
    """Minutes by road from the nearest source to each goal; the last way to the goal is walked."""
    roads = roads[~roads["road_class"].isin(ON_FOOT)]
    lines = roads.geometry.to_numpy()
    speed = roads["drive_kmh"].where(roads["drive_kmh"] > 0, roads["road_class"].map(KMH).fillna(25))
    pace = 60 / (1000 * speed.to_numpy(dtype=float))
    ends = np.r_[tuple(shapely.get_coordinates(shapely.get_point(lines, k)) for k in (0, -1))]
    _, number = np.unique(np.round(ends * 1000).astype(np.int64), axis=0, return_inverse=True)
    a, b = number.ravel()[: len(lines)], number.ravel()[len(lines) :]
    hub = int(number.max()) + 1
    tree = shapely.STRtree(lines)

    def joined(points: Any) -> tuple[Any, Any, Any]:
        at = tree.query_nearest(points, all_matches=False)[1]
        return at, shapely.distance(lines[at], points), shapely.line_locate_point(lines[at], points)

    length = shapely.length(lines)
    at, gap, along = joined(sources)
    yard = gap / YARD_M_PER_MIN
    rows = np.r_[a, np.full(2 * len(at), hub)]
    columns = np.r_[b, a[at], b[at]]
    time = np.r_[length * pace, yard + along * pace[at], yard + (length[at] - along) * pace[at]]
    edges = pd.DataFrame(
        {"a": np.minimum(rows, columns), "b": np.maximum(rows, columns), "t": np.maximum(time, 1e-9)}
    )
    edges = edges[edges["a"] != edges["b"]].groupby(["a", "b"])["t"].min().reset_index()
    graph = csr_matrix((edges["t"], (edges["a"], edges["b"])), shape=(hub + 1, hub + 1))
    far = dijkstra(graph, directed=False, indices=hub)
    to, off, on = joined(goals)
    best = np.minimum(far[a[to]] + on * pace[to], far[b[to]] + (length[to] - on) * pace[to])
    for edge, start, first in zip(at, along, yard, strict=True):
        same = np.flatnonzero(to == edge)
        best[same] = np.minimum(best[same], first + np.abs(on[same] - start) * pace[edge])
    return best + off / WALK_M_PER_MIN


def _drives(files: Any, zones: Any, land: gpd.GeoDataFrame, year: int) -> dict[str, pd.Series]:
    roads, sites = files.read("roads"), files.read("facilities").groupby("kind").geometry
    region = shapely.union_all(zones.inner)
    west, south, east, north = region.bounds
    x = np.arange(np.floor(west / 100), np.ceil(east / 100)) * 100 + 50
    y = np.arange(np.floor(south / 100), np.ceil(north / 100)) * 100 + 50
    points = shapely.points(*(part.ravel() for part in np.meshgrid(x, y)))
    shapely.prepare(region)
    points = points[shapely.contains(region, points)]
    fast = drive_minutes(roads, sites.get_group("fire_station").to_numpy(), points) <= 5
    within = [shapely.contains(zone, points) for zone in zones.inner]  # a point on a border is in no district
    quick = pd.Series(
        {c: 100 * fast[inside].mean() for c, inside in zip(zones.codes, within, strict=True) if inside.any()}
    )
    quick[CODE] = 100 * fast.mean()
    village = land["czcsxm"].isin(["203", "203A"]).to_numpy()
    homes, m2 = land[village], files.area(year)[village]
    shapes = homes.geometry.to_numpy()
    ward = (
        drive_minutes(roads, sites.get_group("hospital").to_numpy(), shapely.point_on_surface(shapes)) <= 30
    )
    tree = shapely.STRtree(roads.geometry[roads["road_class"].isin(COUNTRY_ROADS)].to_numpy())
    near = np.isin(np.arange(len(shapes)), tree.query(shapes, predicate="dwithin", distance=500.0)[0])
    scopes = files.read("scopes").set_index("scope").geometry
    middle = np.array([scopes["中心城区"].representative_point()])
    cells = files.read(f"population_{year}")
    hour = drive_minutes(roads, middle, cells.geometry.to_numpy()) <= 60
    where = _zone_codes(zones, zones.shapes, cells.geometry.to_numpy())
    return {
        "TJ-A19": quick,
        "TJ-C14": 100 * _by(homes["district"], m2 * ward) / _by(homes["district"], m2),
        "TJ-C15": 100 * _by(homes["district"], m2 * near) / _by(homes["district"], m2),
        "TJ-F04": 100 * _by(where, cells["population"] * hour) / _by(where, cells["population"]),
    }


def _papers(files: Any, zones: Any, year: int) -> dict[str, pd.Series]:
    """Supply from land built before, and change patches of which permits in force cover less than half."""
    permits = files.read("permits")
    supply = permits[(permits["kind"] == "供地") & (permits["approved"].dt.year == year)]
    ground = shapely.intersection(zones.shapes, shapely.union_all(supply.geometry.to_numpy()))
    earlier = {2024: 2019, 2025: 2024}[year]
    before = files.parcels(earlier)
    built = before[before["dlbm"].isin(CONSTRUCTION).to_numpy()].geometry.to_numpy()
    at, _, m2 = _pairs(ground, built)
    all_m2 = pd.Series(geod_area(ground), index=zones.codes)
    stock = pd.Series(np.bincount(at, m2, minlength=len(ground)), index=zones.codes)
    share = 100 * stock / all_m2.where(all_m2 > 0)
    share[CODE] = 100 * stock.sum() / all_m2.sum() if all_m2.sum() else np.nan
    found = {"TJ-B07": share, "TJ-B11": _disposed(permits, zones, year)}
    if not (files.folder / f"change_patches_{year}.parquet").exists():
        return found
    patches = files.read(f"change_patches_{year}")
    types = pd.read_csv(TABLES / "change_patch_codes.csv", dtype={"tblx": str})
    patches = patches[patches["tblx"].isin(types.loc[types["built_or_disturbed"] == 1, "tblx"])]
    permits = permits[permits["kind"].isin(COVERING)]
    areas = permits.geometry.to_numpy()
    bare = []
    tree = shapely.STRtree(areas)
    for day, shape in zip(patches["date_after"], patches.geometry, strict=True):
        mine = permits.iloc[tree.query(shape, predicate="intersects")]
        mine = mine[(mine["approved"] <= day) & (mine["ended"].isna() | (mine["ended"] >= day))]
        under = shapely.intersection(shape, shapely.union_all(mine.geometry.to_numpy()))
        bare.append(under.area < 0.5 * shape.area)
    points = shapely.point_on_surface(patches.geometry.to_numpy())
    return found | {"TJ-A27": _by(_zone_codes(zones, zones.shapes, points), bare)}


def _disposed(permits: gpd.GeoDataFrame, zones: Any, year: int) -> pd.Series:
    """Of the land converted but not supplied at the start of the year, the share that was supplied in it."""
    when = permits["approved"].dt.year

    def ground(kind: str, keep: Any) -> Any:
        return shapely.union_all(permits.geometry[(permits["kind"] == kind) & keep].to_numpy())

    waiting = shapely.difference(ground("农转用", when < year), ground("供地", when < year))
    supplied = shapely.intersection(waiting, ground("供地", when == year))
    parts = [
        _by(zones.codes, geod_area(shapely.intersection(zones.shapes, one))) for one in (waiting, supplied)
    ]
    return 100 * parts[1] / parts[0].where(parts[0] > 0)


def _things(source: Path, files: Any, zones: Any, land: gpd.GeoDataFrame, year: int) -> dict[str, pd.Series]:
    """Heritage sites, floor area of homes for each townsman, people with a wood within a quarter of an hour."""
    sites = files.read("heritage_line")
    end = pd.Timestamp(year, 12, 31)
    sites = sites[(sites["approved"] <= end) & (sites["ended"].isna() | (sites["ended"] > end))]
    middle = shapely.point_on_surface(sites.geometry.to_numpy())
    count = _by(_zone_codes(zones, zones.shapes, middle), np.ones(len(sites)))
    houses = files.read(f"buildings_{year}")
    houses = houses[houses["use"] == "住宅"]
    at, home, m2 = _pairs(zones.shapes, houses.geometry.to_numpy())
    floor = _by(np.array(zones.codes)[at], m2 * houses["floors"].to_numpy()[home])
    town = pd.Series(truth._statistic(files, zones, "population_urban_1e4", year)).rename({CITY: CODE})
    return {
        "TJ-A16": count.reindex([*zones.codes, CODE], fill_value=0.0),
        "TJ-F09": floor / (town * 1e4),
        "TJ-F28": _by_a_wood(files, zones, land, year, 15 * WALK_M_PER_MIN),
    }


def _by_a_wood(files: Any, zones: Any, land: gpd.GeoDataFrame, year: int, limit_m: float) -> pd.Series:
    """Percent of the people of the 城区 with a wood of a hectare within a way on foot."""
    woods = shapely.get_parts(shapely.union_all(land.geometry[land["dlbm"].str.startswith("03")].to_numpy()))
    net = truth_walk.walk_net(files.read("roads"))
    gates = truth_walk.entrances(net, woods[geod_area(woods) >= 10_000])
    cells = files.read(f"population_{year}")
    points, people = cells.geometry.to_numpy(), cells["population"].to_numpy()
    near = truth_walk.walk_m(net, points, gates) <= limit_m
    where = _zone_codes(zones, zones.inner, points)
    return 100 * _by(where, people * near) / _by(where, people)


def wood_bounds(source: Path, year: int, give_m: float = 1.0) -> tuple[pd.Series, pd.Series]:
    """Least and greatest share of people by a wood when each way is a little longer or shorter."""
    files = truth._Files(source)
    zones, land = truth._zones(files), files.parcels(year)
    least, greatest = (
        _by_a_wood(files, zones, land, year, 15 * WALK_M_PER_MIN + give) for give in (-give_m, give_m)
    )
    return least, greatest
