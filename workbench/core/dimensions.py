"""The dimensions of the checkup and what readers call them, the same in every sentence, table and chart."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "安全": ("安全", "Safety"),
    "创新": ("创新", "Innovation"),
    "协调": ("协调", "Coordination"),
    "绿色": ("绿色", "Green"),
    "开放": ("开放", "Openness"),
    "共享": ("共享", "Sharing"),
    "规划约束": ("规划约束", "Plan constraints"),
    "SDG": ("可持续发展目标", "Sustainable Development Goals"),
}
"""Dimension as definitions write it → Chinese and English, in the order of the report."""


def dimension_words(dimension: str, lang: str) -> str:
    """Name of a dimension in the reader's language; one that is not known stays as written.

    Examples
    --------
    >>> dimension_words("SDG", "zh"), dimension_words("安全", "en")
    ('可持续发展目标', 'Safety')
    """
    words = WORDS.get(dimension, (dimension, dimension))
    return words[1] if lang == "en" else words[0]
