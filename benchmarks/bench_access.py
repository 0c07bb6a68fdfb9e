"""Cumulative opportunities within 1,200 m on foot from every node of a large city's streets.

Ours against networkx (cutoff, on a seeded sample of origins, scaled to all) and scipy (limit, all origins in chunks).
"""

from __future__ import annotations

import argparse
import os

import geopandas as gpd
import networkx as nx
import numpy as np
from harness import alternate, data_root, peak_memory_mib, record, summary, write_section
from scipy.sparse.csgraph import dijkstra

from workbench.operators.access import Graph, build_graph, nearest, reach

MAX_M = 1200.0
LABEL = {"one_thread": "workbench, one thread"}


def scipy_reach(graph: Graph, weights: np.ndarray, chunk: int) -> np.ndarray:
    matrix, out = graph.matrix(), np.empty(graph.n_nodes)
    for start in range(0, graph.n_nodes, chunk):
        rows = np.arange(start, min(start + chunk, graph.n_nodes))
        out[rows] = np.isfinite(dijkstra(matrix, directed=True, indices=rows, limit=MAX_M)) @ weights
    return out


def networkx_graph(graph: Graph) -> nx.Graph:
    peer = nx.Graph()
    peer.add_nodes_from(range(graph.n_nodes))
    origin = np.repeat(np.arange(graph.n_nodes), np.diff(graph.indptr))
    peer.add_weighted_edges_from(
        zip(origin.tolist(), graph.indices.tolist(), graph.lengths.tolist(), strict=True)
    )
    return peer


def networkx_reach(peer: nx.Graph, weights: np.ndarray, origins: np.ndarray) -> np.ndarray:
    amount = weights.tolist()
    return np.array(
        [
            sum(amount[n] for n in nx.single_source_dijkstra_path_length(peer, o, cutoff=MAX_M))
            for o in origins.tolist()
        ]
    )


def best_chunk(graph: Graph) -> int:
    """Origins a call at which scipy is fastest on this machine."""
    rows = {c: np.arange(c) for c in (4, 16, 64, 256)}
    calls = {str(c): (lambda r=r: dijkstra(graph.matrix(), indices=r, limit=MAX_M)) for c, r in rows.items()}
    trial = alternate(5, **calls)
    return min(rows, key=lambda c: min(trial[str(c)]) / c)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-runs", type=int, default=3)
    parser.add_argument("--sample", type=int, default=3000)
    parser.add_argument("--chunk", type=int, default=0, help="origins a call of scipy; 0 tries several")
    options = parser.parse_args()
    roads = gpd.read_file(data_root() / "city/wuhan_roads/wuhan_fua_streets_original.gpkg")
    graph = build_graph(roads, walk=False)
    rng = np.random.default_rng(7)
    weights = rng.integers(0, 50, graph.n_nodes).astype(float)
    origins = rng.choice(graph.n_nodes, min(options.sample, graph.n_nodes), replace=False)
    peer = networkx_graph(graph)
    ours = reach(graph, weights, MAX_M)  # compiles
    memory = peak_memory_mib()
    print(f"{len(roads)} roads, {graph.n_nodes} nodes, {graph.n_edges} pieces, peak so far {memory:.0f} MiB")
    chunk = options.chunk or best_chunk(graph)
    assert np.array_equal(scipy_reach(graph, weights, chunk), ours), "scipy gives other sums"
    assert np.array_equal(networkx_reach(peer, weights, origins), ours[origins]), "networkx gives other sums"
    seconds = alternate(
        options.peer_runs,
        workbench=lambda: reach(graph, weights, MAX_M),
        networkx=lambda: networkx_reach(peer, weights, origins),
        workbench_again=lambda: reach(graph, weights, MAX_M),
        scipy=lambda: scipy_reach(graph, weights, chunk),
        one_thread=lambda: reach(graph, weights, MAX_M, workers=1),
    )
    mine = seconds["workbench"] + seconds.pop("workbench_again")
    mine += alternate(max(0, options.runs - len(mine)), workbench=lambda: reach(graph, weights, MAX_M))[
        "workbench"
    ]
    seconds["workbench"] = mine
    scale = graph.n_nodes / len(origins)
    seconds["networkx"] = [s * scale for s in seconds["networkx"]]
    facilities = gpd.GeoSeries.from_xy(
        *graph.xy[rng.choice(graph.n_nodes, 500, replace=False)].T, crs=graph.crs
    )
    seconds["nearest of 500"] = alternate(3, n=lambda: nearest(graph, facilities))["n"]
    stats = {name: summary(s) for name, s in seconds.items()}
    base = stats["workbench"]["median_s"]
    ratios = {name: stats[name]["median_s"] / base for name in ("networkx", "scipy")}
    best = {name: stats[name]["min_s"] / stats["workbench"]["min_s"] for name in ratios}
    for name, s in stats.items():
        print(
            f"{name:16} median {s['median_s']:9.3f} s   {s['min_s']:.3f} to {s['max_s']:.3f}   ({s['runs']} runs)"
        )
    print(f"networkx / ours {ratios['networkx']:.1f} (goal 30), scipy / ours {ratios['scipy']:.1f} (goal 10)")
    record(
        "access",
        {
            "nodes": graph.n_nodes,
            "pieces": graph.n_edges,
            "max_m": MAX_M,
            "networkx_sample": len(origins),
            "scipy_chunk": chunk,
            "mean_sum": float(ours.mean()),
            "peak_mib_ours": memory,
            "ratios_of_medians": ratios,
            "ratios_of_least": best,
            "seconds": stats,
        },
    )
    table = [
        f"Opportunities within {MAX_M:.0f} m from all {graph.n_nodes:,} nodes ({graph.n_edges:,} pieces of street, "
        f"Wuhan); sums equal in all three. networkx was timed on {len(origins):,} seeded origins and scaled to all; "
        f"scipy with `limit=`, {chunk} origins a call. Runs alternate; load average at the end {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} cores.",
        "",
        "| program | median s | least to most | runs | median / ours | least / ours | goal |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, goal in (("workbench", ""), ("one_thread", ""), ("scipy", "10"), ("networkx", "30")):
        s = stats[name]
        table.append(
            f"| {LABEL.get(name, name)} | {s['median_s']:.2f} | {s['min_s']:.2f} to {s['max_s']:.2f} | {s['runs']} | "
            f"{s['median_s'] / base:.1f} | {s['min_s'] / stats['workbench']['min_s']:.1f} | {goal} |"
        )
    write_section("Walking access", table)


if __name__ == "__main__":
    main()
