"""From one number of a report back to its origin: finds the run, has the value explained and computed again."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import ParameterError
from workbench.core.paths import reports_dir
from workbench.indicators.trace import RELATIVE, Trace, trace
from workbench.reporting.book import suggestion


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
    runs = [p.parent for p in (root or reports_dir()).glob("*/*/latest*/values.parquet")]
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

    An indicator's value is traced to its definition, method, layers and code. A count, a sum, a case or a target is
    traced to what it was derived from, and comes from a new checkup without the cache.

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
    found = trace(value_id, run)
    document = json.loads((run / "run.json").read_text(encoding="utf-8"))
    lines = [found.to_text(), *_filled_in(found, document)]
    lines.append(f"{'run':<14}{document['run_id']}, {document['started']}")
    if found.again is not None:
        return Traced("\n".join(lines), bool(found.equal), found.again)
    again = _derived_again(found, document)
    stated = float(found.row["value"])
    agrees = (math.isnan(again) and math.isnan(stated)) or math.isclose(
        again, stated, rel_tol=RELATIVE, abs_tol=1e-12
    )
    shown = "no data" if math.isnan(again) else f"{again:.12g}"
    lines.append(f"{'recomputed':<14}{shown}, {'equal' if agrees else 'not equal'}")
    return Traced("\n".join(lines), agrees, again)


def _filled_in(found: Trace, document: dict[str, object]) -> list[str]:
    """Say which department filled in a figure behind the value, in which file and cell."""
    if all(source.role != "statistics" for source in found.sources):
        return []
    from workbench.catalog.data import CityData
    from workbench.evaluation.fill_in import provenance

    data = CityData(str(document.get("profile") or document["city"]))
    return [f"{'filled in':<14}{fact}" for fact in provenance(data, found.row)]


def _derived_again(found: Trace, document: dict[str, object]) -> float:
    """Value of the same derived row in a checkup made anew; NaN when it is missing or gone."""
    from workbench.evaluation.checkup import checkup

    city = str(document.get("profile") or document["city"])
    values = checkup(city, int(str(document["year"])), use_cache=False).values
    same = values.loc[values["value_id"] == found.row["value_id"], "value"]
    return float(same.iloc[0]) if len(same) else math.nan
