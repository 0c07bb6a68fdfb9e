"""The look: packaged Chinese font, colours of levels, dimensions and land classes, the page's style sheet."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from workbench.core.fonts import font_path as font_path
from workbench.rules.rule import LEVELS

LEVEL_COLOURS = {number: level.colour for number, level in LEVELS.items()}
"""Colour of a warning level; 2 is read with dark letters."""

DIMENSION_COLOURS = {
    "安全": "#b5483a",
    "创新": "#7b5aa6",
    "协调": "#c98a1b",
    "绿色": "#3f8f4f",
    "开放": "#2f7fb5",
    "共享": "#c2568c",
}

LINE_COLOURS = {
    "permanent_farmland": "#d9a400",
    "ecological_red_line": "#c0392b",
    "development_boundary": "#1f4e9c",
    "green_line": "#2e8b57",
    "blue_line": "#2a7fff",
    "purple_line": "#7e3fa0",
    "yellow_line": "#c7a000",
    "nature_reserve": "#1b7f4b",
    "flood_line": "#1976a8",
    "heritage_line": "#8a3d6b",
    "mineral_line": "#6d5843",
    "industrial_line": "#7a6a9a",
}

LAND_GROUPS: dict[str, tuple[str, str]] = {
    "cropland": ("#fff3a6", "01"),
    "garden": ("#dfeaa0", "02"),
    "forest": ("#7fb77e", "03"),
    "grass": ("#c9e3a1", "04"),
    "commercial": ("#e2504b", "05"),
    "industrial": ("#b08a66", "06"),
    "residential": ("#f7c873", "07"),
    "public": ("#e58fb1", "08"),
    "special": ("#8f7f9c", "09"),
    "transport": ("#b4b4b4", "10"),
    "water": ("#9fd0ee", "11"),
    "other": ("#dcd6c8", "12"),
    "wetland": ("#8fc7b5", "00"),
}
"""Group of the land survey → (colour, first two digits of DLBM), near the customary land-use palette."""

ACCENT = "#1f4e79"
INK = "#1f2933"
MUTED = "#66727f"
PAPER = "#ffffff"


@cache
def font_family() -> str:
    """Name of the packaged font, registered with Matplotlib."""
    from matplotlib import font_manager

    font_manager.fontManager.addfont(font_path())
    return str(font_manager.FontProperties(fname=font_path()).get_name())


def settings() -> dict[str, object]:
    """Matplotlib settings of every picture of the workbench."""
    return {
        "font.family": [font_family()],
        "font.sans-serif": [font_family(), "DejaVu Sans"],
        "axes.unicode_minus": False,
        "font.size": 9.5,
        "axes.titlesize": 12,
        "axes.edgecolor": "#8a949e",
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "grid.color": "#e3e7eb",
        "grid.linewidth": 0.8,
        "figure.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "path.simplify": True,
        "svg.hashsalt": "workbench",
        "legend.frameon": False,
    }


def use() -> None:
    """Give the current Python process the packaged font and the workbench's settings."""
    import matplotlib

    matplotlib.rcParams.update(settings())


def heavy(colour: str = INK) -> list[Any]:
    """Path effect for headings: the packaged font has one weight, a thin stroke makes it heavier."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=0.55, foreground=colour), Normal()]


def halo(width: float = 2.6) -> list[Any]:
    """Path effect that keeps letters readable on any colour."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground="white", alpha=0.92)]


@cache
def css() -> str:
    """Style sheet of tables, chips, numbers and figures, for pages and dashboards."""
    return (Path(__file__).parent / "views.css").read_text("utf-8")
