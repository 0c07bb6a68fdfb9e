"""Commands that show the libraries."""

from __future__ import annotations

from typing import Any

import click

from workbench.commands.options import SOURCES_HINT, data_root_option, make_table, show
from workbench.core.errors import ParameterError


@click.group()
def libraries() -> None:
    """Show the libraries: indicators, sets of indicators, rules, operators."""


lang_option = click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Language of titles."
)


@libraries.command("indicators")
@click.argument("ids", nargs=-1)
@click.option("--dimension", help="Only this dimension, e.g. 安全 or Safety.")
@click.option("--basis", type=click.Choice(["layers", "tables", "reported"]), help="Only with such a method.")
@click.option("--holder", help="Only where the holder of the data contains this text.")
@click.option("--confidence", help="Only where the statement of confidence contains this text.")
@click.option("--city", help="With the changes of this city's own edition.")
@lang_option
@data_root_option
def libraries_indicators(
    ids: tuple[str, ...],
    dimension: str | None,
    basis: str | None,
    holder: str | None,
    confidence: str | None,
    city: str | None,
    lang: str,
) -> None:
    """List indicators, all or by a filter; with IDS everything about these."""
    from workbench import libraries as shown
    from workbench.indicators.changes import city_library
    from workbench.indicators.library import load_library
    from workbench.reporting.run import find_city

    library = load_library() if city is None else city_library(find_city(city))
    if unknown := [one for one in ids if one not in library]:
        raise ParameterError("no such indicator in the library", where="ids", found=unknown)
    found = shown.indicators_table(
        lang, dimension=dimension, basis=basis, holder=holder, confidence=confidence, library=library
    )
    if ids:
        _show_rows(found[found["id"].isin(ids)].set_index("id").T.reset_index(names=""))
        click.echo(SOURCES_HINT)
        return
    if confidence is None:
        found["confidence"] = found["confidence"].map(shown.sureness)
    _show_rows(found[["id", "dimension", "title", "unit", "basis", "methods", "holder", "confidence"]])
    if confidence is None:
        click.echo(
            "confidence: of the name, of the definition; every statement in full: give an id or --confidence"
        )
    click.echo(SOURCES_HINT)


@libraries.command("sets")
@click.argument("name", required=False)
@click.option("--diff", "other", metavar="OTHER", help="What OTHER has more and less than NAME.")
@lang_option
def libraries_sets(name: str | None, other: str | None, lang: str) -> None:
    """List the sets of indicators, the indicators of set NAME, or how it differs from another."""
    from workbench import libraries as shown

    if name is None:
        if other is not None:
            raise click.UsageError("--diff needs the NAME of a set to compare with")
        _show_rows(shown.sets_table(lang))
    elif other is None:
        _show_rows(shown.set_table(name, lang)[["id", "dimension", "title", "unit", "kind", "basis"]])
    else:
        _show_rows(shown.sets_diff(name, other, lang))


@libraries.command("rules")
@lang_option
def libraries_rules(lang: str) -> None:
    """List the rules."""
    from workbench.libraries import rules_table

    _show_rows(rules_table(lang)[["id", "kind", "title", "clause", "source"]])
    click.echo(SOURCES_HINT)


@libraries.command("operators")
def libraries_operators() -> None:
    """List the operators."""
    from workbench.libraries import operators_table

    found = operators_table()
    found["operator"] = found["module"] + "." + found["operator"]
    _show_rows(found[["operator", "summary"]])


def _show_rows(frame: Any) -> None:
    """Print a table of the libraries."""
    table = make_table(*(str(name) for name in frame.columns))
    for row in frame.itertuples(index=False):
        table.add_row(*(str(value) for value in row))
    show(table)
