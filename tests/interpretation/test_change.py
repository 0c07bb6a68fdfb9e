"""Change maps of made-up images: planted blocks are found, pairs are combined, patches say what a case needs."""

from __future__ import annotations

import json
import os
import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter

from workbench.cli import main
from workbench.core.errors import GridMismatch, ImageError, ParameterError
from workbench.interpretation import change, patches
from workbench.interpretation.imagery import Pair, Scene
from workbench.interpretation.patch_scores import patch_scores
from workbench.rules.cases import build_cases
from workbench.rules.library import load_rules

CROP, BUILT = (600, 900, 800, 3100), (1500, 1600, 1700, 2100)
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 2_500_000)
SIDE = 200
BLOCKS = ((20, 30, 12, 10), (90, 140, 20, 16), (150, 60, 6, 9))
"""First row and column, rows, columns of what was built."""


def truth():
    found = np.zeros((SIDE, SIDE), dtype=bool)
    for row, column, rows, columns in BLOCKS:
        found[row : row + rows, column : column + columns] = True
    return found


def write_image(path, built, seed, *, transform=TRANSFORM, hidden=None, scale=1.0):
    """Fields with their own tones, water and villages, noise, and what was built."""
    rng = np.random.default_rng(seed)
    lasting = np.random.default_rng(0)
    fields = gaussian_filter(lasting.standard_normal((SIDE, SIDE)), 6)
    village = gaussian_filter(lasting.standard_normal((SIDE, SIDE)), 5) > 0.09
    out = np.empty((4, SIDE, SIDE))
    for band in range(4):
        level = np.where(village | built, BUILT[band], CROP[band]).astype(float)
        out[band] = level * (1 + 2.0 * fields + 0.05 * lasting.standard_normal((SIDE, SIDE)))
        out[band] *= 1 + 0.03 * rng.standard_normal((SIDE, SIDE))
    counts = np.clip(out * scale, 1, 9000).astype(np.uint16)
    if hidden is not None:
        counts[:, hidden] = 0
    profile = {"driver": "GTiff", "height": SIDE, "width": SIDE, "count": 4, "dtype": "uint16", "crs": "EPSG:4547",
               "transform": transform, "nodata": 0, "tiled": True, "blockxsize": 64, "blockysize": 64}  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(counts)
        file.descriptions = ("blue", "green", "red", "nir")
    return path


def make_pair(folder, number, *, hidden=None, built=None):
    day = ("03-12", "07-08", "11-02")[number]
    none = np.zeros((SIDE, SIDE), dtype=bool)
    scenes = []
    for year, what in ((2024, none), (2025, truth() if built is None else built)):
        path = write_image(
            folder / f"i_{year}_{number}.tif",
            what,
            10 * year + number,
            hidden=hidden if year == 2025 else None,
        )
        scenes.append(Scene.of_file(path, date=f"{year}-{day}"))
    return Pair(*scenes)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    hidden = np.zeros((SIDE, SIDE), dtype=bool)
    hidden[:60, :60] = True  # cloud over the first block
    both = np.zeros((SIDE, SIDE), dtype=bool)
    both[190:, 190:] = True
    return [
        make_pair(folder, 0, hidden=hidden | both),
        make_pair(folder, 1, hidden=both),
        make_pair(folder, 2, hidden=both),
    ]


@pytest.fixture(scope="module")
def found(pairs, tmp_path_factory):
    return change.detect(pairs, tmp_path_factory.mktemp("maps") / "irmad.tif", method="irmad")


@pytest.mark.parametrize("method", ["irmad", "cva"])
def test_planted_blocks_are_found(pairs, tmp_path, method):
    made = change.detect(pairs, tmp_path / "map.tif", method=method)
    with rasterio.open(made.path) as file:
        values = file.read(1)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.transform == TRANSFORM and file.nodata == 0
    assert (values[190:, 190:] == 0).all() and (values[:60, :60] > 0).all()
    table = patch_scores(truth(), values == 2, seen=values > 0).iloc[-1]
    assert table["recall"] == 1.0 and table["precision"] == 1.0 and table["iou"] > 0.85
    with rasterio.open(made.probability) as file:
        chance = file.read(1)
    seen = values > 0
    assert (values[seen & (chance > 125)] == 2).all() and (values[seen & (chance < 125)] == 1).all()
    assert (chance[~seen] == 255).all()


def test_the_record_says_what_was_done(found, pairs):
    record = json.loads((found.path.parent / "irmad.tif.json").read_text(encoding="utf-8"))
    assert (
        record["method"] == "irmad" and record["threshold_found_by"] == "auto" and len(record["pairs"]) == 3
    )
    assert record["pairs"][1]["date_before"] == "2024-07-08"
    assert np.hypot(*record["pairs"][0]["shift"]) < 0.1
    assert [one["sha256"] for one in record["inputs"][:2]] == [pairs[0].before.sha256, pairs[0].after.sha256]
    assert record["pixels"]["changed"] == pytest.approx(truth().sum(), rel=0.1)
    assert not list(found.path.parent.glob("*.partial")) and change.ChangeMap.read(found.path) == found


def test_what_one_pair_alone_shows_counts_less(tmp_path, pairs):
    ploughed = truth()
    ploughed[60:75, 20:40] = True
    once = make_pair(tmp_path, 0, built=ploughed)
    with rasterio.open(change.detect([once], tmp_path / "one.tif", method="irmad").path) as file:
        assert (file.read(1)[60:75, 20:40] == 2).mean() > 0.9
    with rasterio.open(change.detect([once, *pairs[1:]], tmp_path / "all.tif", method="irmad").path) as file:
        assert (file.read(1)[60:75, 20:40] == 2).mean() < 0.1


def test_a_stricter_threshold_finds_less(pairs, tmp_path, found):
    strict = change.detect(pairs, tmp_path / "strict.tif", method="irmad", threshold=0.97)
    assert strict.record["pixels"]["changed"] < found.record["pixels"]["changed"]


def test_strips_do_not_show(pairs, tmp_path, found, monkeypatch):
    monkeypatch.setattr(change, "_ROWS", 64)
    other = change.detect(pairs, tmp_path / "strips.tif", method="irmad")
    for one, two in ((found.path, other.path), (found.probability, other.probability)):
        with rasterio.open(one) as first, rasterio.open(two) as second:
            assert np.array_equal(first.read(1), second.read(1))


def test_patches_have_what_a_case_needs(found, tmp_path):
    maps = []
    for name, after in (("before", 1), ("after", 5)):
        values = np.ones((SIDE, SIDE), dtype=np.uint8)
        values[truth()] = after
        path = tmp_path / f"{name}.tif"
        profile = {"driver": "GTiff", "height": SIDE, "width": SIDE, "count": 1, "dtype": "uint8", "crs": "EPSG:4547",
                   "transform": TRANSFORM, "nodata": 0}  # fmt: skip
        with rasterio.open(path, "w", **profile) as file:
            file.write(values, 1)
        maps.append(path)
    survey = gpd.GeoDataFrame(
        {"dlbm": ["0103"]}, geometry=[shapely.box(499_000, 2_497_000, 503_000, 2_501_000)], crs="EPSG:4547"
    )
    frame = patches.change_patches(found, *maps, mmu_m2=1000.0, survey=survey)
    assert list(frame.columns) == patches.COLUMNS and len(frame) == 3
    assert (
        set(frame["tblx"]) == {"20"}
        and set(frame["before_class"]) == {"cropland"}
        and set(frame["after_class"]) == {"built"}
    )
    assert set(frame["before_dlbm"]) == {"0103"}
    assert set(frame["date_before"]) == {pd.Timestamp("2024-11-02")} and set(frame["date_after"]) == {
        pd.Timestamp("2025-11-02")
    }
    assert frame["probability"].between(0.5, 1).all() and frame["patch_id"].is_unique
    sizes = sorted(rows * columns for _, _, rows, columns in BLOCKS)
    assert sorted(frame["cells"]) == pytest.approx(sizes, rel=0.15)
    assert frame["area_m2"].to_numpy() == pytest.approx(frame["cells"].to_numpy() * 100.0, rel=2e-4)
    rules = [rule for rule in load_rules(("control_lines",)).values() if rule.kind == "spatial_conflict"]
    line = gpd.GeoDataFrame(
        {"line_id": ["L1"], "name": [""], "kind": [""], "approved": [pd.Timestamp("2020-01-01")], "ended": [pd.NaT]},
        geometry=[shapely.box(499_000, 2_497_000, 503_000, 2_501_000)], crs="EPSG:4547",
    )  # fmt: skip
    districts = gpd.GeoDataFrame({"code": ["990101"], "name": [""]}, geometry=line.geometry, crs=line.crs)
    cases = build_cases(
        None,
        {"permanent_farmland": line},
        rules,
        patches=frame,
        permits=None,
        districts=districts,
        units=None,
    )
    assert set(cases.loc[cases["line"] == "permanent_farmland", "patch_id"]) == set(frame["patch_id"])
    few = patches.change_patches(found, mmu_m2=15_000.0)
    assert len(few) == 1 and few["tblx"].tolist() == ["QT"]  # without maps IR-MAD cannot say what it became


def test_a_map_on_another_grid_is_refused(found, tmp_path):
    path = tmp_path / "small.tif"
    profile = {"driver": "GTiff", "height": 9, "width": 9, "count": 1, "dtype": "uint8", "crs": "EPSG:4547",
               "transform": TRANSFORM, "nodata": 0}  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.ones((1, 9, 9), dtype=np.uint8))
    with pytest.raises(GridMismatch, match="another grid"):
        patches.change_patches(found, path, path)


def test_pairs_that_do_not_fit_are_refused(pairs, tmp_path):
    with pytest.raises(ImageError, match="no pair"):
        change.detect([], tmp_path / "x.tif", method="cva")
    with pytest.raises(ParameterError, match="needs a model"):
        change.detect(pairs, tmp_path / "x.tif", method="net")
    with pytest.raises(ParameterError, match="probability"):
        change.detect(pairs, tmp_path / "x.tif", method="cva", threshold=1.5)
    before, after = pairs[0].before, pairs[0].after
    with pytest.raises(ImageError, match="earlier image must come first"):
        Pair(after, before)
    moved = write_image(tmp_path / "moved.tif", truth(), 5, transform=TRANSFORM * Affine.translation(3, 0))
    with pytest.raises(GridMismatch, match="different grids"):
        Pair(before, Scene.of_file(moved, date="2025-03-12"))
    assert not list(tmp_path.glob("x.tif*"))


def test_images_that_lie_off_each_other_are_warned_of(pairs, tmp_path):
    with rasterio.open(pairs[1].after.hrefs[0][0]) as file:
        values, profile = file.read(), file.profile
    with rasterio.open(tmp_path / "off.tif", "w", **profile) as file:
        file.write(np.roll(values, (2, 3), axis=(1, 2)))
        file.descriptions = ("blue", "green", "red", "nir")
    pair = Pair(pairs[1].before, Scene.of_file(tmp_path / "off.tif", date="2025-07-08"))
    with pytest.warns(UserWarning, match=r"3\.6 pixels off each other \(\+2\.0 rows, \+3\.0 columns\)"):
        change.detect([pair], tmp_path / "map.tif", method="cva")


def test_command_on_two_files(pairs, tmp_path):
    before, after = (one.hrefs[0][0] for one in (pairs[1].before, pairs[1].after))
    arguments = [
        "change",
        "--before",
        before,
        "--after",
        after,
        "--method",
        "irmad",
        "--out",
        str(tmp_path / "out"),
    ]
    dates = ["--date-before", "2024-07-08", "--date-after", "2025-07-08"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        done = CliRunner().invoke(main, [*arguments, *dates])
    assert done.exit_code == 0, done.output
    assert "pixels changed" in done.output and "3 patches" in done.output
    written = sorted(path.suffix for path in (tmp_path / "out").iterdir())
    assert written == [".gpkg", ".json", ".tif", ".tif"]
    frame = gpd.read_file(next((tmp_path / "out").glob("*.gpkg")))
    assert len(frame) == 3 and set(frame["tblx"]) == {"QT"}
    wrong = CliRunner().invoke(
        main, [*arguments, "--date-before", "2025-07-08", "--date-after", "2024-07-08"]
    )
    assert wrong.exit_code == 1 and "earlier image must come first" in wrong.output


def test_command_asks_for_a_city_or_two_files():
    done = CliRunner().invoke(main, ["change"])
    assert done.exit_code == 2 and "give a CITY, or two files" in done.output
    shown = CliRunner().invoke(main, ["change", "--help"])
    assert (
        "without labels" in shown.output
        and os.linesep.join(["workbench change demo --from 2024"]) in shown.output
    )
