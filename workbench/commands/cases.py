"""Commands on the case register: take findings in, list cases, send them to the field, take verdicts back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.options import city_option, data_root_option, make_table, show

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from workbench.catalog.data import CityData
    from workbench.core.city import City
    from workbench.rules.register import Register


@click.group()
def cases() -> None:
    """Keep the register of cases: take in findings, list, send to the field, take verdicts back."""


@cases.command("update")
@city_option
@click.option("--year", type=int, help="Year of the checkup; the profile's latest when not given.")
@click.option("--on", "on_date", help="Day of the run, e.g. 2026-03-01; today when not given.")
@click.option(
    "--images", is_flag=True, help="Only the cases found in images (detected_cases); the checkup is not made."
)  # fmt: skip
@data_root_option
def cases_update(city: str, year: int | None, on_date: str | None, images: bool) -> None:
    """Take the findings of a checkup, and the cases found in images, into the register.

    Prints how many cases are new, still there, gone. The register has an entry for each line a place lies on; how many places on
    the ground that is stands behind it. Cases of images are those a report or the chapter on imagery has published for the
    year; those that lie on an entry of the survey on the same line are that entry and come in no second time.
    """
    from workbench.catalog.data import CityData
    from workbench.evaluation.checkup import checkup
    from workbench.reporting.progress import one_step
    from workbench.reporting.run import find_city
    from workbench.rules.register import Register
    from workbench.rules.same_place import IMAGE_CASES

    profile = find_city(city)
    day = on_date or _today()
    if images:
        of = profile.check_year(year or profile.latest_year)
        data = CityData(profile)
        data.source(IMAGE_CASES, of)  # says what is missing
        _take_images(Register.open(profile), data, of, day)
        return
    with one_step("checkup") as say:
        result = checkup(profile, year, say=say)
        say("writing the register")
        register = Register.open(profile)
        counts = register.update(result.findings, day, year=result.year)
    told = ", ".join(f"{name} {number}" for name, number in counts.items())
    click.echo(f"{told}; {_entries(result.findings)}")
    if not _take_images(register, result.data, result.year, day) and profile.interpretation is not None:
        click.echo(
            f"! the images of {result.year} are not interpreted yet, their cases are not in the register: make the report first "
            f"(workbench report annual_checkup --city {profile.name} --update-cases does both)", err=True,
        )  # fmt: skip


def _take_images(register: Register, data: CityData, year: int, day: str) -> bool:
    """Take what interpretation found in the images of a year into the register; False where nothing is published."""
    from workbench.interpretation.findings import take_in

    counts = take_in(register, data, year, day)
    if counts is None:
        return False
    known, every = counts.pop("known"), counts.pop("all")
    told = ", ".join(f"{name} {number}" for name, number in counts.items())
    click.echo(f"images: {told}; {known} of {every} are there already from surveys or change patches")
    return True


def _entries(findings: gpd.GeoDataFrame) -> str:
    """How many entries by line the findings give, and how many places on the ground, as the report counts them."""
    from workbench.evaluation.derived import places

    entries = findings[findings["space_code"].fillna("") != ""]
    number = len(set(places(entries).tolist())) if len(entries) else 0
    return f"{len(entries)} entries by line ({number} places)"


@cases.command("list")
@city_option
@click.option("--on", "on_date", help="Day to look at, e.g. 2026-03-01; today when not given.")
@click.option("--status", type=click.Choice(["发现", "核查", "整改", "销号"]), help="Only these.")
@click.option("--line", help="Role of a line, e.g. permanent_farmland.")
@click.option("--rates", type=int, metavar="YEAR", help="Counts and closing rates of a year instead.")
@click.option("--quarter", type=click.IntRange(1, 4), help="With --rates: of this quarter of the year only.")
@data_root_option
def cases_list(
    city: str,
    on_date: str | None,
    status: str | None,
    line: str | None,
    rates: int | None,
    quarter: int | None,
) -> None:
    """List the cases of the register with their status and age, or with --rates how they were dealt with."""
    from workbench.reporting.run import find_city
    from workbench.rules.register import Register

    if quarter is not None and rates is None:
        raise click.UsageError("--quarter needs --rates YEAR")
    register = Register.open(find_city(city))
    if rates is not None:
        found = _shown_rates(register.rates(rates, quarter or 0))
    else:
        rows = register.table(on_date or _today())
        rows = rows[(rows["status"] == status) | (status is None)]
        rows = rows[(rows["line"] == line) | (line is None)].round(1)
        rows["line"] = [_line_name(one) for one in rows["line"]]
        columns = [
            "space_code",
            "finding_id",
            "line",
            "level",
            "area_m2",
            "permit_state",
            "status",
            "verdict",
        ]
        found = rows[[*columns, "age_days"]]
    table = make_table(*map(str, found.columns))
    for row in found.itertuples(index=False):
        table.add_row(*["" if value != value else str(value) for value in row])
    show(table)


def _shown_rates(rates: pd.DataFrame) -> pd.DataFrame:
    """Rates as a person reads them: names of lines, percent, whole days."""
    shown = rates.assign(line=[_line_name(one) for one in rates["line"]])
    shown["closing_rate"] = [
        "" if share != share else f"{100 * share:.1f}%" for share in rates["closing_rate"]
    ]
    shown["median_age_days"] = ["" if days != days else f"{days:.0f}" for days in rates["median_age_days"]]
    return shown


def _line_name(role: str) -> str:
    """Name of a line in both languages, and its role, which ``--line`` takes."""
    from workbench.indicators.reasons import role_words

    if role == "all":
        return "全部 / all lines"
    zh, en = role_words(role)[:2]
    return f"{zh} / {en} ({role})"


@cases.command("export")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@city_option
@data_root_option
def cases_export(path: Path, city: str) -> None:
    """Write the cases to PATH (.xlsx or .gpkg) for the field; prints the path."""
    from workbench.reporting.run import find_city
    from workbench.rules.register import Register

    profile = find_city(city)
    click.echo(Register.open(profile).export(path, districts=_districts(profile)))


def _districts(profile: City) -> dict[str, str]:
    """Names of the city's districts by code, in Chinese as in the layer; none for a city without districts."""
    from workbench.catalog.data import CityData
    from workbench.core.errors import LayerMissing

    if "district" not in profile.levels:
        return {}
    try:
        frame = CityData(profile).zones("district")
    except LayerMissing:
        return {}
    return dict(zip(frame["code"].astype(str), frame["name"].astype(str), strict=True))


@cases.command("take")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@city_option
@click.option("--on", "on_date", help="Day on which the list came back; today when not given.")
@data_root_option
def cases_take(path: Path, city: str, on_date: str | None) -> None:
    """Take verdicts from a list that came back, and say of each problem what to do.

    Prints how many cases were taken, refused, and left as they were. Exit code 1 when a row could not be taken.
    """
    from workbench.reporting.run import find_city
    from workbench.rules.register import Register
    from workbench.rules.verdicts import take_list

    back = take_list(Register.open(find_city(city)), path, on_date=on_date or _today())
    table = make_table("level", "row", "space_code", "what")
    for row in back.findings.to_dict("records"):
        words: list[Any] = [row["level"], row["row"], row["space_code"]]
        table.add_row(*map(str, words), f"{row['message_zh']}\n{row['message_en']}")
    if len(back.findings):
        show(table)
    click.echo(f"taken: {back.taken}, refused: {back.refused}, nothing new: {back.unchanged}")
    sys.exit(1 if back.refused else 0)


@cases.command("field")
@city_option
@click.option("--by", type=click.Choice(["month", "district", "line"]), default="month", show_default=True)
@click.option(
    "--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Of the intervals."
)
@data_root_option
def cases_field(city: str, by: str, level: float) -> None:
    """Show how often images were right, by what persons found on site.

    Precision: of the image cases with a verdict, the share where land had changed (true or lawful). Recall: of the cases
    confirmed as true, the share that images had found; only of cases the register knows. Beside each share stands what it was
    counted from and its Jeffreys interval; a place on several lines counts once.
    """
    from workbench.interpretation.findings import field_rates
    from workbench.reporting.run import find_city
    from workbench.rules.register import Register

    profile = find_city(city)
    rates = field_rates(Register.open(profile), by, level=level, found=_detected(profile))
    districts = _districts(profile) if by == "district" else {}
    table = make_table(by, "precision", f"{level:.0%} interval", "recall", f"{level:.0%} interval")
    for row in rates.to_dict("records"):
        cells: list[str] = []
        for name, of in (("precision", ("true", "checked")), ("recall", ("confirmed", "sought"))):
            hits, points = (int({**row, "sought": row["confirmed"] + row["missed"]}[one]) for one in of)
            share = f"{row[name]:.0%} ({hits} of {points})" if points else "nothing checked"
            cells += [share, f"{row[f'{name}_low']:.0%} to {row[f'{name}_high']:.0%}" if points else ""]
        name = _line_name(str(row["group"])) if by == "line" else districts.get(row["group"], row["group"])
        table.add_row(str(name), *cells)
    show(table)


def _detected(profile: City) -> gpd.GeoDataFrame | None:
    """Cases found in images, of all years for which they are published."""
    import pandas as pd

    from workbench.catalog.data import CityData
    from workbench.rules.same_place import IMAGE_CASES

    data = CityData(profile)
    every = [data.vector(IMAGE_CASES, one) for one in data.years(IMAGE_CASES)]
    return pd.concat(every, ignore_index=True) if every else None


@cases.command("samples")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@city_option
@click.option("--year", type=int, help="Year of the later images; the profile's latest when not given.")
@click.option(
    "--size", type=click.IntRange(16), default=64, show_default=True, help="Cells a side of a chip."
)
@click.option(
    "--around", is_flag=True,
    help="Also label ground away from all cases and change patches as unchanged (weak samples).",
)  # fmt: skip
@data_root_option
def cases_samples(folder: Path, city: str, year: int | None, size: int, around: bool) -> None:
    """Put what persons found on site into the sample library in FOLDER: images before and after, changed or not.

    A net is trained from the library by a run whose data.kind is "library" and whose task is "change"
    (workbench train). Samples that are there already are left as they are, so that this may be run after every list that
    came back.
    """
    import pandas as pd

    from workbench.catalog.data import CityData
    from workbench.interpretation import imagery, sample_library, verdict_samples
    from workbench.reporting.run import find_city
    from workbench.rules.register import Register

    profile = find_city(city)
    later = profile.check_year(year or profile.latest_year)
    data = CityData(profile)
    pairs = imagery.pairs(data, later - 1, later)
    known = [
        data.vector(role, later) for role in ("detected_changes", "change_patches") if data.has(role, later)
    ]
    changed = pd.concat([one[["geometry"]] for one in known], ignore_index=True) if around and known else None
    if around and changed is None:
        click.echo(
            "! no change patches of the year: ground around the places is left without labels", err=True
        )
    library = sample_library.create(
        folder, scheme="change", bands=pairs[0].before.bands, crs=profile.crs, about=f"verdicts of {profile.name}", dates=2
    )  # fmt: skip
    added = verdict_samples.add_pairs(Register.open(profile), library, pairs, size=size, changed=changed)
    table = library.table()
    cells = {name: int(table[f"cells_{name}"].sum()) for name in library.names}
    told = ", ".join(f"{name} {number}" for name, number in cells.items())
    click.echo(f"{len(added)} samples added, {len(table)} in the library (cells: {told})")
    click.echo(library.folder / "library.json")


def _today() -> str:
    from datetime import date

    return date.today().isoformat()
