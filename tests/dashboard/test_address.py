from __future__ import annotations

import pytest

from workbench.core.errors import ParameterError
from workbench.dashboard.address import Address, read_address

HERE = Address("demo", 2025)
OFFERED = {"demo": [2024, 2025], "示范": [2019]}


def test_an_empty_address_is_the_default() -> None:
    assert read_address("", HERE, OFFERED) == HERE
    assert read_address("other=1", HERE, OFFERED) == HERE


def test_city_year_and_language_are_taken() -> None:
    assert read_address("year=2024&lang=en", HERE, OFFERED) == Address("demo", 2024, "en")
    assert read_address("city=%E7%A4%BA%E8%8C%83", HERE, OFFERED) == Address("示范", 2019)


@pytest.mark.parametrize(
    "query",
    [
        "city=../etc",
        "year=2023",
        "year=2025;1",
        "lang=fr",
        "year=2024&year=2025",
        "city=",
        "year=%EF%BC%92024",
    ],
)
def test_what_is_not_listed_is_refused(query: str) -> None:
    with pytest.raises(ParameterError):
        read_address(query, HERE, OFFERED)
