"""Suitability of a city's land for a year: computed once, kept by content, read by notebooks and reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from workbench.core.cache import StepCache, step_key
from workbench.core.city import City, load_city
from workbench.core.errors import ParameterError
from workbench.core.provenance import code_version, stable_hash
from workbench.evaluation.suitability.areas import conflicts, land_areas, spread, zone_areas, zones_of
from workbench.evaluation.suitability.capacity import capacity
from workbench.evaluation.suitability.ground import Ground, read_ground
from workbench.evaluation.suitability.plan import factor_table, make_plan, role_of
from workbench.evaluation.suitability.rows import value_rows
from workbench.evaluation.suitability.sensitivity import Draws, Judged, judge, one_at_a_time, together
from workbench.evaluation.suitability.settings import Settings, load_settings, settings_path
from workbench.evaluation.topic_results import layer_hashes, newest_date, write_tables
from workbench.indicators.values import highest_sensitivity, table

if TYPE_CHECKING:
    from workbench.catalog.data import CityData

Array = npt.NDArray[Any]
Say = Callable[[str], None]
TABLES = ("cells", "factors", "areas", "sensitivity", "draws", "conflicts", "patches", "capacity", "findings")
"""Tables of a result, each kept by itself."""
SHOWN = ("slope", "relief")
"""Factors whose values are kept for maps."""
SETTLED = "urban_rural_construction"
"""Group of land classes that counts as built."""


@dataclass
class Suitability:
    """What a city's land is fit for, how sure that is, and how many it can carry."""

    city: City
    """Profile."""
    year: int
    """Year of lines and land use."""
    settings: Settings
    """Factors, points, classes and assumptions."""
    grid: dict[str, Any]
    """Grid of the cells: ``shape, affine, crs``, and ``draws`` made."""
    cells: pd.DataFrame
    """Cells judged: ``cell`` (place on the grid), class by evaluation and ``zoning``, ``moved.<output>`` (moves that change
    its class), ``drawn.<output>.<class>`` (draws in which it has the class), ``slope, relief, land_use``."""
    factors: pd.DataFrame
    """What each evaluation counts and what it is without."""
    areas: pd.DataFrame
    """Area of each class of each result by zone."""
    sensitivity: pd.DataFrame
    """Each threshold moved by itself: share of cells that change class."""
    draws: pd.DataFrame
    """Share of each class over the draws: mean, 5 %, 95 %; and the mean chance of the class a cell has."""
    conflicts: pd.DataFrame
    """Present use against the result, by zone."""
    patches: gpd.GeoDataFrame
    """Largest patches of each conflict."""
    capacity: pd.DataFrame
    """What land and water could carry, the load, the level of warning."""
    findings: pd.DataFrame
    """What a reader must know of the cells and of missing factors."""
    definitions: dict[str, Any] = field(default_factory=dict)
    """Empty: the figures are derived rows."""

    @cached_property
    def data(self) -> CityData:
        """The city's layers."""
        from workbench.catalog.data import CityData

        return CityData(self.city)

    @property
    def box(self) -> GeoBox:
        """Grid of the cells."""
        return GeoBox(tuple(self.grid["shape"]), Affine(*self.grid["affine"]), self.grid["crs"])

    def raster(self, name: str) -> xr.DataArray:
        """Column of :attr:`cells` as a raster; classes and counts have 0 and measured values NaN where nothing is judged.

        Raises
        ------
        ParameterError
            There is no such column.
        """
        if name not in self.cells:
            raise ParameterError("no such raster", found=name, expected=", ".join(self.cells.columns))
        values = self.cells[name].to_numpy()
        whole = np.full(self.box.shape, np.nan if values.dtype.kind == "f" else 0, dtype=values.dtype)
        whole.ravel()[self.cells["cell"].to_numpy()] = values
        found: xr.DataArray = wrap_xr(whole, self.box).rename(name)
        found.attrs["_FillValue"] = np.nan if values.dtype.kind == "f" else 0
        return found

    @property
    def ecology(self) -> xr.DataArray:
        """Ecological importance: 1 极重要, 2 重要, 3 一般, 0 not judged."""
        return self.raster("ecology")

    @property
    def farming(self) -> xr.DataArray:
        """Suitability for farming: 1 适宜, 2 一般, 3 不适宜, 0 not judged."""
        return self.raster("farming")

    @property
    def building(self) -> xr.DataArray:
        """Suitability for building: 1 适宜, 2 一般, 3 不适宜, 0 not judged."""
        return self.raster("building")

    @property
    def zoning(self) -> xr.DataArray:
        """What goes first: place in the order of the settings, one more for land of none."""
        return self.raster("zoning")

    def chance(self, output: str, code: int | None = None) -> xr.DataArray:
        """Share of draws in which each cell has a class, or the class it has; NaN where nothing is judged.

        Raises
        ------
        ParameterError
            No draws were made, or there is no such result.
        """
        made = int(self.grid["draws"])
        if made == 0 or output not in self.cells:
            raise ParameterError("no draws of this result", found=output, expected=str(self.outputs))
        size = len(self.titles(output))
        if code is None:
            own = self.cells[output].to_numpy()
            drawn = np.stack([self.cells[f"drawn.{output}.{k}"].to_numpy() for k in range(1, size + 1)])
            value = drawn[np.maximum(own, 1) - 1, np.arange(len(own))] / made
            value = np.where(own == 0, np.nan, value)
        else:
            value = self.cells[f"drawn.{output}.{code}"].to_numpy() / made
        whole = np.full(self.box.shape, np.nan, dtype=np.float32)
        whole.ravel()[self.cells["cell"].to_numpy()] = value
        found: xr.DataArray = wrap_xr(whole, self.box).rename(f"chance_{output}")
        return found

    @property
    def outputs(self) -> list[str]:
        """Names of the results: evaluations, and ``zoning``."""
        return [*(one.id for one in self.settings.evaluations), "zoning"]

    def titles(self, output: str, lang: str = "zh") -> list[str]:
        """Names of the classes of a result, class 1 first."""
        return titles_of(self.settings, output, lang)

    @cached_property
    def values(self) -> pd.DataFrame:
        """The figures as rows of the value table (``suitability.*``)."""
        return table(value_rows(self))

    @cached_property
    def roles(self) -> list[str]:
        """Layers the result rests on."""
        used = self.factors.loc[self.factors["state"].isin(["used", "proxy"]), "factor"].unique()
        found = [role_of(self.data, self.year, self.settings.factor(name)) for name in used]
        return [role for role in dict.fromkeys(found) if role in self.city.layers]

    @cached_property
    def openness(self) -> str:
        """Strictest sensitivity of these layers."""
        return highest_sensitivity(self.city.layers[role].sensitivity for role in self.roles)

    @cached_property
    def data_date(self) -> str:
        """Newest date of these layers."""
        return newest_date(self.data, self.roles, self.year)

    def save(self, folder: Path | str) -> list[Path]:
        """Write tables as Parquet, patches as GeoPackage, classes and chances as GeoTIFF."""
        from workbench.core.paths import atomic_write

        target = Path(folder)
        written = write_tables(target, {name: getattr(self, name) for name in TABLES if name != "cells"})
        if len(self.patches):
            with atomic_write(target / "conflicts.gpkg") as path:
                path.unlink()
                self.patches.to_file(path, layer="conflicts", driver="GPKG", engine="pyogrio")
            written.append(target / "conflicts.gpkg")
        rasters = {name: self.raster(name) for name in self.outputs}
        if self.grid["draws"]:
            rasters |= {f"chance_{name}": self.chance(name) for name in self.outputs}
        for name, raster in rasters.items():
            with atomic_write(target / f"{name}.tif") as path:
                path.unlink()
                raster.rio.to_raster(path, compress="deflate", tiled=True, driver="GTiff")
            written.append(target / f"{name}.tif")
        return written


def titles_of(settings: Settings, output: str, lang: str = "zh") -> list[str]:
    """Names of the classes of a result, class 1 first."""
    if output != "zoning":
        return [one.title(lang) for one in settings.evaluation(output).classes]
    names = settings.integration.titles_en if lang == "en" else settings.integration.titles_zh
    return [names[name] for name in (*settings.integration.order, "other")]


def evaluate(
    city: City | str,
    year: int | None = None,
    settings: Settings | None = None,
    *,
    data: CityData | None = None,
    use_cache: bool = True,
    say: Say | None = None,
) -> Suitability:
    """Suitability of a city's land for a year, from the cache when nothing it depends on has changed.

    Parameters
    ----------
    city : City or str
        Profile, or its name or path.
    year : int, optional
        One of the profile's ``years``; the latest when not given.
    settings : Settings, optional
        Factors, points, classes; the city's own when not given.
    data : CityData, optional
        The city's layers where they are open already.
    use_cache : bool
        Take unchanged results from the cache; either way new ones are kept there.
    say : callable, optional
        Told in words what is being computed.

    Returns
    -------
    Suitability

    Raises
    ------
    LayerMissing
        When the city has no terrain model, or an evaluation none of its factors.
    ParameterError, DefinitionError
        When the profile has no such year, or its settings do not fit.
    """
    from workbench.catalog.data import CityData

    profile = load_city(city) if isinstance(city, str) else city
    wanted = profile.check_year(int(year)) if year is not None else profile.latest_year
    layers = data or CityData(profile)
    used = settings or load_settings(profile)
    text = settings_path(profile).read_text("utf-8") if settings is None else used.model_dump_json()
    cache = StepCache()
    key = step_key(
        "suitability",
        inputs=layer_hashes(layers, profile, roles_of(used), wanted),
        parameters={"city": profile.name, "year": wanted, "profile": profile.profile_text},
        definition=stable_hash(text),
        code=code_version(),
    )
    step = f"suitability-{profile.name}"
    keys = {name: step_key(name, inputs={"suitability": key}) for name in (*TABLES, "grid")}
    found: dict[str, Any] = {name: cache.get(step, one) if use_cache else None for name, one in keys.items()}
    if any(one is None for one in found.values()):
        found = compute(profile, layers, wanted, used, say or (lambda text: None))
        for name, one in keys.items():
            cache.put(step, one, found[name])
    result = Suitability(profile, wanted, used, **found)
    result.__dict__["data"] = layers
    return result


def roles_of(settings: Settings) -> list[str]:
    """Layers the result may rest on, there or not."""
    wanted = ["dem", *(one.role for one in settings.factors), "land_use_raster", "population", "statistics"]
    return list(dict.fromkeys(wanted))


def compute(city: City, data: CityData, year: int, settings: Settings, say: Say) -> dict[str, Any]:
    """Tables of the suitability of a city and year, by name, with ``grid``."""
    ground = read_ground(city, data, year, settings, say)
    plan = make_plan(settings, ground)
    factors = factor_table(city, data, year, settings, ground)
    cells = np.flatnonzero(ground.inside)
    values = {name: one.ravel()[cells] for name, one in ground.values.items()}
    needed = {use.factor for use in plan.uses}
    counted = {name: one for name, one in values.items() if name in needed}
    say("classes")
    judged = judge(plan, counted)
    say("each threshold moved")
    moves, changes = one_at_a_time(plan, counted, judged, settings)
    say("all thresholds drawn")
    drawn = together(plan, counted, judged, settings)
    say("areas")
    zones = zones_of(city, data)
    titles = {name: titles_of(settings, name) for name in judged.classes}
    areas = zone_areas(ground, zones, cells, _with_both(judged.classes), titles | _both_title(titles))
    land = values.get("land_use")
    against, patches = _conflicts(settings, ground, zones, cells, land, values, judged)
    settled = None
    if land is not None:
        settled = land_areas(ground, zones, spread(ground, cells, land), {"settled": [SETTLED]})
    return {
        "cells": _cells(cells, judged, changes, drawn, values),
        "factors": factors,
        "areas": areas,
        "sensitivity": moves,
        "draws": draw_table(judged, drawn, titles),
        "conflicts": against,
        "patches": patches,
        "capacity": capacity(settings, data, year, zones, areas, settled),
        "findings": pd.DataFrame(ground.notes, columns=["check", "message_zh", "message_en"]),
        "grid": {
            "shape": list(ground.box.shape), "affine": list(ground.box.affine)[:6], "crs": city.crs, "draws": drawn.count,
        },
    }  # fmt: skip


def _conflicts(
    settings: Settings,
    ground: Ground,
    zones: gpd.GeoDataFrame,
    cells: Array,
    land: Array | None,
    values: dict[str, Array],
    judged: Judged,
) -> tuple[pd.DataFrame, gpd.GeoDataFrame]:
    if land is None:
        settings = settings.model_copy(update={"conflicts": ()})
        land = np.zeros(len(cells), dtype=np.uint8)
    return conflicts(settings, ground, zones, cells, land, values, judged.classes)


def _with_both(classes: dict[str, Array]) -> dict[str, Array]:
    """Results with the land fit for both farming and building, where both are judged."""
    if not {"farming", "building"} <= set(classes):
        return classes
    both = (classes["farming"] == 1) & (classes["building"] == 1)
    return {**classes, "both": both.astype(np.uint8)}


def _both_title(titles: dict[str, list[str]]) -> dict[str, list[str]]:
    return {"both": ["农业与建设均适宜"]} if {"farming", "building"} <= set(titles) else {}


def _cells(
    cells: Array, judged: Judged, changes: dict[str, Array], drawn: Draws, values: dict[str, Array]
) -> pd.DataFrame:
    columns: dict[str, Array] = {"cell": cells.astype(np.int64), **judged.classes}
    columns |= {f"moved.{name}": one for name, one in changes.items()}
    for name, counts in drawn.counts.items():
        columns |= {f"drawn.{name}.{code + 1}": one for code, one in enumerate(counts)}
    columns |= {name: values[name].astype(np.float32) for name in SHOWN if name in values}
    if "land_use" in values:
        columns["land_use"] = values["land_use"]
    return pd.DataFrame(columns)


def draw_table(judged: Judged, drawn: Draws, titles: dict[str, list[str]]) -> pd.DataFrame:
    """Share of each class over the draws.

    Returns
    -------
    DataFrame
        ``output, class, grade, share`` (percent of the cells judged, thresholds as set), ``mean, low, high`` (5 % and 95 % of
        the draws), ``sure`` (percent of the class's cells that have it in at least 95 % of the draws), ``chance`` (mean
        share of draws, percent, in which its cells have it).
    """
    rows = []
    for name, classes in judged.classes.items():
        total = max(1, int((classes != 0).sum()))
        for code, title in enumerate(titles[name], start=1):
            held = classes == code
            shares = 100 * drawn.totals[name][:, code - 1] / total
            times = drawn.counts[name][code - 1][held] / max(1, drawn.count)
            some = drawn.count > 0 and held.any()
            rows.append(
                {
                    "output": name, "class": code, "grade": title, "share": 100 * float(held.sum()) / total,
                    "mean": float(shares.mean()) if drawn.count else np.nan,
                    "low": float(np.quantile(shares, 0.05)) if drawn.count else np.nan,
                    "high": float(np.quantile(shares, 0.95)) if drawn.count else np.nan,
                    "sure": 100 * float((times >= 0.95).mean()) if some else np.nan,
                    "chance": 100 * float(times.mean()) if some else np.nan,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)
