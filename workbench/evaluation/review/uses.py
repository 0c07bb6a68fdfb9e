"""Uses of land as proposals name them: by survey class, by planning class, or by name."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

from workbench.core.codes import is_known, match, names
from workbench.core.errors import ParameterError
from workbench.core.paths import PACKAGE

PLAN = "plan:"
"""Before a code of the planning classification, whose numbers mean other things than those of the survey."""


@dataclass(frozen=True)
class PlanClass:
    """A class of the planning classification (用地用海分类)."""

    code: str
    zh: str
    en: str
    dlbm: str
    """Survey class that stands for it; empty for classes of the first level."""


@cache
def plan_classes() -> dict[str, PlanClass]:
    """Classes of the planning classification by code.

    >>> plan_classes()["100102"].zh, plan_classes()["100102"].dlbm
    ('二类工业用地', '0601')
    """
    with (PACKAGE / "codes" / "plan_classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {r["code"]: PlanClass(r["code"], r["name_zh"], r["name_en"], r["dlbm"]) for r in rows}


@dataclass(frozen=True)
class Use:
    """What a proposal wants to do with the land."""

    dlbm: str
    """Survey class; empty when no use was stated: building of a kind not known."""
    plan: str
    """Planning class where it was named."""
    zh: str
    en: str

    @property
    def stated(self) -> bool:
        """Whether a use was stated."""
        return bool(self.dlbm)

    @property
    def builds(self) -> bool:
        """Whether the use is construction land; one that is not stated counts as such."""
        return not self.dlbm or bool(match([self.dlbm], "construction")[0])

    def is_in(self, group: str) -> bool:
        """Whether the use belongs to a group of classes, or with ``not …`` to none of it; unknown uses only to building."""
        name = group.removeprefix("not ")
        if not self.dlbm:
            return group in ("construction", "not cropland", "not industrial")
        return bool(match([self.dlbm], name)[0]) != group.startswith("not ")


UNSTATED = Use("", "", "未说明的建设用途", "building of a kind not stated")


def resolve_use(text: str | None) -> Use:
    """Use named by a survey code, a planning code after ``plan:``, or the name of a class.

    Parameters
    ----------
    text : str or None
        ``"0601"``, ``"工业用地"``, ``"plan:100102"``, ``"二类工业用地"``; None or empty: not stated.

    Raises
    ------
    ParameterError
        No class has this code or name.

    Examples
    --------
    >>> resolve_use("0601").zh, resolve_use("plan:1001").dlbm, resolve_use("industrial land").dlbm
    ('工业用地', '0601', '0601')
    """
    wanted = (text or "").strip()
    if not wanted:
        return UNSTATED
    zh, en = names("zh"), names("en")
    if is_known([wanted])[0]:
        return Use(wanted, "", zh[wanted], en[wanted])
    planned = plan_classes()
    code = wanted.removeprefix(PLAN)
    if wanted.startswith(PLAN) and code in planned:
        return _planned(planned[code])
    for listed in (zh, en):
        for code, name in listed.items():
            if name == wanted and is_known([code])[0]:
                return Use(code, "", zh[code], en[code])
    for one in planned.values():
        if wanted in (one.zh, one.en):
            return _planned(one)
    raise ParameterError(
        "no such land use",
        where="use",
        found=wanted,
        expected="a survey class such as 0601, a name such as 工业用地, or plan:100102",
    )


def _planned(one: PlanClass) -> Use:
    if not one.dlbm:
        raise ParameterError("the class is too wide to be judged", where="use", found=f"{one.code} {one.zh}",
                             expected="a class of the second or third level")  # fmt: skip
    return Use(one.dlbm, one.code, one.zh, one.en)


def plan_name(code: str, lang: str) -> str:
    """Name of a planning class; the code where there is none."""
    one = plan_classes().get(str(code))
    return str(code) if one is None else one.en if lang == "en" else one.zh


def plan_survey_class(code: str) -> str:
    """Survey class that stands for a planning class; empty where none does."""
    one = plan_classes().get(str(code))
    return "" if one is None else one.dlbm
