"""Forest loss and fire from a series of images, for the command ``change``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from workbench.commands.options import make_table, show

if TYPE_CHECKING:
    import geopandas as gpd

    from workbench.interpretation.vegetation import Series

SHOWN = 10
"""Patches and cases listed in the terminal."""
FOREIGN = ("before", "after", "date_before", "date_after", "method", "weights", "threshold", "fresh")
"""Options that compare two images and say nothing to a series."""
WHAT = {"forest": "forest lost", "fire": "land burnt"}


def of_series(
    kind: Literal["forest", "fire"], city: str | None, images: tuple[Path, ...], options: dict[str, Any]
) -> None:
    """Look for forest loss or fire in the images of a city or in files, tell and write what was found.

    Parameters
    ----------
    kind : {"forest", "fire"}
    city : str, optional
        Its catalogue gives images and survey, and takes the patches.
    images : tuple of Path
        Instead of a city.
    options : dict
        Those of the command.
    """
    if told := [f"--{name.replace('_', '-')}" for name in FOREIGN if options.get(name)]:
        raise click.UsageError(f"{', '.join(told)}: not with --series")
    if city is not None and options["match"]:
        raise click.UsageError("--match goes with --image")
    if (city is None) == (not images):
        raise click.UsageError(
            "--series wants a CITY, or files: --image a_20240708.tif --image b_20250709.tif …"
        )
    out: Path | None = options["out"]
    if images and out is None:
        raise click.UsageError("--image needs --out, a folder for the results")
    if city is not None:
        _of_city(kind, city, out, options)
    elif out is not None:
        _of_files(kind, images, out, options)


def _of_city(kind: Literal["forest", "fire"], name: str, out: Path | None, options: dict[str, Any]) -> None:
    from workbench.catalog.data import CityData
    from workbench.interpretation import vegetation_run as run
    from workbench.reporting.run import find_city

    profile = find_city(name)
    year = profile.check_year(options["after_year"] or profile.latest_year)
    data = CityData(profile)
    found, shapes = run.of_city(
        data, year, kind, first_year=options["before_year"], min_area_m2=options["mmu"]
    )
    cases = run.cases(data, year, shapes)
    _report(found, shapes, profile.language)
    _report_cases(cases)
    run.publish(data, found, shapes)
    if out is not None:
        for path in run.write(found, shapes, out, cases=cases):
            click.echo(path)
    click.echo(f"published for {profile.name} {year}: {run.ROLES[kind]}")


def _of_files(
    kind: Literal["forest", "fire"], images: tuple[Path, ...], out: Path, options: dict[str, Any]
) -> None:
    from workbench.interpretation import vegetation, vegetation_patches
    from workbench.interpretation import vegetation_run as run

    bands = [one.strip() for one in options["bands"].split(",")] if options["bands"] else None
    scenes = run.file_scenes(images, bands)
    year = options["after_year"] or max(
        (scene.date.year for scene in scenes if scene.date == scene.date), default=0
    )
    found = vegetation.look(
        scenes, year, kind=kind, first_year=options["before_year"], match=options["match"]
    )
    shapes = vegetation_patches.patches(found, min_area_m2=options["mmu"])
    _report(found, shapes, "en")
    for path in run.write(found, shapes, out):
        click.echo(path)


def _report(found: Series, shapes: gpd.GeoDataFrame, lang: str) -> None:
    """Images, what was seen, the largest patches, and what cannot be told."""
    from workbench.interpretation.vegetation import INDEX
    from workbench.interpretation.vegetation_patches import limits

    table = make_table("image", "compared with", f"{INDEX[found.kind]} off by", "scatter", "mask")
    for one, level in zip(found.comparisons, found.levels, strict=True):
        days = ", ".join(f"{scene.date:%Y-%m-%d}" for scene in one.earlier)
        mask = "yes" if one.scene.mask_href else "none"
        table.add_row(
            f"{one.scene.date:%Y-%m-%d}", days, f"{level.offset:+.3f}", f"{level.scatter:.3f}", mask
        )
    show(table)
    areas = found.areas
    click.echo(
        f"judged: {areas['all'] - areas['unseen'] - areas['thin']:.1f} of {areas['all']:.1f} ha ({found.within})"
    )
    click.echo(
        f"{WHAT[found.kind]}: {len(shapes)} patches, {shapes['area_m2'].sum() / 1e4:.2f} ha; the largest:"
    )
    _report_patches(shapes, lang)
    if found.kind == "fire":
        _report_severity(found, shapes)
    told = limits(found, shapes).set_index(["item", "unit"])["value"]
    click.echo("what these images cannot tell:")
    click.echo(
        f"- {told['unseen', 'ha']:.1f} ha ({told['unseen', '%']:.1f} %) were never seen clear in their season"
    )
    click.echo(f"- {told['thin', 'ha']:.1f} ha are too thin for their loss to be told")
    if (few := int(told["least_earlier", "count"])) < found.settings.least_images:
        click.echo(
            f"- {few} earlier image(s) of a season: how much a cell changes from year to year is not known, the drop decides"
        )
    if alone := int(told["one_image", "count"]):
        click.echo(
            f"- {alone} patches are shown by one image alone: a thin cloud looks alike until a later image bears them out"
        )
    if bare := int(told["unmasked", "count"]):
        click.echo(f"- {bare} image(s) without a cloud mask: clouds count as loss")
    click.echo(f"- {told['below', 'ha']:.1f} ha of lost cells lie in patches too small to list")
    click.echo(
        "- felled, burnt, ill or flooded look alike in an index; who may fell is in no layer. Suspected until verified."
    )


def _report_patches(shapes: gpd.GeoDataFrame, lang: str) -> None:
    from workbench.rules.patches import class_names

    names = class_names(lang)
    table = make_table("patch", "was", "last whole", "first lost", "images", "drop", "probability", "m²")
    for row in shapes.head(SHOWN).to_dict("records"):
        table.add_row(
            row["patch_id"], names.get(row["before_dlbm"], ""), f"{row['date_before']:%Y-%m-%d}", f"{row['date_after']:%Y-%m-%d}",
            f"{row['images']} of {row['clear']}", f"{row['drop']:.2f}", f"{row['probability']:.2f}", f"{row['area_m2']:.0f}",
        )  # fmt: skip
    if len(shapes):
        show(table)


def _report_severity(found: Series, shapes: gpd.GeoDataFrame) -> None:
    from workbench.interpretation.vegetation_patches import summary

    table = make_table("severity", "cells", "ha")
    for row in summary(found, shapes).to_dict("records"):
        if row["cells"]:
            table.add_row(f"{row['en']} {row['zh']}", str(row["cells"]), f"{row['ha']:.2f}")
    show(table)


def _report_cases(cases: gpd.GeoDataFrame) -> None:
    """Suspected cases by what they are about."""
    counts = cases["matter"].value_counts()
    told = ", ".join(f"{matter} {number}" for matter, number in counts.items())
    click.echo(f"suspected cases: {len(cases)}{f' ({told})' if told else ''}")


__all__ = ["of_series"]
