"""Which factors count: those that are there, what stands in for those that are not, and what the result is without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.core.codes import raster_codes
from workbench.core.errors import LayerMissing
from workbench.evaluation.suitability.classify import Plan
from workbench.evaluation.suitability.ground import Ground
from workbench.evaluation.suitability.settings import Factor, Settings, Use
from workbench.evaluation.suitability.words import reason

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.city import City

FACTOR_COLUMNS = [
    "evaluation", "factor", "effect", "weight", "state", "tier", "stands_for", "without", "reason", "reason_zh", "reason_en",
    "layer_source", "date", "source", "confidence",
]  # fmt: skip


def make_plan(settings: Settings, ground: Ground) -> Plan:
    """Uses in force with the factors there are.

    Raises
    ------
    LayerMissing
        When an evaluation lacks a required factor, or has none left.
    """
    chosen = [use for use in settings.uses if _in_force(use, ground)]
    for one in settings.evaluations:
        for use in settings.uses:
            if use.evaluation == one.id and use.required and use.factor not in ground.values:
                raise LayerMissing(
                    settings.factor(use.factor).role,
                    reason=ground.missing[use.factor][0],
                    holder=settings.factor(use.factor).holder or None,
                )
        if not any(use.evaluation == one.id and use.effect == "score" for use in chosen):
            first = next(use for use in settings.uses if use.evaluation == one.id)
            raise LayerMissing(settings.factor(first.factor).role, reason="no_layer")
    tables = {
        at: points_by_code(use, settings.factor(use.factor), settings)
        for at, use in enumerate(chosen)
        if not use.steps
    }
    return Plan(settings.evaluations, tuple(chosen), tables, settings.integration)


def _in_force(use: Use, ground: Ground) -> bool:
    if use.factor not in ground.values:
        return False
    return not use.proxy_for or use.proxy_for not in ground.values


def points_by_code(use: Use, factor: Factor, settings: Settings) -> np.ndarray[Any, Any]:
    """Points of each code of a factor that holds codes: of land classes, of levels of a field, of inside and outside.

    Land without a class gives no points (NaN).
    """
    table = np.full(256, use.other, dtype=np.float32)
    if use.effect == "limit":
        table[:] = 0.0
        table[1] = 1.0
    elif factor.kind == "inside":
        table[:] = use.outside
        table[1] = use.inside
    elif factor.kind == "field":
        for code, level in enumerate(settings.levels(factor), start=1):
            table[code] = use.values.get(level, use.other)
    else:
        for group, score in reversed(use.values.items()):
            table[raster_codes(group)] = score
        table[0] = np.nan
    return table


def factor_table(city: City, data: CityData, year: int, settings: Settings, ground: Ground) -> pd.DataFrame:
    """What each evaluation counts and what it is without.

    Returns
    -------
    DataFrame
        A row for each use: ``state`` (``used``, ``proxy``: stands in for ``stands_for``; ``missing``; ``spare``: what it would
        stand in for is there), ``tier`` (that of the layer; ``proxy`` where it stands in), ``without`` (percent of the cells
        judged that do not have it), ``reason_zh, reason_en``, source of layer and of points.
    """
    judged = max(1, int(ground.inside.sum()))
    rows = []
    for use in settings.uses:
        factor = settings.factor(use.factor)
        there = use.factor in ground.values
        row: dict[str, Any] = {
            "evaluation": use.evaluation, "factor": use.factor, "effect": use.effect, "weight": use.weight,
            "state": "missing", "tier": "", "stands_for": use.proxy_for, "without": 100.0, "reason": "", "reason_zh": "",
            "reason_en": "", "layer_source": "", "date": "", "source": use.source, "confidence": use.confidence,
        }  # fmt: skip
        if not there:
            row["reason"], row["reason_zh"], row["reason_en"] = ground.missing[use.factor]
        else:
            spare = bool(use.proxy_for) and use.proxy_for in ground.values
            row["state"] = "spare" if spare else "proxy" if use.proxy_for else "used"
            if spare:
                by = settings.factor(use.proxy_for)
                row["reason"] = "replaced"
                row["reason_zh"], row["reason_en"] = (
                    reason("replaced", by=by.title_zh)[1],
                    reason("replaced", by=by.title_en)[2],
                )
            elif use.proxy_for:
                row["reason"], row["reason_zh"], row["reason_en"] = "proxy", use.reason_zh, use.reason_en
            row["without"] = 100 * _without(ground, factor) / judged
            row |= _layer(city, data, year, factor)
            if use.proxy_for:
                row["tier"] = "proxy"
        rows.append(row)
    return pd.DataFrame(rows, columns=FACTOR_COLUMNS)


def _without(ground: Ground, factor: Factor) -> int:
    """Cells judged that do not have a factor."""
    values = ground.values[factor.id][ground.inside]
    if factor.continuous:
        return int(np.isnan(values).sum())
    return int((values == 0).sum()) if factor.kind == "class" else 0


def role_of(data: CityData, year: int, factor: Factor) -> str:
    """Layer a factor was read from: its role, or the class raster that stands in for parcels."""
    wanted = year if data.years(factor.role) else None
    return factor.role if data.has(factor.role, wanted) else f"{factor.role}_raster"


def _layer(city: City, data: CityData, year: int, factor: Factor) -> dict[str, str]:
    role = role_of(data, year, factor)
    if role not in city.layers and role == "scopes":
        return {"tier": "", "layer_source": "", "date": ""}
    wanted = year if data.years(role) else None
    if not data.has(role, wanted):
        return {"tier": "", "layer_source": "", "date": ""}
    source = data.source(role, wanted)
    return {"tier": str(source.tier), "layer_source": str(source.source), "date": str(source.date)}


def missing_of(factors: pd.DataFrame, evaluation: str) -> list[str]:
    """Factors an evaluation is without, for which nothing stands in, in the order of the settings."""
    own = factors[factors["evaluation"] == evaluation]
    stood_for = set(own.loc[own["state"] == "proxy", "stands_for"])
    return [
        str(name)
        for name, state in zip(own["factor"], own["state"], strict=True)
        if state == "missing" and name not in stood_for
    ]
