"""Sentences of the conclusion (总体结论). Numbers stand in them as ids of the value table, filled in where they are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.evaluation.checkup import Checkup
from workbench.evaluation.compare import year_on_year
from workbench.evaluation.derived import indicator_levels, observed
from workbench.indicators.indicator import DIMENSIONS

_ID = re.compile(r"\{v:(v[a-z0-9]+)\}")
DIMENSION_EN = {
    "安全": "safety", "创新": "innovation", "协调": "coordination", "绿色": "green", "开放": "openness",
    "共享": "sharing", "规划约束": "plan constraints", "SDG": "SDG",
}  # fmt: skip
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
    """What it is about: ``counts``, ``dimension``, ``targets``, ``best``, ``worst``, ``warning``, ``cases``, ``judgement``."""
    text: str
    """Text with ``{v:<value_id>}`` where a number stands; free of other digits but those of titles and years."""
    level: int = -9
    """Warning level a ``warning`` sentence is about."""

    @property
    def value_ids(self) -> list[str]:
        """Ids of the numbers in the sentence, in order.

        >>> Sentence("counts", "共{v:vabc}项").value_ids
        ['vabc']
        """
        return _ID.findall(self.text)

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The sentence in pieces: ``("text", …)`` and ``("value", value_id)``.

        >>> Sentence("counts", "共{v:vabc}项").parts
        [('text', '共'), ('value', 'vabc'), ('text', '项')]
        """
        pieces = _ID.split(self.text)
        kinds = ("text", "value")
        return [(kinds[at % 2], piece) for at, piece in enumerate(pieces) if piece]

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

    def say(self, zh: str, en: str) -> str:
        return en if self.lang == "en" else zh

    def num(self, name: str, zone: str = "all") -> str:
        return f"{{v:{self.ids[name, zone][0]}}}"

    def value(self, name: str, zone: str = "all") -> float:
        return self.ids.get((name, zone), ("", 0.0))[1]

    def title(self, indicator: str) -> str:
        definition = self.checkup.definitions.get(indicator)
        return definition.title(self.lang) if definition is not None else indicator

    def listed(self, items: Sequence[str]) -> str:
        return self.say("、".join(items), ", ".join(items))


def sentences(checkup: Checkup, lang: str = "zh") -> list[Sentence]:
    """Sentences of the conclusion, in reading order.

    Parameters
    ----------
    checkup : Checkup
        Values and findings.
    lang : {"zh", "en"}
        Language.

    Returns
    -------
    list of Sentence
        A judgement, counts, one sentence a dimension, best and worst against targets, warnings, cases.
    """
    writer = _Writer(checkup, lang)
    found = [_judgement(writer), _counts(writer)]
    found += _dimensions(writer)
    found += _targets(writer)
    found += _warnings(writer)
    found += _cases(writer)
    return found


def _judgement(writer: _Writer) -> Sentence:
    """One paragraph: how the plan stands, from the levels of the indicators and the open cases."""
    city = writer.checkup.city.title(writer.lang)
    severe, serious = writer.value("report.level_4"), writer.value("report.level_3")
    suspected = writer.value("report.cases_4")
    if severe or suspected:
        zh, en = (
            "底线约束存在突出问题，须优先核查处置",
            "binding limits are under pressure and call for checks first",
        )
    elif serious:
        zh, en = "总体可控，部分目标进度滞后", "broadly under control, with some targets behind"
    else:
        zh, en = "总体平稳，未发现突出问题", "steady, with no outstanding problem found"
    missing = ""
    if writer.value("report.missing"):
        missing = writer.say(
            f"另有{writer.num('report.missing')}项指标缺少数据，未参与评价，不代表正常。",
            f" {writer.num('report.missing')} indicators lack data and were not assessed; this does not mean normal.",
        )
    text = writer.say(
        f"本年度{city}国土空间规划实施情况：{zh}。已评价指标中，严重{writer.num('report.level_4')}项、"
        f"较重{writer.num('report.level_3')}项、关注{writer.num('report.level_2')}项。{missing}"
        "本结论由规则自动给出，图斑在核实前均为疑似。",
        f"How the territorial spatial plan of {city} is carried out this year: {en}. Of the indicators assessed, "
        f"{writer.num('report.level_4')} are severe, {writer.num('report.level_3')} serious and "
        f"{writer.num('report.level_2')} need attention.{missing} The conclusion is drawn by rules; patches are "
        "suspected until verified.",
    )
    return Sentence("judgement", text)


def _counts(writer: _Writer) -> Sentence:
    text = writer.say(
        f"本次体检共{writer.num('report.total')}项指标，完成计算{writer.num('report.computed')}项，"
        f"因缺少数据未计算{writer.num('report.missing')}项。",
        f"The checkup has {writer.num('report.total')} indicators: {writer.num('report.computed')} were computed, "
        f"{writer.num('report.missing')} were not for want of data.",
    )
    return Sentence("counts", text)


def _dimensions(writer: _Writer) -> list[Sentence]:
    found = []
    for name in DIMENSIONS:
        if ("report.total", name) not in writer.ids:
            continue
        label = name if writer.lang == "zh" else DIMENSION_EN[name].capitalize()
        warned = sum(writer.value(f"report.level_{level}", name) for level in (2, 3, 4))
        text = writer.say(
            f"{label}维度：完成计算{writer.num('report.computed', name)}项、缺少数据{writer.num('report.missing', name)}项；",
            f"{label}: {writer.num('report.computed', name)} computed, {writer.num('report.missing', name)} missing; ",
        )
        if warned:
            text += writer.say(
                f"严重{writer.num('report.level_4', name)}项、较重{writer.num('report.level_3', name)}项、"
                f"关注{writer.num('report.level_2', name)}项。",
                f"{writer.num('report.level_4', name)} severe, {writer.num('report.level_3', name)} serious, "
                f"{writer.num('report.level_2', name)} to watch.",
            )
        else:
            text += writer.say("未触发关注以上预警。", "no warning of attention or above.")
        found.append(Sentence("dimension", text))
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
    ranked = target_deviations(writer.checkup)
    if ranked.empty:
        return _past(writer)
    most = min(3, max(1, len(ranked) // 2))

    def item(row: Any) -> str:
        side = "优于目标" if row["deviation"] >= 0 else "距目标"
        side_en = "against the target"
        return writer.say(
            f"{writer.title(row['indicator'])}（{side}{{v:{row['value_id']}}}%）",
            f"{writer.title(row['indicator'])} ({{v:{row['value_id']}}} % {side_en})",
        )

    best = [item(row) for _, row in ranked.head(most).iterrows()]
    found = [
        Sentence(
            "best",
            writer.say(
                f"对照规划目标，表现较好的指标：{writer.listed(best)}。",
                f"Best against the targets: {writer.listed(best)}.",
            ),
        )
    ]
    worst = [item(row) for _, row in ranked.iloc[most:].tail(3).iloc[::-1].iterrows()]
    if worst:
        found.append(
            Sentence(
                "worst",
                writer.say(
                    f"差距较大的指标：{writer.listed(worst)}。", f"Furthest behind: {writer.listed(worst)}."
                ),
            )
        )
    return found


def _past(writer: _Writer) -> list[Sentence]:
    """Name the best and worst changes on last year, where the plan states no target to compare with."""
    found = [Sentence("targets", writer.say("没有可比较的目标值。", "There is no target to compare with."))]
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
            found.append(Sentence("best" if verdict == "better" else "worst", text))
    return found


def _warnings(writer: _Writer) -> list[Sentence]:
    levels = indicator_levels(writer.checkup.findings)
    found = []
    for level, zh, en in ((4, "严重（红色）", "Severe (red)"), (3, "较重（橙色）", "Serious (orange)")):
        names = [writer.title(name) for name, worst in sorted(levels.items()) if worst == level]
        if names:
            text = writer.say(f"{zh}预警指标：{writer.listed(names)}。", f"{en}: {writer.listed(names)}.")
        else:
            text = writer.say(f"{zh}预警指标：无。", f"{en}: none.")
        found.append(Sentence("warning", text, level=level))
    return found


def _cases(writer: _Writer) -> list[Sentence]:
    found = []
    for line, (zh, en) in LINES.items():
        if ("report.cases", line) not in writer.ids:
            continue
        word = "疑似新增建设" if line != "development_boundary" else "待核新增建设"
        word_en = "suspected" if line != "development_boundary" else "to be checked"
        no_data = writer.checkup.findings
        no_data = no_data[(no_data["line"] == line) & (no_data["level"] == -1)]
        if len(no_data):
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
        found.append(Sentence("cases", text))
    return found
