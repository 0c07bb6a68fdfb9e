"""Child processes with a time and a memory limit, several at once, none left behind."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

GIB = 2**30
POLL_S = 0.1
GRACE_S = 5.0
"""Seconds between the polite and the final signal."""


def start_log() -> None:
    """Let a child process say on standard error what it does; that is its log."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")


@dataclass(frozen=True)
class Job:
    """One child process."""

    id: str
    """Name, unique among the jobs run together."""
    module: str
    """Module run with ``python -m``."""
    spec: Path
    """JSON file, the module's one argument."""
    log: Path
    """Where its standard output and error go."""
    timeout_s: float
    """Wall time it may take, in seconds."""
    memory_gib: float
    """Resident memory it and its children may take together, in GiB."""
    env: dict[str, str] = field(default_factory=dict)
    """Environment variables besides the caller's."""


@dataclass(frozen=True)
class Outcome:
    """How a child process ended."""

    status: str
    """ok, failed, timeout, memory or killed."""
    seconds: float
    """Wall time."""
    peak_gib: float
    """Most resident memory seen, children included, in GiB."""
    returncode: int | None
    """Exit status; negative for a signal."""


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    started: float
    family: dict[int, Any] = field(default_factory=dict)
    peak: float = 0.0
    verdict: str = ""


def run_jobs(
    jobs: Sequence[Job],
    workers: int,
    *,
    on_start: Callable[[Job], None] | None = None,
    on_end: Callable[[Job, Outcome], None] | None = None,
    on_poll: Callable[[], None] | None = None,
    deadline: float | None = None,
) -> dict[str, Outcome]:
    """Run jobs, at most ``workers`` at a time, and return how each ended.

    Parameters
    ----------
    jobs : sequence of Job
        Started in this order.
    workers : int
        How many run at once.
    on_start, on_end : callable, optional
        Told of each start and end.
    on_poll : callable, optional
        Called again and again while jobs run.
    deadline : float, optional
        ``time.monotonic()`` after which nothing may run; what runs then, or has not started, ends as "timeout".

    Notes
    -----
    However the call ends, an interrupt included, every child and every process a child started is ended.
    """
    waiting, running = list(jobs), list[_Running]()
    outcomes: dict[str, Outcome] = {}
    try:
        while waiting or running:
            late = deadline is not None and time.monotonic() > deadline
            while waiting and len(running) < max(1, workers) and not late:
                job = waiting.pop(0)
                if on_start:
                    on_start(job)
                running.append(_start(job))
            if late:
                for job in waiting:
                    outcomes[job.id] = Outcome("timeout", 0.0, 0.0, None)
                    if on_end:
                        on_end(job, outcomes[job.id])
                waiting = []
            for child in list(running):
                outcome = _look(child, late)
                if outcome is not None:
                    running.remove(child)
                    outcomes[child.job.id] = outcome
                    if on_end:
                        on_end(child.job, outcome)
            if on_poll:
                on_poll()
            time.sleep(POLL_S)
    finally:
        _stop(running)
    return outcomes


def _start(job: Job) -> _Running:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    log = job.log.open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", job.module, str(job.spec)],
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **job.env},
        start_new_session=True,
    )
    return _Running(job, process, log, time.monotonic())


def _look(child: _Running, late: bool) -> Outcome | None:
    """Outcome of a child that has ended, or that has now been ended for a limit; None while it may go on."""
    seconds = time.monotonic() - child.started
    code = child.process.poll()
    if code is None:
        resident = _resident_gib(child)
        child.peak = max(child.peak, resident)
        if seconds > child.job.timeout_s or late:
            child.verdict = "timeout"
        elif resident > child.job.memory_gib:
            child.verdict = "memory"
        if not child.verdict:
            return None
    _stop([child])
    code = child.process.returncode
    status = child.verdict or ("ok" if code == 0 else "killed" if code < 0 else "failed")
    return Outcome(status, round(seconds, 3), round(child.peak, 3), code)


def _resident_gib(child: _Running) -> float:
    """Resident memory of a child and all it started, in GiB; remembers the processes seen."""
    import psutil  # type: ignore[import-untyped]

    try:
        parent = psutil.Process(child.process.pid)
        for process in [parent, *parent.children(recursive=True)]:
            child.family.setdefault(process.pid, process)
    except psutil.Error:
        return 0.0
    total = 0
    for process in child.family.values():
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return float(total / GIB)


def _stop(children: Sequence[_Running]) -> None:
    """End children and every process they started: politely, then for good."""
    import psutil

    alive: list[Any] = []
    for child in children:
        _resident_gib(child)
        if child.process.poll() is None:
            child.process.send_signal(signal.SIGTERM)
        alive += [p for p in child.family.values() if p.pid != child.process.pid and p.is_running()]
    for child in children:
        try:
            child.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        child.log.close()
    for process in alive:  # kernels live in sessions of their own: end those that outlived their parent
        try:
            process.kill()
        except psutil.Error:
            continue
