"""The images of a report, read in a process of their own while the checkup is made."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import TYPE_CHECKING, Self

from workbench.core.errors import LayerMissing, RunError, WorkbenchError
from workbench.reporting.jobs import start_log

if TYPE_CHECKING:
    from workbench.core.city import City
    from workbench.evaluation.topics import Absence

log = logging.getLogger(__name__)


def read_images(
    city: City, year: int, *, use_cache: bool, say: Callable[[str], None] | None = None
) -> Absence | None:
    """Read a city's images as its profile asks, before the report tells of them; why not, where that fails.

    Unusable images or weights cost the report this chapter, not the others.
    """
    from workbench.evaluation.topics import Absence
    from workbench.interpretation.city_run import interpret

    try:
        interpret(city, year, use_cache=use_cache, say=say)
    except LayerMissing:
        return None  # the topic itself says what is lacking
    except WorkbenchError as error:
        log.warning("images of %s %s: %s", city.name, year, error)
        return Absence(f"影像无法解译：{error}", f"the images could not be interpreted: {error}")
    return None


class Images:
    """Images of a city read in a process of their own, beside what the block does.

    Parameters
    ----------
    city : str
        Name or path of the profile.
    year : int
        Year of the report.
    wanted : bool
        Whether there is anything to be read; if not, there is no process and nothing is missing.
    use_cache : bool
        Take what rests on nothing that changed as it is.
    say : callable, optional
        Told each step, on a thread of its own.

    Notes
    -----
    The process imports its libraries at once, reads after :meth:`begin`, and is ended with the block.
    """

    def __init__(
        self, city: str, year: int, *, wanted: bool, use_cache: bool, say: Callable[[str], None] | None
    ) -> None:
        self._given, self._wanted, self._say = (city, year, use_cache), wanted, say
        self._ended: list[Absence | None] = []
        self._process: BaseProcess | None = None

    def __enter__(self) -> Self:
        """Start the process, which gets ready."""
        if self._wanted:
            # not by a fork, which inherits locks of threads that it does not have
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_read, args=(theirs, *self._given), name="images")
            self._process.start()
            theirs.close()
            self._listener = Thread(target=_listen, args=(self._pipe, self._say, self._ended), daemon=True)
            self._listener.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End the process, wherever it is."""
        if self._process is not None:
            self._process.terminate()
            self._process.join()
            self._pipe.close()

    @property
    def pid(self) -> int | None:
        """Number of the process; None where there is none."""
        return None if self._process is None else self._process.pid

    def begin(self) -> None:
        """Let it read: the layers are there and checked."""
        if self._process is not None:
            with suppress(BrokenPipeError):  # it is gone already; what is to be told of it comes with `wait`
                self._pipe.send("begin")

    def wait(self) -> Absence | None:
        """Wait until the images are read; what :func:`read_images` gives.

        A process that was killed, for want of memory or by a library's fault, costs the report this chapter too.

        Raises
        ------
        RunError
            The process failed in a way nobody foresaw; the traceback is in the log.
        """
        if self._process is None:
            return None
        self._listener.join()
        if self._ended:
            return self._ended[0]
        self._process.join()
        return _broken(self._process.exitcode or 0)


def _read(pipe: Connection, city: str, year: int, use_cache: bool) -> None:
    """Get ready, wait for the word, read the images; send each step, and how it ended."""
    from workbench.core.city import load_city

    start_log()
    profile = load_city(city)
    from workbench.interpretation.city_run import get_ready

    get_ready(profile, year)
    pipe.recv()
    ended = read_images(profile, year, use_cache=use_cache, say=lambda text: pipe.send(("step", text)))
    pipe.send(("end", ended))


def _listen(pipe: Connection, say: Callable[[str], None] | None, ended: list[Absence | None]) -> None:
    """Pass on each step; put the end into ``ended``, nothing where the process goes without a word."""
    while not ended:
        try:
            kind, what = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        if kind == "end":
            ended.append(what)
        elif say is not None:
            say(what)


def _broken(code: int) -> Absence:
    from workbench.evaluation.topics import Absence

    if code >= 0:
        raise RunError(
            "the images could not be read", found=f"exit status {code}", hint="the traceback is in the log"
        )
    log.warning("the process that reads the images was ended by signal %d", -code)
    return Absence(
        f"影像解译进程意外中止（信号 {-code}）",
        f"the process that reads the images was ended by signal {-code}",
    )
