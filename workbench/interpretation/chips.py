"""Pictures of a case before and after, side by side: one stretch of colours for both dates, outline, scale, north, days."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.windows import Window
from scipy.ndimage import distance_transform_edt

from workbench.core.errors import ImageError
from workbench.core.fonts import font_path
from workbench.core.paths import atomic_write, built_data_dir

if TYPE_CHECKING:
    import geopandas as gpd
    from PIL import ImageDraw, ImageFont

    from workbench.interpretation.imagery import Block, Pair, Reader

NATURAL = ("red", "green", "blue")
SIDE = 440
"""Pixels of one picture, wide and high."""
LEAST_M = 400.0
"""Ground shown at least, metres: a patch is seen with its surroundings."""
ROOM = 2.2
"""Ground shown at least, in lengths of the patch."""
STRETCH = (1.0, 99.0)
"""Percentiles of both dates together that become black and white."""
LEAST_CONTRAST = 0.06
"""Range of reflectance stretched at least, so that water or bare ground alone does not turn to noise."""
WORDS = {
    "zh": {"before": "前时相", "after": "后时相", "hidden": "云或无数据", "north": "北", "metres": "米"},
    "en": {"before": "before", "after": "after", "hidden": "cloud or no data", "north": "N", "metres": "m"},
}
INK, OUTLINE = (31, 41, 51), (226, 34, 34)
GAP, HEAD = 10, 36
DPI = 255
"""Dots an inch in print: four pictures stand on a page, and the sheet of a case stays on one."""
NEAR = 1e-3
"""Parts of a cell that are no part of it."""


def chip_file(city_name: str, year: int, space_code: str) -> Path:
    """Where the picture of a case lies, whether or not there is one."""
    return built_data_dir() / city_name / "chips" / str(year) / f"{space_code}.png"


def write_chips(
    city_name: str,
    year: int,
    cases: gpd.GeoDataFrame,
    pairs: Sequence[Pair],
    *,
    most: int = 60,
    lang: str = "zh",
) -> list[Path]:
    """Pictures of the first cases, each from the pair of images that shows most of it, the latest of equal ones.

    Parameters
    ----------
    city_name, year : str, int
        Where they are kept, see :func:`chip_file`.
    cases : GeoDataFrame
        In order of importance; rows without ``space_code`` are passed over.
    pairs : sequence of Pair
        Images of two dates.
    most : int
        At most so many.
    lang : {"zh", "en"}
        Language of the words.

    Returns
    -------
    list of Path
        What was written; cases that no pair shows have none.
    """
    made = []
    with _Images(pairs) as images:
        for _, case in cases[cases["space_code"].fillna("") != ""].head(most).iterrows():
            found = images.best(case, cases.crs)
            if found is not None:
                path = chip_file(city_name, year, str(case["space_code"]))
                made.append(_draw(found, path, lang))
    return made


def case_chip(case: Any, pair: Pair, path: str | Path, *, lang: str = "zh", crs: Any = None) -> Path:
    """Draw a case on the images of two dates.

    Parameters
    ----------
    case : Series
        Row with ``geometry``.
    pair : Pair
        Images with red, green and blue.
    path : path
        PNG to write. It says in its text who may see it (``sensitivity``).
    lang : {"zh", "en"}
        Language of the words.
    crs : CRS, optional
        Of the geometry, where it is not that of the images.

    Returns
    -------
    Path

    Raises
    ------
    ImageError
        The images lack a band, or they show nothing of the case.
    """
    with _Images([pair]) as images:
        found = images.best(case, crs)
    if found is None:
        raise ImageError(
            "the images show nothing of the case", where=f"{pair.before.name}, {pair.after.name}"
        )
    return _draw(found, Path(path), lang)


@dataclass(frozen=True)
class _Seen:
    """What a pair shows of a case."""

    pair: Pair
    shape: Any
    window: Window
    blocks: tuple[Block, Block]


class _Images:
    """Pairs of images held open while many cases are drawn."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = sorted(pairs, key=lambda one: one.after.date)
        self._stack = ExitStack()
        self._readers: list[tuple[Reader, Reader]] = []

    def __enter__(self) -> _Images:
        for pair in self.pairs:
            first, second = (
                self._stack.enter_context(scene.select(NATURAL).open()) for scene in (pair.before, pair.after)
            )
            self._readers.append((first, second))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def best(self, case: Any, crs: Any) -> _Seen | None:
        """The pair that shows most of a case and of its surroundings on both dates, of equal ones the latest."""
        best: tuple[tuple[float, float, int], _Seen] | None = None
        for at, (pair, (first, second)) in enumerate(zip(self.pairs, self._readers, strict=True)):
            shape = _shape(case, pair, crs)
            window, core = _window(pair, _extent(shape)), _window(pair, shape.bounds)
            seen = _Seen(pair, shape, window, (first.read(window), second.read(window)))
            clear = seen.blocks[0].valid & seen.blocks[1].valid
            row, column = int(core.row_off - window.row_off), int(core.col_off - window.col_off)
            inner = clear[row : row + int(core.height), column : column + int(core.width)]
            if not clear.any():
                continue
            rank = (round(float(inner.mean()), 1), round(float(clear.mean()), 1), at)
            if best is None or rank > best[0]:
                best = (rank, seen)
        return None if best is None else best[1]


def _draw(seen: _Seen, path: Path, lang: str) -> Path:
    """Write the picture of a case."""
    from PIL import Image, ImageDraw, ImageFont
    from PIL.PngImagePlugin import PngInfo

    pair, blocks = seen.pair, seen.blocks
    low, high = stretch([block.data[:, block.valid] for block in blocks])
    picture = Image.new("RGB", (2 * SIDE + GAP, SIDE + HEAD), "white")
    pen = ImageDraw.Draw(picture)
    letters, small = (ImageFont.truetype(str(font_path()), size) for size in (23, 19))
    for at, (block, scene, when) in enumerate(
        zip(blocks, (pair.before, pair.after), ("before", "after"), strict=True)
    ):
        left = at * (SIDE + GAP)
        colours = Image.fromarray(natural(block.data, block.valid, low, high))
        panel = colours.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        inner = ImageDraw.Draw(panel)
        for ring in _rings(seen.shape, pair, seen.window):
            inner.line(ring, fill="white", width=5, joint="curve")
            inner.line(ring, fill=OUTLINE, width=3, joint="curve")
        _hidden(inner, block.valid, WORDS[lang]["hidden"], small)
        if at == 0:
            _scale(inner, _cell(pair) * float(seen.window.width), WORDS[lang]["metres"], small)
        else:
            _north(inner, WORDS[lang]["north"], small)
        picture.paste(panel, (left, HEAD))
        pen.rectangle((left, HEAD, left + SIDE - 1, HEAD + SIDE - 1), outline=(90, 100, 110))
        words = f"{WORDS[lang][when]}  {scene.date:%Y-%m-%d}"
        pen.text((left + 2, HEAD // 2), words, font=letters, fill=INK, anchor="lm")
    note = PngInfo()
    note.add_itxt("sensitivity", pair.sensitivity)
    note.add_itxt("images", f"{pair.before.name}; {pair.after.name}")
    with atomic_write(path) as temporary:
        few = picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(temporary, "PNG", pnginfo=note, dpi=(DPI, DPI))
    return path


def _hidden(
    pen: ImageDraw.ImageDraw, valid: npt.NDArray[np.bool_], words: str, letters: ImageFont.FreeTypeFont
) -> None:
    """Say in the middle of the largest hidden part what it is, where there is room."""
    deep = distance_transform_edt(np.pad(~valid, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(deep.argmax()), deep.shape)
    scale = SIDE / valid.shape[0]
    if float(deep[row, column]) * scale > 30:
        x = min(max((float(column) + 0.5) * scale, 60.0), SIDE - 60.0)
        _say(pen, words, (x, (float(row) + 0.5) * scale), letters, "mm")


def chip_sensitivity(path: str | Path) -> str:
    """Who may see a picture; the strictest where it does not say."""
    from PIL import Image

    with Image.open(path) as picture:
        return str(picture.info.get("sensitivity", "敏感"))


def stretch(
    values: Sequence[npt.NDArray[np.float32]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Reflectance of black and of white by band, from the valid pixels (band, pixel) of all dates together."""
    together = np.concatenate(list(values), axis=1)
    low, high = np.percentile(together, STRETCH, axis=1)
    middle = (low + high) / 2
    half = np.maximum(high - low, LEAST_CONTRAST) / 2
    return middle - half, middle + half


def natural(
    data: npt.NDArray[np.float32],
    valid: npt.NDArray[np.bool_],
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> npt.NDArray[np.uint8]:
    """Colours (row, column, 3) of reflectance (band, row, column); grey where nothing can be seen."""
    share = (data - low[:, None, None]) / (high - low)[:, None, None]
    colours = (np.clip(share, 0, 1) ** 0.85 * 255).astype(np.uint8)
    colours[:, ~valid] = 190
    return np.moveaxis(colours, 0, -1)


def _shape(case: Any, pair: Pair, crs: Any) -> Any:
    """Outline of a case in the CRS of the images."""
    import geopandas as gpd

    shape = case["geometry"] if not hasattr(case, "geometry") else case.geometry
    if crs is None or pair.before.grid.crs is None:
        return shape
    return gpd.GeoSeries([shape], crs=crs).to_crs(str(pair.before.grid.crs)).iloc[0]


def _extent(shape: Any) -> tuple[float, float, float, float]:
    west, south, east, north = shape.bounds
    half = max(LEAST_M, ROOM * max(east - west, north - south)) / 2
    x, y = (west + east) / 2, (south + north) / 2
    return x - half, y - half, x + half, y + half


def _cell(pair: Pair) -> float:
    return abs(float(pair.before.grid.affine.a))


def _window(pair: Pair, bounds: tuple[float, float, float, float]) -> Window:
    """Window of the images that holds a box, square cells whole."""
    affine = pair.before.grid.affine
    left, right = sorted(((bounds[0] - affine.c) / affine.a, (bounds[2] - affine.c) / affine.a))
    top, bottom = sorted(((bounds[3] - affine.f) / affine.e, (bounds[1] - affine.f) / affine.e))
    column, row = int(np.floor(left + NEAR)), int(np.floor(top + NEAR))
    side = max(int(np.ceil(right - NEAR)) - column, int(np.ceil(bottom - NEAR)) - row, 1)
    return Window(column, row, side, side)


def _rings(shape: Any, pair: Pair, window: Window) -> list[list[tuple[float, float]]]:
    """Outlines in pixels of the picture."""
    affine = pair.before.grid.affine
    scale = SIDE / float(window.width)
    rings = []
    for part in shapely.get_parts([shape]):
        for ring in (part.exterior, *part.interiors):
            xy = np.asarray(ring.coords)[:, :2]
            columns = ((xy[:, 0] - affine.c) / affine.a - window.col_off) * scale
            rows = ((xy[:, 1] - affine.f) / affine.e - window.row_off) * scale
            rings.append(list(zip(columns.tolist(), rows.tolist(), strict=True)))
    return rings


def _say(
    pen: ImageDraw.ImageDraw,
    words: str,
    at: tuple[float, float],
    letters: ImageFont.FreeTypeFont,
    anchor: str,
) -> None:
    pen.text(at, words, font=letters, fill=INK, anchor=anchor, stroke_width=3, stroke_fill="white")


def _scale(pen: ImageDraw.ImageDraw, ground: float, unit: str, letters: ImageFont.FreeTypeFont) -> None:
    """Scale bar of about a quarter of the picture."""
    metres = max(
        one * ten for ten in (1, 10, 100, 1000) for one in (1, 2, 5) if one * ten <= max(ground / 3.5, 1)
    )
    length = metres / ground * SIDE
    left, low = 14.0, SIDE - 16.0
    pen.line([(left, low), (left + length, low)], fill="white", width=8)
    pen.line([(left, low), (left + length, low)], fill=INK, width=4)
    _say(pen, f"{metres} {unit}", (left, low - 8), letters, "lb")


def _north(pen: ImageDraw.ImageDraw, word: str, letters: ImageFont.FreeTypeFont) -> None:
    x, y = SIDE - 24, 44
    pen.polygon([(x, y - 26), (x - 9, y), (x, y - 6), (x + 9, y)], fill=INK, outline="white")
    _say(pen, word, (x, y + 2), letters, "mt")
