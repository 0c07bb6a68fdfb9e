"""The command ``change``: what changed between the images of two years, or between two files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.options import data_root_option, make_table, show

if TYPE_CHECKING:
    import geopandas as gpd

    from workbench.interpretation.change import ChangeMap
    from workbench.interpretation.imagery import Pair

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SHOWN = 10
"""Patches listed in the terminal."""


@click.command("change")
@click.argument("city", required=False)
@click.option(
    "--from",
    "before_year",
    type=int,
    help="Year before; the one before --to when not given. With --series: the earliest year.",
)
@click.option("--to", "after_year", type=int, help="Year after; the profile's latest when not given.")
@click.option("--before", type=FILE, help="Instead of a city: the earlier image, a raster file.")
@click.option("--after", type=FILE, help="The later image, on the same grid.")
@click.option(
    "--date-before", help="Day of the earlier file, e.g. 2024-03-12, where file and name do not say it."
)
@click.option("--date-after", help="Day of the later file.")
@click.option(
    "--bands", help="Bands in the order of the files, e.g. blue,green,red,nir, where they do not name them."
)
@click.option(
    "--series",
    type=click.Choice(["forest", "fire"]),
    help="Instead of two dates, all images: forest lost (NDVI), or land burnt (NBR, needs the band swir22).",
)
@click.option(
    "--image", "images", type=FILE, multiple=True,
    help="With --series and no city: a dated image; give all of them. A mask lies beside it as NAME_cloud.tif.",
)  # fmt: skip
@click.option(
    "--match", is_flag=True,
    help="With --image: first bring the images to one level, for several sensors or counts that are no reflectance.",
)  # fmt: skip
@click.option(
    "--method",
    type=click.Choice(["net", "irmad", "cva"]),
    help="net: a trained net, new built-up land alone. irmad, cva: without labels, any change. The profile's, else net.",
)
@click.option("--weights", help="Name or .safetensors file of a change net; the profile's, else demo_change.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Stricter above, laxer below.",
)
@click.option("--mmu", type=click.FloatRange(0), help="Smallest patch in m²; the profile's, else 400.")
@click.option(
    "--engine", default="auto", show_default=True, help="How nets are computed; found by measuring."
)
@click.option("--fresh", is_flag=True, help="Begin anew instead of going on with a run that was interrupted.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for maps and patches (GeoPackage).",
)
@data_root_option
def change(
    city: str | None, before: Path | None, after: Path | None, series: str | None, images: tuple[Path, ...], **options: Any
) -> None:  # fmt: skip
    """Find what changed between the images of two years of CITY, or between two files.

    Images of one season are compared in pairs and the pairs combined. Results are a change map, the probability of change,
    and patches with what was there before and after, how likely and how large they are. For a city they are published in its
    catalogue (roles change_map and detected_changes), where rules and reports find them; --out writes them as files too.

    \b
    workbench change demo --from 2024 --to 2025
    workbench change demo --method irmad --out out/        no labels, no net
    workbench change --before a_20240312.tif --after b_20250312.tif --method irmad --out out/
    workbench change demo --series forest                  every image of the year with its own season before
    workbench change --series fire --image a_20240708.tif --image b_20250709.tif --out out/

    A series tells forest lost (role forest_loss) or land burnt (burnt_land): which image shows it first, how many bear it
    out, and what no image could see.

    Patches are suspicions to be verified, not findings.
    """  # noqa: D301
    if series is not None:
        from workbench.commands.change_series import of_series

        of_series(series, city, images, options | {"before": before, "after": after})  # type: ignore[arg-type]
        return
    if images or options["match"]:
        raise click.UsageError(
            "--image and --match go with --series; two files are compared by --before and --after"
        )
    if (city is None) == (before is None) or (before is None) != (after is None):
        raise click.UsageError("give a CITY, or two files: --before a.tif --after b.tif")
    out: Path | None = options["out"]
    if city is None and out is None:
        raise click.UsageError("--before and --after need --out, a folder for the results")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: click.echo(f"! {message}", err=True)
        if city is not None:
            _of_city(city, out, options)
        elif before is not None and after is not None and out is not None:
            _of_files(before, after, out, options)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _of_city(name: str, out: Path | None, options: dict[str, Any]) -> None:
    from workbench.catalog.data import CityData
    from workbench.core.errors import ParameterError
    from workbench.core.paths import cache_dir
    from workbench.interpretation import change as detection
    from workbench.interpretation import imagery, patches
    from workbench.interpretation.strips import record_path
    from workbench.reporting.run import find_city

    profile = find_city(name)
    later = options["after_year"] or profile.latest_year
    former = options["before_year"] or later - 1
    if not former < later:
        raise ParameterError(
            "the year before comes first", where="--from and --to", found=f"{former} and {later}"
        )
    settings = profile.interpretation
    method = options["method"] or (
        "net" if settings is None or settings.change or settings.method == "net" else settings.method
    )
    weights = options["weights"] or (settings.change if settings is not None else "") or "demo_change"
    data = CityData(profile)
    pairs = imagery.pairs(data, former, later)
    # kept until it is published, so that a run that was stopped goes on
    folder = out or cache_dir() / "interpretation" / profile.name / str(later)
    found = _detect(pairs, folder / f"change_{former}_{later}.tif", method, weights, options)
    maps = [
        data.source("land_cover_map", year).path if data.has("land_cover_map", year) else None
        for year in (former, later)
    ]
    mmu = options["mmu"] if options["mmu"] is not None else settings.mmu_m2 if settings is not None else 400.0
    survey = data.vector("land_use", former) if data.has("land_use", former) else None
    frame = patches.change_patches(found, *maps, mmu_m2=mmu, survey=survey)
    detection.publish(profile, later, found)
    patches.publish(profile, later, frame, found)
    _report(found, frame, profile.language)
    if out is not None:
        _write(frame, found, folder / f"change_{former}_{later}.gpkg")
    else:
        for made in (found.path, found.probability, record_path(found.path)):
            made.unlink(missing_ok=True)
    click.echo(f"published for {profile.name} {later}: change_map, detected_changes")


def _of_files(before: Path, after: Path, out: Path, options: dict[str, Any]) -> None:
    from workbench.interpretation import patches
    from workbench.interpretation.imagery import Pair, Scene

    bands = [one.strip() for one in options["bands"].split(",")] if options["bands"] else None
    pair = Pair(
        Scene.of_file(before, bands=bands, date=options["date_before"]),
        Scene.of_file(after, bands=bands, date=options["date_after"]),
    )
    path = out / f"change_{before.stem}_{after.stem}.tif"
    found = _detect([pair], path, options["method"] or "net", options["weights"] or "demo_change", options)
    crs = pair.before.grid.crs
    if crs is None or not crs.projected:
        click.echo("! no patches: the images have no coordinate system in metres", err=True)
        _report(found, None, "en")
        click.echo(found.path)
        return
    frame = patches.change_patches(found, mmu_m2=400.0 if options["mmu"] is None else options["mmu"])
    _report(found, frame, "en")
    _write(frame, found, path.with_suffix(".gpkg"))


def _detect(
    pairs: Sequence[Pair], path: Path, method: str, weights: str, options: dict[str, Any]
) -> ChangeMap:
    from workbench.interpretation.change import detect

    model = None
    if method == "net":
        from workbench.interpretation.weights import load

        model = load(weights)
    return detect(
        pairs, path, method=method, model=model, threshold=options["threshold"], engine=options["engine"],  # type: ignore[arg-type]
        resume=not options["fresh"], say=_say,
    )  # fmt: skip


def _report(found: ChangeMap, frame: gpd.GeoDataFrame | None, lang: str) -> None:
    """What was found, in a few lines, and the largest patches."""
    from workbench.rules.patches import class_names

    record = found.record
    by = record.get("model", record["method"])
    seen = record["pixels"]["unchanged"] + record["pixels"]["changed"]
    click.echo(
        f"{by}: {record['pixels']['changed']} of {seen} pixels changed (threshold {found.threshold:g}), "
        f"{len(record['pairs'])} pair(s) of images"
    )
    if frame is None:
        return
    click.echo(f"{len(frame)} patches, {frame['area_m2'].sum() / 1e4:.1f} ha; the largest:")
    names = class_names(lang)
    table = make_table("patch", "code", "before", "after", "probability", "m²")
    for row in frame.nlargest(SHOWN, "area_m2").to_dict("records"):
        was = names.get(row["before_dlbm"], "") or row["before_class"]
        table.add_row(
            row["patch_id"], f"{row['tblx']} {names.get(row['tblx'], '')}", was, row["after_class"],
            f"{row['probability']:.2f}", f"{row['area_m2']:.0f}",
        )  # fmt: skip
    show(table)


def _write(frame: gpd.GeoDataFrame, found: ChangeMap, path: Path) -> None:
    from workbench.core.paths import atomic_write

    with atomic_write(path) as temporary:
        temporary.unlink()  # the driver makes its own file
        frame.to_file(temporary, layer="patches", driver="GPKG")
    for one in (found.path, found.probability, path):
        click.echo(one)


__all__ = ["change"]
