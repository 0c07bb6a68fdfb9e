"""The command ``workbench``: reports, catalogue, demo city, libraries, tracing, notebooks, dashboards.

Everything heavy is imported inside the command that needs it, so that ``workbench --help`` is quick.
Exit codes: 0 done; 1 something failed while running; 2 the command was not understood (nothing ran);
130 interrupted.
"""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench import __version__
from workbench.core.errors import DefinitionError, ParameterError, ProfileError, WorkbenchError

if TYPE_CHECKING:
    from rich.table import Table

MISUSE = (ParameterError, ProfileError, DefinitionError)
"""Errors found before anything ran: exit code 2."""


class Commands(click.Group):
    """A group that says errors in one line, suggests the nearest command, and keeps the exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn the package's errors into a message and an exit code."""
        try:
            return super().invoke(ctx)
        except WorkbenchError as error:
            click.echo(f"workbench: {error}", err=True)
            ctx.exit(2 if isinstance(error, MISUSE) else 1)
        except KeyboardInterrupt:
            click.echo("workbench: interrupted; what was finished is kept", err=True)
            ctx.exit(130)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or fail with the nearest name."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.commands, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"No such command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


def _use_data_root(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Make a data root given as an option known to every part and child process."""
    if value is not None:
        os.environ["WORKBENCH_DATA"] = str(value.resolve())
    return value


def _pairs(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Options of the form ``name=value`` as a dict."""
    found = {}
    for text in value:
        name, equals, content = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"'{text}' is not NAME=VALUE")
        found[name.strip()] = content
    return found


data_root_option = click.option(
    "--data-root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    callback=_use_data_root,
    expose_value=False,
    is_eager=True,
    help="Folder of real data; $WORKBENCH_DATA when not given.",
)
city_option = click.option(
    "--city", default="demo", show_default=True, help="Name of a city, or the path of a profile."
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="workbench")
def main() -> None:
    """Analytical workbench for monitoring how territorial spatial plans are carried out."""


@main.command()
@click.argument("book", default="annual_checkup")
@city_option
@click.option("--year", type=int, help="Year of the checkup; the profile's latest when not given.")
@click.option("--lang", type=click.Choice(["zh", "en"]), help="Language; the profile's when not given.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for reports.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Chapters at once.")
@click.option("-p", "--parameter", multiple=True, callback=_pairs, help="NAME=VALUE for the notebooks.")
@click.option("--no-cache", is_flag=True, help="Compute everything again.")
@click.option(
    "--time-limit", type=float, default=7200.0, show_default=True, help="Seconds for the whole run."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@data_root_option
def report(
    book: str,
    city: str,
    year: int | None,
    lang: str | None,
    out: Path | None,
    jobs: int,
    parameter: dict[str, str],
    no_cache: bool,
    time_limit: float,
    quiet: bool,
) -> None:
    """Make a report; the last line printed is the path of its page.

    BOOK names a file in reports/books. Exit code 1 when a chapter failed: the page then says so in the
    chapter's place and the others stand.
    """
    from workbench.reporting.run import run_report

    result = run_report(
        book,
        city,
        year,
        lang=lang,
        jobs=jobs,
        out_dir=out.resolve() if out else None,
        use_cache=not no_cache,
        parameters=parameter,
        time_limit_s=time_limit,
        quiet=quiet,
    )
    if result.failed:
        click.echo(f"workbench: chapters failed: {', '.join(result.failed)}", err=True)
    click.echo(result.path)
    sys.exit(1 if result.failed else 0)


@main.group()
def catalog() -> None:
    """Build and look into a city's catalogue."""


@catalog.command("build")
@city_option
@click.option("--force", is_flag=True, help="Standardise every layer again.")
@data_root_option
def catalog_build(city: str, force: bool) -> None:
    """Standardise a city's layers and write its STAC catalogue; prints its path."""
    from workbench.catalog.build import build
    from workbench.reporting.run import find_city

    click.echo(build(find_city(city), force=force))


@catalog.command("list")
@city_option
@data_root_option
def catalog_list(city: str) -> None:
    """List the layers a city has and those it lacks."""
    from workbench.catalog.data import CityData
    from workbench.reporting.run import find_city

    profile = find_city(city)
    data = CityData(profile)
    table = _table("role", "years", "kind", "tier", "date", "source")
    for role, spec in profile.layers.items():
        years = data.years(role)
        if not data.has(role, years[-1] if years else None):
            table.add_row(role, "-", spec.kind, spec.tier, "-", "not available")
            continue
        source = data.source(role, years[-1] if years else None)
        table.add_row(role, " ".join(map(str, years)), spec.kind, source.tier, source.date, source.source)
    for role, missing in profile.missing.items():
        table.add_row(role, "-", "-", "-", "-", f"missing; usually held by {missing.holder}")
    _show(table)


@main.command()
@click.option("--force", is_flag=True, help="Standardise every layer again.")
def demo(force: bool) -> None:
    """Generate the demo city and its catalogue (nothing to do when they are there)."""
    from workbench.catalog.build import build
    from workbench.core.city import load_city

    click.echo(build(load_city("demo"), force=force))


@main.command()
@click.argument("value_id")
@click.option(
    "--run",
    "run_dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the run; every latest run is searched when not given.",
)
@data_root_option
def trace(value_id: str, run_dir: Path | None) -> None:
    """Explain one number of a report and compute it again.

    Prints its definition, source, inputs with their hashes, dates and licences, parameters and code. Exit
    code 1 when the recomputed value differs.
    """
    from workbench.reporting.tracing import find_run, trace_value

    found = trace_value(value_id, run_dir or find_run(value_id))
    click.echo(found.text)
    sys.exit(0 if found.agrees else 1)


@main.command()
@click.argument("library", type=click.Choice(["indicators", "rules", "sets", "operators"]))
def libraries(library: str) -> None:
    """List a library: indicators, rules, sets of indicators, operators."""
    table = {
        "indicators": _indicator_rows,
        "rules": _rule_rows,
        "sets": _set_rows,
        "operators": _operator_rows,
    }[library]()
    _show(table)


def _indicator_rows() -> Table:
    from workbench.indicators.library import load_library

    table = _table("id", "dimension", "title_zh", "title_en", "unit", "tiers")
    for key, one in load_library().items():
        tiers = " ".join(method.tier for method in one.methods)
        table.add_row(key, one.dimension, one.title_zh, one.title_en, one.unit, tiers)
    return table


def _rule_rows() -> Table:
    from workbench.rules.library import load_rules

    table = _table("id", "kind", "title_zh", "title_en", "clause")
    for key, rule in load_rules().items():
        table.add_row(key, rule.kind, rule.title_zh, rule.title_en, rule.clause)
    return table


def _set_rows() -> Table:
    from workbench.core.paths import PACKAGE
    from workbench.indicators.library import load_set

    table = _table("set", "indicators", "ids")
    for path in sorted((PACKAGE / "indicators" / "sets").glob("*.toml")):
        ids = load_set(path.stem)
        table.add_row(path.stem, str(len(ids)), " ".join(ids))
    return table


def _operator_rows() -> Table:
    import importlib
    import inspect
    import pkgutil

    package = importlib.import_module("workbench.operators")
    table = _table("operator", "gives")
    for module in sorted(
        m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")
    ):
        content = importlib.import_module(f"workbench.operators.{module}")
        for name, function in inspect.getmembers(content, inspect.isfunction):
            if function.__module__ == content.__name__ and not name.startswith("_"):
                doc = (inspect.getdoc(function) or "").split("\n")[0]
                table.add_row(f"{module}.{name}", doc)
    return table


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> None:
    """Open JupyterLab on the notebooks; further ARGUMENTS go to JupyterLab."""
    from workbench.reporting.book import folder_of

    _set_jupyter_path()
    root = folder_of("notebooks")
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root.parent}"]
    command += [f"--LabApp.default_url=/lab/tree/{root.name}/00_start_here.ipynb", *arguments]
    os.execv(sys.executable, command)


def _set_jupyter_path() -> None:
    """Let Jupyter find the kernels and dashboard templates without installing them."""
    from workbench.core.paths import PACKAGE, home

    paths = [str(home()), str(PACKAGE.parent), os.environ.get("JUPYTER_PATH", "")]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(dict.fromkeys(p for p in paths if p))


@main.command()
@click.argument("notebook", default="evaluation/city_checkup")
@city_option
@click.option("--year", type=int, help="Year of the checkup; the profile's latest when not given.")
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True)
@data_root_option
def dashboard(notebook: str, city: str, year: int | None, port: int) -> None:
    """Serve a notebook as a dashboard with a login, on this machine."""
    from workbench.dashboard.serve import main as serve

    _set_jupyter_path()
    serve(notebook, city=city, year=year, port=port)


@main.command()
def doctor() -> None:
    """Say what is installed and found: versions, folders, data, fonts, kernels, GPU."""
    from workbench.reporting.doctor import examine

    table = _table("what", "found", "")
    faults = 0
    for line in examine():
        table.add_row(line.what, line.found, "ok" if line.good else line.hint)
        faults += not line.good
    _show(table)
    sys.exit(1 if faults else 0)


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _show(table: Table) -> None:
    """Print a table, not cut to a width when the output is no terminal."""
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(table)


if __name__ == "__main__":
    main()
