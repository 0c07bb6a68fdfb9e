"""The annual report of the demo city, as a scheduler runs it: first run, and the rerun with nothing changed.

No peer: a limit of time and memory. Memory is the sum over all processes of the run, sampled ten times a second, of what each
holds for itself and its part of what they share (PSS on Linux, resident memory elsewhere). Looking takes part of a core: the
memory is that of a run of its own, which is not timed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from harness import record, summary, write_section

WORKBENCH = [str(Path(sys.executable).with_name("workbench"))]
REPORT = ["report", "annual_checkup", "--city", "demo"]


def memory_mib(root: psutil.Process) -> float:
    """Memory of a process and all that came from it."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
    return total / 2**20


def run(arguments: list[str], home: Path, *, look: bool) -> tuple[float, float]:
    """Seconds and, if looked at, greatest memory (MiB) of one call of ``workbench``."""
    start, peak = time.perf_counter(), 0.0
    with (home / "log.txt").open("wb") as log:
        child = psutil.Popen(
            [*WORKBENCH, *arguments],
            env={**os.environ, "WORKBENCH_HOME": str(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        while look and child.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                peak = max(peak, memory_mib(child))
            time.sleep(0.1)
    if child.wait():
        raise SystemExit((home / "log.txt").read_text())
    return time.perf_counter() - start, peak


def main() -> None:
    """Run it and write the figures down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {"demo city": [], "report": [], "rerun": []}
    peaks: dict[str, float] = dict.fromkeys(seconds, 0.0)
    for number in range(options.runs + 1):
        look = number == options.runs
        with tempfile.TemporaryDirectory() as name:
            for step, arguments in (("demo city", ["demo"]), ("report", REPORT), ("rerun", REPORT)):
                wall, peak = run(arguments, Path(name), look=look)
                if look:
                    peaks[step] = peak
                else:
                    seconds[step].append(wall)
    limits = {"demo city": "60 s, 2 GiB", "report": "180 s, 4 GiB", "rerun": "15 s"}
    lines = [
        f"Each in an empty home; load average at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores. Memory is that of one more run.",
        "",
        "| step | median s | least to most | runs | peak MiB, all processes | limit |",
        "| --- | ---: | --- | ---: | ---: | --- |",
    ]
    for step, runs in seconds.items():
        s = summary(runs)
        lines.append(
            f"| {step} | {s['median_s']:.1f} | {s['min_s']:.1f} to {s['max_s']:.1f} | {s['runs']} "
            f"| {peaks[step]:.0f} | {limits[step]} |"
        )
    record("report", {"seconds": seconds, "peak_mib": peaks})
    write_section("Annual report of the demo city", lines)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
