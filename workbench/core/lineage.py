"""What a value is made of: the inputs behind it by name, each with the hash it had, as one line of text.

An input is a layer edition (``land_use-2025``, ``districts``; with ``-original`` behind it the data as first published), a
definition (``definition:TJ-A11``), the settings of a topic (``settings:structure``), or one of the few things that are neither: the profile, its targets, the rules, the case
register, an earlier report. A layer that was looked for and not found has the hash ``absent``: were it there, the value might
be made another way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

ABSENT = "absent"
"""Hash of what is not there."""
DIGITS = 12
"""Digits of a hash that are kept."""
_LAYER = re.compile(r"(.+?)(?:-(\d{4}))?(?:-(original))?")


def input_name(role: str, year: int | None, edition: str = "latest") -> str:
    """Name of a layer edition as an input.

    Examples
    --------
    >>> input_name("land_use", 2025), input_name("districts", None), input_name("land_use", 2024, "original")
    ('land_use-2025', 'districts', 'land_use-2024-original')
    """
    parts = [role, *([str(year)] if year is not None else [])]
    return "-".join([*parts, *(["original"] if edition == "original" else [])])


def layer_of(name: str) -> tuple[str, int | None, str]:
    """Role, year and edition of an input that is a layer edition.

    Examples
    --------
    >>> layer_of("land_use-2024-original"), layer_of("districts")
    (('land_use', 2024, 'original'), ('districts', None, 'latest'))
    """
    found = _LAYER.fullmatch(name)
    assert found is not None, "every name that is not empty matches"
    role, year, edition = found.groups()
    return role, None if year is None else int(year), edition or "latest"


def pack(inputs: Mapping[str, str]) -> str:
    """Inputs and their hashes as a line.

    Examples
    --------
    >>> pack({"land_use-2025": "0a1b", "districts": "77ff"})
    'districts=77ff land_use-2025=0a1b'
    """
    return " ".join(f"{name}={digest[:DIGITS]}" for name, digest in sorted(inputs.items()))


def unpack(text: str) -> dict[str, str]:
    """Inputs and their hashes of a line.

    Examples
    --------
    >>> unpack("districts=77ff land_use-2025=0a1b")
    {'districts': '77ff', 'land_use-2025': '0a1b'}
    """
    return {name: digest for name, _, digest in (part.rpartition("=") for part in text.split(" ") if part)}


def join(texts: Iterable[str]) -> dict[str, str]:
    """All inputs of several lines."""
    found: dict[str, str] = {}
    for text in texts:
        found.update(unpack(text))
    return found
