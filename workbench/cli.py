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
from typing import Any

import click

from workbench import __version__
from workbench.commands.accounts import fill_in, ledger
from workbench.commands.cases import cases
from workbench.commands.catalog import catalog, demo
from workbench.commands.change import change
from workbench.commands.ingest import ingest
from workbench.commands.libraries import libraries
from workbench.commands.life_circle import life_circle
from workbench.commands.options import SOURCES_HINT, city_option, data_root_option
from workbench.commands.options import make_table as _table
from workbench.commands.options import show as _show
from workbench.commands.predict import predict
from workbench.commands.quality import quality
from workbench.commands.review import conditions, review
from workbench.commands.stale import stale
from workbench.commands.structure import structure
from workbench.commands.suitability import suitability
from workbench.commands.train import train
from workbench.core.errors import DefinitionError, ParameterError, ProfileError, WorkbenchError

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


def _pairs(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Options of the form ``name=value`` as a dict."""
    found = {}
    for text in value:
        name, equals, content = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"'{text}' is not NAME=VALUE")
        found[name.strip()] = content
    return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="workbench")
def main() -> None:
    """Analytical workbench for monitoring how territorial spatial plans are carried out."""


for _command in (
    cases,
    change,
    catalog,
    conditions,
    demo,
    fill_in,
    ingest,
    ledger,
    libraries,
    life_circle,
    structure,
    predict,
    quality,
    review,
    stale,
    suitability,
    train,
):
    main.add_command(_command)


@main.command()
@click.argument("book", default="annual_checkup")
@city_option
@click.option("--year", type=int, help="Year of the checkup; the profile's latest when not given.")
@click.option("--lang", type=click.Choice(["zh", "en"]), help="Language; the profile's when not given.")
@click.option(
    "--quarter",
    type=click.IntRange(1, 4),
    help="Quarter of a quarterly book; today's in the year going on, else the last, when not given.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for reports.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Chapters at once.")
@click.option("-p", "--parameter", multiple=True, callback=_pairs, help="NAME=VALUE for the notebooks.")
@click.option("--no-cache", is_flag=True, help="Compute everything again.")
@click.option(
    "--time-limit", type=float, default=7200.0, show_default=True, help="Seconds for the whole run."
)
@click.option(
    "--format",
    "formats",
    default="html,docx,pdf",
    show_default=True,
    help="Forms of the report, divided by commas; the page is always made.",
)
@click.option(
    "--edition",
    type=click.Choice(["internal", "public"]),
    default="internal",
    show_default=True,
    help="The public edition holds nothing above 公开.",
)
@click.option(
    "--update-cases",
    is_flag=True,
    help="First take the findings into the case register, as 'cases update' does today.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@data_root_option
def report(
    book: str,
    city: str,
    year: int | None,
    lang: str | None,
    quarter: int | None,
    out: Path | None,
    jobs: int,
    parameter: dict[str, str],
    no_cache: bool,
    time_limit: float,
    formats: str,
    edition: str,
    update_cases: bool,
    quiet: bool,
) -> None:
    """Make a report; the last line printed is the path of its page.

    BOOK names a file in reports/books. Exit code 1 when a chapter failed: the page then says so in the
    chapter's place and the others stand.
    """
    from workbench.reporting.formats import parse_formats
    from workbench.reporting.run import run_report

    result = run_report(
        book,
        city,
        year,
        lang=lang,
        quarter=quarter,
        jobs=jobs,
        out_dir=out.resolve() if out else None,
        use_cache=not no_cache,
        parameters=parameter,
        time_limit_s=time_limit,
        formats=parse_formats(formats),
        edition=edition,
        update_cases=update_cases,
        quiet=quiet,
    )
    if result.failed:
        click.echo(f"workbench: chapters failed: {', '.join(result.failed)}", err=True)
    if result.unwritten:
        click.echo(f"workbench: not written: {', '.join(result.unwritten)} (run.json says why)", err=True)
    click.echo(result.path)
    sys.exit(1 if result.failed or result.unwritten else 0)


@main.command()
@click.argument("value_id")
@click.option(
    "--run",
    "run_dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the run; every latest run is searched when not given.",
)
@click.option(
    "--afresh", is_flag=True, help="Make a derived number by a whole checkup without the cache (minutes)."
)
@data_root_option
def trace(value_id: str, run_dir: Path | None, afresh: bool) -> None:
    """Explain one number of a report and compute it again.

    Prints its definition, source, inputs with their hashes, dates and licences, parameters and code; of a count or a sum
    the rules with their clauses, the findings, cases and values it is made of. Exit code 1 when the recomputed value differs.
    """
    from workbench.reporting.tracing import find_run, trace_value

    found = trace_value(value_id, run_dir or find_run(value_id), afresh=afresh)
    click.echo(found.text)
    click.echo(f"{'sources':<14}{SOURCES_HINT}")
    sys.exit(0 if found.agrees else 1)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> None:
    """Open JupyterLab on the notebooks; further ARGUMENTS go to JupyterLab."""
    from workbench.core.paths import PACKAGE
    from workbench.reporting.book import folder_of

    _set_jupyter_path()
    root = folder_of("notebooks")
    _prepend("JUPYTER_CONFIG_PATH", str(PACKAGE / "dashboard" / "jupyter"))
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root.parent}", *LAB_OFFLINE]
    command += [f"--LabApp.default_url=/lab/tree/{root.name}/00_start_here.ipynb", *arguments]
    os.execv(sys.executable, command)


LAB_OFFLINE = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)
"""JupyterLab's ways of asking the internet, turned off: news, updates, the catalogue of extensions."""


def _prepend(variable: str, folder: str) -> None:
    """Put a folder first on a search path of the environment."""
    known = os.environ.get(variable, "").split(os.pathsep)
    os.environ[variable] = os.pathsep.join(dict.fromkeys([folder, *filter(None, known)]))


def _set_jupyter_path() -> None:
    """Let Jupyter find the kernels and dashboard templates without installing them."""
    from workbench.core.paths import PACKAGE, home

    paths = [str(home()), str(PACKAGE.parent), os.environ.get("JUPYTER_PATH", "")]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(dict.fromkeys(p for p in paths if p))


@main.command()
@click.argument("notebook", default="evaluation/city_checkup")
@city_option
@click.option("--year", type=int, help="Year of the checkup; the profile's latest when not given.")
@click.option("--lang", type=click.Choice(["zh", "en"]), help="Language; the profile's when not given.")
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--browser", is_flag=True, help="Open a browser on this machine.")
@data_root_option
def dashboard(
    notebook: str, city: str, year: int | None, lang: str | None, port: int, host: str, browser: bool
) -> None:
    """Serve a notebook as a dashboard with a login, on this machine.

    The address and the password are printed when it is ready. $WORKBENCH_DASHBOARD_PASSWORD chooses the password; else
    one is made once and kept in a file only you can read.
    """
    from workbench.dashboard.serve import main as serve
    from workbench.reporting.run import find_city

    _set_jupyter_path()
    profile = find_city(city)
    serve(
        notebook,
        city=city,
        year=year,
        port=port,
        host=host,
        open_browser=browser,
        lang=lang or profile.language,
        say=click.echo,
    )


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


if __name__ == "__main__":
    main()
