"""Reads the rule packs and checks every record when it loads."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from workbench.core.errors import DefinitionError
from workbench.rules.kinds import KINDS, OUTCOMES
from workbench.rules.rule import LEVELS, Case, Rule

DEFINITIONS = Path(__file__).parent / "definitions"
VERIFIABILITY = ("影像", "业务", "人工")
REQUIRED = (
    "title_zh",
    "title_en",
    "kind",
    "clause",
    "source",
    "confidence",
    "verifiability",
    "levels",
    "cases",
)


@cache
def load_rules(packs: tuple[str, ...] | None = None) -> dict[str, Rule]:
    """Rules of the packs named, in the order written.

    Parameters
    ----------
    packs : tuple of str, optional
        Names of files in ``definitions/`` without suffix, as in ``rule_packs`` of a city profile. All when left out.

    Returns
    -------
    dict of str to Rule

    Raises
    ------
    DefinitionError
        Unknown pack, or a record that is incomplete or contradicts its kind; names file and rule.

    Examples
    --------
    >>> sorted({rule.kind for rule in load_rules(("control_lines",)).values()})
    ['spatial_conflict']
    """
    known = available_packs()
    rules: dict[str, Rule] = {}
    for pack in known if packs is None else packs:
        if pack not in known:
            raise DefinitionError(
                "unknown rule pack",
                where=str(DEFINITIONS.name),
                found=pack,
                expected=f"one of {', '.join(known)}",
            )
        for rule in read_pack(DEFINITIONS / f"{pack}.toml"):
            if rule.id in rules:
                raise DefinitionError("two rules share one id", where=f"{pack}.toml", found=rule.id)
            rules[rule.id] = rule
    return rules


def available_packs() -> list[str]:
    """Names of the packs that ship with the package.

    >>> available_packs()
    ['control_lines', 'data_checks', 'targets']
    """
    return sorted(path.stem for path in DEFINITIONS.glob("*.toml"))


def read_pack(path: Path) -> Iterable[Rule]:
    """Rules of one TOML file, each checked.

    Raises
    ------
    DefinitionError
        Names the file, the rule and the key at fault.
    """
    with path.open("rb") as handle:
        records = tomllib.load(handle)
    return [make_rule(key, record, pack=path.stem) for key, record in records.items()]


def make_rule(key: str, record: Mapping[str, Any], *, pack: str) -> Rule:
    """Build one rule from its record and check it against its kind.

    Raises
    ------
    DefinitionError
        A key is missing or unknown, an outcome has no level, or a worked case does not fit the kind.
    """
    where = f"rules/definitions/{pack}.toml [{key}]"
    names = {item.name for item in fields(Rule)} - {"id", "pack"}
    if unknown := sorted(set(record) - names):
        raise DefinitionError("unknown key", where=where, found=unknown, expected=f"keys of {sorted(names)}")
    if missing := [name for name in REQUIRED if not record.get(name)]:
        raise DefinitionError("key missing or empty", where=where, found=missing, expected="a value for each")
    for name in ("valid_from", "valid_to"):
        if name in record and not isinstance(record[name], date):
            raise DefinitionError(
                f"'{name}' is not a date", where=where, found=record[name], expected="2024-01-31"
            )
    cases = tuple(
        Case(given=case["given"], level=int(case["level"]), margin=case.get("margin"))
        for case in record["cases"]
    )
    rule = Rule(id=key, pack=pack, **{**record, "cases": cases})
    _check(rule, where)
    return rule


def _check(rule: Rule, where: str) -> None:
    if rule.kind not in KINDS:
        raise DefinitionError(
            "unknown kind", where=where, found=rule.kind, expected=f"one of {sorted(KINDS)}"
        )
    if set(rule.levels) != OUTCOMES[rule.kind]:
        raise DefinitionError(
            "levels do not name the outcomes of the kind",
            where=where,
            found=sorted(rule.levels),
            expected=str(sorted(OUTCOMES[rule.kind])),
        )
    if wrong := [value for value in rule.levels.values() if value not in LEVELS]:
        raise DefinitionError("unknown level", where=where, found=wrong, expected="-1 to 4")
    if not set(rule.verifiability.split("、")) <= set(VERIFIABILITY):
        raise DefinitionError(
            "unknown verifiability", where=where, found=rule.verifiability, expected="、".join(VERIFIABILITY)
        )
    if rule.kind == "spatial_conflict" and (not rule.line or rule.side not in ("inside", "outside")):
        raise DefinitionError("a spatial rule needs 'line' and 'side'", where=where, found=rule.side)
    if len(rule.cases) < 2 or len({case.level for case in rule.cases}) < 2:
        raise DefinitionError(
            "two worked cases are needed, one on each side of the limit", where=where, found=len(rule.cases)
        )
    wanted = set(inspect.signature(KINDS[rule.kind]).parameters) - {"rule"}
    for case in rule.cases:
        if set(case.given) != wanted:
            raise DefinitionError(
                "a worked case does not fit the kind",
                where=where,
                found=sorted(case.given),
                expected=str(sorted(wanted)),
            )
