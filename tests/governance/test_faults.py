"""A faulty delivery of the demo city: everything planted is found where it is, nothing is invented.

Five seeds, those of the plant: the shipped one, three fixed ones and one drawn when the test runs, on the same built cities.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from tests.conftest import DRAWN, FIXED_SEEDS
from workbench.catalog.build import ensure_source
from workbench.core.city import City, load_city
from workbench.core.paths import home
from workbench.governance import QualityReport, check
from workbench.samples.faults import plant_faults

SHIPPED = FIXED_SEEDS[0]
SEEDS = [SHIPPED, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (*FIXED_SEEDS[1:], "drawn"))]
ROLES = (
    "districts", "units", "scopes", "land_use", "permanent_farmland", "green_line", "parks", "facilities", "statistics",
)  # fmt: skip
FAULTS = {
    "gap", "overlap", "sliver", "wrong_code", "map_table", "shifted_layer", "duplicate", "repeated_code",
    "missing_attribute",
}  # fmt: skip


@dataclass
class Delivered:
    """A sound and a faulty delivery of one city, checked."""

    seed: int
    truth: gpd.GeoDataFrame
    sound: QualityReport
    faulty: QualityReport


def profile(folder: Path, root: Path, name: str) -> City:
    """The demo's profile on another folder, with the layers that are spoiled and those they are held against."""
    text = load_city("demo").path.read_text(encoding="utf-8")
    text = text.replace('data = "demo"', f'data = "{root.name}"').replace('name = "demo"', f'name = "{name}"')
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    city = load_city(path, data_root=root.parent)
    layers = {role: city.layers[role] for role in ROLES}
    layers["land_use"] = layers["land_use"].model_copy(update={"years": (2025,), "editions": {}})
    return city.model_copy(update={"layers": layers})


@pytest.fixture(scope="module", params=SEEDS)
def delivered(request, demo_home, tmp_path_factory):
    seed = int(os.environ[DRAWN]) if request.param == "drawn" else request.param
    folder = tmp_path_factory.mktemp("delivery")
    if seed == SHIPPED:
        demo = load_city("demo")
        ensure_source(demo)
        source = Path(demo.root)
    else:
        source = demo_home(seed) / "city"
    truth = plant_faults(source, seed, out=folder / "faulty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder))
        assert home() == folder.resolve()
        sound = check(profile(folder, source, "sound"))
        yield Delivered(seed, truth, sound, check(profile(folder, folder / "faulty", "faulty")))


def matches(fault: pd.Series, findings: gpd.GeoDataFrame) -> pd.Index:
    """Findings that are a planted fault: of its check and layer, naming its feature or lying where it lies."""
    year = findings["year"].isna() if pd.isna(fault["year"]) else findings["year"].eq(fault["year"])
    rows = findings[(findings["check"] == fault["check"]) & (findings["role"] == fault["role"]) & year]
    if fault["feature"]:
        return rows.index[rows["feature"] == fault["feature"]]
    common = shapely.area(shapely.intersection(rows.geometry.to_numpy(), fault["geometry"]))
    return rows.index[common > 0.99 * fault["geometry"].area]


def test_the_sound_city_has_no_finding(delivered):
    assert delivered.sound.findings.empty, delivered.sound.findings["message_zh"].tolist()
    assert set(delivered.sound.gates["state"]) == {"passed"}


def test_all_planted_faults_are_found_and_none_is_invented(delivered):
    truth, findings = delivered.truth, delivered.faulty.findings
    assert set(truth["fault"]) == FAULTS and len(truth) >= 30
    told: list[int] = []
    for _, fault in truth.iterrows():
        what = (delivered.seed, fault["fault"], fault["check"], fault["feature"])
        found = matches(fault, findings)
        assert len(found) == 1, (*what, list(found))
        row = findings.loc[found[0]]
        if pd.notna(fault["measured"]):
            assert row["measured"] == pytest.approx(fault["measured"], rel=2e-3, abs=0.02), what
            assert row["unit"] == fault["unit"], what
        if fault["geometry"] is not None:
            assert row.geometry.intersects(fault["geometry"]), what
        told.append(found[0])
    invented = findings.drop(index=told)
    assert invented.empty, f"seed {delivered.seed}:\n{invented.drop(columns='geometry').to_string()}"


def test_gates_close_where_the_planted_shares_say_so(delivered):
    """A shifted layer is wrong in all its parts; every other fault concerns too little of its layer."""
    shifted = delivered.truth[delivered.truth["fault"] == "shifted_layer"]["role"].item()
    assert delivered.faulty.blocked == [(shifted, None)]
    spoiled = {(row.role, row.check) for row in delivered.truth.itertuples()}
    gates = delivered.faulty.gates
    open_ = gates[gates["state"] != "passed"]
    assert {(row.role, row.check) for row in open_.itertuples()} == spoiled
    assert (open_["reason_zh"].str.len() > 0).all()
