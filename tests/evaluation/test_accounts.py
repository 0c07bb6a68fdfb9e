"""The books in a checkup: rows of its value table, published, from the cache the second time; figures filled in make it stale."""

import pandas as pd
import pytest

from tests.evaluation.books import QUOTA_ROWS, write_city
from tests.evaluation.test_transmission import quota
from workbench.catalog import fill_ins
from workbench.catalog.data import CityData
from workbench.evaluation import ledger as books
from workbench.evaluation.checkup import checkup, input_hashes
from workbench.evaluation.transmission import out_of_balance, transmission
from workbench.indicators.values import check


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """Cropland: A1 keeps 3 of 4 ha, A2 2 of 4 ha; both were assigned 2.5 ha, their district 6 ha."""
    folder = tmp_path_factory.mktemp("accounts")
    farm = [quota("A", 6.0, unit="ha"), quota("A1", 2.5, unit="ha"), quota("A2", 2.5, unit="ha")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        yield write_city(folder, quota_rows=[*QUOTA_ROWS, *farm])


@pytest.fixture(scope="module")
def result(city):
    return checkup(city, 2025)


def test_balances_are_rows_of_the_value_table(result):
    check(result.values)
    assert result.values["value_id"].is_unique
    assert result.get("report.quota_left", "report", "A")["value"] == pytest.approx(7.0, rel=1e-4)
    assert result.get("report.quota_used", "report", "A2")["value"] == pytest.approx(2.0, rel=1e-4)
    assert result.get("report.quota_transfer", "report", "T000007")["zone_name"] == "甲区 → 乙区"


def test_units_are_computed_for_the_indicators_that_were_passed_on_and_no_other(result):
    rows = result.values[result.values["level"] == "unit"]
    assert set(rows["indicator"]) == {"TJ-A11"} and set(rows["year"]) == {2025}
    hectares = rows.set_index("zone")["value"] * 1e4 * (10_000 / 15) / 1e4
    assert hectares[["A1", "A2", "B1", "B2"]].tolist() == pytest.approx([3.0, 2.0, 2.0, 2.0], rel=1e-4)


def test_who_is_out_of_balance(result):
    found = transmission(result.city, result.values, data=result.data, year=2025)
    bad = out_of_balance(found).set_index("zone")
    assert bad["state"].to_dict() == {"A": "breached", "A2": "breached"}
    assert bad.loc["A", "books"] == "under_assigned" and bad.loc["A", "reason_zh"].endswith("甲二")
    row = result.get("report.quota_gap.TJ-A11", "report", "A2")
    assert row["value"] == pytest.approx(-0.5 * 15 / 1e4, rel=1e-3)


def test_the_ledger_is_published_and_the_second_checkup_computes_nothing(city, result, monkeypatch):
    assert CityData(city).table("quota_ledger", 2025)["left"].notna().any()

    def fail(*args, **kwargs):
        raise AssertionError("computed again")

    monkeypatch.setattr(books, "quota_ledger", fail)
    monkeypatch.setattr("workbench.evaluation.accounts.compute", fail)
    pd.testing.assert_frame_equal(checkup(city, 2025).values, result.values)


def test_a_figure_filled_in_makes_the_values_stale(city, result):
    bare = city.model_copy(update={"layers": {k: v for k, v in city.layers.items() if k != "statistics"}})
    before = input_hashes(CityData(bare), bare)
    row = {"item": "TJ-A26", "year": 2025, "zone": "city", "value": 9.0, "unit": "%", "edition": "fill_in",
           "department": "水务局", "source_file": "x.xlsx", "cell": "全市!F6", "note": ""}  # fmt: skip
    fill_ins.keep(city.name, 2025, pd.DataFrame([row]), departments=["水务局"])
    assert input_hashes(CityData(bare), bare) != before
    fill_ins.path_of(city.name, 2025).unlink()
    assert input_hashes(CityData(bare), bare) == before
