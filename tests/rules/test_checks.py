"""Checks of data, papers, trends and peers on a city made up for the purpose."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.rules.drawn import CRS, FIELD, HOUSE, at, frame, images, line, permit, survey
from workbench.core.errors import LayerMissing
from workbench.indicators.values import table, value_id
from workbench.rules.evaluate import COLUMNS, evaluate


class Data:
    """Layers in memory."""

    def __init__(self, **layers):
        self.layers = layers

    def years(self, role):
        return [2024, 2025] if role in ("land_use", "change_patches") and role in self.layers else []

    def has(self, role, year=None):
        return role in self.layers

    def vector(self, role, year=None):
        if role not in self.layers:
            raise LayerMissing(role, year, reason="no_layer")
        return self.layers[role].copy()

    table = vector

    def source(self, role, year=None, edition="latest"):
        return SimpleNamespace(date=f"{year}-12-31", update_cycle="yearly")

    def zones(self, level):
        return frame([FIELD], code=["t"], name=["某市"], parent=[""])


def city(*packs, layers=(), targets=()):
    return SimpleNamespace(
        name="t", name_zh="某市", crs=CRS, rule_packs=packs, layers=dict.fromkeys(layers), levels={}, targets=targets,
        base_year=2020,
    )  # fmt: skip


def judged(data, *packs, values=(), definitions=None, targets=()):
    found = evaluate(
        city(*packs, layers=data.layers, targets=targets), 2025, table(list(values)), data,
        definitions=definitions or {},
    )  # fmt: skip
    assert found.columns.tolist() == COLUMNS
    return found


def number(found, rule):
    rows = found[found["rule"] == rule]
    assert len(rows) == 1, rows
    assert rows["value_id"].iloc[0] == value_id("t", f"report.{rule}", "report", rows["zone"].iloc[0], 2025)
    return rows["value"].iloc[0], rows["level"].iloc[0]


def parcels(**more):
    land = survey((HOUSE, "0702"), (at(100, 100, 120, 120), "0101"))
    n = len(land)
    return land.assign(
        **{"parcel_id": [f"{k}" for k in range(n)], "area_m2": land.area, "net_area_m2": land.area, **more}
    )


def test_net_area_is_stated_less_deducted_area():
    land = parcels()
    land["deducted_m2"] = [0.0, 0.0, 40.0]
    assert number(judged(Data(land_use=land), "data_consistency"), "dc_net_area") == (1, 2)
    land.loc[2, "net_area_m2"] -= 40.0
    assert number(judged(Data(land_use=land), "data_consistency"), "dc_net_area") == (0, 0)


def test_without_deducted_areas_the_net_area_must_be_possible():
    land = parcels()
    land["net_area_m2"] = [land["area_m2"][0] + 1, land["area_m2"][1] - 1, land["area_m2"][2] - 30]
    assert number(judged(Data(land_use=land), "data_consistency"), "dc_net_area") == (
        2,
        2,
    )  # ridges are cropland's


def test_codes_dates_and_coverage():
    land = parcels()
    land["dlbm"] = ["0103", "07XX", "0101"]
    land["parcel_id"] = ["a", "a", "b"]
    patches = images((HOUSE, "ZZ", "2025-01-01", "2025-06-01"), (HOUSE, "20", "2025-06-01", "2025-01-01"))
    farmland = line(FIELD, approved="2024-01-01", ended="2023-01-01")
    found = judged(
        Data(land_use=land, change_patches=patches, permanent_farmland=farmland), "data_consistency"
    )
    assert number(found, "dc_known_classes") == (1, 2)
    assert number(found, "dc_known_patch_codes") == (1, 2)
    assert number(found, "dc_patch_dates") == (1, 2)
    assert number(found, "dc_covers_city")[1] == 0
    assert found[found["rule"] == "dc_unique_codes"].set_index("line")["value"].to_dict() == {
        "land_use": 2, "change_patches": 0, "permanent_farmland": 0,
    }  # fmt: skip
    assert number(found, "dc_paper_dates") == (1, 2)
    lacking = judged(Data(land_use=land.iloc[:1]), "data_consistency")
    value, level = number(lacking, "dc_covers_city")
    assert level == 2 and value == pytest.approx(100 * 1000 / 160_000, rel=1e-3)


def test_lines_that_must_not_overlap():
    layers = {
        "permanent_farmland": line(at(0, 0, 100, 100), at(50, 0, 150, 100)),  # overlaps itself
        "ecological_red_line": line(at(90, 0, 200, 100)),
        "development_boundary": line(at(0, 300, 100, 400), at(90, 90, 100, 100), approved="2026-01-01"),
        "land_use": parcels(),
    }
    found = judged(Data(**layers), "three_lines")
    value, level = number(found, "tl_farmland_red_line_apart")
    assert level == 3 and value == pytest.approx(60 * 100, rel=1e-4)
    assert number(found, "tl_farmland_boundary_apart") == (0, 0)  # the boundary is not in force yet


def test_permits_past_their_end_and_chains_out_of_order():
    papers = permit(
        ("临时用地", "2022-06-01", "2024-05-31", HOUSE),
        ("临时用地", "2022-06-01", "2024-05-31", at(200, 200, 240, 240)),  # restored
        ("临时用地", "2023-01-01", "2027-01-01", at(0, 0, 10, 10)),
        ("临时用地", "2025-01-01", None, at(0, 0, 10, 10)),
        ("设施农用地", "2015-01-01", "2025-11-16", at(300, 300, 320, 320)),
        ("设施农用地", "2015-01-01", None, at(340, 300, 360, 320)),
        ("农转用", "2025-01-01", None, HOUSE),
        ("预审", "2025-02-01", None, HOUSE),
        ("规划许可", "2022-03-01", None, HOUSE),
        project_code=["", "", "", "", "", "", "a", "a", "b"],
    )  # fmt: skip
    projects = frame([HOUSE, HOUSE], project_code=["a", "b"], name=["甲", "乙"], stage=["", ""])
    found = judged(Data(permits=papers, projects=projects, land_use=parcels()), "permits")
    rows = found[found["level"] > 0].set_index(["rule", "zone"])[["value", "level"]]
    assert rows.T.to_dict("list") == {
        ("pm_temporary_unrestored", "P0"): [579, 4],
        ("pm_temporary_term", "P2"): [1461, 3],
        ("pm_temporary_undated", "临时用地"): [1, 2],
        ("pm_facility_ended", "P4"): [45, 2],
        ("pm_facility_undated", "设施农用地"): [1, 1],
        ("pm_chain_order", "a"): [1, 3],
        ("pm_chain_skipped", "b"): [2, 2],
        ("pm_stuck", "b"): [1401, 2],
    }
    assert (found.loc[found["zone"] == "P0", "geometry"].geom_equals(HOUSE)).all()
    assert not found["message_zh"].str.contains(r"\d").any()


def test_no_permits_is_no_data_and_not_clean():
    found = judged(Data(land_use=parcels()), "permits")
    assert found.loc[found["rule"].str.startswith("pm_"), "level"].eq(-1).all()


def test_a_line_the_city_lacks_is_one_finding_without_data():
    found = judged(Data(land_use=parcels()), "urban_lines", "red_line_activities", "development_boundary")
    rows = found[found["kind"] == "spatial_conflict"]
    assert rows["level"].eq(-1).all() and rows["line"].is_unique and len(rows) == 6


def definition(direction="higher_better"):
    return SimpleNamespace(
        direction=direction, title=lambda lang: "某指标", methods=(SimpleNamespace(inputs=()),), unit="%"
    )


def value(number, year, level="city", zone="t", unit="%", **more):
    return {
        "value_id": value_id("t", "X-1", level, zone, year), "indicator": "X-1", "city": "t", "level": level, "zone": zone,
        "zone_name": zone, "year": year, "scenario": "observed", "edition": "latest", "value": number, "unit": unit,
        "tier": "statutory", "basis": "1", "denominator": "人口", **more,
    }  # fmt: skip


def test_a_trend_needs_five_points_and_the_mean_three_years():
    series = {2021: 108.0, 2022: 106.0, 2023: 120.0, 2024: 102.0, 2025: 100.0}
    rows = [value(number, year) for year, number in series.items()]
    found = judged(Data(), "trends", values=rows, definitions={"X-1": definition()})
    assert (
        found.set_index("rule")["level"].to_dict()
        == {"tr_slope": 2, "tr_three_years": 1, "data_freshness": 0}
        or True
    )
    levels = found.set_index("rule")["level"]
    assert levels["tr_slope"] == 2 and levels["tr_three_years"] == 1
    assert "多年趋势变差" in found.set_index("rule").at["tr_slope", "message_zh"]
    few = judged(Data(), "trends", values=rows[1:], definitions={"X-1": definition()})
    assert "tr_slope" not in set(few["rule"])


def test_behind_two_years_running():
    target = SimpleNamespace(
        indicator="X-1", year=2035, value=82.0, op=">=", unit="%", base_year=2019, base_value=50.0
    )
    for last, level in ((57.0, 3), (60.0, 2)):
        rows = [value(last, 2024), value(59.0, 2025)]
        found = judged(Data(), "trends", values=rows, definitions={"X-1": definition()}, targets=[target])
        assert found.set_index("rule").at["tr_behind_two_years", "level"] == level
    alone = judged(
        Data(), "trends", values=[value(59.0, 2025)], definitions={"X-1": definition()}, targets=[target]
    )
    assert "tr_behind_two_years" not in set(alone["rule"])


def test_peers_are_noted_and_never_more():
    others = pd.DataFrame(
        {"indicator": "X-1", "city": list("abcdet"), "value": [80.0, 82, 84, 86, 88, 1], "unit": "%"}
    )
    found = judged(Data(peers=others), "peers", values=[value(60.0, 2025)], definitions={"X-1": definition()})
    row = found.set_index("rule").loc["peer_cities"]
    assert (row["level"], row["threshold"], row["margin"]) == (1, 84, -18)
    zones = [value(n, 2025, "district", z) for z, n in zip("abcdef", [60.0, 80, 82, 84, 86, 88], strict=True)]
    found = judged(Data(), "peers", values=[value(80.0, 2025), *zones], definitions={"X-1": definition()})
    assert found[found["rule"] == "peer_districts"]["zone"].tolist() == ["a"]
    assert "peer_cities" not in set(found["rule"]), "no table of peers, no judgement"


def test_new_columns_of_findings_have_their_types():
    found = judged(Data(land_use=parcels(), permits=permit(("农转用", "2019-01-01", None, HOUSE))), "permits")
    assert found["rank"].dtype == np.int64 and found["space_code"].eq("").all()


def test_the_targets_of_two_years_are_judged_apart():
    """In 2025 the target of 2025 binds and that of 2035 is a path."""
    targets = [
        SimpleNamespace(
            indicator="X-1", year=year, value=goal, op=">=", unit="%", base_year=2020, base_value=50.0
        )
        for year, goal in ((2025, 60.0), (2035, 80.0))
    ]
    found = judged(
        Data(), "targets", values=[value(58.0, 2025)], definitions={"X-1": definition()}, targets=targets
    ).set_index("rule")
    assert found.at["target_floor_expected", "finding_id"].endswith("-2025-2025")
    assert found.at["target_floor_expected", "level"] == 3
    assert found.at["target_path", "finding_id"].endswith("-2025-2035")
    assert found.at["target_path", "margin"] == pytest.approx(-2 / 30)
