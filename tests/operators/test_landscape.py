"""Landscape metrics against closed forms and hand counts; FRAGSTATS' definitions (McGarigal, Cushman and Ene 2012)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from workbench.core.errors import CRSError, GridMismatch, ParameterError
from workbench.operators.align import align
from workbench.operators.change import transition_matrix
from workbench.operators.landscape import class_metrics, landscape, landscape_metrics, most_adjacent


def raster(
    rows: object, *, cell: float = 100.0, left: float = 5e5, top: float = 2.5e6, crs: str = "EPSG:4547"
) -> xr.DataArray:
    values = np.asarray(rows)
    y = top - cell * (np.arange(values.shape[0]) + 0.5)
    x = left + cell * (np.arange(values.shape[1]) + 0.5)
    return xr.DataArray(values, {"y": y, "x": x}, ("y", "x"), attrs={"crs": crs})


def test_an_l_and_a_cell_at_its_corner() -> None:
    """Class 1: an L of three cells and a cell that touches it by a corner; class 2 the rest of 4 × 3 cells of 1 ha."""
    rows = [[1, 1, 2, 2], [1, 2, 2, 2], [2, 1, 2, 2]]
    eight, four = (landscape(raster(rows), neighbours=n) for n in (8, 4))
    assert eight.patches.loc[eight.patches["class"] == 1, ["cells", "perimeter_m"]].values.tolist() == [
        [4, 1200]
    ]
    assert four.patches.loc[four.patches["class"] == 1, ["cells", "perimeter_m"]].values.tolist() == [
        [3, 800],
        [1, 400],
    ]
    assert class_metrics(four).loc[1, "mean_patch_ha"] == 2.0
    assert class_metrics(four).loc[1, "weighted_patch_ha"] == 2.5
    assert class_metrics(four).loc[1, "patch_cv"] == 50.0


def test_corner_joins_under_eight_neighbours_only() -> None:
    rows = [[1, 2, 2], [2, 1, 2], [2, 2, 2]]
    eight, four = (class_metrics(landscape(raster(rows), neighbours=n)).loc[1] for n in (8, 4))
    assert (eight["patches"], four["patches"]) == (1, 2)
    assert eight["area_ha"] == four["area_ha"] == 2.0
    assert eight["pland"] == pytest.approx(200 / 9)
    assert eight["largest_patch"] == pytest.approx(200 / 9)
    assert four["largest_patch"] == pytest.approx(100 / 9)
    assert (
        eight["edge_m"] == 600.0
    )  # two sides of the first cell, four of the second; the map's border is none
    assert class_metrics(landscape(raster(rows)), count_boundary=True).loc[1, "edge_m"] == 800.0
    assert eight["patch_density"] == pytest.approx(1 / 9 * 100)  # per 100 ha of a map of 9 ha
    assert eight["edge_density"] == pytest.approx(600 / 9)
    assert four["mean_shape"] == 1.0
    assert eight["mean_shape"] == pytest.approx(0.25 * 800 / np.sqrt(20_000))
    assert eight["aggregation"] == 0.0  # no common side, of one that two cells may have
    assert eight["mesh_ha"] == pytest.approx(2.0**2 / 9)


def test_compact_square_and_checkerboard() -> None:
    square = landscape(raster(np.ones((5, 5), dtype=np.uint8)))
    metrics = class_metrics(square).loc[1]
    assert metrics["aggregation"] == 100.0
    assert metrics["mean_shape"] == 1.0
    assert metrics["edge_m"] == 0.0
    whole = landscape_metrics(square)
    assert whole["shape_index"] == pytest.approx(1.0)
    assert np.isnan(whole["contagion"])
    assert whole["shannon"] == 0.0

    board = landscape(raster(np.indices((6, 6)).sum(axis=0) % 2 + 1), neighbours=4)
    whole = landscape_metrics(board)
    assert whole["patches"] == 36
    assert whole["aggregation"] == 0.0
    assert whole["shannon"] == pytest.approx(np.log(2))
    assert whole["shannon_even"] == pytest.approx(1.0)
    assert whole["simpson"] == pytest.approx(0.5)
    # every side of a cell meets the other class: p ln p twice with p = 1/2 each over all classes
    assert whole["contagion"] == pytest.approx((1 + 2 * 0.5 * np.log(0.5) / (2 * np.log(2))) * 100)
    assert whole["cohesion"] == pytest.approx(0.0)  # patches of one cell


def test_cohesion_by_the_formula() -> None:
    """One square of 4 cells and one single cell of class 1 in 5 × 5 cells: p = 8 and 4, a = 4 and 1."""
    rows = np.full((5, 5), 2)
    rows[0:2, 0:2] = 1
    rows[4, 4] = 1
    expected = (1 - 12 / (8 * 2 + 4 * 1)) / (1 - 1 / 5) * 100
    assert class_metrics(landscape(raster(rows))).loc[1, "cohesion"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("cells", "most"), [(1, 0), (2, 1), (3, 2), (4, 4), (6, 7), (8, 10), (9, 12), (12, 17)]
)
def test_most_sides_in_common(cells: int, most: int) -> None:
    """The most compact clumps, counted by hand."""
    assert most_adjacent(cells) == most


def test_background_and_cells_that_are_no_squares() -> None:
    rows = np.array([[0, 1, 1], [0, 1, 2]], dtype=np.uint8)
    cover = raster(rows)
    wide = cover.assign_coords(x=5e5 + 200.0 * (np.arange(3) + 0.5))
    found = landscape(wide, nodata=0)
    assert found.cell_m == (200.0, 100.0)
    assert found.area_m2 == 4 * 20_000
    patch = found.patches.set_index("class").loc[1]
    # L of three cells 200 m wide and 100 m high: around it 2 × 400 + 2 × 200 m
    assert patch["perimeter_m"] == 1200.0
    assert class_metrics(found).loc[2, "edge_m"] == 200 + 100


def test_labels_agree_with_scipy_on_noise() -> None:
    rng = np.random.default_rng(3)
    rows = rng.integers(0, 4, (90, 70)).astype(np.uint8)
    for neighbours, structure in ((4, None), (8, np.ones((3, 3)))):
        found = landscape(raster(rows), neighbours=neighbours)
        count = 0
        for one in (1, 2, 3):
            labels, number = ndimage.label(rows == one, structure=structure)
            count += number
            mine = found.patches[found.patches["class"] == one]
            assert sorted(mine["cells"]) == sorted(np.bincount(labels.ravel())[1:])
        assert len(found.patches) == count
        assert (np.bincount(found.labels[found.labels >= 0]) == found.patches["cells"]).all()


def test_adjacencies_conserve_all_sides() -> None:
    rng = np.random.default_rng(4)
    rows = rng.integers(0, 4, (31, 17)).astype(np.int16)
    found = landscape(raster(rows))
    assert np.triu(found.like).sum() == 31 * 18 + 17 * 32  # every side of the grid once
    outline = found.patches["perimeter_m"].sum()
    between = np.triu(found.edges_m[1:, 1:], 1).sum()
    inside = landscape(raster(rows), neighbours=4).patches["perimeter_m"].sum()
    assert (
        inside == 2 * between + found.edges_m[0, 1:].sum()
    )  # patches of four neighbours: only sides between classes
    assert outline >= inside


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="integers"):
        landscape(raster(np.ones((3, 3)) * 0.5))
    with pytest.raises(ParameterError, match="no cell with a class"):
        landscape(raster(np.zeros((3, 3), dtype=int)))
    with pytest.raises(ParameterError, match="4 or 8"):
        landscape(raster(np.ones((3, 3), dtype=int)), neighbours=6)
    with pytest.raises(CRSError):
        landscape(raster(np.ones((3, 3), dtype=int), crs="EPSG:4326"))
    cover = raster(np.ones((3, 3), dtype=int))
    with pytest.raises(GridMismatch, match="differ in size"):
        landscape(cover.assign_coords(x=[0.0, 100.0, 250.0]))


def test_alignment_says_what_was_off() -> None:
    before = raster(np.arange(16).reshape(4, 4))
    after = raster(np.arange(16).reshape(4, 4), left=5e5 + 30)
    a, b, misfit = align(before, after)
    assert misfit.shift_m == pytest.approx(30.0)
    assert misfit.shift_cells == pytest.approx(0.3)
    assert (a.to_numpy() == b.to_numpy()).all()
    assert not misfit.same
    a, b, misfit = align(before, raster(np.arange(16).reshape(4, 4), left=5e5 + 80))
    assert misfit.lost == 4
    assert a.shape == (4, 3)
    assert (a.to_numpy() == b.to_numpy() + 1).all()  # 80 m: the next cell is the nearer one
    with pytest.raises(GridMismatch, match=r"up to 40\.0"):
        align(before, raster(np.arange(16).reshape(4, 4), left=5e5 + 40), most_shift=0.25)
    with pytest.raises(GridMismatch, match="differ in size too much"):
        align(before, raster(np.arange(16).reshape(4, 4), cell=105))
    with pytest.raises(GridMismatch, match="do not overlap"):
        align(before, raster(np.arange(16).reshape(4, 4), left=6e5))


@pytest.fixture(scope="module")
def lausanne(real_data: Path) -> tuple[xr.DataArray, xr.DataArray]:
    root = real_data / "city" / "lausanne_landcover"
    import rioxarray

    dates = []
    for name in ("ls100_06", "ls100_12"):
        with rioxarray.open_rasterio(root / f"{name}.tif") as source:
            dates.append(source.squeeze("band", drop=True).load().rename(name))
    return dates[0], dates[1]


def test_two_real_dates_do_not_align(lausanne: tuple[xr.DataArray, xr.DataArray]) -> None:
    """100.005 m and 99.992 m, origins 61 m and 144 m apart: refused as they are, laid on each other knowingly."""
    before, after = lausanne
    with pytest.raises(GridMismatch, match="differ along"):
        transition_matrix(before, after)
    with pytest.raises(GridMismatch, match="apart along"):
        align(before, after, most_shift=0.25)
    a, b, misfit = align(before, after)
    assert misfit.cell_before[0] == pytest.approx(100.00512, abs=1e-4)
    assert misfit.cell_after[0] == pytest.approx(99.99246, abs=1e-4)
    assert 0.4 < misfit.shift_cells < 0.5
    matrix = transition_matrix(a, b)
    assert matrix.to_numpy().sum() == pytest.approx(a.size * 100.00512**2 / 1e4, rel=1e-6)


def test_real_map_against_pylandstats(lausanne: tuple[xr.DataArray, xr.DataArray]) -> None:
    """Figures of pylandstats 3.1.0 on ls100_06 (benchmarks/check_landscape.py compares all of them)."""
    found = landscape(lausanne[0], nodata=255)
    whole = landscape_metrics(found)
    assert whole["patches"] == 364
    assert whole["area_ha"] == pytest.approx(77296.92, rel=1e-6)
    assert whole["edge_density"] == pytest.approx(23.05385, rel=1e-6)
    assert whole["largest_patch"] == pytest.approx(35.43454, rel=1e-6)
    assert whole["mesh_ha"] == pytest.approx(13305.83, rel=1e-6)
    assert whole["patch_cv"] == pytest.approx(785.2304, rel=1e-6)
    twelve = class_metrics(found).loc[12]
    assert twelve["patches"] == 36
    assert twelve["edge_m"] == pytest.approx(1_400_472, abs=1)
    assert twelve["mean_fractal"] == pytest.approx(1.074020, abs=1e-6)
    assert twelve["weighted_patch_ha"] == pytest.approx(21778.26, rel=1e-6)
