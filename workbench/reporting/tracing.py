"""From one number of a report back to its origin: finds the run, has the value explained and computed again."""

from __future__ import annotations

import importlib
import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import LayerMissing, ParameterError
from workbench.core.lineage import layer_of, unpack
from workbench.core.paths import reports_dir
from workbench.indicators.trace import RELATIVE, Trace, trace
from workbench.reporting.book import suggestion

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation.checkup import Checkup
    from workbench.evaluation.states import States

LINEAGE = "lineage.parquet"
"""File of a run that says what each value is made of."""
FIRST = 10
"""Rules, findings and values behind a derived number that are named."""
SHOWN = 12
"""Inputs of a value that a trace names one by one; those that changed are always named."""


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
    pointed = {_whole(path) for path in (root or reports_dir()).glob("*/*/latest*")}
    runs = [run for run in pointed if (run / "values.parquet").is_file()]
    for run in sorted(runs, key=lambda path: path.stat().st_mtime, reverse=True):
        ids = pd.read_parquet(run / "values.parquet", columns=["value_id"])["value_id"]
        if (ids == value_id).any():
            return run
        known += ids.tolist()
    hint = suggestion(value_id, known) if known else "make a report first"
    raise ParameterError(
        f"no latest run has a value '{value_id}'",
        hint=hint if hint.startswith(("did", "make")) else "give --run",
    )


def _whole(latest: Path) -> Path:
    """Folder of the run a pointer leads to; that of a public edition leads to a folder inside its run."""
    run = latest.resolve()
    return run.parent if (run.parent / "run.json").is_file() else run


def trace_value(value_id: str, run: Path, *, afresh: bool = False) -> Traced:
    """Explain a value of a run and compute it again.

    An indicator's value is traced to its definition, method, layers and code, and computed from the layers as they are
    now. A count, a sum, a case or a target is traced to the rules, findings, cases and values it is made of, and to the
    layers behind these; it is made again from the run's values and findings, or where it takes layers by a checkup whose
    unchanged steps come from the cache.

    Parameters
    ----------
    value_id : str
        Id of the row, as in a page's ``data-v``.
    run : Path
        Folder of the run, with ``values.parquet`` and ``run.json``.
    afresh : bool
        Make a derived number by a whole checkup without the cache, which takes minutes.

    Raises
    ------
    ParameterError
        The run has no such value.
    """
    from workbench.evaluation.checkup import Checkup

    found = trace(value_id, run)
    document = json.loads((run / "run.json").read_text(encoding="utf-8"))
    lines = [found.to_text(), *_filled_in(found, document)]
    derived = found.again is None
    saved = Checkup.read(run) if derived and (run / "checkup.json").is_file() else None
    lines += [] if saved is None else _parents(found, saved)
    lines += _made_of(found, run, document)
    lines.append(f"{'run':<14}{document['run_id']}, {document['started']}")
    if found.again is not None:
        return Traced("\n".join(lines), bool(found.equal), found.again)
    again, how = _derived_again(found, document, saved, afresh=afresh)
    stated = float(found.row["value"])
    agrees = (math.isnan(again) and math.isnan(stated)) or math.isclose(
        again, stated, rel_tol=RELATIVE, abs_tol=1e-12
    )
    shown = "no data" if math.isnan(again) else f"{again:.12g}"
    lines.append(f"{'recomputed':<14}{shown}, {'equal' if agrees else 'not equal'} ({how})")
    return Traced("\n".join(lines), agrees, again)


def _made_of(found: Trace, run: Path, document: dict[str, object]) -> list[str]:
    """Say which inputs a value is made of, and which of them are no longer what they were in the run."""
    import pandas as pd

    if not (run / LINEAGE).is_file():
        return []
    rows = pd.read_parquet(run / LINEAGE, filters=[("value_id", "==", str(found.row["value_id"]))])
    if rows.empty:
        return []
    text = str(rows["made_of"].iloc[0])
    states = _states(document)
    changed = states.changed(text)
    names = sorted(unpack(text), key=lambda name: (name not in changed, name))
    shown = names if len(names) <= SHOWN else names[: max(SHOWN, len(changed))]
    lines = [
        f"{'made of':<14}{name} {unpack(text)[name]}"
        + (", changed since the run" if name in changed else _facts_of(name, states))
        for name in shown
    ]
    if len(names) > len(shown):
        lines.append(f"{'':<14}and {len(names) - len(shown)} more inputs, unchanged since the run")
    verdict = (
        f"yes, {len(changed)} of {len(names)} inputs changed" if changed else "no, every input is as it was"
    )
    return [*lines, f"{'stale':<14}{verdict}"]


def _facts_of(name: str, states: States) -> str:
    """Date, licence and source of an input that is a layer; empty for definitions, rules and the like."""
    role, year, edition = layer_of(name)
    if role not in states.city.layers:
        return ""
    try:
        one = states.data.source(role, year, edition=edition)
    except (LayerMissing, ParameterError):
        return ""
    return f", of {one.date or 'unknown date'}, {one.licence or 'licence not stated'}, {one.source}"


def _parents(found: Trace, saved: Checkup) -> list[str]:
    """Say which rules, findings, cases and values a derived number is made of, and which code made it."""
    if found.row["tier"] == "target":
        return [f"{'made by':<14}the profile, {saved.city.path.name}: targets"]
    from workbench.evaluation.parents import parents

    made = parents(saved, found.row)
    lines = [
        f"{'rule':<14}{rule.id}: {rule.title_zh} / {rule.title_en}; clause: {rule.clause} ({rule.source})"
        for rule in made.rules[:FIRST]
    ]
    lines += [f"{'':<14}and {len(made.rules) - FIRST} more rules"] if len(made.rules) > FIRST else []
    if made.findings:
        lines.append(_listed("findings", list(made.findings)))
    if len(made.values):
        rows = made.values.head(FIRST).to_dict("records")
        lines.append(f"{'values':<14}{len(made.values)} values")
        lines += [
            f"{'':<14}{row['value_id']} {row['indicator']} {row['level']} {row['zone']} {row['year']}: "
            + (row["reason"] if row["value"] != row["value"] else f"{row['value']:.12g} {row['unit']}")
            for row in rows
        ]
        if len(made.values) > FIRST:
            lines.append(f"{'':<14}and {len(made.values) - FIRST} more values")
    module, _, name = made.code.rpartition(".")
    line = inspect.getsourcelines(getattr(importlib.import_module(module), name))[1]
    return [*lines, f"{'code':<14}{module.replace('.', '/')}.py:{line} {name}"]


def _listed(what: str, ids: list[str]) -> str:
    """Number of things and the first ten of them."""
    more = f" … and {len(ids) - FIRST} more" if len(ids) > FIRST else ""
    return f"{what:<14}{len(ids)}: {', '.join(ids[:FIRST])}{more}"


def _states(document: Mapping[str, object]) -> States:
    """Inputs of a run's city as they are now."""
    from workbench.catalog.data import CityData
    from workbench.core.city import load_city
    from workbench.evaluation.states import States

    city = load_city(str(document.get("profile") or document["city"]))
    return States(city, CityData(city), int(str(document["year"])))


def stale_values(run: Path) -> pd.DataFrame:
    """Values of a run that an input behind them no longer supports, see :func:`workbench.evaluation.states.stale`.

    Parameters
    ----------
    run : Path
        Folder of the run.

    Returns
    -------
    DataFrame
        One row a value and input that changed; none when the whole run still holds.

    Raises
    ------
    ParameterError
        The folder is no run, or a run that does not say what its values are made of.
    """
    import pandas as pd

    from workbench.evaluation.states import stale

    if not (run / LINEAGE).is_file():
        raise ParameterError(
            "this run does not say what its values are made of",
            where=str(run),
            expected=LINEAGE,
            hint="make the report again",
        )
    record = next(path for name in ("run.json", "checkup.json") if (path := run / name).is_file())
    document = json.loads(record.read_text(encoding="utf-8"))
    values = pd.read_parquet(run / "values.parquet")
    return stale(values, pd.read_parquet(run / LINEAGE), _states(document))


def latest_run(city: str, year: int) -> Path:
    """Folder of the newest run of a city and year that says what its values are made of.

    Raises
    ------
    ParameterError
        There is none.
    """
    runs = {_whole(path) for path in (reports_dir() / city / str(year)).glob("latest*")}
    found = sorted(
        (path for path in runs if (path / LINEAGE).is_file()), key=lambda path: path.stat().st_mtime
    )
    if not found:
        raise ParameterError(
            "no run of this city and year", where=str(reports_dir()), found=f"{city} {year}",
            hint=f"make a report first: workbench report --city {city} --year {year}",
        )  # fmt: skip
    return found[-1]


def _filled_in(found: Trace, document: dict[str, object]) -> list[str]:
    """Say which department filled in a figure behind the value, in which file and cell."""
    if all(source.role != "statistics" for source in found.sources):
        return []
    from workbench.catalog.data import CityData
    from workbench.evaluation.fill_in import provenance

    data = CityData(str(document.get("profile") or document["city"]))
    return [f"{'filled in':<14}{fact}" for fact in provenance(data, found.row)]


def _derived_again(
    found: Trace, document: Mapping[str, object], saved: Checkup | None, *, afresh: bool
) -> tuple[float, str]:
    """Value of a derived row made anew, NaN when it is missing or gone, and from what it was made."""
    from workbench.evaluation.checkup import checkup
    from workbench.evaluation.parents import again

    if saved is not None and not afresh:
        number = again(saved, found.row)
        if number is not None:
            return number, "from the values and findings of the run; --afresh: from the layers"
    city = str(document.get("profile") or document["city"])
    values = checkup(city, int(str(document["year"])), use_cache=not afresh).values
    same = values.loc[values["value_id"] == found.row["value_id"], "value"]
    how = "from the layers" if afresh else "from the layers; steps without a change from the cache"
    return float(same.iloc[0]) if len(same) else math.nan, how
