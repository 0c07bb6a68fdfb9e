"""Forest loss and fire of a city or of image files: images and survey taken from the catalogue, results written and published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import geopandas as gpd
import numpy as np
import rasterio

from workbench.catalog import published
from workbench.core.codes import group
from workbench.core.errors import LayerMissing
from workbench.core.lineage import DIGITS
from workbench.core.paths import atomic_write
from workbench.indicators.values import highest_sensitivity
from workbench.interpretation import findings, imagery, vegetation, vegetation_patches
from workbench.interpretation.imagery import OPENNESS, Scene
from workbench.interpretation.vegetation import APART, KEPT, THIN, UNSEEN, Kind, Series
from workbench.operators.guards import same_crs
from workbench.rules.shapes import main_class

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.layer_spec import Sensitivity

ROLES: dict[str, str] = {"forest": "forest_loss", "fire": "burnt_land"}
"""Role under which the patches of each kind are published."""
GROUPS: dict[str, tuple[str, ...]] = {"forest": ("forest",), "fire": ("forest", "grass")}
"""Groups of survey classes whose parcels are judged."""
MASK_ENDING = "_cloud"
"""Ending of the name of a mask that lies beside an image file: 0 where the ground is seen."""


def city_scenes(data: CityData, year: int) -> list[Scene]:
    """Every image of a city up to a year, of all years and roles ``imagery``, ``imagery_2`` …, by date.

    Raises
    ------
    LayerMissing
        The year itself has none.
    """
    roles = imagery.image_roles(data)
    years = sorted({one for role in roles for one in data.years(role) if one < year})
    found = imagery.scenes(data, year)
    for one in years:
        try:
            found += imagery.scenes(data, one)
        except LayerMissing:
            continue
    return sorted(found, key=lambda scene: scene.date)


def file_scenes(paths: Sequence[Path], bands: Sequence[str] | None = None) -> list[Scene]:
    """Scenes of files; a mask ``<name>_cloud.tif`` beside an image is taken with it."""
    found = []
    for path in paths:
        mask = path.with_name(f"{path.stem}{MASK_ENDING}{path.suffix}")
        found.append(Scene.of_file(path, bands=bands, mask=mask if mask.exists() else None))
    return found


def of_city(
    data: CityData, year: int, kind: Kind, *, first_year: int | None = None, min_area_m2: float | None = None
) -> tuple[Series, gpd.GeoDataFrame]:
    """Forest loss or fire of a city: inside the woodland (for fire also grassland) of the last survey before, if there is one.

    Parameters
    ----------
    data : CityData
    year : int
    kind : {"forest", "fire"}
    first_year : int, optional
        Earliest year of the images compared with.
    min_area_m2 : float, optional
        Smallest patch.

    Returns
    -------
    tuple of Series and GeoDataFrame
        And its patches, whose ``before_dlbm`` is the survey's.
    """
    scenes = city_scenes(data, year)
    survey_year = max(
        (one for one in data.years("land_use") if one < year and data.has("land_use", one)), default=None
    )
    if survey_year is None:
        found = vegetation.look(scenes, year, kind=kind, first_year=first_year)
        return found, vegetation_patches.patches(found, min_area_m2=min_area_m2)
    survey = data.vector("land_use", survey_year)
    codes = frozenset[str]().union(*(group(name) for name in GROUPS[kind]))
    parcels = survey[survey["dlbm"].isin(codes)]
    words = " and ".join(GROUPS[kind])
    found = vegetation.look(
        scenes, year, kind=kind, parcels=parcels, within=f"parcels of {words} in the survey of {survey_year}", first_year=first_year
    )  # fmt: skip
    shapes = vegetation_patches.patches(found, min_area_m2=min_area_m2)
    same_crs(shapes, parcels)
    told = main_class(
        shapes.geometry.to_numpy(), parcels["dlbm"].to_numpy(object), parcels.geometry.to_numpy()
    )[0]
    return found, shapes.assign(before_dlbm=told)


def cases(data: CityData, year: int, shapes: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Suspected cases of the patches, by the rules of the city's packs and of the pack ``imagery``."""
    return findings.cases(data.city, year, shapes, data=data)


def publish(data: CityData, found: Series, shapes: gpd.GeoDataFrame) -> Path:
    """Publish patches in the catalogue of a city, no more open than the images and the survey they come from."""
    record = found.record
    open_to = [found.sensitivity if found.sensitivity in OPENNESS else OPENNESS[-1]]
    if "land_use" in data.city.layers:
        open_to.append(data.city.layers["land_use"].sensitivity)
    names = {"forest": "林地减少", "fire": "过火迹地"}
    return published.publish(
        data.city, ROLES[found.kind], found.year, shapes, source=f"影像时序({record['index'].upper()})", tier="proxy",
        sensitivity=cast("Sensitivity", highest_sensitivity(open_to)),
        inputs={name: sha256[:DIGITS] for name, sha256 in found.inputs.items()},
        properties={
            "processing:lineage": f"{record['index']} of {found.year} against the same season of earlier years, {found.within}",
            "processing:software": {"workbench": record["code"]}, "workbench:run": record,
        },
        note_zh=f"疑似{names[found.kind]}图斑,未经核实", note_en="suspected, not verified",
    )  # fmt: skip


def write(
    found: Series, shapes: gpd.GeoDataFrame, folder: Path, *, cases: gpd.GeoDataFrame | None = None
) -> list[Path]:
    """Write patches (GeoPackage and GeoParquet), table (CSV), states of all cells (GeoTIFF) and record (JSON).

    Parameters
    ----------
    found : Series
    shapes : GeoDataFrame
        Its patches.
    folder : Path
    cases : GeoDataFrame, optional
        A second layer of the GeoPackage.

    Returns
    -------
    list of Path
        What was written, each whole or not at all.
    """
    base = folder / f"{ROLES[found.kind]}_{found.year}"
    paths = [base.with_suffix(ending) for ending in (".gpkg", ".parquet", ".csv", ".tif", ".json")]
    with atomic_write(paths[0]) as temporary:
        temporary.unlink()  # the driver makes its own file
        shapes.to_file(temporary, layer="patches", driver="GPKG")
        if cases is not None and len(cases):
            _plain(cases).to_file(temporary, layer="cases", driver="GPKG", mode="a")
    with atomic_write(paths[1]) as temporary:
        shapes.to_parquet(temporary, index=False, compression="zstd")
    with atomic_write(paths[2]) as temporary:
        vegetation_patches.summary(found, shapes).to_csv(temporary, index=False, encoding="utf-8-sig")
    with atomic_write(paths[3]) as temporary:
        _write_states(found, temporary)
    with atomic_write(paths[4]) as temporary:
        temporary.write_text(json.dumps(found.record, ensure_ascii=False, indent=1), encoding="utf-8")
    return paths


def _plain(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Cases with lists as words."""
    out = frame.copy()
    for name in out.columns.difference(["geometry"]):
        listed = out[name].map(lambda value: isinstance(value, list | tuple | set))
        if listed.any():
            out[name] = [
                " ".join(map(str, value)) if told else value
                for value, told in zip(out[name], listed, strict=True)
            ]
    return out


def legend(found: Series) -> dict[int, str]:
    """What each value of the raster of states means."""
    words = {
        APART: "not judged",
        UNSEEN: "never seen clear in its season",
        THIN: "too thin to tell",
        KEPT: "as it was",
    }
    shown = {
        KEPT + k: f"lost, first shown {one.scene.date:%Y-%m-%d}"
        for k, one in enumerate(found.comparisons, start=1)
    }
    return words | shown


def _write_states(found: Series, path: Path) -> None:
    """States as a COG with a colour table and a legend in its tags."""
    rows, columns = found.state.shape
    colours = {
        APART: (0, 0, 0, 0),
        UNSEEN: (150, 150, 150, 255),
        THIN: (224, 220, 190, 255),
        KEPT: (120, 170, 120, 255),
    }
    steps = np.linspace(0, 1, max(len(found.comparisons), 1))
    colours |= {KEPT + 1 + k: (200, int(30 + 130 * one), 30, 255) for k, one in enumerate(steps)}
    with (
        rasterio.MemoryFile() as memory,
        memory.open(
            driver="GTiff", height=rows, width=columns, count=1, dtype="uint8", nodata=APART, crs=str(found.grid.crs),
            transform=found.grid.affine,
        ) as target,
    ):  # fmt: skip
        target.write(found.state, 1)
        target.write_colormap(1, colours)
        target.update_tags(1, **{f"state_{value}": words for value, words in legend(found).items()})
        rasterio.shutil.copy(target, path, driver="COG", compress="DEFLATE", overview_resampling="mode")
