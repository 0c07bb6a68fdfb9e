"""Planned use and limits of a proposal, from the plots of the detailed plans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

from workbench.core.codes import match
from workbench.evaluation.review.items import Item, area_short, area_words, say
from workbench.evaluation.review.own_checks import BOUNDARY, OwnChecks, Words, _listed, _sums
from workbench.evaluation.review.proposal import Proposal
from workbench.evaluation.review.settings import Settings
from workbench.evaluation.review.uses import Use, plan_name, plan_survey_class

PLOTS = "plots"
FITS = ("same", "alongside", "argued", "against")
"""How a use goes with a planned one, from the best to the worst."""


def fit(settings: Settings, use: Use, planned: str) -> str:
    """How a use goes with a planned class: ``same``, ``alongside``, ``argued`` or ``against``.

    >>> from workbench.evaluation.review.settings import read_settings
    >>> from workbench.evaluation.review.uses import resolve_use
    >>> [fit(read_settings(), resolve_use(code), "100102") for code in ("0601", "0508", "05H1", "0701")]
    ['same', 'alongside', 'argued', 'against']
    """
    same_plan = bool(use.plan) and (use.plan.startswith(planned) or planned.startswith(use.plan))
    same_class = plan_survey_class(planned) == use.dlbm and (not use.plan or use.plan[:4] == planned[:4])
    if same_plan or same_class:
        return "same"
    admitted = settings.fit_of(planned)
    if admitted is None:
        return "against"
    if use.dlbm in admitted.alongside and plan_survey_class(planned) != use.dlbm:
        return "alongside"
    return "argued" if use.dlbm in admitted.argued or plan_survey_class(planned) == use.dlbm else "against"


def planned_uses(own: OwnChecks, k: int) -> dict[str, float]:
    """Planned class -> square metres, the largest first."""
    if PLOTS in own.missing:
        return {}
    numbers, areas, _ = own._here(PLOTS, k)
    return _sums(own._layer(PLOTS).column("use")[numbers], areas)


def planned_use(own: OwnChecks, k: int, proposal: Proposal) -> Item:
    """Whether the use goes with the planned ones."""
    check = "rv_planned_use"
    if PLOTS in own.missing:
        return own._missing(check, PLOTS)
    numbers, areas, shapes = own._here(PLOTS, k)
    whole, uses = own._whole(k), planned_uses(own, k)
    words: list[Words] = []
    if uses:
        words.append(say("planned.uses", list=_names(uses, whole)))
    bare, outside = _without_plan(own, k, float(areas.sum()))
    needs: list[str] = []
    verdict, at, shape = "complies", 0.0, None
    if not proposal.use.stated:
        verdict = "not_checked"
        words.append(say("planned.use_unknown"))
    elif uses:
        verdict, more, hit = _compare(
            own, proposal, own._layer(PLOTS).column("use")[numbers], areas, shapes, words
        )
        needs += more
        if hit.any():
            at, shape = float(areas[hit].sum()), shapely.union_all(shapes[hit])
    if bare >= own.settings.min_area_m2 and proposal.use.builds:
        words.append(say("planned.no_plan", area=area_words(bare, whole)))
        needs.append("detailed_plan")
        verdict = "conflicts" if verdict == "conflicts" else "needs"
    if outside >= own.settings.min_area_m2 and proposal.use.builds:
        words.append(say("planned.no_plan_outside", area=area_words(outside, whole)))
        verdict = "not_checked" if verdict == "complies" else verdict
    later = own.measure.pieces(PLOTS, later=True)
    here = later.here(k)
    if here.stop > here.start:
        words.append(
            say("planned.later", area=area_short(own._area(shapely.union_all(later.geometry[here]))))
        )
    return own._item(check, PLOTS, verdict, *words, needs=tuple(dict.fromkeys(needs)), area_m2=at,
                     share=at / whole if whole else 0.0, geometry=shape,
                     features="; ".join(str(own._layer(PLOTS).ids[n]) for n in numbers[:4]))  # fmt: skip


def _names(uses: dict[str, float], whole: float) -> Words:
    return _listed([((plan_name(c, "zh"), plan_name(c, "en")), a) for c, a in uses.items()], whole)


def _without_plan(own: OwnChecks, k: int, covered: float) -> tuple[float, float]:
    """Square metres without a plot, inside the development boundary and outside it."""
    bare = max(own._whole(k) - covered, 0.0)
    if BOUNDARY in own.missing:
        return 0.0, bare
    _, areas, _ = own._here(BOUNDARY, k)
    inside = float(areas.sum())
    return max(inside - covered, 0.0), min(max(own._whole(k) - inside, 0.0), bare)


def _compare(
    own: OwnChecks, proposal: Proposal, planned: Any, areas: Any, shapes: Any, words: list[Words]
) -> tuple[str, list[str], Any]:
    """Verdict, procedures and the plots concerned; adds a sentence for each way uses go together."""
    how = np.array([fit(own.settings, proposal.use, str(code)) for code in planned])
    verdict, needs, concerned = "complies", [], np.zeros(len(how), dtype=bool)
    for kind in FITS:
        hit = how == kind
        if areas[hit].sum() <= 0:
            continue
        if kind == "same":
            words.append(say("planned.same", use=(proposal.use.zh, proposal.use.en)))
            continue
        small = own._small(
            float(areas[hit].sum()), shapely.union_all(shapes[hit]) if kind != "alongside" else None
        )
        if small:
            words.append(say("permits.small", area=area_short(float(areas[hit].sum()))))
            continue
        whole = float(areas.sum())
        if set(planned[hit]) == set(planned):  # the list stands in the sentence before
            words.append(say(f"planned.{kind}_all", use=(proposal.use.zh, proposal.use.en)))
        else:
            words.append(say(f"planned.{kind}", list=_names(_sums(planned[hit], areas[hit]), whole)))
        if kind == "argued":
            verdict, concerned = "needs", concerned | hit
            needs.append("use_argument")
        elif kind == "against":
            verdict, concerned = "conflicts", hit
            needs.append("plan_change")
    return verdict, needs, concerned


def limits(own: OwnChecks, k: int) -> list[dict[str, Any]]:
    """Plots that hold more than a mismatch of a proposal, with their limits; the largest first."""
    if PLOTS in own.missing:
        return []
    numbers, areas, shapes = own._here(PLOTS, k)
    layer = own._layer(PLOTS)
    names = ("far", "height_m", "density_pct", "green_pct")
    columns = {name: layer.numbers(name) for name in names}
    uses = layer.column("use")
    rows = [
        {
            "plot": str(layer.ids[n]),
            "use": str(uses[n]),
            "area_m2": float(a),
            **{c: float(columns[c][n]) for c in names},
        }
        for n, a, shape in zip(numbers, areas, shapes, strict=True)
        if not own._small(float(a), shape)
    ]
    return sorted(rows, key=lambda row: -float(row["area_m2"]))


def intensity(own: OwnChecks, k: int, proposal: Proposal) -> Item:
    """Floor area ratio and height against the limits of the plots."""
    check = "rv_intensity"
    if PLOTS in own.missing:
        return own._missing(check, PLOTS)
    rows = limits(own, k)
    if not rows:
        return own._item(check, PLOTS, "not_checked", say("intensity.no_plots"))
    stated = [(n, w, v) for n, w, v in (("far", "far", proposal.far), ("height_m", "height", proposal.height_m))
              if not math.isnan(v)]  # fmt: skip
    limited = [row for row in rows if not (math.isnan(row["far"]) and math.isnan(row["height_m"]))]
    if not limited:
        return own._item(check, PLOTS, "not_checked", say("intensity.no_limits"))
    words = [say("intensity.limits", list=limit_words(limited))]
    if not stated:
        return own._item(check, PLOTS, "not_checked", say("intensity.unstated"), *words)
    verdict = "complies"
    for column, key, value in stated:
        bound = [row for row in limited if not math.isnan(row[column])]
        if not bound:
            continue
        least = min(bound, key=lambda row: float(row[column]))
        unit = " m" if column == "height_m" else ""
        values = {"what": say(f"intensity.{key}"), "value": f"{value:g}{unit}"}
        if value <= least[column] + 1e-9:
            words.append(say("intensity.kept", **values))
            continue
        verdict = "conflicts"
        words.append(say("intensity.over", plot=least["plot"], limit=f"{least[column]:g}{unit}",
                         by=f"{value - least[column]:.4g}{unit}", **values))  # fmt: skip
    return own._item(check, PLOTS, verdict, *words, needs=("plan_change",) if verdict == "conflicts" else (),
                     features="; ".join(str(row["plot"]) for row in limited[:4]))  # fmt: skip


def limit_words(rows: Sequence[dict[str, Any]]) -> Words:
    """Limits of the largest plots in both languages."""
    zh: list[str] = []
    en: list[str] = []
    for row in rows[:3]:
        parts = [("容积率", "FAR", row["far"], ""), ("高度", "height", row["height_m"], " m")]
        for out, name_at, use in ((zh, 0, plan_name(row["use"], "zh")), (en, 1, plan_name(row["use"], "en"))):
            told = [f"{part[name_at]}≤{part[2]:g}{part[3]}" for part in parts if not math.isnan(part[2])]
            out.append(f"{row['plot']} {use} {', '.join(told) if name_at else '、'.join(told)}")
    if len(rows) > 3:
        zh.append(f"等{len(rows)}个地块")
        en.append(f"{len(rows)} plots in all")
    return "；".join(zh), "; ".join(en)


def is_building_land(code: str) -> bool:
    """Whether a planned class stands for construction land."""
    dlbm = plan_survey_class(code)
    return bool(dlbm) and bool(match([dlbm], "construction")[0])
