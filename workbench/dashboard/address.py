"""What the address bar may ask for, checked against lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qs

from workbench.core.errors import ParameterError
from workbench.views.text import LANGUAGES

KEYS = ("city", "year", "lang")


@dataclass(frozen=True)
class Address:
    """The parameters of a dashboard page."""

    city: str
    """Name of a profile, or the path the server was started with."""
    year: int
    """Year of the checkup."""
    lang: str = "zh"
    """Language of the page."""


def read_address(query: str, default: Address, offered: Mapping[str, Sequence[int]]) -> Address:
    """Parameters of a query string; what it does not name is the default.

    Parameters
    ----------
    query : str
        ``city=…&year=…&lang=…``, percent-encoded UTF-8. Other keys are not ours and have no effect.
    default : Address
        What the server was started with.
    offered : mapping of city to years
        The only cities and years that are answered.

    Raises
    ------
    ParameterError
        A key twice, or a value that is not on the lists; the words of the value are not repeated.

    Examples
    --------
    >>> read_address("year=2024", Address("demo", 2025), {"demo": [2024, 2025]})
    Address(city='demo', year=2024, lang='zh')
    """
    fields = parse_qs(query, keep_blank_values=True, max_num_fields=20)
    for key in KEYS:
        if len(fields.get(key, [])) > 1:
            raise ParameterError("given twice", where=key)
    found = default
    if "city" in fields:
        city = fields["city"][0]
        if city not in offered:
            raise ParameterError("not one of the cities served", where="city", expected=", ".join(offered))
        if city != default.city:
            found = replace(found, city=city, year=max(offered[city]))
    years = [str(year) for year in offered[found.city]]
    if "year" in fields:
        if fields["year"][0] not in years:
            raise ParameterError("not one of the years served", where="year", expected=", ".join(years))
        found = replace(found, year=int(fields["year"][0]))
    if "lang" in fields:
        if fields["lang"][0] not in LANGUAGES:
            raise ParameterError("not one of the languages", where="lang", expected=", ".join(LANGUAGES))
        found = replace(found, lang=fields["lang"][0])
    return found
