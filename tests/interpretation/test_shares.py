"""A map made in shares, by several processes, against one made in one go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.interpretation.test_imagery import counts, ground, write
from tests.interpretation.test_predict import tiny
from workbench.cli import main
from workbench.core.errors import ParameterError, RunError
from workbench.interpretation import predict, strips, weights
from workbench.interpretation.imagery import Scene

HOW = {"engine": "torch-f32", "tile": 128, "overlap": 32}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene.of_file(write(tmp_path / "image_20250312.tif", counts(ground((500, 150)))))


def test_shares_join_to_the_map_of_one_run_bit_for_bit(home: Path, tmp_path: Path, scene: Scene) -> None:
    model = tiny(tmp_path)
    one = predict.predict(scene, model, tmp_path / "one" / "map.tif", probabilities=True, **HOW)
    out = tmp_path / "map.tif"
    for number in (3, 1):  # in any order
        predict.share(scene, model, out, number, 4, probabilities=True, **HOW)
    made = len(list(strips.partial(out).glob("classes-*.tif")))
    assert 0 < made < -(-500 // 96)
    assert not out.exists()
    with pytest.raises(RunError, match="made with something else"):
        predict.share(scene, model, out, 2, 4, engine="torch-f32", tile=128, overlap=64, probabilities=True)
    joined = predict.predict(
        scene, model, out, tile=128, overlap=32, probabilities=True
    )  # makes 2 and 4, with the engine of the others
    for mine, other in ((joined.path, one.path), (joined.probabilities, one.probabilities)):
        assert mine is not None
        assert other is not None
        assert mine.read_bytes() == other.read_bytes()
    assert joined.record["pixels"] == one.record["pixels"]
    assert joined.record["engine"] == "torch-f32"
    assert not strips.partial(out).exists()


def test_shares_hold_a_map_together_and_keep_others_off(home: Path, tmp_path: Path, scene: Scene) -> None:
    model, out = tiny(tmp_path), tmp_path / "map.tif"
    with pytest.raises(ParameterError, match="must compute alike"):
        predict.share(scene, model, out, 1, 2)
    with pytest.raises(ParameterError, match="no such share"):
        predict.share(scene, model, out, 3, 2, **HOW)
    predict.share(scene, model, out, 1, 2, **HOW)
    pins = strips.pinned(out)
    assert pins is not None
    held = strips.Strips(out, scene.grid, 96, [])
    with held.held({key: value for key, value in pins.items() if key != "version"}, resume=True, shared=True):
        predict.share(scene, model, out, 2, 2, tile=128, overlap=32)  # beside another share
        with pytest.raises(RunError, match="another run is writing"):
            predict.predict(scene, model, out, tile=128, overlap=32)
    predict.predict(scene, model, out, tile=128, overlap=32)
    assert json.loads(strips.record_path(out).read_text())["engine"] == "torch-f32"


def test_command_makes_a_share_and_says_what_comes_next(home: Path, tmp_path: Path, scene: Scene) -> None:
    path = weights.save(tiny(tmp_path).net, tiny(tmp_path).card, tmp_path / "w")
    image = scene.hrefs[0][0]
    command = ["predict", str(image), "--weights", str(path), "--out", str(tmp_path / "map.tif"), "--engine", "torch-f32"]  # fmt: skip
    done = CliRunner().invoke(main, [*command, "--tile", "128", "--part", "1/2"])
    assert done.exit_code == 0, done.output
    assert "share 1 of 2 is made" in done.output
    wrong = CliRunner().invoke(main, [*command, "--part", "3/2"])
    assert wrong.exit_code == 2
    assert "3/2 is no share" in wrong.output


@pytest.mark.slow
def test_workers_of_dask_make_the_map_of_one_run(home: Path, tmp_path: Path, scene: Scene) -> None:
    from dask.distributed import Client, LocalCluster

    model = tiny(tmp_path)
    one = predict.predict(scene, model, tmp_path / "one" / "map.tif", **HOW)
    out = tmp_path / "map.tif"
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        path = str(tmp_path / "weights" / "tiny.safetensors")  # workers load it themselves
        places = list(client.scheduler_info()["workers"])
        jobs = [
            client.submit(predict.share, scene, path, out, k + 1, 2, workers=[place], pure=False, **HOW)
            for k, place in enumerate(places)
        ]
        client.gather(jobs)
        assert len(places) == 2
    assert len(list(strips.partial(out).glob("classes-*.tif"))) == -(-500 // 96)
    joined = predict.predict(scene, model, out, tile=128, overlap=32)
    assert joined.path.read_bytes() == one.path.read_bytes()
