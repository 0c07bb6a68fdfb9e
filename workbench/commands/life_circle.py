"""The command ``life-circle``: coverage, complete circles, supply and equity, further sites of a city."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.commands.options import SOURCES_HINT, make_table, show, topic_options

if TYPE_CHECKING:
    from workbench.evaluation.life_circle import LifeCircle


@click.command("life-circle")
@topic_options(year="Year of population and buildings", out="tables (Parquet) and shapes (GeoPackage)")
def life_circle(
    city: str, year: int | None, lang: str | None, out: Path | None, maps: bool, no_cache: bool
) -> None:
    """Say who has what within reach, where circles are complete, and where one more facility helps most.

    Shares are of people, on foot on the road network; the straight line stands beside them. What the data lack is named.
    """
    from workbench.evaluation.life_circle import life_circle as compute
    from workbench.reporting.run import find_city
    from workbench.views.life_circle import gravest

    profile = find_city(city)
    found = compute(profile, year, use_cache=not no_cache, say=lambda text: click.echo(text, err=True))
    words = lang or profile.language
    _coverage(found, words)
    _circles(found, words)
    _sites(found, words)
    for message in gravest(found.findings)[f"message_{words}"]:
        click.echo(f"! {message}")
    click.echo(SOURCES_HINT)
    if out is not None:
        paths = found.save(out)
        if maps:
            paths += _pictures(found, words, out)
        for path in paths:
            click.echo(path)


def _percent(value: float) -> str:
    return "-" if value != value else f"{value:.1f}"


def _coverage(life: LifeCircle, lang: str) -> None:
    rows = life.coverage
    rows = rows[(rows["level"] == "city") & (rows["age"] == "all") & rows["own"]]
    cycled = rows[rows["mode"] == "cycle"].set_index("kind")["share"]
    table = make_table("facility", "minutes", "on foot %", "straight %", "gap", "bicycle %", "")
    for row in rows[rows["mode"] == "walk"].to_dict("records"):
        table.add_row(
            life.settings.facility(row["kind"]).title(lang),
            f"{row['minutes']:g}",
            *(_percent(row[name]) for name in ("share", "straight_share", "gap")),
            _percent(float(cycled[row["kind"]])),
            row[f"reason_{lang}"],
        )
    show(table)


def _circles(life: LifeCircle, lang: str) -> None:
    rows = life.circles
    rows = rows[(rows["level"] == "city") & (rows["age"] == "all") & (rows["mode"] == "walk")]
    table = make_table("circle", "complete on foot %", "")
    for row in rows.to_dict("records"):
        circle = next(one for one in life.settings.circles if one.id == row["circle"])
        missing = f"upper bound, the data lack {row['absent']}" if row["bound"] else row[f"reason_{lang}"]
        table.add_row(circle.title(lang), _percent(row["share"]), missing)
    show(table)


def _sites(life: LifeCircle, lang: str) -> None:
    table = make_table("one more facility", "order", "x", "y", "gain", "before %", "after %")
    for row in life.next_sites.itertuples():
        table.add_row(
            life.settings.facility(row.kind).title(lang),
            str(row.rank),
            f"{row.geometry.x:.0f}",
            f"{row.geometry.y:.0f}",
            f"{row.gain:,.0f}",
            _percent(row.share_before),
            _percent(row.share_after),
        )
    show(table)


def _pictures(life: LifeCircle, lang: str, folder: Path) -> list[Path]:
    """Write the charts and maps that the data allow."""
    from workbench.views import life_circle as tables
    from workbench.views import life_pictures as pictures

    made = {"levels": pictures.levels_chart(life, lang)}
    if any(name == "kinds.checkup" for name in life.cells):
        made["circle_checkup"] = pictures.circle_map(life, lang)
    for kind in tables.weakest(life):
        made[f"walk_{kind}"] = pictures.kind_map(life, lang, kind)
    if pictures.has_supply(life):
        made["lorenz"] = pictures.lorenz_chart(life, lang)
        made[f"supply_{pictures.supply_kind(life)}"] = pictures.supply_map(life, lang)
    return [picture.save(folder / f"{name}.png") for name, picture in made.items()]
