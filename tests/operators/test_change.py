"""Changes between two surveys: rasters and parcels."""

import time

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from workbench.core.errors import CRSError, GridMismatch, ParameterError
from workbench.operators.area import area_m2
from workbench.operators.change import cell_area_ha, change_parcels, transition_matrix

GK = "EPSG:4547"
codes = npst.arrays(np.uint8, (6, 8), elements=st.integers(1, 5))


def raster(values, cell=100.0, crs=GK, x0=500_000.0):
    values = np.asarray(values)
    y = 2_500_000.0 - cell * (np.arange(values.shape[0]) + 0.5)
    x = x0 + cell * (np.arange(values.shape[1]) + 0.5)
    return xr.DataArray(values, {"y": y, "x": x}, ("y", "x"), name="land_use", attrs={"crs": crs})


def squares(codes_by_row, size=10.0, shift=0.0):
    geoms, code = [], []
    for r, row in enumerate(codes_by_row):
        for c, k in enumerate(row):
            x, y = 5e5 + shift + c * size, 25e5 + r * size
            geoms.append(shapely.box(x, y, x + size, y + size))
            code.append(k)
    return gpd.GeoDataFrame({"dlbm": code, "parcel_id": range(len(code))}, geometry=geoms, crs=GK)


def test_matrix_by_hand():
    matrix = transition_matrix(raster([[1, 1, 2], [2, 2, 9]]), raster([[1, 3, 2], [3, 3, 9]]))
    assert matrix.loc[1, 3] == 1.0 and matrix.loc[2, 3] == 2.0 and matrix.loc[2, 2] == 1.0
    assert matrix.index.tolist() == [1, 2, 9] and matrix.columns.tolist() == [1, 2, 3, 9]
    assert cell_area_ha(raster([[1, 1], [1, 1]], cell=10.0)) == pytest.approx(0.01)


@given(before=codes, after=codes)
def test_matrix_conserves_area(before, after):
    matrix = transition_matrix(raster(before), raster(after))
    assert matrix.to_numpy().sum() == pytest.approx(48.0)
    assert matrix.sum(axis=1).to_dict() == {k: float((before == k).sum()) for k in np.unique(before)}
    back = transition_matrix(raster(after), raster(before))
    assert np.array_equal(back.T, matrix)


@given(same=codes)
def test_equal_maps_do_not_change(same):
    matrix = transition_matrix(raster(same), raster(same)).to_numpy()
    assert matrix.sum() == matrix.trace()


def test_grids_must_agree():
    a = raster(np.ones((4, 4), int))
    with pytest.raises(GridMismatch, match="same geobox"):
        transition_matrix(a, raster(np.ones((4, 5), int)))
    with pytest.raises(GridMismatch, match="differ along x"):
        transition_matrix(a, raster(np.ones((4, 4), int), x0=500_005.0))
    with pytest.raises(CRSError, match="different"):
        transition_matrix(a, raster(np.ones((4, 4), int), crs="EPSG:4546"))
    with pytest.raises(CRSError, match="projected"):
        cell_area_ha(raster(np.ones((4, 4), int), crs="EPSG:4490"))
    with pytest.raises(ParameterError, match="integers"):
        transition_matrix(a, raster(np.ones((4, 4))))


def test_parcels_by_hand():
    before = squares([["0101", "0101"], ["0301", "0701"]])
    after = squares([["0101", "0601"], ["0301", "0701"]])
    after.loc[2, "geometry"] = shapely.box(
        5e5, 25e5 + 10, 5e5 + 15, 25e5 + 20
    )  # forest grew 5 m into the houses
    after.loc[3, "geometry"] = shapely.box(5e5 + 15, 25e5 + 10, 5e5 + 20, 25e5 + 20)
    got = change_parcels(before, after, parcel_id="parcel_id")
    assert list(zip(got["before_dlbm"], got["after_dlbm"], got["area_m2"].round(3), strict=True)) == [
        ("0101", "0601", 100.0),
        ("0701", "0301", 50.0),
    ]
    assert got["before_parcel_id"].tolist() == [1, 3] and got["after_parcel_id"].tolist() == [1, 2]
    assert change_parcels(before, after, from_codes=["01"])["after_dlbm"].tolist() == ["0601"]
    assert change_parcels(before, after, to_codes=["03"])["before_dlbm"].tolist() == ["0701"]
    assert len(change_parcels(before, after, from_codes=["09"])) == 0
    built = {"0601": "built", "0701": "built", "0301": "green", "0101": "green"}
    assert change_parcels(before, before.assign(dlbm=["0301", "0301", "0101", "0601"]), groups=built).empty
    assert change_parcels(before, after, min_area_m2=60)["area_m2"].round().tolist() == [100.0]


rows = st.lists(
    st.lists(st.sampled_from(["0101", "0301", "0601"]), min_size=3, max_size=3), min_size=3, max_size=3
)


@settings(max_examples=25, deadline=None)
@given(a=rows, b=rows, shift=st.sampled_from([0.0, 3.5, 10.0]))
def test_changed_area_is_symmetric_and_bounded(a, b, shift):
    before, after = squares(a), squares(b, shift=shift)
    there, back = change_parcels(before, after), change_parcels(after, before)
    assert there["area_m2"].sum() == pytest.approx(back["area_m2"].sum(), abs=1e-6)
    common = area_m2([before.union_all().intersection(after.union_all())], GK)[0]
    assert there["area_m2"].sum() <= common * (1 + 1e-9)
    assert (there["before_dlbm"] != there["after_dlbm"]).all()
    assert change_parcels(before, before).empty


def test_twenty_thousand_parcels_in_seconds():
    rng = np.random.default_rng(3)
    before = squares(rng.choice(["0101", "0301", "0601", "0701"], (140, 140)), size=50.0)
    after = before.copy()
    changed = rng.choice(len(before), 400, replace=False)
    after.loc[changed, "dlbm"] = "1001"
    start = time.process_time()
    got = change_parcels(before, after)
    assert time.process_time() - start < 10
    assert len(got) == 400
    assert got["area_m2"].sum() == pytest.approx(area_m2(before.geometry[changed], GK).sum(), rel=1e-9)
