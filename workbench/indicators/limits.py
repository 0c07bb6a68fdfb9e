"""The smallest and largest value that a quantity can have, told by its name and unit."""

from __future__ import annotations

_SIGNED = ("增长", "下降", "降低", "变化", "水位", "沉降", "净")
"""Words in the name of a quantity that may be negative."""
_OPEN = ("开放度", "开发利用率", "增长", "下降", "降低", "变化")
"""Words in the name of a percentage that may be above 100."""


def limits(title: str, unit: str) -> tuple[float | None, float | None, bool]:
    """Smallest and largest value that can be, and whether only whole numbers can be, by what is measured.

    Examples
    --------
    >>> limits("再生水利用率", "%"), limits("人口自然增长率", "per mille"), limits("航线数量", "count")
    ((0.0, 100.0, False), (-1000.0, 1000.0, False), (0.0, None, True))
    """
    signed = any(word in title for word in _SIGNED)
    tops = {"%": 100.0, "percent": 100.0, "per mille": 1000.0, "day": 366.0}
    high = tops.get(unit)
    if unit in ("%", "percent") and any(word in title for word in _OPEN):
        high = None
    low = 0.0 if not signed else -1000.0 if unit == "per mille" else None
    whole = unit in ("set", "day", "bed") or (unit == "count" and not title.startswith("每"))
    return low, high, whole
