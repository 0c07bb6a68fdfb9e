"""Options and tables that the commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.table import Table

F = TypeVar("F", bound=Callable[..., Any])


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


def topic_options(*, year: str, out: str) -> Callable[[F], F]:
    """Options of a command that answers one question of a city and year: the same names, order and checks for all.

    Parameters
    ----------
    year : str
        What the year is of.
    out : str
        What the folder of ``--out`` takes.
    """
    options = (
        city_option,
        click.option("--year", type=int, help=f"{year}; the profile's latest when not given."),
        click.option(
            "--lang", type=click.Choice(["zh", "en"]), help="Language; the profile's when not given."
        ),
        click.option(
            "--out",
            type=click.Path(file_okay=False, path_type=Path),
            is_eager=True,  # --maps asks whether it was given
            help=f"Folder for {out}; nothing is written when not given.",
        ),
        click.option(
            "--maps", is_flag=True, callback=_with_out, help="Also pictures, into the folder of --out."
        ),
        click.option("--no-cache", is_flag=True, help="Compute everything again."),
        data_root_option,
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _with_out(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
    """Refuse pictures without a folder."""
    if value and ctx.params.get("out") is None:
        raise click.UsageError("--maps needs --out")
    return value


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
