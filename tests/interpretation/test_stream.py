"""Streamed inference against the same net on the whole image at once."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from torch import nn

from workbench.core.errors import GridMismatch, ParameterError, RunError
from workbench.interpretation import engines, stream, strips
from workbench.interpretation.imagery import Scene
from workbench.interpretation.stream import MapClass
from workbench.interpretation.tile_reading import Buffers
from workbench.interpretation.tiling import Axis, Blender, DeviceBlender, Layout

CLASSES = [MapClass(f"class {one}", f"类{one}", f"#{one}0{one}080") for one in range(1, 4)]
MEAN, STD = [0.1, 0.2], [0.05, 0.08]


def picture(path: Path, shape=(300, 421), seed=3, hole=True, date="2025-03-01", mask=None) -> Scene:
    rng = np.random.default_rng(seed)
    smooth = np.cumsum(np.cumsum(rng.standard_normal((2, *shape)), axis=1), axis=2)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    data = (500 + 3000 * smooth + 200 * rng.random((2, *shape))).astype(np.uint16)
    if hole:
        data[:, 40:90, 200:260] = 0
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=2, dtype="uint16", nodata=0, tiled=True,
        crs="EPSG:4547", transform=from_origin(464000, 2577000, 10, 10), blockxsize=128, blockysize=128,
    ) as file:  # fmt: skip
        file.write(data)
    return Scene.of_file(path, bands=("red", "nir"), date=date, mask=mask)


def net(classes=3) -> nn.Module:
    torch.manual_seed(1)
    parts = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, classes, 5, padding=2))
    return parts.eval()


def forward_of(module: nn.Module):
    def forward(batch):
        with torch.inference_mode():  # one by one: what a batch is made of must not matter
            return np.concatenate([module(torch.from_numpy(one[None])).numpy() for one in batch])

    return forward


def whole(scene: Scene, module: nn.Module) -> np.ndarray:
    """Logits of the whole image at once, mirrored beyond the edge."""
    with rasterio.open(scene.hrefs[0][0]) as file:
        data = file.read()
    valid = ~(data == 0).all(axis=0)
    values = (data * 1e-4 - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
    values = np.where(valid, values, 0).astype(np.float32)
    padded = np.pad(values, ((0, 0), (8, 8), (8, 8)), mode="reflect")
    with torch.inference_mode():
        logits = module(torch.from_numpy(padded[None])).numpy()[0, :, 8:-8, 8:-8]
    return np.where(valid, logits, np.nan)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


OPTIONS = dict(classes=CLASSES, mean=MEAN, std=STD, tile=128, overlap=32, multiple=16)


def test_equals_the_net_on_the_whole_image(tmp_path):
    scene = picture(tmp_path / "a.tif")
    made = stream.run([scene], forward_of(net()), tmp_path / "out.tif", **OPTIONS, probabilities=True)
    logits = whole(scene, net())
    hidden = np.isnan(logits[0])
    expected = np.where(hidden, 0, np.nan_to_num(logits).argmax(axis=0) + 1)
    found = read(made.path)[0]
    assert (found == expected).mean() > 0.9999
    assert (found == 0).sum() == hidden.sum() == 50 * 60
    shares = np.exp(logits) / np.exp(logits).sum(axis=0)
    stored = read(made.probabilities)
    assert np.abs(stored[:, ~hidden] / 250 - shares[:, ~hidden]).max() < 0.0021
    assert (stored[:, hidden] == 255).all()
    assert made.record["pixels"] == {
        "nodata": 3000,
        **{f"class {n}": int((found == n).sum()) for n in (1, 2, 3)},
    }


def test_output_is_a_georeferenced_cog_with_overviews_and_class_table(tmp_path):
    scene = picture(tmp_path / "a.tif", shape=(700, 900))
    made = stream.run([scene], forward_of(net()), tmp_path / "out.tif", **OPTIONS)
    with rasterio.open(made.path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.crs.to_epsg() == 4547 and file.transform == from_origin(464000, 2577000, 10, 10)
        assert file.overviews(1) and file.nodata == 0 and file.dtypes == ("uint8",)
        assert (
            file.colormap(1)[2] == (0x20, 0x20 - 0x20 + 0x02, 0x08 * 16, 255) or file.colormap(1)[2][3] == 255
        )
        assert json.loads(file.tags()["CLASSES"]) == ["nodata", "class 1", "class 2", "class 3"]
    assert not strips.partial(made.path).exists()
    record = json.loads((tmp_path / "out.tif.json").read_text("utf-8"))
    assert record["inputs"][0]["sha256"] == scene.sha256 and record["sensitivity"] == "公开"


@pytest.mark.parametrize(("tile", "batch"), [(96, 1), (128, 3), (256, 2), (512, 1)])
def test_tile_and_batch_do_not_show(tmp_path, tile, batch):
    scene = picture(tmp_path / "a.tif")
    options = OPTIONS | {"tile": tile, "batch": batch}
    first = stream.run([scene], forward_of(net()), tmp_path / "a_out.tif", **OPTIONS)
    other = stream.run([scene], forward_of(net()), tmp_path / "b_out.tif", **options)
    agree = (read(first.path) == read(other.path)).mean()
    assert agree == 1.0 if tile == 128 else agree > 0.9999


def test_several_devices_share_the_rows_and_give_the_same(tmp_path):
    scene = picture(tmp_path / "a.tif")
    one = stream.run([scene], forward_of(net()), tmp_path / "one.tif", **OPTIONS, probabilities=True)
    three = stream.run(
        [scene], [forward_of(net())] * 3, tmp_path / "three.tif", **OPTIONS, probabilities=True
    )
    assert np.array_equal(read(one.path), read(three.path))
    assert np.array_equal(read(one.probabilities), read(three.probabilities))
    assert three.record["devices"] == 3


def test_stopped_and_gone_on_with_is_the_same(tmp_path):
    scene, calls = picture(tmp_path / "a.tif"), []
    plain = forward_of(net())
    whole_run = stream.run([scene], plain, tmp_path / "whole.tif", **OPTIONS)

    def stopped(batch):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return plain(batch)

    with pytest.raises(KeyboardInterrupt):
        stream.run([scene], stopped, tmp_path / "out.tif", **OPTIONS)
    kept = sorted(strips.partial(tmp_path / "out.tif").glob("classes-*.tif"))
    assert kept and not (tmp_path / "out.tif").exists()
    again = stream.run([scene], plain, tmp_path / "out.tif", **OPTIONS)
    assert (tmp_path / "whole.tif").read_bytes() == again.path.read_bytes() == whole_run.path.read_bytes()


def test_killed_process_goes_on_bit_for_bit(tmp_path):
    scene = picture(tmp_path / "a.tif", shape=(900, 421))
    script = tmp_path / "slow.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_stream import *
        plain = forward_of(net())
        def slow(batch):
            time.sleep(0.05)
            return plain(batch)
        scene = Scene.of_file({scene.hrefs[0][0]!r}, bands=("red", "nir"), date="2025-03-01")
        stream.run([scene], slow, Path({str(tmp_path / "out.tif")!r}), **OPTIONS)
        """)
    )
    process = subprocess.Popen([sys.executable, str(script)])
    folder = strips.partial(tmp_path / "out.tif")
    while process.poll() is None and len(list(folder.glob("classes-*.tif"))) < 2:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = len(list(folder.glob("classes-*.tif")))
    assert 2 <= left < 9, "killed midway"
    done = []
    made = stream.run(
        [scene],
        forward_of(net()),
        tmp_path / "out.tif",
        **OPTIONS,
        progress=lambda one, total: done.append(one),
    )
    assert done[0] == left * Layout.of((900, 421), tile=128, overlap=32, multiple=16).cols.count
    plain = stream.run([scene], forward_of(net()), tmp_path / "plain.tif", **OPTIONS)
    assert made.path.read_bytes() == plain.path.read_bytes()


def test_unfinished_run_of_something_else_is_refused(tmp_path):
    scene, out = picture(tmp_path / "a.tif"), tmp_path / "out.tif"
    calls = []

    def broken(batch):
        calls.append(1)
        if len(calls) > 7:
            raise KeyboardInterrupt
        return forward_of(net())(batch)

    with pytest.raises(KeyboardInterrupt):
        stream.run([scene], broken, out, **OPTIONS, pins={"weights": "aa"})
    with pytest.raises(RunError, match=r"made with something else.*weights: aa.*weights: bb.*--fresh"):
        stream.run([scene], forward_of(net()), out, **OPTIONS, pins={"weights": "bb"})
    other = picture(tmp_path / "b.tif", seed=4)
    with pytest.raises(RunError, match="inputs"):
        stream.run([other], forward_of(net()), out, **OPTIONS, pins={"weights": "aa"})
    fresh = stream.run([other], forward_of(net()), out, **OPTIONS, pins={"weights": "bb"}, resume=False)
    direct = stream.run([other], forward_of(net()), tmp_path / "direct.tif", **OPTIONS)
    assert np.array_equal(read(fresh.path), read(direct.path))


def test_two_processes_do_not_write_one_output(tmp_path):
    scene, out = picture(tmp_path / "a.tif"), tmp_path / "out.tif"
    made = strips.Strips(out, scene.grid, 96, [])
    with made.held({}, resume=True), pytest.raises(RunError, match="another run"):
        stream.run([scene], forward_of(net()), out, **OPTIONS)


def test_memory_that_does_not_suffice_halves_the_batch(tmp_path):
    scene, sizes = picture(tmp_path / "a.tif"), []
    plain = forward_of(net())

    def small(batch):
        sizes.append(len(batch))
        if len(batch) > 1:
            raise torch.OutOfMemoryError("no memory")
        return plain(batch)

    made = stream.run([scene], small, tmp_path / "out.tif", **OPTIONS | {"batch": 4})
    assert sizes[:3] == [4, 2, 1] and max(sizes[3:]) == 1 and made.record["batch_used"] == 1
    reference = stream.run([scene], plain, tmp_path / "ref.tif", **OPTIONS)
    assert np.array_equal(read(made.path), read(reference.path))

    def never(batch):
        raise torch.OutOfMemoryError("no memory")

    with pytest.raises(RunError, match="smaller tile"):
        stream.run([scene], never, tmp_path / "never.tif", **OPTIONS)


def test_full_disk_is_told_and_nothing_stands_under_the_final_name(tmp_path, monkeypatch):
    scene, out = picture(tmp_path / "a.tif"), tmp_path / "out.tif"
    calls = []

    def full(handle):
        calls.append(1)
        if len(calls) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(RunError, match="disk is full"):
        patch.setattr(strips.os, "fsync", full)
        stream.run([scene], forward_of(net()), out, **OPTIONS)
    assert not out.exists() and not list(tmp_path.glob("**/*.tmp"))
    scarce = shutil.disk_usage(tmp_path)._replace(free=1000)
    with monkeypatch.context() as patch, pytest.raises(RunError, match="disk is full"):
        patch.setattr(strips.shutil, "disk_usage", lambda where: scarce)
        stream.run([scene], forward_of(net()), out, **OPTIONS)
    made = stream.run([scene], forward_of(net()), out, **OPTIONS)
    plain = stream.run([scene], forward_of(net()), tmp_path / "plain.tif", **OPTIONS)
    assert np.array_equal(read(made.path), read(plain.path))


def test_dates_are_averaged_where_clear(tmp_path):
    masks = []
    for number, place in enumerate((slice(0, 150), slice(100, 200))):
        hidden = np.zeros((300, 421), dtype=np.uint8)
        hidden[place] = 1
        masks.append(tmp_path / f"cloud{number}.tif")
        with rasterio.open(
            masks[-1], "w", driver="GTiff", height=300, width=421, count=1, dtype="uint8", crs="EPSG:4547",
            transform=from_origin(464000, 2577000, 10, 10),
        ) as file:  # fmt: skip
            file.write(hidden, 1)
    scenes = [picture(tmp_path / f"{n}.tif", seed=n, hole=False, mask=masks[n]) for n in (0, 1)]
    made = stream.run(
        scenes, pixelwise, tmp_path / "out.tif", **OPTIONS, several_dates=True, probabilities=True
    )
    logits = np.stack([pixelwise(standard(scene)[None])[0] for scene in scenes])
    clear = np.stack([read(mask)[0] == 0 for mask in masks])
    log_shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    with np.errstate(invalid="ignore"):
        mean = (log_shares * clear[:, None]).sum(axis=0) / clear.sum(axis=0)
    unseen = ~clear.any(axis=0)
    expected = np.where(unseen, 0, np.nan_to_num(mean).argmax(axis=0) + 1)
    found = read(made.path)[0]
    assert unseen.sum() == 50 * 421 and np.array_equal(found == 0, unseen)
    assert (found == expected).mean() > 0.9999
    shares = np.exp(mean) / np.exp(mean).sum(axis=0)
    assert np.nanmax(np.abs(read(made.probabilities) / 250 - shares)[:, ~unseen]) < 0.0021


def standard(scene: Scene) -> np.ndarray:
    data = scene.read().data
    return ((data - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]).astype(np.float32)


def pixelwise(batch):
    red, nir = batch[:, 0], batch[:, 1]
    return np.stack([red, nir, 0.5 * (red - nir) ** 2], axis=1)


def test_two_stacked_dates_and_one_logit(tmp_path):
    before, after = picture(tmp_path / "a.tif", seed=1), picture(tmp_path / "b.tif", seed=2, hole=False)

    def changed(batch):
        return np.abs(batch[:, 3:4] - batch[:, 1:2]) - 1

    options = OPTIONS | {"classes": CLASSES[:2], "mean": MEAN * 2, "std": STD * 2}
    made = stream.run(
        [before, after],
        changed,
        tmp_path / "c.tif",
        **options,
        one_logit=True,
        threshold=0.6,
        probabilities=True,
    )
    logit = np.abs(standard(after)[1] - standard(before)[1]) - 1
    hidden = ~before.read().valid
    expected = np.where(hidden, 0, np.where(1 / (1 + np.exp(-logit)) >= 0.6, 2, 1))
    assert (read(made.path)[0] == expected).mean() > 0.9999
    assert read(made.probabilities).shape[0] == 1


def test_nothing_is_computed_where_nothing_is_valid(tmp_path):
    path = tmp_path / "a.tif"
    scene = picture(path, shape=(256, 1024), hole=False)
    with rasterio.open(path, "r+") as file:
        file.write(np.zeros((2, 256, 900), dtype=np.uint16), window=rasterio.windows.Window(0, 0, 900, 256))
    seen = []

    def counting(batch):
        seen.append(len(batch))
        return pixelwise(batch)

    made = stream.run([scene], counting, tmp_path / "out.tif", **OPTIONS)
    layout = Layout.of((256, 1024), tile=128, overlap=32, multiple=16)
    assert sum(seen) < 0.3 * layout.rows.count * layout.cols.count
    assert (read(made.path)[0, :, :900] == 0).all() and (read(made.path)[0, :, 900:] > 0).all()


def test_bad_parameters(tmp_path):
    scene = picture(tmp_path / "a.tif")
    other = picture(tmp_path / "b.tif", shape=(300, 400))
    with pytest.raises(GridMismatch, match="different grids"):
        stream.run([scene, other], pixelwise, tmp_path / "o.tif", **OPTIONS)
    with pytest.raises(ParameterError, match="mean and std"):
        stream.run([scene], pixelwise, tmp_path / "o.tif", **OPTIONS | {"mean": [0.1]})
    with pytest.raises(ParameterError, match="too small for their overlap"):
        stream.run([scene], pixelwise, tmp_path / "o.tif", **OPTIONS | {"tile": 32})
    with pytest.raises(ParameterError, match="another number of classes"):
        stream.run([scene], pixelwise, tmp_path / "o.tif", **OPTIONS | {"classes": CLASSES[:2]})
    assert not (tmp_path / "o.tif").exists()


@pytest.mark.parametrize("size", [32, 100, 129, 1000, 4099])
@pytest.mark.parametrize(("tile", "overlap"), [(256, 64), (512, 128), (512, 0)])
def test_weights_of_tiles_add_up_to_one(size, tile, overlap):
    axis = Axis.of(size, tile, overlap, 32)
    total = np.zeros(size + 4 * tile)
    for index in range(axis.count):
        first = axis.start(index) + axis.margin
        total[first : first + axis.step + axis.ramp] += axis.weights(index)
    assert (
        np.allclose(total[:size], 1, atol=1e-6)
        and axis.tile % 32 == 0
        and axis.tile <= max(tile, 2 * overlap)
    )
    assert axis.span(axis.count - 1)[1] == size


@pytest.mark.parametrize("classes", [1, 4])
def test_blending_on_a_device_is_blending_on_the_host(classes):
    layout = Layout.of((150, 260), tile=96, overlap=32, multiple=16)
    rng = np.random.default_rng(0)
    host = Blender(layout, classes, probabilities=True)
    device = DeviceBlender(layout, classes, torch.device("cpu"), probabilities=True)
    for row in range(layout.rows.count):
        for col in range(layout.cols.count):
            logits = rng.standard_normal((classes, *layout.tile)).astype(np.float32)
            count = rng.integers(0, 3, (layout.rows.step, layout.cols.step)).astype(np.uint8)
            first, second = (
                host.add(row, col, logits, count),
                device.add(row, col, torch.from_numpy(logits), count),
            )
            assert np.array_equal(first[0], second[0])
            assert np.abs(first[1].astype(int) - second[1].astype(int)).max() <= 1


def test_an_engine_writes_into_the_array_it_is_given() -> None:
    torch.manual_seed(3)
    net = torch.nn.Conv2d(4, 6, 3, padding=1).eval()
    engine = engines.make(net, "openvino-f32", (4, 64, 96))
    tiles = np.random.default_rng(3).standard_normal((3, 4, 64, 96)).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(tiles)).numpy()
    out = np.full((1, 6, 64, 96), np.nan, dtype=np.float32)
    assert engine(tiles[:1], out=out) is out
    np.testing.assert_allclose(out, expected[:1], atol=1e-5)
    assert engine(tiles[1:2]) is not out  # nothing written over
    np.testing.assert_allclose(out, expected[:1], atol=1e-5)
    np.testing.assert_array_equal(engine(tiles)[:1], out)  # side by side as alone
    assert engine(tiles[:1], out=np.empty((1, 5, 64, 96), dtype=np.float32)).shape == (1, 6, 64, 96)


def test_buffers_hand_out_no_array_twice() -> None:
    buffers = Buffers()
    first = buffers.take((2, 3))
    buffers.give(first)
    assert buffers.take((2, 3)) is first
    assert buffers.take((2, 3)) is not first
    buffers.give(first[:1])  # a view of something in use elsewhere
    assert buffers.take((1, 3)).base is None


def test_logits_on_a_device_are_summed_over_dates_without_being_written_into(tmp_path: Path) -> None:
    """Tensors made without gradients refuse to be changed in place, and those of a device are such."""
    scenes = [
        picture(tmp_path / f"{one}.tif", seed=one, date=f"2025-0{one}-01", hole=one == 2) for one in (1, 2)
    ]
    torch.manual_seed(4)
    net = nn.Conv2d(2, 3, 3, padding=1).eval()

    class OnDevice:
        device = torch.device("cpu")

        def __call__(self, batch: np.ndarray) -> torch.Tensor:
            with torch.inference_mode():
                return net(torch.from_numpy(batch))

    def on_host(batch: np.ndarray) -> np.ndarray:
        return OnDevice()(batch).numpy()

    made = [
        stream.run(scenes, one, tmp_path / f"map_{place}.tif", classes=CLASSES, mean=MEAN, std=STD, tile=128, overlap=32, several_dates=True)
        for place, one in enumerate((OnDevice(), on_host))
    ]  # fmt: skip
    with rasterio.open(made[0].path) as first, rasterio.open(made[1].path) as second:
        assert (first.read() == second.read()).mean() > 0.9999
