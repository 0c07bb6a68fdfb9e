"""The demo city 示范市: every layer of a checkup, generated from a seed, with the truth planted beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely

from workbench.core.codes import raster_code
from workbench.core.paths import atomic_dir
from workbench.samples import truth
from workbench.samples.arterials import make_arterials
from workbench.samples.cover import CODES, OF, Cover, make_cover
from workbench.samples.dossier import make_change_patches, make_papers
from workbench.samples.fabric import Fabric, cut_in, make_fabric, parcels_of
from workbench.samples.form import Form, make_form
from workbench.samples.ground import Ground, make_ground
from workbench.samples.houses import make_buildings
from workbench.samples.people import make_bus_stops, make_parks, make_population
from workbench.samples.planning import Plan, make_plan
from workbench.samples.planting import Patch, make_patches
from workbench.samples.plots import make_plots
from workbench.samples.quotas import write_quotas
from workbench.samples.sensor import DATES, Scene, lasting_texture, make_image, paved, plot_tone
from workbench.samples.services import make_facilities
from workbench.samples.space import CRS, TRANSFORM, YEARS, Array, N, burn, burn_values, sample
from workbench.samples.streets import Streets, make_streets
from workbench.samples.tables import make_flows, make_statistics

log = logging.getLogger(__name__)

DISTRICTS = ("江北区", "江南区", "云岭县", "东湖区", "南浦区", "西溪区")
DISTRICTS_EN = ("Jiangbei", "Jiangnan", "Yunling", "Donghu", "Nanpu", "Xixi")
DISTRICT_CODES = np.array([f"9901{k + 1:02d}" for k in range(6)])
IMAGE_YEARS = (2024, 2025)
Step = Callable[[str, float], None]


@dataclass(frozen=True)
class Land:
    """What all layers are made from."""

    ground: Ground
    form: Form
    streets: Streets
    cover: Cover
    fabric: Fabric
    whole: Fabric
    plan: Plan
    patches: list[Patch]
    unit_codes: Array
    unit_district: Array
    unit_names: Array


def make_land(seed: int) -> Land:
    """Ground, streets, parcels' fabric, planning lines and planted patches for one seed."""
    ground = make_ground(seed)
    arterials = make_arterials(seed, ground)
    form = make_form(seed, ground, arterials)
    streets = make_streets(seed, ground, form, arterials)
    cover, parents = make_cover(seed, ground, form, streets)
    serial = pd.Series(parents).groupby(parents).cumcount().to_numpy() + 1
    codes = np.array([f"{DISTRICT_CODES[p - 1]}{k:03d}" for p, k in zip(parents, serial, strict=True)])
    names = np.array([f"{DISTRICTS[p - 1][:2]}{k:02d}单元" for p, k in zip(parents, serial, strict=True)])
    whole = make_fabric(cover)
    plan = make_plan(seed, ground, form, arterials.old_ring, whole, names)
    patches = make_patches(seed, whole, plan)
    fabric = cut_in(
        whole,
        np.array([patch.shape for patch in patches], dtype=object),
        np.array([OF[patch.after] for patch in patches]),
        np.full(len(patches), 3),
    )
    return Land(
        ground, form, streets, cover, fabric, whole, plan, patches, codes, DISTRICT_CODES[parents - 1], names
    )


def zone_layers(land: Land) -> dict[str, gpd.GeoDataFrame]:
    """Districts, planning units and scopes: unions of the fabric's pieces, so they share all borders."""
    shapes, unit = land.whole.shapes, land.whole.unit
    units = [shapely.coverage_union_all(shapes[unit == k + 1]) for k in range(len(land.unit_codes))]
    frame = gpd.GeoDataFrame(
        {"code": land.unit_codes, "name": land.unit_names, "district": land.unit_district},
        geometry=units,
        crs=CRS,
    )
    outlines = [shapely.union_all(np.array(units)[land.unit_district == code]) for code in DISTRICT_CODES]
    districts = gpd.GeoDataFrame(
        {"code": DISTRICT_CODES, "name": DISTRICTS, "name_en": DISTRICTS_EN}, geometry=outlines, crs=CRS
    )
    whole = shapely.union_all(outlines)
    inner = shapely.set_precision(land.form.city, 0.01)
    wider = land.form.city.buffer(1100).buffer(-350).simplify(25)
    scopes = gpd.GeoDataFrame(
        {"scope": ["市域", "城区", "中心城区"]},
        geometry=[whole, inner, shapely.set_precision(wider, 0.01)],
        crs=CRS,
    )
    return {"districts": districts, "units": frame, "scopes": scopes}


def revise(land_use: gpd.GeoDataFrame, seed: int) -> gpd.GeoDataFrame:
    """Second edition of a year: some orchards and ponds of the first are found to be cropland, and ridges remeasured."""
    revised = land_use.copy()
    rng = np.random.default_rng([seed, 2024])
    dry = revised["dlbm"].isin(["0102"])
    revised.loc[dry, "net_area_m2"] = (revised.loc[dry, "net_area_m2"] * 0.985).round(2)
    some = np.flatnonzero(revised["dlbm"] == "0103")
    some = rng.choice(some, min(12, len(some)), replace=False)
    revised.loc[revised.index[some], "dlbm"] = "0102"
    return revised


def write_vector(frame: gpd.GeoDataFrame, folder: Path, name: str) -> None:
    """One layer as GeoParquet."""
    frame.to_parquet(folder / f"{name}.parquet", compression="zstd")


def write_raster(
    values: Array, path: Path, *, names: tuple[str, ...] = (), nodata: float | None = None
) -> None:
    """Raster (bands, N, N) or (N, N) as a tiled GeoTIFF with overviews (COG)."""
    bands = values if values.ndim == 3 else values[None]
    profile: dict[str, Any] = {
        "driver": "COG", "width": N, "height": N, "count": len(bands), "dtype": bands.dtype.name, "crs": CRS,
        "transform": TRANSFORM, "compress": "DEFLATE", "blocksize": 512, "num_threads": 2, "level": 1,
        "predictor": "NO" if bands.dtype == np.uint8 else "YES", "nodata": nodata,
        "overview_resampling": "nearest" if bands.dtype == np.uint8 else "average",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(bands)
        for index, name in enumerate(names):
            target.set_band_description(index + 1, name)


def burn_codes(land_use: gpd.GeoDataFrame) -> Array:
    """Land-use raster of a year from its parcels, index into CODES, uint8; a cell is what lies at its centre."""
    numbers = land_use["dlbm"].map(OF).to_numpy()
    values = burn_values(land_use.geometry.to_numpy(), numbers)
    return values.astype(np.uint8)


def people_by_district(
    population: dict[int, gpd.GeoDataFrame], land: Land, zones: dict[str, Any]
) -> dict[int, Any]:
    """Population, urban population and people over 60 by district and year; urban lives in city and towns."""
    tree = shapely.STRtree(zones["districts"].geometry.to_numpy())
    settled = shapely.union_all([land.form.city, *land.form.towns])
    shapely.prepare(settled)
    found = {}
    for year, cells in population.items():
        points = cells.geometry.to_numpy()
        where = np.full(len(cells), -1)
        hits = tree.query(points, predicate="intersects")
        where[hits[0]] = hits[1]
        table = pd.DataFrame(
            {
                "code": DISTRICT_CODES[where],
                "population": cells["population"],
                "urban": cells["population"] * shapely.intersects(settled, points),
                "age_60": cells["age_60"],
            }
        )
        found[year] = table.groupby("code").sum().reindex(DISTRICT_CODES)
    return found


def _write_land(
    land: Land, zones: dict[str, Any], out: Path, seed: int
) -> tuple[dict[int, gpd.GeoDataFrame], dict[int, Array]]:
    """Write zones, lines, land use and papers; parcels and code rasters by year."""
    for name, frame in (zones | land.plan.lines).items():
        write_vector(frame, out, name)
    numbers = np.array([0] + [raster_code(code) for code in CODES[1:]], dtype=np.uint8)
    parcels, codes = {}, {}
    for year in YEARS:
        parcels[year] = parcels_of(land.fabric, year, land.unit_codes, land.unit_district)
        write_vector(parcels[year], out, f"land_use_{year}")
        codes[year] = burn_codes(parcels[year])
        write_raster(numbers[codes[year]], out / f"land_use_raster_{year}.tif", nodata=0)
    revised = revise(parcels[2024], seed)
    write_vector(revised, out, "land_use_2024_revised")
    write_raster(land.ground.dem, out / "dem.tif", nodata=-9999.0)
    write_vector(make_plots(seed, parcels[2025], land.plan.boundary), out, "plots")
    projects, permits = make_papers(seed, land.fabric, land.patches, land.unit_names)
    write_vector(projects, out, "projects")
    write_vector(permits, out, "permits")
    write_vector(make_change_patches(land.fabric, land.patches), out, "change_patches_2025")
    return parcels, codes


def standing(houses: gpd.GeoDataFrame, year: int) -> gpd.GeoDataFrame:
    """Buildings completed by the end of a year."""
    found: gpd.GeoDataFrame = houses[houses["completed"] < f"{year + 1}-01-01"].reset_index(drop=True)
    return found


def _write_people(
    land: Land, zones: dict[str, Any], parcels: dict[int, Any], houses: gpd.GeoDataFrame, out: Path, seed: int
) -> None:
    streets = land.streets
    for name, frame in (
        ("roads", streets.roads), ("rail_lines", streets.rail), ("rail_stations", streets.stations),
        ("bus_stops", make_bus_stops(seed, streets)), ("parks", make_parks(parcels[2025])),
    ):  # fmt: skip
        write_vector(frame, out, name)
    population = make_population(seed, land.ground, land.cover, land.unit_district)
    for year, cells in population.items():
        write_vector(cells, out, f"population_{year}")
    district = np.r_[0, np.unique(land.unit_district, return_inverse=True)[1]][land.cover.unit]
    sites = make_facilities(seed, population[2025], parcels[2025], land.form, district)
    write_vector(sites, out, "facilities")
    for year in IMAGE_YEARS:
        write_vector(standing(houses, year), out, f"buildings_{year}")
    middle = shapely.get_coordinates(shapely.centroid(zones["units"].geometry.to_numpy()))
    for year in YEARS:
        xy = shapely.get_coordinates(population[year].geometry.to_numpy())
        unit = sample(land.cover.unit, xy[:, 0], xy[:, 1]) - 1
        people = np.bincount(unit, population[year]["population"], minlength=len(middle))
        make_flows(seed, year, people, middle, land.unit_codes).to_parquet(out / f"od_flows_{year}.parquet")
    tables = make_statistics(seed, people_by_district(population, land, zones))
    tables.to_parquet(out / "statistics.parquet")


def write_revised_definition(out: Path) -> None:
    """One definition that was revised: the river and lake ratio once counted reservoirs too."""
    pd.DataFrame(
        {
            "indicator": ["TJ-A07"],
            "version_before": ["0"],
            "version_after": ["1"],
            "valid_from": ["2025-01-01"],
            "codes_before": ["1101,1102,1103"],
            "codes_after": ["1101,1102"],
            "note_zh": ["河湖水面率不再计入水库水面"],
            "note_en": ["reservoirs no longer count in the river and lake surface ratio"],
        }
    ).to_parquet(out / "definition_revisions.parquet")


def _write_images(
    land: Land, codes: dict[int, Array], houses: gpd.GeoDataFrame, out: Path, seed: int, step: Step
) -> None:
    texture = lasting_texture(seed)
    cover = land.cover
    for year in IMAGE_YEARS:
        key = np.where(cover.since <= year, cover.built_key + (1 << 42), cover.rural_key)
        tone = np.where(paved(codes[year]), np.float32(0), plot_tone(key))
        scene = Scene(codes[year], tone, burn(standing(houses, year).geometry.to_list()))
        for number in range(1, len(DATES) + 1):
            step(f"imagery {year}-{DATES[number - 1]}", 0.5 + 0.2 * (year == 2025) + 0.06 * number)
            image = make_image(seed, year, number, scene, land.ground, texture)
            name = f"imagery_{year}_{number}"
            write_raster(image.bands, out / f"{name}.tif", names=("blue", "green", "red", "nir"), nodata=0)
            write_raster(image.cloud, out / f"{name}_cloud.tif", names=("cloud",))


def build(out_dir: Path, seed: int = 20250, progress: Step | None = None) -> Path:
    """Write all layers of the demo city, and the truth beside them.

    Parameters
    ----------
    out_dir : Path
        Folder to make; replaced when it exists, and never left half written.
    seed : int
        The same seed gives the same bytes on one machine.
    progress : callable, optional
        Called with the name of each step and the share done.

    Returns
    -------
    Path
        ``out_dir``, with ``<role>.parquet``, ``<role>_<year>.parquet``, ``dem.tif``,
        ``land_use_raster_<year>.tif``, ``imagery_<year>_<n>.tif`` with ``…_cloud.tif``, and ``truth/``.
    """

    def step(name: str, share: float) -> None:
        log.info("demo city: %s", name)
        if progress is not None:
            progress(name, share)

    with atomic_dir(Path(out_dir)) as folder:
        step("land", 0.0)
        land = make_land(seed)
        step("layers", 0.35)
        zones = zone_layers(land)
        parcels, codes = _write_land(land, zones, folder, seed)
        step("people", 0.5)
        houses = make_buildings(seed, land.ground, parcels[2025], land.cover, land.patches)
        with ThreadPoolExecutor(1) as images:
            waiting = images.submit(_write_images, land, codes, houses, folder, seed, step)
            _write_people(land, zones, parcels, houses, folder, seed)
            write_revised_definition(folder)
            truth.write_truth(folder, land.patches, land.fabric, land.unit_district)
            write_quotas(folder, seed, parcels[2025], land.fabric, zones["units"], land.plan.boundary)
            waiting.result()
        step("done", 1.0)
    return Path(out_dir)
