"""Suitability of a city of 5 × 5 cells against figures worked out beside it: areas, capacity, words, command, real terrain."""

from __future__ import annotations

import dataclasses
import math
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from shapely.geometry import LineString, Point, box

from tests.reporting.numerals import faults
from workbench.catalog.data import CityData
from workbench.cli import main
from workbench.core.city import load_city
from workbench.core.errors import DefinitionError, LayerMissing
from workbench.evaluation.figures import suitability_figures
from workbench.evaluation.suitability import evaluate, load_settings, read_settings
from workbench.evaluation.suitability.capacity import warning
from workbench.evaluation.suitability.plan import missing_of
from workbench.evaluation.suitability.settings import PACKAGED, Integration
from workbench.evaluation.topics import answer
from workbench.rules.figures import judged
from workbench.rules.library import load_rules
from workbench.views import suitability as tables
from workbench.views import suitability_pictures as pictures

X, Y, CELL = 500_000.0, 2_500_000.0, 100.0
"""Upper left corner and cell of the drawn city."""
SETTINGS = read_settings(PACKAGED)


# ------------------------------------------------------------------ a city of 5 × 5 cells

PROFILE = """
[city]
name = "squares"
name_zh = "方格市"
name_en = "Squares"
crs = "EPSG:4547"
base_year = 2024
years = [2025]
data = "source"
{more}
[levels.district]
role = "districts"
[layers.districts]
path = "districts.parquet"
kind = "vector"
[layers.dem]
path = "dem.tif"
kind = "raster"
source = "drawn"
date = "2024-12-31"
[layers.land_use]
path = "land_use_{{year}}.parquet"
kind = "vector"
years = [2025]
tier = "statutory"
[layers.ecological_red_line]
path = "red_line.parquet"
kind = "vector"
sensitivity = "内部"
[layers.roads]
path = "roads.parquet"
kind = "vector"
[layers.population]
path = "population_{{year}}.parquet"
kind = "vector"
years = [2025]
[layers.statistics]
path = "statistics.parquet"
kind = "table"
"""
LAND = [  # rows from north to south
    ["0301", "0301", "0101", "0101", "0101"],
    ["0301", "0101", "0101", "0101", "0701"],
    ["0301", "0101", "0101", "0701", "0701"],
    ["0301", "0101", "0101", "1101", "0101"],
    ["0701", "0101", "0101", "1101", "0101"],
]
RED = [(row, 0) for row in range(5)]
"""Cells of the red line: the western column; its last cell is built on."""
RISE = [0.60, 0.60, 0.0, 0.0, 0.0]
"""Metres a metre by which the land rises to the west, by column: 31° in the west, flat in the east."""


def cell_box(row, column, rows=1, columns=1):
    west, north = X + column * CELL, Y - row * CELL
    return box(west, north - rows * CELL, west + columns * CELL, north)


def write(folder, *, land=True, red=True, water_limit=None, hole=False):
    folder.mkdir(parents=True)
    heights = np.zeros((5, 5), dtype="float32")
    for column in (1, 0):
        heights[:, column] = heights[:, column + 1] + RISE[column] * CELL
    if hole:
        heights[4, 4] = -9999
    profile = {"driver": "GTiff", "count": 1, "height": 5, "width": 5, "dtype": "float32", "crs": "EPSG:4547"}
    with rasterio.open(
        folder / "dem.tif", "w", **profile, transform=Affine(CELL, 0, X, 0, -CELL, Y), nodata=-9999
    ) as file:
        file.write(heights, 1)
    gpd.GeoDataFrame(
        {"code": ["01", "02"], "name": ["西区", "东区"], "name_en": ["West", "East"]},
        geometry=[cell_box(0, 0, 5, 2), cell_box(0, 2, 5, 3)], crs="EPSG:4547",
    ).to_parquet(folder / "districts.parquet")  # fmt: skip
    if land:
        at = [(row, column) for row in range(5) for column in range(5)]
        gpd.GeoDataFrame(
            {"parcel_id": [f"{r}{c}" for r, c in at], "dlbm": [LAND[r][c] for r, c in at]},
            geometry=[cell_box(r, c) for r, c in at], crs="EPSG:4547",
        ).to_parquet(folder / "land_use_2025.parquet")  # fmt: skip
    if red:
        shapes = [cell_box(0, 0, 5, 1), cell_box(0, 4, 5, 1)]
        gpd.GeoDataFrame(
            {"line_id": ["1", "2"], "name": ["", ""], "kind": ["", ""], "approved": pd.to_datetime(["2020-01-01", "2026-01-01"]),
             "ended": pd.to_datetime([None, None])}, geometry=shapes, crs="EPSG:4547",
        ).to_parquet(folder / "red_line.parquet")  # fmt: skip
    gpd.GeoDataFrame(
        {"road_id": ["1", "2"], "road_class": ["primary", "footway"], "walkable": [True, True], "drive_kmh": [60.0, 0.0]},
        geometry=[LineString([(X + 450, Y), (X + 450, Y - 500)]), LineString([(X + 50, Y), (X + 50, Y - 500)])], crs="EPSG:4547",
    ).to_parquet(folder / "roads.parquet")  # fmt: skip
    gpd.GeoDataFrame(
        {"cell_id": ["a", "b"], "population": [30.0, 90.0]},
        geometry=[Point(X + 50, Y - 450), Point(X + 450, Y - 150)], crs="EPSG:4547",
    ).to_parquet(folder / "population_2025.parquet")  # fmt: skip
    rows = [("water_use_1e8_m3", 2025, "city", 0.95, "1e8 m3")]
    if water_limit:
        rows.append(("water_limit_1e8_m3", 2025, "city", water_limit, "1e8 m3"))
    pd.DataFrame(rows, columns=["item", "year", "zone", "value", "unit"]).to_parquet(
        folder / "statistics.parquet"
    )


def city_at(folder, *, more="", cut=(), **drawn):
    write(folder / "source", **drawn)
    text = PROFILE.format(more=more)
    for role in cut:
        start = text.index(f"[layers.{role}]")
        end = text.find("[layers.", start + 1)
        text = text[:start] + (text[end:] if end > 0 else "")
    (folder / "squares.toml").write_text(text, encoding="utf-8")
    return load_city(folder / "squares.toml", data_root=folder)


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    folder = tmp_path_factory.mktemp("squares")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        yield evaluate(city_at(folder, water_limit=1.0), 2025)


@pytest.fixture
def home_here(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path


def test_classes_of_the_drawn_city_are_those_worked_out_by_hand(squares):
    # Slope by columns: rise of 0.6 both sides of column 1, one side of column 0: 31°; column 2 has half of it: 16.7°; then flat.
    slope = squares.raster("slope").to_numpy()
    assert slope[2] == pytest.approx(np.degrees(np.arctan([0.6, 0.6, 0.3, 0, 0])), rel=1e-5)
    # ecology: the red line of 2020 is extremely important (that of 2026 not yet), slope above 15° and rivers are important
    important = [1, 2, 2, 3, 3]
    expected = np.array([important] * 5)
    expected[3:, 3] = 2
    np.testing.assert_array_equal(squares.ecology.to_numpy(), expected)
    # farming: above 25° unsuitable, 15-25° fair at most, water and built land unsuitable; the red line is excluded
    farming = np.array([[3, 3, 2, 1, 1], [3, 3, 2, 1, 3], [3, 3, 2, 3, 3], [3, 3, 2, 3, 1], [3, 3, 2, 3, 1]])
    np.testing.assert_array_equal(squares.farming.to_numpy(), farming)
    # building: column 2 has (.35 · 40 + .15 · 60 + .15 · 100) / .65 = 58.5 points: fair, above 100 m relief lower by 20: not
    relief = squares.raster("relief").to_numpy()
    assert (relief[:, 2] == 60 + 60).all() or (relief[:, 2] == 120).all()
    building = np.array([[3, 3, 3, 1, 1], [3, 3, 3, 1, 1], [3, 3, 3, 1, 1], [3, 3, 3, 3, 1], [3, 3, 3, 3, 1]])
    np.testing.assert_array_equal(squares.building.to_numpy(), building)
    zoning = np.array([[1, 4, 4, 2, 2], [1, 4, 4, 2, 3], [1, 4, 4, 3, 3], [1, 4, 4, 4, 2], [1, 4, 4, 4, 2]])
    np.testing.assert_array_equal(squares.zoning.to_numpy(), zoning)


def test_areas_by_zone_are_those_of_the_cells(squares):
    rows = squares.areas.set_index(["output", "class", "zone"])
    assert rows.loc[("ecology", 1, "squares"), "area_m2"] == pytest.approx(5 * CELL**2, rel=1e-6)
    assert (
        rows.loc[("ecology", 1, "01"), "share"] == pytest.approx(50)
        and rows.loc[("ecology", 1, "02"), "share"] == 0
    )
    assert rows.loc[("zoning", 2, "02"), "area_m2"] == pytest.approx(5 * CELL**2, rel=1e-6)
    assert rows.loc[("both", 1, "squares"), "area_m2"] == pytest.approx(5 * CELL**2, rel=1e-6)
    for output in squares.outputs:
        assert squares.areas[(squares.areas["output"] == output) & (squares.areas["level"] == "city")][
            "share"
        ].sum() == pytest.approx(100)


def test_present_use_against_the_result(squares):
    rows = squares.conflicts.set_index(["conflict", "zone"])
    assert rows.loc[("steep_cropland", "squares"), "area_m2"] == pytest.approx(4 * CELL**2, rel=1e-6)
    assert rows.loc[("steep_cropland", "squares"), "share"] == pytest.approx(100 * 4 / 14)
    assert rows.loc[("settled_ecology", "squares"), "area_m2"] == pytest.approx(CELL**2, rel=1e-6)
    assert rows.loc[("settled_ecology", "02"), "area_m2"] == 0
    patches = squares.patches.set_index("conflict")
    assert patches.loc["steep_cropland"].geometry.equals(cell_box(1, 1, 4, 1))
    assert patches.loc["settled_ecology", "zone"] == "01"


def test_what_is_missing_is_named_and_stood_in_for_with_its_reason(squares):
    rows = squares.factors.set_index(["evaluation", "factor"])
    assert (
        rows.loc[("farming", "land_use"), "state"] == "proxy"
        and rows.loc[("farming", "land_use"), "tier"] == "proxy"
    )
    assert "没有土壤图层" in rows.loc[("farming", "land_use"), "reason_zh"]
    assert rows.loc[("building", "geohazard"), "state"] == "missing"
    assert "自然资源局" in rows.loc[("building", "geohazard"), "reason_zh"]
    assert missing_of(squares.factors, "farming") == ["rainfall"]  # the soil is stood in for
    assert {"permanent_farmland", "geohazard", "fault", "flood", "centre"} <= set(
        missing_of(squares.factors, "building")
    )
    count = squares.values.set_index("indicator").loc["suitability.missing.farming", "value"]
    assert count == 1


def test_carrying_capacity_by_hand(squares):
    rows = squares.capacity.set_index(["constraint", "zone"])
    fed = 5 * 1.0 * 0.9 * 0.7 * 6000 / (400 * 0.3)  # five hectares suit farming
    farming = rows.loc[("farming", "squares")]
    assert farming["people_capacity"] == pytest.approx(fed, rel=1e-6) and farming["people"] == 120
    assert farming["ratio"] == pytest.approx(120 / fed) and farming["warning"] == 0
    room = 8 * CELL**2 * 0.8  # eight hectares suit building
    building = rows.loc[("building", "squares")]
    assert building["capacity"] == pytest.approx(room, rel=1e-6) and building["load"] == pytest.approx(
        4 * CELL**2
    )
    assert building["ratio"] == pytest.approx((4 * CELL**2 - room) / room) and building["warning"] == 0
    west = rows.loc[("building", "01")]
    assert west["warning"] == 2 and west["reason"] == "no_capacity"  # built on, and nothing suits building
    water = rows.loc[("water", "squares")]
    assert water["ratio"] == pytest.approx(0.95) and water["warning"] == 1
    assert water["people_capacity"] == pytest.approx(120 / 0.95)
    assert (
        rows.loc[("water", "01"), "warning"] == -1
        and "用水总量控制指标" in rows.loc[("water", "01"), "reason_zh"]
    )
    whole = rows.loc[("all", "squares")]
    assert whole["warning"] == 1 and whole["people_capacity"] == pytest.approx(120 / 0.95)


def test_rules_on_the_figures_of_the_drawn_city(squares):
    figures = suitability_figures(squares)
    said = {
        (rule.id, str(row["zone"])): (float(row["value"]), outcome)
        for rule in load_rules(("suitability",)).values()
        for row, outcome in judged(rule, figures)
    }
    for rule, hectares, level in (
        ("su_steep_cropland", 4, 2), ("su_unfit_cropland", 4, 1), ("su_settled_ecology", 1, 3),
    ):  # fmt: skip
        value, outcome = said[rule, "squares"]
        assert value == pytest.approx(hectares, rel=1e-6) and outcome.level == level
        assert outcome.margin == pytest.approx(-hectares, rel=1e-6) and outcome.threshold == 0
    assert said["su_settled_ecology", "02"][1].level == 0
    value, outcome = said["su_capacity_water", "squares"]  # 0.95 of the limit is critical
    assert (value, outcome.level, outcome.threshold) == (pytest.approx(0.95), 2, 1.0)
    assert outcome.margin == pytest.approx(0.05)
    assert said["su_capacity_water", "01"][1].level == -1, "no limit for the zone: not judged"
    assert said["su_capacity_building", "01"][1].level == 2 and math.isnan(
        said["su_capacity_building", "01"][0]
    )
    assert said["su_capacity_farming", "squares"][1].level == 0
    shown = tables.rule_table(squares, "zh")
    assert "临界超载" in shown and "耕地位于陡坡" in shown and faults(shown, squares.values) == []


@pytest.mark.parametrize(
    ("value", "level"), [(-0.31, 0), (-0.3, 0), (-0.29, 1), (0.0, 1), (0.01, 2), (math.nan, -1)]
)
def test_levels_of_pressure_on_land(value, level):
    assert warning(value, -0.3, 0.0) == level


def test_values_can_be_traced_and_say_who_may_read_them(squares):
    values = squares.values
    assert values["value_id"].is_unique and (values["sensitivity"] == "内部").all()
    row = values[(values["indicator"] == "suitability.area.ecology.1") & (values["zone"] == "squares")].iloc[
        0
    ]
    assert row["value"] == pytest.approx(0.05, rel=1e-6) and row["unit"] == "km2"
    assert not values[values["value"].isna()]["reason_zh"].eq("").any()


def test_chances_are_shares_of_draws(squares):
    made = squares.grid["draws"]
    assert made == 200
    total = sum(squares.chance("building", code).to_numpy() for code in (1, 2, 3))
    assert total == pytest.approx(np.ones((5, 5)))
    assert squares.chance("ecology").to_numpy()[0, 0] == 1.0


def test_it_is_kept_and_written(squares, tmp_path, monkeypatch):
    again = dataclasses.replace(squares)
    paths = again.save(tmp_path / "out")
    assert {path.name for path in paths} >= {
        "areas.parquet",
        "zoning.tif",
        "chance_building.tif",
        "conflicts.gpkg",
    }
    with rasterio.open(tmp_path / "out" / "farming.tif") as file:
        assert file.nodata == 0 and str(file.crs) == "EPSG:4547"
        np.testing.assert_array_equal(file.read(1), squares.farming.to_numpy())


def test_without_land_use_the_rest_is_judged_and_says_so(home_here):
    result = evaluate(city_at(home_here, land=False, cut=("land_use",)), 2025)
    assert "land_use" in missing_of(result.factors, "building") and len(result.conflicts) == 0
    rows = result.capacity.set_index(["constraint", "zone"])
    assert rows.loc[("building", "squares"), "reason"] == "no_land"
    assert result.building.to_numpy()[0, 3] == 1
    assert "land_use" not in result.cells


def test_cells_without_height_are_not_judged_where_slope_is_required(home_here):
    result = evaluate(city_at(home_here, hole=True), 2025)
    assert result.farming.to_numpy()[4, 4] == 0 and result.building.to_numpy()[4, 4] == 0
    assert result.ecology.to_numpy()[4, 4] == 3
    assert "no_height" in set(result.findings["check"])
    rows = result.areas.set_index(["output", "class", "zone"])["area_m2"]
    assert sum(rows[("farming", code, "squares")] for code in (1, 2, 3)) == pytest.approx(
        24 * CELL**2, rel=1e-6
    )


def test_without_a_terrain_model_it_is_refused(home_here):
    with pytest.raises(LayerMissing) as told:
        evaluate(city_at(home_here, cut=("dem",)), 2025)
    assert told.value.role == "dem"


def test_a_bureau_edits_the_settings_and_errors_name_file_and_key(home_here):
    text = PACKAGED.read_text("utf-8").replace("draws = { value = 200", "draws = { value = 5")
    (home_here / "own.toml").write_text(text.replace("least = 65.0", "least = 40.0"), encoding="utf-8")
    city = city_at(home_here, more='suitability_settings = "own.toml"')
    result = evaluate(city, 2025)
    assert result.grid["draws"] == 5
    assert result.farming.to_numpy()[0, 2] == 1  # 15-25° has 50 points: suitable from 40 on
    bad = text.replace(
        'evaluation = "ecology"\nfactor = "red_line"', 'evaluation = "ecology"\nfactor = "red_lines"'
    )
    (home_here / "own.toml").write_text(bad, encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"own\.toml.*red_lines"):
        load_settings(city)
    (home_here / "own.toml").write_text(
        text.replace("{ to = 2.0, score = 100.0 }", "{ to = 9.0, score = 100.0 }"), encoding="utf-8"
    )
    with pytest.raises(DefinitionError, match="steps must ascend"):
        load_settings(city)


def test_every_row_of_the_settings_has_source_and_confidence():
    for row in (
        *SETTINGS.uses,
        *SETTINGS.evaluations,
        *SETTINGS.conflicts,
        *SETTINGS.capacity.values(),
        SETTINGS.integration,
    ):
        assert row.source and row.confidence
    assert all(one["source"] and one["confidence"] for one in SETTINGS.origin.values())
    assert isinstance(SETTINGS.integration, Integration)
    slope = next(u for u in SETTINGS.uses if (u.evaluation, u.factor) == ("building", "slope"))
    assert slope.thresholds == (2, 8, 15, 25) and [s.score for s in slope.steps][:4] == [
        100,
        80,
        60,
        40,
    ]  # P5


# ------------------------------------------------------------------ words, pictures, command


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_tables_and_pictures_of_the_drawn_city(squares, lang):
    made = [
        tables.summary(squares, lang), tables.area_table(squares, lang), tables.factor_table(squares, lang),
        tables.move_table(squares, lang), tables.draw_table(squares, lang), tables.conflict_table(squares, lang),
        tables.capacity_table(squares, lang), tables.assumption_table(squares, lang), tables.points_table(squares, lang),
    ]  # fmt: skip
    known = set(squares.values["value_id"])
    for text in made:
        assert set(re.findall(r'data-v="(v[a-z2-7]+)"', text)) <= known
        bare = re.sub(r'<span class="(?:num|x)[^"]*"[^>]*>.*?</span>', "", text)
        bare = re.sub(r"<[^>]+>", "", bare)
        assert not re.search(r"\d", bare), re.findall(r".{20}\d.{10}", bare)
    if lang == "en":
        words = re.sub(r"<[^>]+>", "", "".join(made[:6]))
        assert not re.search(r"[\u4e00-\u9fff]", words)
    else:
        assert "多年平均降水量" in made[0] and "临界超载" in made[0]
    for picture in (
        pictures.class_map(squares, lang, "zoning"), pictures.chance_map(squares, lang, "building"), pictures.slope_map(squares, lang),
        pictures.conflict_map(squares, lang), pictures.sensitivity_chart(squares, lang),
    ):  # fmt: skip
        assert picture.png[:4] == b"\x89PNG" and picture.sensitivity == "内部"


def test_the_command_prints_and_writes(home_here):
    city_at(home_here, water_limit=1.0)
    profile = str(home_here / "squares.toml")
    args = [
        "suitability",
        "--city",
        profile,
        "--lang",
        "zh",
        "--out",
        str(home_here / "out"),
    ]
    run = CliRunner().invoke(main, args)
    assert run.exit_code == 0, run.output
    for word in ("极重要", "坡度大于25°的耕地", "临界超载", "没有多年平均降水量图层"):
        assert word in run.output
    assert (home_here / "out" / "zoning.tif").is_file()
    missing = CliRunner().invoke(main, [*args, "--settings", str(home_here / "none.toml")])
    assert missing.exit_code == 2


def test_real_terrain_is_judged_and_says_what_it_is_without(real_data, home_here, monkeypatch):
    """Porto Alegre has a terrain model and roads, and hardly anything else."""
    text = PACKAGED.read_text("utf-8").replace("draws = { value = 200", "draws = { value = 10")
    (home_here / "few.toml").write_text(text, encoding="utf-8")
    city = load_city("porto_alegre", data_root=real_data)
    result = evaluate(city, 2019, read_settings(home_here / "few.toml"))
    told = result.findings.set_index("check")["message_zh"]
    assert (
        "1.0%" in told["no_height"]
    )  # cells beyond the file's edge; heights of 0 m in a file of bytes are heights
    assert "上限" in told["no_land_use"]
    slope = result.raster("slope").to_numpy()
    own = result.farming.to_numpy()
    judged = ~np.isnan(slope) & (own > 0)
    assert (own[judged] == 1).mean() == pytest.approx(
        (slope[judged] <= 15).mean()
    )  # farming hangs on slope alone here
    assert (own[judged] == 3).mean() == pytest.approx((slope[judged] > 25).mean())
    assert {"land_use", "red_line", "flood", "centre"} <= set(missing_of(result.factors, "building"))
    rows = result.capacity.set_index("constraint")
    assert rows.loc["farming", "reason"] == "land_not_known" and rows.loc["all", "warning"] == -1


def test_a_report_gets_the_rows_with_what_they_are_made_of(squares, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(squares.city.path.parent / "home"))
    answers = answer(squares.city, 2025, ["suitability"], data=squares.data)
    assert set(answers.rows["value_id"]) == set(squares.values["value_id"])
    assert answers.lineage["made_of"].str.contains("ecological_red_line").all() and not answers.absent


def test_a_report_is_told_in_words_that_the_terrain_model_is_lacking(home_here):
    city = city_at(home_here, cut=("dem",))
    absent = answer(city, 2025, ["suitability"], data=CityData(city)).absent["suitability"]
    assert "数字高程模型" in absent.zh and "terrain model" in absent.en
