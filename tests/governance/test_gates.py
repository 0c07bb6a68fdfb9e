"""What a closed gate does: the layer is missing for this reason, and exactly what needs it has no value of it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from click.testing import CliRunner

from workbench.catalog import gates
from workbench.catalog.data import CityData
from workbench.cli import main
from workbench.core.city import City, load_city
from workbench.core.errors import LayerMissing, RunError
from workbench.core.paths import PACKAGE
from workbench.evaluation.checkup import indicators_of
from workbench.governance import QualityReport, check, load_packs
from workbench.indicators.compute import compute
from workbench.rules.evaluate import evaluate
from workbench.views.quality import QualityView

X, Y = 500_000.0, 2_567_000.0
PROFILE = """
[city]
name = "toy"
name_zh = "小城"
name_en = "Toy"
crs = "EPSG:4547"
base_year = 2024
years = [2024, 2025]
data = "source"
[levels.district]
role = "districts"
[layers.districts]
path = "districts.parquet"
kind = "vector"
[layers.land_use]
path = "land_use_{year}.parquet"
kind = "vector"
years = [2024, 2025]
[layers.parks]
path = "parks.parquet"
kind = "vector"
"""


def box(left: float, bottom: float, right: float, top: float) -> shapely.Polygon:
    return shapely.box(X + left, Y + bottom, X + right, Y + top)


def write(folder: Path, file: str, shapes: list[shapely.Polygon], **columns: list[object]) -> None:
    gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:4547").to_parquet(folder / f"{file}.parquet")


def survey(folder: Path, year: int, *, gap: float = 0.0) -> None:
    """Four parcels of 100 m; with a gap, the last begins later."""
    shapes = [box(0, 0, 100, 100), box(100, 0, 200, 100), box(200, 0, 300, 100), box(300 + gap, 0, 400, 100)]
    columns = {
        "parcel_id": list("1234"),
        "dlbm": ["0101", "0301", "0701", "0810"],
        "district": ["A", "A", "B", "B"],
    }
    write(folder, f"land_use_{year}", shapes, area_m2=[s.area for s in shapes], **columns)


@pytest.fixture
def toy(tmp_path: Path, home: Path) -> City:
    folder = tmp_path / "source"
    folder.mkdir()
    write(
        folder, "districts", [box(0, 0, 200, 100), box(200, 0, 400, 100)], code=["A", "B"], name=["甲", "乙"]
    )
    survey(folder, 2024)
    survey(folder, 2025, gap=3)
    write(folder, "parks", [box(300, 0, 400, 100)], park_id=["1"])
    path = tmp_path / "toy.toml"
    path.write_text(PROFILE, encoding="utf-8")
    return load_city(path, data_root=tmp_path)


def test_a_layer_behind_a_closed_gate_is_missing_until_it_is_put_right(toy: City) -> None:
    assert CityData(toy).has("land_use", 2025)
    report = check(toy)
    assert report.blocked == [("land_use", 2025)]
    assert report.findings["check"].tolist() == ["tp_gap"]
    assert report.findings["measured"].tolist() == pytest.approx([300.0], rel=1e-5)
    data = CityData(toy)
    assert data.why_missing("land_use", 2025) == "blocked_by_quality" and data.has("land_use", 2024)
    zh, en = data.why_words("land_use", 2025) or ("", "")
    assert zh == "未通过数据质检，停止使用：图形缝隙，1 处，涉及图层的 0.756%，超过 0.1% 的限度"
    assert en.startswith("blocked: it failed its quality check: Gaps: 1, 0.756 % of the layer")
    with pytest.raises(LayerMissing, match="blocked_by_quality"):
        data.vector("land_use", 2025)
    assert data.years("land_use") == [2024, 2025], "the year is not replaced by another"
    assert data.has("parks") and len(data.zones("district")) == 2
    assert len(CityData(toy, gated=False).vector("land_use", 2025)) == 4
    before = data.inputs_hash(["land_use"], 2025)
    survey(Path(toy.root), 2025)  # delivered again: what was found in the old file closes no gate
    again = CityData(toy)
    assert again.has("land_use", 2025) and again.inputs_hash(["land_use"], 2025) != before
    assert check(toy).blocked == []


def test_one_year_is_checked_and_what_is_known_of_the_others_stays(toy: City) -> None:
    check(toy)
    only = check(toy, year=2024)
    assert set(only.gates["year"].dropna()) == {2024} and not only.blocked
    kept = QualityReport.read(toy)
    assert kept.blocked == [("land_use", 2025)] and len(kept.findings) == 1
    assert set(kept.gates["state"]) == {"passed", "blocked"}


def test_findings_come_from_the_cache_when_nothing_changed(
    toy: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = check(toy)
    monkeypatch.setattr("workbench.governance.inspection._looked_at", lambda *_: pytest.fail("checked again"))
    second = check(toy)
    pd.testing.assert_frame_equal(pd.DataFrame(first.findings), pd.DataFrame(second.findings))
    pd.testing.assert_frame_equal(first.gates, second.gates)


def test_a_city_not_checked_says_so_and_has_no_gate(toy: City) -> None:
    with pytest.raises(RunError, match="quality check"):
        QualityReport.read(toy)
    assert CityData(toy).has("land_use", 2025)


def test_a_blocked_district_layer_stops_the_evaluation(toy: City) -> None:
    write(
        Path(toy.root),
        "districts",
        [box(0, 0, 250, 100), box(200, 0, 400, 100)],
        code=["A", "B"],
        name=["甲", "乙"],
    )
    assert ("districts", None) in check(toy).blocked
    with pytest.raises(LayerMissing, match=r"districts.*blocked_by_quality"):
        CityData(toy).zones("district")
    assert QualityView(check(toy), 2025).zones["code"].tolist() == ["A", "B"], "the sheet still shows where"


def test_catchments_may_overlap_and_leave_ground_open(toy: City) -> None:
    shapes = [box(0, 0, 250, 100), box(200, 0, 380, 100)]
    write(Path(toy.root), "districts", shapes, code=["A", "B"], name=["甲", "乙"])
    text = toy.path.read_text("utf-8").replace('role = "districts"\n', 'role = "districts"\ntiles = false\n')
    toy.path.write_text(text, encoding="utf-8")
    found = check(load_city(toy.path, data_root=toy.root.parent)).findings
    told = found[found["role"] == "districts"]
    assert not told["check"].isin(["tp_overlap", "tp_gap"]).any()


def test_the_command_tells_by_its_exit_code_when_a_gate_is_closed(toy: City, tmp_path: Path) -> None:
    options = ["--city", str(toy.path), "--data-root", str(tmp_path)]
    result = CliRunner().invoke(main, ["quality", "check", *options])
    assert result.exit_code == 1, result.output
    assert "缝隙 300.0" in result.output and "1 blocked" in result.output
    result = CliRunner().invoke(main, ["quality", "check", *options, "--year", "2024"])
    assert result.exit_code == 0, result.output


# what depends on a layer, in the whole demo city


def needing(role: str, definitions: dict[str, dict[str, object]], used: dict[str, int]) -> set[str]:
    """Indicators whose method in use lists a role among its inputs, read from the files of definitions alone."""
    methods: Callable[[str], list[dict[str, list[str]]]] = lambda name: definitions[name]["methods"]  # type: ignore[assignment,return-value]  # noqa: E731
    return {name for name, at in used.items() if role in methods(name)[at]["inputs"]}


@pytest.fixture(scope="module")
def demo() -> tuple[City, list[str], pd.DataFrame]:
    city = load_city("demo")
    data, ids = CityData(city), indicators_of(city)
    return city, ids, compute(city, 2025, ids, levels=("city",), store=data)


@pytest.mark.parametrize(("role", "year"), [("parks", None), ("buildings", 2025), ("green_line", None)])
def test_a_blocked_layer_blocks_exactly_its_dependents(demo, role, year, monkeypatch):
    city, ids, before = demo
    key = CityData(city, gated=False).source_hash(role, year)
    closed = {(role, year): gates.Closed(key, "图层整体偏移", "displaced")}
    monkeypatch.setattr(gates, "closed", lambda _: closed)
    data = CityData(city)
    after = compute(city, 2025, ids, levels=("city",), store=data).set_index("indicator")
    was = before.set_index("indicator")
    definitions = {}
    for path in sorted((PACKAGE / "indicators" / "definitions").glob("*.toml")):
        definitions |= tomllib.loads(path.read_text("utf-8"))
    used = {
        name: int(row["basis"].partition(":")[0]) - 1
        for name, row in was.iterrows()
        if pd.notna(row["value"])
    }
    wanted = needing(role, definitions, used)
    assert wanted or role == "green_line"
    same = ["value", "tier", "basis", "reason", "inputs_hash"]
    others = [name for name in used if name not in wanted]
    pd.testing.assert_frame_equal(after.loc[others, same], was.loc[others, same])
    for name in wanted:
        row = after.loc[name]
        at = int(row["basis"].partition(":")[0]) - 1
        if pd.notna(row["value"]):  # another method, of another layer, stands in and says so
            assert (
                role not in definitions[name]["methods"][at]["inputs"]
                and row["basis"] != was.loc[name, "basis"]
            )
        else:
            assert row["reason"] == f"blocked_by_quality:{role}"
            assert "未通过数据质检，停止使用：图层整体偏移" in row["reason_zh"]
            assert "failed its quality check: displaced" in row["reason_en"]


def test_rules_on_a_blocked_line_say_why_and_the_others_stand(demo, monkeypatch):
    city, _, values = demo
    before = evaluate(city, 2025, values, CityData(city))
    key = CityData(city, gated=False).source_hash("green_line")
    monkeypatch.setattr(
        gates, "closed", lambda _: {("green_line", None): gates.Closed(key, "偏移", "displaced")}
    )
    after = evaluate(city, 2025, values, CityData(city))
    on_line = after[(after["line"] == "green_line") & (after["kind"] == "spatial_conflict")]
    assert on_line["level"].tolist() == [-1] and "停止使用：偏移" in on_line["message_zh"].item()
    rest, was = (f[f["line"] != "green_line"].sort_values("finding_id") for f in (after, before))
    spatial = was["kind"] == "spatial_conflict"
    assert set(rest["finding_id"]) == set(was["finding_id"])
    pd.testing.assert_series_equal(
        rest.loc[rest["kind"] == "spatial_conflict", "area_m2"].reset_index(drop=True),
        was.loc[spatial, "area_m2"].reset_index(drop=True),
    )


def test_packs_replaced_for_one_check(toy: City) -> None:
    only = {"attributes": load_packs()["attributes"]}
    report = check(toy, packs=only)
    assert report.blocked == [] and set(report.findings["pack"]) <= {"attributes"}
