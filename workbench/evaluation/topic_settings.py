"""Settings that planners change as TOML: each parameter with value, source and confidence, a city's own file instead of the package's."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from workbench.core.city import City
from workbench.core.errors import DefinitionError

S = TypeVar("S", bound=BaseModel)


def settings_path(city: City, topic: str, packaged: Path) -> Path:
    """File of a city's settings: beside its profile when ``[city] <topic>_settings`` names one, else the packaged one."""
    name = getattr(city.city, f"{topic}_settings")
    return city.path.parent / name if name else packaged


def load_settings(city: City, topic: str, packaged: Path, read: Callable[[Path], S]) -> S:
    """Settings of a city.

    Raises
    ------
    DefinitionError
        When the file is absent or does not fit; names file, key and what is wrong.
    """
    path = settings_path(city, topic, packaged)
    if not path.is_file():
        raise DefinitionError(
            f"the file of {topic.replace('_', '-')} settings is not there",
            where=city.path.name,
            found=path.name,
        )
    return read(path)


def read_settings(path: Path, kind: type[S], tell: Callable[[Any], Any] | None = None) -> S:
    """Settings in a file; ``tell`` makes what was found wrong fit for a message.

    Raises
    ------
    DefinitionError
        When the file does not fit; names file, key and what is wrong.
    """
    try:
        found: S = _read(path, path.read_text("utf-8"), kind)
        return found
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{path.name}: {'.'.join(map(str, first['loc']))}".rstrip(": ")
        wrong = first.get("input")
        raise DefinitionError(str(first["msg"]), where=where, found=tell(wrong) if tell else wrong) from error


@lru_cache(maxsize=24)
def _read(path: Path, text: str, kind: type[S]) -> S:
    try:
        content: dict[str, Any] = tomllib.loads(text)
        stated = content.get("parameters", {})
        origin = {name: {k: str(v) for k, v in one.items() if k != "value"} for name, one in stated.items()}
        if silent := [name for name, one in origin.items() if not {"source", "confidence"} <= set(one)]:
            raise DefinitionError("parameters without source and confidence", where=path.name, found=silent)
        content["parameters"] = {name: one["value"] for name, one in stated.items()}
        return kind(**content, origin=origin)
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"no valid TOML: {error}", where=path.name) from error
    except (KeyError, AttributeError, TypeError) as error:
        raise DefinitionError(
            "each parameter is a table with value, source and confidence", where=path.name, found=str(error)
        ) from error
