from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from torch.utils.data import DataLoader
from torchgeo.datasets import stack_samples

from workbench.core.errors import DataQualityError, ImageError, ParameterError
from workbench.interpretation import classes, labelling, runs, sample_library, splits, training, weights
from workbench.interpretation.datasets import LibraryChips, SceneDataset, library_parts, sampler
from workbench.interpretation.imagery import Pair, Scene

BANDS = ("blue", "green", "red", "nir")
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 2_560_000)


def write_scene(folder: Path, day: str, values: np.ndarray, transform: Affine = TRANSFORM) -> Scene:
    path = folder / f"image_{day}.tif"
    profile = {"driver": "GTiff", "count": 4, "height": values.shape[1], "width": values.shape[2], "dtype": "uint16",
               "crs": "EPSG:4547", "transform": transform, "nodata": 0}  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(values.astype(np.uint16))
        for k, name in enumerate(BANDS):
            target.set_band_description(k + 1, name)
    return Scene.of_file(path, date=day)


def ground(seed: int, high: int = 64, wide: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels: left half green cropland (0), right half bright built land (4)."""
    rng = np.random.default_rng(seed)
    label = np.zeros((high, wide), dtype=np.uint8)
    label[:, wide // 2 :] = 4
    spectra = np.array([[600, 900, 700, 3200], [1500, 1600, 1700, 2200]])
    image = spectra[(label == 4).astype(int)].transpose(2, 0, 1) + rng.normal(0, 50, (4, high, wide))
    return image, label


@pytest.fixture
def scenes(tmp_path: Path) -> list[Scene]:
    return [
        write_scene(tmp_path, day, ground(k)[0] + 100 * k)
        for k, day in enumerate(("2024-03-12", "2024-07-08"))
    ]


# ---------------------------------------------------------------------- datasets


def test_a_query_reads_the_pixels_of_its_own_date_alone(scenes: list[Scene]) -> None:
    dataset = SceneDataset(scenes, labels=[ground(0)[1]] * 2)
    x, y, _ = dataset.at("2024-07-08")
    corner = (slice(x.start + 480, x.start + 640), slice(y.stop - 160, y.stop))
    for day, scene in zip(("2024-03-12", "2024-07-08"), scenes, strict=True):
        sample = dataset[(*corner, dataset.at(day)[2])]
        whole = scene.read()
        assert np.allclose(sample["image"].numpy(), whole.data[:, :16, 48:64])
        assert sample["date"] == day
        assert bool((sample["mask"] == 4).all())


def test_dates_are_never_merged_and_a_query_must_name_its_date(scenes: list[Scene]) -> None:
    dataset = SceneDataset(scenes)
    x, y, time = dataset.at("2024-03-12")
    with pytest.raises(ParameterError, match="never merged"):
        dataset[x, y, slice(time.start, pd.Timestamp("2024-12-31"))]
    for query in ((x, y), (x, y, slice(None, None)), x):
        with pytest.raises(ParameterError, match="must name its date"):
            dataset[query]
    with pytest.raises(IndexError):
        dataset[x, y, slice(pd.Timestamp("2023-01-01"), pd.Timestamp("2023-01-02"))]
    with pytest.raises(ParameterError, match="no scene of this day"):
        dataset.at("2024-03-13")
    with pytest.raises(ParameterError, match="scenes of one day"):
        sampler(dataset, 16)


def test_a_missing_file_or_date_is_an_error_and_not_skipped(scenes: list[Scene]) -> None:
    Path(scenes[1].hrefs[0][0]).unlink()
    with pytest.raises(ImageError, match="cannot be opened"):
        SceneDataset(scenes)
    undated = replace(scenes[0], date=pd.NaT)
    with pytest.raises(ImageError, match="without a date"):
        SceneDataset([scenes[0], undated])


def test_two_scenes_of_one_day_and_place_are_refused(scenes: list[Scene]) -> None:
    with pytest.raises(ParameterError, match="same ground on one day"):
        SceneDataset([scenes[0], scenes[0]])


def test_torchgeo_samplers_and_loaders_go_through_one_day(scenes: list[Scene]) -> None:
    day = SceneDataset(scenes, labels=[ground(0)[1]] * 2).of_day("2024-07-08")
    loader = DataLoader(day, batch_size=4, sampler=sampler(day, 32), collate_fn=stack_samples)
    batches = list(loader)
    assert sum(len(batch["image"]) for batch in batches) == 6  # 64 x 96 cells in chips of 32
    cells = torch.cat([batch["mask"].flatten() for batch in batches])
    assert torch.bincount(cells)[[0, 4]].tolist() == [64 * 48, 64 * 48]
    assert len(list(sampler(day, 32, length=7))) == 7


def test_beyond_the_edge_nothing_is_valid_or_labelled(scenes: list[Scene]) -> None:
    dataset = SceneDataset(scenes[:1], labels=[ground(0)[1]])
    x, y, time = dataset.at("2024-03-12")
    sample = dataset[slice(x.start - 80, x.start + 80), slice(y.stop - 80, y.stop + 80), time]
    assert sample["image"].shape == (4, 16, 16)
    assert bool(sample["valid"][8:, 8:].all())
    assert int(sample["valid"].sum()) == 64
    assert int((sample["mask"] != 255).sum()) == 64


# ---------------------------------------------------------------------- splits


def chips(rows: int, columns: int, size: float = 320, step: float = 320) -> gpd.GeoDataFrame:
    r, c = np.divmod(np.arange(rows * columns), columns)
    shapes = shapely.box(5e5 + c * step, 2.5e6 + r * step, 5e5 + c * step + size, 2.5e6 + r * step + size)
    rare = np.where((r < rows // 3) & (c < columns // 3), 10, 0)
    return gpd.GeoDataFrame({"cells_a": 100, "cells_b": rare}, geometry=shapes, crs="EPSG:4547")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("step", [320.0, 160.0])
def test_no_block_and_no_ground_is_shared_between_the_parts(seed: int, step: float) -> None:
    table = chips(20, 20, step=step)
    part = splits.by_blocks(table, block_m=1000, share=0.25, seed=seed, class_columns=["cells_a", "cells_b"])
    block = splits.block_of(table.geometry, 1000)
    train, kept = table[part == "train"], table[part == "validation"]
    assert not set(block[part == "train"]) & set(block[part == "validation"])
    shared = shapely.intersection(shapely.union_all(train.geometry), shapely.union_all(kept.geometry)).area
    assert shared == 0
    assert 0.15 < len(kept) / len(table) < 0.4
    assert kept["cells_b"].sum() > 0
    assert (
        part.tolist()
        == splits.by_blocks(
            table, block_m=1000, share=0.25, seed=seed, class_columns=["cells_a", "cells_b"]
        ).tolist()
    )


def test_a_gap_keeps_the_parts_apart() -> None:
    table = chips(20, 20)
    part = splits.by_blocks(table, block_m=1600, share=0.25, seed=1, gap_m=500)
    train, kept = table.geometry[part == "train"], table.geometry[part == "validation"]
    assert shapely.distance(shapely.union_all(train), shapely.union_all(kept)) >= 500
    assert (part == "left_out").any()


def test_one_place_cannot_be_split() -> None:
    with pytest.raises(ParameterError, match="two places"):
        splits.by_group(["a"] * 5, 0.3, 1)


def test_whole_groups_go_to_one_part() -> None:
    groups = pd.Series(list("aabbccdd"))
    part = splits.by_group(groups, 0.25, 3)
    assert part.groupby(groups).nunique().max() == 1
    assert (part == "validation").sum() == 2


# ---------------------------------------------------------------------- labelling


def test_doubt_of_chips_by_hand() -> None:
    shares = np.zeros((2, 20, 20))
    shares[0] = 1.0
    shares[:, :10, :10] = 0.5  # undecided
    valid = np.ones((20, 20), dtype=bool)
    valid[10:, 10:] = False
    table = labelling.chip_doubts(shares, valid, 10)
    assert table["doubt"].round(6).tolist() == [1, 0, 0, 0]
    assert table["valid"].tolist() == [1, 1, 1, 0]
    assert table["share_0"].tolist() == [0.5, 1, 1, 0]
    assert labelling.chip_doubts(shares, valid, 10, measure="margin")["doubt"].tolist() == [1, 0, 0, 0]


def test_chips_chosen_are_doubtful_unlike_and_spread() -> None:
    rng = np.random.default_rng(1)
    table = chips(10, 10)
    table["valid"] = 1.0
    table["doubt"] = rng.random(100)
    kind = np.arange(100) % 4
    for k in range(4):
        table[f"share_{k}"] = (kind == k) * 0.9 + 0.02
    found = labelling.next_chips(table, 8, block_m=1000, each_block=1)
    assert len(found) == 8
    assert splits.block_of(found.geometry, 1000).is_unique
    assert found["doubt"].iloc[0] == table["doubt"].max()
    assert set(found.head(4)[[f"share_{k}" for k in range(4)]].to_numpy().argmax(axis=1)) == {0, 1, 2, 3}
    plain = table.nlargest(8, "doubt")
    assert found["doubt"].mean() > table["doubt"].mean()
    assert not splits.block_of(plain.geometry, 1000).is_unique  # what doubt alone would have chosen


# ---------------------------------------------------------------------- library


@pytest.fixture
def library(tmp_path: Path, scenes: list[Scene]) -> sample_library.SampleLibrary:
    made = sample_library.create(
        tmp_path / "library", scheme="six", bands=BANDS, crs="EPSG:4547", about="a toy"
    )
    made.add_chips(scenes[0], ground(0)[1], size=16, source="interpretation", by="tester")
    return made


def test_a_chip_comes_back_as_it_was_cut(library: sample_library.SampleLibrary, scenes: list[Scene]) -> None:
    table = library.table()
    assert len(table) == 24
    row = table[table["sample_id"].str.endswith("00016-00048-16")].iloc[0]
    image, valid, label = library.read(row["sample_id"])
    assert np.allclose(image, scenes[0].read().data[:, 16:32, 48:64], atol=1e-6)
    assert valid.all()
    assert (label == 4).all()
    assert row["cells_built"] == 256
    assert shapely.equals(row.geometry, shapely.box(500_480, 2_559_680, 500_640, 2_559_840))
    assert (row["source"], row["by"], row["date"]) == ("interpretation", "tester", pd.Timestamp("2024-03-12"))


def test_balance_counts_cells_chips_and_points(library: sample_library.SampleLibrary) -> None:
    points = gpd.GeoDataFrame(
        {"label": ["water", "built"], "date": ["2024-05-01"] * 2}, geometry=gpd.points_from_xy([500_100, 500_200], [2_559_900] * 2),
        crs="EPSG:4547",
    )  # fmt: skip
    library.add_points(points, source="field", by="visit")
    balance = library.balance().set_index(["class", "source"])
    assert balance.loc[("cropland", "interpretation"), ["cells", "chips"]].tolist() == [64 * 48, 12]
    assert balance.loc[("water", "field"), "points"] == 1
    assert balance["share"].sum() == pytest.approx(1)
    item = pystac.Item.from_file(library.folder / "library.json")
    counts = {row["name"]: row["count"] for row in item.properties["label:overviews"][0]["counts"]}
    assert counts["built"] == 64 * 48
    assert item.properties["workbench:samples"] == 26
    assert 113 < item.bbox[0] < 115  # type: ignore[index]


def test_what_is_there_is_not_added_twice_and_what_does_not_fit_not_at_all(
    library: sample_library.SampleLibrary, scenes: list[Scene]
) -> None:
    assert library.add_chips(scenes[0], ground(0)[1], size=16, source="survey", by="again") == []
    with pytest.raises(ParameterError, match="label beyond"):
        library.add_chips(scenes[1], ground(0)[1] + 4, size=16, source="survey", by="x")
    with pytest.raises(ParameterError, match="grid"):
        library.add_chips(scenes[1], ground(0)[1][:10], size=16, source="survey", by="x")
    with pytest.raises(ParameterError, match="source not known"):
        library.add_chips(scenes[1], ground(0)[1], size=16, source="rumour", by="x")
    with pytest.raises(ParameterError, match="another library"):
        sample_library.create(library.folder, scheme="loveda", bands=BANDS, crs="EPSG:4547")
    wrong = gpd.GeoDataFrame(
        {"label": ["moon"], "date": ["2024-01-01"]}, geometry=gpd.points_from_xy([0], [0]), crs="EPSG:4547"
    )
    with pytest.raises(ParameterError, match="class table"):
        library.add_points(wrong, source="field", by="x")
    assert len(library.table()) == 24


def test_a_lost_chip_is_an_error(library: sample_library.SampleLibrary) -> None:
    name = library.table()["sample_id"].iloc[0]
    (library.folder / "chips" / f"{name}.tif").unlink()
    with pytest.raises(DataQualityError, match="missing"):
        library.read(name)
    (library.folder / "library.json").write_text("{")
    with pytest.raises(DataQualityError, match="damaged"):
        _ = library.facts


def test_weak_labels_of_parcels_leave_their_borders_out() -> None:
    parcels = gpd.GeoDataFrame(
        {"dlbm": ["0101", "0701", "9999"]},
        geometry=[shapely.box(500_000, 2_559_800, 500_100, 2_560_000), shapely.box(500_100, 2_559_800, 500_200, 2_560_000),
                  shapely.box(500_200, 2_559_800, 500_300, 2_560_000)],
        crs="EPSG:4547",
    )  # fmt: skip
    grid = GeoBox((20, 40), TRANSFORM, "EPSG:4547")
    label = sample_library.parcel_labels(parcels, grid, scheme="six", border_m=10)
    assert np.array_equal(np.unique(label), [0, 4, 255])
    assert (label[1:19, 1:9] == 0).all()
    assert (label[1:19, 11:19] == 4).all()
    assert (label[:, [0, 9, 10, 19]] == 255).all()
    assert (label[:, 20:] == 255).all()  # a code of no class, and no parcel


def library_run(library: sample_library.SampleLibrary, **changes: object) -> runs.Run:
    settings: dict[str, object] = {
        "data__kind": "library", "data__library": str(library.folder), "data__chip": 16, "data__block_m": 320.0,
        "data__train": (), "data__validation": (), "machine__precision": "32-true", "machine__threads": 1,
        "net": {"family": "detail_unet", "in_channels": 4, "classes": 6, "depth": 2, "decoder": [16, 8], "detail": 8},
        "loss": {"terms": {"generalised_cross_entropy": 1.0, "dice": 0.5}}, "optimiser__epochs": 3, "optimiser__chips": 64,
        "optimiser__batch": 8, "optimiser__lr": 0.01,
    }  # fmt: skip
    return runs.read("demo_land_cover", **(settings | changes))


def test_a_net_is_trained_from_a_library_split_by_place(
    library: sample_library.SampleLibrary, tmp_path: Path
) -> None:
    run = library_run(library)
    parts = library_parts(run)
    blocks = splits.block_of(parts.table.geometry, 320.0)
    assert not set(blocks[parts.part == "train"]) & set(blocks[parts.part == "validation"])
    lines: list[str] = []
    training.fit(run, tmp_path / "run", say=lines.append)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["score"] > 0.9
    path = training.finish(run, tmp_path / "run", tmp_path / "weights")
    assert (
        json.loads(path.with_suffix(".json").read_text())["properties"]["workbench:card"]["accuracy"][
            "overall"
        ]
        > 0.9
    )


def test_a_net_of_change_is_trained_from_pairs_and_measured_on_the_image_held_out(tmp_path: Path) -> None:
    made = sample_library.create(tmp_path / "library", scheme="change", bands=BANDS, crs="EPSG:4547", dates=2)
    for place, name in enumerate(("learnt", "told")):
        (tmp_path / name).mkdir()
        transform = Affine(10, 0, 500_000 + 10_000 * place, 0, -10, 2_560_000)
        image, label = ground(place)
        old = np.where(
            np.arange(96) < 72, image[:, :, :1], image
        )  # the third quarter of the columns is built up later
        early = write_scene(tmp_path / name, "2023-07-08", old, transform)
        late = replace(write_scene(tmp_path / name, "2024-07-08", image, transform), name=name)
        truth = (label == 4) & (np.arange(96) < 72)
        ids = made.add_chips(
            Pair(early, late), truth.astype(np.uint8), size=16, source="interpretation", by="tester"
        )
        assert len(ids) == 24
    stacked, valid, label = made.read("told-00000-00048-16")
    assert stacked.shape == (8, 16, 16)
    assert np.allclose(
        stacked[4:] - stacked[:4],
        late.read().data[:, :16, 48:64] - early.read().data[:, :16, 48:64],
        atol=1e-6,
    )
    assert valid.all()
    assert (label == 1).all()
    assert set(made.table()["image"]) == {"learnt", "told"}
    net = {
        "family": "detail_unet",
        "in_channels": 8,
        "classes": 1,
        "depth": 2,
        "decoder": [16, 8],
        "detail": 8,
    }
    some = {
        "task": "change",
        "scheme": "change",
        "net": net,
        "data__hold_out": ("told",),
        "augmentation": {"holes": 0.0},
        "loss": {"terms": {"cross_entropy": 1.0}},
    }
    run = library_run(made, **some)
    parts = library_parts(run)
    assert set(parts.table["image"][parts.part == "train"]) == {"learnt"}
    training.fit(run, tmp_path / "run", say=lambda text: None)
    path = training.finish(run, tmp_path / "run", tmp_path / "weights")
    card = weights.load(path).card
    assert (card.task, card.classes, card.bands, card.threshold) == ("change", ("changed",), BANDS, 0.5)
    assert card.accuracy["f1"]["changed"] > 0.8
    with pytest.raises(ParameterError, match="number of dates"):
        library_parts(library_run(made, scheme="change"))
    with pytest.raises(ParameterError, match="number of dates"):
        made.add_chips(late, truth.astype(np.uint8), size=16, source="interpretation", by="tester")
    with pytest.raises(ParameterError, match="no samples of these images"):
        library_parts(library_run(made, **{**some, "data__hold_out": ("moon",)}))


def test_a_library_that_does_not_fit_the_run_is_refused(library: sample_library.SampleLibrary) -> None:
    with pytest.raises(ParameterError, match="not those of the run"):
        library_parts(library_run(library, scheme="loveda"))
    with pytest.raises(ParameterError, match="no sample library"):
        library_parts(library_run(library, data__library="/absent"))
    with pytest.raises(ParameterError, match="smaller than the run's"):
        LibraryChips(
            library,
            [library.table()["sample_id"].iloc[0]],
            size=64,
            mean=[0.1] * 4,
            std=[0.1] * 4,
            bands=BANDS,
        )[0]


# ---------------------------------------------------------------------- classes


def test_every_code_of_the_crosswalk_exists() -> None:
    from workbench.core.codes import survey_codes
    from workbench.core.paths import PACKAGE

    survey = set(survey_codes().index)
    plan = set(pd.read_csv(PACKAGE / "codes" / "plan_classes.csv", dtype=str)["code"])
    for name in classes.schemes():
        table = classes.scheme(name)
        assert table["value"].tolist() == list(range(1, len(table) + 1))
        for row in table.itertuples():
            assert set(row.survey_codes) <= survey, (name, row.name_en, set(row.survey_codes) - survey)
            assert set(row.plan_classes) <= plan, (name, row.name_en, set(row.plan_classes) - plan)
            assert row.source
            assert row.confidence


def test_the_demos_classes_are_those_of_its_images() -> None:
    from workbench.samples.cover import CODES
    from workbench.samples.sensor import CLASSES, class_of_codes

    assert classes.scheme("six")["class"].tolist() == list(CLASSES)
    table, look = classes.class_of_survey("six"), class_of_codes()
    for number, code in enumerate(CODES):
        if code:
            assert table.get(code) == look[number] + 1, code


def test_no_such_scheme() -> None:
    with pytest.raises(ParameterError, match="no such scheme"):
        classes.scheme("absent")
