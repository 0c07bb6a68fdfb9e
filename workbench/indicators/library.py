"""Loads the indicator library and checks it loudly: a definition that contradicts itself stops here."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.core.codes import groups
from workbench.core.errors import DefinitionError
from workbench.core.paths import PACKAGE
from workbench.core.units import UNITS
from workbench.indicators.indicator import (
    DIMENSIONS,
    DIRECTIONS,
    EXTRA_UNITS,
    SCOPES,
    TIERS,
    Formula,
    Indicator,
    Method,
    roles_read,
)

DEFINITIONS = PACKAGE / "indicators" / "definitions"
FORMER = PACKAGE / "indicators" / "former"
SETS = PACKAGE / "indicators" / "sets"
_TEXT = [
    "title_zh",
    "title_en",
    "dimension",
    "second_level",
    "unit",
    "kind",
    "scope",
    "direction",
    "denominator_zh",
    "denominator_en",
    "holder",
    "holder_en",
    "unlocks",
    "unlocks_en",
    "definition",
    "definition_zh",
    "calculation",
    "source",
    "confidence",
    "version",
]
_METHOD = {
    "tier",
    "formula",
    "inputs",
    "parameters",
    "example",
    "scope",
    "denominator_zh",
    "denominator_en",
    "note_zh",
    "note_en",
}
_CHOICES = {"dimension": DIMENSIONS, "direction": DIRECTIONS, "scope": SCOPES}


def _fail(where: str, what: str, **details: Any) -> DefinitionError:
    return DefinitionError(what, where=where, **details)


def _bind(where: str, name: Any) -> Formula:
    module_name, _, function_name = str(name).partition(".")
    try:
        module = importlib.import_module(f"workbench.indicators.formulas.{module_name}")
    except ModuleNotFoundError as error:
        raise _fail(where, "the formula's module does not exist", found=name) from error
    function = getattr(module, function_name, None)
    if function is None or not callable(function) or not hasattr(function, "__reads__"):
        raise _fail(
            where, "no such formula", found=name, expected=f"a function marked with @reads in {module_name}"
        )
    return function  # type: ignore[no-any-return]


def _check_parameters(where: str, function: Formula, parameters: Mapping[str, Any]) -> None:
    signature = list(inspect.signature(function).parameters.values())[2:]
    allowed = {p.name for p in signature}
    if unknown := sorted(set(parameters) - allowed):
        raise _fail(where, "unknown parameters of the formula", found=unknown, expected=sorted(allowed))
    needed = {p.name for p in signature if p.default is inspect.Parameter.empty}
    if missing := sorted(needed - set(parameters)):
        raise _fail(where, "parameters of the formula are not given", expected=missing)
    for name in sorted(name for name in parameters if name.endswith(("group", "groups"))):
        listed = [parameters[name]] if isinstance(parameters[name], str) else list(parameters[name])
        if absent := [one for one in listed if one not in groups().index]:
            raise _fail(
                where,
                f"no such group of land classes in '{name}'",
                found=absent,
                expected=", ".join(groups().index),
            )


def _method(where: str, entry: Any) -> Method:
    if not isinstance(entry, dict):
        raise _fail(where, "a method must be a table", found=entry)
    if unknown := sorted(set(entry) - _METHOD):
        raise _fail(where, "unknown keys", found=unknown, expected=sorted(_METHOD))
    if entry.get("tier") not in TIERS:
        raise _fail(where, "unknown tier", found=entry.get("tier"), expected=", ".join(TIERS))
    if entry.get("scope") not in (None, *SCOPES):
        raise _fail(where, "unknown scope", found=entry["scope"], expected=", ".join(SCOPES))
    function = _bind(where, entry.get("formula"))
    parameters = entry.get("parameters", {})
    _check_parameters(where, function, parameters)
    inputs, read = tuple(entry.get("inputs", ())), roles_read(function, parameters)
    if set(inputs) != read:
        raise _fail(
            where,
            "the inputs differ from what the formula reads",
            found=sorted(inputs),
            expected=sorted(read),
        )
    example = entry.get("example")
    if not isinstance(example, dict) or "value" not in example:
        raise _fail(
            where, "every method carries a worked example with a value", hint="add [example] with value = …"
        )
    return Method(
        tier=entry["tier"],
        formula=entry["formula"],
        inputs=inputs,
        parameters=parameters,
        example=example,
        scope=entry.get("scope"),
        denominator_zh=entry.get("denominator_zh"),
        denominator_en=entry.get("denominator_en"),
        note_zh=entry.get("note_zh", ""),
        note_en=entry.get("note_en", ""),
        function=function,
    )


def parse_indicator(id_: str, entry: Mapping[str, Any], file: str, *, changed: str = "") -> Indicator:
    """One definition, checked and bound to its formulas.

    Parameters
    ----------
    id_ : str
        Code of the indicator.
    entry : mapping
        Its table in the TOML file.
    file : str
        File name, for messages.
    changed : str
        Hash of what a city's own edition changed.

    Raises
    ------
    DefinitionError
        Anything missing, unknown, or different from the formula; names file and id.
    """
    where = f"{file} [{id_}]"
    if missing := sorted((set(_TEXT) | {"decimals", "methods"}) - set(entry)):
        raise _fail(where, "keys are missing", expected=missing)
    if unknown := sorted(set(entry) - set(_TEXT) - {"decimals", "methods", "levels"}):
        raise _fail(where, "unknown keys", found=unknown)
    levels = entry.get("levels", [])
    if not isinstance(levels, list) or not all(isinstance(one, str) and one for one in levels):
        raise _fail(where, "'levels' must be a list of zone levels", found=levels, expected='["city"]')
    for key in _TEXT:
        if not isinstance(entry[key], str):
            raise _fail(where, f"'{key}' must be text", found=entry[key])
    if not isinstance(entry["decimals"], int) or not 0 <= entry["decimals"] <= 6:
        raise _fail(where, "'decimals' must be a whole number from 0 to 6", found=entry["decimals"])
    if entry["unit"] not in UNITS and entry["unit"] not in EXTRA_UNITS:
        raise _fail(
            where, "unknown unit", found=entry["unit"], expected=", ".join([*UNITS, *sorted(EXTRA_UNITS)])
        )
    for key, allowed in _CHOICES.items():
        if entry[key] not in allowed:
            raise _fail(where, f"unknown {key}", found=entry[key], expected=", ".join(allowed))
    methods = entry["methods"]
    if not isinstance(methods, list) or not methods:
        raise _fail(where, "an indicator has at least one method")
    texts = {key: entry[key] for key in _TEXT}
    bound = tuple(_method(f"{where} method {number + 1}", method) for number, method in enumerate(methods))
    return Indicator(
        id=id_, decimals=entry["decimals"], methods=bound, file=file, changed=changed, levels=tuple(levels), **texts
    )  # fmt: skip


def read_tables(folder: Path) -> dict[str, tuple[dict[str, Any], str]]:
    """Tables of a folder of TOML files as written, in file order, each with its file's name.

    Raises
    ------
    DefinitionError
        A file is not TOML, or an id comes twice.
    """
    found: dict[str, tuple[dict[str, Any], str]] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            content = tomllib.loads(path.read_text("utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise DefinitionError("not valid TOML", where=path.name, found=str(error)) from error
        for id_, entry in content.items():
            if id_ in found:
                raise _fail(f"{path.name} [{id_}]", "the id is defined twice", found=found[id_][1])
            found[id_] = (entry, path.name)
    return found


def read_definitions(folder: Path) -> dict[str, Indicator]:
    """All definitions in a folder of TOML files, in file order.

    Raises
    ------
    DefinitionError
        A file is not TOML, an id comes twice, or a definition is wrong.
    """
    return {id_: parse_indicator(id_, entry, file) for id_, (entry, file) in read_tables(folder).items()}


@lru_cache(maxsize=1)
def _library() -> dict[str, Indicator]:
    return in_order(read_definitions(DEFINITIONS))


def in_order(definitions: Mapping[str, Indicator]) -> dict[str, Indicator]:
    """Definitions by dimension, in the order of the standard, then by id."""
    ordered = sorted(definitions.values(), key=lambda one: (DIMENSIONS.index(one.dimension), one.id))
    return {one.id: one for one in ordered}


def load_library() -> dict[str, Indicator]:
    """The indicator library by id, in the order of the standard's dimensions.

    Examples
    --------
    >>> load_library()["TJ-A11"].title_zh
    '耕地保有量'
    """
    return dict(_library())


@lru_cache(maxsize=1)
def _former() -> dict[str, Indicator]:
    return read_definitions(FORMER)


def load_former() -> dict[str, Indicator]:
    """Definitions that a later version has replaced, by id: to tell a revised definition from a real change.

    Pass ``{**load_library(), **load_former()}`` to ``compute`` to get values as they were defined before.

    Examples
    --------
    >>> load_former()["TJ-F26"].version, load_library()["TJ-F26"].version
    ('1', '2')
    """
    return dict(_former())


@dataclass(frozen=True)
class IndicatorSet:
    """A named list of indicators."""

    name: str
    """File name without suffix."""
    title_zh: str
    """Title in Chinese."""
    title_en: str
    """Title in English."""
    ids: tuple[str, ...]
    """Indicators in order."""
    extends: tuple[str, ...] = ()
    """Sets it is made from."""


_SET_KEYS = {"title_zh", "title_en", "ids", "extend", "add", "drop"}


def set_names() -> list[str]:
    """Names of the sets there are."""
    return sorted(path.stem for path in SETS.glob("*.toml"))


def _set_file(name: str) -> dict[str, Any]:
    path = SETS / f"{name}.toml"
    if not name.isidentifier() or not path.is_file():
        raise DefinitionError(
            "no such indicator set", where="sets", found=name, expected=", ".join(set_names())
        )
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError("not valid TOML", where=path.name, found=str(error)) from error
    if unknown := sorted(set(content) - _SET_KEYS):
        raise DefinitionError("unknown keys", where=path.name, found=unknown, expected=sorted(_SET_KEYS))
    return content


def read_set(
    name: str, library: Mapping[str, Indicator] | None = None, *, _above: tuple[str, ...] = ()
) -> IndicatorSet:
    """A named set: its own ``ids``, or another set (or several) with ids added and dropped.

    Parameters
    ----------
    name : str
        File in ``sets`` without suffix.
    library : mapping, optional
        Definitions the ids must be in; the package's own when not given.

    Raises
    ------
    DefinitionError
        No such set, a set that extends itself, an unknown key, an id the library does not have, one that comes twice, or
        one dropped that is not there.

    Examples
    --------
    >>> coastal = read_set("coastal")
    >>> len(coastal.ids), coastal.extends
    (124, ('checkup122',))
    """
    if name in _above:
        raise DefinitionError(
            "the set extends itself", where=f"{name}.toml", found=" > ".join([*_above, name])
        )
    content, file = _set_file(name), f"{name}.toml"
    extend = content.get("extend", [])
    extends = (extend,) if isinstance(extend, str) else tuple(extend)
    ids = [id_ for other in extends for id_ in read_set(other, library, _above=(*_above, name)).ids]
    dropped = list(content.get("drop", []))
    if absent := [id_ for id_ in dropped if id_ not in ids]:
        raise DefinitionError("the set drops indicators it does not have", where=file, found=absent)
    own = [*content.get("ids", []), *content.get("add", [])]
    ids = [id_ for id_ in dict.fromkeys(ids) if id_ not in dropped] + own
    known = _library() if library is None else library
    if unknown := [id_ for id_ in ids if id_ not in known]:
        raise DefinitionError(
            "the set names indicators that are not in the library", where=file, found=unknown
        )
    if twice := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        raise DefinitionError("the set names indicators twice", where=file, found=twice)
    titles = (str(content.get("title_zh", name)), str(content.get("title_en", name)))
    return IndicatorSet(name, *titles, tuple(ids), extends)


def load_set(name: str, library: Mapping[str, Indicator] | None = None) -> list[str]:
    """Ids of a named set of indicators; see :func:`read_set`.

    Examples
    --------
    >>> len(load_set("basic33"))
    33
    """
    return list(read_set(name, library).ids)
