"""Training from last year's survey: a library of weak labels, a short run on it, and what to label next.

A bureau has no labels of its own at first, but it has a survey. Its parcels are of another day than the image, their borders
lie off by metres, and some are wrong: labels are taken inside parcels only, and the loss forgives what does not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core.errors import ParameterError
from workbench.interpretation import imagery, labelling, measuring, runs, sample_library
from workbench.interpretation.imagery import Scene
from workbench.interpretation.runs import Run
from workbench.interpretation.sample_library import IGNORED, SampleLibrary

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.interpretation.weights import Model

Say = Callable[[str], None]
TERMS = {"symmetric_cross_entropy": 1.0, "dice": 0.5}
"""Loss for weak labels: wrong ones pull little."""


def weak_library(
    data: CityData,
    year: int,
    survey_year: int,
    folder: Path,
    *,
    size: int = 96,
    chips: int = 120,
    border_m: float = 8.0,
    scheme: str = "six",
    seed: int = 1,
) -> SampleLibrary:
    """Library of chips of a year's images labelled by the parcels of a survey.

    Parameters
    ----------
    data : CityData
    year : int
        Of the images.
    survey_year : int
        Of the parcels: the year before, as a rule.
    folder : Path
    size : int
        Cells a side of a chip.
    chips : int
        Places drawn over the whole image, shared out among the dates; places with rare classes come first.
    border_m : float
        Labels are left out nearer than this to a parcel's border.
    scheme : str
    seed : int

    Returns
    -------
    SampleLibrary
        The one in ``folder`` when it holds chips of these images already.
    """
    scenes = imagery.scenes(data, year)
    grid = scenes[0].grid
    labels = sample_library.parcel_labels(
        data.vector("land_use", survey_year), grid, scheme=scheme, border_m=border_m
    )
    library = sample_library.create(
        folder,
        scheme=scheme,
        bands=scenes[0].bands,
        crs=str(grid.crs),
        about=f"survey of {survey_year} on images of {year}",
    )
    rows, columns = (side // size for side in labels.shape)
    corners = [(r * size, c * size) for r in range(rows) for c in range(columns)]
    if len(corners) < 2 * len(scenes):
        raise ParameterError(
            "chips are too large for the image", found=size, expected=f"less than {min(labels.shape) // 2}"
        )
    rng = np.random.default_rng([seed, len(corners)])
    kinds = [len(np.unique(labels[r : r + size, c : c + size])) for r, c in corners]
    order = np.argsort(-(np.array(kinds) + rng.uniform(0, 4, len(corners))), kind="stable")[:chips]
    for number, scene in enumerate(scenes):
        places = [corners[k] for k in order[number :: len(scenes)]]
        library.add_chips(
            scene,
            labels,
            size=size,
            source="survey",
            by=f"land_use {survey_year}",
            weak=True,
            confidence=0.8,
            every=places,
        )
    return library


def short_run(
    library: SampleLibrary,
    *,
    name: str,
    epochs: int,
    chips: int,
    seed: int,
    size: int = 96,
    block_m: float = 2000,
) -> Run:
    """Run on a library of weak labels: the shipped land-cover run with a small net, a forgiving loss and few epochs."""
    facts = library.facts
    bands = tuple(facts["bands"])
    classes = len(library.names)
    return runs.read(
        "demo_land_cover", name=name, scheme=facts["scheme"], seed=seed, about=facts["about"], overlap=16,
        data={
            "kind": "library", "library": str(library.folder), "bands": bands, "block_m": block_m, "chip": size,
            **_spread(library, bands),
        },
        net={
            "family": "detail_unet", "in_channels": len(bands), "classes": classes, "encoder": "tu-resnet10t", "depth": 3,
            "decoder": [32, 24, 16], "detail": 16,
        },
        loss={"terms": TERMS, "weights": _weights(library)}, optimiser__epochs=epochs, optimiser__chips=chips, optimiser__lr=0.004,
    )  # fmt: skip


def _weights(library: SampleLibrary) -> tuple[float, ...]:
    """Weight of each class: rare ones more, by the root of how rare, at most fourfold."""
    share = library.balance().groupby("class", sort=False)["share"].sum().to_numpy()
    found = np.sqrt(np.median(share[share > 0]) / np.maximum(share, 1e-6))
    return tuple(np.clip(found, 0.5, 4.0).round(2).tolist())


def _spread(library: SampleLibrary, bands: tuple[str, ...]) -> dict[str, Any]:
    """Mean and spread of each band over some chips."""
    names = library.table(kind="chip")["sample_id"]
    if names.empty:
        raise ParameterError("the library holds no chips", where=str(library.folder))
    cells = []
    for name in names.iloc[:: max(len(names) // 24, 1)]:
        image, valid, _ = library.read(str(name))
        cells.append(image[:, valid])
    every = np.concatenate(cells, axis=1)
    return {
        "mean": tuple(np.round(every.mean(axis=1), 4).tolist()),
        "std": tuple(np.round(every.std(axis=1), 4).tolist()),
    }


def log_of(folder: Path) -> pd.DataFrame:
    """Loss and score by epoch of a run, over all its interruptions: ``epoch, train_loss, val_loss, val_score``."""
    files = sorted(Path(folder).glob("log*/metrics.csv"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise ParameterError("no log of a run here", where=str(folder))
    rows = pd.concat([pd.read_csv(path) for path in files], ignore_index=True)
    found = rows.groupby("epoch")[["train_loss", "val_loss", "val_score"]].last().reset_index()
    found["epoch"] = found["epoch"] + 1
    return found


def accuracy_table(accuracy: dict[str, Any]) -> pd.DataFrame:
    """F1 of each class (rows) on all places kept for validation and on each of them (columns), of a card's accuracy."""
    found = pd.DataFrame(
        {"all": accuracy["f1"], **{name: part["f1"] for name, part in accuracy["by_place"].items()}}
    )
    found.loc["overall"] = {
        "all": accuracy["overall"],
        **{name: part["overall"] for name, part in accuracy["by_place"].items()},
    }
    return found


def to_label_next(
    model: Model, scenes: list[Scene], number: int, *, size: int = 96, block_m: float = 2000
) -> gpd.GeoDataFrame:
    """Chips to label next: where the net is unsure on the scenes together, unlike one another, spread over the ground."""
    card = model.card
    blocks = [scene.select(card.bands).read() for scene in scenes]
    images = np.stack([block.data for block in blocks])[None] * np.float32(10_000)
    clear = np.stack([block.valid for block in blocks])[None]
    shares, seen = measuring.combined(model.net, images, clear, card.mean, card.std)
    table = labelling.chip_doubts(shares, seen, size)
    grid = scenes[0].grid
    boxes = [
        shapely.box(*grid[r : r + size, c : c + size].boundingbox.bbox)
        for r, c in zip(table["row"], table["column"], strict=True)
    ]
    return labelling.next_chips(
        gpd.GeoDataFrame(table, geometry=boxes, crs=str(grid.crs)), number, block_m=block_m
    )


def share_agreeing(model: Model, scene: Scene, parcels: gpd.GeoDataFrame, *, border_m: float = 8.0) -> float:
    """Share of an image's cells that the net calls what the survey says, away from parcels' borders."""
    labels = sample_library.parcel_labels(parcels, scene.grid, scheme=model.card.scheme, border_m=border_m)
    block = scene.select(model.card.bands).read()
    image = block.data[None] * np.float32(10_000)
    told = measuring.logits_of(model.net, image, block.valid[None], model.card.mean, model.card.std).argmax(
        axis=0
    )
    keep = block.valid & (labels != IGNORED)
    return float((told == labels)[keep].mean())
