"""How many points, shared out how, and which cells of a map of any size."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from workbench.core.errors import CRSError, DataQualityError, ParameterError
from workbench.operators import sampling
from workbench.operators.sampling import (
    allocate,
    check_drawn_from,
    check_not_trained,
    class_cells,
    draw,
    points_area,
    points_class,
    points_overall,
)  # fmt: skip

WEIGHTS = [0.020, 0.015, 0.320, 0.645]
USERS = [0.70, 0.60, 0.90, 0.95]


def test_the_published_plan() -> None:
    """Olofsson et al. 2014, section 5.1.1 and table 5: 641 points; equal 160 each; proportional 13, 10, 205, 413."""
    assert points_overall(WEIGHTS, USERS, 0.01) == 641
    assert allocate(640, WEIGHTS, "equal").tolist() == [160, 160, 160, 160]
    assert allocate(641, WEIGHTS, "proportional").tolist() == [13, 10, 205, 413]
    # 75 to each rare class, the rest by area; the paper's table has 165 and 325, which its rule does not give
    assert allocate(640, WEIGHTS, "olofsson", rare_points=75).tolist() == [75, 75, 162, 328]
    assert allocate(641, WEIGHTS, "neyman", users=USERS).tolist() == [23, 19, 243, 356]


def test_sizes_by_hand() -> None:
    assert points_class(0.9, 0.03) == 100  # 0.09 / 0.0009
    # two strata, Neyman: (0.5·0.5 + 0.5·0.3)² / 0.02² = 400
    assert points_area([0.5, 0.5], [0.5, 0.9], 0.02) == 400
    # proportional: (0.5·0.25 + 0.5·0.09) / 0.02² = 425
    assert points_area([0.5, 0.5], [0.5, 0.9], 0.02, kind="proportional") == 425
    with pytest.raises(ParameterError, match="positive"):
        points_class(0.9, 0)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        points_overall([1.0], [90], 0.01)


def test_shares_that_cannot_be_made() -> None:
    with pytest.raises(ParameterError, match="too few points"):
        allocate(100, WEIGHTS, "olofsson", rare_points=60)
    with pytest.raises(ParameterError, match="shares expected"):
        allocate(100, WEIGHTS, "neyman")
    with pytest.raises(ParameterError, match="unknown allocation"):
        allocate(100, WEIGHTS, "best")  # type: ignore[arg-type]
    assert allocate(3, [0.9, 0.1], "proportional").tolist() == [
        3,
        2,
    ]  # two at least, or there is no standard error


def a_map(
    path: Path, *, size: int = 300, crs: str = "EPSG:4547", dtype: str = "uint8", block: int = 64
) -> np.ndarray:
    """Classes 1 to 3 in patches, a strip of nodata at the left, written in tiles."""
    rng = np.random.default_rng(1)
    cells = np.kron(
        rng.choice([1, 2, 3], size=(size // 10, size // 10), p=[0.7, 0.27, 0.03]), np.ones((10, 10))
    )
    cells[:, :15] = 0
    cells = cells.astype(dtype)
    with rasterio.open(
        path, "w", driver="GTiff", height=size, width=size, count=1, dtype=dtype, crs=crs, nodata=0, tiled=True,
        blockxsize=block, blockysize=block, transform=from_origin(464_000, 2_577_000, 10, 10),
    ) as out:  # fmt: skip
        out.write(cells, 1)
    return cells


def test_points_lie_where_the_map_says(tmp_path: Path) -> None:
    cells = a_map(tmp_path / "map.tif")
    drawn = draw(tmp_path / "map.tif", {1: 60, 2: 40, 3: 20}, seed=5)
    points = drawn.points
    assert points["stratum"].value_counts().to_dict() == {1: 60, 2: 40, 3: 20}
    assert (cells[points["row"], points["column"]] == points["stratum"]).all()
    assert not points.duplicated(["row", "column"]).any()
    assert np.allclose(points["x"], 464_000 + 10 * points["column"] + 5)
    assert np.allclose(points["y"], 2_577_000 - 10 * points["row"] - 5)
    assert points["point_id"].is_unique and points.crs.to_epsg() == 4547
    assert drawn.cells == {name: int((cells == name).sum()) for name in (1, 2, 3)}
    assert drawn.areas[1] / drawn.cells[1] == pytest.approx(
        100, rel=0.002
    )  # the ellipsoid's, not the plane's
    assert points["stratum"].iloc[:30].nunique() == 3  # in random order: any first part is a sample
    check_drawn_from(points, tmp_path / "map.tif")


def test_the_draw_does_not_hang_on_how_the_map_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_map(tmp_path / "one.tif", block=64)
    a_map(tmp_path / "other.tif", block=16)
    whole = draw(tmp_path / "one.tif", {1: 30, 3: 10}, seed=9).points
    monkeypatch.setattr(sampling, "STRIP_CELLS", 300 * 16)
    strips = draw(tmp_path / "other.tif", {1: 30, 3: 10}, seed=9).points
    assert whole.drop(columns="geometry").equals(strips.drop(columns="geometry"))
    assert not whole["row"].equals(draw(tmp_path / "one.tif", {1: 30, 3: 10}, seed=10).points["row"])


def test_every_cell_is_as_likely(tmp_path: Path) -> None:
    """A class of 900 cells drawn 60 times, 150 points each: every tenth of it is hit as often (chi-square, 9 degrees)."""
    cells = np.full((60, 60), 2, dtype="uint8")
    cells[15:45, 15:45] = 1
    with rasterio.open(
        tmp_path / "map.tif", "w", driver="GTiff", height=60, width=60, count=1, dtype="uint8", crs="EPSG:4547",
        transform=from_origin(464_000, 2_577_000, 10, 10), nodata=0,
    ) as out:  # fmt: skip
        out.write(cells, 1)
    rank = np.cumsum(cells.ravel() == 1).reshape(cells.shape) - 1
    hits = np.zeros(10)
    for seed in range(60):
        points = draw(tmp_path / "map.tif", {1: 150}, seed=seed).points
        hits += np.bincount(rank[points["row"], points["column"]] // 90, minlength=10)
    assert ((hits - 900) ** 2 / 900).sum() < 27.9  # 99.9 %


def test_least_distance(tmp_path: Path) -> None:
    a_map(tmp_path / "map.tif")
    points = draw(tmp_path / "map.tif", {1: 50, 2: 30}, seed=2, min_distance_m=120).points
    xy = points[["x", "y"]].to_numpy()
    apart = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
    assert apart[~np.eye(len(xy), dtype=bool)].min() >= 120
    assert points["stratum"].value_counts().to_dict() == {1: 50, 2: 30}
    with pytest.raises(ParameterError, match="leaves no room"):
        draw(tmp_path / "map.tif", {1: 50}, seed=2, min_distance_m=2000)


def test_never_where_it_was_trained(tmp_path: Path) -> None:
    cells = a_map(tmp_path / "map.tif")
    training = gpd.GeoDataFrame(
        geometry=[shapely.box(464_000, 2_575_500, 467_000, 2_577_000)], crs="EPSG:4547"
    )
    with pytest.raises(ParameterError, match="trained on"):
        check_not_trained(draw(tmp_path / "map.tif", {1: 40}, seed=1).points, training)
    drawn = draw(tmp_path / "map.tif", {1: 40, 2: 10}, seed=1, without=training)
    check_not_trained(drawn.points, training.to_crs(4490))
    assert (drawn.points["row"] >= 150).all()
    assert (
        drawn.cells[1]
        == int((cells[150:] == 1).sum())
        == class_cells(tmp_path / "map.tif", without=training)[0][1]
    )


def test_points_of_another_map_are_refused(tmp_path: Path) -> None:
    a_map(tmp_path / "map.tif")
    points = draw(tmp_path / "map.tif", {1: 40, 2: 10}, seed=1).points
    with pytest.raises(ParameterError, match="not drawn from this map"):
        check_drawn_from(points.assign(stratum=points["stratum"].to_numpy()[::-1]), tmp_path / "map.tif")


def test_maps_that_cannot_be_drawn_from(tmp_path: Path) -> None:
    a_map(tmp_path / "map.tif")
    with pytest.raises(ParameterError, match="too few cells"):
        draw(tmp_path / "map.tif", {7: 5}, seed=1)
    a_map(tmp_path / "degrees.tif", crs="EPSG:4490")
    with pytest.raises(CRSError, match="projected"):
        draw(tmp_path / "degrees.tif", {1: 5}, seed=1)
    a_map(tmp_path / "float.tif", dtype="float32")
    with pytest.raises(DataQualityError, match="whole-number"):
        draw(tmp_path / "float.tif", {1: 5}, seed=1)
