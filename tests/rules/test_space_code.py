"""Space codes: the same place the same code, every slip of the pen found."""

import geopandas as gpd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import DataQualityError, ParameterError
from workbench.rules.space_code import KIND_CODES, check_digit, is_valid, read_code, space_code

places = st.tuples(st.floats(-179.9, 179.9), st.floats(-89.9, 89.9))


@given(
    place=places,
    kind=st.sampled_from(sorted(KIND_CODES)),
    year=st.integers(1990, 2050),
    serial=st.integers(0, 9),
)
def test_a_code_says_where_what_and_when(place, kind, year, serial):
    code = space_code(shapely.Point(place), "EPSG:4490", kind, year, serial=serial)
    assert is_valid(code) and len(code) == 24
    said = read_code(code)
    assert (said.kind, said.year, said.serial) == (kind, year, serial)
    assert abs(said.lon - place[0]) <= 1.1e-5 and abs(said.lat - place[1]) <= 1.1e-5
    assert code == space_code(shapely.Point(place), "EPSG:4490", kind, year, serial=serial)


@given(place=places, at=st.integers(0, 22), digit=st.integers(1, 9))
def test_every_wrong_digit_is_found(place, at, digit):
    code = space_code(shapely.Point(place), "EPSG:4490", "permanent_farmland", 2025)
    wrong = code[:at] + str((int(code[at]) + digit) % 10) + code[at + 1 :]
    assert not is_valid(wrong)
    with pytest.raises(DataQualityError, match="not a space code"):
        read_code(wrong)


@given(place=places, at=st.integers(0, 21))
def test_every_swap_of_neighbours_is_found(place, at):
    code = space_code(shapely.Point(place), "EPSG:4490", "permanent_farmland", 2025)
    swapped = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    assert swapped == code or not is_valid(swapped)


def test_the_check_digit_is_that_of_citizens_numbers():
    assert check_digit("11010519491231002") == "X"  # the worked example of GB 11643
    assert check_digit("0794") == "0"  # the worked example of ISO 7064 MOD 11-2


def test_the_projection_does_not_matter():
    here = shapely.Point(113.264415, 23.129115)
    moved = gpd.GeoSeries([here], crs="EPSG:4490").to_crs("EPSG:4526").iloc[0]
    assert space_code(moved, "EPSG:4526", "land_use", 2025) == space_code(here, "EPSG:4490", "land_use", 2025)


def test_faults_are_named():
    with pytest.raises(ParameterError, match="unknown kind"):
        space_code(shapely.Point(0, 0), "EPSG:4490", "moon", 2025)
    with pytest.raises(ParameterError, match="no room"):
        space_code(shapely.Point(0, 0), "EPSG:4490", "land_use", 2025, serial=10)
    with pytest.raises(DataQualityError, match="without geometry"):
        space_code(shapely.Polygon(), "EPSG:4490", "land_use", 2025)
    assert not is_valid("") and not is_valid("１" * 24)
