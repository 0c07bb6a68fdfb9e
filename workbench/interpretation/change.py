"""Maps of change between two years: evidence of each pair of images, combined where several pairs see a place.

Evidence is a log-odds: that of a net's logit, or, without labels, twice the logarithm of a distance by its threshold. Pairs
of one season each are averaged over those that are clear in a pixel, so that what one image shows by chance (a ploughed
field, haze) counts less than what all show.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from workbench.catalog import published
from workbench.core.errors import GridMismatch, ImageError, ParameterError
from workbench.core.grid import describe, same_grid
from workbench.core.lineage import DIGITS
from workbench.core.provenance import code_version
from workbench.interpretation import classes, registration, strips, unsupervised
from workbench.interpretation.cards import expect
from workbench.interpretation.image_sources import without_place
from workbench.interpretation.imagery import OPENNESS, SHIFT_WARNED, Pair, strictest
from workbench.interpretation.strips import Product, Strips

if TYPE_CHECKING:
    from workbench.core.city import City
    from workbench.core.layer_spec import Sensitivity
    from workbench.interpretation.weights import Model

Say = Callable[[str], None]
Method = Literal["net", "irmad", "cva"]
METHODS = ("net", "irmad", "cva")
ROLE = "change_map"
"""Role under which a city's change map is published."""
UNCHANGED, CHANGED = 1, 2
STEPS = 250
"""Value of a probability of 1; 255 is nodata."""
_ROWS = 512
_LOG_EDGES = np.linspace(-10.0, 10.0, 8193)
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ChangeMap:
    """A map of change."""

    path: Path
    """1 unchanged, 2 changed, 0 not seen."""
    probability: Path
    """Probability of change 0 to 250, 255 not seen; without labels its strength, 0.5 at the threshold."""
    threshold: float
    """Probability from which a pixel counts as changed."""
    record: dict[str, Any] = field(repr=False)
    """What it was made of and with; stands in ``<path>.json``."""

    @staticmethod
    def read(path: Path) -> ChangeMap:
        """A map made before, by its record."""
        record = json.loads(strips.record_path(path).read_text(encoding="utf-8"))
        return ChangeMap(path, _probability_of(path), float(record["threshold"]), record)


class Evidence(Protocol):
    """Log-odds of change, read by rows."""

    def rows(self, first: int, stop: int) -> tuple[Floats, npt.NDArray[np.uint8]]:
        """Mean log-odds over the pairs that are clear in a pixel, and how many are."""


def detect(
    pairs: Sequence[Pair],
    out: Path,
    *,
    method: Method = "net",
    model: Model | None = None,
    threshold: float | None = None,
    how: unsupervised.How = "auto",
    # computing of nets
    engine: str = "auto",
    tile: int = 512,
    batch: int | None = None,
    tta: bool = False,
    resume: bool = True,
    say: Say | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ChangeMap:
    """Map what changed between the dates of pairs of images.

    Parameters
    ----------
    pairs : sequence of Pair
        Pairs of one place on one grid, each of one season.
    out : Path
        The map, a COG; its probability goes beside it, ``<out>.json`` says what it was made of.
    method : {"net", "irmad", "cva"}
        A net trained on labels; or, without labels, IR-MAD or change vectors with a threshold found in the images.
    model : Model, optional
        The net of ``method="net"``.
    threshold : float, optional
        Probability from which on a pixel changed; that of the net's card when not given. Without labels 0.5 is the
        threshold found, and more is stricter.
    how : str
        How the threshold is found without labels, see :func:`unsupervised.threshold`.
    engine, tile, batch, tta, resume
        As for :func:`predict.predict`.
    say, progress : callable, optional
        Told of steps in words, and of tiles done.

    Returns
    -------
    ChangeMap

    Raises
    ------
    ImageError, GridMismatch
        When an image cannot be used or the pairs lie on different grids.
    WeightsError
        When the net is not one of change or needs bands the images lack.
    ParameterError
        When ``method="net"`` has no model, or another method has one.

    Warns
    -----
    UserWarning
        When the dates of a pair lie more than a pixel off each other.
    """
    if method not in METHODS or (method == "net") != (model is not None):
        raise ParameterError(
            "a net needs a model, the other methods none",
            where="method",
            found=method,
            expected=", ".join(METHODS),
        )
    if threshold is not None and not 0 < threshold < 1:
        raise ParameterError("the threshold is a probability", where="threshold", found=threshold)
    tell: Say = say or (lambda text: None)
    begun = time.monotonic()
    used = _checked(pairs, model)
    shifts = [_shift(pair, tell) for pair in used]
    with ExitStack() as stack:
        if model is not None:
            evidence, known = _of_net(
                used, model, out, stack, engine=engine, tile=tile, batch=batch, tta=tta, resume=resume, say=tell, progress=progress
            )  # fmt: skip
            cut = threshold if threshold is not None else model.card.threshold or 0.5
        else:
            evidence, known = _of_distance(used, method, how, stack, tell)
            cut = 0.5 if threshold is None else threshold
        record = {
            "method": method, "threshold": cut, **known,
            "pairs": [_described(pair, shift) for pair, shift in zip(used, shifts, strict=True)],
            "inputs": [{"name": one.name, "sha256": one.sha256} for pair in used for one in (pair.before, pair.after)],
            "bands": list(used[0].before.bands), "sensitivity": strictest([pair.sensitivity for pair in used]),
            "code": code_version(),
        }  # fmt: skip
        tell("combining the pairs and writing the map" if len(used) > 1 else "writing the map")
        _write(out, used[0], evidence, cut, record, begun)
    shutil.rmtree(_folder(out), ignore_errors=True)
    return ChangeMap.read(out)


def _checked(pairs: Sequence[Pair], model: Model | None) -> list[Pair]:
    """Pairs with the bands to use, after all that can be wrong with them was looked for."""
    if not pairs:
        raise ImageError("no pair of images to compare", where="change")
    used = list(pairs)
    if model is not None:
        for pair in pairs:
            expect(model.card, task="change", bands=pair.before.bands)
        bands = model.card.bands
        used = [Pair(pair.before.select(bands), pair.after.select(bands)) for pair in pairs]
    first = used[0].before
    for pair in used:
        if not same_grid(first.grid, pair.before.grid):
            raise GridMismatch(
                "the pairs lie on different grids", where=f"{first.name} and {pair.before.name}",
                found=describe(pair.before.grid), expected=describe(first.grid), hint="warp them to one grid first",
            )  # fmt: skip
        if pair.before.bands != first.bands:
            raise ImageError(
                "the pairs have different bands", where=f"{first.name} and {pair.before.name}",
                found=", ".join(pair.before.bands), expected=", ".join(first.bands),
            )  # fmt: skip
        pair.before.check()
        pair.after.check()
    return used


def _shift(pair: Pair, say: Say) -> registration.Registration | None:
    """Shift between the dates; warned of beyond a pixel, or where it cannot be measured."""
    where = f"{pair.before.name} and {pair.after.name}"
    try:
        found = registration.measure(pair)
    except ImageError as error:
        warnings.warn(str(error), stacklevel=3)
        return None
    say(f"{where}: {found.rows:+.2f} rows, {found.columns:+.2f} columns off each other")
    if found.distance > SHIFT_WARNED:
        warnings.warn(
            f"{where} lie {found.distance:.1f} pixels off each other ({found.rows:+.1f} rows, {found.columns:+.1f} columns): "
            "edges will look like change; register the images first",
            stacklevel=3,
        )
    return found


def _described(pair: Pair, shift: registration.Registration | None) -> dict[str, Any]:
    told = {
        "before": pair.before.name, "after": pair.after.name,
        "date_before": f"{pair.before.date:%Y-%m-%d}", "date_after": f"{pair.after.date:%Y-%m-%d}",
    }  # fmt: skip
    if shift is None:
        return {**told, "shift": None}
    return {
        **told,
        "shift": [round(shift.rows, 2), round(shift.columns, 2)],
        "shift_spread": round(shift.spread, 2),
    }


# ---------------------------------------------------------------------- evidence without labels


@dataclass(frozen=True)
class _Distances:
    """Twice the mean logarithm of the distances of pairs, each by its median, less that of the threshold."""

    sources: tuple[unsupervised.Source, ...]
    fitted: tuple[unsupervised.Distance, ...]
    medians: tuple[float, ...]
    log_cut: float = 0.0

    def rows(self, first: int, stop: int) -> tuple[Floats, npt.NDArray[np.uint8]]:
        total: Floats | None = None
        count: npt.NDArray[np.uint8] | None = None
        for source, distance, median in zip(self.sources, self.fitted, self.medians, strict=True):
            old, new, valid = source.rows(first, stop)
            log = np.log(np.maximum(distance.score(old, new), 1e-6) / np.float32(median))
            log = np.where(valid, log, np.float32(0))
            total = log if total is None else total + log
            count = valid.astype(np.uint8) if count is None else count + valid
        if total is None or count is None:
            raise ImageError("no pair of images to compare", where="change")
        mean = total / np.maximum(count, 1)
        return (2 * (mean - self.log_cut)).astype(np.float32), count


def _of_distance(
    pairs: Sequence[Pair], method: str, how: unsupervised.How, stack: ExitStack, say: Say
) -> tuple[Evidence, dict[str, Any]]:
    sources, fitted, medians = [], [], []
    fit = unsupervised.fit_irmad if method == "irmad" else unsupervised.fit_cva
    for pair in pairs:
        say(f"{method}: learning what is usual between {pair.before.name} and {pair.after.name}")
        source = stack.enter_context(unsupervised.opened(pair))
        pixels = unsupervised.lattice(source)
        distance = fit(pixels)
        half = len(pixels) // 2
        sources.append(source)
        fitted.append(distance)
        medians.append(max(float(np.median(distance.score(pixels[:half], pixels[half:]))), 1e-6))
    plain = _Distances(tuple(sources), tuple(fitted), tuple(medians))
    counts = np.zeros(len(_LOG_EDGES) - 1)
    height = pairs[0].before.shape[0]
    for first in range(0, height, _ROWS):
        log_odds, seen = plain.rows(first, min(first + _ROWS, height))
        counts += np.histogram(log_odds[seen > 0] / 2, _LOG_EDGES)[0]
    cut = unsupervised.threshold(counts, np.exp(_LOG_EDGES), how, degrees=len(pairs[0].before.bands))
    known = {
        "threshold_found_by": how, "distance_at_threshold": [round(cut * median, 4) for median in medians],
        "canonical_correlations": [[round(float(rho), 4) for rho in one.correlation] for one in fitted],
        "iterations": [one.iterations for one in fitted],
    }  # fmt: skip
    return _Distances(plain.sources, plain.fitted, plain.medians, float(np.log(cut))), known


# ---------------------------------------------------------------------- evidence of a net


@dataclass(frozen=True)
class _Probabilities:
    """Mean log-odds of probability maps of pairs."""

    files: tuple[Any, ...]

    def rows(self, first: int, stop: int) -> tuple[Floats, npt.NDArray[np.uint8]]:
        step = np.arange(256, dtype=np.float32)
        odds = np.log((step + 0.5) / (STEPS + 0.5 - np.minimum(step, STEPS))).astype(np.float32)
        odds[STEPS + 1 :] = 0
        total = count = None
        for file in self.files:
            values = file.read(1, window=Window(0, first, file.width, stop - first))
            log, seen = odds[values], (values <= STEPS).astype(np.uint8)
            total, count = (log, seen) if total is None or count is None else (total + log, count + seen)
        if total is None or count is None:
            raise ImageError("no pair of images to compare", where="change")
        return total / np.maximum(count, 1), count


def _of_net(
    pairs: Sequence[Pair], model: Model, out: Path, stack: ExitStack, *, engine: str, tile: int, batch: int | None, tta: bool,
    resume: bool, say: Say, progress: Callable[[int, int], None] | None,
) -> tuple[Evidence, dict[str, Any]]:  # fmt: skip
    """Probability maps of pairs, each a streamed run of its own that is kept until all are made."""
    from workbench.interpretation import predict, stream

    card = model.card
    folder = _folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Any] = []
    used: dict[str, Any] = {}
    how: predict.Plan | None = None  # one engine for all pairs
    for number, pair in enumerate(pairs):
        path = folder / f"pair_{number}.tif"
        both = [pair.before, pair.after]
        record = (
            _finished(path, pair, model, engine=engine, tile=tile, tta=tta)
            if resume and how is None
            else None
        )
        if record is not None:
            engine, batch = str(record["engine"]), int(record["batch"])
        else:
            say(f"{card.name} on {pair.before.name} and {pair.after.name}")
            how = how or predict.plan(
                both, model, path, engine=engine, tile=tile, batch=batch, tta=tta, resume=resume, say=say
            )
            record = stream.run(
                both, how.forwards, path, classes=predict.legend(card), mean=card.mean * 2, std=card.std * 2,
                tile=how.tile, overlap=how.overlap, multiple=how.multiple, batch=how.batch, one_logit=True,
                threshold=card.threshold or 0.5, probabilities=True, pins={**how.pins, "scheme": card.scheme},
                resume=resume, progress=progress, say=say,
            ).record  # fmt: skip
        used = {
            name: record[name]
            for name in (
                "model",
                "weights",
                "engine",
                "precision",
                "tta",
                "tile",
                "overlap",
                "batch",
                "scheme",
            )
        }
        with without_place():
            files.append(stack.enter_context(rasterio.open(_probability_of(path))))
    return _Probabilities(tuple(files)), used


def _finished(
    path: Path, pair: Pair, model: Model, *, engine: str, tile: int, tta: bool
) -> dict[str, Any] | None:
    """Record of a pair's map that an interrupted run has left whole, made as it would be made now."""
    from workbench.interpretation import engines, predict

    record_path = strips.record_path(path)
    if (
        not (path.exists() and _probability_of(path).exists() and record_path.exists())
        or strips.partial(path).exists()
    ):
        return None
    record: dict[str, Any] = json.loads(record_path.read_text(encoding="utf-8"))
    wanted = [pair.before.sha256, pair.after.sha256]
    same = [one["sha256"] for one in record["inputs"]] == wanted and record["weights"] == model.card.sha256
    layout = predict.layout_of(pair.before.shape, model, tile=tile)[0]
    alike = record["tile"] == list(layout.tile) and record["tta"] == tta
    return (
        record if same and all(wanted) and alike and record["engine"] in engines.candidates(engine) else None
    )


def _folder(out: Path) -> Path:
    return out.with_name(out.name + ".pairs")


def _probability_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}_probability.tif")


# ---------------------------------------------------------------------- writing and publishing


def _write(
    out: Path, pair: Pair, evidence: Evidence, cut: float, record: dict[str, Any], begun: float
) -> None:
    """Write classes and probabilities, strip by strip."""
    from workbench.interpretation.stream import BLANK

    table = classes.scheme("change").to_dict("records")
    palette = (("nodata", BLANK), *((str(row["class"]), str(row["colour"])) for row in table))
    products = [
        Product("classes", out, ("class",), 0, palette),
        Product("probability", _probability_of(out), ("changed",), 255),
    ]
    height = pair.before.shape[0]
    odds = np.float32(np.log(cut / (1 - cut)))
    pixels = np.zeros(3, dtype=np.int64)
    target = Strips(out, pair.before.grid, _ROWS, products)
    out.parent.mkdir(parents=True, exist_ok=True)
    with target.held(record, resume=False):
        for index, first in enumerate(range(0, height, _ROWS)):
            log_odds, count = evidence.rows(first, min(first + _ROWS, height))
            found = np.where(count > 0, np.where(log_odds >= odds, CHANGED, UNCHANGED), 0).astype(np.uint8)
            share = np.round(STEPS / (1 + np.exp(-np.clip(log_odds, -30, 30))))
            pixels += np.bincount(found.ravel(), minlength=3)
            target.put(products[0], index, found[None])
            target.put(products[1], index, np.where(count > 0, share, 255).astype(np.uint8)[None])
        told = {
            "classes": [str(row["class"]) for row in table], "classes_zh": [str(row["name_zh"]) for row in table],
            "pixels": dict(zip(("nodata", "unchanged", "changed"), pixels.tolist(), strict=True)),
            "seconds": round(time.monotonic() - begun, 1),
        }  # fmt: skip
        target.finish({**record, **told}, lambda text: None)


@contextmanager
def opened(found: ChangeMap) -> Iterator[tuple[Any, Any]]:
    """Both rasters of a map, open."""
    with rasterio.open(found.path) as labels, rasterio.open(found.probability) as probability:
        yield labels, probability


def properties(record: dict[str, Any]) -> dict[str, Any]:
    """Fields of a STAC item that say how a map was made (``processing:``, ``mlm:``)."""
    inputs = ", ".join(one["name"] for one in record["inputs"])
    by = f"{record['model']} ({record['engine']})" if record["method"] == "net" else record["method"]
    told: dict[str, Any] = {
        "processing:datetime": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "processing:software": {"workbench": record["code"]},
        "processing:lineage": f"{by} on {inputs}",
        "workbench:run": {name: record[name] for name in ("method", "threshold", "pairs", "pixels", "bands")},
    }  # fmt: skip
    if record["method"] == "net":
        told |= {"mlm:name": record["model"], "mlm:weights_sha256": record["weights"]}
    return told


def publish(city: City, year: int, found: ChangeMap, *, holder: str = "") -> Path:
    """Publish a map in the catalogue of a city under the role ``change_map``, no more open than its images.

    Parameters
    ----------
    city : City
    year : int
        Year of the later images.
    found : ChangeMap
    holder : str
        Who keeps it.
    """
    record = found.record
    inputs = {one["name"]: one["sha256"][:DIGITS] for one in record["inputs"]}
    if record["method"] == "net":
        inputs[f"weights:{record['model']}"] = record["weights"][:DIGITS]
    open_to = record["sensitivity"] if record["sensitivity"] in OPENNESS else OPENNESS[-1]
    return published.publish_raster(
        city, ROLE, year, {"data": found.path, "probability": found.probability}, holder=holder,
        source=f"影像变化检测({record.get('model', record['method'])})",
        date=max(one["date_after"] for one in record["pairs"]), sensitivity=cast("Sensitivity", open_to),
        inputs=inputs, properties=properties(record),
    )  # fmt: skip
