"""Class areas of zones against closed forms, rasterio, rasterstats and exactextract."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
import rasterstats
import shapely
import xarray as xr
from affine import Affine
from exactextract import exact_extract
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from rasterio.features import rasterize

from workbench.core.errors import CRSError, DataQualityError, GridMismatch, ParameterError
from workbench.operators import zonal
from workbench.operators.zonal import class_areas

CRS = "EPSG:4547"
GRID = Affine(10, 0, 500000, 0, -10, 2500000)
CLASSES = 6


def random_raster(seed: int, shape: tuple[int, int] = (97, 113)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, CLASSES, shape).astype("uint8")


def write(path: Path, values: np.ndarray, *, nodata: float | None = None, crs: str | None = CRS) -> Path:
    height, width = values.shape
    profile = dict(
        driver="GTiff", count=1, height=height, width=width, dtype=values.dtype, crs=crs, nodata=nodata
    )
    with rasterio.open(path, "w", **profile, transform=GRID, tiled=True, blockxsize=16, blockysize=16) as f:
        f.write(values, 1)
    return path


def random_zones(seed: int, count: int = 60) -> gpd.GeoDataFrame:
    """Stars, boxes on cell centres, rings with holes, pairs of parts; they overlap and reach over the edge."""
    rng = np.random.default_rng(seed)
    shapes = []
    for i in range(count):
        centre = rng.uniform([499900, 2498950], [501200, 2500050])
        corners = rng.integers(3, 25)
        angle, radius = np.sort(rng.uniform(0, 2 * np.pi, corners)), rng.uniform(20, 400, corners)
        star = np.c_[centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)]
        shape = shapely.make_valid(shapely.Polygon(star), method="structure", keep_collapsed=False)
        if i % 3 == 0:
            shape = shape.difference(shapely.Point(centre).buffer(30))
        if i % 4 == 0:
            left, bottom, right, top = np.round(np.array(shape.bounds) / 5) * 5
            shape = shapely.box(left, bottom, right, top, ccw=bool(i % 8))
        if i % 5 == 0:
            shape = shapely.union(shape, shapely.box(*(centre - 900), *(centre - 840)))
        shapes.append(shape)
    return gpd.GeoDataFrame({"code": [f"z{i}" for i in range(count)]}, geometry=shapes, crs=CRS)


def counts(raster: xr.DataArray | Path, zones: gpd.GeoDataFrame, method: str) -> np.ndarray:
    table = class_areas(
        raster, zones, zone_id="code", method=method, cell_area="count", classes=range(CLASSES)
    )  # type: ignore[arg-type]
    return table.to_numpy()


def test_quarter_cells_by_hand() -> None:
    raster = wrap_xr(np.array([[1, 1], [1, 2]], "uint8"), GeoBox((2, 2), GRID, CRS))
    west, north = 500000, 2500000
    shapes = [
        shapely.box(west + 5, north - 15, west + 15, north - 5),
        shapely.Polygon([(west, north), (west + 20, north), (west, north - 20)]),
    ]
    zones = gpd.GeoDataFrame({"code": ["middle", "corner"]}, geometry=shapes, crs=CRS)
    table = class_areas(raster, zones, zone_id="code", cell_area="planar")
    assert table.columns.tolist() == [1, 2] and table.index.tolist() == ["middle", "corner"]
    np.testing.assert_allclose(table.to_numpy(), [[75, 25], [200, 0]], rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_centres_are_rasterios(tmp_path: Path, seed: int) -> None:
    values, zones = random_raster(seed), random_zones(seed)
    got = counts(write(tmp_path / "a.tif", values), zones, "centre")
    for row, shape in zip(got, zones.geometry, strict=True):
        inside = rasterize([shape], values.shape, transform=GRID) == 1
        np.testing.assert_array_equal(row, np.bincount(values[inside], minlength=CLASSES))


def test_centres_are_rasterstats(tmp_path: Path) -> None:
    values, zones = random_raster(7), random_zones(7)
    path = write(tmp_path / "a.tif", values)
    stats = rasterstats.zonal_stats(zones, str(path), categorical=True, nodata=255)
    expected = [[row.get(value, 0) for value in range(CLASSES)] for row in stats]
    got = counts(path, zones, "centre")
    np.testing.assert_array_equal(
        got[:, 1:], np.array(expected)[:, 1:]
    )  # it counts what lies off the raster as 0


def test_shares_are_exactextracts(tmp_path: Path) -> None:
    values, zones = random_raster(5), random_zones(5)
    path = write(tmp_path / "a.tif", values)
    peer = exact_extract(str(path), zones, ["unique", "frac", "count"], output="pandas")
    expected = np.zeros((len(zones), CLASSES))
    for i, row in peer.iterrows():
        if row["count"]:
            expected[i, row["unique"].astype(int)] = row["frac"] * row["count"]
    got = counts(path, zones, "fraction")
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-5)  # it keeps shares in single precision


def test_shares_are_shapelys(tmp_path: Path) -> None:
    values, zones = random_raster(6, (40, 40)), random_zones(6, 20)
    got = counts(write(tmp_path / "a.tif", values), zones, "fraction")
    rows, cols = np.mgrid[:40, :40]
    west, north = 500000 + 10 * cols, 2500000 - 10 * rows
    cells = shapely.box(west, north - 10, west + 10, north)
    for row, shape in zip(got, zones.geometry, strict=True):
        part = shapely.area(shapely.intersection(cells, shape)) / 100
        expected = np.bincount(values.ravel(), part.ravel(), minlength=CLASSES)
        np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12))
def test_parts_add_up_to_the_whole(seed: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    raster = wrap_xr(random_raster(seed), GeoBox((97, 113), GRID, CRS))
    frame = shapely.box(500001.3, 2499055.7, 501101.9, 2499987.1)
    seeds = shapely.multipoints(rng.uniform([500000, 2499000], [501130, 2500000], (parts, 2)))
    pieces = shapely.get_parts(shapely.voronoi_polygons(seeds, extend_to=frame))
    shapes = [*shapely.intersection(pieces, frame), frame]
    zones = gpd.GeoDataFrame({"code": range(len(shapes))}, geometry=shapes, crs=CRS)
    got = class_areas(raster, zones, zone_id="code").to_numpy()
    np.testing.assert_allclose(got[:-1].sum(axis=0), got[-1], rtol=1e-9)


def test_chunks_and_threads_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values, zones = random_raster(3), random_zones(3)
    path = write(tmp_path / "a.tif", values)
    lazy = wrap_xr(values, GeoBox(values.shape, GRID, CRS)).chunk(y=10, x=50)
    for method in ("fraction", "centre"):
        whole = class_areas(path, zones, zone_id="code", method=method, threads=1)
        monkeypatch.setattr(zonal, "CHUNK_BYTES", 113 * 16)
        pieces = class_areas(path, zones, zone_id="code", method=method, threads=3)
        again = class_areas(lazy, zones, zone_id="code", method=method, threads=3)
        monkeypatch.undo()
        np.testing.assert_allclose(pieces, whole, rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(again, whole, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "int32", "int64"])
def test_other_integers(tmp_path: Path, dtype: str) -> None:
    values, zones = random_raster(2), random_zones(2)
    other = values.astype(dtype) * (1 if dtype == "uint16" else -1)
    box = GeoBox(values.shape, GRID, CRS)
    table = class_areas(wrap_xr(other, box), zones, zone_id="code", cell_area="count")
    expected = counts(wrap_xr(values, box), zones, "fraction")
    sign = 1 if dtype == "uint16" else -1
    np.testing.assert_allclose(table[[sign * c for c in range(CLASSES)]], expected, rtol=1e-12)


def test_nodata_is_no_class(tmp_path: Path) -> None:
    zones = random_zones(1)
    path = write(tmp_path / "a.tif", random_raster(1), nodata=3)
    assert class_areas(path, zones, zone_id="code").columns.tolist() == [0, 1, 2, 4, 5]
    assert class_areas(path, zones, zone_id="code", nodata=0).columns.tolist() == [1, 2, 3, 4, 5]


def geodesic_area(shape: shapely.Polygon, crs: str) -> float:
    dense = shapely.segmentize(shape, 1.0 if pyproj.CRS(crs).is_projected else 1e-4)
    to_degrees = pyproj.Transformer.from_crs(crs, pyproj.CRS(crs).geodetic_crs, always_xy=True)
    degrees = shapely.transform(dense, lambda xy: np.column_stack(to_degrees.transform(xy[:, 0], xy[:, 1])))
    return abs(pyproj.CRS(crs).get_geod().geometry_area_perimeter(degrees)[0])


@pytest.mark.parametrize("west", [500000, 350000, 640000])
def test_areas_are_ellipsoidal_on_a_projected_grid(west: float) -> None:
    grid = Affine(10, 0, west, 0, -10, 2500000)
    raster = wrap_xr(np.ones((300, 400), "uint8"), GeoBox((300, 400), grid, CRS))
    shape = shapely.box(west + 13, 2500000 - 2907, west + 3891, 2500000 - 111)
    zones = gpd.GeoDataFrame({"code": ["a"]}, geometry=[shape], crs=CRS)
    got = class_areas(raster, zones, zone_id="code").loc["a", 1]
    assert got == pytest.approx(geodesic_area(shape, CRS), rel=1e-7)
    planar = class_areas(raster, zones, zone_id="code", cell_area="planar").loc["a", 1]
    assert planar == pytest.approx(shape.area, rel=1e-12)


def test_areas_are_ellipsoidal_on_degrees() -> None:
    grid = Affine(0.01, 0, 113.0, 0, -0.01, 23.5)
    raster = wrap_xr(np.ones((60, 80), "uint8"), GeoBox((60, 80), grid, "EPSG:4490"))
    shape = shapely.box(113.0, 22.9, 113.8, 23.5)
    zones = gpd.GeoDataFrame({"code": ["a"]}, geometry=[shape], crs="EPSG:4490")
    got = class_areas(raster, zones, zone_id="code").loc["a", 1]
    assert got == pytest.approx(geodesic_area(shape, "EPSG:4490"), rel=1e-7)
    with pytest.raises(CRSError, match="planar"):
        class_areas(raster, zones, zone_id="code", cell_area="planar")


def test_south_up_raster_gives_the_same() -> None:
    values, zones = random_raster(4), random_zones(4)
    up = GeoBox(values.shape, GRID, CRS)
    down = GeoBox(values.shape, Affine(10, 0, 500000, 0, 10, 2500000 - 970), CRS)
    expected = counts(wrap_xr(values, up), zones, "fraction")
    got = counts(wrap_xr(values[::-1].copy(), down), zones, "fraction")
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_empty_and_far_zones_are_zero_rows(tmp_path: Path) -> None:
    shapes = [shapely.Polygon(), shapely.box(0, 0, 9, 9), shapely.box(500000, 2499990, 500010, 2500000), None]
    zones = gpd.GeoDataFrame({"code": list("abcd")}, geometry=shapes, crs=CRS)
    path = write(tmp_path / "a.tif", np.full((20, 20), 4, "uint8"))
    for method in ("fraction", "centre"):
        table = class_areas(path, zones, zone_id="code", method=method, cell_area="planar")  # type: ignore[arg-type]
        assert table[4].tolist() == [0, 0, 100, 0]


def test_errors_name_the_thing(tmp_path: Path) -> None:
    values, zones = random_raster(0), random_zones(0, 4)
    path = write(tmp_path / "a.tif", values)
    with pytest.raises(CRSError, match="to_crs"):
        class_areas(path, zones.to_crs(4490), zone_id="code")
    with pytest.raises(CRSError):
        class_areas(write(tmp_path / "none.tif", values, crs=None), zones, zone_id="code")
    with pytest.raises(ParameterError, match="'kode'"):
        class_areas(path, zones, zone_id="kode")
    with pytest.raises(ParameterError, match="method"):
        class_areas(path, zones, zone_id="code", method="center")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="cell_area"):
        class_areas(path, zones, zone_id="code", cell_area="square")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="repeat"):
        class_areas(path, zones.assign(code="x"), zone_id="code")
    with pytest.raises(ParameterError, match="integers"):
        class_areas(write(tmp_path / "f.tif", values.astype("float32")), zones, zone_id="code")
    with pytest.raises(GridMismatch, match="regular grid"):
        class_areas(xr.DataArray(values, dims=("y", "x")), zones, zone_id="code")
    bow = shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)])
    for shape, words in ((bow, "cross themselves"), (shapely.Point(1, 1), "polygons")):
        with pytest.raises(DataQualityError, match=words):
            class_areas(path, gpd.GeoDataFrame({"code": [1]}, geometry=[shape], crs=CRS), zone_id="code")
