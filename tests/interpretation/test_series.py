"""Forest loss and fire: drawn series with planted loss, seasons, clouds; a real pair with labelled change."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from rasterio.features import rasterize
from rasterio.transform import from_origin

from workbench.core.errors import DefinitionError, ImageError, ParameterError
from workbench.interpretation import series
from workbench.rules.cases import build_cases
from workbench.rules.library import load_rules

T = from_origin(500_000, 2_500_000, 10, 10)
BANDS = ("blue", "green", "red", "nir")


def test_indices_by_hand() -> None:
    data = np.array([[[0.05, 0.0]], [[0.45, 0.0]], [[0.15, 0.3]]], dtype="float32")
    found = series.index("ndvi", data, ("red", "nir", "swir22"), np.array([[True, True]]))
    assert found[0, 0] == pytest.approx(0.8) and np.isnan(found[0, 1])
    assert series.index("nbr", data, ("red", "nir", "swir22"))[0, 0] == pytest.approx(0.5)
    with pytest.raises(ImageError, match="bands of nbr"):
        series.index("nbr", data[:2], ("red", "nir"))
    with pytest.raises(ParameterError, match="unknown index"):
        series.index("evi", data, ("red", "nir"))


def drawn(rng: np.random.Generator, images: int, *, level: float, size: int = 60) -> np.ndarray:
    """Index of a forest (0.82) around a field (0.35 to 0.75 from year to year) in one season."""
    stack = level + rng.normal(0, 0.02, (images, size, size))
    stack[:, :, 40:] = rng.uniform(0.35, 0.75, (images, 1, 1)) + rng.normal(
        0, 0.02, (images, size, size - 40)
    )
    return stack.astype("float32")


def test_planted_loss_is_found_and_fields_are_not() -> None:
    rng = np.random.default_rng(3)
    earlier, later = drawn(rng, 5, level=0.82), drawn(rng, 2, level=0.80)
    later[:, 10:20, 10:22] -= 0.35
    later[0, :30, :30] = np.nan  # a cloud on one of two images hides nothing
    earlier[1, 5:25, 5:25] = np.nan
    loss = series.forest_loss(earlier, later)
    planted = np.zeros((60, 60), dtype=bool)
    planted[10:20, 10:22] = True
    assert (loss.lost == planted).mean() > 0.999
    assert loss.drop[15, 15] == pytest.approx(0.37, abs=0.05)
    assert (loss.scatter >= series.load_settings().least_scatter).all()
    assert loss.score[15, 15] > 5


def test_what_nobody_saw_is_not_lost() -> None:
    earlier, later = np.full((3, 2, 2), 0.8, dtype="float32"), np.full((1, 2, 2), 0.2, dtype="float32")
    later[0, 0, 0] = np.nan
    earlier[:, 1, 1] = np.nan
    loss = series.forest_loss(earlier, later)
    assert loss.lost.tolist() == [[False, True], [True, False]]
    assert np.isnan(loss.drop[0, 0]) and np.isnan(loss.drop[1, 1])


def scene(day: str, ndvi: float) -> Any:
    """A scene of 2 x 2 cells of one index."""
    data = np.array([0.1 * (1 - ndvi) / (1 + ndvi), 0.1], dtype="float32")[:, None, None] * np.ones(
        (2, 2), dtype="float32"
    )
    block = SimpleNamespace(data=data[::-1], valid=np.ones((2, 2), dtype=bool))
    made = SimpleNamespace(date=pd.Timestamp(day), read=lambda window=None: block)
    made.select = lambda bands: made
    return made


def test_summer_is_never_compared_with_winter() -> None:
    """Leaves fall every November: that is no loss in November, and July is not asked."""
    images = [
        scene(f"{year}-{month}", ndvi)
        for year in (2021, 2022, 2023)
        for month, ndvi in (("07-10", 0.85), ("11-05", 0.4))
    ]
    images += [scene("2024-07-12", 0.84), scene("2024-11-02", 0.41)]
    assert not series.loss_of_scenes(images, 2024, month=7).lost.any()
    assert not series.loss_of_scenes(images, 2024, month=11).lost.any()
    felled = series.loss_of_scenes([*images[:-2], scene("2024-07-12", 0.45)], 2024, month=7)
    assert felled.lost.all() and felled.earlier == 3
    with pytest.raises(ImageError, match="one season"):
        series.loss_of_scenes(images, 2024, month=2)
    assert [one.date.month for one in series.season(images, pd.Timestamp("2024-12-20"), 60)] == [11] * 4
    assert series.season([scene("2024-01-05", 0.8)], pd.Timestamp("2023-12-28"), 10)


def test_fire_classes_at_their_edges() -> None:
    """dNBR from -0.3 to 0.7: seven classes by the published limits; land that did not burn is set to nothing."""
    dnbr = np.array([[-0.30, -0.20, 0.05, 0.10, 0.26, 0.27, 0.43, 0.44, 0.65, 0.66, np.nan]], dtype="float32")
    before = np.full_like(dnbr, 0.6)
    found = series.fire(before, before - dnbr)
    names = [series.load_settings().severity[k - 1][0] if k else "" for k in found.severity[0]]
    # float32 differences may fall just short of a limit
    assert names[:3] == ["regrowth_high", "regrowth_low", "unburnt"] and names[-1] == ""
    assert names[4] == "low" and names[6] == "moderate_low" and names[8] == "moderate_high"
    late = np.full((30, 30), 0.5, dtype="float32")
    late[:10, :10] = -0.2
    known = np.zeros((30, 30), dtype=bool)
    known[15:] = True
    burnt = series.fire(np.full((30, 30), 0.6, dtype="float32"), late, unburnt=known)
    assert burnt.offset == pytest.approx(0.1)
    assert (burnt.severity[:10, :10] == 7).all() and (burnt.severity[20:] == 3).all()
    areas = series.severity_areas(burnt, 900.0).set_index("name")
    assert (
        areas.at["high", "cells"] == 100
        and areas.at["high", "ha"] == 9.0
        and areas.at["unburnt", "zh"] == "未过火"
    )


def test_lost_forest_becomes_cases() -> None:
    """A clearing of 100 x 120 m in woodland is one case of the forest rule; a speck is none."""
    rng = np.random.default_rng(3)
    earlier, later = np.full((4, 40, 40), 0.8, dtype="float32"), np.full((1, 40, 40), 0.8, dtype="float32")
    later[0, 10:20, 10:22] = 0.3
    later[0, 30, 30] = 0.3
    loss = series.forest_loss(earlier + rng.normal(0, 0.01, earlier.shape).astype("float32"), later)
    days = {"date_before": pd.Timestamp("2024-07-10"), "date_after": pd.Timestamp("2025-07-11")}
    patches = series.loss_patches(loss, T, "EPSG:4547", **days)
    assert patches["cells"].tolist() == [120] and patches["patch_id"].tolist() == ["LS202500001"]
    assert patches["area_m2"].iloc[0] == pytest.approx(12_000, rel=0.001)
    assert patches["probability"].iloc[0] > 0.95
    districts = gpd.GeoDataFrame(
        {"code": ["A"]}, geometry=[shapely.box(4e5, 2.4e6, 6e5, 2.6e6)], crs="EPSG:4547"
    )
    found = build_cases(
        None, {}, [load_rules()["im_forest_loss"]], permits=None, districts=districts, units=None,
        patches=patches.assign(before_dlbm="0301"),
    )  # fmt: skip
    assert found["level"].tolist() == [1] and found["before"].tolist() == [
        "0301"
    ]  # no permit layer: it cannot be told
    assert found["area_m2"].iloc[0] == pytest.approx(12_000, rel=0.001)


def test_thresholds_must_be_whole(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[forest]\nleast_ndvi = 0.5\n", "utf-8")
    with pytest.raises(DefinitionError, match="not complete"):
        series.load_settings(tmp_path / "own.toml")


FOREST = Path(os.environ.get("WORKBENCH_DATA", "/")) / "imagery" / "landsat5_forest_change_pair"


@pytest.mark.skipif(not FOREST.exists(), reason="the forest pair is not there")
def test_real_pair_with_labels() -> None:
    """Costa Rica 1986 and 2001, 120 labelled cells of four kinds, of which 8 lost their forest.

    The counts of the two dates are of another kind (the first is not reflectance): unmatched, the index finds nothing. Matched,
    one of the two clearings is found whole; the other is as green in 2001 as it was. Of the forest that stayed nothing is taken.
    """
    images = []
    for name in ("landsat5_1986", "landsat5_2001"):
        with rasterio.open(FOREST / f"{name}.tif") as source:
            images.append(source.read() / np.float32(1e4))
            transform = source.transform
    valid = np.ones(images[0].shape[1:], dtype=bool)
    old = series.matched(images[0], images[1], valid)
    assert np.allclose(np.median(old, axis=(1, 2)), np.median(images[1], axis=(1, 2)), atol=1e-4)
    plain = series.forest_loss(*(series.index("ndvi", one, BANDS)[None] for one in images))
    loss = series.forest_loss(*(series.index("ndvi", one, BANDS)[None] for one in (old, images[1])))
    labels = gpd.read_file(FOREST / "change_training_polygons.gpkg")
    where = {
        kinds: rasterize([(one, 1) for one in rows.geometry], out_shape=valid.shape, transform=transform) > 0
        for kinds, rows in labels.groupby(["class_1986", "class_2001"])
    }
    lost = where["Forest", "NonForest"]
    kept = where["Forest", "Forest"] | where["NonForest", "Forest"]
    assert not plain.lost[lost].any()
    assert loss.lost[lost].mean() == 0.5
    assert loss.lost[kept].mean() == 0
    assert loss.lost[where["NonForest", "NonForest"]].mean() < 0.05
