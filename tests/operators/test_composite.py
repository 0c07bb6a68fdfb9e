"""The streamed composite against numpy's own median."""

import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from odc.geo.geobox import GeoBox
from rasterio.warp import reproject

from workbench.core.errors import CRSError, GridMismatch, LayerMissing, ParameterError
from workbench.operators import composite_kernels as module
from workbench.operators.composite import composite

CRS = "EPSG:4547"
GRID = Affine(10, 0, 500000, 0, -10, 2500000)
BANDS = ["blue", "red"]


def write(path: Path, values: np.ndarray, *, transform: Affine = GRID, crs: str | None = CRS) -> str:
    values = values if values.ndim == 3 else values[None]
    count, height, width = values.shape
    profile = dict(driver="GTiff", count=count, height=height, width=width, dtype=values.dtype, crs=crs)
    with rasterio.open(
        path, "w", **profile, transform=transform, tiled=True, blockxsize=16, blockysize=16
    ) as f:
        f.write(values)
    return str(path)


def make_items(folder: Path, data: np.ndarray, cloud: np.ndarray, transform: Affine = GRID) -> list[dict]:
    """Items with one asset a band; ``data`` is (date, band, y, x)."""
    items = []
    for i in range(len(data)):
        assets = {
            name: {"href": write(folder / f"{i}{name}.tif", data[i, b], transform=transform)}
            for b, name in enumerate(BANDS)
        }
        assets["cloud"] = {"href": write(folder / f"{i}cloud.tif", cloud[i], transform=transform)}
        items.append({"id": f"d{i}", "properties": {}, "assets": assets})
    return items


def scene(
    dates: int, shape: tuple[int, int] = (50, 70), dtype: str = "uint16"
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(dates)
    data = rng.integers(0, 12, (dates, 2, *shape)).astype(dtype) * np.array(
        5461 if dtype == "uint16" else 3, dtype
    )
    return data, (rng.random((dates, *shape)) < 0.4).astype("uint8")


def numpy_median(data: np.ndarray, cloud: np.ndarray, nodata: int = 0) -> np.ndarray:
    """The plain way: float64 with NaN for cloud and missing cells."""
    values = np.where((cloud[:, None] != 0) | (data == nodata), np.nan, data.astype(float))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a cell without a clear date
        middle = np.rint(np.nanmedian(values, axis=0))
    return np.where(np.isnan(middle), nodata, middle).astype(data.dtype)


@pytest.mark.parametrize("dates", [1, 2, 3, 5, 6, 7, 12])
def test_median_is_numpys(tmp_path: Path, dates: int) -> None:
    data, cloud = scene(dates)
    got = composite(make_items(tmp_path, data, cloud), bands=BANDS)
    assert got.dtype == np.uint16 and got.dims == ("band", "y", "x") and got.attrs["nodata"] == 0
    assert got.odc.geobox == GeoBox((50, 70), GRID, CRS)
    np.testing.assert_array_equal(got.values, numpy_median(data, cloud))


def test_many_small_tiles_give_the_same(tmp_path: Path) -> None:
    data, cloud = scene(4)
    items = make_items(tmp_path, data, cloud)
    small = composite(items, bands=BANDS, max_memory_gib=2e-5, threads=3)
    np.testing.assert_array_equal(small, composite(items, bands=BANDS, threads=1))


def test_signed_and_float_images(tmp_path: Path) -> None:
    data, cloud = scene(6, dtype="int16")
    data -= 18
    signed = composite(make_items(tmp_path, data, cloud), bands=BANDS, nodata=0)
    np.testing.assert_array_equal(signed, numpy_median(data, cloud))
    real = np.where(data == 0, np.nan, data).astype("float32")
    floating = composite(make_items(tmp_path, real, cloud), bands=BANDS, nodata=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a cell without a clear date
        expected = np.nanmedian(np.where(cloud[:, None] != 0, np.nan, real), axis=0)
    np.testing.assert_array_equal(floating, expected)


@pytest.mark.parametrize("reducer", ["min", "max"])
def test_least_and_greatest(tmp_path: Path, reducer: str) -> None:
    data, cloud = scene(5)
    got = composite(make_items(tmp_path, data, cloud), bands=BANDS, reducer=reducer)  # type: ignore[arg-type]
    left_out = (cloud[:, None] != 0) | (data == 0)
    other = 65535 if reducer == "min" else 0
    expected = getattr(np, reducer)(np.where(left_out, other, data), axis=0)
    np.testing.assert_array_equal(got, np.where(left_out.all(axis=0), 0, expected))


def test_chosen_mask_values_and_no_mask(tmp_path: Path) -> None:
    data, cloud = scene(3)
    classes = cloud * np.random.default_rng(0).integers(1, 4, cloud.shape).astype("uint8")
    items = make_items(tmp_path, data, classes)
    some = composite(items, bands=BANDS, mask_values=[2, 3])
    np.testing.assert_array_equal(some, numpy_median(data, np.isin(classes, [2, 3])))
    np.testing.assert_array_equal(composite(items, bands=BANDS, mask=None), numpy_median(data, cloud * 0))


@pytest.mark.parametrize("place", ["bands", "eo:bands", "properties"])
def test_bands_of_one_file(tmp_path: Path, place: str) -> None:
    data, cloud = scene(3)
    names = [{"name": name} for name in BANDS]
    items = []
    for i in range(3):
        item = pystac.Item(f"d{i}", None, None, datetime(2025, 1, 1 + i), {})
        fields = {} if place == "properties" else {place: names}
        if place == "properties":
            item.properties["bands"] = names
        item.add_asset("data", pystac.Asset(write(tmp_path / f"{i}.tif", data[i]), extra_fields=fields))
        item.add_asset("cloud", pystac.Asset(write(tmp_path / f"{i}c.tif", cloud[i])))
        items.append(item)
    got = composite(items, bands=BANDS[::-1])
    np.testing.assert_array_equal(got, numpy_median(data, cloud)[::-1])
    assert got.band.values.tolist() == ["red", "blue"]


def test_item_on_the_same_lattice_but_moved(tmp_path: Path) -> None:
    data, cloud = scene(3)
    items = make_items(tmp_path, data, cloud)
    (tmp_path / "moved").mkdir()
    moved = make_items(tmp_path / "moved", data[:1], cloud[:1], GRID @ Affine.translation(-7, 11))
    got = composite([*items[1:], *moved], bands=BANDS, geobox=GeoBox((50, 70), GRID, CRS))
    shifted, clouds = np.zeros_like(data[:1]), np.zeros_like(cloud[:1])
    shifted[:, :, 11:, :63], clouds[:, 11:, :63] = data[:1, :, :39, 7:], cloud[:1, :39, 7:]
    expected = numpy_median(np.concatenate([data[1:], shifted]), np.concatenate([cloud[1:], clouds]))
    np.testing.assert_array_equal(got, expected)


def test_item_on_another_grid_is_warped(tmp_path: Path) -> None:
    data, cloud = scene(2)
    items = make_items(tmp_path, data, cloud)
    other = Affine(20, 0, 499990, 0, -20, 2500015)
    coarse, coarse_cloud = data[:1, :, ::2, ::2].copy(), cloud[:1, ::2, ::2].copy()
    (tmp_path / "coarse").mkdir()
    far = make_items(tmp_path / "coarse", coarse, coarse_cloud, other)
    warped, clouds = np.zeros((1, 2, 50, 70), "uint16"), np.zeros((1, 50, 70), "uint8")
    for source, target in ((coarse[0], warped[0]), (coarse_cloud[0], clouds[0])):
        reproject(source, target, src_transform=other, dst_transform=GRID, src_crs=CRS, dst_crs=CRS)
    got = composite([*items, *far], bands=BANDS)
    expected = numpy_median(np.concatenate([data, warped]), np.concatenate([cloud, clouds]))
    np.testing.assert_array_equal(got, expected)


def test_errors_name_the_thing(tmp_path: Path) -> None:
    data, cloud = scene(2)
    items = make_items(tmp_path, data, cloud)
    with pytest.raises(LayerMissing):
        composite([], bands=BANDS)
    with pytest.raises(ParameterError, match=r"d0: no such band; found 'nir'.*'blue'"):
        composite(items, bands=["nir"])
    with pytest.raises(ParameterError, match="no such band"):
        composite(items, bands=BANDS, mask="scl")
    with pytest.raises(ParameterError, match="reducer"):
        composite(items, bands=BANDS, reducer="mean")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="list of names"):
        composite(items, bands="blue")
    items[1]["assets"]["red"] = {"href": write(tmp_path / "other.tif", data[0, 0].astype("float32"))}
    with pytest.raises(ParameterError, match="differ in dtype"):
        composite(items, bands=BANDS)
    items[1]["assets"]["red"] = {"href": write(tmp_path / "nowhere.tif", data[0, 0], crs=None)}
    with pytest.raises(CRSError, match=r"nowhere\.tif"):
        composite(items, bands=BANDS)
    turned = GRID @ Affine.rotation(10)
    items[1]["assets"]["red"] = {"href": write(tmp_path / "turned.tif", data[0, 0], transform=turned)}
    with pytest.raises(GridMismatch, match="rotated"):
        composite(items, bands=BANDS)


def test_cells_that_nothing_could_mark_are_refused(tmp_path: Path) -> None:
    data, cloud = scene(1)
    items = make_items(tmp_path, data, cloud)
    with pytest.raises(GridMismatch, match="does not cover"):
        composite(items, bands=BANDS, nodata=None, geobox=GeoBox((60, 70), GRID, CRS))
    with pytest.raises(GridMismatch, match="another grid"):
        composite(items, bands=BANDS, nodata=None, geobox=GeoBox((9, 9), GRID @ Affine.scale(3), CRS))


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 13, 32, 50])
def test_network_sorts(n: int) -> None:
    values = np.random.default_rng(n).integers(0, 9, (200, n))
    expected = np.sort(values, axis=1)
    for i, j in module.network(n):
        low, high = np.minimum(values[:, i], values[:, j]), np.maximum(values[:, i], values[:, j])
        values[:, i], values[:, j] = low, high
    np.testing.assert_array_equal(values, expected)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint16, (5, 1, 1, 9), elements=st.sampled_from([0, 1, 2, 3, 65534, 65535])),
    hnp.arrays(np.bool_, (5, 1, 9)),
)
def test_any_values_any_clouds(data: np.ndarray, cloud: np.ndarray) -> None:
    out = np.empty((1, 9), np.uint16)
    zero, top = np.uint16(0), np.uint16(65535)
    module.reduce_integer(data, 0, ~cloud, module.network(5), zero, True, zero, top, 0, out, 0, 0)
    np.testing.assert_array_equal(out, numpy_median(data, cloud)[0])
