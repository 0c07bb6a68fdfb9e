"""The command ``predict``: a land-cover map from an image or from the images of a city."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.options import data_root_option, make_table, show

if TYPE_CHECKING:
    from workbench.core.city import City
    from workbench.interpretation.imagery import Scene
    from workbench.interpretation.predict import Prediction


@click.command("predict")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...|CITY")
@click.option("--year", type=int, help="Of a city: year of the images; the profile's latest when not given.")
@click.option(
    "--weights", default="demo_land_cover", show_default=True,
    help="Net: a name ('workbench train' makes them), a .safetensors file with its card, or Dynamic World's .onnx file.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="The map, a GeoTIFF. Needed for images; a city's map goes into its catalogue as well.",
)  # fmt: skip
@click.option(
    "--bands", help="Names of the file's bands in their order when it does not name them: blue,green,red,nir"
)
@click.option(
    "--scale", type=float, help="Reflectance of one count (0.0001 for counts of 10,000 x reflectance)."
)
@click.option(
    "--mask", "masks", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Raster that is not 0 where cloud or shadow hides the ground; one an image, in their order.",
)  # fmt: skip
@click.option(
    "--find-clouds", is_flag=True, help="Find clouds and shadows in images without a mask (extra 'clouds')."
)
@click.option("--probabilities", is_flag=True, help="Also write the probability of each class.")
@click.option(
    "--tta", is_flag=True, help="Mean over the image and its mirror images: steadier, four times the work."
)
@click.option(
    "--engine", default="auto", show_default=True,
    help="auto measures and takes the fastest; or torch, openvino, cuda, or a full name such as openvino-bf16.",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(["f32", "bf16", "fp16"]), help="Only engines of this precision."
)
@click.option("--tile", type=int, default=512, show_default=True, help="Longest side of a tile in cells.")
@click.option(
    "--overlap", type=int, help="Cells that neighbouring tiles share; the net's own when not given."
)
@click.option("--batch", type=int, help="Tiles at a time; found by measuring when not given.")
@click.option(
    "--part", metavar="K/N",
    help="Make the K-th of N shares of the rows only; without it the same command then puts all together.",
)  # fmt: skip
@click.option("--fresh", is_flag=True, help="Begin anew instead of going on with an unfinished run.")
@data_root_option
def predict(
    images: tuple[str, ...], year: int | None, weights: str, out: Path | None, **options: Any
) -> None:
    """Map land cover with a trained net.

    IMAGE is a raster file with bands in reflectance (or counts of it); several dates of one place are combined, each where
    it is clear. CITY is the name or profile of a city: its images of the year are taken from the catalogue, and the map is
    published there as the layer land_cover_map.

    Images of any size are mapped in little memory. A run that was stopped goes on when the same command is given again, and
    the result is the same to the last bit. With --part several machines share the work on one disk. Beside the map,
    MAP.json says what it was made of and with.

    For example: 'workbench predict demo --year 2025', or 'workbench predict spring.tif autumn.tif --out cover.tif', or
    'workbench predict s2.tif --weights models/dynamicworld_forward.onnx --out cover.tif'.
    """
    if out is None and all(Path(name).is_file() and Path(name).suffix != ".toml" for name in images):
        raise click.UsageError("--out is needed: where the map is to be written")
    share = _part(options["part"]) if options["part"] else None
    city = _city(images)
    if city is None and out is None:
        raise click.UsageError("--out is needed: where the map is to be written")
    year = year or (city.latest_year if city is not None else None)
    scenes = _scenes(images, city, year, options)

    from workbench.interpretation import (
        predict as mapping,
    )  # torch takes seconds: after all that can be refused
    from workbench.interpretation import weights as nets
    from workbench.interpretation.dynamic_world import load as dynamic_world

    model: Any = dynamic_world(weights) if weights.endswith(".onnx") else nets.load(weights)
    target = out or _place(city, year, model.card.name)
    if options["find_clouds"]:
        scenes = _masked(scenes, target)
    for scene in scenes:
        day = "no date" if scene.date != scene.date else f"{scene.date:%Y-%m-%d}"
        click.echo(
            f"{scene.name}: {day}, {scene.shape[0]} x {scene.shape[1]} cells, reflectance = count x {scene.scale:g}"
            + (f" {scene.offset:+g}" if scene.offset else "")
            + f", {', '.join(scene.bands)}"
            + (
                " (assumed: the file does not name its bands; --bands says otherwise)"
                if scene.assumed
                else ""
            ),
            err=True,
        )
    how = {
        key: options[key]
        for key in ("engine", "tile", "overlap", "batch", "precision", "probabilities", "tta")
    }
    how["say"] = lambda text: click.echo(text, err=True)
    if share is not None:
        number, of = share
        with _bar() as progress:
            mapping.share(scenes, model, target, number, of, progress=progress, **how)
        click.echo(
            f"share {number} of {of} is made; when all are, the same command without --part writes {target}"
        )
        return
    with _bar() as progress:
        made = mapping.predict(scenes, model, target, resume=not options["fresh"], progress=progress, **how)
    if city is not None and year is not None:
        mapping.publish(city, year, made, model.card)
    _report(made)
    click.echo(made.path)


def _part(text: str) -> tuple[int, int]:
    """Which share of how many."""
    number, _, of = text.partition("/")
    if not (number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise click.BadParameter(f"{text} is no share", param_hint="--part (2/8: the second of eight)")
    return int(number), int(of)


def _city(images: tuple[str, ...]) -> City | None:
    """Profile when the one argument is a city and no file."""
    from workbench.core.errors import ParameterError
    from workbench.reporting.run import find_city

    if len(images) > 1 or (Path(images[0]).exists() and Path(images[0]).suffix != ".toml"):
        return None
    try:
        return find_city(images[0])
    except ParameterError as error:
        if Path(images[0]).suffix:  # it was meant as a file
            raise click.BadParameter(f"no such file: {images[0]}", param_hint="IMAGE") from error
        raise


def _scenes(
    images: tuple[str, ...], city: City | None, year: int | None, options: dict[str, Any]
) -> list[Scene]:
    from workbench.interpretation import imagery

    if city is not None and year is not None:
        return imagery.scenes(city, year)
    if absent := [name for name in images if not Path(name).exists()]:
        raise click.BadParameter(f"no such file: {', '.join(absent)}", param_hint="IMAGE")
    masks = list(options["masks"])
    if masks and len(masks) != len(images):
        raise click.UsageError("--mask is given once for each image, or not at all")
    bands = [name.strip() for name in options["bands"].split(",")] if options["bands"] else None
    return [
        imagery.Scene.of_file(name, bands=bands, scale=options["scale"], mask=masks[place] if masks else None)
        for place, name in enumerate(images)
    ]


def _place(city: City | None, year: int | None, name: str) -> Path:
    """Where a city's map is made when no file is named: in its folder of reports."""
    from workbench.core.paths import reports_dir

    assert city is not None
    folder = reports_dir() / city.name / "interpretation"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"land_cover-{year}-{name}.tif"


def _masked(scenes: list[Scene], target: Path) -> list[Scene]:
    """Scenes with masks, found where there are none."""
    from workbench.interpretation import clouds

    found = []
    for scene in scenes:
        click.echo(f"looking for clouds in {scene.name}", err=True)
        found.append(clouds.mask(scene, target.with_name(f"{target.stem}-{scene.name}-clouds.tif")))
    return found


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """Progress in the terminal: tiles done, of how many, and the time that is left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("tiles"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("tiles", total=None, visible=False)

        def told(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield told


def _report(made: Prediction) -> None:
    """Pixels and area of each class; areas by counting are biased, which the reader is told."""
    from workbench.interpretation.predict import areas

    found = areas(made)
    sized = "km2" in found
    table = make_table("class", "", "pixels", "% of what is seen", *(["km²"] if sized else []))
    for row in found.to_dict("records"):
        size = [f"{row['km2']:,.2f}"] if sized else []
        table.add_row(row["class"], row["name_zh"], f"{row['pixels']:,}", f"{100 * row['share']:.1f}", *size)
    show(table)
    click.echo(
        "areas counted from pixels carry the map's errors; points drawn from the map tell how far they are off"
    )
    if not sized:
        click.echo("the image has no coordinate system: no areas")
    if hidden := made.record["pixels"]["nodata"]:
        click.echo(f"not seen (nodata, cloud, shadow): {hidden:,} pixels")
