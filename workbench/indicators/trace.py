"""Explains one number of a run: definition, clause, data, parameters, code; and computes it again."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.core.errors import ParameterError
from workbench.core.provenance import Source
from workbench.indicators.changes import city_library
from workbench.indicators.compute import Run, code_location, compute, layers_used, open_run
from workbench.indicators.indicator import Indicator

RELATIVE = 1e-9
"""Values that differ less are the same."""


@dataclass(frozen=True)
class Trace:
    """Where a number comes from."""

    row: dict[str, Any]
    """The row of the value table."""
    indicator: Indicator | None
    """Its definition; None for a derived number or a target."""
    method: int
    """Place of the method that was used."""
    location: str
    """File, line and name of the formula."""
    sources: tuple[Source, ...]
    """The layers that the formula reads now."""
    again: float | None
    """The number computed again; None for a derived number or a target."""
    equal: bool | None
    """Whether it is the same; None when it was not computed again."""
    unchanged: bool | None
    """Whether data, parameters and definition are those of the run."""

    def to_text(self) -> str:
        """The trace as plain text, one fact a line."""
        return "\n".join(f"{name:<14}{text}" for name, text in self.facts())

    def facts(self) -> list[tuple[str, str]]:
        """Pairs of a heading and a text."""
        row = self.row
        facts = [
            ("value", f"{row['value_id']} = {_shown(row['value'])} {row['unit']}".strip()),
            ("of", f"{row['indicator']}, {row['level']} {row['zone']} {row['zone_name']}, {row['year']}"),
            ("scenario", f"{row['scenario']}, edition {row['edition']}"),
        ]
        if row["reason"]:
            facts.append(("missing", f"{row['reason']}: {row['reason_zh']} / {row['reason_en']}"))
        if self.indicator is None:
            facts.append(("derived", row["basis"] or row["tier"]))
            return facts
        return facts + self._definition(self.indicator)

    def _definition(self, indicator: Indicator) -> list[tuple[str, str]]:
        row, method = self.row, indicator.methods[self.method]
        facts = [
            ("title", f"{indicator.title_zh} / {indicator.title_en}"),
            (
                "definition",
                f"{indicator.definition_zh} / {indicator.definition} (version {row['definition_version']})",
            ),
            ("calculation", indicator.calculation),
            ("clause", indicator.source),
            ("confidence", indicator.confidence),
            (
                "denominator",
                f"{row['denominator']} / {row['denominator_en']}" if row["denominator"] else "none",
            ),
            (
                "method",
                f"{self.method + 1} of {len(indicator.methods)}, {method.tier} (value: {row['tier'] or 'none'})",
            ),
            ("note", f"{method.note_zh} / {method.note_en}" if method.note_zh else "none"),
            ("parameters", json.dumps(dict(method.parameters), ensure_ascii=False)),
        ]
        for one in self.sources:
            name = one.role if one.year is None else f"{one.role} {one.year}"
            detail = [
                f"sha256 {one.sha256[:16]}",
                f"of {one.date or 'unknown date'}",
                one.licence or "licence not stated",
            ]
            facts.append(("input", f"{name} ({one.edition}): {', '.join([*detail, one.source])}"))
        return [
            *facts,
            ("code", f"{self.location} (version {row['code_version']})"),
            ("inputs", f"{row['inputs_hash']}, {'unchanged' if self.unchanged else 'changed'} since the run"),
            ("recomputed", f"{_shown(self.again)}, {'equal' if self.equal else 'not equal'}"),
        ]


def trace(value_id: str, run_dir: Path | str) -> Trace:
    """Explain a number of a saved run and compute it again from the layers as they are now.

    Parameters
    ----------
    value_id : str
        Id of the row.
    run_dir : Path or str
        Folder with ``values.parquet`` and ``run.json`` (``profile`` or ``city`` names the city).

    Returns
    -------
    Trace

    Raises
    ------
    ParameterError
        The folder is no run, or it has no such value.
    """
    folder = Path(run_dir)
    if not (folder / "values.parquet").is_file():
        raise ParameterError("not the folder of a run", where=str(folder), expected="values.parquet")
    values = pd.read_parquet(folder / "values.parquet")
    rows = values[values["value_id"] == value_id]
    if rows.empty:
        raise ParameterError("the run has no such value", where=str(folder), found=value_id)
    row = {str(key): value for key, value in rows.iloc[0].items()}
    record = folder / "run.json"
    document = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    nothing = Trace(row, None, 0, "", (), None, None, None)
    if row["tier"] in {"target", "derived"}:
        return nothing
    run = open_run(document.get("profile") or str(row["city"]), int(row["year"]), edition=str(row["edition"]))
    return explain(row, run) if row["indicator"] in city_library(run.city) else nothing


def explain(row: dict[str, Any], run: Run) -> Trace:
    """Trace of a row of the value table on a city's layers."""
    indicator = city_library(run.city)[str(row["indicator"])]
    method = int(str(row["basis"]).partition(":")[0] or 1) - 1
    level = str(row["level"])
    again = compute(
        run.city, run.year, [indicator.id], levels=[level], edition=run.edition, store=run.store
    ).set_index("value_id")
    fresh = again.loc[row["value_id"]] if row["value_id"] in again.index else None
    value = float("nan") if fresh is None else float(fresh["value"])
    stated = float(row["value"])
    both_missing = math.isnan(value) and math.isnan(stated)
    return Trace(
        row=row,
        indicator=indicator,
        method=method,
        location=code_location(indicator, method),
        sources=tuple(layers_used(run, indicator, level)),
        again=value,
        equal=both_missing or math.isclose(value, stated, rel_tol=RELATIVE, abs_tol=1e-12),
        unchanged=fresh is not None and fresh["inputs_hash"] == row["inputs_hash"],
    )


def _shown(value: Any) -> str:
    return "no data" if value is None or math.isnan(float(value)) else f"{float(value):.12g}"
