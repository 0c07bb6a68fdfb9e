"""Life circles of a street drawn by hand, against figures worked out beside it."""

import dataclasses
import html
import math
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from click.testing import CliRunner
from shapely.geometry import LineString, Point, box

from workbench.cli import main
from workbench.core.city import load_city
from workbench.core.errors import DefinitionError, LayerMissing
from workbench.evaluation.life_circle import life_circle
from workbench.evaluation.life_circle.settings import PACKAGED, read_settings
from workbench.indicators.compute import compute
from workbench.views import life_circle as tables
from workbench.views import life_pictures as pictures

X, Y = 500_000.0, 2_500_000.0
PROFILE = """
[city]
name = "street"
name_zh = "一街市"
name_en = "One Street"
crs = "EPSG:4547"
base_year = 2024
years = [2025]
data = "source"
walking_m_per_min = 60.0
{more}
[scopes]
"城区" = "city"
[levels.district]
role = "districts"
[layers.districts]
path = "districts.parquet"
kind = "vector"
[layers.roads]
path = "roads.parquet"
kind = "vector"
date = "2025-06-30"
[layers.facilities]
path = "facilities.parquet"
kind = "vector"
date = "2025-12-31"
[layers.parks]
path = "parks.parquet"
kind = "vector"
"""
PEOPLE = """
[layers.population]
path = "population_{year}.parquet"
kind = "vector"
years = [2025]
sensitivity = "内部"
"""
BUILDINGS = """
[layers.buildings]
path = "buildings.parquet"
kind = "vector"
"""
HOMES = {  # metres along the street (or beside it), people of 0–14, 15–59, 60 and over
    "A": ((0, 0), 20, 50, 30),
    "B": ((400, 0), 40, 100, 60),
    "C": ((800, 0), 60, 150, 90),
    "D": ((1600, 0), 100, 250, 50),
    "E": ((100, 200), 10, 25, 15),  # on the northern street, which is joined to nothing
    "F": ((1000, 0), 0, 0, 0),
}
TOTAL, KIDS, OLD = 1050, 230, 245
FACILITIES = [
    ("kindergarten", (100, 0), 30), ("elderly_care", (400, 0), 12), ("primary_school", (1000, 0), 80),
    ("market", (800, 0), 0), ("middle_school", (0, 0), 60), ("community_health", (1200, 0), 0), ("culture", (800, 0), 0),
    ("sports", (800, 0), 0), ("bank", (400, -500), 0), ("pharmacy", (1100, 200), 0),
]  # fmt: skip


def layer(rows, **columns):
    return gpd.GeoDataFrame(columns, geometry=rows, crs="EPSG:4547")


def point(xy):
    return Point(X + xy[0], Y + xy[1])


def write_source(folder, *, ages=True, oneway="yes"):
    folder.mkdir(parents=True)
    street = [LineString([(X + a, Y), (X + a + 200, Y)]) for a in range(0, 2000, 200)]
    north = LineString([(X, Y + 200), (X + 1200, Y + 200)])
    layer(
        [*street, north], road_id=[str(k) for k in range(11)], road_class=["residential"] * 11, walkable=[True] * 11,
        drive_kmh=[30.0] * 11, name=[""] * 11, oneway=[oneway] * 11,
    ).to_parquet(folder / "roads.parquet")  # fmt: skip
    homes = pd.DataFrame([row[1:] for row in HOMES.values()], columns=["age_0_14", "age_15_59", "age_60"])
    people = layer(
        [point(row[0]) for row in HOMES.values()], cell_id=list(HOMES), population=homes.sum(axis=1)
    )
    if ages:
        people = people.assign(**homes)
    people.to_parquet(folder / "population_2025.parquet")
    layer(
        [point(xy) for _, xy, _ in FACILITIES], facility_id=[kind for kind, _, _ in FACILITIES],
        kind=[kind for kind, _, _ in FACILITIES], name=[""] * len(FACILITIES), capacity=[float(c) for *_, c in FACILITIES],
    ).to_parquet(folder / "facilities.parquet")  # fmt: skip
    layer([box(X + 350, Y + 5, X + 450, Y + 25)], park_id=["p"], name=[""], kind=["park"]).to_parquet(
        folder / "parks.parquet"
    )
    zones = {"01": (-50, 600), "02": (600, 2050), "03": (2050, 3000)}
    layer(
        [box(X + a, Y - 600, X + b, Y + 300) for a, b in zones.values()], code=list(zones), name=["西区", "东区", "空区"],
        name_en=["West", "East", "Empty"],
    ).to_parquet(folder / "districts.parquet")  # fmt: skip
    squares = [point(row[0]).buffer(5, cap_style="square") for row in HOMES.values()]
    layer(squares, building_id=list(HOMES), use=["residential"] * len(HOMES)).to_parquet(
        folder / "buildings.parquet"
    )


def city_in(folder, *, people=PEOPLE, more="", **options):
    write_source(folder / "source", **options)
    (folder / "street.toml").write_text(PROFILE.replace("{more}", more) + people, encoding="utf-8")
    return load_city(folder / "street.toml", data_root=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("street")


@pytest.fixture(scope="module")
def life(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        yield life_circle(city_in(folder), 2025)


def share(life, kind, *, minutes=None, age="all", zone="street", mode="walk", column="share"):
    rows = life.coverage
    rows = rows[
        (rows["kind"] == kind) & (rows["age"] == age) & (rows["zone"] == zone) & (rows["mode"] == mode)
    ]
    rows = rows[rows["own"]] if minutes is None else rows[rows["minutes"] == minutes]
    assert len(rows) == 1
    return rows[column].iloc[0]


@pytest.mark.parametrize(
    ("kind", "homes"),
    [
        ("kindergarten", "AB"),  # 300 m counts
        ("elderly_care", "B"),
        ("primary_school", "BCD"),
        ("market", "BC"),
        ("middle_school", "ABC"),
        ("community_health", "BCD"),
        ("culture", "ABCD"),
        ("pharmacy", ""),  # on the northern street, 1,000 m from E
        ("bank", "ABC"),  # 500 m off the street
    ],
)
def test_people_in_reach_at_the_own_level(life, kind, homes):
    people = {name: sum(row[1:]) for name, row in HOMES.items()}
    assert share(life, kind) == pytest.approx(100 * sum(people[name] for name in homes) / TOTAL)
    assert share(life, kind, column="covered") == sum(people[name] for name in homes)


def test_levels_ages_zones_and_the_straight_line(life):
    assert [share(life, "kindergarten", minutes=m, column="covered") for m in (5, 10, 15)] == [300, 300, 600]
    assert share(life, "kindergarten", age="age_0_14") == pytest.approx(100 * 60 / KIDS)
    assert share(life, "elderly_care", age="age_60") == pytest.approx(100 * 60 / OLD)
    assert share(life, "primary_school", zone="01") == pytest.approx(100 * 200 / 350)
    assert share(life, "primary_school", zone="02") == pytest.approx(100)
    assert share(life, "kindergarten", column="straight") == 350  # E, 200 m away across the block
    assert share(life, "kindergarten", column="gap") == pytest.approx(100 * 50 / TOTAL)
    assert share(life, "primary_school", column="radius") == 300 + 0  # 500 m: C only; B and D are 600 m away
    assert share(life, "park", column="covered") == 200  # entered at 400 m: A is 400 m away


def test_cycling_goes_farther_and_one_way_streets_bind_nobody(life, tmp_path, monkeypatch):
    assert (
        share(life, "kindergarten", mode="cycle", column="covered") == 100 + 200 + 300
    )  # 1,000 m: D is 1,500 m away
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    free = life_circle(city_in(tmp_path, oneway="no"), 2025)
    pd.testing.assert_frame_equal(free.coverage, life.coverage)


def test_complete_circles_are_what_the_indicator_counts(life, folder, monkeypatch):
    rows = life.circles[(life.circles["age"] == "all") & (life.circles["mode"] == "walk")].set_index(
        ["circle", "zone"]
    )
    assert rows.loc[("checkup", "street"), "share"] == pytest.approx(100 * 200 / TOTAL)  # B alone
    assert rows.loc[("c10", "street"), "covered"] == 200 + 300
    assert rows.loc[("c5", "street"), "covered"] == 200
    assert not rows["bound"].any()
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / "home"))
    value = compute(life.city, 2025, ["TJ-F06"], levels=("city", "district"))
    for zone in ("street", "01", "02"):
        wanted = value.loc[value["zone"] == zone, "value"].iloc[0]
        assert rows.loc[("checkup", zone), "share"] == pytest.approx(wanted)
    kinds = dict(zip(life.cells["cell_id"], life.cells["kinds.checkup"], strict=True))
    assert kinds == {"A": 3, "B": 7, "C": 6, "D": 4, "E": 0, "F": 5}


def test_supply_and_equity_by_hand(life):
    supply = life.supply[life.supply["kind"] == "kindergarten"].set_index("cell_id")["rate"]
    assert supply.to_dict() == pytest.approx({"A": 500, "B": 500, "C": 0, "D": 0, "E": 0, "F": 0})
    row = life.equity.set_index("kind").loc["kindergarten"]
    assert row["mean"] == pytest.approx(1000 * 30 / KIDS)
    assert row["none_share"] == pytest.approx(100 * 170 / KIDS)
    assert row["gini"] == pytest.approx(170 / KIDS)
    assert row["theil"] == pytest.approx(math.log(KIDS / 60))
    assert row["theil_between"] == pytest.approx(math.log(KIDS / 70))
    assert row["theil_within"] == pytest.approx(math.log(70 / 60))
    health = life.equity.set_index("kind").loc["community_health"]
    assert health["basis"] == "count" and health["mean"] == pytest.approx(1000 / TOTAL)


def test_further_sites_gain_what_a_search_of_all_nodes_finds(life):
    sites = life.next_sites[life.next_sites["kind"] == "elderly_care"]
    assert sites["rank"].tolist() == [1, 2, 3] and sites["gain"].tolist() == [90, 50, 30]  # C, then D, then A
    assert sites["share_before"].iloc[0] == pytest.approx(100 * 60 / OLD)
    assert sites["share_after"].iloc[-1] == pytest.approx(100 * 230 / OLD)
    assert abs(sites.geometry.iloc[0].x - X - 800) <= 300
    culture = life.next_sites[life.next_sites["kind"] == "culture"]
    assert culture["gain"].tolist() == [50]  # only E is left


def test_findings_name_places_and_distances(life):
    found = life.findings.set_index("check")
    bank = found.loc["facility_far"]
    assert bank["place"] == "bank" and bank["metres"] == pytest.approx(500) and "500米" in bank["message_zh"]
    assert found.loc["facility_cut_off", "place"] == "pharmacy"
    assert found.loc["homes_cut_off", "people"] == 50
    absent = {"community_service", "fitness_ground", "supermarket", "football", "police", "sports_medium", "sports_large",
              "nursing_home", "hospital"}  # fmt: skip
    assert set(found.loc[["no_kind"], "kind"]) == absent
    assert set(found.loc[["no_layer"], "kind"]) == {"bus_stop", "rail_station"}
    assert share(life, "football", column="reason") == "no_kind" and math.isnan(share(life, "football"))
    assert share(life, "bus_stop", column="reason") == "no_layer"


def test_nobody_in_a_zone_is_a_reason_and_no_zero(life):
    assert (
        math.isnan(share(life, "market", zone="03"))
        and share(life, "market", zone="03", column="reason") == "no_people"
    )


def test_missing_age_groups_are_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    life = life_circle(city_in(tmp_path, ages=False), 2025)
    assert "no_ages" in set(life.findings["check"])
    assert (
        math.isnan(share(life, "market", age="age_60"))
        and share(life, "market", age="age_60", column="reason") == "no_ages"
    )
    assert share(life, "market") == pytest.approx(100 * 500 / TOTAL)
    row = life.equity.set_index("kind").loc["kindergarten"]
    assert row["age"] == "all" and row["mean"] == pytest.approx(
        1000 * 30 / TOTAL
    )  # shared by everybody, and said so
    assert not tables.has_ages(life)


def test_buildings_stand_in_for_people_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    city = city_in(tmp_path, people=BUILDINGS)
    life = life_circle(city, 2025)
    assert life.basis == "buildings" and "no_population" in set(life.findings["check"])
    assert share(life, "market") == pytest.approx(100 * 3 / 6, rel=1e-6)  # B, C and F, each as large
    assert "代理" in tables.summary(life, "zh")
    assert life.values.loc[
        life.values["indicator"] == "life_circle.people.all", "unit"
    ].unique().tolist() == ["m2"]
    (tmp_path / "bare.toml").write_text(PROFILE.replace("{more}", ""), encoding="utf-8")
    with pytest.raises(LayerMissing, match="population"):
        life_circle(load_city(tmp_path / "bare.toml", data_root=tmp_path), 2025)


def test_settings_of_a_city_replace_the_packaged_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    text = (
        PACKAGED.read_text("utf-8")
        .replace('value = ["primary", ', 'value = ["motorway", ')
        .replace('"residential", ', "")
    )
    text = text.replace('"secondary", "tertiary", ', "").replace("value = [5, 10, 15]", "value = [5, 15]")
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    life = life_circle(city_in(tmp_path, more='life_circle_settings = "own.toml"'), 2025)
    assert share(life, "market", mode="cycle", column="reason") == "no_cycling"
    assert "no_cycling" in set(life.findings["check"])
    assert sorted(life.coverage["minutes"].unique()) == [5, 10, 15]  # the kinds' own levels stay
    with pytest.raises(DefinitionError, match="not there"):
        (tmp_path / "street.toml").write_text(
            PROFILE.replace("{more}", 'life_circle_settings = "no.toml"') + PEOPLE, encoding="utf-8"
        )
        life_circle(load_city(tmp_path / "street.toml", data_root=tmp_path), 2025)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"sports", "market"]', '"sports", "moon"]', "moon"),
        ("sites = { value = 3, source", "sites = { value = 99, source", "sites"),
        ('seed = { value = 20250, source = "own"', "seed = { value = 20250", "source"),
        ('kind = "culture"', 'kind = "sports"', "twice"),
        ("[parameters]", "[parameters", "TOML"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(tmp_path, old, new, words):
    text = PACKAGED.read_text("utf-8")
    assert old in text
    (tmp_path / "own.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DefinitionError, match=words):
        read_settings(tmp_path / "own.toml")


def test_cached_results_are_the_same(life, folder, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / "home"))
    said = []
    again = life_circle(life.city, 2025, say=said.append)
    assert said == []
    for field in dataclasses.fields(life):
        first, second = getattr(life, field.name), getattr(again, field.name)
        if isinstance(first, pd.DataFrame):
            pd.testing.assert_frame_equal(pd.DataFrame(first), pd.DataFrame(second))
    pd.testing.assert_frame_equal(life.values, again.values)
    assert life.values["value_id"].is_unique and (life.values["sensitivity"] == "内部").all()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_number_shown_is_a_row_of_the_value_table(life, lang):
    ids = set(life.values["value_id"])
    for make in (
        tables.summary, tables.coverage_table, tables.age_table, tables.circle_table, tables.zone_table,
        tables.equity_table, tables.site_table, tables.finding_table, tables.settings_table,
    ):  # fmt: skip
        text = str(make(life, lang))
        shown = re.findall(r'data-v="(\w+)"', text)
        assert set(shown) <= ids and (shown or make is tables.settings_table)
        bare = re.sub(r'<span class="(?:x|num)[^>]*>[^<]*</span>|<[^>]*>', "", text)
        bare = html.unescape(bare)
        assert not re.search(r"\d", bare), bare
    table = str(tables.coverage_table(life, lang))
    assert ">28.6<" in table and ">33.3<" in table


def test_pictures_show_what_is_there(life):
    for picture in (
        pictures.levels_chart(life, "zh"), pictures.lorenz_chart(life, "zh"), pictures.circle_map(life, "zh"),
        pictures.kind_map(life, "zh", "elderly_care"), pictures.supply_map(life, "en", "kindergarten"),
    ):  # fmt: skip
        assert picture.png.startswith(b"\x89PNG") and picture.sensitivity == "内部"
    cells = pictures.shapes(life)
    assert len(cells) == len(HOMES) and np.all(shapely.area(cells.geometry.to_numpy()) > 0)
    assert tables.weakest(life, 1) == ["elderly_care"]


def test_the_command_prints_and_writes(life, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / "home"))
    monkeypatch.setenv("WORKBENCH_DATA", str(folder))
    out = tmp_path / "out"
    done = CliRunner().invoke(
        main,
        ["life-circle", "--city", str(folder / "street.toml"), "--out", str(out), "--maps"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    assert "28.6" in done.output and "公交站点" in done.output
    kept = pd.read_parquet(out / "coverage.parquet")
    pd.testing.assert_frame_equal(kept, life.coverage)
    assert len(gpd.read_file(out / "life_circle.gpkg", layer="next_sites")) == len(life.next_sites)
    assert (out / "circle_checkup.png").stat().st_size > 10_000
    refused = CliRunner().invoke(main, ["life-circle", "--city", str(folder / "street.toml"), "--maps"])
    assert refused.exit_code == 2


def test_hexagons_of_a_real_city(real_data, tmp_path, monkeypatch):
    """Porto Alegre: residents and straight-line shares against geopandas on the published file."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    life = life_circle("porto_alegre", 2019)
    cells = gpd.read_file(real_data / "city/porto_alegre/poa.gpkg", layer="hexgrid_centroids").to_crs(
        "EPSG:32722"
    )
    assert life.cells["all"].sum() == cells["population"].sum() == 812_935
    near = cells.geometry.buffer(600.0, quad_segs=256).intersects(cells.loc[cells["schools"] > 0].union_all())
    wanted = 100 * cells.loc[near, "population"].sum() / 812_935
    assert share(life, "school", zone="porto_alegre", column="straight_share") == pytest.approx(wanted)
    assert 0 < share(life, "school", zone="porto_alegre") < wanted
    schools = life.places[life.places["kind"] == "school"]
    assert schools["amount"].sum() == cells["schools"].sum() == 194
    assert (schools["amount"] * (schools["competing"] > 0)).sum() == pytest.approx(
        (life.supply.query("kind == 'school'")["rate"].to_numpy() * life.cells["all"]).sum() / 1000
    )
    assert {"no_ages", "loose_roads", "outside"} <= set(life.findings["check"])
