"""Rules of the packs read with the role of a proposal: which of them speak, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.codes import groups
from workbench.evaluation.review.items import Item, area_short, area_words, joined, say, square_metres
from workbench.evaluation.review.layers import Layer, LineLayer
from workbench.evaluation.review.measure import Conflict, Measure
from workbench.evaluation.review.proposal import Proposal
from workbench.evaluation.review.settings import Settings
from workbench.evaluation.review.uses import Use
from workbench.rules.activities import NONE_OF_THEM, activities
from workbench.rules.cases import classes_of
from workbench.rules.kinds import MISFIT, OUTCOMES, judge
from workbench.rules.library import load_rules
from workbench.rules.permits import AUTHORISING, match_many
from workbench.rules.rule import Rule

NO_PERMIT, FULL = "无", "已批"
BUILT = ("not construction", "construction")
LISTED = 4
"""Polygons that are named; of more the number is told."""


@dataclass(frozen=True)
class LineCheck:
    """Rules that ask for the same part of a proposal."""

    line: str
    """Role of the line; ``land_use`` for rules that hold anywhere."""
    side: str
    group: str
    """Land of this group now; empty for all of it."""
    to: str
    """Group of the use that the rules are about."""
    kinds: tuple[tuple[str, ...], tuple[str, ...]]
    """Words of the line's kind that count, and that do not."""
    rules: tuple[Rule, ...]
    spared: tuple[str, ...]

    @cached_property
    def first(self) -> Rule:
        """The rule that names the check: one that refines nothing of the same check, else the first."""
        return next((one for one in self.rules if not one.applies.get("activity")), self.rules[0])

    @cached_property
    def min_area_m2(self) -> float:
        """Smaller parts count as mismatch."""
        return float(self.first.parameters["min_area_m2"])

    @cached_property
    def min_width_m(self) -> float:
        """Thinner parts count as slivers."""
        return float(self.first.parameters["min_width_m"])

    @cached_property
    def name(self) -> tuple[str, str]:
        """Name of the line in Chinese and English."""
        return self.first.line_zh, self.first.line_en

    def measured(self, measure: Measure, among: npt.NDArray[np.bool_]) -> Conflict:
        """Parts of some of the proposals that the rules are about."""
        layer = measure.lines.get(self.line)
        of_kind = None
        if layer is not None and any(self.kinds):
            of_kind = layer.now.of_kind(*self.kinds)
        return measure.conflict(
            self.line, outside=self.side == "outside", anywhere=self.side == "anywhere", of_kind=of_kind,
            group=self.group, spared=self.spared, min_width_m=self.min_width_m, among=among,
        )  # fmt: skip

    def speaking(self, use: Use, activity: str) -> list[Rule]:
        """Rules that judge a use and activity, without those that another one refines."""
        if not use.is_in(self.to):
            return []
        found = [one for one in self.rules if _speaks(one, use, activity)]
        refined = {name for one in found for name in one.refines}
        return [one for one in found if one.id not in refined]

    def concerns(self, use: Use, activity: str) -> bool:
        """Whether the check is about a use: a rule judges it, or lists it as one that the line admits."""
        if self.speaking(use, activity):
            return True
        admitted = [one for one in self.rules if "after_not" in one.applies and "after" not in one.applies]
        return use.is_in(self.to) and bool(admitted)


@cache
def _members(listed: tuple[str, ...]) -> frozenset[str]:
    return classes_of(listed)


def _classes(listed: Sequence[str]) -> frozenset[str]:
    """Survey classes of a list of classes and groups, looked up once."""
    return _members(tuple(listed))


def _speaks(rule: Rule, use: Use, activity: str) -> bool:
    applies = rule.applies
    if "activity" in applies and applies["activity"] != activity:
        return False
    if "after" in applies and (not use.stated or use.dlbm not in _classes(applies["after"])):
        return False
    return "after_not" not in applies or not use.stated or use.dlbm not in _classes(applies["after_not"])


def line_checks(settings: Settings, packs: Sequence[str], on: pd.Timestamp) -> list[LineCheck]:
    """Checks of all spatial rules in force on a day, in the order of the packs, lines of the settings last."""
    names = tuple(dict.fromkeys((*settings.packs, *packs)))
    rules = [rule for rule in load_rules(names).values() if rule.kind == "spatial_conflict"]
    rules += [_own_rule(role, one) for role, one in settings.lines.items()]
    groups: dict[tuple[Any, ...], list[Rule]] = {}
    for rule in rules:
        if not rule.in_force(on.date()):
            continue
        applies = rule.applies
        group = str(applies.get("from", ""))
        key = (
            rule.line, rule.side, group, str(applies.get("to", BUILT[1])),
            (tuple(applies.get("line_kind", ())), tuple(applies.get("line_kind_not", ()))),
            tuple(applies.get("yields_to", ())),
        )  # fmt: skip
        groups.setdefault(key, []).append(rule)
    return [
        LineCheck(line, side, group, to, kinds, tuple(found), spared)
        for (line, side, group, to, kinds, spared), found in groups.items()
    ]


def _own_rule(role: str, one: Mapping[str, Any]) -> Rule:
    """Rule for a line of the settings: building inside it has their verdict."""
    level = 3 if one.get("verdict") == "conflicts" else 2
    levels = dict.fromkeys(OUTCOMES["spatial_conflict"], level) | {"small": 0, "sliver": 0, FULL: 1}
    return Rule(
        id=role, title_zh=str(one["line_zh"]), title_en=str(one["line_en"]), kind="spatial_conflict",
        clause=str(one.get("clause", "")), source=str(one.get("source", "")), confidence=str(one.get("confidence", "")),
        verifiability="业务", cases=(), line=role, line_zh=str(one["line_zh"]), line_en=str(one["line_en"]),
        parameters={"min_area_m2": float(one.get("min_area_m2", 200.0)), "min_width_m": float(one.get("min_width_m", 3.0))},
        levels=levels,
    )  # fmt: skip


@dataclass
class LineJudge:
    """Judges the lines for the proposals of a measure.

    Parameters
    ----------
    settings, checks
        Settings and the checks in force.
    measure : Measure
        Shapes against the layers.
    missing : mapping of role to (Chinese, English)
        Why a layer is not there.
    permits : Layer or None
        Permits of the city, for proposals that name their project.
    on : Timestamp
        Day of the review.
    """

    settings: Settings
    checks: Sequence[LineCheck]
    measure: Measure
    missing: Mapping[str, tuple[str, str]]
    permits: Layer | None
    on: pd.Timestamp
    parts: dict[int, Conflict] = field(default_factory=dict)
    later: dict[str, slice] = field(default_factory=dict)
    _calm: dict[str, Item] = field(default_factory=dict)
    _by_line: dict[str, list[int]] = field(default_factory=dict)
    _rules: dict[tuple[int, str, str], list[Rule]] = field(default_factory=dict)
    _about: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)

    def prepare(self, proposals: Sequence[Proposal]) -> None:
        """Work out the shapes of each check for the proposals that it concerns."""
        stated = [(one.use, one.activity) for one in proposals]
        several = set(stated)
        for at, check in enumerate(self.checks):
            self._by_line.setdefault(_place(check), []).append(at)
            there = check.line in self.measure.lines or (
                check.side == "anywhere" and check.line in self.measure.layers
            )
            about = {one for one in several if check.concerns(*one)} if there else set()
            if about:
                among = np.fromiter((one in about for one in stated), dtype=bool, count=len(stated))
                self.parts[at] = check.measured(self.measure, among)
        for line in self.measure.lines:
            found = self.measure.pieces(line, later=True)
            if len(found.shape):
                self.later[line] = self.measure.book.add(found.geometry, found.shape)

    def items(self, k: int, proposal: Proposal) -> list[Item]:
        """Items of all lines for one proposal."""
        found: list[Item] = []
        for line, numbers in self._by_line.items():
            found += self._line(k, proposal, line, numbers)
        return found

    def _line(self, k: int, proposal: Proposal, place: str, numbers: list[int]) -> list[Item]:
        use, activity = proposal.use, proposal.activity
        key = (place, use.dlbm, activity)
        if key not in self._about:
            self._about[key] = [at for at in numbers if self.checks[at].concerns(use, activity)]
        about = self._about[key]
        check = self.checks[(about or numbers)[0]]
        if not about:
            return self._unjudged(k, proposal, check)
        if check.line in self.missing:
            return [
                self._not_there(check, place, say("missing.layer", why=self.missing[check.line], holder=""))
            ]
        layer = self.measure.lines.get(check.line)
        if layer is not None and not len(layer.now) and check.side == "outside":
            return [self._not_there(check, place, say("missing.boundary", line=self._name(check)))]
        book = self.measure.book
        made = [
            self._judged(k, proposal, at, self.parts[at])
            for at in about
            if at in self.parts and book[self.parts[at].whole_area][k] > 0
        ]
        if not made:
            made = [self._nothing(check, place, layer)]
        late = self._late(k, check) if check.side != "outside" else None
        return [_with_later(made[0], *late, self.settings.worded), *made[1:]] if late else made

    def _name(self, check: LineCheck) -> tuple[str, str]:
        """Name of a line as a whole."""
        return self.settings.names.get(check.line, check.name)

    def _not_there(self, check: LineCheck, place: str, words: tuple[str, str]) -> Item:
        key = f"{place}|{check.first.id}"
        if key not in self._calm:
            rule, title = check.first, _title(self._name(check))
            self._calm[key] = Item(rule.id, check.line, "not_checked", *title, *words, clause=rule.clause)
        return self._calm[key]

    def _nothing(self, check: LineCheck, place: str, layer: LineLayer | None) -> Item:
        """Item of a line that the proposal keeps; the same one serves all proposals."""
        kept = f"{place}|{check.first.id}"
        if kept not in self._calm:
            key = "all_inside" if check.side == "outside" else "none"
            if layer is not None and not len(layer.now):
                key = "none_in_force"
            name = self._name(check)
            words = say(f"line.{key}", line=name)
            self._calm[kept] = Item(
                check.first.id, check.line, "complies", *_title(name), *words, clause=check.first.clause
            )
        return self._calm[kept]

    def _unjudged(self, k: int, proposal: Proposal, check: LineCheck) -> list[Item]:
        """Item for a use that no rule of the line is about, where the line is met."""
        if check.side != "inside" or check.line not in self.measure.lines:
            return []
        pieces = self.measure.pieces(check.line)
        here = pieces.here(k)
        if here.start == here.stop:
            return []
        area = float(self.measure.book[self.measure.piece_areas(check.line)][here].sum())
        words = say(
            "line.no_rule", line=check.name, area=area_short(area), use=(proposal.use.zh, proposal.use.en)
        )
        shape = self.measure.inside(check.line)[k]
        return [
            Item(check.first.id, check.line, "not_checked", *_title(check.name), *words, area_m2=area,
                 share=_share(area, self._whole(k)), clause=check.first.clause, geometry=shape)
        ]  # fmt: skip

    def _whole(self, k: int) -> float:
        return float(self.measure.book[self.measure.area][k])

    def _judged(self, k: int, proposal: Proposal, at: int, part: Conflict) -> Item:
        """Item of a check whose part is not empty."""
        check, book, use = self.checks[at], self.measure.book, proposal.use
        key = (at, use.dlbm, proposal.activity)
        if key not in self._rules:
            self._rules[key] = check.speaking(use, proposal.activity)
        rules = self._rules[key]
        whole, solid = float(book[part.whole_area][k]), float(book[part.solid_area][k])
        shape, area = (part.solid[k], solid) if solid > 0 else (part.whole[k], whole)
        common: dict[str, Any] = {
            "area_m2": area, "share": _share(area, self._whole(k)), "features": self._features(k, check, part),
            "geometry": shape, "tolerated_m2": max(whole - area, 0.0),
        }  # fmt: skip
        if not rules:
            words = say("line.admitted", line=check.name, use=(use.zh, use.en), area=area_short(area))
            return Item(check.first.id, check.line, "complies", *_title(check.name), *words, clause=check.first.clause,
                        **common)  # fmt: skip
        fits = {one.id: _fits(one, use) for one in rules}
        width = float(part.width[k]) if solid <= 0 else check.min_width_m
        state, told = self._papers(proposal, rules[0], shape)
        done = {
            one.id: judge(one, area_m2=area, width_m=width, permit_state=state, fits=fits[one.id])
            for one in rules
        }
        rule = max(rules, key=lambda one: done[one.id].level)
        if done[rule.id].outcome in ("small", "sliver"):
            return self._tolerated(check, rule, done[rule.id].outcome, width, common)
        limited = proposal.activity not in ("", NONE_OF_THEM)
        verdict = self.settings.verdict_of(rule, done[rule.id].level, activity=limited)
        if state == FULL and done[rule.id].level <= 1:
            verdict = "complies"
        words = joined(
            _taken(check, area_words(area, self._whole(k))),
            *_activity_words(check, rule, proposal, fits[rule.id]), *told,
            *([] if use.stated else [say("line.use_unknown")]), *_left_out(common["tolerated_m2"]),
        )  # fmt: skip
        needs = () if verdict == "complies" else self.settings.needs_of(rule)
        return Item(
            rule.id,
            check.line,
            verdict,
            *_title(check.name),
            *words,
            clause=rule.clause,
            needs=needs,
            **(common | self.settings.worded(needs)),
        )

    def _tolerated(
        self, check: LineCheck, rule: Rule, outcome: str, width: float, common: dict[str, Any]
    ) -> Item:
        key = f"line.{outcome}{'_outside' if check.side == 'outside' else ''}"
        limit = check.min_area_m2 if outcome == "small" else check.min_width_m
        values: dict[str, Any] = {
            "line": check.name,
            "area": area_short(common["area_m2"]),
            "limit": f"{limit:g}",
        }
        if outcome == "sliver":
            values["width"] = f"{width:.1f}"
        words = joined(say(key, **values), *_left_out(common["tolerated_m2"]))
        common = {**common, "tolerated_m2": common["area_m2"] + common["tolerated_m2"]}
        return Item(
            rule.id, check.line, "complies", *_title(check.name), *words, clause=rule.clause, **common
        )

    def _papers(self, proposal: Proposal, rule: Rule, shape: Any) -> tuple[str, list[tuple[str, str]]]:
        """State of the project's own permits on a part, and the sentence on it; none where no project is named."""
        if not proposal.project or self.permits is None:
            return NO_PERMIT, []
        own = self.permits.frame[self.permits.column("project_code") == proposal.project]
        if own.empty:
            return NO_PERMIT, [say("line.permit_none")]
        row = match_many(
            np.array([shape], dtype=object), own, crs=own.crs, days=pd.DatetimeIndex([self.on]),
            min_area_m2=self.settings.min_area_m2, min_width_m=self.settings.min_width_m,
            kinds=rule.permit_kinds or AUTHORISING,
        ).iloc[0]  # fmt: skip
        if row["state"] == FULL:
            return FULL, [say("line.permit_full", ids=row["permit_kinds"])]
        if row["permit_share"] > 0:
            return NO_PERMIT, [say("line.permit_part", share=f"{100 * row['permit_share']:.1f}")]
        return NO_PERMIT, [say("line.permit_none")]

    def _features(self, k: int, check: LineCheck, part: Conflict) -> str:
        """Numbers and names of the polygons met, the first few."""
        if check.side == "outside":
            return ""
        pieces = part.pieces
        here = pieces.here(k)
        layer = (
            self.measure.lines[check.line].now
            if check.line in self.measure.lines
            else self.measure.layers[check.line]
        )
        numbers = pieces.feature[here]
        names = layer.column("name") if layer.named else None
        told = [f"{layer.ids[n]} {names[n] if names is not None else ''}".strip() for n in numbers[:LISTED]]
        more = f" +{len(numbers) - LISTED}" if len(numbers) > LISTED else ""
        return "; ".join(told) + more

    def _late(self, k: int, check: LineCheck) -> tuple[tuple[str, str], float] | None:
        """Sentence on polygons of a line that take force later, and the area met; None where none counts."""
        if check.line not in self.later:
            return None
        pieces = self.measure.pieces(check.line, later=True)
        here = pieces.here(k)
        areas = self.measure.book[self.later[check.line]][here]
        if areas.sum() < check.min_area_m2:
            return None
        layer = self.measure.lines[check.line].later
        assert layer is not None
        first = pieces.feature[here][int(areas.argmax())]
        day = pd.Timestamp(layer.frame["approved"].iloc[first]).strftime("%Y-%m-%d")
        name = str(layer.column("name")[first]) or check.name[0]
        return say("line.later", date=day, name=name, area=area_short(float(areas.sum()))), float(areas.sum())


def _place(check: LineCheck) -> str:
    """What one reader would call one line: rules that hold anywhere stand for themselves."""
    return (
        f"{check.line}|{check.group}>{check.to}" if check.side == "anywhere" else f"{check.line}|{check.side}"
    )


def _title(name: tuple[str, str]) -> tuple[str, str]:
    zh, en = name
    en = en.removeprefix("the ").removeprefix("a ")
    return zh, en[:1].upper() + en[1:]


def _taken(check: LineCheck, area: tuple[str, str]) -> tuple[str, str]:
    """Sentence on how much lies on the wrong side; of land of one group where the check asks for that."""
    if not check.group or check.side == "anywhere":
        return say(f"line.{check.side}", line=check.name, area=area)
    return say(
        "line.inside_group", line=check.name, area=area, group=_group(check.group.removeprefix("not "))
    )


@cache
def _group(name: str) -> tuple[str, str]:
    """Name of a group of classes."""
    row = groups().loc[name]
    return str(row["name_zh"]), str(row["name_en"])


def _share(area: float, whole: float) -> float:
    return min(area / whole, 1.0) if whole else 0.0


def _fits(rule: Rule, use: Use) -> bool:
    plausible = _classes(rule.applies.get("plausible", ()))
    return not plausible or not use.stated or use.dlbm in plausible


def _left_out(area: float) -> list[tuple[str, str]]:
    return (
        [say("line.left_out", area=area_short(area))]
        if float(square_metres(area).replace(",", "")) > 0
        else []
    )


def _activity_words(check: LineCheck, rule: Rule, proposal: Proposal, fits: bool) -> list[tuple[str, str]]:
    """What is to be said of the activity, on the ecological red line only."""
    if not any(one.applies.get("activity") for one in check.rules):
        return []
    if proposal.activity == NONE_OF_THEM:
        return [say("activity.none")]
    if proposal.activity:
        name = tuple(activities(lang).get(proposal.activity, proposal.activity) for lang in ("zh", "en"))
        values: dict[str, Any] = {"name": name}
        return [
            say("activity.allowed", **values)
            if fits
            else say("activity.misfit", use=(proposal.use.zh, proposal.use.en), **values)
        ]
    if not proposal.use.stated:
        return []
    likely = [
        str(one.applies["activity"])
        for one in check.rules
        if one.applies.get("plausible") and proposal.use.dlbm in _classes(one.applies["plausible"])
    ]
    if not likely:
        return [say("activity.no_fit")]
    named = tuple(
        ("、" if lang == "zh" else ", ").join(f"{code} {activities(lang)[code]}" for code in likely)
        for lang in ("zh", "en")
    )
    return [say("activity.unstated", fits=named)]


def _with_later(
    item: Item, words: tuple[str, str], area: float, worded: Callable[[tuple[str, ...]], dict[str, Any]]
) -> Item:
    """Item with the sentence on what takes force later; a line that was kept until now then needs attention."""
    from dataclasses import replace

    zh, en = joined((item.message_zh, item.message_en), words)
    verdict = "needs" if item.verdict == "complies" else item.verdict
    needs = (*item.needs, "pending_line")
    return replace(item, message_zh=zh, message_en=en, verdict=verdict, needs=needs, **worded(needs))


__all__ = ["MISFIT", "LineCheck", "LineJudge", "line_checks"]
