"""Images and weights that cannot be used, given to the commands as a user gives them: what is said, and that nothing is left.

Every refusal names what is wrong, where, what was found or wanted, and what to do next; no output stands half written.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.features
import shapely
import torch
from affine import Affine
from click.testing import CliRunner, Result
from rasterio.transform import from_origin

from tests.interpretation import small_city
from tests.interpretation.test_imagery import NAMES, PLACE, counts, ground, write
from workbench.catalog import published
from workbench.catalog.data import CityData
from workbench.cli import main
from workbench.core.provenance import sha256_file
from workbench.interpretation import cards, change, engines, nets, predict, runs, strips, weights
from workbench.interpretation.imagery import Pair, Scene

SIX = ("cropland", "forest", "grass", "water", "built", "bare")
SMALL = {"family": "detail_unet", "in_channels": 4, "classes": 6, "depth": 2, "decoder": [16, 8], "detail": 8}
CARD = cards.Card(
    name="small", task="land_cover", scheme="six", classes=SIX, bands=NAMES, mean=(0.07, 0.09, 0.09, 0.2),
    std=(0.04, 0.04, 0.05, 0.1), architecture=SMALL, parameters=0, licence="CC0-1.0", overlap=8,
)  # fmt: skip
PAIRED = replace(
    CARD, name="pair", task="change", scheme="change", classes=("changed",), threshold=0.5,
    architecture={**SMALL, "in_channels": 8, "classes": 1},
)  # fmt: skip
TURNED = PLACE @ Affine.rotation(5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with two small nets."""
    folder = tmp_path_factory.mktemp("nets")
    for card in (CARD, PAIRED):
        torch.manual_seed(2)
        weights.save(nets.build(card.architecture), card, folder)
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small nets on small tiles: several threads wait for one another longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Empty folder for results, beside which inputs lie."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def call(*arguments: object) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("error", rasterio.errors.NotGeoreferencedWarning)
        return CliRunner().invoke(main, [str(one) for one in arguments])


def refused(result: Result, out: Path, words: Sequence[str], code: int = 1) -> None:
    """A refusal: exit code, all of the words in their order, no traceback, nothing in the folder of results."""
    assert result.exit_code == code and isinstance(result.exception, SystemExit), (
        result.output,
        result.exception,
    )
    at = 0
    for word in words:
        assert word in result.output[at:], f"{word!r} is not said (or too early):\n{result.output}"
        at = result.output.index(word, at) + len(word)
    assert [path.name for path in out.rglob("*")] == []


def image(path: Path, data: np.ndarray | None = None, **more: Any) -> Path:
    return write(path, counts(ground()) if data is None else data, **more)


def truncated(path: Path) -> Path:
    whole = image(path.with_name("whole.tif"), counts(ground((640, 640))))
    rasterio.shutil.copy(whole, path, driver="COG", compress="DEFLATE")
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    return path


def foreign(path: Path) -> Path:
    path.write_bytes(b"no raster")
    return path


def five_bands(path: Path) -> Path:
    return image(path, np.concatenate([counts(ground()), counts(ground())[:1]]), names=None)


def brighter_in_blue(path: Path) -> Path:
    return image(path, counts(ground())[::-1], names=NAMES)


def numbers(path: Path) -> Path:
    return image(path, (ground() * 10_000).astype(np.float32), nodata=-1)


def empty(path: Path) -> Path:
    return image(path, np.zeros((4, 120, 150), dtype=np.uint16))


def turned(path: Path) -> Path:
    return image(path, transform=TURNED)


def colours(path: Path) -> Path:
    return image(path, counts(ground())[:3], names=NAMES[:3])


FAULTY: dict[str, tuple[Callable[[Path], Path], tuple[str, ...], tuple[str, ...]]] = {
    "number of bands": (five_bands, (), ("a_20250312.tif", "number of bands differs", "5 bands", "names of all", "name the file's bands")),
    "number of bands named": (lambda path: image(path, names=None), ("--bands", "red,nir"),
                              ("a_20250312.tif", "number of bands differs", "4 bands", "red, nir", "name the file's bands")),
    "bands of the net": (colours, (), ("lacks bands", "'blue', 'green', 'red'", "nir", "--bands")),
    "order of bands": (brighter_in_blue, (), ("a_20250312", "another order than named", "'blue' is bright over vegetation", "true order")),
    "scale": (numbers, (), ("a_20250312", "scale is implausible", "counts: median", "reflectance, 0 to about 1", "give the scale, e.g. 0.0001")),
    "scale given": (image, ("--scale", "1e-7"), ("scale is implausible", "far too dark", "reflectance, 0 to about 1", "give the scale")),
    "no valid pixel": (empty, (), ("a_20250312", "no valid pixel", "nodata 0.0", "leave this image out")),
    "rotated": (turned, (), ("a_20250312", "rotated", "geotransform", "rows along the x axis", "north-up grid")),
    "truncated": (truncated, (), ("a_20250312", "cannot be read to its end", "a_20250312.tif", "copy it again")),
    "no raster": (foreign, (), ("a_20250312.tif", "cannot be opened", "no raster")),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTY)
def test_predict_refuses_an_image(fault: str, trained: Path, tmp_path: Path, out: Path, home: Path) -> None:
    make, options, words = FAULTY[fault]
    path = make(tmp_path / "a_20250312.tif")
    result = call(
        "predict", path, "--weights", trained / "small.safetensors", "--out", out / "map.tif", *options
    )
    refused(result, out, words)


def test_predict_refuses_an_image_that_cloud_hides(
    trained: Path, tmp_path: Path, out: Path, home: Path
) -> None:
    path = image(tmp_path / "a_20250312.tif")
    hidden = write(tmp_path / "cloud.tif", np.ones((1, 120, 150), np.uint8), names=None, nodata=None)
    options = ("--weights", trained / "small.safetensors", "--out", out / "map.tif")
    refused(
        call("predict", path, "--mask", hidden, *options), out, ("no valid pixel", "mask True", "leave this")
    )
    off = write(tmp_path / "off.tif", np.zeros((1, 60, 150), np.uint8), names=None, nodata=None)
    words = ("off.tif", "another grid than the image", "found", "expected")
    refused(call("predict", path, "--mask", off, *options), out, words)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"transform": PLACE @ Affine.translation(3, 0)}, ("464030", "464000")),
        ({"crs": "EPSG:4526"}, ("4526", "4547")),
        ({"data": counts(ground((100, 150)))}, ("100", "120")),
    ],
)
def test_dates_on_two_grids_are_refused_before_anything_is_computed(
    more: dict[str, Any], words: tuple[str, str], trained: Path, tmp_path: Path, out: Path, home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(engines, "choose", lambda *_, **__: pytest.fail("an engine was measured"))
    first = image(tmp_path / "a_20240312.tif")
    other = image(tmp_path / "b_20250312.tif", **more)
    result = call("predict", first, other, "--weights", trained / "small.safetensors", "--out", out / "m.tif")
    refused(
        result, out, ("a_20240312 and b_20250312", "different grids", words[0], words[1], "warp them to one")
    )
    for options in (("--method", "cva"), ("--weights", trained / "pair.safetensors")):
        result = call("change", "--before", first, "--after", other, "--out", out, *options)
        refused(
            result,
            out,
            ("a_20240312 and b_20250312", "different", words[0], words[1], "warp one to the other"),
        )


@pytest.mark.parametrize(
    "fault", ["order of bands", "scale", "no valid pixel", "rotated", "truncated", "no raster"]
)
@pytest.mark.parametrize("method", ["net", "irmad"])
def test_change_refuses_an_image(
    fault: str, method: str, trained: Path, tmp_path: Path, out: Path, home: Path
) -> None:
    make, _, words = FAULTY[fault]
    after = make(tmp_path / "a_20250312.tif")
    before = tmp_path / "b_20240312.tif"
    with_grid = {"transform": TURNED} if fault == "rotated" else {}
    image(before, counts(ground((640, 640))) if fault == "truncated" else None, **with_grid)
    wanted = ("b_20240312", *words[1:]) if fault == "rotated" else words
    net = ("--weights", trained / "pair.safetensors")
    result = call("change", "--before", before, "--after", after, "--method", method, *net, "--out", out)
    refused(result, out, wanted)


def test_change_refuses_dates_that_are_none_or_in_the_wrong_order(
    trained: Path, tmp_path: Path, out: Path, home: Path
) -> None:
    first, second = image(tmp_path / "a_20240312.tif"), image(tmp_path / "b.tif")
    options = ("--method", "cva", "--out", out)
    words = ("a_20240312 and b", "earlier image must come first", "2024-03-12 and no date", "--date-after")
    refused(call("change", "--before", first, "--after", second, *options), out, words)
    result = call("change", "--before", first, "--after", second, "--date-after", "2023-01-01", *options)
    refused(result, out, ("earlier image must come first", "2024-03-12 and 2023-01-01"))
    three = colours(tmp_path / "c_20250312.tif")
    words = ("a_20240312 and c_20250312", "different bands", "blue, green, red", "nir", "--bands")
    refused(call("change", "--before", first, "--after", three, *options), out, words)


def test_change_warns_of_images_that_lie_off_each_other(tmp_path: Path, out: Path, home: Path) -> None:
    rng = np.random.default_rng(1)
    wide = ground((320, 320)) + 0.02 * rng.standard_normal((4, 320, 320))
    before = image(tmp_path / "a_20240312.tif", counts(wide[:, 20:300, 20:300]))
    after = image(tmp_path / "b_20250312.tif", counts(wide[:, 17:297, 22:302]))
    result = call("change", "--before", before, "--after", after, "--method", "cva", "--out", out)
    assert result.exit_code == 0, result.output
    assert (
        "! a_20240312 and b_20250312 lie 3.6 pixels off each other (+3.0 rows, -2.0 columns)" in result.output
    )
    assert "register the images first" in result.output
    record = json.loads((out / "change_a_20240312_b_20250312.tif.json").read_text("utf-8"))
    assert record["pairs"][0]["shift"] == pytest.approx([3, -2], abs=0.2)
    level = image(tmp_path / "c_20250312.tif", counts(1.02 * wide[:, 20:300, 20:300]))
    result = call("change", "--before", before, "--after", level, "--method", "cva", "--out", out)
    assert result.exit_code == 0 and "off each other:" not in result.output and "! " not in result.output


def test_pictures_without_a_place_are_mapped_without_a_warning(
    trained: Path, tmp_path: Path, out: Path, home: Path
) -> None:
    paths = [tmp_path / f"{year}0312.tif" for year in (2024, 2025)]
    for seed, path in enumerate(paths):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            image(path, counts(ground(seed=seed)), transform=Affine.identity(), crs=None)
    net = ("--weights", trained / "small.safetensors", "--engine", "torch-f32")
    assert call("predict", paths[0], *net, "--out", out / "map.tif").exit_code == 0
    files = ("change", "--before", paths[0], "--after", paths[1], "--out", out)
    for options in (
        ("--method", "cva"),
        ("--weights", trained / "pair.safetensors", "--engine", "torch-f32"),
    ):
        result = call(*files, *options)
        assert result.exit_code == 0, (result.output, result.exception)
        assert "no patches: the images have no coordinate system in metres" in result.output


@pytest.mark.parametrize("through", ["path", "link"])
def test_an_image_is_never_written_over(
    through: str, trained: Path, tmp_path: Path, out: Path, home: Path
) -> None:
    path = image(tmp_path / "20250312.tif", counts(ground()))
    before = path.read_bytes()
    target = path
    if through == "link":
        target = tmp_path / "same.tif"
        target.symlink_to(path)
    result = call("predict", path, "--weights", trained / "small.safetensors", "--out", target)
    refused(result, out, [target.name, "written over an image", "--out"], code=2)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.partial"))


def test_names_of_bands_that_were_assumed_are_told_and_areas_lie_on_the_ellipsoid(
    trained: Path, tmp_path: Path, out: Path, home: Path
) -> None:
    path = tmp_path / "20250312.tif"
    degrees = from_origin(113.9, 22.8, 1e-4, 1e-4)
    image(path, counts(ground()), transform=degrees, crs="EPSG:4490", names=None)
    target = out / "map.tif"
    result = call(
        "predict", path, "--weights", trained / "small.safetensors", "--engine", "torch-f32", "--out", target
    )
    assert result.exit_code == 0, result.output
    assert "--bands says otherwise" in result.output
    record = json.loads(Path(f"{target}.json").read_text(encoding="utf-8"))
    found = predict.areas(predict.Prediction(target, None, record)).set_index("class")
    with rasterio.open(target) as file:
        shapes = [(shapely.geometry.shape(one), value) for one, value in rasterio.features.shapes(file.read(1), transform=file.transform)]  # fmt: skip
    geod = pyproj.Geod(ellps="GRS80")
    for place, name in enumerate(record["classes"], start=1):
        whole = sum(abs(geod.geometry_area_perimeter(shape)[0]) for shape, value in shapes if value == place)
        assert found.loc[name, "km2"] == pytest.approx(whole / 1e6, rel=1e-5, abs=1e-9)
    assert found["km2"].sum() > 0


# ---------------------------------------------------------------------- weights


def copied(trained: Path, folder: Path, name: str = "small") -> Path:
    for suffix in (".safetensors", ".json"):
        shutil.copy(trained / f"{name}{suffix}", folder / f"{name}{suffix}")
    return folder / f"{name}.safetensors"


def retold(path: Path, **changes: Any) -> None:
    """Change what a card says; its checksum is that of the file."""
    place = path.with_suffix(".json")
    item = json.loads(place.read_text())
    item["properties"]["workbench:card"] |= {"sha256": sha256_file(path), **changes}
    place.write_text(json.dumps(item))


class Code:
    """Runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return self.mark.touch, ()


def flipped(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return path


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:2000])
    retold(path)
    return path


def without_card(path: Path) -> Path:
    path.with_suffix(".json").unlink()
    return path


def other_net(path: Path) -> Path:
    retold(path, architecture={**SMALL, "detail": 12})
    return path


def other_classes(path: Path) -> Path:
    retold(path, classes=list(SIX[::-1]))
    return path


def with_code(path: Path) -> Path:
    torch.save({"state_dict": Code(path.with_name("ran"))}, path.with_name("small.ckpt"))
    return path.with_name("small.ckpt")


SPOILED: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "changed": (flipped, ("small.safetensors", "not the one its card describes", "sha256", "expected", "copy it again")),
    "cut": (cut, ("small.safetensors", "damaged", "found", "copy it again")),
    "no card": (without_card, ("small.json", "without a card", "beside them")),
    "another net": (other_net, ("small.safetensors", "do not fit the net of the card", "found", "expected", "card they came with")),
    "other classes": (other_classes, ("small", "class table does not match", "'bare', 'built'", "'cropland'", "scheme")),
    "code": (with_code, ("small.ckpt", "a pickle may hold code and is not opened", ".safetensors", "torchgeo")),
}  # fmt: skip


@pytest.mark.parametrize("fault", SPOILED)
def test_predict_refuses_weights(fault: str, trained: Path, tmp_path: Path, out: Path, home: Path) -> None:
    make, words = SPOILED[fault]
    net = make(copied(trained, tmp_path))
    path = image(tmp_path / "a_20250312.tif")
    refused(call("predict", path, "--weights", net, "--out", out / "map.tif"), out, words)
    assert not (tmp_path / "ran").exists(), "code of a pickle ran"


def test_a_net_of_another_task_is_refused(trained: Path, tmp_path: Path, out: Path, home: Path) -> None:
    path, later = image(tmp_path / "a_20240312.tif"), image(tmp_path / "b_20250312.tif")
    result = call("predict", path, "--weights", trained / "pair.safetensors", "--out", out / "map.tif")
    refused(result, out, ("pair", "does something else", "'change'", "land_cover", "--list"))
    options = ("--weights", trained / "small.safetensors", "--out", out)
    result = call("change", "--before", path, "--after", later, *options)
    refused(result, out, ("small", "does something else", "'land_cover'", "change", "--list"))
    result = call("predict", path, "--weights", "absent", "--out", out / "map.tif")
    refused(result, out, ("absent", "no weights of this name", "demo_land_cover", "workbench train"))
    (tmp_path / "broken.onnx").write_bytes(pickle.dumps({"a": 1}))
    result = call("predict", path, "--weights", tmp_path / "broken.onnx", "--out", out / "map.tif")
    refused(result, out, ("broken.onnx", "cannot be read"))


# ---------------------------------------------------------------------- a full disk, too little memory, a kill


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """No file of this process can grow beyond this: writing fails as on a full disk, whoever writes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def wide_image(path: Path) -> Path:
    return image(path, counts(ground((320, 240), seed=4)))


def given(trained: Path, path: Path, out: Path) -> tuple[object, ...]:
    return ("predict", path, "--weights", trained / "small.safetensors", "--out", out / "map.tif",
            "--engine", "torch-f32", "--tile", "96")  # fmt: skip


def test_a_disk_that_is_full_leaves_nothing_under_the_final_name_and_the_run_goes_on(
    trained: Path, tmp_path: Path, home: Path
) -> None:
    path, plain, out = wide_image(tmp_path / "a_20250312.tif"), tmp_path / "plain", tmp_path / "out"
    assert call(*given(trained, path, plain)).exit_code == 0
    whole = (plain / "map.tif").read_bytes()
    call(*given(trained, path, out))
    strip = 0
    for limit in (1_500, len(whole) - 2_000):  # no strip can be written; all strips can, and the map cannot
        shutil.rmtree(out)
        with files_no_larger_than(limit):
            result = call(*given(trained, path, out))
        assert result.exit_code == 1, result.output
        assert "the disk is full" in result.output or "cannot be written" in result.output
        assert "map.tif.partial" in result.output and "kept" in result.output
        left = {one.relative_to(out).as_posix() for one in out.rglob("*")}
        assert all(name.startswith("map.tif.partial") for name in left) and not any(
            "tmp" in one for one in left
        )
        strip = len([name for name in left if "classes-" in name])
    assert strip > 3
    assert call(*given(trained, path, out)).exit_code == 0
    assert (out / "map.tif").read_bytes() == whole
    assert {one.name for one in out.iterdir()} == {"map.tif", "map.tif.json", "map.item.json"}


def test_memory_of_a_device_that_does_not_suffice_halves_the_batch(
    trained: Path, tmp_path: Path, out: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain = wide_image(tmp_path / "a_20250312.tif"), tmp_path / "plain"
    assert call(*given(trained, path, plain)).exit_code == 0
    real, sizes = engines.make, []

    def make(net: Any, name: str, *rest: Any) -> Any:
        exact = real(net, name, *rest)

        def small(batch: Any) -> Any:
            sizes.append(len(batch))
            if len(batch) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return exact(batch)

        return small

    monkeypatch.setattr(engines, "make", make)
    result = call(*given(trained, path, out), "--batch", "8")
    assert result.exit_code == 0, result.output
    record = json.loads((out / "map.tif.json").read_text("utf-8"))
    assert record["batch"] == 8 and record["batch_used"] in (1, 2)
    assert max(sizes) > 2 and max(sizes[-5:]) <= 2
    assert np.array_equal(*(rasterio.open(one / "map.tif").read() for one in (out, plain)))
    monkeypatch.setattr(engines, "make", lambda *_: never)
    for options in (
        (),
        ("--tile", "128"),
    ):  # with an engine known from before, and while engines are compared
        result = call(*given(trained, path, tmp_path / "none"), *options, "--fresh")
        assert result.exit_code == 1, result.exception
        assert "memory does not suffice for one tile" in result.output and "--tile" in result.output
        assert not (tmp_path / "none" / "map.tif").exists()


def never(batch: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_command_killed_midway_goes_on_and_the_map_is_the_same_to_the_bit(
    trained: Path, tmp_path: Path, home: Path
) -> None:
    path = image(tmp_path / "a_20250312.tif", counts(ground((1500, 80), seed=4)))
    plain, out = tmp_path / "plain", tmp_path / "out"
    command = [sys.executable, "-m", "workbench.cli", *map(str, given(trained, path, out))]
    process = subprocess.Popen(
        command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "WORKBENCH_HOME": str(home), "OMP_NUM_THREADS": "1"}
    )  # fmt: skip
    folder = strips.partial(out / "map.tif")
    while process.poll() is None and len(list(folder.glob("classes-*.tif"))) < 2:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = len(list(folder.glob("classes-*.tif")))
    total = strips.pinned(out / "map.tif")
    assert total is not None and left >= 2 and not (out / "map.tif").exists(), "killed midway"
    result = call(*given(trained, path, out), "--tile", "128")  # not what it was begun with
    assert (
        result.exit_code == 1 and "made with something else" in result.output and "--fresh" in result.output
    )
    result = call(*given(trained, path, out))
    assert result.exit_code == 0, result.output
    assert call(*given(trained, path, plain)).exit_code == 0
    assert (out / "map.tif").read_bytes() == (plain / "map.tif").read_bytes()
    assert {one.name for one in out.iterdir()} == {"map.tif", "map.tif.json", "map.item.json"}


def test_a_change_run_broken_off_in_its_second_pair_goes_on_with_it(
    trained: Path, tmp_path: Path, out: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = weights.load(trained / "pair.safetensors")
    pairs = []
    for number, day in enumerate(("03-12", "07-08")):
        still = ground(seed=number)
        files = [
            image(tmp_path / f"{number}-{year}.tif", counts(still + gain))
            for year, gain in ((2024, 0.0), (2025, 0.02))
        ]
        pairs.append(Pair(*(Scene.of_file(one, date=f"{one.stem[2:]}-{day}") for one in files)))
    plain = change.detect(pairs, tmp_path / "plain.tif", model=model, engine="torch-f32", tile=64)
    real, calls = engines.TorchEngine.__call__, []

    def counted(engine: Any, batch: Any) -> Any:
        calls.append(1)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return real(engine, batch)

    monkeypatch.setattr(engines.TorchEngine, "__call__", counted)
    stop = 0
    change.detect(pairs, tmp_path / "whole.tif", model=model, engine="torch-f32", tile=64)
    needed, stop = len(calls), int(0.8 * len(calls))
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        change.detect(pairs, out / "map.tif", model=model, engine="torch-f32", tile=64)
    assert not (out / "map.tif").exists() and (out / "map.tif.pairs" / "pair_0.tif").exists()
    stop = 0
    calls.clear()
    found = change.detect(
        pairs, out / "map.tif", model=model, tile=64
    )  # any engine will do: the first pair's is kept
    assert len(calls) < 0.75 * needed and found.record["engine"] == "torch-f32"
    assert found.path.read_bytes() == plain.path.read_bytes()
    assert found.probability.read_bytes() == plain.probability.read_bytes()
    assert {one.name for one in out.iterdir()} == {"map.tif", "map_probability.tif", "map.tif.json"}


def test_change_of_a_city_that_was_interrupted_goes_on_with_what_is_left(
    trained: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {
        (role, year): ground(seed=3 + year % 2) for role in ("imagery", "imagery_2") for year in (2024, 2025)
    }
    shown = {name: 0.5 * (ground(seed=9) + one) for name, one in shown.items()}
    city, _ = small_city.make(tmp_path, shown, {})
    command = ("change", city.path, "--data-root", tmp_path, "--weights", trained / "pair.safetensors")
    real, calls = engines.TorchEngine.__call__, []

    def counted(engine: Any, batch: Any) -> Any:
        calls.append(1)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return real(engine, batch)

    monkeypatch.setattr(engines.TorchEngine, "__call__", counted)
    stop = 0
    whole = call(*command, "--engine", "torch-f32", "--out", tmp_path / "whole")
    assert whole.exit_code == 0 and whole.output.count("pair on ") == 2, whole.output
    place = CityData(city).source("change_map", 2025).path
    first = rasterio.open(place).read()
    published.withdraw(city, "change_map", 2025)
    calls.clear()
    stop = 2  # the engine is known by now: a tile of the first pair, and that of the second
    result = call(*command, "--engine", "torch-f32")
    assert result.exit_code == 130 and "what was finished is kept" in result.output
    assert not CityData(city).has("change_map", 2025)
    kept = home / ".cache" / "workbench" / "interpretation" / "small" / "2025"
    assert (kept / "change_2024_2025.tif.pairs" / "pair_0.tif").exists()
    stop = 0
    calls.clear()
    result = call(*command, "--engine", "torch-f32")
    assert result.exit_code == 0, result.output
    assert result.output.count("pair on ") == 1 and list(kept.iterdir()) == []
    assert np.array_equal(rasterio.open(place).read(), first)


def test_train_refuses_a_checkpoint_with_code(tmp_path: Path, out: Path, home: Path) -> None:
    text = (runs.FOLDER / "demo_change.toml").read_text("utf-8")
    (tmp_path / "mine.toml").write_text(text, "utf-8")
    run, mark = runs.read(tmp_path / "mine.toml"), tmp_path / "ran"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"run": run.model_dump(mode="json")}), "utf-8")
    torch.save({"state_dict": Code(mark)}, folder / "last.ckpt")
    for options in (("--resume",), ("--finish",)):
        shutil.copy(folder / "last.ckpt", folder / "best.ckpt")
        result = call("train", tmp_path / "mine.toml", "--out", folder, "--install", out, *options)
        refused(result, out, ("ckpt", "holds more than numbers", "found", "--fresh"))
    assert not mark.exists(), "code of a pickle ran"
