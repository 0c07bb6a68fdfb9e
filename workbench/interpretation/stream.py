"""Streamed inference: rasters of any size through a net, in bounded memory, to cloud-optimised GeoTIFF.

Reading and standardising (threads), computing (the engine) and blending and writing (a thread) run side by side, a few tiles
apart. Rows of tiles are finished one after the other; a run that was killed goes on with the rows that are missing, and
the result is the same bit for bit.
"""

from __future__ import annotations

import operator
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox

from workbench.core.errors import GridMismatch, ParameterError, RunError
from workbench.core.grid import describe, same_grid
from workbench.core.provenance import code_version
from workbench.interpretation.imagery import Scene, strictest
from workbench.interpretation.strips import Product, Strips
from workbench.interpretation.tile_reading import Buffers, Group, Scaling, TileReader, scaling_of
from workbench.interpretation.tiling import Blender, DeviceBlender, Layout

Array = npt.NDArray[Any]
Given = TypeVar("Given")
Made = TypeVar("Made")
Forward = Callable[[Array], Any]
"""Standardised pixels float32 (n, band, row, col) -> logits (n, class, row, col), an array or a tensor. Called by ``forward.parallel``
threads at a time, by one where it has no such attribute; with ``forward.writes_into`` it may be given the array for its logits."""
Progress = Callable[[int, int], None]
"""Told how many tiles are done of how many."""
BLANK = "#ffffff"
CACHE_BYTES = 256 * 2**20
"""GDAL's cache of blocks, so that neighbouring tiles decode none twice."""


@dataclass(frozen=True)
class MapClass:
    """A class of a class map."""

    name: str
    """Name in English."""
    name_zh: str
    """Name in Chinese."""
    colour: str
    """``#rrggbb``."""


@dataclass(frozen=True)
class Streamed:
    """What a run made."""

    path: Path
    """Class map: 0 nodata, 1 … the classes in order."""
    probabilities: Path | None
    """Probabilities 0 to 250, 255 nodata; a band a class, or one of the second class."""
    record: dict[str, Any] = field(repr=False)
    """What it was made of and with; stands in ``<path>.json``."""


def run(
    sources: Sequence[Scene],
    forward: Forward | Sequence[Forward],
    out: Path,
    *,
    classes: Sequence[MapClass],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    # how
    tile: int = 512,
    overlap: int = 64,
    multiple: int = 32,
    batch: int = 1,
    several_dates: bool = False,
    one_logit: bool = False,
    threshold: float = 0.5,
    # what comes out
    probabilities: bool = False,
    pins: Mapping[str, Any] | None = None,
    resume: bool = True,
    share: tuple[int, int] | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Streamed:
    """Run a net over images of any size and write a class map.

    Parameters
    ----------
    sources : sequence of Scene
        Images on one grid. Their bands are stacked, and a pixel counts where all are valid.
    forward : callable or sequence of callables
        The net; several (one a device) share the rows of the image among them.
    out : Path
        The class map, a COG.
    classes : sequence of MapClass
        Classes of the logits in order; of ``one_logit``, what lies below and above the threshold.
    mean, std : sequence of float, optional
        Of each stacked band (of one date's with ``several_dates``), in reflectance; 0 and 1 when not given.
    tile, overlap, multiple, batch : int
        Longest side of a tile, cells that neighbours share, what sides are divisible by, tiles a call.
    several_dates : bool
        Sources are dates of one place: the net sees each alone, and log-probabilities are averaged over the dates on which
        a pixel is clear.
    one_logit : bool
        The net gives one logit a pixel.
    threshold : float
        Probability from which on ``one_logit`` means the second class.
    probabilities : bool
        Also write probabilities, beside ``out``.
    pins : mapping, optional
        Further things the result depends on (weights, engine); an unfinished run begun with others is refused.
    resume : bool
        Go on with an unfinished run; else begin anew.
    share : pair of int, optional
        Which share of how many, from 1: make only these rows, beside others that make theirs. Nothing lies at ``out`` yet after
        that; a run without ``share`` makes what is missing, puts all together and equals one made in one go, bit for bit.
    progress, say : callable, optional
        Told of tiles done, and of steps in words.

    Returns
    -------
    Streamed

    Raises
    ------
    RunError
        Disk full, device memory too small for one tile, unfinished run of something else.
    GridMismatch
        When the sources lie on different grids.
    ImageError
        When an image breaks off.
    """
    _check(sources, classes, one_logit)
    spare(sources, out)
    layout = Layout.of(sources[0].shape, tile=tile, overlap=overlap, multiple=multiple)
    bands = len(sources[0].bands) if several_dates else sum(len(scene.bands) for scene in sources)
    scaling = scaling_of(sources, bands, mean, std, several_dates)
    table = (("nodata", BLANK), *((one.name, one.colour) for one in classes))
    products = [Product("classes", out, ("class",), 0, table)]
    if probabilities:
        names = (classes[1].name,) if one_logit else tuple(one.name for one in classes)
        products.append(Product("probability", out.with_name(f"{out.stem}_probability.tif"), names, 255))
    known = _pins(
        sources, layout, classes, scaling, batch, several_dates, threshold, probabilities, pins or {}
    )
    strips = Strips(out, sources[0].grid, layout.rows.step, products)
    job = _Job(
        tuple(sources), layout, strips, scaling, batch, several_dates, 1 if one_logit else len(classes),
        float(np.log(threshold / (1 - threshold))), probabilities, progress or (lambda done, total: None),
    )  # fmt: skip
    begun = time.monotonic()
    with strips.held(known, resume=resume, shared=share is not None), rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        used = job.run(list(forward) if isinstance(forward, Sequence) else [forward], share)
        if share is not None:
            return Streamed(out, None, {**known, **used})
        record = {
            **known, **used, "classes_zh": [one.name_zh for one in classes], "pixels": _pixels(strips, table),
            "dates": [str(scene.date.date()) if scene.date == scene.date else "" for scene in sources],
            "sensitivity": strictest([scene.sensitivity for scene in sources]), "code": code_version(),
            "seconds": round(time.monotonic() - begun, 1),
        }  # fmt: skip
        strips.finish(record, say or (lambda text: None))
    return Streamed(out, products[1].path if probabilities else None, record)


def _check(sources: Sequence[Scene], classes: Sequence[MapClass], one_logit: bool) -> None:
    if not sources:
        raise ParameterError("no image", where="stream", expected="at least one")
    if one_logit and len(classes) != 2:
        raise ParameterError(
            "one logit tells two classes apart", where="classes", found=len(classes), expected=2
        )
    check_grids(sources)


def check_grids(sources: Sequence[Scene]) -> None:
    """Refuse images that lie on different grids.

    Raises
    ------
    GridMismatch
        When one lies on another grid than the first.
    """
    for scene in sources[1:]:
        if not same_grid(sources[0].grid, scene.grid):
            raise GridMismatch(
                "the images lie on different grids", where=f"{sources[0].name} and {scene.name}",
                found=describe(scene.grid), expected=describe(sources[0].grid), hint="warp them to one grid first",
            )  # fmt: skip


def spare(sources: Sequence[Scene], out: Path) -> None:
    """Refuse an output that stands where an input lies.

    Raises
    ------
    ParameterError
        When ``out`` is a file of an image or of its mask.
    """
    for scene in sources:
        for href in {*(name for name, _ in scene.hrefs), *([scene.mask_href] if scene.mask_href else [])}:
            if out.exists() and Path(href).exists() and out.samefile(href):
                raise ParameterError(
                    "the map would be written over an image it is made of", where=out.name, found=str(out),
                    expected="a file of its own", hint="give another --out",
                )  # fmt: skip


def _pins(
    sources: Sequence[Scene], layout: Layout, classes: Sequence[MapClass], scaling: Scaling, batch: int,
    several_dates: bool, threshold: float, probabilities: bool, pins: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    grid: GeoBox = sources[0].grid
    return {
        "inputs": [{"name": one.name, "sha256": one.sha256, "bands": list(one.bands)} for one in sources],
        "grid": {"shape": list(grid.shape), "transform": list(grid.affine[:6]), "crs": str(grid.crs)},
        "tile": list(layout.tile), "overlap": layout.rows.tile - layout.rows.step, "batch": batch,
        "several_dates": several_dates, "threshold": threshold, "probabilities": probabilities,
        "scaling": [[float(value) for part in both for value in part] for both in (scaling.gain, scaling.bias)],
        "classes": [one.name for one in classes], **pins,
    }  # fmt: skip


def _pixels(strips: Strips, table: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Pixels of each class."""
    total = np.zeros(256, dtype=np.int64)
    for index in range(strips.count):
        with rasterio.open(strips.file(strips.products[0], index)) as file:
            total += np.bincount(file.read(1).ravel(), minlength=256)
    return {name: int(total[place]) for place, (name, _) in enumerate(table)}


@dataclass(frozen=True)
class _Job:
    """All that the rows have in common."""

    sources: tuple[Scene, ...]
    layout: Layout
    strips: Strips
    scaling: Scaling
    batch: int
    several_dates: bool
    logits: int
    threshold: float
    probabilities: bool
    progress: Progress
    stop: threading.Event = field(default_factory=threading.Event)
    done: list[int] = field(default_factory=list)

    def run(self, forwards: Sequence[Forward], share: tuple[int, int] | None = None) -> dict[str, Any]:
        """Make the missing strips, of a share only those; return what was used in the end."""
        number, of = share or (1, 1)
        mine = set(np.array_split(np.arange(self.strips.count), of)[number - 1].tolist())
        missing = [index for index in self.strips.missing() if index in mine]
        total = self.strips.count * self.layout.cols.count
        self.done.append(total - len(missing) * self.layout.cols.count)
        self.progress(self.done[0], total)
        shares = [
            part.tolist() for part in np.array_split(np.array(missing, dtype=int), len(forwards)) if part.size
        ]
        workers = [_Worker(self, forward) for forward in forwards]
        if len(shares) <= 1:
            for share in shares:
                workers[0].rows(share)
        else:
            with ThreadPoolExecutor(len(shares)) as pool:
                waiting = [
                    pool.submit(worker.rows, share) for worker, share in zip(workers, shares, strict=False)
                ]
                try:
                    for one in waiting:
                        one.result()
                except BaseException:
                    self.stop.set()
                    raise
        return {"batch_used": min(worker.batch for worker in workers), "devices": len(forwards)}

    def tell(self) -> None:
        """Count a tile as done."""
        self.done[0] += 1
        self.progress(self.done[0], self.strips.count * self.layout.cols.count)


class _Worker:
    """One device and the rows it makes."""

    def __init__(self, job: _Job, forward: Forward) -> None:
        self.job, self.forward, self.batch = job, forward, job.batch
        self.buffers = Buffers()
        # the engine neither keeps nor hands out what it was given
        self._recycles = bool(getattr(forward, "writes_into", False))

    def rows(self, wanted: Sequence[int]) -> None:
        """Make strips; before each run of neighbouring ones, the row above is computed again for what it leaves below."""
        job, cols = self.job, self.job.layout.cols.count
        reader = TileReader(
            job.sources, job.layout, job.scaling, batch=job.batch, several_dates=job.several_dates,
            buffers=self.buffers,
        )  # fmt: skip
        try:
            for first, last in _runs(wanted):
                rows = range(max(first - 1, 0), last + 1)
                groups = [(row, col) for row in rows for col in range(0, cols, job.batch)]
                self._pass(groups, reader, _Sink(job, first, getattr(self.forward, "device", None)))
        finally:
            reader.close()

    def _pass(self, groups: Sequence[tuple[int, int]], reader: TileReader, sink: _Sink) -> None:
        """Read, compute and write, a few groups apart."""
        readers = max(1, min(8, (os.cpu_count() or 1) // 2))
        writing: deque[Future[None]] = deque()
        side_by_side = getattr(self.forward, "parallel", 1)
        with (
            ThreadPoolExecutor(1) as writer,
            ThreadPoolExecutor(side_by_side) as computers,
            ThreadPoolExecutor(readers) as pool,
        ):
            try:
                read = _ahead(pool, lambda group: reader.read(*group), groups, readers + side_by_side + 1)
                for group, logits in _ahead(computers, self._computed, read, side_by_side + 1):
                    if self.job.stop.is_set():
                        return
                    writing.append(writer.submit(self._put, sink, group, logits))
                    while len(writing) > 3 or (writing and writing[0].done()):
                        writing.popleft().result()
                while writing:
                    writing.popleft().result()
            except BaseException:
                for future in writing:
                    future.cancel()
                for one in (computers, pool):
                    one.shutdown(cancel_futures=True)
                raise

    def _put(self, sink: _Sink, group: Group, logits: Any) -> None:
        sink.put(group, logits)
        self._give(logits)

    def _give(self, array: Any) -> None:
        """Use an array again, where it is one of ours."""
        if self._recycles:
            self.buffers.give(array)

    def _computed(self, group: Group) -> tuple[Group, Any]:
        """A group with its logits."""
        return group, self._compute(group)

    def _compute(self, group: Group) -> Any:
        """Logits of a group's tiles, summed over the dates on which a pixel is clear; None where nothing is valid."""
        # tensors of an engine may not be written into
        times: Callable[[Any, Any], Any] = operator.imul if self._recycles else operator.mul
        plus: Callable[[Any, Any], Any] = operator.iadd if self._recycles else operator.add
        total: Any = None
        for image, seen in zip(group.images, group.seen, strict=True):
            if image is None:
                continue
            logits = self._forward(image)
            self._give(image)
            if self.job.several_dates:
                logits = times(logits, _like(seen[:, None], logits))
            if total is None:
                total = logits
            else:
                total = plus(total, logits)
                self._give(logits)
        return total

    def _forward(self, image: Array) -> Any:
        """Logits of a batch; where the device's memory does not suffice, of its halves from then on."""
        import torch

        if image.shape[0] > self.batch:
            parts, start = [], 0
            while start < len(image):
                size = self.batch  # may become less on the way
                parts.append(self._forward(image[start : start + size]))
                start += size
            return torch.cat(parts) if torch.is_tensor(parts[0]) else np.concatenate(parts)
        try:
            if len(image) == 1 and self._recycles:
                given: Any = self.forward
                return given(image, out=self.buffers.take((1, self.job.logits, *image.shape[2:])))
            return self.forward(image)
        except torch.OutOfMemoryError as error:
            if image.shape[0] == 1:
                raise RunError(
                    "the device's memory does not suffice for one tile", where="stream",
                    found=f"{image.shape[2]} x {image.shape[3]}", hint="give a smaller tile, e.g. --tile 256",
                ) from error  # fmt: skip
        torch.cuda.empty_cache()
        self.batch = image.shape[0] // 2
        return self._forward(image)


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[Given], Made], given: Iterable[Given], depth: int
) -> Iterator[Made]:
    """Results in order, made ahead of use."""
    waiting: deque[Future[Made]] = deque()
    for one in given:
        waiting.append(pool.submit(work, one))
        if len(waiting) >= depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _like(array: Array, other: Any) -> Any:
    """Array of the kind of another: a tensor on its device, or as it is."""
    if isinstance(other, np.ndarray):
        return array
    import torch

    return torch.from_numpy(array).to(other.device)


def _runs(wanted: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each run of neighbouring numbers.

    Examples
    --------
    >>> _runs([0, 1, 2, 5, 7, 8])
    [(0, 2), (5, 5), (7, 8)]
    """
    found: list[tuple[int, int]] = []
    for one in wanted:
        if found and found[-1][1] == one - 1:
            found[-1] = (found[-1][0], one)
        else:
            found.append((one, one))
    return found


class _Sink:
    """Blends tiles as they come and writes each strip when its row is complete."""

    def __init__(self, job: _Job, first: int, device: Any) -> None:
        self.job, self.first = job, first
        options: Any = {"threshold": job.threshold, "probabilities": job.probabilities}
        self._blender: Blender | DeviceBlender = (
            Blender(job.layout, job.logits, **options)
            if device is None
            else DeviceBlender(job.layout, job.logits, device, **options)
        )
        rows, cols = job.layout.rows, job.layout.cols
        self._classes = np.zeros((1, rows.step, cols.step * cols.count), dtype=np.uint8)
        bands = job.logits if job.probabilities else 0
        self._shares = np.zeros((bands, rows.step, cols.step * cols.count), dtype=np.uint8)

    def put(self, group: Group, logits: Any) -> None:
        """Take a group of tiles; groups come row by row from the left."""
        job, layout = self.job, self.job.layout
        for index in range(group.count.shape[0]):
            col = group.first + index
            part = self._blank() if logits is None else logits[index]
            if part.shape[0] != job.logits:
                raise ParameterError(
                    "the net gives another number of classes than the class table has", where="classes",
                    found=int(part.shape[0]), expected=job.logits,
                )  # fmt: skip
            classes, shares = self._blender.add(group.row, col, part, group.count[index])
            place = slice(col * layout.cols.step, (col + 1) * layout.cols.step)
            self._classes[0][:, place] = classes
            if shares is not None:
                self._shares[:, :, place] = shares
            if group.row >= self.first:
                job.tell()
        if col == layout.cols.count - 1 and group.row >= self.first:
            start, stop = layout.rows.span(group.row)
            wide = layout.cols.size
            for product in job.strips.products[::-1]:
                data = self._classes if product.name == "classes" else self._shares
                job.strips.put(product, group.row, data[:, : stop - start, :wide])

    def _blank(self) -> Any:
        """Logits of a tile where nothing is valid."""
        shape = (self.job.logits, *self.job.layout.tile)
        if isinstance(self._blender, DeviceBlender):
            import torch

            return torch.zeros(shape, device=self._blender.device)
        return np.zeros(shape, dtype=np.float32)
