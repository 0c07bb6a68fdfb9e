"""Commands that build a city's catalogue and look into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from workbench.commands.options import city_option, data_root_option, make_table, show

if TYPE_CHECKING:
    from workbench.core.city import City


@click.group()
def catalog() -> None:
    """Build and look into a city's catalogue."""


@catalog.command("build")
@city_option
@click.option("--force", is_flag=True, help="Standardise every layer again.")
@data_root_option
def catalog_build(city: str, force: bool) -> None:
    """Standardise a city's layers and write its STAC catalogue.

    Prints what there is, what the checks found and where it is recorded; the last line is the catalogue's path.
    """
    from workbench.reporting.profile import check_libraries
    from workbench.reporting.run import find_city

    profile = find_city(city)
    check_libraries(profile)
    build_and_say(profile, force=force)


def build_and_say(profile: City, *, force: bool) -> None:
    """Build a city's catalogue with progress, and print what came of it."""
    from workbench.catalog import manifest
    from workbench.catalog.build import build
    from workbench.reporting.progress import Steps
    from workbench.reporting.values import catalogue_step

    with Steps() as steps:
        steps.plan("data")
        steps.start("data")
        path = build(profile, force=force, progress=lambda *step: steps.note("data", catalogue_step(*step)))
        steps.end("data", "ok")
    for line in manifest.summary(profile.name):
        click.echo(line)
    click.echo(path)


@catalog.command("list")
@city_option
@data_root_option
def catalog_list(city: str) -> None:
    """List the layers a city has and those it lacks."""
    from workbench.catalog.data import CityData
    from workbench.reporting.run import find_city

    profile = find_city(city)
    data = CityData(profile)
    table = make_table("role", "years", "kind", "tier", "date", "source")
    for role, spec in profile.layers.items():
        years = data.years(role)
        if not data.has(role, years[-1] if years else None):
            table.add_row(role, "-", spec.kind, spec.tier, "-", "not available")
            continue
        source = data.source(role, years[-1] if years else None)
        table.add_row(role, " ".join(map(str, years)), spec.kind, source.tier, source.date, source.source)
    for role, missing in profile.missing.items():
        table.add_row(role, "-", "-", "-", "-", f"missing; usually held by {missing.holder}")
    show(table)


@click.command()
@click.option("--force", is_flag=True, help="Standardise every layer again.")
def demo(force: bool) -> None:
    """Generate the demo city and its catalogue (nothing to do when they are there)."""
    from workbench.core.city import load_city

    build_and_say(load_city("demo"), force=force)
