"""Rule packs on land drawn by hand: what each line questions, what it lets be, which rule speaks."""

import pandas as pd
import pytest

from tests.rules.drawn import FIELD, HOUSE, at, cases, change, images, line, permit
from workbench.rules.activities import activities
from workbench.rules.cases import classes_of
from workbench.rules.library import load_rules


def pack(*names):
    return list(load_rules(names).values())


def rules_named(found):
    return dict(zip(found["rule"], found["level"], strict=True))


@pytest.mark.parametrize(
    ("role", "code", "level"),
    [
        ("green_line", "0702", 3),
        ("green_line", "0810", None),  # a park on the green line
        ("blue_line", "0702", 4),
        ("blue_line", "1109", None),  # water works
        ("purple_line", "05H1", 4),
        ("yellow_line", "0701", 3),
        ("yellow_line", "0809", None),  # the utility the line keeps land for
    ],
)
def test_urban_lines_question_only_what_they_do_not_serve(role, code, level):
    found = cases(change((HOUSE, code)), {role: line(FIELD)}, pack("urban_lines"))
    assert found["level"].tolist() == ([] if level is None else [level])
    assert found["line"].tolist() == ([] if level is None else [role])


def test_the_core_zone_of_a_reserve_is_judged_by_its_own_rule():
    core, rest = at(0, 0, 65, 400), at(65, 0, 400, 400)
    lines = {"nature_reserve": line(core, rest, kind=["核心保护区", "一般控制区"])}
    found = cases(change((HOUSE, "0702")), lines, pack("nature_reserves"))
    assert dict(zip(found["rule"], found["area_m2"].round(-1), strict=True)) == {
        "nr_core_zone": 300,
        "nr_general_zone": 300,
    }
    papers = permit(("农转用", "2023-05-01", None, HOUSE))
    found = cases(change((HOUSE, "0702")), lines, pack("nature_reserves"), permits=papers)
    assert rules_named(found) == {"nr_core_zone": 3, "nr_general_zone": 1}


def test_housing_below_the_flood_line_weighs_more_than_other_building():
    lines = {"flood_line": line(FIELD)}
    assert rules_named(cases(change((HOUSE, "0601")), lines, pack("flood"))) == {"fl_flood_line": 3}
    assert rules_named(cases(change((HOUSE, "0702")), lines, pack("flood"))) == {"fl_flood_housing": 4}


@pytest.mark.parametrize(
    ("days", "rule"),
    [(("2024-06-30", "2025-02-28"), "he_monument_2002"), (("2024-06-30", "2025-03-01"), "he_monument_2025")],
)
def test_the_law_in_force_on_the_day_of_the_change_speaks(days, rule):
    lines = {"heritage_line": line(FIELD, kind="文物保护单位")}
    found = cases(change((HOUSE, "0702"), days=days), lines, pack("heritage"))
    assert found["rule"].tolist() == [rule]


def test_a_historic_quarter_is_no_monument():
    found = cases(change((HOUSE, "0702")), {"heritage_line": line(FIELD, kind="历史城区")}, pack("heritage"))
    assert rules_named(found) == {"he_historic_area": 3}


def test_mines_belong_on_a_deposit_and_nowhere_else():
    lines = {"mineral_line": line(at(0, 0, 200, 400))}
    inside, outside = at(50, 50, 80, 70), at(300, 50, 330, 70)
    works = change((inside, "0602"), (outside, "0602"), (at(100, 100, 130, 130), "0601"))
    found = cases(works, lines, pack("minerals"))
    assert rules_named(found) == {"mi_mining_outside": 4, "mi_over_deposit_2025": 3}


def test_industrial_land_lost_and_land_taken_by_others_are_two_questions():
    lines = {"industrial_line": line(FIELD)}
    old = at(200, 200, 240, 240)
    what = change((old, "0701"), (HOUSE, "05H1"), (at(300, 300, 340, 320), "0601"), before=[(old, "0601")])
    found = cases(what, lines, pack("industrial"))
    assert rules_named(found) == {"in_other_use": 3, "in_not_industrial": 2}
    assert found.set_index("rule")["before"].to_dict() == {
        "in_other_use": "0601",
        "in_not_industrial": "0103",
    }


def test_farmland_built_planted_and_used_for_sheds():
    shed, trees = at(200, 50, 240, 70), at(50, 200, 90, 240)
    what = change((HOUSE, "0702"), (shed, "1202"), (trees, "0307"))
    lines = {"permanent_farmland": line(FIELD)}
    found = cases(what, lines, pack("farmland"))
    assert rules_named(found) == {
        "fa_cropland_built": 3,
        "fa_permanent_not_grain": 3,
        "fa_facility_on_permanent": 3,
        "fa_cropland_facility": 2,
    }
    record = permit(("设施农用地", "2024-01-01", "2029-01-01", shed))
    found = cases(what, lines, pack("farmland"), permits=record).set_index("rule")
    assert found.at["fa_cropland_facility", "permit_state"] == "已批"
    assert found.at["fa_cropland_facility", "permit_end"] == pd.Timestamp("2029-01-01")
    assert found.at["fa_cropland_built", "permit_state"] == "无"  # a record of a shed allows no house


def test_cropland_taken_under_full_approval_is_no_case():
    built = change((HOUSE, "0702"))
    full, half = (permit(("农转用", "2023-05-01", None, shape)) for shape in (HOUSE, at(50, 50, 65, 70)))
    assert cases(built, {}, pack("farmland"), permits=full).empty
    assert rules_named(cases(built, {}, pack("farmland"), permits=half)) == {"fa_cropland_built": 3}


@pytest.mark.parametrize(("edge", "listed"), [(64, True), (66, False)])
def test_cropland_that_a_line_speaks_for_is_not_listed_twice(edge, listed):
    """Of a house 30 m long the farmland holds 14 or 16 m."""
    lines = {"permanent_farmland": line(at(0, 0, edge, 400))}
    found = rules_named(cases(change((HOUSE, "0702")), lines, pack("farmland", "three_lines")))
    assert found.pop("tl_permanent_farmland") == 4
    assert found == ({"fa_cropland_built": 3} if listed else {})


@pytest.mark.parametrize(
    ("code", "rule", "level"),
    [
        ("0702", "db_village", 1),
        ("1003", "db_single_site", 1),
        ("0701", "db_urban_outside", 4),
        ("0601", "db_industry_outside", 3),
        ("08H2", "db_outside", 2),
    ],
)
def test_outside_the_boundary_is_red_only_where_a_rule_says_so(code, rule, level):
    lines = {"development_boundary": line(at(200, 200, 400, 400))}
    all_packs = pack("control_lines", "three_lines", "development_boundary")
    assert rules_named(cases(change((HOUSE, code)), lines, all_packs)) == {rule: level}


def test_a_boundary_drawn_after_the_change_has_no_outside():
    lines = {"development_boundary": line(at(200, 200, 400, 400), approved="2026-01-01")}
    assert cases(change((HOUSE, "0601")), lines, pack("three_lines")).empty


def test_ten_activities_and_none_of_them():
    assert len(activities()) == 11
    for rule in pack("red_line_activities"):
        assert rule.applies["activity"] == "HD00" or classes_of(rule.applies["plausible"])


@pytest.mark.parametrize(
    ("activity", "code", "rule", "level"),
    [
        ("", "05H1", "tl_ecological_red_line", 4),
        ("HD05", "05H1", "ra_05", 2),  # a visitors' place without papers: to be checked
        ("HD05", "0601", "ra_05", 4),  # a factory is no visitors' place
        ("HD00", "05H1", "ra_not_permitted", 4),
    ],
)
def test_the_activity_decides_on_the_red_line(activity, code, rule, level):
    lines = {"ecological_red_line": line(FIELD)}
    rules = pack("control_lines", "three_lines", "red_line_activities")
    plain = cases(change((HOUSE, code)), lines, rules)
    told = {plain["space_code"].iloc[0]: activity} if activity else None
    found = cases(change((HOUSE, code)), lines, rules, activities=told)
    assert rules_named(found) == {rule: level}
    assert found["activity_type"].tolist() == [activity]
    assert found["space_code"].tolist() == plain["space_code"].tolist()


def test_a_permit_or_an_image_can_state_the_activity():
    lines = {"ecological_red_line": line(FIELD)}
    rules = pack("three_lines", "red_line_activities")
    papers = permit(("农转用", "2023-05-01", None, HOUSE), activity_type=["HD06"])
    found = cases(change((HOUSE, "1003")), lines, rules, permits=papers)
    assert rules_named(found) == {"ra_06": 0}
    seen = images((HOUSE, "DL1", "2025-01-20", "2025-06-10")).assign(activity_type="HD06")
    assert rules_named(cases(change((HOUSE, "1003"), images=seen), lines, rules)) == {"ra_06": 2}


def test_line_with_a_gap_in_its_validity_speaks_for_its_own_days_only():
    """Image days decide which of two editions of a line was in force when a field was built on."""
    old, new = at(0, 0, 400, 60), at(0, 60, 400, 400)
    lines = line(old, new)
    lines["ended"] = pd.to_datetime(["2025-07-01", None])
    lines["approved"] = pd.to_datetime(["2020-01-01", "2025-07-01"])
    rules = pack("control_lines")
    early = images((HOUSE, "20", "2025-01-10", "2025-06-30"))
    found = cases(change((HOUSE, "0702"), images=early), {"permanent_farmland": lines}, rules)
    assert found["area_m2"].tolist() == pytest.approx([300], rel=1e-4)
    assert found["geometry"].iloc[0].bounds[1] == at(50, 50, 80, 60).bounds[1]
    late = cases(change((HOUSE, "0702")), {"permanent_farmland": lines}, rules)
    assert late["geometry"].iloc[0].bounds[3] == HOUSE.bounds[3]  # without image the survey's day decides
