"""One chapter in a process of its own: ``python -m workbench.reporting.chapter spec.json``.

Papermill's own status cannot be trusted (a timeout or a dead kernel leaves a notebook that says "completed"),
so the verdict comes from the exception, is written to a record of ours, and the output notebook gets its
final name only when it is whole.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from workbench.reporting.jobs import start_log

ANSI = re.compile(r"\x1b\[[0-9;]*m")
KERNEL = "workbench-cpu"


@dataclass(frozen=True)
class ChapterSpec:
    """What a chapter's process is told."""

    notebook: str
    """The source notebook."""
    output: str
    """Final name of the executed notebook; a partial one lies beside it with ``.partial.ipynb``."""
    record: str
    """JSON file for the verdict."""
    parameters: dict[str, Any]
    """Values for the parameters cell."""
    cwd: str
    """Working directory of the kernel."""
    cell_timeout_s: int = 300
    """Longest wall time of one cell, in seconds."""
    drop_tags: list[str] = field(default_factory=lambda: ["dashboard"])
    """Cells with one of these tags are left out."""


def partial_path(output: Path) -> Path:
    """Name of the unfinished notebook that stands for ``output`` while it runs and after it failed."""
    return output.with_suffix(".partial.ipynb")


def kernel_name() -> str:
    """Name of the kernel to use: the workbench's own where Jupyter finds it, else python3."""
    from jupyter_client.kernelspec import KernelSpecManager

    return KERNEL if KERNEL in KernelSpecManager().find_kernel_specs() else "python3"


def execute(spec: ChapterSpec) -> dict[str, Any]:
    """Execute one notebook and return its record: status, seconds, error name and message, cell.

    Returns
    -------
    dict
        ``status`` is ok, failed (an error in a cell), timeout (a cell took too long) or killed (the kernel died).
    """
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillException, PapermillExecutionError

    output = Path(spec.output)
    partial = partial_path(output)
    source = nbformat.read(spec.notebook, as_version=4)
    source.cells = [c for c in source.cells if not set(c.metadata.get("tags", [])) & set(spec.drop_tags)]
    prepared = output.with_suffix(".source.ipynb")
    nbformat.write(source, prepared)
    started = time.monotonic()
    record: dict[str, Any] = {"status": "ok", "error": None}
    try:
        papermill.execute_notebook(
            str(prepared),
            str(partial),
            parameters=spec.parameters,
            kernel_name=kernel_name(),
            cwd=spec.cwd,
            execution_timeout=spec.cell_timeout_s,
            progress_bar=False,
        )
        partial.replace(output)
    except PapermillExecutionError as error:
        record = _failure("failed", error.ename, error.evalue, cell=error.exec_count)
    except CellTimeoutError:
        message = f"a cell took longer than {spec.cell_timeout_s} s"
        record = _failure("timeout", "CellTimeoutError", message)
    except DeadKernelError as error:
        record = _failure("killed", "DeadKernelError", str(error))
    except (PapermillException, OSError, RuntimeError, ValueError) as error:
        record = _failure("failed", type(error).__name__, str(error))
    finally:
        prepared.unlink(missing_ok=True)
    return {**record, "seconds": round(time.monotonic() - started, 3)}


def _failure(status: str, name: str, message: str, cell: int | None = None) -> dict[str, Any]:
    text = ANSI.sub("", message or "").strip()
    return {"status": status, "error": {"name": name, "message": text[:2000], "cell": cell}}


def leave(signum: int, frame: FrameType | None) -> None:
    """Signal handler: unwind like an interrupt, so that what was started is ended."""
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    """Execute the chapter a spec file describes; exit 0 when its notebook is whole."""
    signal.signal(signal.SIGTERM, leave)  # so that the kernel is shut down, not orphaned
    start_log()
    arguments = sys.argv[1:] if argv is None else argv
    spec = ChapterSpec(**json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    try:
        record = execute(spec)
    except KeyboardInterrupt:
        return 130
    Path(spec.record).write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
    return 0 if record["status"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
