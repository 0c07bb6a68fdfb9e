"""A faulty delivery made from the demo city: what was spoiled is known, so a quality check can be held against it.

Each fault is planted on parcels of its own, away from those of the others, so that it has one finding and no more.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core.codes import survey_codes
from workbench.core.errors import ParameterError
from workbench.core.paths import atomic_dir, atomic_write

YEAR = 2025
"""Year of the land survey that is spoiled."""
SHIFTED = ("parks", "green_line", "permanent_farmland")
"""Layers of which one is shifted."""
APART_M = 250.0
"""Least distance of two spoiled parcels' outlines."""
TRUTH = "faults.parquet"
COLUMNS = ["fault", "role", "year", "check", "feature", "measured", "unit", "geometry"]
"""Columns of the truth: what was planted, the check that must find it, the feature it must name (``""`` where the place
decides), what must be measured."""


@dataclass
class _Delivery:
    """The layers being spoiled, and what was done to them."""

    folder: Path
    rng: np.random.Generator
    land: gpd.GeoDataFrame
    free: list[int]
    """Parcels that may be spoiled, in the order they are taken."""
    taken: list[Any] = field(default_factory=list)
    added: list[dict[str, Any]] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)

    def note(
        self, fault: str, check: str, feature: str, shape: Any, measured: float = math.nan, unit: str = "",
        *, role: str = "land_use", year: int | None = YEAR,
    ) -> None:  # fmt: skip
        """Record a fault."""
        self.truth.append(
            dict(zip(COLUMNS, (fault, role, year, check, feature, measured, unit, shape), strict=True))
        )

    def parcels(self, count: int) -> Iterator[int]:
        """Rows of parcels that lie away from all that were taken before."""
        for _ in range(count):
            while self.free:
                row = self.free.pop()
                shape = self.land.geometry.iloc[row]
                if not self.taken or shapely.distance(shape, np.array(self.taken)).min() > APART_M:
                    self.taken.append(shape)
                    yield row
                    break
            else:
                raise ParameterError("the city is too small for so many faults", found=len(self.taken))

    def reshape(self, row: int, shape: Any) -> None:
        """Give a parcel another shape, and state its area."""
        self.land.loc[row, "geometry"] = shape
        self.state(row, shape.area)

    def state(self, row: int, area: float) -> None:
        """State another area of a parcel; the net area keeps its share."""
        share = self.land.loc[row, "net_area_m2"] / self.land.loc[row, "area_m2"]
        self.land.loc[row, "area_m2"] = round(area, 2)
        self.land.loc[row, "net_area_m2"] = round(area * share, 2)

    def add(self, row: int, shape: Any, key: str) -> None:
        """Another parcel with the attributes of one there is."""
        like = self.land.loc[row].to_dict()
        share = like["net_area_m2"] / like["area_m2"]
        area = round(shape.area, 2)
        more = {"parcel_id": key, "geometry": shape, "area_m2": area, "net_area_m2": round(area * share, 2)}
        self.added.append({**like, **more})

    def delivered(self) -> gpd.GeoDataFrame:
        """The spoiled survey: without what is gone, with what was added."""
        added = gpd.GeoDataFrame(pd.DataFrame(self.added, columns=self.land.columns), crs=self.land.crs)
        return gpd.GeoDataFrame(pd.concat([self.land.drop(index=self.gone), added], ignore_index=True))

    def key(self, row: int) -> str:
        """Name of a parcel."""
        return str(self.land.loc[row, "parcel_id"])


def _gaps(made: _Delivery) -> None:
    """Parcels left out, and notches between parcels."""
    for row in made.parcels(2):
        made.gone.append(row)
        shape = made.land.geometry.iloc[row]
        made.note("gap", "tp_gap", "", shape, shape.area, "m2")
    for row in made.parcels(3):
        shape = made.land.geometry.iloc[row]
        edge = shape.exterior.interpolate(float(made.rng.uniform(0.2, 0.8)), normalized=True)
        notch = shape & edge.buffer(float(made.rng.uniform(3.0, 8.0)), quad_segs=3)
        notch = max(shapely.get_parts(notch), key=lambda part: part.area)
        made.reshape(row, shape - notch)
        made.note("gap", "tp_gap", "", notch, notch.area, "m2")


def _overlaps(made: _Delivery) -> None:
    """Parcels that reach into a neighbour."""
    tree = shapely.STRtree(made.land.geometry.to_numpy())
    for row in made.parcels(4):
        shape = made.land.geometry.iloc[row]
        near = [int(k) for k in tree.query(shape, predicate="intersects") if k != row]
        width = float(made.rng.uniform(0.5, 3.0))
        shared = [(shape.intersection(made.land.geometry.iloc[k]).length, k) for k in near]
        other = max(shared)[1]
        neighbour = made.land.geometry.iloc[other]
        strip = max(
            shapely.get_parts(shape.buffer(width, join_style="mitre") & neighbour), key=lambda p: p.area
        )
        made.reshape(row, shapely.union(shape, strip))
        names = sorted((made.key(row), made.key(other)))
        made.note("overlap", "tp_overlap", "|".join(names), strip, strip.area, "m2")


def _slivers(made: _Delivery) -> None:
    """Strips under a metre wide cut off parcels as parcels of their own."""
    planted = 0
    for number, row in enumerate(made.parcels(40)):
        shape = made.land.geometry.iloc[row]
        left, bottom, right, top = shape.bounds
        at = left + (right - left) * float(made.rng.uniform(0.3, 0.7))
        strip = shape & shapely.box(at, bottom - 1, at + float(made.rng.uniform(0.3, 0.8)), top + 1)
        if strip.geom_type != "Polygon" or strip.area < 5:
            continue
        made.reshape(row, shape - strip)
        key = f"{YEAR}9{number:05d}"
        made.add(row, strip, key)
        made.note("sliver", "tp_sliver", key, strip, 2 * strip.area / strip.length, "m")
        planted += 1
        if planted == 3:
            return


def _attributes(made: _Delivery) -> None:
    """Codes that do not exist, fields left empty, identifiers used twice, parcels registered twice."""
    wrong = ("0199", "9999", "01A1", "77")
    assert not set(wrong) & set(survey_codes().index)
    for row, code in zip(made.parcels(len(wrong)), wrong, strict=True):
        made.land.loc[row, "dlbm"] = code
        made.note("wrong_code", "at_land_class", made.key(row), made.land.geometry.iloc[row])
    for row in made.parcels(2):
        made.land.loc[row, "czcsxm"] = "209"
        made.note("wrong_code", "at_town_attribute", made.key(row), made.land.geometry.iloc[row])
    for row in made.parcels(3):
        made.land.loc[row, "dlbm"] = ""
        made.note("missing_attribute", "cp_missing_values", made.key(row), made.land.geometry.iloc[row])
    pair = list(made.parcels(2))
    made.land.loc[pair[1], "parcel_id"] = made.key(pair[0])
    made.note(
        "repeated_code", "at_repeated_key", made.key(pair[0]), made.land.geometry.iloc[pair[1]], 2.0, "count"
    )
    for number, row in enumerate(made.parcels(2)):
        shape, key = made.land.geometry.iloc[row], f"{YEAR}8{number:05d}"
        made.add(row, shape, key)
        made.note("duplicate", "tp_duplicate", f"{made.key(row)}|{key}", shape, shape.area, "m2")


def _map_and_table(made: _Delivery) -> None:
    """Stated areas and districts that are not those of the shape."""
    for row in made.parcels(4):
        drawn = made.land.geometry.iloc[row].area
        made.state(row, drawn * float(made.rng.choice([0.55, 0.8, 1.15, 1.6])))
        stated = float(made.land.loc[row, "area_m2"])
        made.note(
            "map_table", "mt_stated_area", made.key(row), made.land.geometry.iloc[row], stated - drawn, "m2"
        )
    codes = sorted(made.land["district"].unique())
    for row in made.parcels(2):
        others = [code for code in codes if code != made.land.loc[row, "district"]]
        made.land.loc[row, "district"] = str(made.rng.choice(others))
        made.note("map_table", "mt_stated_district", made.key(row), made.land.geometry.iloc[row])


def _other_layers(made: _Delivery) -> None:
    """A layer shifted as a whole, facilities without a kind, a total of the statistics that is not its parts'."""
    role = str(made.rng.choice(SHIFTED))
    length, angle = float(made.rng.uniform(8.0, 120.0)), float(made.rng.uniform(0, 2 * math.pi))
    layer = gpd.read_parquet(made.folder / f"{role}.parquet")
    layer["geometry"] = layer.geometry.translate(length * math.cos(angle), length * math.sin(angle))
    _replace(made.folder / f"{role}.parquet", layer.to_parquet)
    where = shapely.box(*layer.total_bounds)
    made.note("shifted_layer", "mb_displaced_zones", "*", where, length, "m", role=role, year=None)
    sites = gpd.read_parquet(made.folder / "facilities.parquet")
    for row in made.rng.choice(len(sites), 2, replace=False):
        sites.loc[row, "kind"] = ""
        made.note(
            "missing_attribute", "cp_missing_values", str(sites.loc[row, "facility_id"]), sites.geometry.iloc[row],
            role="facilities", year=None,
        )  # fmt: skip
    _replace(made.folder / "facilities.parquet", sites.to_parquet)
    table = pd.read_parquet(made.folder / "statistics.parquet")
    named = table["item"].isin(["patents", "beds_medical", "students_higher", "water_use_1e8_m3"])
    whole = table[named & (table["zone"] == "city") & (table["edition"] == "original")]
    latest = whole[whole["year"] == whole["year"].max()]
    row = int(made.rng.choice(latest.index.to_numpy()))
    before = float(table["value"].loc[row])
    table.loc[row, "value"] = before * 1.2
    name = f"{table['item'].loc[row]}-{table['year'].loc[row]}"
    made.note("map_table", "cs_sum_of_zones", name, None, -0.2 * before, "", role="statistics", year=None)
    _replace(made.folder / "statistics.parquet", table.to_parquet)


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file anew; one that shares its bytes with the sound city's is left alone."""
    with atomic_write(path) as temporary:
        write(temporary)


def _link(source: str, target: str) -> None:
    """Second name of a file where the file system has such, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def plant_faults(city_folder: Path, seed: int, *, out: Path | None = None) -> gpd.GeoDataFrame:
    """Make a faulty delivery from the layers of a demo city, and say what is wrong with it.

    Parameters
    ----------
    city_folder : Path
        Folder that :func:`workbench.samples.demo.build` made.
    seed : int
        The same seed spoils the same city in the same way.
    out : Path, optional
        Folder of the delivery, replaced when it exists; the city itself is spoiled when not given.

    Returns
    -------
    GeoDataFrame
        Columns :data:`COLUMNS`, one row a fault; also in ``truth/faults.parquet`` of the delivery.

    Raises
    ------
    ParameterError
        The city has too few parcels to keep the faults apart.
    """
    if out is None:
        return _plant(Path(city_folder), seed)
    with atomic_dir(Path(out)) as folder:
        shutil.copytree(city_folder, folder, dirs_exist_ok=True, copy_function=_link)
        return _plant(folder, seed)


def _plant(folder: Path, seed: int) -> gpd.GeoDataFrame:
    rng = np.random.default_rng([seed, 404])
    path = folder / f"land_use_{YEAR}.parquet"
    land = gpd.read_parquet(path).reset_index(drop=True)
    shapes = land.geometry.to_numpy()
    outline = shapely.union_all(gpd.read_parquet(folder / "districts.parquet").geometry.to_numpy()).boundary
    simple = (shapely.get_type_id(shapes) == 3) & (shapely.get_num_interior_rings(shapes) == 0)
    sized = (land["area_m2"] > 2500) & (land["area_m2"] < 60_000)
    inner = shapely.distance(shapes, outline) > 50
    compact = 4 * math.pi * shapely.area(shapes) / shapely.length(shapes) ** 2 > 0.5
    free = np.flatnonzero(simple & sized.to_numpy() & inner & compact)
    made = _Delivery(folder, rng, land, [int(row) for row in rng.permutation(free)])
    for plant in (_gaps, _overlaps, _slivers, _attributes, _map_and_table, _other_layers):
        plant(made)
    _replace(path, lambda target: made.delivered().to_parquet(target, compression="zstd"))
    truth = pd.DataFrame(made.truth, columns=COLUMNS).astype({"year": "Int64"})
    found = gpd.GeoDataFrame(truth, geometry="geometry", crs=land.crs)
    _replace(folder / "truth" / TRUTH, found.to_parquet)
    return found
