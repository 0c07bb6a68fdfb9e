"""Checks that what a city profile names in the libraries is there, before anything is built or computed."""

from __future__ import annotations

from workbench.core.city import City
from workbench.core.errors import ProfileError
from workbench.indicators.library import set_names
from workbench.reporting.book import books, suggestion
from workbench.rules.library import available_packs


def check_libraries(city: City) -> None:
    """Refuse a profile whose set of indicators, rule packs or report book do not exist.

    Raises
    ------
    ProfileError
        Names the file, the key, what stands there and what there is.
    """
    named = {
        "indicator_set": ([city.indicator_set], set_names()),
        "rule_packs": (list(city.rule_packs), available_packs()),
        "report_book": ([city.report_book], sorted(books())),
    }
    for key, (given, known) in named.items():
        absent = [one for one in given if one not in known and not one.endswith(".toml")]
        if absent:
            raise ProfileError(
                "no such "
                + {"indicator_set": "set of indicators", "rule_packs": "rule pack"}.get(key, "report book"),
                where=f"{city.path.name}: city.{key}",
                found=", ".join(absent),
                expected=f"one of {', '.join(known)}",
                hint=suggestion(absent[0], known),
            )
