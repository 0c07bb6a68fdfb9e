"""What a review says: items of one rule each, and the review that holds them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from workbench.core.units import MU_M2

VERDICTS = {
    "complies": ("符合", "complies", "#2e7d32"),
    "not_checked": ("未核查", "not checked", "#757575"),
    "needs": ("需办理", "needs action", "#b26a00"),
    "conflicts": ("冲突", "conflicts", "#c62828"),
}
"""Verdict -> name in Chinese and English, and colour; from the mildest to the gravest."""
RANK = {name: rank for rank, name in enumerate(VERDICTS)}
REFUSED = ("未能审查", "could not be reviewed")
"""Verdict on a proposal whose shape cannot be judged, or lies off the city."""
OVERALL = {
    "complies": ("符合", "complies"),
    "not_checked": ("未发现冲突，部分内容未核查", "no conflict found, part not checked"),
    "needs": ("未发现冲突，需办理手续或核实", "no conflict found, procedures or checks needed"),
    "conflicts": ("存在冲突", "conflicts with the plan"),
}
"""Verdict on a whole proposal, in words."""
ITEM_COLUMNS = [
    "rule", "layer", "verdict", "area_m2", "area_mu", "share", "tolerated_m2", "features", "clause", "title_zh", "title_en",
    "message_zh", "message_en", "needs_zh", "needs_en", "geometry",
]  # fmt: skip
"""Columns of :attr:`Review.items`."""
_STATED = tuple(name for name in ITEM_COLUMNS if name != "area_mu")


@dataclass(frozen=True)
class Item:
    """What one rule says of a proposal."""

    rule: str
    """Id of the rule of a pack, or of a check of the review (``rv_…``)."""
    layer: str
    """Role the judgement rests on."""
    verdict: str
    """``complies``, ``conflicts``, ``needs`` or ``not_checked``."""
    title_zh: str
    title_en: str
    message_zh: str
    message_en: str
    area_m2: float = 0.0
    """Ellipsoidal area of :attr:`geometry`."""
    share: float = 0.0
    """Of the proposal's area."""
    tolerated_m2: float = 0.0
    """Slivers and small parts that were not counted."""
    features: str = ""
    """Polygons concerned."""
    clause: str = ""
    needs: tuple[str, ...] = ()
    """Keys of the procedures needed."""
    needs_zh: str = ""
    needs_en: str = ""
    geometry: Any = None
    """The part of the proposal concerned."""

    def title(self, lang: str) -> str:
        """Title in a language."""
        return self.title_en if lang == "en" else self.title_zh

    def message(self, lang: str) -> str:
        """Sentence in a language."""
        return self.message_en if lang == "en" else self.message_zh

    def row(self) -> dict[str, Any]:
        """The item as a row of :data:`ITEM_COLUMNS`."""
        found = {name: getattr(self, name) for name in _STATED}
        found["area_mu"] = self.area_m2 / MU_M2
        return found


@dataclass(frozen=True)
class Review:
    """Verdicts on one proposal, rule by rule."""

    name: str
    """Name of the proposal."""
    city: Any
    """The profile."""
    year: int
    on_date: pd.Timestamp
    """Day for which lines and permits were looked up."""
    geometry: Any
    """The proposal as it was judged; None where it could not be."""
    area_m2: float
    """Ellipsoidal."""
    use: Any
    """:class:`workbench.evaluation.review.uses.Use`."""
    project: str
    activity: str
    judged: tuple[Item, ...]
    """Items, the gravest first."""
    place: Mapping[str, str] = field(default_factory=dict)
    """``district, district_name, unit, unit_name`` that hold most of it."""
    land: Mapping[str, float] = field(default_factory=dict)
    """Survey class -> square metres now."""
    planned: Mapping[str, float] = field(default_factory=dict)
    """Planned class -> square metres."""
    sources: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Layers with their dates: see :meth:`workbench.evaluation.review.reviewer.Reviewer.sources`."""

    reviewer: Any = field(default=None, repr=False, compare=False)
    """The reviewer, whose layers a map draws."""

    @property
    def verdict(self) -> str:
        """The gravest verdict of all items."""
        return max((item.verdict for item in self.judged), key=RANK.__getitem__, default="not_checked")

    @property
    def mu(self) -> float:
        """Area in mu (亩)."""
        return self.area_m2 / MU_M2

    def of(self, *verdicts: str) -> list[Item]:
        """Items with one of the verdicts."""
        return [item for item in self.judged if item.verdict in verdicts]

    def count(self, verdict: str) -> int:
        """Number of items with a verdict."""
        return len(self.of(verdict))

    @cached_property
    def items(self) -> gpd.GeoDataFrame:
        """Items as a table, columns :data:`ITEM_COLUMNS`, the gravest first."""
        return frame_of([item.row() for item in self.judged], self.city.crs)

    def conclusion(self, lang: str) -> str:
        """One sentence: the verdict in words and how many items have which."""
        if {item.rule for item in self.judged} <= {"rv_geometry", "rv_location"}:
            why = self.judged[0].message(lang).rstrip("。.") if self.judged else ""
            return f"{REFUSED[1]}: {why}" if lang == "en" else f"{REFUSED[0]}：{why}"
        head = OVERALL[self.verdict][lang == "en"]
        counts = [
            f"{VERDICTS[name][1]} {self.count(name)}"
            if lang == "en"
            else f"{VERDICTS[name][0]}{self.count(name)}项"
            for name in reversed(VERDICTS)
            if self.count(name)
        ]
        return f"{head} ({', '.join(counts)})" if lang == "en" else f"{head}（{'，'.join(counts)}）"


def frame_of(rows: Sequence[Mapping[str, Any]], crs: Any, *, before: Sequence[str] = ()) -> gpd.GeoDataFrame:
    """Rows of items as a table; ``before`` are columns that stand first."""
    frame = pd.DataFrame(list(rows), columns=[*before, *ITEM_COLUMNS])
    return gpd.GeoDataFrame(frame, geometry="geometry", crs=crs)


def in_order(items: Sequence[Item]) -> tuple[Item, ...]:
    """Items from the gravest to the mildest, else as they come."""
    return tuple(sorted(items, key=lambda item: -RANK[item.verdict]))


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("messages.toml").read_text("utf-8"))


@cache
def _text(key: str) -> tuple[str, str]:
    found: Any = _texts()
    for part in key.split("."):
        found = found[part]
    return found["zh"], found["en"]


def say(key: str, **values: object) -> tuple[str, str]:
    """Text of a key of ``messages.toml`` in Chinese and English; a value may be a pair of both."""
    text_zh, text_en = _text(key)
    if not values:
        return text_zh.format(), text_en.format()
    zh = {name: value[0] if isinstance(value, tuple) else value for name, value in values.items()}
    en = {name: value[1] if isinstance(value, tuple) else value for name, value in values.items()}
    return text_zh.format(**zh), text_en.format(**en)


def joined(*pairs: tuple[str, str]) -> tuple[str, str]:
    """Sentences in Chinese and in English, one after the other."""
    return "".join(zh for zh, _ in pairs), " ".join(en for _, en in pairs if en)


def square_metres(area: float) -> str:
    """Number of square metres as printed: one decimal below a hundred.

    >>> square_metres(12.34), square_metres(12345.6)
    ('12.3', '12,346')
    """
    return f"{area:,.1f}" if area < 100 else f"{area:,.0f}"


def area_words(area: float, whole: float) -> tuple[str, str]:
    """Area in m² and mu and its share of a whole, in both languages.

    >>> area_words(1000.0, 4000.0)
    ('1,000平方米（1.50亩，占25.0%）', '1,000 m² (1.50 mu, 25.0 %)')
    """
    m2, mu = square_metres(area), f"{area / MU_M2:,.2f}"
    percent = 100 * area / whole if whole else 0.0
    share = "<0.1" if 0 < percent < 0.05 else f"{percent:.1f}"
    return f"{m2}平方米（{mu}亩，占{share}%）", f"{m2} m² ({mu} mu, {share} %)"


def part_words(area: float, whole: float) -> tuple[str, str]:
    """Area in m² and its share of a whole, in both languages: for lists.

    >>> part_words(1000.0, 4000.0)
    ('1,000平方米（25.0%）', '1,000 m² (25.0 %)')
    """
    percent = f"{100 * area / whole if whole else 0.0:.1f}"
    return f"{square_metres(area)}平方米（{percent}%）", f"{square_metres(area)} m² ({percent} %)"


def area_short(area: float) -> tuple[str, str]:
    """Area in m² in both languages."""
    return f"{square_metres(area)}平方米", f"{square_metres(area)} m²"
