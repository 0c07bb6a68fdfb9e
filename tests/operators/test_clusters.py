"""Moran, ranks and settlements against PySAL's esda and libpysal, the powerlaw package's published fits, and closed forms."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from workbench.core.errors import CRSError, DataQualityError, ParameterError
from workbench.operators.clusters import (
    hill,
    local_moran,
    moran,
    neighbours,
    primacy,
    rank_size,
    settlements,
)
from workbench.operators.inequality import theil_parts

GK = "EPSG:4547"


def grid(rows: int, columns: int, cell: float = 100.0) -> gpd.GeoDataFrame:
    shapes = [
        shapely.box(j * cell, i * cell, (j + 1) * cell, (i + 1) * cell)
        for i in range(rows)
        for j in range(columns)
    ]
    return gpd.GeoDataFrame(geometry=shapes, crs=GK)


@pytest.fixture(scope="module")
def singapore(real_data: Path) -> gpd.GeoDataFrame:
    path = real_data / "city" / "singapore" / "singapore.gpkg"
    return gpd.read_file(path, layer="subzones_population_2018_2020").to_crs("EPSG:3414")


def test_neighbours_are_libpysals_queen(singapore: gpd.GeoDataFrame) -> None:
    from libpysal.graph import Graph

    found = neighbours(singapore, gap_m=0.0)
    queen = Graph.build_contiguity(singapore.geometry.make_valid(), rook=False).adjacency
    queen = queen[queen > 0].index
    theirs = {(int(a), int(b)) for a, b in queen}
    bridged = set(found.bridged.tolist())
    mine = {
        (int(a), int(b))
        for a, b in zip(found.left, found.right, strict=True)
        if a not in bridged and b not in bridged
    }
    assert len(bridged) > 0
    assert theirs - mine == set()  # what touches by a point that is no vertex of both may be added
    assert len(mine - theirs) <= 0.02 * len(theirs)


def test_moran_is_esdas(singapore: gpd.GeoDataFrame) -> None:
    from esda import Moran
    from libpysal.weights import W

    among = neighbours(singapore)
    near: dict[int, list[int]] = {k: [] for k in range(among.count)}
    for a, b in zip(among.left.tolist(), among.right.tolist(), strict=True):
        near[a].append(b)
    density = (singapore["pop_2020"] / singapore.area * 1e6).to_numpy()
    theirs = Moran(density, W(near, silence_warnings=True), transformation="r", permutations=999)
    mine = moran(density, among, permutations=999, seed=1)
    assert mine.statistic == pytest.approx(theirs.I, abs=1e-12)
    assert mine.expected == pytest.approx(theirs.EI, abs=1e-15)
    assert mine.p == theirs.p_sim == 0.001
    assert mine.z == pytest.approx(theirs.z_sim, rel=0.1)
    assert mine.islands == 5


@pytest.mark.slow
def test_local_moran_is_esdas_where_nothing_ties(singapore: gpd.GeoDataFrame) -> None:
    """esda's own statistic and quadrants; p-values of another random stream. Zones of equal value are left out of this
    test: esda's lone neighbours of nought come out at the least p-value although a third of all zones are nought.
    """
    from esda.moran import Moran_Local
    from libpysal.weights import W

    lived = singapore[singapore["pop_2020"] > 0].reset_index(drop=True)
    among = neighbours(lived)
    near: dict[int, list[int]] = {k: [] for k in range(among.count)}
    for a, b in zip(among.left.tolist(), among.right.tolist(), strict=True):
        near[a].append(b)
    rng = np.random.default_rng(2)
    density = (lived["pop_2020"] / lived.area * 1e6).to_numpy() + rng.uniform(0, 1, len(lived))
    theirs = Moran_Local(density, W(near, silence_warnings=True), permutations=999, seed=5, n_jobs=1)
    mine = local_moran(density, among, permutations=999, seed=5)
    assert np.abs(mine["statistic"] - theirs.Is).max() < 1e-10
    names = np.array(["", "HH", "LH", "LL", "HL"], dtype=object)[theirs.q]
    assert (mine["quadrant"] == names).all()
    assert np.abs(mine["p"] - theirs.p_sim).max() < 0.08
    assert np.corrcoef(mine["p"], theirs.p_sim)[0, 1] > 0.99


def test_ties_are_no_evidence() -> None:
    """A zone of nought with one neighbour of nought, where half of all zones are nought, is nothing special."""
    values = np.array([0.0] * 10 + list(range(1, 11)))
    row = grid(1, 20)
    found = local_moran(values, neighbours(row, gap_m=0), permutations=999, seed=0)
    assert found.loc[0, "p"] > 0.4


def test_checkerboard_and_gradient() -> None:
    board = (np.indices((8, 8)).sum(axis=0) % 2).ravel().astype(float)
    rook_like = neighbours(grid(8, 8), gap_m=0)
    assert moran(board, rook_like, seed=1).statistic < 0  # queen's corners are alike, sides are not
    slope = np.repeat(np.arange(8.0), 8)
    found = moran(slope, rook_like, seed=1)
    assert found.statistic > 0.7
    assert found.p == 0.001
    assert moran(slope, rook_like, seed=1) == found  # the same seed gives the same p-value
    flat = moran(np.ones(64), rook_like)
    assert np.isnan(flat.statistic)
    noise = local_moran(np.random.default_rng(0).normal(size=64), rook_like, seed=3)
    assert (noise["cluster"] != "").sum() <= 2  # a false discovery rate keeps chance out


def test_bad_values_and_zones() -> None:
    zones = grid(3, 3)
    with pytest.raises(ParameterError, match="one value a zone"):
        moran(np.ones(4), neighbours(zones))
    with pytest.raises(ParameterError, match="finite"):
        moran(np.r_[np.nan, np.ones(8)], neighbours(zones))
    with pytest.raises(ParameterError, match="too few zones"):
        moran(np.ones(4), neighbours(grid(2, 2)))
    with pytest.raises(CRSError):
        neighbours(zones.set_crs("EPSG:4326", allow_override=True))
    with pytest.raises(DataQualityError, match="without a shape"):
        neighbours(gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1), None], crs=GK))


def test_tail_is_the_powerlaw_packages(real_data: Path) -> None:
    """Customers hit by blackouts: alpha 2.3 from 230 (thousand) on, as published and as in the powerlaw package's tests."""
    folder = real_data / "city" / "powerlaw_reference"
    known = json.loads((folder / "KNOWN_RESULTS_fits.json").read_text())["blackouts"]
    sizes = np.loadtxt(folder / "blackouts.txt") * known["data_factor"]
    found = rank_size(sizes, samples=60, seed=1)
    assert found.least == pytest.approx(known["xmin"], rel=0.01)
    assert found.tail + 1 == pytest.approx(known["alpha"], abs=0.05)
    assert found.used == 59
    assert found.p > 0.5
    assert found.error == pytest.approx(found.exponent * np.sqrt(2 / 59))


def test_rank_size_verdicts() -> None:
    rng = np.random.default_rng(11)
    pareto = (1 - rng.random(400)) ** (-1 / 1.8)
    found = rank_size(pareto, least=1.0, samples=100, seed=1)
    assert found.exponent == pytest.approx(1.8, abs=2 * found.error)
    assert found.tail == pytest.approx(1.8, abs=0.2)
    assert found.verdict == "steeper"
    assert (
        rank_size(np.exp(rng.normal(0, 0.5, 400)), least=0.2, samples=100, seed=1).verdict == "not_power_law"
    )
    towns = 1000 / (np.arange(1, 61) - 0.5)
    king = np.r_[5e4, towns]
    assert rank_size(king, least=16.0, samples=50, seed=1).verdict == "primate"
    assert rank_size(towns, least=16.0, samples=50, seed=1).verdict == "zipf"
    assert rank_size(king, least=16.0, samples=50, seed=1).rest == pytest.approx(1.0, abs=0.05)
    assert rank_size(np.arange(1.0, 15.0)).verdict == "too_few"
    assert np.isnan(rank_size(np.arange(1.0, 15.0)).exponent)
    assert rank_size([0, 0, 5]).places == 1
    with pytest.raises(ParameterError, match="finite"):
        rank_size([1.0, -2.0])
    alpha, error, distance = hill(np.e ** np.arange(1.0, 4.0), 1.0)
    assert alpha == pytest.approx(1 + 3 / 6)  # logs 1, 2, 3
    assert error == pytest.approx(0.5 / np.sqrt(3))
    assert 0 < distance < 1


def test_primacy_by_hand() -> None:
    found = primacy([100, 50] + [10] * 9)
    assert found["share"] == pytest.approx(100 / 240 * 100)
    assert found["two"] == 2.0
    assert found["four"] == pytest.approx(100 / 70)
    assert found["eleven"] == pytest.approx(200 / 140)
    assert np.isnan(primacy([])["share"])


def test_settlements_by_hand() -> None:
    """Three dense cells in a diagonal, two beside each other farther off, one too thin between them."""
    xy = [(0, 0), (100, 100), (200, 200), (300, 300), (600, 0), (600, 100)]
    people = [20, 20, 20, 4, 50, 50]
    at = gpd.GeoSeries.from_xy(*zip(*xy, strict=True), crs=GK)
    found = settlements(at, people, cell_m=100, least_per_km2=1000)
    assert found.tolist() == [1, 1, 1, -1, 0, 0]
    assert (settlements(at, people, cell_m=100, least_per_km2=1e6) == -1).all()


def test_theil_between_planning_areas_is_inequalitys(singapore: gpd.GeoDataFrame) -> None:
    """Theil of residents by subzone, between and inside planning areas, as PySAL's ``inequality`` splits it."""
    from inequality.theil import TheilD

    lived = singapore[singapore["pop_2020"] > 0]
    theirs = TheilD(lived["pop_2020"].to_numpy(dtype=float), lived["pln_area_c"].to_numpy())
    mine = theil_parts(lived["pop_2020"].to_numpy(dtype=float), lived["pln_area_c"].to_numpy())
    assert mine.total == pytest.approx(float(np.ravel(theirs.T)[0]), abs=1e-12)
    assert mine.between == pytest.approx(float(np.ravel(theirs.bg)[0]), abs=1e-12)
    assert mine.within == pytest.approx(float(np.ravel(theirs.wg)[0]), abs=1e-12)
