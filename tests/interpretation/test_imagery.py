"""Images: bands by name, reflectance, masks, mirrored edges; and everything that can be wrong with one."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from rasterio.transform import from_origin
from rasterio.windows import Window

from tests.interpretation import small_city
from workbench.core.errors import CRSError, GridMismatch, ImageError, LayerMissing
from workbench.core.paths import data_root
from workbench.interpretation import imagery
from workbench.interpretation.imagery import Pair, Scene

PLACE = from_origin(464000, 2577000, 10, 10)
NAMES = ("blue", "green", "red", "nir")
REAL = (data_root() or Path("absent")) / "imagery"


def ground(shape=(120, 150), seed=0) -> np.ndarray:
    """Reflectance of fields, woods and water (blue, green, red, nir) with texture."""
    rng = np.random.default_rng(seed)
    spectra = np.array([[0.07, 0.095, 0.09, 0.30], [0.04, 0.06, 0.045, 0.33], [0.06, 0.07, 0.05, 0.03], [0.13, 0.15, 0.16, 0.2]])  # fmt: skip
    kind = np.kron(rng.integers(0, 4, (shape[0] // 10, shape[1] // 10)), np.ones((10, 10), dtype=int))
    found = spectra[kind].transpose(2, 0, 1) + 0.004 * rng.standard_normal((4, *kind.shape))
    return np.clip(found, 0.005, 1)


def write(
    path: Path, data: np.ndarray, *, names=NAMES, nodata=0, transform=PLACE, crs="EPSG:4547", **more
) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", height=data.shape[1], width=data.shape[2], count=data.shape[0], dtype=data.dtype,
        nodata=nodata, transform=transform, crs=crs, tiled=True, blockxsize=64, blockysize=64, **more,
    ) as file:  # fmt: skip
        file.write(data)
        if names:
            file.descriptions = names
    return path


def counts(data: np.ndarray) -> np.ndarray:
    return np.round(data * 10_000).astype(np.uint16)


def scene(path: Path, data: np.ndarray | None = None, **more) -> Scene:
    write(path, counts(ground() if data is None else data))
    return Scene.of_file(path, **{"date": "2025-03-12", **more})


def test_reads_reflectance_by_name_whatever_the_order_of_the_file(tmp_path):
    data = ground()
    path = write(tmp_path / "a_20250312.tif", counts(data)[::-1], names=NAMES[::-1])
    found = Scene.of_file(path, bands=("red", "nir"))
    assert found.bands == ("red", "nir") and found.date == pd.Timestamp("2025-03-12")
    block = found.read(Window(20, 30, 40, 50))
    assert block.data.dtype == np.float32 and block.valid.all()
    assert np.abs(block.data - data[2:, 30:80, 20:60]).max() < 6e-5
    assert found.read().data.shape == (2, 120, 150)
    found.check()


def test_edges_are_mirrored_and_not_valid(tmp_path):
    data = ground()
    found = scene(tmp_path / "a.tif")
    block = found.read(Window(-25, -10, 60, 40))
    expected = np.pad(counts(data), ((0, 0), (10, 0), (25, 0)), mode="reflect")[:, :40, :60] * 1e-4
    assert np.abs(block.data - expected).max() < 1e-6
    assert not block.valid[:10].any() and not block.valid[:, :25].any() and block.valid[10:, 25:].all()
    far = found.read(Window(140, 110, 200, 300))
    expected = np.pad(counts(data), ((0, 0), (0, 290), (0, 190)), mode="reflect")[:, 110:410, 140:340] * 1e-4
    assert np.abs(far.data - expected).max() < 1e-6 and far.valid.sum() == 10 * 10


def test_nodata_and_mask_hide(tmp_path):
    data = counts(ground())
    data[:, :5] = 0
    hidden = np.zeros((1, 120, 150), dtype=np.uint8)
    hidden[:, :, :7] = 2
    mask = write(tmp_path / "cloud.tif", hidden, names=None, nodata=None)
    found = Scene.of_file(write(tmp_path / "a.tif", data), mask=mask)
    valid = found.read().valid
    assert not valid[:5].any() and not valid[:, :7].any() and valid[5:, 7:].all()
    assert found.sha256 != Scene.of_file(tmp_path / "a.tif").sha256
    other = write(tmp_path / "small.tif", hidden[:, :60], names=None, nodata=None)
    with pytest.raises(ImageError, match="another grid than the image"):
        Scene.of_file(tmp_path / "a.tif", mask=other)


def test_number_and_names_of_bands(tmp_path):
    plain = write(tmp_path / "a.tif", counts(ground()), names=None)
    assert Scene.of_file(plain).bands == NAMES
    with pytest.raises(ImageError, match=r"number of bands differs.*4 bands.*red, nir"):
        Scene.of_file(plain, bands=("red", "nir"))
    five = write(tmp_path / "b.tif", np.concatenate([counts(ground()), counts(ground())[:1]]), names=None)
    with pytest.raises(ImageError, match="names of all of them"):
        Scene.of_file(five)
    named = write(tmp_path / "c.tif", counts(ground()))
    with pytest.raises(ImageError, match="absent: swir16"):
        Scene.of_file(named, bands=("red", "swir16"))
    with pytest.raises(ImageError, match="absent: swir16"):
        Scene.of_file(named).select(("swir16",))


def test_bands_in_another_order_than_named_are_found_out(tmp_path):
    path = write(tmp_path / "a.tif", counts(ground()), names=None)
    Scene.of_file(path, bands=NAMES).check()
    with pytest.raises(ImageError, match=r"another order than named.*'blue' is bright over vegetation"):
        Scene.of_file(path, bands=NAMES[::-1]).check()


@pytest.mark.parametrize(("scale", "factor"), [(1.0, 10_000), (1e-4, 1)])
def test_counts_are_not_taken_for_reflectance(tmp_path, scale, factor):
    path = write(tmp_path / "a.tif", (ground() * factor).astype(np.float32), nodata=-1)
    with pytest.raises(ImageError, match="scale is implausible"):
        Scene.of_file(path, scale=scale).check()
    Scene.of_file(path, scale=1 / factor).check()


def test_stated_scale_and_offset_are_used(tmp_path):
    path = write(tmp_path / "a.tif", (ground() * 10_000 + 1000).astype(np.uint16))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1e-4,) * 4, (-0.1,) * 4
    assert np.abs(Scene.of_file(path).read().data - ground()).max() < 2e-4


def test_an_image_without_a_valid_pixel_is_refused(tmp_path):
    path = write(tmp_path / "a.tif", np.zeros((4, 120, 150), dtype=np.uint16))
    with pytest.raises(ImageError, match="no valid pixel"):
        Scene.of_file(path).check()


def test_rotated_and_flipped_grids_are_refused(tmp_path):
    turned = write(tmp_path / "a.tif", counts(ground()), transform=PLACE @ Affine.rotation(5))
    with pytest.raises(ImageError, match=r"rotated.*north-up"):
        Scene.of_file(turned).check()
    south = write(tmp_path / "b.tif", counts(ground()), transform=Affine(10, 0, 464000, 0, 10, 2577000))
    with pytest.raises(ImageError, match="flipped"):
        Scene.of_file(south).check()


def test_truncated_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    write(tmp_path / "whole.tif", counts(ground((640, 640))))
    rasterio.shutil.copy(tmp_path / "whole.tif", path, driver="COG", compress="DEFLATE")
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(ImageError, match="cannot be read to its end"):
        Scene.of_file(path).check()
    path.write_bytes(b"no raster")
    with pytest.raises(ImageError, match="cannot be opened"):
        Scene.of_file(path)
    with pytest.raises(ImageError, match="cannot be opened"):
        Scene.of_file(tmp_path / "absent.tif")


def test_pairs_must_fit(tmp_path):
    first = scene(tmp_path / "a.tif", date="2024-03-12")
    second = scene(tmp_path / "b.tif", date="2025-03-12")
    assert Pair(first, second).sensitivity == "公开"
    with pytest.raises(ImageError, match="earlier image must come first"):
        Pair(second, first)
    with pytest.raises(ImageError, match="must be dated"):
        Pair(first, scene(tmp_path / "c.tif", date=""))
    with pytest.raises(GridMismatch, match="different grids"):
        Pair(first, scene(tmp_path / "d.tif", ground((120, 140))))
    with pytest.raises(ImageError, match="different bands"):
        Pair(first, second.select(("red", "nir")))
    write(tmp_path / "e.tif", counts(ground()), crs="EPSG:4526")
    with pytest.raises(CRSError, match="different coordinate systems"):
        Pair(first, Scene.of_file(tmp_path / "e.tif", date="2025-03-12"))


def test_shift_between_dates_is_measured_and_warned_of(tmp_path):
    rng = np.random.default_rng(1)
    wide = ground((320, 320)) + 0.02 * rng.standard_normal((4, 320, 320))
    first = scene(tmp_path / "a.tif", wide[:, 20:300, 20:300], date="2024-03-12")
    level = scene(tmp_path / "b.tif", 1.1 * wide[:, 20:300, 20:300] + 0.01, date="2025-03-12")
    off = scene(tmp_path / "c.tif", wide[:, 17:297, 22:302], date="2025-03-12")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.hypot(*Pair(first, level).shift()) < 0.2
    with pytest.warns(UserWarning, match="register the images first"):
        found = Pair(first, off).shift()
    assert found == pytest.approx((3, -2), abs=0.2)


def test_strictest_sensitivity():
    assert imagery.strictest(["公开", "内部"]) == "内部"
    assert imagery.strictest(["公开", "unknown"]) == "敏感"
    assert imagery.strictest([]) == "公开"


@pytest.mark.skipif(not REAL.exists(), reason="no real data")
def test_real_images():
    sentinel = Scene.of_file(REAL / "s2_slovenia_lulc" / "s2_l1c_20150711T100008.tif")
    assert sentinel.bands[7:9] == ("nir", "nir08") and sentinel.scale == 1.0 and len(sentinel.bands) == 13
    sentinel.check()
    with pytest.raises(ImageError, match="6 bands"):
        Scene.of_file(REAL / "landsat_cd_taizhou" / "t1_2000.tif")
    taizhou = Scene.of_file(
        REAL / "landsat_cd_taizhou" / "t1_2000.tif", bands=("blue", "green", "red", "nir", "swir16", "swir22")
    )
    taizhou.check()
    picture = Scene.of_file(REAL / "levir_cd_samples" / "A" / "test_2_0000_0000.png")
    assert (
        picture.bands == ("red", "green", "blue") and picture.grid.crs is None and picture.shape == (256, 256)
    )
    picture.check()


def test_scenes_and_pairs_of_a_city(home, tmp_path):
    images = {(role, year): ground(seed=year) for role in ("imagery", "imagery_2") for year in (2024, 2025)}
    _, data = small_city.make(tmp_path, images, {})
    found = imagery.scenes(data, 2025)
    assert [scene.date for scene in found] == [pd.Timestamp("2025-03-12"), pd.Timestamp("2025-07-08")]
    assert all(scene.bands == NAMES and scene.mask_href and len(scene.sha256) == 64 for scene in found)
    assert found[0].scale == 1e-4 and found[0].sensitivity == "内部"
    assert np.abs(found[0].read().data - ground(seed=2025)).max() < 6e-5
    found[0].check()
    both = imagery.pairs(data, 2024, 2025)
    assert [(pair.before.date.month, pair.after.date.month) for pair in both] == [(3, 3), (7, 7)]
    with pytest.raises(LayerMissing):
        imagery.scenes(data, 2019)
    with pytest.raises(ImageError, match="same season"):
        imagery.pairs(data, 2024, 2025, days=-1)
