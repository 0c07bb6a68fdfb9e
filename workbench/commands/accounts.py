"""Commands on what departments fill in and on the accounts of quotas."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from workbench.commands.options import city_option, data_root_option, make_table, show
from workbench.core.errors import ParameterError


@click.group("fill-in")
def fill_in() -> None:
    """Fill-in sheets: a workbook for each department with the figures no layer holds."""


@fill_in.command("make")
@city_option
@click.option("--year", type=int, help="Year of the checkup; the profile's latest when not given.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder; CITY/YEAR/fill_in below the folder of reports when not given.",
)
@data_root_option
def fill_in_make(city: str, year: int | None, out: Path | None) -> None:
    """Write a workbook for each department; prints their paths."""
    from workbench.core.paths import reports_dir
    from workbench.evaluation.fill_in import make
    from workbench.reporting.progress import one_step
    from workbench.reporting.run import find_city

    profile = find_city(city)
    wanted = year or profile.latest_year
    target = out or reports_dir() / profile.name / str(wanted) / "fill_in"
    with one_step("fill-in sheets") as say:
        written = make(profile, wanted, target, say=say)
    for path in written:
        click.echo(path)
    if not written:
        if not any(target.iterdir()):
            target.rmdir()
        click.echo(f"nothing to fill in: no indicator of {profile.name} waits for a figure of {wanted}")


@fill_in.command("read")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@city_option
@click.option("--year", type=int, help="Year of the checkup; the profile's latest when not given.")
@click.option("--check", "only_check", is_flag=True, help="Say what is wrong; keep nothing.")
@click.option(
    "--note-above", type=float, default=30.0, show_default=True, help="Percent of change that needs a note."
)
@data_root_option
def fill_in_read(
    paths: tuple[Path, ...], city: str, year: int | None, only_check: bool, note_above: float
) -> None:
    """Read filled-in workbooks (or folders of them), say what is wrong by cell, and keep the figures without an error.

    Exit code 1 when a cell has an error: that figure is not kept, the others are.
    """
    from workbench.evaluation.fill_in import keep, read
    from workbench.reporting.run import find_city

    profile = find_city(city)
    wanted = year or profile.latest_year
    found = read(profile, wanted, paths, note_above=note_above / 100)
    table = make_table("level", "file", "what")
    for row in found.findings.to_dict("records"):
        table.add_row(row["level"], row["file"], row[f"message_{profile.language}"])
    show(table)
    warned = int((found.findings["level"] == "warning").sum())
    click.echo(f"{len(found.table)} figures accepted, {len(found.errors)} errors, {warned} warnings")
    if not only_check and found.departments:
        click.echo(keep(profile, wanted, found))
    sys.exit(1 if len(found.errors) else 0)


@click.command()
@city_option
@click.option("--year", type=int, help="Year of the accounts; the profile's latest when not given.")
@click.option("--level", help="Zone level of the rows; city and the level below it when not given.")
@data_root_option
def ledger(city: str, year: int | None, level: str | None) -> None:
    """Close the accounts of the development boundary for a year and publish them in the catalogue as quota_ledger."""
    from workbench.catalog.data import CityData
    from workbench.evaluation.ledger import UNIT, publish, quota_ledger
    from workbench.reporting.run import find_city

    profile = find_city(city)
    book = quota_ledger(profile, CityData(profile), year or profile.latest_year)
    columns = ("total", "transferred_in", "transferred_out", "used", "left")
    table = make_table("zone", "name", *(f"{name} {UNIT}" for name in columns), "state")
    if level is not None and level not in book.tree.levels:
        raise ParameterError(
            "no such zone level", where="--level", found=level, expected=", ".join(book.tree.levels)
        )
    wanted = {level} if level else set(book.tree.levels[:2])
    for row in book.balances.to_dict("records"):
        if row["level"] in wanted:
            table.add_row(
                row["zone"],
                row["name"],
                *(f"{row[name]:,.2f}".replace("nan", "-") for name in columns),
                row["state"],
            )
    show(table)
    click.echo(publish(profile, book))
