"""What every benchmark shares: alternating runs, medians and spread, peak memory, results as JSON."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "out"


def alternate(runs: int, **contenders: Callable[[], Any]) -> dict[str, list[float]]:
    """Seconds of each run of each contender, taken in turns so that a busy machine disturbs all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, least and greatest of the runs, and their number."""
    return {
        "median_s": statistics.median(seconds),
        "min_s": min(seconds),
        "max_s": max(seconds),
        "runs": len(seconds),
    }


def peak_memory_mib() -> float:
    """Greatest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def data_root() -> Path:
    """Folder of the real data, from WORKBENCH_DATA."""
    root = os.environ.get("WORKBENCH_DATA")
    if not root:
        raise SystemExit("set WORKBENCH_DATA to the folder of the real data")
    return Path(root)


def record(name: str, result: Mapping[str, Any]) -> Path:
    """Write one benchmark's result, with the machine it ran on, to benchmarks/out/<name>.json."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.json"
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps({**result, "machine": machine}, indent=2, ensure_ascii=False) + "\n")
    partial.replace(path)
    return path


def write_section(title: str, lines: list[str]) -> None:
    """Replace the section ``## title`` of RESULTS.md by the given lines; other sections stay."""
    path = Path(__file__).parent / "RESULTS.md"
    text = path.read_text() if path.exists() else "# Benchmark results\n"
    head, *sections = ("\n" + text).split("\n## ")
    kept = [s.rstrip("\n") for s in sections if s.splitlines()[0].strip() != title]
    kept.append("\n".join([title, "", *lines]))
    partial = path.with_suffix(".part")
    partial.write_text("\n\n## ".join([head.strip("\n"), *kept]) + "\n")
    partial.replace(path)
