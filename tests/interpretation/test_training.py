from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workbench.core.errors import ParameterError, WeightsError
from workbench.interpretation import measuring, runs, training, training_cities, weights
from workbench.interpretation.augment import NONE, Augmentation, augment, moved
from workbench.interpretation.city_chips import CityChips, standardize
from workbench.interpretation.runs import Run
from workbench.interpretation.training_cities import TrainingCity, change_truth, make_city

SIDE = 160


def toy_city(folder: Path, seed: int) -> TrainingCity:
    """Two classes of ground (0 green, 4 bright) in squares; in the later year some green squares became bright."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    before = np.kron(rng.random((10, 10)) < 0.3, np.ones((16, 16))).astype(bool)
    grown = np.kron(rng.random((10, 10)) < 0.2, np.ones((16, 16))).astype(bool) & ~before
    bright = np.stack([before, before | grown])
    spectra = np.array([[600, 900, 700, 3200], [1500, 1600, 1700, 2200]])
    images = spectra[bright.astype(int)].transpose(0, 3, 1, 2)[:, None].repeat(3, axis=1)
    images = images + rng.normal(0, 120, images.shape)
    np.save(folder / "images.npy", images.clip(1, 12_000).astype(np.uint16))
    np.save(folder / "clear.npy", np.ones((2, 3, SIDE, SIDE), dtype=bool))
    np.save(folder / "classes.npy", np.where(bright, 4, 0).astype(np.uint8))
    np.save(folder / "change.npy", grown.astype(np.uint8))
    (folder / "city.json").write_text(json.dumps({"seed": seed, "extra": 0}))
    return TrainingCity(folder)


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, TrainingCity]:
    made = {seed: toy_city(tmp_path / f"city{seed}", seed) for seed in (1, 2, 3)}
    monkeypatch.setattr(training, "make_city", lambda seed, extra=0: made[seed])
    return made


def toy_run(**changes: Any) -> Run:
    settings: dict[str, Any] = {
        "machine__precision": "32-true", "data__train": (1, 2), "data__validation": (3,), "data__chip": 32, "data__validation_chip": 64,
        "optimiser__epochs": 2, "optimiser__chips": 48, "optimiser__validation_chips": 6, "optimiser__batch": 8,
        "optimiser__lr": 0.01, "optimiser__warm_up": 0.0, "machine__threads": 1,
        "net": {"family": "detail_unet", "in_channels": 8, "classes": 1, "depth": 2, "decoder": [16, 8], "detail": 8},
    }  # fmt: skip
    return runs.read("demo_change", **(settings | changes))


def test_a_net_learns_and_the_score_on_another_place_rises(
    toys: dict[int, TrainingCity], tmp_path: Path
) -> None:
    lines: list[str] = []
    run = toy_run(optimiser__epochs=5)
    best = training.fit(run, tmp_path / "run", say=lines.append)
    log = np.genfromtxt(tmp_path / "run" / "log" / "metrics.csv", delimiter=",", names=True)
    losses = log["train_loss"][~np.isnan(log["train_loss"])]
    scores = log["val_score"][~np.isnan(log["val_score"])]
    assert losses[-1] < 0.6 * losses[0]
    assert scores.max() > 0.8
    assert sum("epoch" in line for line in lines) == 5
    path = training.finish(run, tmp_path / "run", tmp_path / "weights")
    model = weights.load(path)
    assert model.card.threshold is not None
    place = model.card.accuracy["by_place"]["seed 3"]
    assert place["recall"] > 0.8
    assert place["precision"] > 0.8
    assert model.card.training["run"]["data"]["train"] == [1, 2]
    assert best.name == "best.ckpt"


def test_a_run_broken_off_and_resumed_equals_one_without_a_break(
    toys: dict[int, TrainingCity], tmp_path: Path
) -> None:
    run = toy_run()
    training.fit(run, tmp_path / "whole")
    training.fit(run, tmp_path / "parts", stop_after=1)
    training.fit(run, tmp_path / "parts", resume=True)
    whole, parts = (
        training.trained_net(run, tmp_path / name / "last.ckpt").state_dict() for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_folder_with_another_run_is_not_overwritten(toys: dict[int, TrainingCity], tmp_path: Path) -> None:
    training.fit(toy_run(), tmp_path, stop_after=1)
    with pytest.raises(ParameterError, match="holds a run already"):
        training.fit(toy_run(), tmp_path)
    with pytest.raises(ParameterError, match="other settings"):
        training.fit(toy_run(optimiser__lr=0.02), tmp_path, resume=True)


def test_a_checkpoint_with_code_is_refused_and_does_not_run(
    toys: dict[int, TrainingCity], tmp_path: Path
) -> None:
    run = toy_run()
    training.fit(run, tmp_path / "run", stop_after=1)
    mark = tmp_path / "ran"

    class Bad:
        def __reduce__(self) -> Any:
            return (mark.touch, ())

    torch.save({"state_dict": Bad()}, tmp_path / "run" / "last.ckpt")
    with pytest.raises(WeightsError, match="more than numbers"):
        training.fit(run, tmp_path / "run", resume=True)
    with pytest.raises(WeightsError, match="more than numbers"):
        training.trained_net(run, tmp_path / "run" / "last.ckpt")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data__validation": (1,)}, "trained on and measured on"),
        ({"data__mean": (0.1,)}, "number for each band"),
        ({"optimiser__epochs": 0}, "greater than or equal"),
        ({"augmentation": {"rain": 1}}, "setting not known"),
        ({"data__surprise": 1}, "not permitted"),
        ({"data__bands": ("red", "nir"), "data__mean": (0.1, 0.2), "data__std": (0.1, 0.1)}, "channels"),
    ],
)
def test_a_run_that_cannot_be_is_refused_before_it_begins(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        toy_run(**changes)


def test_the_runs_of_the_package_never_use_the_cities_of_demo_and_tests() -> None:
    for name in runs.shipped():
        data = runs.read(name).data
        for seed in (*data.train, *data.validation):
            training_cities.check_seed(seed)
    for seed in (7, 77, 4242, 20250, 100_000):
        with pytest.raises(ParameterError, match="kept for"):
            make_city(seed)
    with pytest.raises(ParameterError, match="no such run"):
        runs.read("absent")


def test_what_became_built_is_the_target_and_parks_and_rebuilt_land_count_nowhere() -> None:
    from workbench.samples.cover import OF

    before = np.array([[OF["0101"], OF["0101"], OF["0101"], OF["0701"], OF["0101"]]])
    after = np.array([[OF["0701"], OF["0810"], OF["1104"], OF["0601"], OF["0101"]]])
    assert change_truth(before, after).tolist() == [[1, 255, 0, 255, 0]]


def test_chips_of_an_epoch_are_the_same_again_and_others_in_the_next(toys: dict[int, TrainingCity]) -> None:
    def chips(epoch: int) -> list[dict[str, torch.Tensor]]:
        made = CityChips([toys[1], toys[2]], "change", length=4, size=32, seed=5, epoch=epoch, mean=[0.1] * 4, std=[0.1] * 4,
                         how=Augmentation())  # fmt: skip
        return [made[k] for k in range(4)]

    first, again, later = chips(0), chips(0), chips(1)
    assert all(
        torch.equal(a["image"], b["image"]) and torch.equal(a["mask"], b["mask"])
        for a, b in zip(first, again, strict=True)
    )
    assert not any(torch.equal(a["image"], b["image"]) for a, b in zip(first, later, strict=True))
    assert first[0]["image"].shape == (8, 32, 32)


def test_invalid_cells_are_zero_and_have_no_label(toys: dict[int, TrainingCity]) -> None:
    clear = np.ones((2, 3, SIDE, SIDE), dtype=bool)
    clear[1, :, :80] = False
    np.save(toys[1].folder / "clear.npy", clear)
    chip = CityChips(
        [TrainingCity(toys[1].folder)],
        "change",
        length=8,
        size=SIDE,
        seed=1,
        epoch=0,
        mean=[0.1] * 4,
        std=[0.1] * 4,
    )[0]
    assert bool((chip["mask"][:80] == 255).all())
    assert bool((chip["image"][4:, :80] == 0).all())
    assert bool((chip["image"][:4, :80] != 0).any())


def test_standardize_by_hand() -> None:
    image = np.full((1, 2, 1, 2), 0.3, dtype=np.float32)
    ready = standardize(image, np.array([[[True, False]]]), [0.1, 0.2], [0.1, 0.05])
    assert np.allclose(ready, [[[2.0, 0.0]], [[2.0, 0.0]]], atol=1e-5)


def test_augmentation_keeps_image_mask_and_label_together() -> None:
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2, (24, 24)).astype(np.uint8)
    valid = rng.random((2, 24, 24)) < 0.9
    image = (
        np.stack([np.where(label, 0.3, 0.1) * valid[d] for d in (0, 1)])[:, None]
        .repeat(4, axis=1)
        .astype(np.float32)
    )
    how = Augmentation(gain=0, offset=0, season=0, haze=0, noise=0, shift=0, holes=0, veils=0)
    for seed in range(12):
        got, seen, truth = augment(
            image, valid, label, ("blue", "green", "red", "nir"), np.random.default_rng(seed), how
        )
        assert np.allclose(got[:, 0], np.where(truth, 0.3, 0.1) * seen)
    same, _, _ = augment(image, valid, label, ("blue", "green", "red", "nir"), rng, NONE)
    assert np.array_equal(same, image)


def test_a_shift_of_half_a_cell_is_the_mean_of_two_neighbours() -> None:
    image = np.arange(12, dtype=float).reshape(1, 3, 4)
    assert moved(image, 0, 0.5)[0, 0].tolist() == [0.0, 0.5, 1.5, 2.5]
    assert moved(image, -1, 0)[0].tolist() == [
        image[0, 1].tolist(),
        image[0, 2].tolist(),
        image[0, 2].tolist(),
    ]


def test_patch_scores_by_hand() -> None:
    truth = np.zeros((20, 20), dtype=np.uint8)
    truth[2:6, 2:6] = 1  # 16 cells, found whole
    truth[10:14, 2:6] = 1  # 16 cells, a quarter told: missed
    truth[10:12, 12:14] = 1  # 4 cells: too small to count, found
    truth[0, :] = 255
    told = np.zeros((20, 20), dtype=bool)
    told[2:6, 2:6] = told[10, 2:6] = told[10:12, 12:14] = True
    told[16:19, 10:16] = True  # 18 cells, false
    told[0, :] = True  # not counted
    score = measuring.patch_scores(told, truth, np.ones((20, 20), dtype=bool))
    assert (score["recall"], score["precision"], score["patches"], score["told"]) == (0.5, 0.5, 2, 2)
    assert score["by_size"]["4-9"] == {"patches": 1, "recall": 1.0}
    assert score["cell_iou"] == round(24 / (36 + 18), 4)


def test_logits_of_strips_equal_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    net = torch.nn.Conv2d(4, 2, 5, padding=2)
    net.step = 4  # type: ignore[assignment]
    image = np.random.default_rng(1).integers(1, 4000, (1, 4, 150, 90)).astype(np.uint16)
    valid = np.ones((1, 150, 90), dtype=bool)
    whole = measuring.logits_of(net, image, valid, [0.1] * 4, [0.1] * 4)
    monkeypatch.setattr(measuring, "_STRIP", 40)
    monkeypatch.setattr(measuring, "_MARGIN", 8)
    strips = measuring.logits_of(net, image, valid, [0.1] * 4, [0.1] * 4)
    assert np.allclose(whole, strips, atol=0.05)  # bfloat16


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"net__family": "vit_giant"}, "family of net"),
        ({"net__classes": 5}, "net.classes"),
        ({"net__depth": 9}, "net"),
        ({"loss__terms": {"crossentropy": 1.0}}, "loss not known"),
        ({"loss__weights": [1.0, 2.0]}, "weight for each class"),
        ({"data__train": [20250]}, "kept for the demo city"),
    ],
)
def test_a_run_that_cannot_be_finished_is_refused_before_it_begins(
    changes, said, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(training, "make_city", None)  # nothing is generated
    with pytest.raises(ParameterError, match=said):
        training.fit(runs.read("demo_land_cover", **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()
