"""Detected change through the rules: what it is called, what a facility record explains, what comes first, what the field says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import box

from tests.rules.drawn import CRS, DISTRICTS, X, Y, at, frame, line, permit
from workbench.core.errors import LayerMissing
from workbench.interpretation import findings
from workbench.rules.register import Register

BUILT_ON_FARM, FACILITY, IN_TOWN, REPORTED, SPECK = (
    at(10, 10, 60, 50), at(100, 10, 140, 50), at(300, 300, 340, 330), at(300, 100, 340, 130), at(390, 390, 398, 398),
)  # fmt: skip


class Data:
    """Layers of a small city, as the case builder asks for them."""

    def __init__(self, **layers: Any) -> None:
        self.layers = layers

    def has(self, role: str, year: int | None = None) -> bool:
        return role in self.layers

    def years(self, role: str) -> list[int]:
        return [2024] if role == "land_use" and role in self.layers else []

    def vector(self, role: str, year: int | None = None) -> gpd.GeoDataFrame:
        if role not in self.layers:
            raise LayerMissing(role, year, reason="no_layer")
        return self.layers[role]

    def zones(self, level: str) -> gpd.GeoDataFrame:
        return DISTRICTS


def city() -> Any:
    return SimpleNamespace(
        name="small", crs=CRS, rule_packs=["three_lines", "farmland"], levels={"district": None}, layers={}
    )


def patches(**more: Any) -> gpd.GeoDataFrame:
    shapes = [BUILT_ON_FARM, FACILITY, IN_TOWN, REPORTED, SPECK]
    made = frame(
        shapes, patch_id=[f"D{k}" for k in range(5)], tblx="20", before_dlbm="",
        date_before=pd.Timestamp("2024-11-02"), date_after=pd.Timestamp("2025-11-02"), probability=[0.9, 0.95, 0.8, 0.7, 0.99],
    )  # fmt: skip
    return made.assign(**more)


def data(**more: Any) -> Data:
    survey = frame([box(X, Y, X + 200, Y + 400), box(X + 200, Y, X + 400, Y + 400)], dlbm=["0103", "0404"])
    papers = permit(
        ("设施农用地", "2022-01-01", None, FACILITY.buffer(1)), ("规划许可", "2024-12-01", None, REPORTED.buffer(1)),
        project_code="", unit_no="", supervision_no="", activity_type="",
    )  # fmt: skip
    layers = {"land_use": survey, "permits": papers, **more}
    return Data(**{name: one for name, one in layers.items() if one is not None})


def test_what_images_found_is_called_by_its_kind() -> None:
    found = findings.cases(city(), 2025, patches(), data=data())
    assert list(found.columns) == findings.COLUMNS
    by = found.set_index("patch_id")
    assert by.at["D0", "matter"] == "疑似违法占用耕地" and by.at["D0", "before"] == "0103"
    assert by.at["D2", "matter"] == "疑似未报建" and by.at["D2", "permit_state"] == "无"
    assert "D3" not in by.index  # its planning permit is in force
    assert "D4" not in by.index  # 64 m² are below every limit
    assert by.at["D0", "level"] == 3 and by.at["D0", "source"] == "image"


def test_a_facility_record_is_a_question_no_more() -> None:
    by = findings.cases(city(), 2025, patches(), data=data()).set_index("patch_id")
    assert by.at["D1", "facility_state"] == "已批" and by.at["D1", "facility_ids"] == "P0"
    assert by.at["D1", "level"] == 1 and by.at["D0", "facility_state"] == "无"
    without = findings.cases(city(), 2025, patches(), data=data(permits=None)).set_index("patch_id")
    assert without.at["D1", "facility_state"] == "不确定" and without.at["D1", "level"] == 2


def test_a_record_that_came_later_or_covers_a_part_explains_nothing() -> None:
    late = permit(
        ("设施农用地", "2026-01-01", None, FACILITY.buffer(1)),
        ("设施农用地", "2022-01-01", None, box(X + 100, Y + 10, X + 110, Y + 50)),
    )
    by = findings.cases(city(), 2025, patches(), data=data(permits=late)).set_index("patch_id")
    assert by.at["D1", "facility_state"] == "批少占多" and by.at["D1", "level"] == 3


def test_priority_by_hand() -> None:
    """Probability x area x level / 4; the record of facility farmland sends the surest patch to the end."""
    found = findings.cases(city(), 2025, patches(), data=data())
    by = found.set_index("patch_id")
    assert by.at["D0", "priority"] == pytest.approx(0.9 * 2000 * 0.75, rel=0.001)
    assert by.at["D2", "priority"] == pytest.approx(0.8 * 1200 * 0.75, rel=0.001)
    assert by.at["D1", "priority"] == pytest.approx(0.95 * 1600 * 0.25, rel=0.001)
    assert found["patch_id"].tolist() == ["D0", "D2", "D1"] and found["rank"].tolist() == [1, 2, 3]


def test_a_line_is_named_for_itself_and_the_field_speaks_once() -> None:
    """Inside permanent farmland and the red line: each line has its case, the plain field rule none."""
    lines = {"permanent_farmland": line(at(0, 0, 80, 80)), "ecological_red_line": line(at(0, 0, 400, 30))}
    found = findings.cases(city(), 2025, patches(), data=data(**lines))
    mine = found[found["patch_id"] == "D0"].set_index("line")
    assert set(mine.index) == {"permanent_farmland", "ecological_red_line"}
    assert mine.at["permanent_farmland", "matter"] == "疑似违法占用耕地"
    assert mine.at["ecological_red_line", "matter"] == "疑似占用生态保护红线新增建设"
    assert mine.at["ecological_red_line", "area_m2"] == pytest.approx(50 * 20, rel=0.001)


def test_the_images_own_former_class_goes_first() -> None:
    by = findings.cases(city(), 2025, patches(before_dlbm="0404"), data=data()).set_index("patch_id")
    assert by.at["D0", "matter"] == "疑似未报建"
    unknown = findings.cases(city(), 2025, patches(), data=data(land_use=None)).set_index("patch_id")
    assert unknown.at["D0", "before"] == ""


# ---------------------------------------------------------------------- the field


def register(tmp_path: Path) -> Register:
    """Ten image cases (6 true, 2 lawful, 2 wrong), and two found by the survey, one where an image case lies."""
    book = Register.open(SimpleNamespace(name="small", crs=CRS), path=tmp_path / "cases.gpkg")
    shapes = [at(50 * k, 0, 50 * k + 40, 40) for k in range(10)] + [at(0, 0, 40, 40), at(0, 300, 40, 340)]
    verdicts = ["属实"] * 6 + ["合法"] * 2 + ["误判"] * 2 + ["属实"] * 2
    rows = frame(
        shapes, finding_id=[f"F{k}" for k in range(12)], rule="fa_cropland_built", level=3, line="land_use",
        district=["A"] * 4 + ["B"] * 6 + ["A"] * 2, source=["image"] * 10 + ["survey"] * 2, area_m2=1600.0, before="0103",
        after=["20"] * 10 + ["0601"] * 2, permit_state="无", date_before=pd.Timestamp("2024-11-02"),
        date_after=pd.Timestamp("2025-11-02"),
    )  # fmt: skip
    from workbench.rules.space_code import space_code

    codes = [space_code(shape, CRS, "land_use", 2025) for shape in shapes]
    codes[10] = space_code(shapes[10], CRS, "land_use", 2025, serial=1)
    book.update(rows.assign(space_code=codes), "2026-01-10", year=2025)
    for code, verdict in zip(codes, verdicts, strict=True):
        book.step(code, "核查", person="李", on_date="2026-02-01", verdict=verdict)
    return book


def test_precision_and_recall_of_the_field(tmp_path: Path) -> None:
    table = findings.field_rates(register(tmp_path), by="district").set_index("group")
    whole = table.loc["all"]
    assert whole["checked"] == 10 and whole["true"] == 8 and whole["precision"] == 0.8
    assert (
        whole["confirmed"] == 6 and whole["missed"] == 1
    )  # the other survey case lies where an image case does
    assert whole["recall"] == pytest.approx(6 / 7)
    assert (
        whole["precision_low"] < 0.5 and whole["precision_high"] > 0.9
    )  # ten checks say little, and the table says so
    assert table.at["A", "precision"] == 1.0 and table.at["B", "true"] == 4
    assert table.at["B", "recall"] == 1.0
    months = findings.field_rates(register(tmp_path / "more"), by="month")
    assert months["group"].tolist() == ["all", "2026-01"]


def detected_cases() -> gpd.GeoDataFrame:
    """Two cases found in images: one where the survey has one that no image case covers, one nobody knew."""
    from workbench.rules.space_code import space_code

    shapes = [at(2, 301, 40, 340), at(200, 200, 260, 260)]
    return frame(
        shapes, finding_id=["D0", "D1"], rule="fa_cropland_built", level=3, line="land_use", district="A", source="image",
        area_m2=[1482.0, 3600.0], before="0103", after="20", permit_state="无", date_before=pd.Timestamp("2024-11-02"),
        date_after=pd.Timestamp("2025-11-02"), space_code=[space_code(one, CRS, "land_use", 2025) for one in shapes],
    )  # fmt: skip


def test_what_the_survey_lists_may_have_been_seen_in_images_too(tmp_path: Path) -> None:
    book = register(tmp_path)
    whole = findings.field_rates(book, found=detected_cases()).iloc[0]
    assert (whole["checked"], whole["true"], whole["confirmed"], whole["missed"]) == (11, 9, 7, 0)
    assert whole["recall"] == 1.0 and whole["recall_low"] < 0.8
    other_year = detected_cases()
    other_year["space_code"] = other_year["space_code"].str.replace("2025", "2024", n=1)
    assert findings.field_rates(book, found=other_year).iloc[0]["missed"] == 1


def test_cases_found_in_images_come_into_the_register_beside_the_survey(tmp_path: Path) -> None:
    book = register(tmp_path)
    listed = book.cases.drop(columns=["status", "verdict", "person"])
    rows = findings.to_register(book, detected_cases())
    assert rows["finding_id"].tolist() == ["D1"] and rows["source"].tolist() == ["detected"]
    assert book.update(rows, "2026-01-11", year=2025, detected=True) == {
        "new": 1,
        "still": 0,
        "back": 0,
        "gone": 0,
    }
    assert book.update(listed, "2026-01-12", year=2025) == {"new": 0, "still": 12, "back": 0, "gone": 0}
    again = findings.to_register(book, detected_cases())
    assert book.update(again, "2026-01-13", year=2025, detected=True)["still"] == 1
    code = str(rows["space_code"].iloc[0])
    book.step(code, "核查", person="李", on_date="2026-02-01", verdict="误判")
    assert findings.field_rates(book).iloc[0][["checked", "true"]].tolist() == [11, 8]
    assert book.update(again.iloc[:0], "2026-01-14", year=2025, detected=True)["gone"] == 1
    assert book.cases["listed"].sum() == 12


def test_no_verdicts_no_rates(tmp_path: Path) -> None:
    book = Register.open(SimpleNamespace(name="small", crs=CRS), path=tmp_path / "cases.gpkg")
    table = findings.field_rates(book)
    assert table["group"].tolist() == ["all"] and np.isnan(table["precision"].iloc[0])


def test_verdicts_are_new_samples(tmp_path: Path) -> None:
    samples = findings.verified_samples(register(tmp_path))
    assert len(samples) == 12 and samples["label"].sum() == 10
    wrong = samples[samples["label"] == 0]
    assert (wrong["before"] == wrong["after"]).all()
    assert samples["sample_id"].is_unique and samples.crs.to_epsg() == 4547


def test_verdicts_go_into_the_sample_library_once(tmp_path: Path) -> None:
    from workbench.interpretation.sample_library import create

    library = create(tmp_path / "samples", scheme="six", bands=("red", "nir"), crs=CRS)
    book = register(tmp_path)
    added = findings.add_verified(book, library)
    assert len(added) == 12 and findings.add_verified(book, library) == []
    table = library.table(source="verdict").set_index("sample_id")
    assert table["label"].value_counts().to_dict() == {"built": 10, "cropland": 2}


def test_patches_of_images_or_the_bureaus_own() -> None:
    own = patches().drop(columns="probability")
    assert findings.detected(Data(change_patches=own), 2025)["probability"].eq(0.5).all()
    assert (
        findings.detected(Data(change_patches=own, detected_changes=patches()), 2025)["probability"].iloc[0]
        == 0.9
    )


def test_an_image_does_not_tell_the_use_of_a_building():
    from workbench.core.city import load_city
    from workbench.interpretation.findings import spatial_rules

    asked = {rule.id for rule in spatial_rules(load_city("demo"), 2025)}
    assert {"fa_cropland_built", "in_not_industrial"} & asked == {"fa_cropland_built"}
