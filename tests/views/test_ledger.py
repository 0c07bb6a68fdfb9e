"""Tables and chart of the quota ledger: every number carries its value id, states and reasons stand beside."""

import re

import geopandas as gpd
import pandas as pd
import pytest

from tests.evaluation.books import write_city
from tests.evaluation.test_transmission import quota, values
from workbench.catalog.data import CityData
from workbench.evaluation.accounts import account_values
from workbench.evaluation.checkup import Checkup
from workbench.views import ledger


@pytest.fixture(scope="module")
def checkup(tmp_path_factory):
    folder = tmp_path_factory.mktemp("views-ledger")
    from tests.evaluation.books import QUOTA_ROWS

    rows = [
        *QUOTA_ROWS,
        quota("city", 9.0),
        quota("A", 5.0),
        quota("B", 4.0),
        quota("A1", 2.0),
        quota("A2", 2.5),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        city = write_city(folder, quota_rows=rows)
        data = CityData(city)
        have = values({"books": 9.5, "A": 4.5, "B": 5.0})
        units = values({"A1": 2.1, "A2": 2.4, "B1": 2.0, "B2": 3.0})
        asked = []

        def values_of(*wanted, **more):
            asked.append((wanted, more))
            return units

        more = account_values(city, data, 2025, have, values_of=values_of)
        assert asked and data.has("quotas")
        result = Checkup(city, 2025, pd.concat([have, more], ignore_index=True), gpd.GeoDataFrame())
        result.__dict__["data"] = data
        yield result


def numbers(html):
    return re.findall(r'data-v="(v\w+)"[^>]*>([^<]+)<', str(html))


def text(html):
    return re.sub(r"<[^>]+>", "", str(html))


def bare(html):
    """Digits outside of values and exempt marks."""
    rest = re.sub(r'<span class="(?:num|x)[^>]*>[^<]*</span>', "", str(html))
    return re.findall(r"\d", re.sub(r"<[^>]*>", "", rest))


def test_every_number_of_the_tables_is_a_row_of_the_value_table(checkup):
    known = checkup.values.set_index("value_id")["value"]
    tables = [
        ledger.quota_table(checkup, "zh"), ledger.structure_table(checkup, "en"), ledger.transfer_table(checkup, "zh"),
        ledger.transmission_table(checkup, "zh"), ledger.transmission_table(checkup, "en", everything=True),
    ]  # fmt: skip
    for html in tables:
        found = numbers(html)
        assert found and bare(html) == []
        for value_id, shown in found:
            if shown != "无数据":
                assert float(shown.replace(",", "")) == pytest.approx(known[value_id], abs=0.06)


def test_accounts_by_district_and_the_city_last(checkup):
    html = text(ledger.quota_table(checkup, "zh"))
    assert html.index("甲区") < html.index("乙区") < html.index("全市")
    assert "超分解" in html and "平衡" in html
    assert "突破" in text(ledger.quota_table(checkup, "zh", "unit"))
    bad = text(ledger.quota_table(checkup, "zh", only_bad=True))
    assert "甲区" in bad and "甲二" in bad and "乙" not in bad and "全市" not in bad


def test_structure_shows_only_uses_that_were_built(checkup):
    html = text(ledger.structure_table(checkup, "zh"))
    assert "工矿" in html and "住宅" in html and "特殊" not in html


def test_transfers_name_both_sides_and_the_paper(checkup):
    html = text(ledger.transfer_table(checkup, "zh"))
    assert "甲区 → 乙区" in html and "3.00" in html and "规划指标分解表" in html


def test_who_is_out_of_balance_and_why(checkup):
    html = text(ledger.transmission_table(checkup, "zh"))
    assert "耕地保有量" in html and "甲区" in html and "刚性" in html and "分解" in html
    assert "乙区" not in html
    assert "kept" in text(ledger.transmission_table(checkup, "en", everything=True))


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_bars_are_drawn(checkup, lang):
    figure = ledger.quota_bars(checkup, lang)
    assert figure.png.startswith(b"\x89PNG") and len(figure.png) > 5_000 and figure.alt
    assert ledger.quota_bars(checkup, lang).png == figure.png


def test_a_checkup_without_books_says_so(checkup):
    plain = Checkup(checkup.city, 2025, checkup.values.iloc[:0], gpd.GeoDataFrame())
    plain.__dict__["data"] = checkup.data
    assert "未建立台账" in text(ledger.quota_table(plain, "zh"))
    assert ledger.quota_bars(plain, "zh").png.startswith(b"\x89PNG")
    assert not ledger.has_ledger(plain) and not ledger.has_transmission(plain)
    assert ledger.has_ledger(checkup) and ledger.has_transmission(checkup)
