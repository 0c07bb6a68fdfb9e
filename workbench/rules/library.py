"""Reads the rule packs and checks every record when it loads."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterable, Iterator, Mapping
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
FIGURES = ("low_use.", "conflict.", "conflict_share.", "capacity.", "imagery.")
"""Beginnings of the figures of topics that rules may judge (``applies.figure``)."""
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
"""Keys every rule has."""
_TEXTS = set(REQUIRED[:7]) | {
    "indicator",
    "line",
    "line_zh",
    "line_en",
    "side",
    "owner",
    "note_zh",
    "note_en",
}
PARAMETERS: dict[str, frozenset[str]] = {
    "floor": frozenset({"near", "limit"}),
    "cap": frozenset({"near", "limit_days", "limits", "min_area_m2", "limit"}),
    "path": frozenset({"behind", "far_behind", "running", "base_lag_years", "least_span"}),
    "trend": frozenset({"method", "steady", "agreement"}),
    "spatial_conflict": frozenset({"min_area_m2", "min_width_m"}),
    "consistency": frozenset({"relative", "optional"}),
    "freshness": frozenset({"lag_years", "cycles"}),
    "peer_band": frozenset({"k", "least"}),
}
"""Parameters that the rules of each kind may have."""
Problem = tuple[str, Any, str]
"""What is wrong, what was found, what is expected."""


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
        Names the file, the rule and everything that is wrong with it.
    """
    file = f"rules/definitions/{path.name}" if path.parent == DEFINITIONS else str(path)
    try:
        records = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError("not valid TOML", where=file, found=str(error)) from error
    return [make_rule(key, record, pack=path.stem, file=file) for key, record in records.items()]


def make_rule(key: str, record: Any, *, pack: str, file: str | None = None) -> Rule:
    """Build one rule from its record and check it against its kind.

    Parameters
    ----------
    key : str
        Id of the rule.
    record : mapping
        Its table in the TOML file.
    pack : str
        Name of the pack.
    file : str, optional
        File, for messages.

    Raises
    ------
    DefinitionError
        Everything that is wrong at once: keys missing or unknown, an outcome without a level, an unknown parameter, a
        worked case that does not fit the kind.
    """
    where = f"{file or f'rules/definitions/{pack}.toml'} [{key}]"
    if not isinstance(record, Mapping):
        raise DefinitionError("a rule must be a table", where=where, found=record, expected="[id]")
    problems = [*_problems_of_keys(record), *_problems_of_kind(record)]
    if len(problems) == 1:
        what, found, expected = problems[0]
        raise DefinitionError(what, where=where, found=found, expected=expected)
    if problems:
        told = (
            f"({number}) {what}; found {found!r}; expected {expected}"
            for number, (what, found, expected) in enumerate(problems, 1)
        )
        raise DefinitionError(f"{len(problems)} problems: {' '.join(told)}", where=where)
    cases = tuple(
        Case(given=case["given"], level=case["level"], margin=case.get("margin")) for case in record["cases"]
    )
    listed = {name: tuple(record[name]) for name in ("refines", "permit_kinds") if name in record}
    return Rule(id=key, pack=pack, **{**record, **listed, "cases": cases})


def _problems_of_keys(record: Mapping[str, Any]) -> Iterator[Problem]:
    """Keys unknown, missing or of the wrong type."""
    names = {item.name for item in fields(Rule)} - {"id", "pack"}
    if unknown := sorted(set(record) - names):
        yield "unknown key", unknown, f"keys of {sorted(names)}"
    if missing := [name for name in REQUIRED if not record.get(name)]:
        yield "key missing or empty", missing, "a value for each"
    for name in ("valid_from", "valid_to"):
        if name in record and not isinstance(record[name], date):
            yield f"'{name}' is not a date", record[name], "2024-01-31"
    for name in ("levels", "parameters", "applies"):
        if name in record and not isinstance(record[name], Mapping):
            yield f"'{name}' is not a table", record[name], "{ name = value }"
    for name in sorted(_TEXTS & set(record)):
        if not isinstance(record[name], str):
            yield f"'{name}' is not text", record[name], "text in quotation marks"


def _table(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def _problems_of_kind(record: Mapping[str, Any]) -> Iterator[Problem]:
    """What contradicts the kind: levels, parameters, worked cases."""
    kind, levels = record.get("kind"), _table(record, "levels")
    if wrong := [value for value in levels.values() if value not in LEVELS]:
        yield "unknown level", wrong, "-1 to 4"
    if not set(str(record.get("verifiability") or VERIFIABILITY[0]).split("、")) <= set(VERIFIABILITY):
        yield "unknown verifiability", record["verifiability"], "、".join(VERIFIABILITY)
    if not isinstance(kind, str) or kind not in KINDS:
        if kind:
            yield "unknown kind", kind, f"one of {sorted(KINDS)}"
        return
    wanted = OUTCOMES[kind] | ({MISFIT} if _table(record, "applies").get("plausible") else set())
    if levels and set(levels) != wanted:
        yield "levels do not name the outcomes of the kind", sorted(levels), str(sorted(wanted))
    if unknown := sorted(set(_table(record, "parameters")) - PARAMETERS[kind]):
        yield f"unknown parameters of the kind '{kind}'", unknown, f"some of {sorted(PARAMETERS[kind])}"
    if kind == "peer_band" and not wrong and max(levels.values(), default=0) > 1:
        yield "differing from peers is a note only", dict(levels), "levels 0 and 1"
    if kind == "spatial_conflict":
        yield from _problems_of_space(record)
    if (figure := _table(record, "applies").get("figure")) is not None:
        if not str(figure).startswith(FIGURES):
            yield "no topic has this figure", figure, " or ".join(f"{one}…" for one in FIGURES)
        if (_table(record, "applies").get("by") == "warning") == ("limit" in _table(record, "parameters")):
            yield (
                "a figure is held against a limit or told by its warning",
                dict(_table(record, "parameters")),
                ("parameters.limit, or applies.by = 'warning'"),
            )
    yield from _problems_of_cases(kind, record.get("cases") or ())


def _problems_of_cases(kind: str, cases: Any) -> Iterator[Problem]:
    """Worked cases too few, or not such as the kind can judge."""
    if not isinstance(cases, list) or not all(isinstance(case, Mapping) for case in cases):
        if cases:
            yield "worked cases are no list of tables", cases, "[[ID.cases]]"
        return
    if len({str(case.get("level")) for case in cases}) < 2:
        yield "two worked cases are needed, one on each side of the limit", len(cases), "two levels or more"
    known = inspect.signature(KINDS[kind]).parameters
    needed = {name for name, one in known.items() if one.default is one.empty} - {"rule"}
    for number, case in enumerate(cases, 1):
        if unknown := sorted(set(case) - {"given", "level", "margin"}):
            yield f"unknown key in worked case {number}", unknown, "given, level, margin"
        if case.get("level") not in LEVELS:
            yield f"worked case {number} has no level of the scale", case.get("level"), "-1 to 4"
        given = case.get("given")
        if not isinstance(given, Mapping) or not needed <= set(given) <= set(known) - {"rule"}:
            found = sorted(given) if isinstance(given, Mapping) else given
            more = sorted(set(known) - needed - {"rule"})
            expected = f"given = {{ {', '.join(sorted(needed))} }}" + (f" and perhaps {more}" if more else "")
            yield f"a worked case does not fit the kind '{kind}' (case {number})", found, expected


def _problems_of_space(record: Mapping[str, Any]) -> Iterator[Problem]:
    """Check what only spatial rules have: line, side, the change they look at, the limits."""
    applies, side = _table(record, "applies"), record.get("side", "inside")
    if not record.get("line") or side not in SIDES:
        yield (
            "a spatial rule needs 'line' and 'side'",
            [record.get("line"), side],
            f"a role; {', '.join(SIDES)}",
        )
    if unknown := sorted(set(applies) - SPATIAL_APPLIES):
        yield "unknown key in 'applies'", unknown, str(sorted(SPATIAL_APPLIES))
    if missing := sorted({"min_area_m2", "min_width_m"} - set(_table(record, "parameters"))):
        yield "parameter missing", missing, "a number for each"
    table = set(groups().index)
    for key in ("from", "to"):
        if (name := str(applies.get(key, "construction")).removeprefix("not ")) not in table:
            yield f"unknown group of land classes in '{key}'", name, f"one of {', '.join(sorted(table))}"
    listed = [one for key in ("after", "after_not", "plausible") for one in applies.get(key, ())]
    if unknown := [one for one in listed if one not in table and not is_known([one])[0]]:
        yield "neither a land class nor a group", unknown, "codes of survey_codes.csv, groups of groups.csv"
