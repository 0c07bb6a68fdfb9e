"""The command ``workbench ingest``: look at what a bureau handed over, and bring it into a city's data."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.options import city_option, data_root_option, make_table, show
from workbench.core.errors import ParameterError

if TYPE_CHECKING:
    from workbench.governance.delivery import Found
    from workbench.governance.delivery_layer import Delivered, Outcome

SHOWN_FIELDS = 12


def _pair(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (sign and name.strip() and value.strip()):
        raise click.BadParameter(f"'{text}' is not NAME=VALUE", param_hint=option)
    return name.strip(), value.strip()


def _values(texts: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """``FIELD:FROM=TO`` options as standard field -> {value = standard value}."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        field, sign, rest = text.partition(":")
        if not sign:
            raise click.BadParameter(f"'{text}' is not FIELD:FROM=TO", param_hint="--value")
        old, new = _pair(rest, "--value")
        found.setdefault(field.strip(), {})[old] = new
    return found


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@city_option
@click.option("--layer", help="Layer of the file, sheet of a workbook, layer of a drawing.")
@click.option(
    "--role", help="What the layer is here, e.g. land_use; told by itself only when its name says so exactly."
)
@click.option("--year", type=int, help="Year the data describe.")
@click.option("--crs", help="Reference system of a file that does not say its own, e.g. EPSG:4547.")
@click.option(
    "--encoding", help="Encoding of the text where the file says none or a wrong one, e.g. gb18030."
)
@click.option(
    "--fields", "fields", multiple=True, metavar="STANDARD=FIELD", help="The file's name of a standard field."
)
@click.option(
    "--value",
    "values",
    multiple=True,
    metavar="FIELD:FROM=TO",
    help="Standard value for a value of the file.",
)
@click.option("--constant", "constants", multiple=True, metavar="FIELD=VALUE", help="One value for all rows.")
@click.option(
    "--datum-parameters",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file with the bureau's own parameters from Beijing 54, Xi'an 80 or a local plane.",
)
@click.option("--gcj02", is_flag=True, help="The degrees are GCJ-02 and are converted.")
@click.option("--clip", is_flag=True, help="Keep only what meets the city's outline.")
@click.option("--source", default="", help="Who made the data, for the profile.")
@click.option("--date", default="", help="Day the data describe, for the profile.")
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; the city's data folder when not given.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@click.option("--dry-run", is_flag=True, help="Read and check everything, write nothing.")
@click.option(
    "--write-profile",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the profile's sections to this file.",
)
@data_root_option
def ingest(
    path: Path, city: str, layer: str | None, role: str | None, year: int | None, crs: str | None, encoding: str | None,
    fields: tuple[str, ...], values: tuple[str, ...], constants: tuple[str, ...], datum_parameters: Path | None,
    gcj02: bool, clip: bool, source: str, date: str, to: Path | None, overwrite: bool, dry_run: bool,
    write_profile: Path | None,
) -> None:  # fmt: skip
    """Read PATH (a file, a file geodatabase or a whole folder), say what it is, and bring it into a city's data.

    A reference system is never guessed. A folder, or a file of several layers without --layer, is taken layer by layer
    where the layers are named as the national standard names them; the others are listed with what is wrong. Exit code
    1 when something could not be taken.
    """
    from workbench.catalog.formats.datum import load
    from workbench.governance.delivery import examine
    from workbench.governance.delivery_layer import Order, deliver, deliver_all, write_fragment
    from workbench.reporting.run import find_city

    profile = find_city(city)
    parameters = None if datum_parameters is None else load(datum_parameters)
    template = Order(
        path, role or "", year, layer, crs, encoding, dict(_pair(text, "--fields") for text in fields), _values(values),
        dict(_pair(text, "--constant") for text in constants), "gcj02" if gcj02 else None, source, date, to, clip, overwrite,
    )  # fmt: skip
    found = examine(path, layer=layer, crs=crs, text=encoding, parameters=parameters)
    if not found:
        raise ParameterError("nothing here that could be read", where=str(path))
    _show_found(found)
    if role is not None and len(found) > 1:
        names = ", ".join(str(one.layer or one.path.name) for one in found)
        raise ParameterError("several layers and one role", where="--layer", expected=f"one of {names}")
    if role is None:
        outcomes = deliver_all(profile, found, template, parameters=parameters, dry_run=dry_run)
        _show_outcomes(outcomes)
        done = [one.delivered for one in outcomes if one.delivered is not None]
        failed = any(one.problem for one in outcomes)
    else:
        order = replace(template, path=found[0].path, layer=found[0].layer)
        done = [deliver(profile, order, parameters=parameters, dry_run=dry_run, progress=_progress())]
        failed = False
    for one in done:
        _show_delivered(one, profile.language)
    if write_profile is not None and done:
        click.echo(write_fragment(write_profile, profile, [one.section for one in done]))
    sys.exit(1 if failed or any(one.failed for one in done) else 0)


def _progress() -> Any:
    """Progress for people who look on; none otherwise."""
    if not sys.stderr.isatty():
        return None

    def step(rows: int, of: int) -> None:
        click.echo(f"\r{rows} of {of if of >= 0 else '?'} rows", nl=rows == of, err=True)

    return step


def _show_found(found: list[Found]) -> None:
    """Print the layers as they are."""
    table = make_table(
        "file", "form", "shapes", "rows", "CRS", "text", "seems to be", "how sure", "what is wrong"
    )
    for one in found:
        seems = " ".join(
            filter(None, (one.guess.code, one.guess.name_zh, one.guess.role and f"({one.guess.role})"))
        )
        sure = f"{one.guess.certainty}: {one.guess.by}" if one.guess.by else one.guess.certainty
        rows = str(one.count) if one.count >= 0 else "?"
        table.add_row(
            one.name,
            one.form,
            one.geometry,
            rows,
            one.crs,
            one.encoding,
            seems,
            sure,
            "; ".join((*one.problems, *one.notes)),
        )
    show(table)
    for one in found if len(found) == 1 else ():
        more = f" and {len(one.fields) - SHOWN_FIELDS} more" if len(one.fields) > SHOWN_FIELDS else ""
        click.echo(f"fields: {', '.join(one.fields[:SHOWN_FIELDS])}{more}")


def _show_outcomes(outcomes: list[Outcome]) -> None:
    """Print what was taken as what, and why the rest was not."""
    table = make_table("file", "taken as", "rows", "why not")
    for one in outcomes:
        rows = str(one.delivered.written.rows) if one.delivered is not None else ""
        table.add_row(one.found.name, one.role if one.delivered is not None else "", rows, one.problem)
    click.echo()
    show(table)


def _show_delivered(done: Delivered, lang: str) -> None:
    """Print what one layer became: fields, findings, the file, the profile's section."""
    written = done.written
    kinds = ", ".join(f"{kind} {number}" for kind, number in written.kinds.most_common())
    click.echo(
        f"\n{done.order.role}: {written.rows} of {written.read} rows; {written.crs}; {kinds}".rstrip("; ")
    )
    if done.known:
        click.echo("fields by national names: " + ", ".join(f"{a}={b}" for a, b in done.known.items()))
    if done.unused:
        click.echo(f"fields left out: {', '.join(done.unused)}")
    for one in written.findings:
        click.echo(f"{one.severity:<8}{one.message_en if lang == 'en' else one.message_zh}")
    click.echo(f"written: {done.target}" if done.target is not None else "nothing was written")
    click.echo(f"\n{done.section}")
