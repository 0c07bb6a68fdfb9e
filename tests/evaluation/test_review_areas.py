"""Areas and unions of a review's pieces, and one review alone against the same one in a batch."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from tests.evaluation.review_city import X, Y, at, line, reviewer
from workbench.evaluation.review.areas import AreaBook, fused
from workbench.operators.area import area_m2


@pytest.mark.parametrize("east", [500_000.0, 560_000.0, 640_000.0])
@pytest.mark.parametrize("size", [5.0, 120.0, 490.0, 3_000.0])
def test_areas_by_local_scale_equal_those_of_every_vertex(east, size):
    rng = np.random.default_rng(3)
    centre = rng.uniform(-5_000, 5_000, (30, 2)) + np.array([east, 2_500_000.0])
    sites = shapely.buffer(shapely.points(centre), size, quad_segs=5)
    west = np.array([shapely.clip_by_rect(s, s.bounds[0], s.bounds[1], x, s.bounds[3])
                     for s, (x, _) in zip(sites, centre, strict=True)])  # fmt: skip
    nothing = np.full(30, None, dtype=object)
    book = AreaBook(sites, "EPSG:4547")
    whole, half, none = (book.add(some, np.arange(30)) for some in (sites, west, nothing))
    book.close()
    assert book[whole] == pytest.approx(area_m2(sites, "EPSG:4547"), rel=6e-9, abs=1e-6)
    assert book[half] == pytest.approx(area_m2(west, "EPSG:4547"), rel=6e-9, abs=1e-6)
    assert not book[none].any()


@pytest.mark.parametrize("owners", [3, 120])
def test_union_of_clusters_equals_the_union_of_all(owners):
    rng = np.random.default_rng(owners)
    owner = np.sort(rng.integers(0, owners, 4 * owners))
    pieces = shapely.buffer(shapely.points(rng.uniform(0, 60, (len(owner), 2))), 9.0, quad_segs=4)
    found = fused(pieces, owner, owners + 1)
    assert found[owners] is None
    for k in range(owners):
        wanted = shapely.union_all(pieces[owner == k])
        if wanted.is_empty:
            assert found[k] is None
        else:
            assert found[k].is_valid
            assert found[k].symmetric_difference(wanted).area < 1e-6


def test_fifty_proposals_alone_say_the_same_as_in_a_batch():
    rng = np.random.default_rng(11)
    centre = rng.uniform((0, 0), (1900, 950), (500, 2)) + np.array([X, Y])
    blobs = shapely.buffer(shapely.points(centre), rng.uniform(10, 45, 500), quad_segs=4)
    plan = reviewer(green_line=line(*blobs), flood_line=line(*blobs[:200]))
    shapes = [at(x, y, x + w, y + 70) for x, y, w in rng.uniform((0, 0, 30), (1950, 950, 180), (50, 3))]
    uses = [("0601", "0701", "05H1", "1003", "0101")[k % 5] for k in range(50)]
    names = [str(k) for k in range(50)]
    heads, items = plan.batch(gpd.GeoDataFrame({"name": names, "use": uses}, geometry=shapes, crs=4547))
    for name, use, shape in zip(names, uses, shapes, strict=True):
        alone = plan.review(shape, use=use, name=name)
        among = items[items["proposal"] == name].drop(columns="proposal").reset_index(drop=True)
        pd.testing.assert_frame_equal(pd.DataFrame(alone.items), pd.DataFrame(among), check_exact=True)
        assert alone.verdict == heads.set_index("name").loc[name, "verdict"]
