"""Land changes told by hand: fields that became a pond and a park, a border half a cell off, one odd date, a new house."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from workbench.core.errors import GridMismatch, ParameterError
from workbench.interpretation.change import ChangeMap
from workbench.interpretation.imagery import Pair, Scene
from workbench.interpretation.patches import COLUMNS
from workbench.interpretation.transitions import land_changes

CROP, FOREST, GRASS, WATER, BUILT, BARE = range(6)
SIDE = 60


def write(path, data, nodata, kind="uint8"):
    profile = {"driver": "GTiff", "height": data.shape[1], "width": data.shape[2], "count": len(data), "dtype": kind, "nodata": nodata,
               "crs": "EPSG:4547", "transform": from_origin(470_000, 2_570_000, 10, 10)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(data.astype(kind))
    return path


def shares(classes, sure=0.97):
    """Probabilities of a map: ``sure`` for its class, the rest shared out."""
    rest = (1 - sure) / 5
    return np.stack([np.where(classes == one, sure, rest) for one in range(6)]) * 250


@pytest.fixture
def land(tmp_path):
    """Probabilities of both years and the map of new building."""
    old = np.full((SIDE, SIDE), CROP)
    old[:, 40:] = FOREST
    new = old.copy()
    new[5:11, 5:15] = WATER  # 60 cells
    new[20:25, 5:10] = GRASS  # 25 cells
    new[20:25, 10:13] = GRASS  # 15 more, of which the map of new building has all
    new[:, 40] = CROP  # a border that lies a cell off
    new[45, 45] = GRASS  # a cell alone
    new[30:40, 5:15] = BUILT
    before, after = shares(old), shares(new)
    after[[CROP, GRASS], 50:56, 10:20] = np.array([119, 125])[:, None, None]  # grass, but as likely not
    after[:, 0:3, 20:30] = 255  # clouds
    changed = np.ones((1, SIDE, SIDE))
    changed[0, 20:25, 10:13] = 2
    record = {
        "pairs": [
            {"date_before": "2024-03-12", "date_after": "2025-03-12"},
            {"date_before": "2024-11-02", "date_after": "2025-11-02"},
        ]
    }
    building = ChangeMap(
        write(tmp_path / "change.tif", changed, 0), tmp_path / "none.tif", 0.5, {"method": "net", **record}
    )
    image = np.random.default_rng(1).integers(500, 2500, (4, SIDE, SIDE))
    scenes = []
    for year in (2024, 2025):
        hidden = np.zeros((1, SIDE, SIDE))
        hidden[0, 48:, :30] = year == 2025  # that year this corner was seen on fewer dates
        path, mask = (
            write(tmp_path / f"image_{year}.tif", image, 0, "uint16"),
            write(tmp_path / f"mask_{year}.tif", hidden, None),
        )
        scenes.append(
            Scene.of_file(
                path, bands=("blue", "green", "red", "nir"), date=f"{year}-03-12", mask=mask, scale=1e-4
            )
        )
    after[:, 51:56, 22:28] = shares(np.full((5, 6), GRASS), 0.5)  # grass, but seen on fewer dates
    return (
        write(tmp_path / "before.tif", before, 255),
        write(tmp_path / "after.tif", after, 255),
        building,
        [Pair(*scenes)],
    )


def test_a_pond_and_a_park_are_found_and_nothing_else(land):
    found = land_changes(*land)
    assert found.columns.tolist() == COLUMNS
    told = found.set_index("after_class")
    assert sorted(told.index) == ["grass", "water"]
    assert (told["before_class"] == "cropland").all()
    assert told["cells"].to_dict() == {"water": 60, "grass": 25}
    assert told["tblx"].to_dict() == {"water": "KT", "grass": "04"}
    assert told.loc["water", "area_m2"] == pytest.approx(6000, rel=1e-3)
    expected = 1 - 2 * 0.97 * 0.006 - 4 * 0.006**2
    assert told["probability"].to_numpy() == pytest.approx(expected, abs=0.01)
    assert (told["date_before"].iloc[0].month, told["date_after"].iloc[0].year) == (11, 2025)
    assert found["patch_id"].tolist() == ["L2025-00001", "L2025-00002"]


def test_small_patches_and_doubtful_cells_come_with_laxer_limits(land):
    assert len(land_changes(*land, mmu_m2=3500)) == 1
    assert sorted(land_changes(*land, certain=(0.8, 0.8))["cells"]) == [25, 30, 60]
    assert sorted(land_changes(*land, certain=(0.4, 0.4))["cells"]) == [25, 30, 60, 60]


def test_where_the_survey_before_has_the_class_after_nothing_changed(land):
    pond = shapely.box(470_050, 2_569_890, 470_150, 2_569_950)
    survey = gpd.GeoDataFrame(
        {"dlbm": ["1104", "0101"]}, crs="EPSG:4547",
        geometry=[pond, shapely.box(470_000, 2_569_400, 470_600, 2_570_000).difference(pond)],
    )  # fmt: skip
    found = land_changes(*land, survey=survey)
    assert found[["after_class", "before_dlbm"]].to_numpy().tolist() == [["grass", "0101"]]


def test_what_does_not_fit_is_refused(land, tmp_path):
    before, after, building, pairs = land
    with pytest.raises(ParameterError, match="other classes"):
        land_changes(building.path, after, building, pairs)
    with pytest.raises(ParameterError, match="probability"):
        land_changes(before, after, building, pairs, certain=(0.8, 1.0))
    small = write(tmp_path / "small.tif", shares(np.zeros((SIDE, SIDE - 1))), 255)
    with pytest.raises(GridMismatch, match="another grid"):
        land_changes(small, after, building, pairs)
