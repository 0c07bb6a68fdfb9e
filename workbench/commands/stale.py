"""The command ``workbench stale``: which values of a report no longer stand on the data they were made of."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from workbench.commands.options import city_option, data_root_option, make_table, show

FIRST = 40
"""Values listed when not all are asked for."""


@click.command()
@city_option
@click.option("--year", type=int, help="Year of the report; the profile's latest when not given.")
@click.option(
    "--run",
    "run_dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the run; the newest of the city and year when not given.",
)
@click.option("--all", "everything", is_flag=True, help=f"List every value, not the first {FIRST} only.")
@data_root_option
def stale(city: str, year: int | None, run_dir: Path | None, everything: bool) -> None:
    """List the values of a report that an input behind them no longer supports.

    An input is a layer, a definition, the targets, the rules, the register, last year's report. Nothing is computed; a new
    report computes just what is listed. Exit code 1 when there is any.
    """
    from workbench.reporting.run import find_city
    from workbench.reporting.tracing import latest_run, stale_values

    if run_dir is None:
        profile = find_city(city)
        run_dir = latest_run(profile.name, profile.latest_year if year is None else profile.check_year(year))
    found = stale_values(run_dir)
    if found.empty:
        click.echo("nothing is stale: every input is what it was in the run")
        return
    inputs = make_table("input", "in the run", "now", "values")
    for (name, then, now), rows in found.groupby(["input", "then", "now"]):
        inputs.add_row(str(name), str(then), str(now), str(rows["value_id"].nunique()))
    show(inputs)
    values = found.groupby("value_id", sort=False).agg(
        {"indicator": "first", "level": "first", "zone": "first", "year": "first", "input": ", ".join}
    )
    click.echo(f"\n{len(values)} stale values")
    listed = make_table("value", "indicator", "level", "zone", "year", "changed")
    for row in values.head(len(values) if everything else FIRST).itertuples():
        listed.add_row(*map(str, row))
    show(listed)
    if len(values) > FIRST and not everything:
        click.echo(f"… and {len(values) - FIRST} more (--all lists them)")
    sys.exit(1)
