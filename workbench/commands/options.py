"""Options and tables that the commands share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table


def use_data_root(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Make a data root given as an option known to every part and child process."""
    if value is not None:
        os.environ["WORKBENCH_DATA"] = str(value.resolve())
    return value


data_root_option = click.option(
    "--data-root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    callback=use_data_root,
    expose_value=False,
    is_eager=True,
    help="Folder of real data; $WORKBENCH_DATA when not given.",
)
SOURCES_HINT = "codes of sources such as R1, N8 or warnings.md: see docs/sources.md"
"""Printed below what names a source by its code."""
city_option = click.option(
    "--city", default="demo", show_default=True, help="Name of a city, or the path of a profile."
)


def make_table(*columns: str) -> Table:
    """Return an empty table for the terminal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def show(table: Table) -> None:
    """Print a table as it is: brackets are text, nothing is cut to a width when the output is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 200
    console = Console(highlight=False, markup=False, emoji=False, width=width)
    console.print(table)
