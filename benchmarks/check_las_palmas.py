"""Figures of Las Palmas twice: by our operators, and by plain geopandas and networkx in the steps of a desktop GIS.

The peer measures in the plane of UTM 28N, clips and buffers with geopandas, and walks on a networkx graph of all OSM
vertices; only the definitions are common.
"""

from __future__ import annotations

from itertools import pairwise

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import shapely
from harness import data_root, record, write_section

from workbench.operators.access import build_graph, covered, polygon_access_points, radius_area
from workbench.operators.area import area_m2
from workbench.operators.network import length_by_zone
from workbench.operators.overlay import area_by, dissolve

CRS = "EPSG:32628"
NOT_FOR_WALKING = {"motorway", "motorway_link", "trunk", "trunk_link", "proposed", "construction", "raceway"}
WALK_M = 300.0  # five minutes at 60 m a minute
GATE_M = 30.0


def read() -> dict[str, gpd.GeoDataFrame]:
    path = data_root() / "city/las_palmas/las_palmas.gpkg"
    names = (
        "boundary_municipality",
        "roads_paths",
        "buildings",
        "parks_protected_osm",
        "public_transport_osm",
    )
    layers = {name: gpd.read_file(path, layer=name).to_crs(CRS) for name in names}
    for frame in layers.values():
        frame["geometry"] = frame.geometry.make_valid()
    town = layers["boundary_municipality"].assign(code="town")
    parks = (
        layers["parks_protected_osm"].query("leisure == 'park'").reset_index(drop=True).assign(kind="park")
    )
    stops = layers["public_transport_osm"].query("highway == 'bus_stop'")
    buildings = layers["buildings"][layers["buildings"].geom_type.isin(["Polygon", "MultiPolygon"])]
    return {
        "town": town,
        "roads": layers["roads_paths"],
        "walks": layers["roads_paths"].query("highway not in @NOT_FOR_WALKING").reset_index(drop=True),
        "buildings": buildings.reset_index(drop=True).assign(kind="building"),
        "parks": parks[parks.geom_type.isin(["Polygon", "MultiPolygon"])].reset_index(drop=True),
        "stops": stops.set_geometry(stops.representative_point()).reset_index(drop=True),
    }


def ours(d: dict[str, gpd.GeoDataFrame]) -> dict[str, float]:
    km2 = area_m2(d["town"].geometry, CRS)[0] / 1e6
    length = length_by_zone(d["roads"], d["town"], by="highway").loc["town"] / 1000
    out = {f"road density, {k} (km/km²)": length[k] / km2 for k in ("primary", "residential", "footway")}
    out["road density, all (km/km²)"] = length.sum() / km2
    inside = area_by(d["buildings"], d["town"], by="kind", zone_id="code").loc["town", "building"]
    for radius in (300, 500):
        near = gpd.GeoDataFrame({"code": ["near"]}, geometry=[radius_area(d["stops"], radius)], crs=CRS)
        near = near.assign(geometry=near.intersection(d["town"].union_all()))
        building = area_by(d["buildings"], near, by="kind", zone_id="code").loc["near", "building"]
        out[f"building area within {radius} m of a bus stop (%)"] = 100 * building / inside
        out[f"town area within {radius} m of a bus stop (%)"] = area_m2(near.geometry, CRS)[0] / km2 / 1e4
    park = area_by(dissolve(d["parks"], by="kind"), d["town"], by="kind", zone_id="code").loc["town", "park"]
    out["parks, share of town area (%)"] = park / km2 / 1e4
    graph = build_graph(d["walks"], walk=False)
    gates = polygon_access_points(graph, d["parks"], tolerance_m=GATE_M)
    reached = covered(graph, gates, d["buildings"].representative_point(), WALK_M)
    area = area_m2(d["buildings"].geometry, CRS)
    out["building area within 5 minutes' walk of a park (%)"] = 100 * area[reached].sum() / area.sum()
    return out


def peer_walk(d: dict[str, gpd.GeoDataFrame]) -> float:
    """Share of building area whose walk to a park is at most WALK_M: all OSM vertices as nodes, networkx."""
    graph, segments, ends, ways = nx.Graph(), [], [], {}
    parts = d["walks"].geometry.explode()
    for line in parts:
        at = [(round(x, 3), round(y, 3)) for x, y, *_ in line.coords]
        for k, node in enumerate(at):
            ways[node] = ways.get(node, 0) + (2 if k in (0, len(at) - 1) else 1)
        for a, b in pairwise(at):
            if a != b:
                graph.add_edge(a, b, weight=float(np.hypot(a[0] - b[0], a[1] - b[1])))
                segments.append(shapely.LineString([a, b]))
                ends.append((a, b))
    junctions = gpd.GeoSeries(
        gpd.points_from_xy(*zip(*[n for n, w in ways.items() if w > 1], strict=True)), crs=CRS
    )
    junctions = gpd.GeoDataFrame(geometry=junctions)
    gates = gpd.sjoin(
        junctions, d["parks"].assign(geometry=d["parks"].buffer(GATE_M, quad_segs=64))[["geometry"]]
    )
    lone = d["parks"].loc[~d["parks"].index.isin(gates["index_right"]), ["geometry"]]
    nearest = gpd.sjoin_nearest(lone, junctions)["index_right"]
    doors = junctions.loc[sorted({*gates.index, *nearest}), "geometry"]
    sources = {(p.x, p.y) for p in doors}
    metres = nx.multi_source_dijkstra_path_length(graph, sources, cutoff=WALK_M)
    homes = gpd.GeoDataFrame(geometry=d["buildings"].representative_point())
    streets = gpd.GeoDataFrame(geometry=segments, crs=CRS)
    joined = gpd.sjoin_nearest(homes, streets, distance_col="gap")
    joined = joined[~joined.index.duplicated()]
    walk = []
    for home, segment, gap in zip(joined.geometry, joined["index_right"], joined["gap"], strict=True):
        a, b = ends[segment]
        along = segments[segment].project(home)
        walk.append(
            gap + min(metres.get(a, np.inf) + along, metres.get(b, np.inf) + segments[segment].length - along)
        )
    area = d["buildings"].area
    return (
        100
        * area[np.array(pd.Series(walk, index=joined.index).reindex(area.index) <= WALK_M)].sum()
        / area.sum()
    )


def peer(d: dict[str, gpd.GeoDataFrame]) -> dict[str, float]:
    town = d["town"]
    km2 = town.area.sum() / 1e6
    clipped = gpd.clip(d["roads"], town)
    length = clipped.assign(km=clipped.length / 1000).groupby("highway")["km"].sum()
    out = {f"road density, {k} (km/km²)": length[k] / km2 for k in ("primary", "residential", "footway")}
    out["road density, all (km/km²)"] = length.sum() / km2
    inside = gpd.clip(d["buildings"], town).area.sum()
    for radius in (300, 500):
        near = d["stops"].buffer(radius, quad_segs=64).to_frame("geometry").dissolve()
        near = gpd.overlay(near, town[["geometry"]], how="intersection")
        building = gpd.overlay(d["buildings"], near, how="intersection", keep_geom_type=True).area.sum()
        out[f"building area within {radius} m of a bus stop (%)"] = 100 * building / inside
        out[f"town area within {radius} m of a bus stop (%)"] = 100 * near.area.sum() / town.area.sum()
    parks = gpd.overlay(d["parks"].dissolve(), town, how="intersection", keep_geom_type=True)
    out["parks, share of town area (%)"] = 100 * parks.area.sum() / town.area.sum()
    out["building area within 5 minutes' walk of a park (%)"] = peer_walk(d)
    return out


def main() -> None:
    d = read()
    mine, other = ours(d), peer(d)
    table = pd.DataFrame({"workbench": mine, "geopandas, networkx": other})
    table["relative difference"] = table["workbench"] / table["geopandas, networkx"] - 1
    print(table.to_string(float_format=lambda v: f"{v:.6g}"))
    record("check_las_palmas", {name: row.to_dict() for name, row in table.iterrows()})
    lines = [
        "Real data (OSM 2023-02-21, municipality). Ours: ellipsoidal areas and lengths, our graph. Peer: plane of UTM 28N,"
        " geopandas clip, buffer and overlay, networkx on all OSM vertices.",
        "",
        "| figure | workbench | peer | relative difference |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {a:.5g} | {b:.5g} | {r:+.1e} |"
        for name, (a, b, r) in zip(table.index, table.values, strict=True)
    ]
    write_section("Las Palmas computed another way", lines)


if __name__ == "__main__":
    main()
