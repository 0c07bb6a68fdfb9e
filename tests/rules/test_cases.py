"""Cases on parcels, lines and permits drawn by hand, near the central meridian where plane and ellipsoid agree."""

import geopandas as gpd
import pandas as pd
import pytest
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, box

from workbench.core.errors import DataQualityError
from workbench.rules.cases import Change, build_cases, in_force, new_construction
from workbench.rules.library import load_rules
from workbench.rules.permits import mean_width_m

CRS = "EPSG:4547"
X, Y = 500_000.0, 2_500_000.0
RULES = list(load_rules(("control_lines",)).values())
FIELD = box(X, Y, X + 400, Y + 400)


def at(*bounds):
    return translate(box(*bounds), X, Y)


def frame(shapes, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=CRS)


def after_with(*built, codes=None):
    """The field after building on some rectangles."""
    rest = FIELD
    for shape in built:
        rest = rest.difference(shape)
    codes = codes or ["0601"] * len(built)
    return frame([rest, *built], dlbm=["0103", *codes])


def change(*built, codes=None, **more):
    before = frame([FIELD], dlbm=["0103"])
    days = {"date_before": pd.Timestamp("2024-12-31"), "date_after": pd.Timestamp("2025-12-31")}
    return Change(before, after_with(*built, codes=codes), **{**days, **more})


def line(shape, approved="2020-06-30", ended=None):
    return frame(
        [shape],
        line_id=["L1"],
        name=["线"],
        kind=["k"],
        approved=pd.to_datetime([approved]),
        ended=pd.to_datetime([ended]),
    )


def permit(*rows):
    return frame(
        [row[3] for row in rows],
        permit_id=[f"P{k}" for k in range(len(rows))],
        kind=[row[0] for row in rows],
        approved=pd.to_datetime([row[1] for row in rows]),
        ended=pd.to_datetime(pd.Series([row[2] for row in rows], dtype=object)),
    )


NO_PERMITS = permit(("农转用", "2019-01-01", None, at(5000, 5000, 5010, 5010)))
DISTRICTS = frame([at(-100, -100, 200, 500), at(200, -100, 500, 500)], code=["A", "B"], name=["甲区", "乙区"])


def cases(what, lines, permits=NO_PERMITS, *, rules=RULES):
    found = build_cases(what, lines, rules, permits=permits, districts=DISTRICTS, units=None)
    return found[~found["outcome"].isin(["small", "sliver"])]


def one(what, lines, permits=NO_PERMITS):
    found = cases(what, lines, permits)
    assert len(found) == 1
    return found.iloc[0]


HOUSE = at(50, 50, 80, 70)  # 600 m²


def test_a_building_on_farmland_without_permit_is_red():
    case = one(change(HOUSE), {"permanent_farmland": line(FIELD)})
    assert (case["level"], case["permit_state"], case["status"]) == (4, "无", "发现")
    assert case["area_m2"] == pytest.approx(600, rel=1e-5)
    assert (case["before"], case["after"], case["district"]) == ("0103", "0601", "A")
    assert case["share"] == pytest.approx(1.0)
    assert case["finding_id"] == "YJJBNT-A-2025-001"
    assert case["geometry"].equals_exact(HOUSE.normalize(), 0.01) or case["geometry"].equals(HOUSE)


@pytest.mark.parametrize(("size", "reported"), [(199.0, False), (201.0, True)])
def test_reported_from_200_m2_upward(size, reported):
    house = at(50, 50, 70, 50 + size / 20)
    found = build_cases(
        change(house),
        {"permanent_farmland": line(FIELD)},
        RULES,
        permits=NO_PERMITS,
        districts=DISTRICTS,
        units=None,
    )
    assert found["outcome"].tolist() == (["无"] if reported else ["small"])
    assert found["area_m2"].iloc[0] == pytest.approx(size, rel=1e-4)


def test_the_share_only_ranks():
    """A sixtieth of a large patch is still reported when it is 250 m² of farmland."""
    works = at(100, 100, 250, 200)
    case = one(change(works), {"permanent_farmland": line(at(100, 100, 125, 110))})
    assert case["area_m2"] == pytest.approx(250, rel=1e-4)
    assert case["share"] == pytest.approx(250 / 15_000, rel=1e-4)


def test_a_sliver_along_the_line_is_counted_but_not_reported():
    works = at(100, 100, 300, 200)
    over_the_line = line(at(0, 0, 400, 102))  # 200 m by 2 m = 400 m² of mismatch
    found = build_cases(
        change(works),
        {"permanent_farmland": over_the_line},
        RULES,
        permits=NO_PERMITS,
        districts=DISTRICTS,
        units=None,
    )
    assert found["outcome"].tolist() == ["sliver"]
    assert found["level"].tolist() == [0]
    assert found["width_m"].iloc[0] == pytest.approx(2.0, abs=0.1)


def test_a_narrow_road_is_no_sliver():
    road = at(0, 100, 400, 104)
    assert one(change(road, codes=["1003"]), {"permanent_farmland": line(FIELD)})["width_m"] > 3


def test_a_sliver_does_not_hide_or_add_to_a_real_part():
    shape = at(100, 100, 300, 200)
    target = MultiPolygon([at(0, 0, 400, 102), at(100, 150, 120, 170)])
    case = one(change(shape), {"permanent_farmland": line(target)})
    assert case["area_m2"] == pytest.approx(400, rel=1e-4)


def test_touching_pieces_of_one_change_are_one_case_and_others_are_not():
    before = frame([at(0, 0, 100, 400), at(100, 0, 400, 400)], dlbm=["0101", "0103"])
    after = after_with(at(80, 50, 130, 90), at(130, 50, 150, 90), codes=["0601", "0702"])
    both = Change(before, after, pd.Timestamp("2024-12-31"), pd.Timestamp("2025-12-31"))
    found = cases(both, {"permanent_farmland": line(FIELD)})
    assert sorted(found["after"]) == ["0601", "0702"]
    factory = found[found["after"] == "0601"].iloc[0]
    assert factory["area_m2"] == pytest.approx(2000, rel=1e-4)
    assert factory["before"] == "0103"  # 30 m of the 50 are dry land


def test_what_was_built_before_and_what_is_no_construction_gives_no_case():
    before = after_with(HOUSE)
    after = frame([FIELD.difference(HOUSE).difference(at(200, 200, 260, 260)), HOUSE, at(200, 200, 260, 260)],
                  dlbm=["0103", "0702", "1104"])  # fmt: skip
    assert new_construction(before, after).empty
    still = Change(before, after, pd.Timestamp("2024-12-31"), pd.Timestamp("2025-12-31"))
    assert cases(still, {"permanent_farmland": line(FIELD)}).empty


def test_a_line_approved_later_or_ended_before_does_not_count():
    built = change(HOUSE)
    assert cases(built, {"permanent_farmland": line(FIELD, approved="2026-01-15")}).empty
    assert cases(built, {"permanent_farmland": line(FIELD, ended="2025-06-30")}).empty
    assert len(cases(built, {"permanent_farmland": line(FIELD, ended="2026-06-30")})) == 1
    assert len(cases(built, {"permanent_farmland": line(FIELD, approved="2025-12-31")})) == 1


def test_in_force_on_a_day():
    lines = pd.concat([line(FIELD), line(FIELD, ended="2024-01-01"), line(FIELD, approved="2025-01-01")])
    assert len(in_force(lines, pd.Timestamp("2024-06-30"))) == 1
    assert len(in_force(lines, pd.Timestamp("2023-06-30"))) == 2


HALF = at(50, 50, 65, 70)  # 300 of the 600 m²


@pytest.mark.parametrize(
    ("rows", "state", "level"),
    [
        ([("农转用", "2023-05-01", None, HOUSE)], "已批", 1),
        ([("农转用", "2023-05-01", None, HOUSE.buffer(5))], "已批", 1),
        ([("农转用", "2025-06-01", None, HOUSE)], "已批", 1),
        ([("农转用", "2023-05-01", None, HALF)], "批少占多", 4),
        ([("农转用", "2023-05-01", None, HALF), ("供地", "2024-02-01", None, HOUSE)], "已批", 1),
        ([("农转用", "2026-02-01", None, HOUSE)], "未批先建", 4),
        ([("临时用地", "2021-05-01", "2023-05-01", HOUSE)], "过期", 4),
        ([("临时用地", "2023-05-01", "2026-05-01", HOUSE)], "已批", 1),
        ([("预审", "2023-05-01", None, HOUSE)], "无", 4),
        ([("设施农用地", "2023-05-01", None, HOUSE)], "无", 4),
        ([("农转用", None, None, HOUSE)], "不确定", 3),
        ([("农转用", "2023-05-01", None, at(40, 50, 51, 70))], "无", 4),  # touches by one metre only
    ],
)
def test_permit_states(rows, state, level):
    case = one(change(HOUSE), {"permanent_farmland": line(FIELD)}, permit(*rows))
    assert (case["permit_state"], case["level"]) == (state, level)


def test_what_a_permit_leaves_open_must_be_200_m2_to_count():
    nearly = at(50, 50, 71, 70)  # leaves 180 m²
    case = one(
        change(HOUSE), {"permanent_farmland": line(FIELD)}, permit(("农转用", "2023-05-01", None, nearly))
    )
    assert case["permit_state"] == "已批"
    assert case["permit_share"] == pytest.approx(0.7, abs=1e-3)


def test_the_image_narrows_the_days_of_a_change():
    """Built by June according to the image, approved in September: built first, though before the survey."""
    papers = permit(("农转用", "2025-09-01", None, HOUSE))
    seen = frame(
        [HOUSE.buffer(2)],
        date_before=pd.to_datetime(["2025-01-20"]),
        date_after=pd.to_datetime(["2025-06-10"]),
    )
    lines = {"permanent_farmland": line(FIELD)}
    assert one(change(HOUSE), lines, papers)["permit_state"] == "已批"
    case = one(change(HOUSE, images=seen), lines, papers)
    assert case["permit_state"] == "未批先建"
    assert case["date_after"] == pd.Timestamp("2025-06-10")


def test_no_permit_layer_is_uncertain_and_not_clean():
    case = one(change(HOUSE), {"ecological_red_line": line(FIELD)}, None)
    assert (case["permit_state"], case["level"]) == ("不确定", 3)


def test_outside_the_boundary_is_to_be_checked_and_inside_it_is_nothing():
    boundary = {"development_boundary": line(at(0, 0, 60, 400))}
    case = one(change(HOUSE), boundary)
    assert (case["level"], case["line"]) == (2, "development_boundary")
    assert case["area_m2"] == pytest.approx(400, rel=1e-4)
    assert cases(change(HOUSE), {"development_boundary": line(FIELD)}).empty
    assert cases(change(HOUSE), {}).empty


def test_overlapping_line_polygons_do_not_double_an_area():
    twice = pd.concat([line(FIELD), line(at(0, 0, 200, 200))], ignore_index=True)
    assert one(change(HOUSE), {"permanent_farmland": twice})["area_m2"] == pytest.approx(600, rel=1e-5)


def test_numbers_do_not_depend_on_the_order_of_parcels():
    houses = [at(50, 50, 80, 70), at(50, 300, 80, 330), at(300, 100, 330, 130)]
    built = change(*houses)
    shuffled = Change(
        built.before,
        built.after.iloc[::-1].reset_index(drop=True),
        date_before=built.date_before,
        date_after=built.date_after,
    )
    lines = {"permanent_farmland": line(FIELD)}
    first, second = cases(built, lines), cases(shuffled, lines)
    assert first["finding_id"].tolist() == ["YJJBNT-A-2025-001", "YJJBNT-A-2025-002", "YJJBNT-B-2025-001"]
    assert second["finding_id"].tolist() == first["finding_id"].tolist()
    assert second["area_m2"].tolist() == pytest.approx(first["area_m2"].tolist())
    assert first["geometry"].iloc[0].centroid.y > first["geometry"].iloc[1].centroid.y  # north first


def test_surveys_in_the_wrong_order_are_refused():
    with pytest.raises(DataQualityError, match="not later"):
        cases(change(HOUSE, date_before=pd.Timestamp("2026-01-01")), {"permanent_farmland": line(FIELD)})


def test_mean_width_of_a_strip_and_of_a_square():
    assert mean_width_m(box(0, 0, 500, 4)) == pytest.approx(4, rel=0.02)
    assert mean_width_m(box(0, 0, 20, 20)) == pytest.approx(10)
