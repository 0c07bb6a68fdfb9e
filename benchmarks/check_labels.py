"""Labels that are partly wrong, and which chips to label next: small trainings on generated cities.

    python benchmarks/check_labels.py [--parts noise choice] [--seeds 1 2 3] [--epochs N] [--write]

``noise``: a share of small blocks of labels is planted wrong; nets with and without a loss that forgives are told apart on
another city's true classes. ``choice``: a net from a few chips says which to label next; nets from what it chose, from as many
drawn at random, and from all are told apart on another city. Both take the run that the workbench makes of weak labels
(:func:`survey_training.short_run`); the last epoch counts. Generated cities of WORKBENCH_HOME's cache, made when absent.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from harness import write_section

from workbench.interpretation import labelling, measuring, sample_library, survey_training, training
from workbench.interpretation.imagery import Scene
from workbench.interpretation.runs import LossTable
from workbench.interpretation.training_cities import BANDS, TrainingCity, make_city

LEARNT, TOLD = 1001, 2001
"""Seeds of the city that chips are cut from and of the one that nets are measured on."""
CHIP = 64
GRID = 10
"""Chips a side of the ground that can be labelled."""
CRS = "EPSG:4547"
LOSSES: dict[str, dict[str, float]] = {
    "cross-entropy": {"cross_entropy": 1.0},
    "symmetric cross-entropy and Dice (that of weak labels)": survey_training.TERMS,
}
Array = Any


def ground(city: TrainingCity, out: Path, row: int, col: int, side: int, place: int) -> tuple[Scene, Array]:
    """Image of July of the later year and true classes of a square of a city."""
    window = (slice(row, row + side), slice(col, col + side))
    transform = Affine(10, 0, 500_000 + 100_000 * place, 0, -10, 2_560_000)
    profile = {"driver": "GTiff", "count": 4, "height": side, "width": side, "dtype": "uint16", "crs": CRS, "transform": transform, "nodata": 0}  # fmt: skip
    with rasterio.open(out, "w", **profile) as sink:
        sink.write(np.where(city.clear[(1, 1, *window)], city.images[(1, 1, slice(None), *window)], 0))
        sink.descriptions = BANDS
    return Scene.of_file(out, date="2025-07-08"), np.array(city.classes[(1, *window)])


def planted(labels: Array, share: float, rng: np.random.Generator, classes: int) -> Array:
    """Labels with a share of the blocks of eight cells given to another class, all alike."""
    blocks = tuple(-(-side // 8) for side in labels.shape)
    wrong = np.kron(rng.random(blocks) < share, np.ones((8, 8), dtype=bool))[
        : labels.shape[0], : labels.shape[1]
    ]
    step = np.kron(rng.integers(1, classes, blocks), np.ones((8, 8), dtype=int))[
        : labels.shape[0], : labels.shape[1]
    ]
    return np.where(wrong, (labels + step) % classes, labels).astype(np.uint8)


def learn(
    folder: Path, chips: Sequence[tuple[int, int]], image: tuple[Scene, Array], kept: tuple[Scene, Array], terms: Mapping[str, float],
    seed: int, epochs: int,
) -> tuple[Any, Any]:  # fmt: skip
    """Net and run trained on chips of an image; ``kept`` is what a run measures itself on, which nothing hangs on here."""
    library = sample_library.create(folder / "library", scheme="six", bands=BANDS, crs=CRS)
    library.add_chips(
        *image, size=CHIP, source="survey", by="generator", weak=True, every=list(chips), least_valid=0.0
    )
    library.add_chips(*kept, size=CHIP, source="generated", by="generator", every=[(0, 0)], least_valid=0.0)
    run = survey_training.short_run(library, name="labels", epochs=epochs, chips=96, seed=seed, size=CHIP)
    run = run.model_copy(update={
        "data": run.data.model_copy(update={"hold_out": (kept[0].name,)}),
        "loss": LossTable(terms=dict(terms), weights=run.loss.weights),
        "optimiser": run.optimiser.model_copy(update={"patience": 1000}),
        "machine": run.machine.model_copy(update={"threads": 1}),
    })  # fmt: skip
    training.fit(run, folder / "run", say=lambda text: None)
    return training.trained_net(run, folder / "run" / "last.ckpt"), run


def measured(net: Any, run: Any, city: TrainingCity) -> tuple[float, float]:
    """Overall accuracy and mean F1 on a part of another city, three dates together."""
    window = (slice(400, 1168), slice(400, 1168))
    told, seen = measuring.combined(net, city.images[(slice(1, 2), slice(None), slice(None), *window)], city.clear[(slice(1, 2), slice(None), *window)],
                                    run.data.mean, run.data.std)  # fmt: skip
    truth = np.asarray(city.classes[(1, *window)])
    pairs = truth[seen].astype(int) * 6 + told.argmax(axis=0)[seen]
    score = measuring.scores(np.bincount(pairs, minlength=36).reshape(6, 6), [str(k) for k in range(6)])
    return float(score["overall"]), float(score["mean_f1"])


def mean(values: Sequence[tuple[float, float]]) -> str:
    """Overall accuracy and mean F1 of several seeds: mean, least to most."""
    table = np.array(values)
    return " | ".join(f"{column.mean():.3f} ({column.min():.3f}–{column.max():.3f})" for column in table.T)


def corners() -> list[tuple[int, int]]:
    return [(r * CHIP, c * CHIP) for r in range(GRID) for c in range(GRID)]


def grounds(scratch: Path) -> tuple[tuple[Scene, Array], tuple[Scene, Array], TrainingCity]:
    """Ground to label, a chip elsewhere for the run's own score, and the city to measure on."""
    city = make_city(LEARNT, extra=900)
    image = ground(city, scratch / "image.tif", 600, 600, GRID * CHIP, 0)
    return image, ground(city, scratch / "kept.tif", 1600, 1600, CHIP, 1), make_city(TOLD, extra=0)


def noise(seeds: Sequence[int], epochs: int, share: float = 0.4, number: int = 24) -> Iterator[str]:
    """Losses on labels of which a share is wrong."""
    yield f"{number} chips of {CHIP} x {CHIP} cells, {epochs} epochs of 96 cuts; {share:.0%} of the blocks of 8 x 8 cells planted as any other class. Measured on"
    yield f"true classes of another city, three dates together; mean of {len(seeds)} seeds of chips, noise and net (least to most)."
    yield from ("", "| labels, loss | overall | mean F1 |", "| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        (scene, truth), kept, city = grounds(Path(folder))
        for name, terms in LOSSES.items():
            found = []
            for seed in seeds:
                rng = np.random.default_rng([seed, 5])
                chips = [corners()[k] for k in rng.choice(GRID**2, number, replace=False)]
                labels = planted(truth, share, rng, 6)
                made = Path(folder) / f"{name} {seed}"
                found.append(measured(*learn(made, chips, (scene, labels), kept, terms, seed, epochs), city))
            yield f"| {share:.0%} wrong, {name} | {mean(found)} |"


def choice(seeds: Sequence[int], epochs: int, first: int = 6, more: int = 8) -> Iterator[str]:
    """Chips chosen by the net's doubt, and chips drawn."""
    yield f"{first} chips drawn, then {more} more of {GRID**2}, labelled without error; nets trained anew, {epochs} epochs of 96 cuts each. Measured on another"
    yield f"city as above; mean of {len(seeds)} seeds (least to most)."
    yield from ("", "| chips | overall | mean F1 |", "| --- | ---: | ---: |")
    loss = {"cross_entropy": 1.0, "dice": 0.5}
    names = (
        f"{first} drawn",
        f"{first} drawn and {more} chosen",
        f"{first} drawn and {more} drawn",
        f"all {GRID**2}",
    )
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        image, kept, city = grounds(Path(folder))
        every = corners()
        for seed in seeds:
            rng = np.random.default_rng([seed, 6])
            order = [int(k) for k in rng.permutation(GRID**2)]
            begun = [every[k] for k in order[:first]]
            net, run = learn(Path(folder) / f"first {seed}", begun, image, kept, loss, seed, epochs)
            found[names[0]].append(measured(net, run, city))
            picked = chosen(net, run, image[0], begun, more)
            drawn = [every[k] for k in order[first : first + more]]
            for name, chips in ((names[1], begun + picked), (names[2], begun + drawn), (names[3], every)):
                made = learn(Path(folder) / f"{name} {seed}", chips, image, kept, loss, seed, epochs)
                found[name].append(measured(*made, city))
    yield from (f"| {name} | {mean(values)} |" for name, values in found.items())
    better = [a[1] > b[1] for a, b in zip(found[names[1]], found[names[2]], strict=True)]
    yield from (
        "",
        f"Mean F1 is greater with chosen than with drawn chips for {sum(better)} of {len(better)} seeds.",
    )


def chosen(
    net: Any, run: Any, scene: Scene, there: Sequence[tuple[int, int]], number: int
) -> list[tuple[int, int]]:
    """Corners of the chips to label next, none of those that are labelled."""
    block = scene.read()
    images, clear = block.data[None, None] * np.float32(10_000), block.valid[None, None]
    shares, seen = measuring.combined(net, images, clear, run.data.mean, run.data.std)
    table = labelling.chip_doubts(shares, seen, CHIP)
    free = ~np.array([(r, c) in set(there) for r, c in zip(table["row"], table["column"], strict=True)])
    boxes = [
        shapely.box(*scene.grid[r : r + CHIP, c : c + CHIP].boundingbox.bbox)
        for r, c in zip(table["row"], table["column"], strict=True)
    ]
    chips = gpd.GeoDataFrame(table, geometry=boxes, crs=CRS)[free]
    best = labelling.next_chips(chips, number, block_m=2 * CHIP * 10)
    return [(int(r), int(c)) for r, c in zip(best["row"], best["column"], strict=True)]


EPOCHS = {"noise": 40, "choice": 15}
PARTS = {
    "noise": ("Wrong labels: losses that forgive", noise),
    "choice": ("Chips to label next against chips drawn", choice),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, help="in place of each part's own")
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    given = parser.parse_args()
    for name in given.parts:
        title, part = PARTS[name]
        begun, lines = time.process_time(), []
        print(f"## {title}\n", flush=True)
        for line in part(given.seeds, given.epochs or EPOCHS[name]):
            print(line, flush=True)
            lines.append(line)
        lines += ["", f"{time.process_time() - begun:.0f} s of processor time."]
        if given.write:
            write_section(title, lines)


if __name__ == "__main__":
    main()
