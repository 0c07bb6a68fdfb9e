"""The text encoding of Shapefiles, told by their bytes: what is not stated is found, what is stated is checked."""

from __future__ import annotations

import codecs
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np

from workbench.catalog.quality import Finding
from workbench.core.errors import ProfileError

CANDIDATES = {"utf-8": "UTF-8", "gb18030": "GB 18030（GBK）"}
"""Encodings tried where none is stated, in this order, and their names for officials."""
CHUNK = 16 * 2**20
"""Bytes of a table looked at in one go."""
_PAIRS = re.compile(rb"[\x80-\xff]+")


def of_shapefile(path: Path, layer: str | None, where: str) -> tuple[str | None, list[Finding]]:
    """Encoding to read a Shapefile (or one in a zip) with; None: as GDAL does by itself.

    A ``.cpg`` is believed only when the bytes agree with it.

    Raises
    ------
    ProfileError
        When the bytes fit no known encoding, or another one than the file states.
    """
    with ExitStack() as stack:
        parts = _parts(path, layer, stack)
        if parts is None:
            return None, []
        table, stated = parts
        texts = list(_texts(table))
    if not texts:
        return None, []
    if stated is not None:
        _check_stated(stated, texts, path, where)
        return None, []
    for encoding, zh in CANDIDATES.items():
        if _fits(texts, encoding):
            message = (
                f"文件没有 .cpg，文字按 {zh} 读取",
                f"the file has no .cpg; its text was read as {encoding}",
            )
            return encoding, [Finding("encoding_detected", "info", 1, np.nan, "", *message)]
    raise ProfileError(
        "the encoding of the text is unknown",
        where=where,
        found=path.name,
        hint='state it, e.g. encoding = "gb18030"',
    )


def _parts(path: Path, layer: str | None, stack: ExitStack) -> tuple[IO[bytes], str | None] | None:
    """Attribute table of a Shapefile, opened, and what its ``.cpg`` says; None without a table."""
    if path.suffix.lower() == ".zip":
        archive = stack.enter_context(zipfile.ZipFile(path))
        members = [Path(name) for name in archive.namelist()]
        names = {m.suffix.lower(): m.as_posix() for m in members if layer in (None, m.stem)}
        if ".dbf" not in names:
            return None
        cpg = archive.read(names[".cpg"]) if ".cpg" in names else None
        return stack.enter_context(archive.open(names[".dbf"])), _cpg(cpg)
    beside = {p.suffix.lower(): p for p in path.parent.glob(f"{_escaped(path.stem)}.*")}
    if ".dbf" not in beside:
        return None
    cpg = beside[".cpg"].read_bytes() if ".cpg" in beside else None
    return stack.enter_context(beside[".dbf"].open("rb")), _cpg(cpg)


def _escaped(stem: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", stem)


def _cpg(content: bytes | None) -> str | None:
    """Encoding a ``.cpg`` states as a name Python knows; None when it states none."""
    if content is None:
        return None
    text = content.decode("ascii", "replace").strip().strip("\x00")
    for name in (text, f"cp{text}", re.sub(r"^(?:ANSI|OEM)[ _]?", "cp", text, flags=re.IGNORECASE)):
        try:
            return codecs.lookup(name).name
        except LookupError:
            continue
    return None


def _texts(table: IO[bytes]) -> Iterator[bytes]:
    """Names of the fields and values of text that are not plain ASCII, each once a chunk."""
    head = table.read(32)
    if len(head) < 32:
        return
    header, length = int.from_bytes(head[8:10], "little"), int.from_bytes(head[10:12], "little")
    described = table.read(max(header - 32, 0))
    columns, at = [], 1
    for start in range(0, len(described) - 31, 32):
        part = described[start : start + 32]
        if part[0] == 0x0D:
            break
        name = part[:11].split(b"\x00")[0]
        if not name.isascii():
            yield name
        if part[11:12] == b"C":
            columns.append((at, at + part[16] + 256 * part[17]))
        at += part[16] if part[11:12] != b"C" else part[16] + 256 * part[17]
    if not columns or length == 0:
        return
    size = max(1, CHUNK // length) * length
    while chunk := table.read(size):
        rows = np.frombuffer(chunk[: len(chunk) // length * length], dtype=np.uint8).reshape(-1, length)
        for first, last in columns:
            cells = rows[:, first:last]
            wide = cells[(cells >= 0x80).any(axis=1)]
            if len(wide):
                values = np.ascontiguousarray(wide).view(f"S{wide.shape[1]}").ravel()
                yield from (value.rstrip(b" ") for value in np.unique(values).tolist())


def _decodes(raw: bytes, encoding: str) -> bool:
    """Whether a value can be read; one that its field cuts within the last character can."""
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        return error.start >= max(len(raw) - 3, 1)
    return True


def _fits(texts: Iterable[bytes], encoding: str) -> bool:
    return all(_decodes(raw, encoding) for raw in texts)


def _is_chinese(texts: list[bytes], encoding: str) -> bool:
    """Whether most of what is not ASCII comes out as Chinese characters."""
    wide = [char for raw in texts for char in raw.decode(encoding, "ignore") if ord(char) > 0x7F]
    chinese = sum("\u4e00" <= char <= "\u9fff" or "\u3000" <= char <= "\u303f" for char in wide)
    return bool(wide) and chinese > 0.5 * len(wide)


def _check_stated(stated: str, texts: list[bytes], path: Path, where: str) -> None:
    """Refuse an encoding that the bytes contradict, with the one they do fit."""
    other = None
    if not _fits(texts, stated):
        other = next((name for name in CANDIDATES if name != stated and _fits(texts, name)), "")
    elif stated != "utf-8" and _fits(texts, "utf-8") and _is_chinese(texts, "utf-8"):
        other = "utf-8"
    elif stated.startswith(("iso8859", "cp125", "latin", "ascii")) and _pairs_only(texts):
        other = "gb18030"
    if other is None:
        return
    raise ProfileError(
        "the text is not in the encoding the file states",
        where=where,
        found=f"{path.name}: {stated}",
        hint=f'give the real one, e.g. encoding = "{other or "gb18030"}"',
    )


def _pairs_only(texts: list[bytes]) -> bool:
    """Whether bytes beyond ASCII always come in pairs that are Chinese in GB 18030, as Western letters do not."""
    runs = [run for raw in texts for run in _PAIRS.findall(raw)]
    paired = bool(runs) and all(len(run) % 2 == 0 for run in runs)
    return paired and _fits(texts, "gb18030") and _is_chinese(texts, "gb18030")
