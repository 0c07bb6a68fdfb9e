import numpy as np
import pytest
import shapely

from workbench.samples import land_cover, parcels, points, roads, zones


def test_land_cover_has_hectare_cells_from_north_to_south():
    raster = land_cover([[1, 2, 3], [4, 5, 6]])
    assert raster.dtype == np.uint8
    assert raster.rio.crs.to_epsg() == 4547
    assert raster.rio.resolution() == (100.0, -100.0)
    assert float(raster.y[0]) > float(raster.y[1])
    assert int(raster.sel(x=500_250, y=2_566_850)) == 6


def test_rows_of_unequal_length_are_refused():
    with pytest.raises(ValueError):
        land_cover([[1, 2], [3]])


def test_parcels_tile_and_carry_both_codes():
    town = parcels([["0101", "0701/201"], ["", "1001"]], czcsxm={"1001": "202"}, net_share=0.9)
    assert town["czcsxm"].tolist() == ["", "201", "202"]
    assert town["net_area_m2"].tolist() == [9000.0] * 3
    assert shapely.union_all(town.geometry.to_numpy()).area == 30_000.0


def test_points_roads_and_zones_share_the_drawing():
    stop = points([(1.5, 0.5)], headway_min=[10])
    street = roads([[(0, 0.5), (3, 0.5)]], road_class="primary")
    zone = zones({"A": (1, 0, 2, 1), "B": (2, 0, 3, 1)})
    assert street.distance(stop.geometry[0])[0] == 0
    assert zone.contains(stop.geometry[0]).tolist() == [True, False]
