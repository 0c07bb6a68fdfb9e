"""Verdicts of persons as pairs of chips: which pairs are certain, what is labelled, and that a net learns from them."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import jsonschema
import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from pystac.extensions.label import LabelExtension, LabelType
from rasterio.transform import from_origin
from shapely.geometry import box

from tests.interpretation.test_findings import register
from tests.rules.drawn import CRS, X, Y, frame
from workbench.cli import main
from workbench.core.errors import ParameterError
from workbench.interpretation import (
    findings,
    runs,
    sample_library,
    splits,
    training,
    verdict_samples,
    weights,
)
from workbench.interpretation.datasets import library_parts
from workbench.interpretation.imagery import Pair, Scene
from workbench.rules.register import Register

BANDS = ("blue", "green", "red", "nir")
LEFT, TOP = X - 200, Y + 600
HIGH, WIDE = 80, 90


def built(shapes: list[shapely.Geometry]) -> np.ndarray:
    """Cells of the images that lie in shapes."""
    from rasterio.features import rasterize

    found: np.ndarray = rasterize(shapes, (HIGH, WIDE), transform=from_origin(LEFT, TOP, 10, 10))
    return found > 0


def scene(folder: Path, day: str, bright: np.ndarray, seed: int) -> Scene:
    """Green fields with bright built land on them."""
    rng = np.random.default_rng(seed)
    spectra = np.array([[600, 900, 700, 3200], [1500, 1600, 1700, 2200]])
    data = spectra[bright.astype(int)].transpose(2, 0, 1) + rng.normal(0, 50, (4, HIGH, WIDE))
    path = folder / f"image_{day}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=4, height=HIGH, width=WIDE, dtype="uint16", crs=CRS, nodata=0,
        transform=from_origin(LEFT, TOP, 10, 10),
    ) as file:  # fmt: skip
        file.write(data.astype(np.uint16))
    return Scene.of_file(path, bands=BANDS, date=day)


def world(folder: Path) -> tuple[Register, list[Pair]]:
    """The register of the field tests, and images in which all its true places are built on between two Novembers."""
    book = register(folder)
    true = book.cases[book.cases["verdict"].isin(findings.TRUE_CHANGE)]
    green, bright = np.zeros((HIGH, WIDE), dtype=bool), built(list(true.geometry))
    autumn = Pair(scene(folder, "2024-11-02", green, 1), scene(folder, "2025-11-02", bright, 2))
    spring = Pair(scene(folder, "2024-03-12", green, 3), scene(folder, "2025-03-12", green, 4))
    return book, [spring, autumn]


def library(folder: Path) -> sample_library.SampleLibrary:
    return sample_library.create(folder / "samples", scheme="change", bands=BANDS, crs=CRS, dates=2)


def test_only_pairs_that_are_certain_become_samples(tmp_path: Path) -> None:
    """Change between two Novembers says nothing of March; land unchanged from November to November was so in between."""
    book, (spring, autumn) = world(tmp_path)
    samples = findings.verified_samples(book)
    assert verdict_samples.certain(samples, spring).empty
    assert verdict_samples.certain(samples, autumn)["label"].value_counts().to_dict() == {1: 10, 0: 2}
    between = Pair(autumn.before, scene(tmp_path, "2025-05-01", built([]), 9))
    assert verdict_samples.certain(samples, between)["label"].tolist() == [0, 0]


def test_a_verdict_becomes_a_pair_with_its_place_labelled_and_nothing_else(tmp_path: Path) -> None:
    book, pairs = world(tmp_path)
    made = library(tmp_path)
    added = verdict_samples.add_pairs(book, made, pairs, size=32)
    assert len(added) == 12 and verdict_samples.add_pairs(book, made, pairs, size=32) == []
    table = made.table(source="verdict").set_index("sample_id")
    case = book.cases.iloc[3]
    row = table.loc[f"{case['space_code']}-20241102-20251102"]
    assert (row["date_before"], row["date"]) == (pd.Timestamp("2024-11-02"), pd.Timestamp("2025-11-02"))
    assert (row["image_before"], row["image"]) == (pairs[1].before.name, pairs[1].after.name)
    assert (row["by"], row["weak"], row["cells_changed"], row["cells_unchanged"]) == ("李", False, 16, 0)
    assert row.geometry.covers(case.geometry) and row.geometry.area == pytest.approx(320.0**2)
    image, valid, label = made.read(row.name)
    assert image.shape == (8, 32, 32) and valid.all() and (label != 255).sum() == 16
    assert (image[4 + 2][label == 1] - image[2][label == 1]).min() > 0.05  # red rose where it was built on
    false = table[table["cells_unchanged"] > 0]
    assert len(false) == 2 and (false["cells_changed"] == 0).all()
    with pytest.raises(ParameterError, match="samples of change"):
        one_date = sample_library.create(tmp_path / "other", scheme="six", bands=BANDS, crs=CRS)
        verdict_samples.add_pairs(book, one_date, pairs)


def test_ground_around_is_labelled_only_where_no_change_is_known(tmp_path: Path) -> None:
    book, pairs = world(tmp_path)
    made = library(tmp_path)
    lawful = frame([box(X + 300, Y + 100, X + 400, Y + 200)])
    verdict_samples.add_pairs(book, made, pairs, size=48, changed=lawful)
    table = made.table()
    assert table["weak"].all()
    everything = [*book.cases.geometry, *lawful.geometry]
    for row in table.itertuples():
        label = made.read(row.sample_id)[2]
        left, low, right, high = row.geometry.bounds
        cells = shapely.points(*np.meshgrid(np.arange(left + 5, right, 10), np.arange(high - 5, low, -10)))
        near = shapely.distance(cells, shapely.union_all(everything))
        assert set(np.unique(label[near > 0])) <= {0, 255} and (label[near > 40] == 0).all()
        own = book.cases.set_index("space_code").at[str(row.sample_id).split("-")[0], "verdict"]
        assert (label[(near > 0) & (near <= 10)] == 255).all()
        assert int(own != "误判") in label[near == 0] and set(np.unique(label[near == 0])) <= {
            255,
            int(own != "误判"),
        }


def test_from_verdicts_to_a_net(tmp_path: Path) -> None:
    """A library of verdicts, split by place, trains a net that tells built land it never saw."""
    book, pairs = world(tmp_path)
    made = library(tmp_path)
    verdict_samples.add_pairs(book, made, pairs, size=32, changed=frame([box(X, Y - 900, X + 1, Y - 899)]))
    run = runs.read(
        "demo_change", name="verdicts", data__kind="library", data__library=str(made.folder), data__chip=32, data__block_m=150.0,
        data__train=(), data__validation=(), machine__precision="32-true", machine__threads=1, optimiser__epochs=5,
        optimiser__chips=64, optimiser__batch=8, optimiser__lr=0.01, augmentation={"holes": 0.0},
        net={"family": "detail_unet", "in_channels": 8, "classes": 1, "depth": 2, "decoder": [16, 8], "detail": 8},
    )  # fmt: skip
    parts = library_parts(run)
    block = splits.block_of(parts.table.geometry, 150.0)
    assert not set(block[parts.part == "train"]) & set(block[parts.part == "validation"])
    training.fit(run, tmp_path / "run", say=lambda text: None)
    model = weights.load(training.finish(run, tmp_path / "run", tmp_path / "weights"))
    assert model.card.task == "change" and model.card.accuracy["f1"]["changed"] > 0.8


LABEL = {
    "type": "object",
    "required": ["label:properties", "label:description", "label:type"],
    "properties": {
        "label:properties": {"type": ["array", "null"]}, "label:description": {"type": "string", "minLength": 1},
        "label:type": {"const": "raster"}, "label:tasks": {"type": "array", "items": {"type": "string"}},
        "label:methods": {"type": "array", "items": {"type": "string"}},
        "label:classes": {"type": "array", "minItems": 1, "items": {
            "required": ["name", "classes"],
            "properties": {"name": {"type": "null"}, "classes": {"type": "array", "items": {"type": "string"}}}}},
        "label:overviews": {"type": "array", "items": {"properties": {
            "property_key": {"type": "string"},
            "counts": {"type": "array", "items": {"properties": {"name": {"type": "string"}, "count": {"type": "integer"}}}}}}},
    },
    "patternProperties": {"^(?!label:)": {}},
    "additionalProperties": False,
}  # fmt: skip
"""What the label extension asks of the properties of an item with raster labels."""


def test_the_library_is_a_stac_item_with_labels_and_geoparquet(tmp_path: Path) -> None:
    book, pairs = world(tmp_path)
    made = library(tmp_path)
    for filled in (False, True):
        if filled:
            verdict_samples.add_pairs(book, made, pairs, size=32)
        path = made.folder / "library.json"
        plain = json.loads(path.read_text("utf-8"))
        jsonschema.validate(plain["properties"], LABEL)
        item = pystac.Item.from_file(path)
        assert item.stac_extensions == [LabelExtension.get_schema_uri()]
        told = LabelExtension.ext(item)
        assert told.label_type == LabelType.RASTER and told.label_classes[0].classes == [
            "unchanged",
            "changed",
        ]  # type: ignore[index]
        item.stac_extensions = []  # its schema is checked above; the core's is at hand
        assert item.validate()
    assert (
        item.properties["start_datetime"][:10] == "2024-11-02"
        and item.properties["end_datetime"][:10] == "2025-11-02"
    )
    assert told.label_overviews[0].counts[1].count == made.table()["cells_changed"].sum()  # type: ignore[index]
    import pyarrow.parquet as pq

    geo = json.loads(pq.read_schema(made.folder / "samples.parquet").metadata[b"geo"])
    assert geo["version"].startswith("1.") and geo["columns"]["geometry"]["encoding"] == "WKB"
    assert geo["columns"]["geometry"]["crs"]["id"]["code"] == 4547


def test_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``cases field`` tells shares with what they were counted from; ``cases samples`` writes a library."""
    from types import SimpleNamespace

    from workbench.catalog import data as catalog
    from workbench.interpretation import imagery
    from workbench.reporting import run

    book, pairs = world(tmp_path)
    book.save()
    profile = SimpleNamespace(
        name="small", crs=CRS, levels={}, latest_year=2025, check_year=lambda year: year
    )
    monkeypatch.setattr(run, "find_city", lambda name: profile)
    monkeypatch.setattr(Register, "open", lambda city: book)
    monkeypatch.setattr(
        catalog, "CityData", lambda city: SimpleNamespace(has=lambda role, year: False, years=lambda role: [])
    )
    monkeypatch.setattr(imagery, "pairs", lambda data, before, after: pairs)
    rates = CliRunner().invoke(main, ["cases", "field", "--by", "district"])
    assert rates.exit_code == 0, rates.output
    assert (
        "80% (8 of 10)" in rates.output and "86% (6 of 7)" in rates.output and "100% (4 of 4)" in rates.output
    )
    low, high = (
        f"{float(one):.0%}" for one in findings.field_rates(book).loc[0, ["precision_low", "precision_high"]]
    )
    assert f"{low} to {high}" in rates.output
    made = CliRunner().invoke(main, ["cases", "samples", str(tmp_path / "out"), "--size", "32"])
    assert made.exit_code == 0, made.output
    assert "12 samples added, 12 in the library" in made.output
    assert isinstance(gpd.read_parquet(tmp_path / "out" / "samples.parquet"), gpd.GeoDataFrame)
    again = CliRunner().invoke(main, ["cases", "samples", str(tmp_path / "out"), "--size", "32", "--around"])
    assert "0 samples added" in again.output and "no change patches" in again.output
