"""Indicators from rasters of a generated city of 7,400 km² at 10 m (74 million cells), 11 districts, 180 planning units.

Source files are made first and not timed. Then, each in a process of its own and an empty home: the catalogue is built; the
demo's whole set of indicators is computed for the city, districts and units; the checkup is made as the report makes it.
Limits of time and memory, no peer; figures of the districts are compared with a plain count of cells. Memory is the sum over
all processes, sampled ten times a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import psutil
import rasterio
import rasterio.features
from bench_report import memory_mib
from big_city import CELL, COARSE, DISTRICTS, SIZE, UNITS, YEARS, write
from harness import record, summary, write_section

LIMIT_S, LIMIT_MIB = 300.0, 4096.0


def build(profile: Path) -> dict[str, Any]:
    """Standardise every layer into the home's catalogue."""
    from workbench.catalog.build import build as build_catalogue

    build_catalogue(str(profile))
    return {}


def indicators(profile: Path) -> dict[str, Any]:
    """All indicators of the set for the city, its districts and its units."""
    from workbench.core.city import load_city
    from workbench.indicators.changes import city_indicators
    from workbench.indicators.compute import compute

    city = load_city(profile)
    values = compute(city, YEARS[-1], city_indicators(city), levels=("city", "district", "unit"))
    known = values[values["value"].notna()]
    values.to_parquet(profile.with_name("values.parquet"))
    return {"values": len(known), "indicators": known["indicator"].nunique(), "rows": len(values)}


def checkup(profile: Path) -> dict[str, Any]:
    """The checkup: values, rules, and all numbers derived from them."""
    from workbench.evaluation.checkup import checkup as make

    made = make(str(profile))
    known = made.values[made.values["value"].notna()]
    indicators = known.loc[known["indicator"].isin(list(made.definitions)), "indicator"].nunique()
    return {"values": len(known), "indicators": indicators, "rows": len(made.values)}


STEPS = {"catalogue": build, "indicators": indicators, "checkup": checkup}


def run(step: str, profile: Path, home: Path) -> dict[str, Any]:
    """One step in a process of its own: seconds, greatest memory, and what it tells."""
    env = {**os.environ, "WORKBENCH_HOME": str(home), "WORKBENCH_DATA": str(profile.parent)}
    start, peak = time.perf_counter(), 0.0
    with psutil.Popen(
        [sys.executable, __file__, "--child", step, str(profile)], env=env, stdout=subprocess.PIPE, text=True
    ) as child:
        while child.poll() is None:
            peak = max(peak, memory_mib(child))
            time.sleep(0.1)
        told = child.stdout.read()
    if child.returncode:
        raise SystemExit(f"{step} failed")
    result = {"s": time.perf_counter() - start, "mib": peak, **json.loads(told.splitlines()[-1])}
    sys.stdout.write(f"{step}: {result}\n")
    sys.stdout.flush()
    return result


def agreement(folder: Path) -> dict[str, float]:
    """Greatest relative difference, over the districts, of figures from a plain count of cells by their centres."""
    import pandas as pd

    values = pd.read_parquet(folder / "values.parquet")
    districts = gpd.read_parquet(folder / "districts.parquet")
    with rasterio.open(folder / f"land_use_raster_{YEARS[-1]}.tif") as file:
        now, transform = file.read(1), file.transform
    with rasterio.open(folder / f"land_use_raster_{YEARS[0]}.tif") as file:
        before = file.read(1)
    with rasterio.open(folder / "subsidence.tif") as file:
        sinking = file.read(1)
    shapes = [(shape, k + 1) for k, shape in enumerate(districts.geometry)]
    zone = rasterio.features.rasterize(shapes, now.shape, transform=transform, dtype="uint8")
    mine = values[values["level"] == "district"].pivot(index="zone", columns="indicator", values="value")
    mine = mine.loc[districts["code"]]

    def cells(cover: np.ndarray, codes: list[int]) -> np.ndarray:
        return np.bincount(zone[np.isin(cover, codes)], minlength=DISTRICTS + 1)[1:].astype(float)

    from workbench.core import codes

    water = list(map(int, codes.raster_codes("water_surface")))
    change = (cells(now, water) / cells(before, water) - 1) * 100
    measured = sinking != -9999
    sums = np.bincount(zone[measured], weights=sinking[measured], minlength=DISTRICTS + 1)[1:]
    mean = sums / np.bincount(zone[measured], minlength=DISTRICTS + 1)[1:]
    return {
        "water": float(np.max(np.abs(mine["SDG-6.6.1"].to_numpy() - change))),
        "subsidence": float(np.max(np.abs(mine["TJ-A24"].to_numpy() / mean - 1))),
    }


def main() -> None:
    """Run it and write the figures down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the generated files, made when absent")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        sys.stdout.write(json.dumps(STEPS[options.child[0]](Path(options.child[1]))) + "\n")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(exist_ok=True)
        profile = folder / "big.toml"
        if not profile.exists():
            write(folder)
        results: dict[str, list[dict[str, Any]]] = {step: [] for step in STEPS}
        for _ in range(options.runs):
            with tempfile.TemporaryDirectory() as home:
                for step in STEPS:
                    results[step].append(run(step, profile, Path(home)))
        differences = agreement(folder)
    report(results, differences)


def report(results: dict[str, list[dict[str, Any]]], differences: dict[str, float]) -> None:
    """Check the limits and write the section."""
    lines = [
        f"Grid of {SIZE} x {SIZE} cells of {CELL:.0f} m, 74 million of them inside the city; {DISTRICTS} districts, {UNITS} "
        f"units; land use of two years, imagery of four bands with clouds, subsidence, PM2.5, people on {CELL * COARSE:.0f} m. "
        f"Load average at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        "",
        "| step | median s | least to most | runs | peak MiB, all processes | values | indicators with values | limit |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for step, runs in results.items():
        s, mib = summary([r["s"] for r in runs]), max(r["mib"] for r in runs)
        limit = "" if step == "catalogue" else f"{LIMIT_S:.0f} s, {LIMIT_MIB / 1024:.0f} GiB"
        if limit and (s["max_s"] > LIMIT_S or mib > LIMIT_MIB):
            limit += " (missed)"
        lines.append(
            f"| {step} | {s['median_s']:.1f} | {s['min_s']:.1f} to {s['max_s']:.1f} | {s['runs']} | {mib:.0f} "
            f"| {runs[0].get('values', '')} | {runs[0].get('indicators', '')} | {limit} |"
        )
    lines += [
        "",
        "Against a plain count of cells by their centres, greatest difference over the districts: change of water "
        f"{differences['water']:.1e} percentage points, mean subsidence {differences['subsidence']:.1e} of the value.",
    ]
    record("city", {"steps": results, "differences": differences})
    write_section("City of 7,400 km² at 10 m", lines)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
