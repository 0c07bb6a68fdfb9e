"""What a training run looks like to whoever runs it: balance of the samples, losses by epoch, accuracy by class and place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.ticker import MaxNLocator

from workbench.interpretation.classes import scheme
from workbench.views.charts import new_figure
from workbench.views.figure import Figure, render
from workbench.views.text import plain, t

if TYPE_CHECKING:
    from workbench.interpretation.cards import Card
    from workbench.interpretation.sample_library import SampleLibrary

LOSS, HELD_OUT, SCORE = "#7fa7c9", "#1f4e79", "#b5483a"


def _names(name: str, lang: str) -> dict[str, str]:
    table = scheme(name).set_index("class")
    return {str(key): str(value) for key, value in table[f"name_{lang}"].items()}


def balance_table(library: SampleLibrary, lang: str) -> pd.DataFrame:
    """Cells, chips and points of each class in a sample library, with its share."""
    found = library.balance()
    found["class"] = found["class"].map(_names(library.facts["scheme"], lang))
    found["share"] = (100 * found["share"]).round(1)
    found.columns = pd.Index([plain(f"training.{name}", lang) for name in found.columns])
    return found


def accuracy_table(card: Card, lang: str) -> pd.DataFrame:
    """F1 of each class in per cent: on all places kept for validation and, beside it, the least and the best of them."""
    places = [part["f1"] for part in card.accuracy["by_place"].values()]
    names = _names(card.scheme, lang)
    rows = []
    for name in card.classes:
        each = [part[name] for part in places if part[name] > 0]
        rows.append((names[name], card.accuracy["f1"][name], min(each, default=0.0), max(each, default=0.0)))
    every = [part["overall"] for part in card.accuracy["by_place"].values()]
    rows.append((plain("training.overall", lang), card.accuracy["overall"], min(every), max(every)))
    columns = [
        plain(f"training.{name}", lang) for name in ("class", "all_places", "worst_place", "best_place")
    ]
    found = pd.DataFrame(rows, columns=columns).set_index(columns[0])
    return (100 * found).round(1)


def curve(log: pd.DataFrame, lang: str) -> Figure:
    """Losses and score by epoch."""
    height = 3.4
    figure = new_figure(7.2, height)
    axes = figure.add_axes((0.09, 0.15, 0.82, 0.7))
    for column, colour in (("train_loss", LOSS), ("val_loss", HELD_OUT)):
        axes.plot(
            log["epoch"],
            log[column],
            "o-",
            color=colour,
            label=plain(f"training.{column}", lang),
            markersize=4,
        )
    axes.set_ylim(bottom=0)
    axes.set_xlabel(plain("training.epoch", lang))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    other = axes.twinx()
    other.plot(
        log["epoch"],
        100 * log["val_score"],
        "s-",
        color=SCORE,
        label=plain("training.val_score", lang),
        markersize=4,
    )
    other.set_ylim(0, 100)
    other.grid(False)
    lines = [*axes.get_lines(), *other.get_lines()]
    names = [str(line.get_label()) for line in lines]
    figure.legend(lines, names, loc="upper left", bbox_to_anchor=(0.02, 0.99), ncols=3, fontsize=9)
    return render(
        figure, alt=plain("training.curve_alt", lang), caption=t("training.curve", lang), colours=128
    )
