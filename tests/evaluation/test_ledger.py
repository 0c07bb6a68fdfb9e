"""The ledger of the development boundary: a city drawn by hand, bad quotas, and what must always hold."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evaluation.books import QUOTA_ROWS, box, layer, write_city
from workbench.catalog.data import CityData
from workbench.catalog.search import open_catalog
from workbench.core.errors import DataQualityError, LayerMissing, ParameterError
from workbench.evaluation import ledger as books
from workbench.evaluation.ledger import Ledger, balance, post, publish, quota_ledger, value_rows
from workbench.evaluation.quotas import Tree, read_quotas, zone_tree
from workbench.indicators.values import table


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        yield write_city(folder)


@pytest.fixture(scope="module")
def data(city):
    return CityData(city)


@pytest.fixture(scope="module")
def ledger(city, data):
    return quota_ledger(city, data, 2025)


def row(ledger, zone):
    return balance(ledger).set_index("zone").loc[zone]


def test_use_is_new_construction_land_inside_the_boundary(ledger):
    """One cell of A2 by 2024; one of A2 (works) and two of B1 (road, park) by 2025; B2's new cell lies outside."""
    uses = ledger.entries[ledger.entries["account"] == "land"]
    found = {(r.zone, r.plot, r.use, r.year): r.debit for r in uses.itertuples()}
    assert set(found) == {
        ("A2", "P02", "residential", 2024),
        ("A2", "P03", "industrial", 2025),
        ("B1", "P04", "transport", 2025),
        ("B1", "P14", "public", 2025),
    }
    assert list(found.values()) == pytest.approx([1.0] * 4, rel=1e-4)


def test_balances_of_districts_with_the_transfer(ledger):
    a, b, whole = row(ledger, "A"), row(ledger, "B"), row(ledger, "books")
    assert (a["granted"], a["transferred_out"], a["total"]) == pytest.approx((12.0, 3.0, 9.0))
    assert (b["granted"], b["transferred_in"], b["total"]) == pytest.approx((6.0, 3.0, 9.0))
    assert (a["used"], b["used"], whole["used"]) == pytest.approx((2.0, 2.0, 4.0), rel=1e-4)
    assert (whole["total"], whole["transferred_in"], whole["passed_on"]) == pytest.approx((20.0, 0.0, 18.0))
    assert whole["left"] == pytest.approx(16.0, rel=1e-4)
    assert a["used_year"] == pytest.approx(1.0, rel=1e-4)
    assert a["share"] == pytest.approx(2 / 9, rel=1e-4)
    assert (b["transport"], b["public"], b["residential"]) == pytest.approx((1.0, 1.0, 0.0), rel=1e-4)


def test_states_say_who_is_out_of_balance(ledger):
    states = balance(ledger).set_index("zone")["state"]
    assert states["A2"] == "overdrawn"  # 2 ha used of 1.5
    assert states["A"] == "over_assigned"  # 9.5 ha passed on, 9 left after the transfer
    assert states["B2"] == "no_quota" and math.isnan(row(ledger, "B2")["total"])
    assert set(states[["books", "B", "A1", "B1"]]) == {"kept"}


def test_every_transfer_has_two_entries_that_cancel(ledger):
    moved = ledger.entries[ledger.entries["kind"] == "transfer"]
    assert len(moved) == 2 and moved["transaction"].nunique() == 1
    assert moved["debit"].sum() == moved["credit"].sum() == 3.0
    assert moved["note"].tolist() == ["A → B", "A → B"]


def test_the_year_before_knows_neither_the_transfer_nor_the_later_use(city, data):
    before = quota_ledger(city, data, 2024)
    assert row(before, "A")["total"] == pytest.approx(12.0)
    assert row(before, "books")["used"] == pytest.approx(1.0, rel=1e-4)


def test_tampered_books_are_refused(ledger):
    entries = ledger.entries.copy()
    entries.loc[entries.index[0], "debit"] += 1
    with pytest.raises(DataQualityError, match="do not cancel"):
        balance(Ledger(ledger.city, ledger.year, entries, ledger.tree, ledger.basis))


def test_published_table_is_read_back_and_stands_in_the_catalogue(city, data, ledger):
    publish(city, ledger)
    again = CityData(city)
    read = again.table("quota_ledger", 2025)
    pd.testing.assert_frame_equal(read[books.BALANCE], ledger.balances, check_dtype=False)
    assert set(read["unit"]) == {"ha"} and again.years("quota_ledger") == [2025]
    assert again.source("quota_ledger", 2025).holder == "自然资源局"
    with pytest.raises(LayerMissing):
        again.table("quota_ledger", 2024)
    items = {item.id for item in open_catalog("books").search(collections=["quota_ledger"]).items()}
    assert items == {"quota_ledger-2025"}
    publish(city, quota_ledger(city, data, 2024))
    CityData(city, build=True)
    assert CityData(city).years("quota_ledger") == [2024, 2025]


def test_published_tables_survive_a_new_build(city, ledger):
    from workbench.catalog.build import build

    publish(city, ledger)
    build(city, force=True)
    assert CityData(city).table("quota_entries", 2025)["debit"].sum() == pytest.approx(
        ledger.entries["debit"].sum()
    )
    items = {item.id for item in open_catalog("books").search(collections=["quota_entries", "units"]).items()}
    assert {"quota_entries-2025", "units"} <= items


def test_value_rows_are_rows_of_the_value_table(city, ledger):
    rows = table(value_rows(city, ledger))
    left = rows[(rows["indicator"] == "report.quota_left") & (rows["zone"] == "B")]
    assert left["value"].item() == pytest.approx(7.0, rel=1e-4) and left["unit"].item() == "ha"
    none = rows[(rows["indicator"] == "report.quota_total") & (rows["zone"] == "B2")].iloc[0]
    assert math.isnan(none["value"]) and none["reason_zh"] == "没有分解到该分区的指标"


def test_without_quotas_the_boundary_itself_is_the_limit(tmp_path, home):
    """Twelve cells lie inside, two were built on in 2019: ten hectares; column 6 is B2's, half of it built on."""
    city = write_city(tmp_path, quota_rows=[r for r in QUOTA_ROWS if r[0] == "none"] or QUOTA_ROWS[:0])
    layers = {role: spec for role, spec in city.layers.items() if role != "quotas"}
    city = city.model_copy(update={"layers": layers})
    found = quota_ledger(city, CityData(city), 2025)
    assert found.basis == "boundary"
    totals = balance(found).set_index("zone")["total"]
    assert totals[["books", "A", "B", "A1", "A2", "B1", "B2"]].tolist() == pytest.approx(
        [10.0, 5.0, 5.0, 1.0, 4.0, 4.0, 1.0], rel=1e-4
    )


BAD = {
    "two quotas for one zone and year": [*QUOTA_ROWS, QUOTA_ROWS[1]],
    "a negative quota": [*QUOTA_ROWS, ("TJ-C03", "A", 2035, -1.0, "assigned", "", "km2", "<=", True, 0.0)],
    "a quota of a zone that does not exist": [
        ("TJ-C03", "Z", 2035, 1.0, "assigned", "", "km2", "<=", True, 0.0)
    ],
    "a quota for a year before the base year": [
        ("TJ-C03", "A", 2010, 1.0, "assigned", "", "km2", "<=", True, 0.0)
    ],
    "a share above 100 percent": [("TJ-D01", "A", 2035, 120.0, "assigned", "", "%", ">=", True, 0.0)],
    "a transfer to a zone that does not exist": [
        ("TJ-C03", "A", 2025, 1.0, "transfer", "", "km2", "<=", True, 0.0)
    ],
    "a transfer from a zone to itself": [("TJ-C03", "A", 2025, 1.0, "transfer", "A", "km2", "<=", True, 0.0)],
    "a tolerance that is no share": [("TJ-C03", "A", 2035, 1.0, "assigned", "", "km2", "<=", True, 5.0)],
}


@pytest.mark.parametrize("what", BAD)
def test_bad_quotas_are_refused_by_name(what, tmp_path, home):
    city = write_city(tmp_path, quota_rows=BAD[what])
    store = CityData(city)
    with pytest.raises(DataQualityError, match=what):
        read_quotas(city, store, zone_tree(city, store))


def test_a_quota_in_the_wrong_unit_is_refused(tmp_path, home):
    rows = [("boundary_increment", "A", 2035, 5.0, "assigned", "", "1e4 person", "<=", True, 0.0)]
    city = write_city(tmp_path, quota_rows=rows)
    with pytest.raises(
        ParameterError, match=r"boundary_increment A: the unit of a quota does not fit.*a unit like ha"
    ):
        quota_ledger(city, CityData(city), 2025)


def test_duplicated_zone_codes_are_refused(tmp_path, home):
    double = layer([box(0, 4), box(4, 8)], code=["A1", "A1"], name=["甲", "乙"], district=["A", "B"])
    city = write_city(tmp_path, units=double)
    with pytest.raises(DataQualityError, match="a code stands for several zones"):
        quota_ledger(city, CityData(city), 2025)


def test_zones_of_no_district_are_refused(tmp_path, home):
    lost = layer([box(0, 4), box(4, 8)], code=["A1", "B1"], name=["甲", "乙"], district=["A", "C"])
    city = write_city(tmp_path, units=lost)
    with pytest.raises(DataQualityError, match="zone above does not exist"):
        zone_tree(city, CityData(city))


def test_no_survey_of_the_base_year_is_no_ledger(tmp_path, home):
    city = write_city(tmp_path)
    later = city.model_copy(update={"city": city.city.model_copy(update={"base_year": 2025})})
    with pytest.raises(LayerMissing, match="land_use of 2025"):
        quota_ledger(later, CityData(later), 2025)


@st.composite
def accounts(draw):
    """A tree of three levels with random grants, transfers and uses."""
    districts = [f"D{k}" for k in range(draw(st.integers(1, 4)))]
    units = {d: [f"{d}U{k}" for k in range(draw(st.integers(0, 3)))] for d in districts}
    rows = [("city", "", "city")] + [(d, "city", "district") for d in districts]
    rows += [(u, d, "unit") for d, inside in units.items() for u in inside]
    zones = pd.DataFrame(rows, columns=["zone", "parent", "level"]).set_index("zone").assign(name="x")
    children: dict[str, list[str]] = {}
    for code, parent in zones["parent"].items():
        if parent:
            children.setdefault(parent, []).append(code)
    tree = Tree(zones, ("city", "district", "unit"), children)
    codes = list(zones.index)
    amount = st.floats(0, 1e4, allow_nan=False)
    grants = {code: (draw(amount), "plan") for code in codes if draw(st.booleans())}
    pairs = st.tuples(st.sampled_from(codes), st.sampled_from(codes), amount)
    moved = [(a, b, x) for a, b, x in draw(st.lists(pairs, max_size=6)) if a != b]
    transfers = pd.DataFrame(moved, columns=["zone", "counterpart", "value"]).assign(year=2025, source="")
    lowest = [code for code in codes if code not in children]
    built = draw(
        st.lists(st.tuples(st.sampled_from(lowest), amount, st.sampled_from(books.STRUCTURE)), max_size=8)
    )
    uses = pd.DataFrame(built, columns=["zone", "area_ha", "use"]).assign(plot="p", year=2025)
    return Ledger("city", 2025, post(tree, grants, transfers, uses, 2025), tree, "quotas"), grants, uses


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(accounts())
def test_books_always_balance(made):
    ledger, grants, uses = made
    entries = ledger.entries
    assert entries["debit"].sum() == pytest.approx(entries["credit"].sum())
    for _, pair in entries.groupby("transaction"):
        assert len(pair) == 2 and pair["debit"].sum() == pair["credit"].sum()
    held = entries["debit"] - entries["credit"]
    given_out = -held[entries["account"] == "plan"].sum()
    assert held[entries["account"] != "plan"].sum() == pytest.approx(given_out, abs=1e-6)
    found = balance(ledger).set_index("zone")
    assert found.loc["city", "used"] == pytest.approx(uses["area_ha"].sum(), abs=1e-6)
    assert (found.loc["city", "transferred_in"], found.loc["city", "transferred_out"]) == (0.0, 0.0)
    moved = entries.loc[entries["kind"] == "transfer", "debit"].sum()
    for code, inside in ledger.tree.children.items():
        parts = found.loc[inside]
        assert parts["used"].sum() == pytest.approx(found.loc[code, "used"], abs=1e-6)
        assert parts["transferred_in"].sum() <= moved + 1e-6
    structure = found[list(books.STRUCTURE)].sum(axis=1)
    assert structure.to_numpy() == pytest.approx(found["used"].to_numpy(), abs=1e-6)
    for code, (amount, _) in grants.items():
        line = found.loc[code]
        assert line["total"] == pytest.approx(
            amount + line["transferred_in"] - line["transferred_out"], abs=1e-6
        )
        assert line["left"] == pytest.approx(line["total"] - line["used"], abs=1e-6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.sampled_from(["0103", "0701", "0601"]), min_size=16, max_size=16), min_size=3, max_size=3
    )
)
def test_area_is_conserved_whatever_was_built_when(surveys):
    """Use by zone, plot and year adds up to the cells inside the boundary that are built on now and were not then."""
    from tests.evaluation.books import survey

    maps = [np.array(codes).reshape(2, 8) for codes in surveys]

    class Store:
        def zones(self, level):
            return layer([box(0, 4), box(4, 8)], code=["A", "B"], name=["甲", "乙"], parent=["c", "c"])

        def vector(self, role, year=None):
            if role == "development_boundary":
                return layer([box(1, 7)], line_id=["K"])
            return survey([" ".join(line) for line in maps[(2019, 2024, 2025).index(year)]])

        def years(self, role):
            return [2019, 2024, 2025]

    class Profile:
        base_year = 2019

    zones = pd.DataFrame({"parent": ["c", "c"], "level": "district", "name": "x"}, index=["A", "B"])
    open_land, uses = books.boundary_use(Profile(), Store(), Tree(zones, ("city", "district")), 2025)
    built = [grid != "0103" for grid in maps]
    grown = (built[2] & ~built[0])[:, 1:7]
    assert uses["area_ha"].sum() == pytest.approx(grown.sum(), rel=1e-4, abs=1e-9)
    assert sum(open_land.values()) == pytest.approx((~built[0])[:, 1:7].sum(), rel=1e-4, abs=1e-9)
    early = (built[2] & built[1] & ~built[0])[:, 1:7].sum()
    assert uses.loc[uses["year"] == 2024, "area_ha"].sum() == pytest.approx(early, rel=1e-4, abs=1e-9)
