"""Polygons of class maps against rasterio, a plain merging of small pieces, and what always holds."""

from __future__ import annotations

import numpy as np
import odc.geo.xr
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter, label

from workbench.core.errors import CRSError, ParameterError
from workbench.interpretation import polygons
from workbench.operators.area import area_m2

TRANSFORM = Affine(10, 0, 500_000, 0, -10, 2_500_000)


def grid_of(values, crs="EPSG:4547", transform=TRANSFORM):
    return odc.geo.xr.wrap_xr(np.asarray(values, dtype=np.uint8), GeoBox(np.shape(values), transform, crs))


def patchy(side, seed, classes=4, soft=2.0):
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.standard_normal((side, side)), soft) for _ in range(classes)]
    values = np.argmax(fields, axis=0).astype(np.uint8) + 1
    salt = rng.random((side, side)) < 0.03
    values[salt] = rng.integers(0, classes + 1, int(salt.sum()))
    return values


def plain_merge(values, least):
    """Join small pieces one at a time, everything looked for anew each time."""
    values = values.copy()
    while True:
        pieces = np.zeros(values.shape, dtype=int)
        for name in np.unique(values[values > 0]):
            labels, _ = label(values == name)
            pieces[labels > 0] = labels[labels > 0] + pieces.max()
        best = None
        for piece in range(1, pieces.max() + 1):
            cells = np.flatnonzero(pieces.ravel() == piece)
            name = int(values.ravel()[cells[0]])
            if len(cells) < least.get(name, 0) and _neighbours(pieces, piece):
                best = min(best or (len(cells), cells[0], piece), (len(cells), cells[0], piece))
        if best is None:
            return values
        sides = _neighbours(pieces, best[2])
        goes_to = max(
            sides,
            key=lambda one: (
                sides[one],
                int((pieces == one).sum()),
                -np.flatnonzero(pieces.ravel() == one)[0],
            ),
        )
        values[pieces == best[2]] = values[pieces == goes_to][0]


def _neighbours(pieces, piece):
    found = {}
    padded = np.pad(pieces, 1)
    for r, c in np.argwhere(padded == piece):
        for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            other = padded[r + dr, c + dc]
            if other not in (0, piece):
                found[other] = found.get(other, 0) + 1
    return found


def check_cover(frame, values, cell=100.0):
    """Polygons are valid, cover what has a class, do not overlap, and have the area of their cells."""
    assert shapely.is_valid(frame.geometry.to_numpy()).all()
    assert shapely.coverage_is_valid(frame.geometry.to_numpy())
    assert frame.geometry.area.to_numpy() == pytest.approx(frame["cells"].to_numpy() * cell, rel=1e-9)
    assert frame["cells"].sum() == (values > 0).sum()
    for name, cells in zip(*np.unique(values[values > 0], return_counts=True), strict=True):
        assert frame.loc[frame["class"] == name, "cells"].sum() == cells


maps = npst.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3))


@settings(max_examples=60)
@given(values=maps, strip=st.integers(1, 60), simplify=st.booleans())
def test_any_map_is_covered_without_gaps_or_overlaps(values, strip, simplify):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(polygons, "STRIP_CELLS", strip)
        frame = polygons.vectorize(grid_of(values), simplify=simplify)
    check_cover(frame, values)
    if not simplify:
        kept = rasterio.features.shapes(values, mask=values > 0, connectivity=4, transform=TRANSFORM)
        peer = [(shapely.geometry.shape(shape), int(value)) for shape, value in kept]
        assert len(frame) == len(peer)
        tree = shapely.STRtree([shape for shape, _ in peer])
        for shape, name in zip(frame.geometry, frame["class"], strict=True):
            at = [k for k in tree.query(shape.representative_point(), predicate="within")]
            assert len(at) == 1 and peer[at[0]][1] == name and shapely.equals(peer[at[0]][0], shape)


@pytest.mark.parametrize("seed", range(6))
def test_small_pieces_go_to_the_neighbour_of_the_longest_border(seed):
    values = patchy(28, seed)
    least = {1: 9, 2: 4, 3: 9, 4: 20}
    expected = plain_merge(values, least)
    frame = polygons.vectorize(
        grid_of(values), mmu={name: cells * 100.0 for name, cells in least.items()}, simplify=False
    )
    burnt = rasterio.features.rasterize(
        zip(frame.geometry, frame["class"], strict=True), out_shape=values.shape, transform=TRANSFORM
    )
    assert np.array_equal(burnt, expected)
    for name, cells in least.items():
        small = frame[(frame["class"] == name) & (frame["cells"] < cells)]
        assert all(
            not frame.geometry.drop(i).intersection(shape).length.gt(0).any()
            for i, shape in small.geometry.items()
        )


def test_a_hand_drawn_map():
    values = np.array([[1, 1, 1, 1, 2], [1, 3, 1, 1, 2], [1, 1, 1, 2, 2], [0, 1, 1, 2, 2]], dtype=np.uint8)
    frame = polygons.vectorize(grid_of(values), mmu=200.0, simplify=False)
    assert frame["class"].tolist() == [1, 2] and frame["cells"].tolist() == [13, 6]
    whole = polygons.vectorize(grid_of(values), simplify=False)
    assert whole["class"].tolist() == [1, 2, 3]
    assert len(whole.geometry[0].interiors) == 1


def test_straightening_keeps_areas_and_takes_the_stairs_away():
    rows, columns = np.mgrid[:60, :90]
    values = np.where(rows * 4 > columns + 21, 1, 2).astype(np.uint8)  # a straight border of slope 1 : 4
    stairs = polygons.vectorize(grid_of(values), simplify=False)
    straight = polygons.vectorize(grid_of(values))
    check_cover(straight, values)
    assert shapely.get_num_coordinates(stairs.geometry[1]) > 45
    assert shapely.get_num_coordinates(straight.geometry[1]) < 10
    assert shapely.hausdorff_distance(stairs.geometry[0], straight.geometry[0]) < 5.0  # half a cell
    frame = shapely.box(*stairs.total_bounds)
    assert shapely.union_all(straight.geometry).equals(frame)


@pytest.mark.parametrize("strip", [50, 400, 10_000])
def test_strips_meet_exactly(strip, monkeypatch):
    values = patchy(64, 9)
    whole = polygons.vectorize(grid_of(values), mmu=500.0)
    monkeypatch.setattr(polygons, "STRIP_CELLS", strip)
    parts = polygons.vectorize(grid_of(values), mmu=500.0)
    assert parts["class"].tolist() == whole["class"].tolist()
    assert parts["cells"].tolist() == whole["cells"].tolist()
    assert shapely.coverage_is_valid(parts.geometry.to_numpy())
    plain = [polygons.vectorize(grid_of(values), mmu=500.0, simplify=False)]
    monkeypatch.undo()
    plain.append(polygons.vectorize(grid_of(values), mmu=500.0, simplify=False))
    assert shapely.equals(plain[0].geometry.to_numpy(), plain[1].geometry.to_numpy()).all()


def test_a_file_gives_what_an_array_gives(tmp_path):
    values = patchy(50, 4)
    values[values == 4] = 9
    path = tmp_path / "classes.tif"
    profile = {"driver": "GTiff", "height": 50, "width": 50, "count": 1, "dtype": "uint8", "crs": "EPSG:4547",
               "transform": TRANSFORM, "nodata": 9}  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values, 1)
    found = polygons.vectorize(path)
    expected = polygons.vectorize(grid_of(np.where(values == 9, 0, values)))
    assert found["class"].tolist() == expected["class"].tolist()
    assert shapely.equals(found.geometry.to_numpy(), expected.geometry.to_numpy()).all()


def test_areas_are_those_of_the_ellipsoid():
    values = np.ones((30, 40), dtype=np.uint8)
    values[:, 20:] = 2
    far = Affine(
        10, 0, 640_000, 0, -10, 2_500_000
    )  # 140 km off the central meridian: the plane is 480 ppm too large
    frame = polygons.vectorize(grid_of(values, transform=far))
    assert frame["area_m2"].to_numpy() == pytest.approx(area_m2(frame.geometry, frame.crs), rel=1e-8)
    assert frame["area_m2"].iloc[0] < 60_000 * (1 - 4e-4)


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(ParameterError, match="smallest mapped unit"):
        polygons.vectorize(grid_of(np.ones((3, 3))), mmu=-1.0)
    with pytest.raises(ParameterError, match="integers"):
        polygons.vectorize(grid_of(np.ones((3, 3))).astype(float))
    with pytest.raises(CRSError, match="metres"):
        polygons.vectorize(
            grid_of(np.ones((3, 3)), crs="EPSG:4490", transform=Affine(1e-4, 0, 113, 0, -1e-4, 23))
        )


def test_a_map_without_classes_has_no_polygons():
    frame = polygons.vectorize(grid_of(np.zeros((5, 6))))
    assert len(frame) == 0 and list(frame.columns) == ["class", "cells", "area_m2", "geometry"]
