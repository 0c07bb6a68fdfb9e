"""Words in two languages: every string a reader sees lies in ``text*.toml`` beside this module.

Text made by :func:`t` is HTML whose numerals are accounted for: digits of the fixed wording and of names are
marked as exempt (``<span class="x">``), a computed number can only enter as :class:`Html` made by
:func:`workbench.views.numbers.num`.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from numbers import Number
from pathlib import Path
from typing import Any

from workbench.core.dimensions import dimension_words
from workbench.core.errors import DefinitionError, ParameterError
from workbench.core.units import UNITS
from workbench.views.html import Html, escape

LANGUAGES = ("zh", "en")
_DIGITS = re.compile(r"\d+(?:[.,:/\-–—\u2009]\d+)*")


def _leaves(table: Mapping[str, Any], prefix: str, file: str) -> Iterator[tuple[str, dict[str, str]]]:
    if "zh" in table or "en" in table:
        missing = [lang for lang in LANGUAGES if not isinstance(table.get(lang), str)]
        extra = sorted(set(table) - set(LANGUAGES))
        if missing or extra:
            raise DefinitionError(
                f"text '{prefix}' lacks {missing} or has more than zh and en {extra}", where=file
            )
        yield prefix, dict(table)
        return
    for key, value in table.items():
        name = f"{prefix}.{key}" if prefix else key
        if not isinstance(value, Mapping):
            raise DefinitionError(f"text '{name}' is not a table with zh and en", where=file, found=value)
        yield from _leaves(value, name, file)


@cache
def strings() -> dict[str, dict[str, str]]:
    """Every string by key, each with ``zh`` and ``en``; read once from ``text*.toml``."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(Path(__file__).parent.glob("text*.toml")):
        for key, pair in _leaves(tomllib.loads(path.read_text("utf-8")), "", path.name):
            if key in found:
                raise DefinitionError(f"text '{key}' is written twice", where=path.name)
            found[key] = pair
    return found


def has(key: str) -> bool:
    """Whether there is a string of this key."""
    return key in strings()


def _template(key: str, lang: str) -> str:
    if lang not in LANGUAGES:
        raise ParameterError("unknown language", where=key, found=lang, expected="'zh' or 'en'")
    try:
        return strings()[key][lang]
    except KeyError:
        raise DefinitionError(
            "no such text", where=key, hint="add the key with zh and en to views/text.toml"
        ) from None


def exempt(value: object) -> Html:
    """A numeral that is no result: a date, clause number, code or identifier.

    Examples
    --------
    >>> exempt("TD/T 1063-2021")
    '<span class="x">TD/T 1063-2021</span>'
    """
    return Html(f'<span class="x">{escape(value)}</span>')


def mark(value: object) -> Html:
    """Text (a name, an id, a date) whose digits are marked as exempt; markup passes unchanged.

    Examples
    --------
    >>> mark("单元 12")
    '单元 <span class="x">12</span>'
    """
    if isinstance(value, Html):
        return value
    pieces: list[str] = []
    at = 0
    text = str(value)
    for hit in _DIGITS.finditer(text):
        pieces += [escape(text[at : hit.start()]), exempt(hit.group())]
        at = hit.end()
    return Html("".join(pieces) + escape(text[at:]))


def t(key: str, lang: str, **values: object) -> Html:
    """Text of a key as HTML with its values filled in.

    Parameters
    ----------
    key : str
        Key in ``text.toml``, e.g. ``"scorecard.caption"``.
    lang : {"zh", "en"}
        Language.
    **values : str or Html
        Values of the places in braces. Plain text is escaped, its digits marked exempt; a bare number is refused,
        because a reader could not trace it: pass ``num(checkup, value_id)`` or ``exempt(year)``.

    Raises
    ------
    DefinitionError
        The key does not exist, or the values differ from the places in braces.
    ParameterError
        A bare number, or an unknown language.

    Examples
    --------
    >>> t("common.no_data", "zh")
    '无数据'
    """
    template = _template(key, lang)
    pieces: list[str] = []
    used: set[str] = set()
    for literal, field, _spec, _conversion in string.Formatter().parse(template):
        pieces.append(mark(literal))
        if field is None:
            continue
        if field not in values:
            raise DefinitionError(f"text needs a value for '{field}'", where=f"{key} ({lang})")
        value = values[field]
        if isinstance(value, Number):
            raise ParameterError(
                f"'{field}' is a bare number",
                where=key,
                found=value,
                hint="pass num(checkup, value_id) for a result, exempt(x) for a date, code or identifier",
            )
        used.add(field)
        pieces.append(mark(value))
    if unused := sorted(set(values) - used):
        raise DefinitionError(f"text has no place for {unused}", where=f"{key} ({lang})")
    return Html("".join(pieces))


def plain(key: str, lang: str, **values: object) -> str:
    """Text of a key without markup, for pictures, titles and widgets.

    Examples
    --------
    >>> plain("level.4", "zh")
    '严重'
    """
    try:
        return _template(key, lang).format(**values)
    except KeyError as missing:
        raise DefinitionError(f"text needs a value for {missing}", where=f"{key} ({lang})") from None


def paragraph(key: str, lang: str, **values: object) -> Html:
    """A paragraph of :func:`t`."""
    return Html(f"<p>{t(key, lang, **values)}</p>")


def heading(key: str, lang: str, *, level: int = 2, **values: object) -> Html:
    """A heading of :func:`t`; ``level`` 1 to 6."""
    return Html(f"<h{level}>{t(key, lang, **values)}</h{level}>")


def unit_label(unit: str, lang: str) -> str:
    """Unit as a reader writes it, e.g. ``"1e4 mu"`` → ``"万亩"``; a unit without a label stays as it is.

    Examples
    --------
    >>> unit_label("1e4 mu", "zh"), unit_label("km2", "en")
    ('万亩', 'km²')
    """
    if known := UNITS.get(unit):
        return known.zh if lang == "zh" else known.en
    pair = _units().get(unit)
    return pair[lang] if pair else unit


@cache
def _units() -> dict[str, dict[str, str]]:
    return {
        pair["unit"]: pair
        for pair in tomllib.loads((Path(__file__).parent / "units.toml").read_text("utf-8"))["units"]
    }


def dimension_label(dimension: str, lang: str) -> str:
    """Dimension in the reader's language (``安全`` → ``Safety``)."""
    return plain("dimension.all", lang) if dimension == "all" else dimension_words(dimension, lang)
