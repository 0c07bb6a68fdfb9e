"""Land-cover maps: engines, several dates, record, STAC item, publication, command, clouds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import torch
from click.testing import CliRunner
from torch import nn

from tests.interpretation import small_city
from tests.interpretation.test_imagery import NAMES, counts, ground, write
from workbench.catalog import published, stac
from workbench.catalog.data import CityData
from workbench.core.errors import GridMismatch, ParameterError, RunError, WeightsError
from workbench.core.paths import data_root
from workbench.interpretation import clouds, engines, imagery, nets, predict, weights
from workbench.interpretation.cards import Card
from workbench.interpretation.imagery import Scene

SIX = ("cropland", "forest", "grass", "water", "built", "bare")
MEAN, STD = (0.07, 0.09, 0.09, 0.2), (0.04, 0.04, 0.05, 0.1)


def tiny(tmp_path, name="tiny", **more) -> weights.Model:
    """A small U-Net with seeded weights, saved and loaded again."""
    torch.manual_seed(3)
    described = {
        "family": "smp", "decoder": "Unet", "encoder": "resnet18", "encoder_depth": 3, "decoder_channels": [16, 8, 8],
        "in_channels": 4, "classes": 6,
    }  # fmt: skip
    net = nets.build(described)
    card = Card(
        name=name, task="land_cover", scheme="six", classes=SIX, bands=NAMES, mean=MEAN, std=STD, architecture=described,
        parameters=0, licence="CC0-1.0", overlap=16, **more,
    )  # fmt: skip
    return weights.load(weights.save(net, card, tmp_path / "weights"))


def read(path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


@pytest.fixture
def scene(tmp_path):
    return Scene.of_file(write(tmp_path / "image_20250312.tif", counts(ground((150, 220)))))


def test_map_of_a_file(home, tmp_path, scene):
    model = tiny(tmp_path)
    said = []
    made = predict.predict(
        scene, model, tmp_path / "map.tif", engine="torch", precision="f32", say=said.append
    )
    values = (scene.read().data - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
    pad = -(-150 // 32) * 32 - 150 + 64
    padded = np.pad(values, ((0, 0), (24, pad), (24, 64)), mode="reflect")
    rows, cols = (side // 32 * 32 for side in padded.shape[1:])
    with torch.inference_mode():
        logits = model.net(torch.from_numpy(padded[None, :, :rows, :cols].astype(np.float32)))[0].numpy()
    expected = logits[:, 24:174, 24 : cols - 24].argmax(axis=0)[:, :160] + 1
    found = read(made.path)[0]
    assert (found[:, :160] == expected).mean() > 0.999
    assert (
        "torch-f32" in said[0] and made.record["engine"] == "torch-f32" and made.record["precision"] == "f32"
    )
    assert made.record["weights"] == model.card.sha256 and made.record["dates"] == ["2025-03-12"]
    with rasterio.open(made.path) as file:
        assert file.colormap(1)[1][:3] == (0xE8, 0xD4, 0x6A)


def test_item_tells_the_net_and_how(home, tmp_path, scene):
    model = tiny(tmp_path)
    made = predict.predict(scene, model, tmp_path / "map.tif", engine="torch-f32", probabilities=True)
    item = pystac.Item.from_file(str(predict.item_path(made.path)))
    assert (
        item.properties["mlm:name"] == "tiny" and item.properties["mlm:weights_sha256"] == model.card.sha256
    )
    assert "tiny (torch-f32) on image_20250312" in item.properties["processing:lineage"]
    assert [link.rel for link in item.links if link.rel == "derived_from"] and set(item.assets) == {
        "classes",
        "probability",
    }
    assert item.properties["classification:classes"][3] == {
        "value": 4, "name": "water", "color_hint": "5B9BD5", "title": "水域",
    }  # fmt: skip
    stac.register_schemas()
    item.validate()
    shares = read(made.probabilities).astype(int)
    assert np.abs(shares.sum(axis=0) - 250).max() <= 3
    assert (shares.argmax(axis=0) + 1 == read(made.path)[0]).mean() > 0.97  # ties of a rounded share


def test_engines_agree_and_the_choice_is_kept(home, tmp_path, scene):
    model = tiny(tmp_path)
    sample = np.ascontiguousarray(np.random.default_rng(0).standard_normal((2, 4, 64, 64)), dtype=np.float32)
    exact = engines.TorchEngine(model.net)(sample)
    assert np.abs(engines.make(model.net, "openvino-f32", (4, 64, 64))(sample) - exact).max() < 1e-3
    said = []
    engine, choice = engines.choose(model.net, sample, key="k", say=said.append)
    assert choice.engine in engines.HOST or choice.engine in engines.CUDA
    assert choice.agreement >= engines.AGREE and choice.engine in said[0]
    assert choice.engine == min(choice.seconds, key=choice.seconds.get)
    again = engines.choose(model.net, sample, key="k")[1]
    assert again == choice, "measured once for a net, a shape and a machine"
    one_by_one = np.concatenate([np.asarray(engine(tile[None])) for tile in sample])
    assert np.array_equal(np.asarray(engine(sample)), one_by_one), "what a batch is made of does not show"


def test_mirrored_images_are_averaged(tmp_path):
    net = nn.Conv2d(4, 6, 3, padding=1)
    engine = engines.TorchEngine(net)
    sample = np.random.default_rng(0).standard_normal((1, 4, 32, 32)).astype(np.float32)
    found = engines.Flipped(engine)(sample)
    flipped = engines.Flipped(engine)(sample[:, :, ::-1])
    assert np.abs(found - flipped[:, :, ::-1]).max() < 1e-5


def test_an_engine_that_is_not_here_is_refused():
    with pytest.raises(ParameterError, match="no such engine"):
        engines.candidates("abacus")
    if not engines.devices():
        with pytest.raises(ParameterError, match="no GPU here"):
            engines.make(nn.Identity(), "cuda-bf16", (4, 32, 32))


def test_a_net_that_no_engine_computes_as_float32_is_refused(monkeypatch):
    monkeypatch.setattr(
        engines, "make", lambda *given: lambda batch: np.random.default_rng(1).standard_normal((1, 6, 32, 32))
    )
    sample = np.zeros((1, 4, 32, 32), dtype=np.float32)
    with pytest.raises(ParameterError, match="classes of float32"):
        engines.choose(nn.Conv2d(4, 6, 3, padding=1), sample, engine="torch", precision="bf16")


def test_telemetry_is_never_loaded():
    script = (
        "import sys, torch; from workbench.interpretation import engines;"
        "engines.convert(torch.nn.Conv2d(4, 2, 3, padding=1), (4, 32, 32));"
        "assert not [name for name, found in sys.modules.items() if name.startswith('openvino_telemetry') and found]"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_images_without_the_bands_and_nets_of_another_kind_are_refused(home, tmp_path, scene):
    model = tiny(tmp_path)
    with pytest.raises(WeightsError, match="lacks bands"):
        predict.predict(scene.select(("red", "nir")), model, tmp_path / "map.tif")
    wrong = weights.Model(model.net, Card(**{**vars(model.card), "classes": SIX[::-1]}))
    with pytest.raises(WeightsError, match="class table does not match"):
        predict.predict(scene, wrong, tmp_path / "map.tif", engine="torch-f32")
    assert not (tmp_path / "map.tif").exists()


def test_a_citys_map_is_published_no_more_open_than_its_images(home, tmp_path):
    images = {(role, year): ground(seed=year) for role in ("imagery", "imagery_2") for year in (2024, 2025)}
    hidden = np.zeros((120, 150), dtype=np.uint8)
    hidden[:30] = 1
    both = {("imagery", 2025): hidden, ("imagery_2", 2025): np.roll(hidden, 20, axis=0)}
    city, data = small_city.make(tmp_path, images, both)
    model = tiny(tmp_path)
    made = predict.predict(imagery.scenes(data, 2025), model, tmp_path / "map.tif", engine="torch-f32")
    assert (read(made.path)[0] == 0).sum() == 10 * 150, "hidden on both dates"
    place = predict.publish(city, 2025, made, model.card)
    after = CityData(city)
    layer = after.raster("land_cover_map", 2025)
    assert layer.shape == (120, 150) and np.array_equal(layer.values, read(made.path)[0])
    source = after.source("land_cover_map", 2025)
    assert source.sensitivity == "内部" and source.date == "2025-07-08" and source.path == place
    assert after.years("land_cover_map") == [2025] and not data.has("land_cover_map", 2025)
    assert set(published.made_of(city.name, "land_cover_map", 2025)) == {
        "imagery-2025",
        "imagery_2-2025",
        "weights:tiny",
    }
    from workbench.catalog.search import items

    [item] = items(city.name, "land_cover_map", year=2025)
    assert (
        item.properties["mlm:name"] == "tiny"
        and item.bbox
        and item.properties["workbench:run"]["engine"] == "torch-f32"
    )
    assert stac.validate(city.name) > 5
    rebuilt = CityData(city)
    assert rebuilt.has("land_cover_map", 2025)
    assert published.withdraw(city, "land_cover_map", 2025) and not CityData(city).has("land_cover_map", 2025)


def test_only_rasters_that_fit_are_published(home, tmp_path):
    city, _ = small_city.make(tmp_path, {("imagery", y): ground() for y in (2024, 2025)} | {("imagery_2", y): ground() for y in (2024, 2025)}, {})  # fmt: skip
    write(tmp_path / "many.tif", counts(ground()))
    with pytest.raises(ParameterError, match="one band a file"):
        published.publish_raster(city, "x", 2025, {"data": tmp_path / "many.tif"}, source="s")
    write(tmp_path / "other.tif", counts(ground())[:1], names=None, crs="EPSG:4526")
    with pytest.raises(GridMismatch, match="EPSG:4547"):
        published.publish_raster(city, "x", 2025, {"data": tmp_path / "other.tif"}, source="s")
    write(tmp_path / "one.tif", counts(ground())[:1], names=None)
    with pytest.raises(ParameterError, match="the profile has a layer"):
        published.publish_raster(city, "imagery", 2025, {"data": tmp_path / "one.tif"}, source="s")


def test_command_maps_a_file_and_goes_on(home, tmp_path, scene):
    from workbench.cli import main

    tiny(tmp_path)
    path, out = scene.hrefs[0][0], tmp_path / "made" / "map.tif"
    out.parent.mkdir()
    given = ["predict", path, "--weights", str(tmp_path / "weights" / "tiny.safetensors"), "--out", str(out)]
    done = CliRunner().invoke(main, [*given, "--engine", "torch-f32"])
    assert done.exit_code == 0, done.output
    assert "水域" in done.output and "km²" in done.output and out.exists()
    record = json.loads((tmp_path / "made" / "map.tif.json").read_text("utf-8"))
    assert sum(record["pixels"].values()) == 150 * 220
    assert {one.name for one in out.parent.iterdir()} == {"map.tif", "map.tif.json", "map.item.json"}
    lacking = CliRunner().invoke(main, ["predict", path])
    assert lacking.exit_code == 2 and "--out is needed" in lacking.output
    absent = CliRunner().invoke(main, ["predict", str(tmp_path / "absent.tif"), "--out", str(out)])
    assert absent.exit_code == 2 and "no such file" in absent.output


# ---- clouds

PATCHES = (data_root() or Path("absent")) / "imagery" / "cloudmask_patches"
needs_patches = pytest.mark.skipif(
    not PATCHES.exists() or not clouds.available(), reason="no patches or no extra here"
)


@needs_patches
@pytest.mark.parametrize(
    ("sensor", "cloud", "shadow"), [("sentinel2", 0.986, 0.963), ("landsat7", 0.862, 0.968)]
)
def test_clouds_of_real_patches(sensor, cloud, shadow):
    """Share of the reference's clouds and shadows found, as the packaged model gives it elsewhere."""
    with np.load(PATCHES / f"{sensor}.npz") as file:
        image, truth = file["img"], file["msk"][:, :, 0]
    found = clouds.classify(image.transpose(2, 0, 1).astype(np.float32), clouds.BANDS)
    assert (found == clouds.CLOUD)[truth == 4].mean() == pytest.approx(cloud, abs=0.002)
    assert (found == clouds.SHADOW)[truth == 0].mean() == pytest.approx(shadow, abs=0.002)


@needs_patches
def test_mask_of_a_scene_is_written_block_by_block(tmp_path):
    with np.load(PATCHES / "sentinel2.npz") as file:
        image, truth = file["img"].transpose(2, 0, 1), file["msk"][:, :, 0]
    bare = Scene.of_file(
        write(tmp_path / "s2.tif", image.astype(np.float32), names=clouds.BANDS, nodata=None)
    )
    seen = clouds.mask(bare, tmp_path / "mask.tif", grow=1)
    valid = seen.read().valid
    assert (~valid)[truth == 4].mean() > 0.98 and valid[truth == 3].mean() > 0.75
    assert seen.sha256 != bare.sha256 and clouds.mask(seen, tmp_path / "other.tif") is seen


def test_without_the_extra_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(clouds, "available", lambda: False)
    with pytest.raises(RunError, match=r"\[clouds\]"):
        clouds.classify(np.zeros((4, 8, 8), dtype=np.float32), NAMES)
