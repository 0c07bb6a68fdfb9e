"""A report from a book, a city and a year: plan, compute, execute the chapters, assemble."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from workbench.core.city import City, city_names, load_city
from workbench.core.errors import ParameterError, RunError
from workbench.core.paths import PACKAGE, atomic_dir, cache_dir, home, reports_dir
from workbench.core.quarters import quarter_label, years_label
from workbench.reporting import store
from workbench.reporting.book import (
    LANGUAGES,
    Book,
    Chapter,
    load_book,
    notebook_path,
    quarter_of,
    suggestion,
)
from workbench.reporting.edition import check_edition
from workbench.reporting.formats import FORMATS, write_formats
from workbench.reporting.formats import failed as unwritten_files
from workbench.reporting.jobs import Job, Outcome, run_jobs
from workbench.reporting.parameters import check_parameters, notebook_parameters, parse_value
from workbench.reporting.profile import check_libraries
from workbench.reporting.progress import Steps

STANDARD = ("city", "year", "lang", "run_dir", "quarter")
"""Parameters every chapter's notebook may have and the run fills in."""
VALUES = "values"
"""Name of the first step."""


@dataclass(frozen=True)
class RunResult:
    """What a run left."""

    path: Path
    """The report's page, ``…/report.html``."""
    status: str
    """ok, or failed when a chapter failed."""
    failed: list[str]
    """Ids of the chapters that failed."""
    reused: list[str]
    """Ids of the chapters taken from an earlier run."""
    unwritten: list[str] = field(default_factory=list)
    """Files beside the page that could not be written."""


@dataclass(frozen=True)
class Task:
    """One chapter with everything needed to execute it."""

    chapter: Chapter
    """The chapter."""
    notebook: Path
    """Its notebook."""
    sha256: str
    """Hash of what the notebook does."""
    parameters: dict[str, Any]
    """Its parameters, ``run_dir`` left out."""
    wants_run_dir: bool
    """Whether the notebook takes ``run_dir``."""


@dataclass(frozen=True)
class Plan:
    """A checked run."""

    book: Book
    """The book."""
    city: City
    """The city."""
    year: int
    """Year of the checkup."""
    lang: str
    """zh or en."""
    tasks: tuple[Task, ...]
    """One a chapter."""
    run_id: str
    """Time and short hash, and the quarter of a quarterly report: the run's folder."""
    quarter: int = 0
    """Quarter of the year, 1 to 4; 0 for a book of the whole year."""

    @property
    def period(self) -> str:
        """Year, quarter of the year or years looked back on, as the cover says it."""
        if self.book.years > 1:
            return years_label(self.year, self.book.years, self.lang)
        return quarter_label(self.year, self.quarter, self.lang)


@dataclass
class _State:
    """What is known of a chapter while the run goes on."""

    record: dict[str, Any] = field(default_factory=dict)
    key: str = ""


def find_city(name: str, data_root: Path | str | None = None) -> City:
    """Load a city by name or profile path; an unknown name comes with the nearest known one.

    Raises
    ------
    ParameterError
        No city has this name.
    ProfileError
        The profile cannot be used.
    """
    if not name.endswith(".toml") and not Path(name).exists() and name not in city_names():
        raise ParameterError(f"no city '{name}'", hint=suggestion(name, city_names()))
    return load_city(name, data_root)


def plan(
    book: str,
    city: str,
    year: int | None = None,
    *,
    lang: str | None = None,
    quarter: int | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Plan:
    """Check everything that can be checked before anything runs.

    Parameters
    ----------
    book, city : str
        Names, or paths of TOML files.
    year : int, optional
        Year of the checkup; the profile's latest when not given.
    lang : {"zh", "en"}, optional
        Language; the profile's when not given.
    quarter : int, optional
        Of a quarterly book 1 to 4: that of today in the year that is going on, else the last, when not given.
    parameters : mapping of str to text, optional
        Further notebook parameters, given to every chapter that has them.

    Raises
    ------
    ParameterError
        Unknown book, city, year, language or parameter (with the nearest known name), or a value of the wrong type.
    """
    the_book = load_book(book)
    profile = find_city(city)
    check_libraries(profile)
    chosen = profile.latest_year if year is None else year
    if chosen not in profile.years:
        known = ", ".join(map(str, profile.years))
        raise ParameterError(
            f"no checkup for this year in city '{profile.name}': asked for {chosen}",
            expected=f"one of {known}",
        )
    language = lang or profile.language
    if language not in LANGUAGES:
        raise ParameterError(f"no language '{language}'", hint=suggestion(language, LANGUAGES))
    wanted = quarter_of(the_book, chosen, quarter)
    standard = {"city": city if city in city_names() else str(profile.path), "year": chosen, "lang": language}
    standard |= {"quarter": wanted} if wanted else {}
    tasks = tuple(_task(c, the_book, standard, parameters or {}) for c in the_book.chapters)
    for name in parameters or {}:
        if not any(name in t.parameters for t in tasks):
            known_names = {n for t in tasks for n in notebook_parameters(t.notebook)}
            raise ParameterError(f"unknown parameter '{name}'", hint=suggestion(name, known_names))
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    short = store.sha256_json({"tasks": [[t.sha256, t.parameters] for t in tasks], "pid": os.getpid()})[:6]
    of = f"-q{wanted}" if wanted else ""
    return Plan(the_book, profile, chosen, language, tasks, f"{stamp}-{short}{of}", wanted)


def _task(chapter: Chapter, book: Book, standard: Mapping[str, Any], extra: Mapping[str, str]) -> Task:
    path = notebook_path(chapter, book)
    known = notebook_parameters(path)
    given = {name: value for name, value in standard.items() if name in known}
    given |= {name: parse_value(path, name, text) for name, text in extra.items() if name in known}
    given |= chapter.parameters
    if fixed := [name for name in STANDARD if name in extra or name in chapter.parameters]:
        raise ParameterError(f"'{fixed[0]}' is filled in by the run", hint="use the command's own options")
    check_parameters(path, given)
    return Task(chapter, path, store.notebook_sha256(path), given, "run_dir" in known)


def run_report(
    book: str,
    city: str,
    year: int | None = None,
    *,
    lang: str | None = None,
    quarter: int | None = None,
    jobs: int = 2,
    out_dir: Path | None = None,
    use_cache: bool = True,
    parameters: Mapping[str, str] | None = None,
    time_limit_s: float = 7200.0,
    formats: Sequence[str] = FORMATS,
    edition: str = "internal",
    update_cases: bool = False,
    quiet: bool = False,
    values_module: str = "workbench.reporting.values",
) -> RunResult:
    """Make a report and return where it is.

    Parameters
    ----------
    book, city, year, lang, quarter, parameters
        As for :func:`plan`.
    jobs : int
        Chapters executed at once.
    out_dir : Path, optional
        Folder below which ``<city>/<year>/<run>/`` is made; ``reports/`` when not given.
    use_cache : bool
        Reuse values and chapters whose inputs, definitions and code are unchanged.
    time_limit_s : float
        Longest wall time of the whole run, in seconds; chapters not done by then are reported as timed out.
    formats : sequence of str
        Forms of the report besides the page: ``docx``, ``pdf``.
    edition : {"internal", "public"}
        The public one lies in ``public/`` below the run's folder and holds nothing above 公开.
    update_cases : bool
        Take the findings into the case register first, on the day of the run, so that ages and closing rates are of now.
    quiet : bool
        Show no progress.
    values_module : str
        Module executed for the values step.

    Raises
    ------
    ParameterError, ProfileError, DefinitionError
        Before anything runs.
    RunError
        The values could not be computed; earlier reports stay as they are.

    Notes
    -----
    The folder appears whole or not at all. An interrupt ends every child process; chapters finished by then are
    reused by the next run.
    """
    check_edition(edition)
    the_plan = plan(book, city, year, lang=lang, quarter=quarter, parameters=parameters)
    started, deadline = time.time(), time.monotonic() + time_limit_s
    target = (out_dir or reports_dir()) / the_plan.city.name / str(the_plan.year) / the_plan.run_id
    home().mkdir(parents=True, exist_ok=True)
    with _terminable(), Steps(quiet=quiet) as steps, atomic_dir(target) as folder:
        ways = {"use_cache": use_cache, "update_cases": update_cases}
        values = _values_step(the_plan, folder, steps, values_module, deadline, ways)
        states = _chapter_step(the_plan, folder, steps, jobs, values, deadline, use_cache=use_cache)
        failed = [
            t.chapter.id for t in the_plan.tasks if states[t.chapter.id].record["status"] not in store.DONE
        ]
        reused = [name for name, state in states.items() if state.record.get("reused")]
        record = _finish(
            the_plan, folder, steps, values, states, failed=failed, started=started, prints=(formats, edition)
        )
    store.point_latest(target, _pointer(the_plan, edition), record["folder"])
    page = target / record["folder"] / "report.html"
    unwritten = unwritten_files(record)
    return RunResult(page, "failed" if failed or unwritten else "ok", failed, reused, unwritten)


def _pointer(the_plan: Plan, edition: str) -> str:
    """Name of the link that a run moves."""
    return store.latest_name(
        the_plan.lang, the_plan.city.language, edition, book=the_plan.book.id, own_book=the_plan.city.report_book,
        quarter=the_plan.quarter,
    )  # fmt: skip


@contextmanager
def _terminable() -> Iterator[None]:
    """Within the block a termination signal unwinds like an interrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _environment() -> dict[str, str]:
    """Environment of the children: where Jupyter finds the kernels."""
    paths = [str(home()), str(PACKAGE.parent), os.environ.get("JUPYTER_PATH", "")]
    return {
        "JUPYTER_PATH": os.pathsep.join(dict.fromkeys(p for p in paths if p)),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _values_step(
    the_plan: Plan,
    folder: Path,
    steps: Steps,
    module: str,
    deadline: float,
    ways: Mapping[str, bool],
) -> dict[str, Any]:
    """Compute the values in a child process into ``folder``; its record."""
    spec, record = folder / ".values.spec.json", folder / ".values.record.json"
    log = cache_dir() / "logs" / f"{the_plan.run_id}-values.log"
    progress = log.with_suffix(".step")
    content = {
        "city": str(the_plan.city.path),
        "year": the_plan.year,
        "folder": str(folder),
        "record": str(record),
        "topics": list(dict.fromkeys(t.chapter.topic for t in the_plan.tasks if t.chapter.topic)),
        **ways,
        "run_id": the_plan.run_id,
        "progress": str(progress),
    }
    store.write_json(spec, content)
    steps.plan(VALUES)
    steps.start(VALUES)
    limits = the_plan.book.values_timeout_s, the_plan.book.values_memory_gib
    job = Job(VALUES, module, spec, log, *limits, _environment())

    def look() -> None:
        if progress.is_file() and (text := progress.read_text(encoding="utf-8", errors="replace")):
            steps.note(VALUES, text)

    try:
        outcome = run_jobs([job], 1, on_poll=look, deadline=deadline)[VALUES]
    finally:
        progress.unlink(missing_ok=True)
    result: dict[str, Any] = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    spec.unlink()
    record.unlink(missing_ok=True)
    if outcome.status != "ok":
        steps.end(VALUES, outcome.status)
        error = result.get("error")
        reason = f"{error['name']}: {error['message']}" if error else _last_line(log)
        raise RunError(
            f"the values could not be computed ({outcome.status}): {reason}", hint=f"the log is {log}"
        )
    log.unlink()
    steps.end(VALUES, f"ok, {outcome.seconds:.1f} s")
    return {**result, "seconds": outcome.seconds, "peak_gib": outcome.peak_gib}


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"


def _chapter_step(
    the_plan: Plan,
    folder: Path,
    steps: Steps,
    workers: int,
    values: Mapping[str, Any],
    deadline: float,
    *,
    use_cache: bool,
) -> dict[str, _State]:
    """Execute the chapters that cannot be reused; the state of each."""
    chapters = folder / "chapters"
    chapters.mkdir()
    profile = the_plan.city.path.read_text(encoding="utf-8")
    shared = {k: v for k, v in values.items() if k not in ("seconds", "peak_gib", "status", "error")}
    states: dict[str, _State] = {}
    waiting: list[Job] = []
    for task in the_plan.tasks:
        name = task.chapter.id
        content = [task.sha256, task.parameters, shared, profile, store.code_sha256()]
        states[name] = _State(key=store.sha256_json({"chapter": content}))
        steps.plan(name)
        if why := values.get("absent", {}).get(task.chapter.topic):
            states[name].record = {"status": store.ABSENT, "why": why}
            steps.end(name, f"left out: {why['en']}")
            continue
        kept = store.recall_chapter(states[name].key, chapters / f"{name}.ipynb") if use_cache else None
        if kept is None:
            waiting.append(_job(task, folder))
        else:
            states[name].record = {**kept, "reused": True}
            steps.end(name, "reused")

    def ended(job: Job, outcome: Outcome) -> None:
        state = states[job.id]
        state.record = _verdict(job, outcome, chapters)
        if state.record["status"] == "ok":
            store.keep_chapter(state.key, chapters / f"{job.id}.ipynb", state.record)
        steps.end(job.id, f"{state.record['status']}, {outcome.seconds:.1f} s")

    run_jobs(waiting, workers, on_start=lambda job: steps.start(job.id), on_end=ended, deadline=deadline)
    return states


def _job(task: Task, folder: Path) -> Job:
    """Child process for a chapter, its spec written."""
    name, chapters = task.chapter.id, folder / "chapters"
    spec = chapters / f".{name}.spec.json"
    content = {
        "notebook": str(task.notebook),
        "output": str(chapters / f"{name}.ipynb"),
        "record": str(chapters / f".{name}.record.json"),
        "parameters": task.parameters | ({"run_dir": str(folder)} if task.wants_run_dir else {}),
        "cwd": str(home()),
        "cell_timeout_s": task.chapter.cell_timeout_s,
    }
    store.write_json(spec, content)
    limits = task.chapter.timeout_s, task.chapter.memory_gib
    return Job(name, "workbench.reporting.chapter", spec, chapters / f"{name}.log", *limits, _environment())


def _verdict(job: Job, outcome: Outcome, chapters: Path) -> dict[str, Any]:
    """Record of a chapter: its own words, overruled by how its process ended."""
    own = chapters / f".{job.id}.record.json"
    record: dict[str, Any] = json.loads(own.read_text(encoding="utf-8")) if own.is_file() else {}
    own.unlink(missing_ok=True)
    job.spec.unlink(missing_ok=True)
    if not record:
        messages = {
            "timeout": f"took longer than {job.timeout_s:g} s, or the run's time was up",
            "memory": f"needed more than {job.memory_gib:g} GiB",
            "killed": f"ended by signal {-(outcome.returncode or 0)}",
        }
        status = "failed" if outcome.status == "ok" else outcome.status
        message = messages.get(status) or (_last_line(job.log) if job.log.is_file() else "no record")
        record = {"status": status, "error": {"name": status, "message": message}}
    if record["status"] == "ok":
        job.log.unlink(missing_ok=True)
    return {**record, "seconds": outcome.seconds, "peak_gib": outcome.peak_gib}


def _finish(
    the_plan: Plan,
    folder: Path,
    steps: Steps,
    values: Mapping[str, Any],
    states: Mapping[str, _State],
    *,
    failed: list[str],
    started: float,
    prints: tuple[Sequence[str], str],
) -> dict[str, Any]:
    """Write tables, maps, the page, its other forms and the run's record into ``folder``; the record of the forms."""
    from workbench.reporting.assemble import assemble
    from workbench.reporting.export import export

    steps.plan("assemble")
    steps.start("assemble")

    say = partial(steps.note, "assemble", always=True)
    say("writing tables/values.xlsx, maps/cases.gpkg")
    export(folder, the_plan.lang)
    say("writing report.html")
    records = {name: state.record for name, state in states.items()}
    assemble(the_plan, folder, records)
    formats, edition = prints
    number = the_plan.city.city.review_number
    printed = write_formats(folder, formats=formats, edition=edition, review_number=number, say=say)
    document = {
        "run_id": the_plan.run_id,
        "book": the_plan.book.id,
        "city": the_plan.city.name,
        "profile": None if the_plan.city.name in city_names() else str(the_plan.city.path),
        "year": the_plan.year,
        "quarter": the_plan.quarter or None,
        "lang": the_plan.lang,
        "status": "failed" if failed or unwritten_files(printed) else "ok",
        "failed": failed,
        "print": printed,
        "started": datetime.fromtimestamp(started).astimezone().isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 1),
        "values": dict(values),
        "chapters": {
            t.chapter.id: {
                "notebook": t.chapter.notebook,
                "notebook_sha256": t.sha256,
                "parameters": t.parameters,
                "key": states[t.chapter.id].key,
                **records[t.chapter.id],
            }
            for t in the_plan.tasks
        },
        "code_sha256": store.code_sha256(),
        "versions": store.versions(),
    }
    store.write_records(folder, document)
    steps.end("assemble", "ok")
    return printed
