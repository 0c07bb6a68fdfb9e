"""Rows for the report's further chapters, against answers worked out by hand."""

import math
from types import SimpleNamespace

import geopandas as gpd
import pandas as pd
import pytest
from shapely.geometry import box

from workbench.evaluation.casebook import last_day, permit_rows, register_rows
from workbench.evaluation.former import former_rows, outcome
from workbench.evaluation.gaps import basis_rows, gap_rows, gaps
from workbench.evaluation.pace import Pace, pace_rows, paces
from workbench.evaluation.problems import problem_rows, problems
from workbench.indicators.library import load_library
from workbench.indicators.values import derived, table, value_id
from workbench.rules.register import Register
from workbench.rules.space_code import space_code

CITY = SimpleNamespace(
    name="town", name_zh="小城", crs="EPSG:4547", base_year=2019, scopes={"市域": "市域"}, targets=[],
    say=lambda text, lang: text,
)  # fmt: skip


def row(
    indicator,
    value,
    *,
    year=2025,
    level="city",
    zone="town",
    unit="km2",
    reason="",
    tier="statutory",
    basis="1: x",
):
    return {
        "value_id": value_id("town", indicator, level, zone, year), "indicator": indicator, "city": "town",
        "level": level, "zone": zone, "zone_name": zone, "year": year, "scenario": "observed", "edition": "latest",
        "value": value, "unit": unit, "decimals": 1, "tier": tier if reason == "" else "", "reason": reason,
        "reason_zh": reason, "reason_en": reason, "sensitivity": "公开", "basis": basis,
    }  # fmt: skip


def target(indicator, goal, op, year=2035, **more):
    base = {"base_year": None, "base_value": None} | more
    return SimpleNamespace(indicator=indicator, year=year, value=goal, op=op, unit="km2", **base)


@pytest.mark.parametrize(
    ("base", "now", "goal", "op", "expected"),
    [
        (100.0, 104.0, 110.0, ">=", "keep"),  # 4 in 6 years goes on to 110.67
        (100.0, 102.0, 110.0, ">=", "adjust"),  # a fifth done in 37.5 % of the time: more than half of it
        (100.0, 101.0, 110.0, ">=", "revise"),  # a tenth done: less than half
        (100.0, 99.0, 110.0, ">=", "revise"),  # moves away
        (50.0, 48.0, 45.0, ">=", "adjust"),  # kept now, but at this pace 44.67 by then
        (80.0, 85.0, 90.0, "<=", "adjust"),  # below the cap, at this pace 93.3
        (80.0, 80.0, 80.0, "<=", "keep"),
        (math.nan, 80.0, 90.0, ">=", "unknown"),
    ],
)
def test_what_is_advised_for_a_target(base, now, goal, op, expected):
    assert Pace("x", 2035, 2019, base, now, goal, op, 2025).verdict == expected


def test_way_and_time_and_projection_become_rows():
    city = SimpleNamespace(**{**vars(CITY), "targets": [target("TJ-C03", 90.0, "<=")]})
    values = table([row("TJ-C03", 76.0, year=2019), row("TJ-C03", 82.0)])
    (pace,) = paces(city, 2025, values)
    assert (pace.base, pace.base_year, pace.projected) == (76.0, 2019, 92.0)
    found = {(r["indicator"], r["zone"]): r["value"] for r in pace_rows(city, 2025, values)}
    assert found["report.since_base.TJ-C03", "2035"] == 6.0
    assert found["report.done_pct.TJ-C03", "2035"] == pytest.approx(100 * 6 / 14)
    assert found["report.time_pct.TJ-C03", "2035"] == pytest.approx(37.5)
    assert found["report.verdicts", "adjust"] == 1 and found["report.verdicts", "all"] == 1


class NoLayers:
    """A city that has only some layers."""

    def __init__(self, *roles):
        self.roles = roles

    def has(self, role, year=None):
        return role in self.roles

    def years(self, role):
        return []

    def holder(self, role):
        return None


def test_what_unlocks_most_comes_first():
    library = load_library()
    reported = [
        one
        for one in library.values()
        if [m.basis for m in one.methods] == ["reported"] and one.scope == "市域"
    ]
    holder = reported[0].holder
    same = [one.id for one in reported if one.holder == holder]
    drawn = next(
        one
        for one in library.values()
        if one.methods[0].inputs == ("dem",) or one.methods[0].inputs == ("land_use",)
    )
    rows = [row(one, math.nan, reason=f"not_reported:{one}") for one in same]
    rows.append(row(drawn.id, math.nan, reason="no_layer:land_use"))
    found = gaps(CITY, NoLayers(), 2025, table(rows), library)
    assert found[0].need.holder_zh == holder and sorted(found[0].alone) == sorted(same)
    assert [gap.alone for gap in found[1:]] == [[drawn.id]]
    counted = {(r["indicator"], r["zone"]): r["value"] for r in gap_rows(CITY, 2025, found)}
    assert counted["report.gaps", "all"] == 2
    assert counted["report.unlocks_alone", found[0].need.key] == len(same)


def test_what_the_city_has_none_of_comes_last_and_is_counted_apart():
    none = SimpleNamespace(holder="", note_zh="本市没有", note_en="none here")
    city = SimpleNamespace(**vars(CITY), missing={"permanent_farmland": none})
    library = load_library()
    rows = [row(name, math.nan, reason="no_layer:x") for name in ("TJ-A10", "PL-04", "TJ-A01")]
    found = gaps(city, NoLayers(), 2025, table(rows), library)
    assert found[-1].need.inapplicable and found[-1].need.zh == "永久基本农田"
    assert sorted([*found[-1].alone, *found[-1].more]) == ["PL-04", "TJ-A10"]
    assert {gap.need.zh: gap.more for gap in found[:-1]} == {"用水总量": ["TJ-A01"], "常住人口": ["TJ-A01"]}
    counted = {(r["indicator"], r["zone"]): r["value"] for r in gap_rows(city, 2025, found)}
    assert counted["report.gaps", "all"] == 2 and counted["report.inapplicable", "all"] == 2
    assert ("report.unlocks_alone", found[-1].need.key) not in counted


def test_values_by_what_they_rest_on():
    values = table([row("TJ-C03", 5.0), row("TJ-A11", math.nan, reason="no_layer:land_use", basis="1: x")])
    found = {(r["indicator"], r["zone"]): r["value"] for r in basis_rows(CITY, 2025, values, load_library())}
    assert found["report.state.computed", "layers"] == 1 and found["report.on_layers", "all"] == 1
    assert found["report.state.missing", "all"] == 1 and found["report.state.reported", "all"] == 0


def finding(name, kind, level, **more):
    base = {
        "finding_id": name, "rule": f"r_{kind}", "kind": kind, "level": level, "indicator": "", "line": "",
        "zone_level": "city", "area_m2": math.nan, "permit_state": "", "geometry": None,
    }  # fmt: skip
    return base | more


def findings():
    rows = [
        finding("a", "path", 3, indicator="TJ-C03"), finding("b", "cap", 2, indicator="TJ-C03"),
        finding("c", "trend", 1, indicator="TJ-A11"), finding("d", "freshness", 2, indicator="TJ-A11"),
        finding("e", "spatial_conflict", 4, line="permanent_farmland", area_m2=900.0, permit_state="无", zone_level="case"),
        finding("f", "spatial_conflict", 1, line="permanent_farmland", area_m2=300.0, permit_state="已批", zone_level="case"),
        finding("g", "cap", 4, line="permits", rule="pm_temporary_unrestored", zone_level="case"),
    ]  # fmt: skip
    return gpd.GeoDataFrame(rows, geometry="geometry", crs=CITY.crs)


def test_findings_on_one_subject_are_one_problem():
    overdrawn = derived("report.quota_left", -2.0, city="town", year=2025, zone="D1", unit="ha")
    kept = derived("report.quota_left", 2.0, city="town", year=2025, zone="D2", unit="ha")
    values = table([overdrawn, kept, row("TJ-C03", 1.0, level="district", zone="D1")])
    found = problems(values, findings(), 2025, city="town")
    assert [(one.kind, one.subject, one.level, one.findings) for one in found[:2]] == [
        ("line", "permanent_farmland", 4, ("e",)), ("indicator", "TJ-C03", 3, ("a", "b")),
    ]  # fmt: skip
    assert [(one.kind, one.subject) for one in found[2:]] == [
        ("permits", "pm_temporary_unrestored"), ("ledger", "D1"), ("data", "r_freshness"),
    ]  # fmt: skip
    counted = {
        (r["indicator"], r["zone"]): r["value"] for r in problem_rows(CITY, 2025, found, lambda one: "公开")
    }
    assert counted["report.problems", "all"] == 4 and counted["report.problems", "data"] == 1
    assert counted["report.problem_findings", "indicator/TJ-C03"] == 2


def test_patches_by_permit_state():
    counted = {(r["indicator"], r["zone"]): r["value"] for r in permit_rows(CITY, 2025, findings())}
    assert counted == {
        ("report.permit.无", "permanent_farmland"): 1, ("report.permit.已批", "permanent_farmland"): 1,
    }  # fmt: skip


def test_last_years_problems_are_counted_by_what_became_of_them():
    before = findings().assign(
        outcome=["same", "", "", "", "", "", ""], still_m2=[math.nan] * 4 + [450.0, 900.0, math.nan]
    )
    rows = former_rows(CITY, 2025, before)
    counted = {(r["indicator"], r["zone"]): r["value"] for r in rows}
    assert counted["report.former", "same"] == 1 and counted["report.former", "patches"] == 2
    assert counted["case.still_pct", "e"] == 50.0
    assert counted["case.still_pct", "f"] == 100.0  # never more than the patch
    assert former_rows(CITY, 2025, None) == []
    assert outcome(2, 0) == "gone" and outcome(2, -9) == "unknown"


def test_statuses_ages_and_rates_of_the_register(tmp_path):
    shapes = [box(480_000 + 100 * k, 2_540_000, 480_050 + 100 * k, 2_540_050) for k in range(3)]
    codes = [space_code(shape, CITY.crs, "permanent_farmland", 2024) for shape in shapes]
    cases = gpd.GeoDataFrame(
        {"space_code": codes, "line": "permanent_farmland", "level": 4, "area_m2": 2500.0, "permit_state": "无"},
        geometry=shapes, crs=CITY.crs,
    )  # fmt: skip
    register = Register.open(CITY, path=tmp_path / "cases.gpkg")
    register.update(cases, "2025-01-01", year=2024)
    register.step(codes[0], "销号", person="甲", on_date="2025-01-11", verdict="误判")
    register.step(codes[1], "核查", person="甲", on_date="2025-03-02", verdict="属实")
    assert last_day(register) == pd.Timestamp("2025-03-02")
    counted = {(r["indicator"], r["zone"]): r["value"] for r in register_rows(CITY, 2025, register)}
    assert counted["report.register.销号", "all"] == 1 and counted["report.register.total", "all"] == 3
    assert counted["case.age_days", codes[0]] == 10  # closed after ten days
    assert counted["case.age_days", codes[2]] == 60  # open until the last day
    assert counted["report.register.closing_pct", "all/2025"] == pytest.approx(100 / 3)
    assert counted["report.register.median_age", "all/2025"] == 60
    assert counted["case.register_mu", codes[0]] == pytest.approx(3.75)
    assert register_rows(CITY, 2025, None) == []
