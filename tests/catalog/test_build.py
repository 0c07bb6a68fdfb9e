"""What comes out of a build: layers, editions, zones, findings, and what is not built twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio

from workbench.catalog import manifest, stac
from workbench.catalog.build import build
from workbench.catalog.data import CityData, reason_words
from workbench.core.city import City
from workbench.core.errors import LayerMissing, ParameterError

from .conftest import X, Y


def test_layers_come_in_standard_form(rich: City) -> None:
    data = CityData(rich)
    land = data.vector("land_use", 2023)
    assert land.crs == "EPSG:4547" and list(land.index) == [0, 1]
    assert {"parcel_id", "dlbm", "czcsxm", "area_m2", "net_area_m2", "district", "unit"} <= set(land)
    assert data.years("land_use") == [2023, 2024] and data.years("districts") == []
    raster = data.raster("land_use_raster", 2024)
    assert raster.dims == ("y", "x") and raster.dtype == np.uint8 and int(raster.sum()) == 200
    image = data.raster("imagery", 2024)
    assert image.dims == ("band", "y", "x") and list(image.band.values) == ["blue", "green", "red", "nir"]
    assert int(image.sel(band="nir")[0, 0]) == 600 + 2024
    assert int(data.raster("imagery", 2024, bands=["cloud"]).sum()) == 0


def test_class_overviews_keep_classes(rich: City) -> None:
    data = CityData(rich)
    with rasterio.open(data.source("land_use_raster", 2024).path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.nodata == 0


def test_revised_editions_are_told_apart(rich: City) -> None:
    data = CityData(rich)
    assert data.editions("land_use", 2024) == ["original", "revised"]
    assert data.vector("land_use", 2024)["dlbm"].tolist() == ["0102", "0601"]
    assert data.vector("land_use", 2024, edition="original")["dlbm"].tolist() == ["0101", "0601"]
    assert data.source("land_use", 2024).date == "2025-06-30"
    assert data.source("land_use", 2024, edition="original").date == "2024-12-31"
    assert data.table("statistics", 2024)["value"].tolist() == [12.5]
    assert data.table("statistics", 2024, edition="original")["value"].tolist() == [11.0]
    assert data.table("statistics")["value"].tolist() == [10.0, 12.5]
    with pytest.raises(LayerMissing, match="no_edition"):
        data.vector("land_use", 2023, edition="revised")


def test_a_year_without_data_is_missing_never_another(rich: City) -> None:
    data = CityData(rich)
    with pytest.raises(LayerMissing, match="land_use of 2022") as caught:
        data.vector("land_use", 2022)
    assert caught.value.reason == "no_year"
    assert data.why_missing("land_use", 2022) == "no_year" and data.why_missing("permits") == "no_layer"
    assert reason_words("no_year", "zh") == "没有该年份的数据"
    with pytest.raises(LayerMissing):
        data.table("statistics", 2030)
    with pytest.raises(ParameterError, match=r"name a year.*2023, 2024"):
        data.vector("land_use")
    assert len(data.vector("districts", 2024)) == 2  # not dated by year: one for all


def test_frames_are_copies(rich: City) -> None:
    data = CityData(rich)
    data.vector("districts")["code"] = "x"
    assert data.vector("districts")["code"].tolist() == ["01", "02"]


def test_zones_and_scopes(rich: City) -> None:
    data = CityData(rich)
    whole = data.zones("city")
    assert whole[["code", "name", "parent"]].to_numpy().tolist() == [["toy", "小城", ""]]
    assert whole.area.iloc[0] == pytest.approx(2e6)
    assert data.zones("district")["parent"].tolist() == ["toy", "toy"]
    assert data.scope("市域").area == pytest.approx(2e6)
    with pytest.raises(ParameterError, match="city, district"):
        data.zones("unit")
    with pytest.raises(LayerMissing, match="no_scope"):
        data.scope("中心城区")


def test_a_second_build_writes_nothing(rich: City) -> None:
    target = build(rich)
    folder = manifest.folder("toy")
    files = [
        *folder.rglob("*.parquet"),
        *folder.rglob("*.tif"),
        *target.parent.rglob("*.json"),
        folder / "manifest.json",
    ]
    before = {file: file.stat().st_mtime_ns for file in files}
    assert len(files) > 20
    assert build(rich) == target
    assert {file: file.stat().st_mtime_ns for file in files} == before


def test_only_what_changed_is_built_again(rich: City, source: Path) -> None:
    build(rich)
    keys = {entry.id: entry.key for entry in manifest.read("toy")}
    table = pd.read_csv(source / "statistics.csv")
    table.assign(value=table["value"] + 1).to_csv(source / "statistics.csv", index=False)
    data = CityData(rich)
    after = {entry.id: entry.key for entry in manifest.read("toy")}
    assert {name for name in keys if keys[name] != after[name]} == {"statistics"}
    assert data.table("statistics", 2023)["value"].tolist() == [11.0]


def test_a_build_is_repeatable_byte_for_byte(rich: City) -> None:
    build(rich)
    folder = manifest.folder("toy")
    first = {file: file.read_bytes() for file in [*folder.rglob("*.parquet"), *folder.rglob("*.tif")]}
    build(rich, force=True)
    assert all(file.read_bytes() == content for file, content in first.items())


def test_progress_counts_to_the_end(rich: City) -> None:
    seen: list[tuple[int, int, str]] = []
    build(rich, progress=lambda done, total, what: seen.append((done, total, what)))
    assert seen[0][0] == 0 and seen[-1][0] == seen[-1][1] == len(seen) - 1


def test_the_catalogue_is_valid_offline(rich: City) -> None:
    target = build(rich)
    assert stac.validate("toy") == 1 + 5 + 9
    item = json.loads(
        (target.parent / "imagery" / "imagery-2024" / "imagery-2024.json").read_text(encoding="utf-8")
    )
    assert item["properties"]["proj:code"] == "EPSG:4547" and item["properties"]["proj:shape"] == [10, 20]
    assert item["properties"]["proj:transform"] == [100.0, 0.0, X, 0.0, -100.0, Y + 1000]
    assert set(item["assets"]) == {"blue", "green", "red", "nir", "cloud"}
    here = target.parent / "imagery" / "imagery-2024" / item["assets"]["blue"]["href"]
    assert here.resolve().is_file() and not item["assets"]["blue"]["href"].startswith("/")


def test_a_broken_projection_field_does_not_validate(rich: City) -> None:
    target = build(rich)
    path = target.parent / "imagery" / "imagery-2024" / "imagery-2024.json"
    path.write_text(path.read_text().replace('"proj:code": "EPSG:4547"', '"proj:code": "4547"'))
    with pytest.raises(stac.pystac.errors.STACValidationError):
        stac.validate("toy")
