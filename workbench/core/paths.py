"""Where things lie, and how they are written without ever being half there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def home() -> Path:
    """Folder for everything the workbench writes: ``$WORKBENCH_HOME``, the checkout, or the user's data folder."""
    if value := os.environ.get("WORKBENCH_HOME"):
        return Path(value).resolve()
    checkout = PACKAGE.parent
    if (checkout / "pyproject.toml").exists():
        return checkout
    return Path.home() / ".local" / "share" / "workbench"


def data_root() -> Path | None:
    """Folder of real data, from ``$WORKBENCH_DATA``; None when not set."""
    value = os.environ.get("WORKBENCH_DATA")
    return Path(value).resolve() if value else None


def cache_dir() -> Path:
    """Folder of results cached by content."""
    return home() / ".cache" / "workbench"


def reports_dir() -> Path:
    """Folder of finished reports."""
    return home() / "reports"


def catalog_dir() -> Path:
    """Folder of the static STAC catalogues."""
    return home() / "stac_catalog"


def built_data_dir() -> Path:
    """Folder of standardised layers."""
    return home() / "data"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary file name beside ``path``; rename it to ``path`` when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp makes private files; these are meant to be read by others
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_dir(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; put it in ``path``'s place when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
            path.rename(old / "old")
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
