"""How sure a land-cover map is of the class it shows, cell by cell, and what was said at points drawn from a map.

Probabilities of all classes take as many bands as there are classes; what a reader needs is the one of the class shown.
"""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from workbench.interpretation.change import STEPS
from workbench.interpretation.strips import Product, Strips, record_path

ASSET = "confidence"
"""Name of the raster beside the classes in the catalogue."""
NOTHING = 255
_ROWS = 512


def write_confidence(probabilities: Path, out: Path) -> Path:
    """Probability of the most probable class of each cell, strip by strip.

    Parameters
    ----------
    probabilities : Path
        A band a class, 0 to 250, 255 where nothing was seen.
    out : Path
        COG with one band on the same scale.

    Returns
    -------
    Path
        ``out``.
    """
    product = Product(ASSET, out, (ASSET,), NOTHING)
    with rasterio.open(probabilities) as file:
        crs = None if file.crs is None else file.crs.to_wkt()
        target = Strips(out, GeoBox(file.shape, file.transform, crs), _ROWS, [product])
        with target.held({"of": probabilities.name}, resume=False):
            for index, first in enumerate(range(0, file.height, _ROWS)):
                rows = min(_ROWS, file.height - first)
                values = file.read(window=Window(0, first, file.width, rows))
                best = np.where(values == NOTHING, 0, values).max(axis=0)
                best[(values == NOTHING).all(axis=0)] = NOTHING
                target.put(product, index, best[None].astype(np.uint8))
            target.finish({"of": probabilities.name}, lambda text: None)
    record_path(out).unlink(missing_ok=True)
    return out


def probability_at(path: Path, points: gpd.GeoDataFrame) -> npt.NDArray[np.float64]:
    """Probability (0 to 1) that a raster of them has at points in its coordinates; NaN where it has none."""
    with rasterio.open(path) as file:
        values = np.array(
            [one[0] for one in file.sample(zip(points.geometry.x, points.geometry.y, strict=True))]
        )
    return np.where(values > STEPS, np.nan, values / STEPS)
