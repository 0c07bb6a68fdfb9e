"""What a rule is: one record of the rule library, and the levels a judgement can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True)
class Level:
    """One step of the warning scale."""

    value: int
    """-1 (no data) to 4 (severe)."""
    zh: str
    """Name officials read."""
    en: str
    """English name."""
    colour: str
    """Hex colour used in tables, charts and maps."""


LEVELS: dict[int, Level] = {
    0: Level(0, "正常", "normal", "#2e7d32"),
    1: Level(1, "提示", "note", "#1565c0"),
    2: Level(2, "关注", "attention", "#f9a825"),
    3: Level(3, "较重", "serious", "#ef6c00"),
    4: Level(4, "严重", "severe", "#c62828"),
    -1: Level(-1, "无数据", "no data", "#9e9e9e"),
}
"""The warning scale. It is a proposal of the project: no official table of colours was found."""


@dataclass(frozen=True)
class Case:
    """One worked case of a rule: what is given, and the answer worked out by hand."""

    given: Mapping[str, Any]
    """Keyword arguments of the rule's kind."""
    level: int
    """The level that must come out."""
    margin: float | None = None
    """The margin that must come out, when stated."""


@dataclass(frozen=True)
class Rule:
    """One rule of the library, as written in a pack."""

    id: str
    """Unique in the library."""
    title_zh: str
    """Name officials read."""
    title_en: str
    """English name."""
    kind: str
    """Name of the function in :mod:`workbench.rules.kinds` that judges."""
    clause: str
    """Document and article the rule comes from."""
    source: str
    """Where the text of the clause was found."""
    confidence: str
    """How sure the wording and the limits are."""
    verifiability: str
    """What can prove it: 影像, 业务 or 人工."""
    cases: tuple[Case, ...]
    """Worked cases, at least one on each side of the limit."""
    pack: str = ""
    """The pack (file) the rule stands in."""
    indicator: str = ""
    """Indicator judged; ``*`` means every one that ``applies`` lets through; empty for spatial rules."""
    line: str = ""
    """Role of the planning line, for spatial conflicts."""
    line_zh: str = ""
    """Name of the line officials read."""
    line_en: str = ""
    """English name of the line."""
    line_code: str = ""
    """Abbreviation of the line in case numbers."""
    side: str = "inside"
    """Where a change is questioned: ``inside`` or ``outside`` the line, or ``anywhere``."""
    applies: Mapping[str, Any] = field(default_factory=dict)
    """What a target, an indicator, a change of land or a line must be for the rule to judge it.

    Spatial rules know ``from`` and ``to`` (a group of land classes, or ``not`` and a group), ``after`` and ``after_not``
    (classes or groups), ``line_kind`` and ``line_kind_not`` (words in the line's ``kind``), ``activity`` (a code),
    ``permit_not`` (permit states that make the change an ordinary one, no case), ``yields_to`` (lines whose own cases speak
    for the same ground).
    """
    refines: tuple[str, ...] = ()
    """Rules that say nothing of a patch which this rule judges."""
    permit_kinds: tuple[str, ...] = ()
    """Kinds of permit that allow the change; those that allow construction when empty."""
    owner: str = ""
    """Department that keeps the rule and answers for its limits."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Limits other than the threshold itself, such as the share of a cap that calls for attention."""
    tolerance: float = 0.0
    """Allowed shortfall in the unit of the value (0: none)."""
    levels: Mapping[str, int] = field(default_factory=dict)
    """Outcome name of the kind -> level."""
    valid_from: date | None = None
    """First day the rule is in force; None when it always was."""
    valid_to: date | None = None
    """Last day the rule is in force; None when it has no end."""
    note_zh: str = ""
    """Advice printed with the finding."""
    note_en: str = ""
    """English of ``note_zh``."""

    def in_force(self, on: date) -> bool:
        """Whether the rule is in force on a day.

        >>> from datetime import date
        >>> from workbench.rules.library import load_rules
        >>> load_rules()["cl_permanent_farmland"].in_force(date(2025, 12, 31))
        True
        """
        return (self.valid_from is None or self.valid_from <= on) and (
            self.valid_to is None or on <= self.valid_to
        )

    def in_force_during(self, first: date, last: date) -> bool:
        """Whether the rule is in force on any day from ``first`` to ``last``."""
        return (self.valid_from is None or self.valid_from <= last) and (
            self.valid_to is None or first <= self.valid_to
        )
