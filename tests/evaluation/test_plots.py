"""市—片区—单元—地块: the books down to the plots, from the layers to what the command prints; plots lie in some units only."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import box, layer
from tests.evaluation.drawn_city import write
from workbench.catalog.data import CityData
from workbench.cli import main
from workbench.evaluation.checkup import checkup
from workbench.evaluation.ledger import balance, check, quota_ledger
from workbench.evaluation.quotas import Tree, places
from workbench.evaluation.transmission import transmission


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        yield folder, write(folder)


@pytest.fixture(scope="module")
def result(place):
    return checkup(place[1], 2025)


def test_land_is_booked_where_it_lies_and_nothing_is_lost_where_no_plots_are(place):
    """P3 (western half of A2) built 1 ha by 2024, the rest of A2 1 ha in 2025; B1, without plots, 2 ha: as without plots, 4 in all."""
    _, city = place
    ledger = quota_ledger(city, CityData(city), 2025)
    check(ledger)
    found = balance(ledger).set_index("zone")
    used = found["used"].round(3).to_dict()
    assert used == {
        "drawn": 4.0, "A": 2.0, "B": 2.0, "A1": 0.0, "A2": 2.0, "B1": 2.0, "B2": 0.0, "P1": 0.0, "P2": 0.0, "P3": 1.0
    }  # fmt: skip
    land = ledger.entries[ledger.entries["account"] == "land"]
    assert {(r.zone, r.plot, r.year) for r in land.itertuples()} == {
        ("P3", "P02", 2024), ("A2", "P03", 2025), ("B1", "P04", 2025), ("B1", "P14", 2025)
    }  # fmt: skip
    assert found.loc["P3", ["level", "parent", "state"]].tolist() == ["plot", "A2", "overdrawn"]
    assert found.loc["P3", "left"] == pytest.approx(-0.5, rel=1e-3)
    assert found.loc["P2", ["total", "state"]].tolist() == [1.0, "kept"]
    assert found.loc["P1", "state"] == "no_quota"
    assert found.loc["A1", ["passed_on", "unassigned"]].tolist() == [1.0, 7.0]


def test_plots_have_values_and_accounts_in_the_checkup(result):
    rows = result.values[result.values["level"] == "plot"]
    assert set(rows["indicator"]) == {"TJ-A11"}
    hectares = rows.set_index("zone")["value"] * 1e4 * (10_000 / 15) / 1e4
    assert hectares.to_dict() == pytest.approx({"P1": 2.0, "P2": 1.0, "P3": 1.0}, rel=1e-4)
    left = result.get("report.quota_left", "report", "P3")
    assert left["value"] == pytest.approx(-0.5, rel=1e-3) and left["zone_name"] == "地块三"
    found = transmission(result.city, result.values, data=result.data, year=2025).set_index("zone")
    assert found.loc["P2", ["level", "parent_zone", "rigid", "state"]].tolist() == [
        "plot",
        "A1",
        False,
        "compensated",
    ]
    assert found.loc["P1", "state"] == "kept" and found.loc["A1", "state"] == "kept"
    gap = result.get("report.quota_gap.TJ-A11", "report", "P2")["value"]
    assert gap == pytest.approx(-0.5 * 15 / 1e4, rel=1e-3)


def test_the_command_prints_and_publishes_the_plots(place):
    folder, city = place
    call = lambda *more: CliRunner().invoke(  # noqa: E731
        main, ["ledger", "--city", str(city.path), "--data-root", str(folder), *more]
    )
    shown = call("--level", "plot")
    assert shown.exit_code == 0, shown.output
    lines = [line.split() for line in shown.output.splitlines()]
    by_zone = {line[0]: line[1:] for line in lines if line and line[0] in ("P1", "P2", "P3")}
    assert by_zone == {
        "P1": ["地块一", "-", "0.00", "0.00", "0.00", "-", "no_quota"],
        "P2": ["地块二", "1.00", "0.00", "0.00", "0.00", "1.00", "kept"],
        "P3": ["地块三", "0.50", "0.00", "0.00", "1.00", "-0.50", "overdrawn"],
    }
    assert lines[-1][0].endswith("quota_ledger-2025.parquet")
    whole = call()
    assert "两区市" in whole.output and "甲区" in whole.output and "地块" not in whole.output
    wrong = call("--level", "parcel")
    assert wrong.exit_code == 2 and "city, district, unit, plot" in wrong.output
    published = CityData(city).table("quota_ledger", 2025)
    assert published.loc[published["level"] == "plot", "zone"].tolist() == ["P1", "P2", "P3"]


class _Zones:
    """Districts and units with plots in some of them."""

    def __init__(self, plots: gpd.GeoDataFrame) -> None:
        self.frames = {
            "district": layer([box(0, 4), box(4, 8)], code=["A", "B"]),
            "unit": layer([box(0, 2), box(2, 4), box(4, 6)], code=["A1", "A2", "B1"]),
            "plot": plots,
        }

    def zones(self, level: str) -> gpd.GeoDataFrame:
        return self.frames[level]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 2, 4]), st.floats(0.05, 1.0), st.floats(1.0, 1.95)),
        max_size=3,
        unique_by=lambda x: x[0],
    )
)
def test_places_cover_the_city_once_whatever_plots_there_are(drawn):
    shapes = [box(west + start, west + end) for west, start, end in drawn]
    units = {0: "A1", 2: "A2", 4: "B1"}
    codes = [f"P{west}" for west, _, _ in drawn]
    parents = {
        **{"A": "c", "B": "c", "A1": "A", "A2": "A", "B1": "B"},
        **{f"P{west}": units[west] for west, _, _ in drawn},
    }
    children: dict[str, list[str]] = {}
    for code, parent in parents.items():
        children.setdefault(parent, []).append(code)
    plots = (
        layer(shapes, code=codes) if codes else gpd.GeoDataFrame({"code": []}, geometry=[], crs="EPSG:4547")
    )
    tree = Tree(pd.DataFrame({"parent": parents}), ("city", "district", "unit", "plot"), children)
    found = places(_Zones(plots), tree)
    assert found.area.sum() == pytest.approx(box(0, 8).area, abs=1e-3)
    assert shapely.union_all(found.geometry.to_numpy()).area == pytest.approx(box(0, 8).area, abs=1e-3)
    assert found.loc[found["zone"] == "B"].area.sum() == pytest.approx(
        box(6, 8).area, abs=1e-3
    )  # no unit there
    for code, shape in zip(codes, shapes, strict=True):
        assert found.loc[found["zone"] == code].area.sum() == pytest.approx(shape.area, abs=1e-3)
