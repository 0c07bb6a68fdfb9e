"""Gaps, overlaps and slivers of 200,000 parcels, beside what shapely gives the long way.

The parcels tile 40 x 40 km with about fifty vertices each; some are left out, moved or split. The plain way: every pair
that touches is intersected, the holes are those of the union of all. Both must find the same places. Each contender runs in
a process of its own, which also tells its greatest memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from harness import peak_memory_mib, record, summary, write_section

CRS, WEST, SOUTH = "EPSG:4547", 500_000.0, 2_500_000.0
LEAST_M2, LEAST_M = 0.1, 0.005


def make(path: Path, count: int) -> None:
    """Irregular cells with common vertices, one in two thousand spoiled."""
    rng = np.random.default_rng(1)
    side = 40_000.0 * np.sqrt(count / 200_000)
    around = shapely.box(WEST, SOUTH, WEST + side, SOUTH + side)
    points = shapely.multipoints(np.c_[WEST, SOUTH] + rng.random((count, 2)) * side)
    cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=around))
    cells = shapely.segmentize(shapely.intersection(cells, around), 8.0)
    rows = rng.permutation(len(cells))
    moved, gone, split = np.array_split(rows[: count // 2000 * 3], 3)
    for row in moved:
        step = rng.uniform(-3, 3, 2)
        cells[row] = shapely.transform(cells[row], lambda c, s=step: c + s)
    extra = []
    for row in split:
        x0, y0, x1, y1 = shapely.bounds(cells[row])
        strip = shapely.box((x0 + x1) / 2, y0, (x0 + x1) / 2 + 0.5, y1)
        extra.append(shapely.intersection(cells[row], strip))
        cells[row] = shapely.difference(cells[row], strip)
    left = np.r_[np.delete(cells, gone), np.array(extra, dtype=object)]
    gpd.GeoDataFrame(geometry=left, crs=CRS).to_parquet(path)


def ours(frame: gpd.GeoDataFrame) -> dict[str, list[float]]:
    from workbench.operators.topology import gaps, overlaps, slivers

    found = {"overlaps": overlaps(frame), "gaps": gaps(frame), "slivers": slivers(frame)}
    return {
        name: _areas(rows.geometry.to_numpy(), rows["width_m"].to_numpy()) for name, rows in found.items()
    }


def plain(frame: gpd.GeoDataFrame) -> dict[str, list[float]]:
    geoms = frame.geometry.to_numpy()
    i, j = shapely.STRtree(geoms).query(geoms, predicate="intersects")
    common = shapely.intersection(geoms[i[i < j]], geoms[j[i < j]])
    union = shapely.union_all(geoms)
    holes = shapely.polygons(shapely.get_rings(shapely.get_parts(union)))
    shells = shapely.polygons(shapely.get_exterior_ring(shapely.get_parts(union)))
    holes = np.array([h for h in holes if not any(h.equals(s) for s in shells)], dtype=object)
    thin = 2 * shapely.area(geoms) / shapely.length(geoms) < 1.0
    found = {"overlaps": common, "gaps": holes, "slivers": geoms[thin]}
    widths = {n: 2 * shapely.area(g) / np.maximum(shapely.length(g), 1e-9) for n, g in found.items()}
    return {name: _areas(shapes, widths[name]) for name, shapes in found.items()}


def _areas(shapes: np.ndarray, widths: np.ndarray) -> list[float]:
    """Planar areas of what is large and broad enough to be no noise of either way."""
    areas = shapely.area(shapes)
    return sorted(areas[(areas > LEAST_M2) & (widths > LEAST_M)].tolist())


CONTENDERS = {"workbench": ours, "shapely, all pairs and union": plain}


def child(path: str, name: str) -> None:
    frame = gpd.read_parquet(path)
    small = frame.iloc[:100]
    CONTENDERS[name](small)  # compile and import
    start, cpu = time.perf_counter(), time.process_time()
    found = CONTENDERS[name](frame)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({"s": seconds, "cpu": cpu, "mib": peak_memory_mib(), "found": found}))


def run(path: Path, name: str) -> dict[str, object]:
    command = [sys.executable, __file__, "--child", str(path), name]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, object] = json.loads(out.splitlines()[-1])
    print(name, {k: v for k, v in result.items() if k != "found"}, flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="20,000 parcels, one run, nothing recorded")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    count, runs = (20_000, 1) if options.small else (200_000, options.runs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "parcels.parquet"
        make(path, count)
        rows: dict[str, list[dict[str, object]]] = {name: [] for name in CONTENDERS}
        for _ in range(runs):
            for name in CONTENDERS:
                rows[name].append(run(path, name))
    first, second = (rows[name][0]["found"] for name in CONTENDERS)
    for name in first:  # type: ignore[attr-defined]
        if len(first[name]) != len(second[name]) or not np.allclose(
            first[name], second[name], rtol=1e-3, atol=0.01
        ):  # type: ignore[index]
            raise SystemExit(f"{name} differ: {len(first[name])} and {len(second[name])}")  # type: ignore[index]
    numbers = {name: len(found) for name, found in first.items()}  # type: ignore[attr-defined]
    print("equal:", numbers)
    if options.small:
        return
    times = {name: [float(r["s"]) for r in part] for name, part in rows.items()}  # type: ignore[arg-type]
    base = summary(times["shapely, all pairs and union"])["median_s"]
    lines = [
        f"{count:,} parcels; {numbers['overlaps']} overlaps, {numbers['gaps']} gaps, {numbers['slivers']} slivers, found "
        "alike by both. Aim: 60 s and 3 GiB.",
        "",
        "| contender | median s | min–max s | CPU s | peak MiB | speed-up |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, part in rows.items():
        t, mib, cpu = (
            summary(times[name]),
            max(float(r["mib"]) for r in part),
            min(float(r["cpu"]) for r in part),
        )  # type: ignore[arg-type]
        spread = f"{t['min_s']:.1f}–{t['max_s']:.1f}"
        lines.append(
            f"| {name} | {t['median_s']:.1f} | {spread} | {cpu:.1f} | {mib:.0f} | {base / t['median_s']:.1f} |"
        )
    kept = {name: [{k: v for k, v in r.items() if k != "found"} for r in part] for name, part in rows.items()}
    record("topology", {"parcels": count, "found": numbers, "runs": kept})
    write_section("Topology of parcels", lines)


if __name__ == "__main__":
    main()
