"""Comparison with the own past: change on last year, and how much of it is real and how much is revised data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from workbench.core.errors import LayerMissing, ParameterError
from workbench.core.paths import reports_dir
from workbench.core.units import convert
from workbench.evaluation.checkup import Checkup
from workbench.evaluation.derived import observed
from workbench.indicators.compute import compute
from workbench.indicators.indicator import Indicator
from workbench.indicators.library import load_former
from workbench.indicators.values import check

YEAR_ON_YEAR = [
    "indicator", "unit", "decimals", "value", "value_id", "last", "last_id", "change", "change_id", "change_pct",
    "change_pct_id", "verdict",
]  # fmt: skip
"""Columns of :func:`year_on_year`."""

DECOMPOSED = [
    "indicator", "before_published", "before_restated_data", "before_restated_definition", "now", "real_change",
    "data_revision", "definition_revision", "code_revision", "total_change", "unit", "decimals", "basis", "former_version",
    "reason_zh", "reason_en",
]  # fmt: skip
"""Columns of :func:`decompose`."""
PARTS = ("real_change", "data_revision", "definition_revision", "code_revision")
"""The parts of a change, in the order in which they are added up."""


def year_on_year(checkup: Checkup) -> pd.DataFrame:
    """Change of each indicator of the city on the year before.

    Parameters
    ----------
    checkup : Checkup
        Holds the values of the year before where the city has data for it.

    Returns
    -------
    DataFrame
        Columns :data:`YEAR_ON_YEAR`: values in the unit of the indicator with the ids of their rows in the value
        table; ``change_pct`` in percent of the absolute value of last year; ``verdict`` ``better``, ``worse``,
        ``same`` or ``""`` for neutral indicators. Indicators without either value are left out.
    """
    values = checkup.values
    now = observed(values, checkup.year).dropna(subset="value")
    last = observed(values, checkup.year - 1).dropna(subset="value").set_index("indicator")
    derived = values[values["level"] == "report"].drop_duplicates("indicator").set_index("indicator")
    rows = []
    for row in now.to_dict("records"):
        name = str(row["indicator"])
        if name not in last.index:
            continue
        change = derived.loc[f"report.change.{name}"]
        percent = derived.loc[f"report.change_pct.{name}"]
        rows.append(
            {
                "indicator": name,
                "unit": row["unit"],
                "decimals": row["decimals"],
                "value": row["value"],
                "value_id": row["value_id"],
                "last": last.at[name, "value"],
                "last_id": last.at[name, "value_id"],
                "change": change["value"],
                "change_id": change["value_id"],
                "change_pct": percent["value"],
                "change_pct_id": percent["value_id"],
                "verdict": _verdict(checkup, name, float(row["value"]) - float(str(last.at[name, "value"]))),
            }
        )
    return pd.DataFrame(rows, columns=YEAR_ON_YEAR)


def _verdict(checkup: Checkup, indicator: str, change: float) -> str:
    definition = checkup.definitions.get(indicator)
    direction = definition.direction if definition is not None else "neutral"
    sign = {"higher_better": 1.0, "lower_better": -1.0}.get(direction)
    if sign is None:
        ops = [target.op for target in checkup.city.targets if target.indicator == indicator]
        sign = {">=": 1.0, "<=": -1.0}.get(ops[0]) if ops else None
    if sign is None:
        return ""
    return "same" if change == 0 else "better" if sign * change > 0 else "worse"


def restated(checkup: Checkup, year: int, ids: Sequence[str], *, store: Any | None = None) -> pd.DataFrame:
    """Part the change since a year into revised data and real change.

    ``now - first published = (revised - first published) + (now - revised)``.

    Parameters
    ----------
    checkup : Checkup
        The later year.
    year : int
        The earlier year, whose data were revised.
    ids : sequence of str
        Indicators.
    store : optional
        Where layers come from; the checkup's own when not given.

    Returns
    -------
    DataFrame
        Index ``indicator``; ``unit, published, revised, now, total_change, revision, real_change`` in the unit of the
        indicator, computed with today's definition throughout; NaN where an edition does not exist.
    """
    layers = checkup.data if store is None else store
    published = _city_values(checkup, year, ids, "original", layers)
    revised = _city_values(checkup, year, ids, "latest", layers)
    now = _city_values(checkup, checkup.year, ids, "latest", layers)
    frame = pd.DataFrame(
        {
            "unit": now["unit"],
            "published": published["value"],
            "revised": revised["value"],
            "now": now["value"],
        }
    )
    frame["total_change"] = frame["now"] - frame["published"]
    frame["revision"] = frame["revised"] - frame["published"]
    frame["real_change"] = frame["now"] - frame["revised"]
    return frame


def _city_values(checkup: Checkup, year: int, ids: Sequence[str], edition: str, layers: Any) -> pd.DataFrame:
    rows = compute(checkup.city, year, ids, levels=("city",), edition=edition, store=layers)
    return rows.set_index("indicator")


def decompose(
    checkup: Checkup,
    year_before: int | None = None,
    *,
    ids: Sequence[str] | None = None,
    published: pd.DataFrame | None = None,
    former: Mapping[str, Indicator] | None = None,
) -> pd.DataFrame:
    """Part the change since an earlier year's report into real change, revised data, revised definition, revised code.

    The earlier value is computed again step by step: with the data as first published and the definition of then (what
    differs from the report is the code's), with the data as they are known now, with the definition of now. What is
    left is real::

        now - published = real + data revision + definition revision + code revision

    Parameters
    ----------
    checkup : Checkup
        The later year.
    year_before : int, optional
        The earlier year; the year before when not given.
    ids : sequence of str, optional
        Indicators; all of the checkup when not given.
    published : DataFrame, optional
        Value table of the earlier year's report; that of the latest run kept for the city and year when not given. Without
        any, what this code gives for the data as first published stands in, and the code's part is nought.
    former : mapping, optional
        Definitions in force in the earlier year where they differ; see :func:`definitions_before` when not given.

    Returns
    -------
    DataFrame
        Columns :data:`DECOMPOSED`, one row an indicator, in the unit it has now. The four parts add up to ``total_change``
        exactly. Where a step cannot be computed its parts are NaN and ``reason_zh``/``reason_en`` say why. ``basis`` is
        ``published`` (a report's own number) or ``recomputed``.

    Examples
    --------
    >>> PARTS
    ('real_change', 'data_revision', 'definition_revision', 'code_revision')
    """
    before = checkup.year - 1 if year_before is None else int(year_before)
    if before >= checkup.year:
        raise ParameterError(
            "the years are out of order", found=before, expected=f"a year before {checkup.year}"
        )
    data = checkup.data
    now = observed(checkup.values, checkup.year).drop_duplicates("indicator").set_index("indicator")
    chosen = [one for one in (list(now.index) if ids is None else ids) if one in now.index]
    told = published_values(checkup, before) if published is None else published
    old = {} if told is None else _city_rows(told, before)
    definitions = definitions_before(checkup, before) if former is None else former
    former_used = {
        one: definitions[one] for one in chosen if one in definitions and _was_former(one, definitions, old)
    }
    steps = _Steps(checkup, before, chosen, former_used, data)
    rows = [_parts(one, now.loc[[one]].iloc[0], old.get(one), steps) for one in chosen]
    return pd.DataFrame(rows, columns=DECOMPOSED)


def published_values(checkup: Checkup, year: int) -> pd.DataFrame | None:
    """Value table of the latest report kept for a year of the city, or None."""
    path = reports_dir() / checkup.city.name / str(year) / "latest" / "values.parquet"
    if not path.is_file():
        return None
    values = pd.read_parquet(path)
    check(values)
    return values


def definitions_before(checkup: Checkup, year: int) -> dict[str, Indicator]:
    """Definitions in force at the end of a year that a later one has replaced by the checkup's year.

    They come from the library's former definitions, and from the city's role ``definition_revisions`` (``indicator,
    version_before, valid_from, codes_before``), whose land classes take the place of those of the definition of now.
    """
    found = {name: one for name, one in load_former().items() if name in checkup.definitions}
    try:
        table = checkup.data.table("definition_revisions")
    except LayerMissing:
        return found
    for row in table.to_dict("records"):
        name, start = str(row["indicator"]), pd.Timestamp(row["valid_from"])
        in_between = pd.Timestamp(year, 12, 31) < start <= pd.Timestamp(checkup.year, 12, 31)
        if not in_between or name not in checkup.definitions:
            found.pop(name, None)
            continue
        found[name] = _with_classes(
            checkup.definitions[name], str(row["version_before"]), str(row["codes_before"])
        )
    return found


def _with_classes(definition: Indicator, version: str, classes: str) -> Indicator:
    """The definition with other land classes in its methods."""
    dlbm = tuple(code.strip() for code in classes.split(",") if code.strip())
    methods = tuple(
        replace(
            method, parameters={**{k: v for k, v in method.parameters.items() if k != "group"}, "dlbm": dlbm}
        )
        if "group" in method.parameters
        else method
        for method in definition.methods
    )
    return replace(definition, version=version, methods=methods)


def _city_rows(values: pd.DataFrame, year: int) -> dict[str, dict[str, Any]]:
    rows = observed(values, year).drop_duplicates("indicator")
    return {str(row["indicator"]): {str(k): v for k, v in row.items()} for row in rows.to_dict("records")}


def _was_former(
    name: str, definitions: Mapping[str, Indicator], old: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Whether the former definition made the number that was published; taken for granted where none was kept."""
    row = old.get(name)
    return row is None or str(row["definition_version"]) == definitions[name].definition_version


class _Steps:
    """The earlier year computed again: only what a revision can have changed is computed, the rest is taken over."""

    def __init__(
        self, checkup: Checkup, year: int, ids: Sequence[str], former: Mapping[str, Indicator], data: Any
    ) -> None:
        self.former = former
        today = _city_rows(checkup.values, year)
        missing = [one for one in ids if one not in today]
        if missing:
            today |= self._compute(checkup, year, missing, "latest", {}, data)
        self.redefined = today
        self.redated = today | self._compute(checkup, year, list(former), "latest", former, data)
        roles = _revised_roles(data, checkup, year)
        revised = [one for one in ids if roles & self._roles(one, checkup)]
        self.first = self.redated | self._compute(checkup, year, revised, "original", former, data)

    @staticmethod
    def _compute(
        checkup: Checkup,
        year: int,
        ids: Sequence[str],
        edition: str,
        former: Mapping[str, Indicator],
        data: Any,
    ) -> dict[str, dict[str, Any]]:
        if not ids:
            return {}
        library = {**checkup.definitions, **former}
        rows = compute(
            checkup.city, year, ids, levels=("city",), edition=edition, store=data, library=library
        )
        return {str(row["indicator"]): {str(k): v for k, v in row.items()} for row in rows.to_dict("records")}

    def _roles(self, name: str, checkup: Checkup) -> set[str]:
        """Layers the definition of then may read."""
        definition = self.former.get(name, checkup.definitions.get(name))
        return {role for method in definition.methods for role in method.inputs} if definition else set()


def _revised_roles(data: Any, checkup: Checkup, year: int) -> set[str]:
    """Layers that have more than one edition of a year, as files or as rows of one table."""
    found = set()
    for role, spec in checkup.city.layers.items():
        if len(data.editions(role, year if data.years(role) else None)) > 1:
            found.add(role)
        elif spec.kind == "table" and data.has(role, year):
            tables = []
            for edition in ("latest", "original"):
                try:
                    tables.append(data.table(role, year, edition=edition))
                except LayerMissing:
                    continue
            if len(tables) == 2 and not tables[0].equals(tables[1]):
                found.add(role)
    return found


def _parts(name: str, now: pd.Series[Any], told: Mapping[str, Any] | None, steps: _Steps) -> dict[str, Any]:
    unit = str(now["unit"])
    first, redated, redefined = (
        _in_unit(found.get(name), unit) for found in (steps.first, steps.redated, steps.redefined)
    )
    published, basis = first, "recomputed"
    if told is not None:
        published, basis = _in_unit(told, unit), "published"
        first = _like(told, published, first, redated, name, steps)
    value = float(now["value"])
    code = first - published
    data = redated - first
    definition = redefined - redated
    real = value - redefined
    zh, en = _why(value, published, first, redated, redefined)
    former = steps.former.get(name)
    return {
        "indicator": name, "before_published": published, "before_restated_data": redated,
        "before_restated_definition": redefined, "now": value, "real_change": real, "data_revision": data,
        "definition_revision": definition, "code_revision": code, "total_change": real + data + definition + code,
        "unit": unit, "decimals": int(now["decimals"]), "basis": basis,
        "former_version": former.version if former is not None else "", "reason_zh": zh, "reason_en": en,
    }  # fmt: skip


def _like(
    told: Mapping[str, Any], published: float, first: float, redated: float, name: str, steps: _Steps
) -> float:
    """The published number as this code computes it from the data that it was made from.

    Its hash tells which edition that was. When the data are none of the editions there are now, the code is blamed only if
    it is another: with the same code the difference is the data's.
    """
    made_from = str(told["inputs_hash"])
    if made_from == str(steps.redated.get(name, {}).get("inputs_hash")):
        return redated
    if made_from == str(steps.first.get(name, {}).get("inputs_hash")):
        return first
    same_code = str(told["code_version"]) == str(steps.first.get(name, {}).get("code_version"))
    return published if same_code else first


def _in_unit(row: Mapping[str, Any] | None, unit: str) -> float:
    """Value of a row in a unit; NaN when there is none or the unit of then does not convert into that of now."""
    if row is None or pd.isna(row["value"]):
        return math.nan
    try:
        return convert(float(row["value"]), str(row["unit"]), unit)
    except ParameterError:
        return math.nan


def _why(now: float, published: float, first: float, redated: float, redefined: float) -> tuple[str, str]:
    """Why some parts are missing; empty when none is."""
    steps = (
        (now, "本年没有数值", "there is no value this year"),
        (published, "上年报告没有数值", "there was no value in the earlier report"),
        (
            first,
            "无法以首次公布的数据重算上年数值",
            "the earlier value cannot be computed from the data as first published",
        ),
        (
            redated,
            "无法以修订后的数据、原释义重算上年数值",
            "the earlier value cannot be computed by the definition of then",
        ),
        (
            redefined,
            "无法以现行释义重算上年数值",
            "the earlier value cannot be computed by the definition of now",
        ),
    )
    return next(((zh, en) for value, zh, en in steps if math.isnan(value)), ("", ""))
