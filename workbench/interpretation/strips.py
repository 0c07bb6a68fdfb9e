"""The output of a streamed run while it is made: finished strips, what they were made with, and the last step to one file.

A strip is a small file that is there whole or not at all, so a run that is killed at any moment goes on with the strips that
are missing. What a run depends on is written down first; strips made with anything else are never mixed in.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile

from workbench.core.errors import RunError
from workbench.interpretation.image_sources import without_place

VERSION = 1
"""Raised when strips are made another way, so that older ones are not gone on with."""
RESERVE = 64 << 20
"""Bytes of free disk below which nothing more is written."""


@dataclass(frozen=True)
class Product:
    """One raster that a run makes."""

    name: str
    """Name of its strips."""
    path: Path
    """Where it comes to lie."""
    bands: tuple[str, ...]
    """What each band holds."""
    nodata: int
    """Value of cells without data."""
    palette: tuple[tuple[str, str], ...] = ()
    """Name and colour (``#rrggbb``) of each class, the first for nodata; none for quantities."""


def full_disk(where: Path, error: OSError | None = None) -> RunError:
    """What is said when nothing more can be written."""
    left = shutil.disk_usage(where if where.is_dir() else where.parent).free
    return RunError(
        "the disk is full", where=where.name, found=f"{left / 2**20:.0f} MiB free",
        hint="make room and give the same command again: finished parts are kept",
    ) if error is None or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else RunError(
        f"the output cannot be written: {error.strerror}", where=where.name, hint="finished parts are kept"
    )  # fmt: skip


class Strips:
    """Finished strips of a run, in ``<out>.partial/``.

    Parameters
    ----------
    out : Path
        Final file of the run.
    grid : GeoBox
        Grid of the output.
    step : int
        Rows of a strip.
    products : sequence of Product
    """

    def __init__(self, out: Path, grid: GeoBox, step: int, products: Sequence[Product]) -> None:
        self.out, self.grid, self.step, self.products = out, grid, step, tuple(products)
        self.folder = partial(out)
        self.count = -(-int(grid.shape[0]) // step)

    @contextmanager
    def held(self, pins: Mapping[str, Any], *, resume: bool, shared: bool = False) -> Iterator[None]:
        """Hold the folder for this run alone, with these pins; one of another run is refused or, without ``resume``, emptied.

        With ``shared`` others that make strips with the same pins may hold it too.

        Raises
        ------
        RunError
            When another process holds it, or what is there was made with something else.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError("another run is writing this output", where=self.out.name) from error
            if not resume:
                for file in self.folder.glob("*.tif"):
                    file.unlink()
                (self.folder / "state.json").unlink(missing_ok=True)
            with (self.folder / ".pin").open("w") as gate:  # of those that share, the first pins
                fcntl.flock(gate, fcntl.LOCK_EX)
                self._pin(json.loads(json.dumps({"version": VERSION, **pins}, default=str)))
            yield

    def _pin(self, pins: dict[str, Any]) -> None:
        there = pinned(self.out)
        if there is None:
            self._write(self.folder / "state.json", json.dumps(pins, ensure_ascii=False, indent=1).encode())
        elif there != pins:
            names = sorted(key for key in {*there, *pins} if there.get(key) != pins.get(key))
            raise RunError(
                "an unfinished run of this output was made with something else", where=self.folder.name,
                found="; ".join(f"{key}: {there.get(key)}"[:120] for key in names),
                expected="; ".join(f"{key}: {pins.get(key)}"[:120] for key in names),
                hint="go on with what it was begun with, or begin anew (--fresh, resume=False)",
            )  # fmt: skip

    def file(self, product: Product, index: int) -> Path:
        """Place of a strip."""
        return self.folder / f"{product.name}-{index:06d}.tif"

    def missing(self) -> list[int]:
        """Strips still to be made."""
        return [
            index
            for index in range(self.count)
            if not all(self.file(one, index).exists() for one in self.products)
        ]

    def put(self, product: Product, index: int, data: npt.NDArray[np.uint8]) -> None:
        """Write a finished strip (band, row, col), whole or not at all."""
        bands, rows, cols = data.shape
        profile = {
            "driver": "GTiff", "dtype": "uint8", "count": bands, "height": rows, "width": cols,
            "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1, "interleave": "band",
            "transform": Affine(1, 0, 1, 0, -1, 1),
        }  # fmt: skip
        with MemoryFile() as memory:
            with memory.open(**profile) as sink:
                sink.write(data)
            self._write(self.file(product, index), memory.getbuffer())

    def _write(self, path: Path, content: bytes | memoryview) -> None:
        temporary = path.with_suffix(".tmp")
        try:
            if shutil.disk_usage(self.folder).free < len(content) + RESERVE:
                raise full_disk(self.folder)
            with temporary.open("wb") as sink:
                sink.write(content)
                sink.flush()
                os.fsync(sink.fileno())
            temporary.replace(path)
        except OSError as error:
            raise full_disk(self.folder, error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def finish(self, record: Mapping[str, Any], say: Callable[[str], None]) -> None:
        """Put the strips together to cloud-optimised files with overviews, and the record beside the first."""
        ready = []
        for product in self.products:
            say(f"writing {product.path.name}")
            ready.append((self._whole(product), product.path))
        self._write(
            self.folder / "record.json",
            json.dumps(record, ensure_ascii=False, indent=1, default=str).encode(),
        )
        (self.folder / "record.json").replace(record_path(self.out))
        for made, path in ready:
            made.replace(path)
        shutil.rmtree(self.folder)

    def _whole(self, product: Product) -> Path:
        size = sum(self.file(product, index).stat().st_size for index in range(self.count))
        if shutil.disk_usage(self.folder).free < 3 * size + RESERVE:
            raise full_disk(self.folder)
        vrt, made = self.folder / f"{product.name}.vrt", self.folder / f"{product.name}.whole"
        self._write(vrt, self._vrt(product).encode())
        options = {
            "driver": "COG", "compress": "DEFLATE", "level": 6, "blocksize": 512, "num_threads": "ALL_CPUS",
            "overview_resampling": "MODE" if product.palette else "AVERAGE", "bigtiff": "IF_SAFER", "copy_src_mdd": "YES",
        }  # fmt: skip
        try:
            rasterio.shutil.copy(vrt, made, **options)
            with without_place(), rasterio.open(made) as file:  # what the disk did not take shows only here
                file.read(1, window=file.block_window(1, (file.height - 1) // 512, (file.width - 1) // 512))
        except (rasterio.errors.RasterioError, rasterio.errors.RasterioIOError) as error:
            raise full_disk(
                self.folder, OSError(errno.ENOSPC if _scarce(self.folder) else errno.EIO, str(error))
            ) from error
        Path(f"{made}.aux.xml").unlink(missing_ok=True)
        return made

    def _vrt(self, product: Product) -> str:
        rows, cols = (int(one) for one in self.grid.shape)
        affine = self.grid.affine
        place = ", ".join(
            repr(float(one)) for one in (affine.c, affine.a, affine.b, affine.f, affine.d, affine.e)
        )
        crs = "" if self.grid.crs is None else f"<SRS>{escape(str(self.grid.crs.wkt))}</SRS>"
        names = json.dumps([name for name, _ in product.palette], ensure_ascii=False)
        about = f'<Metadata><MDI key="CLASSES">{escape(names)}</MDI></Metadata>' if product.palette else ""
        parts = [
            f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">{crs}<GeoTransform>{place}</GeoTransform>{about}'
        ]
        for band, name in enumerate(product.bands, start=1):
            parts.append(
                f'<VRTRasterBand dataType="Byte" band="{band}"><Description>{escape(name)}</Description>'
            )
            parts.append(f"<NoDataValue>{product.nodata}</NoDataValue>")
            if product.palette:
                entries = "".join(
                    _entry(colour, place == 0) for place, (_, colour) in enumerate(product.palette)
                )
                parts.append(f"<ColorInterp>Palette</ColorInterp><ColorTable>{entries}</ColorTable>")
            for index in range(self.count):
                top = index * self.step
                high = min(self.step, rows - top)
                parts.append(
                    f'<SimpleSource><SourceFilename relativeToVRT="1">{self.file(product, index).name}</SourceFilename>'
                    f'<SourceBand>{band}</SourceBand><SourceProperties RasterXSize="{cols}" RasterYSize="{high}" '
                    'DataType="Byte" BlockXSize="512" BlockYSize="512"/>'
                    f'<SrcRect xOff="0" yOff="0" xSize="{cols}" ySize="{high}"/>'
                    f'<DstRect xOff="0" yOff="{top}" xSize="{cols}" ySize="{high}"/></SimpleSource>'
                )
            parts.append("</VRTRasterBand>")
        return "".join([*parts, "</VRTDataset>"])


def _scarce(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < RESERVE


def _entry(colour: str, clear: bool) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f'<Entry c1="{red}" c2="{green}" c3="{blue}" c4="{0 if clear else 255}"/>'


def partial(out: Path) -> Path:
    """Folder of the unfinished output."""
    return out.with_name(out.name + ".partial")


def record_path(out: Path) -> Path:
    """Record beside an output."""
    return out.with_name(out.name + ".json")


def pinned(out: Path) -> dict[str, Any] | None:
    """What an unfinished run of this output was begun with; None when there is none."""
    path = partial(out) / "state.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
