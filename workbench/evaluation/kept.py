"""Values of indicators, kept between checkups and computed again only where something behind them changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.core.cache import StepCache, step_key
from workbench.core.provenance import code_version, stable_hash
from workbench.evaluation.states import States
from workbench.indicators.compute import compute

MADE_OF = "made_of"
"""Column of kept values that says what they are made of."""
Progress = Callable[[int, int], None]


class Kept:
    """Values of a city's indicators: those whose inputs are what they were come from the cache.

    Parameters
    ----------
    city : City
        Profile.
    data : CityData
        Its layers.
    states : States
        Hashes of the inputs as they are now.
    texts : mapping of str to str
        What values depend on besides layers and definitions, e.g. the text of the profile.
    cache : StepCache, optional
        Where values are kept; the workbench's cache when not given.
    use_cache : bool
        Take values from the cache; either way new ones are kept there.
    """

    def __init__(
        self,
        city: Any,
        data: Any,
        states: States,
        texts: Mapping[str, str],
        *,
        cache: StepCache | None = None,
        use_cache: bool = True,
    ) -> None:
        self.city, self.data, self.states = city, data, states
        self.cache, self.use_cache = cache or StepCache(), use_cache
        self.made_of: dict[str, str] = {}
        """What every value given out is made of, by value id."""
        there = {role: [data.years(role), data.has(role)] for role in sorted(city.layers)}
        self._inputs = {**texts, "layers": stable_hash(there)}

    def values(
        self, year: int, ids: Sequence[str], levels: Sequence[str], *, progress: Progress | None = None
    ) -> pd.DataFrame:
        """Values of a year; an indicator and level is computed again when an input of one of its values changed."""
        parameters = {"city": self.city.name, "year": year, "ids": list(ids), "levels": list(levels)}
        key = step_key("values", inputs=self._inputs, parameters=parameters, code=code_version())
        step = f"values-{self.city.name}"
        kept = self.cache.get(step, key) if self.use_cache else None
        held = None if kept is None else self._unchanged(kept)
        if kept is not None and held is not None and len(held) == len(kept):
            found = kept
        else:
            made_of = {} if held is None else dict(zip(held["value_id"], held[MADE_OF], strict=True))
            rows = None if held is None else held.drop(columns=MADE_OF)
            fresh = compute(
                self.city, year, ids, levels=levels, store=self.data, progress=progress, kept=rows, lineage=made_of
            )  # fmt: skip
            found = fresh.assign(**{MADE_OF: fresh["value_id"].map(made_of)})
            self.cache.put(step, key, found)
        self.made_of.update(zip(found["value_id"], found[MADE_OF], strict=True))
        return pd.DataFrame(found.drop(columns=MADE_OF))

    def _unchanged(self, kept: pd.DataFrame) -> pd.DataFrame:
        """Rows of the indicators and levels none of whose inputs changed."""
        changed = {text: bool(self.states.changed(text)) for text in kept[MADE_OF].unique()}
        stale = kept[MADE_OF].map(changed).astype(bool)
        return kept[~stale.groupby([kept["indicator"], kept["level"]]).transform("any")]
