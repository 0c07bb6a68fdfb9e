"""What planners set for the review: verdicts, procedures, tolerances, compatible uses. Read from TOML and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from workbench.core.codes import groups, is_known
from workbench.core.errors import DefinitionError
from workbench.rules.cases import classes_of
from workbench.rules.library import available_packs, load_rules
from workbench.rules.rule import Rule

FILE = Path(__file__).with_name("rules.toml")
VERDICT_NAMES = ("complies", "conflicts", "needs", "not_checked")
"""All verdicts."""
_SECTIONS = {
    "packs", "tolerance", "verdicts", "currency", "rules", "lines", "names", "boundary_kinds", "checks",
    "procedures", "compatibility",
}  # fmt: skip
_PER_RULE = {"verdict", "needs", "with_activity"}


@dataclass(frozen=True)
class Procedure:
    """Something that has to be done before a proposal can go on."""

    key: str
    zh: str
    en: str
    clause: str
    confidence: str


@dataclass(frozen=True)
class Fit:
    """Uses that a planned use admits, as survey classes."""

    alongside: frozenset[str]
    """Supporting uses that fit."""
    argued: frozenset[str]
    """Uses that fit only after an argument."""


@dataclass(frozen=True)
class Settings:
    """Settings of the review, checked."""

    file: str
    """Name of the file they come from."""
    packs: tuple[str, ...]
    min_area_m2: float
    min_width_m: float
    verdicts: Mapping[int, str]
    """Level of a pack's rule without permit -> verdict."""
    currency: Mapping[str, int]
    """Update cycle -> months after which data count as old."""
    rules: Mapping[str, Mapping[str, Any]]
    """Rule or pack -> ``verdict`` (optional) and ``needs`` (keys of procedures)."""
    lines: Mapping[str, Mapping[str, Any]]
    """Further line roles with name, verdict, needs, clause."""
    names: Mapping[str, tuple[str, str]]
    """Lines whose rules name their parts -> name of the whole."""
    boundary_kinds: Mapping[str, Mapping[str, Any]]
    checks: Mapping[str, Mapping[str, str]]
    procedures: Mapping[str, Procedure]
    fits: Mapping[str, Fit]
    """Beginning of a planned class -> what it admits."""
    _worded: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    def verdict_of(self, rule: Rule, level: int, *, activity: bool = False) -> str:
        """Verdict on a proposal where a pack's rule gives a level without permit.

        ``activity`` says that one of the limited activities of the ecological red line was stated.
        """
        if level <= 0:
            return "complies"
        own = self.rules.get(rule.id, {})
        stated = (own.get("with_activity") if activity else None) or own.get("verdict")
        return str(stated) if stated else self.verdicts[level]

    def needs_of(self, rule: Rule) -> tuple[str, ...]:
        """Procedures that a rule asks for: its own, else those of its pack."""
        found = self.rules.get(rule.id) or self.rules.get(rule.pack) or {}
        return tuple(found.get("needs", ()))

    def fit_of(self, planned: str) -> Fit | None:
        """What a planned class admits, by the longest beginning of its code; None where nothing is set."""
        for length in range(len(planned), 0, -1):
            if planned[:length] in self.fits:
                return self.fits[planned[:length]]
        return None

    def worded(self, keys: tuple[str, ...]) -> dict[str, Any]:
        """Texts of procedures as the fields ``needs_zh`` and ``needs_en`` of an item; made once for a row of them."""
        if keys not in self._worded:
            self._worded[keys] = {f"needs_{lang}": self.words(keys, lang) for lang in ("zh", "en")}
        return self._worded[keys]

    def words(self, keys: tuple[str, ...], lang: str, *, clauses: bool = True) -> str:
        """Texts of procedures in a row, with their clauses or without."""
        parts = []
        for key in keys:
            one = self.procedures[key]
            text = one.en if lang == "en" else one.zh
            if one.clause and clauses:
                text += f" ({one.clause})" if lang == "en" else f"（{one.clause}）"
            parts.append(text)
        return ("; " if lang == "en" else "；").join(parts)


def read_settings(path: Path | None = None) -> Settings:
    """Settings of a file, or those of the package.

    Parameters
    ----------
    path : Path, optional
        A file in the form of ``rules.toml``; sections it does not have are taken from the package.

    Raises
    ------
    DefinitionError
        Unknown sections or keys, verdicts, procedures, packs or land classes; names the file and the place.
    """
    file = FILE if path is None else Path(path)
    try:
        changed = file.stat().st_mtime_ns
    except FileNotFoundError as error:
        raise DefinitionError("the settings of the review do not exist", where=str(file)) from error
    return _read(file, changed)


@cache
def _read(path: Path, changed: int) -> Settings:
    """Settings of a file as it was at a moment."""
    content = _toml(FILE)
    if path != FILE:
        own = _toml(path)
        content = {
            name: {**base, **own.get(name, {})} if isinstance(base, dict) else own.get(name, base)
            for name, base in content.items()
        } | {name: part for name, part in own.items() if name not in content}
    if problems := list(_problems(content)):
        raise DefinitionError("; ".join(problems), where=path.name)
    fits = {
        prefix: Fit(classes_of(one.get("with", ())), classes_of(one.get("argued", ())))
        for prefix, one in content["compatibility"].get("planned", {}).items()
    }
    return Settings(
        file=path.name,
        packs=tuple(content["packs"]),
        min_area_m2=float(content["tolerance"]["min_area_m2"]),
        min_width_m=float(content["tolerance"]["min_width_m"]),
        verdicts={int(level): verdict for level, verdict in content["verdicts"].items()},
        currency=content["currency"],
        rules=content["rules"]
        | {
            role: {name: one[name] for name in _PER_RULE & set(one)} for role, one in content["lines"].items()
        },
        lines=content["lines"],
        names={role: (one["zh"], one["en"]) for role, one in content["names"].items()},
        boundary_kinds=content["boundary_kinds"],
        checks=content["checks"],
        procedures={
            key: Procedure(key, one["zh"], one["en"], one.get("clause", ""), one.get("confidence", ""))
            for key, one in content["procedures"].items()
        },
        fits=fits,
    )


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError("not valid TOML", where=path.name, found=str(error)) from error


def _problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Everything that is wrong, in words."""
    if unknown := sorted(set(content) - _SECTIONS):
        yield f"unknown sections {unknown}"
    known = content["procedures"]
    if unknown := sorted(set(content["packs"]) - set(available_packs())):
        yield f"unknown rule packs {unknown}"
        return
    for key, one in known.items():
        if missing := [name for name in ("zh", "en", "confidence") if not one.get(name)]:
            yield f"procedures.{key} lacks {missing}"
    wanted = {"-1", "0", "1", "2", "3", "4"}
    if set(content["verdicts"]) - wanted or not {"1", "2", "3", "4"} <= set(content["verdicts"]):
        yield f"verdicts need the levels 1 to 4, found {sorted(content['verdicts'])}"
    ids = load_rules()
    packs = {rule.pack for rule in ids.values()}
    for section in ("rules", "lines", "boundary_kinds"):
        for key, one in content[section].items():
            if section == "rules" and key not in ids and key not in packs:
                yield f"rules.{key} is no rule and no pack"
            if section == "rules" and (more := sorted(set(one) - _PER_RULE)):
                yield f"rules.{key} has unknown keys {more}"
            for name in ("verdict", "with_activity"):
                if one.get(name, "needs") not in VERDICT_NAMES:
                    yield f"{section}.{key}: unknown verdict {one[name]!r}"
            if unknown := sorted(set(one.get("needs", ())) - set(known)):
                yield f"{section}.{key}: unknown procedures {unknown}"
    table = set(groups().index)
    for prefix, one in content["compatibility"].get("planned", {}).items():
        listed = [*one.get("with", ()), *one.get("argued", ())]
        if unknown := [code for code in listed if code not in table and not is_known([code])[0]]:
            yield f"compatibility.planned.{prefix}: neither land classes nor groups {unknown}"
