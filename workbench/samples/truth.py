"""What every indicator of the demo city must be, and which planted patches break a line.

No operator of the workbench is used: areas and lengths come from pyproj's Geod, walking distances from
scipy's Dijkstra (``truth_walk``). Conventions:

- **Area** is ellipsoidal (CGCS2000, GRS 80 axes); rings are taken vertex by vertex as geodesics.
- **Zones**: ``city`` is the union of the districts. An indicator of the scope 城区 takes each zone cut to the
  城区; a district with less than one hectare inside has no value.
- **Dates**: a planning line counts for a year when approved by 31 December and not ended by then.
- **Land** is what a parcel's ``dlbm`` and ``czcsxm`` say; 城乡建设用地 is CZCSXM 201, 202, 203 and their A variants.
  Cropland stock sums the stated net area (TBDLMJ). 2024 means the revised edition; ``2024@original`` the first.
- **New construction** is land of a construction class that was of none in the survey before (2024 → 2019).
- **People** are population cells, counted where their centre lies. **Buildings** count for heights where a point
  inside them lies, for density by the footprint inside the zone.
- **On foot**: straight from the cell's centre to the nearest point of the nearest walkable segment, along the network,
  and from the nearest point of the nearest segment straight to the facility; covered when not longer than minutes
  × 60 m. A park or square (at least 400 m²) is entered at the network nodes within 30 m of its polygon, or, where
  there is none, at the node nearest to it.
- **Rail 800 m, hospital 2 km**: straight distance in the plane of the city's CRS.
- **Network densities** are of centre lines by class (``motorway`` to ``residential`` for TJ-B10), geodesic length.
- **Trips to other cities** are those with exactly one end in a planning unit of the city.
- **Park green per person** is of parks of kind ``park``; squares do not count.
- **Violations**: area of a planted patch on the farmland or in the red line in force on the day of its later image, or
  outside the development boundary of that day; it must be reported from 200 m² on. ``permit_state`` is what was planted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import Geod, Transformer

from workbench.samples import truth_walk
from workbench.samples.cover import CODES
from workbench.samples.fabric import Fabric
from workbench.samples.planting import Patch
from workbench.samples.space import CRS, Array

GEOD = Geod(ellps="GRS80")
TOLERANCE_M2 = 200.0
BASE_YEAR = 2019
MU = 2000 / 3
CITY = "city"
CODES_START = "9901"
"""First digits of the codes of the city's districts and units."""
SETTLED = ("201", "201A", "202", "202A", "203", "203A")
CONSTRUCTION = {"05H1", "0508", "0601", "0602", "0701", "0702", "08H1", "08H2", "08H2A", "0809", "0810", "0810A", "09",
                "1001", "1002", "1003", "1004", "1005", "1109", "1201"}  # fmt: skip
WALKS = {"TJ-F10": ("community_health", 15), "TJ-F13": ("primary_school", 10), "TJ-F14": ("middle_school", 15),
         "TJ-F15": ("elderly_care", 5), "TJ-F17": ("culture", 15), "TJ-F18": ("market", 10), "TJ-F21": ("sports", 15)}  # fmt: skip
STREETS = ["motorway", "trunk", "primary", "secondary", "tertiary", "residential"]
Values = dict[str, dict[str, float]]


def _to_degrees(shapes: Array) -> Array:
    move = Transformer.from_crs(CRS, "EPSG:4490", always_xy=True)

    def both(xy: Array) -> Array:
        return np.column_stack(move.transform(xy[:, 0], xy[:, 1]))

    turned: Array = shapely.transform(shapes, both)
    return turned


def geod_area(shapes: Any) -> Array:
    """Ellipsoidal area of polygons in m²; 0 for what has none."""
    flat = np.asarray(shapes, dtype=object)
    parts, owner = shapely.get_parts(_to_degrees(flat), return_index=True)
    polygon = shapely.get_type_id(parts) == 3
    parts, owner = parts[polygon], owner[polygon]
    rings, part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    ends = np.searchsorted(ring, np.arange(len(rings) + 1))
    lon, lat = np.ascontiguousarray(xy[:, 0]), np.ascontiguousarray(xy[:, 1])
    size = np.array(
        [abs(GEOD.polygon_area_perimeter(lon[i:j], lat[i:j])[0]) for i, j in pairwise(ends.tolist())]
    )
    hole = np.r_[False, part[1:] == part[:-1]] if len(part) else np.zeros(0, dtype=bool)
    found: Array = np.bincount(owner[part], np.where(hole, -size, size), minlength=len(flat))
    return found


def geod_length(shapes: Any) -> Array:
    """Geodesic length of lines in m; 0 for what has none."""
    flat = np.asarray(shapes, dtype=object)
    parts, owner = shapely.get_parts(_to_degrees(flat), return_index=True)
    found = np.zeros(len(flat))
    for part, k in zip(parts, owner, strict=True):
        if part.geom_type in ("LineString", "LinearRing") and not part.is_empty:
            found[k] += GEOD.geometry_length(part)
    return found


@dataclass(frozen=True)
class _Files:
    """The written layers, read back."""

    folder: Path
    areas: dict[int, Array] = field(default_factory=dict)
    unions: dict[tuple[str, bytes], Any] = field(default_factory=dict)

    def read(self, name: str) -> Any:
        return gpd.read_parquet(self.folder / f"{name}.parquet")

    def line(self, role: str, year: int) -> Any:
        """A planning line as it was at the end of a year."""
        return self.line_on(role, pd.Timestamp(year, 12, 31))

    def line_on(self, role: str, day: pd.Timestamp) -> Any:
        """A planning line as it was on a day."""
        frame = self.read(role)
        keep = (frame["approved"] <= day) & (frame["ended"].isna() | (frame["ended"] > day))
        key = (role, keep.to_numpy().tobytes())
        if key not in self.unions:
            self.unions[key] = shapely.union_all(frame.geometry[keep].to_numpy())
        return self.unions[key]

    def parcels(self, year: int, edition: str = "latest") -> Any:
        return self.read(
            "land_use_2024_revised" if year == 2024 and edition == "latest" else f"land_use_{year}"
        )

    def area(self, year: int) -> Array:
        """Area of each parcel of a year's latest edition in m²."""
        if year not in self.areas:
            self.areas[year] = geod_area(self.parcels(year).geometry.to_numpy())
        return self.areas[year]


@dataclass(frozen=True)
class _Zones:
    """Districts and their parts in the 城区, with areas."""

    codes: list[str]
    shapes: Array
    inner: Array
    area: Array
    inner_area: Array


def _zones(files: _Files) -> _Zones:
    districts = files.read("districts")
    scopes = files.read("scopes").set_index("scope").geometry
    shapes = districts.geometry.to_numpy()
    inner = shapely.intersection(shapes, scopes["城区"])
    return _Zones(list(districts["code"]), shapes, inner, geod_area(shapes), geod_area(inner))


def _sum(zones: _Zones, code: Any, weight: Any) -> dict[str, float]:
    sums = pd.Series(np.asarray(weight, dtype=float)).groupby(np.asarray(code)).sum()
    by_zone = {c: float(sums.get(c, 0.0)) for c in zones.codes}
    return {CITY: float(sum(by_zone.values())), **by_zone}


def _per(top: dict[str, float], bottom: dict[str, float], scale: float = 1.0) -> dict[str, float]:
    return {zone: top[zone] / bottom[zone] * scale for zone in top if bottom.get(zone, 0.0) > 0}


def _area_within(shapes: Array, area: Array, region: Any) -> Array:
    """Area of polygons inside a region; those wholly inside keep theirs."""
    shapely.prepare(region)
    whole = shapely.contains(region, shapes)
    found: Array = np.where(whole, area, 0.0)
    some = ~whole & shapely.intersects(region, shapes)
    found[some] = geod_area(shapely.intersection(shapes[some], region))
    return found


def _land(files: _Files, zones: _Zones, year: int) -> tuple[Values, dict[str, float]]:
    """Indicators of land classes and of lines, and the construction land of each zone in m²."""
    land = files.parcels(year)
    area, code, where = files.area(year), land["dlbm"], land["district"]
    group = code.str[:2]
    settled = land["czcsxm"].isin(SETTLED)

    def total(mask: Any, scale: float) -> dict[str, float]:
        return _sum(zones, where, area * np.asarray(mask) * scale)

    whole = {CITY: float(zones.area.sum()), **dict(zip(zones.codes, zones.area, strict=True))}
    built = total(code.isin(CONSTRUCTION), 1.0)
    values: Values = {
        "TJ-A06": total(code.isin(["1106", "1108", "0402", "0303", "0304", "0306", "1105"]), 1e-6),
        "TJ-A07": _per(total(code.isin(["1101", "1102"]), 100.0), whole),
        "TJ-A11": _sum(zones, where, land["net_area_m2"] * (group == "01") / MU / 1e4),
        "TJ-B08": _per(total(settled & (code == "0601"), 100.0), total(settled, 1.0)),
        "TJ-C03": {zone: value / 1e6 for zone, value in built.items()},
        "TJ-C04": total(settled, 1e-6),
        "TJ-D01": _per(total(group == "03", 100.0), whole),
        "TJ-D03": total(group == "03", 1e-6),
    }
    for name, roles, scale in (
        ("TJ-A10", ["permanent_farmland"], 1 / MU / 1e4), ("TJ-A13", ["ecological_red_line"], 1e-6),
        ("TJ-A15", ["heritage_line", "purple_line"], 1e-6), ("PL-01", ["development_boundary"], 1e-6),
    ):  # fmt: skip
        shape = shapely.union_all([files.line(role, year) for role in roles])
        values[name] = _sum(zones, zones.codes, geod_area(shapely.intersection(zones.shapes, shape)) * scale)
    for name, role in (("TJ-A14", "ecological_red_line"), ("TJ-C09", "development_boundary")):
        pieces = land[settled]
        inside = _area_within(pieces.geometry.to_numpy(), area[settled], files.line(role, year))
        values[name] = _sum(zones, pieces["district"], inside * 1e-6)
    towns = total(land["czcsxm"].isin(SETTLED[:4]), 1.0)
    values["TJ-C11"] = _per(towns, _statistic(files, zones, "population_urban_1e4", year), 1e-4)
    return values, built


def _statistic(files: _Files, zones: _Zones, item: str, year: int) -> dict[str, float]:
    table = pd.read_parquet(files.folder / "statistics.parquet")
    table = table[(table["item"] == item) & (table["year"] == year)].sort_values("edition", kind="stable")
    rows = table.drop_duplicates("zone", keep="last").set_index("zone")["value"]  # "revised" after "original"
    return {zone: float(rows[zone]) for zone in [CITY, *zones.codes]}


def _economy(files: _Files, zones: _Zones, year: int, built: dict[str, float]) -> Values:
    """Indicators with figures from the tables."""
    output = _statistic(files, zones, "gdp_1e8_cny", year)
    base = files.parcels(BASE_YEAR)
    area = files.area(BASE_YEAR) * base["dlbm"].isin(CONSTRUCTION)
    before = _per(_sum(zones, base["district"], area), _statistic(files, zones, "gdp_1e8_cny", BASE_YEAR))
    now = _per(built, output)
    return {
        "TJ-C01": _statistic(files, zones, "population_1e4", year),
        "TJ-D07": {zone: value * 1e-4 for zone, value in now.items()},
        "PL-02": {zone: (1 - now[zone] / before[zone]) * 100 for zone in now if before.get(zone, 0) > 0},
    }


def _which(zones: Array, points: Array) -> Array:
    """Index of the first zone that holds each point, -1 for none."""
    found = np.full(len(points), -1)
    for k in range(len(zones) - 1, -1, -1):
        shapely.prepare(zones[k])
        found[shapely.intersects(zones[k], points)] = k
    return found


def _shares(zones: _Zones, where: Array, people: Array, covered: Array) -> dict[str, float]:
    code = np.array([*zones.codes, ""])[where]
    return _per(_sum(zones, code, people * covered), _sum(zones, code, people), 100.0)


def _coverage(files: _Files, zones: _Zones, year: int) -> Values:
    """Shares of the 城区's people with something in reach, and figures per person."""
    cells = files.read(f"population_{year}")
    points, people = cells.geometry.to_numpy(), cells["population"].to_numpy()
    where = _which(zones.inner, points)
    net = truth_walk.walk_net(files.read("roads"))
    sites = files.read("facilities").groupby("kind").geometry
    far = {
        kind: truth_walk.walk_m(net, points, sites.get_group(kind).to_numpy()) for kind, _ in WALKS.values()
    }
    reached = {name: far[kind] <= minutes * 60 for name, (kind, minutes) in WALKS.items()}
    values = {name: _shares(zones, where, people, mask) for name, mask in reached.items()}
    values["TJ-F06"] = _shares(zones, where, people, np.logical_and.reduce(list(reached.values())))
    parks = files.read("parks")
    green = parks.geometry.to_numpy()
    gates = truth_walk.entrances(net, green[geod_area(green) >= 400])
    values["TJ-F26"] = _shares(zones, where, people, truth_walk.walk_m(net, points, gates) <= 300)
    rail, bus = files.read("rail_stations").geometry.to_numpy(), files.read("bus_stops").geometry.to_numpy()
    near = (truth_walk.walk_m(net, points, bus) <= 500) | (truth_walk.walk_m(net, points, rail) <= 1000)
    values["SDG-11.2.1"] = _shares(zones, where, people, near)
    values["TJ-F05"] = _shares(zones, where, people, truth_walk.within_m(points, rail, 800))
    hospitals = sites.get_group("hospital").to_numpy()
    values["TJ-F11"] = _shares(zones, where, people, truth_walk.within_m(points, hospitals, 2000))
    crowd = _sum(zones, np.array([*zones.codes, ""])[where], people)
    inner = {CITY: float(zones.inner_area.sum()), **dict(zip(zones.codes, zones.inner_area, strict=True))}
    values["TJ-C02"] = _per(crowd, inner, 1e2)
    lawn = shapely.union_all(green[(parks["kind"] == "park").to_numpy()])
    values["TJ-F25"] = _per(
        _sum(zones, zones.codes, geod_area(shapely.intersection(zones.inner, lawn))), crowd
    )
    return values


def _built(files: _Files, zones: _Zones, year: int) -> Values:
    """Buildings, networks and counts."""
    houses = files.read(f"buildings_{year}")
    shapes = houses.geometry.to_numpy()
    where = _which(zones.inner, shapely.point_on_surface(shapes))
    tall = (houses["height_m"] > 100).to_numpy()
    inner = {CITY: float(zones.inner_area.sum()), **dict(zip(zones.codes, zones.inner_area, strict=True))}
    whole = {CITY: float(zones.area.sum()), **dict(zip(zones.codes, zones.area, strict=True))}
    tree, size = shapely.STRtree(shapes), geod_area(shapes)
    floor = []
    for zone in zones.inner:
        hits = tree.query(zone, predicate="intersects")
        shapely.prepare(zone)
        full = shapely.contains(zone, shapes[hits])
        cut = geod_area(shapely.intersection(shapes[hits[~full]], zone))
        floor.append(float(size[hits[full]].sum() + cut.sum()))
    roads = files.read("roads")
    schools = files.read("facilities").query("kind == 'university'").geometry.to_numpy()

    def length(lines: Array, cut: Array) -> dict[str, float]:
        merged = shapely.multilinestrings([line for line in shapely.get_parts(lines)])
        return _sum(zones, zones.codes, geod_length(shapely.intersection(cut, merged)))

    motor = roads.geometry[roads["road_class"] == "motorway"].to_numpy()
    street = roads.geometry[roads["road_class"].isin(STREETS)].to_numpy()
    code = np.array([*zones.codes, ""])
    return {
        "TJ-A22": {z: v for z, v in _sum(zones, code[where], tall).items() if inner[z] > 1e4},
        "TJ-B04": _sum(zones, code[_which(zones.shapes, schools)], np.ones(len(schools))),
        "TJ-B10": _per(length(street, zones.inner), inner, 1e3),
        "TJ-C05": _per(_sum(zones, zones.codes, floor), inner, 100.0),
        "TJ-E04": _per(length(motor, zones.shapes), whole, 1e3),
        "TJ-E05": _per(length(files.read("rail_lines").geometry.to_numpy(), zones.shapes), whole, 1e3),
    }


def _journeys(files: _Files, year: int) -> Values:
    """Daily trips with exactly one end in the city, in ten thousands."""
    flows = pd.read_parquet(files.folder / f"od_flows_{year}.parquet")
    here = [flows[end].str.startswith(CODES_START) for end in ("origin", "destination")]
    return {"TJ-E06": {CITY: float(flows.loc[here[0] != here[1], "people"].sum()) / 1e4}}


def _growth(files: _Files, zones: _Zones, fabric: Fabric, district: Array, year: int) -> Values:
    """New construction outside the boundary in ha, and change patches on permanent farmland in mu."""
    at = {2024: 2, 2025: 3}[year]
    stands = np.isin(fabric.codes, [k for k, code in enumerate(CODES) if code in CONSTRUCTION])
    new = stands[:, at] & ~stands[:, at - 1]
    out = geod_area(shapely.difference(fabric.shapes[new], files.line("development_boundary", year)))
    values = {"PL-03": _sum(zones, district[fabric.unit[new] - 1], out * 1e-4)}
    if year == 2025:
        patches = files.read("change_patches_2025").geometry.to_numpy()
        on_farm = shapely.union_all(shapely.intersection(patches, files.line("permanent_farmland", year)))
        values["PL-04"] = _sum(
            zones, zones.codes, geod_area(shapely.intersection(zones.shapes, on_farm)) / (MU)
        )
    return values


def violations(files: _Files, zones: _Zones, patches: list[Patch], fabric: Fabric) -> gpd.GeoDataFrame:
    """Every planted patch and line it lies on the wrong side of, with what must be reported."""
    rows = []
    roles = ("permanent_farmland", "ecological_red_line", "development_boundary")
    ended = {role: shapely.union_all(files.read(role).geometry.to_numpy()) for role in roles}
    for number, patch in enumerate(patches):
        pieces = np.flatnonzero(fabric.planted == number + 1)
        largest = pieces[shapely.area(fabric.shapes[pieces]).argmax()]
        where = zones.codes[int(_which(zones.shapes, np.array([patch.shape.representative_point()]))[0])]
        for role in roles:
            line = files.line_on(role, pd.Timestamp(patch.date_after))
            outside = role == "development_boundary"
            wrong = patch.shape.difference(line) if outside else patch.shape.intersection(line)
            dated = not outside and wrong.is_empty and patch.shape.intersects(ended[role])
            area = float(geod_area([wrong])[0])
            if area < 0.5 and not dated:
                continue
            rows.append(
                {
                    "patch": number + 1, "line": role, "host": patch.host, "kind": patch.trick, "area_m2": area,
                    "reported": area >= TOLERANCE_M2, "permit_state": patch.state, "district": where,
                    "before_dlbm": CODES[fabric.codes[largest, -2]], "after_dlbm": patch.after,
                    "date_before": "2024-11-18", "date_after": patch.date_after, "geometry": patch.shape,
                }
            )  # fmt: skip
    return gpd.GeoDataFrame(rows, crs=CRS)


def unpermitted(files: _Files) -> gpd.GeoDataFrame:
    """Buildings finished in 2025 whose middle no authorising permit in force on that day covers."""
    houses = files.read("buildings_2025")
    houses = houses[houses["completed"] >= "2025-01-01"].reset_index(drop=True)
    permits = files.read("permits")
    permits = permits[permits["kind"].isin(["农转用", "供地", "规划许可", "施工", "核实", "临时用地"])]
    middle = shapely.centroid(houses.geometry.to_numpy())
    house, permit = shapely.STRtree(permits.geometry.to_numpy()).query(middle, predicate="intersects")
    day = houses["completed"].to_numpy()[house]
    approved, ended = permits["approved"].to_numpy()[permit], permits["ended"].to_numpy()[permit]
    good = (approved <= day) & (np.isnat(ended) | (ended > day))
    missing: gpd.GeoDataFrame = houses[~houses.index.isin(np.unique(house[good]))].reset_index(drop=True)
    return missing


def write_truth(folder: Path, patches: list[Patch], fabric: Fabric, unit_district: Array) -> None:
    """Write ``truth/`` beside the layers: values.json, areas.json, violations.parquet, unpermitted.parquet."""
    files = _Files(folder)
    zones = _zones(files)
    out = folder / "truth"
    out.mkdir()
    values: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for year in (2024, 2025):
        land, built = _land(files, zones, year)
        parts = (
            land, _economy(files, zones, year, built), _coverage(files, zones, year), _built(files, zones, year),
            _growth(files, zones, fabric, unit_district, year), _journeys(files, year),
        )  # fmt: skip
        for part in parts:
            for name, by_zone in part.items():
                _put(values, name, str(year), by_zone)
    first = files.parcels(2024, "original")
    stock = first["net_area_m2"] * first["dlbm"].str.startswith("01") / MU / 1e4
    _put(values, "TJ-A11", "2024@original", _sum(zones, first["district"], stock))
    for year in (2024, 2025):
        land_now = files.parcels(year)
        wet = files.area(year) * land_now["dlbm"].isin(["1101", "1102", "1103"])
        whole = {CITY: float(zones.area.sum()), **dict(zip(zones.codes, zones.area, strict=True))}
        _put(
            values,
            "TJ-A07",
            f"{year}@definition:0",
            _per(_sum(zones, land_now["district"], wet * 100), whole),
        )
    (out / "values.json").write_text(json.dumps(values, ensure_ascii=False, indent=1, sort_keys=True))
    areas = {
        "city_m2": float(zones.area.sum()), "districts_m2": dict(zip(zones.codes, zones.area.tolist(), strict=True)),
        "urban_m2": dict(zip(zones.codes, zones.inner_area.tolist(), strict=True)),
    }  # fmt: skip
    (out / "areas.json").write_text(json.dumps(areas, indent=1, sort_keys=True))
    violations(files, zones, patches, fabric).to_parquet(out / "violations.parquet")
    unpermitted(files).to_parquet(out / "unpermitted.parquet")


def _put(values: Any, name: str, year: str, by_zone: dict[str, float]) -> None:
    """File values under indicator, level, zone code and year."""
    entry = values.setdefault(name, {"city": {}, "district": {}})
    for zone, value in by_zone.items():
        level, code = ("city", "demo") if zone == CITY else ("district", zone)
        entry[level].setdefault(code, {})[year] = value
