"""Turns a worked example of a definition into layers: a few cells, points and lines drawn by hand.

Places are in cells of 100 m from the upper left corner of the drawing (column, row), so a cell is one hectare.

========================= ======================================================================================
key of ``inputs``          value
========================= ======================================================================================
``land_use``               rows of survey codes from north to south, e.g. ``["0101 0701/201", "0301 ."]``
``population``             rows of numbers of people, one cell each
``statistics``             ``"item year zone value"``, and the unit where it is stated
``od_flows``               ``"origin destination people minutes"``
``land_use_raster``        rows of survey codes, one cell of 100 m each
``impervious``             rows of class numbers, one cell each
``imagery``                rows of vegetation indices, one cell each; ``.`` is clouded
``subsidence``, ``pm25``   rows of measured values, one cell each; ``.`` is not measured
any other role             tables with ``box = [left, top, right, bottom]``, ``at = [column, row]`` or
                           ``line = [[column, row], …]``, and the fields of the role
``role@year``              the same for another year than that of the example
========================= ======================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr

from workbench.core import codes
from workbench.core.errors import DefinitionError, LayerMissing, ParameterError
from workbench.core.provenance import Source, stable_hash
from workbench.indicators.indicator import Indicator
from workbench.indicators.inputs import Inputs
from workbench.samples import town

CELL_M = 100.0
DATED = frozenset(
    {"land_use", "population", "buildings", "change_patches", "od_flows"}
    | {"land_use_raster", "imagery", "subsidence", "pm25"}
)
"""Roles that have an edition for each year."""
YEAR, BASE_YEAR, CITY = 2025, 2020, "demo"
_DEFAULTS: dict[str, dict[str, Any]] = {
    "roads": {"road_class": "residential", "walkable": True, "drive_kmh": 30.0, "name": ""},
    "facilities": {"name": "", "capacity": float("nan")},
    "parks": {"name": "", "kind": "park"},
    "buildings": {"height_m": float("nan"), "floors": float("nan"), "use": "residential"},
    "change_patches": {"before_dlbm": "0101"},
}
_LINE_DEFAULTS = {"name": "", "kind": "", "approved": "2020-01-01", "ended": None}


def _place(column: float, row: float) -> tuple[float, float]:
    return town.LEFT + column * CELL_M, town.TOP - row * CELL_M


def _shape(entry: Mapping[str, Any]) -> Any:
    if "box" in entry:
        left, top, right, bottom = entry["box"]
        return shapely.box(*_place(left, bottom), *_place(right, top))
    if "at" in entry:
        return shapely.Point(_place(*entry["at"]))
    if "line" in entry:
        return shapely.LineString([_place(*xy) for xy in entry["line"]])
    raise DefinitionError("a drawn feature needs 'box', 'at' or 'line'", found=dict(entry))


def _features(role: str, entries: Sequence[Mapping[str, Any]]) -> gpd.GeoDataFrame:
    defaults = _DEFAULTS.get(role, _LINE_DEFAULTS if role.endswith(("_line", "farmland", "boundary")) else {})
    fields = [
        {**defaults, **{k: v for k, v in entry.items() if k not in {"box", "at", "line"}}}
        for entry in entries
    ]
    columns = sorted({key for row in fields for key in row} | set(defaults))
    frame = pd.DataFrame(fields, columns=columns)
    for name in {"approved", "ended"} & set(columns):
        frame[name] = pd.to_datetime(frame[name])
    return gpd.GeoDataFrame(frame, geometry=[_shape(entry) for entry in entries], crs=town.CRS)


def _raster(role: str, drawn: Sequence[str]) -> xr.DataArray:
    """Cells of 100 m from rows of text."""
    cells = [row.split() for row in drawn]
    if role == "land_use_raster":
        numbers = [[codes.NODATA if c == "." else codes.raster_code(c) for c in row] for row in cells]
        return town.land_cover(numbers, CELL_M)
    if role == "impervious":
        return town.land_cover([[int(c) for c in row] for row in cells], CELL_M)
    grid = town.land_cover([[0] * len(row) for row in cells], CELL_M)
    values = np.array([[np.nan if c == "." else float(c) for c in row] for row in cells])
    if role != "imagery":
        return grid.copy(data=values.astype("float64"))
    red = np.full(values.shape, 1000.0)
    near = np.where(np.isnan(values), red, red * (1 + values) / (1 - np.nan_to_num(values)))
    bands = {"red": red, "nir": near, "cloud": np.isnan(values)}
    layers = [grid.copy(data=np.round(band).astype("uint16")) for band in bands.values()]
    return xr.concat(layers, pd.Index(list(bands), name="band"))


RASTERS = frozenset({"land_use_raster", "impervious", "imagery", "subsidence", "pm25"})
"""Roles drawn as rows of cells."""


def layer(role: str, drawn: Sequence[Any]) -> gpd.GeoDataFrame | pd.DataFrame | xr.DataArray:
    """One layer of an example, in the standard form of its role.

    Examples
    --------
    >>> layer("land_use", ["0101 0301"])["dlbm"].tolist()
    ['0101', '0301']
    """
    if role in RASTERS:
        return _raster(role, drawn)
    if role == "land_use":
        return town.parcels([["" if code == "." else code for code in row.split()] for row in drawn], CELL_M)
    if role == "population":
        cells = [(c + 0.5, r + 0.5, float(n)) for r, row in enumerate(drawn) for c, n in enumerate(row)]
        return town.points([cell[:2] for cell in cells], CELL_M, population=[cell[2] for cell in cells])
    if role == "statistics":
        rows = [[*text.split(), ""][:5] for text in drawn]
        frame = pd.DataFrame(rows, columns=["item", "year", "zone", "value", "unit"])
        return frame.astype({"year": int, "value": float}).assign(edition="")
    if role == "od_flows":
        frame = pd.DataFrame(
            [text.split() for text in drawn], columns=["origin", "destination", "people", "minutes"]
        )
        return frame.astype({"people": float, "minutes": float})
    return _features(role, drawn)


class DrawnStore:
    """Layers drawn by hand, in the place of a city's catalogue.

    Parameters
    ----------
    drawn : mapping of str to layers
        Role, or ``role@year``, to a drawing (see the module) or to a ready table.
    year : int
        Year of dated roles that are given without one.
    """

    def __init__(self, drawn: Mapping[str, Any], year: int = YEAR) -> None:
        self._layers: dict[tuple[str, int | None], Any] = {}
        for key, value in drawn.items():
            role, _, text = key.partition("@")
            at = int(text) if text else (year if role in DATED else None)
            ready = isinstance(value, pd.DataFrame | xr.DataArray)
            self._layers[role, at] = value if ready else layer(role, value)

    def _get(self, role: str, year: int | None) -> Any:
        if (role, year) not in self._layers:
            raise LayerMissing(role, year, reason="no_year" if self.years(role) else "no_layer")
        return self._layers[role, year]

    def vector(self, role: str, year: int | None = None, *, edition: str = "latest") -> gpd.GeoDataFrame:
        """Vector layer."""
        return self._get(role, year)

    def table(self, role: str, year: int | None = None, *, edition: str = "latest") -> pd.DataFrame:
        """Table."""
        found: pd.DataFrame = self._get(role, year)
        return found

    def raster(
        self,
        role: str,
        year: int | None = None,
        *,
        edition: str = "latest",
        bands: Sequence[str] | None = None,
    ) -> xr.DataArray:
        """Raster layer."""
        found: xr.DataArray = self._get(role, year)
        if bands is None:
            return found
        if "band" not in found.dims or not set(bands) <= set(found["band"].to_numpy()):
            raise ParameterError("no such band", where=role, found=list(bands))
        chosen: xr.DataArray = found.sel(band=list(bands)).squeeze("band", drop=True)
        return chosen

    def years(self, role: str) -> list[int]:
        """Years the role was drawn for."""
        return sorted(year for name, year in self._layers if name == role and year is not None)

    def has(self, role: str, year: int | None = None) -> bool:
        """Whether the role was drawn, for the year if one is given."""
        return (role, year) in self._layers or (year is None and bool(self.years(role)))

    def source(self, role: str, year: int | None = None, *, edition: str = "latest") -> Source:
        """A source that says it was drawn."""
        drawn = self._get(role, year)
        cells = drawn.to_numpy().reshape(-1, 1) if isinstance(drawn, xr.DataArray) else drawn
        frame = pd.DataFrame(cells).astype(str)
        return Source(
            role=role,
            year=year,
            edition=edition,
            sha256=stable_hash(frame.to_dict("list")),
            date="" if year is None else f"{year}-12-31",
            licence="",
            source="drawn by hand",
            tier="statutory",
            sensitivity="公开",
            path=Path(f"{role}.parquet"),
        )


TOLERANCE = 2e-6
"""Relative difference between a worked value and the computed one, where the example states none."""


def check_example(indicator: Indicator, method: int = 0) -> tuple[float, float, bool]:
    """Value that a method gives for its worked example, the value worked out by hand, and whether they agree."""
    inputs, zones, expected = worked_example(indicator, method)
    found = float(indicator.compute(inputs, zones, method=method)["value"].iloc[0])
    tolerance = float(indicator.methods[method].example.get("tolerance", TOLERANCE))
    return found, expected, math.isclose(found, expected, rel_tol=tolerance, abs_tol=1e-12)


def worked_example(indicator: Indicator, method: int = 0) -> tuple[Inputs, gpd.GeoDataFrame, float]:
    """Inputs, zone and the value worked out by hand, of one method.

    Returns
    -------
    Inputs, gpd.GeoDataFrame, float
        Layers limited to the method's inputs; one zone; the expected value in the indicator's unit.

    Raises
    ------
    DefinitionError
        The example lacks a layer the method reads, or draws one it does not read.
    """
    chosen = indicator.methods[method]
    example = chosen.example
    drawn = example.get("inputs", {})
    roles = {key.partition("@")[0] for key in drawn}
    if roles != set(chosen.inputs):
        where = f"{indicator.file} [{indicator.id}] method {method + 1}"
        raise DefinitionError(
            "the example's layers differ from the inputs",
            where=where,
            found=sorted(roles),
            expected=chosen.inputs,
        )
    box = _shape({"box": example.get("zone", [0, 0, 10, 10])})
    zones = gpd.GeoDataFrame(
        {"name": ["示范"]}, index=pd.Index([CITY], name="code"), geometry=[box], crs=town.CRS
    )
    inputs = Inputs(
        store=DrawnStore(drawn),
        year=YEAR,
        base_year=int(example.get("base_year", BASE_YEAR)),
        edition="latest",
        roles=frozenset(chosen.inputs),
        scope=box,
        walking_m_per_min=60.0,
        crs=town.CRS,
        city=CITY,
        home_zones=frozenset({CITY, "A", "B", "C"}),
    )
    return inputs, zones, float(example["value"])
