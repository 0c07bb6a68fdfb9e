"""The command ``structure``: urban area, transitions, landscape, clusters, transit, low-efficiency land, SDG 11 of a city."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.commands.options import SOURCES_HINT, make_table, show, topic_options

if TYPE_CHECKING:
    from workbench.evaluation.structure import Structure


@click.command("structure")
@topic_options(year="Year of the survey and the residents", out="tables (Parquet) and shapes (GeoPackage)")
def structure(
    city: str, year: int | None, lang: str | None, out: Path | None, maps: bool, no_cache: bool
) -> None:
    """Say how the city is built: its physical extent, what became of the land, where people cluster, who has transit.

    Parts that the data do not allow are named with the reason.
    """
    from workbench.evaluation.structure import structure as compute
    from workbench.reporting.run import find_city

    profile = find_city(city)
    found = compute(profile, year, use_cache=not no_cache, say=lambda text: click.echo(text, err=True))
    words = lang or profile.language
    _figures(found, words)
    for row in found.parts[~found.parts["there"].astype(bool)].to_dict("records"):
        click.echo(f"- {row['part']}: {row[f'reason_{words}']}")
    for message in found.findings[f"message_{words}"].drop_duplicates():
        click.echo(f"! {message}")
    click.echo(SOURCES_HINT)
    if out is not None:
        paths = found.save(out)
        if maps:
            from workbench.views.structure_pictures import pictures

            paths += [picture.save(out / f"{name}.png") for name, picture in pictures(found, words).items()]
        for path in paths:
            click.echo(path)


def _figures(found: Structure, lang: str) -> None:
    """Figures of all parts but the many metrics of single classes."""
    from workbench.core.units import display
    from workbench.views.structure import verdict_word

    table = make_table("part", "figure", "value", "unit", "what it is")
    for row in found.facts.to_dict("records"):
        if row["part"] == "landscape" and str(row["item"]).count(".") > 1:
            continue
        value = row[f"reason_{lang}"] or f"{row['value']:,.{int(row['decimals'])}f}"
        unit, basis = display(str(row["unit"]), lang), row["basis"]
        if (row["part"], row["item"]) == ("people", "verdict"):
            value, unit, basis = verdict_word(found, lang), "", "what may be said of the rank-size rule"
        table.add_row(row["part"], row["item"], value, unit, basis)
    show(table)
