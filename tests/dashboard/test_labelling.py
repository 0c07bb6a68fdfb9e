"""The aid for verdicts: what is clicked is in the register, what is wrong is told and not recorded."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from PIL import Image
from shapely.geometry import box

from workbench.dashboard import labelling
from workbench.dashboard.case_pictures import CasePictures
from workbench.interpretation.chips import NATURAL, chip_file
from workbench.interpretation.imagery import Pair, Scene
from workbench.rules.answers import record
from workbench.rules.register import Register
from workbench.rules.space_code import space_code

CRS = "EPSG:4547"
X, Y = 500_000.0, 2_500_000.0


@pytest.fixture
def book(home: Path) -> Register:
    shapes = [box(X + 300 * k, Y, X + 300 * k + 60, Y + 40) for k in range(3)]
    city = SimpleNamespace(name="small", crs=CRS)
    made = Register.open(city)
    rows = gpd.GeoDataFrame(
        {
            "finding_id": [f"F{k}" for k in range(3)], "rule": "fa_cropland_built", "level": [2, 3, 3], "line": "land_use",
            "district": "A", "source": ["image", "image", "survey"], "area_m2": [2400.0, 2400.0, 9000.0], "before": "0103",
            "after": "20", "permit_state": "无", "date_before": pd.Timestamp("2024-11-02"),
            "date_after": pd.Timestamp("2025-11-02"), "space_code": [space_code(one, CRS, "land_use", 2025) for one in shapes],
        },
        geometry=shapes, crs=CRS,
    )  # fmt: skip
    made.update(rows, "2026-01-10", year=2025)
    path = chip_file("small", 2025, rows["space_code"].iloc[1])
    path.parent.mkdir(parents=True)
    Image.new("RGB", (8, 4), "red").save(path)
    return made


def opened(book: Register) -> Any:
    cases = labelling.to_review(book, 2025)
    path = chip_file("small", 2025, str(cases["space_code"].iloc[0]))
    return labelling.Review(book, cases, {str(cases["space_code"].iloc[0]): path}, "zh")


def test_image_cases_come_first_the_gravest_of_them_first(book: Register) -> None:
    cases = labelling.to_review(book, 2025)
    assert cases["finding_id"].tolist() == ["F1", "F0"]
    assert labelling.to_review(book, 2024).empty


def test_a_click_is_a_step_of_the_register(book: Register) -> None:
    view = opened(book)
    assert view.rates.value == ""
    assert view.picture.value[:4] == b"\x89PNG" and "待核查2个，共2个" in view.told.value.replace(
        '<span class="x">', ""
    ).replace("</span>", "")
    assert len(view.map.layers) == 1 and view.map.center[0] == pytest.approx(22.6, abs=0.2)
    view.person.value, view.day.value, view.note.value = "李四", date(2026, 2, 1), "已建厂房"
    view.buttons["属实"].click()
    again = Register.open(SimpleNamespace(name="small", crs=CRS)).cases.set_index("finding_id")
    assert again.loc["F1", ["status", "verdict", "person", "note"]].tolist() == [
        "核查",
        "属实",
        "李四",
        "已建厂房",
    ]
    assert view.at == 1 and view.left == 1 and view.note.value == ""
    assert "100%" in view.rates.value and "n=" in view.rates.value  # what the verdicts come to so far
    assert view.picture.layout.display == "none" and "没有可用影像" in view.facts.value
    view.go(1)
    assert view.at == 0 and "属实" in view.facts.value


def test_what_is_wrong_is_told_and_not_recorded(book: Register) -> None:
    view = opened(book)
    view.day.value = date(2025, 1, 1)
    view.buttons["误判"].click()
    assert "核查人" in view.told.value and "日期早于" in view.told.value
    assert book.cases["verdict"].eq("").all() and view.at == 0


def test_one_verdict_by_itself(book: Register) -> None:
    code = str(book.cases["space_code"].iloc[0])
    assert record(book, code, "合法", person="王", on_date="2026-02-02") == []
    steps = len(book.history)
    assert record(book, code, "合法", person="王", on_date="2026-02-02") == [] and len(book.history) == steps
    assert (
        "无此空间码" in record(book, "41202500000000000000000X", "属实", person="王", on_date="2026-02-02")[0]
    )
    assert (
        "核查结论"
        in record(book, str(book.cases["space_code"].iloc[1]), "好", person="王", on_date="2026-02-02")[0]
    )


def scene(folder: Path, name: str, day: str, green: float) -> Scene:
    """An image of 300 by 300 cells of 10 m around the cases, green noise, with a band a colour."""
    values = np.random.default_rng(7).normal(0.1, 0.02, (3, 300, 300)).astype(np.float32)
    values[1] += green
    path = folder / f"{name}.tif"
    place = rasterio.transform.from_origin(X - 1_000, Y + 1_500, 10, 10)
    with rasterio.open(
        path, "w", driver="GTiff", width=300, height=300, count=3, dtype="float32", crs=CRS, transform=place
    ) as file:  # fmt: skip
        file.write(values)
    return Scene.of_file(path, bands=NATURAL, date=pd.Timestamp(day), scale=1.0)


def test_a_case_of_the_survey_has_the_picture_of_its_place(
    book: Register, tmp_path: Path, monkeypatch: Any
) -> None:
    """The survey's case lies where images found one: it is reviewed, its picture cut, its place on an image."""
    survey = book.cases[book.cases["source"] == "survey"]
    found = survey[["line", "geometry"]].assign(space_code="12202529371898113242470X")
    found.geometry = found.geometry.buffer(2)
    scenes = [scene(tmp_path, "a", "2024-11-02", 0.1), scene(tmp_path, "b", "2025-11-02", 0.0)]
    monkeypatch.setattr("workbench.interpretation.imagery.pairs", lambda *_: [Pair(*scenes)])
    monkeypatch.setattr("workbench.interpretation.imagery.scenes", lambda *_, **__: scenes[1:])
    data: Any = SimpleNamespace(
        city=SimpleNamespace(name="small"),
        has=lambda role, year=None: True,
        vector=lambda role, year=None: found,
    )
    cases = labelling.to_review(book, 2025, found)
    assert cases["finding_id"].tolist() == ["F2", "F1", "F0"]  # the larger of the two gravest first
    code = str(cases["space_code"].iloc[0])
    pictures = CasePictures(data, cases, 2025, "zh")
    assert pictures.same_place == {code: "12202529371898113242470X"}
    assert not chip_file("small", 2025, code).exists()
    view = labelling.Review(book, cases, pictures, "zh")
    assert view.picture.value == chip_file("small", 2025, code).read_bytes()
    assert "12202529371898113242470X" in view.facts.value and "没有可用影像" not in view.facts.value
    under, _ = view.map.layers
    (south, west), (north, east) = under.bounds
    middle = gpd.GeoSeries(survey.geometry, crs=CRS).to_crs("EPSG:4326").iloc[0].centroid
    assert south < middle.y < north and west < middle.x < east and view.map.layout.display is None
    view.person.value = "李四"
    view.buttons["属实"].click()
    assert "100%" in view.rates.value  # the images found what was confirmed


def test_without_images_the_picture_of_the_image_case_or_none_and_no_map(book: Register) -> None:
    survey = book.cases[book.cases["source"] == "survey"]
    other = str(book.cases["space_code"].iloc[1])  # has a picture
    found = survey[["line", "geometry"]].assign(space_code=other)
    city = SimpleNamespace(name="small", layers={})
    data: Any = SimpleNamespace(
        city=city, has=lambda role, year=None: role == "detected_cases", vector=lambda role, year=None: found,
        holder=lambda role: "",
    )  # fmt: skip
    cases = labelling.to_review(book, 2025, found)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("workbench.interpretation.imagery._data", lambda city: data)
        pictures = CasePictures(data, cases, 2025, "zh")
        view = labelling.Review(book, cases, pictures, "zh")
    assert view.picture.value == chip_file("small", 2025, other).read_bytes()
    assert view.map.layout.display == "none" and pictures.backdrop(other) is None


def test_nothing_to_review(home: Path, monkeypatch: Any) -> None:
    empty = Register.open(SimpleNamespace(name="none", crs=CRS))
    view = labelling.Review(empty, labelling.to_review(empty, 2025), {}, "en")
    view.go(1)
    assert view.give("属实") == [] and view.left == 0
    data = SimpleNamespace(city=SimpleNamespace(name="none"), has=lambda role, year=None: False)
    monkeypatch.setattr(labelling, "CityData", lambda city: data)
    assert labelling.review(data.city, empty, 2025, "en") is not None
