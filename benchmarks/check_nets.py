"""Shipped nets on generated cities that no net has seen: land cover by class, changes by size of patch, beside change vectors.

    python benchmarks/check_nets.py [--seeds 20250 7 77 4242] [--drawn] [--write]

Made from the generators directly (WORKBENCH_HOME holds the cities). ``--drawn`` adds a seed drawn now.
"""

from __future__ import annotations

import argparse
import secrets
import time

import numpy as np
import torch
from harness import write_section

from workbench.interpretation import measuring, weights
from workbench.interpretation.training_cities import make_city


def change_rows(seed: int, model: weights.Model) -> list[str]:
    card, city = model.card, make_city(seed, extra=0, held_out=True)
    truth = np.asarray(city.change)
    told, seen = measuring.change_probability(model.net, card.mean, card.std, city)
    net = measuring.patch_scores(told >= float(card.threshold or 0.5), truth, seen)
    distance, seen = measuring.change_vectors(city)
    plain = measuring.patch_scores(distance > 0, truth, seen)
    cuts = np.quantile(distance[seen], [0.9, 0.95, 0.98, 0.99, 0.995, 0.998])
    best = max(
        (measuring.patch_scores(distance > cut, truth, seen) for cut in cuts), key=lambda score: score["f1"]
    )
    rows = []
    for name, score in (("net", net), ("CVA", plain), ("CVA, best threshold", best)):
        sizes = " | ".join(
            "" if part["recall"] is None else f"{part['recall']:.2f}" for part in score["by_size"].values()
        )
        rows.append(
            f"| {seed} | {name} | {score['patches']} | {score['recall']:.3f} | {score['precision']:.3f} | {score['cell_iou']:.3f} | {sizes} |"
        )
    return rows


def land_row(seed: int, model: weights.Model) -> str:
    card, city = model.card, make_city(seed, extra=0, held_out=True)
    score = measuring.land_cover_accuracy(model.net, card.mean, card.std, [city], card.classes)
    each = " | ".join(f"{score['iou'][name]:.3f}" for name in card.classes)
    return f"| {seed} | {score['overall']:.4f} | {score['largest_class_share']:.3f} | {score['mean_f1']:.3f} | {each} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="*", default=[20250, 7, 77, 4242])
    parser.add_argument("--drawn", action="store_true")
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    given = parser.parse_args()
    seeds = [*given.seeds, *([100_000 + secrets.randbelow(900_000)] if given.drawn else [])]
    change, land = weights.load("demo_change"), weights.load("demo_land_cover")
    begun = time.monotonic()
    minutes = {m.card.name: m.card.training.get("seconds", 0) / 60 for m in (change, land)}
    sizes = " | ".join(f"{low}+" if high > 10**6 else f"{low}–{high - 1}" for low, high in measuring.SIZES)
    lines = [
        f"Trained by `workbench train --all`: demo_change {minutes['demo_change']:.0f} min, demo_land_cover "
        f"{minutes['demo_land_cover']:.0f} min; the two ran side by side, a thread each, on two cores that others used too. "
        f"{change.card.parameters:,} and {land.card.parameters:,} parameters. Cities 1001–1010 for training, 2001 and 2002 for early "
        "stopping and threshold; none of those below was seen.",
        "",
        "Land that became built between the years, three same-season pairs together; a patch of at least ten cells is found, or a told one right, "
        f"when half of its cells agree. Threshold {change.card.threshold}. CVA takes its threshold from the image alone; its best threshold "
        "is looked up in the truth, which nobody has. Last columns: recall by cells of the true patch.",
        "",
        f"| seed | method | patches | recall | precision | IoU of cells | {sizes} |",
        "| ---: | --- | ---: | ---: | ---: | ---: |" + " ---: |" * len(measuring.SIZES),
        *[row for seed in seeds for row in change_rows(seed, change)],
        "",
        "Land cover, three dates of 2025 together: overall accuracy, share of the largest class (what saying it everywhere would score), mean F1, "
        "IoU by class.",
        "",
        "| seed | overall | largest class | mean F1 | " + " | ".join(land.card.classes) + " |",
        "| ---: |" + " ---: |" * (3 + len(land.card.classes)),
        *[land_row(seed, land) for seed in seeds],
    ]
    print("\n".join(lines))
    print(f"{time.monotonic() - begun:.0f} s, {torch.get_num_threads()} threads")
    if given.write:
        write_section("Shipped nets on cities never seen", lines)


if __name__ == "__main__":
    main()
