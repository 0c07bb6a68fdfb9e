"""Transmission of quotas through city, districts, units and plots: values given by hand, states worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evaluation.books import box, layer, write_city
from workbench.catalog.data import CityData
from workbench.core.errors import ParameterError
from workbench.evaluation.transmission import (
    COLUMNS,
    levels_needed,
    out_of_balance,
    transmission,
    value_rows,
)
from workbench.indicators.values import table, value_id

PARENTS = {"A": "books", "B": "books", "A1": "A", "A2": "A", "B1": "B", "B2": "B"}
LEVEL = {"books": "city", "A": "district", "B": "district"}


def values(
    rows: dict[str, float], *, indicator="TJ-A11", unit="1e4 mu", weights=None, reasons=None
) -> pd.DataFrame:
    """Rows of the value table by zone."""
    made = []
    for zone, value in rows.items():
        level = LEVEL.get(zone, "plot" if zone.startswith("P") else "unit")
        reason = (reasons or {}).get(zone, "" if value == value else "no_layer")
        made.append(
            {
                "value_id": value_id("books", indicator, level, zone, 2025), "indicator": indicator, "city": "books",
                "level": level, "zone": zone, "zone_name": zone, "year": 2025, "scenario": "observed", "edition": "latest",
                "value": value, "unit": unit, "decimals": 2, "tier": "statutory", "reason": reason, "sensitivity": "公开",
                "denominator_value": (weights or {}).get(zone, float("nan")),
            }
        )  # fmt: skip
    return table(made)


def quota(
    zone,
    value,
    *,
    rigid=True,
    tolerance=0.0,
    op=">=",
    indicator="TJ-A11",
    unit="1e4 mu",
    kind="assigned",
    to="",
):
    return (indicator, zone, 2025, value, kind, to, unit, op, rigid, tolerance)


def account(folder, rows, observed, **more):
    city = write_city(folder, quota_rows=rows)
    return transmission(city, observed, data=CityData(city, **more)).set_index("zone")


def test_kept_short_and_why(tmp_path, home):
    """A2 misses a rigid quota by 10 %; B2 a flexible one that its district makes good; B1 stays within its tolerance."""
    rows = [
        quota("city", 10.0), quota("A", 5.0), quota("B", 5.0), quota("A1", 2.0), quota("A2", 3.0),
        quota("B1", 2.0, rigid=False, tolerance=0.02), quota("B2", 3.0, rigid=False),
    ]  # fmt: skip
    have = {"books": 10.01, "A": 4.75, "B": 5.26, "A1": 2.05, "A2": 2.70, "B1": 1.97, "B2": 2.5}
    have["B"] = 5.0
    found = account(tmp_path, rows, values(have | {"B1": 1.97, "B2": 2.5}))
    assert found["state"].to_dict() == {
        "books": "kept", "A": "breached", "B": "kept", "A1": "kept", "A2": "breached", "B1": "within_tolerance",
        "B2": "compensated",
    }  # fmt: skip
    assert found.loc["A2", "difference"] == pytest.approx(-0.3)
    assert found.loc["A2", "reason"] == "breached_rigid" and "刚性" in found.loc["A2", "reason_zh"]
    assert found.loc["A", "reason_zh"].endswith("甲二")
    assert found.loc["B", "books"] == "not_added_up"  # 1.97 + 2.5 is not 5.0
    assert found.loc["A", "books"] == "agree"
    assert list(found.reset_index().columns) == ["zone", *[c for c in COLUMNS if c != "zone"]]
    assert not any(ch.isdigit() for text in found["reason_zh"] for ch in text)


def test_a_floor_not_passed_on_in_full_and_a_cap_passed_on_too_often(tmp_path, home):
    rows = [quota("city", 10.0), quota("A", 5.0), quota("B", 5.0), quota("A1", 2.0), quota("A2", 2.8)]
    have = {"books": 11.0, "A": 6.0, "B": 5.0, "A1": 3.0, "A2": 3.0}
    found = account(tmp_path / "floor", rows, values(have))
    assert found.loc["A", "books"] == "under_assigned" and found.loc["A", "parts_assigned"] == pytest.approx(
        4.8
    )
    assert found.loc["books", "books"] == "agree"
    assert list(out_of_balance(found.reset_index())["zone"]) == ["A"]
    caps = [quota("A", 5.0, op="<="), quota("A1", 2.0, op="<="), quota("A2", 3.5, op="<=")]
    found = account(tmp_path / "cap", caps, values({"A": 4.0, "A1": 1.0, "A2": 3.0}))
    assert found.loc["A", "books"] == "over_assigned" and found.loc["A", "state"] == "kept"
    assert found.loc["B", "state"] == "not_assigned"


def test_parts_that_were_assigned_nothing_are_named(tmp_path, home):
    found = account(tmp_path, [quota("A", 5.0), quota("A1", 5.0)], values({"A": 5.0, "A1": 5.0, "A2": 0.0}))
    assert found.loc["A", "books"] == "incomplete" and found.loc["A", "reason_zh"].endswith("甲二")
    assert found.loc["A2", "state"] == "not_assigned" and np.isnan(found.loc["A2", "assigned"])


def test_a_transfer_moves_the_quota_of_both_districts_and_of_nobody_above(tmp_path, home):
    rows = [
        quota("city", 10.0, op="<="), quota("A", 6.0, op="<="), quota("B", 4.0, op="<="),
        quota("A", 15.0, op="<=", kind="transfer", to="B", unit="km2"),
    ]  # fmt: skip
    found = account(tmp_path, rows, values({"books": 9.0, "A": 3.0, "B": 6.0}))
    moved = 15e6 / (10_000 / 15) / 1e4
    assert found.loc["A", "assigned"] == pytest.approx(6.0 - moved)
    assert found.loc["B", "assigned"] == pytest.approx(4.0 + moved)
    assert found.loc["books", ["assigned", "transferred"]].tolist() == [10.0, 0.0]
    assert found.loc["B", "state"] == "kept" and found.loc["books", "books"] == "agree"


def test_shares_are_weighted_with_their_denominators(tmp_path, home):
    """80 % of 100 people and 40 % of 300: half of all. B has no people: it has no value and does not count."""
    rows = [
        quota(z, v, indicator="TJ-F26", unit="%")
        for z, v in (("city", 50.0), ("A1", 80.0), ("A2", 40.0), ("A", 50.0))
    ]
    have = {"books": 50.0, "A": 50.0, "A1": 80.0, "A2": 40.0, "B": float("nan")}
    observed = values(
        have, indicator="TJ-F26", unit="%", weights={"A1": 100.0, "A2": 300.0, "A": 400.0, "books": 400.0, "B": 0.0},
        reasons={"B": "outside_scope"},
    )  # fmt: skip
    found = account(tmp_path, rows, observed)
    assert found.loc["A", ["parts_assigned", "parts_actual"]].tolist() == pytest.approx([50.0, 50.0])
    assert found.loc["A", "books"] == "agree" and set(found["state"]) == {"kept", "not_assigned"}


def test_a_district_without_residents_is_no_data_and_not_a_breach(tmp_path, home):
    rows = [quota(z, 12.0, indicator="TJ-F25", unit="m2/person") for z in ("city", "A", "B")]
    observed = values(
        {"books": 13.0, "A": 13.0, "B": float("nan")}, indicator="TJ-F25", unit="m2/person",
        weights={"A": 100.0, "B": 0.0}, reasons={"B": "zero_denominator"},
    )  # fmt: skip
    found = account(tmp_path, rows, observed)
    assert found.loc["B", "state"] == "no_data" and found.loc["books", "state"] == "kept"
    assert out_of_balance(found.reset_index()).empty


def test_where_all_weights_are_zero_nothing_is_rolled_up(tmp_path, home):
    rows = [quota(z, 12.0, indicator="TJ-F25", unit="m2/person") for z in ("A", "A1", "A2")]
    observed = values(
        {"A": 0.0, "A1": 0.0, "A2": 0.0},
        indicator="TJ-F25",
        unit="m2/person",
        weights={"A": 0.0, "A1": 0.0, "A2": 0.0},
    )
    found = account(tmp_path, rows, observed)
    assert np.isnan(found.loc["A", "parts_assigned"]) and found.loc["A", "books"] == "agree"


def test_a_target_in_the_wrong_unit_is_named(tmp_path, home):
    target = '[[targets]]\nindicator = "TJ-A11"\nyear = 2035\nvalue = 5.0\nop = ">="\nunit = "m2/person"\n'
    city = write_city(tmp_path, quota_rows=[quota("A", 1.0)], more=target)
    with pytest.raises(
        ParameterError, match=r"TJ-A11 books: the unit of a quota does not fit; found 'm2/person'"
    ):
        transmission(city, values({"books": 1.0}), data=CityData(city))


def test_targets_stand_in_for_the_city_where_no_quotas_are(tmp_path, home):
    target = '[[targets]]\nindicator = "TJ-A11"\nyear = 2035\nvalue = 30.0\nop = ">="\nunit = "km2"\n'
    city = write_city(tmp_path, more=target)
    city = city.model_copy(update={"layers": {k: v for k, v in city.layers.items() if k != "quotas"}})
    found = transmission(city, values({"books": 5.0}), data=CityData(city))
    assert found["zone"].tolist() == ["books"]
    assert found["assigned"].item() == pytest.approx(4.5) and found["state"].item() == "kept"
    assert levels_needed(city, CityData(city)) == {"TJ-A11": ("city",)}


def test_a_value_to_be_reached_later_is_not_due_but_a_limit_holds_at_once(tmp_path, home):
    """Forest cover is to rise by 2035; cropland must not fall below its floor in any year before."""
    rows = [("TJ-D01", "A", 2035, 30.0, "assigned", "", "%", ">=", True, 0.0),
            ("TJ-A11", "A", 2035, 5.0, "assigned", "", "1e4 mu", ">=", True, 0.0)]  # fmt: skip
    observed = pd.concat([values({"A": 20.0}, indicator="TJ-D01", unit="%"), values({"A": 4.0})])
    found = account(tmp_path, rows, observed).reset_index().set_index(["indicator", "zone"])["state"]
    assert found["TJ-D01", "A"] == "not_due" and found["TJ-A11", "A"] == "breached"


def test_down_to_the_plots(tmp_path, home):
    """市—片区—单元—地块: a level of plots below the units is an account like any other."""
    plots = '[levels.plot]\nrole = "plot_zones"\nparent = "unit"\n[layers.plot_zones]\npath = "plots.parquet"\nkind = "vector"\n'
    rows = [quota("A1", 2.0, op="<="), quota("P1", 1.0, op="<="), quota("P2", 0.5, op="<=")]
    write_city(tmp_path)
    layer([box(0, 1), box(1, 2)], code=["P1", "P2"], name=["地块1", "地块2"], unit=["A1", "A1"]).to_parquet(
        tmp_path / "source" / "plots.parquet"
    )
    city = write_city(tmp_path, quota_rows=rows, more=plots)
    data = CityData(city)
    assert levels_needed(city, data) == {"TJ-A11": ("city", "unit", "plot")}
    found = transmission(city, values({"A1": 1.6, "P1": 1.1, "P2": 0.5}), data=data).set_index("zone")
    assert found.loc["P1", ["level", "parent_zone", "state"]].tolist() == ["plot", "A1", "breached"]
    assert found.loc["A1", "parts_actual"] == pytest.approx(1.6) and found.loc["A1", "books"] == "agree"


def test_value_rows(tmp_path, home):
    city = write_city(tmp_path, quota_rows=[quota("A", 5.0)])
    found = transmission(city, values({"A": 4.0}), data=CityData(city))
    rows = table(value_rows(city, found)).set_index("indicator")
    assert rows.loc["report.assigned.TJ-A11", "value"] == 5.0
    assert rows.loc["report.quota_gap.TJ-A11", "value"] == -1.0


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.floats(0.0, 100.0, allow_nan=False), min_size=4, max_size=4),
    st.floats(0.0, 60.0, allow_nan=False),
)
def test_roll_up_of_amounts_equals_the_total(city_of_books, parts, moved):
    """Whatever the units have, their sums agree with districts and city; transfers change no total."""
    city, data = city_of_books
    have = dict(zip(["A1", "A2", "B1", "B2"], parts, strict=True))
    have |= {"A": parts[0] + parts[1], "B": parts[2] + parts[3], "books": sum(parts)}
    given_out = {zone: value * 0.9 for zone, value in have.items()}
    rows = [quota(zone, value) for zone, value in given_out.items()] + [
        quota("A1", moved, kind="transfer", to="B2")
    ]
    data.rows = rows
    found = transmission(city, values(have), data=data).set_index("zone")
    assert found["books"].isin(["agree", ""]).all()
    for zone in ("books", "A", "B"):
        assert found.loc[zone, "parts_actual"] == pytest.approx(have[zone])
        assert found.loc[zone, "parts_assigned"] == pytest.approx(found.loc[zone, "assigned"])
    assert found.loc["books", "assigned"] == pytest.approx(given_out["books"])
    assert found.loc["A", "assigned"] + found.loc["B", "assigned"] == pytest.approx(given_out["books"])


class _Drawn:
    """The city's zones with quotas that change from one example to the next."""

    def __init__(self, data):
        self.data, self.rows = data, []

    def zones(self, level):
        return self.data.zones(level)

    def table(self, role, year=None):
        from tests.evaluation.books import quotas

        return quotas(self.rows)


@pytest.fixture(scope="module")
def city_of_books(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        city = write_city(folder)
        yield city, _Drawn(CityData(city))
