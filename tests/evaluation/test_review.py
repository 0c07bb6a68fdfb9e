"""Plan conformity review: verdicts, areas and procedures on a city drawn by hand."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from tests.evaluation.review_city import X, Y, at, frame, line, reviewer
from workbench.core.errors import DataQualityError, DefinitionError, ParameterError
from workbench.evaluation.review import VERDICTS
from workbench.evaluation.review.line_checks import line_checks
from workbench.evaluation.review.settings import FILE, read_settings
from workbench.rules.activities import activities
from workbench.rules.library import load_rules


@pytest.fixture(scope="module")
def plan():
    return reviewer()


def item(review, rule):
    found = [one for one in review.judged if one.rule == rule]
    assert len(found) == 1, [one.rule for one in review.judged]
    return found[0]


def rules(review, *verdicts):
    return {one.rule for one in review.of(*verdicts)}


def test_a_field_half_on_permanent_farmland_by_how_much(plan):
    review = plan.review(at(1450, 100, 1550, 200), use="0601")
    one = item(review, "tl_permanent_farmland")
    assert one.verdict == "conflicts" == review.verdict
    assert one.area_m2 == pytest.approx(5000, abs=0.05)  # half of 100 m by 100 m
    assert one.share == pytest.approx(0.5, abs=1e-9)
    assert one.geometry.equals(at(1450, 100, 1500, 200))
    assert "5,000平方米（7.50亩，占50.0%）" in one.message_zh
    assert one.features == "L0 东田"
    assert one.needs == ("major_project", "farmland_refill")
    assert "补划永久基本农田" in one.needs_zh
    cropland = item(review, "fa_cropland_built")  # the other half: the line speaks for its own ground
    assert (cropland.verdict, round(cropland.area_m2)) == ("needs", 5000)
    assert "cropland_balance" in cropland.needs


def test_the_table_has_the_columns_promised(plan):
    table = plan.review(at(1450, 100, 1550, 200), use="0601").items
    wanted = ["rule", "layer", "verdict", "area_m2", "share", "features", "clause", "message_zh", "message_en", "needs_zh",
              "needs_en", "geometry"]  # fmt: skip
    assert set(wanted) <= set(table.columns)
    assert table.crs.to_epsg() == 4547
    assert list(table["verdict"]) == sorted(table["verdict"], key=list(VERDICTS).index, reverse=True)


@pytest.mark.parametrize(
    ("use", "rule", "verdict"),
    [
        (None, "db_outside", "needs"),
        ("08H1", "db_outside", "needs"),
        ("0702", "db_village", "needs"),
        ("1003", "db_single_site", "needs"),
        ("0701", "db_urban_outside", "conflicts"),
        ("0601", "db_industry_outside", "conflicts"),
    ],
)
def test_outside_the_boundary_is_red_only_where_a_rule_says_so(plan, use, rule, verdict):
    assert item(plan.review(at(1100, 450, 1200, 490), use=use), rule).verdict == verdict


def test_inside_the_boundary_its_parts(plan):
    assert item(plan.review(at(500, 600, 600, 650), use="0601"), "rv_boundary_kind").verdict == "complies"
    flexible = item(plan.review(at(500, 650, 600, 750), use="0601"), "rv_boundary_kind")
    assert (flexible.verdict, flexible.needs, round(flexible.area_m2)) == ("needs", ("flexible_area",), 5000)
    special = item(plan.review(at(500, 820, 600, 880), use="0601"), "rv_boundary_kind")
    assert special.needs == ("special_area",)


@pytest.mark.parametrize("code", [c for c in activities() if c != "HD00"])
def test_each_limited_activity_of_the_red_line_needs_the_provinces_opinion(plan, code):
    rule = next(r for r in load_rules(("red_line_activities",)).values() if r.applies["activity"] == code)
    use = {"road": "1003", "transport": "1003", "mining": "0602", "construction": "0601"}.get(
        rule.applies["plausible"][0], rule.applies["plausible"][0]
    )
    found = item(plan.review(at(1550, 550, 1600, 600), use=use, activity=code), rule.id)
    assert (found.verdict, found.needs) == ("needs", ("red_line_opinion",))


def test_the_red_line_without_activity_or_with_a_false_one(plan):
    shape = at(1550, 550, 1600, 600)
    unstated = item(plan.review(shape, use="1003"), "tl_ecological_red_line")
    assert unstated.verdict == "conflicts"
    assert "HD06" in unstated.message_zh
    misfit = item(plan.review(shape, use="0701", activity="HD06"), "ra_06")
    assert misfit.verdict == "conflicts"
    assert "不符" in misfit.message_zh
    assert item(plan.review(shape, use="0701", activity="HD00"), "ra_not_permitted").verdict == "conflicts"


def test_the_core_of_a_reserve_stays_closed_and_its_other_parts_open_to_limited_activities(plan):
    core = plan.review(at(1850, 850, 1900, 900), use="1003", activity="HD06")
    assert item(core, "nr_core_zone").verdict == "conflicts"
    general = reviewer(nature_reserve=line(at(1800, 800, 2000, 1000), kind="一般控制区"))
    shape = at(1850, 850, 1900, 900)
    assert item(general.review(shape, use="1003", activity="HD06"), "nr_general_zone").verdict == "needs"
    assert item(general.review(shape, use="05H1"), "nr_general_zone").verdict == "conflicts"


@pytest.mark.parametrize(
    ("shape", "use", "rule", "verdict"),
    [
        (at(900, 0, 950, 50), "0601", "ul_green_line", "conflicts"),
        (at(900, 0, 950, 50), "0810", "ul_green_line", "complies"),
        (at(800, 0, 850, 50), "0601", "ul_blue_line", "conflicts"),
        (at(0, 100, 50, 150), "05H1", "ul_purple_line", "conflicts"),
        (at(700, 0, 750, 50), "0601", "ul_yellow_line", "conflicts"),
        (at(700, 0, 750, 50), "0809", "ul_yellow_line", "complies"),
        (at(0, 150, 100, 200), "0601", "fl_flood_line", "needs"),
        (at(0, 150, 100, 200), "0701", "fl_flood_housing", "needs"),
        (at(0, 0, 50, 50), "0701", "he_historic_area", "needs"),
        (at(120, 0, 170, 50), "0701", "he_monument_2025", "conflicts"),
        (at(0, 200, 100, 300), "0701", "in_other_use", "conflicts"),
        (at(0, 200, 100, 300), "0601", "in_not_industrial", "complies"),
        (at(1200, 600, 1250, 650), "0601", "geohazard_line", "needs"),
    ],
)
def test_each_line_has_its_verdict(plan, shape, use, rule, verdict):
    assert item(plan.review(shape, use=use), rule).verdict == verdict


def test_overlaps_below_the_tolerance_are_told_and_not_counted(plan):
    small = item(plan.review(at(1490, 300, 1590, 301.9), use="0201"), "rv_land_use")
    assert small.verdict == "complies"
    review = plan.review(at(1400, 300, 1490, 302.0).union(at(1400, 395, 1500, 480)), use="0601")
    sliver = item(review, "tl_permanent_farmland")
    assert sliver.verdict == "conflicts"  # 5 m by 100 m is no sliver, the strip of 2 m is
    assert sliver.area_m2 == pytest.approx(500, abs=0.1)
    assert sliver.tolerated_m2 == pytest.approx(180, abs=0.1)
    assert "180平方米为边界窄条" in sliver.message_zh
    edge = item(plan.review(at(1490, 200, 1600, 215), use="0601"), "tl_permanent_farmland")
    assert (edge.verdict, round(edge.area_m2), round(edge.tolerated_m2)) == ("complies", 150, 150)
    assert "小于200平方米的容差" in edge.message_zh
    thin = item(plan.review(at(1498, 100, 1600, 300), use="0601"), "tl_permanent_farmland")
    assert (thin.verdict, round(thin.area_m2)) == ("complies", 400)
    assert "窄于3米" in thin.message_zh


def test_a_line_of_the_future_is_announced_and_an_ended_one_is_not():
    later = line(at(500, 450, 600, 550), approved="2026-03-01", name="新绿线")
    found = item(reviewer(green_line=later).review(at(520, 460, 560, 500), use="0701"), "ul_green_line")
    assert (found.verdict, found.needs) == ("needs", ("pending_line",))
    assert "2026-03-01" in found.message_zh
    assert "1,600平方米" in found.message_zh
    day = reviewer(green_line=later, on=pd.Timestamp("2026-06-01"))
    assert item(day.review(at(520, 460, 560, 500), use="0701"), "ul_green_line").verdict == "conflicts"
    ended = item(reviewer().review(at(1000, 600, 1100, 700), use="0601"), "mi_over_deposit_2025")
    assert (ended.verdict, ended.area_m2) == ("complies", 0.0)
    assert "没有生效" in ended.message_zh


def test_planned_use_same_alongside_argued_against_and_none(plan):
    def found(shape, use):
        return item(plan.review(shape, use=use), "rv_planned_use")

    works, houses, park = at(50, 450, 100, 500), at(350, 450, 400, 500), at(650, 450, 700, 500)
    assert found(works, "0601").verdict == "complies"
    assert found(works, "0508").verdict == "complies"
    assert found(works, "05H1").needs == ("use_argument",)
    against = found(at(250, 450, 350, 500), "0601")  # half works, half houses
    assert (against.verdict, round(against.area_m2), against.needs) == ("conflicts", 2500, ("plan_change",))
    assert found(park, "0701").verdict == "conflicts"
    assert found(houses, None).verdict == "not_checked"
    assert found(at(500, 620, 600, 680), "0701").needs == ("detailed_plan",)


def test_intensity_against_the_strictest_plot(plan):
    shape = at(250, 450, 350, 500)
    kept = item(plan.review(shape, use="0601", far=2.0, height_m=36), "rv_intensity")
    assert kept.verdict == "complies"
    over = item(plan.review(shape, use="0601", far=2.2, height_m=40), "rv_intensity")
    assert over.verdict == "conflicts"
    assert "超过地块A上限2，超出0.2" in over.message_zh
    assert "超出4 m" in over.message_zh
    assert item(plan.review(shape, use="0601"), "rv_intensity").verdict == "not_checked"


def test_quota_of_district_and_unit():
    shape = at(400, 350, 600, 650)  # 200 m by 50 m are works, 200 m by 250 m open: 5 ha
    enough = item(reviewer().review(shape, use="0601"), "rv_quota")
    assert (enough.verdict, round(enough.area_m2)) == ("complies", 50_000)
    unit = item(reviewer(left={"U1": 4.5}).review(shape, use="0601"), "rv_quota")
    assert (unit.verdict, unit.needs) == ("needs", ("quota_in_district",))
    assert "缺0.50公顷" in unit.message_zh
    district = item(reviewer(left={"01": 1.0, "U1": -3.0}).review(shape, use="0601"), "rv_quota")
    assert (district.verdict, district.needs) == ("conflicts", ("quota_transfer", "quota_in_district"))
    assert "西单元指标已超用3.00公顷" in district.message_zh
    built = item(reviewer(left={"01": 0.0}).review(at(0, 250, 100, 350), use="0601"), "rv_quota")
    assert (built.verdict, built.area_m2) == ("complies", 0.0)  # built land takes no quota


def test_permits_of_others_and_of_its_own_project(plan):
    shape = at(0, 600, 100, 700)
    anyone = plan.review(shape, use="0601")
    assert item(anyone, "rv_permits").verdict == "needs"
    assert "项目X的农转用、供地重叠10,000平方米" in item(anyone, "rv_permits").message_zh
    stranger = plan.review(shape, use="0601", project="Z")
    assert item(stranger, "rv_permits").verdict == "conflicts"
    own = plan.review(shape, use="0601", project="X")
    assert item(own, "rv_permits").verdict == item(own, "rv_projects").verdict == "complies"
    ended = item(plan.review(at(120, 620, 180, 680), use="0601"), "rv_permits")
    assert ended.verdict == "complies"
    assert "1件已失效" in ended.message_zh


def test_permits_of_the_project_speak_on_the_lines():
    permit = frame(
        [at(1000, 0, 1200, 200)], permit_id=["P"], project_code=["X"], kind=["农转用"],
        approved=pd.to_datetime(["2024-01-01"]), ended=pd.to_datetime([None]),
    )  # fmt: skip
    plan = reviewer(permits=permit)
    full = item(plan.review(at(1050, 50, 1100, 100), use="1003", project="X"), "tl_permanent_farmland")
    assert full.verdict == "complies"
    assert "已覆盖" in full.message_zh
    part = item(plan.review(at(1150, 50, 1250, 100), use="1003", project="X"), "tl_permanent_farmland")
    assert part.verdict == "conflicts"
    assert "仅覆盖其中50.0%" in part.message_zh


def test_what_could_not_be_checked_says_why():
    plan = reviewer("permanent_farmland", "plots", "land_use")
    review = plan.review(at(500, 600, 600, 650), use="0601")
    roles = {one.layer for one in review.of("not_checked")}
    assert {"permanent_farmland", "plots", "land_use", "water_source_line"} <= roles
    assert all(one.message_zh.startswith("未核查：") for one in review.of("not_checked"))
    assert review.verdict == "not_checked"  # never "complies" with something left open
    none = reviewer("development_boundary").review(at(500, 600, 600, 650), use="0601")
    assert "development_boundary" in {one.layer for one in none.of("not_checked")}


def test_a_shape_off_the_city_is_not_said_to_comply(plan):
    nowhere = plan.review(at(5000, 5000, 5100, 5100), use="0601")
    assert [one.rule for one in nowhere.judged] == ["rv_location"]
    assert nowhere.verdict == "not_checked"
    partly = item(plan.review(at(1950, 300, 2050, 400), use="0201"), "rv_location")
    assert (partly.verdict, round(partly.area_m2)) == ("not_checked", 5000)
    assert "跨2个单元" in item(plan.review(at(950, 950, 1050, 990), use="0201"), "rv_location").message_zh


def test_farming_inside_a_line_is_left_to_a_person(plan):
    found = plan.review(at(1550, 550, 1600, 600), use="0301")
    assert item(found, "tl_ecological_red_line").verdict == "not_checked"
    orchard = plan.review(at(1100, 100, 1150, 150), use="0201")
    assert item(orchard, "fa_permanent_not_grain").verdict == "conflicts"


@pytest.mark.parametrize(
    "shape",
    [
        shapely.Polygon([(X, Y), (X + 100, Y + 100), (X + 100, Y), (X, Y + 100)]),
        shapely.Polygon(),
        shapely.LineString([(X, Y), (X + 100, Y)]),
        None,
        shapely.Polygon([(X, Y), (X + 0.5, Y), (X, Y + 0.5)]),
        shapely.Polygon([(X, Y), (X + 100, Y), (X, np.nan)]),
    ],
    ids=["bow-tie", "empty", "line", "none", "speck", "nan"],
)
def test_shapes_without_a_certain_area_are_refused(plan, shape):
    with pytest.raises(DataQualityError):
        plan.review(shape, use="0601")


def test_a_repair_that_leaves_the_area_is_made_and_told(plan):
    spike = shapely.Polygon([(X, Y), (X + 100, Y), (X + 100, Y + 50), (X + 130, Y + 50), (X + 100, Y + 50), (X + 100, Y + 100), (X, Y + 100)])  # fmt: skip
    review = plan.review(spike, use="0701")
    assert review.area_m2 == pytest.approx(10_000, abs=0.1)
    assert "面积不变" in item(review, "rv_geometry").message_zh
    solid = shapely.Polygon([(X, Y, 5), (X + 100, Y, 6), (X + 100, Y + 100, 7)])
    assert plan.review(solid, use="0701").area_m2 == pytest.approx(5000, abs=0.05)


def test_unknown_uses_and_activities_are_errors(plan):
    with pytest.raises(ParameterError, match="no such land use"):
        plan.review(at(0, 0, 50, 50), use="9999")
    with pytest.raises(ParameterError, match="too wide"):
        plan.review(at(0, 0, 50, 50), use="plan:09")
    with pytest.raises(ParameterError, match="no such activity"):
        plan.review(at(0, 0, 50, 50), use="0601", activity="HD99")


def test_areas_equal_a_plain_overlay_on_overlapping_layers():
    rng = np.random.default_rng(7)
    centre = rng.uniform(0, 900, (400, 2)) + np.array([X, Y])
    blobs = shapely.buffer(shapely.points(centre), rng.uniform(10, 40, 400), quad_segs=4)
    plan = reviewer(green_line=line(*blobs))
    shapes = [at(x, y, x + 120, y + 80) for x, y in rng.uniform(0, 850, (40, 2))]
    frame_ = gpd.GeoDataFrame({"name": [str(k) for k in range(40)], "use": "0601"}, geometry=shapes, crs=4547)
    heads, items = plan.batch(frame_)
    pieces = gpd.overlay(frame_[["name", "geometry"]], line(*blobs)[["geometry"]]).dissolve("name")
    ours = items[items["rule"] == "ul_green_line"].set_index("proposal")
    for name, shape in pieces.geometry.items():
        assert ours.loc[name, "area_m2"] + ours.loc[name, "tolerated_m2"] * (
            ours.loc[name, "verdict"] == "conflicts"
        ) == (pytest.approx(shape.area, rel=3e-6, abs=0.01))
    assert len(heads) == 40
    for k in (0, 17, 39):  # one alone says the same as one among many
        alone = plan.review(shapes[k], use="0601", name=str(k)).items
        among = items[items["proposal"] == str(k)].drop(columns="proposal").reset_index(drop=True)
        pd.testing.assert_frame_equal(pd.DataFrame(alone), pd.DataFrame(among))


def test_large_polygons_are_cut_before_they_are_intersected():
    ring = shapely.Point(X + 500, Y + 500).buffer(450, quad_segs=3000)
    plan = reviewer(green_line=line(ring))
    shape = at(900, 450, 1000, 550)
    found = item(plan.review(shape, use="0601"), "ul_green_line")
    assert found.area_m2 == pytest.approx(shape.intersection(ring).area, rel=3e-6)


def test_every_spatial_rule_of_the_packs_names_what_is_needed():
    settings = read_settings()
    for check in line_checks(settings, (), pd.Timestamp("2025-12-31")):
        for rule in check.rules:
            assert settings.needs_of(rule), rule.id


def test_settings_of_a_bureau_replace_sections_and_are_checked(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        '[tolerance]\nmin_area_m2 = 50.0\n[rules.ul_green_line]\nverdict = "needs"\nneeds = ["archaeology"]\n'
    )
    settings = read_settings(own)
    assert settings.min_area_m2 == 50.0
    assert settings.min_width_m == 3.0
    assert settings.rules["ul_green_line"]["verdict"] == "needs"
    assert settings.rules["ul_blue_line"]["needs"] == ["blue_line_change"]
    own.write_text('[rules.ul_green_lime]\nneeds = ["nothing_known"]\n')
    with pytest.raises(DefinitionError, match=r"ul_green_lime.*nothing_known"):
        read_settings(own)
    assert read_settings().file == FILE.name
