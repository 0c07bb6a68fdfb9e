"""Training of nets with Lightning: one TOML and one seed a run, resumable, measured on places that were never trained on."""

from __future__ import annotations

import json
import logging
import os
import pickle
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, Dataset

from workbench.core.errors import ParameterError, RunError, WeightsError
from workbench.core.paths import atomic_write, home
from workbench.core.provenance import stable_hash
from workbench.interpretation import nets, weights
from workbench.interpretation.augment import NONE
from workbench.interpretation.cards import Card
from workbench.interpretation.city_chips import CityChips, middles_of
from workbench.interpretation.losses import IGNORED, Loss
from workbench.interpretation.runs import Run
from workbench.interpretation.training_cities import TrainingCity, check_seed, make_city

log = logging.getLogger(__name__)
Say = Callable[[str], None]
VALIDATION = 1_000_000
"""Epoch number of the chips for validation: the same in every epoch."""


class Interpreter(L.LightningModule):  # type: ignore[misc]
    """A net in training.

    Parameters
    ----------
    run : Run
    classes : int
        Number of classes told apart (2 for a change net).
    steps : int
        Steps of the whole run, for the rate's schedule.
    """

    def __init__(self, run: Run, classes: int, steps: int) -> None:
        super().__init__()
        self.run, self.steps = run, max(steps, 1)
        self.net = nets.build(run.net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = Loss(run.loss.terms, run.loss.weights)
        # no buffer: DDP hands the first process's buffers to all others at each call
        self.confusion = torch.zeros(classes, classes, dtype=torch.long)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of standardized images."""
        logits: torch.Tensor = self.net(images.contiguous(memory_format=torch.channels_last))
        return logits

    def training_step(self, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        """Loss of a batch."""
        loss: torch.Tensor = self.loss(self(batch["image"]), batch["mask"])
        self.log(
            "train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["mask"]), sync_dist=True
        )
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], index: int) -> None:
        """Count a batch into the confusion matrix."""
        logits = self(batch["image"]).float()
        keep = batch["mask"] != IGNORED
        chips = int(keep.flatten(1).any(dim=1).sum())  # without those that only fill up
        self.log("val_loss", self.loss(logits, batch["mask"]), batch_size=chips, sync_dist=True)
        told = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1)
        count = len(self.confusion)
        pairs = batch["mask"][keep] * count + told[keep]
        self.confusion = self.confusion.to(pairs.device)
        self.confusion += torch.bincount(pairs, minlength=count * count).reshape(count, count)

    def on_validation_epoch_end(self) -> None:
        """Score: mean F1 of the classes, or F1 of what changed."""
        matrix = self.all_gather(self.confusion) if self.trainer.world_size > 1 else self.confusion
        matrix = matrix.sum(dim=0) if matrix.ndim == 3 else matrix
        both = matrix.diagonal().double()
        f1 = 2 * both / (matrix.sum(0) + matrix.sum(1)).clamp_min(1)
        seen = matrix.sum(1) > 0
        score = f1[1] if self.run.task == "change" else f1[seen].mean()
        self.log("val_score", score.float(), prog_bar=True)
        self.confusion.zero_()

    def configure_optimizers(self) -> Any:
        """AdamW; the rate rises first, then falls along a cosine."""
        how = self.run.optimiser
        optimiser = torch.optim.AdamW(self.net.parameters(), lr=how.lr, weight_decay=how.weight_decay)
        rise = max(int(how.warm_up * self.steps), 1)

        def rate(step: int) -> float:
            if step < rise:
                return (step + 1) / rise
            return (
                float(0.5 * (1 + np.cos(np.pi * min((step - rise) / max(self.steps - rise, 1), 1.0)))) + 1e-3
            )

        plan = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": plan, "interval": "step"}}


class Chips(L.LightningDataModule):  # type: ignore[misc]
    """Chips of a run: drawn anew each epoch for training, always the same for validation."""

    def __init__(self, run: Run, say: Say) -> None:
        super().__init__()
        self.run, self.say = run, say
        self._cities: dict[str, list[TrainingCity]] = {}
        self._middles: dict[str, list[list[Any]]] = {}
        self._library: Any = None

    def prepare_data(self) -> None:
        """Make the training cities that are not there yet."""
        if self.run.data.kind == "cities":
            for seed, extra in self._seeds("train") + self._seeds("validation"):
                self.say(f"city of seed {seed}")
                make_city(seed, extra=extra)

    def _seeds(self, part: str) -> list[tuple[int, int]]:
        data = self.run.data
        return (
            [(seed, data.extra) for seed in data.train]
            if part == "train"
            else [(s, 0) for s in data.validation]
        )

    def cities(self, part: str) -> list[TrainingCity]:
        """Cities of a part (``train`` or ``validation``)."""
        if part not in self._cities:
            self._cities[part] = [make_city(seed, extra=extra) for seed, extra in self._seeds(part)]
        return self._cities[part]

    def dataset(self, part: str, epoch: int) -> Dataset[dict[str, torch.Tensor]]:
        """Chips of a part and an epoch."""
        run = self.run
        train = part == "train"
        if run.data.kind == "library":
            from workbench.interpretation.datasets import library_parts

            if self._library is None:
                self._library = library_parts(run)
            return self._library.dataset(part, epoch)  # type: ignore[no-any-return]
        cities = self.cities(part)
        if part not in self._middles:
            self._middles[part] = [middles_of(city, run.task) for city in cities]
        return CityChips(
            cities, run.task, seed=run.seed, epoch=epoch if train else VALIDATION, mean=run.data.mean, std=run.data.std,
            length=run.optimiser.chips if train else run.optimiser.validation_chips,
            size=run.data.chip if train else run.data.validation_chip, how=run.how if train else NONE,
            balance=run.data.balance, middles=self._middles[part],
        )  # fmt: skip

    def _loader(self, part: str, epoch: int, batch: int) -> Any:
        """Chips of this process: of several every so manieth, as many for each."""
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        chips: Any = self.dataset(part, epoch)
        train = part == "train"
        if not train:
            chips = _Filled(chips, -len(chips) % world)
        mine = range(rank, len(chips) - len(chips) % world, world)
        workers = self.run.machine.workers
        return DataLoader(chips, batch_size=batch, sampler=mine, num_workers=workers, drop_last=train)

    def train_dataloader(self) -> Any:
        """Chips of the current epoch; several processes share each batch."""
        world = self.trainer.world_size if self.trainer else 1
        batch = max(self.run.optimiser.batch // world, 1)
        return self._loader("train", self.trainer.current_epoch if self.trainer else 0, batch)

    def val_dataloader(self) -> Any:
        """Chips of places that are not trained on."""
        return self._loader("validation", 0, max(self.run.optimiser.batch // 4, 1))


class _Filled(Dataset[dict[str, torch.Tensor]]):
    """Chips and some more without labels, so that each of several processes has as many: they wait for each other."""

    def __init__(self, chips: Any, more: int) -> None:
        self.chips, self.more = chips, more

    def __len__(self) -> int:
        return len(self.chips) + self.more

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if index < len(self.chips):
            found: dict[str, torch.Tensor] = self.chips[index]
            return found
        blank = self.chips[0]
        return {**blank, "mask": torch.full_like(blank["mask"], IGNORED)}


class _Told(Callback):  # type: ignore[misc]
    """Says a line an epoch and keeps the seconds spent, over interruptions."""

    def __init__(self, say: Say) -> None:
        self.say, self.spent, self.began = say, 0.0, time.monotonic()

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.began = time.monotonic()

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        told = trainer.callback_metrics
        figures = ", ".join(
            f"{name} {float(told[name]):.4f}" for name in ("val_loss", "val_score") if name in told
        )
        minutes = (self.spent + time.monotonic() - self.began) / 60
        if trainer.is_global_zero:
            self.say(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {figures} ({minutes:.1f} min)")

    def state_dict(self) -> dict[str, Any]:
        return {"spent": self.spent + time.monotonic() - self.began}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.spent = float(state["spent"])


def class_names(run: Run) -> tuple[str, ...]:
    """Names of the classes of a run: those of its scheme, or ``changed``."""
    if run.task == "change":
        return ("changed",)
    from workbench.interpretation.classes import scheme

    return tuple(scheme(run.scheme)["class"])


def check(run: Run) -> None:
    """Refuse a run that could not be finished, before anything is made for it.

    Raises
    ------
    ParameterError
        A net, loss, scheme or seed that cannot be, or a net of another number of classes than the scheme has.
    """
    wanted = 1 if run.task == "change" else len(class_names(run))
    if (found := run.net.get("classes")) != wanted:
        raise ParameterError(
            "the net's classes are not those of the run", where=f"{run.name}: net.classes", found=found,
            expected=f"{wanted} ({'one: changed' if run.task == 'change' else f'scheme {run.scheme}'})",
        )  # fmt: skip
    told_apart = max(wanted, 2)
    if run.loss.weights is not None and len(run.loss.weights) != told_apart:
        raise ParameterError(
            "a weight for each class is needed", where=f"{run.name}: loss.weights", found=len(run.loss.weights),
            expected=told_apart,
        )  # fmt: skip
    nets.build(run.net)
    Loss(run.loss.terms, run.loss.weights)
    if run.data.kind == "cities":
        for seed in (*run.data.train, *run.data.validation):
            check_seed(seed)


def run_folder(run: Run) -> Path:
    """Where a run keeps its logs and checkpoints when no folder is given."""
    return home() / "runs" / run.name


def fit(
    run: Run, folder: Path | None = None, *, resume: bool = False, bar: bool = False, say: Say = log.info,
    stop_after: int | None = None,
) -> Path:  # fmt: skip
    """Train a run, or go on with one that was broken off.

    Parameters
    ----------
    run : Run
    folder : Path, optional
        For logs and checkpoints; under the workbench's home when not given.
    resume : bool
        Go on from the last finished epoch in ``folder``; the result is that of a run without a break.
    bar : bool
        Show a progress bar.
    say : callable
        Told a line an epoch.
    stop_after : int, optional
        End after so many epochs although the run has more (it can be resumed).

    Returns
    -------
    Path
        Checkpoint of the best epoch.

    Raises
    ------
    ParameterError
        The folder holds a run and ``resume`` is not asked for, or one of other settings.
    RunError
        No epoch was finished.
    """
    check(run)
    folder = Path(folder or run_folder(run))
    last = _claim(run, folder, resume)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    if run.machine.threads:
        torch.set_num_threads(run.machine.threads)
    L.seed_everything(run.seed, workers=True, verbose=False)
    names = class_names(run)
    steps = run.optimiser.epochs * (run.optimiser.chips // run.optimiser.batch)
    module = Interpreter(run, 2 if run.task == "change" else len(names), steps)
    best = ModelCheckpoint(folder, "best", monitor="val_score", mode="max", enable_version_counter=False)
    every = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    stop = EarlyStopping("val_score", mode="max", patience=run.optimiser.patience)
    told = _Told(say)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore",
            message=".*(num_workers|does not have many workers|Checkpoint directory|log_every_n_steps|LeafSpec|tensorboard).*",
        )
        trainer = L.Trainer(
            accelerator=run.machine.accelerator, devices=run.machine.devices, strategy=run.machine.strategy,
            precision=run.machine.precision, max_epochs=run.optimiser.epochs, gradient_clip_val=run.optimiser.clip,  # type: ignore[arg-type]
            logger=CSVLogger(folder, name="", version=_log_name(folder)), callbacks=[told, stop, best, every, *([TQDMProgressBar()] if bar else [])],
            reload_dataloaders_every_n_epochs=1, num_sanity_val_steps=0, enable_progress_bar=bar,
            enable_model_summary=False, deterministic="warn", log_every_n_steps=1, use_distributed_sampler=False,
        )  # fmt: skip
        if stop_after is not None:
            trainer.fit_loop.max_epochs = min(stop_after, run.optimiser.epochs)
        trainer.fit(module, datamodule=Chips(run, say), ckpt_path=last, weights_only=True)
    if not (folder / "best.ckpt").exists():
        raise RunError("no epoch was finished", where=str(folder))
    if trainer.is_global_zero:
        spent, score = told.state_dict()["spent"], float(best.best_model_score or 0.0)
        _note(folder, seconds=spent, epochs=trainer.current_epoch, score=score)
    return folder / "best.ckpt"


def _claim(run: Run, folder: Path, resume: bool) -> str | None:
    """Begin a run's folder or check that it is this run's; the checkpoint to go on from."""
    record = folder / "run.json"
    settings = run.model_dump(mode="json")
    last = folder / "last.ckpt"
    if record.exists():
        same = stable_hash(json.loads(record.read_text())["run"]) == stable_hash(settings)
        if not resume and last.exists():
            raise ParameterError(
                "the folder holds a run already",
                where=str(folder),
                hint="go on with --resume, or give another folder",
            )
        if resume and not same:
            raise ParameterError(
                "the run in the folder was begun with other settings",
                where=str(folder),
                hint="give another folder",
            )
        if same:
            if resume and last.exists():
                _checkpoint(last)
                return str(last)
            return None
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(record) as path:
        path.write_text(json.dumps({"run": settings}, ensure_ascii=False, indent=1))
    return None


def _log_name(folder: Path) -> str:
    """Folder of the logs: ``log``, and after a break ``log_2`` and so on, so that earlier logs are kept."""
    started = len(list(folder.glob("log*/metrics.csv")))
    return f"log_{started + 1}" if started else "log"


def _note(folder: Path, **facts: Any) -> None:
    """Add facts to a run's record."""
    record = folder / "run.json"
    table = json.loads(record.read_text()) | facts
    with atomic_write(record) as path:
        path.write_text(json.dumps(table, ensure_ascii=False, indent=1))


def _checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds: tensors and plain values only; anything else is refused before it runs."""
    try:
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(
            "the checkpoint holds more than numbers, or is damaged", where=path.name, found=str(error)[:120],
            hint="begin the run again with --fresh",
        ) from error  # fmt: skip
    return found


def leader() -> bool:
    """Whether this process is the one that writes, when several share a run."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def trained_net(run: Run, checkpoint: Path) -> torch.nn.Module:
    """Net with the weights of a checkpoint."""
    state = _checkpoint(checkpoint)["state_dict"]
    net = nets.build(run.net)
    net.load_state_dict({name[4:]: value for name, value in state.items() if name.startswith("net.")})
    return net.eval()


def _library_accuracy(net: torch.nn.Module, run: Run, say: Say) -> dict[str, Any]:
    """Accuracy on the chips of a library that were kept for validation, all together and by block of ground."""
    from workbench.interpretation import measuring
    from workbench.interpretation.datasets import library_parts
    from workbench.interpretation.splits import block_of

    say("measuring on the chips kept for validation")
    parts = library_parts(run)
    chips = parts.dataset("validation", 0)
    blocks = block_of(parts.table.geometry[parts.part == "validation"], run.data.block_m)
    names = parts.library.names
    found: dict[str, Any] = {}
    for number, block in enumerate(blocks):
        chip = chips[number]
        matrix = measuring.confusion(net, chip["image"][None], chip["mask"][None], len(names))
        found[block] = found.get(block, 0) + matrix
    every = measuring.scores(sum(found.values()), names)
    about = "chips of blocks of ground kept for validation; labels as good as the library's"
    return {
        "of": about,
        **every,
        "by_place": {f"block {k}": measuring.scores(m, names) for k, m in sorted(found.items())},
    }


def finish(run: Run, folder: Path, install: Path | None = None, *, say: Say = log.info) -> Path:
    """Measure the best net of a run on its validation places and install weights and card.

    Parameters
    ----------
    run : Run
    folder : Path
        Of the run.
    install : Path, optional
        Folder the weights go to; ``weights/`` in the workbench's home when not given.
    say : callable

    Returns
    -------
    Path
        The safetensors file.
    """
    from workbench.interpretation import measuring

    net = trained_net(run, folder / "best.ckpt")
    facts = json.loads((folder / "run.json").read_text())
    accuracy: dict[str, Any] = {"score": facts.get("score")}
    threshold = None
    if run.data.kind == "cities":
        chips = Chips(run, say)
        say("measuring on the cities kept for validation")
        cities = chips.cities("validation")
        if run.task == "change":
            threshold, calibration, accuracy = measuring.change_accuracy(
                net, run.data.mean, run.data.std, cities
            )
            nets.rescale(net, *calibration)
        else:
            accuracy = measuring.land_cover_accuracy(
                net, run.data.mean, run.data.std, cities, class_names(run)
            )
    else:
        accuracy = _library_accuracy(net, run, say)
        threshold = 0.5 if run.task == "change" else None
    card = Card(
        name=run.name, task=run.task, scheme=run.scheme, classes=class_names(run), bands=run.data.bands,
        mean=run.data.mean, std=run.data.std, architecture=dict(run.net), parameters=0, licence=run.licence,
        training={
            "about": run.about, "run": run.model_dump(mode="json"),
            **{k: v for k, v in facts.items() if k != "run"},
        },
        accuracy=accuracy, overlap=run.overlap, threshold=threshold,
    )  # fmt: skip
    path = weights.save(net, card, Path(install or home() / "weights"))
    say(f"installed {path.name}")
    return path
