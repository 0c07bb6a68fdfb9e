"""What runs leave behind: records, chapters kept by content, the ``latest`` pointer."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from workbench.core.paths import PACKAGE, atomic_write, cache_dir

KEPT_CHAPTERS = 200
ABSENT = "absent"
"""Status of a chapter left out because the city has not what its topic needs."""
DONE = ("ok", ABSENT)
"""Statuses of chapters that are no failure."""
"""Executed chapters kept for reuse; the longest unused go first."""
CODE_SUFFIXES = {".py", ".toml", ".csv", ".css", ".json"}
PACKAGES = (
    "numpy",
    "pandas",
    "geopandas",
    "shapely",
    "pyproj",
    "rasterio",
    "xarray",
    "matplotlib",
    "papermill",
)


def sha256_json(value: Mapping[str, Any]) -> str:
    """SHA-256 of plain data, independent of key order."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def notebook_sha256(path: Path) -> str:
    """SHA-256 of what a notebook does: its code cells' sources, tags and report headings.

    Outputs, execution counts and prose do not change it.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    kept = [
        ["".join(c["source"]), sorted(c["metadata"].get("tags", [])), c["metadata"].get("report")]
        for c in cells
        if c["cell_type"] == "code"
    ]
    return sha256_json({"cells": kept})


@cache
def code_sha256() -> str:
    """SHA-256 of the package's code and definitions: what can change an executed chapter."""
    total = hashlib.sha256()
    for path in sorted(p for p in PACKAGE.rglob("*") if p.suffix in CODE_SUFFIXES):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(("cli", "cities/", "dashboard/", "reporting/")):
            continue
        total.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python, the workbench and the libraries that decide a number or a picture."""
    found = {"python": sys.version.split()[0]}
    for name in ("cspon-workbench", *PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _kept(key: str) -> tuple[Path, Path]:
    folder = cache_dir() / "chapters"
    return folder / f"{key}.ipynb", folder / f"{key}.json"


def recall_chapter(key: str, output: Path) -> dict[str, Any] | None:
    """Copy the executed notebook of an earlier run with this key to ``output``; its record, or None."""
    notebook, record = _kept(key)
    if not (notebook.is_file() and record.is_file()):
        return None
    shutil.copyfile(notebook, output)
    os.utime(notebook)
    found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return found


def keep_chapter(key: str, output: Path, record: Mapping[str, Any]) -> None:
    """Keep an executed notebook and its record for runs to come."""
    notebook, note = _kept(key)
    with atomic_write(notebook) as temporary:
        shutil.copyfile(output, temporary)
    write_json(note, record)
    old = sorted(notebook.parent.glob("*.ipynb"), key=lambda p: p.stat().st_mtime)[:-KEPT_CHAPTERS]
    for path in old:
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write plain data as readable JSON, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def public_record(record: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What goes with a public edition in place of ``run.json``: which report, of what, its files, how much was left out.

    Parameters
    ----------
    record : mapping
        ``run.json`` of the run.
    folder : Path
        Folder of the public edition.
    """
    named = (
        "run_id",
        "book",
        "city",
        "year",
        "quarter",
        "lang",
        "status",
        "started",
        "code_sha256",
        "versions",
    )
    counts: dict[str, int] = {}
    for item in record["print"]["refused"]:
        counts[item["kind"]] = counts.get(item["kind"], 0) + int(item["count"])
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "run.json")
    return {
        **{name: record.get(name) for name in named},
        "edition": record["print"]["edition"],
        "left_out": counts,
        "files": {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        },
    }


def write_records(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``run.json`` of a run, and that of its public edition where it has one."""
    write_json(folder / "run.json", record)
    if record["print"]["edition"] == "public":
        public = folder / record["print"]["folder"]
        write_json(public / "run.json", public_record(record, public))


def latest_name(
    lang: str, own: str, edition: str = "internal", *, book: str = "", own_book: str = "", quarter: int = 0
) -> str:
    """Name of the pointer to the newest run of a book, quarter, language and edition.

    ``latest`` is that of the profile's own book and language and the internal edition; what differs is named.

    >>> latest_name("zh", "zh"), latest_name("en", "zh"), latest_name("zh", "zh", "public")
    ('latest', 'latest-en', 'latest-public')
    >>> latest_name("en", "zh", "public", book="quarterly_monitoring", own_book="annual_checkup", quarter=3)
    'latest-quarterly_monitoring-q3-en-public'
    """
    parts = [book] * (book != own_book) + [f"q{quarter}"] * (quarter > 0)
    return "-".join(["latest", *parts] + [lang] * (lang != own) + [edition] * (edition != "internal"))


def point_latest(run: Path, name: str = "latest", folder: str = ".") -> Path:
    """Let the link ``name`` beside ``run`` point to it, or to a folder of it, swapped in one step.

    Of a public edition the link leads to ``public``: what lies beside that folder is not for the public.
    """
    link = run.parent / name
    temporary = Path(tempfile.mkdtemp(prefix=".latest-", dir=run.parent))
    try:
        (temporary / "latest").symlink_to(Path(run.name) / folder)
        (temporary / "latest").replace(link)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return link
