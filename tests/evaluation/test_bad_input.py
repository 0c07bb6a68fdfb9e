"""What a city hands over wrong: a finding, a reason, or an error that says what, where, what was expected and what to do next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from tests.evaluation.books import X, Y, write_city
from workbench.core.city import load_city
from workbench.core.errors import DataQualityError, ProfileError, WorkbenchError
from workbench.evaluation.checkup import Checkup, checkup
from workbench.rules.kinds import judge
from workbench.rules.library import load_rules

TARGET = '[[targets]]\nindicator = "TJ-A11"\nyear = 2035\nvalue = 5.0\nop = ">="\nunit = "1e4 mu"\n'
Change = Callable[[pd.DataFrame], pd.DataFrame]


def made(
    folder: Path,
    file: str = "",
    change: Change | None = None,
    *,
    old: str = "",
    new: str = "",
    more: str = "",
) -> Checkup:
    """Checkup of the drawn city after a change of one file or of its profile."""
    write_city(folder)
    if change is not None:
        path = folder / "source" / f"{file}.parquet"
        read = gpd.read_parquet if file not in ("statistics", "quotas") else pd.read_parquet
        change(read(path)).to_parquet(path)
    profile = folder / "books.toml"
    text = profile.read_text(encoding="utf-8").replace('"basic33"', '"checkup122"')
    text = text.replace("base_year = 2019", 'rule_packs = ["targets", "data_consistency"]\nbase_year = 2019')
    assert old in text
    profile.write_text(text.replace(old, new) + more if old else text + more, encoding="utf-8")
    return checkup(load_city(profile, data_root=folder), 2025)


def finding(result: Checkup, check: str) -> pd.Series:
    rows = result.data.quality
    return rows[rows["check"] == check].iloc[0]


def shaped(frame: gpd.GeoDataFrame, *shapes: object) -> gpd.GeoDataFrame:
    """The frame with other shapes in its first rows."""
    all_shapes = frame.geometry.to_numpy().copy()
    all_shapes[: len(shapes)] = shapes
    return frame.set_geometry(gpd.GeoSeries(all_shapes, index=frame.index, crs=frame.crs))


def test_empty_geometries_are_left_out_and_counted(tmp_path, home):
    result = made(tmp_path, "land_use_2025", lambda frame: shaped(frame, shapely.Polygon(), None))
    found = finding(result, "missing_geometry")
    assert (found["role"], found["count"], found["severity"]) == ("land_use", 2, "warning")
    assert "2 条记录没有图形" in found["message_zh"]
    uncovered = result.findings[result.findings["rule"] == "dc_covers_city"].iloc[0]
    assert uncovered["level"] == 2 and uncovered["value"] == pytest.approx(100 * 2 / 16, rel=1e-3)


def test_mixed_geometry_types_keep_what_is_of_the_role(tmp_path, home):
    def mix(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        square = frame.geometry.iloc[1]
        return shaped(frame, shapely.Point(X, Y), shapely.GeometryCollection([square, shapely.Point(X, Y)]))

    result = made(tmp_path, "land_use_2025", mix)
    found = finding(result, "geometry_type")
    assert found["count"] == 1 and "类型不符" in found["message_zh"]
    kept = result.data.vector("land_use", 2025)
    assert len(kept) == 15 and kept.area.sum() == pytest.approx(15e4)


def test_duplicated_codes_of_zones_are_refused_by_file_and_code(tmp_path, home):
    for file, codes in (("districts", ["A", "A"]), ("units", ["A1", "A1", "B1", "B2"])):
        with pytest.raises(DataQualityError) as caught:
            made(tmp_path / file, file, lambda frame, codes=codes: frame.assign(code=codes))
        said = str(caught.value)
        assert (
            f"books.toml: layers.{file}.code: a code stands for several zones; found ['{codes[0]}']" in said
        )
        assert "merge_by" in said


def test_duplicated_parcels_and_unknown_classes_are_findings_and_no_class(tmp_path, home):
    result = made(
        tmp_path, "land_use_2025",
        lambda frame: frame.assign(parcel_id=["P", "P", *frame["parcel_id"][2:]], dlbm=["9901", *frame["dlbm"][1:]]),
    )  # fmt: skip
    assert finding(result, "duplicate_code")["count"] == 2
    assert (
        finding(result, "unknown_code")["severity"] == "error"
        and "9901" in finding(result, "unknown_code")["message_zh"]
    )
    level = result.findings.set_index("rule")["level"]
    assert level["dc_known_classes"] == 2
    crop = result.get("TJ-A11")["value"] * 1e4 * (10_000 / 15) / 1e4
    assert crop == pytest.approx(16 - 7 - 1, rel=1e-3)  # the parcel with no class is no cropland


def test_a_percentage_above_100_is_a_serious_finding(tmp_path, home):
    def more(frame: pd.DataFrame) -> pd.DataFrame:
        rows = [("TJ-A26", 2025, "city", 130.0), ("TJ-D16", 2025, "city", 100.0), ("TJ-A26", 2025, "A", -4.0)]
        wrong = pd.DataFrame(rows, columns=["item", "year", "zone", "value"]).assign(
            unit="%", edition="original"
        )
        return pd.concat([frame, wrong], ignore_index=True)

    result = made(tmp_path, "statistics", more)
    found = result.findings[result.findings["rule"] == "possible_values"].set_index("zone")
    assert found["indicator"].unique().tolist() == ["TJ-A26"] and (found["level"] == 3).all()
    assert found["value"].to_dict() == {"books": 130.0, "A": -4.0}
    assert found["threshold"].to_dict() == {"books": 100.0, "A": 0.0}
    assert (
        "防洪堤防达标率" in found.loc["books", "message_zh"]
        and "请核对原始数据" in found.loc["books", "message_zh"]
    )
    rule = load_rules(("data_checks",))["possible_values"]
    assert judge(rule, value=100.0 + 1e-9, other=100.0).level == 0


@pytest.mark.parametrize(
    ("old", "new", "more", "says"),
    [
        ("years = [2024, 2025]", "years = [2025, 2024]", "", ("books.toml: city.years", "ascending order")),
        ("base_year = 2019", "base_year = 2030", "", ("city.base_year", "found 2030", "expected 2025 or earlier")),
        ("", "", TARGET.replace("2035", "2018"), ("targets, TJ-A11", "found 2018", "expected a year after 2019")),
        ("", "", TARGET.replace("1e4 mu", "m2/person"), ("targets, TJ-A11 2035", "found 'm2/person'", "1e4 mu", "correct unit")),
        ("", "", TARGET.replace("1e4 mu", "furlong"), ("targets, TJ-A11 2035", "found 'furlong'", "expected 1e4 mu")),
    ],
)  # fmt: skip
def test_years_out_of_order_and_targets_in_wrong_units_name_profile_and_key(
    tmp_path, home, old, new, more, says
):
    with pytest.raises(ProfileError) as caught:
        made(tmp_path, old=old, new=new, more=more)
    assert all(part in str(caught.value) for part in says), str(caught.value)
    assert isinstance(caught.value, WorkbenchError)


def test_layer_years_in_any_order_are_the_same_years(tmp_path, home):
    result = made(tmp_path, old="years = [2019, 2024, 2025]", new="years = [2025, 2019, 2024]")
    assert result.data.years("land_use") == [2019, 2024, 2025]
    assert result.get("report.change.TJ-A11", "report", "books")["value"] < 0


def test_zero_population_and_a_district_without_residents_give_a_reason_and_no_number(tmp_path, home):
    """The table says 0 people in B from the start; here in the whole city, so that nothing can be divided by them."""
    given = pd.DataFrame(
        [("beds_medical", 2025, zone, 50.0, "bed", "original") for zone in ("city", "A", "B")],
        columns=["item", "year", "zone", "value", "unit", "edition"],
    )
    some = made(tmp_path / "some", "statistics", lambda frame: pd.concat([frame, given], ignore_index=True))
    beds = some.values[(some.values["indicator"] == "TJ-F07") & (some.values["year"] == 2025)].set_index(
        "zone"
    )
    assert beds.loc["A", "value"] == pytest.approx(5.0) and beds.loc["A", "reason"] == ""
    assert np.isnan(beds.loc["B", "value"]) and beds.loc["B", "reason"] == "zero_denominator"
    none = made(
        tmp_path / "none", "statistics",
        lambda frame: pd.concat([frame.assign(value=0.0), given], ignore_index=True),
    )  # fmt: skip
    row = none.get("TJ-F07")
    assert np.isnan(row["value"]) and row["reason_zh"] == "分母为零，无法计算"
    assert not np.isinf(none.values["value"]).any()
    assert none.get("TJ-C01")["value"] == 0.0  # a population of nought is a number
    about = none.findings[none.findings["indicator"] == "TJ-F07"]
    assert (about["level"] <= 0).all()
