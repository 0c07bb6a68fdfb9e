"""The value table's schema, and the trace of one number."""

from __future__ import annotations

import json
import math

import pytest

from workbench.core.errors import ParameterError
from workbench.indicators import trace as tracing
from workbench.indicators.compute import Run, compute
from workbench.indicators.values import check, derived, table, value_id


def test_value_ids_are_stable_and_tell_editions_apart():
    first = value_id("demo", "TJ-A11", "city", "demo", 2025)
    assert first == value_id("demo", "TJ-A11", "city", "demo", 2025)
    assert len({first, value_id("demo", "TJ-A11", "city", "demo", 2025, edition="original")}) == 2
    assert first[0] == "v" and len(first) == 11


def test_rows_are_checked():
    row = derived("report.cases", 3, city="demo", year=2025, basis="findings")
    with pytest.raises(ParameterError, match="one id"):
        table([row, row])
    with pytest.raises(ParameterError, match="unknown columns"):
        table([{**row, "colour": "red"}])
    with pytest.raises(ParameterError, match="unknown tier"):
        table([{**row, "tier": "guess"}])
    with pytest.raises(ParameterError, match="without a reason"):
        table([{**row, "value": float("nan")}])
    with pytest.raises(ParameterError, match="needs a reason"):
        derived("report.cases", float("nan"), city="demo", year=2025)
    with pytest.raises(ParameterError, match="columns are missing"):
        check(table([row]).drop(columns="unit"))


@pytest.fixture
def saved(drawn, make_city, tmp_path, monkeypatch):
    city, store = make_city(), drawn()
    rows = derived("report.cases", 3, city="demo", year=2025, basis="findings of spatial conflict")
    values = compute(city, 2025, ["TJ-F05", "TJ-D07"], store=store)
    import pandas as pd

    pd.concat([values, table([rows])], ignore_index=True).to_parquet(tmp_path / "values.parquet")
    (tmp_path / "run.json").write_text(json.dumps({"city": "demo"}), "utf-8")
    monkeypatch.setattr(tracing, "open_run", lambda name, year, edition: Run(city, store, year, edition))
    return tmp_path


def test_a_trace_explains_and_recomputes(saved):
    wanted = value_id("demo", "TJ-F05", "city", "demo", 2025)
    found = tracing.trace(wanted, saved)
    assert found.equal is True and found.unchanged is True
    assert found.again == pytest.approx(100.0)
    assert {s.role for s in found.sources} == {"population", "rail_stations"}
    text = found.to_text()
    for part in (
        "轨道交通站点800米半径服务覆盖率",
        "轨道交通站点800米范围内",
        "within 800 m of a rail station",
        "TD/T 1063",
        "from-memory",
        "coverage.py:",
        "sha256",
        "equal",
    ):
        assert part in text


def test_a_changed_value_is_told(saved):
    import pandas as pd

    values = pd.read_parquet(saved / "values.parquet")
    values.loc[values["indicator"] == "TJ-F05", "value"] += 1
    values.to_parquet(saved / "values.parquet")
    found = tracing.trace(value_id("demo", "TJ-F05", "city", "demo", 2025), saved)
    assert found.equal is False
    assert "not equal" in found.to_text()


def test_a_missing_value_and_a_derived_one_are_traced_too(saved):
    missing = tracing.trace(value_id("demo", "TJ-D07", "city", "demo", 2025), saved)
    assert missing.equal is True and math.isnan(missing.again)
    assert "stale:gdp_1e8_cny:2017" in missing.to_text()
    counted = tracing.trace(value_id("demo", "report.cases", "report", "", 2025), saved)
    assert counted.equal is None
    assert "findings of spatial conflict" in counted.to_text()


def test_an_unknown_value_or_folder_is_an_error(saved, tmp_path):
    with pytest.raises(ParameterError, match="no such value"):
        tracing.trace("vnothing", saved)
    with pytest.raises(ParameterError, match="not the folder of a run"):
        tracing.trace("vnothing", tmp_path / "empty")
