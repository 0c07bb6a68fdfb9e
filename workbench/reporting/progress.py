"""What a person at the terminal, or a log file, sees while a report is made."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

NOTE_S = 3.0
"""Seconds between two lines on what a step is doing, where there is no terminal to redraw."""


class Steps:
    """Progress of named steps: bars on a terminal, one line a change with the time elsewhere. Goes to standard error.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._console: Console | None = None
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._noted, self._noted_at = "", 0.0

    def __enter__(self) -> Steps:
        if self.quiet:
            return self
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
        if self._console.is_terminal:
            self._progress = Progress(
                SpinnerColumn(finished_text="•"),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                TextColumn("{task.fields[state]}", markup=False),
                console=self._console,
            )
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def plan(self, name: str) -> None:
        """Show a step that has not started."""
        if self._progress:
            self._tasks[name] = self._progress.add_task(name, total=None, start=False, state="waiting")

    def start(self, name: str) -> None:
        """Say that a step runs now."""
        if self._progress:
            self._progress.start_task(self._tasks[name])
            self._progress.update(self._tasks[name], state="running")
        else:
            self._line(name, "running")

    def note(self, name: str, text: str, *, always: bool = False) -> None:
        """Say what a running step is doing; outside a terminal at most one line each :data:`NOTE_S` seconds.

        With ``always`` the line is written whenever the last one was.
        """
        if self._progress:
            self._progress.update(self._tasks[name], state=text)
        elif always or (text != self._noted and time.monotonic() - self._noted_at >= NOTE_S):
            self._noted, self._noted_at = text, time.monotonic()
            self._line(name, text)

    def end(self, name: str, state: str) -> None:
        """Say how a step ended."""
        if self._progress:
            self._progress.update(self._tasks[name], total=1, completed=1, state=state)
        else:
            self._line(name, state)

    def _line(self, name: str, text: str) -> None:
        """Write a line with the time of day, for logs."""
        if self._console:
            self._console.print(f"{datetime.now():%H:%M:%S} {name}: {text}")


@contextmanager
def one_step(name: str) -> Iterator[Callable[[str], None]]:
    """Show a single step while the block runs; what it gives says in words what is being done."""
    with Steps() as steps:
        steps.plan(name)
        steps.start(name)
        try:
            yield lambda text: steps.note(name, text)
        except BaseException:
            steps.end(name, "failed")
            raise
        steps.end(name, "ok")
