"""Pictures of the cases of a register: what was drawn for them, else cut from the city's images now; and what lies around them."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.windows import Window
from rasterio.windows import transform as placed

from workbench.core.errors import ImageError, LayerMissing
from workbench.dashboard.map_layers import Overlay, picture, to_web
from workbench.interpretation import imagery
from workbench.interpretation.chips import NATURAL, chip_file, natural, stretch, write_chips
from workbench.rules.same_place import IMAGE_CASES, best

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd
    import numpy.typing as npt

    from workbench.catalog.data import CityData
    from workbench.interpretation.imagery import Pair, Scene

log = logging.getLogger(__name__)
AROUND_M = 4_000.0
"""Ground shown on the map behind a case."""


class CasePictures:
    """Pictures of the cases of one city and year, each made when it is asked for.

    Parameters
    ----------
    data : CityData
        The city's layers.
    cases : GeoDataFrame
        Rows of the register: ``space_code, line, geometry``.
    year : int
        Year of the later images.
    lang : {"zh", "en"}
        Language of the words in the pictures.
    """

    def __init__(self, data: CityData, cases: gpd.GeoDataFrame, year: int, lang: str) -> None:
        self.data, self.cases, self.year, self.lang = data, cases.reset_index(drop=True), year, lang
        self._at = {str(code): at for at, code in enumerate(self.cases["space_code"])}
        self._backdrops: dict[str, Overlay | None] = {}

    @cached_property
    def found(self) -> gpd.GeoDataFrame | None:
        """Cases found in images of the year; None where none are published."""
        return self.data.vector(IMAGE_CASES, self.year) if self.data.has(IMAGE_CASES, self.year) else None

    @cached_property
    def same_place(self) -> dict[str, str]:
        """Space code of the case found in images on the place of each case, where there is one."""
        if self.found is None:
            return {}
        codes, others = self.cases["space_code"].to_numpy(), self.found["space_code"].to_numpy()
        return {str(codes[i]): str(others[j]) for i, j in best(self.cases, self.found).items()}

    def get(self, code: str) -> Path | None:
        """The picture of a case: its own, cut now where there is none; else that of the image case on its place; else None."""
        city, year = self.data.city.name, self.year
        own = chip_file(city, year, code)
        if own.is_file():
            return own
        row = self.cases.iloc[[self._at[code]]]
        made = write_chips(city, year, row, self._pairs, most=1, lang=self.lang) if self._pairs else []
        if made:
            return made[0]
        other = chip_file(city, year, self.same_place.get(code, code))
        return other if other.is_file() else None

    def backdrop(self, code: str) -> Overlay | None:
        """The newest image that shows the place of a case, for the map below it; None without one."""
        if code not in self._backdrops:
            self._backdrops[code] = self._backdrop(self.cases.iloc[[self._at[code]]])
        return self._backdrops[code]

    @cached_property
    def _pairs(self) -> list[Pair]:
        try:
            return imagery.pairs(self.data, self.year - 1, self.year)
        except (LayerMissing, ImageError) as error:
            log.info("no pictures of cases: %s", error)
            return []

    @cached_property
    def _scenes(self) -> list[Scene]:
        try:
            return imagery.scenes(self.data, self.year, bands=NATURAL)
        except (LayerMissing, ImageError) as error:
            log.info("no images behind cases: %s", error)
            return []

    def _backdrop(self, row: gpd.GeoDataFrame) -> Overlay | None:
        for scene in reversed(self._scenes):
            middle = row.to_crs(str(scene.grid.crs)).geometry.iloc[0].centroid
            affine = scene.grid.affine
            side = int(AROUND_M / abs(affine.a))
            column = int((middle.x - affine.c) / affine.a)
            line = int((middle.y - affine.f) / affine.e)
            window = Window(column - side // 2, line - side // 2, side, side)
            block = scene.read(window)
            if block.valid[side // 2, side // 2]:
                low, high = stretch([block.data[:, block.valid]])
                colours = natural(block.data, block.valid, low, high)
                return _overlay(colours, block.valid, placed(window, affine), str(scene.grid.crs))
        return None


def _overlay(colours: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_], affine: Any, crs: str) -> Overlay:
    """Colours warped to EPSG:3857 as a picture for Leaflet, clear where nothing was seen."""
    from PIL import Image

    bands = np.concatenate([np.moveaxis(colours, -1, 0), np.where(valid, 255, 0).astype(np.uint8)[None]])
    warped, place = to_web(bands, affine, crs, "bilinear")
    return picture(Image.fromarray(np.moveaxis(warped, 0, -1), "RGBA"), place)
