"""Layers that give zones and ranges their shapes, and the day that what is used of a layer describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from workbench.core.provenance import Source
from workbench.indicators.indicator import WHOLE

if TYPE_CHECKING:
    from workbench.indicators.compute import Run


def frame_roles(run: Run, level: str, scope: str) -> list[str]:
    """Undated layers that give the zones and the scope their shapes."""
    city = run.city
    roles = [city.levels[level].role] if level in city.levels else ["boundary", "districts"]
    if level == "city":
        roles += [spec.role for spec in city.levels.values()][:1]
    if scope != WHOLE and scope in city.scopes:
        roles.append(city.scopes[scope] if city.scopes[scope] in city.layers else "scopes")
    return [role for role in dict.fromkeys(roles) if run.store.has(role) and not run.store.years(role)]


def described(run: Run, source: Source) -> str:
    """Day that what is used of a layer describes.

    Of a table with rows by year it is the year's end, of planning lines the last approval by then; else the layer's own date.
    """
    end = f"{run.year}-12-31"
    spec = run.city.layers.get(source.role)
    if source.year is not None or spec is None or not source.date:
        return source.date
    if spec.kind == "table":
        return min(source.date, end)
    if spec.kind == "vector" and source.update_cycle == "on change":
        lines = run.store.vector(source.role)
        if "approved" in lines:
            approved = pd.to_datetime(lines["approved"]).dropna()
            known = approved[approved <= pd.Timestamp(end)]
            return str(known.max().date()) if len(known) else source.date
    return source.date


def zone_roles(run: Run, level: str) -> list[str]:
    """Layer that gives the zones of a level their shapes."""
    if level in run.city.levels:
        return [run.city.levels[level].role]
    roles = ["boundary", "districts", *(item.role for item in run.city.levels.values())]
    return [role for role in roles if run.store.has(role)][:1]
