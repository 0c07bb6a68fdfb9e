"""What a step gives is what was kept of it."""

import geopandas as gpd
import shapely

from workbench.core.cache import StepCache


def test_first_run_and_rerun_give_the_same_shapes(tmp_path):
    """A shape with a precision grid cuts otherwise than the same shape read back, so the first run must not keep it."""
    snapped = shapely.set_precision(shapely.Polygon([(0, 0), (10.3, 0.2), (3.1, 7.7)]), 0.5)
    other = shapely.Polygon([(1, 1), (9.13, 2.21), (4.4, 9.1)])

    def made() -> gpd.GeoDataFrame:
        return gpd.GeoDataFrame({"n": [1]}, geometry=[snapped], crs="EPSG:4547")

    cache = StepCache(tmp_path)
    first = cache.step("shapes", "00ff", made).geometry.iloc[0]
    again = cache.step("shapes", "00ff", made).geometry.iloc[0]
    assert snapped.intersection(other).area != again.intersection(other).area  # the case is a real one
    assert first.intersection(other).area == again.intersection(other).area
    assert shapely.get_precision(first) == shapely.get_precision(again) == 0


def test_step_is_made_once_and_made_again_when_asked(tmp_path):
    made = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"runs": len(made)}

    cache = StepCache(tmp_path)
    assert [cache.step("count", "00aa", make)["runs"] for _ in range(3)] == [1, 1, 1]
    assert cache.step("count", "00aa", make, use_cache=False) == {"runs": 2}
    assert cache.step("count", "00aa", make) == {"runs": 2}
