"""Cloud-masked median of 6 dates x 4 bands from STAC items: ours against stackstac.

Every run is a process of its own, so that the greatest resident memory is that of one contender alone; imports and
compiling are over before the clock starts. The contenders run in turns and must give the same pixels.

The peer reads with plain dict items, uint16, no rescaling, its own grid unsnapped, dask's threads, and the fastest of several chunk
sizes. It is shown twice: with xarray's masked ``median`` as its manual does it, and with the workbench's own compiled median
on its blocks, which compares the reading alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from harness import record, summary, write_section

BANDS = ["blue", "green", "red", "nir"]
EPSG, CELL, WEST, NORTH = 4547, 10.0, 500000.0, 2600000.0


def make_items(folder: Path, size: int, dates: int) -> None:
    """Synthetic scenes with texture, noise and clouds as COG-like tiled files, deflate, 512 blocks."""
    from scipy import ndimage

    rng = np.random.default_rng(11)
    transform = Affine(CELL, 0, WEST, 0, -CELL, NORTH)
    ground = ndimage.zoom(rng.random((len(BANDS), size // 16, size // 16)), (1, 16, 16), order=1).astype(
        "float32"
    )
    items = []
    for date in range(dates):
        cloud = (ndimage.zoom(rng.random((size // 64, size // 64)), 64, order=1) > 0.62).astype("uint8")
        assets = {}
        for name, values in [*zip(BANDS, ground, strict=True), ("cloud", cloud)]:
            path = folder / f"{date}_{name}.tif"
            if name != "cloud":
                noise = rng.integers(0, 64, (size, size), dtype=np.uint16)
                values = (values * 3000 + 200 + np.float32(6000) * cloud).astype("uint16") + noise
                values[:, : 40 * date] = 0
            profile = dict(driver="GTiff", width=size, height=size, count=1, dtype=values.dtype, nodata=None)
            options = dict(tiled=True, blockxsize=512, blockysize=512, compress="deflate", predictor=2)
            with rasterio.open(path, "w", **profile, **options, crs=f"EPSG:{EPSG}", transform=transform) as f:
                f.write(values, 1)
            assets[name] = {"href": str(path), "type": "image/tiff; application=geotiff"}
        far = WEST + size * CELL
        grid = {"proj:shape": [size, size], "proj:transform": list(transform)[:6], "proj:epsg": EPSG}
        properties = {"datetime": f"2025-0{date + 1}-01T00:00:00Z", **grid}
        box = [110.0, 20.0, 111.0, 21.0]
        item = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": f"d{date}",
            "bbox": box,
            "properties": properties,
        }
        geometry = {"type": "Point", "coordinates": [110.0, 20.0]}
        items.append({**item, "geometry": geometry, "links": [], "assets": assets, "proj:east": far})
    (folder / "items.json").write_text(json.dumps(items))


def ours(items: list[dict[str, Any]], memory_gib: float) -> np.ndarray:
    from workbench.operators.composite import composite

    return composite(items, bands=BANDS, max_memory_gib=memory_gib).values


def stacked(items: list[dict[str, Any]], chunk: int) -> tuple[Any, Any]:
    import stackstac

    size = items[0]["properties"]["proj:shape"][0]
    grid = dict(
        epsg=EPSG, resolution=CELL, bounds=(WEST, NORTH - size * CELL, WEST + size * CELL, NORTH),
        snap_bounds=False, rescale=False, chunksize=(1, 1, chunk, chunk), xy_coords=False,
    )  # fmt: skip
    data = stackstac.stack(items, assets=BANDS, dtype="uint16", fill_value=np.uint16(0), **grid)
    cloud = stackstac.stack(items, assets=["cloud"], dtype="uint8", fill_value=np.uint8(0), **grid)
    return data.chunk(time=-1), cloud.isel(band=0, drop=True).chunk(time=-1)


def peer(items: list[dict[str, Any]], chunk: int) -> np.ndarray:
    """Masked median as xarray does it (float32 holds every uint16 and every half exactly)."""
    data, cloud = stacked(items, chunk)
    clear = data.astype("float32").where((cloud == 0) & (data != 0))
    return (
        clear.median("time", skipna=True)
        .round()
        .fillna(0)
        .astype("uint16")
        .compute(scheduler="threads")
        .values
    )


def peer_compiled(items: list[dict[str, Any]], chunk: int) -> np.ndarray:
    """Reading by stackstac, median by the workbench's kernel."""
    import dask.array as da

    from workbench.operators import composite_kernels as module

    data, cloud = stacked(items, chunk)

    def reduce(block: np.ndarray, clouds: np.ndarray) -> np.ndarray:
        out = np.empty(block.shape[1:], np.uint16)
        zero, top, pairs = np.uint16(0), np.uint16(65535), module.network(len(block))
        clear = np.ascontiguousarray(clouds[:, 0] == 0)
        block = np.ascontiguousarray(block)
        for band in range(block.shape[1]):
            module.reduce_integer(block, band, clear, pairs, zero, True, zero, top, 0, out[band], 0, 0)
        return out

    result = da.map_blocks(reduce, data.data, cloud.data[:, None], drop_axis=0, dtype="uint16")
    return np.asarray(result.compute(scheduler="threads"))


def memory_mib(field: str) -> float:
    """VmRSS (now) or VmHWM (greatest) of this process; getrusage would count the parent's before exec."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def child(folder: Path, contender: str, setting: float) -> None:
    """Run one contender once and print what it took."""
    call = {"ours": ours, "peer": peer, "peer_compiled": peer_compiled}[contender]
    items = json.loads((folder / "items.json").read_text())
    warm = json.loads((folder / "warm" / "items.json").read_text())
    call(warm, setting if contender == "ours" else 512)  # type: ignore[operator]
    Path("/proc/self/clear_refs").write_text("5")  # forget the greatest size so far
    before = memory_mib("VmRSS")
    start, cpu = time.perf_counter(), time.process_time()
    result = call(items, setting if contender == "ours" else int(setting))  # type: ignore[operator]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = memory_mib("VmHWM")
    digest = hashlib.sha256(np.ascontiguousarray(result)).hexdigest()
    beyond = peak - before - result.nbytes / 2**20
    print(json.dumps({"s": seconds, "cpu": cpu, "sha": digest, "beyond_mib": beyond, "peak_mib": peak}))


def run(folder: Path, contender: str, setting: float) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", str(folder), contender, str(setting)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="1024 x 1024, one run, nothing recorded")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(Path(options.child[0]), options.child[1], float(options.child[2]))
        return
    size, runs = (1024, 1) if options.small else (4096, options.runs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "warm").mkdir()
        make_items(folder, size, 6)
        make_items(folder / "warm", 512, 2)
        chunks = [512] if options.small else [512, 1024, 2048]
        tried = {c: run(folder, "peer_compiled", c)["s"] for c in chunks}
        best = min(tried, key=lambda c: tried[c])
        contenders = {
            "ours, 0.5 GiB": ("ours", 0.5),
            "ours, 1.5 GiB": ("ours", 1.5),
            f"stackstac + compiled median, chunks of {best}": ("peer_compiled", best),
            f"stackstac + xarray median, chunks of {best}": ("peer", best),
        }
        results: dict[str, list[dict[str, Any]]] = {label: [] for label in contenders}
        for turn in range(runs):
            for label, (contender, setting) in contenders.items():
                if contender == "peer" and turn >= 2:
                    continue
                results[label].append(run(folder, contender, setting))
                print(label, results[label][-1], flush=True)
    if len({r["sha"] for rows in results.values() for r in rows}) != 1:
        raise SystemExit("the contenders differ in their pixels")
    if not options.small:
        report(results, tried, size)


def report(results: dict[str, list[dict[str, Any]]], tried: dict[int, float], size: int) -> None:
    times = {label: summary([r["s"] for r in rows]) for label, rows in results.items()}
    cpu = {label: min(r["cpu"] for r in rows) for label, rows in results.items()}
    memory = {label: max(r["beyond_mib"] for r in rows) for label, rows in results.items()}
    base = times["ours, 0.5 GiB"]["median_s"]
    record("composite", {"times": times, "beyond_output_mib": memory, "chunks_tried_s": tried})
    lines = [
        f"Median of 6 dates x 4 bands x {size}², uint16, deflate, 512 blocks, one file a band; pixels identical (SHA-256).",
        "Memory is the growth of the greatest resident size during the run, less the result; each run a process of its own.",
        "",
        "| contender | median s | min–max s | CPU s | runs | MiB beyond the result | time / ours (0.5 GiB) |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for label, t in times.items():
        spread = f"{t['min_s']:.2f}–{t['max_s']:.2f}"
        ratio = t["median_s"] / base
        lines.append(
            f"| {label} | {t['median_s']:.2f} | {spread} | {cpu[label]:.2f} | {t['runs']} | {memory[label]:.0f} | {ratio:.2f} |"
        )
    chunks = ", ".join(f"{c}: {s:.2f} s" for c, s in tried.items())
    lines += ["", f"stackstac's chunk sizes tried: {chunks}."]
    write_section("Cloud-masked composite", lines)


if __name__ == "__main__":
    main()
