"""Sentences of the conclusion (总体结论). Numbers stand in them as ids of the value table, filled in where they are shown."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from workbench.core.dimensions import dimension_words
from workbench.evaluation.checkup import Checkup
from workbench.evaluation.compare import year_on_year
from workbench.evaluation.derived import checked_lines, indicator_levels, observed
from workbench.indicators.indicator import DIMENSIONS

_ID = re.compile(r"\{([vu]):(v[a-z0-9]+)\}")
LINES = {
    "permanent_farmland": ("永久基本农田内", "inside permanent basic farmland"),
    "ecological_red_line": ("生态保护红线内", "inside the ecological red line"),
    "development_boundary": ("城镇开发边界外", "outside the development boundary"),
}
"""Lines in the order of the report, with their words."""


@dataclass(frozen=True)
class Sentence:
    """One sentence of the conclusion."""

    key: str
    """What it is about: ``judgement``, ``rule``, ``counts``, ``dimension``, ``targets``, ``best``, ``worst``, ``warning``,
    ``cases``."""
    text: str
    """Text with ``{v:<value_id>}`` where a number stands, ``{u:<value_id>}`` where one with its unit does; free of other digits but those of titles and years."""
    level: int = -9
    """Warning level a ``warning`` sentence is about."""
    rests_on: tuple[str, ...] = ()
    """Ids of the values that decided the words, printed or not: who may not see them may not read the sentence."""

    @property
    def value_ids(self) -> list[str]:
        """Ids of the numbers in the sentence, in order.

        >>> Sentence("counts", "共{v:vabc}项").value_ids
        ['vabc']
        """
        return [value_id for _, value_id in _ID.findall(self.text)]

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The sentence in pieces: ``("text", …)``, ``("value", value_id)``, with its unit ``("quantity", value_id)``.

        >>> Sentence("counts", "共{v:vabc}项").parts
        [('text', '共'), ('value', 'vabc'), ('text', '项')]
        >>> Sentence("best", "达{u:vabc}").parts
        [('text', '达'), ('quantity', 'vabc')]
        """
        kinds = {"v": "value", "u": "quantity"}
        found, at = [], 0
        for hit in _ID.finditer(self.text):
            found += [("text", self.text[at : hit.start()]), (kinds[hit.group(1)], hit.group(2))]
            at = hit.end()
        return [(kind, piece) for kind, piece in [*found, ("text", self.text[at:])] if piece]

    def __str__(self) -> str:
        return self.text


class _Writer:
    """Finds rows and writes sentences in one language."""

    def __init__(self, checkup: Checkup, lang: str) -> None:
        self.checkup, self.lang = checkup, lang
        rows = checkup.values
        report = rows[rows["level"] == "report"]
        self.ids = {
            (str(name), str(zone)): (str(id_), float(value))
            for name, zone, id_, value in zip(
                report["indicator"], report["zone"], report["value_id"], report["value"], strict=True
            )
        }
        self.used: list[str] = []

    @cached_property
    def observed(self) -> dict[str, str]:
        """Id of the value of each indicator for the whole city."""
        now = observed(self.checkup.values, self.checkup.year)
        return dict(zip(now["indicator"].astype(str), now["value_id"].astype(str), strict=True))

    def sentence(
        self, key: str, text: str, *, level: int = -9, about: Sequence[str] | None = None
    ) -> Sentence:
        """Sentence that rests on every value asked for since the last one; with ``about`` on those of these lines."""
        used = self.used
        if about is not None:
            used = [self.ids[name][0] for name in self.ids if name[0] == "report.cases" and name[1] in about]
        made = Sentence(key, text, level, tuple(dict.fromkeys(used)))
        self.used = []
        return made

    def say(self, zh: str, en: str) -> str:
        return en if self.lang == "en" else zh

    def num(self, name: str, zone: str = "all") -> str:
        self.used.append(self.ids[name, zone][0])
        return f"{{v:{self.ids[name, zone][0]}}}"

    def value(self, name: str, zone: str = "all") -> float:
        id_, found = self.ids.get((name, zone), ("", 0.0))
        self.used += [id_] if id_ else []
        return 0.0 if math.isnan(found) else found

    def known(self, name: str, zone: str = "all") -> bool:
        return (name, zone) in self.ids and not math.isnan(self.ids[name, zone][1])

    def title(self, indicator: str) -> str:
        self.used += [self.observed[indicator]] if indicator in self.observed else []
        definition = self.checkup.definitions.get(indicator)
        return definition.title(self.lang) if definition is not None else indicator

    def listed(self, items: Sequence[str]) -> str:
        return self.say("、".join(items), ", ".join(items))


def sentences(checkup: Checkup, lang: str = "zh", *, years: int = 1) -> list[Sentence]:
    """Sentences of the conclusion, in reading order.

    Parameters
    ----------
    checkup : Checkup
        Values and findings.
    lang : {"zh", "en"}
        Language.
    years : int
        Years the report looks back on: five of a five-year assessment.

    Returns
    -------
    list of Sentence
        A judgement and the rule it follows from, counts, a sentence a dimension with warnings, targets, best and worst
        against them, warnings, cases.
    """
    writer = _Writer(checkup, lang)
    found = [_judgement(writer, years), _counts(writer)]
    found += _warnings(writer)
    found += _dimensions(writer)
    found += _cases(writer)
    found += _targets(writer)
    return [*found, _rule(writer, found[0])]


VERDICTS = {
    "pressed": ("底线约束存在突出问题，须优先核查处置", "binding limits are under pressure and call for checks first"),
    "behind": ("部分目标进度明显滞后", "some targets are far behind their path"),
    "unknown": ("数据不足，不作总体判断", "too few data for an overall judgement"),
    "watch": ("总体可控，个别方面需要关注", "broadly under control, some matters need attention"),
    "steady": ("已评价的指标未触发关注及以上预警", "no warning of attention or above among the indicators assessed"),
}  # fmt: skip


def verdict(checkup: Checkup) -> str:
    """Key of :data:`VERDICTS`, by the first of these rules that applies.

    ``pressed``: an indicator or a suspected patch is severe; ``behind``: an indicator is serious; ``unknown``: fewer
    than half of the indicators have a value, or no rule judged any; ``watch``: an indicator needs attention;
    ``steady``: otherwise.
    """
    return _verdict(_Writer(checkup, "en"))


def _verdict(writer: _Writer) -> str:
    if writer.value("report.level_4") or writer.value("report.cases_4"):
        return "pressed"
    if writer.value("report.level_3"):
        return "behind"
    if _few(writer) or not writer.value("report.rated"):
        return "unknown"
    return "watch" if writer.value("report.level_2") else "steady"


def _few(writer: _Writer) -> bool:
    return writer.value("report.computed") < 0.5 * writer.value("report.total")


def _basis(writer: _Writer) -> tuple[str, str]:
    """What the suspected patches were read from: the survey of changes, and the bureau's change patches where it has some."""
    if writer.checkup.data.has("change_patches", writer.checkup.year):
        return "按变更调查和变化图斑", "by the survey of changes and the change patches"
    return "按变更调查", "by the survey of changes"


def _judgement(writer: _Writer, years: int) -> Sentence:
    """One paragraph: how the plan stands, from the levels of the indicators and the suspected patches."""
    city = writer.checkup.city.title(writer.lang)
    zh, en = VERDICTS[_verdict(writer)]
    number = writer.num
    judged = writer.value("report.rated")
    last = writer.checkup.year
    when = ("本年度", "this year")
    if years > 1:
        when = (
            f"{last - years + 1}—{last}年评估期末，",
            f"at the end of the period {last - years + 1}–{last}",
        )
    text = writer.say(
        f"{when[0]}{city}国土空间规划实施情况：{zh}。",
        f"How the territorial spatial plan of {city} is carried out {when[1]}: {en}.",
    )
    text += (
        writer.say("没有指标可以判定等级。", " No indicator could be judged.")
        if not judged
        else writer.say(
            f"有判定依据的{number('report.rated')}项指标中，"
            f"严重{number('report.level_4')}项、较重{number('report.level_3')}项、关注{number('report.level_2')}项。",
            f" Of the {number('report.rated')} "
            f"indicators that a rule could judge, {number('report.level_4')} are severe, {number('report.level_3')} serious "
            f"and {number('report.level_2')} need attention.",
        )
    )
    if writer.known("report.cases_4"):
        basis = _basis(writer)
        text += writer.say(
            f"{basis[0]}检查控制线，发现疑似图斑{number('report.cases')}处，其中严重{number('report.cases_4')}处"
            "（同一地块涉及多条控制线的只计一次）。",
            f" The check of the control lines {basis[1]} found {number('report.cases')} suspected places, "
            f"{number('report.cases_4')} of them severe; a place on several lines is counted once.",
        )
    else:
        text += writer.say(
            "缺少控制线，或缺少本年与上一期可比的国土调查，控制线未作检查。",
            " No control line could be checked: the lines, or land surveys of this and an earlier date, are missing.",
        )
    if writer.known("report.problems", "permits") and writer.value("report.problems", "permits"):
        text += writer.say(
            f"审批与项目检查另有问题{number('report.problems', 'permits')}项。",
            f" The check of permits and projects found {number('report.problems', 'permits')} more to be dealt with.",
        )
    blind = [
        (name, zh, en)
        for name, zh, en in (
            ("report.missing", "项指标缺少数据", "lack data"),
            ("report.unrated", "项没有判定依据", "have nothing to be judged by"),
        )
        if writer.value(name)
    ]
    if blind:
        text += writer.say(
            "另有" + "、".join(f"{number(name)}{zh}" for name, zh, _ in blind) + "，不代表正常。",
            " Further "
            + " and ".join(f"{number(name)} {en}" for name, _, en in blind)
            + "; this does not mean normal.",
        )
    if _few(writer) and _verdict(writer) != "unknown":
        text += writer.say(
            "已计算的指标不足一半，本结论不完整。",
            " Fewer than half of the indicators have a value: the judgement is incomplete.",
        )
    text += writer.say(
        "本结论由规则自动给出，图斑在实地核查前均为疑似。",
        " The conclusion is drawn by rules; patches are suspected until verified on site.",
    )  # fmt: skip
    return writer.sentence("judgement", text)


def _rule(writer: _Writer, judgement: Sentence) -> Sentence:
    """How the judgement follows from the counts; without the judgement there is nothing to explain."""
    text = writer.say(
        "总体判断的规则（依次适用）：有严重指标或严重疑似图斑的，判为底线约束存在突出问题；有较重指标的，判为部分目标进度明显滞后；"
        "有数值的指标不足一半或没有指标可以判定的，不作总体判断；有关注指标的，判为总体可控、个别方面需要关注；其余判为未触发预警。",
        "Rules of the overall judgement, the first that applies: a severe indicator or a severe suspected patch - binding "
        "limits under pressure; a serious indicator - targets far behind; fewer than half of the indicators with a value, "
        "or none judged - no judgement; an indicator that needs attention - broadly under control; otherwise no warning.",
    )
    return replace(writer.sentence("rule", text), rests_on=judgement.rests_on)


def _counts(writer: _Writer) -> Sentence:
    text = writer.say(
        f"本次体检共{writer.num('report.total')}项指标，完成计算{writer.num('report.computed')}项，"
        f"因缺少数据未计算{writer.num('report.missing')}项。",
        f"The checkup has {writer.num('report.total')} indicators: {writer.num('report.computed')} were computed, "
        f"{writer.num('report.missing')} were not for want of data.",
    )
    return writer.sentence("counts", text)


def _dimensions(writer: _Writer) -> list[Sentence]:
    """Say which dimensions have warnings; the scorecard beside the sentences has the numbers of all."""
    present = [name for name in DIMENSIONS if ("report.total", name) in writer.ids]
    warned = [n for n in present if any(writer.value(f"report.level_{level}", n) for level in (2, 3, 4))]
    found = []
    words = {4: ("严重", "severe"), 3: ("较重", "serious"), 2: ("关注", "to watch")}
    parts = []
    for name in warned:
        label = dimension_words(name, writer.lang)
        here = [level for level in words if writer.value(f"report.level_{level}", name)]
        zh = "、".join(f"{words[level][0]}{writer.num(f'report.level_{level}', name)}项" for level in here)
        en = ", ".join(f"{writer.num(f'report.level_{level}', name)} {words[level][1]}" for level in here)
        parts.append(writer.say(f"{label}{zh}", f"{label} {en}"))
    if parts:
        text = writer.say(f"各维度预警：{'；'.join(parts)}。", f"Warnings by dimension: {'; '.join(parts)}.")
        found.append(writer.sentence("dimension", text))
    quiet = [n for n in present if n not in warned and writer.value("report.rated", n)]
    if quiet:
        names = writer.listed([dimension_words(name, writer.lang) for name in quiet])
        text = writer.say(
            f"未触发关注及以上预警的维度：{names}。", f"No warning of attention or above: {names}."
        )
        found.append(writer.sentence("dimension", text))
    blind = [n for n in present if n not in warned and not writer.value("report.rated", n)]
    if blind:
        names = writer.listed([dimension_words(name, writer.lang) for name in blind])
        text = writer.say(f"没有可判定指标的维度：{names}。", f"No indicator could be judged: {names}.")
        found.append(writer.sentence("dimension", text))
    return found


def target_deviations(checkup: Checkup) -> pd.DataFrame:
    """Rank the indicators with a target from best to worst by distance to it in percent of the target.

    Returns
    -------
    DataFrame
        ``indicator, year, deviation`` (percent; negative when short of the target), ``value_id`` of the deviation and
        ``observed_id`` of the indicator's value. One row an indicator: the next target year.
    """
    rows = checkup.values[
        (checkup.values["level"] == "report") & checkup.values["indicator"].str.startswith("report.gap_pct.")
    ]
    now = observed(checkup.values, checkup.year).set_index("indicator")["value_id"]
    found = [
        {
            "indicator": name.removeprefix("report.gap_pct."),
            "year": int(zone),
            "deviation": float(value),
            "value_id": id_,
            "observed_id": now[name.removeprefix("report.gap_pct.")],
        }
        for name, zone, value, id_ in zip(
            rows["indicator"], rows["zone"], rows["value"], rows["value_id"], strict=True
        )
    ]
    frame = pd.DataFrame(found, columns=["indicator", "year", "deviation", "value_id", "observed_id"])
    frame["past"] = frame["year"] < checkup.year
    frame = (
        frame.sort_values(["past", "year"], kind="stable").drop_duplicates("indicator").drop(columns="past")
    )
    return frame.sort_values(["deviation", "indicator"], ascending=[False, True], kind="stable").reset_index(
        drop=True
    )


def _targets(writer: _Writer) -> list[Sentence]:
    if not writer.checkup.city.targets:
        none = writer.say("本市档案未录入规划目标。", "The city's profile holds no plan targets.")
        return [writer.sentence("targets", none), *_past(writer)]
    if not writer.value("report.targets_valued"):
        text = writer.say(
            f"规划目标{writer.num('report.targets')}项，均缺少现状值，无法比较。",
            f"The plan sets {writer.num('report.targets')} targets; none can be compared for want of a present value.",
        )
        return [writer.sentence("targets", text), *_past(writer)]
    text = writer.say(
        f"规划目标{writer.num('report.targets')}项，可比较{writer.num('report.targets_valued')}项，其中现状已达到目标年目标值"
        f"{writer.num('report.targets_met')}项；目标年未到而尚未达到的，按进度另行判定。",
        f"The plan sets {writer.num('report.targets')} targets, {writer.num('report.targets_valued')} can be compared and "
        f"{writer.num('report.targets_met')} are reached now; those not yet due are judged by their path.",
    )
    ranked = target_deviations(writer.checkup)
    good = ranked[ranked["deviation"] >= 0].head(3)
    bad = ranked[ranked["deviation"] < 0].iloc[::-1].head(3)

    goals = writer.checkup.values[writer.checkup.values["tier"] == "target"]
    planned = {
        (str(name), int(year)): str(id_)
        for name, year, id_ in zip(goals["indicator"], goals["year"], goals["value_id"], strict=True)
    }

    def item(row: Any) -> str:
        title, now = writer.title(row["indicator"]), row["observed_id"]
        goal = planned[str(row["indicator"]), int(row["year"])]
        return writer.say(
            f"{title}（现状{{u:{now}}}，目标{{u:{goal}}}）", f"{title} (now {{u:{now}}}, target {{u:{goal}}})"
        )

    found = [writer.sentence("targets", text)]
    for key, rows, zh, en in (
        ("best", good, "对照目标年目标值，余量较大的指标", "Best against the value of the target year"),
        ("worst", bad, "对照目标年目标值，差距较大的指标", "Furthest from the value of the target year"),
    ):
        if len(rows):
            items = writer.listed([item(row) for _, row in rows.iterrows()])
            found.append(writer.sentence(key, writer.say(f"{zh}：{items}。", f"{en}: {items}.")))
    return found


def _past(writer: _Writer) -> list[Sentence]:
    """Name the best and worst changes on last year, where no target can be compared with."""
    found = []
    table = year_on_year(writer.checkup).dropna(subset="change_pct")
    for verdict, zh, en in (
        ("better", "与上年相比改善较大的指标", "Improved most on last year"),
        ("worse", "与上年相比变差较大的指标", "Worsened most on last year"),
    ):
        some = table[table["verdict"] == verdict]
        order = some["change_pct"].abs().sort_values(ascending=False, kind="stable").index
        items = [
            writer.say(
                f"{writer.title(row['indicator'])}（变化{{v:{row['change_pct_id']}}}%）",
                f"{writer.title(row['indicator'])} (change {{v:{row['change_pct_id']}}} %)",
            )
            for _, row in some.loc[order].head(3).iterrows()
        ]
        if items:
            text = writer.say(f"{zh}：{writer.listed(items)}。", f"{en}: {writer.listed(items)}.")
            found.append(writer.sentence("best" if verdict == "better" else "worst", text))
    return found


def _warnings(writer: _Writer) -> list[Sentence]:
    levels = indicator_levels(writer.checkup.findings)
    found = []
    kinds = (
        (4, "严重（红色）", "Severe (red)"),
        (3, "较重（橙色）", "Serious (orange)"),
        (2, "关注（黄色）", "Attention (yellow)"),
    )
    for level, zh, en in kinds:
        names = [writer.title(name) for name, worst in sorted(levels.items()) if worst == level]
        if names:
            text = writer.say(f"{zh}预警指标：{writer.listed(names)}。", f"{en}: {writer.listed(names)}.")
            found.append(writer.sentence("warning", text, level=level))
    if not found and writer.value("report.rated"):
        found.append(
            writer.sentence(
                "warning",
                writer.say("没有触发关注及以上预警的指标。", "No indicator calls for attention."),
                level=0,
            )
        )
    return found


def _cases(writer: _Writer) -> list[Sentence]:
    found = []
    for line, (zh, en) in LINES.items():
        if ("report.cases", line) not in writer.ids:
            continue
        word = "疑似新增建设" if line != "development_boundary" else "待核新增建设"
        word_en = "suspected" if line != "development_boundary" else "to be checked"
        if not writer.known("report.cases", line):
            text = writer.say(
                f"{zh}新增建设：缺少数据，无法判断。",
                f"New construction {en}: data are missing, no judgement.",
            )
        else:
            text = writer.say(
                f"{zh}{word}图斑{writer.num('report.cases', line)}个，面积{writer.num('report.cases_ha', line)}公顷，"
                f"其中未见有效批准或批准不足{writer.num('report.cases_open', line)}个。",
                f"New construction {en} ({word_en}): {writer.num('report.cases', line)} patches, "
                f"{writer.num('report.cases_ha', line)} ha; {writer.num('report.cases_open', line)} without full valid "
                "permits.",
            )
        found.append(writer.sentence("cases", text))
    return found + _other_lines(writer)


def _other_lines(writer: _Writer) -> list[Sentence]:
    """Say what was found on every line but the three, which had nothing, and which could not be checked."""
    names = {
        line: writer.say(*words)
        for line, words in checked_lines(writer.checkup.city, writer.checkup.year).items()
        if line not in LINES and ("report.cases", line) in writer.ids
    }
    some = [line for line in names if writer.value("report.cases", line)]
    none = [names[line] for line in names if writer.known("report.cases", line) and line not in some]
    blind = [names[line] for line in names if not writer.known("report.cases", line)]
    items = [
        writer.say(
            f"{names[line]}{writer.num('report.cases', line)}个（{writer.num('report.cases_ha', line)}公顷，"
            f"未见有效批准或批准不足{writer.num('report.cases_open', line)}个）",
            f"{names[line]} {writer.num('report.cases', line)} ({writer.num('report.cases_ha', line)} ha, "
            f"{writer.num('report.cases_open', line)} without full valid permits)",
        )
        for line in some
    ]
    found = []
    basis = _basis(writer)
    empty = [line for line in names if names[line] in none]
    for words, about, zh, en in (
        (items, some, "其他控制线与耕地上的疑似图斑", "Suspected patches on other lines and on cropland"),
        (
            none,
            empty,
            f"{basis[0]}检查、未发现疑似图斑的控制线",
            f"Lines checked {basis[1]} without a suspected patch",
        ),
        (blind, (), "缺少数据、未作检查的控制线", "Lines not checked for want of data"),
    ):
        if words:
            found.append(
                writer.sentence(
                    "cases",
                    writer.say(f"{zh}：{writer.listed(words)}。", f"{en}: {writer.listed(words)}."),
                    about=about,
                )
            )
    return found
