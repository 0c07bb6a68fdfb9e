"""Images of the catalogue or of a file: bands by name, reflectance, a mask, and everything that can be wrong with them.

A scene is a description; pixels are read by window, in reflectance, with what cannot be used marked. Two scenes of one
place make a pair.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from workbench.core.errors import CRSError, GridMismatch, ImageError, LayerMissing
from workbench.core.grid import describe, same_grid
from workbench.interpretation import image_checks, image_sources
from workbench.interpretation.image_sources import opened, unreadable

if TYPE_CHECKING:
    import pystac

    from workbench.catalog.data import CityData
    from workbench.core.city import City

OPENNESS = ("公开", "内部", "敏感")
"""Sensitivities, the most open first."""
SHIFT_WARNED = 1.0
"""Shift between two dates in pixels beyond which a pair is warned of."""


@dataclass(frozen=True)
class Block:
    """Pixels of a window."""

    data: npt.NDArray[np.float32]
    """Reflectance (band, row, col); 0 where not valid and nothing mirrored stands there."""
    valid: npt.NDArray[np.bool_]
    """Whether a pixel may be used (row, col): inside the image, with data, neither cloud nor shadow."""


@dataclass(frozen=True)
class Scene:
    """One dated image with its mask."""

    name: str
    """Name for messages and records."""
    date: pd.Timestamp
    """Day of the image; NaT when unknown."""
    bands: tuple[str, ...]
    """Common names in the order of reading."""
    grid: GeoBox
    """Grid with CRS; without CRS for a picture without georeference."""
    scale: float
    """Reflectance of one count."""
    offset: float
    """Reflectance of the count 0."""
    nodata: float | None
    """Count of pixels without data."""
    hrefs: tuple[tuple[str, int], ...]
    """File and number of each band in it."""
    mask_href: str | None = None
    """File whose first band is 0 where the ground is seen."""
    sensitivity: str = "公开"
    """Clearance needed to see the image and what is made from it."""
    sha256: str = ""
    """Hash of the files."""
    assumed: bool = False
    """Whether the names of the bands follow from their number and colours alone."""

    @staticmethod
    def of_item(item: pystac.Item, *, bands: Sequence[str] | None = None) -> Scene:
        """Scene of a catalogue item: an asset a band, under its common name.

        Parameters
        ----------
        item : pystac.Item
        bands : sequence of str, optional
            Bands wanted, in this order; all that have a common name when not given.

        Raises
        ------
        ImageError
            When the item lacks a band or its assets differ in scale or nodata.
        """
        return Scene(**image_sources.of_item(item, bands))

    @staticmethod
    def of_file(
        path: str | Path,
        *,
        bands: Sequence[str] | None = None,
        date: str | pd.Timestamp | None = None,
        mask: str | Path | None = None,
        scale: float | None = None,
    ) -> Scene:
        """Scene of a raster file.

        Parameters
        ----------
        path : path
        bands : sequence of str, optional
            Where the file names its bands: the bands wanted, in this order. Where it does not: the names of all its bands.
        date : str or Timestamp, optional
            Day of the image; looked for in the file's tags and name when not given.
        mask : path, optional
            Raster on the same grid, 0 where the ground is seen.
        scale : float, optional
            Reflectance of one count; the file's, else by its data type, when not given.

        Raises
        ------
        ImageError
            When the file cannot be read, its bands are not the ones wanted, or the mask lies on another grid.
        """
        return Scene(
            **image_sources.of_file(Path(path), bands, date, None if mask is None else Path(mask), scale)
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.grid.shape
        return int(rows), int(columns)

    def select(self, bands: Sequence[str]) -> Scene:
        """Scene with these bands, in this order.

        Raises
        ------
        ImageError
            When it lacks one.
        """
        if absent := [name for name in bands if name not in self.bands]:
            raise ImageError(
                "the image lacks bands", where=self.name, found=", ".join(self.bands), expected=", ".join(bands),
                hint=f"absent: {', '.join(absent)}; name the file's bands in their order if they have other names",
            )  # fmt: skip
        places = [self.bands.index(name) for name in bands]
        return replace(self, bands=tuple(bands), hrefs=tuple(self.hrefs[place] for place in places))

    @contextmanager
    def open(self) -> Iterator[Reader]:
        """Files opened for many reads; a reader serves one thread."""
        with ExitStack() as stack:
            yield Reader(self, stack)

    def read(self, window: Window | None = None) -> Block:
        """Reflectance and validity in a window, the whole image when not given; beyond the edge mirrored, not valid."""
        rows, columns = self.shape
        with self.open() as reader:
            return reader.read(Window(0, 0, columns, rows) if window is None else window)

    def check(self) -> None:
        """Refuse an image that would give nonsense.

        Raises
        ------
        ImageError
            Rotated or flipped grid, a file shorter than it says, nothing valid, an implausible scale (counts taken for
            reflectance or the other way round), bands in another order than named.
        """
        image_checks.check_grid(self)
        for href in sorted(
            {name for name, _ in self.hrefs} | ({self.mask_href} if self.mask_href else set())
        ):
            image_checks.check_whole(self, href)
        image_checks.check_values(self, image_checks.sample(self))


@dataclass(frozen=True)
class Pair:
    """Two scenes of one place on one grid, the earlier first."""

    before: Scene
    after: Scene

    def __post_init__(self) -> None:
        where = f"{self.before.name} and {self.after.name}"
        if self.before.grid.crs != self.after.grid.crs:
            raise CRSError(
                "the two dates have different coordinate systems", where=where,
                found=str(self.after.grid.crs), expected=str(self.before.grid.crs), hint="warp one to the other first",
            )  # fmt: skip
        if not same_grid(self.before.grid, self.after.grid):
            raise GridMismatch(
                "the two dates lie on different grids", where=where,
                found=describe(self.after.grid), expected=describe(self.before.grid), hint="warp one to the other first",
            )  # fmt: skip
        if self.before.bands != self.after.bands:
            raise ImageError(
                "the two dates have different bands", where=where,
                found=", ".join(self.after.bands), expected=", ".join(self.before.bands),
                hint="name the bands of the files in their order (--bands), or leave out those that one lacks",
            )  # fmt: skip
        if not self.before.date < self.after.date:
            raise ImageError(
                "the earlier image must come first, and both must be dated", where=where,
                found=f"{_day(self.before.date)} and {_day(self.after.date)}", expected="a day each, the earlier first",
                hint="name the days where files do not say them (--date-before, --date-after)",
            )  # fmt: skip

    @property
    def sensitivity(self) -> str:
        """The stricter of the two."""
        return strictest([self.before.sensitivity, self.after.sensitivity])

    def shift(self) -> tuple[float, float]:
        """Rows and columns by which the later image lies off the earlier one, by phase correlation.

        Warns beyond ``SHIFT_WARNED`` pixels: what lies off looks like change.
        """
        from workbench.interpretation import registration

        found = registration.measure(self)
        rows, columns = found.rows, found.columns
        if found.distance > SHIFT_WARNED:
            warnings.warn(
                f"{self.after.name} lies {rows:+.1f} rows and {columns:+.1f} columns off {self.before.name}: "
                "edges will look like change; register the images first",
                stacklevel=2,
            )
        return rows, columns


class Reader:
    """Open files of a scene."""

    def __init__(self, scene: Scene, stack: ExitStack) -> None:
        self.scene = scene
        self._groups: list[tuple[Any, list[int], list[int]]] = []  # file, its bands, their places
        for href in dict.fromkeys(name for name, _ in scene.hrefs):
            places = [place for place, (name, _) in enumerate(scene.hrefs) if name == href]
            numbers = [scene.hrefs[place][1] for place in places]
            self._groups.append((opened(href, scene.name), numbers, places))
            stack.callback(
                self._groups[-1][0].close
            )  # as a context a file would have to be left by the thread that entered
        self._mask = opened(scene.mask_href, scene.name) if scene.mask_href else None
        if self._mask is not None:
            stack.callback(self._mask.close)

    def counts(self, window: Window) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Counts as stored (band, row, col) and whether they may be used (row, col); beyond the edge both are mirrored."""
        scene, (height, width) = self.scene, self.scene.shape
        rows, row_low, row_high = _mirror(int(window.row_off), int(window.height), height)
        cols, col_low, col_high = _mirror(int(window.col_off), int(window.width), width)
        inner = Window(col_low, row_low, col_high - col_low, row_high - row_low)
        data = self._counts(inner)
        valid = np.ones(data.shape[1:], dtype=bool)
        if scene.nodata is not None:
            empty = data[0] == scene.nodata
            for band in data[1:]:
                empty &= band == scene.nodata
            valid = ~empty
        if data.dtype.kind == "f":
            valid &= np.isfinite(data).all(axis=0)
        if self._mask is not None:
            valid &= self._file(self._mask, 1, inner) == 0
        if rows is not None:
            data, valid = data[:, rows - row_low], valid[rows - row_low]
        if cols is not None:
            data, valid = data[:, :, cols - col_low], valid[:, cols - col_low]
        return data, valid

    def read(self, window: Window) -> Block:
        """Reflectance and validity in a window; beyond the edge mirrored, not valid."""
        counts, valid = self.counts(window)
        data = counts.astype(np.float32)
        if self.scene.scale != 1.0:
            data *= np.float32(self.scene.scale)
        if self.scene.offset != 0.0:
            data += np.float32(self.scene.offset)
        if counts.dtype.kind == "f":
            np.nan_to_num(data, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        height, width = self.scene.shape
        row, col = int(window.row_off), int(window.col_off)
        valid[: max(0, -row)] = valid[max(0, height - row) :] = False
        valid[:, : max(0, -col)] = valid[:, max(0, width - col) :] = False
        return Block(data, valid)

    def _counts(self, window: Window) -> npt.NDArray[Any]:
        if len(self._groups) == 1:
            file, numbers, _ = self._groups[0]
            return self._file(file, numbers, window)
        shape = (len(self.scene.bands), int(window.height), int(window.width))
        found: npt.NDArray[Any] = np.empty(shape, dtype=self._groups[0][0].dtypes[0])
        for file, numbers, places in self._groups:
            found[places] = self._file(file, numbers, window)
        return found

    def _file(self, file: Any, numbers: int | list[int], window: Window) -> npt.NDArray[Any]:
        try:
            found: npt.NDArray[Any] = file.read(numbers, window=window)
        except rasterio.errors.RasterioIOError as error:
            raise unreadable(file.name, self.scene.name) from error
        return found


def _mirror(first: int, length: int, size: int) -> tuple[npt.NDArray[np.intp] | None, int, int]:
    """Places along an axis of a range that may lie beyond its ends (None: the range itself), and the range to read."""
    if first >= 0 and first + length <= size:
        return None, first, first + length
    period = max(2 * (size - 1), 1)
    folded = np.abs(np.arange(first, first + length)) % period
    folded = np.where(folded >= size, period - folded, folded) if size > 1 else np.zeros_like(folded)
    return folded, int(folded.min()), int(folded.max()) + 1


def _day(date: pd.Timestamp) -> str:
    return "no date" if pd.isna(date) else f"{date:%Y-%m-%d}"


def strictest(sensitivities: Sequence[str]) -> str:
    """The sensitivity that all inputs allow; the strictest when one is unknown."""
    known = [OPENNESS.index(one) if one in OPENNESS else len(OPENNESS) - 1 for one in sensitivities]
    return OPENNESS[max(known, default=0)]


def scenes(city: City | CityData | str, year: int, *, bands: Sequence[str] | None = None) -> list[Scene]:
    """Images of a city for a year (roles ``imagery``, ``imagery_2`` …), by date.

    Parameters
    ----------
    city : City, CityData or str
    year : int
    bands : sequence of str, optional
        Bands wanted, in this order.

    Raises
    ------
    LayerMissing
        When the city has no image of the year.
    """
    from workbench.catalog.search import items

    data = _data(city)
    found = []
    roles = image_roles(data)
    for role in roles:
        if data.has(role, year):
            found += [Scene.of_item(item, bands=bands) for item in items(data.city.name, role, year=year)]
    if not found:
        reason = data.why_missing(roles[0], year) if roles else "no_layer"
        raise LayerMissing("imagery", year, reason=reason or "no_year", holder=data.holder("imagery"))
    return sorted(found, key=lambda scene: scene.date)


def image_roles(data: CityData) -> list[str]:
    """Roles of a city's images: ``imagery``, ``imagery_2`` and so on."""
    return [role for role in data.city.layers if re.fullmatch(r"imagery(_\d+)?", role)]


def _data(city: City | CityData | str) -> CityData:
    from workbench.catalog.data import CityData as Data

    return city if isinstance(city, Data) else Data(city)


def pairs(
    city: City | CityData | str,
    before: int,
    after: int,
    *,
    bands: Sequence[str] | None = None,
    days: int = 45,
) -> list[Pair]:
    """Images of two years that show the same season, a pair a row; no image is used twice.

    Parameters
    ----------
    city : City, CityData or str
    before, after : int
        Years.
    bands : sequence of str, optional
    days : int
        How far apart in the year two images may lie.

    Raises
    ------
    ImageError
        When no two images show the same season.
    """
    data = _data(city)
    early, late = scenes(data, before, bands=bands), scenes(data, after, bands=bands)
    distances = sorted(
        (days_apart(one.date, two.date), i, j) for i, one in enumerate(early) for j, two in enumerate(late)
    )
    chosen: dict[int, int] = {}
    for distance, i, j in distances:
        if distance <= days and i not in chosen and j not in chosen.values():
            chosen[i] = j
    if not chosen:
        raise ImageError(
            "no two images show the same season", where=f"{data.city.name}, {before} and {after}",
            found=", ".join(_day(scene.date) for scene in [*early, *late]), expected=f"at most {days} days apart in the year",
        )  # fmt: skip
    return [Pair(early[i], late[j]) for i, j in sorted(chosen.items())]


def days_apart(first: pd.Timestamp, second: pd.Timestamp) -> int:
    """Days between two dates within the year, the shorter way round."""
    apart = abs(first.dayofyear - second.dayofyear)
    return int(min(apart, 365 - apart))
