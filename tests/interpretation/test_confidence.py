"""How sure a map is: the probability of the class shown, by hand, and what is read at points."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
from rasterio.transform import from_origin

from workbench.interpretation.confidence import probability_at, write_confidence


def test_the_most_probable_class_is_kept_and_what_was_not_seen_stays_so(tmp_path: Path) -> None:
    values = np.array([[[10, 200], [255, 125]], [[240, 50], [255, 125]]], dtype=np.uint8)
    path = tmp_path / "all.tif"
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 2, "height": 2, "width": 2, "nodata": 255, "crs": "EPSG:4547",
               "transform": from_origin(500_000, 2_500_000, 10, 10)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values)
    made = write_confidence(path, tmp_path / "sure.tif")
    with rasterio.open(made) as file:
        assert file.read(1).tolist() == [[240, 200], [255, 125]]
        assert (file.count, file.nodata, str(file.crs)) == (1, 255, "EPSG:4547")
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy([500_005, 500_005, 500_015], [2_499_995, 2_499_985, 2_499_985]), crs="EPSG:4547")  # fmt: skip
    np.testing.assert_allclose(probability_at(made, points), [0.96, np.nan, 0.5])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["all.tif", "sure.tif"]
