"""Areas that 200,000 parcels share with 5,000 planning lines, pair by pair, and 2,000,000 parcels in a stream.

Ours: ellipsoidal areas without shapes. Peer: ``geopandas.overlay`` with the areas of its pieces in the plane, which cost it
next to nothing; outside the timing its pieces are measured on the ellipsoid and compared with ours, pair by pair. Every run is
a process of its own; the contenders take turns. Memory is the growth of the greatest resident size over that with both layers
loaded. In the stream parcels come from a file a row group at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import shapely
from bench_zonal import memory_mib
from harness import record, summary, write_section
from shapes import CRS, control_lines, write_parcels

GOAL, TOLERANCE = 2.5, 1e-6
CASES = {"parcels": (447, 100.0), "stream": (1414, 60.0)}
"""Parcels along a side, and their mean width: 2,000 and 7,200 km²."""


def blocks(path: Path) -> Iterator[gpd.GeoDataFrame]:
    """Parcels of a file, a row group at a time."""
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        table = file.read_row_group(group)
        shapes = shapely.from_wkb(table["geometry"].to_numpy())
        yield gpd.GeoDataFrame({"parcel": table["parcel"].to_numpy()}, geometry=shapes, crs=CRS)


def ours(parcels: Any, lines: gpd.GeoDataFrame, threads: int | None = None) -> pd.DataFrame:
    from workbench.operators.shared_area import area_table

    return area_table(parcels, lines, left_id="parcel", right_id="line", threads=threads)


def geopandas_overlay(parcels: gpd.GeoDataFrame, lines: gpd.GeoDataFrame) -> pd.DataFrame:
    pieces = gpd.overlay(parcels, lines, how="intersection", keep_geom_type=True)
    pieces["area_m2"] = pieces.area
    return pieces


def stream(path: Path, lines: gpd.GeoDataFrame) -> pd.DataFrame:
    """Area of each line that parcels fill, and the pairs there are: what is kept does not grow with the parcels."""
    from workbench.operators.shared_area import shared_areas

    sums = np.zeros((len(lines), 2))
    for found in shared_areas(blocks(path), lines, left_id="parcel", right_id="line"):
        np.add.at(sums, found["line"].to_numpy(), np.column_stack((found["area_m2"], np.ones(len(found)))))
    return pd.DataFrame(sums, columns=["area_m2", "pairs"])


CONTENDERS = {
    "workbench": ours,
    "workbench, one thread": lambda p, c: ours(p, c, 1),
    "geopandas.overlay": geopandas_overlay,
}


def child(folder: Path, name: str) -> None:
    """Run one contender once: on a few rows first, then measured."""
    case = "stream" if name == "stream" else "parcels"
    path, lines = folder / f"{case}.parquet", gpd.read_parquet(folder / f"{case}_lines.parquet")
    parcels = path if name == "stream" else gpd.read_parquet(path)
    contender = stream if name == "stream" else CONTENDERS[name]
    few = next(blocks(path)).iloc[:50]
    (ours if name == "stream" else contender)(few, lines.iloc[:50])
    Path("/proc/self/clear_refs").write_text("5")  # forget the greatest size so far
    before = memory_mib("VmRSS")
    start, cpu = time.perf_counter(), time.process_time()
    table = contender(parcels, lines)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    mib = memory_mib("VmHWM") - before
    if name == "geopandas.overlay":
        from workbench.operators.area import area_m2

        table["area_m2"] = area_m2(table.geometry, CRS)
        table = pd.DataFrame(table[["parcel", "line", "area_m2"]])
    table.to_parquet(folder / f"{name}.found")
    sys.stdout.write(json.dumps({"s": seconds, "cpu": cpu, "mib": mib, "pairs": len(table)}) + "\n")


def run(folder: Path, name: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", str(folder), name]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    result: dict[str, float] = json.loads(lines[-1])
    sys.stdout.write(f"{name}: {result}\n")
    sys.stdout.flush()
    return result


def agreement(folder: Path) -> dict[str, float]:
    """Greatest differences of a pair's area; a pair one of them lacks counts as 0. Ends the run when they are too large."""
    mine, peer = (pd.read_parquet(folder / f"{name}.found") for name in ("workbench", "geopandas.overlay"))
    both = mine.merge(peer, on=["parcel", "line"], how="outer", suffixes=("", "_peer")).fillna(0.0)
    off = np.abs(both["area_m2"] - both["area_m2_peer"])
    relative = off / np.maximum(both["area_m2_peer"], 1.0)
    if relative.max() > TOLERANCE:
        raise SystemExit(f"areas differ by {relative.max()}: {both.loc[relative.idxmax()].to_dict()}")
    return {
        "relative": float(relative.max()),
        "m2": float(off.max()),
        "pairs": len(both),
        "lacking": int((both[["area_m2", "area_m2_peer"]] == 0).any(axis=1).sum()),
        "whole": float(mine["area_m2"].sum() / peer["area_m2"].sum() - 1),
    }


def stream_agreement(folder: Path) -> float:
    """Lines wholly inside the gapless parcels are filled by them: greatest relative difference from their own area."""
    from workbench.operators.area import area_m2

    lines = gpd.read_parquet(folder / "stream_lines.parquet")
    filled = pd.read_parquet(folder / "stream.found")["area_m2"].to_numpy()
    own = area_m2(lines.geometry, CRS)
    side = CASES["stream"][0] * CASES["stream"][1]
    west, south = np.array((460_000.0, 2_500_000.0)) + 0.01 * side
    inside = lines.within(shapely.box(west, south, west + 0.98 * side, south + 0.98 * side)).to_numpy()
    return float(np.max(np.abs(filled[inside] / own[inside] - 1)))


def main() -> None:
    """Run it and write the figures down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(Path(options.child[0]), options.child[1])
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case, (side, pitch) in CASES.items():
            write_parcels(folder / f"{case}.parquet", side, pitch, rows=32)
            control_lines(5000, side * pitch).to_parquet(folder / f"{case}_lines.parquet")
        rows: dict[str, list[dict[str, float]]] = {contender: [] for contender in CONTENDERS}
        for turn in range(options.runs):
            for contender in CONTENDERS:
                if turn == 0 or contender != "workbench, one thread":
                    rows[contender].append(run(folder, contender))
        rows["stream"] = [run(folder, "stream")]
        differences = {**agreement(folder), "stream": stream_agreement(folder)}
        pairs = int(pd.read_parquet(folder / "stream.found")["pairs"].sum())
    report(rows, differences, pairs)


def report(rows: dict[str, list[dict[str, float]]], differences: dict[str, float], pairs: int) -> None:
    """Write the section."""
    base = summary([r["s"] for r in rows["workbench"]])
    lines = [
        f"{CASES['parcels'][0] ** 2:,} parcels of 24 vertices without gaps, 5,000 lines of 300 to 890 vertices and 40 m to 6 km "
        f"in radius that overlap; {differences['pairs']:.0f} pairs. Ours on the ellipsoid, peer's in the plane. Load average at "
        f"the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        "",
        "| contender | median s | min–max s | CPU s | runs | MiB beyond the layers | median / ours | goal |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in rows.items():
        t, mib = summary([r["s"] for r in runs]), max(r["mib"] for r in runs)
        spread, cpu = f"{t['min_s']:.2f}–{t['max_s']:.2f}", min(r["cpu"] for r in runs)
        goal = f"{GOAL}" if name == "geopandas.overlay" else ""
        times = "" if name == "stream" else f"{t['median_s'] / base['median_s']:.1f}"
        label = f"workbench, {CASES['stream'][0] ** 2:,} parcels in a stream" if name == "stream" else name
        lines.append(
            f"| {label} | {t['median_s']:.2f} | {spread} | {cpu:.2f} | {t['runs']} | {mib:.0f} | {times} | {goal} |"
        )
    lines += [
        "",
        f"Greatest difference of a pair's area from geopandas' piece measured on the ellipsoid: {differences['m2']:.1e} m², "
        f"{differences['relative']:.1e} of it (of 1 m² where it is smaller; limit {TOLERANCE:.0e}); {differences['lacking']:.0f} pairs only one of them has; "
        f"the whole sum {differences['whole']:.1e}.",
        f"The stream finds {pairs:,} pairs; lines wholly among its parcels are filled to {differences['stream']:.1e} of their area.",
    ]
    record("overlay", {"runs": rows, "differences": differences, "stream_pairs": pairs})
    write_section("Areas shared by parcels and planning lines", lines)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
