"""The step cache: results kept under the hash of everything they depend on.

A key is made of the step's name, the hashes of its inputs, its parameters, the version of the definition and
the version of the code. Whatever changes, the key changes; an old entry is never read by mistake and nothing
has to be invalidated. Payloads are Parquet (tables, tables with shapes) or JSON; each entry is a folder that
appears whole or not at all. Nothing is pickled.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from workbench.core.errors import ParameterError
from workbench.core.paths import atomic_dir, atomic_write, cache_dir
from workbench.core.provenance import stable_hash

log = logging.getLogger(__name__)

T = TypeVar("T", bound="pd.DataFrame | dict[str, Any] | list[Any]")


def step_key(
    step: str,
    *,
    inputs: Mapping[str, str],
    parameters: Mapping[str, object] | None = None,
    definition: str = "",
    code: str = "",
) -> str:
    """Key of a step's result: a SHA-256 of all that the result depends on.

    Parameters
    ----------
    step : str
        Name of the step, e.g. ``"values"``.
    inputs : mapping of str to str
        Hash of each input (layer, table, file).
    parameters : mapping, optional
        Plain values; dates and paths count as text.
    definition, code : str
        Version of the definition and of the code that computes.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> first = step_key("area", inputs={"land_use": "ab"}, parameters={"codes": ["01"]})
    >>> first == step_key("area", inputs={"land_use": "ab"}, parameters={"codes": ["02"]})
    False
    """
    return stable_hash(
        {
            "step": step,
            "inputs": dict(inputs),
            "parameters": dict(parameters or {}),
            "definition": definition,
            "code": code,
        }
    )


class StepCache:
    """Results of steps in a folder, one folder an entry.

    Parameters
    ----------
    root : Path, optional
        Where entries lie; the workbench's cache folder when not given.

    Examples
    --------
    >>> import tempfile
    >>> cache = StepCache(Path(tempfile.mkdtemp()))
    >>> cache.put("count", "00ff", {"cases": 3})
    >>> cache.get("count", "00ff"), cache.get("count", "00fe")
    ({'cases': 3}, None)
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_dir()

    def folder(self, step: str, key: str) -> Path:
        """Folder of an entry, whether it exists or not.

        Raises
        ------
        ParameterError
            The step or the key could leave the cache folder.
        """
        if (
            not re.fullmatch(r"[A-Za-z0-9_.-]+", step)
            or step.startswith(".")
            or not re.fullmatch(r"[0-9a-f]+", key)
        ):
            raise ParameterError(
                "not a usable cache key", found=f"{step}/{key}", expected="a name and a hash"
            )
        return self.root / step / key[:2] / key

    def get(self, step: str, key: str) -> Any | None:
        """Payload of an entry, or None when there is none that can be read."""
        folder = self.folder(step, key)
        try:
            meta = json.loads((folder / "meta.json").read_text("utf-8"))
            if meta["kind"] == "json":
                return json.loads((folder / "payload.json").read_text("utf-8"))
            if meta["kind"] == "geoparquet":
                import geopandas as gpd

                return gpd.read_parquet(folder / "payload.parquet")
            return pd.read_parquet(folder / "payload.parquet")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:  # a damaged entry is as good as none
            log.warning("cache entry %s/%s cannot be read (%s); computing again", step, key[:10], error)
            return None

    def put(self, step: str, key: str, payload: pd.DataFrame | dict[str, Any] | list[Any]) -> None:
        """Keep a payload: a table, a table with shapes, or plain JSON values."""
        with atomic_dir(self.folder(step, key)) as folder:
            if isinstance(payload, pd.DataFrame):
                kind = "geoparquet" if type(payload).__name__ == "GeoDataFrame" else "parquet"
                payload.to_parquet(folder / "payload.parquet")
            else:
                kind = "json"
                text = json.dumps(payload, ensure_ascii=False, allow_nan=True)
                (folder / "payload.json").write_text(text, "utf-8")
            (folder / "meta.json").write_text(json.dumps({"kind": kind, "step": step}), "utf-8")

    def step(self, step: str, key: str, make: Callable[[], T], *, use_cache: bool = True) -> T:
        """Payload under ``key``; made and kept when it is not there, or always with ``use_cache=False``.

        What comes back is always what was kept: a shape in memory may carry a precision grid that no file keeps, and a
        first run would then differ from its rerun in the last digits.
        """
        found = self.get(step, key) if use_cache else None
        if found is None:
            payload = make()
            self.put(step, key, payload)
            found = self.get(step, key)
            return payload if found is None else found
        return found  # type: ignore[no-any-return]

    def clear(self, step: str) -> None:
        """Remove all entries of a step."""
        shutil.rmtree(self.folder(step, "00").parents[1], ignore_errors=True)


def write_json(path: Path, value: object) -> None:
    """Write plain values as JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False, indent=2, default=str), "utf-8")
