"""What an indicator is: a definition (data) whose methods each name a formula (code)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import geopandas as gpd
import pandas as pd

from workbench.core.provenance import stable_hash

Formula = Callable[..., pd.DataFrame]
F = TypeVar("F", bound=Formula)

TIERS = ("statutory", "substitute", "proxy")
"""Statutory data, data that may stand in for them, and measures of something close to it."""
DIRECTIONS = ("higher_better", "lower_better", "neutral", "constraint")
DIMENSIONS = ("安全", "创新", "协调", "绿色", "开放", "共享", "规划约束", "SDG")
SCOPES = ("市域", "城区", "中心城区")
WHOLE = "市域"
EXTRA_UNITS = frozenset(
    {"1e8 m2", "1e4 CNY/person", "bed", "1e4 person-trip", "ratio", "count/1e4", "tce/1e4 CNY", "m3/1e4 CNY"}
    | {"per mille", "mm", "CNY/m2", "1e4 t", "1e8 USD", "day", "set", "class", "m/person", "ug/m3"}
)
"""Units of the indicator tables that stand for themselves and convert into nothing."""
TABLE_ROLES = frozenset({"statistics", "od_flows"})
"""Roles that hold figures without a place on the ground; every other role is drawn: geometry, raster or network."""
REPORTED = "statistics.reported"
"""The formula of a value that a department fills in as it stands."""
BASES = ("layers", "tables", "reported")
"""What a value is made of: geometry, rasters or networks; figures of tables; a figure filled in as the value itself."""


def reads(*roles: str) -> Callable[[F], F]:
    """Declare the layer roles a formula reads; ``{name}`` stands for the role or roles given as that parameter.

    The library loader compares them with the inputs a definition lists.
    """

    def mark(function: F) -> F:
        function.__reads__ = roles  # type: ignore[attr-defined]
        return function

    return mark


def roles_read(formula: Formula, parameters: Mapping[str, Any]) -> set[str]:
    """Layer roles a formula reads with these parameters.

    Examples
    --------
    >>> @reads("land_use", "{line}")
    ... def inside(data, zones, *, line): ...
    >>> sorted(roles_read(inside, {"line": "green_line"}))
    ['green_line', 'land_use']
    """
    found: set[str] = set()
    for role in getattr(formula, "__reads__", ()):
        if role.startswith("{"):
            value = parameters.get(role[1:-1], inspect.signature(formula).parameters[role[1:-1]].default)
            values: Iterable[str] = [value] if isinstance(value, str) else value or ()
            found.update(values)
        else:
            found.add(role)
    return found


@dataclass(frozen=True)
class Method:
    """One way of computing an indicator; the first whose data exist is used."""

    tier: str
    """``statutory``, ``substitute`` or ``proxy``."""
    formula: str
    """``module.function`` in ``workbench/indicators/formulas``."""
    inputs: tuple[str, ...]
    """Layer roles the formula reads."""
    parameters: Mapping[str, Any]
    """Keyword arguments of the formula."""
    example: Mapping[str, Any]
    """Inputs drawn by hand and the value worked out by hand."""
    scope: str | None = None
    """Where it differs from the indicator's: the range the value is taken over."""
    denominator_zh: str | None = None
    """Where it differs from the indicator's."""
    denominator_en: str | None = None
    """Where it differs from the indicator's."""
    note_zh: str = ""
    """What a reader must know about this way of computing."""
    note_en: str = ""
    """The same in English."""
    function: Formula | None = field(default=None, compare=False, repr=False)
    """The formula itself, bound by the loader."""

    @property
    def basis(self) -> str:
        """One of :data:`BASES`: ``layers`` when a role it reads is drawn on the ground."""
        if self.formula == REPORTED:
            return "reported"
        return "layers" if set(self.inputs) - TABLE_ROLES else "tables"


@dataclass(frozen=True)
class Indicator:
    """One row of the indicator library."""

    id: str
    """Code of the indicator, e.g. ``"TJ-A11"``."""
    title_zh: str
    """Name in Chinese."""
    title_en: str
    """Name in English."""
    dimension: str
    """安全, 创新, 协调, 绿色, 开放, 共享, 规划约束 or SDG."""
    second_level: str
    """Second-level class of the standard."""
    unit: str
    """Unit of the value."""
    decimals: int
    """Decimals a reader sees."""
    kind: str
    """basic, recommended, plan constraint, monitoring, SDG."""
    scope: str
    """市域, 城区 or 中心城区."""
    direction: str
    """higher_better, lower_better, neutral or constraint."""
    denominator_zh: str
    """What the value is a share of or is divided by; empty for plain amounts."""
    denominator_en: str
    """The same in English."""
    holder: str
    """Who usually holds the data."""
    holder_en: str
    """The same in English."""
    unlocks: str
    """What having the data makes possible."""
    unlocks_en: str
    """The same in English."""
    definition: str
    """What is measured, in words, in English."""
    definition_zh: str
    """The same in Chinese; no part of :attr:`definition_version`, which the English words decide."""
    calculation: str
    """The calculation as the source table gives it."""
    source: str
    """Where the definition comes from."""
    confidence: str
    """How sure the definition is, word by word from the source table."""
    version: str
    """Edition of the definition."""
    methods: tuple[Method, ...]
    """In order of preference."""
    file: str
    """Definition file."""
    changed: str = ""
    """Hash of what a city's own edition changed; empty for the library's definition."""
    levels: tuple[str, ...] = ()
    """Zone levels at which a department can state it, e.g. only ``city`` for a share of county units; all when empty."""

    def title(self, lang: str = "zh") -> str:
        """Name in ``zh`` or ``en``."""
        return self.title_en if lang == "en" else self.title_zh

    def definition_text(self, lang: str = "zh") -> str:
        """What is measured, in words, in ``zh`` or ``en``."""
        return self.definition if lang == "en" else self.definition_zh

    @property
    def definition_version(self) -> str:
        """Version and a hash of all that decides the value and its meaning."""
        content = {
            "id": self.id,
            "unit": self.unit,
            "scope": self.scope,
            "denominator": self.denominator_zh,
            "definition": self.definition,
            "calculation": self.calculation,
            "methods": [
                {
                    "tier": m.tier,
                    "formula": m.formula,
                    "inputs": m.inputs,
                    "parameters": dict(m.parameters),
                    "scope": m.scope,
                }
                for m in self.methods
            ],
        }
        if self.changed:
            content["changed"] = self.changed
        return f"{self.version}+{stable_hash(content)[:10]}"

    def compute(self, data: Any, zones: gpd.GeoDataFrame, *, method: int = 0) -> pd.DataFrame:
        """Result of one method for zones that are already cut to the scope.

        Parameters
        ----------
        data : Inputs
            The layers.
        zones : gpd.GeoDataFrame
            Indexed by zone code.
        method : int
            Place of the method in :attr:`methods`.

        Returns
        -------
        pd.DataFrame
            Index = zone code; ``value`` in :attr:`unit`, and where they exist ``numerator``, ``denominator``, ``reason``.
        """
        chosen = self.methods[method]
        assert chosen.function is not None, "definitions are bound when the library is loaded"
        return chosen.function(data, zones, **chosen.parameters)
