"""Cumulative opportunities within 1,200 m from every node of a large city's streets, set-up included; and 2SFCA.

From the same tables of nodes and streets to the same sums: ours against pandana (its Network and its precompute count)
and networkx (all origins, with a cutoff). Lengths are whole millimetres, as pandana keeps them, so that all sums are equal.
pandana is AGPL and lives in an environment of its own: ``--peer-python PATH``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import networkx as nx
import numpy as np
import shapely
from harness import alternate, data_root, peak_memory_mib, record, summary, write_section
from scipy.sparse import csr_array

from workbench.operators import catchment
from workbench.operators.access import Graph, build_graph, reach_arrays

MAX_M = 1200.0
DEMAND, FACILITIES = 50_000, 5_000
PEER = """
import json, sys, time
import numpy as np, pandas as pd, pandana
d = np.load(sys.argv[1])
nodes, xy, a, b, mm, weights = (d[k] for k in ("nodes", "xy", "a", "b", "mm", "weights"))
limit, runs = float(sys.argv[2]), int(sys.argv[3])
ids = pd.Series(nodes)
seconds, parts = [], []
for _ in range(runs):
    start = time.perf_counter()
    net = pandana.Network(pd.Series(xy[:, 0], index=ids), pd.Series(xy[:, 1], index=ids), pd.Series(a), pd.Series(b),
                          pd.DataFrame({"metres": mm / 1000.0 + 1e-4}), twoway=True)
    made = time.perf_counter()
    net.precompute(limit)
    ready = time.perf_counter()
    net.set(ids, variable=pd.Series(weights), name="w")
    got = net.aggregate(limit, type="sum", decay="flat", name="w")
    end = time.perf_counter()
    seconds.append(end - start)
    parts.append([made - start, ready - made, end - ready])
np.save(sys.argv[4], got.reindex(nodes).to_numpy(dtype=float))
print(json.dumps({"seconds": seconds, "parts": parts, "version": pandana.__version__}))
"""


def tables(graph: Graph) -> dict[str, np.ndarray]:
    """Nodes and streets as plain tables: loops left out, parallel streets kept."""
    real = graph.edge_from != graph.edge_to
    return {
        "nodes": np.arange(graph.n_nodes),
        "xy": graph.xy,
        "a": graph.edge_from[real].astype(np.int64),
        "b": graph.edge_to[real].astype(np.int64),
        "mm": np.maximum(np.rint(graph.edge_length[real] * 1000), 1.0),
    }


def ours(d: dict[str, np.ndarray], weights: np.ndarray, max_m: float) -> np.ndarray:
    """Sums within ``max_m`` from the tables: sparse matrix, order of nodes, search from every node."""
    n = len(d["nodes"])
    a, b = np.concatenate((d["a"], d["b"])), np.concatenate((d["b"], d["a"]))
    mm = np.tile(d["mm"], 2)
    order = np.lexsort((mm, b, a))
    a, b, mm = a[order], b[order], mm[order]
    first = np.concatenate(([True], (a[1:] != a[:-1]) | (b[1:] != b[:-1])))
    indptr = np.searchsorted(a[first], np.arange(n + 1)).astype(np.int32)
    return reach_arrays(indptr, b[first].astype(np.int32), mm[first], weights, max_m * 1000)


def by_networkx(
    d: dict[str, np.ndarray], weights: np.ndarray, origins: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """Sums from some origins, seconds to make the graph, seconds to search."""
    start = time.perf_counter()
    graph = nx.Graph()
    graph.add_nodes_from(d["nodes"].tolist())
    order = np.argsort(-d["mm"], kind="stable")  # of parallel streets the shortest comes last and stays
    graph.add_weighted_edges_from(
        zip(d["a"][order].tolist(), d["b"][order].tolist(), d["mm"][order].tolist(), strict=True)
    )
    made = time.perf_counter()
    amount = weights.tolist()
    sums = [
        sum(amount[n] for n in nx.single_source_dijkstra_path_length(graph, o, cutoff=MAX_M * 1000))
        for o in origins.tolist()
    ]
    return np.array(sums), made - start, time.perf_counter() - made


def by_pandana(
    d: dict[str, np.ndarray], weights: np.ndarray, python: str, runs: int
) -> tuple[np.ndarray, dict]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npy"
        np.savez(source, weights=weights, **d)
        done = subprocess.run(
            [python, "-c", PEER, str(source), str(MAX_M), str(runs), str(target)],
            check=True,
            text=True,
            capture_output=True,
        )
        return np.load(target), json.loads(done.stdout.strip().splitlines()[-1])


def two_step_seconds(graph: Graph, runs: int) -> tuple[dict[str, list[float]], int]:
    """Seconds of pairs and of each member of the family on 50,000 homes and 5,000 facilities, 2 km."""
    rng = np.random.default_rng(11)

    def scattered(count: int) -> gpd.GeoSeries:
        piece = rng.integers(0, graph.n_edges, count)
        at = shapely.line_interpolate_point(graph.edge_line[piece], rng.random(count), normalized=True)
        return gpd.GeoSeries.from_xy(
            *(shapely.get_coordinates(at) + rng.normal(0, 30, (count, 2))).T, crs=graph.crs
        )

    homes, places = scattered(DEMAND), scattered(FACILITIES)
    people, beds = rng.integers(1, 400, DEMAND).astype(float), rng.integers(10, 900, FACILITIES).astype(float)
    pairs = catchment.travel_pairs(graph, homes, places, 2000.0)
    calls = {"pairs": lambda: catchment.travel_pairs(graph, homes, places, 2000.0)}
    calls |= {k: (lambda k=k: catchment.two_step(pairs, people, beds, kind=k)) for k in catchment.KINDS}
    given = catchment.two_step(pairs, people, beds)
    assert np.isclose((given.access * people).sum(), beds[given.competing > 0].sum()), "supply is lost"
    row = csr_array((np.ones(len(pairs)), (pairs.origin, pairs.destination)), shape=(DEMAND, FACILITIES))
    again = row @ np.nan_to_num(beds / (row.T @ people), posinf=0.0)
    assert np.allclose(again, given.access), "the matrix form gives another supply"
    return alternate(runs, **calls), len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-runs", type=int, default=1)
    parser.add_argument("--sample", type=int, default=0, help="origins of networkx; 0 takes all")
    parser.add_argument("--peer-python", help="Python of an environment with pandana")
    options = parser.parse_args()
    roads = gpd.read_file(data_root() / "city/wuhan_roads/wuhan_fua_streets_original.gpkg")
    graph = build_graph(roads, walk=False)
    d = tables(graph)
    weights = np.random.default_rng(7).integers(0, 50, graph.n_nodes).astype(float)
    small = {k: v[:3] for k, v in {"xy": np.eye(3, 2)}.items()} | {
        "nodes": np.arange(3), "a": np.array([0, 1]), "b": np.array([1, 2]), "mm": np.array([1000.0, 2000.0])
    }  # fmt: skip
    assert ours(small, np.ones(3), 1.5).tolist() == [2.0, 2.0, 1.0]  # compiles
    mine = alternate(max(1, options.runs // 2), workbench=lambda: ours(d, weights, MAX_M))["workbench"]
    sums = ours(d, weights, MAX_M)
    memory = peak_memory_mib()
    print(f"{len(roads)} streets, {graph.n_nodes} nodes; ours {min(mine):.2f} s, peak {memory:.0f} MiB")
    peers: dict[str, list[float]] = {}
    notes = []
    origins = np.arange(graph.n_nodes)
    if options.sample:
        origins = np.random.default_rng(5).choice(graph.n_nodes, options.sample, replace=False)
    other, made, searched = by_networkx(d, weights, origins)
    assert np.array_equal(other, sums[origins]), "networkx gives other sums"
    peers["networkx"] = [made + searched * graph.n_nodes / len(origins)]
    notes.append(
        f"networkx {nx.__version__} on {'all' if len(origins) == graph.n_nodes else f'{len(origins):,} seeded'} origins"
        + ("" if len(origins) == graph.n_nodes else ", the search scaled to all")
    )
    mine += alternate(1, workbench=lambda: ours(d, weights, MAX_M))["workbench"]
    if options.peer_python:
        other, told = by_pandana(d, weights, options.peer_python, options.peer_runs)
        assert np.array_equal(other, sums), f"pandana gives other sums at {int((other != sums).sum())} nodes"
        peers["pandana"] = told["seconds"]
        network, precompute, query = np.median(np.array(told["parts"]), axis=0)
        notes.append(
            f"pandana {told['version']}: {network:.1f} s to make the network, {precompute:.1f} s precompute, {query:.2f} s query"
        )
    else:
        notes.append("pandana skipped: no --peer-python (it is AGPL and no dependency)")
    mine += alternate(max(0, options.runs - len(mine)), workbench=lambda: ours(d, weights, MAX_M))[
        "workbench"
    ]
    family, pairs = two_step_seconds(graph, 3)
    stats = {name: summary(s) for name, s in {"workbench": mine, **peers}.items()}
    base = stats["workbench"]["median_s"]
    ratios = {name: stats[name]["median_s"] / base for name in peers}
    print({name: round(ratio, 1) for name, ratio in ratios.items()}, notes)
    steps = {name: summary(s) for name, s in family.items()}
    record("reach", {"nodes": graph.n_nodes, "max_m": MAX_M, "peak_mib_ours": memory, "ratios_of_medians": ratios,
                     "seconds": stats, "two_step": steps, "pairs": pairs, "notes": notes})  # fmt: skip
    lines = [
        f"Sums of opportunities within {MAX_M:.0f} m from all {graph.n_nodes:,} nodes of Wuhan's streets, from tables of nodes "
        f"and streets to the result, set-up included; sums equal at every node compared. {'; '.join(notes)}. Load average at the end "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        "",
        "| program | median s | least to most | runs | median / ours | goal |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {s['median_s']:.2f} | {s['min_s']:.2f} to {s['max_s']:.2f} | {s['runs']} | {s['median_s'] / base:.1f} | "
        f"{'' if name == 'workbench' else 30} |"
        for name, s in stats.items()
    ]
    lines += [
        "",
        f"Floating catchments of {DEMAND:,} homes and {FACILITIES:,} facilities within 2,000 m on the same streets "
        f"({pairs:,} pairs): pairs with snapping and search {steps['pairs']['median_s']:.2f} s, then "
        + ", ".join(f"{k} {steps[k]['median_s']:.2f} s" for k in catchment.KINDS)
        + ".",
    ]
    write_section("Opportunities within reach, set-up included", lines)


if __name__ == "__main__":
    main()
