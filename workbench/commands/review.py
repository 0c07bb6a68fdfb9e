"""Commands on single pieces of land: does a proposal conform to the plan, and what are the planning conditions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.options import city_option, data_root_option, make_table, show
from workbench.core.errors import ParameterError

if TYPE_CHECKING:
    from workbench.core.city import City
    from workbench.evaluation.review import Review, Reviewer

lang_option = click.option(
    "--lang", type=click.Choice(["zh", "en"]), help="Language; the profile's when not given."
)
crs_option = click.option(
    "--crs", help="Reference system of the coordinates where they do not say it, e.g. EPSG:4490."
)
point_option = click.option(
    "--point", "points", multiple=True, metavar="X,Y",
    help="Corner of the polygon, three or more times; once: the plot or parcel there.",
)  # fmt: skip
year_option = click.option(
    "--year", type=int, help="Year of survey and ledger; the profile's latest when not given."
)
date_option = click.option(
    "--on", "on_date", help="Day for lines and permits; the year's last when not given."
)


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--wkt", help="Polygon as WKT instead of a file.")
@point_option
@city_option
@year_option
@date_option
@click.option("--use", help="Land use: survey class (0601), name (工业用地), or plan:100102.")
@click.option("--project", help="Project code; its own permits count as its own.")
@click.option("--activity", help="Activity on the ecological red line, HD01 to HD10, or HD00.")
@click.option("--far", type=float, help="Floor area ratio.")
@click.option("--height", "height_m", type=float, help="Greatest height of buildings, metres.")
@click.option("--layer", help="Layer of the file, where it has several.")
@crs_option
@click.option("--encoding", help="Encoding of the file's text, e.g. gb18030.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the results.")
@click.option(
    "--formats", default="gpkg,xlsx", show_default=True, help="With --out: some of gpkg, xlsx, docx."
)
@click.option("--all", "everything", is_flag=True, help="Show what complies as well.")
@lang_option
@data_root_option
def review(
    file: Path | None, wkt: str | None, points: tuple[str, ...], city: str, year: int | None, on_date: str | None,
    use: str | None, project: str | None, activity: str | None, far: float | None, height_m: float | None,
    layer: str | None, crs: str | None, encoding: str | None, out: Path | None, formats: str, everything: bool,
    lang: str | None,
) -> None:  # fmt: skip
    """Review proposals against the plan: FILE with polygons, or one polygon by --wkt or --point.

    A FILE may have the fields name, use, project, activity, far, height_m (or 项目名称, 用途, 项目代码 …); the options
    serve where a field is empty. Word sheets are written with --out FOLDER --formats docx. Exit code 1 when a shape
    could not be judged; the others stand.
    """
    from workbench.evaluation.review import Reviewer
    from workbench.evaluation.review.proposal import make_proposal
    from workbench.evaluation.review.proposals import read_proposals
    from workbench.reporting.run import find_city

    if sum((file is not None, wkt is not None, bool(points))) != 1:
        raise click.UsageError("give one of FILE, --wkt and --point")
    wanted = _formats(formats)
    profile = find_city(city)
    reviewer = Reviewer.open(profile, year, on_date)
    given = {"use": use, "project": project, "activity": activity, "far": far, "height_m": height_m}
    if file is not None:
        read = read_proposals(file, profile, layer=layer, crs=crs, encoding=encoding,
                              default={k: v for k, v in given.items() if v is not None})  # fmt: skip
        reviews = reviewer.review_all(read.proposals)
    else:
        name, shape = _shape(reviewer, wkt, points, crs)
        make_proposal(name, None, **given)  # type: ignore[arg-type]  # a wrong word is told before the shape is
        reviews = [reviewer.review(shape, name=name, **given)]  # type: ignore[arg-type]
    language = lang or profile.language
    if len(reviews) == 1:
        _show_items(reviews[0], language, everything)
    else:
        _show_reviews(reviews, language)
    for path in _written(reviews, out, wanted, language) if out else ():
        click.echo(path)
    sys.exit(1 if any(one.geometry is None for one in reviews) else 0)


@click.command()
@click.argument("parcel", required=False)
@click.option("--wkt", help="Polygon as WKT instead of a number.")
@point_option
@city_option
@year_option
@date_option
@click.option("--use", help="Use the obligations are for; the planned one when not given.")
@crs_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write a sheet: .docx or .xlsx.")
@lang_option
@data_root_option
def conditions(
    parcel: str | None, wkt: str | None, points: tuple[str, ...], city: str, year: int | None, on_date: str | None,
    use: str | None, crs: str | None, out: Path | None, lang: str | None,
) -> None:  # fmt: skip
    """Extract the planning conditions of a parcel: PARCEL is the number of a plot or of a land-survey parcel."""
    from workbench.evaluation.review import Reviewer
    from workbench.evaluation.review import conditions as extract
    from workbench.evaluation.review.export import write_conditions
    from workbench.reporting.run import find_city
    from workbench.reporting.sheets import conditions_sheet

    if sum((parcel is not None, wkt is not None, bool(points))) != 1:
        raise click.UsageError("give one of PARCEL, --wkt and --point")
    if out is not None and out.suffix not in (".docx", ".xlsx"):
        raise ParameterError(
            "no such form of a sheet", where="--out", found=out.name, expected=".docx or .xlsx"
        )
    profile = find_city(city)
    language = lang or profile.language
    reviewer = Reviewer.open(profile, year, on_date)
    name, shape = (parcel, parcel) if parcel else _shape(reviewer, wkt, points, crs)
    found = extract(reviewer, shape, use=use, name=str(name))
    table = make_table("topic", "item", "value", "source or reason")
    for row in found.shown(language).itertuples(index=False):
        table.add_row(*(str(value) for value in row))
    show(table)
    if out is not None:
        write = conditions_sheet if out.suffix == ".docx" else write_conditions
        click.echo(write(found, out, language))


def _formats(text: str) -> list[str]:
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    if unknown := sorted(set(wanted) - {"gpkg", "xlsx", "docx"}):
        raise ParameterError(
            "no such form of the results", where="--formats", found=unknown, expected="gpkg, xlsx, docx"
        )
    return wanted


def _shape(reviewer: Reviewer, wkt: str | None, points: tuple[str, ...], crs: str | None) -> tuple[str, Any]:
    """Name and shape given on the command line, in the city's CRS."""
    from workbench.evaluation.review.conditions_of import parcel_at
    from workbench.evaluation.review.proposals import from_wkt, in_city
    from workbench.evaluation.review.reviewer import polygon_of

    city: City = reviewer.city
    if wkt is not None:
        return "", from_wkt(wkt, city, crs)
    corners = [_pair(text) for text in points]
    if len(corners) == 1:
        place = in_city(_point(corners[0]), city, crs)
        return parcel_at(reviewer, place.x, place.y)
    if len(corners) < 3:
        raise click.UsageError("a polygon needs three corners or more")
    return "", in_city(polygon_of(corners), city, crs)


def _point(pair: tuple[float, float]) -> Any:
    import shapely

    return shapely.Point(*pair)


def _pair(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.replace(" ", ",").split(",") if part)
    except ValueError as error:
        raise click.BadParameter(f"'{text}' is not X,Y", param_hint="--point") from error
    return x, y


def _show_items(review: Review, lang: str, everything: bool) -> None:
    """Print one review: conclusion, then item by item."""
    from workbench.evaluation.review.items import VERDICTS, square_metres

    click.echo(f"{review.name or 'proposal'}: {review.conclusion(lang)}")
    table = make_table("verdict", "checked", "m2", "share", "what was found", "what is needed")
    for item in review.judged:
        if (
            item.verdict == "complies"
            and not everything
            and item.rule != "rv_location"
            and not item.tolerated_m2
        ):
            continue
        area, share = (square_metres(item.area_m2), f"{100 * item.share:.1f}%") if item.area_m2 else ("", "")
        needs = item.needs_en if lang == "en" else item.needs_zh
        table.add_row(
            VERDICTS[item.verdict][lang == "en"], item.title(lang), area, share, item.message(lang), needs
        )
    show(table)


def _show_reviews(reviews: list[Review], lang: str) -> None:
    """Print a batch, a line a proposal."""
    from workbench.evaluation.review.items import VERDICTS, square_metres

    table = make_table("name", "verdict", "m2", "place", "conflicts", "needs", "not checked", "first finding")
    for one in reviews:
        first = one.judged[0]
        area = square_metres(one.area_m2) if one.geometry is not None else "-"
        place = " ".join(filter(None, (one.place.get("district_name"), one.place.get("unit_name"))))
        counts = [str(one.count(name)) for name in ("conflicts", "needs", "not_checked")]
        word = VERDICTS[one.verdict][lang == "en"]
        table.add_row(one.name, word, area, place, *counts, f"{first.title(lang)}: {first.message(lang)}")
    show(table)


def _written(reviews: list[Review], out: Path, formats: list[str], lang: str) -> list[Path]:
    """Write the results; the paths of the files."""
    import re

    from workbench.evaluation.review.export import write_geopackage, write_workbook
    from workbench.reporting.sheets import review_sheet

    paths = []
    if "gpkg" in formats:
        paths.append(write_geopackage(reviews, out / "review.gpkg"))
    if "xlsx" in formats:
        paths.append(write_workbook(reviews, out / "review.xlsx", lang))
    if "docx" in formats:
        taken: set[str] = set()
        for at, one in enumerate(reviews, 1):
            stem = re.sub(r"[^\w\-（）()]+", "_", one.name).strip("_") or f"{at:04d}"
            stem = stem if stem not in taken else f"{stem}-{at:04d}"
            taken.add(stem)
            paths.append(review_sheet(one, out / f"{stem}.docx", lang))
    return paths
