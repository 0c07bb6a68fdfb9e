"""The packaged Chinese font cut down to the letters of one page, to lie inside it."""

from __future__ import annotations

import hashlib
import html
import io
import logging

from workbench.core.paths import atomic_write, cache_dir

ASCII = "".join(map(chr, range(32, 127)))


def embedded_font(text: str) -> bytes:
    """WOFF file of Noto Sans SC with the letters of ``text`` (markup entities resolved) and ASCII.

    Cached by the set of letters; a few hundred kilobytes for a report.
    """
    from workbench.views.style import font_path

    letters = "".join(sorted(set(html.unescape(text)) | set(ASCII)))
    key = hashlib.sha256(letters.encode() + str(font_path().stat().st_size).encode()).hexdigest()[:24]
    path = cache_dir() / "fonts" / f"{key}.woff"
    if not path.is_file():
        with atomic_write(path) as temporary:
            temporary.write_bytes(_subset(letters))
    return path.read_bytes()


def _subset(letters: str) -> bytes:
    from fontTools import subset  # type: ignore[import-untyped]

    from workbench.views.style import font_path

    logging.getLogger("fontTools").setLevel(logging.ERROR)
    options = subset.Options(flavor="woff", layout_features=["kern"], hinting=False, notdef_outline=True)
    cutter = subset.Subsetter(options)
    cutter.populate(text=letters)
    target = io.BytesIO()
    with subset.load_font(str(font_path()), options) as font:
        cutter.subset(font)
        subset.save_font(font, target, options)
    return target.getvalue()
