"""Breaking of words into lines in pictures, where Chinese and Latin letters differ in width."""

from __future__ import annotations

import re
import unicodedata


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` half-width characters; Chinese breaks anywhere, other words stay whole.

    Examples
    --------
    >>> wrap("公共管理与公共服务用地", 14)
    ['公共管理与公共', '服务用地']
    >>> wrap("Public services and parks", 16)
    ['Public services', 'and parks']
    """
    lines = [""]
    for piece in re.findall(r"[^\s\u2e80-\uffef]+\s*|[\u2e80-\uffef]\s*|\s+", text):
        if display_width(lines[-1] + piece.rstrip()) > width and lines[-1]:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += piece
    lines[-1] = lines[-1].rstrip()
    return [line for line in lines if line]


def display_width(text: str) -> int:
    """Width of a text in half-width characters; a Chinese letter counts two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
