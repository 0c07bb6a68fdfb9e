"""Spatial structure of a town drawn by hand, against figures worked out beside it, and of real cities."""

import html
import re
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from click.testing import CliRunner
from shapely.geometry import LineString, Point, box

from tests.reporting.numerals import faults
from workbench.catalog.data import CityData
from workbench.cli import main
from workbench.core.city import load_city
from workbench.core.errors import DefinitionError, GridMismatch, LayerMissing
from workbench.core.lineage import unpack
from workbench.evaluation.checkup import checkup
from workbench.evaluation.states import States, stale
from workbench.evaluation.structure import structure
from workbench.evaluation.structure.land import _with_interval, on_one_grid, report_misfit
from workbench.evaluation.structure.low_use import judge, measured
from workbench.evaluation.structure.part import Part
from workbench.evaluation.structure.settings import PACKAGED, read_settings
from workbench.views import structure as tables
from workbench.views import structure_pictures

X, Y = 500_000.0, 2_500_000.0
LAYERS = (
    "districts",
    "land_use",
    "land_use_raster",
    "population",
    "buildings",
    "roads",
    "bus_stops",
    "parks",
)
PROFILE = """
[city]
name = "town"
name_zh = "一镇市"
name_en = "One Town"
crs = "EPSG:4547"
base_year = 2020
years = [2025]
data = "source"
[scopes]
"城区" = "city"
[levels.district]
role = "districts"
"""
# 100 m blocks from west to east: class, attribute code, class five years before, footprint (share), floors, people
BLOCKS = [
    ("0701", "201", "0701", 0.30, 6, 400), ("0601", "201", "0601", 0.30, 1, 0), ("0601", "201", "0601", 0.50, 2, 0),
    ("05H1", "201", "05H1", 0.00, 0, 0), ("0701", "201", "0101", 0.00, 0, 0), ("0810", "201", "0810", 0.00, 0, 0),
    ("0701", "201", "0701", 0.20, 2, 30), ("0101", "", "0101", 0.00, 0, 0), ("0601", "202", "0601", 0.00, 0, 0),
    ("0101", "", "0101", 0.00, 0, 0),
]  # fmt: skip


def block(k, share=1.0):
    side = 100 * np.sqrt(share)
    return box(X + 100 * k, Y, X + 100 * k + side, Y + side)


def frame(shapes, **columns):
    return gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:4547")


def write_town(folder):
    folder.mkdir(parents=True)
    frame([box(X, Y, X + 500, Y + 100), box(X + 500, Y, X + 1000, Y + 100)], code=["01", "02"], name=["西", "东"],
          name_en=["West", "East"]).to_parquet(folder / "districts.parquet")  # fmt: skip
    ids = [f"P{k}" for k in range(len(BLOCKS))]
    for year, at in ((2025, 0), (2020, 2)):
        frame([block(k) for k in range(len(BLOCKS))], parcel_id=ids, dlbm=[row[at] for row in BLOCKS],
              czcsxm=[row[1] for row in BLOCKS], area_m2=10_000.0, net_area_m2=10_000.0, district="", unit="").to_parquet(
            folder / f"land_use_{year}.parquet")  # fmt: skip
    built = [k for k, row in enumerate(BLOCKS) if row[3]]
    frame([block(k, BLOCKS[k][3]) for k in built], building_id=[f"B{k}" for k in built], floors=[float(BLOCKS[k][4]) for k in built],
          height_m=10.0, use=["住宅" if BLOCKS[k][0] == "0701" else "工业" for k in built]).to_parquet(folder / "buildings.parquet")  # fmt: skip
    for year, times in ((2025, 1.0), (2020, 0.5)):
        frame([Point(X + 100 * k + 50, Y + 50) for k in range(len(BLOCKS))], cell_id=ids, population=[times * row[5] for row in BLOCKS]).to_parquet(
            folder / f"population_{year}.parquet")  # fmt: skip
    street = [LineString([(X + a, Y + 50), (X + a + 100, Y + 50)]) for a in range(0, 1000, 100)]
    frame(street, road_id=[str(k) for k in range(10)], road_class="residential", walkable=True, drive_kmh=30.0, name="").to_parquet(
        folder / "roads.parquet")  # fmt: skip
    frame([Point(X + 100, Y + 50), Point(X + 900, Y + 50)], stop_id=["a", "b"], name="", headway_min=[30.0, 10.0]).to_parquet(
        folder / "bus_stops.parquet")  # fmt: skip
    frame([block(5)], park_id=["p"], name="", kind="park").to_parquet(folder / "parks.parquet")


def town_in(folder, *, without=(), more=""):
    write_town(folder / "source")
    text = PROFILE.replace('data = "source"', f'data = "source"\n{more}')
    for role in LAYERS:
        if role in without or role == "land_use_raster":
            continue
        dated = role in ("land_use", "population")
        text += f'[layers.{role}]\npath = "{role}{"_{year}" if dated else ""}.parquet"\nkind = "vector"\n'
        text += "years = [2020, 2025]\n" if dated else ""
        text += 'sensitivity = "内部"\n' if role == "population" else ""
    (folder / "town.toml").write_text(text, encoding="utf-8")
    return load_city(folder / "town.toml", data_root=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("town")


@pytest.fixture(scope="module")
def found(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        yield structure(town_in(folder), 2025)


def test_parts_there_and_the_one_that_is_not(found):
    state = found.parts.set_index("part")
    assert state.index[state["there"]].tolist() == [
        "urban",
        "transition",
        "people",
        "transit",
        "low_use",
        "sdg",
    ]
    assert "土地利用栅格" in state.at["landscape", "reason_zh"]


def test_urban_area_by_hand(found):
    """Seven blocks are marked as city; the industry two blocks on is 100 m away and joins."""
    assert found.value("urban", "initial") == pytest.approx(0.07, rel=1e-3)
    assert found.value("urban", "joined") == pytest.approx(0.01, rel=1e-3)
    assert found.tables["urban_range"]["kept"].tolist() == [True, True]
    assert found.tables["urban_range"]["share"].tolist() == pytest.approx([1.0, 0.6], abs=1e-6)
    assert found.value("urban", "agreement") == pytest.approx(80.0, abs=0.01)


def test_transitions_of_parcels_by_hand(found):
    """One field of a hectare became housing; the other nine blocks stayed in their groups."""
    assert found.value("transition", "changed") == pytest.approx(1.0, rel=1e-3)
    assert found.value("transition", "flow.cropland.construction") == pytest.approx(1.0, rel=1e-3)
    assert found.value("transition", "flow.construction.construction") == pytest.approx(7.0, rel=1e-3)
    assert found.value("transition", "net.cropland") == pytest.approx(-1.0, rel=1e-3)
    assert found.tables["transitions"]["ha"].sum() == pytest.approx(10.0, rel=1e-3)
    assert "no_sample" in set(found.findings["check"])


def test_low_use_by_hand(found):
    """P1: floor area ratio 0.3, 30 % built; P3 and P8 empty (and so below every ratio); P4 is empty too but was a field; P6: 30 a hectare, ratio 0.4."""
    hit = found.tables["low_use"].set_index("parcel_id")["rules"].to_dict()
    assert hit == {"P1": "industry", "P3": "idle commerce", "P6": "housing", "P8": "idle industry"}
    assert found.value("low_use", "parcels") == 4
    row = found.tables["low_use"].set_index("parcel_id").loc["P1"]
    assert (row["far"], row["density"]) == (pytest.approx(0.3, rel=1e-3), pytest.approx(0.3, rel=1e-3))
    assert row["reason_zh"] == "低强度工业仓储：容积率0.30，低于0.6，建筑密度30.0%，低于40%"
    assert found.tables["low_use"].set_index("parcel_id").at["P6", "people_ha"] == pytest.approx(
        30.0, rel=1e-3
    )


def test_metrics_without_floors_or_people_are_unknown():
    parcels = frame([block(0), block(1)], parcel_id=["a", "b"], dlbm="0601", czcsxm="201", settled=True)
    houses = frame(
        [block(0, 0.25), box(X + 90, Y, X + 110, Y + 100)], building_id=["h", "both"], floors=[np.nan, 2.0]
    )
    found = measured(parcels, houses)
    assert found["density"].tolist() == pytest.approx(
        [0.35, 0.1], rel=1e-3
    )  # the second house lies half in each
    assert np.isnan(found.at[0, "far"])
    assert found.at[1, "far"] == pytest.approx(0.2, rel=1e-3)
    assert found["people_ha"].isna().all()
    said = judge(
        pd.concat([parcels.drop(columns="geometry"), found], axis=1), read_settings(PACKAGED).low_use
    )
    assert said["rules"].tolist() == ["", "industry"]
    assert said["not_asked"].tolist() == ["industry", ""]


def test_sdg_is_made_of_its_parts_and_counted_again(found):
    """Built land 7 to 8 ha (park included) over five years; people doubled from 215 to 430."""
    growth = np.log(2) / 5
    assert found.value("sdg", "SDG-11.3.1.people_now") == 430
    assert found.value("sdg", "SDG-11.3.1.pgr") == pytest.approx(100 * growth)
    assert found.value("sdg", "SDG-11.3.1.lcr") == pytest.approx(100 / 7 / 5, rel=1e-3)
    assert found.value("sdg", "SDG-11.3.1.recount") == pytest.approx((1 / 7 / 5) / growth, rel=1e-3)
    assert found.value("sdg", "SDG-11.7.1a.recount") == pytest.approx(100 / 8, rel=1e-3)
    check = found.tables["sdg_check"].set_index("indicator")
    both = check.dropna(subset=["library", "recount"])
    assert {"SDG-11.3.1", "SDG-11.7.1a", "SDG-11.7.1b", "SDG-11.2.1"} & set(both.index)
    assert (both["difference"].abs() <= 1e-3 * both["library"].abs()).all()


def test_transit_by_hand(found):
    """400 people 50 m from the half-hourly stop, 30 people 250 m from the frequent one."""
    assert found.value("transit", "served.bus.stated") == 100.0
    assert found.value("transit", "frequent.bus.stated") == pytest.approx(100 * 30 / 430)
    assert {"no_rail", "stated_bus"} <= set(found.findings["check"])


def test_few_zones_and_few_places_give_no_verdict(found):
    assert "few_zones" in set(found.findings["check"])
    assert found.value("people", "verdict") == 0
    assert np.isnan(found.value("people", "exponent"))
    row = found.values[found.values["indicator"] == "structure.people.exponent"].iloc[0]
    assert row["reason"] == "too_few" and row["reason_zh"]


def test_rows_can_be_traced(found):
    values = found.values
    assert values["value_id"].is_unique
    assert (values.loc[values["indicator"].str.startswith("structure.people"), "sensitivity"] == "内部").all()
    assert (values["basis"] != "").all()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_pages_account_for_every_number(found, lang):
    made = [tables.summary, tables.urban_table, tables.transition_table, tables.people_table, tables.inequality_table,
            tables.transit_table, tables.low_use_table, tables.sdg_table, tables.finding_table, tables.settings_table]  # fmt: skip
    page = "".join(str(make(found, lang)) for make in made)
    assert faults(page, found.values) == []
    if lang == "en":
        text = html.unescape(
            re.sub(r"<[^>]+>", "", str(tables.summary(found, lang)) + str(tables.transit_table(found, lang)))
        )
        assert not re.search(r"[一-鿿]", text)


def test_pictures_say_who_may_see_them(found):
    made = structure_pictures.pictures(found, "zh")
    assert set(made) == {"urban", "change", "stops", "low_use"}
    assert made["low_use"].sensitivity == "内部"
    assert all(one.png.startswith(b"\x89PNG") for one in made.values())


def test_kept_result_is_the_same_and_files_are_written(found, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / "home"))
    again = structure(found.city, 2025)
    pd.testing.assert_frame_equal(again.facts, found.facts)
    assert set(again.tables) == set(found.tables)
    written = again.save(tmp_path / "out")
    assert (tmp_path / "out" / "structure.gpkg") in written
    assert len(gpd.read_file(tmp_path / "out" / "structure.gpkg", layer="low_use")) == 4


def test_command_tells_and_writes(folder, monkeypatch, tmp_path, found):
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / "home"))
    monkeypatch.setenv("WORKBENCH_DATA", str(folder))
    profile = str(folder / "town.toml")
    result = CliRunner().invoke(main, ["structure", "--city", profile, "--out", str(tmp_path / "o")])
    assert result.exit_code == 0, result.output
    assert "landscape: 缺少土地利用栅格" in result.output
    assert (tmp_path / "o" / "transitions.parquet").is_file()
    assert CliRunner().invoke(main, ["structure", "--city", profile, "--maps"]).exit_code == 2


def test_settings_are_checked(tmp_path):
    text = PACKAGED.read_text("utf-8")
    for change, message in (
        (("least_share = { value = 0.5", "least_share = { value = 1.5"), "least_share"),
        (('metric = "far", below = 0.6', 'metric = "height", below = 0.6'), "metric"),
        (('id = "midday"', 'id = "am"'), "listed twice"),
        (('"wetland"', '"swamp"'), "swamp"),
        (("begin = 7\nend = 9", "begin = 9\nend = 7"), "ends before"),
        (('rounds = { value = 10, source = "own: most repetitions of the buffer", ', "rounds = { value = 10, "), "without source"),
    ):  # fmt: skip
        assert change[0] in text
        path = tmp_path / "structure.toml"
        path.write_text(text.replace(*change, 1), "utf-8")
        with pytest.raises(DefinitionError, match=message):
            read_settings(path)


def test_a_city_with_nothing_says_what_is_lacking(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    city = town_in(tmp_path, without=LAYERS[1:])
    with pytest.raises(LayerMissing, match="land_use"):
        structure(city, 2025)


def test_singapore_has_people_and_nothing_more(real_data, tmp_path, monkeypatch):
    """332 subzones, 4,051,500 and 3,999,470 residents as published; a third of the zones is empty, five are islands."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    found = structure("singapore", 2020)
    assert found.parts.set_index("part")["there"].to_dict() == {
        "urban": False, "transition": False, "landscape": False, "people": True, "transit": False, "low_use": False, "sdg": True,
    }  # fmt: skip
    assert found.value("sdg", "SDG-11.3.1.people_now") == 4_051_500
    assert found.value("sdg", "SDG-11.3.1.people_before") == 3_999_470
    assert found.value("sdg", "SDG-11.3.1.pgr") == pytest.approx(100 * np.log(4_051_500 / 3_999_470) / 2)
    assert found.value("people", "moran") == pytest.approx(
        0.32394539, abs=1e-6
    )  # esda on the same neighbours
    assert {"islands", "empty_zones", "zones_as_places"} <= set(found.findings["check"])
    assert shapely.is_valid(found.tables["clusters"].geometry.to_numpy()).all()


def test_checked_points_give_intervals():
    """A map of 4 × 4 ha, half of it from field to built; of four points there one is a field still, of four elsewhere none."""
    y, x = Y + 400 - 100.0 * (np.arange(4) + 0.5), X + 100.0 * (np.arange(4) + 0.5)
    fields = xr.DataArray(
        np.ones((4, 4), dtype=np.uint8), {"y": y, "x": x}, ("y", "x"), attrs={"crs": "EPSG:4547"}
    )
    later = fields.copy(data=np.repeat(np.array([[1, 1, 2, 2]], dtype=np.uint8), 4, axis=0))
    at = [Point(X + a, Y + b) for b in (50, 150, 250, 350) for a in (50, 350)]
    truth = ["cropland", "construction"] * 3 + ["cropland", "cropland"]
    sample = frame([*at, Point(X - 500, Y)], before="cropland", after=[*truth, "construction"])
    settings = read_settings(PACKAGED)
    case = SimpleNamespace(has=lambda role: True, vector=lambda role: sample, settings=settings)
    mapped = pd.DataFrame({"before": "cropland", "after": ["cropland", "construction"], "ha": [8.0, 8.0]})
    part = Part("transition")
    found = _with_interval(case, part, mapped, (fields, later, {1: "cropland", 2: "construction"})).set_index(
        "after"
    )
    assert found["ha"].to_dict() == {"construction": pytest.approx(6.0), "cropland": pytest.approx(10.0)}
    error = 16 * np.sqrt(0.25 * 0.75 * 0.25 / 3)  # half the land, three quarters of four points
    wide = (
        found.at["construction", "high"] - 6.0
    )  # a little wider than the paper's: no error seen elsewhere is not none
    assert 1.0 < wide / (1.959964 * error) < 1.1
    assert found.at["construction", "mapped_ha"] == 8.0
    assert part.findings == []
    few = SimpleNamespace(has=lambda role: True, vector=lambda role: sample.iloc[:2], settings=settings)
    plain = _with_interval(few, part, mapped, (fields, later, {1: "cropland", 2: "construction"}))
    assert plain["low"].isna().all()
    assert part.findings[0]["check"] == "thin_sample"


def test_misaligned_dates_are_reported_or_refused():
    y, x = Y + 400 - 100.0 * (np.arange(4) + 0.5), X + 100.0 * (np.arange(4) + 0.5)
    before = xr.DataArray(
        np.ones((4, 4), dtype=np.uint8), {"y": y, "x": x}, ("y", "x"), attrs={"crs": "EPSG:4547"}
    )
    part = Part("transition")
    report_misfit(part, on_one_grid(before, before, 0.5)[2])
    assert part.findings == []
    report_misfit(part, on_one_grid(before, before.assign_coords(x=x + 30), 0.5)[2])
    assert "0.30个像元" in part.findings[0]["message_zh"]
    with pytest.raises(GridMismatch, match="apart along x"):
        on_one_grid(before, before.assign_coords(x=x + 30), 0.25)


@pytest.fixture(scope="module")
def unlimited(tmp_path_factory):
    """The town without a 城区 of its own: seven blocks in the first zone, three in the second, one of them joined to the city."""
    folder = tmp_path_factory.mktemp("unlimited")
    town_in(folder)
    frame([box(X, Y, X + 700, Y + 100), box(X + 700, Y, X + 1000, Y + 100)], code=["01", "02"], name=["西", "东"],
          name_en=["West", "East"]).to_parquet(folder / "source" / "districts.parquet")  # fmt: skip
    profile = folder / "town.toml"
    text = profile.read_text("utf-8").replace('"城区" = "city"\n', "")
    text = text.replace(
        'data = "source"', 'data = "source"\nindicator_set = "sdg"\nrule_packs = ["low_use", "suitability"]'
    )
    profile.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        yield folder, load_city(profile, data_root=folder)


def test_the_urban_range_of_the_survey_stands_in_for_one_not_delimited(unlimited):
    """The second zone is city to a third and stays outside: one park in seven blocks, 70,000 m² for 430 people."""
    found = checkup(unlimited[1], 2025)
    row = found.get("SDG-11.7.1a")
    assert row["value"] == pytest.approx(100 / 7, rel=1e-4) and row["tier"] == "substitute"
    assert "城区范围未划定" in row["denominator"] and "told from the survey" in row["denominator_en"]
    assert found.get("SDG-11.3.1s")["value"] == pytest.approx(70_000 / 430, rel=1e-3)
    assert found.get("SDG-11.7.1a", "district", "02")["reason"] == "outside_scope"
    assert found.get("SDG-15.1.1")["tier"] == "statutory", "of the whole city, which needs no range"
    made = unpack(found.lineage.set_index("value_id").at[row["value_id"], "made_of"])
    assert {"urban_range-2025", "land_use-2025", "settings:structure", "districts"} <= set(made)
    recount = structure(unlimited[1], 2025).tables["sdg_check"].set_index("indicator")
    assert recount["difference"].abs().dropna().max() < 1e-3, "both count in the same range"


def test_rules_judge_low_efficiency_land(unlimited):
    """Four of the seven hectares judged meet a rule, two of them for standing idle; there is no terrain to judge suitability by."""
    found = checkup(unlimited[1], 2025)
    low = found.findings.set_index("rule")
    share = found.get("report.lu_share", "report", "town")
    assert share["value"] == pytest.approx(100 * 4 / 7, rel=1e-3)
    assert low.at["lu_share", "level"] == 2 and low.at["lu_share", "threshold"] == 10
    assert low.at["lu_idle", "value"] == pytest.approx(2.0, rel=1e-3) and low.at["lu_idle", "level"] == 2
    assert (low.loc[low.index.str.startswith("su_"), "level"] == -1).all()
    made = unpack(found.lineage.set_index("value_id").at[share["value_id"], "made_of"])
    assert {"topic_figures-2025", "land_use-2025", "buildings", "settings:structure", "rules"} <= set(made)
    topic = structure(unlimited[1], 2025)
    shown = tables.rule_table(topic, "zh")
    assert "疑似闲置未建用地" in shown and faults(shown, topic.values) == []


def test_what_stands_on_the_urban_range_is_stale_when_the_survey_changes(unlimited):
    folder, city = unlimited
    before = checkup(city, 2025)
    path = folder / "source" / "land_use_2025.parquet"
    land = gpd.read_parquet(path)
    land.loc[land["parcel_id"].isin(["P7", "P9"]), "czcsxm"] = "201"  # the second zone becomes city
    land.to_parquet(path)
    told = stale(before.values, before.lineage, States(city, CityData(city), 2025))
    assert set(told.loc[told["indicator"] == "SDG-11.2.1", "input"]) == {"land_use-2025"}, (
        "it reads no land use but by the range"
    )
    after = checkup(city, 2025)
    assert after.get("SDG-11.7.1a")["value"] == pytest.approx(100 / 8, rel=1e-4), (
        "eight blocks are built, one is a park"
    )
    assert stale(after.values, after.lineage, States(city, CityData(city), 2025)).empty
    land.assign(czcsxm="").to_parquet(path)
    last = checkup(city, 2025)
    assert last.get("SDG-11.7.1a")["reason"] == "no_scope:城区", "a survey that marks no city tells no range"
    assert not CityData(city).has("urban_range", 2025)
