"""Vectorizing a class map: the workbench against rasterio.features.shapes with shapely, on the same result.

    python benchmarks/bench_vectorize.py [--side 10000] [--repeat 1] [--tasks outlines clean]

The map is six classes in smooth patches with salt of single cells, as a classifier leaves them. Two tasks, each run in a
process of its own whose peak memory is taken:

- ``outlines``: polygons of every piece; both results are compared polygon by polygon;
- ``clean``: pieces under five cells joined to the neighbour of the longest border, borders straightened. The peer finds the
  small pieces' neighbours and shared lengths with shapely, joins them in the same order, unites, and simplifies with
  ``shapely.coverage_simplify``; the number of polygons, their classes and their cells are compared.
"""

from __future__ import annotations

import argparse
import heapq
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
import shapely
from affine import Affine
from harness import record, write_section

CELL = 10.0
LEAST = 5
TRANSFORM = Affine(CELL, 0, 500_000, 0, -CELL, 2_600_000)


def write_map(path: Path, side: int, seed: int = 11) -> None:
    """Write the class map, block by block."""
    from scipy.ndimage import gaussian_filter

    profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint8", "crs": "EPSG:4547",
               "transform": TRANSFORM, "tiled": True, "compress": "deflate", "nodata": 0}  # fmt: skip
    step = 2000
    with rasterio.open(path, "w", **profile) as file:
        for number, row in enumerate(range(0, side, step)):
            for column in range(0, side, step):
                rng = np.random.default_rng([seed, row, column])
                shape = (min(step, side - row), min(step, side - column))
                fields = [gaussian_filter(rng.standard_normal(shape).astype(np.float32), 7) for _ in range(6)]
                values = np.argmax(fields, axis=0).astype(np.uint8) + 1
                salt = rng.random(shape) < 0.004
                values[salt] = rng.integers(1, 7, int(salt.sum()))
                if number == 0 and column == 0:
                    values[:300, :400] = 0
                file.write(values, 1, window=rasterio.windows.Window(column, row, shape[1], shape[0]))


def ours(path: Path, task: str) -> gpd.GeoDataFrame:
    from workbench.interpretation.polygons import vectorize

    mmu = LEAST * CELL * CELL if task == "clean" else 0.0
    return vectorize(path, mmu=mmu, simplify=task == "clean")


def peer(path: Path, task: str) -> gpd.GeoDataFrame:
    from workbench.operators.area import area_m2

    with rasterio.open(path) as file:
        values = file.read(1)
        transform, crs = file.transform, file.crs
    found = list(rasterio.features.shapes(values, mask=values > 0, connectivity=4, transform=transform))
    shapes = np.array([shapely.geometry.shape(shape) for shape, _ in found], dtype=object)
    classes = np.array([value for _, value in found], dtype=np.int64)
    if task == "clean":
        shapes, classes = _cleaned(shapes, classes)
    frame = gpd.GeoDataFrame({"class": classes}, geometry=shapes, crs=crs)
    frame["area_m2"] = area_m2(frame.geometry, crs)
    return frame


def _cleaned(shapes: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Small pieces joined to the neighbour with the longest common border, then borders simplified."""
    small = shapely.area(shapes) < LEAST * CELL * CELL - 1e-6
    tree = shapely.STRtree(shapes)
    one, other = tree.query(shapes[small], predicate="intersects")
    one = np.flatnonzero(small)[one]
    length = shapely.length(shapely.intersection(shapes[one], shapes[other]))
    keep = (one != other) & (length > 0)
    borders: dict[int, dict[int, float]] = {}
    for i, j, metres in zip(one[keep].tolist(), other[keep].tolist(), length[keep].tolist(), strict=True):
        borders.setdefault(i, {})[j] = metres
        borders.setdefault(j, {})[i] = metres
    bounds = shapely.bounds(shapes)
    top = bounds[:, 3]
    firsts = _first_cells(shapes, top)
    area = shapely.area(shapes)
    label = classes.copy()
    root = list(range(len(shapes)))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    heap = [(area[i], firsts[i], i) for i in np.flatnonzero(small).tolist()]
    heapq.heapify(heap)
    size, begin = area.tolist(), list(firsts)
    while heap:
        cells, first, i = heapq.heappop(heap)
        if root[i] != i or size[i] != cells or begin[i] != first or cells >= LEAST * CELL * CELL - 1e-6:
            continue
        if not borders.get(i):
            continue
        best = min(borders[i], key=lambda j: (-round(borders[i][j], 3), -round(size[j], 3), begin[j]))
        value = label[best]
        into = best
        for j in [i, *[j for j in borders[i] if j != best and label[j] == value]]:
            low, high = (into, j) if len(borders.get(into, ())) >= len(borders.get(j, ())) else (j, into)
            root[high] = low
            for k, metres in borders.pop(high, {}).items():
                borders[k].pop(high, None)
                if k != low:
                    borders[low][k] = borders[low].get(k, 0.0) + metres
                    borders[k][low] = borders[low][k]
            size[low] += size[high]
            begin[low] = min(begin[low], begin[high])
            label[low] = value
            into = low
        if size[into] < LEAST * CELL * CELL - 1e-6:
            heapq.heappush(heap, (size[into], begin[into], into))
    owner = np.array([find(i) for i in range(len(root))])
    joined, group = np.unique(owner, return_inverse=True)
    counts = np.bincount(group)
    out = np.empty(len(joined), dtype=object)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(counts)
    for k, (stop, count) in enumerate(zip(ends.tolist(), counts.tolist(), strict=True)):
        parts = shapes[order[stop - count : stop]]
        out[k] = parts[0] if count == 1 else shapely.union_all(parts)
    out = np.array([one if one.geom_type == "Polygon" else one.geoms[0] for one in out], dtype=object)
    return shapely.coverage_simplify(out, CELL, simplify_boundary=False), label[joined]


def _first_cells(shapes: np.ndarray, top: np.ndarray) -> list[tuple[float, float]]:
    """Upper left cell of each piece, rows from above: what decides between equals."""
    xy, of = shapely.get_coordinates(shapes, return_index=True)
    upper = xy[:, 1] == top[of]
    left = np.full(len(shapes), np.inf)
    np.minimum.at(left, of[upper], xy[upper, 0])
    return list(zip((-top).tolist(), left.tolist(), strict=True))


def same(mine: gpd.GeoDataFrame, theirs: gpd.GeoDataFrame, task: str) -> dict[str, object]:
    """Whether two results are the same, in words and figures."""
    told: dict[str, object] = {"pieces": [len(mine), len(theirs)]}
    if task == "outlines":
        shapes = theirs.geometry.to_numpy()
        at = shapely.STRtree(shapely.point_on_surface(shapes)).query(
            mine.geometry.to_numpy(), predicate="contains"
        )
        told["matched"] = len(at[0])
        same_class = mine["class"].to_numpy()[at[0]] == theirs["class"].to_numpy()[at[1]]
        told["equal"] = bool(
            len(at[0]) == len(mine)
            and same_class.all()
            and shapely.equals(mine.geometry.to_numpy()[at[0]], shapes[at[1]]).all()
        )
    else:
        by = [one.groupby("class")["area_m2"].agg(["size", "sum"]) for one in (mine, theirs)]
        told["pieces_by_class"] = [frame["size"].tolist() for frame in by]
        told["area_apart"] = float((by[0]["sum"] / by[1]["sum"] - 1).abs().max())
    told["covers_m2"] = [float(mine.geometry.area.sum()), float(theirs.geometry.area.sum())]
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--tasks", nargs="*", choices=["outlines", "clean"], default=["outlines", "clean"])
    parser.add_argument("--one", nargs=3, metavar=("MAP", "WHO", "TASK"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        path, who, task = Path(args.one[0]), args.one[1], args.one[2]
        if who == "ours":  # compiled kernels are loaded before the clock starts, as any later map finds them
            small = path.with_name("small.tif")
            if not small.exists():
                write_map(small, 300)
            ours(small, task)
        began, used = time.perf_counter(), time.process_time()
        frame = ours(path, task) if who == "ours" else peer(path, task)
        seconds, busy = time.perf_counter() - began, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        frame.to_parquet(args.out)
        print(json.dumps({"seconds": round(seconds, 2), "cpu_s": round(busy, 2), "peak_gib": round(peak, 2)}))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.tif"
        write_map(path, args.side)
        for task in args.tasks:
            told: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
            for _ in range(args.repeat):
                for who in told:
                    out = Path(folder) / f"{task}-{who}.parquet"
                    command = [sys.executable, __file__, "--one", str(path), who, task, "--out", str(out)]
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    told[who].append(json.loads(done.stdout.strip().splitlines()[-1]))
            least = {who: min(run["seconds"] for run in runs) for who, runs in told.items()}
            frames = [gpd.read_parquet(Path(folder) / f"{task}-{who}.parquet") for who in told]
            row: dict[str, Any] = {
                "side": args.side,
                "task": task,
                "runs": told,
                "times": round(least["peer"] / least["ours"], 2),
            }
            row |= same(frames[0], frames[1], task)
            rows.append(row)
            print(json.dumps(row))
    record("vectorize", {"rows": rows})
    lines = [
        f"| {row['task']} | {row['side']:,}² | {row['pieces'][0]:,} / {row['pieces'][1]:,} "
        f"| {best(row, 'ours', 'seconds'):.0f} s, {best(row, 'ours', 'peak_gib'):.1f} GiB "
        f"| {best(row, 'peer', 'seconds'):.0f} s, {best(row, 'peer', 'peak_gib'):.1f} GiB | {row['times']:.1f} |"
        for row in rows
    ]
    write_section(
        "Class maps to polygons",
        [
            "Against rasterio.features.shapes with shapely, each in a process of its own; least of the runs. `outlines`: every piece, equal polygon by",
            "polygon; `clean`: pieces under five cells joined to the neighbour of the longest border, borders straightened.",
            "",
            "| task | map | pieces, ours / peer | ours | peer | peer / ours |",
            "| --- | --- | ---: | ---: | ---: | ---: |",
            *lines,
        ],
    )


def best(row: dict[str, Any], who: str, what: str) -> float:
    """Least of a program's runs."""
    return min(float(run[what]) for run in row["runs"][who])


if __name__ == "__main__":
    main()
