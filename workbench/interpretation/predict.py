"""Land-cover maps of images: weights, engine and stream put together, with a record and a STAC item."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pystac
import rasterio
import rasterio.windows
import shapely

from workbench.catalog import published
from workbench.core.errors import ImageError, ParameterError, WeightsError
from workbench.core.lineage import DIGITS
from workbench.core.paths import atomic_write
from workbench.interpretation import classes, confidence, engines, stream, strips, weights
from workbench.interpretation.assessment import MAP
from workbench.interpretation.cards import Card, expect
from workbench.interpretation.dynamic_world import DynamicWorld
from workbench.interpretation.imagery import OPENNESS, Scene, strictest
from workbench.interpretation.stream import MapClass
from workbench.interpretation.tile_reading import TileReader, scaling_of
from workbench.interpretation.tiling import Layout
from workbench.interpretation.weights import Model
from workbench.operators.area import area_m2

if TYPE_CHECKING:
    from workbench.core.city import City
    from workbench.core.layer_spec import Sensitivity

Say = Callable[[str], None]


@dataclass(frozen=True)
class Prediction:
    """A land-cover map."""

    path: Path
    """Classes of the card from 1, 0 nodata."""
    probabilities: Path | None
    """A band a class, 0 to 250, 255 nodata."""
    record: dict[str, Any] = field(repr=False)
    """What it was made of and with; stands in ``<path>.json``."""


@dataclass(frozen=True)
class Plan:
    """How a net is run over images: what :func:`stream.run` needs of weights and engine."""

    forwards: list[Callable[[npt.NDArray[Any]], Any]]
    """One a device."""
    tile: int
    overlap: int
    multiple: int
    batch: int
    pins: dict[str, Any]
    """Weights, engine, precision: what the result depends on besides the images."""
    about: str
    """The engine in words."""


def legend(card: Card) -> list[MapClass]:
    """Classes of a card with names and colours of its scheme.

    Raises
    ------
    WeightsError
        When the scheme has other classes than the card.
    """
    if card.task == "change":
        table = classes.scheme("change")
    else:
        table = classes.scheme(card.scheme)
        if tuple(table["class"]) != tuple(card.classes):
            raise WeightsError(
                "class table does not match",
                where=card.name,
                found=list(card.classes),
                expected=table["class"].tolist(),
                hint=f"the card names another scheme than its own, or '{card.scheme}' was changed since",
            )
    return [
        MapClass(str(row["class"]), str(row["name_zh"]), str(row["colour"]))
        for row in table.to_dict("records")
    ]


def overlap_of(card: Card, multiple: int) -> int:
    """Cells neighbouring tiles share: four times what the card says a tile's edge sees too little of.

    Three quarters of it are context only (see :class:`Axis`); with less, tiles of another size showed in more than one
    pixel in a thousand.
    """
    return -(-4 * card.overlap // multiple) * multiple


def layout_of(
    shape: tuple[int, int], model: Model | DynamicWorld, *, tile: int = 512, overlap: int | None = None
) -> tuple[Layout, int, int]:
    """Tiles of a net over an image of a shape, the cells they share, and what their sides are divisible by."""
    multiple = math.lcm(32, int(getattr(getattr(model, "net", None), "step", 32)))
    shared = overlap_of(model.card, multiple) if overlap is None else overlap
    return Layout.of(shape, tile=tile, overlap=shared, multiple=multiple), shared, multiple


def plan(
    sources: Sequence[Scene],
    model: Model | DynamicWorld,
    out: Path,
    *,
    several_dates: bool = False,
    engine: str = "auto",
    tile: int = 512,
    overlap: int | None = None,
    batch: int | None = None,
    precision: str | None = None,
    tta: bool = False,
    resume: bool = True,
    say: Say | None = None,
) -> Plan:
    """Choose the engine for a net and images, or take the one an unfinished run of this output was begun with.

    Parameters
    ----------
    sources : sequence of Scene
        Dates of one place (``several_dates``), or images whose bands the net takes stacked.
    model : Model or DynamicWorld
    out : Path
        The output; where a run of it is unfinished, its engine is kept.
    engine, precision, batch
        See :func:`engines.choose`.
    tile, overlap : int
        Longest side of a tile; cells that neighbours share, the card's when not given.
    tta : bool
        Test-time augmentation: the mean over the image and its mirror images.
    resume : bool
        Whether an unfinished run is gone on with.
    say : callable, optional
    """
    card = model.card
    layout, shared, multiple = layout_of(sources[0].shape, model, tile=tile, overlap=overlap)
    there = strips.pinned(out) if resume else None
    if there is not None and engine == "auto" and batch is None and there.get("tile") == list(layout.tile):
        engine, batch = str(there.get("engine", "auto")), int(there.get("batch", 1))
        (say or _quiet)(f"going on with what this output was begun with: engine {engine}, batch {batch}")
    if isinstance(model, DynamicWorld):
        forward: Any = model.engine(layout.tile, bf16=precision == "bf16")
        name, size, kind, about = "openvino-onnx", batch or 1, precision or "f32", "engine openvino-onnx"
        forwards = [forward]
    else:
        sample = _sample(sources, model.card, layout, several_dates)
        forward, choice = engines.choose(
            model.net, sample, engine=engine, precision=precision, batch=batch, key=card.sha256, say=say
        )
        name, size, kind, about = choice.engine, choice.batch, choice.precision, choice.words()
        shape = (int(sample.shape[1]), *layout.tile)
        more = engines.devices()[1:] if name in engines.CUDA else []
        forwards = [forward, *(engines.make(model.net, name, shape, device) for device in more)]
    pins = {"model": card.name, "weights": card.sha256, "engine": name, "precision": kind, "tta": tta}
    return Plan(
        [engines.Flipped(one) for one in forwards] if tta else forwards,
        tile,
        shared,
        multiple,
        size,
        pins,
        about,
    )


def _quiet(text: str) -> None:
    """Say nothing."""


def _sample(
    sources: Sequence[Scene], card: Card, layout: Layout, several_dates: bool
) -> npt.NDArray[np.float32]:
    """The two tiles with most to see among some spread over the image."""
    used = sources[:1] if several_dates else sources
    dates = sum(len(scene.bands) for scene in used) // len(card.bands)
    scaling = scaling_of(used, len(card.bands) * dates, card.mean * dates, card.std * dates, False)
    reader = TileReader(used, layout, scaling, batch=1, several_dates=False)
    try:
        places = {
            (int(row), int(col))
            for row in np.linspace(0, layout.rows.count - 1, 3) for col in np.linspace(0, layout.cols.count - 1, 3)
        }  # fmt: skip
        groups = [reader.read(*place) for place in sorted(places)]
    finally:
        reader.close()
    groups.sort(key=lambda group: -int(group.seen[0].sum()))
    found = [group.images[0] for group in groups[:2] if group.images[0] is not None]
    if not found:
        rows, cols = layout.tile
        return np.zeros((1, scaling.channels, rows, cols), dtype=np.float32)
    return np.concatenate(found)


def predict(
    scenes: Scene | Sequence[Scene],
    model: Model | DynamicWorld,
    out: Path,
    *,
    engine: str = "auto",
    tile: int = 512,
    overlap: int | None = None,
    batch: int | None = None,
    precision: str | None = None,
    probabilities: bool = False,
    tta: bool = False,
    resume: bool = True,
    say: Say | None = None,
    progress: stream.Progress | None = None,
) -> Prediction:
    """Land-cover map of one image, or of several dates of one place.

    Parameters
    ----------
    scenes : Scene or sequence of Scene
        Several dates on one grid are combined: the mean of their log-probabilities over those that are clear in a pixel.
    model : Model or DynamicWorld
        Net with its card; bands are taken by name.
    out : Path
        The class map, a COG; ``<out>.json`` beside it says what it was made of.
    engine, precision, batch
        How to compute; the fastest that agrees with float32, found by measuring, when not given.
    tile, overlap : int
        Longest side of a tile; cells that neighbours share, the card's when not given.
    probabilities : bool
        Also write the probability of each class.
    tta : bool
        Mean over the image and its mirror images: four times the work.
    resume : bool
        Go on with an unfinished run; else begin anew.
    say, progress : callable, optional
        Told of steps in words, and of tiles done.

    Returns
    -------
    Prediction

    Raises
    ------
    ImageError
        When an image cannot be used.
    WeightsError
        When the net is not one of land cover, or needs bands the image lacks.
    RunError
        When the disk is full, or an unfinished run was begun with something else.
    """
    made, how, used = _streamed(
        scenes, model, out, None, engine=engine, tile=tile, overlap=overlap, batch=batch, precision=precision,
        probabilities=probabilities, tta=tta, resume=resume, say=say, progress=progress,
    )  # fmt: skip
    found = Prediction(made.path, made.probabilities, {**made.record, "engine_words": how.about})
    with atomic_write(item_path(out)) as temporary:
        temporary.write_text(
            json.dumps(item(found, used, model.card).to_dict(), ensure_ascii=False, indent=1),
            encoding="utf-8",
        )
    return found


def share(
    scenes: Scene | Sequence[Scene],
    model: Model | DynamicWorld | str,
    out: Path,
    number: int,
    of: int,
    **how: Any,
) -> None:
    """Make one share of a map's rows, beside other processes or machines that make theirs on the same disk.

    When all shares are made, :func:`predict` puts the map together; it makes what is missing itself. The map equals one
    made in one go, bit for bit.

    Parameters
    ----------
    scenes, model, out
        As for :func:`predict`, the same for all shares; of the net its name will do.
    number, of : int
        Which share, from 1, of how many.
    how
        ``engine``, ``precision``, ``batch``, ``tile``, ``overlap``, ``probabilities``, ``tta``, ``say``, ``progress`` as for
        :func:`predict`. The engine is named, on a GPU the batch too: each machine would measure for itself.

    Raises
    ------
    ParameterError
        There is no such share, or more than one engine could be chosen.
    """
    model = weights.load(model) if isinstance(model, str) else model
    if not 1 <= number <= of:
        raise ParameterError("there is no such share", found=f"{number} of {of}", expected=f"1 to {of}")
    if strips.pinned(out) is None and not isinstance(model, DynamicWorld):
        names = engines.candidates(how.get("engine", "auto"), how.get("precision"))
        if len(names) > 1 or (names[0] in engines.CUDA and how.get("batch") is None):
            raise ParameterError(
                "machines that share a map must compute alike", where="engine", found=how.get("engine", "auto"),
                expected=f"one of {', '.join(names)}", hint="name the engine, and the batch on a GPU",
            )  # fmt: skip
    _streamed(scenes, model, out, (number, of), **how)


def _streamed(
    scenes: Scene | Sequence[Scene],
    model: Model | DynamicWorld,
    out: Path,
    part: tuple[int, int] | None,
    *,
    probabilities: bool = False,
    resume: bool = True,
    say: Say | None = None,
    progress: stream.Progress | None = None,
    **how_to: Any,
) -> tuple[stream.Streamed, Plan, list[Scene]]:
    """Run the net over checked images, or a share of their rows; ``how_to`` is that of :func:`plan`."""
    card, given = model.card, [scenes] if isinstance(scenes, Scene) else list(scenes)
    if not given:
        raise ImageError("no image to map", where=str(out))
    for scene in given:
        expect(card, task="land_cover", bands=scene.bands)
    used = [scene.select(card.bands) for scene in given]
    stream.check_grids(used)
    stream.spare(used, out)
    table = legend(card)
    for scene in used:
        scene.check()
    several = len(used) > 1
    how = plan(used, model, out, several_dates=several, resume=resume, say=say, **how_to)
    made = stream.run(
        used, how.forwards, out, classes=table, mean=card.mean, std=card.std,
        tile=how.tile, overlap=how.overlap, multiple=how.multiple, batch=how.batch, several_dates=several,
        probabilities=probabilities, pins={**how.pins, "scheme": card.scheme}, resume=resume, share=part, progress=progress, say=say,
    )  # fmt: skip
    return made, how, used


def item_path(out: Path) -> Path:
    """STAC item beside a map."""
    return out.with_name(f"{out.stem}.item.json")


def properties(record: dict[str, Any], card: Card) -> dict[str, Any]:
    """Fields of a STAC item that say how a map was made (``processing:``, ``mlm:``)."""
    inputs = ", ".join(one["name"] for one in record["inputs"])
    return {
        "processing:datetime": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "processing:software": {"workbench": record["code"]},
        "processing:lineage": f"{card.name} ({record['engine']}) on {inputs}",
        "mlm:name": card.name,
        "mlm:weights_sha256": card.sha256,
        "classification:classes": [
            {"value": place, "name": name, "color_hint": one.colour.lstrip("#").upper(), "title": one.name_zh}
            for place, (name, one) in enumerate(zip(record["classes"], legend(card), strict=True), start=1)
        ],
        "workbench:run": {
            key: record[key]
            for key in (
                "inputs",
                "engine",
                "precision",
                "batch",
                "tile",
                "overlap",
                "tta",
                "several_dates",
                "pixels",
            )
        },
    }


def item(prediction: Prediction, scenes: Sequence[Scene], card: Card) -> pystac.Item:
    """STAC item of a map: where, when, how it was made, and the net it came from."""
    grid, bbox, shape = scenes[0].grid, None, None
    if grid.crs is not None:
        bounds = grid.extent.to_crs("EPSG:4326").boundingbox
        bbox = [round(float(value), 7) for value in bounds]
        west, south, east, north = bbox
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        shape = {"type": "Polygon", "coordinates": [ring]}
    days = sorted(scene.date for scene in scenes if not pd.isna(scene.date))
    moment = days[-1].to_pydatetime().replace(tzinfo=dt.UTC) if days else dt.datetime.now(dt.UTC)
    fields = properties(prediction.record, card) | {
        "workbench:sensitivity": strictest([scene.sensitivity for scene in scenes]), "proj:code": str(grid.crs),
        "proj:shape": [int(side) for side in grid.shape], "proj:transform": [float(v) for v in grid.affine[:6]],
    }  # fmt: skip
    made = pystac.Item(prediction.path.stem, shape, bbox, moment, fields)
    media = "image/tiff; application=geotiff; profile=cloud-optimized"
    made.add_asset("classes", pystac.Asset(f"./{prediction.path.name}", media_type=media, roles=["data"]))
    if prediction.probabilities is not None:
        made.add_asset(
            "probability",
            pystac.Asset(f"./{prediction.probabilities.name}", media_type=media, roles=["data"]),
        )
    made.add_link(
        pystac.Link("derived_from", f"{card.name}.json", "application/geo+json", f"weights {card.name}")
    )
    return made


def areas(prediction: Prediction) -> pd.DataFrame:
    """What a map counts, by class.

    Columns ``class, name_zh, name_en, pixels, share`` (of what is seen) and ``km2`` on the ellipsoid
    (absent where the map has no CRS).

    Areas counted from pixels carry the map's errors; :mod:`workbench.operators.sampled_area` estimates them from points.
    """
    record = prediction.record
    table = classes.scheme(record["scheme"]).set_index("class").loc[record["classes"]]
    pixels = np.array([record["pixels"][name] for name in record["classes"]])
    found: pd.DataFrame = table[["name_zh", "name_en"]].reset_index()
    found["pixels"] = pixels
    found["share"] = pixels / max(int(pixels.sum()), 1)
    if record["grid"]["crs"] != "None":
        found["km2"] = _square_metres(prediction.path, len(pixels)) / 1e6
    return found


def _square_metres(path: Path, count: int) -> npt.NDArray[np.float64]:
    """Area on the ellipsoid of the classes 1 to ``count`` of a map, a block of it at a time."""
    with rasterio.open(path) as file:
        windows = [window for _, window in file.block_windows(1)]
        boxes = [shapely.box(*rasterio.windows.bounds(window, file.transform)) for window in windows]
        cells = area_m2(np.array(boxes), file.crs) / [window.width * window.height for window in windows]
        total = np.zeros(256)
        for window, area in zip(windows, cells, strict=True):
            total += area * np.bincount(file.read(1, window=window).ravel(), minlength=256)
    return total[1 : count + 1]


def publish(city: City, year: int, prediction: Prediction, card: Card, *, holder: str = "") -> Path:
    """Publish a map in the catalogue of a city, no more open than its images; with probabilities also how sure it is.

    Returns
    -------
    Path
        The raster that ``CityData.raster("land_cover_map", year)`` reads.
    """
    record, files = prediction.record, {"data": prediction.path}
    if prediction.probabilities is not None:
        out = prediction.path.with_name(f"{prediction.path.stem}_{confidence.ASSET}.tif")
        files[confidence.ASSET] = confidence.write_confidence(prediction.probabilities, out)
    return published.publish_raster(
        city, MAP, year, files, source=f"影像解译({card.name})", holder=holder,
        date=max((day for day in record["dates"] if day), default=f"{year}-12-31"),
        sensitivity=cast("Sensitivity", record["sensitivity"] if record["sensitivity"] in OPENNESS else OPENNESS[-1]),
        inputs={one["name"]: one["sha256"][:DIGITS] for one in record["inputs"]} | {f"weights:{card.name}": card.sha256[:DIGITS]},
        properties=properties(record, card),
    )  # fmt: skip
