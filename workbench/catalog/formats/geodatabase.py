"""File geodatabases: damage that readers pass over in silence is told before anything is read."""

from __future__ import annotations

import struct
from pathlib import Path

_HEAD = struct.Struct("<iiiiiiq")
"""Head of a table: mark, valid rows, greatest row, mark, two empty fields, size of the file in bytes."""
_INDEX = struct.Struct("<iiii")
"""Head of a row index: mark, blocks of 1,024 rows, rows, bytes an offset."""


def damage(folder: Path) -> list[str]:
    """Parts of a file geodatabase that are shorter than they state, or absent, each in a few words.

    A reader that goes by batches gives the rows before the break without a word; one that goes row by row raises.
    """
    tables = sorted(folder.glob("*.gdbtable"))
    if not (folder / "a00000001.gdbtable").exists():
        return ["a00000001.gdbtable (the list of layers) is absent"]
    found = []
    for table in tables:
        size = table.stat().st_size
        with table.open("rb") as stream:
            head = stream.read(_HEAD.size)
        if len(head) < _HEAD.size:
            found.append(f"{table.name} has {size} bytes and no head")
            continue
        stated = _HEAD.unpack(head)[6]
        if size < stated:
            found.append(f"{table.name} has {size} of {stated} bytes")
        found += _index_damage(table.with_suffix(".gdbtablx"))
    return found


def _index_damage(index: Path) -> list[str]:
    if not index.exists():
        return [f"{index.name} is absent"]
    size = index.stat().st_size
    with index.open("rb") as stream:
        head = stream.read(_INDEX.size)
    if len(head) < _INDEX.size:
        return [f"{index.name} has {size} bytes and no head"]
    _, blocks, _, width = _INDEX.unpack(head)
    wanted = _INDEX.size + blocks * 1024 * width
    return [f"{index.name} has {size} of {wanted} bytes"] if size < wanted else []
