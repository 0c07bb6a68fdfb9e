"""Commands on the quality of a city's data: check it, write the inspection report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.commands.options import city_option, data_root_option, make_table, show

if TYPE_CHECKING:
    from workbench.governance import QualityReport


@click.group()
def quality() -> None:
    """Check a city's data; a layer that fails its gate is not used by the evaluation."""


def _checked(city: str, year: int | None, *, use_cache: bool = True) -> QualityReport:
    from workbench.governance import check
    from workbench.reporting.run import find_city

    profile = find_city(city)

    def step(done: int, total: int, what: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done}/{total} {what:<40}", nl=done == total, err=True)

    wanted = None if year is None else profile.check_year(year)
    return check(profile, year=wanted, progress=step, use_cache=use_cache)


@quality.command("check")
@city_option
@click.option("--year", type=int, help="Only layers of this year and undated ones; all when not given.")
@click.option("--no-cache", is_flag=True, help="Check everything again.")
@click.option(
    "--most", type=click.IntRange(0), default=5, show_default=True, help="Findings printed a check."
)
@data_root_option
def quality_check(city: str, year: int | None, no_cache: bool, most: int) -> None:
    """Check layers, print what is wrong, set the gates. Exit code 1 when a gate is closed."""
    from workbench.catalog.manifest import folder
    from workbench.governance.inspection import FINDINGS

    report = _checked(city, year, use_cache=not no_cache)
    lang = report.city.language
    table = make_table("layer", "year", "checks", "errors", "warnings", "state")
    for row in report.layers.to_dict("records"):
        if row["state"] != "passed":
            shown = "" if row["year"] is None or row["year"] != row["year"] else str(row["year"])
            table.add_row(
                row["role"], shown, *(str(row[n]) for n in ("checks", "errors", "warnings", "state"))
            )
    if table.row_count:
        show(table)
    shown_rows = report.findings.groupby("check", sort=False).head(most)
    for row in shown_rows.to_dict("records"):
        click.echo(f"{row['severity']:<8}{row['role']:<22}{row[f'message_{lang}']}")
    if more := len(report.findings) - len(shown_rows):
        click.echo(f"and {more} more (--most, or the file below)")
    states = report.layers["state"].value_counts()
    counted = ", ".join(f"{states.get(name, 0)} {name}" for name in ("passed", "warned", "failed", "blocked"))
    click.echo(f"{len(report.layers)} layers: {counted}; {len(report.findings)} findings")
    click.echo(folder(report.city.name) / FINDINGS)
    sys.exit(1 if report.blocked else 0)


@quality.command("sheet")
@city_option
@click.option("--year", type=int, help="Year of the checkup; the profile's latest when not given.")
@click.option("--lang", type=click.Choice(["zh", "en"]), help="Language; the profile's when not given.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="Word file; CITY/YEAR/quality.docx below the folder of reports when not given.",
)  # fmt: skip
@data_root_option
def quality_sheet(city: str, year: int | None, lang: str | None, out: Path | None) -> None:
    """Write the inspection report (质检报告) as Word; prints its path. Exit code 1 when a gate is closed."""
    from workbench.core.paths import reports_dir
    from workbench.reporting.quality_sheet import quality_sheet as write
    from workbench.views import style
    from workbench.views.quality import QualityView

    style.use()
    report = _checked(city, year)
    wanted = year or report.city.latest_year
    target = out or reports_dir() / report.city.name / str(wanted) / "quality.docx"
    click.echo(write(QualityView(report, wanted), target, lang or report.city.language))
    sys.exit(1 if report.blocked else 0)
