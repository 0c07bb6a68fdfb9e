"""A city's own edition of the indicator library: definitions changed or added in a file beside its profile, without code.

A profile names it (``[city] indicator_changes = "indicators.toml"``). A table of the file holds the fields of a definition
that differ, or a whole new definition::

    [TJ-F10]                            # 10 minutes instead of 15
    source = "市规划条例第十二条"
    [TJ-F10.methods.1.parameters]
    minutes = 10
    [TJ-F10.methods.1.example]
    value = 60.0

``definition`` (English) and ``definition_zh`` change together, so that no reader sees what was measured before.
``methods`` as numbered tables changes these methods; as a list it replaces all. A changed method is computed on its worked
example when the file is read, and refused when it gives another value: an edition proves itself. The definition's version
tells the edition, and stands in every value.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.core.errors import DefinitionError
from workbench.core.provenance import stable_hash
from workbench.indicators.examples import check_example
from workbench.indicators.indicator import Indicator
from workbench.indicators.library import (
    DEFINITIONS,
    in_order,
    load_library,
    load_set,
    parse_indicator,
    read_tables,
)


def changes_file(city: Any) -> Path | None:
    """File of a city's own edition; None when its profile names none."""
    name = getattr(getattr(city, "city", None), "indicator_changes", None)
    return None if name is None else Path(city.path).parent / name


def changes_text(city: Any) -> str:
    """Text of a city's own edition; empty when it has none.

    Raises
    ------
    DefinitionError
        The profile names a file that is not there.
    """
    path = changes_file(city)
    if path is None:
        return ""
    if not path.is_file():
        raise DefinitionError(
            "the profile's file of changed definitions does not exist",
            where=f"{Path(city.path).name}: city.indicator_changes",
            found=path.name,
            expected="a TOML file beside the profile",
        )
    return path.read_text("utf-8")


def city_library(city: Any) -> dict[str, Indicator]:
    """Indicator library as a city uses it: the package's own with the city's changes.

    Parameters
    ----------
    city : City
        Its profile may name a file of changes.

    Raises
    ------
    DefinitionError
        The file is absent or no TOML, a change contradicts the code, or a changed method fails its worked example.
    """
    text = changes_text(city)
    path = changes_file(city)
    return load_library() if path is None else dict(_merged(text, path.name))


def city_indicators(city: Any) -> list[str]:
    """Indicators of a city's set, and those its own edition adds to the library."""
    library, own = city_library(city), load_library()
    ids = load_set(city.indicator_set, library)
    return list(dict.fromkeys([*ids, *(id_ for id_ in library if id_ not in own)]))


@lru_cache(maxsize=8)
def _merged(text: str, name: str) -> dict[str, Indicator]:
    try:
        changes = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError("not valid TOML", where=name, found=str(error)) from error
    tables, library = read_tables(DEFINITIONS), load_library()
    for id_, change in changes.items():
        library[id_] = _changed(id_, tables.get(id_, ({}, ""))[0], change, name)
    return in_order(library)


def _changed(id_: str, entry: Mapping[str, Any], change: Any, file: str) -> Indicator:
    """One definition with its changes merged, checked, and computed on the examples of its changed methods."""
    where = f"{file} [{id_}]"
    if not isinstance(change, dict):
        raise DefinitionError("a change must be a table", where=where, found=change)
    if entry and ("definition" in change) != ("definition_zh" in change):
        raise DefinitionError(
            "what is measured changes in one language only",
            where=where,
            found="definition" if "definition" in change else "definition_zh",
            expected="definition and definition_zh",
        )
    merged = copy.deepcopy(dict(entry))
    for key, value in change.items():
        merged[key] = _methods(where, merged.get("methods", []), value) if key == "methods" else value
    if entry and "version" not in change:
        merged["version"] = f"{entry['version']}~{Path(file).stem}"
    found = parse_indicator(id_, merged, file, changed=stable_hash(change)[:10])
    for number, method in enumerate(merged["methods"]):
        if number < len(entry.get("methods", ())) and method == entry["methods"][number]:
            continue
        given, expected, same = check_example(found, number)
        if not same:
            raise DefinitionError(
                "the changed method does not give the value of its worked example",
                where=f"{where} method {number + 1}",
                found=given,
                expected=expected,
                hint="work the example out again and change its value",
            )
    return found


def _methods(where: str, methods: list[dict[str, Any]], change: Any) -> list[dict[str, Any]]:
    """Methods with the fields of numbered ones changed; a list replaces all."""
    if isinstance(change, list):
        return change
    if not isinstance(change, dict):
        raise DefinitionError("'methods' must be a list or numbered tables", where=where, found=change)
    for number, fields in change.items():
        if not number.isdigit() or not 1 <= int(number) <= len(methods) or not isinstance(fields, dict):
            raise DefinitionError(
                "no such method to change", where=where, found=number, expected=f"1 to {len(methods)}"
            )
        method = methods[int(number) - 1]
        for key, value in fields.items():
            old = method.get(key)
            both = isinstance(old, dict) and isinstance(value, dict) and "formula" not in fields
            method[key] = {**old, **value} if both and old is not None else value
    return methods
