"""Change patches from imagery: codes, days, what the surveys have as well, bad ones."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.drawn import CRS, DISTRICTS, FIELD, HOUSE, at, cases, change, frame, images, line, permit
from workbench.core.errors import CRSError, DataQualityError, ParameterError
from workbench.rules.cases import Change, build_cases
from workbench.rules.library import load_rules
from workbench.rules.patches import changed_land, merged_change, patch_codes
from workbench.rules.spatial import as_findings

RULES = list(load_rules(("control_lines",)).values())
FARM = {"permanent_farmland": line(FIELD)}


def test_the_table_of_codes_is_whole():
    table = patch_codes()
    assert len(table) == 33 and table.index.is_unique
    assert table["source"].ne("").all() and table["confidence"].ne("").all()
    assert table.loc["20", "built_or_disturbed"] and not table.loc["ND", "built_or_disturbed"]


def test_what_only_the_image_shows_is_a_case_of_its_own():
    seen = images(
        (HOUSE, "20", "2025-02-01", "2025-08-01"), (at(200, 200, 260, 260), "SM", "2025-02-01", "2025-08-01")
    )
    found = cases(change(), FARM, RULES, patches=seen)
    assert found[["source", "patch_id", "tblx", "before"]].to_numpy().tolist() == [
        ["image", "JC0", "20", "0103"]
    ]
    assert found["date_after"].iloc[0] == pd.Timestamp("2025-08-01")
    assert found["area_m2"].iloc[0] == pytest.approx(600, rel=1e-4)
    shown = as_findings(found, RULES, "x", 2025).iloc[0]
    assert shown["after"] == "20" and "旱地变为建/构筑物" in shown["message_zh"]


def test_what_survey_and_image_show_is_one_case_and_the_image_dates_it():
    seen = images((HOUSE.buffer(2), "20", "2025-02-01", "2025-08-01"))
    found = cases(change((HOUSE, "0702")), FARM, RULES, patches=seen, all_rows=True)
    assert found["source"].tolist() == ["survey"]
    assert found["patch_id"].tolist() == ["JC0"]
    assert found["date_before"].iloc[0] == pd.Timestamp("2025-02-01")


def test_an_image_that_shows_more_than_the_survey_leaves_the_rest_as_a_case():
    seen = images((at(50, 50, 80, 110), "20", "2025-02-01", "2025-08-01"))
    found = cases(change((HOUSE, "0702")), FARM, RULES, patches=seen)
    assert found.set_index("source")["area_m2"].round(-1).to_dict() == {"survey": 600, "image": 1200}


def test_land_built_before_is_no_news_in_an_image():
    seen = images((HOUSE, "20", "2025-02-01", "2025-08-01"))
    assert cases(change((HOUSE, "0702"), before=[(HOUSE, "0702")]), FARM, RULES, patches=seen).empty


def test_a_city_with_imagery_alone():
    seen = images((HOUSE, "TD", "2025-02-01", "2025-08-01", "0101"))
    found = build_cases(None, FARM, RULES, permits=None, districts=DISTRICTS, units=None, patches=seen)
    row = found.iloc[0]
    assert (row["before"], row["permit_state"], row["level"]) == ("0101", "不确定", 3)
    undated = images((HOUSE, "TD", None, "2025-08-01"))
    with pytest.raises(DataQualityError, match="dates of change patches"):
        build_cases(None, FARM, RULES, permits=None, districts=DISTRICTS, units=None, patches=undated)


@pytest.mark.parametrize("days", [("2025-08-01", "2025-02-01"), (None, "2025-08-01"), ("2025-02-01", None)])
def test_days_out_of_order_leave_those_of_the_surveys(days):
    found = cases(change(), FARM, RULES, patches=images((HOUSE, "20", *days)))
    assert found["date_before"].tolist() == [pd.Timestamp("2024-12-31")]
    assert found["date_after"].tolist() == [pd.Timestamp("2025-12-31")]


def test_an_unknown_code_is_no_building():
    assert cases(change(), FARM, RULES, patches=images((HOUSE, "ZZ", "2025-02-01", "2025-08-01"))).empty


def test_before_class_of_an_image_patch_is_the_largest_in_the_survey():
    ground = [(at(0, 0, 70, 400), "0301")]
    what = Change(
        change(*ground).after, change(*ground).after, pd.Timestamp("2024-12-31"), pd.Timestamp("2025-12-31")
    )
    found = cases(what, FARM, RULES, patches=images((HOUSE, "20", "2025-02-01", "2025-08-01")))
    assert found["before"].tolist() == ["0301"]  # 20 of the 30 m


def test_mixed_geometries_are_refused_by_name_and_empty_ones_passed_over():
    lines = line(FIELD, at(0, 0, 10, 10))
    lines.loc[1, "geometry"] = shapely.Point(500_000, 2_500_000)
    with pytest.raises(DataQualityError, match="permanent_farmland"):
        cases(change((HOUSE, "0702")), {"permanent_farmland": lines}, RULES)
    lines.loc[1, "geometry"] = shapely.Polygon()
    assert len(cases(change((HOUSE, "0702")), {"permanent_farmland": lines}, RULES)) == 1
    seen = images(
        (HOUSE, "20", "2025-02-01", "2025-08-01"), (shapely.Polygon(), "20", "2025-02-01", "2025-08-01")
    )
    assert len(cases(change(), FARM, RULES, patches=seen)) == 1
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    with pytest.raises(DataQualityError, match="invalid"):
        cases(change((HOUSE, "0702")), {"permanent_farmland": line(bow)}, RULES)


def test_unknown_class_before_is_reported_and_never_hidden():
    what = change((HOUSE, "0702"), ground="9999")
    found = cases(what, FARM, RULES)
    assert found["before"].tolist() == ["9999"]


def test_faulty_frames_are_named():
    with pytest.raises(CRSError):
        cases(change((HOUSE, "0702")), {"permanent_farmland": line(FIELD).to_crs("EPSG:4526")}, RULES)
    with pytest.raises(ParameterError, match="columns are missing"):
        cases(change(), FARM, RULES, patches=frame([HOUSE], tblx=["20"]))
    twice = frame([at(0, 0, 10, 10), at(10, 0, 20, 10)], code=["A", "A"])
    with pytest.raises(DataQualityError, match="zones share a code"):
        build_cases(change((HOUSE, "0702")), FARM, RULES, permits=None, districts=twice, units=None)


def test_identities_of_the_permit_and_of_the_project_are_handed_on():
    papers = permit(
        ("农转用", "2023-05-01", None, HOUSE), ("供地", "2023-08-01", None, HOUSE),
        project_code=["2025-1", "2025-1"], supervision_no=["", "3301002023B00001"], unit_no=["", "330100000000GB00001"],
    )  # fmt: skip
    row = cases(change((HOUSE, "0702")), FARM, RULES, permits=papers).iloc[0]
    assert (row["project_code"], row["supervision_no"], row["unit_no"]) == (
        "2025-1", "3301002023B00001", "330100000000GB00001",
    )  # fmt: skip
    assert row["permit_ids"] == "P0 P1" and row["permit_kinds"] == "供地 农转用"
    projects = frame([HOUSE.buffer(1)], project_code=["2025-9"], name=["某项目"])
    row = cases(change((HOUSE, "0702")), FARM, RULES, projects=projects).iloc[0]
    assert row["project_code"] == "2025-9"


def test_rank_goes_from_the_worst_level_and_the_largest_share():
    big, small = at(200, 200, 300, 300), at(50, 50, 80, 70)
    lines = {"permanent_farmland": line(at(0, 0, 230, 230)), "development_boundary": line(at(0, 0, 400, 250))}
    found = cases(change((big, "0601"), (small, "0702")), lines, RULES).sort_values("rank")
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["line"].tolist() == ["permanent_farmland", "permanent_farmland", "development_boundary"]
    assert found["share"].round(2).tolist() == [1.0, 0.09, 0.5]


rectangles = st.tuples(
    st.integers(0, 300), st.integers(0, 300), st.integers(5, 100), st.integers(5, 100)
).map(lambda r: at(r[0], r[1], r[0] + r[2], r[1] + r[3]))


@settings(max_examples=40)
@given(lines=st.lists(rectangles, min_size=1, max_size=6), house=rectangles)
def test_parts_on_the_line_and_outside_it_add_up_to_the_patch(lines, house):
    """Area conservation: inside and outside of overlapping line polygons, nothing twice, nothing lost."""
    inside = replace(RULES[0], parameters={"min_area_m2": 0.0, "min_width_m": 0.0})
    outside = replace(inside, id="x", side="outside", line_code="X")
    found = cases(
        change((house, "0702")), {"permanent_farmland": line(*lines)}, [inside, outside], all_rows=True
    )
    patch = changed_land(change((house, "0702")), None)
    assert found["area_m2"].sum() == pytest.approx(patch["area_m2"].sum(), rel=1e-9)
    union = shapely.union_all(lines).intersection(house)
    on_line = found.loc[found["rule"] == inside.id, "geometry"]
    assert shapely.area(on_line.to_numpy()).sum() == pytest.approx(union.area, abs=1e-3)


@settings(max_examples=25)
@given(houses=st.lists(rectangles, min_size=1, max_size=5), order=st.randoms(use_true_random=False))
def test_cases_do_not_depend_on_the_order_of_the_layers(houses, order):
    apart, union = [], shapely.Polygon()
    for house in houses:
        if house.distance(union) > 1 or union.is_empty:
            apart.append((house, "0702"))
            union = union.union(house)
    what = change(*apart)
    index = list(what.after.index)
    order.shuffle(index)
    mixed = replace(what, after=what.after.loc[index].reset_index(drop=True))
    one, two = (cases(it, FARM, RULES) for it in (what, mixed))
    assert one["space_code"].tolist() == two["space_code"].tolist()
    assert np.allclose(one["area_m2"], two["area_m2"])
    assert one.crs == CRS


@settings(max_examples=25)
@given(houses=st.lists(rectangles, min_size=1, max_size=4), fields=st.lists(rectangles, max_size=4))
def test_parcels_of_unchanged_outline_are_no_exception(houses, fields):
    """The same land cut otherwise in the earlier survey gives the same patches."""
    union, apart = shapely.Polygon(), []
    for shape in (*houses, *fields):
        if not shape.intersects(union):
            apart.append(shape)
            union = union.union(shape)
    codes = ["0702", "0601", "0301", "0101"]
    after = change(*[(shape, codes[k % 4]) for k, shape in enumerate(apart)]).after
    same = frame(after.geometry, dlbm=["0103", *["0101" if k % 2 else "0301" for k in range(len(apart))]])
    cut = frame(
        [part for shape in same.geometry for part in (shape.intersection(at(0, 0, 201, 400)), shape.intersection(at(201, 0, 400, 400)))],
        dlbm=[code for code in same["dlbm"] for _ in range(2)],
    )  # fmt: skip
    cut = cut[cut.geom_type.isin(["Polygon", "MultiPolygon"]) & (cut.area > 0)].reset_index(drop=True)
    one, two = (merged_change(before, after, "not construction", "construction") for before in (same, cut))
    assert one[["before", "after"]].to_numpy().tolist() == two[["before", "after"]].to_numpy().tolist()
    assert one["area_m2"].tolist() == pytest.approx(two["area_m2"].tolist(), rel=1e-6)
