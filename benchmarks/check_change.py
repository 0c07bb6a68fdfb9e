"""Change found in generated cities against what was planted: the shipped net beside IR-MAD and CVA, by size of patch.

    python benchmarks/check_change.py [--seeds 20250 7 77 4242] [--drawn] [--methods net irmad cva] [--weights NAME] [--cities FOLDER]
        [--land] [--write]

Truth is land that became construction land between the surveys of 2024 and 2025 and looks it: new park green (0810) is
construction land by the survey and grass in an image, and no net of built-up land can find it; recall with it stands beside. A true patch counts as found when half of
its cells are; a patch said to have changed is right when half of its cells became construction land. Patches of ten cells
and more, cells that no pair shows clearly left out. Prints Markdown; --write puts it into benchmarks/RESULTS.md. Cities that
are not in --cities are built there. --land also maps the land cover of both years: other land changes beside new building,
held against all land the survey calls new construction, and whether the intervals of the areas hold the true ones.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import rasterio.features
from rasterio.windows import Window

from workbench.core.city import load_city
from workbench.core.codes import group, raster_code
from workbench.interpretation import change, patches, predict, transitions
from workbench.interpretation.assessment import Map, assess, draw_points, survey_reference
from workbench.interpretation.city_run import BUILT_GROUP, CHANGE_CLASSES, change_reference
from workbench.interpretation.classes import class_of_survey, scheme
from workbench.interpretation.imagery import Pair, Scene
from workbench.interpretation.patch_scores import patch_scores
from workbench.interpretation.predict import Prediction
from workbench.interpretation.weights import Model
from workbench.operators.area import area_m2
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


def middle_of(city: Path, found: change.ChangeMap, folder: Path, cells: int = 1400) -> change.ChangeMap:
    """Images, survey and change map of the middle of a city, as files of the same names in another folder; its change map."""
    folder.mkdir()
    shutil.copy(city / "land_use_2024_revised.parquet", folder)
    files = [
        *city.glob("imagery_202[45]_*.tif"),
        *city.glob("land_use_raster_202[45].tif"),
        found.path,
        found.probability,
    ]
    for one in files:
        with rasterio.open(one) as file:
            window = Window((file.width - cells) // 2, (file.height - cells) // 2, cells, cells)
            profile = {
                **file.profile,
                "driver": "GTiff",
                "width": cells,
                "height": cells,
                "transform": file.window_transform(window),
            }
            with rasterio.open(folder / one.name, "w", **profile) as out:
                out.descriptions = file.descriptions
                out.update_tags(**file.tags())
                out.write(file.read(window=window))
    return replace(found, path=folder / found.path.name, probability=folder / found.probability.name)


def land_of(city: Path, folder: Path, model: Model) -> list[Prediction]:
    """Land cover of both years with its probabilities."""
    pairs = pairs_of(city)
    found = []
    for number, scenes in enumerate(([one.before for one in pairs], [one.after for one in pairs])):
        found.append(predict.predict(scenes, model, folder / f"land_{number}.tif", probabilities=True))
    return found


def scored_wide(
    city: Path, found: change.ChangeMap, land: list[Prediction], mmu_m2: float = 400.0
) -> dict[str, pd.DataFrame]:
    """Scores against all land that became construction land by the survey: net alone, with other land changes, of two class maps."""
    with rasterio.open(found.path) as file:
        seen, transform = file.read(1) > 0, file.transform
    frame = patches.change_patches(found, mmu_m2=mmu_m2)
    other = transitions.land_changes(
        land[0].probabilities,
        land[1].probabilities,
        found,
        pairs_of(city),
        survey=gpd.read_parquet(city / "land_use_2024_revised.parquet"),
    )
    maps = []
    for one in land:
        with rasterio.open(one.path) as file:
            maps.append(file.read(1))

    def burnt(*shapes: Any) -> np.ndarray:
        every = [shape for part in shapes for shape in part]
        return rasterio.features.rasterize(every, out_shape=seen.shape, transform=transform).astype(bool)

    truth = truth_of(city, green=True)
    said = {
        "net": burnt(frame.geometry),
        "net and land changes": burnt(frame.geometry, other.geometry),
        "class maps differ": (maps[0] != maps[1]) & (maps[0] > 0) & (maps[1] > 0),
    }
    return {name: patch_scores(truth, mask, seen=seen) for name, mask in said.items()}


def intervals(
    city: Path, found: change.ChangeMap, land: Prediction
) -> list[tuple[str, float, float, float, float]]:
    """Class, area on the map, bounds of its interval and the true area (ha), as a city's report has them."""
    profile, look = load_city("demo"), class_of_survey("six")
    survey = {year: gpd.read_parquet(city / f"land_use_{year}.parquet") for year in (2024, 2025)}
    construction = group(BUILT_GROUP)

    class Surveys:
        def vector(self, role: str, year: int) -> gpd.GeoDataFrame:
            return survey[year]

    names = tuple(scheme("six")["class"])
    parcels = survey[2025]
    areas = area_m2(parcels.geometry, parcels.crs) / 1e4
    value = parcels["dlbm"].map(look).fillna(0).astype(int).to_numpy()
    true = {name: float(areas[value == place].sum()) for place, name in enumerate(names, 1)}
    before = survey[2024][["dlbm", "geometry"]].assign(was=survey[2024]["dlbm"].isin(construction))
    new = gpd.overlay(
        parcels[parcels["dlbm"].isin(construction)][["geometry"]], before[~before["was"]][["geometry"]]
    )
    true["changed"] = float(area_m2(new.geometry, new.crs).sum() / 1e4)
    rows = []
    for judged, reference in (
        (Map(land.path, "land_cover_map", 2025, names), survey_reference),
        (Map(found.path, "change_map", 2025, CHANGE_CLASSES), change_reference),
    ):
        drawn = draw_points(judged, profile.interpretation.sample_points, seed=profile.interpretation.seed)
        result = assess(profile, 2025, judged, drawn, reference(drawn.points, 2025, Surveys()))
        rows += [
            (str(name), float(row["mapped"]), float(row["low"]), float(row["high"]), true[str(name)])
            for name, row in result.areas.iterrows() if name in true
        ]  # fmt: skip
    return rows


HEADS = ("seed", "truth and method", "size (cells)", "true", "recall", "said", "precision", "IoU", "F1")


def line(seed: int, method: str, row: dict[str, Any]) -> str:
    """Row of the table of patches."""
    shown = [
        "-" if row[name] != row[name] else f"{row[name]:.{digits}f}"
        for name, digits in (("recall", 2), ("precision", 2), ("iou", 3), ("f1", 3))
    ]
    cells = [seed, method, row["size"], row["true"], shown[0], row["said"], shown[1], *shown[2:]]
    return "| " + " | ".join(map(str, cells)) + " |"


def head(names: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(names) + " |", "| " + " | ".join("---" for _ in names) + " |"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--drawn", action="store_true", help="one more, drawn now")
    parser.add_argument("--methods", nargs="+", default=["net", "irmad", "cva"], choices=change.METHODS)
    parser.add_argument("--weights", default="demo_change")
    parser.add_argument("--cities", type=Path)
    parser.add_argument("--land", action="store_true", help="land cover of both years too")
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    args = parser.parse_args()
    from harness import write_section

    from workbench.interpretation.weights import load
    from workbench.samples.demo import build

    warnings.simplefilter("ignore")
    model = load(args.weights) if "net" in args.methods else None
    seeds = [*args.seeds, *([100_000 + secrets.randbelow(900_000)] if args.drawn else [])]
    rows, areas = [], []
    with tempfile.TemporaryDirectory() as scratch:
        cities = args.cities or Path(scratch)
        for seed in seeds:
            city = cities / str(seed)
            if not city.is_dir():
                build(city, seed=seed)
            for method in args.methods:
                out = Path(scratch) / f"{seed}-{method}.tif"
                table, _, _ = scored(city, out, method, model if method == "net" else None)
                rows += [line(seed, f"built: {method}", row) for row in table.to_dict("records")]
                print(rows[-1], flush=True)
            if args.land and model is not None:
                land = land_of(city, Path(scratch), load("demo_land_cover"))
                found = change.ChangeMap.read(Path(scratch) / f"{seed}-net.tif")
                for name, table in scored_wide(city, found, land).items():
                    rows += [line(seed, f"construction: {name}", row) for row in table.to_dict("records")]
                    print(rows[-1], flush=True)
                for name, mapped, low, high, true in intervals(city, found, land[1]):
                    held = "yes" if low <= true <= high else "no"
                    areas.append(
                        f"| {seed} | {name} | {mapped:.1f} | {low:.1f} to {high:.1f} | {true:.1f} | {held} |"
                    )
                    print(areas[-1], flush=True)
    text = [*head(HEADS), *rows]
    if areas:
        text += ["", *head(("seed", "class", "map (ha)", "interval (ha)", "true (ha)", "held")), *areas]
        text += [
            "",
            f"{sum(one.endswith('yes |') for one in areas)} of {len(areas)} intervals of 95 % hold the true area.",
        ]
    if args.write:
        write_section("Change in cities never seen, by truth, method and size", [ABOUT, "", *text])


ABOUT = (
    "Patches of ten cells and more. *built*: land whose image class became built-up. *construction*: all land that the survey calls "
    "new construction, parks among it, which images show as grass. Thresholds of the land changes were chosen with 20250, 7 and 77 in view."
)


if __name__ == "__main__":
    main()
