"""The packaged Chinese font, for everything that writes into pictures."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from workbench.core.errors import WorkbenchError


@cache
def font_path() -> Path:
    """Path of the packaged Noto Sans SC (OFL), found without importing the package that carries it."""
    spec = importlib.util.find_spec("zhplot")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        found = sorted(Path(folder).rglob("NotoSansSC-Regular.ttf"))
        if found:
            return found[0]
    raise WorkbenchError(
        "the packaged Chinese font is not there",
        where="NotoSansSC-Regular.ttf",
        hint="install the locked dependencies (zhplot carries the font)",
    )
