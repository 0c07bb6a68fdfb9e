"""Plan conformity review: one polygon, and a batch, against 20 layers of 100,000 polygons each.

Against two plain ways with geopandas, spatial indexes made beforehand and overlaps of a line's own polygons dissolved:
``overlay`` of the proposals with each layer, and ``sindex.query`` with ``intersection`` of the pairs. The areas inside every
layer must be the same. Ours also judges and words every rule. The peers review a sample of the batch; times are
compared for a polygon.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from harness import peak_memory_mib, record, write_section

from workbench.core.city import load_city
from workbench.evaluation.review.layers import KEYS
from workbench.evaluation.review.measure import Measure
from workbench.evaluation.review.own_checks import Ledger
from workbench.evaluation.review.proposal import make_proposal
from workbench.evaluation.review.reviewer import Reviewer, tables

CRS = "EPSG:4547"
WEST, SOUTH, SIDE = 470_000.0, 2_500_000.0, 40_000.0
SEED = 20260
KINDS = {"development_boundary": "集中建设区", "nature_reserve": "一般控制区", "heritage_line": "历史城区"}
MESHES = ("districts", "units", "land_use", "plots")
DLBM = np.array(["0101", "0103", "0201", "0301", "0601", "0701", "05H1", "1004", "1104", "0810"])
USES = np.array(["070102", "100101", "0901", "080403", "1401", "110101"])


def mesh(rng: np.random.Generator, count: int) -> np.ndarray:
    """Cells that cover the square: a grid whose corners are moved about."""
    n = round(count**0.5)
    step = SIDE / n
    x, y = np.meshgrid(np.arange(n + 1.0), np.arange(n + 1.0))
    inner = (x > 0) & (x < n) & (y > 0) & (y < n)
    x, y = x + inner * rng.uniform(-0.3, 0.3, x.shape), y + inner * rng.uniform(-0.3, 0.3, y.shape)
    corner = np.stack([WEST + x * step, SOUTH + y * step], axis=-1)
    rings = np.stack([corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]], axis=2)
    return shapely.polygons(rings.reshape(-1, 4, 2))


def blobs(rng: np.random.Generator, count: int, low: float, high: float, corners: int = 24) -> np.ndarray:
    """Uneven round polygons anywhere in the square; some overlap each other."""
    centre = rng.uniform(0.02, 0.98, (count, 2)) * SIDE + (WEST, SOUTH)
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radius = rng.uniform(low, high, (count, 1)) * rng.uniform(0.8, 1.2, (count, corners))
    rings = centre[:, None] + radius[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return shapely.polygons(rings)


def layers_of(count: int) -> dict[str, gpd.GeoDataFrame]:
    """All layers a review reads, ``count`` polygons each."""
    city = load_city("demo")
    bare = Reviewer(city, 2025, pd.Timestamp("2025-12-31"), {})
    found = {}
    for number, role in enumerate(bare.missing):
        rng = np.random.default_rng([SEED, number])
        shapes = mesh(rng, count) if role in MESHES else blobs(rng, count, 20, 70)
        n = len(shapes)
        names = np.char.add(f"{role}-", np.arange(n).astype(str))
        key = KEYS.get(role, "line_id")
        columns: dict[str, object] = {
            key: names,
            "name": names,
            "approved": pd.Timestamp("2021-12-30"),
            "ended": pd.NaT,
        }
        if role == "land_use":
            columns = {key: names, "dlbm": DLBM[rng.integers(0, len(DLBM), n)]}
        elif role == "plots":
            columns |= {"use": USES[rng.integers(0, len(USES), n)], "far": rng.uniform(0.5, 3.0, n).round(1)}
        elif role == "permits":
            columns |= {
                "project_code": names,
                "kind": np.array(["农转用", "供地", "规划许可"])[rng.integers(0, 3, n)],
            }
        elif role not in MESHES:
            columns["kind"] = KINDS.get(role, "")
        found[role] = gpd.GeoDataFrame(columns, geometry=shapes, crs=CRS)
        found[role].sindex.query(shapes[0])  # made beforehand for the peer as well
    return found


def peer(proposals: gpd.GeoDataFrame, layers: dict[str, gpd.GeoDataFrame]) -> dict[str, np.ndarray]:
    """Square metres of each proposal inside each layer, by overlay."""
    out = {}
    for role, layer in layers.items():
        pieces = gpd.overlay(
            proposals[["at", "geometry"]], layer[["geometry"]], how="intersection", keep_geom_type=True
        )
        if role not in MESHES:
            pieces = pieces.dissolve("at", as_index=False)
        out[role] = np.bincount(pieces["at"], weights=pieces.area, minlength=int(proposals["at"].max()) + 1)
    return out


def indexed(proposals: gpd.GeoDataFrame, layers: dict[str, gpd.GeoDataFrame]) -> dict[str, np.ndarray]:
    """Square metres of each proposal inside each layer, by the spatial index and intersections of the pairs."""
    out, size = {}, int(proposals["at"].max()) + 1
    for role, layer in layers.items():
        i, j = layer.sindex.query(proposals.geometry, predicate="intersects")
        at = proposals["at"].to_numpy()[i]
        pieces = proposals.geometry.iloc[i].intersection(layer.geometry.iloc[j], align=False)
        if role not in MESHES and len(pieces):
            whole = gpd.GeoDataFrame({"at": at}, geometry=pieces.to_numpy(), crs=CRS).dissolve("at")
            at, pieces = whole.index.to_numpy(), whole.geometry
        out[role] = np.bincount(at, weights=pieces.area, minlength=size)
    return out


def same_areas(reviewer: Reviewer, proposals: gpd.GeoDataFrame, theirs: dict[str, np.ndarray]) -> float:
    """Greatest difference of the areas inside any layer, m²; ends the run when it is more than rounding."""
    measure = Measure(proposals.geometry.to_numpy(), reviewer.lines, reviewer.layers, str(reviewer.city.crs))
    worst = 0.0
    for role, areas in theirs.items():
        ours = np.zeros(len(proposals))
        inside = measure.inside(role)
        there = ~shapely.is_missing(inside)
        ours[there] = shapely.area(inside[there])
        worst = max(worst, float(np.abs(ours - areas[proposals["at"]]).max()))
    if worst > 0.01:
        raise SystemExit(f"areas differ by {worst} m²")
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--small", action="store_true", help="2,500 polygons a layer, 50 proposals, nothing recorded"
    )
    parser.add_argument("--peer-singles", type=int, default=10, help="single polygons reviewed by both")
    parser.add_argument(
        "--peer-batch", type=int, default=300, help="polygons of the batch that the peers review"
    )
    options = parser.parse_args()
    count, batch, singles = (2_500, 50, 10) if options.small else (99_856, 10_000, 200)
    load = os.getloadavg()[0]
    layers = layers_of(count)
    zones = pd.concat([layers["districts"]["code"], layers["units"]["code"]])
    ledger = Ledger(pd.DataFrame({"zone": zones, "left": 5.0}), 2025)
    start = time.perf_counter()
    reviewer = Reviewer(load_city("demo"), 2025, pd.Timestamp("2025-12-31"), layers, ledger=ledger)
    opened = time.perf_counter() - start
    shapes = blobs(np.random.default_rng(SEED), batch, 40, 120, 16)
    frame = gpd.GeoDataFrame({"at": np.arange(batch)}, geometry=shapes, crs=CRS)
    uses = ["0601", "0701", "05H1", "1003", None]

    reviewer.review(shapes[0], use="0601")
    times = []
    for k in range(singles):
        start = time.perf_counter()
        reviewer.review(shapes[k], use=uses[k % len(uses)])
        times.append(1e3 * (time.perf_counter() - start))
    print(f"opened in {opened:.1f} s, one polygon {statistics.median(times):.1f} ms", flush=True)
    ways = {"overlay": peer, "indexed": indexed}
    single: dict[str, list[float]] = {name: [] for name in ways}
    for k in range(min(options.peer_singles, singles)):
        for name, way in ways.items():
            start = time.perf_counter()
            way(frame.iloc[[k]], layers)
            single[name].append(1e3 * (time.perf_counter() - start))
    print({name: statistics.median(some) for name, some in single.items()}, flush=True)

    start, cpu = time.perf_counter(), time.process_time()
    proposals = [make_proposal(str(k), shape, use=uses[k % len(uses)]) for k, shape in enumerate(shapes)]
    heads, items = tables(reviewer.review_all(proposals), reviewer.city)
    ours, ours_cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"batch {ours:.1f} s, {1e3 * ours_cpu / batch:.2f} ms of processor time a polygon", flush=True)
    theirs, found = {}, {}
    sample = frame.iloc[: options.peer_batch]
    for name, way in ways.items():
        start = time.perf_counter()
        found[name] = way(sample, layers)
        theirs[name] = time.perf_counter() - start
        print(f"{name}: {len(sample)} polygons {theirs[name]:.1f} s", flush=True)
    worst = max(same_areas(reviewer, sample, one) for one in found.values())
    result = {
        "layers": len(layers), "polygons": count, "open_s": opened, "single_ms": statistics.median(times),
        "single_p95_ms": float(np.percentile(times, 95)), "peer_single_ms": {name: statistics.median(some) for name, some in single.items()},
        "batch": batch, "batch_s": ours, "batch_cpu_s": ours_cpu, "peer_batch": len(sample), "peer_batch_s": theirs, "items": len(items), "worst_m2": worst,
        "verdicts": heads["verdict"].value_counts().to_dict(), "peak_mib": peak_memory_mib(),
    }  # fmt: skip
    print(result)
    if options.small:
        return
    record("review", result)
    one = {name: statistics.median(some) for name, some in single.items()}
    write_section(
        "Plan conformity review",
        [
            f"{len(layers)} layers of {count:,} polygons; opened in {opened:.1f} s; {len(items):,} items in the batch.",
            "",
            "| what | workbench, with verdicts | geopandas `overlay`, areas only | geopandas index and `intersection`, areas only |",
            "| --- | --- | --- | --- |",
            f"| one polygon, median (95th percentile) | {result['single_ms']:.1f} ms ({result['single_p95_ms']:.1f} ms) "
            + "".join(f"| {one[name]:.0f} ms ({one[name] / result['single_ms']:.1f} ×) " for name in ways)
            + "|",
            f"| batch of {batch:,} (peers: {len(sample)} of them) | {ours:.1f} s, {1e3 * ours / batch:.1f} ms a polygon "
            + "".join(
                f"| {theirs[name]:.1f} s, {1e3 * theirs[name] / len(sample):.1f} ms a polygon "
                f"({theirs[name] / len(sample) / (ours / batch):.1f} ×) "
                for name in ways
            )
            + "|",
            "",
            f"The batch took {1e3 * ours_cpu / batch:.1f} ms of processor time a polygon; the load of the machine was "
            f"{load:.1f} on {os.cpu_count()} cores when it began.",
            "",
            f"Areas inside every layer agree to {worst:.1e} m² at most. Peak memory {result['peak_mib']:.0f} MiB, both sides' layers in it.",
        ],
    )


if __name__ == "__main__":
    main()
