"""The generated city: valid, connected, consistent, and as hard to classify as it should be."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from workbench.core.city import load_city
from workbench.core.codes import code_of, match, raster_code
from workbench.samples.cover import CODES
from workbench.samples.sensor import class_of_codes
from workbench.samples.truth import TOLERANCE_M2

SEED = 7


@pytest.fixture(scope="module")
def city(demo_home):
    return demo_home(SEED) / "city"


def vector(city, name):
    return gpd.read_parquet(city / f"{name}.parquet")


def test_every_layer_of_the_profile_is_written(city):
    for role, spec in load_city("demo").layers.items():
        for year in spec.years or (None,):
            for edition in spec.editions_of(year):
                assert spec.file(city, year, edition).exists(), (role, year, edition)
            for asset in spec.assets.values():
                assert (city / asset.replace("{year}", str(year))).exists()


@pytest.mark.parametrize("year", [2014, 2019, 2024, 2025])
def test_parcels_tile_the_city_and_agree_with_the_raster(city, year):
    land = vector(city, f"land_use_{year}")
    assert 5_000 <= len(land) <= 27_000
    assert land.is_valid.all()
    assert land.area.sum() == pytest.approx(4e8, rel=1e-9)
    assert shapely.union_all(land.geometry.to_numpy()).area == pytest.approx(4e8, rel=1e-9)
    with rasterio.open(city / f"land_use_raster_{year}.tif") as source:
        raster, corner = source.read(1), source.transform
    assert (raster > 0).all()
    middle = shapely.get_coordinates(land.representative_point().to_numpy())[::37]
    row = ((corner.f - middle[:, 1]) // 10).astype(int)
    column = ((middle[:, 0] - corner.c) // 10).astype(int)
    centre = shapely.points(corner.c + column * 10 + 5.0, corner.f - row * 10 - 5.0)
    shapes, codes = land.geometry.to_numpy()[::37], land["dlbm"].to_numpy()[::37]
    inside = shapely.contains_properly(shapes, centre)
    assert inside.sum() > 200
    assert [raster_code(c) for c in codes[inside]] == raster[row, column][inside].tolist()
    share = np.bincount(raster.ravel(), minlength=256) / raster.size
    for code, area in land.area.groupby(land["dlbm"]).sum().items():
        assert share[raster_code(code)] == pytest.approx(area / 4e8, abs=0.002)


def test_unchanged_borders_are_equal_between_the_years(city):
    before, after = vector(city, "land_use_2024"), vector(city, "land_use_2025")
    start = before[~match(before["dlbm"], "construction")]
    end = after[match(after["dlbm"], "construction")].reset_index(drop=True)
    new = shapely.union_all(start.geometry.to_numpy()).intersection(
        shapely.union_all(end.geometry.to_numpy())
    )
    patches = shapely.union_all(vector(city, "change_patches_2025").geometry.to_numpy())
    assert new.symmetric_difference(patches).area < 1.0


def test_walkable_roads_are_one_graph_with_exact_ends(city):
    roads = vector(city, "roads")
    walk = roads.geometry[roads["walkable"]].to_numpy()
    ends = np.r_[
        shapely.get_coordinates(shapely.get_point(walk, 0)),
        shapely.get_coordinates(shapely.get_point(walk, -1)),
    ]
    _, node = np.unique(ends, axis=0, return_inverse=True)
    node = node.ravel()
    half = len(walk)
    graph = coo_matrix((np.ones(half), (node[:half], node[half:])), shape=(node.max() + 1,) * 2)
    assert connected_components(graph, directed=False)[0] == 1
    assert len(walk) > 2500
    crossing = shapely.STRtree(walk).query(walk, predicate="crosses")
    assert crossing.shape[1] == 0


def test_zones_nest_and_people_add_up(city):
    districts, units = vector(city, "districts"), vector(city, "units")
    assert len(districts) == 6
    assert 30 <= len(units) <= 45
    assert districts.area.sum() == pytest.approx(4e8, rel=1e-9)
    for code, inner in units.dissolve("district").geometry.items():
        outer = districts.set_index("code").geometry[code]
        assert inner.symmetric_difference(outer).area < 1.0
    table = pd.read_parquet(city / "statistics.parquet")
    for year in (2014, 2019, 2024, 2025):
        cells = vector(city, f"population_{year}")
        assert (cells[["age_0_14", "age_15_59", "age_60"]].sum(axis=1) == cells["population"]).all()
        rows = table[(table["item"] == "population_1e4") & (table["year"] == year)].set_index("zone")["value"]
        assert rows["city"] == pytest.approx(cells["population"].sum() / 1e4, abs=1e-4)
        assert rows.drop("city").sum() == pytest.approx(rows["city"], abs=1e-3)


def test_plant_holds_every_kind(city):
    plant = gpd.read_parquet(city / "truth" / "violations.parquet")
    assert set(plant["line"]) == {"permanent_farmland", "ecological_red_line", "development_boundary"}
    assert set(plant["permit_state"]) == {"无", "已批", "过期", "批少占多", "未批先建"}
    assert set(plant["kind"]) == {"plain", "small", "sliver"}
    own = plant[plant["line"] == plant["host"]]
    assert (own["reported"] == (own["kind"] == "plain")).all()
    assert (plant["reported"] == (plant["area_m2"] >= TOLERANCE_M2)).all()
    assert plant.loc[plant["reported"], "area_m2"].min() > 400
    assert own["patch"].nunique() >= 22
    dated = plant[plant["host"].isin(["ended", "future"]) & (plant["line"] == "permanent_farmland")]
    assert len(dated) == 2
    assert (dated["area_m2"] == 0).all()


def test_nothing_but_the_plant_breaks_a_line(city):
    patches = vector(city, "change_patches_2025").geometry.to_numpy()
    planted = gpd.read_parquet(city / "truth" / "violations.parquet").geometry.to_numpy()
    others = [p for p in patches if not shapely.intersects(planted, p).any()]
    assert len(others) > 20
    boundary = shapely.union_all(vector(city, "development_boundary").geometry.to_numpy())
    for role in ("permanent_farmland", "ecological_red_line"):
        line = shapely.union_all(vector(city, role).geometry.to_numpy())
        assert shapely.area(shapely.intersection(others, line)).max() < 1e-3
    assert shapely.area(shapely.difference(others, boundary)).max() < 1e-3


def test_truth_values_are_plausible_and_restated(city):
    values = json.loads((city / "truth" / "values.json").read_text())
    assert len(values) >= 38
    for name, by_level in values.items():
        for years in by_level["city"].values():
            for value in years.values():
                assert np.isfinite(value), name
    stock = values["TJ-A11"]["city"]["demo"]
    assert stock["2024"] != stock["2024@original"]
    for name in ("TJ-F10", "TJ-F13", "TJ-F05", "TJ-F26", "SDG-11.2.1"):
        assert 15 < values[name]["city"]["demo"]["2025"] < 98
    red = values["TJ-A13"]["city"]["demo"]
    assert red["2025"] > red["2024"]  # a part was approved in 2025
    lake = values["TJ-A07"]["city"]["demo"]
    assert lake["2025@definition:0"] > lake["2025"]


def test_the_city_has_fingers_and_its_boundary_is_wider(city):
    scopes = vector(city, "scopes").set_index("scope").geometry
    urban, boundary = (
        scopes["城区"],
        shapely.union_all(vector(city, "development_boundary").geometry.to_numpy()),
    )
    compact = 4 * np.pi * urban.area / urban.length**2
    assert 0.12 < compact < 0.55  # a disc has 1
    assert boundary.buffer(1).covers(urban)
    assert 1.15 < boundary.area / urban.area < 1.7
    built = {}
    for year in (2014, 2019, 2024, 2025):
        land = vector(city, f"land_use_{year}")
        built[year] = land.area[land["czcsxm"].str.startswith("201")].sum()
    assert built[2014] < built[2019] < built[2024] < built[2025] < 1.45 * built[2014]


def test_figures_are_those_of_a_city_of_this_size(city):
    values = json.loads((city / "truth" / "values.json").read_text())
    now = {name: by_level["city"]["demo"]["2025"] for name, by_level in values.items()}
    assert 18 < now["TJ-C05"] < 30
    assert 15 < now["TJ-F06"] < 60
    for name in ("TJ-F10", "TJ-F13", "TJ-F14", "TJ-F15", "TJ-F17", "TJ-F18", "TJ-F21", "TJ-F26"):
        assert 50 < now[name] < 92, name
    table = pd.read_parquet(city / "statistics.parquet").query("year == 2025 and edition == 'original'")
    item = table.pivot(index="zone", columns="item", values="value")
    assert 72 < 100 * item["population_urban_1e4"]["city"] / item["population_1e4"]["city"] < 90
    for name in set(item.columns) - {"population_1e4"}:
        assert item[name].drop("city").sum() == pytest.approx(item[name]["city"], rel=1e-3), name
    for name in ("water_use_1e8_m3", "beds_medical", "beds_elderly", "patents"):
        head = (item[name] / item["population_1e4"]).drop("city")
        assert head.std() / head.mean() > 0.05, name
    research = item["rd_1e8_cny"] / item["gdp_1e8_cny"]
    assert research.drop("city").nunique() == 6


@pytest.mark.parametrize("year", [2014, 2019, 2024, 2025])
def test_journeys_reach_other_cities(city, year):
    flows = pd.read_parquet(city / f"od_flows_{year}.parquet")
    units = set(vector(city, "units")["code"])
    here, there = flows["origin"].isin(units), flows["destination"].isin(units)
    assert (here | there).all()
    assert (here & there).any()
    assert (here & ~there).any()
    assert (~here & there).any()
    values = json.loads((city / "truth" / "values.json").read_text())
    if year >= 2024:
        crossing = flows["people"][here != there].sum() / 1e4
        assert values["TJ-E06"]["city"]["demo"][str(year)] == pytest.approx(crossing, rel=1e-12)


def test_rivers_run_downhill(city):
    with rasterio.open(city / "dem.tif") as source:
        dem = source.read(1)
    with rasterio.open(city / "land_use_raster_2025.tif") as source:
        river = source.read(1) == raster_code("1101")
    north, south = dem[:200][river[:200]], dem[-200:][river[-200:]]
    assert north.mean() > south.mean()
    assert dem.max() > 200
    assert dem[river].max() < 40


def _likelihood_accuracy(city, year, number):
    step = (slice(None, None, 3),) * 2
    with rasterio.open(city / f"imagery_{year}_{number}.tif") as source:
        assert source.descriptions == ("blue", "green", "red", "nir")
        bands = source.read()[(slice(None), *step)].astype(float)
    with rasterio.open(city / f"imagery_{year}_{number}_cloud.tif") as source:
        clear = source.read(1)[step] == 0
    classes = dict(zip(CODES, class_of_codes(), strict=True))
    table = np.array([classes.get(code_of(k), 255) for k in range(256)])
    with rasterio.open(city / f"land_use_raster_{year}.tif") as source:
        truth = table[source.read(1)][step]
    row, column = np.indices(truth.shape)
    west = (row // 40 + column // 40) % 2 == 0
    train, test = (clear & west).ravel(), (clear & ~west).ravel()
    pixels, truth = bands.reshape(4, -1).T, truth.ravel()
    scores = []
    for k in range(6):
        mine = pixels[train & (truth == k)]
        away = pixels[test] - mine.mean(axis=0)
        spread = np.cov(mine.T)
        scores.append(
            np.log(len(mine) / train.sum())
            - 0.5 * np.linalg.slogdet(spread)[1]
            - 0.5 * np.einsum("ij,jk,ik->i", away, np.linalg.inv(spread), away)
        )
    return float((np.argmax(scores, axis=0) == truth[test]).mean())


@pytest.mark.parametrize("year", [2024, 2025])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_images_are_neither_trivial_nor_hopeless(city, year, number):
    assert 0.70 <= _likelihood_accuracy(city, year, number) <= 0.88
