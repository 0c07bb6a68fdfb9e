"""The values of a run in a process of its own: ``python -m workbench.reporting.values spec.json``.

Builds the catalogue where it is stale, computes the checkup (or finds it in the cache), saves it in the run's
folder and records a digest that changes only when a value or a finding does.
"""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from workbench.core.errors import WorkbenchError
from workbench.reporting.chapter import leave
from workbench.reporting.images import Images
from workbench.reporting.jobs import start_log

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from workbench.core.city import City

log = logging.getLogger(__name__)
IMAGERY = "imagery"
"""Topic that tells what images show."""
RUN_COLUMNS = ("run_id",)
"""Columns that say which run a row came from, not what it says."""


def digest(table: pd.DataFrame) -> str:
    """SHA-256 over a table's content in row order, run identifiers left out; geometry by its WKB."""
    import geopandas as gpd
    import pandas as pd

    plain = pd.DataFrame(table.drop(columns=[c for c in RUN_COLUMNS if c in table]))
    if isinstance(table, gpd.GeoDataFrame) and "geometry" in plain:
        plain["geometry"] = table.geometry.to_wkb(hex=True)
    rows = pd.util.hash_pandas_object(plain.astype(str), index=False).to_numpy()
    return hashlib.sha256("|".join(plain.columns).encode() + rows.tobytes()).hexdigest()


def compute(
    city: str,
    year: int,
    folder: Path,
    *,
    use_cache: bool,
    run_id: str,
    update_cases: bool = False,
    topics: Sequence[str] = (),
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Compute the checkup of a city and year into ``folder``, saying each step; return digests and counts.

    The layers are checked first: one that fails its gate counts as missing, with the reason, in all that follows.

    With ``update_cases`` its findings, and the cases found in images, enter the case register today, and the checkup tells the
    register as it then is.
    The rows of ``topics`` join the values; a topic without its layers is recorded with the reason.
    """
    import pandas as pd

    from workbench.catalog.build import build
    from workbench.catalog.data import CityData
    from workbench.core.city import load_city
    from workbench.evaluation.checkup import checkup
    from workbench.evaluation.topics import answer
    from workbench.governance import check

    profile = load_city(city)
    seen = IMAGERY in topics and profile.interpretation is not None
    with Images(city, year, wanted=seen, use_cache=use_cache, say=say) as images:
        build(
            profile, force=False, progress=None if say is None else lambda *step: say(catalogue_step(*step))
        )
        quality = check(
            profile,
            progress=None if say is None else lambda *step: say(quality_step(*step)),
            use_cache=use_cache,
        )
        images.begin()
        result = checkup(profile, year, use_cache=use_cache, say=say)
        unread = images.wait()
    if update_cases:
        take_cases(profile, result.year, result.findings, images=unread is None)
        result = checkup(profile, year, say=say)  # steps before the register come from the cache
    asked = [name for name in topics if unread is None or name != IMAGERY]
    answers = answer(
        profile,
        result.year,
        asked,
        data=CityData(profile),
        quality=quality,
        findings=result.findings,
        say=say,
    )
    if unread is not None:
        answers.absent[IMAGERY] = unread
    if len(answers.rows):
        result.values = pd.concat([result.values, answers.rows], ignore_index=True)
        result.lineage = pd.concat([result.lineage, answers.lineage], ignore_index=True)
    if "run_id" in result.values:
        result.values["run_id"] = run_id
    result.save(folder)
    return {
        "inputs": inputs(profile),
        "absent": {name: asdict(why) for name, why in answers.absent.items()},
        "values_sha256": digest(result.values),
        "findings_sha256": digest(result.findings),
        "values": len(result.values),
        "missing": int(result.values["value"].isna().sum()),
        "findings": len(result.findings),
    }


def take_cases(city: City, year: int, findings: gpd.GeoDataFrame, *, images: bool) -> None:
    """Take the findings of a checkup into the case register today, and the published cases of images where asked."""
    from workbench.catalog.data import CityData
    from workbench.interpretation.findings import take_in
    from workbench.rules.register import Register

    register = Register.open(city)
    register.update(findings, date.today(), year=year)
    if images:
        take_in(register, CityData(city), year, date.today())


def catalogue_step(done: int, total: int, what: str) -> str:
    """One step of a catalogue's build in words; the demo city's generator counts in percent.

    >>> catalogue_step(3, 20, "land_use 2025")
    'catalogue 3/20: land_use 2025'
    """
    if what.startswith("demo city"):
        return f"{what}, {done * 100 // max(1, total)} %"
    return f"catalogue {done}/{total}: {what}"


def quality_step(done: int, total: int, what: str) -> str:
    """One step of the quality check, which sets the gates of the layers, in words.

    >>> quality_step(3, 42, "land_use 2025")
    'data quality 3/42: land_use 2025'
    """
    return f"data quality {done}/{total}" + (f": {what}" if what else "")


def inputs(city: City) -> dict[str, str]:
    """SHA-256 of every layer edition the catalogue of a city has, by ``role`` or ``role-year``."""
    from workbench.catalog.data import CityData

    data = CityData(city)
    found = {}
    for role in city.layers:
        years: list[int | None] = [*data.years(role)]
        for year in years or [None]:
            if data.has(role, year):
                found[role if year is None else f"{role}-{year}"] = data.source(role, year).sha256
    return found


def main(argv: list[str] | None = None) -> int:
    """Compute what a spec file describes; exit 0 when the values are saved, 1 when it failed."""
    signal.signal(signal.SIGTERM, leave)
    start_log()
    arguments = sys.argv[1:] if argv is None else argv
    spec = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))

    one_at_a_time = Lock()  # images are told of on a thread of their own

    def say(text: str) -> None:
        with one_at_a_time:
            Path(spec["progress"]).write_text(text, encoding="utf-8")

    started = time.monotonic()
    record: dict[str, Any]
    try:
        facts = compute(
            spec["city"],
            spec["year"],
            Path(spec["folder"]),
            use_cache=spec["use_cache"],
            run_id=spec["run_id"],
            update_cases=spec.get("update_cases", False),
            topics=spec.get("topics", ()),
            say=say,
        )
        record = {"status": "ok", "error": None, **facts}
    except WorkbenchError as error:
        record = {"status": "failed", "error": {"name": type(error).__name__, "message": str(error)}}
    except KeyboardInterrupt:
        return 130
    record["seconds"] = round(time.monotonic() - started, 3)
    Path(spec["record"]).write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
    return 0 if record["status"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
