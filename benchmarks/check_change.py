"""Change found in generated cities against what was planted: the shipped net beside IR-MAD and CVA, by size of patch.

    python benchmarks/check_change.py [--seeds 20250 7 77 4242] [--drawn] [--methods net irmad cva] [--weights NAME] [--cities FOLDER]

Truth is land that became construction land between the surveys of 2024 and 2025 and looks it: new park green (0810) is
construction land by the survey and grass in an image, and no net of built-up land can find it; recall with it stands beside. A true patch counts as found when half of
its cells are; a patch said to have changed is right when half of its cells became construction land. Patches of ten cells
and more, cells that no pair shows clearly left out. Prints Markdown for benchmarks/RESULTS.md. Cities that are not in
--cities are built there.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
import rasterio.features

from workbench.core.codes import raster_code
from workbench.interpretation import change, patches
from workbench.interpretation.classes import class_of_survey
from workbench.interpretation.imagery import Pair, Scene
from workbench.interpretation.patch_scores import patch_scores
from workbench.samples.sensor import DATES
from workbench.samples.truth import CONSTRUCTION

SEEDS = (20250, 7, 77, 4242)


def pairs_of(city: Path) -> list[Pair]:
    """Pairs of one season of a generated city."""
    found = []
    for number, day in enumerate(DATES, start=1):
        scenes = [
            Scene.of_file(city / f"imagery_{year}_{number}.tif", date=f"{year}-{day}", mask=city / f"imagery_{year}_{number}_cloud.tif")
            for year in (2024, 2025)
        ]  # fmt: skip
        found.append(Pair(*scenes))
    return found


def truth_of(city: Path, *, green: bool = False) -> np.ndarray:
    """Cells that became construction land; with ``green`` also what images show as grass."""
    look = class_of_survey("six")
    built = np.zeros(256, dtype=bool)
    built[[raster_code(code) for code in CONSTRUCTION]] = True
    shown = np.zeros(256, dtype=bool)
    shown[[raster_code(code) for code in CONSTRUCTION if look.get(code) != look["0810"]]] = True
    with rasterio.open(city / "land_use_raster_2024.tif") as file:
        before = built[file.read(1)]
    with rasterio.open(city / "land_use_raster_2025.tif") as file:
        return (built if green else shown)[file.read(1)] & ~before


def scored(
    city: Path, out: Path, method: str, model: object = None, mmu_m2: float = 400.0
) -> tuple[pd.DataFrame, float, float]:
    """Scores of a method on a generated city, recall with park green, and the seconds it took."""
    began = time.perf_counter()
    found = change.detect(pairs_of(city), out, method=method, model=model)
    frame = patches.change_patches(found, mmu_m2=mmu_m2)
    seconds = time.perf_counter() - began
    with rasterio.open(found.path) as file:
        seen, transform = file.read(1) > 0, file.transform
    said = np.zeros(seen.shape, dtype=np.uint8)
    if len(frame):
        said = rasterio.features.rasterize(frame.geometry, out_shape=seen.shape, transform=transform)
    table = patch_scores(truth_of(city), said.astype(bool), seen=seen)
    whole = patch_scores(truth_of(city, green=True), said.astype(bool), seen=seen).iloc[-1]
    return table, float(whole["recall"]), seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--drawn", action="store_true", help="one more, drawn now")
    parser.add_argument("--methods", nargs="+", default=["net", "irmad", "cva"], choices=change.METHODS)
    parser.add_argument("--weights", default="demo_change")
    parser.add_argument("--cities", type=Path)
    args = parser.parse_args()
    from workbench.interpretation.weights import load
    from workbench.samples.demo import build

    warnings.simplefilter("ignore")
    model = load(args.weights) if "net" in args.methods else None
    seeds = [*args.seeds, *([100_000 + secrets.randbelow(900_000)] if args.drawn else [])]
    print(
        "| seed | method | size (cells) | true | recall | said | precision | IoU | F1 | recall with parks | seconds |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        cities = args.cities or Path(scratch)
        for seed in seeds:
            city = cities / str(seed)
            if not city.is_dir():
                build(city, seed=seed)
            for method in args.methods:
                out = Path(scratch) / f"{seed}-{method}.tif"
                table, with_green, seconds = scored(city, out, method, model if method == "net" else None)
                for row in table.to_dict("records"):
                    last = row["size"] == "all"
                    figures = [
                        f"{row[name]:.2f}" if row[name] == row[name] else "-"
                        for name in ("recall", "precision")
                    ]
                    tail = (
                        [f"{row['iou']:.3f}", f"{row['f1']:.3f}", f"{with_green:.2f}", f"{seconds:.0f}"]
                        if last
                        else [""] * 4
                    )
                    cells = [
                        seed,
                        method,
                        row["size"],
                        row["true"],
                        figures[0],
                        row["said"],
                        figures[1],
                        *tail,
                    ]
                    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
