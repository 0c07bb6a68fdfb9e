"""Training shared by two processes of the CPU (DDP over gloo), held against what one process counts."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest
from affine import Affine

from tests.interpretation.test_samples import BANDS, ground, write_scene
from workbench.interpretation import datasets, measuring, runs, sample_library, training, weights

TOML = """
name = "toy"
task = "land_cover"
seed = 5
[data]
kind = "library"
library = "{folder}/library"
hold_out = ["image_2024-07-08"]
mean = [0.1, 0.12, 0.12, 0.27]
std = [0.05, 0.04, 0.05, 0.05]
chip = 16
[net]
family = "detail_unet"
in_channels = 4
classes = 6
depth = 2
decoder = [16, 8]
detail = 8
[loss]
terms = {{ cross_entropy = 1.0 }}
[optimiser]
lr = 0.01
warm_up = 0.0
epochs = 2
chips = 48
batch = 8
[machine]
precision = "32-true"
threads = 1
"""


@pytest.mark.slow
def test_two_processes_share_the_chips_and_agree_on_the_score(tmp_path: Path) -> None:
    library = sample_library.create(tmp_path / "library", scheme="six", bands=BANDS, crs="EPSG:4547")
    for day, east, wide in (("2024-03-12", 0, 96), ("2024-07-08", 5000, 48)):
        image, label = ground(int(east), 48, wide)
        scene = write_scene(tmp_path, day, image, Affine(10, 0, 500_000 + east, 0, -10, 2_560_000))
        library.add_chips(scene, label, size=16, source="interpretation", by="tester")
    (tmp_path / "toy.toml").write_text(TOML.format(folder=tmp_path))
    script = Path(__file__).with_name("several_processes.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]

    seen: dict[tuple[str, str], list[set[int]]] = defaultdict(list)
    for rank in (0, 1):
        rows = pd.read_csv(tmp_path / f"seen-{rank}", sep=" ", names=["part", "epoch", "index"])
        for (part, epoch), some in rows.groupby(["part", "epoch"]):
            seen[str(part), str(epoch)].append(set(some["index"]))
    for epoch in "01":  # each process its own half of each epoch's chips
        mine, others = seen["train", epoch]
        assert len(mine) == len(others) == 24
        assert mine | others == set(range(48))
    mine, others = seen["validation", "0"]  # nine chips: one process has one to fill up, without labels
    assert mine | others == set(range(9))
    assert mine & others <= {0}

    folder = tmp_path / "run"
    assert sorted(path.name for path in folder.iterdir()) == ["best.ckpt", "last.ckpt", "log", "run.json"]
    assert sum("epoch 2/2" in line for line in done.stdout.splitlines()) == 1
    run = runs.read(tmp_path / "toy.toml")
    net = training.trained_net(run, folder / "last.ckpt")
    chips = datasets.library_parts(run).dataset("validation", 0)
    matrix = sum(
        measuring.confusion(net, chips[k]["image"][None], chips[k]["mask"][None], 6) for k in range(9)
    )
    by_one = measuring.scores(matrix, list("abcdef"))["f1"]
    log = pd.read_csv(folder / "log" / "metrics.csv")
    assert log["val_score"].dropna().iloc[-1] == pytest.approx((by_one["a"] + by_one["e"]) / 2, abs=1e-3)
    assert log["step"].max() == 2 * 48 // 8 - 1
    card = weights.load(tmp_path / "weights" / "toy.safetensors").card
    assert card.accuracy["overall"] > card.accuracy["largest_class_share"] + 0.1
