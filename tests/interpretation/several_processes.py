"""Script of test_distributed: trains a toy run on two processes of the CPU, each telling which chips it saw.

    python several_processes.py FOLDER

Lightning starts the second process by calling this script again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from workbench.interpretation import datasets, runs, training

SEEN = datasets.LibraryChips.__getitem__


def main(folder: Path) -> None:
    """Train, and write down what each process saw."""

    def told(self: datasets.LibraryChips, index: int) -> Any:
        rank = os.environ.get("LOCAL_RANK", "0")
        with (folder / f"seen-{rank}").open("a") as file:
            file.write(f"{'train' if self.drawn else 'validation'} {self.epoch} {index}\n")
        return SEEN(self, index)

    datasets.LibraryChips.__getitem__ = told  # type: ignore[method-assign]
    run = runs.read(
        folder / "toy.toml", machine__devices=2, machine__strategy="ddp", machine__accelerator="cpu"
    )
    training.fit(run, folder / "run", say=print)
    datasets.LibraryChips.__getitem__ = SEEN  # type: ignore[method-assign]
    if training.leader():
        training.finish(run, folder / "run", folder / "weights", say=print)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
