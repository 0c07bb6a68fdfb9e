"""Quality packs: what is checked of which layer, how gravely, and whether failing it blocks the layer."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from workbench.core.errors import DefinitionError
from workbench.core.paths import PACKAGE

FOLDER = PACKAGE / "governance" / "packs"
NAMES = ("completeness", "mathematical_basis", "attributes", "topology", "map_and_table", "consistency")
"""Packs in the order of the inspection report."""
SEVERITIES = ("info", "warning", "error")
CASES = 2
"""Worked cases a check must have at least."""


@dataclass(frozen=True)
class Case:
    """One worked case of a check: layers drawn by hand, and the answer worked out by hand."""

    given: Mapping[str, Any]
    """Layers and tables by role, as rows; ``city`` is the territory."""
    findings: int
    """Number of findings that must come out."""
    measured: float | None = None
    """What the first of them must measure, when stated."""
    blocked: bool = False
    """Whether the layer must be blocked."""


@dataclass(frozen=True)
class Check:
    """One check of a pack."""

    id: str
    """Unique over all packs."""
    pack: str
    """The pack (file) it stands in."""
    title_zh: str
    """Name officials read."""
    title_en: str
    """English name."""
    kind: str
    """Name of the function in :data:`workbench.governance.kinds.KINDS`."""
    roles: tuple[str, ...]
    """Layers it looks at; ``*`` means every vector layer, ``*polygon`` every one of polygons."""
    severity: str
    """``info``, ``warning`` or ``error``."""
    clause: str
    """Document and article it comes from."""
    source: str
    """Where the text was found."""
    confidence: str
    """How sure wording and limits are."""
    cases: tuple[Case, ...]
    """Worked cases."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Limits a bureau may change."""
    gate: bool = False
    """Whether a layer that fails it must not be used."""
    gate_share: float = 0.0
    """Share of the layer concerned above which the gate closes."""
    not_roles: tuple[str, ...] = ()
    """Layers left out of ``*``."""


@dataclass(frozen=True)
class Pack:
    """One pack."""

    name: str
    """File name."""
    title_zh: str
    """Name officials read."""
    title_en: str
    """English name."""
    checks: tuple[Check, ...]
    """Checks in the order of the file."""


def _check(name: str, record: Mapping[str, Any], pack: str, where: str) -> Check:
    known = {one.name for one in fields(Check)} - {"id", "pack"}
    if unknown := sorted(set(record) - known):
        raise DefinitionError("unknown keys", where=where, found=unknown, expected=", ".join(sorted(known)))
    needed = ("title_zh", "title_en", "kind", "roles", "severity", "clause", "source", "confidence", "cases")
    if absent := [key for key in needed if not record.get(key)]:
        raise DefinitionError(
            "keys are missing", where=where, found=sorted(record), expected=", ".join(absent)
        )
    if record["severity"] not in SEVERITIES:
        raise DefinitionError(
            "unknown severity", where=where, found=record["severity"], expected=", ".join(SEVERITIES)
        )
    if len(record["cases"]) < CASES:
        raise DefinitionError("a check needs two worked cases", where=where, found=len(record["cases"]))
    cases = tuple(Case(**case) for case in record["cases"])
    lists = {key: tuple(record[key]) for key in ("roles", "not_roles") if key in record}
    return Check(id=name, pack=pack, **{**record, **lists, "cases": cases})


def read_pack(path: Path) -> Pack:
    """Read a pack's file.

    Raises
    ------
    DefinitionError
        It is no TOML, a key is unknown or missing, or a check has fewer than two worked cases.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"no TOML: {error}", where=path.name) from error
    head = content.pop("pack", None)
    if not isinstance(head, Mapping) or set(head) != {"title_zh", "title_en"}:
        raise DefinitionError(
            "the pack has no titles", where=path.name, found=head, expected="[pack] title_zh, title_en"
        )
    checks = tuple(_check(name, item, path.stem, f"{path.name}: {name}") for name, item in content.items())
    return Pack(path.stem, head["title_zh"], head["title_en"], checks)


def load_packs(folder: Path | None = None) -> dict[str, Pack]:
    """All packs by name, in the order of the inspection report; a bureau's further packs come last.

    Parameters
    ----------
    folder : Path, optional
        Folder of TOML files; the package's own when not given.

    Examples
    --------
    >>> list(load_packs())[:2]
    ['completeness', 'mathematical_basis']

    Raises
    ------
    DefinitionError
        A file cannot be used, or two checks have one name.
    """
    return dict(_packs(folder or FOLDER))


@cache
def _packs(folder: Path) -> dict[str, Pack]:
    found = {path.stem: read_pack(path) for path in sorted(folder.glob("*.toml"))}
    names = [check.id for pack in found.values() for check in pack.checks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DefinitionError("checks share a name", where=str(folder.name), found=twice)
    order = [*[name for name in NAMES if name in found], *[name for name in found if name not in NAMES]]
    return {name: found[name] for name in order}
