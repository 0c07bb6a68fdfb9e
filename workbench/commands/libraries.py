"""Commands that show the libraries."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.options import SOURCES_HINT, data_root_option, make_table, show
from workbench.core.errors import ParameterError

if TYPE_CHECKING:
    from workbench.indicators.indicator import Indicator


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
    """List indicators, all or by a filter; with IDS everything about these, and their worked examples are run.

    Exit code 1 when a worked example does not give what it states.
    """
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
        wrong = [one for one in ids if not _run_examples(library[one])]
        click.echo(SOURCES_HINT)
        sys.exit(1 if wrong else 0)
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


def _run_examples(indicator: Indicator) -> bool:
    """Run the worked example of each method and say what came of it; whether all gave what they state."""
    from workbench.core.errors import WorkbenchError
    from workbench.indicators.examples import check_example

    passed = True
    for number in range(len(indicator.methods)):
        name = f"worked example {indicator.id} method {number + 1} of {len(indicator.methods)}"
        try:
            found, expected, agrees = check_example(indicator, number)
        except WorkbenchError as error:
            passed = False
            click.echo(f"{name}: wrong, it cannot be run: {error}")
            continue
        passed &= agrees
        said = "passed" if agrees else "WRONG"
        click.echo(f"{name}: {said}; found {found:.12g}, expected {expected:.12g} {indicator.unit}")
    return passed


def _show_rows(frame: Any) -> None:
    """Print a table of the libraries."""
    table = make_table(*(str(name) for name in frame.columns))
    for row in frame.itertuples(index=False):
        table.add_row(*(str(value) for value in row))
    show(table)
