"""Forest loss and fire from series: known days of loss against a plain loop over cells, fires by class, a real pair, the command."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from rasterio.features import rasterize
from rasterio.transform import from_origin

from tests.interpretation import small_city
from tests.interpretation.test_findings import Data, city
from workbench.cli import main
from workbench.core.errors import CRSError, GridMismatch, ImageError, ParameterError
from workbench.interpretation import series, vegetation, vegetation_run
from workbench.interpretation import vegetation_patches as patches
from workbench.interpretation.imagery import Scene
from workbench.interpretation.vegetation import APART, KEPT, THIN, UNSEEN

T = from_origin(500_000, 2_500_000, 10, 10)
SIZE = 48


def image(
    folder: Path, day: str, ndvi: np.ndarray, hidden: np.ndarray | None = None, *, bands: str = "red,nir"
) -> Path:
    """Image whose index of (nir, other band) is given, and a mask beside it."""
    other = np.full(ndvi.shape, 0.06)
    data = np.round(np.stack([other, other * (1 + ndvi) / (1 - ndvi)]) * 10_000).astype(np.uint16)
    path = folder / f"forest_{day.replace('-', '')}.tif"
    profile = {
        "driver": "GTiff",
        "height": ndvi.shape[0],
        "width": ndvi.shape[1],
        "crs": "EPSG:4547",
        "transform": T,
        "dtype": "uint16",
    }
    with rasterio.open(path, "w", count=2, nodata=0, **profile) as file:
        file.write(data)
        for number, name in enumerate(bands.split(","), start=1):
            file.set_band_description(number, name)
    if hidden is not None:
        with rasterio.open(
            path.with_name(f"{path.stem}_cloud.tif"), "w", count=1, **{**profile, "dtype": "uint8"}
        ) as file:
            file.write(hidden.astype(np.uint8)[None])
    return path


LEVEL = {3: 0.72, 7: 0.84, 11: 0.70}
SUMMER, AUTUMN, HEALED, THINNED = (slice(4, 10), slice(4, 12)), (slice(20, 30), slice(6, 14)), (slice(36, 40), slice(4, 8)), (slice(4, 8), slice(24, 28))  # fmt: skip


def drawn(folder: Path) -> list[Path]:
    """Three earlier years and one in which forest was felled before summer and before autumn; a field; a haze that passes.

    All images of the year lie 0.05 lower: air, not loss.
    """
    rng = np.random.default_rng(5)
    paths = []
    for year in (2022, 2023, 2024, 2025):
        for month, level in LEVEL.items():
            ndvi = level + rng.normal(0, 0.015, (SIZE, SIZE)) - (0.05 if year == 2025 else 0)
            ndvi[:, 34:] = rng.uniform(0.2, 0.5) + rng.normal(0, 0.02, (SIZE, SIZE - 34))
            hidden = np.zeros((SIZE, SIZE), dtype=bool)
            hidden[44:, :6] = year == 2025
            hidden[:, 20:24] = year == 2025 and month == 7
            if year == 2025:
                ndvi[SUMMER] -= 0.4 if month >= 7 else 0
                ndvi[AUTUMN] -= 0.35 if month >= 11 else 0
                ndvi[HEALED] -= 0.3 if month == 3 else 0
                ndvi[THINNED] -= 0.1
            paths.append(image(folder, f"{year}-{month:02d}-12", ndvi, hidden))
    return paths


def by_hand(paths: list[Path], levels: list[float], scatters: list[float]) -> np.ndarray:
    """State of every cell by a plain loop: what the rule says, image by image, with the levels that were measured."""
    stacks: dict[tuple[int, int], np.ndarray] = {}
    for path in paths:
        with rasterio.open(path) as file:
            red, nir = file.read().astype(float)
        with rasterio.open(path.with_name(f"{path.stem}_cloud.tif")) as file:
            seen = file.read(1) == 0
        stacks[int(path.stem[7:11]), int(path.stem[11:13])] = np.where(
            seen, (nir - red) / (nir + red), np.nan
        )
    state = np.zeros((SIZE, SIZE), dtype=int)
    for row in range(SIZE):
        for column in range(SIZE):
            first, clear, dense = 0, 0, False
            for number, month in enumerate(LEVEL, start=1):
                before = [stacks[year, month][row, column] for year in (2022, 2023, 2024)]
                usual = float(np.median(before))
                spread = 1.4826 * float(np.median(np.abs(np.array(before) - usual)))
                drop = usual - stacks[2025, month][row, column] - levels[number - 1]
                if usual < 0.6:
                    continue
                dense = True
                if math.isnan(drop):
                    continue
                clear += 1
                if drop < 0.075:
                    first = 0
                if drop >= 0.15 and drop >= 3 * max(spread, scatters[number - 1], 0.03) and not first:
                    first = number
            state[row, column] = KEPT + first if first else KEPT if clear else UNSEEN if dense else APART
    return state


def test_days_of_loss_are_those_known_and_those_of_a_plain_loop(tmp_path: Path) -> None:
    paths = drawn(tmp_path)
    found = vegetation.look(vegetation_run.file_scenes(paths), 2025)
    assert [round(level.offset, 2) for level in found.levels] == [0.05] * 3
    state = by_hand(paths, [one.offset for one in found.levels], [one.scatter for one in found.levels])
    assert np.array_equal(found.state, state)
    assert (found.state[SUMMER] == KEPT + 2).all() and (found.state[AUTUMN] == KEPT + 3).all()
    assert (found.state[HEALED] == KEPT).all()  # green again in summer: it was never lost
    assert (found.state[THINNED] == KEPT).all() and (found.state[:, 34:] == APART).all()
    assert (found.state[44:, :6] == UNSEEN).all() and found.areas["unseen"] == pytest.approx(0.24)
    shapes = patches.patches(found)
    assert shapes["cells"].tolist() == [80, 48] and shapes["area_m2"].tolist() == pytest.approx(
        [8000, 4800], rel=1e-3
    )
    days = list(
        zip(
            shapes["date_before"].dt.strftime("%m-%d"), shapes["date_after"].dt.strftime("%m-%d"), strict=True
        )
    )
    assert days == [("07-12", "11-12"), ("03-12", "07-12")]
    assert shapes["images"].tolist() == [1, 2] and shapes["clear"].tolist() == [3, 3]
    assert (
        shapes["drop"].tolist() == pytest.approx([0.35, 0.4], abs=0.01)
        and (shapes["probability"] > 0.95).all()
    )
    table = patches.summary(found, shapes)
    assert table["patches"].tolist() == [0, 1, 1] and table["one_image"].tolist() == [0, 0, 1]
    told = patches.limits(found, shapes).set_index(["item", "unit"])["value"]
    assert (
        told["one_image", "count"] == 1
        and told["least_earlier", "count"] == 3
        and told["unmasked", "count"] == 0
    )


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_what_a_person_reads(tmp_path: Path, lang: str) -> None:
    """Table, map and limits of a series: what one image alone shows and what none showed is said."""
    from workbench.views import vegetation as views

    found = vegetation.look(vegetation_run.file_scenes(drawn(tmp_path)), 2025)
    shapes = patches.patches(found)
    table = views.patch_table(found, shapes, lang)
    assert table.iloc[0].tolist()[2:5] == ["2025-07-12", "2025-11-12", "1 / 3"]
    assert views.images_table(found, lang).iloc[0, 1] == "2022-03-12 2023-03-12 2024-03-12"
    said = re.sub("<[^>]+>", "", str(views.what_it_cannot_see(found, shapes, lang)))
    words = {
        "zh": ("疑似图斑2个，1.28公顷", "0.2公顷（1.5%）当季始终没有晴空影像", "1个图斑只有一景影像显示", "须经核查"),
        "en": ("2 suspected patches, 1.28 ha", "0.2 ha (1.5 %) were never seen clear", "1 patches are shown by one image", "until verified"),
    }[lang]  # fmt: skip
    assert all(one in said for one in words), said
    assert views.state_map(found, shapes, lang).png[:4] == b"\x89PNG"


def test_lost_before_the_first_image_of_the_year(tmp_path: Path) -> None:
    ndvi = np.full((40, 40), 0.8)
    felled = ndvi.copy()
    felled[10:20, 10:20] = 0.3
    paths = [image(tmp_path, "2024-07-08", ndvi), image(tmp_path, "2025-07-10", felled)]
    shapes = patches.patches(vegetation.look(vegetation_run.file_scenes(paths), 2025))
    assert shapes["date_before"].tolist() == [pd.Timestamp("2024-07-08")]
    assert shapes["date_after"].tolist() == [pd.Timestamp("2025-07-10")] and shapes["cells"].tolist() == [100]


def test_summer_is_never_compared_with_winter(tmp_path: Path) -> None:
    bare, green = np.full((20, 20), 0.4), np.full((20, 20), 0.85)
    paths = [
        image(tmp_path, "2024-07-10", green),
        image(tmp_path, "2024-11-05", bare),
        image(tmp_path, "2025-11-02", bare),
    ]
    scenes = vegetation_run.file_scenes(paths)
    found = vegetation.look(scenes, 2025)
    assert [one.earlier[0].date.month for one in found.comparisons] == [11] and not found.lost.any()
    with pytest.raises(ImageError, match="one season"):
        vegetation.look([scenes[0], scenes[2]], 2025)
    winter = [image(tmp_path, "2023-12-30", green), image(tmp_path, "2025-01-04", green)]
    assert (
        len(vegetation.comparisons(vegetation_run.file_scenes(winter), 2025)) == 1
    )  # days over the turn of the year


def test_only_the_parcels_are_judged_and_thin_land_is_told(tmp_path: Path) -> None:
    ndvi, later = np.full((30, 30), 0.8), np.full((30, 30), 0.3)
    ndvi[:, 20:] = 0.45
    scenes = vegetation_run.file_scenes(
        [image(tmp_path, "2024-07-08", ndvi), image(tmp_path, "2025-07-08", later)]
    )
    x, y = 500_000, 2_500_000
    parcels = gpd.GeoDataFrame(geometry=[shapely.box(x + 100, y - 300, x + 250, y)], crs="EPSG:4547")
    settings = series.load_settings()
    found = vegetation.look(scenes, 2025, parcels=parcels, settings=settings)
    assert (
        (found.state[:, :10] == APART).all()
        and (found.state[:, 25:] == APART).all()
        and (found.state[:, 20:25] == THIN).all()
    )
    assert (
        found.levels[0].offset == pytest.approx(0.5, abs=1e-3) and not found.lost.any()
    )  # all of it fell alike: told as level
    with pytest.raises(CRSError):
        vegetation.look(scenes, 2025, parcels=parcels.to_crs("EPSG:4326"))


def test_series_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    ndvi = np.full((20, 20), 0.8)
    one, two = image(tmp_path, "2024-07-08", ndvi), image(tmp_path, "2025-07-08", ndvi[:, :15])
    with pytest.raises(GridMismatch, match="different grids"):
        vegetation.look(vegetation_run.file_scenes([one, two]), 2025)
    with pytest.raises(ImageError, match="no image has the bands of nbr"):
        vegetation.look(vegetation_run.file_scenes([one]), 2025, kind="fire")
    (tmp_path / "more").mkdir()
    again = image(tmp_path / "more", "2024-07-08", ndvi)
    same = image(tmp_path, "2025-07-09", ndvi)
    with pytest.raises(ParameterError, match="one name"):
        vegetation.look(vegetation_run.file_scenes([one, again, same]), 2025)
    undated = tmp_path / "undated.tif"
    undated.write_bytes(one.read_bytes())
    with pytest.raises(ImageError, match="dated"):
        vegetation.look(vegetation_run.file_scenes([undated, same]), 2025)


def test_fire_by_class_against_plain_numpy(tmp_path: Path) -> None:
    """Blocks of known dNBR on land whose NBR fell by 0.04 everywhere: hectares by class as counted by hand."""
    rng = np.random.default_rng(8)
    before = np.full((60, 60), 0.6) + rng.normal(0, 0.003, (60, 60))
    dnbr = np.zeros((60, 60))
    dnbr[5:25, 5:25] = 0.20
    dnbr[8:22, 8:22] = 0.35
    dnbr[10:18, 10:18] = 0.55
    dnbr[12:15, 12:15] = 0.80
    dnbr[40:50, 40:50] = 0.18  # nowhere moderate: no fire
    dnbr[30:33, 5:8] = 0.5  # too small
    dnbr[:, 57:] = np.nan
    after = before - np.nan_to_num(dnbr) - 0.04
    hidden = np.isnan(dnbr)
    paths = [
        image(tmp_path, "2024-10-02", before, bands="swir22,nir"),
        image(tmp_path, "2025-10-05", after, hidden, bands="swir22,nir"),
    ]
    found = vegetation.look(vegetation_run.file_scenes(paths), 2025, kind="fire")
    assert found.levels[0].offset == pytest.approx(0.04, abs=0.002)
    shapes = patches.patches(found)
    assert len(shapes) == 1 and shapes["cells"].tolist() == [400]
    mean = 0.2 + (196 * 0.15 + 64 * 0.2 + 9 * 0.25) / 400
    assert shapes["drop"].iloc[0] == pytest.approx(mean, abs=0.005) and shapes["severity"].tolist() == [
        "moderate_low"
    ]
    table = patches.summary(found, shapes).set_index("name")
    counted = {"low": 400 - 196, "moderate_low": 196 - 64, "moderate_high": 64 - 9, "high": 9}
    assert {name: int(table.at[name, "cells"]) for name in counted} == counted and table["cells"].sum() == 400
    assert table.at["moderate_high", "ha"] == pytest.approx(0.55)
    assert found.areas["unseen"] == pytest.approx(60 * 3 / 100)


def test_lost_woodland_becomes_cases(tmp_path: Path) -> None:
    """A clearing of 100 x 120 m in woodland is one case of the forest rule; a speck of one cell is none."""
    ndvi = np.full((40, 40), 0.8)
    felled = ndvi.copy()
    felled[10:20, 10:22], felled[30, 30] = 0.3, 0.3
    paths = [image(tmp_path, "2024-07-08", ndvi), image(tmp_path, "2025-07-10", felled)]
    shapes = patches.patches(vegetation.look(vegetation_run.file_scenes(paths), 2025))
    x, y = 500_000, 2_500_000
    survey = gpd.GeoDataFrame(
        {"dlbm": ["0301"]}, geometry=[shapely.box(x, y - 400, x + 400, y)], crs="EPSG:4547"
    )
    district = gpd.GeoDataFrame({"code": ["A"], "name": ["甲"]}, geometry=survey.geometry, crs="EPSG:4547")
    data = Data(land_use=survey)
    data.city, data.zones = city(), lambda level: district  # type: ignore[attr-defined, method-assign, assignment]
    found = vegetation_run.cases(data, 2025, shapes)  # type: ignore[arg-type]
    assert found["rule"].tolist() == ["im_forest_loss"] and found["matter"].tolist() == ["疑似林地减少"]
    assert found["area_m2"].iloc[0] == pytest.approx(12_000, rel=1e-3) and found["before"].tolist() == [
        "0301"
    ]


def test_files_by_command(tmp_path: Path) -> None:
    paths = drawn(tmp_path)
    listed = [word for path in paths for word in ("--image", str(path))]
    out = tmp_path / "out"
    told = CliRunner().invoke(main, ["change", "--series", "forest", *listed, "--out", str(out)])
    assert told.exit_code == 0, told.output
    assert "2 patches, 1.28 ha" in told.output and "1 patches are shown by one image alone" in told.output
    frame = gpd.read_parquet(out / "forest_loss_2025.parquet")
    assert list(frame.columns) == patches.COLUMNS and frame.crs.to_epsg() == 4547
    assert pyogrio.list_layers(out / "forest_loss_2025.gpkg")[:, 0].tolist() == ["patches"]
    record = json.loads((out / "forest_loss_2025.json").read_text("utf-8"))
    assert (
        len(record["images"]) == 3
        and len(record["images"][0]["compared_with"]) == 3
        and len(record["images"][0]["sha256"]) == 64
    )
    assert pd.read_csv(out / "forest_loss_2025.csv")["ha"].round(2).tolist() == [0, 0.48, 0.8]
    with rasterio.open(out / "forest_loss_2025.tif") as file:
        assert file.tags(1)["state_5"] == "lost, first shown 2025-07-12" and (file.read(1)[SUMMER] == 5).all()
    for arguments, word in (
        (["--series", "fire", *listed, "--out", str(out)], "short-wave infrared"),
        (["--series", "forest", *listed], "--image needs --out"),
        (["--series", "forest"], "wants a CITY, or files"),
        (["--series", "forest", "demo", "--method", "cva"], "--method: not with --series"),
        (["demo", "--image", str(paths[0])], "go with --series"),
    ):
        refused = CliRunner().invoke(main, ["change", *arguments])
        assert refused.exit_code == (1 if "infrared" in word else 2) and word in refused.output, (
            refused.output
        )


def test_a_city_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    green = np.tile(np.array([0.05, 0.07, 0.05, 0.4])[:, None, None], (1, 40, 40))
    felled = green.copy()
    felled[2:, 10:20, 10:20] = 0.2
    cloud = np.zeros((40, 40), dtype=np.uint8)
    cloud[:, 30:] = 1
    images = {
        (role, year): green if year == 2024 else felled
        for role in ("imagery", "imagery_2")
        for year in (2024, 2025)
    }
    profile, _ = small_city.make(tmp_path, images, {("imagery", 2025): cloud, ("imagery_2", 2025): cloud})
    told = CliRunner().invoke(
        main, ["change", str(profile.path), "--series", "forest", "--data-root", str(tmp_path)]
    )
    assert told.exit_code == 0, told.output
    assert "1 patches, 1.00 ha" in told.output and "4.0 ha (25.0 %) were never seen clear" in told.output
    from workbench.catalog.data import CityData

    data = CityData(profile)
    assert data.vector("forest_loss", 2025)["images"].tolist() == [2]
    assert data.source("forest_loss", 2025).sensitivity == "内部"  # that of its strictest image


FOREST = Path(os.environ.get("WORKBENCH_DATA", "/")) / "imagery" / "landsat5_forest_change_pair"


@pytest.mark.skipif(not FOREST.exists(), reason="the forest pair is not there")
def test_real_pair_with_labels() -> None:
    """Costa Rica 1986 and 2001, labelled cells of four kinds; the first date's counts are no reflectance.

    Unmatched nothing is found; matched, one of the two clearings is found whole, the other is as green in 2001 as it was. Of
    the forest that stayed nothing is taken.
    """
    names = ("blue", "green", "red", "nir")
    scenes = [
        Scene.of_file(FOREST / f"landsat5_{year}.tif", bands=names, date=f"{year}-02-06", scale=1e-4)
        for year in (1986, 2001)
    ]
    labels = gpd.read_file(FOREST / "change_training_polygons.gpkg")
    where = {
        kinds: rasterize(
            [(one, 1) for one in rows.geometry], out_shape=scenes[0].shape, transform=scenes[0].grid.affine
        )
        > 0
        for kinds, rows in labels.groupby(["class_1986", "class_2001"])
    }
    plain = vegetation.look(scenes, 2001).lost
    found = vegetation.look(scenes, 2001, match=True).lost
    lost, kept = where["Forest", "NonForest"], where["Forest", "Forest"]
    assert not plain[lost].any()
    assert found[lost].mean() == 0.5
    assert not found[kept].any()
    assert found[where["NonForest", "NonForest"]].mean() < 0.05
