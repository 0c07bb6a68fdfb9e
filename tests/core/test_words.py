"""Codes, units, grids, hashes and the GCJ-02 transform."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from workbench.core import codes, gcj02, grid, provenance, units
from workbench.core.errors import CRSError, GridMismatch, ParameterError


def test_class_table_is_whole_and_numbered_once() -> None:
    table = codes.survey_codes()
    land = table[table["kind"] == "dlbm"]
    assert len(land) == 70 and len(table) == 78
    assert sorted(land["raster"]) == list(range(1, 71))
    assert land["confidence"].str.len().gt(0).all()
    assert (land[["agricultural", "construction", "unused"]].sum(axis=1) == 1).all()


def test_groups_follow_the_three_way_class() -> None:
    assert codes.group("cropland") == {"0101", "0102", "0103"}
    assert "1006" not in codes.group("construction") and "1004" in codes.group("construction")
    assert codes.group("urban_rural_construction") < codes.group("construction")
    assert codes.group("park") == {"0810", "0810A"}
    assert codes.match(pd.Series(["0101", "0601", ""]), "cropland").tolist() == [True, False, False]
    with pytest.raises(ParameterError, match=r"cropand.*cropland"):
        codes.group("cropand")


def test_raster_numbers_go_both_ways() -> None:
    for code in codes.group("construction"):
        assert codes.code_of(codes.raster_code(code)) == code
    assert codes.code_of(255) == ""
    with pytest.raises(ParameterError, match="201"):
        codes.raster_code("201")


def test_units_convert_within_a_dimension() -> None:
    assert units.convert(1.0, "km2", "mu") == pytest.approx(1500.0)
    assert units.convert(15.0, "mu", "ha") == pytest.approx(1.0)
    assert units.convert(50.0, "%", "1") == pytest.approx(0.5)
    assert units.convert(2.0, "1e4 person/km2", "person/km2") == pytest.approx(20_000.0)
    with pytest.raises(ParameterError, match=r"km2 \(area\).*person \(people\)"):
        units.convert(1.0, "km2", "person")


def test_grids_differ_by_half_a_cell() -> None:
    first = GeoBox((4, 6), Affine(10, 0, 500_000, 0, -10, 2_500_000), "EPSG:4547")
    second = GeoBox((4, 6), Affine(10, 0, 500_005, 0, -10, 2_500_000), "EPSG:4547")
    grid.check_same_grid(first, first)
    with pytest.raises(GridMismatch, match=r"500005\.000.*500000\.000.*same geobox"):
        grid.check_same_grid(first, second)
    assert grid.cell_area_m2(first) == 100.0
    with pytest.raises(CRSError, match="EPSG:4490"):
        grid.require_projected("EPSG:4490")


def test_hashes_do_not_depend_on_order(tmp_path: Path) -> None:
    assert provenance.stable_hash({"a": [1, 2], "b": "中"}) == provenance.stable_hash(
        {"b": "中", "a": [1, 2]}
    )
    (tmp_path / "x").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, "abc"
    assert provenance.sha256_file(tmp_path / "x") == expected


def test_gcj02_inverse_undoes_the_forward_transform() -> None:
    rng = np.random.default_rng(7)
    lon, lat = rng.uniform(75, 134, 500), rng.uniform(4, 53, 500)
    back = gcj02.to_wgs84(*gcj02.from_wgs84(lon, lat))
    assert np.abs(np.array(back) - [lon, lat]).max() < 1e-9
    assert 100 < np.median(gcj02.offset_m(lon, lat)) < 900
    assert np.array(gcj02.from_wgs84(-15.4, 28.1)).tolist() == [-15.4, 28.1]


def test_gcj02_agrees_with_another_conversion_of_real_districts(real_data: Path) -> None:
    """The data set holds the districts as published (GCJ-02) and as converted by its makers."""
    path = real_data / "city" / "guangzhou" / "districts.gpkg"
    published = gpd.read_file(path, layer="districts_gcj02_as_published").set_index("adcode").geometry
    converted = (
        gpd.read_file(path, layer="districts_wgs84").set_index("adcode").geometry.reindex(published.index)
    )
    ours = gcj02.geometries_to_wgs84(published.to_numpy())
    apart = np.abs(shapely.bounds(ours) - shapely.bounds(converted.to_numpy())) * 111_000
    assert apart.max() < 2.0
