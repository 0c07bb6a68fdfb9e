"""The command ``suitability``: what land is fit for, how sure that is, how many people it can carry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.commands.options import SOURCES_HINT, make_table, show, topic_options

if TYPE_CHECKING:
    from workbench.evaluation.suitability import Suitability


@click.command("suitability")
@topic_options(
    year="Year of lines and land use", out="tables (Parquet), rasters (GeoTIFF) and patches (GeoPackage)"
)
@click.option(
    "--settings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings to use instead of the city's own (TOML): a changed copy of suitability.toml, see docs/add_a_city.md.",
)
def suitability(
    city: str,
    year: int | None,
    lang: str | None,
    settings: Path | None,
    out: Path | None,
    maps: bool,
    no_cache: bool,
) -> None:
    """Say what land is fit for (ecology, farming, building), how sure that is, and how many people it can carry.

    Factors without a layer are named; what stands in for them and why is said.
    """
    from workbench.evaluation.suitability import evaluate, read_settings
    from workbench.reporting.run import find_city

    profile = find_city(city)
    found = evaluate(
        profile, year, read_settings(settings) if settings else None, use_cache=not no_cache,
        say=lambda text: click.echo(text, err=True),
    )  # fmt: skip
    words = lang or profile.language
    _classes(found, words)
    _conflicts(found, words)
    _capacity(found, words)
    for message in found.findings[f"message_{words}"]:
        click.echo(f"! {message}")
    for row in found.factors[found.factors["state"].isin(["missing", "proxy"])].to_dict("records"):
        title = found.settings.evaluation(row["evaluation"]).title(words)
        click.echo(f"! {title}: {row[f'reason_{words}']}")
    click.echo(SOURCES_HINT)
    if out is not None:
        paths = found.save(out)
        if maps:
            paths += _pictures(found, words, out)
        for path in paths:
            click.echo(path)


def _number(value: float, decimals: int = 1) -> str:
    return "-" if value != value else f"{value:,.{decimals}f}"


def _classes(found: Suitability, lang: str) -> None:
    """Area and share of each class, and its share over the draws."""
    from workbench.views.suitability import evaluation_title

    in_city = found.areas[found.areas["level"] == "city"]
    areas = {(row["output"], row["class"]): row for row in in_city.to_dict("records")}
    table = make_table("result", "class", "km²", "%", "5 % of draws", "95 % of draws", "chance %")
    for row in found.draws.to_dict("records"):
        output, code = row["output"], row["class"]
        area = areas[output, code]
        title = evaluation_title(found, output, lang)
        table.add_row(
            title, found.titles(output, lang)[code - 1], _number(area["area_m2"] / 1e6, 2), _number(area["share"]),
            *(_number(row[name]) for name in ("low", "high", "chance")),
        )  # fmt: skip
    show(table)


def _conflicts(found: Suitability, lang: str) -> None:
    in_city = found.conflicts[found.conflicts["level"] == "city"]
    rows = {str(row["conflict"]): row for row in in_city.to_dict("records")}
    table = make_table("present use against the result", "ha", "% of that use", "patches")
    for one in found.settings.conflicts:
        if one.id in rows:
            count = int((found.patches["conflict"] == one.id).sum())
            row = rows[one.id]
            table.add_row(
                one.title(lang), _number(row["area_m2"] / 1e4), _number(row["share"], 2), str(count)
            )
    show(table)


def _capacity(found: Suitability, lang: str) -> None:
    from workbench.views.suitability import level_word
    from workbench.views.text import plain

    table = make_table(
        "carrying capacity", "zone", "people it carries", "people now", "pressure", "level", ""
    )
    for row in found.capacity.to_dict("records"):
        name = row["zone_name_en"] if lang == "en" else row["zone_name"]
        table.add_row(
            plain(f"suit.constraint.{row['constraint']}", lang), name, _number(row["people_capacity"], 0), _number(row["people"], 0), _number(row["ratio"], 2),
            level_word(row["warning"], lang), row[f"reason_{lang}"],
        )  # fmt: skip
    show(table)


def _pictures(found: Suitability, lang: str, folder: Path) -> list[Path]:
    """Write maps and charts."""
    from workbench.views import suitability_pictures as pictures

    made = {name: pictures.class_map(found, lang, name) for name in found.outputs}
    made["sensitivity"] = pictures.sensitivity_chart(found, lang)
    if found.grid["draws"]:
        made |= {f"chance_{name}": pictures.chance_map(found, lang, name) for name in found.outputs}
    made["slope"] = pictures.slope_map(found, lang)
    if len(found.patches):
        made["conflicts"] = pictures.conflict_map(found, lang)
    return [picture.save(folder / f"{name}.png") for name, picture in made.items()]
