"""Pieces of HTML as a string type that escapes once and shows itself in a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping


class Html(str):
    """Markup that is already safe to insert.

    Examples
    --------
    >>> escape("a < b")
    'a &lt; b'
    >>> escape(Html("<b>x</b>"))
    '<b>x</b>'
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)

    def __html__(self) -> str:
        return str(self)

    def __add__(self, other: str) -> Html:
        return Html(str.__add__(self, escape(other)))


def escape(value: object) -> Html:
    """Text made safe for HTML; markup passes unchanged."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(str(value), quote=True))


def element(
    name: str, content: object = "", attributes: Mapping[str, object] | None = None, *, css: str = ""
) -> Html:
    """One HTML element around escaped content.

    Parameters
    ----------
    name : str
        Element name, e.g. ``"td"``.
    content : object
        Text (escaped) or :class:`Html` (kept).
    attributes : mapping, optional
        Attribute name to value; values are escaped, None leaves the attribute out.
    css : str
        Class names, separated by spaces.

    Examples
    --------
    >>> element("td", "3 < 4", {"title": "x"}, css="left")
    '<td class="left" title="x">3 &lt; 4</td>'
    """
    parts = [f' class="{html.escape(css)}"'] if css else []
    for key, value in (attributes or {}).items():
        if value is not None:
            parts.append(f' {key}="{html.escape(str(value))}"')
    return Html(f"<{name}{''.join(parts)}>{escape(content)}</{name}>")


def join(parts: list[Html] | tuple[Html, ...], between: str = "") -> Html:
    """Pieces of markup one after the other."""
    return Html(between.join(parts))
