"""Figures of Singapore and Shenzhen twice: from the value table, and by plain geopandas in a plane of another zone.

Also the offsets by which the coordinates of Shenzhen's layers are told to be WGS 84 or GCJ-02.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from harness import data_root, record, write_section

from workbench.core import gcj02
from workbench.core.city import load_city
from workbench.indicators.compute import compute

SINGAPORE = (("Singapore", "singapore"), ("Bedok", "BD"), ("Yishun", "YS"))
SHENZHEN = (
    ("Shenzhen", "shenzhen", None),
    ("Futian", "440304", "福田区"),
    ("Longgang with Dapeng", "440307", "龙岗区"),
)


def values(city: str, year: int, ids: list[str]) -> pd.Series:
    table = compute(load_city(city, data_root()), year, ids)
    return table.set_index(["indicator", "zone"])["value"]


def singapore() -> dict[str, tuple[float, float]]:
    """People, density and parks per head in 2020; the peer measures in the plane of UTM 48N."""
    path = data_root() / "city/singapore/singapore.gpkg"
    zones = gpd.read_file(path, layer="subzones_population_2018_2020").to_crs("EPSG:32648")
    parks = gpd.read_file(path, layer="parks_osm").query("leisure == 'park'").to_crs("EPSG:32648")
    ours = values("singapore", 2020, ["TJ-C01", "TJ-C02", "TJ-F25"])
    out = {}
    for name, code in SINGAPORE:
        part = zones if code == "singapore" else zones[zones["pln_area_c"] == code]
        people, km2 = part["pop_2020"].sum(), part.area.sum() / 1e6
        green = gpd.overlay(parks[["geometry"]], part[["geometry"]], keep_geom_type=True).area.sum()
        out[f"{name}: residents (10,000)"] = ours["TJ-C01", code], people / 1e4
        out[f"{name}: residents per km² (10,000)"] = ours["TJ-C02", code], people / 1e4 / km2
        out[f"{name}: park per resident (m²)"] = ours["TJ-F25", code], green / people
    return out


def shenzhen() -> dict[str, tuple[float, float]]:
    """Share of area within 800 m of a station in 2023 (peer: plane of UTM 50N), and people in 2016."""
    folder = data_root() / "city/shenzhen"
    districts = gpd.read_file(folder / "districts.gpkg").to_crs("EPSG:32650")
    near = (
        gpd.read_file(folder / "metro.gpkg", layer="stations").to_crs("EPSG:32650").buffer(800, quad_segs=64)
    )
    circles = gpd.GeoDataFrame(geometry=[near.union_all()], crs="EPSG:32650")
    people = pd.read_csv(
        folder / "district_stats/total_land_area_population_and_density_by_district.csv", index_col=0
    ).iloc[:, 1]
    now, then = values("shenzhen", 2023, ["TJ-F05"]), values("shenzhen", 2016, ["TJ-C01"])
    counted = {"Shenzhen": people["Total"], "Futian": people["Futian"]}
    counted["Longgang with Dapeng"] = people["Longgang"] + people["Dapeng"]
    out = {}
    for name, code, zh in SHENZHEN:
        part = districts if zh is None else districts[districts["name"] == zh]
        share = 100 * gpd.overlay(part, circles, keep_geom_type=True).area.sum() / part.area.sum()
        out[f"{name}: area within 800 m of a station (%)"] = now["TJ-F05", code], share
        out[f"{name}: residents in 2016 (10,000)"] = then["TJ-C01", code], counted[name]
    return out


def inside(shape: object, points: tuple[np.ndarray, np.ndarray]) -> tuple[int, int]:
    """Points inside a shape (or each in its own), as published and after the GCJ-02 inverse."""
    moved = gcj02.to_wgs84(*points)
    return int(shapely.contains_xy(shape, *points).sum()), int(shapely.contains_xy(shape, *moved).sum())


def offsets() -> list[str]:
    """What tells the datum of Shenzhen's layers."""
    folder = data_root() / "city/shenzhen"
    districts = gpd.read_file(folder / "districts.gpkg")
    city = districts.union_all()
    stations = gpd.read_file(folder / "metro.gpkg", layer="stations").geometry
    metro = inside(city, (stations.x.to_numpy(), stations.y.to_numpy()))
    piles = pd.read_csv(folder / "ev_stations.csv")
    charging = inside(city, (piles["longitude"].to_numpy(), piles["latitude"].to_numpy()))
    colleges = gpd.read_file(folder / "higher_education_poi.gpkg").drop_duplicates("name")
    own = districts.set_index("name").geometry.reindex(colleges["area"]).to_numpy()
    told = inside(own, (colleges.geometry.x.to_numpy(), colleges.geometry.y.to_numpy()))
    zones = gpd.read_file(folder / "traffic_zones.gpkg").to_crs("EPSG:4547")
    centres = zones.set_geometry(zones.centroid).to_crs("EPSG:4326").set_index("TAZID").geometry
    listed = pd.read_csv(folder / "ev_information.csv").set_index("grid")
    there = centres.reindex(listed.index)
    gap = pyproj.Geod(ellps="WGS84").inv(listed["lon"], listed["la"], there.x, there.y)[2]
    return [
        f"- metro stations: {metro[0]} of {len(stations)} inside the city as published, {metro[1]} after the GCJ-02"
        " inverse: not to be told by this; the makers say WGS 84",
        f"- charging stations: {charging[0]} of {len(piles)}, {charging[1]} after the inverse: GCJ-02",
        f"- colleges (each once) in the district they state: {told[0]} of {len(colleges)}, {told[1]} after: GCJ-02",
        f"- charging zones against the centres of their traffic zones: median {np.median(gap):.1f} m: one datum",
    ]


def main() -> None:
    table = pd.DataFrame({**singapore(), **shenzhen()}, index=["workbench", "geopandas"]).T
    table["relative difference"] = table["workbench"] / table["geopandas"] - 1
    print(table.to_string(float_format=lambda v: f"{v:.6g}"))
    record("check_cities", {name: row.to_dict() for name, row in table.iterrows()})
    lines = [
        "Real data. Ours: the value table (ellipsoidal areas, national grids). Peer: geopandas in UTM 48N and 50N.",
        "",
        "| figure | workbench | peer | relative difference |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {a:.5g} | {b:.5g} | {r:+.1e} |"
        for name, (a, b, r) in zip(table.index, table.values, strict=True)
    ]
    told = offsets()
    print("\n".join(told))
    write_section("Singapore and Shenzhen computed another way", [*lines, "", *told])


if __name__ == "__main__":
    main()
