"""What the catalogue holds of a city: one entry an edition, with hashes, findings and places of files."""

from __future__ import annotations

import fcntl
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench.catalog.quality import Finding
from workbench.core.paths import atomic_write, built_data_dir

VERSION = 1
"""Raised when the standard form changes, so that everything is built anew."""


@dataclass(frozen=True)
class Entry:
    """One edition of a layer."""

    role: str
    """Layer role."""
    year: int | None
    """Year of the edition; None when not dated by year."""
    edition: str
    """``original`` or the name of a revision."""
    kind: str
    """``vector``, ``raster`` or ``table``."""
    key: str
    """Hash of the source files and of everything the profile says of the layer."""
    sha256: str
    """Hash of the source files alone."""
    files: dict[str, str]
    """Asset name -> file relative to the city's folder of built data; empty when the edition cannot be used."""
    date: str
    """Date of the data."""
    reason: str | None = None
    """Why the edition cannot be used."""
    rows: int = 0
    """Rows of a vector or table."""
    bbox: tuple[float, float, float, float] | None = None
    """Extent in degrees of WGS 84."""
    proj: dict[str, Any] = field(default_factory=dict)
    """Raster: ``shape, transform, dtype, nodata`` of each asset's common grid."""
    findings: tuple[Finding, ...] = ()
    """Findings of the checks."""
    stats: dict[str, Any] = field(default_factory=dict)
    """Size and time stamps of the source files, to know without reading that nothing changed."""
    properties: dict[str, Any] = field(default_factory=dict)
    """Further fields of the STAC item, of what the workbench made itself."""

    @property
    def id(self) -> str:
        """Id of the STAC item: ``role``, ``role-year``, with the edition behind when revised."""
        parts = [self.role] + ([str(self.year)] if self.year is not None else [])
        return "-".join(parts + ([self.edition] if self.edition != "original" else []))


def summary(city_name: str) -> list[str]:
    """What a city's last build holds: layers and editions, findings by severity and kind, and where they are recorded."""
    entries = read(city_name)
    unusable = [entry for entry in entries if entry.reason is not None]
    lines = [
        f"{len({entry.role for entry in entries})} layers, {len(entries)} editions, {len(unusable)} of them not usable"
    ]
    lines += [f"not usable: {entry.id} ({entry.reason})" for entry in unusable]
    for severity in ("error", "warning", "info"):
        kinds = Counter(one.check for entry in entries for one in entry.findings if one.severity == severity)
        told = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items()))
        lines.append(f"findings, {severity}: {kinds.total()}" + (f" ({told})" if told else ""))
    return [
        *lines,
        f"recorded in {folder(city_name) / 'quality.parquet'} and in the chapter on data of the report",
    ]


def folder(city_name: str) -> Path:
    """Folder of a city's built data."""
    return built_data_dir() / city_name


@contextmanager
def lock(city_name: str, *, shared: bool = False) -> Iterator[None]:
    """Let one process at a time build or publish for a city; the others wait.

    With ``shared`` any number may read the catalogue together while nobody changes it. Whoever holds the lock must not ask
    for it again.
    """
    place = folder(city_name)
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def read(city_name: str) -> list[Entry]:
    """Entries of a city; empty when nothing is built or it was built by another version."""
    path = folder(city_name) / "manifest.json"
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("version") != VERSION:
        return []
    entries = []
    for item in content["entries"]:
        item["findings"] = tuple(Finding(**finding) for finding in item["findings"])
        item["bbox"] = None if item["bbox"] is None else tuple(item["bbox"])
        entries.append(Entry(**item))
    return entries


def write(city_name: str, entries: list[Entry]) -> None:
    """Write the entries of a city."""
    content = {"version": VERSION, "city": city_name, "entries": [asdict(entry) for entry in entries]}
    with atomic_write(folder(city_name) / "manifest.json") as path:
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
