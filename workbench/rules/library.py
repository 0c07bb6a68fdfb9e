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

from workbench.core.codes import groups, is_known
from workbench.core.errors import DefinitionError
from workbench.rules.kinds import KINDS, MISFIT, OUTCOMES
from workbench.rules.rule import LEVELS, Case, Rule

DEFINITIONS = Path(__file__).parent / "definitions"
VERIFIABILITY = ("影像", "业务", "人工")
SIDES = ("inside", "outside", "anywhere")
SPATIAL_APPLIES = frozenset(
    {
        "from",
        "to",
        "after",
        "after_not",
        "line_kind",
        "line_kind_not",
        "activity",
        "plausible",
        "permit_not",
        "yields_to",
    }
)
"""Keys of ``applies`` that spatial rules know."""
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

    >>> available_packs()[:3]
    ['control_lines', 'data_checks', 'data_consistency']
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
    listed = {name: tuple(record[name]) for name in ("refines", "permit_kinds") if name in record}
    rule = Rule(id=key, pack=pack, **{**record, **listed, "cases": cases})
    _check(rule, where)
    return rule


def _check(rule: Rule, where: str) -> None:
    if rule.kind not in KINDS:
        raise DefinitionError(
            "unknown kind", where=where, found=rule.kind, expected=f"one of {sorted(KINDS)}"
        )
    wanted_levels = OUTCOMES[rule.kind] | ({MISFIT} if rule.applies.get("plausible") else set())
    if set(rule.levels) != wanted_levels:
        raise DefinitionError(
            "levels do not name the outcomes of the kind",
            where=where,
            found=sorted(rule.levels),
            expected=str(sorted(wanted_levels)),
        )
    if wrong := [value for value in rule.levels.values() if value not in LEVELS]:
        raise DefinitionError("unknown level", where=where, found=wrong, expected="-1 to 4")
    if not set(rule.verifiability.split("、")) <= set(VERIFIABILITY):
        raise DefinitionError(
            "unknown verifiability", where=where, found=rule.verifiability, expected="、".join(VERIFIABILITY)
        )
    if rule.kind == "peer_band" and max(rule.levels.values()) > 1:
        raise DefinitionError("differing from peers is a note only", where=where, found=dict(rule.levels))
    if rule.kind == "spatial_conflict":
        _check_spatial(rule, where)
    if len(rule.cases) < 2 or len({case.level for case in rule.cases}) < 2:
        raise DefinitionError(
            "two worked cases are needed, one on each side of the limit", where=where, found=len(rule.cases)
        )
    known = inspect.signature(KINDS[rule.kind]).parameters
    wanted = {name for name, one in known.items() if one.default is one.empty} - {"rule"}
    for case in rule.cases:
        if not wanted <= set(case.given) <= set(known) - {"rule"}:
            raise DefinitionError(
                "a worked case does not fit the kind",
                where=where,
                found=sorted(case.given),
                expected=str(sorted(wanted)),
            )


def _check_spatial(rule: Rule, where: str) -> None:
    """Check what only spatial rules have: line, side, the change they look at, the limits."""
    if not rule.line or rule.side not in SIDES:
        raise DefinitionError("a spatial rule needs 'line' and 'side'", where=where, found=rule.side)
    if unknown := sorted(set(rule.applies) - SPATIAL_APPLIES):
        raise DefinitionError(
            "unknown key in 'applies'", where=where, found=unknown, expected=str(sorted(SPATIAL_APPLIES))
        )
    if missing := sorted({"min_area_m2", "min_width_m"} - set(rule.parameters)):
        raise DefinitionError("parameter missing", where=where, found=missing)
    table = set(groups().index)
    for key in ("from", "to"):
        if (name := str(rule.applies.get(key, "construction")).removeprefix("not ")) not in table:
            raise DefinitionError("unknown group of land classes", where=where, found=name)
    listed = [one for key in ("after", "after_not", "plausible") for one in rule.applies.get(key, ())]
    if unknown := [one for one in listed if one not in table and not is_known([one])[0]]:
        raise DefinitionError("neither a land class nor a group", where=where, found=unknown)
