"""Slope, aspect and relief against closed forms, GDAL's own gdaldem, and plain loops over real terrain."""

from __future__ import annotations

import ctypes
from pathlib import Path

import dask.array as da
import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo import resyx_
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr, xr_reproject

from workbench.core.errors import CRSError, GridMismatch, ParameterError
from workbench.operators.terrain import FLAT, aspect, relief, slope, window_cells

CRS = "EPSG:4547"
CELL = 10.0


def raster(values, *, cell=CELL, crs=CRS, nodata=None, chunks=None, transform=None):
    values = np.asarray(values)
    box = GeoBox(values.shape, transform or Affine(cell, 0, 500000, 0, -cell, 2500000), crs)
    found = wrap_xr(values if chunks is None else da.from_array(values, chunks=chunks), box)
    if nodata is not None:
        found.attrs["_FillValue"] = nodata
    return found


def centres(rows, columns, cell=CELL):
    """Easting and northing of the cell centres from the upper left corner."""
    east, row = np.meshgrid((np.arange(columns) + 0.5) * cell, np.arange(rows))
    return east, -(row + 0.5) * cell


def plane(rows, columns, east_rise, north_rise):
    east, north = centres(rows, columns)
    return 100 + east_rise * east + north_rise * north


def rough(seed=3, shape=(61, 83)):
    return np.random.default_rng(seed).normal(300, 40, shape)


@pytest.mark.parametrize(("east_rise", "north_rise"), [(1.0, 0.0), (0.0, 0.5), (-0.2, 0.3), (0.7, -0.1)])
def test_plane_is_exact_everywhere_even_at_the_edge(east_rise, north_rise):
    dem = raster(plane(7, 9, east_rise, north_rise))
    expected = np.degrees(np.arctan(np.hypot(east_rise, north_rise)))
    assert slope(dem).to_numpy() == pytest.approx(np.full((7, 9), expected), rel=1e-6)
    bearing = np.degrees(np.arctan2(-east_rise, -north_rise)) % 360
    assert aspect(dem).to_numpy() == pytest.approx(np.full((7, 9), bearing), abs=1e-4)
    inner = slope(dem, edges="none").to_numpy()
    assert np.isnan(inner[0]).all() and np.isnan(inner[:, -1]).all()
    assert inner[1:-1, 1:-1] == pytest.approx(np.full((5, 7), expected), rel=1e-6)


def test_cone_has_one_slope_and_falls_away_from_its_top():
    east, north = centres(201, 201)
    x, y = east - 1005.0, north + 1005.0
    radius = np.hypot(x, y)
    dem = raster(1000 - 0.4 * radius)
    far = radius > 300  # near the top the window of three cells is no longer flat
    assert slope(dem).to_numpy()[far] == pytest.approx(np.degrees(np.arctan(0.4)), rel=1e-3)
    outward = np.degrees(np.arctan2(x, y)) % 360
    turned = (aspect(dem).to_numpy() - outward + 180) % 360 - 180
    inside = far & (np.abs(x) < 990) & (np.abs(y) < 990)
    assert np.abs(turned[inside]).max() < 0.05
    assert aspect(dem).to_numpy()[100, 100] == FLAT  # the very top is symmetric: flat by Horn


def test_flat_land_has_no_aspect_and_no_slope():
    dem = raster(np.full((5, 5), 12.0))
    assert (slope(dem) == 0).all() and (aspect(dem) == FLAT).all() and (relief(dem, 30) == 0).all()


def test_a_hole_is_a_hole_and_its_neighbours_use_only_true_heights():
    heights = plane(9, 9, 0.3, 0.0).astype("float32")
    heights[4, 4] = -9999.0
    dem = raster(heights, nodata=-9999.0)
    found = slope(dem).to_numpy()
    assert np.isnan(found[4, 4]) and np.isfinite(found).sum() == 80
    assert found[np.isfinite(found)] == pytest.approx(np.degrees(np.arctan(0.3)), rel=1e-5)
    assert np.isnan(slope(dem, edges="none").to_numpy()[3:6, 3:6]).all()
    assert np.isnan(relief(dem, 30).to_numpy()[4, 4])
    island = np.full((5, 5), np.nan)
    island[2, 2] = 50.0
    assert np.isnan(slope(raster(island))).all()  # one height alone has no slope


def test_relief_is_the_range_of_the_window_by_a_plain_loop():
    heights = rough(8, (23, 31))
    heights[5:9, 10:14] = np.nan
    dem, size = raster(heights), 7
    expected = np.full(heights.shape, np.nan)
    for row in range(23):
        for column in range(31):
            part = heights[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4]
            if np.isfinite(heights[row, column]) and np.isfinite(part).sum() >= np.ceil(0.25 * size**2):
                expected[row, column] = np.nanmax(part) - np.nanmin(part)
    assert window_cells(70, CELL) == size
    np.testing.assert_allclose(relief(dem, 70).to_numpy(), expected, rtol=1e-6)
    assert np.isnan(relief(dem, 70, least_share=1.0).to_numpy()[0]).all()  # at the border no window is full


@pytest.mark.parametrize("chunks", [(16, 20), (61, 83), (5, 83)])
def test_blocks_give_what_the_whole_gives(chunks):
    heights = rough()
    heights[20:22, 30:33] = np.nan
    whole, lazy = raster(heights), raster(heights, chunks=chunks)
    for made in (slope, aspect, lambda dem: relief(dem, 90)):
        result = made(lazy)
        assert result.chunks is not None and result.dtype == np.float32
        np.testing.assert_array_equal(result.to_numpy(), made(whole).to_numpy())


def test_only_the_blocks_asked_for_are_read():
    read = []

    def block(info):
        where = info[None]["array-location"]
        read.append(tuple(where))
        return np.zeros([high - low for low, high in where])

    heights = da.map_blocks(
        lambda block_info: block(block_info),
        chunks=((100,) * 10, (100,) * 10),
        dtype=float,
        meta=np.empty((0, 0)),
    )
    dem = wrap_xr(heights, GeoBox((1000, 1000), Affine(CELL, 0, 0, 0, -CELL, 0), CRS))
    assert slope(dem)[450:460, 450:460].to_numpy().shape == (10, 10)
    assert len(set(read)) == 9  # the block and its neighbours, of a hundred


def test_what_is_no_metric_grid_is_refused():
    heights = np.zeros((4, 4))
    with pytest.raises(CRSError):
        slope(raster(heights, cell=0.001, crs="EPSG:4490", transform=Affine(0.001, 0, 113, 0, -0.001, 23)))
    with pytest.raises(GridMismatch):
        slope(raster(heights, transform=Affine(10, 1, 0, 1, -10, 0)))
    with pytest.raises(ParameterError):
        slope(raster(heights), edges="guess")
    with pytest.raises(ParameterError):
        relief(raster(heights), 10)


def gdaldem(path: Path, mode: str, folder: Path, *options: str) -> np.ndarray:
    """What gdaldem of the GDAL that rasterio brings makes of a file."""
    found = sorted((Path(rasterio.__file__).parent.parent / "rasterio.libs").glob("libgdal*.so*"))
    if not found:
        pytest.skip("no GDAL library beside rasterio to call gdaldem of")
    gdal = ctypes.CDLL(str(found[0]))
    pointer = ctypes.c_void_p
    gdal.GDALOpen.restype = gdal.GDALDEMProcessingOptionsNew.restype = gdal.GDALDEMProcessing.restype = (
        pointer
    )
    gdal.GDALOpen.argtypes = [ctypes.c_char_p, ctypes.c_int]
    gdal.GDALDEMProcessingOptionsNew.argtypes = [ctypes.POINTER(ctypes.c_char_p), pointer]
    gdal.GDALDEMProcessing.argtypes = [
        ctypes.c_char_p,
        pointer,
        ctypes.c_char_p,
        ctypes.c_char_p,
        pointer,
        pointer,
    ]
    gdal.GDALClose.argtypes = gdal.GDALDEMProcessingOptionsFree.argtypes = [pointer]
    gdal.GDALAllRegister()
    words = (ctypes.c_char_p * (len(options) + 1))(*[one.encode() for one in options], None)
    settings = gdal.GDALDEMProcessingOptionsNew(words, None)
    source = gdal.GDALOpen(str(path).encode(), 0)
    target = folder / f"{mode}.tif"
    made = gdal.GDALDEMProcessing(str(target).encode(), source, mode.encode(), None, settings, None)
    gdal.GDALClose(made)
    gdal.GDALClose(source)
    gdal.GDALDEMProcessingOptionsFree(settings)
    with rasterio.open(target) as file:
        values = file.read(1).astype(float)
        return np.where(values == file.nodata, np.nan, values)


def compare_with_gdal(dem: xr.DataArray, folder: Path, *, bearings: bool = True) -> None:
    box, values = dem.odc.geobox, dem.to_numpy().astype("float32")
    path = folder / "dem.tif"
    profile = {
        "driver": "GTiff",
        "count": 1,
        "height": values.shape[0],
        "width": values.shape[1],
        "dtype": "float32",
    }
    with rasterio.open(path, "w", **profile, crs=str(box.crs), transform=box.affine, nodata=-9999.0) as file:
        file.write(np.where(np.isnan(values), -9999.0, values).astype("float32"), 1)
    ours = slope(dem, edges="none").to_numpy()
    theirs = gdaldem(path, "slope", folder)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, atol=2e-4)
    if not bearings:
        return
    ours, theirs = aspect(dem, edges="none").to_numpy(), gdaldem(path, "aspect", folder)
    steep = theirs >= 0
    turned = (ours[steep] - theirs[steep] + 180) % 360 - 180
    assert steep.mean() > 0.5 and np.abs(turned).max() < 0.02
    assert set(np.unique(ours[~steep & ~np.isnan(ours)])) <= {FLAT}


def test_slope_and_aspect_are_those_of_gdal(tmp_path):
    heights = rough(5).astype("float32")
    heights[10:13, 40:44] = np.nan
    compare_with_gdal(raster(heights), tmp_path)
    heights = np.round(rough(6) / 50).astype("float32")  # flat cells too
    compare_with_gdal(raster(heights, transform=Affine(30, 0, 0, 0, -30, 0)), tmp_path)
    oblong = raster(rough(7).astype("float32"), transform=Affine(30, 0, 0, 0, -25, 0))
    compare_with_gdal(
        oblong, tmp_path, bearings=False
    )  # gdaldem takes cells for square when it makes the aspect


def porto_alegre(real_data: Path) -> tuple[np.ndarray, Affine]:
    with rasterio.open(real_data / "city" / "porto_alegre" / "poa_elevation.tif") as file:
        return file.read(1).astype("float32"), file.transform


def test_real_terrain_against_gdal(real_data, tmp_path):
    heights, transform = porto_alegre(real_data)
    degrees = wrap_xr(heights, GeoBox(heights.shape, transform, "EPSG:4326"), nodata=np.nan)
    box = GeoBox.from_bbox(degrees.odc.geobox.to_crs("EPSG:32722").boundingbox, "EPSG:32722", resolution=30)
    compare_with_gdal(xr_reproject(degrees, box, resampling="bilinear"), tmp_path)


def test_real_terrain_against_the_degrees_themselves(real_data):
    """Mean slope on a metric grid is that of differences on the ellipsoid, taken in plain numpy without a projection."""
    heights, transform = porto_alegre(real_data)
    latitude = np.radians(transform.f + transform.e * (np.arange(heights.shape[0]) + 0.5))[:, None]
    e2, a = 0.00669437999, 6378137.0
    north = np.radians(-transform.e) * a * (1 - e2) / (1 - e2 * np.sin(latitude) ** 2) ** 1.5
    east = np.radians(transform.a) * a * np.cos(latitude) / np.sqrt(1 - e2 * np.sin(latitude) ** 2)
    z = heights.astype(float)
    weights = np.array([1.0, 2.0, 1.0]) / 4
    across = sum(w * (z[k : len(z) - 2 + k, 2:] - z[k : len(z) - 2 + k, :-2]) for k, w in enumerate(weights))
    width = z.shape[1]
    down = sum(w * (z[2:, k : width - 2 + k] - z[:-2, k : width - 2 + k]) for k, w in enumerate(weights))
    plain = np.degrees(np.arctan(np.hypot(across / 2 / east[1:-1], down / 2 / north[1:-1])))
    degrees = wrap_xr(heights, GeoBox(heights.shape, transform, "EPSG:4326"))
    box = GeoBox.from_bbox((476000, 6669500, 486000, 6681000), "EPSG:32722", resolution=resyx_(-30.8, 26.8))
    ours = slope(xr_reproject(degrees, box, resampling="cubic", dst_nodata=np.nan)).to_numpy()
    columns = z.shape[1]
    lon, lat = transform.c + transform.a * (np.arange(columns) + 0.5), np.degrees(latitude[:, 0])
    x, y = pyproj.Transformer.from_crs(4326, 32722, always_xy=True).transform(*np.meshgrid(lon, lat))
    inside = ((x > 476000) & (x < 486000) & (y > 6669500) & (y < 6681000))[1:-1, 1:-1]
    assert inside.sum() > 50_000
    assert np.nanmean(ours) == pytest.approx(plain[inside].mean(), rel=0.02)
    for high in (2, 6, 15, 25):
        assert np.nanmean(ours > high) == pytest.approx((plain[inside] > high).mean(), abs=0.01)
