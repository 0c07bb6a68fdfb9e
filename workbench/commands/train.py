"""The command ``train``: nets for land cover and change, from a run's TOML to installed weights with a card."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.options import make_table, show

if TYPE_CHECKING:
    from workbench.interpretation.runs import Run


@click.command("train")
@click.argument("names", nargs=-1, metavar="[RUN]...")
@click.option(
    "--all", "every", is_flag=True, help="All runs that come with the workbench, one after the other."
)
@click.option("--list", "listed", is_flag=True, help="Show the runs and the nets at hand, and stop.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for logs and checkpoints; runs/RUN in the workbench's home when not given.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with a run that was broken off; the result is the same as without a break.",
)
@click.option(
    "--fresh", is_flag=True, help="Throw away what an earlier run left in the folder, and begin again."
)
@click.option("--epochs", type=click.IntRange(1), help="Epochs in place of the run's.")
@click.option(
    "--devices",
    type=click.IntRange(1),
    help="GPUs (or CPU processes) to share each batch among; 1 when not given.",
)
@click.option(
    "--install",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the finished weights and card; weights/ in the workbench's home when not given.",
)
@click.option("--no-install", is_flag=True, help="Train only; measure and install later with --finish.")
@click.option("--finish", is_flag=True, help="Only measure the best epoch so far and install it.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def train(
    names: tuple[str, ...], every: bool, listed: bool, out: Path | None, resume: bool, fresh: bool, epochs: int | None,
    devices: int | None, install: Path | None, no_install: bool, finish: bool, quiet: bool,
) -> None:  # fmt: skip
    """Train a net that reads images: RUN is the name of a run that comes with the workbench, or a TOML file.

    \b
    workbench train --list                 what there is
    workbench train demo_land_cover        land cover of the demo city's kind of images
    workbench train --all                  both nets of the demo city, within an hour on two cores
    workbench train my_run.toml --epochs 3 a run of your own, shortened to see whether it works
    workbench train demo_change --resume   go on after a break

    A run's TOML says which data, classes, net, loss, augmentation and seed; copy one of those that come with the workbench
    (workbench/interpretation/runs) to begin. Logs are written as CSV into the run's folder; nothing leaves this machine.
    The finished weights lie in --install as <name>.safetensors with a card <name>.json, and are found by their name.
    """  # noqa: D301  (click's mark for lines to keep)
    from workbench.interpretation import runs

    if listed:
        _list()
        return
    wanted = list(names) or (runs.shipped() if every else [])
    if not wanted:
        raise click.UsageError(f"name a run, or --all; there are {', '.join(runs.shipped())}")
    if out is not None and len(wanted) > 1:
        raise click.UsageError("--out takes one run at a time")
    if resume and fresh:
        raise click.UsageError("--resume and --fresh exclude each other")
    changes: dict[str, Any] = {}
    if epochs is not None:
        changes["optimiser__epochs"] = epochs
    if devices is not None:
        changes |= {"machine__devices": devices, **({"machine__strategy": "ddp"} if devices > 1 else {})}
    given = [runs.read(name, **changes) for name in wanted]
    from workbench.interpretation import training

    for run in given:  # all are looked at before the first begins
        training.check(run)
    for run in given:
        _one(
            run,
            out,
            resume=resume,
            fresh=fresh,
            install=install,
            finish=finish,
            train_only=no_install,
            quiet=quiet,
        )


def _one(
    run: Run, out: Path | None, *, resume: bool, fresh: bool, install: Path | None, finish: bool, train_only: bool, quiet: bool
) -> None:  # fmt: skip
    """Train, measure and install one run."""
    from workbench.interpretation import training

    def say(text: str) -> None:
        click.echo(f"{run.name}: {text}", err=True)

    folder = out or training.run_folder(run)
    if fresh and not finish and training.leader():
        shutil.rmtree(folder, ignore_errors=True)
    if not finish:
        training.fit(run, folder, resume=resume, bar=not quiet and sys.stderr.isatty(), say=say)
    if not train_only and training.leader():
        click.echo(training.finish(run, folder, install, say=say))


def _list() -> None:
    """Runs and nets at hand."""
    from workbench.interpretation import cards, runs

    table = make_table("run", "task", "classes", "chips", "epochs")
    for name in runs.shipped():
        run = runs.read(name)
        table.add_row(
            name,
            run.task,
            run.scheme,
            str(run.optimiser.chips * run.optimiser.epochs),
            str(run.optimiser.epochs),
        )
    show(table)
    nets = make_table("net", "task", "bands", "parameters", "made")
    for card in cards.at_hand():
        nets.add_row(card.name, card.task, ", ".join(card.bands), f"{card.parameters:,}", card.made)
    show(nets)
