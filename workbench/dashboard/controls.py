"""Controls in the reader's language: choices of indicator, district, dimension, level, and layer switches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from workbench.views.text import plain

ALL = "*"
"""Value of the entry that does not narrow; None would leave the drop-down blank."""


def choice(
    label: str,
    options: Sequence[tuple[str, Any]],
    on_change: Callable[[Any], None],
    *,
    value: Any = None,
    width: str = "240px",
) -> Any:
    """Drop-down with its label; ``on_change`` gets the chosen value, None for :data:`ALL`."""
    box = widgets.Dropdown(
        options=list(options),
        description=label,
        style={"description_width": "initial"},
        layout={"width": width},
    )
    if value is not None:
        box.value = value
    box.observe(lambda change: on_change(None if change["new"] == ALL else change["new"]), names="value")
    return box


def switch(label: str, value: bool, on_change: Callable[[bool], None]) -> Any:
    """Toggle for a map layer."""
    box = widgets.ToggleButton(value=value, description=label, layout={"width": "auto"})
    box.add_class("wb-switch")
    box.observe(lambda change: on_change(bool(change["new"])), names="value")
    return box


def switches(
    names: Mapping[str, str], values: Mapping[str, bool], on_change: Callable[[str, bool], None]
) -> tuple[Any, dict[str, Any]]:
    """Row of layer switches, name → words; and the switches by name."""
    made = {
        name: switch(words, values[name], lambda on, name=name: on_change(name, on))  # type: ignore[misc]
        for name, words in names.items()
    }
    row = widgets.HBox(list(made.values()))
    row.add_class("wb-switches")
    return row, made


def search(lang: str, on_change: Callable[[str], None]) -> Any:
    """Text box that filters while one types."""
    box = widgets.Text(
        placeholder=plain("dashboard.search", lang), continuous_update=True, layout={"width": "200px"}
    )
    box.observe(lambda change: on_change(str(change["new"])), names="value")
    return box


def all_option(lang: str) -> tuple[str, str]:
    """First entry of a drop-down that does not narrow the selection."""
    return plain("dashboard.all", lang), ALL
