"""Which rows of a checkup a view shows, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.core.dimensions import WORDS
from workbench.evaluation.derived import indicator_levels
from workbench.views.numbers import records
from workbench.views.text import plain

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

DIMENSIONS = tuple(WORDS)
"""Dimensions in the order of the report."""


def worst_levels(checkup: CheckupView) -> dict[str, int]:
    """Warning level of each indicator for the whole city; indicators no rule judged are absent."""
    findings = checkup.findings
    if findings is None or len(findings) == 0:
        return {}
    return indicator_levels(findings)


def definition_of(checkup: CheckupView, indicator: str) -> Any:
    """Definition of an indicator; None when the library has none."""
    return checkup.definitions.get(indicator)


def in_order(
    checkup: CheckupView, *, level: str = "city", dimension: str | None = None
) -> list[dict[str, Any]]:
    """Rows of the year's indicators at a level, by dimension and code."""
    values = checkup.values
    keep = (values["level"] == level) & (values["year"] == checkup.year) & (values["tier"] != "target")
    keep &= ~values["indicator"].str.startswith(("report.", "case."))
    keep &= values["scenario"].eq("observed") if "scenario" in values else True
    rows = values[keep]
    if "edition" in rows and (rows["edition"] == "latest").any():
        rows = rows[rows["edition"] == "latest"]
    found = records(rows)
    for row in found:
        row["dimension"] = str(getattr(definition_of(checkup, row["indicator"]), "dimension", ""))
    if dimension is not None:
        found = [row for row in found if row["dimension"] == dimension]
    rank = {name: at for at, name in enumerate(DIMENSIONS)}
    return sorted(
        found, key=lambda row: (rank.get(row["dimension"], 99), str(row["indicator"]), str(row["zone"]))
    )


def target_row(checkup: CheckupView, indicator: str) -> dict[str, Any] | None:
    """The row of an indicator's target: the next year not before the checkup's, else the last."""
    values = checkup.values
    rows = values[
        (values["tier"] == "target") & (values["indicator"].isin([indicator, f"target.{indicator}"]))
    ]
    if rows.empty:
        return None
    rows = rows.sort_values("year", kind="stable")
    later = rows[rows["year"] >= checkup.year]
    return records(later.head(1) if len(later) else rows.tail(1))[0]


def cases_of(checkup: CheckupView, line: str | None = None) -> pd.DataFrame:
    """Findings that are patches inside a control line, from large to small (ties by id)."""
    findings = checkup.findings
    if findings is None or len(findings) == 0:
        return pd.DataFrame(findings)
    rows = findings[findings["kind"] == "spatial_conflict"]
    rows = rows[rows["line"].notna() & rows["area_m2"].notna()]
    if line is not None:
        rows = rows[rows["line"] == line]
    ordered: pd.DataFrame = rows.sort_values(
        ["area_m2", "finding_id"], ascending=[False, True], kind="stable"
    )
    return ordered


def case_statuses(checkup: CheckupView) -> dict[str, str]:
    """Status of the cases in the register by space code; empty without a register."""
    from workbench.evaluation.casebook import register_of

    register = register_of(checkup.city)
    if register is None:
        return {}
    return dict(
        zip(register.cases["space_code"].astype(str), register.cases["status"].astype(str), strict=True)
    )


def district_names(checkup: CheckupView, lang: str = "zh") -> dict[str, str]:
    """Name by code of the districts, as the value table has them; English names where the layer has them."""
    values = checkup.values
    rows = values[values["level"] == "district"].drop_duplicates("zone")
    found = {str(zone): str(name) for zone, name in zip(rows["zone"], rows["zone_name"], strict=True)}
    if lang == "en" and checkup.data.has("districts"):
        layer = checkup.data.vector("districts")
        if {"code", "name_en"} <= set(layer.columns):
            english = zip(layer["code"].astype(str), layer["name_en"], strict=True)
            found |= {code: str(name) for code, name in english if code in found and name and pd.notna(name)}
    return found


def zone_word(checkup: CheckupView, lang: str) -> str:
    """What the zones of the level ``district`` are called in this city: 行政区, or the profile's own word (规划区)."""
    level = (getattr(checkup.city, "levels", None) or {}).get("district")
    own = str(getattr(level, f"title_{lang}", "") or "")
    usual = own.lower() in ("", "区", "区县", "district")
    return plain("column.district", lang) if usual else own


def level_title(checkup: CheckupView, role: str, lang: str) -> str:
    """Name of the zone level whose shapes a layer holds, where it is not the usual one; else empty."""
    levels = getattr(checkup.city, "levels", None) or {}
    for name, level in levels.items():
        if getattr(level, "role", "") == role:
            own = str(getattr(level, f"title_{lang}", "") or "")
            return zone_word(checkup, lang) if name == "district" else own
    return ""


LEAST_SHARE = 0.02
"""A zone with less than this share of the mean zone's denominator is not ranked: a rate of few people says nothing."""


def ranked(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of zones that can be compared: with a value, and with enough people (or area …) below the line.

    Examples
    --------
    >>> many = [{"value": 5.0, "denominator_value": 60000.0}, {"value": 7.0, "denominator_value": 40000.0}]
    >>> few = {"value": 14308.6, "denominator_value": 70.0}
    >>> [row["value"] for row in ranked([*many, few])]
    [5.0, 7.0]
    """
    kept = [dict(row) for row in rows if pd.notna(row["value"])]
    below = [float(row.get("denominator_value", float("nan"))) for row in kept]
    known = [one for one in below if one == one]
    least = LEAST_SHARE * sum(known) / len(known) if known else 0.0
    return [row for row, one in zip(kept, below, strict=True) if not one < least]


def judged_any(checkup: CheckupView) -> bool:
    """Whether any indicator was judged or any control line checked."""
    values = checkup.values
    counts = values[(values["level"] == "report") & (values["year"] == checkup.year)]
    rated = counts[(counts["indicator"] == "report.rated") & (counts["zone"] == "all")]["value"]
    checked = counts[(counts["indicator"] == "report.cases_4") & (counts["zone"] == "all")]["value"]
    known = not len(rated) or bool((rated > 0).any())  # a table without counts says nothing either way
    return known or bool(checked.notna().any())


def wanted_way(checkup: CheckupView, indicator: str) -> str | None:
    """Way in which an indicator improves, ``"up"`` or ``"down"``; None when neither is better."""
    direction = str(getattr(definition_of(checkup, indicator), "direction", ""))
    way = {"higher_better": "up", "lower_better": "down"}.get(direction)
    if way is None:
        ops = [target.op for target in checkup.city.targets if target.indicator == indicator]
        way = {">=": "up", "<=": "down"}.get(ops[0]) if ops else None
    return way


def mapped_indicators(checkup: CheckupView, most: int = 2) -> list[str]:
    """Indicators worth a map: the warned first, rates with a good and a bad end whose districts differ most.

    Parameters
    ----------
    checkup : Checkup
        Values of the districts.
    most : int
        At most so many, of different dimensions.
    """
    levels = worst_levels(checkup)
    found: dict[str, tuple[int, float, str]] = {}
    for indicator, rows in pd.DataFrame(in_order(checkup, level="district")).pipe(_by_indicator):
        definition = definition_of(checkup, indicator)
        rate = bool(getattr(definition, "denominator_zh", ""))
        if not rate or wanted_way(checkup, indicator) is None or rows["value"].isna().any() or len(rows) < 3:
            continue
        values = pd.Series([float(row["value"]) for row in ranked(records(rows))])
        top = float(values.abs().max())
        apart = float(values.std()) / top if top else 0.0
        dimension = str(getattr(definition, "dimension", ""))
        level = levels.get(indicator, 0)
        if apart > 0 and (level, apart) > found.get(dimension, (-1, 0.0, ""))[:2]:
            found[dimension] = (level, apart, indicator)
    return [indicator for *_, indicator in sorted(found.values(), reverse=True)[:most]]


def _by_indicator(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), part) for name, part in rows.groupby("indicator", sort=False)] if len(rows) else []


def report_rows(checkup: CheckupView, prefix: str) -> dict[str, dict[str, Any]]:
    """Rows of derived numbers by what follows a prefix (``report.change.`` → indicator); the first where several."""
    values = checkup.values
    rows = values[(values["level"] == "report") & values["indicator"].str.startswith(prefix)]
    found: dict[str, dict[str, Any]] = {}
    for row in records(rows):
        found.setdefault(str(row["indicator"]).removeprefix(prefix), row)
    return found


def warnings_of(checkup: CheckupView, *, least: int = 1, zone_level: str | None = None) -> pd.DataFrame:
    """Findings on indicators of at least a level, worst first."""
    findings = checkup.findings
    if findings is None or len(findings) == 0:
        return pd.DataFrame()
    rows = findings[(findings["level"] >= least) & (findings["kind"] != "spatial_conflict")]
    if zone_level is not None:
        rows = rows[rows["zone_level"] == zone_level]
    return pd.DataFrame(
        rows.drop(columns="geometry", errors="ignore").sort_values(
            ["level", "indicator", "finding_id"], ascending=[False, True, True], kind="stable"
        )
    )
