"""From one number of a report back to its definition, its data and the code, and the number computed again."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import ParameterError
from workbench.core.paths import reports_dir
from workbench.reporting.book import suggestion

if TYPE_CHECKING:
    from workbench.core.city import City

RELATIVE = 1e-9
"""Relative difference below which two values are the same."""


@dataclass(frozen=True)
class Traced:
    """What is known of one value."""

    text: str
    """The explanation, one fact a line."""
    agrees: bool
    """Whether the recomputed value is that of the run (missing equals missing)."""
    recomputed: float
    """The value computed again; NaN when missing."""


def find_run(value_id: str, root: Path | None = None) -> Path:
    """Folder of the newest latest run that has a value.

    Raises
    ------
    ParameterError
        No latest run has it.
    """
    import pandas as pd

    known: list[str] = []
    runs = [p.parent for p in (root or reports_dir()).glob("*/*/latest/values.parquet")]
    for run in sorted(runs, key=lambda path: path.stat().st_mtime, reverse=True):
        ids = pd.read_parquet(run / "values.parquet", columns=["value_id"])["value_id"]
        if (ids == value_id).any():
            return run.resolve()
        known += ids.tolist()
    hint = suggestion(value_id, known) if known else "make a report first"
    raise ParameterError(
        f"no latest run has a value '{value_id}'",
        hint=hint if hint.startswith(("did", "make")) else "give --run",
    )


def trace_value(value_id: str, run: Path) -> Traced:
    """Explain a value of a run and compute it again from the layers as they are now.

    Parameters
    ----------
    value_id : str
        Id of the row, as in a page's ``data-v``.
    run : Path
        Folder of the run, with ``values.parquet`` and ``run.json``.

    Raises
    ------
    ParameterError
        The run has no such value.
    """
    import pandas as pd

    from workbench.core.city import load_city

    values = pd.read_parquet(run / "values.parquet")
    rows = values[values["value_id"] == value_id]
    if rows.empty:
        raise ParameterError(
            f"the run has no value '{value_id}'", where=str(run), hint="see tables/values.xlsx"
        )
    row = {str(key): value for key, value in rows.iloc[0].items()}
    document = json.loads((run / "run.json").read_text(encoding="utf-8"))
    city = load_city(document.get("profile") or document["city"])
    year = int(document["year"])
    lines = _identity(row, document)
    indicator = str(row["indicator"])
    computed = row["tier"] != "target" and not indicator.startswith(("report.", "case."))
    lines += _definition(indicator, row, city) if computed else [_derived(indicator, str(row["tier"]))]
    again = _again(city, year, row, computed=computed)
    stated = _number(row["value"])
    agrees = _same(stated, again)
    lines.append(
        f"recomputed      {_shown(again)}  ({'agrees' if agrees else f'differs from {_shown(stated)}'})"
    )
    return Traced("\n".join(lines), agrees, again)


def _identity(row: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """Say what the value is and which run it stands in."""
    lines = [
        f"value           {row['value_id']}",
        f"indicator       {row['indicator']}",
        f"of              {row['level']} {row['zone']}, {row['year']}, {row['scenario']}, edition {row['edition']}",
        f"stated          {_shown(_number(row['value']))} {row['unit']}",
        f"tier            {row['tier']}",
    ]
    if math.isnan(_number(row["value"])):
        lines.append(f"missing because {row['reason_zh']} / {row['reason_en']}")
    lines += [
        f"data of         {row['data_date']}",
        f"inputs hash     {row['inputs_hash']}",
        f"definition      version {row['definition_version']}",
        f"code            {row['code_version']}",
        f"run             {document['run_id']}, {document['started']}",
    ]
    return lines


def _definition(indicator: str, row: dict[str, Any], city: City) -> list[str]:
    """Definition, method and layers behind a computed value."""
    from workbench.catalog.data import CityData
    from workbench.indicators.library import load_library

    definition = load_library().get(indicator)
    if definition is None:
        return [f"definition      '{indicator}' is no longer in the library"]
    lines = [
        f"title           {definition.title_zh} / {definition.title_en}",
        f"source          {definition.source} ({definition.confidence})",
        f"denominator     {definition.denominator_zh}",
    ]
    data = CityData(city)
    for method in definition.methods:
        if method.tier != row["tier"]:
            continue
        lines += [
            f"formula         {method.formula}({json.dumps(dict(method.parameters), ensure_ascii=False, default=str)})"
        ]
        for role in method.inputs:
            years = [y for y in data.years(role) if y <= int(row["year"])]
            year = years[-1] if years else None
            if data.has(role, year):
                one = data.source(role, year)
                at = "" if year is None else f" {year}"
                lines.append(
                    f"input           {role}{at}: {one.sha256[:16]}, {one.date}, {one.licence}, {one.source}"
                )
    return lines


def _derived(indicator: str, tier: str) -> str:
    """Where a value comes from that no formula computes."""
    if tier == "target":
        return "definition      a target of the city's profile"
    kind = (
        "a count or sum over the run's values and findings" if indicator.startswith("report.") else "a case"
    )
    return f"definition      {kind}, derived by the checkup"


def _again(city: City, year: int, row: dict[str, Any], *, computed: bool) -> float:
    """Value of the same row computed without the cache; NaN when missing or gone."""
    if computed:
        from workbench.indicators.compute import compute

        table = compute(
            city,
            int(row["year"]),
            [str(row["indicator"])],
            levels=[str(row["level"])],
            edition=str(row["edition"]),
        )
    else:
        from workbench.evaluation.checkup import checkup

        table = checkup(city, year, use_cache=False).values
    found = table[table["value_id"] == row["value_id"]]["value"]
    return _number(found.iloc[0]) if len(found) else math.nan


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _same(one: float, other: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=1e-12)


def _shown(value: float) -> str:
    return "no data" if math.isnan(value) else f"{value:.12g}"
