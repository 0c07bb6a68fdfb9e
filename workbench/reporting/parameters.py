"""Names and types of a notebook's parameters, and the check of what it is given.

Papermill accepts an unknown name with one log line and turns what it does not know into text; both are
refused here before anything runs.
"""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import ParameterError
from workbench.reporting.book import suggestion

TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}
"""Annotations a parameters cell may use, with the Python types accepted for each."""


@dataclass(frozen=True)
class Parameter:
    """One assignment of a notebook's parameters cell."""

    name: str
    """Name of the variable."""
    type: str
    """A key of ``TYPES``, or "" when the cell does not say."""
    default: str
    """The right-hand side, as written."""
    help: str
    """The comment behind it."""


def notebook_parameters(path: Path) -> dict[str, Parameter]:
    """Parameters of a notebook, from its cell tagged ``parameters``; empty without such a cell."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    found = papermill.inspect_notebook(str(path))
    return {
        name: Parameter(
            name, _type(entry["inferred_type_name"], entry["default"]), entry["default"], entry["help"] or ""
        )
        for name, entry in found.items()
    }


def check_parameters(path: Path, given: Mapping[str, Any]) -> None:
    """Refuse values a notebook would not understand.

    Parameters
    ----------
    path : Path
        The notebook.
    given : mapping of str to plain value
        None, bool, int, float, str, list and dict pass to a notebook unchanged; nothing else does.

    Raises
    ------
    ParameterError
        A name the parameters cell does not have (with the nearest one), a value of another type, or a value
        that is not plain JSON.
    """
    known = notebook_parameters(path)
    for name, value in given.items():
        where = f"notebook '{path.name}'"
        if name not in known:
            raise ParameterError(f"unknown parameter '{name}'", where=where, hint=suggestion(name, known))
        kinds = TYPES.get(known[name].type)
        if kinds is None:
            continue
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ParameterError(
                f"parameter '{name}' has the wrong type", where=where, found=value, expected=known[name].type
            )
        try:
            json.dumps(value)
        except TypeError as error:
            raise ParameterError(f"parameter '{name}' is not plain data: {error}", where=where) from error


def parse_value(path: Path, name: str, text: str) -> Any:
    """Value of a parameter written as text on the command line, by the type its notebook declares.

    Raises
    ------
    ParameterError
        Unknown name, or text that is no value of the type.
    """
    known = notebook_parameters(path)
    if name not in known:
        raise ParameterError(
            f"unknown parameter '{name}'", where=f"notebook '{path.name}'", hint=suggestion(name, known)
        )
    if known[name].type in ("str", ""):
        return text
    try:
        value = ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError) as error:
        raise ParameterError(
            f"parameter '{name}' cannot be read",
            where=f"notebook '{path.name}'",
            found=text,
            expected=known[name].type,
        ) from error
    check_parameters(path, {name: value})
    return value


def _type(annotation: str, default: str) -> str:
    """Type name from an annotation, else from the default's literal."""
    name = annotation.split("[")[0].strip()
    if name in TYPES:
        return name
    try:
        return type(ast.literal_eval(default)).__name__
    except (ValueError, SyntaxError):
        return ""
