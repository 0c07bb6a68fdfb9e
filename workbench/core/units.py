"""Units an indicator may have: how they convert, and how they are written for readers."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.core.errors import ParameterError

MU_M2 = 10_000 / 15
"""Square metres of one mu (亩)."""


@dataclass(frozen=True)
class Unit:
    """A unit by its factor to the base unit of its dimension."""

    code: str
    """As written in definitions, e.g. ``"1e4 mu"``."""
    dimension: str
    """Units of one dimension convert into each other."""
    factor: float
    """Multiply by it to get the base unit."""
    zh: str
    """As written in Chinese."""
    en: str
    """As written in English."""


_ROWS = [
    ("m2", "area", 1.0, "平方米", "m²"),
    ("mu", "area", MU_M2, "亩", "mu"),
    ("1e4 mu", "area", 1e4 * MU_M2, "万亩", "10,000 mu"),
    ("ha", "area", 1e4, "公顷", "ha"),
    ("km2", "area", 1e6, "平方千米", "km²"),
    ("m", "length", 1.0, "米", "m"),
    ("km", "length", 1e3, "千米", "km"),
    ("%", "ratio", 0.01, "%", "%"),
    ("percent", "ratio", 0.01, "%", "%"),
    ("1", "ratio", 1.0, "", ""),
    ("person", "people", 1.0, "人", "people"),
    ("1e4 person", "people", 1e4, "万人", "10,000 people"),
    ("person/km2", "people per area", 1e-6, "人/平方千米", "people/km²"),
    ("1e4 person/km2", "people per area", 1e-2, "万人/平方千米", "10,000 people/km²"),
    ("m2/person", "area per person", 1.0, "平方米/人", "m²/person"),
    ("km/km2", "length per area", 1e-3, "千米/平方千米", "km/km²"),
    ("m3", "volume", 1.0, "立方米", "m³"),
    ("1e8 m3", "volume", 1e8, "亿立方米", "100 million m³"),
    ("m3/person", "volume per person", 1.0, "立方米/人", "m³/person"),
    ("CNY", "money", 1.0, "元", "CNY"),
    ("1e4 CNY", "money", 1e4, "万元", "10,000 CNY"),
    ("1e8 CNY", "money", 1e8, "亿元", "100 million CNY"),
    ("1e8 CNY/km2", "money per area", 1e2, "亿元/平方千米", "100 million CNY/km²"),
    ("m2/1e4 CNY", "area per money", 1e-4, "平方米/万元", "m²/10,000 CNY"),
    ("count", "count", 1.0, "个", ""),
    ("min", "time", 60.0, "分钟", "min"),
    ("day", "time", 86400.0, "天", "days"),
    ("year", "years", 1.0, "年", "years"),
]
UNITS: dict[str, Unit] = {row[0]: Unit(*row) for row in _ROWS}
"""Units by code; a unit that is not here is shown as written and converts only into itself."""


def convert(value: float, source: str, target: str) -> float:
    """Value in another unit of the same dimension.

    Examples
    --------
    >>> round(convert(68.03, "1e4 mu", "km2"), 3)
    453.533

    Raises
    ------
    ParameterError
        When a unit is unknown or the dimensions differ.
    """
    if source == target:
        return value
    for code in (source, target):
        if code not in UNITS:
            raise ParameterError("unknown unit", where="units", found=code, expected=", ".join(UNITS))
    first, second = UNITS[source], UNITS[target]
    if first.dimension != second.dimension:
        raise ParameterError(
            "units of different dimensions",
            where="units",
            found=f"{source} ({first.dimension})",
            expected=f"{target} ({second.dimension})",
        )
    return value * first.factor / second.factor


def display(code: str, lang: str = "zh") -> str:
    """Write a unit as readers see it; an unknown code comes back as written.

    Examples
    --------
    >>> display("1e4 mu"), display("km2", "en"), display("dB")
    ('万亩', 'km²', 'dB')
    """
    unit = UNITS.get(code)
    return code if unit is None else (unit.en if lang == "en" else unit.zh)
