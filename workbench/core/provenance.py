"""What went into a result: the source of a layer, hashes of files and of plain values, the code's own version."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from workbench.core.paths import PACKAGE


@dataclass(frozen=True)
class Source:
    """Where the data of one edition of a layer come from."""

    role: str
    """Layer role, e.g. ``"land_use"``."""
    year: int | None
    """Year the edition is for; None when the layer is not dated by year."""
    edition: str
    """``"original"`` or the name of a revision."""
    sha256: str
    """Hash of the source file or files."""
    date: str
    """Date the data describe (ISO), ``""`` when not stated."""
    licence: str
    """Licence as stated in the profile."""
    source: str
    """Who made the data, in words."""
    tier: str
    """``statutory``, ``substitute`` or ``proxy``."""
    sensitivity: str
    """``公开``, ``内部`` or ``敏感``."""
    path: Path
    """The standardised file."""
    holder: str = ""
    """Who usually holds such data."""
    update_cycle: str = ""
    """How often the data are renewed."""
    note_zh: str = ""
    """What a reader must know about the data, in Chinese."""
    note_en: str = ""
    """The same in English."""


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes; of a folder, the hash of its files' names and bytes in order."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def stable_hash(value: object) -> str:
    """SHA-256 of a plain value (JSON types, paths and dates as text), the same in every process.

    Examples
    --------
    >>> stable_hash({"b": 1, "a": 2}) == stable_hash({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1)
def code_version() -> str:
    """Package version with a hash of the package's own source, e.g. ``0.1.0+3f2a91c0``."""
    from workbench import __version__

    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in {".py", ".toml", ".csv"} and path.is_file():
            digest.update(path.relative_to(PACKAGE).as_posix().encode())
            digest.update(path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:8]}"
